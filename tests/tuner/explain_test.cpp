// What is read off machine code. Whole explanations: tests/cli.
#include "tuner/explain.h"

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
  told.bound_ns = told.compute_ns = 950;
  told.estimate = KernelEstimate{.port_ns = 400, .traffic_ns = {100, 500}, .total_ns = 600};
  const std::vector<std::string> limits = told.limits();
  const auto says = [&](const char* words) {
    return std::any_of(limits.begin(), limits.end(), [&](const std::string& sentence) {
      return sentence.find(words) != std::string::npos;
    });
  };
  EXPECT_TRUE(says("95 % of what this machine allows"));
  EXPECT_TRUE(says("little to gain"));
  EXPECT_TRUE(says("chain of sums"));
  EXPECT_TRUE(says("stack 3 times"));
  EXPECT_TRUE(says("vectors of 256 bits; the target has 512"));
  EXPECT_TRUE(says("adds to 2 registers; 8 are needed"));
  EXPECT_TRUE(says("what L2 does not hold"));
  EXPECT_TRUE(says("1.67 times that, so something costs that it does not see"));
}

} // namespace
} // namespace temper::tuner
