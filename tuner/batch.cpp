#include "tuner/batch.h"

#include "ir/support/hash.h"
#include "ir/support/json.h"
#include "tuner/record_mapping.h"
#include "tuner/version.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <thread>

namespace temper::tuner {

const char* to_string(BatchVerdict verdict) {
  switch (verdict) {
  case BatchVerdict::kWon:
    return "won";
  case BatchVerdict::kSame:
    return "same";
  case BatchVerdict::kFailed:
    return "failed";
  case BatchVerdict::kUnfinished:
    return "unfinished";
  case BatchVerdict::kElsewhere:
    return "elsewhere";
  }
  return "";
}

namespace {

constexpr const char* kTimeOver = "the batch's budget is spent";
constexpr const char* kEventKind = "batch_outcome";
constexpr double kHeartbeatSeconds = 20;
constexpr int kAttempts = 3;
/// Of confirming finalists, until some were: what of the budget is kept for the end.
constexpr double kFinishSeconds = 3;

struct Slot {
  const BatchItem* item = nullptr;
  size_t index = 0;
  std::unique_ptr<BatchKernel> kernel; ///< null: closed
  database::Run row;
  std::optional<database::RunClaim> claim;
  TuneHooks hooks;
  std::unique_ptr<TuningRun> tuning; ///< refers to the four above
  int64_t trials_since_gain = 0;
  int64_t used = 0;   ///< the latest turn
  bool begun = false; ///< has a run
  bool claimed_by_others = false;
  bool finished_earlier = false; ///< by another process meanwhile
  bool done = false;             ///< the outcome is the last word
  int failures = 0;              ///< of the machine, one after the other
  Json known;                    ///< options of its run
  BatchOutcome outcome;          ///< trials and seconds are kept up to date
};

/// Arguments and references, as the device keeps them.
double bytes_of(const Task& task) {
  double bytes = 0;
  for (const codegen::ArgumentSpec& argument : task.signature)
    bytes += static_cast<double>(argument.byte_count()) * (argument.is_output ? 6 : 2);
  return bytes;
}

Json options_json(const database::Run& run) {
  Json json = parse_json(run.options_json).value_or(Json::object());
  return json.is_object() ? json : Json::object();
}

class Batch {
public:
  Batch(const std::vector<BatchItem>& items, const Devices& devices, const BatchOptions& options,
        const BatchHooks& hooks)
      : devices_(devices), options_(options), hooks_(hooks), clock_(devices.clock()),
        scheduler_(options.objective) {
    for (const BatchItem& item : items) {
      Slot& slot = *slots_.emplace_back(std::make_unique<Slot>());
      slot.item = &item;
      slot.index = slots_.size() - 1;
      slot.outcome.title = item.title;
      slot.outcome.weight = item.weight;
      scheduler_.add(item.weight);
    }
  }

  BatchResult run() {
    const double start = now();
    BatchResult result;
    if (Result<void> worked = work(); !worked)
      result.error = worked.error();
    result.interrupted = interrupted();
    leave(result.interrupted ? "interrupted"
                             : (result.error ? result.error->message : std::string()));
    for (const auto& slot : slots_) {
      result.trials += slot->outcome.trials;
      result.seconds += slot->outcome.seconds;
      result.outcomes.push_back(std::move(slot->outcome));
    }
    counts_.decisions = scheduler_.decisions();
    counts_.seconds = now() - start;
    result.counts = counts_;
    return result;
  }

private:
  double now() const { return clock_(); }
  bool interrupted() const { return hooks_.interrupted && hooks_.interrupted(); }
  database::Store& store() const { return *devices_.store; }

  // ---- The course of it

  Result<void> work() {
    TEMPER_TRY_VOID(survey());
    heartbeat_ = now();
    for (bool more = true; more && !interrupted();) {
      while (!interrupted() && !spent()) {
        const std::optional<size_t> next = scheduler_.next();
        if (!next)
          break;
        TEMPER_TRY_VOID(turn(*slots_[*next]));
      }
      if (!interrupted())
        TEMPER_TRY_VOID(finish_all());
      TEMPER_TRY(took_over, look_again());
      more = took_over;
    }
    return {};
  }

