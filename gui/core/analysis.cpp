#include "gui/core/analysis.h"

#include "gui/core/format.h"
#include "gui/core/workers.h"
#include "ir/support/quantities.h"
#include "ir/support/statistics.h"
#include "ir/support/target_text.h"

#include <QCoreApplication>
#include <QPointer>
#include <QThreadPool>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

namespace temper::gui {

namespace {

constexpr int kPauseMs = 30;
constexpr int64_t kMostPrograms = 300'000; ///< of a workload
constexpr size_t kMostTicks = 12;

/// Ranks of times as 0 to 1; NaN where there is none.
std::vector<float> tonesOf(const std::vector<double>& ns) {
  std::vector<uint32_t> order;
  for (uint32_t i = 0; i < ns.size(); ++i)
    if (ns[i] > 0)
      order.push_back(i);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return ns[a] < ns[b]; });
  std::vector<float> tones(ns.size(), std::numeric_limits<float>::quiet_NaN());
  for (size_t i = 0; i < order.size(); ++i)
    tones[order[i]] =
        order.size() < 2 ? 0.f : static_cast<float>(i) / static_cast<float>(order.size() - 1);
  return tones;
}

QString numberLabel(double value) {
  return value == std::floor(value) && std::abs(value) < 1e9 ? QString::number(value, 'f', 0)
                                                             : QString::number(value, 'g', 3);
}

/// Numbers at 1, 2 and 5 of each decade between two, or, where those are fewer than three, at equal
/// steps.
std::vector<double> niceNumbers(double low, double high) {
  std::vector<double> numbers;
  for (double decade = std::pow(10, std::floor(std::log10(low))); decade <= high; decade *= 10)
    for (const double part : {1.0, 2.0, 5.0})
      if (decade * part >= low * 0.9999 && decade * part <= high * 1.0001)
        numbers.push_back(decade * part);
  if (numbers.size() >= 3)
    return numbers;
  const double rough = (high - low) / 4;
  const double decade = std::pow(10, std::floor(std::log10(rough)));
  const double step = rough < 2 * decade   ? decade * 2
                      : rough < 5 * decade ? decade * 5
                                           : decade * 10;
  numbers.clear();
  for (double at = std::ceil(low / step) * step; at <= high * 1.0001; at += step)
    numbers.push_back(at);
  return numbers;
}

/// "2 ms", for an axis.
QString shortTime(double ns) {
  const double unit = ns < 1e3 ? 1 : ns < 1e6 ? 1e3 : ns < 1e9 ? 1e6 : 1e9;
  return QString::number(ns / unit, 'g', 4) + u' ' +
         QString::fromUtf8(unit == 1     ? "ns"
                           : unit == 1e3 ? "µs"
                           : unit == 1e6 ? "ms"
                                         : "s");
}

/// Few values stand at equal distances, many along a logarithmic or straight axis.
PlotAxis decisionAxis(const DecisionTable::Column& column, const std::vector<float>& values,
                      std::vector<float>& places) {
  PlotAxis axis;
  axis.name = column.name;
  axis.decision = column.decision;
  axis.words = column.words;
  std::map<float, float> distinct;
  for (const float value : values) {
    if (std::isnan(value))
      axis.hasAbsent = true;
    else if (distinct.size() <= 64)
      distinct.emplace(value, 0.f);
  }
  places.assign(values.size(), kAbsentPlace);
  if (distinct.size() <= 64) {
    const auto last = static_cast<float>(std::max<size_t>(1, distinct.size() - 1));
    float next = 0;
    for (auto& [value, place] : distinct)
      place = distinct.size() == 1 ? 0.5f : next++ / last;
    const size_t step = (distinct.size() + kMostTicks - 1) / kMostTicks;
    size_t number = 0;
    for (const auto& [value, place] : distinct)
      if (number++ % step == 0 || place == 1.f)
        axis.ticks.emplace_back(place, axis.textOf(value));
    if (axis.ticks.size() > 2 && step > 1 &&
        axis.ticks.back().first - axis.ticks[axis.ticks.size() - 2].first < 0.04f)
      axis.ticks.erase(axis.ticks.end() - 2);
    for (size_t i = 0; i < values.size(); ++i)
      if (!std::isnan(values[i]))
        places[i] = distinct.at(values[i]);
    return axis;
  }
  float low = std::numeric_limits<float>::infinity(), high = -low;
  for (const float value : values)
    if (!std::isnan(value)) {
      low = std::min(low, value);
      high = std::max(high, value);
    }
  const bool logarithmic = low > 0 && high / low > 30;
  const auto placeOf = [&](float value) {
    return logarithmic ? std::log(value / low) / std::log(high / low)
                       : (value - low) / (high - low);
  };
  for (size_t i = 0; i < values.size(); ++i)
    if (!std::isnan(values[i]))
      places[i] = placeOf(values[i]);
  for (int i = 0; i <= 4; ++i) {
    const double share = i / 4.0;
    axis.ticks.emplace_back(static_cast<float>(share),
                            numberLabel(logarithmic
                                            ? std::round(low * std::pow(double(high) / low, share))
                                            : low + (double(high) - low) * share));
  }
  return axis;
}

