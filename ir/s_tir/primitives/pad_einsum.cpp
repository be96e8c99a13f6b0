/// PadEinsum: the axes of a sum of products are made multiples of given numbers. Operands are
/// copied into larger buffers with zeros around, the sum runs over all of it, and what was asked
/// for is copied out.
#include "ir/op.h"
#include "ir/s_tir/detail/index_math.h"
#include "ir/s_tir/detail/index_type.h"
#include "ir/s_tir/detail/read_ahead.h"
#include "ir/s_tir/detail/reducer.h"
#include "ir/s_tir/detail/whole_nest.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {
namespace {

/// Loads, multiplied and converted: zero when any factor is.
bool is_product(const Expr& value, std::vector<const BufferLoad*>& loads) {
  if (const auto* product = value.as<Mul>())
    return is_product(product->a, loads) && is_product(product->b, loads);
  if (const auto* cast = value.as<Cast>())
    return is_product(cast->value, loads);
  const auto* load = value.as<BufferLoad>();
  if (load == nullptr || load->predicate)
    return false;
  loads.push_back(load);
  return true;
}

/// Which axis each index is; nothing when one is something else.
std::optional<std::vector<size_t>> axes_of(const std::vector<Expr>& indices, const SBlock& block) {
  std::vector<size_t> axes;
  for (const Expr& index : indices) {
    const auto axis =
        std::find_if(block.iter_vars.begin(), block.iter_vars.end(),
                     [&](const IterVar& iter) { return iter.var.get() == index.get(); });
    if (axis == block.iter_vars.end())
      return std::nullopt;
    axes.push_back(static_cast<size_t>(axis - block.iter_vars.begin()));
  }
  return axes;
}

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  const Value& at = arguments.inputs[0];
  const auto refuse = [&](const std::string& why) { return illegal(context, at, why); };
  TEMPER_TRY(scoped, require_in_scope(context, at));
  const Block& block = scoped.block();
  if (const char* why = why_not_reduction(scoped.scope, scoped.child))
    return refuse(fmt::format("{} is not a reduction block: it {}", describe(block), why));
  const char* why = nullptr;
  const auto reducer = recognise_reducer(*block, &why);
  std::vector<const BufferLoad*> loads;
  if (!reducer || reducer->kind != ReducerKind::kSum || !is_product(reducer->value, loads))
    return refuse(fmt::format("{} is not a sum of products of what it reads{}{}", describe(block),
                              reducer ? "" : ": it ", reducer ? "" : why));
  TEMPER_TRY(nest, require_whole_nest(context, at, scoped));
  const Value::List& padding = *arguments.attrs[0].as_list();
  if (padding.size() != nest.extents.size())
    return refuse(fmt::format("{} has {} axes, and {} numbers are given to pad them to multiples "
                              "of",
                              describe(block), nest.extents.size(), padding.size()));
  for (const char* explicit_region : {"explicit_read_region", "explicit_write_region"})
    if (block->annotations.get(explicit_region))
      return refuse(fmt::format("regions of {} were said by hand (annotate_buffer_access), and "
                                "would not grow with its axes",
                                describe(block)));
  std::vector<Expr> padded;
  std::vector<bool> grown;
  IndexMath math;
  for (size_t i = 0; i < padding.size(); ++i) {
    const int64_t multiple = *padding[i].as_int();
    if (multiple <= 0 || multiple > (int64_t{1} << 30))
      return refuse(fmt::format("axis {} cannot be padded to a multiple of {}",
                                block->iter_vars[i].var->name, multiple));
    const Expr& extent = nest.extents[i];
    grown.push_back(!math.floor_modulo(math.linear(extent), multiple).is_constant(0));
    if (const auto known = as_int(extent))
      padded.push_back(make_int(extent->dtype, (*known + multiple - 1) / multiple * multiple));
    else
      padded.push_back(grown.back() ? floordiv(extent + (multiple - 1), multiple) * multiple
                                    : extent);
    if (grown.back() && nest.loop_of_axis[i] == nullptr)
      return refuse(
          fmt::format("axis {} has no loop that could grow", block->iter_vars[i].var->name));
  }

  // A copy of each buffer of which a dimension grows.
  struct Padded {
    Buffer buffer;
    Buffer larger;
    std::vector<size_t> axes;
  };
  std::vector<Padded> operands;
  const auto larger = [&](const Buffer& buffer,
                          const std::vector<Expr>& indices) -> Result<std::optional<Padded>> {
    const auto axes = axes_of(indices, *block);
    if (!axes)
      return illegal(
          context, at,
          fmt::format("{} does not access {} by its axes alone", describe(block), buffer->name));
    bool grows = false;
    for (size_t d = 0; d < axes->size(); ++d) {
      if (!same_extent(buffer->shape[d], nest.extents[(*axes)[d]]))
        return illegal(context, at,
                       fmt::format("axis {} of {} does not go over all of {}",
                                   block->iter_vars[(*axes)[d]].var->name, describe(block),
                                   buffer->name));
      grows |= grown[(*axes)[d]];
    }
    if (!grows)
      return std::optional<Padded>();
    return std::optional(Padded{buffer,
                                copy_node(*buffer,
                                          [&](BufferNode& node) {
                                            node.name = buffer->name + "_pad";
                                            node.strides.clear();
                                            node.elem_offset = nullptr;
                                            for (size_t d = 0; d < axes->size(); ++d)
                                              node.shape[d] = as_type(buffer->shape[d]->dtype,
                                                                      padded[(*axes)[d]]);
                                          }),
                                *axes});
  };
  BufferMap replaced;
  for (const BufferLoad* load : loads) {
    const auto other = std::find_if(operands.begin(), operands.end(), [&](const Padded& operand) {
      return operand.buffer == load->buffer;
    });
    TEMPER_TRY(copy, larger(load->buffer, load->indices));
    if (other != operands.end()) {
      if (!copy || copy->axes != other->axes)
        return refuse(fmt::format("{} reads {} in two ways", describe(block), load->buffer->name));
    } else if (copy) {
      replaced[copy->buffer] = copy->larger;
      operands.push_back(std::move(*copy));
    }
  }
  TEMPER_TRY(result, larger(reducer->update->buffer, reducer->update->indices));
  if (result)
    replaced[result->buffer] = result->larger;
  if (replaced.empty())
    return Applied{.module = context.module};

