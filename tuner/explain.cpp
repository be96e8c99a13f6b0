#include "tuner/explain.h"

#include "codegen/llvm/compile.h"
#include "codegen/lower.h"
#include "engine/machine_speed.h"
#include "ir/s_tir/trace_json.h"
#include "ir/support/quantities.h"
#include "ir/support/text.h"
#include "ir/tir/gpu_architecture.h"
#include "tuner/external_function.h"
#include "tuner/google_benchmark.h"
#include "tuner/gpu_counters.h"
#include "tuner/limits.h"
#include "tuner/search/stop_condition.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace temper::tuner {
namespace {

// ---- Assembly

struct Line {
  std::string_view label; ///< of a line that is one
  std::string_view name;  ///< of an instruction
  std::vector<std::string_view> operands;
};

/// Operands apart: commas within brackets belong to an address.
std::vector<std::string_view> operands_of(std::string_view text) {
  std::vector<std::string_view> operands;
  int depth = 0;
  size_t begin = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] == '(')
      ++depth;
    else if (i < text.size() && text[i] == ')')
      --depth;
    else if (i == text.size() || (text[i] == ',' && depth == 0)) {
      if (const std::string_view operand = trim(text.substr(begin, i - begin)); !operand.empty())
        operands.push_back(operand);
      begin = i + 1;
    }
  }
  return operands;
}

