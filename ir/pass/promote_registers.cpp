// Register tiles: accumulators of a reduction stay in registers.
//
//   for k in range(512):                            r: local (64,)
//     for i in range(4):                            r[0:16] = C[0:16]; r[16:32] = C[64:80]; ...
//       C[i * 64 : +16] =                    ->     for k in range(512):
//         C[i * 64 : +16]                             r[0:16] = r[0:16] + A[k] * B[k * 16 : +16]
//         + A[i * 512 + k] * B[k * 16 : +16]          r[16:32] = r[16:32] + A[512 + k] * B[..]
//                                                     ...
//                                                   C[0:16] = r[0:16]; C[64:80] = r[16:32]; ...
//
// A loop L (k) is a place for a tile of buffer C when every access of C inside L
//  - has an index whose only dependence on variables of L is on loops inside L with constant bounds
//    (the tile loops: i), each access relative to one common symbolic start,
//  - is unconditional and without a predicate other than that of a vector's constant tail, so that
//    reading C before L and writing it after L touches exactly what L touches,
//  - and the locations are equal or disjoint, and at least one is both read and written.
// Then the tile loops are unrolled, the locations become slots of a `local` buffer, loaded before L
// (those that L reads first) and stored after it (those that L writes).
//
// Loops are tried from the outside in: a tile that lives across the outer reduction loop saves more
// than one that is loaded and stored around the inner one. The limit is the register file:
// LowerOptions::tile_registers() vectors in all (28 of 32, 12 of 16: the rest holds operands), and
// max_unrolled_statements. So a small tile loop inside a reduction is unrolled whether or not the
// schedule asked for it; a tile that does not fit stays in memory.
//
// What stands just before L and only sets locations of a tile (the initialisation of a reduction)
// sets the slots instead, and memory is written once.
//
// Distinct buffers never overlap (the IR's meaning), so nothing else in L touches the tile.
#include "ir/op.h"
#include "ir/pass/fold.h"
#include "ir/pass/index_math.h"
#include "ir/pass/lowering.h"
#include "ir/pass/rewrite.h"
#include "ir/pass/unroll.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

namespace temper::ir {

using namespace tir; // NOLINT

namespace {

/// More locations than this are no register tile on any machine.
constexpr size_t kMaxLocations = 64;

struct Access {
  LinearForm start; ///< of the first lane
  int lanes = 1;
  int active = 1; ///< the first so many lanes exist
  bool is_store = false;
};

/// Everything that L's body does to one buffer.
struct BufferUse {
  bool possible = true;
  bool loaded = false;
  bool stored = false;
  std::vector<Access> accesses;
};

/// One slot of a tile.
struct Slot {
  int lanes = 1;
  int active = 1;
  int64_t at = 0; ///< in the local buffer
  bool loaded_first = false;
  bool touched = false;
  bool stored = false;
  bool initialised = false; ///< by what stands before the loop
};

/// How many lanes a predicate leaves on: those of a constant tail, all without one.
std::optional<int> active_lanes(const Expr& predicate, int lanes) {
  if (!predicate)
    return lanes;
  const auto* less = predicate.as<LT>();
  const auto* ramp = less != nullptr ? less->a.as<Ramp>() : nullptr;
  const auto* end = less != nullptr ? less->b.as<Broadcast>() : nullptr;
  if (ramp == nullptr || end == nullptr || !is_int(ramp->base, 0) || !is_int(ramp->stride, 1))
    return std::nullopt;
  const auto count = as_int(end->value);
  if (!count || *count < 1 || *count > lanes)
    return std::nullopt;
  return static_cast<int>(*count);
}

struct Tile {
  Buffer buffer;
  Buffer local;
  LinearForm start;              ///< common part of all indices, without a constant
  std::map<int64_t, Slot> slots; ///< by offset from `start`
};

class UseScanner {
public:
  explicit UseScanner(Analyzer& analyzer) : math_(analyzer) {}

  /// Buffers in the order in which they are met.
  std::vector<Buffer> order;
  std::unordered_map<Buffer, BufferUse, RefHash> uses;
  /// Loops inside, by their variables; and what cannot be a part of an index.
  std::unordered_map<const VarNode*, const For*> loops;
  std::unordered_set<const VarNode*> varying;
  bool possible = true;

