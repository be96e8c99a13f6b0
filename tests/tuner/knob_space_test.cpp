// Knobs of tile programs as a search space.
#include "tuner/space/knob_space.h"

#include "ir/interpret.h"
#include "ir/s_tir/trace_json.h"
#include "ir/script/knobs.h"
#include "ir/script/parser.h"
#include "ir/script/printer.h"
#include "ir/structural.h"
#include "tuner/mutate/mutator.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>
#include <tuple>

namespace temper::tuner {
namespace {

constexpr const char* kProduct = R"(
from tvm.script import tirx as T

def product(M, N, K, block_M=T.tune([4, 8, 16]), block_N=T.tune([16, 32]), order=T.tune(["AB", "BA"])):
    T.constraint(block_M * block_N <= 256)
    T.constraint(block_M >= 8 or order == "AB")
    @T.prim_func
    def main(A: T.Tensor((M, K), "float32"), B: T.Tensor((K, N), "float32"), C: T.Tensor((M, N), "float32")):
        with T.Kernel(T.ceildiv(N, block_N), T.ceildiv(M, block_M)) as (bx, by):
            a = T.alloc_shared((block_M, K), "float32")
            b = T.alloc_shared((K, block_N), "float32")
            c = T.alloc_fragment((block_M, block_N), "float32")
            if order == "AB":
                T.copy(A[by * block_M, 0], a)
                T.copy(B[0, bx * block_N], b)
            else:
                T.copy(B[0, bx * block_N], b)
                T.copy(A[by * block_M, 0], a)
            T.clear(c)
            T.gemm(a, b, c)
            T.copy(c, C[by * block_M, bx * block_N])
    return main
)";

script::Workload workload(std::map<std::string, std::string> parameters = {
                              {"M", "20"}, {"N", "48"}, {"K", "8"}}) {
  const auto file = script::WorkloadFile::parse(kProduct, "product.py");
  EXPECT_TRUE(file) << file.error().to_string();
  auto result = file->instantiate("product", parameters, true);
  EXPECT_TRUE(result) << result.error().to_string();
  return std::move(*result);
}

std::vector<float> run(const ir::IRModule& module) {
  std::vector<float> a(20 * 8);
  std::vector<float> b(8 * 48);
  std::vector<float> c(20 * 48);
  for (size_t i = 0; i < a.size(); ++i)
    a[i] = static_cast<float>(i % 7) - 3;
  for (size_t i = 0; i < b.size(); ++i)
    b[i] = static_cast<float>(i % 5) - 2;
  const auto done = ir::interpret(
      module, "", std::vector<ir::InterpretArgument>{ir::input(a), ir::input(b), ir::output(c)});
  EXPECT_TRUE(done) << done.error().to_string();
  return c;
}

TEST(Knobs, OfAWorkloadAreInItsModuleAndNotInItsBinding) {
  const script::Workload product = workload();
  EXPECT_EQ(product.parameters.size(), 3U);
  ASSERT_TRUE(script::has_knobs(product.module));
  const auto again = script::parse_module(script::to_text(product.module), "again");
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_TRUE(ir::structural_equal(product.module, *again));
  const auto knobs = script::KnobProgram::of(*again);
  ASSERT_TRUE(knobs) << knobs.error().to_string();
  ASSERT_EQ(knobs->knobs().size(), 3U);
  EXPECT_EQ(knobs->knobs()[2].name, "order");
  EXPECT_EQ(knobs->size(), 12);
}

TEST(Knobs, AreCountedWithWhatEachConstraintPrunes) {
  const auto knobs = script::KnobProgram::of(workload().module);
  ASSERT_TRUE(knobs);
  const auto count = knobs->count();
  ASSERT_TRUE(count) << count.error().to_string();
  EXPECT_EQ(count->size, 12);
  EXPECT_FALSE(count->estimated);
  ASSERT_EQ(count->pruned.size(), 2U);
  EXPECT_EQ(count->pruned[0].first, "block_M >= 8 or order == \"AB\"");
  EXPECT_EQ(count->pruned[0].second, 2);
  EXPECT_EQ(count->pruned[1].first, "block_M * block_N <= 256");
  EXPECT_EQ(count->pruned[1].second, 2);
  EXPECT_EQ(count->legal, 8);
}

TEST(Knobs, ThatArePinnedAreParametersAndMustKeepTheConstraints) {
  const script::Workload pinned = workload(
      {{"M", "20"}, {"N", "48"}, {"K", "8"}, {"block_M", "8"}, {"block_N", "16"}, {"order", "BA"}});
  EXPECT_FALSE(script::has_knobs(pinned.module));
  EXPECT_EQ(pinned.parameters.size(), 6U);
  const auto file = script::WorkloadFile::parse(kProduct, "product.py");
  const auto bad = file->instantiate(
      "product", {{"M", "20"}, {"N", "48"}, {"K", "8"}, {"block_M", "16"}, {"block_N", "32"}},
      true);
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().message.find("the first by block_M * block_N <= 256"), std::string::npos)
      << bad.error().message;
}

