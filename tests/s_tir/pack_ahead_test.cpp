// pack_ahead and split_packs: the kernel on operands that the pack function made computes what the
// program computed, and what could not be made ahead is refused.

#include "ir/s_tir/packs.h"
#include "ir/verify.h"
#include "tests/s_tir/checked_schedule.h"
#include "tests/s_tir/programs.h"

#include <gmock/gmock.h>

namespace temper::s_tir {
namespace {

using namespace programs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kPanels = "lambda k, j, n: (j // n, k, j % n)";

IRModule with_constants(const IRModule& module, const std::vector<std::string>& names) {
  const auto function = with_constant_operands(module->find_prim_func("main"), names);
  EXPECT_TRUE(function) << function.error().to_string();
  return with_function(module, "main", *function);
}

std::string message(const Result<PrimFunc>& result) { return result ? "" : result.error().message; }
std::string refusal(const Result<void>& result) {
  return result ? "" : Result<void>(result).error().message;
}

struct PackAhead : ::testing::Test {
  PackAhead() { register_layer(); }
};

/// Packs operand `index` of C into panels of `width`, ahead.
BlockRv pack(Checked& sch, int64_t index, int64_t width, const char* map = kPanels) {
  const BlockRv packed = sch.get(sch->cache_read(sch.block("C"), index, "global"));
  sch.done(sch->transform_layout(packed, 0, "write", map, {width}));
  sch.done(sch->pack_ahead(packed));
  return packed;
}

/// What the split functions compute, pack functions first, on the inputs of run_on_integers.
RunResult run_split(const IRModule& split, const IRModule& original, uint64_t seed) {
  const PrimFunc before = original->find_prim_func("main");
  const size_t outputs = first_output(original);
  Random random(seed);
  std::vector<std::vector<float>> arrays;
  for (const Param& param : before->params)
    arrays.emplace_back(static_cast<size_t>(*param.buffer->element_count()));
  for (size_t i = 0; i < arrays.size(); ++i)
    for (float& value : arrays[i])
      value = i < outputs ? static_cast<float>(random.between(-4, 4)) : 77.0F;
  RunResult result;
  for (const ModuleEntry& entry : split->functions) {
    const auto function = entry.function.as_ref<PrimFuncNode>();
    const auto parameter = packed_parameter(function);
    if (!parameter)
      continue;
    std::vector<float> packed(static_cast<size_t>(*function->params[1].buffer->element_count()),
                              -99.0F);
    std::vector<InterpretArgument> arguments{input(arrays[*parameter]), output(packed)};
    if (const auto done = interpret(function, arguments); !done)
      return {done.error().to_string(), {}};
    EXPECT_EQ(std::count(packed.begin(), packed.end(), -99.0F), 0) << "an element is not written";
    arrays[*parameter] = std::move(packed);
  }
  std::vector<InterpretArgument> arguments;
  for (size_t i = 0; i < arrays.size(); ++i)
    arguments.emplace_back(i < outputs ? input(arrays[i]) : output(arrays[i]));
  if (const auto done = interpret(split->find_prim_func("main"), arguments); !done)
    result.error = done.error().to_string();
  else
    result.outputs.assign(arrays.begin() + static_cast<ptrdiff_t>(outputs), arrays.end());
  return result;
}

void expect_same_values(const IRModule& before, const IRModule& scheduled) {
  const auto split = split_packs(scheduled);
  ASSERT_TRUE(split) << split.error().to_string();
  const auto verified = verify(*split);
  ASSERT_TRUE(verified) << verified.error().to_string();
  const RunResult expected = run_on_integers(before, first_output(before), 5);
  ASSERT_EQ(expected.error, "");
  EXPECT_EQ(difference(expected, run_split(*split, before, 5), 0), "");
  const std::string text = script::to_text(*split);
  const auto parsed = script::parse_module(text, "split");
  ASSERT_TRUE(parsed) << parsed.error().to_string() << text;
  std::string where;
  EXPECT_TRUE(structural_equal(*split, *parsed, &where)) << where << text;
}

TEST_F(PackAhead, TakesTheCopyOutOfTheKernel) {
  const IRModule before = with_constants(matmul(8, 16, 8), {"B"});
  Checked sch(before);
  pack(sch, 1, 4);
  sch.expect("pack_ahead", 2);
  const auto split = split_packs(sch->module());
  ASSERT_TRUE(split) << split.error().to_string();
  temper::testing::expect_golden("tests/s_tir/golden/pack_ahead_split.py", script::to_text(*split));
  EXPECT_EQ(*split_packs(*split), *split) << "there is nothing left to take out";
  expect_same_values(before, sch->module());
}

TEST_F(PackAhead, FillsTheRestOfTheLastPanelWithZeros) {
  const IRModule before = with_constants(matmul(5, 11, 7), {"B"});
  Checked sch(before);
  pack(sch, 1, 4);
  const auto split = split_packs(sch->module());
  ASSERT_TRUE(split) << split.error().to_string();
  const PrimFunc packing = (*split)->find_prim_func("main_pack_B");
  ASSERT_TRUE(packing);
  std::vector<float> plain(7 * 11, 1.0F);
  std::vector<float> packed(3 * 7 * 4, -99.0F);
  std::vector<InterpretArgument> arguments{input(plain), output(packed)};
  const auto done = interpret(packing, arguments);
  ASSERT_TRUE(done) << done.error().to_string();
  EXPECT_EQ(std::count(packed.begin(), packed.end(), 1.0F), 7 * 11);
  EXPECT_EQ(std::count(packed.begin(), packed.end(), 0.0F), 7);
  expect_same_values(before, sch->module());
}

TEST_F(PackAhead, PacksBothOperands) {
  const IRModule before = with_constants(matmul(8, 16, 8), {"A", "B"});
  Checked sch(before);
  pack(sch, 1, 4);
  pack(sch, 0, 2, "lambda i, k, m: (i // m, k, i % m)");
  const auto split = split_packs(sch->module());
  ASSERT_TRUE(split) << split.error().to_string();
  EXPECT_TRUE((*split)->find_prim_func("main_pack_A"));
  EXPECT_TRUE((*split)->find_prim_func("main_pack_B"));
  expect_same_values(before, sch->module());
}

TEST_F(PackAhead, LoopsOfTheCopyMayBeScheduledAfterwards) {
  const IRModule before = with_constants(matmul(8, 16, 8), {"B"});
  Checked sch(before);
  const BlockRv packed = pack(sch, 1, 4);
  const auto loops = sch.loops(packed);
  const auto parts = sch.get(sch->split(loops[1], {std::nullopt, 4}));
  sch.done(sch->reorder({parts[0], loops[0], parts[1]}));
  sch.done(sch->vectorize(parts[1]));
  sch.done(sch->parallel(parts[0]));
  expect_same_values(before, sch->module());
}

TEST_F(PackAhead, ReplaysFromBothFormsOfItsTrace) {
  const IRModule before = with_constants(matmul(8, 16, 8), {"B"});
  Checked sch(before);
  pack(sch, 1, 4);
  EXPECT_THAT(sch->trace().to_python(), HasSubstr("sch.pack_ahead(block="));
  const auto from_python = Trace::from_python(sch->trace().to_python());
  ASSERT_TRUE(from_python) << from_python.error().to_string();
  const auto again = replay(*from_python, before);
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_TRUE(structural_equal(again->module(), sch->module()));
}

TEST_F(PackAhead, AsksForAConstantOperand) {
  Schedule sch(matmul(8, 16, 8), 0);
  const BlockRv packed = *sch.cache_read(*sch.get_sblock("C"), 1, "global");
  EXPECT_THAT(refusal(sch.pack_ahead(packed)),
              HasSubstr("that needs one constant operand, and the function names none"));
  Schedule other(with_constants(matmul(8, 16, 8), {"A"}), 0);
  const BlockRv of_b = *other.cache_read(*other.get_sblock("C"), 1, "global");
  EXPECT_THAT(refusal(other.pack_ahead(of_b)), HasSubstr("uses B, so it cannot be made ahead"));
}

TEST_F(PackAhead, RefusesWhatIsNoCopyByItself) {
  const IRModule before = with_constants(matmul(8, 16, 8), {"B"});
  Schedule sch(before, 0);
  const BlockRv product = *sch.get_sblock("C");
  EXPECT_THAT(refusal(sch.pack_ahead(product)),
              HasSubstr("writes C, which is no buffer of scope \"global\""));
  const BlockRv packed = *sch.cache_read(product, 1, "global");
  ASSERT_TRUE(sch.compute_at(packed, (*sch.get_loops(product))[0]));
  EXPECT_THAT(refusal(sch.pack_ahead(packed)), HasSubstr("shares loops with block \"C\""));
}

TEST_F(PackAhead, RefusesAnOperandThatIsAlsoReadAsItIs) {
  const IRModule before = with_constants(matmul_bias_relu(4, 6, 8), {"B"});
  Schedule sch(before, 0);
  const BlockRv product = *sch.get_sblock("C");
  const BlockRv first = *sch.cache_read(product, 1, "global");
  ASSERT_EQ(refusal(sch.pack_ahead(first)), "");
  // A second cache of B itself, made before the first one's copy.
  const BlockRv second = *sch.cache_read(first, 0, "global");
  EXPECT_THAT(refusal(sch.pack_ahead(second)), HasSubstr("so it cannot be made ahead"));
}

TEST_F(PackAhead, AModuleWithoutMarksComesBackAsItIs) {
  const IRModule module = with_constants(matmul(8, 16, 8), {"B"});
  EXPECT_EQ(*split_packs(module), module);
}

TEST(ConstantOperands, AreNamedByTheFunctionAndArePartOfItsIdentity) {
  const IRModule plain = matmul(8, 16, 8);
  const IRModule constant = with_constants(plain, {"B", "A", "B"});
  EXPECT_THAT(constant_operands(constant->find_prim_func("main")), ElementsAre(0, 1));
  EXPECT_NE(structural_hash(plain), structural_hash(constant));
  EXPECT_NE(structural_hash(with_constants(plain, {"A"})),
            structural_hash(with_constants(plain, {"B"})));
  EXPECT_EQ(structural_hash(with_constants(constant, {})), structural_hash(plain));
  EXPECT_THAT(script::to_text(constant), HasSubstr("\"layout_free_buffers\": [0, 1]"));
}

TEST(ConstantOperands, AreInputs) {
  const PrimFunc function = matmul(8, 16, 8)->find_prim_func("main");
  EXPECT_THAT(message(with_constant_operands(function, {"W"})),
              HasSubstr("'W' cannot be constant: there is no such operand; they are A, B, C"));
  EXPECT_THAT(message(with_constant_operands(function, {"C"})),
              HasSubstr("'C' cannot be constant: it is written"));
}

} // namespace
} // namespace temper::s_tir
