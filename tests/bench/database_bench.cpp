// The database at the size of some months' work: 100,000 trials of 100 workloads.
//
//   build/bench/database_bench            # TEMPER_BENCH_ROWS=1000000 for a million
//
// TEMPER_BENCH_FOLDER=DIR keeps the big database there and uses it again: a million rows take
// minutes to make.
#include "database/dump.h"
#include "database/sqlite_store.h"
#include "ir/support/random.h"

#include <algorithm>
#include <benchmark/benchmark.h>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <unistd.h>

namespace temper::database {
namespace {

template <typename T> T must(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "%s\n", result.error().to_string().c_str());
    std::exit(1);
  }
  return std::move(result).value();
}
void must(Result<void> result) {
  if (!result) {
    std::fprintf(stderr, "%s\n", result.error().to_string().c_str());
    std::exit(1);
  }
}

int64_t row_count() {
  const char* text = std::getenv("TEMPER_BENCH_ROWS");
  return text ? std::atoll(text) : 100'000;
}

std::string trace(Random& random) {
  std::string text = "[[[\"GetSBlock\",[],[\"C\",\"main\"],[\"b0\"]]";
  std::string decisions;
  for (int i = 0; i < 20; ++i) {
    text += ",[\"SamplePerfectTile\",[\"l" + std::to_string(i) + "\"],[4,64],[\"v" +
            std::to_string(4 * i) + "\",\"v" + std::to_string(4 * i + 1) + "\"]],[\"Split\",[\"l" +
            std::to_string(i) + "\"],[1,0],[\"l" + std::to_string(100 + i) + "\"]]";
    decisions += (i ? ",[" : "[") + std::to_string(2 * i + 1) + ",[" +
                 std::to_string(1 << random.below(7)) + "," + std::to_string(1 << random.below(7)) +
                 "]]";
  }
  // A tenth of the candidates has a skeleton of its own.
  if (random.below(10) == 0)
    text += ",[\"Fuse\",[\"l" + std::to_string(random.below(1000)) + "\"],[1],[\"l999\"]]";
  return text + "],[" + decisions + "]]";
}

struct Scene {
  std::unique_ptr<Store> store;
  Id environment, toolchain;
  std::vector<Id> runs;
  Random random{1};

  explicit Scene(const std::filesystem::path& path)
      : store(must(open_sqlite_store({.path = path}))) {
    environment = must(store->add(Environment{.fingerprint = 1, .class_name = "cpu:x/2"}));
    toolchain = must(store->add(Toolchain{.json = "{\"llvm\":\"19.1.7\"}"}));
  }

  RunClaim new_run(int index) {
    Workload workload;
    workload.name = "kernel" + std::to_string(index % 20);
    workload.layer = "s-tir";
    workload.structural_hash = static_cast<uint64_t>(index);
    workload.binding_json = "{\"M\":" + std::to_string(64 * (index / 20 + 1)) + "}";
    workload.flops = 1e9;
    Run run;
    run.workload = must(store->add(workload));
    run.target = "cpu:x";
    run.environment = environment;
    run.toolchain = toolchain;
    run.strategy = "evolutionary";
    run.seed = random();
    runs.push_back(must(store->create_run(run)));
    return must(store->claim_run(runs.back()));
  }

  Trial trial() {
    Measurement row;
    row.sequence = -1;
    row.outcome = random.below(5) == 0       ? Outcome::kCrashed
                  : random.below(10000) == 0 ? Outcome::kWrongResult
                                             : Outcome::kOk;
    row.stage = "time";
    row.median_ns = row.outcome == Outcome::kOk ? 1e6 * (1 + random.uniform()) : kUnknown;
    row.samples_ns.assign(30, 1e6f);
    row.error = row.outcome == Outcome::kOk ? "" : "signal 11";
    row.facts_json = "{\"code_bytes\":4096,\"spills\":0,\"vector_bits\":512}";
    row.environment = environment;
    row.toolchain = toolchain;
    row.code_hash = random();
    return {{.kind = "trace", .program = trace(random), .origin = "mutate"}, row};
  }
};