/// What a choice leaves in the program is part of the language.
void expect_reads_back(const Candidate& candidate) {
  const std::string text = script::to_text(candidate.module);
  const auto again = script::parse_module(text, "candidate.py");
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_TRUE(ir::structural_equal(*again, candidate.module)) << text;
}

TEST(KnobSpaces, SampleProgramsThatTheirTracesMakeAgainAndThatComputeTheSame) {
  const ir::IRModule module = workload().module;
  auto space = make_knob_space(module, {});
  ASSERT_TRUE(space) << space.error().to_string();
  EXPECT_NE((*space)->describe().find("3 knobs, 12 combinations, of which 8 are legal"),
            std::string::npos)
      << (*space)->describe();
  const std::vector<float> expected = run(module);
  Random random(3);
  std::set<uint64_t> programs;
  for (int i = 0; i < 40; ++i) {
    const auto candidate = (*space)->sample(random);
    ASSERT_TRUE(candidate) << candidate.error().to_string();
    programs.insert((*candidate)->program_hash);
    expect_reads_back(**candidate);
    const std::string json = s_tir::trace_to_json_text((*candidate)->trace);
    const auto trace = s_tir::trace_from_json_text(json);
    ASSERT_TRUE(trace) << trace.error().to_string();
    const auto made = program_of(*trace, module);
    ASSERT_TRUE(made) << made.error().to_string();
    EXPECT_EQ(ir::structural_hash(*made), (*candidate)->program_hash);
    const auto python = s_tir::Trace::from_python((*candidate)->trace.to_python());
    ASSERT_TRUE(python) << python.error().to_string();
    EXPECT_EQ(*python, (*candidate)->trace);
    EXPECT_EQ((*candidate)->features.rows, 1);
    if (i < 10) {
      EXPECT_EQ(run(*made), expected) << (*candidate)->trace.to_python();
    }
  }
  EXPECT_GT(programs.size(), 10U);
}

