/// What was open when the window went, however it went: one small file for each database, written
/// on a thread of its own a moment after something changed.
#pragma once

#include "ir/support/json.h"

#include <QObject>
#include <QString>
#include <QTimer>

#include <functional>

namespace temper::gui {

class KeptState : public QObject {
  Q_OBJECT
public:
  /// `collect` is asked, on this thread, for what is to be kept.
  KeptState(const QString& database, std::function<Json()> collect, QObject* parent = nullptr);
  /// Waits for what is being written.
  ~KeptState() override;

  /// Of the last time; an empty object when there is nothing, or nothing that can be read.
  Json read() const;
  const QString& file() const { return file_; }
  /// Something changed.
  void touch() { soon_.start(); }
  /// Writes at once; for the end.
  void write();

private:
  QString file_;
  std::function<Json()> collect_;
  QTimer soon_;
  std::string written_;
};

} // namespace temper::gui
