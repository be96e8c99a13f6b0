// query:"…": what is read, what is refused and where, and that the database finds what the words
// say: random queries against a plain evaluation of them in C++.
#include "database/query_language.h"
#include "ir/support/random.h"
#include "tests/database/fixture.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <set>

namespace temper::database {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kNow = 1'700'000'000'000'000'000;
constexpr int64_t kDay = 86'400'000'000'000;

std::string refusal(const std::string& text) {
  const auto parsed = parse_query(text, kNow);
  return parsed ? "accepted" : parsed.error().message;
}

TEST(QueryLanguage, NamesTheColumnAndTheNearestField) {
  EXPECT_EQ(refusal("worklod = matmul"),
            "query, column 1: there is no field 'worklod'; did you mean 'workload'?");
  EXPECT_THAT(refusal("time < 2ms and outcom = ok"),
              HasSubstr("column 16: there is no field 'outcom'; did you mean 'outcome'?"));
  EXPECT_THAT(refusal("xyzzyx = 1"), HasSubstr("there are workload, layer"));
  EXPECT_THAT(refusal("outcome = crashd"), HasSubstr("column 11"));
  EXPECT_THAT(refusal("outcome = crashd"), HasSubstr("did you mean 'crashed'?"));
}

TEST(QueryLanguage, SaysWhatIsWrongWhere) {
  EXPECT_THAT(refusal(""), HasSubstr("column 1: the query is empty"));
  EXPECT_THAT(refusal("time"), HasSubstr("column 5: after 'time' an operator is expected"));
  EXPECT_THAT(refusal("time <"), HasSubstr("column 7: a value is expected, not the end"));
  EXPECT_THAT(refusal("time < 2"), HasSubstr("column 8: '2' lacks its unit: ns, us, ms, s"));
  EXPECT_THAT(refusal("time < 2kg"), HasSubstr("'kg' is no unit here"));
  EXPECT_THAT(refusal("time ~ 2ms"), HasSubstr("'time' is no text"));
  EXPECT_THAT(refusal("workload < a"), HasSubstr("'workload' has no order"));
  EXPECT_THAT(refusal("gflops > fast"), HasSubstr("column 10: 'fast' is no number"));
  EXPECT_THAT(refusal("measured > 3d"), HasSubstr("'ago' is expected"));
  EXPECT_THAT(refusal("measured > 2026-02-30"), HasSubstr("there is no day 2026-02-30"));
  EXPECT_THAT(refusal("measured = 3d ago"), HasSubstr("compared with < or >"));
  EXPECT_THAT(refusal("(stale or unchecked"), HasSubstr("column 1: this bracket is never closed"));
  EXPECT_THAT(refusal("stale)"), HasSubstr("column 6: ')' is not expected here"));
  EXPECT_THAT(refusal("stale unchecked"), HasSubstr("join comparisons with and, or"));
  EXPECT_THAT(refusal("stale = 1"), HasSubstr("'stale' stands alone"));
  EXPECT_THAT(refusal("tag = \"a"),
              HasSubstr("column 7: the text that begins here has no closing"));
  EXPECT_THAT(refusal("tag =~ a"), HasSubstr("'=~' is no operator"));
  EXPECT_THAT(refusal("run = matmul"), HasSubstr("'matmul' is no id of a run"));
  EXPECT_THAT(refusal("run = m12345"), HasSubstr("is no id of a run"));
  EXPECT_THAT(refusal("outcome in ok"), HasSubstr("values in brackets"));
  EXPECT_THAT(refusal("outcome in (ok crashed)"), HasSubstr("a comma or a closing bracket"));
  EXPECT_THAT(refusal("outcome not ok"), HasSubstr("goes on with in"));
  EXPECT_THAT(refusal("trace = parallel"), HasSubstr("column 7: 'trace' is searched with ~ or !~"));
  EXPECT_THAT(refusal("script in (a, b)"), HasSubstr("column 8: 'script' is searched with ~"));
  EXPECT_THAT(refusal("M > big"), HasSubstr("column 5: 'big' is no number"));
  EXPECT_THAT(refusal(std::string(500, '(') + "stale" + std::string(500, ')')),
              HasSubstr("nested too deeply"));
}

TEST(QueryLanguage, TakesQuotesThatTheShellLeft) {
  EXPECT_TRUE(parse_query("\"workload = matmul\"", kNow));
  EXPECT_TRUE(parse_query("workload = \"matmul\" or note ~ 'two words'", kNow));
}

TEST(QueryLanguage, CountsAgesFromNow) {
  const QueryRef query = *parse_query("measured > 3d ago", kNow);
  EXPECT_EQ(query->value.moment, kNow - 3 * kDay);
  EXPECT_EQ((*parse_query("measured >= 2 w ago", kNow))->value.moment, kNow - 14 * kDay);
  EXPECT_EQ((*parse_query("measured < 1e9d ago", kNow))->value.moment, 0);
  const int64_t day = (*parse_query("measured < 2026-11-21", kNow))->value.moment;
  EXPECT_EQ((*parse_query("measured < 2026-11-21T01:30", kNow))->value.moment - day,
            90 * 60'000'000'000);
}

TEST(QueryLanguage, BindsAndCloserThanOr) {
  const QueryRef query = *parse_query("stale or unchecked and not tag = a", kNow);
  ASSERT_EQ(query->form, QueryCondition::Form::kAny);
  EXPECT_EQ(query->parts[1]->form, QueryCondition::Form::kAll);
  EXPECT_EQ(query->parts[1]->parts[1]->form, QueryCondition::Form::kNot);
}

TEST(QueryLanguage, PatternsAreParts) {
  EXPECT_TRUE(matches_pattern("conv2d_nchw", "CONV"));
  EXPECT_TRUE(matches_pattern("conv2d_nchw", "conv*nchw"));
  EXPECT_FALSE(matches_pattern("conv2d_nchw", "conv*d"));
  EXPECT_TRUE(matches_pattern("abcabd", "*ab?"));
  EXPECT_TRUE(matches_pattern("", "*"));
  EXPECT_FALSE(matches_pattern("", "?"));
}

TEST(QueryLanguage, EveryFieldIsUnderstoodByTheDatabase) {
  auto store = memory_store();
  Scene scene(*store);
  scene.record(Scene::trace(1), scene.measurement(100));
  for (const QueryFieldInfo& field : query_fields()) {
    std::vector<std::string> texts;
    const std::string name = field.name;
    switch (field.type) {
    case QueryType::kText:
      texts = {name + " = x", name + " != x", name + " ~ x", name + " in (x, \"y z\")",
               name + " ~ 100%*_"};
      break;
    case QueryType::kWord:
      texts = {name + " = " + (name == "cache" ? "hot" : name == "purpose" ? "search" : "ok")};
      break;
    case QueryType::kId:
      texts = {name + (name == "run" ? " = r" : name == "record" ? " != m" : " = c") + "01234"};
      break;
    case QueryType::kNumber:
      texts = {name + " <= 1e3", name + " != 1"};
      break;
    case QueryType::kDuration:
      texts = {name + " > 1us", name + " = 3ms"};
      break;
    case QueryType::kMoment:
      texts = {name + " < 1min ago"};
      break;
    case QueryType::kFlag:
      texts = {name};
      break;
    case QueryType::kProgram:
      texts = {name + " ~ x", name + " !~ 100%*_", name + " ~ \"two words\""};
      break;
    }
    for (const std::string& text : texts)
      for (const std::string& whole : {text, "not (" + text + ")"}) {
        RecordFilter filter;
        filter.query = must(parse_query(whole, kNow));
        ASSERT_OK(store->list_records(filter));
        ASSERT_OK(store->best(filter));
      }
  }
}

// ---- Against a plain evaluation

/// A query's text, and what it says of a row.
struct Asked {
  std::string text;
  std::function<bool(const Measurement&, const Workload&)> holds;
};

class Asker {
public:
  Asker(uint64_t seed, std::set<Id> tagged, const Id& run)
      : random_(seed), tagged_(std::move(tagged)), run_(run) {}

  Asked query(int depth) {
    const auto kind = depth == 0 ? 0 : random_.below(4);
    if (kind == 0)
      return comparison();
    if (kind == 1) {
      const Asked part = query(depth - 1);
      return {"not (" + part.text + ")", [part](const Measurement& row, const Workload& workload) {
                return !part.holds(row, workload);
              }};
    }
    const Asked a = query(depth - 1);
    const Asked b = query(depth - 1);
    if (kind == 2)
      return {"(" + a.text + " and " + b.text + ")",
              [a, b](const Measurement& row, const Workload& workload) {
                return a.holds(row, workload) && b.holds(row, workload);
              }};
    return {"(" + a.text + " or " + b.text + ")",
            [a, b](const Measurement& row, const Workload& workload) {
              return a.holds(row, workload) || b.holds(row, workload);
            }};
  }

private:
  Asked comparison() {
    const int size = 128 << random_.below(3);
    const int ns = 100 + static_cast<int>(random_.below(8)) * 10;
    switch (random_.below(9)) {
    case 0:
      return {"workload = matmul", [](const Measurement&, const Workload& workload) {
                return workload.name == "matmul";
              }};
    case 1:
      return {"M >= " + std::to_string(size), [size](const Measurement&, const Workload& workload) {
                return workload.flops >= 2.0 * size * size;
              }};
    case 2:
      return {"time < " + std::to_string(ns) + "ns", [ns](const Measurement& row, const Workload&) {
                return row.median_ns < ns; // false without a number
              }};
    case 3:
      return {"outcome in (crashed, wrong_result)", [](const Measurement& row, const Workload&) {
                return row.outcome == Outcome::kCrashed || row.outcome == Outcome::kWrongResult;
              }};
    case 4:
      return {"threads = 2",
              [](const Measurement& row, const Workload&) { return row.threads == 2; }};
    case 5:
      return {"tag = kept", [this](const Measurement& row, const Workload&) {
                return tagged_.contains(row.id) || tagged_.contains(row.run) ||
                       tagged_.contains(row.candidate) || tagged_.contains(row.workload);
              }};
    case 6:
      return {"run = " + run_.substr(0, 9),
              [this](const Measurement& row, const Workload&) { return row.run == run_; }};
    case 7: {
      const double rate = 2.0 * size * size / 130;
      return {"gflops > " + std::to_string(rate),
              [rate](const Measurement& row, const Workload& workload) {
                return workload.flops / row.median_ns > rate;
              }};
    }
    default:
      return {"error ~ SIGNAL", [](const Measurement& row, const Workload&) {
                return row.error.find("signal") != std::string::npos;
              }};
    }
  }

  Random random_;
  std::set<Id> tagged_;
  Id run_;
};

TEST(QueryLanguage, FindsWhatAPlainEvaluationFinds) {
  auto store = memory_store();
  Random random(7);
  std::set<Id> tagged;
  Id run;
  for (const char* name : {"matmul", "conv"})
    for (const int64_t size : {128, 256, 512}) {
      Scene scene(*store, a_workload(name, size, hash_bytes(name + std::to_string(size))));
      for (int i = 0; i < 12; ++i) {
        const auto what = random.below(4);
        Measurement row = scene.measurement(100.5 + static_cast<double>(random.below(80)),
                                            what == 0   ? Outcome::kCrashed
                                            : what == 1 ? Outcome::kWrongResult
                                                        : Outcome::kOk);
        row.threads = 1 + static_cast<int>(random.below(2));
        row.error = what == 0 ? "signal 11" : "";
        const Recorded recorded =
            scene.record(Scene::trace(static_cast<int>(random.below(9))), row);
        if (random.below(12) == 0) {
          const Id subject = random.below(2) == 0 ? recorded.measurement : recorded.candidate;
          must(store->add(Tag{.subject = subject, .tag = "kept"}));
          tagged.insert(subject);
        }
      }
      run = scene.run;
      if (size == 256) {
        must(store->add(Tag{.subject = scene.run, .tag = "kept"}));
        tagged.insert(scene.run);
      }
    }
  std::map<Id, Workload> workloads;
  must(store->each_workload([&](const Workload& row) {
    workloads[row.id] = row;
    return true;
  }));
  std::vector<Measurement> all;
  must(store->each_measurement([&](const Measurement& row) {
    all.push_back(row);
    return true;
  }));
  ASSERT_FALSE(tagged.empty());
  Asker asker(3, tagged, run);
  size_t some = 0;
  for (int i = 0; i < 400; ++i) {
    const Asked asked = asker.query(3);
    RecordFilter filter;
    filter.query = must(parse_query(asked.text, kNow));
    std::set<Id> found;
    for (const RecordRow& row : must(store->list_records(filter)))
      EXPECT_TRUE(found.insert(row.id).second);
    std::set<Id> expected;
    for (const Measurement& row : all)
      if (asked.holds(row, workloads.at(row.workload)))
        expected.insert(row.id);
    ASSERT_EQ(found, expected) << asked.text;
    const std::vector<Id> ids = must(store->list_record_ids(filter));
    EXPECT_EQ(ids.size(), expected.size()) << asked.text;
    EXPECT_EQ(std::set<Id>(ids.begin(), ids.end()), expected) << asked.text;
    some += !expected.empty() && expected.size() < all.size();
    // A page is a part of it, in the same order, and the bests are among it.
    filter.limit = 5;
    filter.offset = 2;
    EXPECT_EQ(must(store->list_records(filter)).size(),
              std::min<size_t>(5, expected.size() - std::min<size_t>(2, expected.size())));
    filter.limit = filter.offset = 0;
    for (const RecordRow& row : must(store->best(filter)))
      EXPECT_TRUE(expected.contains(row.id)) << asked.text;
  }
  EXPECT_GT(some, 200u) << "most of these queries tell rows apart";
}

TEST(QueryLanguage, APageIsTheSameWhereverItsRowsLie) {
  auto store = memory_store();
  Scene scene(*store);
  constexpr int kRows = 10'500; // more than are looked at first
  std::vector<Id> rare;         // the first rows: beyond those
  must(store->transaction([&]() -> Result<void> {
    for (int i = 0; i < kRows; ++i) {
      Measurement row = scene.measurement(100 + i % 50);
      row.error = i < 200 && i % 50 == 0 ? "odd" : "";
      const Recorded recorded = scene.record(Scene::trace(i % 9), row);
      if (!row.error.empty())
        rare.insert(rare.begin(), recorded.measurement);
    }
    return {};
  }));
  const auto ids = [&](const std::string& text, int64_t limit, int64_t offset) {
    RecordFilter filter;
    filter.query = must(parse_query(text, kNow));
    filter.limit = limit;
    filter.offset = offset;
    std::vector<Id> found;
    for (const RecordRow& row : must(store->list_records(filter)))
      found.push_back(row.id);
    return found;
  };
  EXPECT_EQ(ids("error ~ odd", 3, 0), std::vector<Id>(rare.begin(), rare.begin() + 3));
  EXPECT_EQ(ids("error ~ odd", 50, 2), std::vector<Id>(rare.begin() + 2, rare.end()));
  const std::vector<Id> all = ids("time < 110ns", 0, 0);
  ASSERT_EQ(all.size(), 2100U);
  for (const auto& [limit, offset] : {std::pair(20, 0), std::pair(20, 1995), std::pair(20, 2090)})
    EXPECT_EQ(ids("time < 110ns", limit, offset),
              std::vector<Id>(all.begin() + offset,
                              all.begin() + std::min<int64_t>(offset + limit, 2100)));
}

TEST(QueryLanguage, FindsWordsInTracesAndScripts) {
  auto store = memory_store();
  Workload sums = a_workload("sum");
  sums.program = "def main():\n    T.exp(A)\n";
  Scene scene(*store, sums);
  const auto add = [&](const std::string& program) {
    return scene.record(program, scene.measurement(100)).measurement;
  };
  // Shared skeletons, skeletons stored against a base, and a short text that has none.
  const std::string long_tail(300, 'x');
  const auto trace = [&](const std::string& step, int decision) {
    return R"([[["GetSBlock",[],["B","main"],["b0"]],[")" + step + R"(",["b0"],[")" + long_tail +
           R"("],["v1"]]],[[1,)" + std::to_string(decision) + "]]]";
  };
  const std::set<Id> vectorized{add(trace("Vectorize", 1)), add(trace("Vectorize", 2))};
  const std::set<Id> tiled{add(trace("SamplePerfectTile", 1))};
  const std::set<Id> knobs{add(R"({"block_M":64})")};
  Scene other(*store, a_workload("matmul"));
  const Id parallel = other.record(trace("Parallel", 1), other.measurement(90)).measurement;
  const auto found = [&](const std::string& text) {
    RecordFilter filter;
    filter.query = must(parse_query(text, kNow));
    const std::vector<Id> ids = must(store->list_record_ids(filter));
    return std::set<Id>(ids.begin(), ids.end());
  };
  EXPECT_EQ(found("trace ~ vectorize"), vectorized);
  EXPECT_EQ(found("trace ~ sample_perfect_tile"), tiled);
  EXPECT_EQ(found("trace ~ PerfectTile"), tiled);
  EXPECT_EQ(found("trace ~ block_m"), knobs);
  EXPECT_EQ(found("trace ~ \"*vectorize*b0*\""), vectorized);
  EXPECT_EQ(found("trace ~ unroll"), std::set<Id>());
  EXPECT_EQ(found("trace ~ parallel or trace ~ perfect"), (std::set<Id>{parallel, *tiled.begin()}));
  EXPECT_EQ(found("script ~ t.exp and trace !~ vectorize"),
            (std::set<Id>{*tiled.begin(), *knobs.begin()}));
  EXPECT_EQ(found("script !~ exp"), std::set<Id>{parallel});
  // As everywhere: the best of a selection.
  RecordFilter filter;
  filter.query = must(parse_query("trace ~ parallel", kNow));
  const auto best = must(store->best(filter));
  ASSERT_EQ(best.size(), 1u);
  EXPECT_EQ(best[0].id, parallel);
}

