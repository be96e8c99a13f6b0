// Loop fission with scalar expansion. A kernel's body is a sequence of the block's statements; runs
// of them that no barrier interrupts become one nest of loops over the threads. First it is decided
// which statements are the block's (they hold a barrier, a collective operation, or a jump out of a
// loop that does) and which variables live in more than one run; then the code is made.
#include "ir/tir/emulator/thread_loops.h"

#include "ir/op.h"
#include "ir/pass/rewrite.h"
#include "ir/tir/atomic.h"
#include "ir/tir/fragments.h"
#include "ir/tir/layout_expr.h"
#include "ir/tir/matrix_text.h"
#include "ir/tir/mfma.h"
#include "ir/tir/printing.h"
#include "ir/tir/statement_call.h"
#include "ir/tir/tile.h"
#include "ir/tir/tile_ops.h"

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <functional>
#include <map>
#include <unordered_map>
#include <unordered_set>

namespace temper::tir {
namespace {

constexpr int64_t kLanes = 32;
constexpr std::array<const char*, 6> kAxes = {"blockIdx.x",  "blockIdx.y",  "blockIdx.z",
                                              "threadIdx.x", "threadIdx.y", "threadIdx.z"};

int axis_of(const std::string& tag) {
  for (size_t i = 0; i < kAxes.size(); ++i)
    if (tag == kAxes[i])
      return static_cast<int>(i);
  return -1;
}

const DataType kIndex = DataType::int32();

Expr integer(int64_t value) { return make_int(kIndex, value); }

bool is_shuffle(const Expr& value) {
  const auto* call = value.as<Call>();
  return call != nullptr && call->op.starts_with("shfl_");
}

/// Orders the threads' accesses, and does nothing else here.
bool is_barrier(const Stmt& stmt) {
  const Call* call = call_of(stmt);
  return call != nullptr && ((call->op == "sync_threads" && call->args.empty()) ||
                             call->op == "sync_warp" || call->op == "mbarrier_wait_parity");
}
/// What copies at issue make of waits for them.
bool is_nothing_here(const Stmt& stmt) {
  const Call* call = call_of(stmt);
  return call != nullptr &&
         (call->op == "ptx_commit_group" || call->op == "ptx_wait_group" ||
          call->op == "fence_proxy_async" || call->op == "setmaxnreg" ||
          call->op == "mbarrier_init" || call->op == "tma_store_arrive" ||
          call->op == "tma_store_wait" || call->op == "mbarrier_expect_tx" ||
          call->op == "mbarrier_arrive_expect_tx" || call->op.starts_with("warpgroup_"));
}
bool is_collective(const Stmt& stmt) {
  if (const auto* bind = stmt.as<Bind>())
    return is_shuffle(bind->value);
  const Call* call = call_of(stmt);
  return call != nullptr &&
         (call->op == "ptx_ldmatrix" || call->op == "ptx_stmatrix" || call->op == "ptx_mma" ||
          call->op == "amd_mfma" || call->op == "ptx_wgmma_ss" || call->op == "ptx_wgmma_rs");
}

class KernelLoops {
public:
  Result<Stmt> run(const Stmt& kernel) {
    Stmt body = threads_removed(kernel);
    for (size_t i = 0; i < axes_.size(); ++i)
      if (i >= 3 && axes_[i].extent) {
        const auto extent = as_int(axes_[i].extent);
        if (!extent)
          fail(*kernel, "the number of threads must be constant");
        threads_ *= extent.value_or(1);
      }
    body = make_seq(prepared(body));
    body = without_returns(body);
    if (!error_.message.empty())
      return error_;
    for (size_t i = 3; i < axes_.size(); ++i)
      varying_.insert(axes_[i].var.get());
    for (size_t before = 0; before != varying_.size();) {
      before = varying_.size();
      spread(body, false);
    }
    for (size_t i = 0; i < 3; ++i)
      block_vars_.insert(axes_[i].var.get());
    number(body);
    std::vector<Stmt> out;
    emit(body, out);
    if (!error_.message.empty())
      return error_;
    Stmt result = make_seq(std::move(out));
    for (size_t i = 0; i < 3; ++i)
      result = axes_[i].extent ? make_for(axes_[i].var, make_int(axes_[i].var->dtype, 0),
                                          axes_[i].extent, ForKind::kSerial, result)
                               : result;
    std::vector<Stmt> all = std::move(allocations_);
    all.push_back(std::move(result));
    return make_seq(std::move(all));
  }

private:
  struct Axis {
    Var var;
    Expr extent; ///< null: not there
  };

  void fail(const Node& where, const std::string& message) {
    if (error_.message.empty())
      error_ =
          Error(ErrorCode::kUnsupported,
                (where.span.line > 0 ? fmt::format("line {}: ", where.span.line) : "") + message);
  }

  // The kernel without its thread axes, one statement for each thing that is done.

  Stmt threads_removed(const Stmt& kernel) {
    for (size_t i = 0; i < axes_.size(); ++i)
      axes_[i].var = make_var(std::string(1, "xyz"[i % 3]).insert(0, i < 3 ? "b" : "t"), kIndex);
    if (const auto* launch = kernel.as<KernelLaunch>()) {
      for (size_t d = 0; d < launch->grid.size(); ++d)
        axes_[d] = {launch->block_vars[d], launch->grid[d]};
      for (size_t d = 0; d < launch->threads.size(); ++d)
        axes_[3 + d] = {launch->thread_vars[d], launch->threads[d]};
      return launch->body;
    }
    VarMap values;
    const Stmt body = without_bindings(kernel, values);
    return substitute(body, values);
  }
  Stmt without_bindings(const Stmt& stmt, VarMap& values) {
    if (const auto* loop = stmt.as<For>();
        loop != nullptr && loop->kind == ForKind::kThreadBinding) {
      const int axis = axis_of(loop->thread);
      if (axis < 0) {
        fail(*loop, "there is no thread axis \"" + loop->thread + "\"");
        return stmt;
      }
      Axis& known = axes_[static_cast<size_t>(axis)];
      if (!known.extent)
        known.extent = loop->extent;
      Expr value = tile_cast(loop->loop_var->dtype, known.var);
      if (!is_int(loop->min, 0))
        value = loop->min + value;
      values.emplace(loop->loop_var, value);
      return without_bindings(loop->body, values);
    }
    return rebuild(
        stmt, [&](const Stmt& child) { return without_bindings(child, values); },
        [](const Expr& expr) { return expr; });
  }

