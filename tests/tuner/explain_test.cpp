// What is read off machine code. Whole explanations: tests/cli.
#include "tuner/explain.h"

#include "ir/support/quantities.h"
#include "tests/support/shelf.h"
#include "tuner/record_context.h"

#include <algorithm>
#include <gtest/gtest.h>

namespace temper::tuner {
namespace {

/// Two loops deep: a loop that packs, and one that multiplies, side by side in an outer one.
constexpr const char* kAssembly = R"(
	.text
kernel:
	pushq	%rbp
	.p2align	4, 0x90
.LBB0_1:
	xorl	%eax, %eax
.LBB0_2:
	vmovups	(%rsi,%rax,4), %zmm0
	vmovaps	%zmm0, (%rdx,%rax,4)
	addq	$16, %rax
	cmpq	$512, %rax
	jne	.LBB0_2
	vxorps	%xmm1, %xmm1, %xmm1
.LBB0_3:                                # =>This Inner Loop Header: Depth=2
	prefetcht0	512(%rdx)
	vmovaps	(%rdx), %zmm2
	vfmadd231ps	(%r8){1to16}, %zmm2, %zmm0
	vfmadd231ps	4(%r8){1to16}, %zmm2, %zmm1
	vfmadd231ps	%zmm2, %zmm3, %zmm1
	vaddps	%zmm0, %zmm3, %zmm4
	vmovups	%zmm4, 64(%rsp)
	vmovups	64(%rsp), %zmm5
	leaq	64(%rdx), %rdx
	cmpq	%rdx, (%rdi)
	jne	.LBB0_3
	decq	%r9
	jne	.LBB0_1
	jmp	.LBB0_9
.LBB0_9:
	retq
)";

TEST(Code, InnermostLoopsAreCounted) {
  const std::vector<CodeLoop> loops = innermost_loops(kAssembly);
  ASSERT_EQ(loops.size(), 2u);
  EXPECT_EQ(loops[0].instructions, 5);
  EXPECT_EQ(loops[0].multiply_adds, 0);
  EXPECT_EQ(loops[0].loads, 1);
  EXPECT_EQ(loops[0].stores, 1);
  EXPECT_EQ(loops[0].stack, 0);
  const CodeLoop& hot = loops[1];
  EXPECT_EQ(hottest(loops), &hot);
  EXPECT_EQ(hot.depth, 2);
  EXPECT_EQ(hot.instructions, 11);
  EXPECT_EQ(hot.multiply_adds, 3);
  EXPECT_EQ(hot.arithmetic, 1);
  EXPECT_EQ(hot.prefetches, 1);
  EXPECT_EQ(hot.loads, 5) << "as operands of multiply-adds and comparisons, too";
  EXPECT_EQ(hot.stores, 1);
  EXPECT_EQ(hot.stack, 2);
  EXPECT_EQ(hot.vector_bits, 512);
  EXPECT_EQ(hot.vector_registers, 6);
  EXPECT_EQ(hot.sums, 2);
  EXPECT_EQ(hot.longest_sum, 2);
}

TEST(Code, ScalarsAreNoVectors) {
  const auto loops = innermost_loops("a:\nvfmadd231ss (%rdi), %xmm1, %xmm0\nvmulsd %xmm1, %xmm2, "
                                     "%xmm3\njb a\n");
  ASSERT_EQ(loops.size(), 1u);
  EXPECT_EQ(loops[0].vector_bits, 0);
  EXPECT_EQ(loops[0].multiply_adds, 1);
  EXPECT_EQ(loops[0].arithmetic, 1);
}

TEST(Code, ARegisterThatIsLoadedAnewCarriesNoSum) {
  const auto loops = innermost_loops("a:\n"
                                     "vmovups (%rdi), %zmm2\n"
                                     "vfmadd132ps %zmm0, %zmm1, %zmm2\n"
                                     "vmovups %zmm2, (%rsi)\n"
                                     "vmovups 64(%rdi), %zmm2\n"
                                     "vfmadd132ps %zmm0, %zmm1, %zmm2\n"
                                     "vmovups %zmm2, 64(%rsi)\n"
                                     "vxorps %xmm3, %xmm3, %xmm3\n"
                                     "vaddps %zmm3, %zmm2, %zmm3\n"
                                     "jne a\n");
  ASSERT_EQ(loops.size(), 1u);
  EXPECT_EQ(loops[0].multiply_adds, 2);
  EXPECT_EQ(loops[0].sums, 0);
  EXPECT_EQ(loops[0].longest_sum, 0);
}

TEST(Code, ARegisterThatIsWrittenAfreshCarriesNoSum) {
  std::string body;
  for (int i = 0; i < 32; ++i)
    body += "vmulps (%rsi,%rax,4), %zmm1, %zmm2\n"
            "vfmadd231ps (%rdi,%rax,4), %zmm0, %zmm2\n"
            "vmovups %zmm2, (%rdx,%rax,4)\n";
  const auto loops = innermost_loops("a:\n" + body + "jne a\n");
  ASSERT_EQ(loops.size(), 1u);
  EXPECT_EQ(loops[0].multiply_adds, 32);
  EXPECT_EQ(loops[0].sums, 0);
  EXPECT_EQ(loops[0].longest_sum, 0);
}

TEST(Code, APanelOnTheStackIsNoSpill) {
  const auto loops = innermost_loops("a:\n"
                                     "vmovaps -5696(%rsp,%r15,4), %zmm2\n"
                                     "vfmadd231ps (%rsp,%rax), %zmm0, %zmm1\n"
                                     "vmovups 192(%rsp), %zmm3\n"
                                     "jne a\n");
  ASSERT_EQ(loops.size(), 1u);
  EXPECT_EQ(loops[0].loads, 3);
  EXPECT_EQ(loops[0].stack, 1);
}

TEST(Code, SumsAreFollowedThroughOtherRegisters) {
  // zmm0 goes by zmm1 and back: three operations a time through.
  const auto loops = innermost_loops("a:\n"
                                     "vaddps (%rdi), %zmm0, %zmm1\n"
                                     "vmulps %zmm1, %zmm5, %zmm1\n"
                                     "vmovaps %zmm1, %zmm0\n"
                                     "vaddps 64(%rdi), %zmm0, %zmm0\n"
                                     "vmaxps (%rsi), %zmm7, %zmm7\n"
                                     "jne a\n");
  ASSERT_EQ(loops.size(), 1u);
  EXPECT_EQ(loops[0].longest_sum, 3);
  EXPECT_EQ(loops[0].sums, 3) << "zmm0, zmm1 and, on its own, zmm7";
}

TEST(Counts, HaveTheirPlural) {
  EXPECT_EQ(format_count(1, "sample"), "1 sample");
  EXPECT_EQ(format_count(4, "register"), "4 registers");
  EXPECT_EQ(format_count(4, "prefetch"), "4 prefetches");
  EXPECT_EQ(format_count(2, "access"), "2 accesses");
}

TEST(Code, WithoutLoopsHasNone) {
  EXPECT_TRUE(innermost_loops("kernel:\n\tjmp\t.L1\n.L1:\n\tretq\n").empty());
  EXPECT_EQ(hottest({}), nullptr);
}

TEST(Code, TheLongestOfPortsAndChainsBoundsALoop) {
  CodeLoop loop;
  loop.instructions = 40;
  loop.multiply_adds = 24;
  loop.loads = 14;
  loop.longest_sum = 1;
  const MachineRates rates;
  EXPECT_EQ(loop_bounds(loop, rates).front().what, "multiply-add units");
  EXPECT_EQ(loop_bounds(loop, rates).front().cycles, 12);
  loop.loads = 30;
  EXPECT_EQ(loop_bounds(loop, rates).front().what, "load ports");
  loop.longest_sum = 4;
  EXPECT_EQ(loop_bounds(loop, rates).front().what, "chain of sums");
  EXPECT_EQ(loop_bounds(loop, rates).front().cycles, 16);
}

bool limits_say(const Explanation& told, const char* words) {
  return std::ranges::any_of(told.limits(), [&](const std::string& sentence) {
    return sentence.find(words) != std::string::npos;
  });
}

TEST(Limits, NameWhatTheHotLoopLacks) {
  Explanation told;
  told.machine_vector_bits = 512;
  told.machine_vector_registers = 32;
  CodeLoop loop;
  loop.instructions = 10;
  loop.multiply_adds = 2;
  loop.sums = 2;
  loop.longest_sum = 1;
  loop.vector_bits = 256;
  loop.stack = 3;
  told.loops = {loop};
  told.context.row.median_ns = 1000;
  told.bound_ns = told.compute_ns = 400;
  told.estimate = KernelEstimate{.port_ns = 520, .traffic_ns = {100, 550}, .total_ns = 600};
  const auto says = [&](const char* words) { return limits_say(told, words); };
  EXPECT_TRUE(says("40 % of what this machine allows"));
  EXPECT_FALSE(says("little to gain"));
  EXPECT_TRUE(says("bound by the chain of sums"));
  EXPECT_TRUE(says("spills registers to the stack (3 accesses)"));
  EXPECT_TRUE(says("vectors of 256 bits; the target has 512"));
  EXPECT_TRUE(says("adds to 2 registers; 8 are needed"));
  EXPECT_TRUE(says("what L2 does not hold"));
  EXPECT_TRUE(says("1.67 times that, so something costs that it does not see"));
}

TEST(Limits, AreWhatExplainsMostOfTheTime) {
  Explanation told;
  CodeLoop loop;
  loop.instructions = 10;
  loop.stores = 4;
  told.loops = {loop};
  told.context.row.median_ns = 1000;
  told.bound_ns = told.memory_ns = 60;
  told.compute_ns = 40;
  told.level = "L2";
  told.estimate = KernelEstimate{.port_ns = 120, .traffic_ns = {90, 2}, .total_ns = 140};
  EXPECT_TRUE(limits_say(told, "none of the bounds explains its time: multiply-add units 4 %, "
                               "arguments once from L2 6 %, ports of the core 12 % (estimated), "
                               "traffic beyond L1 9 % (estimated)"));
  EXPECT_FALSE(limits_say(told, "bound by"));
  EXPECT_FALSE(limits_say(told, "most of it for"));
  EXPECT_TRUE(limits_say(told, "alone would allow a time through in 4 cycles, by the store port"));
  EXPECT_TRUE(limits_say(told, "7.14 times that, so something costs that it does not see"));
  told.estimate->port_ns = 700;
  told.estimate->total_ns = 720;
  EXPECT_FALSE(limits_say(told, "none of the bounds"));
  EXPECT_TRUE(limits_say(told, "bound by the store port"));
  EXPECT_TRUE(limits_say(told, "most of it for the ports of the core"));
}

TEST(Limits, OneIsTheCause) {
  Explanation told;
  CodeLoop loop;
  loop.instructions = 100;
  loop.loads = 64;
  loop.sums = 1;
  loop.longest_sum = 2;
  told.loops = {loop};
  told.context.row.median_ns = 1000;
  told.bound_ns = told.memory_ns = 890;
  told.level = "L3";
  EXPECT_TRUE(limits_say(told, "89 % of what this machine allows"));
  EXPECT_TRUE(limits_say(told, "alone would allow a time through in 32 cycles, by the load ports"));
  EXPECT_FALSE(limits_say(told, "bound by"));
  EXPECT_FALSE(limits_say(told, "adds to")) << "it is not what it waits for";
  told.bound_ns = told.memory_ns = 100;
  EXPECT_TRUE(limits_say(told, "bound by the load ports"));
  told.loops[0].multiply_adds = 200;
  told.bound_ns = told.compute_ns = 950;
  EXPECT_TRUE(limits_say(told, "bound by the multiply-add units")) << "the same limit twice";
  EXPECT_TRUE(limits_say(told, "little to gain"));
}

TEST(Limits, WhereTheCompilerSpilledNothingTheStackHoldsArrays) {
  Explanation told;
  CodeLoop loop;
  loop.instructions = 10;
  loop.stack = 4;
  told.loops = {loop};
  EXPECT_TRUE(limits_say(told, "spills registers"));
  told.facts = Json{{"spills", 0}};
  EXPECT_FALSE(limits_say(told, "stack"));
  told.facts = Json{{"spills", 7}};
  EXPECT_TRUE(limits_say(told, "spills registers"));
}

struct Explained : ::testing::Test {
  Explained() : shelf(file) {}
  ~Explained() override {
    shelf.store.reset();
    std::filesystem::remove_all(folder);
  }
  static std::filesystem::path make_folder() {
    std::string pattern = std::filesystem::temp_directory_path() / "temper-explain-XXXXXX";
    return mkdtemp(pattern.data());
  }
  Explanation of(const database::RecordRow& row) {
    WorkbenchOptions options;
    options.database = file;
    Workbench bench(options);
    return temper::testing::must(explain(bench, row));
  }
  /// A final measurement of a trace in the run of `row`.
  database::RecordRow confirm(const database::RecordRow& row, const std::string& trace, double ns) {
    using temper::testing::must;
    database::Measurement measurement = must(shelf.store->measurement(row.id));
    measurement.id.clear();
    measurement.sequence = -1;
    measurement.purpose = database::Purpose::kConfirm;
    measurement.median_ns = ns;
    const database::RunClaim claim = must(shelf.store->claim_run(row.run, true));
    const database::Trial trial{
        {.id = {}, .workload = {}, .kind = "trace", .program = trace, .origin = "sample"},
        measurement};
    const auto recorded = must(shelf.store->record(claim, trial, {.trials = 9}));
    must(shelf.store->release_run(claim, database::RunState::kFinished, "done"));
    return must(shelf.store->record_row(recorded.measurement));
  }

