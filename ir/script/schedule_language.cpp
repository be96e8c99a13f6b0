#include "ir/script/schedule_language.h"

#include "ir/pass/pipeline_loops.h"
#include "ir/s_tir/lower.h"
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

/// Of annotations: "software_pipeline_stage", ..
constexpr std::string_view kPipelinePrefix = "software_pipeline_";

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

/// The call as an instruction, its first `skip` positional arguments left out; reports and returns
/// nothing when an argument is none of the primitive's.
std::optional<s_tir::Instruction> read_call(Evaluator& evaluator, CallArguments& call,
                                            const s_tir::Primitive& primitive, size_t skip) {
  ScheduleValue& self = self_of(call);
  std::vector<s_tir::PythonArgument> arguments;
  const auto add = [&](const std::string& keyword, const Value& value, Position position) {
    if (!keyword.empty() && value.is<None>())
      return true; // TVM's way to leave an argument out
    auto operand = to_operand(evaluator, value, position);
    if (operand)
      arguments.push_back({keyword, std::move(*operand)});
    return operand.has_value();
  };
  for (size_t i = skip; i < call.positional.size(); ++i)
    if (!add("", call.positional[i], call.positions[i]))
      return std::nullopt;
  bool names_function = call.positional.size() > skip + 1;
  for (size_t i = 0; i < call.keywords.size(); ++i) {
    if (!add(call.keywords[i].first, call.keywords[i].second, call.keyword_positions[i]))
      return std::nullopt;
    names_function |= !arguments.empty() && arguments.back().keyword == "func_name";
  }
  if (primitive.name == "GetSBlock" && !names_function)
    arguments.push_back({"func_name", self.schedule.module()->functions.front().name});
  auto instruction = s_tir::instruction_of_call(primitive, std::move(arguments));
  if (!instruction) {
    refuse(evaluator, self, call.position, std::move(instruction).error());
    return std::nullopt;
  }
  return *std::move(instruction);
}

Value call_primitive(Evaluator& evaluator, CallArguments& call) {
  ScheduleValue& self = self_of(call);
  const s_tir::Primitive& primitive = *s_tir::find_primitive(call.callee->data);
  auto instruction = read_call(evaluator, call, primitive, 0);
  if (!instruction)
    return Poison{};
  const std::string* key =
      primitive.name == "Annotate" ? instruction->attrs[0].as_string() : nullptr;
  const bool pipeline = key != nullptr && key->starts_with(kPipelinePrefix);
  const auto outputs =
      self.schedule.call(primitive, std::move(instruction->inputs), std::move(instruction->attrs),
                         std::move(instruction->decision));
  if (!outputs)
    return refuse(evaluator, self, call.position, outputs.error());
  if (pipeline)
    *self.pipeline = call.position;
  if (primitive.outputs.empty())
    return None{};
  if (!primitive.variadic_output && outputs->size() == 1)
    return outputs->front();
  return make_sequence(std::vector<Value>(outputs->begin(), outputs->end()), false);
}

Value unknown_primitive(Evaluator& evaluator, const std::string& name, Position position) {
  std::vector<std::string> known{"can", "copy", "get", "work_on"};
  for (const s_tir::Primitive* primitive : s_tir::all_primitives())
    known.push_back(primitive->python_name);
  return evaluator.report(position,
                          "there is no primitive '" + name + "'" + did_you_mean(name, known));
}

/// sch.can("compute_inline", block): whether the primitive would take it. Nothing is done.
Value can(Evaluator& evaluator, CallArguments& call) {
  const std::string* name = call.positional.empty() ? nullptr : call.positional[0].text();
  if (name == nullptr)
    return evaluator.report(call.position, "sch.can() takes a primitive's name and what one would "
                                           "give to it, as sch.can(\"vectorize\", j)");
  const s_tir::Primitive* primitive = s_tir::find_primitive(*name);
  if (primitive == nullptr || primitive->python_name != *name)
    return unknown_primitive(evaluator, *name, call.positions[0]);
  auto instruction = read_call(evaluator, call, *primitive, 1);
  if (!instruction)
    return Poison{};
  s_tir::Schedule probe = self_of(call).schedule;
  probe.set_render_errors(false);
  return probe
      .call(*primitive, std::move(instruction->inputs), std::move(instruction->attrs),
            std::move(instruction->decision))
      .has_value();
}

