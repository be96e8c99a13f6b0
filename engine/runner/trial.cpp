#include "engine/runner/trial.h"

#include "engine/arguments.h"
#include "engine/compare.h"
#include "engine/poison.h"
#include "engine/runner/sandbox.h"
#include "engine/runner/verdict.h"
#include "engine/timing/clock.h"
#include "engine/timing/sittings.h"
#include "ir/support/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstring>
#include <memory>

#include <sched.h>
#include <unistd.h>

namespace temper::engine {
namespace {

using codegen::ArgumentSpec;

// Loading is no part of a kernel's own deadline: a peer may bring a library of 40 MB.
constexpr int kLoadTimeoutMs = 30'000;
constexpr unsigned char kSlackPattern = 0xc5;

void poison(const PreparedWorkload& workload, PreparedSet& set) {
  for (size_t i = 0; i < workload.spec.signature.size(); ++i) {
    const ArgumentSpec& spec = workload.spec.signature[i];
    if (!spec.is_output)
      continue;
    const GuardedBuffer& buffer = set.arguments.buffers[i];
    if (!set.initial[i].empty())
      std::memcpy(buffer.data(), set.initial[i].bytes().data(), buffer.size());
    else
      std::memset(buffer.data(), poison_of(spec.dtype), buffer.size());
    for (std::span<std::byte> slack : {buffer.slack_before(), buffer.slack_after()})
      std::memset(slack.data(), kSlackPattern, slack.size());
  }
}

std::string tidy_log(const std::string& log) {
  std::string text(trim(log));
  std::replace(text.begin(), text.end(), '\n', ' ');
  if (text.size() > 300)
    text = "..." + text.substr(text.size() - 300);
  return text;
}

std::string in_units(uint64_t bytes) {
  if (bytes >= (uint64_t{1} << 30))
    return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / 0x1p30);
  if (bytes >= (uint64_t{1} << 20))
    return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / 0x1p20);
  return fmt::format("{} bytes", bytes);
}

struct Failure {
  Outcome outcome;
  std::string sentence;
  bool killed = false; ///< by SIGKILL, which a kernel cannot raise: somebody else did
};

/// How often something is tried that somebody kills: the system's out-of-memory killer picks the
/// same process again, other killers rarely do.
constexpr int kAttemptsAfterKills = 3;

/// Of an argument as the kernel gets it: packed, where it is packed ahead.
uint64_t timed_bytes(const ChildPlan& plan, size_t argument) {
  for (const codegen::PackStep& pack : plan.artifact->packs)
    if (static_cast<size_t>(pack.argument) == argument)
      return static_cast<uint64_t>(pack.packed.byte_count());
  return plan.sets.front()->buffers[argument].size();
}

/// Says where an address lies relative to the arguments; empty when near none of them.
std::string locate(uint64_t address, const ChildPlan& plan, const ControlBlock& control) {
  const auto near = [&](size_t index, uint64_t base, uint64_t size) -> std::string {
    const ArgumentSpec& spec = plan.signature[index];
    const bool was_write = control.crash_was_write != 0;
    const char* verb = was_write ? "wrote" : "read";
    const uint64_t reach = GuardedBuffer::kGuardBytes;
    if (address >= base && address < base + size) {
      const auto element =
          (address - base) / static_cast<uint64_t>(std::max(spec.dtype.element_bytes(), 1));
      if (was_write && !spec.is_output)
        return fmt::format("wrote to its input {} (at element {})", spec.name, element);
      return fmt::format("{} argument {} at element {} and faulted", verb, spec.name, element);
    }
    if (address >= base + size && address < base + size + reach)
      return fmt::format("{} out of bounds: {} bytes past the end of argument {}", verb,
                         address - (base + size), spec.name);
    if (address < base && address + reach >= base)
      return fmt::format("{} out of bounds: {} bytes before the start of argument {}", verb,
                         base - address, spec.name);
    return {};
  };
  for (size_t i = 0; i < plan.signature.size(); ++i) {
    if (i < kMaxArguments && control.timed_address[i] != 0)
      if (std::string where = near(i, control.timed_address[i], timed_bytes(plan, i));
          !where.empty())
        return where;
    for (const BufferSet* set : plan.sets)
      if (std::string where =
              near(i, reinterpret_cast<uint64_t>(set->buffers[i].data()), set->buffers[i].size());
          !where.empty())
        return where;
  }
  return {};
}

