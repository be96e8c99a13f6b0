#include "tuner/tuning_run.h"

#include "codegen/artifact_json.h"
#include "codegen/lower_for_estimate.h"
#include "engine/believed.h"
#include "ir/s_tir/trace_json.h"
#include "ir/structural.h"
#include "ir/support/json.h"
#include "ir/support/parallel.h"
#include "tuner/compile_protocol.h"
#include "tuner/emulation.h"
#include "tuner/gpu_counters.h"
#include "tuner/gpu_pruning.h"
#include "tuner/record_mapping.h"
#include "tuner/search/draws_ahead.h"
#include "tuner/transfer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <optional>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include <poll.h>
#include <unistd.h>

namespace temper::tuner {

using engine::Outcome;
using ArtifactRef = std::shared_ptr<const codegen::Artifact>;

namespace {

Json stage_json(const FunnelStage& stage) {
  Json json{{"count", stage.count}};
  if (!stage.first_error.empty())
    json["first_error"] = stage.first_error;
  if (!stage.refused.empty())
    json["refused"] = stage.refused;
  return json;
}

void stage_from_json(const Json& json, FunnelStage& stage) {
  stage.count = json.value("count", int64_t{0});
  stage.first_error = json.value("first_error", "");
  if (json.contains("refused"))
    for (const auto& [reason, count] : json["refused"].items())
      stage.refused[reason] = count.get<int64_t>();
}

constexpr std::pair<const char*, FunnelStage Funnel::*> kStages[] = {
    {"proposed", &Funnel::proposed}, {"legal", &Funnel::legal},     {"compiled", &Funnel::compiled},
    {"ran", &Funnel::ran},           {"correct", &Funnel::correct}, {"timed", &Funnel::timed}};

Funnel funnel_from_json(const std::string& text) {
  Funnel funnel;
  const Result<Json> json = parse_json(text);
  if (json && json->is_object())
    for (const auto& [name, member] : kStages)
      if (json->contains(name) && (*json)[name].is_object())
        stage_from_json((*json)[name], funnel.*member);
  return funnel;
}

} // namespace

std::string funnel_to_json(const Funnel& funnel) {
  Json json = Json::object();
  for (const auto& [name, member] : kStages)
    json[name] = stage_json(funnel.*member);
  return json.dump();
}

engine::WorkloadSpec workload_spec(const Task& task, ArtifactRef reference, uint64_t seed) {
  engine::WorkloadSpec spec;
  spec.name = task.title();
  spec.signature = task.signature;
  spec.input_sets = engine::default_input_sets(seed, task.inputs);
  spec.reference = std::move(reference);
  spec.tolerance = task.tolerance;
  spec.output_tolerances = task.output_tolerances;
  spec.reduction_length = task.reduction_length;
  spec.floor_ns = roofline_ns(task);
  return spec;
}

std::function<double()> Devices::clock() const {
  if (now)
    return now;
  return [] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  };
}

namespace {

using Clock = std::function<double()>;

/// Adds the time until it is destroyed to a sum of seconds.
class PhaseTimer {
public:
  PhaseTimer(const Clock& now, double& seconds) : now_(now), seconds_(seconds), start_(now()) {}
  PhaseTimer(const PhaseTimer&) = delete;
  ~PhaseTimer() { seconds_ += now_() - start_; }

private:
  const Clock& now_;
  double& seconds_;
  double start_;
};

/// Forgets what is still under way when it goes: an error must not leave it to the next user of a
/// device.
template <typename Device> class Tickets : public std::unordered_map<engine::Ticket, size_t> {
public:
  explicit Tickets(Device& device) : device_(device) {}
  Tickets(const Tickets&) = delete;
  ~Tickets() { cancel(); }

  void cancel() {
    for (const auto& [ticket, index] : *this)
      device_.cancel(ticket);
    this->clear();
  }

private:
  Device& device_;
};

/// Of the last 32 or so.
class LateMean {
public:
  explicit LateMean(double guess) : mean_(guess) {}
  void add(double value) {
    constexpr double kRemembered = 32;
    count_ = std::min(count_ + 1, kRemembered);
    mean_ += (value - mean_) / count_;
  }
  operator double() const { return mean_; }

private:
  double mean_;
  double count_ = 4; ///< the guess is worth so many
};

struct Estimated {
  double seconds = std::numeric_limits<double>::infinity();
  uint64_t lowered_hash = 0; ///< 0: cannot be lowered
};

struct Compiled {
  CandidateRef candidate;
  ArtifactRef artifact{};   ///< null when it failed
  bool is_compiled = false; ///< or failed to
  std::string error{};
  std::string log{}; ///< what the compiler wrote
  double compile_ms = 0;
  double score = 0;
  uint64_t lowered_hash = 0; ///< 0: not known
  bool is_twin = false;      ///< lowered to what another one was: not compiled
};

} // namespace

class TuningRun::Impl {
public:
  Impl(const Task& task, const Space& space, const database::Run& run,
       const database::RunClaim& claim, const Devices& devices, const TuneOptions& options,
       const TuneHooks& hooks)
      : task_(task), space_(space), run_(run), claim_(claim), devices_(devices), options_(options),
        hooks_(hooks), now_(devices.clock()),
        random_(run.random_state != 0 ? Random::from_state(run.random_state) : Random(run.seed)) {
    funnel_ = funnel_from_json(run.funnel_json);
    trials_ = run.trials;
    state_.space = &space;
    state_.funnel = &funnel_;
  }

  ~Impl() {
    if (workload_ != 0)
      devices_.measurer->remove_workload(workload_);
  }

  Result<void> prepare() {
    if (strategy_)
      return {};
    const Working working(*this);
    if (task_.target.is_cpu())
      TEMPER_TRY_VOID(refuse_faulty(task_));
    TEMPER_TRY(strategy, make_strategy(run_.strategy));
    TEMPER_TRY(model, make_xgboost_model());
    model_ = std::move(model);
    state_.model = model_.get();
    if (const auto lowering = lower_options_for(task_.target, task_.threads <= 1)) {
      state_.estimate = [this, options = *lowering](std::span<const CandidateRef> candidates) {
        return estimate(candidates, options);
      };
      state_.code = [this](const Candidate& candidate) { return lowered_hash(candidate); };
    }
    TEMPER_TRY_VOID(prepare_search());
    TEMPER_TRY_VOID(decide_company(false));
    // The untuned program comes last: the first trials are for what may be fast.
    untuned_is_known_ = state_.seen.contains(space_.untuned()->program_hash);
    state_.seen.insert(space_.untuned()->program_hash);
    strategy_ = std::move(strategy);
    return {};
  }

  Result<bool> step() {
    TEMPER_TRY_VOID(prepare());
    const Working working(*this);
    while (true) {
      const std::vector<CandidateRef> batch = next_batch();
      if (!batch.empty()) {
        TEMPER_TRY_VOID(measure_batch(batch));
        return true;
      }
      if (untuned_is_known_ || interrupted())
        return false;
      TEMPER_TRY_VOID(measure_untuned());
      // Where its code was known already, its trial is left to spend.
    }
  }

