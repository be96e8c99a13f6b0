#include "tuner/space/sketch_space.h"

#include "ir/extents.h"
#include "ir/s_tir/packs.h"
#include "ir/structural.h"
#include "ir/support/function_ref.h"
#include "ir/support/parallel.h"
#include "tuner/mutate/mutator.h"
#include "tuner/space/postprocess.h"

#include <algorithm>

namespace temper::tuner {
namespace {

using namespace s_tir;

struct Pending {
  Schedule schedule;
  std::vector<BlockRv> blocks; ///< still to visit, last first
};

/// Every block below the root, producers first.
Result<std::vector<BlockRv>> blocks_of(Schedule& schedule) {
  TEMPER_TRY(root, schedule.get_sblock("root"));
  return schedule.get_child_blocks(root);
}

using ApplyRule = FunctionRef<Result<std::vector<Schedule>>(const Schedule&, BlockRv)>;

/// Applies one rule to every block of every schedule. Blocks that the rule makes are not visited by
/// it again; later rules see them.
Result<std::vector<Schedule>> apply_rule(ApplyRule rule, bool consumers_first,
                                         std::vector<Schedule> schedules) {
  std::vector<Schedule> results;
  std::vector<Pending> stack;
  for (auto schedule = schedules.rbegin(); schedule != schedules.rend(); ++schedule) {
    Result<std::vector<BlockRv>> blocks = blocks_of(*schedule);
    if (!blocks)
      continue;
    if (!consumers_first)
      std::reverse(blocks->begin(), blocks->end());
    stack.push_back({std::move(*schedule), std::move(*blocks)});
  }
  while (!stack.empty()) {
    Pending pending = std::move(stack.back());
    stack.pop_back();
    if (pending.blocks.empty()) {
      results.push_back(std::move(pending.schedule));
      continue;
    }
    const BlockRv block = pending.blocks.back();
    pending.blocks.pop_back();
    const Result<Value> handle = pending.schedule.get(block);
    if (!handle || handle->is_none()) { // inlined by an earlier step of this rule
      stack.push_back(std::move(pending));
      continue;
    }
    TEMPER_TRY(alternatives, rule(pending.schedule, block));
    for (auto alternative = alternatives.rbegin(); alternative != alternatives.rend();
         ++alternative)
      stack.push_back({std::move(*alternative), pending.blocks});
  }
  return results;
}

/// The rule that a block names for itself; empty: any.
std::string own_rule(const Schedule& schedule, BlockRv block) {
  const auto found = schedule.get_block(block);
  return found ? (*found)->annotations.get_string(script::kScheduleRule).value_or("") : "";
}

script::MachineFacts facts_of(const MachineHints& machine) {
  return {{"threads", machine.threads},
          {"vector_bits", machine.vector_bits},
          {"vector_registers", machine.vector_registers},
          {"l1_bytes", machine.l1_bytes},
          {"l2_bytes", machine.l2_bytes},
          {"features", machine.features}};
}

class SketchSpace final : public Space {
public:
  SketchSpace(ir::IRModule module, SketchOptions options)
      : module_(std::move(module)), options_(std::move(options)) {
    if (options_.rules.empty() && !options_.only_rule_files)
      options_.rules = default_rules(options_);
    for (const script::RuleFile& file : options_.rule_files)
      for (const script::RuleFile::Mutator& mutator : file.mutators())
        mutators_.push_back({&file, mutator.function, mutator.weight});
  }

