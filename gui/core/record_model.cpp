#include "gui/core/record_model.h"

#include "gui/core/format.h"
#include "gui/core/workers.h"

#include <QCoreApplication>
#include <QDateTime>
#include <QPointer>
#include <QThreadPool>

#include <algorithm>
#include <cmath>

namespace temper::gui {

namespace {
constexpr uint32_t kNoRow = ~uint32_t{0};
/// So many records may come before it is worth sorting all by id again.
constexpr uint32_t kUnsorted = 50'000;
} // namespace

/// A question for another thread, and its answer.
struct RecordModel::Ordering {
  RecordTable table;
  uint64_t generation = 0;
  RecordFilterRow filter;
  RecordColumn by;
  bool descending;
  std::shared_ptr<const std::vector<uint32_t>> byId;
  std::vector<uint32_t> order;
  std::vector<uint32_t> rows;
  bool heat;
  std::vector<double> bestNs;
  uint32_t bestOf; ///< records that they were made of

  void run() {
    if (heat && bestOf != table.size()) {
      bestNs = bestOfKinds(table);
      bestOf = table.size();
    }
    order = orderOf(table, filter, by, descending);
    rows.assign(table.size(), kNoRow);
    for (uint32_t row = 0; row < order.size(); ++row)
      rows[order[row]] = row;
    if (table.size() > (byId ? byId->size() : 0) * 3 / 2 + kUnsorted)
      byId = std::make_shared<const std::vector<uint32_t>>(numbersById(table));
  }
};

RecordModel::RecordModel(QObject* parent) : QAbstractTableModel(parent) {}
RecordModel::~RecordModel() = default;

void RecordModel::append(RecordChunk chunk) {
  if (chunk.records.empty() && chunk.newSeries.empty())
    return;
  noteVersions(chunk);
  table_.append(std::move(chunk));
  // Each step shows half as much again at least: a million records are not sorted sixty times.
  if (filling_ ? pending() > shownOf_ / 2 : following_ || shownOf_ == 0)
    startOrdering();
  emit pendingChanged();
}

void RecordModel::setFilling(bool filling) {
  if (filling == filling_)
    return;
  filling_ = filling;
  if (!filling_ && pending() > 0)
    startOrdering();
}

void RecordModel::clear() {
  beginResetModel();
  table_.clear();
  order_.clear();
  rows_.clear();
  byId_.reset();
  bestNs_.clear();
  bestOf_ = 0;
  versions_.clear();
  context_.earlierWorkloads.clear();
  shownOf_ = 0;
  ++generation_;
  endResetModel();
  emit orderChanged();
  emit pendingChanged();
}

/// Of workloads that are called alike the one that was measured last is today's.
void RecordModel::noteVersions(const RecordChunk& chunk) {
  // Series of this chunk may be in it or in the table.
  const auto known = static_cast<uint32_t>(table_.series().size());
  const auto seriesOf = [&](uint32_t number) -> const Series& {
    return number < known ? *table_.series()[number] : chunk.newSeries[number - known];
  };
  std::map<uint32_t, int64_t> newest;
  for (const PackedRecord& record : chunk.records) {
    int64_t& at = newest[record.series];
    at = std::max(at, record.measuredAt);
  }
  bool changed = false;
  for (const auto& [number, measuredAt] : newest) {
    const Series& series = seriesOf(number);
    Versions& versions = versions_[series.workload + u'\n' + series.shape];
    if (!versions.all.contains(series.workloadId))
      versions.all << series.workloadId;
    if (measuredAt <= versions.measuredAt)
      continue;
    versions.measuredAt = measuredAt;
    changed = changed || versions.newest != series.workloadId;
    versions.newest = series.workloadId;
  }
  if (!changed && chunk.newSeries.empty())
    return;
  context_.earlierWorkloads.clear();
  for (const auto& [name, versions] : versions_)
    for (const QString& id : versions.all)
      if (id != versions.newest)
        context_.earlierWorkloads.push_back(id);
}

void RecordModel::setContext(RecordContext context) {
  context.earlierWorkloads = std::move(context_.earlierWorkloads);
  context_ = std::move(context);
  // Cells say other things; which rows there are and their order change only by what is marked.
  if (sortBy_ == RecordColumn::kMarks || sortBy_ == RecordColumn::kRatio ||
      !filter_[RecordColumn::kMarks].isEmpty() || !filter_[RecordColumn::kRatio].isEmpty())
    startOrdering();
  else if (!order_.empty())
    emit dataChanged(index(0, 0), index(rowCount() - 1, kRecordColumns - 1));
}

void RecordModel::setHeat(bool on) {
  if (on == heat_)
    return;
  heat_ = on;
  startOrdering(); // which looks for the best of each kind
}

QVariant RecordModel::heatOf(const PackedRecord& record, RecordColumn column) const {
  if (!heat_ || record.outcome != database::Outcome::kOk || !(record.medianNs > 0))
    return {};
  switch (column) {
  case RecordColumn::kTime:
  case RecordColumn::kRate: {
    const double best = record.series < bestNs_.size() ? bestNs_[record.series] : 0;
    return best > 0 ? QVariant(std::max(-1.0, 1 - std::log2(record.medianNs / best))) : QVariant();
  }
  case RecordColumn::kRatio: {
    const Baseline* baseline = context_.baselineOf(table_.seriesOf(record));
    if (!baseline || !(baseline->medianNs > 0))
      return {};
    const double speedup = baseline->medianNs / record.medianNs;
    if (speedup < 1)
      return std::max(-1.0, std::log2(speedup));
    const double best = record.series < bestNs_.size() && bestNs_[record.series] > 0
                            ? baseline->medianNs / bestNs_[record.series]
                            : speedup;
    // Beside a baseline that all leave far behind, all would be of one colour.
    return best > 1 ? QVariant(std::min(1.0, std::log2(best)) * (speedup - 1) / (best - 1))
                    : QVariant(0.0);
  }
  case RecordColumn::kInterval: {
    constexpr double kWide = 0.1; // half of it, of the time
    const double half = (record.highNs - record.lowNs) / 2 / record.medianNs;
    return half >= 0 ? QVariant(-std::min(1.0, half / kWide)) : QVariant();
  }
  default:
    return {};
  }
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
  RecordFilterRow filter(filter_, QDateTime::currentMSecsSinceEpoch() * 1'000'000, context_);
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
  RecordFilterRow filter = filterOfPlots();
  filter.setBrush(brush_);
  auto ordering = std::make_shared<Ordering>(Ordering{table_,
                                                      generation_,
                                                      std::move(filter),
                                                      sortBy_,
                                                      descending_,
                                                      byId_,
                                                      {},
                                                      {},
                                                      heat_,
                                                      bestNs_,
                                                      bestOf_});
  // The receiver may be gone when the answer comes; the pool's thread must not look.
  workers().start([self, ordering] {
    ordering->run();
    QMetaObject::invokeMethod(
        QCoreApplication::instance(),
        [self, ordering] {
          if (self)
            self->finishOrdering(ordering);
        },
        Qt::QueuedConnection);
  });
}

void RecordModel::finishOrdering(const std::shared_ptr<Ordering>& done) {
  busy_ = false;
  if (done->generation == generation_) {
    beginResetModel();
    order_ = std::move(done->order);
    rows_ = std::move(done->rows);
    byId_ = std::move(done->byId);
    bestNs_ = std::move(done->bestNs);
    bestOf_ = done->bestOf;
    shownOf_ = static_cast<int64_t>(done->table.size());
    endResetModel();
    emit orderChanged();
    emit pendingChanged();
  }
  if (again_ || (following_ && pending() > 0 && done->generation != generation_))
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

int64_t RecordModel::numberOf(uint64_t id) const {
  if (byId_) {
    const auto at = std::lower_bound(
        byId_->begin(), byId_->end(), id,
        [this](uint32_t number, uint64_t wanted) { return table_.at(number).id < wanted; });
    if (at != byId_->end() && table_.at(*at).id == id)
      return *at;
  }
  return table_.find(id, byId_ ? static_cast<uint32_t>(byId_->size()) : 0);
}

int RecordModel::rowOf(const QString& id) const {
  const int64_t number = numberOf(idDigits(id));
  return number >= 0 && number < static_cast<int64_t>(rows_.size()) &&
                 rows_[static_cast<size_t>(number)] != kNoRow
             ? static_cast<int>(rows_[static_cast<size_t>(number)])
             : -1;
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
    return cellText(table_, *record, column, context_);
  case Qt::TextAlignmentRole:
    return QVariant(isNumeric(column) ? Qt::AlignRight | Qt::AlignVCenter
                                      : Qt::AlignLeft | Qt::AlignVCenter);
  case Qt::ToolTipRole:
    if (column == RecordColumn::kTarget)
      return table_.seriesOf(*record).target;
    if (column == RecordColumn::kRecord)
      return idAt(index.row());
    if (column == RecordColumn::kRatio)
      if (const Baseline* baseline = context_.baselineOf(table_.seriesOf(*record)))
        return QStringLiteral("%1: its time over that of the baseline %2, %3; ▲ faster, ▼ slower, "
                              "≈ not to be told apart")
            .arg(cellText(table_, *record, column, context_),
                 shortId(idText(database::Kind::kMeasurement, baseline->record)),
                 timeText(baseline->medianNs));
    if (heat_ && column == RecordColumn::kTime && record->series < bestNs_.size() &&
        record->medianNs > 0 && bestNs_[record->series] > 0)
      return tr("%1, %2 × the shortest time measured of its kind")
          .arg(cellText(table_, *record, column, context_))
          .arg(record->medianNs / bestNs_[record->series], 0, 'f', 2);
    return cellText(table_, *record, column, context_);
  case kIdRole:
    return idAt(index.row());
  case kHeatRole:
    return heatOf(*record, column);
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
