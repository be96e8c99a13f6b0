// The T language: what T.name means.

#include "ir/limits.h"
#include "ir/script/evaluator.h"
#include "ir/script/function_builder.h"
#include "ir/script/layouts.h"
#include "ir/script/regions.h"
#include "ir/script/tile_language.h"
#include "ir/script/tilelang_names.h"
#include "ir/support/text.h"
#include "ir/tir/tile_ops.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <map>

namespace temper::script {
namespace {

/// The builder of the kernel around the call; reports and returns null outside.
FunctionBuilder* kernel(Evaluator& evaluator, const CallArguments& call) {
  FunctionBuilder* builder = evaluator.builder();
  if (builder == nullptr)
    evaluator.report(call.position, std::string(call.callee->name) +
                                        " stands inside a function decorated with "
                                        "@T.prim_func");
  return builder;
}

Builtin function(const char* name, BuiltinFunction call, const char* data = nullptr) {
  Builtin result;
  result.name = name;
  result.function = call;
  result.data = data;
  return result;
}

// Types and buffers.

/// T.float32(0), T.int64(n), T.bool(True), T.float32("inf"); T.int64() makes a variable.
Value construct(Evaluator& evaluator, CallArguments& call) {
  const DataType dtype = call.callee->self->as<TypeName>()->dtype;
  if (dtype.is_handle()) { // T.handle("float32"), T.handle(): a pointer parameter
    if (call.positional.empty() || call.positional[0].text() != nullptr)
      return TypeName{dtype};
    return evaluator.report(call.position, "a handle cannot be made from a value");
  }
  if (call.positional.empty() && call.keywords.empty()) {
    FunctionBuilder* builder = evaluator.builder();
    if (builder == nullptr)
      return evaluator.report(call.position, "T." + temper::to_string(dtype) +
                                                 "() makes a dimension inside a prim_func; outside "
                                                 "write m = TypeVar(\"m\")");
    const std::string name = builder->pending_name(0, "n");
    Var var;
    // The text may have named it in a parameter's shape already.
    if (dtype.is_integral() && evaluator.environment()->find_here(name) == nullptr &&
        builder->has_symbol(name))
      var = builder->symbol(name);
    else
      var = make_var(name, dtype);
    builder->note_variable(var);
    return Value(Expr(var)).defining();
  }
  ArgReader args(evaluator, call, {"value"}, 1);
  if (!args.ok())
    return Poison{};
  const Value& value = args[0];
  if (const auto* text = value.text()) {
    if (!dtype.is_floating())
      return evaluator.report(args.where(0), "a string makes floats only: T.float32(\"inf\")");
    double number = 0;
    if (*text == "inf" || *text == "+inf")
      number = INFINITY;
    else if (*text == "-inf")
      number = -INFINITY;
    else if (*text == "nan")
      number = std::numeric_limits<double>::quiet_NaN();
    else if (text->starts_with("nan:0x") && text->size() <= 22) {
      const uint64_t bits = std::strtoull(text->c_str() + 6, nullptr, 16);
      number = std::bit_cast<double>(bits);
      if (!std::isnan(number))
        return evaluator.report(args.where(0), "these bits are not a NaN");
    } else
      return evaluator.report(args.where(0), "a float is written as a number, or as \"inf\", "
                                             "\"-inf\" or \"nan\"");
    return make_const(dtype, number);
  }
  if (value.is_number()) {
    if (dtype.is_bool() && value.is<Int>() && *value.as<Int>() != 0 && *value.as<Int>() != 1)
      return evaluator.report(args.where(0), "a bool is True or False");
    const Expr constant = evaluator.literal(value, dtype, args.where(0));
    return constant ? Value(constant) : Value(Poison{});
  }
  const Expr expr = evaluator.to_expr(value, args.where(0));
  if (!expr)
    return Poison{};
  if (expr->dtype == dtype)
    return expr;
  if (expr->dtype.lanes != dtype.lanes || expr->dtype.is_handle())
    return evaluator.report(args.where(0), "cannot cast " + temper::to_string(expr->dtype) +
                                               " to " + temper::to_string(dtype));
  return make_cast(dtype, expr);
}

/// Numbers of a shape or of strides: a tuple, a list, or one number.
bool read_extents(Evaluator& evaluator, const Value& value, Position position,
                  std::vector<Value>& result) {
  if (value.is<Int>() || value.is_ir() || value.text() != nullptr || value.is<Symbol>()) {
    result = {value};
    return true;
  }
  if (const auto* items = value.sequence()) {
    for (const Value& item : *items)
      if (!item.is<Int>() && !item.is_ir() && item.text() == nullptr && !item.is<Symbol>()) {
        evaluator.report(position, "an extent is an integer or a dimension, not " + describe(item));
        return false;
      }
    result = *items;
    return true;
  }
  evaluator.report(position, "a shape is a tuple as (128, 128), not " + describe(value));
  return false;
}

/// Reads shape, dtype and the options that all buffer makers share, from the slot `first` on:
/// shape, dtype, scope, strides, elem_offset, align, layout.
bool read_buffer_type(Evaluator& evaluator, ArgReader& args, size_t first, BufferType& type) {
  if (!read_extents(evaluator, args[first], args.where(first), type.shape))
    return false;
  if (args.has(first + 1)) {
    const auto dtype = evaluator.to_dtype(args[first + 1], args.where(first + 1));
    if (!dtype)
      return false;
    type.dtype = *dtype;
    if (dtype->is_handle()) {
      evaluator.report(args.where(first + 1), "a buffer holds numbers, not handles");
      return false;
    }
  }
  if (args.has(first + 2)) {
    const auto scope = evaluator.to_string(args[first + 2], args.where(first + 2), "a scope");
    if (!scope)
      return false;
    type.scope = scope->empty() ? "global" : *scope;
  }
  if (args.has(first + 3) && !args[first + 3].is<None>() &&
      !read_extents(evaluator, args[first + 3], args.where(first + 3), type.strides))
    return false;
  if (args.has(first + 4) && !args[first + 4].is<None>()) {
    type.elem_offset = evaluator.to_index(args[first + 4], args.where(first + 4), false);
    if (!type.elem_offset)
      return false;
  }
  if (args.has(first + 5)) {
    const auto align = evaluator.to_int64(args[first + 5], args.where(first + 5), "an alignment");
    if (!align)
      return false;
    if (*align == -1) {
      type.alignment = 64;
    } else if (*align < 1 || (*align & (*align - 1)) != 0 || *align > (1 << 30)) {
      evaluator.report(args.where(first + 5),
                       "an alignment is a power of two in bytes, not " + std::to_string(*align));
      return false;
    } else {
      type.alignment = *align;
    }
  }
  if (args.has(first + 6) && !args[first + 6].is<None>()) {
    const Value& value = args[first + 6];
    const auto* closure = value.as<const Closure*>();
    if (closure == nullptr || (*closure)->lambda == nullptr) {
      evaluator.report(args.where(first + 6),
                       "a layout is a map of indices: lambda i, j: (i // 16, j, i % 16)");
      return false;
    }
    std::vector<Var> inputs;
    CallArguments inner;
    inner.position = args.where(first + 6);
    for (const std::string& name : (*closure)->lambda->names) {
      inputs.push_back(make_var(name, DataType::int32()));
      inner.positional.push_back(Value(Expr(inputs.back())));
      inner.positions.push_back(inner.position);
    }
    const Value mapped = evaluator.call_closure(**closure, inner);
    if (mapped.is_poison())
      return false;
    std::vector<Expr> outputs;
    const std::vector<Value> single{mapped};
    for (const Value& item : mapped.sequence() != nullptr ? *mapped.sequence() : single) {
      Expr expr = evaluator.to_index(item, inner.position, false);
      if (!expr)
        return false;
      outputs.push_back(std::move(expr));
    }
    type.layout = make_node<IndexMapNode>([&](IndexMapNode& node) {
      node.inputs = std::move(inputs);
      node.outputs = std::move(outputs);
    });
  }
  return true;
}

/// offset_factor and the like have no counterpart: only their defaults pass.
bool refuse_option(Evaluator& evaluator, ArgReader& args, size_t index, const char* name) {
  if (!args.has(index) || args[index].is<None>())
    return false;
  if (const auto* number = args[index].as<Int>(); number != nullptr && *number <= 1)
    return false;
  if (const auto* list = args[index].sequence(); list != nullptr && list->empty())
    return false;
  evaluator.report(args.where(index), std::string(name) + " is not supported; leave it out");
  return true;
}

Value buffer_type(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call,
                 {"shape", "dtype", "scope", "strides", "elem_offset", "align", "layout",
                  "offset_factor", "data", "buffer_type", "axis_separators"},
                 1);
  auto type = std::make_shared<BufferType>();
  if (!args.ok() || !read_buffer_type(evaluator, args, 0, *type) ||
      refuse_option(evaluator, args, 7, "offset_factor") ||
      refuse_option(evaluator, args, 8, "data") ||
      refuse_option(evaluator, args, 10, "axis_separators"))
    return Poison{};
  return std::shared_ptr<const BufferType>(std::move(type));
}

Value match_buffer(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = kernel(evaluator, call);
  ArgReader args(evaluator, call,
                 {"param", "shape", "dtype", "scope", "strides", "elem_offset", "align", "layout",
                  "offset_factor", "data", "buffer_type", "axis_separators"},
                 1);
  if (builder == nullptr || !args.ok())
    return Poison{};
  const std::string name = builder->pending_name(0, "buffer");
  const Value& source = args[0];
  BufferType type;
  const bool is_handle = source.is<Expr>() && (*source.as<Expr>())->dtype.is_handle();
  if (!args.has(1)) {
    if (is_handle)
      return evaluator.report(call.position, "T.match_buffer needs the shape of the buffer");
    const auto region = builder->to_region(source, args.where(0));
    if (!region)
      return Poison{};
    for (const Range& range : region->region)
      type.shape.emplace_back(range.extent);
    type.dtype = region->buffer->dtype;
  } else if (!read_buffer_type(evaluator, args, 1, type)) {
    return Poison{};
  }
  for (size_t i = 8; i < 9; ++i)
    if (refuse_option(evaluator, args, i, "offset_factor"))
      return Poison{};
  if (is_handle) {
    const Var var = source.as<Expr>()->as_ref<VarNode>();
    if (!var || !builder->is_parameter(var))
      return evaluator.report(args.where(0), "T.match_buffer takes a handle parameter or a region");
    if (!builder->at_function_level())
      return evaluator.report(call.position,
                              "a parameter is matched at the top of the function, before blocks");
    Buffer buffer = builder->make_typed_buffer(type, name, call.position);
    if (!buffer)
      return Poison{};
    builder->match_parameter(var, buffer);
    return Value(buffer).defining();
  }
  if (builder->block().is_root || !builder->directly_in_block())
    return evaluator.report(call.position, "T.match_buffer of a region stands directly in a block");
  auto region = builder->to_region(source, args.where(0));
  if (!region)
    return Poison{};
  if (!args.has(3))
    type.scope = region->buffer->scope;
  if (type.dtype != region->buffer->dtype)
    return evaluator.report(call.position, "the view has type " + temper::to_string(type.dtype) +
                                               ", but " + region->buffer->name + " holds " +
                                               temper::to_string(region->buffer->dtype));
  for (const Value& stride : type.strides)
    if (stride.text() != nullptr || (stride.is<Expr>() && stride.as<Expr>()->is<VarNode>()))
      return evaluator.report(args.where(4), "strides of a view are numbers here; leave them out, "
                                             "or write what they are");
  Buffer buffer = builder->make_typed_buffer(type, name, call.position);
  if (!buffer)
    return Poison{};
  builder->block().views.push_back({std::move(*region), buffer});
  return Value(buffer).defining();
}

Value alloc(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = kernel(evaluator, call);
  ArgReader args(evaluator, call,
                 {"shape", "dtype", "scope", "strides", "elem_offset", "align", "layout",
                  "annotations", "offset_factor", "data", "buffer_type", "axis_separators"},
                 1);
  BufferType type;
  const std::string_view kind = call.callee->data;
  type.scope = kind == "local"      ? "local"
               : kind == "shared"   ? "shared"
               : kind == "fragment" ? "local.fragment"
                                    : "global";
  if (builder == nullptr || !args.ok() || !read_buffer_type(evaluator, args, 0, type) ||
      refuse_option(evaluator, args, 8, "offset_factor") ||
      refuse_option(evaluator, args, 9, "data"))
    return Poison{};
  for (const Value& extent : type.shape)
    if (extent.text() != nullptr)
      return evaluator.report(args.where(0), "the extent \"" + *extent.text() +
                                                 "\" of an allocation is no dimension of a "
                                                 "parameter; write it without quotes");
  if (kind == "global" && builder->in_kernel())
    return evaluator.report(call.position, "memory that all blocks share is made before the kernel "
                                           "that they are of: move T.alloc_global above with "
                                           "T.Kernel(...):");
  Annotations annotations;
  if (args.has(7) && !evaluator.to_annotations(args[7], args.where(7), annotations))
    return Poison{};
  const std::string name = builder->pending_name(0, "buffer");
  Buffer buffer = builder->make_typed_buffer(type, name, call.position);
  if (!buffer)
    return Poison{};
  evaluator.set_span(buffer, call.position);
  // Annotations belong to the flat statement: they tell it from the older spelling of a block's.
  const bool flat = args.has(7);
  const bool in_block = builder->is_s_tir() && builder->directly_in_block();
  if (kind == "block") {
    if (!builder->directly_in_block())
      return evaluator.report(call.position, "T.sblock_alloc_buffer stands directly in a block or "
                                             "at the top of the function");
    builder->block().allocated.push_back(buffer);
  } else if (kind == "any" && in_block && !flat) {
    builder->block().allocated.push_back(buffer); // the older spelling
  } else {
    builder->add(tir::make_alloc(buffer, std::move(annotations)), call.position);
  }
  return Value(buffer).defining();
}

/// T.reshape(src, shape), T.view(src, shape=None, dtype=None): the same memory under another shape
/// or type.
Value buffer_view(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = kernel(evaluator, call);
  const bool with_type = std::string_view(call.callee->data) == "view";
  static constexpr std::array<const char*, 3> kNames{"src", "shape", "dtype"};
  ArgReader args(evaluator, call, std::span(kNames).first(with_type ? 3 : 2), with_type ? 1 : 2);
  if (builder == nullptr || !args.ok())
    return Poison{};
  const auto* source = args[0].as<Buffer>();
  if (source == nullptr)
    return args[0].is_poison()
               ? Poison{}
               : evaluator.report(args.where(0), std::string(call.callee->name) +
                                                     " gives a buffer another shape; it takes a "
                                                     "whole buffer, not " +
                                                     describe(args[0]));
  const Buffer buffer = builder->behind_view(*source);
  BufferType type;
  type.scope = buffer->scope;
  type.dtype = (*source)->dtype;
  type.alignment = buffer->alignment;
  if (args.has(1) && !args[1].is<None>()) {
    if (!read_extents(evaluator, args[1], args.where(1), type.shape))
      return Poison{};
  } else {
    for (const Expr& extent : (*source)->shape)
      type.shape.emplace_back(extent);
  }
  if (with_type && args.has(2) && !args[2].is<None>()) {
    const auto dtype = evaluator.to_dtype(args[2], args.where(2));
    if (!dtype)
      return Poison{};
    type.dtype = *dtype;
  }
  Buffer view = builder->make_typed_buffer(type, builder->pending_name(0, "view"), call.position);
  if (!view)
    return Poison{};
  if (const auto fits = tir::check_view(view, buffer); !fits)
    return evaluator.report(call.position, fits.error().message);
  evaluator.set_span(view, call.position);
  builder->note_view(view, buffer);
  return Value(view).defining();
}

// Describing functions and blocks.

Value func_attr(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = kernel(evaluator, call);
  ArgReader args(evaluator, call, {"attrs"}, 1);
  Annotations attrs;
  if (builder == nullptr || !args.ok() || !evaluator.to_annotations(args[0], args.where(0), attrs))
    return Poison{};
  if (!builder->at_function_level())
    return evaluator.report(call.position, "T.func_attr stands at the top of the function");
  builder->set_attrs(attrs);
  return None{};
}

Value block_attr(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = kernel(evaluator, call);
  ArgReader args(evaluator, call, {"attrs"}, 1);
  Annotations attrs;
  if (builder == nullptr || !args.ok() || !evaluator.to_annotations(args[0], args.where(0), attrs))
    return Poison{};
  FunctionBuilder::BlockFrame* frame = builder->describing_block(call.position, "T.sblock_attr");
  if (frame == nullptr)
    return Poison{};
  for (const Annotation& entry : attrs.entries)
    frame->annotations = frame->annotations.with(entry.key, entry.value);
  return None{};
}

Value regions(Evaluator& evaluator, CallArguments& call, bool reads) {
  FunctionBuilder* builder = kernel(evaluator, call);
  if (builder == nullptr)
    return Poison{};
  FunctionBuilder::BlockFrame* frame =
      builder->describing_block(call.position, reads ? "T.reads" : "T.writes");
  if (frame == nullptr)
    return Poison{};
  auto& slot = reads ? frame->reads : frame->writes;
  if (slot)
    return evaluator.report(call.position, std::string("this block already has ") +
                                               (reads ? "T.reads" : "T.writes"));
  slot.emplace();
  if (!call.keywords.empty())
    return evaluator.report(call.position, "regions are given by position");
  bool ok = true;
  const auto take = [&](const Value& value, Position position) {
    auto region = builder->to_region(value, position);
    ok &= region.has_value();
    if (region)
      slot->push_back(std::move(*region));
  };
  for (size_t i = 0; i < call.positional.size(); ++i) {
    if (const auto* list = call.positional[i].sequence())
      for (const Value& item : *list)
        take(item, call.positions[i]);
    else
      take(call.positional[i], call.positions[i]);
  }
  return ok ? Value(None{}) : Value(Poison{});
}
Value reads(Evaluator& evaluator, CallArguments& call) { return regions(evaluator, call, true); }
Value writes(Evaluator& evaluator, CallArguments& call) { return regions(evaluator, call, false); }

Value where(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = kernel(evaluator, call);
  ArgReader args(evaluator, call, {"predicate"}, 1);
  if (builder == nullptr || !args.ok())
    return Poison{};
  FunctionBuilder::BlockFrame* frame = builder->describing_block(call.position, "T.where");
  const Expr predicate = evaluator.to_condition(args[0], args.where(0));
  if (frame == nullptr || !predicate)
    return Poison{};
  if (!predicate->dtype.is_scalar())
    return evaluator.report(args.where(0), "T.where decides once, not per lane");
  frame->predicate = frame->predicate ? make_binary<And>(frame->predicate, predicate) : predicate;
  return None{};
}

Value sblock(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"name", "no_realize"}, 0);
  if (kernel(evaluator, call) == nullptr || !args.ok())
    return Poison{};
  ContextSpec context;
  if (args.has(0)) {
    const auto name = evaluator.to_string(args[0], args.where(0), "a block's name");
    if (!name)
      return Poison{};
    context.name = *name;
  }
  return context;
}

