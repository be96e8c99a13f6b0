#include "engine/runner/child.h"

#include "codegen/assertions.h"
#include "engine/anchor.h"
#include "engine/counters.h"
#include "engine/poison.h"
#include "engine/runner/sandbox.h"
#include "engine/timing/cold.h"
#include "engine/timing/frequency.h"
#include "engine/timing/hot.h"
#include "engine/timing/warm_up.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <new>
#include <optional>
#include <sstream>

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace temper::engine {
namespace {

using Entry = int32_t (*)(void* const*);

constexpr size_t kHugeArgument = size_t{2} << 20;
/// Outputs that are kept a second time, to put them back before a call.
constexpr size_t kMostKeptBytes = size_t{256} << 20;
constexpr size_t kLogBytes = 4000;
/// Of what the first call wrote; a tile of some hundred elements, a line each.
constexpr size_t kFirstCallBytes = 16000;

// A first call pays for page faults and cold caches, which is seldom as much as the call itself;
// when even half of it is hopeless, a warm-up and a timed call would only say so again.
constexpr double kConvictingFactor = 2;

// Temporaries that nobody wrote are large numbers for a candidate and NaN for the reference, so
// that the two never agree on them.
constexpr unsigned char kFillOfCandidates = 0x7f;
constexpr unsigned char kFillOfReferences = 0xff;

int64_t address_space_in_use() {
  int64_t pages = 0;
  if (FILE* file = std::fopen("/proc/self/statm", "re")) {
    if (std::fscanf(file, "%ld", &pages) != 1)
      pages = 0;
    std::fclose(file);
  }
  return pages * ::sysconf(_SC_PAGESIZE);
}

/// Everything that happens in the child. Nothing here returns to the runner's code.
class ChildProgram {
public:
  ChildProgram(const ChildPlan& plan, ControlBlock* control, int event, int log, pid_t runner)
      : plan_(plan), control_(control), event_(event), log_(log), runner_(runner) {}

  [[noreturn]] void main() {
    set_up();
    uint32_t done = 0;
    while (true) {
      wait_for_order(done);
      done = control_->sequence.load();
      execute(control_->command);
      control_->completed.store(done);
      tell();
    }
  }

private:
  [[noreturn]] void fail(ChildError error, const char* text) {
    control_->error = error;
    std::strncpy(control_->text, text, sizeof control_->text - 1);
    ::_exit(kReportedExit);
  }

  void set_up() {
    ::setsid(); // a process group of its own, and a scheduling group
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != runner_)
      ::_exit(kReportedExit);
    if (plan_.measured)
      raise_priority();
    ::prctl(PR_SET_NAME, "temper-trial");
    install_crash_handlers(control_);
    for (const BufferSet* set : plan_.sets)
      for (size_t i = 0; i < set->buffers.size(); ++i)
        if (!set->buffers[i].remap_in_child(plan_.signature[i].is_output))
          fail(ChildError::kSetUp, "an argument could not be mapped");
    if (plan_.threads > 1)
      control_->side_by_side = probe_side_by_side(plan_.threads);
    if (const int null = ::open("/dev/null", O_RDONLY); null >= 0)
      ::dup2(null, STDIN_FILENO);
    ::dup2(log_, STDOUT_FILENO);
    ::dup2(log_, STDERR_FILENO);
    close_all_but(event_, plan_.code_file);
    offer_to_memory_killer();
    set_environment();

    Limits limits;
    const int64_t own_bytes = private_bytes() + packed_bytes() + kept_bytes();
    // Threads cost address space: a stack each, and 128 MiB that malloc reserves for each.
    limits.address_space_bytes = plan_.memory_limit_bytes > 0
                                     ? address_space_in_use() + plan_.memory_limit_bytes +
                                           int64_t{plan_.threads} * (int64_t{136} << 20) + own_bytes
                                     : 0;
    // A backstop behind the runner's own deadline, for four orders of that length.
    limits.cpu_seconds = (int64_t{4} * plan_.timeout_ms / 1000 + 30) * std::max(plan_.threads, 1);
    if (!apply_limits(limits))
      fail(ChildError::kSetUp, "the limits could not be set");
    if (plan_.filter_system_calls)
      forbid_system_calls(); // where there are no filters, the process boundary must do
  }

  /// Address space that a private buffer takes.
  static int64_t reserved_bytes(size_t size) {
    return static_cast<int64_t>(size + 2 * GuardedBuffer::kGuardBytes + 2 * kHugeArgument);
  }

  /// Address space that `prepare_timing` will take.
  int64_t private_bytes() const {
    int64_t bytes = 0;
    for (const GuardedBuffer& buffer : plan_.sets.front()->buffers)
      if (plan_.private_timing && buffer.size() >= kHugeArgument)
        bytes += reserved_bytes(buffer.size());
    return bytes;
  }

  /// Address space that `pack` will take: packed operands are arguments, not the kernel's memory.
  int64_t packed_bytes() const {
    int64_t bytes = 0;
    for (const codegen::PackStep& pack : plan_.artifact->packs)
      bytes += reserved_bytes(static_cast<size_t>(pack.packed.byte_count()));
    return bytes * static_cast<int64_t>(plan_.sets.size());
  }

  size_t output_bytes() const {
    size_t bytes = 0;
    each_output([&](size_t, size_t, size_t size) { bytes += size; });
    return bytes;
  }

  /// Address space that `repeat_on_results` will take.
  int64_t kept_bytes() const {
    return output_bytes() <= kMostKeptBytes ? 2 * reserved_bytes(output_bytes()) : 0;
  }

  static void close_all_but(int a, int b) {
    std::array kept = {2, std::min(a, b), std::max(a, b)};
    for (size_t i = 0; i + 1 < kept.size(); ++i)
      if (kept[i] + 1 < kept[i + 1])
        ::syscall(SYS_close_range, std::max(kept[i] + 1, 3), kept[i + 1] - 1, 0);
    ::syscall(SYS_close_range, std::max(kept.back() + 1, 3), UINT_MAX, 0);
  }

  void set_environment() const {
    const std::string threads = std::to_string(plan_.threads);
    for (const char* name : {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"})
      ::setenv(name, threads.c_str(), 1);
    ::setenv("OMP_DYNAMIC", "false", 1);
    // Spinning at barriers is right when each thread has a core, and ruinous when not.
    const long cores = ::sysconf(_SC_NPROCESSORS_ONLN);
    ::setenv("OMP_WAIT_POLICY", plan_.threads <= cores ? "active" : "passive", 0);
    for (const auto& [name, value] : plan_.artifact->environment)
      ::setenv(name.c_str(), value.c_str(), 1);
  }

  void load() {
    const bool is_library = plan_.artifact->kind == codegen::ArtifactKind::kLibrary;
    const std::string path = is_library ? plan_.artifact->library_path
                                        : fmt::format("/proc/self/fd/{}", plan_.code_file);
    if (!is_library && plan_.threads > 1) // for code that counts on its loader having OpenMP
      ::dlopen("libgomp.so.1", RTLD_NOW | RTLD_GLOBAL);
    void* const library = library_ = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library)
      fail(ChildError::kLoad, ::dlerror());
    void* symbol = ::dlsym(library, plan_.artifact->entry.c_str());
    if (!symbol)
      fail(ChildError::kLoad, ::dlerror());
    entry_ = reinterpret_cast<Entry>(symbol);
    for (const codegen::PackStep& pack : plan_.artifact->packs) {
      symbol = ::dlsym(library, pack.entry.c_str());
      if (!symbol)
        fail(ChildError::kLoad, ::dlerror());
      pack_entries_.push_back(reinterpret_cast<Entry>(symbol));
    }
    for (const char* runtime : {"libgomp.so.1", "libomp.so.5", "libomp.so"})
      if (void* handle = ::dlopen(runtime, RTLD_NOW | RTLD_NOLOAD))
        if (void* set = ::dlsym(handle, "omp_set_num_threads"))
          reinterpret_cast<void (*)(int)>(set)(plan_.threads);
  }

  /// Makes the packed operands of every input set. From here on nobody writes to them.
  void pack() {
    packed_.resize(plan_.sets.size());
    for (size_t set = 0; set < plan_.sets.size(); ++set) {
      control_->checking_set.store(static_cast<int32_t>(set));
      for (size_t step = 0; step < pack_entries_.size(); ++step) {
        const codegen::PackStep& pack = plan_.artifact->packs[step];
        Result<GuardedBuffer> own = GuardedBuffer::allocate_private(
            pack.packed.byte_count(),
            set % 2 == 0 ? GuardedBuffer::Place::kAtEnd : GuardedBuffer::Place::kAtStart);
        if (!own)
          fail(ChildError::kSetUp, "there is no memory for a packed operand");
        std::memset(own->data(), kFillOfCandidates, own->size());
        void* arguments[] = {plan_.sets[set]->buffers[static_cast<size_t>(pack.argument)].data(),
                             own->data()};
        if (const int32_t returned = pack_entries_[step](arguments); returned != 0) {
          control_->returned = returned;
          fail(ChildError::kReturned, "");
        }
        own->protect();
        packed_[set].push_back(std::move(*own));
      }
    }
  }

  void wait_for_order(uint32_t done) {
    // A futex, not a descriptor: a kernel may close those.
    while (control_->sequence.load() == done)
      ::syscall(SYS_futex, &control_->sequence, FUTEX_WAIT, done, nullptr, nullptr, 0);
  }

  void tell() {
    const uint64_t one = 1;
    if (::write(event_, &one, sizeof one) != ssize_t{sizeof one})
      fail(ChildError::kEvents, "");
  }

  void execute(Command command) {
    switch (command) {
    case Command::kLoad:
      return load();
    case Command::kPack:
      return pack();
    case Command::kCheck:
      fill_allocations(plan_.measured ? kFillOfCandidates : kFillOfReferences);
      for (size_t set = 0; set < plan_.sets.size(); ++set) {
        control_->checking_set.store(static_cast<int32_t>(set));
        place(set);
        const double begin = now_ns();
        call();
        const double taken = now_ns() - begin;
        if (set == 0 && control_->written_by_first_call == 0)
          control_->written_by_first_call = written_bytes();
        control_->fastest_check_ns = set == 0 ? taken : std::min(control_->fastest_check_ns, taken);
      }
      fill_allocations(0);
      return;
    case Command::kTime:
      return time_adaptively();
    case Command::kCalibrate:
      return calibrate();
    case Command::kTurn:
      return take_turn();
    case Command::kRepeat:
      return repeat_on_results();
    }
  }

  void place(size_t set) {
    addresses_.clear();
    for (const GuardedBuffer& buffer : plan_.sets[set]->buffers)
      addresses_.push_back(buffer.data());
    for (size_t step = 0; step < pack_entries_.size(); ++step)
      addresses_[static_cast<size_t>(plan_.artifact->packs[step].argument)] =
          packed_[set][step].data();
    for (const int64_t& scalar : plan_.extra_scalars)
      addresses_.push_back(const_cast<int64_t*>(&scalar));
  }

  bool call() {
    control_->inside_kernel.store(1, std::memory_order_relaxed);
    const int32_t returned = entry_(addresses_.data());
    control_->inside_kernel.store(0, std::memory_order_relaxed);
    if (returned != 0) [[unlikely]] {
      control_->returned = returned;
      fail(ChildError::kReturned, failed_assertion(returned).c_str());
    }
    return true;
  }

  /// To stdout and stderr, so far.
  static int64_t written_bytes() {
    struct stat status {};
    return ::fstat(STDOUT_FILENO, &status) == 0 ? static_cast<int64_t>(status.st_size) : 0;
  }

  /// What the assertion says for which the kernel returned that; empty where it is none.
  std::string failed_assertion(int32_t returned) const {
    const std::string symbol = codegen::assertions_symbol(plan_.artifact->entry);
    const auto* text = static_cast<const char*>(::dlsym(library_, symbol.c_str()));
    std::istringstream lines(text != nullptr ? text : "");
    for (std::string line; std::getline(lines, line);) {
      const size_t first = line.find('\t');
      const size_t second = line.find('\t', first + 1);
      if (first == std::string::npos || second == std::string::npos ||
          line.substr(0, first) != std::to_string(returned))
        continue;
      const std::string at = line.substr(first + 1, second - first - 1);
      return "assertion failed" + (at == "0" ? "" : " at line " + at) + ": " +
             line.substr(second + 1);
    }
    return {};
  }

  /// The arguments for timing: those of the first set, large ones moved to private memory.
  void prepare_timing() {
    const double begin = now_ns();
    const BufferSet& set = *plan_.sets.front();
    place(0);
    if (moved_.empty())
      moved_.resize(set.buffers.size());
    for (size_t i = 0; i < set.buffers.size(); ++i) {
      const GuardedBuffer& shared = set.buffers[i];
      if (!plan_.private_timing || shared.size() < kHugeArgument || addresses_[i] != shared.data())
        continue; // a packed operand is in private memory already
      if (moved_[i].size() == 0) {
        Result<GuardedBuffer> own = GuardedBuffer::allocate_private(
            static_cast<int64_t>(shared.size()), GuardedBuffer::Place::kAtEnd);
        if (!own)
          continue; // no room under its limit: the shared one serves
        moved_[i] = std::move(*own);
        std::memcpy(moved_[i].data(), shared.data(), shared.size());
        if (!plan_.signature[i].is_output)
          moved_[i].protect();
      } else if (plan_.signature[i].is_output) {
        std::memcpy(moved_[i].data(), shared.data(), shared.size()); // poisoned anew
      }
      addresses_[i] = moved_[i].data();
      if (i < kMaxArguments)
        control_->timed_address[i] = reinterpret_cast<uint64_t>(moved_[i].data());
    }
    lines_.clear();
    for (size_t i = 0; i < set.buffers.size(); ++i)
      lines_.emplace_back(static_cast<const std::byte*>(addresses_[i]), set.buffers[i].size());
    for (size_t step = 0; step < pack_entries_.size(); ++step) {
      const auto i = static_cast<size_t>(plan_.artifact->packs[step].argument);
      lines_[i] = packed_[0][step].bytes();
      if (i < kMaxArguments)
        control_->timed_address[i] = reinterpret_cast<uint64_t>(packed_[0][step].data());
    }
    control_->moving_ns = now_ns() - begin;
  }

  /// Puts the outputs of the last timed call where the runner looks.
  void show_results() {
    const double begin = now_ns();
    for (size_t i = 0; i < moved_.size(); ++i)
      if (moved_[i].size() > 0 && plan_.signature[i].is_output)
        std::memcpy(plan_.sets.front()->buffers[i].data(), moved_[i].data(), moved_[i].size());
    control_->moving_ns += now_ns() - begin;
  }

  /// Times calls on poisoned outputs in turns with calls on right ones, the arguments being those
  /// of the timed calls. The last call finds poison and its results are shown: who knows by
  /// another sign that it was called before leaves poison behind.
  void repeat_on_results() {
    control_->pair_count = 0;
    const size_t bytes = output_bytes();
    if (bytes > 0 && bytes <= kMostKeptBytes) {
      auto right = GuardedBuffer::allocate_private(static_cast<int64_t>(bytes),
                                                   GuardedBuffer::Place::kAtEnd);
      auto poisoned = GuardedBuffer::allocate_private(static_cast<int64_t>(bytes),
                                                      GuardedBuffer::Place::kAtEnd);
      if (right && poisoned)
        time_pairs(right->data(), poisoned->data());
    }
    if (control_->pair_count == 0) {
      each_output([&](size_t i, size_t, size_t size) {
        std::memset(addresses_[i], poison_of(plan_.signature[i].dtype), size);
      });
      call();
    }
    show_results();
  }

  void time_pairs(std::byte* right, std::byte* poisoned) {
    call(); // contenders share outputs, and another one, or the runner, was there last
    each_output([&](size_t i, size_t at, size_t size) {
      std::memcpy(right + at, addresses_[i], size);
      std::memset(poisoned + at, poison_of(plan_.signature[i].dtype), size);
    });
    // Either call finds that outputs were written twice, from both, so that caches do not tell the
    // two apart: only what was written last does.
    const auto put = [&](const std::byte* first, const std::byte* last) {
      for (const std::byte* from : {first, last})
        each_output(
            [&](size_t i, size_t at, size_t size) { std::memcpy(addresses_[i], from + at, size); });
    };
    const double overhead = clock_overhead_ns();
    // Not cold, whatever the regime: flushed lines come back in times that differ by more.
    const auto timed = [&] { return time_hot([this] { return call(); }, 1, overhead); };
    int pairs = 0;
    const auto so_far = [&](const double* times) {
      return std::span<const double>(times, static_cast<size_t>(pairs));
    };
    while (wants_another_pair(so_far(control_->fresh_ns), so_far(control_->repeated_ns))) {
      put(poisoned, right);
      control_->repeated_ns[pairs] = timed();
      put(right, poisoned);
      control_->fresh_ns[pairs] = timed();
      control_->pair_count = ++pairs;
    }
  }

  /// For each output `act` gets its argument's number, where it lies among all of them one behind
  /// the other, and its bytes.
  template <typename Act> void each_output(const Act& act) const {
    size_t at = 0;
    for (size_t i = 0; i < plan_.signature.size(); ++i) {
      if (!plan_.signature[i].is_output)
        continue;
      const size_t size = plan_.sets.front()->buffers[i].size();
      act(i, at, size);
      at += size;
    }
  }

  /// How often the system took a core away from one of our threads.
  static int64_t involuntary_switches() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return usage.ru_nivcsw;
  }

  /// One sample, in time per call.
  double sample(int64_t calls) {
    const auto one = [this] { return call(); };
    const int64_t switches = involuntary_switches();
    double taken;
    if (plan_.regime == Regime::kHot) {
      taken = time_hot(one, calls, overhead_ns_);
    } else {
      const double begin = now_ns();
      taken = time_cold(one, lines_, overhead_ns_);
      control_->flushing_ns += now_ns() - begin - taken;
    }
    control_->spent_ns += taken * static_cast<double>(calls);
    was_switched_ = involuntary_switches() != switches;
    return taken;
  }

  void begin_times() {
    control_->sample_count = 0;
    control_->spent_ns = 0;
    control_->flushing_ns = 0;
    control_->timed_calls = 0;
    overhead_ns_ = clock_overhead_ns();
  }

  void keep(double sample_ns) {
    if (control_->sample_count < kMaxSamples) {
      control_->switched[control_->sample_count] = was_switched_ ? 1 : 0;
      control_->samples[control_->sample_count++] = sample_ns;
    }
    control_->timed_calls += control_->calls_per_sample;
  }

  std::span<const double> samples() const {
    return {control_->samples, static_cast<size_t>(control_->sample_count)};
  }

  std::span<const uint8_t> switched() const {
    return {control_->switched, static_cast<size_t>(control_->sample_count)};
  }

  void time_adaptively() {
    std::optional<CounterGroup> counters;
    if (plan_.counters)
      counters = CounterGroup::open();
    if (plan_.best_ns > 0 &&
        control_->fastest_check_ns >
            kConvictingFactor * plan_.best_ns * plan_.rule.hopeless_factor &&
        is_hopeless(plan_.rule, control_->fastest_check_ns / kConvictingFactor,
                    static_cast<int>(plan_.sets.size()) + 1, plan_.best_ns)) {
      control_->convicted_by_check = true;
      control_->decision = Decision::kHopeless;
      control_->samples[0] = control_->fastest_check_ns;
      control_->sample_count = 1;
      return;
    }
    prepare_timing();
    begin_times();
    const int64_t switches = involuntary_switches();

    control_->calls_per_sample = 1;
    // The checks have warmed up what takes longer than all the time that there is.
    const bool is_warm = control_->fastest_check_ns > plan_.rule.max_seconds * 1e9;
    double fastest = is_warm ? control_->fastest_check_ns : sample(1);
    keep(sample(1));
    fastest = std::min(fastest, control_->samples[0]);
    int calls = 2;
    const double limit = plan_.rule.hopeless_factor * plan_.best_ns;
    if (plan_.rule.hopeless_factor > 0 && plan_.best_ns > 0 && fastest > limit &&
        !is_hopeless(plan_.rule, fastest, calls, plan_.best_ns)) {
      keep(sample(1)); // a gap might explain two slow calls
      fastest = std::min(fastest, control_->samples[1]);
      ++calls;
    }
    if (is_hopeless(plan_.rule, fastest, calls, plan_.best_ns)) {
      control_->decision = Decision::kHopeless;
    } else {
      if (!is_warm)
        fastest = settle(fastest, calls);
      if (counters)
        counters->start();
      take_samples(fastest);
      if (counters) {
        counters->stop();
        keep_counters(counters->read());
      }
    }
    control_->involuntary_switches = involuntary_switches() - switches;
    control_->clock_ghz = clock_ghz();
    show_results();
  }

  /// Of this kernel on these arguments (timing/warm_up.h).
  int64_t calls_until_settled(double call_ns) const {
    if (plan_.regime == Regime::kCold)
      return 1;
    size_t bytes = 0;
    for (std::span<const std::byte> argument : lines_)
      bytes += argument.size();
    return engine::calls_until_settled(static_cast<int64_t>(bytes), own_cache_bytes(), call_ns);
  }

  /// Calls until data lies where it will stay, `calls` having been made, the fastest of which took
  /// `fastest_ns`. Single samples of before that are none. The fastest of all.
  double settle(double fastest_ns, int64_t calls) {
    if (calls_until_settled(fastest_ns) > 1)
      control_->sample_count = 0;
    for (; calls < calls_until_settled(fastest_ns); ++calls)
      fastest_ns = std::min(fastest_ns, sample(1));
    return fastest_ns;
  }

  void take_samples(double fastest_call_ns) {
    const int64_t calls =
        plan_.regime == Regime::kHot ? calls_per_sample(plan_.rule, fastest_call_ns) : 1;
    control_->calls_per_sample = calls;
    if (calls > 1 || plan_.counters)
      control_->sample_count = 0; // single calls are no samples among batches
    control_->timed_calls = control_->sample_count;
    StopRule rule = plan_.rule;
    rule.max_samples = std::min(rule.max_samples, kMaxSamples);
    int next_decision = 1;
    while (true) {
      if (control_->sample_count >= next_decision) {
        control_->decision = decide(rule, samples(), calls, plan_.best_ns,
                                    control_->spent_ns + control_->flushing_ns, switched());
        if (control_->decision != Decision::kContinue)
          return;
        // Deciding sorts the samples; asking at growing distances keeps that far below the calls.
        next_decision = control_->sample_count < rule.min_samples
                            ? control_->sample_count + 1
                            : control_->sample_count + 1 + control_->sample_count / 6;
        next_decision = std::min(next_decision, rule.max_samples);
      } else if (control_->sample_count > 0 &&
                 control_->spent_ns + control_->flushing_ns > rule.max_seconds * 1e9) {
        next_decision = control_->sample_count;
        continue;
      }
      keep(sample(calls));
    }
  }

  void keep_counters(const std::map<std::string, double>& counts) {
    control_->counter_count = 0;
    for (const auto& [name, value] : counts) {
      if (control_->counter_count >= static_cast<int32_t>(std::size(control_->counters)))
        break;
      ControlBlock::Counter& counter = control_->counters[control_->counter_count++];
      std::strncpy(counter.name, name.c_str(), sizeof counter.name - 1);
      counter.value = value / static_cast<double>(std::max<int64_t>(control_->timed_calls, 1));
    }
  }

  void calibrate() {
    prepare_timing();
    begin_times();
    StopRule rule;
    rule.sample_ns = control_->sample_ns;
    sample(1);
    double fastest = settle(sample(1), 2);
    for (int i = 0; i < 4 && control_->spent_ns < 20e6 && calls_per_sample(rule, fastest) > 1; ++i)
      fastest = std::min(fastest, sample(1));
    control_->calls_per_sample = plan_.regime == Regime::kHot ? calls_per_sample(rule, fastest) : 1;
    until_settled_ = calls_until_settled(fastest);
    show_results();
  }

  void take_turn() {
    begin_times();
    control_->moving_ns = 0;
    const int64_t calls = control_->calls;
    control_->calls_per_sample = calls;
    // While others had their turns the caches were theirs and the threads asleep.
    sample(warm_up_calls(calls, until_settled_));
    keep(sample(calls));
  }

  const ChildPlan& plan_;
  ControlBlock* control_;
  int event_;
  int log_;
  pid_t runner_;
  void* library_ = nullptr;
  Entry entry_ = nullptr;
  std::vector<Entry> pack_entries_;                ///< as the artifact's packs
  std::vector<std::vector<GuardedBuffer>> packed_; ///< by input set, then as the artifact's packs
  std::vector<void*> addresses_;
  std::vector<GuardedBuffer> moved_;
  std::vector<std::span<const std::byte>> lines_;
  double overhead_ns_ = 0;
  int64_t until_settled_ = 1; ///< of a turn's calls
  bool was_switched_ = false; ///< during the last sample
};

} // namespace

