// Blocks tensorized by the entries for warps: what mma.sync computes is what the program computes,
// each has a form in CUDA C++ that compiles, and what cannot be held by a warp is refused.
#include "codegen/cuda/nvrtc.h"
#include "codegen/cuda/prelude.h"
#include "codegen/cuda/print.h"
#include "ir/interpret.h"
#include "ir/narrow.h"
#include "ir/s_tir/detail/builtin_intrinsics.h"
#include "ir/s_tir/layer.h"
#include "ir/s_tir/schedule.h"
#include "ir/s_tir/tensor_intrinsic.h"
#include "ir/tir/emulator/emulate.h"
#include "ir/tir/matrix_text.h"
#include "ir/walk.h"
#include "tests/support/bound_programs.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace temper::codegen {
namespace {

using ir::Call;
using ir::IRModule;
using ir::StringImm;
using s_tir::BlockRv;
using s_tir::ExprRv;
using s_tir::LoopRv;
using s_tir::Schedule;
using temper::testing::expect_bound_meaning;
using temper::testing::function_of;
using ::testing::HasSubstr;
using ::testing::Not;

template <typename T> T must(Result<T> result) {
  EXPECT_TRUE(result.has_value()) << result.error().to_string();
  return result ? std::move(result).value() : T();
}
void done(const Result<void>& result) {
  EXPECT_TRUE(result.has_value()) << result.error().to_string();
}

/// One family of entries: their names, and the tiles that they take.
struct Family {
  std::string what;
  std::string in;
  std::string out;
  int64_t m, n, k;                       ///< of a product
  std::array<int64_t, 2> load_a, load_b; ///< rows and columns at once
  std::string scopes;                    ///< "wmma.matrix_a" or the shape of "m16n8k8.matrixA"
  std::string a, b, sync, fill, store;   ///< names
  bool turned = false;                   ///< B is [n, k]
  std::string extra = {};                ///< what its text has; empty: nothing in particular
  /// Maps to TVM's layout by lanes, of A, B and C; null: rows and columns.
  std::array<const char*, 3> lanes = {};
};

/// shared_16x16_to_ldmatrix_32x8_layout, and the two of 8 bits.
constexpr const char* kLanes16 = "lambda i, j: (i // 16, j // 16, i % 8 * 4 + j % 8 // 2, j % 16 "
                                 "// 8 * 4 + i % 16 // 8 * 2 + j % 2)";
constexpr const char* kLanes16x32 = "lambda i, j: (i // 16, j // 32, i % 8 * 4 + j % 16 // 4, j % "
                                    "32 // 16 * 8 + i % 16 // 8 * 4 + j % 4)";
constexpr const char* kLanes32x16 = "lambda i, j: (i // 32, j // 16, i % 16 // 4 + j % 8 * 4, j % "
                                    "16 // 8 * 8 + i % 32 // 16 * 4 + i % 4)";

const std::vector<Family>& families() {
  static const std::vector<Family> all = {
      {"wmma_f16",
       "float16",
       "float32",
       16,
       16,
       16,
       {16, 16},
       {16, 16},
       "wmma",
       "wmma_load_16x16x16_f16_a_shared",
       "wmma_load_16x16x16_f16_b_shared",
       "wmma_sync_16x16x16_f16f16f32",
       "wmma_fill_16x16x16_f32",
       "wmma_store_16x16x16_f32_global",
       false,
       "T.ptx_ldmatrix("},
      {"wmma_f16_trans",
       "float16",
       "float32",
       16,
       16,
       16,
       {16, 16},
       {16, 16},
       "wmma",
       "wmma_load_16x16x16_f16_a_shared",
       "wmma_load_16x16x16_f16_b_trans_shared",
       "wmma_sync_16x16x16_f16f16f32_trans",
       "wmma_fill_16x16x16_f32",
       "wmma_store_16x16x16_f32_global",
       true,
       "T.ptx_ldmatrix("},
      {"wmma_f16_sums",
       "float16",
       "float16",
       16,
       16,
       16,
       {16, 16},
       {16, 16},
       "wmma",
       "wmma_load_16x16x16_f16_a_shared",
       "wmma_load_16x16x16_f16_b_shared",
       "wmma_sync_16x16x16_f16f16f16",
       "wmma_fill_16x16x16_f16",
       "wmma_store_16x16x16_f16_global"},
      {"wmma_bf16",
       "bfloat16",
       "float32",
       16,
       16,
       16,
       {16, 16},
       {16, 16},
       "wmma",
       "wmma_load_16x16x16_bf16_a_shared",
       "wmma_load_16x16x16_bf16_b_shared",
       "wmma_sync_16x16x16_bf16bf16f32",
       "wmma_fill_16x16x16_f32",
       "wmma_store_16x16x16_f32_global"},
      {"wmma_s8",
       "int8",
       "int32",
       16,
       16,
       16,
       {16, 16},
       {16, 16},
       "wmma",
       "wmma_load_16x16x16_s8_a_shared",
       "wmma_load_16x16x16_s8_b_shared",
       "wmma_sync_16x16x16_s8s8s32",
       "wmma_fill_16x16x16_s32",
       "wmma_store_16x16x16_s32_global",
       false,
       "m16n8k16.i8"},
      {"mma_m16n8k8",
       "float16",
       "float32",
       16,
       8,
       8,
       {32, 8},
       {8, 32},
       "m16n8k8",
       "mma_load_m16n8k8_f16_A_shared_dyn",
       "mma_load_m16n8k8_f16_B_shared_dyn",
       "mma_sync_m16n8k8_f16f16f32",
       "mma_init_m16n8k8_f32",
       "mma_store_m16n8k8_f32_global"},
      {"mma_m16n8k8_sums",
       "float16",
       "float16",
       16,
       8,
       8,
       {32, 8},
       {8, 32},
       "m16n8k8",
       "mma_load_m16n8k8_f16_A_shared",
       "mma_load_m16n8k8_f16_B_shared",
       "mma_sync_m16n8k8_f16f16f16",
       "mma_init_m16n8k8_f16",
       "mma_store_m16n8k8_f16_global"},
      {"mma_tf32",
       "float32",
       "float32",
       16,
       8,
       8,
       {16, 8},
       {8, 8},
       "m16n8k8",
       "mma_load_m16n8k8_tf32_A_shared",
       "mma_load_m16n8k8_tf32_B_shared",
       "mma_sync_m16n8k8_tf32tf32f32",
       "mma_init_m16n8k8_tf32_f32",
       "mma_store_m16n8k8_tf32_f32_global",
       false,
       "m16n8k8.tf32"},
      {"mma_m16n8k16",
       "float16",
       "float32",
       16,
       8,
       16,
       {16, 16},
       {16, 8},
       "m16n8k16",
       "mma_load_m16n8k16_f16_A_shared",
       "mma_load_m16n8k16_f16_B_shared",
       "mma_sync_m16n8k16_f16f16f32",
       "mma_init_m16n8k16_f32",
       "mma_store_m16n8k16_f32_global"},
      {"mma_m16n8k16_sums",
       "float16",
       "float16",
       16,
       8,
       16,
       {16, 16},
       {16, 8},
       "m16n8k16",
       "mma_load_m16n8k16_f16_A_shared",
       "mma_load_m16n8k16_f16_B_shared",
       "mma_sync_m16n8k16_f16f16f16",
       "mma_init_m16n8k16_f16",
       "mma_store_m16n8k16_f16_global"},
      {"mma_m16n8k16_trans",
       "bfloat16",
       "float32",
       16,
       8,
       16,
       {16, 16},
       {8, 16},
       "m16n8k16",
       "mma_load_m16n8k16_bf16_A_shared",
       "mma_load_m16n8k16_bf16_B_trans_shared",
       "mma_sync_m16n8k16_bf16bf16f32_trans_b",
       "mma_init_m16n8k16_f32",
       "mma_store_m16n8k16_f32_global",
       true,
       "T.ptx_ldmatrix("},
      {"mma_m16n8k32",
       "int8",
       "int32",
       16,
       8,
       32,
       {16, 32},
       {32, 8},
       "m16n8k32",
       "mma_load_m16n8k32_s8_A_shared",
       "mma_load_m16n8k32_s8_B_shared",
       "mma_sync_m16n8k32_s8s8s32",
       "mma_init_m16n8k32_s32",
       "mma_store_m16n8k32_s32_global",
       false,
       "m16n8k32.i8"},
      {"lanes_f16",
       "float16",
       "float32",
       16,
       16,
       16,
       {16, 16},
       {16, 16},
       "warp",
       "mma_ldmatrix_f16_a",
       "mma_ldmatrix_f16_b",
       "mma_f16f16f32",
       "mma_fill_16x16_f32",
       "mma_store_16x16_f32_global_",
       false,
       "T.ptx_ldmatrix(",
       {kLanes16, kLanes16, kLanes16}},
      {"lanes_f16_trans",
       "float16",
       "float16",
       16,
       16,
       16,
       {16, 16},
       {16, 16},
       "warp",
       "mma_ldmatrix_f16_a",
       "mma_ldmatrix_f16_b_trans",
       "mma_f16f16f16_trans_b",
       "mma_fill_16x16_f16",
       "mma_store_16x16_f16_global_",
       true,
       "T.ptx_ldmatrix(",
       {kLanes16, kLanes16, kLanes16}},
      {"lanes_i8",
       "int8",
       "int32",
       16,
       16,
       32,
       {16, 32},
       {32, 16},
       "warp",
       "mma_ldmatrix_i8_a",
       "mma_ldmatrix_i8_b",
       "mma_i8i8i32",
       "mma_fill_16x16_i32",
       "mma_store_16x16_i32_global_",
       false,
       "m16n8k32.i8",
       {kLanes16x32, kLanes32x16, kLanes16}},
  };
  return all;
}

/// By rows and columns, both operands of `type`, "e4m3" or "e5m2".
Family float8_by_rows(const std::string& type) {
  return {"mma_m16n8k32_" + type,
          "float8_" + type,
          "float32",
          16,
          8,
          32,
          {16, 32},
          {32, 8},
          "m16n8k32",
          "mma_load_m16n8k32_" + type + "_A_shared",
          "mma_load_m16n8k32_" + type + "_B_shared",
          "mma_sync_m16n8k32_" + type + type + "f32",
          "mma_init_m16n8k32_f32",
          "mma_store_m16n8k32_f32_global",
          false,
          "m16n8k32." + type + "." + type};
}

const std::vector<Family>& float8_families() {
  static const std::vector<Family> all = {
      float8_by_rows("e4m3"),
      float8_by_rows("e5m2"),
      {"lanes_e4m3_trans",
       "float8_e4m3",
       "float32",
       16,
       16,
       32,
       {16, 32},
       {16, 32},
       "warp",
       "mma_ldmatrix_e4m3_a",
       "mma_ldmatrix_e4m3_b_trans",
       "mma_e4m3e4m3f32_trans_b",
       "mma_fill_16x16_f32",
       "mma_store_16x16_f32_global_",
       true,
       "m16n8k32.e4m3.e4m3",
       {kLanes16x32, kLanes16x32, kLanes16}},
  };
  return all;
}

IRModule product(const Family& family) {
  const std::string cast =
      family.in == family.out
          ? "A[vi, vk] * {}"
          : fmt::format("T.Cast(\"{0}\", A[vi, vk]) * T.Cast(\"{0}\", {{}})", family.out);
  const std::string text = fmt::format(
      R"(@T.prim_func(s_tir=True)
def main(A: T.Buffer((64, 64), "{0}"), B: T.Buffer((64, 64), "{0}"), C: T.Buffer((64, 64), "{1}")):
    for i, j, k in T.grid(64, 64, 64):
        with T.sblock("C"):
            vi, vj, vk = T.axis.remap("SSR", [i, j, k])
            with T.init():
                C[vi, vj] = T.Cast("{1}", 0)
            C[vi, vj] = C[vi, vj] + {2}
)",
      family.in, family.out,
      fmt::format(fmt::runtime(cast), family.turned ? "B[vj, vk]" : "B[vk, vj]"));
  return ir::make_module(must(script::parse_prim_func(text)));
}