Value init(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {}, 0);
  if (kernel(evaluator, call) == nullptr || !args.ok())
    return Poison{};
  ContextSpec context;
  context.kind = ContextSpec::Kind::kInit;
  return context;
}

// Axes.

Value axis(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = kernel(evaluator, call);
  ArgReader args(evaluator, call, {"dom", "binding", "dtype"}, 2);
  if (builder == nullptr || !args.ok())
    return Poison{};
  FunctionBuilder::BlockFrame* frame = builder->describing_block(call.position, "an axis");
  if (frame == nullptr)
    return Poison{};
  Value begin = Int{0};
  Value end = args[0];
  if (const auto* pair = args[0].sequence()) {
    if (pair->size() != 2)
      return evaluator.report(args.where(0), "an axis runs over an extent or over (begin, end)");
    begin = (*pair)[0];
    end = (*pair)[1];
  }
  Expr last = evaluator.to_index(end, args.where(0), false);
  Expr first = last ? evaluator.to_index(begin, args.where(0), false) : nullptr;
  Expr value = evaluator.to_index(args[1], args.where(1), false);
  if (!first || !last || !value)
    return Poison{};
  // Literals take the type of what they stand with: first the bounds', then the value's.
  if (begin.is<Int>() && !(first = evaluator.literal(begin, last->dtype, args.where(0))))
    return Poison{};
  if (first->dtype != last->dtype && end.is<Int>() &&
      !(last = evaluator.literal(end, first->dtype, args.where(0))))
    return Poison{};
  if (!evaluator.match_types(first, last, args.where(0), "an axis"))
    return Poison{};
  if (args[1].is<Int>()) {
    if (!(value = evaluator.literal(args[1], last->dtype, args.where(1))))
      return Poison{};
  } else if (end.is<Int>() && begin.is<Int>() && value->dtype != last->dtype) {
    last = evaluator.literal(end, value->dtype, args.where(0));
    first = evaluator.literal(begin, value->dtype, args.where(0));
    if (!first || !last)
      return Poison{};
  }
  Expr extent = extent_between(first, last);
  if (value->dtype != extent->dtype) {
    const Expr before = extent;
    if (!evaluator.match_types(extent, value, call.position, "an axis"))
      return Poison{};
    if (before != extent) {
      Expr other = value;
      if (!evaluator.match_types(first, other, call.position, "an axis"))
        return Poison{};
    }
  }
  s_tir::IterVar iter;
  const std::string_view kind = call.callee->data;
  iter.type = kind == "reduce"   ? s_tir::IterType::kReduce
              : kind == "scan"   ? s_tir::IterType::kScan
              : kind == "opaque" ? s_tir::IterType::kOpaque
                                 : s_tir::IterType::kSpatial;
  iter.var = make_var(builder->pending_name(0, "v"), value->dtype);
  evaluator.set_span(iter.var, call.position);
  iter.domain = {first, extent};
  frame->axes.push_back(iter);
  frame->values.push_back(value);
  return Value(Expr(iter.var)).defining();
}