const char* kept_folder() { return std::getenv("TEMPER_BENCH_FOLDER"); }

std::filesystem::path folder() {
  static const std::filesystem::path path = [] {
    if (kept_folder())
      return std::filesystem::path(kept_folder());
    std::string text = (std::filesystem::temp_directory_path() / "temper_bench_XXXXXX").string();
    const char* made = ::mkdtemp(text.data());
    return std::filesystem::path(made ? made : ".");
  }();
  return path;
}

/// The big database, made once.
Scene& scene() {
  static Scene* made = [] {
    auto* scene = new Scene(folder() / "big.db");
    for (const Run& run : must(scene->store->list_runs({})))
      scene->runs.push_back(run.id);
    std::ranges::reverse(scene->runs);
    constexpr int kWorkloads = 100;
    // Every workload is tuned twice, as before and after a change.
    for (int i = static_cast<int>(scene->runs.size()); i < 2 * kWorkloads; ++i)
      must(scene->store->transaction([&]() -> Result<void> {
        const RunClaim claim = scene->new_run(i % kWorkloads);
        for (int64_t k = 0; k < row_count() / (2 * kWorkloads); ++k)
          must(scene->store->record(claim, scene->trial(), {.trials = k + 1}));
        must(scene->store->release_run(claim, RunState::kFinished, "done"));
        return {};
      }));
    return scene;
  }();
  return *made;
}

/// One committed transaction per outcome, as a run does it.
void record(benchmark::State& state) {
  std::filesystem::remove(folder() / "record.db");
  Scene fresh(folder() / "record.db");
  const RunClaim claim = fresh.new_run(0);
  RunProgress progress;
  progress.funnel_json = std::string("{\"proposed\":") + std::string(200, '1') + "}";
  for (auto _ : state) {
    state.PauseTiming();
    const Trial trial = fresh.trial();
    state.ResumeTiming();
    progress.trials += 1;
    must(fresh.store->record(claim, trial, progress));
  }
}
BENCHMARK(record)->Unit(benchmark::kMicrosecond)->Iterations(5000);

void best_of_all(benchmark::State& state) {
  Scene& big = scene();
  for (auto _ : state)
    benchmark::DoNotOptimize(must(big.store->best({.current_toolchains = {big.toolchain}})));
}
BENCHMARK(best_of_all)->Unit(benchmark::kMillisecond);

void best_of_a_name(benchmark::State& state) {
  Scene& big = scene();
  for (auto _ : state)
    benchmark::DoNotOptimize(must(big.store->best({.workload_name = "kernel7"})));
}
BENCHMARK(best_of_a_name)->Unit(benchmark::kMillisecond);

void list_newest_page(benchmark::State& state) {
  Scene& big = scene();
  for (auto _ : state)
    benchmark::DoNotOptimize(must(big.store->list_records({.limit = 256})));
}
BENCHMARK(list_newest_page)->Unit(benchmark::kMillisecond);

void list_failures_of_a_name(benchmark::State& state) {
  Scene& big = scene();
  for (auto _ : state)
    benchmark::DoNotOptimize(must(big.store->list_records(
        {.workload_name = "kernel7", .outcomes = {Outcome::kCrashed}, .limit = 256})));
}
BENCHMARK(list_failures_of_a_name)->Unit(benchmark::kMillisecond);

void list_rare_failures(benchmark::State& state) {
  Scene& big = scene();
  for (auto _ : state)
    benchmark::DoNotOptimize(
        must(big.store->list_records({.outcomes = {Outcome::kWrongResult}, .limit = 256})));
}
BENCHMARK(list_rare_failures)->Unit(benchmark::kMillisecond);

