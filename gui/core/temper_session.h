/// `temper session` as a child process: tuning by hand, asked and answered in JSON. Started with
/// the first question, and again after it died.
///
///   session.ask("steps", {{"do", "steps"}, ...}, [this](const Json& answer, const QString& error)
///   { ... });
#pragma once

#include "ir/support/json.h"

#include <QObject>
#include <QProcess>

#include <functional>
#include <map>

namespace temper::gui {

class TemperSession : public QObject {
  Q_OBJECT
public:
  /// `error` is a sentence (and what it shows), empty when all is well.
  using Answer = std::function<void(const Json& answer, const QString& error)>;

  explicit TemperSession(QString database, QObject* parent = nullptr);
  ~TemperSession() override;

  /// A question with the tag of one that was not answered yet takes its place: that one gets no
  /// answer any more, and is not worked on when it has not begun.
  void ask(const QString& tag, Json request, Answer answer);
  /// Forgets the question with this tag.
  void forget(const QString& tag);
  bool isBusy() const { return !waiting_.empty(); }
  bool isAsked(const QString& tag) const { return newest_.count(tag) > 0; }

private:
  struct Waiting {
    QString tag;
    Answer answer;
  };
  bool start(QString* problem);
  void send(const Json& line);
  void read();
  void fail(const QString& sentence);

  QString database_;
  QProcess* process_ = nullptr;
  QByteArray unread_;
  int64_t next_ = 1;
  std::map<int64_t, Waiting> waiting_;
  std::map<QString, int64_t> newest_; ///< the question of a tag
};

} // namespace temper::gui
