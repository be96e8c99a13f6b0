/// Thread-block clusters (sm_90 on): neighbouring blocks of a grid that run at the same time, reach
/// each other's barriers and meet.
///
///   with T.Kernel(8, 4, threads=256, cluster_dims=(2, 1)) as (bx, by):     4 x 4 clusters of 2
///
/// Blocks of a cluster are numbered as the grid is, the first axis fastest: rank 1 is bx % 2 == 1.
/// What they read alike, one copy brings to all of them (ir/tir/pipeline.h).
#pragma once

#include "ir/arith/simplify.h"
#include "ir/support/result.h"
#include "ir/tir/tile.h"
#include "ir/walk.h"

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace temper::tir {

/// Annotation of a kernel, from cluster_dims=: a list of blocks along each axis of the grid.
inline constexpr const char* kCluster = "cluster";
/// What a search sets on a kernel without one ("kernel.cluster_x"): blocks along the first and the
/// second axis. Dropped where nothing in the kernel comes of it.
inline constexpr const char* kClusterX = "cluster_x";
inline constexpr const char* kClusterY = "cluster_y";
/// "Portable" cluster size in the CUDA programming guide: more than eight a GPU may refuse.
inline constexpr int64_t kMostBlocksOfCluster = 8;

/// Blocks along each axis of the grid; ones where the kernel has no cluster. `searched`: as a
/// search has set them, too.
std::vector<int64_t> cluster_dims(const KernelLaunch& kernel, bool searched = false);
/// Of all axes.
int64_t cluster_blocks(const std::vector<int64_t>& dims);
/// Why the kernel cannot have clusters of these sizes, in one sentence (kUnsupported).
Result<void> check_cluster(const KernelLaunch& kernel, const std::vector<int64_t>& dims,
                           int architecture);
/// The kernel with these clusters, or with none where they are of one block; without a search's
/// annotations.
Annotations with_cluster(const Annotations& annotations, const std::vector<int64_t>& dims);

/// The block's number along the axis within its cluster, int32.
Expr place_in_cluster(const KernelLaunch& kernel, const std::vector<int64_t>& dims, size_t axis);
/// The rank of the block that is `offsets` further on along each axis, going round; int32.
Expr rank_in_cluster(const KernelLaunch& kernel, const std::vector<int64_t>& dims,
                     const std::vector<int64_t>& offsets);

/// What is the same for all blocks of a cluster.
class ClusterUse {
public:
  /// The kernel outlives it.
  ClusterUse(const KernelLaunch& kernel, std::vector<int64_t> dims);

  /// The value does not differ between the blocks of a cluster along the axis. False: it cannot be
  /// told.
  bool same(const Expr& value, size_t axis);
  /// They run `inner`, a statement of the kernel, equally often, and each time together.
  bool same_control(const Stmt& inner, size_t axis);

private:
  bool same_condition(const Expr& condition, size_t axis);
  Expr inlined(const Expr& value) const;
  /// With the block's number taken apart into the cluster's and `place_`.
  Expr apart(const Expr& value, size_t axis);

  const KernelLaunch& kernel_;
  std::vector<int64_t> dims_;
  VarMap names_;  ///< what Bind statements of the kernel name
  Analyzer math_; ///< knows the loops, and these:
  std::vector<Var> clusters_, places_;
};

} // namespace temper::tir
