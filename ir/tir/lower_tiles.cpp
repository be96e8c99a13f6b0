#include "ir/tir/lower_tiles.h"
#include "ir/tir/kernel_math.h"
#include "ir/tir/spans.h"

#include "ir/arith/simplify.h"
#include "ir/op.h"
#include "ir/pass/rewrite.h"
#include "ir/tir/atomic.h"
#include "ir/tir/statement_call.h"
#include "ir/tir/tile_ops.h"

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <unordered_set>

namespace temper::tir {
namespace {

/// A walk over statements that keeps what is known of the variables around.
class KnownRanges {
public:
  Analyzer math;

  void bind(const For& loop) { math.bind(loop.loop_var, Range{loop.min, loop.extent}); }
  void bind(const KernelLaunch& launch) { bind_kernel(math, launch); }
};

Expr same(const Expr& expr) { return expr; }

bool mentions_node(const NodeRef& root, const Node* node) {
  bool found = false;
  walk(root, [&](const NodeRef& child) {
    found |= child.get() == node;
    return !found;
  });
  return found;
}

class Expander : KnownRanges {
public:
  explicit Expander(FunctionRef<Result<Stmt>(const TileCall&, Analyzer&)> expand)
      : expand_(expand) {}

  Result<Stmt> run(const Stmt& root) {
    Stmt result = rewrite(root);
    if (failed_)
      return std::move(error_);
    return result;
  }

private:
  Stmt rewrite(const Stmt& stmt) {
    if (failed_)
      return stmt;
    if (const auto* call = stmt.as<TileCall>()) {
      Result<Stmt> expanded = expand_(*call, math);
      if (!expanded) {
        failed_ = true;
        error_ = std::move(expanded).error();
        return stmt;
      }
      // Errors at run time are those of the operator's line.
      place_at(*expanded, stmt->span);
      return std::move(*expanded);
    }
    const Analyzer::Scope scope(math);
    if (const auto* loop = stmt.as<For>())
      bind(*loop);
    if (const auto* launch = stmt.as<KernelLaunch>())
      bind(*launch);
    if (const auto* branch = stmt.as<IfThenElse>(); branch != nullptr && !branch->else_case)
      math.assume(branch->condition);
    return rebuild(
        stmt, [&](const Stmt& child) { return rewrite(child); }, same);
  }

  FunctionRef<Result<Stmt>(const TileCall&, Analyzer&)> expand_;
  bool failed_ = false;
  Error error_;
};

class Guard : KnownRanges {
public:
  Stmt rewrite(const Stmt& stmt, bool in_kernel) {
    const Analyzer::Scope scope(math);
    if (const auto* loop = stmt.as<For>()) {
      bind(*loop);
    } else if (const auto* launch = stmt.as<KernelLaunch>()) {
      bind(*launch);
      in_kernel = true;
    } else if (const auto* branch = stmt.as<IfThenElse>()) {
      const Expr condition = in_kernel ? guarded(branch->condition) : branch->condition;
      Stmt then_case;
      {
        const Analyzer::Scope inside(math);
        math.assume(condition);
        then_case = rewrite(branch->then_case, in_kernel);
      }
      Stmt else_case = branch->else_case ? rewrite(branch->else_case, in_kernel) : nullptr;
      if (condition == branch->condition && then_case == branch->then_case &&
          else_case == branch->else_case)
        return stmt;
      return make_if(condition, then_case, else_case);
    }
    if (const auto* store = stmt.as<BufferStore>(); store != nullptr && in_kernel)
      return guarded_store(stmt, *store);
    if (const auto* evaluate = stmt.as<Evaluate>(); evaluate != nullptr && in_kernel)
      if (const auto* call = evaluate->value.as<Call>();
          call != nullptr && call->op.starts_with("atomic_"))
        if (const auto* place = call->args[0].as<BufferLoad>())
          if (const Expr condition = inside(place->buffer, place->indices)) {
            Stmt operation = make_evaluate(guarded(evaluate->value));
            operation->span = stmt->span;
            return make_if(condition, operation);
          }
    return rebuild(
        stmt,
        [&](const Stmt& child) {
          Stmt result = rewrite(child, in_kernel);
          // What is known of a name holds for the statements after it.
          if (const auto* bind = child.as<Bind>();
              bind != nullptr && bind->var->dtype.is_integral() && bind->var->dtype.is_scalar())
            math.bind(bind->var, math.bounds(bind->value));
          return result;
        },
        [&](const Expr& expr) { return in_kernel ? guarded(expr) : expr; });
  }

private:
  /// What must hold for the access to be inside of its buffer; null when it certainly is.
  Expr inside(const Buffer& buffer, const std::vector<Expr>& indices) {
    if (buffer->scope != "global")
      return nullptr;
    Expr condition;
    const auto need = [&](const Expr& part) {
      if (!math.can_prove(part))
        condition = condition ? make_binary<And>(condition, part) : part;
    };
    for (size_t d = 0; d < indices.size() && d < buffer->shape.size(); ++d) {
      const Expr& index = indices[d];
      if (!index->dtype.is_scalar())
        return nullptr; // explicit vectors are the author's own
      const Expr extent = tile_cast(index->dtype, buffer->shape[d]);
      need(make_binary<LE>(make_int(index->dtype, 0), index));
      need(make_binary<LT>(index,
                           as_int(extent) ? make_int(index->dtype, *as_int(extent)) : extent));
    }
    return condition;
  }

