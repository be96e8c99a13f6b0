/// The filter row of the records table: a short text per column, compiled into a predicate.
///
///   workload   matmul !1024        has "matmul", has not "1024"; a|b is either
///   time       <50us   1ms..2ms    units ns, us, ms, s
///   measured   2026-11-21  <2h     a day, or younger than two hours
///
/// An empty text does not restrict.
#pragma once

#include "gui/core/record_table.h"

#include <QString>
#include <QStringList>

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace temper::gui {

enum class RecordColumn : uint8_t {
  kRecord,
  kWorkload,
  kOutcome,
  kTime,
  kInterval,
  kRate,
  kThreads,
  kTarget,
  kRun,
  kMeasured,
  kMarks,
};
inline constexpr int kRecordColumns = 11;

QString columnTitle(RecordColumn column);
/// What may be written in its filter, for the tooltip and the placeholder.
QString columnFilterHint(RecordColumn column);
bool isNumeric(RecordColumn column); ///< drawn to the right

/// The text of a cell.
QString cellText(const RecordTable& table, const PackedRecord& record, RecordColumn column,
                 const std::vector<QString>& staleToolchains = {});

struct FilterText {
  std::array<QString, kRecordColumns> columns;
  bool operator==(const FilterText&) const = default;
  bool isEmpty() const;
  QString& operator[](RecordColumn column) { return columns[static_cast<size_t>(column)]; }
  const QString& operator[](RecordColumn column) const {
    return columns[static_cast<size_t>(column)];
  }
};

/// A number with a unit of time in nanoseconds: "50us", "1.5 ms", "20" (ns). Nothing when it is
/// none.
std::optional<double> parseTime(const QString& text);

/// The compiled filter. Copies may be used on another thread.
class RecordFilterRow {
public:
  /// `nowNs` is what ages ("<2h") count from. Texts that cannot be read restrict nothing and are
  /// named in `errors`, one sentence per column, empty where all is well.
  explicit RecordFilterRow(const FilterText& texts, int64_t nowNs,
                           std::vector<QString> staleToolchains = {});
  bool matches(const RecordTable& table, const PackedRecord& record) const;
  /// Only records of these ids (their digits, ascending) can match; null: any.
  void setOnly(std::shared_ptr<const std::vector<uint64_t>> ids) { only_ = std::move(ids); }
  /// The same for what is brushed in a plot; both hold.
  void setBrush(std::shared_ptr<const std::vector<uint64_t>> ids) { brush_ = std::move(ids); }
  const std::array<QString, kRecordColumns>& errors() const { return errors_; }

  /// Which series can match at all: most filters are about what is in a series, and are decided
  /// once for each instead of once for each record.
  std::vector<bool> possibleSeries(const RecordTable& table) const;
  /// With `possible` from possibleSeries of the same table.
  bool matches(const RecordTable& table, const PackedRecord& record,
               const std::vector<bool>& possible) const;

private:
  struct Words { ///< all of `required` (each one of several), none of `forbidden`
    std::vector<QStringList> required;
    QStringList forbidden;
    bool matches(const QString& text) const;
  };
  struct Range {
    double low;
    double high;
  };
  void addWords(RecordColumn column, const QString& text);
  void addRange(RecordColumn column, const QString& text);
  void addMeasured(const QString& text, int64_t nowNs);

  std::vector<std::pair<RecordColumn, Words>> seriesWords_;
  std::vector<std::pair<RecordColumn, Words>> recordWords_;
  std::vector<std::pair<RecordColumn, Range>> ranges_;
  std::array<QString, kRecordColumns> errors_;
  std::vector<QString> stale_;
  std::shared_ptr<const std::vector<uint64_t>> only_;
  std::shared_ptr<const std::vector<uint64_t>> brush_;
};

/// Numbers of the records that match, in the order asked for. Ties are in the order of the table.
std::vector<uint32_t> orderOf(const RecordTable& table, const RecordFilterRow& filter,
                              RecordColumn sortBy, bool descending);

} // namespace temper::gui