  /// Whether other processes have left what they had: finished, which is told, or given up or dead,
  /// which is work. What they are still at stays theirs.
  Result<bool> look_again() {
    bool more = false;
    for (const auto& slot : slots_) {
      if (interrupted() || slot->outcome.verdict != BatchVerdict::kElsewhere)
        continue;
      TEMPER_TRY_VOID(work_on(*slot, [&]() -> Result<void> {
        TEMPER_TRY_VOID(open(*slot));
        TEMPER_TRY(runs, runs_of(*slot));
        const database::Run* run = mine(runs);
        if (run != nullptr && run->state == database::RunState::kRunning) {
          close(*slot);
          return {};
        }
        slot->outcome.verdict = BatchVerdict::kUnfinished;
        slot->outcome.reason.clear();
        slot->claimed_by_others = slot->done = false;
        if (run != nullptr) {
          take_row(*slot, *run);
          slot->begun = true;
          if (run->state == database::RunState::kFinished && !may_go_on(*slot, *run))
            return tell_earlier(*slot);
        }
        scheduler_.take_up(slot->index);
        more = true;
        return {};
      }));
      make_room(*slot);
    }
    return more;
  }

  /// Opens every item once: what cannot be tuned fails now, and what was done before is known
  /// before anything is.
  Result<void> survey() {
    std::vector<std::vector<database::Run>> runs(slots_.size());
    for (const auto& slot : slots_) {
      if (interrupted())
        return {};
      TEMPER_TRY_VOID(work_on(*slot, [&]() -> Result<void> {
        TEMPER_TRY_VOID(open(*slot));
        TEMPER_TRY(found, runs_of(*slot));
        runs[slot->index] = std::move(found);
        return {};
      }));
      for (const database::Run& run : runs[slot->index])
        generation_ = std::max(generation_, batch_generation(run));
      if (slot->kernel)
        scheduler_.set_bound(slot->index, slot->kernel->options.bound_ns);
      if (!has_room())
        close(*slot); // the first ones are needed first
    }
    if (options_.again)
      ++generation_;
    generation_ = std::max<int64_t>(generation_, 1);
    for (const auto& slot : slots_)
      if (const database::Run* run = mine(runs[slot->index]); run != nullptr && !slot->done) {
        take_row(*slot, *run);
        slot->begun = true;
      }
    // What was spent in all is known now.
    for (const auto& slot : slots_)
      if (slot->begun && slot->row.state == database::RunState::kFinished &&
          !may_go_on(*slot, slot->row))
        TEMPER_TRY_VOID(work_on(*slot, [&] { return tell_earlier(*slot); }));
    for (const auto& slot : slots_)
      if (slot->begun && !slot->done && slot->row.seconds > 0)
        TEMPER_TRY_VOID(work_on(*slot, [&] { return remember(*slot); }));
    return {};
  }

  /// The scheduler goes on from where it was: else those that come first would have a first turn
  /// after each kill, and those that come last none.
  Result<void> remember(Slot& slot) {
    database::RecordFilter filter;
    filter.run = slot.row.id;
    TEMPER_TRY(best, store().best(filter));
    if (!best.empty())
      slot.outcome.best_ns = best.front().median_ns;
    scheduler_.observe(slot.index, slot.row.seconds, slot.outcome.best_ns);
    return {};
  }

