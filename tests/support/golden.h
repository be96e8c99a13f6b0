/// Golden comparison: what a test prints is compared with a file of the source tree, as under
/// tests/text/. Run the test program with --update-golden (or with TEMPER_UPDATE_GOLDEN=1) to
/// rewrite the files, then review the diff.
///
/// A file of cases:
///
///   === name of the case
///   input, any number of lines
///   ---
///   what the code under test makes of it
#pragma once

#include "ir/support/function_ref.h"
#include "ir/support/text.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace temper::testing {

inline bool update_golden() {
  if (const char* word = std::getenv("TEMPER_UPDATE_GOLDEN"); word != nullptr && *word == '1')
    return true;
  std::ifstream command("/proc/self/cmdline");
  std::stringstream words;
  words << command.rdbuf();
  return words.str().find("--update-golden") != std::string::npos;
}

inline std::filesystem::path golden_path(std::string_view name) {
  return std::filesystem::path(TEMPER_SOURCE_DIR) / name;
}

/// `actual` equals the file `name`, which is relative to the source tree:
/// "tests/text/s_tir/split.py".
inline void expect_golden(std::string_view name, const std::string& actual) {
  const std::filesystem::path path = golden_path(name);
  if (update_golden()) {
    std::filesystem::create_directories(path.parent_path());
    ASSERT_TRUE(write_file(path, actual));
    return;
  }
  const auto expected = read_file(path);
  ASSERT_TRUE(expected) << expected.error().message << "; run with --update-golden to make it";
  EXPECT_EQ(*expected, actual) << path.string() << ": run with --update-golden and review the diff";
}

struct GoldenCase {
  std::string name;
  std::string input;
  std::string expected;
};

inline std::vector<GoldenCase> read_golden_cases(std::string_view text) {
  std::vector<GoldenCase> cases;
  std::string* part = nullptr;
  for (const std::string& line : split_text(text, '\n')) {
    if (line.starts_with("=== ")) {
      cases.push_back({line.substr(4), "", ""});
      part = &cases.back().input;
    } else if (line == "---" && !cases.empty()) {
      part = &cases.back().expected;
    } else if (part != nullptr) {
      *part += line + "\n";
    }
  }
  // The last newline of the file is not a line of the last case.
  if (!cases.empty() && cases.back().expected.ends_with("\n"))
    cases.back().expected.pop_back();
  return cases;
}

/// Runs every case of the file `name` through `run` and compares. Returns how many there are.
inline size_t check_golden_cases(std::string_view name,
                                 FunctionRef<std::string(const GoldenCase&)> run) {
  const std::filesystem::path path = golden_path(name);
  const auto text = read_file(path);
  if (!text) {
    ADD_FAILURE() << text.error().message;
    return 0;
  }
  std::vector<GoldenCase> cases = read_golden_cases(*text);
  std::string updated = text->substr(0, text->find("=== "));
  for (const GoldenCase& one : cases) {
    std::string actual = run(one);
    if (!actual.empty() && actual.back() != '\n')
      actual += '\n';
    if (!update_golden()) {
      EXPECT_EQ(one.expected, actual) << path.string() << ", case '" << one.name << "'";
    }
    updated += "=== " + one.name + "\n" + one.input + "---\n" + actual;
  }
  if (update_golden()) {
    EXPECT_TRUE(write_file(path, updated));
  }
  return cases.size();
}

} // namespace temper::testing
