#include "codegen/library/export.h"

#include "codegen/artifact_json.h"
#include "codegen/cuda/compile.h"
#include "codegen/library/runtime/abi.h"
#include "codegen/llvm/link.h"
#include "codegen/lower_gpu.h"
#include "ir/script/parser.h"
#include "ir/support/text.h"
#include "tests/codegen/build.h"
#include "tests/codegen/hopper_programs.h"

#include <algorithm>
#include <cmath>
#include <dlfcn.h>
#include <filesystem>
#include <numeric>

namespace temper::codegen::testing {
namespace {

namespace fs = std::filesystem;

/// C = A @ B, float32 [m, k] @ [k, n]; `packed`: of B in columns, B_packed[n, k].
PrimFunc matmul(int64_t m, int64_t n, int64_t k, bool packed = false) {
  const DataType f = DataType::float32();
  const Buffer a = make_buffer("A", f, {imm(m), imm(k)});
  const Buffer b =
      packed ? make_buffer("B_packed", f, {imm(n), imm(k)}) : make_buffer("B", f, {imm(k), imm(n)});
  const Buffer c = make_buffer("C", f, {imm(m), imm(n)});
  const Var i = index_var("i"), j = index_var("j"), l = index_var("l");
  const Expr out = make_load(c, {Expr(i), Expr(j)});
  const Expr right = packed ? make_load(b, {Expr(j), Expr(l)}) : make_load(b, {Expr(l), Expr(j)});
  const Stmt body = make_seq(
      {make_store(c, {Expr(i), Expr(j)}, f32(0)),
       serial(l, k,
              make_store(c, {Expr(i), Expr(j)}, out + make_load(a, {Expr(i), Expr(l)}) * right))});
  return function_of({{a, nullptr}, {b, nullptr}, {c, nullptr}}, serial(i, m, serial(j, n, body)));
}

/// B[i] = A[i] * scale + float(shift), in parallel.
PrimFunc scale_shift(int64_t n) {
  const DataType f = DataType::float32();
  const Buffer a = flat("A", f, n), b = flat("B", f, n);
  const Var scale = make_var("scale", f), shift = make_var("shift", DataType::integer(16));
  const Var i = index_var("i");
  const Stmt body =
      make_store(b, {Expr(i)}, make_load(a, {Expr(i)}) * Expr(scale) + make_cast(f, Expr(shift)));
  return function_of({{a, nullptr}, {b, nullptr}, {nullptr, scale}, {nullptr, shift}},
                     make_for(i, imm(0), imm(n), ForKind::kParallel, body));
}

/// y[0] = 1 unless x[0] is negative.
PrimFunc picky() {
  const Buffer x = flat("x", DataType::float32(), 1), y = flat("y", DataType::float32(), 1);
  return function_of({{x, nullptr}, {y, nullptr}},
                     make_seq({make_assert(make_binary<GE>(make_load(x, {imm(0)}), f32(0)), "x"),
                               make_store(y, {imm(0)}, f32(1))}));
}

/// C = A @ B with B in columns, which main_pack_B makes: compiled together.
Artifact packed_matmul(int64_t m, int64_t n, int64_t k) {
  const DataType f = DataType::float32();
  const PrimFunc kernel = matmul(m, n, k, true);
  const Buffer plain = make_buffer("B", f, {imm(k), imm(n)});
  const Buffer packed = make_buffer("B_packed", f, {imm(n), imm(k)});
  const Var x = index_var("x"), y = index_var("y");
  PrimFunc pack = function_of(
      {{plain, nullptr}, {packed, nullptr}},
      serial(x, n,
             serial(y, k,
                    make_store(packed, {Expr(x), Expr(y)}, make_load(plain, {Expr(y), Expr(x)})))),
      "main_pack_B");
  pack = copy_node(*pack, [](PrimFuncNode& node) {
    node.attrs = node.attrs.with("temper.pack", make_int(DataType::int32(), 1));
  });
  const auto artifact =
      compile(ir::make_module({{"main", kernel}, {"main_pack_B", pack}}), native());
  EXPECT_TRUE(artifact) << artifact.error().to_string();
  return *artifact;
}

ExportFunction exported(const char* name, const PrimFunc& function,
                        const ir::Target& target = native()) {
  ExportFunction result;
  result.name = name;
  result.artifact = must_compile(function, target);
  return result;
}

class Export : public ::testing::Test {
protected:
  void SetUp() override {
    std::string pattern = fs::temp_directory_path() / "temper-export-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }

  ExportResult must_export(const std::vector<ExportFunction>& functions, bool extras = false) {
    ExportOptions options;
    options.directory = folder_;
    options.static_archive = extras;
    options.cmake_package = extras;
    auto result = export_library("kernels", functions, options);
    EXPECT_TRUE(result) << result.error().to_string();
    return result ? *result : ExportResult();
  }
  std::vector<ExportFunction> usual() {
    return {exported("matmul_f32_3x4x5", matmul(3, 4, 5)),
            exported("scale_shift", scale_shift(100), native(2)), exported("picky", picky())};
  }
  /// Runs a shell command in the folder; its output when it fails.
  std::string run(const std::string& command) {
    const fs::path log = folder_ / "log";
    const std::string line =
        "cd '" + folder_.string() + "' && { " + command + "; } > '" + log.string() + "' 2>&1";
    const int status = std::system(line.c_str());
    auto said = read_file(log);
    return status == 0 ? "" : "failed: " + command + "\n" + (said ? *said : "");
  }
  void put(const char* file, const std::string& text) {
    ASSERT_TRUE(write_file(folder_ / file, text));
  }

  fs::path folder_;
};

TEST_F(Export, CalledThroughTheLibraryGivesTheRightResult) {
  const auto functions = usual();
  const ExportResult result = must_export(functions);
  std::vector<float> a(15), b(20), c(12, NAN);
  std::iota(a.begin(), a.end(), 1.0f);
  std::iota(b.begin(), b.end(), -4.0f);
  const auto done = call_exported(result.library, "matmul_f32_3x4x5",
                                  functions[0].artifact.signature, {a.data(), b.data(), c.data()});
  ASSERT_TRUE(done) << done.error().message;
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 4; ++j) {
      float sum = 0;
      for (int l = 0; l < 5; ++l)
        sum += a[i * 5 + l] * b[l * 4 + j];
      EXPECT_EQ(c[i * 4 + j], sum);
    }
  std::vector<float> x(100, 2.0f), y(100);
  float scale = 3;
  int16_t shift = -5;
  ASSERT_TRUE(call_exported(result.library, "scale_shift", functions[1].artifact.signature,
                            {x.data(), y.data(), &scale, &shift}));
  EXPECT_EQ(y, std::vector<float>(100, 1.0f));
}

TEST(ArtifactBytes, KeepWhatPacks) {
  const Artifact artifact = packed_matmul(3, 4, 5);
  const auto read = deserialize_artifact(serialize_artifact(artifact));
  ASSERT_TRUE(read) << read.error().to_string();
  EXPECT_EQ(read->packs, artifact.packs);
  EXPECT_EQ(read->object, artifact.object);
  EXPECT_EQ(read->code, artifact.code);
  EXPECT_FALSE(artifact.packs[0].object.empty());
  EXPECT_NE(artifact.packs[0].object, artifact.object);
  EXPECT_EQ(artifact.packs[0].entry, "temper_entry_pack1");
  // As a database keeps it: the objects one behind the other, the rest as text.
  const Json json = artifact_to_json(artifact);
  auto kept = artifact_from_json(json);
  ASSERT_TRUE(kept);
  ASSERT_TRUE(set_objects(*kept, json, objects_of(artifact)));
  EXPECT_EQ(kept->packs, artifact.packs);
  EXPECT_EQ(kept->object, artifact.object);
  EXPECT_FALSE(set_objects(*kept, json, "short"));
}

TEST_F(Export, OnlyIntendedSymbolsAreVisibleAndOnlySystemLibrariesNeeded) {
  const ExportResult result = must_export(usual());
  const auto bytes = read_file(result.library);
  ASSERT_TRUE(bytes);
  const auto symbols = read_symbols(*bytes);
  ASSERT_TRUE(symbols);
  std::vector<std::string> expected{"kernels_last_error"};
  for (const char* prefix : {"", "__tvm_ffi_", "__tvm_ffi__metadata_", "__tvm_ffi__doc_"})
    for (const char* name : {"matmul_f32_3x4x5", "scale_shift", "picky"})
      expected.push_back(std::string(prefix) + name);
  EXPECT_THAT(symbols->defined, ::testing::UnorderedElementsAreArray(expected));
  EXPECT_THAT(symbols->needed, ::testing::UnorderedElementsAre("libc.so.6", "libgomp.so.1"));
  const ExportResult serial_only = must_export({exported("m", matmul(2, 2, 2))});
  EXPECT_THAT(read_symbols(*read_file(serial_only.library))->needed,
              ::testing::ElementsAre("libc.so.6"));
}

TEST_F(Export, EveryWrongArgumentIsASentenceThatNamesIt) {
  const auto functions = usual();
  const ExportResult result = must_export(functions);
  const auto& signature = functions[0].artifact.signature;
  std::vector<float> a(64), b(64), c(64);
  const auto error = [&](const std::vector<ArgumentSpec>& as, const std::vector<void*>& arguments,
                         const char* function = "matmul_f32_3x4x5") {
    const auto done = call_exported(result.library, function, as, arguments);
    return done ? std::string("no error") : done.error().message;
  };
  using ::testing::HasSubstr;
  auto wrong = signature;
  wrong[1].dtype = DataType::float64();
  EXPECT_THAT(error(wrong, {a.data(), b.data(), c.data()}),
              HasSubstr("argument 1 (B) has dtype float64, expected float32"));
  EXPECT_THAT(error(wrong, {a.data(), b.data(), c.data()}),
              HasSubstr("matmul_f32_3x4x5(A: float32[3, 5], B: float32[5, 4], C: float32[3, 4])"));
  wrong = signature;
  wrong[0].shape = {3, 6};
  EXPECT_THAT(error(wrong, {a.data(), b.data(), c.data()}),
              HasSubstr("argument 0 (A) has shape (3, 6), expected (3, 5)"));
  wrong[0].shape = {15};
  EXPECT_THAT(error(wrong, {a.data(), b.data(), c.data()}),
              HasSubstr("argument 0 (A) has 1 dimensions, expected 2"));
  EXPECT_THAT(error(signature, {a.data(), nullptr, c.data()}),
              HasSubstr("argument 1 (B) is a null pointer"));
  EXPECT_THAT(error(signature, {a.data(), b.data(), reinterpret_cast<char*>(c.data()) + 2}),
              HasSubstr("argument 2 (C) is at address"));
  EXPECT_THAT(error(signature, {a.data(), b.data(), a.data() + 14}),
              HasSubstr("argument 2 (C) is written and overlaps argument 0 (A)"));
  EXPECT_EQ(error(signature, {a.data(), b.data(), a.data() + 15}), "no error");
  wrong = signature;
  wrong.pop_back();
  EXPECT_THAT(error(wrong, {a.data(), b.data()}), HasSubstr("expected 3 arguments, got 2"));
  float scale = 1;
  auto scalars = functions[1].artifact.signature;
  scalars[3].dtype = DataType::int32();
  int32_t shift = 40000;
  std::vector<float> x(100), y(100);
  EXPECT_THAT(error(scalars, {x.data(), y.data(), &scale, &shift}, "scale_shift"),
              HasSubstr("argument 3 (shift) is 40000, which does not fit int16"));
  scalars[3].dtype = DataType::float32();
  EXPECT_THAT(error(scalars, {x.data(), y.data(), &scale, &scale}, "scale_shift"),
              HasSubstr("argument 3 (shift) must be an integer (int16), not float"));
  float minus = -1;
  EXPECT_THAT(error(functions[2].artifact.signature, {&minus, y.data()}, "picky"),
              HasSubstr("assertion failed: x"));
  EXPECT_FALSE(call_exported(result.library, "nothing", {}, {}));
}

TEST_F(Export, ALibraryForAnotherCpuReturnsAnErrorInsteadOfFaulting) {
  ir::Target target = native();
  target.arch = "znver1"; // fma4's cousin features are not what is asked for: see below
  target.features = "+xop,+fma4,+amx-fp16";
  const auto functions = std::vector{exported("m", matmul(2, 2, 2), target)};
  const ExportResult result = must_export(functions);
  std::vector<float> x(4), y(4), z(4, 7.0f);
  const auto done = call_exported(result.library, "m", functions[0].artifact.signature,
                                  {x.data(), y.data(), z.data()});
  ASSERT_FALSE(done) << "no CPU has XOP and AMX together";
  EXPECT_THAT(done.error().message, ::testing::HasSubstr("was compiled for cpu:znver1"));
  EXPECT_THAT(done.error().message, ::testing::HasSubstr("this CPU lacks"));
  EXPECT_EQ(z[0], 7.0f);
}

TEST_F(Export, StridesAndByteOffsetOfATensorAreHonoured) {
  const auto functions = std::vector{exported("m", matmul(1, 4, 2))};
  const ExportResult result = must_export(functions);
  void* handle = ::dlopen(result.library.c_str(), RTLD_LAZY | RTLD_LOCAL);
  ASSERT_NE(handle, nullptr) << ::dlerror();
  const auto entry = reinterpret_cast<temper_ffi_call>(::dlsym(handle, "__tvm_ffi_m"));
  const auto last_error =
      reinterpret_cast<const char* (*)()>(::dlsym(handle, "kernels_last_error"));
  float a[] = {0, 0, 1, 2}, b[] = {1, 2, 3, 4, 5, 6, 7, 8}, c[4] = {};
  int64_t a_shape[] = {1, 2}, b_shape[] = {2, 4}, c_shape[] = {1, 4};
  int64_t a_strides[] = {77, 1}, b_strides[] = {4, 1}; // A has one row: its stride is no matter
  temper_ffi_tensor tensors[] = {{a, {1, 0}, 2, {2, 32, 1}, a_shape, a_strides, 8},
                                 {b, {1, 0}, 2, {2, 32, 1}, b_shape, b_strides, 0},
                                 {c, {1, 0}, 2, {2, 32, 1}, c_shape, nullptr, 0}};
  temper_ffi_any args[3] = {};
  for (int i = 0; i < 3; ++i) {
    args[i].type_index = TEMPER_FFI_DLTENSOR;
    args[i].value.v_ptr = &tensors[i];
  }
  temper_ffi_any none{};
  ASSERT_EQ(entry(nullptr, args, 3, &none), 0) << last_error();
  EXPECT_EQ(c[0], 11);
  EXPECT_EQ(c[3], 20);
  b_strides[0] = 5;
  EXPECT_EQ(entry(nullptr, args, 3, &none), -1);
  EXPECT_THAT(last_error(), ::testing::HasSubstr("argument 1 (B) is not contiguous: stride 5"));
  b_strides[0] = 4;
  tensors[0].device = {2, 0};
  EXPECT_EQ(entry(nullptr, args, 3, &none), -1);
  EXPECT_THAT(last_error(), ::testing::HasSubstr("device type 2, expected cpu"));
  tensors[0].device = {1, 0};
  tensors[2].dtype.lanes = 4;
  EXPECT_EQ(entry(nullptr, args, 3, &none), -1);
  EXPECT_THAT(last_error(), ::testing::HasSubstr("float32x4"));
  ::dlclose(handle);
}

TEST_F(Export, CAndCppProgramsCompileAgainstTheHeaderAndRun) {
  if (std::system("cc --version > /dev/null 2>&1") != 0)
    GTEST_SKIP() << "no C compiler (cc) on this machine";
  must_export(usual(), true);
  const char* program = R"(
#include "kernels.h"
#include <stdio.h>
#include <string.h>
int main(void) {
  float a[15], b[20], c[12];
  for (int i = 0; i < 15; ++i) a[i] = (float)i;
  for (int i = 0; i < 20; ++i) b[i] = 1;
  if (kernels_last_error()[0] != 0) return 1;
  if (matmul_f32_3x4x5(a, b, c) != 0) { puts(kernels_last_error()); return 2; }
  if (c[0] != 10 || c[11] != 60) return 3;
  if (matmul_f32_3x4x5(a, b, a) != -3) return 4;
  if (strstr(kernels_last_error(), "overlaps") == NULL) return 5;
  if (matmul_f32_3x4x5(a, NULL, c) != -1) return 6;
  float x[100], y[100];
  for (int i = 0; i < 100; ++i) x[i] = (float)i;
  if (scale_shift(x, y, 2.0f, -3) != 0) return 7;
  if (y[99] != 195) return 8;
  return 0;
}
)";
  put("use.c", program);
  put("use.cpp", program);
  EXPECT_EQ(run("cc -std=c99 -Wall -Wextra -Werror use.c -o use_c -L. -lkernels "
                "-Wl,--no-undefined -Wl,-rpath,'$ORIGIN' && ./use_c"),
            "");
  EXPECT_EQ(run("c++ -std=c++11 -Wall -Wextra -Werror use.cpp -o use_cpp -L. -lkernels "
                "-Wl,--no-undefined -Wl,-rpath,'$ORIGIN' && ./use_cpp"),
            "");
  EXPECT_EQ(run("cc -std=c99 use.c -o use_static libkernels.a -lgomp -lm -ldl && ./use_static"),
            "");
}

TEST_F(Export, FindPackageFindsIt) {
  if (std::system("cmake --version > /dev/null 2>&1") != 0)
    GTEST_SKIP() << "no cmake on this machine";
  must_export(usual(), true);
  put("CMakeLists.txt", "cmake_minimum_required(VERSION 3.16)\nproject(use C)\n"
                        "find_package(kernels 1.0 REQUIRED CONFIG PATHS ${CMAKE_SOURCE_DIR} "
                        "NO_DEFAULT_PATH)\nadd_executable(use use.c)\n"
                        "target_link_libraries(use kernels::kernels)\n");
  put("use.c", "#include <kernels.h>\nint main(void) { float x = 1, y; "
               "return picky(&x, &y) != 0 || y != 1; }\n");
  EXPECT_EQ(run("cmake -S . -B b && cmake --build b && b/use"), "");
}

TEST_F(Export, ManifestAndHeaderSayWhatIsInside) {
  auto functions = usual();
  functions[0].provenance = Json{{"record", "m3f9c2"}};
  functions[0].summary = "Matrix product */ of two.";
  must_export(functions);
  const auto manifest = parse_json(*read_file(folder_ / "kernels.json"));
  ASSERT_TRUE(manifest);
  EXPECT_EQ((*manifest)["schema"], "temper.library/1");
  EXPECT_EQ((*manifest)["functions"][0]["provenance"]["record"], "m3f9c2");
  EXPECT_EQ((*manifest)["functions"][0]["arguments"][2]["kind"], "output");
  const std::string header = *read_file(folder_ / "kernels.h");
  EXPECT_THAT(header, ::testing::HasSubstr(
                          "int matmul_f32_3x4x5(const float* A, const float* B, float* C);"));
  EXPECT_THAT(header, ::testing::HasSubstr("/* Matrix product * / of two."));
  EXPECT_THAT(header, ::testing::HasSubstr("Parallel: 2 threads"));
}

ExportFunction packed_product() {
  ExportFunction function;
  function.name = "product";
  function.artifact = packed_matmul(3, 4, 5);
  return function;
}

TEST_F(Export, AnOperandThatIsPackedAheadGetsAFunctionThatPacksIt) {
  const ExportFunction function = packed_product();
  ASSERT_EQ(function.artifact.packs.size(), 1U);
  EXPECT_EQ(function.artifact.signature[1].shape, (std::vector<int64_t>{5, 4})) << "the plain B";
  const ArgumentSpec packed = function.artifact.packs[0].packed;
  EXPECT_EQ(packed.shape, (std::vector<int64_t>{4, 5}));
  EXPECT_FALSE(packed.is_output);
  const ExportResult result = must_export({function, exported("picky", picky())});
  ASSERT_EQ(result.functions.size(), 3U);
  EXPECT_EQ(result.functions[0].signature,
            "int product(const float* A, const float* B_packed, float* C)");
  EXPECT_EQ(result.functions[1].signature, "int product_pack_B(const float* B, float* B_packed)");

  std::vector<float> a(15), b(20), c(12, NAN), b_packed(20, NAN);
  std::iota(a.begin(), a.end(), 1.0f);
  std::iota(b.begin(), b.end(), -4.0f);
  ArgumentSpec written = packed;
  written.is_output = true;
  auto done = call_exported(result.library, "product_pack_B",
                            {function.artifact.signature[1], written}, {b.data(), b_packed.data()});
  ASSERT_TRUE(done) << done.error().message;
  std::vector<ArgumentSpec> signature = function.artifact.signature;
  signature[1] = packed;
  done = call_exported(result.library, "product", signature, {a.data(), b_packed.data(), c.data()});
  ASSERT_TRUE(done) << done.error().message;
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 4; ++j) {
      float sum = 0;
      for (int l = 0; l < 5; ++l)
        sum += a[i * 5 + l] * b[l * 4 + j];
      EXPECT_EQ(c[i * 4 + j], sum);
    }
  // Whoever forgets to pack is told, where the shapes differ.
  done = call_exported(result.library, "product", function.artifact.signature,
                       {a.data(), b.data(), c.data()});
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().message,
              ::testing::HasSubstr("argument 1 (B_packed) has shape (5, 4), expected (4, 5)"));
}