Value remap(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = kernel(evaluator, call);
  ArgReader args(evaluator, call, {"kinds", "bindings", "dtype"}, 2);
  if (builder == nullptr || !args.ok())
    return Poison{};
  FunctionBuilder::BlockFrame* frame = builder->describing_block(call.position, "T.axis.remap");
  const auto kinds = evaluator.to_string(args[0], args.where(0), "the kinds of axes");
  const auto* loops = args[1].sequence();
  if (frame == nullptr || !kinds)
    return Poison{};
  if (loops == nullptr || loops->size() != kinds->size())
    return evaluator.report(args.where(1),
                            "T.axis.remap takes one loop per letter: T.axis.remap(\"SSR\", [i, j, "
                            "k])");
  if (builder->pending_count() > 1 && builder->pending_count() != kinds->size())
    return evaluator.report(call.position, "there are " + std::to_string(builder->pending_count()) +
                                               " names for " + std::to_string(kinds->size()) +
                                               " axes");
  std::vector<Value> result;
  for (size_t i = 0; i < kinds->size(); ++i) {
    const char kind = (*kinds)[i];
    s_tir::IterVar iter;
    if (kind == 'S')
      iter.type = s_tir::IterType::kSpatial;
    else if (kind == 'R')
      iter.type = s_tir::IterType::kReduce;
    else
      return evaluator.report(args.where(0), std::string("'") + kind +
                                                 "' is no kind of axis; write S (spatial) or R "
                                                 "(reduce), and T.axis.scan or T.axis.opaque for "
                                                 "others");
    const auto* expr = (*loops)[i].as<Expr>();
    const Var var = expr != nullptr ? expr->as_ref<VarNode>() : nullptr;
    const Range* range = var ? builder->loop_range(var) : nullptr;
    if (range == nullptr)
      return evaluator.report(args.where(1), "T.axis.remap takes loop variables, not " +
                                                 describe((*loops)[i]) +
                                                 "; write T.axis.spatial(extent, value)");
    iter.var = make_var(builder->pending_name(i, "v"), var->dtype);
    evaluator.set_span(iter.var, call.position);
    iter.domain = *range;
    frame->axes.push_back(iter);
    frame->values.push_back(*expr);
    result.push_back(Value(Expr(iter.var)));
  }
  if (result.size() == 1 && builder->pending_count() == 1)
    return std::move(result[0]).defining();
  return make_sequence(std::move(result), true).defining();
}

// Loops.

/// T.thread_binding as the kernel's own threads: its extent must be theirs.
Value bound_thread(Evaluator& evaluator, FunctionBuilder& builder, ArgReader& args,
                   CallArguments& call) {
  const auto axis = args.has(2) ? evaluator.to_string(args[2], args.where(2), "a thread")
                                : std::optional<std::string>("threadIdx.x");
  if (!axis)
    return Poison{};
  const std::vector<Var>& threads = *builder.kernel_threads();
  for (size_t d = 0; d < threads.size(); ++d) {
    if (*axis != std::string("threadIdx.") + "xyz"[d])
      continue;
    const auto extent = as_int(builder.loop_range(threads[d])->extent);
    const Value& given = args.has(1) ? args[1] : args[0];
    const auto stop = given.is<Int>() ? std::optional<int64_t>(*given.as<Int>()) : std::nullopt;
    if (extent && stop && *extent != *stop)
      return evaluator.report(call.position, "the kernel has " + std::to_string(*extent) +
                                                 " threads along this axis, not " +
                                                 std::to_string(*stop));
    return Value(Expr(threads[d])).defining();
  }
  return evaluator.report(args.where(2), "the kernel's threads have no axis '" + *axis + "'");
}

