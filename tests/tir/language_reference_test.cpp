// The language reference is what the registries say, and every example in it is a program that is
// read, printed, read back, verified, and, unless it is for GPUs only, runs as it is lowered.
#include "codegen/lower.h"
#include "codegen/lower_gpu.h"
#include "ir/interpret.h"
#include "ir/op.h"
#include "ir/script/evaluator.h"
#include "ir/script/parser.h"
#include "ir/script/printer.h"
#include "ir/script/reference.h"
#include "ir/script/workload_file.h"
#include "ir/structural.h"
#include "ir/tir/emulator/emulate.h"
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

TEST(LanguageReference, ForGpusHasRawInstructionsWhoseExamplesRunEmulated) {
  size_t count = 0;
  std::set<std::string> documented;
  for (const LanguageEntry& entry : language_entries()) {
    if (entry.section != "Raw instructions of GPUs")
      continue;
    SCOPED_TRACE(entry.name + "\n" + entry.example);
    ++count;
    for (const std::string& name : split_text(entry.name, ','))
      documented.insert(std::string(trim(name)).substr(2));
    const auto module = parse_module(entry.example, "example.py");
    ASSERT_TRUE(module) << module.error().to_string();
    const PrimFunc function = function_of(*module);
    const std::vector<bool> written = written_parameters(function);
    std::vector<std::vector<float>> floats(function->params.size());
    std::vector<std::vector<uint16_t>> halves(function->params.size());
    std::vector<InterpretArgument> arguments;
    for (size_t p = 0; p < function->params.size(); ++p) {
      const Buffer& buffer = function->params[p].buffer;
      const auto elements = static_cast<size_t>(*buffer->element_count());
      if (buffer->dtype == DataType::floating(16)) {
        halves[p].assign(elements, 0x3c00); // 1
        arguments.emplace_back(
            ArrayView{buffer->dtype, halves[p].data(), static_cast<int64_t>(elements)});
        continue;
      }
      floats[p].assign(elements, 1.0F);
      arguments.emplace_back(written[p] ? output(floats[p]) : input(floats[p]));
    }
    const auto report = tir::emulate_thoroughly(function, arguments);
    EXPECT_TRUE(report) << report.error().message;
  }
  EXPECT_GE(count, 9U);
  // What threads of a GPU carry out is documented, but for what only lowering writes.
  static const std::set<std::string> kWritten{
      "warp_load_matrix",   "warp_fill",     "warp_store_matrix",
      "warp_mma",           "amd_mfma",      "setmaxnreg",
      "call_source_kernel", "source_writes", "mbarrier_arrive_cluster"};
  std::set<std::string> elsewhere;
  for (const LanguageEntry& entry : language_entries())
    for (const std::string& name : split_text(entry.name, ','))
      elsewhere.insert(std::string(trim(name)));
  for (const OpInfo& op : all_ops())
    if (op.result == OpResult::kStatement && !kWritten.contains(op.name)) {
      EXPECT_TRUE(documented.contains(op.name) || elsewhere.contains("T." + op.name)) << op.name;
    }
}

/// Names of TileLang 0.1.15's language, its types among them.
std::vector<std::string> public_names() {
  std::vector<std::string> names;
  const std::string text =
      read_file(testing::golden_path("tests/text/tir/tilelang_names.txt")).value();
  for (const std::string& line : split_text(text, '\n'))
    if (!trim(line).empty())
      names.emplace_back(trim(line));
  return names;
}

TEST(TileLangNames, AreThereOrSayWhatWorksInstead) {
  EXPECT_GE(public_names().size(), 600U);
  for (const std::string& name : public_names()) {
    const bool there = find_in_t(name).has_value();
    EXPECT_TRUE(there) << "T." << name << " is not known";
    if (const auto refusal = refusal_in_t(name)) {
      EXPECT_TRUE(refusal->starts_with("is ") || refusal->starts_with("belongs ")) << name;
      EXPECT_GE(refusal->size(), 20U) << name;
    }
  }
}

TEST(TileLangNames, ThatAreThereStandInAnExampleOfTheReference) {
  std::string examples;
  for (const LanguageEntry& entry : language_entries())
    examples += entry.example;
  const auto used = [&](const std::string& name) {
    for (size_t at = examples.find("T." + name); at != std::string::npos;
         at = examples.find("T." + name, at + 1)) {
      const char next = examples[at + 2 + name.size()];
      if (std::isalnum(static_cast<unsigned char>(next)) == 0 && next != '_')
        return true;
    }
    return false;
  };
  size_t count = 0;
  for (const std::string& line : split_text(compatibility_reference(), '\n')) {
    if (!line.starts_with("| `T.") || line.find("` | yes |") == std::string::npos)
      continue;
    const std::string name = line.substr(5, line.find('`', 5) - 5);
    EXPECT_TRUE(used(name)) << "T." << name << " is said to have an example";
    ++count;
  }
  EXPECT_GE(count, 150U);
}

