// Tile programs lowered for a GPU: which operations they become, and that each gives what the
// program means, warp by warp under every timing and as compiled loops.
#include "codegen/lower_gpu.h"

#include "codegen/lower.h"
#include "ir/narrow.h"
#include "ir/script/printer.h"
#include "ir/structural.h"
#include "ir/tir/emulator/emulate.h"
#include "ir/tir/emulator/thread_loops.h"
#include "ir/tir/lower_simt.h"
#include "ir/tir/lower_tiles.h"
#include "tests/codegen/build.h"
#include "tests/codegen/hopper_programs.h"
#include "tests/tir/emulated_programs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <numeric>

namespace temper::codegen::testing {
namespace {

using tir::expect_found;
using tir::numbers;
using tir::parsed;
using tir::replaced;

ir::Target gpu(const char* name = "cuda:sm_80") { return *ir::parse_target(name); }

/// Arguments of any element type that hold small integers, the last one the output.
struct Arguments {
  struct One {
    DataType type;
    std::vector<std::byte> bytes;
  };
  std::vector<One> list;

  explicit Arguments(const PrimFunc& function) {
    uint64_t seed = 1;
    for (const Param& param : function->params) {
      One one{param.buffer->dtype, {}};
      int64_t count = param.buffer->element_count().value_or(0);
      if (ir::is_packed(one.type)) { // bytes of any content
        count /= 8 / one.type.bits;
        one.type = DataType::uint(8);
      }
      one.bytes.resize(static_cast<size_t>(count * one.type.element_bytes()));
      const std::vector<float> values = numbers(static_cast<size_t>(count), seed++, 2);
      for (size_t i = 0; i < values.size(); ++i)
        put(one, i, values[i]);
      list.push_back(std::move(one));
    }
    std::fill(list.back().bytes.begin(), list.back().bytes.end(), std::byte{0});
  }

  static void put(One& one, size_t i, float value) {
    if (ir::is_float8(one.type)) {
      one.bytes[i] =
          static_cast<std::byte>(ir::float_to_float8(value, one.type.code == TypeCode::kBFloat));
    } else if (one.type == DataType::floating(32)) {
      std::memcpy(&one.bytes[4 * i], &value, 4);
    } else if (one.type.is_floating()) {
      const uint16_t bits = one.type == DataType::floating(16)
                                ? float_to_float16(value)
                                : static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
      std::memcpy(&one.bytes[2 * i], &bits, 2);
    } else if (one.type.bits == 8) {
      one.bytes[i] = static_cast<std::byte>(static_cast<int8_t>(value));
    } else {
      const auto integer = static_cast<int32_t>(value);
      std::memcpy(&one.bytes[4 * i], &integer, 4);
    }
  }
  /// `lowered`: of programs in which narrow floats are bytes.
  std::vector<InterpretArgument> views(bool lowered = false) {
    std::vector<InterpretArgument> result;
    for (One& one : list)
      result.emplace_back(
          ArrayView{lowered && ir::is_float8(one.type) ? DataType::uint(8) : one.type,
                    one.bytes.data(),
                    static_cast<int64_t>(one.bytes.size()) / one.type.element_bytes(),
                    {},
                    &one != &list.back()});
    return result;
  }
  const std::vector<std::byte>& output() const { return list.back().bytes; }
};

struct Lowered {
  PrimFunc function;
  std::string text;
  tir::EmulateReport report;
};

/// Lowers for `target`; the interpreters and the compiled loops must agree bit by bit (the inputs
/// are small integers, whose sums are exact). `roles`: only warp by warp, there are no loops of it.
Lowered expect_meaning(const PrimFunc& program, const ir::Target& target = gpu(),
                       bool roles = false) {
  Lowered result;
  if (!program)
    return result;
  auto module = lower_for_gpu(make_module(program), target);
  EXPECT_TRUE(module.has_value()) << module.error().message;
  if (!module)
    return result;
  result.function = (*module)->functions[0].function.as_ref<PrimFuncNode>();
  result.text = script::to_text(result.function);
  auto again = script::parse_prim_func(result.text, "lowered.py");
  EXPECT_TRUE(again.has_value()) << result.text << again.error().to_string();
  if (again) {
    EXPECT_TRUE(structural_equal(*again, result.function)) << result.text;
  }
  Arguments expected(program), emulated(program), compiled(program);
  auto meaning = tir::tile_meaning(program);
  EXPECT_TRUE(meaning && interpret(*meaning, expected.views(true)).has_value());
  auto report = tir::emulate_thoroughly(result.function, emulated.views(true));
  EXPECT_TRUE(report.has_value()) << report.error().message << "\n" << result.text;
  if (report)
    result.report = *report;
  EXPECT_EQ(emulated.output(), expected.output()) << result.text;

  auto loops = tir::thread_loops(result.function);
  EXPECT_EQ(loops.has_value(), !roles) << result.text;
  if (roles)
    return result;
  EXPECT_TRUE(loops.has_value()) << loops.error().message << result.text;
  if (!loops)
    return result;
  LowerOptions options;
  options.serial = true;
  auto lowered = lower_for_cpu(make_module(*loops), options);
  EXPECT_TRUE(lowered.has_value()) << lowered.error().message;
  if (!lowered)
    return result;
  const Artifact artifact = must_compile((*lowered)->functions[0].function.as_ref<PrimFuncNode>());
  const Loaded kernel(artifact);
  auto& list = compiled.list;
  EXPECT_EQ(kernel(list[0].bytes.data(), list[1].bytes.data(), list[2].bytes.data()), 0);
  EXPECT_EQ(compiled.output(), expected.output()) << result.text;
  return result;
}

int count(const std::string& text, const std::string& word) {
  int found = 0;
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1))
    ++found;
  return found;
}

const std::string kGemm = R"(
@T.prim_func
def main(A: T.Tensor((128, 96), "float16"), B: T.Tensor((96, 64), "float16"), C: T.Tensor((128, 64), "float32")):
    with T.Kernel(T.ceildiv(64, 64), T.ceildiv(128, 64), threads=128) as (bx, by):
        A_shared = T.alloc_shared((64, 32), "float16")
        B_shared = T.alloc_shared((32, 64), "float16")
        C_local = T.alloc_fragment((64, 64), "float32")
        T.clear(C_local)
        for k in T.Pipelined(T.ceildiv(96, 32), num_stages=3):
            T.copy(A[by * 64, k * 32], A_shared)
            T.copy(B[k * 32, bx * 64], B_shared)
            T.gemm(A_shared, B_shared, C_local)
        T.copy(C_local, C[by * 64, bx * 64])
)";

TEST(LowerGpu, a_product_uses_tensor_cores_behind_a_pipeline_of_copies) {
  const Lowered lowered = expect_meaning(parsed(kGemm));
  EXPECT_EQ(count(lowered.text, "T.ptx_mma("), 1) << lowered.text;
  EXPECT_EQ(count(lowered.text, "T.ptx_ldmatrix("), 2);
  EXPECT_EQ(count(lowered.text, "T.ptx_cp_async("), 6); // two stages ahead, and the loop's
  EXPECT_EQ(count(lowered.text, "T.ptx_wait_group(1)"), 1);
  // One barrier in each round: the copies have come, and the stage that is overwritten is free.
  EXPECT_EQ(count(lowered.text, "T.sync_threads()"), 1) << lowered.text;
  EXPECT_TRUE(lowered.report.conflicts().empty()) << lowered.report.conflicts().front().to_string();
  EXPECT_EQ(lowered.report.shared_bytes, 3 * (64 * 32 + 32 * 64) * 2);
}

TEST(LowerGpu, older_architectures_do_without) {
  const Lowered lowered = expect_meaning(parsed(kGemm), gpu("cuda:sm_75"));
  EXPECT_EQ(count(lowered.text, "T.ptx_"), 0) << lowered.text;
}