std::string scope_of(const Family& family, char operand) {
  const std::string& shape = family.scopes;
  if (shape == "warp")
    return shape;
  if (shape != "wmma")
    return fmt::format("{}.matrix{}", shape, static_cast<char>(operand - 'a' + 'A'));
  return operand == 'c' ? "wmma.accumulator" : fmt::format("wmma.matrix_{}", operand);
}

/// A block of 32 x 64 by two warps, each 32 x 32, a step of 32 along k.
struct Tiled {
  Schedule sch;
  BlockRv block, write, init;
  BlockRv fetch[2], load[2];
  LoopRv tile; ///< the outermost of a product's tile
};

/// The last two loops of a copy as tiles: the outermost loop of one.
LoopRv tiles_of(Schedule& sch, BlockRv block, int64_t rows, int64_t columns) {
  const auto loops = must(sch.get_loops(block));
  const auto x = must(sch.split(loops[loops.size() - 2], {std::nullopt, rows}));
  const auto y = must(sch.split(loops.back(), {std::nullopt, columns}));
  done(sch.reorder({x[0], y[0], x[1], y[1]}));
  return x[1];
}

Tiled tiled(const Family& family) {
  Tiled t{Schedule(product(family)), {}, {}, {}, {}, {}, {}};
  Schedule& sch = t.sch;
  t.block = must(sch.get_sblock("C"));
  const auto loops = must(sch.get_loops(t.block));
  const auto i = must(sch.split(loops[0], {std::nullopt, 32 / family.m, family.m}));
  const auto j = must(sch.split(loops[1], {std::nullopt, 32 / family.n, family.n}));
  const auto k = must(sch.split(loops[2], {std::nullopt, 32 / family.k, family.k}));
  done(sch.reorder({i[0], j[0], k[0], k[1], i[1], j[1], i[2], j[2], k[2]}));
  t.tile = i[2];
  EXPECT_TRUE(sch.call("Bind", {i[0]}, {"blockIdx.x"}));
  EXPECT_TRUE(sch.call("Bind", {j[0]}, {"threadIdx.y"}));
  t.write = must(sch.cache_write(t.block, 0, scope_of(family, 'c')));
  done(sch.reverse_compute_at(t.write, j[0]));
  for (const size_t operand : {0, 1}) {
    const auto index = static_cast<int64_t>(operand);
    t.fetch[operand] = must(sch.cache_read(t.block, index, "shared"));
    t.load[operand] =
        must(sch.cache_read(t.block, index, scope_of(family, operand == 0 ? 'a' : 'b')));
    done(sch.compute_at(t.load[operand], k[0]));
    done(sch.compute_at(t.fetch[operand], k[0]));
    const auto own = must(sch.get_loops(t.fetch[operand]));
    const LoopRv fused = must(sch.fuse({own[own.size() - 2], own.back()}));
    const auto parts = must(sch.split(fused, {std::nullopt, 2, 32}));
    EXPECT_TRUE(sch.call("Bind", {parts[1]}, {"threadIdx.y"}));
    EXPECT_TRUE(sch.call("Bind", {parts[2]}, {"threadIdx.x"}));
  }
  for (size_t operand = 0; operand < 3; ++operand)
    if (family.lanes[operand] != nullptr)
      done(sch.transform_layout(operand == 2 ? t.block : t.load[operand], 0, "write",
                                family.lanes[operand]));
  t.init = must(sch.decompose_reduction(t.block, k[0]));
  return t;
}

