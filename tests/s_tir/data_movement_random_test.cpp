#include "tests/s_tir/random_schedules.h"

#include "tests/s_tir/programs.h"

#include <cstdlib>

namespace temper::s_tir {
namespace {

using namespace programs;

struct Workload {
  std::string name;
  IRModule module;
  size_t inputs;
  double tolerance;
};

std::vector<Workload> workloads() {
  return {{"matmul", matmul(6, 8, 12), 2, 0},
          {"matmul_odd", matmul(5, 7, 9), 2, 0},
          {"matmul_bias_relu", matmul_bias_relu(4, 6, 8), 3, 0},
          {"chain", chain(6, 10), 1, 0},
          {"conv2d", conv2d(2, 3, 6, 5), 2, 0},
          {"softmax", softmax(5, 8), 1, 1e-5},
          {"unit", matmul_bias_relu(1, 6, 1), 3, 0}};
}

int weight(const Primitive& primitive) {
  // Moving data is what is tested here; loops are split and reordered to make places for it.
  for (const char* name :
       {"compute_at", "reverse_compute_at", "cache_read", "cache_write", "decompose_reduction",
        "rfactor", "compute_inline", "reverse_compute_inline"})
    if (primitive.python_name == name)
      return 3;
  if (primitive.python_name == "split" || primitive.python_name == "reorder" ||
      primitive.python_name == "fuse")
    return 3;
  return primitive.python_name == "annotate" || primitive.python_name == "unannotate" ? 0 : 1;
}

void PrintTo(const Workload& workload, std::ostream* stream) { *stream << workload.name; }

class DataMovement : public testing::TestWithParam<Workload> {};

TEST_P(DataMovement, ComputeWhatTheProgramComputes) {
  const Workload& workload = GetParam();
  const RunResult expected = run_on_integers(workload.module, workload.inputs, 1);
  ASSERT_EQ(expected.error, "");
  const char* count = std::getenv("TEMPER_RANDOM_SCHEDULES");
  const int traces = count != nullptr ? std::atoi(count) : 120;
  for (int trace = 0; trace < traces; ++trace) {
    Random random(static_cast<uint64_t>(trace) * 7919 + 17);
    const RandomSchedule schedule =
        random_schedule(workload.module, 3 + static_cast<int>(random.below(7)), random, weight);
    for (const ParallelOrder order : {ParallelOrder::kForward, ParallelOrder::kReverse}) {
      auto wrong = [&](const IRModule& module) {
        return difference(expected, run_on_integers(module, workload.inputs, 1, order),
                          workload.tolerance);
      };
      const std::string last = wrong(schedule.modules.back());
      if (last.empty())
        continue;
      // Which step broke it?
      size_t step = 1;
      while (step + 1 < schedule.modules.size() && wrong(schedule.modules[step]).empty())
        ++step;
      FAIL() << workload.name << ", trace " << trace << ", order " << static_cast<int>(order)
             << ": " << wrong(schedule.modules[step]) << "\nbroken by step " << step << " of\n"
             << schedule.text();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Workloads, DataMovement, testing::ValuesIn(workloads()),
                         [](const auto& info) { return info.param.name; });

} // namespace
} // namespace temper::s_tir
