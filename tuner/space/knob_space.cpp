#include "tuner/space/knob_space.h"

#include "ir/pass/pipelines.h"
#include "ir/s_tir/schedule.h"
#include "ir/script/knobs.h"
#include "ir/structural.h"
#include "ir/support/text.h"
#include "ir/tir/dispatch.h"
#include "ir/tir/lower_simt.h"
#include "ir/tir/source_kernel.h"
#include "ir/verify.h"
#include "ir/walk.h"
#include "tuner/cost/analytical.h"
#include "tuner/mutate/mutator.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace temper::tuner {
namespace {

using script::KnobProgram;
using script::ParameterValue;

/// A decision that was made: which of the choices.
struct Decision {
  std::string name;
  std::vector<ParameterValue> choices;
  size_t chosen = 0;
};
using Values = std::map<std::string, ParameterValue>;

s_tir::Value to_value(const ParameterValue& value) {
  if (const auto* integer = std::get_if<int64_t>(&value))
    return *integer;
  if (const auto* real = std::get_if<double>(&value))
    return *real;
  if (const auto* flag = std::get_if<bool>(&value))
    return *flag ? "True" : "False";
  return std::get<std::string>(value);
}

/// A value of a trace as one of a knob's kind: booleans are text there.
bool same_value(const ParameterValue& choice, const s_tir::Value& value) {
  return to_value(choice) == value;
}

s_tir::Trace to_trace(const std::vector<Decision>& decisions) {
  static const s_tir::Primitive* const kKnob = s_tir::find_primitive("SampleKnob");
  s_tir::Trace trace;
  for (const Decision& decision : decisions) {
    s_tir::Value::List choices;
    for (const ParameterValue& choice : decision.choices)
      choices.push_back(to_value(choice));
    s_tir::Instruction instruction;
    instruction.primitive = kKnob;
    instruction.attrs = {s_tir::Value(decision.name), s_tir::Value(std::move(choices))};
    instruction.decision = static_cast<int64_t>(decision.chosen);
    trace.append(std::move(instruction));
  }
  return trace;
}

/// Name and value of each decision of a trace.
Result<std::vector<std::pair<std::string, s_tir::Value>>> values_of(const s_tir::Trace& trace) {
  std::vector<std::pair<std::string, s_tir::Value>> result;
  for (size_t i = 0; i < trace.size(); ++i) {
    const s_tir::Instruction& step = trace[i];
    if (step.primitive->name != "SampleKnob")
      return Error(ErrorCode::kInvalidArgument, "step " + std::to_string(i) + " (" +
                                                    step.primitive->python_name +
                                                    ") belongs to a schedule of blocks, but this "
                                                    "is a tile program, which has knobs only");
    const auto* name = step.attrs[0].as_string();
    const auto* choices = step.attrs[1].as_list();
    const auto* decision = step.decision.as_int();
    if (name == nullptr || choices == nullptr || decision == nullptr || *decision < 0 ||
        *decision >= static_cast<int64_t>(choices->size()))
      return Error(ErrorCode::kInvalidArgument, "step " + std::to_string(i) +
                                                    ": a knob has a name, choices, and a decision "
                                                    "that is the index of one");
    result.emplace_back(*name, (*choices)[static_cast<size_t>(*decision)]);
  }
  return result;
}

ir::PrimFunc function_of(const ir::IRModule& module) {
  return module->functions.front().function.as_ref<ir::PrimFuncNode>();
}

ir::Expr to_annotation(const ParameterValue& value) {
  if (const auto* integer = std::get_if<int64_t>(&value))
    return ir::make_int(DataType::int32(), *integer);
  return ir::make_string(script::to_string(value));
}

/// The knob that "gemm.rows" sets, on the function.
Result<ir::PrimFunc> set_open(const ir::PrimFunc& function, const std::string& name,
                              const ParameterValue& value) {
  const size_t dot = name.rfind('.');
  const ir::PrimFunc changed =
      dot == std::string::npos
          ? nullptr
          : tir::annotate_open(function, name.substr(0, dot),
                               ir::Annotations().with(name.substr(dot + 1), to_annotation(value)));
  if (!changed)
    return Error(ErrorCode::kInvalidArgument,
                 "the program has no knob '" + name + "'; it was made for another version of it");
  return changed;
}

// Where features of a tile program stand among kFeatureCount: knobs of the program, then eight for
// each of eight operators, then what is lowered.
constexpr size_t kOperatorFeatures = 24;
constexpr size_t kPerOperator = 8;
constexpr size_t kLoweredFeatures = kOperatorFeatures + 8 * kPerOperator;
constexpr const char* kLoweredNames[] = {"estimated time",
                                         "estimated time of ports",
                                         "traffic of the first cache",
                                         "traffic of the second cache",
                                         "traffic of the third cache",
                                         "traffic of memory",
                                         "statements that store",
                                         "loops",
                                         "bytes of tiles",
                                         "elements in registers",
                                         "parallel iterations",
                                         "conditions"};

/// The features that decisions have, in order; kFeatureCount for those that have none.
class DecisionFeatures {
public:
  size_t next(const std::string& name) {
    const size_t dot = name.rfind('.');
    if (dot == std::string::npos) // operators' decisions have their label in front
      return knobs_ < kOperatorFeatures ? knobs_++ : kFeatureCount;
    const std::string label = name.substr(0, dot);
    const size_t number = operators_.try_emplace(label, operators_.size()).first->second;
    const size_t slot =
        kOperatorFeatures + kPerOperator * number + std::min(kPerOperator - 1, used_[label]++);
    return slot < kLoweredFeatures ? slot : kFeatureCount;
  }

private:
  size_t knobs_ = 0;
  std::map<std::string, size_t> operators_;
  std::map<std::string, size_t> used_;
};

/// What the search learns from: the decisions, and what the lowered program asks of a core and its
/// caches (`lowered` null: not). One row; logarithms, as in features.h.
FeatureMatrix features_of(const std::vector<Decision>& decisions, const ir::PrimFunc& lowered,
                          const ir::LowerOptions& options) {
  FeatureMatrix matrix;
  matrix.rows = 1;
  matrix.values.assign(kFeatureCount, 0.0F);
  const auto logarithm = [](double value) {
    return static_cast<float>(std::log2(std::abs(value) + 1));
  };
  const auto set = [&](size_t index, float value) {
    if (index < matrix.values.size())
      matrix.values[index] = value;
  };
  DecisionFeatures places;
  for (const Decision& decision : decisions) {
    const auto* number = std::get_if<int64_t>(&decision.choices[decision.chosen]);
    set(places.next(decision.name), number != nullptr ? logarithm(static_cast<double>(*number))
                                                      : static_cast<float>(decision.chosen) + 1);
  }
  if (!lowered)
    return matrix;
  MachineRates rates;
  rates.vector_registers = options.vector_registers;
  const KernelEstimate estimate = estimate_time(lowered, rates, 1);
  size_t next = kLoweredFeatures;
  set(next++, logarithm(estimate.total_ns));
  set(next++, logarithm(estimate.port_ns));
  for (size_t level = 0; level < 4; ++level)
    set(next++, level < estimate.traffic_ns.size() ? logarithm(estimate.traffic_ns[level]) : 0.0F);
  double stores = 0;
  double loops = 0;
  double bytes = 0;
  double registers = 0;
  double parallel = 0;
  double branches = 0;
  ir::walk(lowered->body, [&](const ir::NodeRef& node) {
    if (const auto* alloc = node.as<tir::AllocBuffer>()) {
      const double size = static_cast<double>(alloc->buffer->element_count().value_or(0)) *
                          alloc->buffer->dtype.bytes();
      (alloc->buffer->scope == "local" ? registers : bytes) += size;
    } else if (const auto* loop = node.as<tir::For>()) {
      ++loops;
      if (loop->kind == tir::ForKind::kParallel)
        parallel += static_cast<double>(ir::as_int(loop->extent).value_or(1));
    } else if (node.is<tir::BufferStore>()) {
      ++stores;
    } else if (node.is<tir::IfThenElse>()) {
      ++branches;
    }
    return !ir::ExprNode::accepts(node->kind());
  });
  for (const double value : {stores, loops, bytes, registers, parallel, branches})
    set(next++, logarithm(value));
  return matrix;
}

/// What an error begins with that a constraint of the program makes.
constexpr const char* kConstraint = "constraint: ";

/// Safe to use from several threads at once once it is prepared.
class KnobSpace final : public Space {
public:
  /// `architecture`: of a GPU; 0: a CPU, as `options` has it.
  KnobSpace(ir::IRModule module, ir::LowerOptions options, int architecture)
      : module_(std::move(module)), options_(std::move(options)), architecture_(architecture) {
    options_.verify = false;
  }

