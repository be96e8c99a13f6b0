// What a search pays for each candidate that it looks at and does not measure: a decision mutated,
// the trace replayed and post-processed, features taken, and the model asked, for a matmul of 512.
// The goal is 0.5 ms a candidate on a core. And what it pays for those that it estimates, and for
// those that it compiles.
#include "codegen/llvm/compile.h"
#include "codegen/lower_for_estimate.h"
#include "ir/s_tir/trace_json.h"
#include "ir/script/printer.h"
#include "ir/script/workload_file.h"
#include "tuner/compile_protocol.h"
#include "tuner/cost/analytical.h"
#include "tuner/cost/cost_model.h"
#include "tuner/space/sketch_space.h"
#include "tuner/workbench.h"

#include <benchmark/benchmark.h>

namespace temper::tuner {
namespace {

template <typename T> T must(Result<T> result) {
  TEMPER_CHECK(result.has_value(), result.error().to_string());
  return std::move(result).value();
}

std::unique_ptr<Space> matmul_space() {
  const auto file = must(script::WorkloadFile::read(TEMPER_SOURCE_DIR "/workloads/matmul.py"));
  const auto workload =
      must(file.instantiate("matmul", {{"M", "512"}, {"N", "512"}, {"K", "512"}}));
  SketchOptions options;
  options.machine = must(machine_hints_for(must(ir::parse_target("native")), 1));
  return must(make_sketch_space(workload.module, std::move(options)));
}

std::vector<CandidateRef> samples(const Space& space, size_t count, Random& random) {
  std::vector<CandidateRef> sampled;
  while (sampled.size() < count)
    if (auto candidate = space.sample(random))
      sampled.push_back(std::move(*candidate));
  return sampled;
}

void mutate_and_predict(benchmark::State& state) {
  constexpr size_t kPopulation = 128;
  const std::unique_ptr<Space> space = matmul_space();
  Random random(1);
  const std::vector<CandidateRef> parents = samples(*space, kPopulation, random);
  const std::unique_ptr<CostModel> model = must(make_xgboost_model());
  std::vector<CostSample> measured;
  for (const CandidateRef& parent : parents)
    measured.push_back({parent->features, 1e-3 * (1 + random.uniform())});
  model->update(measured);
  size_t made = 0;
  for (auto _ : state) {
    std::vector<CandidateRef> children;
    std::vector<const FeatureMatrix*> features;
    for (const CandidateRef& parent : parents)
      if (auto child = space->mutate(*parent, random)) {
        children.push_back(std::move(*child));
        features.push_back(&children.back()->features);
      }
    benchmark::DoNotOptimize(model->predict(features));
    made += children.size();
  }
  state.counters["s_per_candidate"] = benchmark::Counter(
      static_cast<double>(made), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["legal"] =
      static_cast<double>(made) / static_cast<double>(state.iterations() * kPopulation);
}
BENCHMARK(mutate_and_predict)->Unit(benchmark::kMillisecond);

/// Lowered, its loops left as they are, and estimated, as all that a search looks at closely.
void estimate_candidate(benchmark::State& state) {
  const std::unique_ptr<Space> space = matmul_space();
  Random random(1);
  const std::vector<CandidateRef> sampled = samples(*space, 64, random);
  const ir::Target target = must(codegen::resolve_target(must(ir::parse_target("native"))));
  const codegen::LowerOptions options = must(lower_options_for(target, true));
  size_t next = 0;
  for (auto _ : state) {
    const ir::IRModule lowered =
        must(codegen::lower_for_estimate(sampled[next++ % sampled.size()]->module, options));
    benchmark::DoNotOptimize(estimate_time(
        lowered->functions.front().function.as_ref<ir::PrimFuncNode>(), MachineRates(), 1));
  }
}
BENCHMARK(estimate_candidate)->Unit(benchmark::kMillisecond);

/// Lowered as what is compiled.
void lower_candidate(benchmark::State& state) {
  const std::unique_ptr<Space> space = matmul_space();
  Random random(1);
  const std::vector<CandidateRef> sampled = samples(*space, 64, random);
  const ir::Target target = must(codegen::resolve_target(must(ir::parse_target("native"))));
  codegen::LowerOptions options = must(lower_options_for(target, true));
  options.verify = false;
  size_t next = 0;
  for (auto _ : state)
    benchmark::DoNotOptimize(
        codegen::lower_for_cpu(sampled[next++ % sampled.size()]->module, options));
}
BENCHMARK(lower_candidate)->Unit(benchmark::kMillisecond);

/// Compiled, as a compile process does; what each part takes on average.
void compile_candidate(benchmark::State& state) {
  const std::unique_ptr<Space> space = matmul_space();
  Random random(1);
  const std::vector<CandidateRef> sampled = samples(*space, 64, random);
  CompileRequest request;
  request.module_text = script::to_text(space->untuned()->module);
  request.target = "native";
  request.threads = 1;
  size_t next = 0;
  codegen::StaticFacts sum;
  for (auto _ : state) {
    request.trace_json = s_tir::trace_to_json_text(sampled[next++ % sampled.size()]->trace);
    const auto artifact = must(compile_request(request));
    sum.lower_ms += artifact.facts.lower_ms;
    sum.optimize_ms += artifact.facts.optimize_ms;
    sum.emit_ms += artifact.facts.emit_ms;
    sum.link_ms += artifact.facts.link_ms;
  }
  for (const auto& [name, ms] : {std::pair("lower_ms", sum.lower_ms),
                                 {"optimize_ms", sum.optimize_ms},
                                 {"emit_ms", sum.emit_ms},
                                 {"link_ms", sum.link_ms}})
    state.counters[name] = benchmark::Counter(ms, benchmark::Counter::kAvgIterations);
}
BENCHMARK(compile_candidate)->Unit(benchmark::kMillisecond)->Iterations(256);

} // namespace
} // namespace temper::tuner

BENCHMARK_MAIN();
