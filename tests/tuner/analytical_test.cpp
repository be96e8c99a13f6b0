// The analytical estimate, and the strategy that starts from it.

#include "codegen/lower_for_estimate.h"
#include "ir/script/knobs.h"
#include "ir/script/parser.h"
#include "ir/script/printer.h"
#include "ir/structural.h"
#include "ir/walk.h"
#include "tests/s_tir/programs.h"
#include "tests/support/workload_cases.h"
#include "tuner/compile_protocol.h"
#include "tuner/cost/analytical.h"
#include "tuner/search/strategy.h"
#include "tuner/space/knob_space.h"
#include "tuner/space/sketch_space.h"
#include "tuner/workbench.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <map>

namespace temper::tuner {
namespace {

using namespace temper::s_tir::programs;
using ir::IRModule;

MachineHints hints() {
  MachineHints machine;
  machine.vector_bits = 512;
  machine.vector_registers = 32;
  return machine;
}

KernelEstimate estimate(const IRModule& module, const MachineRates& rates, int threads = 1) {
  codegen::LowerOptions options;
  options.vector_bits = 512;
  options.vector_registers = 32;
  const auto lowered = codegen::lower_for_cpu(module, options);
  EXPECT_TRUE(lowered) << lowered.error().to_string();
  return estimate_time((*lowered)->functions.front().function.as_ref<ir::PrimFuncNode>(), rates,
                       threads);
}

std::unique_ptr<Space> product_space(const IRModule& module) {
  SketchOptions options;
  options.machine = hints();
  auto space = make_sketch_space(module, std::move(options));
  EXPECT_TRUE(space);
  return std::move(space).value();
}

// Loops of scalars that the compiler was seen to make vectors of do not store one element a cycle.
TEST(Analytical, LoopsThatTheCompilerMakesVectorsOfAreCountedAsVectors) {
  const auto ports = [](const char* statement, int compiled_bits) {
    const auto module = script::parse_module(std::string(R"(
@T.prim_func
def main(A: T.Buffer((4096,), "float32"), B: T.Buffer((8192,), "float32")):
    for i in range(4096):
        )") + statement + "\n",
                                             "loop.py");
    EXPECT_TRUE(module) << module.error().to_string();
    const auto lowered = codegen::lower_for_cpu(*module, {});
    EXPECT_TRUE(lowered) << lowered.error().to_string();
    return estimate_time((*lowered)->functions.front().function.as_ref<ir::PrimFuncNode>(), {}, 1,
                         compiled_bits)
        .port_ns;
  };
  const char* contiguous = "B[i] = A[i] + T.float32(1)";
  EXPECT_NEAR(ports(contiguous, 0) / ports(contiguous, 512), 16, 0.5);
  EXPECT_NEAR(ports(contiguous, 0) / ports(contiguous, 256), 8, 0.5);
  for (const char* scalar :
       {"B[2 * i] = A[i] + T.float32(1)", "B[0] = B[0] + A[i]", "B[i] = T.exp(A[i])"})
    EXPECT_EQ(ports(scalar, 512), ports(scalar, 0)) << scalar;
}

TEST(Analytical, ARegisterTileBeatsTheProgramAsWritten) {
  const IRModule program = matmul(64, 64, 64);
  const auto space = product_space(program);
  const double untuned = estimate(space->untuned()->module, {}).total_ns;
  Random random(3);
  int tiled = 0;
  for (int i = 0; i < 60 && tiled < 10; ++i) {
    const auto candidate = space->sample(random);
    ASSERT_TRUE(candidate);
    if ((*candidate)->trace.to_python().find("temper.register_tile") == std::string::npos)
      continue;
    ++tiled;
    EXPECT_LT(estimate((*candidate)->module, {}).total_ns * 3, untuned)
        << (*candidate)->trace.to_python();
  }
  EXPECT_EQ(tiled, 10);
}

TEST(Analytical, IsNeverBelowTheMultiplyAddsOfTheProgram) {
  const auto space = product_space(matmul(32, 64, 48));
  const MachineRates rates;
  const double least = 32.0 * 64 * 48 / 16 / rates.multiply_adds_per_cycle * rates.cycle_ns;
  Random random(5);
  for (int i = 0; i < 30; ++i)
    EXPECT_GE(estimate((*space->sample(random))->module, rates).port_ns, 0.99 * least);
}

TEST(Analytical, WhatFitsALevelIsNotMoved) {
  const IRModule program = matmul(64, 64, 64); // 48 KiB in all
  MachineRates rates;
  rates.levels = {{16 << 10, 1}, {64 << 10, 2}};
  const KernelEstimate estimated = estimate(program, rates);
  ASSERT_EQ(estimated.traffic_ns.size(), 2U);
  EXPECT_GT(estimated.traffic_ns[0], 0);
  EXPECT_EQ(estimated.traffic_ns[1], 0);
}

TEST(Analytical, ProductsOfTilesMoveTheirOperands) {
  // 32 x 32 sums of A, 4 KiB in all, and of B's `panels` of 4 KiB, eight times over.
  const auto moved = [](int panels) {
    const auto module = script::parse_module(fmt::format(R"(
@T.prim_func
def main(A: T.Buffer((2048,), "bfloat16"), B: T.Buffer(({0} * 2048,), "bfloat16"), C: T.Buffer((1024,), "float32")):
    for i, p in T.grid(8, {0}):
        T.amx_multiply_add("int32", C[0], C[32], C[1023], A[0], A[64], A[2047], B[p * 2048], B[p * 2048 + 64], B[p * 2048 + 2047], 32, 32, 64, 0)
)",
                                                         panels),
                                             "tiles.py");
    EXPECT_TRUE(module) << module.error().to_string();
    MachineRates rates;
    rates.levels = {{32 << 10, 1}};
    return estimate_time((*module)->functions.front().function.as_ref<ir::PrimFuncNode>(), rates, 1)
        .traffic_ns[0];
  };
  EXPECT_EQ(moved(4), 0); // 24 KiB in all stay where they are
  EXPECT_GE(moved(16), 8 * 16 * 4096 / 64);
}

TEST(Analytical, AColumnReadCostsMoreThanARowRead) {
  // B[k, j] moves by a row for each k: a line a step.
  MachineRates rates;
  rates.levels = {{2 << 10, 1}};
  s_tir::Schedule by_rows(matmul(4, 1024, 64), 0);
  auto block = *by_rows.get_sblock("C");
  auto loops = *by_rows.get_loops(block);
  ASSERT_TRUE(by_rows.reorder({loops[0], loops[2], loops[1]}));
  EXPECT_LT(estimate(by_rows.module(), rates).traffic_ns[0],
            estimate(matmul(4, 1024, 64), rates).traffic_ns[0] / 3);
}

TEST(Analytical, AskingAheadCostsALoad) {
  const auto tiled = [](bool ahead) {
    s_tir::Schedule schedule(matmul(64, 64, 64), 0);
    const auto block = *schedule.get_sblock("C");
    const auto loops = *schedule.get_loops(block);
    const auto rows = *schedule.split(loops[0], {std::nullopt, int64_t{16}});
    const auto lanes = *schedule.split(loops[1], {std::nullopt, int64_t{16}});
    EXPECT_TRUE(schedule.reorder({rows[0], lanes[0], loops[2], rows[1], lanes[1]}));
    EXPECT_TRUE(schedule.vectorize(lanes[1]));
    if (ahead) {
      EXPECT_TRUE(schedule.annotate(loops[2], ir::kPrefetch, 64));
    }
    return estimate(schedule.module(), {});
  };
  const KernelEstimate with = tiled(true);
  const KernelEstimate without = tiled(false);
  // Sixteen broadcasts, one vector, now one hint.
  EXPECT_GT(with.port_ns, without.port_ns);
  EXPECT_LT(with.port_ns, 1.25 * without.port_ns);
  EXPECT_EQ(with.traffic_ns, without.traffic_ns);
}

TEST(Analytical, ParallelLoopsAreSharedOut) {
  s_tir::Schedule schedule(matmul(64, 64, 64), 0);
  ASSERT_TRUE(schedule.parallel((*schedule.get_loops(*schedule.get_sblock("C")))[0]));
  const double one = estimate(schedule.module(), {}, 1).port_ns;
  EXPECT_NEAR(estimate(schedule.module(), {}, 4).port_ns, one / 4, one / 100);
  // 64 iterations on 48 threads take as long as 2 each.
  EXPECT_NEAR(estimate(schedule.module(), {}, 48).port_ns, one / 32, one / 100);
}

// --- Without expanding loops
// ----------------------------------------------------------------------

using workload_cases::kWorkloadCases;
using workload_cases::WorkloadCase;

/// Shapes whose tiles fill registers.
const WorkloadCase kLargeCases[] = {
    {"matmul", {{"M", "512"}, {"N", "512"}, {"K", "512"}}},
    {"matmul", {{"M", "100"}, {"N", "70"}, {"K", "33"}}},
    {"matmul", {{"M", "256"}, {"N", "256"}, {"K", "256"}, {"dtype", "bfloat16"}}},
    {"matmul", {{"M", "1"}, {"N", "512"}, {"K", "512"}, {"dtype", "int8"}}},
    {"matmul", {{"M", "128"}, {"N", "128"}, {"K", "128"}, {"constant", "B"}}},
    {"conv2d",
     {{"N", "1"},
      {"H", "28"},
      {"W", "28"},
      {"CI", "32"},
      {"CO", "64"},
      {"R", "3"},
      {"S", "3"},
      {"pad", "1"}}},
    {"conv2d",
     {{"N", "1"},
      {"H", "56"},
      {"W", "56"},
      {"CI", "3"},
      {"CO", "64"},
      {"R", "7"},
      {"S", "7"},
      {"stride", "2"},
      {"pad", "3"}}},
    {"softmax", {{"M", "64"}, {"N", "256"}}},
    {"layer_norm", {{"M", "64"}, {"N", "256"}}},
};

/// Of each workload; TEMPER_RANDOM_SCHEDULES tries another number.
int schedules() {
  const char* value = std::getenv("TEMPER_RANDOM_SCHEDULES");
  return value != nullptr ? std::atoi(value) : 12;
}

/// Random candidates of a workload's space, lowered for a processor with all that we know.
class WithoutExpanding : public ::testing::TestWithParam<WorkloadCase> {
protected:
  void SetUp() override {
    const auto workload = workload_cases::workload_of(GetParam());
    ASSERT_TRUE(workload) << workload.error().to_string();
    const auto target = ir::parse_target("cpu:sapphirerapids");
    ASSERT_TRUE(target);
    SketchOptions sketch;
    const auto machine = machine_hints_for(*target, 1);
    ASSERT_TRUE(machine) << machine.error().to_string();
    sketch.machine = *machine;
    auto space = make_sketch_space(workload->module, std::move(sketch));
    ASSERT_TRUE(space) << space.error().to_string();
    space_ = std::move(space).value();
    const auto options = lower_options_for(*target, true);
    ASSERT_TRUE(options);
    options_ = *options;
  }