  /// The expression with its shuffles taken out in front, into variables.
  Expr without_shuffles(const Expr& expr, const Stmt& owner, std::vector<Stmt>& before) {
    return cast_ref<ExprNode>(rewrite_post(expr, [&](const NodeRef& node) -> NodeRef {
      const auto* call = node.as<Call>();
      if (call == nullptr || !is_shuffle(Expr(call)))
        return node;
      const Var result = make_var("shuffled", call->dtype);
      Stmt bind = make_bind(result, Expr(call));
      bind->span = call->span.line > 0 ? call->span : owner->span;
      before.push_back(std::move(bind));
      return result;
    }));
  }

  std::vector<Stmt> prepared(const Stmt& stmt) {
    std::vector<Stmt> list;
    if (const auto* seq = stmt.as<SeqStmt>()) {
      for (const Stmt& child : seq->statements)
        for (Stmt& part : prepared(child))
          list.push_back(std::move(part));
      return list;
    }
    if (const Call* call = call_of(stmt)) {
      const OpInfo* op = find_op(call->op);
      const bool known = is_barrier(stmt) || is_collective(stmt) || is_nothing_here(stmt) ||
                         call->op == "ptx_cp_async" || call->op == "copy_vector" ||
                         call->op == "tma_load" || call->op == "tma_store" ||
                         call->op.starts_with("atomic_") || call->op == kPrint;
      if (op != nullptr && op->result == OpResult::kStatement && !known)
        fail(*stmt, "T." + call->op +
                        (call->op == "sync_threads" ? " of a part of the block" : "") +
                        " has no compiled form; the interpreter runs it");
    }
    if (const auto* loop = stmt.as<While>(); loop != nullptr) {
      std::vector<Stmt> before;
      without_shuffles(loop->condition, stmt, before);
      if (!before.empty())
        fail(*stmt, "a shuffle stands in the condition of a loop; bind its result before");
    }
    std::vector<Stmt> before;
    const Stmt changed = map_parts(
        stmt, [&](const Stmt& child) { return make_seq(prepared(child)); },
        [&](const Expr& expr) { return without_shuffles(expr, stmt, before); });
    if (changed->span.line == 0)
      changed->span = stmt->span;
    list = std::move(before);
    list.push_back(changed);
    return list;
  }

  /// if c: return; rest  ->  if not c: rest.
  Stmt without_returns(const Stmt& stmt) {
    const auto* seq = stmt.as<SeqStmt>();
    const auto returns = [](const Stmt& s) {
      bool found = false;
      walk(s, [&](const NodeRef& node) {
        found |= node.as<Return>() != nullptr;
        return !found;
      });
      return found;
    };
    if (!returns(stmt))
      return stmt;
    const std::vector<Stmt> statements = seq != nullptr ? seq->statements : std::vector<Stmt>{stmt};
    std::vector<Stmt> list;
    for (size_t i = 0; i < statements.size(); ++i) {
      const Stmt& child = statements[i];
      if (!returns(child)) {
        list.push_back(child);
        continue;
      }
      if (child.as<Return>() != nullptr)
        return make_seq(std::move(list));
      const auto* branch = child.as<IfThenElse>();
      if (branch == nullptr || branch->else_case || branch->then_case.as<Return>() == nullptr) {
        fail(*child, "a return from within other control flow has no compiled form; the "
                     "interpreter runs it");
        return stmt;
      }
      const Stmt rest = without_returns(make_seq(
          std::vector<Stmt>(statements.begin() + static_cast<int64_t>(i) + 1, statements.end())));
      if (!is_nothing(rest)) {
        Stmt guarded = make_if(negate(branch->condition), rest);
        guarded->span = child->span;
        list.push_back(std::move(guarded));
      }
      return make_seq(std::move(list));
    }
    return make_seq(std::move(list));
  }

  // What differs between threads.

  bool differs(const NodeRef& expr) const {
    bool found = false;
    walk(expr, [&](const NodeRef& node) {
      if (const auto* load = node.as<BufferLoad>())
        found |= varying_.contains(load->buffer.get());
      found |= varying_.contains(node.get());
      found |= is_shuffle_node(node);
      return !found;
    });
    return found;
  }
  static bool is_shuffle_node(const NodeRef& node) {
    const auto* call = node.as<Call>();
    return call != nullptr && call->op.starts_with("shfl_");
  }
  static bool is_local(const Buffer& buffer) { return buffer->scope.starts_with("local"); }

