/// Which task of a batch gets the next stretch of time: the one whose gain a second is expected to
/// be the largest.
///
/// Source: the gradient scheduler of Ansor (Zheng et al., "Ansor: Generating High-Performance
/// Tensor Programs for Deep Learning", OSDI 2020, section 6), with the constants that TVM's
/// MetaSchedule uses. For a task whose best took b(t) after t seconds the expected gain is
///
///   alpha * (b(t') - b(t)) / (t - t') + (1 - alpha) * (b(t) - bound) / t
///
/// where t' lies three rounds back: what was gained of late, and the hope that as much time again
/// gains all that is left. Ours are the seconds (rounds of different tasks do not cost the same)
/// and the bound (a kernel at the machine's peak has nothing left to hope for; Ansor's hope goes
/// down to zero). Similarity between tasks is left out: transfer (tuner/transfer.h) starts a shape
/// from its neighbours already.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace temper::tuner {

/// What a batch makes small.
enum class BatchObjective : uint8_t {
  kTotalTime,   ///< the sum of weight times time: the weights are call counts
  kMeanSpeedup, ///< the weighted mean of log times: each task counts alike, however long it runs
};

class TaskScheduler {
public:
  explicit TaskScheduler(BatchObjective objective) : objective_(objective) {}

  /// Tasks are numbered from 0. `bound_ns`: no kernel is faster; 0: not known.
  size_t add(double weight, double bound_ns = 0);
  void set_bound(size_t task, double bound_ns);
  /// After a round: seconds spent on the task in all, and its best (0: nothing valid yet).
  void observe(size_t task, double seconds, double best_ns);
  /// It gets no more time.
  void finish(size_t task);
  /// It gets time after all.
  void take_up(size_t task);

  /// The task to go on with; none when all are finished. Tasks that had no round yet come first, in
  /// their order; among equals the first.
  std::optional<size_t> next();
  /// Expected gain a second, in the objective's units; 0 before the first round.
  double gradient(size_t task) const;

  /// How often `next` chose, and gradients it computed for that.
  int64_t decisions() const { return decisions_; }
  int64_t gradients() const { return gradients_; }

private:
  struct Point {
    double seconds = 0;
    double best_ns = 0;
  };
  struct Entry {
    double weight = 1;
    double bound_ns = 0;
    bool finished = false;
    int64_t rounds = 0;
    std::deque<Point> recent; ///< oldest first, at most kWindow + 1
  };
  double gain(const Entry& entry) const;

  BatchObjective objective_;
  std::vector<Entry> entries_;
  int64_t decisions_ = 0;
  int64_t gradients_ = 0;
};

} // namespace temper::tuner
