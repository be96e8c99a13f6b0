// What a search does to schedules thousands of times a second: replay a trace, sample one anew,
// copy a schedule, call single primitives; and what a person waits for: reading a script. The goal
// for a matmul trace of 40 steps is 0.2 ms, for 500 lines 10 ms.
#include "ir/s_tir/schedule.h"
#include "ir/s_tir/trace_json.h"
#include "ir/script/parser.h"
#include "ir/script/printer.h"
#include "ir/support/text.h"
#include "tests/s_tir/build_program.h"

#include <benchmark/benchmark.h>

namespace temper::s_tir {
namespace {

Trace longest_trace(const char* name) {
  const auto text =
      read_file(std::string(TEMPER_SOURCE_DIR "/tests/s_tir/data/metaschedule_") + name + ".jsonl");
  Trace longest;
  for (const std::string& line : split_text(text.value(), '\n'))
    if (!line.empty())
      if (const auto trace = trace_from_json_text(line); trace && trace->size() > longest.size())
        longest = *trace;
  return longest;
}

void replay_trace(benchmark::State& state, const Trace& trace, const IRModule& module) {
  for (auto _ : state) {
    Schedule schedule(module, 1);
    schedule.set_render_errors(false);
    const auto done = schedule.apply(trace);
    TEMPER_CHECK(done.has_value(), "the trace replays");
    benchmark::DoNotOptimize(schedule.module());
  }
  state.counters["steps"] = static_cast<double>(trace.size());
}

void replay_matmul(benchmark::State& state) {
  replay_trace(state, longest_trace("gmm"), testing::matmul(1024, 1024, 1024));
}
BENCHMARK(replay_matmul)->Unit(benchmark::kMicrosecond);

void replay_convolution(benchmark::State& state) {
  replay_trace(state, longest_trace("cbr"), testing::conv_bias_relu(56, 64));
}
BENCHMARK(replay_convolution)->Unit(benchmark::kMicrosecond);

/// Decisions dropped, as for the first population of a search.
void sample_matmul(benchmark::State& state) {
  const Trace trace = longest_trace("gmm").without_postproc().without_decisions();
  const IRModule module = testing::matmul(1024, 1024, 1024);
  uint64_t seed = 0;
  for (auto _ : state) {
    Schedule schedule(module, ++seed);
    benchmark::DoNotOptimize(schedule.apply(trace));
  }
}
BENCHMARK(sample_matmul)->Unit(benchmark::kMicrosecond);

void copy_schedule(benchmark::State& state) {
  Schedule schedule(testing::matmul(1024, 1024, 1024), 1);
  TEMPER_CHECK(schedule.apply(longest_trace("gmm")).has_value(), "the trace replays");
  for (auto _ : state) {
    Schedule copy = schedule;
    benchmark::DoNotOptimize(copy);
  }
}
BENCHMARK(copy_schedule);

void read_and_write_json(benchmark::State& state) {
  const std::string text = trace_to_json_text(longest_trace("gmm"));
  for (auto _ : state)
    benchmark::DoNotOptimize(trace_to_json_text(*trace_from_json_text(text)));
}
BENCHMARK(read_and_write_json)->Unit(benchmark::kMicrosecond);

/// A module of scheduled convolutions, 500 lines at least.
void parse_script(benchmark::State& state) {
  Schedule schedule(testing::conv_bias_relu(56, 64), 1);
  TEMPER_CHECK(schedule.apply(longest_trace("cbr")).has_value(), "the trace replays");
  const PrimFunc function = schedule.module()->find_prim_func("main");
  std::string text;
  size_t lines = 0;
  for (std::vector<ModuleEntry> entries; lines < 500;
       lines = static_cast<size_t>(std::count(text.begin(), text.end(), '\n'))) {
    const std::string name = "main_" + std::to_string(entries.size());
    entries.push_back({name, copy_node(*function, [&](PrimFuncNode& node) { node.name = name; })});
    text = script::to_text(make_module(entries));
  }
  for (auto _ : state) {
    const auto module = script::parse_module(text);
    TEMPER_CHECK(module.has_value(), "the text parses");
    benchmark::DoNotOptimize(module);
  }
  state.counters["lines"] = static_cast<double>(lines);
}
BENCHMARK(parse_script)->Unit(benchmark::kMillisecond);

/// One instruction kind after another of the matmul trace, each at its place in the trace.
void one_instruction(benchmark::State& state) {
  const Trace trace = longest_trace("gmm");
  const auto index = static_cast<size_t>(state.range(0));
  Schedule before(testing::matmul(1024, 1024, 1024), 1);
  TEMPER_CHECK(before.apply(trace.prefix(index)).has_value(), "the trace replays");
  const Instruction& instruction = trace[index];
  for (auto _ : state) {
    state.PauseTiming();
    Schedule schedule = before;
    state.ResumeTiming();
    benchmark::DoNotOptimize(schedule.call(*instruction.primitive, instruction.inputs,
                                           instruction.attrs, instruction.decision));
  }
  state.SetLabel(instruction.primitive->name);
}
BENCHMARK(one_instruction)->Iterations(300)->Apply([](auto* benchmark) {
  for (size_t i = 0; i < longest_trace("gmm").size(); ++i)
    benchmark->Arg(static_cast<int64_t>(i));
});

} // namespace
} // namespace temper::s_tir

BENCHMARK_MAIN();
