/// A tile program of a symbolic dimension, from outside: checked at several extents, tuned at one,
/// exported as a function that takes every extent.
#include "tests/cli/shell.h"

namespace temper::testing {
namespace {

constexpr const char* kRowSums = R"(from tvm.script import tirx as T

def row_sums(N, block=T.tune([8, 16, 32]), dtype="float32"):
    m = T.dynamic("m")

    @T.prim_func
    def main(A: T.Tensor((m, N), dtype), B: T.Tensor((m,), dtype)):
        with T.Kernel(T.ceildiv(m, block), threads=128) as bx:
            tile = T.alloc_fragment((block, N), dtype)
            sums = T.alloc_fragment((block,), dtype)
            T.copy(A[bx * block, 0], tile)
            T.reduce_sum(tile, sums, dim=1)
            T.copy(sums, B[bx * block])

    return main


def row_sums_reference(N, dtype="float32"):
    m = T.dynamic("m")

    @T.prim_func
    def main(A: T.Buffer((m, N), dtype), B: T.Buffer((m,), dtype)):
        for i in range(m):
            B[i] = T.cast(0, dtype)
            for j in range(N):
                B[i] = B[i] + A[i, j]

    return main


row_sums_workload = dict(flops="m*N")
)";

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  return text.replace(text.find(what), what.size(), with);
}

TEST(SymbolicDimensions, AreCheckedAtSeveralExtents) {
  const Shell shell;
  shell.write("row_sums.py", kRowSums);
  const Ran all = shell.run("temper check row_sums.py N=64 --json");
  EXPECT_EQ(all.code, 0) << all.out << all.err;
  std::vector<int64_t> extents;
  for (const Json& one : all.list("results")) {
    EXPECT_EQ(one["outcome"], "ok") << one.dump();
    extents.push_back(one["binding"]["m"].get<int64_t>());
  }
  EXPECT_EQ(extents, (std::vector<int64_t>{100, 1, 64, 257, 31}));
  const Ran one = shell.run("temper check row_sums.py N=64 m=33");
  EXPECT_NE(one.out.find("row_sums.py N=64"), std::string::npos) << one.out << one.err;
  EXPECT_NE(one.out.find("m=33: right"), std::string::npos) << one.out << one.err;
  // A tail that is left out is wrong at some of them.
  shell.write("row_sums.py", replaced(kRowSums, "T.ceildiv(m, block)", "m // block"));
  const Ran wrong = shell.run("temper check row_sums.py N=64 --json");
  EXPECT_EQ(wrong.code, 3) << wrong.out << wrong.err;
  EXPECT_EQ(wrong.list("results")[2]["outcome"], "ok") << "64 rows are whole blocks";
  EXPECT_EQ(wrong.list("results")[4]["outcome"], "wrong_result");
}

TEST(SymbolicDimensions, AreTunedAtAnExtentAndExportedForAll) {
  const Shell shell;
  shell.write("row_sums.py", kRowSums);
  const Ran open = shell.run("temper tune row_sums.py N=64 --trials 4");
  EXPECT_NE(open.code, 0);
  EXPECT_NE(open.err.find("the dimension m is symbolic"), std::string::npos) << open.err;
  EXPECT_NE(open.err.find("add m=NUMBER"), std::string::npos) << open.err;
  const Ran unknown = shell.run("temper tune row_sums.py N=64 k=4");
  EXPECT_NE(unknown.err.find("row_sums has no parameter 'k'"), std::string::npos) << unknown.err;

  const Ran tuned = shell.run("temper tune row_sums.py N=64 m=100 --trials 6 --seed 1 --json");
  ASSERT_EQ(tuned.code, 0) << tuned.out << tuned.err;
  const Json tune = tuned.json();
  EXPECT_EQ(tune["binding"]["m"], 100);
  const std::string record = tune["best"]["record"].get<std::string>();
  EXPECT_EQ(shell.run("temper rerun " + record).code, 0);
  // Another extent is another workload.
  const Ran other = shell.run("temper tune row_sums.py N=64 m=40 --trials 4 --seed 1 --json");
  ASSERT_EQ(other.code, 0) << other.out << other.err;
  EXPECT_EQ(shell.run("temper best --json").list("records").size(), 2U);

  const Ran exported = shell.run("temper export --name sums --out out " + record + " --json");
  ASSERT_EQ(exported.code, 0) << exported.out << exported.err;
  EXPECT_EQ(exported.json()["functions"][0]["name"], "row_sums_f32_64");
  const std::string header = read_file(shell.folder() / "out" / "sums.h").value_or("");
  EXPECT_NE(header.find("/* row_sums.py N=64 dtype=float32, tuned at m=100\n"), std::string::npos)
      << header;
  shell.write("call.c", R"(#include "sums.h"
#include <stdio.h>
static float a[70 * 64], b[71];
int main(void) {
  for (int i = 0; i < 70 * 64; ++i)
    a[i] = (float)(i / 64);
  b[70] = -1;
  for (int m = 1; m <= 70; ++m)
    if (row_sums_f32_64(a, b, m) != 0 || b[m - 1] != 64 * (m - 1) || (m < 70 && b[m] != 0))
      return 1;
  if (row_sums_f32_64(a, b, -3) != -5)
    return 2;
  puts(sums_last_error());
  return b[70] == -1 ? 0 : 3;
}
)");
  const Ran called =
      shell.run("cc call.c -Iout -Lout -lsums -Wl,-rpath,$PWD/out -o call && ./call");
  EXPECT_EQ(called.code, 0) << called.out << called.err;
  EXPECT_NE(called.out.find("row_sums_f32_64(A: float32[m, 64], B: float32[m]): argument 2 (m) is "
                            "-3, but an extent is not negative"),
            std::string::npos)
      << called.out;
}

TEST(SymbolicDimensions, AreNumbersOnAGpu) {
  const Shell shell;
  shell.write("row_sums.py", kRowSums);
  const Ran checked =
      shell.run("temper check row_sums.py N=64 m=33 --target cuda:sm_90a --device emulated");
  EXPECT_EQ(checked.code, 0) << checked.out << checked.err;
  EXPECT_NE(checked.out.find("emulated: right"), std::string::npos) << checked.out;
  EXPECT_NE(checked.out.find("5 blocks of 128 threads"), std::string::npos) << checked.out;
  const Ran tuned = shell.run(
      "temper tune row_sums.py N=64 m=33 --target cuda:sm_90a --device emulated --trials 4 --json");
  EXPECT_EQ(tuned.code, 0) << tuned.out << tuned.err;
  EXPECT_EQ(tuned.json()["right"], tuned.json()["checked"]) << tuned.out;
}

} // namespace
} // namespace temper::testing