std::vector<Line> lines_of(std::string_view assembly) {
  std::vector<Line> lines;
  while (!assembly.empty()) {
    const size_t end = assembly.find('\n');
    std::string_view text = trim(assembly.substr(0, end));
    assembly.remove_prefix(end == std::string_view::npos ? assembly.size() : end + 1);
    if (const size_t comment = text.find('#'); comment != std::string_view::npos)
      text = trim(text.substr(0, comment));
    if (text.empty())
      continue;
    Line line;
    if (text.back() == ':') {
      line.label = text.substr(0, text.size() - 1);
    } else if (text[0] == '.') {
      continue; // a directive
    } else {
      const size_t blank = text.find_first_of(" \t");
      line.name = text.substr(0, blank);
      if (blank != std::string_view::npos)
        line.operands = operands_of(text.substr(blank + 1));
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

bool is_memory(std::string_view operand) { return operand.find('(') != std::string_view::npos; }

/// Number and width of a vector register in an operand ("%zmm12 {%k1}"), or {-1, 0}.
std::pair<int, int> vector_register(std::string_view operand) {
  for (const auto& [prefix, bits] :
       {std::pair{"%zmm", 512}, std::pair{"%ymm", 256}, std::pair{"%xmm", 128}})
    if (operand.starts_with(prefix))
      return {std::atoi(std::string(operand.substr(4, 2)).c_str()), bits};
  return {-1, 0};
}

/// Scalar floating point lives in the lower lane of the same registers.
bool is_scalar(std::string_view name) {
  return name.ends_with("ss") || name.ends_with("sd") || name.ends_with("sh");
}

bool moves_only(std::string_view name) {
  for (const char* start : {"vmov", "mov", "vbroadcast", "vpbroadcast", "kmov", "vextract",
                            "vinsert", "vperm", "vpermi", "vunpck", "vshuf", "vzero"})
    if (name.starts_with(start))
      return true;
  return false;
}

bool multiplies_and_adds(std::string_view name) {
  for (const char* start : {"vfmadd", "vfmsub", "vfnmadd", "vfnmsub", "vdp", "vpdp"})
    if (name.starts_with(start))
      return true;
  return false;
}

/// Finds what is carried from one time through to the next: how many operations each register is
/// behind when the loop has been gone through some times. A register that is loaded anew in between
/// carries nothing.
void find_sums(const std::vector<Line>& lines, size_t first, size_t last, CodeLoop& loop) {
  std::map<int, int64_t> behind; // operations that a register's value waits for
  std::map<int, int64_t> before; // the same a time ago
  std::set<int> added_to;
  constexpr int kTimes = 6; // until what fills up at first has settled
  for (int time = 0; time < kTimes; ++time) {
    before = behind;
    for (size_t i = first; i <= last; ++i) {
      const Line& line = lines[i];
      if (line.operands.empty())
        continue;
      const auto [target, width] = vector_register(line.operands.back());
      if (target < 0)
        continue;
      const bool computes = multiplies_and_adds(line.name) || !moves_only(line.name);
      // Fused operations and the old two-operand ones read what they write.
      bool own = multiplies_and_adds(line.name) || (computes && !line.name.starts_with("v"));
      int64_t most = own ? behind[target] : 0;
      std::set<int> sources;
      for (size_t k = 0; k + 1 < line.operands.size(); ++k)
        if (const int source = vector_register(line.operands[k]).first; source >= 0) {
          most = std::max(most, behind[source]);
          own |= source == target;
          sources.insert(source);
        }
      if (line.name.find("xor") != std::string_view::npos && sources.size() == 1)
        most = -1; // cleared
      behind[target] = most + (computes ? 1 : 0);
      if (computes && own && most >= 0)
        added_to.insert(target);
    }
  }
  for (const int number : added_to)
    if (const int64_t growth = behind[number] - before[number]; growth > 0) {
      ++loop.sums;
      loop.longest_sum = std::max(loop.longest_sum, growth);
    }
}

CodeLoop count(const std::vector<Line>& lines, size_t first, size_t last) {
  CodeLoop loop;
  std::set<int> registers;
  for (size_t i = first; i <= last; ++i) {
    const Line& line = lines[i];
    if (line.name.empty())
      continue;
    ++loop.instructions;
    if (line.name.starts_with("prefetch")) {
      ++loop.prefetches;
      continue;
    }
    if (line.name.starts_with("call")) {
      ++loop.calls;
      continue;
    }
    int bits = 0;
    for (const std::string_view operand : line.operands) {
      const auto [number, width] = vector_register(operand);
      if (number < 0)
        continue;
      registers.insert(number);
      bits = std::max(bits, width);
    }
    if (!is_scalar(line.name))
      loop.vector_bits = std::max(loop.vector_bits, bits);
    if (multiplies_and_adds(line.name)) {
      ++loop.multiply_adds;
    } else if (bits > 0 && !moves_only(line.name)) {
      ++loop.arithmetic;
    }
    if (line.name.starts_with("lea") || line.name.starts_with("nop"))
      continue;
    for (const std::string_view operand : line.operands) {
      if (!is_memory(operand))
        continue;
      const bool written = operand.data() == line.operands.back().data() &&
                           line.operands.size() > 1 && line.name.find("cmp") != 0 &&
                           line.name.find("test") != 0;
      ++(written ? loop.stores : loop.loads);
      // With an index it is an array, as a packed panel.
      loop.stack += operand.find("(%rsp)") != std::string_view::npos ||
                    operand.find("(%rbp)") != std::string_view::npos;
    }
  }
  loop.vector_registers = static_cast<int>(registers.size());
  find_sums(lines, first, last, loop);
  return loop;
}

// ---- Neighbours

std::string shown(const Json& decision, const Json& instruction) {
  // A categorical decision is an index into its candidates.
  if (instruction.is_array() && instruction.size() > 2 && instruction[0] == "SampleCategorical" &&
      decision.is_number_integer() && instruction[2].is_array() && !instruction[2].empty() &&
      instruction[2][0].is_array()) {
    const auto index = decision.get<int64_t>();
    if (index >= 0 && index < static_cast<int64_t>(instruction[2][0].size()))
      return instruction[2][0][static_cast<size_t>(index)].dump();
  }
  std::string text;
  for (const char c : decision.dump())
    text += c == ',' ? std::string(", ") : std::string(1, c);
  return text;
}

std::string outputs_of(const Json& instruction) {
  std::vector<std::string> names;
  if (instruction.is_array() && instruction.size() > 3 && instruction[3].is_array())
    for (const Json& name : instruction[3])
      if (name.is_string())
        names.push_back(name.get<std::string>());
  return join(names, ", ");
}

/// Reads what is beside a record: who was timed in the same series, and who is one decision away.
class Neighbourhood {
public:
  Neighbourhood(Explanation& explanation) : told_(explanation) {}

  Result<void> read(database::Store& store) {
    const database::RecordRow& row = told_.context.row;
    const auto own = parse_json(told_.candidate.program);
    const bool is_trace = own && own->is_array() && own->size() == 2 && (*own)[1].is_array();
    // The same instructions are the same text: nothing else needs to be parsed.
    const std::string instructions = is_trace ? "[" + (*own)[0].dump() + "," : std::string();
    database::RecordFilter filter = database::same_conditions(row);
    filter.current_toolchains = {row.toolchain};
    TEMPER_TRY(best, store.best(filter));
    if (!best.empty()) {
      told_.best = best.front().id;
      told_.best_ns = best.front().median_ns;
      told_.is_best = best.front().candidate == row.candidate;
    }
    // Numbers of a search alone, by candidate the first. They are not held against those of a final
    // round, where kernels take turns and find the caches as others left them.
    std::map<database::Id, double> times;
    std::map<database::Id, std::pair<database::Id, std::string>> decisions;
    TEMPER_TRY_VOID(
        store.measured_programs(row.workload, [&](const database::MeasuredProgram& other) {
          if (other.purpose != database::Purpose::kSearch ||
              other.outcome != database::Outcome::kOk || !(other.median_ns > 0) ||
              other.toolchain != row.toolchain || other.target != row.target ||
              other.threads != row.threads || other.environment_class != row.environment_class ||
              other.regime != row.regime || other.inputs != row.inputs)
            return true;
          times.try_emplace(other.candidate, other.median_ns);
          if (is_trace && other.program.starts_with(instructions))
            decisions.try_emplace(other.candidate, other.record,
                                  other.program.substr(instructions.size()));
          return true;
        }));
    told_.candidates = static_cast<int64_t>(times.size());
    if (const auto parent = times.find(told_.candidate.parent); parent != times.end())
      told_.parent_ns = parent->second;
    const auto found = times.find(row.candidate);
    if (found == times.end())
      return {};
    told_.search_ns = found->second;
    told_.rank = 1;
    for (const auto& [candidate, ns] : times)
      told_.rank += ns < told_.search_ns;
    for (const auto& [candidate, other] : decisions) {
      if (candidate == row.candidate || other.second.empty())
        continue;
      const auto theirs = parse_json(other.second.substr(0, other.second.size() - 1));
      if (theirs)
        compare((*own)[0], (*own)[1], *theirs, other.first, times[candidate]);
    }
    std::ranges::stable_sort(told_.neighbours, {}, &Neighbour::ns);
    return {};
  }

private:
  /// Decisions are [[instruction, value], ...]; one that differs makes a neighbour.
  void compare(const Json& instructions, const Json& ours, const Json& theirs,
               const database::Id& record, double ns) {
    if (!theirs.is_array() || theirs.size() != ours.size())
      return;
    size_t different = ours.size();
    for (size_t i = 0; i < ours.size(); ++i) {
      if (ours[i] == theirs[i])
        continue;
      if (different != ours.size())
        return;
      different = i;
    }
    if (different == ours.size())
      return;
    const Json& here = ours[different];
    const Json& there = theirs[different];
    if (!here.is_array() || here.size() != 2 || !there.is_array() || there.size() != 2 ||
        here[0] != there[0] || !here[0].is_number_unsigned() ||
        here[0].get<size_t>() >= instructions.size())
      return;
    const Json& instruction = instructions[here[0].get<size_t>()];
    told_.neighbours.push_back({record, outputs_of(instruction), shown(here[1], instruction),
                                shown(there[1], instruction), ns, ns / told_.search_ns});
  }

  Explanation& told_;
};

// ---- The whole

class Explainer {
public:
  Explainer(Workbench& bench, database::Store& store) : bench_(bench), store_(store) {}

  Result<Explanation> run(const database::RecordRow& row) {
    TEMPER_TRY(context, context_of(store_, row));
    told_.context = std::move(context);
    told_.foreign = foreign_kind(told_.context.workload);
    if (!told_.foreign.empty())
      return std::move(told_);
    TEMPER_TRY(candidate, store_.candidate(row.candidate));
    told_.candidate = std::move(candidate);
    // Who only measures again says so in the record.
    const std::string& origin = told_.context.record.origin;
    told_.origin = origin == "bench" || origin == "remeasure" || origin == "rerun"
                       ? told_.candidate.origin
                       : origin;
    told_.facts = parse_json(told_.context.record.facts_json).value_or(Json());
    if (const auto trace = s_tir::trace_from_json_text(told_.candidate.program))
      told_.trace = trace->to_python();
    if (const auto target = ir::parse_target(row.target); target && !target->is_cpu()) {
      told_.unknown.push_back("it is code for a GPU: only a processor's loops are counted and "
                              "held against what the machine allows; temper show " +
                              row.id.substr(0, database::kShortIdLength) +
                              " has its registers, its occupancy and its " +
                              (tir::is_amd(target->arch) ? "assembly" : "PTX"));
      if (const auto gpu = codegen::gpu_limits(*target)) {
        TEMPER_TRY(counted, record_counters(store_, row, told_.context.record));
        told_.counted = counter_limits(counted.counters, gpu->architecture);
      }
      if (row.median_ns > 0)
        TEMPER_TRY_VOID(Neighbourhood(told_).read(store_));
      return std::move(told_);
    }
    TEMPER_TRY(environment, bench_.environment());
    told_.here = environment.class_name == row.environment_class;
    if (!told_.here)
      told_.unknown.push_back("it was measured on another machine (" + row.environment_class +
                              "), whose speed is not known here: no share of a peak, no estimate");
    if (auto code = look_at_code(); !code)
      told_.unknown.push_back("its code could not be looked at: " + code.error().message);
    if (told_.here)
      if (auto machine = look_at_machine(); !machine)
        told_.unknown.push_back("what the machine allows: " + machine.error().message);
    if (row.median_ns > 0)
      TEMPER_TRY_VOID(Neighbourhood(told_).read(store_));
    return std::move(told_);
  }

private:
  static std::string foreign_kind(const database::Workload& workload) {
    for (const auto& [layer, what] : {std::pair{kFunctionLayer, "a function of a library"},
                                      std::pair{kBenchmarkLayer, "a benchmark of another program"}})
      if (workload.layer == layer)
        return fmt::format(
            "{} is {}: only its time is known, there is no program of temper's whose "
            "code or schedule could be explained",
            workload.name, what);
    return {};
  }

  Result<void> look_at_code() {
    TEMPER_TRY(module, scheduled_module(told_.context.workload, told_.candidate));
    TEMPER_TRY(parsed, ir::parse_target(told_.context.record.target));
    TEMPER_TRY(target, codegen::resolve_target(parsed));
    target.threads = told_.context.record.threads;
    TEMPER_TRY(registers, codegen::vector_registers(target));
    told_.machine_vector_bits = registers.bits;
    told_.machine_vector_registers = registers.count;
    TEMPER_TRY(lowered, lowered_module(told_.context.record, module));
    lowered_ = main_function(lowered);
    if (!lowered_)
      return Error(ErrorCode::kUnsupported, "it is no prim_func");
    TEMPER_TRY(assembly, codegen::emit_assembly_text(lowered_, target));
    told_.loops = innermost_loops(assembly);
    return {};
  }

  Result<void> look_at_machine() {
    TEMPER_TRY(task, bench_.task(told_.context.workload));
    task.threads = told_.context.row.threads;
    told_.rates = bench_.rates(task);
    const engine::MachineSpeed speed =
        engine::known_machine_speed(engine::read_machine(), engine::cache_folder());
    for (const codegen::ArgumentSpec& argument : task.signature)
      told_.bytes += static_cast<double>(argument.byte_count());
    const double cores = std::max(task.threads, 1);
    if (const double peak = machine_peak(task, speed); peak > 0)
      told_.compute_ns = task.least_flops() / (peak * cores) * 1e9;
    if (const auto* level = speed.holds(static_cast<int64_t>(told_.bytes));
        level != nullptr && level->bytes_per_s > 0) {
      told_.level = level->level == 0 ? "memory" : fmt::format("L{}", level->level);
      told_.memory_ns = told_.bytes / (level->bytes_per_s * cores) * 1e9;
    }
    told_.bound_ns = machine_bound_ns(task, speed);
    int compiled_bits = 0;
    for (const CodeLoop& loop : told_.loops)
      compiled_bits = std::max(compiled_bits, loop.vector_bits);
    if (lowered_)
      told_.estimate = estimate_time(lowered_, told_.rates, task.threads, compiled_bits);
    return {};
  }

  Workbench& bench_;
  database::Store& store_;
  Explanation told_;
  ir::PrimFunc lowered_;
};

} // namespace

std::vector<CodeLoop> innermost_loops(std::string_view assembly) {
  const std::vector<Line> lines = lines_of(assembly);
  std::map<std::string_view, size_t> labels;
  struct Range {
    size_t first;
    size_t last;
  };
  std::vector<Range> ranges; // a jump back to a label
  for (size_t i = 0; i < lines.size(); ++i) {
    if (!lines[i].label.empty())
      labels[lines[i].label] = i;
    else if (lines[i].name.starts_with("j") && lines[i].operands.size() == 1)
      if (const auto target = labels.find(lines[i].operands[0]); target != labels.end())
        ranges.push_back({target->second, i});
  }
  // Several jumps to one label are one loop.
  std::map<size_t, size_t> loops;
  for (const Range& range : ranges)
    loops[range.first] = std::max(loops[range.first], range.last);
  std::vector<CodeLoop> innermost;
  for (const auto& [first, last] : loops) {
    bool is_innermost = true;
    int depth = 0;
    for (const auto& [other_first, other_last] : loops) {
      is_innermost &= !(other_first > first && other_last <= last);
      depth += other_first <= first && other_last >= last;
    }
    if (!is_innermost)
      continue;
    innermost.push_back(count(lines, first, last));
    innermost.back().depth = depth;
  }
  return innermost;
}

const CodeLoop* hottest(const std::vector<CodeLoop>& loops) {
  const auto worth = [](const CodeLoop& loop) {
    return std::tuple(loop.multiply_adds, loop.depth, loop.arithmetic, loop.instructions);
  };
  const auto found = std::ranges::max_element(loops, {}, worth);
  return found == loops.end() ? nullptr : &*found;
}

std::vector<LoopBound> loop_bounds(const CodeLoop& loop, const MachineRates& rates) {
  std::vector<LoopBound> bounds{
      {"multiply-add units",
       static_cast<double>(loop.multiply_adds + loop.arithmetic) / rates.multiply_adds_per_cycle},
      {"load ports", static_cast<double>(loop.loads + loop.prefetches) / rates.loads_per_cycle},
      {"store port", static_cast<double>(loop.stores) / rates.stores_per_cycle},
      {"front end", static_cast<double>(loop.instructions) / rates.instructions_per_cycle},
      {"chain of sums", static_cast<double>(loop.longest_sum) * rates.add_latency}};
  std::ranges::stable_sort(bounds, std::greater<>(), &LoopBound::cycles);
  return bounds;
}

/// Of the time; what explains less is no limit.
static constexpr double kMost = 0.5;

bool Explanation::loop_explains() const {
  return !estimate || !(context.row.median_ns > 0) ||
         estimate->port_ns >= kMost * context.row.median_ns;
}

/// "multiply-add units 12 %, traffic beyond L1 8 %"; empty where a bound is most of the time, or
/// none is known.
static std::string what_explains_little(const Explanation& told) {
  const std::vector<LimitBar> bars = machine_bars(told);
  if (!told.estimate || !(told.context.row.median_ns > 0) ||
      std::ranges::any_of(bars, [](const LimitBar& bar) { return bar.share >= kMost; }))
    return {};
  std::vector<std::string> shares;
  for (const LimitBar& bar : bars)
    shares.push_back(fmt::format("{} {:.0f} %{}", bar.what, 100 * bar.share,
                                 bar.estimated ? " (estimated)" : ""));
  return shares.empty() ? "all of them less than 1 %" : join(shares, ", ");
}

std::vector<std::string> Explanation::limits() const {
  std::vector<std::string> sentences = counted;
  const double ns = context.row.median_ns;
  constexpr double kNear = 0.9;
  if (bound_ns > 0 && ns > 0) {
    const double share = bound_ns / ns;
    const bool computes = compute_ns >= bound_ns;
    const std::string roof =
        computes
            ? fmt::format("its operations at the measured peak take {}", format_time(compute_ns))
            : fmt::format("moving its {:.3g} MiB once at the bandwidth of {} takes {}",
                          bytes / (1 << 20), level, format_time(memory_ns));
    const char* consequence = "";
    if (StopCondition::refuted(bound_ns, ns))
      consequence =
          "; so that is no bound: `flops` counts too much, not all arguments are used, or "
          "the machine was slow when it was measured (temper doctor measures it again)";
    else if (share > kNear)
      consequence = "; there is little to gain";
    sentences.push_back(
        fmt::format("{:.0f} % of what this machine allows: {}{}", share * 100, roof, consequence));
  }
  const CodeLoop* loop = hottest(loops);
  if (loop != nullptr && loop->instructions > 0) {
    const std::vector<LoopBound> bounds = loop_bounds(*loop, rates);
    // One limit is the cause. The peak of the multiply-add units is one and the same.
    const bool same = compute_ns >= bound_ns && bounds[0].what == "multiply-add units";
    const bool by_machine = bound_ns > 0 && ns > 0 && bound_ns / ns >= kMost && !same;
    const bool by_loop = !by_machine && loop_explains();
    std::string text =
        !by_loop ? fmt::format("its hot loop alone would allow a time through in {:.3g} cycles, by "
                               "the {}",
                               bounds[0].cycles, bounds[0].what)
                 : fmt::format("its hot loop is bound by the {}: {:.3g} cycles a time through",
                               bounds[0].what, bounds[0].cycles);
    if (bounds[1].cycles > 0)
      text += fmt::format(", then the {} with {:.3g}", bounds[1].what, bounds[1].cycles);
    sentences.push_back(text);
    // The compiler knew which accesses were spills; arrays may live on the stack as well.
    if (loop->stack > 0 && (!facts.is_object() || facts.value("spills", int64_t{1}) > 0))
      sentences.push_back(
          fmt::format("the hot loop spills registers to the stack ({}): its register "
                      "tile is too large",
                      format_count(loop->stack, "access")));
    if (loop->vector_bits < machine_vector_bits)
      sentences.push_back(
          loop->vector_bits > 0
              ? fmt::format("the hot loop uses vectors of {} bits; the target has {}",
                            loop->vector_bits, machine_vector_bits)
              : fmt::format("the hot loop has no vectors; the target has {} bits",
                            machine_vector_bits));
    const double needed = rates.add_latency * rates.multiply_adds_per_cycle;
    if (by_loop && bounds[0].what == "chain of sums" && loop->sums < needed)
      sentences.push_back(fmt::format(
          "the hot loop adds to {}; {:g} are needed to keep the multiply-add units busy",
          format_count(loop->sums, "register"), needed));
  }
  const std::string little = what_explains_little(*this);
  if (!little.empty())
    sentences.push_back("none of the bounds explains its time: " + little);
  if (estimate && estimate->total_ns > 0 && ns > 0) {
    double largest = estimate->port_ns;
    std::string what = "the ports of the core";
    for (size_t i = 0; i < estimate->traffic_ns.size(); ++i)
      if (estimate->traffic_ns[i] > largest) {
        largest = estimate->traffic_ns[i];
        what = fmt::format("what L{} does not hold", i + 1);
      }
    const double ratio = ns / estimate->total_ns;
    sentences.push_back(fmt::format(
        "the analytical estimate says {}{}; measured is {:.2f} times that{}",
        format_time(estimate->total_ns), little.empty() ? ", most of it for " + what : "", ratio,
        ratio > 1.5 ? ", so something costs that it does not see (latency, conflicts, page walks)"
                    : ""));
  }
  return sentences;
}

Result<Explanation> explain(Workbench& bench, const database::RecordRow& row) {
  TEMPER_TRY(store, bench.store());
  return Explainer(bench, *store).run(row);
}

} // namespace temper::tuner