  void spread(const Stmt& stmt, bool inside) {
    if (const auto* bind = stmt.as<Bind>()) {
      if (differs(bind->value))
        varying_.insert(bind->var.get());
    } else if (const auto* store = stmt.as<BufferStore>()) {
      bool differ = inside || differs(store->value);
      for (const Expr& index : store->indices)
        differ |= differs(index);
      if (differ && is_local(store->buffer))
        varying_.insert(store->buffer.get());
    } else if (const Call* call = call_of(stmt)) {
      for (const Expr& arg : call->args)
        if (const auto* load = arg.as<BufferLoad>(); load != nullptr && is_local(load->buffer))
          varying_.insert(load->buffer.get());
    } else if (const auto* loop = stmt.as<For>()) {
      const bool differ = differs(loop->min) || differs(loop->extent);
      if (differ)
        varying_.insert(loop->loop_var.get());
      spread(loop->body, inside || differ || leaves_differently(loop->body));
    } else if (const auto* loop = stmt.as<While>()) {
      spread(loop->body, inside || differs(loop->condition) || leaves_differently(loop->body));
    } else if (const auto* branch = stmt.as<IfThenElse>()) {
      const bool differ = inside || differs(branch->condition);
      spread(branch->then_case, differ);
      if (branch->else_case)
        spread(branch->else_case, differ);
    } else if (const auto* seq = stmt.as<SeqStmt>()) {
      for (const Stmt& child : seq->statements)
        spread(child, inside);
    }
  }
  /// Some threads may leave the loop with this body before others.
  bool leaves_differently(const Stmt& body) const {
    bool found = false;
    walk(body, [&](const NodeRef& node) {
      const auto* branch = node.as<IfThenElse>();
      if (branch != nullptr && differs(branch->condition) && jumps(Stmt(branch)))
        found = true;
      return !found && node->kind() >= kTirKinds;
    });
    return found;
  }

  /// It has a break or continue of a loop around it.
  static bool jumps(const Stmt& stmt) {
    bool found = false;
    const auto look = [&](auto&& self, const Stmt& s) -> void {
      if (s.as<Break>() != nullptr || s.as<Continue>() != nullptr)
        found = true;
      if (found || s.as<For>() != nullptr || s.as<While>() != nullptr)
        return;
      s->info().for_each_child(s.get(), [&](const NodeRef& child, Role) {
        if (StmtNode::accepts(child->kind()))
          self(self, cast_ref<StmtNode>(child));
      });
    };
    look(look, stmt);
    return found;
  }

  /// The block's own: it holds a barrier or a collective operation, or leaves a loop that does.
  bool is_blocks(const Stmt& stmt) {
    if (const auto found = blocks_.find(stmt.get()); found != blocks_.end())
      return found->second;
    bool result = is_barrier(stmt) || is_collective(stmt);
    stmt->info().for_each_child(stmt.get(), [&](const NodeRef& child, Role) {
      if (!result && StmtNode::accepts(child->kind()))
        result = is_blocks(cast_ref<StmtNode>(child));
    });
    blocks_.emplace(stmt.get(), result);
    return result;
  }
  bool stands_alone(const Stmt& stmt) { return is_blocks(stmt) || jumps(stmt); }

  /// x = e that is the same for all threads and reads no memory: a name of the block.
  bool is_blocks_name(const Stmt& stmt) {
    const auto* bind = stmt.as<Bind>();
    if (bind == nullptr || varying_.contains(bind->var.get()))
      return false;
    bool plain = true;
    walk(bind->value, [&](const NodeRef& node) {
      if (const auto* var = node.as<VarNode>())
        plain &= block_vars_.contains(var);
      const auto* call = node.as<Call>();
      plain &= node->kind() != BufferLoad::kKind && node->kind() != Let::kKind &&
               (call == nullptr || find_op(call->op)->pure);
      return plain;
    });
    return plain;
  }

  // Which run each variable belongs to.

  void note(const NodeRef& node) {
    walk(node, [&](const NodeRef& child) {
      if (const auto* var = child.as<VarNode>()) {
        note_node(var);
      } else if (const auto* load = child.as<BufferLoad>()) {
        note_buffer(load->buffer);
      } else if (const auto* store = child.as<BufferStore>()) {
        note_buffer(store->buffer);
      } else if (const auto* alloc = child.as<AllocBuffer>()) {
        note_buffer(alloc->buffer);
      }
      return true;
    });
  }
  void note_buffer(const Buffer& buffer) {
    if (is_local(buffer))
      note_node(buffer.get());
  }
  void note_node(const Node* node) {
    const auto [known, added] = run_of_.emplace(node, run_);
    if (!added && known->second != run_)
      expanded_.insert(node);
  }

  void number(const Stmt& stmt) {
    for (const Stmt& child : statements_of(stmt)) {
      if (is_blocks_name(child)) {
        block_vars_.insert(child.as<Bind>()->var.get());
        continue;
      }
      if (!stands_alone(child)) {
        note(child);
        continue;
      }
      ++run_;
      if (const auto* loop = child.as<For>()) {
        block_vars_.insert(loop->loop_var.get());
        note(loop->min);
        note(loop->extent);
        ++run_;
        number(loop->body);
      } else if (const auto* loop = child.as<While>()) {
        note(loop->condition);
        ++run_;
        number(loop->body);
      } else if (const auto* branch = child.as<IfThenElse>()) {
        note(branch->condition);
        ++run_;
        number(branch->then_case);
        ++run_;
        if (branch->else_case)
          number(branch->else_case);
      } else {
        note(child);
      }
      ++run_;
    }
  }
  static std::vector<Stmt> statements_of(const Stmt& stmt) {
    const auto* seq = stmt.as<SeqStmt>();
    return seq != nullptr ? seq->statements : std::vector<Stmt>{stmt};
  }

  // Code.

  bool is_expanded(const Node* node) const {
    return expanded_.contains(node) && !block_vars_.contains(node);
  }
  Buffer memory(const Buffer& local) {
    Buffer& array = arrays_[local.get()];
    if (!array) {
      array = copy_node(*local, [&](BufferNode& copy) {
        copy.scope = "global";
        copy.shape.insert(copy.shape.begin(), integer(threads_));
        if (!copy.strides.empty())
          copy.strides.insert(copy.strides.begin(), integer(*local->element_count()));
      });
      allocations_.push_back(make_alloc(array));
    }
    return array;
  }
  Buffer memory(const Var& var) {
    Buffer& array = arrays_[var.get()];
    if (!array) {
      array = make_buffer(var->name + "_of", var->dtype, {integer(threads_)});
      allocations_.push_back(make_alloc(array));
    }
    return array;
  }
  Buffer scratch(const char* name, DataType dtype, int64_t count) {
    const Buffer buffer = make_buffer(name, dtype, {integer(count)});
    allocations_.push_back(make_alloc(buffer));
    return buffer;
  }