  Result<TuneResult> finish(const std::string& because) {
    TEMPER_TRY_VOID(prepare());
    const Working working(*this);
    if (!untuned_is_known_ && !interrupted())
      TEMPER_TRY_VOID(measure_untuned());
    TuneResult result;
    result.interrupted = interrupted();
    result.paused = pause_requested_;
    result.stopped_because = because.empty() || result.interrupted ? stop_reason() : because;
    if (!result.interrupted) {
      report("confirm");
      TEMPER_TRY_VOID(confirm());
    }
    TEMPER_TRY_VOID(put_aside());
    result.run = run_.id;
    result.best_record = best_record_;
    result.best_is_untuned = !best_record_.empty() && best_hash_ == space_.untuned()->program_hash;
    result.finals_slower = finals_slower_;
    result.best_ns = best_ns_;
    result.best_interval = best_interval_;
    result.untuned_ns = untuned_ns();
    result.trials = trials_;
    result.seconds = seconds();
    result.phases = phases_;
    result.funnel = funnel_;
    result.transferred = static_cast<int64_t>(state_.transferred.size());
    return result;
  }

  /// An event of the run.
  Result<void> note(std::string kind, const Json& about) {
    database::Event event;
    event.run = run_.id;
    event.kind = std::move(kind);
    event.json = about.dump();
    return devices_.store->add(event);
  }

  Result<void> put_aside() { return devices_.store->update_run(claim_, progress_row()); }

  TuneProgress progress(const char* phase) const {
    return {trials_, failures_, seconds(), best_ns_, quality_, phase};
  }
  double untuned_ns() const {
    if (best_confirmed_ && best_hash_ == space_.untuned()->program_hash)
      return best_ns_;
    return times_untuned_ > 0 ? times_untuned_ * best_ns_ : untuned_ns_;
  }
  PhaseSeconds phases() const { return phases_; }
  int64_t trials_since_gain() const { return trials_ - trials_at_gain_; }

private:
  /// While one is there, time counts as the run's.
  class Working {
  public:
    explicit Working(Impl& run) : run_(run) {
      if (run_.depth_++ == 0)
        run_.since_ = run_.now_();
    }
    Working(const Working&) = delete;
    ~Working() {
      if (--run_.depth_ == 0)
        run_.worked_ += run_.now_() - run_.since_;
    }

  private:
    Impl& run_;
  };

  Result<void> prepare_search() {
    const PhaseTimer timer(now_, phases_.prepare);
    TEMPER_TRY_VOID(recall());
    if (!options_.fresh) {
      TEMPER_TRY_VOID(start_from_other_shapes());
    }
    report("reference");
    return prepare_workload();
  }

  /// Null where the strategy does not, or the space is for one thread.
  DrawsAhead* draws_ahead() const {
    return space_.is_shared() ? dynamic_cast<DrawsAhead*>(strategy_.get()) : nullptr;
  }

  std::vector<CandidateRef> propose(Strategy& strategy, int64_t count) {
    const PhaseTimer timer(now_, phases_.propose);
    if (const auto stream = std::exchange(ahead_, std::nullopt)) // nobody was idle
      draws_ahead()->draw_ahead(space_, *stream, false);
    return strategy.propose(static_cast<size_t>(count), state_, random_);
  }

  /// What to measure next; nothing when there is a reason to stop. One trial is reserved for the
  /// untuned program until that is known.
  std::vector<CandidateRef> next_batch() {
    if (!stop_reason().empty())
      return {};
    auto count = static_cast<int64_t>(options_.batch);
    if (options_.stop.trials > 0)
      count = std::min(count, options_.stop.trials - trials_ - (untuned_is_known_ ? 0 : 1));
    if (count <= 0)
      return {};
    std::vector<CandidateRef> batch = propose(*strategy_, count);
    exhausted_ = batch.empty();
    // In the last batch the untuned program comes along: one look at the device less.
    if (!batch.empty() && !untuned_is_known_ && options_.stop.trials > 0 &&
        trials_ + static_cast<int64_t>(batch.size()) + 1 >= options_.stop.trials) {
      count_untuned();
      // As a rule it takes the longest to time: others are compiled meanwhile.
      batch.insert(best_ns_ > 0 ? batch.begin() : batch.end(), space_.untuned());
    }
    return batch;
  }

  Result<void> measure_untuned() {
    count_untuned();
    return measure_batch({space_.untuned()});
  }

  /// -1: it is not counted any more.
  void count_untuned(int count = 1) {
    funnel_.proposed.count += count;
    funnel_.legal.count += count;
    untuned_is_known_ = count > 0;
  }

  double seconds() const { return run_.seconds + worked_ + (depth_ > 0 ? now_() - since_ : 0); }

  /// Each program once, on all processors: nothing is measured meanwhile.
  std::vector<double> estimate(std::span<const CandidateRef> candidates,
                               const codegen::LowerOptions& options) {
    std::vector<std::pair<const Candidate*, Estimated*>> unknown;
    for (const CandidateRef& candidate : candidates)
      if (const auto [at, is_new] = estimates_.try_emplace(candidate->program_hash); is_new)
        unknown.emplace_back(candidate.get(), &at->second);
    constexpr size_t kGrain = 4;
    parallel_for(unknown.size(), kGrain,
                 [&](size_t i) { *unknown[i].second = estimate_one(*unknown[i].first, options); });
    std::vector<double> times;
    for (const CandidateRef& candidate : candidates)
      times.push_back(estimates_.at(candidate->program_hash).seconds);
    return times;
  }

  Estimated estimate_one(const Candidate& candidate, const codegen::LowerOptions& options) const {
    auto lowered = codegen::lower_for_estimate(candidate.module, options);
    if (!lowered || (*lowered)->functions.empty())
      return {};
    const auto function = (*lowered)->functions.front().function.as_ref<ir::PrimFuncNode>();
    if (!function)
      return {};
    return {estimate_time(function, options_.rates, task_.threads).total_ns * 1e-9,
            ir::structural_hash(*lowered)};
  }

  /// What a candidate is lowered to, as a hash; 0 where nobody has lowered it here.
  uint64_t lowered_hash(const Candidate& candidate) const {
    const auto known = estimates_.find(candidate.program_hash);
    return known != estimates_.end() ? known->second.lowered_hash : 0;
  }

  bool interrupted() { return stop_requested_ || (hooks_.interrupted && hooks_.interrupted()); }

  std::string stop_reason() {
    return options_.stop.reached({.trials = trials_,
                                  .seconds = seconds(),
                                  .trials_since_gain = trials_ - trials_at_gain_,
                                  .best_ns = best_ns_,
                                  .bound_ns = options_.bound_ns,
                                  .space_exhausted = exhausted_,
                                  .interrupted = interrupted()});
  }

  void report(const char* phase) {
    if (hooks_.progress)
      hooks_.progress(progress(phase));
  }

  database::RunProgress progress_row() const {
    return {random_.state(), trials_, seconds(), funnel_to_json(funnel_), {}};
  }

  /// What hardware counters say of it, where somebody had them read (temper rerun --counters).
  std::optional<Counted> counted_in(const database::MeasuredProgram& row) const {
    const auto gpu = codegen::gpu_limits(task_.target);
    return gpu ? counted_of(counters_of(row.counters_json), gpu->architecture) : std::nullopt;
  }

