/// SamplePerfectTile: n factors whose product is a loop's extent exactly, all such tilings equally
/// likely. The decision is the list of factors.
#include "ir/s_tir/primitives/common.h"
#include "ir/s_tir/tiling.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace temper::s_tir {
namespace {

/// Factors are found by trial division.
constexpr int64_t kMostIterations = std::numeric_limits<int32_t>::max();

struct Wanted {
  int64_t extent;
  int64_t parts;
  int64_t max_innermost_factor;
};

Result<Wanted> wanted(const Context& context, const Arguments& arguments) {
  TEMPER_TRY(place, require_loop(context, arguments.inputs[0]));
  const auto extent = constant_extent(*place.loop);
  if (!extent || *extent < 1 || *extent > kMostIterations)
    return illegal(
        context, arguments.inputs[0],
        fmt::format("{} has no constant positive extent up to {}, and only such loops have "
                    "perfect tilings",
                    describe(place.loop), kMostIterations));
  return Wanted{*extent, *arguments.attrs[0].as_int(), *arguments.attrs[1].as_int()};
}

Result<std::vector<int64_t>> decided(const Wanted& wanted, const Value& decision) {
  const Value::List* list = decision.as_list();
  std::vector<int64_t> factors;
  for (const Value& item : list != nullptr ? *list : Value::List())
    if (const int64_t* factor = item.as_int())
      factors.push_back(*factor);
  if (static_cast<int64_t>(factors.size()) != wanted.parts ||
      (list != nullptr && factors.size() != list->size()))
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("the decision must be a list of {} integers", wanted.parts));
  int64_t product = 1;
  for (const int64_t factor : factors)
    if (factor < 1 || __builtin_mul_overflow(product, factor, &product))
      return Error(ErrorCode::kIllegal, fmt::format("decision [{}]: factors must be positive",
                                                    fmt::join(factors, ", ")));
  if (product != wanted.extent)
    return Error(ErrorCode::kIllegal,
                 fmt::format("decision [{}]: the product must be the loop's extent, {}, and is {}",
                             fmt::join(factors, ", "), wanted.extent, product));
  if (wanted.parts > 1 && factors.back() > wanted.max_innermost_factor)
    return Error(ErrorCode::kIllegal,
                 fmt::format("decision [{}]: the innermost factor must be at most {}",
                             fmt::join(factors, ", "), wanted.max_innermost_factor));
  return factors;
}

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  TEMPER_TRY(tile, wanted(context, arguments));
  std::vector<int64_t> factors;
  if (arguments.decision.is_none()) {
    TEMPER_CHECK(context.random != nullptr, "sampling needs a random stream");
    factors = sample_tiling(tile.extent, tile.parts, tile.max_innermost_factor, *context.random);
  } else {
    TEMPER_TRY(given, decided(tile, arguments.decision));
    factors = std::move(given);
  }
  Value::List values(factors.begin(), factors.end());
  return Applied{.module = context.module, .outputs = values, .decision = std::move(values)};
}

Value adapt(const Context& context, const Arguments& arguments) {
  const auto tile = wanted(context, arguments);
  const Value::List* list = arguments.decision.as_list();
  if (!tile || list == nullptr || static_cast<int64_t>(list->size()) != tile->parts)
    return {};
  if (decided(*tile, arguments.decision))
    return arguments.decision;
  std::vector<int64_t> factors;
  for (const Value& item : *list)
    factors.push_back(item.as_int() != nullptr ? *item.as_int() : 1);
  factors = nearest_tiling(tile->extent, factors, tile->max_innermost_factor);
  return Value::List(factors.begin(), factors.end());
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  std::vector<Arguments> uses;
  for (const int parts : {2, 4}) {
    Arguments arguments{.inputs = {handle}, .attrs = {parts, 16}};
    if (handle.as_loop() != nullptr && wanted(context, arguments))
      uses.push_back(std::move(arguments));
  }
  return uses;
}

} // namespace

void register_sample_perfect_tile() {
  register_primitive({
      .name = "SamplePerfectTile",
      .python_name = "sample_perfect_tile",
      .inputs = {{.name = "loop", .kind = ValueKind::kLoop}},
      .attrs = {{.name = "n", .kind = ValueKind::kInt, .domain = {{1, 16}}},
                {.name = "max_innermost_factor",
                 .kind = ValueKind::kInt,
                 .default_value = 16,
                 .domain = {{1, kMostIterations}}}},
      .outputs = {ValueKind::kInt},
      .variadic_output = true,
      .has_decision = true,
      .changes_module = false,
      .summary = "`n` factors whose product is the loop's extent, the innermost (last) one at most "
                 "`max_innermost_factor`; every such tiling is equally likely. The decision is the "
                 "list of factors. The extent must be constant.",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
      .adapt = adapt,
  });
}

} // namespace temper::s_tir
