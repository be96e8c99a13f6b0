// Nests of loops of a block's tile become tile operators, which lower_simt then gives to tensor
// cores and asynchronous copies.
//
//   for ax0, ax1 in T.grid(64, 32):                        T.copy(A[by * 64:by * 64 + 64, ...],
//     A_shared[ax0, ax1] = A[by * 64 + ax0, ...]     ->           A_shared)
//   for i, j, k in T.grid(64, 64, 32):                     T.gemm(A_shared, B_shared, C_fragment)
//     C_fragment[i, j] = C_fragment[i, j] + T.cast(A_shared[i, k], ..) * T.cast(B_shared[k, j], ..)
//
// Loops around statements without loops are a nest: a product where they read as one, a copy where
// one element is moved as it is, and iterations of the block (T.Parallel) else. Loops around nests
// stay. Dimensions of one element of the block's own memory, as a batch leaves them, go: operators
// work on matrices.
#include "ir/tir/bound_threads.h"

#include "ir/pass/index_math.h"
#include "ir/pass/rewrite.h"
#include "ir/tir/dispatch.h"
#include "ir/tir/kernel_layouts.h"
#include "ir/tir/kernel_math.h"
#include "ir/tir/lower_simt.h"
#include "ir/tir/pipeline.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::tir {
namespace {

constexpr int64_t kWarpsOfGroup = 4; ///< of a warpgroup

bool has_loop(const Stmt& stmt) {
  bool found = false;
  walk(stmt, [&](const NodeRef& node) {
    found |= node.is<For>();
    return !found && !ExprNode::accepts(node->kind());
  });
  return found;
}

Stmt below_loops(Stmt stmt) {
  while (const auto* loop = stmt.as<For>())
    stmt = loop->body;
  return stmt;
}

/// Buffers of the block without their dimensions of one element, and accesses to them.
Stmt squeezed(const Stmt& body) {
  BufferMap narrow;
  const auto keeps = [](const Buffer& buffer, size_t d) { return !is_int(buffer->shape[d], 1); };
  walk(body, [&](const NodeRef& node) {
    const auto* alloc = node.as<AllocBuffer>();
    if (alloc == nullptr || tile_scope(alloc->buffer->scope) == "global")
      return !ExprNode::accepts(node->kind());
    const Buffer& buffer = alloc->buffer;
    std::vector<Expr> shape;
    for (size_t d = 0; d < buffer->shape.size(); ++d)
      if (keeps(buffer, d))
        shape.push_back(buffer->shape[d]);
    if (!shape.empty() && shape.size() < buffer->shape.size() && buffer->strides.empty())
      narrow.emplace(buffer,
                     copy_node(*buffer, [&](BufferNode& copy) { copy.shape = std::move(shape); }));
    return false;
  });
  if (narrow.empty())
    return body;
  const auto kept = [&](const Buffer& buffer, const std::vector<Expr>& indices) {
    std::vector<Expr> result;
    for (size_t d = 0; d < indices.size(); ++d)
      if (keeps(buffer, d))
        result.push_back(indices[d]);
    return result;
  };
  return cast_ref<StmtNode>(rewrite_post(body, [&](const NodeRef& node) -> NodeRef {
    if (const auto* load = node.as<BufferLoad>())
      if (const auto found = narrow.find(load->buffer); found != narrow.end())
        return make_load(found->second, kept(load->buffer, load->indices), load->predicate);
    if (const auto* store = node.as<BufferStore>())
      if (const auto found = narrow.find(store->buffer); found != narrow.end())
        return make_store(found->second, kept(store->buffer, store->indices), store->value,
                          store->predicate);
    if (const auto* alloc = node.as<AllocBuffer>())
      if (const auto found = narrow.find(alloc->buffer); found != narrow.end())
        return make_alloc(found->second, alloc->annotations);
    return node;
  }));
}

class TileNests {
public:
  Result<Stmt> run(const KernelLaunch& launch) {
    bind_kernel(math_, launch);
    warp_rows_ = launch.annotations.get_int(kTileWarpRows).value_or(1);
    warp_columns_ = launch.annotations.get_int(kTileWarpColumns).value_or(1);
    Stmt body = rewrite(squeezed(launch.body));
    if (!error_.message.empty())
      return error_;
    return Stmt(copy_node(launch, [&](KernelLaunch& node) {
      node.annotations = {};
      node.body = std::move(body);
    }));
  }

private:
  /// A box of a buffer, and the loops that move along its dimensions, those of one element left
  /// out.
  struct Operand {
    BufferRegion region;
    std::vector<const VarNode*> loops;
    bool moves(const VarNode* var) const {
      return std::find(loops.begin(), loops.end(), var) != loops.end();
    }
  };

