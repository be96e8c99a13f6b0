#include "ir/script/workload_table.h"

#include "ir/support/text.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace temper::script {
namespace {

TEST(WorkloadTable, IsFresh) {
  const auto wanted = workload_table(TEMPER_SOURCE_DIR "/workloads");
  ASSERT_TRUE(wanted) << wanted.error().to_string();
  const std::string path = TEMPER_SOURCE_DIR "/workloads/WORKLOADS.md";
  if (std::getenv("TEMPER_UPDATE_GOLDEN") != nullptr) {
    ASSERT_TRUE(write_file(path, *wanted));
  }
  const auto text = read_file(path);
  ASSERT_TRUE(text) << text.error().to_string();
  EXPECT_EQ(*text, *wanted) << "a workload changed: TEMPER_UPDATE_GOLDEN=1 rewrites the file";
}

TEST(WorkloadTable, SaysWhichFolderCannotBeRead) {
  const auto none = workload_table("/no such folder");
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().message.find("/no such folder"), std::string::npos);
}

} // namespace
} // namespace temper::script
