// pack_ahead(block): the copy of a constant operand, usually in another layout, is made once, ahead
// of the kernel's calls. The block is marked; split_packs (ir/s_tir/packs.h) takes it out.

#include "ir/s_tir/packs.h"
#include "ir/s_tir/primitives/common.h"

namespace temper::s_tir {
namespace {

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  const Value& at = arguments.inputs[0];
  TEMPER_TRY_VOID(require_block(context, at));
  TEMPER_TRY(applied, change_annotations(context, at, [](const Annotations& annotations) {
               return Result<Annotations>(
                   annotations.with(kPackedAhead, make_int(DataType::int32(), 1)));
             }));
  if (const auto split = split_packs(applied.module); !split)
    return illegal(context, at, split.error().message);
  return std::move(applied);
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  const Arguments use{.inputs = {handle}};
  if (handle.as_block() != nullptr && apply({context.module, nullptr, false}, use))
    return {use};
  return {};
}

} // namespace

void register_pack_ahead() {
  register_primitive({
      .name = "PackAhead",
      .python_name = "pack_ahead",
      .inputs = {{.name = "block", .kind = ValueKind::kBlock}},
      .summary =
          R"(The block copies a constant operand (the function's attribute layout_free_buffers), and this
copy is made once, ahead of the kernel's calls: it leaves the kernel for a function of its own, and
the kernel takes the packed operand in the plain one's place. It stands in loops of its own in the
root block, and nothing else reads the operand.

    # cache_read(C, 1, "global"), transform_layout(...), pack_ahead(B_global)
    def main(A, B, C):                            def main(A, B_packed, C):
        for k, j in T.grid(64, 64):                   for i, j, k in T.grid(64, 64, 64):
            with T.sblock("B_global"):       →            ...
                B_global[..] = B[k, j]            def main_pack_B(B, B_packed):
        for i, j, k in T.grid(64, 64, 64):            for k, j in T.grid(64, 64):
            ...                                           B_packed[..] = B[k, j])",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