  /// Rounds of one item, at least one.
  Result<void> turn(Slot& slot) {
    ++turns_;
    slot.used = turns_;
    const double start = now();
    TEMPER_TRY_VOID(work_on(slot, [&] { return activate(slot); }));
    if (slot.done || !slot.tuning) {
      if (!slot.done) // once more later: now the others
        scheduler_.observe(slot.index, slot.outcome.seconds, slot.outcome.best_ns);
      return {};
    }
    double until = now() + (rebuilt_ ? options_.turn * (now() - start) : 0);
    if (options_.seconds > 0) // but everyone has a turn
      until = std::min(until, now() + seconds_left() / static_cast<double>(unfinished()));
    while (true) {
      bool more = true;
      report(slot, slot.tuning->progress());
      slot.kernel->options.batch = round_size();
      TEMPER_TRY_VOID(work_on(slot, [&]() -> Result<void> {
        const Worked worked(*this);
        TEMPER_TRY(went_on, slot.tuning->step());
        more = went_on;
        return {};
      }));
      ++counts_.rounds;
      if (slot.tuning)
        take_progress(slot);
      if (slot.done)
        return {};
      scheduler_.observe(slot.index, slot.outcome.seconds, slot.outcome.best_ns);
      if (!slot.tuning || interrupted())
        return {};
      slot.failures = 0;
      if (!more)
        return finish(slot, {});
      TEMPER_TRY_VOID(heartbeats());
      if (now() >= until || spent() || slot.done)
        return {};
    }
  }

  /// The budget is spent: what has begun gets its finalists confirmed.
  Result<void> finish_all() {
    for (const auto& slot : slots_) {
      if (slot->done || interrupted())
        continue;
      if (!slot->begun) {
        slot->outcome.reason = "the batch's budget was spent before its turn";
        continue;
      }
      while (!slot->done && !interrupted()) { // faults are counted
        TEMPER_TRY_VOID(work_on(*slot, [&] { return activate(*slot); }));
        if (slot->tuning)
          TEMPER_TRY_VOID(finish(*slot, kTimeOver));
      }
    }
    return {};
  }

  Result<void> finish(Slot& slot, const std::string& because) {
    const double start = now();
    std::optional<TuneResult> result;
    TEMPER_TRY_VOID(work_on(slot, [&]() -> Result<void> {
      const Worked worked(*this);
      TEMPER_TRY(finished, slot.tuning->finish(because));
      result = std::move(finished);
      return {};
    }));
    if (!result || slot.done)
      return {};
    if (result->interrupted) {
      take_progress(slot);
      if (!interrupted()) // somebody asked this run to stop, not the batch
        return end(slot, BatchVerdict::kUnfinished, "stopped on request",
                   database::RunState::kInterrupted);
      return {};
    }
    finish_seconds_ = finishes_ == 0 ? now() - start
                                     : finish_seconds_ + (now() - start - finish_seconds_) /
                                                             static_cast<double>(finishes_ + 1);
    ++finishes_;
    BatchOutcome& outcome = slot.outcome;
    outcome.trials = result->trials;
    outcome.seconds = result->seconds;
    outcome.best_ns = result->best_ns;
    outcome.best_interval = result->best_interval;
    outcome.record = result->best_record;
    outcome.untuned_ns = result->untuned_ns;
    std::string reason = result->stopped_because;
    BatchVerdict verdict = BatchVerdict::kFailed;
    if (result->best_record.empty())
      reason = no_candidate(result->funnel);
    else
      verdict = verdict_of(slot);
    return end(slot, verdict, reason, database::RunState::kFinished, result->stopped_because);
  }

  /// Writes the outcome and gives the run back.
  Result<void> end(Slot& slot, BatchVerdict verdict, const std::string& reason,
                   database::RunState state, const std::string& stopped_because = {}) {
    slot.outcome.verdict = verdict;
    slot.outcome.reason = reason;
    for (bool written = !slot.claim; !written;) {
      Result<void> released = [&]() -> Result<void> {
        if (state == database::RunState::kFinished) {
          database::Event event;
          event.run = slot.row.id;
          event.kind = kEventKind;
          event.json = outcome_json(slot.outcome).dump();
          TEMPER_TRY_VOID(store().add(event));
        }
        return store().release_run(*slot.claim, state,
                                   stopped_because.empty() ? reason : stopped_because);
      }();
      // kInterrupted: another process has it by now; what was measured is there all the same.
      written = released || released.error().code == ErrorCode::kInterrupted;
      if (!written)
        TEMPER_TRY_VOID(wait_for_store(released.error()));
    }
    slot.claim.reset();
    settle(slot);
    return {};
  }

