#include "gui/core/temper_program.h"

#include <QCoreApplication>
#include <QDateTime>
#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QRegularExpression>
#include <QStandardPaths>
#include <QTimer>

#include <csignal>

namespace temper::gui {

namespace {

/// What does not end when it is asked to is killed after so long.
constexpr int kPatienceMs = 2000;
constexpr int kLastPatienceMs = 200; ///< where the window goes as well

} // namespace

QString temperProgram() {
  const QString name = QStringLiteral("temper");
  QStringList places;
  if (const QString set = qEnvironmentVariable("TEMPER_PROGRAM"); !set.isEmpty())
    places << set;
  places << QCoreApplication::applicationDirPath() + u'/' + name
         << QStringLiteral(TEMPER_BUILD_PROGRAMS "/") + name;
  for (const QString& place : places)
    if (QFileInfo(place).isExecutable())
      return place;
  return QStandardPaths::findExecutable(name);
}

QString RunPlan::problem() const {
  if (workload.trimmed().isEmpty())
    return QStringLiteral("Name a workload, as matmul, or a file, as scale.py.");
  if (workload.contains(u'='))
    return QStringLiteral("The workload's name comes without parameters; they go beside it.");
  for (const QString& word : parameters.split(u' ', Qt::SkipEmptyParts)) {
    static const QRegularExpression form(QStringLiteral("^[A-Za-z_][A-Za-z0-9_]*=.+$"));
    if (!form.match(word).hasMatch())
      return QStringLiteral("'%1' is not a parameter; write NAME=VALUE, as M=512.").arg(word);
  }
  if (target.trimmed().contains(u' '))
    return QStringLiteral("The target is one word, as native, cpu:znver4 or cuda:sm_90a.");
  if (trials <= 0 && seconds <= 0)
    return {}; // until it converges
  if (!seed.trimmed().isEmpty()) {
    bool ok = false;
    seed.trimmed().toULongLong(&ok);
    if (!ok)
      return QStringLiteral("The seed is a whole number, or empty for one by chance.");
  }
  return {};
}

QStringList RunPlan::arguments() const {
  QStringList words{QStringLiteral("tune"), workload.trimmed()};
  words << parameters.split(u' ', Qt::SkipEmptyParts);
  if (const QString named = target.trimmed(); !named.isEmpty() && named != QStringLiteral("native"))
    words << QStringLiteral("--target") << named;
  if (trials > 0)
    words << QStringLiteral("--trials") << QString::number(trials);
  if (seconds > 0)
    words << QStringLiteral("--seconds") << QString::number(seconds);
  if (threads > 1)
    words << QStringLiteral("--threads") << QString::number(threads);
  if (strategy != QStringLiteral("auto"))
    words << QStringLiteral("--strategy") << strategy;
  if (!seed.trimmed().isEmpty())
    words << QStringLiteral("--seed") << seed.trimmed();
  if (cold)
    words << QStringLiteral("--cache") << QStringLiteral("cold");
  if (fresh)
    words << QStringLiteral("--fresh");
  if (!from.isEmpty())
    words << QStringLiteral("--from") << from;
  for (const QString& lock : locks)
    words << QStringLiteral("--lock") << lock;
  return words;
}

Result<StartedRun> startDetached(const QStringList& arguments, const QString& database) {
  const QString program = temperProgram();
  if (program.isEmpty())
    return Error(ErrorCode::kEnvironment, missingProgramText().toStdString());
  const QString folder =
      QStandardPaths::writableLocation(QStandardPaths::CacheLocation) + QStringLiteral("/logs");
  if (!QDir().mkpath(folder))
    return Error(ErrorCode::kEnvironment,
                 "cannot make the folder '" + folder.toStdString() + "' for the run's log");
  StartedRun started;
  started.log =
      folder +
      QStringLiteral("/%1-%2.log")
          .arg(QDateTime::currentDateTime().toString(QStringLiteral("yyyyMMdd-hhmmss-zzz")))
          .arg(QCoreApplication::applicationPid());
  QProcess process;
  process.setProgram(program);
  process.setArguments(arguments + QStringList{QStringLiteral("--db"), database});
  process.setStandardInputFile(QProcess::nullDevice());
  process.setStandardOutputFile(started.log, QIODevice::Append);
  process.setStandardErrorFile(started.log, QIODevice::Append);
  if (!process.startDetached(&started.pid))
    return Error(ErrorCode::kEnvironment, "cannot start " + program.toStdString() + ": " +
                                              process.errorString().toStdString());
  return started;
}

bool isAlive(qint64 pid) {
  if (pid <= 0 || ::kill(static_cast<pid_t>(pid), 0) != 0)
    return false;
  // In a container without a proper first process, a process that ended stays in the table.
  QFile stat(QStringLiteral("/proc/%1/stat").arg(pid));
  if (!stat.open(QIODevice::ReadOnly))
    return true;
  const QByteArray text = stat.readAll();
  const qsizetype end = text.lastIndexOf(')');
  return end < 0 || end + 2 >= text.size() || text[end + 2] != 'Z';
}

QString tailOf(const QString& log, int lines) {
  QFile file(log);
  if (!file.open(QIODevice::ReadOnly))
    return {};
  constexpr qint64 kMost = 64 * 1024;
  if (file.size() > kMost)
    file.seek(file.size() - kMost);
  QStringList kept;
  for (QString line : QString::fromUtf8(file.readAll()).split(u'\n')) {
    line = line.mid(line.lastIndexOf(u'\r') + 1);
    if (!line.trimmed().isEmpty())
      kept << line;
  }
  return kept.mid(std::max<qsizetype>(0, kept.size() - lines)).join(u'\n');
}

QString missingProgramText() {
  return QStringLiteral("the program temper is missing; it is built and installed with temper-gui");
}

void endWithoutWaiting(QProcess* process, QObject* owner) {
  if (!process)
    return;
  process->disconnect(owner);
  process->setParent(QCoreApplication::instance());
  QObject::connect(process, &QProcess::finished, process, &QObject::deleteLater);
  process->terminate();
  QTimer::singleShot(kPatienceMs, process, &QProcess::kill);
}

void end(QProcess* process, QObject* owner) {
  if (!process)
    return;
  process->disconnect(owner);
  process->terminate();
  if (!process->waitForFinished(kLastPatienceMs)) {
    process->kill();
    process->waitForFinished(kLastPatienceMs);
  }
}

TemperCommand::~TemperCommand() { end(process_, this); }

void TemperCommand::cancel() {
  if (!process_)
    return;
  endWithoutWaiting(std::exchange(process_, nullptr), this);
}

void TemperCommand::start(const QStringList& arguments, std::function<void(Answer)> answer) {
  cancel();
  const QString program = temperProgram();
  if (program.isEmpty()) {
    answer({-1, {}, missingProgramText()});
    return;
  }
  process_ = new QProcess(this);
  QProcess* process = process_;
  const auto finish = [this, process, answer](int code, bool started) {
    if (process_ != process)
      return;
    process_ = nullptr;
    process->deleteLater();
    Answer result;
    result.exitCode = code;
    result.output = QString::fromUtf8(process->readAllStandardOutput());
    if (!started)
      result.error = process->errorString();
    else if (code != 0)
      result.error = QString::fromUtf8(process->readAllStandardError()).trimmed();
    if (code != 0 && result.error.isEmpty())
      result.error = QStringLiteral("temper ended with code %1 and said nothing").arg(code);
    answer(std::move(result));
  };
  connect(process, &QProcess::finished, this, [finish](int code, QProcess::ExitStatus status) {
    finish(status == QProcess::NormalExit ? code : 128, true);
  });
  connect(process, &QProcess::errorOccurred, this, [finish](QProcess::ProcessError error) {
    if (error == QProcess::FailedToStart)
      finish(-1, false);
  });
  process->start(program, arguments, QIODevice::ReadOnly);
}

} // namespace temper::gui
