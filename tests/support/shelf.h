/// Records to look at, without a compiler or a measurement: kernels that some machines measured
/// with some compilers, in memory or in a file that a command reads.
#pragma once

#include "database/sqlite_store.h"
#include "ir/support/hash.h"
#include "ir/support/json.h"
#include "ir/support/random.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace temper::testing {

using database::Id;
using database::RecordRow;

inline void must(Result<void> result) {
  if (!result) {
    ADD_FAILURE() << result.error().to_string();
    std::abort();
  }
}
template <typename T> T must(Result<T> result) {
  if (!result) {
    ADD_FAILURE() << result.error().to_string();
    std::abort();
  }
  return std::move(result).value();
}

/// Kernels of a machine with a compiler, each measured once in a run of its own.
struct Place {
  Id environment;
  Id toolchain;
  std::string target = "cpu:x";
};

struct Kernel {
  std::string name = "matmul";
  int size = 512;
  double ns = 1e6;
  int threads = 1;
  size_t samples = 25;
  uint64_t code = 0;
  uint64_t program = 1; ///< another number: the workload was edited
  database::TimingRegime regime = database::TimingRegime::kHot;
  double untuned_ns = 0; ///< above 0: the program as written was measured first
  std::string layer = "s-tir";
  std::string strategy = "auto";
  std::string program_text = "x";
  /// Traces that were measured in the same run before it, with their times.
  std::vector<std::pair<std::string, double>> earlier;
  std::vector<double> confirmations_ns; ///< measured again at the end, which is no trial
  std::string trace;                    ///< empty: one that no other record has
  std::string command_line;
  std::string origin = "mutate tile";
  std::vector<float> samples_ns; ///< empty: `samples` of them about `ns`
};

/// A store with records that a test made up.
struct Shelf {
  Shelf() : store(must(database::open_sqlite_store({}))) {}
  explicit Shelf(const std::filesystem::path& file)
      : store(must(database::open_sqlite_store({.path = file}))) {}

  std::unique_ptr<database::Store> store;
  Random random{1};
  int64_t now = 1'700'000'000'000'000'000;

  Place place(const std::string& host, const std::string& compiler,
              const std::string& target = "cpu:x") {
    return {must(store->add(database::Environment{.fingerprint = hash_bytes(host),
                                                  .class_name = "cpu:" + host + "/2",
                                                  .host = host,
                                                  .json = "{}"})),
            must(store->add(
                database::Toolchain{.id = {}, .json = Json{{"compiler", compiler}}.dump()})),
            target};
  }

  /// A library in the place of the compiler.
  Place library(const Place& machine, const std::string& name) {
    Place place = machine;
    place.toolchain = must(store->add(
        database::Toolchain{.id = {}, .json = Json{{"library", name}, {"file", "lib.so"}}.dump()}));
    return place;
  }

  RecordRow add(const Place& place, const Kernel& kernel) {
    database::Workload workload;
    workload.name = kernel.name;
    workload.layer = kernel.layer;
    workload.structural_hash = kernel.program;
    workload.binding_json = Json{{"K", 64}, {"N", kernel.size}}.dump();
    workload.parameters_json = R"(["N","K"])";
    workload.flops = 1e9;
    workload.program = kernel.program_text;
    database::Run run;
    run.workload = must(store->add(workload));
    run.target = place.target;
    run.environment = place.environment;
    run.toolchain = place.toolchain;
    run.strategy = kernel.strategy;
    run.started_at = now;
    run.command_line = kernel.command_line;
    const Id id = must(store->create_run(run));
    const database::RunClaim claim = must(store->claim_run(id));
    int64_t trials = 0;
    const auto record = [&](const std::string& trace, const std::string& origin, double ns) {
      const database::Trial trial{
          {.id = {}, .workload = {}, .kind = "trace", .program = trace, .origin = origin},
          measurement(place, kernel, origin, ns)};
      return must(store->record(claim, trial, {.trials = ++trials})).measurement;
    };
    if (kernel.untuned_ns > 0)
      record("[[],[]]", "untuned", kernel.untuned_ns);
    for (const auto& [trace, ns] : kernel.earlier)
      record(trace, "sample", ns);
    const Id best =
        record(kernel.trace.empty() ? "[[],[[0," + std::to_string(now) + "]]]" : kernel.trace,
               kernel.origin, kernel.ns);
    for (const double ns : kernel.confirmations_ns) {
      database::Measurement again = measurement(place, kernel, kernel.origin, ns);
      again.purpose = database::Purpose::kConfirm;
      const database::Candidate candidate =
          must(store->candidate(must(store->record_row(best)).candidate));
      must(store->record(claim, {candidate, again}, {.trials = trials}));
    }
    must(store->release_run(claim, database::RunState::kFinished, "done"));
    return must(store->record_row(best));
  }

  /// The same measurement as a record of another compiler, as a remeasurement of equal code keeps
  /// it.
  RecordRow copy(const Place& place, const RecordRow& row) {
    database::Measurement same = must(store->measurement(row.id));
    const database::Candidate candidate = must(store->candidate(row.candidate));
    same.id.clear();
    same.sequence = -1;
    same.toolchain = place.toolchain;
    same.origin = "remeasure";
    same.purpose = database::Purpose::kConfirm;
    database::Run run;
    run.workload = row.workload;
    run.target = place.target;
    run.environment = place.environment;
    run.toolchain = place.toolchain;
    run.strategy = "remeasure";
    run.started_at = ++now;
    const Id id = must(store->create_run(run));
    const database::RunClaim claim = must(store->claim_run(id));
    const Id record = must(store->record(claim, {candidate, same}, {.trials = 1})).measurement;
    must(store->release_run(claim, database::RunState::kFinished, "equal code"));
    return must(store->record_row(record));
  }

private:
  database::Measurement measurement(const Place& place, const Kernel& kernel,
                                    const std::string& origin, double ns) {
    database::Measurement row;
    row.sequence = -1;
    row.stage = "time";
    row.threads = kernel.threads;
    row.regime = kernel.regime;
    row.samples_ns = kernel.samples_ns;
    for (size_t i = 0; i < kernel.samples && kernel.samples_ns.empty(); ++i)
      row.samples_ns.push_back(static_cast<float>(ns * (1 + 0.002 * std::abs(random.normal()))));
    row.median_ns = ns;
    row.low_ns = ns * 0.999;
    row.high_ns = ns * 1.001;
    row.environment = place.environment;
    row.toolchain = place.toolchain;
    row.code_hash = kernel.code;
    row.origin = origin;
    row.facts_json = R"({"code_bytes":640,"instructions":100,"vector_bits":256,"spills":2,)"
                     R"("stack_bytes":64})";
    row.measured_at = now += 1'000'000'000;
    return row;
  }
};

} // namespace temper::testing
