#include "gui/core/kept_state.h"

#include <QCryptographicHash>
#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QSaveFile>
#include <QStandardPaths>
#include <QThreadPool>

namespace temper::gui {

namespace {

/// Writing waits for the disk. One thread, so that the newer text stays.
QThreadPool& writer() {
  static QThreadPool pool;
  pool.setMaxThreadCount(1);
  return pool;
}

} // namespace

KeptState::KeptState(const QString& database, std::function<Json()> collect, QObject* parent)
    : QObject(parent),
      file_(QStandardPaths::writableLocation(QStandardPaths::AppDataLocation) +
            QStringLiteral("/open/") +
            QString::fromLatin1(
                QCryptographicHash::hash(database.toUtf8(), QCryptographicHash::Sha1).toHex()) +
            QStringLiteral(".json")),
      collect_(std::move(collect)) {
  soon_.setSingleShot(true);
  soon_.setInterval(1000);
  connect(&soon_, &QTimer::timeout, this, &KeptState::write);
}

KeptState::~KeptState() { writer().waitForDone(); }

Json KeptState::read() const {
  QFile file(file_);
  if (!file.open(QIODevice::ReadOnly))
    return Json::object();
  const auto kept = parse_json(file.readAll().toStdString());
  return kept && kept->is_object() ? *kept : Json::object();
}

void KeptState::write() {
  soon_.stop();
  std::string text = collect_().dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text == written_)
    return;
  written_ = text;
  // Where it cannot be written there is nothing to go on with next time, and nothing else is lost.
  writer().start([file = file_, text = std::move(text)] {
    QDir().mkpath(QFileInfo(file).path());
    QSaveFile target(file);
    if (target.open(QIODevice::WriteOnly) &&
        target.write(text.data(), static_cast<qint64>(text.size())) >= 0)
      target.commit();
  });
}

} // namespace temper::gui
