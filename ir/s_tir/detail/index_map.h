/// The text form of index maps that primitives take: Python's lambda over the indices of a buffer,
/// followed by parameters whose values are given apart (so that a sampled number can be one).
///
///   lambda k, j, n: (j // n, k, j % n)        n = 32
#pragma once

#include "ir/buffer.h"
#include "ir/support/result.h"

#include <optional>
#include <span>
#include <string_view>

namespace temper::s_tir {

using namespace temper::ir; // NOLINT

/// The map of `rank` indices; the remaining inputs of the lambda take `parameters`. Outputs are
/// made of inputs, integers, + - * // % and parentheses. kInvalidArgument with the place when the
/// text is not such a lambda, a divisor is not a positive constant, or the numbers of inputs
/// differ.
Result<IndexMap> parse_index_map(std::string_view text, size_t rank,
                                 std::span<const int64_t> parameters, DataType dtype);

/// A map to ranges: begin and end of each are outputs, one behind the other; a value alone is the
/// range of that element.
///
///   lambda i, j: [(i * 4, i * 4 + 6), j]      i * 4, i * 4 + 6, j, j + 1
Result<IndexMap> parse_range_map(std::string_view text, size_t rank, DataType dtype);

/// The shape of a buffer of constant `shape` under the map, rounded up to whole tiles. kIllegal
/// when two elements may fall on one, or an output does not start at zero.
Result<std::vector<int64_t>> map_shape(const IndexMap& map, std::span<const int64_t> shape);

/// The same of a shape that may have symbolic extents: such an index must be an output as it is, or
/// be cut in two outputs, i // 4 and i % 4.
Result<std::vector<Expr>> map_extents(const IndexMap& map, std::span<const Expr> shape);

/// What a map makes of an index whose extent is symbolic: an output as it is, or two, i // n and
/// i % n. An error when it is neither.
struct OpenIndex {
  size_t output = 0;
  std::optional<size_t> rest; ///< of i % n
  int64_t tile = 1;           ///< n
};
Result<OpenIndex> open_index(const IndexMap& map, size_t input);

/// The inputs at given outputs, which lie in map_shape() of `shape`.
Result<std::vector<Expr>> unmap_indices(const IndexMap& map, std::span<const int64_t> shape,
                                        std::span<const Expr> outputs);

/// The outputs at the given indices.
std::vector<Expr> map_indices(const IndexMap& map, std::span<const Expr> indices);

} // namespace temper::s_tir
