#include "tuner/remeasure.h"

#include "codegen/artifact_json.h"
#include "ir/support/hash.h"
#include "tuner/compile_protocol.h"
#include "tuner/record_mapping.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

namespace temper::tuner {

using ArtifactRef = std::shared_ptr<const codegen::Artifact>;

const char* to_string(RemeasureVerdict verdict) {
  switch (verdict) {
  case RemeasureVerdict::kEqualCode:
    return "equal code";
  case RemeasureVerdict::kSame:
    return "same";
  case RemeasureVerdict::kFaster:
    return "faster";
  case RemeasureVerdict::kSlower:
    return "slower";
  case RemeasureVerdict::kBroken:
    return "broken";
  case RemeasureVerdict::kUndecided:
    return "undecided";
  }
  return "";
}

namespace {

/// In a compile process: a new compiler may crash on what the old one took. kFailed when it
/// refuses.
Result<ArtifactRef> compile(Workbench& bench, const CompileRequest& request) {
  TEMPER_TRY(pool, bench.compilers());
  const engine::Ticket ticket = pool->submit(encode(request));
  while (true) {
    for (engine::CompileFinished& done : pool->poll(500)) {
      if (done.ticket != ticket)
        continue;
      if (done.outcome != engine::Outcome::kOk)
        return Error(ErrorCode::kFailed, done.error);
      TEMPER_TRY(artifact, codegen::deserialize_artifact(done.response));
      return ArtifactRef(std::make_shared<codegen::Artifact>(std::move(artifact)));
    }
    if (pool->pending() == 0)
      return Error(ErrorCode::kEnvironment, "the compile processes lost a request");
  }
}

/// The measuring of one kernel.
class Remeasure {
public:
  Remeasure(Workbench& bench, const database::RecordRow& row, const RemeasureOptions& options)
      : bench_(bench), options_(options) {
    result_.old = row;
    result_.title = row.workload_name;
  }

  Result<Remeasured> run() {
    TEMPER_TRY(store, bench_.store());
    store_ = store;
    const database::RecordRow& row = result_.old;
    bench_.retarget(row.target, row.threads);
    TEMPER_TRY(workload, store_->workload(row.workload));
    auto task = bench_.task(workload);
    if (!task)
      return undecided(task.error().message);
    task_ = std::move(*task);
    task_.regime = from_row(row.regime);
    result_.title = task_.title();
    if (auto runs_here = bench_.check_host(task_); !runs_here)
      return undecided(runs_here.error().message);
    TEMPER_TRY(toolchain, bench_.toolchain());
    TEMPER_TRY(measurement, store_->measurement(row.id));
    old_row_ = std::move(measurement);
    TEMPER_TRY(candidate, store_->candidate(row.candidate));
    candidate_ = std::move(candidate);
    auto made = compile(bench_, candidate_request(task_, candidate_.program));
    if (!made && made.error().code != ErrorCode::kFailed)
      return made.error();
    if (!made)
      return broken("does not compile any more: " + made.error().message);
    new_ = *made;

    if (old_row_.code_hash == new_->code_hash) {
      result_.verdict = RemeasureVerdict::kEqualCode;
      result_.old_ns = result_.new_ns = row.median_ns;
      result_.ratio = 1;
      result_.interval = {1, 1};
      if (row.toolchain == toolchain.id) {
        result_.record = row.id;
        return result_;
      }
      database::Measurement same = old_row_; // its samples and its time are still true
      return keep(std::move(same));
    }
    return compare();
  }

private:
  Result<Remeasured> undecided(std::string reason) {
    result_.verdict = RemeasureVerdict::kUndecided;
    result_.reason = std::move(reason);
    return result_;
  }
  Result<Remeasured> broken(std::string reason) {
    result_.verdict = RemeasureVerdict::kBroken;
    result_.reason = std::move(reason);
    return result_;
  }

  Result<Remeasured> compare() {
    auto old = bench_.kept_code(result_.old.id);
    if (!old && old.error().code != ErrorCode::kNotFound)
      return old.error();
    ArtifactRef reference;
    if (task_.reference) {
      TEMPER_TRY(compiled, compile(bench_, reference_request(task_)));
      reference = compiled;
    }
    TEMPER_TRY(measurer, bench_.measurer());
    constexpr uint64_t kSeed = 5;
    TEMPER_TRY(workload, measurer->add_workload(workload_spec(task_, reference, kSeed)));
    std::vector<engine::Contender> contenders;
    const int threads = result_.old.threads;
    if (old)
      contenders.push_back({"old", *old, {}, threads, true});
    contenders.push_back({"new", new_, {}, threads, true});
    const auto sitting = [&] {
      return bench_.compare_on(workload, task_, contenders, options_.max_seconds);
    };
    Result<engine::Comparison> comparison = sitting();
    Result<engine::Comparison> again = comparison;
    // Of a hundred kernels some look slower by chance: what does is measured once more, in new
    // processes, and both have to say so.
    if (comparison && slower(*comparison))
      again = sitting();
    measurer->remove_workload(workload);
    if (!comparison)
      return comparison.error();
    if (!again)
      return again.error();
    return judge(*comparison, *again, old.has_value());
  }

  bool slower(const engine::Comparison& comparison) const {
    const engine::ComparedContender& last = comparison.contenders.back();
    return comparison.contenders.size() == 2 && engine::is_correct(last.measurement.outcome) &&
           last.ratio_interval.low > 1 + options_.tolerance;
  }