Tiled tensorized(const Family& family) {
  Tiled t = tiled(family);
  done(t.sch.tensorize(tiles_of(t.sch, t.load[0], family.load_a[0], family.load_a[1]), family.a));
  done(t.sch.tensorize(tiles_of(t.sch, t.load[1], family.load_b[0], family.load_b[1]), family.b));
  const auto init = must(t.sch.get_loops(t.init));
  done(t.sch.tensorize(init[init.size() - 2], family.fill));
  done(t.sch.tensorize(t.tile, family.sync));
  done(t.sch.tensorize(tiles_of(t.sch, t.write, family.m, family.n), family.store));
  return t;
}

class WarpFamilies : public ::testing::TestWithParam<Family> {};

TEST_P(WarpFamilies, ComputeTheProductOnTensorCores) {
  const Family& family = GetParam();
  const auto expected = ir::testing::run(function_of(product(family)));
  ASSERT_TRUE(expected) << expected.error().to_string();
  const Tiled t = tensorized(family);
  // The schedule means what the program means as it stands, too.
  const auto scheduled = ir::testing::run(function_of(t.sch.module()));
  ASSERT_TRUE(scheduled) << scheduled.error().to_string();
  EXPECT_TRUE(ir::testing::same(*expected, *scheduled, 1e-2));
  const ir::PrimFunc flat = expect_bound_meaning(t.sch.module(), *expected, "cuda:sm_80", 1e-2);
  ASSERT_TRUE(flat);
  const std::string text = script::to_text(flat);
  EXPECT_THAT(text, HasSubstr("T.ptx_mma("));
  EXPECT_THAT(text, Not(HasSubstr("T.warp_")));
  if (!family.extra.empty()) {
    EXPECT_THAT(text, HasSubstr(family.extra));
  }
  const auto source = print_cuda(flat);
  ASSERT_TRUE(source) << source.error().message;
  EXPECT_THAT(source->text, HasSubstr("mma.sync.aligned.m16n8k"));
  if (const auto nvrtc = Nvrtc::load()) {
    const auto code = (*nvrtc)->compile(source->text, "sm_80");
    EXPECT_TRUE(code) << code.error().message << "\n" << source->text;
  }
}