  static ir::PrimFunc function_of(const Result<IRModule>& module) {
    EXPECT_TRUE(module) << module.error().to_string();
    return (*module)->functions.front().function.as_ref<ir::PrimFuncNode>();
  }

  std::unique_ptr<Space> space_;
  codegen::LowerOptions options_;
};

TEST_P(WithoutExpanding, TheEstimateIsTheSame) {
  Random random(11);
  int estimated = 0;
  for (int i = 0; i < schedules(); ++i) {
    const auto candidate = space_->sample(random);
    if (!candidate)
      continue;
    ++estimated;
    const auto whole = codegen::lower_for_cpu((*candidate)->module, options_);
    const auto folded = codegen::lower_for_estimate((*candidate)->module, options_);
    const KernelEstimate expected = estimate_time(function_of(whole), {}, 2);
    const KernelEstimate found = estimate_time(function_of(folded), {}, 2);
    const auto context = [&] {
      return (*candidate)->trace.to_python() + script::to_text(*whole) + script::to_text(*folded);
    };
    ASSERT_NEAR(found.port_ns, expected.port_ns, 1e-9 * expected.port_ns) << context();
    ASSERT_NEAR(found.total_ns, expected.total_ns, 1e-9 * expected.total_ns) << context();
    ASSERT_EQ(found.traffic_ns.size(), expected.traffic_ns.size());
    for (size_t level = 0; level < found.traffic_ns.size(); ++level)
      ASSERT_NEAR(found.traffic_ns[level], expected.traffic_ns[level],
                  1e-9 * expected.traffic_ns[level])
          << context();
  }
  EXPECT_GT(estimated, 0);
}

std::string name_of(const ::testing::TestParamInfo<WorkloadCase>& info) {
  std::string name = info.param.name;
  std::replace(name.begin(), name.end(), ':', '_');
  return name + "_" + std::to_string(info.index);
}
INSTANTIATE_TEST_SUITE_P(OfWorkloads, WithoutExpanding, ::testing::ValuesIn(kWorkloadCases),
                         name_of);
INSTANTIATE_TEST_SUITE_P(OfLargeWorkloads, WithoutExpanding, ::testing::ValuesIn(kLargeCases),
                         name_of);

TEST(Analytical, ARegisterTileKeepsItsLoopsForTheEstimate) {
  // 8 x 2 vectors, four steps of k: 64 statements, or one in loops.
  s_tir::Schedule schedule(matmul(64, 64, 64), 0);
  const auto block = *schedule.get_sblock("C");
  const auto loops = *schedule.get_loops(block);
  const auto rows = *schedule.split(loops[0], {std::nullopt, int64_t{8}});
  const auto columns = *schedule.split(loops[1], {std::nullopt, int64_t{2}, int64_t{16}});
  const auto steps = *schedule.split(loops[2], {std::nullopt, int64_t{4}});
  ASSERT_TRUE(
      schedule.reorder({rows[0], columns[0], steps[0], steps[1], rows[1], columns[1], columns[2]}));
  ASSERT_TRUE(schedule.vectorize(columns[2]));
  ASSERT_TRUE(schedule.unroll(steps[1]));
  const auto sums = [](const Result<IRModule>& module) {
    int count = 0;
    ir::walk((*module)->functions.front().function.as_ref<ir::PrimFuncNode>()->body,
             [&](const ir::NodeRef& node) {
               count += node->kind() == ir::Add::kKind && node.as<ir::Add>()->dtype.lanes == 16;
               return true;
             });
    return count;
  };
  EXPECT_EQ(sums(codegen::lower_for_cpu(schedule.module(), {})), 64);
  EXPECT_EQ(sums(codegen::lower_for_estimate(schedule.module(), {})), 1);
}

TEST(Analytical, EqualKernelsAreLoweredEquallyWhoeverMadeTheirLoopsFirst) {
  // Rows cut before columns, or after them: the loops' variables lie elsewhere in memory.
  std::vector<IRModule> kept;
  const auto hash_of = [&](bool rows_first) {
    s_tir::Schedule schedule(matmul(64, 64, 64), 0);
    const auto block = *schedule.get_sblock("C");
    const auto loops = *schedule.get_loops(block);
    std::vector<s_tir::LoopRv> rows;
    if (rows_first)
      rows = *schedule.split(loops[0], {std::nullopt, int64_t{8}});
    const auto columns = *schedule.split(loops[1], {std::nullopt, int64_t{2}, int64_t{16}});
    if (!rows_first)
      rows = *schedule.split(loops[0], {std::nullopt, int64_t{8}});
    EXPECT_TRUE(schedule.reorder({rows[0], columns[0], loops[2], rows[1], columns[1], columns[2]}));
    EXPECT_TRUE(schedule.vectorize(columns[2]));
    kept.push_back(*codegen::lower_for_estimate(schedule.module(), {}));
    return ir::structural_hash(kept.back());
  };
  const uint64_t first = hash_of(true);
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(hash_of(false), first);
    EXPECT_EQ(hash_of(true), first);
  }
}