  /// A thread: its number, and its coordinates.
  struct Thread {
    Expr number;
    VarMap coordinates;
  };
  Thread thread_of(const Expr& number) const {
    Thread thread{number, {}};
    int64_t weight = 1;
    for (size_t i = 3; i < axes_.size(); ++i) {
      const int64_t extent = axes_[i].extent ? *as_int(axes_[i].extent) : 1;
      Expr value = weight > 1 ? floordiv(number, weight) : number;
      weight *= extent;
      if (weight < threads_)
        value = floormod(value, extent);
      if (extent == 1)
        value = integer(0);
      thread.coordinates.emplace(axes_[i].var, tile_cast(axes_[i].var->dtype, value));
    }
    return thread;
  }

  Expr of_thread(const Expr& expr, const Thread& thread) {
    if (!expr)
      return expr;
    return cast_ref<ExprNode>(rewrite_post(expr, [&](const NodeRef& node) -> NodeRef {
      if (const auto* var = node.as<VarNode>()) {
        if (const auto found = thread.coordinates.find(Var(var)); found != thread.coordinates.end())
          return found->second;
        if (is_expanded(var))
          return make_load(memory(Var(var)), {thread.number});
      } else if (const auto* load = node.as<BufferLoad>();
                 load != nullptr && is_expanded(load->buffer.get())) {
        return of_memory(*load, thread);
      }
      return node;
    }));
  }
  Expr of_memory(const BufferLoad& load, const Thread& thread) {
    return make_load(memory(load.buffer), with_thread(load.indices, thread), load.predicate);
  }
  static std::vector<Expr> with_thread(std::vector<Expr> indices, const Thread& thread) {
    indices.insert(indices.begin(), thread.number);
    return indices;
  }

  Stmt of_thread(const Stmt& stmt, const Thread& thread) {
    const auto mapped = [&](const Expr& expr) { return of_thread(expr, thread); };
    Stmt result;
    if (const auto* bind = stmt.as<Bind>(); bind != nullptr && is_expanded(bind->var.get())) {
      result = make_store(memory(bind->var), {thread.number}, mapped(bind->value));
    } else if (const auto* alloc = stmt.as<AllocBuffer>()) {
      if (is_expanded(alloc->buffer.get()))
        return make_seq({});
      return stmt;
    } else if (const auto* store = stmt.as<BufferStore>();
               store != nullptr && is_expanded(store->buffer.get())) {
      std::vector<Expr> indices;
      for (const Expr& index : store->indices)
        indices.push_back(mapped(index));
      result = make_store(memory(store->buffer), with_thread(std::move(indices), thread),
                          mapped(store->value), mapped(store->predicate));
    } else if (const Call* call = call_of(stmt); call != nullptr && is_nothing_here(stmt)) {
      return make_seq({});
    } else if (call != nullptr && (call->op == "ptx_cp_async" || call->op == "copy_vector")) {
      result = copied(*call, thread);
      if (const Stmt within = reads_inside(*call, thread, stmt->span))
        result = make_seq({within, result});
    } else if (call != nullptr && (call->op == "tma_load" || call->op == "tma_store")) {
      result = box_copied(*call, thread);
    } else if (call != nullptr && is_atomic(*call)) {
      const Expr old = mapped(call->args[0]);
      result = plain_atomic(*call, old, tile_cast(old->dtype, mapped(call->args[1])));
    } else {
      result = rebuild(
          stmt, [&](const Stmt& child) { return of_thread(child, thread); }, mapped);
      if (const auto* loop = result.as<For>(); loop != nullptr && loop->kind != ForKind::kSerial)
        result = change_loop(*loop, [](For& copy) {
          copy.kind = ForKind::kSerial;
          copy.annotations = {};
        });
    }
    return result;
  }

  /// The element `offset` behind the one that an address names.
  static std::vector<Expr> behind(std::vector<Expr> indices, const Expr& offset) {
    indices.back() = indices.back() + tile_cast(indices.back()->dtype, offset);
    return indices;
  }
  Expr register_at(const Expr& address, const Thread& thread, const Expr& reg) {
    const auto* load = address.as<BufferLoad>();
    std::vector<Expr> indices;
    for (const Expr& index : load->indices)
      indices.push_back(of_thread(index, thread));
    return make_load(memory(load->buffer), with_thread(behind(std::move(indices), reg), thread));
  }

  /// That T.ptx_cp_async reads what its source has: behind a tensor's end is no memory at all, and
  /// its address is the program's own. Null where a condition is given, or it is not from a tensor.
  Stmt reads_inside(const Call& call, const Thread& thread, const Span& span) {
    const auto* source = call.args[1].as<BufferLoad>();
    if (call.op != "ptx_cp_async" || call.args.size() != 3 || source == nullptr ||
        source->buffer->scope != "global")
      return nullptr;
    Expr inside;
    for (size_t d = 0; d < source->indices.size(); ++d) {
      const Expr index = of_thread(source->indices[d], thread);
      Expr end = index;
      if (d + 1 == source->indices.size())
        end = end + tile_cast(index->dtype, of_thread(call.args[2], thread)) - 1;
      const Expr here =
          logical_and(make_binary<GE>(index, make_int(index->dtype, 0)),
                      make_binary<LT>(end, tile_cast(index->dtype, source->buffer->shape[d])));
      inside = inside ? logical_and(inside, here) : here;
    }
    Stmt check = make_assert(
        inside, "T.ptx_cp_async reads outside of " + source->buffer->name +
                    "; its third argument is the number of elements, and a tail needs a condition");
    check->span = span;
    return check;
  }

