// A kernel as a layout problem. Products come as they are; every other operator and T.Parallel is a
// loop nest whose operands are indexed by its loops.
#include "ir/tir/kernel_layouts.h"

#include "ir/narrow.h"
#include "ir/tir/dispatch.h"
#include "ir/tir/mfma.h"
#include "ir/tir/ops/gemm.h"
#include "ir/tir/pipeline_stages.h"
#include "ir/tir/roles.h"
#include "ir/tir/step_vectors.h"
#include "ir/tir/tile_ops.h"
#include "ir/walk.h"

#include <fmt/format.h>

#include <unordered_map>
#include <utility>

namespace temper::tir {
namespace {

std::string at(const Span& span) {
  return span.line == 0 ? std::string()
                        : fmt::format("line {}, column {}: ", span.line, span.column);
}

constexpr int64_t kMostRows = 16; ///< of a fragment that a thread holds all of

bool is_fragment_scope(const std::string& scope) { return tile_scope(scope) == "fragment"; }
bool is_shared_scope(const std::string& scope) { return tile_scope(scope) == "shared"; }

class Poser {
public:
  Result<KernelLayouts> run(const KernelLaunch& kernel, bool wgmma, bool mfma) {
    result_.problem.wgmma = wgmma;
    result_.problem.mfma = mfma;
    int64_t threads = 1;
    for (const Expr& extent : kernel.threads) {
      const auto value = as_int(extent);
      if (!value)
        return bad(kernel.span, "the number of threads of a kernel must be constant for layouts");
      threads *= *value;
    }
    result_.problem.threads = threads;
    kernel_ = &kernel;
    block_ = role_ = {0, threads};
    find_rows(kernel.body);
    statement(kernel.body);
    if (!error_.message.empty())
      return error_;
    return std::move(result_);
  }

private:
  static Error bad(const Span& span, const std::string& message) {
    return {ErrorCode::kInvalidArgument, at(span) + message};
  }
  void fail(const Span& span, const std::string& message) {
    if (error_.message.empty())
      error_ = bad(span, message);
  }

  void statement(const Stmt& stmt) {
    if (const auto* alloc = stmt.as<AllocBuffer>()) {
      add(*alloc);
    } else if (const auto* call = stmt.as<TileCall>()) {
      tile_call(*call);
    } else if (const auto* loop = stmt.as<For>();
               loop != nullptr && loop->kind == ForKind::kTileParallel) {
      parallel(*loop);
    } else if (const auto* branch = stmt.as<IfThenElse>();
               branch != nullptr && divides_roles(*branch, *kernel_)) {
      for (const bool holds : {true, false})
        if (const Stmt& side = holds ? branch->then_case : branch->else_case)
          role(*branch, holds, side);
    } else {
      if (stmt.as<BufferStore>() != nullptr || stmt.as<Evaluate>() != nullptr) {
        note_scopes(stmt, stmt->span);
        note_by_hand(stmt);
      }
      stmt->info().for_each_child(stmt.get(), [&](const NodeRef& child, Role) {
        if (StmtNode::accepts(child->kind()))
          statement(cast_ref<StmtNode>(child));
      });
    }
  }

