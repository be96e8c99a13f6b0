// temper session measures: compiled, checked, timed, kept.
#include "tests/cli/shell.h"

#include <algorithm>

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

/// Records of a kernel with a time, fastest first.
std::vector<Json> timed(const Shell& shell) {
  std::vector<Json> timed;
  for (const Json& record : shell.run("temper list records --limit 1000 --json").list("records"))
    if (record.value("outcome", "") == "ok" && record["median_ns"].is_number())
      timed.push_back(record);
  std::ranges::sort(timed, {},
                    [](const Json& record) { return record["median_ns"].get<double>(); });
  return timed;
}

Json answer_of(const Shell& shell, const Json& request) {
  shell.write("request", request.dump() + "\n");
  const Ran ran = shell.run("temper session < request");
  EXPECT_EQ(ran.code, 0) << ran.err;
  return ran.json();
}

/// What a trace makes of the kernel of a record, with the model's estimate.
Json program_of(const Shell& shell, const std::string& record, const std::string& trace) {
  const Json opened = answer_of(shell, {{"id", 1}, {"do", "open"}, {"record", record}});
  return answer_of(shell, {{"id", 2},
                           {"do", "program"},
                           {"subject", opened.value("subject", Json())},
                           {"trace", trace.empty() ? opened.value("trace", "") : trace},
                           {"estimate", true}});
}

TEST(SessionSlow, WhyOneIsFasterIsDecisionsAModelAndTheirCode) {
  Shell shell;
  ASSERT_EQ(shell.run("temper tune matmul M=64 N=64 K=64 --trials 40 --seed 1").code, 0);
  const std::vector<Json> records = timed(shell);
  ASSERT_GE(records.size(), 20U);
  // Of one sketch, so that decisions correspond: one that says which they are is found.
  Json why;
  std::string slow;
  constexpr size_t kFast = 4; // the very best may be alone in its sketch
  for (size_t best = 0; best < kFast && !why.contains("decisions"); ++best)
    for (size_t i = records.size(); i-- > best + 1 && !why.contains("decisions");) {
      slow = records[i]["record"].get<std::string>();
      Json answer =
          answer_of(shell, {{"id", 1}, {"do", "why"}, {"a", slow}, {"b", records[best]["record"]}});
      if (!answer.value("decisions", Json::array()).empty() && !answer["model"]["terms"].empty())
        why = std::move(answer);
    }
  ASSERT_TRUE(why.contains("decisions")) << "no two of one sketch";
  EXPECT_LT(why["ratio"].get<double>(), 1) << why;
  EXPECT_LE(why["ratio_interval"][0], why["ratio"]) << why;
  EXPECT_GE(why["ratio_interval"][1], why["ratio"]) << why;
  for (const Json& decision : why["decisions"])
    EXPECT_NE(decision["a"], decision["b"]) << decision;
  // A with B's value is a schedule that replays.
  size_t tried = 0;
  for (const Json& decision : why["decisions"])
    if (const std::string trace = decision.value("trace", ""); !trace.empty()) {
      ++tried;
      EXPECT_FALSE(program_of(shell, slow, trace).contains("error")) << decision;
    }
  EXPECT_GT(tried, 0U) << why["decisions"];
  EXPECT_GE(why["model"].value("learnt_from", 0), 20);
  ASSERT_FALSE(why["model"]["terms"].empty()) << why["model"];
  double sum = 0;
  for (const Json& term : why["model"]["terms"]) {
    EXPECT_FALSE(term["features"].empty()) << term;
    sum += term["change"].get<double>();
  }
  const double change =
      why["model"]["score_b"].get<double>() - why["model"]["score_a"].get<double>();
  EXPECT_NEAR(sum, change, 1e-3) << why["model"];
  EXPECT_FALSE(why["code"].empty());
  // What the model makes of the fastest alone; its terms say by what it differs from the average.
  const Json model =
      answer_of(shell, {{"id", 1}, {"do", "model"}, {"record", records[0]["record"]}});
  ASSERT_TRUE(model.contains("terms")) << model;
  EXPECT_EQ(model.value("learnt_from", 0), why["model"].value("learnt_from", -1));
  EXPECT_GT(model.value("speed", 0.0), 0.0) << model;
  EXPECT_EQ(model.value("place_by_time", 0), 1) << model;
  double terms = 0;
  for (const Json& term : model["terms"])
    terms += term.value("change", 0.0);
  EXPECT_NEAR(terms, model.value("score", 0.0) - model.value("average_score", 0.0), 1e-3) << model;
  // Both were measured here: what they take of the machine is known.
  bool arithmetic = false;
  for (const Json& fact : why["machine"])
    arithmetic |=
        fact["what"] == "multiply-add units" && fact["b"].get<double>() > fact["a"].get<double>();
  EXPECT_TRUE(arithmetic) << why["machine"];

  // Against itself, and against what computes something else, it is refused in a sentence.
  EXPECT_NE(answer_of(shell, {{"id", 1}, {"do", "why"}, {"a", slow}, {"b", slow}})
                .value("refused", "")
                .find("same candidate"),
            std::string::npos);
  shell.write("scale.py", kScale);
  ASSERT_EQ(shell.run("temper tune scale.py --trials 2 --seed 1").code, 0);
  std::string other;
  for (const Json& record : timed(shell))
    if (record.value("workload", "").find("scale") != std::string::npos)
      other = record["record"].get<std::string>();
  EXPECT_NE(answer_of(shell, {{"id", 1}, {"do", "why"}, {"a", slow}, {"b", other}})
                .value("refused", "")
                .find("different things"),
            std::string::npos);
}