Value loop(Evaluator& evaluator, CallArguments& call) {
  const std::string_view kind = call.callee->data;
  const bool thread = kind == "thread";
  ArgReader args(
      evaluator, call,
      {"start", "stop", thread ? "thread" : "step", "annotations", "explicit", "unroll_factor"}, 1);
  if (kernel(evaluator, call) == nullptr || !args.ok())
    return Poison{};
  // t = T.thread_binding(0, threads, thread="threadIdx.x") in a kernel: the thread's number.
  if (FunctionBuilder* builder = evaluator.builder();
      thread && builder->in_kernel() && builder->pending_count() == 1)
    return bound_thread(evaluator, *builder, args, call);
  auto spec = std::make_shared<LoopSpec>();
  spec->kind = kind == "parallel"     ? tir::ForKind::kParallel
               : kind == "vectorized" ? tir::ForKind::kVectorized
               : kind == "unroll"     ? tir::ForKind::kUnrolled
               : thread               ? tir::ForKind::kThreadBinding
                                      : tir::ForKind::kSerial;
  const Value* begin = args.get(0);
  const Value* end = args.get(1);
  const Value zero(Int{0});
  const Value* thread_name = thread ? args.get(2) : nullptr;
  if (thread && end != nullptr && end->text() != nullptr && thread_name == nullptr) {
    thread_name = end; // T.thread_binding(8, "blockIdx.x")
    end = nullptr;
  }
  if (end == nullptr) {
    end = begin;
    begin = &zero;
  }
  int64_t step = 1;
  if (!thread && args.has(2) && !args[2].is<None>()) {
    const auto given = evaluator.to_int64(args[2], args.where(2), "a loop's step");
    if (!given)
      return Poison{};
    step = *given;
    if (step == 0 || (step != 1 && kind == "vectorized"))
      return evaluator.report(args.where(2),
                              step == 0 ? "a loop's step is not 0"
                                        : "T.vectorized has no step: its iterations lie side by "
                                          "side; multiply the variable instead");
  }
  Expr first = evaluator.to_index(*begin, args.where(0), false);
  Expr last = first ? evaluator.to_index(*end, args.where(0), false) : nullptr;
  if (!first || !last || !evaluator.operands(*begin, *end, args.where(0), "a loop", first, last))
    return Poison{};
  set_steps(*spec, first, last, step);
  if (args.has(3) && !args[3].is<None>() &&
      !evaluator.to_annotations(args[3], args.where(3), spec->annotations))
    return Poison{};
  if (thread) {
    const auto name = thread_name != nullptr
                          ? evaluator.to_string(*thread_name, args.where(2), "a thread")
                          : std::nullopt;
    if (!name)
      return thread_name != nullptr
                 ? Value(Poison{})
                 : evaluator.report(call.position, "T.thread_binding needs the thread: "
                                                   "T.thread_binding(8, thread=\"blockIdx.x\")");
    static const std::vector<std::string> kThreads = {
        "blockIdx.x",  "blockIdx.y", "blockIdx.z", "threadIdx.x", "threadIdx.y",
        "threadIdx.z", "vthread.x",  "vthread.y",  "vthread.z",   "vthread"};
    if (std::find(kThreads.begin(), kThreads.end(), *name) == kThreads.end())
      return evaluator.report(args.where(2),
                              "'" + *name + "' is no thread axis" + did_you_mean(*name, kThreads));
    spec->thread = *name;
  }
  return std::shared_ptr<const LoopSpec>(std::move(spec));
}

Value grid(Evaluator& evaluator, CallArguments& call) {
  if (kernel(evaluator, call) == nullptr)
    return Poison{};
  if (!call.keywords.empty() || call.positional.empty())
    return evaluator.report(call.position, "T.grid takes extents: T.grid(128, 128)");
  auto spec = std::make_shared<LoopSpec>();
  spec->is_grid = true;
  for (size_t i = 0; i < call.positional.size(); ++i) {
    const Value& value = call.positional[i];
    if (const auto* pair = value.sequence(); pair != nullptr && pair->size() == 2) {
      Expr first;
      Expr last;
      if (!evaluator.to_index((*pair)[0], call.positions[i], false) ||
          !evaluator.to_index((*pair)[1], call.positions[i], false) ||
          !evaluator.operands((*pair)[0], (*pair)[1], call.positions[i], "T.grid", first, last))
        return Poison{};
      spec->ranges.push_back({first, extent_between(first, last)});
      continue;
    }
    Expr extent = evaluator.to_index(value, call.positions[i], false);
    if (!extent)
      return Poison{};
    spec->ranges.push_back({make_int(extent->dtype, 0), extent});
  }
  return std::shared_ptr<const LoopSpec>(std::move(spec));
}

// Expressions.

Value evaluate(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = kernel(evaluator, call);
  ArgReader args(evaluator, call, {"value"}, 1);
  if (builder == nullptr || !args.ok())
    return Poison{};
  Expr expr = evaluator.to_expr(args[0], args.where(0));
  if (!expr)
    return Poison{};
  builder->add(tir::make_evaluate(std::move(expr)), call.position);
  return None{};
}

Value cast_value(Evaluator& evaluator, const Value& value, Position where, DataType dtype,
                 bool fold) {
  if (fold && value.is_number() && !(value.is<double>() && !dtype.is_floating())) {
    const Expr constant = evaluator.literal(value, dtype, where);
    return constant ? Value(constant) : Value(Poison{});
  }
  const Expr expr = evaluator.to_expr(value, where);
  if (!expr)
    return Poison{};
  if (fold && expr->dtype == dtype)
    return expr;
  DataType target = dtype;
  if (target.is_scalar() && !expr->dtype.is_scalar() && fold)
    target = target.with_lanes(expr->dtype.lanes);
  if (expr->dtype.lanes != target.lanes)
    return evaluator.report(where,
                            "a cast keeps the number of lanes: " + temper::to_string(expr->dtype) +
                                " does not become " + temper::to_string(dtype));
  if (expr->dtype.is_handle() != target.is_handle())
    return evaluator.report(where, "a handle cannot be cast to a number, nor a number to a handle");
  if (fold && expr.is<IntImm>() && target.is_integral())
    return make_int(target, expr.as<IntImm>()->value);
  return make_cast(target, expr);
}

/// T.Cast("float32", x): always a Cast.
Value cast_node(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"dtype", "value"}, 2);
  const auto dtype = args.ok() ? evaluator.to_dtype(args[0], args.where(0)) : std::nullopt;
  return dtype ? cast_value(evaluator, args[1], args.where(1), *dtype, false) : Value(Poison{});
}
/// T.cast(x, "float32"): constants and equal types need no node.
Value cast(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"value", "dtype"}, 2);
  const auto dtype = args.ok() ? evaluator.to_dtype(args[1], args.where(1)) : std::nullopt;
  return dtype ? cast_value(evaluator, args[0], args.where(0), *dtype, true) : Value(Poison{});
}
Value astype(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"dtype"}, 1);
  const auto dtype = args.ok() ? evaluator.to_dtype(args[0], args.where(0)) : std::nullopt;
  return dtype ? cast_value(evaluator, *call.callee->self, call.position, *dtype, true)
               : Value(Poison{});
}

Value choose(Evaluator& evaluator, CallArguments& call) {
  const bool is_select = std::string_view(call.callee->data) == "select";
  ArgReader args(evaluator, call, {"condition", "true_value", "false_value"}, 3);
  if (!args.ok())
    return Poison{};
  Expr condition = evaluator.to_condition(args[0], args.where(0));
  Expr a;
  Expr b;
  if (!evaluator.operands(args[1], args[2], call.position, call.callee->name, a, b) || !condition)
    return Poison{};
  if (a->dtype.is_handle() && (a.is<StringImm>() || a.is<ListImm>()))
    return evaluator.report(call.position, "this chooses between numbers");
  const int lanes = condition->dtype.lanes;
  if (is_select && lanes != a->dtype.lanes && lanes != 1) {
    if (a->dtype.is_scalar()) {
      a = make_broadcast(a, lanes);
      b = make_broadcast(b, lanes);
    } else {
      return evaluator.report(call.position, "the condition has " + std::to_string(lanes) +
                                                 " lanes, the values have " +
                                                 std::to_string(a->dtype.lanes));
    }
  }
  if (!is_select && lanes != 1)
    return evaluator.report(args.where(0), "T.if_then_else decides once; for a vector of "
                                           "conditions use T.Select");
  return is_select ? Value(make_select(condition, a, b)) : Value(if_then_else(condition, a, b));
}

/// The binary functions that always make a node: T.min, T.truncdiv, ...
Value binary_node(Evaluator& evaluator, CallArguments& call) {
  const std::string_view kind = call.callee->data;
  if ((kind == "min" || kind == "max") && call.positional.size() > 2) {
    CallArguments first = call;
    first.positional.resize(2);
    Value result = binary_node(evaluator, first);
    for (size_t i = 2; i < call.positional.size() && !result.is_poison(); ++i) {
      CallArguments next = call;
      next.positional = {result, call.positional[i]};
      next.positions = {call.positions[0], call.positions[i]};
      result = binary_node(evaluator, next);
    }
    return result;
  }
  ArgReader args(evaluator, call, {"a", "b"}, 2);
  Expr a;
  Expr b;
  if (!args.ok() || !evaluator.operands(args[0], args[1], call.position, call.callee->name, a, b))
    return Poison{};
  const DataType type = a->dtype;
  if (kind == "and" || kind == "or") {
    if (!type.is_bool())
      return evaluator.report(call.position,
                              "conditions are joined here, not " + temper::to_string(type));
    return kind == "and" ? Value(make_binary<And>(a, b)) : Value(make_binary<Or>(a, b));
  }
  static constexpr std::pair<std::string_view, Operator> kComparisons[] = {
      {"eq", Operator::kEqual},     {"ne", Operator::kNotEqual}, {"lt", Operator::kLess},
      {"le", Operator::kLessEqual}, {"gt", Operator::kGreater},  {"ge", Operator::kGreaterEqual}};
  for (const auto& [name, op] : kComparisons)
    if (kind == name)
      return evaluator.ir_binary(op, Value(a), Value(b), call.position);
  if (!type.is_integral() && !type.is_floating())
    return evaluator.report(call.position, std::string(call.callee->name) + " needs numbers, not " +
                                               temper::to_string(type));
  if ((kind == "floordiv" || kind == "floormod" || kind == "ceildiv") && !type.is_integral())
    return evaluator.report(call.position, std::string(call.callee->name) +
                                               " needs integers, not " + temper::to_string(type) +
                                               "; for floats write a / b");
  if (kind == "min")
    return make_binary<Min>(a, b);
  if (kind == "max")
    return make_binary<Max>(a, b);
  if (kind == "add")
    return make_binary<Add>(a, b);
  if (kind == "sub")
    return make_binary<Sub>(a, b);
  if (kind == "mul")
    return make_binary<Mul>(a, b);
  if (kind == "div")
    return make_binary<Div>(a, b);
  if (kind == "mod")
    return make_binary<Mod>(a, b);
  if (kind == "floordiv")
    return make_binary<FloorDiv>(a, b);
  if (kind == "floormod")
    return make_binary<FloorMod>(a, b);
  // ceildiv
  if (args[0].is<Int>() && args[1].is<Int>()) {
    const Int y = *args[1].as<Int>();
    if (y <= 0)
      return evaluator.report(call.position, "T.ceildiv divides by a positive number");
    return evaluator.binary(Operator::kFloorDiv, Value(*args[0].as<Int>() + y - 1), args[1],
                            call.position);
  }
  return make_binary<FloorDiv>(
      make_binary<Sub>(make_binary<Add>(a, b), make_const_int(a->dtype, 1)), b);
}