  Result<void> prepare() {
    if (script::has_knobs(module_)) {
      TEMPER_TRY(program, KnobProgram::of(module_));
      program_ = std::move(program);
      TEMPER_TRY(count, program_->count());
      count_ = std::move(count);
      if (count_.legal == 0 && !count_.estimated)
        return Error(ErrorCode::kUnsupported,
                     "the constraints leave nothing of the space: " + pruned());
    }
    auto candidate = std::make_shared<Candidate>();
    candidate->module = ir::make_module(module_->functions);
    candidate->program_hash = ir::structural_hash(candidate->module);
    candidate->origin = "untuned";
    // On a GPU the program as it stands may ask too much, and its knobs mend that.
    Result<ir::PrimFunc> code = lowered(function_of(candidate->module));
    if (!code && architecture_ == 0)
      return code.error();
    candidate->features = features_of({}, architecture_ == 0 ? *code : ir::PrimFunc(), options_);
    untuned_ = std::move(candidate);
    if (program_) {
      TEMPER_TRY(start, program_->first_legal());
      start_ = std::move(start);
    }
    // What the operators leave open, where every knob has the first choice that is legal; or
    // another, where a GPU has no room for that.
    Random random(1);
    Result<CandidateRef> first = build(start_, {}, nullptr, "sample", 0);
    for (int left = 64; !first && program_ && left > 0; --left)
      first = with_legal_knobs(random, [&](const std::vector<size_t>& own) {
        return build(own, {}, nullptr, "sample", 0);
      });
    if (first) {
      first_ = *first;
      for (const DecisionPoint& point : decision_points(first_->trace))
        open_sizes_.push_back(point.candidates.size());
    }
    return {};
  }