// --- Strategy ----------------------------------------------------------------------------------

class UntrainedModel final : public CostModel {
public:
  const char* name() const override { return "untrained"; }
  void update(std::span<const CostSample>) override {}
  std::vector<double> predict(std::span<const FeatureMatrix* const> features) override {
    return std::vector<double>(features.size(), 0.5);
  }
  bool is_trained() const override { return false; }
};

/// An estimator of many from one of each.
template <typename EstimateOne> auto of_each(EstimateOne estimate_one) {
  return [estimate_one](std::span<const CandidateRef> candidates) {
    std::vector<double> times;
    for (const CandidateRef& candidate : candidates)
      times.push_back(estimate_one(*candidate));
    return times;
  };
}

struct Searching {
  std::unique_ptr<Space> space = product_space(matmul(64, 128, 64));
  UntrainedModel model;
  Funnel funnel;
  SearchState state;
  Searching() {
    state.space = space.get();
    state.model = &model;
    state.funnel = &funnel;
  }
};

TEST(AutoStrategy, StartsWithTheBestByEstimateOfManySketches) {
  Searching search;
  int estimated = 0;
  search.state.estimate = of_each([&](const Candidate& candidate) {
    ++estimated;
    return estimate(candidate.module, {}).total_ns;
  });
  Random random(1);
  const auto batch = make_auto_strategy()->propose(8, search.state, random);
  ASSERT_EQ(batch.size(), 8U);
  EXPECT_GT(estimated, 40);
  std::map<uint64_t, int> of_sketch;
  for (const CandidateRef& candidate : batch)
    EXPECT_LE(++of_sketch[candidate->trace.without_postproc().without_decisions().hash()], 2);
  // Better than what chance gives.
  const auto mean = [&](const std::vector<CandidateRef>& candidates) {
    double sum = 0;
    for (const CandidateRef& candidate : candidates)
      sum += std::log(estimate(candidate->module, {}).total_ns);
    return sum / static_cast<double>(candidates.size());
  };
  EXPECT_LT(mean(batch), mean(make_random_strategy()->propose(32, search.state, random)));
}

