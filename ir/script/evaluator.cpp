#include "ir/script/evaluator.h"

#include "ir/s_tir/tensor_expressions.h"
#include "ir/script/function_builder.h"
#include "ir/support/text.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace temper::script {

using E = Expression::Type;
using S = Statement::Type;

namespace {} // namespace

Evaluator::Evaluator(Diagnostics& diagnostics) : diagnostics_(diagnostics) {
  file_ = source_file_index(diagnostics.file());
  globals_ = &new_environment(nullptr);
  environment_ = globals_;
  globals_->set("T", Namespace{Namespace::Name::kT});
  globals_->set("I", Namespace{Namespace::Name::kI});
}

Evaluator::~Evaluator() = default;

Value Evaluator::report(Position position, std::string message) {
  diagnostics_.report(position, std::move(message));
  return Poison{};
}

Environment& Evaluator::new_environment(Environment* parent, bool is_function) {
  return environments_.emplace_back(parent, is_function);
}

const Closure* Evaluator::keep(Closure closure) {
  closures_.push_back(std::move(closure));
  return &closures_.back();
}

void Evaluator::set_span(const NodeRef& node, Position position) const {
  if (node && node->span.line == 0)
    node->span = {file_, position.line, position.column};
}

bool Evaluator::step(Position position) {
  if (stopped_)
    return false;
  if (++steps_ > kSteps) {
    report(position, "this program does not come to an end: stopped after " +
                         std::to_string(kSteps) + " steps");
    stopped_ = true;
    return false;
  }
  if (depth_ > kDepth) {
    report(position, "calls and expressions are nested too deeply here; is a recursion endless?");
    stopped_ = true;
    return false;
  }
  return true;
}

std::vector<std::string> Evaluator::known_names() const {
  std::vector<std::string> names;
  for (const Environment* env = environment_; env != nullptr; env = env->parent())
    for (const auto& [name, value] : env->values())
      names.push_back(name);
  const auto& builtins = builtin_names();
  names.insert(names.end(), builtins.begin(), builtins.end());
  return names;
}

// Statements, as Python runs them.

void Evaluator::run(const Body& body, Environment& environment) {
  Scope scope(*this, environment);
  execute(body);
}

Evaluator::Flow Evaluator::execute(const Body& body) {
  for (const StatementPtr& statement : body) {
    const Flow flow = execute(*statement);
    if (flow != Flow::kNext || stopped_)
      return flow;
  }
  return Flow::kNext;
}

Evaluator::Flow Evaluator::execute(const Statement& statement) {
  if (!step(statement.position))
    return Flow::kReturn;
  switch (statement.type) {
  case S::kExpression:
    evaluate(*statement.value);
    return Flow::kNext;
  case S::kAssign: {
    const Value value = evaluate(*statement.value);
    for (const ExpressionPtr& target : statement.targets)
      assign_name(*target, value);
    return Flow::kNext;
  }
  case S::kAnnotated:
    if (statement.value)
      assign_name(*statement.targets[0], evaluate(*statement.value));
    return Flow::kNext;
  case S::kAugmented: {
    const Value before = evaluate(*statement.targets[0]);
    const Value value = evaluate(*statement.value);
    assign_name(*statement.targets[0], binary(statement.op, before, value, statement.position));
    return Flow::kNext;
  }
  case S::kIf: {
    const Value condition = evaluate(*statement.value);
    const auto which = truth(condition);
    if (!which) {
      if (!condition.is_poison())
        report(statement.value->position,
               "an if outside a prim_func needs a value known here, not " + describe(condition));
      return Flow::kNext;
    }
    return execute(*which ? statement.body : statement.other);
  }
  case S::kFor:
    return for_loop(statement);
  case S::kWhile:
    while (!stopped_) {
      if (!step(statement.position))
        return Flow::kReturn;
      const auto again = truth(evaluate(*statement.value));
      if (!again || !*again)
        break;
      const Flow flow = execute(statement.body);
      if (flow == Flow::kReturn)
        return flow;
      if (flow == Flow::kBreak)
        break;
    }
    return Flow::kNext;
  case S::kWith:
    report(statement.position, "'with' opens blocks inside a prim_func; it has no meaning here");
    return Flow::kNext;
  case S::kDef:
    define_function(statement);
    return Flow::kNext;
  case S::kClass:
    define_class(statement);
    return Flow::kNext;
  case S::kReturn: {
    Environment* env = environment_;
    while (env != nullptr && !env->is_function())
      env = env->parent();
    if (env == nullptr) {
      report(statement.position, "'return' stands inside a function");
      return Flow::kNext;
    }
    returned_ = statement.value ? evaluate(*statement.value) : Value(None{});
    return Flow::kReturn;
  }
  case S::kAssert: {
    const auto holds = truth(evaluate(*statement.value));
    if (holds && !*holds) {
      std::string message = "this assertion does not hold";
      if (statement.annotation) {
        const Value text = evaluate(*statement.annotation);
        message += ": " + (text.text() != nullptr ? *text.text() : repr(text));
      }
      report(statement.position, message);
      returned_ = Poison{};
      return Flow::kReturn;
    }
    return Flow::kNext;
  }
  case S::kImport:
    import(statement);
    return Flow::kNext;
  case S::kBreak:
    return Flow::kBreak;
  case S::kContinue:
    return Flow::kContinue;
  case S::kPass:
    return Flow::kNext;
  }
  return Flow::kNext;
}