  void settle(Slot& slot) {
    slot.done = true;
    scheduler_.finish(slot.index);
    close(slot);
    if (hooks_.finished)
      hooks_.finished(slot.outcome);
  }

  /// Gives back what is still held; errors do not matter any more (a run whose process is gone
  /// reads as interrupted).
  void leave(const std::string& reason) {
    for (const auto& slot : slots_) {
      if (slot->tuning) {
        take_progress(*slot);
        (void)slot->tuning->put_aside();
      }
      if (slot->claim)
        (void)store().release_run(*slot->claim, database::RunState::kInterrupted, reason);
      close(*slot);
    }
  }

  // ---- Runs in memory

  Result<void> open(Slot& slot) {
    if (slot.kernel)
      return {};
    TEMPER_TRY(kernel, slot.item->open());
    slot.kernel = std::move(kernel);
    slot.outcome.title = slot.kernel->task.title();
    slot.outcome.flops = slot.kernel->task.flops;
    slot.outcome.binding_json = slot.kernel->task.binding_json;
    slot.outcome.workload = slot.kernel->row.workload;
    return {};
  }

  void close(Slot& slot) {
    slot.tuning.reset(); // before what it refers to
    slot.kernel.reset();
  }

  /// Claims or creates the item's run and builds it.
  Result<void> activate(Slot& slot) {
    rebuilt_ = false;
    if (slot.tuning)
      return {};
    const double start = now();
    const bool again = slot.claim.has_value();
    TEMPER_TRY_VOID(open(slot));
    make_room(slot);
    // In one transaction: two batches that begin at once must not both create the run.
    if (!slot.claim)
      TEMPER_TRY_VOID(store().transaction([&] { return claim(slot); }));
    if (slot.claimed_by_others || slot.finished_earlier) {
      if (slot.finished_earlier)
        return tell_earlier(slot);
      slot.outcome.verdict = BatchVerdict::kElsewhere;
      slot.outcome.reason =
          fmt::format("process {} on {} is at work on it", slot.row.owner.pid, slot.row.owner.host);
      settle(slot);
      return {};
    }
    TEMPER_TRY(row, store().run(slot.row.id));
    take_row(slot, row);
    slot.kernel->options.stop.trials = slot.item->trials;
    slot.kernel->options.stop.seconds = slot.item->seconds;
    slot.kernel->options.trials_since_gain = slot.trials_since_gain;
    slot.hooks.interrupted = hooks_.interrupted;
    slot.hooks.progress = [this, &slot](const TuneProgress& progress) { report(slot, progress); };
    slot.hooks.recorded = [this, &slot](const database::Id& record,
                                        const engine::Measurement& measurement) {
      if (hooks_.recorded)
        hooks_.recorded(*slot.item, record, measurement);
    };
    auto tuning =
        std::make_unique<TuningRun>(slot.kernel->task, *slot.kernel->space, slot.row, *slot.claim,
                                    devices_, slot.kernel->options, slot.hooks);
    slot.begun = true;
    TEMPER_TRY_VOID(tuning->prepare());
    slot.tuning = std::move(tuning);
    if (again) {
      rebuilt_ = true;
      ++counts_.rebuilt;
      counts_.rebuild_seconds += now() - start;
    } else {
      counts_.work_seconds += now() - start; // has to be done once in any case
    }
    return {};
  }

  Result<void> claim(Slot& slot) {
    // Another process with the same batch may have begun it meanwhile.
    TEMPER_TRY(runs, runs_of(slot));
    bool reopen = false;
    if (const database::Run* run = mine(runs)) {
      if (run->state == database::RunState::kRunning) {
        take_row(slot, *run);
        slot.claimed_by_others = true;
        return {};
      }
      take_row(slot, *run);
      reopen = run->state == database::RunState::kFinished;
      slot.finished_earlier = reopen && !may_go_on(slot, *run);
      if (slot.finished_earlier)
        return {};
    } else {
      TEMPER_TRY_VOID(create(slot));
    }
    TEMPER_TRY(claim, store().claim_run(slot.row.id, reopen));
    slot.claim = claim;
    if (slot.row.budget_trials != slot.item->trials ||
        slot.row.budget_seconds != slot.item->seconds)
      TEMPER_TRY_VOID(store().set_budget(slot.row.id, slot.item->trials, slot.item->seconds));
    return {};
  }

