#include "ir/s_tir/detail/reindex.h"

#include "ir/s_tir/detail/cache.h"
#include "ir/s_tir/detail/index_map.h"
#include "ir/s_tir/detail/index_type.h"
#include "ir/s_tir/detail/read_ahead.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {
namespace {

/// How the block's body and init access the buffer, when always in one way.
struct Access {
  std::vector<Expr> indices;
  bool found = false;
  bool differs = false;
  bool viewed = false;
};

Access access_of(const Block& block, const Buffer& buffer) {
  Access access;
  const auto see = [&](const std::vector<Expr>& indices) {
    if (!access.found)
      access.indices = indices;
    for (size_t i = 0; i < indices.size() && access.found; ++i)
      access.differs |= !same_expr(indices[i], access.indices[i]);
    access.found = true;
  };
  const auto look = [&](const Stmt& part) {
    if (part)
      walk(part, [&](const NodeRef& node) {
        if (const auto* load = node.as<BufferLoad>(); load != nullptr && load->buffer == buffer)
          see(load->indices);
        if (const auto* store = node.as<BufferStore>(); store != nullptr && store->buffer == buffer)
          see(store->indices);
        if (const auto* inner = node.as<SBlock>())
          for (const MatchBufferRegion& match : inner->match_buffers)
            access.viewed |= match.source.buffer == buffer;
        return true;
      });
  };
  look(block->init);
  look(block->body);
  for (const MatchBufferRegion& match : block->match_buffers)
    access.viewed |= match.source.buffer == buffer;
  return access;
}

/// The statement directly in the scope's body below which the child stands.
size_t top_level(const ScopedBlock& scoped, const std::vector<Stmt>& statements, int child) {
  for (size_t i = 0; i < statements.size(); ++i)
    if (has_child_block(statements[i],
                        [&](const SBlock& block) { return &block == &scoped.info(child).block(); }))
      return i;
  return statements.size();
}

} // namespace