Value copy_schedule(Evaluator& evaluator, CallArguments& call) {
  const ArgReader args(evaluator, call, std::initializer_list<const char*>(), 0);
  if (!args.ok())
    return Poison{};
  return std::make_shared<ScheduleValue>(self_of(call));
}

std::shared_ptr<const LoopSpec> loop_of(tir::ForKind kind, Range range) {
  auto spec = std::make_shared<LoopSpec>();
  spec->kind = kind;
  spec->ranges.push_back(std::move(range));
  return spec;
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
    spec.block = *block;
    return spec;
  }
  const auto loop = self.schedule.get_loop(s_tir::LoopRv(*rv));
  if (!loop)
    return refuse(evaluator, self, call.position, loop.error());
  return Value(loop_of((*loop)->kind, {(*loop)->min, (*loop)->extent}));
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
constexpr Method kMethods[] = {
    {"can", can}, {"copy", copy_schedule}, {"get", get}, {"work_on", work_on}};

/// An annotation as a value of the script.
Value value_of(const Expr& annotation) {
  if (const auto* text = annotation.as<StringImm>())
    return make_text(text->value);
  if (const auto number = as_int(annotation))
    return static_cast<Int>(*number);
  if (const auto* list = annotation.as<ListImm>()) {
    std::vector<Value> items;
    for (const Expr& item : list->values)
      items.push_back(value_of(item));
    return make_sequence(std::move(items), false);
  }
  return annotation;
}

/// What sch.get(block) knows of the block, by TVM's names.
std::optional<Value> find_in_block(const s_tir::SBlock& block, const std::string& name) {
  if (name == "name_hint")
    return make_text(block.name);
  if (name == "iter_vars")
    return make_sequence(std::vector<Value>(block.iter_vars.begin(), block.iter_vars.end()), false);
  if (name == "reads" || name == "writes") {
    std::vector<Value> regions;
    for (const BufferRegion& region : name == "reads" ? block.reads : block.writes) {
      std::vector<IndexOrRange> indices;
      for (const Range& range : region.region)
        indices.push_back(is_int(range.extent, 1)
                              ? IndexOrRange{range.min, nullptr}
                              : IndexOrRange{range.min, range.min + range.extent});
      regions.emplace_back(Region{
          region.buffer, std::make_shared<const std::vector<IndexOrRange>>(std::move(indices))});
    }
    return make_sequence(std::move(regions), false);
  }
  if (name == "annotations") {
    Dict dict{std::make_shared<std::vector<std::pair<Value, Value>>>()};
    for (const Annotation& entry : block.annotations.entries)
      dict.items->emplace_back(make_text(entry.key), value_of(entry.value));
    return dict;
  }
  return std::nullopt;
}

/// TVM's number of a kind of axis.
Int iter_type_of(s_tir::IterType type) {
  switch (type) {
  case s_tir::IterType::kSpatial:
    return 0;
  case s_tir::IterType::kReduce:
    return 2;
  case s_tir::IterType::kScan:
    return 3;
  case s_tir::IterType::kOpaque:
    return 4;
  }
  TEMPER_UNREACHABLE("all kinds of axes are handled");
}

std::optional<Value> find_in_axis(const s_tir::IterVar& axis, const std::string& name) {
  if (name == "var")
    return Value(Expr(axis.var));
  if (name == "iter_type")
    return Value(iter_type_of(axis.type));
  if (name == "dom")
    return Value(loop_of(tir::ForKind::kSerial, axis.domain));
  return std::nullopt;
}

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
  for (const Method& method : kMethods) {
    if (spelled == method.name) {
      builtin.name = method.name;
      builtin.function = method.function;
      return builtin;
    }
  }
  for (const s_tir::Primitive* primitive : s_tir::all_primitives()) {
    if (spelled == primitive->python_name) {
      builtin.name = primitive->python_name.c_str();
      builtin.data = primitive->python_name.c_str();
      builtin.function = call_primitive;
      return builtin;
    }
  }
  return unknown_primitive(evaluator, name, position);
}

/// What the function returned, as schedules; reports what is none.
std::vector<s_tir::Schedule> schedules_of(Evaluator& evaluator, const Value& result,
                                          const ScheduleValue& start, Position position) {
  if (result.is<None>())
    return {start.schedule};
  std::vector<s_tir::Schedule> schedules;
  const std::vector<Value> one{result};
  for (const Value& item : result.sequence() != nullptr ? *result.sequence() : one) {
    const auto* schedule = item.as<std::shared_ptr<ScheduleValue>>();
    if (schedule == nullptr) {
      evaluator.report(position, "a function that schedules returns nothing, a schedule or a list "
                                 "of schedules, not " +
                                     describe(item));
      return {};
    }
    schedules.push_back((*schedule)->schedule);
  }
  if (schedules.empty())
    evaluator.report(position,
                     "a function that schedules has at least one schedule, this list is empty");
  return schedules;
}