Value limit(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"dtype"}, 1);
  const auto dtype = args.ok() ? evaluator.to_dtype(args[0], args.where(0)) : std::nullopt;
  if (!dtype)
    return Poison{};
  const std::string_view kind = call.callee->data;
  if (dtype->is_floating() && kind == "infinity")
    return make_const(*dtype, INFINITY);
  if (kind == "infinity" || !(dtype->is_floating() || dtype->is_integral() || dtype->is_bool()))
    return evaluator.report(call.position, temper::to_string(*dtype) + " has no such value");
  return kind == "min" ? lowest_value(*dtype) : largest_value(*dtype);
}

std::optional<int> read_lanes(Evaluator& evaluator, const Value& value, Position position,
                              int element_lanes) {
  const auto lanes = evaluator.to_int64(value, position, "the number of lanes");
  if (!lanes)
    return std::nullopt;
  if (*lanes < 2 || *lanes * element_lanes > 65535) {
    evaluator.report(position, "a vector has 2 to 65535 lanes, not " + std::to_string(*lanes));
    return std::nullopt;
  }
  return static_cast<int>(*lanes);
}

Value ramp(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"base", "stride", "lanes"}, 3);
  Expr base;
  Expr stride;
  if (!args.ok() || !evaluator.operands(args[0], args[1], call.position, "T.Ramp", base, stride))
    return Poison{};
  if (!base->dtype.is_integral() || !base->dtype.is_scalar())
    return evaluator.report(args.where(0),
                            "T.Ramp starts at one integer, not " + temper::to_string(base->dtype));
  const auto lanes = read_lanes(evaluator, args[2], args.where(2), 1);
  return lanes ? Value(make_ramp(base, stride, *lanes)) : Value(Poison{});
}

Value broadcast(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"value", "lanes"}, 2);
  const Expr value = args.ok() ? evaluator.to_expr(args[0], args.where(0)) : nullptr;
  if (!value)
    return Poison{};
  if (!value->dtype.is_scalar() || value->dtype.is_handle())
    return evaluator.report(args.where(0),
                            "T.Broadcast repeats one number, not " + describe(Value(value)));
  const auto lanes = read_lanes(evaluator, args[1], args.where(1), 1);
  return lanes ? Value(make_broadcast(value, *lanes)) : Value(Poison{});
}

Value shuffle(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"vectors", "indices"}, 2);
  if (!args.ok())
    return Poison{};
  const auto vectors = evaluator.iterate(args[0], args.where(0));
  const auto places = evaluator.iterate(args[1], args.where(1));
  if (!vectors || !places)
    return Poison{};
  std::vector<Expr> parts;
  int64_t lanes = 0;
  for (const Value& item : *vectors) {
    Expr part = evaluator.to_expr(item, args.where(0));
    if (!part)
      return Poison{};
    if (part->dtype.is_handle() ||
        (!parts.empty() && part->dtype.element() != parts[0]->dtype.element()))
      return evaluator.report(args.where(0), "T.Shuffle joins vectors of one element type");
    lanes += part->dtype.lanes;
    parts.push_back(std::move(part));
  }
  std::vector<Expr> indices;
  for (const Value& item : *places) {
    Expr index = evaluator.to_index(item, args.where(1), false);
    if (!index)
      return Poison{};
    const auto constant = as_int(index);
    if (!constant || *constant < 0 || *constant >= lanes)
      return evaluator.report(args.where(1), "T.Shuffle picks lanes 0 to " +
                                                 std::to_string(lanes - 1) + ", by constants");
    indices.push_back(std::move(index));
  }
  if (parts.empty() || indices.empty() || indices.size() > 65535)
    return evaluator.report(call.position, "T.Shuffle needs vectors and the lanes to pick");
  return make_shuffle(std::move(parts), std::move(indices));
}

Value let_expression(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"body", "where"}, 2);
  Expr body = args.ok() ? evaluator.to_expr(args[0], args.where(0)) : nullptr;
  if (!body)
    return Poison{};
  const auto* dict = args[1].as<Dict>();
  if (dict == nullptr || dict->items->empty())
    return evaluator.report(args.where(1), "T.Let names values: T.Let(x + 1, where={x: n})");
  for (size_t i = dict->items->size(); i-- > 0;) {
    const auto& [key, value] = (*dict->items)[i];
    const auto* expr = key.as<Expr>();
    const Var var = expr != nullptr ? expr->as_ref<VarNode>() : nullptr;
    if (!var || !evaluator.builder() || !evaluator.builder()->is_free_variable(var))
      return evaluator.report(args.where(1), "T.Let gives a value to a variable made by x = "
                                             "T.int32()");
    Expr bound = evaluator.to_expr(value, args.where(1),
                                   value.is_number() ? std::optional(var->dtype) : std::nullopt);
    if (!bound)
      return Poison{};
    if (bound->dtype != var->dtype)
      return evaluator.report(args.where(1), describe(key) + " gets a value of type " +
                                                 temper::to_string(bound->dtype));
    body = make_let(var, std::move(bound), std::move(body));
  }
  return body;
}

/// Any operation of ir/op.h by its name.
Value operation(Evaluator& evaluator, CallArguments& call) {
  const OpInfo* op = find_op(call.callee->data);
  std::vector<Value> values = call.positional;
  std::vector<Position> positions = call.positions;
  const std::string name = call.callee->name;
  if (!call.keywords.empty())
    return evaluator.report(call.keyword_positions[0], name + " takes its arguments by position");
  std::optional<DataType> result;
  if (op->result == OpResult::kExplicit) {
    if (values.empty())
      return evaluator.report(call.position, name + " needs the result's type first: " + name +
                                                 "(\"float32\", ...)");
    result = evaluator.to_dtype(values[0], positions[0]);
    if (!result)
      return Poison{};
    values.erase(values.begin());
    positions.erase(positions.begin());
  }
  if (op->arity >= 0 && values.size() != static_cast<size_t>(op->arity))
    return evaluator.report(call.position, name + " takes " + std::to_string(op->arity) +
                                               (op->arity == 1 ? " argument" : " arguments") +
                                               ", but " + std::to_string(values.size()) +
                                               (values.size() == 1 ? " is" : " are") + " given");
  std::vector<Expr> args;
  if (op->result == OpResult::kSameAsArgument && values.size() == 2) {
    Expr a;
    Expr b;
    if (!evaluator.operands(values[0], values[1], call.position, name.c_str(), a, b))
      return Poison{};
    args = {a, b};
  } else {
    // Literals take the type of the first expression.
    std::optional<DataType> wanted;
    if (op->result == OpResult::kSameAsArgument)
      for (const Value& value : values)
        if (const auto* expr = value.as<Expr>(); expr != nullptr && !wanted)
          wanted = (*expr)->dtype;
    for (size_t i = 0; i < values.size(); ++i) {
      // A whole number where a float belongs is a float.
      std::optional<DataType> own = values[i].is_number() ? wanted : std::nullopt;
      if (!own && op->floating_only && values[i].is<Int>())
        own = DataType::float32();
      Expr arg = evaluator.to_expr(values[i], positions[i], own);
      if (!arg)
        return Poison{};
      args.push_back(std::move(arg));
    }
    for (size_t i = 1; op->result == OpResult::kSameAsArgument && i < args.size(); ++i)
      if (!evaluator.match_types(args[0], args[i], call.position, name.c_str()) ||
          (i > 1 && !evaluator.match_types(args[0], args[i - 1], call.position, name.c_str())))
        return Poison{};
  }
  for (size_t i = 0; i < args.size(); ++i) {
    const DataType type = args[i]->dtype;
    if (op->floating_only && !type.is_floating())
      return evaluator.report(positions[i], name + " works on floats, not " +
                                                temper::to_string(type) +
                                                "; write T.Cast(\"float32\", ...)");
    if (op->integer_only && !type.is_integral())
      return evaluator.report(positions[i],
                              name + " works on integers, not " + temper::to_string(type));
  }
  if (op->name == "abs" && !args[0]->dtype.is_floating() && !args[0]->dtype.is_integral())
    return evaluator.report(positions[0], name + " needs a number");
  if (op->name == "reinterpret" && result->bytes() != args[0]->dtype.bytes())
    return evaluator.report(
        call.position, "T.reinterpret keeps the bits: " + temper::to_string(args[0]->dtype) +
                           " has " + std::to_string(args[0]->dtype.bytes()) + " bytes, " +
                           temper::to_string(*result) + " has " + std::to_string(result->bytes()));
  if (result)
    return make_call(*result, op->name, std::move(args));
  return call_op(op->name, std::move(args));
}

