// A copy of what an operator lays out anew anyway is one too many.
//
//   T.copy(B[k * 256:.., bx * 512:..], B_shared)        T.gemm(A_shared,
//   T.gemm(A_shared, B_shared, C_local)           ->           B[k * 256:.., bx * 512:..], C_local)
//
// On a CPU shared memory is memory. An operand of a matrix product in register tiles that is packed
// into panels or read in place (ir/tir/cpu/gemm_register_tile.cpp) is read from where it comes
// when:
//  - the tile is written by one copy, whole, without a cast, and all its other uses are products
//    that read through it, after the copy in the same list of statements;
//  - the copy's source lies inside of its tensor (what hangs over the edge must become zero), is
//    written nowhere in the function, and its place does not depend on memory.
// An operand that is not packed keeps its tile: rows lie a power of two apart in most tensors, and
// a tile of its own keeps them from falling on the same lines of the first cache.
//
// Likewise a tile of sums that is copied out whole: its products are summed where they belong.
//
//   T.clear(C_local)                                    T.clear(C[by * 128:.., bx * 64:..])
//   for k in T.Pipelined(4):                            for k in T.Pipelined(4):
//     T.gemm(A_shared, B_shared, C_local)       ->        T.gemm(A_shared, B_shared, C[by *
//     128:..])
//   T.copy(C_local, C[by * 128, bx * 64])
//
// This holds when:
//  - the tile is allocated in the list of statements that ends with the copy, and before that is
//    only cleared, filled, or a product's sum;
//  - the copy is without a cast, to a region inside of its tensor, whose place is known at the
//    allocation and does not depend on memory;
//  - nothing in between touches that tensor or leaves the list.
//
// A tile that is cleared just for a product to be summed in it is cleared by the product, in
// registers (clear_accum). A loop of one iteration is in nobody's way.
#include "ir/arith/region.h"
#include "ir/arith/simplify.h"
#include "ir/pass/rewrite.h"
#include "ir/structural.h"
#include "ir/tir/cpu/variants.h"
#include "ir/tir/dispatch.h"
#include "ir/tir/pipeline_stages.h"
#include "ir/walk.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace temper::tir {
namespace {

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
    std::vector<Stmt> list;
    bool changed = without_single_trips(seq->statements, list);
    for (size_t i = 0; i < list.size(); ++i)
      changed |= forward(list, i) || sum_in_place(list, i);
    for (size_t i = 0; i < list.size(); ++i)
      changed |= clear_in_product(list, i);
    for (Stmt& child : list) {
      Stmt inner = rewrite(child);
      changed |= inner != child;
      child = std::move(inner);
    }
    return changed ? make_seq(std::move(list)) : stmt;
  }

  const std::unordered_set<const Node*>& gone() const { return gone_; }

