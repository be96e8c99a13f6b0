/// SamplePerfectTile: n factors whose product is a loop's extent exactly, all such tilings equally
/// likely. The decision is the list of factors.
#include "ir/s_tir/primitives/tile_decision.h"
#include "ir/s_tir/tiling.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace temper::s_tir {
namespace {

struct Wanted {
  int64_t extent;
  int64_t parts;
  int64_t max_innermost_factor;
};

Result<Wanted> wanted(const Context& context, const Arguments& arguments) {
  TEMPER_TRY(extent, tiled_extent(context, arguments.inputs[0]));
  return Wanted{extent, *arguments.attrs[0].as_int(), *arguments.attrs[1].as_int()};
}

Result<std::vector<int64_t>> decided(const Wanted& wanted, const Value& decision) {
  TEMPER_TRY(factors, read_tiling(decision, wanted.parts, wanted.extent));
  if (wanted.parts > 1 && factors.back() > wanted.max_innermost_factor)
    return Error(ErrorCode::kIllegal,
                 fmt::format("decision [{}]: the innermost factor must be at most {}",
                             fmt::join(factors, ", "), wanted.max_innermost_factor));
  return std::move(factors);
}

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  TEMPER_TRY(tile, wanted(context, arguments));
  if (arguments.decision.is_none()) {
    TEMPER_CHECK(context.random != nullptr, "sampling needs a random stream");
    return applied_tiling(context, sample_tiling(tile.extent, tile.parts, tile.max_innermost_factor,
                                                 *context.random));
  }
  TEMPER_TRY(factors, decided(tile, arguments.decision));
  return applied_tiling(context, factors);
}

Value adapt(const Context& context, const Arguments& arguments) {
  const auto tile = wanted(context, arguments);
  const auto given = tile ? foreign_tiling(arguments.decision, tile->parts) : std::nullopt;
  if (!given)
    return {};
  if (decided(*tile, arguments.decision))
    return arguments.decision;
  const auto factors = nearest_tiling(tile->extent, *given, tile->max_innermost_factor);
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
                 .domain = {{1, kMostTiledIterations}}}},
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
