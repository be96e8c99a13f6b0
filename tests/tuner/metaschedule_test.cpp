// MetaSchedule's database, as TVM wrote it (tests/interop/make_metaschedule.py) and with lines
// broken.
#include "tuner/metaschedule.h"

#include "database/sqlite_store.h"
#include "ir/support/text.h"
#include "tests/support/shelf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

namespace temper::tuner {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kStored = TEMPER_SOURCE_DIR "/tests/tuner/data/metaschedule";

class MetaSchedule : public ::testing::Test {
protected:
  void SetUp() override {
    std::string made = (fs::temp_directory_path() / "temper-metaschedule-XXXXXX").string();
    ASSERT_NE(::mkdtemp(made.data()), nullptr);
    folder_ = made;
    fs::create_directory(path("small"));
    for (const char* file : {kMetaScheduleWorkloads, kMetaScheduleRecords})
      fs::copy_file(kStored + "/" + file, path("small/") + file);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  MetaScheduleImport import() {
    Workbench bench({.database = path("temper.db")});
    auto read = import_metaschedule(bench, path("small"), folder_);
    EXPECT_TRUE(read) << (read ? "" : read.error().to_string());
    return read ? *std::move(read) : MetaScheduleImport();
  }
  void change_records(const std::function<void(std::vector<std::string>&)>& change) {
    const std::string file = path("small/") + kMetaScheduleRecords;
    std::vector<std::string> lines = split_text(*read_file(file), '\n');
    while (!lines.empty() && lines.back().empty())
      lines.pop_back();
    change(lines);
    ASSERT_TRUE(write_file(file, join(lines, "\n") + "\n"));
  }

private:
  std::string folder_;
};

TEST_F(MetaSchedule, BecomesWorkloadFilesAndRecords) {
  const MetaScheduleImport read = import();
  EXPECT_THAT(read.problems, ElementsAre());
  ASSERT_EQ(read.workloads.size(), 2U);
  EXPECT_EQ(read.workloads[0].name, path("small_0.py:small_0"));
  EXPECT_EQ(read.workloads[0].records, 3);
  EXPECT_EQ(read.workloads[0].failed, 1);
  EXPECT_DOUBLE_EQ(read.workloads[0].best_ns, 19'500.0);
  EXPECT_EQ(read.workloads[1].records, 2);

  Workbench bench({.database = path("temper.db")});
  const auto row = (*bench.store())->measurement(read.workloads[0].best);
  ASSERT_TRUE(row) << row.error().to_string();
  EXPECT_EQ(row->threads, 2);
  EXPECT_TRUE(row->unchecked);
  EXPECT_EQ(row->target, "cpu:skylake-avx512");
  EXPECT_EQ(row->environment_class, "metaschedule cpu:skylake-avx512/2");
  // The program compiles here and is the workload's own.
  const auto workload = (*bench.store())->workload(row->workload);
  ASSERT_TRUE(workload);
  const auto task = bench.task(*workload);
  ASSERT_TRUE(task) << task.error().to_string();
  EXPECT_TRUE(task->reference);
  EXPECT_EQ(task->flops, 32 * 48 * 16 * 2 + 32 * 48); // as MetaSchedule counts them
  const auto candidate = (*bench.store())->candidate(row->candidate);
  ASSERT_TRUE(candidate);
  EXPECT_TRUE(bench.compile(*task, candidate->program));
}

TEST_F(MetaSchedule, AnotherTimeIsNothingNew) {
  const int64_t all = import().added;
  EXPECT_EQ(all, 5);
  EXPECT_EQ(import().added, 0);
}

TEST_F(MetaSchedule, IsWrittenAsItWasRead) {
  const MetaScheduleImport read = import();
  Workbench bench({.database = path("temper.db")});
  std::vector<database::Id> workloads;
  for (const auto& workload : read.workloads)
    workloads.push_back(workload.id);
  const auto written = export_metaschedule(**bench.store(), workloads, path("again"));
  ASSERT_TRUE(written) << written.error().to_string();
  EXPECT_EQ(written->workloads, 2);
  EXPECT_EQ(written->records, 5);
  EXPECT_THAT(written->problems, ElementsAre());

  fs::remove(path("small_0.py"));
  fs::remove(path("small_1.py"));
  Workbench other({.database = path("other.db")});
  fs::rename(path("small"), path("first"));
  fs::rename(path("again"), path("small"));
  const auto again = import_metaschedule(other, path("small"), path(""));
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_THAT(again->problems, ElementsAre());
  ASSERT_EQ(again->workloads.size(), 2U);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(again->workloads[i].id, read.workloads[i].id);
    EXPECT_EQ(again->workloads[i].records, read.workloads[i].records);
    EXPECT_EQ(again->workloads[i].failed, read.workloads[i].failed);
    EXPECT_NEAR(again->workloads[i].best_ns, read.workloads[i].best_ns, 0.01);
  }
  const auto first = (*bench.store())->measurement(read.workloads[0].best);
  const auto second = (*other.store())->measurement(again->workloads[0].best);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(second->target, first->target);
  EXPECT_EQ(second->environment_class, first->environment_class);
  EXPECT_EQ(second->candidate, first->candidate);
}

TEST_F(MetaSchedule, IsNotWrittenOverAnother) {
  const MetaScheduleImport read = import();
  Workbench bench({.database = path("temper.db")});
  const auto over = export_metaschedule(**bench.store(), {read.workloads[0].id}, path("small"));
  ASSERT_FALSE(over);
  EXPECT_THAT(over.error().message, HasSubstr("name another folder"));
  const auto nothing = export_metaschedule(**bench.store(), {}, path("none"));
  ASSERT_FALSE(nothing);
  EXPECT_THAT(nothing.error().message, HasSubstr("no records"));
}

TEST_F(MetaSchedule, IsWrittenWithNumbersOfOneMachine) {
  testing::Shelf shelf;
  const std::string program = R"(@T.prim_func(s_tir=True)
def main(A: T.Buffer((64,), "float32"), B: T.Buffer((64,), "float32")):
    for i in range(64):
        with T.sblock("B"):
            vi = T.axis.spatial(64, i)
            B[vi] = A[vi] + T.float32(1)
)";
  const std::string confirmed = R"([[["GetSBlock",[],["B","main"],["b0"]]],[]])";
  const std::string lucky = R"([[["GetSBlock",[],["B","main"],["b7"]]],[]])";
  shelf.add(shelf.place("attic", "LLVM 19"),
            {.ns = 50, .samples = 0, .program_text = program, .trace = confirmed});
  const auto row = shelf.add(shelf.place("cellar", "LLVM 19"), {.ns = 100,
                                                                .samples = 0,
                                                                .program_text = program,
                                                                .earlier = {{lucky, 90}},
                                                                .confirmations_ns = {120, 110},
                                                                .trace = confirmed});
  const auto written = export_metaschedule(*shelf.store, {row.workload}, path("ours"));
  ASSERT_TRUE(written) << written.error().to_string();
  EXPECT_EQ(written->records, 1);
  EXPECT_THAT(written->problems, ElementsAre(HasSubstr("cpu:attic/2"), HasSubstr("not confirmed")));
  const auto text = read_file(path("ours/") + kMetaScheduleRecords);
  ASSERT_TRUE(text);
  EXPECT_THAT(*text, HasSubstr("[1.1"));
}

TEST_F(MetaSchedule, MakesTheFolderOfItsWorkloadFiles) {
  Workbench bench({.database = path("temper.db")});
  const auto read = import_metaschedule(bench, path("small"), path("new/folder"));
  ASSERT_TRUE(read) << read.error().to_string();
  EXPECT_TRUE(fs::exists(path("new/folder/small_0.py")));
}

TEST_F(MetaSchedule, IsNeverTheBestOfThisMachine) {
  import();
  Workbench bench({.database = path("temper.db")});
  const auto filter = bench.comparable();
  ASSERT_TRUE(filter) << filter.error().to_string();
  const auto best = (*bench.store())->best(*filter);
  ASSERT_TRUE(best);
  EXPECT_TRUE(best->empty());
}

TEST_F(MetaSchedule, BrokenLinesAreNamedAndTheRestIsRead) {
  change_records([](std::vector<std::string>& lines) {
    ASSERT_EQ(lines.size(), 5U);
    std::string unknown = lines[0];
    unknown.replace(unknown.find("\"Reorder\""), 9, "\"Reorderr\"");
    std::string arity = lines[0];
    const std::string split = "[\"GetLoops\",[\"b0\"]";
    arity.replace(arity.find(split), split.size(), "[\"GetLoops\",[]");
    std::string decision = lines[0];
    const size_t decisions = decision.find("]],[[");
    ASSERT_NE(decisions, std::string::npos);
    decision.replace(decisions, 5, "]],[[9999,[1]],[");
    lines.insert(lines.begin() + 1, lines[0].substr(0, lines[0].size() / 2)); // cut off
    lines.insert(lines.begin() + 2, unknown);
    lines.insert(lines.begin() + 3, arity);
    lines.insert(lines.begin() + 4, decision);
    lines.insert(lines.begin() + 5, "[7," + lines[0].substr(3));
    // The other workload's trace.
    lines.insert(lines.begin() + 6, "[1," + lines[0].substr(3));
    lines.push_back("{\"no\": 1}");
  });
  const MetaScheduleImport read = import();
  EXPECT_EQ(read.lines, 12);
  EXPECT_EQ(read.added, 5);
  EXPECT_EQ(read.broken, 7);
  ASSERT_EQ(read.problems.size(), 7U);
  EXPECT_THAT(read.problems[0], HasSubstr("database_tuning_record.json:2: "));
  EXPECT_THAT(read.problems[1], HasSubstr("there is no schedule primitive \"Reorderr\"; did you "
                                          "mean \"Reorder\"?"));
  EXPECT_THAT(read.problems[2], HasSubstr("get_loops: takes 1 inputs, not 0"));
  EXPECT_THAT(read.problems[3], HasSubstr("a decision for instruction 9999"));
  EXPECT_THAT(read.problems[4], HasSubstr("a workload that the other file has not"));
  EXPECT_THAT(read.problems[5], HasSubstr("get_sblock"));
  EXPECT_THAT(read.problems[6], HasSubstr("database_tuning_record.json:12: a record is"));
}

TEST_F(MetaSchedule, AFileThatIsThereIsNotOverwritten) {
  ASSERT_TRUE(write_file(path("small_0.py"), "mine"));
  Workbench bench({.database = path("temper.db")});
  const auto read = import_metaschedule(bench, path("small"), path(""));
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().message, HasSubstr("is there and is something else"));
  EXPECT_EQ(*read_file(path("small_0.py")), "mine");
}

TEST_F(MetaSchedule, AnyChangeOfAWorkloadIsReadOrRefused) {
  // Numbers in the object graph turned into others: an error or another program, never a crash.
  const std::string line = (*read_file(kStored + "/" + kMetaScheduleWorkloads));
  Random random(5);
  for (int round = 0; round < 60; ++round) {
    std::string changed = line;
    for (int i = 0; i < 3; ++i)
      changed[static_cast<size_t>(random.below(static_cast<int64_t>(changed.size())))] =
          static_cast<char>('0' + random.below(10));
    ASSERT_TRUE(write_file(path("small/") + kMetaScheduleWorkloads, changed));
    fs::remove(path("small_0.py"));
    fs::remove(path("small_1.py"));
    Workbench bench({.database = path("temper.db")});
    (void)import_metaschedule(bench, path("small"), path(""));
  }
}

} // namespace
} // namespace temper::tuner