TEST(AutoStrategy, StartsWithEachChoiceOfAProgramsOwnKnobs) {
  const auto file = script::WorkloadFile::parse(R"(
from tvm.script import tirx as T

def many(a=T.tune([0, 1, 2, 3]), b=T.tune([0, 1, 2, 3, 4, 5, 6, 7]), c=T.tune([0, 1, 2, 3, 4, 5, 6, 7])):
    @T.prim_func
    def main(A: T.Tensor((8,), "float32")):
        with T.Kernel(1) as bx:
            A[0] = T.float32(a * 64 + b * 8 + c)
    return main
)",
                                                "many.py");
  ASSERT_TRUE(file) << file.error().to_string();
  const auto workload = file->instantiate("many", {}, true);
  ASSERT_TRUE(workload) << workload.error().to_string();
  Searching search;
  search.space = *make_knob_space(workload->module, {});
  search.state.space = search.space.get();
  const auto a_of = [](const Candidate& candidate) {
    return *candidate.trace[0].decision.as_int();
  };
  // By estimate a = 0 is the best, 1 and 2 are not far behind, 3 is.
  search.state.estimate = of_each([&](const Candidate& candidate) {
    constexpr double kTimes[] = {1, 1.5, 1.6, 4};
    return kTimes[a_of(candidate)] + 1e-9 * static_cast<double>(candidate.program_hash % 1000);
  });
  Random random(5);
  std::map<int64_t, int> times;
  for (const CandidateRef& candidate : make_auto_strategy()->propose(24, search.state, random))
    ++times[a_of(*candidate)];
  EXPECT_GE(times[0], 12);
  EXPECT_GE(times[1], 1);
  EXPECT_GE(times[2], 1);
  EXPECT_EQ(times[3], 0);
}

