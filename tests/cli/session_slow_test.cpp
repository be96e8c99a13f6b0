// temper session measures: compiled, checked, timed, kept.
#include "tests/cli/shell.h"

namespace temper::testing {
namespace {

TEST(SessionSlow, AHandMadeScheduleIsMeasuredAndBecomesARecord) {
  Shell shell;
  shell.write("scale.py", kScale);
  const Ran opened =
      shell.run(R"(echo '{"id": 1, "do": "open", "workload": "scale.py"}' | temper session)");
  ASSERT_EQ(opened.code, 0) << opened.err;
  const auto request = [&](int id, const std::string& trace, const std::string& parent) {
    return Json{{"id", id},
                {"do", "measure"},
                {"subject", opened.json()["subject"]},
                {"trace", trace},
                {"parent", parent}}
               .dump() +
           "\n";
  };
  const std::string trace = "b0 = sch.get_sblock(name=\"B\", func_name=\"main\")\n"
                            "l1, l2 = sch.get_loops(block=b0)\nsch.vectorize(loop=l2)\n";
  shell.write("requests", request(1, "", "") + request(2, trace, ""));
  const Ran ran = shell.run("temper session < requests");
  ASSERT_EQ(ran.code, 0) << ran.err;
  const std::vector<std::string> lines = split_text(ran.out, '\n');
  ASSERT_GE(lines.size(), 2U) << ran.out << ran.err;
  const Json plain = parse_json(lines[0]).value_or(Json());
  const Json fast = parse_json(lines[1]).value_or(Json());
  for (const Json& answer : {plain, fast}) {
    ASSERT_TRUE(answer.contains("record")) << answer;
    EXPECT_GT(answer.value("median_ns", 0.0), 0) << answer;
  }
  const Json shown = shell.run("temper show --json " + fast["record"].get<std::string>()).json();
  EXPECT_EQ(shown["origin"], "hand") << shown;
  // Both are of one run, which is nobody's any more.
  const Json runs = shell.run("temper list runs --json").list("runs");
  ASSERT_EQ(runs.size(), 1U) << runs;
  EXPECT_EQ(runs[0]["strategy"], "hand");
  EXPECT_EQ(runs[0]["trials"], 2);
  EXPECT_EQ(runs[0]["state"], "finished");
  // And a new session goes on from a record.
  const Ran again = shell.run(R"(echo '{"id": 1, "do": "open", "record": ")" +
                              fast["record"].get<std::string>() + R"("}' | temper session)");
  EXPECT_NE(again.json().value("trace", "").find("vectorize"), std::string::npos)
      << again.out << again.err;
  EXPECT_EQ(again.json()["candidate"], fast["candidate"]);
}

} // namespace
} // namespace temper::testing
