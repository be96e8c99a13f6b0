// Measuring on a GPU, against one that is none (tests/cuda/fake): what candidates do wrong there,
// what the machine lacks, and the ladder of timers.
#include "codegen/artifact.h"
#include "codegen/cuda/print.h"
#include "codegen/lower_gpu.h"
#include "engine/cuda/device.h"
#include "engine/cuda/kernel.h"
#include "engine/gpu_conditions.h"
#include "engine/local_measurer.h"
#include "ir/module.h"
#include "ir/script/parser.h"
#include "ir/support/text.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

namespace temper::engine {
namespace {

using codegen::ArgumentSpec;
using codegen::Artifact;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int64_t kElements = 1000;

std::vector<ArgumentSpec> vectors(DataType type) {
  return {{"A", type, {kElements}, true, false},
          {"B", type, {kElements}, true, false},
          {"C", type, {kElements}, true, true}};
}

std::shared_ptr<Artifact> gpu_code(const std::string& behaviour, int64_t ns = 5000) {
  auto code = std::make_shared<Artifact>();
  code->kind = codegen::ArtifactKind::kCubin;
  code->code =
      fmt::format("fake sm_90\nkernel main_kernel {} n={} ns={}\n", behaviour, kElements, ns);
  code->entry = "main";
  code->signature = vectors(DataType::float32());
  code->target = "cuda:sm_90a";
  code->launch.kernels = {{"main_kernel", {8}, {128}, 0, {}}};
  return code;
}

WorkloadSpec addition(const char* reference = "reference") {
  WorkloadSpec spec;
  spec.name = "add";
  spec.signature = vectors(DataType::float32());
  spec.input_sets = default_input_sets(11, {});
  auto code = std::make_shared<Artifact>();
  code->code = *read_file(TEMPER_TEST_CANDIDATES);
  code->entry = reference;
  code->signature = vectors(DataType::float64());
  spec.reference = code;
  return spec;
}

/// A measurer on the fake GPU, with one workload.
class Gpu {
public:
  explicit Gpu(const std::string& settings = "", const WorkloadSpec& spec = addition(),
               int index = 0, const char* folder = "") {
    ::setenv("TEMPER_CUDA_LIBRARIES", (std::string(TEMPER_FAKE_GPU_FOLDER) + folder).c_str(), 1);
    ::setenv("TEMPER_FAKE_GPU", settings.c_str(), 1);
    LocalMeasurerOptions options;
    options.lock_path.clear();
    options.gpu = index;
    auto started = LocalMeasurer::start(options);
    EXPECT_TRUE(started) << started.error().message;
    measurer = std::move(*started);
    Result<WorkloadId> added = measurer->add_workload(spec);
    EXPECT_TRUE(added) << added.error().message;
    workload = *added;
  }

  MeasureRequest request(std::shared_ptr<const Artifact> code) const {
    MeasureRequest request;
    request.workload = workload;
    request.artifact = std::move(code);
    request.rule.max_seconds = 0.2;
    request.rule.min_samples = 3;
    request.rule.max_samples = 20;
    request.timeout_ms = 20'000;
    return request;
  }
  Measurement measure(MeasureRequest request) {
    const Ticket ticket = measurer->submit(std::move(request));
    while (measurer->pending() > 0)
      for (FinishedMeasurement& done : measurer->poll(-1))
        if (done.ticket == ticket)
          return std::move(done.measurement);
    ADD_FAILURE() << "the measurement is lost";
    return {};
  }
  Measurement measure(const std::string& behaviour) {
    return measure(request(gpu_code(behaviour)));
  }

  /// Whatever was measured last, the next is as if nothing had happened.
  void expect_unharmed() {
    const Measurement next = measure("add");
    EXPECT_EQ(next.outcome, Outcome::kOk) << next.error;
    EXPECT_EQ(measurer->restarts(), 0) << "the runner itself must have survived";
  }

