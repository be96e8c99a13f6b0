// The design space of every workload of the source tree, on a small shape: candidates are well
// formed, print and parse back, replay from every form of their trace, lower, and compute what the
// program computes.
#include "codegen/lower.h"
#include "ir/s_tir/schedule.h"
#include "ir/s_tir/trace_json.h"
#include "ir/script/parser.h"
#include "tests/pass/equivalence.h"
#include "tests/support/workload_cases.h"
#include "tests/tuner/scene.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace temper::tuner {
namespace {

using testing::must;
using testing::space_of;
using workload_cases::kWorkloadCases;
using workload_cases::WorkloadCase;

class Workloads : public ::testing::TestWithParam<WorkloadCase> {
protected:
  Workloads() : workload(testing::workload(GetParam().name, GetParam().shape)) {
    s_tir::register_layer(); // its statements are verified before anything of it is interpreted
  }

  /// Each of the machines that the rules tell apart, with some candidates of its space: samples,
  /// and what mutation makes of them.
  template <typename Check> void each_candidate(int samples, Check check) {
    for (const MachineHints& machine :
         {MachineHints{.threads = 1, .vector_bits = 256, .vector_registers = 16},
          MachineHints{.threads = 4, .vector_bits = 512, .vector_registers = 32}}) {
      const auto space = space_of(workload.module, machine);
      Random random(11);
      check(*space->untuned(), machine);
      for (int i = 0; i < samples; ++i) {
        const auto candidate = space->sample(random);
        ASSERT_TRUE(candidate) << candidate.error().to_string();
        check(**candidate, machine);
        if (const auto child = space->mutate(**candidate, random))
          check(**child, machine);
        if (HasFatalFailure())
          return;
      }
    }
  }

