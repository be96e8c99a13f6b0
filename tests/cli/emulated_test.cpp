// --device emulated: what temper does for a GPU on a machine without one.
#include "tests/cli/shell.h"

#include <map>

namespace temper::testing {
namespace {

constexpr const char* kScale = R"(from tvm.script import tirx as T

def scale(N, block=T.tune([64, 128, 4096]), dtype="float32"):
    T.constraint(block != 64)
    @T.prim_func
    def main(A: T.Tensor((N,), dtype), B: T.Tensor((N,), dtype)):
        with T.Kernel(T.ceildiv(N, block), threads=128) as bx:
            S = T.alloc_shared((block, 16), dtype)
            for i, j in T.Parallel(block, 16):
                S[i, j] = A[bx * block + i]
            for i in T.Parallel(block):
                B[bx * block + i] = S[i, 3] * FACTOR
    return main

def scale_reference(N, dtype="float32"):
    @T.prim_func
    def main(A: T.Buffer((N,), dtype), B: T.Buffer((N,), dtype)):
        for i in range(N):
            B[i] = A[i] * T.float32(2)
    return main

scale_workload = dict(shapes=[dict(N=300), dict(N=512)], flops="N")
)";

std::string scale(const std::string& factor) {
  std::string text = kScale;
  return text.replace(text.find("FACTOR"), 6, factor);
}

TEST(Emulated, CheckRunsAProgramForAGpuOnTheCpu) {
  const Shell shell;
  shell.write("scale.py", scale("T.float32(2)"));
  const Ran ran = shell.run("temper check scale.py --target cuda:sm_90a --device emulated --json");
  EXPECT_EQ(ran.code, 0) << ran.out << ran.err;
  const Json results = ran.list("results");
  ASSERT_EQ(results.size(), 2U);
  for (const Json& one : results) {
    EXPECT_EQ(one["device"], "emulated");
    EXPECT_EQ(one["target"], "cuda:sm_90a");
    EXPECT_EQ(one["compiled"], true);
    EXPECT_EQ(one["races_looked_for"], true);
    EXPECT_EQ(one["threads"], 128);
    EXPECT_EQ(one["shared_bytes"], 128 * 16 * 4);
    // The column of a tile of 16: two rows to a bank.
    EXPECT_NE(one["bank_conflicts"].dump().find("line 12, column 37: the load of S"),
              std::string::npos)
        << one["bank_conflicts"].dump();
  }
  const Ran text = shell.run("temper check scale.py N=300 --target cuda:sm_90a --device emulated");
  EXPECT_NE(text.out.find("on cuda:sm_90a, emulated: right"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("no races"), std::string::npos) << text.out;
}

// Its result is right, and there is no kernel.
TEST(Emulated, WhatDoesNotCompileForTheGpuIsNotDone) {
  const Shell shell;
  shell.write("added.py", R"py(from tvm.script import tirx as T

def added(N):
    @T.prim_func
    def main(A: T.Tensor((N,), "float32"), B: T.Tensor((1,), "float16")):
        with T.Kernel(1, threads=32) as bx:
            T.clear(B)
            for i in T.Parallel(N):
                T.atomic_add(B[0], T.cast(A[i], "float16"))
    return main

added_workload = dict(shapes=[dict(N=32)], inputs={"A": "int(0, 9)"})
)py");
  const std::string check = "temper check added.py --unchecked --target hip:gfx942";
  const Ran ran = shell.run(check);
  EXPECT_EQ(ran.code, 4) << ran.out << ran.err;
  EXPECT_NE(ran.out.find("it does not compile for the GPU"), std::string::npos) << ran.out;
  const Json json = shell.run(check + " --json").json();
  EXPECT_NE(json.dump().find("does not compile"), std::string::npos) << json.dump();
}

// The space that is searched is the one that temper-opt prints.
TEST(Emulated, RulesOfUsersServeGpusToo) {
  const Shell shell;
  shell.write("scale.py", R"(
def scale(M, N):
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((M, N), "float32"), B: T.Buffer((M, N), "float32")):
        for i, j in T.grid(M, N):
            with T.sblock("B"):
                vi, vj = T.axis.remap("SS", [i, j])
                T.sblock_attr({"schedule_rule": "rows"})
                B[vi, vj] = A[vi, vj] * T.float32(2)
    return main

def rows(sch, block):
    i, j = sch.get_loops(block)
    sch.bind(i, "blockIdx.x")
    sch.bind(j, "threadIdx.x")
    sch.annotate(block, "mine", 1)

scale_workload = dict(shapes=[dict(M=64, N=32)], flops="M*N", bytes="8*M*N")
)");
  const Ran ran = shell.run("temper tune scale.py --target cuda:sm_80 --trials 1 --json");
  ASSERT_EQ(ran.code, 0) << ran.out << ran.err;
  const std::string record = ran.json()["sound"][0]["record"].get<std::string>();
  EXPECT_NE(shell.run("temper show " + record).out.find("\"mine\""), std::string::npos);
}

TEST(Emulated, AWrongProgramIsNamed) {
  const Shell shell;
  shell.write("scale.py", scale("T.float32(3)"));
  const Ran ran = shell.run("temper check scale.py N=300 --target cuda:sm_90a --device emulated");
  EXPECT_EQ(ran.code, 3) << ran.out << ran.err;
  EXPECT_NE(ran.out.find("wrong_result: B["), std::string::npos) << ran.out;
}

TEST(Emulated, TuneSaysWhatItCanDoAndCountsByReason) {
  const Shell shell;
  shell.write("scale.py", scale("T.float32(2)"));
  const std::string command =
      "temper tune scale.py N=300 --target cuda:sm_90a --device emulated --trials 5 --seed 1";
  const Ran text = shell.run(command);
  EXPECT_EQ(text.code, 0) << text.out << text.err;
  for (const char* words :
       {"no GPU is used and nothing is timed", "  block=128: 3 blocks of 128 threads",
        "block != 64", "line 8, column 17: the block needs 262144 bytes", "stopped: "})
    EXPECT_NE(text.out.find(words), std::string::npos) << words << "\n" << text.out;
  const Ran ran = shell.run(command + " --json");
  const Json json = ran.json();
  EXPECT_EQ(json["choices"], 3);
  EXPECT_EQ(json["checked"], 1);
  EXPECT_EQ(json["right"], 1);
  ASSERT_EQ(json["refused"].size(), 2U) << ran.out;
  EXPECT_EQ(json["refused"][0]["stage"], "constraint");
  EXPECT_EQ(json["refused"][1]["stage"], "limits");
  EXPECT_EQ(json["refused"][1]["reason"], "shared memory");
}

TEST(Emulated, EveryOutcomeIsARecordWithItsReason) {
  const Shell shell;
  shell.write("scale.py", scale("T.float32(2)"));
  // Without a GPU the target alone says what is meant.
  const Ran tuned =
      shell.run("temper tune scale.py N=300 --target cuda:sm_90a --trials 5 --seed 1");
  EXPECT_EQ(tuned.code, 0) << tuned.out << tuned.err;
  const Json records = shell.run("temper list records --json").list("records");
  ASSERT_EQ(records.size(), 2U);
  std::map<std::string, Json> by_outcome;
  for (const Json& record : records)
    by_outcome[record["outcome"]] = record;
  ASSERT_TRUE(by_outcome.contains("checked") && by_outcome.contains("device_limit"));
  EXPECT_EQ(by_outcome["checked"]["target"], "cuda:sm_90a");
  EXPECT_EQ(by_outcome["checked"]["stale"], false);
  EXPECT_TRUE(by_outcome["checked"]["median_ns"].is_null());
  const std::string show = "temper show " + by_outcome["checked"]["record"].get<std::string>();
  const Json shown = shell.run(show + " --json").json();
  const std::string limit =
      "temper show " + by_outcome["device_limit"]["record"].get<std::string>();
  EXPECT_EQ(shell.run(limit + " --json").json()["stage"], "shared memory");
  EXPECT_NE(shell.run(show + " --cuda").out.find("__global__ void"), std::string::npos);
  EXPECT_EQ(shell.run(show + " --asm").code, 2);
  EXPECT_TRUE(shell.run("temper best --json").json()["records"].empty()) << "it has no time";
  if (shown["facts"].is_null())
    GTEST_SKIP() << "NVRTC is not there: no machine code, no facts";
  EXPECT_GT(shown["facts"]["registers"], 8);
  EXPECT_GT(shown["facts"]["resident_blocks"], 0);
  EXPECT_EQ(shown["facts"]["shared_bytes"], 128 * 16 * 4);
  EXPECT_GT(shown["facts"]["operations"]["st.shared"], 0);
  EXPECT_NE(shell.run(show + " --ptx").out.find(".target sm_90a"), std::string::npos);
  const std::string text = shell.run(show).out;
  EXPECT_NE(text.find("registers of a thread"), std::string::npos) << text;
}

TEST(Emulated, SchedulesOfBlocksHaveASpaceForGpusToo) {
  const Shell shell;
  const std::string tune = "temper tune softmax M=8 N=64 --target cuda:sm_80 --device emulated "
                           "--trials 2 --seed 1 --interpret 1 --no-compile";
  const Ran text = shell.run(tune);
  EXPECT_EQ(text.code, 0) << text.out << text.err;
  EXPECT_NE(text.out.find("sketches, up to"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("checked 2 > right 2, 1 of them warp by warp"), std::string::npos)
      << text.out;
  const Json records = shell.run("temper list records --json").list("records");
  ASSERT_GE(records.size(), 2U);
  const std::string show = "temper show " + records[0]["record"].get<std::string>();
  EXPECT_EQ(records[0]["outcome"], "checked");
  EXPECT_NE(shell.run(show + " --cuda").out.find("__global__ void"), std::string::npos);
  // As it is written it has no threads, and says what to do.
  const Ran check =
      shell.run("temper check softmax M=8 N=64 --target cuda:sm_80 --device emulated");
  EXPECT_EQ(check.code, 2) << check.out;
  EXPECT_NE(check.err.find("bind its loops to threads, as its search space does"),
            std::string::npos)
      << check.err;
}

// The compiled part of the check ran the workload as a CPU lowers it: a program that is wrong on a
// GPU alone was right.
TEST(Emulated, WhatIsCheckedIsTheProgramOfTheGpu) {
  const Shell shell;
  std::string text = scale("T.float32(2)");
  const std::string loop =
      "for i in T.Parallel(block):\n                B[bx * block + i] = S[i, 3]";
  const size_t at = text.find(loop);
  ASSERT_NE(at, std::string::npos);
  // Half as many threads as elements: the others are not written.
  shell.write("scale.py", text.replace(at, loop.size(),
                                       "if T.get_thread_binding(0) < 64:\n                "
                                       "B[bx * block + T.get_thread_binding(0)] = "
                                       "S[T.get_thread_binding(0), 3]"));
  const Ran ran = shell.run("temper check scale.py N=256 block=128 --target cuda:sm_90a --json");
  EXPECT_EQ(ran.code, 3) << ran.out << ran.err;
  ASSERT_EQ(ran.list("results").size(), 1U);
  EXPECT_EQ(ran.list("results")[0]["compiled"], true) << ran.out;
  EXPECT_EQ(ran.list("results")[0]["outcome"], "wrong_result") << ran.out;
}

TEST(Emulated, NothingRightIsAFailureWithTheReasons) {
  const Shell shell;
  shell.write("scale.py", scale("T.float32(3)"));
  const Ran ran =
      shell.run("temper tune scale.py N=300 --target cuda:sm_90a --device emulated --trials 5");
  EXPECT_EQ(ran.code, 1) << ran.out;
  EXPECT_NE(ran.out.find("wrong_result"), std::string::npos) << ran.out;
  EXPECT_NE(ran.err.find("no program is right"), std::string::npos) << ran.err;
}

/// Only the interpreter knows barriers in shared memory. `more`: behind the arrival.
std::string with_barrier(const std::string& condition, const std::string& more = "") {
  std::string text = scale("T.float32(2)");
  const std::string loop = "            for i, j in";
  text.insert(text.find(loop), "            bar = T.alloc_shared((1,), \"uint64\")\n"
                               "            if T.get_thread_binding(0) == 0:\n"
                               "                T.mbarrier_init(bar[0], 128)\n"
                               "            T.sync_threads()\n"
                               "            if " +
                                   condition + ":\n                T.mbarrier_arrive(bar[0])\n" +
                                   more);
  return text;
}

// A large shape of what only runs warp by warp was not checked at all.
TEST(Emulated, OfALargeShapeBlocksDrawnByChanceAreChecked) {
  const Shell shell;
  const std::string words = "scale.py N=262144 block=128 --target cuda:sm_90a --device emulated";
  shell.write("scale.py", with_barrier("True"));
  const Ran ran = shell.run("temper check " + words + " --json");
  EXPECT_EQ(ran.code, 0) << ran.out << ran.err;
  const Json one = ran.list("results")[0];
  EXPECT_EQ(one["compiled"], false);
  EXPECT_EQ(one["races_looked_for"], true);
  EXPECT_EQ(one["sampled_blocks"], 4);
  EXPECT_NE(shell.run("temper check " + words)
                .out.find("right, as far as 4 of its blocks, drawn by chance, say"),
            std::string::npos);
  const Json tuned = shell.run("temper tune " + words + " --no-compile --json").json();
  EXPECT_EQ(tuned["right"], 1) << tuned.dump();
  EXPECT_EQ(tuned["sound"][0]["sampled_blocks"], 4) << tuned.dump();
  // What they compute is compared.
  std::string wrong = with_barrier("True");
  const std::string factor = "T.float32(2)\n    return main\n\ndef scale_reference";
  const size_t at = wrong.find(factor);
  ASSERT_NE(at, std::string::npos) << wrong;
  shell.write("scale.py", wrong.replace(at + 10, 1, "3"));
  const Ran other = shell.run("temper check " + words);
  EXPECT_EQ(other.code, 3) << other.out << other.err;
  EXPECT_NE(other.out.find("wrong_result: B["), std::string::npos) << other.out;
}

// Compiled loops are right of any shape: races are looked for in some of the blocks, which is said,
// and where they were not, too.
TEST(Emulated, OfALargeShapeRacesAreLookedForInSomeBlocks) {
  const Shell shell;
  const auto program = [](const std::string& condition) {
    return R"py(from tvm.script import tirx as T

def turn(N):
    @T.prim_func
    def main(A: T.Tensor((N,), "float32"), C: T.Tensor((N,), "float32")):
        with T.Kernel(N // 128, threads=128) as bx:
            s = T.alloc_shared((128,), "float32")
            tx = T.get_thread_binding()
            s[127 - tx] = A[bx * 128 + tx]
            if )py" +
           condition + R"py(:
                T.sync_threads()
            C[bx * 128 + tx] = s[tx]
    return main

def turn_reference(N):
    @T.prim_func
    def main(A: T.Buffer((N,), "float32"), C: T.Buffer((N,), "float32")):
        for i in range(N):
            C[i] = A[i // 128 * 128 + 127 - i % 128]
    return main

turn_workload = dict(shapes=[dict(N=1048576)], flops="N", bytes="8*N")
)py";
  };
  const std::string with = " turn.py --target cuda:sm_90a --device emulated";
  shell.write("turn.py", program("bx < 100"));
  const Ran wrong = shell.run("temper check" + with);
  EXPECT_EQ(wrong.code, 3) << wrong.out << wrong.err;
  EXPECT_NE(wrong.out.find("race"), std::string::npos) << wrong.out;
  const Ran looked = shell.run("temper tune" + with + " --trials 1 --interpret 1");
  EXPECT_NE(looked.code, 0) << looked.out << looked.err;

  shell.write("turn.py", program("bx >= 0"));
  const Ran right = shell.run("temper check" + with);
  EXPECT_EQ(right.code, 0) << right.out << right.err;
  EXPECT_NE(right.out.find("no divergent barriers in 4 blocks, drawn by chance"), std::string::npos)
      << right.out;
  const Ran tuned = shell.run("temper tune" + with + " --trials 1");
  EXPECT_EQ(tuned.code, 0) << tuned.out << tuned.err;
  EXPECT_NE(tuned.out.find("races between threads were not looked for in 1 of them"),
            std::string::npos)
      << tuned.out;
  const size_t record = tuned.out.find("temper show ");
  ASSERT_NE(record, std::string::npos);
  const std::string id = tuned.out.substr(record + 12, 6);
  EXPECT_NE(shell.run("temper show " + id + " --log").out.find("races between threads were not"),
            std::string::npos);
  // Threads of a CPU are none of a GPU's.
  for (const char* command : {"temper show ", "temper explain "})
    EXPECT_EQ(shell.run(command + id).out.find("1 thread"), std::string::npos) << command;
  const Ran listed = shell.run("temper list records query:outcome=checked");
  EXPECT_NE(listed.out.find(id), std::string::npos) << listed.out;
  EXPECT_EQ(listed.out.find("thread"), std::string::npos) << listed.out;
}

TEST(Emulated, WhatCannotBeCheckedIsNotWrong) {
  const Shell shell;
  // Blocks that add to the same elements are right together or not at all.
  const std::string adds = "                T.atomic_add(B[0], T.float32(0))\n";
  const std::string command = "temper tune scale.py N=262144 --target cuda:sm_90a --device "
                              "emulated --trials 5 --no-compile";
  shell.write("scale.py", with_barrier("True", adds));
  const Ran none = shell.run(command);
  EXPECT_EQ(none.code, 1) << none.out << none.err;
  EXPECT_NE(none.out.find("not checked"), std::string::npos) << none.out;
  EXPECT_NE(none.out.find("checked 0 > right 0, not checked 1"), std::string::npos) << none.out;
  EXPECT_NE(none.err.find("no program could be checked"), std::string::npos) << none.err;
  const Json records = shell.run("temper list records --json").list("records");
  std::string shown;
  for (const Json& record : records)
    shown += shell.run("temper show " + record["record"].get<std::string>()).out;
  EXPECT_NE(shown.find("outcome     not_checked\n  error       line "), std::string::npos) << shown;
  EXPECT_NE(shown.find("T.mbarrier_arrive has no compiled form"), std::string::npos) << shown;
  // Beside a program that is right it is no failure.
  std::string text = with_barrier("block == 128", adds);
  const std::string choices = "[64, 128, 4096]";
  shell.write("scale.py", text.replace(text.find(choices), choices.size(), "[128, 256]"));
  const Ran some = shell.run(command + " --json");
  EXPECT_EQ(some.code, 0) << some.out << some.err;
  EXPECT_EQ(some.json()["checked"], 1) << some.out;
  EXPECT_EQ(some.json()["right"], 1) << some.out;
  EXPECT_EQ(some.json()["not_checked"], 1) << some.out;
  EXPECT_EQ(some.json()["refused"][0]["stage"], "not checked") << some.out;
}

// Each of these named another cause, or none, for want of a GPU.
TEST(Emulated, WhatFollowsATuningSaysWhatThereIs) {
  const Shell shell;
  shell.write("scale.py", scale("T.float32(2)"));
  ASSERT_EQ(shell.run("temper tune scale.py N=300 --target cuda:sm_90a --device emulated").code, 0);
  std::string id;
  for (const Json& record : shell.run("temper list records --json").list("records"))
    if (record["outcome"] == "checked")
      id = record["record"];
  ASSERT_FALSE(id.empty());
  const auto says = [&](const std::string& command, int code, const std::string& words) {
    // No GPU takes part, if there is one.
    const Ran ran = shell.run("CUDA_VISIBLE_DEVICES= temper " + command);
    EXPECT_EQ(ran.code, code) << command << ran.out << ran.err;
    EXPECT_NE((ran.out + ran.err).find(words), std::string::npos) << ran.out << ran.err;
  };
  says("explain " + id, 0, "checked: right where it was emulated, and not timed");
  says("explain " + id, 0, "it is code for a GPU");
  says("best", 0, "nothing was timed yet");
  says("best scale.py --all", 2, "was timed: some are right for cuda:sm_90a");
  const Ran exported = shell.run("temper export " + id + " --out out");
  EXPECT_EQ(exported.err.find("another version of the code generator"), std::string::npos)
      << exported.err;
  says("rerun " + id, 1, "is of code for cuda:sm_90a, which is not timed here");
  says("compare " + id + " " + id, 1, "is of code for cuda:sm_90a, which is not timed here");
  says("best --target cuda:sm_90a", 1, "what was checked without a GPU");
  says("best --all --target cuda:sm_90a", 0, "nothing was timed yet");
}

TEST(Emulated, RefusalsNameTheFileTheLineAndWhatWorks) {
  const Shell shell;
  const auto refused = [&](const std::string& from, const std::string& to,
                           std::initializer_list<const char*> parts) {
    std::string text = scale("T.float32(2)");
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    shell.write("scale.py", text.replace(at, from.size(), to));
    const Ran ran = shell.run("temper check scale.py N=300 block=128 --device emulated "
                              "--target cuda:sm_80");
    EXPECT_NE(ran.code, 0) << ran.out;
    for (const char* part : parts)
      EXPECT_NE(ran.err.find(part), std::string::npos) << part << "\n" << ran.err;
  };
  // More shared memory than there is.
  refused("S = T.alloc_shared((block, 16), dtype)", "S = T.alloc_shared((block, 1600), dtype)",
          {"scale.py:8:17: the block needs 819200 bytes of shared memory, there are 166912",
           "S = T.alloc_shared((block, 1600), dtype)\n", "^", "make tiles smaller"});
  // A variant that the types do not have.
  refused("            for i in T.Parallel(block):",
          "            a = T.alloc_shared((32, 32), dtype)\n"
          "            c = T.alloc_fragment((32, 32), dtype)\n"
          "            T.clear(a)\n            T.clear(c)\n"
          "            T.gemm(a, a, c, annotations={\"variant\": \"mma_sync\"})\n"
          "            for i in T.Parallel(block):",
          {"scale.py:15:13: the variant 'mma_sync' of T.gemm does not fit: there is no mma.sync of "
           "float32",
           "float16 and bfloat16 go into float32", "^"});
  // A fragment of one role in another.
  refused(
      "            for i in T.Parallel(block):",
      "            f = T.alloc_fragment((32,), dtype)\n"
      "            if T.get_warp_idx() < 2:\n                T.clear(f)\n"
      "            T.copy(f, B[0:32])\n            for i in T.Parallel(block):",
      {"scale.py:14:13: the fragment f is used by the whole block here and by threads 0 to 63 in "
       "line 13",
       "copy it through shared memory", "^"});
  // Nothing is left of the space.
  std::string text = scale("T.float32(2)");
  const size_t at = text.find("block != 64");
  shell.write("scale.py", text.replace(at, 11, "block > 5000"));
  const Ran empty = shell.run("temper tune scale.py N=300 --device emulated --target cuda:sm_80");
  EXPECT_NE(empty.code, 0);
  EXPECT_NE(empty.err.find("block > 5000"), std::string::npos) << empty.err;
  EXPECT_NE(empty.err.find("relax a constraint"), std::string::npos) << empty.err;
}

TEST(Emulated, TuneRunsSomeWarpByWarp) {
  const Shell shell;
  shell.write("scale.py", scale("T.float32(2)"));
  const Ran ran = shell.run("temper tune scale.py N=300 --target cuda:sm_90a --device emulated "
                            "--trials 5 --interpret 1 --no-compile --json");
  EXPECT_EQ(ran.code, 0) << ran.out << ran.err;
  EXPECT_EQ(ran.json()["interpreted"], 1);
  EXPECT_EQ(ran.json()["compiled"], 0);
  EXPECT_NE(ran.json().value("space", "").find("3 combinations, of which 2 are legal"),
            std::string::npos)
      << ran.out;
  const Ran cpu = shell.run("temper tune scale.py N=300 --interpret 1");
  EXPECT_EQ(cpu.code, 2) << cpu.err;
}

TEST(Emulated, WrongUsageIsOneSentence) {
  const Shell shell;
  shell.write("scale.py", scale("T.float32(2)"));
  const auto refused = [&](const std::string& options, int code, const std::string& words) {
    const Ran ran = shell.run("temper check scale.py N=300 " + options);
    EXPECT_EQ(ran.code, code) << ran.out << ran.err;
    EXPECT_NE(ran.err.find(words), std::string::npos) << ran.err;
  };
  refused("--device emulated", 2, "--target cuda:sm_90a");
  refused("--device h100 --target cuda:sm_90a", 2, "there is no device 'h100'");
  refused("--device emulated --target cuda:sm_12", 2, "cuda:sm_90a");
  const Ran block = shell.run("temper check matmul M=64 N=64 K=64 --target cuda:sm_90a "
                              "--device emulated");
  EXPECT_NE(block.code, 0);
  EXPECT_NE(block.err.find("no kernel for a GPU"), std::string::npos) << block.err;
  const Ran from = shell.run("temper tune scale.py N=300 --target cuda:sm_90a --device emulated "
                             "--from r12");
  EXPECT_EQ(from.code, 2);
}

/// A program of one warp, which copies A to B and does `more` before.
std::string warp_program(const std::string& more) {
  return R"(from tvm.script import tirx as T

def one(N):
    @T.prim_func
    def main(A: T.Tensor((N,), "float32"), B: T.Tensor((N,), "float32")):
        with T.Kernel(N // 32, threads=32) as bx:
            tx = T.get_thread_binding(0)
            k = T.alloc_var("int32", 0)
            s = T.alloc_shared((32,), "float32")
)" + more +
         R"(            B[bx * 32 + tx] = A[bx * 32 + tx]
    return main

def one_reference(N):
    @T.prim_func
    def main(A: T.Tensor((N,), "float32"), B: T.Tensor((N,), "float32")):
        for i in range(N):
            B[i] = A[i]
    return main

one_workload = dict(shapes=[dict(N=64)], flops="N", bytes="8*N")
)";
}

TEST(Emulated, WhatTheEmulatorFindsHasItsOwnName) {
  const Shell shell;
  const std::string check = "temper check one.py --target cuda:sm_80";
  shell.write("one.py", warp_program("            s[tx] = A[bx * 32 + tx]\n"
                                     "            B[bx * 32 + tx] = s[31 - tx]\n"));
  const Ran race = shell.run(check);
  EXPECT_EQ(race.code, 3) << race.out << race.err;
  EXPECT_NE(race.out.find("emulated: race: line 11"), std::string::npos) << race.out;
  const Json json = shell.run(check + " --json").list("results")[0];
  EXPECT_EQ(json.value("finding", ""), "race");
  EXPECT_EQ(json["outcome"], "wrong_result");
  const Ran tuned = shell.run("temper tune one.py --target cuda:sm_80 --trials 1 --interpret 1");
  EXPECT_NE(tuned.out.find("race: line 11"), std::string::npos) << tuned.out;
  shell.write("one.py", warp_program("            if tx < 16:\n                T.sync_warp()\n"));
  const Ran divergent = shell.run(check);
  EXPECT_EQ(divergent.code, 3) << divergent.out << divergent.err;
  EXPECT_NE(divergent.out.find("emulated: divergence: line 11, column 17: divergent T.sync_warp"),
            std::string::npos)
      << divergent.out;
}

// Both hung.
TEST(Emulated, AProgramThatDoesNotEndIsGivenUpWithItsLoop) {
  const Shell shell;
  shell.write("one.py", warp_program("            while k < 1:\n                k = k * 1\n"));
  const Ran ran = shell.run("temper check one.py --target cuda:sm_80 --seconds 1");
  EXPECT_EQ(ran.code, 3) << ran.out << ran.err;
  EXPECT_NE(ran.out.find("emulated: timed_out: line 10, column 13: the program did not end within"),
            std::string::npos)
      << ran.out;
}

TEST(Emulated, TextForAGpusCompilerIsNotChecked) {
  const Shell shell;
  shell.write("one.py", warp_program("            T.inline_ptx(\"nanosleep.u32 $0;\", 20)\n"));
  const std::string target = " one.py --target cuda:sm_80";
  const Ran check = shell.run("temper check" + target);
  EXPECT_EQ(check.code, 4) << check.out << check.err;
  EXPECT_NE(check.out.find("emulated: not checked: line 10: T.inline_ptx is text for a GPU's "
                           "compiler, and nothing but a GPU runs it"),
            std::string::npos)
      << check.out;
  const Ran tune = shell.run("temper tune" + target + " --trials 1 --json");
  if (tune.code != 0 && tune.err.find("cannot be compiled either") != std::string::npos)
    GTEST_SKIP() << tune.err;
  ASSERT_EQ(tune.code, 0) << tune.out << tune.err;
  EXPECT_EQ(tune.json()["checked"], 0);
  EXPECT_EQ(tune.json()["unproven"].size(), 1U) << tune.out;
}

constexpr const char* kAddition = R"cu(/* temper
def addition(N, block=T.tune([64, 2048, 128]), per=T.tune([1, 2])):
    """B = A + 1: the kernel is CUDA C++"""
    T.constraint(N % (block * per) == 0)