  /// What this run, and unless `fresh` others, already measured of this workload here.
  Result<void> recall() {
    std::vector<CostSample> samples;
    TEMPER_TRY_VOID(
        devices_.store->measured_programs(run_.workload, [&](const database::MeasuredProgram& row) {
          const bool same_key =
              row.target == run_.target && row.threads == task_.threads &&
              row.environment_class == devices_.environment_class &&
              row.toolchain == run_.toolchain &&
              database::to_string(row.regime) == std::string_view(engine::to_string(task_.regime));
          if (!same_key || (options_.fresh && !is_own(row.record)))
            return true;
          const auto trace = s_tir::trace_from_json_text(row.program);
          if (!trace || !space_.admits(*trace))
            return true;
          const auto candidate = space_.apply(*trace, "database");
          if (!candidate)
            return true;
          const bool timed = row.outcome == database::Outcome::kOk;
          const double time = timed ? row.median_ns * 1e-9 : kFailed;
          state_.seen.insert((*candidate)->program_hash);
          state_.trials.push_back({*candidate, time});
          if (is_untuned(**candidate) && timed)
            untuned_ns_ = row.median_ns;
          candidate_ids_[(*candidate)->program_hash] = row.candidate;
          samples.push_back({(*candidate)->features, time, counted_in(row)});
          if (timed)
            note_best(**candidate, row.median_ns, {row.median_ns, row.median_ns}, row.record);
          return true;
        }));
    if (!samples.empty())
      model_->update(samples);
    trials_at_gain_ = trials_ - options_.trials_since_gain;
    return {};
  }

  Result<void> start_from_other_shapes() {
    TEMPER_TRY(known, transfer(*devices_.store, task_, space_));
    if (known.candidates.empty() && known.dropped == 0)
      return {};
    TEMPER_TRY_VOID(
        note("transferred", {{"candidates", known.candidates.size()}, {"dropped", known.dropped}}));
    state_.transferred = std::move(known.candidates);
    return {};
  }

  bool is_own(const database::Id& record) {
    const auto row = devices_.store->measurement(record);
    return row && row->run == run_.id;
  }

  Result<void> prepare_workload() {
    if (task_.reference) {
      TEMPER_TRY(reference, compile_reference());
      reference_ = std::move(reference);
    }
    TEMPER_TRY(workload, devices_.measurer->add_workload(
                             workload_spec(task_, reference_, hash_combine(run_.seed, 1))));
    workload_ = workload;
    return {};
  }

  Result<ArtifactRef> compile_reference() {
    const engine::Ticket ticket = devices_.compilers->submit(encode(reference_request(task_)));
    while (true) {
      for (engine::CompileFinished& done : devices_.compilers->poll(200)) {
        if (done.ticket != ticket)
          continue;
        if (done.outcome != Outcome::kOk)
          return Error(ErrorCode::kFailed,
                       "the reference of '" + task_.workload + "' does not compile: " + done.error);
        TEMPER_TRY(artifact, codegen::deserialize_artifact(done.response));
        return ArtifactRef(std::make_shared<codegen::Artifact>(std::move(artifact)));
      }
      if (interrupted())
        return Error(ErrorCode::kInterrupted, "interrupted while compiling the reference");
      if (devices_.compilers->pending() == 0)
        return lost("compile processes", 1);
    }
  }

  /// What was handed in will never come back; waiting for it would take for ever.
  static Error lost(const char* who, size_t count) {
    return Error(ErrorCode::kEnvironment,
                 fmt::format("the {} lost {} request{}; `temper resume` goes on from what is kept",
                             who, count, count == 1 ? "" : "s"));
  }

  engine::Ticket ask_to_compile(const Candidate& candidate) {
    return devices_.compilers->submit(
        encode(candidate_request(task_, s_tir::trace_to_json_text(candidate.trace))));
  }

  static void take_compiled(Compiled& item, engine::CompileFinished& done) {
    item.is_compiled = true;
    item.compile_ms = done.compile_ms;
    item.log = done.stderr_tail;
    if (done.outcome != Outcome::kOk) {
      item.error = done.error;
      return;
    }
    Result<codegen::Artifact> artifact = codegen::deserialize_artifact(done.response);
    if (artifact)
      item.artifact = std::make_shared<codegen::Artifact>(std::move(*artifact));
    else
      item.error = artifact.error().message;
  }

  /// All that is ready, `items` by ticket; an error when nothing more will come.
  Result<bool> poll_compilers(Tickets<engine::CompilePool>& tickets, std::vector<Compiled>& items,
                              int timeout_ms) {
    bool any = false;
    for (engine::CompileFinished& done : devices_.compilers->poll(timeout_ms))
      if (const auto ticket = tickets.find(done.ticket); ticket != tickets.end()) {
        take_compiled(items[ticket->second], done);
        tickets.erase(ticket);
        any = true;
      }
    if (!tickets.empty() && devices_.compilers->pending() == 0)
      return lost("compile processes", tickets.size());
    return any;
  }

  /// While nothing is measured.
  Result<std::vector<Compiled>> compile(const std::vector<CandidateRef>& batch) {
    Tickets tickets(*devices_.compilers);
    std::vector<Compiled> items(batch.size());
    for (size_t i = 0; i < batch.size(); ++i) {
      items[i].candidate = batch[i];
      tickets[ask_to_compile(*batch[i])] = i;
    }
    while (!tickets.empty() && !interrupted())
      TEMPER_TRY_VOID(poll_compilers(tickets, items, 200));
    std::erase_if(items, [](const Compiled& item) { return !item.is_compiled; });
    return items;
  }

  /// A batch on its way.
  struct Batch {
    std::vector<Compiled> items; ///< as they were proposed
    std::vector<Compiled> timed; ///< those that compile, to code that was not known
    std::vector<double> latest;  ///< seconds of `timed`
    /// Those with the code of another one, by code_hash.
    std::vector<std::pair<CandidateRef, uint64_t>> twins;
    std::vector<CostSample> samples;
  };

  Result<void> measure_batch(const std::vector<CandidateRef>& candidates) {
    for (const CandidateRef& candidate : candidates)
      state_.seen.insert(candidate->program_hash);
    std::vector<const FeatureMatrix*> features;
    for (const CandidateRef& candidate : candidates)
      features.push_back(&candidate->features);
    const bool predicted = model_->is_trained();
    const std::vector<double> scores = model_->predict(features);
    Batch batch;
    batch.items.resize(candidates.size());
    for (size_t i = 0; i < candidates.size(); ++i) {
      batch.items[i].candidate = candidates[i];
      batch.items[i].score = predicted ? scores[i] : 0;
      batch.items[i].lowered_hash = lowered_hash(*candidates[i]);
    }

    std::vector<double> measured_scores;
    if (draws_ahead() != nullptr)
      ahead_ = random_.fork();
    {
      const PhaseTimer timer(now_, phases_.measure);
      TEMPER_TRY_VOID(steadily("batch", [&](std::optional<double> drift) {
        return drift ? measure_again(batch, *drift) : compile_and_measure(batch);
      }));
    }
    for (size_t i = 0; i < batch.timed.size(); ++i) {
      const Compiled& item = batch.timed[i];
      state_.trials.push_back({item.candidate, batch.latest[i]});
      batch.samples.push_back({item.candidate->features, batch.latest[i]});
      measured_scores.push_back(item.score);
      code_seconds_[item.artifact->code_hash] = batch.latest[i];
    }
    // Equal code is one trial: what is known of it holds for this candidate too.
    for (const auto& [candidate, code_hash] : batch.twins) {
      const double seconds = code_seconds_.at(code_hash);
      batch.samples.push_back({candidate->features, seconds});
      // What was given up after a call or two has no time to be held against others.
      if (is_untuned(*candidate) && std::isfinite(seconds) && !given_up_.contains(code_hash))
        untuned_ns_ = seconds * 1e9;
    }
    if (predicted && measured_scores.size() > 1) {
      quality_ = model_quality(measured_scores, batch.latest);
      database::ModelQuality row;
      row.run = run_.id;
      row.batch = batch_number_;
      row.trials_seen = static_cast<int64_t>(state_.trials.size());
      row.rank_correlation = quality_.rank_correlation;
      row.top_recall = quality_.top_recall;
      row.top_k = std::max<int64_t>(1, quality_.candidates / 4);
      TEMPER_TRY_VOID(devices_.store->add(row));
    }
    ++batch_number_;
    if (!batch.samples.empty()) {
      const PhaseTimer timer(now_, phases_.propose);
      model_->update(batch.samples);
    }
    report("search");
    return {};
  }

