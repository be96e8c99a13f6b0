#include "gui/core/record_filter.h"

#include "gui/core/format.h"
#include "ir/support/quantities.h"
#include "ir/support/target_text.h"

#include <QDateTime>
#include <QRegularExpression>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <numeric>
#include <span>
#include <utility>

namespace temper::gui {

namespace {

QStringList tagsOf(const PackedRecord& record, const RecordContext& context) {
  if (!context.tags)
    return {};
  const auto found = context.tags->find(record.id);
  return found == context.tags->end() ? QStringList() : found->second;
}

/// What it is marked as by where and how it was measured; the same for all of a series.
QString seriesMarks(const Series& series, database::Purpose purpose, const RecordContext& context) {
  QStringList words;
  if (purpose == database::Purpose::kConfirm)
    words << QStringLiteral("final");
  if (series.unchecked)
    words << QStringLiteral("unchecked");
  if (context.isStale(series))
    words << QStringLiteral("stale");
  if (context.isElsewhere(series))
    words << QStringLiteral("elsewhere");
  if (context.isEarlier(series))
    words << QStringLiteral("earlier");
  if (series.regime == database::TimingRegime::kCold)
    words << QStringLiteral("cold");
  return words.join(u' ');
}

QString marksText(const Series& series, const PackedRecord& record, const RecordContext& context) {
  QStringList words;
  for (const QString& tag : tagsOf(record, context))
    words << (tag == kStarTag ? QStringLiteral("★") : tag);
  if (const QString others = seriesMarks(series, record.purpose, context); !others.isEmpty())
    words << others;
  return words.join(u' ');
}

double halfWidth(const PackedRecord& record) {
  return record.medianNs > 0 && record.highNs >= record.lowNs
             ? 50 * (record.highNs - record.lowNs) / record.medianNs
             : database::kUnknown;
}

double numberOf(const RecordTable& table, const PackedRecord& record, RecordColumn column) {
  switch (column) {
  case RecordColumn::kTime:
    return record.medianNs;
  case RecordColumn::kInterval:
    return halfWidth(record);
  case RecordColumn::kRate: {
    const double rate = gflops(table.seriesOf(record).flops, record.medianNs);
    return rate > 0 ? rate : database::kUnknown;
  }
  case RecordColumn::kThreads:
    return table.seriesOf(record).threads;
  case RecordColumn::kMeasured:
    return static_cast<double>(record.measuredAt);
  default:
    return database::kUnknown;
  }
}

/// True for columns whose text is the same for all records of a series.
bool isOfSeries(RecordColumn column) {
  return column == RecordColumn::kWorkload || column == RecordColumn::kTarget;
}

/// Time of each series' baseline; unknown where there is none.
std::vector<double> baselineTimes(const RecordTable& table, const RecordContext& context) {
  std::vector<double> times(table.series().size(), database::kUnknown);
  if (!context.baselines.empty())
    for (size_t i = 0; i < times.size(); ++i)
      if (const Baseline* baseline = context.baselineOf(*table.series()[i]))
        times[i] = baseline->medianNs;
  return times;
}

} // namespace

const Baseline* RecordContext::baselineOf(const Series& series) const {
  for (const Baseline& baseline : baselines)
    if (baseline.series.isComparableWith(series))
      return &baseline;
  return nullptr;
}

bool RecordContext::isStale(const Series& series) const {
  return !freshToolchains.empty() && std::find(freshToolchains.begin(), freshToolchains.end(),
                                               series.toolchain) == freshToolchains.end();
}

bool RecordContext::isElsewhere(const Series& series) const {
  return !environment.isEmpty() && series.environment != environment;
}

bool RecordContext::isEarlier(const Series& series) const {
  return std::find(earlierWorkloads.begin(), earlierWorkloads.end(), series.workloadId) !=
         earlierWorkloads.end();
}

QString ratioText(const PackedRecord& record, const Baseline& baseline) {
  if (record.id == baseline.record)
    return QStringLiteral("baseline");
  if (!(record.medianNs > 0) || !(baseline.medianNs > 0))
    return {};
  const double low = record.lowNs / baseline.highNs, high = record.highNs / baseline.lowNs;
  return QStringLiteral("%1 %2×")
      .arg(high < 1  ? QStringLiteral("▲")
           : low > 1 ? QStringLiteral("▼")
                     : QStringLiteral("≈"))
      .arg(record.medianNs / baseline.medianNs, 0, 'f', 3);
}

QString columnTitle(RecordColumn column) {
  static const char* const titles[kRecordColumns] = {"record",  "workload", "outcome",  "time",
                                                     "of base", "95 %",     "rate",     "threads",
                                                     "target",  "run",      "measured", "marks"};
  return QString::fromLatin1(titles[static_cast<size_t>(column)]);
}

QString columnFilterHint(RecordColumn column) {
  switch (column) {
  case RecordColumn::kRecord:
  case RecordColumn::kRun:
    return QStringLiteral("the start of an id");
  case RecordColumn::kWorkload:
    return QStringLiteral("words of its name and shape: matmul M=512 !dtype=float16");
  case RecordColumn::kOutcome:
    return QStringLiteral("ok, or several: crashed|timed");
  case RecordColumn::kTime:
    return QStringLiteral("<50us, >1ms or 10us..20us");
  case RecordColumn::kRatio:
    return QStringLiteral("<0.9 or 1..1.2: its time over that of its kind's baseline (B sets one)");
  case RecordColumn::kInterval:
    return QStringLiteral("<1 for half widths under 1 %");
  case RecordColumn::kRate:
    return QStringLiteral(">100 (GFLOP/s) or 50..80");
  case RecordColumn::kThreads:
    return QStringLiteral("1, >4 or 2..8");
  case RecordColumn::kTarget:
    return QStringLiteral("words of the target: znver4");
  case RecordColumn::kMeasured:
    return QStringLiteral("2026-11-21, <2h, <30min or <7d");
  case RecordColumn::kMarks:
    return QStringLiteral("tags, and final, stale (another compiler), elsewhere (another machine), "
                          "earlier (the workload was changed since), cold, unchecked; !stale is "
                          "the others");
  }
  return {};
}

bool isNumeric(RecordColumn column) {
  return column == RecordColumn::kTime || column == RecordColumn::kRatio ||
         column == RecordColumn::kInterval || column == RecordColumn::kRate ||
         column == RecordColumn::kThreads;
}

QString cellText(const RecordTable& table, const PackedRecord& record, RecordColumn column,
                 const RecordContext& context) {
  const Series& series = table.seriesOf(record);
  switch (column) {
  case RecordColumn::kRecord:
    return shortId(idText(database::Kind::kMeasurement, record.id));
  case RecordColumn::kWorkload:
    return series.shape.isEmpty() ? series.workload : series.workload + u' ' + series.shape;
  case RecordColumn::kOutcome:
    return outcomeText(record.outcome);
  case RecordColumn::kTime:
    return record.medianNs > 0 ? timeText(record.medianNs) : QString();
  case RecordColumn::kRatio:
    if (const Baseline* baseline = context.baselineOf(series))
      return ratioText(record, *baseline);
    return {};
  case RecordColumn::kInterval:
    return halfWidthText(record.medianNs, record.lowNs, record.highNs);
  case RecordColumn::kRate:
    return gflops(series.flops, record.medianNs) > 0
               ? rateText(series.flops, record.medianNs, series.binding)
               : QString();
  case RecordColumn::kThreads:
    return toQString(thread_cell(series.target.toStdString(), series.threads));
  case RecordColumn::kTarget:
    return toQString(short_target(series.target.toStdString()));
  case RecordColumn::kRun:
    return shortId(idText(database::Kind::kRun, record.run));
  case RecordColumn::kMeasured:
    return dateText(record.measuredAt);
  case RecordColumn::kMarks:
    return marksText(series, record, context);
  }
  return {};
}

bool FilterText::isEmpty() const {
  return std::all_of(columns.begin(), columns.end(),
                     [](const QString& text) { return text.trimmed().isEmpty(); });
}

std::optional<double> parseTime(const QString& text) {
  static const QRegularExpression form(
      QStringLiteral("^\\s*([0-9]*\\.?[0-9]+(?:[eE][+-]?[0-9]+)?)\\s*(ns|us|µs|μs|ms|s)?\\s*$"));
  const QRegularExpressionMatch match = form.match(text);
  if (!match.hasMatch())
    return std::nullopt;
  const QString unit = match.captured(2);
  const double factor = unit == u"s"                                           ? 1e9
                        : unit == u"ms"                                        ? 1e6
                        : unit.size() == 2 && unit[1] == u's' && unit != u"ns" ? 1e3
                                                                               : 1;
  return match.captured(1).toDouble() * factor;
}

bool RecordFilterRow::Words::matches(const QString& text) const {
  for (const QStringList& alternatives : required)
    if (std::none_of(alternatives.begin(), alternatives.end(),
                     [&](const QString& word) { return text.contains(word, Qt::CaseInsensitive); }))
      return false;
  return std::none_of(forbidden.begin(), forbidden.end(), [&](const QString& word) {
    return text.contains(word, Qt::CaseInsensitive);
  });
}

RecordFilterRow::RecordFilterRow(const FilterText& texts, int64_t nowNs, RecordContext context)
    : context_(std::move(context)) {
  for (int i = 0; i < kRecordColumns; ++i) {
    const auto column = static_cast<RecordColumn>(i);
    const QString text = texts[column].trimmed();
    if (text.isEmpty())
      continue;
    if (column == RecordColumn::kMeasured)
      addMeasured(text, nowNs);
    else if (isNumeric(column))
      addRange(column, text);
    else
      addWords(column, text);
  }
}

void RecordFilterRow::addWords(RecordColumn column, const QString& text) {
  Words words;
  for (const QString& word : text.split(u' ', Qt::SkipEmptyParts)) {
    if (word.startsWith(u'!')) {
      if (word.size() > 1)
        words.forbidden << word.mid(1);
    } else if (const QStringList alternatives = word.split(u'|', Qt::SkipEmptyParts);
               !alternatives.isEmpty()) {
      words.required.push_back(alternatives);
    }
  }
  (isOfSeries(column) ? seriesWords_ : recordWords_).emplace_back(column, std::move(words));
}

void RecordFilterRow::addRange(RecordColumn column, const QString& text) {
  const auto number = [&](const QString& part) -> std::optional<double> {
    if (column == RecordColumn::kTime)
      return parseTime(part);
    static const QRegularExpression unit(QStringLiteral("\\s*(%|G(?:FL)?OP/s|×|x)\\s*$"));
    bool ok = false;
    const double value = QString(part).remove(unit).trimmed().toDouble(&ok);
    return ok ? std::optional(value) : std::nullopt;
  };
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  std::optional<double> low, high;
  if (const qsizetype dots = text.indexOf(QStringLiteral("..")); dots >= 0) {
    low = number(text.left(dots));
    high = number(text.mid(dots + 2));
    // "10..20us": the unit is said once.
    static const QRegularExpression unit(QStringLiteral("[a-zµμ]+\\s*$"));
    if (const auto match = unit.match(text); low && match.hasMatch() &&
                                             column == RecordColumn::kTime &&
                                             !unit.match(text.left(dots)).hasMatch())
      low = number(text.left(dots) + match.captured(0));
  } else if (text.startsWith(u'<')) {
    const bool inclusive = text.startsWith(QStringLiteral("<="));
    low = -kInfinity;
    high = number(text.mid(inclusive ? 2 : 1));
    if (high && !inclusive)
      high = std::nextafter(*high, -kInfinity);
  } else if (text.startsWith(u'>')) {
    const bool inclusive = text.startsWith(QStringLiteral(">="));
    low = number(text.mid(inclusive ? 2 : 1));
    high = kInfinity;
    if (low && !inclusive)
      low = std::nextafter(*low, kInfinity);
  } else {
    // A bare number is what the cell shows: equal to three digits.
    low = high = number(text.startsWith(u'=') ? text.mid(1) : text);
    if (low && column != RecordColumn::kThreads) {
      low = *low * 0.9995;
      high = *high * 1.0005;
    }
  }
  if (!low || !high) {
    errors_[static_cast<size_t>(column)] =
        QStringLiteral("'%1' cannot be read; write %2").arg(text, columnFilterHint(column));
    return;
  }
  ranges_.emplace_back(column, Range{*low, *high});
}

void RecordFilterRow::addMeasured(const QString& text, int64_t nowNs) {
  static const QRegularExpression age(QStringLiteral("^<\\s*([0-9]*\\.?[0-9]+)\\s*(s|min|h|d)$"));
  if (const auto match = age.match(text); match.hasMatch()) {
    const QString unit = match.captured(2);
    const double seconds = match.captured(1).toDouble() * (unit == u"d"     ? 86400
                                                           : unit == u"h"   ? 3600
                                                           : unit == u"min" ? 60
                                                                            : 1);
    ranges_.emplace_back(RecordColumn::kMeasured, Range{static_cast<double>(nowNs) - seconds * 1e9,
                                                        std::numeric_limits<double>::infinity()});
    return;
  }
  if (const QDate day = QDate::fromString(text, Qt::ISODate); day.isValid()) {
    const double from = static_cast<double>(day.startOfDay().toMSecsSinceEpoch()) * 1e6;
    const double to = static_cast<double>(day.addDays(1).startOfDay().toMSecsSinceEpoch()) * 1e6;
    ranges_.emplace_back(RecordColumn::kMeasured, Range{from, to});
    return;
  }
  errors_[static_cast<size_t>(RecordColumn::kMeasured)] =
      QStringLiteral("'%1' cannot be read; write %2")
          .arg(text, columnFilterHint(RecordColumn::kMeasured));
}

RecordFilterRow::Prepared RecordFilterRow::prepare(const RecordTable& table) const {
  Prepared prepared;
  const size_t count = table.series().size();
  prepared.series.assign(count, 1);
  PackedRecord record;
  for (size_t i = 0; i < count; ++i) {
    record.series = static_cast<uint32_t>(i);
    for (const auto& [column, words] : seriesWords_)
      if (!words.matches(cellText(table, record, column, context_)))
        prepared.series[i] = 0;
  }
  prepared.outcomes.fill(1);
  prepared.marks.assign(2 * count, 1);
  prepared.run = ~uint64_t{0};
  for (const auto& [column, words] : recordWords_) {
    if (column == RecordColumn::kOutcome)
      for (size_t i = 0; i < prepared.outcomes.size() && i < size_t{database::kOutcomeCount}; ++i)
        if (!words.matches(outcomeText(static_cast<database::Outcome>(i))))
          prepared.outcomes[i] = 0;
    if (column == RecordColumn::kMarks)
      for (size_t i = 0; i < count; ++i)
        for (const auto purpose : {database::Purpose::kSearch, database::Purpose::kConfirm})
          if (!words.matches(seriesMarks(*table.series()[i], purpose, context_)))
            prepared.marks[2 * i + (purpose == database::Purpose::kConfirm ? 1 : 0)] = 0;
  }
  prepared.baselineNs = baselineTimes(table, context_);
  return prepared;
}

bool RecordFilterRow::wordsMatch(const RecordTable& table, const PackedRecord& record,
                                 RecordColumn column, const Words& words,
                                 Prepared& prepared) const {
  switch (column) {
  case RecordColumn::kOutcome:
    return prepared.outcomes[static_cast<size_t>(record.outcome)] != 0;
  case RecordColumn::kMarks:
    if (context_.tags && context_.tags->count(record.id) > 0)
      return words.matches(marksText(table.seriesOf(record), record, context_));
    return prepared.marks[2 * record.series +
                          (record.purpose == database::Purpose::kConfirm ? 1 : 0)] != 0;
  case RecordColumn::kRun:
    // They come one after the other.
    if (record.run != prepared.run) {
      prepared.run = record.run;
      prepared.runMatches = words.matches(cellText(table, record, column, context_));
    }
    return prepared.runMatches;
  default:
    return words.matches(cellText(table, record, column, context_));
  }
}

bool RecordFilterRow::matches(const RecordTable& table, const PackedRecord& record,
                              Prepared& prepared) const {
  if (prepared.series[record.series] == 0)
    return false;
  const auto has = [&](const auto& ids) {
    return !ids || std::binary_search(ids->begin(), ids->end(), record.id);
  };
  for (const auto& [column, range] : ranges_) {
    const double value = column == RecordColumn::kRatio
                             ? record.medianNs / prepared.baselineNs[record.series]
                             : numberOf(table, record, column);
    if (!(value >= range.low && value <= range.high)) // what is not known matches nothing
      return false;
  }
  for (const auto& [column, words] : recordWords_)
    if (!wordsMatch(table, record, column, words, prepared))
      return false;
  return has(only_) && has(brush_);
}

bool RecordFilterRow::matches(const RecordTable& table, const PackedRecord& record) const {
  Prepared prepared = prepare(table);
  return matches(table, record, prepared);
}

namespace {

/// Of a table: for each record the number that it is sorted by, and which records are to be sorted.
struct SortKeys {
  std::unique_ptr<uint64_t[]> keys; ///< by number of the record; of those in `known`
  std::vector<uint32_t> known;
  std::vector<uint32_t> unknown; ///< matching records without a key: they come last
};

constexpr uint64_t kUnknownKey = std::numeric_limits<uint64_t>::max();

/// Numbers that grow with a double; kUnknownKey for NaN.
uint64_t ascendingKey(double value) {
  if (std::isnan(value))
    return kUnknownKey;
  if (value == 0)
    value = 0; // one zero
  const auto bits = std::bit_cast<uint64_t>(value);
  constexpr uint64_t kSign = uint64_t{1} << 63;
  return bits & kSign ? ~bits : bits | kSign;
}

/// Sorts numbers of records by their keys; stable. By counting, with half a key beside each number:
/// a million take half of what whole keys take, which no cache holds. The 32 bits below the first
/// that differs tell nearly all keys apart; what they do not is sorted once more by itself.
void sortByKey(const uint64_t* keys, std::span<uint32_t> numbers) {
  constexpr size_t kFew = 4096;
  if (numbers.size() < kFew) {
    std::stable_sort(numbers.begin(), numbers.end(),
                     [&](uint32_t a, uint32_t b) { return keys[a] < keys[b]; });
    return;
  }
  uint64_t low = keys[numbers.front()], high = low, before = low;
  bool sorted = true;
  for (const uint32_t number : numbers) {
    const uint64_t key = keys[number];
    low = std::min(low, key);
    high = std::max(high, key);
    sorted = sorted && before <= key;
    before = key;
  }
  if (sorted)
    return;
  constexpr int kHalf = 32;
  constexpr int kDigit = 11;
  constexpr size_t kBuckets = size_t{1} << kDigit;
  const int width = std::bit_width(high - low);
  const int shift = std::max(0, width - kHalf);
  const int passes = (std::min(width, kHalf) + kDigit - 1) / kDigit;
  std::vector<std::array<uint32_t, kBuckets>> counts(static_cast<size_t>(passes));
  const auto digit = [](uint64_t entry, int pass) {
    return (entry >> (kHalf + pass * kDigit)) & (kBuckets - 1);
  };
  // Half a key above, the number below.
  auto entries = std::make_unique_for_overwrite<uint64_t[]>(numbers.size());
  auto other = std::make_unique_for_overwrite<uint64_t[]>(numbers.size());
  for (size_t i = 0; i < numbers.size(); ++i) {
    entries[i] = (keys[numbers[i]] - low) >> shift << kHalf | numbers[i];
    for (int pass = 0; pass < passes; ++pass)
      ++counts[static_cast<size_t>(pass)][digit(entries[i], pass)];
  }
  for (int pass = 0; pass < passes; ++pass) {
    auto& places = counts[static_cast<size_t>(pass)];
    // All have the same digit here: nothing to do.
    if (places[digit(entries[0], pass)] == numbers.size())
      continue;
    uint32_t next = 0;
    for (uint32_t& place : places)
      next += std::exchange(place, next);
    for (size_t i = 0; i < numbers.size(); ++i)
      other[places[digit(entries[i], pass)]++] = entries[i];
    entries.swap(other);
  }
  for (size_t i = 0; i < numbers.size(); ++i)
    numbers[i] = static_cast<uint32_t>(entries[i]);
  if (shift == 0)
    return;
  for (size_t begin = 0; begin < numbers.size();) {
    size_t end = begin + 1;
    while (end < numbers.size() && entries[end] >> kHalf == entries[begin] >> kHalf)
      ++end;
    if (end - begin > 1)
      sortByKey(keys, numbers.subspan(begin, end - begin));
    begin = end;
  }
}

/// `keyOf` grows in the order wanted, or is kUnknownKey.
template <typename KeyOf>
SortKeys keysOf(const RecordTable& table, const RecordFilterRow& filter, bool descending,
                const KeyOf& keyOf) {
  RecordFilterRow::Prepared prepared = filter.prepare(table);
  const bool all = filter.isOpen();
  SortKeys result;
  result.keys = std::make_unique_for_overwrite<uint64_t[]>(table.size());
  if (all)
    result.known.reserve(table.size());
  uint32_t number = 0;
  table.each([&](const PackedRecord& record) {
    if (all || filter.matches(table, record, prepared)) {
      const uint64_t key = keyOf(record);
      if (key == kUnknownKey) {
        result.unknown.push_back(number);
      } else {
        result.keys[number] = descending ? ~key : key;
        result.known.push_back(number);
      }
    }
    ++number;
  });
  return result;
}

/// Texts of series by their rank.
std::vector<uint64_t> ranksOf(const RecordTable& table, RecordColumn column) {
  std::vector<QString> texts;
  PackedRecord record;
  for (size_t i = 0; i < table.series().size(); ++i) {
    record.series = static_cast<uint32_t>(i);
    texts.push_back(cellText(table, record, column));
  }
  std::vector<uint32_t> sorted(texts.size());
  std::iota(sorted.begin(), sorted.end(), 0u);
  std::sort(sorted.begin(), sorted.end(),
            [&](uint32_t a, uint32_t b) { return texts[a] < texts[b]; });
  std::vector<uint64_t> ranks(texts.size());
  uint64_t next = 0;
  for (size_t i = 0; i < sorted.size(); ++i) {
    if (i > 0 && texts[sorted[i]] != texts[sorted[i - 1]])
      ++next;
    ranks[sorted[i]] = next;
  }
  return ranks;
}

} // namespace

std::vector<double> bestOfKinds(const RecordTable& table) {
  const auto& series = table.series();
  // Series that may be compared share a number.
  std::vector<size_t> kinds(series.size());
  std::map<QString, size_t> known;
  for (size_t i = 0; i < series.size(); ++i) {
    const Series& one = *series[i];
    kinds[i] = known
                   .try_emplace(QStringList{one.workloadId, one.environment, one.inputs,
                                            QString::number(one.threads),
                                            QString::number(static_cast<int>(one.regime))}
                                    .join(u'\n'),
                                known.size())
                   .first->second;
  }
  std::vector<double> best(known.size(), 0);
  table.each([&](const PackedRecord& record) {
    double& shortest = best[kinds[record.series]];
    if (record.outcome == database::Outcome::kOk && record.medianNs > 0 &&
        (shortest == 0 || record.medianNs < shortest))
      shortest = record.medianNs;
  });
  std::vector<double> result(series.size());
  for (size_t i = 0; i < series.size(); ++i)
    result[i] = best[kinds[i]];
  return result;
}

std::vector<uint32_t> numbersById(const RecordTable& table) {
  return orderOf(table, RecordFilterRow({}, 0), RecordColumn::kRecord, false);
}

std::vector<uint32_t> orderOf(const RecordTable& table, const RecordFilterRow& filter,
                              RecordColumn sortBy, bool descending) {
  // A column at a time: the loop over a million records asks nothing about the column.
  const auto keysBy = [&](const auto& keyOf) { return keysOf(table, filter, descending, keyOf); };
  SortKeys keys;
  switch (sortBy) {
  case RecordColumn::kRecord:
    keys = keysBy([](const PackedRecord& record) { return record.id; });
    break;
  case RecordColumn::kRun:
    keys = keysBy([](const PackedRecord& record) { return record.run; });
    break;
  case RecordColumn::kWorkload:
  case RecordColumn::kTarget:
    keys = keysBy([ranks = ranksOf(table, sortBy)](const PackedRecord& record) {
      return ranks[record.series];
    });
    break;
  case RecordColumn::kOutcome:
    keys = keysBy([](const PackedRecord& record) { return static_cast<uint64_t>(record.outcome); });
    break;
  case RecordColumn::kMarks: {
    // Two kinds of record in each series: those that a run ended with have one mark more.
    std::vector<uint64_t> sizes;
    for (const auto& series : table.series())
      for (const auto purpose : {database::Purpose::kSearch, database::Purpose::kConfirm})
        sizes.push_back(
            static_cast<uint64_t>(seriesMarks(*series, purpose, filter.context()).size()));
    keys = keysBy([&](const PackedRecord& entry) {
      const QStringList tags = tagsOf(entry, filter.context());
      return sizes[2 * entry.series + (entry.purpose == database::Purpose::kConfirm ? 1 : 0)] +
             (tags.isEmpty() ? 0 : 1000 + static_cast<uint64_t>(tags.join(u' ').size()));
    });
    break;
  }
  case RecordColumn::kRatio:
    keys = keysBy([times = baselineTimes(table, filter.context())](const PackedRecord& record) {
      return ascendingKey(record.medianNs / times[record.series]);
    });
    break;
  case RecordColumn::kMeasured:
    keys = keysBy([](const PackedRecord& record) {
      return static_cast<uint64_t>(std::max<int64_t>(record.measuredAt, 0));
    });
    break;
  case RecordColumn::kTime:
    keys = keysBy([](const PackedRecord& record) { return ascendingKey(record.medianNs); });
    break;
  default:
    keys = keysBy(
        [&](const PackedRecord& record) { return ascendingKey(numberOf(table, record, sortBy)); });
  }
  sortByKey(keys.keys.get(), keys.known);
  std::vector<uint32_t> order = std::move(keys.known);
  order.insert(order.end(), keys.unknown.begin(), keys.unknown.end());
  return order;
}

} // namespace temper::gui
