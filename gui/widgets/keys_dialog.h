/// All commands with their keys, and the way to change them.
#pragma once

#include "gui/core/actions.h"

#include <QDialog>

class QKeySequenceEdit;
class QLabel;
class QLineEdit;
class QPushButton;
class QTreeWidget;

namespace temper::gui {

class KeysDialog : public QDialog {
  Q_OBJECT
public:
  explicit KeysDialog(ActionRegistry& actions, QWidget* parent = nullptr);

  QTreeWidget* list() const { return list_; }
  QKeySequenceEdit* keys() const { return keys_; }
  /// What is wrong with the keys that were typed last.
  QString problem() const;
  void selectCommand(const QString& id);

signals:
  /// Keys are others now: somebody may want to keep them.
  void keysChanged();

private:
  QString current() const; ///< id; empty for none
  void fill();
  void filter();
  void showCurrent();
  void take(const QKeySequence& keys);

  ActionRegistry& actions_;
  QLineEdit* search_;
  QTreeWidget* list_;
  QLabel* name_;
  QKeySequenceEdit* keys_;
  QPushButton* none_;
  QPushButton* usual_;
  QPushButton* allUsual_;
  QLabel* problem_;
  bool showing_ = false;
};

} // namespace temper::gui