Evaluator::Flow Evaluator::for_loop(const Statement& statement) {
  const Value value = evaluate(*statement.value);
  const auto handle = [&](const Value& item) {
    assign_name(*statement.targets[0], item);
    return execute(statement.body);
  };
  // A range is walked without building its items: its end may be far away.
  if (const auto* range = value.as<RangeValue>()) {
    const auto begin = as_integer((*range->bounds)[0]);
    const auto end = as_integer((*range->bounds)[1]);
    const auto stride = as_integer((*range->bounds)[2]);
    if (begin && end && stride) {
      for (Int i = *begin; *stride > 0 ? i < *end : i > *end; i += *stride) {
        if (!step(statement.position))
          return Flow::kReturn;
        const Flow flow = handle(Value(i));
        if (flow == Flow::kReturn)
          return flow;
        if (flow == Flow::kBreak)
          break;
      }
      return Flow::kNext;
    }
  }
  const auto items = iterate(value, statement.value->position);
  if (!items)
    return Flow::kNext;
  for (const Value& item : *items) {
    if (!step(statement.position))
      return Flow::kReturn;
    const Flow flow = handle(item);
    if (flow == Flow::kReturn)
      return flow;
    if (flow == Flow::kBreak)
      break;
  }
  return Flow::kNext;
}

std::optional<Decorator> Evaluator::decorator_of(const Statement& statement, bool& plain) {
  plain = true;
  std::optional<Decorator> result;
  for (const ExpressionPtr& decorator : statement.decorators) {
    const bool called = decorator->type == E::kCall;
    Value value = evaluate(called ? *decorator->items[0] : *decorator);
    const auto* named = value.as<Decorator>();
    if (named != nullptr && named->kind == Decorator::Kind::kNothing)
      continue; // nor do its arguments say anything
    plain = false;
    if (called && !value.is_poison())
      value = evaluate(*decorator);
    if (value.is_poison())
      continue;
    if (const auto* known = value.as<Decorator>())
      result = *known;
    else
      report(decorator->position, "unknown decorator, " + describe(value) +
                                      "; use @T.prim_func, @T.macro or @I.ir_module");
  }
  return result;
}

void Evaluator::define_function(const Statement& statement) {
  bool plain = false;
  const std::optional<Decorator> decorator = decorator_of(statement, plain);
  const bool is_macro = decorator && decorator->kind == Decorator::Kind::kMacro;
  if (!plain && !is_macro) {
    Value value = Poison{};
    if (decorator && without_kernels) {
      value = None{};
    } else if (decorator && decorator->kind == Decorator::Kind::kPrimFunc) {
      if (PrimFunc function = build_prim_func(statement, *decorator, *environment_)) {
        if (environment_ == globals_)
          functions_.emplace_back(statement.name, function);
        value = Value(std::move(function));
      }
    } else if (decorator) {
      report(statement.position, "@I.ir_module decorates a class; a function takes @T.prim_func");
    }
    environment_->set(statement.name, std::move(value));
    return;
  }
  Closure closure;
  closure.def = &statement;
  closure.environment = environment_;
  closure.is_macro = is_macro;
  std::vector<Value> defaults;
  bool had_default = false;
  for (const Parameter& parameter : statement.parameters) {
    if (parameter.default_value) {
      had_default = true;
      defaults.push_back(evaluate(*parameter.default_value));
    } else if (had_default) {
      report(parameter.position, "'" + parameter.name +
                                     "' needs a default value, because a parameter before it has "
                                     "one");
      defaults.push_back(Poison{});
    }
  }
  closure.defaults = std::make_shared<const std::vector<Value>>(std::move(defaults));
  environment_->set(statement.name, keep(std::move(closure)));
}