  std::unique_ptr<LocalMeasurer> measurer;
  WorkloadId workload = 0;
};

void expect_failure(const Measurement& m, Outcome outcome, const char* stage, const char* words) {
  EXPECT_EQ(m.outcome, outcome) << to_string(m.outcome) << ": " << m.error;
  EXPECT_EQ(m.stage, stage) << m.error;
  EXPECT_THAT(m.error, HasSubstr(words));
  EXPECT_EQ(m.error.find('\n'), std::string::npos) << "one sentence";
  EXPECT_TRUE(m.samples_ns.empty()) << "a failure has no time";
}

#ifdef TEMPER_HAS_CUPTI
#define NEEDS_CUPTI()
#else
#define NEEDS_CUPTI() GTEST_SKIP() << "built without CUPTI's headers"
#endif

TEST(GpuMeasurer, TakesTheKernelsOwnTimeFromTheTrace) {
  NEEDS_CUPTI();
  Gpu gpu;
  const Measurement m = gpu.measure("add");
  ASSERT_EQ(m.outcome, Outcome::kOk) << m.error;
  EXPECT_EQ(m.median_ns, 5000) << "and not the way to the GPU";
  EXPECT_EQ(m.calls_per_sample, 1);
  EXPECT_GE(m.samples_ns.size(), 3U);
  const auto conditions = conditions_of(m);
  ASSERT_TRUE(conditions);
  EXPECT_EQ(conditions->timer, GpuTimer::kActivity);
  EXPECT_EQ(conditions->broken_traces, 0);
}

// What is started, and how, is what the program says of its kernel in CUDA C++.
TEST(GpuMeasurer, RunsKernelsOfOnesOwnAsTheirProgramStartsThem) {
  const auto program = script::parse_prim_func(R"(
@T.prim_func
def main(A: T.Tensor((1000,), "float32"), B: T.Tensor((1000,), "float32"), C: T.Tensor((1000,), "float32")):
    with T.Kernel(5, 2, threads=(25, 4)):
        T.source_kernel("addition", writes=C, shared=256, source="...")
)",
                                               "addition.py");
  ASSERT_TRUE(program) << program.error().to_string();
  const auto lowered =
      codegen::lower_for_gpu(ir::make_module(*program), *ir::parse_target("cuda:sm_90a"));
  ASSERT_TRUE(lowered) << lowered.error().message;
  const auto source =
      codegen::print_cuda((*lowered)->functions.front().function.as_ref<ir::PrimFuncNode>());
  ASSERT_TRUE(source) << source.error().message;
  const auto code = gpu_code("add");
  code->code = fmt::format("fake sm_90\nkernel addition add n={} ns=5000\n", kElements);
  code->launch.kernels = source->kernels;
  Gpu gpu;
  const Measurement right = gpu.measure(gpu.request(code));
  EXPECT_EQ(right.outcome, Outcome::kOk) << right.error;
  const auto wrong = std::make_shared<Artifact>(*code);
  wrong->code = fmt::format("fake sm_90\nkernel addition wrong n={} ns=5000\n", kElements);
  expect_failure(gpu.measure(gpu.request(wrong)), Outcome::kWrongResult, "check", "");
  const auto missing = std::make_shared<Artifact>(*code);
  missing->code = "fake sm_90\nkernel subtraction add n=1000 ns=5000\n";
  expect_failure(gpu.measure(gpu.request(missing)), Outcome::kCompileFailed, "load",
                 "the code has no kernel addition");
  gpu.expect_unharmed();
}

TEST(GpuMeasurer, KeepsClockPowerTemperatureAndWhatSlowsTheGpu) {
  Gpu gpu("clock=1410,slowdowns=36");
  const auto conditions = conditions_of(gpu.measure("add"));
  ASSERT_TRUE(conditions);
  EXPECT_GE(conditions->readings, 1);
  EXPECT_EQ(conditions->sm_clock_mhz, 1410);
  EXPECT_EQ(conditions->memory_clock_mhz, 3201);
  EXPECT_EQ(conditions->power_w, 612);
  EXPECT_EQ(conditions->temperature_c, 61);
  EXPECT_THAT(slowdown_names(conditions->slowdowns),
              ::testing::ElementsAre("power cap", "temperature"));
}

TEST(GpuMeasurer, GoesOnWithoutClocks) {
  Gpu gpu("nvml=0");
  const Measurement m = gpu.measure("add");
  ASSERT_EQ(m.outcome, Outcome::kOk) << m.error;
  EXPECT_EQ(conditions_of(m)->readings, 0);
  EXPECT_EQ(to_json(*conditions_of(m)).contains("sm_clock_mhz"), false) << "not known is not zero";
}

TEST(GpuMeasurer, FlushesOutsideOfColdTimes) {
  Gpu gpu;
  MeasureRequest cold = gpu.request(gpu_code("add"));
  cold.regime = Regime::kCold;
  const Measurement m = gpu.measure(cold);
  ASSERT_EQ(m.outcome, Outcome::kOk) << m.error;
  EXPECT_EQ(m.regime, Regime::kCold);
#ifdef TEMPER_HAS_CUPTI
  EXPECT_EQ(m.median_ns, 5000);
#endif
}

TEST(GpuMeasurer, ChecksWhatIsComputed) {
  Gpu gpu;
  expect_failure(gpu.measure("wrong"), Outcome::kWrongResult, "check", "C[7] is");
  expect_failure(gpu.measure("unwritten"), Outcome::kWrongResult, "check", "nan");
  expect_failure(gpu.measure("wrong_later"), Outcome::kWrongResult, "recheck",
                 "after repeated calls");
  expect_failure(gpu.measure("beside"), Outcome::kCrashed, "check",
                 "wrote out of bounds: past the end of argument C");
  expect_failure(gpu.measure("writes_input"), Outcome::kCrashed, "check",
                 "wrote to its input A (at element 3)");
  gpu.expect_unharmed();
}

TEST(GpuMeasurer, AFaultCostsItsContextAndNotTheRun) {
  Gpu gpu;
  expect_failure(gpu.measure("illegal_address"), Outcome::kCrashed, "check",
                 "an illegal memory access was encountered (CUDA_ERROR_ILLEGAL_ADDRESS)");
  gpu.expect_unharmed();
  expect_failure(gpu.measure("misaligned"), Outcome::kCrashed, "check", "misaligned");
  gpu.expect_unharmed();
  expect_failure(gpu.measure("kills"), Outcome::kCrashed, "check", "SIGKILL");
  gpu.expect_unharmed();
}

TEST(GpuMeasurer, AKernelThatHangsIsStopped) {
  Gpu gpu;
  MeasureRequest hang = gpu.request(gpu_code("hang"));
  hang.timeout_ms = 300;
  expect_failure(gpu.measure(hang), Outcome::kTimedOut, "check",
                 "was still running on the GPU after 0.3 s and was stopped");
  gpu.expect_unharmed();
}

TEST(GpuMeasurer, CodeForAnotherGpuSaysWhichTargetIsRight) {
  Gpu gpu;
  auto other = gpu_code("add");
  other->code.replace(0, 10, "fake sm_80");
  other->target = "cuda:sm_80";
  expect_failure(gpu.measure(gpu.request(other)), Outcome::kDeviceLimit, "load",
                 "compile it with --target cuda:sm_90a");
  auto damaged = gpu_code("add");
  damaged->code = "nonsense";
  expect_failure(gpu.measure(gpu.request(damaged)), Outcome::kDeviceLimit, "load",
                 "older than the compiler that made it, or the code is damaged");
  auto nameless = gpu_code("add");
  nameless->launch.kernels.front().name = "no_such_kernel";
  expect_failure(gpu.measure(gpu.request(nameless)), Outcome::kCompileFailed, "load",
                 "no kernel no_such_kernel");
  gpu.expect_unharmed();
}

TEST(GpuMeasurer, LimitsOfTheDeviceAreNamed) {
  Gpu gpu;
  auto shared = gpu_code("add");
  shared->launch.kernels.front().shared_bytes = 300 << 10;
  expect_failure(gpu.measure(gpu.request(shared)), Outcome::kDeviceLimit, "load",
                 "307200 bytes of shared memory");
  auto threads = gpu_code("add");
  threads->launch.kernels.front().block = {2048};
  expect_failure(gpu.measure(gpu.request(threads)), Outcome::kDeviceLimit, "check",
                 "the driver refuses, while starting the kernel");
  auto workspace = gpu_code("add");
  workspace->launch.workspaces = {int64_t{100} << 30};
  expect_failure(gpu.measure(gpu.request(workspace)), Outcome::kOutOfMemory, "load",
                 "no room for what it keeps between its kernels");
  // What is less than that is asked for where it is needed.
  auto large = gpu_code("add");
  large->launch.kernels.front().shared_bytes = 200 << 10;
  EXPECT_EQ(gpu.measure(gpu.request(large)).outcome, Outcome::kOk);
}

TEST(GpuMeasurer, StartsBlocksInClusters) {
  Gpu gpu;
  auto code = gpu_code("add");
  code->launch.kernels.front().cluster = {4, 1, 1};
  EXPECT_EQ(gpu.measure(gpu.request(code)).outcome, Outcome::kOk);
  // Eight blocks are no clusters of three.
  code = gpu_code("add");
  code->launch.kernels.front().cluster = {3, 1, 1};
  const Measurement refused = gpu.measure(gpu.request(code));
  EXPECT_EQ(refused.outcome, Outcome::kDeviceLimit) << refused.error;
  EXPECT_THAT(refused.error, HasSubstr("this GPU does not run clusters of that size"));
  gpu.expect_unharmed();
}

TEST(GpuMeasurer, DescribesArgumentsToTheCopyEngine) {
  Gpu gpu;
  auto by_map = gpu_code("add_by_map");
  by_map->launch.kernels.front().tensor_maps = {{0, "float32", {kElements}, {}, {250}, 0}};
  EXPECT_EQ(gpu.measure(gpu.request(by_map)).outcome, Outcome::kOk);
  by_map->launch.kernels.front().tensor_maps.front().box = {1000};
  expect_failure(gpu.measure(gpu.request(by_map)), Outcome::kDeviceLimit, "load",
                 "describing argument 0 to the copy engine");
}

TEST(GpuMeasurer, AnOutputThatIsReadStartsWithItsValuesEachTimeItIsChecked) {
  WorkloadSpec spec = addition("accumulates_wide");
  const auto with_a_factor = [](DataType type) {
    std::vector<ArgumentSpec> signature = vectors(type);
    signature[1] = {"factor", type, {}, false, false};
    return signature;
  };
  spec.signature = with_a_factor(DataType::float32());
  auto reference = std::make_shared<Artifact>(*spec.reference);
  reference->signature = with_a_factor(DataType::float64());
  spec.reference = reference;
  for (InputSet& set : spec.input_sets) {
    set.distributions["C"] = "normal";
    set.distributions["factor"] = "constant(3)";
  }
  Gpu gpu("", spec);
  auto right = gpu_code("accumulate");
  right->signature = spec.signature;
  const Measurement m = gpu.measure(gpu.request(right));
  EXPECT_EQ(m.outcome, Outcome::kOk) << m.error;
  auto idle = gpu_code("unwritten");
  idle->signature = spec.signature;
  expect_failure(gpu.measure(gpu.request(idle)), Outcome::kWrongResult, "check", "wrong result");
}

TEST(GpuMeasurer, LookingForItsResultsIsUnbelievable) {
  for (const char* folder : {"", "/no_cupti"})
    for (const Regime regime : {Regime::kHot, Regime::kCold}) {
      SCOPED_TRACE(folder + std::string(to_string(regime)));
      Gpu gpu("", addition(), 0, folder);
      MeasureRequest request = gpu.request(gpu_code("looks_at_output", 50'000));
      request.regime = regime;
      const Measurement m = gpu.measure(request);
      EXPECT_EQ(m.outcome, Outcome::kUnbelievable) << to_string(m.outcome) << ": " << m.error;
      EXPECT_THAT(m.error, HasSubstr("hold the right results already"));
      CompareRequest compared;
      compared.workload = gpu.workload;
      compared.regime = regime;
      compared.contenders = {{"a", gpu_code("add", 50'000), {}, 0, true},
                             {"b", gpu_code("looks_at_output", 50'000), {}, 0, true}};
      compared.rounds = 4;
      const auto both = gpu.measurer->compare(compared);
      ASSERT_TRUE(both) << both.error().message;
      EXPECT_EQ(both->contenders[0].measurement.outcome, Outcome::kOk);
      EXPECT_EQ(both->contenders[1].measurement.outcome, Outcome::kUnbelievable);
    }
}

TEST(GpuMeasurer, WhatIsHopelesslySlowIsNotTimedOn) {
  Gpu gpu;
  MeasureRequest slow = gpu.request(gpu_code("add", 500'000));
  slow.best_ns = 5000;
  const Measurement m = gpu.measure(slow);
  EXPECT_EQ(m.outcome, Outcome::kCensored) << m.error;
}

TEST(GpuMeasurer, ATraceThatWasBrokenOnceIsTakenAgain) {
  NEEDS_CUPTI();
  Gpu gpu("trace=first_empty");
  const Measurement m = gpu.measure("add");
  ASSERT_EQ(m.outcome, Outcome::kOk) << m.error;
  EXPECT_EQ(m.median_ns, 5000);
  EXPECT_EQ(conditions_of(m)->timer, GpuTimer::kActivity);
  EXPECT_EQ(conditions_of(m)->broken_traces, 1);
}

TEST(GpuMeasurer, WhereNoTraceWasEverWholeEventsTakeOver) {
  NEEDS_CUPTI();
  for (const char* broken : {"trace=empty", "trace=zero", "trace=dropped"}) {
    SCOPED_TRACE(broken);
    Gpu gpu(broken);
    const Measurement m = gpu.measure("add");
    ASSERT_EQ(m.outcome, Outcome::kOk) << m.error;
    EXPECT_EQ(conditions_of(m)->timer, GpuTimer::kEvents);
    EXPECT_NEAR(m.median_ns, 7000, 1) << "with the way to the GPU, which events do not leave out";
    EXPECT_GE(m.calls_per_sample, 20) << "never a bare pair of events";
  }
}

TEST(GpuMeasurer, ATraceThatBreaksLaterFailsTheMeasurement) {
  NEEDS_CUPTI();
  Gpu gpu("whole_traces=2");
  expect_failure(gpu.measure("add"), Outcome::kDisturbed, "time", "calls have no record");
}

TEST(GpuMeasurer, AnotherProfilerLeavesUsTheEvents) {
  Gpu gpu("activity=39");
  const Measurement m = gpu.measure("add");
  ASSERT_EQ(m.outcome, Outcome::kOk) << m.error;
  EXPECT_EQ(conditions_of(m)->timer, GpuTimer::kEvents);
}

TEST(GpuMeasurer, WithoutCuptiEventsTakeOverAndCountersSayWhatToInstall) {
  NEEDS_CUPTI();
  Gpu gpu("", addition(), 0, "/no_cupti");
  MeasureRequest counted = gpu.request(gpu_code("add"));
  counted.counters = true;
  const Measurement m = gpu.measure(counted);
  ASSERT_EQ(m.outcome, Outcome::kOk) << m.error;
  EXPECT_EQ(conditions_of(m)->timer, GpuTimer::kEvents);
  EXPECT_TRUE(plain_counters(m).empty());
  EXPECT_THAT(m.log,
              AllOf(HasSubstr("libcupti.so.13 is not found"), HasSubstr("TEMPER_CUDA_LIBRARIES")));
}

TEST(GpuMeasurer, CountsOneCallAsOftenAsThereArePasses) {
  NEEDS_CUPTI();
  for (const Regime regime : {Regime::kHot, Regime::kCold}) {
    SCOPED_TRACE(to_string(regime));
    Gpu gpu("passes=3");
    MeasureRequest counted = gpu.request(gpu_code("add"));
    counted.counters = true;
    counted.regime = regime;
    const Measurement m = gpu.measure(counted);
    ASSERT_EQ(m.outcome, Outcome::kOk) << m.error;
    const auto counters = plain_counters(m);
    ASSERT_TRUE(counters.contains("gpu__time_duration.sum")) << m.log;
    EXPECT_EQ(counters.at("gpu__time_duration.sum"), 5000) << "flushes and warm-up are outside";
    EXPECT_EQ(counters.at("sm__cycles_elapsed.max"), 1) << "one launch in the range";
    EXPECT_EQ(counters.at("dram__bytes_read.sum"), 3) << "a range for each pass";
    EXPECT_FALSE(counters.contains("dram__bytes_write.sum")) << "not counted is not zero";
  }
}

TEST(GpuMeasurer, CountsTheSetsThatAreAskedFor) {
  NEEDS_CUPTI();
  Gpu gpu;
  const auto counted = [&](std::vector<std::string> sets) {
    gpu.measurer->set_gpu_metric_sets(std::move(sets));
    MeasureRequest request = gpu.request(gpu_code("add"));
    request.counters = true;
    const Measurement m = gpu.measure(request);
    EXPECT_EQ(m.outcome, Outcome::kOk) << m.error;
    return std::pair(plain_counters(m), m.log);
  };
  const auto both = counted({"tma", "spill"}).first;
  EXPECT_EQ(both.size(), 4U);
  EXPECT_TRUE(both.contains("sm__inst_executed_pipe_tma.sum"));
  EXPECT_TRUE(both.contains("l1tex__t_bytes_pipe_lsu_mem_local_op_st.sum"));
  EXPECT_THAT(counted({"tme"}).second, HasSubstr("there is no set of metrics 'tme'"));
}

TEST(GpuMeasurer, WithoutPermissionToCountThereAreTimesAndTheSettingIsNamed) {
  NEEDS_CUPTI();
  const auto log_of = [](const char* settings) {
    Gpu gpu(settings);
    MeasureRequest counted = gpu.request(gpu_code("add"));
    counted.counters = true;
    const Measurement m = gpu.measure(counted);
    EXPECT_EQ(m.outcome, Outcome::kOk) << m.error;
    EXPECT_TRUE(plain_counters(m).empty());
    return m.log;
  };
  EXPECT_THAT(log_of("counters=35"), AllOf(HasSubstr("NVreg_RestrictProfilingToAdminUsers=0"),
                                           HasSubstr("CAP_SYS_ADMIN")));
  EXPECT_THAT(log_of("counters=39"), HasSubstr("another profiler"));
  EXPECT_THAT(log_of("counters=vgpu"), HasSubstr("virtual GPU"));
  EXPECT_THAT(log_of("lost_ranges=1"), HasSubstr("1 ranges were lost"));
}

TEST(GpuMeasurer, WhatTheMachineLacksIsOneSentence) {
  const auto error_of = [](const char* settings, int index = 0, const char* folder = "") {
    Gpu gpu(settings, addition(), index, folder);
    const Measurement m = gpu.measure("add");
    EXPECT_EQ(m.outcome, Outcome::kDisturbed);
    EXPECT_EQ(m.error.find('\n'), std::string::npos);
    return m.error;
  };
  EXPECT_THAT(error_of("init=100"), HasSubstr("finds no GPU on this machine"));
  EXPECT_THAT(error_of("init=803"), HasSubstr("reboot, or install both anew"));
  EXPECT_THAT(error_of("", 3), HasSubstr("there is no GPU 3: this machine has 1"));
  EXPECT_THAT(error_of("", 0, "/old"),
              AllOf(HasSubstr("is too old"), HasSubstr("install a driver of CUDA 12 or newer")));
  EXPECT_THAT(error_of("context=46"), HasSubstr("is taken: another process"));
  EXPECT_THAT(error_of("context=2"), HasSubstr("has no memory left"));
  EXPECT_THAT(error_of("memory=9000"),
              AllOf(HasSubstr("argument B does not fit"), HasSubstr("take a smaller shape")));
}

TEST(GpuMeasurer, ComparesInTurns) {
  Gpu gpu;
  CompareRequest request;
  request.workload = gpu.workload;
  request.contenders = {{"a", gpu_code("add", 50'000), {}, 0, true},
                        {"again", gpu_code("add", 50'000), {}, 0, true},
                        {"slower", gpu_code("add", 60'000), {}, 0, true}};
  request.rounds = 8;
  const auto compared = gpu.measurer->compare(request);
  ASSERT_TRUE(compared) << compared.error().message;
  EXPECT_EQ(compared->rounds, 8);
  for (const ComparedContender& one : compared->contenders)
    EXPECT_EQ(one.measurement.outcome, Outcome::kOk) << one.name << one.measurement.error;
  EXPECT_EQ(verdict_of(compared->contenders[1]), Verdict::kSame) << "an A/A test";
  EXPECT_EQ(verdict_of(compared->contenders[2]), Verdict::kSlower);
#ifdef TEMPER_HAS_CUPTI
  EXPECT_NEAR(compared->contenders[2].ratio, 1.2, 1e-9);
#endif
}

TEST(GpuMeasurer, AContenderThatFaultsLeavesTheOthersInTheComparison) {
  Gpu gpu;
  CompareRequest request;
  request.workload = gpu.workload;
  request.contenders = {{"a", gpu_code("add", 50'000), {}, 0, true},
                        {"faults", gpu_code("illegal_address"), {}, 0, true},
                        {"b", gpu_code("add", 40'000), {}, 0, true}};
  request.rounds = 4;
  const auto compared = gpu.measurer->compare(request);
  ASSERT_TRUE(compared) << compared.error().message;
  EXPECT_EQ(compared->contenders[0].measurement.outcome, Outcome::kOk)
      << compared->contenders[0].measurement.error;
  EXPECT_EQ(compared->contenders[1].measurement.outcome, Outcome::kCrashed);
  EXPECT_EQ(compared->contenders[2].measurement.outcome, Outcome::kOk)
      << compared->contenders[2].measurement.error;
  EXPECT_LT(compared->contenders[2].ratio, 0.9);
}

TEST(GpuMeasurer, LooksAtItsDeviceByFixedWork) {
  Gpu gpu("memory=67108864");
  const auto state = gpu.measurer->device_state(1);
  ASSERT_TRUE(state) << state.error().message;
  EXPECT_GT(state->anchor_compute_ns, 0);
  EXPECT_GT(state->anchor_memory_ns, 0);
  gpu.expect_unharmed();
}

TEST(GpuMeasurer, CodeForAProcessorIsRefused) {
  Gpu gpu;
  auto cpu = gpu_code("add");
  cpu->kind = codegen::ArtifactKind::kSharedObject;
  expect_failure(gpu.measure(gpu.request(cpu)), Outcome::kRejected, "load",
                 "code for a CPU, not for a GPU");
}

TEST(GpuKernelParameters, FloatsOf16BitsArePassedAsFloat32) {
  const ArgumentSpec scalar{"x", *parse_data_type("float16"), {}, false, false};
  const uint16_t half = 0x3e00; // 1.5
  const KernelParameter parameter = scalar_parameter(scalar, std::as_bytes(std::span(&half, 1)));
  float value = 0;
  std::memcpy(&value, parameter.bytes.data(), sizeof value);
  EXPECT_EQ(value, 1.5F);
}

TEST(GpuArchitectures, CodeRunsOnItsOwnGenerationAndWithAOnItsOwnChipAlone) {
  EXPECT_TRUE(runs_on("sm_90a", 90));
  EXPECT_FALSE(runs_on("sm_90a", 100));
  EXPECT_TRUE(runs_on("sm_80", 86));
  EXPECT_FALSE(runs_on("sm_86", 80));
  EXPECT_FALSE(runs_on("sm_80", 90));
  EXPECT_FALSE(runs_on("znver4", 90));
}

} // namespace
} // namespace temper::engine
