#include "tuner/space/from_space.h"

#include "ir/support/text.h"
#include "tuner/mutate/mutator.h"
#include "tuner/space/sketch_space.h"

#include <algorithm>
#include <map>
#include <optional>

namespace temper::tuner {
namespace {

using namespace s_tir;

/// Loops that a split makes of a sampled factor have its extent.
bool makes_loop(const Trace& trace, const Rv& value, const std::string& loop) {
  for (size_t i = 0; i < trace.size(); ++i) {
    const Instruction& step = trace[i];
    for (size_t input = 1; input < step.inputs.size() && input <= step.outputs.size(); ++input) {
      const Rv* used = step.inputs[input].as_rv();
      if (used && *used == value && step.outputs[input - 1].kind == RvKind::kLoop &&
          step.outputs[input - 1].name() == loop)
        return true;
    }
  }
  return false;
}

/// Steps after post-processing, by what they are applied to: replayed after another candidate's
/// own post-processing.
class LateSteps {
public:
  LateSteps() = default;
  /// `whole`: design, post-processing and `late` steps; the first `before` are not late.
  LateSteps(const Trace& whole, size_t before) : whole_(whole), before_(before) {}

  bool empty() const { return before_ >= whole_.size(); }
  uint64_t hash() const { return whole_.skeleton_hash(); }

  Result<void> apply(Schedule& schedule, size_t design) const {
    std::map<uint32_t, Rv> here; // what the steps call it, and what it is called here
    for (size_t i = 0; i < design; ++i)
      for (const Rv& output : whole_[i].outputs)
        here[output.index] = output; // designs that differ in decisions name alike
    // What post-processing made has other names where it had more to do.
    const Trace made = schedule.trace();
    size_t next = design;
    for (size_t i = design; i < before_; ++i) {
      const auto inputs = named(whole_[i].inputs, here);
      for (size_t at = next; inputs && at < made.size(); ++at)
        if (made[at].primitive == whole_[i].primitive && made[at].inputs == *inputs &&
            made[at].outputs.size() == whole_[i].outputs.size()) {
          for (size_t o = 0; o < made[at].outputs.size(); ++o)
            here[whole_[i].outputs[o].index] = made[at].outputs[o];
          next = at + 1;
          break;
        }
    }
    for (size_t i = before_; i < whole_.size(); ++i) {
      const Instruction& step = whole_[i];
      auto inputs = named(step.inputs, here);
      if (!inputs)
        return Error(ErrorCode::kIllegal, "a step that was taken by hand, " +
                                              std::string(step.primitive->name) +
                                              ", has nothing to be applied to here");
      TEMPER_TRY(outputs,
                 schedule.call(*step.primitive, std::move(*inputs), step.attrs, step.decision));
      for (size_t o = 0; o < outputs.size(); ++o)
        here[step.outputs[o].index] = outputs[o];
    }
    return {};
  }

private:
  static std::optional<Operand> named(const Operand& input, const std::map<uint32_t, Rv>& here) {
    if (const Rv* rv = input.as_rv()) {
      const auto found = here.find(rv->index);
      return found == here.end() ? std::nullopt : std::optional<Operand>(found->second);
    }
    if (const Operand::List* list = input.as_list()) {
      auto items = named(*list, here);
      return items ? std::optional<Operand>(std::move(*items)) : std::nullopt;
    }
    return input;
  }
  static std::optional<std::vector<Operand>> named(const std::vector<Operand>& inputs,
                                                   const std::map<uint32_t, Rv>& here) {
    std::vector<Operand> result;
    for (const Operand& input : inputs) {
      auto operand = named(input, here);
      if (!operand)
        return std::nullopt;
      result.push_back(std::move(*operand));
    }
    return result;
  }

  Trace whole_;
  size_t before_ = 0;
};

class FromSpace final : public Space {
public:
  FromSpace(std::unique_ptr<Space> whole, Trace start, LateSteps late, std::vector<size_t> locked,
            std::string record)
      : whole_(std::move(whole)), start_(std::move(start)), late_(std::move(late)),
        locked_(std::move(locked)), record_(std::move(record)) {}

  const char* maker() const override { return whole_->maker(); }

  uint64_t hash() const override {
    uint64_t hash = hash_combine(whole_->hash(), start_.skeleton_hash());
    for (const size_t index : locked_)
      hash = hash_combine(hash, hash_combine(index, start_.prefix(index + 1).hash()));
    return late_.empty() ? hash : hash_combine(hash, late_.hash());
  }

  std::string describe() const override {
    return "around " + record_ + ": " + std::to_string(decision_points(start_).size()) +
           " decisions, " + std::to_string(locked_.size()) + " locked";
  }

  std::vector<std::string> sketch_texts() const override {
    return {start_.without_decisions().to_python()};
  }

  CandidateRef untuned() const override { return whole_->untuned(); }

  /// A random walk from the start: far enough to get anywhere, and near often.
  Result<CandidateRef> sample(Random& random) const override {
    const auto points = static_cast<int64_t>(decision_points(start_).size());
    Trace trace = start_;
    for (int64_t steps = random.between(1, 2 * points); steps > 0; --steps) {
      TEMPER_TRY(moved, moved_from(trace, random));
      trace = std::move(moved.trace);
    }
    return kept_inside(whole_->apply(trace, "sample"));
  }

  Result<CandidateRef> mutate(const Candidate& from, Random& random) const override {
    const Trace design = from.trace.without_postproc();
    TEMPER_TRY(moved, moved_from(is_inside(design) ? design : start_, random));
    return kept_inside(whole_->apply(moved.trace, "mutate " + moved.mutator));
  }