  Stmt copied(const Call& call, const Thread& thread) {
    const Expr to = of_thread(call.args[0], thread);
    const Expr from = of_thread(call.args[1], thread);
    const auto* target = to.as<BufferLoad>();
    const auto* source = from.as<BufferLoad>();
    const Expr count = call.args.size() > 2 ? of_thread(call.args[2], thread) : Expr(integer(1));
    const Var e = make_var("e", kIndex);
    Expr value = make_load(source->buffer, behind(source->indices, e));
    if (call.args.size() > 3) {
      Expr condition = of_thread(call.args[3], thread);
      if (!condition->dtype.is_bool())
        condition = logical_not(equal(condition, make_int(condition->dtype, 0)));
      value = if_then_else(condition, value, make_const(value->dtype, 0));
    }
    return make_for(e, integer(0), tile_cast(kIndex, count), ForKind::kSerial,
                    make_store(target->buffer, behind(target->indices, e), value));
  }

  /// tma_load(S[i, j], A[k, l], barrier, extents...): zeros outside of A.
  Stmt box_copied(const Call& call, const Thread& thread) {
    const Expr to = of_thread(call.args[0], thread);
    const Expr from = of_thread(call.args[1], thread);
    const auto* target = to.as<BufferLoad>();
    const auto* source = from.as<BufferLoad>();
    const bool load = call.op == "tma_load";
    std::vector<Expr> extents;
    for (size_t i = load ? 3 : 2; i < call.args.size(); ++i)
      extents.push_back(of_thread(call.args[i], thread));
    const TileLoops loops(extents);
    const auto inside_box = [&](std::vector<Expr> indices) {
      const size_t first = indices.size() - extents.size();
      for (size_t d = 0; d < extents.size(); ++d)
        indices[first + d] =
            indices[first + d] + tile_cast(indices[first + d]->dtype, loops.indices[d]);
      return indices;
    };
    const std::vector<Expr> place = inside_box(load ? source->indices : target->indices);
    const Buffer& tensor = load ? source->buffer : target->buffer;
    Expr inside = make_bool(true);
    for (size_t d = 0; d < place.size(); ++d)
      inside = logical_and(
          inside, logical_and(less_equal(make_int(place[d]->dtype, 0), place[d]),
                              less(place[d], tile_cast(place[d]->dtype, tensor->shape[d]))));
    if (!load) // what hangs over is not stored
      return loops.wrap(
          make_if(inside, make_store(target->buffer, place,
                                     make_load(source->buffer, inside_box(source->indices)))));
    const Expr value = make_load(source->buffer, place);
    return loops.wrap(make_store(target->buffer, inside_box(target->indices),
                                 if_then_else(inside, value, make_const(value->dtype, 0))));
  }

  void flush(std::vector<Stmt>& run, std::vector<Stmt>& out) {
    if (run.empty())
      return;
    // Loops over the axes: indices stay linear.
    Thread thread{integer(0), {}};
    int64_t weight = 1;
    struct Loop {
      Var var;
      int64_t extent;
    };
    std::vector<Loop> loops;
    for (size_t i = 3; i < axes_.size(); ++i) {
      const int64_t extent = axes_[i].extent ? *as_int(axes_[i].extent) : 1;
      if (extent == 1) {
        thread.coordinates.emplace(axes_[i].var, make_int(axes_[i].var->dtype, 0));
        continue;
      }
      const Var var = make_var(axes_[i].var->name, kIndex);
      loops.push_back({var, extent});
      thread.coordinates.emplace(axes_[i].var, tile_cast(axes_[i].var->dtype, var));
      thread.number = weight == 1 ? Expr(var) : thread.number + Expr(var) * weight;
      weight *= extent;
    }
    std::vector<Stmt> body;
    for (const Stmt& stmt : run)
      body.push_back(of_thread(stmt, thread));
    run.clear();
    Stmt result = make_seq(std::move(body));
    if (is_nothing(result))
      return;
    for (const Loop& loop : loops)
      result =
          make_for(loop.var, integer(0), integer(loop.extent), ForKind::kSerial, std::move(result));
    out.push_back(std::move(result));
  }

  /// The value, which must be the same for all threads, as the first has it.
  Expr of_block(const Expr& expr, const Node& where, const char* what) {
    if (differs(expr))
      fail(where,
           fmt::format("{} differs between threads, and a barrier or an operation of a whole "
                       "warp stands inside; the interpreter runs such programs, or says "
                       "that the barrier is divergent",
                       what));
    return of_thread(expr, thread_of(integer(0)));
  }

  void emit(const Stmt& stmt, std::vector<Stmt>& out) {
    std::vector<Stmt> run;
    for (const Stmt& child : statements_of(stmt)) {
      if (!error_.message.empty())
        return;
      if (is_blocks_name(child)) {
        // Reads no memory: it may go in front of the run.
        out.push_back(child);
        continue;
      }
      if (const auto* alloc = child.as<AllocBuffer>();
          alloc != nullptr && tile_scope(alloc->buffer->scope) == "shared") {
        shared(*alloc);
        continue;
      }
      if (!stands_alone(child)) {
        run.push_back(child);
        continue;
      }
      flush(run, out);
      if (is_barrier(child))
        continue;
      if (is_collective(child)) {
        collective(child, out);
      } else if (const auto* loop = child.as<For>()) {
        std::vector<Stmt> body;
        const Expr min = of_block(loop->min, *loop, "the start of this loop");
        const Expr extent = of_block(loop->extent, *loop, "the length of this loop");
        emit(loop->body, body);
        out.push_back(
            make_for(loop->loop_var, min, extent, ForKind::kSerial, make_seq(std::move(body))));
      } else if (const auto* loop = child.as<While>()) {
        std::vector<Stmt> body;
        const Expr condition = of_block(loop->condition, *loop, "the condition of this loop");
        emit(loop->body, body);
        out.push_back(make_while(condition, make_seq(std::move(body))));
      } else if (const auto* branch = child.as<IfThenElse>()) {
        std::vector<Stmt> then_case, else_case;
        const Expr condition = of_block(branch->condition, *branch, "this condition");
        emit(branch->then_case, then_case);
        if (branch->else_case)
          emit(branch->else_case, else_case);
        out.push_back(make_if(condition, make_seq(std::move(then_case)),
                              else_case.empty() ? nullptr : make_seq(std::move(else_case))));
      } else {
        out.push_back(child); // break, continue
      }
    }
    flush(run, out);
  }

