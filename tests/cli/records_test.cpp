// Commands on records that are there, without a compiler or a measurement: they come from a dump.
#include "tests/cli/shell.h"

namespace temper::testing {
namespace {

/// A dump: a finished run of matmul with three trials, all of 2020.
std::string old_dump() {
  const auto measurement = [](char digit, const char* candidate, int sequence, const char* outcome,
                              double ns) {
    return std::string("{\"row\":\"measurement\",\"id\":\"m") + digit +
           "000000000000000\",\"run\":\"r1000000000000000\",\"candidate\":\"" + candidate +
           "\",\"sequence\":" + std::to_string(sequence) + ",\"outcome\":\"" + outcome +
           "\",\"purpose\":\"search\",\"stage\":\"time\"," +
           (ns > 0 ? "\"median_ns\":" + std::to_string(ns) + "," : std::string()) +
           "\"regime\":\"hot\",\"inputs\":\"normal\",\"threads\":1,"
           "\"environment\":\"e1000000000000000\",\"toolchain\":\"t1000000000000000\","
           "\"measured_at\":" +
           std::to_string(1600000000000000000 + sequence) + "}\n";
  };
  const auto candidate = [](const char* id, int knob) {
    return std::string("{\"row\":\"candidate\",\"id\":\"") + id +
           "\",\"workload\":\"w1000000000000000\",\"kind\":\"trace\",\"program\":[[],[[0," +
           std::to_string(knob) + "]]],\"origin\":\"sample\"}\n";
  };
  std::string text =
      "{\"schema\":\"temper.dump/1\",\"database_schema\":1,\"created_at\":1600000000000000000}\n"
      "{\"row\":\"environment\",\"id\":\"e1000000000000000\",\"fingerprint\":\"0000000000000001\","
      "\"class_name\":\"cpu:old/2\",\"host\":\"attic\"}\n"
      "{\"row\":\"toolchain\",\"id\":\"t1000000000000000\",\"json\":{\"llvm\":\"14\"}}\n"
      "{\"row\":\"workload\",\"id\":\"w1000000000000000\",\"name\":\"matmul\",\"layer\":\"s-tir\","
      "\"function\":\"matmul\",\"structural_hash\":\"0000000000000001\",\"binding\":{\"M\":512},"
      "\"flops\":1000000.0,\"created_at\":1600000000000000000,\"program\":\"x\"}\n"
      "{\"row\":\"run\",\"id\":\"r1000000000000000\",\"workload\":\"w1000000000000000\","
      "\"target\":\"cpu:old\",\"environment\":\"e1000000000000000\","
      "\"toolchain\":\"t1000000000000000\",\"strategy\":\"auto\",\"state\":\"finished\","
      "\"stopped_because\":\"the space is exhausted\",\"trials\":3,"
      "\"started_at\":1600000000000000000,\"updated_at\":1600000000000000009}\n";
  text += candidate("c1000000000000000", 1) + candidate("c2000000000000000", 2) +
          candidate("c3000000000000000", 3);
  text += measurement('1', "c1000000000000000", 0, "ok", 3000) +
          measurement('2', "c2000000000000000", 1, "ok", 2000) +
          measurement('3', "c3000000000000000", 2, "crashed", 0);
  return text + "{\"row\":\"end\",\"rows\":10}\n";
}

struct Records : ::testing::Test {
  void SetUp() override {
    shell.write("old.jsonl", old_dump());
    const Ran ran = shell.run("temper import old.jsonl");
    ASSERT_EQ(ran.code, 0) << ran.out << ran.err;
  }
  size_t listed(const std::string& selection) const {
    const Ran ran = shell.run("temper list records --json " + selection);
    EXPECT_EQ(ran.code, 0) << ran.err;
    return ran.json().value("records", Json::array()).size();
  }
  Shell shell;
};

TEST_F(Records, AreListedByAQuery) {
  EXPECT_EQ(listed("'query:outcome = crashed'"), 1u);
  EXPECT_EQ(listed("'query:workload ~ mat and M >= 512 and time < 2.5us'"), 1u);
  EXPECT_EQ(listed("'query:measured > 1d ago'"), 0u);
  EXPECT_EQ(listed("'query:host = attic and stale'"), 3u);
  const Ran best = shell.run("temper best --json 'query:stale and environment = cpu:old/2'");
  ASSERT_EQ(best.code, 0) << best.err;
  EXPECT_EQ(best.list("records").at(0).value("record", ""), "m2000000000000000");
  const Ran wrong = shell.run("temper best 'query:time < 2ms and worklod = matmul'");
  EXPECT_EQ(wrong.code, 2);
  EXPECT_NE(wrong.err.find("column 16: there is no field 'worklod'; did you mean 'workload'?"),
            std::string::npos)
      << wrong.err;
}

TEST_F(Records, AreTaggedAndNoted) {
  EXPECT_EQ(shell.run("temper tag odd m30000").code, 0);
  EXPECT_EQ(shell.run("temper tag nightly run:r10000").code, 0);
  EXPECT_EQ(
      shell.run("temper tag slow --all 'query:time > 2500ns and stale and host = attic'").code, 0);
  EXPECT_EQ(listed("tag:odd"), 1u);
  EXPECT_EQ(listed("tag:nightly"), 3u) << "a run's tag is its records'";
  EXPECT_EQ(listed("'query:tag = slow and tag = nightly'"), 1u);
  EXPECT_EQ(shell.run("temper note 'ask Ada' m30000").code, 0);
  EXPECT_EQ(listed("'query:note ~ ADA'"), 1u);
  const Ran shown = shell.run("temper show m30000");
  EXPECT_NE(shown.out.find("odd, nightly"), std::string::npos) << shown.out << shown.err;
  EXPECT_NE(shown.out.find("ask Ada"), std::string::npos) << shown.out;
  EXPECT_EQ(shell.run("temper tag --json").list("tags").size(), 3u);
  EXPECT_EQ(shell.run("temper tag --remove odd m30000").code, 0);
  EXPECT_EQ(listed("tag:odd"), 0u);
  EXPECT_EQ(shell.run("temper tag odd m99999").code, 2);
}

TEST_F(Records, ArePrunedButForTheBestAndThePinned) {
  EXPECT_EQ(shell.run("temper tag pinned m30000").code, 0);
  const Ran told = shell.run("temper prune --dry-run --json");
  ASSERT_EQ(told.code, 0) << told.err;
  EXPECT_EQ(told.json().at("dropped").value("measurement", 0), 1);
  EXPECT_EQ(listed(""), 3u) << "a dry run drops nothing";
  const Ran pruned = shell.run("temper prune");
  ASSERT_EQ(pruned.code, 0) << pruned.err;
  EXPECT_NE(pruned.out.find("dropped 1 of 3 records older than 90d"), std::string::npos)
      << pruned.out;
  EXPECT_EQ(listed(""), 2u);
  EXPECT_EQ(listed("'query:record = m10000'"), 0u);
  EXPECT_EQ(shell.run("temper prune --older-than yesterday").code, 2);
}

} // namespace
} // namespace temper::testing
