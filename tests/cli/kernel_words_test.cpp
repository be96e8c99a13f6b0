// What a kernel says while it is checked: lines of T.print, assertions that do not hold, accesses
// beyond a buffer; on a CPU, and as a GPU's program without one.
#include "tests/cli/shell.h"

namespace temper::testing {
namespace {

/// Line 5 is the first that is put in; a tile of 4 elements, two blocks.
std::string kernel(const std::string& statement) {
  return R"py(def words(N):
    @T.prim_func
    def main(A: T.Tensor((N,), "float32"), B: T.Tensor((N,), "float32")):
        with T.Kernel(2, threads=32) as bx:
            tile = T.alloc_shared((4,), "float32")
            T.copy(A[bx * 4], tile)
            )py" +
         statement + R"py(
            T.copy(tile, B[bx * 4])
    return main

def words_reference(N):
    @T.prim_func
    def main(A: T.Buffer((N,), "float32"), B: T.Buffer((N,), "float32")):
        for i in range(N):
            B[i] = A[i]
    return main

words_workload = dict(shapes=[dict(N=8)], inputs={"A": "constant(2.5)"})
)py";
}

constexpr const char* kPlaces[] = {"", " --target cuda:sm_90a --device emulated"};

size_t times(const std::string& part, const std::string& text) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++count;
  return count;
}

TEST(KernelWords, CheckPrintsWhatOneCallPrinted) {
  const Shell shell;
  shell.write("words.py", kernel("T.print(\"block {} has {}\", bx, tile[1])"));
  for (const char* place : kPlaces) {
    SCOPED_TRACE(place);
    const Ran ran = shell.run("temper check words.py" + std::string(place));
    EXPECT_EQ(ran.code, 0) << ran.out << ran.err;
    EXPECT_EQ(times("the kernel wrote:", ran.out), 1U) << ran.out;
    for (const char* line : {"block 0 has 2.5\n", "block 1 has 2.5\n"})
      EXPECT_EQ(times(line, ran.out), 1U) << ran.out;
    const Ran as_json = shell.run("temper check words.py --json" + std::string(place));
    const Json results = as_json.list("results");
    ASSERT_EQ(results.size(), 1U);
    const std::string printed = results[0]["printed"];
    EXPECT_EQ(times("block 0 has 2.5", printed), 1U) << printed;
  }
}

// What adds to its output is called once more after it was timed, from the start.
TEST(KernelWords, CheckPrintsOnceWhatIsCalledAnewAfterItsTiming) {
  const Shell shell;
  shell.write("words.py", R"py(def words(N):
    @T.prim_func
    def main(A: T.Tensor((N,), "float32"), B: T.Tensor((N,), "float32")):
        with T.Kernel(2, threads=32) as bx:
            T.print("block {}", bx)
            for i in T.Parallel(4):
                B[bx * 4 + i] = B[bx * 4 + i] + A[bx * 4 + i]
    return main

def words_reference(N):
    @T.prim_func
    def main(A: T.Buffer((N,), "float32"), B: T.Buffer((N,), "float32")):
        for i in range(N):
            B[i] = B[i] + A[i]
    return main

words_workload = dict(shapes=[dict(N=8)], inputs={"B": "normal"})
)py");
  for (const char* place : kPlaces) {
    SCOPED_TRACE(place);
    const Ran ran = shell.run("temper check words.py" + std::string(place));
    EXPECT_EQ(ran.code, 0) << ran.out << ran.err;
    EXPECT_EQ(times("block 0\n", ran.out), 1U) << ran.out;
    EXPECT_EQ(times("block 1\n", ran.out), 1U) << ran.out;
  }
}

// A whole warp meets at its barrier; only the interpreter of warps runs it.
TEST(KernelWords, WhatRunsWarpByWarpPrintsIntoTheAnswer) {
  const Shell shell;
  shell.write("words.py", kernel("T.cluster_sync()\n            T.print(\"block {}\", bx)"));
  const std::string check = "temper check words.py --target cuda:sm_90a";
  const Ran text = shell.run(check);
  EXPECT_EQ(text.code, 0) << text.out << text.err;
  EXPECT_EQ(times("block 1\n", text.out), 1U) << text.out;
  EXPECT_NE(text.out.find("run warp by warp alone: line 7: T.cluster_sync"), std::string::npos)
      << text.out;
  EXPECT_EQ(text.out.find("not compiled"), std::string::npos) << text.out;
  EXPECT_EQ(shell.run(check + " --json").list("results").size(), 1U);
}