  Expr guarded(const Expr& root) {
    // Addresses are the operation's own: it has a predicate, or knows the bounds.
    const auto* call = root.as<Call>();
    const OpInfo* op = call != nullptr ? find_op(call->op) : nullptr;
    if (op != nullptr && op->addresses > 0) {
      std::vector<Expr> args = call->args;
      for (size_t i = static_cast<size_t>(op->addresses); i < args.size(); ++i)
        args[i] = guarded(args[i]);
      return args == call->args ? root : make_call(call->dtype, call->op, std::move(args));
    }
    return cast_ref<ExprNode>(rewrite_post(root, [&](const NodeRef& node) -> NodeRef {
      const auto* load = node.as<BufferLoad>();
      if (load == nullptr || load->predicate || !load->dtype.is_scalar())
        return node;
      const Expr condition = inside(load->buffer, load->indices);
      if (!condition)
        return node;
      return if_then_else(condition, cast_ref<ExprNode>(node), make_const(load->dtype, 0));
    }));
  }

  Stmt guarded_store(const Stmt& stmt, const BufferStore& store) {
    const Expr condition = store.predicate ? nullptr : inside(store.buffer, store.indices);
    const Analyzer::Scope scope(math);
    if (condition)
      math.assume(condition);
    std::vector<Expr> indices;
    bool changed = false;
    for (const Expr& index : store.indices) {
      indices.push_back(guarded(index));
      changed |= indices.back() != index;
    }
    const Expr value = guarded(store.value);
    changed |= value != store.value;
    Stmt result =
        changed ? make_store(store.buffer, std::move(indices), value, store.predicate) : stmt;
    if (changed)
      result->span = stmt->span;
    return condition ? make_if(condition, result) : result;
  }
};

/// Scalars with one store, in the list of statements that allocates them. Index arithmetic takes
/// the place of its name: an index that is a name would be a gather once it is a vector, and
/// nothing would be known of its bounds.
class ScalarBinding {
public:
  explicit ScalarBinding(const Stmt& body) {
    walk(body, [&](const NodeRef& node) {
      if (const auto* store = node.as<BufferStore>())
        ++stores_[store->buffer.get()];
      else if (const auto* op = node.as<Evaluate>(); op != nullptr && op->value.is<Call>())
        for (const Expr& arg : op->value.as<Call>()->args) { // an address may be written to
          if (const auto* place = arg.as<BufferLoad>())
            stores_[place->buffer.get()] += 2;
        }
      else if (const auto* call = node.as<TileCall>())
        for (const BufferRegion& region : call->regions)
          stores_[region.buffer.get()] += 2;
      return !ExprNode::accepts(node->kind());
    });
  }

