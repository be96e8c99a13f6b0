#include "gui/core/record_filter.h"

#include "gui/core/format.h"
#include "ir/support/quantities.h"

#include <QDateTime>
#include <QRegularExpression>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace temper::gui {

namespace {

QString marksText(const Series& series, const PackedRecord& record,
                  const std::vector<QString>& stale) {
  QStringList words;
  if (record.purpose == database::Purpose::kConfirm)
    words << QStringLiteral("final");
  if (series.unchecked)
    words << QStringLiteral("unchecked");
  if (std::find(stale.begin(), stale.end(), series.toolchain) != stale.end())
    words << QStringLiteral("stale");
  if (series.regime == database::TimingRegime::kCold)
    words << QStringLiteral("cold");
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

} // namespace

QString columnTitle(RecordColumn column) {
  static const char* const titles[kRecordColumns] = {"record", "workload", "outcome", "time",
                                                     "95 %",   "rate",     "threads", "target",
                                                     "run",    "measured", "marks"};
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
    return QStringLiteral("final, stale, cold, unchecked; !stale is the others");
  }
  return {};
}

bool isNumeric(RecordColumn column) {
  return column == RecordColumn::kTime || column == RecordColumn::kInterval ||
         column == RecordColumn::kRate || column == RecordColumn::kThreads;
}

QString cellText(const RecordTable& table, const PackedRecord& record, RecordColumn column,
                 const std::vector<QString>& stale) {
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
  case RecordColumn::kInterval:
    return halfWidthText(record.medianNs, record.lowNs, record.highNs);
  case RecordColumn::kRate:
    return gflops(series.flops, record.medianNs) > 0 ? rateText(series.flops, record.medianNs)
                                                     : QString();
  case RecordColumn::kThreads:
    return QString::number(series.threads);
  case RecordColumn::kTarget:
    return toQString(short_target(series.target.toStdString()));
  case RecordColumn::kRun:
    return shortId(idText(database::Kind::kRun, record.run));
  case RecordColumn::kMeasured:
    return dateText(record.measuredAt);
  case RecordColumn::kMarks:
    return marksText(series, record, stale);
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

RecordFilterRow::RecordFilterRow(const FilterText& texts, int64_t nowNs,
                                 std::vector<QString> staleToolchains)
    : stale_(std::move(staleToolchains)) {
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
    static const QRegularExpression unit(QStringLiteral("\\s*(%|GFLOP/s)\\s*$"));
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

std::vector<bool> RecordFilterRow::possibleSeries(const RecordTable& table) const {
  std::vector<bool> possible(table.series().size(), true);
  PackedRecord record;
  for (size_t i = 0; i < possible.size(); ++i) {
    record.series = static_cast<uint32_t>(i);
    for (const auto& [column, words] : seriesWords_)
      possible[i] = possible[i] && words.matches(cellText(table, record, column, stale_));
  }
  return possible;
}

bool RecordFilterRow::matches(const RecordTable& table, const PackedRecord& record,
                              const std::vector<bool>& possible) const {
  if (!possible[record.series])
    return false;
  const auto has = [&](const auto& ids) {
    return !ids || std::binary_search(ids->begin(), ids->end(), record.id);
  };
  if (!has(only_) || !has(brush_))
    return false;
  for (const auto& [column, range] : ranges_) {
    const double value = numberOf(table, record, column);
    if (!(value >= range.low && value <= range.high)) // what is not known matches nothing
      return false;
  }
  return std::all_of(recordWords_.begin(), recordWords_.end(), [&](const auto& entry) {
    return entry.second.matches(cellText(table, record, entry.first, stale_));
  });
}

bool RecordFilterRow::matches(const RecordTable& table, const PackedRecord& record) const {
  return matches(table, record, possibleSeries(table));
}

std::vector<uint32_t> orderOf(const RecordTable& table, const RecordFilterRow& filter,
                              RecordColumn sortBy, bool descending) {
  const std::vector<bool> possible = filter.possibleSeries(table);
  std::vector<uint32_t> order;
  for (uint32_t i = 0; i < table.size(); ++i)
    if (filter.matches(table, table.at(i), possible))
      order.push_back(i);

  // One number per record to sort by; texts of series by their rank.
  std::vector<uint32_t> rank;
  if (isOfSeries(sortBy)) {
    std::vector<QString> texts;
    PackedRecord record;
    for (size_t i = 0; i < table.series().size(); ++i) {
      record.series = static_cast<uint32_t>(i);
      texts.push_back(cellText(table, record, sortBy));
    }
    std::vector<uint32_t> sorted(texts.size());
    std::iota(sorted.begin(), sorted.end(), 0u);
    std::sort(sorted.begin(), sorted.end(),
              [&](uint32_t a, uint32_t b) { return texts[a] < texts[b]; });
    rank.resize(texts.size());
    uint32_t next = 0;
    for (size_t i = 0; i < sorted.size(); ++i) {
      if (i > 0 && texts[sorted[i]] != texts[sorted[i - 1]])
        ++next;
      rank[sorted[i]] = next;
    }
  }
  struct Entry {
    double key;
    uint32_t index;
  };
  std::vector<Entry> entries;
  entries.reserve(order.size());
  for (const uint32_t index : order) {
    const PackedRecord& record = table.at(index);
    double key = 0;
    switch (sortBy) {
    case RecordColumn::kRecord:
      key = static_cast<double>(record.id);
      break;
    case RecordColumn::kRun:
      key = static_cast<double>(record.run);
      break;
    case RecordColumn::kWorkload:
    case RecordColumn::kTarget:
      key = rank[record.series];
      break;
    case RecordColumn::kOutcome:
      key = static_cast<double>(record.outcome);
      break;
    case RecordColumn::kMarks:
      key = static_cast<double>(marksText(table.seriesOf(record), record, {}).size());
      break;
    default:
      key = numberOf(table, record, sortBy);
    }
    entries.push_back({key, index});
  }
  // What is not known comes last, whichever way.
  std::stable_sort(entries.begin(), entries.end(), [descending](const Entry& a, const Entry& b) {
    const bool knownA = !std::isnan(a.key), knownB = !std::isnan(b.key);
    if (knownA != knownB)
      return knownA;
    return knownA && (descending ? a.key > b.key : a.key < b.key);
  });
  for (size_t i = 0; i < entries.size(); ++i)
    order[i] = entries[i].index;
  return order;
}

} // namespace temper::gui
