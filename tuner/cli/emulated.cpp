#include "tuner/cli/emulated.h"

#include "ir/script/knobs.h"
#include "ir/structural.h"
#include "ir/support/random.h"
#include "ir/support/text.h"
#include "tuner/cli/output.h"
#include "tuner/emulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>

namespace temper::cli {
namespace {

using tuner::EmulatedCheck;
using tuner::EmulatedProgram;
using tuner::Task;
using tuner::Workbench;

/// The GPU that --target names; the workbench itself is for this machine from here on.
Result<ir::Target> gpu_of(CommonOptions& options) {
  TEMPER_TRY(target, ir::parse_target(options.workbench.target));
  if (target.is_cpu())
    return Error(ErrorCode::kInvalidArgument,
                 "--device emulated runs programs for a GPU: name one, as --target cuda:sm_90a");
  TEMPER_TRY_VOID(codegen::gpu_limits(target));
  options.workbench.target = "native";
  return target;
}

std::string verdict(const EmulatedCheck& check, bool has_reference) {
  if (check.right())
    return has_reference ? "right" : "runs (unchecked: it has no reference)";
  std::string text = engine::to_string(check.outcome);
  if (check.worst)
    text += fmt::format(": {}[{}] is {:.9g}, expected {:.9g} within {:.3g}; {} wrong",
                        check.worst->argument, check.worst->index, check.worst->got,
                        check.worst->expected, check.worst->tolerance, check.worst->wrong_count);
  else if (!check.error.empty())
    text += ": " + check.error;
  return text;
}

/// The sentence without its place and numbers: failures of one kind.
std::string kind_of(const std::string& message) {
  std::string text = message;
  if (text.starts_with("line ")) // "line 3, column 5: " or "line 3: "
    if (const size_t colon = text.find(": "); colon != std::string::npos)
      text = text.substr(colon + 2);
  std::string kind;
  for (const char c : text) {
    if (c < '0' || c > '9')
      kind += c;
    else if (kind.empty() || kind.back() != '#')
      kind += '#';
  }
  return kind;
}

/// Why programs were refused, in order of first appearance.
class Refusals {
public:
  void add(const std::string& stage, const std::string& message) {
    const std::string key = stage + kind_of(message);
    for (Entry& entry : entries_)
      if (entry.key == key) {
        ++entry.count;
        return;
      }
    entries_.push_back({key, stage, message, 1});
  }
  int64_t total() const {
    int64_t sum = 0;
    for (const Entry& entry : entries_)
      sum += entry.count;
    return sum;
  }
  Json json() const {
    Json list = Json::array();
    for (const Entry& entry : entries_)
      list.push_back({{"stage", entry.stage}, {"count", entry.count}, {"first", entry.first}});
    return list;
  }
  void print() const {
    Table table({{"refused", true}, {"by"}, {"first reason", false, true}});
    for (const Entry& entry : entries_)
      table.add({std::to_string(entry.count), entry.stage, entry.first});
    if (!entries_.empty())
      table.print();
  }

private:
  struct Entry {
    std::string key;
    std::string stage;
    std::string first;
    int64_t count;
  };
  std::vector<Entry> entries_;
};

std::string bytes_text(int64_t bytes) {
  return bytes >= 1024 ? fmt::format("{:.4g} KiB", static_cast<double>(bytes) / 1024)
                       : fmt::format("{} bytes", bytes);
}

} // namespace

void add_device_option(CLI::App& command, std::string& device) {
  command
      .add_option("--device", device,
                  "emulated: run a program for a GPU (--target cuda:sm_90a) on the CPU")
      ->check([](const std::string& word) {
        return word == "emulated" ? std::string()
                                  : "there is no device '" + word +
                                        "'; emulated is there, or leave --device out for this "
                                        "machine's CPU";
      });
}

int check_emulated(EmulatedWork work) {
  auto gpu = gpu_of(work.common);
  if (!gpu)
    return report(gpu.error());
  auto arguments = parse_workload_words(work.words);
  if (!arguments)
    return report(arguments.error());
  arguments->unchecked = work.unchecked;
  Workbench bench(work.common.workbench);
  std::vector<tuner::WorkloadArguments> shapes{*arguments};
  if (arguments->parameters.empty()) {
    auto all = bench.shapes(arguments->name);
    if (!all)
      return report(all.error());
    for (tuner::WorkloadArguments& shape : *all)
      shape.unchecked = work.unchecked;
    shapes = std::move(*all);
    if (work.quick)
      shapes.resize(1);
  }
  install_interrupt_handler();
  bool wrong = false;
  Json results = Json::array();
  for (const tuner::WorkloadArguments& shape : shapes) {
    auto task = bench.task(shape);
    if (!task)
      return report(task.error());
    auto program = tuner::emulated_program(task->module, *gpu);
    if (!program)
      return report(program.error());
    auto prepared = bench.prepare(*task, 1);
    if (!prepared)
      return report(prepared.error());
    auto check = tuner::check_emulated(bench, *prepared, *task, *program, true);
    if (auto measurer = bench.measurer())
      (*measurer)->remove_workload(*prepared);
    if (!check)
      return report(check.error());
    wrong |= !check->right();
    Result<tuner::GpuCode> code = Error(ErrorCode::kUnsupported, "");
    if (const auto nvrtc = codegen::Nvrtc::load())
      code = tuner::compile_for_gpu(**nvrtc, *program, *gpu);
    else
      code = nvrtc.error();
    if (work.common.json) {
      Json item{{"workload", task->workload},
                {"binding", binding_object(task->binding_json)},
                {"target", gpu->to_string()},
                {"device", "emulated"},
                {"outcome", engine::to_string(check->outcome)},
                {"checked", static_cast<bool>(task->reference)},
                {"compiled", check->compiled},
                {"races_looked_for", check->interpreted},
                {"blocks", program->needs.blocks},
                {"threads", program->needs.threads},
                {"shared_bytes", program->needs.shared_bytes},
                {"bank_conflicts", check->conflicts}};
      if (code)
        item["registers"] = code->registers;
      else
        item["not_compiled_for_gpu"] = code.error().message;
      if (!check->right())
        item["error"] = verdict(*check, true);
      if (!check->interpreted)
        item["races_not_looked_for"] = check->not_interpreted;
      results.push_back(std::move(item));
      continue;
    }
    fmt::print("{} on {}, emulated: {}\n", task->title(), gpu->to_string(),
               verdict(*check, static_cast<bool>(task->reference)));
    fmt::print("  {} of {}, {} of shared memory\n", format_count(program->needs.blocks, "block"),
               format_count(program->needs.threads, "thread"),
               bytes_text(program->needs.shared_bytes));
    fmt::print("  {}\n", code ? code->to_string() : code.error().message);
    if (!check->compiled && !program->why_interpreted.empty())
      fmt::print("  not compiled: {}\n", program->why_interpreted);
    if (!check->right())
      continue;
    if (check->interpreted)
      fmt::print("  no races, no reads of what was not written, no divergent barriers\n");
    else
      fmt::print("  races were not looked for: {}\n", check->not_interpreted);
    for (const std::string& conflict : check->conflicts)
      fmt::print("  {}\n", conflict);
  }
  if (work.common.json)
    print_json("check", Json{{"ok", !wrong}, {"results", std::move(results)}});
  return wrong ? kAnswerIsNo : kDone;
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
  auto task = bench.task(*arguments);
  if (!task)
    return report(task.error());
  std::optional<script::KnobProgram> knobs;
  if (script::has_knobs(task->module)) {
    auto known = script::KnobProgram::of(task->module);
    if (!known)
      return report(known.error());
    knobs = std::move(*known);
  }
  const int64_t size = knobs ? knobs->size() : 1;
  const int64_t trials = work.trials > 0 ? work.trials : kEmulatedTrials;
  if (!work.common.json)
    fmt::print("{} for {}: no GPU is used and nothing is timed. Each choice of the knobs is "
               "lowered, held against the GPU's limits, and checked on the CPU.\n",
               task->title(), gpu->to_string());
  auto prepared = bench.prepare(*task, work.seed);
  if (!prepared)
    return report(prepared.error());
  install_interrupt_handler();

  Random random(work.seed);
  Refusals refusals;
  std::set<std::vector<size_t>> seen;
  std::set<uint64_t> programs;
  const auto nvrtc = codegen::Nvrtc::load();
  if (!nvrtc && !work.common.json)
    fmt::print("{}\n", nvrtc.error().message);
  int64_t lowered = 0, alike = 0, compiled = 0, checked = 0, right = 0;
  std::vector<std::string> sound; ///< choices that are right
  const auto start = std::chrono::steady_clock::now();
  std::string stopped = "every choice was seen";
  // Few choices in order, many at random; enough tries that a small rest is found.
  const bool all = size <= 4 * trials;
  for (int64_t next = 0; all ? next < size : next < 50 * trials; ++next) {
    if (checked >= trials) {
      stopped =
          fmt::format("{} were checked; --trials N checks more", format_count(checked, "program"));
      break;
    }
    if (work.seconds > 0 &&
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() >
            work.seconds) {
      stopped = "time is up";
      break;
    }
    if (interrupted()) {
      stopped = "interrupted";
      break;
    }
    std::vector<size_t> choice;
    std::string text;
    ir::IRModule module = task->module;
    if (knobs) {
      int64_t rest = next;
      for (const script::Knob& knob : knobs->knobs()) {
        const auto count = static_cast<int64_t>(knob.choices.size());
        choice.push_back(static_cast<size_t>(all ? rest % count : random.below(count)));
        rest /= count;
        text += (text.empty() ? "" : " ") + knob.name + "=" +
                script::to_string(knob.choices[choice.back()]);
      }
      if (!seen.insert(choice).second)
        continue;
      auto made = knobs->instantiate(choice);
      if (!made) {
        refusals.add(made.error().code == ErrorCode::kIllegal ? "constraint" : "program",
                     made.error().message);
        continue;
      }
      module = *made;
    }
    auto program = tuner::emulated_program(module, *gpu);
    if (!program) {
      refusals.add("lowering", program.error().message);
      continue;
    }
    ++lowered;
    if (!programs.insert(ir::structural_hash(program->flat)).second) {
      ++alike;
      continue;
    }
    std::string facts;
    if (nvrtc) {
      auto code = tuner::compile_for_gpu(**nvrtc, *program, *gpu);
      if (!code) {
        refusals.add("compiling", code.error().message);
        continue;
      }
      ++compiled;
      facts = ", " + code->to_string();
    }
    ++checked;
    auto check = tuner::check_emulated(bench, *prepared, *task, *program, !program->loops);
    if (!check)
      return report(check.error());
    if (!check->right()) {
      refusals.add("check", (text.empty() ? "" : text + ": ") + verdict(*check, true));
      continue;
    }
    ++right;
    sound.push_back(fmt::format("{}: {} of {}, {} of shared memory{}", text.empty() ? "-" : text,
                                format_count(program->needs.blocks, "block"),
                                format_count(program->needs.threads, "thread"),
                                bytes_text(program->needs.shared_bytes), facts));
  }
  if (auto measurer = bench.measurer())
    (*measurer)->remove_workload(*prepared);
  if (work.common.json) {
    print_json("tune", Json{{"workload", task->workload},
                            {"binding", binding_object(task->binding_json)},
                            {"target", gpu->to_string()},
                            {"device", "emulated"},
                            {"choices", size},
                            {"lowered", lowered},
                            {"alike", alike},
                            {"compiled", compiled},
                            {"nvrtc", nvrtc ? Json((*nvrtc)->version()) : Json(nullptr)},
                            {"checked", checked},
                            {"right", right},
                            {"unchecked", !task->reference},
                            {"sound", sound},
                            {"refused", refusals.json()},
                            {"stopped_because", stopped}});
  } else {
    for (const std::string& line : sound)
      fmt::print("right  {}\n", line);
    fmt::print("{} > lowered within the limits {}{} > checked {} > right {}{}\n",
               format_count(size, "choice"), lowered,
               nvrtc ? fmt::format(" > compiled {}", compiled) : "", checked, right,
               alike > 0 ? fmt::format(" ({} like another one)", alike) : "");
    refusals.print();
    fmt::print("stopped: {}\n", stopped);
  }
  if (stopped == "interrupted")
    return kInterrupted;
  if (right > 0 && right == checked)
    return kDone;
  if (!work.common.json)
    std::fflush(stdout);
  std::fprintf(stderr, "temper: %s\n",
               right == 0 ? "no choice of the knobs is right on this GPU; the reasons are above"
                          : "some programs compute something wrong; see above");
  return kFailedWork;
}

} // namespace temper::cli
