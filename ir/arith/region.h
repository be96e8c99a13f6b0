/// Boxes of accesses: what part of a buffer an index touches while some of its variables run.
///
///   relax(i0 * 16 + i1, {i1: [0, 16)})            ->  [i0 * 16, i0 * 16 + 16)
///   relax(h * 2 + r - 1, {h: [0, 8), r: [0, 3)})  ->  [-1, 16)
///   relax((i0 * 16 + i1) // 4, {i1: [0, 16)})     ->  [i0 * 4, i0 * 4 + 4)
///
/// compute_at, cache_read and buffer compaction rest on it. Per dimension a symbolic first index
/// and an extent, constant wherever it can be bounded; exact for sums of pieces of loops.
#pragma once

#include "ir/arith/iter_map.h"
#include "ir/buffer.h"

namespace temper::ir {

/// What [index.min, index.min + index.extent) covers while the inner variables run over their
/// ranges (which may mention outer variables, and inner ones that stand before them). Other
/// variables are fixed. Nothing when it cannot be bounded (an index read from memory).
std::optional<Range> relax(const Range& index, std::span<const VarRange> inner, Analyzer& analyzer);
std::optional<Range> relax(const Expr& index, std::span<const VarRange> inner, Analyzer& analyzer);
/// Every dimension; one that cannot be bounded becomes the whole dimension of the buffer.
BufferRegion relax(const BufferRegion& region, std::span<const VarRange> inner, Analyzer& analyzer);

/// The smallest range known to hold both.
Range unite(const Range& a, const Range& b, Analyzer& analyzer);
std::vector<Range> unite(std::span<const Range> a, std::span<const Range> b, Analyzer& analyzer);
/// The part of the range inside [0, extent).
Range intersect(const Range& range, const Expr& extent, Analyzer& analyzer);
/// The part of the region inside its buffer.
BufferRegion clip_to_shape(const BufferRegion& region, Analyzer& analyzer);
/// True when `outer` certainly holds all of `inner`.
bool covers(const Range& outer, const Range& inner, Analyzer& analyzer);
bool covers(std::span<const Range> outer, std::span<const Range> inner, Analyzer& analyzer);

/// The extent, or the least constant it certainly does not exceed.
std::optional<int64_t> constant_extent(const Range& range, Analyzer& analyzer);

/// [0, shape): the whole buffer.
BufferRegion whole_region(const Buffer& buffer);
/// The element or vector that an access touches; a Ramp index becomes its range.
std::vector<Range> region_of_indices(std::span<const Expr> indices, Analyzer& analyzer);

} // namespace temper::ir
