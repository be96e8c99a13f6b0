// More random programs than the fast tier has time for.

#include "ir/script/parser.h"
#include "ir/script/printer.h"
#include "ir/structural.h"
#include "tests/script/random_program.h"

#include <gtest/gtest.h>

namespace temper::script {
namespace {

TEST(RandomRoundTripSlow, TenThousandRandomProgramsParseBackToThemselves) {
  int failures = 0;
  for (uint64_t seed = 1000; seed < 11000 && failures < 3; ++seed) {
    const IRModule module = RandomProgram(seed).module();
    const std::string text = to_text(module);
    const auto again = parse_module(text);
    std::string difference;
    if (!again || !structural_equal(module, *again, &difference)) {
      ++failures;
      ADD_FAILURE() << "seed " << seed << "\n"
                    << (again ? difference : again.error().to_string()) << "\n"
                    << text;
    }
  }
}

} // namespace
} // namespace temper::script
