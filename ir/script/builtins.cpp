// Python's own functions, the methods of strings, lists and dicts, math, and what imports bind.

#include "ir/script/evaluator.h"
#include "ir/support/text.h"

#include <algorithm>
#include <cmath>

namespace temper::script {
namespace {

Value len(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"object"}, 1);
  if (!args.ok())
    return Poison{};
  if (const auto* text = args[0].text())
    return static_cast<Int>(text->size());
  if (const auto* dict = args[0].as<Dict>())
    return static_cast<Int>(dict->items->size());
  const auto items = evaluator.iterate(args[0], args.where(0));
  return items ? Value(static_cast<Int>(items->size())) : Value(Poison{});
}

Value range(Evaluator& evaluator, CallArguments& call) {
  const auto& values = call.positional;
  if (values.empty() || values.size() > 3 || !call.keywords.empty())
    return evaluator.report(call.position,
                            "range takes an end, or a begin and an end: range(n), range(a, b)");
  for (size_t i = 0; i < values.size(); ++i)
    if (!values[i].is_ir() && !values[i].is<Int>())
      return evaluator.report(call.positions[i],
                              "range counts integers, not " + describe(values[i]));
  std::vector<Value> bounds;
  if (values.size() == 1)
    bounds = {Value(Int{0}), values[0], Value(Int{1})};
  else
    bounds = {values[0], values[1], values.size() == 3 ? values[2] : Value(Int{1})};
  if (const auto* step = bounds[2].as<Int>(); step == nullptr || *step == 0)
    return evaluator.report(call.position, "the step of a range is a number other than 0");
  return RangeValue{std::make_shared<const std::vector<Value>>(std::move(bounds))};
}

/// min and max: of compile-time values, or an IR Min or Max when an argument is an expression.
Value extreme(Evaluator& evaluator, CallArguments& call, bool is_max) {
  std::vector<Value> values = call.positional;
  if (values.size() == 1) {
    const auto items = evaluator.iterate(values[0], call.positions[0]);
    if (!items)
      return Poison{};
    values = *items;
  }
  if (values.empty() || !call.keywords.empty())
    return evaluator.report(call.position, "min and max need at least one value");
  Value best = values[0];
  for (size_t i = 1; i < values.size(); ++i) {
    if (best.is_ir() || values[i].is_ir()) {
      Expr x;
      Expr y;
      if (!evaluator.operands(best, values[i], call.position, is_max ? "max" : "min", x, y))
        return Poison{};
      best = is_max ? Value(make_binary<Max>(x, y)) : Value(make_binary<Min>(x, y));
      continue;
    }
    const Value less = evaluator.binary(is_max ? Operator::kGreater : Operator::kLess, values[i],
                                        best, call.position);
    if (less.is_poison())
      return less;
    if (evaluator.truth(less).value_or(false))
      best = values[i];
  }
  return best;
}
Value min_of(Evaluator& evaluator, CallArguments& call) { return extreme(evaluator, call, false); }
Value max_of(Evaluator& evaluator, CallArguments& call) { return extreme(evaluator, call, true); }

Value abs_of(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"x"}, 1);
  if (!args.ok())
    return Poison{};
  if (args[0].is_ir()) {
    const Expr expr = evaluator.to_expr(args[0], args.where(0));
    if (!expr)
      return Poison{};
    if (!expr->dtype.is_integral() && !expr->dtype.is_floating())
      return evaluator.report(args.where(0), "abs needs a number, not " + describe(args[0]));
    return call_op("abs", {expr});
  }
  if (const auto value = as_integer(args[0]))
    return *value < 0 ? -*value : *value;
  if (const auto value = as_double(args[0]))
    return std::abs(*value);
  return evaluator.report(args.where(0), "abs needs a number, not " + describe(args[0]));
}

Value int_of(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"x"}, 1);
  if (!args.ok())
    return Poison{};
  if (const auto value = as_integer(args[0]))
    return *value;
  if (const auto value = as_double(args[0]); value && std::abs(*value) < 1e30)
    return static_cast<Int>(*value);
  if (const auto* text = args[0].text()) {
    char* end = nullptr;
    const long long value = std::strtoll(text->c_str(), &end, 10);
    if (!text->empty() && *end == '\0')
      return static_cast<Int>(value);
  }
  return evaluator.report(args.where(0), "int() cannot convert " + describe(args[0]));
}