  const char* maker() const override { return "knobs"; }
  uint64_t hash() const override { return ir::structural_hash(module_); }

  std::string describe() const override {
    const size_t own = program_ ? program_->knobs().size() : 0;
    if (own == 0 && open_sizes_.empty())
      return "nothing to choose: the program has no knobs (T.tune), and its tile operators have "
             "one variant each; it is measured as it is written";
    std::string text = std::to_string(own) + (own == 1 ? " knob" : " knobs");
    if (own > 0) {
      const std::string about = count_.estimated ? "about " : "";
      text += ", " + std::to_string(count_.size) + " combinations";
      if (!count_.pruned.empty())
        text +=
            ", of which " + about + std::to_string(count_.legal) + " are legal (" + pruned() + ")";
      for (const std::string& knob : program_->unread())
        text += "; nothing in the program reads the knob " + knob +
                ": its choices are all the same program, leave it out";
    }
    const size_t open = open_sizes_.size() > own ? open_sizes_.size() - own : 0;
    if (open > 0) {
      double product = 1;
      for (size_t i = own; i < open_sizes_.size(); ++i)
        product *= static_cast<double>(open_sizes_[i]);
      text += "; " + std::to_string(open) + (open == 1 ? " decision" : " decisions") +
              " that tile operators leave open, about " +
              std::to_string(static_cast<int64_t>(product)) + " ways";
    }
    return text;
  }

  std::vector<std::string> sketch_texts() const override {
    if (first_)
      return {first_->trace.to_python()};
    return {};
  }

  CandidateRef untuned() const override { return untuned_; }