void Evaluator::define_class(const Statement& statement) {
  bool plain = false;
  const std::optional<Decorator> decorator = decorator_of(statement, plain);
  if (plain || (decorator && decorator->kind != Decorator::Kind::kModule)) {
    report(statement.position, "a class holds the functions of a module and is decorated with "
                               "@I.ir_module");
    return;
  }
  if (!decorator)
    return;
  Environment& inside = new_environment(environment_);
  Scope scope(*this, inside);
  std::vector<ModuleEntry> entries;
  Annotations attrs;
  bool ok = true;
  for (const StatementPtr& child : statement.body) {
    if (!step(child->position))
      return;
    if (child->type == S::kDef) {
      bool undecorated = false;
      const std::optional<Decorator> what = decorator_of(*child, undecorated);
      if (!what || what->kind != Decorator::Kind::kPrimFunc) {
        if (undecorated)
          report(child->position, "a function of a module is decorated with @T.prim_func");
        ok = false;
        continue;
      }
      for (const ModuleEntry& entry : entries)
        if (entry.name == child->name)
          report(child->position, "the module already has a function " + child->name +
                                      "; give this one another name");
      PrimFunc function = build_prim_func(*child, *what, inside);
      ok &= function != nullptr;
      if (function) {
        inside.set(child->name, Value(function));
        entries.push_back({child->name, function});
      }
    } else if (child->type == S::kExpression && child->value->type == E::kCall &&
               child->value->items[0]->type == E::kAttribute &&
               child->value->items[0]->text == "module_attrs") {
      if (child->value->items.size() != 2) {
        report(child->position, "I.module_attrs takes one dict");
        continue;
      }
      ok &= to_annotations(evaluate(*child->value->items[1]), child->position, attrs);
    } else if (child->type == S::kExpression && child->value->type == E::kString) {
      // a docstring
    } else if (child->type == S::kAssign || child->type == S::kPass) {
      execute(*child);
    } else {
      report(child->position, "a module holds functions decorated with @T.prim_func");
      ok = false;
    }
  }
  Value value = Poison{};
  if (ok) {
    IRModule module = make_module(std::move(entries), std::move(attrs));
    if (environment_->parent() == globals_)
      modules_.push_back(module);
    value = Value(std::move(module));
  }
  environment_->parent()->set(statement.name, std::move(value));
}

void Evaluator::import(const Statement& statement) {
  for (const auto& [what, as] : statement.imports) {
    const bool whole = statement.name.empty();
    const std::optional<Value> value =
        whole ? find_import(what, "") : find_import(statement.name, what);
    is_for_tilelang_ |= (whole ? what : statement.name).starts_with("tilelang");
    if (!value) {
      report(statement.position,
             "'" + (whole ? what : statement.name + "." + what) +
                 "' cannot be imported here; known are tvm.script (tirx as T, ir as I), temper, "
                 "typing.TypeVar and math");
      environment_->set(as, Poison{});
      continue;
    }
    environment_->set(as, *value);
  }
}

void Evaluator::assign_name(const Expression& target, const Value& value) {
  if (target.type == E::kName) {
    environment_->set(target.text, value);
    return;
  }
  if (target.type == E::kTuple || target.type == E::kList) {
    std::optional<std::vector<Value>> items;
    if (!value.is_poison())
      items = iterate(value, target.position);
    if (items && items->size() != target.items.size()) {
      report(target.position, "there are " + std::to_string(target.items.size()) + " names for " +
                                  std::to_string(items->size()) + " values");
      items.reset();
    }
    for (size_t i = 0; i < target.items.size(); ++i)
      assign_name(*target.items[i], items ? (*items)[i] : Value(Poison{}));
    return;
  }
  if (target.type == E::kSubscript) {
    const Value base = evaluate(*target.items[0]);
    const Value index = evaluate(*target.items[1]);
    if (base.is_poison() || index.is_poison())
      return;
    const auto* target_dict = base.as<Dict>();
    if (contains(value, base.sequence() != nullptr ? static_cast<const void*>(base.sequence())
                        : target_dict != nullptr   ? target_dict->items.get()
                                                   : nullptr)) {
      report(target.position, "a list or dict cannot hold itself");
      return;
    }
    if (const auto* list = base.as<Sequence>(); list != nullptr && !list->is_tuple) {
      const auto at = as_integer(index);
      const Int size = static_cast<Int>(list->items->size());
      if (!at || *at >= size || *at < -size) {
        report(target.position, "the list has " + decimal(size) + " items; this index is not one");
        return;
      }
      (*list->items)[static_cast<size_t>(*at < 0 ? *at + size : *at)] = value;
      return;
    }
    if (const auto* dict = base.as<Dict>()) {
      for (auto& [key, old] : *dict->items)
        if (truth(compare_values(Operator::kEqual, key, index, target.position)).value_or(false)) {
          old = value;
          return;
        }
      dict->items->emplace_back(index, value);
      return;
    }
    report(target.position, describe(base) + " cannot be changed here");
    return;
  }
  report(target.position, "this cannot be assigned; write a name");
}

