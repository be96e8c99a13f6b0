#include "ir/script/workload_file.h"

#include "ir/extents.h"
#include "ir/s_tir/packs.h"
#include "ir/script/cuda_file.h"
#include "ir/script/knobs.h"
#include "ir/script/lexer.h"
#include "ir/script/rule_file.h"
#include "ir/script/session.h"
#include "ir/support/number.h"
#include "ir/support/random.h"
#include "ir/support/text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <mutex>

namespace temper::script {

using E = Expression::Type;
using S = Statement::Type;

namespace {

Error invalid(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

std::optional<ParameterValue> to_parameter(const Value& value) {
  if (const auto* b = value.as<bool>())
    return *b;
  if (const auto* i = value.as<Int>()) {
    if (*i > INT64_MAX || *i < INT64_MIN)
      return std::nullopt;
    return static_cast<int64_t>(*i);
  }
  if (const auto* d = value.as<double>())
    return *d;
  if (value.text() != nullptr)
    return *value.text();
  if (const auto* type = value.as<TypeName>())
    return temper::to_string(type->dtype);
  return std::nullopt;
}

Value to_value(const ParameterValue& value) {
  if (const auto* integer = std::get_if<int64_t>(&value))
    return static_cast<Int>(*integer);
  if (const auto* real = std::get_if<double>(&value))
    return *real;
  if (const auto* flag = std::get_if<bool>(&value))
    return *flag;
  return make_text(std::get<std::string>(value));
}

bool ends_with(const std::string& text, std::string_view end) {
  return text.size() > end.size() && text.ends_with(end);
}

Value sizeof_type(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"dtype"}, 1);
  if (!args.ok())
    return Poison{};
  const auto dtype = evaluator.to_dtype(args[0], args.where(0));
  return dtype ? Value(static_cast<Int>(dtype->bytes())) : Value(Poison{});
}

/// Evaluates a formula over the parameters; the error says which formula.
Result<Value> formula(const std::string& what, const std::string& text, const Binding& binding) {
  Diagnostics diagnostics(what, text);
  const Body body = parse_syntax(text, diagnostics);
  if (diagnostics.empty() && (body.size() != 1 || body[0]->type != S::kExpression))
    return invalid(what + " is one expression as \"2*M*N*K\", not '" + text + "'");
  Evaluator evaluator(diagnostics);
  Environment& environment = evaluator.globals();
  for (const auto& [name, value] : binding)
    environment.set(name, to_value(value));
  Builtin size;
  size.name = "sizeof";
  size.function = sizeof_type;
  environment.set("sizeof", size);
  Value value = Poison{};
  if (diagnostics.empty())
    value = evaluator.evaluate(*body[0]->value);
  if (!diagnostics.empty())
    return invalid(what + " '" + text + "': " + diagnostics.list()[0].message);
  return value;
}

Result<double> number(const std::string& what, const std::string& text, const Binding& binding) {
  TEMPER_TRY(value, formula(what, text, binding));
  double result = 0;
  if (const auto* integer = value.as<Int>())
    result = static_cast<double>(*integer);
  else if (const auto* real = value.as<double>())
    result = *real;
  else
    return invalid(what + " '" + text + "' gives " + describe(value) + ", not a number");
  if (!std::isfinite(result) || result < 0)
    return invalid(what + " '" + text + "' gives " + repr(value) +
                   "; it counts operations or bytes");
  return result;
}

const Value* dict_item(const Dict& dict, const char* key) {
  for (const auto& [name, value] : *dict.items)
    if (name.text() != nullptr && *name.text() == key)
      return &value;
  return nullptr;
}

bool has_blocks(const Body& body) {
  for (const StatementPtr& statement : body) {
    for (const ExpressionPtr& decorator : statement->decorators)
      if (decorator->type == E::kCall)
        for (size_t i = 0; i < decorator->names.size(); ++i)
          if (decorator->names[i] == "s_tir" &&
              decorator->items[decorator->items.size() - decorator->names.size() + i]->type ==
                  E::kTrue)
            return true;
    if (statement->type == S::kWith && statement->value->type == E::kCall &&
        statement->value->items[0]->type == E::kAttribute &&
        (statement->value->items[0]->text == "sblock" ||
         statement->value->items[0]->text == "block"))
      return true;
    if (statement->type == S::kReturn && statement->value && statement->value->type == E::kCall &&
        statement->value->items[0]->type == E::kAttribute &&
        statement->value->items[0]->text == "create_prim_func")
      return true;
    if (has_blocks(statement->body) || has_blocks(statement->other))
      return true;
  }
  return false;
}

std::vector<WorkloadParameter> parameters_of(Session& session, const Closure& closure) {
  std::vector<WorkloadParameter> result;
  const auto& names = closure.def->parameters;
  const size_t defaults = closure.defaults ? closure.defaults->size() : 0;
  for (size_t i = 0; i < names.size(); ++i) {
    WorkloadParameter parameter;
    parameter.name = names[i].name;
    if (i + defaults >= names.size()) {
      const Value& value = (*closure.defaults)[i + defaults - names.size()];
      if (const auto* knob = value.as<Tunable>()) {
        for (const Value& choice : *knob->choices)
          if (auto typed = to_parameter(choice))
            parameter.choices.push_back(std::move(*typed));
          else
            session.diagnostics.report(names[i].position,
                                       "the choices of a knob are numbers, strings or booleans");
        if (!parameter.choices.empty())
          parameter.default_value = parameter.choices.front();
      } else if (auto typed = to_parameter(value)) {
        parameter.default_value = std::move(typed);
      } else if (!value.is_poison()) {
        session.diagnostics.report(names[i].position,
                                   "the default of a workload's parameter is a number, a string "
                                   "or a boolean, not " +
                                       describe(value));
      }
    }
    result.push_back(std::move(parameter));
  }
  return result;
}

std::vector<std::string> names_of(const std::vector<WorkloadParameter>& parameters) {
  std::vector<std::string> names;
  for (const WorkloadParameter& parameter : parameters)
    names.push_back(parameter.name);
  return names;
}

bool has_parameter(const WorkloadInfo& info, const std::string& name) {
  return std::any_of(info.parameters.begin(), info.parameters.end(),
                     [&](const WorkloadParameter& parameter) { return parameter.name == name; });
}

/// "B" or ["A", "B"] as "A,B"; nothing when it is neither.
std::optional<std::string> constant_text(const Value& value) {
  if (value.text() != nullptr)
    return *value.text();
  if (value.sequence() == nullptr)
    return std::nullopt;
  std::vector<std::string> names;
  for (const Value& name : *value.sequence()) {
    if (name.text() == nullptr)
      return std::nullopt;
    names.push_back(*name.text());
  }
  return join(names, ",");
}

/// Symbolic dimensions that are made anywhere in the file, m = T.dynamic("m").
void collect_symbols(const Body& body, std::vector<std::string>& names) {
  for (const StatementPtr& statement : body) {
    const Expression* call = statement->value.get();
    if (statement->type == S::kAssign && call->type == E::kCall && call->items.size() > 1 &&
        call->items[0]->type == E::kAttribute &&
        (call->items[0]->text == "dynamic" || call->items[0]->text == "symbolic") &&
        call->items[1]->type == E::kString)
      names.push_back(call->items[1]->text);
    collect_symbols(statement->body, names);
    collect_symbols(statement->other, names);
  }
}

/// Reads NAME_workload; reports what is wrong at the place of its assignment.
void read_description(Session& session, const Dict& dict, Position where, WorkloadInfo& info) {
  static const std::vector<std::string> kKeys = {"shapes",    "flops",    "bytes",       "inputs",
                                                 "tolerance", "baseline", "description", kConstant};
  for (const auto& [key, value] : *dict.items) {
    const std::string name = key.text() != nullptr ? *key.text() : repr(key);
    if (std::find(kKeys.begin(), kKeys.end(), name) == kKeys.end())
      session.diagnostics.report(where, info.name + "_workload has no entry '" + name + "'" +
                                            did_you_mean(name, kKeys) + "; known are " +
                                            join(kKeys, ", "));
  }
  const auto text_of = [&](const char* key, std::string& result) {
    const Value* value = dict_item(dict, key);
    if (value == nullptr)
      return;
    if (value->text() != nullptr)
      result = *value->text();
    else if (value->is<Int>() || value->is<double>())
      result = repr(*value);
    else
      session.diagnostics.report(where, info.name + "_workload: " + key +
                                            " is a formula as \"2*M*N*K\", not " +
                                            describe(*value));
  };
  text_of("flops", info.flops);
  text_of("bytes", info.bytes);
  if (const Value* text = dict_item(dict, "description");
      text != nullptr && text->text() != nullptr)
    info.description = *text->text();
  if (const Value* constant = dict_item(dict, kConstant)) {
    if (const auto names = constant_text(*constant))
      info.constant = *names;
    else
      session.diagnostics.report(where, info.name +
                                            "_workload: constant names operands, as [\"B\"], not " +
                                            describe(*constant));
  }
  const Value* shapes = dict_item(dict, "shapes");
  if (shapes == nullptr)
    return;
  if (shapes->sequence() == nullptr) {
    session.diagnostics.report(where,
                               info.name + "_workload: shapes is a list as [dict(M=512, N=512)]");
    return;
  }
  const std::vector<std::string> names = names_of(info.parameters);
  std::vector<std::string> symbols;
  collect_symbols(session.body, symbols);
  for (const Value& shape : *shapes->sequence()) {
    const auto* items = shape.as<Dict>();
    if (items == nullptr) {
      session.diagnostics.report(where, info.name +
                                            "_workload: each shape is a dict as "
                                            "dict(M=512, N=512), not " +
                                            describe(shape));
      return;
    }
    Binding binding;
    for (const auto& [key, value] : *items->items) {
      const std::string name = key.text() != nullptr ? *key.text() : repr(key);
      if (const auto constant = constant_text(value);
          constant && name == kConstant && !has_parameter(info, name)) {
        binding.emplace_back(name, *constant);
        continue;
      }
      const bool is_extent = value.as<Int>() != nullptr &&
                             std::find(symbols.begin(), symbols.end(), name) != symbols.end();
      if (!is_extent && std::find(names.begin(), names.end(), name) == names.end()) {
        session.diagnostics.report(where, info.name + " has no parameter '" + name + "'" +
                                              did_you_mean(name, names) + ", but a shape gives it");
        return;
      }
      auto typed = to_parameter(value);
      if (!typed) {
        session.diagnostics.report(where, "the shape's " + name + " is " + describe(value) +
                                              "; it is a number, a string or a boolean");
        return;
      }
      binding.emplace_back(name, std::move(*typed));
    }
    for (const WorkloadParameter& parameter : info.parameters)
      if (!parameter.default_value &&
          std::none_of(binding.begin(), binding.end(),
                       [&](const auto& entry) { return entry.first == parameter.name; })) {
        session.diagnostics.report(where,
                                   "a shape of " + info.name + " does not say " + parameter.name);
        return;
      }
    info.shapes.push_back(std::move(binding));
  }
}

/// Where a function that is no program's generator traces one, as TileLang's eager style does:
/// T.const("M, N") or T.empty(...), or a T.Kernel in no prim_func.
const Expression* eager_call(const Body& body) {
  for (const StatementPtr& statement : body) {
    if (statement->type == S::kDef)
      return nullptr;
    const Expression* value = statement->value.get();
    if (value != nullptr && value->type == E::kCall && value->items[0]->type == E::kAttribute) {
      const std::string& name = value->items[0]->text;
      if (name == "const" || name == "empty" || (statement->type == S::kWith && name == "Kernel"))
        return value;
    }
  }
  return nullptr;
}

/// The names that a target of an assignment gives a value: a, or those of (a, b).
void collect_names(const Expression& target, std::vector<const Expression*>& names) {
  if (target.type == E::kName)
    names.push_back(&target);
  else if (target.type == E::kTuple || target.type == E::kList)
    for (const ExpressionPtr& item : target.items)
      collect_names(*item, names);
}

std::vector<WorkloadInfo> list_workloads(Session& session) {
  std::vector<WorkloadInfo> result;
  std::vector<const Statement*> defs;
  bool described = false;
  std::unordered_map<std::string, Position> places;
  for (const StatementPtr& statement : session.body) {
    if (statement->type == S::kDef)
      defs.push_back(statement.get());
    if (statement->type != S::kAssign && statement->type != S::kAnnotated)
      continue;
    std::vector<const Expression*> names;
    for (const ExpressionPtr& target : statement->targets)
      collect_names(*target, names);
    for (const Expression* target : names) {
      const std::string& full = target->text;
      if (!ends_with(full, "_workload"))
        continue;
      described = true;
      const std::string name = full.substr(0, full.size() - 9);
      places[name] = target->position;
      const bool known = std::any_of(session.body.begin(), session.body.end(), [&](const auto& s) {
        return s->type == S::kDef && s->name == name;
      });
      if (!known)
        session.diagnostics.report(target->position,
                                   full + " describes a workload, but there is no function '" +
                                       name + "'; define it");
      else if (session.description(name) == nullptr && session.diagnostics.empty())
        session.diagnostics.report(target->position,
                                   full + " is a dict: dict(shapes=[...], flops=\"...\")");
    }
  }
  for (const Statement* def : defs) {
    const std::string& name = def->name;
    const bool schedules =
        ends_with(name, "_schedule") ||
        schedules_programs(name, def->parameters.empty() ? "" : def->parameters.front().name);
    if (ends_with(name, "_reference") || name == "schedule" || name[0] == '_' ||
        (schedules && places.count(name) == 0))
      continue;
    if (described && places.count(name) == 0)
      continue; // a helper
    if (const Expression* call = def->decorators.empty() ? nullptr : eager_call(def->body);
        call != nullptr && session.function(name) != nullptr) {
      session.diagnostics.report(
          call->position, "a kernel that is traced when it is called, TileLang's eager style, is "
                          "written here as a function of its extents that returns the program: "
                          "def " +
                              name +
                              "(M, N, K): with @T.prim_func def main(A: T.Tensor((M, K), dtype), "
                              "..., C: T.Tensor((M, N), dtype)): in it, and return main");
      continue;
    }
    WorkloadInfo info;
    info.name = name;
    info.line = def->position.line;
    info.layer = has_blocks(def->body) ? "s-tir" : "tir";
    if (!def->body.empty() && def->body[0]->type == S::kExpression &&
        def->body[0]->value->type == E::kString)
      info.description =
          std::string(trim(split_text(std::string(trim(def->body[0]->value->text)), '\n')[0]));
    // A function that returns the program, or the program itself.
    if (const Closure* closure = session.function(name); closure != nullptr) {
      info.parameters = parameters_of(session, *closure);
    } else if (!def->decorators.empty()) {
      const Value* value = session.global(name);
      const auto* function = value != nullptr ? value->as<PrimFunc>() : nullptr;
      if (function != nullptr)
        info.layer = (*function)->s_tir ? "s-tir" : "tir";
    }
    info.has_reference = session.global(name + "_reference") != nullptr;
    if (const Dict* dict = session.description(name))
      read_description(session, *dict, places[name], info);
    result.push_back(std::move(info));
  }
  return result;
}

/// A parameter as typed, in the type its default has; without one an integer, when it is one.
Result<ParameterValue> parse_parameter(const WorkloadParameter& parameter,
                                       const std::string& text) {
  int64_t integer = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), integer);
  const bool is_integer = !text.empty() && end == text.data() + text.size();
  if (is_integer && error == std::errc::result_out_of_range)
    return invalid(parameter.name + "=" + text + " does not fit into 64 bits");
  const bool wants_text =
      parameter.default_value && std::holds_alternative<std::string>(*parameter.default_value);
  if (wants_text)
    return ParameterValue(text);
  if (parameter.default_value && std::holds_alternative<bool>(*parameter.default_value)) {
    if (text == "True" || text == "true" || text == "1")
      return ParameterValue(true);
    if (text == "False" || text == "false" || text == "0")
      return ParameterValue(false);
    return invalid(parameter.name + "=" + text + ": " + parameter.name + " is True or False");
  }
  if (is_integer)
    return ParameterValue(integer);
  if (parameter.default_value && std::holds_alternative<double>(*parameter.default_value)) {
    char* stop = nullptr;
    const double real = std::strtod(text.c_str(), &stop);
    if (!text.empty() && *stop == '\0')
      return ParameterValue(real);
    return invalid(parameter.name + "=" + text + ": " + parameter.name + " is a number");
  }
  if (!parameter.default_value) {
    if (text == "True" || text == "False")
      return ParameterValue(text == "True");
    if (const auto real = parse_number<double>(text))
      return ParameterValue(*real);
    if (!text.empty())
      return ParameterValue(text);
  }
  return invalid(parameter.name + "=" + text + ": " + parameter.name + " is a positive integer");
}

