#include "ir/script/rule_file.h"

#include "ir/script/schedule_language.h"
#include "ir/script/session.h"
#include "ir/support/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

namespace temper::script {
namespace {

constexpr std::string_view kRule = "_rule";
constexpr std::string_view kPostproc = "_postproc";
constexpr std::string_view kMutator = "_mutator";
/// The parameter by which a rule asks for the machine's facts.
constexpr const char* kMachine = "machine";
constexpr std::string_view kSchedule = "sch";

/// A schedule and a block, and what is known of the machine where it asks for that.
bool is_rule(const std::vector<std::string>& parameters) {
  return parameters.size() >= 2 && parameters[0] == kSchedule &&
         (parameters.size() == 2 || (parameters.size() == 3 && parameters[2] == kMachine));
}

Value machine_value(const MachineFacts& machine) {
  Dict dict{std::make_shared<std::vector<std::pair<Value, Value>>>()};
  for (const auto& [name, fact] : machine) {
    Value value;
    if (const auto* number = std::get_if<int64_t>(&fact)) {
      value = static_cast<Int>(*number);
    } else {
      std::vector<Value> names;
      for (const std::string& item : std::get<std::vector<std::string>>(fact))
        names.push_back(make_text(item));
      value = make_sequence(std::move(names), false);
    }
    dict.items->emplace_back(make_text(name), std::move(value));
  }
  return dict;
}

Value numbers(const std::vector<int64_t>& values) {
  std::vector<Value> items;
  for (const int64_t value : values)
    items.emplace_back(static_cast<Int>(value));
  return make_sequence(std::move(items), false);
}

/// What was decided: factors, an index, or None.
Value decided(const s_tir::Trace& trace, const s_tir::DecisionPoint& point) {
  const s_tir::Value& decision = trace[point.instruction].decision;
  if (const auto* list = decision.as_list()) {
    std::vector<int64_t> factors;
    for (const s_tir::Value& item : *list)
      factors.push_back(item.as_int() != nullptr ? *item.as_int() : 1);
    return numbers(factors);
  }
  return decision.as_int() != nullptr ? Value(static_cast<Int>(*decision.as_int())) : Value(None{});
}

/// The decision as mutators see it.
Value decision_value(const s_tir::Trace& trace, const s_tir::DecisionPoint& point) {
  using Kind = s_tir::DecisionPoint::Kind;
  Dict dict{std::make_shared<std::vector<std::pair<Value, Value>>>()};
  const auto add = [&](const char* name, Value value) {
    dict.items->emplace_back(make_text(name), std::move(value));
  };
  add("kind", make_text(point.kind == Kind::kPerfectTile   ? "tile"
                        : point.kind == Kind::kCategorical ? "category"
                                                           : "location"));
  add("value", decided(trace, point));
  if (point.kind == Kind::kPerfectTile) {
    add("extent", static_cast<Int>(point.extent));
    add("max_innermost_factor", static_cast<Int>(point.max_innermost_factor));
  } else if (point.kind == Kind::kCategorical) {
    add("candidates", numbers(point.candidates));
  }
  return dict;
}

/// Nothing (reported) for what is neither a number nor a list of numbers.
std::optional<s_tir::Value> to_decision(Evaluator& evaluator, const Value& value,
                                        Position position) {
  constexpr const char* kWhat = "a decision";
  const auto* items = value.sequence();
  if (items == nullptr) {
    const auto number = evaluator.to_int64(value, position, kWhat);
    return number ? std::optional(s_tir::Value(*number)) : std::nullopt;
  }
  s_tir::Value::List list;
  for (const Value& item : *items) {
    const auto number = evaluator.to_int64(item, position, kWhat);
    if (!number)
      return std::nullopt;
    list.emplace_back(*number);
  }
  return s_tir::Value(std::move(list));
}

/// Why the decision cannot become that; empty: it can. Places depend on the program: any index.
std::string why_not(const s_tir::Value& value, const s_tir::DecisionPoint& point) {
  using Kind = s_tir::DecisionPoint::Kind;
  const int64_t* number = value.as_int();
  if (point.kind == Kind::kComputeLocation)
    return number != nullptr ? "" : "a location is a number";
  if (point.kind == Kind::kCategorical) {
    const auto count = static_cast<int64_t>(point.candidates.size());
    return number != nullptr && *number >= 0 && *number < count
               ? ""
               : fmt::format("a category is an index of its {} candidates, from 0 to {}", count,
                             count - 1);
  }
  const s_tir::Value::List* factors = value.as_list();
  if (factors == nullptr || static_cast<int64_t>(factors->size()) != point.parts)
    return fmt::format("a tile is a list of {} factors", point.parts);
  int64_t product = 1;
  for (const s_tir::Value& factor : *factors)
    if (factor.as_int() == nullptr || *factor.as_int() < 1 ||
        __builtin_mul_overflow(product, *factor.as_int(), &product))
      return "the factors of a tile are positive";
  if (product != point.extent)
    return fmt::format("the factors' product is {}, and the extent is {}", product, point.extent);
  if (const int64_t last = *factors->back().as_int();
      point.parts > 1 && last > point.max_innermost_factor)
    return fmt::format("the innermost factor may be {} at most", point.max_innermost_factor);
  return "";
}

} // namespace

Result<RuleFile> RuleFile::parse(std::string text, const std::string& file) {
  auto state = std::make_shared<State>();
  state->text = std::move(text);
  state->file = file;
  Session session(file, state->text);
  const auto wrong = [&](const Statement& def, const std::string& how) {
    session.diagnostics.report(def.position, def.name + " " + how);
  };
  for (const StatementPtr& statement : session.body) {
    if (statement->type != Statement::Type::kDef || !statement->decorators.empty())
      continue;
    const Closure* closure = session.function(statement->name);
    if (closure == nullptr || closure->def != statement.get())
      continue; // defined again further down
    const std::string& name = statement->name;
    const std::vector<std::string> parameters = parameters_of(*closure);
    if (is_rule(parameters))
      state->named.push_back(name);
    if (name.ends_with(kRule)) {
      if (is_rule(parameters))
        state->rules.push_back(name);
      else
        wrong(*statement, "is a schedule rule by its name, and such a function takes (sch, block) "
                          "or (sch, block, machine)");
    } else if (name.ends_with(kPostproc)) {
      if (parameters.size() == 1 && parameters[0] == kSchedule)
        state->postprocs.push_back(name);
      else
        wrong(*statement, "is a post-processor by its name, and such a function takes (sch)");
    } else if (name.ends_with(kMutator)) {
      Mutator mutator{name, 0};
      const bool weighted = parameters.size() == 2 && parameters[1] == "weight" &&
                            closure->defaults && closure->defaults->size() == 1;
      if (weighted) {
        const Value& weight = closure->defaults->front();
        if (const auto* real = weight.as<double>())
          mutator.weight = *real;
        else if (const auto* number = weight.as<Int>())
          mutator.weight = static_cast<double>(*number);
      }
      if (!weighted || !(mutator.weight > 0 && mutator.weight <= 1))
        wrong(*statement, "is a mutator by its name, and such a function takes (decision, "
                          "weight=0.1), where the weight is its share of all mutations, above 0 "
                          "and at most 1");
      state->mutators.push_back(std::move(mutator));
    }
  }
  if (!session.diagnostics.empty())
    return session.diagnostics.to_error();
  RuleFile result;
  result.state_ = std::move(state);
  return result;
}

RuleFile RuleFile::with_rules(std::vector<std::string> rules) const {
  auto state = std::make_shared<State>(*state_);
  state->rules = std::move(rules);
  RuleFile result;
  result.state_ = std::move(state);
  return result;
}

bool RuleFile::has_rule(const std::string& function) const {
  return std::find(state_->named.begin(), state_->named.end(), function) != state_->named.end();
}

uint64_t RuleFile::hash() const {
  return postprocs().empty() && mutators().empty() ? 0 : hash_bytes(state_->text);
}

Result<std::vector<s_tir::Schedule>> RuleFile::apply_rule(const std::string& function,
                                                          const s_tir::Schedule& schedule,
                                                          s_tir::BlockRv block,
                                                          const MachineFacts& machine) const {
  s_tir::Schedule start = schedule;
  start.set_render_errors(true);
  TEMPER_TRY(made, schedules_by(
                       file(), state_->text, start,
                       [&](Session& session) { return session.function(function); },
                       [&](Session& session) {
                         std::vector<Value> more{Value(s_tir::Rv(block))};
                         if (parameters_of(*session.function(function)).size() > 2)
                           more.push_back(machine_value(machine));
                         return more;
                       }));
  for (s_tir::Schedule& each : made)
    each.set_render_errors(false);
  return std::move(made);
}

Result<void> RuleFile::postprocess(const std::string& function, s_tir::Schedule& schedule) const {
  TEMPER_TRY(made, schedules_by(
                       file(), state_->text, schedule,
                       [&](Session& session) { return session.function(function); },
                       [](Session&) { return std::vector<Value>(); }));
  if (made.size() != 1)
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("{}: {} is a post-processor and makes one schedule, not {}", file(),
                             function, made.size()));
  schedule = made.front();
  return {};
}

