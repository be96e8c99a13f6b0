#include "tuner/cli/compare_stored.h"

#include "ir/support/text.h"
#include "tuner/cli/output.h"
#include "tuner/stored_comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace temper::cli {
namespace {

using tuner::StoredComparison;
using tuner::StoredPair;
using tuner::StoredSide;
using tuner::StoredUnpaired;
using tuner::StoredVerdict;

std::string format_interval(Interval interval) {
  return std::isfinite(interval.low) ? fmt::format("[{:.3f}, {:.3f}]", interval.low, interval.high)
                                     : "-";
}

std::string format_p(const StoredPair& pair) {
  if (!pair.tested)
    return "-";
  return pair.p_adjusted < 0.001 ? "<0.001" : fmt::format("{:.3f}", pair.p_adjusted);
}

Json interval_json(Interval interval) {
  if (!std::isfinite(interval.low))
    return nullptr;
  return {interval.low, interval.high};
}

Json side_json(const StoredSide& side) {
  return Json{{"record", side.row.id},
              {"median_ns", number(side.row.median_ns)},
              {"interval_ns", {number(side.row.low_ns), number(side.row.high_ns)}},
              {"gflops", known(gflops(side.row.flops, side.row.median_ns))},
              {"samples", side.samples},
              {"target", side.row.target},
              {"environment", side.row.environment_class},
              {"host", side.host},
              {"toolchain", side.row.toolchain},
              {"compiler", side.compiler},
              {"run", side.row.run},
              {"measured_at", side.row.measured_at}};
}

Json pair_json(const StoredPair& pair) {
  const database::RecordRow& row = pair.a.row;
  return Json{{"workload", row.workload_name},
              {"binding", binding_object(row.binding_json)},
              {"threads", row.threads},
              {"regime", database::to_string(row.regime)},
              {"inputs", row.inputs},
              {"a", side_json(pair.a)},
              {"b", side_json(pair.b)},
              {"ratio", number(pair.ratio)},
              {"ratio_interval", interval_json(pair.interval)},
              {"p", pair.tested ? Json(pair.p) : Json(nullptr)},
              {"p_holm", pair.tested ? Json(pair.p_adjusted) : Json(nullptr)},
              {"same_code", pair.same_code},
              {"same_record", pair.same_record},
              {"same_measurement", pair.same_measurement},
              {"verdict", to_string(pair.verdict)}};
}

Json unpaired_json(const std::vector<StoredUnpaired>& list) {
  Json json = Json::array();
  for (const StoredUnpaired& one : list)
    json.push_back(Json{{"workload", one.row.workload_name},
                        {"binding", binding_object(one.row.binding_json)},
                        {"threads", one.row.threads},
                        {"record", one.row.id},
                        {"reason", one.reason}});
  return json;
}

/// "attic, cpu:icelake/8-3f9c2a, LLVM 18.1.8 codegen 3, 2026-10-01 22:10 to 2026-10-02 05:41".
std::string origin_of(const std::vector<StoredPair>& pairs, StoredSide StoredPair::*side) {
  std::set<std::string> machines;
  std::set<std::string> compilers;
  int64_t first = 0;
  int64_t last = 0;
  for (const StoredPair& pair : pairs) {
    const StoredSide& one = pair.*side;
    machines.insert((one.host.empty() ? "" : one.host + ", ") + one.row.environment_class);
    compilers.insert(one.compiler);
    first = first == 0 ? one.row.measured_at : std::min(first, one.row.measured_at);
    last = std::max(last, one.row.measured_at);
  }
  const auto listed = [](const std::set<std::string>& set) {
    return join(std::vector<std::string>(set.begin(), set.end()), " and ");
  };
  const std::string from = format_date(first);
  const std::string to = format_date(last);
  return listed(machines) + ", " + listed(compilers) + ", " +
         (from == to ? from : from + " to " + to);
}

void print_unpaired(database::Store& store, const char* side,
                    const std::vector<StoredUnpaired>& list) {
  if (list.empty())
    return;
  constexpr size_t kNamed = 8;
  std::vector<std::string> names;
  for (const StoredUnpaired& one : list)
    if (names.size() < kNamed)
      names.push_back(fmt::format("{} ({}{})", one.title, short_id(store, one.row.id),
                                  one.reason == "not there" ? "" : ", " + one.reason));
  std::string text =
      fmt::format("only in {}: {}: {}", side,
                  format_count(static_cast<int64_t>(list.size()), "kernel"), join(names, "; "));
  if (list.size() > kNamed)
    text += fmt::format("; and {} more (--json names all)", list.size() - kNamed);
  print_wrapped(text);
}

void print_comparison(database::Store& store, const StoredComparison& comparison,
                      const CompareStoredOptions& options, const std::string& a,
                      const std::string& b) {
  Table table({{"kernel", false, true},
               {"a", true, true},
               {"b", true, true},
               {"b/a", true},
               {"95 %"},
               {"p Holm", true},
               {"b is"}});
  for (const StoredPair& pair : comparison.pairs) {
    const auto cell = [&](const StoredSide& side) {
      // The time first: where the cell wraps, it stays in one piece.
      return format_time(side.row.median_ns) + " " + short_id(store, side.row.id);
    };
    table.add({pair.title, cell(pair.a), cell(pair.b),
               std::isfinite(pair.ratio) ? fmt::format("{:.3f}", pair.ratio) : "-",
               format_interval(pair.interval), format_p(pair),
               pair.same_record        ? "the same record"
               : pair.same_measurement ? "one measurement"
                                       : to_string(pair.verdict)});
  }
  table.print();
  fmt::print("\n");
  print_wrapped("a: " + a + ": " + origin_of(comparison.pairs, &StoredPair::a));
  print_wrapped("b: " + b + ": " + origin_of(comparison.pairs, &StoredPair::b));
  if (comparison.pairs.size() > 1) {
    std::string mean = fmt::format("geometric mean of b/a over {} kernels: {:.3f}",
                                   comparison.pairs.size(), comparison.ratio);
    if (std::isfinite(comparison.interval.low))
      mean += " " + format_interval(comparison.interval) + " for exactly these; " +
              format_interval(comparison.sampled_interval) +
              " if they were drawn from many of their kind";
    print_wrapped(mean);
  }
  std::vector<std::string> counts;
  for (const StoredVerdict verdict : {StoredVerdict::kFaster, StoredVerdict::kSlower,
                                      StoredVerdict::kSame, StoredVerdict::kUndecided})
    if (comparison.count(verdict) > 0)
      counts.push_back(fmt::format("{} {}", comparison.count(verdict), to_string(verdict)));
  print_wrapped(fmt::format(
      "{}; faster and slower: by more than {:g} %, an interval without 1 in it, and p at most 0.05 "
      "after Holm's correction for {}",
      join(counts, ", "), options.tolerance * 100, format_count(comparison.tests, "test")));
  print_wrapped("These are stored times of separate runs, not taken in turns: b/a is the quotient "
                "of the two medians, and an interval holds the noise within the two measurements, "
                "not what the machine changed between them. On one machine 'temper compare A B' "
                "runs both sides in turns, and takes the median of the pairs' ratios.");
  if (comparison.equal_code > 0)
    print_wrapped(fmt::format("{} the same machine code on both sides, and differ by up to {:.1f} "
                              "%: so much is chance here.",
                              comparison.equal_code == 1
                                  ? "1 kernel runs"
                                  : std::to_string(comparison.equal_code) + " kernels run",
                              comparison.equal_code_difference * 100));
  if (comparison.passed_over > 0)
    print_wrapped(format_count(comparison.passed_over, "further record") +
                  " of these kernels, of other machines or toolchains, left out; a query names "
                  "which are meant, as 'query:host = NAME and toolchain ~ \"LLVM 19\"'.");
  print_unpaired(store, "a", comparison.only_a);
  print_unpaired(store, "b", comparison.only_b);
}

Result<std::vector<database::RecordRow>> rows_of(tuner::Workbench& bench,
                                                 const CompareStoredOptions& options,
                                                 const database::Selection& selection,
                                                 database::RecordFilter filter) {
  TEMPER_TRY(store, bench.store());
  // Of any machine and any toolchain: that is what is compared.
  filter.environment_class.clear();
  filter.include_stale = true;
  if (!options.regime)
    filter.regime.reset();
  return database::resolve_selection(*store, selection, filter);
}

} // namespace