  void shared(const AllocBuffer& alloc) { allocations_.push_back(make_alloc(alloc.buffer)); }

  // Operations of a warp.

  void collective(const Stmt& stmt, std::vector<Stmt>& out) {
    if (threads_ % kLanes != 0)
      fail(*stmt, fmt::format("a block of {} threads is no number of whole warps", threads_));
    if (const auto* bind = stmt.as<Bind>())
      shuffle(*bind, out);
    else if (const Call* call = call_of(stmt); call->op == "ptx_mma")
      mma(stmt, *call, out);
    else if (call->op == "amd_mfma")
      mfma(stmt, *call, out);
    else if (call->op.starts_with("ptx_wgmma_"))
      wgmma(stmt, *call, out);
    else if (call->op == "ptx_stmatrix")
      stmatrix(stmt, *call, out);
    else
      ldmatrix(stmt, *call, out);
  }

  Stmt over_threads(const std::function<Stmt(const Thread&)>& body) {
    const Var t = make_var("t", kIndex);
    return make_for(t, integer(0), integer(threads_), ForKind::kSerial, body(thread_of(Expr(t))));
  }

  void shuffle(const Bind& bind, std::vector<Stmt>& out) {
    const auto* call = bind.value.as<Call>();
    expanded_.insert(bind.var.get()); // all lanes at once
    const Buffer values = scratch("lane_values", call->dtype, threads_);
    out.push_back(over_threads([&](const Thread& thread) {
      return make_store(values, {thread.number}, of_thread(call->args[0], thread));
    }));
    out.push_back(over_threads([&](const Thread& thread) {
      const Expr lane = floormod(thread.number, kLanes);
      const Expr other = tile_cast(kIndex, of_thread(call->args[1], thread));
      Expr from = other;
      if (call->op == "shfl_xor_sync")
        from = call_op("bitwise_xor", {lane, other});
      else if (call->op == "shfl_up_sync")
        from = lane - other;
      else if (call->op == "shfl_down_sync")
        from = lane + other;
      else
        from = floormod(other, kLanes);
      // Outside of the warp: the lane's own value, as the hardware has it.
      const Expr inside = logical_and(less_equal(integer(0), from), less(from, integer(kLanes)));
      const Expr source = if_then_else(inside, thread.number - lane + from, thread.number);
      return make_store(memory(bind.var), {thread.number}, make_load(values, {source}));
    }));
  }

  Expr lane_of(const Layout& layout, const std::vector<Expr>& coordinate) {
    return layout_value(layout, coordinate, kLaneAxis);
  }
  /// For each element of the coordinate: `body`.
  Stmt over_elements(const std::vector<int64_t>& shape,
                     const std::function<Stmt(const std::vector<Expr>&)>& body) {
    std::vector<Var> vars;
    std::vector<Expr> indices;
    for (size_t d = 0; d < shape.size(); ++d) {
      vars.push_back(make_var(std::string(1, "mnk"[d]), kIndex));
      indices.emplace_back(vars.back());
    }
    Stmt result = body(indices);
    for (size_t d = shape.size(); d-- > 0;)
      result = make_for(vars[d], integer(0), integer(shape[d]), ForKind::kSerial, result);
    return result;
  }

  void ldmatrix(const Stmt& stmt, const Call& call, std::vector<Stmt>& out) {
    const auto count = as_int(call.args[2]);
    const auto transposed = as_int(call.args[3]);
    if (!count || !transposed || (*count != 1 && *count != 2 && *count != 4)) {
      fail(*stmt, "T.ptx_ldmatrix loads 1, 2 or 4 matrices, plain (0) or transposed (1)");
      return;
    }
    const int bits = call.args[1]->dtype.bits;
    const auto known = hardware_fragment(ldmatrix_fragment(*count, *transposed != 0, bits));
    if (!known) {
      fail(*stmt, fmt::format("T.ptx_ldmatrix has no such form for elements of {} bits", bits));
      return;
    }
    const Layout& layout = *known;
    const Var warp = make_var("warp", kIndex);
    const Stmt body = over_elements(layout.shape, [&](const std::vector<Expr>& at) {
      const Expr first = Expr(warp) * kLanes;
      const Thread giver = thread_of(first + at[0] * 8 + at[1]);
      const Thread holder = thread_of(first + lane_of(layout, at));
      const Expr row = of_thread(call.args[1], giver);
      const auto* source = row.as<BufferLoad>();
      const Expr target = register_at(call.args[0], holder, layout_value(layout, at));
      const auto* place = target.as<BufferLoad>();
      return make_store(place->buffer, place->indices,
                        make_load(source->buffer, behind(source->indices, at[2])));
    });
    out.push_back(over_warps(warp, body));
  }
  void stmatrix(const Stmt& stmt, const Call& call, std::vector<Stmt>& out) {
    const auto count = as_int(call.args[2]);
    if (!count || (*count != 1 && *count != 2 && *count != 4)) {
      fail(*stmt, "T.ptx_stmatrix stores 1, 2 or 4 matrices");
      return;
    }
    const Layout layout = *hardware_fragment(ldmatrix_fragment(*count, false, 16));
    const Var warp = make_var("warp", kIndex);
    const Stmt body = over_elements(layout.shape, [&](const std::vector<Expr>& at) {
      const Expr first = Expr(warp) * kLanes;
      const Thread giver = thread_of(first + at[0] * 8 + at[1]);
      const Thread holder = thread_of(first + lane_of(layout, at));
      const Expr row = of_thread(call.args[0], giver);
      const auto* target = row.as<BufferLoad>();
      return make_store(target->buffer, behind(target->indices, at[2]),
                        register_at(call.args[1], holder, layout_value(layout, at)));
    });
    out.push_back(over_warps(warp, body));
  }
  Stmt over_warps(const Var& warp, Stmt body, int64_t lanes = kLanes) {
    return make_for(warp, integer(0), integer(threads_ / lanes), ForKind::kSerial, std::move(body));
  }

