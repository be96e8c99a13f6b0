/// What the tests of the database share: a folder of their own, a fake machine, rows to begin with.
#pragma once

#include "database/postgres_store.h"
#include "database/sqlite_store.h"
#include "ir/support/hash.h"

#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <string>
#include <unistd.h>

namespace temper::database {

#define ASSERT_OK(expr)                                                                            \
  do {                                                                                             \
    const auto& assert_ok_result = (expr);                                                         \
    ASSERT_TRUE(assert_ok_result.has_value()) << assert_ok_result.error().to_string();             \
  } while (false)

/// The value, or the end of the test program with the error's sentence.
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

/// Time that moves only by hand, and file systems and processes as the test says.
class FakeSystem : public System {
public:
  FilesystemInfo filesystem(const std::filesystem::path&) override { return info; }
  ProcessIdentity this_process() override { return self; }
  Liveness liveness(const ProcessIdentity& process) override {
    if (process.domain != self.domain)
      return Liveness::kUnseen;
    return gone.contains(process.pid) && gone[process.pid] ? Liveness::kGone : Liveness::kAlive;
  }
  int64_t now_ns() override { return now += 1'000'000; }
  uint64_t random_word() override { return words += 1000; }

  FilesystemInfo info;
  ProcessIdentity self{"here", "here boot", 100, 1};
  std::map<int64_t, bool> gone;
  int64_t now = 1'700'000'000'000'000'000;
  uint64_t words = 0;
};

/// A folder that is removed at the end.
class Folder {
public:
  Folder() {
    std::string text = (std::filesystem::temp_directory_path() / "temper_db_XXXXXX").string();
    path_ = ::mkdtemp(text.data());
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

private:
  std::filesystem::path path_;
};

inline Workload a_workload(const std::string& name = "matmul", int64_t size = 512,
                           uint64_t hash = 0) {
  Workload row;
  row.name = name;
  row.layer = "s-tir";
  row.function = name;
  row.structural_hash = hash != 0 ? hash : hash_bytes(name);
  row.binding_json = "{\"N\":" + std::to_string(size) + ",\"M\":" + std::to_string(size) + "}";
  row.parameters_json = "[\"M\",\"N\"]";
  row.flops = 2.0 * static_cast<double>(size * size);
  row.bytes = 8.0 * static_cast<double>(size);
  row.program = "@T.prim_func\ndef main(): ...\n";
  row.source_path = name + ".py";
  return row;
}

/// A store with one workload, environment, toolchain and run, claimed.
struct Scene {
  explicit Scene(Store& opened, const Workload& workload_row = a_workload()) : store(opened) {
    workload = must(store.add(workload_row));
    environment = must(store.add(
        Environment{.fingerprint = 11, .class_name = "cpu:test/2", .host = "here", .json = "{}"}));
    toolchain = must(store.add(Toolchain{.json = "{\"llvm\":\"19.1.7\",\"codegen\":1}"}));
    start_run();
  }

  void start_run(const std::string& target = "cpu:test") {
    Run row;
    row.workload = workload;
    row.target = target;
    row.environment = environment;
    row.toolchain = toolchain;
    row.strategy = "evolutionary";
    row.seed = 42;
    row.budget_trials = 1000;
    row.command_line = "temper tune matmul M=512 N=512";
    run = must(store.create_run(row));
    claim = must(store.claim_run(run));
  }

  Measurement measurement(double median_ns, Outcome outcome = Outcome::kOk) const {
    Measurement row;
    row.sequence = -1;
    row.outcome = outcome;
    row.stage = "time";
    row.median_ns = outcome == Outcome::kOk ? median_ns : kUnknown;
    row.low_ns = median_ns * 0.99;
    row.high_ns = median_ns * 1.01;
    row.samples_ns = {static_cast<float>(median_ns), static_cast<float>(median_ns + 1)};
    row.environment = environment;
    row.toolchain = toolchain;
    row.code_hash = 5;
    return row;
  }

  static std::string trace(int decision) {
    return "[[[\"GetSBlock\",[],[\"C\",\"main\"],[\"b0\"]],[\"SamplePerfectTile\",[\"l1\"],[4,64],"
           "[\"v1\",\"v2\"]]],[[1,[" +
           std::to_string(decision) + ",2]]]]";
  }

  Recorded record(const std::string& program, const Measurement& row) {
    progress.trials += 1;
    progress.random_state += 17;
    return must(store.record(
        claim, {{.kind = "trace", .program = program, .origin = "sample"}, row}, progress));
  }

  Store& store;
  Id workload, environment, toolchain, run;
  RunClaim claim;
  RunProgress progress;
};

/// A fresh store of its own: in memory, or, where TEMPER_TEST_POSTGRES names a server, in a schema
/// there, so that the same tests try both.
inline std::unique_ptr<Store> memory_store(System* system = nullptr) {
  if (const char* url = std::getenv("TEMPER_TEST_POSTGRES")) {
    static int count = 0;
    return must(open_postgres_store(
        {.url = url,
         .schema = "test_" + std::to_string(::getpid()) + "_" + std::to_string(++count),
         .system = system}));
  }
  return must(open_sqlite_store({.system = system}));
}

} // namespace temper::database
