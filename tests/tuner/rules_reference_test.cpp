#include "tuner/space/rules_reference.h"

#include "ir/support/text.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace temper::tuner {
namespace {

TEST(RulesReference, IsFresh) {
  const std::string path = TEMPER_SOURCE_DIR "/tuner/space/RULES.md";
  if (std::getenv("TEMPER_UPDATE_GOLDEN") != nullptr) {
    ASSERT_TRUE(write_file(path, rules_reference()));
  }
  const auto text = read_file(path);
  ASSERT_TRUE(text) << text.error().to_string();
  EXPECT_EQ(*text, rules_reference()) << "a rule changed: TEMPER_UPDATE_GOLDEN=1 rewrites the file";
}

} // namespace
} // namespace temper::tuner
