#include "ir/script/schedule_language.h"

#include "ir/s_tir/python_call.h"
#include "ir/script/printer.h"
#include "ir/script/session.h"
#include "ir/support/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::script {
namespace {

using s_tir::Operand;

/// Random samples may lead to a schedule that a later primitive refuses: another seed may not.
constexpr uint64_t kSeeds = 32;

Value refuse(Evaluator& evaluator, ScheduleValue& schedule, Position position, Error error) {
  const std::string message = error.message;
  if (!*schedule.refusal)
    *schedule.refusal = std::move(error);
  return evaluator.report(position, message);
}

ScheduleValue& self_of(const CallArguments& call) {
  return **call.callee->self->as<std::shared_ptr<ScheduleValue>>();
}

/// "lambda i, j: (i // 4, j, i % 4)", from what the function gives for variables of these names.
std::optional<Operand> map_text(Evaluator& evaluator, const Closure& closure, Position position) {
  const std::vector<std::string> names = parameters_of(closure);
  std::vector<Value> variables;
  for (const std::string& name : names)
    variables.emplace_back(Expr(make_var(name, DataType::int32())));
  const Value result = call_with(evaluator, closure, std::move(variables), position);
  if (result.is_poison())
    return std::nullopt;
  const auto text_of = [&](const Value& value) {
    const Expr expr = evaluator.to_expr(value, position);
    return expr ? std::optional(to_text(expr)) : std::nullopt;
  };
  const std::vector<Value> one{result};
  std::vector<std::string> outputs;
  for (const Value& item : result.sequence() != nullptr ? *result.sequence() : one) {
    // A range of elements: (begin, end).
    const std::vector<Value> plain{item};
    const auto* pair = item.sequence();
    std::vector<std::string> ends;
    for (const Value& end : pair != nullptr ? *pair : plain) {
      const auto text = text_of(end);
      if (!text)
        return std::nullopt;
      ends.push_back(*text);
    }
    outputs.push_back(pair != nullptr ? "(" + join(ends, ", ") + ")" : ends[0]);
  }
  const auto* sequence = result.as<Sequence>();
  const bool list = sequence != nullptr && !sequence->is_tuple;
  return Operand(fmt::format("lambda {}: {}{}{}{}", join(names, ", "), list ? "[" : "(",
                             join(outputs, ", "), outputs.size() == 1 && !list ? "," : "",
                             list ? "]" : ")"));
}

/// Reports and returns nothing when the value is none that a primitive takes.
std::optional<Operand> to_operand(Evaluator& evaluator, const Value& value, Position position) {
  if (value.is<None>())
    return Operand();
  if (const auto* flag = value.as<bool>())
    return Operand(*flag);
  if (value.is<Int>() || value.is<Expr>()) {
    const auto number = evaluator.to_int64(value, position, "an argument of a primitive");
    return number ? std::optional(Operand(*number)) : std::nullopt;
  }
  if (const auto* real = value.as<double>())
    return Operand(*real);
  if (value.text() != nullptr)
    return Operand(*value.text());
  if (const auto* type = value.as<TypeName>())
    return Operand(temper::to_string(type->dtype));
  if (const auto* rv = value.as<s_tir::Rv>())
    return Operand(*rv);
  if (const auto* closure = value.as<const Closure*>())
    return map_text(evaluator, **closure, position);
  if (const auto* items = value.sequence()) {
    Operand::List list;
    for (const Value& item : *items) {
      auto operand =
          evaluator.step(position) ? to_operand(evaluator, item, position) : std::nullopt;
      if (!operand)
        return std::nullopt;
      list.push_back(std::move(*operand));
    }
    return Operand(std::move(list));
  }
  evaluator.report(position, "a primitive takes blocks, loops, sampled values, numbers, text and "
                             "lists of them, not " +
                                 describe(value));
  return std::nullopt;
}

Value call_primitive(Evaluator& evaluator, CallArguments& call) {
  ScheduleValue& self = self_of(call);
  const s_tir::Primitive& primitive = *s_tir::find_primitive(call.callee->data);
  std::vector<s_tir::PythonArgument> arguments;
  const auto add = [&](const std::string& keyword, const Value& value, Position position) {
    if (!keyword.empty() && value.is<None>())
      return true; // TVM's way to leave an argument out
    auto operand = to_operand(evaluator, value, position);
    if (operand)
      arguments.push_back({keyword, std::move(*operand)});
    return operand.has_value();
  };
  for (size_t i = 0; i < call.positional.size(); ++i)
    if (!add("", call.positional[i], call.positions[i]))
      return Poison{};
  bool names_function = call.positional.size() > 1;
  for (size_t i = 0; i < call.keywords.size(); ++i) {
    if (!add(call.keywords[i].first, call.keywords[i].second, call.keyword_positions[i]))
      return Poison{};
    names_function |= !arguments.empty() && arguments.back().keyword == "func_name";
  }
  if (primitive.name == "GetSBlock" && !names_function)
    arguments.push_back({"func_name", self.schedule.module()->functions.front().name});
  auto instruction = s_tir::instruction_of_call(primitive, std::move(arguments));
  if (!instruction)
    return refuse(evaluator, self, call.position, std::move(instruction).error());
  const auto outputs =
      self.schedule.call(primitive, std::move(instruction->inputs), std::move(instruction->attrs),
                         std::move(instruction->decision));
  if (!outputs)
    return refuse(evaluator, self, call.position, outputs.error());
  if (primitive.outputs.empty())
    return None{};
  if (!primitive.variadic_output && outputs->size() == 1)
    return outputs->front();
  return make_sequence(std::vector<Value>(outputs->begin(), outputs->end()), false);
}

Value copy_schedule(Evaluator& evaluator, CallArguments& call) {
  const ArgReader args(evaluator, call, std::initializer_list<const char*>(), 0);
  if (!args.ok())
    return Poison{};
  return std::make_shared<ScheduleValue>(self_of(call));
}

/// The loop or block itself, for its extent or name.
Value get(Evaluator& evaluator, CallArguments& call) {
  const ArgReader args(evaluator, call, {"rand_var_or_sref"}, 1);
  if (!args.ok())
    return Poison{};
  ScheduleValue& self = self_of(call);
  const auto* rv = args[0].as<s_tir::Rv>();
  if (rv == nullptr)
    return evaluator.report(args.where(0),
                            "sch.get() takes a block or a loop, not " + describe(args[0]));
  if (rv->kind == s_tir::RvKind::kExpr)
    return evaluator.report(args.where(0),
                            "what is sampled is decided anew for each candidate: a hand-written "
                            "space may hand it to primitives, but not look at it");
  if (rv->kind == s_tir::RvKind::kBlock) {
    const auto block = self.schedule.get_block(s_tir::BlockRv(*rv));
    if (!block)
      return refuse(evaluator, self, call.position, block.error());
    ContextSpec spec;
    spec.name = (*block)->name;
    return spec;
  }
  const auto loop = self.schedule.get_loop(s_tir::LoopRv(*rv));
  if (!loop)
    return refuse(evaluator, self, call.position, loop.error());
  auto spec = std::make_shared<LoopSpec>();
  spec->kind = (*loop)->kind;
  spec->ranges.push_back({(*loop)->min, (*loop)->extent});
  return Value(std::shared_ptr<const LoopSpec>(std::move(spec)));
}

Value work_on(Evaluator& evaluator, CallArguments& call) {
  const ArgReader args(evaluator, call, {"func_name"}, 1);
  if (!args.ok())
    return Poison{};
  const std::string& only = self_of(call).schedule.module()->functions.front().name;
  if (args[0].text() == nullptr || *args[0].text() != only)
    return evaluator.report(args.where(0), "a workload is one function, \"" + only + "\"");
  return None{};
}

struct Method {
  const char* name;
  BuiltinFunction function;
};
constexpr Method kMethods[] = {{"copy", copy_schedule}, {"get", get}, {"work_on", work_on}};

std::optional<Value> find_in_loop(const LoopSpec& loop, const std::string& name) {
  if (loop.ranges.size() != 1 || (name != "extent" && name != "min"))
    return std::nullopt;
  const Expr& value = name == "extent" ? loop.ranges[0].extent : loop.ranges[0].min;
  const auto known = as_int(value);
  return known ? Value(static_cast<Int>(*known)) : Value(value);
}

Value schedule_method(Evaluator& evaluator, const Value& self, const std::string& name,
                      Position position) {
  Builtin builtin;
  builtin.self = std::make_shared<const Value>(self);
  // Older TVM's word.
  const std::string spelled = name == "get_block" ? "get_sblock" : name;
  if (spelled == "enter_postproc")
    return evaluator.report(position, "a hand-written space ends where post-processing begins, "
                                      "which is temper's: leave enter_postproc() out");
  std::vector<std::string> known;
  for (const Method& method : kMethods) {
    known.emplace_back(method.name);
    if (spelled == method.name) {
      builtin.name = method.name;
      builtin.function = method.function;
      return builtin;
    }
  }
  for (const s_tir::Primitive* primitive : s_tir::all_primitives()) {
    known.push_back(primitive->python_name);
    if (spelled == primitive->python_name) {
      builtin.name = primitive->python_name.c_str();
      builtin.data = primitive->python_name.c_str();
      builtin.function = call_primitive;
      return builtin;
    }
  }
  return evaluator.report(position,
                          "there is no primitive '" + name + "'" + did_you_mean(name, known));
}

/// What the function returned, as traces; reports what is no schedule.
std::vector<s_tir::Trace> traces_of(Evaluator& evaluator, const Value& result,
                                    const ScheduleValue& start, Position position) {
  if (result.is<None>())
    return {start.schedule.trace()};
  std::vector<s_tir::Trace> traces;
  const std::vector<Value> one{result};
  for (const Value& item : result.sequence() != nullptr ? *result.sequence() : one) {
    const auto* schedule = item.as<std::shared_ptr<ScheduleValue>>();
    if (schedule == nullptr) {
      evaluator.report(position, "a hand-written space returns nothing, a schedule or a list of "
                                 "schedules, not " +
                                     describe(item));
      return {};
    }
    traces.push_back((*schedule)->schedule.trace());
  }
  if (traces.empty())
    evaluator.report(position,
                     "a hand-written space has at least one schedule, this list is empty");
  return traces;
}

bool samples(const s_tir::Trace& trace) {
  for (size_t i = 0; i < trace.size(); ++i)
    if (trace[i].primitive->has_decision)
      return true;
  return false;
}

} // namespace