    @T.prim_func
    def main(A: T.Tensor((N,), "float32"), B: T.Tensor((N,), "float32")):
        with T.Kernel(N // (block * per), threads=block):
            T.source_kernel("addition", writes=B, define=dict(BLOCK=block, PER=per))

    return main

def addition_reference(N):
    @T.prim_func
    def main(A: T.Buffer((N,), "float32"), B: T.Buffer((N,), "float32")):
        for i in range(N):
            B[i] = A[i] + T.float32(1)
    return main

addition_workload = dict(shapes=[dict(N=4096)], flops="N", bytes="8*N")
*/
extern "C" __global__ void addition(const float* __restrict__ A, float* __restrict__ B) {
  const int first = blockIdx.x * (BLOCK * PER) + threadIdx.x;
#pragma unroll
  for (int i = 0; i < PER; ++i)
    B[first + i * BLOCK] = A[first + i * BLOCK] + 1.0f;
}
)cu";

TEST(SourceKernels, AreCompiledAndPrunedAndNeverCalledChecked) {
  const Shell shell;
  shell.write("addition.cu", kAddition);
  const Ran ran = shell.run("temper tune addition.cu --target cuda:sm_90a --trials 10 --json");
  if (ran.code != 0 && ran.err.find("cannot be compiled either") != std::string::npos)
    GTEST_SKIP() << ran.err;
  ASSERT_EQ(ran.code, 0) << ran.out << ran.err;
  const Json json = ran.json();
  EXPECT_EQ(json["choices"], 6);
  EXPECT_EQ(json["compiled"], 4);
  EXPECT_EQ(json["checked"], 0);
  EXPECT_EQ(json["right"], 0);
  EXPECT_TRUE(json["sound"].empty());
  ASSERT_EQ(json["unproven"].size(), 4U) << ran.out;
  EXPECT_GT(json["unproven"][0]["facts"]["registers"], 0);
  ASSERT_EQ(json["refused"].size(), 1U) << ran.out;
  EXPECT_EQ(json["refused"][0]["reason"], "threads");
  // Not one record says that somebody looked at its result, or that it was found wanting.
  std::map<std::string, int> outcomes;
  for (const Json& record : shell.run("temper list records --json").list("records"))
    ++outcomes[record["outcome"].get<std::string>()];
  EXPECT_EQ(outcomes, (std::map<std::string, int>{{"not_checked", 4}, {"device_limit", 2}}));
  EXPECT_NE(shell.run("temper list records 'query:outcome = not_checked'").out.find("not_checked"),
            std::string::npos);
  const Ran best = shell.run("temper best addition.cu");
  EXPECT_NE((best.out + best.err).find("query:outcome = not_checked"), std::string::npos)
      << best.out << best.err;
  const std::string show = "temper show " + json["unproven"][0]["record"].get<std::string>();
  const Ran exported = shell.run("temper export --name k --out out " +
                                 json["unproven"][0]["record"].get<std::string>());
  EXPECT_NE(exported.code, 0);
  EXPECT_NE(exported.err.find("is not known to be right"), std::string::npos) << exported.err;
  const std::string source = shell.run(show + " --cuda").out;
  EXPECT_NE(source.find("#define BLOCK "), std::string::npos) << source;
  EXPECT_NE(source.find("extern \"C\" __global__ void addition"), std::string::npos) << source;
  const Ran text = shell.run("temper tune addition.cu --target cuda:sm_80 --trials 2");
  EXPECT_EQ(text.code, 0) << text.err;
  for (const char* words : {"none is checked: addition is CUDA C++ of its own, which nothing but a "
                            "GPU runs",
                            "compiled, not checked  ", "> compiled 2, not checked 2\n",
                            "2 programs compiled; --trials N compiles more"})
    EXPECT_NE(text.out.find(words), std::string::npos) << words << "\n" << text.out;
}

TEST(SourceKernels, CheckSaysThatItCannot) {
  const Shell shell;
  shell.write("addition.cu", kAddition);
  const Ran ran = shell.run("temper check addition.cu --target cuda:sm_90a");
  EXPECT_EQ(ran.code, 4) << ran.out << ran.err; // neither right nor wrong
  EXPECT_NE(ran.out.find("not checked: addition is CUDA C++ of its own"), std::string::npos)
      << ran.out << ran.err;
  const Json result =
      shell.run("temper check addition.cu --target cuda:sm_90a --json").list("results")[0];
  EXPECT_EQ(result["outcome"], "not_checked");
  EXPECT_EQ(result["checked"], false);
  // What its text does not have is found before anything is compiled, or a candidate drawn.
  std::string other = kAddition;
  other.replace(other.find("__global__ void addition("), 25, "__global__ void subtract(");
  shell.write("other.cu", other);
  for (const char* command : {"check", "tune"}) {
    const Ran named =
        shell.run(std::string("temper ") + command + " other.cu --target cuda:sm_90a");
    EXPECT_EQ(named.code, 2) << named.out;
    EXPECT_NE(named.err.find("the source has no kernel 'addition', but subtract"),
              std::string::npos)
        << named.err;
    EXPECT_EQ(named.out, "");
  }
  const Ran native = shell.run("temper check addition.cu");
  EXPECT_NE(native.code, 0);
  EXPECT_NE((native.out + native.err).find("name one, as --target cuda:sm_90a"), std::string::npos)
      << native.out << native.err;
  const Ran tuned = shell.run("temper tune addition.cu --trials 2");
  EXPECT_NE(tuned.code, 0);
  EXPECT_NE(tuned.err.find("name one, as --target cuda:sm_90a"), std::string::npos) << tuned.err;
}

TEST(SourceKernels, WhatTheCompilerRefusesIsNamedByTheFilesLine) {
  const Shell shell;
  std::string text = kAddition;
  const std::string wrong = "A[first + i * BLOCK] + 1.0f";
  shell.write("addition.cu", text.replace(text.find(wrong), wrong.size(), "nothing[first]"));
  const Ran ran = shell.run("temper tune addition.cu --target cuda:sm_90a --trials 4");
  if (ran.err.find("cannot be compiled either") != std::string::npos)
    GTEST_SKIP() << ran.err;
  EXPECT_EQ(ran.code, 1) << ran.out << ran.err;
  EXPECT_NE(ran.out.find("addition.cu(26)"), std::string::npos) << ran.out;
}

/// addition.cu with one thing changed.
std::string addition_with(const std::string& what, const std::string& with) {
  std::string text = kAddition;
  const size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return text.replace(at, what.size(), with);
}

TEST(SourceKernels, MoreThreadsThanTheKernelsBoundsAllowAreRefusedBeforeALaunch) {
  const Shell shell;
  shell.write("addition.cu",
              addition_with("__global__ void", "__global__ void __launch_bounds__(64)"));
  const Ran ran = shell.run("temper tune addition.cu --target cuda:sm_90a --trials 10 --json");
  if (ran.code != 0 && ran.err.find("cannot be compiled either") != std::string::npos)
    GTEST_SKIP() << ran.err;
  ASSERT_EQ(ran.code, 0) << ran.out << ran.err;
  const Json json = ran.json();
  ASSERT_EQ(json["unproven"].size(), 2U) << ran.out;
  EXPECT_EQ(json["unproven"][0]["threads"], 64);
  Json refused;
  for (const Json& entry : json["refused"])
    if (entry["stage"] == "pruning")
      refused = entry;
  EXPECT_EQ(refused["reason"], "threads") << ran.out;
  EXPECT_EQ(refused["count"], 2);
  EXPECT_EQ(refused["first"],
            "the kernel is declared with __launch_bounds__, which allow 64 threads "
            "in a block; it has 128");
}

TEST(SourceKernels, WhatTheKernelDoesNotTakeIsOneErrorAtOnce) {
  const Shell shell;
  std::string text =
      addition_with("A: T.Tensor((N,), \"float32\"), B", "A: T.Tensor((N,), \"float16\"), B");
  text.replace(text.find("A: T.Buffer((N,), \"float32\")"), 28, "A: T.Buffer((N,), \"float16\")");
  text.replace(text.find("A[i] + "), 7, "T.cast(A[i], \"float32\") + ");
  shell.write("half.cu", text);
  for (const char* command : {"tune", "check"}) {
    const Ran ran = shell.run(std::string("temper ") + command + " half.cu --target cuda:sm_90a");
    EXPECT_EQ(ran.code, 2) << ran.out << ran.err;
    EXPECT_NE(ran.err.find("half.cu(22): parameter 1 of addition is float*, and the program passes "
                           "A, an array of float16; declare it as __half*"),
              std::string::npos)
        << ran.err;
  }
}

TEST(SourceKernels, OtherCompilersThanNvrtcAreRefusedAtOnce) {
  const Shell shell;
  shell.write("addition.cu", kAddition);
  for (const char* target : {"hip:gfx942", "cuda:sm_90a,nvptx"})
    for (const char* command : {"tune", "check"}) {
      const Ran ran =
          shell.run(std::string("temper ") + command + " addition.cu --target " + target);
      EXPECT_EQ(ran.code, 2) << ran.out << ran.err;
      EXPECT_NE(ran.err.find("take --target cuda:sm_90a"), std::string::npos) << ran.err;
    }
}

TEST(SourceKernels, SharedMemoryThatIsTooMuchIsTheKernels) {
  const Shell shell;
  shell.write("addition.cu", addition_with("writes=B, ", "writes=B, shared=300000, "));
  const Ran ran = shell.run("temper check addition.cu --target cuda:sm_90a");
  EXPECT_EQ(ran.code, 2) << ran.out << ran.err;
  EXPECT_NE(ran.err.find("the kernel asks for 300000 bytes of shared memory (shared=), there are "
                         "232448"),
            std::string::npos)
      << ran.err;
}

TEST(SourceKernels, MistakesInTheCommentAreNamedByTheFilesLine) {
  const Shell shell;
  shell.write("kernels.cu", addition_with("define=dict(BLOCK=block, PER=per)",
                                          "define=dict(BLOCK=blocks, PER=per)"));
  const Ran ran = shell.run("temper tune kernels.cu --target cuda:sm_90a --trials 2");
  EXPECT_EQ(ran.code, 2) << ran.out << ran.err;
  EXPECT_NE(ran.err.find("kernels.cu:9:"), std::string::npos) << ran.err;
}

TEST(SourceKernels, MayIncludeTheHeadersOfCuda) {
  const Shell shell;
  shell.write("addition.cu", addition_with("extern \"C\" __global__",
                                           "#include <cuda_fp16.h>\n#include <cuda_bf16.h>\n"
                                           "#include <mma.h>\nextern \"C\" __global__"));
  const Ran ran = shell.run("temper tune addition.cu --target cuda:sm_90a --trials 1 --json");
  if (ran.code != 0 && ran.err.find("cannot be compiled either") != std::string::npos)
    GTEST_SKIP() << ran.err;
  if (ran.out.find("CUDA's headers are not here") != std::string::npos)
    GTEST_SKIP() << ran.out;
  EXPECT_EQ(ran.code, 0) << ran.out << ran.err;
  shell.write("addition.cu", addition_with("extern \"C\" __global__",
                                           "#include \"mine.h\"\nextern \"C\" __global__"));
  const Ran own = shell.run("temper tune addition.cu --target cuda:sm_90a --trials 1");
  EXPECT_EQ(own.code, 1) << own.out << own.err;
  EXPECT_NE(own.out.find("what is the kernel's own stands in its file"), std::string::npos)
      << own.out;
}

TEST(Emulated, CandidatesMayBeCompiledAndNotChecked) {
  const Shell shell;
  shell.write("scale.py", scale("T.float32(2)"));
  const std::string tune = "temper tune scale.py N=300 --target cuda:sm_80 --trials 1 --no-check";
  const Ran ran = shell.run(tune + " --json");
  if (ran.err.find("NVRTC") != std::string::npos)
    GTEST_SKIP() << ran.err;
  ASSERT_EQ(ran.code, 0) << ran.out << ran.err;
  const Json result = ran.json();
  EXPECT_EQ(result["compiled"], 1);
  EXPECT_EQ(result["checked"], 0);
  EXPECT_EQ(result["not_checked"], 1);
  EXPECT_EQ(result["unproven"].size(), 1U);
  for (const Json& record : shell.run("temper list records --json").list("records"))
    EXPECT_EQ(record["outcome"], "not_checked");
  EXPECT_NE(shell.run(tune).out.find("none is checked: they are only compiled"), std::string::npos);
  EXPECT_EQ(shell.run(tune + " --interpret 1").code, 2);
  EXPECT_NE(
      shell.run("temper tune matmul M=64 N=64 K=64 --no-check").err.find("--no-check are for"),
      std::string::npos);
}

TEST(Emulated, ProductsForAmdAreCheckedAsLoops) {
  const Shell shell;
  const Ran ran =
      shell.run("temper check gemm_fp16 M=64 N=64 K=64 block_M=64 block_N=64 threads=128 "
                "--target hip:gfx942 --json");
  EXPECT_EQ(ran.code, 0) << ran.out << ran.err;
  const Json results = ran.list("results");
  ASSERT_EQ(results.size(), 1U);
  EXPECT_EQ(results[0]["target"], "hip:gfx942");
  EXPECT_EQ(results[0]["compiled"], true);
  EXPECT_EQ(results[0]["races_looked_for"], false);
  EXPECT_NE(results[0]["races_not_looked_for"].dump().find("waves of 64 threads"),
            std::string::npos);
  const Ran tuned = shell.run("temper tune gemm_fp16 M=64 N=64 K=64 block_M=64 block_N=64 "
                              "--target hip:gfx942 --trials 2 --no-compile");
  EXPECT_EQ(tuned.code, 0) << tuned.out << tuned.err;
  EXPECT_NE(tuned.out.find("nothing here runs on AMD's GPUs"), std::string::npos) << tuned.out;
  const Json records = shell.run("temper list records --json").list("records");
  ASSERT_FALSE(records.empty());
  const std::string record = records[0]["record"].get<std::string>();
  const Ran exported = shell.run("temper export --name k --out out " + record);
  EXPECT_NE(exported.code, 0);
  EXPECT_NE(exported.err.find("is for hip:gfx942"), std::string::npos) << exported.err;
  // No word of NVIDIA's: neither its driver, nor PTX, nor multiprocessors.
  for (const char* command :
       {"temper rerun ", "temper remeasure ", "temper show ", "temper explain ",
        "temper check gemm_fp16 M=64 N=64 K=64 --target hip:gfx942 # "}) {
    const Ran said = shell.run(command + record);
    const std::string text = said.out + said.err;
    for (const char* word : {"NVIDIA", "libcuda", "PTX", "multiprocessor"})
      EXPECT_EQ(text.find(word), std::string::npos) << command << text;
  }
  const Ran rerun = shell.run("temper rerun " + record);
  EXPECT_NE(rerun.err.find("nothing here runs on AMD's GPUs"), std::string::npos) << rerun.err;
  const Ran on_nvidia =
      shell.run("temper check gemm_fp16 M=64 N=64 K=64 --target hip:gfx942 --device cuda:0");
  EXPECT_EQ(on_nvidia.code, 2);
  EXPECT_NE(on_nvidia.err.find("hip:gfx942 is AMD's"), std::string::npos) << on_nvidia.err;
  const Ran source =
      shell.run("temper-opt gemm_fp16 M=64 N=64 K=64 --target hip:gfx942 --print cuda");
  EXPECT_NE(source.out.find("__builtin_amdgcn_mfma_"), std::string::npos) << source.err;
}

TEST(Emulated, TheBackEndIsPartOfTheTarget) {
  const Shell shell;
  shell.write("scale.py", scale("T.float32(2)"));
  const Ran ran =
      shell.run("temper tune scale.py N=300 --target cuda:sm_80,nvptx --trials 1 --json");
  ASSERT_EQ(ran.code, 0) << ran.out << ran.err;
  EXPECT_NE(ran.json()["compiler"].get<std::string>().find("NVPTX"), std::string::npos);
  const std::string show = "temper show " + ran.json()["sound"][0]["record"].get<std::string>();
  EXPECT_EQ(shell.run(show + " --json").json()["target"], "cuda:sm_80,nvptx");
  EXPECT_NE(shell.run(show + " --ptx").out.find("Generated by LLVM NVPTX"), std::string::npos);
  const std::string both = shell.run(show + " --ptx --backend nvptx").out;
  EXPECT_NE(both.find("\n// nvrtc: "), std::string::npos) << both;
  EXPECT_NE(both.find("\n// nvptx: "), std::string::npos) << both;
  EXPECT_EQ(both.find("the launch plans differ"), std::string::npos) << both;
  EXPECT_EQ(shell.run(show + " --backend nvptx --cuda").code, 2);
  const Ran unknown = shell.run("temper tune scale.py N=300 --target cuda:sm_80,gcc");
  EXPECT_EQ(unknown.code, 2) << unknown.err;
  EXPECT_NE(unknown.err.find("names a back end 'gcc' that there is not"), std::string::npos)
      << unknown.err;
  const Ran newer = shell.run("temper tune scale.py N=300 --target cuda:sm_100a,nvptx --trials 1");
  EXPECT_EQ(newer.code, 2) << newer.err;
  EXPECT_NE(newer.err.find("does not know sm_100a"), std::string::npos) << newer.err;
}

} // namespace
} // namespace temper::testing
