// blockize and tensorize: what they make computes the same, and what an instruction does not
// compute is refused.

#include "ir/s_tir/tensor_intrinsic.h"
#include "ir/script/parser.h"
#include "tests/s_tir/checked_schedule.h"
#include "tests/s_tir/programs.h"
#include "tests/support/tensorized_product.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace temper::s_tir {
namespace {

using namespace programs;
using ::testing::HasSubstr;

std::string refusal(const Result<void>& result) { return result ? "" : result.error().message; }
template <typename T> std::string refusal(const Result<T>& result) {
  return result ? "" : result.error().message;
}

TEST(Blockize, MakesATileABlock) {
  Checked sch(matmul(8, 16, 8));
  const auto loops = sch.loops("C");
  const auto i = sch.get(sch->split(loops[0], {4, 2}));
  const auto j = sch.get(sch->split(loops[1], {2, 8}));
  sch.done(sch->reorder({i[0], j[0], loops[2], i[1], j[1]}));
  const BlockRv made = sch.get(sch->blockize(i[1]));
  EXPECT_EQ(sch.get(sch->get_block(made))->name, "C_o");
  EXPECT_EQ(sch.loops(made).size(), 3U);
  sch.expect("blockize", 2);
}

TEST(Blockize, TakesTheInitAlong) {
  Checked sch(matmul(8, 16, 8));
  const auto loops = sch.loops("C");
  const auto k = sch.get(sch->split(loops[2], {4, 2}));
  const auto j = sch.get(sch->split(loops[1], {2, 8}));
  sch.done(sch->reorder({k[0], loops[0], j[0], j[1], k[1]}));
  const BlockRv made = sch.get(sch->blockize(j[1]));
  sch.expect("blockize_init", 2);
  // The new block is a reduction like any other.
  sch.get(sch->decompose_reduction(made, k[0]));
  sch.expect("blockize_init_decomposed", 2);
}

TEST(Blockize, ADecomposedInitKeepsAConditionOnALoopThatRunsOnce) {
  Checked sch(matmul(6, 8, 4));
  const auto loops = sch.loops("C");
  const auto i = sch.get(sch->split(loops[0], {std::nullopt, 16})); // 1 x 16, 6 of which exist
  const BlockRv made = sch.get(sch->blockize(loops[2]));
  sch.get(sch->decompose_reduction(made, i[0]));
  sch.expect_values(2); // without its condition the init writes rows that are not there
}

// A tile of a buffer whose layout is padded declares the box around what it writes: a row of 12
// floats lies in two panels of 8, of which the second one is half full.
TEST(Blockize, ATileThatEndsInPaddingIsNotCopied) {
  Schedule sch(chain(6, 12), 0);
  const auto block = [&](const char* name) { return *sch.get_sblock(name); };
  ASSERT_TRUE(
      sch.transform_layout(block("B"), 0, "write", "lambda i, j, n: (j // n, i, j % n)", {8}));
  const BlockRv tile = *sch.blockize((*sch.get_loops(block("B")))[1]);
  EXPECT_THAT(refusal(sch.cache_write(tile, 0, "global")), HasSubstr("leaves gaps"));
  ASSERT_TRUE(sch.blockize((*sch.get_loops(block("C")))[1]));
  EXPECT_THAT(refusal(sch.cache_read(block("C_o"), 0, "global")),
              HasSubstr("has not written where the copy would stand"));
}

TEST(Blockize, ATileWithinATileThatEndsInPaddingIsNotCopied) {
  Schedule sch(chain(6, 12), 0);
  const auto block = [&](const char* name) { return *sch.get_sblock(name); };
  const BlockRv tile = *sch.blockize((*sch.get_loops(block("B")))[1]);
  const BlockRv all = *sch.blockize((*sch.get_loops(tile))[0]);
  ASSERT_TRUE(sch.transform_layout(all, 0, "write", "lambda i, j, n: (j // n, i, j % n)", {8}));
  EXPECT_THAT(refusal(sch.cache_write(all, 0, "global")), HasSubstr("leaves gaps"));
}

TEST(Blockize, ATileThatFillsItsPanelsIsCopied) {
  Checked sch(chain(6, 16));
  sch.done(
      sch->transform_layout(sch.block("B"), 0, "write", "lambda i, j, n: (j // n, i, j % n)", {8}));
  const auto parts = sch.get(sch->split(sch.loops("B")[1], {std::nullopt, 4}));
  const BlockRv quarter = sch.get(sch->blockize(parts[1]));
  const BlockRv row = sch.get(sch->blockize(parts[0]));
  EXPECT_EQ(sch.get(sch->get_block(quarter))->name, "B_o");
  sch.get(sch->cache_write(row, 0, "global"));
  sch.get(sch->blockize(sch.loops("C")[1]));
  sch.get(sch->cache_read(sch.block("C_o"), 0, "global"));
  sch.expect_values(1);
}

// The tile that is all of the product reads the box around what it needs of a padded operand.
TEST(Blockize, PaddingIsNotCopiedInsideATileEither) {
  Schedule sch(matmul(4, 6, 12), 0);
  const BlockRv block = *sch.get_sblock("C");
  const BlockRv packed = *sch.cache_read(block, 0, "global");
  ASSERT_TRUE(sch.transform_layout(packed, 0, "write", "lambda i, k, n: (k // n, i, k % n)", {8}));
  ASSERT_TRUE(sch.blockize((*sch.get_loops(block))[0]));
  EXPECT_THAT(refusal(sch.cache_read(block, 1, "global")), HasSubstr("A_global is made outside"));
  EXPECT_TRUE(sch.cache_read(block, 2, "global")); // an argument has no padding
}

TEST(Blockize, BlocksOfItsInitAreAmongItsChildren) {
  Checked sch(matmul(8, 16, 8));
  const BlockRv made = sch.get(sch->blockize(sch.loops("C")[1]));
  const auto children = sch.get(sch->get_child_blocks(made));
  ASSERT_EQ(children.size(), 2U);
  EXPECT_EQ(sch.get(sch->get_block(children[0]))->name, "C");
  EXPECT_EQ(sch.get(sch->get_block(children[1]))->name, "C_init");
}

TEST(Blockize, RefusesWhatIsNotATile) {
  Schedule sch(matmul(8, 16, 8), 0);
  const BlockRv block = *sch.get_sblock("C");
  const auto loops = *sch.get_loops(block);
  {
    Schedule copy = sch;
    const auto fused = *copy.fuse({loops[0], loops[1]});
    const auto parts = *copy.split(fused, {std::nullopt, 32});
    ASSERT_TRUE(copy.reorder({parts[0], loops[2], parts[1]}));
    EXPECT_THAT(refusal(copy.blockize(parts[1])), HasSubstr("takes loop"));
  }
  {
    Schedule copy = sch;
    const auto parts = *copy.split(loops[1], {std::nullopt, 3});
    ASSERT_TRUE(copy.reorder({loops[0], parts[0], loops[2], parts[1]}));
    EXPECT_THAT(refusal(copy.blockize(parts[1])), HasSubstr("a predicate"));
  }
  {
    Schedule copy = sch;
    const auto parts = *copy.split(loops[1], {4, 4});
    ASSERT_TRUE(copy.reorder({loops[0], parts[1], loops[2], parts[0]}));
    EXPECT_THAT(refusal(copy.blockize(parts[0])), HasSubstr("goes in steps of 4"));
  }
  {
    Schedule copy = sch;
    ASSERT_TRUE(copy.parallel(loops[1]));
    EXPECT_THAT(refusal(copy.blockize(loops[1])), HasSubstr("runs on threads"));
  }
}

TEST(Blockize, DoesNotTakeAlongALoopThatRepeatsAReduction) {
  const auto module = script::parse_module(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((4, 8), "float32"), S: T.Buffer((4,), "float32")):
    for i, again, k in T.grid(4, 3, 8):
        with T.sblock("S"):
            vi, vk = T.axis.remap("SR", [i, k])
            with T.init():
                S[vi] = T.float32(0)
            S[vi] = S[vi] + A[vi, vk]
)");
  ASSERT_TRUE(module) << module.error().to_string();
  Checked sch(*module);
  const auto loops = sch.loops("S");
  EXPECT_THAT(refusal(sch->blockize(loops[0])), HasSubstr("loop again repeats the reduction"));
  EXPECT_THAT(refusal(sch->blockize(loops[1])), HasSubstr("must start anew"));
  sch.get(sch->blockize(loops[2])); // with all of a reduction inside it does
  sch.expect_values(1);
}

