/// The command palette: type words of a command or of a record's id, Enter runs it.
#pragma once

#include "gui/core/actions.h"

#include <QDialog>

class QLabel;
class QLineEdit;
class QListWidget;

namespace temper::gui {

class CommandPalette : public QDialog {
  Q_OBJECT
public:
  CommandPalette(ActionRegistry& actions, QWidget* parent);
  /// Opens it over the window's upper middle.
  void popUp();
  QStringList shownIds() const;
  QLineEdit* field() const { return field_; }

signals:
  /// The command line of what was chosen is in the clipboard.
  void commandCopied(const QString& command);
  /// Enter on a text that may be an id of a record or of a run.
  void idEntered(const QString& id);

protected:
  bool eventFilter(QObject* object, QEvent* event) override;

private:
  void fill();
  void runCurrent();
  void copyCurrent();
  /// What the keys do to the command that is chosen.
  void showFoot();

  ActionRegistry& actions_;
  QLineEdit* field_;
  QListWidget* list_;
  QLabel* foot_;
  QLabel* command_;
};

} // namespace temper::gui