TEST(AutoStrategy, NeverProposesWhatWasProposed) {
  Searching search;
  search.state.estimate = of_each([](const Candidate& candidate) {
    return static_cast<double>(candidate.program_hash % 1000 + 1);
  });
  Random random(2);
  const auto strategy = make_auto_strategy();
  for (int round = 0; round < 3; ++round)
    for (const CandidateRef& candidate : strategy->propose(8, search.state, random))
      EXPECT_TRUE(search.state.seen.insert(candidate->program_hash).second);
}

TEST(AutoStrategy, ProposesEachCodeOnce) {
  Searching search;
  search.state.estimate = of_each([](const Candidate&) { return 1.0; });
  constexpr uint64_t kCodes = 5;
  search.state.code = [](const Candidate& candidate) {
    return candidate.program_hash % kCodes + 1;
  };
  search.state.codes = {1};
  Random random(3);
  const auto strategy = make_auto_strategy();
  const auto batch = strategy->propose(8, search.state, random);
  EXPECT_EQ(batch.size(), kCodes - 1);
  for (const CandidateRef& candidate : batch) {
    search.state.seen.insert(candidate->program_hash);
    EXPECT_TRUE(search.state.codes.insert(search.state.code(*candidate)).second);
  }
  EXPECT_TRUE(strategy->propose(8, search.state, random).empty());
}

TEST(AutoStrategy, WhatCannotBeEstimatedComesLast) {
  Searching search;
  search.state.estimate = of_each([](const Candidate& candidate) {
    return candidate.program_hash % 4 == 0 ? 1.0 : std::numeric_limits<double>::infinity();
  });
  Random random(4);
  const auto batch = make_auto_strategy()->propose(4, search.state, random);
  ASSERT_EQ(batch.size(), 4U);
  EXPECT_EQ(batch.front()->program_hash % 4, 0U);
}

} // namespace
} // namespace temper::tuner
