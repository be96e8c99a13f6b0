/// How near a record is to what the machine allows, what could be tried, and what the cost model
/// makes of it: bars and findings, as `temper session` answers to "limits" and "model".
#pragma once

#include "gui/core/temper_session.h"
#include "gui/core/why_faster.h"
#include "ir/support/json.h"

#include <QCache>
#include <QObject>
#include <QString>
#include <QStringList>

#include <memory>
#include <vector>

namespace temper::gui {

/// A schedule to begin with in the editor, one step or decision from a record's.
struct EditProposal {
  QString record; ///< to go on from
  QString label;  ///< "v11, v12 = [8, 2]"
  QString trace;  ///< whole
};

struct LimitBar {
  QString what;
  double share = 0;       ///< 1: it is the limit
  QString evidence;       ///< "131 of 158 GFLOP/s"
  bool estimated = false; ///< hollow, as what is predicted is everywhere
};

struct LimitFinding {
  QString what;
  QString evidence;  ///< "128 bits instead of 512 bits"
  QString gain;      ///< "▲ 0.83×, estimated"; empty: not known
  EditProposal step; ///< without a trace: nothing to try
  QString record;    ///< of a candidate that was measured and is better
};

struct LimitsAnswer {
  QStringList sentences;
  std::vector<LimitBar> machine, loop;
  std::vector<LimitFinding> findings;
  WhySection model; ///< without a title until it is known
  QStringList unknown;
  QString error;      ///< instead of all else
  bool whole = false; ///< the model has answered, too
};
LimitsAnswer limitsAnswer(const QString& record, const Json& answer);

/// Asks, one question at a time; what was answered is remembered.
class LimitsQuestion : public QObject {
  Q_OBJECT
public:
  explicit LimitsQuestion(QString database, QObject* parent = nullptr);

  void ask(const QString& record);
  void cancel();
  bool isBusy() const { return busy_ || learning_; }
  /// The rest is there, and a model learns.
  bool isLearning() const { return learning_; }
  const QString& record() const { return record_; } ///< that was asked about last
  /// Null before it has come.
  const LimitsAnswer* answer() const { return answers_.object(record_); }

signals:
  void changed();

private:
  QString database_;
  std::unique_ptr<TemperSession> session_; ///< from the first question on
  QString record_;
  void askModel(const QString& record);

  bool busy_ = false, learning_ = false;
  QCache<QString, LimitsAnswer> answers_{200};
};

} // namespace temper::gui
