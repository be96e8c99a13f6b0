/// Assertions for our own bugs. Active in every build: prints where and why, then aborts.
/// Bad input is never a TEMPER_CHECK; it is an Error (result.h).
#pragma once

#include <string_view>

namespace temper {

/// Prints `file:line: check failed: expression: why` to stderr and aborts.
[[noreturn]] void check_failed(const char* file, int line, const char* expression,
                               std::string_view why);

} // namespace temper

#define TEMPER_CHECK(condition, why)                                                               \
  ((condition) ? (void)0 : ::temper::check_failed(__FILE__, __LINE__, #condition, (why)))

#define TEMPER_UNREACHABLE(why) ::temper::check_failed(__FILE__, __LINE__, "unreachable", (why))
