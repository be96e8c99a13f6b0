// The analytical estimate, and the strategy that starts from it.

#include "codegen/lower.h"
#include "tests/s_tir/programs.h"
#include "tuner/cost/analytical.h"
#include "tuner/search/strategy.h"
#include "tuner/space/sketch_space.h"

#include <gmock/gmock.h>

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
