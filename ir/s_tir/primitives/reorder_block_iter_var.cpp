/// ReorderBlockIterVar: the axes of a block change places.
#include "ir/s_tir/primitives/common.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace temper::s_tir {
namespace {

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  TEMPER_TRY(place, require_block(context, arguments.inputs[0]));
  const Block& block = place.block();
  std::vector<size_t> order;
  std::vector<bool> taken(block->iter_vars.size());
  bool each_once = true;
  for (const Value& item : *arguments.inputs[1].as_list()) {
    const int64_t* index = item.as_int();
    if (index == nullptr || *index < 0 || *index >= static_cast<int64_t>(taken.size()) ||
        taken[static_cast<size_t>(*index)]) {
      each_once = false;
      break;
    }
    taken[static_cast<size_t>(*index)] = true;
    order.push_back(static_cast<size_t>(*index));
  }
  if (!each_once || order.size() != taken.size())
    return illegal(context, arguments.inputs[0],
                   fmt::format("the new order must name each of the {} axes of {} once, from 0 on",
                               taken.size(), describe(block)));
  Block changed = copy_node(*block, [&](SBlock& node) {
    for (size_t i = 0; i < order.size(); ++i)
      node.iter_vars[i] = block->iter_vars[order[i]];
  });
  Applied applied;
  applied.module = replace_in_module(
      context.module, place.function, place.chain,
      copy_node(*place.realize, [&](SBlockRealize& node) {
        for (size_t i = 0; i < order.size(); ++i)
          node.iter_values[i] = place.realize->iter_values[order[i]];
        node.block = std::move(changed);
      }));
  return applied;
}

/// The axes turned round.
std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  const auto place = handle.as_block() != nullptr ? find_block(context.module, *handle.as_block())
                                                  : std::nullopt;
  if (!place || place->block()->iter_vars.size() < 2)
    return {};
  Value::List order;
  for (size_t i = place->block()->iter_vars.size(); i-- > 0;)
    order.emplace_back(static_cast<int64_t>(i));
  return {{.inputs = {handle, order}}};
}

} // namespace

void register_reorder_block_iter_var() {
  register_primitive({
      .name = "ReorderBlockIterVar",
      .python_name = "reorder_block_iter_var",
      .inputs = {{.name = "block", .kind = ValueKind::kBlock},
                 {.name = "new_order", .kind = ValueKind::kIntList}},
      .summary = "The axes of a block change places: `new_order` has the numbers of the axes, from "
                 "0, as they shall stand. What is computed stays, loops do too.\n"
                 "\n"
                 "    # reorder_block_iter_var(C, [2, 0, 1])\n"
                 "    vi, vj, vk = T.axis.remap(\"SSR\", [i, j, k])  →  "
                 "vk, vi, vj = T.axis.remap(\"RSS\", [k, i, j])",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