  Stmt rewrite(const Stmt& stmt) {
    const auto on_expr = [&](const Expr& expr) { return renamed(expr); };
    const auto* seq = stmt.as<SeqStmt>();
    if (const auto* bind = stmt.as<Bind>(); bind != nullptr && is_index(bind->value)) {
      names_.emplace(bind->var.get(), renamed(bind->value));
      return make_seq({});
    }
    if (seq == nullptr)
      return rebuild(
          stmt, [&](const Stmt& child) { return rewrite(child); }, on_expr);
    std::vector<Stmt> result;
    bool changed = false;
    std::unordered_set<const Node*> here; // allocated in this list, stored to once in it
    for (const Stmt& child : seq->statements)
      if (const auto* alloc = child.as<AllocBuffer>())
        for (const Stmt& other : seq->statements)
          if (const auto* store = other.as<BufferStore>();
              store != nullptr && is_once(*alloc, *store))
            here.insert(alloc->buffer.get());
    for (const Stmt& child : seq->statements) {
      if (const auto* alloc = child.as<AllocBuffer>();
          alloc != nullptr && here.contains(alloc->buffer.get())) {
        changed = true;
        continue;
      }
      if (const auto* store = child.as<BufferStore>();
          store != nullptr && here.contains(store->buffer.get())) {
        if (is_index(store->value)) {
          names_.emplace(store->buffer.get(), renamed(store->value));
          continue;
        }
        const Var var = make_var(store->buffer->name, store->buffer->dtype);
        const Stmt bind = make_bind(var, renamed(store->value));
        bind->span = child->span;
        names_.emplace(store->buffer.get(), Expr(var));
        result.push_back(bind);
        continue;
      }
      result.push_back(rewrite(child));
      changed |= result.back() != child;
    }
    return changed ? make_seq(std::move(result)) : stmt;
  }

private:
  bool is_once(const AllocBuffer& alloc, const BufferStore& store) const {
    const auto found = stores_.find(alloc.buffer.get());
    return alloc.buffer->scope == "local" && alloc.buffer->element_count() == 1 &&
           store.buffer == alloc.buffer && !store.predicate && found != stores_.end() &&
           found->second == 1 && !mentions_node(store.value, alloc.buffer.get());
  }

  Expr renamed(const Expr& root) const {
    if (names_.empty())
      return root;
    return cast_ref<ExprNode>(rewrite_post(root, [&](const NodeRef& node) -> NodeRef {
      const auto* load = node.as<BufferLoad>();
      if (load == nullptr && node->kind() != VarNode::kKind)
        return node;
      const auto found =
          names_.find(load != nullptr ? load->buffer.get() : static_cast<const Node*>(node.get()));
      return found != names_.end() ? NodeRef(found->second) : node;
    }));
  }

  /// Arithmetic on numbers that do not change: it means the same wherever it stands.
  static bool is_index(const Expr& value) {
    if (!value->dtype.is_scalar() || !value->dtype.is_integral() || value->dtype.bits < 32)
      return false;
    bool plain = true;
    walk(value, [&](const NodeRef& node) {
      plain = plain && node->kind() != BufferLoad::kKind && node->kind() != Call::kKind &&
              node->kind() != Let::kKind;
      return plain;
    });
    return plain;
  }

  std::unordered_map<const Node*, int> stores_;
  std::unordered_map<const Node*, Expr> names_;
};

/// Annotation of a T.Parallel loop whose iterations run one by one.
constexpr const char* kThreadLoop = "temper.threads";
/// Annotation of a kernel with atomic operations: the axis of the grid along which blocks may run
/// at the same time; -1: they run one by one.
constexpr const char* kParallelAxis = "temper.parallel_axis";

/// Atomic operations as ordinary ones, where nobody else works on the element.
class AtomicLowering : KnownRanges {
public:
  explicit AtomicLowering(bool alone) : alone_(alone) {}

  Stmt rewrite(const Stmt& stmt) {
    if (const Call* call = as_atomic(stmt)) {
      const auto& place = *call->args[0].as<BufferLoad>();
      found_ = true;
      note(place);
      if (blocks_meet_ && place.buffer->scope == "global")
        return stmt;
      const Stmt store = plain_atomic(*call);
      store->span = stmt->span;
      return store;
    }
    const Analyzer::Scope scope(math);
    if (const auto* loop = stmt.as<For>())
      bind(*loop);
    if (const auto* launch = stmt.as<KernelLaunch>()) {
      bind(*launch);
      launch_ = launch;
      places_.clear();
    }
    const bool before = std::exchange(found_, false);
    const auto rewritten = [&] {
      return rebuild(
          stmt, [&](const Stmt& child) { return rewrite(child); }, same);
    };
    Stmt result = rewritten();
    if (found_) {
      if (const auto* loop = result.as<For>();
          loop != nullptr && loop->kind == ForKind::kTileParallel)
        result = change_loop(*loop, [&](For& node) {
          node.annotations = node.annotations.with(kThreadLoop, make_int(DataType::int32(), 1));
        });
      else if (launch_ != nullptr && launch_ == stmt.get()) {
        int64_t axis = only_atomic() ? longest_axis(apart()) : -1;
        if (axis < 0 && !alone_ && only_atomic() && has_instructions()) {
          axis = longest_axis(std::vector<bool>(launch_->block_vars.size(), true));
          blocks_meet_ = axis >= 0;
          if (blocks_meet_)
            result = rewritten();
          blocks_meet_ = false;
        }
        result = copy_node(*result.as<KernelLaunch>(), [&](KernelLaunch& node) {
          node.annotations =
              node.annotations.with(kParallelAxis, make_int(DataType::int32(), axis));
        });
      }
    }
    found_ |= before;
    return result;
  }

private:
  /// The index of one dimension as step * (block's number along an axis) + [low, high], for all
  /// atomic operations on a buffer.
  struct Place {
    std::optional<int64_t> step;
    IntInterval rest;
    bool possible = true;
  };