/// Why the software pipelines that the schedule asks for cannot be: how many statements a loop has,
/// and in which order they may run, only shows when all is done.
std::optional<Error> refused_pipeline(const s_tir::Schedule& schedule) {
  for (const ModuleEntry& entry : schedule.module()->functions) {
    const auto function = entry.function.as_ref<PrimFuncNode>();
    if (!function || !function->s_tir)
      continue;
    auto made = pipeline_loops(s_tir::lower_blocks(function));
    if (made)
      continue;
    Error error = std::move(made).error();
    // The place is that of the call which asked for it.
    if (const size_t end = error.message.find(": ");
        error.message.starts_with("line ") && end != std::string::npos)
      error.message.erase(0, end + 2);
    return error;
  }
  return std::nullopt;
}

/// Whether anything is sampled from the step `begin` on.
bool samples(const s_tir::Trace& trace, size_t begin) {
  for (size_t i = begin; i < trace.size(); ++i)
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
  if (const auto* context = self.as<ContextSpec>(); context != nullptr && context->block)
    return find_in_block(*context->block, name);
  if (const auto* axis = self.as<s_tir::IterVar>())
    return find_in_axis(*axis, name);
  if (const auto* region = self.as<Region>(); region != nullptr && name == "buffer")
    return Value(region->buffer);
  if (self.is<s_tir::Rv>())
    return evaluator.report(position, describe(self) + " has no '" + name +
                                          "'; sch.get() gives a loop with its extent, or a block "
                                          "with its name_hint, iter_vars, reads, writes and "
                                          "annotations");
  return std::nullopt;
}

Result<std::vector<s_tir::Schedule>> schedules_by(const std::string& file, std::string_view text,
                                                  const s_tir::Schedule& start,
                                                  FunctionRef<const Closure*(Session&)> function,
                                                  FunctionRef<std::vector<Value>(Session&)> more) {
  for (uint64_t seed = 1;; ++seed) {
    Session session(file, text);
    if (!session.diagnostics.empty())
      return session.diagnostics.to_error();
    const Closure* closure = function(session);
    if (closure == nullptr)
      return std::vector<s_tir::Schedule>();
    const auto value = std::make_shared<ScheduleValue>(
        ScheduleValue{start, std::make_shared<std::optional<Error>>()});
    if (seed > 1)
      value->schedule.random() = Random(seed);
    const Position position = closure->def->position;
    std::vector<Value> arguments = more(session);
    arguments.insert(arguments.begin(), Value(value));
    const Value result = call_with(session.evaluator, *closure, std::move(arguments), position);
    std::vector<s_tir::Schedule> schedules;
    if (session.diagnostics.empty() && !result.is_poison())
      schedules = schedules_of(session.evaluator, result, *value, position);
    if (value->pipeline->line > 0)
      for (const s_tir::Schedule& schedule : schedules)
        if (auto refused = refused_pipeline(schedule))
          refuse(session.evaluator, *value, *value->pipeline, *std::move(refused));
    if (session.diagnostics.empty())
      return schedules;
    const std::optional<Error>& refusal = *value->refusal;
    if (refusal && refusal->code == ErrorCode::kIllegal && seed < kSeeds &&
        samples(value->schedule.trace(), start.trace().size()))
      continue;
    Error error = session.diagnostics.to_error();
    if (refusal)
      error.notes.insert(error.notes.end(), refusal->notes.begin(), refusal->notes.end());
    return error;
  }
}

Result<std::vector<s_tir::Trace>> schedule_templates(std::string_view text, const std::string& file,
                                                     const std::string& workload,
                                                     const IRModule& module) {
  TEMPER_TRY(schedules, schedules_by(
                            file, text, s_tir::Schedule(module, 1),
                            [&](Session& session) {
                              const Closure* own = session.function(workload + "_schedule");
                              return own != nullptr ? own : session.function("schedule");
                            },
                            [](Session&) { return std::vector<Value>(); }));
  std::vector<s_tir::Trace> traces;
  for (const s_tir::Schedule& schedule : schedules)
    traces.push_back(schedule.trace());
  return traces;
}

} // namespace temper::script