void Child::Unmap::operator()(ControlBlock* control) const {
  ::munmap(control, sizeof(ControlBlock));
}

Result<Child> Child::start(const ChildPlan& plan) {
  Child child;
  void* page = ::mmap(nullptr, sizeof(ControlBlock), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED)
    return Error(ErrorCode::kEnvironment,
                 fmt::format("cannot share a page with a trial: {}", std::strerror(errno)));
  child.control_.reset(new (page) ControlBlock());
  child.event_ = FileDescriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  TEMPER_TRY(log, make_memory_file("temper-trial-log"));
  child.log_ = std::move(log);
  const pid_t runner = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0)
    return Error(ErrorCode::kEnvironment,
                 fmt::format("cannot fork a trial: {}", std::strerror(errno)));
  if (pid == 0) {
    ChildProgram program(plan, child.control_.get(), child.event_.get(), child.log_.get(), runner);
    program.main();
  }
  child.process_ = pid;
  child.threads_ = std::max(plan.threads, 1);
  child.ended_ = false;
  child.pidfd_ = FileDescriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  return child;
}

Child::~Child() {
  if (control_)
    end();
}

void Child::order(Command command) {
  control_->command = command;
  control_->sequence.store(++sequence_);
  if (suspended_) {
    suspended_ = false;
    ::kill(-process_, SIGCONT);
  }
  ::syscall(SYS_futex, &control_->sequence, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

Child::Wait Child::await(int timeout_ms, const Interruption& interruption) {
  // So short a deadline is one of processor time: a busy machine may not give any for longer.
  constexpr double kPatienceNs = 300e6;
  const double begin = now_ns();
  const double cpu_before = timeout_ms * 1e6 < kPatienceNs ? cpu_ns() : 0;
  double deadline = begin + timeout_ms * 1e6;
  while (true) {
    const double left_ms = (deadline - now_ns()) / 1e6;
    pollfd waiting[3] = {
        {event_.get(), POLLIN, 0}, {pidfd_.get(), POLLIN, 0}, {interruption.descriptor, POLLIN, 0}};
    const int ready = ::poll(waiting, interruption.descriptor >= 0 ? 3 : 2,
                             static_cast<int>(std::clamp(left_ms + 1, 0.0, 1e9)));
    if (ready > 0 && (waiting[0].revents & POLLIN) != 0) {
      uint64_t events;
      (void)!::read(event_.get(), &events, sizeof events);
      if (control_->completed.load() == sequence_)
        return Wait::kDone;
      continue;
    }
    if (ready > 0 && (waiting[1].revents & POLLIN) != 0)
      return Wait::kDied;
    if (ready > 0 && waiting[2].revents != 0 && interruption.readable())
      return Wait::kCancelled;
    if (now_ns() < deadline)
      continue;
    const bool got_little = cpu_ns() - cpu_before < timeout_ms * 1e6 * threads_;
    if (now_ns() - begin >= kPatienceNs || !got_little)
      return Wait::kTimedOut;
    deadline = begin + kPatienceNs;
  }
}

void Child::suspend() {
  if (ended_ || suspended_)
    return;
  ::kill(-process_, SIGSTOP);
  siginfo_t info{};
  // Not before every thread has stopped is the core free for the next one.
  ::waitid(P_PID, static_cast<id_t>(process_), &info, WSTOPPED | WEXITED | WNOWAIT);
  suspended_ = true;
}

double Child::cpu_ns() const {
  clockid_t clock;
  timespec time{};
  if (::clock_getcpuclockid(process_, &clock) != 0 || ::clock_gettime(clock, &time) != 0)
    return 0;
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

ExitStatus Child::end() {
  if (ended_)
    return status_;
  ended_ = true;
  ::kill(-process_, SIGKILL);
  ::kill(process_, SIGKILL);
  int wait_status = 0;
  pid_t reaped;
  do
    reaped = ::waitpid(process_, &wait_status, 0);
  while (reaped < 0 && errno == EINTR);
  status_ = ExitStatus::from_wait(wait_status);
  // Whatever it left in its group.
  ::kill(-process_, SIGKILL);
  return status_;
}

std::string Child::log_tail() const { return read_tail(log_.get(), kLogBytes); }

std::string Child::log_head(size_t bytes) const {
  struct stat status {};
  if (::fstat(log_.get(), &status) != 0)
    return {};
  bytes = std::min(bytes, static_cast<size_t>(status.st_size)); // a child may claim anything
  std::string text(std::min(bytes, kFirstCallBytes), '\0');
  const ssize_t count = ::pread(log_.get(), text.data(), text.size(), 0);
  text.resize(static_cast<size_t>(std::max<ssize_t>(count, 0)));
  if (text.size() < bytes)
    text += fmt::format("... and {} bytes more\n", bytes - text.size());
  return printable(text);
}

} // namespace temper::engine
