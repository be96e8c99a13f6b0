#include "ir/s_tir/primitives/common.h"

namespace temper::s_tir {
namespace {

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  Stmt body;
  Stmt init;
  if (arguments.inputs[0].as_block() != nullptr) {
    TEMPER_TRY(place, require_block(context, arguments.inputs[0]));
    body = place.block()->body;
    init = place.block()->init;
  } else {
    TEMPER_TRY(place, require_loop(context, arguments.inputs[0]));
    body = place.loop->body;
  }
  Applied applied{.module = context.module};
  const auto collect = [&](const BlockRealize& realize) {
    applied.outputs.push_back(BlockHandle{realize->block->id});
  };
  for_each_child_block(body, collect);
  // Last: traces from elsewhere count those of the body alone.
  if (init)
    for_each_child_block(init, collect);
  return applied;
}

std::vector<Arguments> enumerate(const Context&, const Value& handle) {
  if (handle.as_block() == nullptr && handle.as_loop() == nullptr)
    return {};
  return {{.inputs = {handle}}};
}

} // namespace

void register_get_child_blocks() {
  register_primitive({
      .name = "GetChildBlocks",
      .python_name = "get_child_blocks",
      .inputs = {{.name = "block_or_loop", .kind = ValueKind::kBlockOrLoop}},
      .outputs = {ValueKind::kBlock},
      .variadic_output = true,
      .changes_module = false,
      .summary = "The blocks directly inside a block or below a loop, in the order of the text; "
                 "blocks inside those are not entered. Those of a block's init come last.",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
