// The GPU runner on a GPU: what the fake of tests/cuda takes for granted.
#include "engine/gpu_conditions.h"
#include "engine/local_measurer.h"
#include "ir/support/text.h"
#include "tests/gpu/sources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace temper::engine {
namespace {

using codegen::ArgumentSpec;
using codegen::Artifact;
using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr int64_t kElements = 1 << 20;

constexpr const char* kKernels = R"(
extern "C" __global__ void add(const float* a, const float* b, float* c) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  c[i] = a[i] + b[i];
}
extern "C" __global__ void wrong(const float* a, const float* b, float* c) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  c[i] = a[i] + b[i] + (i == 77 ? 1 : 0);
}
extern "C" __global__ void unwritten(const float* a, const float* b, float* c) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i != 99) c[i] = a[i] + b[i];
}
extern "C" __global__ void beside(const float* a, const float* b, float* c) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  c[i] = a[i] + b[i];
  if (i == 0) c[gridDim.x * blockDim.x] = 1;
}
extern "C" __global__ void null_pointer(const float* a, const float* b, float* c) {
  *(volatile float*)(a[0] > 1e30f ? c : 0) = b[0];
}
extern "C" __global__ void misaligned(const float* a, const float* b, float* c) {
  *(volatile double*)((char*)c + 4 + (a[0] > 1e30f)) = b[0];
}
extern "C" __global__ void trap(const float* a, const float* b, float* c) { asm volatile("trap;"); }
extern "C" __global__ void for_ever(const float* a, const float* b, float* c) {
  volatile float* w = c;
  while (w[0] != 1234567.0f) w[1] = a[0];
}
)";

class RealGpu : public ::testing::Test {
protected:
  static std::vector<ArgumentSpec> vectors() {
    const DataType type = DataType::float32();
    return {{"A", type, {kElements}, true, false},
            {"B", type, {kElements}, true, false},
            {"C", type, {kElements}, true, true}};
  }

  void SetUp() override {
    const auto info = gpu_info(0);
    if (!info)
      GTEST_SKIP() << info.error().message;
    info_ = *info;
    if (const auto nvrtc = codegen::Nvrtc::load(); !nvrtc)
      GTEST_SKIP() << nvrtc.error().message;
    LocalMeasurerOptions options;
    options.gpu = 0;
    auto started = LocalMeasurer::start(options);
    ASSERT_TRUE(started) << started.error().message;
    measurer_ = std::move(*started);
    WorkloadSpec spec;
    spec.name = "add";
    spec.signature = vectors();
    spec.input_sets = default_input_sets(7, {});
    // Its own results are what the others are held against: see AddsRight.
    Result<WorkloadId> added = measurer_->add_workload(spec);
    ASSERT_TRUE(added) << added.error().message;
    workload_ = *added;
  }

  std::shared_ptr<const Artifact> kernel(const std::string& name) const {
    auto made = testing::gpu_artifact(info_, kKernels, name, vectors(), kElements / 256, 256);
    EXPECT_TRUE(made) << made.error().message;
    return std::make_shared<const Artifact>(std::move(*made));
  }
  MeasureRequest request(const std::string& name) const {
    MeasureRequest request;
    request.workload = workload_;
    request.artifact = kernel(name);
    request.timeout_ms = 5000;
    return request;
  }
  Measurement measure(MeasureRequest request) {
    const Ticket ticket = measurer_->submit(std::move(request));
    while (measurer_->pending() > 0)
      for (FinishedMeasurement& done : measurer_->poll(-1))
        if (done.ticket == ticket)
          return std::move(done.measurement);
    return {};
  }
  void expect_unharmed() {
    const Measurement next = measure(request("add"));
    EXPECT_EQ(next.outcome, Outcome::kOk) << next.error;
    EXPECT_EQ(measurer_->restarts(), 0);
  }

  GpuInfo info_;
  std::unique_ptr<LocalMeasurer> measurer_;
  WorkloadId workload_ = 0;
};

TEST_F(RealGpu, AKernelIsTimedHotAndColdUnderKnownConditions) {
  MeasureRequest hot = request("add");
  const Measurement warm = measure(hot);
  ASSERT_EQ(warm.outcome, Outcome::kOk) << warm.error;
  EXPECT_GT(warm.median_ns, 0);
  const auto conditions = conditions_of(warm);
  ASSERT_TRUE(conditions);
  RecordProperty("hot_ns", std::to_string(warm.median_ns));
  RecordProperty("conditions", describe(*conditions));
  // 12 MB: less than the second level of cache holds, so cold must move them.
  hot.regime = Regime::kCold;
  const Measurement cold = measure(hot);
  ASSERT_EQ(cold.outcome, Outcome::kOk) << cold.error;
  RecordProperty("cold_ns", std::to_string(cold.median_ns));
  EXPECT_EQ(conditions_of(cold)->timer, conditions->timer);
}