std::optional<std::vector<Value>> Evaluator::iterate(const Value& value, Position position) {
  if (value.is_poison())
    return std::nullopt;
  if (const auto* items = value.sequence())
    return *items;
  if (const auto* dict = value.as<Dict>()) {
    std::vector<Value> keys;
    for (const auto& [key, item] : *dict->items)
      keys.push_back(key);
    return keys;
  }
  if (const auto* text = value.text()) {
    std::vector<Value> items;
    for (char c : *text)
      items.push_back(make_text(std::string(1, c)));
    return items;
  }
  if (const auto* range = value.as<RangeValue>()) {
    const auto begin = as_integer((*range->bounds)[0]);
    const auto end = as_integer((*range->bounds)[1]);
    const auto stride = as_integer((*range->bounds)[2]);
    if (begin && end && stride) {
      std::vector<Value> items;
      for (Int i = *begin; *stride > 0 ? i < *end : i > *end; i += *stride) {
        if (items.size() >= kMaxSequence) {
          report(position, "this range has more than a million items");
          return std::nullopt;
        }
        items.emplace_back(i);
      }
      return items;
    }
  }
  report(position, "cannot take items one by one from " + describe(value));
  return std::nullopt;
}

std::optional<bool> Evaluator::truth(const Value& value) {
  if (value.is<None>())
    return false;
  if (const auto number = as_double(value))
    return *number != 0;
  if (const auto* text = value.text())
    return !text->empty();
  if (const auto* items = value.sequence())
    return !items->empty();
  if (const auto* dict = value.as<Dict>())
    return !dict->items->empty();
  // A buffer is no condition: its elements may be.
  if (value.is_poison() || value.is_ir() || value.is<Buffer>() || value.is<Region>())
    return std::nullopt;
  return true;
}

// Expressions.

Value Evaluator::evaluate(const Expression& expression) {
  if (!step(expression.position))
    return Poison{};
  ++depth_;
  Value value = evaluate_inner(expression);
  --depth_;
  if (const auto* expr = value.as<Expr>())
    set_span(*expr, expression.position);
  return value;
}

Value Evaluator::evaluate_inner(const Expression& expression) {
  switch (expression.type) {
  case E::kBad:
    return Poison{};
  case E::kName:
    return name(expression);
  case E::kInt:
    return expression.integer;
  case E::kFloat:
    return expression.real;
  case E::kString:
    return make_text(expression.text);
  case E::kFString:
    return f_string(expression);
  case E::kNone:
  case E::kEllipsis:
    return None{};
  case E::kTrue:
    return true;
  case E::kFalse:
    return false;
  case E::kTuple:
  case E::kList:
  case E::kDict:
    return display(expression);
  case E::kListComp:
    return list_comprehension(expression);
  case E::kAttribute:
    return attribute(expression);
  case E::kCall:
    return call_expression(expression);
  case E::kSubscript:
    return subscript(expression);
  case E::kSlice: {
    std::vector<Value> bounds;
    for (const ExpressionPtr& item : expression.items)
      bounds.push_back(item ? evaluate(*item) : Value(None{}));
    for (const Value& bound : bounds)
      if (bound.is_poison())
        return Poison{};
    return SliceValue{std::make_shared<const std::vector<Value>>(std::move(bounds))};
  }
  case E::kUnary:
    return unary(expression);
  case E::kBinary: {
    const Value a = evaluate(*expression.items[0]);
    const Value b = evaluate(*expression.items[1]);
    if (a.is_ir() != b.is_ir())
      if (auto folded = fold_neutral(expression, a, b))
        return *folded;
    return binary(expression.ops[0], a, b, expression.position);
  }
  case E::kCompare:
    return compare(expression);
  case E::kAnd:
  case E::kOr:
    return logic(expression);
  case E::kIfElse:
    return if_else(expression);
  case E::kLambda: {
    Closure closure;
    closure.lambda = &expression;
    closure.environment = environment_;
    return keep(std::move(closure));
  }
  case E::kStarred:
    return report(expression.position, "'*' stands only before a list in a call or display");
  }
  return Poison{};
}

/// i * stride is i where stride is 1: what a generator computed leaves no trace. Numbers that stand
/// in the text itself are kept, because printed programs must parse to what they were.
std::optional<Value> Evaluator::fold_neutral(const Expression& expression, const Value& a,
                                             const Value& b) {
  const Value& other = a.is_ir() ? a : b;
  const Value& constant = a.is_ir() ? b : a;
  const Expression* written = expression.items[a.is_ir() ? 1 : 0].get();
  if (written->type == E::kUnary)
    written = written->items[0].get();
  const auto* number = constant.as<Int>();
  if (number == nullptr || written->type == E::kInt)
    return std::nullopt;
  const Operator op = expression.ops[0];
  const bool neutral = op == Operator::kMul   ? *number == 1
                       : op == Operator::kAdd ? *number == 0
                       : !a.is_ir()           ? false
                       : op == Operator::kSub ? *number == 0
                                              : op == Operator::kFloorDiv && *number == 1;
  if (!neutral)
    return std::nullopt;
  const Expr expr = to_expr(other, expression.position);
  if (!expr || !expr->dtype.is_integral())
    return std::nullopt;
  return Value(expr);
}

