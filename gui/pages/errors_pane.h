/// Where the cost model is wrong: what the records that it misses have in common, and which they
/// are. Enter on a decision keeps only its records; a record is selected in all views.
#pragma once

#include "gui/core/error_models.h"
#include "gui/core/workspace.h"

#include <QWidget>

class QLabel;
class QTableView;

namespace temper::gui {

class ErrorsPane : public QWidget {
  Q_OBJECT
public:
  explicit ErrorsPane(Workspace& workspace, QWidget* parent = nullptr);

  QTableView* sharedView() const { return sharedView_; }
  QTableView* recordView() const { return recordView_; }
  QString sentence() const { return shared_->sentence(); }
  /// Both tables, one after the other, with an empty line between them.
  QString csv() const;

private:
  void showSentence();
  void showSelection();

  Workspace& workspace_;
  SharedErrorModel* shared_;
  ErrorRecordModel* records_;
  QLabel* sentence_;
  QTableView* sharedView_;
  QTableView* recordView_;
  bool showing_ = false;
};

} // namespace temper::gui