  void scan(const Stmt& stmt) {
    tir::visit(
        stmt,
        [&](const For& loop) {
          scan(loop.min);
          scan(loop.extent);
          const Analyzer::Scope scope(math_);
          bind_loop(math_, loop);
          // A loop that may not run at all makes what is in it conditional.
          const bool runs = math_.bounds(loop.extent).low >= 1;
          if (loop.kind == ForKind::kParallel)
            possible = false;
          if (as_int(loop.min) && as_int(loop.extent))
            loops.emplace(loop.loop_var.get(), &loop);
          else
            varying.insert(loop.loop_var.get());
          conditions_ += runs ? 0 : 1;
          scan(loop.body);
          conditions_ -= runs ? 0 : 1;
        },
        [&](const BufferStore& store) {
          scan(store.value);
          scan(store.indices[0]);
          if (store.predicate)
            scan(store.predicate);
          access(store.buffer, store.indices[0], store.predicate, true);
        },
        [&](const SeqStmt& seq) {
          for (const Stmt& child : seq.statements)
            scan(child);
        },
        [&](const IfThenElse& branch) {
          scan(branch.condition);
          ++conditions_;
          scan(branch.then_case);
          if (branch.else_case)
            scan(branch.else_case);
          --conditions_;
        },
        [&](const Bind& bind) {
          scan(bind.value);
          varying.insert(bind.var.get());
        },
        [&](const AllocBuffer& alloc) { use(alloc.buffer).possible = false; },
        [&](const Evaluate& node) { scan(node.value); },
        [&](const StmtNode&) { possible = false; });
  }

private:
  BufferUse& use(const Buffer& buffer) {
    const auto [place, is_new] = uses.try_emplace(buffer);
    if (is_new)
      order.push_back(buffer);
    return place->second;
  }

  void scan(const Expr& expr) {
    if (const auto* load = expr.as<BufferLoad>()) {
      scan(load->indices[0]);
      if (load->predicate)
        scan(load->predicate);
      access(load->buffer, load->indices[0], load->predicate, false);
      return;
    }
    if (const auto* let = expr.as<Let>())
      varying.insert(let->var.get());
    bool lazy = expr->kind() == And::kKind || expr->kind() == Or::kKind;
    if (const auto* call = expr.as<Call>()) {
      lazy = call->op == "if_then_else" || call->op == "prefetch";
      // What an instruction reaches by its address is in memory.
      if (const OpInfo* op = find_op(call->op); op != nullptr && !lazy)
        for (int i = 0; i < op->addresses; ++i)
          if (const auto* place = call->args[static_cast<size_t>(i)].as<BufferLoad>())
            use(place->buffer).possible = false;
    }
    bool first = true;
    expr->info().for_each_child(expr.get(), [&](const NodeRef& child, Role role) {
      if (role != Role::kChild || !ExprNode::accepts(child->kind()))
        return;
      conditions_ += lazy && !first ? 1 : 0;
      scan(cast_ref<ExprNode>(child));
      conditions_ -= lazy && !first ? 1 : 0;
      first = false;
    });
  }

  void access(const Buffer& buffer, const Expr& index, const Expr& predicate, bool is_store) {
    BufferUse& found = use(buffer);
    (is_store ? found.stored : found.loaded) = true;
    if (!found.possible)
      return;
    const auto* ramp = index.as<Ramp>();
    const auto active = active_lanes(predicate, index->dtype.lanes);
    if (!active || conditions_ > 0 || (ramp == nullptr && !index->dtype.is_scalar()) ||
        (ramp != nullptr && !is_int(ramp->stride, 1))) {
      found.possible = false;
      return;
    }
    found.accesses.push_back({math_.linear(ramp != nullptr ? ramp->base : index),
                              index->dtype.lanes, *active, is_store});
  }

  Analyzer& math_;
  int conditions_ = 0;
};

class Promotion {
public:
  Promotion(const LowerOptions& options, bool folds)
      : options_(options), folds_(folds), budget_(options.tile_registers()) {}

