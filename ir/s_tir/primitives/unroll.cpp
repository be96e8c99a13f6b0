#include "ir/s_tir/primitives/common.h"

#include <fmt/format.h>

namespace temper::s_tir {
namespace {

Result<LoopPlace> legal_place(const Context& context, const Arguments& arguments) {
  TEMPER_TRY(place, require_loop(context, arguments.inputs[0]));
  if (place.loop->kind == ForKind::kThreadBinding)
    return illegal(
        context, arguments.inputs[0],
        fmt::format("{} is bound to the thread {}", describe(place.loop), place.loop->thread));
  return place;
}

Result<void> check(const Context& context, const Arguments& arguments) {
  if (auto place = legal_place(context, arguments); !place)
    return std::move(place).error();
  return {};
}

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  TEMPER_TRY(place, legal_place(context, arguments));
  return with_kind(context, place, ForKind::kUnrolled);
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  constexpr int64_t kMostIterations = 64; // code grows by as much
  if (handle.as_loop() == nullptr)
    return {};
  const auto place = find_loop(context.module, *handle.as_loop());
  Arguments arguments{.inputs = {handle}};
  if (!place || place->loop->kind != ForKind::kSerial ||
      constant_extent(*place->loop).value_or(kMostIterations + 1) > kMostIterations ||
      !check(context, arguments))
    return {};
  return {std::move(arguments)};
}

} // namespace

void register_unroll() {
  register_primitive({
      .name = "Unroll",
      .python_name = "unroll",
      .inputs = {{.name = "loop", .kind = ValueKind::kLoop}},
      .summary = "Marks a loop to be unrolled. Any loop that is not bound to a thread may be.\n"
                 "\n"
                 "    for i in range(4):  →  for i in T.unroll(4):",
      .check = check,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
