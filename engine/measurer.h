/// The abstract measuring device: hand in compiled kernels, get Measurements back, in any order.
/// Asynchronous: `submit` returns at once and the device works on its queue while the caller
/// proposes, compiles or learns. One device never runs two kernels at a time.
///
///   TEMPER_TRY(workload, measurer.add_workload({signature, input_sets, reference}));
///   Ticket ticket = measurer.submit({.workload = workload, .artifact = artifact});
///   for (const FinishedMeasurement& done : measurer.poll(1000)) ...
///
/// Implementations: LocalMeasurer (this host's CPU), tests/support/fake_measurer.h.
/// A Measurer is used from one thread.
#pragma once

#include "codegen/artifact.h"
#include "engine/measurement.h"
#include "engine/timing/sittings.h"
#include "engine/timing/stop_rule.h"
#include "ir/support/result.h"

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace temper::engine {

/// One filling of the arguments. Every set is checked; the first is the one that is timed.
struct InputSet {
  uint64_t seed = 1;
  /// By argument name; see arguments.h for the words. An output that is named here starts with
  /// these values (the kernel reads it); one that is not starts poisoned.
  std::map<std::string, std::string> distributions;
  std::string default_distribution = "normal"; ///< for inputs not named above
};

/// What is computed: the arguments, and how to tell whether a kernel did it right.
struct WorkloadSpec {
  std::string name; ///< for messages only
  std::vector<codegen::ArgumentSpec> signature;
  std::vector<InputSet> input_sets;
  /// Computes the right outputs: the same arguments in the same order; floating arguments may be
  /// wider (float64) than the workload's, its signature says so. Null: nothing is checked.
  std::shared_ptr<const codegen::Artifact> reference;
  int reference_timeout_ms = 600'000;
  /// Allowed relative error of an element; 0: by data type and reduction length (compare.h).
  double tolerance = 0;
  std::map<std::string, double> output_tolerances; ///< of single outputs (compare.h)
  int64_t reduction_length = 1; ///< terms that are summed into one output element
  /// A bound no correct kernel can beat (roofline); a faster median is unbelievable.
  double floor_ns = 0;
};

/// A random set and one of small integers, whose sums are exact. Arguments named in
/// `distributions` keep theirs in both.
std::vector<InputSet> default_input_sets(uint64_t seed,
                                         const std::map<std::string, std::string>& distributions);

inline constexpr double kTimeoutPerBest = 200;

using WorkloadId = int64_t;
using Ticket = uint64_t;

struct MeasureRequest {
  WorkloadId workload = 0;
  std::shared_ptr<const codegen::Artifact> artifact;
  /// Values of the integer arguments that follow the workload's own (peers take their sizes so).
  std::vector<int64_t> extra_scalars;
  Regime regime = Regime::kHot;
  int threads = 0;    ///< 0: what the artifact's launch plan says
  double best_ns = 0; ///< fastest known in the same regime; 0: none, so nothing is hopeless
  StopRule rule;
  /// For the checked calls, counted from when they start to run; timing has the rule's cap and may
  /// take as long again. Where a best is known it is cut to kTimeoutPerBest times that (and a
  /// second): what is so much slower need not be waited for.
  int timeout_ms = 10'000;
  int64_t memory_limit_bytes = 0; ///< beyond its arguments; 0: the device's default
  bool check = true;              ///< compare with the reference
  bool counters = false;          ///< read performance counters over the timed calls
};

struct FinishedMeasurement {
  Ticket ticket = 0;
  Measurement measurement;
};

/// One kernel in an interleaved comparison.
struct Contender {
  std::string name;
  std::shared_ptr<const codegen::Artifact> artifact;
  std::vector<int64_t> extra_scalars;
  int threads = 0;
  bool check = true;
};

struct CompareRequest {
  WorkloadId workload = 0;
  std::vector<Contender> contenders; ///< the first is what the others are compared with
  Regime regime = Regime::kHot;
  int rounds = 25;     ///< each runs once in each round, in orders that balance who follows whom
  int first_round = 0; ///< where in those orders to begin (timing/sittings.h)
  /// Further sittings (timing/sittings.h), of so many rounds each, follow until every ratio is
  /// known this well: half its 95 % interval is no more than this. 0: one sitting.
  double half_width = 0;
  /// Of those sittings there are this many at the least (timing/sittings.h).
  int sittings = kFewestSittings;
  /// Only the fastest is asked for: who cannot be it any more is left out of further sittings, and
  /// `half_width` is that of the ratios between those who can. Their samples so far are kept.
  bool race = false;
  double max_seconds = 20; ///< for all rounds
  double sample_ns = 1e6;  ///< calls are batched to about this much per turn
  int timeout_ms = 30'000; ///< for loading and checking one contender
  int64_t memory_limit_bytes = 0;
};

/// A contender's side. Sample i of all contenders was taken in round i, so samples pair up.
struct ComparedContender {
  std::string name;
  Measurement measurement; ///< outcome other than ok: it took no part
  /// Time of this over time of the first, per round: median and 95 % interval; above 1 is slower.
  /// The interval is NaN where there were too few rounds or sittings for one.
  double ratio = 1;
  Interval ratio_interval{1, 1};
};

/// What `temper compare` asks for: 2 % of difference are found nearly always (tests/bench/aa.cpp).
inline constexpr double kComparedHalfWidth = 0.01;

/// What the interval says of a contender against the first: kSame when it holds 1, kUndecided when
/// there is none.
enum class Verdict : uint8_t { kSame, kFaster, kSlower, kUndecided };
Verdict verdict_of(const ComparedContender& contender);
const char* to_string(Verdict verdict);

struct Comparison {
  std::vector<ComparedContender> contenders; ///< in the order of the request
  int rounds = 0;                            ///< that were finished
};

/// How the device is doing right now. Times of fixed work compiled into temper: compare the state
/// before a batch with the one after it; more than 2 % of drift and the batch is measured again.
struct DeviceState {
  double anchor_compute_ns = 0; ///< arithmetic in registers: follows the clock frequency
  double anchor_memory_ns = 0;  ///< a stream through a buffer larger than the second-level cache
  double side_by_side = 0;      ///< as Measurement::side_by_side, for the threads asked for
  double steal_ms = 0;          ///< counted by the machine since it started
  /// What the anchors change by here between two looks, without anything being wrong: the median
  /// of recent changes. A virtual machine's clock follows what its neighbours do.
  double usual_drift = 0;

  /// Largest relative change of an anchor between two states, as 0.013.
  static double drift(const DeviceState& before, const DeviceState& after);
  /// More than kAnchorDriftLimit, and more than is usual here: what was measured between the two
  /// is to be measured again.
  static bool drifted(const DeviceState& before, const DeviceState& after);
};
inline constexpr double kAnchorDriftLimit = 0.02;

/// Elements of an output as the reference computed them.
struct ReferenceValues {
  DataType type;    ///< the output's own, or a wider float
  double scale = 0; ///< of all of the output: engine/compare.h
  std::vector<std::byte> bytes;
};

class Measurer {
public:
  virtual ~Measurer() = default;

  /// Fills the arguments and computes the reference results; blocks while the reference runs. An
  /// error names what is wrong with the signature, a distribution or the reference.
  virtual Result<WorkloadId> add_workload(const WorkloadSpec& spec) = 0;
  /// Frees its memory. Tickets that still refer to it must be finished or cancelled.
  virtual void remove_workload(WorkloadId workload) = 0;

  /// Queues a trial. Never fails: what goes wrong arrives as the ticket's Measurement.
  virtual Ticket submit(MeasureRequest request) = 0;
  /// Finished trials; waits up to timeout_ms for the first one, not at all when nothing is queued.
  virtual std::vector<FinishedMeasurement> poll(int timeout_ms) = 0;
  /// Forgets a trial, killing it if it runs; its ticket never comes back. Unknown tickets are
  /// ignored.
  virtual void cancel(Ticket ticket) = 0;
  /// Trials submitted and not yet returned by poll.
  virtual size_t pending() const = 0;
  /// A file descriptor that is readable when poll(0) has something to do; -1 when there is none.
  virtual int event_fd() const { return -1; }

  /// Measures the contenders in interleaved rounds, each in a process of its own that is stopped
  /// while another has its turn. Blocks; waits for queued trials first (they come from poll
  /// later). For final rankings and for peers.
  virtual Result<Comparison> compare(const CompareRequest& request) = 0;

  /// What the reference computed on input set `set` for elements of argument `argument`, given as
  /// [begin, end), one range behind the other. Blocks.
  virtual Result<ReferenceValues>
  reference_values(WorkloadId workload, size_t set, int argument,
                   std::span<const std::pair<int64_t, int64_t>> elements) {
    (void)workload, (void)set, (void)argument, (void)elements;
    return Error(ErrorCode::kUnsupported, "this device does not hand out what references compute");
  }

  /// Times the anchors, and the side-by-side probe for `threads` > 1. Blocks; some 10 ms.
  virtual Result<DeviceState> device_state(int threads) = 0;
};

} // namespace temper::engine
