/// What is fuzzed: each target takes any bytes, and aborts with a sentence when something is wrong.
/// libFuzzer calls them in programs of their own (fuzzer.cpp, ./dev fuzz), the test fuzz_tests with
/// the seeds of tests/fuzz/seeds/NAME, where each find becomes a file.
#pragma once

#include <string_view>

namespace temper::fuzz {

/// A script, as a module of functions, as a workload file with a hand-written space and as a file
/// of rules: it is read or refused with a place, and what is printed parses back to the same.
void fuzz_script(std::string_view input);
/// JSON as a module of ours and of TVM's, as a trace and as TVM's index map.
void fuzz_json(std::string_view input);
/// The first byte chooses a program, the rest is a trace, JSON or Python, that is replayed on it.
void fuzz_trace(std::string_view input);
/// The first byte chooses a program, the others schedule primitives and their arguments.
void fuzz_calls(std::string_view input);

struct Target {
  const char* name;
  void (*run)(std::string_view input);
};
inline constexpr Target kTargets[] = {
    {"script", fuzz_script}, {"json", fuzz_json}, {"trace", fuzz_trace}, {"calls", fuzz_calls}};

} // namespace temper::fuzz
