/// The runs of the database, a form that starts one, and the course of the selected one as it
/// happens.
#pragma once

#include "gui/core/workspace.h"

#include <QWidget>

class QLabel;
class QPlainTextEdit;
class QPushButton;
class QTableView;

namespace temper::gui {

class RunForm;
class RunPlot;

class RunsPage : public QWidget {
  Q_OBJECT
public:
  explicit RunsPage(Workspace& workspace, QWidget* parent = nullptr);

  RunForm* form() const { return form_; }
  RunPlot* plot() const { return plot_; }
  void focusTable();
  void showForm(bool shown);

signals:
  void recordChosen(const QString& id);
  void recordsOfRunWanted(const QString& id);

protected:
  void showEvent(QShowEvent* event) override;

private:
  void showDetail();
  void showSelection();

  Workspace& workspace_;
  QTableView* table_;
  RunForm* form_;
  QLabel* title_;
  QLabel* best_;
  QLabel* progress_;
  QLabel* funnel_;
  QLabel* failures_;
  RunPlot* plot_;
  QPushButton* pause_;
  QPushButton* stop_;
  QPushButton* resume_;
  QPushButton* more_;
  QPushButton* showBest_;
  QPushButton* showRecords_;
  bool behind_ = false; ///< it is not shown, and shows something older
  bool restoring_ = false;
};

} // namespace temper::gui