/// Extents are at least 1; a parameter whose default is 0 (a padding) may be 0. What a parameter
/// without a default takes, the program says (no_extents).
Result<void> check_parameter(const WorkloadParameter& parameter, const ParameterValue& value) {
  if (!parameter.default_value)
    return {};
  if (const auto* integer = std::get_if<int64_t>(&value)) {
    const auto* usual =
        parameter.default_value ? std::get_if<int64_t>(&*parameter.default_value) : nullptr;
    const int64_t least = usual != nullptr && *usual <= 0 ? 0 : 1;
    if (*integer < least)
      return invalid(parameter.name + "=" + std::to_string(*integer) + ": " + parameter.name +
                     (least == 0 ? " is not negative" : " is a positive integer"));
  }
  if (value.index() != parameter.default_value->index() &&
      !(std::holds_alternative<double>(*parameter.default_value) &&
        std::holds_alternative<int64_t>(value)))
    return invalid(parameter.name + "=" + to_string(value) + ": the default " +
                   to_string(*parameter.default_value) + " has another type");
  if (!parameter.choices.empty() && std::find(parameter.choices.begin(), parameter.choices.end(),
                                              value) == parameter.choices.end()) {
    std::vector<std::string> choices;
    for (const ParameterValue& choice : parameter.choices)
      choices.push_back(to_string(choice));
    return invalid(parameter.name + "=" + to_string(value) +
                   " is not among its choices: " + join(choices, ", "));
  }
  return {};
}