TEST_F(Export, ManifestAndHeaderSayWhatIsPackedAheadAndHowLargeItIs) {
  must_export({packed_product()});
  const auto manifest = parse_json(*read_file(folder_ / "kernels.json"));
  ASSERT_TRUE(manifest);
  const Json& kernel = (*manifest)["functions"][0];
  EXPECT_EQ(kernel["packed"][0]["argument"], "B_packed");
  EXPECT_EQ(kernel["packed"][0]["by"], "product_pack_B");
  EXPECT_EQ(kernel["packed"][0]["bytes"], 80);
  EXPECT_EQ(kernel["packed"][0]["from"]["shape"], (Json{5, 4}));
  EXPECT_EQ((*manifest)["functions"][1]["provenance"]["packs"]["for"], "product");
  const std::string header = *read_file(folder_ / "kernels.h");
  EXPECT_THAT(header, ::testing::HasSubstr("B_packed is B packed ahead: product_pack_B(B, "
                                           "B_packed) makes its 80 bytes"));
  EXPECT_THAT(header, ::testing::HasSubstr("#define PRODUCT_B_PACKED_BYTES 80\n"));
}

TEST_F(Export, CPacksAndCalls) {
  if (std::system("cc --version > /dev/null 2>&1") != 0)
    GTEST_SKIP() << "no C compiler (cc) on this machine";
  must_export({packed_product()}, true);
  put("use.c", R"(
#include "kernels.h"
#include <stdlib.h>
int main(void) {
  float a[15], b[20], c[12];
  for (int i = 0; i < 15; ++i) a[i] = (float)i;
  for (int i = 0; i < 20; ++i) b[i] = (float)(i % 4);
  float* packed = malloc(PRODUCT_B_PACKED_BYTES);
  if (product_pack_B(b, packed) != 0) return 1;
  if (product(a, packed, c) != 0) return 2;
  if (c[0] != 0 || c[1] != 10 || c[3] != 30 || c[11] != 180) return 3;
  if (product_pack_B(b, b) != -3) return 4; /* overlap */
  if (product_pack_B(NULL, packed) != -1) return 5;
  free(packed);
  return 0;
}
)");
  EXPECT_EQ(run("cc -std=c99 -Wall -Wextra -Werror use.c -o use_c -L. -lkernels "
                "-Wl,--no-undefined -Wl,-rpath,'$ORIGIN' && ./use_c"),
            "");
  EXPECT_EQ(run("cc -std=c99 use.c -o use_static libkernels.a -lm -ldl && ./use_static"), "");
}

