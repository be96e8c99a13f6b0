// te.placeholder, te.compute, te.sum and the like: tensor expressions, turned into a function by
// te.create_prim_func. Formulas are lambdas (or functions) that are called once, with variables for
// the indices; te.extern calls its function once, for the statements of a kernel that stand in it.
#include "ir/op.h"
#include "ir/s_tir/tensor_expressions.h"
#include "ir/script/evaluator.h"
#include "ir/support/text.h"

#include <algorithm>
#include <map>

namespace temper::script {
namespace {

namespace te = s_tir::te;

std::string name_or(Evaluator& evaluator, ArgReader& args, size_t index, const char* otherwise) {
  if (!args.has(index) || args[index].is<None>())
    return otherwise;
  return evaluator.to_string(args[index], args.where(index), "a name").value_or(otherwise);
}

/// One item, or those of a list.
std::vector<Value> items_of(const Value& value) {
  return value.sequence() != nullptr ? *value.sequence() : std::vector<Value>{value};
}

std::optional<std::vector<Expr>> read_shape(Evaluator& evaluator, const Value& given,
                                            Position position) {
  std::vector<Expr> shape;
  for (const Value& item : items_of(given)) {
    Expr extent = evaluator.to_index(item, position, false);
    if (!extent)
      return std::nullopt;
    if (const auto known = as_int(extent); known && *known <= 0) {
      evaluator.report(position, "an extent is positive, not " + std::to_string(*known));
      return std::nullopt;
    }
    shape.push_back(std::move(extent));
  }
  return shape;
}

/// Reports what no tensor holds.
bool holds_numbers(Evaluator& evaluator, DataType dtype, Position position) {
  if (!dtype.is_handle() && dtype.lanes == 1)
    return true;
  evaluator.report(position, "a tensor holds numbers, not " + temper::to_string(dtype));
  return false;
}

/// Of the block that a tensor becomes.
bool read_attrs(Evaluator& evaluator, ArgReader& args, size_t index, Annotations& annotations) {
  return !args.has(index) || args[index].is<None>() ||
         evaluator.to_annotations(args[index], args.where(index), annotations);
}

Value placeholder(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"shape", "dtype", "name"}, 1);
  if (!args.ok())
    return Poison{};
  const auto shape = read_shape(evaluator, args[0], args.where(0));
  DataType dtype = DataType::float32();
  if (args.has(1) && !args[1].is<None>()) {
    const auto given = evaluator.to_dtype(args[1], args.where(1));
    if (!given)
      return Poison{};
    dtype = *given;
  }
  if (!shape)
    return Poison{};
  if (!holds_numbers(evaluator, dtype, call.position))
    return Poison{};
  return evaluator.tensor_expressions().placeholder(name_or(evaluator, args, 2, "placeholder"),
                                                    *shape, dtype);
}

Value variable(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"name", "dtype"}, 0);
  if (!args.ok())
    return Poison{};
  DataType dtype = DataType::int32();
  if (args.has(1)) {
    const auto given = evaluator.to_dtype(args[1], args.where(1));
    if (!given)
      return Poison{};
    dtype = *given;
  }
  return Value(Expr(make_var(name_or(evaluator, args, 0, "n"), dtype))).defining();
}

Value reduce_axis(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"dom", "name"}, 1);
  if (!args.ok())
    return Poison{};
  const auto* ends = args[0].sequence();
  if (ends == nullptr || ends->size() != 2)
    return evaluator.report(args.where(0),
                            "the domain of a reduction is (begin, end), as (0, K), not " +
                                describe(args[0]));
  Expr begin = evaluator.to_index((*ends)[0], args.where(0), false);
  Expr end = evaluator.to_index((*ends)[1], args.where(0), false);
  if (!begin || !end || !evaluator.match_types(begin, end, args.where(0), "a range"))
    return Poison{};
  const auto first = as_int(begin);
  const auto last = as_int(end);
  if (first && last && *last <= *first)
    return evaluator.report(args.where(0), "a reduction has at least one step");
  const Expr extent = first && last      ? make_int(begin->dtype, *last - *first)
                      : is_int(begin, 0) ? end
                                         : end - begin;
  return Value(Expr(evaluator.tensor_expressions().reduce_axis(name_or(evaluator, args, 1, "rv"),
                                                               {begin, extent})))
      .defining();
}

