/// Commands of `temper`. Each file adds its own to the program with its options, help and examples;
/// running one returns the exit code.
#pragma once

#include "tuner/workbench.h"

#include <CLI/CLI.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace temper::cli {

/// Options that most commands share.
struct CommonOptions {
  tuner::WorkbenchOptions workbench;
  std::string cache = "hot";
  bool json = false;
};

/// What the chosen command will do; main calls it after parsing.
using Action = std::function<int()>;

/// Collects the chosen action.
struct Program {
  CLI::App& app;
  Action action;
  std::string command_line = {}; ///< as it was typed, without passwords: for the runs it makes
};

/// Help within 80 columns.
class HelpFormatter : public CLI::Formatter {
  std::string make_option_desc(const CLI::Option* option) const override;
  std::string make_subcommand(const CLI::App* command) const override;
};

/// --db and --json; with `measuring` also --target, --threads, --jobs and --cache.
void add_common_options(CLI::App& command, CommonOptions& options, bool measuring);
/// --jobs alone.
void add_jobs_option(CLI::App& command, CommonOptions& options);
/// A number above zero, said in words.
CLI::Validator positive();
/// A whole number from 1 to kMostTrials, said in words.
CLI::Validator count();
/// Of random choices: a whole number of 64 bits.
CLI::Validator seed_number();
inline constexpr int64_t kMostTrials = 1'000'000'000; ///< sums of budgets stay in range
/// Turns the texts into values (cache regime); an error names the option.
Result<void> finish_common_options(CommonOptions& options);

/// The workbench of a command that only reads: a database that it may not write will do.
tuner::WorkbenchOptions viewing(const CommonOptions& options);

/// Sets help text after the options: "examples:" and one per line.
void add_examples(CLI::App& command, const std::vector<std::string>& examples);

/// The records that the words of one selection mean, fresh or stale.
Result<std::vector<database::RecordRow>> any_records(tuner::Workbench& bench,
                                                     const std::vector<std::string>& words);

/// `matmul M=512 N=512`: the first word names the workload.
Result<tuner::WorkloadArguments> parse_workload_words(const std::vector<std::string>& words);

/// The bests that `words` select, or all of them; of this machine, toolchain and timing regime
/// unless `all`.
Result<std::vector<database::RecordRow>>
best_records(tuner::Workbench& bench, const std::vector<std::string>& words, bool all);

void add_check(Program& program);
void add_tune(Program& program);
void add_batch(Program& program);
void add_bench(Program& program);
void add_resume(Program& program);
void add_list(Program& program);
void add_show(Program& program);
void add_best(Program& program);
void add_compare(Program& program);
void add_report(Program& program);
void add_explain(Program& program);
void add_rerun(Program& program);
void add_remeasure(Program& program);
void add_export(Program& program);
void add_dump(Program& program);
void add_import(Program& program);
void add_tag(Program& program);
void add_note(Program& program);
void add_prune(Program& program);
void add_doctor(Program& program);
void add_score(Program& program);
void add_gui(Program& program);
void add_session(Program& program);

} // namespace temper::cli