  void note(const BufferLoad& place) {
    if (launch_ == nullptr || place.buffer->scope != "global")
      return; // memory of the block
    const auto [entry, is_new] = places_.try_emplace(place.buffer.get());
    std::vector<Place>& all = entry->second; // by axis, then by dimension
    all.resize(launch_->block_vars.size() * place.indices.size());
    for (size_t axis = 0; axis < launch_->block_vars.size(); ++axis)
      for (size_t d = 0; d < place.indices.size(); ++d) {
        Place& known = all[axis * place.indices.size() + d];
        const Expr block(launch_->block_vars[axis]);
        LinearForm form = math.linear(place.indices[d]);
        const int64_t step = form.overflow ? 0 : form.coefficient_of(block);
        form.add_term(block, -step);
        const IntInterval rest = math.bounds(form);
        known.possible = known.possible && step > 0 && rest.is_bounded() &&
                         known.step.value_or(step) == step &&
                         !mentions_node(to_expr(form), block.get());
        known.rest = known.step ? hull(known.rest, rest) : rest;
        known.step = step;
      }
  }

  /// Nothing but atomic operations is done in the kernel to what they work on.
  bool only_atomic() const {
    std::unordered_map<const Node*, int> uses;
    std::unordered_map<const Node*, int> atomic;
    walk(launch_->body, [&](const NodeRef& node) {
      if (const auto* load = node.as<BufferLoad>())
        ++uses[load->buffer.get()];
      else if (const auto* store = node.as<BufferStore>())
        uses[store->buffer.get()] += 2;
      else if (const auto* call = node.as<Call>(); call != nullptr && is_atomic(*call))
        if (const auto* place = call->args[0].as<BufferLoad>())
          ++atomic[place->buffer.get()];
      return true;
    });
    return std::all_of(places_.begin(), places_.end(),
                       [&](const auto& entry) { return uses[entry.first] == atomic[entry.first]; });
  }

  /// The processor has atomic operations for all that the kernel's work on.
  bool has_instructions() const {
    return std::all_of(places_.begin(), places_.end(), [](const auto& entry) {
      const DataType type = entry.first->dtype;
      return type.is_scalar() && (type.is_floating() || type.is_integral()) &&
             (type.bits == 32 || type.bits == 64);
    });
  }

  /// For each axis whether no two blocks along it have atomic operations on the same element.
  std::vector<bool> apart() const {
    const size_t axes = launch_->block_vars.size();
    std::vector<bool> apart(axes, true);
    for (const auto& [buffer, all] : places_) {
      const size_t rank = all.size() / axes;
      for (size_t axis = 0; axis < axes; ++axis)
        apart[axis] =
            apart[axis] && std::any_of(all.begin() + static_cast<std::ptrdiff_t>(axis * rank),
                                       all.begin() + static_cast<std::ptrdiff_t>((axis + 1) * rank),
                                       [](const Place& place) {
                                         return place.possible && place.step &&
                                                place.rest.high - place.rest.low < *place.step;
                                       });
    }
    return apart;
  }

  /// Of those that `may` names; -1 when none has more than one block.
  int64_t longest_axis(const std::vector<bool>& may) const {
    int64_t best = -1;
    int64_t longest = 1;
    for (size_t axis = 0; axis < may.size(); ++axis)
      if (const auto extent = as_int(launch_->grid[axis]);
          may[axis] && extent.value_or(2) > longest) {
        longest = extent.value_or(2);
        best = static_cast<int64_t>(axis);
      }
    return best;
  }