/// T.prefetch(A[i, j], locality=3), or as it prints: T.prefetch("int32", A[i, j], 0, 3).
Value prefetch(Evaluator& evaluator, CallArguments& call) {
  if (!call.positional.empty() && call.positional[0].is<Text>())
    return operation(evaluator, call);
  ArgReader args(evaluator, call, {"element", "locality"}, 1);
  if (!args.ok())
    return Poison{};
  const Expr element = evaluator.to_expr(args[0], args.where(0));
  if (!element)
    return Poison{};
  if (element->kind() != BufferLoad::kKind)
    return evaluator.report(args.where(0),
                            "T.prefetch asks for an element, as A[i, j], not " + describe(args[0]));
  constexpr int64_t kAllLevels = 3;
  const auto locality = args.has(1) ? evaluator.to_int64(args[1], args.where(1), "a locality")
                                    : std::optional(kAllLevels);
  if (!locality)
    return Poison{};
  if (*locality < 0 || *locality > kAllLevels)
    return evaluator.report(args.where(1),
                            "a locality is 0 (used once) to 3 (kept in all caches), not " +
                                std::to_string(*locality));
  return make_call(
      DataType::int32(), "prefetch",
      {element, make_int(DataType::int32(), 0), make_int(DataType::int32(), *locality)});
}

Value logical_not(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"a"}, 1);
  const Expr a = args.ok() ? evaluator.to_condition(args[0], args.where(0)) : nullptr;
  return a ? Value(make_not(a)) : Value(Poison{});
}

/// T.clamp(x, low, high).
Value clamp(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"dst", "min_val", "max_val"}, 3);
  if (!args.ok())
    return Poison{};
  Expr x;
  Expr low;
  Expr high;
  if (!evaluator.operands(args[0], args[1], call.position, "T.clamp", x, low) ||
      !evaluator.operands(Value(x), args[2], call.position, "T.clamp", x, high))
    return Poison{};
  return make_binary<Min>(make_binary<Max>(x, low), high);
}

/// m = T.dynamic("m"): a dimension that is known when the kernel is called.
Value dynamic_dimension(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"name", "dtype"}, 1);
  if (!args.ok())
    return Poison{};
  const auto names = evaluator.to_string(args[0], args.where(0), "a dimension's name");
  const auto dtype =
      args.has(1) ? evaluator.to_dtype(args[1], args.where(1)) : std::optional(DataType::int32());
  if (!names || !dtype)
    return Poison{};
  if (!dtype->is_integral() || !dtype->is_scalar())
    return evaluator.report(args.where(1),
                            "a dimension is an integer, not " + temper::to_string(*dtype));
  // "m, n" makes two.
  std::vector<Value> dimensions;
  for (const std::string& part : split_text(*names, ',')) {
    const std::string name(trim(part));
    if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0])) ||
        !std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return std::isalnum(c) || c == '_'; }))
      return evaluator.report(args.where(0), "'" + name + "' is no dimension's name");
    dimensions.emplace_back(Symbol{name, *dtype});
  }
  return dimensions.size() == 1 ? dimensions[0] : make_sequence(std::move(dimensions), true);
}

/// T.import_source("..."): CUDA C++ that stands before the kernels of this function.
Value import_source(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = kernel(evaluator, call);
  ArgReader args(evaluator, call, {"source"}, 1);
  if (builder == nullptr || !args.ok())
    return Poison{};
  const auto text = evaluator.to_string(args[0], args.where(0), "CUDA source");
  if (!text)
    return Poison{};
  builder->set_attrs(Annotations().with("cuda.source", make_string(*text)));
  return None{};
}

Value meta_var(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"value"}, 1);
  if (!args.ok())
    return Poison{};
  Value value = args[0];
  return std::move(value).defining();
}

Value jump(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = kernel(evaluator, call);
  ArgReader args(evaluator, call, {}, 0);
  if (builder == nullptr || !args.ok())
    return Poison{};
  if (!builder->in_loop())
    return evaluator.report(call.position,
                            std::string(call.callee->name) + " stands inside a loop");
  const bool is_break = std::string_view(call.callee->data) == "break";
  builder->add(is_break ? tir::make_break() : tir::make_continue(), call.position);
  return None{};
}

Value assertion(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = kernel(evaluator, call);
  ArgReader args(evaluator, call, {"condition", "message"}, 2);
  if (builder == nullptr || !args.ok())
    return Poison{};
  Expr condition = evaluator.to_condition(args[0], args.where(0));
  const auto message = evaluator.to_string(args[1], args.where(1), "an assertion's message");
  if (!condition || !message)
    return Poison{};
  builder->add(tir::make_assert(std::move(condition), *message), call.position);
  return None{};
}

Value tune(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"choices"}, 1);
  if (!args.ok())
    return Poison{};
  auto items = evaluator.iterate(args[0], args.where(0));
  if (!items)
    return Poison{};
  if (items->empty())
    return evaluator.report(call.position, "T.tune needs at least one choice");
  for (size_t i = 0; i < items->size(); ++i)
    for (size_t j = 0; j < i; ++j)
      if (repr((*items)[i]) == repr((*items)[j]))
        return evaluator.report(args.where(0), "the choice " + repr((*items)[i]) +
                                                   " stands twice; a choice that counts double "
                                                   "would be tried twice");
  return Tunable{std::make_shared<const std::vector<Value>>(std::move(*items))};
}

/// T.constraint(condition): which choices of knobs make a program.
Value constraint(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"condition"}, 1);
  if (!args.ok())
    return Poison{};
  const auto* condition = args[0].as<bool>();
  const auto holds = condition != nullptr ? std::optional(*condition) : std::nullopt;
  if (!holds && !args[0].is_ir() && !args[0].is_poison())
    return evaluator.report(args.where(0), "a constraint is a condition, as block % 16 == 0, not " +
                                               describe(args[0]));
  if (!holds)
    return args[0].is_poison()
               ? Value(Poison{})
               : evaluator.report(args.where(0),
                                  "a constraint is about knobs and shapes, which are "
                                  "known before the program runs, not " +
                                      describe(args[0]));
  // As it stands in the text.
  std::string_view text = evaluator.diagnostics().text();
  for (uint32_t line = 1; line < call.position.line && !text.empty(); ++line)
    text.remove_prefix(std::min(text.size(), text.find('\n') + 1));
  const size_t open =
      text.find("constraint(", call.position.column > 0 ? call.position.column - 1 : 0);
  std::string words = "the constraint in line " + std::to_string(call.position.line);
  if (open < text.size()) {
    const size_t begin = open + 11;
    int depth = 1;
    size_t end = begin;
    while (end < text.size() && depth > 0) {
      depth += text[end] == '(' ? 1 : text[end] == ')' ? -1 : 0;
      ++end;
    }
    if (depth == 0)
      words = std::string(text.substr(begin, end - 1 - begin));
  }
  if (evaluator.constraints != nullptr)
    evaluator.constraints->push_back(words);
  if (*holds)
    return None{};
  if (evaluator.violations == nullptr)
    return evaluator.report(call.position, "the constraint " + words + " does not hold");
  evaluator.violations->push_back(words);
  return None{};
}

Value index_map(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"map"}, 1);
  return args.ok() ? args[0] : Value(Poison{});
}

Value refused(Evaluator& evaluator, CallArguments& call) {
  return evaluator.report(call.position, std::string(call.callee->name) + " " + call.callee->data);
}

// Methods of buffers.

bool read_predicate(Evaluator& evaluator, ArgReader& args, size_t index, int lanes, Expr& result) {
  if (!args.has(index) || args[index].is<None>())
    return true;
  Expr predicate = evaluator.to_condition(args[index], args.where(index));
  if (!predicate)
    return false;
  if (predicate->dtype.lanes != lanes) {
    evaluator.report(args.where(index), "the predicate has " +
                                            std::to_string(predicate->dtype.lanes) +
                                            " lanes, the access " + std::to_string(lanes));
    return false;
  }
  result = std::move(predicate);
  return true;
}

Value index_tuple(const Value& value) {
  return value.sequence() != nullptr ? make_sequence(*value.sequence(), true)
                                     : make_sequence({value}, true);
}

Value vload(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"begin", "dtype", "predicate"}, 1);
  const Buffer& buffer = *call.callee->self->as<Buffer>();
  if (!args.ok())
    return Poison{};
  const Value load = evaluator.access(buffer, index_tuple(args[0]), call.position);
  const auto* expr = load.as<Expr>();
  if (expr == nullptr)
    return load.is_poison() ? Value(Poison{})
                            : evaluator.report(call.position, "vload takes indices, as "
                                                              "[T.Ramp(0, 1, 8)]");
  const auto* node = expr->as<BufferLoad>();
  int lanes = 1;
  for (const Expr& index : node->indices)
    lanes = std::max<int>(lanes, index->dtype.lanes);
  Expr predicate;
  if (!read_predicate(evaluator, args, 2, lanes, predicate))
    return Poison{};
  return make_load(buffer, node->indices, std::move(predicate));
}