TEST(QuerySelection, IsShownAsItIsTyped) {
  const std::vector<std::string> words = {"query:toolchain ~ \"LLVM 18\" and tag = 'mine'"};
  const auto selections = must(parse_selections(words));
  EXPECT_EQ(selections[0].to_string(), "'query:toolchain ~ \"LLVM 18\" and tag = '\\''mine'\\'''");
}

TEST(QuerySelection, GivesTheBestPerKeyAmongWhatItFinds) {
  auto store = memory_store();
  Scene scene(*store);
  scene.record(Scene::trace(1), scene.measurement(90));
  const Recorded second = scene.record(Scene::trace(2), scene.measurement(100));
  scene.record(Scene::trace(3), scene.measurement(110));
  const std::vector<std::string> words = {"query:workload = matmul and time > 95ns"};
  const auto selections = must(parse_selections(words));
  ASSERT_EQ(selections.size(), 1u);
  const auto rows = must(resolve_selection(*store, selections[0], {}));
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].id, second.measurement);
  EXPECT_EQ(selections[0].to_string(), "'query:workload = matmul and time > 95ns'");
}

TEST(QuerySelection, IsNotHeldToDefaultsThatItSpeaksOf) {
  auto store = memory_store();
  Scene scene(*store);
  Measurement cold = scene.measurement(90);
  cold.regime = TimingRegime::kCold;
  scene.record(Scene::trace(1), cold);
  const RecordFilter here{.environment_class = "cpu:other/8",
                          .regime = TimingRegime::kHot,
                          .current_toolchains = {"t0000000000000000"}};
  const auto find = [&](const std::string& query) {
    const std::vector<std::string> words = {"query:" + query};
    return resolve_selection(*store, must(parse_selection(words)), here);
  };
  EXPECT_EQ(must(find("environment ~ cpu:test and stale and cache = cold")).size(), 1u);
  const auto elsewhere = find("workload = matmul");
  ASSERT_FALSE(elsewhere);
  EXPECT_THAT(elsewhere.error().message, HasSubstr("there are some from cpu:test/2"));
}

TEST(QuerySelection, TakesNoParametersBehindIt) {
  const std::vector<std::string> words = {"query:stale", "M=512"};
  const auto selection = parse_selection(words);
  ASSERT_FALSE(selection);
  EXPECT_THAT(selection.error().message, HasSubstr("write it into the query, as and M=512"));
}

} // namespace
} // namespace temper::database
