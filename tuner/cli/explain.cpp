/// temper explain: what limits a record.
#include "tuner/cli/command.h"
#include "tuner/cli/output.h"

#include "ir/support/text.h"
#include "tuner/explain.h"
#include "tuner/learnt_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

namespace temper::cli {
namespace {

using tuner::CodeLoop;
using tuner::Explanation;
using tuner::Neighbour;
using tuner::Workbench;

struct ExplainOptions {
  CommonOptions common;
  std::vector<std::string> words;
  int64_t neighbours = 12;
  bool model = false;
};

/// A term in a column of its own, its text wrapped beside it.
void print_fact(const std::string& term, const std::string& text) {
  constexpr size_t kColumn = 14;
  if (text.empty())
    return;
  bool first = true;
  for (const std::string& line : split_text(wrap_words(text, line_width() - kColumn), '\n')) {
    fmt::print("  {:<11} {}\n", first ? term : "", line);
    first = false;
  }
}

/// A sentence of a list.
void print_point(const std::string& text) {
  constexpr size_t kIndent = 4;
  const char* start = "  - ";
  for (const std::string& line : split_text(wrap_words(text, line_width() - kIndent), '\n')) {
    fmt::print("{}{}\n", start, line);
    start = "    ";
  }
}

std::string describe(const CodeLoop& loop) {
  std::vector<std::string> parts{format_count(loop.instructions, "instruction")};
  const auto add = [&](int64_t count, const std::string& noun) {
    if (count > 0)
      parts.push_back(format_count(count, noun));
  };
  add(loop.multiply_adds, "multiply-add");
  add(loop.arithmetic, "other vector operation");
  add(loop.loads, "load");
  add(loop.stores, "store");
  add(loop.prefetches, "prefetch");
  add(loop.calls, "call");
  if (loop.stack > 0)
    parts.push_back(format_count(loop.stack, "access") + " to the stack");
  return join(parts, ", ");
}

std::string with_interval(double ratio, Interval interval) {
  return std::isfinite(interval.low)
             ? fmt::format("{:.2f}x [{:.2f}, {:.2f}]", ratio, interval.low, interval.high)
             : fmt::format("{:.2f}x", ratio);
}

Json loop_json(const CodeLoop& loop, const tuner::MachineRates& rates) {
  Json bounds = Json::object();
  for (const tuner::LoopBound& bound : tuner::loop_bounds(loop, rates))
    bounds[bound.what] = bound.cycles;
  return Json{{"depth", loop.depth},
              {"instructions", loop.instructions},
              {"multiply_adds", loop.multiply_adds},
              {"arithmetic", loop.arithmetic},
              {"loads", loop.loads},
              {"stores", loop.stores},
              {"stack", loop.stack},
              {"prefetches", loop.prefetches},
              {"calls", loop.calls},
              {"vector_bits", loop.vector_bits},
              {"vector_registers", loop.vector_registers},
              {"sums", loop.sums},
              {"cycles", std::move(bounds)}};
}

Json neighbour_json(const Neighbour& neighbour) {
  return Json{{"record", neighbour.record}, {"decision", neighbour.decision},
              {"here", neighbour.here},     {"there", neighbour.there},
              {"median_ns", neighbour.ns},  {"ratio", neighbour.ratio}};
}

void print_json_of(const Explanation& told,
                   const std::optional<Result<tuner::ModelOpinion>>& opinion) {
  const tuner::RecordContext& context = told.context;
  Json loops = Json::array();
  for (const CodeLoop& loop : told.loops)
    loops.push_back(loop_json(loop, told.rates));
  const CodeLoop* hot = tuner::hottest(told.loops);
  Json neighbours = Json::array();
  for (const Neighbour& neighbour : told.neighbours)
    neighbours.push_back(neighbour_json(neighbour));
  Json estimate;
  if (told.estimate)
    estimate = Json{{"port_ns", told.estimate->port_ns},
                    {"traffic_ns", told.estimate->traffic_ns},
                    {"total_ns", told.estimate->total_ns}};
  const Interval gain = context.gain_interval();
  Json model;
  if (opinion)
    model = *opinion ? to_json(**opinion) : Json{{"unknown", opinion->error().message}};
  print_json(
      "explain",
      Json{{"record", context.row.id},
           {"workload", context.row.workload_name},
           {"binding", binding_object(context.row.binding_json)},
           {"outcome", database::to_string(context.row.outcome)},
           {"median_ns", number(context.row.median_ns)},
           {"interval_ns", {number(context.row.low_ns), number(context.row.high_ns)}},
           {"gflops", known(gflops(context.row.flops, context.row.median_ns))},
           {"limits", told.limits()},
           {"bound_ns", known(told.bound_ns)},
           {"compute_ns", known(told.compute_ns)},
           {"memory_ns", known(told.memory_ns)},
           {"estimate", std::move(estimate)},
           {"facts", told.facts},
           {"hot_loop", hot == nullptr ? Json(nullptr) : loop_json(*hot, told.rates)},
           {"loops", std::move(loops)},
           {"untuned_ns", known(context.untuned ? context.untuned->median_ns : 0)},
           {"ratio", known(context.gain())},
           {"ratio_interval", std::isfinite(gain.low) ? Json{gain.low, gain.high} : Json(nullptr)},
           {"search_ns", known(told.search_ns)},
           {"best", told.best.empty() ? Json(nullptr) : Json(told.best)},
           {"is_best", told.is_best},
           {"rank", told.rank},
           {"candidates", told.candidates},
           {"origin", told.origin},
           {"parent", told.candidate.parent},
           {"parent_ns", known(told.parent_ns)},
           {"neighbours", std::move(neighbours)},
           {"trace", told.trace},
           {"model", std::move(model)},
           {"unknown", told.unknown},
           {"foreign", told.foreign.empty() ? Json(nullptr) : Json(told.foreign)},
           {"provenance", tuner::provenance_json(context)}});
}

void print_text(database::Store& store, const Explanation& told, int64_t most_neighbours) {
  const tuner::RecordContext& context = told.context;
  const database::RecordRow& row = context.row;
  const double ns = row.median_ns;
  fmt::print("{}  {}\n", short_id(store, row.id), context.title);
  if (ns > 0)
    print_fact("time",
               format_time(ns) +
                   (row.high_ns > 0 ? fmt::format("  [{}, {}] 95 %", format_time(row.low_ns),
                                                  format_time(row.high_ns))
                                    : "") +
                   (row.flops > 0 ? ", " + format_rate(row.flops, ns, row.binding_json) : ""));
  else if (row.outcome == database::Outcome::kChecked)
    print_fact("outcome", "checked: right where it was emulated, and not timed");
  else if (row.outcome == database::Outcome::kNotChecked)
    print_fact("outcome", "not checked, and not timed: " + context.record.error);
  else
    print_fact("outcome", std::string(database::to_string(row.outcome)) + " in " +
                              context.record.stage + ": " + context.record.error);
  if (row.stale)
    print_fact("stale", "made with another toolchain than today's; the code below is today's");

  const auto print_provenance = [&] {
    fmt::print("\nWhere it comes from\n");
    for (const auto& [term, text] : tuner::provenance(context))
      print_fact(term, text);
  };
  if (!told.foreign.empty()) {
    fmt::print("\n");
    print_point(told.foreign);
    print_provenance();
    return;
  }
  fmt::print("\nWhat limits it\n");
  for (const std::string& sentence : told.limits())
    print_point(sentence);
  for (const std::string& sentence : told.unknown)
    print_point("not known: " + sentence);

  if (told.bound_ns > 0 && ns > 0) {
    fmt::print("\nWhat the machine allows\n");
    const auto share = [&](double bound) {
      return fmt::format("{}, {:.0f} % of the time measured", format_time(bound), bound / ns * 100);
    };
    if (told.compute_ns > 0)
      print_fact("operations", share(told.compute_ns) + ", at the measured peak of " +
                                   format_count(row.threads, "core"));
    if (told.memory_ns > 0)
      print_fact("arguments",
                 share(told.memory_ns) +
                     fmt::format(", {:.3g} MiB once from {}", told.bytes / (1 << 20), told.level));
  }
  if (told.estimate) {
    fmt::print("\nWhat the analytical model says (it ranks, and sees no latency)\n");
    print_fact("ports", format_time(told.estimate->port_ns));
    for (size_t i = 0; i < told.estimate->traffic_ns.size(); ++i)
      print_fact(fmt::format("beyond L{}", i + 1), format_time(told.estimate->traffic_ns[i]));
    print_fact("in all", format_time(told.estimate->total_ns) +
                             (ns > 0 ? fmt::format("; measured is {:.2f} times that",
                                                   ns / told.estimate->total_ns)
                                     : std::string()));
  }

  fmt::print("\nCode\n");
  if (told.facts.is_object() && told.facts.contains("registers")) // of a GPU
    print_fact(
        "stored",
        fmt::format("{}, {}, {} of a thread",
                    format_count(told.facts.value("code_bytes", int64_t{0}), "byte"),
                    format_count(told.facts.value("instructions", int64_t{0}), "instruction"),
                    format_count(told.facts.value("registers", int64_t{0}), "register")));
  else if (told.facts.is_object())
    print_fact(
        "stored",
        fmt::format("{}, {}, {}, {} in inner loops, stack of {}",
                    format_count(told.facts.value("code_bytes", int64_t{0}), "byte"),
                    format_count(told.facts.value("instructions", int64_t{0}), "instruction"),
                    told.facts.value("vector_bits", 0) > 0
                        ? fmt::format("{}-bit vectors", told.facts.value("vector_bits", 0))
                        : std::string("no vectors"),
                    format_count(told.facts.value("spills", int64_t{0}), "spill"),
                    format_count(told.facts.value("stack_bytes", int64_t{0}), "byte")));
  if (const CodeLoop* loop = tuner::hottest(told.loops)) {
    print_fact("hot loop", describe(*loop));
    print_fact(
        "", fmt::format("{} of {} vector registers, {}, {} deep, of {}", loop->vector_registers,
                        told.machine_vector_registers,
                        loop->vector_bits > 0 ? fmt::format("{} bits", loop->vector_bits)
                                              : std::string("scalars"),
                        format_count(loop->depth, "loop"),
                        format_count(static_cast<int64_t>(told.loops.size()), "innermost loop")));
    std::vector<std::string> cycles;
    for (const tuner::LoopBound& bound : tuner::loop_bounds(*loop, told.rates))
      if (bound.cycles > 0)
        cycles.push_back(fmt::format("{} {:.3g}", bound.what, bound.cycles));
    print_fact("cycles", join(cycles, ", "));
  }

  fmt::print("\nBeside others\n");
  if (context.untuned)
    print_fact("untuned",
               format_time(context.untuned->median_ns) +
                   (ns > 0 ? ", this is " + with_interval(context.gain(), context.gain_interval())
                           : std::string()));
  if (told.is_best)
    print_fact("best",
               "this is the best of its kernel, by final measurements where there are some");
  else if (!told.best.empty())
    print_fact("best", fmt::format("of its kernel is {} with {}", short_id(store, told.best),
                                   format_time(told.best_ns)));
  if (told.candidates > 1 && told.rank > 0)
    print_fact(
        "rank",
        fmt::format("{} of {} that were timed under the same conditions, by their "
                    "numbers in the search ({} for this one{})",
                    told.rank, told.candidates, format_time(told.search_ns),
                    told.is_best && told.rank > 1 ? ", before the final round preferred it" : ""));
  print_fact("proposed by",
             told.origin + (told.parent_ns > 0 ? fmt::format(", from {} ({})",
                                                             short_id(store, told.candidate.parent),
                                                             format_time(told.parent_ns))
                                               : std::string()));
  if (!told.neighbours.empty()) {
    fmt::print("\nOne decision away, by numbers of the search\n");
    Table table({{"decision"},
                 {"here", false, true},
                 {"there", false, true},
                 {"time", true},
                 {"times this", true},
                 {"record"}});
    int64_t shown = 0;
    for (const Neighbour& neighbour : told.neighbours)
      if (shown++ < most_neighbours)
        table.add({neighbour.decision, neighbour.here, neighbour.there, format_time(neighbour.ns),
                   fmt::format("{:.3f}", neighbour.ratio), short_id(store, neighbour.record)});
    table.print();
    if (shown > most_neighbours)
      fmt::print("and {} more; --neighbours shows them\n", shown - most_neighbours);
  }

  print_provenance();
  if (!told.trace.empty())
    fmt::print("\nSchedule\n{}", told.trace);
  else if (told.origin == "untuned")
    fmt::print("\nSchedule\n  none: the program as it is written\n");
}

void print_opinion(const Result<tuner::ModelOpinion>& opinion) {
  fmt::print("\nAs the cost model sees it\n");
  if (!opinion) {
    print_point("not known: " + opinion.error().message);
    return;
  }
  print_fact("score",
             fmt::format("{:.3f}, and {:.3f} on average of the {} of this kernel that it learnt "
                         "from; measured was a speed of {:.3f}, 1 being the fastest",
                         opinion->score, opinion->average_score,
                         format_count(opinion->learnt_from, "candidate"), opinion->speed));
  print_fact("rank", fmt::format("{} by its score, {} by time; rank correlation {:.2f}",
                                 opinion->place_by_score, opinion->place_by_time,
                                 opinion->rank_correlation));
  Table table({{"what adds to the average"}, {"change", true}, {"by its features", false, true}});
  for (const tuner::ModelTerm& term : opinion->terms) {
    std::vector<std::string> names;
    for (const tuner::ModelTerm::Feature& feature : term.features)
      names.push_back(feature.name);
    table.add({term.what, fmt::format("{:+.3f}", term.change), join(names, ", ")});
  }
  table.print();
}

int run_explain(ExplainOptions& options) {
  Workbench bench(viewing(options.common));
  auto store = bench.store();
  if (!store)
    return report(store.error());
  auto rows = any_records(bench, options.words);
  if (!rows)
    return report(rows.error());
  if (rows->size() > 1)
    std::fprintf(stderr, "temper: %s means %zu records; this is the first\n",
                 join(options.words, " ").c_str(), rows->size());
  auto told = tuner::explain(bench, rows->front());
  if (!told)
    return report(told.error());
  std::optional<Result<tuner::ModelOpinion>> opinion;
  if (options.model)
    opinion = tuner::model_opinion(bench, rows->front());
  if (options.common.json) {
    print_json_of(*told, opinion);
  } else {
    print_text(**store, *told, options.neighbours);
    if (opinion)
      print_opinion(*opinion);
  }
  return kDone;
}

} // namespace

void add_explain(Program& program) {
  auto options = std::make_shared<ExplainOptions>();
  CLI::App* command = program.app.add_subcommand(
      "explain", "what limits a record: its code, the machine, and the candidates beside it");
  command->add_option("selection", options->words, "record id or other SELECTION")->required();
  command
      ->add_option("--neighbours", options->neighbours,
                   "at most so many candidates that differ in one decision (default 12)")
      ->check(count());
  command->add_flag("--model", options->model,
                    "and what a cost model makes of it that learns from all records of the kernel");
  add_common_options(*command, options->common, false);
  add_examples(*command,
               {"temper explain m3f9c2", "temper explain m3f9c2 --model",
                "temper explain matmul M=512 N=512 K=512", "temper explain m3f9c2 --json"});
  command->callback(
      [&program, options] { program.action = [options] { return run_explain(*options); }; });
}

} // namespace temper::cli