std::string describe_crash(const ChildPlan& plan, const ControlBlock& control) {
  const int signal = control.crash_signal.load();
  if (signal == SIGSEGV || signal == SIGBUS) {
    const char* name = signal == SIGSEGV ? "SIGSEGV" : "SIGBUS";
    const uint64_t address = control.crash_address;
    if (control.crash_code == SI_KERNEL) // not a canonical address: the processor gives none
      return fmt::format("crashed: used a wild or misaligned address ({})", name);
    if (const std::string where = locate(address, plan, control); !where.empty())
      return fmt::format("crashed: {} ({})", where, name);
    if (address < 4096)
      return fmt::format("crashed: {} through a null pointer ({})",
                         control.crash_was_write ? "wrote" : "read", name);
    if (control.crash_stack != 0 &&
        std::abs(static_cast<int64_t>(address - control.crash_stack)) < (int64_t{1} << 20))
      return fmt::format("crashed: overflowed its stack ({})", name);
    return fmt::format("crashed: {} at {:#x}, far from any argument ({})",
                       control.crash_was_write ? "wrote" : "read", address, name);
  }
  if (signal == SIGFPE)
    return control.crash_code == FPE_INTDIV || control.crash_code == FPE_INTOVF
               ? "crashed: divided an integer by zero (SIGFPE)"
               : "crashed: trapped on a floating-point operation (SIGFPE)";
  if (signal == SIGILL)
    return "crashed: executed an instruction that this processor does not have (SIGILL)";
  if (signal == SIGABRT)
    return "crashed: aborted (SIGABRT)";
  if (signal == SIGSYS)
    return fmt::format("crashed: called {}(), which a kernel may not",
                       forbidden_call_name(control.crash_syscall));
  return "crashed: " + describe_signal(signal);
}

/// What the child had to say, which may be anything.
std::string text_of(const ControlBlock& control) {
  return printable({control.text, ::strnlen(control.text, sizeof control.text)});
}

/// Why a child died on its own.
Failure diagnose(const ChildPlan& plan, Child& child) {
  const ExitStatus status = child.end();
  const ControlBlock& control = child.control();
  const std::string log = tidy_log(child.log_tail());
  const auto with_log = [&](std::string sentence) {
    return log.empty() ? sentence : sentence + "; it wrote: " + log;
  };
  const uint64_t refused = control.refused_bytes.load();
  const bool crashed = control.crash_signal.load() != 0;
  if (refused != 0 &&
      (crashed || control.error == ChildError::kReturned || control.error == ChildError::kNone))
    return {Outcome::kOutOfMemory,
            with_log(fmt::format(
                "ran out of memory: {} more would have gone beyond its limit of {}",
                in_units(refused), in_units(static_cast<uint64_t>(plan.memory_limit_bytes))))};
  if (crashed && control.checking_set.load() < 0) // damaged, or its constructors are bad
    return {Outcome::kCompileFailed,
            with_log("the machine code could not be loaded: it " + describe_crash(plan, control))};
  if (crashed)
    return {Outcome::kCrashed, with_log(describe_crash(plan, control))};
  switch (control.error) {
  case ChildError::kSetUp:
    return {Outcome::kDisturbed, fmt::format("could not be tried: {}", control.text)};
  case ChildError::kLoad:
    return {Outcome::kCompileFailed,
            fmt::format("the machine code could not be loaded: {}", control.text)};
  case ChildError::kReturned:
    if (const std::string assertion = text_of(control); !assertion.empty())
      return {Outcome::kCrashed, with_log(assertion)};
    return {Outcome::kCrashed,
            with_log(fmt::format("the kernel returned {} instead of 0", control.returned))};
  case ChildError::kEvents:
    return {Outcome::kCrashed, "crashed: closed file descriptors that are not its own"};
  case ChildError::kNone:
    break;
  }
  if (status.signaled && status.code == SIGXCPU)
    return {Outcome::kTimedOut, "used up its limit of processor time"};
  if (status.signaled)
    return {Outcome::kCrashed, with_log("crashed: " + describe_exit(status)),
            status.code == SIGKILL};
  return {Outcome::kCrashed,
          with_log(fmt::format("crashed: left its process with exit status {} instead of returning",
                               status.code))};
}

/// Bytes around an output that changed although they belong to nobody.
std::string check_slack(const PreparedWorkload& workload, const PreparedSet& set) {
  for (size_t i = 0; i < workload.spec.signature.size(); ++i) {
    if (!workload.spec.signature[i].is_output)
      continue;
    const GuardedBuffer& buffer = set.arguments.buffers[i];
    const auto touched = [](std::byte byte) { return byte != std::byte{kSlackPattern}; };
    const auto after = buffer.slack_after();
    if (std::any_of(after.begin(), after.end(), touched))
      return fmt::format("wrote out of bounds: past the end of argument {}",
                         workload.spec.signature[i].name);
    const auto before = buffer.slack_before();
    if (std::any_of(before.begin(), before.end(), touched))
      return fmt::format("wrote out of bounds: before the start of argument {}",
                         workload.spec.signature[i].name);
  }
  return {};
}

