#include "gui/core/store_client.h"

#include "database/location.h"
#include "database/postgres_store.h"
#include "database/sqlite_store.h"
#include "gui/core/database_address.h"

#include <QCoreApplication>

#include <filesystem>
#include <sys/stat.h>

namespace temper::gui {

namespace {

/// Which file a path means now; 0 for none.
uint64_t fileIdentity(const QString& path) {
  struct stat info {};
  if (::stat(path.toLocal8Bit().constData(), &info) != 0)
    return 0;
  return info.st_ino * 31 + info.st_dev + 1;
}

/// Somebody waits in front of it: what keeps a database locked, or a server that does not answer,
/// is said soon.
constexpr int kPatienceMs = 3000;

Result<std::unique_ptr<database::Store>> openOnServer(const QString& address) {
  database::PostgresOptions options;
  options.url = address.toStdString();
  options.patience_ms = kPatienceMs;
  options.lock_timeout_ms = kPatienceMs;
  auto store = database::open_postgres_store(options);
  if (!store && store.error().code == ErrorCode::kEnvironment) {
    options.read_only = true; // somebody who may only look
    if (auto readable = database::open_postgres_store(options))
      return readable;
  }
  // A run makes a file, but no database on a server: it is not missing until the first run.
  if (!store && store.error().code == ErrorCode::kNotFound)
    return Error(ErrorCode::kEnvironment, store.error().message);
  return store;
}

} // namespace

Result<std::unique_ptr<database::Store>> openForViewing(const QString& path) {
  TEMPER_TRY_VOID(database::check_location(path.toStdString()));
  if (isOnServer(path))
    return openOnServer(path);
  database::SqliteOptions options;
  options.path = path.toStdString();
  options.busy_timeout_ms = kPatienceMs;
  std::error_code ignored;
  if (!std::filesystem::exists(options.path, ignored))
    return Error(ErrorCode::kNotFound, "there is no database '" + path.toStdString() + "' yet");
  if (std::filesystem::file_size(options.path, ignored) == 0)
    return Error(ErrorCode::kNotFound,
                 "the database '" + path.toStdString() + "' is empty: nothing was recorded yet");
  // To stop a run and to bring an older file up to date it must be written.
  auto store = database::open_sqlite_store(options);
  if (!store && store.error().code == ErrorCode::kEnvironment) {
    options.read_only = true;
    if (auto readable = database::open_sqlite_store(options))
      return readable;
  }
  return store;
}

StoreClient::StoreClient(QString path, QObject* parent)
    : QObject(parent), path_(std::move(path)), worker_(new QObject) {
  worker_->moveToThread(&thread_);
  thread_.setObjectName(QStringLiteral("temper store"));
  thread_.start();
}

StoreClient::~StoreClient() {
  ending_ = true;
  // The store belongs to the thread, and so ends there, after what waits has looked at ending_.
  QMetaObject::invokeMethod(
      worker_,
      [this] {
        store_.reset();
        delete worker_;
        thread_.quit();
      },
      Qt::QueuedConnection);
  thread_.wait();
}

void StoreClient::reopen() { reopen_ = true; }

void StoreClient::post(const QString& tag, Job job) {
  uint64_t generation = 0;
  {
    const std::lock_guard lock(mutex_);
    generation = ++newest_[tag];
  }
  QMetaObject::invokeMethod(
      worker_,
      [this, tag, generation, job = std::move(job)] {
        if (ending_)
          return;
        {
          const std::lock_guard lock(mutex_);
          if (newest_[tag] != generation)
            return;
        }
        job(generation, tag);
      },
      Qt::QueuedConnection);
}

void StoreClient::deliver(QPointer<QObject> receiver, const QString& tag, uint64_t generation,
                          std::function<void()> answer) {
  QMetaObject::invokeMethod(
      this,
      [this, receiver, tag, generation, answer = std::move(answer)] {
        {
          const std::lock_guard lock(mutex_);
          if (newest_[tag] != generation) // another question came meanwhile
            return;
        }
        if (receiver)
          answer();
      },
      Qt::QueuedConnection);
}

void StoreClient::deliverPart(QPointer<QObject> receiver, std::function<void()> part) {
  QMetaObject::invokeMethod(
      this,
      [receiver, part = std::move(part)] {
        if (receiver)
          part();
      },
      Qt::QueuedConnection);
}

Result<database::Store*> StoreClient::store() {
  const uint64_t now = isOnServer(path_) ? 0 : fileIdentity(path_);
  const bool wanted = reopen_.exchange(false);
  // It vanished, or another file has its name. One that vanished may have left its number to the
  // next one: it counts as another whatever that is.
  if (file_ != 0 && now != file_)
    gone_ = true;
  if (store_ && (wanted || now != file_))
    store_.reset();
  if (!store_) {
    auto opened = openForViewing(path_);
    if (!opened)
      return std::move(opened).error();
    store_ = std::move(*opened);
    file_ = isOnServer(path_) ? 0 : fileIdentity(path_);
    if (std::exchange(gone_, false) && !wanted)
      QMetaObject::invokeMethod(
          this, [this] { emit replaced(); }, Qt::QueuedConnection);
  }
  return store_.get();
}

} // namespace temper::gui
