/// A table of what an analysis found, made anew when there is another result: what the tables of
/// Explore's plots have in common.
#pragma once

#include "gui/core/analysis.h"

#include <QAbstractTableModel>

#include <span>

namespace temper::gui {

struct TableColumn {
  const char* title;
  const char* hint;    ///< what the numbers are
  bool isText = false; ///< aligned at the left
};

/// With its row and column inside of the table, and none of the roles that all cells share.
class AnalysisTable : public QAbstractTableModel {
public:
  int rowCount(const QModelIndex& parent = {}) const final;
  int columnCount(const QModelIndex& parent = {}) const final;
  QVariant data(const QModelIndex& index, int role) const final;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const final;

protected:
  AnalysisTable(Analysis& analysis, std::span<const TableColumn> columns, QObject* parent)
      : QAbstractTableModel(parent), analysis_(analysis), columns_(columns) {}

  virtual size_t count() const = 0; ///< rows
  virtual QVariant cell(size_t row, int column, int role) const = 0;

  Analysis& analysis_;

private:
  std::span<const TableColumn> columns_;
};

/// The same of one kind of result, which `resultOf` takes from the analysis.
template <typename Result> class TableOf : public AnalysisTable {
protected:
  using ResultOf = std::shared_ptr<const Result> (Analysis::*)() const;

  TableOf(Analysis& analysis, ResultOf resultOf, std::span<const TableColumn> columns,
          QObject* parent)
      : AnalysisTable(analysis, columns, parent) {
    connect(&analysis_, &Analysis::dataChanged, this, [this, resultOf] {
      if ((analysis_.*resultOf)() == result_)
        return;
      beginResetModel();
      result_ = (analysis_.*resultOf)();
      of_ = analysis_.data();
      arrange();
      endResetModel();
    });
  }

  /// There is another result.
  virtual void arrange() {}

  std::shared_ptr<const Result> result_;
  std::shared_ptr<const PlotData> of_; ///< that it is of
};

} // namespace temper::gui
