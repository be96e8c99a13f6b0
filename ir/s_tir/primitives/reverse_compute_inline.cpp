// reverse_compute_inline(block): the block goes, and its producer stores what the block would have
// made of the value.
//
//   B[p] = value(p);  C[c(v)] = f(B[b(v)], v)      becomes      C[c(v)] = f(value(p), v), b(v) = p
//
// which needs b to be invertible: every index of the load is a sum of parts of the block's axes
// with mixed radix (v, v0 * 8 + v1, v // 8, v % 8), so that the axes follow from the producer's
// indices. Where the block reads less than the producer writes, the producer gets a predicate.

#include "ir/s_tir/detail/inline.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {
namespace {

/// What the axes of the block are when its load's indices have the values `point`.
struct Inverse {
  VarMap axes;
  std::vector<Expr> conditions; ///< on the point: the block reads there
};

class Inverter {
public:
  Inverter(const Block& block, const ChildBlock& producer) : block_(block) {
    forward_.set_axes(*block);
    backward_.set_axes(producer.block());
  }

  std::optional<Inverse> run(const std::vector<Expr>& indices, const std::vector<Expr>& point) {
    Inverse inverse;
    std::vector<std::vector<IndexPiece>> used(block_->iter_vars.size());
    std::vector<Linear> values(block_->iter_vars.size());
    for (size_t d = 0; d < indices.size(); ++d) {
      const Linear form = forward_.linear(indices[d]);
      const Linear at = backward_.linear(point[d]);
      const DataType dtype = point[d]->dtype;
      if (const VarNode* variable = form.variable_plus_offset()) {
        const auto axis = axis_of(variable);
        if (!axis)
          return std::nullopt;
        const Range& domain = block_->iter_vars[*axis].domain;
        const Linear value = backward_.offset(at, -form.constant);
        const Linear first = forward_.linear(domain.min);
        const Linear end = forward_.sum(first, forward_.linear(domain.extent));
        used[*axis].push_back({variable, 1, INT64_MAX, 1});
        values[*axis] = value;
        require(inverse, first, value, end, dtype);
        continue;
      }
      Linear shifted = form;
      shifted.constant = 0;
      const auto pieces = split_into_pieces(forward_, shifted);
      if (!pieces)
        return std::nullopt;
      const Linear base = backward_.offset(at, -form.constant);
      int64_t scale = 1;
      for (const IndexPiece& piece : *pieces) {
        if (piece.scale != scale)
          return std::nullopt;
        scale *= piece.extent;
      }
      require(inverse, {}, base, {{}, scale}, dtype);
      for (const IndexPiece& piece : *pieces) {
        const auto axis = axis_of(piece.source);
        if (!axis)
          return std::nullopt;
        Linear part = backward_.floor_divide(base, piece.scale);
        if (piece.scale * piece.extent != scale)
          part = backward_.floor_modulo(part, piece.extent);
        used[*axis].push_back(piece);
        values[*axis] = backward_.sum(values[*axis], part, piece.divisor);
      }
    }
    for (size_t i = 0; i < values.size(); ++i) {
      const IterVar& axis = block_->iter_vars[i];
      if (used[i].empty()) {
        if (!is_int(axis.domain.extent, 1))
          return std::nullopt;
        values[i] = forward_.linear(axis.domain.min);
      } else if (used[i].size() > 1 || used[i][0].extent != INT64_MAX) {
        // The parts must make up the whole axis.
        std::sort(used[i].begin(), used[i].end(),
                  [](const IndexPiece& a, const IndexPiece& b) { return a.divisor < b.divisor; });
        int64_t next = 1;
        for (const IndexPiece& piece : used[i]) {
          if (piece.divisor != next || piece.extent == INT64_MAX)
            return std::nullopt;
          next *= piece.extent;
        }
        const auto extent = as_int(axis.domain.extent);
        if (!extent || next < *extent)
          return std::nullopt;
        if (next > *extent)
          require(inverse, {}, values[i], {{}, *extent}, axis.var->dtype);
      }
      inverse.axes[axis.var] = backward_.expr(values[i], axis.var->dtype);
    }
    return inverse;
  }

private:
  std::optional<size_t> axis_of(const VarNode* variable) const {
    for (size_t i = 0; i < block_->iter_vars.size(); ++i)
      if (block_->iter_vars[i].var.get() == variable)
        return i;
    return std::nullopt;
  }
  /// first <= value < end, as conditions where that is not known.
  void require(Inverse& inverse, const Linear& first, const Linear& value, const Linear& end,
               DataType dtype) {
    const Expr expr = backward_.expr(value, dtype);
    if (!backward_.proves_less_equal(first, value))
      inverse.conditions.push_back(make_binary<GE>(expr, backward_.expr(first, dtype)));
    if (!backward_.proves_less_equal(backward_.offset(value, 1), end))
      inverse.conditions.push_back(less(expr, backward_.expr(end, dtype)));
  }

