/// What a workload file may say of its own space, from outside: a schedule written by hand, rules,
/// and statements in place of formulas; tuned, shown, exported and called.
#include "tests/cli/shell.h"

#include <fstream>
#include <iterator>

namespace temper::testing {
namespace {

constexpr const char* kProduct = R"(from tvm.script import tirx as T

def product(M, N, K):
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((M, K), "float32"), B: T.Buffer((K, N), "float32"), C: T.Buffer((M, N), "float32")):
        for i, j, k in T.grid(M, N, K):
            with T.sblock("C"):
                vi, vj, vk = T.axis.remap("SSR", [i, j, k])
                with T.init():
                    C[vi, vj] = T.float32(0)
                C[vi, vj] = C[vi, vj] + A[vi, vk] * B[vk, vj]
    return main

product_workload = dict(shapes=[dict(M=16, N=24, K=12)], flops="2*M*N*K")
)";

constexpr const char* kSchedule = R"(
def schedule(sch):
    block = sch.get_sblock("C")
    i, j, k = sch.get_loops(block)
    i0, i1 = sch.split(i, sch.sample_perfect_tile(i, n=2))
    j0, j1 = sch.split(j, sch.sample_perfect_tile(j, n=2))
    sch.reorder(i0, j0, k, i1, j1)
    sch.vectorize(j1)
    sch.annotate(i0, "written_by_hand", 1)
)";

/// A product by the tiles of warps, whose operands are fetched a round ahead.
constexpr const char* kWarps = R"(def gemm(M, N, K):
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((M, K), "float16"), B: T.Buffer((K, N), "float16"), C: T.Buffer((M, N), "float32")):
        for i, j, k in T.grid(M, N, K):
            with T.sblock("C"):
                vi, vj, vk = T.axis.remap("SSR", [i, j, k])
                with T.init():
                    C[vi, vj] = T.float32(0)
                C[vi, vj] = C[vi, vj] + T.Cast("float32", A[vi, vk]) * T.Cast("float32", B[vk, vj])
    return main


def tile(sch, block, rows, columns):
    loops = sch.get_loops(block)
    x0, x1 = sch.split(loops[-2], [None, rows])
    y0, y1 = sch.split(loops[-1], [None, columns])
    sch.reorder(x0, y0, x1, y1)
    return x1


def schedule(sch):
    block = sch.get_sblock("C")
    i, j, k = sch.get_loops(block)
    it = sch.sample_categorical([2, 4], [0.5, 0.5])
    i0, i1, i2 = sch.split(i, [None, it, 16])
    j0, j1, j2, j3 = sch.split(j, [None, 2, 2, 16])
    k0, k1, k2 = sch.split(k, [None, 2, 16])
    sch.reorder(i0, j0, j1, k0, k1, i1, j2, i2, j3, k2)
    sch.bind(i0, "blockIdx.y")
    sch.bind(j0, "blockIdx.x")
    sch.bind(j1, "threadIdx.y")
    out = sch.cache_write(block, 0, "wmma.accumulator")
    sch.reverse_compute_at(out, j1)
    for operand in range(2):
        fetch = sch.cache_read(block, operand, "shared")
        load = sch.cache_read(block, operand, "wmma.matrix_" + "ab"[operand])
        sch.compute_at(load, k0)
        sch.compute_at(fetch, k0)
        loops = sch.get_loops(fetch)
        f = sch.fuse(loops[-2], loops[-1])
        f0, f1, f2, f3 = sch.split(f, [None, 2, 32, 8])
        sch.bind(f1, "threadIdx.y")
        sch.bind(f2, "threadIdx.x")
        sch.vectorize(f3)
        sch.storage_align(fetch, 0, -2, 32, 8)
        sch.tensorize(tile(sch, load, 16, 16), "wmma_load_16x16x16_f16_" + "ab"[operand] + "_shared")
    init = sch.decompose_reduction(block, k0)
    sch.tensorize(sch.get_loops(init)[-2], "wmma_fill_16x16x16_f32")
    sch.tensorize(i2, "wmma_sync_16x16x16_f16f16f32")
    sch.tensorize(tile(sch, out, 16, 16), "wmma_store_16x16x16_f32_global")
    sch.annotate(k0, "software_pipeline_stage", STAGES)
    sch.annotate(k0, "software_pipeline_order", [0, 2, 1, 3, 4])
    sch.annotate(k0, "software_pipeline_async_stages", [0])


