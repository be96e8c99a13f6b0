/// Are the axes of a block an affine image of its loops? Each binding must be a sum of pieces of
/// loops, as split and fuse leave them, and the pieces must not overlap:
///
///   vi = i0 * 16 + i1, vk = f // 8, vj = f % 8      i1 in [0, 16), f in [0, 64)
///   vi = i0 * 16 + i1                               where i0 * 16 + i1 < 100
///
/// Then every point of the block's domain is reached, by exactly one iteration when the map is also
/// bijective (a loop that no binding uses repeats the block). reorder, compute_at and rfactor rest
/// on this.
#pragma once

#include "ir/arith/simplify.h"
#include "ir/support/result.h"

#include <span>

namespace temper::ir {

struct VarRange {
  Var var;
  Range range;
};

/// scale * ((source // lower) % extent), where source is a mark of the map.
struct IterSplit {
  int mark = 0;
  int64_t lower = 1;
  int64_t extent = 1;
  int64_t scale = 1;
};

/// A loop counted from zero, or a fused one: the sum of `pieces`, cut off at `extent` where a
/// predicate says so.
struct IterMark {
  Var var;
  int64_t extent = 1;
  int loop = -1;                 ///< index of the loop; -1 for a fused one
  std::vector<IterSplit> pieces; ///< of a fused one, ascending scale
};

/// base + sum of splits, ascending scale; each scale is the previous one times its extent.
struct IterSum {
  std::vector<IterSplit> splits;
  Expr base; ///< free of the loops
  /// Product of the extents: the number of values.
  int64_t extent() const {
    int64_t product = 1;
    for (const IterSplit& split : splits)
      product *= split.extent;
    return product;
  }
};

struct IterMap {
  std::vector<IterMark> marks;
  std::vector<IterSum> sums; ///< one per binding
  bool bijective = false;
};

/// `predicate` (null = true) says which iterations run. Loops need constant ranges. The error
/// (kIllegal) names the binding that does not fit and why.
Result<IterMap> detect_iter_map(std::span<const Expr> bindings, std::span<const VarRange> loops,
                                const Expr& predicate, Analyzer& analyzer);

/// The loops' values from the bindings' values, in the order of `loops`; the map must be bijective
/// and made from these loops.
std::vector<Expr> inverse(const IterMap& map, std::span<const VarRange> loops,
                          std::span<const Expr> values, Analyzer& analyzer);

} // namespace temper::ir