Value float_of(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"x"}, 1);
  if (!args.ok())
    return Poison{};
  if (const auto value = as_double(args[0]))
    return *value;
  if (const auto* text = args[0].text()) {
    char* end = nullptr;
    const double value = std::strtod(text->c_str(), &end);
    if (!text->empty() && *end == '\0')
      return value;
  }
  return evaluator.report(args.where(0), "float() cannot convert " + describe(args[0]));
}

Value str_of(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"object"}, 1);
  if (!args.ok())
    return Poison{};
  if (args[0].is_ir())
    return evaluator.report(args.where(0), "str() is put together before the kernel runs and "
                                           "cannot hold " +
                                               describe(args[0]));
  return args[0].text() != nullptr ? args[0] : make_text(repr(args[0]));
}

Value bool_of(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"x"}, 1);
  if (!args.ok())
    return Poison{};
  const auto which = evaluator.truth(args[0]);
  if (!which)
    return evaluator.report(args.where(0), "bool() needs a value known here; compare instead");
  return *which;
}

Value sum_of(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"iterable", "start"}, 1);
  if (!args.ok())
    return Poison{};
  const auto items = evaluator.iterate(args[0], args.where(0));
  if (!items)
    return Poison{};
  Value total = args.has(1) ? args[1] : Value(Int{0});
  bool first = !args.has(1);
  for (const Value& item : *items) {
    total =
        first && item.is_ir() ? item : evaluator.binary(Operator::kAdd, total, item, call.position);
    first = false;
    if (total.is_poison())
      break;
  }
  return total;
}

Value zip(Evaluator& evaluator, CallArguments& call) {
  std::vector<std::vector<Value>> lists;
  size_t size = SIZE_MAX;
  for (size_t i = 0; i < call.positional.size(); ++i) {
    const auto items = evaluator.iterate(call.positional[i], call.positions[i]);
    if (!items)
      return Poison{};
    size = std::min(size, items->size());
    lists.push_back(*items);
  }
  std::vector<Value> result;
  for (size_t i = 0; !lists.empty() && i < size; ++i) {
    std::vector<Value> one;
    for (const auto& list : lists)
      one.push_back(list[i]);
    result.push_back(make_sequence(std::move(one), true));
  }
  return make_sequence(std::move(result), false);
}

Value enumerate(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"iterable", "start"}, 1);
  if (!args.ok())
    return Poison{};
  const auto items = evaluator.iterate(args[0], args.where(0));
  if (!items)
    return Poison{};
  Int at = args.has(1) ? as_integer(args[1]).value_or(0) : 0;
  std::vector<Value> result;
  for (const Value& item : *items)
    result.push_back(make_sequence({Value(at++), item}, true));
  return make_sequence(std::move(result), false);
}

Value sequence_of(Evaluator& evaluator, CallArguments& call, bool is_tuple) {
  ArgReader args(evaluator, call, {"iterable"}, 0);
  if (!args.ok())
    return Poison{};
  if (!args.has(0))
    return make_sequence({}, is_tuple);
  const auto items = evaluator.iterate(args[0], args.where(0));
  return items ? make_sequence(*items, is_tuple) : Value(Poison{});
}
Value list_of(Evaluator& evaluator, CallArguments& call) {
  return sequence_of(evaluator, call, false);
}
Value tuple_of(Evaluator& evaluator, CallArguments& call) {
  return sequence_of(evaluator, call, true);
}

Value reversed(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"sequence"}, 1);
  if (!args.ok())
    return Poison{};
  auto items = evaluator.iterate(args[0], args.where(0));
  if (!items)
    return Poison{};
  std::reverse(items->begin(), items->end());
  return make_sequence(std::move(*items), false);
}

