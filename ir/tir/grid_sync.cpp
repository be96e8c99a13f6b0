#include "ir/tir/grid_sync.h"

#include "ir/arith/region.h"
#include "ir/op.h"
#include "ir/tir/statement_call.h"
#include "ir/tir/tile_ops.h"
#include "ir/walk.h"

#include <algorithm>

namespace temper::tir {
namespace {

bool is_sync(const Stmt& stmt) { return is_call(stmt, kSyncGrid); }

bool occurs(const Node* what, const NodeRef& where) {
  bool found = false;
  walk(where, [&](const NodeRef& node) {
    found |= node.get() == what;
    return !found;
  });
  return found;
}

class GridSplitting {
public:
  GridSplitting(const KernelLaunch& kernel, FunctionRef<bool(const Buffer&)> cannot_move)
      : kernel_(kernel), cannot_move_(cannot_move) {
    const auto* seq = kernel.body.as<SeqStmt>();
    parts_.emplace_back();
    for (const Stmt& stmt : seq != nullptr ? seq->statements : std::vector<Stmt>{kernel.body})
      if (is_sync(stmt))
        parts_.emplace_back();
      else
        parts_.back().push_back(stmt);
    for (const Var& var : kernel.thread_vars)
      by_threads_ |= occurs(var.get(), kernel.body);
  }

  Result<std::vector<Stmt>> run() {
    blocks_.push_back(kernel_.block_vars);
    threads_.push_back(kernel_.thread_vars);
    for (size_t p = 1; p < parts_.size(); ++p)
      TEMPER_TRY_VOID(begin(p));
    std::vector<Stmt> result = std::move(allocations_);
    for (size_t p = 0; p < parts_.size(); ++p)
      if (!parts_[p].empty())
        result.push_back(make_kernel(kernel_.grid, kernel_.threads, blocks_[p], threads_[p],
                                     make_seq(parts_[p]), annotations()));
    return result;
  }

private:
  Annotations annotations() const {
    return by_threads_ ? kernel_.annotations.without(kOpenThreads) : kernel_.annotations;
  }

  bool used_from(size_t part, const Node* what) const {
    for (size_t p = part; p < parts_.size(); ++p)
      for (const Stmt& stmt : parts_[p])
        if (occurs(what, stmt))
          return true;
    return false;
  }

  /// Where a block, or a thread of one, keeps the whole of `buffer`; the first element of it.
  std::vector<Expr> place(const std::vector<Var>& blocks, const std::vector<Var>& threads,
                          bool by_threads) const {
    std::vector<Expr> at(blocks.begin(), blocks.end());
    if (by_threads)
      at.insert(at.end(), threads.begin(), threads.end());
    return at;
  }

  /// What moves `buffer` out of a part, or into one.
  Stmt move(const Buffer& buffer, const Buffer& kept, const std::vector<Var>& blocks,
            const std::vector<Var>& threads, bool out) const {
    const bool by_threads = is_local(buffer) && by_threads_;
    std::vector<Expr> at = place(blocks, threads, by_threads);
    if (!is_local(buffer)) {
      BufferRegion region{kept, {}};
      for (const Expr& index : at)
        region.region.push_back({index, make_int(index->dtype, 1)});
      for (const Expr& extent : buffer->shape)
        region.region.push_back({make_int(extent->dtype, 0), extent});
      const BufferRegion own = whole_region(buffer);
      return make_tile_call("copy", out ? std::vector{own, region} : std::vector{region, own}, {});
    }
    const TileLoops loops(buffer->shape);
    at.insert(at.end(), loops.indices.begin(), loops.indices.end());
    return loops.wrap(out ? make_store(kept, at, make_load(buffer, loops.indices))
                          : make_store(buffer, loops.indices, make_load(kept, at)));
  }

  static bool is_local(const Buffer& buffer) { return buffer->scope == "local"; }

