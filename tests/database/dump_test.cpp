// Dump and import: all of it, twice, cut, broken, newer.
#include "database/dump.h"
#include "tests/database/fixture.h"

#include <cmath>
#include <gmock/gmock.h>
#include <sqlite3.h>
#include <sstream>

namespace temper::database {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// A store with a row of every kind, with every field set, and awkward values.
void fill(Store& store) {
  Scene scene(store);
  must(store.add(a_workload("same_program", 512, hash_bytes("matmul"))));
  Workload odd = a_workload("odd \"name\"\n");
  odd.flops = kUnknown;
  odd.unchecked = true;
  odd.binding_json = "{}";
  must(store.add(odd));
  must(store.add(Space{.workload = scene.workload, .maker = "s-tir", .hash = 3, .json = "[1.0]"}));
  Measurement row = scene.measurement(1234.5678);
  row.samples_ns = {1.5f, 1e30f, 0.1f};
  row.regime = TimingRegime::kCold;
  row.purpose = Purpose::kConfirm;
  row.threads = 3;
  row.inputs = "int(0, M)";
  row.gaps_dropped = 2;
  row.compile_ms = 0.1;
  row.measure_ms = 1e-3;
  row.predicted_score = -0.25;
  row.anchor_drift = 0.02;
  row.unchecked = true;
  row.code_hash = ~0ULL;
  row.timing_json = "{\"flagged\":true}";
  row.facts_json = "{\"a\": 1}"; // a blank: kept as text
  row.counters_json = "{\"cycles\":1e3}";
  const Recorded recorded = scene.record(Scene::trace(1), row);
  Measurement wrong = scene.measurement(0, Outcome::kWrongResult);
  wrong.error = "output 0 differs: \xe2\x82\xac \"quoted\" \\ \t";
  wrong.worst_json = "{\"index\":[0,1]}";
  wrong.log = "the kernel wrote:\n\"quoted\"";
  scene.record("not json at all", wrong);
  must(store.add(Artifact{.candidate = recorded.candidate,
                          .toolchain = scene.toolchain,
                          .target = "cpu:test",
                          .code_hash = 9,
                          .code = std::string("\0\x7f\xff", 3),
                          .object = "",
                          .json = "{\"entry\":\"f\"}"}));
  must(store.add(Model{.run = scene.run, .kind = "xgboost", .trials_seen = 5, .blob = "\x80"}));
  must(store.add(ModelQuality{.run = scene.run, .batch = 0, .rank_correlation = 0.5, .top_k = 4}));
  must(store.add(Event{.run = scene.run, .kind = "probe", .json = "{\"ok\":true}"}));
  must(store.add(Note{.subject = scene.run, .text = "a note", .author = "me"}));
  must(store.add(Tag{.subject = recorded.measurement, .tag = "kept"}));
  must(store.release_run(scene.claim, RunState::kPaused, "asked to"));
}

std::string dump_of(Store& store, const DumpOptions& options = {}) {
  std::ostringstream out;
  must(dump(store, out, options));
  return out.str();
}

/// Without the first line, which has the time.
std::string body(const std::string& text) { return text.substr(text.find('\n') + 1); }

ImportSummary import_text(Store& store, const std::string& text, bool partial = false) {
  std::istringstream in(text);
  return must(import_dump(store, in, "t.jsonl", {.partial = partial}));
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);)
    lines.push_back(line);
  return lines;
}

TEST(Dump, IsReadBackIntoAnEqualDatabase) {
  FakeSystem system;
  auto first = memory_store(&system);
  fill(*first);
  const std::string text = dump_of(*first);
  for (const auto& [kind, count] : must(first->row_counts()))
    EXPECT_GT(count, 0) << kind << " is not tried";
  auto second = memory_store(&system);
  const ImportSummary summary = import_text(*second, text);
  EXPECT_THAT(summary.problems, IsEmpty());
  EXPECT_FALSE(summary.truncated);
  EXPECT_EQ(summary.added, must(first->row_counts()));
  EXPECT_EQ(body(dump_of(*second)), body(text));
  EXPECT_EQ(must(second->best({.workload_name = "same_program"})).size(), 1u);
  must(second->check_integrity());
}