  /// GPU code that is not worth a run, by what it says itself and against the best.
  std::optional<GpuRefusal> refused_by_code(const codegen::Artifact& code) const {
    if (auto refused = refused_code(code.facts, task_.target.arch))
      return refused;
    const auto limits = codegen::gpu_limits(task_.target);
    if (!limits)
      return std::nullopt;
    return refused_bound(gpu_bound(task_, code, limits->architecture), best_ns_, nullptr);
  }

  /// What came of compiling: a failure is recorded, equal code is one trial, all else is to be
  /// timed.
  Result<void> sort_out(Compiled& item, Batch& batch) {
    if (item.is_twin) {
      const auto first = code_of_lowered_.find(item.lowered_hash);
      ++funnel_.compiled.count;
      funnel_.refuse(funnel_.ran, "same_code", {});
      if (first == code_of_lowered_.end()) // did not compile, or was not worth a run
        batch.samples.push_back({item.candidate->features, kFailed});
      else
        batch.twins.emplace_back(item.candidate, first->second);
      return {};
    }
    if (item.artifact == nullptr) {
      funnel_.refuse(funnel_.compiled, "compile_failed", item.error);
      engine::Measurement failed;
      failed.outcome = Outcome::kCompileFailed;
      failed.stage = "compile";
      failed.error = item.error;
      failed.log = trial_log(item.log, {});
      failed.compile_ms = item.compile_ms;
      failed.regime = task_.regime;
      TEMPER_TRY_VOID(record(item, failed));
      batch.samples.push_back({item.candidate->features, kFailed});
      return {};
    }
    ++funnel_.compiled.count;
    compile_ms_.add(item.compile_ms);
    if (item.artifact->kind == codegen::ArtifactKind::kCubin)
      if (const auto refused = refused_by_code(*item.artifact)) {
        funnel_.refuse(funnel_.ran, refused->reason, refused->message);
        engine::Measurement pruned;
        pruned.outcome = refused->outcome;
        pruned.stage = refused->reason;
        pruned.error = refused->message;
        pruned.compile_ms = item.compile_ms;
        pruned.regime = task_.regime;
        TEMPER_TRY_VOID(record(item, pruned));
        batch.samples.push_back({item.candidate->features, kFailed});
        return {};
      }
    if (item.lowered_hash != 0)
      code_of_lowered_.emplace(item.lowered_hash, item.artifact->code_hash);
    if (!code_seconds_.emplace(item.artifact->code_hash, kFailed).second) {
      funnel_.refuse(funnel_.ran, "same_code", {});
      batch.twins.emplace_back(item.candidate, item.artifact->code_hash);
      return {};
    }
    batch.timed.push_back(std::move(item));
    batch.latest.push_back(kFailed);
    return {};
  }

  /// Compiles on all processors, then times, in the order of the batch. Where the machine bears a
  /// compiler beside what is timed, timing begins as soon as it will take as long as compiling the
  /// rest on the other processors. Should the device run out of what is compiled all the same, all
  /// processors compile again for a while. True: something was timed.
  Result<bool> compile_and_measure(Batch& batch) {
    Tickets compiling(*devices_.compilers);
    Tickets measuring(*devices_.measurer);
    size_t count = batch.items.size();
    const size_t workers = std::max<size_t>(devices_.compilers->worker_pids().size(), 1);
    const bool beside = beside_ && workers > 1;
    // Compiling may end a little after timing: then there is a way back, from the reverse none.
    constexpr double kLag = 1.2;
    double since = now_(); ///< when timing began, or ended
    size_t asked = 0;      ///< to compile
    size_t sorted = 0;     ///< of those that came back
    size_t next = 0;       ///< of batch.timed, to hand to the device
    bool drains = false;
    bool timing = false;
    std::jthread drawing; ///< while the last ones are timed; joined at the end
    const auto note_phase = [&] {
      const double now = now_();
      if (!timing) {
        phases_.compile += now - since;
        phases_.measure -= now - since; // which counts all of this
      }
      since = now;
    };
    while (sorted < count || next < batch.timed.size() || !measuring.empty()) {
      const size_t most = !beside ? count : drains ? workers - 1 : workers;
      for (; asked < count && compiling.size() < most; ++asked) {
        Compiled& item = batch.items[asked];
        item.is_twin = item.lowered_hash != 0 && !state_.codes.insert(item.lowered_hash).second;
        if (item.is_twin)
          item.is_compiled = true; // what becomes of the first one holds for it
        else
          compiling[ask_to_compile(*item.candidate)] = asked;
      }
      if (sorted > 0 && sorted < count && time_is_up()) {
        // Some compile for seconds each: what did not come back is left, the rest still timed.
        compiling.cancel();
        leave_uncompiled(batch, sorted);
        asked = count = batch.items.size();
      }
      for (; sorted < count && batch.items[sorted].is_compiled; ++sorted)
        TEMPER_TRY_VOID(sort_out(batch.items[sorted], batch));
      if (timing && sorted < count && next == batch.timed.size() && measuring.empty()) {
        note_phase();
        timing = drains = false;
      }
      if (!timing) {
        const size_t to_compile = count - asked + compiling.size();
        const size_t to_time = batch.timed.size() - next + to_compile;
        drains = beside && next < batch.timed.size() &&
                 static_cast<double>(to_compile) * compile_ms_ <=
                     kLag * static_cast<double>(to_time * (workers - 1)) * measure_ms_;
        if (sorted == count || (drains && compiling.size() < workers)) {
          note_phase();
          timing = true;
        }
      }
      // Two at a time, so that each is held against the best that is known when it starts: in a
      // first batch the slow ones would else be timed in full.
      for (; timing && next < batch.timed.size() && measuring.size() < 2; ++next)
        hand_over(measuring, batch, next);
      if (compiling.empty() && measuring.empty())
        continue;
      if (beside && timing && sorted == count && ahead_ && !drawing.joinable())
        drawing = draw_ahead(batch.timed.size() - next + measuring.size());
      if (!beside) { // one of them is at work, never both
        if (!compiling.empty()) {
          TEMPER_TRY_VOID(poll_compilers(compiling, batch.items, 200));
        } else {
          TEMPER_TRY_VOID(poll_device(measuring, batch, false, 200));
        }
      } else {
        bool any = false;
        if (!compiling.empty()) {
          TEMPER_TRY(compiled, poll_compilers(compiling, batch.items, 0));
          any = compiled;
        }
        if (!measuring.empty()) {
          TEMPER_TRY(measured, poll_device(measuring, batch, false, 0));
          any = any || measured;
        }
        if (!any)
          wait_for(compiling.empty() ? -1 : devices_.compilers->event_fd(),
                   measuring.empty() ? -1 : devices_.measurer->event_fd());
      }
      if (interrupted())
        break;
    }
    note_phase();
    return next > 0;
  }