ChildPlan plan_of(const PreparedWorkload& workload, const TrialRequest& request,
                  const RunnerSettings& settings) {
  ChildPlan plan;
  plan.artifact = request.artifact;
  plan.code_file = request.code_file;
  plan.signature = workload.spec.signature;
  for (const PreparedSet& set : workload.sets) {
    plan.sets.push_back(&set.arguments);
    if (!request.check)
      break; // only the set that is timed
  }
  plan.extra_scalars = request.extra_scalars;
  plan.threads = std::max(request.threads, 1);
  plan.memory_limit_bytes = request.memory_limit_bytes > 0 ? request.memory_limit_bytes
                                                           : settings.default_memory_limit_bytes;
  plan.timeout_ms = request.timeout_ms;
  plan.filter_system_calls = settings.filter_system_calls;
  plan.counters = request.counters;
  plan.private_timing = settings.private_timing;
  plan.regime = request.regime;
  plan.rule = request.rule;
  plan.best_ns = request.best_ns;
  return plan;
}

/// One kernel on its way: its child, and what is known so far.
class Attempt {
public:
  Attempt(PreparedWorkload& workload, const TrialRequest& request, const RunnerSettings& settings)
      : workload_(workload), request_(request), plan_(plan_of(workload, request, settings)) {
    measurement.regime = request.regime;
    measurement.threads = plan_.threads;
  }

  enum class Step : uint8_t { kGoOn, kFailed, kCancelled };
  std::optional<int> processor; ///< where a kernel of one thread runs; else where it likes

  /// Loads, calls once on each set, compares.
  Step check(const Child::Interruption& interruption) {
    if (std::string mismatch = signature_mismatch(workload_, request_); !mismatch.empty())
      return fail(Outcome::kRejected, "load", "the kernel " + mismatch);
    for (PreparedSet& set : workload_.sets)
      poison(workload_, set);
    Result<Child> started = Child::start(plan_);
    if (!started)
      return fail(Outcome::kDisturbed, "load", started.error().message);
    child_.emplace(std::move(*started));
    if (processor && plan_.threads == 1) {
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(*processor, &one);
      (void)::sched_setaffinity(child_->pid(), sizeof one, &one); // else as before
    }
    struct Order {
      Command command;
      int timeout_ms;
      const char* stage;
    };
    for (const Order& order : {Order{Command::kLoad, kLoadTimeoutMs, "load"},
                               Order{Command::kPack, kLoadTimeoutMs, "pack"},
                               Order{Command::kCheck, request_.timeout_ms, "check"}}) {
      if (order.command == Command::kPack && plan_.artifact->packs.empty())
        continue;
      if (const Step step = run(order.command, order.timeout_ms, order.stage, interruption);
          step != Step::kGoOn)
        return step;
    }
    measurement.side_by_side = std::clamp(child_->control().side_by_side, 0.0, 1.0);
    return compare_all("check");
  }

  /// Poisons what is timed, so that results of the check cannot pass for the timed calls'.
  void prepare_timing() { poison(workload_, workload_.sets.front()); }

  Step run(Command command, int timeout_ms, const char* stage,
           const Child::Interruption& interruption) {
    switch (child_->run(command, timeout_ms, interruption)) {
    case Child::Wait::kDone:
      return Step::kGoOn;
    case Child::Wait::kCancelled:
      child_->end();
      return Step::kCancelled;
    case Child::Wait::kTimedOut:
      child_->end();
      return fail(Outcome::kTimedOut, stage,
                  fmt::format("was still running after {:.3g} s ({}) and was stopped",
                              timeout_ms / 1000.0,
                              child_->control().inside_kernel.load() ? "inside the kernel"
                                                                     : "outside the kernel"));
    case Child::Wait::kDied: {
      const Failure failure = diagnose(plan_, *child_);
      killed = failure.killed;
      return fail(failure.outcome, stage, failure.sentence);
    }
    }
    return Step::kFailed;
  }

  Step compare_all(const char* stage) {
    const bool again = std::string_view(stage) == "recheck";
    const size_t count = again ? 1 : plan_.sets.size();
    for (size_t set = 0; set < count; ++set) {
      if (std::string outside = check_slack(workload_, workload_.sets[set]); !outside.empty())
        return fail(Outcome::kCrashed, stage, outside);
      if (!request_.check)
        continue;
      if (std::optional<WorstElement> worst = check_outputs(workload_, set)) {
        measurement.worst = worst;
        return fail(Outcome::kWrongResult, stage,
                    describe_worst(workload_, *worst, again ? kAfterRepeatedCalls : ""));
      }
    }
    return Step::kGoOn;
  }

  Step fail(Outcome outcome, const char* stage, std::string sentence) {
    if (child_)
      child_->end();
    measurement.outcome = outcome;
    measurement.stage = stage;
    measurement.error = std::move(sentence);
    return Step::kFailed;
  }

  /// What the process wrote, as far as it came to one. A kernel that prints does so in each of its
  /// calls: of one that is well, if it could be timed or not, the first.
  std::string log() const {
    if (!child_)
      return {};
    std::string all = child_->log_tail();
    const bool well = measurement.stage.empty() || is_correct(measurement.outcome);
    if (const int64_t first = child_->control().written_by_first_call; well && first > 0)
      all = child_->log_head(static_cast<size_t>(first));
    return trim(all).empty() ? std::string() : "the kernel wrote:\n" + std::string(trim(all));
  }

