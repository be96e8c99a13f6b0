#include "ir/script/function_builder.h"
#include "ir/tir/grid_sync.h"

#include "ir/script/regions.h"
#include "ir/tir/pipeline_order.h"
#include "ir/tir/thread_barriers.h"
#include "ir/walk.h"

#include <algorithm>
#include <cctype>
#include <map>

namespace temper::script {

using E = Expression::Type;
using S = Statement::Type;

namespace {

/// Calls `visit` for each statement below, blocks of nested statements included.
void each_statement(const Body& body, FunctionRef<void(const Statement&)> visit) {
  for (const StatementPtr& statement : body) {
    visit(*statement);
    each_statement(statement->body, visit);
    each_statement(statement->other, visit);
  }
}

/// The attribute's name of a call `x.name(...)`; empty otherwise.
std::string_view called_attribute(const Expression* expression) {
  if (expression == nullptr || expression->type != E::kCall)
    return {};
  const Expression& head = *expression->items[0];
  return head.type == E::kAttribute ? std::string_view(head.text) : std::string_view();
}

} // namespace

void set_steps(LoopSpec& spec, const Expr& first, const Expr& last, int64_t step) {
  if (step == 1) {
    spec.ranges.push_back({first, extent_between(first, last)});
    return;
  }
  // for i in range(first, last, 4):      for i_0 in range(ceildiv(last - first, 4)):
  //                                  ->      i = first + i_0 * 4
  const Expr way = step > 0 ? extent_between(first, last) : extent_between(last, first);
  const int64_t size = step > 0 ? step : -step;
  const auto known = as_int(way);
  spec.ranges.push_back(
      {make_int(first->dtype, 0),
       known ? make_int(first->dtype, std::max<int64_t>(0, *known + size - 1) / size)
             : floordiv(way + (size - 1), size)});
  spec.step = step;
  spec.first = first;
}

FunctionBuilder::FunctionBuilder(Evaluator& evaluator, const Statement& def,
                                 const Decorator& decorator, Environment& outer)
    : evaluator_(evaluator), def_(def), decorator_(decorator), outer_(outer) {
  bool has_blocks = false;
  each_statement(def.body, [&](const Statement& statement) {
    if (statement.type == S::kWith) {
      const std::string_view name = called_attribute(statement.value.get());
      has_blocks |= name == "sblock" || name == "block";
    }
  });
  // Older text has no flag: blocks make a function schedulable.
  s_tir_ = decorator.s_tir.value_or(has_blocks);
  // m = T.int32() says the type of a dimension that a parameter's shape names in quotes.
  for (const StatementPtr& statement : def.body)
    if (statement->type == S::kAssign && statement->targets[0]->type == E::kName) {
      const Expression& value = *statement->value;
      if (value.type == E::kCall && value.items.size() == 1 &&
          value.items[0]->type == E::kAttribute)
        if (const auto dtype = parse_data_type(value.items[0]->text))
          symbol_types_[statement->targets[0]->text] = *dtype;
    }
}

PrimFunc FunctionBuilder::build() {
  const size_t errors = evaluator_.diagnostics().list().size();
  if (decorator_.s_tir && !*decorator_.s_tir)
    each_statement(def_.body, [&](const Statement& statement) {
      const std::string_view name = called_attribute(statement.value.get());
      if (statement.type == S::kWith && (name == "sblock" || name == "block"))
        evaluator_.report(statement.position, "blocks belong to s-tir; decorate the function with "
                                              "@T.prim_func(s_tir=True)");
    });
  Environment& environment = evaluator_.new_environment(&outer_);
  Evaluator::Scope scope(evaluator_, environment);
  parameters(environment);

  BlockFrame root;
  root.is_root = true;
  root.name = "root";
  root.depth = 1;
  blocks_.push_back(&root);
  lists_.emplace_back();
  statements(def_.body);
  std::vector<Stmt> list = std::move(lists_.back());
  lists_.pop_back();
  blocks_.pop_back();

  // Dimensions in the order in which the parameters mention them; each must be in some shape.
  std::vector<Var> dimensions;
  for (const ParameterSlot& slot : parameters_)
    if (slot.param.buffer)
      walk(slot.param.buffer, [&](const NodeRef& node) {
        for (const auto& [name, var] : symbols_)
          if (var.get() == node.get() &&
              std::find(dimensions.begin(), dimensions.end(), var) == dimensions.end())
            dimensions.push_back(var);
        return true;
      });
  for (const auto& [name, var] : symbols_) {
    if (std::find(dimensions.begin(), dimensions.end(), var) == dimensions.end())
      evaluator_.report(def_.position, "the dimension " + name +
                                           " is in no parameter's shape; make it a parameter, as " +
                                           name + ": T.int32");
  }
  if (evaluator_.diagnostics().list().size() > errors || evaluator_.stopped())
    return nullptr;

  Stmt body = resolved(std::move(list), errors);
  if (!body)
    return nullptr;
  if (s_tir_) {
    const auto* realize = body.as<s_tir::SBlockRealize>();
    const bool explicit_root = realize != nullptr && realize->block->name == "root" &&
                               realize->block->iter_vars.empty() && root.allocated.empty() &&
                               root.annotations.empty();
    if (!explicit_root) {
      root.reads.emplace();
      root.writes.emplace();
      body = finish_block(root, std::move(body), def_.position);
    }
  } else if (!root.allocated.empty()) {
    evaluator_.report(def_.position, "T.sblock_alloc_buffer belongs to s-tir; decorate the "
                                     "function with @T.prim_func(s_tir=True)");
    return nullptr;
  }
  PrimFunc function = make_node<PrimFuncNode>([&](PrimFuncNode& node) {
    node.name = def_.name;
    node.shape_vars = std::move(dimensions);
    for (ParameterSlot& slot : parameters_)
      node.params.push_back(slot.param);
    node.attrs = attrs_;
    node.s_tir = s_tir_;
    node.is_private = decorator_.is_private;
    node.body = std::move(body);
  });
  if (evaluator_.is_for_tilelang())
    function = tir::meet_between_threads(function);
  evaluator_.set_span(function, def_.position);
  return function;
}

Stmt FunctionBuilder::resolved(std::vector<Stmt> list, size_t errors) {
  Stmt body = tir::resolve_views(tir::make_seq(std::move(list)), views_);
  body = tir::resolve_reducers(body, reducers_, [&](const Span& span, std::string why) {
    evaluator_.report({span.line, std::max(1U, span.column), 1}, std::move(why));
  });
  if (evaluator_.diagnostics().list().size() > errors)
    return nullptr;
  for (const Var& var : free_variables_) {
    if (!is_free_variable(var))
      continue;
    bool used = false;
    bool defined = false;
    walk(body, [&](const NodeRef& node) {
      used |= node.get() == var.get();
      if (node->kind() == Let::kKind)
        defined |= static_cast<const Let&>(*node).var == var;
      return true;
    });
    if (used && !defined) {
      evaluator_.report({var->span.line != 0 ? var->span.line : def_.position.line,
                         std::max(1u, var->span.column), 1},
                        var->name + " has no value: it is in no parameter's shape and in no T.Let");
      return nullptr;
    }
  }
  return body;
}

std::optional<s_tir::te::Statements> FunctionBuilder::build_statements(FunctionRef<void()> say) {
  const size_t errors = evaluator_.diagnostics().list().size();
  Evaluator::Scope scope(evaluator_, evaluator_.new_environment(&outer_));
  BlockFrame root;
  root.is_root = true;
  root.name = "root";
  root.depth = 1;
  blocks_.push_back(&root);
  lists_.emplace_back();
  say();
  std::vector<Stmt> list = std::move(lists_.back());
  lists_.pop_back();
  blocks_.pop_back();
  for (const auto& [name, var] : symbols_)
    evaluator_.report(def_.position, "the dimension " + name + " is in no tensor's shape");
  if (evaluator_.diagnostics().list().size() > errors || evaluator_.stopped())
    return std::nullopt;
  Stmt body = resolved(std::move(list), errors);
  if (!body)
    return std::nullopt;
  return s_tir::te::Statements{std::move(body), std::move(root.allocated)};
}

void FunctionBuilder::parameters(Environment& environment) {
  // Numbers first: shapes of buffers before them may mention them, as in (A: T.Buffer((n,)), n:
  // T.int32), which is how programs with sizes as arguments print.
  std::map<std::string, Var> numbers;
  for (const Parameter& parameter : def_.parameters) {
    if (!parameter.annotation || parameter.annotation->type != Expression::Type::kAttribute)
      continue;
    if (const auto dtype = parse_data_type(parameter.annotation->text);
        dtype && dtype->is_scalar()) {
      const Var var = make_var(parameter.name, *dtype);
      numbers.emplace(parameter.name, var);
      environment.set(parameter.name, Value(Expr(var)));
    }
  }
  for (const Parameter& parameter : def_.parameters) {
    for (const ParameterSlot& slot : parameters_)
      if (slot.name == parameter.name)
        evaluator_.report(parameter.position, "there are two parameters named " + parameter.name);
    if (parameter.default_value)
      evaluator_.report(parameter.position, "a kernel's parameters have no default values");
    if (!parameter.annotation) {
      evaluator_.report(parameter.position, "the parameter " + parameter.name +
                                                " needs a type, as " + parameter.name +
                                                ": T.Buffer((128, 128), \"float32\") or " +
                                                parameter.name + ": T.int32");
      environment.set(parameter.name, Poison{});
      continue;
    }
    const Value type = evaluator_.evaluate(*parameter.annotation);
    const Position where = parameter.annotation->position;
    ParameterSlot slot;
    slot.name = parameter.name;
    slot.position = parameter.position;
    if (const auto* buffer_type = type.as<std::shared_ptr<const BufferType>>()) {
      if (Buffer buffer = make_typed_buffer(**buffer_type, parameter.name, where)) {
        evaluator_.set_span(buffer, parameter.position);
        slot.param.buffer = buffer;
        environment.set(parameter.name, Value(buffer));
        parameters_.push_back(std::move(slot));
        continue;
      }
    } else if (type.is<TypeName>() || type.text() != nullptr) {
      const auto dtype = evaluator_.to_dtype(type, where);
      if (dtype && !dtype->is_scalar()) {
        evaluator_.report(where, "a parameter is a buffer or one number, not a vector");
      } else if (dtype) {
        const auto known = numbers.find(parameter.name);
        Var var = known != numbers.end() && known->second->dtype == *dtype
                      ? known->second
                      : make_var(parameter.name, *dtype);
        evaluator_.set_span(var, parameter.position);
        slot.param.var = var;
        environment.set(parameter.name, Value(Expr(var)));
        parameters_.push_back(std::move(slot));
        continue;
      }
    } else if (!type.is_poison()) {
      evaluator_.report(where, "a parameter's type is T.Buffer(...) or a type as T.int32, not " +
                                   describe(type));
    }
    environment.set(parameter.name, Poison{});
  }
}

Var FunctionBuilder::symbol(const std::string& name, std::optional<DataType> given) {
  for (const auto& [known, var] : symbols_)
    if (known == name)
      return var;
  const auto type = symbol_types_.find(name);
  const DataType dtype =
      type != symbol_types_.end() ? type->second : given.value_or(DataType::int64());
  Var var = make_var(name, dtype.is_integral() && dtype.is_scalar() ? dtype : DataType::int64());
  symbols_.emplace_back(name, var);
  return var;
}

bool FunctionBuilder::has_symbol(const std::string& name) const {
  return std::any_of(symbols_.begin(), symbols_.end(),
                     [&](const auto& entry) { return entry.first == name; });
}

bool FunctionBuilder::is_free_variable(const Var& var) const {
  return std::find(free_variables_.begin(), free_variables_.end(), var) != free_variables_.end() &&
         std::none_of(symbols_.begin(), symbols_.end(),
                      [&](const auto& entry) { return entry.second == var; });
}

Buffer FunctionBuilder::make_typed_buffer(const BufferType& type, const std::string& name,
                                          Position position) {
  bool ok = true;
  const auto extent = [&](const Value& value) -> Expr {
    if (value.text() != nullptr) {
      if (Value* known = outer_.find(*value.text()); known != nullptr && !known->is<Symbol>())
        if (known->is<Int>())
          return evaluator_.to_index(*known, position, false);
      const std::string& text = *value.text();
      if (text.empty() || std::isdigit(static_cast<unsigned char>(text[0])) ||
          !std::all_of(text.begin(), text.end(),
                       [](unsigned char c) { return std::isalnum(c) || c == '_'; })) {
        evaluator_.report(position, "\"" + text +
                                        "\" is no dimension's name; an expression in a "
                                        "shape stands without quotes");
        return nullptr;
      }
      return symbol(text);
    }
    if (const auto* dimension = value.as<Symbol>())
      return symbol(dimension->name, dimension->dtype);
    Expr expr = evaluator_.to_index(value, position, false);
    // A variable made by m = T.int64() becomes a dimension where a shape mentions it.
    if (expr)
      walk(expr, [&](const NodeRef& node) {
        for (const Var& var : free_variables_)
          if (var.get() == node.get() &&
              std::none_of(symbols_.begin(), symbols_.end(),
                           [&](const auto& entry) { return entry.second == var; }))
            symbols_.emplace_back(var->name, var);
        return true;
      });
    ok &= expr != nullptr;
    return expr;
  };
  std::vector<Expr> shape;
  std::vector<Expr> strides;
  int64_t count = 1;
  for (const Value& value : type.shape) {
    shape.push_back(extent(value));
    if (!shape.back())
      return nullptr;
    if (const auto constant = as_int(shape.back())) {
      if (*constant < 0) {
        evaluator_.report(position, name + " has an extent of " + std::to_string(*constant) +
                                        "; extents are not negative");
        return nullptr;
      }
      if (__builtin_mul_overflow(count, *constant, &count) ||
          count > INT64_MAX / std::max(1, type.dtype.bytes())) {
        evaluator_.report(position, "the shape of " + name +
                                        " overflows: it has more bytes than 64 bits can count");
        return nullptr;
      }
    }
  }
  for (const Value& value : type.strides) {
    strides.push_back(extent(value));
    ok &= strides.back() != nullptr;
  }
  if (!ok)
    return nullptr;
  if (!strides.empty() && strides.size() != shape.size()) {
    evaluator_.report(position, name + " has " + std::to_string(shape.size()) +
                                    (shape.size() == 1 ? " dimension" : " dimensions") + ", but " +
                                    std::to_string(strides.size()) +
                                    (strides.size() == 1 ? " stride is" : " strides are") +
                                    " given; give one per dimension");
    return nullptr;
  }
  if (type.layout && type.layout->inputs.size() != shape.size()) {
    evaluator_.report(position, "the layout of " + name + " takes " +
                                    std::to_string(type.layout->inputs.size()) +
                                    " indices, but the shape has " + std::to_string(shape.size()) +
                                    " dimensions");
    return nullptr;
  }
  return make_node<BufferNode>([&](BufferNode& node) {
    node.name = name;
    node.dtype = type.dtype;
    node.shape = std::move(shape);
    node.strides = std::move(strides);
    node.elem_offset = type.elem_offset;
    node.scope = type.scope;
    node.alignment = type.alignment;
    node.layout = type.layout;
  });
}

bool FunctionBuilder::is_parameter(const Var& var) const {
  return std::any_of(parameters_.begin(), parameters_.end(),
                     [&](const ParameterSlot& slot) { return slot.param.var == var; });
}

bool FunctionBuilder::match_parameter(const Var& var, const Buffer& buffer) {
  for (ParameterSlot& slot : parameters_)
    if (slot.param.var == var) {
      slot.param = Param{buffer, nullptr};
      return true;
    }
  return false;
}

void FunctionBuilder::set_attrs(const Annotations& attrs) {
  for (const Annotation& entry : attrs.entries)
    attrs_ = attrs_.with(entry.key, entry.value);
}

std::string FunctionBuilder::pending_name(size_t index, const char* otherwise) const {
  return index < pending_.size() && !pending_[index].empty() ? pending_[index] : otherwise;
}

void FunctionBuilder::add(Stmt statement, Position position) {
  evaluator_.set_span(statement, position);
  lists_.back().push_back(std::move(statement));
}

const Range* FunctionBuilder::loop_range(const Var& var) const {
  for (const auto& [loop_var, range] : loops_)
    if (loop_var == var)
      return &range;
  return nullptr;
}

FunctionBuilder::BlockFrame* FunctionBuilder::describing_block(Position position,
                                                               const char* what) {
  if (blocks_.back()->is_root) {
    evaluator_.report(position,
                      std::string(what) + " stands inside a block: with T.sblock(\"name\"):");
    return nullptr;
  }
  if (!directly_in_block()) {
    evaluator_.report(position, std::string(what) + " stands directly in its block, before loops "
                                                    "and conditions");
    return nullptr;
  }
  return blocks_.back();
}

// Statements.

void FunctionBuilder::statements(const Body& body) {
  for (const StatementPtr& child : body) {
    if (!evaluator_.step(child->position))
      return;
    evaluator_.enter();
    statement(*child);
    evaluator_.leave();
  }
}

Value FunctionBuilder::inline_statements(const Body& body) {
  const std::vector<std::string> saved = std::exchange(pending_, {});
  ++macro_depth_;
  Value result = None{};
  for (const StatementPtr& child : body) {
    if (!evaluator_.step(child->position))
      break;
    evaluator_.enter();
    if (in_kernel() && child == body.back() && child->type == S::kReturn)
      result = child->value ? evaluator_.evaluate(*child->value) : Value(None{});
    else
      statement(*child);
    evaluator_.leave();
  }
  --macro_depth_;
  pending_ = saved;
  return result;
}

Stmt FunctionBuilder::nested(const Body& body) {
  return nested_in(body, evaluator_.new_environment(evaluator_.environment()));
}

Stmt FunctionBuilder::nested_in(const Body& body, Environment& environment) {
  Evaluator::Scope scope(evaluator_, environment);
  lists_.emplace_back();
  statements(body);
  std::vector<Stmt> list = std::move(lists_.back());
  lists_.pop_back();
  return tir::make_seq(std::move(list));
}

void FunctionBuilder::statement(const Statement& statement) {
  switch (statement.type) {
  case S::kExpression:
    expression(statement);
    return;
  case S::kAssign:
    assign(statement);
    return;
  case S::kAugmented:
    augmented(statement);
    return;
  case S::kAnnotated:
    annotated(statement);
    return;
  case S::kIf:
    if_statement(statement);
    return;
  case S::kFor:
    for_loop(statement);
    return;
  case S::kWhile:
    while_loop(statement);
    return;
  case S::kWith:
    with(statement);
    return;
  case S::kAssert:
    assertion(statement);
    return;
  case S::kReturn: {
    if (macro_depth_ > 0 && in_kernel()) {
      evaluator_.report(statement.position,
                        "a macro's statements stand where it is called, so its return is its last "
                        "line, in no loop or condition; put the value into a T.alloc_var first");
      return;
    }
    Expr value;
    if (statement.value) {
      const Value result = evaluator_.evaluate(*statement.value);
      if (!result.is<None>()) {
        value = evaluator_.to_expr(result, statement.position);
        if (!value)
          return;
      }
    }
    add(tir::make_return(std::move(value)), statement.position);
    return;
  }
  case S::kBreak:
  case S::kContinue:
    if (loop_depth_ == 0) {
      evaluator_.report(statement.position,
                        std::string(statement.type == S::kBreak ? "break" : "continue") +
                            " stands inside a loop");
      return;
    }
    add(statement.type == S::kBreak ? tir::make_break() : tir::make_continue(), statement.position);
    return;
  case S::kPass:
    return;
  case S::kDef:
    if (!statement.decorators.empty()) {
      evaluator_.report(statement.position, "a prim_func cannot be defined inside another one");
      return;
    }
    {
      Closure closure;
      closure.def = &statement;
      closure.environment = evaluator_.environment();
      std::vector<Value> defaults;
      for (const Parameter& parameter : statement.parameters)
        if (parameter.default_value)
          defaults.push_back(evaluator_.evaluate(*parameter.default_value));
      closure.defaults = std::make_shared<const std::vector<Value>>(std::move(defaults));
      evaluator_.environment()->set(statement.name, evaluator_.keep(std::move(closure)));
    }
    return;
  case S::kClass:
  case S::kImport:
    evaluator_.report(statement.position, "classes and imports stand outside the kernel");
    return;
  }
}

void FunctionBuilder::expression(const Statement& statement) {
  if (statement.value->type == E::kString)
    return; // a docstring
  const Value value = evaluator_.evaluate(*statement.value);
  if (value.is_poison() || value.is<None>())
    return;
  if (const auto* expr = value.as<Expr>()) {
    if (expr->is<Call>()) {
      add(tir::make_evaluate(*expr), statement.position);
      return;
    }
    if (value.is_definition) {
      evaluator_.report(statement.position, "this makes something that needs a name: x = ...");
      return;
    }
  }
  if (value.is<Buffer>() && value.is_definition)
    return; // an allocation nobody refers to is kept, under its default name
  evaluator_.report(statement.position,
                    "this line has no effect; store the value in a buffer, or write "
                    "T.evaluate(...)");
}

void FunctionBuilder::assign(const Statement& statement) {
  const Expression& first = *statement.targets[0];
  const std::vector<std::string> saved = std::exchange(pending_, {});
  if (first.type == E::kName) {
    pending_ = {first.text};
  } else if (first.type == E::kTuple || first.type == E::kList) {
    for (const ExpressionPtr& item : first.items)
      pending_.push_back(item->type == E::kName ? item->text : std::string());
  }
  const Value value = evaluator_.evaluate(*statement.value);
  pending_ = saved;
  for (const ExpressionPtr& target : statement.targets)
    assign_to(*target, value, statement.position);
}

void FunctionBuilder::assign_to(const Expression& target, const Value& value, Position position) {
  Environment& environment = *evaluator_.environment();
  if (target.type == E::kSubscript) {
    const Value base = evaluator_.evaluate(*target.items[0]);
    const Value index = evaluator_.evaluate(*target.items[1]);
    if (base.is_poison() || index.is_poison() || value.is_poison())
      return;
    if (const auto* buffer = base.as<Buffer>()) {
      store(*buffer, index, value, position);
      return;
    }
    if (base.is<ScalarVar>()) {
      evaluator_.report(target.position, describe(base) + " is assigned without an index");
      return;
    }
    if (base.is<Sequence>() || base.is<Dict>()) {
      evaluator_.assign_name(target, value);
      return;
    }
    evaluator_.report(target.position, describe(base) + " has no elements to assign");
    return;
  }
  if (target.type == E::kTuple || target.type == E::kList) {
    const auto* items = value.sequence();
    if (value.is_poison()) {
      for (const ExpressionPtr& item : target.items)
        if (item->type == E::kName)
          environment.set(item->text, Poison{});
      return;
    }
    if (items == nullptr || items->size() != target.items.size()) {
      evaluator_.report(
          target.position,
          "there are " + std::to_string(target.items.size()) + " names for " +
              (items != nullptr ? std::to_string(items->size()) + " values" : describe(value)));
      for (const ExpressionPtr& item : target.items)
        if (item->type == E::kName)
          environment.set(item->text, Poison{});
      return;
    }
    for (size_t i = 0; i < items->size(); ++i) {
      Value item = (*items)[i];
      item.is_definition |= value.is_definition;
      assign_to(*target.items[i], item, position);
    }
    return;
  }
  if (target.type != E::kName) {
    evaluator_.report(target.position, "this cannot be assigned; write a name or C[i, j] = ...");
    return;
  }
  const std::string& name = target.text;
  if (value.is_definition || value.is_poison()) {
    Value plain = value;
    plain.is_definition = false;
    environment.set(name, std::move(plain));
    return;
  }
  if (value.is_number() || value.is_ir()) {
    if (const Value* known = environment.find(name); known != nullptr) {
      if (const auto* scalar = known->as<ScalarVar>()) {
        set_scalar(*scalar, value, position);
        return;
      }
      if (const auto* buffer = known->as<Buffer>()) {
        evaluator_.report(position, name + " is a buffer; assign an element, as " + name +
                                        ((*buffer)->rank() == 0 ? "[()] = ..." : "[i] = ..."));
        return;
      }
      if (const auto* expr = known->as<Expr>();
          expr != nullptr && expr->is<VarNode>() &&
          (environment.find_here(name) == nullptr || lets_.contains(expr->as<VarNode>()))) {
        evaluator_.report(position, describe(*known) +
                                        " cannot be assigned; a name that changes is made by " +
                                        name + ": T.int32 = 0");
        return;
      }
    }
    // As in TVM, a plain assignment makes a mutable scalar.
    Expr expr = evaluator_.to_expr(value, position);
    if (!expr) {
      environment.set(name, Poison{});
      return;
    }
    const Value typed(expr);
    define_scalar(name, expr->dtype, &typed, position);
    return;
  }
  environment.set(name, value);
}

void FunctionBuilder::define_scalar(const std::string& name, DataType dtype, const Value* value,
                                    Position position) {
  evaluator_.environment()->set(name, new_scalar(name, dtype, value, position));
}

Value FunctionBuilder::new_scalar(const std::string& name, DataType dtype, const Value* value,
                                  Position position) {
  if (dtype.is_handle())
    return evaluator_.report(position, "a handle cannot be kept in a scalar; write " + name +
                                           ": T.let = ...");
  Expr initial;
  if (value != nullptr) {
    initial = fit_value(*value, dtype, position, name);
    if (!initial)
      return Poison{};
  }
  Buffer buffer = make_buffer(name, dtype, {make_int(DataType::int32(), 1)}, "local");
  evaluator_.set_span(buffer, position);
  add(tir::make_alloc(buffer), position);
  if (initial)
    add(tir::make_store(buffer, {make_int(DataType::int32(), 0)}, std::move(initial)), position);
  return ScalarVar{buffer};
}

void FunctionBuilder::set_scalar(const ScalarVar& scalar, const Value& value, Position position) {
  Expr expr = fit_value(value, scalar.buffer->dtype, position, scalar.buffer->name);
  if (expr)
    add(tir::make_store(scalar.buffer, {make_int(DataType::int32(), 0)}, std::move(expr)),
        position);
}

Expr FunctionBuilder::fit_value(const Value& value, DataType dtype, Position position,
                                const std::string& what) {
  if (value.is_poison())
    return nullptr;
  if (value.is_number()) {
    if (value.is<double>() && !dtype.is_floating()) {
      evaluator_.report(position, what + " holds " + temper::to_string(dtype) + ", but " +
                                      describe(value) + " is assigned; write an integer");
      return nullptr;
    }
    if (dtype.is_bool() != value.is<bool>()) {
      evaluator_.report(position, what + " holds " + temper::to_string(dtype) + ", but " +
                                      describe(value) + " is assigned");
      return nullptr;
    }
    return evaluator_.literal(value, dtype, position);
  }
  Expr expr = evaluator_.to_expr(value, position);
  if (!expr || expr->dtype == dtype)
    return expr;
  if (expr->dtype.is_scalar() && !dtype.is_scalar())
    expr = make_broadcast(expr, dtype.lanes);
  if (expr->dtype == dtype)
    return expr;
  const DataType from = expr->dtype;
  // What loses nothing is converted silently, as TVM does; the rest is said.
  const bool same_lanes = from.lanes == dtype.lanes;
  const bool widens = (from.is_integral() && dtype.is_floating()) ||
                      (from.is_floating() && dtype.is_floating() && from.bits < dtype.bits) ||
                      (from.is_integral() && dtype.is_integral() && from.bits < dtype.bits &&
                       (from.is_uint() || dtype.is_int()));
  // A tile program's stores round and wrap as T.copy between the same types does, and as
  // TileLang's stores do; only a fraction is not dropped unsaid.
  const bool narrows = in_kernel() && (from.is_integral() || from.is_floating()) &&
                       (dtype.is_floating() || (dtype.is_integral() && from.is_integral()));
  if (same_lanes && (widens || narrows))
    return make_cast(dtype, expr);
  evaluator_.report(position,
                    what + " holds " + temper::to_string(dtype) + ", but the value is " +
                        temper::to_string(from) +
                        (same_lanes ? "; write T.Cast(\"" + temper::to_string(dtype) + "\", ...)"
                                    : "; the numbers of lanes differ"));
  return nullptr;
}

void FunctionBuilder::store(const Buffer& buffer, const Value& index, const Value& value,
                            Position position, Expr predicate) {
  const Value place = evaluator_.access(buffer, index, position);
  std::vector<Expr> indices;
  int lanes = 1;
  if (const auto* region = place.as<Region>()) {
    for (const IndexOrRange& item : *region->indices) {
      if (!item.end) {
        indices.push_back(item.index);
        continue;
      }
      const auto extent = as_int(extent_between(item.index, item.end));
      if (!extent || *extent < 1 || *extent > 65535 || lanes > 1) {
        evaluator_.report(position, "a store to a range writes one vector: a single range of "
                                    "constant length; write a loop");
        return;
      }
      if (*extent > 1) {
        indices.push_back(
            make_ramp(item.index, make_int(item.index->dtype, 1), static_cast<int>(*extent)));
        lanes = static_cast<int>(*extent);
      } else {
        indices.push_back(item.index);
      }
    }
  } else if (const auto* expr = place.as<Expr>()) {
    indices = static_cast<const BufferLoad&>(**expr).indices;
    for (const Expr& one : indices)
      lanes = std::max<int>(lanes, one->dtype.lanes);
  } else {
    return;
  }
  Value source = value;
  if (const auto* region = value.as<Region>()) {
    // C[0:4] = A[4:8]: the right side is a vector too.
    std::vector<Expr> from;
    for (const IndexOrRange& item : *region->indices) {
      const auto extent = item.end ? as_int(extent_between(item.index, item.end)) : 1;
      if (extent && *extent == 1)
        from.push_back(item.index);
      else if (extent && *extent > 1 && *extent <= 65535)
        from.push_back(
            make_ramp(item.index, make_int(item.index->dtype, 1), static_cast<int>(*extent)));
      else {
        evaluator_.report(position, "this range has no constant length; write a loop");
        return;
      }
    }
    source = Value(make_load(region->buffer, std::move(from)));
  }
  const DataType dtype = buffer->dtype.with_lanes(buffer->dtype.lanes * lanes);
  Expr expr = fit_value(source, dtype, position, buffer->name);
  if (!expr)
    return;
  add(tir::make_store(buffer, std::move(indices), std::move(expr), std::move(predicate)), position);
}

void FunctionBuilder::annotated(const Statement& statement) {
  const std::string& name = statement.targets[0]->text;
  const Value type = evaluator_.evaluate(*statement.annotation);
  const std::vector<std::string> saved = std::exchange(pending_, {name});
  const Value value = statement.value ? evaluator_.evaluate(*statement.value) : Value(None{});
  pending_ = saved;
  Environment& environment = *evaluator_.environment();
  if (type.is_poison() || value.is_poison()) {
    environment.set(name, Poison{});
    return;
  }
  if (const auto* let = type.as<LetType>()) {
    if (!statement.value) {
      evaluator_.report(statement.position, name + " needs a value: a T.let never changes");
      environment.set(name, Poison{});
      return;
    }
    Expr expr = let->dtype ? fit_value(value, *let->dtype, statement.position, name)
                           : evaluator_.to_expr(value, statement.position);
    if (!expr) {
      environment.set(name, Poison{});
      return;
    }
    Var var = make_var(name, expr->dtype);
    evaluator_.set_span(var, statement.position);
    add(tir::make_bind(var, std::move(expr)), statement.position);
    environment.set(name, Value(Expr(var)));
    lets_.insert(var.get());
    return;
  }
  if (type.is<TypeName>() || type.text() != nullptr) {
    const auto dtype = evaluator_.to_dtype(type, statement.annotation->position);
    if (!dtype) {
      environment.set(name, Poison{});
      return;
    }
    define_scalar(name, *dtype, statement.value ? &value : nullptr, statement.position);
    return;
  }
  if (type.is<Builtin>()) { // x: int = 3 is a compile-time name
    environment.set(name, value);
    return;
  }
  evaluator_.report(statement.annotation->position,
                    "a name's type is T.int32 (a scalar that changes) or T.let[T.int32]");
  environment.set(name, Poison{});
}

void FunctionBuilder::augmented(const Statement& statement) {
  const Expression& target = *statement.targets[0];
  const Value value = evaluator_.evaluate(*statement.value);
  if (target.type == E::kName) {
    const Value before = evaluator_.evaluate(target);
    const Value after = evaluator_.binary(statement.op, before, value, statement.position);
    if (after.is_poison())
      return;
    assign_to(target, after, statement.position);
    return;
  }
  const Value base = evaluator_.evaluate(*target.items[0]);
  const Value index = evaluator_.evaluate(*target.items[1]);
  if (base.is_poison() || index.is_poison() || value.is_poison())
    return;
  const auto* buffer = base.as<Buffer>();
  if (buffer == nullptr) {
    evaluator_.report(target.position, describe(base) + " has no elements to change");
    return;
  }
  const Value before = evaluator_.access(*buffer, index, target.position);
  if (before.is<Region>()) {
    evaluator_.report(target.position, "write single indices in a loop, or a T.Ramp");
    return;
  }
  const Value after = evaluator_.binary(statement.op, before, value, statement.position);
  if (!after.is_poison())
    store(*buffer, index, after, statement.position);
}

void FunctionBuilder::if_statement(const Statement& statement) {
  const Value value = evaluator_.evaluate(*statement.value);
  if (const auto which = evaluator_.truth(value); which && !value.is_ir()) {
    // Known here: only one side exists.
    statements(*which ? statement.body : statement.other);
    return;
  }
  Expr condition = evaluator_.to_condition(value, statement.value->position);
  if (condition && !condition->dtype.is_scalar()) {
    evaluator_.report(statement.value->position,
                      "an if decides once; for a vector of conditions use T.Select");
    condition = nullptr;
  }
  Stmt then_case = nested(statement.body);
  Stmt else_case = statement.other.empty() ? nullptr : nested(statement.other);
  if (condition)
    add(tir::make_if(std::move(condition), std::move(then_case), std::move(else_case)),
        statement.position);
}

/// All threads do a tile operator together; iterations of T.Parallel are shared out among them.
static void refuse_tiles_in_parallel(Evaluator& evaluator, const Stmt& body, Position loop) {
  walk(body, [&](const NodeRef& node) {
    const auto* call = node.as<tir::TileCall>();
    if (call == nullptr)
      return !ExprNode::accepts(node->kind());
    evaluator.report(
        {call->span.line, call->span.column},
        "T." + call->op + " is done by all threads together, and the iterations of the " +
            "T.Parallel in line " + std::to_string(loop.line) +
            " are shared out among them: move it out of that loop, or write in it what "
            "one element becomes");
    return false;
  });
}

void FunctionBuilder::for_loop(const Statement& statement) {
  const Value value = evaluator_.evaluate(*statement.value);
  const Expression& target = *statement.targets[0];
  std::vector<std::pair<std::string, Position>> names;
  if (target.type == E::kName)
    names.emplace_back(target.text, target.position);
  else
    for (const ExpressionPtr& item : target.items)
      names.emplace_back(item->type == E::kName ? item->text : "_", item->position);

  Environment& environment = evaluator_.new_environment(evaluator_.environment());
  std::shared_ptr<const LoopSpec> spec;
  if (const auto* loop = value.as<std::shared_ptr<const LoopSpec>>()) {
    spec = *loop;
  } else if (const auto* range = value.as<RangeValue>()) {
    auto made = std::make_shared<LoopSpec>();
    const Value& step = (*range->bounds)[2];
    Expr begin = evaluator_.to_index((*range->bounds)[0], statement.value->position, false);
    Expr end = evaluator_.to_index((*range->bounds)[1], statement.value->position, false);
    if (begin && end &&
        evaluator_.operands((*range->bounds)[0], (*range->bounds)[1], statement.value->position,
                            "range", begin, end))
      set_steps(*made, begin, end, step.is<Int>() ? static_cast<int64_t>(*step.as<Int>()) : 1);
    spec = std::move(made);
  } else if (value.is<Sequence>()) {
    // A list known here: its items one after the other, without a loop.
    for (const Value& item : *value.sequence()) {
      Environment& inside = evaluator_.new_environment(evaluator_.environment());
      Evaluator::Scope scope(evaluator_, inside);
      evaluator_.assign_name(target, item);
      statements(statement.body);
      if (!evaluator_.step(statement.position))
        return;
    }
    return;
  } else if (!value.is_poison()) {
    evaluator_.report(statement.value->position,
                      "a loop runs over range(n), T.grid(...), T.serial, T.parallel, "
                      "T.vectorized, T.unroll, T.Parallel, T.Pipelined or T.thread_binding, not " +
                          describe(value));
  }
  if (spec && spec->persistent_blocks) {
    persistent_loop(statement, *spec);
    return;
  }
  if (spec && !spec->ranges.empty() && spec->ranges.size() != names.size()) {
    const size_t dimensions = spec->ranges.size();
    evaluator_.report(
        target.position,
        "the loop has " + std::to_string(dimensions) +
            (dimensions == 1 ? " dimension" : " dimensions") + ", but there are " +
            std::to_string(names.size()) + " names" +
            (dimensions == 1 ? "; T.Parallel and T.grid have as many as extents" : ""));
    spec = nullptr;
  }
  if (spec && spec->ranges.empty())
    spec = nullptr;
  std::vector<Var> vars;
  for (size_t i = 0; i < names.size(); ++i) {
    const auto& [name, position] = names[i];
    for (size_t j = 0; j < i; ++j)
      if (names[j].first == name && name != "_")
        evaluator_.report(position, "the name " + name + " stands twice in this loop");
    if (!spec) {
      environment.set(name, Poison{});
      continue;
    }
    const bool steps = spec->step != 1;
    Var var = make_var(steps ? name + "_0" : name, spec->ranges[i].extent->dtype);
    evaluator_.set_span(var, position);
    environment.set(name, steps ? Value(spec->first + Expr(var) * spec->step) : Value(Expr(var)));
    loops_.emplace_back(var, spec->ranges[i]);
    vars.push_back(std::move(var));
  }
  ++loop_depth_;
  Stmt body = nested_in(statement.body, environment);
  --loop_depth_;
  if (spec && spec->kind == tir::ForKind::kTileParallel && evaluator_.diagnostics().empty())
    refuse_tiles_in_parallel(evaluator_, body, statement.position);
  for (size_t i = vars.size(); i-- > 0;) {
    loops_.pop_back();
    body = tir::make_for(vars[i], spec->ranges[i].min, spec->ranges[i].extent, spec->kind, body,
                         spec->annotations, spec->thread);
    evaluator_.set_span(body, i == 0 ? statement.position : names[i].second);
    if (const auto* loop = body.as<tir::For>();
        loop != nullptr && tir::is_ordered(*loop) && evaluator_.diagnostics().empty())
      if (const auto possible = tir::check_pipeline_order(*loop); !possible)
        evaluator_.report(statement.value->position, possible.error().message);
  }
  if (spec)
    add(std::move(body), statement.position);
}

// for m, n in T.Persistent([M, N], blocks, block):      for w in range(ceildiv(M * N, blocks)):
//   body                                          ->      tile = w * blocks + block
//                                                         if tile < M * N:
//                                                           m, n = tile // N, tile % N; body
void FunctionBuilder::persistent_loop(const Statement& statement, const LoopSpec& spec) {
  const Expression& target = *statement.targets[0];
  std::vector<std::string> names;
  if (target.type == E::kName)
    names.push_back(target.text);
  else
    for (const ExpressionPtr& item : target.items)
      names.push_back(item->type == E::kName ? item->text : "_");
  if (names.size() != spec.ranges.size()) {
    evaluator_.report(target.position, "T.Persistent has " + std::to_string(spec.ranges.size()) +
                                           " dimensions, but there are " +
                                           std::to_string(names.size()) + " names");
    return;
  }
  Expr total;
  for (const Range& range : spec.ranges)
    total = total ? total * range.extent : range.extent;
  const Expr& blocks = spec.persistent_blocks;
  Var wave = make_var("w", total->dtype);
  evaluator_.set_span(wave, statement.position);
  const Expr waves = floordiv(total + blocks - 1, blocks);
  const Expr tile = Expr(wave) * blocks + spec.persistent_block;
  loops_.emplace_back(wave, Range{make_int(wave->dtype, 0), waves});
  Environment& environment = evaluator_.new_environment(evaluator_.environment());
  // Row by row, in panels of `group` columns where they fit: neighbours share what they load.
  const Range& last = spec.ranges.back();
  const auto columns = as_int(last.extent);
  const int64_t group = spec.ranges.size() == 2 && spec.persistent_group > 1 && columns &&
                                *columns % spec.persistent_group == 0
                            ? spec.persistent_group
                            : 0;
  std::vector<Expr> place(spec.ranges.size());
  if (group != 0) {
    const Expr rows = spec.ranges[0].extent;
    place[0] = floormod(floordiv(tile, group), rows);
    place[1] = floordiv(tile, rows * group) * group + floormod(tile, group);
  } else {
    Expr rest = tile;
    for (size_t d = spec.ranges.size(); d-- > 0;) {
      place[d] = d == 0 ? rest : floormod(rest, spec.ranges[d].extent);
      rest = floordiv(rest, spec.ranges[d].extent);
    }
  }
  lists_.emplace_back();
  for (size_t d = 0; d < names.size(); ++d) {
    Var var = make_var(names[d], place[d]->dtype);
    evaluator_.set_span(var, target.position);
    add(tir::make_bind(var, place[d]), statement.position);
    environment.set(names[d], Value(Expr(var)));
  }
  ++loop_depth_;
  Stmt body = nested_in(statement.body, environment); // lists_ grows meanwhile
  --loop_depth_;
  lists_.back().push_back(std::move(body));
  body = tir::make_seq(std::move(lists_.back()));
  lists_.pop_back();
  loops_.pop_back();
  body = tir::make_if(make_binary<LT>(tile, total), std::move(body));
  evaluator_.set_span(body, statement.position);
  add(tir::make_for(wave, make_int(wave->dtype, 0), waves, tir::ForKind::kSerial, std::move(body),
                    spec.annotations),
      statement.position);
}

bool FunctionBuilder::annotate_allocation(const Buffer& buffer, const std::string& key,
                                          const Expr& value) {
  for (size_t level = lists_.size(); level-- > 0;)
    for (Stmt& stmt : lists_[level])
      if (const auto* alloc = stmt.as<tir::AllocBuffer>();
          alloc != nullptr && alloc->buffer == buffer) {
        stmt = copy_node(*alloc, [&](tir::AllocBuffer& node) {
          node.annotations = node.annotations.with(key, value);
        });
        return true;
      }
  return false;
}

void FunctionBuilder::while_loop(const Statement& statement) {
  const Value value = evaluator_.evaluate(*statement.value);
  Expr condition = evaluator_.to_condition(value, statement.value->position);
  if (condition && !condition->dtype.is_scalar()) {
    evaluator_.report(statement.value->position, "a while loop decides once, not per lane");
    condition = nullptr;
  }
  ++loop_depth_;
  Stmt body = nested(statement.body);
  --loop_depth_;
  if (condition)
    add(tir::make_while(std::move(condition), std::move(body)), statement.position);
}

void FunctionBuilder::with(const Statement& statement) {
  const Value value = evaluator_.evaluate(*statement.value);
  const auto* context = value.as<ContextSpec>();
  if (context == nullptr) {
    if (!value.is_poison())
      evaluator_.report(statement.value->position,
                        "'with' opens a block, with T.sblock(\"name\"):, or its initialisation, "
                        "with T.init():");
    else if (!s_tir_ && !in_kernel())
      return; // a kernel that is not one: its body has no axes and no threads
    nested(statement.body);
    return;
  }
  if (context->kind == ContextSpec::Kind::kKernel) {
    kernel(statement, *context->kernel);
    return;
  }
  if (!statement.targets.empty())
    evaluator_.report(statement.targets[0]->position, "a block has no 'as' name");
  if (context->kind == ContextSpec::Kind::kRole) {
    Stmt body = nested(statement.body);
    add(tir::make_if(context->condition, std::move(body)), statement.position);
    return;
  }
  if (context->kind == ContextSpec::Kind::kBlock) {
    sblock(statement, context->name);
    return;
  }
  BlockFrame* frame = describing_block(statement.position, "T.init()");
  if (frame != nullptr && frame->init) {
    evaluator_.report(statement.position, "this block already has a T.init()");
    frame = nullptr;
  }
  Stmt init = nested(statement.body);
  if (frame != nullptr)
    frame->init = std::move(init);
}

void FunctionBuilder::kernel(const Statement& statement, const KernelSpec& spec) {
  if (s_tir_) {
    evaluator_.report(statement.position, "a kernel belongs to a tile program; decorate the "
                                          "function with @T.prim_func");
    return;
  }
  std::vector<Position> positions;
  std::vector<std::string> names;
  const auto name_of = [&](const Expression& target) {
    names.push_back(target.type == E::kName ? target.text : "_");
    positions.push_back(target.position);
  };
  bool together = false; // one name for all axes: a tuple
  if (!statement.targets.empty()) {
    const Expression& target = *statement.targets[0];
    together = target.type == E::kName && spec.grid.size() > 1;
    if (target.type == E::kTuple || target.type == E::kList)
      for (const ExpressionPtr& item : target.items)
        name_of(*item);
    else
      name_of(target);
  }
  if (!names.empty() && !together && names.size() != spec.grid.size()) {
    evaluator_.report(statement.targets[0]->position,
                      "the grid has " + std::to_string(spec.grid.size()) +
                          (spec.grid.size() == 1 ? " axis" : " axes") + ", but there are " +
                          std::to_string(names.size()) + " names");
    names.clear();
  }
  static constexpr const char* kBlock[] = {"bx", "by", "bz"};
  static constexpr const char* kThread[] = {"tx", "ty", "tz"};
  std::vector<Var> blocks;
  std::vector<Var> threads;
  std::vector<Value> values;
  Environment& environment = evaluator_.new_environment(evaluator_.environment());
  for (size_t d = 0; d < spec.grid.size(); ++d) {
    const bool named = d < names.size() && !together && names[d] != "_";
    Var var = make_var(named ? names[d] : kBlock[d], spec.grid[d]->dtype);
    evaluator_.set_span(var, named ? positions[d] : statement.position);
    loops_.emplace_back(var, Range{make_int(var->dtype, 0), spec.grid[d]});
    if (named)
      environment.set(names[d], Value(Expr(var)));
    values.emplace_back(Expr(var));
    blocks.push_back(std::move(var));
  }
  if (together)
    environment.set(names[0], make_sequence(std::move(values), true));
  for (size_t d = 0; d < spec.threads.size(); ++d) {
    threads.push_back(make_var(kThread[d], spec.threads[d]->dtype));
    evaluator_.set_span(threads.back(), statement.position);
    loops_.emplace_back(threads.back(), Range{make_int(threads.back()->dtype, 0), spec.threads[d]});
  }
  kernel_threads_ = &threads;
  looked_at_threads_ = false;
  kernel_blocks_ = &blocks;
  Annotations annotations = spec.annotations;
  kernel_annotations_ = &annotations;
  const int depth = std::exchange(loop_depth_, 0);
  kernel_depth_ = lists_.size() + 1;
  grid_syncs_.clear();
  Stmt body = nested_in(statement.body, environment);
  loop_depth_ = depth;
  kernel_threads_ = nullptr;
  kernel_blocks_ = nullptr;
  kernel_annotations_ = nullptr;
  if (looked_at_threads_)
    annotations = annotations.without(tir::kOpenThreads);
  loops_.resize(loops_.size() - blocks.size() - threads.size());
  const Stmt kernel = tir::make_kernel(spec.grid, spec.threads, std::move(blocks),
                                       std::move(threads), std::move(body), std::move(annotations));
  if (grid_syncs_.empty()) {
    add(kernel, statement.position);
    return;
  }
  const auto parts =
      tir::split_at_grid_sync(*kernel.as<tir::KernelLaunch>(), [&](const Buffer& buffer) {
        const bool viewed = std::any_of(views_.begin(), views_.end(),
                                        [&](const auto& view) { return view.second == buffer; });
        return viewed || is_reducer(buffer);
      });
  if (!parts) {
    evaluator_.report(grid_syncs_.front(), parts.error().message);
    return;
  }
  for (const Stmt& part : *parts)
    add(part, statement.position);
}

void FunctionBuilder::sblock(const Statement& statement, const std::string& name) {
  if (!s_tir_) {
    nested(statement.body);
    return;
  }
  BlockFrame frame;
  frame.name = name;
  frame.depth = lists_.size() + 1;
  blocks_.push_back(&frame);
  const int loops = std::exchange(loop_depth_, 0);
  Stmt body = nested(statement.body);
  loop_depth_ = loops;
  blocks_.pop_back();
  const bool is_root = name == "root" && frame.axes.empty() && at_function_level();
  if (is_root) {
    if (!frame.reads)
      frame.reads.emplace();
    if (!frame.writes)
      frame.writes.emplace();
  }
  add(finish_block(frame, std::move(body), statement.position), statement.position);
}

Stmt FunctionBuilder::finish_block(BlockFrame& frame, Stmt body, Position position) {
  if (!frame.reads || !frame.writes) {
    Accesses accesses = infer_accesses(body, frame.init, frame.allocated, frame.views);
    if (!frame.reads)
      frame.reads = std::move(accesses.reads);
    if (!frame.writes)
      frame.writes = std::move(accesses.writes);
  }
  s_tir::Block block = make_node<s_tir::SBlock>([&](s_tir::SBlock& node) {
    node.id = s_tir::new_block_id();
    node.name = frame.name;
    node.iter_vars = std::move(frame.axes);
    node.reads = std::move(*frame.reads);
    node.writes = std::move(*frame.writes);
    node.alloc_buffers = std::move(frame.allocated);
    node.match_buffers = std::move(frame.views);
    node.annotations = std::move(frame.annotations);
    node.init = std::move(frame.init);
    node.body = std::move(body);
  });
  evaluator_.set_span(block, position);
  return s_tir::make_realize(std::move(frame.values),
                             frame.predicate ? frame.predicate : make_bool(true), std::move(block));
}

void FunctionBuilder::assertion(const Statement& statement) {
  const Value value = evaluator_.evaluate(*statement.value);
  std::string message = "assertion failed";
  if (statement.annotation) {
    const Value text = evaluator_.evaluate(*statement.annotation);
    if (text.is_poison())
      return;
    // TVM prints ("RuntimeError", ["part", "part"]).
    if (text.text() != nullptr) {
      message = *text.text();
    } else if (const auto* parts = text.sequence();
               parts != nullptr && parts->size() == 2 && (*parts)[1].sequence() != nullptr) {
      message.clear();
      for (const Value& part : *(*parts)[1].sequence())
        if (part.text() != nullptr)
          message += *part.text();
    } else {
      evaluator_.report(statement.annotation->position, "an assertion's message is a string");
      return;
    }
  }
  if (const auto which = evaluator_.truth(value); which && !value.is_ir()) {
    if (!*which)
      evaluator_.report(statement.position, "this assertion does not hold: " + message);
    return;
  }
  if (Expr condition = evaluator_.to_condition(value, statement.value->position))
    add(tir::make_assert(std::move(condition), std::move(message)), statement.position);
}

std::optional<BufferRegion> FunctionBuilder::to_region(const Value& value, Position position) {
  if (value.is_poison())
    return std::nullopt;
  BufferRegion result;
  if (const auto* buffer = value.as<Buffer>()) {
    result.buffer = *buffer;
    for (const Expr& extent : (*buffer)->shape)
      result.region.push_back({make_int(extent->dtype, 0), extent});
    return result;
  }
  if (const auto* scalar = value.as<ScalarVar>()) {
    result.buffer = scalar->buffer;
    result.region.push_back({make_int(DataType::int32(), 0), make_int(DataType::int32(), 1)});
    return result;
  }
  if (const auto* region = value.as<Region>()) {
    result.buffer = region->buffer;
    for (const IndexOrRange& item : *region->indices) {
      if (!item.index->dtype.is_scalar()) {
        evaluator_.report(position, "a region has scalar bounds; write A[begin:end]");
        return std::nullopt;
      }
      result.region.push_back({item.index, item.end ? extent_between(item.index, item.end)
                                                    : make_int(item.index->dtype, 1)});
    }
    return result;
  }
  if (const auto* expr = value.as<Expr>())
    if (const auto* load = expr->as<BufferLoad>()) {
      result.buffer = load->buffer;
      for (const Expr& index : load->indices) {
        if (!index->dtype.is_scalar()) {
          evaluator_.report(position, "a region has scalar bounds; write A[begin:end]");
          return std::nullopt;
        }
        result.region.push_back({index, make_int(index->dtype, 1)});
      }
      return result;
    }
  evaluator_.report(position,
                    "expected a region of a buffer, as A[i, 0:16], found " + describe(value));
  return std::nullopt;
}

} // namespace temper::script
