// Tile programs as threads, in the emulator, against what they mean.
#include "ir/tir/lower_simt.h"

#include "ir/script/printer.h"
#include "ir/script/workload_file.h"
#include "ir/structural.h"
#include "ir/tir/lower_tiles.h"
#include "ir/verify.h"
#include "tests/tir/emulated_programs.h"

#include <tuple>

namespace temper::tir {
namespace {

std::vector<float> quarters(size_t count, uint64_t seed) { return numbers(count, seed, 4, 4); }

/// The inputs' names are the buffers' order; the last buffer is the output.
void expect_meaning(const PrimFunc& function, std::vector<std::vector<float>> inputs,
                    size_t outputs) {
  ASSERT_TRUE(function);
  auto lowered = lower_simt(function);
  ASSERT_TRUE(lowered.has_value()) << lowered.error().message;
  auto meaning = tile_meaning(function);
  ASSERT_TRUE(meaning.has_value()) << meaning.error().message;
  const auto well_formed = verify(*lowered);
  ASSERT_TRUE(well_formed.has_value()) << well_formed.error().message;
  const std::string printed = script::to_text(*lowered);
  auto again = script::parse_prim_func(printed, "printed.py");
  ASSERT_TRUE(again.has_value()) << printed << again.error().to_string();
  EXPECT_TRUE(structural_equal(*again, *lowered)) << printed;
  std::vector<float> expected(outputs), actual(outputs);
  std::vector<InterpretArgument> arguments;
  for (auto& values : inputs)
    arguments.emplace_back(input(values));
  arguments.emplace_back(output(expected));
  auto reference = interpret(*meaning, arguments);
  ASSERT_TRUE(reference.has_value()) << reference.error().message;
  arguments.back() = output(actual);
  auto report = emulate_thoroughly(*lowered, arguments);
  ASSERT_TRUE(report.has_value()) << report.error().message << "\n" << script::to_text(*lowered);
  for (size_t i = 0; i < outputs; ++i)
    ASSERT_NEAR(actual[i], expected[i], 1e-4 * std::max(1.0f, std::abs(expected[i]))) << i;
}

void expect_meaning(const std::string& text, std::vector<std::vector<float>> inputs,
                    size_t outputs) {
  expect_meaning(parsed(text), std::move(inputs), outputs);
}

TEST(LowerSimt, a_matrix_product_with_tails_is_what_it_means) {
  expect_meaning(R"(
@T.prim_func
def main(A: T.Tensor((50, 40), "float32"), B: T.Tensor((40, 36), "float32"), C: T.Tensor((50, 36), "float32")):
    with T.Kernel(T.ceildiv(36, 16), T.ceildiv(50, 32), threads=64) as (bx, by):
        A_shared = T.alloc_shared((32, 16), "float32")
        B_shared = T.alloc_shared((16, 16), "float32")
        C_local = T.alloc_fragment((32, 16), "float32")
        T.clear(C_local)
        for k in T.Pipelined(T.ceildiv(40, 16), num_stages=2):
            T.copy(A[by * 32, k * 16], A_shared)
            T.copy(B[k * 16, bx * 16], B_shared)
            T.gemm(A_shared, B_shared, C_local)
        T.copy(C_local, C[by * 32, bx * 16])
)",
                 {quarters(2000, 1), quarters(1440, 2)}, 1800);
}

TEST(LowerSimt, a_product_may_have_one_row_one_column_or_one_term) {
  for (const auto& [m, n, k] : {std::tuple(32, 32, 1), std::tuple(1, 32, 8), std::tuple(32, 1, 8),
                                std::tuple(1, 1, 4), std::tuple(1, 1, 1)})
    for (const bool transposed : {false, true}) {
      SCOPED_TRACE(testing::Message() << m << " " << n << " " << k << " " << transposed);
      const auto shape = [&](int rows, int columns) {
        return "(" + std::to_string(transposed ? columns : rows) + ", " +
               std::to_string(transposed ? rows : columns) + ")";
      };
      const std::string a = shape(m, k);
      const std::string b = shape(k, n);
      const std::string c = "(" + std::to_string(m) + ", " + std::to_string(n) + ")";
      const std::string flags = transposed ? ", transpose_A=True, transpose_B=True" : "";
      expect_meaning(
          "\n@T.prim_func\ndef main(A: T.Tensor(" + a + ", \"float32\"), B: T.Tensor(" + b +
              ", \"float32\"), C: T.Tensor(" + c + ", \"float32\")):\n" +
              "    with T.Kernel(1, threads=64) as bx:\n"
              "        A_shared = T.alloc_shared(" +
              a + ", \"float16\")\n        B_shared = T.alloc_shared(" + b +
              ", \"float16\")\n        C_local = T.alloc_fragment(" + c +
              ", \"float32\")\n        T.copy(A, A_shared)\n        T.copy(B, B_shared)\n"
              "        T.clear(C_local)\n        T.gemm(A_shared, B_shared, C_local" +
              flags + ")\n        T.copy(C_local, C)\n",
          {quarters(static_cast<size_t>(m * k), 1), quarters(static_cast<size_t>(k * n), 2)},
          static_cast<size_t>(m * n));
    }
}

TEST(LowerSimt, what_no_gpu_has_is_said_at_its_line) {
  for (const char* threads : {"1", "33", "2048"}) {
    const auto lowered = lower_simt(parsed(replaced(R"(
@T.prim_func
def main(A: T.Tensor((64,), "float32"), B: T.Tensor((64,), "float32")):
    with T.Kernel(1, threads=THREADS) as bx:
        tile = T.alloc_fragment((64,), "float32")
        T.copy(A, tile)
        T.copy(tile, B)
)",
                                                    "THREADS", threads)));
    ASSERT_FALSE(lowered.has_value());
    expect_found(lowered.error().message,
                 {"line 4, column 5: a block of ", threads, "whole warps of 32, up to 1024"});
  }
  const auto overlapping = lower_simt(parsed(R"(
@T.prim_func
def main(A: T.Tensor((256,), "float32"), B: T.Tensor((256,), "float32")):
    with T.Kernel(1, threads=128) as bx:
        t = T.alloc_fragment((16, 16), "float32")
        T.annotate_layout({t: T.Fragment((16, 16), lambda i, j: (i * 8 + j // 2, 0))})
        for i, j in T.Parallel(16, 16):
            t[i, j] = A[i * 16 + j]
        for i, j in T.Parallel(16, 16):
            B[i * 16 + j] = t[i, j]
)"));
  ASSERT_FALSE(overlapping.has_value());
  expect_found(overlapping.error().message,
               {"line 5, column ", "the layout of t puts several elements into the same register"});
}

TEST(LowerSimt, rows_are_reduced_across_lanes) {
  expect_meaning(R"(
@T.prim_func
def main(A: T.Tensor((64, 48), "float32"), B: T.Tensor((64, 48), "float32")):
    with T.Kernel(T.ceildiv(64, 32), threads=128) as bx:
        x = T.alloc_fragment((32, 48), "float32")
        top = T.alloc_fragment((32,), "float32")
        total = T.alloc_fragment((32,), "float32")
        T.copy(A[bx * 32, 0], x)
        T.reduce_max(x, top, dim=1)
        for i, j in T.Parallel(32, 48):
            x[i, j] = T.exp(x[i, j] - top[i])
        T.reduce_sum(x, total, dim=1)
        for i, j in T.Parallel(32, 48):
            x[i, j] = x[i, j] / total[i]
        T.copy(x, B[bx * 32, 0])
)",
                 {quarters(3072, 3)}, 3072);
}

TEST(LowerSimt, attention_keeps_its_scores_in_registers) {
  expect_meaning(R"(
@T.prim_func
def main(Q: T.Tensor((64, 32), "float32"), K: T.Tensor((64, 32), "float32"), V: T.Tensor((64, 32), "float32"), O: T.Tensor((64, 32), "float32")):
    with T.Kernel(2, threads=64) as bx:
        Q_shared = T.alloc_shared((32, 32), "float32")
        K_shared = T.alloc_shared((32, 32), "float32")
        V_shared = T.alloc_shared((32, 32), "float32")
        scores = T.alloc_fragment((32, 32), "float32")
        top = T.alloc_fragment((32,), "float32")
        old_top = T.alloc_fragment((32,), "float32")
        scale = T.alloc_fragment((32,), "float32")
        part = T.alloc_fragment((32,), "float32")
        total = T.alloc_fragment((32,), "float32")
        P_shared = T.alloc_shared((32, 32), "float32")
        out = T.alloc_fragment((32, 32), "float32")
        T.copy(Q[bx * 32, 0], Q_shared)
        T.clear(out)
        T.clear(total)
        T.fill(top, T.float32(-1000))
        for k in T.Pipelined(2, num_stages=2):
            T.copy(K[k * 32, 0], K_shared)
            T.copy(V[k * 32, 0], V_shared)
            T.clear(scores)
            T.gemm(Q_shared, K_shared, scores, transpose_B=True, policy="FullRow")
            T.copy(top, old_top)
            T.reduce_max(scores, top, dim=1, clear=False)
            for i in T.Parallel(32):
                scale[i] = T.exp(old_top[i] - top[i])
            for i, j in T.Parallel(32, 32):
                scores[i, j] = T.exp(scores[i, j] - top[i])
            T.reduce_sum(scores, part, dim=1)
            for i in T.Parallel(32):
                total[i] = total[i] * scale[i] + part[i]
            for i, j in T.Parallel(32, 32):
                out[i, j] = out[i, j] * scale[i]
            T.copy(scores, P_shared)
            T.gemm(P_shared, V_shared, out, policy="FullRow")
        for i, j in T.Parallel(32, 32):
            out[i, j] = out[i, j] / total[i]
        T.copy(out, O[bx * 32, 0])
)",
                 {quarters(2048, 4), quarters(2048, 5), quarters(2048, 6)}, 2048);
}

TEST(LowerSimt, fragments_that_are_used_in_parts_go_through_shared_memory) {
  const std::string text = R"(
@T.prim_func
def main(A: T.Tensor((8, 64), "float32"), B: T.Tensor((8, 64), "float32"), C: T.Tensor((8, 64), "float32")):
    with T.Kernel(1, threads=64) as bx:
        x = T.alloc_fragment((8, 64), "float32")
        y = T.alloc_fragment((64,), "float32")
        z = T.alloc_fragment((8, 64), "float32")
        T.copy(A, x)
        T.copy(B[0, 0:64], y)
        for r in T.serial(8):
            for j in T.Parallel(64):
                x[r, j] = x[r, j] + y[63 - j]
        for j in T.Parallel(32):
            z[0, 2 * j] = T.float32(1)
        for i, j in T.Parallel(8, 64):
            if j < 7:
                z[i, j] = T.float32(2)
        T.copy(x[0:4, 0:64], z[4:8, 0:64])
        for i, j in T.Parallel(8, 64):
            if i >= 4:
                x[i, j] = x[i, j] * z[i, j]
        T.copy(x, C)
)";
  expect_meaning(text, {quarters(512, 7), quarters(512, 8)}, 512);
  expect_found(simt_dispatch(parsed(text), 80),
               {"line 11", "the fragment y goes through shared memory"});
}

// Rows whose sums every thread of a group holds: what is done to memory is done once, and who reads
// what another one of the group stores in the same iteration does so by chance.
TEST(LowerSimt, iterations_that_several_threads_hold_act_once) {
  const auto kernel = [](const std::string& step) {
    return R"(
@T.prim_func
def main(A: T.Tensor((64, 16), "float32"), C: T.Tensor((64,), "float32")):
    with T.Kernel(1, threads=128) as bx:
        a = T.alloc_fragment((64, 16), "float32")
        s = T.alloc_fragment((64,), "float32")
        memory = T.alloc_shared((64,), "float32")
        T.copy(A, a)
        T.reduce_sum(a, s, dim=1)
        T.fill(memory, 1)
)" + step + R"(
        for i in T.Parallel(64):
            s[i] = s[i] + memory[i]
        T.copy(s, C)
)";
  };
  for (const char* step : {// once by each group
                           "        for i in T.Parallel(64):\n"
                           "            T.atomic_add(memory[i], s[i])",
                           // a store to memory that the same iteration reads
                           "        for i in T.Parallel(64):\n"
                           "            memory[i] = memory[i] * T.float32(2) + s[i]\n"
                           "            s[i] = s[i] + memory[i]",
                           // the same of a fragment that lies elsewhere
                           "        for j in T.serial(16):\n"
                           "            for i in T.Parallel(64):\n"
                           "                a[i, 15 - j] = a[i, 15 - j] * T.float32(2)\n"
                           "                s[i] = s[i] + a[i, 15 - j]"}) {
    SCOPED_TRACE(step);
    expect_meaning(kernel(step), {quarters(1024, 12)}, 64);
  }
}

TEST(LowerSimt, operators_of_a_pipeline_are_listed_once_as_they_are_written) {
  const std::string text = simt_dispatch(parsed(R"(
@T.prim_func
def main(A: T.Tensor((64, 128), "float16"), B: T.Tensor((128, 64), "float16"), C: T.Tensor((64, 64), "float32")):
    with T.Kernel(1, threads=128) as bx:
        A_shared = T.alloc_shared((64, 32), "float16")
        B_shared = T.alloc_shared((32, 64), "float16")
        C_local = T.alloc_fragment((64, 64), "float32")
        T.clear(C_local)
        for k in T.Pipelined(4, num_stages=3):
            T.copy(A[0, k * 32], A_shared)
            T.copy(B[k * 32, 0], B_shared)
            T.gemm(A_shared, B_shared, C_local)
        T.copy(C_local, C[0, 0])
)"),
                                         80);
  const auto count = [&](const std::string& words) {
    size_t found = 0;
    for (size_t at = text.find(words); at != std::string::npos; at = text.find(words, at + 1))
      ++found;
    return found;
  };
  EXPECT_EQ(count("T.copy(A["), 1) << text;
  EXPECT_EQ(count("T.copy(B["), 1) << text;
  EXPECT_EQ(count("T.gemm("), 1) << text;
  EXPECT_EQ(count("T.copy("), 3) << text;
  EXPECT_EQ(count("A_shared["), 2) << text;
}

TEST(LowerSimt, products_whose_warps_share_them_otherwise_exchange_what_they_hold) {
  // 4 warps: 2 x 2 of the first product's 32 x 64, but 2 x 2 of the second's 32 x 16.
  expect_meaning(R"(
@T.prim_func
def main(A: T.Tensor((32, 16), "float32"), B: T.Tensor((16, 64), "float32"), C: T.Tensor((64, 16), "float32"), D: T.Tensor((32, 16), "float32")):
    with T.Kernel(1, threads=128) as bx:
        a = T.alloc_shared((32, 16), "float16")
        b = T.alloc_shared((16, 64), "float16")
        c = T.alloc_shared((64, 16), "float16")
        p = T.alloc_fragment((32, 64), "float32")
        q = T.alloc_fragment((32, 64), "float16")
        rows = T.alloc_fragment((32,), "float32")
        d = T.alloc_fragment((32, 16), "float32")
        T.copy(A, a)
        T.copy(B, b)
        T.copy(C, c)
        T.clear(p)
        T.gemm(a, b, p)
        T.reduce_max(p, rows, dim=1)
        for i, j in T.Parallel(32, 64):
            p[i, j] = p[i, j] - rows[i]
        T.copy(p, q)
        T.clear(d)
        T.gemm(q, c, d, policy="FullCol")
        for i, j in T.Parallel(32, 16):
            d[i, j] = d[i, j] + rows[i]
        T.copy(d, D)
)",
                 {quarters(512, 9), quarters(1024, 10), quarters(1024, 11)}, 512);
}