gemm_workload = dict(shapes=[dict(M=64, N=64, K=64)], flops="2*M*N*K")
)";

/// Two rows of ones times two columns of ones, summed over K = 12, through the exported function.
constexpr const char* kCall = R"(#include "kernels.h"
#include <stdio.h>
static float a[16 * 12], b[12 * 24], c[16 * 24];
int main(void) {
  for (int i = 0; i < 16 * 12; ++i)
    a[i] = (float)(i / 12);
  for (int i = 0; i < 12 * 24; ++i)
    b[i] = (float)(i % 24);
  if (product_f32_16x24x12(a, b, c) != 0)
    return 1;
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 24; ++j)
      if (c[i * 24 + j] != 12 * i * j)
        return 2;
  return 0;
}
)";

/// A record of the search that the file says, which need not be the best: one whose trace has these
/// words. Tunes first.
std::string tuned_record(const Shell& shell, const std::string& command, const std::string& words) {
  const Ran tuned = shell.run(command + " --trials 6 --seed 1");
  EXPECT_EQ(tuned.code, 0) << tuned.out << tuned.err;
  const Json records = shell
                           .run("temper list records 'query:outcome = ok" +
                                (words.empty() ? "" : " and trace ~ " + words) + "' --json")
                           .list("records");
  return records.empty() ? "" : records[0]["record"].get<std::string>();
}

void expect_called(const Shell& shell, const std::string& record) {
  const Ran exported = shell.run("temper export --name kernels --out out " + record);
  ASSERT_EQ(exported.code, 0) << exported.out << exported.err;
  shell.write("call.c", kCall);
  const Ran called =
      shell.run("cc call.c -Iout -Lout -lkernels -Wl,-rpath,$PWD/out -o call && ./call");
  EXPECT_EQ(called.code, 0) << called.out << called.err;
}

TEST(OwnSpace, AScheduleWrittenByHandTakesTheTilesOfWarps) {
  const Shell shell;
  const auto with_stages = [](const std::string& stages) {
    std::string text = kWarps;
    return text.replace(text.find("STAGES"), 6, stages);
  };
  const std::string tune =
      "temper tune warps.py M=64 N=64 K=64 --target cuda:sm_80 --device emulated"
      " --trials 2 --interpret 1 --seed 1";
  // Both fetches a round ahead of what loads and multiplies.
  shell.write("warps.py", with_stages("[0, 1, 0, 1, 1]"));
  const Ran tuned = shell.run(tune);
  EXPECT_EQ(tuned.code, 0) << tuned.out << tuned.err;
  EXPECT_NE(tuned.out.find("checked 2 > right 2"), std::string::npos) << tuned.out;
  const Json records = shell.run("temper list records --json").list("records");
  ASSERT_FALSE(records.empty());
  const std::string text =
      shell.run("temper show " + records[0]["record"].get<std::string>() + " --cuda").out;
  for (const char* word : {"ldmatrix_x4(", "mma_m16n8k16_f32_f16(", "cp_async<16>("})
    EXPECT_NE(text.find(word), std::string::npos) << word << " in\n" << text;
  // What multiplies cannot be ahead of what loads.
  shell.write("warps.py", with_stages("[0, 1, 0, 1, 0]"));
  const Ran refused = shell.run(tune);
  EXPECT_EQ(refused.code, 2) << refused.out << refused.err;
  EXPECT_NE(refused.err.find("would run statement 4 before statement 1"), std::string::npos)
      << refused.err;
  EXPECT_NE(refused.err.find("warps.py:"), std::string::npos) << refused.err;
}