  /// Fragments of which every T.Parallel takes a part whose place is the same for all its
  /// iterations: `part[r, v]` for v, r of a loop around it. Then a thread holds the parts of all r,
  /// each as the loops over v have it, and `rows_` says which dimensions r is.
  void find_rows(const Stmt& body) {
    std::unordered_set<const BufferNode*> others;
    std::vector<const VarNode*> vars;
    std::vector<int64_t> extents;
    const auto access = [&](const Buffer& buffer, const std::vector<Expr>& indices) {
      if (!is_fragment_scope(buffer->scope))
        return;
      std::vector<bool> rows;
      bool along = false;
      int64_t parts = 1;
      for (size_t d = 0; d < indices.size(); ++d) {
        const auto found = std::find(vars.begin(), vars.end(), indices[d].as<VarNode>());
        const int64_t extent = as_int(buffer->shape[d]).value_or(0);
        const bool moves = found != vars.end();
        if (moves ? extents[static_cast<size_t>(found - vars.begin())] != extent
                  : uses_var(indices[d], [&](const VarNode& var) {
                      return std::find(vars.begin(), vars.end(), &var) != vars.end();
                    }))
          others.insert(buffer.get());
        rows.push_back(!moves);
        along |= moves;
        parts *= moves ? 1 : extent;
      }
      const auto [known, fresh] = rows_.emplace(buffer.get(), rows);
      if (!along || parts < 2 || parts > kMostRows || known->second != rows)
        others.insert(buffer.get());
    };
    walk(body, [&](const NodeRef& node) {
      if (const auto* alloc = node.as<AllocBuffer>();
          alloc != nullptr && alloc->annotations.get(kLayoutAnnotation))
        others.insert(alloc->buffer.get());
      if (const auto* call = node.as<TileCall>(); call != nullptr && call->op == "gemm")
        for (const BufferRegion& region : call->regions)
          others.insert(region.buffer.get());
      const auto* loop = node.as<For>();
      if (loop == nullptr || loop->kind != ForKind::kTileParallel)
        return true;
      vars.clear();
      extents.clear();
      while (loop != nullptr && loop->kind == ForKind::kTileParallel) {
        vars.push_back(loop->loop_var.get());
        extents.push_back(as_int(loop->extent).value_or(-1));
        const Stmt& inner = loop->body;
        loop = inner.as<For>();
        if (loop != nullptr && loop->kind == ForKind::kTileParallel)
          continue;
        walk(inner, [&](const NodeRef& part) {
          if (const auto* store = part.as<BufferStore>())
            access(store->buffer, store->indices);
          if (const auto* load = part.as<BufferLoad>())
            access(load->buffer, load->indices);
          return true;
        });
      }
      return false;
    });
    std::erase_if(rows_, [&](const auto& known) {
      return others.contains(known.first) ||
             std::find(known.second.begin(), known.second.end(), true) == known.second.end();
    });
  }

  void role(const IfThenElse& branch, bool holds, const Stmt& side) {
    const auto threads = role_threads(branch, holds, *kernel_, role_);
    if (!threads) {
      if (error_.message.empty())
        error_ = threads.error();
      return;
    }
    const ThreadRange around = std::exchange(role_, *threads);
    statement(side);
    role_ = around;
  }
  int64_t role_threads_or_block() const { return role_ == block_ ? 0 : role_.count; }

  /// A fragment belongs to the threads that use it first; others cannot see it.
  void note_scope(const Buffer& buffer, const Span& where) {
    const int index = find(buffer);
    if (index < 0 || !is_fragment_scope(buffer->scope))
      return;
    const auto [first, fresh] =
        scope_of_.try_emplace(buffer.get(), std::pair<ThreadRange, Span>(role_, where));
    if (fresh) {
      result_.problem.buffers[static_cast<size_t>(index)].threads = role_threads_or_block();
      return;
    }
    const auto& [range, line] = first->second;
    if (range == role_)
      return;
    const auto text = [&](const ThreadRange& threads) {
      return threads == block_ ? std::string("the whole block")
                               : fmt::format("threads {} to {}", threads.first,
                                             threads.first + threads.count - 1);
    };
    fail(where,
         fmt::format("the fragment {} is used by {} here and by {} in line {}: registers are "
                     "seen by the threads that hold them alone; copy it through shared memory",
                     buffer->name, text(role_), text(range), line.line));
  }
  void note_scopes(const NodeRef& root, const Span& where) {
    walk(root, [&](const NodeRef& node) {
      if (const auto* store = node.as<BufferStore>())
        note_scope(store->buffer, where);
      if (const auto* load = node.as<BufferLoad>())
        note_scope(load->buffer, where);
      return true;
    });
  }

  bool is_row(const Buffer& buffer, size_t dimension) const {
    const auto found = rows_.find(buffer.get());
    return found != rows_.end() && found->second[dimension];
  }

  void note_by_hand(const NodeRef& root) {
    walk(root, [&](const NodeRef& node) {
      const auto* load = node.as<BufferLoad>();
      const auto* store = node.as<BufferStore>();
      if (load != nullptr || store != nullptr)
        if (const int index = find(load != nullptr ? load->buffer : store->buffer); index >= 0)
          result_.problem.buffers[static_cast<size_t>(index)].by_hand = true;
      return true;
    });
  }