  void mma(const Stmt& stmt, const Call& call, std::vector<Stmt>& out) {
    const auto* name = call.args[3].as<StringImm>();
    const auto text = parse_matrix_text(name != nullptr ? name->value : "");
    if (!text) {
      fail(*stmt, text.error().message);
      return;
    }
    std::array<Layout, 3> layouts;
    const char* names[] = {"C", "A", "B"};
    for (size_t i = 0; i < 3; ++i) {
      auto layout = hardware_fragment(fmt::format("mma.{}.{}", text->fragment, names[i]));
      if (!layout) {
        fail(*stmt, layout.error().message);
        return;
      }
      layouts[i] = *std::move(layout);
    }
    multiply(call, layouts, {text->a, text->b}, kLanes, kLaneAxis, out);
  }

  /// amd_mfma(C[i], A[j], B[k], "f32_16x16x16_f16") of all waves, of 64 threads.
  void mfma(const Stmt& stmt, const Call& call, std::vector<Stmt>& out) {
    constexpr int64_t kWave = 64;
    const auto* name = call.args[3].as<StringImm>();
    const auto shape = parse_mfma_text(name != nullptr ? name->value : "");
    if (!shape)
      return fail(*stmt, shape.error().message);
    if (threads_ % kWave != 0)
      return fail(*stmt,
                  fmt::format("a block of {} threads is no number of whole waves of 64", threads_));
    multiply(call, {mfma_sums(*shape), mfma_a(*shape), mfma_b(*shape)},
             {MatrixOperand::kAsStored, MatrixOperand::kAsStored}, kWave, kThreadAxis, out);
  }

  /// C += A B by each `lanes` threads, whose number is `axis` of the fragments C, A and B.
  void multiply(const Call& call, const std::array<Layout, 3>& layouts,
                const std::array<MatrixOperand, 2>& kinds, int64_t lanes, const char* axis,
                std::vector<Stmt>& out) {
    const char* names[] = {"C", "A", "B"};
    const int64_t m = layouts[0].shape[0];
    const int64_t n = layouts[0].shape[1];
    const int64_t k = layouts[1].shape[1];
    const DataType out_type = call.args[0]->dtype;
    const DataType sum = out_type.is_floating() ? DataType::floating(32) : out_type;
    std::array<Buffer, 3> tiles;
    const std::array<int64_t, 3> counts = {m * n, m * k, k * n};
    for (size_t i = 0; i < 3; ++i) {
      Buffer& tile = tiles_[{static_cast<int>(i), counts[i], sum.is_floating()}];
      if (!tile)
        tile = scratch((std::string(names[i]) + "_tile").c_str(), sum, counts[i]);
      tiles[i] = tile;
    }
    const Var warp = make_var("warp", kIndex);
    const auto element = [&](size_t i, const std::vector<Expr>& at) {
      const Thread holder = thread_of(Expr(warp) * lanes + layout_value(layouts[i], at, axis));
      const Expr place = register_at(call.args[i], holder, layout_value(layouts[i], at));
      return i == 0 ? place : matrix_operand_value(kinds[i - 1], place);
    };
    const auto number = [&](size_t i, const Expr& row, const Expr& column) {
      return std::vector<Expr>{row * layouts[i].shape[1] + column};
    };
    std::vector<Stmt> steps;
    for (size_t i = 0; i < 3; ++i)
      steps.push_back(over_elements(layouts[i].shape, [&](const std::vector<Expr>& at) {
        return make_store(tiles[i], number(i, at[0], at[1]), tile_cast(sum, element(i, at)));
      }));
    const Var row = make_var("m", kIndex);
    const Var column = make_var("n", kIndex);
    const Var depth = make_var("k", kIndex);
    const auto place = number(0, row, column);
    Stmt product =
        make_store(tiles[0], place,
                   make_load(tiles[0], place) + make_load(tiles[1], number(1, row, depth)) *
                                                    make_load(tiles[2], number(2, depth, column)));
    product = make_for(column, integer(0), integer(n), ForKind::kVectorized, product);
    product = make_for(depth, integer(0), integer(k), ForKind::kSerial, product);
    steps.push_back(make_for(row, integer(0), integer(m), ForKind::kSerial, product));
    steps.push_back(over_elements(layouts[0].shape, [&](const std::vector<Expr>& at) {
      const Expr target = element(0, at);
      const auto* load = target.as<BufferLoad>();
      return make_store(load->buffer, load->indices,
                        tile_cast(out_type, make_load(tiles[0], number(0, at[0], at[1]))));
    }));
    out.push_back(over_warps(warp, make_seq(std::move(steps)), lanes));
  }