  Stmt rewrite(const Stmt& stmt) {
    const Analyzer::Scope scope(math_);
    if (const auto* loop = stmt.as<For>()) {
      if (!has_loop(below_loops(stmt)))
        return nest(*loop);
      bind_loop(math_, *loop);
      const Stmt body = rewrite(loop->body);
      const int64_t stages = loop->annotations.get_int(kTileStages).value_or(1);
      if (stages > 1)
        return pipelined(*loop, body, stages);
      return change_loop(*loop, [&](For& node) {
        node.annotations = {};
        node.body = body;
      });
    }
    return rebuild(
        stmt, [&](const Stmt& child) { return rewrite(child); },
        [](const Expr& expr) { return expr; });
  }

  /// Memory that its copies fill outlives a round.
  Stmt pipelined(const For& loop, const Stmt& body, int64_t stages) const {
    std::vector<Stmt> before, inside;
    const auto* seq = body.as<SeqStmt>();
    for (const Stmt& child : seq != nullptr ? seq->statements : std::vector<Stmt>{body})
      (child.is<AllocBuffer>() ? before : inside).push_back(child);
    Annotations annotations = Annotations().with(kStages, make_int(DataType::int32(), stages));
    if (int64_t tma = loop.annotations.get_int(kTileTma).value_or(0); tma > 0) {
      if (warp_rows_ * warp_columns_ % kWarpsOfGroup != 0)
        tma = 1; // a warp of its own stands beside whole warpgroups
      annotations = annotations.with(kTma, make_int(DataType::int32(), tma));
    }
    before.push_back(change_loop(loop, [&](For& node) {
      node.kind = ForKind::kPipelined;
      node.annotations = annotations;
      node.body = make_seq(std::move(inside));
    }));
    return make_seq(std::move(before));
  }

  Stmt nest(const For& outer) {
    std::vector<Ref<For>> loops;
    Stmt inner(&outer);
    while (const auto* loop = inner.as<For>()) {
      loops.push_back(inner.as_ref<For>());
      bind_loop(math_, *loop);
      if (!as_int(loop->extent) || !is_int(loop->min, 0) || loop->kind != ForKind::kSerial)
        return fail(fmt::format("loop {} of a block's tile is no plain loop of constant length",
                                loop->loop_var->name));
      inner = loop->body;
    }
    if (const auto* store = inner.as<BufferStore>(); store != nullptr && !store->predicate) {
      if (Stmt product = as_product(loops, *store))
        return product;
      if (Stmt copy = as_copy(loops, *store))
        return copy;
    }
    if (const Buffer sum = read_and_written(inner); sum)
      return fail(fmt::format("the loops of a block's tile below {} read and write {}, and are no "
                              "product of two matrices that tensor cores take",
                              outer.loop_var->name, sum->name));
    for (auto loop = loops.rbegin(); loop != loops.rend(); ++loop)
      inner = change_loop(**loop, [&](For& node) {
        node.kind = ForKind::kTileParallel;
        node.annotations = {};
        node.body = inner;
      });
    return inner;
  }

  static Buffer read_and_written(const Stmt& stmt) {
    std::vector<Buffer> written;
    walk(stmt, [&](const NodeRef& node) {
      if (const auto* store = node.as<BufferStore>())
        written.push_back(store->buffer);
      return true;
    });
    Buffer found;
    walk(stmt, [&](const NodeRef& node) {
      if (const auto* load = node.as<BufferLoad>();
          load != nullptr &&
          std::find(written.begin(), written.end(), load->buffer) != written.end())
        found = load->buffer;
      return true;
    });
    return found;
  }

  /// Operators convert once: what they read to what they compute in.
  static Expr without_cast(const Expr& expr) {
    const auto* cast = expr.as<Cast>();
    return cast != nullptr ? cast->value : expr;
  }

