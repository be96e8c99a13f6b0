// Schedules of programs whose dimensions are known only at run time: whatever extents they turn out
// to have, the same is computed.
#include "ir/extents.h"
#include "ir/verify.h"
#include "tests/s_tir/random_schedule_cases.h"

#include <gmock/gmock.h>

namespace temper::s_tir::testing {
namespace {

IRModule program(const std::string& body) {
  const auto parsed = script::parse_module("m = TypeVar(\"m\")\nn = TypeVar(\"n\")\n\n" + body);
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().to_string());
  return *parsed;
}

std::vector<Case> symbolic_programs() {
  const char* const product = R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer(({0}, {2}), "float32"), B: T.Buffer(({2}, {1}), "float32"), C: T.Buffer(({0}, {1}), "float32")):
    for i, j, k in T.grid({0}, {1}, {2}):
        with T.sblock("C"):
            vi, vj, vk = T.axis.remap("SSR", [i, j, k])
            with T.init():
                C[vi, vj] = T.float32(0)
            C[vi, vj] = C[vi, vj] + A[vi, vk] * B[vk, vj]
)";
  return {{"rows", program(fmt::format(fmt::runtime(product), "m", "4", "6"))},
          {"terms", program(fmt::format(fmt::runtime(product), "4", "3", "m"))},
          {"both", program(fmt::format(fmt::runtime(product), "m", "n", "4"))},
          {"chain", program(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((m, n), "float32"), D: T.Buffer((m, n), "float32")):
    B = T.sblock_alloc_buffer((m, n))
    C = T.sblock_alloc_buffer((m, n))
    for i, j in T.grid(m, n):
        with T.sblock("B"):
            vi, vj = T.axis.remap("SS", [i, j])
            B[vi, vj] = A[vi, vj] * T.float32(2)
    for i, j in T.grid(m, n):
        with T.sblock("C"):
            vi, vj = T.axis.remap("SS", [i, j])
            C[vi, vj] = B[vi, vj] + T.float32(1)
    for i, j in T.grid(m, n):
        with T.sblock("D"):
            vi, vj = T.axis.remap("SS", [i, j])
            D[vi, vj] = T.max(C[vi, vj], T.float32(0)) + A[vi, 0]
)")},
          {"rows of sums", program(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((m, 6), "float32"), C: T.Buffer((m, 6), "float32")):
    B = T.sblock_alloc_buffer((m,))
    for i, k in T.grid(m, 6):
        with T.sblock("B"):
            vi, vk = T.axis.remap("SR", [i, k])
            with T.init():
                B[vi] = T.float32(0)
            B[vi] = B[vi] + A[vi, vk]
    for i, j in T.grid(m, 6):
        with T.sblock("C"):
            vi, vj = T.axis.remap("SS", [i, j])
            C[vi, vj] = A[vi, vj] - B[vi]
)")}};
}

/// The program for these extents alone.
IRModule bound(const IRModule& module, const Extents& extents) {
  const PrimFunc function = module->find_prim_func("main");
  const auto made = bound_to_extents(with_extents(function, extents), false);
  EXPECT_TRUE(made) << (made ? "" : made.error().to_string());
  return with_function(module, "main", *made);
}

/// Where both compute something else; empty when nowhere.
std::string wrong_at_some_extents(const IRModule& module, const IRModule& scheduled) {
  for (const Extents& extents :
       {Extents{{"m", 1}, {"n", 3}}, Extents{{"m", 5}, {"n", 1}}, Extents{{"m", 8}, {"n", 9}}}) {
    const IRModule plain = bound(module, extents);
    const RunResult expected = run_on_integers(plain, first_output(plain), 1);
    if (const std::string wrong = wrong_values(expected, bound(scheduled, extents)); !wrong.empty())
      return fmt::format("m = {}, n = {}: {}", extents[0].second, extents[1].second, wrong);
  }
  return {};
}

/// Random steps on the symbolic program, then the values at several extents. What is wrong, with
/// the trace; empty when nothing is.
std::string check(const IRModule& module, uint64_t seed, int steps, Weight weight) {
  register_layer();
  Schedule schedule(module, seed);
  Random random(seed);
  const auto fail = [&](const std::string& what) {
    return what + "\n" + schedule.trace().to_python() + script::to_text(schedule.module());
  };
  for (int step = 0; step < steps; ++step)
    if (const auto stepped = random_step(schedule, random, weight); !stepped)
      return fail("enumerated, then refused: " + stepped.error().message);
  if (const auto good = verify(schedule.module()); !good)
    return fail(good.error().to_string());
  if (const std::string wrong = wrong_at_some_extents(module, schedule.module()); !wrong.empty())
    return fail(wrong);
  return {};
}