/// Where an axis of times ends: a few that are much slower than all others would take all of it.
double endOfTimes(const std::vector<double>& ns) {
  std::vector<double> times;
  for (const double value : ns)
    if (value > 0)
      times.push_back(value);
  if (times.empty())
    return 0;
  const double slowest = *std::max_element(times.begin(), times.end());
  constexpr size_t kFewest = 40;
  if (times.size() < kFewest)
    return slowest;
  const auto most = times.begin() + static_cast<ptrdiff_t>(times.size() * 98 / 100);
  std::nth_element(times.begin(), most, times.end());
  const double end = 1.5 * *most;
  return slowest > 1.5 * end ? end : slowest;
}

/// The fastest at the top; what is beyond the end stands at the bottom, and is counted there.
PlotAxis timeAxis(const std::vector<double>& ns, std::vector<float>& places) {
  PlotAxis axis;
  axis.name = QStringLiteral("time");
  axis.kind = PlotAxis::Kind::kTime;
  double low = std::numeric_limits<double>::infinity(), high = endOfTimes(ns);
  int64_t beyond = 0;
  for (const double value : ns)
    if (value > 0) {
      low = std::min(low, value);
      beyond += value > high ? 1 : 0;
    } else {
      axis.hasAbsent = true;
    }
  places.assign(ns.size(), kAbsentPlace);
  if (!(high > 0))
    return axis;
  if (high <= low)
    high = low * 1.001;
  const double span = std::log(high / low);
  for (size_t i = 0; i < ns.size(); ++i)
    if (ns[i] > 0)
      places[i] = std::max(0.f, static_cast<float>(1 - std::log(ns[i] / low) / span));
  if (beyond > 0)
    axis.ticks.emplace_back(0.f, QStringLiteral("%1 slower").arg(beyond));
  constexpr double kRoom = 0.07; // for that text
  const std::vector<double> numbers = niceNumbers(low, high);
  for (size_t i = numbers.size(); i-- > 0;)
    if (beyond == 0 || 1 - std::log(numbers[i] / low) / span > kRoom)
      axis.ticks.emplace_back(static_cast<float>(1 - std::log(numbers[i] / low) / span),
                              shortTime(numbers[i]));
  return axis;
}

PlotAxis predictedAxis(const std::vector<double>& scores, std::vector<float>& places) {
  std::vector<float> values(scores.begin(), scores.end());
  PlotAxis axis;
  axis.kind = PlotAxis::Kind::kPredicted;
  axis.name = QStringLiteral("predicted");
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const double value : scores)
    if (!std::isnan(value)) {
      low = std::min(low, value);
      high = std::max(high, value);
    } else {
      axis.hasAbsent = true;
    }
  places.assign(scores.size(), kAbsentPlace);
  if (!(high > low))
    high = low + 1e-6;
  for (size_t i = 0; i < scores.size(); ++i)
    if (!std::isnan(scores[i]))
      places[i] = static_cast<float>((scores[i] - low) / (high - low));
  const double rough = (high - low) / 4, decade = std::pow(10, std::floor(std::log10(rough)));
  const double step = rough < 2 * decade   ? decade * 2
                      : rough < 5 * decade ? decade * 5
                                           : decade * 10;
  for (double at = std::ceil(low / step) * step; at <= high; at += step)
    axis.ticks.emplace_back(static_cast<float>((at - low) / (high - low)),
                            QString::number(std::abs(at) < step / 100 ? 0 : at, 'g', 3));
  return axis;
}

