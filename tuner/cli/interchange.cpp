/// temper dump, import: the database as self-contained JSON lines.
#include "tuner/cli/command.h"
#include "tuner/cli/output.h"

#include "database/dump.h"
#include "ir/support/quantities.h"
#include "ir/support/text.h"
#include "tuner/google_benchmark.h"
#include "tuner/metaschedule.h"
#include "tuner/saved_table.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

namespace temper::cli {
namespace {

struct DumpCommand {
  CommonOptions common;
  std::string file;
  std::vector<std::string> workloads;
  bool no_artifacts = false;
  std::string table; ///< run
  std::string format = "t4";
  bool partial = false;
  std::string metaschedule; ///< folder
};

int64_t total(const std::map<std::string, int64_t>& rows) {
  int64_t sum = 0;
  for (const auto& [kind, count] : rows)
    sum += count;
  return sum;
}

std::string counts(const std::map<std::string, int64_t>& rows) {
  std::string text;
  for (const auto& [kind, count] : rows)
    if (count > 0)
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, kind);
  return text.empty() ? "nothing" : text;
}

/// A run as a measured table.
int dump_table(database::Store& store, const DumpCommand& options) {
  const std::string name =
      options.table.starts_with("run:") ? options.table.substr(4) : options.table;
  auto run = database::resolve_id(store, name, database::Kind::kRun);
  if (!run)
    return report(run.error());
  auto table = tuner::table_of_run(store, *run, options.partial,
                                   options.format == "t4" ? tuner::TableFormat::kT4
                                                          : tuner::TableFormat::kKernelTuner);
  if (!table)
    return report(table.error());
  if (options.file.empty()) {
    fmt::print("{}", table->text);
    return kDone;
  }
  if (auto written = write_file(options.file, table->text); !written)
    return report(written.error());
  std::fprintf(stderr, "wrote %zu configurations, %zu of them without a time, to %s\n",
               table->configurations, table->failed, options.file.c_str());
  return kDone;
}

/// For TVM MetaSchedule.
int dump_metaschedule(database::Store& store, const std::vector<database::Id>& workloads,
                      const DumpCommand& options) {
  const auto written = tuner::export_metaschedule(store, workloads, options.metaschedule);
  if (!written)
    return report(written.error());
  fmt::print(stderr, "wrote {} of {} to {}\n", format_count(written->records, "record"),
             format_count(written->workloads, "workload"), options.metaschedule);
  for (const std::string& problem : written->problems)
    std::fprintf(stderr, "temper: left out: %s\n", problem.c_str());
  if (written->left_out > static_cast<int64_t>(written->problems.size()))
    std::fprintf(stderr, "temper: and %lld more\n",
                 static_cast<long long>(written->left_out) -
                     static_cast<long long>(written->problems.size()));
  return kDone;
}

int run_dump(const DumpCommand& options) {
  tuner::Workbench bench(viewing(options.common));
  auto store = bench.store();
  if (!store)
    return report(store.error());
  if (!options.table.empty())
    return dump_table(**store, options);
  database::DumpOptions dump;
  dump.artifacts = !options.no_artifacts;
  for (const std::string& name : options.workloads) {
    auto rows = (*store)->list_workloads(name);
    if (!rows)
      return report(rows.error());
    if (rows->empty())
      return report(Error(ErrorCode::kNotFound, "the database has no workload '" + name + "'"));
    for (const database::WorkloadRow& row : *rows)
      dump.workloads.push_back(row.workload.id);
  }
  if (!options.metaschedule.empty()) {
    if (dump.workloads.empty()) {
      auto rows = (*store)->list_workloads();
      if (!rows)
        return report(rows.error());
      for (const database::WorkloadRow& row : *rows)
        dump.workloads.push_back(row.workload.id);
    }
    return dump_metaschedule(**store, dump.workloads, options);
  }
  if (options.file.empty()) {
    auto written = database::dump(**store, std::cout, dump);
    return written ? kDone : report(written.error());
  }
  std::ofstream out(options.file, std::ios::binary);
  if (!out)
    return report(Error(ErrorCode::kEnvironment,
                        "cannot write '" + options.file + "': " + std::strerror(errno)));
  auto written = database::dump(**store, out, dump);
  if (!written)
    return report(written.error());
  out.close();
  if (!out)
    return report(Error(ErrorCode::kEnvironment,
                        "cannot write all of '" + options.file + "'; is the disk full?"));
  std::fprintf(stderr, "wrote %s to %s\n", counts(written->rows).c_str(), options.file.c_str());
  return kDone;
}

struct ImportCommand {
  CommonOptions common;
  std::string file;
  bool partial = false;
  bool google_benchmark = false;
  std::string out = ".";
};

/// Results of another program's benchmarks, of the machine that their context names.
int import_benchmarks(tuner::Workbench& bench, database::Store& store, std::istream& in,
                      const ImportCommand& options) {
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  auto file = tuner::parse_google_benchmark(text, options.file);
  if (!file)
    return report(file.error());
  const std::string executable = file->context.value("executable", options.file);
  database::Environment environment = tuner::environment_of(*file);
  if (auto ours = bench.environment(); ours && ours->host == environment.host)
    environment = std::move(*ours);
  auto records = tuner::add_google_benchmark(store, *file, environment,
                                             std::filesystem::path(executable).filename());
  if (!records)
    return report(records.error());
  if (options.common.json)
    print_json("import", Json{{"records", *records}});
  else
    fmt::print("read {} benchmarks of {}\n", records->size(), executable);
  return kDone;
}

/// A folder of MetaSchedule's: its workloads as files, its records beside ours.
int import_folder(tuner::Workbench& bench, const ImportCommand& options) {
  auto read = tuner::import_metaschedule(bench, options.file, options.out);
  if (!read)
    return report(read.error());
  if (options.common.json) {
    Json workloads = Json::array();
    for (const auto& workload : read->workloads)
      workloads.push_back({{"name", workload.name},
                           {"id", workload.id},
                           {"records", workload.records},
                           {"failed", workload.failed},
                           {"best", workload.best},
                           {"best_ns", workload.best_ns}});
    print_json("import", Json{{"workloads", workloads},
                              {"read", read->lines},
                              {"added", read->added},
                              {"problems", read->problems},
                              {"problem_count", read->broken}});
  } else {
    fmt::print("read {} records, {} of them new\n", read->records, read->added);
    for (const auto& workload : read->workloads) {
      fmt::print("{}: {} records, of which MetaSchedule could not time {}\n", workload.name,
                 workload.records, workload.failed);
      if (!workload.best.empty())
        fmt::print("  its best, {} by MetaSchedule's clock on its machine; measured here: temper "
                   "rerun {}\n"
                   "  tuned on from there: temper tune {} --from {}\n",
                   format_time(workload.best_ns), workload.best, workload.name, workload.best);
    }
    for (const std::string& problem : read->problems)
      std::fprintf(stderr, "temper: %s\n", problem.c_str());
    if (read->broken > static_cast<int64_t>(read->problems.size()))
      std::fprintf(stderr, "temper: and %lld lines more\n",
                   static_cast<long long>(read->broken) -
                       static_cast<long long>(read->problems.size()));
  }
  return read->broken > 0 ? kFailedWork : kDone;
}

int run_import(const ImportCommand& options) {
  tuner::Workbench bench(options.common.workbench);
  auto store = bench.store();
  if (!store)
    return report(store.error());
  std::ifstream file;
  const bool standard_input = options.file == "-";
  if (!standard_input) {
    std::error_code failed;
    if (tuner::is_metaschedule_folder(options.file))
      return import_folder(bench, options);
    if (std::filesystem::is_directory(options.file, failed))
      return report(Error(
          ErrorCode::kInvalidArgument,
          "'" + options.file + "' is a folder, and no database of MetaSchedule's: it has no " +
              tuner::kMetaScheduleWorkloads + " and " + tuner::kMetaScheduleRecords));
    file.open(options.file, std::ios::binary);
    if (!file)
      return report(Error(ErrorCode::kNotFound,
                          "cannot read '" + options.file + "': " + std::strerror(errno)));
  }
  std::istream& in = standard_input ? std::cin : file;
  if (options.google_benchmark)
    return import_benchmarks(bench, **store, in, options);
  auto summary = database::import_dump(**store, in, options.file, {.partial = options.partial});
  if (!summary)
    return report(summary.error());
  if (options.common.json) {
    print_json("import", Json{{"read", summary->rows},
                              {"added", summary->added},
                              {"problems", summary->problems},
                              {"problem_count", summary->problem_count},
                              {"truncated", summary->truncated}});
  } else {
    fmt::print("read {} rows; new: {}\n", total(summary->rows), counts(summary->added));
    for (const std::string& problem : summary->problems)
      std::fprintf(stderr, "temper: %s\n", problem.c_str());
    if (summary->truncated)
      std::fprintf(stderr, "temper: '%s' was cut off: what was complete is imported\n",
                   options.file.c_str());
  }
  return summary->problem_count > 0 || summary->truncated ? kFailedWork : kDone;
}

} // namespace

