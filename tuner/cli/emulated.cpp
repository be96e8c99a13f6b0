#include "tuner/cli/emulated.h"

#include "ir/script/diagnostic.h"
#include "ir/script/knobs.h"
#include "ir/structural.h"
#include "ir/support/random.h"
#include "ir/support/text.h"
#include "tuner/cli/output.h"
#include "tuner/emulation.h"
#include "tuner/space/knob_space.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <set>
#include <sstream>

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

/// An error of lowering, with the file and a caret below the line that it names.
Error in_source(const Error& error, const Task& task) {
  std::ifstream file(task.source_path);
  std::ostringstream text;
  text << file.rdbuf();
  return file ? script::located(error, task.source_path, text.str()) : error;
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

namespace {

/// A GPU's programs are for one extent of each symbolic dimension.
Result<Task> emulated_task(Workbench& bench, const tuner::WorkloadArguments& arguments) {
  TEMPER_TRY(task, bench.task(arguments));
  return tuner::bound_task(std::move(task));
}

} // namespace

int check_emulated(EmulatedWork work) {
  auto gpu = gpu_of(work.common);
  if (!gpu)
    return report(gpu.error());
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
  Json results = Json::array();
  for (const tuner::WorkloadArguments& shape : *shapes) {
    auto task = emulated_task(bench, shape);
    if (!task)
      return report(task.error());
    auto program = tuner::emulated_program(task->module, *gpu);
    if (!program)
      return report(in_source(program.error(), *task));
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

/// The choices to look at, each once: few in order, with what operators leave open at its default;
/// then at random.
class Proposals {
public:
  static Result<Proposals> of(const ir::IRModule& module, const ir::Target& gpu,
                              const EmulatedWork& work) {
    TEMPER_TRY(limits, codegen::gpu_limits(gpu));
    Proposals result;
    result.random_ = Random(work.seed);
    result.tries_ = 50 * work.trials;
    if (script::has_knobs(module)) {
      TEMPER_TRY(knobs, script::KnobProgram::of(module));
      result.knobs_ = knobs.knobs();
      result.size_ = knobs.size();
      result.in_order_ = result.size_ <= 4 * work.trials ? result.size_ : 0;
    }
    auto space = tuner::make_gpu_knob_space(module, limits.architecture);
    if (space) {
      result.space_ = std::move(*space);
    } else {
      if (!result.knobs_.empty())
        return space.error();
      // Nothing is open: the program itself.
      auto only = std::make_shared<tuner::Candidate>();
      only->module = module;
      result.only_ = std::move(only);
    }
    return result;
  }

  /// Combinations of the program's knobs.
  int64_t size() const { return size_; }
  std::string space_text() const { return space_ ? space_->describe() : "nothing is open"; }

  /// Nothing: every choice was seen, as far as `trials` allows to look for them.
  std::optional<Result<tuner::CandidateRef>> next() {
    if (!space_) {
      if (!only_)
        return std::nullopt;
      return Result<tuner::CandidateRef>(std::exchange(only_, nullptr));
    }
    if (number_ < in_order_) {
      std::vector<size_t> choice;
      int64_t rest = number_++;
      for (const script::Knob& knob : knobs_) {
        const auto count = static_cast<int64_t>(knob.choices.size());
        choice.push_back(static_cast<size_t>(rest % count));
        rest /= count;
      }
      return fresh(space_->apply(tuner::knob_trace(knobs_, choice), "knobs"));
    }
    for (; tries_ > 0; --tries_) {
      auto candidate = space_->sample(random_);
      // What was refused in order already is refused again and again.
      if (!candidate && in_order_ > 0)
        continue;
      if (candidate && !seen_.insert((*candidate)->program_hash).second)
        continue;
      --tries_;
      return candidate;
    }
    return std::nullopt;
  }

private:
  Result<tuner::CandidateRef> fresh(Result<tuner::CandidateRef> candidate) {
    if (candidate)
      seen_.insert((*candidate)->program_hash);
    return candidate;
  }

  std::unique_ptr<tuner::Space> space_;
  tuner::CandidateRef only_;
  std::vector<script::Knob> knobs_;
  int64_t size_ = 1;
  int64_t in_order_ = 0;
  int64_t number_ = 0;
  int64_t tries_ = 0;
  Random random_{1};
  std::set<uint64_t> seen_;
};

int tune_emulated(EmulatedWork work) {
  if (work.trials == 0)
    work.trials = kEmulatedTrials;
  auto gpu = gpu_of(work.common);
  if (!gpu)
    return report(gpu.error());
  auto arguments = parse_workload_words(work.words);
  if (!arguments)
    return report(arguments.error());
  arguments->unchecked = work.unchecked;
  Workbench bench(work.common.workbench);
  auto task = emulated_task(bench, *arguments);
  if (!task)
    return report(task.error());
  auto proposals = Proposals::of(task->module, *gpu, work);
  if (!proposals)
    return report(proposals.error());
  if (!work.common.json)
    fmt::print("{} for {}: no GPU is used and nothing is timed. Each choice of the knobs is "
               "lowered, held against the GPU's limits, and checked on the CPU.\n{}\n",
               task->title(), gpu->to_string(), proposals->space_text());
  auto prepared = bench.prepare(*task, work.seed);
  if (!prepared)
    return report(prepared.error());
  install_interrupt_handler();

  Refusals refusals;
  std::set<uint64_t> programs;
  const Result<const codegen::Nvrtc*> nvrtc =
      work.compile ? codegen::Nvrtc::load()
                   : Result<const codegen::Nvrtc*>(
                         Error(ErrorCode::kEnvironment, "not compiled for the GPU"));
  if (!nvrtc && !work.common.json)
    fmt::print("{}\n", nvrtc.error().message);
  int64_t drawn = 0, lowered = 0, alike = 0, compiled = 0, checked = 0, right = 0, interpreted = 0;
  std::vector<std::string> sound; ///< choices that are right
  const auto start = std::chrono::steady_clock::now();
  std::string stopped = "every choice was seen";
  while (auto candidate = proposals->next()) {
    if (checked >= work.trials) {
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
    ++drawn;
    if (!*candidate) {
      const Error& why = candidate->error();
      constexpr std::string_view kConstraint = "constraint: ";
      if (why.message.starts_with(kConstraint))
        refusals.add("constraint", why.message.substr(kConstraint.size()));
      else
        refusals.add(why.code == ErrorCode::kIllegal ? "lowering" : "program", why.message);
      continue;
    }
    const std::string text = tuner::knob_text((**candidate)->trace);
    auto program = tuner::emulated_program((**candidate)->module, *gpu);
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
    const bool look_for_races = interpreted < work.interpret;
    auto check =
        tuner::check_emulated(bench, *prepared, *task, *program, look_for_races || !program->loops);
    if (!check)
      return report(check.error());
    interpreted += check->interpreted ? 1 : 0;
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
                            {"choices", proposals->size()},
                            {"space", proposals->space_text()},
                            {"drawn", drawn},
                            {"lowered", lowered},
                            {"alike", alike},
                            {"compiled", compiled},
                            {"nvrtc", nvrtc ? Json((*nvrtc)->version()) : Json(nullptr)},
                            {"checked", checked},
                            {"right", right},
                            {"interpreted", interpreted},
                            {"unchecked", !task->reference},
                            {"sound", sound},
                            {"refused", refusals.json()},
                            {"stopped_because", stopped}});
  } else {
    for (const std::string& line : sound)
      fmt::print("right  {}\n", line);
    fmt::print("{} > lowered within the limits {}{} > checked {} > right {}{}{}\n",
               format_count(drawn, "choice"), lowered,
               nvrtc ? fmt::format(" > compiled {}", compiled) : "", checked, right,
               interpreted > 0 ? fmt::format(", {} of them warp by warp", interpreted) : "",
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
