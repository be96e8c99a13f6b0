/// temper list, best, show.
#include "tuner/cli/command.h"
#include "tuner/cli/output.h"

#include "codegen/artifact_json.h"
#include "codegen/gpu/backends.h"
#include "codegen/llvm/compile.h"
#include "codegen/lower.h"
#include "database/record_log.h"
#include "ir/s_tir/schedule.h"
#include "ir/s_tir/trace_json.h"
#include "ir/script/diagnostic.h"
#include "ir/script/parser.h"
#include "ir/script/printer.h"
#include "ir/support/target_text.h"
#include "ir/support/text.h"
#include "ir/tir/gpu_architecture.h"
#include "tuner/compile_protocol.h"
#include "tuner/external_function.h"
#include "tuner/google_benchmark.h"
#include "tuner/gpu_counters.h"
#include "tuner/packed_ahead.h"
#include "tuner/record_context.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace temper::cli {
namespace {

using database::RecordRow;
using database::Store;
using tuner::Workbench;

/// What a person said of a record: of itself, its run, its candidate, its workload.
struct Words {
  std::vector<std::string> tags;
  std::vector<database::Note> notes;
};

Result<Words> words_about(Store& store, const RecordRow& row) {
  Words words;
  for (const database::Id& subject : {row.id, row.run, row.candidate, row.workload}) {
    TEMPER_TRY(tags, store.tags(subject));
    for (const database::Tag& tag : tags)
      if (std::find(words.tags.begin(), words.tags.end(), tag.tag) == words.tags.end())
        words.tags.push_back(tag.tag);
    TEMPER_TRY(notes, store.notes(subject));
    words.notes.insert(words.notes.end(), notes.begin(), notes.end());
  }
  return words;
}

Json record_json(const RecordRow& row) {
  return Json{{"record", row.id},
              {"workload", row.workload_name},
              {"binding", binding_object(row.binding_json)},
              {"target", row.target},
              {"threads", row.threads},
              {"environment", row.environment_class},
              {"toolchain", row.toolchain},
              {"regime", database::to_string(row.regime)},
              {"inputs", row.inputs},
              {"outcome", database::to_string(row.outcome)},
              {"median_ns", number(row.median_ns)},
              {"interval_ns", {number(row.low_ns), number(row.high_ns)}},
              {"gflops", known(gflops(row.flops, row.median_ns))},
              {"run", row.run},
              {"measured_at", row.measured_at},
              {"unchecked", row.unchecked},
              {"stale", row.stale}};
}

/// What a record's kernel packs ahead. Only workloads with constant operands are looked into.
std::vector<tuner::PackedAhead> packed_of(Store& store, const RecordRow& row) {
  if (row.binding_json.find("\"constant\"") == std::string::npos)
    return {};
  const auto candidate = store.candidate(row.candidate);
  const auto workload = store.workload(row.workload);
  if (!candidate || !workload)
    return {};
  return tuner::packed_ahead(workload->program, candidate->program)
      .value_or(std::vector<tuner::PackedAhead>());
}

/// What sets a record apart: "stale cold". `with_search`: also that a finalist was measured again.
std::string marks(const RecordRow& row, bool with_search) {
  std::vector<std::string> words;
  if (with_search && row.purpose == database::Purpose::kConfirm)
    words.emplace_back("final");
  if (row.unchecked)
    words.emplace_back("unchecked");
  if (row.stale)
    words.emplace_back("stale");
  if (row.regime == database::TimingRegime::kCold)
    words.emplace_back("cold");
  return join(words, " ");
}

/// Titles and layers of kernels, each looked up once.
class Titles {
public:
  explicit Titles(Store& store) : store_(store) {}
  const std::string& of(const RecordRow& row) { return about(row).first; }
  const std::string& layer_of(const RecordRow& row) { return about(row).second; }
  /// A function of a library, or a benchmark of another program.
  bool is_foreign(const RecordRow& row) {
    return layer_of(row) == tuner::kFunctionLayer || layer_of(row) == tuner::kBenchmarkLayer;
  }

private:
  const std::pair<std::string, std::string>& about(const RecordRow& row) {
    const auto [known, is_new] = known_.try_emplace(row.workload);
    if (is_new) {
      auto workload = store_.workload(row.workload);
      if (workload)
        workload->name = row.workload_name;
      known->second = workload ? std::pair(title_of(*workload), workload->layer)
                               : std::pair(row.workload_name, std::string());
    }
    return known->second;
  }