  Stmt rewrite(const Stmt& stmt) {
    const auto* loop = stmt.as<For>();
    if (const auto* seq = stmt.as<SeqStmt>())
      return rewrite_sequence(*seq, stmt);
    if (loop == nullptr)
      return rebuild(
          stmt, [&](const Stmt& child) { return rewrite(child); },
          [](const Expr& expr) { return expr; });
    std::vector<Stmt> nothing;
    if (loop->kind == ForKind::kSerial || loop->kind == ForKind::kUnrolled)
      if (const Stmt promoted = promote(*loop, nothing))
        return promoted;
    return rewrite_inside(*loop, stmt);
  }

private:
  Stmt rewrite_sequence(const SeqStmt& seq, const Stmt& stmt) {
    std::vector<Stmt> statements;
    bool changed = false;
    for (const Stmt& child : seq.statements) {
      const auto* loop = child.as<For>();
      const size_t before = statements.size();
      Stmt result;
      if (loop != nullptr && (loop->kind == ForKind::kSerial || loop->kind == ForKind::kUnrolled))
        result = promote(*loop, statements);
      if (!result)
        result = loop != nullptr ? rewrite_inside(*loop, child) : rewrite(child);
      changed |= result != child || statements.size() != before;
      statements.push_back(result);
    }
    return changed ? make_seq(std::move(statements)) : stmt;
  }

  Stmt rewrite_inside(const For& loop, const Stmt& stmt) {
    const Analyzer::Scope scope(math_);
    bind_loop(math_, loop);
    const Stmt body = rewrite(loop.body);
    return body == loop.body ? stmt : Stmt(change_loop(loop, [&](For& node) { node.body = body; }));
  }

  /// The loops of a statement that does nothing but store values without loads to one buffer, which
  /// it returns; null when it does anything else.
  static Buffer initialised_buffer(const Stmt& stmt, LoopSet& loops) {
    if (const auto* loop = stmt.as<For>()) {
      if (!as_int(loop->min) || !as_int(loop->extent) || *as_int(loop->extent) < 1 ||
          *as_int(loop->extent) > static_cast<int64_t>(kMaxLocations) ||
          (loop->kind != ForKind::kSerial && loop->kind != ForKind::kUnrolled))
        return nullptr;
      loops.insert(loop);
      return initialised_buffer(loop->body, loops);
    }
    if (const auto* seq = stmt.as<SeqStmt>()) {
      Buffer buffer;
      for (const Stmt& child : seq->statements) {
        const Buffer one = initialised_buffer(child, loops);
        if (!one || (buffer && one != buffer))
          return nullptr;
        buffer = one;
      }
      return buffer;
    }
    const auto* store = stmt.as<BufferStore>();
    if (store == nullptr || has_load(store->value) || has_load(store->indices[0]) ||
        !active_lanes(store->predicate, store->indices[0]->dtype.lanes))
      return nullptr;
    return store->buffer;
  }

  /// The stores of `stmt` to slots of `tiles`, in order; empty when not all are, or the loop does
  /// not write one of them back.
  std::vector<Stmt> slot_values(const Stmt& stmt, std::vector<Tile>& tiles) {
    LoopSet loops;
    const Buffer buffer = initialised_buffer(stmt, loops);
    Tile* tile = nullptr;
    for (Tile& one : tiles)
      if (one.buffer == buffer)
        tile = &one;
    if (tile == nullptr || count_statements(stmt, loops) > static_cast<int64_t>(kMaxLocations))
      return {};
    std::vector<Stmt> flat{expand_loops(stmt, loops, math_)};
    std::vector<Stmt> values;
    std::vector<Slot*> slots;
    for (size_t i = 0; i < flat.size(); ++i) {
      const Stmt one = flat[i];
      if (const auto* seq = one.as<SeqStmt>()) {
        flat.insert(flat.begin() + static_cast<std::ptrdiff_t>(i) + 1, seq->statements.begin(),
                    seq->statements.end());
        continue;
      }
      const auto* store = one.as<BufferStore>();
      if (store == nullptr)
        return {};
      Slot* slot = find_slot(*tile, store->indices[0]);
      const int lanes = store->indices[0]->dtype.lanes;
      if (slot == nullptr || !slot->stored || slot->lanes != lanes ||
          slot->active != *active_lanes(store->predicate, lanes))
        return {};
      slots.push_back(slot);
      values.push_back(make_store(tile->local, {slot_index(*slot)}, store->value));
    }
    for (Slot* slot : slots)
      slot->initialised = true;
    return values;
  }

