/// Features of a scheduled s-tir function for the cost model: one row of kFeatureCount values per
/// store statement (a block's update, and its init when that was decomposed), in TVM's order and
/// grouping (per-store features of Ansor, OSDI 2020, as MetaSchedule computes them), taken from the
/// blocks directly instead of from a lowered copy. All counts pass through slog(x) = log2(|x| + 1).
///
///  - group 1, computation (57): 16 counts of arithmetic x iterations; for each of vectorize,
///  unroll,
///    parallel: number of such loops, product of their extents, extent of the innermost, position
///    of the innermost (one-hot of 8); is_gpu and 7 thread extents (0 on CPUs)
///  - group 2, buffers (5 x 18): access type (one-hot 3), bytes, unique bytes, cache lines, unique
///    lines, reuse type (one-hot 3), reuse distance in iterations and bytes, reuse count, the four
///    amounts divided by the reuse count, stride of the innermost moving loop (elements)
///  - group 3 (10): arithmetic intensity (flop per byte), sampled over the loop nest, inside out
///  - group 4 (4): bytes of the written buffer as allocated, its elements x iterations outside,
///    iterations outside, their ratio to all iterations
///  - group 5 (3): iterations in all, number of loops, auto_unroll_max_step
#pragma once

#include "ir/function.h"

#include <span>
#include <string>
#include <vector>

namespace temper::tuner {

inline constexpr int kBuffersPerStore = 5;
inline constexpr int kCurvePoints = 10;
inline constexpr int kFeatureCount = 57 + 18 * kBuffersPerStore + kCurvePoints + 4 + 3;
static_assert(kFeatureCount == 164);
inline constexpr int kCacheLineBytes = 64;

/// `rows` x kFeatureCount, row-major float32.
struct FeatureMatrix {
  int rows = 0;
  std::vector<float> values;
  std::span<const float> row(int index) const {
    return std::span(values).subspan(static_cast<size_t>(index) * kFeatureCount, kFeatureCount);
  }
};

/// `function` must be s-tir with constant loop extents (others count as 1).
FeatureMatrix extract_features(const ir::PrimFunc& function);

/// "float_mul", "vec_len", "B0.unique_bytes", ...: kFeatureCount names, in order.
const std::vector<std::string>& feature_names();

} // namespace temper::tuner