  Result<Remeasured> judge(const engine::Comparison& first, const engine::Comparison& last,
                           bool had_old) {
    const engine::ComparedContender& now = last.contenders.back();
    const engine::Measurement& old = last.contenders.front().measurement;
    const bool old_ran = had_old && engine::is_correct(old.outcome) && old.median_ns > 0;
    if (!engine::is_correct(now.measurement.outcome)) {
      result_.verdict = RemeasureVerdict::kBroken;
      result_.reason = std::string(engine::to_string(now.measurement.outcome)) +
                       (now.measurement.error.empty() ? "" : ": " + now.measurement.error);
    } else if (!old_ran) {
      result_.verdict = RemeasureVerdict::kUndecided;
      result_.reason = !had_old ? "the old code was not kept: the new one was measured alone"
                                : std::string("the old code does not run here (") +
                                      engine::to_string(old.outcome) + "): " + old.error;
    } else if (now.measurement.outcome != engine::Outcome::kOk) {
      result_.verdict = RemeasureVerdict::kUndecided;
      result_.reason =
          std::string(engine::to_string(now.measurement.outcome)) + ": " + now.measurement.error;
    } else {
      result_.old_ns = old.median_ns;
      result_.ratio = now.ratio;
      result_.interval = now.ratio_interval;
      const bool slow = slower(first) && slower(last);
      if (slower(first) && !slow) // two sittings that disagree: what both allow
        result_.interval = {
            std::min(first.contenders.back().ratio_interval.low, now.ratio_interval.low),
            std::max(first.contenders.back().ratio_interval.high, now.ratio_interval.high)};
      const bool unknown = std::isnan(result_.interval.low);
      result_.verdict = unknown                     ? RemeasureVerdict::kUndecided
                        : slow                      ? RemeasureVerdict::kSlower
                        : result_.interval.high < 1 ? RemeasureVerdict::kFaster
                                                    : RemeasureVerdict::kSame;
      if (unknown)
        result_.reason = "too few pairs were timed for an interval";
    }
    if (engine::is_correct(now.measurement.outcome))
      result_.new_ns = now.measurement.median_ns;
    database::Measurement row = measurement_row(now.measurement, task_, new_.get());
    return keep(std::move(row));
  }

  /// The record of today, in a run of its own, with the bytes.
  Result<Remeasured> keep(database::Measurement row) {
    TEMPER_TRY(run, bench_.new_run(task_));
    run.strategy = "remeasure";
    run.parent_record = result_.old.id;
    run.command_line = options_.command_line;
    row.predicted_score = database::kUnknown;
    const auto also = [&](const database::Id& id,
                          const database::Recorded& recorded) -> Result<void> {
      result_.record = recorded.measurement;
      TEMPER_TRY(kept, store_->add(artifact_row(*new_, recorded.candidate, run.toolchain)));
      (void)kept;
      database::Event event;
      event.run = id;
      event.kind = "remeasured";
      event.json = Json{{"record", result_.old.id},
                        {"verdict", to_string(result_.verdict)},
                        {"ratio", result_.ratio},
                        {"ratio_interval", {result_.interval.low, result_.interval.high}},
                        {"reason", result_.reason}}
                       .dump();
      return store_->add(event);
    };
    TEMPER_TRY(recorded, database::record_alone(*store_, run, {candidate_, std::move(row)},
                                                to_string(result_.verdict), also));
    (void)recorded;
    return result_;
  }

  Workbench& bench_;
  const RemeasureOptions& options_;
  database::Store* store_ = nullptr;
  Task task_;
  database::Candidate candidate_;
  database::Measurement old_row_;
  ArtifactRef new_;
  Remeasured result_;
};

} // namespace

Result<std::vector<database::RecordRow>> stale_records(Workbench& bench) {
  TEMPER_TRY(store, bench.store());
  TEMPER_TRY(filter, bench.comparable());
  filter.include_stale = true;
  filter.regime.reset();
  TEMPER_TRY(fresh, bench.fresh_toolchains());
  filter.current_toolchains = std::move(fresh);
  TEMPER_TRY(all, store->best(filter));
  using Key = std::tuple<database::Id, std::string, int, database::TimingRegime, std::string>;
  std::map<Key, database::RecordRow> newest;
  for (const database::RecordRow& row : all) {
    if (!row.stale)
      continue;
    database::RecordFilter same;
    same.candidate = row.candidate;
    same.target = row.target;
    same.environment_class = row.environment_class;
    same.current_toolchains = filter.current_toolchains;
    TEMPER_TRY(measured, store->list_records(same));
    const bool known = std::any_of(measured.begin(), measured.end(), [&](const auto& other) {
      return !other.stale && other.threads == row.threads && other.regime == row.regime &&
             other.inputs == row.inputs;
    });
    if (known)
      continue;
    const auto [place, is_new] =
        newest.try_emplace({row.workload, row.target, row.threads, row.regime, row.inputs}, row);
    if (!is_new && place->second.measured_at < row.measured_at)
      place->second = row;
  }
  std::vector<database::RecordRow> stale;
  for (auto& [key, row] : newest) {
    row.stale = true;
    stale.push_back(std::move(row));
  }
  std::sort(stale.begin(), stale.end(), [](const auto& a, const auto& b) {
    return std::tie(a.workload_name, a.binding_json, a.id) <
           std::tie(b.workload_name, b.binding_json, b.id);
  });
  return stale;
}

Result<Remeasured> remeasure(Workbench& bench, const database::RecordRow& row,
                             const RemeasureOptions& options) {
  return Remeasure(bench, row, options).run();
}

} // namespace temper::tuner