struct Kind {
  const char* name;
  const char* a;
  const char* b;
  const char* c;
  int64_t group;
  const char* dot;
  const char* interleave;
};

class Tensorize : public ::testing::TestWithParam<Kind> {};

TEST_P(Tensorize, OfATiledProductComputesTheSame) {
  const Kind& kind = GetParam();
  Checked sch(typed_product(4, 64, 16, kind.a, kind.b, kind.c));
  const TiledProduct tiled = tiled_product(sch.schedule(), kind.group);
  sch.done(sch->tensorize(tiled.tile, kind.dot));
  sch.done(sch->tensorize(tiled.panel, kind.interleave));
  sch.expect(std::string("tensorize_") + kind.name, 2);

  Schedule replayed(typed_product(4, 64, 16, kind.a, kind.b, kind.c));
  const auto done = replayed.apply(sch->trace());
  ASSERT_TRUE(done) << done.error().to_string();
  EXPECT_TRUE(structural_equal(sch->module(), replayed.module()));
  EXPECT_THAT(sch->trace().to_python(), HasSubstr(fmt::format("tensor_intrin=\"{}\"", kind.dot)));
}

INSTANTIATE_TEST_SUITE_P(
    Types, Tensorize,
    ::testing::Values(Kind{"bf16", "bfloat16", "bfloat16", "float32", 2, "dot_16x2_bf16_avx512bf16",
                           "interleave_2x16_bfloat16"},
                      Kind{"u8s8", "uint8", "int8", "int32", 4, "dot_16x4_u8s8_avx512vnni",
                           "interleave_4x16_int8"},
                      Kind{"s8u8", "int8", "uint8", "int32", 4, "dot_16x4_s8u8_avx512vnni",
                           "interleave_4x16_uint8"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(OffsetOperand, MakesBytesWithSignBytesWithout) {
  Checked sch(typed_product(4, 64, 16, "int8", "int8", "int32"));
  const auto made = sch.get(sch->offset_operand(sch.block("C"), 0, 128, "uint8"));
  ASSERT_EQ(made.size(), 3U);
  sch.expect("offset_operand", 2);
  const TiledProduct tiled = tiled_product(sch.schedule(), 4);
  sch.done(sch->tensorize(tiled.tile, "dot_16x4_u8s8_avx512vnni"));
  sch.expect("offset_operand_tensorized", 2);
}

TEST(OffsetOperand, OfTheSecondFactorToo) {
  Checked sch(typed_product(4, 8, 16, "int8", "int8", "int32"));
  sch.get(sch->offset_operand(sch.block("C"), 1, 128, "uint8"));
  sch.expect("offset_operand_second", 2);
}

TEST(OffsetOperand, RefusesWhatWouldNotBeTheSame) {
  {
    Schedule sch(typed_product(4, 8, 16, "int8", "int8", "int32"), 0);
    const BlockRv block = *sch.get_sblock("C");
    EXPECT_THAT(refusal(sch.offset_operand(block, 0, 129, "uint8")),
                HasSubstr("does not fit uint8"));
    EXPECT_THAT(refusal(sch.offset_operand(block, 7, 128, "uint8")),
                HasSubstr("none with index 7"));
    EXPECT_THAT(refusal(sch.offset_operand(block, 0, 128, "float32")),
                HasSubstr("no type of integers"));
    ASSERT_TRUE(sch.decompose_reduction(block, (*sch.get_loops(block))[2]));
    EXPECT_THAT(refusal(sch.offset_operand(block, 0, 128, "uint8")), HasSubstr("reduction block"));
  }
  Schedule floats(typed_product(4, 8, 16, "bfloat16", "bfloat16", "float32"), 0);
  EXPECT_THAT(refusal(floats.offset_operand(*floats.get_sblock("C"), 0, 1, "int16")),
              HasSubstr("only sums of integers"));
}

TEST(TensorizeRefuses, AnIntrinsicThatIsNotThere) {
  Schedule sch(matmul(8, 16, 8), 0);
  const auto loops = *sch.get_loops(*sch.get_sblock("C"));
  EXPECT_THAT(refusal(sch.tensorize(loops[0], "dot_16x4_u8s8_avx512vni")),
              HasSubstr("did you mean 'dot_16x4_u8s8_avx512vnni'?"));
}

TEST(TensorizeRefuses, WhatTheIntrinsicDoesNotCompute) {
  const char* dot = "dot_16x4_u8s8_avx512vnni";
  {
    Checked sch(typed_product(4, 64, 16, "int8", "int8", "int32"));
    EXPECT_THAT(refusal(sch->tensorize(tiled_product(sch.schedule(), 4).tile, dot)),
                HasSubstr("A is int8, not uint8"));
  }
  {
    Checked sch(typed_product(4, 64, 16, "uint8", "int8", "int32"));
    EXPECT_THAT(refusal(sch->tensorize(tiled_product(sch.schedule(), 2).tile, dot)),
                HasSubstr("extents (16, 2), not (16, 4)"));
  }
  {
    // Not packed: the groups of B do not lie together.
    Checked sch(typed_product(4, 64, 16, "uint8", "int8", "int32"));
    const BlockRv block = sch.block("C");
    const auto loops = sch.loops(block);
    const auto j = sch.get(sch->split(loops[1], {std::nullopt, 16}));
    const auto k = sch.get(sch->split(loops[2], {std::nullopt, 4}));
    sch.done(sch->reorder({loops[0], j[0], k[0], j[1], k[1]}));
    {
      Schedule copy = sch.schedule();
      EXPECT_THAT(refusal(copy.tensorize(j[1], dot)), HasSubstr("does not go as that of B"));
    }
    Schedule copy = sch.schedule();
    const BlockRv made = *copy.blockize(k[1]);
    EXPECT_THAT(refusal(copy.tensorize(made, dot)), HasSubstr("extents (4), not (16, 4)"));
  }
}

// Lowering ended the process: the instruction has no place for the start.
TEST(TensorizeRefuses, WhatStartsItsSumsToo) {
  Schedule sch(*script::parse_module(R"py(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((8, 64), "bfloat16"), B: T.Buffer((32, 64), "bfloat16"), C: T.Buffer((8, 32), "float32")):
    for i, j, k, g in T.grid(8, 32, 32, 2):
        with T.sblock("C"):
            vi, vj, vk, vg = T.axis.remap("SSRR", [i, j, k, g])
            with T.init():
                C[vi, vj] = T.float32(0)
            C[vi, vj] = C[vi, vj] + T.float32(A[vi, vk * 2 + vg]) * T.float32(B[vk, vj * 2 + vg])
)py",
                                     "product.py"),
               0);
  const BlockRv block = *sch.get_sblock("C");
  const LoopRv outer = (*sch.get_loops(block))[0];
  {
    Schedule copy = sch;
    EXPECT_THAT(refusal(copy.tensorize(outer, "amx_8x32x64_bf16")),
                HasSubstr("decompose_reduction makes a block of that"));
  }
  ASSERT_TRUE(sch.decompose_reduction(block, outer));
  EXPECT_TRUE(sch.tensorize(*sch.blockize(outer), "amx_8x32x64_bf16"));
}

TEST(TensorIntrinsics, HaveDescriptionsAndImplementationsThatAgree) {
  // Both as they stand, on the same values: what is written about an instruction is what it does.
  for (const TensorIntrinsic* entry : all_tensor_intrinsics()) {
    // Sums of float16 are exact while they are small.
    const bool narrow = entry->description->params.back().buffer->dtype == DataType::floating(16);
    const int64_t most = narrow ? 8 : 128;
    const auto run = [&](PrimFunc function) {
      function = copy_node(*function, [](PrimFuncNode& node) { node.name = "main"; });
      register_layer();
      Random random(3);
      std::vector<TypedArray> arrays;
      for (const Param& param : function->params)
        arrays.emplace_back(param.buffer->dtype, *param.buffer->element_count());
      std::vector<InterpretArgument> arguments;
      for (size_t i = 0; i < arrays.size(); ++i) {
        for (int64_t j = 0; j < *function->params[i].buffer->element_count(); ++j)
          arrays[i].set(j, static_cast<float>(random.between(-most, most - 1)));
        arguments.emplace_back(arrays[i].view(true));
      }
      const auto done = interpret(function, arguments, {});
      EXPECT_TRUE(done) << entry->name << ": " << (done ? "" : done.error().to_string());
      std::vector<std::vector<float>> values;
      for (const TypedArray& array : arrays)
        values.push_back(array.values());
      return values;
    };
    EXPECT_EQ(run(entry->description), run(entry->implementation)) << entry->name;
  }
}

TEST(TensorIntrinsics, OfUsersAreTakenOnceAndChecked) {
  const auto read = [](const char* text) { return *script::parse_module(text, "entry"); };
  const IRModule functions = read(R"(
@T.prim_func(s_tir=True)
def description(X: T.Buffer((4,), "float32"), Y: T.Buffer((4,), "float32")):
    for i in range(4):
        with T.sblock("Y"):
            vi = T.axis.spatial(4, i)
            Y[vi] = X[vi] * T.float32(2)

@T.prim_func
def implementation(X: T.Buffer((4,), "float32"), Y: T.Buffer((4,), "float32")):
    Y[T.Ramp(0, 1, 4)] = X[T.Ramp(0, 1, 4)] + X[T.Ramp(0, 1, 4)]
)");
  const TensorIntrinsic twice{"twice_x4",
                              functions->find_prim_func("description"),
                              functions->find_prim_func("implementation"),
                              {}};
  const auto added = register_tensor_intrinsic(twice);
  ASSERT_TRUE(added) << added.error().to_string();
  EXPECT_TRUE(register_tensor_intrinsic(twice)); // the same again
  TensorIntrinsic other = twice;
  other.features = {"avx2"};
  EXPECT_THAT(refusal(register_tensor_intrinsic(other)), HasSubstr("another tensor intrinsic"));
  TensorIntrinsic turned = twice;
  turned.name = "turned";
  turned.description = twice.implementation;
  EXPECT_THAT(refusal(register_tensor_intrinsic(turned)), HasSubstr("is an s-tir function"));

  Checked sch(read(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((3, 8), "float32"), B: T.Buffer((3, 8), "float32")):
    for i, j in T.grid(3, 8):
        with T.sblock("B"):
            vi, vj = T.axis.remap("SS", [i, j])
            B[vi, vj] = A[vi, vj] * T.float32(2)
)"));
  const auto parts = sch.get(sch->split(sch.loops("B")[1], {std::nullopt, 4}));
  sch.done(sch->tensorize(parts[1], "twice_x4"));
  sch.expect("tensorize_user", 1);
}

} // namespace
} // namespace temper::s_tir
