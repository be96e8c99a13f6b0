// Results of integers that rounding may take to the next step: a kernel that quantises, checked,
// tuned and exported with a tolerance of one output; and what a record keeps of it.
#include "tests/cli/shell.h"

namespace temper::testing {
namespace {

/// Rows of X to bytes, with a scale each. Halves are rounded to even here and away from zero by the
/// reference; the inputs have nothing but multiples of a half, so some of them are ties.
std::string quantise(const std::string& tolerance) {
  return R"py(def quantise(M, N, rows=T.tune([1, 2])):
    @T.prim_func
    def main(X: T.Tensor((M, N), "float32"), Q: T.Tensor((M, N), "int8"), S: T.Tensor((M,), "float32")):
        with T.Kernel(T.ceildiv(M, rows), threads=32) as bx:
            x = T.alloc_fragment((rows, N), "float32")
            T.copy(X[bx * rows, 0], x)
            for i, j in T.Parallel(rows, N):
                Q[bx * rows + i, j] = T.cast(T.nearbyint(x[i, j] * 0.5), "int8")
            for i in T.Parallel(rows):
                S[bx * rows + i] = 2.0
    return main

def quantise_reference(M, N):
    @T.prim_func
    def main(X: T.Buffer((M, N), "float32"), Q: T.Buffer((M, N), "int8"), S: T.Buffer((M,), "float32")):
        for i in range(M):
            S[i] = 2.0
            for j in range(N):
                Q[i, j] = T.cast(T.floor(X[i, j] / 2.0 + 0.5), "int8")
    return main

quantise_workload = dict(shapes=[dict(M=4, N=32)], inputs={"X": "int(0, 9)"}, )py" +
         tolerance + ")\n";
}

TEST(Tolerance, OfAnOutputOfIntegersIsInSteps) {
  const Shell shell;
  shell.write("quantise.py", quantise(""));
  const std::string emulated = " --target cuda:sm_90a --device emulated";
  for (const std::string& place : {std::string(), emulated}) {
    const Ran exact = shell.run("temper check quantise.py" + place);
    EXPECT_EQ(exact.code, 3) << exact.out << exact.err;
    EXPECT_NE(exact.out.find("within 0"), std::string::npos) << exact.out;
  }
  shell.write("quantise.py", quantise("tolerance={\"Q\": 1}"));
  for (const std::string& place : {std::string(), emulated}) {
    const Ran right = shell.run("temper check quantise.py" + place);
    EXPECT_EQ(right.code, 0) << right.out << right.err;
  }
  const Ran tuned = shell.run("temper tune quantise.py --trials 3 --seed 1 --json");
  ASSERT_EQ(tuned.code, 0) << tuned.err;
  const std::string record = tuned.json()["best"]["record"];
  EXPECT_EQ(shell.run("temper rerun " + record).code, 0);
  EXPECT_EQ(shell.run("temper show " + record + " --json").json()["timing"]["output_tolerances"],
            (Json{{"Q", 1.0}}));
  const Ran exported = shell.run("temper export --out out " + record);
  EXPECT_EQ(exported.code, 0) << exported.err;
  // What is beyond it is wrong, and says by how much.
  std::string off = quantise("tolerance={\"Q\": 1}");
  off.replace(off.find("+ 0.5)"), 6, "+ 2.5)");
  shell.write("off.py", off);
  const Ran wrong = shell.run("temper check off.py:quantise");
  EXPECT_EQ(wrong.code, 3) << wrong.out << wrong.err;
  EXPECT_NE(wrong.out.find("within 1"), std::string::npos) << wrong.out;
}

TEST(Tolerance, OfNothingIsEquality) {
  const Shell shell;
  const auto tripled = [&](const std::string& tolerance, const std::string& value) {
    const auto loops = [&](const std::string& name, const std::string& right) {
      return "def " + name +
             "(N):\n    @T.prim_func\n    def main(A: T.Buffer((N,), \"float32\"), "
             "B: T.Buffer((N,), \"float32\")):\n        for i in range(N):\n            B[i] = " +
             right + "\n    return main\n\n";
    };
    shell.write("tripled.py", loops("tripled", value) + loops("tripled_reference", "A[i] * 3.0") +
                                  "tripled_workload = dict(shapes=[dict(N=64)]" + tolerance +
                                  ")\n");
    return shell.run("temper check tripled.py").code;
  };
  const std::string off = "A[i] * 3.0000005"; // two steps of float32
  EXPECT_EQ(tripled(", tolerance=1e-4", off), 0);
  EXPECT_EQ(tripled(", tolerance=0", off), 3);
  EXPECT_EQ(tripled(", tolerance=0", "A[i]"), 3);
  EXPECT_EQ(tripled(", tolerance=0, inputs={\"A\": \"int(0, 9)\"}", "A[i] * 3.0"), 0);
}

TEST(Tolerance, IsOfAnOutputAndOfWholeSteps) {
  const Shell shell;
  for (const auto& [tolerance, words] :
       {std::pair{"tolerance={\"X\": 1}",
                  "tolerance names 'X', which is no output; outputs are Q, S"},
        std::pair{"tolerance={\"q\": 1}", "tolerance names 'q', which is no output"},
        std::pair{"tolerance={\"Q\": 0.5}", "is a number of whole steps as 1, not 0.5"},
        std::pair{"tolerance={\"Q\": -1}", "tolerance by output is a dict"}}) {
    shell.write("quantise.py", quantise(tolerance));
    const Ran ran = shell.run("temper check quantise.py");
    EXPECT_EQ(ran.code, 2) << ran.out << ran.err;
    EXPECT_NE(ran.err.find(words), std::string::npos) << ran.err;
  }
}

// The file says another program by now, so what its records were checked with only they know.
TEST(Tolerance, OfARecordIsKeptWithIt) {
  const Shell shell;
  // In float32 the 1 is rounded away, or to 2.
  std::string text = R"py(def one(N):
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((N,), "float32"), B: T.Buffer((N,), "float32")):
        for i in range(N):
            with T.sblock("B"):
                vi = T.axis.spatial(N, i)
                B[vi] = (A[vi] * T.float32(16777216) + T.float32(1)) - A[vi] * T.float32(16777216)
    return main

one_workload = dict(shapes=[dict(N=64)], inputs={"A": "uniform(1, 2)"}, tolerance=3)
)py";
  shell.write("one.py", text);
  const Ran tuned = shell.run("temper tune one.py --trials 2 --seed 1 --json");
  ASSERT_EQ(tuned.code, 0) << tuned.out << tuned.err;
  const std::string record = tuned.json()["best"]["record"];
  text.replace(text.find("T.float32(1))"), 13, "T.float32(3))");
  text.replace(text.find("tolerance=3"), 11, "tolerance=1e-9");
  shell.write("one.py", text);
  EXPECT_EQ(shell.run("temper check one.py").code, 3) << "as the file has it by now";
  for (const char* command : {"rerun ", "export --out out "}) {
    const Ran again = shell.run("temper " + std::string(command) + record);
    EXPECT_EQ(again.code, 0) << again.out << again.err;
  }
}

} // namespace
} // namespace temper::testing
