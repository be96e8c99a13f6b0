// What a machine can do at best: bounds, keeping, damaged files.

#include "engine/machine_speed.h"

#include "engine/machine_probes.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include <unistd.h>

namespace temper::engine {
namespace {

namespace fs = std::filesystem;

MachineSpeed example() {
  MachineSpeed speed;
  speed.f32_flops = 200e9;
  speed.f64_flops = 100e9;
  speed.levels = {{1, 48 << 10, 300e9}, {2, 2 << 20, 100e9}, {0, 0, 10e9}};
  speed.store_bytes_per_s = 150e9;
  speed.threads = 2;
  speed.fork_ns = 900;
  speed.barrier_ns = 300;
  speed.company_ratio = 1.004;
  return speed;
}

class Folder {
public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "temper-speed-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }

private:
  fs::path path_;
};

TEST(MachineSpeed, BoundsByArithmeticOrByWhereTheDataLies) {
  const MachineSpeed speed = example();
  const DataType f32 = DataType::float32();
  EXPECT_DOUBLE_EQ(speed.bound_ns(f32, 2e6, 1000, 1), 1e4);
  EXPECT_DOUBLE_EQ(speed.bound_ns(DataType::float64(), 2e6, 1000, 1), 2e4);
  EXPECT_DOUBLE_EQ(speed.bound_ns(f32, 1, 1e6, 1), 1e4); // L2
  EXPECT_DOUBLE_EQ(speed.bound_ns(f32, 1, 1e8, 1), 1e7); // memory
  EXPECT_DOUBLE_EQ(speed.bound_ns(f32, 2e6, 1e8, 2), 5e6);
  EXPECT_LT(speed.bound_ns(f32, 1, 1000, 1), 1); // L1 bounds nothing
}

TEST(MachineSpeed, NarrowTypesHaveARateOfTheirOwn) {
  MachineSpeed speed = example();
  const DataType f32 = DataType::float32();
  const DataType bf16 = DataType::bfloat16();
  const DataType s8 = DataType::integer(8);
  const DataType s32 = DataType::int32();
  const auto peak = [&](DataType operands, DataType sum) {
    const auto kind = speed.fastest_kind(operands, sum);
    return kind ? speed.peak(*kind) : 0;
  };
  EXPECT_EQ(peak(bf16, f32), 200e9) << "converted first";
  EXPECT_EQ(peak(s8, s32), 0);
  speed.bf16_flops = 400e9;
  speed.int8_ops = 800e9;
  EXPECT_EQ(peak(bf16, f32), 400e9);
  EXPECT_EQ(peak(f32, f32), 200e9);
  EXPECT_EQ(peak(s8, s32), 800e9);
  EXPECT_EQ(peak(DataType::uint(8), s32), 800e9);
  EXPECT_EQ(peak(s32, s32), 0);
  const auto again = machine_speed_from_json(to_json(speed));
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(*again, speed);
}

TEST(MachineSpeed, WhatIsNotKnownBoundsNothing) {
  EXPECT_EQ(MachineSpeed().bound_ns(DataType::float32(), 1e9, 1e9, 1), 0);
  EXPECT_EQ(example().bound_ns(DataType::int32(), 1e9, 1000, 1), 0);
}

TEST(MachineSpeed, OneRunThatWasTooShortIsNoFigureOfTheMachine) {
  std::vector<double> times(60, 100.0);
  EXPECT_EQ(repeatable_fastest(times), 100);
  times[17] = 80; // the clock was set in the middle
  EXPECT_EQ(repeatable_fastest(times), 100);
  times[40] = times[41] = 80; // that is a speed
  EXPECT_EQ(repeatable_fastest(times), 80);
  EXPECT_EQ(repeatable_fastest(std::vector<double>{3, 2, 4}), 2);
}

TEST(MachineSpeed, TheFasterFigureOfTwoMeasurementsStands) {
  MachineSpeed slow = example();
  slow.f32_flops = 50e9;
  slow.levels[2].bytes_per_s = 12e9;
  const MachineSpeed best = faster_of(slow, example());
  EXPECT_EQ(best.f32_flops, 200e9);
  EXPECT_EQ(best.levels[2].bytes_per_s, 12e9);
  EXPECT_EQ(best.levels[1].bytes_per_s, 100e9);
}

TEST(MachineSpeed, TheLesserCostOfThreadsStands) {
  MachineSpeed busy = example();
  busy.fork_ns = 5e6;
  busy.store_bytes_per_s = 20e9;
  EXPECT_EQ(faster_of(busy, example()), example());
  EXPECT_EQ(faster_of(example(), busy), example());
  MachineSpeed without = example(); // no OpenMP runtime at that time
  without.threads = 0;
  without.fork_ns = without.barrier_ns = 0;
  EXPECT_EQ(faster_of(example(), without), example());
  EXPECT_EQ(faster_of(without, example()), example());
}

TEST(MachineSpeed, KernelsAreTimedBesideACompilerWhereThatHardlySlowsThem) {
  MachineSpeed speed = example();
  EXPECT_TRUE(speed.bears_company());
  EXPECT_THAT(describe(speed), ::testing::HasSubstr("are compiled while others are timed"));
  speed.company_ratio = 1.2;
  EXPECT_FALSE(speed.bears_company());
  EXPECT_THAT(describe(speed), ::testing::HasSubstr("by at most 20 %"));
  EXPECT_THAT(describe(speed), ::testing::HasSubstr("are not compiled while"));
  EXPECT_TRUE(faster_of(speed, example()).bears_company()) << "that was a busy moment";
  EXPECT_TRUE(faster_of(example(), speed).bears_company());
  speed.company_ratio = 0;
  EXPECT_FALSE(speed.bears_company()) << "nobody knows";
  EXPECT_EQ(faster_of(speed, example()).company_ratio, example().company_ratio);
}

TEST(MachineSpeed, CompanyIsMeasuredWhereThereIsASecondProcessor) {
  EXPECT_EQ(measure_company_ratio(1), 0);
  const double ratio = measure_company_ratio(2);
  EXPECT_TRUE(ratio == 0 || ratio >= 1) << ratio; // what it is, is the machine's
}

TEST(MachineSpeed, IsOfTheMomentThatChangedItsFigures) {
  MachineSpeed known = example();
  known.measured_at = 100;
  MachineSpeed later = known;
  later.measured_at = 200;
  later.f32_flops /= 2; // a busy moment
  EXPECT_EQ(faster_of(known, later), known);
  later.f32_flops *= 4;
  EXPECT_EQ(faster_of(known, later).measured_at, 200);
  EXPECT_EQ(machine_speed_from_json(to_json(known))->measured_at, 100);
}

TEST(MachineSpeed, OneThreadHasNoCostOfThreads) {
  EXPECT_EQ(measure_parallel_cost(1).fork_ns, 0);
  const ParallelCost two = measure_parallel_cost(2);
  EXPECT_GE(two.fork_ns, 0); // 0 where there is no OpenMP runtime
  EXPECT_EQ(two.fork_ns > 0, two.barrier_ns > 0);
}

TEST(MachineSpeed, FiguresThatAreOlderThanAFieldAreRead) {
  Json old = to_json(example());
  for (const char* field : {"store_bytes_per_s", "threads", "fork_ns", "barrier_ns", "measured_at"})
    old.erase(field);
  const auto read = machine_speed_from_json(old);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->threads, 0);
  EXPECT_EQ(read->f32_flops, example().f32_flops);
}

TEST(MachineSpeed, IsTheSameAfterJson) {
  const auto read = machine_speed_from_json(to_json(example()));
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, example());
  EXPECT_FALSE(machine_speed_from_json(Json{{"schema", "temper.machine_speed/1"}}));
  EXPECT_FALSE(machine_speed_from_json(Json::object()));
}

