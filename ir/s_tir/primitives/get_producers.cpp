#include "ir/s_tir/analysis.h"
#include "ir/s_tir/primitives/common.h"

namespace temper::s_tir {
namespace {

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  TEMPER_TRY(place, require_block(context, arguments.inputs[0]));
  TEMPER_TRY(around, require_scope(context, place));
  const Scope scope = analyze_scope(*around);
  Applied applied{.module = context.module};
  for (const int child : scope.producers(scope.index_of(place.block()->id)))
    applied.outputs.push_back(BlockHandle{scope.children[static_cast<size_t>(child)].block().id});
  return applied;
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  const Arguments arguments{.inputs = {handle}};
  if (handle.as_block() == nullptr || !apply(context, arguments))
    return {};
  return {arguments};
}

} // namespace

void register_get_producers() {
  register_primitive({
      .name = "GetProducers",
      .python_name = "get_producers",
      .inputs = {{.name = "block", .kind = ValueKind::kBlock}},
      .outputs = {ValueKind::kBlock},
      .variadic_output = true,
      .changes_module = false,
      .summary = "The blocks of the same scope that write what this block reads, in the order of "
                 "the text.",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
