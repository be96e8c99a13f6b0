#include "ir/s_tir/primitives/common.h"

namespace temper::s_tir {
namespace {

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  TEMPER_TRY(place, require_block(context, arguments.inputs[0]));
  Applied applied{.module = context.module};
  for (const Ref<For>& loop : loops_of(place.chain))
    applied.outputs.push_back(LoopHandle{loop->loop_var});
  return applied;
}

std::vector<Arguments> enumerate(const Context&, const Value& handle) {
  if (handle.as_block() == nullptr)
    return {};
  return {{.inputs = {handle}}};
}

} // namespace

void register_get_loops() {
  register_primitive({
      .name = "GetLoops",
      .python_name = "get_loops",
      .inputs = {{.name = "block", .kind = ValueKind::kBlock}},
      .outputs = {ValueKind::kLoop},
      .variadic_output = true,
      .changes_module = false,
      .summary = "The loops around a block, outermost first, up to the block that encloses it.",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
