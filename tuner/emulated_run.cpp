#include "tuner/emulated_run.h"

#include "codegen/artifact_json.h"
#include "codegen/gpu/backends.h"
#include "engine/compile_pool.h"
#include "ir/s_tir/trace_json.h"
#include "ir/script/knobs.h"
#include "ir/structural.h"
#include "ir/support/hash.h"
#include "ir/support/json.h"
#include "ir/support/quantities.h"
#include "ir/support/random.h"
#include "ir/tir/source_kernel.h"
#include "tuner/compile_protocol.h"
#include "tuner/gpu_space.h"
#include "tuner/record_mapping.h"
#include "tuner/space/knob_space.h"
#include "tuner/templates.h"
#include "tuner/tuning_run.h"
#include "tuner/version.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <unordered_set>
#include <utility>

namespace temper::tuner {
namespace {

using engine::Outcome;
using ArtifactRef = std::shared_ptr<const codegen::Artifact>;

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

/// The choices to look at, each once: few in order, with what operators leave open at its default;
/// then at random.
class Proposals {
public:
  static Result<Proposals> of(const Task& task, const codegen::GpuLimits& limits,
                              const EmulatedRunOptions& options) {
    const ir::IRModule& module = task.module;
    Proposals result;
    result.random_ = Random(options.seed);
    result.tries_ = 50 * options.trials;
    if (script::has_knobs(module)) {
      TEMPER_TRY(knobs, script::KnobProgram::of(module));
      result.knobs_ = knobs.knobs();
      result.size_ = knobs.size();
      result.in_order_ = result.size_ <= 4 * options.trials ? result.size_ : 0;
    }
    TEMPER_TRY(templates, templates_of(task));
    TEMPER_TRY(rule_files, rule_files_of(task));
    auto space = make_gpu_space(module, limits, std::move(templates), std::move(rule_files));
    if (space) {
      result.space_ = std::move(*space);
    } else {
      if (!result.knobs_.empty() || codegen::is_s_tir(module))
        return space.error();
      // Nothing is open: the program itself.
      auto only = std::make_shared<Candidate>();
      only->module = module;
      only->program_hash = ir::structural_hash(module);
      only->origin = "untuned";
      result.only_ = std::move(only);
    }
    return result;
  }

  /// Combinations of the program's knobs.
  int64_t size() const { return size_; }
  std::string space_text() const { return space_ ? space_->describe() : "nothing is open"; }