TEST(MachineSpeed, IsMeasuredOnceAndKept) {
  const Folder folder;
  const Machine machine = read_machine();
  const MachineSpeed first = known_machine_speed(machine, folder.path() / "new");
  ASSERT_FALSE(first.levels.empty());
  EXPECT_EQ(first.levels.back().level, 0);
  for (const MachineSpeed::Level& level : first.levels)
    EXPECT_GT(level.bytes_per_s, 0) << level.level;
  EXPECT_EQ(known_machine_speed(machine, folder.path() / "new"), first);
}

TEST(MachineSpeed, WhatIsOldIsMeasuredAgainAndTheFasterKept) {
  const Folder folder;
  const Machine machine = read_machine();
  MachineSpeed planted = known_machine_speed(machine, folder.path());
  const fs::path file = fs::directory_iterator(folder.path())->path();
  planted.f64_flops = 1e15; // faster than any
  planted.f32_flops = 1e7;  // of a busy moment
  std::ofstream(file) << to_json(planted).dump();
  EXPECT_EQ(known_machine_speed(machine, folder.path(), std::chrono::hours(1)), planted);
  fs::last_write_time(file, fs::file_time_type::clock::now() - std::chrono::hours(2));
  const MachineSpeed again = known_machine_speed(machine, folder.path(), std::chrono::hours(1));
  EXPECT_EQ(again.f64_flops, 1e15);
  if (again.f32_flops != 0) { // where there is a probe
    EXPECT_GT(again.f32_flops, 1e7);
  }
  EXPECT_EQ(known_machine_speed(machine, folder.path(), std::chrono::hours(1)), again);
}

