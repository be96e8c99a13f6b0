/// The database on a thread of its own: questions go there as functions, answers come back on the
/// thread of whoever asked. A question with the tag of one that still waits takes its place, so
/// that fast scrolling through records asks only for the last.
///
///   client.ask<Run>("run", this, [id](Store& store) { return store.run(id); },
///                   [this](Result<Run> run) { ... });
#pragma once

#include "database/store.h"

#include <QObject>
#include <QPointer>
#include <QString>
#include <QThread>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

namespace temper::gui {

/// Opens a database for looking at, a file or postgresql://...: never makes one. One that may only
/// be read will do. The error has code kNotFound when there is no file yet, or nothing in it.
Result<std::unique_ptr<database::Store>> openForViewing(const QString& path);

class StoreClient : public QObject {
  Q_OBJECT
public:
  explicit StoreClient(QString path, QObject* parent = nullptr);
  /// Waits for the question at work; what waits is dropped.
  ~StoreClient() override;

  const QString& path() const { return path_; }

  template <typename T>
  void ask(const QString& tag, QObject* receiver,
           std::function<Result<T>(database::Store&)> question,
           std::function<void(Result<T>)> answer) {
    post(tag, [this, receiver = QPointer<QObject>(receiver), question = std::move(question),
               answer = std::move(answer)](uint64_t generation, const QString& askedTag) {
      auto result = std::make_shared<Result<T>>(askStore<T>(question));
      deliver(receiver, askedTag, generation, [result, answer] { answer(std::move(*result)); });
    });
  }

  /// From a question that gives its answer in parts: runs `part` on the main thread.
  void deliverPart(QPointer<QObject> receiver, std::function<void()> part);
  /// True when the client is going: long questions look now and then and end.
  bool isEnding() const { return ending_; }
  /// Forgets what was opened; the next question opens again.
  void reopen();

signals:
  /// Another file has the name now: what was read before is of the old one. Not told where
  /// reopen() was called.
  void replaced();

private:
  using Job = std::function<void(uint64_t generation, const QString& tag)>;
  void post(const QString& tag, Job job);
  void deliver(QPointer<QObject> receiver, const QString& tag, uint64_t generation,
               std::function<void()> answer);
  Result<database::Store*> store(); ///< on the client's thread
  template <typename T>
  Result<T> askStore(const std::function<Result<T>(database::Store&)>& question) {
    auto opened = store();
    if (!opened)
      return std::move(opened).error();
    return question(**opened);
  }

  QString path_;
  QThread thread_;
  QObject* worker_; ///< lives on the thread, only for posting to it
  std::unique_ptr<database::Store> store_;
  uint64_t file_ = 0; ///< identity of the file that is open, or was last
  bool gone_ = false; ///< that one was seen to have lost its name
  std::atomic<bool> ending_{false};
  std::atomic<bool> reopen_{false};
  std::mutex mutex_;
  std::map<QString, uint64_t> newest_; ///< generation of the newest question of a tag
};

} // namespace temper::gui
