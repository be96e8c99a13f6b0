#include "tests/codegen/build.h"

#include <cmath>
#include <memory>
#include <numeric>
#include <sys/mman.h>

namespace temper::codegen::testing {
namespace {

/// C[m, n] += A[m, k] * B[k, n] with a register tile of rows x (vectors * lanes).
PrimFunc tiled_matmul(int64_t m, int64_t n, int64_t k, int rows, int vectors, int lanes) {
  const DataType f = DataType::float32();
  const Buffer a = flat("A", f, m * k), b = flat("B", f, k * n), c = flat("C", f, m * n);
  const Buffer tile = flat("C_local", f, rows * vectors * lanes, "local");
  const Var i = index_var("i"), j = index_var("j"), l = index_var("l");
  std::vector<Stmt> clear, update, write;
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vectors; ++v) {
      const Expr place = ramp(imm((r * vectors + v) * lanes), lanes);
      clear.push_back(make_store(tile, {place}, splat(f32(0), lanes)));
      const Expr left = make_load(a, {(i * rows + r) * k + l});
      const Expr right = make_load(b, {ramp(l * n + j * (vectors * lanes) + v * lanes, lanes)});
      update.push_back(
          make_store(tile, {place}, make_load(tile, {place}) + splat(left, lanes) * right));
      write.push_back(
          make_store(c, {ramp((i * rows + r) * n + j * (vectors * lanes) + v * lanes, lanes)},
                     make_load(tile, {place})));
    }
  const Stmt body = make_seq(
      {make_alloc(tile), make_seq(clear), serial(l, k, make_seq(update)), make_seq(write)});
  return function_of({{a, nullptr}, {b, nullptr}, {c, nullptr}},
                     serial(i, m / rows, serial(j, n / (vectors * lanes), body)));
}

TEST(Compile, RegisterTileMatmulIsRight) {
  const int64_t m = 28, n = 64, k = 19;
  const Artifact artifact = must_compile(tiled_matmul(m, n, k, 14, 2, 16));
  std::vector<float> a(m * k), b(k * n), c(m * n, NAN);
  for (size_t i = 0; i < a.size(); ++i)
    a[i] = static_cast<float>(i % 7) - 3;
  for (size_t i = 0; i < b.size(); ++i)
    b[i] = static_cast<float>(i % 5) - 2;
  ASSERT_EQ(Loaded(artifact)(a.data(), b.data(), c.data()), 0);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      float sum = 0;
      for (int64_t l = 0; l < k; ++l)
        sum += a[i * k + l] * b[l * n + j];
      ASSERT_EQ(c[i * n + j], sum) << i << ", " << j;
    }
  EXPECT_EQ(artifact.signature.size(), 3u);
  EXPECT_FALSE(artifact.signature[0].is_output);
  EXPECT_TRUE(artifact.signature[2].is_output);
  EXPECT_EQ(artifact.launch.threads, 1);
}

TEST(Compile, RegisterTilesStayInRegistersAndFactsSaySo) {
  ir::Target target = native();
  target.arch = "sapphirerapids"; // compiled, not run
  for (const int rows : {6, 14}) {
    const PrimFunc function = tiled_matmul(rows * 2, 64, 64, rows, 2, 16);
    const StaticFacts facts = must_compile(function, target).facts;
    EXPECT_EQ(facts.spills, 0) << rows << " rows";
    EXPECT_EQ(facts.vector_bits, 512);
    EXPECT_LT(facts.stack_bytes, 128);
    EXPECT_GT(facts.instructions, rows * 2);
    EXPECT_GT(facts.code_bytes, facts.instructions);
    const auto assembly = emit_assembly_text(function, target);
    ASSERT_TRUE(assembly);
    size_t multiply_adds = 0;
    for (size_t at = assembly->find("vfmadd"); at != std::string::npos;
         at = assembly->find("vfmadd", at + 1))
      ++multiply_adds;
    EXPECT_GE(multiply_adds, static_cast<size_t>(rows * 2));
  }
  // 28 x 2 accumulators do not fit 32 registers.
  EXPECT_GT(must_compile(tiled_matmul(28, 32, 64, 28, 2, 16), target).facts.spills, 0);
  target.arch = "x86-64-v3";
  EXPECT_EQ(must_compile(tiled_matmul(12, 32, 64, 6, 2, 8), target).facts.vector_bits, 256);
}