  Child& child() { return *child_; }
  const ControlBlock& control() const { return child_->control(); }
  const ChildPlan& plan() const { return plan_; }
  bool alive = true;
  bool killed = false; ///< the child, from outside

  Measurement measurement;

private:
  PreparedWorkload& workload_;
  const TrialRequest& request_;
  ChildPlan plan_;
  std::optional<Child> child_;
};

/// What passed while a child worked on an order, by clocks that it cannot reach.
struct Passed {
  double wall_ns;
  double cpu_ns; ///< of all its threads

  static Passed now(const Child& child) { return {now_ns(), child.cpu_ns()}; }
  Passed since(const Passed& begin) const {
    return {wall_ns - begin.wall_ns, cpu_ns - begin.cpu_ns};
  }
};

/// Holds the child's own account of its time against that. It cannot have spent more than passed;
/// and its processor time must be accounted for (not the wall time: it may have lost its core
/// between samples).
std::string implausible(const ControlBlock& control, const Passed& passed, int threads) {
  const double claimed = control.spent_ns + control.flushing_ns + control.moving_ns;
  constexpr double kSlackNs = 3e6; // deciding, and the way to and from the calls
  const double worked = passed.cpu_ns / std::max(threads, 1);
  if (claimed >= 0 && claimed <= passed.wall_ns * 1.02 + 1e6 && claimed >= 0.5 * worked - kSlackNs)
    return {};
  return fmt::format("its times add up to {:.3g} ms where {:.3g} ms passed and {:.3g} ms of "
                     "processor time were used",
                     claimed / 1e6, passed.wall_ns / 1e6, passed.cpu_ns / 1e6);
}

/// For the calls that come after the timed ones; those of kRepeat are several.
int again_timeout_ms(const TrialRequest& trial, Command command) {
  return command == Command::kRepeat ? pairs_timeout_ms(trial.timeout_ms) : trial.timeout_ms;
}

/// Whether calls on poison are to be held against calls on results. What is slower than the best
/// need not be believed, and who gives no time for samples does not ask for one. Of a call that
/// takes longer than all the time there is for samples, those that were checked say enough where
/// they were as fast: they found poison, too.
bool wants_pairs(const ControlBlock& control, const TrialRequest& trial) {
  constexpr double kNoSeconds = 1e-3;
  if ((control.decision != Decision::kPrecise && control.decision != Decision::kOutOfTime) ||
      trial.rule.max_seconds < kNoSeconds)
    return false;
  const auto count = static_cast<size_t>(std::clamp(control.sample_count, 0, kMaxSamples));
  return control.fastest_check_ns <= trial.rule.max_seconds * 1e9 ||
         may_be_faster_on_results({&control.fastest_check_ns, 1}, {control.samples, count});
}

/// Why a time is not the kernel's although samples agree; empty when nothing speaks against it.
std::string doubts(const PreparedWorkload& workload, const ControlBlock& control,
                   double median_ns) {
  if (std::string doubt = too_fast(workload.spec, median_ns); !doubt.empty())
    return doubt;
  const auto pairs = static_cast<size_t>(std::clamp(control.pair_count, 0, kMostPairs));
  return faster_on_results({control.fresh_ns, pairs}, {control.repeated_ns, pairs});
}

/// What the child has written, as far as it can be a time.
struct Samples {
  std::vector<double> ns;
  std::vector<uint8_t> switched;
};

Samples samples_of(const ControlBlock& control) {
  Samples samples;
  for (int i = 0; i < std::clamp(control.sample_count, 0, kMaxSamples); ++i)
    if (std::isfinite(control.samples[i]) && control.samples[i] >= 0) {
      samples.ns.push_back(control.samples[i]);
      samples.switched.push_back(control.switched[i]);
    }
  return samples;
}

/// The reference on one input set: its own arguments, its process.
struct ReferenceRun {
  BufferSet arguments;
  ChildPlan plan;
  std::optional<Child> child;
};

