// Programs and traces in TVM's own forms, out and back in.
#include "ir/s_tir/tvm_graph.h"

#include "ir/s_tir/trace_json.h"
#include "tests/s_tir/random_schedule_cases.h"

namespace temper::s_tir::testing {
namespace {

std::string round_trip(const IRModule& module) {
  const auto graph = module_to_tvm(module);
  if (!graph)
    return graph.error().to_string();
  const auto text = parse_json(graph->dump(2));
  const auto again = module_from_tvm(*text);
  if (!again)
    return again.error().to_string();
  std::string where;
  return structural_equal(module, *again, &where) ? "" : where;
}

TEST(TvmGraph, OfAProgramReadsBackAsTheSameProgram) {
  for (const auto& programs : {small_programs(), programs_of_moves()})
    for (const Case& program : programs)
      EXPECT_EQ(round_trip(program.module), "") << program.name;
}

TEST(TvmGraph, OfAScheduledProgramReadsBackAsTheSameProgram) {
  for (const Case& program : small_programs())
    for (uint64_t seed = 1; seed <= 8; ++seed) {
      Schedule schedule(program.module, seed);
      Random random(seed);
      for (int step = 0; step < 8; ++step)
        ASSERT_TRUE(random_step(schedule, random));
      if (script::to_text(schedule.module()).find("inf") == std::string::npos) {
        EXPECT_EQ(round_trip(schedule.module()), "") << program.name << ", seed " << seed << "\n"
                                                     << script::to_text(schedule.module());
      }
    }
}

TEST(TvmGraph, IsRefusedForWhatTvmHasNot) {
  const auto refusal = [](const std::string& text) {
    const auto module = script::parse_module(text);
    EXPECT_TRUE(module) << module.error().to_string();
    const auto graph = module_to_tvm(*module);
    return graph ? std::string() : graph.error().message;
  };
  EXPECT_EQ(refusal(R"(
@T.prim_func(s_tir=True)
def main(n: T.int32, B: T.Buffer((n,), "float32")):
    for i in range(n):
        with T.sblock("B"):
            vi = T.axis.spatial(n, i)
            B[vi] = T.float32(1)
)"),
            "TVM has no place for the symbolic shape of B in a database");
  EXPECT_EQ(refusal(R"(
@T.prim_func
def main(B: T.Buffer((8,), "float32")):
    for i in range(8):
        B[i] = T.float32(1)
)"),
            "TVM has no place for function main among programs with blocks");
}

TEST(TvmTrace, ReadsBackAsTheSameSteps) {
  const IRModule module = programs::matmul(16, 16, 16);
  const auto trace = Trace::from_python(R"py(
b0 = sch.get_sblock(name="C", func_name="main")
l1, l2, l3 = sch.get_loops(block=b0)
v4, v5 = sch.sample_perfect_tile(loop=l1, n=2, max_innermost_factor=16, decision=[4, 4])
l6, l7 = sch.split(loop=l1, factors=[v4, v5], preserve_unit_iters=True, disable_predication=False)
b8 = sch.cache_read(block=b0, read_buffer_index=0, storage_scope="global")
sch.transform_layout(block=b8, buffer=("write", 0), index_map="lambda i, j, n: (i // n, j, i % n)", parameters=[v5])
sch.annotate_buffer_access(block=b0, buffer_index=1, buf_type="read", gen_new_ranges=lambda i, j, k: [(0, 16), (0, 16)])
b9 = sch.reindex_cache_read(block=b0, read_buffer_index=1, storage_scope="global", index_map=lambda i, j, k: (j, k))
)py");
  ASSERT_TRUE(trace) << trace.error().to_string();
  const auto ours = replay(*trace, module);
  ASSERT_TRUE(ours) << ours.error().to_string();
  const auto text = trace_to_tvm_json_text(ours->trace());
  ASSERT_TRUE(text) << text.error().to_string();
  EXPECT_EQ(text->find("lambda"), std::string::npos);
  const auto again = trace_from_json_text(*text);
  ASSERT_TRUE(again) << again.error().to_string();
  const auto theirs = replay(*again, module);
  ASSERT_TRUE(theirs) << theirs.error().to_string();
  std::string where;
  EXPECT_TRUE(structural_equal(ours->module(), theirs->module(), &where)) << where;
}

TEST(TvmTrace, IsRefusedWithAPrimitiveOfOurs) {
  const auto trace = Trace::from_python(R"(
b0 = sch.get_sblock(name="C", func_name="main")
sch.pack_ahead(block=b0)
)");
  ASSERT_TRUE(trace);
  const auto text = trace_to_tvm_json_text(*trace);
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().message, "TVM has no pack_ahead");
}

} // namespace
} // namespace temper::s_tir::testing
