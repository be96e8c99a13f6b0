#include "ir/s_tir/primitives/common.h"

namespace temper::s_tir {
namespace {

Result<Applied> apply(const Context& context, const Arguments&) {
  return Applied{.module = context.module};
}

} // namespace

void register_enter_postproc() {
  register_primitive({
      .name = "EnterPostproc",
      .python_name = "enter_postproc",
      .changes_module = false,
      .summary =
          "Does nothing. Marks in a trace where a search's post-processing begins: mutations "
          "work on what stands before it.",
      .check = check_by_applying<apply>,
      .apply = apply,
  });
}

} // namespace temper::s_tir
