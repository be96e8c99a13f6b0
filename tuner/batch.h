/// Many kernels, one budget: tunes each item of a batch, in turns that a task scheduler
/// (search/task_scheduler.h) gives out by expected gain. What `temper batch` runs; the file is
/// batch_file.h, and simulations hand in fake devices and a fake clock (Devices::now).
///
/// All state is in the database. Each item has a run, whose options name the batch, its generation
/// and what was known before; a batch that is run again finds them: finished ones are told from
/// their rows, the others go on where they were, whatever ended the process. One item that fails is
/// an outcome and stops no other. A run that another process holds is left to that, and looked at
/// again at the end: what that process left is taken over.
///
/// Memory stays flat: at most `live` runs are in memory, the others are put aside and built again
/// from their rows. That costs time (the reference is computed again), so a run that had to be
/// built again gets a turn so long that this is about one per cent of it.
#pragma once

#include "tuner/search/task_scheduler.h"
#include "tuner/tuning_run.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace temper::tuner {

/// An item that is open: its task with what tuning it needs.
struct BatchKernel {
  Task task;
  std::unique_ptr<Space> space;
  TuneOptions options; ///< `stop` is filled in by the batch
  database::Run row;   ///< workload, target, environment and toolchain, which are in the store
};

/// One kernel to be tuned: a workload with one shape.
struct BatchItem {
  std::string title; ///< for messages until it is open
  double weight = 1;
  int64_t trials = 0; ///< at most; 0: until it converges or the batch's budget is spent
  double seconds = 0;
  std::vector<std::string> tags;
  /// Equal for items that are the same kernel: workload, binding, target, threads. Empty: not
  /// known.
  std::string kernel;
  /// Called once or more, whenever its turn begins. An error is the item's outcome, unless it is
  /// the machine's (ErrorCode::kEnvironment), which is tried again.
  std::function<Result<std::unique_ptr<BatchKernel>>()> open;
};

/// Makes one of items that are the same kernel, in the place of the first: their weights add up,
/// the larger budget counts (none is the largest), tags unite. A kernel has one run in a batch.
/// Returns pairs of indices as they were before: the item that stays, and the one that went into
/// it.
std::vector<std::pair<size_t, size_t>> merge_equal(std::vector<BatchItem>& items);

struct BatchOptions {
  std::string name; ///< what its runs are found by
  BatchObjective objective = BatchObjective::kMeanSpeedup;
  int64_t trials = 0; ///< of all items together, over all continuations; 0: no bound
  double seconds = 0; ///< likewise
  bool again = false; ///< a new generation: leave what is finished alone and start anew
  std::string strategy = "auto";
  uint64_t seed = 1;
  std::string cache = "hot"; ///< for `temper resume` of one of its runs
  std::string command_line;
  size_t live = 16;      ///< runs in memory
  double live_bytes = 0; ///< of their arguments and references; 0: no bound
  double turn = 100;     ///< a turn's length over the time it took to build the run again
  /// Wait so long for a store that does not answer (a server that is started again) before giving
  /// up; 0: a file does not come back by itself.
  double store_patience_seconds = 0;
};

enum class BatchVerdict : uint8_t {
  kWon,        ///< faster than what was known before, or than the untuned program
  kSame,       ///< nothing faster was found
  kFailed,     ///< see `reason`
  kUnfinished, ///< goes on when the batch is run again
  kElsewhere,  ///< another process is at work on it
};
const char* to_string(BatchVerdict verdict); ///< "won", "same", "failed", "unfinished", "elsewhere"

struct BatchOutcome {
  std::string title;
  BatchVerdict verdict = BatchVerdict::kUnfinished;
  std::string reason; ///< why it failed or stopped
  database::Id workload;
  database::Id run;
  database::Id record;   ///< of the best
  double before_ns = 0;  ///< best known before the batch; 0: there was none
  double untuned_ns = 0; ///< 0: not measured
  double best_ns = 0;
  Interval best_interval;
  double flops = 0;
  std::string binding_json; ///< of the workload
  double weight = 1;
  int64_t trials = 0;
  double seconds = 0;   ///< over all continuations
  bool earlier = false; ///< finished by an earlier call

  /// What it is held against: known before, else untuned; 0: neither is known.
  double baseline_ns() const { return before_ns > 0 ? before_ns : untuned_ns; }
};

/// What the scheduler cost.
struct BatchCounts {
  int64_t rounds = 0;      ///< batches of candidates
  int64_t decisions = 0;   ///< of the scheduler
  int64_t rebuilt = 0;     ///< runs that were put aside and built again
  double seconds = 0;      ///< of this call
  double work_seconds = 0; ///< in runs: compiling, measuring, learning
  double rebuild_seconds = 0;
  /// All that is no work: deciding, putting aside, building again.
  double overhead_seconds() const { return seconds - work_seconds; }
};

struct BatchResult {
  std::vector<BatchOutcome> outcomes; ///< in the items' order
  BatchCounts counts;
  int64_t trials = 0; ///< of all items over all continuations
  double seconds = 0;
  bool interrupted = false;
  std::optional<Error> error; ///< what ended all of it: the store
};

struct BatchProgress {
  std::string title; ///< of the item at work
  size_t item = 0;
  size_t finished = 0;
  size_t items = 0;
  int64_t trials = 0; ///< of all items
  double seconds = 0;
  double flops = 0;         ///< of the item at work
  std::string binding_json; ///< likewise
  TuneProgress tune;
};

struct BatchHooks {
  std::function<void(const BatchProgress&)> progress;
  std::function<bool()> interrupted;
  std::function<void(const BatchOutcome&)> finished;
  /// After an outcome was committed.
  std::function<void(const BatchItem&, const database::Id& record, const engine::Measurement&)>
      recorded;
  std::function<void(double seconds)> wait; ///< empty: sleeps
};

/// Runs of a batch, whatever their generation, for the workload, target, environment, toolchain and
/// cache regime of `row`; newest first.
Result<std::vector<database::Run>> batch_runs(database::Store& store, const std::string& batch,
                                              const std::string& cache, const database::Run& row);
/// 1 for the first; 0 for a run of no batch.
int64_t batch_generation(const database::Run& run);

BatchResult run_batch(const std::vector<BatchItem>& items, const Devices& devices,
                      const BatchOptions& options, const BatchHooks& hooks);

} // namespace temper::tuner