Result<std::vector<s_tir::Value>> RuleFile::alternatives(const std::string& function,
                                                         const s_tir::Trace& trace,
                                                         const s_tir::DecisionPoint& point) const {
  Session session(file(), state_->text);
  const Closure* closure = session.function(function);
  TEMPER_CHECK(closure != nullptr, "parse() has found the function");
  const Position position = closure->def->position;
  const Value result =
      call_with(session.evaluator, *closure, {decision_value(trace, point)}, position);
  std::vector<s_tir::Value> all;
  if (session.diagnostics.empty() && !result.is<None>()) {
    const auto* items = result.sequence();
    if (items == nullptr)
      session.diagnostics.report(position, function +
                                               " returns a list of what the decision may "
                                               "become, not " +
                                               describe(result));
    for (const Value& item : items != nullptr ? *items : std::vector<Value>())
      if (auto decision = to_decision(session.evaluator, item, position)) {
        // One that is no such decision would be replaced by the nearest that is, unseen.
        if (const std::string why = why_not(*decision, point); !why.empty())
          session.diagnostics.report(position,
                                     fmt::format("{} lets {} become {}, and {}", function,
                                                 repr(decided(trace, point)), repr(item), why));
        all.push_back(std::move(*decision));
      }
  }
  if (!session.diagnostics.empty())
    return session.diagnostics.to_error();
  return all;
}

Result<std::vector<RuleFile>> load_rule_files() {
  std::vector<RuleFile> result;
  const char* files = std::getenv("TEMPER_RULES");
  for (const std::string& file : split_text(files != nullptr ? files : "", ':')) {
    if (file.empty())
      continue;
    auto text = read_file(file);
    if (!text)
      return std::move(text).error().with_note("TEMPER_RULES names it: " + std::string(files));
    TEMPER_TRY(rules, RuleFile::parse(*std::move(text), file));
    if (rules.empty() && !rules.has_named_rules())
      return Error(ErrorCode::kInvalidArgument,
                   file + ", which TEMPER_RULES names, has no function NAME_rule(sch, block), "
                          "NAME_postproc(sch) or NAME_mutator(decision, weight=0.1)");
    result.push_back(std::move(rules));
  }
  return result;
}

bool schedules_programs(std::string_view function, std::string_view first_parameter) {
  return function.ends_with(kMutator) || first_parameter == kSchedule;
}

bool may_hold_rules(std::string_view text) {
  return text.find("(sch") != std::string_view::npos ||
         text.find(kMutator) != std::string_view::npos;
}

} // namespace temper::script
