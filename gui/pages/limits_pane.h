/// What limits the selected record: how much of the machine it uses, as bars, what could be tried,
/// each with a button that opens the editor with it, and what the cost model makes of it.
#pragma once

#include "gui/core/limits.h"
#include "gui/core/workspace.h"

#include <QScrollArea>

class QVBoxLayout;

namespace temper::gui {

class LimitsPane : public QScrollArea {
  Q_OBJECT
public:
  explicit LimitsPane(Workspace& workspace, QWidget* parent = nullptr);

  bool isBusy() const { return question_.isBusy(); }

signals:
  void editWanted(const EditProposal& proposal);
  void recordWanted(const QString& id);

protected:
  /// It compiles the record and asks for alternatives: only for somebody who looks.
  void showEvent(QShowEvent* event) override;

private:
  void ask();
  void showAnswer();
  /// What a model makes of it, which comes later than the rest, and what is not known.
  void showModel();

  Workspace& workspace_;
  LimitsQuestion question_;
  QVBoxLayout* rows_;
  QVBoxLayout* model_ = nullptr; ///< in the rows, while they are of a record
  QString shown_;                ///< the record that the rows are of
};

} // namespace temper::gui