  Store& store_;
  std::map<std::string, std::pair<std::string, std::string>> known_;
};

void print_records(Store& store, const std::vector<RecordRow>& rows, bool with_outcome) {
  // What is the same in every row is said once.
  const auto differ = [&](const auto& value_of) {
    return std::any_of(rows.begin(), rows.end(),
                       [&](const RecordRow& row) { return value_of(row) != value_of(rows[0]); });
  };
  const bool targets = differ([](const RecordRow& row) { // its threads have a column of their own
    return row.target.substr(0, row.target.find(' '));
  });
  const bool threads =
      differ([](const RecordRow& row) { return thread_text(row.target, row.threads); });
  std::vector<Table::Column> columns{{"record"}, {"workload", false, true}};
  if (with_outcome)
    columns.push_back({"outcome"});
  columns.insert(columns.end(), {{"time", true}, {"rate", true}});
  if (targets || threads)
    columns.push_back({targets ? "target" : "threads", false, true});
  columns.insert(columns.end(), {{"measured", false, true}, {"", false, true}});
  Table table(columns);
  Titles titles(store);
  for (const RecordRow& row : rows) {
    std::vector<std::string> cells{short_id(store, row.id), titles.of(row)};
    if (with_outcome)
      cells.emplace_back(database::to_string(row.outcome));
    cells.insert(cells.end(), {format_time(row.median_ns),
                               format_rate(row.flops, row.median_ns, row.binding_json)});
    if (targets && threads)
      cells.push_back(target_and_threads(short_target(row.target), row.threads));
    else if (targets || threads)
      cells.push_back(targets ? short_target(row.target) : thread_text(row.target, row.threads));
    std::string mark = marks(row, with_outcome);
    if (const std::string ahead = tuner::short_text(packed_of(store, row)); !ahead.empty())
      mark += (mark.empty() ? "" : " ") + ahead;
    cells.insert(cells.end(), {format_date(row.measured_at), std::move(mark)});
    table.add(std::move(cells));
  }
  table.print();
  std::vector<std::string> common;
  if (!targets)
    common.push_back(short_target(rows[0].target));
  if (const std::string words = thread_text(rows[0].target, rows[0].threads);
      !threads && !words.empty())
    common.push_back(words);
  if (!common.empty())
    fmt::print("{}on {}\n", rows.size() > 1 ? "all " : "", join(common, ", "));
}

// ---- list

struct ListOptions {
  CommonOptions common;
  std::string what = "workloads";
  std::vector<std::string> words;
  int64_t limit = 50;
};

/// Cuts what was asked for with one more than the limit, and says so: a list that is cut in silence
/// is taken for all there is, by scripts as well.
template <typename Row> void keep_newest(std::vector<Row>& rows, int64_t limit) {
  if (static_cast<int64_t>(rows.size()) <= limit)
    return;
  rows.resize(static_cast<size_t>(limit));
  std::fprintf(stderr, "temper: these are the newest %lld, there are more: --limit shows them\n",
               static_cast<long long>(limit));
}

int list_workloads(Workbench& bench, const ListOptions& options) {
  auto known = bench.known_workloads();
  if (!known)
    return report(known.error());
  if (!options.words.empty()) {
    std::vector<std::string> names;
    for (const auto& workload : *known)
      names.push_back(workload.name);
    for (const std::string& word : options.words)
      if (std::find(names.begin(), names.end(), word) == names.end())
        return report(Error(ErrorCode::kNotFound, "there is no workload '" + word + "'" +
                                                      script::did_you_mean(word, names) +
                                                      "; temper list shows all"));
    std::erase_if(*known, [&](const auto& workload) {
      return std::find(options.words.begin(), options.words.end(), workload.name) ==
             options.words.end();
    });
  }
  if (options.common.json) {
    Json list = Json::array();
    for (const auto& workload : *known)
      list.push_back(Json{{"name", workload.name},
                          {"layer", workload.layer},
                          {"parameters", workload.parameters},
                          {"flops", workload.flops},
                          {"bytes", workload.bytes},
                          {"file", workload.file}});
    print_json("list", Json{{"workloads", std::move(list)}});
    return kDone;
  }
  Table table({{"workload"}, {"layer"}, {"parameters", false, true}, {"flops", false, true}});
  for (const auto& workload : *known)
    table.add({workload.name, workload.layer, join(workload.parameters, " "), workload.flops});
  table.print();
  return kDone;
}

int list_records(Workbench& bench, const ListOptions& options) {
  auto store = bench.store();
  if (!store)
    return report(store.error());
  database::RecordFilter filter;
  filter.limit = options.limit + 1;
  auto fresh = bench.fresh_toolchains();
  if (!fresh)
    return report(fresh.error());
  filter.current_toolchains = std::move(*fresh);
  if (!options.words.empty()) {
    auto selection = database::parse_selection(options.words);
    if (!selection)
      return report(selection.error());
    auto selected = database::filter_of(**store, *selection, filter);
    if (!selected)
      return report(selected.error());
    filter = std::move(*selected);
  }
  auto rows = (*store)->list_records(filter);
  if (!rows)
    return report(rows.error());
  keep_newest(*rows, options.limit);
  if (options.common.json) {
    Json list = Json::array();
    for (const RecordRow& row : *rows) {
      list.push_back(record_json(row));
      list.back()["packed_ahead"] = tuner::to_json(packed_of(**store, row));
    }
    print_json("list", Json{{"records", std::move(list)}});
  } else if (rows->empty()) {
    fmt::print("{}\n", options.words.empty() ? "no records; temper tune matmul makes some"
                                             : "no records of that selection");
  } else {
    print_records(**store, *rows, true);
  }
  return kDone;
}

int list_runs(Workbench& bench, const ListOptions& options) {
  auto store = bench.store();
  if (!store)
    return report(store.error());
  database::RunFilter filter;
  filter.limit = options.limit + 1;
  if (!options.words.empty())
    filter.workload_name = options.words[0];
  auto runs = (*store)->list_runs(filter);
  if (!runs)
    return report(runs.error());
  keep_newest(*runs, options.limit);
  Json list = Json::array();
  // Worth a column where somebody chose one.
  const bool strategies = std::any_of(
      runs->begin(), runs->end(), [](const database::Run& run) { return run.strategy != "auto"; });
  std::vector<Table::Column> columns{
      {"run"}, {"workload", false, true}, {"trials", true}, {"time", true}, {"started"}};
  if (strategies)
    columns.push_back({"strategy"});
  columns.push_back({"state", false, true});
  Table table(std::move(columns));
  for (const database::Run& run : *runs) {
    const auto workload = (*store)->workload(run.workload);
    const std::string name = workload ? title_of(*workload) : run.workload;
    std::string state = database::to_string(run.state);
    if (!run.stopped_because.empty() && run.stopped_because != state)
      state += ": " + run.stopped_because;
    std::vector<std::string> cells{short_id(**store, run.id), name, std::to_string(run.trials),
                                   format_seconds(run.seconds), format_date(run.started_at)};
    if (strategies)
      cells.push_back(run.strategy);
    cells.push_back(std::move(state));
    table.add(std::move(cells));
    list.push_back(Json{{"run", run.id},
                        {"workload", workload ? workload->name : ""},
                        {"binding", workload ? binding_object(workload->binding_json) : Json()},
                        {"target", run.target},
                        {"state", database::to_string(run.state)},
                        {"strategy", run.strategy},
                        {"seed", run.seed},
                        {"trials", run.trials},
                        {"seconds", run.seconds},
                        {"stopped_because", run.stopped_because},
                        {"command", run.command_line}});
  }
  if (options.common.json)
    print_json("list", Json{{"runs", std::move(list)}});
  else if (table.empty())
    fmt::print("{}\n", options.words.empty() ? "no runs; temper tune matmul starts one"
                                             : "no runs of that workload");
  else
    table.print();
  return kDone;
}

int run_list(const ListOptions& options) {
  Workbench bench(viewing(options.common));
  if (options.what == "workloads")
    return list_workloads(bench, options);
  if (options.what == "records")
    return list_records(bench, options);
  if (options.what == "runs")
    return list_runs(bench, options);
  return report(Error(ErrorCode::kInvalidArgument,
                      "list shows workloads, records or runs, not '" + options.what + "'"));
}

// ---- best

struct BestOptions {
  CommonOptions common;
  std::vector<std::string> words;
  bool all = false;
};

int run_best(const BestOptions& options) {
  Workbench bench(viewing(options.common));
  auto store = bench.store();
  if (!store)
    return report(store.error());
  auto chosen = best_records(bench, options.words, options.all);
  if (!chosen)
    return report(chosen.error());
  std::vector<RecordRow>& rows = *chosen;
  Titles titles(**store);
  const auto foreign = std::stable_partition(
      rows.begin(), rows.end(), [&](const RecordRow& row) { return !titles.is_foreign(row); });
  if (options.common.json) {
    Json list = Json::array();
    for (const RecordRow& row : rows) {
      list.push_back(record_json(row));
      list.back()["layer"] = titles.layer_of(row);
      list.back()["packed_ahead"] = tuner::to_json(packed_of(**store, row));
    }
    print_json("best", Json{{"records", std::move(list)}});
  } else if (rows.empty()) {
    print_wrapped(nothing_best(bench));
  } else {
    if (foreign != rows.begin())
      print_records(**store, {rows.begin(), foreign}, false);
    if (foreign != rows.end()) {
      fmt::print("{}not made by temper:\n", foreign != rows.begin() ? "\n" : "");
      print_records(**store, {foreign, rows.end()}, false);
    }
  }
  return kDone;
}

// ---- show

struct ShowOptions {
  CommonOptions common;
  std::vector<std::string> words;
  bool text = false;
  bool trace = false;
  bool script = false;
  bool tir = false;
  bool llvm = false;
  bool assembly = false;
  bool log = false;
  bool cuda = false;
  bool ptx = false;
  std::string backend; ///< of --ptx: "nvrtc", "nvptx"; empty: the record's
};

int show_workload(Workbench& bench, const ShowOptions& options) {
  std::vector<std::string> words(options.words.begin() + 1, options.words.end());
  const auto arguments = parse_workload_words(words);
  if (!arguments)
    return report(arguments.error());
  const auto task = bench.task(*arguments);
  if (!task)
    return report(task.error());
  if (options.text) {
    fmt::print("{}", task->module_text);
    return kDone;
  }
  Json signature = Json::array();
  for (const codegen::ArgumentSpec& argument : task->signature)
    signature.push_back(Json{{"name", argument.name},
                             {"dtype", to_string(argument.dtype)},
                             {"shape", argument.shape},
                             {"output", argument.is_output}});
  if (options.common.json) {
    print_json("show", Json{{"workload", task->workload},
                            {"layer", task->layer},
                            {"file", task->source_path},
                            {"binding", binding_object(task->binding_json)},
                            {"flops", task->flops},
                            {"bytes", task->bytes},
                            {"arguments", std::move(signature)},
                            {"constant", task->constants()},
                            {"unchecked", !task->reference},
                            {"script", task->module_text}});
    return kDone;
  }
  fmt::print("{} ({}), {}\n", task->title(), task->layer, task->source_path);
  if (task->flops > 0)
    fmt::print("{:.4g} MFLOP a call\n", task->flops * 1e-6);
  if (task->bytes > 0)
    fmt::print("{:.4g} MiB to be moved{}\n", task->bytes / (1 << 20),
               task->flops > 0 ? fmt::format(", {:.3g} FLOP a byte", task->flops / task->bytes)
                               : std::string());
  const std::vector<std::string> constants = task->constants();
  for (const codegen::ArgumentSpec& argument : task->signature) {
    std::string shape;
    for (int64_t extent : argument.shape)
      shape += (shape.empty() ? "" : ", ") + std::to_string(extent);
    const bool constant =
        std::find(constants.begin(), constants.end(), argument.name) != constants.end();
    fmt::print("  {:<8} {}[{}]{}\n", argument.name, to_string(argument.dtype), shape,
               argument.is_output ? " (output)"
               : constant         ? " (constant: may be packed ahead)"
                                  : "");
  }
  fmt::print("\n{}", task->module_text);
  return kDone;
}

/// "12 registers, 0 bytes spilled, ..."
std::string facts_line(const codegen::StaticFacts& facts) {
  std::vector<std::string> counts;
  for (const auto& [operation, count] : facts.operations)
    counts.push_back(fmt::format("{} {}", count, operation));
  return (facts.registers == 0 ? std::string("not assembled")
                               : fmt::format("{} registers, {} bytes spilled, {} bytes of shared "
                                             "memory, {} instructions",
                                             facts.registers, facts.spilled_bytes,
                                             facts.shared_bytes, facts.instructions)) +
         "; " + join(counts, ", ");
}

/// Facts of the code by each back end that the target's architecture has, as comments.
std::string facts_beside(const ir::IRModule& lowered, const ir::Target& target,
                         const codegen::Artifact& artifact) {
  std::string text;
  for (const char* name : {"nvrtc", "nvptx"}) {
    const auto other = codegen::with_backend(target, name);
    if (!other)
      continue;
    const bool same = *other == target;
    const auto made =
        same ? Result<codegen::Artifact>(artifact) : codegen::compile_gpu(lowered, *other);
    text += fmt::format("// {}: {}\n", name, made ? facts_line(made->facts) : made.error().message);
    if (made && !same && made->launch != artifact.launch)
      text += "// the launch plans differ\n";
  }
  return text;
}

Result<std::string> lowered_text(const database::Measurement& record, const ir::IRModule& module,
                                 const ShowOptions& options) {
  const bool llvm = options.llvm;
  const bool assembly = options.assembly;
  TEMPER_TRY(parsed, ir::parse_target(record.target));
  if (parsed.is_cpu() ? options.cuda || options.ptx : llvm || assembly)
    return Error(ErrorCode::kInvalidArgument,
                 parsed.is_cpu() ? "that record is of code for a CPU: it has --llvm and --asm"
                                 : "that record is of code for a GPU: it has --cuda and --ptx");
  if (!options.backend.empty()) {
    if (!options.ptx)
      return Error(ErrorCode::kInvalidArgument,
                   "--backend says which compiler makes the PTX: give --ptx, too");
    TEMPER_TRY(other, codegen::with_backend(parsed, options.backend));
    parsed = std::move(other);
  }
  TEMPER_TRY(lowered, tuner::lowered_module(record, module));
  if (options.cuda) {
    TEMPER_TRY(source, codegen::gpu_source(lowered, parsed));
    return source.text;
  }
  if (options.ptx) {
    TEMPER_TRY(artifact, codegen::compile_gpu(lowered, parsed));
    if (options.backend.empty())
      return artifact.object;
    return artifact.object + facts_beside(lowered, parsed, artifact);
  }
  if (!parsed.is_cpu())
    return script::to_text(lowered);
  TEMPER_TRY(target, codegen::resolve_target(parsed));
  target.threads = record.threads;
  const auto function = lowered->functions.front().function.as_ref<ir::PrimFuncNode>();
  if (llvm)
    return codegen::emit_llvm_ir_text(function, target);
  if (assembly)
    return codegen::emit_assembly_text(function, target);
  return script::to_text(lowered);
}

void print_gpu_facts(const codegen::StaticFacts& facts, const std::string& target) {
  const auto parsed = ir::parse_target(target);
  const std::string arch = parsed ? parsed->arch : std::string();
  fmt::print("  code        {}, {} of a thread, {} of shared memory, {}{}\n",
             format_count(facts.instructions, "instruction"),
             format_count(facts.registers, "register"), format_count(facts.shared_bytes, "byte"),
             facts.spilled_bytes > 0 ? format_count(facts.spilled_bytes, "byte") + " spilled"
                                     : "no spills",
             facts.stack_bytes > 0
                 ? fmt::format(", {} of stack", format_count(facts.stack_bytes, "byte"))
                 : "");
  fmt::print("  occupancy   {} on a {}, by its {}\n", format_count(facts.resident_blocks, "block"),
             tir::processor_name(arch), facts.limited_by);
  std::vector<std::string> counts;
  for (const auto& [operation, count] : facts.operations)
    counts.push_back(fmt::format("{} {}", count, operation));
  fmt::print("  {:<11} {}\n", tir::is_amd(arch) ? "assembly" : "PTX", join(counts, ", "));
  for (const std::string& warning : facts.warnings)
    fmt::print("  warning     {}\n", warning);
}

int show_record(Workbench& bench, const ShowOptions& options) {
  auto store = bench.store();
  if (!store)
    return report(store.error());
  auto rows = any_records(bench, options.words);
  if (!rows)
    return report(rows.error());
  const RecordRow& row = rows->front();
  auto record = (*store)->measurement(row.id);
  if (!record)
    return report(record.error());
  auto candidate = (*store)->candidate(record->candidate);
  if (!candidate)
    return report(candidate.error());
  auto workload = (*store)->workload(record->workload);
  if (!workload)
    return report(workload.error());

  if (options.trace) {
    const auto trace = s_tir::trace_from_json_text(candidate->program);
    if (!trace)
      return report(trace.error());
    fmt::print("{}", trace->to_python());
    return kDone;
  }
  if (options.script || options.tir || options.llvm || options.assembly || options.cuda ||
      options.ptx) {
    const auto module = tuner::scheduled_module(*workload, *candidate);
    if (!module)
      return report(module.error());
    const auto text = options.script ? Result<std::string>(script::to_text(*module))
                                     : lowered_text(*record, *module, options);
    if (!text)
      return report(text.error());
    fmt::print("{}", *text);
    return kDone;
  }
  if (options.log) {
    fmt::print("{}", database::record_log(*record));
    return kDone;
  }
  auto words = words_about(**store, row);
  if (!words)
    return report(words.error());
  const auto counted = tuner::record_counters(**store, row, *record);
  if (!counted)
    return report(counted.error());
  if (options.common.json) {
    Json json = record_json(row);
    json["tags"] = words->tags;
    json["notes"] = Json::array();
    for (const database::Note& note : words->notes)
      json["notes"].push_back(Json{{"subject", note.subject},
                                   {"text", note.text},
                                   {"author", note.author},
                                   {"created_at", note.created_at}});
    json["candidate"] = record->candidate;
    json["packed_ahead"] = tuner::to_json(packed_of(**store, row));
    json["origin"] = record->origin;
    json["stage"] = record->stage;
    json["error"] = record->error;
    json["log"] = record->log;
    json["timing"] = parse_json(record->timing_json).value_or(Json());
    json["samples_ns"] = record->samples_ns;
    json["gaps_dropped"] = record->gaps_dropped;
    json["compile_ms"] = number(record->compile_ms);
    json["measure_ms"] = number(record->measure_ms);
    json["facts"] = parse_json(record->facts_json).value_or(Json());
    json["counters"] = counted->counters.empty() ? Json(nullptr) : Json(counted->counters);
    json["counted_in"] = counted->counters.empty() ? Json(nullptr) : Json(counted->record);
    json["worst"] = parse_json(record->worst_json).value_or(Json());
    json["trace"] = parse_json(candidate->program).value_or(Json());
    print_json("show", json);
    return kDone;
  }
  fmt::print("{}  {}\n", short_id(**store, row.id), title_of(*workload));
  fmt::print("  outcome     {}{}\n", database::to_string(row.outcome),
             row.stale ? " (stale: made under another toolchain)" : "");
  if (record->median_ns > 0)
    fmt::print("  time        {}{}, {} caches, {}\n", format_time(record->median_ns),
               record->high_ns > 0 ? fmt::format("  [{}, {}] 95 %", format_time(record->low_ns),
                                                 format_time(record->high_ns))
                                   : "",
               database::to_string(record->regime),
               format_count(static_cast<int64_t>(record->samples_ns.size()), "sample"));
  if (gflops(row.flops, row.median_ns) > 0)
    fmt::print("  rate        {}\n", format_rate(row.flops, row.median_ns, row.binding_json));
  for (const tuner::PackedAhead& operand : packed_of(**store, row))
    fmt::print("  operand     {}\n", operand.text());
  if (!record->error.empty())
    // Of what was found right it is a remark.
    fmt::print("  {}{}{}\n",
               record->outcome == database::Outcome::kChecked ? "checked     " : "error       ",
               record->error, record->stage.empty() ? "" : " (" + record->stage + ")");
  fmt::print("  target      {}\n", target_and_threads(row.target, row.threads));
  fmt::print("  machine     {}\n", row.environment_class);
  fmt::print("  run         {}, measurement {}{}, proposed by {}\n", short_id(**store, row.run),
             row.sequence, row.purpose == database::Purpose::kConfirm ? " (a final one)" : "",
             record->origin);
  const Json facts = parse_json(record->facts_json).value_or(Json());
  const bool gpu_code = facts.is_object() && facts.contains("registers");
  if (gpu_code)
    print_gpu_facts(codegen::facts_from_json(facts), row.target);
  else if (facts.is_object())
    fmt::print("  code        {}, {}, {}{} in inner loops\n",
               format_count(facts.value("code_bytes", 0), "byte"),
               format_count(facts.value("instructions", 0), "instruction"),
               facts.value("vector_bits", 0) > 0
                   ? fmt::format("{}-bit vectors and ", facts.value("vector_bits", 0))
                   : std::string(),
               format_count(facts.value("spills", 0), "spill"));
  if (const std::string state = database::machine_state(*record); !state.empty())
    fmt::print("  then        {}\n", state);
  for (const auto& [name, value] : counted->counters)
    fmt::print("  counter     {} {:.6g}\n", name, value);
  if (!counted->counters.empty() && counted->record != row.id)
    fmt::print("  counted     in {}, another measurement of the same candidate\n",
               short_id(**store, counted->record));
  if (row.unchecked)
    fmt::print("  unchecked   {}\n",
               record->origin == "metaschedule"
                   ? "MetaSchedule does not look at results; temper rerun does"
                   : "its workload has no reference");
  if (!words->tags.empty())
    fmt::print("  tags        {}\n", join(words->tags, ", "));
  for (const database::Note& note : words->notes)
    fmt::print("  note        {} ({}{})\n", note.text,
               note.author.empty() ? "" : note.author + ", ", format_date(note.created_at));
  const auto trace = s_tir::trace_from_json_text(candidate->program);
  if (trace)
    fmt::print("\n{}", trace->to_python());
  fmt::print("\nmore: temper show {}{} --script | --tir | {}\n", short_id(**store, row.id),
             given_database(),
             row.target.starts_with("cuda:") || row.target.starts_with("hip:")
                 ? "--cuda | --ptx | --log"
                 : "--llvm | --asm | --log");
  return kDone;
}

int run_show(const ShowOptions& options) {
  Workbench bench(viewing(options.common));
  if (options.words[0] == "workload")
    return show_workload(bench, options);
  return show_record(bench, options);
}

} // namespace

