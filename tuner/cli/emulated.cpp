#include "tuner/cli/emulated.h"

#include "codegen/artifact_json.h"
#include "codegen/gpu/backends.h"
#include "engine/cuda/device.h"
#include "ir/script/diagnostic.h"
#include "ir/support/text.h"
#include "ir/tir/gpu_architecture.h"
#include "tuner/cli/output.h"
#include "tuner/compile_protocol.h"
#include "tuner/emulated_run.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <optional>

namespace temper::cli {
namespace {

using tuner::Task;
using tuner::Workbench;

/// The GPU that --target names; the workbench itself is for this machine from here on.
Result<ir::Target> gpu_of(CommonOptions& options) {
  TEMPER_TRY(target, ir::parse_target(options.workbench.target));
  if (target.is_cpu())
    return Error(ErrorCode::kInvalidArgument,
                 "--device emulated runs programs for a GPU: name one, as --target cuda:sm_90a");
  TEMPER_TRY_VOID(codegen::gpu_limits(target));
  TEMPER_TRY_VOID(codegen::gpu_backend(target));
  options.workbench.target = "native";
  return target;
}

Result<std::shared_ptr<const codegen::Artifact>> shared(Result<codegen::Artifact> artifact) {
  if (!artifact)
    return artifact.error();
  return std::make_shared<const codegen::Artifact>(std::move(*artifact));
}

std::string bytes_text(int64_t bytes) {
  return bytes >= 1024 ? fmt::format("{:.4g} KiB", static_cast<double>(bytes) / 1024)
                       : fmt::format("{} bytes", bytes);
}

/// 1 of "cuda:1", 0 of "cuda"; nothing of what names no GPU.
std::optional<int> number_of_gpu(const std::string& word) {
  if (word == "cuda")
    return 0;
  const std::string_view prefix = "cuda:";
  if (!word.starts_with(prefix) || word.size() > prefix.size() + 4)
    return std::nullopt;
  int number = 0;
  const char* end = word.data() + word.size();
  const auto read = std::from_chars(word.data() + prefix.size(), end, number);
  if (read.ec != std::errc() || read.ptr != end || number < 0)
    return std::nullopt;
  return number;
}

/// "cuda:sm_90a": what compiles for all that the GPU can do.
std::string target_of(const engine::GpuInfo& gpu) {
  return fmt::format("cuda:sm_{}{}", gpu.architecture, gpu.architecture >= 90 ? "a" : "");
}

} // namespace

void add_device_option(CLI::App& command, std::string& device) {
  command
      .add_option("--device", device,
                  "where kernels run: cpu, cuda:0 (a GPU of this machine), emulated (a GPU's "
                  "programs on the CPU); default: what fits --target")
      ->check([](const std::string& word) {
        return word == "emulated" || word == "cpu" || number_of_gpu(word)
                   ? std::string()
                   : "there is no device '" + word +
                         "'; there are cpu, cuda:0 and emulated, or leave --device out for what "
                         "fits --target";
      });
}

namespace {

/// A GPU's programs are for one extent of each symbolic dimension.
Result<Task> emulated_task(Workbench& bench, const tuner::WorkloadArguments& arguments,
                           const ir::Target& gpu) {
  TEMPER_TRY(task, bench.task(arguments));
  TEMPER_TRY_VOID(codegen::check_source_text(task.module, gpu));
  return tuner::bound_task(std::move(task));
}

/// On the task's inputs; of what nothing here can run they are not made.
Result<tuner::EmulatedCheck> emulated_check(Workbench& bench, const Task& task,
                                            const tuner::EmulatedProgram& program,
                                            const ir::Target& gpu, double limit_seconds) {
  constexpr uint64_t kSeed = 1;
  Result<std::shared_ptr<const codegen::Artifact>> loops =
      std::shared_ptr<const codegen::Artifact>();
  if (!program.only_on_gpu.empty())
    return tuner::check_emulated(bench, {}, task, program, loops, false, kSeed, limit_seconds);
  TEMPER_TRY(prepared, bench.prepare(task, kSeed));
  if (program.why_interpreted.empty())
    loops = shared(tuner::compile_request(tuner::thread_loops_request(task, "", gpu)));
  auto check =
      tuner::check_emulated(bench, prepared, task, program, loops, true, kSeed, limit_seconds);
  if (auto measurer = bench.measurer())
    (*measurer)->remove_workload(prepared);
  return check;
}

} // namespace

Error in_source(const Error& error, const Task& task) {
  return script::located(error, task.source_path);
}

std::string reference_fault(const Task& task, bool suspect) {
  const std::string found = tuner::check_reference(task, suspect);
  return found.empty() ? found
                       : "the reference is nothing to compare with: " +
                             in_source(Error(ErrorCode::kFailed, found), task).message;
}

Result<Place> place_of(CommonOptions& options, const std::string& device) {
  const auto target = ir::parse_target(options.workbench.target);
  const bool for_gpu = target && !target->is_cpu();
  if (device == "emulated")
    return Place{.emulated = true};
  if (const auto number = number_of_gpu(device)) {
    if (for_gpu && tir::is_amd(target->arch))
      return Error(ErrorCode::kInvalidArgument,
                   "--device " + device + " is an NVIDIA GPU, and " + target->to_string() +
                       " is AMD's: " + tir::kNothingRunsAmd +
                       "; --device emulated runs such programs on the CPU");
    auto gpu = engine::gpu_info(*number);
    if (!gpu)
      return Error(gpu.error().code,
                   gpu.error().message + "; --device emulated runs programs for a GPU on the CPU");
    options.workbench.gpu = *number;
    if (options.workbench.target == "native")
      options.workbench.target = target_of(*gpu);
    else if (!for_gpu)
      return Error(ErrorCode::kInvalidArgument, "--device " + device + " runs code for a GPU: " +
                                                    "leave --target out, or take --target " +
                                                    target_of(*gpu));
    return Place{};
  }
  if (device == "cpu" && for_gpu)
    return Error(ErrorCode::kInvalidArgument,
                 "--device cpu runs no code for a GPU; --device emulated runs such programs on the "
                 "CPU");
  if (!for_gpu || !device.empty())
    return Place{};
  if (tir::is_amd(target->arch))
    return Place{.emulated = true, .why = std::string(tir::kNothingRunsAmd) + ", so "};
  const auto gpu = engine::gpu_info(0);
  if (!gpu)
    return Place{.emulated = true, .why = gpu.error().message + ", so "};
  if (!engine::runs_on(target->arch, gpu->architecture))
    return Place{.emulated = true,
                 .why =
                     fmt::format("{} is of architecture sm_{}, so ", gpu->name, gpu->architecture)};
  options.workbench.gpu = 0;
  return Place{};
}

int check_emulated(EmulatedWork work) {
  auto gpu = gpu_of(work.common);
  if (!gpu)
    return report(gpu.error());
  const auto limits = codegen::gpu_limits(*gpu);
  if (!limits)
    return report(limits.error());
  auto arguments = parse_workload_words(work.words);
  if (!arguments)
    return report(arguments.error());
  arguments->unchecked = work.unchecked;
  Workbench bench(work.common.workbench);
  const auto shapes = shapes_to_check(bench, *arguments, work.quick);
  if (!shapes)
    return report(shapes.error());
  install_interrupt_handler();
  bool wrong = false;
  bool unknown = false;
  Json results = Json::array();
  for (const tuner::WorkloadArguments& shape : *shapes) {
    auto task = emulated_task(bench, shape, *gpu);
    if (!task)
      return report(task.error());
    auto program = tuner::emulated_program(task->module, *gpu);
    if (!program)
      return report(in_source(program.error(), *task));
    if (auto fits = codegen::check_gpu_limits(
            program->flat->functions.front().function.as_ref<ir::PrimFuncNode>(), *limits);
        !fits)
      return report(in_source(fits.error(), *task));
    auto check = emulated_check(bench, *task, *program, *gpu, work.common.workbench.limit_seconds);
    const bool no_number = !check || (check->worst && std::isnan(check->worst->expected));
    const std::string no_reference = reference_fault(*task, no_number);
    if (!check)
      return report(no_reference.empty() ? check.error() : Error(ErrorCode::kFailed, no_reference));
    wrong |= check->checked() && (!check->right() || !no_reference.empty());
    unknown |= !check->checked();
    // Compiled loops do not say where in the program it goes wrong; its meaning may.
    const tuner::MeaningCheck meaning = check->checked() && !check->right() && no_reference.empty()
                                            ? tuner::check_meaning(*task)
                                            : tuner::MeaningCheck();
    auto code = tuner::compile_request(tuner::gpu_request(*task, "", *gpu));
    // What a back end has no form of says nothing against the program, and it takes no compiler to
    // say so.
    const bool no_form = check->right() && !code && code.error().code == ErrorCode::kUnsupported;
    // Right, and yet no kernel: where there is a compiler for the GPU, it must take the program.
    const bool no_kernel =
        no_form || (check->right() && !code && codegen::gpu_compiler_version(*gpu));
    wrong |= no_kernel && !no_form;
    unknown |= no_form;
    std::string about_code =
        code ? tuner::gpu_code_text(code->facts, *gpu) : in_source(code.error(), *task).message;
    if (const auto refused = code ? tuner::refused_code(code->facts, gpu->arch) : std::nullopt)
      about_code += "; " + refused->message;
    if (work.common.json) {
      Json item{{"workload", task->workload},
                {"binding", binding_object(task->binding_json)},
                {"target", gpu->to_string()},
                {"device", "emulated"},
                {"outcome", engine::to_string(check->outcome)},
                {"checked", check->checked() && static_cast<bool>(task->reference)},
                {"compiled", check->compiled},
                {"races_looked_for", check->interpreted},
                {"sampled_blocks", check->sampled_blocks},
                {"raced_blocks", check->raced_blocks},
                {"blocks", program->needs.blocks},
                {"threads", program->needs.threads},
                {"shared_bytes", program->needs.shared_bytes},
                {"bank_conflicts", check->conflicts}};
      if (code)
        item["facts"] = codegen::facts_to_json(code->facts);
      else
        item["not_compiled_for_gpu"] = code.error().message;
      if (!check->finding.empty())
        item["finding"] = check->finding;
      if (!check->printed.empty())
        item["printed"] = check->printed;
      if (!no_reference.empty())
        item["outcome"] = engine::to_string(engine::Outcome::kWrongResult);
      if (!check->right() || !no_reference.empty())
        item["error"] = !no_reference.empty()
                            ? no_reference
                            : tuner::emulated_verdict(*check, true) +
                                  (meaning.found.empty() ? "" : "; ") + meaning.found;
      else if (no_kernel)
        item["error"] = "it does not compile for the GPU: " + code.error().message;
      if (!check->interpreted)
        item["races_not_looked_for"] = check->not_interpreted;
      results.push_back(std::move(item));
      continue;
    }
    fmt::print("{} on {}, emulated: {}{}\n", task->title(), gpu->to_string(),
               no_reference.empty()
                   ? tuner::emulated_verdict(*check, static_cast<bool>(task->reference))
                   : no_reference,
               no_kernel ? ", but it does not compile for the GPU" : "");
    if (!meaning.found.empty())
      fmt::print("  {}\n", in_source(Error(ErrorCode::kFailed, meaning.found), *task).message);
    if (!check->printed.empty())
      fmt::print("{}\n", trim(check->printed));
    fmt::print("  {} of {}, {} of shared memory\n", format_count(program->needs.blocks, "block"),
               format_count(program->needs.threads, "thread"),
               bytes_text(program->needs.shared_bytes));
    fmt::print("  {}\n", about_code);
    if (!check->compiled && !program->why_interpreted.empty() && program->only_on_gpu.empty())
      fmt::print("  run warp by warp alone: {}\n", program->why_interpreted);
    if (!check->right() || !no_reference.empty())
      continue;
    if (check->interpreted)
      fmt::print("  no races, no reads of what was not written, no divergent barriers{}\n",
                 check->raced_blocks > 0
                     ? fmt::format(" in {}, drawn by chance; check a smaller shape for the others",
                                   format_count(check->raced_blocks, "block"))
                     : "");
    else
      fmt::print("  races were not looked for: {}\n", check->not_interpreted);
    for (const std::string& conflict : check->conflicts)
      fmt::print("  {}\n", conflict);
  }
  if (work.common.json)
    print_json("check", Json{{"ok", !wrong && !unknown}, {"results", std::move(results)}});
  return wrong ? kAnswerIsNo : unknown ? kNotLookedAt : kDone;
}

int tune_emulated(EmulatedWork work) {
  auto gpu = gpu_of(work.common);
  if (!gpu)
    return report(gpu.error());
  auto arguments = parse_workload_words(work.words);
  if (!arguments)
    return report(arguments.error());
  arguments->unchecked = work.unchecked;
  Workbench bench(work.common.workbench);
  auto task = emulated_task(bench, *arguments, *gpu);
  if (!task)
    return report(task.error());
  install_interrupt_handler();
  tuner::EmulatedHooks hooks;
  hooks.interrupted = [] { return interrupted(); };
  hooks.started = [&](const tuner::EmulatedResult& so_far) {
    if (work.common.json)
      return;
    fmt::print("{} for {}: {}no GPU is used and nothing is timed; programs are proposed, lowered, "
               "held against the GPU's limits, compiled, pruned by their machine code, {}.\n{}\n",
               task->title(), gpu->to_string(), work.why,
               so_far.only_on_gpu.empty() ? "checked on the CPU, and kept"
                                          : "and kept; none is checked: " + so_far.only_on_gpu,
               so_far.space);
    if (!so_far.why_no_compiler.empty())
      fmt::print("{}\n", so_far.why_no_compiler);
  };
  tuner::EmulatedRunOptions options;
  options.trials = work.trials == 0 ? kEmulatedTrials : work.trials;
  options.seconds = work.seconds;
  options.interpret = work.interpret;
  options.compile = work.compile;
  options.check = work.check;
  options.seed = work.seed;
  options.command_line = work.command_line;
  const auto ran = tuner::run_emulated(bench, *task, *gpu, options, hooks);
  if (!ran)
    return report(ran.error());
  const tuner::EmulatedResult& result = *ran;
  const auto store = bench.store();
  if (!store)
    return report(store.error());
  if (work.common.json) {
    const auto listed = [](const std::vector<tuner::EmulatedSound>& programs) {
      Json list = Json::array();
      for (const tuner::EmulatedSound& one : programs) {
        Json item{{"record", one.record},
                  {"choice", one.choice},
                  {"blocks", one.needs.blocks},
                  {"threads", one.needs.threads},
                  {"sampled_blocks", one.sampled_blocks},
                  {"shared_bytes", one.needs.shared_bytes}};
        if (one.code != nullptr) {
          item["facts"] = codegen::facts_to_json(one.code->facts);
          item["bound_ns"] = one.bound.ns();
        }
        list.push_back(std::move(item));
      }
      return list;
    };
    Json refused = Json::array();
    for (const auto& entry : result.refused.entries)
      refused.push_back({{"stage", entry.stage},
                         {"reason", entry.reason},
                         {"count", entry.count},
                         {"first", entry.first}});
    print_json("tune",
               Json{{"run", result.run},
                    {"workload", task->workload},
                    {"binding", binding_object(task->binding_json)},
                    {"target", gpu->to_string()},
                    {"device", "emulated"},
                    {"choices", result.choices},
                    {"space", result.space},
                    {"drawn", result.drawn},
                    {"lowered", result.lowered},
                    {"alike", result.alike},
                    {"compiled", result.compiled},
                    {"compiler", result.compiler.empty() ? Json(nullptr) : Json(result.compiler)},
                    {"checked", result.checked},
                    {"not_checked", result.not_checked},
                    {"right", result.right},
                    {"interpreted", result.interpreted},
                    {"unchecked", !task->reference},
                    {"sound", listed(result.sound)},
                    {"unproven", listed(result.unproven)},
                    {"refused", std::move(refused)},
                    {"stopped_because", result.stopped_because}});
  } else {
    const auto listed = [&](const char* verdict, const std::vector<tuner::EmulatedSound>& list) {
      for (const tuner::EmulatedSound& one : list)
        fmt::print(
            "{}  {}  {}: {} of {}, {} of shared memory{}{}\n", verdict,
            short_id(**store, one.record), one.choice.empty() ? "-" : one.choice,
            format_count(one.needs.blocks, "block"), format_count(one.needs.threads, "thread"),
            // Once compiled, with what the text itself declares.
            bytes_text(one.code == nullptr ? one.needs.shared_bytes : one.code->facts.shared_bytes),
            one.sampled_blocks == 0
                ? std::string()
                : fmt::format(", {} of its blocks were checked", one.sampled_blocks),
            one.code == nullptr
                ? std::string()
                : fmt::format(", {}{}", tuner::gpu_code_text(one.code->facts, *gpu),
                              one.bound.ns() < 1 // of a shape so small it says nothing
                                  ? std::string()
                                  : fmt::format(", {} at the least", format_time(one.bound.ns()))));
    };
    listed("right", result.sound);
    listed("compiled, not checked", result.unproven);
    fmt::print("{} > lowered within the limits {}{}{}{}{}{}\n",
               format_count(result.drawn, "choice"), result.lowered,
               result.compiler.empty() ? "" : fmt::format(" > compiled {}", result.compiled),
               result.only_on_gpu.empty()
                   ? fmt::format(" > checked {} > right {}", result.checked, result.right)
                   : "",
               result.interpreted > 0 ? fmt::format(", {} of them warp by warp", result.interpreted)
                                      : "",
               result.not_checked > 0 ? fmt::format(", not checked {}", result.not_checked) : "",
               result.alike > 0 ? fmt::format(" ({} like another one)", result.alike) : "");
    if (result.interpreted < result.right)
      fmt::print("races between threads were not looked for in {} of them: {}\n",
                 result.right - result.interpreted,
                 result.not_interpreted.empty() ? "--interpret N does" : result.not_interpreted);
    Table table({{"refused", true}, {"by"}, {"first reason", false, true}});
    for (const auto& entry : result.refused.entries)
      table.add({std::to_string(entry.count), entry.reason.empty() ? entry.stage : entry.reason,
                 entry.first});
    if (!result.refused.entries.empty())
      table.print();
    fmt::print("run {}, stopped: {}\n", short_id(**store, result.run), result.stopped_because);
    for (const auto* list : {&result.sound, &result.unproven})
      if (!list->empty()) {
        fmt::print("see one with: temper show {} --cuda{}\n",
                   short_id(**store, list->front().record), given_database());
        break;
      }
  }
  if (result.interrupted)
    return kInterrupted;
  if (result.right > 0 && result.right == result.checked)
    return kDone;
  if (!result.only_on_gpu.empty() && !result.unproven.empty())
    return kDone; // what can be done here
  if (!work.common.json)
    std::fflush(stdout);
  std::fprintf(stderr, "temper: %s\n",
               !result.only_on_gpu.empty() ? "no choice of the knobs is left; the reasons are above"
               : result.checked == 0 && result.not_checked > 0
                   ? "no program could be checked; the reasons are above"
               : result.right == 0 ? "no program is right on this GPU; the reasons are above"
                                   : "some programs compute something wrong; see above");
  return kFailedWork;
}

} // namespace temper::cli