TEST(Compile, BesideARegisterTileLoopsStayLoops) {
  ir::Target target = native();
  target.arch = "sapphirerapids"; // compiled, not run
  const PrimFunc tiled = tiled_matmul(28, 64, 64, 14, 2, 16);
  const Buffer packed = flat("packed", DataType::float32(), 12 * 16);
  const Var p = index_var("p");
  const Expr at = ramp(p * 16, 16);
  const Stmt pack = serial(
      p, 12,
      make_store(packed, {at}, make_load(tiled->params[0].buffer, {at}) + splat(f32(3), 16)));
  const auto copies_of_loop = [&](const Stmt& body) {
    std::vector<Param> params = tiled->params;
    params.push_back({packed, nullptr});
    const auto text = emit_llvm_ir_text(function_of(params, body), target);
    EXPECT_TRUE(text);
    const std::string three = "float 3.000000e+00";
    int copies = 0;
    for (size_t found = text->find("fadd"); found != std::string::npos;
         found = text->find("fadd", found + 1))
      copies +=
          text->substr(found, text->find('\n', found) - found).find(three) != std::string::npos;
    return copies;
  };
  EXPECT_EQ(copies_of_loop(pack), 12); // for itself it is unrolled
  EXPECT_EQ(copies_of_loop(make_seq({pack, tiled->body})), 1);
}

TEST(Compile, NamesDoNotChangeTheCodeHash) {
  CompileOptions other;
  other.entry = "another_name";
  const auto a = compile(tiled_matmul(12, 32, 8, 6, 2, 16), native());
  const auto b = compile(tiled_matmul(12, 32, 8, 6, 2, 16), native(), other);
  const auto c = compile(tiled_matmul(12, 32, 9, 6, 2, 16), native());
  ASSERT_TRUE(a && b && c);
  EXPECT_EQ(a->code_hash, b->code_hash);
  EXPECT_NE(a->code_hash, c->code_hash);
}

TEST(Compile, TheFirstKernelOfAProcessComesOutAsLaterOnes) {
  // Linking resets the switches of LLVM in this process: none may be set once and for all.
  const PrimFunc function = tiled_matmul(64, 96, 64, 8, 3, 16);
  const Artifact first = must_compile(function);
  EXPECT_FALSE(first.code.empty()) << "it was linked";
  EXPECT_EQ(must_compile(function).code_hash, first.code_hash);
}

TEST(Compile, MultiDimensionalBuffersAreRowMajor) {
  const Buffer a = make_buffer("A", DataType::int32(), {imm(3), imm(5)});
  const Buffer b = make_buffer("B", DataType::int32(), {imm(5), imm(3)});
  const Var i = make_var("i"), j = make_var("j");
  const Stmt body = make_store(b, {j, i}, make_load(a, {i, j}));
  const auto range = [](int64_t n) { return make_int(DataType::int32(), n); };
  const Stmt loops = make_for(i, range(0), range(3), ForKind::kSerial,
                              make_for(j, range(0), range(5), ForKind::kVectorized, body));
  const Artifact artifact = must_compile(function_of({{a, nullptr}, {b, nullptr}}, loops));
  std::vector<int32_t> in(15), out(15);
  std::iota(in.begin(), in.end(), 0);
  ASSERT_EQ(Loaded(artifact)(in.data(), out.data()), 0);
  for (int r = 0; r < 3; ++r)
    for (int s = 0; s < 5; ++s)
      EXPECT_EQ(out[s * 3 + r], in[r * 5 + s]);
  EXPECT_EQ(artifact.signature[0].shape, (std::vector<int64_t>{3, 5}));
}

