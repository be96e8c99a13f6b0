#include "gui/core/library_model.h"

#include "gui/core/format.h"
#include "ir/support/target_text.h"

#include <QRegularExpression>

#include <algorithm>
#include <set>
#include <tuple>

namespace temper::gui {

QString LibraryRow::stateText() const {
  if (record.stale)
    return QStringLiteral("stale: made by another compiler; remeasure or tune again");
  if (record.unchecked)
    return QStringLiteral("not checked: its workload has no reference");
  return QStringLiteral("ready");
}

std::vector<LibraryRow> libraryRows(std::vector<database::RecordRow> bests,
                                    const std::map<std::string, QString>& titles) {
  std::erase_if(bests, [](const database::RecordRow& row) { return !(row.median_ns > 0); });
  std::sort(bests.begin(), bests.end(),
            [](const database::RecordRow& a, const database::RecordRow& b) {
              return std::tuple(a.workload_name, a.binding_json, a.threads, a.stale, a.median_ns) <
                     std::tuple(b.workload_name, b.binding_json, b.threads, b.stale, b.median_ns);
            });
  std::vector<LibraryRow> rows;
  for (database::RecordRow& best : bests) {
    if (!rows.empty() && rows.back().record.workload_name == best.workload_name &&
        rows.back().record.binding_json == best.binding_json &&
        rows.back().record.threads == best.threads)
      continue;
    LibraryRow row;
    const auto title = titles.find(best.workload);
    row.kernel = title == titles.end() ? toQString(best.workload_name) : title->second;
    row.included = !best.stale && !best.unchecked;
    row.record = std::move(best);
    rows.push_back(std::move(row));
  }
  return rows;
}

void LibraryModel::setRows(std::vector<LibraryRow> rows) {
  for (LibraryRow& row : rows)
    for (const LibraryRow& known : rows_)
      if (known.kernel == row.kernel && known.record.threads == row.record.threads) {
        row.name = known.name;
        if (known.record.stale == row.record.stale)
          row.included = known.included;
      }
  beginResetModel();
  rows_ = std::move(rows);
  endResetModel();
}

int LibraryModel::includedCount() const {
  return static_cast<int>(std::count_if(rows_.begin(), rows_.end(),
                                        [](const LibraryRow& row) { return row.included; }));
}

QString LibraryModel::problem(const QString& library) const {
  static const QRegularExpression identifier(QStringLiteral("^[A-Za-z_][A-Za-z0-9_]*$"));
  if (!identifier.match(library).hasMatch())
    return tr("The library's name is a word of letters, digits and _, as kernels.");
  if (includedCount() == 0)
    return tr("Tick the kernels that are to be in it.");
  std::set<QString> names;
  for (const LibraryRow& row : rows_) {
    if (!row.included || row.name.isEmpty())
      continue;
    if (!identifier.match(row.name).hasMatch())
      return tr("'%1' is no name of a C function.").arg(row.name);
    if (!names.insert(row.name).second)
      return tr("Two functions are called '%1'.").arg(row.name);
  }
  return {};
}

QStringList LibraryModel::arguments(const QString& library, const QString& folder) const {
  QStringList words{QStringLiteral("export"), QStringLiteral("--name"), library,
                    QStringLiteral("--out"), folder};
  if (std::any_of(rows_.begin(), rows_.end(),
                  [](const LibraryRow& row) { return row.included && row.record.stale; }))
    words << QStringLiteral("--stale");
  for (const LibraryRow& row : rows_)
    if (row.included)
      words << (row.name.isEmpty() ? QString() : row.name + QStringLiteral(":=")) +
                   toQString(row.record.id);
  return words;
}

int LibraryModel::rowCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(rows_.size());
}

int LibraryModel::columnCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : kColumns;
}

QVariant LibraryModel::data(const QModelIndex& index, int role) const {
  if (!index.isValid() || index.row() >= rowCount())
    return {};
  const LibraryRow& row = rows_[static_cast<size_t>(index.row())];
  if (role == Qt::CheckStateRole && index.column() == kKernel)
    return row.included ? Qt::Checked : Qt::Unchecked;
  if (role == Qt::TextAlignmentRole)
    return QVariant(
        (index.column() >= kThreads && index.column() <= kRate ? Qt::AlignRight : Qt::AlignLeft) |
        Qt::AlignVCenter);
  if (role == Qt::UserRole)
    return toQString(row.record.id);
  if (role == Qt::ToolTipRole)
    return index.column() == kName ? tr("Name of the C function; empty: made of the kernel's")
                                   : row.kernel + QStringLiteral(": ") + row.stateText();
  if (role == Qt::EditRole && index.column() == kName)
    return row.name;
  if (role != Qt::DisplayRole)
    return {};
  switch (index.column()) {
  case kKernel:
    return row.kernel;
  case kName:
    return row.name.isEmpty() ? tr("(as export names it)") : row.name;
  case kThreads:
    return toQString(thread_cell(row.record.target, row.record.threads));
  case kTime:
    return timeText(row.record.median_ns);
  case kRate:
    return rateText(row.record.flops, row.record.median_ns, row.record.binding_json);
  case kState:
    return row.stateText();
  case kRecord:
    return shortId(toQString(row.record.id));
  default:
    return {};
  }
}

bool LibraryModel::setData(const QModelIndex& index, const QVariant& value, int role) {
  if (!index.isValid() || index.row() >= rowCount())
    return false;
  LibraryRow& row = rows_[static_cast<size_t>(index.row())];
  if (role == Qt::CheckStateRole && index.column() == kKernel)
    row.included = value.toInt() == Qt::Checked;
  else if (role == Qt::EditRole && index.column() == kName)
    row.name = value.toString().trimmed();
  else
    return false;
  emit dataChanged(index, index);
  return true;
}

Qt::ItemFlags LibraryModel::flags(const QModelIndex& index) const {
  Qt::ItemFlags flags = QAbstractTableModel::flags(index);
  if (index.column() == kKernel)
    flags |= Qt::ItemIsUserCheckable;
  if (index.column() == kName)
    flags |= Qt::ItemIsEditable;
  return flags;
}

QVariant LibraryModel::headerData(int section, Qt::Orientation orientation, int role) const {
  static const char* const titles[kColumns] = {"kernel", "function", "threads", "time",
                                               "rate",   "state",    "record"};
  if (orientation != Qt::Horizontal || section < 0 || section >= kColumns)
    return {};
  if (role == Qt::DisplayRole)
    return QString::fromLatin1(titles[section]);
  if (role == Qt::TextAlignmentRole)
    return QVariant((section >= kThreads && section <= kRate ? Qt::AlignRight : Qt::AlignLeft) |
                    Qt::AlignVCenter);
  return {};
}

} // namespace temper::gui