  Result<void> create(Slot& slot) {
    const Task& task = slot.kernel->task;
    database::Run row = slot.kernel->row;
    database::RecordFilter filter;
    filter.workloads = {row.workload};
    filter.target = row.target;
    filter.threads = task.threads;
    filter.environment_class = devices_.environment_class;
    filter.regime = to_row(task.regime);
    filter.inputs = task.inputs_text();
    filter.current_toolchains = {row.toolchain};
    TEMPER_TRY(best, store().best(filter));
    Json options{{"batch", options_.name},
                 {"generation", generation_},
                 {"fresh", false},
                 {"cache", options_.cache},
                 {"temper", version_text()}};
    if (!best.empty()) {
      options["before_ns"] = best.front().median_ns;
      options["before_candidate"] = best.front().candidate;
    }
    row.strategy = options_.strategy;
    row.seed = hash_combine(hash_combine(options_.seed, static_cast<uint64_t>(generation_)),
                            hash_bytes(row.workload + row.target)) >>
               1;
    row.budget_trials = slot.item->trials;
    row.budget_seconds = slot.item->seconds;
    row.command_line = options_.command_line;
    row.options_json = options.dump();
    TEMPER_TRY(id, store().create_run(row));
    std::vector<std::string> tags = slot.item->tags;
    tags.push_back(options_.name);
    for (const std::string& tag : tags)
      TEMPER_TRY_VOID(store().add(database::Tag{id, tag}));
    TEMPER_TRY(created, store().run(id));
    take_row(slot, created);
    return {};
  }

  bool has_room() const {
    size_t live = 0;
    double bytes = 0;
    for (const auto& slot : slots_)
      if (slot->kernel) {
        ++live;
        bytes += bytes_of(slot->kernel->task);
      }
    return live <= std::max<size_t>(options_.live, 1) &&
           (options_.live_bytes <= 0 || bytes <= options_.live_bytes);
  }

  /// Puts the runs aside that were not used for longest, until there is room for this one.
  void make_room(const Slot& wanted) {
    while (!has_room()) {
      Slot* oldest = nullptr;
      for (const auto& slot : slots_)
        if (slot->kernel && slot.get() != &wanted && (!oldest || slot->used < oldest->used))
          oldest = slot.get();
      if (oldest == nullptr)
        return;
      if (oldest->tuning) {
        oldest->trials_since_gain = oldest->tuning->trials_since_gain();
        (void)oldest->tuning->put_aside(); // an older random state only proposes what is known
      }
      close(*oldest);
    }
  }

  // ---- Faults

  /// Does something for an item. Its own failure is its outcome; the machine's is tried again in a
  /// later turn, a few times. An error is the store's, and that it does not come back.
  Result<void> work_on(Slot& slot, const std::function<Result<void>()>& action) {
    const Result<void> done = action();
    if (done || interrupted())
      return {};
    const Error& error = done.error();
    if (slot.tuning) { // of no more use
      take_progress(slot);
      slot.trials_since_gain = slot.tuning->trials_since_gain();
      slot.tuning.reset();
    }
    const bool again = error.code == ErrorCode::kEnvironment && ++slot.failures < kAttempts;
    // Its sentences name it. On a full disk a heartbeat may still find room where a record does
    // not.
    if (error.code == ErrorCode::kEnvironment &&
        error.message.find(store().name()) != std::string::npos)
      return again ? wait_for_store(error) : Result<void>(error);
    if (slot.claim) {
      const auto alive = store().heartbeat(*slot.claim);
      if (!alive && alive.error().code == ErrorCode::kInterrupted) {
        slot.claim.reset();
        slot.outcome.verdict = BatchVerdict::kElsewhere;
        slot.outcome.reason = alive.error().message;
        settle(slot);
        return {};
      }
      if (!alive) // it was the store, and no fault of the item's
        return again ? wait_for_store(error) : Result<void>(error);
    }
    if (again)
      return {};
    return end(slot, BatchVerdict::kFailed, error.to_string(),
               error.code == ErrorCode::kEnvironment || error.code == ErrorCode::kInterrupted
                   ? database::RunState::kInterrupted
                   : database::RunState::kFailed);
  }

