// transform_layout(block, buffer_index, buffer_index_type, index_map, parameters...): an
// intermediate buffer is stored in another order. Every access to it, everywhere in its scope, goes
// through the map; loops and blocks stay as they are. Packing is a cache_read whose cache gets a
// new layout. A pad_value is what a block of its own writes to elements that no old index reaches.

#include "ir/s_tir/detail/allocated.h"
#include "ir/s_tir/detail/index_map.h"
#include "ir/s_tir/detail/nest.h"
#include "ir/s_tir/detail/relayout.h"
#include "ir/s_tir/detail/scoped_block.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {
namespace {

/// The value of pad_value as a constant of the buffer's type.
Result<Expr> pad_constant(const Context& context, const Value& at, const Buffer& buffer,
                          const Value& value) {
  const DataType dtype = buffer->dtype;
  const auto refuse = [&] {
    return illegal(context, at,
                   fmt::format("pad_value must be a number that an element of {}, {}, can be",
                               buffer->name, to_string(dtype)));
  };
  const int64_t* number = value.as_int();
  if (dtype.is_bool())
    return number != nullptr && (*number == 0 || *number == 1)
               ? Result<Expr>(make_bool(*number != 0))
               : Result<Expr>(refuse());
  if (dtype.is_integral()) {
    const int bits = dtype.bits - (dtype.is_uint() ? 0 : 1);
    if (number == nullptr || (dtype.is_uint() && *number < 0) ||
        (bits < 63 && (*number >= (int64_t{1} << bits) || *number < -(int64_t{1} << bits))))
      return refuse();
    return make_int(dtype, *number);
  }
  if (number != nullptr)
    return make_const(dtype, static_cast<double>(*number));
  if (const double* real = value.as_double())
    return make_const(dtype, *real);
  return refuse();
}

/// When an element of the new layout, `indices`, is none of the old one.
struct Outside {
  std::vector<Var> indices;
  Expr condition;
};
Result<Outside> outside_of(const IndexMap& map, std::span<const int64_t> shape,
                           const Buffer& mapped) {
  Outside outside{.condition = make_bool(false)};
  Analyzer analyzer;
  for (const Expr& extent : mapped->shape) {
    outside.indices.push_back(make_var(fmt::format("ax{}", outside.indices.size()), extent->dtype));
    analyzer.bind(outside.indices.back(), {make_int(extent->dtype, 0), extent});
  }
  const std::vector<Expr> indices(outside.indices.begin(), outside.indices.end());
  TEMPER_TRY(old, unmap_indices(map, shape, indices));
  for (size_t d = 0; d < shape.size(); ++d) {
    const Expr beyond =
        analyzer.simplify(make_binary<GE>(old[d], make_int(old[d]->dtype, shape[d])));
    if (!is_int(beyond, 0))
      outside.condition =
          is_int(outside.condition, 0) ? beyond : make_binary<Or>(outside.condition, beyond);
  }
  return outside;
}

/// The scope with a block behind the last one that writes the buffer, which writes its padding.
Block with_padding(const Block& scope, const Buffer& buffer, const Expr& value,
                   const Outside& padding) {
  std::vector<IterVar> axes;
  std::vector<Expr> bindings;
  BufferRegion written{buffer, {}};
  std::vector<Expr> indices;
  for (const Var& loop_var : padding.indices) {
    const DataType dtype = loop_var->dtype;
    const Var axis = make_var(fmt::format("v{}", axes.size()), dtype);
    axes.push_back({{make_int(dtype, 0), buffer->shape[axes.size()]}, axis, IterType::kSpatial});
    bindings.emplace_back(loop_var);
    indices.emplace_back(axis);
    written.region.push_back({axis, make_int(dtype, 1)});
  }
  const Block pad = make_node<SBlock>([&](SBlock& node) {
    node.id = new_block_id();
    node.name = buffer->name + "_pad";
    node.iter_vars = axes;
    node.writes = {written};
    node.body = make_store(buffer, indices, value);
  });
  Stmt nest = make_realize(bindings, padding.condition, pad);
  for (size_t i = axes.size(); i-- > 0;)
    nest = make_for(padding.indices[i], make_int(padding.indices[i]->dtype, 0), buffer->shape[i],
                    ForKind::kSerial, nest);
  std::vector<Stmt> statements = statements_of(scope->body);
  size_t behind = 0;
  for (size_t i = 0; i < statements.size(); ++i)
    if (has_child_block(statements[i], [&](const SBlock& block) { return writes(block, buffer); }))
      behind = i + 1;
  statements.insert(statements.begin() + static_cast<ptrdiff_t>(behind), nest);
  return with_scope_part(scope, scope->body, make_seq(std::move(statements)));
}

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  const Value& at = arguments.inputs[0];
  TEMPER_TRY(scoped, require_in_scope(context, at));
  const Block& block = scoped.block();
  const int64_t index = *arguments.attrs[0].as_int();
  TEMPER_TRY(side, parse_side("buffer_index_type", *arguments.attrs[1].as_string()));
  TEMPER_TRY(region, require_region(context, at, block, side, index));
  const Buffer buffer = region.buffer;
  const std::vector<Buffer>& own = scoped.scope_block()->alloc_buffers;
  if (std::find(own.begin(), own.end(), buffer) == own.end())
    return illegal(context, at,
                   fmt::format("{} is not allocated by the block around {}: the layout of a "
                               "parameter is seen outside; cache it first (cache_read, "
                               "cache_write) and transform the cache",
                               buffer->name, describe(block)));
  if (!buffer->strides.empty() || buffer->layout)
    return illegal(context, at,
                   fmt::format("{} has strides or a layout of its own already", buffer->name));
  std::vector<int64_t> parameters;
  for (size_t i = 1; i < arguments.inputs.size(); ++i)
    parameters.push_back(*arguments.inputs[i].as_int());