TEST(KernelWords, AnAccessBeyondABufferIsNamedWithItsLine) {
  const Shell shell;
  // What memory holds (2.5) says where.
  for (const char* statement : {"T.print(tile[T.cast(tile[0], \"int32\") + 3])",
                                "for i in T.Parallel(4):\n                tile[i] = tile[i + "
                                "T.cast(tile[0], \"int32\")]"}) {
    SCOPED_TRACE(statement);
    shell.write("words.py", kernel(statement));
    for (const char* place : kPlaces) {
      const Ran ran = shell.run("temper check words.py" + std::string(place));
      EXPECT_EQ(ran.code, 3) << ran.out << ran.err;
      EXPECT_NE(ran.out.find("in dimension 0 of tile is outside its shape [4]"), std::string::npos)
          << ran.out;
      EXPECT_NE(ran.out.find(times("for", statement) > 0 ? "8" : "7"), std::string::npos)
          << ran.out;
    }
    // On a CPU with the file, the line and a caret.
    const Ran here = shell.run("temper check words.py");
    EXPECT_NE(here.out.find(times("for", statement) > 0 ? "words.py:8:" : "words.py:7:"),
              std::string::npos)
        << here.out;
    const Ran as_json = shell.run("temper check words.py --json");
    const Json results = as_json.list("results");
    EXPECT_EQ(results[0]["outcome"], "wrong_result");
    EXPECT_EQ(results[0]["accesses_checked"], true);
  }
}

/// Every command, on a CPU and for a GPU, refuses the kernel with this statement: at that line of
/// the file, it leaves the tile.
void expect_refused_at(const Shell& shell, const std::string& statement, const std::string& line) {
  SCOPED_TRACE(statement);
  shell.write("words.py", kernel(statement));
  for (const std::string command : {"check", "tune --trials 2"})
    for (const char* place : kPlaces) {
      const Ran ran = shell.run("temper " + command + " words.py" + place);
      EXPECT_NE(ran.code, 0) << ran.out << ran.err;
      EXPECT_NE(ran.err.find("words.py:" + line + ":"), std::string::npos) << ran.err;
      EXPECT_NE(ran.err.find("index 0 of 'tile' is "), std::string::npos) << ran.err;
    }
}

TEST(KernelWords, AnAccessThatCertainlyLeavesItsBufferIsRefusedBeforeAnythingRuns) {
  const Shell shell;
  expect_refused_at(shell, "T.print(tile[bx + 3])", "7");
  expect_refused_at(shell, "T.print(tile[9])", "7");
  expect_refused_at(shell, "for i in T.Parallel(4):\n                tile[i] = tile[i + bx]", "8");
}

TEST(KernelWords, RegionsOfOperatorsStayInsideOfTheirBuffers) {
  const Shell shell;
  for (const char* statement : {"T.copy(tile[2:6], tile[0:4])", "T.fill(tile[1:5], 1.0)",
                                "T.copy(tile[bx * 2:bx * 2 + 3], tile[0:3])"})
    expect_refused_at(shell, statement, "7");
}

// A choice of a knob that leads beyond a buffer is no candidate.
TEST(KernelWords, ChoicesThatLeaveABufferAreNotTimed) {
  const Shell shell;
  std::string text = kernel("T.fill(tile[0:w], 2.5)");
  text.replace(text.find("def words(N):"), 13, "def words(N, w=T.tune([4, 8])):");
  shell.write("words.py", text);
  for (const char* place : kPlaces) {
    const Ran ran = shell.run("temper tune words.py --trials 8 --json" + std::string(place));
    EXPECT_EQ(ran.code, 0) << ran.out << ran.err;
    EXPECT_EQ(ran.out.find("\"w\": 8"), std::string::npos) << ran.out;
    EXPECT_EQ(ran.out.find("w=8"), std::string::npos) << ran.out;
  }
}

// What only the interpreter sees: an index that nothing is proven of.
TEST(KernelWords, WhatCheckFindsWrongIsNotTuned) {
  const Shell shell;
  shell.write("swap.py", R"py(def swap(N):
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((N,), "float32"), B: T.Buffer((N,), "float32")):
        for i in range(N):
            with T.sblock("B"):
                vi = T.axis.spatial(N, i)
                B[vi] = A[T.bitwise_xor(vi, 1)]
    return main

swap_workload = dict(shapes=[dict(N=17)])
)py");
  for (const char* command : {"check", "tune --trials 2"}) {
    const Ran ran = shell.run("temper " + std::string(command) + " swap.py");
    EXPECT_NE(ran.code, 0) << ran.out << ran.err;
    EXPECT_NE((ran.out + ran.err).find("swap.py:7:"), std::string::npos) << ran.out << ran.err;
  }
  EXPECT_EQ(shell.run("temper check swap.py N=16").code, 0);
}