std::string nothing_best(Workbench& bench) {
  size_t stale = 0;
  size_t others = 0;
  const auto store = bench.store();
  const auto filter = bench.comparable();
  const auto fresh = bench.fresh_toolchains();
  database::RecordFilter wide;
  wide.include_stale = true;
  if (fresh)
    wide.current_toolchains = *fresh;
  if (const auto rows = store && filter ? (*store)->best(wide)
                                        : Result<std::vector<RecordRow>>(std::vector<RecordRow>()))
    for (const RecordRow& row : *rows)
      ++(row.stale && row.environment_class == filter->environment_class ? stale : others);
  if (stale > 0)
    return fmt::format("nothing is made with today's compiler; an earlier one made {}: temper "
                       "remeasure --stale builds and measures again, --all shows what there is",
                       format_count(static_cast<int64_t>(stale), "best record"));
  if (others > 0)
    return "nothing is tuned for this machine and target; --all shows other machines and targets";
  database::RecordFilter checked;
  checked.outcomes = {database::Outcome::kChecked};
  checked.limit = 1;
  if (const auto rows = store ? (*store)->list_records(checked)
                              : Result<std::vector<RecordRow>>(std::vector<RecordRow>());
      rows && !rows->empty())
    return "nothing was timed yet; temper list records 'query:outcome = checked' shows what was "
           "checked without a GPU";
  return "nothing is tuned here yet; temper tune matmul makes a start";
}

