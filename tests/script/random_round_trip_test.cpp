// The law of the printer, on random programs: parse(print(m)) is structurally equal to m.

#include "ir/script/parser.h"
#include "ir/script/printer.h"
#include "ir/structural.h"
#include "tests/script/random_program.h"

#include <gtest/gtest.h>

namespace temper::script {
namespace {

TEST(RandomRoundTrip, EveryRandomProgramParsesBackToItself) {
  int failures = 0;
  for (uint64_t seed = 1; seed <= 400 && failures < 3; ++seed) {
    const IRModule module = RandomProgram(seed).module();
    const std::string text = to_text(module);
    const auto again = parse_module(text);
    if (!again) {
      ++failures;
      ADD_FAILURE() << "seed " << seed << "\n" << again.error().to_string() << "\n" << text;
      continue;
    }
    std::string difference;
    if (!structural_equal(module, *again, &difference)) {
      ++failures;
      ADD_FAILURE() << "seed " << seed << "\n"
                    << difference << "\n"
                    << text << "\n"
                    << to_text(*again);
      continue;
    }
    EXPECT_EQ(structural_hash(module), structural_hash(*again)) << "seed " << seed;
  }
}

TEST(RandomRoundTrip, PrintingTwiceGivesTheSameText) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    const IRModule module = RandomProgram(seed).module();
    EXPECT_EQ(to_text(module), to_text(module));
  }
}

} // namespace
} // namespace temper::script