Result<Applied> reindex_region(const Context& context, const Value& at,
                               const ReindexRequest& request) {
  const auto refuse = [&](const std::string& why) { return illegal(context, at, why); };
  TEMPER_TRY(scoped, require_in_scope(context, at));
  TEMPER_TRY_VOID(require_no_tile(context, scoped));
  const Block& block = scoped.block();
  TEMPER_TRY(region, require_region(context, at, block, request.side, request.index));
  const Buffer& buffer = region.buffer;
  const bool read = request.side == Side::kRead;

  const Access access = access_of(block, buffer);
  if (access.viewed)
    return refuse(fmt::format("a match_buffer looks at {}", buffer->name));
  if (!access.found || access.differs)
    return refuse(fmt::format("{} accesses {} {}: there must be one way", describe(block),
                              buffer->name,
                              access.found ? "in several ways" : "in no visible way"));
  if (read && writes(*block, buffer))
    return refuse(fmt::format("{} writes {}, too", describe(block), buffer->name));
  TEMPER_TRY_VOID(require_complete_or_reduction(context, scoped, scoped.child));
  if (!read && !predicate_follows_from_domains(scoped.realize(), scoped.info().loops))
    return refuse(fmt::format("the predicate of {} leaves out elements, which the copy would read",
                              describe(block)));
  if (!read && !is_affine_binding(scoped.realize(), scoped.info().loops))
    return refuse(fmt::format("the loops around {} may not take its axes through all their values",
                              describe(block)));

  // The axes that matter, and what the copy is indexed by.
  const auto mentioned = [](const std::vector<Expr>& exprs, const Var& var) {
    return std::any_of(exprs.begin(), exprs.end(),
                       [&](const Expr& expr) { return mentions(expr, var); });
  };
  IndexMap map;
  if (!request.index_map.empty()) {
    TEMPER_TRY(parsed, parse_index_map(request.index_map, block->iter_vars.size(), {},
                                       block->iter_vars.empty() ? DataType::int32()
                                                                : block->iter_vars[0].var->dtype));
    map = std::move(parsed);
  }
  std::vector<const IterVar*> used;
  std::vector<Var> inputs; // of the map, for the used axes
  std::vector<Expr> extents;
  IndexMath math;
  math.set_axes(*block);
  for (size_t i = 0; i < block->iter_vars.size(); ++i) {
    const IterVar& axis = block->iter_vars[i];
    if (!mentioned(access.indices, axis.var) && !(map && mentioned(map->outputs, map->inputs[i])))
      continue;
    if (!is_int(axis.domain.min, 0))
      return refuse(
          fmt::format("axis {} of {} does not start at 0", axis.var->name, describe(block)));
    if (!read && axis.type != IterType::kSpatial)
      return refuse(fmt::format("axis {} of {}, over which it reduces, would tell elements of the "
                                "copy apart",
                                axis.var->name, describe(block)));
    used.push_back(&axis);
    extents.push_back(axis.domain.extent);
    if (map)
      inputs.push_back(map->inputs[i]);
  }
  std::vector<const VarNode*> used_vars;
  for (const IterVar* axis : used)
    used_vars.push_back(axis->var.get());
  const auto stays_inside = [&](const Expr& index, const Expr& dimension) {
    if (const auto extent = as_int(dimension)) {
      const Bound bound = math.bound(index);
      return bound.lo >= 0 && bound.hi < *extent;
    }
    const auto range = math.relax(math.linear(index), used_vars);
    return range && math.bound(range->lo).lo >= 0 &&
           math.proves_less_equal(math.offset(range->hi, 1), math.linear(dimension));
  };
  for (size_t d = 0; d < access.indices.size(); ++d) {
    const bool foreign = uses_var(access.indices[d], [&](const VarNode& var) {
      return std::none_of(used.begin(), used.end(),
                          [&](const IterVar* axis) { return axis->var.get() == &var; });
    });
    if (foreign || !stays_inside(access.indices[d], buffer->shape[d]))
      return refuse(
          foreign ? fmt::format("index {} of {} is not made of the axes of {} alone", d,
                                buffer->name, describe(block))
                  : fmt::format("index {} of {} may leave the buffer for some values of the axes: "
                                "the copy would, too",
                                d, buffer->name));
  }

  // The copy's buffer.
  std::vector<Expr> shape = extents;
  if (map) {
    map = copy_node(*map, [&](IndexMapNode& node) { node.inputs = inputs; });
    Result<std::vector<Expr>> mapped = map_extents(map, extents);
    if (!mapped)
      return refuse(mapped.error().message);
    shape = *mapped;
  }
  const DataType index_type = buffer->shape.empty() ? DataType::int32() : buffer->shape[0]->dtype;
  const Buffer copy =
      copy_node(*(request.storage.empty() ? buffer : cache_of(buffer, request.storage)),
                [&](BufferNode& node) {
                  if (request.storage.empty())
                    node.name = buffer->name + "_reindex";
                  node.shape.clear();
                  node.strides.clear();
                  node.elem_offset = nullptr;
                  for (const Expr& extent : shape)
                    node.shape.push_back(as_type(index_type, extent));
                });
  const auto copy_indices = [&](const std::vector<Expr>& axes) {
    std::vector<Expr> indices = axes;
    if (map) {
      indices = map_indices(map, axes);
      for (Expr& index : indices)
        index = math.simplify(index);
    }
    return indices;
  };

  // The block, using the copy.
  std::vector<Expr> own;
  for (const IterVar* axis : used)
    own.emplace_back(axis->var);
  const std::vector<Expr> inside = copy_indices(own);
  Block changed = cast_ref<SBlock>(rewrite_post(block, [&](const NodeRef& node) -> NodeRef {
    if (const auto* load = node.as<BufferLoad>(); load != nullptr && load->buffer == buffer)
      return make_load(copy, inside, load->predicate);
    if (const auto* store = node.as<BufferStore>(); store != nullptr && store->buffer == buffer)
      return make_store(copy, inside, store->value, store->predicate);
    return node;
  }));
  changed = copy_node(*changed, [&](SBlock& node) {
    for (std::vector<BufferRegion>* regions : {&node.reads, &node.writes})
      for (BufferRegion& touched : *regions)
        if (touched.buffer == buffer) {
          touched = {copy, {}};
          for (const Expr& index : inside)
            touched.region.push_back({index, make_int(index->dtype, 1)});
        }
  });

  // The block that copies.
  NewBlock copying;
  std::vector<Expr> axes;
  VarMap values;
  for (size_t i = 0; i < used.size(); ++i) {
    axes.emplace_back(
        copying.axis(fmt::format("v{}", i), used[i]->domain.extent, IterType::kSpatial));
    values[used[i]->var] = axes.back();
  }
  math.set_axes(*make_node<SBlock>([&](SBlock& node) { node.iter_vars = copying.axes; }));
  std::vector<Expr> outside;
  for (const Expr& index : access.indices)
    outside.push_back(substitute(index, values));
  const std::vector<Expr> there = copy_indices(axes);
  const std::string name = copy->name + (read && request.storage.empty() ? "_reindex" : "");
  const Stmt nest = copying.nest(name, nullptr,
                                 read ? make_store(copy, there, make_load(buffer, outside))
                                      : make_store(buffer, outside, make_load(copy, there)));

  // Where it stands.
  const Block& scope_block = scoped.scope_block();
  std::vector<Stmt> statements = statements_of(scope_block->body);
  const size_t here = top_level(scoped, statements, scoped.child);
  if (here == statements.size())
    return refuse(
        fmt::format("{} stands in the init of {}", describe(block), describe(scope_block)));
  size_t position = read ? 0 : here + 1;
  for (int other = 0; other < static_cast<int>(scoped.scope.children.size()); ++other) {
    if (other == scoped.child)
      continue;
    const SBlock& neighbour = scoped.info(other).block();
    const size_t there_at = top_level(scoped, statements, other);
    if (read && writes(neighbour, buffer)) {
      if (there_at == here)
        return refuse(fmt::format("block \"{}\" writes {} below a loop that is around {}: reindex "
                                  "before blocks are moved together",
                                  neighbour.name, buffer->name, describe(block)));
      if (there_at < here)
        position = std::max(position, there_at + 1);
    }
    if (!read && writes(neighbour, buffer))
      return refuse(fmt::format("{} is not the only block that writes {}: block \"{}\" does too",
                                describe(block), buffer->name, neighbour.name));
    if (!read && reads(neighbour, buffer) && there_at == here)
      return refuse(fmt::format("block \"{}\" reads {} below a loop that is around {}: reindex "
                                "before blocks are moved together",
                                neighbour.name, buffer->name, describe(block)));
  }
  statements[here] = replace_realize(
      statements[here], &scoped.realize(),
      copy_node(scoped.realize(), [&](SBlockRealize& node) { node.block = changed; }));
  statements.insert(statements.begin() + static_cast<ptrdiff_t>(position), nest);
  Applied applied;
  applied.module = replace_scope(context, scoped, copy_node(*scope_block, [&](SBlock& node) {
                                   node.alloc_buffers.push_back(copy);
                                   node.body = make_seq(std::move(statements));
                                 }));
  applied.outputs = {BlockHandle{copying.block->id}};
  return applied;
}

