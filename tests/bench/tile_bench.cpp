// What a search does to a tile program for each candidate before it is compiled. The goal for
// FlashAttention, layouts inferred and lowered to threads, is 20 ms.
#include "codegen/lower.h"
#include "codegen/lower_gpu.h"
#include "ir/script/workload_file.h"
#include "ir/support/check.h"
#include "ir/target.h"

#include <benchmark/benchmark.h>

namespace temper::codegen {
namespace {

ir::IRModule flash_attention(const char* block_m, const char* block_n) {
  const auto file = script::WorkloadFile::read(TEMPER_SOURCE_DIR "/workloads/flash_attention.py");
  TEMPER_CHECK(file.has_value(), "the workload is there");
  const auto workload = file->instantiate("flash_attention", {{"seq", "2048"},
                                                              {"heads", "8"},
                                                              {"dim", "64"},
                                                              {"dtype", "float16"},
                                                              {"block_M", block_m},
                                                              {"block_N", block_n}});
  TEMPER_CHECK(workload.has_value(), "its shape is legal");
  return ir::make_module(workload->module->functions);
}

void lower_flash_attention_for_gpu(benchmark::State& state) {
  const ir::IRModule module = flash_attention("64", "64");
  const auto target = ir::parse_target("cuda:sm_90a");
  TEMPER_CHECK(target.has_value(), "a target that is known");
  for (auto _ : state) {
    const auto lowered = lower_for_gpu(module, *target);
    TEMPER_CHECK(lowered.has_value(), "it fits the GPU");
    benchmark::DoNotOptimize(lowered);
  }
}
BENCHMARK(lower_flash_attention_for_gpu)->Unit(benchmark::kMillisecond);

void lower_flash_attention_for_cpu(benchmark::State& state) {
  const ir::IRModule module = flash_attention("64", "64");
  ir::LowerOptions options;
  options.verify = false; // as a search has it: who compiles verifies
  for (auto _ : state) {
    const auto lowered = lower_for_cpu(module, options);
    TEMPER_CHECK(lowered.has_value(), "it can be lowered");
    benchmark::DoNotOptimize(lowered);
  }
}
BENCHMARK(lower_flash_attention_for_cpu)->Unit(benchmark::kMillisecond);

} // namespace
} // namespace temper::codegen

BENCHMARK_MAIN();
