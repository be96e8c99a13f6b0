// transform_layout(block, buffer_index, buffer_index_type, index_map, parameters...): an
// intermediate buffer is stored in another order. Every access to it, everywhere in its scope, goes
// through the map; loops and blocks stay as they are. Packing is a cache_read whose cache gets a
// new layout.

#include "ir/s_tir/detail/index_map.h"
#include "ir/s_tir/detail/nest.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {
namespace {

/// Accesses of `buffer` below a block become accesses of `mapped`.
class Relayout {
public:
  Relayout(Buffer buffer, Buffer mapped, IndexMap map)
      : buffer_(std::move(buffer)), mapped_(std::move(mapped)), map_(std::move(map)) {}

  Block run(const Block& scope) {
    return cast_ref<SBlock>(
        rewrite_post(scope, [&](const NodeRef& node) -> NodeRef { return rewrite(node); }));
  }
  bool viewed = false; ///< a match_buffer looks at the buffer
  bool vector = false; ///< an access has a vector of indices

private:
  // Children come first: a node that named the old buffer names the new one when it gets here.
  NodeRef rewrite(const NodeRef& node) {
    if (node.get() == buffer_.get())
      return mapped_;
    if (const auto* load = node.as<BufferLoad>(); load != nullptr && load->buffer == mapped_)
      return copy_node(*load, [&](BufferLoad& copy) { copy.indices = indices(load->indices); });
    if (const auto* store = node.as<BufferStore>(); store != nullptr && store->buffer == mapped_)
      return copy_node(*store, [&](BufferStore& copy) { copy.indices = indices(store->indices); });
    if (const auto* block = node.as<SBlock>())
      return regions(*block, node);
    return node;
  }

  std::vector<Expr> indices(const std::vector<Expr>& old) {
    vector |= std::any_of(old.begin(), old.end(),
                          [](const Expr& index) { return index->dtype.lanes != 1; });
    std::vector<Expr> mapped = map_indices(map_, old);
    analyzer_.simplify(mapped);
    return mapped;
  }

  /// Regions of the buffer are derived again from the accesses; those of others stay as written.
  NodeRef regions(const SBlock& block, const NodeRef& node) {
    for (const MatchBufferRegion& match : block.match_buffers)
      viewed |= match.source.buffer == mapped_;
    const auto touches = [&](const BufferRegion& region) { return region.buffer == mapped_; };
    if (std::none_of(block.reads.begin(), block.reads.end(), touches) &&
        std::none_of(block.writes.begin(), block.writes.end(), touches))
      return node;
    const Accesses accesses = detect_accesses(block);
    const auto derive = [&](std::vector<BufferRegion>& listed,
                            const std::vector<BufferRegion>& found) {
      for (BufferRegion& region : listed) {
        if (!touches(region))
          continue;
        const auto derived = std::find_if(found.begin(), found.end(), touches);
        if (derived != found.end()) {
          region = *derived;
          continue;
        }
        region.region.clear(); // named by hand, and not touched that we can see
        for (const Expr& extent : mapped_->shape)
          region.region.push_back({make_int(extent->dtype, 0), extent});
      }
    };
    return copy_node(block, [&](SBlock& copy) {
      derive(copy.reads, accesses.reads);
      derive(copy.writes, accesses.writes);
    });
  }

  Buffer buffer_;
  Buffer mapped_;
  IndexMap map_;
  Analyzer analyzer_;
};

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  const Value& at = arguments.inputs[0];
  TEMPER_TRY(scoped, require_in_scope(context, at));
  const Block& block = scoped.block();
  const int64_t index = *arguments.attrs[0].as_int();
  const std::string& side = *arguments.attrs[1].as_string();
  if (side != "read" && side != "write")
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("buffer_index_type is \"read\" or \"write\", not \"{}\"", side));
  const std::vector<BufferRegion>& regions = side == "read" ? block->reads : block->writes;
  if (index < 0 || index >= static_cast<int64_t>(regions.size()))
    return illegal(context, at,
                   fmt::format("{} {}s {} buffers: there is none with index {}", describe(block),
                               side, regions.size(), index));
  const Buffer buffer = regions[static_cast<size_t>(index)].buffer;
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
  std::vector<int64_t> shape;
  for (const Expr& extent : buffer->shape) {
    const auto known = as_int(extent);
    if (!known)
      return illegal(context, at, fmt::format("{} has a symbolic shape", buffer->name));
    shape.push_back(*known);
  }
  std::vector<int64_t> parameters;
  for (size_t i = 1; i < arguments.inputs.size(); ++i)
    parameters.push_back(*arguments.inputs[i].as_int());

  const DataType dtype = shape.empty() ? DataType::int32() : buffer->shape[0]->dtype;
  TEMPER_TRY(map,
             parse_index_map(*arguments.attrs[2].as_string(), shape.size(), parameters, dtype));
  Result<std::vector<int64_t>> mapped_shape = map_shape(map, shape);
  if (!mapped_shape)
    return illegal(context, at, mapped_shape.error().message);

  const Buffer mapped = copy_node(*buffer, [&](BufferNode& node) {
    node.shape.clear();
    for (const int64_t extent : *mapped_shape)
      node.shape.push_back(make_int(dtype, extent));
  });
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
        if (apply({context.module, nullptr, false}, use))
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
                {.name = "index_map", .kind = ValueKind::kString}},
      .python_order = {"block", "buffer_index", "buffer_index_type", "index_map", "parameters"},
      .summary =
          R"text(A buffer that the scope allocates is stored in another order: `index_map` is a lambda
from its indices, and from `parameters` that follow them, to the new indices. All blocks that touch
the buffer are rewritten; loops stay. Dimensions that a divisor does not divide are padded, and the
padding is never touched.

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