  /// Until the store answers again; `error` when it does not, or when nobody is patient.
  Result<void> wait_for_store(const Error& error) {
    double pause = 1;
    for (double waited = 0; waited < options_.store_patience_seconds && !interrupted();
         waited += pause) {
      pause = std::min(2 * pause, 10.0);
      if (hooks_.wait)
        hooks_.wait(pause);
      else
        std::this_thread::sleep_for(std::chrono::duration<double>(pause));
      if (store().list_runs({.limit = 1}))
        return {};
    }
    return error;
  }

  /// Says of the runs that wait for their turn that somebody is there.
  Result<void> heartbeats() {
    if (now() - heartbeat_ < kHeartbeatSeconds)
      return {};
    heartbeat_ = now();
    for (const auto& slot : slots_) {
      if (!slot->claim || slot->done)
        continue;
      std::optional<database::RequestedState> requested;
      TEMPER_TRY_VOID(work_on(*slot, [&]() -> Result<void> {
        TEMPER_TRY(answer, store().heartbeat(*slot->claim));
        requested = answer;
        return {};
      }));
      if (requested && *requested != database::RequestedState::kNone) {
        if (slot->tuning)
          take_progress(*slot);
        TEMPER_TRY_VOID(end(*slot, BatchVerdict::kUnfinished, "stopped on request",
                            database::RunState::kInterrupted));
      }
    }
    return {};
  }

  // ---- Rows

  Result<std::vector<database::Run>> runs_of(const Slot& slot) {
    return batch_runs(store(), options_.name, options_.cache, slot.kernel->row);
  }

  const database::Run* mine(const std::vector<database::Run>& runs) const {
    for (const database::Run& run : runs)
      if (batch_generation(run) == generation_)
        return &run;
    return nullptr;
  }

  void take_row(Slot& slot, const database::Run& run) {
    slot.row = run;
    slot.known = options_json(run);
    slot.outcome.run = run.id;
    slot.outcome.before_ns = slot.known.value("before_ns", 0.0);
    slot.outcome.trials = run.trials;
    slot.outcome.seconds = run.seconds;
  }

  void take_progress(Slot& slot) {
    const TuneProgress progress = slot.tuning->progress();
    slot.outcome.trials = progress.trials;
    slot.outcome.seconds = progress.seconds;
    slot.outcome.best_ns = progress.best_ns;
    slot.outcome.untuned_ns = slot.tuning->untuned_ns();
  }

  /// Whether a finished run has a reason to be taken up again: its own budget, or the batch's, is
  /// larger now.
  bool may_go_on(const Slot& slot, const database::Run& run) const {
    const auto more = [](double today, double then, double used) {
      return then > 0 && (today == 0 || today > then) && (today == 0 || today > used);
    };
    if (more(static_cast<double>(slot.item->trials), static_cast<double>(run.budget_trials),
             static_cast<double>(run.trials)) ||
        more(slot.item->seconds, run.budget_seconds, run.seconds))
      return true;
    return run.stopped_because == kTimeOver && !spent();
  }

