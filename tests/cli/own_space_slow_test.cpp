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
