#include "ir/s_tir/primitives/tile_decision.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace temper::s_tir {

Result<std::optional<int64_t>> tiled_extent(const Context& context, const Value& handle) {
  TEMPER_TRY(place, require_loop(context, handle));
  const auto extent = constant_extent(*place.loop);
  if (extent && (*extent < 1 || *extent > kMostTiledIterations))
    return illegal(context, handle,
                   fmt::format("{} has {} iterations, and only loops of 1 to {} have perfect "
                               "tilings",
                               describe(place.loop), *extent, kMostTiledIterations));
  return extent;
}

Result<std::vector<int64_t>> read_tiling(const Value& decision, int64_t parts, int64_t extent) {
  const Value::List* list = decision.as_list();
  std::vector<int64_t> factors;
  for (const Value& item : list != nullptr ? *list : Value::List())
    if (const int64_t* factor = item.as_int())
      factors.push_back(*factor);
  if (static_cast<int64_t>(factors.size()) != parts ||
      (list != nullptr && factors.size() != list->size()))
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("the decision must be a list of {} integers", parts));
  int64_t product = 1;
  for (const int64_t factor : factors)
    if (factor < 1 || __builtin_mul_overflow(product, factor, &product))
      return Error(ErrorCode::kIllegal, fmt::format("decision [{}]: factors must be positive",
                                                    fmt::join(factors, ", ")));
  if (product != extent)
    return Error(ErrorCode::kIllegal,
                 fmt::format("decision [{}]: the product must be the loop's extent, {}, and is {}",
                             fmt::join(factors, ", "), extent, product));
  return factors;
}

std::optional<std::vector<int64_t>> foreign_tiling(const Value& decision, int64_t parts) {
  const Value::List* list = decision.as_list();
  if (list == nullptr || static_cast<int64_t>(list->size()) != parts)
    return std::nullopt;
  std::vector<int64_t> factors;
  for (const Value& item : *list)
    factors.push_back(item.as_int() != nullptr ? *item.as_int() : 1);
  return factors;
}

Applied applied_tiling(const Context& context, const std::vector<int64_t>& factors) {
  Value::List values(factors.begin(), factors.end());
  Value::List outputs = values;
  std::replace(outputs.begin(), outputs.end(), Value(kOpenFactor), Value());
  return Applied{
      .module = context.module, .outputs = std::move(outputs), .decision = std::move(values)};
}

} // namespace temper::s_tir