void list_of_a_tag(benchmark::State& state) {
  Scene& big = scene();
  must(big.store->add(Tag{.subject = big.runs[3], .tag = "bench"}));
  for (auto _ : state)
    benchmark::DoNotOptimize(must(big.store->list_records({.tag = "bench", .limit = 256})));
}
BENCHMARK(list_of_a_tag)->Unit(benchmark::kMillisecond);

void best_of_two_runs(benchmark::State& state) {
  Scene& big = scene();
  for (auto _ : state)
    for (const size_t run : {size_t{7}, size_t{107}})
      benchmark::DoNotOptimize(
          must(big.store->best({.run = big.runs[run], .include_stale = true})));
}
BENCHMARK(best_of_two_runs)->Unit(benchmark::kMillisecond);

void list_fastest_page(benchmark::State& state) {
  Scene& big = scene();
  for (auto _ : state)
    benchmark::DoNotOptimize(must(big.store->list_records(
        {.workload_name = "kernel7", .order = Order::kFastest, .limit = 256})));
}
BENCHMARK(list_fastest_page)->Unit(benchmark::kMillisecond);

void list_all_records(benchmark::State& state) {
  Scene& big = scene();
  for (auto _ : state)
    benchmark::DoNotOptimize(must(big.store->list_records({})));
}
BENCHMARK(list_all_records)->Unit(benchmark::kMillisecond);

void list_workloads(benchmark::State& state) {
  Scene& big = scene();
  for (auto _ : state)
    benchmark::DoNotOptimize(must(big.store->list_workloads()));
}
BENCHMARK(list_workloads)->Unit(benchmark::kMillisecond);

void convergence_of_a_run(benchmark::State& state) {
  Scene& big = scene();
  for (auto _ : state)
    benchmark::DoNotOptimize(must(big.store->convergence(big.runs[50])));
}
BENCHMARK(convergence_of_a_run)->Unit(benchmark::kMillisecond);

void failures_of_a_run(benchmark::State& state) {
  Scene& big = scene();
  for (auto _ : state)
    benchmark::DoNotOptimize(must(big.store->failures(big.runs[50])));
}
BENCHMARK(failures_of_a_run)->Unit(benchmark::kMillisecond);

void programs_of_a_workload(benchmark::State& state) {
  Scene& big = scene();
  const Id workload = must(big.store->run(big.runs[50])).workload;
  for (auto _ : state) {
    int64_t bytes = 0;
    must(big.store->measured_programs(workload, [&](const MeasuredProgram& row) {
      bytes += static_cast<int64_t>(row.program.size());
      return true;
    }));
    state.SetBytesProcessed(state.bytes_processed() + bytes);
  }
}
BENCHMARK(programs_of_a_workload)->Unit(benchmark::kMillisecond);

void short_id(benchmark::State& state) {
  Scene& big = scene();
  for (auto _ : state)
    benchmark::DoNotOptimize(must(big.store->short_id(big.runs[50])));
}
BENCHMARK(short_id)->Unit(benchmark::kMicrosecond);

void dump_all(benchmark::State& state) {
  Scene& big = scene();
  for (auto _ : state) {
    std::ofstream out(folder() / "dump.jsonl");
    must(dump(*big.store, out));
  }
}
BENCHMARK(dump_all)->Unit(benchmark::kMillisecond)->Iterations(1);

void import_all(benchmark::State& state) {
  for (auto _ : state) {
    std::filesystem::remove(folder() / "import.db");
    auto store = must(open_sqlite_store({.path = folder() / "import.db"}));
    std::ifstream in(folder() / "dump.jsonl");
    must(import_dump(*store, in, "dump.jsonl"));
  }
}
BENCHMARK(import_all)->Unit(benchmark::kMillisecond)->Iterations(1);

} // namespace
} // namespace temper::database

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv))
    return 2;
  benchmark::RunSpecifiedBenchmarks();
  std::error_code ignored;
  if (!temper::database::kept_folder())
    std::filesystem::remove_all(temper::database::folder(), ignored);
  return 0;
}