  std::filesystem::path folder = make_folder();
  std::filesystem::path file = folder / "t.db";
  temper::testing::Shelf shelf;
};

TEST_F(Explained, NumbersOfASearchAreHeldAgainstEachOtherAlone) {
  const std::string tile = R"([[["SamplePerfectTile",["l1"],[2,64],["v2","v3"]]],[[0,)";
  const auto row = shelf.add(shelf.place("cellar", "LLVM 19"),
                             {.ns = 4000,
                              .earlier = {{tile + "[8,64]]]]", 3900}, {tile + "[16,32]]]]", 5000}},
                              .trace = tile + "[32,16]]]]"});
  confirm(row, tile + "[8,64]]]]", 3800);
  const Explanation best = of(confirm(row, tile + "[32,16]]]]", 3700));
  EXPECT_EQ(best.search_ns, 4000);
  EXPECT_EQ(best.rank, 2);
  EXPECT_EQ(best.candidates, 3);
  EXPECT_TRUE(best.is_best);
  EXPECT_EQ(best.best_ns, 3700);
  ASSERT_EQ(best.neighbours.size(), 2u);
  EXPECT_NEAR(best.neighbours[0].ratio, 0.975, 1e-9);
  // Of one that no search timed there is nothing to be held against others.
  const Explanation other = of(confirm(row, tile + "[64,8]]]]", 3720));
  EXPECT_EQ(other.search_ns, 0);
  EXPECT_EQ(other.rank, 0);
  EXPECT_EQ(other.candidates, 3);
  EXPECT_TRUE(other.neighbours.empty());
  EXPECT_FALSE(other.is_best);
  EXPECT_EQ(other.best, best.context.row.id);
}

TEST_F(Explained, WhatIsNoProgramOfOursSaysSoInOneSentence) {
  for (const auto& [layer, words] : {std::pair{"function", "a function of a library"},
                                     std::pair{"benchmark", "a benchmark of another program"}}) {
    const Explanation told =
        of(shelf.add(shelf.place("cellar", layer),
                     {.name = layer, .layer = layer, .program_text = R"({"sizes":[]})"}));
    EXPECT_NE(told.foreign.find(words), std::string::npos) << told.foreign;
    EXPECT_TRUE(told.unknown.empty());
    EXPECT_TRUE(told.limits().empty());
    EXPECT_EQ(told.rank, 0);
  }
}

TEST(Bounds, CountMatrixInstructionsOnlyWhereTheShapeDividesIntoThem) {
  const auto peak = [](int64_t m, int64_t n, int64_t k) {
    Task task;
    task.reduction_length = k;
    task.signature.resize(3);
    const auto argument = [&](size_t i, DataType dtype, std::vector<int64_t> shape) {
      task.signature[i].is_buffer = true;
      task.signature[i].dtype = dtype;
      task.signature[i].shape = std::move(shape);
    };
    argument(0, DataType::bfloat16(), {m, k});
    argument(1, DataType::bfloat16(), {k, n});
    argument(2, DataType::float32(), {m, n});
    task.signature[2].is_output = true;
    engine::MachineSpeed speed;
    speed.f32_flops = 100;
    speed.bf16_flops = 120;
    speed.bf16_matrix_flops = 3000;
    return machine_peak(task, speed);
  };
  EXPECT_EQ(peak(16, 64, 64), 3000);
  EXPECT_EQ(peak(15, 64, 64), 120);
  EXPECT_EQ(peak(16, 48, 64), 120);
  EXPECT_EQ(peak(16, 64, 40), 120);
}

} // namespace
} // namespace temper::tuner