  Result<void> generate() {
    Schedule start(module_, 0);
    start.set_render_errors(false);
    module_ = start.module(); // blocks have ids now, the same in every candidate
    for (const Trace& written : options_.templates)
      sketches_.push_back(written.simplified());
    std::vector<Schedule> schedules;
    if (sketches_.empty())
      schedules.push_back(start);
    TEMPER_TRY(by_users, apply_rules_of_users(std::move(schedules)));
    schedules = std::move(by_users);
    for (const auto& rule : options_.rules) {
      const bool consumers_first = dynamic_cast<const ConsumersFirstRule*>(rule.get()) != nullptr;
      const auto apply = [&](const Schedule& schedule,
                             BlockRv block) -> Result<std::vector<Schedule>> {
        if (!own_rule(schedule, block).empty())
          return std::vector<Schedule>{schedule};
        return rule->apply(schedule, block);
      };
      TEMPER_TRY(applied, apply_rule(apply, consumers_first, std::move(schedules)));
      schedules = std::move(applied);
    }
    for (Schedule& schedule : schedules) {
      TEMPER_TRY_VOID(request_loops(schedule));
      sketches_.push_back(schedule.trace().simplified());
    }
    if (sketches_.empty())
      return Error(ErrorCode::kFailed, "no rule gives a sketch for this workload");
    TEMPER_TRY(untuned, make_untuned());
    untuned_ = std::move(untuned);
    return {};
  }

  const char* maker() const override {
    return options_.templates.empty() ? "sketches" : "template";
  }
  bool is_shared() const override { return true; } // functions of immutable traces and modules

  uint64_t hash() const override {
    uint64_t hash = ir::structural_hash(module_);
    for (const Trace& sketch : sketches_)
      hash = hash_combine(hash, sketch.without_decisions().hash());
    for (const script::RuleFile& file : options_.rule_files)
      if (const uint64_t part = file.hash(); part != 0)
        hash = hash_combine(hash, part);
    return hash;
  }

  std::string describe() const override {
    size_t decisions = 0;
    for (const Trace& sketch : sketches_)
      decisions = std::max(decisions, decision_points(sketch).size());
    return (options_.templates.empty() ? options_.note : "hand-written: ") +
           std::to_string(sketches_.size()) +
           (sketches_.size() == 1 ? " sketch, " : " sketches, up to ") + std::to_string(decisions) +
           (decisions == 1 ? " decision" : " decisions");
  }

  std::vector<std::string> sketch_texts() const override {
    std::vector<std::string> texts;
    for (const Trace& sketch : sketches_)
      texts.push_back(sketch.without_decisions().to_python());
    return texts;
  }

  CandidateRef untuned() const override { return untuned_; }

  Result<CandidateRef> sample(Random& random) const override {
    const auto sketch = static_cast<size_t>(random.below(static_cast<int64_t>(sketches_.size())));
    return build(sketches_[sketch].without_decisions(), random(), false, "sample", 0);
  }

  Result<CandidateRef> mutate(const Candidate& from, Random& random) const override {
    const Trace design = from.trace.without_postproc();
    if (!mutators_.empty()) {
      TEMPER_TRY(custom, mutate_by_users(design, random));
      if (custom)
        return build(custom->trace, random(), true, "mutate " + custom->mutator, from.program_hash);
    }
    TEMPER_TRY(mutation, mutate_trace(design, random));
    return build(mutation.trace, random(), true, "mutate " + mutation.mutator, from.program_hash);
  }

  std::vector<CandidateRef> neighbours(const Candidate& from, size_t limit) const override {
    const std::vector<Mutation> mutations = neighbour_traces(from.trace.without_postproc(), limit);
    std::vector<CandidateRef> built(mutations.size());
    constexpr size_t kGrain = 8;
    parallel_for(mutations.size(), kGrain, [&](size_t i) {
      if (Result<CandidateRef> candidate =
              build(mutations[i].trace, 0, true, "step " + mutations[i].mutator, from.program_hash))
        built[i] = std::move(*candidate);
    });
    std::erase_if(built, [&](const CandidateRef& candidate) {
      return !candidate || candidate->program_hash == from.program_hash;
    });
    return built;
  }

  Result<CandidateRef> apply(const Trace& trace, std::string origin) const override {
    if (trace.empty()) { // the program as it is written, which nothing post-processes
      auto candidate = std::make_shared<Candidate>(*untuned_);
      candidate->origin = std::move(origin);
      return CandidateRef(std::move(candidate));
    }
    return build(trace.without_postproc(), 0, true, std::move(origin), 0);
  }

