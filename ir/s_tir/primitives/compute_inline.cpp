// compute_inline(block): the block goes, and its consumers compute its value where they read it.
//
// The block stores one element, at indices that are its axes, B[vi, vj] = value(vi, vj); a load
// B[e0, e1] becomes value(e0, e1). It must be a complete block and no output of its scope, and
// write every element that its consumers read.

#include "ir/s_tir/detail/inline.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {
namespace {

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  const Value& handle = arguments.inputs[0];
  TEMPER_TRY(scoped, require_in_scope(context, handle));
  const Block& block = scoped.block();
  const std::string name = describe(block);
  TEMPER_TRY_VOID(require_stage_pipeline(context, scoped));
  if (const char* why = why_not_complete(scoped.scope, scoped.child))
    return illegal(context, handle, fmt::format("{} is not a complete block: it {}", name, why));
  TEMPER_TRY(store, require_single_store(context, handle, block));
  const Buffer buffer = store->buffer;
  if (scoped.scope.is_output(buffer))
    return illegal(
        context, handle,
        fmt::format("{} writes {}, an output of its scope: it cannot go", name, buffer->name));
  if (!predicate_follows_from_domains(scoped.realize(), scoped.info().loops))
    return illegal(context, handle,
                   fmt::format("the predicate of {} leaves out points of its domain", name));
  if (!may_be_repeated(store->value))
    return illegal(context, handle,
                   fmt::format("the value that {} stores may not be computed more than once: it "
                               "calls something with side effects, or defines a name",
                               name));

  // Which index says what an axis is.
  std::vector<size_t> dimension_of(block->iter_vars.size(), SIZE_MAX);
  for (size_t d = 0; d < store->indices.size(); ++d) {
    if (as_int(store->indices[d]))
      continue;
    const auto axis =
        std::find_if(block->iter_vars.begin(), block->iter_vars.end(), [&](const IterVar& a) {
          return a.var.get() == store->indices[d].as<VarNode>();
        });
    const auto at = static_cast<size_t>(axis - block->iter_vars.begin());
    if (axis == block->iter_vars.end() || dimension_of[at] != SIZE_MAX)
      return illegal(context, handle,
                     fmt::format("the indices of the store in {} are not different axes of the "
                                 "block",
                                 name));
    dimension_of[at] = d;
  }
  VarMap fixed;
  for (size_t i = 0; i < block->iter_vars.size(); ++i) {
    if (dimension_of[i] != SIZE_MAX)
      continue;
    if (!is_int(block->iter_vars[i].domain.extent, 1))
      return illegal(context, handle,
                     fmt::format("axis {} of {} is in none of the store's indices",
                                 block->iter_vars[i].var->name, name));
    fixed[block->iter_vars[i].var] = block->iter_vars[i].domain.min;
  }

  const Expr value = store->value;
  auto replace = [&](const BufferLoad& load) {
    VarMap values = fixed;
    for (size_t i = 0; i < block->iter_vars.size(); ++i)
      if (dimension_of[i] != SIZE_MAX)
        values[block->iter_vars[i].var] =
            to_type(load.indices[dimension_of[i]], block->iter_vars[i].var->dtype);
    return substitute(value, values);
  };
  Removed removed = remove_from_scope(scoped);
  std::string failed;
  Stmt body = rewrite_child_blocks(removed.body, [&](const Block& child) {
    if (std::none_of(child->reads.begin(), child->reads.end(),
                     [&](const BufferRegion& read) { return read.buffer == buffer; }))
      return child;
    Block changed = replace_loads(child, buffer, replace);
    if (!changed)
      failed = child->name;
    return changed ? changed : child;
  });
  if (!failed.empty())
    return illegal(context, handle,
                   fmt::format("block \"{}\" reads {} in another way than by loads of one element",
                               failed, buffer->name));
  Applied applied;
  applied.module =
      replace_scope(context, scoped, copy_node(*scoped.scope_block(), [&](SBlock& node) {
                      std::erase(node.alloc_buffers, buffer);
                      node.body = std::move(body);
                    }));
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

void register_compute_inline() {
  register_primitive({
      .name = "ComputeInline",
      .python_name = "compute_inline",
      .inputs = {{.name = "block", .kind = ValueKind::kBlock}},
      .summary = R"(Removes a block that stores one element per point, and computes its value where
its consumers read it. Not for outputs, reductions, or blocks whose indices are not their axes.

    # compute_inline(B)
    for i in range(8):
        with T.sblock("B"):
            B[vi] = A[vi] * 2       →    for i in range(8):
    for i in range(8):                       with T.sblock("C"):
        with T.sblock("C"):                      C[vi] = A[vi] * 2 + 1
            C[vi] = B[vi] + 1)",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
