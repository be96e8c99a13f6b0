/// The command line under the window: `temper` as child processes. The GUI compiles and measures
/// nothing itself; what it shows is what the command prints.
#pragma once

#include "ir/support/result.h"

#include <QObject>
#include <QProcess>
#include <QStringList>

#include <functional>

namespace temper::gui {

/// Path of `temper`: TEMPER_PROGRAM, beside this program, in the build, in PATH; empty when
/// missing.
QString temperProgram();
/// What is said when it is missing.
QString missingProgramText();
/// Asks a child process to end, and kills it later when it does not; nobody waits for it. `owner`
/// hears nothing of it any more. Null is fine.
void endWithoutWaiting(QProcess* process, QObject* owner);
/// The same for an owner that goes: its child goes with it.
void end(QProcess* process, QObject* owner);

/// What a person fills in to start a run; defaults are the command's own.
struct RunPlan {
  QString workload = QStringLiteral("matmul");
  QString parameters; ///< "M=512 N=512 K=512"; empty: the workload's first shape
  QString target = QStringLiteral("native"); ///< what the code is for
  int trials = 200;                          ///< 0: no limit
  double seconds = 0;                        ///< 0: no limit
  int threads = 1;
  QString strategy = QStringLiteral("auto");
  QString seed; ///< empty: by chance
  bool cold = false;
  bool fresh = false;
  QString from;      ///< a record to search around; empty: everywhere
  QStringList locks; ///< its decisions that stay

  /// A sentence about what is wrong; empty when it can start.
  QString problem() const;
  /// Arguments of `temper`, without --db.
  QStringList arguments() const;
};

/// A run that was started from here. It outlives the window: only its log and its process number
/// are known.
struct StartedRun {
  qint64 pid = 0;
  QString log; ///< file with what it prints
};

/// Starts `temper ARGUMENTS --db DATABASE` on its own.
Result<StartedRun> startDetached(const QStringList& arguments, const QString& database);
/// True while the process lives.
bool isAlive(qint64 pid);
/// The last lines of a log, with what a live line overwrote left out.
QString tailOf(const QString& log, int lines);

/// One `temper` command whose output is wanted; a new one ends the one before.
class TemperCommand : public QObject {
  Q_OBJECT
public:
  using QObject::QObject;
  ~TemperCommand() override;
  struct Answer {
    int exitCode = -1;
    QString output;
    QString error; ///< a sentence when it failed
  };
  void start(const QStringList& arguments, std::function<void(Answer)> answer);
  void cancel();
  bool isRunning() const { return process_ != nullptr; }

private:
  QProcess* process_ = nullptr;
};

} // namespace temper::gui