TEST(SymbolicExtents, RandomSchedulesComputeTheSameAtAllOfThem) {
  for (const Case& example : symbolic_programs())
    for (uint64_t seed = 1; seed <= 30; ++seed)
      EXPECT_EQ(check(example.module, seed, 6, each_once), "") << example.name << ", seed " << seed;
}

TEST(SymbolicExtents, RandomMovesComputeTheSameAtAllOfThem) {
  for (const Case& example : symbolic_programs())
    for (uint64_t seed = 1; seed <= 20; ++seed)
      EXPECT_EQ(check(example.module, seed, 5, mostly_moves), "")
          << example.name << ", seed " << seed;
}

/// What is refused, empty when nothing is. The names b and l stand for the block C and its loops.
std::string refusal(const std::string& name, const std::string& calls) {
  for (const Case& example : symbolic_programs())
    if (name == example.name) {
      const auto trace = Trace::from_python(calls);
      if (!trace)
        return "the test itself: " + trace.error().to_string();
      const auto schedule = replay(*trace, example.module);
      return schedule ? "" : schedule.error().message;
    }
  return "the test itself: no program " + name;
}

/// A product of m rows, padded to tiles of 4 in all of its axes, as tensor intrinsics want it.
TEST(SymbolicExtents, APaddedProductIsCutIntoTiles) {
  const std::string steps = R"(
b = sch.get_sblock(name="C", func_name="main")
sch.pad_einsum(b, [4, 4, 4])
)";
  const std::string tiles = R"(
i, j, k = sch.get_loops(block=b)
i0, i1 = sch.split(i, [None, 4])
j0, j1 = sch.split(j, [None, 4])
k0, k1 = sch.split(k, [None, 4])
sch.reorder(i0, j0, k0, i1, j1, k1)
e = sch.blockize(i1)
)";
  const std::string axes =
      "sch.transform_block_layout(b, \"lambda i, j, k: (i // 4, j, k, i % 4)\")\n";
  for (const Case& example : symbolic_programs()) {
    const std::string_view name = example.name;
    if (name != "rows" && name != "terms" && name != "both")
      continue;
    for (const std::string& rest : {std::string(), tiles, axes}) {
      SCOPED_TRACE(example.name + rest);
      const auto trace = Trace::from_python(steps + rest);
      ASSERT_TRUE(trace) << trace.error().to_string();
      const auto schedule = replay(*trace, example.module);
      ASSERT_TRUE(schedule) << schedule.error().to_string();
      EXPECT_EQ(wrong_at_some_extents(example.module, schedule->module()), "");
      // Tiles are whole, whatever the extents are: nothing is left out by a condition.
      EXPECT_EQ(script::to_text(schedule->module()).find("T.where"), std::string::npos);
    }
  }
}

TEST(SymbolicExtents, AreRefusedWhereTilesWouldNotBeWhole) {
  const std::string block = "b = sch.get_sblock(name=\"C\", func_name=\"main\")\n";
  EXPECT_THAT(
      refusal("rows", block + "sch.transform_block_layout(b, \"lambda i, j, k: (i // 4, i % 4, j, "
                              "k)\")"),
      ::testing::HasSubstr("pad it first"));
  EXPECT_THAT(
      refusal("rows", block + "sch.transform_block_layout(b, \"lambda i, j, k: (i + j, k)\")"),
      ::testing::HasSubstr("has a symbolic extent: it must be an output as it is"));
}

/// Each is accepted by TVM 0.27.
TEST(SymbolicExtents, AreTakenByThePrimitivesThatTakeThemInTvm) {
  const std::string product = R"(
b = sch.get_sblock(name="C", func_name="main")
i, j, k = sch.get_loops(block=b)
)";
  const std::string chain = R"(