private:
  /// The statements, with the bodies of loops of one iteration in their place.
  static bool without_single_trips(const std::vector<Stmt>& statements, std::vector<Stmt>& list) {
    bool changed = false;
    for (const Stmt& child : statements) {
      const auto* loop = child.as<For>();
      if (loop == nullptr || !is_int(loop->extent, 1) ||
          (loop->kind != ForKind::kSerial && loop->kind != ForKind::kPipelined)) {
        list.push_back(child);
        continue;
      }
      changed = true;
      const Stmt body = substitute(loop->body, VarMap{{loop->loop_var, loop->min}});
      if (const auto* inner = body.as<SeqStmt>())
        without_single_trips(inner->statements, list);
      else
        without_single_trips({body}, list);
    }
    return changed;
  }

  /// list[at] clears what the next one that uses it sums a product in.
  static bool clear_in_product(std::vector<Stmt>& list, size_t at) {
    const auto* clear = list[at].as<TileCall>();
    if (clear == nullptr ||
        !(clear->op == "clear" || (clear->op == "fill" && is_int(clear->values[0], 0))))
      return false;
    const BufferRegion& region = clear->regions[0];
    for (size_t i = at + 1; i < list.size(); ++i) {
      bool uses = false;
      walk(list[i], [&](const NodeRef& node) {
        uses |= node.get() == region.buffer.get() || leaves(node);
        return !uses;
      });
      if (!uses)
        continue;
      const auto* product = list[i].as<TileCall>();
      if (product == nullptr || product->op != "gemm" ||
          product->regions[0].buffer == region.buffer ||
          product->regions[1].buffer == region.buffer || !same_region(product->regions[2], region))
        return false;
      list[i] = copy_node(*product, [](TileCall& node) {
        node.options = node.options.with("clear_accum", make_bool(true));
      });
      list[at] = make_seq({});
      return true;
    }
    return false;
  }

  static bool leaves(const NodeRef& node) {
    return node->kind() == Break::kKind || node->kind() == Continue::kKind ||
           node->kind() == Return::kKind;
  }
  static bool same_region(const BufferRegion& a, const BufferRegion& b) {
    return a.buffer == b.buffer && std::equal(a.region.begin(), a.region.end(), b.region.begin(),
                                              b.region.end(), [](const Range& x, const Range& y) {
                                                return structural_equal(x.min, y.min) &&
                                                       structural_equal(x.extent, y.extent);
                                              });
  }

  bool forward(std::vector<Stmt>& list, size_t at) {
    const auto* copy = list[at].as<TileCall>();
    if (copy == nullptr || copy->op != "copy")
      return false;
    const BufferRegion& from = copy->regions[0];
    const BufferRegion& to = copy->regions[1];
    const Node* tile = to.buffer.get();
    if (from.buffer->scope != "global" || tile_scope(to.buffer->scope) != "shared" ||
        from.buffer->dtype != to.buffer->dtype || !is_whole(to) || other_uses_.contains(tile) ||
        written_.contains(from.buffer.get()) || reads_memory(from) || !cpu::is_inside(from, math_))
      return false;
    TileContext context{options_, math_};
    std::vector<std::pair<size_t, size_t>> products; // where, and which operand
    int uses = 1;
    for (size_t i = at + 1; i < list.size(); ++i)
      if (const auto* call = list[i].as<TileCall>())
        for (size_t operand = 0; operand < call->regions.size(); ++operand) {
          if (call->regions[operand].buffer.get() != tile)
            continue;
          ++uses;
          if (call->op == "gemm" && is_whole(call->regions[operand]) &&
              cpu::reads_through(*call, operand, context))
            products.emplace_back(i, operand);
        }
    // Each use is an operand of one of these.
    if (products.empty() || uses != static_cast<int>(products.size()) + 1 || uses_.at(tile) != uses)
      return false;
    for (const auto& [i, operand] : products)
      list[i] = copy_node(*list[i].as<TileCall>(),
                          [&, operand = operand](TileCall& node) { node.regions[operand] = from; });
    list[at] = make_seq({});
    gone_.insert(tile);
    return true;
  }

  /// The tile that list[at] copies out, when it is made in this list and holds nothing but sums.
  bool sum_in_place(std::vector<Stmt>& list, size_t at) {
    const auto* copy = list[at].as<TileCall>();
    if (copy == nullptr || copy->op != "copy")
      return false;
    const BufferRegion& from = copy->regions[0];
    const BufferRegion& to = copy->regions[1];
    const Buffer& tile = from.buffer;
    size_t first = 0;
    while (first < at &&
           !(list[first].is<AllocBuffer>() && list[first].as<AllocBuffer>()->buffer == tile))
      ++first;
    if (first == at || to.buffer->scope != "global" || to.buffer->dtype != tile->dtype ||
        !is_whole(from) || tile_shape(from).size() != tile_shape(to).size() ||
        other_uses_.contains(tile.get()) || reads_memory(to) || !cpu::is_inside(to, math_))
      return false;
    int uses = 1;
    bool products = false;
    bool possible = true;
    for (size_t i = first + 1; i < at; ++i)
      walk(list[i], [&](const NodeRef& node) {
        if (const auto* call = node.as<TileCall>())
          for (size_t operand = 0; operand < call->regions.size(); ++operand) {
            const Buffer& buffer = call->regions[operand].buffer;
            possible = possible && buffer != to.buffer;
            if (buffer != tile)
              continue;
            ++uses;
            const bool sum = call->op == "gemm" && operand == 2;
            products |= sum;
            possible = possible && (sum || call->op == "clear" || call->op == "fill");
          }
        if (const auto* load = node.as<BufferLoad>())
          possible = possible && load->buffer != to.buffer;
        else if (const auto* store = node.as<BufferStore>())
          possible = possible && store->buffer != to.buffer;
        else if (const auto* bind = node.as<Bind>())
          possible = possible && !mentions(to, bind->var);
        possible = possible && !leaves(node);
        return possible;
      });
    if (!possible || !products || uses_.at(tile.get()) != uses)
      return false;
    for (size_t i = first + 1; i < at; ++i)
      list[i] = cast_ref<StmtNode>(rewrite_post(list[i], [&](const NodeRef& node) -> NodeRef {
        const auto* call = node.as<TileCall>();
        if (call == nullptr)
          return node;
        std::vector<BufferRegion> regions = call->regions;
        bool changed = false;
        for (BufferRegion& region : regions)
          if (region.buffer == tile) {
            region = part_of(to, region);
            changed = true;
          }
        return changed ? NodeRef(copy_node(*call, [&](TileCall& made) { made.regions = regions; }))
                       : node;
      }));
    list[at] = make_seq({});
    gone_.insert(tile.get());
    return true;
  }

  static bool mentions(const BufferRegion& region, const Var& var) {
    return std::any_of(region.region.begin(), region.region.end(), [&](const Range& range) {
      return uses_var(range.min, [&](const VarNode& node) { return &node == var.get(); });
    });
  }

  /// What `part` is of its tile, in the region that takes the tile's place.
  static BufferRegion part_of(const BufferRegion& whole, const BufferRegion& part) {
    BufferRegion result = whole;
    size_t d = 0;
    for (Range& range : result.region) {
      if (is_int(range.extent, 1))
        continue;
      while (is_int(part.buffer->shape[d], 1))
        ++d;
      range = {range.min + tile_cast(range.min->dtype, part.region[d].min), part.region[d].extent};
      ++d;
    }
    return result;
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