// A file in TileLang's own style: implicit casts, hints, steps, "float", a part that only a script
// has.
TEST(LanguageReference, OfTileLangsStyleAKernelRunsAsItIs) {
  const auto file = WorkloadFile::parse(R"(import tilelang
import tilelang.language as T

@tilelang.jit(out_idx=[-1])
def rows(M, N, doubled, threads=32, dtype="float16", accum_dtype="float"):
    @T.prim_func
    def main(A: T.Tensor((M, N), dtype), B: T.Tensor((M,), dtype), C: T.Tensor((M, N), dtype)):
        with T.Kernel(M, threads=threads) as bx:
            tile = T.alloc_shared((1, N), dtype)
            sums = T.alloc_fragment((1,), accum_dtype)
            T.copy(A[bx, 0], tile, eviction_policy="evict_first", prefer_instruction="cp_async",
                   loop_layout=None)
            part = T.alloc_fragment((1, N), accum_dtype)
            for i, j in T.Parallel(1, N, prefer_async=True, loop_layout=None):
                part[i, j] = tile[i, j]
            T.reduce_sum(part, sums, dim=1, batch=1)
            B[bx] = sums[0]
            for i in T.serial(0, N, 2):
                C[bx, i] = T.float32(2.0) * tile[0, i] if doubled else tile[0, i]
            for i in range(N - 1, 0, -2):
                C[bx, i] = 0
    return main

def ref_program(a):
    return torch.sum(a)

if __name__ == "__main__":
    kernel = rows(8, 16, True)
    with torch.no_grad():
        print(f"{kernel.get_profiler().do_bench():.2f}")
    try:
        pass
    finally:
        pass
)",
                                        "rows.py");
  ASSERT_TRUE(file) << file.error().to_string();
  for (const bool doubled : {true, false}) {
    const auto workload = file->instantiate(
        "rows", {{"M", "3"}, {"N", "6"}, {"doubled", doubled ? "True" : "False"}}, true);
    ASSERT_TRUE(workload) << workload.error().to_string();
    const PrimFunc function = function_of(workload->module);
    std::vector<uint16_t> a(18, 0x3c00), b(3), c(18); // 1
    const auto view = [](std::vector<uint16_t>& data) {
      return ArrayView{DataType::floating(16), data.data(), static_cast<int64_t>(data.size())};
    };
    const std::vector<InterpretArgument> arguments{view(a), view(b), view(c)};
    const auto run = interpret(function, arguments);
    ASSERT_TRUE(run) << run.error().to_string();
    EXPECT_EQ(b, std::vector<uint16_t>(3, 0x4600)); // 6
    for (size_t i = 0; i < c.size(); ++i)
      EXPECT_EQ(c[i], i % 2 == 1 ? 0 : doubled ? 0x4000 : 0x3c00) << i;
  }
}

TEST(LanguageReference, OfAKernelThatIsTracedSaysHowItIsWrittenHere) {
  const auto file = WorkloadFile::parse(R"(import tilelang
import tilelang.language as T
@tilelang.jit
def matmul(A, B, block_M: int = 64):
    M, N, K = T.const("M, N, K")
    C = T.empty([M, N], "float16")
    with T.Kernel(1, threads=128) as bx:
        T.clear(C)
    return C
)",
                                        "eager.py");
  ASSERT_FALSE(file);
  const std::string message = file.error().to_string();
  EXPECT_NE(message.find("eager.py:5:"), std::string::npos) << message;
  EXPECT_NE(message.find("a function of its extents that returns the program"), std::string::npos)
      << message;
}

// TileLang puts barriers between statements of single threads; for tvm.script they are the
// author's.
TEST(LanguageReference, OfTileLangsFilesThreadsMeetWhereTheyHandSomethingOver) {
  std::string kernel = R"(
@T.prim_func
def main(A: T.Tensor((64, 32), "float32"), B: T.Tensor((32,), "float32")):
    with T.Kernel(1, threads=32) as bx:
        tx = T.get_thread_binding(0)
        row = T.alloc_shared((32,), "float32")
        sums = T.alloc_local((1,), "float32")
        sums[0] = 0.0
        for i in T.serial(64):
            row[tx] = A[i, tx]
            if tx < 16:
                sums[0] = sums[0] + row[31 - tx]
        B[tx] = sums[0]
)";
  const auto barriers = [&](const std::string& imports) {
    const auto module = parse_module(imports + kernel, "kernel.py");
    EXPECT_TRUE(module) << module.error().to_string();
    std::vector<std::string> around;
    const std::vector<std::string> lines = split_text(to_text(*module), '\n');
    for (size_t i = 1; i + 1 < lines.size(); ++i)
      if (lines[i].find("T.sync_threads()") != std::string::npos)
        around.emplace_back(trim(lines[i - 1]));
    return around;
  };
  EXPECT_TRUE(barriers("from tvm.script import tirx as T\n").empty());
  EXPECT_EQ(barriers("import tilelang.language as T\n"),
            (std::vector<std::string>{"row[tx] = A[i, tx]", "sums = sums + row[31 - tx]"}));
  // The one barrier is of the mbarriers' preparation.
  kernel += "        bar = T.alloc_barrier(32)\n        T.barrier_arrive(bar)\n"
            "        T.barrier_wait(bar, 0)\n";
  EXPECT_EQ(barriers("import tilelang.language as T\n"),
            barriers("from tvm.script import tirx as T\n"));
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
