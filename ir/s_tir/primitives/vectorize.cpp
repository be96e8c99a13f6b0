#include "ir/s_tir/primitives/dependence.h"

#include <fmt/format.h>

namespace temper::s_tir {
namespace {

Result<LoopPlace> legal_place(const Context& context, const Arguments& arguments) {
  TEMPER_TRY(place, require_loop(context, arguments.inputs[0]));
  if (place.loop->kind == ForKind::kThreadBinding)
    return illegal(
        context, arguments.inputs[0],
        fmt::format("{} is bound to the thread {}", describe(place.loop), place.loop->thread));
  TEMPER_TRY_VOID(require_independent_iterations(context, place, arguments.inputs[0]));
  return place;
}

Result<void> check(const Context& context, const Arguments& arguments) {
  if (auto place = legal_place(context, arguments); !place)
    return std::move(place).error();
  return {};
}

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  TEMPER_TRY(place, legal_place(context, arguments));
  return with_kind(context, place, ForKind::kVectorized);
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  constexpr int64_t kMostLanes = 64; // more is a mistake rather than a choice
  if (handle.as_loop() == nullptr)
    return {};
  const auto place = find_loop(context.module, *handle.as_loop());
  Arguments arguments{.inputs = {handle}};
  if (!place || place->loop->kind != ForKind::kSerial ||
      constant_extent(*place->loop).value_or(kMostLanes + 1) > kMostLanes ||
      !check(context, arguments))
    return {};
  return {std::move(arguments)};
}

} // namespace

void register_vectorize() {
  register_primitive({
      .name = "Vectorize",
      .python_name = "vectorize",
      .inputs = {{.name = "loop", .kind = ValueKind::kLoop}},
      .summary =
          "Runs the iterations of a loop as the lanes of vectors. They must be independent: no "
          "block below accumulates over the loop or reads what another iteration writes.\n"
          "\n"
          "    for i in range(8):  →  for i in T.vectorized(8):",
      .check = check,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