TEST(MachineSpeed, AFileWithoutAMomentIsOfTheTimeItWasWritten) {
  const Folder folder;
  const Machine machine = read_machine();
  MachineSpeed planted = known_machine_speed(machine, folder.path());
  const fs::path file = fs::directory_iterator(folder.path())->path();
  const int64_t measured = planted.measured_at;
  planted.measured_at = 0; // as older versions left it
  std::ofstream(file) << to_json(planted).dump();
  EXPECT_GE(known_machine_speed(machine, folder.path(), std::chrono::hours(1)).measured_at,
            measured - 1'000'000'000); // file systems round
}

TEST(MachineSpeed, ADamagedFileIsMeasuredAnew) {
  const Folder folder;
  const Machine machine = read_machine();
  known_machine_speed(machine, folder.path());
  for (const auto& entry : fs::directory_iterator(folder.path()))
    std::ofstream(entry.path()) << "{";
  EXPECT_FALSE(known_machine_speed(machine, folder.path()).levels.empty());
}

TEST(MachineSpeed, FiguresThatNoMachineHasAreNoFigures) {
  const auto refused = [](const char* field, const Json& value) {
    Json json = to_json(example());
    json[Json::json_pointer(field)] = value;
    const auto read = machine_speed_from_json(json);
    return read ? std::string("taken") : read.error().message;
  };
  for (const double flops : {-5.0, 1000.0, 1e30})
    EXPECT_EQ(refused("/f32_flops", flops),
              "the figures of this machine are damaged: no machine has such f32_flops");
  EXPECT_EQ(refused("/f64_flops", 0), "taken") << "no probe for its vectors";
  EXPECT_NE(refused("/levels/0/bytes", -49152), "taken");
  EXPECT_NE(refused("/levels/0/bytes", int64_t{1} << 62), "taken");
  EXPECT_NE(refused("/levels", Json::array()), "taken");
  EXPECT_NE(refused("/fork_ns", -1e9), "taken");
  EXPECT_NE(refused("/threads", 100'000), "taken");
}

TEST(MachineSpeed, NoFolderIsNoError) {
  EXPECT_FALSE(known_machine_speed(read_machine(), "/proc/none").levels.empty());
}

} // namespace
} // namespace temper::engine