TEST(KnobSpaces, NameTheirFeaturesByWhatWasDecided) {
  auto space = make_knob_space(workload().module, {});
  ASSERT_TRUE(space);
  const CandidateRef untuned = (*space)->untuned();
  Random random(5);
  Result<CandidateRef> sampled = (*space)->sample(random);
  while (!sampled || (*sampled)->trace.to_python().find("\"loops\"], decision=1") !=
                         std::string::npos) // its product in register tiles
    sampled = (*space)->sample(random);
  const Candidate& candidate = **sampled;
  const std::vector<std::string> names = knob_feature_names(candidate.trace);
  ASSERT_EQ(names.size(), static_cast<size_t>(kFeatureCount));
  const auto row = candidate.features.row(0);
  std::set<std::string> seen;
  for (size_t i = 0; i < names.size(); ++i) {
    EXPECT_TRUE(names[i].empty() || seen.insert(names[i]).second) << names[i];
    if (row[i] != 0) {
      EXPECT_FALSE(names[i].empty()) << i;
    }
  }
  for (const char* name : {"block_M", "block_N", "gemm.variant", "gemm.rows", "estimated time"})
    EXPECT_TRUE(seen.contains(name)) << name;
  const auto place = [&](const char* name) {
    return static_cast<size_t>(std::find(names.begin(), names.end(), name) - names.begin());
  };
  EXPECT_STREQ(knob_feature_group(place("block_M")), "knobs of the program");
  EXPECT_STREQ(knob_feature_group(place("gemm.rows")), "choices of tile operators");
  EXPECT_STREQ(knob_feature_group(place("estimated time")), "estimates of the lowered program");
  // What differs between two candidates stands under its name.
  EXPECT_EQ(untuned->features.row(0)[place("block_M")], 0);
  EXPECT_NE(row[place("block_M")], 0);
}

TEST(KnobSpaces, MutateAndStepByOneDecision) {
  auto space = make_knob_space(workload().module, {});
  ASSERT_TRUE(space);
  Random random(5);
  Result<CandidateRef> first = (*space)->sample(random);
  while (!first)
    first = (*space)->sample(random);
  int changed = 0;
  for (int i = 0; i < 20; ++i)
    if (const auto mutated = (*space)->mutate(**first, random))
      changed += (*mutated)->program_hash != (*first)->program_hash ? 1 : 0;
  EXPECT_GT(changed, 5);
  const auto near = (*space)->neighbours(**first, 16);
  EXPECT_FALSE(near.empty());
  for (const CandidateRef& candidate : near)
    EXPECT_NE(candidate->program_hash, (*first)->program_hash);
  const auto again = (*space)->apply((*first)->trace, "database");
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)->program_hash, (*first)->program_hash);
}

/// A program with these knobs, which `constraint` ties together.
ir::IRModule tied(const std::string& knobs, const std::string& constraint) {
  const std::string text = "from tvm.script import tirx as T\n\ndef tied(n, " + knobs +
                           "):\n    T.constraint(" + constraint + R"()
    @T.prim_func
    def main(A: T.Tensor((n, 16), "float32"), B: T.Tensor((n, 16), "float32")):
        with T.Kernel(T.ceildiv(n, a)) as bx:
            tile = T.alloc_fragment((a, 16), "float32")
            T.copy(A[bx * a, 0], tile)
            for i, j in T.Parallel(a, 16):
                tile[i, j] = tile[i, j] * b
            T.copy(tile, B[bx * a, 0])
    return main
)";
  const auto file = script::WorkloadFile::parse(text, "tied.py");
  EXPECT_TRUE(file) << file.error().to_string();
  auto workload = file->instantiate("tied", {{"n", "64"}}, true);
  EXPECT_TRUE(workload) << workload.error().to_string();
  return workload->module;
}

TEST(KnobSpaces, StartWhereNoConstraintRefuses) {
  const auto space =
      make_knob_space(tied("a=T.tune([1, 2, 4, 8]), b=T.tune([1, 2, 4, 8])", "a * b == 32"), {});
  ASSERT_TRUE(space) << space.error().to_string();
  const std::vector<std::string> sketches = (*space)->sketch_texts();
  ASSERT_EQ(sketches.size(), 1U);
  EXPECT_NE(sketches[0].find("sample_knob(name=\"a\", choices=[1, 2, 4, 8], decision=2)"),
            std::string::npos)
      << sketches[0];
  // What the sketch says is what its program is.
  const auto trace = s_tir::Trace::from_python(sketches[0]);
  ASSERT_TRUE(trace) << trace.error().to_string();
  EXPECT_TRUE((*space)->apply(*trace, "test"));
}

