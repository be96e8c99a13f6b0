// Code for AArch64: the instructions are there, and under qemu-user it computes what the
// interpreter says. Running needs Debian's qemu-user, gcc-aarch64-linux-gnu and
// libc6-dev-arm64-cross.
#include "codegen/llvm/stubs.h"
#include "ir/support/text.h"
#include "tests/codegen/build.h"
#include "tests/codegen/lowered.h"
#include "tests/support/run_program.h"
#include "tests/support/tensorized_product.h"

#include <filesystem>
#include <fstream>

namespace temper::codegen {
namespace {

namespace fs = std::filesystem;
using s_tir::Schedule;
using ::testing::HasSubstr;
using testing::lowered_for;
using ::testing::Not;

ir::Target target_of(const char* text) { return *ir::parse_target(text); }

/// Tiles of sums in vectors of four.
ir::IRModule float_product(int64_t m, int64_t n, int64_t k) {
  Schedule sch(s_tir::typed_product(m, n, k, "float32", "float32", "float32"), 0);
  const auto tiled = s_tir::tiled_product(sch, 2, 2, 4);
  EXPECT_TRUE(sch.vectorize(tiled.tile));
  EXPECT_TRUE(sch.vectorize(sch.get_loops(tiled.init)->back()));
  return sch.module();
}

ir::IRModule dot_product(const char* a, const char* b, const char* dot) {
  Schedule sch(s_tir::typed_product(5, 16, 12, a, b, "int32"), 0);
  const auto tiled = s_tir::tiled_product(sch, 4, 3, 4);
  EXPECT_TRUE(sch.vectorize(sch.get_loops(tiled.init)->back()));
  for (const auto& [loop, name] : {std::pair{tiled.tile, std::string(dot)},
                                   std::pair{tiled.panel, "interleave_4x4_" + std::string(b)}}) {
    const auto done = sch.tensorize(loop, name);
    EXPECT_TRUE(done) << (done ? "" : done.error().to_string());
  }
  return sch.module();
}

std::string assembly_of(const ir::IRModule& module, const char* target) {
  const auto lowered = lowered_for(module, target_of(target));
  EXPECT_TRUE(lowered) << (lowered ? "" : lowered.error().to_string());
  const auto assembly = emit_assembly_text(*lowered, target_of(target));
  EXPECT_TRUE(assembly) << (assembly ? "" : assembly.error().to_string());
  return assembly ? *assembly : "";
}

TEST(Aarch64, MultipliesAndAddsInVectors) {
  const std::string assembly = assembly_of(float_product(8, 16, 8), "cpu:neoverse-n1");
  EXPECT_THAT(assembly, HasSubstr("fmla"));
  EXPECT_THAT(assembly, Not(HasSubstr("xmm")));
}

TEST(Aarch64, HasDotProductsOfBytes) {
  EXPECT_THAT(assembly_of(dot_product("int8", "int8", "dot_4x4_s8s8_neon"), "cpu:neoverse-n1"),
              HasSubstr("sdot"));
  EXPECT_THAT(assembly_of(dot_product("uint8", "uint8", "dot_4x4_u8u8_neon"), "cpu:neoverse-n1"),
              HasSubstr("udot"));
  EXPECT_THAT(assembly_of(dot_product("uint8", "int8", "dot_4x4_u8s8_neon"), "cpu:neoverse-v1"),
              HasSubstr("usdot"));
}

TEST(Aarch64, RefusesInstructionsOfOthers) {
  const auto lowered =
      lowered_for(dot_product("int8", "int8", "dot_4x4_s8s8_neon"), target_of("cpu:cortex-a53"));
  ASSERT_FALSE(lowered);
  EXPECT_THAT(lowered.error().to_string(), HasSubstr("needs dotprod"));
  const auto here = lowered_for(dot_product("int8", "int8", "dot_4x4_s8s8_neon"),
                                target_of("cpu:sapphirerapids"));
  ASSERT_FALSE(here);
  EXPECT_THAT(here.error().to_string(), HasSubstr("needs dotprod"));
}

TEST(Aarch64, IsATargetWithItsOwnFeatures) {
  EXPECT_THAT(*required_features(target_of("cpu:neoverse-n1")),
              ::testing::ElementsAre("dotprod", "fullfp16", "neon"));
  EXPECT_THAT(*required_features(target_of("cpu:cortex-a53")), ::testing::ElementsAre("neon"));
  const auto unknown = resolve_target(target_of("cpu:neoverse-n9"));
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().message, HasSubstr("did you mean 'neoverse-n"));
  const auto feature = resolve_target(target_of("cpu:neoverse-n1,+avx2"));
  ASSERT_FALSE(feature);
  EXPECT_THAT(feature.error().message, HasSubstr("no feature 'avx2' of AArch64 CPUs"));
  const auto exported = feature_mask("cpu:neoverse-n1");
  ASSERT_FALSE(exported);
  EXPECT_THAT(exported.error().message, HasSubstr("libraries are made for x86-64"));
}

bool has_program(const std::string& name) {
  return std::system(("command -v " + name + " > /dev/null 2>&1").c_str()) == 0;
}

/// Reads each array from the standard input, runs, and writes the last one.
constexpr const char* kDriver = R"(
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
int32_t ENTRY(void* const*);
int main(int argc, char** argv) {
  void* arrays[16];
  for (int i = 1; i < argc; ++i) {
    const size_t bytes = strtoull(argv[i], 0, 10);
    arrays[i - 1] = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (fread(arrays[i - 1], 1, bytes, stdin) != bytes)
      return 2;
  }
  if (ENTRY(arrays) != 0)
    return 3;
  fwrite(arrays[argc - 2], 1, strtoull(argv[argc - 1], 0, 10), stdout);
  return 0;
}
)";

