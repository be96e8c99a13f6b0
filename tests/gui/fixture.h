/// A database as a few short runs leave it, made through the store.
#pragma once

#include "database/sqlite_store.h"

#include <QDir>
#include <QElapsedTimer>
#include <QProcess>
#include <QString>
#include <QTemporaryDir>
#include <QTest>

#include <functional>
#include <string>
#include <vector>

namespace temper::gui {

/// A program that parses, so that its texts can be shown.
inline const char* const kScaleProgram = R"(# from tvm.script import ir as I
# from tvm.script import tirx as T

@I.ir_module
class Module:
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((64, 64), "float32"), B: T.Buffer((64, 64), "float32")):
        T.func_attr({"tirx.noalias": True})
        for i, j in T.grid(64, 64):
            with T.sblock("B"):
                vi, vj = T.axis.remap("SS", [i, j])
                B[vi, vj] = A[vi, vj] * T.float32(2.0) + T.float32(1.0)
)";

template <typename T> T must(Result<T> result) {
  if (!result)
    qFatal("%s", result.error().to_string().c_str());
  return std::move(result).value();
}
inline void must(Result<void> result) {
  if (!result)
    qFatal("%s", result.error().to_string().c_str());
}

/// Waits for what other threads and processes do.
inline bool waitFor(const std::function<bool()>& condition, int ms = 60'000) {
  QElapsedTimer time;
  time.start();
  while (!condition() && time.elapsed() < ms)
    QTest::qWait(10);
  return condition();
}

/// Into a database, made where there is none, with `temper import`.
inline void importRecords(const QString& file, const QString& database) {
  QProcess import;
  import.start(qEnvironmentVariable("TEMPER_PROGRAM"),
               {QStringLiteral("import"), file, QStringLiteral("--db"), database});
  QVERIFY(import.waitForFinished(60'000));
  QVERIFY2(import.exitCode() == 0, import.readAllStandardError().constData());
}

class Fixture {
public:
  explicit Fixture(int trials = 40) {
    path_ = folder_.filePath(QStringLiteral("records.db"));
    if (trials < 0)
      return; // no database
    fill(*store(), trials);
  }

  /// The same in a store from elsewhere.
  void fill(database::Store& store, int trials) {
    for (const char* name : {"scale", "shift"}) {
      database::Workload workload;
      workload.name = name;
      workload.layer = "s-tir";
      workload.function = "main";
      workload.structural_hash = std::string(name) == "scale" ? 1 : 2;
      workload.binding_json = R"({"M":64,"N":64})";
      workload.parameters_json = R"(["N","M"])";
      workload.flops = 8192;
      workload.bytes = 32768;
      workload.program = kScaleProgram;
      const database::Id id = must(store.add(workload));
      addRun(store, id, trials);
    }
  }

  const QString& path() const { return path_; }
  QString file(const char* name) const { return folder_.filePath(QString::fromLatin1(name)); }
  std::unique_ptr<database::Store> store() const {
    return must(database::open_sqlite_store({.path = path_.toStdString()}));
  }

  /// A record of `scale` with this program, which took a microsecond.
  QString recordOf(const char* program, const char* target = "cpu:x86-64,-sse3",
                   const database::Measurement& with = {}) const {
    const auto store = this->store();
    const database::Workload scale = must(store->list_workloads("scale")).front().workload;
    database::Run run = must(store->run(must(store->list_runs({})).front().id));
    ++run.seed; // several records are of several runs
    ++run.started_at;
    run.workload = scale.id;
    run.target = target;
    database::Trial trial;
    trial.measurement = with;
    trial.candidate.workload = run.workload;
    trial.candidate.kind = "trace";
    trial.candidate.program = program;
    trial.measurement.outcome = database::Outcome::kOk;
    trial.measurement.median_ns = trial.measurement.low_ns = trial.measurement.high_ns = 1000;
    const auto also = [](const auto&, const auto&) -> Result<void> { return {}; };
    return QString::fromStdString(
        must(database::record_alone(*store, run, trial, "done", also)).measurement);
  }

  /// A run of so many trials: every seventh crashed, the others a little faster each.
  database::Id addRun(database::Store& store, const database::Id& workload, int trials,
                      bool finish = true) {
    database::Environment environment;
    environment.fingerprint = 7;
    environment.class_name = "cpu:test/2";
    environment.host = "here";
    environment.json = "{}";
    database::Toolchain toolchain;
    toolchain.json = R"({"llvm":"19"})";
    database::Run run;
    run.workload = workload;
    run.target = "cpu:x86-64,-sse3";
    run.environment = must(store.add(environment));
    run.toolchain = must(store.add(toolchain));
    run.strategy = "auto";
    run.seed = ++seed_;
    run.budget_trials = trials;
    run.command_line = "temper tune scale --trials " + std::to_string(trials);
    run.started_at = 1'700'000'000'000'000'000 + static_cast<int64_t>(seed_) * 1'000'000'000'000;
    const database::Id id = must(store.create_run(run));
    const database::RunClaim claim = must(store.claim_run(id));
    for (int i = 0; i < trials; ++i)
      record(store, claim, run, i);
    if (finish)
      must(store.release_run(claim, database::RunState::kFinished, "enough trials"));
    return id;
  }

  database::Id record(database::Store& store, const database::RunClaim& claim,
                      const database::Run& run, int i, double predicted = database::kUnknown) {
    database::Trial trial;
    trial.candidate.workload = run.workload;
    trial.candidate.kind = "trace";
    trial.candidate.program =
        R"([[["GetSBlock",[],["B","main"],["b0"]],["SampleCategorical",[],[[1,2,4,8],[0.25,0.25,0.25,0.25]],["v1"]]],[[1,)" +
        std::to_string(i % 4) + "]]]";
    trial.measurement.sequence = i;
    trial.measurement.outcome = i % 7 == 3 ? database::Outcome::kCrashed : database::Outcome::kOk;
    if (trial.measurement.outcome == database::Outcome::kOk) {
      const double ns = 2000.0 + 60'000.0 / (i + 1);
      trial.measurement.median_ns = ns;
      trial.measurement.low_ns = 0.99 * ns;
      trial.measurement.high_ns = 1.01 * ns;
      trial.measurement.samples_ns = {static_cast<float>(ns), static_cast<float>(1.01 * ns),
                                      static_cast<float>(0.99 * ns)};
    } else {
      trial.measurement.error = "ended by signal 11";
      trial.measurement.stage = "run";
    }
    trial.measurement.predicted_score = predicted;
    trial.measurement.environment = run.environment;
    trial.measurement.toolchain = run.toolchain;
    trial.measurement.origin = "sample";
    trial.measurement.measured_at = run.started_at + i * int64_t{1'000'000'000};
    database::RunProgress progress;
    progress.trials = i + 1;
    progress.seconds = 0.1 * (i + 1);
    progress.funnel_json = R"({"proposed":{"count":50},"legal":{"count":45}})";
    return must(store.record(claim, trial, progress)).measurement;
  }

private:
  QTemporaryDir folder_;
  QString path_;
  uint64_t seed_ = 0;
};

} // namespace temper::gui