/// Runs the reference on the sets [first, last), all at once, and keeps the results. The code of
/// the error is kEnvironment when somebody killed it.
Result<void> run_references(PreparedWorkload& workload, size_t first, size_t last,
                            const codegen::Artifact& reference, int code,
                            const RunnerSettings& settings,
                            const Child::Interruption& interruption) {
  const WorkloadSpec& spec = workload.spec;
  std::vector<std::unique_ptr<ReferenceRun>> runs;
  for (size_t set_index = first; set_index < last; ++set_index) {
    PreparedSet& set = workload.sets[set_index];
    ReferenceRun& run = *runs.emplace_back(std::make_unique<ReferenceRun>());
    // The reference sees the same values in its own, perhaps wider, types.
    for (size_t i = 0; i < reference.signature.size(); ++i) {
      const ArgumentSpec& argument = reference.signature[i];
      const ArgumentSpec& own = spec.signature[i];
      if (argument.element_count() * argument.dtype.lanes !=
              own.element_count() * own.dtype.lanes ||
          argument.is_output != own.is_output)
        return Error(ErrorCode::kInvalidArgument,
                     fmt::format("argument {} of the reference of {} does not match the workload's",
                                 own.name, spec.name));
      TEMPER_TRY(buffer, GuardedBuffer::allocate_shared(argument.byte_count(),
                                                        GuardedBuffer::Place::kAtEnd));
      if (!own.is_output || !set.initial[i].empty())
        convert(buffer.bytes(), argument.dtype, set.arguments.buffers[i].bytes(), own.dtype);
      else
        std::memset(buffer.data(), poison_of(argument.dtype), buffer.size());
      run.arguments.buffers.push_back(std::move(buffer));
    }
    run.plan.artifact = &reference;
    run.plan.code_file = code;
    run.plan.signature = reference.signature;
    run.plan.sets = {&run.arguments};
    run.plan.threads = std::max(reference.launch.threads, 1);
    run.plan.timeout_ms = spec.reference_timeout_ms;
    run.plan.memory_limit_bytes = settings.default_memory_limit_bytes;
    run.plan.filter_system_calls = settings.filter_system_calls;
    run.plan.private_timing = false;
    run.plan.measured = false;
    TEMPER_TRY(child, Child::start(run.plan));
    run.child.emplace(std::move(child));
    run.child->order(Command::kLoad);
  }
  for (const Command command : {Command::kLoad, Command::kCheck}) {
    const bool loading = command == Command::kLoad;
    if (!loading)
      for (const auto& run : runs)
        run->child->order(command);
    for (const auto& run : runs)
      switch (
          run->child->await(loading ? kLoadTimeoutMs : spec.reference_timeout_ms, interruption)) {
      case Child::Wait::kDone:
        break;
      case Child::Wait::kCancelled:
        return Error(ErrorCode::kInterrupted, "the reference was cancelled");
      case Child::Wait::kTimedOut:
        return Error(ErrorCode::kFailed,
                     fmt::format("the reference of {} was still running after {:.3g} s", spec.name,
                                 spec.reference_timeout_ms / 1000.0));
      case Child::Wait::kDied: {
        const Failure failure = diagnose(run->plan, *run->child);
        return Error(failure.killed ? ErrorCode::kEnvironment : ErrorCode::kFailed,
                     fmt::format("the reference of {} failed: {}", spec.name, failure.sentence));
      }
      }
  }
  for (size_t set_index = first; set_index < last; ++set_index) {
    ReferenceRun& run = *runs[set_index - first];
    run.child->end();
    for (size_t i = 0; i < reference.signature.size(); ++i) {
      if (!reference.signature[i].is_output)
        continue;
      ReferenceOutput& output = workload.sets[set_index].references[i];
      output.type = reference.signature[i].dtype;
      TEMPER_TRY(bytes, UnforkedMemory::allocate(run.arguments.buffers[i].size()));
      std::memcpy(bytes.bytes().data(), run.arguments.buffers[i].data(), bytes.bytes().size());
      output.bytes = std::move(bytes);
      output.scale = reference_scale(output.bytes.bytes(), output.type);
    }
  }
  return {};
}

/// An error when the reference gives no number for an output in any of the sets.
Result<void> require_numbers(const PreparedWorkload& workload) {
  for (size_t i = 0; i < workload.spec.signature.size(); ++i) {
    const ArgumentSpec& argument = workload.spec.signature[i];
    if (!argument.is_output || argument.element_count() == 0 ||
        std::any_of(workload.sets.begin(), workload.sets.end(), [&](const PreparedSet& set) {
          const ReferenceOutput& output = set.references[i];
          return output.scale != 0 || has_number(output.bytes.bytes(), output.type);
        }))
      continue;
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("the reference of {} computes no number: every element of {} is NaN "
                             "or infinite, so nothing could be checked; name inputs that it is "
                             "made for (an output that is read is one: inputs={{\"{}\": "
                             "\"normal\"}}), or mend it",
                             workload.spec.name, argument.name, argument.name));
  }
  return {};
}

} // namespace