  Result<CandidateRef> sample(Random& random) const override {
    // Half of them with the operators' own defaults: these come from the machine's registers, and
    // only the program's knobs are left to chance then.
    const bool defaults = program_ && !program_->knobs().empty() && random.below(2) == 0;
    return with_legal_knobs(random, [&](const std::vector<size_t>& own) {
      return build(own, {}, &random, "sample", 0, defaults);
    });
  }

  Result<CandidateRef> mutate(const Candidate& from, Random& random) const override {
    if (from.trace.empty())
      return sample(random);
    TEMPER_TRY(before, given_by(from.trace));
    const std::vector<size_t> own_before = own_choices(before);
    TEMPER_TRY(mutation, mutate_trace(from.trace, random));
    TEMPER_TRY(given, given_by(mutation.trace));
    std::vector<size_t> own = own_choices(given);
    if (own != own_before) {
      // A knob that may not change alone takes others along.
      TEMPER_TRY(legal, legal_near(std::move(own), own_before, random));
      own = std::move(legal);
    }
    return build(own, given, nullptr, "mutate knob", from.program_hash);
  }

  std::vector<CandidateRef> neighbours(const Candidate& from, size_t limit) const override {
    std::vector<CandidateRef> result;
    for (const Mutation& mutation : neighbour_traces(from.trace, limit)) {
      Result<CandidateRef> candidate = rebuilt(mutation.trace, "step knob", from.program_hash);
      if (candidate && (*candidate)->program_hash != from.program_hash)
        result.push_back(std::move(*candidate));
    }
    return result;
  }

  Result<CandidateRef> apply(const s_tir::Trace& trace, std::string origin) const override {
    if (trace.empty()) {
      auto candidate = std::make_shared<Candidate>(*untuned_);
      candidate->origin = std::move(origin);
      return CandidateRef(std::move(candidate));
    }
    return rebuilt(trace, std::move(origin), 0);
  }

private:
  using DecisionPoint = s_tir::DecisionPoint;
  using Given = std::map<std::string, s_tir::Value>;

  Result<ir::PrimFunc> lowered(ir::PrimFunc function) const {
    if (architecture_ != 0)
      return tir::lower_simt(function, architecture_);
    TEMPER_TRY(loops, tir::lower_tiles(function, options_));
    function = loops;
    for (const ir::LoweringPass& pass : ir::cpu_passes())
      function = pass.run(function, options_);
    return function;
  }

  /// What is decided next. On a CPU one call at a time, whose choices may depend on those before
  /// it. On a GPU kernels and pipelines come first, since layouts and copies depend on them; then
  /// every operator.
  Result<std::vector<tir::OpenCall>> open_next(const ir::PrimFunc& function) const {
    if (architecture_ == 0) {
      TEMPER_TRY(calls, tir::open_calls(function, options_));
      if (calls.size() > 1)
        calls.resize(1);
      return calls;
    }
    TEMPER_TRY(calls, tir::simt_open_calls(function, architecture_));
    const auto around = [](const tir::OpenCall& call) { return call.choices[0].variant.empty(); };
    if (std::any_of(calls.begin(), calls.end(), around))
      std::erase_if(calls, [&](const tir::OpenCall& call) { return !around(call); });
    return calls;
  }

  /// Variant, or knob, of the call that is decided now.
  static Decision decision_of(const tir::OpenCall& call, size_t& otherwise) {
    Decision decision;
    otherwise = 0;
    if (call.choices.size() > 1) {
      decision.name = call.label + ".variant";
      for (const tir::OpenCall::Choice& choice : call.choices)
        decision.choices.emplace_back(choice.variant);
      return decision;
    }
    const tir::TileKnob& knob = call.choices[0].knobs.front();
    decision.name = call.label + "." + knob.name;
    for (size_t i = 0; i < knob.choices.size(); ++i) {
      decision.choices.emplace_back(knob.choices[i]);
      if (knob.choices[i] == knob.default_value)
        otherwise = i;
    }
    return decision;
  }

  std::string pruned() const {
    std::string text;
    for (const auto& [words, number] : count_.pruned)
      text += (text.empty() ? "" : ", ") + words + " prunes " + std::to_string(number);
    return text;
  }