/// Spearman's, of what was predicted and measured.
double correlationOf(const std::vector<double>& scores, const std::vector<double>& ns) {
  std::vector<double> a, b;
  for (size_t i = 0; i < scores.size(); ++i)
    if (!std::isnan(scores[i]) && ns[i] > 0) {
      a.push_back(scores[i]);
      b.push_back(-ns[i]);
    }
  return a.size() < 3 ? database::kUnknown : rank_correlation(a, b);
}

/// Which predictions are of the second half of those of their run.
std::vector<uint8_t> lateOf(const RecordTable& table, const std::vector<uint32_t>& rows,
                            const std::vector<double>& predicted) {
  std::map<uint64_t, std::vector<int32_t>> sequences; // of a run's predictions
  for (size_t i = 0; i < rows.size(); ++i)
    if (!std::isnan(predicted[i]))
      sequences[table.at(rows[i]).run].push_back(table.at(rows[i]).sequence);
  std::map<uint64_t, int32_t> half;
  for (auto& [run, of] : sequences) {
    const auto middle = of.begin() + static_cast<ptrdiff_t>(of.size() / 2);
    std::nth_element(of.begin(), middle, of.end());
    half[run] = *middle;
  }
  std::vector<uint8_t> late(rows.size(), 0);
  for (size_t i = 0; i < rows.size(); ++i)
    if (const auto of = half.find(table.at(rows[i]).run); of != half.end())
      late[i] = table.at(rows[i]).sequence >= of->second ? 1 : 0;
  return late;
}

std::shared_ptr<PlotData> plotOf(const RecordTable& table, const std::vector<uint32_t>& rows,
                                 const Series& series, const DecisionTable* decisions,
                                 size_t mostAxes) {
  auto data = std::make_shared<PlotData>();
  data->series = series;
  const bool known = decisions && decisions->workload == series.workloadId;
  const size_t columns = known ? decisions->columns.size() : 0;
  std::vector<std::vector<float>> values(columns);
  for (const uint32_t index : rows) {
    const PackedRecord& record = table.at(index);
    const int64_t row = known ? decisions->rowOf(record.id) : -1;
    const bool timed = record.medianNs > 0;
    data->failed += timed ? 0 : 1;
    data->isUndecided.push_back(row < 0 ? 1 : 0);
    data->undecided += row < 0 ? 1 : 0;
    data->records.push_back(record.id);
    data->timeNs.push_back(timed ? record.medianNs : database::kUnknown);
    data->predicted.push_back(row < 0 ? database::kUnknown
                                      : decisions->predicted[static_cast<size_t>(row)]);
    for (size_t c = 0; c < columns; ++c)
      values[c].push_back(row < 0 ? std::numeric_limits<float>::quiet_NaN()
                                  : decisions->columns[c].values[static_cast<size_t>(row)]);
  }
  data->tones = tonesOf(data->timeNs);
  data->late = lateOf(table, rows, data->predicted);
  std::vector<size_t> kept;
  for (size_t c = 0; c < columns; ++c) {
    // What is the same in all that the filter leaves tells nothing.
    const std::vector<float>& column = values[c];
    if (!std::all_of(column.begin(), column.end(), [&](float value) {
          return value == column.front() || (std::isnan(value) && std::isnan(column.front()));
        }))
      kept.push_back(c);
  }
  if (kept.size() > mostAxes) {
    data->hiddenAxes = kept.size() - mostAxes;
    std::vector<double> explained(columns, 0.0);
    for (const size_t c : kept)
      explained[c] = explainedAlone(values[c], data->timeNs);
    std::stable_sort(kept.begin(), kept.end(),
                     [&](size_t a, size_t b) { return explained[a] > explained[b]; });
    kept.resize(mostAxes);
    std::sort(kept.begin(), kept.end()); // as in the trace
  }
  for (const size_t c : kept) {
    const std::vector<float>& column = values[c];
    data->places.emplace_back();
    data->axes.push_back(decisionAxis(decisions->columns[c], column, data->places.back()));
    data->values.push_back(std::move(values[c]));
  }
  if (std::any_of(data->predicted.begin(), data->predicted.end(),
                  [](double score) { return !std::isnan(score); })) {
    data->places.emplace_back();
    data->axes.push_back(predictedAxis(data->predicted, data->places.back()));
    data->rankCorrelation = correlationOf(data->predicted, data->timeNs);
  }
  data->places.emplace_back();
  data->axes.push_back(timeAxis(data->timeNs, data->places.back()));
  return data;
}