double steal_ms() {
  const Result<std::string> stat = read_file("/proc/stat");
  if (!stat)
    return 0;
  unsigned long long fields[8] = {};
  if (std::sscanf(stat->c_str(), "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &fields[0],
                  &fields[1], &fields[2], &fields[3], &fields[4], &fields[5], &fields[6],
                  &fields[7]) != 8)
    return 0;
  return static_cast<double>(fields[7]) * 1000.0 / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

Result<PreparedWorkload> prepare_workload(WorkloadSpec spec, const codegen::Artifact* reference,
                                          int reference_code, const RunnerSettings& settings,
                                          const Child::Interruption& interruption) {
  if (spec.signature.empty() || spec.signature.size() > kMaxArguments)
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("workload {} has {} arguments; 1 to {} are possible", spec.name,
                             spec.signature.size(), kMaxArguments));
  if (spec.input_sets.empty())
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("workload {} has no input set", spec.name));
  if (reference && reference->signature.size() != spec.signature.size())
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("the reference of {} takes {} arguments and the workload {}",
                             spec.name, reference->signature.size(), spec.signature.size()));
  PreparedWorkload workload;
  workload.has_reference = reference != nullptr;
  for (size_t set_index = 0; set_index < spec.input_sets.size(); ++set_index) {
    const InputSet& input = spec.input_sets[set_index];
    PreparedSet& set = workload.sets.emplace_back();
    set.initial.resize(spec.signature.size());
    set.references.resize(spec.signature.size());
    const auto place =
        set_index % 2 == 0 ? GuardedBuffer::Place::kAtEnd : GuardedBuffer::Place::kAtStart;
    for (const auto& [name, words] : input.distributions)
      if (std::none_of(spec.signature.begin(), spec.signature.end(),
                       [&](const ArgumentSpec& argument) { return argument.name == name; }))
        return Error(
            ErrorCode::kInvalidArgument,
            fmt::format("workload {} has no argument {} to fill with {}", spec.name, name, words));
    for (size_t i = 0; i < spec.signature.size(); ++i) {
      const ArgumentSpec& argument = spec.signature[i];
      TEMPER_TRY(buffer, GuardedBuffer::allocate_shared(argument.byte_count(), place));
      const auto named = input.distributions.find(argument.name);
      if (!argument.is_output || named != input.distributions.end()) {
        TEMPER_TRY(distribution, parse_distribution(named != input.distributions.end()
                                                        ? named->second
                                                        : input.default_distribution));
        fill(buffer.bytes(), argument.dtype, distribution,
             argument_seed(input.seed, static_cast<int>(i)));
        if (argument.is_output) {
          TEMPER_TRY(initial, UnforkedMemory::allocate(buffer.size()));
          std::memcpy(initial.bytes().data(), buffer.data(), buffer.size());
          set.initial[i] = std::move(initial);
        }
      }
      set.arguments.buffers.push_back(std::move(buffer));
    }
  }
  workload.spec = std::move(spec);
  if (!reference)
    return workload;

  // References are not timed, so they share the machine: a child for each set, side by side.
  const long processors = std::max(::sysconf(_SC_NPROCESSORS_ONLN), 1L);
  const auto together =
      static_cast<size_t>(std::max(processors / std::max(reference->launch.threads, 1), 1L));
  for (size_t first = 0; first < workload.sets.size(); first += together) {
    const size_t last = std::min(first + together, workload.sets.size());
    for (int attempt = 1;; ++attempt) {
      Result<void> ran =
          run_references(workload, first, last, *reference, reference_code, settings, interruption);
      if (ran)
        break;
      if (ran.error().code != ErrorCode::kEnvironment || attempt == kAttemptsAfterKills)
        return ran.error();
    }
  }
  TEMPER_TRY_VOID(require_numbers(workload));
  return workload;
}

