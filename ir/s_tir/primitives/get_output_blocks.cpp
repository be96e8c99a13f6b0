#include "ir/s_tir/analysis.h"
#include "ir/s_tir/primitives/common.h"

#include <algorithm>

namespace temper::s_tir {
namespace {

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  TEMPER_TRY(place, require_block(context, arguments.inputs[0]));
  const Scope scope = analyze_scope(*place.block());
  Applied applied{.module = context.module};
  for (const ChildBlock& child : scope.children)
    if (std::any_of(child.block().writes.begin(), child.block().writes.end(),
                    [&](const BufferRegion& region) { return scope.is_output(region.buffer); }))
      applied.outputs.push_back(BlockHandle{child.block().id});
  return applied;
}

std::vector<Arguments> enumerate(const Context&, const Value& handle) {
  if (handle.as_block() == nullptr)
    return {};
  return {{.inputs = {handle}}};
}

} // namespace

void register_get_output_blocks() {
  register_primitive({
      .name = "GetOutputBlocks",
      .python_name = "get_output_blocks",
      .inputs = {{.name = "scope_block", .kind = ValueKind::kBlock}},
      .outputs = {ValueKind::kBlock},
      .variadic_output = true,
      .changes_module = false,
      .summary = "The blocks directly inside a block that write a buffer which the block does not "
                 "allocate: what they write is seen outside.",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
