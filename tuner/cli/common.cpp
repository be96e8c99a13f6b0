#include "tuner/cli/command.h"

#include "ir/support/text.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <sstream>

namespace temper::cli {

constexpr size_t kColumns = 80;

std::string HelpFormatter::make_option_desc(const CLI::Option* option) const {
  return wrap_words(CLI::Formatter::make_option_desc(option), kColumns - get_column_width());
}

std::string HelpFormatter::make_subcommand(const CLI::App* command) const {
  std::ostringstream out;
  CLI::detail::format_help(out, command->get_name(),
                           wrap_words(command->get_description(), kColumns - get_column_width()),
                           get_column_width());
  return out.str();
}

void add_common_options(CLI::App& command, CommonOptions& options, bool measuring) {
  command.add_option("--db", options.workbench.database,
                     "database: a file, or postgresql://user@host/name (default: $TEMPER_DB, else "
                     "temper/temper.db in the data home)");
  command.add_flag("--json", options.json, "print one JSON object instead of text");
  if (!measuring)
    return;
  command.add_option("--target", options.workbench.target,
                     "what the code is for: native, cpu:NAME (as cpu:znver4)");
  command.add_option("--threads", options.workbench.threads, "threads of the kernel (default: 1)")
      ->check(CLI::Range(1, 1024));
  add_jobs_option(command, options);
  command.add_option("--cache", options.cache,
                     "timing regime: hot or cold caches, which are never compared");
}

void add_jobs_option(CLI::App& command, CommonOptions& options) {
  command
      .add_option("--jobs", options.workbench.jobs,
                  "compile processes (default: the machine's cores)")
      ->check(CLI::Range(1, 1024));
}

CLI::Validator positive() {
  return CLI::Validator(
      [](const std::string& text) {
        char* end = nullptr;
        const double value = std::strtod(text.c_str(), &end);
        return !text.empty() && *end == '\0' && value > 0 && std::isfinite(value)
                   ? std::string()
                   : "'" + text + "' is not a positive number";
      },
      "POSITIVE");
}

CLI::Validator count() {
  return CLI::Validator(
      [](const std::string& text) {
        if (std::string not_positive = positive()(std::string(text)); !not_positive.empty())
          return not_positive;
        if (text.find_first_not_of("0123456789") != std::string::npos)
          return "'" + text + "' is not a whole number";
        return text.size() > std::to_string(kMostTrials).size() || std::stoll(text) > kMostTrials
                   ? "'" + text + "' is more than " + std::to_string(kMostTrials)
                   : std::string();
      },
      "COUNT");
}

CLI::Validator seed_number() {
  return CLI::Validator(
      [](const std::string& text) {
        uint64_t value = 0;
        const auto end = text.data() + text.size();
        const auto [stop, error] = std::from_chars(text.data(), end, value);
        return error == std::errc() && stop == end
                   ? std::string()
                   : "'" + text + "' is not a whole number from 0 to 2^64 - 1";
      },
      "SEED");
}

Result<void> finish_common_options(CommonOptions& options) {
  const auto regime = engine::parse_regime(options.cache);
  if (!regime)
    return Error(ErrorCode::kInvalidArgument,
                 "--cache is hot or cold, not '" + options.cache + "'");
  options.workbench.regime = *regime;
  return {};
}

tuner::WorkbenchOptions viewing(const CommonOptions& options) {
  tuner::WorkbenchOptions workbench = options.workbench;
  workbench.viewing = true;
  return workbench;
}

void add_examples(CLI::App& command, const std::vector<std::string>& examples) {
  std::string text = "examples:";
  for (const std::string& example : examples)
    text += "\n  " + example;
  command.footer(text);
}

Result<std::vector<database::RecordRow>> any_records(tuner::Workbench& bench,
                                                     const std::vector<std::string>& words) {
  TEMPER_TRY(store, bench.store());
  TEMPER_TRY(filter, bench.comparable());
  filter.include_stale = true;
  TEMPER_TRY(fresh, bench.fresh_toolchains());
  filter.current_toolchains = std::move(fresh);
  TEMPER_TRY(selection, database::parse_selection(words));
  return database::resolve_selection(*store, selection, filter);
}

Result<tuner::WorkloadArguments> parse_workload_words(const std::vector<std::string>& words) {
  if (words.empty())
    return Error(
        ErrorCode::kInvalidArgument,
        "name a workload, as 'matmul M=512 N=512 K=512'; temper list workloads shows them");
  tuner::WorkloadArguments arguments;
  arguments.name = words[0];
  if (arguments.name.find('=') != std::string::npos)
    return Error(ErrorCode::kInvalidArgument,
                 "the workload's name comes first, before '" + arguments.name + "'");
  for (size_t i = 1; i < words.size(); ++i) {
    const size_t equals = words[i].find('=');
    if (equals == std::string::npos || equals == 0)
      return Error(ErrorCode::kInvalidArgument,
                   "'" + words[i] + "' is not a parameter; write NAME=VALUE, as M=512");
    const std::string name = words[i].substr(0, equals);
    if (!arguments.parameters.emplace(name, words[i].substr(equals + 1)).second)
      return Error(ErrorCode::kInvalidArgument, "the parameter '" + name + "' is given twice");
  }
  return arguments;
}

} // namespace temper::cli
