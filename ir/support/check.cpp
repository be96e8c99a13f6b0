#include "ir/support/check.h"

#include <cstdio>
#include <cstdlib>

namespace temper {

void check_failed(const char* file, int line, const char* expression, std::string_view why) {
  std::fprintf(stderr, "%s:%d: check failed: %s: %.*s\n", file, line, expression,
               static_cast<int>(why.size()), why.data());
  std::fflush(stderr);
  std::abort();
}

} // namespace temper