  void add(const AllocBuffer& alloc) {
    const Buffer& buffer = alloc.buffer;
    const bool fragment = is_fragment_scope(buffer->scope);
    if (!fragment && !is_shared_scope(buffer->scope))
      return;
    LayoutBuffer entry;
    entry.name = buffer->name;
    entry.element_bits = buffer->dtype.is_bool() ? 8 : buffer->dtype.bits;
    entry.is_fragment = fragment;
    int skipped = 0;
    for (const Expr& extent : buffer->shape) {
      const auto value = as_int(extent);
      if (!value)
        return fail(alloc.span, "the shape of " + buffer->name + " must be constant for a layout");
      if (*value < 1)
        return fail(alloc.span, buffer->name + " has no elements: dimension " +
                                    std::to_string(entry.shape.size()) + " of it is " +
                                    std::to_string(*value) + ", and must be at least 1");
      if (!is_row(buffer, entry.shape.size() + static_cast<size_t>(skipped)))
        entry.shape.push_back(*value);
      else
        ++skipped;
    }
    if (const Expr annotated = alloc.annotations.get(kLayoutAnnotation)) {
      auto layout = layout_of(annotated);
      if (!layout)
        return fail(alloc.span, "the layout of " + buffer->name + ": " + layout.error().message);
      entry.fixed = *std::move(layout);
      entry.fixed_where = alloc.span;
    }
    index_[buffer.get()] = static_cast<int>(result_.buffers.size());
    result_.buffers.push_back(buffer);
    const auto rows = rows_.find(buffer.get());
    result_.rows.push_back(rows != rows_.end() ? rows->second : std::vector<bool>{});
    result_.problem.buffers.push_back(std::move(entry));
  }

  int find(const Buffer& buffer) const {
    const auto found = index_.find(buffer.get());
    return found == index_.end() ? -1 : found->second;
  }

  /// The buffer's number when the region is all of a fragment; -1 where it is not: of a part of a
  /// fragment nothing follows for the whole, and it goes through shared memory where need be.
  int whole_fragment(const BufferRegion& region) {
    return is_fragment_scope(region.buffer->scope) && is_whole(region) &&
                   !rows_.contains(region.buffer.get())
               ? find(region.buffer)
               : -1;
  }

  static std::vector<int> all_loops(const Buffer& buffer) {
    std::vector<int> loops;
    for (size_t d = 0; d < buffer->shape.size(); ++d)
      loops.push_back(static_cast<int>(d));
    return loops;
  }

