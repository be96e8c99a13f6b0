// What the measurer and temper-runner say to each other.
#include "engine/protocol.h"

#include <gtest/gtest.h>

namespace temper::engine {
namespace {

// A program and a runner of two builds waited for each other for ever.
TEST(Protocol, ARunnerOfAnotherBuildIsNamed) {
  EXPECT_TRUE(require_same_protocol({{"id", 1}, {"protocol", kProtocol}}, "bin/temper-runner"));
  for (const Json& ready : {Json{{"id", 1}}, Json{{"id", 1}, {"protocol", kProtocol + 1}}}) {
    const auto same = require_same_protocol(ready, "bin/temper-runner");
    ASSERT_FALSE(same);
    EXPECT_EQ(same.error().code, ErrorCode::kEnvironment);
    EXPECT_NE(same.error().message.find("bin/temper-runner is of another build"),
              std::string::npos);
  }
}

} // namespace
} // namespace temper::engine