Value vstore(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = kernel(evaluator, call);
  ArgReader args(evaluator, call, {"begin", "value", "predicate"}, 2);
  const Buffer& buffer = *call.callee->self->as<Buffer>();
  if (builder == nullptr || !args.ok())
    return Poison{};
  const Value index = index_tuple(args[0]);
  const Value load = evaluator.access(buffer, index, call.position);
  int lanes = 1;
  if (const auto* expr = load.as<Expr>())
    for (const Expr& one : expr->as<BufferLoad>()->indices)
      lanes = std::max<int>(lanes, one->dtype.lanes);
  else
    return Poison{};
  Expr predicate;
  if (!read_predicate(evaluator, args, 2, lanes, predicate))
    return Poison{};
  builder->store(buffer, index, args[1], call.position, std::move(predicate));
  return None{};
}

constexpr const char* kLater = "belongs to GPU and tile programs, which this version does not read "
                               "yet; write loops over buffers";
constexpr const char* kForeign = "is not part of the language; use the operations of T";

struct Entry {
  BuiltinFunction function;
  const char* data;
  std::string name; ///< "T.exp", for messages
};

const std::map<std::string, Entry, std::less<>>& table() {
  static const std::map<std::string, Entry, std::less<>> entries = [] {
    std::map<std::string, Entry, std::less<>> map = {
        {"_construct", {construct, nullptr, {}}},
        {"Buffer", {buffer_type, nullptr, {}}},
        {"Tensor", {buffer_type, nullptr, {}}},
        {"match_buffer", {match_buffer, nullptr, {}}},
        {"alloc_buffer", {alloc, "any", {}}},
        {"sblock_alloc_buffer", {alloc, "block", {}}},
        {"alloc_global", {alloc, "global", {}}},
        {"alloc_local", {alloc, "local", {}}},
        {"alloc_shared", {alloc, "shared", {}}},
        {"alloc_fragment", {alloc, "fragment", {}}},
        {"reshape", {buffer_view, "reshape", {}}},
        {"view", {buffer_view, "view", {}}},
        {"alloc_var", {alloc_var, nullptr, {}}},
        {"Kernel", {tile_kernel, nullptr, {}}},
        {"Parallel", {tile_parallel, nullptr, {}}},
        {"Pipelined", {tile_pipelined, nullptr, {}}},
        {"use_swizzle", {use_swizzle, nullptr, {}}},
        {"annotate_layout", {annotate_layout, nullptr, {}}},
        {"annotate_min_blocks_per_sm", {kernel_hint, "min_blocks_per_sm", {}}},
        {"annotate_l2_hit_ratio", {kernel_hint, "l2_hit_ratio", {}}},
        {"set_max_nreg", {kernel_hint, "max_registers", {}}},
        {"Persistent", {tile_persistent, nullptr, {}}},
        {"atomic_add", {tile_atomic, "atomic_add", {}}},
        {"atomic_max", {tile_atomic, "atomic_max", {}}},
        {"atomic_min", {tile_atomic, "atomic_min", {}}},
        {"get_lane_idx", {thread_place, "lane", {}}},
        {"get_warp_idx", {thread_place, "warp", {}}},
        {"get_warp_idx_sync", {thread_place, "warp", {}}},
        {"get_warp_group_idx", {thread_place, "warpgroup", {}}},
        {"lane_id", {thread_place, "lane", {}}},
        {"warp_id", {thread_place, "warp", {}}},
        {"warp_id_in_wg", {thread_place, "warp_in_group", {}}},
        {"warpgroup_id", {thread_place, "warpgroup", {}}},
        {"thread_id", {thread_place, "thread", {}}},
        {"thread_id_in_wg", {thread_place, "thread_in_group", {}}},
        {"ws", {warp_role, nullptr, {}}},
        {"async_copy", {tile_call, "copy", {}}},
        {"wgmma_gemm", {tile_call, "gemm", {}}},
        {"annotate_safe_value", {safe_value, nullptr, {}}},
        {"device_assert", {device_assert, nullptr, {}}},
        {"annotate_restrict_buffers", {restrict_buffers, nullptr, {}}},
        {"any_of", {any_or_all, "any", {}}},
        {"all_of", {any_or_all, "all", {}}},
        {"dp4a", {dot_of_four, nullptr, {}}},
        {"prefetch", {prefetch, "prefetch", {}}},
        {"print", {print_values, nullptr, {}}},
        {"sync_grid", {sync_grid, nullptr, {}}},
        {"im2col", {im2col, nullptr, {}}},
        {"c2d_im2col", {im2col, nullptr, {}}},
        {"alloc_reducer", {alloc_reducer, nullptr, {}}},
        {"finalize_reducer", {finalize_reducer, nullptr, {}}},
        {"warp_reduce_sum", {warp_reduce, "sum", {}}},
        {"warp_reduce_max", {warp_reduce, "max", {}}},
        {"warp_reduce_min", {warp_reduce, "min", {}}},
        {"warp_reduce_bitand", {warp_reduce, "bitand", {}}},
        {"warp_reduce_bitor", {warp_reduce, "bitor", {}}},
        {"transpose", {transpose, nullptr, {}}},
        {"reduce", {reduce_of_kind, nullptr, {}}},
        {"shfl_sync", {lane_shuffle, "shfl_sync", {}}},
        {"shfl_xor", {lane_shuffle, "shfl_xor_sync", {}}},
        {"shfl_up", {lane_shuffle, "shfl_up_sync", {}}},
        {"shfl_down", {lane_shuffle, "shfl_down_sync", {}}},
        {"any_sync", {warp_vote, "any", {}}},
        {"all_sync", {warp_vote, "all", {}}},
        {"ballot_sync", {warp_vote, "ballot", {}}},
        {"ballot", {warp_vote, "ballot", {}}},
        {"shuffle_elect", {elected, nullptr, {}}},
        {"atomic_addx2", {atomic_add_several, "2", {}}},
        {"atomic_addx4", {atomic_add_several, "4", {}}},
        {"inc_max_nreg", {register_hint, nullptr, {}}},
        {"dec_max_nreg", {register_hint, nullptr, {}}},
        {"annotate_consumer_reg_alloc", {register_hint, nullptr, {}}},
        {"annotate_producer_reg_dealloc", {register_hint, nullptr, {}}},
        {"disable_warp_group_reg_alloc", {register_hint, nullptr, {}}},
        {"no_set_max_nreg", {register_hint, nullptr, {}}},
        {"ClusterKernel", {tile_kernel, nullptr, {}}},
        {"get_block_binding", {block_place, "block", {}}},
        {"get_block_bindings", {block_place, "all_blocks", {}}},
        {"get_thread_bindings", {block_place, "all_threads", {}}},
        {"get_block_extents", {block_place, "block_extents", {}}},
        {"get_thread_extents", {block_place, "thread_extents", {}}},
        {"get_cluster_id", {block_place, "cluster", {}}},
        {"get_block_extent", {block_place, "block_extent", {}}},
        {"get_thread_extent", {block_place, "thread_extent", {}}},
        {"cta_id", {block_place, "block", {}}},
        {"cluster_id", {block_place, "cluster", {}}},
        {"cta_id_in_cluster", {block_place, "in_cluster", {}}},
        {"block_rank_in_cluster", {block_place, "cluster_rank", {}}},
        {"alloc_barrier", {alloc_barrier, nullptr, {}}},
        {"alloc_cluster_barrier", {alloc_barrier, nullptr, {}}},
        {"mbarrier_arrive", {barrier_operation, "mbarrier_arrive", {}}},
        {"barrier_arrive", {barrier_operation, "mbarrier_arrive", {}}},
        {"mbarrier_expect_tx", {barrier_operation, "mbarrier_expect_tx", {}}},
        {"mbarrier_arrive_expect_tx", {barrier_operation, "mbarrier_arrive_expect_tx", {}}},
        {"mbarrier_wait_parity", {barrier_operation, "mbarrier_wait_parity", {}}},
        {"barrier_wait", {barrier_operation, "mbarrier_wait_parity", {}}},
        {"inline_cuda", {inline_source, "inline_cuda", {}}},
        {"inline_ptx", {inline_source, "inline_ptx", {}}},
        {"source_kernel", {source_kernel, nullptr, {}}},
        {"clamp", {clamp, nullptr, {}}},
        {"dynamic", {dynamic_dimension, nullptr, {}}},
        {"symbolic", {dynamic_dimension, nullptr, {}}},
        {"import_source", {import_source, nullptr, {}}},
        {"get_thread_binding", {tile_thread, nullptr, {}}},
        {"func_attr", {func_attr, nullptr, {}}},
        {"sblock_attr", {block_attr, nullptr, {}}},
        {"block_attr", {block_attr, nullptr, {}}},
        {"reads", {reads, nullptr, {}}},
        {"writes", {writes, nullptr, {}}},
        {"where", {where, nullptr, {}}},
        {"sblock", {sblock, nullptr, {}}},
        {"block", {sblock, nullptr, {}}},
        {"init", {init, nullptr, {}}},
        {"serial", {loop, "serial", {}}},
        {"parallel", {loop, "parallel", {}}},
        {"vectorized", {loop, "vectorized", {}}},
        {"unroll", {loop, "unroll", {}}},
        {"unrolled", {loop, "unroll", {}}},
        {"Serial", {loop, "serial", {}}},
        {"Unroll", {loop, "unroll", {}}},
        {"Vectorized", {loop, "vectorized", {}}},
        {"loop_break", {jump, "break", {}}},
        {"thread_binding", {loop, "thread", {}}},
        {"grid", {grid, nullptr, {}}},
        {"evaluate", {evaluate, nullptr, {}}},
        {"Cast", {cast_node, nullptr, {}}},
        {"cast", {cast, nullptr, {}}},
        {"astype", {astype, nullptr, {}}},
        {"Select", {choose, "select", {}}},
        {"if_then_else", {choose, "if", {}}},
        {"min", {binary_node, "min", {}}},
        {"max", {binary_node, "max", {}}},
        {"Min", {binary_node, "min", {}}},
        {"Max", {binary_node, "max", {}}},
        // What TVM prints where + - * < of the script would make one number, or one operand, of it.
        {"EQ", {binary_node, "eq", {}}},
        {"NE", {binary_node, "ne", {}}},
        {"LT", {binary_node, "lt", {}}},
        {"LE", {binary_node, "le", {}}},
        {"GT", {binary_node, "gt", {}}},
        {"GE", {binary_node, "ge", {}}},
        {"Add", {binary_node, "add", {}}},
        {"Sub", {binary_node, "sub", {}}},
        {"Mul", {binary_node, "mul", {}}},
        {"Div", {binary_node, "div", {}}},
        {"truncdiv", {binary_node, "div", {}}},
        {"div", {binary_node, "div", {}}},
        {"Mod", {binary_node, "mod", {}}},
        {"truncmod", {binary_node, "mod", {}}},
        {"floordiv", {binary_node, "floordiv", {}}},
        {"FloorDiv", {binary_node, "floordiv", {}}},
        {"floormod", {binary_node, "floormod", {}}},
        {"FloorMod", {binary_node, "floormod", {}}},
        {"ceildiv", {binary_node, "ceildiv", {}}},
        {"cdiv", {binary_node, "ceildiv", {}}},
        {"And", {binary_node, "and", {}}},
        {"Or", {binary_node, "or", {}}},
        {"Not", {logical_not, nullptr, {}}},
        {"max_value", {limit, "max", {}}},
        {"min_value", {limit, "min", {}}},
        {"infinity", {limit, "infinity", {}}},
        {"Ramp", {ramp, nullptr, {}}},
        {"Broadcast", {broadcast, nullptr, {}}},
        {"Shuffle", {shuffle, nullptr, {}}},
        {"Let", {let_expression, nullptr, {}}},
        {"meta_var", {meta_var, nullptr, {}}},
        {"break_loop", {jump, "break", {}}},
        {"continue_loop", {jump, "continue", {}}},
        {"Assert", {assertion, nullptr, {}}},
        {"tune", {tune, nullptr, {}}},
        {"constraint", {constraint, nullptr, {}}},
        {"index_map", {index_map, nullptr, {}}},
        {"Layout", {layout_value, nullptr, {}}},
        {"Fragment", {layout_value, nullptr, {}}},
        {"hardware_fragment", {hardware_fragment_value, nullptr, {}}},
        {"make_swizzled_layout", {swizzled_layout_value, nullptr, {}}},
        {"assume", {refused, "is not supported; write an assert, or leave it out", {}}},
    };
    for (const OpInfo& op : all_ops())
      map.emplace(op.name, Entry{operation, op.name.c_str(), {}});
    map.emplace("wait_wgmma", Entry{operation, "warpgroup_wait", {}});
    map.emplace("fabs", Entry{operation, "abs", {}});
    map.emplace("power", Entry{operation, "pow", {}});
    for (const tir::TileOp* op : tir::all_tile_ops())
      map.emplace(op->name, Entry{tile_call, op->name.c_str(), {}});
    for (const auto& [name, data] : names_of_tilelang())
      map.emplace(name, Entry{refused, data, {}});
    for (const char* name : {"launch_thread", "device_entry", "cuda", "ptx", "tile", "cta", "warp",
                             "wg", "inline", "jit", "tvm_storage_sync", "tvm_thread_allreduce",
                             "attr", "allocate", "decl_buffer", "hint"})
      map.emplace(name, Entry{refused, kLater, {}});
    for (const char* name :
         {"call_extern", "call_packed", "call_intrin", "call_llvm_intrin", "address_of",
          "comm_reducer", "preflattened_buffer", "env_thread", "buffer_decl", "access_ptr"})
      map.emplace(name, Entry{refused, kForeign, {}});
    // What NumPy, PyTorch and Triton call what is there by another name.
    static constexpr std::pair<const char*, const char*> kElsewhere[] = {
        {"zero", "is not there: T.clear(tile) sets a tile to zero"},
        {"zeros", "is not there: T.alloc_fragment makes a tile, T.clear sets it to zero"},
        {"full", "is not there: T.alloc_fragment makes a tile, T.fill gives it a value"},
        {"dot", "is not there: T.gemm(A, B, C) adds the product of two tiles to a third"},
        {"matmul", "is not there: T.gemm(A, B, C) adds the product of two tiles to a third"},
        {"maximum", "is not there: T.max(a, b) is the larger of two values"},
        {"minimum", "is not there: T.min(a, b) is the smaller of two values"},
        {"relu", "is not there: write T.max(x, 0)"},
        {"silu", "is not there: write x * T.sigmoid(x)"},
        {"load", "is not there: T.copy moves tiles, A[i, j] is an element"},
        {"store", "is not there: T.copy moves tiles, A[i, j] = x stores an element"},
        {"program_id", "is not there: `with T.Kernel(n) as bx` names the block"},
    };
    for (const auto& [name, data] : kElsewhere)
      map.emplace(name, Entry{refused, data, {}});
    for (auto& [name, entry] : map)
      entry.name = "T." + name;
    return map;
  }();
  return entries;
}

} // namespace

