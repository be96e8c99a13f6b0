/// SetScope: a buffer that a block allocates moves to another memory scope.
#include "ir/s_tir/detail/allocated.h"
#include "ir/s_tir/detail/nest.h"

#include <fmt/format.h>

namespace temper::s_tir {
namespace {

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  const Value& at = arguments.inputs[0];
  const std::string& storage = *arguments.attrs[1].as_string();
  TEMPER_TRY(allocated, require_allocated(context, at, *arguments.attrs[0].as_int(),
                                          "the scope of a parameter is the caller's"));
  if (allocated.buffer->scope == storage)
    return Applied{.module = context.module};
  const BufferMap replaced{{allocated.buffer, cache_of(allocated.buffer, storage)}};
  return Applied{.module = replace_owner(
                     context, allocated,
                     cast_ref<SBlock>(replace_buffers(allocated.owner(), replaced)))};
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  Arguments use{.inputs = {handle}, .attrs = {0, "local"}};
  if (handle.as_block() != nullptr && apply({context.module, nullptr, false}, use))
    return {std::move(use)};
  return {};
}

} // namespace

void register_set_scope() {
  register_primitive({
      .name = "SetScope",
      .python_name = "set_scope",
      .inputs = {{.name = "block", .kind = ValueKind::kBlock}},
      .attrs = {{.name = "buffer_index", .kind = ValueKind::kInt},
                {.name = "storage_scope", .kind = ValueKind::kString}},
      .summary =
          "A buffer that the block writes and that a block allocates lives in another memory "
          "scope, and has it in its name.\n"
          "\n"
          "    # set_scope(B, 0, \"shared\")\n"
          "    B = T.sblock_alloc_buffer((8,))  →  "
          "B_shared = T.sblock_alloc_buffer((8,), scope=\"shared\")",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