/// What `execute` makes of a product of small integers in float8.
template <typename F> std::vector<float> float8_product(const Family& family, F&& execute) {
  const bool e5m2 = family.in == "float8_e5m2";
  std::vector<std::vector<uint8_t>> operands(2, std::vector<uint8_t>(64 * 64));
  std::vector<float> sums(64 * 64);
  for (size_t i = 0; i < sums.size(); ++i) {
    operands[0][i] = ir::float_to_float8(static_cast<float>(i * 7 % 5) - 2, e5m2);
    operands[1][i] = ir::float_to_float8(static_cast<float>(i * 13 % 7) - 3, e5m2);
  }
  std::vector<ir::InterpretArgument> arguments;
  for (auto& operand : operands)
    arguments.emplace_back(ir::ArrayView{DataType::uint(8), operand.data(), 64 * 64, {}, true});
  arguments.emplace_back(ir::ArrayView{DataType::float32(), sums.data(), 64 * 64, {}, false});
  const Result<void> done = execute(arguments);
  EXPECT_TRUE(done) << done.error().message;
  return sums;
}

TEST(WarpFragments, Float8IsMultipliedWhereThereAreInstructionsForIt) {
  s_tir::register_layer(); // for the interpreter
  for (const Family& family : float8_families()) {
    SCOPED_TRACE(family.what);
    const auto interpreted = [&](const IRModule& module) {
      return float8_product(family, [&](const std::vector<ir::InterpretArgument>& arguments) {
        return ir::interpret(function_of(module), arguments);
      });
    };
    const std::vector<float> expected = interpreted(product(family));
    EXPECT_NE(expected, std::vector<float>(expected.size()));
    const Tiled t = tensorized(family);
    EXPECT_EQ(interpreted(t.sch.module()), expected);
    EXPECT_FALSE(lower_for_gpu(t.sch.module(), *ir::parse_target("cuda:sm_80")));
    const auto lowered = lower_for_gpu(t.sch.module(), *ir::parse_target("cuda:sm_89"));
    ASSERT_TRUE(lowered) << lowered.error().message;
    const ir::PrimFunc flat = function_of(*lowered);
    const std::string text = script::to_text(flat);
    EXPECT_THAT(text, HasSubstr(family.extra));
    EXPECT_THAT(text, Not(HasSubstr("T.warp_")));
    EXPECT_EQ(
        float8_product(family,
                       [&](const std::vector<ir::InterpretArgument>& arguments) -> Result<void> {
                         TEMPER_TRY_VOID(tir::emulate(flat, arguments));
                         return {};
                       }),
        expected);
    const auto source = print_cuda(flat);
    ASSERT_TRUE(source) << source.error().message;
    EXPECT_THAT(source->text, HasSubstr("mma.sync.aligned.m16n8k32"));
    if (const auto nvrtc = Nvrtc::load()) {
      const auto code = (*nvrtc)->compile(source->text, "sm_89");
      EXPECT_TRUE(code) << code.error().message << "\n" << source->text;
    }
  }
}

