#include "tuner/record_context.h"

#include "codegen/llvm/compile.h"
#include "codegen/lower.h"
#include "codegen/lower_gpu.h"
#include "database/record_log.h"
#include "ir/s_tir/schedule.h"
#include "ir/s_tir/trace_json.h"
#include "ir/script/parser.h"
#include "ir/support/hash.h"
#include "ir/support/quantities.h"
#include "ir/support/significance.h"
#include "ir/support/target_text.h"
#include "ir/support/text.h"
#include "tuner/compile_protocol.h"
#include "tuner/gpu_pruning.h"
#include "tuner/space/knob_space.h"
#include "tuner/stored_comparison.h"
#include "tuner/workbench.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <limits>

namespace temper::tuner {
namespace {

/// "Xeon Gold 6430, 32 cores, KVM, governor performance".
std::string processor_of(const database::Environment& environment) {
  const Json json = parse_json(environment.json).value_or(Json());
  if (!json.is_object() || !json.contains("stable"))
    return {};
  const Json& stable = json["stable"];
  std::vector<std::string> parts;
  if (const std::string cpu = text_at(stable, "cpu"); !cpu.empty())
    parts.push_back(cpu);
  if (stable.is_object() && stable.contains("cores") && stable["cores"].is_number_integer())
    parts.push_back(format_count(stable["cores"].get<int64_t>(), "core"));
  if (const std::string gpu = text_at(stable, "gpu"); !gpu.empty())
    parts.push_back(gpu);
  if (stable.is_object() && stable.contains("multiprocessors") &&
      stable["multiprocessors"].is_number_integer())
    parts.push_back(format_count(stable["multiprocessors"].get<int64_t>(), "multiprocessor"));
  for (const char* name : {"hypervisor", "container"})
    if (const std::string word = text_at(stable, name); !word.empty())
      parts.push_back(word);
  for (const char* name : {"governor", "turbo"})
    if (const std::string word = text_at(stable, name); !word.empty())
      parts.push_back(std::string(name) + " " + word);
  return join(parts, ", ");
}

std::string system_of(const database::Environment& environment) {
  const Json json = parse_json(environment.json).value_or(Json());
  if (!json.is_object())
    return {};
  std::vector<std::string> parts;
  if (json.contains("detail"))
    if (const std::string kernel = text_at(json["detail"], "kernel"); !kernel.empty())
      parts.push_back("Linux " + kernel);
  if (json.contains("detail")) // of a GPU
    if (const std::string driver = text_at(json["detail"], "driver"); !driver.empty())
      parts.push_back("driver " + driver);
  if (json.contains("stable"))
    if (const std::string libc = text_at(json["stable"], "libc"); !libc.empty())
      parts.push_back(libc);
  return join(parts, ", ");
}

/// Of the temper that measured: version and commit, which runs keep among their options.
std::string temper_of(const database::Run& run) {
  return text_at(parse_json(run.options_json).value_or(Json()), "temper");
}

/// The first run in which the record's candidate was measured for its own sake.
Result<database::Run> search_of(database::Store& store, const database::RecordRow& row,
                                const database::Run& run) {
  const auto only_measures = [](const database::Run& one) {
    return one.strategy == "bench" || one.strategy == "remeasure" || one.strategy == "rerun";
  };
  if (!only_measures(run))
    return run;
  database::RecordFilter filter;
  filter.candidate = row.candidate;
  TEMPER_TRY(rows, store.list_records(filter)); // newest first
  database::Run found = run;
  for (const database::RecordRow& other : rows) {
    TEMPER_TRY(one, store.run(other.run));
    if (!only_measures(one))
      found = std::move(one);
  }
  return found;
}

/// Sessions differ: a machine is not the same on two days. Therefore the measurement of the
/// record's own run, else the nearest in time, as of the same `temper bench`.
std::optional<database::Measurement> find_untuned(database::Store& store,
                                                  const database::RecordRow& row) {
  const auto query =
      // What was given up after a call or two has no time to be held against one.
      database::parse_query("outcome in (ok, disturbed) and time > 0ns", 0);
  TEMPER_CHECK(query.has_value(), "the query is ours");
  // By the candidate, not by why it was measured: bench and remeasure measure it as well.
  database::Candidate untuned;
  untuned.workload = row.workload;
  untuned.program = s_tir::trace_to_json_text(s_tir::Trace());
  database::RecordFilter filter = database::same_conditions(row);
  filter.candidate = database::id_of(untuned);
  filter.query = *query;
  const auto rows = store.list_records(filter);
  if (!rows || rows->empty())
    return std::nullopt;
  const auto distance = [&](const database::RecordRow& other) {
    return std::pair(other.run != row.run, std::abs(other.measured_at - row.measured_at));
  };
  const auto nearest = std::ranges::min_element(*rows, {}, distance);
  if (auto record = store.measurement(nearest->id))
    return std::move(*record);
  return std::nullopt;
}

} // namespace

double RecordContext::gain() const {
  return untuned && untuned->median_ns > 0 && record.median_ns > 0
             ? untuned->median_ns / record.median_ns
             : 0;
}

Interval RecordContext::gain_interval() const {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  if (gain() <= 0 || untuned->samples_ns.size() < kFewestStoredSamples ||
      record.samples_ns.size() < kFewestStoredSamples)
    return {kNan, kNan};
  const std::vector<double> before(untuned->samples_ns.begin(), untuned->samples_ns.end());
  const std::vector<double> now(record.samples_ns.begin(), record.samples_ns.end());
  return ratio_interval(log_ratio_draws(before, now, hash_bytes(record.id), 400));
}

Result<RecordContext> context_of(database::Store& store, const database::RecordRow& row) {
  RecordContext context;
  context.row = row;
  TEMPER_TRY(record, store.measurement(row.id));
  context.record = std::move(record);
  TEMPER_TRY(workload, store.workload(row.workload));
  context.workload = std::move(workload);
  TEMPER_TRY(run, store.run(row.run));
  context.run = std::move(run);
  TEMPER_TRY(search, search_of(store, row, context.run));
  context.search = std::move(search);
  TEMPER_TRY(environment, store.environment(context.record.environment));
  context.environment = std::move(environment);
  TEMPER_TRY(toolchain, store.toolchain(row.toolchain));
  context.toolchain = std::move(toolchain);
  const std::string binding = format_binding(declared_order(context.workload).dump());
  context.title = row.workload_name + (binding.empty() ? "" : " " + binding);
  context.untuned = find_untuned(store, row);
  return context;
}

std::vector<std::pair<std::string, std::string>> provenance(const RecordContext& context) {
  const database::Measurement& record = context.record;
  const database::Run& run = context.run;
  const std::string threads = thread_text(context.row.target, record.threads);
  std::string conditions = std::string(to_string(record.regime)) + " caches, " + threads +
                           (threads.empty() ? "" : ", ") + "inputs " + record.inputs;
  if (record.gaps_dropped > 0)
    conditions += ", " + format_count(record.gaps_dropped, "sample") + " dropped for gaps";
  if (const std::string state = database::machine_state(record); !state.empty())
    conditions += ", " + state;
  const auto described = [](const database::Run& one) {
    return fmt::format("{}, {} in {}, strategy {}, seed {}", one.id,
                       format_count(one.trials, "trial"), format_seconds(one.seconds), one.strategy,
                       one.seed);
  };
  const bool again = context.search.id != run.id;
  return {
      {"record", record.id},
      {"measured",
       format_date(record.measured_at) +
           (record.purpose == database::Purpose::kConfirm ? ", a final one" : ", in the search") +
           ", " + format_count(static_cast<int64_t>(record.samples_ns.size()), "sample")},
      {"conditions", conditions},
      {"host", context.environment.host},
      {"processor", processor_of(context.environment)},
      {"system", system_of(context.environment)},
      {"class", context.environment.class_name},
      {"compiler",
       compiler_of(context.toolchain) + (context.row.stale ? " (stale: not today's)" : "")},
      {"target", context.row.target},
      {"temper", temper_of(run)},
      {"command", run.command_line},
      {"run", described(run)},
      {"ended", run.stopped_because},
      {"found by", again ? context.search.command_line : std::string()},
      {"in run", again ? described(context.search) : std::string()},
      {"program", context.workload.source_path},
  };
}

Json provenance_json(const RecordContext& context) {
  const database::Run& run = context.run;
  return Json{{"measured_at", context.record.measured_at},
              {"samples", context.record.samples_ns.size()},
              {"host", context.environment.host},
              {"processor", processor_of(context.environment)},
              {"system", system_of(context.environment)},
              {"environment", context.environment.class_name},
              {"toolchain", context.toolchain.id},
              {"compiler", compiler_of(context.toolchain)},
              {"target", context.row.target},
              {"threads", context.row.threads},
              {"temper", temper_of(run)},
              {"command", run.command_line},
              {"run", run.id},
              {"strategy", run.strategy},
              {"seed", run.seed},
              {"trials", context.search.trials},
              {"seconds", context.search.seconds},
              {"search_run", context.search.id},
              {"search_command", context.search.command_line}};
}

Result<ir::IRModule> scheduled_module(const database::Workload& workload,
                                      const database::Candidate& candidate) {
  TEMPER_TRY(module, script::parse_module(workload.program, workload.name));
  TEMPER_TRY(trace, s_tir::trace_from_json_text(candidate.program));
  return program_of(trace, module);
}

Result<ir::IRModule> lowered_module(const database::Measurement& record,
                                    const ir::IRModule& scheduled) {
  TEMPER_TRY(parsed, ir::parse_target(record.target));
  if (!parsed.is_cpu())
    return codegen::lower_for_gpu(scheduled, parsed);
  TEMPER_TRY(target, codegen::resolve_target(parsed));
  target.threads = record.threads;
  TEMPER_TRY(lower, lower_options_for(target, record.threads <= 1));
  return codegen::lower_for_cpu(scheduled, lower);
}

ir::PrimFunc main_function(const ir::IRModule& module) {
  for (const auto& function : module->functions)
    if (function.name == "main")
      return function.function.as_ref<ir::PrimFuncNode>();
  return module->functions.front().function.as_ref<ir::PrimFuncNode>();
}

namespace {

/// Whether the rules may compute it by instructions for whole matrices: these take 16 rows and 32
/// columns of the output and 64 bytes of the reduction at a time (register_tiling.cpp).
bool divides_into_matrices(const Task& task) {
  int64_t narrowest = 8;
  for (const codegen::ArgumentSpec& argument : task.signature)
    if (argument.is_buffer && !argument.is_output)
      narrowest = std::min<int64_t>(narrowest, argument.dtype.element_bytes());
  return task.reduction_length > 1 && task.reduction_length * narrowest % 64 == 0 &&
         std::any_of(task.signature.begin(), task.signature.end(),
                     [](const codegen::ArgumentSpec& argument) {
                       const std::vector<int64_t>& shape = argument.shape;
                       return argument.is_output && shape.size() >= 2 && shape.back() % 32 == 0 &&
                              shape[shape.size() - 2] % 16 == 0;
                     });
}

/// A bound holds for every kernel that the rules make: of the inputs' types the one that is
/// multiplied fastest counts.
std::optional<engine::FmaKind> fastest_kind(const Task& task,
                                            const engine::MachineSpeed& of_machine) {
  engine::MachineSpeed speed = of_machine;
  if (!divides_into_matrices(task))
    speed.bf16_matrix_flops = speed.int8_matrix_ops = 0;
  DataType sum;
  for (const codegen::ArgumentSpec& argument : task.signature)
    if (argument.is_output)
      sum = argument.dtype;
  std::optional<engine::FmaKind> fastest = speed.fastest_kind(sum, sum);
  for (const codegen::ArgumentSpec& argument : task.signature)
    if (const auto kind = speed.fastest_kind(argument.dtype, sum);
        kind && !argument.is_output && argument.is_buffer &&
        (!fastest || speed.peak(*kind) > speed.peak(*fastest)))
      fastest = kind;
  return fastest;
}

/// With arithmetic at `peak`, 0 for the bandwidth alone.
double bound_at(const Task& task, const engine::MachineSpeed& speed, double peak) {
  double bytes = 0;
  for (const codegen::ArgumentSpec& argument : task.signature)
    bytes += static_cast<double>(argument.byte_count());
  return speed.bound_ns(peak, task.least_flops(), bytes, task.threads);
}

} // namespace

double machine_peak(const Task& task, const engine::MachineSpeed& speed) {
  const auto kind = fastest_kind(task, speed);
  return kind ? speed.peak(*kind) : 0;
}

double machine_bound_ns(const Task& task, const engine::MachineSpeed& speed) {
  if (!task.target.is_cpu())
    return gpu_floor_ns(task);
  return bound_at(task, speed, machine_peak(task, speed));
}

std::optional<engine::FmaKind> bounding_arithmetic(const Task& task,
                                                   const engine::MachineSpeed& speed) {
  if (!task.target.is_cpu())
    return std::nullopt;
  const auto kind = fastest_kind(task, speed);
  return kind && machine_bound_ns(task, speed) > bound_at(task, speed, 0) ? kind : std::nullopt;
}

} // namespace temper::tuner