  std::vector<CandidateRef> neighbours(const Candidate& from, size_t limit) const override {
    const Trace design = from.trace.without_postproc();
    std::vector<CandidateRef> result;
    if (!is_inside(design))
      return result;
    for (Mutation& mutation : neighbour_traces(design, 4 * limit)) {
      if (result.size() >= limit)
        break;
      if (!is_inside(mutation.trace))
        continue;
      Result<CandidateRef> candidate =
          kept_inside(whole_->apply(mutation.trace, "step " + mutation.mutator));
      if (candidate && (*candidate)->program_hash != from.program_hash)
        result.push_back(std::move(*candidate));
    }
    return result;
  }

  Result<CandidateRef> apply(const Trace& trace, std::string origin) const override {
    // The program as it is written is what every run is held against.
    if (!trace.empty() && !is_inside(trace.without_postproc()))
      return Error(ErrorCode::kIllegal,
                   "this candidate has other steps, or decides otherwise what is locked");
    return trace.empty() ? whole_->apply(trace, std::move(origin))
                         : kept_inside(whole_->apply(trace, std::move(origin)));
  }

private:
  bool is_inside(const Trace& design) const {
    return design.skeleton_hash() == start_.skeleton_hash() &&
           std::all_of(locked_.begin(), locked_.end(), [&](size_t index) {
             return design[index].decision == start_[index].decision;
           });
  }

  /// What is decided later is adapted to what was decided otherwise before: that may be locked.
  Result<CandidateRef> kept_inside(Result<CandidateRef> made) const {
    if (!made)
      return made;
    const Trace design = (*made)->trace.without_postproc();
    if (!is_inside(design))
      return Error(ErrorCode::kIllegal, "what is locked does not fit the other decisions");
    if (late_.empty())
      return made;
    Schedule schedule(whole_->untuned()->module, 0);
    schedule.set_render_errors(false);
    TEMPER_TRY_VOID(schedule.apply((*made)->trace, {}));
    TEMPER_TRY_VOID(late_.apply(schedule, design.size()));
    return candidate_of(schedule, (*made)->origin, (*made)->parent);
  }

  Result<Mutation> moved_from(const Trace& design, Random& random) const {
    for (int tries = 0; tries < 64; ++tries) {
      Result<Mutation> moved = mutate_trace(design, random);
      if (moved && is_inside(moved->trace))
        return moved;
    }
    return Error(ErrorCode::kIllegal, "all that could be decided otherwise is locked");
  }

  std::unique_ptr<Space> whole_;
  Trace start_;
  LateSteps late_;
  std::vector<size_t> locked_; ///< instructions of start_
  std::string record_;
};

std::string name_of(const Instruction& decision) {
  if (decision.primitive->name == "SampleKnob") {
    const std::string* name = decision.attrs[0].as_string();
    return name ? *name : std::string();
  }
  std::vector<std::string> names;
  for (const Rv& output : decision.outputs)
    names.push_back(output.name());
  return join(names, ", ");
}

} // namespace

std::vector<std::string> decision_names(const Trace& trace) {
  std::vector<std::string> names;
  for (const DecisionPoint& point : decision_points(trace))
    names.push_back(name_of(trace[point.instruction]));
  return names;
}

Result<std::unique_ptr<Space>> make_space_from(std::unique_ptr<Space> whole, const Trace& from,
                                               const std::vector<std::string>& locks,
                                               const std::string& record) {
  Trace start = from.without_postproc();
  const std::vector<DecisionPoint> points = decision_points(start);
  if (points.empty())
    return Error(ErrorCode::kUnsupported,
                 record + " decides nothing that could be decided otherwise: its trace has no "
                          "sampled values");
  std::vector<size_t> locked;
  for (const std::string& lock : locks) {
    const auto found = std::find_if(points.begin(), points.end(), [&](const DecisionPoint& point) {
      const std::vector<Rv>& outputs = start[point.instruction].outputs;
      return name_of(start[point.instruction]) == lock ||
             std::any_of(outputs.begin(), outputs.end(), [&](const Rv& output) {
               return output.name() == lock || makes_loop(start, output, lock);
             });
    });
    if (found == points.end())
      return Error(ErrorCode::kNotFound, record + " decides nothing called '" + lock +
                                             "'; its decisions are " +
                                             join(decision_names(start), "; "));
    if (std::find(locked.begin(), locked.end(), found->instruction) == locked.end())
      locked.push_back(found->instruction);
  }
  if (locked.size() == points.size())
    return Error(ErrorCode::kInvalidArgument,
                 "all decisions of " + record + " are locked: nothing is left to search");
  std::sort(locked.begin(), locked.end());
  TEMPER_TRY(first, whole->apply(start, "start")); // that it is a candidate at all
  // What goes on where post-processing ended was done by hand. A trace that was post-processed
  // otherwise, as on another machine, is post-processed anew.
  const Trace& processed = first->trace;
  LateSteps late;
  if (from.size() > processed.size() && from.prefix(processed.size()) == processed)
    late = LateSteps(from, processed.size());
  auto space = std::make_unique<FromSpace>(std::move(whole), std::move(start), std::move(late),
                                           std::move(locked), record);
  TEMPER_TRY(again, space->apply(from, "start"));
  (void)again;
  return std::unique_ptr<Space>(std::move(space));
}

} // namespace temper::tuner
