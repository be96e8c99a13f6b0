/// temper export: the best kernels as one shared library, verified on fresh inputs.
#include "tuner/cli/command.h"
#include "tuner/cli/output.h"

#include "codegen/library/export.h"
#include "codegen/llvm/compile.h"
#include "ir/support/text.h"
#include "tuner/export.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

namespace temper::cli {
namespace {

using database::RecordRow;
using tuner::Workbench;

struct ExportCommand {
  CommonOptions common;
  std::vector<std::string> words;
  std::string name = "kernels";
  std::string out = ".";
  bool static_archive = false;
  bool cmake_package = false;
  bool stale = false;
};

struct Selected {
  std::vector<tuner::ExportItem> items;
  std::string outdated; ///< names a record whose file now describes another program
};

/// Adds the rows under `name`. Who names a workload means what its file says today: records of an
/// earlier program give way to those of today's, and are outdated where there are none.
Result<void> add_current(Workbench& bench, database::Store& store, const std::string& name,
                         std::vector<RecordRow> rows, Selected& selected) {
  std::vector<std::pair<RecordRow, database::Workload>> outdated;
  std::vector<RecordRow> current;
  for (RecordRow& row : rows) {
    TEMPER_TRY(workload, store.workload(row.workload));
    if (bench.is_outdated(workload))
      outdated.emplace_back(std::move(row), std::move(workload));
    else
      current.push_back(std::move(row));
  }
  for (const auto& [row, workload] : outdated)
    if (std::none_of(current.begin(), current.end(), [&row = row](const RecordRow& other) {
          return other.workload_name == row.workload_name && other.binding_json == row.binding_json;
        }))
      selected.outdated = fmt::format(
          "{} has no record of the program that its file describes now: record {} is of an earlier "
          "one; tune it again, or export the earlier program by the record's id",
          title_of(workload), row.id);
  for (RecordRow& row : current)
    selected.items.push_back({name, std::move(row)});
  return {};
}

/// "[NAME:=]SELECTION" words split into names and selections.
Result<Selected> select(Workbench& bench, const ExportCommand& options) {
  TEMPER_TRY(store, bench.store());
  TEMPER_TRY(filter, bench.comparable());
  filter.include_stale = options.stale;
  std::vector<std::string> words = options.words;
  if (words.empty()) {
    TEMPER_TRY(rows, store->best(filter));
    if (rows.empty())
      return Error(ErrorCode::kNotFound, nothing_best(bench));
    Selected selected;
    TEMPER_TRY_VOID(add_current(bench, *store, "", std::move(rows), selected));
    return selected;
  }
  // A name goes with the selection whose first word carries it.
  std::set<std::string> given;
  std::vector<std::string> names;
  std::vector<std::string> plain;
  for (const std::string& word : words) {
    const size_t assign = word.find(":=");
    const bool starts = word.find('=') == std::string::npos || assign != std::string::npos;
    if (starts)
      names.push_back(assign == std::string::npos ? "" : word.substr(0, assign));
    if (assign != std::string::npos && !given.insert(names.back()).second)
      return Error(ErrorCode::kInvalidArgument,
                   "the name '" + names.back() + "' is given to two functions; choose another");
    plain.push_back(assign == std::string::npos ? word : word.substr(assign + 2));
  }
  TEMPER_TRY(selections, database::parse_selections(plain));
  Selected selected;
  for (size_t i = 0; i < selections.size(); ++i) {
    TEMPER_TRY(rows, database::resolve_selection(*store, selections[i], filter));
    const std::string name = i < names.size() ? names[i] : "";
    const size_t before = selected.items.size();
    // Who gives an id, or a run, means those records, whatever became of the file.
    const bool by_id = selections[i].form == database::Selection::Form::kId ||
                       selections[i].form == database::Selection::Form::kRun;
    if (by_id) {
      for (RecordRow& row : rows)
        selected.items.push_back({name, std::move(row)});
    } else {
      TEMPER_TRY_VOID(add_current(bench, *store, name, std::move(rows), selected));
    }
    if (const size_t count = selected.items.size() - before; !name.empty() && count > 1)
      return Error(ErrorCode::kInvalidArgument,
                   "the name '" + name + "' stands for " + std::to_string(count) +
                       " records; name one, as a record id or a workload with its parameters");
  }
  return selected;
}

int run_export(ExportCommand& options) {
  Workbench bench(options.common.workbench);
  auto selected = select(bench, options);
  if (!selected)
    return report(selected.error());
  if (!selected->outdated.empty()) {
    std::fprintf(stderr, "temper: %s\n", selected->outdated.c_str());
    return kAnswerIsNo;
  }
  // What is comparable here is of the processor's toolchain: a GPU's records have their own.
  const auto fresh = bench.fresh_toolchains();
  if (!fresh)
    return report(fresh.error());
  const auto is_todays = [&](const RecordRow& row) {
    const auto target = ir::parse_target(row.target);
    return target && !target->is_cpu() &&
           std::find(fresh->begin(), fresh->end(), row.toolchain) != fresh->end();
  };
  for (const tuner::ExportItem& item : selected->items)
    if (item.record.stale && !options.stale && !is_todays(item.record)) {
      std::fprintf(stderr,
                   "temper: record %s was made by another version of the code generator: compiled "
                   "anew its code and its time may differ; allow that with --stale, or measure it "
                   "first with: temper rerun %s\n",
                   item.record.id.c_str(), item.record.id.c_str());
      return kAnswerIsNo;
    }
  codegen::ExportOptions settings;
  settings.directory = options.out;
  settings.static_archive = options.static_archive;
  settings.cmake_package = options.cmake_package;
  install_interrupt_handler();
  auto result = tuner::export_records(bench, options.name, selected->items, settings);
  if (!result)
    return report(result.error());
  if (options.common.json) {
    Json files = Json::array();
    for (const auto& file : result->files)
      files.push_back(file.string());
    Json functions = Json::array();
    for (const tuner::ExportedRecord& function : result->functions)
      functions.push_back(Json{{"name", function.name},
                               {"signature", function.signature},
                               {"record", function.record},
                               {"checked", function.checked}});
    print_json("export", Json{{"files", std::move(files)}, {"functions", std::move(functions)}});
    return kDone;
  }
  for (const auto& file : result->files)
    fmt::print("wrote {}\n", file.string());
  for (const tuner::ExportedRecord& function : result->functions)
    fmt::print("  {};  {}\n", function.signature,
               function.checked   ? "checked on fresh inputs"
               : function.for_gpu ? "not run: it is for a GPU"
                                  : "unchecked: its workload has no reference");
  return kDone;
}

} // namespace

void add_export(Program& program) {
  auto options = std::make_shared<ExportCommand>();
  CLI::App* command = program.app.add_subcommand(
      "export", "write the best kernels as a library with C and Python entries");
  command->add_option("selection", options->words,
                      "[NAME:=]SELECTION... (default: the best of everything here)");
  command->add_option("--name", options->name, "of the library: libNAME.so, NAME.h, NAME.json");
  command->add_option("--out", options->out, "folder to write to");
  command->add_flag("--static", options->static_archive, "also libNAME.a");
  command->add_flag("--cmake", options->cmake_package, "also a CMake package");
  command->add_flag("--stale", options->stale, "allow records of another toolchain");
  add_common_options(*command, options->common, true);
  add_examples(*command, {"temper export --name kernels --out out matmul softmax",
                          "temper export --name mine --out out gemm:=m3f9c2"});
  command->callback(
      [&program, options] { program.action = [options] { return run_export(*options); }; });
}

} // namespace temper::cli