  void tile_call(const TileCall& call) {
    for (const BufferRegion& region : call.regions)
      note_scope(region.buffer, call.span);
    LayoutUse use;
    use.op = "T." + call.op;
    use.where = call.span;
    use.threads = role_threads_or_block();
    if (call.op == "gemm") {
      // Without tensor cores for these types any layout does: operands are read element by element.
      if (!ops::tensor_types(call)) {
        for (size_t i = 0; i < 3; ++i)
          if (find(call.regions[i].buffer) < 0)
            return fail(call.span, use.op + ": " + call.regions[i].buffer->name +
                                       " lies in global memory; copy it into shared memory first");
        return;
      }
      bool whole = true;
      for (const BufferRegion& region : call.regions)
        whole &= !is_fragment_scope(region.buffer->scope) || whole_fragment(region) >= 0;
      if (!whole)
        return;
      use.is_gemm = true;
      int* operands[] = {&use.a, &use.b, &use.c};
      for (size_t i = 0; i < 3; ++i) {
        *operands[i] = find(call.regions[i].buffer);
        if (*operands[i] < 0)
          return fail(call.span, use.op + ": " + call.regions[i].buffer->name +
                                     " lies in global memory; copy it into shared memory first");
      }
      use.transpose_a = flag_option(call, "transpose_A");
      use.transpose_b = flag_option(call, "transpose_B");
      const std::string policy = text_option(call, "policy");
      use.policy = policy == "FullRow"   ? GemmPolicy::kFullRow
                   : policy == "FullCol" ? GemmPolicy::kFullColumn
                                         : GemmPolicy::kSquare;
      use.policy_open = !call.options.get("policy");
      use.warp_rows = call.options.get_int(kWarpRows).value_or(0);
      use.mfma_rows = call.options.get_int(kMfmaRows).value_or(0);
      use.wgmma = call.options.get_string(kVariant).value_or("") == kWgmma;
      use.swizzle_a = static_cast<int>(call.options.get_int(kSwizzleA).value_or(-1));
      use.swizzle_b = static_cast<int>(call.options.get_int(kSwizzleB).value_or(-1));
      result_.problem.uses.push_back(std::move(use));
      return;
    }
    if (call.options.get_string(kVariant).value_or("") == kTmaStore &&
        is_shared_scope(call.regions[0].buffer->scope) && call.regions[0].buffer->rank() >= 2) {
      use.boxes = find(call.regions[0].buffer);
      result_.problem.uses.push_back(std::move(use));
      return;
    }
    std::vector<int> fragments;
    for (const BufferRegion& region : call.regions)
      fragments.push_back(whole_fragment(region));
    if (call.op.starts_with("reduce_") && fragments[0] >= 0 && fragments[1] >= 0) {
      const Buffer& from = call.regions[0].buffer;
      const Buffer& to = call.regions[1].buffer;
      const auto rank = static_cast<int64_t>(from->shape.size());
      int64_t dim = integer_option(call, "dim");
      dim = dim < 0 ? dim + rank : dim;
      std::vector<int> kept;
      for (int d = 0; d < static_cast<int>(rank); ++d)
        if (d != dim)
          kept.push_back(d);
      if (to->shape.size() != kept.size())
        return; // [M, 1] out of [M, N]: nothing follows from one for the other
      use.loop_rank = static_cast<int>(rank);
      use.operands = {{fragments[0], all_loops(from)}, {fragments[1], kept}};
      result_.problem.uses.push_back(std::move(use));
      return;
    }
    if (call.op == "copy" && (fragments[0] < 0) != (fragments[1] < 0)) {
      const Buffer& memory = call.regions[fragments[0] < 0 ? 0 : 1].buffer;
      if (!is_fragment_scope(memory->scope) && !is_packed(memory->dtype))
        exchanged(std::max(fragments[0], fragments[1]),
                  static_cast<int>(memory->dtype.element_bytes()) * 8);
    }
    if (call.op == "copy" && fragments[0] >= 0 && is_whole(call.regions[1]) &&
        is_shared_scope(call.regions[1].buffer->scope) && !result_.problem.mfma) {
      use.stored = find(call.regions[1].buffer);
      use.operands = {{fragments[0], all_loops(call.regions[0].buffer)}};
      use.loop_rank = static_cast<int>(call.regions[0].buffer->shape.size());
      result_.problem.uses.push_back(std::move(use));
      return;
    }
    // Copies and the like: fragments of one shape lie alike.
    for (size_t i = 0; i < fragments.size(); ++i) {
      if (fragments[i] < 0)
        continue;
      const Buffer& buffer = call.regions[i].buffer;
      if (use.operands.empty())
        use.loop_rank = static_cast<int>(buffer->shape.size());
      if (static_cast<int>(buffer->shape.size()) == use.loop_rank)
        use.operands.push_back({fragments[i], all_loops(buffer)});
    }
    if (use.operands.size() > 1)
      result_.problem.uses.push_back(std::move(use));
  }

  void exchanged(int fragment, int bits) {
    int& widest = result_.problem.buffers[static_cast<size_t>(fragment)].exchanged_bits;
    widest = std::max(widest, bits);
  }

  void parallel(const For& outermost) {
    LayoutUse use;
    use.op = "T.Parallel";
    use.where = outermost.span;
    use.threads = role_threads_or_block();
    note_scopes(NodeRef(&outermost), outermost.span);
    std::vector<const VarNode*> vars;
    std::vector<int64_t> extents;
    const For* loop = &outermost;
    while (true) {
      vars.push_back(loop->loop_var.get());
      extents.push_back(as_int(loop->extent).value_or(-1));
      const auto* inner = loop->body.as<For>();
      if (inner == nullptr || inner->kind != ForKind::kTileParallel)
        break;
      loop = inner;
    }
    use.loop_rank = static_cast<int>(vars.size());
    const auto access = [&](const Buffer& buffer, const std::vector<Expr>& indices) {
      const int index = find(buffer);
      if (index < 0 || !is_fragment_scope(buffer->scope))
        return;
      LayoutOperand operand{index, {}};
      for (size_t d = 0; d < indices.size(); ++d) {
        if (is_row(buffer, d))
          continue;
        const auto* var = indices[d].as<VarNode>();
        const auto found = std::find(vars.begin(), vars.end(), var);
        // Of another index, or of a part of the fragment, nothing follows for its layout.
        if (var == nullptr || found == vars.end())
          return;
        const auto which = static_cast<size_t>(found - vars.begin());
        if (as_int(buffer->shape[d]) != extents[which])
          return;
        operand.loops.push_back(static_cast<int>(which));
      }
      for (const LayoutOperand& known : use.operands)
        if (known.buffer == operand.buffer && known.loops == operand.loops)
          return;
      use.operands.push_back(std::move(operand));
    };
    walk(loop->body, [&](const NodeRef& node) {
      if (const auto* store = node.as<BufferStore>())
        access(store->buffer, store->indices);
      if (const auto* load = node.as<BufferLoad>())
        access(load->buffer, load->indices);
      return true;
    });
    if (const int bits = exchanged_bits(loop->body, loop->loop_var); bits > 0)
      for (const LayoutOperand& operand : use.operands)
        if (operand.loops.back() + 1 == use.loop_rank)
          exchanged(operand.buffer, bits);
    if (use.operands.size() > 1)
      result_.problem.uses.push_back(std::move(use));
  }