std::shared_ptr<RooflineData> rooflineOf(const RecordTable& table, const RecordFilterRow& filter,
                                         const Series& machine) {
  auto data = std::make_shared<RooflineData>();
  data->machine = machine;
  RecordFilterRow::Prepared possible = filter.prepare(table);
  // Versions of a workload and toolchains share a column: which is which says the tip.
  std::map<std::pair<QString, double>, uint32_t> kernels;
  std::vector<int64_t> kernelOfSeries(table.series().size(), -2);
  for (size_t i = 0; i < table.series().size(); ++i) {
    const Series& series = *table.series()[i];
    if (!series.isSameMachine(machine))
      continue;
    kernelOfSeries[i] = -1;
    if (!(series.flops > 0) || !(series.bytes > 0))
      continue;
    const QString name = (series.workload + u' ' + series.shape).trimmed();
    const auto [kernel, isNew] = kernels.try_emplace({name, series.flops / series.bytes},
                                                     static_cast<uint32_t>(data->kernels.size()));
    if (isNew)
      data->kernels.push_back({name, series.flops / series.bytes, 0, 0,
                               QString::fromLatin1(rate_unit(series.binding))});
    kernelOfSeries[i] = kernel->second;
  }
  std::vector<double> ratios;
  for (uint32_t i = 0; i < table.size(); ++i) {
    const PackedRecord& record = table.at(i);
    const int64_t kernel = kernelOfSeries[record.series];
    if (kernel == -2 || !(record.medianNs > 0) || !filter.matches(table, record, possible))
      continue;
    if (kernel == -1) {
      ++data->without;
      continue;
    }
    const double flops = table.seriesOf(record).flops / record.medianNs * 1e9;
    RooflineData::Kernel& of = data->kernels[static_cast<size_t>(kernel)];
    if (record.outcome == database::Outcome::kOk && flops > of.flops) {
      of.flops = flops;
      of.best = record.id;
    }
    data->records.push_back(record.id);
    data->kernelOf.push_back(static_cast<uint32_t>(kernel));
    data->flops.push_back(flops);
  }
  // By how far from the best of its kernel.
  for (size_t i = 0; i < data->records.size(); ++i) {
    const double best = data->kernels[data->kernelOf[i]].flops;
    data->tones.push_back(
        best > 0 ? static_cast<float>(std::clamp(std::log2(best / data->flops[i]) / 5, 0.0, 1.0))
                 : 1.f);
  }
  return data;
}

} // namespace

QString PlotAxis::textOf(double value) const {
  if (std::isnan(value))
    return QStringLiteral("absent");
  const auto number = static_cast<qsizetype>(value);
  return value >= 0 && number < words.size() ? words[number] : numberLabel(value);
}

std::optional<float> PlotData::placeOf(size_t axis, double value) const {
  const std::vector<float>& column = values[axis];
  for (size_t row = 0; row < column.size(); ++row)
    if (column[row] == static_cast<float>(value) || (std::isnan(column[row]) && std::isnan(value)))
      return places[axis][row];
  return std::nullopt;
}