  std::vector<Stmt> statements;
  Applied applied;
  for (const Padded& operand : operands) {
    NewBlock copy;
    std::vector<Expr> axes;
    Expr inside = make_bool(true);
    for (size_t d = 0; d < operand.axes.size(); ++d) {
      const Expr& extent = operand.larger->shape[d];
      axes.emplace_back(copy.axis(fmt::format("v{}", d), extent, IterType::kSpatial));
      if (!same_expr(extent, operand.buffer->shape[d]))
        inside = logical_and(inside, less(axes.back(), operand.buffer->shape[d]));
    }
    const DataType dtype = operand.buffer->dtype;
    statements.push_back(copy.nest(
        operand.larger->name, nullptr,
        make_store(operand.larger, axes,
                   if_then_else(inside, make_load(operand.buffer, axes), make_const(dtype, 0)))));
  }
  Block changed = cast_ref<SBlock>(replace_buffers(block, replaced));
  changed = copy_node(*changed, [&](SBlock& node) {
    for (size_t i = 0; i < padded.size(); ++i)
      node.iter_vars[i].domain.extent = padded[i];
  });
  Stmt sum = copy_node(scoped.realize(), [&](SBlockRealize& node) { node.block = changed; });
  for (size_t l = nest.loops.size(); l-- > 0;) {
    const Stmt body = sum;
    const auto axis = std::find(nest.loop_of_axis.begin(), nest.loop_of_axis.end(), nest.loops[l]);
    sum = copy_node(*nest.loops[l], [&](For& node) {
      if (axis != nest.loop_of_axis.end())
        node.extent = as_type(node.extent->dtype,
                              padded[static_cast<size_t>(axis - nest.loop_of_axis.begin())]);
      node.body = body;
    });
  }
  statements.push_back(std::move(sum));
  if (result) {
    NewBlock copy;
    std::vector<Expr> axes;
    for (size_t d = 0; d < result->axes.size(); ++d)
      axes.emplace_back(
          copy.axis(fmt::format("v{}", d), result->buffer->shape[d], IterType::kSpatial));
    statements.push_back(
        copy.nest(result->larger->name, nullptr,
                  make_store(result->buffer, axes, make_load(result->larger, axes))));
  }
  const std::span<const Stmt> chain = scoped.place.chain;
  const Stmt body =
      replace_statement(chain.subspan(scoped.scope_at + 1, nest.outermost - scoped.scope_at),
                        make_seq(std::move(statements)));
  applied.module =
      replace_scope(context, scoped, copy_node(*scoped.scope_block(), [&](SBlock& node) {
                      node.body = body;
                      for (const Padded& operand : operands)
                        node.alloc_buffers.push_back(operand.larger);
                      if (result)
                        node.alloc_buffers.push_back(result->larger);
                    }));
  return applied;
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  const auto place =
      handle.as_block() != nullptr ? find_block(context.module, *handle.as_block()) : std::nullopt;
  if (!place)
    return {};
  Arguments use{.inputs = {handle},
                .attrs = {Value::List(place->block()->iter_vars.size(), Value(4))}};
  if (apply({context.module, nullptr, false}, use))
    return {std::move(use)};
  return {};
}

} // namespace

void register_pad_einsum() {
  register_primitive({
      .name = "PadEinsum",
      .python_name = "pad_einsum",
      .inputs = {{.name = "block", .kind = ValueKind::kBlock}},
      .attrs = {{.name = "padding", .kind = ValueKind::kIntList}},
      .summary =
          R"(The axes of a sum of products grow to multiples of the numbers in `padding`, one for each axis
of the block. New blocks copy the operands into larger buffers with zeros around, and the part of the
result that was asked for out of a larger one. The block must be alone in loops that are its axes.

    # pad_einsum(C, [16, 8, 8])                       A_pad[..] = T.if_then_else(inside, A[..], 0)
    for i, j, k in T.grid(8, 6, 4):                   B_pad[..] = T.if_then_else(inside, B[..], 0)
        C[vi, vj] += A[vi, vk] * B[vk, vj]     →      for i, j, k in T.grid(16, 8, 8):
                                                          C_pad[vi, vj] += A_pad[..] * B_pad[..]
                                                      for ax0, ax1 in T.grid(8, 6):
                                                          C[v0, v1] = C_pad[v0, v1])",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