TEST(LowerGpu, transposed_operands_are_loaded_as_the_fragments_need_them) {
  for (const bool a : {false, true})
    for (const bool b : {false, true}) {
      SCOPED_TRACE(std::string(a ? "A^T " : "A ") + (b ? "B^T" : "B"));
      const std::string text = std::string(R"(
@T.prim_func
def main(A: T.Tensor()") + (a ? "(64, 32)" : "(32, 64)") +
                               R"(, "float16"), B: T.Tensor()" + (b ? "(48, 64)" : "(64, 48)") +
                               R"(, "float16"), C: T.Tensor((32, 48), "float32")):
    with T.Kernel(1, threads=64) as bx:
        A_shared = T.alloc_shared()" +
                               (a ? "(64, 32)" : "(32, 64)") + R"(, "float16")
        B_shared = T.alloc_shared()" +
                               (b ? "(48, 64)" : "(64, 48)") + R"(, "float16")
        C_local = T.alloc_fragment((32, 48), "float32")
        T.copy(A, A_shared)
        T.copy(B, B_shared)
        T.clear(C_local)
        T.gemm(A_shared, B_shared, C_local, transpose_A=)" +
                               (a ? "True" : "False") + ", transpose_B=" + (b ? "True" : "False") +
                               R"()
        T.copy(C_local, C)
)";
      const Lowered lowered = expect_meaning(parsed(text));
      EXPECT_EQ(count(lowered.text, "T.ptx_mma("), 1) << lowered.text;
    }
}

TEST(LowerGpu, other_types_take_other_instructions) {
  std::string bfloat = kGemm;
  for (size_t at = 0; (at = bfloat.find("\"float16\"", at)) != std::string::npos;)
    bfloat.replace(at, 9, "\"bfloat16\"");
  EXPECT_EQ(count(expect_meaning(parsed(bfloat)).text, "m16n8k16"), 1);
  std::string bytes = kGemm;
  for (size_t at = 0; (at = bytes.find("\"float16\"", at)) != std::string::npos;)
    bytes.replace(at, 9, "\"int8\"");
  for (size_t at = 0; (at = bytes.find("\"float32\"", at)) != std::string::npos;)
    bytes.replace(at, 9, "\"int32\"");
  EXPECT_EQ(count(expect_meaning(parsed(bytes)).text, "m16n8k32.i8"), 1);
}

/// C = A B^T: rows of both operands are along k.
std::string product_of_rows(const std::string& a, const std::string& b, const std::string& out,
                            const std::string& more = "") {
  std::string text = kGemm;
  text =
      replaced(text, "B: T.Tensor((96, 64), \"float16\")", "B: T.Tensor((64, 96), \"" + b + "\")");
  text = replaced(text, "A: T.Tensor((128, 96), \"float16\")",
                  "A: T.Tensor((128, 96), \"" + a + "\")");
  text = replaced(text, "C: T.Tensor((128, 64), \"float32\")",
                  "C: T.Tensor((128, 64), \"" + out + "\")");
  text = replaced(text, "A_shared = T.alloc_shared((64, 32), \"float16\")",
                  "A_shared = T.alloc_shared((64, 32), \"" + a + "\")");
  text = replaced(text, "B_shared = T.alloc_shared((32, 64), \"float16\")",
                  "B_shared = T.alloc_shared((64, 32), \"" + b + "\")");
  text = replaced(text, "T.alloc_fragment((64, 64), \"float32\")",
                  "T.alloc_fragment((64, 64), \"" + out + "\")");
  text = replaced(text, "T.copy(B[k * 32, bx * 64], B_shared)",
                  "T.copy(B[bx * 64, k * 32], B_shared)");
  return replaced(text, "C_local)\n        T.copy(C_local",
                  "C_local, transpose_B=True" + more + ")\n        T.copy(C_local");
}

TEST(LowerGpu, tensor_cores_multiply_bytes_narrow_floats_and_tf32) {
  struct Case {
    const char *a, *b, *out, *more, *text;
    bool wgmma = true;
  };
  for (const Case& c : {Case{"int8", "int8", "int32", "", "k32.i8", false},
                        Case{"uint8", "uint8", "int32", "", "k32.i8", false},
                        Case{"float8_e4m3", "float8_e4m3", "float32", "", "k32.e4m3.e4m3"},
                        Case{"float8_e5m2", "float8_e4m3", "float32", "", "k32.e5m2.e4m3"},
                        Case{"float32", "float32", "float32", ", allow_tf32=True", "k8.tf32"}}) {
    SCOPED_TRACE(c.text);
    const std::string text = product_of_rows(c.a, c.b, c.out, c.more);
    const Lowered warps = expect_meaning(parsed(text), gpu("cuda:sm_89"));
    EXPECT_EQ(count(warps.text, std::string("\"m16n8") + c.text + "\""), 1) << warps.text;
    // Rows of 16 bytes by ldmatrix, whatever they hold.
    EXPECT_EQ(count(warps.text, "T.ptx_ldmatrix("), 2) << warps.text;
    EXPECT_TRUE(warps.report.conflicts().empty());
    // A warpgroup; and with A in registers.
    const std::string groups = replaced(text, ", transpose_B=True",
                                        ", transpose_B=True, annotations={\"variant\": \"wgmma\"}");
    const Lowered shared = expect_meaning(parsed(groups), gpu("cuda:sm_90a"));
    EXPECT_EQ(count(shared.text, "T.ptx_wgmma_ss("), std::string(c.text).starts_with("k8") ? 4 : 1);
    if (c.wgmma) {
      EXPECT_NE(shared.text.find(std::string("\"m64n64") + c.text + "\""), std::string::npos)
          << shared.text;
    }
    std::string loaded = replaced(groups, "        C_local = ",
                                  std::string("        A_local = T.alloc_fragment((64, 32), \"") +
                                      c.a + "\")\n        C_local = ");
    loaded = replaced(loaded, "            T.gemm(A_shared",
                      "            T.copy(A_shared, A_local)\n            T.gemm(A_local");
    const Lowered registers = expect_meaning(parsed(loaded), gpu("cuda:sm_90a"));
    EXPECT_EQ(count(registers.text, "T.ptx_wgmma_ss("), 0) << registers.text;
    EXPECT_EQ(count(registers.text, "T.ptx_wgmma_rs("),
              std::string(c.text).starts_with("k8") ? 4 : 1);
  }
}

TEST(LowerGpu, what_tensor_cores_do_not_multiply_is_said) {
  const PrimFunc program = parsed(product_of_rows("float32", "float32", "float32"));
  expect_found(tir::simt_dispatch(program, 80),
               {"mma_sync refused: there is no mma.sync of float32", "allow_tf32=True"});
  const PrimFunc narrow = parsed(product_of_rows("float8_e4m3", "float8_e4m3", "float32"));
  expect_found(tir::simt_dispatch(narrow, 80), {"mma.sync of float8 is there from sm_89 on"});
  // B by columns: bytes and tf32 are not transposed on the way to a warpgroup's tensor cores.
  std::string tf32 = replaced(kGemm, "T.gemm(A_shared, B_shared, C_local",
                              "T.gemm(A_shared, B_shared, C_local, allow_tf32=True, "
                              "annotations={\"variant\": \"wgmma\"}");
  for (size_t at = 0; (at = tf32.find("\"float16\"", at)) != std::string::npos;)
    tf32.replace(at, 9, "\"float32\"");
  auto refused = lower_for_gpu(make_module(parsed(tf32)), gpu("cuda:sm_90a"));
  ASSERT_FALSE(refused.has_value());
  expect_found(refused.error().message,
               {"of elements of 32 bits, wgmma takes B as [n, k]: transpose_B=True"});
}

// In float32 proper are the sums of calls then, where tensor cores sum float8 in fewer bits.
TEST(LowerGpu, float8_sums_are_promoted_where_the_program_says_so) {
  const std::string text = product_of_rows("float8_e4m3", "float8_e4m3", "float32",
                                           ", max_num_imprecise_acc=32, wg_wait=1");
  const std::string groups = replaced(text, ", transpose_B=True",
                                      ", transpose_B=True, annotations={\"variant\": \"wgmma\"}");
  for (const auto& [program, target, promoted] :
       {std::tuple(text, "cuda:sm_89", true), std::tuple(groups, "cuda:sm_90a", true),
        std::tuple(text, "cuda:sm_80", false), std::tuple(text, "cuda:sm_100a", false)}) {
    SCOPED_TRACE(target);
    const Lowered lowered = expect_meaning(parsed(program), gpu(target));
    EXPECT_EQ(count(lowered.text, "C_local[r] = C_local[r] + C_local_part[r]"), promoted ? 1 : 0)
        << lowered.text;
    EXPECT_EQ(count(lowered.text, "C_local_part = T.alloc_local((32,))"), promoted ? 1 : 0)
        << lowered.text;
  }
  // Others have no such sums.
  const Lowered half = expect_meaning(
      parsed(product_of_rows("float16", "float16", "float32", ", max_num_imprecise_acc=32")),
      gpu("cuda:sm_90a"));
  EXPECT_EQ(count(half.text, "_part"), 0) << half.text;
}

/// Sums of many products that only tf32's 10 bits of mantissa round.
TEST(LowerGpu, tf32_drops_what_it_has_not) {
  const PrimFunc program =
      parsed(product_of_rows("float32", "float32", "float32", ", allow_tf32=True"));
  auto module = lower_for_gpu(make_module(program), gpu());
  ASSERT_TRUE(module.has_value()) << module.error().message;
  Arguments arguments(program);
  for (size_t i = 0; i < 2; ++i)
    for (size_t j = 0; j < arguments.list[i].bytes.size() / 4; ++j)
      Arguments::put(arguments.list[i], j, i == 0 ? 1 + 0x1p-12F : 1);
  auto report =
      tir::emulate((*module)->functions[0].function.as_ref<PrimFuncNode>(), arguments.views());
  ASSERT_TRUE(report.has_value()) << report.error().message;
  float first = 0;
  std::memcpy(&first, arguments.output().data(), 4);
  EXPECT_EQ(first, 96.0F);
}

TEST(LowerGpu, tails_are_copied_under_a_predicate) {
  const Lowered lowered = expect_meaning(parsed(R"(
@T.prim_func
def main(A: T.Tensor((50, 40), "float16"), B: T.Tensor((40, 72), "float16"), C: T.Tensor((50, 72), "float32")):
    with T.Kernel(T.ceildiv(72, 32), T.ceildiv(50, 32), threads=64) as (bx, by):
        A_shared = T.alloc_shared((32, 32), "float16")
        B_shared = T.alloc_shared((32, 32), "float16")
        C_local = T.alloc_fragment((32, 32), "float32")
        T.clear(C_local)
        for k in T.Pipelined(T.ceildiv(40, 32), num_stages=2):
            T.copy(A[by * 32, k * 32], A_shared)
            T.copy(B[k * 32, bx * 32], B_shared)
            T.gemm(A_shared, B_shared, C_local)
        T.copy(C_local, C[by * 32, bx * 32])
)"));
  EXPECT_EQ(count(lowered.text, "T.ptx_cp_async("), 4) << lowered.text;
  EXPECT_NE(lowered.text.find("< 50"), std::string::npos) << lowered.text;
}

TEST(LowerGpu, atomic_operations_over_the_edge_touch_nothing) {
  const Lowered lowered = expect_meaning(parsed(R"(
@T.prim_func
def main(A: T.Tensor((50, 40), "float32"), B: T.Tensor((50, 40), "float32"), C: T.Tensor((50, 40), "float32")):
    with T.Kernel(2, 2, threads=64) as (bx, by):
        zero = T.alloc_fragment((32, 32), "float32")
        T.clear(zero)
        T.copy(zero, C[by * 32, bx * 32])
    with T.Kernel(2, 2, 2, threads=64) as (bx, by, bz):
        tile = T.alloc_fragment((32, 32), "float32")
        if bz == 0:
            T.copy(A[by * 32, bx * 32], tile)
        else:
            T.copy(B[by * 32, bx * 32], tile)
        T.atomic_add(C[by * 32, bx * 32], tile)
)"));
  EXPECT_EQ(count(lowered.text, "T.atomic_add("), 1) << lowered.text;
}

TEST(LowerGpu, reducers_join_what_iterations_add) {
  expect_meaning(parsed(R"(
@T.prim_func
def main(A: T.Tensor((50, 40), "float32"), B: T.Tensor((40,), "float32"), C: T.Tensor((50,), "float32")):
    with T.Kernel(2, threads=64) as bx:
        tile = T.alloc_shared((32, 40), "float32")
        x = T.alloc_shared((40,), "float32")
        sums = T.alloc_reducer((32,), "float32", replication="all")
        largest = T.alloc_reducer((32,), "float32", op="max")
        every = T.alloc_reducer((1,), "float32")
        T.clear(sums)
        T.clear(every)
        T.fill(largest, -1000)
        T.copy(B, x)
        T.copy(A[bx * 32, 0], tile)
        for k in T.serial(2):
            for i, j in T.Parallel(32, 40):
                sums[i] += tile[i, j] * x[j]
                if j > 3:
                    largest[i] = T.max(largest[i], tile[i, j])
                every[0] += tile[i, j]
        T.finalize_reducer(sums)
        for i in T.Parallel(32):
            C[bx * 32 + i] = sums[i] + largest[i] * 0.5 + every[0]
)"));
}

TEST(LowerGpu, values_of_a_warp_are_reduced_in_each_of_its_threads) {
  const PrimFunc program = parsed(R"(
@T.prim_func
def main(A: T.Tensor((128,), "float32"), B: T.Tensor((3, 128), "float32")):
    with T.Kernel(2, threads=64) as bx:
        tx = T.get_thread_binding(0)
        x = A[bx * 64 + tx]
        B[0, bx * 64 + tx] = T.warp_reduce_sum(x * 2.0)
        B[1, bx * 64 + tx] = T.warp_reduce_max(x)
        B[2, bx * 64 + tx] = T.warp_reduce_min(x)
)");
  const auto lowered = tir::lower_simt(program, 80);
  ASSERT_TRUE(lowered) << lowered.error().message;
  std::vector<float> a(128);
  std::vector<float> b(3 * 128);
  for (size_t i = 0; i < a.size(); ++i)
    a[i] = static_cast<float>(i * 37 % 101) - 50;
  const auto report = tir::emulate(*lowered, std::vector<InterpretArgument>{input(a), output(b)});
  ASSERT_TRUE(report) << report.error().message;
  for (size_t i = 0; i < a.size(); ++i) {
    const auto first = a.begin() + static_cast<std::ptrdiff_t>(i / 32 * 32);
    EXPECT_EQ(b[i], 2 * std::accumulate(first, first + 32, 0.0F)) << i;
    EXPECT_EQ(b[128 + i], *std::max_element(first, first + 32)) << i;
    EXPECT_EQ(b[256 + i], *std::min_element(first, first + 32)) << i;
  }
}

TEST(LowerGpu, rows_that_are_not_aligned_are_copied_by_the_threads) {
  const PrimFunc program = parsed(R"(
@T.prim_func
def main(A: T.Tensor((33, 33), "float16"), B: T.Tensor((33, 33), "float16"), C: T.Tensor((33, 33), "float32")):
    with T.Kernel(2, 2, threads=64) as (bx, by):
        A_shared = T.alloc_shared((32, 32), "float16")
        B_shared = T.alloc_shared((32, 32), "float16")
        C_local = T.alloc_fragment((32, 32), "float32")
        T.clear(C_local)
        for k in T.Pipelined(2, num_stages=2):
            T.copy(A[by * 32, k * 32], A_shared)
            T.copy(B[k * 32, bx * 32], B_shared)
            T.gemm(A_shared, B_shared, C_local)
        T.copy(C_local, C[by * 32, bx * 32])
)");
  const Lowered lowered = expect_meaning(program);
  EXPECT_EQ(count(lowered.text, "T.ptx_cp_async("), 0) << lowered.text;
  EXPECT_EQ(count(lowered.text, "T.ptx_mma("), 1);
  expect_found(tir::simt_dispatch(program, 80), {"line 10", "T.copy(A[32, 32], A_shared[",
                                                 "cp_async refused: rows of 32 elements "
                                                 "out of rows of 33 are not aligned",
                                                 "threads (taken)", "mma_sync (taken)"});
}

TEST(LowerGpu, a_product_in_registers_is_the_next_ones_operand) {
  const Lowered lowered = expect_meaning(parsed(R"(
@T.prim_func
def main(Q: T.Tensor((64, 32), "float16"), K: T.Tensor((48, 32), "float16"), O: T.Tensor((64, 32), "float32")):
    with T.Kernel(1, threads=128) as bx:
        Q_shared = T.alloc_shared((64, 32), "float16")
        K_shared = T.alloc_shared((48, 32), "float16")
        scores = T.alloc_fragment((64, 48), "float32")
        cast = T.alloc_fragment((64, 48), "float16")
        output = T.alloc_fragment((64, 32), "float32")
        T.copy(Q, Q_shared)
        T.copy(K, K_shared)
        T.clear(scores)
        T.gemm(Q_shared, K_shared, scores, transpose_B=True, policy="FullRow")
        T.copy(scores, cast)
        T.clear(output)
        T.gemm(cast, K_shared, output, policy="FullRow")
        T.copy(output, O)
)"));
  EXPECT_EQ(count(lowered.text, "T.ptx_mma("), 2) << lowered.text;
  EXPECT_EQ(count(lowered.text, "T.ptx_ldmatrix("), 3) << "A of the second is in registers";
}

TEST(LowerGpu, buffers_that_do_not_live_together_share_memory) {
  const Lowered lowered = expect_meaning(parsed(R"(
@T.prim_func
def main(A: T.Tensor((32, 32), "float32"), B: T.Tensor((32, 32), "float32"), C: T.Tensor((32, 32), "float32")):
    with T.Kernel(1, threads=64) as bx:
        first = T.alloc_shared((32, 32), "float32")
        second = T.alloc_shared((32, 32), "float32")
        third = T.alloc_shared((32, 32), "float32")
        T.copy(A, first)
        for i, j in T.Parallel(32, 32):
            second[i, j] = first[j, i] + first[i, j]
        T.copy(B, third)
        for i, j in T.Parallel(32, 32):
            C[i, j] = second[j, i] * third[j, i]
)"));
  EXPECT_EQ(lowered.report.shared_bytes, 2 * 4096) << lowered.text;
  EXPECT_EQ(count(lowered.text, "\"shared_offset\": 0"), 2) << lowered.text;
  // first -> second; second's place is free for third only after that; third -> C.
  EXPECT_EQ(count(lowered.text, "T.sync_threads()"), 3) << lowered.text;
}

TEST(LowerGpu, what_does_not_fit_the_gpu_is_refused) {
  const auto why = [](const std::string& text, const char* target) {
    auto module = lower_for_gpu(make_module(parsed(text)), gpu(target));
    if (!module)
      return module.error().message;
    auto limits = gpu_limits(gpu(target));
    auto fits = check_gpu_limits((*module)->functions[0].function.as_ref<PrimFuncNode>(), *limits);
    return fits ? std::string("fits") : fits.error().message;
  };
  EXPECT_EQ(why(kGemm, "cuda:sm_80"), "fits");
  const std::string large =
      replaced(kGemm, "num_stages=3", "num_stages=16"); // 16 * 8 KiB, of 99 KiB
  expect_found(why(large, "cuda:sm_89"),
               {"131072 bytes of shared memory", "101376", "fewer stages"});
  expect_found(why(R"(
@T.prim_func
def main(A: T.Buffer((4,), "float32")):
    for i in range(4):
        A[i] = T.float32(0)
)",
                   "cuda:sm_80"),
               {"no kernel for a GPU", "T.Kernel"});
  expect_found(gpu_limits(gpu("cuda:sm_12")).error().message, {"cuda:sm_90a"});
}

TEST(LowerGpu, only_the_first_axis_of_a_grid_has_many_blocks) {
  const std::string text = R"(
@T.prim_func
def main(A: T.Tensor((70000, 32), "float32"), B: T.Tensor((70000, 32), "float32")):
    with T.Kernel(GRID, threads=32) as (BLOCKS):
        t = T.get_thread_binding(0)
        B[b, t] = A[b, t] + T.float32(1)
)";
  const auto limits = gpu_limits(gpu());
  const auto fits = [&](const char* grid, const char* blocks) {
    auto module = lower_for_gpu(
        make_module(parsed(replaced(replaced(text, "GRID", grid), "BLOCKS", blocks))), gpu());
    EXPECT_TRUE(module) << module.error().message;
    return check_gpu_limits((*module)->functions[0].function.as_ref<PrimFuncNode>(), *limits);
  };
  EXPECT_TRUE(fits("70000, 1", "b, one"));
  for (const auto& [grid, blocks] :
       {std::pair("1, 70000", "one, b"), std::pair("1, 1, 70000", "one, two, b")}) {
    const auto refused = fits(grid, blocks);
    ASSERT_FALSE(refused);
    expect_found(refused.error().message,
                 {"the grid has 70000 blocks along its second or third axis, there may be 65535"});
  }
}

TEST(LowerGpu, warpgroups_multiply_what_the_copy_engine_brings) {
  struct Case {
    const char* dtype;
    int64_t m, n, k;
    const char* tiles;
    int threads;
    bool transposed, tma;
  };
  for (const Case& c : {// Over the edges of all three, and more iterations than stages.
                        Case{"float16", 100, 80, 160, "64x64x32", 128, false, true},
                        // B by columns; two warpgroups side by side; a tile of two boxes.
                        Case{"bfloat16", 128, 72, 256, "128x32x128", 256, true, true},
                        // Threads copy: their writes are fenced off from the engine's reads.
                        Case{"float16", 128, 64, 96, "64x64x32", 128, false, false},
                        Case{"int8", 64, 64, 128, "64x32x64", 128, true, true}}) {
    SCOPED_TRACE(std::string(c.dtype) + " " + c.tiles);
    const Lowered lowered = expect_meaning(
        parsed(hopper_gemm(c.dtype, c.m, c.n, c.k, c.transposed, c.tiles, c.threads, c.tma)),
        gpu("cuda:sm_90a"));
    EXPECT_EQ(count(lowered.text, "T.tma_load(") > 0, c.tma) << lowered.text;
    EXPECT_GT(count(lowered.text, "T.ptx_wgmma_ss("), 0);
    // In the loop: one barrier before the stage is written again, one more where threads copy.
    const size_t start = lowered.text.find("for k in range");
    const std::string loop =
        lowered.text.substr(start, lowered.text.find("for r in range") - start);
    EXPECT_EQ(count(loop, "T.sync_threads()"), c.tma ? 1 : 2) << loop;
  }
}

TEST(LowerGpu, a_warp_of_its_own_copies_ahead) {
  struct Case {
    const char* dtype;
    int64_t m, n, k;
    const char* tiles;
    int threads;
    bool transposed;
    const char* gemm; ///< more of the product
  };
  for (const Case& c : {// More iterations than stages, over the edges.
                        Case{"float16", 100, 80, 160, "64x64x32", 128, false, ""},
                        Case{"bfloat16", 128, 72, 256, "128x32x64", 256, true, ""},
                        // One product under way while the next stage is waited for.
                        Case{"float16", 64, 64, 160, "64x64x32", 128, false, ", wg_wait=1"}}) {
    SCOPED_TRACE(std::string(c.dtype) + " " + c.tiles + c.gemm);
    std::string text = hopper_gemm(c.dtype, c.m, c.n, c.k, c.transposed, c.tiles, c.threads, true);
    text = replaced(text, "{\"tma\": 1}", "{\"tma\": 2}");
    text = replaced(text, ", annotations={\"variant\"",
                    std::string(c.gemm) + ", annotations={\"variant\"");
    const Lowered lowered = expect_meaning(parsed(text), gpu("cuda:sm_90a"), true);
    EXPECT_EQ(count(lowered.text, "T.setmaxnreg("), c.threads == 256 ? 2 : 0) << lowered.text;
    // Nobody meets in the loop: what orders the roles is barriers in memory.
    const size_t begin = lowered.text.find("for k in range");
    const size_t end = lowered.text.find("for r in range", begin);
    EXPECT_EQ(count(lowered.text.substr(begin, end - begin), "T.sync_threads("), 0) << lowered.text;
    EXPECT_EQ(count(lowered.text.substr(begin, end - begin), "T.ptx_wgmma_ss(") > 0, true);
  }
}

// The accumulators were read, and stages written, while a product was under way.
TEST(LowerGpu, threads_that_copy_wait_for_their_products) {
  for (const bool tma : {true, false}) {
    const std::string text =
        replaced(hopper_gemm("float16", 128, 64, 96, false, "64x64x32", 128, tma),
                 ", annotations={\"variant\"", ", wg_wait=1, annotations={\"variant\"");
    const Lowered lowered = expect_meaning(parsed(text), gpu("cuda:sm_90a"));
    EXPECT_EQ(count(lowered.text, "T.warpgroup_wait(0)"), 1) << lowered.text;
    EXPECT_EQ(count(lowered.text, "T.warpgroup_wait(1)"), 0) << lowered.text;
  }
}

TEST(LowerGpu, a_warp_of_its_own_goes_on_from_tile_to_tile) {
  std::string text = hopper_gemm("float16", 192, 128, 96, false, "64x64x32", 128, true);
  text = replaced(text, "{\"tma\": 1}", "{\"tma\": 2}");
  text = replaced(text,
                  "with T.Kernel(T.ceildiv(128, 64), T.ceildiv(192, 64), threads=128) as (bx, by):",
                  "with T.Kernel(2, threads=128) as (b):");
  // Six tiles among two blocks.
  const size_t clear = text.find("        T.clear(C_local)");
  std::string body = text.substr(clear);
  std::string nested = "        for t in T.serial(3):\n            bx = (t * 2 + b) % 2\n"
                       "            by = (t * 2 + b) // 2\n";
  for (const std::string& line : split_text(body, '\n'))
    if (!line.empty())
      nested += "    " + line + "\n";
  const Lowered lowered =
      expect_meaning(parsed(text.substr(0, clear) + nested), gpu("cuda:sm_90a"), true);
  EXPECT_EQ(count(lowered.text, "T.tma_load("), 2) << lowered.text;
}

/// A product whose copies are a warp's of their own: 128 x 128 in tiles of 64 x 64.
std::string gemm_of_cluster(const std::string& dims, const std::string& dtype = "float16",
                            bool transposed = false, const std::string& more = "") {
  std::string text = replaced(hopper_gemm(dtype, 128, 128, 96, transposed, "64x64x32", 128, true),
                              "{\"tma\": 1}", "{\"tma\": 2}");
  if (!more.empty())
    text = replaced(text, ", annotations={\"variant\"", more + ", annotations={\"variant\"");
  return replaced(text, "threads=128)", "threads=128, " + dims + ")");
}

TEST(LowerGpu, blocks_of_a_cluster_bring_each_other_what_they_read_alike) {
  struct Case {
    const char* dims;
    int multicasts, own, remote; ///< copies, and arrivals at other blocks
  };
  // A along x, B along y; both where a cluster is two by two.
  for (const Case& one :
       {Case{"cluster_dims=(2, 1)", 1, 1, 1}, Case{"cluster_dims=(1, 2)", 1, 1, 1},
        Case{"cluster_dims=(2, 2)", 2, 0, 2}}) {
    const Lowered lowered =
        expect_meaning(parsed(gemm_of_cluster(one.dims)), gpu("cuda:sm_90a"), true);
    EXPECT_EQ(count(lowered.text, "T.tma_load_multicast("), one.multicasts) << lowered.text;
    EXPECT_EQ(count(lowered.text, "T.tma_load("), one.own) << lowered.text;
    EXPECT_EQ(count(lowered.text, "T.mbarrier_arrive_cluster("), one.remote) << lowered.text;
    EXPECT_EQ(count(lowered.text, "T.cluster_sync()"), 2) << "as it begins and as it ends";
  }
  // Products under way, other types, and B as [n, k].
  expect_meaning(parsed(gemm_of_cluster("cluster_dims=(2, 2)", "float16", false, ", wg_wait=1")),
                 gpu("cuda:sm_90a"), true);
  expect_meaning(parsed(gemm_of_cluster("cluster_dims=(2, 2)", "int8", true)), gpu("cuda:sm_90a"),
                 true);
}

TEST(LowerGpu, clusters_go_from_tile_to_tile_together) {
  const auto persistent = [](int rows, int columns) {
    std::string text = gemm_of_cluster("cluster_dims=2");
    for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
             {"T.ceildiv(128, 64), T.ceildiv(128, 64)", "2"}, {" as (bx, by):", " as b:"}})
      text = replaced(text, from, to);
    const size_t clear = text.find("        T.clear(C_local)");
    std::string nested = fmt::format(
        "        for by, bx in T.Persistent([{}, {}], 2, b, group_size=2):\n", rows, columns);
    for (const std::string& line : split_text(text.substr(clear), '\n'))
      if (!line.empty())
        nested += "    " + line + "\n";
    return text.substr(0, clear) + nested;
  };
  const Lowered even = expect_meaning(parsed(persistent(2, 2)), gpu("cuda:sm_90a"), true);
  EXPECT_EQ(count(even.text, "T.tma_load_multicast("), 1) << even.text;
  // Three tiles among two blocks: they do not go round equally often, and each copies for itself.
  const Lowered odd = expect_meaning(
      parsed(replaced(persistent(3, 1), "(128, 128), \"float32\")", "(128, 64), \"float32\")")),
      gpu("cuda:sm_90a"), true);
  EXPECT_EQ(count(odd.text, "T.tma_load_multicast("), 0) << odd.text;
  EXPECT_EQ(count(odd.text, "T.cluster_sync()"), 0) << odd.text;
}

TEST(LowerGpu, clusters_that_cannot_be_are_refused) {
  const auto refused = [](const std::string& text, const char* target, const char* words) {
    auto module = lower_for_gpu(make_module(parsed(text)), gpu(target));
    ASSERT_FALSE(module.has_value());
    expect_found(module.error().message, {words});
  };
  refused(replaced(kGemm, "threads=128)", "threads=128, cluster_dims=(1, 2))"), "cuda:sm_80",
          "clusters of blocks are there from sm_90 on, and this is for sm_80");
  refused(gemm_of_cluster("annotations={\"cluster\": [2, 8]}"), "cuda:sm_90a",
          "a cluster of 16 blocks: it may have 8");
  refused(gemm_of_cluster("annotations={\"cluster\": [3, 1]}"), "cuda:sm_90a",
          "a grid of 2 blocks does not divide into clusters of 3");
}

TEST(LowerGpu, what_blocks_share_in_a_cluster_is_left_to_a_search) {
  const PrimFunc program = parsed(gemm_of_cluster("annotations={}"));
  const auto open = tir::simt_open_calls(program, 90);
  ASSERT_TRUE(open.has_value()) << open.error().message;
  std::string knobs;
  for (const tir::OpenCall& call : *open)
    if (call.label == "kernel")
      for (const tir::TileKnob& knob : call.choices.at(0).knobs)
        knobs += fmt::format("{}={} ", knob.name, fmt::join(knob.choices, "|"));
  EXPECT_EQ(knobs, "cluster_x=1|2 cluster_y=1|2 ");
  const auto with = [](const PrimFunc& function) {
    return tir::annotate_open(function, "kernel",
                              Annotations().with("cluster_x", make_int(DataType::int32(), 2)));
  };
  const Lowered lowered = expect_meaning(with(program), gpu("cuda:sm_90a"), true);
  EXPECT_EQ(count(lowered.text, "T.tma_load_multicast("), 1) << lowered.text;
  EXPECT_EQ(count(lowered.text, "\"cluster\": [2, 1]"), 1) << lowered.text;
  // Nothing comes of it where threads copy, and nothing is left of it.
  const PrimFunc alone =
      parsed(replaced(gemm_of_cluster("annotations={}"), "\"tma\": 2", "\"tma\": 0"));
  const Lowered same = expect_meaning(with(alone), gpu("cuda:sm_90a"));
  EXPECT_EQ(same.text.find("cluster"), std::string::npos) << same.text;
  EXPECT_TRUE(structural_equal(same.function, expect_meaning(alone, gpu("cuda:sm_90a")).function));
}

TEST(LowerGpu, what_a_warp_of_its_own_cannot_do_is_named) {
  const auto refused = [](const std::string& text, const char* words) {
    auto module = lower_for_gpu(make_module(parsed(text)), gpu("cuda:sm_90a"));
    ASSERT_FALSE(module.has_value());
    expect_found(module.error().message, {"TMA: ", words});
  };
  const std::string text =
      replaced(hopper_gemm("float16", 128, 64, 96, false, "64x64x32", 128, true), "{\"tma\": 1}",
               "{\"tma\": 2}");
  refused(replaced(text, "num_stages=3", "num_stages=1"), "nothing of it runs ahead");
  refused(replaced(text, "threads=128", "threads=96"), "whole warpgroups of 128 threads");
  refused(replaced(text, "threads=128", "threads=1024"), "room for one more");
  refused(replaced(text, ", annotations={\"variant\"", ", wg_wait=3, annotations={\"variant\""),
          "3 products may be under way, which takes 4 stages");
}

TEST(LowerGpu, copies_that_no_pipeline_waits_for_wait_themselves) {
  const Lowered lowered = expect_meaning(parsed(R"(
@T.prim_func
def main(A: T.Tensor((50, 64), "float16"), B: T.Tensor((64, 64), "float16"), C: T.Tensor((50, 64), "float32")):
    with T.Kernel(1, threads=128) as bx:
        A_shared = T.alloc_shared((64, 64), "float16")
        B_shared = T.alloc_shared((64, 64), "float16")
        C_local = T.alloc_fragment((64, 64), "float32")
        T.copy(A[0, 0], A_shared)
        T.copy(B[0, 0], B_shared)
        T.gemm(A_shared, B_shared, C_local, clear_accum=True, annotations={"variant": "wgmma"})
        T.copy(C_local, C[0, 0])
)"),
                                         gpu("cuda:sm_90a"));
  EXPECT_EQ(count(lowered.text, "T.ptx_cp_async("), 2) << lowered.text;
  // Once for both, and what engines read of them is fenced behind that.
  EXPECT_EQ(count(lowered.text, "T.ptx_wait_group(0)"), 1) << lowered.text;
  EXPECT_GT(lowered.text.find("T.fence_proxy_async()"), lowered.text.find("T.ptx_wait_group(0)"))
      << lowered.text;
}

TEST(LowerGpu, rows_are_moved_in_vectors) {
  for (const char* dtype : {"float32", "float16", "int8", "float8_e5m2"}) {
    SCOPED_TRACE(dtype);
    std::string text = R"(
@T.prim_func
def main(A: T.Tensor((50, 64), "TYPE"), B: T.Tensor((64,), "TYPE"), C: T.Tensor((50, 64), "TYPE")):
    with T.Kernel(T.ceildiv(50, 32), threads=64) as bx:
        x = T.alloc_fragment((32, 64), "float32")
        y = T.alloc_fragment((64,), "TYPE")
        tile = T.alloc_shared((32, 64), "TYPE")
        T.copy(A[bx * 32, 0], x)
        T.copy(B, y)
        for i, j in T.Parallel(32, 64):
            x[i, j] = x[i, j] + T.cast(y[j], "float32")
        T.copy(x, tile)
        T.copy(tile, C[bx * 32, 0])
)";
    for (size_t at = 0; (at = text.find("TYPE", at)) != std::string::npos;)
      text.replace(at, 4, dtype);
    const Lowered lowered = expect_meaning(parsed(text));
    // From A, into and out of the tile; B where its rows are long enough for the threads.
    EXPECT_GE(count(lowered.text, "T.copy_vector("), 3) << lowered.text;
  }
}

std::string with_type(std::string text, const char* dtype) {
  for (size_t at = 0; (at = text.find("TYPE", at)) != std::string::npos;)
    text.replace(at, 4, dtype);
  return text;
}

// Of the elements in memory, however wide those of the registers are.
TEST(LowerGpu, loops_over_what_a_thread_owns_move_vectors) {
  for (const auto& [dtype, width] : {std::pair("float32", 4), std::pair("float16", 8)}) {
    SCOPED_TRACE(dtype);
    const Lowered lowered = expect_meaning(parsed(with_type(R"(
@T.prim_func
def main(A: T.Tensor((50, 64), "TYPE"), B: T.Tensor((64,), "TYPE"), C: T.Tensor((50, 64), "TYPE")):
    with T.Kernel(T.ceildiv(50, 32), threads=64) as bx:
        x = T.alloc_fragment((32, 64), "float32")
        for i, j in T.Parallel(32, 64):
            x[i, j] = T.cast(A[bx * 32 + i, j], "float32") + T.cast(B[j], "float32")
        for i, j in T.Parallel(32, 64):
            C[bx * 32 + i, j] = T.cast(x[i, j] * 2.0, "TYPE")
)",
                                                            dtype)));
    for (const char* moved :
         {"T.copy_vector(A_vector[", "T.copy_vector(B_vector[", "T.copy_vector(C[bx"})
      EXPECT_EQ(count(lowered.text, moved), 1) << moved << lowered.text;
    EXPECT_EQ(count(lowered.text, fmt::format(", {})", width)), 3) << lowered.text;
  }
}