int PlotData::rowOf(uint64_t record) const {
  const auto at = std::find(records.begin(), records.end(), record);
  return at == records.end() ? -1 : static_cast<int>(at - records.begin());
}

QString PlotData::valueText(size_t axis, size_t row) const {
  switch (axes[axis].kind) {
  case PlotAxis::Kind::kTime:
    return timeNs[row] > 0 ? timeText(timeNs[row]) : QStringLiteral("none");
  case PlotAxis::Kind::kPredicted:
    return std::isnan(predicted[row]) ? QStringLiteral("none")
                                      : QString::number(predicted[row], 'f', 3);
  case PlotAxis::Kind::kDecision:
    break;
  }
  return axes[axis].textOf(values[axis][row]);
}

struct Analysis::Work {
  // In
  RecordTable table;
  RecordFilterRow filter{FilterText{}, 0};
  View view = View::kNone;
  int chosen = -1;
  uint64_t followed = 0;
  bool allAxes = false;
  std::shared_ptr<const DecisionTable> decisions;
  QString key;
  // Out
  int series = -1;
  std::vector<Choice> choices;
  int64_t recordsOfWorkload = 0;
  std::shared_ptr<const PlotData> data;
  std::shared_ptr<const RooflineData> roofline;
  std::shared_ptr<const ImportanceResult> importance;
  std::shared_ptr<const ModelErrors> errors;

  void run() {
    RecordFilterRow::Prepared possible = filter.prepare(table);
    std::vector<int64_t> counts(table.series().size(), 0), all(counts);
    std::vector<uint8_t> matching(table.size(), 0);
    const bool open = filter.isOpen();
    uint32_t i = 0;
    table.each([&](const PackedRecord& record) {
      ++all[record.series];
      if (record.id == followed && followed != 0 && chosen < 0)
        series = static_cast<int>(record.series);
      if (open || filter.matches(table, record, possible)) {
        matching[i] = 1;
        ++counts[record.series];
      }
      ++i;
    });
    for (uint32_t i = 0; i < counts.size(); ++i)
      if (all[i] > 0)
        choices.push_back({i, seriesText(*table.series()[i]), all[i]});
    std::stable_sort(choices.begin(), choices.end(),
                     [](const Choice& a, const Choice& b) { return a.records > b.records; });
    // Two that differ in the compiler or in what a target may do are told apart by it.
    std::map<QString, int> same;
    for (const Choice& choice : choices)
      ++same[choice.text];
    for (Choice& choice : choices)
      if (same[choice.text] > 1)
        choice.text +=
            QStringLiteral(", toolchain %1").arg(shortId(table.series()[choice.series]->toolchain));
    if (chosen >= 0 && chosen < static_cast<int>(counts.size()))
      series = chosen;
    if (series < 0 && !counts.empty())
      series = static_cast<int>(std::max_element(counts.begin(), counts.end()) - counts.begin());
    if (series < 0)
      return;
    const Series& of = *table.series()[static_cast<size_t>(series)];
    for (size_t i = 0; i < all.size(); ++i)
      if (table.series()[i]->workloadId == of.workloadId)
        recordsOfWorkload += all[i];
    if (view == View::kRoofline) {
      roofline = rooflineOf(table, filter, of);
      return;
    }
    std::vector<uint32_t> rows;
    rows.reserve(static_cast<size_t>(counts[static_cast<size_t>(series)]));
    for (uint32_t i = 0; i < table.size(); ++i)
      if (matching[i] && static_cast<int>(table.at(i).series) == series)
        rows.push_back(i);
    data = plotOf(table, rows, of, decisions.get(),
                  allAxes || view == View::kImportance || view == View::kErrors ? 1000 : kMostAxes);
    if (view == View::kImportance) {
      // Predictions are no decisions, and the time is what is explained.
      std::vector<size_t> decisionOf;
      for (size_t axis = 0; axis < data->values.size(); ++axis)
        decisionOf.push_back(data->axes[axis].decision);
      // The untuned program decides nothing, and is often slower than all that do.
      std::vector<double> ns = data->timeNs;
      for (size_t row = 0; row < ns.size(); ++row)
        if (data->isUndecided[row] != 0)
          ns[row] = database::kUnknown;
      importance = std::make_shared<ImportanceResult>(importanceOf(data->values, decisionOf, ns));
    }
    if (view == View::kErrors)
      errors =
          std::make_shared<ModelErrors>(modelErrorsOf(data->values, data->predicted, data->timeNs));
  }
};

