// The language reference is what the registries say, and every example in it is a program that is
// read, printed, read back, verified, and, unless it is for GPUs only, runs as it is lowered.
#include "codegen/lower.h"
#include "codegen/lower_gpu.h"
#include "ir/interpret.h"
#include "ir/script/evaluator.h"
#include "ir/script/parser.h"
#include "ir/script/printer.h"
#include "ir/script/reference.h"
#include "ir/script/workload_file.h"
#include "ir/structural.h"
#include "ir/tir/tile_ops.h"
#include "ir/verify.h"
#include "tests/support/golden.h"

#include <gtest/gtest.h>

#include <set>

namespace temper::script {
namespace {

TEST(LanguageReference, IsWhatTheRegistriesSay) {
  testing::expect_golden("ir/tir/LANGUAGE.md", language_reference());
}

TEST(LanguageReference, OfCompatibilityIsWhatTheLanguageHas) {
  testing::expect_golden("ir/tir/COMPAT.md", compatibility_reference());
}

PrimFunc function_of(const IRModule& module) {
  return module->functions.front().function.as_ref<PrimFuncNode>();
}

Result<std::vector<std::vector<float>>> run(const PrimFunc& function, const PrimFunc& plan) {
  std::vector<std::vector<float>> arrays;
  std::vector<InterpretArgument> arguments;
  arrays.reserve(plan->params.size());
  const std::vector<bool> written = written_parameters(plan);
  for (size_t p = 0; p < plan->params.size(); ++p) {
    auto& array =
        arrays.emplace_back(static_cast<size_t>(*plan->params[p].buffer->element_count()));
    for (size_t i = 0; i < array.size(); ++i)
      array[i] = static_cast<float>((i * 7 + p) % 9) - 4;
    arguments.emplace_back(written[p] ? output(array) : input(array));
  }
  TEMPER_TRY_VOID(interpret(function, arguments));
  return arrays;
}

TEST(LanguageReference, HasExamplesThatRun) {
  for (const LanguageEntry& entry : language_entries()) {
    SCOPED_TRACE(entry.name + "\n" + entry.example);
    EXPECT_FALSE(entry.doc.empty());
    const auto module = parse_module(entry.example, "example.py");
    ASSERT_TRUE(module) << module.error().to_string();
    const auto again = parse_module(to_text(*module));
    ASSERT_TRUE(again) << again.error().to_string();
    std::string difference;
    EXPECT_TRUE(structural_equal(*module, *again, &difference)) << difference;
    const auto good = verify(*module);
    ASSERT_TRUE(good) << good.error().to_string();
    if (!entry.on_cpu)
      continue;
    const PrimFunc program = function_of(*module);
    const auto expected = run(program, program);
    ASSERT_TRUE(expected) << expected.error().to_string();
    const auto lowered = codegen::lower_for_cpu(*module, {});
    ASSERT_TRUE(lowered) << lowered.error().to_string();
    const auto got = run(function_of(*lowered), program);
    ASSERT_TRUE(got) << got.error().to_string();
    for (size_t p = 0; p < expected->size(); ++p)
      for (size_t i = 0; i < (*expected)[p].size(); ++i)
        if ((*expected)[p][i] != (*got)[p][i]) { // infinities too
          EXPECT_NEAR((*expected)[p][i], (*got)[p][i], 1e-4 * (1 + std::abs((*expected)[p][i])));
        }
  }
}

void expect_read_back(const IRModule& module) {
  const std::string text = to_text(module);
  const auto again = parse_module(text, "step.py");
  std::string difference;
  EXPECT_TRUE(again) << again.error().to_string() << text;
  EXPECT_TRUE(again && structural_equal(module, *again, &difference)) << difference << text;
}

/// What each of the passes makes is printed and read back; where one refuses, until then.
void expect_read_back(IRModule module, const std::vector<Pass>& passes) {
  for (const Pass& pass : passes) {
    SCOPED_TRACE(pass.name);
    const auto next = pass.run(module);
    if (!next)
      return; // it is for another kind of target
    module = *next;
    expect_read_back(module);
  }
}

TEST(LanguageReference, EachStepOfLoweringItsExamplesReadsBack) {
  std::vector<std::string> programs = {R"(
m = T.dynamic("m")

@T.prim_func
def main(A: T.Tensor((m, 40), "float32"), B: T.Tensor((m,), "float32")):
    with T.Kernel(T.ceildiv(m, 32), threads=32) as bx:
        tile = T.alloc_fragment((32, 40), "float32")
        sums = T.alloc_fragment((32,), "float32")
        T.copy(A[bx * 32, 0], tile)
        T.reduce_sum(tile, sums, dim=1)
        T.print(sums, msg="sums {} of {m}")
        T.copy(sums, B[bx * 32])
)"};
  for (const LanguageEntry& entry : language_entries())
    programs.push_back(entry.example);
  const LowerOptions options;
  const auto limits = codegen::gpu_limits(*parse_target("cuda:sm_90a"));
  ASSERT_TRUE(limits);
  for (const std::string& program : programs) {
    SCOPED_TRACE(program);
    const auto module = parse_module(program, "example.py");
    ASSERT_TRUE(module) << module.error().to_string();
    expect_read_back(*module, codegen::tile_passes(options));
    if (const auto lowered = codegen::lower_for_cpu(*module, options))
      expect_read_back(*lowered);
    expect_read_back(*module, codegen::gpu_passes(*limits));
  }
}

TEST(LanguageReference, BeginsWithAWorkloadThatIsOne) {
  const auto file = WorkloadFile::parse(workload_example(), "scaled.py");
  ASSERT_TRUE(file) << file.error().to_string();
  const auto workload = file->instantiate("scaled", {{"M", "40"}, {"N", "64"}});
  ASSERT_TRUE(workload) << workload.error().to_string();
  const auto result = run(function_of(workload->module), function_of(workload->module));
  const auto expected = run(function_of(workload->reference), function_of(workload->module));
  ASSERT_TRUE(result) << result.error().to_string();
  ASSERT_TRUE(expected) << expected.error().to_string();
  EXPECT_EQ((*result)[1], (*expected)[1]);
}

TEST(LanguageReference, OfTileLangsFilesTheDecoratorsSayNothing) {
  const auto file = WorkloadFile::parse(R"(import tilelang
import tilelang.language as T

@tilelang.autotune(configs=whatever_there_is(), warmup=3)
@tilelang.jit(out_idx=[-1], pass_configs={tilelang.PassConfigKey.TL_ENABLE_FAST_MATH: True})
def scale(n, block=32, dtype="float32"):
    @T.prim_func
    def main(A: T.Tensor((n,), dtype), B: T.Tensor((n,), dtype)):
        with T.Kernel(tilelang.cdiv(n, block), threads=32) as bx:
            T.copy(A[bx * block:bx * block + block], B[bx * block])
    return main
)",
                                        "scale.py");
  ASSERT_TRUE(file) << file.error().to_string();
  const auto workload = file->instantiate("scale", {{"n", "64"}}, true);
  ASSERT_TRUE(workload) << workload.error().to_string();
  EXPECT_EQ(workload->parameters.size(), 3U);
  const auto tool = WorkloadFile::parse("import tilelang\nx = tilelang.compile(1)\n", "bad.py");
  ASSERT_FALSE(tool);
  EXPECT_NE(tool.error().to_string().find("tilelang.compile is not known"), std::string::npos)
      << tool.error().to_string();
}

TEST(LanguageReference, KnowsEveryNameOfTheLanguage) {
  std::set<std::string> known;
  for (const LanguageEntry& entry : language_entries())
    for (const std::string& name : split_text(entry.name, ','))
      known.insert(std::string(trim(name)));
  // What s-tir and flat programs have besides is in the printer's golden files.
  for (const tir::TileOp* op : tir::all_tile_ops())
    EXPECT_TRUE(known.contains("T." + op->name)) << op->name;
}

} // namespace
} // namespace temper::script