Value Evaluator::name(const Expression& expression) {
  if (const Value* value = environment_->find(expression.text)) {
    // Inside a kernel, a dimension is this kernel's variable.
    if (const auto* dimension = value->as<Symbol>(); dimension != nullptr && builder_ != nullptr)
      return Expr(builder_->symbol(dimension->name, dimension->dtype));
    return *value;
  }
  if (auto value = find_builtin(expression.text))
    return *value;
  std::string message = "'" + expression.text + "' is not known here";
  message += did_you_mean(expression.text, known_names());
  Value poison = report(expression.position, message);
  // Once is enough: later uses in this scope stay silent.
  environment_->set(expression.text, Poison{});
  return poison;
}

Value Evaluator::f_string(const Expression& expression) {
  std::string text;
  for (size_t i = 0; i < expression.items.size(); ++i) {
    const Value value = evaluate(*expression.items[i]);
    if (value.is_poison())
      return Poison{};
    const std::string& format = expression.names[i];
    if (value.text() != nullptr) {
      text += *value.text();
    } else if (value.is_ir()) {
      return report(expression.items[i]->position,
                    "an f-string is put together before the kernel runs and cannot hold " +
                        describe(value));
    } else if (!format.empty()) {
      // The usual numeric formats: [0][width][.precision][dxfeg]
      char kind = format.back();
      std::string spec = format;
      if (std::isalpha(static_cast<unsigned char>(kind)))
        spec.pop_back();
      else
        kind = value.is<double>() ? 'g' : 'd';
      const bool is_float = kind == 'f' || kind == 'e' || kind == 'g';
      if (spec.find_first_not_of("0123456789.") != std::string::npos || spec.size() > 5 ||
          (!is_float && kind != 'd' && kind != 'x') || !value.is_number())
        return report(expression.items[i]->position,
                      "the format ':" + format + "' is not known; use as :d, :04d, :x or :.3f");
      char buffer[512];
      if (is_float)
        std::snprintf(buffer, sizeof buffer, ("%" + spec + kind).c_str(), *as_double(value));
      else if (!value.is<double>())
        std::snprintf(buffer, sizeof buffer, ("%" + spec + "ll" + kind).c_str(),
                      static_cast<long long>(*as_integer(value)));
      else
        return report(expression.items[i]->position, "':" + format + "' formats integers");
      text += buffer;
    } else {
      text += repr(value);
    }
    if (text.size() > kMaxSequence)
      return report(expression.position, "this string has more than a million characters");
  }
  return make_text(std::move(text));
}

Value Evaluator::display(const Expression& expression) {
  if (expression.type == E::kDict) {
    auto items = std::make_shared<std::vector<std::pair<Value, Value>>>();
    for (size_t i = 0; i + 1 < expression.items.size(); i += 2) {
      Value key = evaluate(*expression.items[i]);
      Value value = evaluate(*expression.items[i + 1]);
      if (key.is_poison() || value.is_poison())
        return Poison{};
      // The last of equal string or number keys stays, as in Python.
      bool replaced = false;
      if (key.text() != nullptr || key.is_number())
        for (auto& [known, old] : *items)
          if ((known.text() != nullptr && key.text() != nullptr && *known.text() == *key.text()) ||
              (known.is_number() && key.is_number() && as_double(known) == as_double(key))) {
            old = value;
            replaced = true;
          }
      if (!replaced)
        items->emplace_back(std::move(key), std::move(value));
    }
    return Dict{std::move(items)};
  }
  std::vector<Value> items;
  bool poison = false;
  for (const ExpressionPtr& child : expression.items) {
    if (child->type == E::kStarred) {
      const Value inner = evaluate(*child->items[0]);
      const auto spread = iterate(inner, child->position);
      if (!spread)
        return Poison{};
      items.insert(items.end(), spread->begin(), spread->end());
    } else {
      items.push_back(evaluate(*child));
      poison |= items.back().is_poison();
    }
    if (items.size() > kMaxSequence)
      return report(expression.position, "this list has more than a million items");
  }
  if (poison)
    return Poison{};
  return make_sequence(std::move(items), expression.type == E::kTuple);
}