/// Every table as text, row by row, all columns but the owner's claim, which stays behind.
std::map<std::string, std::vector<std::string>> tables_of(const std::filesystem::path& path) {
  sqlite3* db = nullptr;
  EXPECT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
  const auto rows = [&](const std::string& text) {
    std::vector<std::string> lines;
    sqlite3_stmt* statement = nullptr;
    EXPECT_EQ(sqlite3_prepare_v2(db, text.c_str(), -1, &statement, nullptr), SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
      std::string line;
      for (int i = 0; i < sqlite3_column_count(statement); ++i) {
        const std::string name = sqlite3_column_name(statement, i);
        const auto* value = reinterpret_cast<const char*>(sqlite3_column_text(statement, i));
        if (name != "claim")
          line += (i > 0 ? ", " : "") + name + "=" + (value ? value : "NULL");
      }
      lines.push_back(line);
    }
    sqlite3_finalize(statement);
    return lines;
  };
  std::map<std::string, std::vector<std::string>> tables;
  for (const std::string& line : rows("SELECT name FROM sqlite_master WHERE type = 'table'"))
    tables[line] = rows("SELECT * FROM " + line.substr(5) + " ORDER BY 1, 2");
  sqlite3_close(db);
  return tables;
}

TEST(Dump, ForgetsNoColumnOfAnyTable) {
  Folder folder;
  FakeSystem system;
  {
    auto first = must(open_sqlite_store({.path = folder / "a.db", .system = &system}));
    fill(*first);
    auto second = must(open_sqlite_store({.path = folder / "b.db", .system = &system}));
    import_text(*second, dump_of(*first));
  }
  const auto a = tables_of(folder / "a.db");
  const auto b = tables_of(folder / "b.db");
  ASSERT_GE(a.size(), 16u);
  for (const auto& [table, rows] : a)
    EXPECT_EQ(b.at(table), rows) << table;
}

TEST(Dump, ImportedAgainChangesNothing) {
  FakeSystem system;
  auto first = memory_store(&system);
  fill(*first);
  const std::string text = dump_of(*first);
  auto second = memory_store(&system);
  import_text(*second, text);
  for (int i = 0; i < 3; ++i) {
    const ImportSummary again = import_text(*second, text);
    EXPECT_THAT(again.added, IsEmpty());
    EXPECT_EQ(again.rows.at("measurement"), 2);
  }
  EXPECT_EQ(body(dump_of(*second)), body(text));
  import_text(*first, text);
  EXPECT_EQ(body(dump_of(*first)), body(text)) << "into the database it came from";
}

TEST(Dump, TakesTheLaterProgressOfARun) {
  FakeSystem system;
  auto first = memory_store(&system);
  Scene scene(*first);
  scene.record(Scene::trace(1), scene.measurement(10));
  const std::string early = dump_of(*first);
  scene.record(Scene::trace(2), scene.measurement(20));
  must(first->release_run(scene.claim, RunState::kFinished, "done"));
  const std::string late = dump_of(*first);
  for (const auto& order : {std::vector{early, late}, std::vector{late, early}}) {
    auto second = memory_store(&system);
    for (const std::string& text : order)
      import_text(*second, text);
    EXPECT_EQ(must(second->run(scene.run)).state, RunState::kFinished);
    EXPECT_EQ(must(second->run(scene.run)).trials, 2);
    EXPECT_EQ(must(second->convergence(scene.run)).size(), 2u);
  }
}

TEST(Dump, BringsBackARunThatAColleagueFinished) {
  FakeSystem mine;
  auto store = memory_store(&mine);
  Scene scene(*store);
  scene.record(Scene::trace(1), scene.measurement(10));
  mine.gone[100] = true; // killed, still holding its claim

  FakeSystem theirs;
  theirs.now = mine.now + 1'000'000'000;
  theirs.self = {"there", "there boot", 7, 1};
  auto other = memory_store(&theirs);
  import_text(*other, dump_of(*store));
  theirs.now += 2 * kHeartbeatTimeoutNs;
  const RunClaim claim = must(other->claim_run(scene.run));
  must(other->record(claim, {{.program = Scene::trace(2)}, scene.measurement(5)}, {.trials = 2}));
  must(other->release_run(claim, RunState::kFinished, "done"));
  must(other->set_budget(scene.run, 2000, 0));

  import_text(*store, dump_of(*other));
  EXPECT_EQ(must(store->run(scene.run)).state, RunState::kFinished);
  EXPECT_EQ(must(store->run(scene.run)).trials, 2);
  EXPECT_EQ(must(store->run(scene.run)).budget_trials, 2000);
  EXPECT_EQ(must(store->best({})).at(0).median_ns, 5);
}

TEST(Dump, NeverTakesARunFromItsOwner) {
  FakeSystem system;
  auto store = memory_store(&system);
  Scene scene(*store);
  const std::string text = dump_of(*store);
  std::string altered = text;
  const size_t at = altered.find("\"updated_at\":") + 13;
  altered.replace(at, 2, "99"); // far in the future
  import_text(*store, altered);
  ASSERT_OK(store->heartbeat(scene.claim));
}