TEST_F(Export, BadNamesAndEmptyLibrariesAreRefused) {
  ExportOptions options;
  options.directory = folder_;
  const auto error = [&](const char* name, const std::vector<ExportFunction>& functions) {
    const auto result = export_library(name, functions, options);
    EXPECT_FALSE(result);
    return result ? "" : result.error().message;
  };
  const ExportFunction good = exported("m", matmul(1, 1, 1));
  ExportFunction bad = good;
  bad.name = "3m";
  EXPECT_THAT(error("k", {bad}), ::testing::HasSubstr("'3m' is no C identifier"));
  EXPECT_THAT(error("a-b", {good}), ::testing::HasSubstr("'a-b' is no C identifier"));
  EXPECT_THAT(error("k", {good, good}), ::testing::HasSubstr("are named 'm'"));
  EXPECT_THAT(error("k", {}), ::testing::HasSubstr("nothing to export"));
  bad = good;
  bad.artifact.object.clear();
  EXPECT_THAT(error("k", {bad}), ::testing::HasSubstr("no object code"));
  options.directory = "/proc/no/such/folder";
  EXPECT_THAT(error("k", {good}), ::testing::HasSubstr("cannot make the folder"));
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(Export, DefaultNamesTellWorkloadTypeAndSizes) {
  /// Input arrays of these types, a scalar, and an output of the last type.
  const auto named = [](std::string_view workload, const std::vector<const char*>& types,
                        const std::vector<int64_t>& sizes) {
    std::vector<ArgumentSpec> signature;
    for (const char* type : types)
      signature.push_back({.name = "a", .dtype = *parse_data_type(type), .shape = {4}});
    signature.back().is_output = true;
    signature.push_back({.name = "n", .dtype = *parse_data_type("int64"), .is_buffer = false});
    return default_function_name(workload, signature, sizes);
  };
  EXPECT_EQ(named("matmul", {"float32", "float32", "float32"}, {1024, 1024, 1024}),
            "matmul_f32_1024x1024x1024");
  EXPECT_EQ(named("conv2d-bias.relu", {"bfloat16", "bfloat16"}, {56}), "conv2d_bias_relu_bf16_56");
  EXPECT_EQ(named("2mm", {"uint8"}, {}), "kernel_2mm_u8");
  EXPECT_EQ(named("matmul", {"bfloat16", "bfloat16", "float32"}, {8, 8}), "matmul_bf16_f32_8x8");
  EXPECT_EQ(named("matmul", {"int8", "int8", "int32"}, {8}), "matmul_i8_i32_8");
  EXPECT_EQ(named("matmul", {"uint8", "int8", "int32"}, {8}), "matmul_u8i8_i32_8");
  EXPECT_EQ(named("scale", {"float16", "float32", "float16"}, {}), "scale_f16f32_f16");
}

TEST_F(Export, PythonCallsItThroughTvmFfi) {
  std::string python;
  const char* given = std::getenv("TEMPER_TEST_PYTHON");
  for (const std::string& candidate :
       {std::string(given == nullptr ? "" : given),
        std::string(TEMPER_BUILD_DIR "/venv/bin/python"),
        std::string(TEMPER_BUILD_DIR "/../venv/bin/python"), std::string("python3")})
    if (python.empty() && !candidate.empty() &&
        std::system(("'" + candidate + "' -c 'import numpy, tvm_ffi' > /dev/null 2>&1").c_str()) ==
            0)
      python = candidate;
  if (python.empty())
    GTEST_SKIP() << "no Python with numpy and apache-tvm-ffi (TEMPER_TEST_PYTHON may name one)";
  auto functions = usual();
  functions[0].provenance = Json{{"record", "m3f9c2"}};
  functions.push_back(packed_product());
  must_export(functions);
  const std::string script = TEMPER_SOURCE_DIR "/tests/codegen/tvm_ffi_check.py";
  EXPECT_EQ(run("'" + python + "' '" + script + "' libkernels.so"), "");
  EXPECT_EQ(run("LOAD_FIRST=1 '" + python + "' '" + script + "' libkernels.so"), "");
}

/// A driver that notes what it is asked.
const char* const kFakeDriver = R"(
#include <stdint.h>
#include <stdio.h>
#include <string.h>
static int handle;
int cuInit(unsigned flags) { return (int)flags; }
int cuGetErrorString(int code, const char** text) { *text = code == 209 ? "no kernel image" : "bad"; return 0; }
int cuCtxGetCurrent(void** context) { *context = 0; return 0; }
int cuDevicePrimaryCtxRetain(void** context, int device) { printf("context of %d\n", device); *context = &handle; return 0; }
int cuCtxPushCurrent_v2(void* context) { return context == &handle ? 0 : 1; }
int cuCtxPopCurrent_v2(void** context) { printf("popped\n"); *context = 0; return 0; }
int cuCtxGetDevice(int* device) { *device = 3; return 0; }
int cuLibraryLoadData(void** library, const void* code, void* a, void* b, unsigned c, void* d, void* e, unsigned f) {
  (void)a; (void)b; (void)c; (void)d; (void)e; (void)f;
  printf("load %s\n", memcmp(code, "\177ELF", 4) == 0 ? "cubin" : strstr(code, ".target") ? "ptx" : "?");
#ifdef REFUSES
  return 209;
#endif
  *library = &handle;
  return 0;
}
int cuLibraryGetKernel(void** kernel, void* library, const char* name) { printf("kernel %s\n", name); *kernel = library; return 0; }
int cuKernelSetAttribute(int attribute, int value, void* kernel, int device) { printf("attribute %d %d on %d\n", attribute, value, device); return kernel == &handle ? 0 : 1; }
int cuTensorMapEncodeTiled(void* map, int type, uint32_t rank, void* address, const uint64_t* shape, const uint64_t* strides, const uint32_t* box, const uint32_t* steps, int interleave, int swizzle, int promotion, int fill) {
  printf("map type %d rank %u at %p shape %d %d stride %d box %u %u steps %u swizzle %d\n", type, rank, address, (int)shape[0], (int)shape[1], (int)strides[0], box[0], box[1], steps[1], swizzle);
  memset(map, 0x5a, 128);
  return interleave + fill + (promotion == 2 ? 0 : 1) + ((uintptr_t)map % 64 != 0);
}
int cuMemAllocAsync(uint64_t* memory, size_t bytes, void* stream) { (void)stream; *memory = bytes; return 0; }
int cuMemFreeAsync(uint64_t memory, void* stream) { (void)stream; return memory == 0; }
struct config { unsigned grid[3], block[3], shared; void* stream; struct { int id, padding; union { char bytes[64]; unsigned cluster[3]; }; }* attributes; unsigned count; };
int cuLaunchKernelEx(const struct config* c, void* kernel, void** parameters, void** extra) {
  printf("launch %u %u %u of %u %u %u, %u bytes, stream %p, A %p, C %p, map %x\n", c->grid[0], c->grid[1], c->grid[2], c->block[0], c->block[1], c->block[2], c->shared, c->stream, *(void**)parameters[0], *(void**)parameters[2], *(unsigned*)parameters[4]);
  for (unsigned i = 0; i < c->count; ++i)
    printf("attribute %d: %u %u %u\n", c->attributes[i].id, c->attributes[i].cluster[0], c->attributes[i].cluster[1], c->attributes[i].cluster[2]);
  return kernel != &handle || extra != 0;
}
)";

