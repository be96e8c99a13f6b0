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
  std::string make_description(const CLI::App* command) const override;
};

/// --db and --json; with `measuring` also --target, --threads, --jobs and --cache.
void add_common_options(CLI::App& command, CommonOptions& options, bool measuring);
/// " --db FILE" where it was given to this process, for the commands that its output names; without
/// a password.
std::string given_database();
/// --jobs or --cache alone.
void add_jobs_option(CLI::App& command, CommonOptions& options);
void add_cache_option(CLI::App& command, CommonOptions& options);
/// --seed; gives whether it was given, after parsing.
const CLI::Option* add_seed_option(CLI::App& command, uint64_t& seed);
/// A number above zero, said in words.
CLI::Validator positive();
/// A whole number from 1 to kMostTrials, said in words.
CLI::Validator count();
/// Of random choices: a whole number of 64 bits.
CLI::Validator seed_number();
inline constexpr int64_t kMostTrials = 1'000'000'000; ///< sums of budgets stay in range

/// The workbench of a command that only reads: a database that it may not write will do.
tuner::WorkbenchOptions viewing(const CommonOptions& options);

/// Sets help text after the options: "examples:" and one per line.
void add_examples(CLI::App& command, const std::vector<std::string>& examples);

/// The records that the words of one selection mean, fresh or stale.
Result<std::vector<database::RecordRow>> any_records(tuner::Workbench& bench,
                                                     const std::vector<std::string>& words);

/// The shortest unique start of an id; what is no id (nothing) stays as it is.
std::string short_id(database::Store& store, const database::Id& id);
/// A stored binding as an object, for --json.
Json binding_object(const std::string& binding_json);

/// `matmul M=512 N=512`: the first word names the workload.
Result<tuner::WorkloadArguments> parse_workload_words(const std::vector<std::string>& words);
/// The shapes that `arguments` name, or those of the workload's file, of which `quick` takes the
/// first; where dimensions are symbolic, at several extents each: one, tails of blocks and vectors,
/// whole blocks.
Result<std::vector<tuner::WorkloadArguments>>
shapes_to_check(tuner::Workbench& bench, const tuner::WorkloadArguments& arguments, bool quick);

/// The kernels that an entry of a batch or bench file names: its shapes, else all of the
/// workload's file.
Result<std::vector<tuner::WorkloadArguments>>
kernels_of(tuner::Workbench& bench, const std::string& workload,
           const std::vector<std::map<std::string, std::string>>& shapes);
/// "matmul M=512 N=512 K=512": in the order in which the workload declares its parameters.
std::string title_of(tuner::Workbench& bench, const tuner::WorkloadArguments& arguments);
/// The same of a stored workload.
std::string title_of(const database::Workload& workload);

/// The bests among the records that the words of several selections mean, each once. What a
/// selection does not speak of is held to `defaults`.
Result<std::vector<database::RecordRow>> selected_records(tuner::Workbench& bench,
                                                          const std::vector<std::string>& words,
                                                          const database::RecordFilter& defaults);

/// The bests that `words` select, or all of them; of this machine, toolchain and timing regime
/// unless `all`.
Result<std::vector<database::RecordRow>>
best_records(tuner::Workbench& bench, const std::vector<std::string>& words, bool all);

/// Why there is no best for this machine and compiler, and what to do.
std::string nothing_best(tuner::Workbench& bench);

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