Analysis::Analysis(RecordModel& records, QString database, QObject* parent)
    : QObject(parent), records_(records), database_(std::move(database)) {
  soon_.setSingleShot(true);
  soon_.setInterval(kPauseMs);
  connect(&soon_, &QTimer::timeout, this, &Analysis::start);
  connect(&records_, &RecordModel::orderChanged, this, [this] {
    if (view_ != View::kNone && !soon_.isActive())
      soon_.start();
  });
}

Analysis::~Analysis() = default;

QString Analysis::seriesText(const Series& series) {
  return QStringLiteral("%1%2 · %3%4")
      .arg(series.workload, series.shape.isEmpty() ? QString() : u' ' + series.shape,
           toQString(target_and_threads(short_target(series.target.toStdString()), series.threads)),
           series.regime == database::TimingRegime::kCold ? QStringLiteral(", cold caches")
                                                          : QString());
}

void Analysis::want(View view) {
  if (view == view_)
    return;
  view_ = view;
  if (view != View::kNone)
    start();
}

void Analysis::follow(const QString& record) {
  const uint64_t digits = idDigits(record);
  if (digits == followed_ || digits == 0)
    return;
  followed_ = digits;
  if (view_ != View::kNone && chosen_ < 0)
    start();
}

void Analysis::choose(int series) {
  if (series == chosen_)
    return;
  chosen_ = series;
  clearBrushes();
  if (view_ != View::kNone)
    start();
}

void Analysis::setAllAxes(bool all) {
  if (all == allAxes_)
    return;
  allAxes_ = all;
  start();
}

void Analysis::start() {
  if (view_ == View::kNone)
    return;
  if (working_) {
    again_ = true;
    return;
  }
  again_ = false;
  auto work = std::make_shared<Work>();
  work->table = records_.table();
  work->filter = records_.filterOfPlots();
  work->view = view_;
  work->chosen = chosen_;
  work->followed = followed_;
  work->allAxes = allAxes_;
  work->decisions = decisions_;
  work->key = QStringLiteral("%1 %2 %3 %4 %5 %6 %7")
                  .arg(work->table.size())
                  .arg(records_.filterVersion())
                  .arg(static_cast<int>(view_))
                  .arg(chosen_)
                  .arg(chosen_ < 0 ? followed_ : 0)
                  .arg(reinterpret_cast<quintptr>(decisions_.get()))
                  .arg(allAxes_);
  if (work->key == done_)
    return;
  if (view_ == View::kRoofline)
    askMachine();
  working_ = true;
  emit busyChanged();
  QPointer<Analysis> self(this);
  workers().start([self, work] {
    work->run();
    QMetaObject::invokeMethod(
        QCoreApplication::instance(),
        [self, work] {
          if (self)
            self->finish(work);
        },
        Qt::QueuedConnection);
  });
}

void Analysis::finish(std::shared_ptr<Work> work) {
  working_ = false;
  done_ = work->key;
  choices_ = std::move(work->choices);
  if (work->series != series_) {
    series_ = work->series;
    brushes_.clear(); // of other axes
    records_.setBrush(nullptr);
  }
  if (work->roofline)
    roofline_ = work->roofline;
  if (work->data) {
    data_ = work->data;
    const QString& workload = data_->series.workloadId;
    if (!reading_ &&
        (!decisions_ || decisions_->workload != workload || work->recordsOfWorkload > decisionsOf_))
      readDecisions(workload, work->recordsOfWorkload);
  } else if (work->series < 0) {
    data_.reset();
    roofline_.reset();
  }
  if (work->importance)
    importance_ = work->importance;
  if (work->errors)
    errors_ = work->errors;
  applyBrushes();
  emit choicesChanged();
  emit dataChanged();
  emit busyChanged();
  if (again_)
    start();
}