std::optional<Value> find_in_schedule(Evaluator& evaluator, const Value& self,
                                      const std::string& name, Position position) {
  if (self.is<std::shared_ptr<ScheduleValue>>())
    return schedule_method(evaluator, self, name, position);
  if (const auto* loop = self.as<std::shared_ptr<const LoopSpec>>())
    return find_in_loop(**loop, name);
  if (const auto* context = self.as<ContextSpec>();
      context != nullptr && context->kind == ContextSpec::Kind::kBlock && name == "name_hint")
    return make_text(context->name);
  if (self.is<s_tir::Rv>())
    return evaluator.report(position, describe(self) + " has no '" + name +
                                          "'; sch.get() gives a loop with its extent, or a block "
                                          "with its name_hint");
  return std::nullopt;
}

Result<std::vector<s_tir::Trace>> schedule_templates(std::string_view text, const std::string& file,
                                                     const std::string& workload,
                                                     const IRModule& module) {
  for (uint64_t seed = 1;; ++seed) {
    Session session(file, text);
    if (!session.diagnostics.empty())
      return session.diagnostics.to_error();
    const Closure* closure = session.function(workload + "_schedule");
    if (closure == nullptr)
      closure = session.function("schedule");
    if (closure == nullptr)
      return std::vector<s_tir::Trace>();
    const auto start = std::make_shared<ScheduleValue>(
        ScheduleValue{s_tir::Schedule(module, seed), std::make_shared<std::optional<Error>>()});
    const Position position = closure->def->position;
    const Value result = call_with(session.evaluator, *closure, {Value(start)}, position);
    std::vector<s_tir::Trace> traces;
    if (session.diagnostics.empty() && !result.is_poison())
      traces = traces_of(session.evaluator, result, *start, position);
    if (session.diagnostics.empty())
      return traces;
    const std::optional<Error>& refusal = *start->refusal;
    if (refusal && refusal->code == ErrorCode::kIllegal && seed < kSeeds &&
        samples(start->schedule.trace()))
      continue;
    Error error = session.diagnostics.to_error();
    if (refusal)
      error.notes.insert(error.notes.end(), refusal->notes.begin(), refusal->notes.end());
    return error;
  }
}

} // namespace temper::script
