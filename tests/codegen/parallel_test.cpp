#include "codegen/llvm/link.h"
#include "tests/codegen/build.h"

#include <algorithm>
#include <numeric>
#include <thread>

namespace temper::codegen::testing {
namespace {

bool needs(const Artifact& artifact, const char* library) {
  const auto symbols = read_symbols(artifact.code);
  EXPECT_TRUE(symbols);
  return symbols && std::find(symbols->needed.begin(), symbols->needed.end(), library) !=
                        symbols->needed.end();
}

/// for parallel i in [first, first + n): t = alloc(8); t[..] = A[i] * scale; B[i] = t[3] + base
PrimFunc scaled(int64_t first, int64_t n) {
  const DataType f = DataType::float32();
  const Buffer a = flat("A", f, first + n), b = flat("B", f, first + n);
  const Buffer factor = flat("factor", f, 1);
  const Buffer t = flat("t", f, 8);
  const Var i = index_var("i"), j = index_var("j"), base = make_var("base", f);
  const Stmt body = make_seq(
      {make_alloc(t),
       serial(j, 8,
              make_store(t, {Expr(j)}, make_load(a, {Expr(i)}) * make_load(factor, {imm(0)}))),
       make_store(b, {Expr(i)}, make_load(t, {imm(3)}) + Expr(base))});
  const Stmt loop = make_for(i, imm(first), imm(n), ForKind::kParallel, body);
  return function_of({{a, nullptr}, {b, nullptr}, {factor, nullptr}},
                     make_seq({make_bind(base, make_load(factor, {imm(0)}) + f32(1)), loop}));
}

TEST(Parallel, EveryIterationRunsOnceWhateverTheNumberOfThreads) {
  for (const int threads : {1, 2, 3, 7, 0})
    for (const int64_t n : {1, 2, 5, 64, 1001}) {
      const int64_t first = 3;
      const Artifact artifact = must_compile(scaled(first, n), native(threads));
      std::vector<float> in(first + n), out(first + n, -1.0f);
      std::iota(in.begin(), in.end(), 0.0f);
      float factor = 2;
      ASSERT_EQ(Loaded(artifact)(in.data(), out.data(), &factor), 0);
      for (int64_t x = 0; x < first + n; ++x)
        ASSERT_EQ(out[x], x < first ? -1.0f : 2 * in[x] + 3) << x << " of " << n;
    }
}

TEST(Parallel, LaunchPlanSaysHowManyThreads) {
  EXPECT_EQ(must_compile(scaled(0, 64), native(5)).launch.threads, 5);
  EXPECT_EQ(must_compile(scaled(0, 64), native(1)).launch.threads, 1);
  EXPECT_EQ(must_compile(scaled(0, 64), native(0)).launch.threads,
            static_cast<int>(std::thread::hardware_concurrency()));
}

TEST(Parallel, OnlyParallelProgramsNeedTheOpenMPRuntime) {
  EXPECT_TRUE(needs(must_compile(scaled(0, 64), native(2)), "libgomp.so.1"));
  EXPECT_FALSE(needs(must_compile(scaled(0, 64), native(1)), "libgomp.so.1"));
}

TEST(Parallel, ThreadsAreInTheCodeHash) {
  EXPECT_NE(must_compile(scaled(0, 64), native(2)).code_hash,
            must_compile(scaled(0, 64), native(3)).code_hash);
}

TEST(Parallel, AnErrorInOneIterationIsTheKernelsCode) {
  const Buffer a = flat("A", DataType::int32(), 100);
  const Var i = index_var("i");
  const Expr element = make_load(a, {Expr(i)});
  const Expr zero = make_int(DataType::int32(), 0);
  const Stmt body = make_seq(
      {make_assert(make_binary<NE>(element, make_int(DataType::int32(), -1)), "not -1"),
       make_if(make_binary<LT>(element, zero), make_return(make_int(DataType::int32(), 9)))});
  const Loaded kernel(must_compile(
      function_of({{a, nullptr}}, make_for(i, imm(0), imm(100), ForKind::kParallel, body)),
      native(2)));
  std::vector<int32_t> values(100, 1);
  EXPECT_EQ(kernel(values.data()), 0);
  values[70] = -5;
  EXPECT_EQ(kernel(values.data()), 9);
  values[70] = -1;
  EXPECT_EQ(kernel(values.data()), kKernelAssert);
}

TEST(Parallel, NestedParallelLoopsRunSerially) {
  const Buffer a = flat("A", DataType::int64(), 12);
  const Var i = index_var("i"), j = index_var("j");
  const Stmt inner = make_for(j, imm(0), imm(4), ForKind::kParallel,
                              make_store(a, {Expr(i) * 4 + Expr(j)}, Expr(i) * 10 + Expr(j)));
  const Stmt outer = make_for(i, imm(0), imm(3), ForKind::kParallel, inner);
  std::vector<int64_t> values(12);
  ASSERT_EQ(Loaded(must_compile(function_of({{a, nullptr}}, outer), native(2)))(values.data()), 0);
  for (int64_t x = 0; x < 12; ++x)
    EXPECT_EQ(values[x], x / 4 * 10 + x % 4);
}

TEST(Parallel, LargeTemporariesOfAnIterationBelongToTheThread) {
  const int64_t n = 1 << 16;
  const DataType i64 = DataType::int64();
  const Buffer out = flat("out", i64, 8), t = flat("t", i64, n);
  const Var i = index_var("i"), j = index_var("j"), k = index_var("k");
  const Stmt body = make_seq(
      {make_alloc(t), serial(j, n, make_store(t, {Expr(j)}, Expr(i) * Expr(j))),
       make_store(out, {Expr(i)}, imm(0)),
       serial(k, n,
              make_store(out, {Expr(i)}, make_load(out, {Expr(i)}) + make_load(t, {Expr(k)})))});
  const Artifact artifact = must_compile(
      function_of({{out, nullptr}}, make_for(i, imm(0), imm(8), ForKind::kParallel, body)),
      native(3));
  std::vector<int64_t> values(8);
  ASSERT_EQ(Loaded(artifact)(values.data()), 0);
  for (int64_t x = 0; x < 8; ++x)
    EXPECT_EQ(values[x], x * n * (n - 1) / 2);
}

/// for parallel i in [0, n): op(C[i % 3], A[i])
template <typename T> void expect_atomic(const char* op, DataType type) {
  const int64_t n = 30000;
  const Buffer a = flat("A", type, n), c = flat("C", type, 3);
  const Var i = index_var("i");
  const Expr place = make_load(c, {make_binary<FloorMod>(Expr(i), imm(3))});
  const Stmt body = make_evaluate(call_op(op, {place, make_load(a, {Expr(i)})}));
  const PrimFunc function = function_of({{a, nullptr}, {c, nullptr}},
                                        make_for(i, imm(0), imm(n), ForKind::kParallel, body));
  std::vector<T> in(n);
  for (int64_t x = 0; x < n; ++x)
    in[static_cast<size_t>(x)] = static_cast<T>((x * 7919) % 101);
  std::vector<T> expected(3, T(50));
  for (size_t x = 0; x < in.size(); ++x) {
    T& sum = expected[x % 3];
    sum = op == std::string("atomic_add")   ? sum + in[x]
          : op == std::string("atomic_max") ? std::max(sum, in[x])
                                            : std::min(sum, in[x]);
  }
  for (const int threads : {1, 2, 4}) {
    const Artifact artifact = must_compile(function, native(threads));
    EXPECT_FALSE(artifact.signature.at(0).is_output);
    EXPECT_TRUE(artifact.signature.at(1).is_output);
    std::vector<T> out(3, T(50));
    ASSERT_EQ(Loaded(artifact)(in.data(), out.data()), 0);
    EXPECT_EQ(out, expected) << op << " " << to_string(type) << " " << threads;
  }
}

TEST(Parallel, AtomicOperationsOfThreadsThatMeetLoseNothing) {
  for (const char* op : {"atomic_add", "atomic_max", "atomic_min"}) {
    expect_atomic<int32_t>(op, DataType::int32());
    expect_atomic<int64_t>(op, DataType::int64());
    expect_atomic<uint32_t>(op, DataType::uint(32));
    expect_atomic<float>(op, DataType::float32());
    expect_atomic<double>(op, DataType::float64());
  }
}

} // namespace
} // namespace temper::codegen::testing