Value Evaluator::list_comprehension(const Expression& expression) {
  const Value source = evaluate(*expression.items[2]);
  const auto items = iterate(source, expression.items[2]->position);
  if (!items)
    return Poison{};
  Environment& inside = new_environment(environment_);
  Scope scope(*this, inside);
  std::vector<Value> result;
  for (const Value& item : *items) {
    if (!step(expression.position))
      return Poison{};
    assign_name(*expression.items[1], item);
    bool keep_it = true;
    for (size_t i = 3; i < expression.items.size() && keep_it; ++i) {
      const Value condition = evaluate(*expression.items[i]);
      const auto holds = truth(condition);
      if (!holds && !condition.is_poison())
        report(expression.items[i]->position, "this condition is not known at compile time");
      if (!holds)
        return Poison{};
      keep_it = *holds;
    }
    if (keep_it)
      result.push_back(evaluate(*expression.items[0]));
    if (!result.empty() && result.back().is_poison())
      return Poison{};
  }
  return make_sequence(std::move(result), false);
}

Value Evaluator::attribute(const Expression& expression) {
  const Value base = evaluate(*expression.items[0]);
  const std::string& what = expression.text;
  if (base.is_poison())
    return Poison{};
  if (const auto* space = base.as<Namespace>()) {
    switch (space->name) {
    case Namespace::Name::kT: {
      if (auto value = find_in_t(what))
        return *value;
      return report(expression.position,
                    "T." + what + " is not known" + did_you_mean(what, names_in_t()));
    }
    case Namespace::Name::kAxis: {
      if (auto value = find_axis(what))
        return *value;
      return report(expression.position,
                    "T.axis." + what + " is not known; use spatial, reduce, scan, opaque or remap");
    }
    case Namespace::Name::kI:
      if (what == "ir_module")
        return Decorator{Decorator::Kind::kModule, std::nullopt, false};
      return report(expression.position, "I." + what + " is not known; use I.ir_module");
    case Namespace::Name::kTe:
      if (auto value = find_in_te(what))
        return *value;
      return report(expression.position,
                    "te." + what + " is not known" + did_you_mean(what, names_in_te()));
    case Namespace::Name::kMath:
      if (auto value = find_in_math(what))
        return *value;
      return report(expression.position, "math." + what + " is not known here");
    case Namespace::Name::kTileLang:
      if (what == "jit" || what == "autotune")
        return Decorator{Decorator::Kind::kNothing, std::nullopt, false};
      if (what == "language")
        return Namespace{Namespace::Name::kT};
      if (what == "cdiv")
        return *find_in_t("ceildiv");
      return report(expression.position, "tilelang." + what +
                                             " is not known; temper check, tune and export do what "
                                             "its tools do");
    case Namespace::Name::kGemmWarpPolicy:
      if (what == "Square" || what == "FullRow" || what == "FullCol")
        return make_text(what);
      return report(expression.position, "T.GemmWarpPolicy is Square, FullRow or FullCol");
    case Namespace::Name::kTemper:
    case Namespace::Name::kTyping:
      if (auto value = find_import("temper", what))
        return *value;
      return report(expression.position, "'" + what + "' is not known in this module");
    }
  }
  if (const auto* buffer = base.as<Buffer>()) {
    if (auto value = find_buffer_attribute(*this, *buffer, what, expression.position))
      return *value;
    return report(expression.position, "a buffer has no '" + what +
                                           "'; it has shape, dtype, strides, scope, vload and "
                                           "vstore");
  }
  if (base.is_ir()) {
    if (what == "dtype") {
      const Expr expr = to_expr(base, expression.position);
      return expr ? make_text(temper::to_string(expr->dtype)) : Value(Poison{});
    }
    if (what == "astype") {
      std::optional<Value> method = find_in_t("astype");
      Builtin builtin = *method->as<Builtin>();
      builtin.self = std::make_shared<const Value>(base);
      return builtin;
    }
    return report(expression.position,
                  "an expression has no '" + what + "'; it has dtype and astype");
  }
  if (auto method = find_method(base, what))
    return *method;
  if (auto member = find_in_schedule(*this, base, what, expression.position))
    return *member;
  return report(expression.position, describe(base) + " has no '" + what + "'");
}

