/// temper bench: honest numbers of what is there, without tuning.
#include "tuner/cli/command.h"
#include "tuner/cli/output.h"

#include "ir/support/text.h"
#include "tuner/bench_file.h"
#include "tuner/bench_run.h"
#include "tuner/google_benchmark.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <filesystem>

namespace temper::cli {
namespace {

using tuner::BenchEntry;
using tuner::BenchRow;
using tuner::BenchTable;
using tuner::Workbench;

struct BenchCommand {
  CommonOptions common;
  std::string command_line;
  std::string file;
  std::string google_benchmark;
};

/// What the tools of Google Benchmark want to know of the machine.
Json google_context(const database::Environment& environment) {
  return Json{{"date", format_utc(int64_t{std::time(nullptr)} * 1'000'000'000)},
              {"host_name", environment.host},
              {"executable", "temper"},
              {"library_build_type", "release"},
              {"caches", Json::array()},
              {"environment", environment.class_name}};
}

Json json_of(const BenchTable& table) {
  Json rows = Json::array();
  for (const BenchRow& row : table.rows)
    rows.push_back(Json{
        {"name", row.name},
        {"record", row.record.empty() ? Json(nullptr) : Json(row.record)},
        {"outcome", row.outcome},
        {"median_ns", known(row.median_ns)},
        {"gflops", known(gflops(table.flops, row.median_ns))},
        {"ratio", known(row.ratio)},
        {"ratio_interval",
         row.ratio > 0 ? Json{number(row.interval.low), number(row.interval.high)} : Json(nullptr)},
        {"settings", row.settings},
        {"error", row.error}});
  return Json{{"workload", table.title},
              {"baseline", table.rows.empty() ? "" : table.rows.front().name},
              {"rows", std::move(rows)},
              {"missing", table.missing}};
}

void show(Table& shown, const BenchTable& table) {
  for (size_t i = 0; i < table.rows.size(); ++i) {
    const BenchRow& row = table.rows[i];
    shown.add({i == 0 ? table.title : "", row.name,
               row.median_ns > 0 ? format_time(row.median_ns) : row.outcome,
               format_rate(table.flops, row.median_ns, table.binding_json),
               row.ratio > 0 ? fmt::format("{:.2f}", row.ratio) : "-",
               row.ratio > 0 ? format_ratio_interval(row.interval, 2) : row.error});
  }
}

int run_bench(BenchCommand& options) {
  auto text = read_file(options.file);
  if (!text)
    return report(text.error());
  auto file = tuner::parse_bench_file(*text, options.file);
  if (!file)
    return report(file.error());
  Workbench bench(options.common.workbench);
  if (auto store = bench.store(); !store)
    return report(store.error());
  auto environment = bench.environment();
  if (!environment)
    return report(environment.error());
  install_interrupt_handler("interrupted; what was measured is kept");
  const tuner::BenchOptions settings{.name = file->name, .command_line = options.command_line};
  std::vector<BenchTable> tables;
  int code = kDone;
  LiveLine line;
  const auto failed = [&](const std::string& what, const Error& error) {
    line.finish();
    std::fprintf(stderr, "temper: %s: %s\n", what.c_str(), error.message.c_str());
    code = kFailedWork;
  };
  const auto take = [&](const BenchEntry& entry, const std::string& what,
                        Result<std::vector<BenchTable>> measured) {
    if (!measured)
      return failed(what, measured.error());
    for (BenchTable& table : *measured) {
      if (entry.functions && !table.missing.empty()) // which the file asks for by name
        code = kFailedWork;
      tables.push_back(std::move(table));
    }
  };
  for (const BenchEntry& entry : file->entries) {
    if (!entry.command.empty()) {
      line.show(join(entry.command, " "));
      take(entry, entry.command.front(), tuner::bench_command(bench, entry, settings));
      continue;
    }
    auto kernels = kernels_of(bench, entry.workload, entry.shapes);
    if (!kernels) {
      failed(entry.workload, kernels.error());
      continue;
    }
    for (const tuner::WorkloadArguments& kernel : *kernels) {
      const std::string title = title_of(bench, kernel);
      line.show(title);
      take(entry, title, tuner::bench_kernel(bench, entry, kernel, settings));
    }
  }
  line.finish();
  bool wrong = false;
  bool broken = code != kDone;
  for (const BenchTable& table : tables) {
    for (const std::string& missing : table.missing)
      std::fprintf(stderr, "temper: %s: not measured: %s\n", table.title.c_str(), missing.c_str());
    for (const BenchRow& row : table.rows) {
      wrong |= row.outcome == "wrong_result";
      broken |= !(row.median_ns > 0);
    }
  }
  if (!options.google_benchmark.empty()) {
    tuner::BenchmarkFile out{google_context(*environment), {}};
    for (const BenchTable& table : tables)
      for (const BenchRow& row : table.rows)
        out.results.push_back({.name = table.title + "/" + row.name,
                               .samples_ns = row.samples_ns,
                               .threads = table.threads,
                               .flops = table.flops,
                               .error = row.error});
    if (auto written = write_file(options.google_benchmark, tuner::google_benchmark_text(out));
        !written)
      return report(written.error());
  }
  if (options.common.json) {
    Json list = Json::array();
    for (const BenchTable& table : tables)
      list.push_back(json_of(table));
    print_json("bench", Json{{"bench", file->name}, {"tables", std::move(list)}});
  } else if (!tables.empty()) {
    Table shown({{"workload", false, true},
                 {"what", false, true},
                 {"time", true},
                 {"rate", true},
                 {"time/first", true},
                 {"95 %", false, true}});
    for (const BenchTable& table : tables)
      show(shown, table);
    shown.print();
    if (std::ranges::any_of(tables, [](const BenchTable& table) { return table.rows.size() > 1; }))
      print_wrapped(kRatiosOfPairs);
  }
  return wrong ? kAnswerIsNo : broken ? kFailedWork : kDone;
}

} // namespace

void add_bench(Program& program) {
  auto options = std::make_shared<BenchCommand>();
  CLI::App* command = program.app.add_subcommand(
      "bench", "measure kernels, library functions and other programs' benchmarks, without tuning");
  command->add_option("file", options->file, "what to measure, a file in TOML")->required();
  command->add_option("--google-benchmark", options->google_benchmark,
                      "FILE: the results as Google Benchmark's JSON too");
  add_common_options(*command, options->common, true);
  add_examples(*command, {"temper bench peers.toml", "temper bench peers.toml --json",
                          "temper bench peers.toml --google-benchmark out.json"});
  command->callback([&program, options] {
    options->command_line = program.command_line;
    program.action = [options] { return run_bench(*options); };
  });
}

} // namespace temper::cli
