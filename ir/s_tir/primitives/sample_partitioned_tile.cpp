/// SamplePartitionedTile: a perfect tiling of which the inner factors, from `partition_pos` on,
/// have a product that `innerpart_factor` divides. The decision is the list of factors.
#include "ir/s_tir/primitives/tile_decision.h"
#include "ir/s_tir/tiling.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace temper::s_tir {
namespace {

struct Wanted {
  int64_t extent;
  int64_t parts;
  int64_t partition;
  int64_t inner;
};

Result<Wanted> wanted(const Context& context, const Arguments& arguments) {
  TEMPER_TRY(extent, tiled_extent(context, arguments.inputs[0]));
  if (!extent) {
    TEMPER_TRY(place, require_loop(context, arguments.inputs[0]));
    return illegal(context, arguments.inputs[0],
                   fmt::format("{} has a symbolic extent, whose factors are not known; split it by "
                               "factors of its own, [None, 8]",
                               describe(place.loop)));
  }
  const Wanted wanted{*extent, *arguments.attrs[0].as_int(), *arguments.attrs[1].as_int(),
                      *arguments.attrs[2].as_int()};
  if (wanted.partition > wanted.parts)
    return Error(
        ErrorCode::kInvalidArgument,
        fmt::format("partition_pos must be at most n, {}, not {}", wanted.parts, wanted.partition));
  if (wanted.extent % wanted.inner != 0 ||
      (wanted.partition == wanted.parts && wanted.inner != 1)) {
    TEMPER_TRY(place, require_loop(context, arguments.inputs[0]));
    return illegal(context, arguments.inputs[0],
                   fmt::format("{} has {} iterations, of which no tiling has inner factors whose "
                               "product is a multiple of {}",
                               describe(place.loop), wanted.extent, wanted.inner));
  }
  return wanted;
}

bool fits(const Wanted& wanted, const std::vector<int64_t>& factors) {
  int64_t inner = 1;
  for (size_t i = static_cast<size_t>(wanted.partition); i < factors.size(); ++i)
    inner *= factors[i];
  return inner % wanted.inner == 0;
}

Result<std::vector<int64_t>> decided(const Wanted& wanted, const Value& decision) {
  TEMPER_TRY(factors, read_tiling(decision, wanted.parts, wanted.extent));
  if (!fits(wanted, factors))
    return Error(ErrorCode::kIllegal,
                 fmt::format("decision [{}]: the product from factor {} on must be a multiple of "
                             "{}",
                             fmt::join(factors, ", "), wanted.partition, wanted.inner));
  return std::move(factors);
}

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  TEMPER_TRY(tile, wanted(context, arguments));
  if (!arguments.decision.is_none()) {
    TEMPER_TRY(given, decided(tile, arguments.decision));
    return applied_tiling(context, given);
  }
  TEMPER_CHECK(context.random != nullptr, "sampling needs a random stream");
  // Tilings that fit are at least those with all inner factors in one place: the number of tries
  // is bounded by the number of all tilings, and the last resort is one of those.
  std::vector<int64_t> factors;
  for (int tries = 0; tries < 256 && (factors.empty() || !fits(tile, factors)); ++tries)
    factors = sample_tiling(tile.extent, tile.parts, kMostTiledIterations, *context.random);
  if (!fits(tile, factors)) {
    factors.assign(static_cast<size_t>(tile.parts), 1);
    factors.back() = tile.inner;
    factors.front() *= tile.extent / tile.inner;
  }
  return applied_tiling(context, factors);
}

Value adapt(const Context& context, const Arguments& arguments) {
  const auto tile = wanted(context, arguments);
  const auto given = tile ? foreign_tiling(arguments.decision, tile->parts) : std::nullopt;
  if (!given)
    return {};
  if (decided(*tile, arguments.decision))
    return arguments.decision;
  auto factors = nearest_tiling(tile->extent, *given, kMostTiledIterations);
  if (!fits(*tile, factors)) { // what is left of the extent tiled, the inner part in the last one
    factors.back() = tile->inner;
    std::vector<int64_t> rest(factors.begin(), factors.end() - 1);
    rest = nearest_tiling(tile->extent / tile->inner, rest, kMostTiledIterations);
    std::copy(rest.begin(), rest.end(), factors.begin());
  }
  return Value::List(factors.begin(), factors.end());
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  std::vector<Arguments> uses;
  Arguments use{.inputs = {handle}, .attrs = {3, 1, 2}};
  if (handle.as_loop() != nullptr && wanted({context.module, nullptr, false}, use))
    uses.push_back(std::move(use));
  return uses;
}

} // namespace

void register_sample_partitioned_tile() {
  register_primitive({
      .name = "SamplePartitionedTile",
      .python_name = "sample_partitioned_tile",
      .inputs = {{.name = "loop", .kind = ValueKind::kLoop}},
      .attrs = {{.name = "n", .kind = ValueKind::kInt, .domain = {{2, 16}}},
                {.name = "partition_pos",
                 .kind = ValueKind::kInt,
                 .default_value = 0,
                 .domain = {{0, 16}}},
                {.name = "innerpart_factor",
                 .kind = ValueKind::kInt,
                 .default_value = 1,
                 .domain = {{1, kMostTiledIterations}}}},
      .outputs = {ValueKind::kInt},
      .variadic_output = true,
      .has_decision = true,
      .changes_module = false,
      .summary = "`n` factors whose product is the loop's extent; `innerpart_factor` divides the "
                 "product of those from number `partition_pos` on. Every such tiling is equally "
                 "likely. The decision is the list of factors. The extent must be constant.",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
      .adapt = adapt,
  });
}

} // namespace temper::s_tir
