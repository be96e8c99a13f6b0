/// The records of a database as a table model: filtered and sorted on another thread, so that a
/// million rows never stop the window.
#pragma once

#include "gui/core/record_filter.h"
#include "gui/core/record_table.h"

#include <QAbstractTableModel>

#include <map>

namespace temper::gui {

class RecordModel : public QAbstractTableModel {
  Q_OBJECT
public:
  enum Role { kIdRole = Qt::UserRole, kSortRole, kHeatRole };

  explicit RecordModel(QObject* parent = nullptr);
  ~RecordModel() override;

  // What it shows.
  void append(RecordChunk chunk);
  void clear();
  /// What marks and ratios are made from; which workloads have a later version it knows itself.
  void setContext(RecordContext context);
  const RecordContext& context() const { return context_; }
  /// Whether kHeatRole has an answer: from 1, as good as the shortest time of its kind, to -1, four
  /// times that; of a ratio from 1, as much gained over the baseline as by the fastest of its kind
  /// (less where that is less than half its time), to -1, twice the baseline's time; of an interval
  /// 0 to 10 %.
  void setHeat(bool on);
  bool hasHeat() const { return heat_; }
  /// While false, records that arrive only raise pending(); they are shown with the next change.
  void setFollowing(bool following);
  /// While true, all records arrive, a chunk at a time: they are shown in steps, the last ones when
  /// it is false again.
  void setFilling(bool filling);

  // How.
  void setFilter(const FilterText& filter);
  const FilterText& filter() const { return filter_; }
  /// Shows only records of these ids (their digits, ascending); null: all.
  void setOnly(std::shared_ptr<const std::vector<uint64_t>> ids);
  /// The same for what is brushed in a plot: plots themselves show what the filters leave.
  void setBrush(std::shared_ptr<const std::vector<uint64_t>> ids);
  bool isRestricted() const { return only_ || brush_; }
  /// What the filter texts and the ids of a query leave, without what is brushed; for plots.
  RecordFilterRow filterOfPlots() const;
  /// Grows when what filterOfPlots leaves may be another.
  uint64_t filterVersion() const { return filterVersion_; }
  void sort(int column, Qt::SortOrder order) override;
  RecordColumn sortColumn() const { return sortBy_; }
  bool sortDescending() const { return descending_; }
  /// Sentences about filter texts that cannot be read.
  const std::array<QString, kRecordColumns>& filterErrors() const { return errors_; }

  // Rows.
  const RecordTable& table() const { return table_; }
  QString idAt(int row) const;
  int rowOf(const QString& id) const; ///< -1 when it is not shown
  /// Number of a record in the table; -1 when it is not there.
  int64_t numberOf(uint64_t id) const;
  const PackedRecord* recordAt(int row) const;
  int64_t pending() const { return static_cast<int64_t>(table_.size()) - shownOf_; }
  bool isBusy() const { return busy_; }
  /// Shows what is pending.
  void refresh();

  int rowCount(const QModelIndex& parent = {}) const override;
  int columnCount(const QModelIndex& parent = {}) const override;
  QVariant data(const QModelIndex& index, int role) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

signals:
  /// Rows were replaced: what was selected is found again with rowOf.
  void orderChanged();
  void pendingChanged();

private:
  struct Ordering;
  void startOrdering();
  void finishOrdering(const std::shared_ptr<Ordering>& done);
  void noteVersions(const RecordChunk& chunk);
  QVariant heatOf(const PackedRecord& record, RecordColumn column) const;

  RecordTable table_;
  std::vector<uint32_t> order_; ///< number of the record in each row
  std::vector<uint32_t> rows_;  ///< row of each record by its number; kNoRow: not shown
  /// Numbers by id, of the records that there were when it was made.
  std::shared_ptr<const std::vector<uint32_t>> byId_;
  int64_t shownOf_ = 0; ///< records that the order was made of
  FilterText filter_;
  std::shared_ptr<const std::vector<uint64_t>> only_;
  std::shared_ptr<const std::vector<uint64_t>> brush_;
  uint64_t filterVersion_ = 0;
  std::array<QString, kRecordColumns> errors_;
  RecordContext context_;
  struct Versions {
    QString newest; ///< workload id
    int64_t measuredAt = 0;
    QStringList all;
  };
  std::map<QString, Versions> versions_; ///< of workloads by name and shape
  RecordColumn sortBy_ = RecordColumn::kMeasured;
  bool descending_ = true;
  bool following_ = true;
  bool filling_ = false;
  bool heat_ = false;
  std::vector<double> bestNs_; ///< of each series' kind
  uint32_t bestOf_ = 0;        ///< records that they were made of
  bool busy_ = false;
  bool again_ = false;
  uint64_t generation_ = 0; ///< of the table; an order of an earlier one is dropped
};

} // namespace temper::gui