  const bool alone_; ///< the kernel has one thread
  bool found_ = false;
  bool blocks_meet_ = false;             ///< operations on global memory stay what they are
  const KernelLaunch* launch_ = nullptr; ///< around us
  std::unordered_map<const BufferNode*, std::vector<Place>> places_;
};

class KernelLowering {
public:
  Stmt rewrite(const Stmt& stmt, bool in_kernel) {
    if (const auto* launch = stmt.as<KernelLaunch>())
      return kernel(*launch);
    if (const auto* alloc = stmt.as<AllocBuffer>(); alloc != nullptr && in_kernel)
      return make_alloc(in_memory(alloc->buffer), alloc->annotations);
    if (in_kernel && is_barrier(stmt))
      return make_seq({});
    if (const auto* loop = stmt.as<For>();
        loop != nullptr &&
        (loop->kind == ForKind::kTileParallel || loop->kind == ForKind::kPipelined)) {
      const Stmt body = rewrite(loop->body, in_kernel);
      const bool innermost = loop->kind == ForKind::kTileParallel && !has_parallel(loop->body) &&
                             !loop->annotations.get(kThreadLoop);
      return change_loop(*loop, [&](For& node) {
        node.kind = innermost ? ForKind::kVectorized : ForKind::kSerial;
        node.body = body;
        node.annotations = {};
      });
    }
    return rebuild(
        stmt, [&](const Stmt& child) { return rewrite(child, in_kernel); }, same);
  }

  const BufferMap& buffers() const { return buffers_; }

private:
  /// The blocks' threads run one after the other: nobody is waited for.
  static bool is_barrier(const Stmt& stmt) {
    return is_call(stmt, "sync_threads") || is_call(stmt, "sync_warp");
  }

  static bool has_parallel(const Stmt& stmt) {
    bool found = false;
    walk(stmt, [&](const NodeRef& node) {
      if (const auto* loop = node.as<For>())
        found |= loop->kind == ForKind::kTileParallel || loop->kind == ForKind::kVectorized;
      return !found && !ExprNode::accepts(node->kind());
    });
    return found;
  }

  /// On a CPU all memory of a block is memory; scalars stay what they are.
  Buffer in_memory(const Buffer& buffer) {
    if (buffer->scope == "global" ||
        (buffer->scope == "local" && buffer->element_count().value_or(0) == 1))
      return buffer;
    const Buffer changed = copy_node(*buffer, [](BufferNode& node) { node.scope = "global"; });
    buffers_[buffer] = changed;
    return changed;
  }

  Stmt kernel(const KernelLaunch& launch) {
    Stmt body = rewrite(launch.body, true);
    size_t parallel = launch.grid.size() - 1;
    while (parallel > 0 && is_int(launch.grid[parallel], 1))
      --parallel;
    if (const auto axis = launch.annotations.get_int(kParallelAxis))
      parallel = *axis < 0 ? launch.grid.size() : static_cast<size_t>(*axis);
    const auto loop = [&](size_t d) {
      body = make_for(launch.block_vars[d], make_int(launch.grid[d]->dtype, 0), launch.grid[d],
                      d == parallel ? ForKind::kParallel : ForKind::kSerial, std::move(body));
    };
    // The parallel one outermost: threads are started once.
    for (size_t d = 0; d < launch.grid.size(); ++d)
      if (d != parallel)
        loop(d);
    if (parallel < launch.grid.size())
      loop(parallel);
    return body;
  }

  BufferMap buffers_;
};

} // namespace

Result<PrimFunc> expand_tiles(const PrimFunc& function,
                              FunctionRef<Result<Stmt>(const TileCall&, Analyzer&)> expand) {
  TEMPER_TRY(body, Expander(expand).run(function->body));
  return with_body(function, body);
}

PrimFunc bind_scalars(const PrimFunc& function) {
  return with_body(function, ScalarBinding(function->body).rewrite(function->body));
}

PrimFunc lower_atomics(const PrimFunc& function, bool alone) {
  return with_body(function, AtomicLowering(alone).rewrite(function->body));
}

PrimFunc guard_accesses(const PrimFunc& function) {
  return with_body(function, Guard().rewrite(function->body, false));
}

PrimFunc lower_kernels(const PrimFunc& function) {
  KernelLowering lowering;
  const Stmt body = lowering.rewrite(function->body, false);
  return with_body(function, cast_ref<StmtNode>(replace_buffers(body, lowering.buffers())));
}

Result<PrimFunc> tile_meaning(const PrimFunc& function) {
  if (!is_tile_program(function))
    return function;
  TEMPER_TRY(threads, lower_threads(function));
  TEMPER_TRY(expanded, expand_tiles(threads, [](const TileCall& call, Analyzer&) -> Result<Stmt> {
               TEMPER_TRY_VOID(check_tile_call(call));
               return find_tile_op(call.op)->meaning(call);
             }));
  return lower_kernels(guard_accesses(lower_atomics(bind_scalars(expanded), true)));
}

} // namespace temper::tir