  DataType dtype = buffer->shape.empty() ? DataType::int32() : buffer->shape[0]->dtype;
  for (const Expr& extent : buffer->shape)
    if (extent->dtype.bits > dtype.bits)
      dtype = extent->dtype;
  TEMPER_TRY(map, parse_index_map(*arguments.attrs[2].as_string(), buffer->shape.size(), parameters,
                                  dtype));
  const Result<std::vector<Expr>> extents = map_extents(map, buffer->shape);
  if (!extents)
    return illegal(context, at, extents.error().message);
  const Buffer mapped = copy_node(*buffer, [&](BufferNode& node) { node.shape = *extents; });
  Relayout relayout(buffer, mapped, map);
  Block changed = relayout.run(scoped.scope_block());
  if (relayout.viewed)
    return illegal(
        context, at,
        fmt::format("a match_buffer looks at {} and needs its old layout", buffer->name));
  if (relayout.vector)
    return illegal(context, at,
                   fmt::format("{} is accessed by vectors of indices, which may not lie side by "
                               "side in the new layout",
                               buffer->name));
  const Value pad_value = arguments.attrs.size() > 3 ? arguments.attrs[3] : Value();
  if (!pad_value.is_none()) {
    TEMPER_TRY(padding, pad_constant(context, at, mapped, pad_value));
    std::vector<int64_t> shape;
    for (const Expr& extent : buffer->shape) {
      const auto known = as_int(extent);
      if (!known)
        return illegal(context, at,
                       fmt::format("{} has a symbolic shape: what lies beyond it is not known, so "
                                   "that no pad_value can be written there",
                                   buffer->name));
      shape.push_back(*known);
    }
    TEMPER_TRY(is_padding, outside_of(map, shape, mapped));
    if (!is_int(is_padding.condition, 0))
      changed = with_padding(changed, mapped, padding, is_padding);
  }
  Applied applied;
  applied.module = replace_scope(context, scoped, std::move(changed));
  return applied;
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  std::vector<Arguments> uses;
  const auto scoped = handle.as_block() != nullptr ? require_in_scope(context, handle)
                                                   : Result<ScopedBlock>(Error());
  if (!scoped)
    return uses;
  const auto propose = [&](const std::vector<BufferRegion>& regions, const char* side) {
    for (size_t i = 0; i < regions.size(); ++i) {
      // Panels of the last dimension, and for matrices the other order.
      std::vector<std::string> names;
      for (int d = 0; d < regions[i].buffer->rank(); ++d)
        names.push_back(fmt::format("i{}", d));
      if (names.empty())
        continue;
      const std::string all = fmt::format("{}", fmt::join(names, ", "));
      std::vector<std::pair<std::string, std::vector<Value>>> maps = {
          {fmt::format("lambda {}, n: ({} // n, {} % n)", all, names.back(), all), {8}}};
      if (names.size() == 2)
        maps.push_back({"lambda i0, i1: (i1, i0)", {}});
      for (const auto& [map, parameters] : maps) {
        Arguments use{.inputs = {handle}, .attrs = {static_cast<int64_t>(i), side, map}};
        use.inputs.insert(use.inputs.end(), parameters.begin(), parameters.end());
        const auto applied = apply({context.module, nullptr, false}, use);
        if (!applied)
          continue;
        uses.push_back(use);
        use.attrs.emplace_back(0);
        if (const auto padded = apply({context.module, nullptr, false}, use);
            padded && padded->module != applied->module)
          uses.push_back(std::move(use));
      }
    }
  };
  propose(scoped->block()->writes, "write");
  propose(scoped->block()->reads, "read");
  return uses;
}

} // namespace

void register_transform_layout() {
  register_primitive({
      .name = "TransformLayout",
      .python_name = "transform_layout",
      .inputs = {{.name = "block", .kind = ValueKind::kBlock},
                 {.name = "parameters",
                  .kind = ValueKind::kInt,
                  .variadic = true,
                  .default_value = Value::List{}}},
      .attrs = {{.name = "buffer_index", .kind = ValueKind::kInt},
                {.name = "buffer_index_type", .kind = ValueKind::kString},
                {.name = "index_map", .kind = ValueKind::kString},
                {.name = "pad_value", .kind = ValueKind::kAny, .default_value = Value()}},
      .python_order = {"block", "buffer_index", "buffer_index_type", "index_map", "parameters",
                       "pad_value"},
      .summary =
          R"text(A buffer that the scope allocates is stored in another order: `index_map` is a lambda
from its indices, and from `parameters` that follow them, to the new indices. All blocks that touch
the buffer are rewritten; loops stay. Dimensions that a divisor does not divide are padded: the
padding is never touched, or, given a `pad_value`, a new block behind the last one that writes the
buffer fills it with that.

    # transform_layout(B_global, 0, "write", "lambda k, j, n: (j // n, k, j % n)", 16)
    for k, j in T.grid(64, 64):                   for k, j in T.grid(64, 64):
        with T.sblock("B_global"):          →         with T.sblock("B_global"):
            B_global[vk, vj] = B[vk, vj]                  B_global[vj // 16, vk, vj % 16] = B[vk, vj])text",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