  Result<void> tell_earlier(Slot& slot) {
    const database::Run& run = slot.row;
    BatchOutcome& outcome = slot.outcome;
    TEMPER_TRY(events, store().events(run.id));
    Json told;
    for (const database::Event& event : events)
      if (event.kind == kEventKind)
        told = parse_json(event.json).value_or(Json());
    outcome.earlier = true;
    outcome.reason = run.stopped_because;
    if (told.is_object()) {
      outcome.best_ns = told.value("best_ns", 0.0);
      outcome.best_interval = {told.value("low_ns", 0.0), told.value("high_ns", 0.0)};
      outcome.untuned_ns = told.value("untuned_ns", 0.0);
      outcome.record = told.value("record", "");
      outcome.reason = told.value("reason", run.stopped_because);
    } else { // brought to its end by `temper resume`
      database::RecordFilter filter;
      filter.run = run.id;
      TEMPER_TRY(best, store().best(filter));
      if (!best.empty()) {
        outcome.best_ns = best.front().median_ns;
        outcome.best_interval = {best.front().low_ns, best.front().high_ns};
        outcome.record = best.front().id;
      }
    }
    outcome.verdict = outcome.record.empty() ? BatchVerdict::kFailed : verdict_of(slot);
    settle(slot);
    return {};
  }

  /// Of an outcome that has a best.
  BatchVerdict verdict_of(const Slot& slot) const {
    const BatchOutcome& outcome = slot.outcome;
    constexpr double kGain = 0.01; // less is what two measurements of one kernel differ by
    const std::string before = slot.known.value("before_candidate", "");
    const auto best = store().measurement(outcome.record);
    if (!before.empty() && best && best->candidate == before)
      return BatchVerdict::kSame;
    const double baseline = outcome.baseline_ns();
    return baseline <= 0 || outcome.best_interval.high < baseline * (1 - kGain)
               ? BatchVerdict::kWon
               : BatchVerdict::kSame;
  }

  static Json outcome_json(const BatchOutcome& outcome) {
    return {{"verdict", to_string(outcome.verdict)},
            {"reason", outcome.reason},
            {"record", outcome.record},
            {"before_ns", outcome.before_ns},
            {"untuned_ns", outcome.untuned_ns},
            {"best_ns", outcome.best_ns},
            {"low_ns", outcome.best_interval.low},
            {"high_ns", outcome.best_interval.high}};
  }

  static std::string no_candidate(const Funnel& funnel) {
    for (const FunnelStage* stage : {&funnel.compiled, &funnel.ran, &funnel.correct, &funnel.timed})
      if (!stage->first_error.empty())
        return "no candidate was valid; the first failure: " + stage->first_error;
    return "no candidate was valid";
  }

  // ---- Budgets

  double total_seconds() const {
    double seconds = 0;
    for (const auto& slot : slots_)
      seconds += slot->outcome.seconds;
    return seconds;
  }
  int64_t total_trials() const {
    int64_t trials = 0;
    for (const auto& slot : slots_)
      trials += slot->outcome.trials;
    return trials;
  }
  size_t unfinished() const {
    return static_cast<size_t>(
        std::count_if(slots_.begin(), slots_.end(), [](const auto& slot) { return !slot->done; }));
  }
  /// Of the batch's, less what confirming the finalists of all that has begun takes.
  double seconds_left() const {
    double reserved = 0;
    for (const auto& slot : slots_)
      if (slot->begun && !slot->done)
        reserved += finish_seconds_;
    return options_.seconds - total_seconds() - std::min(reserved, options_.seconds / 4);
  }
  bool spent() const {
    return (options_.seconds > 0 && seconds_left() <= 0) ||
           (options_.trials > 0 && trials_left() <= 0);
  }
  /// Of the batch's, less one for the untuned program of all that has begun.
  int64_t trials_left() const {
    return options_.trials - total_trials() -
           std::count_if(slots_.begin(), slots_.end(), [](const auto& slot) {
             return slot->begun && !slot->done && slot->outcome.untuned_ns == 0;
           });
  }
  /// Candidates between two trainings; fewer where all items would not get their share of a budget.
  size_t round_size() const {
    const size_t usual = TuneOptions().batch;
    if (options_.trials <= 0)
      return usual;
    const int64_t share = trials_left() / static_cast<int64_t>(std::max<size_t>(unfinished(), 1));
    return std::clamp<size_t>(static_cast<size_t>(std::max<int64_t>(share, 1)), 1, usual);
  }