/// Nothing, or the first of the given parameters without a default that is no positive integer:
/// where the program does not come out with it, it was meant to be an extent.
const Binding::value_type* not_an_extent(const WorkloadInfo& info, const Binding& binding) {
  for (const auto& entry : binding)
    for (const WorkloadParameter& parameter : info.parameters) {
      const auto* integer = std::get_if<int64_t>(&entry.second);
      const auto* text = std::get_if<std::string>(&entry.second);
      if (parameter.name == entry.first && !parameter.default_value &&
          !(integer != nullptr && *integer >= 1) && !(text != nullptr && parse_data_type(*text)))
        return &entry;
    }
  return nullptr;
}

/// True when a tensor of the program has an extent below 1, or one that `text` names.
bool has_such_extent(const PrimFunc& program, const ParameterValue& value) {
  for (const Param& param : program->params)
    if (param.buffer)
      for (const Expr& extent : param.buffer->shape) {
        const auto known = as_int(extent);
        const auto* var = extent.as<VarNode>();
        const auto* text = std::get_if<std::string>(&value);
        if ((known && *known < 1) || (var != nullptr && text != nullptr && var->name == *text))
          return true;
      }
  return false;
}

Value call_generator(Session& session, const std::string& name, const Binding& binding,
                     Position* place = nullptr) {
  Value result = Poison{};
  if (const Closure* closure = session.function(name)) {
    CallArguments call;
    call.position = closure->def->position;
    if (place != nullptr)
      *place = call.position;
    for (const Parameter& parameter : closure->def->parameters)
      for (const auto& [key, value] : binding)
        if (key == parameter.name) {
          call.keywords.emplace_back(key, to_value(value));
          call.keyword_positions.push_back(parameter.position);
        }
    result = session.evaluator.call_closure(*closure, call);
  } else if (const Value* value = session.global(name)) {
    result = *value;
  }
  return result;
}

/// Calls a generator with the parameters it takes; its result as a module of one function.
Result<IRModule> generate(Session& session, const std::string& name, const Binding& binding) {
  Position where{1, 1, 1};
  const Value result = call_generator(session, name, binding, &where);
  if (!session.diagnostics.empty())
    return session.diagnostics.to_error();
  IRModule module;
  if (const auto* function = result.as<PrimFunc>())
    module = make_module(*function);
  else if (const auto* whole = result.as<IRModule>())
    module = *whole;
  if (!module || module->functions.size() != 1 ||
      !module->functions[0].function.as_ref<PrimFuncNode>()) {
    session.diagnostics.report(where, name + " returns " +
                                          (result.is<None>() ? "nothing" : describe(result)) +
                                          "; it must return the one prim_func it defines");
    return session.diagnostics.to_error();
  }
  return module;
}