  /// The box of an access over the loops, each of which moves one dimension by one.
  std::optional<Operand> operand(const std::vector<Ref<For>>& loops, const Buffer& buffer,
                                 const std::vector<Expr>& indices) {
    Operand result{{buffer, {}}, {}};
    for (const Expr& index : indices) {
      LinearForm form = math_.linear(index);
      const For* mover = nullptr;
      for (const Ref<For>& loop : loops) {
        if (!depends_on(form, loop->loop_var.get()))
          continue;
        if (mover != nullptr || hides(form, loop->loop_var.get()) ||
            coefficient(form, loop->loop_var.get()) != 1)
          return std::nullopt;
        mover = loop.get();
      }
      if (mover == nullptr) {
        result.region.region.push_back({index, make_int(index->dtype, 1)});
        continue;
      }
      if (result.moves(mover->loop_var.get()))
        return std::nullopt;
      form.add_term(Expr(mover->loop_var), -1);
      result.loops.push_back(mover->loop_var.get());
      result.region.region.push_back({to_expr(form), mover->extent});
    }
    return result;
  }
  std::optional<Operand> operand(const std::vector<Ref<For>>& loops, const Expr& expr) {
    const auto* load = without_cast(expr).as<BufferLoad>();
    if (load == nullptr || load->predicate)
      return std::nullopt;
    return operand(loops, load->buffer, load->indices);
  }

  Stmt as_product(const std::vector<Ref<For>>& loops, const BufferStore& store) {
    const auto* sum = store.value.as<Add>();
    const auto* before = sum != nullptr ? sum->a.as<BufferLoad>() : nullptr;
    const auto* product = sum != nullptr ? sum->b.as<Mul>() : nullptr;
    if (before == nullptr || product == nullptr || before->buffer != store.buffer ||
        loops.size() != 3)
      return nullptr;
    for (size_t d = 0; d < store.indices.size(); ++d)
      if (!same_expr(before->indices[d], store.indices[d]))
        return nullptr;
    const auto c = operand(loops, store.buffer, store.indices);
    auto a = operand(loops, product->a);
    auto b = operand(loops, product->b);
    if (!a || !b || !c || a->loops.size() != 2 || b->loops.size() != 2 || c->loops.size() != 2)
      return nullptr;
    const VarNode* i = c->loops[0];
    const VarNode* j = c->loops[1];
    if (a->moves(j))
      std::swap(a, b);
    if (!a->moves(i) || !b->moves(j) || a->moves(j) || b->moves(i))
      return nullptr;
    Annotations options;
    if (a->loops[1] == i)
      options = options.with("transpose_A", make_bool(true));
    if (b->loops[0] == j)
      options = options.with("transpose_B", make_bool(true));
    // Warpgroups have 64 rows at a time.
    const int64_t rows = *as_int(c->region.region[c->region.region.size() - 2].extent);
    const bool wgmma = (warp_rows_ * warp_columns_) % kWarpsOfGroup == 0 && rows % 64 == 0 &&
                       std::any_of(loops.begin(), loops.end(), [](const Ref<For>& loop) {
                         return loop->annotations.get_int(kTileWgmma).value_or(0) != 0;
                       });
    if (wgmma)
      options = options.with(kVariant, make_string(kWgmma));
    if (!wgmma || warp_rows_ % kWarpsOfGroup == 0)
      options = options.with(
          kWarpRows, make_int(DataType::int32(), wgmma ? warp_rows_ / kWarpsOfGroup : warp_rows_));
    return make_tile_call("gemm", {a->region, b->region, c->region}, {}, std::move(options));
  }

  Stmt as_copy(const std::vector<Ref<For>>& loops, const BufferStore& store) {
    const auto from = operand(loops, store.value);
    const auto to = operand(loops, store.buffer, store.indices);
    if (!from || !to || from->loops != to->loops || to->loops.size() != loops.size())
      return nullptr;
    if (from->region.buffer == to->region.buffer)
      return nullptr; // its elements may depend on each other
    return make_tile_call("copy", {from->region, to->region}, {}, {});
  }

  /// An empty statement.
  Stmt fail(std::string message) {
    if (error_.message.empty())
      error_ = Error(ErrorCode::kUnsupported, std::move(message));
    return make_seq({});
  }

  int64_t warp_rows_ = 1;
  int64_t warp_columns_ = 1;
  Analyzer math_;
  Error error_;
};

} // namespace

Result<PrimFunc> tile_nests(const PrimFunc& function, int architecture) {
  // The threads of other kernels are there already, and so are their barriers.
  const auto has_tile = [](const Stmt& stmt) {
    const auto* launch = stmt.as<KernelLaunch>();
    return launch != nullptr && tile_threads(launch->annotations) != 0;
  };
  const auto to_threads = [&](const Stmt& stmt) -> Result<Stmt> {
    TEMPER_TRY(tiles, TileNests().run(*stmt.as<KernelLaunch>()));
    TEMPER_TRY(threads, lower_simt(with_body(function, tiles), architecture));
    return threads->body;
  };
  TEMPER_TRY(body, replace_where(function->body, has_tile, to_threads));
  return with_body(function, body);
}

} // namespace temper::tir
