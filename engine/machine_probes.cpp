#include "engine/machine_probes.h"

#include "engine/machine_speed.h"
#include "engine/timing/clock.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include <dlfcn.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace temper::engine {
namespace {

#if defined(__x86_64__)

// Stores alone: what the store ports and the first level can do.
#define TEMPER_WRITE_PROBE(name, wide, width)                                                      \
  void name(std::byte* at, int64_t blocks) {                                                       \
    __asm__ volatile("1:\n"                                                                        \
                     "vmovups %%" wide "0,0*" #width "(%0)\n"                                      \
                     "vmovups %%" wide "1,1*" #width "(%0)\n"                                      \
                     "vmovups %%" wide "2,2*" #width "(%0)\n"                                      \
                     "vmovups %%" wide "3,3*" #width "(%0)\n"                                      \
                     "vmovups %%" wide "4,4*" #width "(%0)\n"                                      \
                     "vmovups %%" wide "5,5*" #width "(%0)\n"                                      \
                     "vmovups %%" wide "6,6*" #width "(%0)\n"                                      \
                     "vmovups %%" wide "7,7*" #width "(%0)\n"                                      \
                     "add $8*" #width ",%0\n"                                                      \
                     "dec %1\n"                                                                    \
                     "jnz 1b\n"                                                                    \
                     "vzeroupper\n"                                                                \
                     : "+r"(at), "+r"(blocks)                                                      \
                     :                                                                             \
                     : "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",     \
                       "xmm7");                                                                    \
  }
TEMPER_WRITE_PROBE(write_512, "zmm", 64)
TEMPER_WRITE_PROBE(write_256, "ymm", 32)
#undef TEMPER_WRITE_PROBE

int64_t write_once(std::span<std::byte> memory) {
  const auto bytes = static_cast<int64_t>(memory.size());
  if (__builtin_cpu_supports("avx512f")) {
    write_512(memory.data(), bytes / 512);
    return bytes / 512 * 512;
  }
  if (__builtin_cpu_supports("avx")) {
    write_256(memory.data(), bytes / 256);
    return bytes / 256 * 256;
  }
  return 0;
}

#else

int64_t write_once(std::span<std::byte>) { return 0; }

#endif

// The part of libgomp's interface that compilers call.
using Parallel = void (*)(void (*body)(void*), void* data, unsigned threads, unsigned flags);
using Barrier = void (*)();

struct Barriers {
  Barrier barrier;
  int64_t count;
};

void pass_barriers(void* data) {
  const auto* barriers = static_cast<const Barriers*>(data);
  for (int64_t i = 0; i < barriers->count; ++i)
    barriers->barrier();
}

void do_nothing(void*) {}

template <typename Run> double fastest_of(int repeats, int64_t calls, const Run& run) {
  std::vector<double> times;
  for (int i = 0; i < repeats; ++i) {
    const double begin = now_ns();
    run();
    times.push_back((now_ns() - begin) / static_cast<double>(calls));
  }
  return repeatable_fastest(times);
}

ParallelCost measure_here(int threads) {
  ParallelCost cost;
  ::setenv("OMP_WAIT_POLICY", "active", 0); // as kernels have it when each thread has a core
  void* const runtime = ::dlopen("libgomp.so.1", RTLD_NOW | RTLD_LOCAL);
  if (runtime == nullptr)
    return cost;
  const auto parallel = reinterpret_cast<Parallel>(::dlsym(runtime, "GOMP_parallel"));
  const auto barrier = reinterpret_cast<Barrier>(::dlsym(runtime, "GOMP_barrier"));
  if (parallel == nullptr || barrier == nullptr)
    return cost;
  const auto count = static_cast<unsigned>(threads);
  constexpr int kRepeats = 60;
  constexpr int64_t kRegions = 50;
  parallel(do_nothing, nullptr, count, 0); // starts the threads
  cost.fork_ns = fastest_of(kRepeats, kRegions, [&] {
    for (int64_t i = 0; i < kRegions; ++i)
      parallel(do_nothing, nullptr, count, 0);
  });
  Barriers barriers{barrier, 200};
  cost.barrier_ns =
      fastest_of(kRepeats, barriers.count, [&] { parallel(pass_barriers, &barriers, count, 0); });
  return cost;
}

} // namespace

double measure_store_bandwidth(std::span<std::byte> memory) {
  const int64_t bytes = write_once(memory);
  if (bytes == 0)
    return 0;
  const int64_t passes = std::max<int64_t>(1, (int64_t{4} << 20) / bytes);
  const double ns = fastest_of(60, passes, [&] {
    for (int64_t pass = 0; pass < passes; ++pass)
      write_once(memory);
  });
  return static_cast<double>(bytes) / ns * 1e9;
}

ParallelCost measure_parallel_cost(int threads) {
  ParallelCost cost;
  int ends[2];
  if (threads < 2 || ::pipe(ends) != 0)
    return cost;
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    ::alarm(2); // threads that do not run side by side wait for each other long
    const ParallelCost measured = measure_here(threads);
    const bool told = ::write(ends[1], &measured, sizeof measured) == ssize_t{sizeof measured};
    ::_exit(told ? 0 : 1);
  }
  ::close(ends[1]);
  if (child > 0) {
    ParallelCost measured;
    ssize_t got;
    do
      got = ::read(ends[0], &measured, sizeof measured);
    while (got < 0 && errno == EINTR);
    if (got == ssize_t{sizeof measured})
      cost = measured;
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  ::close(ends[0]);
  return cost;
}

} // namespace temper::engine
