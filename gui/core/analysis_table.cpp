#include "gui/core/analysis_table.h"

namespace temper::gui {

namespace {
QVariant alignment(bool isText) {
  return QVariant((isText ? Qt::AlignLeft : Qt::AlignRight) | Qt::AlignVCenter);
}
} // namespace

int AnalysisTable::rowCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(count());
}

int AnalysisTable::columnCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(columns_.size());
}

QVariant AnalysisTable::data(const QModelIndex& index, int role) const {
  if (!index.isValid() || index.row() >= rowCount() || index.column() >= columnCount())
    return {};
  return role == Qt::TextAlignmentRole
             ? alignment(columns_[static_cast<size_t>(index.column())].isText)
             : cell(static_cast<size_t>(index.row()), index.column(), role);
}

QVariant AnalysisTable::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation != Qt::Horizontal || section < 0 || section >= columnCount())
    return {};
  const TableColumn& column = columns_[static_cast<size_t>(section)];
  switch (role) {
  case Qt::DisplayRole:
    return QString::fromUtf8(column.title);
  case Qt::ToolTipRole:
    return QString::fromUtf8(column.hint);
  case Qt::TextAlignmentRole:
    return alignment(column.isText);
  default:
    return {};
  }
}

} // namespace temper::gui