  /// Draws on another thread what the next proposal wants, when there is to be one: `left` trials
  /// are still to come of this batch.
  std::jthread draw_ahead(size_t left) {
    if (options_.stop.trials > 0 && trials_ + static_cast<int64_t>(left) >= options_.stop.trials)
      return {};
    return std::jthread([this, stream = *std::exchange(ahead_, std::nullopt)] {
      // Of this thread; it yields to what is measured, as compilers do.
      (void)!::nice(engine::CompilePoolOptions().nice);
      draws_ahead()->draw_ahead(space_, stream, true);
    });
  }

  bool time_is_up() const {
    return options_.stop.seconds > 0 && seconds() >= options_.stop.seconds;
  }
  /// Of the items from number `first` on, those that are not compiled leave the batch.
  void leave_uncompiled(Batch& batch, size_t first) {
    size_t kept = first;
    for (size_t i = first; i < batch.items.size(); ++i) {
      Compiled& item = batch.items[i];
      if (item.is_compiled && !item.is_twin)
        std::swap(batch.items[kept++], item);
      else if (is_untuned(*item.candidate))
        count_untuned(-1); // its turn comes at the end
    }
    batch.items.resize(kept);
  }

  /// Until one of the devices has something to say; 200 ms at most, and for those without a
  /// descriptor not at all.
  static void wait_for(int compilers, int measurer) {
    pollfd waiting[] = {{compilers, POLLIN, 0}, {measurer, POLLIN, 0}};
    ::poll(waiting, 2, compilers < 0 && measurer < 0 ? 0 : 200);
  }

  /// Whether kernels are timed beside a compiler, from now on.
  Result<void> decide_company(bool again) {
    if (!options_.compile_beside || task_.threads > 1 || (again && !beside_))
      return {};
    constexpr double kSideBySide = 0.85; // as `doctor` calls two threads side by side
    const Result<engine::DeviceState> state = devices_.measurer->device_state(2);
    beside_ = state && state->side_by_side >= kSideBySide;
    if (again && beside_)
      return {};
    return note("company",
                {{"compile_beside", beside_}, {"side_by_side", state ? state->side_by_side : 0.0}});
  }

  /// Nothing when the look at the device fails twice, as when its probe is killed: then drift goes
  /// unseen, which is no reason to end a run.
  std::optional<engine::DeviceState> device_state() {
    state_of_device_.reset();
    for (int attempt = 0; attempt < 2 && !state_of_device_; ++attempt)
      if (Result<engine::DeviceState> state = devices_.measurer->device_state(task_.threads))
        state_of_device_ = *state;
    looked_at_device_ = now_();
    return state_of_device_;
  }

  /// As after the batch before, when that was just now.
  std::optional<engine::DeviceState> recent_device_state() {
    constexpr double kRecentSeconds = 1.5;
    if (state_of_device_ && now_() - looked_at_device_ < kRecentSeconds)
      return state_of_device_;
    return device_state();
  }

  /// Measures something by `work`, and again, `work` being told by how much, when the machine's
  /// speed drifted meanwhile; an event KIND_repeated says so, KIND_disturbed when it did both
  /// times. `work` returns whether anything was measured.
  template <typename Work> Result<void> steadily(const std::string& kind, const Work& work) {
    std::optional<double> drifted_by;
    for (const bool again : {false, true}) {
      const std::optional<engine::DeviceState> before = recent_device_state();
      TEMPER_TRY(measured, work(drifted_by));
      if (interrupted() || !measured)
        break;
      const std::optional<engine::DeviceState> after = device_state();
      if (!before || !after || !engine::DeviceState::drifted(*before, *after))
        break;
      const double drift = engine::DeviceState::drift(*before, *after);
      drifted_by = drift;
      TEMPER_TRY_VOID(note(kind + (again ? "_disturbed" : "_repeated"),
                           {{"batch", batch_number_}, {"drift", drift}}));
      TEMPER_TRY_VOID(decide_company(true));
    }
    return {};
  }