TEST(LowerGpu, vectors_are_as_wide_as_rows_and_conditions_allow) {
  // Rows of 36 are of vectors of four; what begins a row early, of none.
  const Lowered rows = expect_meaning(parsed(R"(
@T.prim_func
def main(A: T.Tensor((50, 36), "float16"), B: T.Tensor((50, 37), "float16"), C: T.Tensor((50, 36), "float16")):
    with T.Kernel(T.ceildiv(50, 32), threads=64) as bx:
        for i, j in T.Parallel(32, 36):
            C[bx * 32 + i, j] = A[bx * 32 + i, j] + B[bx * 32 + i, j + 1]
)"));
  EXPECT_EQ(count(rows.text, "T.copy_vector(A_vector[0], A["), 1) << rows.text;
  EXPECT_EQ(count(rows.text, "B_vector"), 0) << rows.text;
  // A border that is whole vectors, and one that is not.
  for (const auto& [border, vectors] : {std::pair(8, true), std::pair(1, false)}) {
    const Lowered lowered = expect_meaning(parsed(fmt::format(R"(
@T.prim_func
def main(A: T.Tensor((32, 64), "float16"), B: T.Tensor((32, 64), "float16"), C: T.Tensor((32, 80), "float16")):
    with T.Kernel(1, threads=64) as bx:
        tile = T.alloc_shared((32, 80), "float16")
        for i, j in T.Parallel(32, 80):
            tile[i, j] = T.if_then_else(j >= {0} and j < 64 + {0} and i > 0, A[i - 1, j - {0}], B[0, 0])
        T.copy(tile, C)
)",
                                                              border)));
    EXPECT_EQ(count(lowered.text, "A_vector") > 0, vectors) << lowered.text;
  }
}

