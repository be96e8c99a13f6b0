#include "ir/tir/cluster.h"

#include "ir/tir/gpu_architecture.h"
#include "ir/tir/tile_ops.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::tir {
namespace {

const DataType kNumber = DataType::int32();

} // namespace

std::vector<int64_t> cluster_dims(const KernelLaunch& kernel, bool searched) {
  std::vector<int64_t> dims(kernel.grid.size(), 1);
  const Expr given = kernel.annotations.get(kCluster);
  if (const auto* list = given ? given.as<ListImm>() : nullptr) {
    for (size_t d = 0; d < dims.size() && d < list->values.size(); ++d)
      dims[d] = as_int(list->values[d]).value_or(1);
    return dims;
  }
  constexpr const char* kNames[] = {kClusterX, kClusterY};
  for (size_t axis = 0; searched && axis < std::min(dims.size(), std::size(kNames)); ++axis)
    dims[axis] = kernel.annotations.get_int(kNames[axis]).value_or(1);
  return dims;
}

int64_t cluster_blocks(const std::vector<int64_t>& dims) {
  int64_t blocks = 1;
  for (const int64_t size : dims)
    blocks *= size;
  return blocks;
}

Result<void> check_cluster(const KernelLaunch& kernel, const std::vector<int64_t>& dims,
                           int architecture) {
  const int64_t blocks = cluster_blocks(dims);
  if (blocks == 1)
    return {};
  const auto no = [&](const std::string& why) {
    return Error(ErrorCode::kUnsupported,
                 (kernel.span.line == 0
                      ? std::string()
                      : fmt::format("line {}, column {}: ", kernel.span.line, kernel.span.column)) +
                     why);
  };
  if (architecture < 90)
    return no("clusters of blocks are there from sm_90 on, and this is for " +
              architecture_name(architecture));
  if (blocks > kMostBlocksOfCluster)
    return no(fmt::format("a cluster of {} blocks: it may have {}", blocks, kMostBlocksOfCluster));
  for (size_t d = 0; d < dims.size(); ++d) {
    const auto extent = as_int(kernel.grid[d]);
    if (dims[d] < 1)
      return no("a cluster has at least one block along each axis");
    if (dims[d] == 1)
      continue;
    if (!extent)
      return no("the grid of a kernel with clusters must be constant");
    if (*extent % dims[d] != 0)
      return no(
          fmt::format("a grid of {} blocks does not divide into clusters of {}", *extent, dims[d]));
  }
  return {};
}

Annotations with_cluster(const Annotations& annotations, const std::vector<int64_t>& dims) {
  Annotations result = annotations.without(kClusterX).without(kClusterY).without(kCluster);
  if (cluster_blocks(dims) == 1)
    return result;
  std::vector<Expr> list;
  for (const int64_t size : dims)
    list.push_back(make_int(kNumber, size));
  return result.with(kCluster, make_list(std::move(list)));
}

Expr place_in_cluster(const KernelLaunch& kernel, const std::vector<int64_t>& dims, size_t axis) {
  if (dims[axis] == 1)
    return make_int(kNumber, 0);
  return floormod(tile_cast(kNumber, kernel.block_vars[axis]), dims[axis]);
}

Expr rank_in_cluster(const KernelLaunch& kernel, const std::vector<int64_t>& dims,
                     const std::vector<int64_t>& offsets) {
  Expr rank = make_int(kNumber, 0);
  int64_t stride = 1;
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    if (dims[axis] > 1) {
      Expr place = place_in_cluster(kernel, dims, axis);
      if (offsets[axis] % dims[axis] != 0)
        place = floormod(place + offsets[axis], dims[axis]);
      rank = rank + place * stride;
    }
    stride *= dims[axis];
  }
  return rank;
}