Value dict_of(Evaluator& evaluator, CallArguments& call) {
  if (call.positional.size() > 1 || (call.positional.size() == 1 && !call.positional[0].is<Dict>()))
    return evaluator.report(call.position, "dict() takes keywords: dict(M=512, N=512)");
  auto items = std::make_shared<std::vector<std::pair<Value, Value>>>();
  if (!call.positional.empty())
    *items = *call.positional[0].as<Dict>()->items;
  for (const auto& [key, value] : call.keywords) {
    bool replaced = false;
    for (auto& [known, old] : *items)
      if (known.text() != nullptr && *known.text() == key) {
        old = value;
        replaced = true;
      }
    if (!replaced)
      items->emplace_back(make_text(key), value);
  }
  return Dict{std::move(items)};
}

Value all_or_any(Evaluator& evaluator, CallArguments& call, bool is_all) {
  ArgReader args(evaluator, call, {"iterable"}, 1);
  if (!args.ok())
    return Poison{};
  const auto items = evaluator.iterate(args[0], args.where(0));
  if (!items)
    return Poison{};
  bool result = is_all;
  for (const Value& item : *items) {
    const auto which = evaluator.truth(item);
    if (!which)
      return evaluator.report(args.where(0), "this needs values known here");
    result = is_all ? result && *which : result || *which;
  }
  return result;
}
Value all_of(Evaluator& evaluator, CallArguments& call) {
  return all_or_any(evaluator, call, true);
}
Value any_of(Evaluator& evaluator, CallArguments& call) {
  return all_or_any(evaluator, call, false);
}

Value round_of(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"x"}, 1);
  if (!args.ok())
    return Poison{};
  const auto value = as_double(args[0]);
  if (!value || std::abs(*value) > 1e30)
    return evaluator.report(args.where(0), "round() needs a number known here; in a kernel write "
                                           "T.round(x)");
  return static_cast<Int>(std::nearbyint(*value));
}

Value type_variable(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"name"}, 1);
  if (!args.ok())
    return Poison{};
  const auto name = evaluator.to_string(args[0], args.where(0), "a dimension's name");
  return name ? Value(Symbol{*name}) : Value(Poison{});
}

struct Named {
  const char* name;
  BuiltinFunction function;
};
constexpr Named kBuiltins[] = {
    {"len", len},      {"range", range},    {"min", min_of},        {"max", max_of},
    {"abs", abs_of},   {"int", int_of},     {"float", float_of},    {"str", str_of},
    {"bool", bool_of}, {"sum", sum_of},     {"zip", zip},           {"enumerate", enumerate},
    {"list", list_of}, {"tuple", tuple_of}, {"reversed", reversed}, {"dict", dict_of},
    {"all", all_of},   {"any", any_of},     {"round", round_of},    {"TypeVar", type_variable},
};

// math

using MathFunction = double (*)(double);
template <MathFunction kFunction> Value math_call(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"x"}, 1);
  if (!args.ok())
    return Poison{};
  const auto value = as_double(args[0]);
  if (!value)
    return evaluator.report(args.where(0), "math works on numbers known here, not " +
                                               describe(args[0]) + "; in a kernel use T");
  return kFunction(*value);
}
template <MathFunction kFunction> Value math_to_int(Evaluator& evaluator, CallArguments& call) {
  const Value value = math_call<kFunction>(evaluator, call);
  const auto* real = value.as<double>();
  if (real == nullptr)
    return value;
  if (!(std::abs(*real) < 1e30))
    return evaluator.report(call.position, "this is no finite number");
  return static_cast<Int>(*real);
}
constexpr Named kMath[] = {
    {"sqrt", math_call<std::sqrt>},     {"exp", math_call<std::exp>},
    {"log", math_call<std::log>},       {"log2", math_call<std::log2>},
    {"log10", math_call<std::log10>},   {"sin", math_call<std::sin>},
    {"cos", math_call<std::cos>},       {"tanh", math_call<std::tanh>},
    {"floor", math_to_int<std::floor>}, {"ceil", math_to_int<std::ceil>},
};

// methods