  /// ptx_wgmma_ss(D[i], A[j, k], B[l, m], "m64n64k16", transpose_b, accumulate) of all warpgroups;
  /// ptx_wgmma_rs, with A[j] the first register.
  void wgmma(const Stmt& stmt, const Call& call, std::vector<Stmt>& out) {
    constexpr int64_t kWarpgroup = 4 * kLanes;
    const auto* name = call.args[3].as<StringImm>();
    const auto text = parse_matrix_text(name != nullptr ? name->value : "");
    if (!text || text->m != 64 || threads_ % kWarpgroup != 0) {
      fail(*stmt, "wgmma is of 64 rows, as \"m64n64k16\", and of whole warpgroups");
      return;
    }
    const int64_t m = text->m, n = text->n, k = text->k;
    auto layout = wgmma_accumulator(n);
    const bool registers_a = call.op == "ptx_wgmma_rs";
    const auto layout_a = wgmma_operand_a(call.args[1]->dtype.bits);
    const auto transposed = as_int(call.args[4]);
    if (!layout || !transposed) {
      fail(*stmt, layout ? "whether B is transposed must be constant" : layout.error().message);
      return;
    }
    const DataType out_type = call.args[0]->dtype;
    const DataType sum = out_type.is_floating() ? DataType::floating(32) : out_type;
    Buffer& sums = tiles_[{3, m * n, sum.is_floating()}];
    if (!sums)
      sums = scratch("D_tile", sum, m * n);
    const Var group = make_var("warpgroup", kIndex);
    const Thread first = thread_of(Expr(group) * kWarpgroup);
    const auto accumulator = [&](const std::vector<Expr>& at) {
      const Expr warp = layout_value(*layout, at, kWarpAxis);
      const Thread holder =
          thread_of(Expr(group) * kWarpgroup + warp * kLanes + lane_of(*layout, at));
      return register_at(call.args[0], holder, layout_value(*layout, at));
    };
    const auto operand = [&](size_t i, const Expr& row, const Expr& column) {
      const MatrixOperand kind = i == 1 ? text->a : text->b;
      if (i == 1 && registers_a) {
        const std::vector<Expr> at{row, column};
        const Expr warp = layout_value(*layout_a, at, kWarpAxis);
        const Thread holder =
            thread_of(Expr(group) * kWarpgroup + warp * kLanes + lane_of(*layout_a, at));
        return tile_cast(sum, matrix_operand_value(kind, register_at(call.args[1], holder,
                                                                     layout_value(*layout_a, at))));
      }
      const Expr corner = of_thread(call.args[i], first);
      const auto* load = corner.as<BufferLoad>();
      std::vector<Expr> indices = load->indices;
      const size_t rank = indices.size();
      indices[rank - 2] = indices[rank - 2] + tile_cast(indices[rank - 2]->dtype, row);
      indices[rank - 1] = indices[rank - 1] + tile_cast(indices[rank - 1]->dtype, column);
      return tile_cast(sum, matrix_operand_value(kind, make_load(load->buffer, indices)));
    };
    const auto place = [&](const Expr& row, const Expr& column) {
      return std::vector<Expr>{row * n + column};
    };
    const Expr accumulate = of_thread(call.args[5], first);
    std::vector<Stmt> steps;
    steps.push_back(over_elements({m, n}, [&](const std::vector<Expr>& at) {
      return make_store(sums, place(at[0], at[1]),
                        if_then_else(equal(accumulate, make_int(accumulate->dtype, 0)),
                                     make_const(sum, 0), tile_cast(sum, accumulator(at))));
    }));
    const Var row = make_var("m", kIndex);
    const Var column = make_var("n", kIndex);
    const Var depth = make_var("k", kIndex);
    const Expr b = *transposed != 0 ? operand(2, column, depth) : operand(2, depth, column);
    Stmt product = make_store(sums, place(row, column),
                              make_load(sums, place(row, column)) + operand(1, row, depth) * b);
    product = make_for(column, integer(0), integer(n), ForKind::kSerial, product);
    product = make_for(depth, integer(0), integer(k), ForKind::kSerial, product);
    steps.push_back(make_for(row, integer(0), integer(m), ForKind::kSerial, product));
    steps.push_back(over_elements({m, n}, [&](const std::vector<Expr>& at) {
      const Expr target = accumulator(at);
      const auto* load = target.as<BufferLoad>();
      return make_store(load->buffer, load->indices,
                        tile_cast(out_type, make_load(sums, place(at[0], at[1]))));
    }));
    out.push_back(make_for(group, integer(0), integer(threads_ / kWarpgroup), ForKind::kSerial,
                           make_seq(std::move(steps))));
  }

  std::array<Axis, 6> axes_;
  int64_t threads_ = 1;
  std::unordered_set<const Node*> varying_;
  std::unordered_set<const Node*> block_vars_; ///< the same for all threads, defined by the block
  std::unordered_map<const Node*, bool> blocks_;
  std::unordered_map<const Node*, int> run_of_;
  std::unordered_set<const Node*> expanded_;
  int run_ = 0;
  std::unordered_map<const Node*, Buffer> arrays_;
  std::map<std::tuple<int, int64_t, bool>, Buffer> tiles_;
  std::vector<Stmt> allocations_;
  Error error_;
};

} // namespace

Result<PrimFunc> thread_loops(const PrimFunc& function) {
  TEMPER_TRY(placed, apply_layouts(function));
  const auto is_kernel = [](const Stmt& stmt) {
    const auto* loop = stmt.as<For>();
    return stmt.is<KernelLaunch>() || (loop != nullptr && loop->kind == ForKind::kThreadBinding);
  };
  TEMPER_TRY(body, replace_where(placed->body, is_kernel,
                                 [](const Stmt& stmt) { return KernelLoops().run(stmt); }));
  // A block's memory is memory.
  BufferMap memory;
  walk(body, [&](const NodeRef& node) {
    const auto* alloc = node.as<AllocBuffer>();
    if (alloc != nullptr && alloc->buffer->scope != "global" &&
        (tile_scope(alloc->buffer->scope) == "shared" ||
         alloc->buffer->element_count().value_or(0) != 1))
      memory.emplace(alloc->buffer,
                     copy_node(*alloc->buffer, [](BufferNode& copy) { copy.scope = "global"; }));
    return true;
  });
  return with_body(placed, cast_ref<StmtNode>(replace_buffers(body, memory)));
}

} // namespace temper::tir
