/// Text cases: what a test prints is compared with a file beside it. With TEMPER_UPDATE_GOLDEN=1 in
/// the environment the files are rewritten instead; review the difference.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace temper::testing {

/// `file` is relative to the source tree: "tests/s_tir/golden/split.py".
inline void expect_golden(const std::string& file, const std::string& text) {
  const std::filesystem::path path = std::filesystem::path(TEMPER_SOURCE_DIR) / file;
  if (std::getenv("TEMPER_UPDATE_GOLDEN") != nullptr) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return;
  }
  std::ifstream stream(path);
  ASSERT_TRUE(stream) << file << " is not there; TEMPER_UPDATE_GOLDEN=1 writes it";
  std::stringstream expected;
  expected << stream.rdbuf();
  EXPECT_EQ(expected.str(), text) << "against " << file
                                  << "; if the change is meant, TEMPER_UPDATE_GOLDEN=1 rewrites it";
}

} // namespace temper::testing