TEST(Dump, OfOneWorkloadHasWhatBelongsToIt) {
  FakeSystem system;
  auto store = memory_store(&system);
  fill(*store);
  Scene other(*store, a_workload("softmax"));
  other.record(Scene::trace(7), other.measurement(5));
  must(store->add(Tag{.subject = other.run, .tag = "other"}));
  auto second = memory_store(&system);
  const ImportSummary summary =
      import_text(*second, dump_of(*store, {.workloads = {other.workload}}));
  EXPECT_THAT(summary.problems, IsEmpty());
  const auto counts = must(second->row_counts());
  EXPECT_EQ(counts.at("workload"), 1);
  EXPECT_EQ(counts.at("run"), 1);
  EXPECT_EQ(counts.at("measurement"), 1);
  EXPECT_EQ(counts.at("tag"), 1);
  EXPECT_EQ(counts.at("artifact"), 0);
  EXPECT_EQ(must(second->best({})).at(0).median_ns, 5);
}

TEST(Dump, MayLeaveOutTheBigThings) {
  auto store = memory_store();
  fill(*store);
  const std::string text = dump_of(*store, {.artifacts = false, .models = false});
  EXPECT_THAT(text, Not(HasSubstr("\"row\":\"artifact\"")));
  EXPECT_THAT(text, Not(HasSubstr("\"row\":\"model\"")));
  EXPECT_THAT(text, HasSubstr("\"row\":\"model_quality\""));
}

TEST(Import, OfADumpThatWasCutTakesWhatIsComplete) {
  FakeSystem system;
  auto first = memory_store(&system);
  fill(*first);
  const std::string text = dump_of(*first);
  const auto lines = lines_of(text);
  // In the middle of each line in turn.
  size_t start = lines[0].size() + 1;
  for (size_t i = 1; i + 1 < lines.size(); ++i) {
    auto second = memory_store(&system);
    const ImportSummary summary =
        import_text(*second, text.substr(0, start + lines[i].size() / 2), true);
    EXPECT_TRUE(summary.truncated);
    ASSERT_EQ(summary.problems.size(), 1u);
    EXPECT_THAT(summary.problems[0], HasSubstr("'t.jsonl' line " + std::to_string(i + 1) + " "));
    int64_t rows = 0;
    for (const auto& [kind, count] : summary.rows)
      rows += count;
    EXPECT_EQ(rows, static_cast<int64_t>(i) - 1);
    start += lines[i].size() + 1;
  }
  // Between two lines: nothing is broken, but the end is missing.
  auto second = memory_store(&system);
  const ImportSummary summary = import_text(*second, text.substr(0, start), true);
  EXPECT_THAT(summary.problems, IsEmpty());
  EXPECT_TRUE(summary.truncated);
  // The whole one heals it.
  import_text(*second, text);
  EXPECT_EQ(body(dump_of(*second)), body(text));
}

TEST(Import, OfADumpThatWasCutTakesNothingUnlessAsked) {
  FakeSystem system;
  auto first = memory_store(&system);
  fill(*first);
  const std::string text = dump_of(*first);
  const auto lines = lines_of(text);
  auto second = memory_store(&system);
  const auto refusal = [&](const std::string& cut) {
    std::istringstream in(cut);
    const auto result = import_dump(*second, in, "t.jsonl");
    for (const auto& [kind, count] : must(second->row_counts()))
      EXPECT_EQ(count, 0) << kind;
    return result ? "accepted" : result.error().message;
  };
  size_t start = lines[0].size() + 1;
  for (size_t i = 1; i < lines.size(); ++i) {
    EXPECT_THAT(refusal(text.substr(0, start + lines[i].size() / 2)),
                HasSubstr("'t.jsonl' is cut off in line " + std::to_string(i + 1) + ";"));
    EXPECT_THAT(refusal(text.substr(0, start)),
                HasSubstr("'t.jsonl' is cut off after line " + std::to_string(i) + ";"));
    start += lines[i].size() + 1;
  }
  // Lines that went missing in between are counted.
  std::string shorter;
  for (size_t i = 0; i < lines.size(); ++i)
    if (i != 3)
      shorter += lines[i] + "\n";
  EXPECT_THAT(refusal(shorter), HasSubstr("lacks lines"));
  // The last newline is no part of it.
  import_text(*second, text.substr(0, text.size() - 1));
  EXPECT_EQ(body(dump_of(*second)), body(text));
}

