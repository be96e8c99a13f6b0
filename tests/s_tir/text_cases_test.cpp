// Schedule primitives as text: each file of cases/ has cases "program, trace, what comes out",
// where what comes out is the program after the trace, which must compute the same, or the sentence
// of the refusal. TEMPER_UPDATE_GOLDEN=1 rewrites what comes out; the difference is to be read.
//
//   == a case's name
//   -- program
//   @T.prim_func(s_tir=True)
//   def main(...): ...
//   -- trace
//   b0 = sch.get_sblock(name="C", func_name="main")
//   -- after                                         or "-- refused"
//   ...
//
// A case without a program has that of the case before it.
#include "ir/s_tir/schedule.h"
#include "ir/s_tir/trace_json.h"
#include "ir/script/parser.h"
#include "ir/script/printer.h"
#include "ir/script/schedule_errors.h"
#include "ir/structural.h"
#include "ir/support/text.h"
#include "ir/verify.h"
#include "tests/support/run_program.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>

namespace temper::s_tir {
namespace {

namespace fs = std::filesystem;

struct TextCase {
  std::string name;
  std::string program; ///< empty: the one before
  std::string trace;
  bool refused = false;
  std::string result;
};

std::vector<TextCase> read_cases(const std::string& text) {
  std::vector<TextCase> cases;
  std::string* section = nullptr;
  for (const std::string& line : split_text(text, '\n')) {
    if (line.starts_with("== ")) {
      cases.push_back({.name = line.substr(3)});
      section = nullptr;
    } else if (line == "-- program") {
      section = &cases.back().program;
    } else if (line == "-- trace") {
      section = &cases.back().trace;
    } else if (line == "-- after" || line == "-- refused") {
      section = &cases.back().result;
      cases.back().refused = line == "-- refused";
    } else if (section != nullptr) {
      *section += line + "\n";
    }
  }
  for (TextCase& item : cases)
    for (std::string* part : {&item.program, &item.trace, &item.result})
      *part = std::string(trim(*part));
  return cases;
}

std::string write_cases(const std::vector<TextCase>& cases) {
  std::string text;
  for (const TextCase& item : cases) {
    text += (text.empty() ? "== " : "\n== ") + item.name + "\n";
    if (!item.program.empty())
      text += "-- program\n" + item.program + "\n";
    text += "-- trace\n" + item.trace + "\n";
    text += std::string(item.refused ? "-- refused\n" : "-- after\n") + item.result + "\n";
  }
  return text;
}

std::vector<std::string> case_files() {
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(TEMPER_SOURCE_DIR "/tests/s_tir/cases"))
    files.push_back(entry.path().string());
  std::sort(files.begin(), files.end());
  return files;
}

/// What comes out of a case; checks everything but the text.
void run_case(const IRModule& program, TextCase& item) {
  const auto trace = Trace::from_python(item.trace);
  ASSERT_TRUE(trace) << trace.error().to_string();
  Schedule schedule(program);
  if (const auto applied = schedule.apply(*trace); !applied) {
    item.refused = true;
    item.result = Result<void>(applied).error().message;
    return;
  }
  item.refused = false;
  item.result = std::string(trim(script::to_text(schedule.module())));
  const size_t outputs = first_output(program);
  const RunResult expected = run_on_integers(program, outputs, 7);
  ASSERT_EQ(expected.error, "");
  for (const ParallelOrder order : {ParallelOrder::kReverse, ParallelOrder::kRandom})
    EXPECT_EQ(difference(expected, run_on_integers(schedule.module(), outputs, 7, order), 1e-3), "")
        << item.result;
  const auto parsed = script::parse_module(item.result);
  ASSERT_TRUE(parsed) << parsed.error().to_string() << "\n" << item.result;
  std::string where;
  EXPECT_TRUE(structural_equal(*parsed, schedule.module(), &where)) << where << "\n" << item.result;
  if (item.trace.find("unsafe_hide") == std::string::npos) {
    const auto good = verify(schedule.module());
    EXPECT_TRUE(good) << good.error().to_string() << "\n" << item.result;
  }
  const auto from_json = trace_from_json_text(trace_to_json_text(schedule.trace()));
  ASSERT_TRUE(from_json) << from_json.error().to_string();
  EXPECT_TRUE(*from_json == schedule.trace());
  const auto from_python = Trace::from_python(schedule.trace().to_python());
  ASSERT_TRUE(from_python) << from_python.error().to_string();
  EXPECT_TRUE(*from_python == schedule.trace());
}

TEST(PrimitivesAsText, GiveThePrograms) {
  const bool update = std::getenv("TEMPER_UPDATE_GOLDEN") != nullptr;
  for (const std::string& file : case_files()) {
    const auto text = read_file(file);
    ASSERT_TRUE(text) << text.error().to_string();
    std::vector<TextCase> cases = read_cases(*text);
    std::string program;
    for (TextCase& item : cases) {
      SCOPED_TRACE(fs::path(file).filename().string() + ": " + item.name);
      if (!item.program.empty())
        program = item.program;
      const auto module = script::parse_module(program, file);
      ASSERT_TRUE(module) << module.error().to_string();
      const TextCase before = item;
      run_case(*module, item);
      if (update)
        continue;
      EXPECT_EQ(item.refused, before.refused) << item.result;
      EXPECT_EQ(item.result, before.result);
    }
    if (update) {
      ASSERT_TRUE(write_file(file, write_cases(cases)));
    }
  }
}

TEST(PrimitivesAsText, HaveEachARefusalThatShowsTheProgram) {
  script::render_schedule_errors();
  std::set<std::string> refused;
  for (const std::string& file : case_files()) {
    const std::string text = *read_file(file);
    std::string program;
    for (TextCase& item : read_cases(text)) {
      if (!item.program.empty())
        program = item.program;
      if (!item.refused)
        continue;
      Schedule schedule(*script::parse_module(program, file));
      const auto applied = schedule.apply(*Trace::from_python(item.trace));
      ASSERT_FALSE(applied) << item.name << " in " << file;
      const Error error = Result<void>(applied).error();
      // A decision is wrong by itself, and what is gone has no place.
      if (error.code == ErrorCode::kIllegal &&
          error.message.find("decision") == std::string::npos &&
          error.message.find(" is gone") == std::string::npos) {
        EXPECT_NE(error.to_string().find("T.sblock"), std::string::npos) << item.name << "\n"
                                                                         << error.to_string();
      }
      const size_t dot = item.trace.rfind("sch.");
      refused.insert(item.trace.substr(dot + 4, item.trace.find('(', dot) - dot - 4));
    }
  }
  for (const char* name : {"add_unit_loop",
                           "annotate_buffer_access",
                           "bind",
                           "blockize",
                           "cache_index",
                           "cache_inplace",
                           "decompose_padding",
                           "fuse_reduction_epilogue",
                           "loop_partition",
                           "merge",
                           "pad_einsum",
                           "reindex",
                           "reindex_cache_read",
                           "reindex_cache_write",
                           "read_at",
                           "reorder_block_iter_var",
                           "rolling_buffer",
                           "sample_partitioned_tile",
                           "set_scope",
                           "storage_align",
                           "transform_block_layout",
                           "transform_layout",
                           "write_at",
                           "unsafe_hide_buffer_access",
                           "unsafe_set_dtype"})
    EXPECT_EQ(refused.count(name), 1U) << name << " has no refusal among the cases";
}

} // namespace
} // namespace temper::s_tir