Value Evaluator::subscript(const Expression& expression) {
  const Value base = evaluate(*expression.items[0]);
  const Value index = evaluate(*expression.items[1]);
  if (base.is_poison() || index.is_poison())
    return Poison{};
  if (const auto* buffer = base.as<Buffer>())
    return access(*buffer, index, expression.position);
  if (base.is<LetType>()) {
    const auto dtype = to_dtype(index, expression.items[1]->position);
    return dtype ? Value(LetType{*dtype}) : Value(Poison{});
  }
  if (const auto* dict = base.as<Dict>()) {
    for (const auto& [key, value] : *dict->items)
      if (truth(compare_values(Operator::kEqual, key, index, expression.position)).value_or(false))
        return value;
    return report(expression.position, "the dict has no key " + repr(index));
  }
  const auto* items = base.sequence();
  const auto* text = base.text();
  if (items != nullptr || text != nullptr) {
    const Int size = static_cast<Int>(items != nullptr ? items->size() : text->size());
    if (const auto* slice = index.as<SliceValue>()) {
      const auto bound = [&](size_t i, Int otherwise) -> Int {
        const auto value = as_integer((*slice->bounds)[i]);
        if (!value)
          return otherwise;
        return std::clamp<Int>(*value < 0 ? *value + size : *value, 0, size);
      };
      if (!(*slice->bounds)[2].is<None>())
        return report(expression.position, "slices of lists take no step here");
      const auto begin = static_cast<size_t>(bound(0, 0));
      const auto end = std::max(begin, static_cast<size_t>(bound(1, size)));
      if (text != nullptr)
        return make_text(text->substr(begin, end - begin));
      return make_sequence({items->begin() + static_cast<std::ptrdiff_t>(begin),
                            items->begin() + static_cast<std::ptrdiff_t>(end)},
                           base.as<Sequence>()->is_tuple);
    }
    const auto at = as_integer(index);
    if (!at)
      return report(expression.items[1]->position,
                    "an index into " + describe(base) + " is an integer, not " + describe(index));
    if (*at >= size || *at < -size)
      return report(expression.position, describe(base) + " has " + decimal(size) + " items; " +
                                             decimal(*at) + " is not among them");
    const auto place = static_cast<size_t>(*at < 0 ? *at + size : *at);
    return text != nullptr ? make_text(std::string(1, (*text)[place])) : (*items)[place];
  }
  if (base.is<ScalarVar>())
    return report(expression.position,
                  base.as<ScalarVar>()->buffer->name + " is a scalar; use it without an index");
  return report(expression.position, describe(base) + " cannot be indexed");
}

Value Evaluator::call_expression(const Expression& expression) {
  const Expression& head = *expression.items[0];
  const Value callee = evaluate(head);
  CallArguments arguments;
  arguments.position = expression.position;
  const size_t count = expression.items.size() - expression.names.size();
  bool poison = callee.is_poison();
  for (size_t i = 1; i < count; ++i) {
    const Expression& item = *expression.items[i];
    if (item.type == E::kStarred) {
      const Value inner = evaluate(*item.items[0]);
      const auto spread = iterate(inner, item.position);
      if (!spread)
        poison = true;
      else
        for (const Value& value : *spread) {
          arguments.positional.push_back(value);
          arguments.positions.push_back(item.position);
        }
      continue;
    }
    arguments.positional.push_back(evaluate(item));
    arguments.positions.push_back(item.position);
    poison |= arguments.positional.back().is_poison();
  }
  for (size_t i = 0; i < expression.names.size(); ++i) {
    const Expression& item = *expression.items[count + i];
    Value value = evaluate(item);
    poison |= value.is_poison();
    arguments.keywords.emplace_back(expression.names[i], std::move(value));
    arguments.keyword_positions.push_back(item.position);
  }
  if (poison)
    return Poison{};
  return call(callee, arguments);
}

Value Evaluator::call(const Value& callee, CallArguments& arguments) {
  if (const auto* builtin = callee.as<Builtin>()) {
    arguments.callee = builtin;
    return builtin->function(*this, arguments);
  }
  if (const auto* closure = callee.as<const Closure*>())
    return call_closure(**closure, arguments);
  if (const auto* type = callee.as<TypeName>()) {
    std::optional<Value> construct = find_in_t("_construct");
    Builtin builtin = *construct->as<Builtin>();
    builtin.self = std::make_shared<const Value>(Value(*type));
    arguments.callee = &builtin;
    return builtin.function(*this, arguments);
  }
  if (const auto* decorator = callee.as<Decorator>()) {
    // T.prim_func(s_tir=True, private=True)
    Decorator result = *decorator;
    for (size_t i = 0; i < arguments.keywords.size(); ++i) {
      const auto& [key, value] = arguments.keywords[i];
      const auto flag = truth(value);
      if (key == "s_tir" && flag)
        result.s_tir = *flag;
      else if (key == "private" && flag)
        result.is_private = *flag;
      else if (key != "check_well_formed")
        report(arguments.keyword_positions[i],
               "T.prim_func has no option '" + key + "'" +
                   did_you_mean(key, {"s_tir", "private", "check_well_formed"}));
    }
    return result;
  }
  return report(arguments.position, describe(callee) + " cannot be called");
}