  bool admits(const Trace& trace) const override {
    if (trace.empty() || options_.templates.empty())
      return true;
    const uint64_t steps = trace.without_postproc().simplified().without_decisions().hash();
    return std::any_of(sketches_.begin(), sketches_.end(), [&](const Trace& sketch) {
      return sketch.without_decisions().hash() == steps;
    });
  }

private:
  /// The rules that blocks name for themselves, then those for all other blocks.
  Result<std::vector<Schedule>> apply_rules_of_users(std::vector<Schedule> schedules) const {
    const script::MachineFacts machine = facts_of(options_.machine);
    const auto named = [&](const Schedule& schedule,
                           BlockRv block) -> Result<std::vector<Schedule>> {
      const std::string name = own_rule(schedule, block);
      if (name.empty() || name == script::kNoScheduleRule)
        return std::vector<Schedule>{schedule};
      for (const script::RuleFile& file : options_.rule_files)
        if (file.has_rule(name))
          return file.apply_rule(name, schedule, block, machine);
      TEMPER_TRY(asking, schedule.get_block(block));
      return Error(ErrorCode::kNotFound,
                   "block '" + asking->name + "' names '" + name +
                       "' as its schedule_rule, which is nowhere: write def " + name +
                       "(sch, block) into the workload's file or one that TEMPER_RULES names, or "
                       "say \"None\" for no rule");
    };
    TEMPER_TRY(result, apply_rule(named, false, std::move(schedules)));
    for (const script::RuleFile& file : options_.rule_files)
      for (const std::string& function : file.rules()) {
        const auto apply = [&](const Schedule& schedule,
                               BlockRv block) -> Result<std::vector<Schedule>> {
          if (!own_rule(schedule, block).empty())
            return std::vector<Schedule>{schedule};
          return file.apply_rule(function, schedule, block, machine);
        };
        TEMPER_TRY(applied, apply_rule(apply, false, std::move(result)));
        result = std::move(applied);
      }
    return std::move(result);
  }

  /// By one of the users' mutators, each as often as it says; nothing when it is the turn of
  /// temper's own, or none of theirs has an alternative.
  Result<std::optional<Mutation>> mutate_by_users(const Trace& design, Random& random) const {
    double draw = random.uniform();
    for (const UserMutator& mutator : mutators_) {
      draw -= mutator.weight;
      if (draw >= 0)
        continue;
      std::vector<Mutation> choices;
      for (const DecisionPoint& point : decision_points(design)) {
        TEMPER_TRY(values, mutator.file->alternatives(mutator.function, design, point));
        for (Value& value : values)
          choices.push_back(
              {design.with_decision(point.instruction, std::move(value)), mutator.function});
      }
      if (choices.empty())
        break;
      return std::optional(
          choices[static_cast<size_t>(random.below(static_cast<int64_t>(choices.size())))]);
    }
    return std::optional<Mutation>();
  }

  /// Leaves on the root block what post-processing is to do, the unroll step as a decision.
  Result<void> request_loops(Schedule& schedule) const {
    TEMPER_TRY(root, schedule.get_sblock("root"));
    if (options_.gpu)
      return request_unrolling(schedule, root, options_.gpu->unroll_steps);
    if (options_.machine.threads > 1)
      TEMPER_TRY_VOID(schedule.annotate(root, kParallelJobs,
                                        options_.jobs_per_core * options_.machine.threads));
    TEMPER_TRY_VOID(schedule.annotate(root, kVectorizeExtent, options_.max_vectorize_extent));
    TEMPER_TRY(blocks, schedule.get_child_blocks(root));
    for (const BlockRv& block : blocks)
      if (block_facts(schedule, block).block->annotations.get_int(kRegisterTile))
        return {};
    return request_unrolling(schedule, root, options_.unroll_steps);
  }
  static Result<void> request_unrolling(Schedule& schedule, BlockRv root,
                                        const std::vector<int64_t>& steps) {
    const std::vector<double> even(steps.size(), 1.0 / static_cast<double>(steps.size()));
    TEMPER_TRY(unroll, schedule.sample_categorical(steps, even));
    return schedule.annotate(root, kUnrollExplicit, unroll);
  }