  /// The loop with its tiles in registers; null when there is none. Takes the last of `earlier`,
  /// the statements before it, that only set a tile's locations.
  Stmt promote(const For& loop, std::vector<Stmt>& earlier) {
    const IntInterval trips = math_.bounds(loop.extent);
    if (trips.low < 1 || trips.high == 1 || folded_.contains(loop.loop_var.get()))
      return nullptr;
    const Analyzer::Scope scope(math_);
    bind_loop(math_, loop);
    UseScanner scanner(math_);
    scanner.varying.insert(loop.loop_var.get());
    scanner.scan(loop.body);
    if (!scanner.possible)
      return nullptr;
    std::vector<Tile> tiles;
    LoopSet unrolled;
    int64_t registers = 0;
    for (const Buffer& buffer : scanner.order) {
      const BufferUse& use = scanner.uses.at(buffer);
      if (!use.possible || !use.loaded || !use.stored || buffer->scope == "local")
        continue;
      LoopSet tile_loops;
      if (auto tile = find_tile(scanner, buffer, use, tile_loops)) {
        for (const auto& [offset, slot] : tile->slots)
          registers +=
              std::max<int64_t>(1, int64_t{slot.lanes} * buffer->dtype.bits / options_.vector_bits);
        unrolled.insert(tile_loops.begin(), tile_loops.end());
        tiles.push_back(std::move(*tile));
      }
    }
    // What was folded for a tile further out is expanded as far as anyone is to know.
    for (const auto& [var, inner] : scanner.loops)
      if (folded_.contains(var))
        unrolled.insert(inner);
    if (tiles.empty() || registers > budget_ ||
        count_statements(loop.body, unrolled) > options_.max_unrolled_statements)
      return nullptr;

    const bool folds = folds_ && expands_by_constants(loop.body, unrolled);
    tiles_.swap(tiles);
    Stmt body = folds ? fold(loop.body, unrolled)
                      : into_registers(expand_loops(loop.body, unrolled, math_));
    tiles_.swap(tiles);
    if (!body)
      return nullptr;

    std::vector<Stmt> values;
    while (!earlier.empty()) {
      const std::vector<Stmt> found = slot_values(earlier.back(), tiles);
      if (found.empty())
        break;
      values.insert(values.begin(), found.begin(), found.end());
      earlier.pop_back();
    }
    std::vector<Stmt> before;
    std::vector<Stmt> after;
    for (const Tile& tile : tiles)
      before.push_back(make_alloc(tile.local));
    before.insert(before.end(), values.begin(), values.end());
    for (const Tile& tile : tiles) {
      for (const auto& [offset, slot] : tile.slots) {
        LinearForm at = tile.start;
        at.constant = offset;
        const Expr memory = vector_index(to_expr(at), slot.lanes);
        const Expr local = slot_index(slot);
        const Expr mask = slot.active < slot.lanes
                              ? first_lanes(memory->dtype.element(), slot.lanes, slot.active)
                              : nullptr;
        if (slot.loaded_first && !slot.initialised)
          before.push_back(make_store(tile.local, {local}, make_load(tile.buffer, {memory}, mask)));
        if (slot.stored)
          after.push_back(make_store(tile.buffer, {memory}, make_load(tile.local, {local}), mask));
      }
    }
    // What is inside may have tiles of its own, in the registers that are left.
    budget_ -= registers;
    body = rewrite(body);
    budget_ += registers;
    before.push_back(change_loop(loop, [&](For& node) { node.body = body; }));
    before.insert(before.end(), after.begin(), after.end());
    return make_seq(std::move(before));
  }