/// A constant as an annotation, and back.
Expr to_constant(const ParameterValue& value) {
  if (const auto* integer = std::get_if<int64_t>(&value))
    return make_int(*integer >= INT32_MIN && *integer <= INT32_MAX ? DataType::int32()
                                                                   : DataType::int64(),
                    *integer);
  if (const auto* real = std::get_if<double>(&value))
    return make_float(DataType::float64(), *real);
  if (const auto* flag = std::get_if<bool>(&value))
    return make_bool(*flag);
  return make_string(std::get<std::string>(value));
}
std::optional<ParameterValue> from_constant(const Expr& value) {
  if (const auto* text = value.as<StringImm>())
    return ParameterValue(text->value);
  if (const auto* real = value.as<FloatImm>())
    return ParameterValue(real->value);
  const auto* integer = value.as<IntImm>();
  if (integer == nullptr)
    return std::nullopt;
  return integer->dtype.is_bool() ? ParameterValue(integer->value != 0)
                                  : ParameterValue(integer->value);
}

/// Names with one value or several, as a list of lists.
Expr to_list(const std::string& name, std::span<const ParameterValue> values) {
  std::vector<Expr> items{make_string(name)};
  for (const ParameterValue& value : values)
    items.push_back(to_constant(value));
  return make_list(std::move(items));
}

/// The file without what does not change its programs: comments and empty lines.
std::string essential_text(const std::string& text) {
  std::string result;
  for (const std::string& line : split_text(text, '\n')) {
    const std::string_view words = trim(line);
    if (words.empty() || words.front() == '#')
      continue;
    result += line.substr(0, line.find_last_not_of(" \t\r") + 1) + "\n";
  }
  return result;
}

/// Texts as their files have them, by what essential_text() makes of them: programs that are made
/// again, with other choices of their knobs, have the files' lines in what is said about them.
class KnownTexts {
public:
  struct Text {
    std::string text;
    std::string file; ///< empty: the text was read back from where programs are kept
  };
  void note(const std::string& essential, const std::string& text, const std::string& file) {
    const std::lock_guard lock(mutex_);
    texts_.insert_or_assign(essential, Text{text, file});
  }
  Text text_of(const std::string& essential) {
    const std::lock_guard lock(mutex_);
    const auto found = texts_.find(essential);
    return found == texts_.end() ? Text{essential, ""} : found->second;
  }

private:
  std::mutex mutex_;
  std::map<std::string, Text> texts_;
};
KnownTexts& known_texts() {
  static KnownTexts texts;
  return texts;
}

/// The next combination, the last knob moving fastest; false after the last one.
bool advance(std::vector<size_t>& choices, const std::vector<Knob>& knobs) {
  for (size_t d = choices.size(); d-- > 0;) {
    if (++choices[d] < knobs[d].choices.size())
      return true;
    choices[d] = 0;
  }
  return false;
}

std::string shape_text(const Buffer& buffer) {
  std::string text = temper::to_string(buffer->dtype) + "[";
  for (size_t i = 0; i < buffer->shape.size(); ++i) {
    const auto extent = as_int(buffer->shape[i]);
    text += (i > 0 ? ", " : "") + (extent ? std::to_string(*extent) : std::string("?"));
  }
  return text + "]";
}

/// A reference takes what the program takes.
Result<void> same_signature(const std::string& name, const PrimFunc& program,
                            const PrimFunc& reference) {
  const auto& a = program->params;
  const auto& b = reference->params;
  if (a.size() != b.size())
    return invalid(name + "_reference has " + std::to_string(b.size()) + " parameters, but " +
                   name + " has " + std::to_string(a.size()) + "; they take the same arguments");
  for (size_t i = 0; i < a.size(); ++i) {
    const auto text = [](const Param& param) {
      return param.buffer ? shape_text(param.buffer) : temper::to_string(param.var->dtype);
    };
    if (text(a[i]) != text(b[i]))
      return invalid("parameter " + b[i].name() + " of " + name + "_reference is " + text(b[i]) +
                     ", but " + a[i].name() + " of " + name + " is " + text(a[i]) +
                     "; they take the same arguments");
  }
  return {};
}

/// Extents are those of the program's symbolic dimensions, all of them.
Result<void> check_extents(const WorkloadInfo& info, const PrimFunc& program,
                           const Extents& extents) {
  std::vector<std::string> names = names_of(info.parameters);
  for (const Var& var : program->shape_vars)
    names.push_back(var->name);
  for (const auto& [key, extent] : extents) {
    if (std::none_of(program->shape_vars.begin(), program->shape_vars.end(),
                     [&](const Var& var) { return var->name == key; }))
      return invalid(info.name + " has no parameter '" + key + "'" + did_you_mean(key, names) +
                     "; it has " + (names.empty() ? "none" : join(names, ", ")));
    if (extent < 1 || extent > INT32_MAX)
      return invalid("the extent of " + info.name + "'s dimension " + key +
                     " is a positive integer of 32 bits, as " + key + "=512");
  }
  if (program->shape_vars.empty())
    return {};
  TEMPER_TRY(shapes, shapes_at_extents(program));
  (void)shapes;
  return {};
}

/// "routine(sizes)", or "routine(sizes) if condition": nothing where the condition does not hold.
Result<std::optional<Baseline>> read_baseline(const std::string& name, const std::string& library,
                                              const std::string& text, const Binding& binding) {
  std::string_view call = text;
  constexpr std::string_view kIf = ") if ";
  if (const size_t at = text.find(kIf); at != std::string::npos) {
    TEMPER_TRY(holds, formula(name + "_workload: the baseline's condition",
                              text.substr(at + kIf.size()), binding));
    const auto* yes = holds.as<bool>();
    if (yes == nullptr)
      return invalid(name + "_workload: the baseline '" + text + "' has a condition that is " +
                     describe(holds));
    if (!*yes)
      return std::optional<Baseline>();
    call = call.substr(0, at + 1);
  }
  Baseline baseline;
  baseline.library = library;
  const size_t open = call.find('(');
  baseline.entry = std::string(trim(call.substr(0, open)));
  if (open != std::string::npos) {
    if (call.back() != ')')
      return invalid(name + "_workload: the baseline '" + text + "' has no closing parenthesis");
    const std::string sizes(call.substr(open + 1, call.size() - open - 2));
    TEMPER_TRY(list, formula(name + "_workload: the baseline's sizes", "[" + sizes + "]", binding));
    for (const Value& size : *list.sequence()) {
      const auto* integer = size.as<Int>();
      if (integer == nullptr)
        return invalid(name + "_workload: the baseline '" + text + "' has a size that is " +
                       describe(size));
      baseline.sizes.push_back(static_cast<int64_t>(*integer));
    }
  }
  return std::optional<Baseline>(std::move(baseline));
}

