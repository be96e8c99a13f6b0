/// The filter row of the records table: a short text per column, compiled into a predicate.
///
///   workload   matmul !1024        has "matmul", has not "1024"; a|b is either
///   time       <50us   1ms..2ms    units ns, us, ms, s
///   of base    <0.9                time over that of its kind's baseline
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
#include <unordered_map>
#include <vector>

namespace temper::gui {

enum class RecordColumn : uint8_t {
  kRecord,
  kWorkload,
  kOutcome,
  kTime,
  kRatio, ///< over the baseline's time
  kInterval,
  kRate,
  kThreads,
  kTarget,
  kRun,
  kMeasured,
  kMarks,
};
inline constexpr int kRecordColumns = 12;

QString columnTitle(RecordColumn column);
/// What may be written in its filter, for the tooltip and the placeholder.
QString columnFilterHint(RecordColumn column);
bool isNumeric(RecordColumn column); ///< drawn to the right

/// A record that others of its kind are held against.
struct Baseline {
  Series series;
  uint64_t record = 0;
  double medianNs = database::kUnknown;
  double lowNs = database::kUnknown;
  double highNs = database::kUnknown;
};

/// What a record's marks and ratio are made from, besides the record. A copy may be used on another
/// thread.
struct RecordContext {
  /// Toolchains whose records are not stale; empty: not known.
  std::vector<QString> freshToolchains;
  QString environment; ///< of this machine; empty: not known
  /// Workloads of which there is a later version, by their ids.
  std::vector<QString> earlierWorkloads;
  std::vector<Baseline> baselines; ///< one for each kind
  /// Tags by the digits of the record's id; null: none.
  std::shared_ptr<const std::unordered_map<uint64_t, QStringList>> tags;

  const Baseline* baselineOf(const Series& series) const;
  bool isStale(const Series& series) const;
  bool isElsewhere(const Series& series) const;
  bool isEarlier(const Series& series) const;
};

/// Tags with a meaning of their own.
inline constexpr QLatin1StringView kBaselineTag{"baseline"};
inline constexpr QLatin1StringView kPinTag{"pinned"}; ///< database::kPinnedTag: never pruned
inline constexpr QLatin1StringView kStarTag{"star"};

/// "▲ 0.872×": whether it is told from the baseline, and its time over that one's. Empty where they
/// cannot be compared.
QString ratioText(const PackedRecord& record, const Baseline& baseline);

/// The text of a cell.
QString cellText(const RecordTable& table, const PackedRecord& record, RecordColumn column,
                 const RecordContext& context = {});

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
  explicit RecordFilterRow(const FilterText& texts, int64_t nowNs, RecordContext context = {});
  /// Only records of these ids (their digits, ascending) can match; null: any.
  void setOnly(std::shared_ptr<const std::vector<uint64_t>> ids) { only_ = std::move(ids); }
  /// The same for what is brushed in a plot; both hold.
  void setBrush(std::shared_ptr<const std::vector<uint64_t>> ids) { brush_ = std::move(ids); }
  const std::array<QString, kRecordColumns>& errors() const { return errors_; }
  const RecordContext& context() const { return context_; }
  /// Everything matches.
  bool isOpen() const {
    return seriesWords_.empty() && recordWords_.empty() && ranges_.empty() && !only_ && !brush_;
  }

  /// What is decided once instead of for each of a million records: by its series, its outcome, its
  /// marks. Of one table, for one thread.
  struct Prepared {
    std::vector<uint8_t> series; ///< 0: none of it matches
    std::array<uint8_t, 16> outcomes{};
    std::vector<uint8_t> marks; ///< by series and purpose, without tags
    std::vector<double> baselineNs;
    uint64_t run = 0; ///< the run that was looked at last
    bool runMatches = false;
  };
  Prepared prepare(const RecordTable& table) const;
  bool matches(const RecordTable& table, const PackedRecord& record, Prepared& prepared) const;
  /// The same for one record.
  bool matches(const RecordTable& table, const PackedRecord& record) const;

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

  bool wordsMatch(const RecordTable& table, const PackedRecord& record, RecordColumn column,
                  const Words& words, Prepared& prepared) const;

  std::vector<std::pair<RecordColumn, Words>> seriesWords_;
  std::vector<std::pair<RecordColumn, Words>> recordWords_;
  std::vector<std::pair<RecordColumn, Range>> ranges_;
  std::array<QString, kRecordColumns> errors_;
  RecordContext context_;
  std::shared_ptr<const std::vector<uint64_t>> only_;
  std::shared_ptr<const std::vector<uint64_t>> brush_;
};

/// The shortest time of all that a series may be compared with, for each series; 0: there is none.
std::vector<double> bestOfKinds(const RecordTable& table);

/// Numbers of all records by the digits of their ids.
std::vector<uint32_t> numbersById(const RecordTable& table);

/// Numbers of the records that match, in the order asked for. Ties are in the order of the table.
std::vector<uint32_t> orderOf(const RecordTable& table, const RecordFilterRow& filter,
                              RecordColumn sortBy, bool descending);

} // namespace temper::gui