TEST(WarpFragments, EveryProductOfTheTableHasAFormInCuda) {
  int products = 0;
  for (const s_tir::TensorIntrinsic& entry : s_tir::warp_tensor_intrinsics())
    ir::walk(entry.implementation->body, [&](const ir::NodeRef& node) {
      const auto* call = node.as<Call>();
      if (call == nullptr || call->op != "warp_mma")
        return true;
      const auto* text = call->args.back().as<StringImm>();
      const std::string instruction = text->value.substr(0, text->value.find(".A"));
      const auto matrix = tir::parse_matrix_text(instruction);
      EXPECT_TRUE(matrix) << entry.name;
      const auto type = [&](size_t argument, tir::MatrixOperand operand) {
        return tir::ptx_operand_type(operand, call->args[argument]->dtype);
      };
      EXPECT_TRUE(
          in_cuda_prelude(fmt::format("mma_{}_{}_{}", matrix->shape,
                                      type(0, tir::MatrixOperand::kAsStored), type(2, matrix->a))))
          << entry.name;
      ++products;
      return true;
    });
  EXPECT_GT(products, 20);
}

INSTANTIATE_TEST_SUITE_P(All, WarpFamilies, ::testing::ValuesIn(families()),
                         [](const auto& info) { return info.param.what; });

