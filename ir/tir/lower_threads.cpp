// Code of single threads becomes loops over the threads.
//
//   tx = T.get_thread_binding(0)                for tx in T.Parallel(128):
//   for v in T.serial(8):                         for v in range(8):
//     local[v] = S[tx * 8 + v]          ->          local[tx, v] = S[tx * 8 + v]
//   T.gemm(S, ...)                              T.gemm(S, ...)
//   D[tx] = local[0]                            for tx in T.Parallel(128):
//                                                 D[tx] = local[tx, 0]
//
// A statement is of single threads when it mentions a thread's number or memory that each thread
// has for itself, and holds no tile operator, no T.Parallel and no barrier. Neighbours of that sort
// form a run, which every thread goes through in one piece; other statements are the block's. A
// loop or condition around both stays the block's, so its bounds must be the same for all threads.
//
// Memory of scope "local" belongs to a thread when code of single threads uses it. Where one run
// has all its uses the allocation moves into the run; elsewhere it gets dimensions for the threads.
#include "ir/pass/rewrite.h"
#include "ir/tir/lower_tiles.h"
#include "ir/tir/roles.h"
#include "ir/tir/tile_ops.h"
#include "ir/walk.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace temper::tir {
namespace {

bool is_barrier(const NodeRef& node) {
  const auto* call = node.as<Call>();
  return call != nullptr && call->op == "sync_threads";
}

/// A tile operator, T.Parallel or barrier is in it: the whole block takes part.
bool is_of_block(const Stmt& stmt) {
  bool found = false;
  walk(stmt, [&](const NodeRef& node) {
    if (const auto* loop = node.as<For>())
      found |= loop->kind == ForKind::kTileParallel || loop->kind == ForKind::kPipelined;
    found |= node->kind() == TileCall::kKind || is_barrier(node);
    return !found;
  });
  return found;
}

class ThreadLowering {
public:
  explicit ThreadLowering(const KernelLaunch& launch) : launch_(launch) {
    for (const Var& var : launch.thread_vars)
      threads_.insert(var.get());
  }

  Result<Stmt> run() {
    // What depends on a thread: its number, then memory and names that follow from it.
    walk(launch_.body, [&](const NodeRef& node) {
      if (const auto* alloc = node.as<AllocBuffer>();
          alloc != nullptr && alloc->buffer->scope == "local")
        locals_.insert(alloc->buffer.get());
      return !ExprNode::accepts(node->kind());
    });
    if (!ir::uses_var(launch_.body, [&](const VarNode& var) { return threads_.contains(&var); }))
      return launch_.body;
    // An operator on nothing but a thread's own memory is that thread's.
    Stmt all = launch_.body;
    do {
      while (spread(all)) {
      }
    } while (expand_own(all));
    count_runs(all);
    for (const auto& [node, runs] : runs_)
      if (node->kind() == VarNode::kKind && runs > 1)
        fail("the name " + static_cast<const VarNode*>(node)->name +
             " depends on the thread and is used on both sides of what the whole block does; keep "
             "its value in T.alloc_local((1,), ...)");
    Stmt body = rewrite(all);
    if (!problem_.empty())
      return Error(ErrorCode::kUnsupported, problem_);
    return body;
  }

private:
  bool depends(const NodeRef& node) const {
    bool found = false;
    walk(node, [&](const NodeRef& child) {
      found |= threads_.contains(child.get()) || private_.contains(child.get());
      return !found;
    });
    return found;
  }

  /// Operators whose operands are all private to the thread become what they compute, as loops of
  /// the thread; true when there was one.
  bool expand_own(Stmt& body) const {
    bool found = false;
    body = cast_ref<StmtNode>(rewrite_post(body, [&](const NodeRef& node) -> NodeRef {
      const auto* call = node.as<TileCall>();
      const auto own = [&](const BufferRegion& region) {
        return locals_.contains(region.buffer.get());
      };
      if (call == nullptr || !std::all_of(call->regions.begin(), call->regions.end(), own) ||
          std::none_of(call->regions.begin(), call->regions.end(), [&](const BufferRegion& region) {
            return private_.contains(region.buffer.get());
          }))
        return node;
      found = true;
      return rewrite_post(
          find_tile_op(call->op)->meaning(*call), [&](const NodeRef& part) -> NodeRef {
            if (StmtNode::accepts(part->kind()))
              part->span = node->span;
            const auto* loop = part.as<For>();
            return loop == nullptr || loop->kind != ForKind::kTileParallel
                       ? part
                       : NodeRef(
                             change_loop(*loop, [](For& copy) { copy.kind = ForKind::kSerial; }));
          });
    }));
    return found;
  }

