#include "gui/core/temper_session.h"

#include "gui/core/format.h"
#include "gui/core/temper_program.h"

namespace temper::gui {

TemperSession::TemperSession(QString database, QObject* parent)
    : QObject(parent), database_(std::move(database)) {}

TemperSession::~TemperSession() { end(process_, this); }

bool TemperSession::start(QString* problem) {
  if (process_)
    return true;
  const QString program = temperProgram();
  if (program.isEmpty()) {
    *problem = missingProgramText();
    return false;
  }
  process_ = new QProcess(this);
  unread_.clear();
  connect(process_, &QProcess::readyReadStandardOutput, this, &TemperSession::read);
  connect(process_, &QProcess::finished, this, [this] {
    const QString words = QString::fromUtf8(process_->readAllStandardError()).trimmed();
    fail(words.isEmpty() ? tr("the process that compiles and measures ended unexpectedly")
                         : words.section(u'\n', -1));
  });
  connect(process_, &QProcess::errorOccurred, this, [this](QProcess::ProcessError error) {
    if (error == QProcess::FailedToStart)
      fail(process_->errorString());
  });
  process_->start(program, {QStringLiteral("session"), QStringLiteral("--db"), database_});
  return true;
}

void TemperSession::fail(const QString& sentence) {
  process_->deleteLater();
  process_ = nullptr;
  newest_.clear();
  for (auto& [id, waiting] : std::exchange(waiting_, {}))
    if (waiting.answer)
      waiting.answer({}, sentence);
}

void TemperSession::send(const Json& line) {
  process_->write(QByteArray::fromStdString(line.dump()) + '\n');
}

void TemperSession::forget(const QString& tag) {
  const auto known = newest_.find(tag);
  if (known == newest_.end())
    return;
  waiting_[known->second].answer = nullptr;
  if (process_)
    send(Json{{"cancel", known->second}});
  newest_.erase(known);
}

void TemperSession::ask(const QString& tag, Json request, Answer answer) {
  forget(tag);
  QString problem;
  if (!start(&problem)) {
    answer({}, problem);
    return;
  }
  const int64_t id = next_++;
  request["id"] = id;
  waiting_[id] = {tag, std::move(answer)};
  newest_[tag] = id;
  send(request);
}

void TemperSession::read() {
  unread_ += process_->readAllStandardOutput();
  for (qsizetype end = unread_.indexOf('\n'); end >= 0; end = unread_.indexOf('\n')) {
    const QByteArray line = unread_.left(end);
    unread_.remove(0, end + 1);
    const auto reply = parse_json(line.toStdString());
    if (!reply || !reply->is_object() || !reply->contains("id") ||
        !(*reply)["id"].is_number_integer())
      continue;
    const auto known = waiting_.find((*reply)["id"].get<int64_t>());
    if (known == waiting_.end())
      continue;
    const Waiting waiting = std::move(known->second);
    waiting_.erase(known);
    if (!waiting.answer)
      continue;
    newest_.erase(waiting.tag);
    const Json error = reply->value("error", Json::object());
    waiting.answer(*reply, toQString(error.value("message", std::string())));
  }
}

} // namespace temper::gui