  /// Part `p` gets variables of its own, and what it uses of the parts before it.
  Result<void> begin(size_t p) {
    VarMap values;
    const auto fresh = [&](const std::vector<Var>& before) {
      std::vector<Var> made;
      for (const Var& var : before) {
        made.push_back(make_var(var->name, var->dtype));
        made.back()->span = var->span;
        values.emplace(var, Expr(made.back()));
      }
      return made;
    };
    const std::vector<Var> old_blocks = blocks_[p - 1];
    const std::vector<Var> old_threads = threads_[p - 1];
    std::vector<Var> blocks = fresh(old_blocks);
    std::vector<Var> threads = fresh(old_threads);
    BufferMap buffers;
    std::vector<Stmt> first;
    std::vector<Stmt>& before = parts_[p - 1];
    std::vector<Stmt> last;
    for (const Stmt& stmt : before) {
      if (const auto* bind = stmt.as<Bind>(); bind != nullptr && used_from(p, bind->var.get())) {
        bool reads = false;
        walk(bind->value, [&](const NodeRef& node) {
          const auto* call = node.as<Call>();
          const OpInfo* op = call != nullptr ? find_op(call->op) : nullptr;
          reads |= node.is<BufferLoad>() || (op != nullptr && !op->pure);
          return !reads;
        });
        if (reads)
          return Error(ErrorCode::kUnsupported,
                       "the name " + bind->var->name +
                           " is read from memory before T.sync_grid() and used behind it; read it "
                           "again there, or keep it in T.alloc_local((1,), ...)");
        const Var var = make_var(bind->var->name, bind->var->dtype);
        first.push_back(make_bind(var, substitute(bind->value, values)));
        values.emplace(bind->var, Expr(var));
      }
      const auto* alloc = stmt.as<AllocBuffer>();
      if (alloc == nullptr || !used_from(p, alloc->buffer.get()))
        continue;
      const Buffer& old = alloc->buffer;
      if (cannot_move_(old) || old->dtype == DataType::uint(64))
        return Error(ErrorCode::kUnsupported,
                     old->name + " does not last over T.sync_grid(): barriers, views and reducers "
                                 "are made again behind it");
      const Buffer made = copy_node(*old, [](BufferNode&) {});
      buffers.emplace(old, made);
      first.push_back(copy_node(*alloc, [&](AllocBuffer& node) { node.buffer = made; }));
      const bool used = std::any_of(before.begin(), before.end(), [&](const Stmt& other) {
        return other != stmt && occurs(old.get(), other);
      });
      if (!used)
        continue;
      std::vector<Expr> shape = kernel_.grid;
      if (is_local(old) && by_threads_)
        shape.insert(shape.end(), kernel_.threads.begin(), kernel_.threads.end());
      shape.insert(shape.end(), old->shape.begin(), old->shape.end());
      const Buffer kept = make_buffer(old->name + "_kept", old->dtype, std::move(shape), "global");
      allocations_.push_back(make_alloc(kept));
      last.push_back(move(old, kept, old_blocks, old_threads, true));
      first.push_back(move(made, kept, blocks, threads, false));
    }
    before.insert(before.end(), last.begin(), last.end());
    const auto changed = [&](const Stmt& stmt) {
      const Stmt renamed = substitute(stmt, values);
      return cast_ref<StmtNode>(replace_buffers(renamed, buffers));
    };
    // Later parts go through the parts between: their turn comes with these names.
    for (size_t q = p; q < parts_.size(); ++q)
      for (Stmt& stmt : parts_[q])
        stmt = changed(stmt);
    parts_[p].insert(parts_[p].begin(), first.begin(), first.end());
    blocks_.push_back(std::move(blocks));
    threads_.push_back(std::move(threads));
    return {};
  }

  const KernelLaunch& kernel_;
  FunctionRef<bool(const Buffer&)> cannot_move_;
  std::vector<std::vector<Stmt>> parts_;
  std::vector<Stmt> allocations_;
  std::vector<std::vector<Var>> blocks_; ///< of each part that has begun
  std::vector<std::vector<Var>> threads_;
  bool by_threads_ = false; ///< the kernel looks at its threads: local memory is theirs
};

} // namespace

Result<std::vector<Stmt>> split_at_grid_sync(const KernelLaunch& kernel,
                                             FunctionRef<bool(const Buffer&)> cannot_move) {
  return GridSplitting(kernel, cannot_move).run();
}

} // namespace temper::tir
