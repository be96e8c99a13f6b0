#include "ir/s_tir/primitives/common.h"

#include <fmt/format.h>

namespace temper::s_tir {
namespace {

/// Integers are int32 when they fit, as in text.
Expr to_expr(const Value& value) {
  if (const auto* number = value.as_int()) {
    const bool narrow = *number == static_cast<int32_t>(*number);
    return make_int(DataType::integer(narrow ? 32 : 64), *number);
  }
  if (const auto* real = value.as_double())
    return make_float(DataType::float32(), *real);
  if (const auto* text = value.as_string())
    return make_string(*text);
  if (const auto* list = value.as_list()) {
    std::vector<Expr> items;
    for (const Value& item : *list) {
      Expr converted = to_expr(item);
      if (!converted)
        return nullptr;
      items.push_back(std::move(converted));
    }
    return make_list(std::move(items));
  }
  return nullptr;
}

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  const Value& at = arguments.inputs[0];
  const std::string& key = *arguments.attrs[0].as_string();
  const Expr value = to_expr(arguments.inputs[1]);
  if (!value)
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("the value of annotation \"{}\" must be a number, a string or a list "
                             "of those",
                             key));
  return change_annotations(context, at, [&](const Annotations& annotations) {
    return Result<Annotations>(annotations.with(key, value));
  });
}

Result<void> check(const Context& context, const Arguments& arguments) {
  if (auto applied = apply(context, arguments); !applied)
    return std::move(applied).error();
  return {};
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  if (handle.as_loop() != nullptr && find_loop(context.module, *handle.as_loop()))
    return {{.inputs = {handle, 16}, .attrs = {"pragma_auto_unroll_max_step"}}};
  return {};
}

} // namespace

void register_annotate() {
  register_primitive({
      .name = "Annotate",
      .python_name = "annotate",
      .inputs = {{.name = "block_or_loop", .kind = ValueKind::kBlockOrLoop},
                 {.name = "ann_val", .kind = ValueKind::kAny}},
      .attrs = {{.name = "ann_key", .kind = ValueKind::kString}},
      .python_order = {"block_or_loop", "ann_key", "ann_val"},
      .summary = "Writes key and value to a block or loop, in place of the key's earlier value.\n"
                 "\n"
                 "    for i in range(8):  →  for i in T.serial(8, annotations={\"key\": 1}):",
      .check = check,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
