// convert_operand: what a block converts wherever it reads it is converted once, ahead.

#include "tests/s_tir/checked_schedule.h"
#include "tests/support/tensorized_product.h"

#include <gmock/gmock.h>

namespace temper::s_tir {
namespace {

using ::testing::HasSubstr;

std::string refusal(const Schedule& schedule, const char* block, int64_t index, const char* dtype) {
  Schedule copy = schedule;
  const auto made = copy.convert_operand(*copy.get_sblock(block), index, dtype);
  return made ? "" : made.error().message;
}

TEST(ConvertOperand, MakesACopyInTheOtherType) {
  Checked sch(typed_product(4, 8, 16, "bfloat16", "bfloat16", "float32"));
  const BlockRv made = sch.get(sch->convert_operand(sch.block("C"), 0, "float32"));
  EXPECT_EQ(sch.get(sch->get_block(made))->name, "A_float32");
  sch.expect("convert_operand", 2);
  EXPECT_THAT(refusal(sch.schedule(), "C", 0, "float32"), HasSubstr("is float32 already"));
}

TEST(ConvertOperand, IsAPartOfThePackingCopyOnceItIsInlined) {
  Checked sch(typed_product(4, 64, 16, "bfloat16", "bfloat16", "float32"));
  const BlockRv block = sch.block("C");
  const BlockRv made = sch.get(sch->convert_operand(block, 1, "float32"));
  const BlockRv packed = sch.get(sch->cache_read(block, 1, "global"));
  sch.done(sch->transform_layout(packed, 0, "write", "lambda k, n, w: (n // w, k, n % w)", {16}));
  sch.done(sch->compute_inline(made));
  sch.expect("convert_operand_packed", 2);
}

TEST(ConvertOperand, OfIntegersToo) {
  Checked sch(typed_product(4, 8, 16, "int8", "uint8", "int32"));
  const BlockRv block = sch.block("C");
  sch.get(sch->convert_operand(block, 0, "int32"));
  sch.get(sch->convert_operand(block, 1, "int32"));
  sch.expect("convert_operand_both", 2);
}

TEST(ConvertOperand, RefusesWhatIsNotAnInputThatIsConverted) {
  const Schedule sch(typed_product(4, 8, 16, "bfloat16", "bfloat16", "float32"), 0);
  EXPECT_THAT(refusal(sch, "C", 0, "float12"), HasSubstr("'float12' is no type of numbers"));
  EXPECT_THAT(refusal(sch, "C", 7, "float32"), HasSubstr("there is none with index 7"));
  EXPECT_THAT(refusal(sch, "C", 0, "bfloat16"), HasSubstr("A is bfloat16 already"));
  EXPECT_THAT(refusal(sch, "C", 0, "float64"), HasSubstr("does not convert A to float64"));

  const IRModule two = *script::parse_module(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((8,), "float16"), B: T.Buffer((8,), "float32")):
    H = T.sblock_alloc_buffer((8,), "float16")
    for i in range(8):
        with T.sblock("H"):
            vi = T.axis.spatial(8, i)
            H[vi] = A[vi] + A[vi]
    for i in range(8):
        with T.sblock("B"):
            vi = T.axis.spatial(8, i)
            B[vi] = T.float32(H[vi]) * T.float32(H[vi])
    )",
                                             "two");
  EXPECT_THAT(refusal(Schedule(two, 0), "B", 0, "float32"),
              HasSubstr("H is written by block \"H\": only inputs"));
}

TEST(ConvertOperand, IsOfferedWhereItIsLegal) {
  Schedule sch(typed_product(4, 8, 16, "bfloat16", "bfloat16", "float32"), 0);
  const Primitive* primitive = find_primitive("ConvertOperand");
  ASSERT_NE(primitive, nullptr);
  const auto block = sch.get_sblock("C");
  const auto id = (*sch.get_block(*block))->id;
  const auto uses = primitive->enumerate({sch.module(), nullptr, false}, BlockHandle{id});
  ASSERT_EQ(uses.size(), 2U); // both operands, to float32
  for (const Arguments& use : uses)
    EXPECT_EQ(*use.attrs[1].as_string(), "float32");
}

} // namespace
} // namespace temper::s_tir
