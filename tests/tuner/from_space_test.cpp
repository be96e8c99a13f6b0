// A search around one candidate: what is locked stays, what has other steps is outside.
#include "tests/s_tir/programs.h"
#include "tuner/space/from_space.h"
#include "tuner/space/sketch_space.h"

#include <gmock/gmock.h>

#include <set>

namespace temper::tuner {
namespace {

using namespace temper::s_tir::programs;
using ::testing::HasSubstr;

std::unique_ptr<Space> whole() {
  auto space = make_sketch_space(matmul(32, 32, 32), SketchOptions());
  EXPECT_TRUE(space) << space.error().to_string();
  return std::move(*space);
}

/// A candidate with at least three decisions.
CandidateRef start() {
  const auto space = whole();
  Random random(4);
  for (int i = 0; i < 100; ++i)
    if (auto candidate = space->sample(random);
        candidate && decision_names((*candidate)->trace.without_postproc()).size() >= 3)
      return *candidate;
  ADD_FAILURE() << "no candidate decides three things";
  return nullptr;
}

/// A candidate of `whole` with a step that somebody took after it was finished.
s_tir::Trace with_a_late_step(const Candidate& candidate) {
  s_tir::Schedule schedule(whole()->untuned()->module, 0);
  EXPECT_TRUE(schedule.apply(candidate.trace, {}));
  const auto block = schedule.get_sblock("C_update").has_value() ? schedule.get_sblock("C_update")
                                                                 : schedule.get_sblock("C");
  EXPECT_TRUE(block);
  const auto loops = schedule.get_loops(*block);
  EXPECT_TRUE(loops && !loops->empty());
  EXPECT_TRUE(schedule.annotate(loops->front(), "by_hand", 7));
  return schedule.trace();
}

TEST(FromSpace, WhatWasDoneByHandAfterwardsIsDoneToAllThatIsProposed) {
  const s_tir::Trace by_hand = with_a_late_step(*start());
  const auto space = make_space_from(whole(), by_hand, {}, "m1");
  ASSERT_TRUE(space) << space.error().to_string();
  Random random(1);
  std::set<uint64_t> different;
  for (int i = 0; i < 30; ++i)
    if (const auto sampled = (*space)->sample(random)) {
      EXPECT_THAT((*sampled)->trace.to_python(), HasSubstr("by_hand"));
      different.insert((*sampled)->program_hash);
      // What is stored is replayed to the same.
      const auto again = (*space)->apply((*sampled)->trace, "database");
      ASSERT_TRUE(again) << again.error().to_string();
      EXPECT_EQ((*again)->program_hash, (*sampled)->program_hash);
    }
  EXPECT_GT(different.size(), 5u);
}

TEST(FromSpace, WhatIsLockedIsTheSameInAllThatIsProposed) {
  const CandidateRef from = start();
  const std::string name = decision_names(from->trace.without_postproc()).front();
  const auto space = make_space_from(whole(), from->trace, {name}, "m1");
  ASSERT_TRUE(space) << space.error().to_string();
  const auto points = s_tir::decision_points(from->trace.without_postproc());
  const auto locked = [&](const Candidate& candidate) {
    return candidate.trace[points.front().instruction].decision ==
           from->trace[points.front().instruction].decision;
  };
  Random random(1);
  std::set<uint64_t> different;
  CandidateRef last = from;
  for (int i = 0; i < 40; ++i) {
    if (const auto sampled = (*space)->sample(random)) {
      EXPECT_TRUE(locked(**sampled));
      different.insert((*sampled)->program_hash);
    }
    if (const auto mutated = (*space)->mutate(*last, random)) {
      EXPECT_TRUE(locked(**mutated));
      last = *mutated;
      different.insert(last->program_hash);
    }
  }
  EXPECT_GT(different.size(), 5U);
  for (const CandidateRef& neighbour : (*space)->neighbours(*from, 16))
    EXPECT_TRUE(locked(*neighbour));
}

TEST(FromSpace, OtherSketchesAndOtherLockedDecisionsAreOutside) {
  const CandidateRef from = start();
  const auto names = decision_names(from->trace.without_postproc());
  const auto space = make_space_from(whole(), from->trace, {names.front()}, "m1");
  ASSERT_TRUE(space);
  EXPECT_TRUE((*space)->apply(from->trace, "database"));
  EXPECT_TRUE((*space)->apply(s_tir::Trace(), "untuned"));
  Random random(9);
  const auto everywhere = whole();
  int outside = 0;
  for (int i = 0; i < 60; ++i)
    if (const auto other = everywhere->sample(random))
      outside += (*space)->apply((*other)->trace, "database") ? 0 : 1;
  EXPECT_GT(outside, 20);
}

TEST(FromSpace, ALockThatNamesNothingSaysWhatThereIs) {
  const CandidateRef from = start();
  const auto unknown = make_space_from(whole(), from->trace, {"v999"}, "m1");
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().message, HasSubstr("'v999'"));
  EXPECT_THAT(unknown.error().message,
              HasSubstr(decision_names(from->trace.without_postproc()).front()));
  const auto all =
      make_space_from(whole(), from->trace, decision_names(from->trace.without_postproc()), "m1");
  ASSERT_FALSE(all);
  EXPECT_THAT(all.error().message, HasSubstr("nothing is left to search"));
  const auto nothing = make_space_from(whole(), s_tir::Trace(), {}, "m1");
  ASSERT_FALSE(nothing);
  EXPECT_THAT(nothing.error().message, HasSubstr("no sampled values"));
}

TEST(FromSpace, TheSpaceIsNamedByWhatIsLocked) {
  const CandidateRef from = start();
  const auto names = decision_names(from->trace.without_postproc());
  const auto hash = [&](const std::vector<std::string>& locks) {
    return make_space_from(whole(), from->trace, locks, "m1").value()->hash();
  };
  EXPECT_EQ(hash({names[0]}), hash({names[0]}));
  EXPECT_NE(hash({names[0]}), hash({names[1]}));
  EXPECT_NE(hash({}), whole()->hash());
}

} // namespace
} // namespace temper::tuner
