#include "engine/machine_probes.h"

#include "engine/fma_probe.h"
#include "engine/machine_speed.h"
#include "engine/timing/clock.h"
#include "ir/support/random.h"
#include "ir/support/statistics.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <numeric>
#include <vector>

#include <dlfcn.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
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

/// Chases pointers through more memory than the second level of cache holds, changing some, in
/// order of nothing: a compiler's lists and tables.
class CompilerLikeWork {
public:
  CompilerLikeWork() : next_(kNodes * kWordsOfNode) {
    std::vector<uint32_t> order(kNodes);
    std::iota(order.begin(), order.end(), 0U);
    Random random(1);
    for (size_t i = kNodes - 1; i > 0; --i) // one circle through all of them (Sattolo)
      std::swap(order[i], order[static_cast<size_t>(random.below(static_cast<int64_t>(i)))]);
    for (size_t i = 0; i < kNodes; ++i)
      next_[i * kWordsOfNode] = order[i];
  }
  void run(int64_t steps) {
    for (int64_t i = 0; i < steps; ++i) {
      uint64_t* node = &next_[at_ * kWordsOfNode];
      at_ = node[0];
      if ((node[1] += at_) % 3 == 0)
        node[2] ^= node[1] >> 7;
    }
  }

private:
  static constexpr size_t kNodes = size_t{1} << 18; ///< of a cache line: 16 MiB
  static constexpr size_t kWordsOfNode = 8;
  std::vector<uint64_t> next_;
  uint64_t at_ = 0;
};

/// A process that does such work, or nothing, as it is told.
class Company {
public:
  Company() {
    void* const page =
        ::mmap(nullptr, sizeof(Orders), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
      return;
    orders_ = new (page) Orders();
    CompilerLikeWork work; // before the fork: other threads may hold locks in it
    const pid_t parent = ::getpid();
    child_ = ::fork();
    if (child_ != 0)
      return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent)
      ::_exit(1);
    while (true) {
      const bool busy = orders_->wanted.load();
      orders_->is.store(busy);
      if (busy)
        work.run(2000);
      else
        ::usleep(100);
    }
  }
  ~Company() {
    if (child_ > 0) {
      ::kill(child_, SIGKILL);
      while (::waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
      }
    }
    if (orders_ != nullptr)
      ::munmap(orders_, sizeof(Orders));
  }
  Company(const Company&) = delete;
  Company& operator=(const Company&) = delete;

  /// False when it does not do so in time.
  bool set_busy(bool busy) {
    if (child_ <= 0)
      return false;
    orders_->wanted.store(busy);
    const double until = now_ns() + 1e9;
    while (orders_->is.load() != busy)
      if (now_ns() > until)
        return false;
    return true;
  }

private:
  struct Orders {
    std::atomic<bool> wanted{false};
    std::atomic<bool> is{false};
  };
  Orders* orders_ = nullptr;
  pid_t child_ = -1;
};

} // namespace

double measure_company_ratio(int processors) {
  const FmaProbe probe = fma_probe(FmaKind::kFloat32);
  if (processors < 2 || probe.run == nullptr)
    return 0;
  std::vector<uint64_t> memory((size_t{8} << 20) / sizeof(uint64_t), 1);
  volatile uint64_t sink = 0;
  const auto compute = [&] { probe.run(20'000); }; // 0.1 ms
  const auto read = [&] { sink = std::accumulate(memory.begin(), memory.end(), uint64_t{0}); };
  Company company;
  constexpr int kPairs = 40;
  constexpr int kRepeats = 3;
  std::vector<double> times[2][2]; ///< by work, then without and with company
  for (int pair = 0; pair < kPairs; ++pair)
    for (const bool first : {true, false}) {
      const bool busy = first == (pair % 2 == 0); // a drift must not favour one side
      if (!company.set_busy(busy))
        return 0;
      times[0][busy ? 1 : 0].push_back(fastest_of(kRepeats, 1, compute));
      times[1][busy ? 1 : 0].push_back(fastest_of(kRepeats, 1, read));
    }
  double worst = 1;
  for (const auto& work : times)
    worst = std::max(worst, paired_ratio_interval(work[1], work[0]).high);
  return worst;
}

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