TEST(OwnSpace, AScheduleWrittenByHandIsTunedShownAndExported) {
  const Shell shell;
  shell.write("product.py", std::string(kProduct) + kSchedule);
  const Ran sketches = shell.run("temper-opt product.py:product M=16 N=24 K=12 --sketches");
  EXPECT_EQ(sketches.code, 0) << sketches.err;
  EXPECT_NE(sketches.out.find("# hand-written: 1 sketch, 2 decisions"), std::string::npos)
      << sketches.out;
  const std::string record =
      tuned_record(shell, "temper tune product.py M=16 N=24 K=12", "written_by_hand");
  ASSERT_FALSE(record.empty());
  const Ran shown = shell.run("temper show " + record);
  EXPECT_EQ(shown.code, 0) << shown.err;
  for (const char* step : {"sch.sample_perfect_tile(", "ann_key=\"written_by_hand\""})
    EXPECT_NE(shown.out.find(step), std::string::npos) << shown.out;
  EXPECT_NE(shell.run("temper show " + record + " --script").out.find("written_by_hand"),
            std::string::npos);
  EXPECT_EQ(shell.run("temper rerun " + record).code, 0);
  expect_called(shell, record);
  // It cannot be applied: said at its line, before anything runs.
  std::string wrong = std::string(kProduct) + kSchedule;
  wrong.replace(wrong.find("sch.vectorize(j1)"), 17, "sch.vectorize(k)");
  shell.write("product.py", wrong);
  const Ran refused = shell.run("temper tune product.py M=16 N=24 K=12 --trials 6");
  EXPECT_NE(refused.code, 0);
  EXPECT_NE(refused.err.find("product.py:22:5: vectorize: "), std::string::npos) << refused.err;
}

TEST(OwnSpace, RulesOfAFileTakePart) {
  const Shell shell;
  shell.write("product.py", kProduct);
  shell.write("rules.py", R"(
def rows_rule(sch, block, machine):
    i, j, k = sch.get_loops(block)
    i0, i1 = sch.split(i, sch.sample_perfect_tile(i, n=2, max_innermost_factor=4))
    sch.reorder(i0, k, i1, j)
    sch.annotate(block, "temper.scheduled", 1)

def marked_postproc(sch):
    sch.annotate(sch.get_loops(sch.get_sblock("C_update"))[0], "of_a_rule_file", 1)

def all_mutator(decision, weight=0.5):
    return [[16, 1], [4, 4]] if decision["kind"] == "tile" else None
)");
  const std::string with = "export TEMPER_RULES=rules.py; ";
  EXPECT_NE(shell.run(with + "temper-opt --list-rules").out.find("rows_rule (rules.py)"),
            std::string::npos);
  const Ran alone =
      shell.run(with + "temper-opt product.py:product M=16 N=24 K=12 --rule rows_rule");
  EXPECT_EQ(alone.code, 0) << alone.err;
  EXPECT_NE(alone.out.find("max_innermost_factor=4"), std::string::npos) << alone.out;
  EXPECT_EQ(alone.out.find("SSRSRS"), std::string::npos) << alone.out;
  const std::string record =
      tuned_record(shell, with + "temper tune product.py M=16 N=24 K=12", "of_a_rule_file");
  ASSERT_FALSE(record.empty());
  // What is stored needs the file no more.
  const Ran shown = shell.run("temper show " + record);
  EXPECT_NE(shown.out.find("ann_key=\"of_a_rule_file\""), std::string::npos) << shown.out;
  EXPECT_EQ(shell.run("temper rerun " + record).code, 0);
  expect_called(shell, record);
  // A mistake has its place.
  shell.write("rules.py", "def rows_rule(sch, block):\n    sch.splt(block)\n");
  const Ran wrong = shell.run(with + "temper tune product.py M=16 N=24 K=12 --trials 2");
  EXPECT_NE(wrong.code, 0);
  EXPECT_NE(wrong.err.find("rules.py:2:"), std::string::npos) << wrong.err;
  EXPECT_NE(wrong.err.find("did you mean 'split'"), std::string::npos) << wrong.err;
  const Ran missing = shell.run("TEMPER_RULES=none.py temper tune product.py M=16 N=24 K=12");
  EXPECT_NE(missing.err.find("TEMPER_RULES names it"), std::string::npos) << missing.err;
}

