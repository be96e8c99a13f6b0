/// Our scripts and traces, read by the real TVM: what it prints back must be the same program, and
/// what it makes of a trace must compute the same values. Needs a Python with apache-tvm 0.27: the
/// one that TEMPER_TEST_TVM names, or build/tvm-venv's.
#include "tests/s_tir/random_schedule_cases.h"
#include "tests/support/workload_cases.h"

#include "ir/support/json.h"
#include "ir/support/text.h"
#include "tuner/metaschedule.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace temper::s_tir::testing {
namespace {

namespace fs = std::filesystem;

std::string tvm_python() {
  const char* const named = std::getenv("TEMPER_TEST_TVM");
  return named != nullptr ? named : TEMPER_BUILD_DIR "/tvm-venv/bin/python";
}

bool there_is_tvm() {
  // -I: not from the folder that the tests run in, where ./dev bench leaves a torch of its own.
  return std::system((tvm_python() + " -I -c 'import tvm' > /dev/null 2>&1").c_str()) == 0;
}

/// One answer per case, in order.
Json ask_tvm(const Json& cases) {
  std::string folder = (fs::temp_directory_path() / "temper-interop-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr)
    return {};
  std::ofstream(folder + "/cases.json") << cases.dump();
  const std::string command = tvm_python() + " " TEMPER_SOURCE_DIR "/tests/interop/tvm_peer.py " +
                              folder + "/cases.json " + folder + "/results.json";
  EXPECT_EQ(std::system(command.c_str()), 0);
  const auto text = read_file(folder + "/results.json");
  fs::remove_all(folder);
  if (!text) {
    ADD_FAILURE() << text.error().to_string();
    return {};
  }
  return parse_json(*text).value_or(Json());
}

/// Empty when TVM's text of the program is this program.
std::string difference_of(const Json& answer, const IRModule& module) {
  if (!answer.contains("printed"))
    return "TVM does not read it: " + answer.value("printed_error", "");
  const std::string text = answer["printed"];
  const auto parsed = script::parse_module(text, "tvm");
  if (!parsed)
    return "we do not read what TVM prints: " + parsed.error().to_string() + "\n" + text;
  std::string where;
  if (!structural_equal(*parsed, module, &where))
    return "TVM prints another program: " + where + "\n" + text;
  return {};
}

/// Primitives that TVM has too, in the same form: its tensor intrinsics have other names, and its
/// index maps are Python functions; the parts of a partitioned loop it wraps in blocks, so that the
/// loops around a block are others there.
int in_tvm(const Primitive& primitive) {
  for (const char* other :
       {"pack_ahead", "offset_operand", "convert_operand", "skip_padding", "tensorize",
        "transform_layout", "loop_partition",
        // One range for each axis, not for each dimension.
        "annotate_buffer_access",
        // Of loops that do not divide TVM copies what lies beyond, and cache_index has no block for
        // an index that is one axis.
        "reindex_cache_read", "reindex_cache_write", "read_at", "write_at", "cache_index"})
    if (primitive.python_name == other)
      return 0;
  return 1;
}

int schedules_per_program() {
  const char* const text = std::getenv("TEMPER_INTEROP_SCHEDULES");
  return text != nullptr ? std::atoi(text) : 10;
}

/// Small programs, and every workload with blocks. What packs ahead is ours alone.
std::vector<std::pair<std::string, IRModule>> programs() {
  std::vector<std::pair<std::string, IRModule>> all;
  for (const Case& program : small_programs())
    all.emplace_back(program.name, program.module);
  for (const workload_cases::WorkloadCase& one : workload_cases::kWorkloadCases) {
    if (one.shape.contains("constant"))
      continue;
    const auto workload = workload_cases::workload_of(one);
    EXPECT_TRUE(workload) << (workload ? "" : workload.error().to_string());
    all.emplace_back(one.name, workload->module);
  }
  return all;
}

/// A random schedule of a program, from the program on.
struct Scheduled {
  std::string name; ///< program and seed
  IRModule original;
  Schedule schedule;
};

/// Of every program so many, each of up to `most_steps` steps of which `allowed` (as random_step
/// takes it) may be one; with `allowed` none is without a step.
template <typename... Allowed>
std::vector<Scheduled> random_schedules(int most_steps, Allowed... allowed) {
  std::vector<Scheduled> all;
  for (const auto& [name, module] : programs())
    for (int seed = 0; seed < schedules_per_program(); ++seed) {
      Schedule schedule(module, static_cast<uint64_t>(seed));
      Random random(static_cast<uint64_t>(seed) + 1);
      const int steps = sizeof...(allowed) > 0 ? 1 + seed % most_steps : seed % (most_steps + 1);
      for (int step = 0; step < steps; ++step)
        EXPECT_TRUE(random_step(schedule, random, allowed...));
      all.push_back({name + " " + std::to_string(seed), module, std::move(schedule)});
    }
  return all;
}

TEST(Tvm, ReadsAndPrintsRandomSchedulesAsTheyAre) {
  if (!there_is_tvm())
    GTEST_SKIP() << "no Python with tvm: name one in TEMPER_TEST_TVM";
  const std::vector<Scheduled> schedules = random_schedules(9);
  Json cases = Json::array();
  for (const auto& [name, original, schedule] : schedules)
    cases.push_back({{"name", name}, {"script", script::to_text(schedule.module())}});
  const Json answers = ask_tvm(cases);
  ASSERT_EQ(answers.size(), cases.size());
  for (size_t i = 0; i < cases.size(); ++i)
    EXPECT_EQ(difference_of(answers[i], schedules[i].schedule.module()), "")
        << cases[i]["name"] << "\n"
        << cases[i]["script"].get<std::string>();
}

TEST(Tvm, AppliesOurTracesToTheSameEffect) {
  if (!there_is_tvm())
    GTEST_SKIP() << "no Python with tvm: name one in TEMPER_TEST_TVM";
  const std::vector<Scheduled> schedules = random_schedules(8, in_tvm);
  Json cases = Json::array();
  for (const auto& [name, original, schedule] : schedules)
    cases.push_back({{"name", name},
                     {"script", script::to_text(schedule.module())},
                     {"original", script::to_text(original)},
                     {"trace", schedule.trace().to_python()}});
  const Json answers = ask_tvm(cases);
  ASSERT_EQ(answers.size(), cases.size());
  int equal = 0;
  int refused = 0;
  int broken = 0;    ///< of these: by a fault of its own
  int unguarded = 0; ///< conditions that TVM lost
  for (size_t i = 0; i < cases.size(); ++i) {
    const Json& answer = answers[i];
    const auto& [name, original, schedule] = schedules[i];
    const std::string trace = cases[i]["trace"];
    if (!answer.contains("applied")) {
      // It may be stricter than we are (a buffer with two writers is not cached there), but not
      // misunderstand: a handle or an argument that means something else here is a fault.
      ++refused;
      const std::string error = answer.value("applied_error", "");
      const auto says = [&](const char* words) { return error.find(words) != std::string::npos; };
      // Its own checks that fail (of blockize of several blocks above all) are no answer at all;
      // nor is an index beyond its own arrays, as of reorder_block_iter_var behind such a blockize.
      const bool fails =
          says("InternalError") || (says("IndexError: Index ") && says("out of bounds"));
      broken += fails ? 1 : 0;
      EXPECT_TRUE(fails || says("ScheduleError") || says("Check failed"))
          << name << ": " << error << "\n"
          << trace;
      if (std::getenv("TEMPER_INTEROP_REFUSALS") != nullptr)
        std::fprintf(stderr, "%s: %s\n%s\n", name.c_str(), error.c_str(), trace.c_str());
      continue;
    }
    const std::string text = answer["applied"];
    const auto parsed = script::parse_module(text, "tvm");
    if (!parsed) {
      ADD_FAILURE() << parsed.error().to_string() << "\n" << text;
      continue;
    }
    std::string where;
    if (structural_equal(*parsed, schedule.module(), &where)) {
      ++equal;
      continue;
    }
    if (std::getenv("TEMPER_INTEROP_DIFFERENCES") != nullptr)
      std::fprintf(stderr, "%s differs: %s\n%sours:\n%s\nTVM's:\n%s\n", name.c_str(), where.c_str(),
                   trace.c_str(), script::to_text(schedule.module()).c_str(), text.c_str());
    // Its blockize loses the condition of a loop that does not divide: what follows is beyond
    // arrays.
    const auto conditions = [](const std::string& script) {
      size_t count = 0;
      for (size_t at = 0; (at = script.find("T.where(", at)) != std::string::npos; ++at)
        ++count;
      return count;
    };
    if (conditions(text) < conditions(script::to_text(schedule.module()))) {
      ++unguarded;
      continue;
    }
    const RunResult expected = run_on_integers(original, first_output(original), 1);
    EXPECT_EQ(wrong_values(expected, *parsed), "") << name << "\n" << trace << text;
  }
  const int applied = static_cast<int>(cases.size()) - refused;
  std::fprintf(stderr,
               "of %zu traces TVM applied %d, %d to structurally equal programs; of %d it lost a "
               "condition, and on %d it failed\n",
               cases.size(), applied, equal, unguarded, broken);
  EXPECT_LE(10 * unguarded, applied);
  EXPECT_LE(4 * broken, static_cast<int>(cases.size()));
  EXPECT_GE(10 * applied, 8 * (static_cast<int>(cases.size()) - broken));
  EXPECT_GE(2 * equal, applied); // loops in parts, and blockize's inner axes, have another form
}

/// A tiling sampled of a symbolic extent is the same one there: its outermost factor None.
TEST(Tvm, LeavesFactorsOfSymbolicExtentsOpenAsWeDo) {
  if (!there_is_tvm())
    GTEST_SKIP() << "no Python with tvm: name one in TEMPER_TEST_TVM";
  const auto module = script::parse_module(R"(
m = TypeVar("m")

@T.prim_func(s_tir=True)
def main(A: T.Buffer((m, 8), "float32"), B: T.Buffer((m, 8), "float32")):
    for i, j in T.grid(m, 8):
        with T.sblock("B"):
            vi, vj = T.axis.remap("SS", [i, j])
            B[vi, vj] = A[vi, vj] * T.float32(2)
)");
  ASSERT_TRUE(module) << module.error().to_string();
  Schedule schedule(*module);
  const auto block = schedule.get_sblock("B");
  ASSERT_TRUE(block);
  const auto loops = schedule.get_loops(*block);
  ASSERT_TRUE(loops);
  const auto factors = schedule.sample_perfect_tile(loops->at(0), 3);
  ASSERT_TRUE(factors) << factors.error().to_string();
  ASSERT_TRUE(schedule.split(loops->at(0), {factors->begin(), factors->end()}));
  const Json answers = ask_tvm(Json::array({{{"name", "symbolic"},
                                             {"script", script::to_text(schedule.module())},
                                             {"original", script::to_text(*module)},
                                             {"trace", schedule.trace().to_python()}}}));
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(difference_of(answers[0], schedule.module()), "");
  ASSERT_TRUE(answers[0].contains("applied")) << answers[0].dump(1);
  const auto applied = script::parse_module(answers[0]["applied"].get<std::string>(), "tvm");
  ASSERT_TRUE(applied) << applied.error().to_string();
  std::string where;
  EXPECT_TRUE(structural_equal(*applied, schedule.module(), &where)) << where;
}

/// What we read of MetaSchedule's and write again is for MetaSchedule the same.
TEST(Tvm, ReadsTheDatabaseThatWeWrite) {
  if (!there_is_tvm())
    GTEST_SKIP() << "no Python with tvm: name one in TEMPER_TEST_TVM";
  std::string folder = (fs::temp_directory_path() / "temper-interop-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const std::string stored = TEMPER_SOURCE_DIR "/tests/tuner/data/metaschedule";
  tuner::Workbench bench({.database = folder + "/temper.db"});
  const auto read = tuner::import_metaschedule(bench, stored, folder);
  ASSERT_TRUE(read) << read.error().to_string();
  std::vector<database::Id> workloads;
  for (const auto& workload : read->workloads)
    workloads.push_back(workload.id);
  const auto written = tuner::export_metaschedule(**bench.store(), workloads, folder + "/written");
  ASSERT_TRUE(written) << written.error().to_string();
  EXPECT_EQ(written->records, 5);
  const Json answers =
      ask_tvm(Json::array({Json{{"name", "stored"}, {"database", stored}},
                           Json{{"name", "written"}, {"database", folder + "/written"}}}));
  fs::remove_all(folder);
  ASSERT_EQ(answers.size(), 2U);
  for (const Json& answer : answers)
    ASSERT_TRUE(answer.contains("records")) << answer.dump(1);
  // In order of their times within a workload, and of workloads as they please.
  const auto sorted = [](const Json& records) {
    std::vector<std::string> texts;
    for (const Json& record : records) {
      std::string seconds;
      for (const Json& value : record["seconds"])
        seconds += fmt::format(" {:.4g}", value.get<double>());
      texts.push_back(record["original"].get<std::string>() +
                      record["scheduled"].get<std::string>() + record["target"].get<std::string>() +
                      seconds);
    }
    std::sort(texts.begin(), texts.end());
    return texts;
  };
  EXPECT_EQ(sorted(answers[1]["records"]), sorted(answers[0]["records"]));
}

} // namespace
} // namespace temper::s_tir::testing
