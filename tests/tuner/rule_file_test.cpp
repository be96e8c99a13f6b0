// Rules, post-processors and mutators of users' files in the space that is made of a program.
#include "ir/script/parser.h"
#include "tests/support/run_program.h"
#include "tests/tuner/scene.h"

#include <gmock/gmock.h>

namespace temper::tuner {
namespace {

using script::RuleFile;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::must;
using ::testing::Not;
using ::testing::SizeIs;

/// B = 2 A, then C = B + 1, as blocks with these annotations.
ir::IRModule program(const std::string& of_b = "", const std::string& of_c = "") {
  const auto attributes = [](const std::string& text) {
    return text.empty() ? "" : "                T.sblock_attr(" + text + ")\n";
  };
  return must(script::parse_module(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16, 24), "float32"), C: T.Buffer((16, 24), "float32")):
    B = T.sblock_alloc_buffer((16, 24))
    for i, j in T.grid(16, 24):
        with T.sblock("B"):
                vi, vj = T.axis.remap("SS", [i, j])
)" + attributes(of_b) + R"(
                B[vi, vj] = T.exp(A[vi, vj])
    for i, j in T.grid(16, 24):
        with T.sblock("C"):
                vi, vj = T.axis.remap("SS", [i, j])
)" + attributes(of_c) + R"(
                C[vi, vj] = B[vi, vj] + T.float32(1)
)"));
}

Result<std::unique_ptr<Space>> space_with(const ir::IRModule& module, const std::string& text,
                                          bool only = true) {
  s_tir::register_layer();
  TEMPER_TRY(file, RuleFile::parse(text, "mine.py"));
  SketchOptions options;
  options.only_rule_files = only;
  options.rule_files.push_back(std::move(file));
  return make_sketch_space(module, std::move(options));
}

std::string error_of(const std::string& text, const ir::IRModule& module = program()) {
  const auto space = space_with(module, text);
  return space ? "" : space.error().to_string();
}

constexpr const char* kTiles = R"(
def tile_rule(sch, block, machine):
    seen = sch.get(block)
    if seen.name_hint != "C" or len(seen.reads) != 1 or seen.reads[0].buffer.name == "A":
        return
    if [axis.iter_type for axis in seen.iter_vars] != [0, 0] or "done" in seen.annotations:
        return
    both = sch.copy()
    for each in [sch, both]:
        i, j = each.get_loops(block)
        j0, j1 = each.split(j, each.sample_perfect_tile(j, n=2, max_innermost_factor=machine["vector_bits"] // 32))
        if each.can("vectorize", j1):
            each.vectorize(j1)
    assert not both.can("compute_inline", block) and both.can("unroll", both.get_loops(block)[1])
    both.parallel(both.get_loops(block)[0])
    return [sch, both]
)";

TEST(RuleFile, ARuleMakesSketches) {
  const auto space = must(space_with(program(), kTiles));
  const auto sketches = space->sketch_texts();
  ASSERT_THAT(sketches, SizeIs(2));
  EXPECT_THAT(sketches[0], AllOf(HasSubstr("sch.vectorize("), Not(HasSubstr("parallel"))));
  EXPECT_THAT(sketches[1], HasSubstr("sch.parallel("));
  const s_tir::RunResult expected = s_tir::run_on_integers(program(), 1, 1);
  Random random(1);
  for (int i = 0; i < 10; ++i) {
    const CandidateRef candidate = must(space->sample(random));
    EXPECT_EQ(s_tir::difference(expected, s_tir::run_on_integers(candidate->module, 1, 1), 1e-4),
              "");
  }
}

TEST(RuleFile, OursFollowWhatARuleHasDone) {
  const auto alone = must(space_with(program(), kTiles));
  const auto with_ours = must(space_with(program(), kTiles, false));
  EXPECT_GE(with_ours->sketch_texts().size(), alone->sketch_texts().size());
  EXPECT_THAT(with_ours->sketch_texts(), Each(HasSubstr("max_innermost_factor=8")));
}

TEST(RuleFile, ABlockMayNameItsOneRule) {
  const std::string rules = R"(
def rows(sch, block):
    sch.parallel(sch.get_loops(block)[0])

def unroll_rule(sch, block):
    sch.unroll(sch.get_loops(block)[1])
)";
  const auto named =
      must(space_with(program("", R"({"schedule_rule": "rows"})"), rules))->sketch_texts();
  ASSERT_THAT(named, SizeIs(1));
  EXPECT_THAT(named[0], AllOf(HasSubstr("sch.parallel("), HasSubstr("sch.unroll(")));
  // And ours, which would inline B: they leave it alone.
  const auto none =
      must(space_with(program(R"({"schedule_rule": "None"})", R"({"schedule_rule": "None"})"),
                      rules, false))
          ->sketch_texts();
  ASSERT_THAT(none, SizeIs(1));
  EXPECT_THAT(none[0], AllOf(Not(HasSubstr("sch.parallel(")), Not(HasSubstr("sch.unroll(")),
                             Not(HasSubstr("sch.split(")), Not(HasSubstr("inline")),
                             Not(HasSubstr("compute_at"))));
  EXPECT_THAT(error_of(rules, program("", R"({"schedule_rule": "columns"})")),
              AllOf(HasSubstr("block 'C' names 'columns' as its schedule_rule"),
                    HasSubstr("def columns(sch, block)")));
}