  void report(Slot& slot, const TuneProgress& progress) {
    if (!hooks_.progress)
      return;
    slot.outcome.trials = progress.trials;
    slot.outcome.seconds = progress.seconds;
    hooks_.progress({slot.outcome.title, slot.index, slots_.size() - unfinished(), slots_.size(),
                     total_trials(), total_seconds(), slot.outcome.flops, slot.outcome.binding_json,
                     progress});
  }

  /// Adds the time until it is gone to the work done.
  class Worked {
  public:
    explicit Worked(Batch& batch) : batch_(batch), start_(batch.now()) {}
    Worked(const Worked&) = delete;
    ~Worked() { batch_.counts_.work_seconds += batch_.now() - start_; }

  private:
    Batch& batch_;
    double start_;
  };

  const Devices& devices_;
  const BatchOptions& options_;
  const BatchHooks& hooks_;
  std::function<double()> clock_;
  TaskScheduler scheduler_;
  std::vector<std::unique_ptr<Slot>> slots_;
  BatchCounts counts_;
  int64_t generation_ = 0;
  int64_t turns_ = 0;
  bool rebuilt_ = false; ///< the latest activation built a run again
  double heartbeat_ = 0;
  double finish_seconds_ = kFinishSeconds;
  int64_t finishes_ = 0;
};

} // namespace

Result<std::vector<database::Run>> batch_runs(database::Store& store, const std::string& batch,
                                              const std::string& cache, const database::Run& row) {
  database::RunFilter filter;
  filter.workload = row.workload;
  TEMPER_TRY(runs, store.list_runs(filter));
  std::erase_if(runs, [&](const database::Run& run) {
    const Json json = options_json(run);
    return run.target != row.target || run.toolchain != row.toolchain ||
           run.environment != row.environment || json.value("batch", "") != batch ||
           json.value("cache", "hot") != cache;
  });
  return std::move(runs);
}

int64_t batch_generation(const database::Run& run) {
  const Json json = options_json(run);
  return json.contains("batch") ? json.value("generation", int64_t{1}) : 0;
}

std::vector<std::pair<size_t, size_t>> merge_equal(std::vector<BatchItem>& items) {
  const auto bounded = [](const BatchItem& item) { return item.trials > 0 || item.seconds > 0; };
  const auto larger = [](auto a, auto b) {
    return a > 0 && b > 0 ? std::max(a, b) : decltype(a){};
  };
  std::vector<std::pair<size_t, size_t>> merged;
  std::map<std::string, size_t> first; // of the items that stay, where it was
  std::vector<BatchItem> kept;
  std::map<size_t, size_t> now_at;
  for (size_t i = 0; i < items.size(); ++i) {
    BatchItem& item = items[i];
    if (!item.kernel.empty())
      if (const auto [found, is_new] = first.emplace(item.kernel, i); !is_new) {
        merged.emplace_back(found->second, i);
        BatchItem& one = kept[now_at[found->second]];
        const bool both = bounded(one) && bounded(item);
        const int64_t most_trials = std::max(one.trials, item.trials);
        const double most_seconds = std::max(one.seconds, item.seconds);
        one.weight += item.weight;
        one.trials = larger(one.trials, item.trials);
        one.seconds = larger(one.seconds, item.seconds);
        if (both && !bounded(one)) { // one counts trials, the other seconds
          one.trials = most_trials;
          one.seconds = most_seconds;
        }
        for (std::string& tag : item.tags)
          if (std::ranges::find(one.tags, tag) == one.tags.end())
            one.tags.push_back(std::move(tag));
        continue;
      }
    now_at[i] = kept.size();
    kept.push_back(std::move(item));
  }
  items = std::move(kept);
  return merged;
}

BatchResult run_batch(const std::vector<BatchItem>& items, const Devices& devices,
                      const BatchOptions& options, const BatchHooks& hooks) {
  return Batch(items, devices, options, hooks).run();
}

} // namespace temper::tuner