Result<Applied> reindex_cache(Side side, const Context& context, const Arguments& arguments) {
  const std::string& storage = *arguments.attrs[1].as_string();
  if (storage.empty())
    return Error(ErrorCode::kInvalidArgument, "the scope must have a name, as \"shared\"");
  return reindex_region(context, arguments.inputs[0],
                        {.side = side,
                         .index = *arguments.attrs[0].as_int(),
                         .index_map = *arguments.inputs[1].as_string(),
                         .storage = storage});
}

std::vector<Arguments> enumerate_reindex_cache(Side side, const Context& context,
                                               const Value& handle) {
  const auto place =
      handle.as_block() != nullptr ? find_block(context.module, *handle.as_block()) : std::nullopt;
  if (!place)
    return {};
  const SBlock& block = *place->block();
  const std::vector<BufferRegion>& accesses = side == Side::kRead ? block.reads : block.writes;
  if (accesses.empty())
    return {};
  std::string inputs;
  std::string outputs;
  for (size_t i = 0; i < block.iter_vars.size(); ++i) {
    inputs += fmt::format("{}i{}", i > 0 ? ", " : "", i);
    const auto mentioned = [&](const Range& range) {
      return mentions(range.min, block.iter_vars[i].var);
    };
    const std::vector<Range>& region = accesses[0].region;
    if (std::any_of(region.begin(), region.end(), mentioned))
      outputs = fmt::format("i{}{}{}", i, outputs.empty() ? "" : ", ", outputs);
  }
  Arguments use{.inputs = {handle, fmt::format("lambda {}: ({},)", inputs, outputs)},
                .attrs = {0, "global"}};
  if (reindex_cache(side, {context.module, nullptr, false}, use))
    return {std::move(use)};
  return {};
}

} // namespace temper::s_tir