  Result<CandidateRef> build(const Trace& design, uint64_t seed, bool adapt, std::string origin,
                             uint64_t parent) const {
    Schedule schedule(module_, seed);
    schedule.set_render_errors(false);
    ReplayOptions replay_options;
    replay_options.adapt = adapt;
    TEMPER_TRY_VOID(schedule.apply(design, replay_options));
    TEMPER_TRY_VOID(options_.gpu ? postprocess_for_gpu(schedule, *options_.gpu)
                                 : postprocess(schedule, options_.machine));
    for (const script::RuleFile& file : options_.rule_files)
      for (const std::string& function : file.postprocs())
        TEMPER_TRY_VOID(file.postprocess(function, schedule));
    return candidate_of(schedule, std::move(origin), parent);
  }

  Result<CandidateRef> make_untuned() const {
    Schedule schedule(module_, 0);
    return candidate_of(schedule, "untuned", 0);
  }

  ir::IRModule module_;
  SketchOptions options_;
  struct UserMutator {
    const script::RuleFile* file; ///< of options_
    std::string function;
    double weight;
  };
  std::vector<UserMutator> mutators_;
  std::vector<Trace> sketches_;
  CandidateRef untuned_;
};

bool has_constant_extents(const ir::PrimFunc& function) {
  for (const ir::Param& param : function->params)
    if (param.buffer && !param.buffer->element_count())
      return false;
  return function->shape_vars.empty();
}

} // namespace

RuleList default_rules(const SketchOptions& options) {
  return options.gpu ? default_gpu_rules(*options.gpu) : default_cpu_rules(options.machine);
}

Result<CandidateRef> candidate_of(const Schedule& schedule, std::string origin, uint64_t parent) {
  auto candidate = std::make_shared<Candidate>();
  candidate->trace = schedule.trace();
  candidate->module = schedule.module();
  candidate->program_hash = ir::structural_hash(schedule.module());
  candidate->parent = parent;
  candidate->origin = std::move(origin);
  // What is packed ahead is no part of the kernel.
  TEMPER_TRY(kernel, s_tir::split_packs(schedule.module()));
  const auto function = kernel->functions.front().function.as_ref<ir::PrimFuncNode>();
  TEMPER_CHECK(static_cast<bool>(function), "a sketch space is of a PrimFunc");
  // Of symbolic dimensions, what they are where it is timed.
  TEMPER_TRY(bound, ir::bound_to_extents(function, false));
  candidate->features = extract_features(bound);
  return CandidateRef(std::move(candidate));
}

Result<std::unique_ptr<Space>> make_sketch_space(const ir::IRModule& module,
                                                 SketchOptions options) {
  if (module->functions.size() != 1)
    return Error(ErrorCode::kUnsupported,
                 "a design space needs a module of one function, this one has " +
                     std::to_string(module->functions.size()));
  const auto function = module->functions.front().function.as_ref<ir::PrimFuncNode>();
  if (!function || !function->s_tir)
    return Error(ErrorCode::kUnsupported,
                 "a design space needs an s-tir function (@T.prim_func(s_tir=True))");
  if (!has_constant_extents(function) && options.templates.empty())
    return Error(ErrorCode::kUnsupported,
                 "the shapes of '" + function->name +
                     "' are symbolic, and the rules need constant ones; bind them to tune it, or "
                     "write its schedule by hand (def schedule(sch) in its file)");
  auto space = std::make_unique<SketchSpace>(module, std::move(options));
  TEMPER_TRY_VOID(space->generate());
  return std::unique_ptr<Space>(std::move(space));
}

} // namespace temper::tuner
