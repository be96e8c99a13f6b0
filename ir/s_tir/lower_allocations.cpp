// Where to allocate the buffers of blocks.
//
// A buffer belongs to the innermost loop whose body has all its accesses: then it is private to an
// iteration (of a parallel loop above all), and compaction can shrink it to what one iteration
// touches. Moving an allocation into a loop is wrong when a value lives from one iteration to the
// next, so a loop is not entered when
//  - it is bound to a reduction (scan, opaque) axis of a block that writes the buffer: the block
//    accumulates over it;
//  - it is a plain loop inside the body of the block that stores: nothing says what it carries;
//  - it is vectorized: a lane has no memory of its own.
#include "ir/s_tir/lower.h"
#include "ir/walk.h"

#include <algorithm>
#include <limits>
#include <unordered_set>

namespace temper::s_tir {
namespace {

constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();

class AllocationPlanner {
public:
  AllocationPlan plan(const Stmt& body) {
    enter(body);
    AllocationPlan result;
    for (const auto& [buffer, use] : uses_) {
      size_t depth = std::min(use.path.size(), use.limit);
      for (size_t i = 0; i < depth; ++i)
        if (use.path[i]->kind == ForKind::kVectorized)
          depth = i;
      if (depth > use.defined_at)
        result.emplace(buffer, use.path[depth - 1]);
    }
    return result;
  }

private:
  struct Use {
    size_t defined_at = 0; ///< loops around the allocating block
    bool seen = false;
    std::vector<Ref<For>> path; ///< loops around all accesses
    size_t limit = kNoLimit;    ///< loops that may be entered
  };

  void enter(const NodeRef& node) {
    walk(node, [&](const NodeRef& child) {
      if (const auto* loop = child.as<For>()) {
        path_.push_back(child.as_ref<For>());
        position_[loop->loop_var.get()] = path_.size() - 1;
        enter(loop->min);
        enter(loop->extent);
        enter(loop->body);
        path_.pop_back();
        return false;
      }
      if (const auto* realize = child.as<SBlockRealize>()) {
        enter_block(*realize);
        return false;
      }
      if (const auto* store = child.as<BufferStore>()) {
        // Loops between the block and the store are the block's own business.
        access(store->buffer, std::min(limit_, block_depth_));
        return true;
      }
      if (const auto* load = child.as<BufferLoad>())
        access(load->buffer, kNoLimit);
      return true;
    });
  }

  void enter_block(const SBlockRealize& realize) {
    const SBlock& block = *realize.block;
    size_t limit = limit_;
    for (size_t i = 0; i < block.iter_vars.size(); ++i) {
      size_t first = kNoLimit;
      uses_var(realize.iter_values[i], [&](const VarNode& var) {
        if (const auto found = position_.find(&var); found != position_.end())
          first = std::min(first, found->second);
        return false;
      });
      position_[block.iter_vars[i].var.get()] = first;
      if (block.iter_vars[i].type != IterType::kSpatial)
        limit = std::min(limit, first);
    }
    for (const Expr& value : realize.iter_values)
      enter(value);
    enter(realize.predicate);
    for (const Buffer& buffer : block.alloc_buffers)
      uses_[buffer].defined_at = path_.size();
    std::swap(limit, limit_);
    size_t depth = path_.size();
    std::swap(depth, block_depth_);
    for (const MatchBufferRegion& match : block.match_buffers) {
      views_[match.buffer] = match.source.buffer;
      for (const Range& range : match.source.region)
        enter(range.min);
    }
    if (block.init)
      enter(block.init);
    enter(block.body);
    std::swap(depth, block_depth_);
    std::swap(limit, limit_);
  }

  void access(Buffer buffer, size_t limit) {
    for (auto view = views_.find(buffer); view != views_.end(); view = views_.find(buffer))
      buffer = view->second;
    const auto found = uses_.find(buffer);
    if (found == uses_.end())
      return; // a parameter
    Use& use = found->second;
    use.limit = std::min(use.limit, limit);
    if (!use.seen) {
      use.seen = true;
      use.path = path_;
      return;
    }
    const auto differ = std::mismatch(use.path.begin(), use.path.end(), path_.begin(), path_.end());
    use.path.erase(differ.first, use.path.end());
  }

  std::vector<Ref<For>> path_;
  /// The outermost loop (index in path_) that a loop variable or an axis depends on.
  std::unordered_map<const VarNode*, size_t> position_;
  size_t limit_ = kNoLimit;
  size_t block_depth_ = 0;
  std::unordered_map<Buffer, Use, RefHash> uses_;
  std::unordered_map<Buffer, Buffer, RefHash> views_;
};

} // namespace

AllocationPlan plan_allocations(const PrimFunc& function) {
  return AllocationPlanner().plan(function->body);
}

} // namespace temper::s_tir