Value append(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"item"}, 1);
  if (!args.ok())
    return Poison{};
  auto& items = *call.callee->self->as<Sequence>()->items;
  if (items.size() >= 1'000'000)
    return evaluator.report(call.position, "this list has more than a million items");
  if (contains(args[0], &items))
    return evaluator.report(call.position, "a list cannot hold itself");
  items.push_back(args[0]);
  return None{};
}
Value join_strings(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"iterable"}, 1);
  if (!args.ok())
    return Poison{};
  const auto items = evaluator.iterate(args[0], args.where(0));
  if (!items)
    return Poison{};
  std::string result;
  for (size_t i = 0; i < items->size(); ++i) {
    const auto text = evaluator.to_string((*items)[i], args.where(0), "what join() joins");
    if (!text)
      return Poison{};
    if (i > 0)
      result += *call.callee->self->text();
    result += *text;
    if (result.size() > 1'000'000)
      return evaluator.report(call.position, "this string has more than a million characters");
  }
  return make_text(std::move(result));
}
Value dict_get(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"key", "default"}, 1);
  if (!args.ok())
    return Poison{};
  for (const auto& [key, value] : *call.callee->self->as<Dict>()->items)
    if (evaluator.truth(evaluator.binary(Operator::kEqual, key, args[0], call.position))
            .value_or(false))
      return value;
  return args.has(1) ? args[1] : Value(None{});
}
Value dict_parts(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {}, 0);
  if (!args.ok())
    return Poison{};
  const std::string_view what = call.callee->name;
  std::vector<Value> result;
  for (const auto& [key, value] : *call.callee->self->as<Dict>()->items)
    result.push_back(what == "keys"     ? key
                     : what == "values" ? value
                                        : make_sequence({key, value}, true));
  return make_sequence(std::move(result), false);
}

Builtin builtin(const char* name, BuiltinFunction function) {
  Builtin result;
  result.name = name;
  result.function = function;
  return result;
}

} // namespace

namespace {

/// `budget` bounds the walk: shared parts are walked once per use. What exceeds it counts as a
/// cycle.
bool contains(const Value& value, const void* container, int depth, int& budget) {
  if (depth > 50 || --budget < 0)
    return true;
  if (const auto* items = value.sequence()) {
    if (items == container)
      return true;
    for (const Value& item : *items)
      if ((item.is<Sequence>() || item.is<Dict>()) && contains(item, container, depth + 1, budget))
        return true;
  }
  if (const auto* dict = value.as<Dict>()) {
    if (dict->items.get() == container)
      return true;
    for (const auto& [key, item] : *dict->items)
      if ((item.is<Sequence>() || item.is<Dict>()) && contains(item, container, depth + 1, budget))
        return true;
  }
  return false;
}

} // namespace

bool contains(const Value& value, const void* container) {
  int budget = 10'000;
  return contains(value, container, 0, budget);
}

std::optional<Value> find_builtin(const std::string& name) {
  for (const Named& entry : kBuiltins)
    if (name == entry.name)
      return Value(builtin(entry.name, entry.function));
  return std::nullopt;
}

const std::vector<std::string>& builtin_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (const Named& entry : kBuiltins)
      list.emplace_back(entry.name);
    return list;
  }();
  return names;
}

std::optional<Value> find_in_math(const std::string& name) {
  if (name == "pi")
    return Value(M_PI);
  if (name == "e")
    return Value(M_E);
  if (name == "inf")
    return Value(static_cast<double>(INFINITY));
  if (name == "nan")
    return Value(static_cast<double>(NAN));
  for (const Named& entry : kMath)
    if (name == entry.name)
      return Value(builtin(entry.name, entry.function));
  return std::nullopt;
}

std::optional<Value> find_method(const Value& self, const std::string& name) {
  Builtin result;
  if (const auto* list = self.as<Sequence>();
      list != nullptr && !list->is_tuple && name == "append")
    result = builtin("append", append);
  else if (self.text() != nullptr && name == "join")
    result = builtin("join", join_strings);
  else if (self.is<Dict>() && name == "get")
    result = builtin("get", dict_get);
  else if (self.is<Dict>() && name == "items")
    result = builtin("items", dict_parts);
  else if (self.is<Dict>() && name == "keys")
    result = builtin("keys", dict_parts);
  else if (self.is<Dict>() && name == "values")
    result = builtin("values", dict_parts);
  else
    return std::nullopt;
  result.self = std::make_shared<const Value>(self);
  return Value(result);
}

