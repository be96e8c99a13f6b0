#include "gui/core/record_model.h"

#include "gui/core/format.h"

#include <QCoreApplication>
#include <QDateTime>
#include <QPointer>
#include <QThreadPool>

namespace temper::gui {

RecordModel::RecordModel(QObject* parent) : QAbstractTableModel(parent) {}
RecordModel::~RecordModel() = default;

void RecordModel::append(RecordChunk chunk) {
  if (chunk.records.empty() && chunk.newSeries.empty())
    return;
  table_.append(std::move(chunk));
  if (following_ || shownOf_ == 0)
    startOrdering();
  emit pendingChanged();
}

void RecordModel::clear() {
  beginResetModel();
  table_.clear();
  order_.clear();
  shownOf_ = 0;
  ++generation_;
  endResetModel();
  emit orderChanged();
  emit pendingChanged();
}

void RecordModel::setStaleToolchains(std::vector<QString> toolchains) {
  if (toolchains == stale_)
    return;
  stale_ = std::move(toolchains);
  startOrdering();
}

void RecordModel::setFollowing(bool following) {
  following_ = following;
  if (following_ && pending() > 0)
    startOrdering();
}

void RecordModel::refresh() { startOrdering(); }

void RecordModel::setFilter(const FilterText& filter) {
  if (filter == filter_)
    return;
  filter_ = filter;
  ++filterVersion_;
  errors_ = RecordFilterRow(filter_, 0).errors();
  startOrdering();
}

void RecordModel::setOnly(std::shared_ptr<const std::vector<uint64_t>> ids) {
  if (!ids && !only_)
    return;
  only_ = std::move(ids);
  ++filterVersion_;
  startOrdering();
}

void RecordModel::setBrush(std::shared_ptr<const std::vector<uint64_t>> ids) {
  if (!ids && !brush_)
    return;
  brush_ = std::move(ids);
  startOrdering();
}

RecordFilterRow RecordModel::filterOfPlots() const {
  RecordFilterRow filter(filter_, QDateTime::currentMSecsSinceEpoch() * 1'000'000, stale_);
  filter.setOnly(only_);
  return filter;
}

void RecordModel::sort(int column, Qt::SortOrder order) {
  if (column < 0 || column >= kRecordColumns)
    return;
  const auto by = static_cast<RecordColumn>(column);
  const bool descending = order == Qt::DescendingOrder;
  if (by == sortBy_ && descending == descending_)
    return;
  sortBy_ = by;
  descending_ = descending;
  startOrdering();
}

void RecordModel::startOrdering() {
  if (busy_) {
    again_ = true; // one at a time: the newest question is asked when the last answer is here
    return;
  }
  busy_ = true;
  again_ = false;
  QPointer<RecordModel> self(this);
  // The receiver may be gone when the answer comes; the pool's thread must not look.
  RecordFilterRow filter = filterOfPlots();
  filter.setBrush(brush_);
  QThreadPool::globalInstance()->start([self, table = table_, generation = generation_,
                                        filter = std::move(filter), by = sortBy_,
                                        descending = descending_] {
    auto order = std::make_shared<std::vector<uint32_t>>(orderOf(table, filter, by, descending));
    const auto of = static_cast<int64_t>(table.size());
    QMetaObject::invokeMethod(
        QCoreApplication::instance(),
        [self, generation, order, of] {
          if (self)
            self->finishOrdering(generation, std::move(*order), of);
        },
        Qt::QueuedConnection);
  });
}

void RecordModel::finishOrdering(uint64_t generation, std::vector<uint32_t> order, int64_t of) {
  busy_ = false;
  if (generation == generation_) {
    beginResetModel();
    order_ = std::move(order);
    shownOf_ = of;
    endResetModel();
    emit orderChanged();
    emit pendingChanged();
  }
  if (again_ || (following_ && pending() > 0 && generation != generation_))
    startOrdering();
}

QString RecordModel::idAt(int row) const {
  const PackedRecord* record = recordAt(row);
  return record ? idText(database::Kind::kMeasurement, record->id) : QString();
}

const PackedRecord* RecordModel::recordAt(int row) const {
  return row >= 0 && row < static_cast<int>(order_.size())
             ? &table_.at(order_[static_cast<size_t>(row)])
             : nullptr;
}

int RecordModel::rowOf(const QString& id) const {
  const uint64_t digits = idDigits(id);
  for (size_t row = 0; row < order_.size(); ++row)
    if (table_.at(order_[row]).id == digits)
      return static_cast<int>(row);
  return -1;
}

int RecordModel::rowCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(order_.size());
}

int RecordModel::columnCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : kRecordColumns;
}

QVariant RecordModel::data(const QModelIndex& index, int role) const {
  if (!index.isValid())
    return {};
  const PackedRecord* record = recordAt(index.row());
  if (!record)
    return {};
  const auto column = static_cast<RecordColumn>(index.column());
  switch (role) {
  case Qt::DisplayRole:
    return cellText(table_, *record, column, stale_);
  case Qt::TextAlignmentRole:
    return QVariant(isNumeric(column) ? Qt::AlignRight | Qt::AlignVCenter
                                      : Qt::AlignLeft | Qt::AlignVCenter);
  case Qt::ToolTipRole:
    if (column == RecordColumn::kTarget)
      return table_.seriesOf(*record).target;
    if (column == RecordColumn::kRecord)
      return idAt(index.row());
    return cellText(table_, *record, column, stale_);
  case kIdRole:
    return idAt(index.row());
  default:
    return {};
  }
}

QVariant RecordModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation != Qt::Horizontal || section < 0 || section >= kRecordColumns)
    return {};
  const auto column = static_cast<RecordColumn>(section);
  if (role == Qt::DisplayRole)
    return columnTitle(column);
  if (role == Qt::TextAlignmentRole)
    return QVariant(isNumeric(column) ? Qt::AlignRight | Qt::AlignVCenter
                                      : Qt::AlignLeft | Qt::AlignVCenter);
  return {};
}

} // namespace temper::gui