namespace {

/// `attempt` until nobody kills what it runs.
template <typename Attempt> auto unless_killed(Attempt attempt) {
  for (int number = 1;; ++number) {
    bool killed = false;
    auto result = attempt(killed);
    if (!killed || number == kAttemptsAfterKills)
      return result;
  }
}

/// One attempt at a trial. `killed` says whether somebody killed it.
std::optional<Measurement> try_trial(PreparedWorkload& workload, const TrialRequest& request,
                                     const RunnerSettings& settings,
                                     const Child::Interruption& interruption, bool& killed) {
  const double begin = now_ns();
  const double stolen = steal_ms();
  TrialRequest trial = request;
  trial.check = request.check && workload.has_reference;
  if (request.best_ns > 0)
    trial.timeout_ms = static_cast<int>(
        std::min<double>(request.timeout_ms, 1000 + kTimeoutPerBest * request.best_ns / 1e6));
  Attempt attempt(workload, trial, settings);
  const auto finish = [&] {
    attempt.measurement.measure_ms = (now_ns() - begin) / 1e6;
    attempt.measurement.steal_ms = steal_ms() - stolen;
    attempt.measurement.log = attempt.log();
    killed = attempt.killed;
    return std::move(attempt.measurement);
  };
  using Step = Attempt::Step;
  if (const Step step = attempt.check(interruption); step != Step::kGoOn)
    return step == Step::kCancelled ? std::nullopt : std::optional(finish());
  attempt.prepare_timing();
  const Passed before = Passed::now(attempt.child());
  if (const Step step = attempt.run(
          Command::kTime, trial.timeout_ms + static_cast<int>(request.rule.max_seconds * 2000),
          "time", interruption);
      step != Step::kGoOn)
    return step == Step::kCancelled ? std::nullopt : std::optional(finish());
  const Passed passed = Passed::now(attempt.child()).since(before);
  const std::string contradiction =
      attempt.control().convicted_by_check
          ? std::string()
          : implausible(attempt.control(), passed, attempt.plan().threads);
  std::optional<Command> again;
  if (reads_outputs(workload) && !attempt.control().convicted_by_check) {
    // Timed calls went on from each other's results; one more call, from the start, is comparable.
    for (PreparedSet& set : workload.sets)
      poison(workload, set);
    again = Command::kCheck;
  } else if (wants_pairs(attempt.control(), trial)) {
    again = Command::kRepeat;
  }
  if (again)
    if (const Step step =
            attempt.run(*again, again_timeout_ms(trial, *again), "recheck", interruption);
        step != Step::kGoOn)
      return step == Step::kCancelled ? std::nullopt : std::optional(finish());
  if (!attempt.control().convicted_by_check && attempt.compare_all("recheck") != Step::kGoOn)
    return finish();
  attempt.child().end();

  Measurement& m = attempt.measurement;
  const ControlBlock& control = attempt.control();
  m.calls_per_sample = control.calls_per_sample;
  m.involuntary_switches = control.involuntary_switches;
  constexpr double kFastestClockGhz = 10;
  m.clock_ghz = std::clamp(control.clock_ghz, 0.0, kFastestClockGhz);
  for (int i = 0; i < std::clamp(control.counter_count, 0, 16); ++i)
    m.counters[control.counters[i].name] = control.counters[i].value;
  const Samples samples = samples_of(control);
  Summary summary = summarize(samples.ns, m.calls_per_sample, request.rule.level, samples.switched);
  m.gaps_dropped = summary.gaps_dropped;
  m.flagged = summary.flagged;
  m.median_ns = summary.value_ns;
  m.interval = summary.interval;
  m.outcome = control.decision == Decision::kHopeless ? Outcome::kCensored : Outcome::kOk;
  const auto disturb = [&](std::string sentence, Outcome outcome = Outcome::kDisturbed) {
    m.outcome = outcome;
    m.stage = "time";
    m.error = std::move(sentence);
  };
  if (!contradiction.empty())
    disturb(contradiction);
  else if (samples.ns.empty())
    disturb("no sample was taken");
  else if (summary.kept.size() < samples.ns.size() - samples.ns.size() / 2)
    disturb(fmt::format("{} of {} samples had a gap: something else is using this machine",
                        summary.gaps_dropped, samples.ns.size()));
  else if (std::string doubt = doubts(workload, control, m.median_ns); !doubt.empty())
    disturb(std::move(doubt), Outcome::kUnbelievable);
  m.samples_ns = std::move(summary.kept);
  return finish();
}

} // namespace

std::optional<Measurement> run_trial(PreparedWorkload& workload, const TrialRequest& request,
                                     const RunnerSettings& settings,
                                     const Child::Interruption& interruption) {
  return unless_killed(
      [&](bool& killed) { return try_trial(workload, request, settings, interruption, killed); });
}