Result<std::vector<RecordRow>> selected_records(Workbench& bench,
                                                const std::vector<std::string>& words,
                                                const database::RecordFilter& defaults) {
  TEMPER_TRY(store, bench.store());
  TEMPER_TRY(selections, database::parse_selections(words));
  std::vector<RecordRow> rows;
  std::set<database::Id> seen;
  for (const database::Selection& selection : selections) {
    TEMPER_TRY(found, database::resolve_selection(*store, selection, defaults));
    for (RecordRow& row : found)
      if (seen.insert(row.id).second)
        rows.push_back(std::move(row));
  }
  return rows;
}

Result<std::vector<RecordRow>> best_records(Workbench& bench, const std::vector<std::string>& words,
                                            bool all) {
  TEMPER_TRY(store, bench.store());
  auto comparable = bench.comparable();
  // With `all` the machine only says what is stale: a GPU that is not here takes no part.
  if (!comparable && all) {
    bench.retarget("native", 0);
    comparable = bench.comparable();
  }
  if (!comparable)
    return std::move(comparable)
        .error()
        .with_note("--all shows what other machines timed, temper list records 'query:outcome = "
                   "checked' what was checked without a GPU");
  database::RecordFilter filter = std::move(*comparable);
  if (all) {
    filter.include_stale = true;
    filter.environment_class.clear();
    filter.regime.reset();
  }
  return words.empty() ? store->best(filter) : selected_records(bench, words, filter);
}

