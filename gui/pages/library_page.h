/// The library that would be exported: the best of each kernel with its state, the name and the
/// folder, the equal command line, and what the export said.
#pragma once

#include "gui/core/library_model.h"
#include "gui/core/workspace.h"

#include <QWidget>

class QLabel;
class QLineEdit;
class QPlainTextEdit;
class QPushButton;
class QTableView;

namespace temper::gui {

class LibraryPage : public QWidget {
  Q_OBJECT
public:
  explicit LibraryPage(Workspace& workspace, QWidget* parent = nullptr);

  /// Asks anew what is best; when the page comes to the front.
  void refresh();
  void focusTable();
  QTableView* table() const { return table_; }
  QLineEdit* folderField() const { return folder_; }
  QString currentRecord() const;
  bool canExport() const;
  void exportNow();
  void chooseFolder();
  QString commandLine() const;
  QString logText() const;
  bool isExporting() const { return exporter_.isRunning(); }

signals:
  void recordChosen(const QString& id);

private:
  QStringList arguments(const QString& folder) const;
  void update();

  Workspace& workspace_;
  TemperCommand exporter_;
  QTableView* table_;
  QLabel* head_;
  QLineEdit* name_;
  QLineEdit* folder_;
  QLabel* command_;
  QLabel* problem_;
  QPushButton* export_;
  QPlainTextEdit* log_;
};

} // namespace temper::gui