TEST(RuleFile, PostprocessorsComeLast) {
  const auto space = must(space_with(program(), R"(
def mark_postproc(sch):
    sch.annotate(sch.get_loops(sch.get_sblock("C"))[0], "mine", 7)
)"));
  Random random(3);
  const CandidateRef candidate = must(space->sample(random));
  const std::string text = candidate->trace.to_python();
  EXPECT_GT(text.find("ann_key=\"mine\""), text.find("enter_postproc()"));
  EXPECT_THAT(script::to_text(candidate->module), HasSubstr("\"mine\": 7"));
  // A stored program goes through it once.
  EXPECT_EQ(must(space->apply(candidate->trace, "database"))->program_hash,
            candidate->program_hash);
  EXPECT_NE(space->hash(),
            must(space_with(program(), "def a_rule(sch, block):\n    pass\n"))->hash());
}

TEST(RuleFile, MutatorsSayWhatADecisionMayBecome) {
  const auto space = must(space_with(program(), std::string(kTiles) + R"(
def flat_mutator(decision, weight=1):
    if decision["kind"] != "tile" or decision["extent"] != 24:
        return
    assert decision["max_innermost_factor"] == 8
    assert decision["value"][0] * decision["value"][1] == 24
    return [[24, 1]]
)"));
  Random random(5);
  for (int i = 0; i < 6; ++i) {
    const CandidateRef from = must(space->sample(random));
    const CandidateRef mutated = must(space->mutate(*from, random));
    EXPECT_EQ(mutated->origin, "mutate flat_mutator");
    EXPECT_THAT(mutated->trace.to_python(), HasSubstr("decision=[24, 1]"));
  }
}

TEST(RuleFile, AMutatorWithoutAnAlternativeLeavesTheTurnToOurs) {
  const auto space = must(space_with(program(), std::string(kTiles) + R"(
def never_mutator(decision, weight=1.0):
    return []
)"));
  Random random(5);
  const CandidateRef from = must(space->sample(random));
  EXPECT_THAT(must(space->mutate(*from, random))->origin, Not(HasSubstr("never")));
}

TEST(RuleFile, SaysWhatIsWrong) {
  EXPECT_THAT(error_of("def tile_rule(sch):\n    pass\n"),
              AllOf(HasSubstr("mine.py:1:"), HasSubstr("takes (sch, block)")));
  EXPECT_THAT(error_of("def last_postproc(sch, block):\n    pass\n"), HasSubstr("takes (sch)"));
  EXPECT_THAT(error_of("def a_mutator(decision):\n    pass\n"), HasSubstr("weight=0.1"));
  EXPECT_THAT(error_of("def a_mutator(decision, weight=2):\n    pass\n"), HasSubstr("at most 1"));
  EXPECT_THAT(error_of("def a_rule(sch, block:\n    pass\n"), HasSubstr("mine.py:1:"));
  EXPECT_THAT(error_of("def a_rule(sch, block):\n    sch.vectorise(block)\n"),
              AllOf(HasSubstr("mine.py:2:"), HasSubstr("did you mean 'vectorize'")));
  EXPECT_THAT(error_of("def a_rule(sch, block):\n    return 3\n"),
              HasSubstr("returns nothing, a schedule or a list of schedules"));
  EXPECT_THAT(error_of("def a_rule(sch, block):\n    sch.reorder(sch.get_loops(block)[0])\n"
                       "    sch.compute_inline(sch.get_sblock(\"C\"))\n"),
              AllOf(HasSubstr("mine.py:3:"), HasSubstr("compute_inline: ")));
  EXPECT_THAT(error_of("def a_rule(sch, block):\n    sch.can(\"splt\", block)\n"),
              HasSubstr("did you mean 'split'"));
  EXPECT_THAT(error_of("def a_rule(sch, block):\n    while True:\n        pass\n"),
              HasSubstr("mine.py"));
  const auto space = must(space_with(program(), std::string(kTiles) + R"(
def odd_mutator(decision, weight=1):
    return "x"
)"));
  Random random(5);
  const auto mutated = space->mutate(*must(space->sample(random)), random);
  ASSERT_FALSE(mutated);
  EXPECT_THAT(mutated.error().message, HasSubstr("returns a list of what the decision may become"));
}

TEST(RuleFile, WhatAMutatorSaysWronglyIsNamed) {
  const auto error_for = [](const std::string& made) {
    const auto space = must(space_with(program(), std::string(kTiles) + R"(
def odd_mutator(decision, weight=1):
    if decision["kind"] == "tile" and decision["extent"] == 24:
        return [)" + made + "]\n"));
    Random random(5);
    const auto mutated = space->mutate(*must(space->sample(random)), random);
    return mutated ? std::string() : mutated.error().message;
  };
  EXPECT_EQ(error_for("[12, 2]"), "");
  EXPECT_THAT(error_for("[5, 5]"), AllOf(HasSubstr("odd_mutator lets ["),
                                         HasSubstr("become [5, 5], and the factors' product is 25, "
                                                   "and the extent is 24")));
  EXPECT_THAT(error_for("[2, 12]"), HasSubstr("the innermost factor may be 8 at most"));
  EXPECT_THAT(error_for("[24]"), HasSubstr("a tile is a list of 2 factors"));
  EXPECT_THAT(error_for("3"), HasSubstr("a tile is a list of 2 factors"));
  EXPECT_THAT(error_for("[0, 24]"), HasSubstr("positive"));
}

} // namespace
} // namespace temper::tuner
