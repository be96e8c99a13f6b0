#include "tuner/cli/command.h"

#include "database/location.h"
#include "ir/support/number.h"
#include "ir/support/passwords.h"
#include "ir/support/quantities.h"
#include "ir/support/text.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string_view>

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

std::string HelpFormatter::make_description(const CLI::App* command) const {
  return wrap_words(CLI::Formatter::make_description(command), kColumns);
}

namespace {
std::string database_word; ///< what --db was given, as typed
} // namespace

std::string given_database() {
  return database_word.empty() ? std::string()
                               : " --db " + shell_quoted(without_passwords(database_word));
}

void add_common_options(CLI::App& command, CommonOptions& options, bool measuring) {
  CLI::Option* database =
      command
          .add_option("--db", options.workbench.database,
                      "database: a file, or postgresql://user@host/name (default: $TEMPER_DB, else "
                      "temper/temper.db in the data home)")
          ->each([](const std::string& word) { database_word = word; });
  // These begin one; for all others a file that is not there is a slip of the pen.
  constexpr std::string_view kBeginners[] = {"check",  "tune",    "batch", "bench",
                                             "import", "session", "doctor"};
  if (std::ranges::find(kBeginners, command.get_name()) == std::end(kBeginners))
    database->check(CLI::Validator(
        [](const std::string& word) {
          std::error_code ignored;
          return !database::check_location(word) || database::is_postgres_url(word) ||
                         std::filesystem::exists(word, ignored)
                     ? std::string() // what is wrong with an address, opening it says
                     : "there is no database '" + word + "'";
        },
        ""));
  command.add_flag("--json", options.json, "print one JSON object instead of text");
  if (!measuring)
    return;
  command.add_option("--target", options.workbench.target,
                     "what the code is for: native, cpu:NAME (as cpu:znver4), cuda:sm_90a");
  command.add_option("--threads", options.workbench.threads, "threads of the kernel (default: 1)")
      ->check(CLI::Range(1, 1024));
  add_jobs_option(command, options);
  add_cache_option(command, options);
}

void add_jobs_option(CLI::App& command, CommonOptions& options) {
  command
      .add_option("--jobs", options.workbench.jobs,
                  "compile processes (default: the machine's cores)")
      ->check(CLI::Range(1, 1024));
}

void add_cache_option(CLI::App& command, CommonOptions& options) {
  command
      .add_option_function<std::string>(
          "--cache",
          [&options](const std::string& word) {
            options.workbench.regime = engine::parse_regime(word).value();
          },
          "timing regime: hot (default) or cold caches, which are never compared")
      ->check(CLI::Validator(
          [](const std::string& word) {
            return engine::parse_regime(word) ? std::string()
                                              : "'" + word + "' is neither hot nor cold";
          },
          "hot|cold"));
}

const CLI::Option* add_seed_option(CLI::App& command, uint64_t& seed) {
  return command.add_option("--seed", seed, "of every random choice")->check(seed_number());
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
        return parse_number<uint64_t>(text)
                   ? std::string()
                   : "'" + text + "' is not a whole number from 0 to 2^64 - 1";
      },
      "SEED");
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

std::string short_id(database::Store& store, const database::Id& id) {
  return id.empty() ? id : store.short_id(id).value_or(id);
}

Json binding_object(const std::string& binding_json) {
  return parse_json(binding_json).value_or(Json::object());
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

Result<std::vector<tuner::WorkloadArguments>>
shapes_to_check(tuner::Workbench& bench, const tuner::WorkloadArguments& arguments, bool quick) {
  std::vector<tuner::WorkloadArguments> named{arguments};
  if (arguments.parameters.empty()) {
    TEMPER_TRY(all, bench.shapes(arguments.name));
    named = std::move(all);
    if (quick)
      named.resize(1);
  }
  constexpr std::array<int, 5> kExtents = {100, 1, 64, 257, 31};
  std::vector<tuner::WorkloadArguments> shapes;
  for (tuner::WorkloadArguments& shape : named) {
    shape.unchecked = arguments.unchecked;
    TEMPER_TRY(open, bench.open_dimensions(shape));
    const size_t samples = open.empty() || quick ? 1 : kExtents.size();
    for (size_t i = 0; i < samples; ++i) {
      tuner::WorkloadArguments one = shape;
      for (size_t d = 0; d < open.size(); ++d) // no two dimensions alike
        one.parameters[open[d]] = std::to_string(kExtents[(i + 2 * d) % kExtents.size()]);
      shapes.push_back(std::move(one));
    }
  }
  return shapes;
}

Result<std::vector<tuner::WorkloadArguments>>
kernels_of(tuner::Workbench& bench, const std::string& workload,
           const std::vector<std::map<std::string, std::string>>& shapes) {
  if (shapes.empty())
    return bench.shapes(workload);
  std::vector<tuner::WorkloadArguments> kernels;
  for (const auto& shape : shapes)
    kernels.push_back({workload, shape, false});
  return kernels;
}

namespace {

std::string titled(const std::string& name, const Json& binding) {
  const std::string text = format_binding(binding.dump());
  return text.empty() ? name : name + " " + text;
}

} // namespace

std::string title_of(tuner::Workbench& bench, const tuner::WorkloadArguments& arguments) {
  const auto order = bench.parameters(arguments.name);
  return titled(arguments.name,
                ordered_binding(Json(arguments.parameters).dump(),
                                Json(order.value_or(std::vector<std::string>())).dump()));
}

std::string title_of(const database::Workload& workload) {
  return titled(workload.name, tuner::declared_order(workload));
}

} // namespace temper::cli
