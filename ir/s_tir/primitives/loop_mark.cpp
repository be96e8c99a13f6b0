#include "ir/s_tir/primitives/loop_mark.h"

#include "ir/s_tir/primitives/dependence.h"

#include <fmt/format.h>

namespace temper::s_tir {
namespace {

Result<LoopPlace> legal_place(const LoopMark& mark, const Context& context,
                              const Arguments& arguments) {
  TEMPER_TRY(place, require_loop(context, arguments.inputs[0]));
  if (place.loop->kind == ForKind::kThreadBinding)
    return illegal(
        context, arguments.inputs[0],
        fmt::format("{} is bound to the thread {}", describe(place.loop), place.loop->thread));
  if (mark.independent)
    TEMPER_TRY_VOID(require_independent_iterations(context, place, arguments.inputs[0]));
  return place;
}

} // namespace

Result<void> check_mark(const LoopMark& mark, const Context& context, const Arguments& arguments) {
  if (auto place = legal_place(mark, context, arguments); !place)
    return std::move(place).error();
  return {};
}

Result<Applied> apply_mark(const LoopMark& mark, const Context& context,
                           const Arguments& arguments) {
  TEMPER_TRY(place, legal_place(mark, context, arguments));
  return with_kind(context, place, mark.kind);
}

std::vector<Arguments> enumerate_mark(const LoopMark& mark, const Context& context,
                                      const Value& handle) {
  if (handle.as_loop() == nullptr)
    return {};
  const auto place = find_loop(context.module, *handle.as_loop());
  Arguments arguments{.inputs = {handle}};
  if (!place || place->loop->kind != ForKind::kSerial ||
      constant_extent(*place->loop).value_or(kAnyExtent) > mark.most_proposed ||
      !check_mark(mark, context, arguments))
    return {};
  return {std::move(arguments)};
}

} // namespace temper::s_tir