void add_list(Program& program) {
  auto options = std::make_shared<ListOptions>();
  CLI::App* command = program.app.add_subcommand("list", "list workloads, records or runs");
  command->add_option("what", options->what, "workloads (default), records or runs");
  command->add_option("selection", options->words,
                      "records of a WORKLOAD, run:ID, tag:X or query:\"...\"");
  command->add_option("--limit", options->limit, "at most so many lines (default 50)")
      ->check(count());
  add_common_options(*command, options->common, false);
  add_examples(*command,
               {"temper list workloads", "temper list records matmul M=512", "temper list runs",
                "temper list records 'query:outcome != ok and measured > 1d ago'"});
  command->callback(
      [&program, options] { program.action = [options] { return run_list(*options); }; });
}

void add_best(Program& program) {
  auto options = std::make_shared<BestOptions>();
  CLI::App* command =
      program.app.add_subcommand("best", "the fastest record of each workload on this machine");
  command->add_option("selection", options->words, "SELECTION... (default: everything)");
  command->add_flag("--all", options->all, "other machines, toolchains and timing regimes too");
  add_common_options(*command, options->common, true);
  add_examples(*command, {"temper best", "temper best matmul M=512", "temper best run:r81ab0"});
  command->callback(
      [&program, options] { program.action = [options] { return run_best(*options); }; });
}

