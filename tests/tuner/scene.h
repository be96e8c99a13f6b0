/// What tests of the search share: a workload of the source tree with its space, an in-memory
/// store, a compiler that makes no code and a device that measures nothing. Times follow from a
/// hash of each candidate's program, so the best of them is known without a search.
#pragma once

#include "codegen/artifact_json.h"
#include "database/sqlite_store.h"
#include "ir/script/printer.h"
#include "ir/script/workload_file.h"
#include "ir/structural.h"
#include "ir/support/hash.h"
#include "tests/support/fake_compile_pool.h"
#include "tests/support/fake_measurer.h"
#include "tuner/compile_protocol.h"
#include "tuner/record_mapping.h"
#include "tuner/space/sketch_space.h"
#include "tuner/tuning_run.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace temper::tuner::testing {

template <typename T> T must(Result<T> result) {
  if (!result) {
    ADD_FAILURE() << result.error().to_string();
    std::abort();
  }
  return std::move(result).value();
}
inline void must(Result<void> result) {
  if (!result) {
    ADD_FAILURE() << result.error().to_string();
    std::abort();
  }
}

/// `name` is "matmul" or "reduction:full_sum"; every parameter without a default is given.
inline script::Workload workload(const std::string& name,
                                 const std::map<std::string, std::string>& parameters) {
  const size_t colon = name.find(':');
  const std::string file = name.substr(0, colon);
  const std::string function = colon == std::string::npos ? file : name.substr(colon + 1);
  const auto read =
      must(script::WorkloadFile::read(std::string(TEMPER_SOURCE_DIR "/workloads/") + file + ".py"));
  return must(read.instantiate(function, parameters));
}

inline std::unique_ptr<Space> space_of(const ir::IRModule& module, MachineHints machine = {}) {
  SketchOptions options;
  options.machine = machine;
  return must(make_sketch_space(module, std::move(options)));
}

inline Task task_of(const script::Workload& workload) {
  Task task;
  task.workload = workload.name;
  task.binding_json = "{}";
  task.parameters_json = "[]";
  task.module = workload.module;
  task.module_text = script::to_text(workload.module);
  task.reference = workload.reference;
  task.reference_text = script::to_text(workload.reference);
  task.flops = workload.flops;
  const auto function = workload.module->functions.front().function.as_ref<ir::PrimFuncNode>();
  task.signature = must(signature_of(function));
  task.target = must(ir::parse_target("cpu:x86-64-v3"));
  return task;
}

/// The code of a candidate is its trace.
inline Result<std::string> compile_to_text(std::string_view bytes) {
  TEMPER_TRY(request, decode_compile_request(bytes));
  codegen::Artifact artifact;
  artifact.code = request.kind == CompileKind::kReference ? "reference" : request.trace_json;
  artifact.code_hash = hash_bytes(artifact.code);
  artifact.entry = "main";
  artifact.target = request.target;
  return codegen::serialize_artifact(artifact);
}

/// 1 to 101 us, by the program.
inline double time_of(const engine::MeasureRequest& request) {
  return 1000 + static_cast<double>(request.artifact->code_hash % 100'000);
}

class Scene {
public:
  explicit Scene(const std::string& name = "matmul",
                 const std::map<std::string, std::string>& parameters = {{"M", "16"},
                                                                         {"N", "16"},
                                                                         {"K", "16"}})
      : task(task_of(workload(name, parameters))), space(space_of(task.module)),
        store(must(database::open_sqlite_store({}))) {
    row.workload = must(store->add(workload_row(task)));
    row.target = task.target.to_string();
    database::Environment environment;
    environment.fingerprint = 7;
    environment.class_name = "cpu:fake/1";
    environment.json = "{}";
    row.environment = must(store->add(environment));
    row.toolchain = must(store->add(database::Toolchain{.json = R"({"compiler":"none"})"}));
    row.strategy = "random"; // guided ones take seconds a run, and most tests are about the loop
    row.seed = 1;
    options.stop.trials = 40;
    use(engine::FakeMeasurer(
        [](const auto& request) { return engine::FakeMeasurer::took(time_of(request)); }));
  }

  template <typename M> void use(M fake) { measurer = std::make_unique<M>(std::move(fake)); }

  /// A new run, to its end.
  Result<TuneResult> run() {
    run_id = must(store->create_run(row));
    return go_on();
  }
  /// The latest run, once more.
  Result<TuneResult> go_on(bool reopen = false) {
    const auto claim = must(store->claim_run(run_id, reopen));
    const auto run = must(store->run(run_id));
    const Devices devices{store.get(), measurer.get(), &compilers, "cpu:fake/1"};
    return tune(task, *space, run, claim, devices, options, hooks);
  }

  std::vector<database::Measurement> rows(database::Purpose purpose = database::Purpose::kSearch) {
    std::vector<database::Measurement> all;
    must(store->measurements(run_id, [&](const database::Measurement& measurement) {
      if (measurement.purpose == purpose)
        all.push_back(measurement);
      return true;
    }));
    return all;
  }
  std::map<database::Outcome, int> outcomes() {
    std::map<database::Outcome, int> counts;
    for (const database::Measurement& measurement : rows())
      ++counts[measurement.outcome];
    return counts;
  }
  /// What was measured, in order, without the finalists' confirmation.
  std::vector<uint64_t> measured() const {
    std::vector<uint64_t> hashes;
    for (const engine::MeasureRequest& request : measurer->requests)
      hashes.push_back(request.artifact->code_hash);
    return hashes;
  }

  Task task;
  std::unique_ptr<Space> space;
  std::unique_ptr<database::Store> store;
  std::unique_ptr<engine::FakeMeasurer> measurer;
  engine::FakeCompilePool compilers{compile_to_text, 1};
  database::Run row;
  database::Id run_id;
  TuneOptions options;
  TuneHooks hooks;
};

} // namespace temper::tuner::testing
