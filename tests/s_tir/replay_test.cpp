#include "ir/s_tir/schedule.h"

#include "ir/s_tir/trace_json.h"
#include "ir/structural.h"
#include "ir/support/text.h"
#include "tests/s_tir/build_program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace temper::s_tir {
namespace {

using ::testing::HasSubstr;

std::vector<Trace> recorded(const std::string& name) {
  const char* folder = std::getenv("TEMPER_TEST_TRACES");
  const auto text = read_file(std::string(folder != nullptr ? folder
                                                            : TEMPER_SOURCE_DIR "/tests/s_tir/data") +
                              "/metaschedule_" + name + ".jsonl");
  EXPECT_TRUE(text) << text.error().to_string();
  std::vector<Trace> traces;
  for (const std::string& line : split_text(*text, '\n')) {
    if (line.empty())
      continue;
    auto trace = trace_from_json_text(line);
    EXPECT_TRUE(trace) << trace.error().to_string();
    if (trace)
      traces.push_back(*std::move(trace));
  }
  return traces;
}

TEST(Replay, MetaSchedulesMatmulTraces) {
  const IRModule module = testing::matmul(1024, 1024, 1024);
  for (const Trace& trace : recorded("gmm")) {
    const auto schedule = replay(trace, module);
    ASSERT_TRUE(schedule) << schedule.error().to_string() << "\n" << trace.to_python();
    EXPECT_TRUE(schedule->trace() == trace);
  }
}

TEST(Replay, MetaSchedulesConvolutionTraces) {
  const IRModule module = testing::conv_bias_relu(56, 64);
  for (const Trace& trace : recorded("cbr")) {
    const auto schedule = replay(trace, module);
    ASSERT_TRUE(schedule) << schedule.error().to_string() << "\n" << trace.to_python();
    EXPECT_TRUE(schedule->trace() == trace);
  }
}

} // namespace
} // namespace temper::s_tir