Value compute(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"shape", "fcompute", "name", "tag", "attrs", "varargs_names"},
                 2);
  if (!args.ok())
    return Poison{};
  const auto shape = read_shape(evaluator, args[0], args.where(0));
  if (!shape)
    return Poison{};
  const auto* closure = args[1].as<const Closure*>();
  if (closure == nullptr)
    return evaluator.report(args.where(1), "the formula of a tensor is a lambda of its indices, as "
                                           "lambda i, j: A[i, j] * 2, not " +
                                               describe(args[1]));
  const std::vector<std::string> names = parameters_of(**closure);
  const std::string name = name_or(evaluator, args, 2, "compute");
  if (names.size() != shape->size())
    return evaluator.report(args.where(1), name + " has " + std::to_string(shape->size()) +
                                               " dimensions, and its formula takes " +
                                               std::to_string(names.size()) + " indices");
  std::vector<Var> axes;
  std::vector<Value> values;
  for (size_t d = 0; d < names.size(); ++d) {
    axes.push_back(make_var(names[d], (*shape)[d]->dtype));
    values.emplace_back(Expr(axes.back()));
  }
  const Value result = call_with(evaluator, **closure, std::move(values), args.where(1));
  if (result.is_poison())
    return Poison{};
  if (result.sequence() != nullptr)
    return evaluator.report(args.where(1), "a tensor has one value for an index; several results "
                                           "are several te.compute");
  const Expr value = evaluator.to_expr(result, args.where(1));
  if (!value)
    return Poison{};
  Annotations annotations;
  if (!read_attrs(evaluator, args, 4, annotations))
    return Poison{};
  const auto tensor =
      evaluator.tensor_expressions().compute(name, *shape, axes, value, std::move(annotations));
  if (!tensor)
    return evaluator.report(call.position, tensor.error().message);
  return *tensor;
}

Value reduction(Evaluator& evaluator, CallArguments& call, const te::Reducer& reducer,
                const char* name) {
  ArgReader args(evaluator, call, {"expr", "axis", "where", "init"}, 2);
  if (!args.ok())
    return Poison{};
  if (args.has(3) && !args[3].is<None>())
    return evaluator.report(args.where(3), std::string("te.") + name +
                                               " starts from what changes nothing; add an init to "
                                               "its result");
  if (args[0].sequence() != nullptr)
    return evaluator.report(args.where(0),
                            "a reduction of several values at once is not supported; "
                            "write the block as a T.prim_func");
  const Expr value = evaluator.to_expr(args[0], args.where(0));
  if (!value)
    return Poison{};
  std::vector<Var> axes;
  for (const Value& item : items_of(args[1])) {
    const auto* expr = item.as<Expr>();
    const Var var = expr != nullptr ? expr->as_ref<VarNode>() : nullptr;
    if (!var)
      return evaluator.report(args.where(1), "an axis of a reduction is what te.reduce_axis gives, "
                                             "not " +
                                                 describe(item));
    axes.push_back(var);
  }
  Expr condition;
  if (args.has(2) && !args[2].is<None>()) {
    condition = evaluator.to_condition(args[2], args.where(2));
    if (!condition)
      return Poison{};
  }
  const auto result =
      evaluator.tensor_expressions().reduce(reducer, value, std::move(axes), condition);
  if (!result)
    return evaluator.report(call.position, result.error().message);
  return *result;
}

Value known_reducer(Evaluator& evaluator, CallArguments& call) {
  const std::string_view name = call.callee->data;
  return reduction(evaluator, call,
                   name == "sum"   ? te::sum()
                   : name == "max" ? te::max()
                                   : te::min(),
                   call.callee->data);
}

