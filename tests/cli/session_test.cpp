// temper session: requests in, answers out, without a measurement.
#include "tests/cli/shell.h"

#include <map>

namespace temper::testing {
namespace {

struct Session : ::testing::Test {
  /// The answers to lines of requests, in order.
  std::vector<Json> ask(const std::vector<Json>& requests, const std::string& more = "") {
    std::string text;
    for (const Json& request : requests)
      text += request.dump() + "\n";
    shell.write("requests", text + more);
    const Ran ran = shell.run("temper session < requests");
    EXPECT_EQ(ran.code, 0) << ran.err;
    std::vector<Json> answers;
    for (const std::string& line : split_text(ran.out, '\n'))
      if (!line.empty())
        answers.push_back(parse_json(line).value_or(Json()));
    return answers;
  }
  void SetUp() override {
    shell.write("scale.py", kScale);
    const auto answers = ask({{{"id", 1}, {"do", "open"}, {"workload", "scale.py"}}});
    ASSERT_EQ(answers.size(), 1U);
    start = answers[0];
    ASSERT_TRUE(start.contains("subject")) << start;
  }
  Json request(int id, const std::string& verb, const std::string& trace,
               const Json& more = Json::object()) const {
    Json json{{"id", id}, {"do", verb}, {"subject", start["subject"]}, {"trace", trace}};
    json.update(more);
    return json;
  }
  static std::string message(const Json& answer) {
    return answer.value("error", Json::object()).value("message", "");
  }
  Shell shell;
  Json start;
};

constexpr const char* kSplit = "b0 = sch.get_sblock(name=\"B\", func_name=\"main\")\n"
                               "l1, l2 = sch.get_loops(block=b0)\n"
                               "l3, l4 = sch.split(loop=l2, factors=[None, 16])\n";

TEST_F(Session, AWorkloadIsOpenedAndShownAtEveryLevel) {
  EXPECT_EQ(start["title"], "scale.py M=64 N=64 dtype=float32");
  EXPECT_EQ(start["trace"], "");
  const std::map<std::string, std::string> expected{
      {"script", "T.sblock"}, {"tir", "B["}, {"llvm", "define"}, {"asm", "ret"}};
  std::vector<Json> requests;
  for (const auto& [level, words] : expected)
    requests.push_back(request(2, "program", kSplit, {{"level", level}, {"estimate", true}}));
  const auto answers = ask(requests);
  ASSERT_EQ(answers.size(), expected.size());
  size_t i = 0;
  for (const auto& [level, words] : expected) {
    const Json& answer = answers[i++];
    EXPECT_NE(answer.value("text", "").find(words), std::string::npos) << answer;
    EXPECT_GT(answer.value("estimate_ns", 0.0), 0) << answer;
    EXPECT_EQ(answer["places"].size(), 5U) << answer; // root, i, j_0, j_1, B
  }
}

TEST_F(Session, AStepGoesOnFromTheTrace) {
  const auto outline = ask({request(1, "program", kSplit)});
  int place = -1;
  for (size_t i = 0; i < outline[0]["places"].size(); ++i)
    if (outline[0]["places"][i]["text"] == "for j_1 in 16")
      place = static_cast<int>(i);
  ASSERT_GE(place, 0) << outline[0];
  const std::string trace = outline[0]["trace"];
  const auto steps = ask({request(2, "steps", trace, {{"place", place}, {"estimate", true}})});
  std::string lines;
  for (const Json& step : steps[0]["legal"])
    if (step["primitive"] == "Vectorize")
      lines = step["lines"];
  ASSERT_FALSE(lines.empty()) << steps[0];
  const auto after = ask({request(3, "program", trace + lines, {{"level", "script"}})});
  EXPECT_NE(after[0].value("text", "").find("T.vectorized(16)"), std::string::npos) << after[0];
}

TEST_F(Session, WhatIsWrongIsSaidAndTheSessionGoesOn) {
  const auto answers =
      ask({request(1, "program", "b0 = sch.get_sblock(name=\"D\", func_name=\"main\")\n"),
           request(2, "program", "b0 = sch.get_sblok()\n"),
           request(3, "fly", ""),
           request(4, "steps", "", {{"place", 99}}),
           request(5, "program", "", {{"level", "ptx"}}),
           {{"id", 6}, {"do", "open"}, {"record", "mffffffff"}},
           {{"id", 7}, {"do", "program"}, {"trace", ""}},
           request(8, "program", "")},
          "this is not json\n[1, 2]\n");
  ASSERT_EQ(answers.size(), 10U);
  for (size_t i = 0; i < 7; ++i) {
    EXPECT_EQ(answers[i]["id"], static_cast<int>(i) + 1);
    EXPECT_FALSE(message(answers[i]).empty()) << answers[i];
  }
  EXPECT_NE(message(answers[0]).find("no block \"D\""), std::string::npos) << answers[0];
  EXPECT_NE(message(answers[1]).find("line 1"), std::string::npos) << answers[1];
  EXPECT_NE(message(answers[2]).find("not 'fly'"), std::string::npos);
  EXPECT_NE(message(answers[6]).find("subject"), std::string::npos);
  EXPECT_TRUE(answers[7].contains("places")) << answers[7];
  EXPECT_FALSE(message(answers[8]).empty());
  EXPECT_FALSE(message(answers[9]).empty());
}

} // namespace
} // namespace temper::testing