TEST(LowerGpu, several_elements_of_a_byte_are_read_together) {
  const Lowered lowered = expect_meaning(parsed(R"(
@T.prim_func
def main(A: T.Tensor((32, 64), "int8"), I: T.Tensor((32,), "int32"), C: T.Tensor((32, 128), "float16")):
    with T.Kernel(1, threads=64) as bx:
        for i, j in T.Parallel(32, 128):
            byte = T.cast(A[I[i] * I[i], j // 2], "int32")
            C[i, j] = T.cast((byte >> (j % 2 * 4)) & 15, "float16")
)"));
  EXPECT_EQ(count(lowered.text, "T.copy_vector(A_vector[0], A["), 1) << lowered.text;
  EXPECT_EQ(count(lowered.text, "A_vector[j_1 // 2]"), 1) << lowered.text;
}

TEST(LowerGpu, packed_weights_are_read_as_whole_bytes) {
  for (const auto& [type, bytes] : {std::pair("int4", 4), std::pair("uint2", 2)}) {
    SCOPED_TRACE(type);
    const Lowered lowered = expect_meaning(parsed(with_type(R"(
@T.prim_func
def main(W: T.Tensor((50, 64), "TYPE"), S: T.Tensor((50,), "float16"), C: T.Tensor((50, 64), "float16")):
    with T.Kernel(T.ceildiv(50, 16), threads=64) as bx:
        tile = T.alloc_shared((16, 64), "float16")
        for i, j in T.Parallel(16, 64):
            tile[i, j] = T.cast(W[bx * 16 + i, j], "float16") * S[bx * 16 + i]
        T.copy(tile, C[bx * 16, 0])
)",
                                                            type)));
    EXPECT_EQ(count(lowered.text, "T.copy_vector(W_vector[0], W["), 1) << lowered.text;
    EXPECT_EQ(count(lowered.text, fmt::format("], {})\n", bytes)), 1) << lowered.text;
    EXPECT_EQ(count(lowered.text, " W["), 1) << lowered.text;
  }
  // An element that lies in the middle of a byte begins none.
  const Lowered lowered = expect_meaning(parsed(R"(
@T.prim_func
def main(W: T.Tensor((32, 64), "int4"), S: T.Tensor((32,), "float16"), C: T.Tensor((32, 64), "float16")):
    with T.Kernel(1, threads=64) as bx:
        for i, j in T.Parallel(32, 63):
            C[i, j] = T.cast(W[i, j + 1], "float16") + S[i]
        for i in T.Parallel(32):
            C[i, 63] = S[i]
)"));
  EXPECT_EQ(count(lowered.text, "W_vector"), 0) << lowered.text;
}

// The bounds of the table stand around the second use of the same bytes.
TEST(LowerGpu, indices_of_a_lookup_are_read_once_for_all_lanes) {
  const Lowered lowered = expect_meaning(parsed(R"(
@T.prim_func
def main(codes: T.Tensor((512,), "uint8"), tables: T.Tensor((2, 16), "int8"), C: T.Tensor((512,), "int32")):
    with T.Kernel(1, threads=64) as bx:
        sums = T.alloc_fragment((512,), "int16")
        T.clear(sums)
        T.lookup(tables[0, 0:16], codes[0:512], sums)
        T.lookup(tables[1, 0:16], codes[0:512], sums, shift=4)
        for i in T.Parallel(512):
            C[i] = T.cast(sums[i], "int32")
)"));
  EXPECT_EQ(count(lowered.text, "T.copy_vector(codes_vector"), 2) << lowered.text;
  EXPECT_EQ(count(lowered.text, " codes["), 2) << lowered.text;
}

// Sums of several rows in turn: each thread has its share of all of them.
TEST(LowerGpu, rows_of_a_fragment_that_loops_go_through_stay_in_registers) {
  for (const char* index : {"r", "3 - r", "2"}) {
    SCOPED_TRACE(index);
    const Lowered lowered = expect_meaning(parsed(replaced(
        R"(
@T.prim_func
def main(A: T.Tensor((4, 3, 64), "int8"), x: T.Tensor((3, 64), "float32"), C: T.Tensor((4, 64), "float32")):
    with T.Kernel(1, threads=32) as bx:
        sums = T.alloc_fragment((4, 64), "float32")
        part = T.alloc_fragment((64,), "float32")
        T.clear(sums)
        for r in T.serial(4):
            for g in T.serial(3):
                T.clear(part)
                for v in T.Parallel(64):
                    part[v] = part[v] + T.cast(A[r, g, v], "float32") * x[g, v]
                for v in T.Parallel(64):
                    sums[ROW, v] = sums[ROW, v] + part[v]
        T.copy(sums, C)
)",
        "sums[ROW, v] = sums[ROW, v]", fmt::format("sums[{0}, v] = sums[{0}, v]", index))));
    EXPECT_EQ(count(lowered.text, "_staged"), 0) << lowered.text;
    EXPECT_EQ(count(lowered.text, "T.sync_threads()"), 0) << lowered.text;
    EXPECT_EQ(count(lowered.text, "for r in T.unroll(4)"), *index == '2' ? 0 : 1) << lowered.text;
  }
  // More than a thread can hold, and rows that differ between iterations, go through memory.
  const Lowered lowered = expect_meaning(parsed(R"(
@T.prim_func
def main(A: T.Tensor((32, 64), "float32"), B: T.Tensor((32, 64), "float32"), C: T.Tensor((32, 64), "float32")):
    with T.Kernel(1, threads=32) as bx:
        sums = T.alloc_fragment((32, 64), "float32")
        T.clear(sums)
        for r in T.serial(32):
            for v in T.Parallel(64):
                sums[r, v] = sums[31 - r, v] + A[r, v] + B[r, v]
        T.copy(sums, C)
)"));
  EXPECT_GT(count(lowered.text, "_staged"), 0) << lowered.text;
}

// What a step itself changes is read where it is.
TEST(LowerGpu, values_that_a_step_makes_are_not_read_ahead) {
  const Lowered lowered = expect_meaning(parsed(R"(
@T.prim_func
def main(A: T.Tensor((32, 64), "int32"), B: T.Tensor((64,), "int32"), C: T.Tensor((32, 64), "int32")):
    with T.Kernel(1, threads=64) as bx:
        tile = T.alloc_shared((32, 64), "int32")
        at = T.alloc_shared((32, 64), "int32")
        T.copy(A, tile)
        for i, j in T.Parallel(32, 64):
            at[i, j] = T.max(B[j], 0)
            tile[i, j] = tile[i, j] + B[at[i, j]]
            C[i, j] = tile[i, j] * 2
)"));
  EXPECT_EQ(count(lowered.text, "tile_vector"), 0) << lowered.text;
  EXPECT_GT(count(lowered.text, "T.copy_vector(C["), 0) << lowered.text;
}

// Without that each thread would add up whole rows.
TEST(LowerGpu, rows_in_shared_memory_are_dealt_to_lanes) {
  for (const char* op : {"sum", "max", "absmax", "bitxor"})
    for (const auto& [rows, columns] : {std::pair(1, 1000), std::pair(4, 100), std::pair(24, 40),
                                        std::pair(200, 16), std::pair(8, 3)})
      for (const int dim : {0, 1}) {
        SCOPED_TRACE(fmt::format("{} of {} x {} along {}", op, rows, columns, dim));
        const int kept = dim == 0 ? columns : rows;
        const Lowered lowered = expect_meaning(parsed(fmt::format(R"(
@T.prim_func
def main(A: T.Tensor(({0}, {1}), "int32"), B: T.Tensor(({2},), "int32"), C: T.Tensor((2, {2}), "int32")):
    with T.Kernel(1, threads=128) as bx:
        tile = T.alloc_shared(({0}, {1}), "int32")
        held = T.alloc_fragment(({2},), "int32")
        other = T.alloc_shared(({2},), "int32")
        T.copy(A, tile)
        T.copy(B, other)
        T.reduce_{3}(tile, held, dim={4})
        T.reduce_{3}(tile, other, dim={4}, clear=False)
        T.copy(held, C[0, 0:{2}])
        T.copy(other, C[1, 0:{2}])
)",
                                                                  rows, columns, kept, op, dim)));
        const bool shared_out = dim == 1 ? rows < 128 : columns <= 64 && rows > 1;
        EXPECT_EQ(count(lowered.text, "parts = T.alloc_shared(") > 0, shared_out) << lowered.text;
      }
}

// A thread uses what it reads of A and B for all of its part of C.
TEST(LowerGpu, products_without_tensor_cores_are_sums_of_outer_products) {
  const Lowered lowered = expect_meaning(parsed(R"(
@T.prim_func
def main(A: T.Tensor((64, 96), "float32"), B: T.Tensor((96, 64), "float32"), C: T.Tensor((2, 64, 64), "float32")):
    with T.Kernel(1, threads=128) as bx:
        A_shared = T.alloc_shared((64, 32), "float32")
        B_shared = T.alloc_shared((32, 64), "float32")
        C_local = T.alloc_fragment((64, 64), "float32")
        T.clear(C_local)
        for k in T.Pipelined(3, num_stages=2):
            T.copy(A[0, k * 32], A_shared)
            T.copy(B[k * 32, 0], B_shared)
            T.gemm(A_shared, B_shared, C_local)
        T.copy(C_local, C[0, 0, 0])
        tile = T.alloc_shared((64, 32), "float32")
        T.copy(A[0, 32], tile)
        T.gemm(tile, tile, C_local, transpose_B=True, clear_accum=True)
        T.copy(C_local, C[1, 0, 0])
)"));
  EXPECT_GT(count(lowered.text, "T.copy_vector(B_shared_vector["), 0) << lowered.text;
}

TEST(LowerGpu, lanes_fold_rows_by_shuffles) {
  for (const char* op : {"sum", "max", "min", "absmax"}) {
    SCOPED_TRACE(op);
    // Rows of a product's accumulator, and rows dealt out to threads.
    const Lowered lowered = expect_meaning(parsed(std::string(R"(
@T.prim_func
def main(A: T.Tensor((64, 32), "float16"), B: T.Tensor((32, 48), "float16"), C: T.Tensor((2, 64), "float32")):
    with T.Kernel(1, threads=128) as bx:
        A_shared = T.alloc_shared((64, 32), "float16")
        B_shared = T.alloc_shared((32, 48), "float16")
        product = T.alloc_fragment((64, 48), "float32")
        tile = T.alloc_fragment((64, 32), "float32")
        rows = T.alloc_fragment((64,), "float32")
        others = T.alloc_fragment((64,), "float32")
        T.copy(A, A_shared)
        T.copy(B, B_shared)
        T.copy(A, tile)
        T.clear(product)
        T.gemm(A_shared, B_shared, product, policy="FullRow")
        T.reduce_)") + op + R"((product, rows, dim=1)
        T.reduce_)" + op + R"((product, rows, dim=1, clear=False)
        T.reduce_)" + op + R"((tile, others, dim=1)
        T.copy(rows, C[0, 0:64])
        T.copy(others, C[1, 0:64])
)"));
    EXPECT_GT(count(lowered.text, "T.shfl_xor_sync("), 0) << lowered.text;
    EXPECT_EQ(count(lowered.text, "_staged"), 0) << lowered.text;
  }
}

// Without that each thread would add up whole rows, from shared memory.
TEST(LowerGpu, warps_that_share_a_row_leave_their_sums_to_each_other) {
  for (const char* op : {"sum", "max", "min", "abssum"})
    for (const auto& [rows, warps] : {std::pair(1, 4), std::pair(2, 4), std::pair(16, 4)}) {
      SCOPED_TRACE(fmt::format("{} {}", op, rows));
      const Lowered lowered = expect_meaning(parsed(fmt::format(R"(
@T.prim_func
def main(A: T.Tensor(({0}, 1024), "float16"), C: T.Tensor((2, {0}), "float32")):
    with T.Kernel(1, threads=128) as bx:
        tile = T.alloc_fragment(({0}, 1024), "float32")
        rows = T.alloc_fragment(({0},), "float32")
        T.copy(A, tile)
        for again in T.serial(2):
            T.reduce_{1}(tile, rows, dim=1)
            T.reduce_{1}(tile, rows, dim=1, clear=False)
            T.copy(rows, C[again, 0:{0}])
)",
                                                                rows, op)));
      EXPECT_GT(count(lowered.text, "T.shfl_xor_sync("), 0) << lowered.text;
      EXPECT_GT(count(lowered.text, "among_warps"), warps) << lowered.text;
      EXPECT_EQ(count(lowered.text, "_staged"), 0) << lowered.text;
    }
}

TEST(LowerGpu, results_leave_through_shared_memory_and_the_copy_engine) {
  for (const char* dtype : {"float16", "bfloat16"})
    for (const int tma : {0, 2})
      for (const char* store : {"threads", "tma_store"}) {
        SCOPED_TRACE(fmt::format("{} {} {}", dtype, tma, store));
        std::string text = hopper_gemm(dtype, 100, 80, 96, false, "64x64x32", 128, true);
        text = replaced(text, "{\"tma\": 1}", fmt::format("{{\"tma\": {}}}", tma));
        text = replaced(text, "C: T.Tensor((100, 80), \"float32\")",
                        fmt::format("C: T.Tensor((100, 80), \"{}\")", dtype));
        text = replaced(text, "        C_local = ",
                        fmt::format("        C_shared = T.alloc_shared((64, 64), \"{}\")\n"
                                    "        C_local = ",
                                    dtype));
        text =
            replaced(text, "T.copy(C_local, C[by * 64, bx * 64])",
                     fmt::format("T.copy(C_local, C_shared)\n        T.copy(C_shared, C[by * 64, "
                                 "bx * 64], annotations={{\"variant\": \"{}\"}})",
                                 store));
        const Lowered lowered = expect_meaning(parsed(text), gpu("cuda:sm_90a"), tma == 2);
        EXPECT_EQ(count(lowered.text, "T.ptx_stmatrix("), 1) << lowered.text;
        const bool engine = std::string(store) == "tma_store";
        EXPECT_EQ(count(lowered.text, "T.tma_store("), engine ? 1 : 0) << lowered.text;
        EXPECT_TRUE(lowered.report.conflicts().empty())
            << lowered.report.conflicts().front().to_string();
      }
}

// Of 4 bytes each a row of the matrix takes all banks: pairs of registers met in half of them.
TEST(LowerGpu, memory_that_registers_of_products_go_to_has_few_conflicts) {
  std::string text = replaced(kGemm, "        C_local = ",
                              "        C_shared = T.alloc_shared((64, 64), \"float32\")\n"
                              "        C_local = ");
  text = replaced(text, "T.copy(C_local, C[by * 64, bx * 64])",
                  "T.copy(C_local, C_shared)\n        T.copy(C_shared, C[by * 64, bx * 64])");
  const Lowered lowered = expect_meaning(parsed(text));
  EXPECT_EQ(count(lowered.text, "C_shared = T.alloc_shared((4096,)"), 1) << lowered.text;
  for (const auto& site : lowered.report.conflicts())
    EXPECT_LE(site.ways(), 2) << site.to_string();
}

// The next tile is computed beside the store of the last one.
TEST(LowerGpu, stores_of_the_copy_engine_are_waited_for_where_their_memory_is_written_again) {
  for (const int tma : {0, 2}) {
    SCOPED_TRACE(tma);
    std::string text = hopper_gemm("float16", 192, 64, 96, false, "64x64x32", 128, true);
    text = replaced(text, "{\"tma\": 1}", fmt::format("{{\"tma\": {}}}", tma));
    text =
        replaced(text, "T.Kernel(T.ceildiv(64, 64), T.ceildiv(192, 64), threads=128) as (bx, by)",
                 "T.Kernel(1, threads=128) as bx");
    const size_t clear = text.find("        T.clear(C_local)");
    std::string tile = text.substr(clear);
    text.erase(clear);
    tile = replaced(tile, "T.copy(C_local, C[by * 64, bx * 64])",
                    "T.copy(C_local, C_shared)\n        T.copy(C_shared, C[by * 64, bx * 64], "
                    "annotations={\"variant\": \"tma_store\"})");
    text += "        C_shared = T.alloc_shared((64, 64), \"float32\")\n"
            "        for by in T.serial(3):\n";
    for (const std::string& line : split_text(tile, '\n'))
      text += "    " + line + "\n";
    const Lowered lowered = expect_meaning(parsed(text), gpu("cuda:sm_90a"), tma == 2);
    EXPECT_EQ(count(lowered.text, "T.tma_store_arrive()"), 1) << lowered.text;
    EXPECT_EQ(count(lowered.text, "T.tma_store_wait(0)"), 2) << lowered.text;
    const size_t stored = lowered.text.find("T.tma_store_arrive()");
    EXPECT_LT(lowered.text.find("T.tma_store_wait(0)"), stored) << lowered.text;
    EXPECT_GT(lowered.text.rfind("T.tma_store_wait(0)"), stored) << lowered.text;
  }
}

TEST(LowerGpu, attention_keeps_its_scores_in_registers) {
  const auto source = [](const char* tma, const char* variant) {
    return std::string(R"(
@T.prim_func
def main(Q: T.Tensor((64, 64), "float16"), K: T.Tensor((128, 64), "float16"), O: T.Tensor((64, 64), "float32")):
    with T.Kernel(1, threads=128) as bx:
        Q_shared = T.alloc_shared((64, 64), "float16")
        K_shared = T.alloc_shared((32, 64), "float16")
        scores = T.alloc_fragment((64, 32), "float32")
        cast = T.alloc_fragment((64, 32), "float16")
        output = T.alloc_fragment((64, 64), "float32")
        T.copy(Q, Q_shared)
        T.clear(output)
        for k in T.Pipelined(4, num_stages=2, annotations={"tma": )") +
           tma + R"(}):
            T.copy(K[k * 32, 0], K_shared)
            T.gemm(Q_shared, K_shared, scores, transpose_B=True, clear_accum=True, policy="FullRow", annotations={"variant": ")" +
           variant + R"("})
            T.copy(scores, cast)
            T.gemm(cast, K_shared, output, policy="FullRow", annotations={"variant": ")" +
           variant +
           R"("})
        T.copy(output, O)
)";
  };
  for (const char* tma : {"0", "1", "2"}) {
    SCOPED_TRACE(tma);
    const Lowered lowered =
        expect_meaning(parsed(source(tma, "wgmma")), gpu("cuda:sm_90a"), std::string(tma) == "2");
    EXPECT_GT(count(lowered.text, "T.ptx_wgmma_ss("), 0) << lowered.text;
    EXPECT_GT(count(lowered.text, "T.ptx_wgmma_rs("), 0) << lowered.text;
  }
  expect_meaning(parsed(source("2", "mma_sync")), gpu("cuda:sm_90a"), true);
}

TEST(LowerGpu, what_attention_leaves_open_on_hopper_has_its_best_kernel) {
  const auto open = tir::simt_open_calls(parsed(R"(
@T.prim_func
def main(Q: T.Tensor((128, 64), "float16"), K: T.Tensor((256, 64), "float16"), O: T.Tensor((128, 64), "float16")):
    with T.Kernel(1, threads=256) as bx:
        Q_shared = T.alloc_shared((128, 64), "float16")
        K_shared = T.alloc_shared((64, 64), "float16")
        scores = T.alloc_fragment((128, 64), "float32")
        cast = T.alloc_fragment((128, 64), "float16")
        output = T.alloc_fragment((128, 64), "float32")
        T.copy(Q, Q_shared)
        T.clear(output)
        for k in T.Pipelined(4, num_stages=2):
            T.copy(K[k * 64, 0], K_shared)
            T.gemm(Q_shared, K_shared, scores, transpose_B=True, clear_accum=True)
            T.copy(scores, cast)
            T.gemm(cast, K_shared, output)
        T.copy(output, Q_shared)
        T.copy(Q_shared, O)
)"),
                                         90);
  ASSERT_TRUE(open.has_value()) << open.error().message;
  std::map<std::string, std::string> choices;
  for (const tir::OpenCall& call : *open)
    for (const auto& choice : call.choices) {
      choices[call.label] += choice.variant + " ";
      for (const tir::TileKnob& knob : choice.knobs)
        if (knob.name == "tma")
          choices[call.label] += fmt::format("tma={} ", fmt::join(knob.choices, "|"));
    }
  EXPECT_NE(choices["gemm"].find("wgmma"), std::string::npos) << choices["gemm"];
  EXPECT_NE(choices["gemm_2"].find("wgmma"), std::string::npos) << choices["gemm_2"];
  EXPECT_NE(choices["pipeline"].find("tma=0|1|2"), std::string::npos) << choices["pipeline"];
  std::string copies;
  for (const auto& [label, list] : choices)
    if (label.starts_with("copy"))
      copies += list;
  EXPECT_NE(copies.find("tma_store"), std::string::npos) << copies;
}

TEST(LowerGpu, what_the_copy_engine_cannot_do_is_named) {
  const auto refused = [](const std::string& text, const char* words) {
    auto module = lower_for_gpu(make_module(parsed(text)), gpu("cuda:sm_90a"));
    ASSERT_FALSE(module.has_value());
    expect_found(module.error().message, {words});
  };
  const std::string text = hopper_gemm("float16", 128, 64, 96, false, "64x64x32", 128, true);
  // Rows of B: 60 elements of two bytes.
  refused(hopper_gemm("float16", 128, 60, 96, false, "64x64x32", 128, true),
          "TMA: rows of B have 120 bytes, which is no multiple of 16");
  refused(replaced(text, "num_stages=3", "num_stages=1"), "TMA: nothing of it runs ahead");
  auto old = lower_for_gpu(make_module(parsed(text)), gpu("cuda:sm_80"));
  ASSERT_FALSE(old.has_value());
  expect_found(old.error().message, {"line 10", "it is there from sm_90 on"});
  refused(hopper_gemm("float16", 128, 64, 96, false, "64x64x32", 64, true),
          "64 threads are no warpgroups of 128");
}

} // namespace
} // namespace temper::codegen::testing