  std::optional<Tile> find_tile(const UseScanner& scanner, const Buffer& buffer,
                                const BufferUse& use, LoopSet& tile_loops) {
    Tile tile;
    tile.buffer = buffer;
    bool is_first = true;
    std::set<int64_t> loaded;
    std::set<int64_t> stored;
    for (const Access& access : use.accesses) {
      if (access.start.overflow)
        return std::nullopt;
      LinearForm start;
      start.dtype = access.start.dtype;
      std::vector<int64_t> offsets{access.start.constant};
      for (const LinearTerm& term : access.start.terms) {
        const auto* var = term.expr.as<VarNode>();
        const auto inner = var != nullptr ? scanner.loops.find(var) : scanner.loops.end();
        if (inner != scanner.loops.end()) {
          const For& tile_loop = *inner->second;
          const int64_t trips = *as_int(tile_loop.extent);
          if (trips < 1 || offsets.size() * static_cast<size_t>(trips) > kMaxLocations)
            return std::nullopt;
          tile_loops.insert(&tile_loop);
          std::vector<int64_t> more;
          for (const int64_t offset : offsets)
            for (int64_t i = 0; i < trips; ++i)
              more.push_back(offset + (*as_int(tile_loop.min) + i) * term.coefficient);
          offsets.swap(more);
          continue;
        }
        const bool varies = uses_var(term.expr, [&](const VarNode& node) {
          return scanner.varying.contains(&node) || scanner.loops.contains(&node);
        });
        if (varies || has_load(term.expr))
          return std::nullopt;
        start.terms.push_back(term);
      }
      if (!is_first && !same_terms(start, tile.start))
        return std::nullopt;
      tile.start = start;
      is_first = false;
      for (const int64_t offset : offsets) {
        const auto [place, is_new] = tile.slots.try_emplace(offset);
        if (!is_new &&
            (place->second.lanes != access.lanes || place->second.active != access.active))
          return std::nullopt;
        place->second.lanes = access.lanes;
        place->second.active = access.active;
        (access.is_store ? stored : loaded).insert(offset);
      }
      if (tile.slots.size() > kMaxLocations)
        return std::nullopt;
    }
    int64_t end = std::numeric_limits<int64_t>::min();
    bool accumulates = false;
    for (const auto& [offset, slot] : tile.slots) {
      if (offset < end)
        return std::nullopt; // two locations overlap
      end = offset + slot.active;
      accumulates |= loaded.contains(offset) && stored.contains(offset);
    }
    if (!accumulates)
      return std::nullopt;
    // Wide slots first: each starts at a multiple of its own lanes.
    std::vector<Slot*> order;
    for (auto& [offset, slot] : tile.slots)
      order.push_back(&slot);
    std::stable_sort(order.begin(), order.end(),
                     [](const Slot* a, const Slot* b) { return a->lanes > b->lanes; });
    int size = 0;
    for (Slot* slot : order) {
      slot->at = size;
      size += slot->lanes;
    }
    tile.local = make_buffer(buffer->name + "_reg", buffer->dtype,
                             {make_int(DataType::int64(), size)}, "local");
    return tile;
  }

  static bool has_load(const Expr& expr) {
    bool found = false;
    walk(expr, [&](const NodeRef& node) {
      found |= node->kind() == BufferLoad::kKind;
      return !found;
    });
    return found;
  }

  static Expr vector_index(const Expr& base, int lanes) {
    return lanes == 1 ? base : make_ramp(base, make_int(base->dtype, 1), lanes);
  }
  static Expr slot_index(const Slot& slot) {
    return vector_index(make_int(DataType::int64(), slot.at), slot.lanes);
  }

  /// Accesses of the tiles' buffers in the expanded `stmt` replaced; null when one is no slot's.
  Stmt into_registers(const Stmt& stmt) {
    failed_ = false;
    const Stmt replaced = replace_accesses(stmt);
    return failed_ ? nullptr : replaced;
  }

  /// The same with `loops` kept: slots are at their offsets, so that indices stay linear.
  Stmt fold(const Stmt& stmt, const LoopSet& loops) {
    failed_ = false;
    for (Tile& tile : tiles_)
      for (auto& [offset, slot] : tile.slots)
        slot.at = offset;
    const Stmt folded = fold_accesses(stmt, loops);
    if (failed_)
      return nullptr;
    for (const For* loop : loops)
      folded_.insert(loop->loop_var.get());
    Copies copies;
    touch_slots(folded, copies);
    return folded;
  }

