/// AnnotateBufferAccess: a region that a block reads or writes is said anew, as begin and end of
/// each dimension in terms of the block's axes. What the accesses themselves show is an upper bound
/// where an index comes from memory (the whole dimension); who knows better says so here, and
/// compute_at and the caches go by it.
#include "ir/s_tir/detail/allocated.h"
#include "ir/s_tir/detail/index_map.h"
#include "ir/s_tir/layer.h"
#include "ir/verify.h"

#include <fmt/format.h>

namespace temper::s_tir {
namespace {

/// Numbers of the regions that were said by hand: an integer, or a list of them.
const char* annotation_of(Side side) {
  return side == Side::kRead ? "explicit_read_region" : "explicit_write_region";
}

Expr with_index(const Expr& listed, int64_t index) {
  const Expr number = make_int(DataType::int32(), index);
  if (!listed || is_int(listed, index))
    return number;
  std::vector<Expr> numbers;
  if (const auto* list = listed.as<ListImm>())
    numbers = list->values;
  else
    numbers = {listed};
  for (const Expr& other : numbers)
    if (is_int(other, index))
      return listed;
  numbers.push_back(number);
  return make_list(std::move(numbers));
}

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  const Value& at = arguments.inputs[0];
  const int64_t index = *arguments.inputs[1].as_int();
  TEMPER_TRY(place, require_block(context, at));
  TEMPER_TRY(side, parse_side("buf_type", *arguments.inputs[2].as_string()));
  const Block& block = place.block();
  TEMPER_TRY(region, require_region(context, at, block, side, index));
  std::vector<Expr> axes;
  for (const IterVar& axis : block->iter_vars)
    axes.emplace_back(axis.var);
  const DataType dtype = axes.empty() ? DataType::int32() : axes[0]->dtype;
  TEMPER_TRY(map, parse_range_map(*arguments.inputs[3].as_string(), axes.size(), dtype));
  const auto rank = static_cast<size_t>(region.buffer->rank());
  if (map->outputs.size() != 2 * rank)
    return illegal(context, at,
                   fmt::format("{} has {} dimensions: the lambda gives a begin and an end of each, "
                               "as [(vi, vi + 1), ...], not {} numbers",
                               region.buffer->name, rank, map->outputs.size()));
  Analyzer analyzer;
  const std::vector<Expr> ends = map_indices(map, axes);
  for (size_t d = 0; d < rank; ++d) {
    const DataType type = region.buffer->shape[d]->dtype;
    const auto typed = [&](const Expr& value) {
      return value->dtype == type ? value : make_cast(type, value);
    };
    const Expr extent = analyzer.simplify(ends[2 * d + 1] - ends[2 * d]);
    if (const auto count = as_int(extent); count && *count <= 0)
      return illegal(context, at,
                     fmt::format("dimension {} of {} would end before it begins: the end stands "
                                 "behind the last element",
                                 d, region.buffer->name));
    region.region[d] = {typed(analyzer.simplify(ends[2 * d])), typed(extent)};
  }
  const Block changed = copy_node(*block, [&](SBlock& node) {
    (side == Side::kRead ? node.reads : node.writes)[static_cast<size_t>(index)] = region;
    node.annotations = node.annotations.with(
        annotation_of(side), with_index(node.annotations.get(annotation_of(side)), index));
  });
  Applied applied{.module = replace_in_module(context.module, place.function, place.chain,
                                              copy_node(*place.realize, [&](SBlockRealize& node) {
                                                node.block = changed;
                                              }))};
  // Where the accesses can be followed, they say more than who annotates. A verifier that does not
  // know blocks would believe everything.
  register_layer();
  if (verify(context.module))
    if (const auto good = verify(applied.module); !good)
      return illegal(context, at,
                     fmt::format("the block does more: {}", Result<void>(good).error().message));
  return applied;
}

/// The whole buffer: true whatever the block does.
std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  std::vector<Arguments> uses;
  const auto place =
      handle.as_block() != nullptr ? find_block(context.module, *handle.as_block()) : std::nullopt;
  if (!place || place->block()->reads.empty() || place->block()->iter_vars.empty())
    return uses;
  std::vector<std::string> names;
  for (size_t i = 0; i < place->block()->iter_vars.size(); ++i)
    names.push_back(fmt::format("v{}", i));
  std::vector<std::string> ends;
  for (const Expr& extent : place->block()->reads[0].buffer->shape) {
    const auto known = as_int(extent);
    if (!known)
      return uses;
    ends.push_back(fmt::format("(0, {})", *known));
  }
  Arguments use{
      .inputs = {handle, 0, "read",
                 fmt::format("lambda {}: [{}]", fmt::join(names, ", "), fmt::join(ends, ", "))}};
  if (apply({context.module, nullptr, false}, use))
    uses.push_back(std::move(use));
  return uses;
}

} // namespace

void register_annotate_buffer_access() {
  register_primitive({
      .name = "AnnotateBufferAccess",
      .python_name = "annotate_buffer_access",
      .inputs = {{.name = "block", .kind = ValueKind::kBlock},
                 {.name = "buffer_index", .kind = ValueKind::kInt},
                 {.name = "buf_type", .kind = ValueKind::kString},
                 {.name = "gen_new_ranges", .kind = ValueKind::kIndexMap}},
      .summary =
          R"(Says anew which region of a buffer a block reads (`buf_type` "read") or writes
("write"): `gen_new_ranges`, a lambda, gives begin and end of each dimension from the block's axes.
Where an index comes from memory, or is not linear, what the block itself shows is too much; a region
that is too small for what it shows is refused. Where nothing shows, the region is believed.

    # annotate_buffer_access(B, 0, "read", lambda vi: [(vi * 2, vi * 2 + 4)])
    T.reads(A[0:128], I[vi])            →    T.reads(A[vi * 2:vi * 2 + 4], I[vi])
    B[vi] = A[vi * 2 + I[vi] % 4]            T.sblock_attr({"explicit_read_region": 0})
                                             B[vi] = A[vi * 2 + I[vi] % 4])",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
