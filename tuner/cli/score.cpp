/// temper score: strategies on measured tables.
#include "tuner/cli/command.h"
#include "tuner/cli/output.h"

#include "ir/support/hash.h"
#include "ir/support/text.h"
#include "tuner/replay/replay.h"

#include <fmt/format.h>

#include <cmath>
#include <unistd.h>

namespace temper::cli {
namespace {

struct ScoreCommand {
  std::vector<std::string> spaces;
  std::string strategy = tuner::configuration_strategies().front();
  int64_t repeats = 50;
  uint64_t seed = 1;
  std::string runs_file;
  bool json = false;
};

/// A target that more than half of the runs did not reach is ">budget".
std::string evaluations(double count, size_t budget) {
  return std::isfinite(count) ? fmt::format("{:.0f}", count) : fmt::format(">{}", budget);
}

int run_score(const ScoreCommand& options) {
  auto files = tuner::expand_table_paths({options.spaces.begin(), options.spaces.end()});
  if (!files)
    return report(files.error());
  if (auto known = tuner::make_configuration_strategy(options.strategy, {}); !known)
    return report(known.error());

  Table text({{"space"},
              {"configs", true},
              {"valid", true},
              {"best ms", true},
              {"budget", true},
              {"score", true},
              {"+-95%", true},
              {"to 10%", true},
              {"to 5%", true},
              {"to 1%", true}});
  Json spaces = Json::array();
  std::string run_lines;
  double total = 0;
  for (const std::filesystem::path& file : *files) {
    auto table = tuner::read_measured_table(file);
    if (!table)
      return report(table.error());
    auto scored = tuner::scored_space(*table);
    if (!scored)
      return report(scored.error());
    std::vector<tuner::RunScore> runs;
    for (int64_t run = 0; run < options.repeats; ++run) {
      if (!options.json && isatty(STDERR_FILENO) != 0)
        std::fprintf(stderr, "\r\033[K%s: run %lld of %lld", table->name.c_str(),
                     static_cast<long long>(run + 1), static_cast<long long>(options.repeats));
      auto rows =
          tuner::replay_run(*table, options.strategy,
                            hash_combine(options.seed, static_cast<uint64_t>(run)), scored->budget);
      if (!rows)
        return report(rows.error());
      runs.push_back(tuner::score_run(*scored, tuner::times_of(*table, *rows)));
      if (!options.runs_file.empty())
        for (size_t row : *rows)
          run_lines +=
              Json{{"space", table->name}, {"run", run}, {"key", table->keys[row]}}.dump() + "\n";
    }
    if (!options.json && isatty(STDERR_FILENO) != 0)
      std::fprintf(stderr, "\r\033[K");
    const tuner::ScoreSummary summary = tuner::summarise_scores(runs);
    total += summary.mean;
    std::vector<std::string> cells{
        table->name,
        fmt::format("{}", table->keys.size()),
        fmt::format("{}", table->valid()),
        fmt::format("{:.4g}", scored->best_ms),
        fmt::format("{}", scored->budget),
        fmt::format("{:.3f}", summary.mean),
        std::isfinite(summary.half_width) ? fmt::format("{:.3f}", summary.half_width) : "-"};
    for (double reached : summary.reached)
      cells.push_back(evaluations(reached, scored->budget));
    text.add(std::move(cells));
    spaces.push_back(Json{{"space", table->name},
                          {"configurations", table->keys.size()},
                          {"valid", table->valid()},
                          {"best_ns", scored->best_ms * 1e6},
                          {"median_ns", scored->median_ms * 1e6},
                          {"cutoff", scored->cutoff},
                          {"budget", scored->budget},
                          {"score", summary.mean},
                          {"half_width", number(summary.half_width)},
                          {"evaluations_to_10_percent", number(summary.reached[0])},
                          {"evaluations_to_5_percent", number(summary.reached[1])},
                          {"evaluations_to_1_percent", number(summary.reached[2])}});
  }
  const double mean = total / static_cast<double>(files->size());
  if (!options.runs_file.empty())
    if (auto written = write_file(options.runs_file, run_lines); !written)
      return report(written.error());
  if (options.json) {
    print_json("score", Json{{"strategy", options.strategy},
                             {"repeats", options.repeats},
                             {"seed", options.seed},
                             {"spaces", std::move(spaces)},
                             {"mean", mean}});
  } else {
    fmt::print("{}\n{}, {} runs a space: mean score {:.3f}\n", text.to_string(), options.strategy,
               options.repeats, mean);
  }
  return kDone;
}

} // namespace

void add_score(Program& program) {
  auto options = std::make_shared<ScoreCommand>();
  CLI::App* command =
      program.app.add_subcommand("score", "compare strategies on fully measured spaces");
  command
      ->add_option("spaces", options->spaces,
                   "tables: T4 results or Kernel Tuner caches, or folders of them")
      ->required();
  command->add_option("--strategy", options->strategy,
                      join(tuner::configuration_strategies(), ", ") + " (default: the first)");
  command->add_option("--repeats", options->repeats, "runs a space (default: 50)")
      ->check(CLI::Range(1, 100000));
  command->add_option("--seed", options->seed, "of the random choices (default: 1)")
      ->check(seed_number());
  command->add_option("--runs", options->runs_file,
                      "also write every evaluation to this file, a JSON object a line");
  command->add_flag("--json", options->json, "print one JSON object instead of text");
  add_examples(*command, {"temper score tables/", "temper score gemm_cache.json.gz --repeats 10",
                          "temper score tables/ --strategy random --json"});
  command->callback(
      [&program, options] { program.action = [options] { return run_score(*options); }; });
}

} // namespace temper::cli