  Stmt fold_accesses(const Stmt& stmt, const LoopSet& loops) {
    if (const auto* store = stmt.as<BufferStore>()) {
      const Expr value = fold_accesses(store->value);
      if (const Tile* tile = find(store->buffer))
        return make_store(tile->local, {offset_in(*tile, store->indices[0])}, value);
      return value == store->value
                 ? stmt
                 : make_store(store->buffer, store->indices, value, store->predicate);
    }
    const Analyzer::Scope scope(math_);
    const auto* loop = stmt.as<For>();
    if (loop != nullptr) {
      bind_loop(math_, *loop);
      nest_.push_back(loop->loop_var.get());
    }
    const Stmt folded = rebuild(
        stmt, [&](const Stmt& child) { return fold_accesses(child, loops); },
        [&](const Expr& expr) { return fold_accesses(expr); });
    if (loop != nullptr)
      nest_.pop_back();
    if (loop == nullptr || !loops.contains(loop) || folded->kind() != For::kKind)
      return folded;
    return change_loop(*folded.as<For>(), [](For& node) {
      node.kind = ForKind::kUnrolled;
      node.annotations = node.annotations.with(kFolded, make_int(DataType::int32(), 1));
    });
  }

  Expr fold_accesses(const Expr& expr) {
    if (const auto* load = expr.as<BufferLoad>())
      if (const Tile* tile = find(load->buffer))
        return make_load(tile->local, {offset_in(*tile, load->indices[0])});
    return map_parts(
        expr, [](const Stmt& stmt) { return stmt; },
        [&](const Expr& child) { return fold_accesses(child); });
  }

  Expr offset_in(const Tile& tile, const Expr& index) {
    const auto* ramp = index.as<Ramp>();
    LinearForm at = math_.linear(ramp != nullptr ? ramp->base : index);
    at.add(tile.start, -1);
    failed_ |= at.overflow;
    for (const LinearTerm& term : at.terms)
      failed_ |= term.expr->kind() != VarNode::kKind;
    // Equal offsets are to be equal expressions, in every run: outer loops first.
    const auto depth = [&](const LinearTerm& term) {
      const auto place = std::find(nest_.begin(), nest_.end(), term.expr.get());
      return place - nest_.begin();
    };
    std::stable_sort(at.terms.begin(), at.terms.end(),
                     [&](const LinearTerm& a, const LinearTerm& b) { return depth(a) < depth(b); });
    return vector_index(to_expr(at), index->dtype.lanes);
  }

  /// What stands for the variables of folded loops in the copy at hand; and the forms of indices.
  struct Copies {
    std::unordered_map<const VarNode*, int64_t> values;
    std::unordered_map<const Node*, LinearForm> forms;
  };

  /// Which slots a folded body loads and stores, and what it does first.
  void touch_slots(const Stmt& stmt, Copies& copies) {
    if (const auto* loop = stmt.as<For>();
        loop != nullptr && folded_.contains(loop->loop_var.get())) {
      const int64_t min = as_int(loop->min).value();
      for (int64_t i = 0; i < as_int(loop->extent).value(); ++i) {
        copies.values[loop->loop_var.get()] = min + i;
        touch_slots(loop->body, copies);
      }
      return;
    }
    stmt->info().for_each_child(stmt.get(), [&](const NodeRef& child, Role) {
      if (StmtNode::accepts(child->kind()))
        touch_slots(cast_ref<StmtNode>(child), copies);
      else if (ExprNode::accepts(child->kind()))
        walk(child, [&](const NodeRef& node) {
          if (const auto* load = node.as<BufferLoad>())
            if (Tile* tile = find_local(load->buffer)) {
              Slot& slot = slot_at(*tile, load->indices[0], copies);
              slot.loaded_first |= !slot.touched;
              slot.touched = true;
            }
          return true;
        });
    });
    if (const auto* store = stmt.as<BufferStore>())
      if (Tile* tile = find_local(store->buffer)) {
        Slot& slot = slot_at(*tile, store->indices[0], copies);
        slot.touched = true;
        slot.stored = true;
      }
  }