Value call_reducer(Evaluator& evaluator, CallArguments& call) {
  const std::vector<Value>& parts = *call.callee->self->sequence();
  const auto* combine = *parts[0].as<const Closure*>();
  const auto* identity = *parts[1].as<const Closure*>();
  const Position position = call.position;
  const auto value_of = [&evaluator, position](const Value& value, const Expr& otherwise) {
    const Expr expr =
        value.is_poison() ? nullptr : evaluator.to_expr(value, position, otherwise->dtype);
    if (expr && expr->dtype == otherwise->dtype)
      return expr;
    if (expr)
      evaluator.report(position, "the reducer gives " + temper::to_string(expr->dtype) +
                                     " for values of type " + temper::to_string(otherwise->dtype));
    return otherwise;
  };
  const te::Reducer reducer{
      [&evaluator, combine, position, value_of](const Expr& left, const Expr& right) {
        return value_of(call_with(evaluator, *combine, {Value(left), Value(right)}, position),
                        left);
      },
      [&evaluator, identity, position, value_of](DataType dtype) {
        return value_of(
            call_with(evaluator, *identity, {make_text(temper::to_string(dtype))}, position),
            make_const(dtype, 0));
      }};
  return reduction(evaluator, call, reducer, "comm_reducer");
}

Value comm_reducer(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"fcombine", "fidentity", "name"}, 2);
  if (!args.ok())
    return Poison{};
  const size_t arity[] = {2, 1};
  for (const size_t i : {size_t{0}, size_t{1}}) {
    const auto* closure = args[i].as<const Closure*>();
    if (closure == nullptr || parameters_of(**closure).size() != arity[i])
      return evaluator.report(args.where(i),
                              i == 0 ? "a reducer brings two values together: lambda x, y: x + y"
                                     : "the identity of a reducer is a lambda of the data type: "
                                       "lambda t: T.cast(0, t)");
  }
  Builtin reducer{"the reducer", call_reducer, nullptr, nullptr};
  reducer.self = std::make_shared<const Value>(make_sequence({args[0], args[1]}, true));
  return reducer;
}

Value create_prim_func(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"ops"}, 1);
  if (!args.ok())
    return Poison{};
  std::vector<te::Argument> arguments;
  for (const Value& item : items_of(args[0])) {
    const auto* buffer = item.as<Buffer>();
    const auto* expr = item.as<Expr>();
    const Var var = expr != nullptr ? expr->as_ref<VarNode>() : nullptr;
    if (buffer == nullptr && !var)
      return evaluator.report(args.where(0),
                              "a parameter is a tensor or a te.var, not " + describe(item));
    arguments.push_back(buffer != nullptr ? te::Argument(*buffer) : te::Argument(var));
  }
  auto function = evaluator.tensor_expressions().function(arguments);
  if (!function)
    return evaluator.report(call.position, function.error().message);
  return *std::move(function);
}

/// One output or several: extents, or lists of them.
std::optional<std::vector<te::Output>> read_outputs(Evaluator& evaluator, ArgReader& args,
                                                    const std::vector<Buffer>& inputs) {
  const std::vector<Value> given = items_of(args[0]);
  const bool several =
      !given.empty() && std::all_of(given.begin(), given.end(),
                                    [](const Value& item) { return item.sequence() != nullptr; });
  std::vector<te::Output> outputs;
  for (const Value& shape : several ? given : std::vector<Value>{args[0]}) {
    auto extents = read_shape(evaluator, shape, args.where(0));
    if (!extents)
      return std::nullopt;
    outputs.push_back({std::move(*extents), {}});
  }
  std::vector<DataType> dtypes;
  if (args.has(4) && !args[4].is<None>()) {
    for (const Value& item : items_of(args[4])) {
      const auto dtype = evaluator.to_dtype(item, args.where(4));
      if (!dtype)
        return std::nullopt;
      if (!holds_numbers(evaluator, *dtype, args.where(4)))
        return std::nullopt;
      dtypes.push_back(*dtype);
    }
  } else {
    for (const Buffer& input : inputs)
      if (std::find(dtypes.begin(), dtypes.end(), input->dtype) == dtypes.end())
        dtypes.push_back(input->dtype);
    if (dtypes.size() != 1) {
      evaluator.report(args.where(0), dtypes.empty()
                                          ? "without an input nothing says the type of the "
                                            "outputs; give dtype="
                                          : "the inputs have several types; give dtype= of the "
                                            "outputs");
      return std::nullopt;
    }
  }
  if (dtypes.size() != 1 && dtypes.size() != outputs.size()) {
    evaluator.report(args.where(4), std::to_string(dtypes.size()) + " types are given for " +
                                        std::to_string(outputs.size()) +
                                        (outputs.size() == 1 ? " output" : " outputs"));
    return std::nullopt;
  }
  for (size_t i = 0; i < outputs.size(); ++i)
    outputs[i].dtype = dtypes[dtypes.size() == 1 ? 0 : i];
  return outputs;
}

