/// temper remeasure: stored kernels under today's toolchain.
#include "tuner/cli/command.h"
#include "tuner/cli/output.h"

#include "codegen/llvm/compile.h"
#include "ir/support/text.h"
#include "tuner/remeasure.h"

#include <fmt/format.h>

namespace temper::cli {
namespace {

using database::RecordRow;
using tuner::Remeasured;
using tuner::RemeasureVerdict;
using tuner::Workbench;

struct RemeasureCommand {
  CommonOptions common;
  std::vector<std::string> words;
  bool stale = false;
  double tolerance = 0.02;
  double seconds = 10;
  std::string command_line;
};

Result<std::vector<RecordRow>> chosen(Workbench& bench, const RemeasureCommand& options) {
  if (options.stale)
    return tuner::stale_records(bench);
  TEMPER_TRY(filter, bench.comparable());
  filter.include_stale = true;
  filter.regime.reset();
  return selected_records(bench, options.words, filter);
}

Json result_json(const Remeasured& kernel) {
  Json json{{"record", kernel.old.id},
            {"workload", kernel.old.workload_name},
            {"binding", binding_object(kernel.old.binding_json)},
            {"target", kernel.old.target},
            {"threads", kernel.old.threads},
            {"verdict", to_string(kernel.verdict)},
            {"new_record", kernel.record.empty() ? Json(nullptr) : Json(kernel.record)},
            {"stored_ns", number(kernel.old.median_ns)},
            {"old_ns", known(kernel.old_ns)},
            {"new_ns", known(kernel.new_ns)},
            {"ratio", known(kernel.ratio)}};
  json["ratio_interval"] = kernel.ratio > 0
                               ? Json{number(kernel.interval.low), number(kernel.interval.high)}
                               : Json(nullptr);
  if (!kernel.reason.empty())
    json["reason"] = kernel.reason;
  return json;
}

int run_remeasure(RemeasureCommand& options) {
  if (options.stale != options.words.empty())
    return report(Error(ErrorCode::kInvalidArgument,
                        "remeasure takes a selection or --stale, as 'temper remeasure --stale' or "
                        "'temper remeasure tag:release'"));
  Workbench bench(options.common.workbench);
  auto rows = chosen(bench, options);
  if (!rows)
    return report(rows.error());
  auto store = bench.store();
  if (!store)
    return report(store.error());
  install_interrupt_handler("interrupted; what was measured is kept");
  tuner::RemeasureOptions settings;
  settings.tolerance = options.tolerance;
  settings.max_seconds = options.seconds;
  settings.command_line = options.command_line;
  Json list = Json::array();
  Table table({{"record"},
               {"kernel", false, true},
               {"verdict"},
               {"old", true},
               {"new", true},
               {"new/old", true},
               {"95 %"},
               {"", false, true}});
  int64_t counts[6] = {};
  size_t done = 0;
  LiveLine line;
  for (const RecordRow& row : *rows) {
    const auto workload = (*store)->workload(row.workload);
    line.show(fmt::format("[{}/{}] {}", ++done, rows->size(),
                          workload ? title_of(*workload) : row.workload_name));
    auto kernel = tuner::remeasure(bench, row, settings);
    if (!kernel) {
      line.finish();
      return report(kernel.error());
    }
    ++counts[static_cast<size_t>(kernel->verdict)];
    const bool compared = kernel->ratio > 0 && kernel->verdict != RemeasureVerdict::kEqualCode;
    table.add({short_id(**store, row.id), kernel->title, to_string(kernel->verdict),
               format_time(kernel->old_ns), format_time(kernel->new_ns),
               compared ? fmt::format("{:.3f}", kernel->ratio) : "",
               compared ? format_ratio_interval(kernel->interval, 3) : "", kernel->reason});
    list.push_back(result_json(*kernel));
  }
  line.finish();
  const auto count = [&](RemeasureVerdict verdict) { return counts[static_cast<size_t>(verdict)]; };
  if (options.common.json) {
    print_json("remeasure", Json{{"compiler", codegen::compiler_version()},
                                 {"tolerance", options.tolerance},
                                 {"kernels", std::move(list)},
                                 {"slower", count(RemeasureVerdict::kSlower)},
                                 {"broken", count(RemeasureVerdict::kBroken)}});
  } else if (rows->empty()) {
    fmt::print("nothing is stale: every best was measured with {}\n", codegen::compiler_version());
  } else {
    table.print();
    std::vector<std::string> parts;
    for (const RemeasureVerdict verdict :
         {RemeasureVerdict::kEqualCode, RemeasureVerdict::kSame, RemeasureVerdict::kFaster,
          RemeasureVerdict::kSlower, RemeasureVerdict::kBroken, RemeasureVerdict::kUndecided})
      if (count(verdict) > 0)
        parts.push_back(fmt::format("{} {}", count(verdict), to_string(verdict)));
    print_wrapped(fmt::format("{}; {}; slower is more than {:g} %", join(parts, ", "),
                              codegen::compiler_version(), options.tolerance * 100));
    if (static_cast<size_t>(count(RemeasureVerdict::kEqualCode)) < rows->size())
      print_wrapped(kRatiosOfPairs);
  }
  if (count(RemeasureVerdict::kSlower) + count(RemeasureVerdict::kBroken) > 0)
    return kAnswerIsNo;
  return count(RemeasureVerdict::kUndecided) > 0 ? kFailedWork : kDone;
}

} // namespace

void add_remeasure(Program& program) {
  auto options = std::make_shared<RemeasureCommand>();
  CLI::App* command = program.app.add_subcommand(
      "remeasure", "build stored kernels with today's compiler and say what became slower");
  command->add_option("selection", options->words, "SELECTION...");
  command->add_flag("--stale", options->stale,
                    "every best that another toolchain made and today's did not yet");
  command->add_option("--tolerance", options->tolerance, "slower is more than this (default 0.02)")
      ->check(CLI::Range(0.0, 1000.0));
  command->add_option("--seconds", options->seconds, "at most, for a kernel (default 10)")
      ->check(positive());
  add_common_options(*command, options->common, false);
  add_jobs_option(*command, options->common);
  add_examples(*command,
               {"temper remeasure --stale", "temper remeasure --stale --tolerance 0.05 --json",
                "temper remeasure tag:release"});
  command->callback([&program, options] {
    options->command_line = program.command_line;
    program.action = [options] { return run_remeasure(*options); };
  });
}

} // namespace temper::cli