Result<std::vector<Baseline>> read_baselines(const std::string& name, const Dict& dict,
                                             const Binding& binding) {
  std::vector<Baseline> result;
  const Value* value = dict_item(dict, "baseline");
  if (value == nullptr || value->is<None>())
    return result;
  const auto wrong = [&] {
    return invalid(name + "_workload: baseline names routines by library, as {\"openblas\": "
                          "\"sgemm(M, N, K)\"}, or a list of routines");
  };
  const auto* items = value->as<Dict>();
  if (items == nullptr)
    return wrong();
  for (const auto& [library, calls] : *items->items) {
    const std::vector<Value> one{calls};
    const std::vector<Value>& list = calls.sequence() != nullptr ? *calls.sequence() : one;
    for (const Value& call : list) {
      if (library.text() == nullptr || call.text() == nullptr)
        return wrong();
      TEMPER_TRY(baseline, read_baseline(name, *library.text(), *call.text(), binding));
      if (baseline)
        result.push_back(std::move(*baseline));
    }
  }
  return result;
}

} // namespace

/// Programs of a file's function, for one choice of knobs after the other.
struct KnobProgram::Generator {
  std::string name;
  std::string text;
  std::string file; ///< for what is said about it; empty: not known
  Binding binding;
  Extents extents;    ///< of its symbolic dimensions
  bool bound = false; ///< programs are for these extents alone

  /// The file, run: what calls of its function are made in.
  struct Run {
    Session session;
    int calls = 0;
    Run(const std::string& file, std::string_view content) : session(file, content) {}
  };
  /// One that nobody else uses. It is kept for the next call, but now and then the file is run
  /// again: what a call leaves behind is not freed before.
  Result<std::unique_ptr<Run>> take() {
    std::unique_ptr<Run> run;
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        run = std::move(idle_.back());
        idle_.pop_back();
      }
    }
    if (!run || ++run->calls > 500) {
      run = std::make_unique<Run>(!file.empty() ? file : name + (is_of_cuda(text) ? ".cu" : ".py"),
                                  text);
      if (!run->session.diagnostics.empty())
        return run->session.diagnostics.to_error();
    }
    run->session.evaluator.restart();
    return run;
  }
  void give_back(std::unique_ptr<Run> run) {
    // What is reported would stay: the next call starts from the file again.
    if (!run->session.diagnostics.empty())
      return;
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(run));
  }

private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Run>> idle_;
};

namespace {
constexpr const char* kKnobExtents = "temper.knob_extents";
constexpr const char* kKnobsBound = "temper.knobs_bound";
} // namespace

Result<IRModule> bound_to_extents(const IRModule& module) {
  const PrimFunc function = module->functions[0].function.as_ref<PrimFuncNode>();
  TEMPER_TRY(bound, ir::bound_to_extents(function, false));
  if (bound == function)
    return module;
  IRModule made = with_function(module, module->functions[0].name, bound);
  return has_knobs(module)
             ? make_module(made->functions, module->attrs.with(kKnobsBound, make_bool(true)))
             : made;
}

bool has_knobs(const IRModule& module) { return static_cast<bool>(module->attrs.get(kKnobs)); }

Result<KnobProgram> KnobProgram::of(const IRModule& module) {
  const auto broken = [](const char* what) {
    return Error(ErrorCode::kCorrupt, std::string("the program's knobs cannot be read: ") + what);
  };
  KnobProgram program;
  program.generator_ = std::make_shared<Generator>();
  const Expr knobs = module->attrs.get(kKnobs);
  const Expr binding = module->attrs.get("temper.binding");
  const auto name = module->attrs.get_string("temper.generator");
  const auto source = module->attrs.get_string("temper.source");
  if (!knobs || !knobs.is<ListImm>() || !binding || !binding.is<ListImm>() || !name || !source)
    return broken("an attribute is missing");
  program.generator_->name = *name;
  KnownTexts::Text known = known_texts().text_of(*source);
  program.generator_->text = std::move(known.text);
  program.generator_->file = std::move(known.file);
  const auto read = [](const Expr& item, std::string& key, std::vector<ParameterValue>& values) {
    const auto* list = item.as<ListImm>();
    if (list == nullptr || list->values.size() < 2 || !list->values[0].is<StringImm>())
      return false;
    key = list->values[0].as<StringImm>()->value;
    for (size_t i = 1; i < list->values.size(); ++i) {
      auto value = from_constant(list->values[i]);
      if (!value)
        return false;
      values.push_back(std::move(*value));
    }
    return true;
  };
  for (const Expr& item : knobs.as<ListImm>()->values) {
    Knob knob;
    if (!read(item, knob.name, knob.choices))
      return broken("a knob is a name and its choices");
    program.knobs_.push_back(std::move(knob));
  }
  for (const Expr& item : binding.as<ListImm>()->values) {
    std::string key;
    std::vector<ParameterValue> values;
    if (!read(item, key, values) || values.size() != 1)
      return broken("a parameter is a name and its value");
    program.generator_->binding.emplace_back(std::move(key), std::move(values[0]));
  }
  if (const Expr extents = module->attrs.get(kKnobExtents); extents && extents.is<ListImm>())
    for (const Expr& item : extents.as<ListImm>()->values) {
      std::string key;
      std::vector<ParameterValue> values;
      if (!read(item, key, values) || values.size() != 1 ||
          !std::holds_alternative<int64_t>(values[0]))
        return broken("an extent is a name and a number");
      program.generator_->extents.emplace_back(std::move(key), std::get<int64_t>(values[0]));
    }
  program.generator_->bound = module->attrs.get_int(kKnobsBound).value_or(0) != 0;
  return program;
}

int64_t KnobProgram::size() const {
  int64_t size = 1;
  for (const Knob& knob : knobs_)
    if (__builtin_mul_overflow(size, static_cast<int64_t>(knob.choices.size()), &size))
      return INT64_MAX;
  return size;
}

std::vector<std::string> KnobProgram::unread() const {
  Diagnostics diagnostics(generator_->file, generator_->text);
  const Body body = parse_syntax(generator_->text, diagnostics);
  uint32_t begin = 0;
  uint32_t end = UINT32_MAX;
  for (const StatementPtr& statement : body) {
    if (begin != 0 && end == UINT32_MAX)
      end = statement->position.line;
    if (statement->type == S::kDef && statement->name == generator_->name)
      begin = statement->position.line;
  }
  const TokenList list = tokenize(generator_->text, diagnostics);
  std::vector<std::string> result;
  for (const Knob& knob : knobs_) {
    int count = 0; // one of them is the parameter
    for (const Token& token : list.tokens)
      if (token.position.line >= begin && token.position.line < end)
        count += (token.type == TokenType::kName && token.text == knob.name) ||
                         (token.type == TokenType::kFString &&
                          token.text.find(knob.name) != std::string_view::npos)
                     ? 1
                     : 0;
    if (begin != 0 && count < 2)
      result.push_back(knob.name);
  }
  return result;
}

