// One kernel for every extent of a symbolic dimension: compiled once, called with several, against
// the interpreter.
#include "codegen/library/export.h"
#include "codegen/lower.h"
#include "ir/interpret.h"
#include "ir/script/parser.h"
#include "ir/support/random.h"
#include "tests/codegen/build.h"

#include <algorithm>
#include <filesystem>
#include <map>

namespace temper::codegen::testing {
namespace {

/// Rows and columns, both symbolic: strides are symbolic too, and both edges have tails.
constexpr const char* kScale = R"(
m = T.dynamic("m")
n = T.symbolic("n")

@T.prim_func
def main(A: T.Tensor((m, n), "float32"), B: T.Tensor((m, n), "float32")):
    with T.Kernel(T.ceildiv(n, 32), T.ceildiv(m, 8), threads=128) as (bx, by):
        tile = T.alloc_fragment((8, 32), "float32")
        T.copy(A[by * 8, bx * 32], tile)
        for i, j in T.Parallel(8, 32):
            tile[i, j] = tile[i, j] * 2.0 + 1.0
        T.copy(tile, B[by * 8, bx * 32])
)";

constexpr const char* kProduct = R"(
m = T.dynamic("m")
n = T.dynamic("n")
k = T.dynamic("k")

@T.prim_func
def main(A: T.Tensor((m, k), "float32"), B: T.Tensor((n, k), "float32"), C: T.Tensor((m, n), "float32")):
    with T.Kernel(T.ceildiv(n, 32), T.ceildiv(m, 16), threads=128) as (bx, by):
        a = T.alloc_shared((16, 24), "float32")
        b = T.alloc_shared((32, 24), "float32")
        c = T.alloc_fragment((16, 32), "float32")
        T.clear(c)
        for step in T.Pipelined(T.ceildiv(k, 24), num_stages=2):
            T.copy(A[by * 16, step * 24], a)
            T.copy(B[bx * 32, step * 24], b)
            T.gemm(a, b, c, transpose_B=True)
        T.copy(c, C[by * 16, bx * 32])
)";

/// The extent is the longest of what a row of constant length adds up to.
constexpr const char* kRowSums = R"(
m = T.dynamic("m")

@T.prim_func
def main(A: T.Tensor((m, 64), "float32"), B: T.Tensor((m,), "float32")):
    with T.Kernel(T.ceildiv(m, 16), threads=128) as bx:
        tile = T.alloc_fragment((16, 64), "float32")
        sums = T.alloc_fragment((16,), "float32")
        T.copy(A[bx * 16, 0], tile)
        T.reduce_sum(tile, sums, dim=1)
        T.copy(sums, B[bx * 16])
)";

PrimFunc parse(const char* text) {
  const auto module = script::parse_module(text, "dynamic.py");
  EXPECT_TRUE(module) << module.error().to_string();
  return module ? (*module)->functions.front().function.as_ref<PrimFuncNode>() : nullptr;
}

/// Lowered and compiled for the host.
Artifact build(const PrimFunc& function, int threads) {
  const auto target = resolve_target(native(threads));
  EXPECT_TRUE(target);
  const auto registers = vector_registers(*target);
  EXPECT_TRUE(registers);
  LowerOptions options;
  options.vector_bits = registers->bits;
  options.vector_registers = registers->count;
  options.serial = threads == 1;
  const auto lowered = lower_for_cpu(make_module(function), options);
  EXPECT_TRUE(lowered) << lowered.error().to_string();
  return lowered ? must_compile((*lowered)->functions.front().function.as_ref<PrimFuncNode>(),
                                native(threads))
                 : Artifact();
}

struct Case {
  const char* name;
  const char* text;
  std::vector<std::vector<int32_t>> extents; ///< of the symbolic dimensions, in their order
};

class DynamicShapes : public ::testing::TestWithParam<Case> {};