  script::Workload workload;
};

TEST_P(Workloads, CandidatesAreWellFormedAndPrintAndParseBack) {
  each_candidate(8, [](const Candidate& candidate, const MachineHints&) {
    const auto verified = ir::verify(candidate.module);
    EXPECT_TRUE(verified) << verified.error().to_string();
    const std::string text = script::to_text(candidate.module);
    const auto parsed = script::parse_module(text);
    ASSERT_TRUE(parsed) << parsed.error().to_string() << "\n" << text;
    std::string difference;
    EXPECT_TRUE(ir::structural_equal(candidate.module, *parsed, &difference)) << difference;
    EXPECT_EQ(ir::structural_hash(*parsed), candidate.program_hash);
    EXPECT_GT(candidate.features.rows, 0);
  });
}

TEST_P(Workloads, TracesReplayFromJsonAndFromPython) {
  each_candidate(8, [this](const Candidate& candidate, const MachineHints&) {
    const auto json = s_tir::trace_from_json_text(s_tir::trace_to_json_text(candidate.trace));
    ASSERT_TRUE(json) << json.error().to_string();
    const auto python = s_tir::Trace::from_python(candidate.trace.to_python());
    ASSERT_TRUE(python) << python.error().to_string();
    for (const s_tir::Trace& trace : {*json, *python}) {
      EXPECT_EQ(trace, candidate.trace);
      s_tir::ReplayOptions options;
      options.sample_missing = false;
      const auto replayed = s_tir::replay(trace, workload.module, 0, options);
      ASSERT_TRUE(replayed) << replayed.error().to_string() << "\n" << trace.to_python();
      EXPECT_EQ(ir::structural_hash(replayed->module()), candidate.program_hash);
    }
  });
}

TEST_P(Workloads, AStoredProgramIsTheSameCandidateAgain) {
  const auto space = space_of(workload.module);
  Random random(5);
  EXPECT_EQ(must(space->apply(space->untuned()->trace, "database"))->program_hash,
            space->untuned()->program_hash);
  for (int i = 0; i < 8; ++i) {
    const CandidateRef sampled = must(space->sample(random));
    const CandidateRef again = must(space->apply(sampled->trace, "database"));
    EXPECT_EQ(again->program_hash, sampled->program_hash) << sampled->trace.to_python();
    EXPECT_EQ(again->trace, sampled->trace);
    EXPECT_EQ(again->origin, "database");
  }
}

TEST_P(Workloads, CandidatesComputeWhatTheProgramComputes) {
  const auto function_of = [](const ir::IRModule& module) {
    return module->functions.front().function.as_ref<ir::PrimFuncNode>();
  };
  const auto expected = ir::testing::run(function_of(workload.module));
  ASSERT_TRUE(expected) << expected.error().to_string();
  each_candidate(4, [&](const Candidate& candidate, const MachineHints& machine) {
    const auto got =
        ir::testing::run(function_of(candidate.module), 1, ir::ParallelOrder::kReverse);
    ASSERT_TRUE(got) << got.error().to_string() << "\n" << candidate.trace.to_python();
    EXPECT_TRUE(ir::testing::same(*expected, *got, 1e-4)) << candidate.trace.to_python();
    codegen::LowerOptions lower;
    lower.vector_bits = machine.vector_bits;
    lower.vector_registers = machine.vector_registers;
    lower.serial = machine.threads == 1;
    const auto lowered = codegen::lower_for_cpu(candidate.module, lower);
    ASSERT_TRUE(lowered) << lowered.error().to_string() << "\n" << candidate.trace.to_python();
    const auto flat = ir::testing::run(function_of(*lowered), 1, ir::ParallelOrder::kReverse,
                                       ir::testing::packs_of(*lowered));
    ASSERT_TRUE(flat) << flat.error().to_string() << "\n" << candidate.trace.to_python();
    EXPECT_TRUE(ir::testing::same(*expected, *flat, 1e-4)) << candidate.trace.to_python();
  });
}

TEST_P(Workloads, ProgramsComputeWhatTheirReferencesCompute) {
  ASSERT_TRUE(workload.reference);
  if (workload.is_own_reference)
    return; // engine/peers_test.cpp holds libraries against plain loops, `compare` ours against
            // both
  const auto run = [](const ir::IRModule& module) {
    return must(ir::testing::run(module->functions.front().function.as_ref<ir::PrimFuncNode>()));
  };
  EXPECT_TRUE(ir::testing::same(run(workload.reference), run(workload.module), 1e-4));
}

TEST_P(Workloads, NeighboursDifferFromTheirOriginAndFromEachOther) {
  const auto space = space_of(workload.module);
  Random random(3);
  const CandidateRef from = must(space->sample(random));
  std::set<uint64_t> programs{from->program_hash};
  const std::vector<CandidateRef> neighbours = space->neighbours(*from, 12);
  EXPECT_LE(neighbours.size(), 12U);
  for (const CandidateRef& neighbour : neighbours) {
    EXPECT_EQ(neighbour->parent, from->program_hash);
    EXPECT_NE(neighbour->program_hash, from->program_hash);
  }
}

TEST_P(Workloads, TheSpaceIsTheSameEachTime) {
  const auto first = space_of(workload.module);
  const auto second = space_of(workload.module);
  EXPECT_EQ(first->hash(), second->hash());
  EXPECT_EQ(first->sketch_texts(), second->sketch_texts());
  EXPECT_FALSE(first->sketch_texts().empty());
  Random one(9);
  Random other(9);
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(must(first->sample(one))->trace, must(second->sample(other))->trace);
}

std::string test_name(const ::testing::TestParamInfo<WorkloadCase>& info) {
  std::string name = info.param.name;
  if (const auto constant = info.param.shape.find("constant"); constant != info.param.shape.end())
    name += "_constant_" + constant->second;
  std::replace(name.begin(), name.end(), ':', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(SourceTree, Workloads, ::testing::ValuesIn(kWorkloadCases), test_name);

TEST(WorkloadCases, EveryWorkloadOfTheSourceTreeIsAmongThem) {
  std::set<std::string> known;
  for (const WorkloadCase& one : kWorkloadCases)
    known.insert(one.name);
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(TEMPER_SOURCE_DIR) + "/workloads")) {
    if (entry.path().extension() != ".py")
      continue;
    const std::string stem = entry.path().stem();
    const auto file = must(script::WorkloadFile::read(entry.path()));
    for (const script::WorkloadInfo& info : file.workloads()) {
      const std::string name = info.name == stem ? stem : stem + ":" + info.name;
      // Symbolic dimensions are for hand-written spaces: template_space_test.cpp.
      EXPECT_TRUE(known.contains(name) || info.layer != "s-tir" || name == "dynamic_dense")
          << "give " << name << " a shape";
    }
  }
}

} // namespace
} // namespace temper::tuner