TEST(OwnSpace, StatementsOfTeAreTuned) {
  const Shell shell;
  shell.write("sums.py", R"(from tvm import te

def prefix_sums(ins, outs):
    for i in range(32):
        outs[0][i, 0] = ins[0][i, 0]
        for j in range(1, 16):
            outs[0][i, j] = outs[0][i, j - 1] + ins[0][i, j]

def sums(scale=2):
    A = te.placeholder((32, 16), name="A")
    B = te.compute((32, 16), lambda i, j: A[i, j] * T.float32(scale), name="B")
    S = te.extern((32, 16), [B], prefix_sums, name="S")
    C = te.compute((32, 16), lambda i, j: S[i, j] + T.float32(1), name="C")
    return te.create_prim_func([A, C])

sums_workload = dict(shapes=[dict(scale=2)])
)");
  const Ran checked = shell.run("temper check sums.py scale=2");
  EXPECT_EQ(checked.code, 0) << checked.out << checked.err;
  const std::string record = tuned_record(shell, "temper tune sums.py scale=2", "");
  ASSERT_FALSE(record.empty());
  EXPECT_EQ(shell.run("temper rerun " + record).code, 0);
}

TEST(OwnSpace, RecordsOfAnEarlierScheduleAreNotOfThisOne) {
  const Shell shell;
  const std::string plain = kProduct + std::string(kSchedule);
  std::string other = plain;
  const std::string words = "    sch.vectorize(j1)\n";
  other.erase(other.find(words), words.size());
  const std::string command = "temper tune product.py M=16 N=24 K=12 --trials 3 --json";
  shell.write("product.py", plain);
  ASSERT_EQ(shell.run(command).code, 0);
  shell.write("product.py", other);
  const Ran now = shell.run(command);
  ASSERT_EQ(now.code, 0) << now.out << now.err;
  const std::string best = now.json()["best"]["record"].get<std::string>();
  const std::string trace = shell.run("temper show " + best).out;
  EXPECT_EQ(trace.find("vectorize(loop"), std::string::npos) << trace;
}

/// The programs that workloads/README.md shows, as somebody would copy them.
TEST(OwnSpace, ProgramsOfTheReadmeAreTuned) {
  std::ifstream file(TEMPER_SOURCE_DIR "/workloads/README.md");
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  const std::string begin = "```python\n";
  const char* arguments[] = {"scale=2", "M=32 N=64 K=64"};
  size_t found = 0;
  for (size_t at = text.find(begin); at != std::string::npos; at = text.find(begin, at + 1)) {
    ASSERT_LT(found, std::size(arguments));
    at += begin.size();
    const std::string name = "readme" + std::to_string(found) + ".py";
    SCOPED_TRACE(name);
    const Shell shell;
    shell.write(name, text.substr(at, text.find("```", at) - at));
    const Ran tuned = shell.run("temper tune " + name + " " + arguments[found++] + " --trials 2");
    EXPECT_EQ(tuned.code, 0) << tuned.out << tuned.err;
    EXPECT_NE(tuned.out.find("best "), std::string::npos) << tuned.out;
  }
  EXPECT_EQ(found, std::size(arguments));
}

} // namespace
} // namespace temper::testing
