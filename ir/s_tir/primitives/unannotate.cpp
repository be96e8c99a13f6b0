#include "ir/s_tir/primitives/common.h"

#include <fmt/format.h>

namespace temper::s_tir {
namespace {

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  const Value& at = arguments.inputs[0];
  const std::string& key = *arguments.attrs[0].as_string();
  return change_annotations(
      context, at, [&](const Annotations& annotations) -> Result<Annotations> {
        if (!annotations.get(key))
          return illegal(context, at, fmt::format("there is no annotation \"{}\" here", key));
        return annotations.without(key);
      });
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  std::vector<Arguments> uses;
  auto add = [&](const Annotations& annotations) {
    for (const Annotation& entry : annotations.entries)
      uses.push_back({.inputs = {handle}, .attrs = {entry.key}});
  };
  if (const auto* loop = handle.as_loop()) {
    if (const auto place = find_loop(context.module, *loop))
      add(place->loop->annotations);
  } else if (const auto* block = handle.as_block()) {
    if (const auto place = find_block(context.module, *block))
      add(place->block()->annotations);
  }
  return uses;
}

} // namespace

void register_unannotate() {
  register_primitive({
      .name = "Unannotate",
      .python_name = "unannotate",
      .inputs = {{.name = "block_or_loop", .kind = ValueKind::kBlockOrLoop}},
      .attrs = {{.name = "ann_key", .kind = ValueKind::kString}},
      .summary = "Removes an annotation that is there.\n"
                 "\n"
                 "    for i in T.serial(8, annotations={\"key\": 1}):  →  for i in range(8):",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