Value extern_tensor(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(
      evaluator, call,
      {"shape", "inputs", "fcompute", "name", "dtype", "in_buffers", "out_buffers", "tag", "attrs"},
      3);
  if (!args.ok())
    return Poison{};
  for (const size_t buffers : {size_t{5}, size_t{6}})
    if (args.has(buffers) && !args[buffers].is<None>())
      return evaluator.report(args.where(buffers),
                              "te.extern hands its statements the tensors themselves: leave "
                              "in_buffers and out_buffers out");
  std::vector<Buffer> inputs;
  for (const Value& item : items_of(args[1])) {
    const auto* buffer = item.as<Buffer>();
    if (buffer == nullptr)
      return evaluator.report(args.where(1),
                              "an input of te.extern is a tensor, not " + describe(item));
    inputs.push_back(*buffer);
  }
  const auto* closure = args[2].as<const Closure*>();
  if (closure == nullptr || parameters_of(**closure).size() != 2)
    return evaluator.report(args.where(2),
                            "what te.extern computes is a function of two lists, def f(ins, outs), "
                            "with statements of a kernel, not " +
                                describe(args[2]));
  auto outputs = read_outputs(evaluator, args, inputs);
  Annotations annotations;
  if (!outputs || !read_attrs(evaluator, args, 8, annotations))
    return Poison{};
  const auto list = [](const std::vector<Buffer>& buffers) {
    return make_sequence(std::vector<Value>(buffers.begin(), buffers.end()), false);
  };
  const size_t errors = evaluator.diagnostics().list().size();
  auto tensors = evaluator.tensor_expressions().extern_tensors(
      name_or(evaluator, args, 3, "extern"), std::move(*outputs), std::move(inputs),
      [&](const std::vector<Buffer>& ins,
          const std::vector<Buffer>& outs) -> Result<te::Statements> {
        auto said = evaluator.build_statements(**closure, {list(ins), list(outs)}, args.where(2));
        if (!said)
          return Error(ErrorCode::kInvalidArgument, "what it computes was refused");
        return std::move(*said);
      },
      std::move(annotations));
  if (evaluator.diagnostics().list().size() > errors || evaluator.stopped())
    return Poison{}; // with its place
  if (!tensors)
    return evaluator.report(call.position, tensors.error().message);
  return tensors->size() == 1 ? Value(tensors->front()) : list(*tensors);
}

struct Entry {
  BuiltinFunction function;
  const char* data;
  const char* shown;
};
const std::map<std::string, Entry, std::less<>>& table() {
  static const std::map<std::string, Entry, std::less<>> entries = {
      {"placeholder", {placeholder, nullptr, "te.placeholder"}},
      {"var", {variable, nullptr, "te.var"}},
      {"size_var", {variable, nullptr, "te.size_var"}},
      {"reduce_axis", {reduce_axis, nullptr, "te.reduce_axis"}},
      {"compute", {compute, nullptr, "te.compute"}},
      {"sum", {known_reducer, "sum", "te.sum"}},
      {"max", {known_reducer, "max", "te.max"}},
      {"min", {known_reducer, "min", "te.min"}},
      {"comm_reducer", {comm_reducer, nullptr, "te.comm_reducer"}},
      {"create_prim_func", {create_prim_func, nullptr, "te.create_prim_func"}},
      {"extern", {extern_tensor, nullptr, "te.extern"}},
  };
  return entries;
}

} // namespace

std::optional<Value> find_in_te(const std::string& name) {
  if (const auto found = table().find(name); found != table().end())
    return Value(Builtin{found->second.shown, found->second.function, nullptr, found->second.data});
  // Functions of elements have the names that T gives them.
  for (const char* also : {"min_value", "max_value", "infinity", "floordiv", "floormod"})
    if (name == also)
      return find_in_t(name);
  return find_op(name) != nullptr ? find_in_t(name) : std::nullopt;
}

std::vector<std::string> names_in_te() {
  std::vector<std::string> names;
  for (const auto& [name, entry] : table())
    names.push_back(name);
  return names;
}

} // namespace temper::script