  static Result<Given> given_by(const s_tir::Trace& trace) {
    TEMPER_TRY(values, values_of(trace));
    Given given;
    for (auto& [name, value] : values)
      given[name] = std::move(value);
    return given;
  }

  Result<CandidateRef> rebuilt(const s_tir::Trace& trace, std::string origin,
                               uint64_t parent) const {
    TEMPER_TRY(given, given_by(trace));
    return build(own_choices(given), given, nullptr, std::move(origin), parent);
  }

  /// Of the program's knobs, as a trace has them; whether they are legal together is not looked at.
  std::vector<size_t> own_choices(const Given& given) const {
    std::vector<size_t> own;
    for (size_t i = 0; i < start_.size(); ++i) {
      const script::Knob& knob = program_->knobs()[i];
      own.push_back(choose(knob.name, knob.choices, start_[i], given, nullptr));
    }
    return own;
  }

  /// A combination that no constraint refuses and that differs from `own` in few knobs, from
  /// `other` in some where there is another one.
  Result<std::vector<size_t>> legal_near(std::vector<size_t> own, const std::vector<size_t>& other,
                                         Random& random) const {
    if (count_.estimated)
      return program_->repaired(std::move(own), random);
    const auto& all = count_.combinations;
    if (std::binary_search(all.begin(), all.end(), own))
      return own;
    size_t least = own.size() + 1;
    int64_t alike = 0;
    const std::vector<size_t>* best = &other;
    for (const std::vector<size_t>& one : all) {
      size_t changes = 0;
      for (size_t d = 0; d < own.size(); ++d)
        changes += one[d] != own[d] ? 1 : 0;
      if (changes > least || one == other)
        continue;
      alike = changes < least ? 1 : alike + 1;
      least = changes;
      if (random.below(alike) == 0)
        best = &one;
    }
    return *best;
  }

  /// What `make` makes of the program's knobs, any legal combination of which is as likely as
  /// another where they could be counted. Constraints that only the program's body has refuse some
  /// more.
  template <typename Make>
  Result<CandidateRef> with_legal_knobs(Random& random, const Make& make) const {
    if (!program_)
      return make({});
    constexpr int kTries = 16;
    for (int left = kTries;; --left) {
      std::vector<size_t> own;
      if (!count_.estimated) {
        const auto count = static_cast<int64_t>(count_.combinations.size());
        own = count_.combinations[static_cast<size_t>(random.below(count))];
      } else {
        for (const script::Knob& knob : program_->knobs())
          own.push_back(choose(knob.name, knob.choices, 0, {}, &random));
        TEMPER_TRY(legal, program_->repaired(std::move(own), random));
        own = std::move(legal);
      }
      Result<CandidateRef> candidate = make(own);
      if (candidate || left == 1 || !candidate.error().message.starts_with(kConstraint))
        return candidate;
    }
  }

  /// The given choice, or the legal one nearest to it; without one a random one, or `otherwise`.
  static size_t choose(const std::string& name, const std::vector<ParameterValue>& choices,
                       size_t otherwise, const Given& given, Random* random) {
    const auto found = given.find(name);
    if (found == given.end())
      return random != nullptr
                 ? static_cast<size_t>(random->below(static_cast<int64_t>(choices.size())))
                 : otherwise;
    for (size_t i = 0; i < choices.size(); ++i)
      if (same_value(choices[i], found->second))
        return i;
    const int64_t* wanted = found->second.as_int();
    if (wanted == nullptr)
      return otherwise;
    size_t best = otherwise;
    double distance = INFINITY;
    for (size_t i = 0; i < choices.size(); ++i)
      if (const auto* number = std::get_if<int64_t>(&choices[i])) {
        const double d = std::abs(std::log2(static_cast<double>(std::max<int64_t>(1, *number))) -
                                  std::log2(static_cast<double>(std::max<int64_t>(1, *wanted))));
        if (d < distance) {
          distance = d;
          best = i;
        }
      }
    return best;
  }