TEST_F(RealGpu, FaultsOfTheHardwareCostTheContextAlone) {
  const Measurement null = measure(request("null_pointer"));
  EXPECT_EQ(null.outcome, Outcome::kCrashed) << null.error;
  EXPECT_THAT(null.error, HasSubstr("CUDA_ERROR_ILLEGAL_ADDRESS"));
  expect_unharmed();
  const Measurement misaligned = measure(request("misaligned"));
  EXPECT_EQ(misaligned.outcome, Outcome::kCrashed) << misaligned.error;
  expect_unharmed();
  const Measurement trap = measure(request("trap"));
  EXPECT_EQ(trap.outcome, Outcome::kCrashed) << trap.error;
  expect_unharmed();
}

TEST_F(RealGpu, AKernelThatNeverEndsIsStoppedAndTheGpuServesTheNext) {
  MeasureRequest hang = request("for_ever");
  hang.timeout_ms = 1000;
  const Measurement m = measure(hang);
  EXPECT_EQ(m.outcome, Outcome::kTimedOut) << m.error;
  expect_unharmed();
}

TEST_F(RealGpu, WritesBesideAnArgumentAreSeen) {
  const Measurement m = measure(request("beside"));
  EXPECT_EQ(m.outcome, Outcome::kCrashed) << m.error;
  EXPECT_THAT(m.error, HasSubstr("past the end of argument C"));
  expect_unharmed();
}

TEST_F(RealGpu, CodeOfAnotherArchitectureIsRefusedInWords) {
  const auto nvrtc = codegen::Nvrtc::load();
  const char* other = info_.architecture >= 90 ? "sm_80" : "sm_90a";
  auto code = (*nvrtc)->compile(kKernels, other);
  ASSERT_TRUE(code) << code.error().message;
  auto artifact = std::make_shared<Artifact>(*kernel("add"));
  artifact->code = code->cubin;
  artifact->target = std::string("cuda:") + other;
  MeasureRequest wrong = request("add");
  wrong.artifact = artifact;
  const Measurement m = measure(wrong);
  EXPECT_EQ(m.outcome, Outcome::kDeviceLimit) << m.error;
  EXPECT_THAT(m.error, HasSubstr("compile it with --target"));
}

TEST_F(RealGpu, CountersAreReadOrTheReasonIsNamed) {
  MeasureRequest counted = request("add");
  counted.counters = true;
  counted.regime = Regime::kCold;
  const Measurement m = measure(counted);
  ASSERT_EQ(m.outcome, Outcome::kOk) << m.error;
  const auto counters = plain_counters(m);
  if (counters.empty()) {
    EXPECT_THAT(m.log, HasSubstr("GPU counters are not read"));
    GTEST_SKIP() << m.log;
  }
  ASSERT_TRUE(counters.contains("dram__bytes_read.sum"));
  // Both inputs come from memory, once: 8 MB.
  EXPECT_NEAR(counters.at("dram__bytes_read.sum"), 8.0 * kElements, 0.5 * 8 * kElements);
  EXPECT_GT(counters.at("gpu__time_duration.sum"), 0);
}

/// The reference of these is a kernel in C for the processor: libm's build of the same sum.
TEST_F(RealGpu, WrongAndUnwrittenResultsAreFoundAgainstAReference) {
  const char* candidates = std::getenv("TEMPER_TEST_CANDIDATES");
  if (candidates == nullptr)
    GTEST_SKIP() << "TEMPER_TEST_CANDIDATES names no library with a reference";
  constexpr int64_t kCount = 1000; // that library's
  WorkloadSpec spec;
  spec.name = "add";
  const auto of = [](DataType type) {
    return std::vector<ArgumentSpec>{{"A", type, {kCount}, true, false},
                                     {"B", type, {kCount}, true, false},
                                     {"C", type, {kCount}, true, true}};
  };
  spec.signature = of(DataType::float32());
  spec.input_sets = default_input_sets(7, {});
  auto reference = std::make_shared<Artifact>();
  auto code = read_file(candidates);
  ASSERT_TRUE(code) << code.error().message;
  reference->code = std::move(*code);
  reference->entry = "reference";
  reference->signature = of(DataType::float64());
  spec.reference = reference;
  const auto added = measurer_->add_workload(spec);
  ASSERT_TRUE(added) << added.error().message;
  const auto outcome_of = [&](const char* name) {
    auto made = testing::gpu_artifact(info_, kKernels, name, of(DataType::float32()), 8, 125);
    EXPECT_TRUE(made);
    MeasureRequest request;
    request.workload = *added;
    request.artifact = std::make_shared<const Artifact>(std::move(*made));
    const Measurement m = measure(request);
    return std::pair(m.outcome, m.error);
  };
  EXPECT_EQ(outcome_of("add").first, Outcome::kOk);
  EXPECT_EQ(outcome_of("wrong").first, Outcome::kWrongResult);
  EXPECT_EQ(outcome_of("unwritten").first, Outcome::kWrongResult);
}

} // namespace
} // namespace temper::engine