  KernelLayouts result_;
  const KernelLaunch* kernel_ = nullptr;
  ThreadRange block_;
  ThreadRange role_; ///< who runs the statement at hand
  std::unordered_map<const BufferNode*, std::pair<ThreadRange, Span>> scope_of_; ///< of fragments
  std::unordered_map<const BufferNode*, int> index_;
  std::unordered_map<const BufferNode*, std::vector<bool>> rows_; ///< of fragments
  Error error_;
};

/// The layout of a fragment whose dimensions that are `rows` each thread holds all of, from that of
/// the others.
Layout with_rows(const Layout& part, const std::vector<bool>& rows, const Buffer& buffer) {
  Layout all = part;
  all.shape.clear();
  all.digits.clear();
  int64_t registers = std::max<int64_t>(part.span(kMemoryAxis), 1);
  size_t digit = 0;
  size_t of_part = 0;
  for (size_t d = 0; d < rows.size(); ++d) {
    const int64_t extent = *as_int(buffer->shape[d]);
    all.shape.push_back(extent);
    if (rows[d]) {
      all.digits.push_back({extent, registers, kMemoryAxis});
      registers *= extent;
      continue;
    }
    for (int64_t left = part.shape[of_part++]; digit < part.digits.size();) {
      const LayoutDigit& next = part.digits[digit++];
      all.digits.push_back(next);
      left /= next.extent;
      if (left <= 1)
        break;
    }
  }
  return canonical(all);
}

} // namespace

Result<KernelLayouts> layout_problem_of(const KernelLaunch& kernel, bool wgmma, bool mfma) {
  return Poser().run(kernel, wgmma, mfma);
}

Result<PrimFunc> annotate_layouts(const PrimFunc& function, bool wgmma, bool mfma) {
  std::unordered_map<const BufferNode*, Layout> found;
  Result<void> status;
  walk(function->body, [&](const NodeRef& node) {
    const auto* kernel = node.as<KernelLaunch>();
    if (kernel == nullptr || !status)
      return status.has_value();
    auto posed = layout_problem_of(*kernel, wgmma, mfma);
    if (!posed) {
      status = posed.error();
      return false;
    }
    if (posed->buffers.empty())
      return false; // any number of threads will do
    // Blocks of any number of threads have fragments only where warps are whole.
    if (const int64_t threads = posed->problem.threads;
        threads < 32 || threads % 32 != 0 || threads > 1024) {
      status =
          Error(ErrorCode::kInvalidArgument,
                fmt::format("{}a block of {} threads: the tiles of a block on a GPU are shared "
                            "out among whole warps of 32, up to 1024 threads",
                            at(kernel->span), threads));
      return false;
    }
    auto layouts = choose_layouts(posed->problem);
    if (!layouts) {
      status = layouts.error();
      return false;
    }
    for (size_t i = 0; i < layouts->size(); ++i)
      found.emplace(posed->buffers[i].get(),
                    posed->rows[i].empty()
                        ? std::move((*layouts)[i].layout)
                        : with_rows((*layouts)[i].layout, posed->rows[i], posed->buffers[i]));
    return false;
  });
  TEMPER_TRY_VOID(status);
  return with_body(
      function, cast_ref<StmtNode>(rewrite_post(function->body, [&](const NodeRef& node) {
        const auto* alloc = node.as<AllocBuffer>();
        const auto layout = alloc != nullptr ? found.find(alloc->buffer.get()) : found.end();
        if (layout == found.end() || alloc->annotations.get(kLayoutAnnotation))
          return node;
        return NodeRef(copy_node<AllocBuffer>(*alloc, [&](AllocBuffer& copy) {
          copy.annotations = copy.annotations.with(kLayoutAnnotation, to_expr(layout->second));
        }));
      })));
}

} // namespace temper::tir