TEST(KnobSpaces, SampleOnlyWhatConstraintsLeaveHoweverLittleThatIs) {
  // 4 of 4096; and of more combinations than are counted, one in 3000.
  const std::string few = "[1, 2, 4, 8, 16, 32, 64, 128]";
  const std::string many = "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]";
  for (const auto& [names, choices, constraint, found] :
       {std::tuple("abcd", few, "a * b * c * d == 4 and c == d", 3U),
        std::tuple("abcde", many, "a * b * c * d == 24 and e == a", 8U)}) {
    std::string knobs;
    for (const char name : std::string(names))
      knobs += (knobs.empty() ? "" : ", ") + std::string(1, name) + "=T.tune(" + choices + ")";
    const auto space = make_knob_space(tied(knobs, constraint), {});
    ASSERT_TRUE(space) << space.error().to_string();
    Random random(11);
    std::set<uint64_t> programs;
    for (int i = 0; i < 20; ++i) {
      const auto candidate = (*space)->sample(random);
      ASSERT_TRUE(candidate) << constraint << ": " << candidate.error().to_string();
      programs.insert((*candidate)->program_hash);
    }
    EXPECT_GE(programs.size(), found) << constraint;
  }
}

TEST(KnobSpaces, MutateKnobsTogetherThatMayNotChangeAlone) {
  const auto space = make_knob_space(
      tied("a=T.tune([1, 2, 4, 8, 16]), b=T.tune([1, 2, 4, 8, 16])", "a * b == 16"), {});
  ASSERT_TRUE(space) << space.error().to_string();
  Random random(4);
  auto candidate = (*space)->sample(random);
  ASSERT_TRUE(candidate) << candidate.error().to_string();
  std::set<uint64_t> programs;
  for (int i = 0; i < 40; ++i) {
    candidate = (*space)->mutate(**candidate, random);
    ASSERT_TRUE(candidate) << candidate.error().to_string();
    programs.insert((*candidate)->program_hash);
  }
  EXPECT_GE(programs.size(), 5U);
}

TEST(KnobSpaces, GiveSeveralThreadsWhatTheyGiveOne) {
  const auto space = make_knob_space(workload().module, {});
  ASSERT_TRUE(space) << space.error().to_string();
  const auto draw = [&](uint64_t seed) {
    Random random(seed);
    std::vector<uint64_t> programs;
    for (int i = 0; i < 20; ++i)
      if (const auto candidate = (*space)->sample(random)) {
        programs.push_back((*candidate)->program_hash);
        if (const auto mutated = (*space)->mutate(**candidate, random))
          programs.push_back((*mutated)->program_hash);
      }
    return programs;
  };
  constexpr size_t kThreads = 4;
  std::vector<std::vector<uint64_t>> together(kThreads);
  {
    std::vector<std::jthread> threads;
    for (size_t i = 0; i < kThreads; ++i)
      threads.emplace_back([&, i] { together[i] = draw(i); });
  }
  for (size_t i = 0; i < kThreads; ++i)
    EXPECT_EQ(together[i], draw(i)) << i;
}

constexpr const char* kHalves = R"(
from tvm.script import tirx as T

def product(M, N, K, block_M=T.tune([32, 64, 512])):
    T.constraint(block_M <= M)
    @T.prim_func
    def main(A: T.Tensor((M, K), "float16"), B: T.Tensor((K, N), "float16"), C: T.Tensor((M, N), "float32")):
        with T.Kernel(T.ceildiv(N, 64), T.ceildiv(M, block_M)) as (bx, by):
            a = T.alloc_shared((block_M, 32), "float16")
            b = T.alloc_shared((32, 64), "float16")
            c = T.alloc_fragment((block_M, 64), "float32")
            T.clear(c)
            for k in T.Pipelined(T.ceildiv(K, 32)):
                T.copy(A[by * block_M, k * 32], a)
                T.copy(B[k * 32, bx * 64], b)
                T.gemm(a, b, c)
            T.copy(c, C[by * block_M, bx * 64])
    return main
)";