// Blocks and tensor expressions too, by one element, at any size; also in the reference.
TEST(KernelWords, BlocksAndTensorExpressionsThatReadBeyondABufferAreRefused) {
  const Shell shell;
  const std::string blocks = R"py(def shift(N):
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((N,), "float32"), B: T.Buffer((N,), "float32")):
        for i in range(N):
            with T.sblock("B"):
                vi = T.axis.spatial(N, i)
                B[vi] = A[vi + 1]
    return main
)py";
  const std::string expressions = R"py(from tvm import te

def shift(N):
    A = te.placeholder((N,), "float32", name="A")
    B = te.compute((N,), lambda i: A[i] + A[i + 1], name="B")
    return te.create_prim_func([A, B])
)py";
  const std::string shapes = "\nshift_workload = dict(shapes=[dict(N=100000000)])\n";
  for (const std::string& program : {blocks, expressions}) {
    shell.write("shift.py", program + shapes);
    for (const char* command : {"check", "tune --trials 2"}) {
      const Ran ran = shell.run("temper " + std::string(command) + " shift.py");
      EXPECT_NE(ran.code, 0) << ran.out << ran.err;
      EXPECT_NE(ran.err.find("index 0 of 'A' is 100000000, outside its extent 100000000"),
                std::string::npos)
          << ran.err;
    }
  }
  EXPECT_NE(shell.run("temper check shift.py").err.find("shift.py:5:"), std::string::npos)
      << shell.run("temper check shift.py").err;
  // A condition keeps it inside.
  std::string inside = blocks;
  inside.replace(inside.find("A[vi + 1]"), 9,
                 "T.if_then_else(vi < N - 1, A[vi + 1], T.float32(0))");
  shell.write("shift.py", inside + "\nshift_workload = dict(shapes=[dict(N=64)])\n");
  const Ran good = shell.run("temper check shift.py --json");
  EXPECT_EQ(good.code, 0) << good.out << good.err;
  EXPECT_EQ(good.list("results")[0]["accesses_checked"], true);
}

TEST(KernelWords, InputsMayBeInfiniteAndWrongOnesAreNamedWithTheirFile) {
  const Shell shell;
  const std::string program = kernel("");
  const std::string usual = "constant(2.5)";
  // Of nothing but infinities nothing can be checked; 1 / inf is a number.
  std::string text = program;
  text.replace(text.find("B[i] = A[i]"), 11, "B[i] = T.float32(1) / A[i]");
  text.replace(text.find("T.copy(tile, B[bx * 4])"), 23,
               "for i in T.Parallel(4):\n                B[bx * 4 + i] = T.float32(1) / tile[i]");
  for (const char* input : {"constant(inf)", "constant(-inf)"}) {
    std::string infinite = text;
    infinite.replace(infinite.find(usual), usual.size(), input);
    shell.write("words.py", infinite);
    const Ran ran = shell.run("temper check words.py");
    EXPECT_EQ(ran.code, 0) << input << ran.out << ran.err;
  }
  text = program;
  text.replace(text.find(usual), usual.size(), "constant(nan)");
  shell.write("words.py", text);
  const Ran nothing = shell.run("temper check words.py");
  EXPECT_NE(nothing.err.find("every element of B is NaN or infinite"), std::string::npos)
      << nothing.err;
  text = program;
  text.replace(text.find(usual), usual.size(), "inf");
  shell.write("words.py", text);
  const Ran ran = shell.run("temper check words.py");
  EXPECT_EQ(ran.code, 2) << ran.out << ran.err;
  EXPECT_NE(ran.err.find("words.py"), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("'A': \"inf\" is no distribution"), std::string::npos) << ran.err;
}

// Few elements, and more steps than are taken one by one.
TEST(KernelWords, WhatIsTooLongToRunElementByElementIsNotBlamed) {
  const Shell shell;
  shell.write("words.py", kernel("for r in T.serial(40000000):\n"
                                 "                tile[0] = tile[0] * 0.5 + A[bx * 4] * 0.5"));
  const Ran ran = shell.run("temper check words.py --json");
  EXPECT_EQ(ran.code, 0) << ran.out << ran.err;
  const Json results = ran.list("results");
  EXPECT_EQ(results[0]["accesses_checked"], true); // proven
}

// Where memory says which element, and it is too long to run: nobody looked, which is said.
TEST(KernelWords, AccessesThatNobodyLookedAtAreNamed) {
  const Shell shell;
  shell.write("words.py",
              kernel("for r in T.serial(40000000):\n                "
                     "tile[0] = tile[0] * 0.5 + tile[T.cast(tile[1], \"int32\")] * 0.5"));
  const Ran ran = shell.run("temper check words.py");
  EXPECT_EQ(ran.code, 0) << ran.out << ran.err;
  EXPECT_NE(ran.out.find("inside of its buffers was not looked at"), std::string::npos) << ran.out;
  EXPECT_EQ(shell.run("temper check words.py --json").list("results")[0]["accesses_checked"],
            false);
}