  engine::MeasureRequest request_for(const Compiled& item) const {
    engine::MeasureRequest request;
    request.workload = workload_;
    request.artifact = item.artifact;
    request.regime = task_.regime;
    request.threads = task_.threads;
    request.best_ns = best_ns_;
    request.check = reference_ != nullptr;
    // Ranks are what a search needs: finalists are measured again, side by side and for longer.
    // What is as fast as the best within the noise need not be ranked against it.
    request.rule.half_width = 0.015;
    request.rule.max_seconds = 0.12;
    request.rule.trailing_samples = 5;
    request.rule.noise = engine::noise_scale(excesses_).value_or(request.rule.noise);
    // A trial is a handful of calls. What is many times slower than the best, or before there is
    // one than 2 GFLOP/s, is not worth its checks; the untuned program is, once.
    constexpr double kSlowFlopPerNs = 2;
    constexpr double kCalls = 5;
    if (is_untuned(*item.candidate)) {
      // Others are held against its time, so that it is not given up as hopeless: a first call of a
      // short program takes many times as long as the rest.
      request.best_ns = 0;
      request.rule.max_seconds = 0.01; // a long one is called once
      request.timeout_ms = 10'000;
    } else if (best_ns_ > 0) {
      request.timeout_ms = std::clamp(static_cast<int>(4 * kCalls * best_ns_ * 1e-6), 100, 10'000);
    } else {
      request.rule.max_seconds = 0.03; // the next ones are likely to beat it
      if (task_.flops > 0)
        request.timeout_ms = std::clamp(
            static_cast<int>(kCalls * task_.flops / kSlowFlopPerNs * 1e-6), 1000, 10'000);
    }
    return request;
  }

  void hand_over(Tickets<engine::Measurer>& tickets, const Batch& batch, size_t index) {
    if (tickets.empty())
      busy_since_ = now_();
    tickets[devices_.measurer->submit(request_for(batch.timed[index]))] = index;
  }

  /// All that is finished, batch.timed by ticket; an error when nothing more will come.
  Result<bool> poll_device(Tickets<engine::Measurer>& tickets, Batch& batch, bool again,
                           int timeout_ms) {
    bool any = false;
    for (engine::FinishedMeasurement& done : devices_.measurer->poll(timeout_ms)) {
      const auto ticket = tickets.find(done.ticket);
      if (ticket == tickets.end())
        continue;
      any = true;
      const size_t index = ticket->second;
      tickets.erase(ticket);
      engine::Measurement& measurement = done.measurement;
      measurement.compile_ms = batch.timed[index].compile_ms;
      measurement.log = trial_log(batch.timed[index].log, measurement.log);
      const double now = now_();
      measure_ms_.add(1e3 * (now - busy_since_)); // what lies between two trials as well
      busy_since_ = now;
      const bool has_time =
          measurement.outcome == Outcome::kOk ||
          (measurement.outcome == Outcome::kCensored && measurement.median_ns > 0);
      batch.latest[index] = has_time ? measurement.median_ns * 1e-9 : kFailed;
      const uint64_t code_hash = batch.timed[index].artifact->code_hash;
      if (measurement.outcome == Outcome::kCensored)
        given_up_.insert(code_hash);
      else
        given_up_.erase(code_hash);
      if (measurement.outcome == Outcome::kOk)
        note_noise(measurement);
      if (!again)
        count(measurement);
      TEMPER_TRY_VOID(record(batch.timed[index], measurement, !again));
    }
    if (!tickets.empty() && devices_.measurer->pending() == 0)
      return lost("measuring device", tickets.size());
    return any;
  }

  /// What samples of this machine lie above their kernel's median by.
  void note_noise(const engine::Measurement& measurement) {
    constexpr size_t kFewest = 5;
    constexpr size_t kKept = 600;
    if (measurement.samples_ns.size() < kFewest || measurement.median_ns <= 0)
      return;
    for (const double sample : measurement.samples_ns)
      excesses_.push_back(sample / measurement.median_ns - 1);
    if (excesses_.size() > 2 * kKept) // the machine as it was lately
      excesses_.erase(excesses_.begin(), excesses_.end() - static_cast<std::ptrdiff_t>(kKept));
  }

  /// A second time, what may be among the best for all that the machine drifted by: failures do not
  /// depend on its speed, and how slow the slow ones are is of no use.
  Result<bool> measure_again(Batch& batch, double drift) {
    constexpr double kFarBehind = 1.5;
    const double limit = best_ns_ > 0 ? kFarBehind * (1 + drift) * best_ns_ * 1e-9 : kFailed;
    std::vector<size_t> again;
    for (size_t i = 0; i < batch.timed.size(); ++i)
      if (std::isfinite(batch.latest[i]) && batch.latest[i] <= limit)
        again.push_back(i);
    Tickets tickets(*devices_.measurer);
    for (size_t next = 0; (next < again.size() || !tickets.empty()) && !interrupted();) {
      for (; next < again.size() && tickets.size() < 2; ++next)
        hand_over(tickets, batch, again[next]);
      TEMPER_TRY_VOID(poll_device(tickets, batch, true, 200));
    }
    return !again.empty();
  }

  void count(const engine::Measurement& measurement) {
    const std::string reason = engine::to_string(measurement.outcome);
    switch (measurement.outcome) {
    case Outcome::kOk:
      ++funnel_.ran.count;
      ++funnel_.correct.count;
      ++funnel_.timed.count;
      break;
    case Outcome::kCensored:
    case Outcome::kDisturbed:
    case Outcome::kUnbelievable:
      ++funnel_.ran.count;
      ++funnel_.correct.count;
      funnel_.refuse(funnel_.timed, reason, measurement.error);
      break;
    case Outcome::kWrongResult:
      ++funnel_.ran.count;
      funnel_.refuse(funnel_.correct, reason, measurement.error);
      break;
    default:
      funnel_.refuse(funnel_.ran, reason, measurement.error);
    }
    if (!engine::is_correct(measurement.outcome))
      ++failures_;
  }

  Result<void> record(const Compiled& item, const engine::Measurement& measurement,
                      bool is_new = true, database::Purpose purpose = database::Purpose::kSearch) {
    database::Trial trial;
    const auto parent = candidate_ids_.find(item.candidate->parent);
    trial.candidate = candidate_row(*item.candidate, run_.workload,
                                    parent == candidate_ids_.end() ? "" : parent->second);
    trial.measurement = measurement_row(measurement, task_, item.artifact.get());
    trial.measurement.environment = run_.environment;
    trial.measurement.toolchain = run_.toolchain;
    trial.measurement.origin = item.candidate->origin;
    trial.measurement.purpose = purpose;
    if (item.score != 0)
      trial.measurement.predicted_score = item.score;
    if (is_new)
      ++trials_;
    TEMPER_TRY(recorded, devices_.store->record(claim_, trial, progress_row()));
    candidate_ids_[item.candidate->program_hash] = recorded.candidate;
    if (hooks_.recorded)
      hooks_.recorded(recorded.measurement, measurement);
    if (recorded.requested != database::RequestedState::kNone) {
      stop_requested_ = true;
      pause_requested_ = recorded.requested == database::RequestedState::kPause;
    }
    const bool doubtful = measurement.outcome == Outcome::kCensored ||
                          (measurement.outcome == Outcome::kDisturbed && untuned_ns_ > 0);
    if (engine::is_believed(measurement.outcome) && !doubtful && measurement.median_ns > 0 &&
        is_untuned(*item.candidate))
      untuned_ns_ = measurement.median_ns;
    if (measurement.outcome == Outcome::kOk) {
      artifacts_[item.candidate->program_hash] = item.artifact;
      const bool better = best_ns_ == 0 || measurement.median_ns < best_ns_;
      if (best_ns_ == 0 || measurement.median_ns < best_ns_ * (1 - options_.stop.gain))
        trials_at_gain_ = trials_;
      if (purpose == database::Purpose::kConfirm || (better && !confirming_)) {
        note_best(*item.candidate, measurement.median_ns, measurement.interval,
                  recorded.measurement);
        TEMPER_TRY_VOID(keep_artifact(item, recorded.candidate));
      }
      drop_old_artifacts();
    }
    if (is_new)
      report("search");
    return {};
  }

  Result<void> keep_artifact(const Compiled& item, const database::Id& candidate) {
    TEMPER_TRY(kept, devices_.store->add(artifact_row(*item.artifact, candidate, run_.toolchain)));
    (void)kept;
    return {};
  }

  void note_best(const Candidate& candidate, double median_ns, Interval interval,
                 const database::Id& record) {
    if (best_ns_ != 0 && median_ns >= best_ns_ && !confirming_)
      return;
    if (confirming_ && best_confirmed_ && median_ns >= best_ns_)
      return;
    best_confirmed_ = confirming_;
    best_ns_ = median_ns;
    best_interval_ = interval;
    best_record_ = record;
    best_hash_ = candidate.program_hash;
  }

  /// The fastest few trials, fastest first: those that noise alone may have put behind the first.
  std::vector<Trial> finalists() const {
    std::vector<Trial> best;
    for (const Trial& trial : state_.trials)
      if (std::isfinite(trial.seconds) && !wrong_.contains(trial.candidate->program_hash))
        best.push_back(trial);
    std::stable_sort(best.begin(), best.end(),
                     [](const Trial& a, const Trial& b) { return a.seconds < b.seconds; });
    std::unordered_set<uint64_t> programs;
    std::erase_if(best, [&](const Trial& trial) {
      return !programs.insert(trial.candidate->program_hash).second;
    });
    if (best.size() > options_.finalists)
      best.resize(options_.finalists);
    if (best.empty())
      return best;
    // A few samples each: half of them lie within `noise` of their median.
    constexpr double kLeast = 0.05;
    const double behind =
        1 + kLeast + 2 * engine::noise_scale(excesses_).value_or(engine::StopRule().noise);
    const double limit = behind * best.front().seconds;
    std::erase_if(best, [&](const Trial& trial) { return trial.seconds > limit; });
    return best;
  }

  /// Only finalists' bytes are held in memory.
  void drop_old_artifacts() {
    if (artifacts_.size() < 8 * options_.finalists)
      return;
    std::unordered_set<uint64_t> keep{best_hash_};
    for (const Trial& trial : finalists())
      keep.insert(trial.candidate->program_hash);
    std::erase_if(artifacts_, [&](const auto& entry) { return !keep.contains(entry.first); });
  }

  /// Measures the finalists side by side on fresh inputs. Those that are wrong on them were right
  /// by luck; when all are, the next best stand in, a few times.
  Result<void> confirm() {
    if (finalists().empty())
      return {};
    const PhaseTimer timer(now_, phases_.confirm);
    confirming_ = true;
    // Fresh inputs: a kernel that is right by luck on the first ones is caught here.
    TEMPER_TRY(workload, devices_.measurer->add_workload(
                             workload_spec(task_, reference_, hash_combine(run_.seed, 2))));
    Result<void> confirmed = {};
    constexpr int kRounds = 3;
    for (int round = 0; round < kRounds && confirmed && !best_confirmed_; ++round) {
      const size_t known_wrong = wrong_.size();
      const std::vector<Trial> best = finalists();
      if (best.empty())
        break;
      confirmed = confirm(best, workload);
      if (wrong_.size() == known_wrong)
        break;
    }
    devices_.measurer->remove_workload(workload);
    if (!best_confirmed_ && wrong_.contains(best_hash_)) {
      best_record_.clear();
      best_ns_ = 0;
      best_interval_ = {};
    }
    return confirmed;
  }

  Result<void> confirm(std::vector<Trial> best, engine::WorkloadId workload) {
    const double most_seconds = std::clamp(0.1 * seconds(), 0.2, 3.0); // a short run ends shortly
    // Of slow kernels fewer.
    constexpr size_t kFewest = 3;
    const auto afforded = static_cast<size_t>(
        2 * most_seconds / (kCallsOfASitting * std::max(best.front().seconds, 1e-9)));
    best.resize(std::min(best.size(), std::max(afforded, kFewest)));
    // The program as it is written wins where nothing is faster, whatever the search made of it.
    constexpr double kNear = 1.5;
    if (untuned_ns_ > 0 && untuned_ns_ * 1e-9 <= kNear * best.front().seconds &&
        !wrong_.contains(space_.untuned()->program_hash) &&
        std::none_of(best.begin(), best.end(),
                     [&](const Trial& trial) { return is_untuned(*trial.candidate); }))
      best.push_back({space_.untuned(), untuned_ns_ * 1e-9});
    std::vector<CandidateRef> candidates;
    for (const Trial& trial : best)
      candidates.push_back(trial.candidate);
    TEMPER_TRY(items, with_code(candidates));
    if (items.empty())
      return {};
    engine::CompareRequest request = in_turns(items, workload);
    // In several sittings: all rounds of one share what disturbs it. Who cannot win leaves.
    request.race = true;
    request.sittings = 3;
    request.half_width = 2 * engine::kComparedHalfWidth;
    request.max_seconds = most_seconds;
    engine::Comparison comparison;
    TEMPER_TRY_VOID(steadily("confirmation", [&](std::optional<double>) -> Result<bool> {
      TEMPER_TRY(compared, devices_.measurer->compare(request));
      comparison = std::move(compared);
      return true;
    }));
    size_t most_samples = 0;
    for (const engine::ComparedContender& contender : comparison.contenders)
      most_samples = std::max(most_samples, contender.measurement.samples_ns.size());
    const auto stayed = [&](size_t i) {
      const engine::Measurement& measurement = comparison.contenders[i].measurement;
      return !engine::is_believed(measurement.outcome) ||
             measurement.samples_ns.size() == most_samples;
    };
    std::optional<size_t> winner;
    for (size_t i = 0; i < items.size(); ++i) {
      const engine::Measurement& measurement = comparison.contenders[i].measurement;
      if (measurement.outcome == Outcome::kOk && stayed(i) &&
          (!winner || measurement.median_ns < comparison.contenders[*winner].measurement.median_ns))
        winner = i;
    }
    // What is timed in another order of magnitude than before was not alone: the search's word
    // stands, unconfirmed.
    const double slower =
        winner ? slower_than_found(items[*winner], comparison.contenders[*winner], best) : 0;
    const bool disturbed = slower > kBeyondNoise;
    if (disturbed) {
      finals_slower_ = slower;
      TEMPER_TRY_VOID(
          note("confirmation_contradicted", {{"batch", batch_number_}, {"slower", slower}}));
    }
    // Who left before the end was timed in other rounds: its median is none to rank it by beside
    // theirs. Its row comes first, for what its run confirmed afterwards has beaten it.
    for (const bool to_the_end : {false, true})
      for (size_t i = 0; i < items.size(); ++i) {
        engine::Measurement measurement = comparison.contenders[i].measurement;
        if (to_the_end != stayed(i))
          continue;
        if (disturbed && measurement.outcome == Outcome::kOk)
          measurement.outcome = Outcome::kDisturbed;
        if (!engine::is_believed(measurement.outcome))
          wrong_.insert(items[i].candidate->program_hash);
        TEMPER_TRY_VOID(
            record(items[i], measurement, false,
                   to_the_end ? database::Purpose::kConfirm : database::Purpose::kSearch));
      }
    return winner && !disturbed ? hold_against_untuned(items, comparison, *winner, request)
                                : Result<void>();
  }

  /// No kernel is so many times slower at another moment, unless something is in its way.
  static constexpr double kBeyondNoise = 3;

  /// Its time in the finals over what the search found; 0 where that is not known.
  static double slower_than_found(const Compiled& item, const engine::ComparedContender& finals,
                                  const std::vector<Trial>& found) {
    for (const Trial& trial : found)
      if (trial.candidate->program_hash == item.candidate->program_hash && trial.seconds > 0)
        return finals.measurement.median_ns * 1e-9 / trial.seconds;
    return 0;
  }

  /// How many times as fast the winner of the `finals`, a comparison of `items`, is as the program
  /// as it is written: both in turns, there, or in a sitting of their own where it had no chance. A
  /// search times it once, at another moment. Where it is so many times slower that this makes no
  /// difference, and too long for a sitting, that must do.
  Result<void> hold_against_untuned(const std::vector<Compiled>& items,
                                    const engine::Comparison& finals, size_t winner,
                                    const engine::CompareRequest& request) {
    const auto in_finals = std::find_if(items.begin(), items.end(), [&](const Compiled& item) {
      return is_untuned(*item.candidate);
    });
    if (in_finals != items.end()) {
      const engine::ComparedContender& own = finals.contenders[in_finals - items.begin()];
      const Outcome first = finals.contenders.front().measurement.outcome; // which ratios are to
      if (own.measurement.outcome == Outcome::kOk && engine::is_correct(first))
        times_untuned_ = own.ratio / finals.contenders[winner].ratio;
      return {};
    }
    constexpr int kRounds = 12;
    constexpr double kFarSlower = 8;
    const double best_ns = finals.contenders[winner].measurement.median_ns;
    if (untuned_ns_ <= 0 || (untuned_ns_ > kFarSlower * best_ns &&
                             kCallsOfASitting * untuned_ns_ * 1e-9 > request.max_seconds))
      return {};
    TEMPER_TRY(two, with_code({space_.untuned()}));
    if (two.empty())
      return {};
    two.insert(two.begin(), items[winner]);
    engine::CompareRequest sitting = in_turns(two, request.workload);
    sitting.rounds = kRounds;
    sitting.max_seconds = request.max_seconds / request.sittings;
    TEMPER_TRY(comparison, devices_.measurer->compare(sitting));
    const engine::Measurement& first = comparison.contenders.front().measurement;
    const engine::Measurement& own = comparison.contenders.back().measurement;
    // A ratio of another order of magnitude than both times by themselves is that of a moment in
    // which one of them was not alone.
    const double ratio = comparison.contenders.back().ratio;
    const double apart = untuned_ns_ / best_ns;
    const bool both = first.outcome == Outcome::kOk && own.outcome == Outcome::kOk;
    const bool contradicted =
        both && (ratio > kBeyondNoise * apart || ratio * kBeyondNoise < apart);
    if (both && !contradicted && own.samples_ns.size() == first.samples_ns.size())
      times_untuned_ = ratio;
    engine::Measurement kept = own;
    if (contradicted)
      kept.outcome = Outcome::kDisturbed;
    return record(two.back(), kept, false, database::Purpose::kConfirm);
  }

  bool is_untuned(const Candidate& candidate) const {
    return candidate.program_hash == space_.untuned()->program_hash;
  }

  /// Their code, from memory or compiled, without those that do not compile.
  Result<std::vector<Compiled>> with_code(const std::vector<CandidateRef>& candidates) {
    std::vector<Compiled> items;
    std::vector<CandidateRef> missing;
    for (const CandidateRef& candidate : candidates) {
      const auto known = artifacts_.find(candidate->program_hash);
      if (known != artifacts_.end())
        items.push_back({.candidate = candidate, .artifact = known->second});
      else
        missing.push_back(candidate);
    }
    if (!missing.empty()) {
      TEMPER_TRY(compiled, compile(missing));
      for (Compiled& item : compiled)
        if (item.artifact != nullptr)
          items.push_back(std::move(item));
    }
    return items;
  }

  /// One sitting of them.
  engine::CompareRequest in_turns(const std::vector<Compiled>& items,
                                  engine::WorkloadId workload) const {
    engine::CompareRequest request;
    request.workload = workload;
    request.regime = task_.regime;
    for (const Compiled& item : items)
      request.contenders.push_back({hash_to_hex(item.candidate->program_hash),
                                    item.artifact,
                                    {},
                                    task_.threads,
                                    reference_ != nullptr});
    return request;
  }

  static constexpr double kFailed = std::numeric_limits<double>::infinity();
  /// One takes part in a sitting with so many calls at the least.
  static constexpr double kCallsOfASitting = 12;

  const Task& task_;
  const Space& space_;
  const database::Run& run_;
  const database::RunClaim& claim_;
  const Devices& devices_;
  const TuneOptions& options_;
  const TuneHooks& hooks_;
  Clock now_;
  Random random_;
  std::optional<Random> ahead_; ///< for what the next proposal draws ahead, until that is done
  int depth_ = 0;               ///< of calls that are at work
  double since_ = 0;            ///< when the outermost began
  double worked_ = 0;           ///< seconds in those that are over

  std::unique_ptr<Strategy> strategy_; ///< null until prepared
  std::unique_ptr<CostModel> model_;
  SearchState state_;
  Funnel funnel_;
  PhaseSeconds phases_;
  ModelQuality quality_;
  engine::WorkloadId workload_ = 0;
  ArtifactRef reference_;
  std::unordered_map<uint64_t, double> code_seconds_;      ///< by code_hash
  std::unordered_set<uint64_t> given_up_;                  ///< of these, what was censored
  std::unordered_map<uint64_t, uint64_t> code_of_lowered_; ///< code_hash by lowered_hash
  bool beside_ = false;          ///< candidates are compiled while others are timed
  LateMean compile_ms_{30};      ///< of a candidate, on one processor
  LateMean measure_ms_{30};      ///< that the device is at one
  double busy_since_ = 0;        ///< when the device began with what it is at
  std::vector<double> excesses_; ///< of late samples above their kernel's median, in parts of it
  std::optional<engine::DeviceState> state_of_device_;
  double looked_at_device_ = 0;
  std::unordered_map<uint64_t, Estimated> estimates_;        ///< by program_hash
  std::unordered_map<uint64_t, database::Id> candidate_ids_; ///< by program_hash
  std::unordered_map<uint64_t, ArtifactRef> artifacts_;      ///< by program_hash
  std::unordered_set<uint64_t> wrong_; ///< program_hash of finalists that failed on fresh inputs
  int64_t trials_ = 0;
  int64_t trials_at_gain_ = 0;
  int64_t failures_ = 0;
  int64_t batch_number_ = 0;
  bool untuned_is_known_ = false;
  bool exhausted_ = false;
  bool stop_requested_ = false;
  bool pause_requested_ = false;
  bool confirming_ = false;
  bool best_confirmed_ = false;
  double finals_slower_ = 0; ///< as the result has it
  double best_ns_ = 0;
  Interval best_interval_;
  database::Id best_record_;
  uint64_t best_hash_ = 0;
  double untuned_ns_ = 0;    ///< the latest, by itself
  double times_untuned_ = 0; ///< of the best, in turns with it; 0: not known
};

TuningRun::TuningRun(const Task& task, const Space& space, const database::Run& run,
                     const database::RunClaim& claim, const Devices& devices,
                     const TuneOptions& options, const TuneHooks& hooks)
    : impl_(std::make_unique<Impl>(task, space, run, claim, devices, options, hooks)) {}
TuningRun::~TuningRun() = default;

Result<void> TuningRun::prepare() { return impl_->prepare(); }
Result<bool> TuningRun::step() { return impl_->step(); }
Result<TuneResult> TuningRun::finish(const std::string& because) { return impl_->finish(because); }
Result<void> TuningRun::put_aside() { return impl_->put_aside(); }
TuneProgress TuningRun::progress() const { return impl_->progress("search"); }
double TuningRun::untuned_ns() const { return impl_->untuned_ns(); }
PhaseSeconds TuningRun::phases() const { return impl_->phases(); }
int64_t TuningRun::trials_since_gain() const { return impl_->trials_since_gain(); }

database::RunState state_after(const Result<TuneResult>& result) {
  if (result)
    return result->paused        ? database::RunState::kPaused
           : result->interrupted ? database::RunState::kInterrupted
                                 : database::RunState::kFinished;
  // A full disk or a killed device is no fault of the run's: resume takes it up.
  const bool can_go_on = result.error().code == ErrorCode::kInterrupted ||
                         result.error().code == ErrorCode::kEnvironment;
  return can_go_on ? database::RunState::kInterrupted : database::RunState::kFailed;
}

Result<TuneResult> tune(const Task& task, const Space& space, const database::Run& run,
                        const database::RunClaim& claim, const Devices& devices,
                        const TuneOptions& options, const TuneHooks& hooks) {
  Result<TuneResult> result = [&]() -> Result<TuneResult> {
    TuningRun work(task, space, run, claim, devices, options, hooks);
    while (true) {
      TEMPER_TRY(more, work.step());
      if (!more)
        return work.finish();
    }
  }();
  const std::string reason = result ? result->stopped_because : result.error().message;
  // When the store itself is what failed, releasing fails as well: the first error is the one to
  // tell.
  Result<void> released = devices.store->release_run(claim, state_after(result), reason);
  if (result && !released)
    return std::move(released).error();
  return result;
}

} // namespace temper::tuner