namespace {

/// One attempt at a comparison. `killed` says whether somebody killed one of the contenders.
std::optional<TurnsResult> try_turns(PreparedWorkload& workload, const TurnsRequest& request,
                                     const RunnerSettings& settings,
                                     const Child::Interruption& interruption, bool& killed) {
  using Step = Attempt::Step;
  std::vector<TrialRequest> trials = request.contenders;
  std::vector<std::unique_ptr<Attempt>> attempts;
  std::vector<int64_t> calls;
  // On one processor, all of them: two processors differ by what else runs there, by some 50 % when
  // it is a build, and a child stays where it started.
  const int processor = ::sched_getcpu();
  for (TrialRequest& trial : trials) {
    trial.check = trial.check && workload.has_reference;
    const double begin = now_ns();
    Attempt& attempt = *attempts.emplace_back(std::make_unique<Attempt>(workload, trial, settings));
    if (processor >= 0)
      attempt.processor = processor;
    Step step = attempt.check(interruption);
    if (step == Step::kGoOn) {
      attempt.prepare_timing();
      attempt.child().control().sample_ns = request.sample_ns;
      step = attempt.run(Command::kCalibrate, trial.timeout_ms, "time", interruption);
    }
    if (step == Step::kCancelled)
      return std::nullopt;
    attempt.alive = step == Step::kGoOn;
    calls.push_back(attempt.alive ? std::max<int64_t>(attempt.control().calls_per_sample, 1) : 1);
    if (attempt.alive)
      attempt.child().suspend();
    attempt.measurement.measure_ms = (now_ns() - begin) / 1e6;
  }

  const size_t count = attempts.size();
  std::vector<std::vector<double>> samples(count);
  std::vector<std::vector<uint8_t>> switched(count);
  TurnsResult result;
  const double begin = now_ns();
  const auto rounds_with_gaps = [&] {
    std::vector<bool> dropped(static_cast<size_t>(result.rounds), false);
    for (size_t i = 0; i < count; ++i) {
      if (!attempts[i]->alive)
        continue;
      attempts[i]->measurement.gaps_dropped = 0;
      const std::vector<bool> gaps = find_gaps(samples[i], calls[i], switched[i]);
      for (size_t round = 0; round < gaps.size(); ++round) {
        attempts[i]->measurement.gaps_dropped += gaps[round] ? 1 : 0;
        dropped[round] = dropped[round] || gaps[round];
      }
    }
    return dropped;
  };
  // Rounds with a gap are replaced, within reason.
  for (int round = 0; round < 3 * request.rounds; ++round) {
    if (round >= request.rounds) {
      const std::vector<bool> dropped = rounds_with_gaps();
      if (std::count(dropped.begin(), dropped.end(), false) >= request.rounds)
        break;
    }
    if (round >= 3 && now_ns() - begin > request.max_seconds * 1e9)
      break;
    std::vector<double> taken(count, 0);
    std::vector<uint8_t> lost(count, 0);
    for (size_t turn = 0; turn < count; ++turn) {
      const size_t index =
          contender_at(count, static_cast<size_t>(request.first_round + round), turn);
      Attempt& attempt = *attempts[index];
      if (!attempt.alive)
        continue;
      ControlBlock& control = attempt.child().control();
      control.calls = calls[index];
      const Passed before = Passed::now(attempt.child());
      const Step step = attempt.run(Command::kTurn, trials[index].timeout_ms, "time", interruption);
      if (step == Step::kCancelled)
        return std::nullopt;
      attempt.alive = step == Step::kGoOn;
      if (!attempt.alive)
        continue;
      const Passed passed = Passed::now(attempt.child()).since(before);
      attempt.child().suspend();
      const Samples one = samples_of(control);
      if (std::string contradiction = implausible(control, passed, attempt.plan().threads);
          !contradiction.empty() || one.ns.empty()) {
        attempt.fail(Outcome::kDisturbed, "time", contradiction);
        attempt.alive = false;
        continue;
      }
      taken[index] = one.ns.front();
      lost[index] = one.switched.front();
      attempt.measurement.measure_ms += passed.wall_ns / 1e6;
    }
    for (size_t i = 0; i < count; ++i) {
      samples[i].push_back(taken[i]);
      switched[i].push_back(lost[i]);
    }
    ++result.rounds;
  }

  // Once more on poison, this time to be looked at.
  const Command last = reads_outputs(workload) ? Command::kCheck : Command::kRepeat;
  for (size_t i = 0; i < count; ++i) {
    Attempt& attempt = *attempts[i];
    if (!attempt.alive)
      continue;
    // Pairs put poison themselves.
    if (last == Command::kCheck)
      for (PreparedSet& set : workload.sets)
        poison(workload, set);
    Step step = attempt.run(last, again_timeout_ms(trials[i], last), "recheck", interruption);
    if (step == Step::kGoOn)
      step = attempt.compare_all("recheck");
    if (step == Step::kCancelled)
      return std::nullopt;
    attempt.alive = step == Step::kGoOn;
    attempt.child().end();
  }

  // A gap in one contender's sample takes the whole round out, so that the rest still pairs up.
  const std::vector<bool> dropped = rounds_with_gaps();
  for (size_t i = 0; i < count; ++i) {
    Measurement& m = attempts[i]->measurement;
    if (attempts[i]->alive) {
      std::vector<double> kept;
      for (size_t round = 0; round < dropped.size(); ++round)
        if (!dropped[round])
          kept.push_back(samples[i][round]);
      const Summary summary = summarize(kept, calls[i]);
      m.outcome = Outcome::kOk;
      m.samples_ns = std::move(kept);
      m.calls_per_sample = calls[i];
      m.flagged = summary.flagged;
      m.median_ns = summary.value_ns;
      m.interval = summary.interval;
      if (m.samples_ns.size() < 3) {
        m.outcome = Outcome::kDisturbed;
        m.stage = "time";
        m.error = "nearly every round had a gap: something else is using this machine";
      } else if (std::string doubt = doubts(workload, attempts[i]->control(), m.median_ns);
                 !doubt.empty()) {
        m.outcome = Outcome::kUnbelievable;
        m.stage = "time";
        m.error = std::move(doubt);
      }
    }
    killed = killed || attempts[i]->killed;
    m.log = attempts[i]->log();
    result.measurements.push_back(std::move(m));
  }
  return result;
}

} // namespace

std::optional<TurnsResult> run_turns(PreparedWorkload& workload, const TurnsRequest& request,
                                     const RunnerSettings& settings,
                                     const Child::Interruption& interruption) {
  return unless_killed(
      [&](bool& killed) { return try_turns(workload, request, settings, interruption, killed); });
}

} // namespace temper::engine
