/// StorageAlign: asks for strides that are not the compact ones, so that rows of a buffer start in
/// different banks or cache sets. Written down as an annotation of the block that makes the buffer,
/// a list of [buffer_index, axis, factor, offset]; align_strides makes them, once buffers are as
/// small as they get.
#include "ir/pass/lowering.h"
#include "ir/s_tir/analysis.h"
#include "ir/s_tir/detail/allocated.h"
#include "ir/s_tir/detail/scoped_block.h"

#include <fmt/format.h>

namespace temper::s_tir {
namespace {

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  const Value& at = arguments.inputs[0];
  const int64_t index = *arguments.attrs[0].as_int();
  int64_t axis = *arguments.attrs[1].as_int();
  const int64_t factor = *arguments.attrs[2].as_int();
  const int64_t offset = *arguments.attrs[3].as_int();
  TEMPER_TRY(allocated,
             require_allocated(context, at, index, "the strides of a parameter are the caller's"));
  const int64_t rank = allocated.buffer->rank();
  if (axis < -rank || axis >= rank)
    return illegal(context, at,
                   fmt::format("{} has {} dimensions: there is no axis {}", allocated.buffer->name,
                               rank, axis));
  if (axis < 0)
    axis += rank;
  if (factor <= 0 || offset < 0)
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("the factor must be positive and the offset not negative, not {} and "
                             "{}",
                             factor, offset));
  TEMPER_TRY(scoped, require_in_scope(context, at));
  for (int other = 0; other < static_cast<int>(scoped.scope.children.size()); ++other)
    if (other != scoped.child)
      for (const BufferRegion& write : scoped.info(other).block().writes)
        if (write.buffer == allocated.buffer)
          return illegal(context, at,
                         fmt::format("{} is not the only block that writes {}: block \"{}\" does "
                                     "too, and the strides are written down at the only one",
                                     describe(scoped.block()), allocated.buffer->name,
                                     scoped.info(other).block().name));
  const auto number = [](int64_t value) { return make_int(DataType::int32(), value); };
  const Expr entry = make_list({number(index), number(axis), number(factor), number(offset)});
  return change_annotations(context, at, [&](const Annotations& annotations) {
    std::vector<Expr> entries;
    if (const Expr old = annotations.get(kDimAlign))
      if (const auto* list = old.as<ListImm>())
        for (const Expr& item : list->values) {
          const auto* parts = item.as<ListImm>();
          const bool same = parts != nullptr && parts->values.size() == 4 &&
                            is_int(parts->values[0], index) && is_int(parts->values[1], axis);
          if (!same)
            entries.push_back(item);
        }
    entries.push_back(entry);
    return Result<Annotations>(annotations.with(kDimAlign, make_list(std::move(entries))));
  });
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  Arguments use{.inputs = {handle}, .attrs = {0, -2, 8, 4}};
  if (handle.as_block() != nullptr && apply({context.module, nullptr, false}, use))
    return {std::move(use)};
  return {};
}

} // namespace

void register_storage_align() {
  register_primitive({
      .name = "StorageAlign",
      .python_name = "storage_align",
      .inputs = {{.name = "block", .kind = ValueKind::kBlock}},
      .attrs = {{.name = "buffer_index", .kind = ValueKind::kInt},
                {.name = "axis", .kind = ValueKind::kInt},
                {.name = "factor", .kind = ValueKind::kInt},
                {.name = "offset", .kind = ValueKind::kInt}},
      .summary =
          "A buffer that the block alone writes and that a block allocates gets a stride along "
          "`axis` (negative: from the last) of k * factor + offset elements, the least that "
          "holds what lies inside, so that rows start in different banks. Elements between are "
          "never touched.\n"
          "\n"
          "    # storage_align(B, 0, -2, 32, 8)\n"
          "    with T.sblock(\"B\"):  →  with T.sblock(\"B\"):\n"
          "                               "
          "T.sblock_attr({\"buffer_dim_align\": [[0, 0, 32, 8]]})",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
