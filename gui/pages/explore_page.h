/// All records of the database in one table with a filter per column, and the candidate of the
/// selected one beside it.
#pragma once

#include "gui/core/place_link.h"
#include "gui/core/workspace.h"

#include <QWidget>

class QLabel;
class QLineEdit;
class QPushButton;
class QTableView;
class QToolButton;

namespace temper::gui {

class CandidatePane;
class PlotsPane;

class ExplorePage : public QWidget {
  Q_OBJECT
public:
  explicit ExplorePage(Workspace& workspace, QWidget* parent = nullptr);

  CandidatePane* candidate() const { return candidate_; }
  PlotsPane* plots() const { return plots_; }
  QTableView* table() const { return table_; }
  QLineEdit* filterField(RecordColumn column) const {
    return filters_[static_cast<size_t>(column)];
  }
  void focusTable();
  QLineEdit* queryField() const { return query_; }
  void focusFilter();
  void focusQuery();
  /// A query for words of schedules, scripts and notes.
  void searchPrograms(const QString& words);
  void clearFilter();
  /// Takes the texts of the filter row at once, where typing waits for a pause.
  void applyFilter();
  /// Shows only the records of a run, fastest first.
  void showRun(const QString& id);
  /// Asks for a name and keeps the query and the filter under it.
  void saveQuery();
  bool canSaveQuery() const;
  void useSaved(const QString& name);
  /// Query, filter, sort and plot, for a link or from one; what a link does not name stays.
  void describe(PlaceLink& link) const;
  void use(const PlaceLink& link);
  /// The column of ratios is there while there is a baseline.
  void showMarks();

protected:
  bool eventFilter(QObject* object, QEvent* event) override;

private:
  void layoutFilters();
  void setTexts(const QString& query, const FilterText& filter);
  void fillSaved();
  void showSelection();
  void updateCount();

  Workspace& workspace_;
  QTableView* table_;
  QLineEdit* query_;
  QWidget* filterRow_;
  std::array<QLineEdit*, kRecordColumns> filters_{};
  QLabel* count_;
  QPushButton* pending_;
  CandidatePane* candidate_;
  QToolButton* saved_;
  PlotsPane* plots_;
  QTimer filterDelay_;
  bool restoring_ = false;
};

} // namespace temper::gui
