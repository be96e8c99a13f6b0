/// UnsafeSetDType: a buffer that a block allocates gets elements of another type; what is stored is
/// converted to it, and back when it is loaded.
#include "ir/s_tir/detail/allocated.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {
namespace {

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  const Value& at = arguments.inputs[0];
  TEMPER_TRY(allocated, require_allocated(context, at, *arguments.attrs[0].as_int(),
                                          "the type of a parameter is the caller's"));
  const std::string& name = *arguments.attrs[1].as_string();
  const std::optional<DataType> parsed = parse_data_type(name);
  if (!parsed)
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("there is no type \"{}\"; write as \"float16\"", name));
  const DataType dtype = *parsed;
  const Buffer& old = allocated.buffer;
  if (dtype == old->dtype)
    return Applied{.module = context.module};
  if (!dtype.is_scalar() || dtype.is_handle() || old->dtype.is_handle())
    return illegal(context, at, fmt::format("{} cannot have elements of type {}", old->name,
                                            to_string(dtype)));
  const Buffer changed = copy_node(*old, [&](BufferNode& node) { node.dtype = dtype; });
  bool viewed = false;
  // Children come first: whatever names the buffer names the new one when it gets here.
  Block owner = cast_ref<SBlock>(
      rewrite_post(allocated.owner(), [&](const NodeRef& node) -> NodeRef {
        if (node.get() == old.get())
          return changed;
        if (const auto* load = node.as<BufferLoad>(); load != nullptr && load->buffer == changed)
          return make_cast(old->dtype.with_lanes(load->dtype.lanes),
                           make_load(changed, load->indices, load->predicate));
        if (const auto* store = node.as<BufferStore>();
            store != nullptr && store->buffer == changed)
          return make_store(changed, store->indices,
                            make_cast(dtype.with_lanes(store->value->dtype.lanes), store->value),
                            store->predicate);
        if (const auto* block = node.as<SBlock>())
          for (const MatchBufferRegion& match : block->match_buffers)
            viewed |= match.source.buffer == changed;
        return node;
      }));
  if (viewed)
    return illegal(context, at,
                   fmt::format("a match_buffer looks at {} and needs its old type", old->name));
  return Applied{.module = replace_owner(context, allocated, std::move(owner))};
}

/// Wider, which loses nothing.
std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  Arguments use{.inputs = {handle}, .attrs = {0, "float64"}};
  if (handle.as_block() == nullptr)
    return {};
  const auto place = find_block(context.module, *handle.as_block());
  if (!place || place->block()->writes.empty() ||
      place->block()->writes[0].buffer->dtype != DataType::float32() ||
      !apply({context.module, nullptr, false}, use))
    return {};
  return {std::move(use)};
}

} // namespace

void register_unsafe_set_dtype() {
  register_primitive({
      .name = "UnsafeSetDType",
      .python_name = "unsafe_set_dtype",
      .inputs = {{.name = "block", .kind = ValueKind::kBlock}},
      .attrs = {{.name = "buffer_index", .kind = ValueKind::kInt},
                {.name = "dtype", .kind = ValueKind::kString}},
      .summary =
          "A buffer that the block writes and that a block allocates gets elements of another "
          "type. What is stored is converted, and converted back where it is loaded: a narrower "
          "type changes results, which checking a candidate against its reference then shows.\n"
          "\n"
          "    # unsafe_set_dtype(B, 0, \"float16\")\n"
          "    B[vi] = A[vi]              B[vi] = T.Cast(\"float16\", A[vi])\n"
          "    ...                  →     ...\n"
          "    C[vi] = B[vi] * 2          C[vi] = T.Cast(\"float32\", B[vi]) * 2",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
