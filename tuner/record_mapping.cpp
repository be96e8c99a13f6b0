#include "tuner/record_mapping.h"

#include "codegen/artifact_json.h"
#include "engine/gpu_conditions.h"
#include "ir/s_tir/trace_json.h"
#include "ir/structural.h"
#include "ir/support/json.h"
#include "ir/support/text.h"

#include <cmath>

namespace temper::tuner {
namespace {

database::Outcome to_row(engine::Outcome outcome) {
  // The two lists have the same words; a word that only one has is a bug.
  const auto parsed = database::parse_outcome(engine::to_string(outcome));
  TEMPER_CHECK(parsed.has_value(), "engine and database know the same outcomes");
  return *parsed;
}

constexpr const char* kTolerance = "tolerance";
constexpr const char* kOutputTolerances = "output_tolerances";

} // namespace

database::TimingRegime to_row(engine::Regime regime) {
  return regime == engine::Regime::kCold ? database::TimingRegime::kCold
                                         : database::TimingRegime::kHot;
}

engine::Regime from_row(database::TimingRegime regime) {
  return regime == database::TimingRegime::kCold ? engine::Regime::kCold : engine::Regime::kHot;
}

void restore_checking(const database::Measurement& row, script::Workload& workload) {
  // "A=int(0, 4),B=normal", as Task::inputs_text writes it; "normal" alone names no argument.
  size_t begin = 0;
  int depth = 0;
  for (size_t i = 0; i <= row.inputs.size(); ++i) {
    const char c = i < row.inputs.size() ? row.inputs[i] : ',';
    depth += c == '(' ? 1 : c == ')' ? -1 : 0;
    if (c != ',' || depth != 0)
      continue;
    const std::string one = row.inputs.substr(begin, i - begin);
    if (const size_t equals = one.find('='); equals != std::string::npos)
      workload.inputs[one.substr(0, equals)] = one.substr(equals + 1);
    begin = i + 1;
  }
  const Json timing = parse_json(row.timing_json).value_or(Json::object());
  if (!timing.is_object())
    return;
  if (const auto one = timing.find(kTolerance); one != timing.end() && one->is_number())
    if (const double tolerance = one->get<double>(); tolerance > 0)
      workload.tolerance = tolerance;
  if (const auto all = timing.find(kOutputTolerances); all != timing.end() && all->is_object())
    for (const auto& [output, tolerance] : all->items())
      if (tolerance.is_number())
        workload.output_tolerances[output] = tolerance.get<double>();
}

database::Workload workload_row(const Task& task) {
  database::Workload row;
  row.name = task.workload;
  row.layer = task.layer;
  row.function = task.module->functions.front().name;
  row.structural_hash = ir::structural_hash(task.module);
  row.binding_json = task.binding_json;
  row.parameters_json = task.parameters_json;
  if (task.flops > 0)
    row.flops = task.flops;
  if (task.bytes > 0)
    row.bytes = task.bytes;
  row.program = task.module_text;
  row.source_path = task.source_path;
  row.unchecked = !task.reference;
  return row;
}

std::string trial_log(const std::string& compiler, const std::string& measurement_log) {
  if (trim(compiler).empty())
    return measurement_log;
  return "the compiler wrote:\n" + std::string(trim(compiler)) +
         (measurement_log.empty() ? "" : "\n" + measurement_log);
}

database::Measurement measurement_row(const engine::Measurement& measurement, const Task& task,
                                      const codegen::Artifact* artifact) {
  database::Measurement row;
  row.sequence = -1;
  row.outcome = to_row(measurement.outcome);
  row.stage = measurement.stage;
  if (measurement.median_ns > 0) {
    row.median_ns = measurement.median_ns;
    row.low_ns = measurement.interval.low;
    row.high_ns = measurement.interval.high;
  }
  row.samples_ns.assign(measurement.samples_ns.begin(), measurement.samples_ns.end());
  row.gaps_dropped = measurement.gaps_dropped;
  row.regime = to_row(measurement.regime);
  row.inputs = task.inputs_text();
  row.threads = task.threads;
  if (measurement.compile_ms > 0)
    row.compile_ms = measurement.compile_ms;
  if (measurement.measure_ms > 0)
    row.measure_ms = measurement.measure_ms;
  row.error = measurement.error;
  row.log = measurement.log;
  if (measurement.worst)
    row.worst_json =
        Json{{"output", measurement.worst->argument},     {"index", measurement.worst->index},
             {"expected", measurement.worst->expected},   {"got", measurement.worst->got},
             {"tolerance", measurement.worst->tolerance}, {"wrong", measurement.worst->wrong_count}}
            .dump();
  Json timing{{kTolerance, task.tolerance}};
  if (!task.output_tolerances.empty())
    timing[kOutputTolerances] = task.output_tolerances;
  if (!measurement.samples_ns.empty()) {
    timing.update(Json{{"calls_per_sample", measurement.calls_per_sample},
                       {"flagged", measurement.flagged},
                       {"steal_ms", measurement.steal_ms},
                       {"involuntary_switches", measurement.involuntary_switches},
                       {"side_by_side", measurement.side_by_side},
                       {"clock_ghz", measurement.clock_ghz}});
    if (const auto conditions = engine::conditions_of(measurement))
      timing["gpu"] = engine::to_json(*conditions);
  }
  row.timing_json = timing.dump();
  row.unchecked = !task.reference;
  if (artifact != nullptr) {
    row.code_hash = artifact->code_hash;
    row.facts_json = codegen::facts_to_json(artifact->facts).dump();
  }
  if (const auto counters = engine::plain_counters(measurement); !counters.empty())
    row.counters_json = Json(counters).dump();
  return row;
}

database::Candidate candidate_row(const Candidate& candidate, const database::Id& workload,
                                  const database::Id& parent) {
  database::Candidate row;
  row.workload = workload;
  row.kind = "trace";
  row.program = s_tir::trace_to_json_text(candidate.trace);
  row.parent = parent;
  row.origin = candidate.origin;
  return row;
}

database::Artifact artifact_row(const codegen::Artifact& artifact, const database::Id& candidate,
                                const database::Id& toolchain) {
  database::Artifact row;
  row.candidate = candidate;
  row.toolchain = toolchain;
  row.target = artifact.target;
  row.code_hash = artifact.code_hash;
  row.code = artifact.code;
  row.object = codegen::objects_of(artifact);
  row.json = codegen::artifact_to_json(artifact).dump();
  return row;
}

Result<codegen::Artifact> artifact_from_row(const database::Artifact& row) {
  TEMPER_TRY(json, parse_json(row.json));
  TEMPER_TRY(artifact, codegen::artifact_from_json(json));
  artifact.code = row.code;
  TEMPER_TRY_VOID(codegen::set_objects(artifact, json, row.object));
  return std::move(artifact);
}

} // namespace temper::tuner
