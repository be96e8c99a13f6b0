/// A batch on a machine that is not there: a clock that measuring moves, devices that measure
/// nothing and may be killed, a database that sees processes come and go.
#pragma once

#include "database/system.h"
#include "ir/support/random.h"
#include "tests/tuner/scene.h"
#include "tuner/batch.h"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <unistd.h>
#include <vector>

namespace temper::tuner::testing {

/// What `kill -9` does: nothing after it happens, nothing is given back.
struct Killed {};

/// Time and processes. The calendar may jump, the clock that spans are measured with does not.
class World : public database::System {
public:
  double seconds = 0;
  int64_t jump_ns = 0; ///< of the calendar
  int64_t process = 1; ///< the one at work; those before it are gone
  int64_t other = 0;   ///< another one that is alive, where not 0

  /// Asked whenever something happens on a device; may throw Killed.
  std::function<void()> fate;

  void pass(double span) {
    seconds += span;
    if (fate)
      fate();
  }
  database::ProcessIdentity this_process() override { return {"here", "here", process, process}; }
  Liveness liveness(const database::ProcessIdentity& who) override {
    return who.pid == process || who.pid == other ? Liveness::kAlive : Liveness::kGone;
  }
  int64_t now_ns() override {
    return 1'800'000'000'000'000'000 + static_cast<int64_t>(seconds * 1e9) + jump_ns;
  }
};

/// Everything on it takes fake time.
class SimulatedDevice : public engine::FakeMeasurer {
public:
  explicit SimulatedDevice(World& world)
      : FakeMeasurer([](const auto& request) { return took(time_of(request)); }, 1), world_(world) {
  }
  Result<engine::WorkloadId> add_workload(const engine::WorkloadSpec&) override {
    world_.pass(reference_seconds);
    ++held;
    return ++added;
  }
  void remove_workload(engine::WorkloadId) override { --held; }
  engine::Ticket submit(engine::MeasureRequest request) override {
    world_.pass(trial_seconds);
    const engine::Ticket ticket = FakeMeasurer::submit(std::move(request));
    requests.clear();
    if (lose) { // as when the runner was killed, and again when it was started anew
      lose = false;
      cancel(ticket);
    }
    return ticket;
  }
  Result<engine::Comparison> compare(const engine::CompareRequest& request) override {
    world_.pass(compare_seconds);
    return FakeMeasurer::compare(request);
  }

  double reference_seconds = 2;
  double trial_seconds = 5;
  double compare_seconds = 4;
  bool lose = false; ///< the next request
  int64_t added = 0;
  int64_t held = 0;

private:
  World& world_;
};

class BatchScene {
public:
  explicit BatchScene(size_t count = 3) {
    options.name = "night";
    options.strategy = "random"; // guided ones take seconds a run
    for (size_t i = 0; i < count; ++i)
      add(i);
    hooks.recorded = [this](const BatchItem&, const database::Id& record,
                            const engine::Measurement&) { reported.push_back(record); };
    hooks.progress = [this](const BatchProgress& progress) {
      if (progress.tune.phase == "search")
        ++steps;
      most_held = std::max(most_held, device.held);
    };
    hooks.wait = [this](double span) { world.seconds += span; };
  }
  ~BatchScene() {
    store.reset();
    if (!folder.empty())
      std::filesystem::remove_all(folder);
  }

  /// Another matrix product, of a shape of its own.
  void add(size_t i) {
    constexpr int kExtents[] = {16, 24, 32, 48, 64};
    const std::map<std::string, std::string> shape{{"M", std::to_string(kExtents[i % 5])},
                                                   {"N", std::to_string(kExtents[i / 5 % 5])},
                                                   {"K", std::to_string(kExtents[i / 25 % 5])}};
    BatchItem item;
    item.title = "matmul " + std::to_string(i);
    item.trials = 40;
    item.open = [this, shape]() -> Result<std::unique_ptr<BatchKernel>> {
      ++opened;
      auto kernel = std::make_unique<BatchKernel>();
      kernel->task = task_of(workload("matmul", shape));
      kernel->task.binding_json = Json(shape).dump();
      kernel->space = space_of(kernel->task.module);
      TEMPER_TRY(id, store->add(workload_row(kernel->task)));
      kernel->row.workload = id;
      kernel->row.target = kernel->task.target.to_string();
      database::Environment environment;
      environment.fingerprint = 7;
      environment.class_name = "cpu:fake/1";
      environment.json = "{}";
      TEMPER_TRY(place, store->add(environment));
      kernel->row.environment = place;
      TEMPER_TRY(toolchain, store->add(database::Toolchain{.json = R"({"compiler":"none"})"}));
      kernel->row.toolchain = toolchain;
      return kernel;
    };
    items.push_back(std::move(item));
  }

  /// A database in a file, which survives its process.
  void use_file() {
    std::string pattern = std::filesystem::temp_directory_path() / "temper-batch-XXXXXX";
    folder = mkdtemp(pattern.data());
  }
  /// Opens the database as a new process; `room`: bytes until the disk is full, 0: endless.
  void open_store(int64_t room = 0) {
    ++world.process;
    store.reset();
    database::SqliteOptions settings;
    settings.system = &world;
    if (!folder.empty()) {
      settings.path = std::filesystem::path(folder) / "t.db";
      std::error_code failed;
      const auto size = std::filesystem::file_size(settings.path, failed);
      settings.max_bytes = room > 0 && !failed ? static_cast<int64_t>(size) + room : 0;
    }
    store = must(database::open_sqlite_store(settings));
  }

  BatchResult run() {
    if (!store)
      open_store();
    Devices devices{store.get(), &device, &compilers, "cpu:fake/1",
                    [this] { return world.seconds; }};
    return run_batch(items, devices, options, hooks);
  }

  std::vector<database::Run> runs() { return must(store->list_runs({})); }

  World world;
  SimulatedDevice device{world};
  engine::FakeCompilePool compilers{[this](std::string_view request) {
                                      world.pass(compile_seconds);
                                      return compile_to_text(request);
                                    },
                                    1};
  double compile_seconds = 0.2;
  std::string folder;
  std::unique_ptr<database::Store> store;
  std::vector<BatchItem> items;
  BatchOptions options;
  BatchHooks hooks;
  std::vector<database::Id> reported; ///< records, in order
  int64_t opened = 0;
  int64_t steps = 0;
  int64_t most_held = 0; ///< workloads on the device at once
};

} // namespace temper::tuner::testing