TEST(LowerSimt, views_are_the_memory_behind_them) {
  expect_meaning(R"(
@T.prim_func
def main(A: T.Tensor((16, 32), "float32"), B: T.Tensor((16, 32), "float32")):
    with T.Kernel(1, threads=64) as bx:
        tile = T.alloc_shared((16, 32), "float32")
        acc = T.alloc_fragment((16, 32), "float32")
        total = T.alloc_fragment((16, 8), "float32")
        rows = T.reshape(A, (1, 16, 32))
        T.copy(rows[0, 0:16, 0:32], tile)
        quads = T.reshape(tile, (16, 8, 4))
        T.reduce_sum(quads, total, dim=2)
        flat = T.view(acc, (512,))
        for i in T.Parallel(512):
            flat[i] = T.float32(0) - tile[i // 32, i % 32]
        bits = T.view(acc, dtype="int32")
        for i, j in T.Parallel(16, 32):
            bits[i, j] = bits[i, j] ^ T.int32(0)
        for i, j in T.Parallel(16, 32):
            acc[i, j] = acc[i, j] + total[i, j // 4]
        T.copy(acc, B)
)",
                 {quarters(512, 12)}, 512);
}

TEST(LowerSimt, the_tile_workloads_run_as_threads_of_a_gpu) {
  struct Case {
    const char* name;
    std::map<std::string, std::string> parameters;
    std::vector<size_t> inputs;
    size_t output;
  };
  const Case cases[] = {
      {"matmul_tile",
       {{"M", "70"},
        {"N", "40"},
        {"K", "50"},
        {"block_M", "64"},
        {"block_N", "64"},
        {"block_K", "64"}},
       {3500, 2000},
       2800},
      {"softmax_tile", {{"M", "10"}, {"N", "96"}, {"block_M", "4"}}, {960}, 960},
      {"rms_norm_tile", {{"M", "9"}, {"N", "64"}, {"block_M", "4"}}, {576, 64}, 576}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    auto file =
        script::WorkloadFile::read(std::string(TEMPER_SOURCE_DIR) + "/workloads/" + c.name + ".py");
    ASSERT_TRUE(file.has_value()) << file.error().to_string();
    auto workload = file->instantiate(c.name, c.parameters);
    ASSERT_TRUE(workload.has_value()) << workload.error().to_string();
    std::vector<std::vector<float>> inputs;
    for (const size_t count : c.inputs)
      inputs.push_back(quarters(count, count));
    expect_meaning(workload->module->functions[0].function.as_ref<PrimFuncNode>(), inputs,
                   c.output);
  }
}

} // namespace
} // namespace temper::tir