void Analysis::readDecisions(const QString& workload, int64_t records) {
  if (!client_)
    client_ = std::make_unique<StoreClient>(database_);
  reading_ = true;
  decisionsOf_ = records;
  using Table = std::shared_ptr<const DecisionTable>;
  StoreClient* client = client_.get();
  client_->ask<Table>(
      QStringLiteral("decisions"), this,
      [client, workload](database::Store& store) -> Result<Table> {
        DecisionReader reader;
        int64_t left = kMostPrograms;
        TEMPER_TRY_VOID(store.measured_programs(
            workload.toStdString(), [&](const database::MeasuredProgram& program) {
              reader.add(idDigits(toQString(program.record)), program.program,
                         program.predicted_score);
              return --left > 0 && !client->isEnding();
            }));
        return reader.finish(workload);
      },
      [this](const Result<Table>& table) {
        reading_ = false;
        message_ = table ? QString() : sentence(table.error());
        if (table)
          decisions_ = *table;
        emit busyChanged();
        start();
      });
}

void Analysis::askMachine() {
  if (machine_ || session_)
    return;
  session_ = std::make_unique<TemperSession>(database_);
  session_->ask(QStringLiteral("machine"), Json{{"do", "machine"}},
                [this](const Json& answer, const QString& error) {
                  session_.release()->deleteLater(); // it is at work on this answer
                  if (!error.isEmpty()) {
                    message_ = error.section(u'\n', 0, 0);
                    emit machineChanged();
                    return;
                  }
                  MachineLimits machine;
                  machine.environment = toQString(answer.value("environment", std::string()));
                  machine.toolchain = toQString(answer.value("toolchain", std::string()));
                  const Json speed = answer.value("speed", Json::object());
                  machine.flops = speed.value("f32_flops", 0.0);
                  for (const Json& level : speed.value("levels", Json::array())) {
                    const int number = level.value("level", 0);
                    machine.levels.push_back(
                        {number > 0 ? QStringLiteral("L%1").arg(number) : tr("memory"),
                         level.value("bytes", 0.0), level.value("bytes_per_s", 0.0)});
                  }
                  machine_ = std::move(machine);
                  emit machineChanged();
                });
}

void Analysis::brush(const QString& axis, float low, float high) {
  brushes_[axis] = {std::min(low, high), std::max(low, high)};
  applyBrushes();
}

void Analysis::unbrush(const QString& axis) {
  if (brushes_.erase(axis) > 0)
    applyBrushes();
}

void Analysis::clearBrushes() {
  if (brushes_.empty())
    return;
  brushes_.clear();
  applyBrushes();
}

void Analysis::applyBrushes() {
  std::shared_ptr<std::vector<uint8_t>> on;
  std::shared_ptr<std::vector<uint64_t>> ids;
  if (data_)
    for (size_t axis = 0; axis < data_->axes.size(); ++axis) {
      const auto brush = brushes_.find(data_->axes[axis].name);
      if (brush == brushes_.end())
        continue;
      if (!on)
        on = std::make_shared<std::vector<uint8_t>>(data_->records.size(), 1);
      const auto [low, high] = brush->second;
      const std::vector<float>& places = data_->places[axis];
      for (size_t row = 0; row < places.size(); ++row)
        if (places[row] < low || places[row] > high)
          (*on)[row] = 0;
    }
  if (on) {
    ids = std::make_shared<std::vector<uint64_t>>();
    for (size_t row = 0; row < on->size(); ++row)
      if ((*on)[row])
        ids->push_back(data_->records[row]);
    std::sort(ids->begin(), ids->end());
  }
  const bool changed = (on != nullptr) != (on_ != nullptr) || (on && *on != *on_);
  on_ = on;
  if (changed) {
    records_.setBrush(ids);
    emit brushChanged();
  }
}

} // namespace temper::gui