TEST_P(DynamicShapes, OneKernelComputesEveryExtent) {
  const PrimFunc function = parse(GetParam().text);
  ASSERT_TRUE(function);
  for (const int threads : {1, 2}) {
    const Artifact artifact = build(function, threads);
    ASSERT_EQ(artifact.signature.size(), function->params.size() + function->shape_vars.size());
    const Loaded kernel(artifact);
    for (const std::vector<int32_t>& extents : GetParam().extents) {
      SCOPED_TRACE(::testing::PrintToString(extents));
      std::map<const Node*, int64_t> values;
      for (size_t i = 0; i < extents.size(); ++i)
        values[function->shape_vars[i].get()] = extents[i];
      Random random(5);
      std::vector<std::vector<float>> arrays;
      std::vector<std::vector<int64_t>> shapes;
      for (const Param& param : function->params) {
        int64_t count = 1;
        shapes.emplace_back();
        for (const Expr& extent : param.buffer->shape) {
          shapes.back().push_back(as_int(extent) ? *as_int(extent) : values.at(extent.get()));
          count *= shapes.back().back();
        }
        // What lies behind the last element is not to be touched.
        arrays.emplace_back(static_cast<size_t>(count) + 64, -77.0F);
        for (int64_t i = 0; i < count; ++i)
          arrays.back()[static_cast<size_t>(i)] = static_cast<float>(random.below(9) - 4);
      }
      std::vector<std::vector<float>> expected = arrays;
      std::vector<InterpretArgument> interpreted;
      std::vector<void*> arguments;
      for (size_t i = 0; i < arrays.size(); ++i) {
        const auto count = static_cast<int64_t>(arrays[i].size()) - 64;
        interpreted.emplace_back(
            ArrayView{DataType::float32(), expected[i].data(), count, shapes[i], true});
        arguments.push_back(arrays[i].data());
      }
      const auto done = interpret(function, interpreted);
      ASSERT_TRUE(done) << done.error().to_string();
      for (const int32_t& extent : extents)
        arguments.push_back(const_cast<int32_t*>(&extent));
      ASSERT_EQ(kernel.call(arguments), 0);
      EXPECT_EQ(arrays, expected);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Programs, DynamicShapes,
    ::testing::Values(
        Case{"scale",
             kScale,
             {{1, 1}, {8, 32}, {7, 31}, {9, 33}, {40, 100}, {3, 200}, {0, 5}, {5, 0}}},
        Case{"product",
             kProduct,
             {{1, 1, 1},
              {16, 32, 24},
              {17, 33, 25},
              {5, 70, 3},
              {50, 20, 100},
              {0, 8, 8},
              {8, 0, 8},
              {8, 8, 0}}},
        Case{"row_sums", kRowSums, {{1}, {15}, {16}, {17}, {100}, {0}}}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(DynamicShapes, AreTakenFromTensorsByTheExportedFunction) {
  Artifact artifact = build(parse(kScale), 1); // A[m, n], B[m, n], m, n
  for (const size_t i : {0U, 1U})
    artifact.signature[i].shape = {-3, -4};
  std::string pattern = std::filesystem::temp_directory_path() / "temper-extents-XXXXXX";
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  const auto exported =
      export_library("scales", {{.name = "scale", .artifact = artifact}}, {.directory = pattern});
  ASSERT_TRUE(exported) << exported.error().message;
  EXPECT_EQ(exported->functions[0].signature,
            "int scale(const float* A, float* B, int32_t m, int32_t n)");
  const auto tensor = [](std::vector<int64_t> shape) {
    return ArgumentSpec{"T", DataType::float32(), std::move(shape), true, false};
  };
  for (const auto& [m, n] : std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {9, 33}, {40, 7}}) {
    std::vector<float> a(static_cast<size_t>(m * n), 3);
    std::vector<float> b(a.size() + 1, -1);
    const auto done = call_exported(exported->library, "scale", {tensor({m, n}), tensor({m, n})},
                                    {a.data(), b.data()});
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(std::count(b.begin(), b.end(), 7.0F), m * n);
    EXPECT_EQ(b.back(), -1);
  }
  std::vector<float> a(200);
  std::vector<float> b(200);
  const auto differ = call_exported(exported->library, "scale",
                                    {tensor({10, 20}), tensor({10, 19})}, {a.data(), b.data()});
  ASSERT_FALSE(differ);
  EXPECT_NE(differ.error().message.find(
                "scale(A: float32[m, n], B: float32[m, n]): argument 1 (B) has 19 elements in "
                "dimension 1, but n is 20 in argument 0 (A)"),
            std::string::npos)
      << differ.error().message;
  std::filesystem::remove_all(pattern);
}

TEST(DynamicShapes, AreMarkedInTheSignatureAndExportedOnlyWithTheirExtents) {
  const Artifact artifact = build(parse(kRowSums), 1);
  ASSERT_EQ(artifact.signature.size(), 3U);
  EXPECT_EQ(artifact.signature[0].shape, (std::vector<int64_t>{-1, 64}));
  EXPECT_TRUE(artifact.signature[0].is_symbolic());
  EXPECT_TRUE(artifact.signature[1].is_output);
  EXPECT_FALSE(artifact.signature[2].is_buffer);
  EXPECT_EQ(artifact.signature[2].name, "m");
  const auto exported = export_library("sums", {{.name = "sums", .artifact = artifact}});
  ASSERT_FALSE(exported);
  EXPECT_NE(exported.error().message.find("argument 'A' of sums has a symbolic shape"),
            std::string::npos)
      << exported.error().message;
}

TEST(DynamicShapes, MemoryOfABlockCannotHave) {
  const auto module = script::parse_module(R"(
m = T.dynamic("m")

@T.prim_func
def main(A: T.Tensor((m,), "float32")):
    with T.Kernel(1, threads=32) as bx:
        tile = T.alloc_shared((m,), "float32")
        T.copy(A, tile)
        T.copy(tile, A)
)",
                                           "dynamic.py");
  ASSERT_TRUE(module) << module.error().to_string();
  const auto lowered = lower_for_cpu(*module, {});
  ASSERT_FALSE(lowered);
  EXPECT_NE(lowered.error().message.find("tile has a symbolic shape, which only parameters may"),
            std::string::npos)
      << lowered.error().message;
}

} // namespace
} // namespace temper::codegen::testing
