// The seeds of the fuzzers, and whatever they found, once each and without libFuzzer.
#include "ir/s_tir/layer.h"
#include "ir/support/text.h"
#include "tests/fuzz/targets.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

namespace temper::fuzz {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> files_of(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_regular_file() && entry.path().extension() != ".md")
      files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

class Seeds : public ::testing::TestWithParam<Target> {};

TEST_P(Seeds, AreReadOrRefused) {
  s_tir::register_layer();
  const Target& target = GetParam();
  std::vector<fs::path> files =
      files_of(fs::path(TEMPER_SOURCE_DIR "/tests/fuzz/seeds") / target.name);
  ASSERT_FALSE(files.empty());
  for (const fs::path& file : files) {
    SCOPED_TRACE(file.string());
    const auto text = read_file(file.string());
    ASSERT_TRUE(text) << text.error().to_string();
    std::fprintf(stderr, "%s\n", file.filename().c_str()); // the last one is what aborts
    target.run(*text);
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, Seeds, ::testing::ValuesIn(kTargets),
                         [](const auto& target) { return std::string(target.param.name); });

} // namespace
} // namespace temper::fuzz