int run_compare_stored(const CompareStoredOptions& options, const database::Selection& a,
                       const database::Selection& b) {
  tuner::Workbench bench(viewing(options.common));
  auto store = bench.store();
  if (!store)
    return report(store.error());
  auto comparable = bench.comparable();
  if (!comparable)
    return report(comparable.error());
  auto left = rows_of(bench, options, a, *comparable);
  if (!left)
    return report(left.error());
  auto right = rows_of(bench, options, b, *comparable);
  if (!right)
    return report(right.error());
  tuner::StoredComparisonOptions settings;
  settings.tolerance = options.tolerance;
  settings.environment_class = comparable->environment_class;
  settings.current_toolchains = comparable->current_toolchains;
  auto comparison = tuner::compare_stored(**store, *left, *right, settings);
  if (!comparison)
    return report(comparison.error());
  if (comparison->pairs.empty()) {
    std::string reason;
    if (!comparison->only_a.empty())
      reason = "; " + comparison->only_a[0].title + " of the first is " +
               comparison->only_a[0].reason +
               (comparison->only_a[0].reason == "not there" ? " in the second" : "");
    return report(Error(ErrorCode::kInvalidArgument,
                        "the two selections have no kernel in common (workload, shape, threads, "
                        "caches and inputs)" +
                            reason));
  }
  if (options.common.json) {
    Json pairs = Json::array();
    for (const StoredPair& pair : comparison->pairs)
      pairs.push_back(pair_json(pair));
    Json fields{{"stored", true},
                {"interleaved", false},
                {"selections", {a.to_string(), b.to_string()}},
                {"tolerance", options.tolerance},
                {"tests", comparison->tests},
                {"geometric_mean",
                 {{"ratio", number(comparison->ratio)},
                  {"ratio_interval", interval_json(comparison->interval)},
                  {"ratio_interval_of_kind", interval_json(comparison->sampled_interval)}}},
                {"equal_code",
                 {{"pairs", comparison->equal_code},
                  {"largest_difference", comparison->equal_code_difference}}},
                {"passed_over", comparison->passed_over},
                {"faster", comparison->count(StoredVerdict::kFaster)},
                {"slower", comparison->count(StoredVerdict::kSlower)},
                {"same", comparison->count(StoredVerdict::kSame)},
                {"undecided", comparison->count(StoredVerdict::kUndecided)},
                {"only_a", unpaired_json(comparison->only_a)},
                {"only_b", unpaired_json(comparison->only_b)}};
    if (pairs.size() == 1)
      fields.update(pairs[0]);
    fields["pairs"] = std::move(pairs);
    print_json("compare", fields);
  } else {
    print_comparison(**store, *comparison, options, a.to_string(), b.to_string());
  }
  return comparison->count(StoredVerdict::kSlower) > 0 ? kAnswerIsNo : kDone;
}

} // namespace temper::cli