TEST(WarpFragments, EverythingThatTouchesThemIsTensorized) {
  Tiled t = tiled(families()[0]);
  done(t.sch.tensorize(t.tile, families()[0].sync));
  const auto lowered = lower_for_gpu(t.sch.module(), *ir::parse_target("cuda:sm_80"));
  ASSERT_FALSE(lowered);
  EXPECT_THAT(lowered.error().message, HasSubstr("by a block that is not tensorized"));
}

TEST(WarpFragments, AWarpHas32Threads) {
  Tiled t = tiled(families()[0]);
  done(t.sch.tensorize(t.tile, families()[0].sync));
  const auto loops = must(t.sch.get_loops(t.init));
  EXPECT_TRUE(t.sch.call("Bind", {loops.back()}, {"threadIdx.x"}));
  const auto lowered = lower_for_gpu(t.sch.module(), *ir::parse_target("cuda:sm_80"));
  ASSERT_FALSE(lowered);
}

TEST(WarpFragments, ScopesArePartOfWhatAnEntryTakes) {
  Tiled t = tiled(families()[0]);
  const auto refused = t.sch.tensorize(t.tile, "mma_sync_m16n8k16_f16f16f32");
  ASSERT_FALSE(refused);
  const auto wrong =
      t.sch.tensorize(tiles_of(t.sch, t.load[0], 16, 16), "wmma_load_16x16x16_f16_b_shared");
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().message,
              HasSubstr("is in \"wmma.matrix_a\", not in \"wmma.matrix_b\""));
}

TEST(WarpFragments, OtherTargetsSayWhatTheyLack) {
  Tiled t = tiled(families()[0]);
  done(t.sch.tensorize(t.tile, families()[0].sync));
  const auto checked =
      s_tir::check_tensor_intrinsics(function_of(t.sch.module()), {"avx512bf16", "sm_75"});
  ASSERT_FALSE(checked);
  EXPECT_THAT(checked.error().message, HasSubstr("needs sm_80"));
}

} // namespace
} // namespace temper::codegen