/// What the program computes under qemu-user, of the inputs that run_on_integers() makes.
void expect_as_interpreted(const ir::IRModule& module, const char* target, const char* qemu_cpu) {
  if (!has_program("qemu-aarch64") || !has_program("aarch64-linux-gnu-gcc"))
    GTEST_SKIP() << "no qemu-aarch64 or aarch64-linux-gnu-gcc (Debian's qemu-user, "
                    "gcc-aarch64-linux-gnu, libc6-dev-arm64-cross)";
  const auto expected = s_tir::run_on_integers(module, 2, 3);
  ASSERT_EQ(expected.error, "");
  const auto lowered = lowered_for(module, target_of(target));
  ASSERT_TRUE(lowered) << lowered.error().to_string();
  CompileOptions options;
  options.link = false;
  const auto artifact = compile(*lowered, target_of(target), options);
  ASSERT_TRUE(artifact) << artifact.error().to_string();
  std::string folder = (fs::temp_directory_path() / "temper-aarch64-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const auto file = [&](const char* name) { return folder + "/" + name; };
  std::ofstream(file("kernel.o"), std::ios::binary)
      .write(reinterpret_cast<const char*>(artifact->object.data()),
             static_cast<std::streamsize>(artifact->object.size()));
  std::ofstream(file("driver.c")) << kDriver;

  Random random(3);
  std::vector<s_tir::TypedArray> arrays;
  std::string sizes;
  {
    std::ofstream input(file("input"), std::ios::binary);
    const auto& params = module->find_prim_func("main")->params;
    for (size_t i = 0; i < params.size(); ++i) {
      const int64_t count = *params[i].buffer->element_count();
      arrays.emplace_back(params[i].buffer->dtype, count);
      for (int64_t j = 0; j < count; ++j)
        arrays[i].set(j, i < 2 ? static_cast<float>(random.between(-4, 4)) : 77.0F);
      const int64_t bytes = count * params[i].buffer->dtype.element_bytes();
      input.write(static_cast<const char*>(
                      std::get<ir::ArrayView>(ir::InterpretArgument(arrays[i].view(true))).data),
                  bytes);
      sizes += " " + std::to_string(bytes);
    }
  }
  const std::string built = "aarch64-linux-gnu-gcc -static -O1 -DENTRY=" + artifact->entry + " " +
                            file("driver.c") + " " + file("kernel.o") + " -o " + file("program") +
                            " 2> " + file("errors");
  ASSERT_EQ(std::system(built.c_str()), 0) << *read_file(file("errors"));
  const std::string run = std::string("qemu-aarch64 -cpu ") + qemu_cpu + " " + file("program") +
                          sizes + " < " + file("input") + " > " + file("output");
  ASSERT_EQ(std::system(run.c_str()), 0);
  std::string output = *read_file(file("output"));
  fs::remove_all(folder);
  std::memcpy(std::get<ir::ArrayView>(ir::InterpretArgument(arrays.back().view(true))).data,
              output.data(), output.size());
  EXPECT_EQ(arrays.back().values(), expected.outputs[0]);
}

TEST(Aarch64, ComputesProductsOfFloats) {
  expect_as_interpreted(float_product(6, 16, 8), "cpu:cortex-a53", "cortex-a53");
}
TEST(Aarch64, ComputesProductsOfBytes) {
  expect_as_interpreted(dot_product("int8", "int8", "dot_4x4_s8s8_neon"), "cpu:neoverse-n1",
                        "neoverse-n1");
}
TEST(Aarch64, ComputesProductsOfBytesOfBothKinds) {
  expect_as_interpreted(dot_product("uint8", "int8", "dot_4x4_u8s8_neon"), "cpu:neoverse-v1",
                        "max");
}

} // namespace
} // namespace temper::codegen