  /// Marks local memory that code of single threads writes; true when something was marked.
  bool spread(const Stmt& stmt) {
    bool changed = false;
    walk(stmt, [&](const NodeRef& node) {
      if (const auto* bind = node.as<Bind>()) {
        if (!private_.contains(bind->var.get()) && depends(bind->value))
          changed |= private_.insert(bind->var.get()).second;
      } else if (StmtNode::accepts(node->kind()) && node->kind() != SeqStmt::kKind &&
                 node->kind() != AllocBuffer::kKind) {
        const Stmt inner = cast_ref<StmtNode>(node);
        if (!is_of_block(inner) && depends(inner))
          walk(inner, [&](const NodeRef& use) {
            if (locals_.contains(use.get()))
              changed |= private_.insert(use.get()).second;
            return true;
          });
      }
      return !ExprNode::accepts(node->kind());
    });
    return changed;
  }

  bool is_of_threads(const Stmt& stmt) const {
    return !is_of_block(stmt) && !stmt.is<AllocBuffer>() && depends(stmt);
  }

  /// Calls `on_run` for each run and `on_block` for every other statement, in order.
  template <typename R, typename B> void each_run(const Stmt& stmt, R&& on_run, B&& on_block) {
    std::vector<Stmt> list;
    if (const auto* seq = stmt.as<SeqStmt>())
      list = seq->statements;
    else
      list.push_back(stmt);
    std::vector<Stmt> run;
    for (const Stmt& child : list) {
      if (is_of_threads(child)) {
        run.push_back(child);
        continue;
      }
      // An allocation between two statements of a run does not end it.
      if (!run.empty() && !child.is<AllocBuffer>()) {
        on_run(std::exchange(run, {}));
      }
      on_block(child);
    }
    if (!run.empty())
      on_run(std::move(run));
  }

  /// In how many runs each private definition is used.
  void count_runs(const Stmt& stmt) {
    each_run(
        stmt,
        [&](const std::vector<Stmt>& run) {
          std::unordered_set<const Node*> used;
          for (const Stmt& child : run)
            walk(child, [&](const NodeRef& node) {
              if (private_.contains(node.get()))
                used.insert(node.get());
              return true;
            });
          for (const Node* node : used)
            ++runs_[node];
        },
        [&](const Stmt& child) {
          if (const auto* loop = child.as<For>()) {
            count_runs(loop->body);
          } else if (const auto* repeat = child.as<While>()) {
            count_runs(repeat->body);
          } else if (const auto* branch = child.as<IfThenElse>()) {
            count_runs(branch->then_case);
            if (branch->else_case)
              count_runs(branch->else_case);
          }
        });
  }

  Stmt rewrite(const Stmt& stmt) {
    std::vector<Stmt> result;
    std::unordered_map<const Node*, Stmt> moved; // allocations that go into their run
    each_run(
        stmt,
        [&](const std::vector<Stmt>& run) {
          std::vector<Stmt> body;
          for (auto place = moved.begin(); place != moved.end();) {
            const bool used = std::any_of(run.begin(), run.end(), [&](const Stmt& child) {
              return mentions_node(child, place->first);
            });
            if (used) {
              body.push_back(place->second);
              place = moved.erase(place);
            } else {
              ++place;
            }
          }
          for (const Stmt& child : run)
            body.push_back(expanded(child));
          result.push_back(over_threads(make_seq(std::move(body))));
        },
        [&](const Stmt& child) {
          if (const auto* alloc = child.as<AllocBuffer>()) {
            const Buffer& buffer = alloc->buffer;
            if (!private_.contains(buffer.get())) {
              result.push_back(child);
            } else if (runs_[buffer.get()] <= 1 && within(stmt, buffer)) {
              moved.emplace(buffer.get(), child);
            } else {
              result.push_back(make_alloc(per_thread(buffer), alloc->annotations));
            }
            return;
          }
          if (const auto* call = child.as<Evaluate>(); call != nullptr && is_barrier(call->value))
            return; // the end of the run is the barrier
          result.push_back(block_statement(child));
        });
    return make_seq(std::move(result));
  }

  Stmt block_statement(const Stmt& stmt) {
    line_ = stmt->span.line;
    if (stmt.is<TileCall>()) {
      if (const auto* call = stmt.as<TileCall>(); depends(stmt))
        fail("T." + call->op +
             " works for the whole block, but what it is given depends on the "
             "thread");
      return stmt;
    }
    if (const auto* loop = stmt.as<For>()) {
      if (loop->kind == ForKind::kTileParallel) {
        if (depends(stmt))
          fail("a T.Parallel loop is shared out among the threads, so its body cannot depend on a "
               "thread's number");
        return stmt;
      }
      if (depends(loop->extent) || depends(loop->min))
        fail("the bounds of loop " + loop->loop_var->name +
             ", in which the whole block takes part, depend on the thread");
      const Stmt body = rewrite(loop->body);
      return change_loop(*loop, [&](For& node) { node.body = body; });
    }
    if (const auto* branch = stmt.as<IfThenElse>()) {
      if (depends(branch->condition))
        fail(
            are_roles(*branch)
                ? "roles of warps that run tile operators are for GPUs: take a cuda target, or "
                  "--device emulated"
                : "a condition that depends on the thread stands around what the whole block does: "
                  "not all threads would come there");
      return make_if(branch->condition, rewrite(branch->then_case),
                     branch->else_case ? rewrite(branch->else_case) : nullptr);
    }
    if (const auto* repeat = stmt.as<While>()) {
      if (depends(repeat->condition))
        fail("a while loop in which the whole block takes part has a condition that depends on the "
             "thread");
      return make_while(repeat->condition, rewrite(repeat->body));
    }
    return stmt;
  }