TEST(SessionSlow, FeaturesOfTileProgramsHaveNames) {
  Shell shell;
  ASSERT_EQ(shell.run("temper tune matmul_tile M=64 N=64 K=64 --trials 24 --seed 1").code, 0);
  const std::vector<Json> records = timed(shell);
  ASSERT_GE(records.size(), 14U);
  const Json why = answer_of(
      shell,
      {{"id", 1}, {"do", "why"}, {"a", records.back()["record"]}, {"b", records[0]["record"]}});
  ASSERT_TRUE(why.contains("model")) << why;
  ASSERT_FALSE(why["model"]["terms"].empty()) << why["unknown"];
  for (const Json& term : why["model"]["terms"]) {
    const std::string what = term.value("what", "");
    EXPECT_TRUE(what == "knobs of the program" || what == "choices of tile operators" ||
                what == "estimates of the lowered program")
        << term;
    for (const Json& feature : term["features"]) {
      EXPECT_FALSE(feature.value("name", "").empty()) << term;
      EXPECT_EQ(feature.value("name", "").find("B0."), std::string::npos) << term;
    }
  }
}

TEST(SessionSlow, WhatLimitsARecordIsSharesAndStepsThatReplay) {
  Shell shell;
  ASSERT_EQ(shell.run("temper tune matmul M=128 N=128 K=128 --trials 16 --seed 1").code, 0);
  const std::vector<Json> records = timed(shell);
  ASSERT_GE(records.size(), 4U);
  double before = 2; // of the peak, fastest first
  for (const Json& record : {records.front(), records.back()}) {
    const std::string id = record["record"];
    const Json limits = answer_of(shell, {{"id", 1}, {"do", "limits"}, {"record", id}});
    ASSERT_TRUE(limits.contains("machine")) << limits;
    const auto peak = std::ranges::find(limits["machine"], "multiply-add units",
                                        [](const Json& bar) { return bar.value("what", ""); });
    ASSERT_NE(peak, limits["machine"].end()) << limits["machine"];
    const double share = (*peak)["share"];
    EXPECT_GT(share, 0) << *peak;
    EXPECT_LT(share, before) << "the slower one cannot be nearer to the peak";
    before = share;
    EXPECT_FALSE(limits["sentences"].empty());
    ASSERT_FALSE(limits["loop"].empty());
    EXPECT_DOUBLE_EQ(limits["loop"][0]["share"].get<double>(), 1);
    // What is proposed is legal, and the model says of it what was promised.
    const double now = program_of(shell, id, "").value("estimate_ns", 0.0);
    for (const Json& finding : limits["findings"]) {
      EXPECT_FALSE(finding.value("what", "").empty()) << finding;
      if (!finding.contains("proposal"))
        continue;
      const Json proposed = program_of(shell, id, finding["proposal"]["trace"]);
      ASSERT_FALSE(proposed.contains("error")) << proposed;
      EXPECT_NEAR(proposed.value("estimate_ns", 0.0) / now,
                  finding["proposal"]["ratio"].get<double>(), 0.02)
          << finding;
    }
  }
  EXPECT_TRUE(
      answer_of(shell, {{"id", 1}, {"do", "limits"}, {"record", "mffffff"}}).contains("error"));
}

TEST(SessionSlow, EstimatesTakeTheFiguresThatWereKept) {
  Shell shell;
  const std::string cached = "export TEMPER_CACHE=$PWD/kept && ";
  ASSERT_EQ(shell.run(cached + R"(echo '{"id": 1, "do": "machine"}' | temper session)").code, 0);
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(shell.folder() / "kept"))
    files.push_back(entry.path());
  ASSERT_EQ(files.size(), 1U);
  shell.write("requests", R"({"id": 1, "do": "open", "workload": "matmul"})"
                          "\n");
  const Json subject = shell.run(cached + "temper session < requests").json()["subject"];
  const auto estimate = [&] {
    shell.write(
        "requests",
        Json{{"id", 1}, {"do", "program"}, {"subject", subject}, {"trace", ""}, {"estimate", true}}
                .dump() +
            "\n");
    return shell.run(cached + "temper session < requests").json().value("estimate_ns", 0.0);
  };
  const double before = estimate();
  ASSERT_GT(before, 0);
  Json figures = parse_json(read_file(files[0]).value()).value();
  figures["f32_flops"] = figures["f32_flops"].get<double>() / 100;
  ASSERT_TRUE(write_file(files[0], figures.dump()));
  EXPECT_GT(estimate(), 10 * before);
}

} // namespace
} // namespace temper::testing
