/// AddUnitLoop: a loop of one iteration around a block or a loop, as a place to compute something
/// at, or as a thread to bind.
#include "ir/s_tir/primitives/common.h"

#include <fmt/format.h>

namespace temper::s_tir {
namespace {

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  const Value& at = arguments.inputs[0];
  PrimFunc function;
  std::vector<Stmt> chain;
  if (at.as_loop() != nullptr) {
    TEMPER_TRY(place, require_loop(context, at));
    function = place.function;
    chain = std::move(place.chain);
  } else {
    TEMPER_TRY(place, require_block(context, at));
    TEMPER_TRY_VOID(require_scope(context, place));
    function = place.function;
    chain = std::move(place.chain);
  }
  const Var unit = make_var("u");
  Applied applied;
  applied.module = replace_in_module(context.module, function, chain,
                                     make_for(unit, make_int(unit->dtype, 0),
                                              make_int(unit->dtype, 1), ForKind::kSerial,
                                              chain.back()));
  applied.outputs = {LoopHandle{unit}};
  return applied;
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  Arguments use{.inputs = {handle}};
  if (apply({context.module, nullptr, false}, use))
    return {std::move(use)};
  return {};
}

} // namespace

void register_add_unit_loop() {
  register_primitive({
      .name = "AddUnitLoop",
      .python_name = "add_unit_loop",
      .inputs = {{.name = "block_or_loop", .kind = ValueKind::kBlockOrLoop}},
      .outputs = {ValueKind::kLoop},
      .summary = "A loop of one iteration around a block or a loop, which is returned: a place to "
                 "compute something at, or a thread.\n"
                 "\n"
                 "    for i in range(8):          for i, u in T.grid(8, 1):\n"
                 "        with T.sblock(\"B\"):  →      with T.sblock(\"B\"):",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