  const Block& block_;
  IndexMath forward_;  ///< over the block's axes
  IndexMath backward_; ///< over the producer's axes
};

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  const Value& handle = arguments.inputs[0];
  TEMPER_TRY(scoped, require_in_scope(context, handle));
  const Block& block = scoped.block();
  const std::string name = describe(block);
  TEMPER_TRY_VOID(require_stage_pipeline(context, scoped));
  if (const char* why = why_not_complete(scoped.scope, scoped.child))
    return illegal(context, handle, fmt::format("{} is not a complete block: it {}", name, why));
  TEMPER_TRY(store, require_single_store(context, handle, block));
  if (!predicate_follows_from_domains(scoped.realize(), scoped.info().loops))
    return illegal(context, handle,
                   fmt::format("the predicate of {} leaves out points of its domain", name));

  // The producer is the block that is written last; all others must be done before it.
  const std::vector<int> producers = scoped.scope.producers(scoped.child);
  if (producers.empty())
    return illegal(context, handle, fmt::format("{} has no producer in its scope", name));
  const int producer_at = producers.back();
  const ChildBlock& producer = scoped.info(producer_at);
  const Block producer_block(&producer.block());
  const std::string producer_name = describe(producer_block);
  if (producer_block->init)
    return illegal(context, handle,
                   fmt::format("{}, the producer of {}, is a reduction: its value is not complete "
                               "when it is stored",
                               producer_name, name));
  if (const char* why = why_not_complete(scoped.scope, producer_at))
    return illegal(context, handle,
                   fmt::format("{}, the producer of {}, is not a complete block: it {}",
                               producer_name, name, why));
  TEMPER_TRY(producer_store, require_single_store(context, handle, producer_block));
  const Buffer buffer = producer_store->buffer;
  if (scoped.scope.is_output(buffer))
    return illegal(context, handle,
                   fmt::format("{} writes {}, an output of its scope: it must stay", producer_name,
                               buffer->name));
  if (scoped.scope.consumers(producer_at).size() != 1)
    return illegal(context, handle,
                   fmt::format("{} has other consumers than {}", producer_name, name));

  // All loads of the buffer in the block must be of the same element.
  const BufferLoad* load = nullptr;
  bool same = true;
  auto look = [&](const NodeRef& node) {
    if (node->kind() != BufferLoad::kKind)
      return true;
    const auto& other = static_cast<const BufferLoad&>(*node);
    if (other.buffer != buffer)
      return true;
    same &= !other.predicate;
    if (load == nullptr)
      load = &other;
    else
      for (size_t d = 0; d < other.indices.size(); ++d)
        same &= same_expr(load->indices[d], other.indices[d]);
    return true;
  };
  walk(store->value, look);
  bool in_index = false;
  for (const Expr& index : store->indices)
    walk(index, [&](const NodeRef& node) {
      in_index |= node->kind() == BufferLoad::kKind &&
                  static_cast<const BufferLoad&>(*node).buffer == buffer;
      return true;
    });
  if (load == nullptr || !same || in_index)
    return illegal(
        context, handle,
        fmt::format("{} reads more than one element of {} per point", name, buffer->name));
  if (!may_be_repeated(store->value) || !may_be_repeated(producer_store->value))
    return illegal(context, handle,
                   fmt::format("the values of {} and {} cannot be put together: one of them calls "
                               "something with side effects, or defines a name",
                               producer_name, name));

  Inverter inverter(block, producer);
  const auto inverse = inverter.run(load->indices, producer_store->indices);
  if (!inverse)
    return illegal(context, handle,
                   fmt::format("the axes of {} do not follow from the element of {} that it reads",
                               name, buffer->name));