TEST_F(Export, CodeForAGpuIsStartedThroughTheDriverOnTheCallersStream) {
  const auto nvrtc = Nvrtc::load();
  if (!nvrtc)
    GTEST_SKIP() << nvrtc.error().message;
  const auto program = script::parse_prim_func(
      hopper_gemm("float16", 512, 256, 128, false, "64x64x32", 128, true), "kernel.py");
  ASSERT_TRUE(program) << program.error().message;
  const ir::Target target = *ir::parse_target("cuda:sm_90a");
  const auto lowered = lower_for_gpu(ir::make_module(*program), target);
  ASSERT_TRUE(lowered) << lowered.error().message;
  auto artifact = compile_cuda(*lowered, target);
  ASSERT_TRUE(artifact) << artifact.error().message;
  artifact->signature = {{"A", DataType::floating(16), {512, 128}, true, false},
                         {"B", DataType::floating(16), {128, 256}, true, false},
                         {"C", DataType::float32(), {512, 256}, true, true}};
  const int64_t shared = artifact->launch.kernels[0].shared_bytes;
  EXPECT_LT(shared, 48 * 1024) << "it is asked for, since static memory takes of the 48 KB, too";
  artifact->launch.kernels[0].cluster = {2, 2, 1};
  ExportFunction function;
  function.name = "gemm";
  function.artifact = *artifact;
  const ExportResult result = must_export({function, exported("picky", picky())});
  ASSERT_EQ(result.functions.size(), 2u);
  EXPECT_EQ(result.functions[0].signature,
            "int gemm(const uint16_t* A, const uint16_t* B, float* C, void* stream)");
  put("call.c", R"(
#include "kernels.h"
#include <stdio.h>
static uint16_t a[512 * 128], b[128 * 256];
static float c[512 * 256], x[1] = {1}, y[1];
int main(void) {
  printf("picky %d\n", picky(x, y));
  for (int i = 0; i < 2; ++i) {
    int code = gemm(a, b, c, (void*)0x70);
    printf("gemm %d %s\n", code, code != 0 ? kernels_last_error() : "");
  }
  printf("null %d\n", gemm(a, 0, c, 0));
  printf("addresses %p %p\n", (void*)a, (void*)c);
}
)");
  put("driver.c", kFakeDriver);
  ASSERT_EQ(run("cc call.c -o call -I. -L. -lkernels -Wl,-rpath,$PWD"), "");
  ASSERT_EQ(run("mkdir fake refuses && cc -shared -fPIC -Wl,-soname,libcuda.so.1 driver.c -o "
                "fake/libcuda.so.1 && cc -DREFUSES -shared -fPIC -Wl,-soname,libcuda.so.1 driver.c "
                "-o refuses/libcuda.so.1"),
            "");
  const auto said = [&](const std::string& command) {
    EXPECT_EQ(run(command + " > said"), "");
    return read_file(folder_ / "said").value_or("");
  };
  std::string text = said("LD_LIBRARY_PATH=fake ./call");
  const auto number_after = [&](const std::string& words, size_t which) {
    std::string rest = text.substr(text.find(words) + words.size());
    for (; which > 0; --which)
      rest = rest.substr(rest.find(' ') + 1);
    return rest.substr(0, rest.find_first_of(" \n"));
  };
  const std::string a = number_after("addresses ", 0), c = number_after("addresses ", 1);
  for (const std::string& words :
       {std::string("picky 0\n"), std::string("load cubin\nkernel gemm_kernel\ncontext of 0\n"),
        "map type 6 rank 2 at " + a + " shape 128 512 stride 256 box 32 64 steps 1 swizzle 2\n",
        std::string("shape 256 128 stride 512 box 64 32 steps 1 swizzle 3\n"),
        "attribute 8 " + std::to_string(shared) + " on 3\n",
        "launch 4 8 1 of 128 1 1, " + std::to_string(shared) + " bytes, stream 0x70, A " + a +
            ", C " + c + ", map 5a5a5a5a\nattribute 4: 2 2 1\n",
        std::string("popped\ngemm 0 \n"), std::string("null -1\n")})
    EXPECT_NE(text.find(words), std::string::npos) << words << "in:\n" << text;
  EXPECT_EQ(text.find("load"), text.rfind("load")) << "once";
  text = said("LD_LIBRARY_PATH=refuses ./call");
  for (const char* words :
       {"load cubin\nload ptx\n", "picky 0\n", "gemm -7 gemm(A: float16[512, 128]",
        "was compiled for cuda:sm_90a, which this GPU cannot run: no kernel image"})
    EXPECT_NE(text.find(words), std::string::npos) << words << " in:\n" << text;
  if (void* driver = ::dlopen("libcuda.so.1", RTLD_LAZY)) {
    ::dlclose(driver);
    GTEST_SKIP() << "a driver is here: what is said without one is not tested";
  }
  text = said("./call");
  for (const char* words : {"picky 0\n", "gemm -6 gemm(A: float16[512, 128]",
                            "needs a GPU and its driver, which is not here: libcuda.so.1"})
    EXPECT_NE(text.find(words), std::string::npos) << words << " in:\n" << text;
}

} // namespace
} // namespace temper::codegen::testing
