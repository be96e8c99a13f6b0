#include "tuner/space/from_space.h"

#include "ir/support/text.h"
#include "tuner/mutate/mutator.h"

#include <algorithm>

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

class FromSpace final : public Space {
public:
  FromSpace(std::unique_ptr<Space> whole, Trace start, std::vector<size_t> locked,
            std::string record)
      : whole_(std::move(whole)), start_(std::move(start)), locked_(std::move(locked)),
        record_(std::move(record)) {}

  const char* maker() const override { return whole_->maker(); }

  uint64_t hash() const override {
    uint64_t hash = hash_combine(whole_->hash(), start_.skeleton_hash());
    for (const size_t index : locked_)
      hash = hash_combine(hash, hash_combine(index, start_.prefix(index + 1).hash()));
    return hash;
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
    return whole_->apply(trace, std::move(origin));
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
    if (made && !is_inside((*made)->trace.without_postproc()))
      return Error(ErrorCode::kIllegal, "what is locked does not fit the other decisions");
    return made;
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
  std::vector<size_t> locked_; ///< instructions of start_
  std::string record_;
};

std::string name_of(const Instruction& decision) {
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
  (void)first;
  return std::unique_ptr<Space>(
      std::make_unique<FromSpace>(std::move(whole), std::move(start), std::move(locked), record));
}

} // namespace temper::tuner
