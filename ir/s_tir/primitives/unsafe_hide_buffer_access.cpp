/// UnsafeHideBufferAccess: regions are taken out of what a block says it reads or writes.
#include "ir/s_tir/detail/allocated.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {
namespace {

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  const Value& at = arguments.inputs[0];
  TEMPER_TRY(place, require_block(context, at));
  TEMPER_TRY(side, parse_side("buf_type", *arguments.inputs[1].as_string()));
  const Block& block = place.block();
  std::vector<BufferRegion> kept = side == Side::kRead ? block->reads : block->writes;
  std::vector<int64_t> indices;
  for (const Value& item : *arguments.inputs[2].as_list()) {
    const int64_t index = item.as_int() != nullptr ? *item.as_int() : -1;
    TEMPER_TRY_VOID(require_region(context, at, block, side, index));
    indices.push_back(index);
  }
  std::sort(indices.begin(), indices.end());
  indices.erase(std::unique(indices.begin(), indices.end()), indices.end());
  for (auto index = indices.rbegin(); index != indices.rend(); ++index)
    kept.erase(kept.begin() + *index);
  Block changed = copy_node(*block, [&](SBlock& node) {
    (side == Side::kRead ? node.reads : node.writes) = std::move(kept);
  });
  return Applied{.module = replace_in_module(context.module, place.function, place.chain,
                                             copy_node(*place.realize, [&](SBlockRealize& node) {
                                               node.block = std::move(changed);
                                             }))};
}

} // namespace

void register_unsafe_hide_buffer_access() {
  register_primitive({
      .name = "UnsafeHideBufferAccess",
      .python_name = "unsafe_hide_buffer_access",
      .inputs = {{.name = "block", .kind = ValueKind::kBlock},
                 {.name = "buf_type", .kind = ValueKind::kString},
                 {.name = "buf_index_array", .kind = ValueKind::kIntList}},
      .summary =
          "Takes regions, by their numbers, out of what a block says it reads (`buf_type` "
          "\"read\") or writes (\"write\"), so that other primitives do not see them: what they "
          "then allow may be wrong, and the verifier refuses the program until "
          "annotate_buffer_access or a rewrite has put them back. Never proposed.\n"
          "\n"
          "    # unsafe_hide_buffer_access(B, \"read\", [1])\n"
          "    T.reads(A[vi], W[0:64])  →  T.reads(A[vi])",
      .check = check_by_applying<apply>,
      .apply = apply,
  });
}

} // namespace temper::s_tir