std::optional<Value> find_import(const std::string& module, const std::string& name) {
  const bool is_script =
      module == "tvm.script" || module == "temper" || module == "temper.script" || module == "tvm";
  if (module == "__future__")
    return Value(None{});
  if (module == "math")
    return name.empty() ? Value(Namespace{Namespace::Name::kMath}) : find_in_math(name);
  if (module == "typing" || module == "typing_extensions") {
    if (name == "TypeVar")
      return find_builtin("TypeVar");
    return name.empty() ? std::optional<Value>(Namespace{Namespace::Name::kTyping})
                        : std::optional<Value>(None{});
  }
  if (module == "tvm.tirx.layout" || module == "tvm.script.tirx" || module == "tvm.tirx")
    return Value(None{});
  if (module == "tilelang.language" && name.empty())
    return Value(Namespace{Namespace::Name::kT});
  if (module == "tilelang" || module == "tilelang.autotuner") {
    if (name.empty())
      return Value(Namespace{Namespace::Name::kTileLang});
    if (name == "language")
      return Value(Namespace{Namespace::Name::kT});
    if (name == "jit" || name == "autotune")
      return Value(Decorator{Decorator::Kind::kNothing, std::nullopt, false});
    return std::nullopt;
  }
  if (!is_script)
    return std::nullopt;
  if (name.empty())
    return Value(Namespace{Namespace::Name::kTemper});
  if (name == "tirx" || name == "tir" || name == "T" || name == "s_tir")
    return Value(Namespace{Namespace::Name::kT});
  if (name == "te")
    return Value(Namespace{Namespace::Name::kTe});
  if (name == "ir" || name == "I")
    return Value(Namespace{Namespace::Name::kI});
  if (name == "script")
    return Value(Namespace{Namespace::Name::kTemper});
  return std::nullopt;
}

ArgReader::ArgReader(Evaluator& evaluator, CallArguments& call,
                     std::initializer_list<const char*> names, size_t required)
    : ArgReader(evaluator, call, std::span(names.begin(), names.size()), required) {}

ArgReader::ArgReader(Evaluator& evaluator, CallArguments& call, std::span<const char* const> names,
                     size_t required) {
  values_.resize(names.size(), nullptr);
  positions_.resize(names.size(), call.position);
  const std::string callee = call.callee != nullptr ? call.callee->name : "this function";
  if (call.positional.size() > names.size()) {
    evaluator.report(call.position,
                     callee + " takes " +
                         (names.size() == 0 ? "no" : "at most " + std::to_string(names.size())) +
                         (names.size() == 1 ? " argument" : " arguments") + ", but " +
                         std::to_string(call.positional.size()) + " are given");
    ok_ = false;
    return;
  }
  for (size_t i = 0; i < call.positional.size(); ++i) {
    values_[i] = &call.positional[i];
    positions_[i] = call.positions[i];
  }
  for (size_t i = 0; i < call.keywords.size(); ++i) {
    const std::string& key = call.keywords[i].first;
    const auto place =
        std::find_if(names.begin(), names.end(), [&](const char* name) { return key == name; });
    if (place == names.end()) {
      std::vector<std::string> known;
      for (const char* name : names)
        known.emplace_back(name);
      const std::string near = did_you_mean(key, known);
      evaluator.report(
          call.keyword_positions[i],
          callee + " has no argument '" + key + "'" +
              (near.empty() && !known.empty() ? "; it has " + join(known, ", ") : near));
      ok_ = false;
      continue;
    }
    const auto index = static_cast<size_t>(place - names.begin());
    if (values_[index] != nullptr) {
      evaluator.report(call.keyword_positions[i], callee + " gets '" + key + "' twice");
      ok_ = false;
    }
    values_[index] = &call.keywords[i].second;
    positions_[index] = call.keyword_positions[i];
  }
  for (size_t i = 0; i < required; ++i)
    if (values_[i] == nullptr) {
      evaluator.report(call.position,
                       callee + " needs the argument '" + std::string(names.begin()[i]) + "'");
      ok_ = false;
      return;
    }
}

} // namespace temper::script