Value Evaluator::call_closure(const Closure& closure, CallArguments& arguments) {
  if (!step(arguments.position))
    return Poison{};
  Environment& inside = new_environment(closure.environment, true);
  const std::string name = closure.def != nullptr ? closure.def->name : "this lambda";
  std::vector<std::string> names;
  if (closure.def != nullptr)
    for (const Parameter& parameter : closure.def->parameters)
      names.push_back(parameter.name);
  else
    names = closure.lambda->names;
  if (arguments.positional.size() > names.size())
    return report(arguments.position, name + " takes " + std::to_string(names.size()) +
                                          (names.size() == 1 ? " argument" : " arguments") +
                                          ", not " + std::to_string(arguments.positional.size()));
  for (size_t i = 0; i < arguments.positional.size(); ++i)
    inside.set(names[i], arguments.positional[i]);
  for (size_t i = 0; i < arguments.keywords.size(); ++i) {
    const auto& [key, value] = arguments.keywords[i];
    if (std::find(names.begin(), names.end(), key) == names.end())
      return report(arguments.keyword_positions[i],
                    name + " has no parameter '" + key + "'" + did_you_mean(key, names));
    if (inside.find_here(key) != nullptr)
      return report(arguments.keyword_positions[i], "'" + key + "' is given twice");
    inside.set(key, value);
  }
  const size_t defaults = closure.defaults ? closure.defaults->size() : 0;
  std::vector<std::string> missing;
  for (size_t i = 0; i < names.size(); ++i) {
    if (inside.find_here(names[i]) != nullptr)
      continue;
    if (i + defaults >= names.size()) {
      Value value = (*closure.defaults)[i + defaults - names.size()];
      // A knob that nobody pinned has its first value.
      if (const auto* knob = value.as<Tunable>())
        value = knob->choices->front();
      inside.set(names[i], value);
    } else {
      missing.push_back(names[i]);
    }
  }
  if (!missing.empty())
    return report(arguments.position, name + " needs the argument" +
                                          (missing.size() > 1 ? "s " : " ") + join(missing, ", "));
  // The parts of a prim_func around the call do not apply inside: this is Python.
  depth_ += 4;
  Value result = None{};
  {
    Scope scope(*this, inside);
    if (closure.is_macro) {
      if (builder_ == nullptr)
        result = report(arguments.position, name + " is a macro: it is called inside of a kernel");
      else
        result = builder_->inline_statements(closure.def->body);
    } else if (closure.lambda != nullptr) {
      result = evaluate(*closure.lambda->items[0]);
    } else {
      returned_ = None{};
      const Flow flow = execute(closure.def->body);
      if (flow == Flow::kReturn)
        result = std::exchange(returned_, None{});
      if (stopped_)
        result = Poison{};
    }
  }
  depth_ -= 4;
  return result;
}

Value call_with(Evaluator& evaluator, const Closure& closure, std::vector<Value> values,
                Position position) {
  CallArguments arguments;
  arguments.position = position;
  arguments.positions.assign(values.size(), position);
  arguments.positional = std::move(values);
  return evaluator.call_closure(closure, arguments);
}

std::vector<std::string> parameters_of(const Closure& closure) {
  if (closure.lambda != nullptr)
    return closure.lambda->names;
  std::vector<std::string> names;
  for (const Parameter& parameter : closure.def->parameters)
    names.push_back(parameter.name);
  return names;
}

s_tir::te::Graph& Evaluator::tensor_expressions() {
  if (!tensor_expressions_)
    tensor_expressions_ = std::make_unique<s_tir::te::Graph>();
  return *tensor_expressions_;
}

PrimFunc Evaluator::build_prim_func(const Statement& def, const Decorator& decorator,
                                    Environment& environment) {
  if (builder_ != nullptr) {
    report(def.position, "a prim_func cannot be defined inside another one");
    return nullptr;
  }
  FunctionBuilder builder(*this, def, decorator, environment);
  builder_ = &builder;
  PrimFunc function = builder.build();
  builder_ = nullptr;
  return function;
}

std::optional<s_tir::te::Statements> Evaluator::build_statements(const Closure& closure,
                                                                 std::vector<Value> arguments,
                                                                 Position position) {
  if (builder_ != nullptr) {
    report(position, "tensors are made outside of kernels");
    return std::nullopt;
  }
  Statement function;
  function.position = position;
  FunctionBuilder builder(*this, function, Decorator{Decorator::Kind::kPrimFunc, true, false},
                          *environment_);
  Closure said = closure;
  said.is_macro = closure.def != nullptr;
  builder_ = &builder;
  auto statements = builder.build_statements([&] {
    const Value value = call_with(*this, said, std::move(arguments), position);
    const auto* expr = value.as<Expr>();
    if (expr != nullptr && expr->is<Call>())
      builder.add(tir::make_evaluate(*expr), position);
    else if (!value.is<None>() && !value.is_poison())
      report(position,
             "what a tensor of te.extern is computed by are statements, as in a def or in "
             "a macro that a lambda calls, not " +
                 describe(value));
  });
  builder_ = nullptr;
  return statements;
}

} // namespace temper::script