TEST(KernelWords, AnAssertionThatFailsSaysItsWordsAndItsLine) {
  const Shell shell;
  std::string text = kernel("# a line between\n\n            for i in T.serial(4):\n"
                            "                T.device_assert(i + bx < 4, \"i is small\")");
  // Something to tune, which does not matter.
  text.replace(text.find("(N):"), 4, "(N, part=T.tune([1, 2])):");
  shell.write("words.py", text);
  for (const char* place : kPlaces) {
    SCOPED_TRACE(place);
    const Ran check = shell.run("temper check words.py" + std::string(place));
    EXPECT_EQ(check.code, 3) << check.out << check.err;
    EXPECT_NE(check.out.find("i is small"), std::string::npos) << check.out;
    EXPECT_NE(check.out.find("words.py:10:17: assertion failed: i is small"), std::string::npos)
        << check.out;
    const Ran tune = shell.run("temper tune words.py --trials 1" + std::string(place));
    EXPECT_NE(tune.code, 0);
    EXPECT_NE(tune.out.find("assertion failed at line 10: i is small"), std::string::npos)
        << tune.out << tune.err;
  }
}

// Its program is made anew for every choice, and its text is not the file's.
TEST(KernelWords, AnAssertionOfAProgramWithKnobsNamesTheFilesLine) {
  const Shell shell;
  std::string text = kernel("T.device_assert(bx < big, \"block\")");
  text.replace(text.find("(N):"), 4,
               "(N, big=T.tune([2, 1])):  # one of them fails\n    # another line");
  shell.write("words.py", text);
  const Ran tune = shell.run("temper tune words.py --trials 4");
  EXPECT_NE(tune.out.find("assertion failed at line 8: block"), std::string::npos)
      << tune.out << tune.err;
}

// A reference that reads what it has not written makes NaN of it, or what the compiler likes.
TEST(KernelWords, AReferenceThatReadsWhatIsNotWrittenIsNamedWithItsLine) {
  const Shell shell;
  // All of B, or one element of it; line 15 is where the reference reads its scratch.
  for (const char* read : {"scratch[i + 8]", "T.if_then_else(i == 5, scratch[i + 8], A[i])"}) {
    SCOPED_TRACE(read);
    std::string text = kernel("T.clear(tile)");
    const size_t at = text.find("        for i in range(N):");
    text.replace(at, text.find("    return main", at) - at,
                 std::string("        scratch = T.alloc_buffer((16,), \"float32\")\n"
                             "        for i in range(8):\n"
                             "            scratch[i] = A[i]\n"
                             "        for i in range(N):\n"
                             "            B[i] = ") +
                     read + "\n");
    shell.write("words.py", text);
    for (const char* place : kPlaces) {
      const Ran ran = shell.run("temper check words.py" + std::string(place));
      EXPECT_NE(ran.code, 0);
      const std::string said = ran.out + ran.err;
      EXPECT_NE(said.find("the reference is nothing to compare with"), std::string::npos) << said;
      EXPECT_NE(said.find("element of scratch that was never written"), std::string::npos) << said;
      EXPECT_NE(said.find("words.py:"), std::string::npos) << said;
      EXPECT_EQ(said.find("nan within"), std::string::npos) << said;
    }
  }
}

TEST(KernelWords, AmdHasNoPrintAndSaysSoAtItsLine) {
  const Shell shell;
  shell.write("words.py", kernel("T.print(bx)"));
  const Ran ran = shell.run("temper check words.py --target hip:gfx942");
  EXPECT_NE(ran.out.find("T.print has no HIP form"), std::string::npos) << ran.out << ran.err;
  EXPECT_NE(ran.out.find("words.py:7:13"), std::string::npos) << ran.out;
  EXPECT_EQ(ran.code, 4) << "the program is right; that it has no form there is no answer about it";
}

TEST(KernelWords, ClustersOnAmdAreRefusedByItsName) {
  const Shell shell;
  std::string text = kernel("T.cluster_sync()");
  text.replace(text.find("threads=32"), 10, "threads=32, cluster_dims=2");
  shell.write("words.py", text);
  const Ran ran = shell.run("temper check words.py --target hip:gfx942");
  EXPECT_NE(ran.code, 0);
  EXPECT_NE(ran.err.find("from sm_90 on, and this is for gfx942"), std::string::npos) << ran.err;
}

} // namespace
} // namespace temper::testing
