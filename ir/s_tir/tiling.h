/// Perfect tilings: ways to write an extent as a product of factors, innermost last and bounded.
#pragma once

#include "ir/support/random.h"

#include <cstdint>
#include <span>
#include <vector>

namespace temper::s_tir {

/// Ascending.
std::vector<int64_t> divisors(int64_t value);

/// How many ordered tilings of `extent` into `parts` factors there are whose innermost is at most
/// `max_innermost_factor`; saturates.
int64_t count_tilings(int64_t extent, int64_t parts, int64_t max_innermost_factor);

/// One of them, all equally likely. extent >= 1, parts >= 1, max_innermost_factor >= 1; with one
/// part the factor is the extent.
std::vector<int64_t> sample_tiling(int64_t extent, int64_t parts, int64_t max_innermost_factor,
                                   Random& random);

/// Every one, in order of the factors from the outermost; at most `limit`.
std::vector<std::vector<int64_t>> all_tilings(int64_t extent, int64_t parts,
                                              int64_t max_innermost_factor, size_t limit);

/// The tiling of `extent` nearest to `wanted`: from the innermost outwards, each factor is the
/// divisor of what is left that is nearest by ratio; the outermost takes the rest.
std::vector<int64_t> nearest_tiling(int64_t extent, std::span<const int64_t> wanted,
                                    int64_t max_innermost_factor);

} // namespace temper::s_tir
