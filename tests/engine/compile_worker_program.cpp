// A compile worker for compile_pool_test: does what the request says.
#include "engine/compile_pool.h"
#include "ir/support/clock.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <thread>

using temper::Error;
using temper::ErrorCode;
using temper::Result;

/// Of processor time.
static void compute_ms(double ms) {
  const double end = temper::thread_seconds() + ms / 1e3;
  while (temper::thread_seconds() < end)
    ;
}

static Result<std::string> handle(std::string_view request) {
  if (request == "abort") {
    std::fprintf(stderr, "noise before\nLLVM ERROR: cannot select: the worker aborts\n");
    std::abort();
  }
  if (request == "hang")
    while (true)
      std::this_thread::sleep_for(std::chrono::hours(1));
  if (request == "compute for ever")
    while (true)
      compute_ms(1);
  if (request == "wait for the processor") // most of the time
    for (int i = 0; i < 30; ++i) {
      compute_ms(2);
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  if (request == "nap")
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  if (request == "exit")
    std::exit(7);
  if (request == "memory") {
    for (std::vector<std::string> hog;;)
      hog.emplace_back(16 << 20, 'x');
  }
  if (request == "memory unchecked") {
    for (;;)
      std::memset(std::malloc(16 << 20), 1, 16 << 20);
  }
  if (request == "throw")
    throw std::runtime_error("no such intrinsic");
  if (request == "refuse")
    return Error(ErrorCode::kFailed, "the kernel needs 9 registers more");
  if (request == "warn") {
    std::fprintf(stderr, "warning: loop not vectorised\n");
    return std::string("warned");
  }
  if (request == "environment")
    return std::string(std::getenv("TEMPER_TEST_WORKER"));
  if (request == "big")
    return std::string(20 << 20, 'b');
  return "compiled " + std::string(request);
}

int main() { return temper::engine::compile_worker_main(handle); }