TEST(Compile, MaskedTailTouchesNothingBeyondTheEnd) {
  const int64_t n = 37;
  const DataType f = DataType::float32();
  const Buffer a = flat("A", f, n), b = flat("B", f, n);
  const Var i = index_var("i");
  const Expr lanes = ramp(i * 16, 16);
  const Expr inside = make_binary<LT>(lanes, splat(imm(n), 16));
  const Stmt body =
      make_store(b, {lanes}, make_load(a, {lanes}, inside) * splat(f32(2), 16), inside);
  const Artifact artifact =
      must_compile(function_of({{a, nullptr}, {b, nullptr}}, serial(i, 3, body)));
  // Both arrays end at a page that cannot be touched.
  const size_t page = 4096;
  auto* memory = static_cast<char*>(
      ::mmap(nullptr, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ::mprotect(memory + page, page, PROT_NONE);
  ::mprotect(memory + 3 * page, page, PROT_NONE);
  auto* in = reinterpret_cast<float*>(memory + page) - n;
  auto* out = reinterpret_cast<float*>(memory + 3 * page) - n;
  std::iota(in, in + n, 1.0f);
  ASSERT_EQ(Loaded(artifact)(in, out), 0);
  for (int64_t x = 0; x < n; ++x)
    EXPECT_EQ(out[x], 2 * in[x]);
  ::munmap(memory, 4 * page);
}

TEST(Compile, StridedAndIndirectAccessesGatherAndScatter) {
  const DataType f = DataType::float32(), i32 = DataType::int32();
  const Buffer a = flat("A", f, 64), index = flat("index", i32, 16);
  const Buffer strided = flat("S", f, 16), gathered = flat("G", f, 16);
  const Buffer scattered = flat("T", f, 64), backwards = flat("R", f, 16);
  const Expr chosen = make_load(index, {ramp(imm(0), 16)});
  const Stmt body = make_seq({
      make_store(strided, {ramp(imm(0), 16)}, make_load(a, {ramp(imm(1), 16, 3)})),
      make_store(gathered, {ramp(imm(0), 16)}, make_load(a, {chosen})),
      make_store(scattered, {chosen}, make_load(a, {ramp(imm(0), 16)})),
      make_store(backwards, {ramp(imm(0), 16)}, make_load(a, {ramp(imm(15), 16, -1)})),
  });
  const Artifact artifact = must_compile(function_of({{a, nullptr},
                                                      {index, nullptr},
                                                      {strided, nullptr},
                                                      {gathered, nullptr},
                                                      {scattered, nullptr},
                                                      {backwards, nullptr}},
                                                     body));
  std::vector<float> in(64), s(16), g(16), t(64, -1.0f), r(16);
  std::iota(in.begin(), in.end(), 0.0f);
  std::vector<int32_t> where(16);
  for (int x = 0; x < 16; ++x)
    where[x] = (x * 29 + 5) % 64;
  ASSERT_EQ(Loaded(artifact)(in.data(), where.data(), s.data(), g.data(), t.data(), r.data()), 0);
  for (int x = 0; x < 16; ++x) {
    EXPECT_EQ(s[x], in[1 + 3 * x]);
    EXPECT_EQ(g[x], in[where[x]]);
    EXPECT_EQ(t[where[x]], in[x]);
    EXPECT_EQ(r[x], in[15 - x]);
  }
}

TEST(Compile, WhileBreakAndContinue) {
  const DataType i64 = DataType::int64();
  const Buffer out = flat("out", i64, 3);
  const Buffer state = flat("state", i64, 1, "local");
  const Expr zero = imm(0);
  const Expr current = make_load(state, {zero});
  const Var i = index_var("i"), j = index_var("j");
  // Collatz length of 27, then the sum of odd i below 20 that are no multiple of 5, until 15.
  const Expr even = make_binary<EQ>(floormod(current, 2), zero);
  const Stmt body = make_seq({
      make_alloc(state),
      make_store(state, {zero}, imm(27)),
      make_store(out, {zero}, zero),
      make_while(make_binary<NE>(current, imm(1)),
                 make_seq({make_if(even, make_store(state, {zero}, floordiv(current, 2)),
                                   make_store(state, {zero}, current * 3 + 1)),
                           make_store(out, {zero}, make_load(out, {zero}) + 1)})),
      make_store(out, {imm(1)}, zero),
      serial(i, 20,
             make_seq({make_if(make_binary<EQ>(floormod(Expr(i), 2), zero), make_continue()),
                       make_if(make_binary<EQ>(floormod(Expr(i), 5), zero), make_continue()),
                       make_if(make_binary<GT>(Expr(i), imm(15)), make_break()),
                       make_store(out, {imm(1)}, make_load(out, {imm(1)}) + Expr(i))})),
      make_while(make_bool(true), make_seq({make_store(out, {imm(2)}, imm(7)), make_break()})),
  });
  std::vector<int64_t> result(3);
  ASSERT_EQ(Loaded(must_compile(function_of({{out, nullptr}}, body)))(result.data()), 0);
  EXPECT_EQ(result, (std::vector<int64_t>{111, 1 + 3 + 7 + 9 + 11 + 13, 7}));
}

TEST(Compile, LargeTemporariesComeFromTheHeapAndAreFreed) {
  const int64_t n = 1 << 20;
  const DataType f = DataType::float32();
  const Buffer a = flat("A", f, n), b = flat("B", f, n), t = flat("T", f, n);
  const Var i = index_var("i"), j = index_var("j");
  const Stmt body = make_seq(
      {make_alloc(t), serial(i, n, make_store(t, {Expr(i)}, make_load(a, {Expr(i)}) + f32(1))),
       make_if(make_binary<GT>(make_load(t, {imm(0)}), f32(100)), make_return(imm(5))),
       serial(j, n, make_store(b, {Expr(j)}, make_load(t, {imm(n - 1) - Expr(j)})))});
  const Artifact artifact = must_compile(function_of({{a, nullptr}, {b, nullptr}}, body));
  const Loaded kernel(artifact);
  std::vector<float> in(n), out(n);
  std::iota(in.begin(), in.end(), 0.0f);
  for (int round = 0; round < 50; ++round)
    ASSERT_EQ(kernel(in.data(), out.data()), 0);
  EXPECT_EQ(out[0], in[n - 1] + 1);
  in[0] = 1000;
  EXPECT_EQ(kernel(in.data(), out.data()), 5);
}

TEST(Compile, AFailedAllocationIsACode) {
  const int64_t n = int64_t{1} << 46;
  const DataType f = DataType::float32();
  const Buffer a = flat("A", f, 1), t = flat("T", f, n);
  const Var i = index_var("i");
  const Stmt body = make_seq({make_alloc(t), make_store(t, {imm(3)}, make_load(a, {imm(0)})),
                              make_store(a, {imm(0)}, make_load(t, {imm(3)}) + f32(1))});
  float one = 1;
  // LLVM may prove that the memory is not needed at all: both answers are right, a crash is not.
  const int code = Loaded(must_compile(function_of({{a, nullptr}}, body)))(&one);
  EXPECT_TRUE((code == kKernelOutOfMemory && one == 1) || (code == 0 && one == 2)) << code;
}

TEST(Compile, AssertAndReturnGiveTheirCodes) {
  const DataType f = DataType::float32();
  const Buffer a = flat("A", f, 2);
  const auto element = [&](int64_t i) { return make_load(a, {imm(i)}); };
  const Stmt body = make_seq({make_assert(make_binary<GT>(element(0), f32(0)), "A[0] > 0"),
                              make_assert(make_binary<GT>(element(1), f32(0)), "A[1] > 0"),
                              make_return(make_int(DataType::int32(), 3))});
  const Loaded kernel(must_compile(function_of({{a, nullptr}}, body)));
  float values[] = {1, 1};
  EXPECT_EQ(kernel(values), 3);
  values[1] = -1;
  EXPECT_EQ(kernel(values), kKernelAssert + 1);
  values[0] = -1;
  EXPECT_EQ(kernel(values), kKernelAssert);
}

TEST(Compile, ScalarParametersArePassedByAddress) {
  const DataType f = DataType::float32();
  const Buffer a = flat("A", f, 4);
  const Var scale = make_var("scale", f), shift = make_var("shift", DataType::integer(8));
  const Var i = index_var("i");
  const Stmt body = serial(
      i, 4, make_store(a, {Expr(i)}, make_load(a, {Expr(i)}) * Expr(scale) + make_cast(f, shift)));
  const Artifact artifact =
      must_compile(function_of({{a, nullptr}, {nullptr, scale}, {nullptr, shift}}, body));
  float values[] = {1, 2, 3, 4}, factor = 3;
  int8_t offset = -2;
  ASSERT_EQ(Loaded(artifact)(values, &factor, &offset), 0);
  EXPECT_EQ(values[3], 10);
  EXPECT_FALSE(artifact.signature[1].is_buffer);
  EXPECT_EQ(artifact.signature[2].dtype, DataType::integer(8));
}

TEST(Compile, UnknownCpuAndFeatureNameTheNearest) {
  ir::Target target;
  target.arch = "sapphirerapid";
  auto artifact = resolve_target(target);
  ASSERT_FALSE(artifact);
  EXPECT_NE(artifact.error().message.find("'sapphirerapids'"), std::string::npos)
      << artifact.error().message;
  target.arch = "znver4";
  target.features = "+avx512bf61";
  artifact = resolve_target(target);
  ASSERT_FALSE(artifact);
  EXPECT_NE(artifact.error().message.find("'avx512bf16'"), std::string::npos)
      << artifact.error().message;
  target.kind = ir::TargetKind::kCuda;
  target.arch = "sm_90a";
  EXPECT_FALSE(resolve_target(target));
}

TEST(Compile, NamedCpusGiveTheirOwnCode) {
  const PrimFunc function = tiled_matmul(12, 32, 8, 6, 2, 8);
  const auto assembly = [&](const char* arch) {
    ir::Target target;
    target.arch = arch;
    auto text = emit_assembly_text(function, target);
    EXPECT_TRUE(text) << text.error().to_string();
    return text ? *text : std::string();
  };
  EXPECT_NE(assembly("x86-64-v3").find("vfmadd"), std::string::npos);
  const std::string old = assembly("x86-64");
  EXPECT_EQ(old.find("vfmadd"), std::string::npos);
  EXPECT_NE(old.find("mulps"), std::string::npos);
}

TEST(Compile, ThreadBindingAndSymbolicShapesAreRefusedInASentence) {
  const Buffer a = flat("A", DataType::float32(), 4);
  const Var i = index_var("i");
  const Stmt bound = make_for(i, imm(0), imm(4), ForKind::kThreadBinding,
                              make_store(a, {Expr(i)}, f32(0)), {}, "blockIdx.x");
  auto result = compile(function_of({{a, nullptr}}, bound), native());
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(result.error().message.find("blockIdx.x"), std::string::npos);
  const Buffer s = make_buffer("S", DataType::float32(), {Expr(index_var("n"))});
  result = compile(function_of({{s, nullptr}}, make_store(s, {imm(0)}, f32(0))), native());
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("symbolic"), std::string::npos);
}

} // namespace
} // namespace temper::codegen::testing