  void fail(std::string problem) {
    if (problem_.empty())
      problem_ = (line_ == 0 ? "" : "line " + std::to_string(line_) + ": ") + std::move(problem);
  }

  static bool mentions_node(const NodeRef& root, const Node* node) {
    bool found = false;
    walk(root, [&](const NodeRef& child) {
      found |= child.get() == node;
      return !found;
    });
    return found;
  }

  /// All uses of the buffer are in runs of this very list, not in nested ones of the block.
  bool within(const Stmt& list, const Buffer& buffer) {
    bool outside = false;
    each_run(
        list, [](const std::vector<Stmt>&) {},
        [&](const Stmt& child) {
          outside |= !child.is<AllocBuffer>() && mentions_node(child, buffer.get());
        });
    return !outside;
  }

  Buffer per_thread(const Buffer& buffer) {
    const auto found = spread_.find(buffer.get());
    if (found != spread_.end())
      return found->second;
    const Buffer larger = copy_node(*buffer, [&](BufferNode& node) {
      node.shape = launch_.threads;
      node.shape.insert(node.shape.end(), buffer->shape.begin(), buffer->shape.end());
    });
    spread_.emplace(buffer.get(), larger);
    return larger;
  }

  /// Accesses of memory that has dimensions for the threads get them.
  Stmt expanded(const Stmt& stmt) {
    const auto with_threads = [&](const std::vector<Expr>& indices) {
      std::vector<Expr> result;
      for (const Var& var : launch_.thread_vars)
        result.emplace_back(var);
      result.insert(result.end(), indices.begin(), indices.end());
      return result;
    };
    return cast_ref<StmtNode>(rewrite_post(stmt, [&](const NodeRef& node) -> NodeRef {
      if (const auto* load = node.as<BufferLoad>()) {
        const auto found = spread_.find(load->buffer.get());
        if (found != spread_.end())
          return make_load(found->second, with_threads(load->indices), load->predicate);
      } else if (const auto* store = node.as<BufferStore>()) {
        const auto found = spread_.find(store->buffer.get());
        if (found != spread_.end())
          return make_store(found->second, with_threads(store->indices), store->value,
                            store->predicate);
      }
      return node;
    }));
  }

  bool are_roles(const IfThenElse& branch) const {
    ThreadRange block{0, 1};
    for (const Expr& extent : launch_.threads)
      block.count *= as_int(extent).value_or(0);
    return divides_roles(branch, launch_) && role_threads(branch, true, launch_, block);
  }

  Stmt over_threads(Stmt body) {
    // Each run has variables of its own.
    VarMap fresh;
    std::vector<Var> vars;
    for (const Var& var : launch_.thread_vars) {
      vars.push_back(make_var(var->name, var->dtype));
      fresh.emplace(var, vars.back());
    }
    body = substitute(body, fresh);
    const Annotations marks = Annotations().with("temper.threads", make_int(DataType::int32(), 1));
    for (size_t d = 0; d < vars.size(); ++d)
      body = make_for(vars[d], make_int(vars[d]->dtype, 0), launch_.threads[d],
                      ForKind::kTileParallel, std::move(body), marks);
    return body;
  }

  const KernelLaunch& launch_;
  std::unordered_set<const Node*> threads_;
  std::unordered_set<const Node*> locals_;
  std::unordered_set<const Node*> private_; ///< local memory and names that threads have each
  std::unordered_map<const Node*, int> runs_;
  std::unordered_map<const Node*, Buffer> spread_;
  std::string problem_;
  uint32_t line_ = 0; ///< of the statement at hand
};

} // namespace

Result<PrimFunc> lower_threads(const PrimFunc& function) {
  Error error;
  bool failed = false;
  const auto rewrite = [&](auto&& self, const Stmt& stmt) -> Stmt {
    if (const auto* launch = stmt.as<KernelLaunch>()) {
      Result<Stmt> body = ThreadLowering(*launch).run();
      if (!body) {
        failed = true;
        error = std::move(body).error();
        return stmt;
      }
      if (*body == launch->body)
        return stmt;
      return copy_node(*launch, [&](KernelLaunch& node) { node.body = std::move(*body); });
    }
    return rebuild(
        stmt, [&](const Stmt& child) { return self(self, child); },
        [](const Expr& expr) { return expr; });
  };
  const Stmt body = rewrite(rewrite, function->body);
  if (failed)
    return error;
  return with_body(function, body);
}

} // namespace temper::tir