b = sch.get_sblock(name="B", func_name="main")
c = sch.get_sblock(name="C", func_name="main")
d = sch.get_sblock(name="D", func_name="main")
i, j = sch.get_loops(block=b)
x, y = sch.get_loops(block=c)
)";
  for (const std::string calls : {
           "f = sch.fuse(i, j)",
           "sch.reorder(j, i)",
           "sch.parallel(i)",
           "sch.bind(i, \"blockIdx.x\")",
           "p, q = sch.split(i, [None, 4])\nsch.reorder(p, j, k, q)",
           "p, q = sch.split(i, [4, None])",
           "e = sch.cache_read(b, 0, \"global\")\nsch.compute_at(e, i)",
           "p, q = sch.split(i, [None, 4])\ne = sch.cache_read(b, 0, "
           "\"global\")\nsch.compute_at(e, p)",
           "e = sch.decompose_reduction(b, k)",
           "p, q = sch.split(i, [None, 4])\ne = sch.decompose_reduction(b, k)",
           "e = sch.rfactor(k, 2)",
           "e = sch.add_unit_loop(i)",
           "e = sch.blockize(i)",
           "e = sch.blockize(j)",
           "e = sch.blockize(k)",
           "e = sch.reindex(b, (\"read\", 0))",
           "e = sch.reindex(b, (\"write\", 0))",
           "e = sch.reindex_cache_read(b, 0, \"global\", \"lambda i, j, k: (k, i)\")",
           "e = sch.reindex_cache_write(b, 0, \"global\", \"lambda i, j, k: (j, i)\")",
           "sch.transform_block_layout(b, \"lambda i, j, k: (k, i, j)\")",
           "sch.pad_einsum(b, [4, 4, 4])",
           "f, g, h = sch.sample_perfect_tile(i, n=3, max_innermost_factor=16)\n"
           "p, q, r = sch.split(i, [f, g, h])",
           "f, g = sch.sample_perfect_tile(i, n=2, max_innermost_factor=16, decision=[-1, 1])\n"
           "p, q = sch.split(j, [f, g])",
           "_, g = sch.sample_perfect_tile(i, n=2, max_innermost_factor=16)\n"
           "p, q = sch.split(i, [None, g])",
           "f, = sch.sample_perfect_tile(i, n=1, max_innermost_factor=16)\np, = sch.split(i, [f])",
           "l = sch.sample_compute_location(b)",
       })
    EXPECT_EQ(refusal("rows", product + calls), "") << calls;
  for (const std::string calls : {
           "sch.transform_layout(b, (\"write\", 0), \"lambda i, j: (j, i)\")",
           "sch.transform_layout(b, (\"write\", 0), \"lambda i, j: (i // 4, j, i % 4)\")",
           "sch.compute_inline(b)",
           "sch.reverse_compute_inline(d)",
           "sch.compute_at(b, x)",
           "p, q = sch.split(x, [None, 4])\nsch.compute_at(b, p)",
           "sch.reverse_compute_at(c, i)",
           "p, q = sch.split(i, [None, 4])\nsch.reverse_compute_at(c, p)",
           "p, q = sch.split(i, [None, 4])\nsch.reverse_compute_at(c, q)",
           "e = sch.blockize([b, c])",
           "f = sch.fuse(x, y)\np, q = sch.split(f, [None, 64])\nsch.bind(p, \"blockIdx.x\")\n"
           "sch.bind(q, \"threadIdx.x\")",
           "sch.set_scope(b, 0, \"shared\")",
           "sch.storage_align(b, 0, 0, 32, 8)",
           "e = sch.merge(i, x)",
       })
    EXPECT_EQ(refusal("chain", chain + calls), "") << calls;
}

const char* const kTiledRows = R"(
b = sch.get_sblock(name="C", func_name="main")
i, j, k = sch.get_loops(block=b)
f, g = sch.sample_perfect_tile(loop=i, n=2, max_innermost_factor=16DECISION)
p, q = sch.split(loop=i, factors=[f, g])
)";

Trace tiled_rows(const std::string& decision) {
  std::string text = kTiledRows;
  const std::string word = "DECISION";
  const auto trace = Trace::from_python(
      text.replace(text.find(word), word.size(), decision.empty() ? "" : ", decision=" + decision));
  EXPECT_TRUE(trace) << trace.error().to_string();
  return *trace;
}