  // Points of the block that read nothing of what the producer writes (a padding's border) would be
  // lost.
  {
    IndexMath math;
    const auto written = relax_region(math, producer, 0, producer_block->writes[0]);
    BufferRegion wanted{buffer, {}};
    for (const Expr& index : load->indices)
      wanted.region.push_back({index, make_int(index->dtype, 1)});
    const auto read = relax_region(math, scoped.info(), 0, wanted);
    bool reached = written && read;
    for (size_t d = 0; reached && d < read->size(); ++d)
      reached = math.proves_less_equal((*written)[d].lo, (*read)[d].lo) &&
                math.proves_less_equal((*read)[d].hi, (*written)[d].hi);
    if (!reached)
      return illegal(context, handle,
                     fmt::format("{} has points that read nothing of what {} writes: they would "
                                 "be lost",
                                 name, producer_name));
  }

  // f(value, v), first the block's axes, then the load.
  const NodeRef value = rewrite_pre(store->value, [&](const NodeRef& node) -> NodeRef {
    if (node->kind() == BufferLoad::kKind && static_cast<const BufferLoad&>(*node).buffer == buffer)
      return producer_store->value;
    if (node->kind() == VarNode::kKind) {
      const auto found = inverse->axes.find(cast_ref<VarNode>(node));
      return found == inverse->axes.end() ? node : NodeRef(found->second);
    }
    return nullptr;
  });
  std::vector<Expr> indices;
  for (const Expr& index : store->indices)
    indices.push_back(substitute(index, inverse->axes));
  Block merged = copy_node(*producer_block, [&](SBlock& node) {
    node.body = make_store(store->buffer, indices, cast_ref<ExprNode>(value));
  });
  Accesses accesses = detect_accesses(*merged);
  merged = copy_node(*merged, [&](SBlock& node) {
    node.reads = std::move(accesses.reads);
    node.writes = std::move(accesses.writes);
  });
  VarMap bindings;
  for (size_t i = 0; i < producer_block->iter_vars.size(); ++i)
    bindings[producer_block->iter_vars[i].var] = producer.realize->iter_values[i];
  Expr predicate = producer.realize->predicate;
  for (const Expr& condition : inverse->conditions)
    predicate = logical_and(predicate, substitute(condition, bindings));

  Removed removed = remove_from_scope(scoped);
  const Stmt with_merged = copy_node(*producer.realize, [&](SBlockRealize& node) {
    node.block = merged;
    node.predicate = predicate;
  });
  Stmt body = replace_realize(removed.body, producer.realize, with_merged);
  const Block changed = copy_node(*scoped.scope_block(), [&](SBlock& node) {
    std::erase(node.alloc_buffers, buffer);
    node.body = std::move(body);
  });
  // What the block read from others must be there when the producer runs.
  const Scope after = analyze_scope(*changed);
  const int merged_at = after.index_of(merged->id);
  for (const int other : producers) {
    if (other == producer_at)
      continue;
    const SBlock& earlier = scoped.info(other).block();
    const int at = after.index_of(earlier.id);
    if (at > merged_at || !covers_region(after, at, merged_at))
      return illegal(context, handle,
                     fmt::format("{} also reads what block \"{}\" writes, which is not done when "
                                 "{} runs",
                                 name, earlier.name, producer_name));
  }
  Applied applied;
  applied.module = replace_scope(context, scoped, changed);
  applied.moved = std::move(removed.moved);
  return applied;
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  Arguments use{.inputs = {handle}};
  if (handle.as_block() == nullptr || !apply({context.module, nullptr, false}, use))
    return {};
  return {std::move(use)};
}

} // namespace

void register_reverse_compute_inline() {
  register_primitive({
      .name = "ReverseComputeInline",
      .python_name = "reverse_compute_inline",
      .inputs = {{.name = "block", .kind = ValueKind::kBlock}},
      .summary = R"(Removes a block that turns one element into one element, and lets its only
producer store the result instead. The element that the block reads must tell its axes. Not into
reductions, whose value is not complete when it is stored.

    # reverse_compute_inline(C)
    for i in range(8):
        with T.sblock("B"):
            B[vi] = A[vi] * 2       →    for i in range(8):
    for i in range(8):                       with T.sblock("B"):
        with T.sblock("C"):                      C[vi] = A[vi] * 2 + 1
            C[vi] = B[vi] + 1)",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