std::optional<Value> find_in_t(const std::string& name) {
  if (const auto found = table().find(name); found != table().end())
    return Value(function(found->second.name.c_str(), found->second.function, found->second.data));
  if (name == "prim_func")
    return Value(Decorator{});
  if (name == "macro")
    return Value(Decorator{Decorator::Kind::kMacro, std::nullopt, false});
  if (name == "axis")
    return Value(Namespace{Namespace::Name::kAxis});
  if (name == "let")
    return Value(LetType{});
  if (name == "boolean")
    return Value(TypeName{DataType::boolean()});
  if (name == "TypeVar")
    return find_builtin(name);
  if (name == "GemmWarpPolicy")
    return Value(Namespace{Namespace::Name::kGemmWarpPolicy});
  if (const auto dtype = parse_data_type(name))
    return Value(TypeName{*dtype});
  return std::nullopt;
}

std::optional<std::string> refusal_in_t(const std::string& name) {
  const auto found = table().find(name);
  if (found == table().end() || found->second.function != refused)
    return std::nullopt;
  return std::string(found->second.data);
}

const std::vector<std::string>& names_in_t() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list{"prim_func", "axis", "let", "bool", "handle"};
    for (const auto& [name, entry] : table())
      if (name[0] != '_' && entry.function != refused)
        list.push_back(name);
    for (const char* dtype : {"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32",
                              "uint64", "float16", "bfloat16", "float32", "float64", "int2", "int4",
                              "uint2", "uint4", "float8_e4m3", "float8_e5m2"})
      list.emplace_back(dtype);
    return list;
  }();
  return names;
}

std::optional<Value> find_axis(const std::string& name) {
  for (const char* kind : {"spatial", "reduce", "scan", "opaque"})
    if (name == kind)
      return Value(function(kind, axis, kind));
  if (name == "S" || name == "R")
    return find_axis(name == "S" ? "spatial" : "reduce");
  if (name == "remap")
    return Value(function("T.axis.remap", remap));
  return std::nullopt;
}

std::optional<Value> find_buffer_attribute(Evaluator& evaluator, const Buffer& buffer,
                                           const std::string& name, Position position) {
  const auto extents = [](const std::vector<Expr>& list) {
    std::vector<Value> items;
    for (const Expr& extent : list) {
      const auto constant = as_int(extent);
      items.push_back(constant && extent->dtype == DataType::int32()
                          ? Value(static_cast<Int>(*constant))
                          : Value(extent));
    }
    return make_sequence(std::move(items), true);
  };
  if (name == "shape")
    return extents(buffer->shape);
  if (name == "strides")
    return extents(buffer->strides);
  if (name == "dtype")
    return make_text(temper::to_string(buffer->dtype));
  if (name == "name")
    return make_text(buffer->name);
  if (name == "scope")
    return make_text(buffer->scope);
  if (name == "vload" || name == "vstore") {
    Builtin method = name == "vload" ? function("vload", vload) : function("vstore", vstore);
    method.self = std::make_shared<const Value>(Value(buffer));
    return Value(method);
  }
  if (name == "data" || name == "access_ptr" || name == "ptr_to" || name == "view")
    return evaluator.report(position, "pointers into buffers are not part of the language; use "
                                      "indices");
  return std::nullopt;
}

} // namespace temper::script
