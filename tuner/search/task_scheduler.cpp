#include "tuner/search/task_scheduler.h"

#include <algorithm>

namespace temper::tuner {
namespace {

constexpr double kAlpha = 0.2; // of MetaSchedule's gradient scheduler, as is the window
constexpr size_t kWindow = 3;
constexpr double kLeastSeconds = 1e-3; // a round that took no time would promise endless gain

} // namespace

size_t TaskScheduler::add(double weight, double bound_ns) {
  entries_.push_back({.weight = weight, .bound_ns = bound_ns});
  return entries_.size() - 1;
}

void TaskScheduler::set_bound(size_t task, double bound_ns) { entries_[task].bound_ns = bound_ns; }

void TaskScheduler::observe(size_t task, double seconds, double best_ns) {
  Entry& entry = entries_[task];
  ++entry.rounds;
  entry.recent.push_back({seconds, best_ns});
  if (entry.recent.size() > kWindow + 1)
    entry.recent.pop_front();
}

void TaskScheduler::finish(size_t task) { entries_[task].finished = true; }

void TaskScheduler::take_up(size_t task) { entries_[task].finished = false; }

double TaskScheduler::gradient(size_t task) const { return gain(entries_[task]); }

double TaskScheduler::gain(const Entry& entry) const {
  if (entry.recent.empty() || entry.recent.back().best_ns <= 0)
    return 0;
  const Point& now = entry.recent.back();
  const Point* before = nullptr; // the oldest that has a number to compare with
  for (const Point& point : entry.recent)
    if (point.best_ns > 0 && before == nullptr)
      before = &point;
  double recent = 0;
  if (before != &now)
    recent = std::max(before->best_ns - now.best_ns, 0.0) /
             std::max(now.seconds - before->seconds, kLeastSeconds);
  // A best below the bound refutes the bound.
  const double bound = entry.bound_ns < now.best_ns ? entry.bound_ns : 0;
  const double hope = (now.best_ns - bound) / std::max(now.seconds, kLeastSeconds);
  const double gain = entry.weight * (kAlpha * recent + (1 - kAlpha) * hope);
  return objective_ == BatchObjective::kMeanSpeedup ? gain / now.best_ns : gain;
}

std::optional<size_t> TaskScheduler::next() {
  ++decisions_;
  double sum = 0;
  int64_t known = 0;
  std::vector<double> gains(entries_.size());
  for (size_t i = 0; i < entries_.size(); ++i) {
    const Entry& entry = entries_[i];
    if (entry.finished)
      continue;
    if (entry.rounds == 0)
      return i;
    ++gradients_;
    gains[i] = gain(entry);
    if (const double best_ns = entry.recent.back().best_ns; best_ns > 0) {
      sum += entry.weight * (objective_ == BatchObjective::kMeanSpeedup ? 1 : best_ns);
      ++known;
    }
  }
  std::optional<size_t> best;
  for (size_t i = 0; i < entries_.size(); ++i) {
    const Entry& entry = entries_[i];
    if (entry.finished)
      continue;
    // Nothing valid yet: it may become what the others are on average, but every round in vain
    // makes that less likely.
    if (entry.recent.back().best_ns <= 0)
      gains[i] = (1 - kAlpha) * (known > 0 ? sum / static_cast<double>(known) : 1) /
                 std::max(entry.recent.back().seconds, kLeastSeconds) /
                 static_cast<double>(entry.rounds);
    if (!best || gains[i] > gains[*best])
      best = i;
  }
  return best;
}

} // namespace temper::tuner