template <typename Run>
auto KnobProgram::with_choices(std::span<const size_t> choices,
                               std::vector<std::string>& violations, Run&& run) const {
  using Returned = decltype(run(std::declval<Session&>(), generator_->binding));
  auto taken = generator_->take();
  if (!taken)
    return Returned(taken.error());
  Binding binding = generator_->binding;
  for (size_t i = 0; i < knobs_.size(); ++i)
    binding.emplace_back(knobs_[i].name, knobs_[i].choices[choices[i]]);
  Session& session = (*taken)->session;
  session.evaluator.violations = &violations;
  Returned result = run(session, binding);
  session.evaluator.violations = nullptr;
  generator_->give_back(std::move(*taken));
  return result;
}

Result<IRModule> KnobProgram::instantiate(std::span<const size_t> choices) const {
  std::vector<std::string> violations;
  Result<IRModule> module =
      with_choices(choices, violations, [&](Session& session, const Binding& binding) {
        return generate(session, generator_->name, binding);
      });
  // What is wrong with the program of choices that a constraint refuses is no matter.
  if (!violations.empty())
    return Error(ErrorCode::kIllegal, violations[0]);
  if (!module || generator_->extents.empty())
    return module;
  PrimFunc function =
      with_extents((*module)->functions[0].function.as_ref<PrimFuncNode>(), generator_->extents);
  if (generator_->bound) {
    TEMPER_TRY(made, bound_to_extents(function, false));
    function = made;
  }
  return with_function(*module, (*module)->functions[0].name, function);
}

Result<std::vector<std::string>> KnobProgram::violated(std::span<const size_t> choices) const {
  std::vector<std::string> violations;
  TEMPER_TRY_VOID(with_choices(choices, violations,
                               [&](Session& session, const Binding& binding) -> Result<void> {
                                 session.evaluator.without_kernels = true;
                                 call_generator(session, generator_->name, binding);
                                 session.evaluator.without_kernels = false;
                                 if (!session.diagnostics.empty())
                                   return session.diagnostics.to_error();
                                 return {};
                               }));
  return violations;
}

Result<std::vector<size_t>> KnobProgram::first_legal() const {
  std::vector<size_t> choices(knobs_.size(), 0);
  std::string refused;
  constexpr int kTries = 100000;
  for (int i = 0; i < kTries; ++i) {
    TEMPER_TRY(violations, violated(choices));
    if (violations.empty()) {
      const Result<IRModule> module = instantiate(choices);
      if (module)
        return choices;
      if (module.error().code != ErrorCode::kIllegal)
        return module.error();
      violations = {module.error().message};
    }
    if (refused.empty())
      refused = violations[0];
    if (!advance(choices, knobs_))
      break;
  }
  return Error(ErrorCode::kIllegal, refused);
}

Result<std::vector<size_t>> KnobProgram::repaired(std::vector<size_t> choices,
                                                  Random& random) const {
  const auto any_choice = [&](size_t knob) {
    return static_cast<size_t>(random.below(static_cast<int64_t>(knobs_[knob].choices.size())));
  };
  TEMPER_TRY(now, violated(choices));
  constexpr int kSteps = 1000;
  for (int step = 0; step < kSteps && !now.empty(); ++step) {
    // The change of one knob that leaves the fewest refusals, one of them by chance.
    size_t best = now.size();
    int alike = 0;
    std::vector<size_t> next = choices;
    for (size_t d = 0; d < knobs_.size(); ++d)
      for (size_t c = 0; c < knobs_[d].choices.size(); ++c) {
        std::vector<size_t> changed = choices;
        changed[d] = c;
        if (c == choices[d])
          continue;
        TEMPER_TRY(left, violated(changed));
        if (left.size() > best || (left.size() == best && random.below(++alike) > 0))
          continue;
        if (left.size() < best)
          alike = 1;
        best = left.size();
        next = std::move(changed);
      }
    // Now and then, and where no change helps, any: it may help the one after it.
    if (next == choices || random.below(5) == 0) {
      const auto knob = static_cast<size_t>(random.below(static_cast<int64_t>(knobs_.size())));
      next[knob] = any_choice(knob);
    }
    choices = std::move(next);
    TEMPER_TRY(left, violated(choices));
    now = std::move(left);
  }
  if (!now.empty())
    return Error(ErrorCode::kIllegal, now[0]);
  return choices;
}

Result<KnobProgram::Count> KnobProgram::count(int64_t limit) const {
  Count count;
  count.size = size();
  count.estimated = count.size > limit;
  Random random(1);
  std::vector<size_t> choices(knobs_.size(), 0);
  const int64_t tried = std::min(count.size, limit);
  for (int64_t i = 0; i < tried; ++i) {
    if (count.estimated)
      for (size_t d = 0; d < choices.size(); ++d)
        choices[d] =
            static_cast<size_t>(random.below(static_cast<int64_t>(knobs_[d].choices.size())));
    TEMPER_TRY(violations, violated(choices));
    count.legal += violations.empty() ? 1 : 0;
    if (violations.empty() && !count.estimated)
      count.combinations.push_back(choices);
    for (const std::string& words : violations) {
      const auto known = std::find_if(count.pruned.begin(), count.pruned.end(),
                                      [&](const auto& entry) { return entry.first == words; });
      if (known == count.pruned.end())
        count.pruned.emplace_back(words, 1);
      else
        ++known->second;
    }
    if (!count.estimated)
      advance(choices, knobs_);
  }
  if (count.estimated) {
    const double scale = static_cast<double>(count.size) / static_cast<double>(tried);
    count.legal = static_cast<int64_t>(static_cast<double>(count.legal) * scale);
    for (auto& [words, number] : count.pruned)
      number = static_cast<int64_t>(static_cast<double>(number) * scale);
  }
  return count;
}

std::string to_string(const ParameterValue& value) {
  if (const auto* text = std::get_if<std::string>(&value))
    return *text;
  return repr(to_value(value));
}