ClusterUse::ClusterUse(const KernelLaunch& kernel, std::vector<int64_t> dims)
    : kernel_(kernel), dims_(std::move(dims)) {
  walk(kernel.body, [&](const NodeRef& node) {
    if (const auto* bind = node.as<Bind>())
      names_.emplace(bind->var, bind->value);
    if (const auto* loop = node.as<For>())
      math_.bind(loop->loop_var, Range{loop->min, loop->extent});
    return true;
  });
  for (size_t axis = 0; axis < dims_.size(); ++axis) {
    const DataType dtype = kernel.block_vars[axis]->dtype;
    clusters_.push_back(make_var("cluster", dtype));
    places_.push_back(make_var("place", dtype));
    math_.bind(places_[axis], Range{make_int(dtype, 0), make_int(dtype, dims_[axis])});
    const int64_t blocks = as_int(kernel.grid[axis]).value_or(dims_[axis]);
    math_.bind(clusters_[axis], Range{make_int(dtype, 0),
                                      make_int(dtype, std::max<int64_t>(blocks / dims_[axis], 1))});
    math_.bind(kernel.block_vars[axis], Range{make_int(dtype, 0), kernel.grid[axis]});
  }
}

Expr ClusterUse::inlined(const Expr& value) const {
  Expr result = value;
  // As deep as names stand on names.
  for (size_t depth = 0; depth <= names_.size(); ++depth) {
    Expr next = substitute(result, names_);
    if (next == result)
      break;
    result = std::move(next);
  }
  return result;
}

Expr ClusterUse::apart(const Expr& value, size_t axis) {
  const Expr whole = Expr(clusters_[axis]) * dims_[axis] + Expr(places_[axis]);
  return math_.simplify(substitute(inlined(value), {{kernel_.block_vars[axis], whole}}));
}

bool ClusterUse::same(const Expr& value, size_t axis) {
  if (dims_[axis] == 1)
    return true;
  const Expr result = apart(value, axis);
  bool known = true; // memory may hold another value in another block
  walk(result, [&](const NodeRef& node) {
    known &= node.as<BufferLoad>() == nullptr && node.get() != places_[axis].get();
    return known;
  });
  return known;
}

bool ClusterUse::same_condition(const Expr& condition, size_t axis) {
  if (const auto* both = condition.as<And>())
    return same_condition(both->a, axis) && same_condition(both->b, axis);
  // a < b holds or not with (a - b) // n: in steps of a cluster.
  if (const auto* compare = condition.as<LT>();
      compare != nullptr && compare->a->dtype.is_integral())
    return (same(compare->a, axis) && same(compare->b, axis)) ||
           same(floordiv(inlined(compare->a) - inlined(compare->b), dims_[axis]), axis);
  if (const auto* compare = condition.as<LE>();
      compare != nullptr && compare->a->dtype.is_integral())
    return same_condition(make_binary<LT>(compare->a, compare->b + 1), axis);
  return same(condition, axis);
}

bool ClusterUse::same_control(const Stmt& inner, size_t axis) {
  bool same_all = true;
  const auto holds = [&](const Stmt& stmt) {
    bool found = false;
    walk(stmt, [&](const NodeRef& node) {
      found |= node.get() == inner.get();
      return !found;
    });
    return found;
  };
  const auto visit = [&](auto&& self, const Stmt& stmt) -> void {
    if (stmt.get() == inner.get() || !same_all)
      return;
    if (const auto* loop = stmt.as<For>())
      same_all &= same(loop->min, axis) && same(loop->extent, axis);
    else if (const auto* branch = stmt.as<IfThenElse>())
      same_all &= same_condition(branch->condition, axis);
    else if (stmt.as<While>() != nullptr)
      same_all = false; // it goes by memory
    stmt->info().for_each_child(stmt.get(), [&](const NodeRef& child, Role) {
      if (child && StmtNode::accepts(child->kind()))
        if (const Stmt part = cast_ref<StmtNode>(child); holds(part))
          self(self, part);
    });
  };
  walk(kernel_.body, [&](const NodeRef& node) {
    same_all &= node.as<Return>() == nullptr && node.as<Break>() == nullptr &&
                node.as<Continue>() == nullptr;
    return same_all;
  });
  visit(visit, kernel_.body);
  return same_all;
}

} // namespace temper::tir