/// As TVM: what is not known is not cut, and split infers it. There is nothing to decide.
TEST(SymbolicExtents, HaveOneTilingWhoseOutermostFactorIsOpen) {
  const IRModule rows = symbolic_programs()[0].module;
  auto schedule = replay(tiled_rows(""), rows);
  ASSERT_TRUE(schedule) << schedule.error().to_string();
  EXPECT_THAT(script::to_text(schedule->module()),
              ::testing::HasSubstr("for i_0, i_1, j, k in T.grid(m, "));
  EXPECT_EQ(wrong_at_some_extents(rows, schedule->module()), "");
  const Trace& trace = schedule->trace();
  EXPECT_EQ(trace[2].decision, Value(Value::List{-1, 1}));
  EXPECT_TRUE(decision_points(trace).empty());
  EXPECT_EQ(schedule->get(trace[2].outputs[1]).value_or(Value()), Value(1));
  EXPECT_THAT(schedule->get(trace[2].outputs[0]).error().message,
              ::testing::HasSubstr("v4 is None, the outermost factor of a symbolic extent"));
  for (const auto& read :
       {Trace::from_python(trace.to_python()), trace_from_json_text(trace_to_json_text(trace))}) {
    ASSERT_TRUE(read) << read.error().to_string();
    EXPECT_EQ(*read, trace);
    const auto again = replay(*read, rows);
    ASSERT_TRUE(again) << again.error().to_string();
    EXPECT_TRUE(structural_equal(again->module(), schedule->module()));
  }
}

/// MetaSchedule names what is None "_".
TEST(SymbolicExtents, AreReadFromTracesOfTvm) {
  const IRModule rows = symbolic_programs()[0].module;
  const auto trace = trace_from_json_text(
      R"([[["GetSBlock",[],["C","main"],["b0"]],["GetLoops",["b0"],[],["l1","l2","l3"]],)"
      R"(["SamplePerfectTile",["l1"],[2,16],["_","v5"]],)"
      R"(["Split",["l1","None","v5"],[1,0],["l6","l7"]]],[[2,[-1,1]]]])");
  ASSERT_TRUE(trace) << trace.error().to_string();
  const auto schedule = replay(*trace, rows);
  ASSERT_TRUE(schedule) << schedule.error().to_string();
  const auto ours = replay(tiled_rows(""), rows);
  EXPECT_TRUE(structural_equal(schedule->module(), ours->module()));
}

TEST(SymbolicExtents, AdaptTilingsOfKnownOnesAndBack) {
  const IRModule rows = symbolic_programs()[0].module;
  const IRModule known = bound(rows, {{"m", 8}, {"n", 1}});
  const auto open = replay(tiled_rows("[2, 4]"), rows, 0, {.adapt = true});
  ASSERT_TRUE(open) << open.error().to_string();
  EXPECT_EQ(open->trace()[2].decision, Value(Value::List{-1, 1}));
  const auto closed = replay(open->trace(), known, 0, {.adapt = true});
  ASSERT_TRUE(closed) << closed.error().to_string();
  EXPECT_EQ(closed->trace()[2].decision, Value(Value::List{8, 1}));
  EXPECT_THAT(replay(open->trace(), known).error().message,
              ::testing::HasSubstr("factors must be positive"));
  EXPECT_THAT(replay(tiled_rows("[2, 4]"), rows).error().message,
              ::testing::HasSubstr("the extent is symbolic, and the only decision is [-1, 1]"));
}

/// TVM's split does not take what its sample_partitioned_tile gives; a None is no number.
TEST(SymbolicExtents, HaveNoFactorsToCountWith) {
  const std::string loops = "b = sch.get_sblock(name=\"C\", func_name=\"main\")\n"
                            "i, j, k = sch.get_loops(block=b)\n";
  EXPECT_THAT(refusal("rows", loops + "f, g, h = sch.sample_partitioned_tile(i, n=3, "
                                      "partition_pos=1, innerpart_factor=4)"),
              ::testing::HasSubstr("loop i has a symbolic extent, whose factors are not known; "
                                   "split it by factors of its own, [None, 8]"));
  const std::string sampled = loops + "f, g = sch.sample_perfect_tile(i, n=2)\n";
  for (const std::string call : {"sch.annotate(i, \"x\", f)", "sch.annotate(i, \"x\", [g, f])",
                                 "sch.transform_layout(b, (\"write\", 0), \"lambda i, j, f: (i, j "
                                 "// f, j % f)\", parameters=[f])"})
    EXPECT_THAT(refusal("rows", sampled + call),
                ::testing::HasSubstr("v4 is None, the outermost factor of a symbolic extent"))
        << call;
}

} // namespace
} // namespace temper::s_tir::testing