namespace {

/// Where T.constraint(words) stands; the first line when the text has it in other words.
Position place_of_constraint(const std::string& text, const std::string& words) {
  const std::string call = "constraint(" + words + ")";
  const size_t at = text.find(call);
  if (at == std::string::npos)
    return {1, 1, 1};
  const size_t line = static_cast<size_t>(
      std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
  const size_t begin = at == 0 ? 0 : text.rfind('\n', at - 1) + 1;
  return {static_cast<uint32_t>(line + 1), static_cast<uint32_t>(at - begin + 12),
          static_cast<uint32_t>(words.size())};
}

/// The program with the first choice of each knob that no constraint refuses; its attributes hold
/// the knobs.
Result<IRModule> first_program(const std::string& text, const std::string& file,
                               const std::string& name, const Binding& binding,
                               const std::vector<Knob>& knobs, const Extents& extents) {
  const std::string essential = essential_text(text);
  known_texts().note(essential, text, file);
  std::vector<Expr> choices;
  for (const Knob& knob : knobs)
    choices.push_back(to_list(knob.name, knob.choices));
  std::vector<Expr> values;
  for (const auto& [key, value] : binding)
    values.push_back(to_list(key, std::span(&value, 1)));
  Annotations attrs = Annotations()
                          .with(kKnobs, make_list(std::move(choices)))
                          .with("temper.generator", make_string(name))
                          .with("temper.binding", make_list(std::move(values)))
                          .with("temper.source", make_string(essential));
  if (!extents.empty()) {
    std::vector<Expr> list;
    for (const auto& [key, extent] : extents)
      list.push_back(make_list({make_string(key), make_int(DataType::int64(), extent)}));
    attrs = attrs.with(kKnobExtents, make_list(std::move(list)));
  }
  TEMPER_TRY(program, KnobProgram::of(make_module(std::vector<ModuleEntry>{}, attrs)));
  const Result<std::vector<size_t>> first = program.first_legal();
  if (first) {
    TEMPER_TRY(module, program.instantiate(*first));
    return make_module(module->functions, attrs);
  }
  if (first.error().code != ErrorCode::kIllegal)
    return first.error();
  Diagnostics diagnostics(file, text);
  diagnostics.report(place_of_constraint(text, first.error().message),
                     "no choice of the knobs of " + name +
                         " is left: the constraints refuse all, the first by " +
                         first.error().message + "; relax a constraint or add choices");
  return diagnostics.to_error();
}

/// What stands for a tolerance; negative where it is no number.
double tolerance_value(const Value& value) {
  if (const auto* real = value.as<double>())
    return *real;
  const auto* integer = value.as<Int>();
  return integer != nullptr ? static_cast<double>(*integer) : -1;
}

} // namespace

Result<WorkloadFile> WorkloadFile::read(const std::filesystem::path& path,
                                        std::vector<Diagnostic>* diagnostics) {
  TEMPER_TRY(text, read_file(path));
  return parse(std::move(text), path.string(), diagnostics);
}

Result<WorkloadFile> WorkloadFile::parse(std::string text, std::string file,
                                         std::vector<Diagnostic>* diagnostics) {
  auto state = std::make_shared<State>();
  state->file = std::move(file);
  state->text = std::move(text);
  if (is_cuda_file(state->file)) {
    TEMPER_TRY(script, workload_of_cuda(state->text, state->file));
    state->text = std::move(script);
  }
  Session session(state->file, state->text);
  std::vector<WorkloadInfo> workloads = list_workloads(session);
  if (is_cuda_file(state->file))
    for (WorkloadInfo& info : workloads)
      info.layer = kCudaLayer;
  if (session.diagnostics.empty() && workloads.empty())
    session.diagnostics.report({1, 1, 1},
                               "the file holds no workload: a function that returns a prim_func, "
                               "and NAME_workload = dict(shapes=[...]) beside it");
  if (diagnostics != nullptr)
    *diagnostics = session.diagnostics.list();
  if (!session.diagnostics.empty())
    return session.diagnostics.to_error();
  state->workloads = std::move(workloads);
  WorkloadFile result;
  result.state_ = std::move(state);
  return result;
}

Result<const WorkloadInfo*> WorkloadFile::find(const std::string& name) const {
  std::vector<std::string> names;
  for (const WorkloadInfo& info : state_->workloads) {
    if (info.name == name)
      return &info;
    names.push_back(info.name);
  }
  if (name.empty()) {
    if (names.size() == 1)
      return &state_->workloads[0];
    return invalid(state_->file + " holds several workloads: " + join(names, ", ") +
                   "; name one, as " + state_->file + ":" + names[0]);
  }
  return Error(ErrorCode::kNotFound, state_->file + " has no workload '" + name + "'" +
                                         did_you_mean(name, names) + "; it has " +
                                         join(names, ", "));
}

Result<Workload> WorkloadFile::instantiate(const std::string& name,
                                           const std::map<std::string, std::string>& parameters,
                                           bool unchecked) const {
  TEMPER_TRY(info, find(name));
  const std::vector<std::string> names = names_of(info->parameters);
  Binding binding;
  bool only_constant = true;
  for (const auto& [key, text] : parameters) {
    if (key == kConstant && !has_parameter(*info, key)) {
      binding.emplace_back(key, text);
      continue;
    }
    only_constant = false;
    const auto place =
        std::find_if(info->parameters.begin(), info->parameters.end(),
                     [&](const WorkloadParameter& parameter) { return parameter.name == key; });
    if (place == info->parameters.end()) {
      // The extent of a symbolic dimension: which there are, the program says.
      const auto extent = parse_number<int64_t>(text);
      const bool has_dimensions = state_->text.find("dynamic(") != std::string::npos ||
                                  state_->text.find("symbolic(") != std::string::npos;
      if (!has_dimensions || !extent)
        return invalid(info->name + " has no parameter '" + key + "'" + did_you_mean(key, names) +
                       "; it has " + (names.empty() ? "none" : join(names, ", ")));
      binding.emplace_back(key, *extent);
      continue;
    }
    TEMPER_TRY(value, parse_parameter(*place, text));
    binding.emplace_back(key, std::move(value));
  }
  if (only_constant && !info->shapes.empty()) {
    Binding shape = info->shapes[0];
    if (!binding.empty())
      std::erase_if(shape, [](const auto& entry) { return entry.first == kConstant; });
    binding.insert(binding.end(), shape.begin(), shape.end());
  }
  return bind(info->name, binding, unchecked);
}

std::vector<std::string>
WorkloadFile::open_dimensions(const std::string& name,
                              const std::map<std::string, std::string>& parameters) const {
  const auto info = find(name);
  if (!info)
    return {};
  Binding binding;
  for (const WorkloadParameter& parameter : (*info)->parameters) {
    const auto given = parameters.find(parameter.name);
    if (given == parameters.end()) {
      if (parameter.default_value)
        binding.emplace_back(parameter.name, *parameter.default_value);
    } else if (auto value = parse_parameter(parameter, given->second)) {
      binding.emplace_back(parameter.name, std::move(*value));
    }
  }
  Session session(state_->file, state_->text);
  std::vector<std::string> violations; // of first choices: no matter here
  session.evaluator.violations = &violations;
  const auto module = generate(session, (*info)->name, binding);
  if (!module)
    return {};
  std::vector<std::string> open =
      ir::open_dimensions((*module)->functions[0].function.as_ref<PrimFuncNode>());
  std::erase_if(open, [&](const std::string& one) { return parameters.contains(one); });
  return open;
}

Result<Workload> WorkloadFile::bind(const std::string& name, const Binding& binding,
                                    bool unchecked) const {
  TEMPER_TRY(info, find(name));
  Workload workload;
  workload.name = info->name;
  std::vector<std::string> missing;
  std::vector<Knob> knobs;
  for (const WorkloadParameter& parameter : info->parameters) {
    const auto given = std::find_if(binding.begin(), binding.end(), [&](const auto& entry) {
      return entry.first == parameter.name;
    });
    if (given != binding.end()) {
      TEMPER_TRY_VOID(check_parameter(parameter, given->second));
      workload.parameters.push_back(*given);
    } else if (!parameter.choices.empty()) {
      knobs.push_back({parameter.name, parameter.choices});
    } else if (parameter.default_value) {
      workload.parameters.emplace_back(parameter.name, *parameter.default_value);
    } else {
      missing.push_back(parameter.name);
    }
  }
  if (!missing.empty()) {
    std::string words;
    for (const std::string& one : missing)
      words += (words.empty() ? "" : " ") + one + "=...";
    return invalid(info->name + " also needs " + join(missing, ", ") + "; add " + words);
  }
  std::string constant = info->constant;
  const bool reserved = !has_parameter(*info, kConstant);
  Extents extents;
  for (const auto& [key, value] : binding)
    if (reserved && key == kConstant) {
      constant = to_string(value);
    } else if (!has_parameter(*info, key)) {
      const auto* extent = std::get_if<int64_t>(&value);
      extents.emplace_back(key, extent != nullptr ? *extent : 0);
    }

  Session session(state_->file, state_->text);
  if (!session.diagnostics.empty())
    return session.diagnostics.to_error();
  auto made = knobs.empty() ? generate(session, info->name, workload.parameters)
                            : first_program(state_->text, state_->file, info->name,
                                            workload.parameters, knobs, extents);
  if (const auto* odd = not_an_extent(*info, workload.parameters)) {
    const std::string words =
        odd->first + "=" + to_string(odd->second) + ": " + odd->first + " is a positive integer";
    if (!made)
      return invalid(words + ", or the program refuses this value: " + made.error().message);
    if (has_such_extent((*made)->functions[0].function.as_ref<PrimFuncNode>(), odd->second))
      return invalid(words);
  }
  if (!made)
    return made.error();
  const IRModule module = *std::move(made);
  const PrimFunc program =
      with_extents(module->functions[0].function.as_ref<PrimFuncNode>(), extents);
  workload.module =
      extents.empty() ? module : with_function(module, module->functions[0].name, program);
  TEMPER_TRY_VOID(check_extents(*info, program, extents));
  if (program->s_tir && !knobs.empty())
    return Error(ErrorCode::kUnsupported,
                 knobs[0].name + " of " + info->name +
                     " is a knob (T.tune), which tile programs have; an s-tir program is tuned by "
                     "its schedule: pin it, as " +
                     knobs[0].name + "=" + to_string(knobs[0].choices[0]));
  if (!constant.empty() && constant != "none") {
    if (!program->s_tir)
      return Error(ErrorCode::kUnsupported,
                   info->name +
                       " is a tir program, whose operands have the layouts it is written "
                       "for; constant=" +
                       constant + " is for s-tir");
    std::vector<std::string> names;
    for (const std::string& name : split_text(constant, ','))
      names.emplace_back(trim(name));
    auto marked = s_tir::with_constant_operands(program, names);
    if (!marked)
      return std::move(marked).error().with_note("in constant=" + constant + " of " + info->name);
    names.clear();
    for (const size_t position : s_tir::constant_operands(*marked))
      names.push_back(program->params[position].name());
    workload.module = with_function(module, module->functions[0].name, *marked);
    workload.parameters.emplace_back(kConstant, join(names, ","));
  }
  if (info->has_reference) {
    TEMPER_TRY(reference, generate(session, info->name + "_reference", workload.parameters));
    TEMPER_TRY_VOID(same_signature(info->name, program,
                                   reference->functions[0].function.as_ref<PrimFuncNode>()));
    // For these extents alone: it may need memory of their size.
    const PrimFunc plain =
        with_extents(reference->functions[0].function.as_ref<PrimFuncNode>(), extents);
    TEMPER_TRY(bound, ir::bound_to_extents(plain, true));
    workload.reference = with_function(reference, reference->functions[0].name, bound);
  } else if (program->s_tir) {
    TEMPER_TRY(bound, ir::bound_to_extents(program, true));
    workload.reference = program->shape_vars.empty()
                             ? module
                             : with_function(module, module->functions[0].name, bound);
    workload.is_own_reference = true;
  } else if (!unchecked) {
    return invalid(info->name +
                   " is a tir program without a reference, so no result could be "
                   "checked; define " +
                   info->name + "_reference with plain loops, or pass --unchecked");
  }
  for (const auto& [key, extent] : extents_of(program))
    workload.parameters.emplace_back(key, extent);
  if (!info->flops.empty()) {
    TEMPER_TRY(flops, number(info->name + "_workload: flops", info->flops, workload.parameters));
    workload.flops = flops;
  }
  if (!info->bytes.empty()) {
    TEMPER_TRY(bytes, number(info->name + "_workload: bytes", info->bytes, workload.parameters));
    workload.bytes = bytes;
  }
  const Dict* dict = session.description(info->name);
  if (dict == nullptr)
    return workload;
  if (const Value* inputs = dict_item(*dict, "inputs")) {
    const auto* items = inputs->as<Dict>();
    if (items == nullptr)
      return invalid(info->name + "_workload: inputs is a dict as {\"A\": \"normal\"}");
    std::vector<std::string> names;
    for (const Param& param : program->params)
      names.push_back(param.name());
    for (const auto& [key, value] : *items->items) {
      if (key.text() == nullptr || value.text() == nullptr)
        return invalid(info->name + "_workload: inputs names distributions, as {\"A\": "
                                    "\"int(0, 4)\"}");
      if (std::find(names.begin(), names.end(), *key.text()) == names.end())
        return invalid(info->name + "_workload: inputs names '" + *key.text() + "', but " +
                       info->name + " takes " + join(names, ", "));
      // "int(0, M)": the arguments are formulas over the parameters; "constant(nan)" is a number.
      std::string text = *value.text();
      const size_t open = text.find('(');
      if (open != std::string::npos && text.back() == ')' &&
          !parse_number<double>(
              trim(std::string_view(text).substr(open + 1, text.size() - open - 2)))) {
        TEMPER_TRY(list, formula(info->name + "_workload: the distribution of " + *key.text(),
                                 "[" + text.substr(open + 1, text.size() - open - 2) + "]",
                                 workload.parameters));
        std::string arguments;
        for (const Value& argument : *list.sequence())
          arguments += (arguments.empty() ? "" : ", ") + repr(argument);
        text = text.substr(0, open) + "(" + arguments + ")";
      }
      workload.inputs[*key.text()] = text;
    }
  }
  if (const Value* tolerance = dict_item(*dict, "tolerance");
      tolerance != nullptr && !tolerance->is<None>()) {
    if (const auto* items = tolerance->as<Dict>()) {
      for (const auto& [key, allowed] : *items->items) {
        const double value = tolerance_value(allowed);
        if (key.text() == nullptr || !(value >= 0))
          return invalid(info->name + "_workload: tolerance by output is a dict as {\"C\": 1e-4, "
                                      "\"Q\": 1}: a relative error, or steps of integers");
        workload.output_tolerances[*key.text()] = value;
      }
    } else {
      const double value = tolerance_value(*tolerance);
      if (!(value >= 0))
        return invalid(info->name +
                       "_workload: tolerance is a relative error as 1e-4, or a dict of "
                       "them by output as {\"C\": 1e-4, \"Q\": 1}");
      workload.tolerance = value;
    }
  }
  TEMPER_TRY(baselines, read_baselines(info->name, *dict, workload.parameters));
  workload.baselines = std::move(baselines);
  return workload;
}

} // namespace temper::script