  /// `own`: the program's knobs; the others as given. `defaults`: what operators leave open is not
  /// left to chance.
  Result<CandidateRef> build(const std::vector<size_t>& own, const Given& given, Random* random,
                             std::string origin, uint64_t parent, bool defaults = false) const {
    std::vector<Decision> decisions;
    ir::IRModule module = untuned_->module;
    if (program_) {
      for (size_t i = 0; i < own.size(); ++i)
        decisions.push_back({program_->knobs()[i].name, program_->knobs()[i].choices, own[i]});
      Result<ir::IRModule> made = program_->instantiate(own);
      if (!made)
        return Error(made.error().code, made.error().code == ErrorCode::kIllegal
                                            ? kConstraint + made.error().message
                                            : made.error().message);
      module = *made;
    }
    ir::PrimFunc function = function_of(module);
    constexpr size_t kMaxDecisions = 64;
    while (decisions.size() < kMaxDecisions) {
      Result<std::vector<tir::OpenCall>> found = open_next(function);
      if (!found) // what was decided does not go together
        return Error(ErrorCode::kIllegal, found.error().message);
      const std::vector<tir::OpenCall>& open = *found;
      if (open.empty())
        break;
      for (const tir::OpenCall& call : open) {
        size_t otherwise = 0;
        Decision decision = decision_of(call, otherwise);
        decision.chosen =
            choose(decision.name, decision.choices, otherwise, given, defaults ? nullptr : random);
        TEMPER_TRY(decided, set_open(function, decision.name, decision.choices[decision.chosen]));
        function = decided;
        decisions.push_back(std::move(decision));
      }
    }
    // Knobs may be what leads beyond a buffer.
    if (const auto inside = ir::verify_accesses(function); !inside)
      return Error(ErrorCode::kIllegal, inside.error().message);
    auto candidate = std::make_shared<Candidate>();
    candidate->trace = to_trace(decisions);
    candidate->module = ir::with_function(ir::make_module(module->functions),
                                          module->functions.front().name, function);
    candidate->program_hash = ir::structural_hash(candidate->module);
    candidate->parent = parent;
    candidate->origin = std::move(origin);
    Result<ir::PrimFunc> code = lowered(function);
    if (!code)
      return Error(ErrorCode::kIllegal, code.error().message);
    candidate->features =
        features_of(decisions, architecture_ == 0 ? *code : ir::PrimFunc(), options_);
    return CandidateRef(std::move(candidate));
  }

  ir::IRModule module_;
  ir::LowerOptions options_;
  int architecture_ = 0;
  std::optional<KnobProgram> program_;
  KnobProgram::Count count_;
  std::vector<size_t> start_; ///< the first choices that are legal together
  CandidateRef first_;        ///< with what operators leave open at its default; may be null
  std::vector<size_t> open_sizes_;
  CandidateRef untuned_;
};

} // namespace

bool is_knob_program(const ir::IRModule& module) {
  if (script::has_knobs(module))
    return true;
  const auto function = module->functions.size() == 1 ? function_of(module) : ir::PrimFunc();
  return function && !function->s_tir && tir::is_tile_program(function);
}

std::vector<std::string> knob_feature_names(const s_tir::Trace& trace) {
  std::vector<std::string> names(kFeatureCount);
  DecisionFeatures places;
  if (const auto values = values_of(trace))
    for (const auto& [name, value] : *values)
      if (const size_t place = places.next(name); place < names.size()) {
        const bool shared = !names[place].empty(); // an operator's eighth knob and those after it
        names[place] += (shared ? ", " : "") + name;
      }
  size_t next = kLoweredFeatures;
  for (const char* name : kLoweredNames)
    names[next++] = name;
  return names;
}

const char* knob_feature_group(size_t feature) {
  return feature < kOperatorFeatures  ? "knobs of the program"
         : feature < kLoweredFeatures ? "choices of tile operators"
                                      : "estimates of the lowered program";
}