  /// Nothing: every choice was seen, as far as `trials` allows to look for them.
  std::optional<Result<CandidateRef>> next() {
    if (!space_) {
      if (!only_)
        return std::nullopt;
      return Result<CandidateRef>(std::exchange(only_, nullptr));
    }
    if (number_ < in_order_) {
      std::vector<size_t> choice;
      int64_t rest = number_++;
      for (const script::Knob& knob : knobs_) {
        const auto count = static_cast<int64_t>(knob.choices.size());
        choice.push_back(static_cast<size_t>(rest % count));
        rest /= count;
      }
      return fresh(space_->apply(knob_trace(knobs_, choice), "knobs"));
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
  Result<CandidateRef> fresh(Result<CandidateRef> candidate) {
    if (candidate)
      seen_.insert((*candidate)->program_hash);
    return candidate;
  }

  std::unique_ptr<Space> space_;
  CandidateRef only_;
  std::vector<script::Knob> knobs_;
  int64_t size_ = 1;
  int64_t in_order_ = 0;
  int64_t number_ = 0;
  int64_t tries_ = 0;
  Random random_{1};
  std::set<uint64_t> seen_;
};

/// What was chosen: "block_M=64 gemm.variant=mma_sync", or a sketch's decisions in their order,
/// "4x1x16x2x1 8x2x8x1x1 16x2x2 4 1 512".
std::string choice_text(const s_tir::Trace& trace) {
  std::string text = knob_text(trace);
  if (!text.empty())
    return text;
  for (const s_tir::DecisionPoint& point : s_tir::decision_points(trace)) {
    const s_tir::Value& decision = trace[point.instruction].decision;
    const int64_t* chosen = decision.as_int();
    text += text.empty() ? "" : " ";
    if (const s_tir::Value::List* factors = decision.as_list())
      for (size_t i = 0; i < factors->size(); ++i)
        text += (i == 0 ? "" : "x") + std::to_string(*(*factors)[i].as_int());
    else if (chosen != nullptr && point.kind == s_tir::DecisionPoint::Kind::kCategorical &&
             *chosen >= 0 && *chosen < static_cast<int64_t>(point.candidates.size()))
      text += std::to_string(point.candidates[static_cast<size_t>(*chosen)]);
    else if (chosen != nullptr)
      text += "@" + std::to_string(*chosen);
  }
  return text;
}

constexpr const char* kOnlyCompiled = "they are only compiled (--no-check)";

/// A candidate on its way.
struct Item {
  CandidateRef candidate;
  EmulatedProgram program;
  Result<ArtifactRef> code = ArtifactRef();  ///< for the GPU; null: not asked for
  Result<ArtifactRef> loops = ArtifactRef(); ///< for the CPU; null: it must be interpreted
  double compile_ms = 0;
  GpuBound bound;
};

class EmulatedRun {
public:
  EmulatedRun(Workbench& bench, const Task& task, const ir::Target& gpu,
              const EmulatedRunOptions& options, const EmulatedHooks& hooks)
      : bench_(bench), task_(task), gpu_(gpu), options_(options), hooks_(hooks) {}

  Result<EmulatedResult> run() {
    TEMPER_TRY(limits, codegen::gpu_limits(gpu_));
    limits_ = limits;
    TEMPER_TRY(proposals, Proposals::of(task_, limits, options_));
    result_.choices = proposals.size();
    result_.space = proposals.space_text();
    if (!options_.compile)
      result_.why_no_compiler = "not compiled for the GPU";
    else if (auto version = codegen::gpu_compiler_version(gpu_))
      result_.compiler = *version;
    else
      result_.why_no_compiler = version.error().message;
    result_.only_on_gpu =
        tir::only_on_gpu(task_.module->functions.front().function.as_ref<ir::PrimFuncNode>()->body);
    if (result_.only_on_gpu.empty() && !options_.check)
      result_.only_on_gpu = kOnlyCompiled;
    const bool checks = result_.only_on_gpu.empty();
    if (checks)
      TEMPER_TRY_VOID(refuse_faulty(task_));
    if (!checks && result_.compiler.empty())
      return Error(ErrorCode::kEnvironment,
                   result_.only_on_gpu +
                       ", and here it cannot be compiled either: " + result_.why_no_compiler);
    if (hooks_.started)
      hooks_.started(result_);
    if (checks) {
      TEMPER_TRY(prepared, bench_.prepare(task_, options_.seed));
      prepared_ = prepared;
    }
    Result<void> worked = work(proposals);
    if (auto measurer = bench_.measurer(); checks && measurer)
      (*measurer)->remove_workload(prepared_);
    if (claim_.run.empty()) { // nothing was begun
      if (!worked)
        return worked.error();
      return std::move(result_);
    }
    // Whoever resumes a run measures it; this one is over, whatever ended it.
    auto released = store_->release_run(
        claim_, worked ? database::RunState::kFinished : database::RunState::kFailed,
        worked ? result_.stopped_because : worked.error().message);
    if (!worked)
      return worked.error();
    TEMPER_TRY_VOID(released);
    for (auto* list : {&result_.sound, &result_.unproven})
      std::stable_sort(list->begin(), list->end(),
                       [](const EmulatedSound& a, const EmulatedSound& b) {
                         return a.bound.ns() < b.bound.ns();
                       });
    return std::move(result_);
  }

private:
  Result<void> work(Proposals& proposals) {
    TEMPER_TRY(store, bench_.store());
    store_ = store;
    TEMPER_TRY(pool, bench_.compilers());
    pool_ = pool;
    TEMPER_TRY_VOID(begin());
    result_.stopped_because = "every choice was seen";
    bool more = true;
    while (more) {
      std::vector<Item> batch;
      while (batch.size() < kBatch &&
             tried() + static_cast<int64_t>(batch.size()) < options_.trials) {
        if (stopped())
          break;
        auto candidate = proposals.next();
        if (!candidate) {
          more = false;
          break;
        }
        TEMPER_TRY_VOID(consider(*candidate, batch));
      }
      if (stopped() && batch.empty())
        break;
      TEMPER_TRY_VOID(compile(batch));
      for (Item& item : batch) {
        if (interrupted() || (tried() > 0 && stopped())) // one is checked, however short the time
          break;
        TEMPER_TRY_VOID(check(item));
      }
      if (tried() >= options_.trials) {
        const bool checks = result_.only_on_gpu.empty();
        result_.stopped_because =
            fmt::format("{} {}{}; --trials N {} more",
                        format_count(tried() - (checks ? result_.not_checked : 0), "program"),
                        checks ? "checked" : "compiled",
                        checks && result_.not_checked > 0
                            ? fmt::format(", {} could not be", result_.not_checked)
                            : "",
                        checks ? "checks" : "compiles");
        break;
      }
    }
    stopped();
    return store_->update_run(claim_, progress());
  }

  /// Towards the trials: what cannot be checked was compiled all the same.
  int64_t tried() const { return result_.checked + result_.not_checked; }

  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  /// Of one program: as long as the whole run may take, where that is said.
  double limit_seconds() const {
    return options_.seconds > 0 ? std::max(options_.seconds, kLeastLimit) : kMostLimit;
  }
  bool interrupted() {
    result_.interrupted = result_.interrupted || (hooks_.interrupted && hooks_.interrupted());
    return result_.interrupted;
  }
  bool stopped() {
    if (interrupted())
      result_.stopped_because = "interrupted";
    else if (options_.seconds > 0 && seconds() > options_.seconds)
      result_.stopped_because = "time is up";
    else
      return false;
    return true;
  }

  /// The run's row. Nothing that runs on a GPU is compared with it: its environment is a class of
  /// its own.
  Result<void> begin() {
    database::Run run;
    TEMPER_TRY(workload, store_->add(workload_row(task_)));
    run.workload = workload;
    run.target = gpu_.to_string();
    database::Environment environment;
    environment.class_name = "emulated:" + run.target;
    environment.fingerprint = hash_bytes(environment.class_name);
    TEMPER_TRY(here, bench_.environment());
    environment.host = here.host;
    environment.json = Json{
        {"stable", {{"device", "emulated"}, {"target", run.target}}},
        {"detail",
         Json::object()}}.dump();
    TEMPER_TRY(environment_id, store_->add(environment));
    run.environment = environment_id;
    TEMPER_TRY(toolchain, gpu_toolchain(gpu_));
    TEMPER_TRY(toolchain_id, store_->add(toolchain));
    run.toolchain = toolchain_id;
    run.strategy = "random";
    run.seed = options_.seed;
    run.budget_trials = options_.trials;
    run.budget_seconds = options_.seconds;
    run.command_line = options_.command_line;
    run.options_json = Json{{"device", "emulated"}, {"temper", version_text()}}.dump();
    TEMPER_TRY(id, store_->create_run(run));
    TEMPER_TRY(claim, store_->claim_run(id));
    claim_ = claim;
    result_.run = id;
    environment_ = environment_id;
    toolchain_ = toolchain_id;
    workload_ = workload;
    return {};
  }

  database::RunProgress progress() { return {0, tried(), seconds(), funnel_to_json(funnel_), {}}; }

  /// Lowers it, and adds it to the batch unless it is refused.
  Result<void> consider(const Result<CandidateRef>& candidate, std::vector<Item>& batch) {
    ++result_.drawn;
    ++funnel_.proposed.count;
    if (!candidate) {
      const Error& why = candidate.error();
      constexpr std::string_view kConstraint = "constraint: ";
      const bool constraint = why.message.starts_with(kConstraint);
      const std::string stage = constraint                        ? "constraint"
                                : why.code == ErrorCode::kIllegal ? "lowering"
                                                                  : "program";
      const std::string message = constraint ? why.message.substr(kConstraint.size()) : why.message;
      result_.refused.add(stage, "", message);
      funnel_.refuse(funnel_.legal, stage, message);
      return {};
    }
    Item item;
    item.candidate = *candidate;
    auto program = emulated_program(item.candidate->module, gpu_);
    if (!program)
      return refuse(item, "lowering", {"", program.error().message, Outcome::kRejected},
                    funnel_.legal);
    item.program = std::move(*program);
    if (!options_.check && item.program.only_on_gpu.empty())
      item.program.only_on_gpu = item.program.why_interpreted = kOnlyCompiled;
    if (auto refused = refused_needs(function_of(item), limits_))
      return refuse(item, "limits", *refused, funnel_.legal);
    ++result_.lowered;
    ++funnel_.legal.count;
    if (!programs_.insert(ir::structural_hash(item.program.flat)).second) {
      ++result_.alike;
      funnel_.refuse(funnel_.compiled, "same_program", {});
      return {};
    }
    batch.push_back(std::move(item));
    return {};
  }

  static ir::PrimFunc function_of(const Item& item) {
    return item.program.flat->functions.front().function.as_ref<ir::PrimFuncNode>();
  }

  /// For the GPU; what stands the test of that, as loops for the CPU. All in the compile processes.
  Result<void> compile(std::vector<Item>& batch) {
    if (!result_.compiler.empty()) {
      TEMPER_TRY_VOID(compile(batch, &Item::code, [&](const Item& item) {
        return gpu_request(task_, trace_of(item), gpu_);
      }));
      std::vector<Item> rest;
      for (Item& item : batch) {
        if (!item.code) {
          TEMPER_TRY_VOID(refuse(item, "compiling",
                                 {"", item.code.error().message, Outcome::kCompileFailed},
                                 funnel_.compiled));
          continue;
        }
        if (*item.code == nullptr)
          continue; // interrupted
        ++result_.compiled;
        ++funnel_.compiled.count;
        const codegen::Artifact& code = **item.code;
        item.bound = gpu_bound(task_, code, limits_.architecture);
        auto refused = refused_code(code.facts, gpu_.arch);
        if (!refused)
          refused = refused_bound(item.bound, 0, least_bound_ ? &*least_bound_ : nullptr);
        if (refused) {
          TEMPER_TRY_VOID(refuse(item, "pruning", *refused, funnel_.ran));
        } else if (!codes_.insert(code.code_hash).second) {
          ++result_.alike;
          funnel_.refuse(funnel_.ran, "same_code", {});
        } else {
          rest.push_back(std::move(item));
        }
      }
      batch = std::move(rest);
    }
    return compile(batch, &Item::loops, [&](const Item& item) {
      return thread_loops_request(task_, trace_of(item), gpu_);
    });
  }

  static std::string trace_of(const Item& item) {
    return s_tir::trace_to_json_text(item.candidate->trace);
  }

  template <typename Request>
  Result<void> compile(std::vector<Item>& batch, Result<ArtifactRef> Item::*made,
                       const Request& request_for) {
    std::map<engine::Ticket, Item*> tickets;
    bool compiled = false; // one of them
    for (Item& item : batch)
      if (made != &Item::loops || item.program.why_interpreted.empty())
        tickets[pool_->submit(encode(request_for(item)))] = &item;
    while (!tickets.empty()) {
      for (engine::CompileFinished& done : pool_->poll(200)) {
        const auto ticket = tickets.find(done.ticket);
        if (ticket == tickets.end())
          continue;
        Item& item = *ticket->second;
        tickets.erase(ticket);
        compiled = true;
        item.compile_ms += done.compile_ms;
        if (done.outcome != Outcome::kOk) {
          item.*made = Error(ErrorCode::kFailed, done.error);
          continue;
        }
        TEMPER_TRY(artifact, codegen::deserialize_artifact(done.response));
        item.*made = std::make_shared<const codegen::Artifact>(std::move(artifact));
      }
      const bool leaves = interrupted();
      if (leaves || (stopped() && (tried() > 0 || compiled))) {
        // What is not compiled when time is up is left: some programs take seconds each.
        std::set<const Item*> left;
        for (const auto& [ticket, item] : tickets) {
          pool_->cancel(ticket);
          left.insert(item);
        }
        std::vector<Item> rest;
        for (Item& item : batch)
          if (!leaves && !left.contains(&item))
            rest.push_back(std::move(item));
        batch = std::move(rest);
        return {};
      }
      if (!tickets.empty() && pool_->pending() == 0)
        return Error(ErrorCode::kEnvironment, "the compile processes lost a request");
    }
    return {};
  }

  Result<void> check(Item& item) {
    const bool look_for_races = result_.interpreted < options_.interpret;
    TEMPER_TRY(check, check_emulated(bench_, prepared_, task_, item.program, item.loops,
                                     look_for_races || !item.program.why_interpreted.empty(),
                                     options_.seed, limit_seconds()));
    const std::string text = choice_text(item.candidate->trace);
    if (!check.checked()) {
      ++result_.not_checked;
      const std::string verdict = emulated_verdict(check, true);
      if (item.program.only_on_gpu.empty())
        result_.refused.add("not checked", "", (text.empty() ? "" : text + ": ") + check.error);
      funnel_.refuse(funnel_.ran, "not_checked", verdict);
      engine::Measurement unknown;
      unknown.outcome = check.outcome;
      unknown.stage = "check";
      unknown.error = check.error;
      TEMPER_TRY(id, record(item, unknown));
      if (item.code && *item.code != nullptr) {
        note_bound(item.bound);
        result_.unproven.push_back({.record = id,
                                    .choice = text,
                                    .needs = item.program.needs,
                                    .code = *item.code,
                                    .bound = item.bound});
      }
      return {};
    }
    ++result_.checked;
    result_.interpreted += check.interpreted ? 1 : 0;
    if (!check.right()) {
      if (check.outcome == Outcome::kWrongResult)
        ++funnel_.ran.count;
      const std::string verdict = emulated_verdict(check, true);
      result_.refused.add("check", "", (text.empty() ? "" : text + ": ") + verdict);
      FunnelStage& stage = check.outcome == Outcome::kWrongResult ? funnel_.correct : funnel_.ran;
      funnel_.refuse(stage, engine::to_string(check.outcome), verdict);
      engine::Measurement wrong;
      wrong.outcome = check.outcome;
      wrong.stage = "check";
      wrong.error = check.error;
      wrong.worst = check.worst;
      wrong.log = check.printed;
      TEMPER_TRY(id, record(item, wrong));
      (void)id;
      return {};
    }
    ++result_.right;
    ++funnel_.ran.count;
    ++funnel_.correct.count;
    engine::Measurement checked;
    checked.outcome = Outcome::kChecked;
    checked.log = check.printed;
    if (!check.interpreted)
      checked.error = "run as loops; races between threads were not looked for: " +
                      (look_for_races ? check.not_interpreted : "--interpret N does");
    else if (check.raced_blocks > 0)
      checked.error = fmt::format("run as loops; races were looked for in {} of its {} blocks",
                                  check.raced_blocks, item.program.needs.blocks);
    if (look_for_races && !check.interpreted && result_.not_interpreted.empty())
      result_.not_interpreted = check.not_interpreted;
    if (check.sampled_blocks > 0) {
      checked.counters["emulated.checked_blocks"] = static_cast<double>(check.sampled_blocks);
      checked.counters["emulated.blocks"] = static_cast<double>(item.program.needs.blocks);
    }
    TEMPER_TRY(id, record(item, checked));
    const ArtifactRef code = item.code ? *item.code : nullptr;
    if (code != nullptr)
      note_bound(item.bound);
    result_.sound.push_back({id, text, item.program.needs, check.sampled_blocks, code, item.bound});
    return {};
  }

  void note_bound(const GpuBound& bound) {
    if (!least_bound_ || bound.ns() < least_bound_->ns())
      least_bound_ = bound;
  }

  Result<void> refuse(const Item& item, const std::string& stage, const GpuRefusal& refusal,
                      FunnelStage& funnel) {
    result_.refused.add(stage, refusal.reason, refusal.message);
    funnel_.refuse(funnel, refusal.reason.empty() ? stage : refusal.reason, refusal.message);
    engine::Measurement refused;
    refused.outcome = refusal.outcome;
    refused.stage = refusal.reason.empty() ? stage : refusal.reason;
    refused.error = refusal.message;
    TEMPER_TRY(id, record(item, refused));
    (void)id;
    return {};
  }

  Result<database::Id> record(const Item& item, engine::Measurement measurement) {
    measurement.compile_ms = item.compile_ms;
    measurement.regime = task_.regime;
    const codegen::Artifact* code = item.code && *item.code != nullptr ? item.code->get() : nullptr;
    database::Trial trial;
    trial.candidate = candidate_row(*item.candidate, workload_, "");
    trial.measurement = measurement_row(measurement, task_, code);
    trial.measurement.environment = environment_;
    trial.measurement.toolchain = toolchain_;
    trial.measurement.origin = item.candidate->origin;
    TEMPER_TRY(recorded, store_->record(claim_, trial, progress()));
    if (code != nullptr && measurement.outcome == Outcome::kChecked) {
      TEMPER_TRY(kept, store_->add(artifact_row(*code, recorded.candidate, toolchain_)));
      (void)kept;
    }
    if (recorded.requested != database::RequestedState::kNone)
      result_.interrupted = true;
    return recorded.measurement;
  }

  static constexpr size_t kBatch = 8;                         ///< that are compiled side by side
  static constexpr double kLeastLimit = 10, kMostLimit = 600; ///< seconds that one program may run

  Workbench& bench_;
  const Task& task_;
  const ir::Target& gpu_;
  const EmulatedRunOptions& options_;
  const EmulatedHooks& hooks_;
  codegen::GpuLimits limits_;
  EmulatedResult result_;
  Funnel funnel_;
  database::Store* store_ = nullptr;
  engine::CompilePool* pool_ = nullptr;
  database::RunClaim claim_;
  database::Id workload_, environment_, toolchain_;
  engine::WorkloadId prepared_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::unordered_set<uint64_t> programs_; ///< hashes of what was lowered
  std::unordered_set<uint64_t> codes_;    ///< code_hash
  std::optional<GpuBound> least_bound_;   ///< of what is right
};

} // namespace

void EmulatedRefusals::add(const std::string& stage, const std::string& reason,
                           const std::string& message) {
  const std::string kind = reason.empty() ? kind_of(message) : "";
  for (Entry& entry : entries)
    if (entry.stage == stage && entry.reason == reason && entry.kind == kind) {
      ++entry.count;
      return;
    }
  entries.push_back({stage, reason, message, 1, kind});
}

std::string emulated_verdict(const EmulatedCheck& check, bool has_reference) {
  if (check.right()) {
    const std::string text = has_reference ? "right" : "runs (unchecked: it has no reference)";
    return check.sampled_blocks == 0
               ? text
               : fmt::format("{}, as far as {} of its blocks, drawn by chance, say", text,
                             check.sampled_blocks);
  }
  std::string text = !check.checked()        ? "not checked"
                     : check.finding.empty() ? engine::to_string(check.outcome)
                                             : check.finding;
  if (check.worst)
    text += fmt::format(": {}[{}] is {:.9g}, expected {:.9g} within {:.3g}; {} wrong",
                        check.worst->argument, check.worst->index, check.worst->got,
                        check.worst->expected, check.worst->tolerance, check.worst->wrong_count);
  else if (!check.error.empty())
    text += ": " + check.error;
  return text;
}

Result<EmulatedResult> run_emulated(Workbench& bench, const Task& task, const ir::Target& gpu,
                                    const EmulatedRunOptions& options, const EmulatedHooks& hooks) {
  return EmulatedRun(bench, task, gpu, options, hooks).run();
}

} // namespace temper::tuner