TEST(Import, NamesEachBrokenLineAndTakesTheOthers) {
  FakeSystem system;
  auto first = memory_store(&system);
  Scene scene(*first);
  for (int i = 0; i < 5; ++i)
    scene.record(Scene::trace(i), scene.measurement(i + 1));
  auto lines = lines_of(dump_of(*first));
  const auto replace = [&](const std::string& row, const std::string& from, const std::string& to) {
    for (size_t i = 0; i < lines.size(); ++i)
      if (lines[i].find("\"row\":\"" + row + "\"") != std::string::npos &&
          lines[i].find(from) != std::string::npos) {
        lines[i].replace(lines[i].find(from), from.size(), to);
        return i + 1;
      }
    ADD_FAILURE() << from << " is not there";
    return size_t{0};
  };
  const size_t a = replace("measurement", "\"outcome\":\"ok\"", "\"outcome\":\"fine\"");
  const size_t b = replace("measurement", "\"outcome\":\"ok\"", "\"outcome\":5");
  const size_t c = replace("measurement", "\"median_ns\":4", "\"median_ns\":\"4\"");
  const size_t d = replace("candidate", "\"row\":\"candidate\"", "\"row\":\"kandidat\"");
  std::string text;
  for (const std::string& line : lines)
    text += line + "\n";
  auto second = memory_store(&system);
  const ImportSummary summary = import_text(*second, text);
  EXPECT_FALSE(summary.truncated);
  const auto line = [](size_t number) { return "line " + std::to_string(number) + " "; };
  ASSERT_GE(summary.problems.size(), 4u);
  EXPECT_THAT(summary.problems, testing::Contains(testing::AllOf(
                                    HasSubstr(line(a)), HasSubstr("'fine' is no outcome"))));
  EXPECT_THAT(summary.problems, testing::Contains(testing::AllOf(
                                    HasSubstr(line(b)), HasSubstr("'outcome' should be text"))));
  EXPECT_THAT(summary.problems,
              testing::Contains(
                  testing::AllOf(HasSubstr(line(c)), HasSubstr("'median_ns' should be a number"))));
  EXPECT_THAT(summary.problems,
              testing::Contains(testing::AllOf(HasSubstr(line(d)), HasSubstr("'kandidat'"))));
  // The candidate that is missing takes its measurement along, unless that is broken itself.
  const auto counts = must(second->row_counts());
  EXPECT_EQ(counts.at("candidate"), 4);
  EXPECT_EQ(counts.at("measurement") + static_cast<int64_t>(summary.problems.size()), 6);
  must(second->check_integrity());
}

TEST(Import, RefusesWhatIsNoDumpAndWhatIsNewer) {
  auto store = memory_store();
  const std::tuple<const char*, ErrorCode, const char*> cases[] = {
      {"", ErrorCode::kCorrupt, "is empty"},
      {"hello\nworld\n", ErrorCode::kCorrupt, "is no dump of temper"},
      {"[1,2]\n", ErrorCode::kCorrupt, "is no dump of temper"},
      {"{\"schema\":\"temper.list/1\"}\n", ErrorCode::kCorrupt, "is no dump of temper"},
      {"{\"schema\":\"temper.dump/2\"}\n", ErrorCode::kCorrupt, "newer version of temper"},
  };
  for (const auto& [text, code, sentence] : cases) {
    std::istringstream in(text);
    const auto result = import_dump(*store, in, "t.jsonl");
    ASSERT_FALSE(result) << text;
    EXPECT_EQ(result.error().code, code) << text;
    EXPECT_THAT(result.error().message, HasSubstr(sentence)) << text;
    EXPECT_THAT(result.error().message, HasSubstr("t.jsonl")) << text;
  }
}

TEST(Import, StopsWhenTheDiskIsFull) {
  FakeSystem system;
  auto first = memory_store(&system);
  Scene scene(*first);
  Measurement row = scene.measurement(1);
  row.samples_ns.assign(500, 1.0f);
  for (int i = 0; i < 300; ++i)
    scene.record(Scene::trace(i), row);
  Folder folder;
  auto second = must(open_sqlite_store({.path = folder / "t.db", .max_bytes = 300'000}));
  std::istringstream in(dump_of(*first));
  const auto result = import_dump(*second, in, "t.jsonl");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kEnvironment);
  EXPECT_THAT(result.error().message, HasSubstr("full"));
  must(second->check_integrity());
}

TEST(Dump, SaysWhenItCannotBeWritten) {
  auto store = memory_store();
  fill(*store);
  std::ostringstream out;
  out.setstate(std::ios::badbit);
  const auto result = dump(*store, out);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kEnvironment);
}

} // namespace
} // namespace temper::database