static Result<std::unique_ptr<Space>> make_space(const ir::IRModule& module,
                                                 ir::LowerOptions options, int architecture) {
  if (!is_knob_program(module) || module->functions.size() != 1 || !function_of(module))
    return Error(ErrorCode::kUnsupported, "this is no tile program: it has no T.Kernel");
  const ir::PrimFunc function = function_of(module);
  if (const auto source = tir::source_kernel_in(function->body); source && architecture == 0)
    return Error(ErrorCode::kUnsupported,
                 tir::only_on_gpu(function->body) + ": name one, as --target cuda:sm_90a");
  if (!function->shape_vars.empty() && architecture != 0)
    return Error(ErrorCode::kUnsupported,
                 "the shapes of '" + function->name + "' are symbolic; for a GPU they are numbers");
  auto space = std::make_unique<KnobSpace>(module, std::move(options), architecture);
  TEMPER_TRY_VOID(space->prepare());
  return std::unique_ptr<Space>(std::move(space));
}

Result<std::unique_ptr<Space>> make_knob_space(const ir::IRModule& module,
                                               ir::LowerOptions options) {
  return make_space(module, std::move(options), 0);
}

Result<std::unique_ptr<Space>> make_gpu_knob_space(const ir::IRModule& module, int architecture) {
  return make_space(module, {}, architecture);
}

s_tir::Trace knob_trace(std::span<const script::Knob> knobs, std::span<const size_t> chosen) {
  std::vector<Decision> decisions;
  for (size_t i = 0; i < knobs.size(); ++i)
    decisions.push_back({knobs[i].name, knobs[i].choices, chosen[i]});
  return to_trace(decisions);
}

std::string knob_text(const s_tir::Trace& trace) {
  std::string text;
  if (const auto values = values_of(trace))
    for (const auto& [name, value] : *values) {
      const int64_t* number = value.as_int();
      const std::string* word = value.as_string();
      text += (text.empty() ? "" : " ") + name + "=" +
              (number != nullptr ? std::to_string(*number)
               : word != nullptr ? *word
                                 : std::to_string(*value.as_double()));
    }
  return text;
}

Result<ir::IRModule> program_of(const s_tir::Trace& trace, const ir::IRModule& module) {
  if (!is_knob_program(module)) {
    s_tir::ReplayOptions options;
    options.sample_missing = false;
    TEMPER_TRY(schedule, s_tir::replay(trace, module, 0, options));
    return schedule.module();
  }
  if (trace.empty())
    return ir::make_module(module->functions);
  TEMPER_TRY(values, values_of(trace));
  ir::IRModule program = ir::make_module(module->functions);
  size_t own = 0;
  if (script::has_knobs(module)) {
    TEMPER_TRY(knobs, KnobProgram::of(module));
    std::vector<size_t> chosen;
    for (const script::Knob& knob : knobs.knobs()) {
      if (own >= values.size() || values[own].first != knob.name)
        return Error(ErrorCode::kInvalidArgument, "the trace does not set the knob '" + knob.name +
                                                      "'; it was made for another "
                                                      "version of the program");
      const auto place =
          std::find_if(knob.choices.begin(), knob.choices.end(), [&](const ParameterValue& choice) {
            return same_value(choice, values[own].second);
          });
      if (place == knob.choices.end())
        return Error(ErrorCode::kInvalidArgument,
                     "the knob '" + knob.name + "' has no such choice any more");
      chosen.push_back(static_cast<size_t>(place - knob.choices.begin()));
      ++own;
    }
    TEMPER_TRY(made, knobs.instantiate(chosen));
    program = ir::make_module(made->functions);
  }
  ir::PrimFunc function = function_of(program);
  for (size_t i = own; i < values.size(); ++i) {
    const auto& [name, value] = values[i];
    ParameterValue plain;
    if (const int64_t* number = value.as_int())
      plain = *number;
    else if (const std::string* text = value.as_string())
      plain = *text;
    else
      return Error(ErrorCode::kInvalidArgument, "the knob '" + name + "' is a number or a name");
    TEMPER_TRY(changed, set_open(function, name, plain));
    function = changed;
  }
  return ir::with_function(program, program->functions.front().name, function);
}

} // namespace temper::tuner
