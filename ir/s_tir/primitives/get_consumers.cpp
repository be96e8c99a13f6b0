#include "ir/s_tir/detail/dataflow.h"

namespace temper::s_tir {

void register_get_consumers() {
  register_primitive({
      .name = "GetConsumers",
      .python_name = "get_consumers",
      .inputs = {{.name = "block", .kind = ValueKind::kBlock}},
      .outputs = {ValueKind::kBlock},
      .variadic_output = true,
      .changes_module = false,
      .summary = "The blocks of the same scope that read what this block writes, in the order of "
                 "the text.",
      .check = check_by_applying<get_neighbours<&Scope::consumers>>,
      .apply = get_neighbours<&Scope::consumers>,
      .enumerate = enumerate_neighbours<&Scope::consumers>,
  });
}

} // namespace temper::s_tir
