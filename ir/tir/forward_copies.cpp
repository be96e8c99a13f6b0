// A copy of what an operator lays out anew anyway is one too many.
//
//   T.copy(B[k * 256:.., bx * 512:..], B_shared)        T.gemm(A_shared,
//   T.gemm(A_shared, B_shared, C_local)           ->           B[k * 256:.., bx * 512:..], C_local)
//
// On a CPU shared memory is memory. The second operand of a matrix product in register tiles is
// packed into panels (ir/tir/cpu/gemm_register_tile.cpp), straight from where it comes when:
//  - the tile is written by one copy, whole, without a cast, and all its other uses are products
//    that pack it, after the copy in the same list of statements;
//  - the copy's source lies inside of its tensor (what hangs over the edge must become zero), is
//    written nowhere in the function, and its place does not depend on memory.
// The first operand is not packed: its rows lie a power of two apart in most tensors, and a tile of
// its own keeps them from falling on the same lines of the first cache.
#include "ir/arith/simplify.h"
#include "ir/pass/rewrite.h"
#include "ir/tir/cpu/variants.h"
#include "ir/tir/dispatch.h"

#include <unordered_map>
#include <unordered_set>

namespace temper::tir {
namespace {

bool is_whole(const BufferRegion& region) {
  for (size_t d = 0; d < region.region.size(); ++d)
    if (!is_int(region.region[d].min, 0) ||
        !same_extent(region.region[d].extent, region.buffer->shape[d]))
      return false;
  return true;
}

bool reads_memory(const BufferRegion& region) {
  bool found = false;
  for (const Range& range : region.region)
    walk(range.min, [&](const NodeRef& node) {
      found |= node->kind() == BufferLoad::kKind;
      return !found;
    });
  return found;
}

class Forwarding {
public:
  Forwarding(const Stmt& body, const LowerOptions& options) : options_(options) {
    walk(body, [&](const NodeRef& node) {
      if (const auto* load = node.as<BufferLoad>())
        other_uses_.insert(load->buffer.get());
      if (const auto* store = node.as<BufferStore>()) {
        other_uses_.insert(store->buffer.get());
        written_.insert(store->buffer.get());
      }
      if (const auto* call = node.as<TileCall>()) {
        for (const size_t operand : written_operands(*call))
          written_.insert(call->regions[operand].buffer.get());
        for (size_t i = 0; i < call->regions.size(); ++i)
          ++uses_[call->regions[i].buffer.get()];
      }
      return true;
    });
  }

  Stmt rewrite(const Stmt& stmt) {
    const Analyzer::Scope scope(math_);
    if (const auto* loop = stmt.as<For>())
      math_.bind(loop->loop_var, Range{loop->min, loop->extent});
    if (const auto* launch = stmt.as<KernelLaunch>())
      for (size_t d = 0; d < launch->block_vars.size(); ++d)
        math_.bind(launch->block_vars[d],
                   Range{make_int(launch->block_vars[d]->dtype, 0), launch->grid[d]});
    const auto* seq = stmt.as<SeqStmt>();
    if (seq == nullptr)
      return rebuild(
          stmt, [&](const Stmt& child) { return rewrite(child); },
          [](const Expr& expr) { return expr; });
    std::vector<Stmt> list = seq->statements;
    bool changed = false;
    for (size_t i = 0; i < list.size(); ++i)
      changed |= forward(list, i);
    for (Stmt& child : list) {
      Stmt inner = rewrite(child);
      changed |= inner != child;
      child = std::move(inner);
    }
    return changed ? make_seq(std::move(list)) : stmt;
  }

  const std::unordered_set<const Node*>& gone() const { return gone_; }

private:
  bool forward(std::vector<Stmt>& list, size_t at) {
    const auto* copy = list[at].as<TileCall>();
    if (copy == nullptr || copy->op != "copy")
      return false;
    const BufferRegion& from = copy->regions[0];
    const BufferRegion& to = copy->regions[1];
    const Node* tile = to.buffer.get();
    if (from.buffer->scope != "global" || tile_scope(to.buffer->scope) != "shared" ||
        from.buffer->dtype != to.buffer->dtype || !is_whole(to) || other_uses_.contains(tile) ||
        written_.contains(from.buffer.get()) || reads_memory(from) ||
        !cpu::is_inside(from, math_))
      return false;
    TileContext context{options_, math_};
    std::vector<size_t> products;
    int uses = 1;
    for (size_t i = at + 1; i < list.size(); ++i)
      if (const auto* call = list[i].as<TileCall>()) {
        for (const BufferRegion& region : call->regions)
          uses += region.buffer.get() == tile ? 1 : 0;
        if (call->op == "gemm" && call->regions[1].buffer.get() == tile &&
            is_whole(call->regions[1]) && cpu::packs_second_operand(*call, context))
          products.push_back(i);
      }
    // Each use is the second operand of one of these.
    if (products.empty() || uses != static_cast<int>(products.size()) + 1 ||
        uses_.at(tile) != uses)
      return false;
    for (const size_t i : products)
      list[i] = copy_node(*list[i].as<TileCall>(), [&](TileCall& node) { node.regions[1] = from; });
    list[at] = make_seq({});
    gone_.insert(tile);
    return true;
  }

  const LowerOptions& options_;
  Analyzer math_;
  std::unordered_set<const Node*> other_uses_; ///< by loads and stores
  std::unordered_set<const Node*> written_;
  std::unordered_map<const Node*, int> uses_; ///< by operators
  std::unordered_set<const Node*> gone_;
};

} // namespace

PrimFunc forward_copies(const PrimFunc& function, const LowerOptions& options) {
  Forwarding forwarding(function->body, options);
  const Stmt body = forwarding.rewrite(function->body);
  if (body == function->body)
    return function;
  // Nobody uses these tiles any more.
  const auto drop = [&](auto&& self, const Stmt& stmt) -> Stmt {
    if (const auto* alloc = stmt.as<AllocBuffer>();
        alloc != nullptr && forwarding.gone().contains(alloc->buffer.get()))
      return make_seq({});
    return rebuild(
        stmt, [&](const Stmt& child) { return self(self, child); },
        [](const Expr& expr) { return expr; });
  };
  return with_body(function, drop(drop, body));
}

} // namespace temper::tir
