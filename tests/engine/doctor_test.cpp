#include "engine/doctor.h"

#include "engine/counters.h"
#include "engine/fingerprint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace temper::engine {
namespace {

using ::testing::HasSubstr;

TEST(Machine, TellsTheProcessorAndItsCaches) {
  const Machine machine = read_machine();
  EXPECT_GE(machine.processors, 1);
  EXPECT_GE(machine.cores, 1);
  EXPECT_GT(machine.memory_bytes, 0);
  EXPECT_NE(machine.kernel, "");
  EXPECT_THAT(machine.libc, HasSubstr("glibc"));
  if (machine.caches.empty())
    GTEST_SKIP() << "this system does not tell its caches";
  EXPECT_GT(cache_bytes(machine, 1), 0);
  EXPECT_EQ(cache_bytes(machine, 9), 0);
}

Machine example() {
  Machine machine;
  machine.host = "a";
  machine.cpu_model = "Example CPU";
  machine.processors = 8;
  machine.online = 8;
  machine.kernel = "6.1.0-13-amd64";
  machine.memory_bytes = (int64_t{64} << 30) - 300'000'000;
  return machine;
}

TEST(Fingerprint, TheSameMachineHasTheSameClass) {
  EXPECT_EQ(fingerprint(example()).environment_class, fingerprint(example()).environment_class);
}

TEST(Fingerprint, HostNameKernelUpdateFirmwareMemoryAndAffinityDoNotMakeAnotherClass) {
  Machine other = example();
  other.host = "b";
  other.kernel = "6.1.0-18-amd64";
  other.memory_bytes -= 10'000'000;
  other.processors = 1; // as under taskset
  EXPECT_EQ(fingerprint(other).environment_class, fingerprint(example()).environment_class);
  EXPECT_NE(fingerprint(other).detail, fingerprint(example()).detail);
}

TEST(Fingerprint, ProcessorsGovernorQuotaAndKernelSeriesDo) {
  std::set<uint64_t> classes = {fingerprint(example()).environment_class};
  Machine other = example();
  other.online = 4;
  classes.insert(fingerprint(other).environment_class);
  other = example();
  other.governor = "powersave";
  classes.insert(fingerprint(other).environment_class);
  other = example();
  other.cpu_quota = 2.5;
  classes.insert(fingerprint(other).environment_class);
  other = example();
  other.kernel = "6.6.1";
  classes.insert(fingerprint(other).environment_class);
  EXPECT_EQ(classes.size(), 5U);
}

TEST(Fingerprint, TheToolchainsClassDoesNotDependOnTheOrderOfItsParts) {
  const Json a = {{"llvm", "19.1.7"}, {"flags", {{"fast", true}, {"level", 3}}}};
  const Json b = {{"flags", {{"level", 3}, {"fast", true}}}, {"llvm", "19.1.7"}};
  const Json c = {{"llvm", "19.1.8"}, {"flags", {{"fast", true}, {"level", 3}}}};
  EXPECT_EQ(toolchain_class(a), toolchain_class(b));
  EXPECT_NE(toolchain_class(a), toolchain_class(c));
}

TEST(Fingerprint, TheVolatileStateHasLoadAndMemory) {
  const Json state = volatile_state();
  EXPECT_TRUE(state.contains("load_average"));
  EXPECT_GT(state.at("memory_available_bytes").get<int64_t>(), 0);
}

TEST(NoiseFloor, OfEqualSamplesIsNothing) {
  const NoiseFloor floor = noise_floor({{100, 101, 99, 100}, {100, 101, 99, 100}});
  EXPECT_NEAR(floor.ratio, 1, 1e-12);
  EXPECT_EQ(floor.ratio_interval.low, 1);
  EXPECT_EQ(floor.gap_share, 0);
  EXPECT_NEAR(floor.spread, 0.005, 1e-9);
}

TEST(NoiseFloor, CountsGaps) {
  EXPECT_NEAR(noise_floor({{100, 100, 100, 900}, {100, 100, 100, 100}}).gap_share, 1.0 / 8, 1e-12);
  EXPECT_EQ(noise_floor({}).ratio, 1);
}

TEST(Doctor, SaysOneSentenceAboutEverything) {
  DoctorOptions options;
  options.measurer.lock_path.clear();
  options.database = "/tmp/not/yet/there/temper.db";
  std::set<std::string> names;
  for (const Finding& finding : examine(options)) {
    EXPECT_NE(finding.sentence, "") << finding.name;
    EXPECT_TRUE(names.insert(finding.name).second) << finding.name;
    EXPECT_EQ(to_json(finding).at("state"), to_string(finding.state));
  }
  for (const char* name : {"cpu", "isolation", "cores", "noise", "clock", "counters", "frequency",
                           "huge_pages", "memory", "quota", "load", "openmp", "peers", "disk"})
    EXPECT_TRUE(names.contains(name)) << name;
}

TEST(Doctor, AMissingRunnerIsAFindingAndNotTheEnd) {
  DoctorOptions options;
  options.quick = true;
  options.measurer.runner_path = "/nonexistent/temper-runner";
  bool found = false;
  for (const Finding& finding : examine(options))
    if (finding.name == "isolation") {
      found = true;
      EXPECT_EQ(finding.state, Finding::State::kMissing);
      EXPECT_THAT(finding.sentence, HasSubstr("/nonexistent/temper-runner"));
    }
  EXPECT_TRUE(found);
}

TEST(Counters, AreThereOrSayWhyNot) {
  const Result<void> available = hardware_counters_available();
  if (available) {
    EXPECT_FALSE(CounterGroup::open().empty());
  } else {
    EXPECT_THAT(available.error().message,
                ::testing::AnyOf(HasSubstr("virtual machine"), HasSubstr("perf_event_paranoid"),
                                 HasSubstr("cannot be opened")));
  }
}

TEST(Counters, SoftwareCountersCountWork) {
  CounterGroup group = CounterGroup::open();
  group.start();
  volatile double sink = 1;
  for (int i = 0; i < 2'000'000; ++i)
    sink = sink * 1.0000001;
  group.stop();
  const auto counts = group.read();
  if (!counts.contains("task_clock_ns"))
    GTEST_SKIP() << "perf events are not available here";
  EXPECT_GT(counts.at("task_clock_ns"), 0);
}

} // namespace
} // namespace temper::engine
