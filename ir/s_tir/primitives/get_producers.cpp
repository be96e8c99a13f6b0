#include "ir/s_tir/detail/dataflow.h"

namespace temper::s_tir {

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
      .check = check_by_applying<get_neighbours<&Scope::producers>>,
      .apply = get_neighbours<&Scope::producers>,
      .enumerate = enumerate_neighbours<&Scope::producers>,
  });
}

} // namespace temper::s_tir