void add_show(Program& program) {
  auto options = std::make_shared<ShowOptions>();
  CLI::App* command =
      program.app.add_subcommand("show", "everything about a record, or a workload's script");
  command
      ->add_option("selection", options->words,
                   "record id or other SELECTION; or: workload NAME [NAME=VALUE...]")
      ->required();
  command->add_flag("--text", options->text, "only the workload's script");
  command->add_flag("--trace", options->trace, "only the trace, as Python");
  command->add_flag("--script", options->script, "the scheduled program");
  command->add_flag("--tir", options->tir, "the lowered program");
  command->add_flag("--llvm", options->llvm, "LLVM IR");
  command->add_flag("--asm", options->assembly, "assembly");
  command->add_flag("--log", options->log,
                    "what was done with it, step by step, and what compiler and kernel wrote");
  command->add_flag("--cuda", options->cuda, "CUDA C++, of code for a GPU");
  command->add_flag("--ptx", options->ptx, "its PTX; assembly of AMD's");
  command->add_option("--backend", options->backend,
                      "with --ptx: by another compiler, nvrtc or nvptx (LLVM's), and the facts of "
                      "both side by side");
  add_common_options(*command, options->common, true);
  add_examples(*command, {"temper show m3f9c2", "temper show matmul M=512 N=512 K=512 --asm",
                          "temper show workload matmul --text"});
  command->callback(
      [&program, options] { program.action = [options] { return run_show(*options); }; });
}

} // namespace temper::cli
