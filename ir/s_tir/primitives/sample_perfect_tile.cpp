/// SamplePerfectTile: n factors whose product is a loop's extent exactly, all such tilings equally
/// likely. The decision is the list of factors. A symbolic extent has one tiling, that of TVM: all
/// of it in the outermost factor, which stays open.
#include "ir/s_tir/primitives/tile_decision.h"
#include "ir/s_tir/tiling.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace temper::s_tir {
namespace {

struct Wanted {
  std::optional<int64_t> extent; ///< nothing: symbolic
  int64_t parts;
  int64_t max_innermost_factor;
};

Result<Wanted> wanted(const Context& context, const Arguments& arguments) {
  TEMPER_TRY(extent, tiled_extent(context, arguments.inputs[0]));
  return Wanted{extent, *arguments.attrs[0].as_int(), *arguments.attrs[1].as_int()};
}

/// None, 1, 1: what is not known is not cut.
std::vector<int64_t> open_tiling(int64_t parts) {
  std::vector<int64_t> factors(static_cast<size_t>(parts), 1);
  factors.front() = kOpenFactor;
  return factors;
}

Result<std::vector<int64_t>> decided(const Wanted& wanted, const Value& decision) {
  if (!wanted.extent) {
    std::vector<int64_t> factors = open_tiling(wanted.parts);
    if (decision != Value(Value::List(factors.begin(), factors.end())))
      return Error(ErrorCode::kIllegal,
                   fmt::format("the extent is symbolic, and the only decision is [{}], the "
                               "outermost factor inferred; split takes factors of your own, "
                               "[None, 8]",
                               fmt::join(factors, ", ")));
    return factors;
  }
  TEMPER_TRY(factors, read_tiling(decision, wanted.parts, *wanted.extent));
  if (wanted.parts > 1 && factors.back() > wanted.max_innermost_factor)
    return Error(ErrorCode::kIllegal,
                 fmt::format("decision [{}]: the innermost factor must be at most {}",
                             fmt::join(factors, ", "), wanted.max_innermost_factor));
  return std::move(factors);
}

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  TEMPER_TRY(tile, wanted(context, arguments));
  if (arguments.decision.is_none() && !tile.extent)
    return applied_tiling(context, open_tiling(tile.parts));
  if (arguments.decision.is_none()) {
    TEMPER_CHECK(context.random != nullptr, "sampling needs a random stream");
    return applied_tiling(context, sample_tiling(*tile.extent, tile.parts,
                                                 tile.max_innermost_factor, *context.random));
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
  const auto factors = tile->extent
                           ? nearest_tiling(*tile->extent, *given, tile->max_innermost_factor)
                           : open_tiling(tile->parts);
  return Value::List(factors.begin(), factors.end());
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  std::vector<Arguments> uses;
  for (const int parts : {2, 4}) {
    Arguments arguments{.inputs = {handle}, .attrs = {parts, 16}};
    if (handle.as_loop() == nullptr)
      continue;
    if (const auto tile = wanted(context, arguments); tile && tile->extent)
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
                 "list of factors. Of a symbolic extent the outermost factor is None, for split to "
                 "infer, and the others are 1, as in TVM; the decision is then [-1, 1, ...].",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
      .adapt = adapt,
  });
}

} // namespace temper::s_tir
