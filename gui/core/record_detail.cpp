#include "gui/core/record_detail.h"

#include "database/record_log.h"
#include "gui/core/code_loader.h"
#include "gui/core/counters.h"
#include "gui/core/format.h"
#include "gui/core/json_entry.h"
#include "ir/support/json.h"
#include "ir/support/quantities.h"
#include "ir/support/target_text.h"

#include <cmath>

namespace temper::gui {

namespace {

int64_t integerIn(const Json& json, const char* name) {
  const auto entry = json.is_object() ? json.find(name) : json.end();
  return json.is_object() && entry != json.end() && entry->is_number_integer()
             ? entry->get<int64_t>()
             : 0;
}

/// Of a GPU; empty of a processor.
QString driverOf(const database::Environment& environment) {
  const auto json = parse_json(environment.json);
  return json && json->is_object() ? textIn(json->value("detail", Json::object()), "driver")
                                   : QString();
}

/// What the machine code for a GPU needs and does.
std::vector<std::pair<QString, QString>> gpuFacts(const Json& code, const QString& target) {
  const auto count = [&](const char* name, const char* noun) {
    return countText(code.value(name, int64_t{0}), noun);
  };
  QStringList machineCode{count("instructions", "instruction"),
                          count("registers", "register") + QStringLiteral(" of a thread"),
                          count("shared_bytes", "byte") + QStringLiteral(" of shared memory"),
                          code.value("spilled_bytes", int64_t{0}) > 0
                              ? count("spilled_bytes", "byte") + QStringLiteral(" spilled")
                              : QStringLiteral("no spills")};
  if (code.value("stack_bytes", int64_t{0}) > 0)
    machineCode << count("stack_bytes", "byte") + QStringLiteral(" of stack");
  QStringList operations, warnings;
  const Json counts = code.value("operations", Json::object());
  for (const auto& [name, number] : counts.items())
    if (number.is_number_integer())
      operations << QStringLiteral("%1 %2").arg(number.get<int64_t>()).arg(toQString(name));
  for (const Json& warning : code.value("warnings", Json::array()))
    if (warning.is_string())
      warnings << toQString(warning.get<std::string>());
  const bool amd = target.startsWith(QStringLiteral("hip"));
  return {{QStringLiteral("machine code"), machineCode.join(QStringLiteral(", "))},
          {QStringLiteral("occupancy"),
           QStringLiteral("%1 on a %2, by its %3")
               .arg(count("resident_blocks", "block"),
                    amd ? QStringLiteral("compute unit") : QStringLiteral("multiprocessor"),
                    textIn(code, "limited_by"))},
          {levelTitle(CodeLevel::kPtx, target), operations.join(QStringLiteral(", "))},
          {QStringLiteral("warning"), warnings.join(QStringLiteral("; "))}};
}

} // namespace

Result<RecordDetail> loadDetail(database::Store& store, const database::Id& id) {
  RecordDetail detail;
  TEMPER_TRY(row, store.record_row(id));
  TEMPER_TRY(measurement, store.measurement(id));
  TEMPER_TRY(candidate, store.candidate(measurement.candidate));
  TEMPER_TRY(workload, store.workload(measurement.workload));
  TEMPER_TRY(run, store.run(measurement.run));
  TEMPER_TRY(tags, store.tags(id));
  TEMPER_TRY(notes, store.notes(id));
  database::RecordFilter filter = database::same_conditions(row);
  filter.current_toolchains = {row.toolchain};
  TEMPER_TRY(best, store.best(filter));
  if (!best.empty())
    detail.best = best.front();
  if (auto environment = store.environment(measurement.environment))
    detail.environment = std::move(*environment);
  if (auto toolchain = store.toolchain(measurement.toolchain))
    detail.toolchain = std::move(*toolchain);
  detail.shortRecord = toQString(store.short_id(id).value_or(id));
  detail.shortRun = toQString(store.short_id(measurement.run).value_or(measurement.run));
  detail.shape = toQString(
      format_binding(ordered_binding(workload.binding_json, workload.parameters_json).dump()));
  detail.row = std::move(row);
  detail.measurement = std::move(measurement);
  detail.candidate = std::move(candidate);
  detail.workload = std::move(workload);
  detail.run = std::move(run);
  detail.tags = std::move(tags);
  detail.notes = std::move(notes);
  return detail;
}

QString RecordDetail::title() const {
  const QString name = toQString(row.workload_name);
  return shape.isEmpty() ? name : name + u' ' + shape;
}

QString RecordDetail::verdict() const {
  if (!(row.median_ns > 0)) {
    QString text = outcomeText(row.outcome);
    if (!measurement.error.empty())
      text += QStringLiteral(": ") + toQString(measurement.error);
    else if (row.outcome == database::Outcome::kChecked)
      text += QStringLiteral(": right where it was emulated; not timed, for want of the device");
    return text;
  }
  if (row.outcome != database::Outcome::kOk) {
    QString text = outcomeText(row.outcome);
    if (row.outcome == database::Outcome::kCensored)
      text += QStringLiteral(": timing ended early, it could not become the best");
    return text;
  }
  // Runs measure their fastest again at the end, and those numbers choose the best.
  const bool byFinals = best && best->purpose == database::Purpose::kConfirm;
  if (best && best->id == row.id)
    return byFinals ? QStringLiteral("the best of its kind by the final measurements")
                    : QStringLiteral("the best of its kind");
  if (best && best->candidate == row.candidate)
    return QStringLiteral("the best of its kind, which was measured again as %1")
        .arg(shortId(toQString(best->id)));
  if (best && best->median_ns > 0) {
    const QString text = QStringLiteral("%1\u00a0× the time of the best, %2")
                             .arg(row.median_ns / best->median_ns, 0, 'f', 3)
                             .arg(shortId(toQString(best->id)));
    // The shortest of many noisy numbers is too short.
    return byFinals && row.purpose == database::Purpose::kSearch && row.median_ns < best->median_ns
               ? text + QStringLiteral(" (a number of the search alone: final measurements choose "
                                       "the best)")
               : text;
  }
  return outcomeText(row.outcome);
}

QString RecordDetail::machineText() const {
  QStringList parts{toQString(row.environment_class)};
  if (const auto json = parse_json(environment.json); json && json->is_object()) {
    const Json stable = json->value("stable", Json::object());
    parts << textIn(stable, "cpu") << textIn(stable, "gpu");
    if (const int64_t count = integerIn(stable, "multiprocessors"); count > 0)
      parts << countText(count, "multiprocessor");
    if (const QString governor = textIn(stable, "governor"); !governor.isEmpty())
      parts << QStringLiteral("governor %1").arg(governor);
    parts << textIn(stable, "hypervisor");
  }
  if (!environment.host.empty())
    parts << QStringLiteral("host %1").arg(toQString(environment.host));
  parts.removeAll(QString());
  return parts.join(QStringLiteral(", "));
}

QString RecordDetail::systemText() const {
  const auto json = parse_json(environment.json);
  if (!json || !json->is_object())
    return {};
  const Json stable = json->value("stable", Json::object());
  const Json detail = json->value("detail", Json::object());
  QStringList parts;
  const auto add = [&](const char* words, const QString& value) {
    if (!value.isEmpty())
      parts << QString::fromLatin1(words).arg(value);
  };
  add("kernel %1", textIn(detail, "kernel"));
  add("microcode %1", textIn(stable, "microcode"));
  add("turbo %1", textIn(stable, "turbo"));
  add("huge pages %1", textIn(stable, "huge_pages"));
  add("container %1", textIn(stable, "container"));
  add("driver %1", textIn(detail, "driver"));
  return parts.join(QStringLiteral(", "));
}

QString RecordDetail::compilerText() const {
  const QString id = shortId(toQString(row.toolchain));
  const auto json = parse_json(toolchain.json);
  const QString name = json ? textIn(*json, "compiler") : QString();
  const QString options = json ? textIn(*json, "options") : QString();
  return (name.isEmpty() ? QString() : name + QStringLiteral(", ")) +
         (options.isEmpty() ? QString() : options + QStringLiteral(", ")) + id;
}

QList<RecordDetail::Fact> RecordDetail::facts() const {
  QList<Fact> facts;
  const auto add = [&](const char* name, const QString& value) {
    if (!value.isEmpty())
      facts << Fact{QString::fromLatin1(name), value, {}};
  };
  if (row.median_ns > 0)
    add("95 % interval",
        QStringLiteral("%1 to %2, %3, %4 caches")
            .arg(timeText(row.low_ns), timeText(row.high_ns),
                 countText(static_cast<int64_t>(measurement.samples_ns.size()), "sample"),
                 QString::fromLatin1(database::to_string(row.regime))));
  add("machine then", toQString(database::machine_state(measurement)));
  if (measurement.gaps_dropped > 0)
    add("disturbance", QStringLiteral("%1 dropped: the core was taken away meanwhile")
                           .arg(countText(measurement.gaps_dropped, "sample")));
  add("rate", gflops(row.flops, row.median_ns) > 0
                  ? rateText(row.flops, row.median_ns, row.binding_json)
                  : QString());
  const auto code = parse_json(measurement.facts_json);
  if (code && code->is_object() && code->contains("registers")) {
    for (const auto& [name, words] : gpuFacts(*code, toQString(row.target)))
      if (!words.isEmpty())
        facts << Fact{name, words, {}};
  } else if (code && code->is_object()) {
    QStringList parts{countText(code->value("code_bytes", int64_t{0}), "byte"),
                      countText(code->value("instructions", int64_t{0}), "instruction")};
    if (const int64_t bits = code->value("vector_bits", int64_t{0}); bits > 0)
      parts << QStringLiteral("%1-bit vectors").arg(bits);
    parts << countText(code->value("spills", int64_t{0}), "spill");
    add("inner loops", parts.join(QStringLiteral(", ")));
  }
  for (const CounterValue& counter : countersOf(measurement))
    facts << Fact{counter.words, counter.text(), counter.name};
  if (!measurement.error.empty() && row.median_ns > 0)
    add("error", toQString(measurement.error));
  if (!measurement.stage.empty() && row.outcome != database::Outcome::kOk)
    add("got to", toQString(measurement.stage));
  if (const auto worst = parse_json(measurement.worst_json); worst && worst->is_object())
    add("worst element", toQString(worst->dump()));
  add("target", toQString(target_and_threads(short_target(row.target), row.threads)));
  add("machine", machineText());
  add("system", systemText());
  add("compiler", compilerText());
  if (const auto options = parse_json(run.options_json); options && options->is_object())
    add("temper", textIn(*options, "temper")); // version and commit
  add("command", toQString(run.command_line));
  add("run", QStringLiteral("%1, measurement %2%3")
                 .arg(shortRun)
                 .arg(row.sequence)
                 .arg(row.purpose == database::Purpose::kConfirm ? QStringLiteral(", a final one")
                                                                 : QString()));
  add("proposed by", toQString(measurement.origin));
  QStringList cost;
  for (const auto& [ms, what] :
       {std::pair{measurement.compile_ms, "compile"}, std::pair{measurement.measure_ms, "measure"}})
    if (!std::isnan(ms))
      cost << QStringLiteral("%1 ms to %2").arg(ms, 0, 'f', 1).arg(QString::fromLatin1(what));
  add("cost", cost.join(QStringLiteral(", ")));
  add("measured", dateText(row.measured_at));
  if (row.unchecked)
    add("unchecked", QStringLiteral("its workload has no reference"));
  for (const database::Note& note : notes)
    add("note", toQString(note.text));
  return facts;
}

StoredComparison compareStored(const RecordDetail& a, const RecordDetail& b) {
  StoredComparison result;
  QStringList reasons;
  if (a.row.workload != b.row.workload)
    reasons << QStringLiteral("they compute different things (%1; %2)").arg(a.title(), b.title());
  if (a.row.environment_class != b.row.environment_class)
    reasons << QStringLiteral("they were measured on different machines (%1; %2)")
                   .arg(toQString(a.row.environment_class), toQString(b.row.environment_class));
  if (a.row.regime != b.row.regime)
    reasons << QStringLiteral("one was timed with hot caches, the other with cold ones");
  if (a.row.inputs != b.row.inputs)
    reasons << QStringLiteral("their inputs differ (%1; %2)")
                   .arg(toQString(a.row.inputs), toQString(b.row.inputs));
  if (!reasons.isEmpty()) {
    result.sentence = QStringLiteral("Their times cannot be compared: %1.")
                          .arg(reasons.join(QStringLiteral("; ")));
    return result;
  }
  for (const RecordDetail* side : {&a, &b})
    if (!(side->row.median_ns > 0)) {
      result.sentence = QStringLiteral("%1 has no time (%2).")
                            .arg(side->shortRecord, outcomeText(side->row.outcome));
      return result;
    }
  result.comparable = true;
  result.ratio = b.row.median_ns / a.row.median_ns;
  result.low = b.row.low_ns / a.row.high_ns;
  result.high = b.row.high_ns / a.row.low_ns;
  const QString interval = QStringLiteral("%1× [%2, %3]")
                               .arg(result.ratio, 0, 'f', 3)
                               .arg(result.low, 0, 'f', 3)
                               .arg(result.high, 0, 'f', 3);
  if (a.row.candidate == b.row.candidate && a.row.toolchain == b.row.toolchain)
    result.sentence = QStringLiteral("The same candidate, measured twice: B took %1 the time of A.")
                          .arg(interval);
  else if (result.high < 1)
    result.sentence =
        QStringLiteral("▲ B is faster: it took %1 the time of A, as recorded.").arg(interval);
  else if (result.low > 1)
    result.sentence =
        QStringLiteral("▼ B is slower: it took %1 the time of A, as recorded.").arg(interval);
  else
    result.sentence =
        QStringLiteral("≈ No difference can be told from the recorded numbers: B took %1 the time "
                       "of A.")
            .arg(interval);
  for (const RecordDetail* side : {&a, &b})
    if (side->row.outcome != database::Outcome::kOk)
      result.sentence += QStringLiteral(" %1 was %2, its number is rough.")
                             .arg(side->shortRecord, outcomeText(side->row.outcome));
  if (a.row.threads != b.row.threads)
    result.sentence +=
        QStringLiteral(" A ran with %1, B with %2.")
            .arg(countText(a.row.threads, "thread"), countText(b.row.threads, "thread"));
  if (a.row.toolchain != b.row.toolchain)
    result.sentence += QStringLiteral(" They were made by different toolchains.");
  const QString drivers[] = {driverOf(a.environment), driverOf(b.environment)};
  if (drivers[0] != drivers[1] && !drivers[0].isEmpty() && !drivers[1].isEmpty())
    result.sentence +=
        QStringLiteral(" The driver was %1 for A and %2 for B.").arg(drivers[0], drivers[1]);
  for (const RecordDetail* side : {&a, &b})
    if (const QStringList slowed = slowdownsOf(side->measurement); !slowed.isEmpty())
      result.sentence += QStringLiteral(" %1's clock was slowed meanwhile by its %2.")
                             .arg(side == &a ? QStringLiteral("A") : QStringLiteral("B"),
                                  slowed.join(QStringLiteral(", its ")));
  constexpr double kSameClock = 0.05;
  const double clocks[] = {database::clock_ghz(a.measurement), database::clock_ghz(b.measurement)};
  if (std::abs(std::log(clocks[0] / clocks[1])) > kSameClock)
    result.sentence += QStringLiteral(" The clock was at %1 GHz for A and at %2 GHz for B: measure "
                                      "both again to compare the kernels.")
                           .arg(clocks[0], 0, 'f', 2)
                           .arg(clocks[1], 0, 'f', 2);
  return result;
}

} // namespace temper::gui