TEST(KnobSpaces, ForAGpuOfferItsInstructionsCopiesSwizzlesStagesAndThreads) {
  const auto file = script::WorkloadFile::parse(kHalves, "product.py");
  ASSERT_TRUE(file) << file.error().to_string();
  auto workload = file->instantiate("product", {{"M", "128"}, {"N", "64"}, {"K", "96"}}, true);
  ASSERT_TRUE(workload) << workload.error().to_string();
  const ir::IRModule module = workload->module;
  auto space = make_gpu_knob_space(module, 90);
  ASSERT_TRUE(space) << space.error().to_string();
  const std::string words = (*space)->describe();
  EXPECT_NE(words.find("1 knob, 3 combinations, of which 2 are legal (block_M <= M prunes 1)"),
            std::string::npos)
      << words;
  EXPECT_NE(words.find("decisions that tile operators leave open"), std::string::npos) << words;
  Random random(3);
  std::set<std::string> decided;
  std::set<uint64_t> programs;
  for (int i = 0; i < 60; ++i) {
    const auto candidate = (*space)->sample(random);
    if (!candidate) {
      EXPECT_EQ(candidate.error().code, ErrorCode::kIllegal);
      continue;
    }
    programs.insert((*candidate)->program_hash);
    expect_reads_back(**candidate);
    const std::string text = knob_text((*candidate)->trace);
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find(' ', at), text.size());
      decided.insert(text.substr(at, end - at));
      at = end + 1;
    }
    const auto made = program_of((*candidate)->trace, module);
    ASSERT_TRUE(made) << made.error().to_string();
    EXPECT_EQ(ir::structural_hash(*made), (*candidate)->program_hash);
  }
  EXPECT_GT(programs.size(), 10U);
  for (const char* decision :
       {"block_M=64", "kernel.threads=64", "pipeline.num_stages=3", "gemm.variant=mma_sync",
        "gemm.variant=threads", "gemm.swizzle_A=0", "gemm.swizzle_B=128", "copy.variant=cp_async",
        "copy.variant=vector", "copy_2.bytes=8"})
    EXPECT_TRUE(decided.contains(decision)) << decision;
  // An older architecture has none of them, and the CPU's space is another one.
  auto older = make_gpu_knob_space(module, 75);
  ASSERT_TRUE(older) << older.error().to_string();
  const auto first = (*older)->sample(random);
  EXPECT_TRUE(!first || knob_text((*first)->trace).find("mma_sync") == std::string::npos);
  auto cpu = make_knob_space(module, {});
  ASSERT_TRUE(cpu);
  EXPECT_EQ((*cpu)->describe().find("kernel.threads"), std::string::npos);
}

TEST(KnobSpaces, OfWhatLeavesNothingOpenHoldTheOneProgram) {
  const auto plain = script::parse_module(R"(
@T.prim_func
def main(A: T.Tensor((16,), "float32")):
    with T.Kernel(2) as bx:
        T.fill(A[bx * 8:bx * 8 + 8], 1)
)",
                                          "plain.py");
  ASSERT_TRUE(plain) << plain.error().to_string();
  const auto space = make_knob_space(*plain, {});
  ASSERT_TRUE(space) << space.error().to_string();
  EXPECT_NE((*space)->describe().find("nothing to choose"), std::string::npos)
      << (*space)->describe();
  Random random(3);
  const auto drawn = (*space)->sample(random);
  ASSERT_TRUE(drawn) << drawn.error().to_string();
  EXPECT_EQ((*drawn)->program_hash, (*space)->untuned()->program_hash);
  const auto mutated = (*space)->mutate(**drawn, random);
  ASSERT_TRUE(mutated) << mutated.error().to_string();
  EXPECT_EQ((*mutated)->program_hash, (*space)->untuned()->program_hash);
  EXPECT_TRUE((*space)->neighbours(**drawn, 10).empty());
  EXPECT_FALSE(is_knob_program(ir::make_module(std::vector<ir::ModuleEntry>{})));
}

} // namespace
} // namespace temper::tuner