  static Slot& slot_at(Tile& tile, const Expr& index, Copies& copies) {
    const auto [place, is_new] = copies.forms.try_emplace(index.get());
    if (is_new) {
      const auto* ramp = index.as<Ramp>();
      place->second = linear_form(ramp != nullptr ? ramp->base : index);
    }
    int64_t offset = place->second.constant;
    for (const LinearTerm& term : place->second.terms)
      offset += term.coefficient * copies.values.at(static_cast<const VarNode*>(term.expr.get()));
    return tile.slots.at(offset);
  }

  Tile* find_local(const Buffer& buffer) {
    for (Tile& tile : tiles_)
      if (tile.local == buffer)
        return &tile;
    return nullptr;
  }

  /// In the order in which they happen.
  Stmt replace_accesses(const Stmt& stmt) {
    if (const auto* store = stmt.as<BufferStore>()) {
      const Expr value = replace_accesses(store->value);
      Tile* tile = find(store->buffer);
      if (tile == nullptr)
        return value == store->value
                   ? stmt
                   : make_store(store->buffer, store->indices, value, store->predicate);
      Slot* slot = slot_of(*tile, store->indices[0]);
      if (slot == nullptr)
        return stmt;
      slot->touched = true;
      slot->stored = true;
      return make_store(tile->local, {slot_index(*slot)}, value);
    }
    const Analyzer::Scope scope(math_);
    if (const auto* loop = stmt.as<For>())
      bind_loop(math_, *loop);
    return rebuild(
        stmt, [&](const Stmt& child) { return replace_accesses(child); },
        [&](const Expr& expr) { return replace_accesses(expr); });
  }

  Expr replace_accesses(const Expr& expr) {
    if (const auto* load = expr.as<BufferLoad>()) {
      if (Tile* tile = find(load->buffer)) {
        Slot* slot = slot_of(*tile, load->indices[0]);
        if (slot == nullptr)
          return expr;
        slot->loaded_first |= !slot->touched;
        slot->touched = true;
        return make_load(tile->local, {slot_index(*slot)});
      }
    }
    return map_parts(
        expr, [](const Stmt& stmt) { return stmt; },
        [&](const Expr& child) { return replace_accesses(child); });
  }

  Tile* find(const Buffer& buffer) {
    for (Tile& tile : tiles_)
      if (tile.buffer == buffer)
        return &tile;
    return nullptr;
  }

  /// Null (and the promotion is given up) when the unrolled index does not simplify to a slot.
  Slot* slot_of(Tile& tile, const Expr& index) {
    Slot* slot = find_slot(tile, index);
    failed_ |= slot == nullptr;
    return slot;
  }
  Slot* find_slot(Tile& tile, const Expr& index) {
    const auto* ramp = index.as<Ramp>();
    const Expr& base = ramp != nullptr ? ramp->base : index;
    LinearForm at = linear_form(base); // nearly always canonical already
    at.add(tile.start, -1);
    if (!at.is_constant()) {
      at = math_.linear(base);
      at.add(tile.start, -1);
    }
    const auto slot = at.is_constant() ? tile.slots.find(at.constant) : tile.slots.end();
    return slot == tile.slots.end() ? nullptr : &slot->second;
  }

  const LowerOptions& options_;
  bool folds_;
  int64_t budget_;
  Analyzer math_;
  std::unordered_set<const VarNode*> folded_; ///< of loops that stay where others expand them
  std::vector<const Node*> nest_;             ///< variables of loops around what is being folded
  std::vector<Tile> tiles_;                   ///< while accesses are replaced
  bool failed_ = false;
};

} // namespace

PrimFunc promote_registers(const PrimFunc& function, const LowerOptions& options) {
  return with_body(function, Promotion(options, false).rewrite(function->body));
}

PrimFunc promote_registers_folded(const PrimFunc& function, const LowerOptions& options) {
  return with_body(function, Promotion(options, true).rewrite(function->body));
}

} // namespace temper::ir