void add_dump(Program& program) {
  auto options = std::make_shared<DumpCommand>();
  CLI::App* command =
      program.app.add_subcommand("dump", "write the database as self-contained JSON lines");
  command->add_option("workloads", options->workloads, "only these workloads");
  command->add_option("-o,--out", options->file, "file (default: standard output)");
  command->add_flag("--no-artifacts", options->no_artifacts, "leave out machine code");
  command->add_option("--table", options->table,
                      "RUN: instead, that run, which measured its whole space, as a table (T4 "
                      "results) for temper score");
  command
      ->add_option("--format", options->format,
                   "with --table: t4 (default), or kernel-tuner: a cache for its simulation mode")
      ->check(CLI::IsMember({"t4", "kernel-tuner"}));
  command->add_flag("--partial", options->partial,
                    "with --table: also of a run that stopped before");
  command->add_option("--metaschedule", options->metaschedule,
                      "FOLDER: instead, workloads and traces as TVM MetaSchedule's database");
  add_common_options(*command, options->common, false);
  add_examples(*command, {"temper dump -o all.jsonl", "temper dump matmul --metaschedule for_tvm",
                          "temper dump matmul | gzip > matmul.jsonl.gz",
                          "temper dump --table run:r11a2b -o elementwise_T4.json",
                          "temper dump --table run:r11a2b --format kernel-tuner -o cache.json"});
  command->callback(
      [&program, options] { program.action = [options] { return run_dump(*options); }; });
}

void add_import(Program& program) {
  auto options = std::make_shared<ImportCommand>();
  CLI::App* command =
      program.app.add_subcommand("import", "read a dump; reading it again changes nothing");
  command
      ->add_option("file", options->file,
                   "a dump, - for standard input, or a folder of TVM MetaSchedule's")
      ->required();
  command->add_option("-o,--out", options->out,
                      "where workload files of a MetaSchedule folder are written (default: here)");
  command->add_flag("--partial", options->partial,
                    "take what is complete of a dump that was cut off");
  command->add_flag("--google-benchmark", options->google_benchmark,
                    "the file is Google Benchmark's JSON, of any program");
  add_common_options(*command, options->common, false);
  add_examples(*command, {"temper import all.jsonl", "zcat matmul.jsonl.gz | temper import -",
                          "temper import --google-benchmark results.json",
                          "temper import tuning_logs/gmm -o ."});
  command->callback(
      [&program, options] { program.action = [options] { return run_import(*options); }; });
}

} // namespace temper::cli
