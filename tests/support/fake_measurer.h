/// A Measurer without a device, for tests of what sits above it: a function says what each
/// artifact "measures". Results come back in order, `latency` polls late, so that asynchronous
/// callers are exercised.
#pragma once

#include "engine/measurer.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <set>

namespace temper::engine {

class FakeMeasurer : public Measurer {
public:
  using Model = std::function<Measurement(const MeasureRequest&)>;

  /// By default every artifact is right and takes 1 us.
  explicit FakeMeasurer(Model model = {}, int latency = 0)
      : model_(std::move(model)), latency_(latency) {}

  /// A correct measurement of `ns` per call with 1 % of spread.
  static Measurement took(double ns) {
    Measurement measurement;
    measurement.outcome = Outcome::kOk;
    for (double factor : {0.99, 0.995, 1.0, 1.0, 1.0, 1.005, 1.01})
      measurement.samples_ns.push_back(ns * factor);
    measurement.median_ns = ns;
    measurement.interval = {ns * 0.99, ns * 1.01};
    measurement.calls_per_sample = 1;
    measurement.measure_ms = 1;
    return measurement;
  }
  static Measurement failed(Outcome outcome, std::string error) {
    Measurement measurement;
    measurement.outcome = outcome;
    measurement.error = std::move(error);
    measurement.stage = outcome == Outcome::kCompileFailed ? "compile" : "check";
    return measurement;
  }

  Result<WorkloadId> add_workload(const WorkloadSpec& spec) override {
    workloads.push_back(spec);
    return static_cast<WorkloadId>(workloads.size());
  }
  void remove_workload(WorkloadId) override {}

  Ticket submit(MeasureRequest request) override {
    queue_.push_back({next_ticket_, measure(request), latency_});
    requests.push_back(std::move(request));
    return next_ticket_++;
  }
  std::vector<FinishedMeasurement> poll(int) override {
    std::vector<FinishedMeasurement> done;
    while (!queue_.empty() && queue_.front().wait-- <= 0) {
      done.push_back({queue_.front().ticket, std::move(queue_.front().measurement)});
      queue_.pop_front();
    }
    return done;
  }
  void cancel(Ticket ticket) override {
    std::erase_if(queue_, [&](const Entry& entry) { return entry.ticket == ticket; });
  }
  size_t pending() const override { return queue_.size(); }

  Result<Comparison> compare(const CompareRequest& request) override {
    Comparison comparison;
    comparison.rounds = request.rounds;
    for (const Contender& contender : request.contenders) {
      MeasureRequest single;
      single.workload = request.workload;
      single.artifact = contender.artifact;
      single.regime = request.regime;
      ComparedContender& compared = comparison.contenders.emplace_back();
      compared.name = contender.name;
      compared.measurement = measure(single);
      const double first = comparison.contenders.front().measurement.median_ns;
      compared.ratio = first > 0 ? compared.measurement.median_ns / first : 1;
      compared.ratio_interval = {compared.ratio * 0.99, compared.ratio * 1.01};
    }
    return comparison;
  }
  Result<DeviceState> device_state(int threads) override {
    return DeviceState{1e5, 1e6, threads > 1 ? 1.0 : 0.0, 0};
  }

  std::vector<WorkloadSpec> workloads;  ///< everything that was added
  std::vector<MeasureRequest> requests; ///< everything that was submitted

private:
  struct Entry {
    Ticket ticket;
    Measurement measurement;
    int wait;
  };
  Measurement measure(const MeasureRequest& request) const {
    return model_ ? model_(request) : took(1000);
  }

  Model model_;
  int latency_;
  Ticket next_ticket_ = 1;
  std::deque<Entry> queue_;
};

} // namespace temper::engine
