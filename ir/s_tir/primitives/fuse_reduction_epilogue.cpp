/// FuseReductionEpilogue: what a block adds to the result of a sum becomes what the sum starts
/// from.
///
/// D[i, j] = C[i, j] + bias[i, j], where C is summed up from 0, is D summed up from bias. TVM also
/// takes a maximum or a clamp for an epilogue and applies it at each step, which computes something
/// else; those are refused here.
#include "ir/s_tir/detail/inline.h"
#include "ir/s_tir/detail/reducer.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {
namespace {

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  const Value& at = arguments.inputs[1];
  const auto refuse = [&](const std::string& why) { return illegal(context, at, why); };
  TEMPER_TRY(epilogue, require_in_scope(context, at));
  TEMPER_TRY(reduction, require_in_scope(context, arguments.inputs[0]));
  if (reduction.scope_block() != epilogue.scope_block())
    return refuse(fmt::format("{} and {} do not stand in the same block",
                              describe(reduction.block()), describe(epilogue.block())));
  const Block& sum = reduction.block();
  const Block& after = epilogue.block();
  const Scope& scope = epilogue.scope;
  if (const char* why = why_not_reduction(scope, reduction.child))
    return illegal(context, arguments.inputs[0],
                   fmt::format("{} is not a reduction block: it {}", describe(sum), why));
  const char* why = nullptr;
  const auto reducer = recognise_reducer(*sum, &why);
  if (!reducer || reducer->kind != ReducerKind::kSum)
    return illegal(context, arguments.inputs[0],
                   fmt::format("{} is not a sum that starts from 0{}{}", describe(sum),
                               reducer ? "" : ": it ", reducer ? "" : why));
  if (const char* other = why_not_complete(scope, epilogue.child))
    return refuse(fmt::format("{} is not a complete block: it {}", describe(after), other));
  TEMPER_TRY(store, require_single_store(context, at, after));
  const Buffer partial = reducer->update->buffer;
  if (scope.is_output(partial))
    return refuse(fmt::format("{}, the result of {}, is seen outside and must stay", partial->name,
                              describe(sum)));
  if (scope.consumers(reduction.child) != std::vector<int>{epilogue.child})
    return refuse(fmt::format("{} must be the only consumer of {}", describe(after),
                              describe(sum)));
  if (has_predicate(epilogue.realize()) || has_predicate(reduction.realize()) ||
      !is_affine_binding(epilogue.realize(), epilogue.info().loops))
    return refuse(fmt::format("{} or {} has a predicate, or loops that do not take its axes "
                              "through all their values",
                              describe(sum), describe(after)));

  // C[..] + bias, or bias + C[..].
  const auto is_partial = [&](const Expr& expr) {
    const auto* load = expr.as<BufferLoad>();
    return load != nullptr && load->buffer == partial && !load->predicate;
  };
  const auto uses_partial = [&](const Expr& expr) {
    bool found = false;
    walk(expr, [&](const NodeRef& node) {
      const auto* load = node.as<BufferLoad>();
      found |= load != nullptr && load->buffer == partial;
      return !found;
    });
    return found;
  };
  const auto* add = store->value.as<Add>();
  Expr bias;
  Expr read;
  if (add != nullptr && is_partial(add->a) && !uses_partial(add->b)) {
    read = add->a;
    bias = add->b;
  } else if (add != nullptr && is_partial(add->b) && !uses_partial(add->a)) {
    read = add->b;
    bias = add->a;
  } else {
    return refuse(fmt::format("{} does not add something to {} alone: only what is added can be "
                              "what the sum starts from",
                              describe(after), partial->name));
  }
  if (store->buffer->dtype != partial->dtype)
    return refuse(fmt::format("{} has another type than {}", store->buffer->name, partial->name));

  // The axes of the epilogue, from the elements that the reduction writes.
  VarMap values;
  const auto& load = static_cast<const BufferLoad&>(*read);
  IndexMath math;
  for (size_t d = 0; d < load.indices.size(); ++d) {
    const auto axis = std::find_if(after->iter_vars.begin(), after->iter_vars.end(),
                                   [&](const IterVar& candidate) {
                                     return load.indices[d].get() == candidate.var.get();
                                   });
    const Expr& written = reducer->update->indices[d];
    const auto spatial = std::find_if(sum->iter_vars.begin(), sum->iter_vars.end(),
                                      [&](const IterVar& candidate) {
                                        return written.get() == candidate.var.get();
                                      });
    if (is_int(load.indices[d], 0) && is_int(written, 0))
      continue;
    if (axis == after->iter_vars.end() || spatial == sum->iter_vars.end() ||
        values.count(axis->var) != 0)
      return refuse(fmt::format("{} does not read {} by its axes one by one, as {} writes it",
                                describe(after), partial->name, describe(sum)));
    if (!same_expr(axis->domain.extent, spatial->domain.extent) ||
        !same_expr(axis->domain.min, spatial->domain.min))
      return refuse(fmt::format("{} does not read all that {} writes: axis {} runs over another "
                                "range",
                                describe(after), describe(sum), axis->var->name));
    values[axis->var] = spatial->var;
  }
  for (const IterVar& axis : after->iter_vars)
    if (values.count(axis.var) == 0) {
      if (!is_int(axis.domain.extent, 1))
        return refuse(fmt::format("axis {} of {} does not follow from the element of {} that it "
                                  "reads",
                                  axis.var->name, describe(after), partial->name));
      values[axis.var] = axis.domain.min;
    }

  // The bias and the output must be free where the sum stands.
  for (int other = 0; other < static_cast<int>(scope.children.size()); ++other) {
    if (other == epilogue.child)
      continue;
    const SBlock& block = epilogue.info(other).block();
    for (const BufferRegion& write : block.writes)
      for (const BufferRegion& needed : after->reads)
        if (needed.buffer == write.buffer && needed.buffer != partial && other >= reduction.child)
          return refuse(fmt::format("{} is written by block \"{}\", which does not stand before {}",
                                    needed.buffer->name, block.name, describe(sum)));
    for (const BufferRegion& touched : block.reads)
      if (touched.buffer == store->buffer && other < epilogue.child)
        return refuse(fmt::format("block \"{}\" reads {} before {} writes it", block.name,
                                  store->buffer->name, describe(after)));
  }
  for (const BufferRegion& write : sum->writes)
    for (const BufferRegion& needed : sum->reads)
      if (needed.buffer == store->buffer || needed.buffer == write.buffer)
        return refuse(fmt::format("{} reads what it would write", describe(sum)));

  // D = bias, then D = D + e.
  std::vector<Expr> where;
  for (const Expr& index : store->indices)
    where.push_back(substitute(index, values));
  Block fused = copy_node(*sum, [&](SBlock& node) {
    node.init = make_store(store->buffer, where, substitute(bias, values));
    const Expr self = make_load(store->buffer, where);
    node.body = make_store(store->buffer, where,
                           reducer->output_first ? make_binary<Add>(self, reducer->value)
                                                 : make_binary<Add>(reducer->value, self));
  });
  fused = copy_node(*fused, [&](SBlock& node) {
    Accesses accesses = detect_accesses(*fused);
    node.reads = std::move(accesses.reads);
    node.writes = std::move(accesses.writes);
  });
  Applied applied;
  Removed removed = remove_from_scope(epilogue);
  applied.moved = std::move(removed.moved);
  const Stmt body = replace_realize(
      removed.body, &reduction.realize(),
      copy_node(reduction.realize(), [&](SBlockRealize& node) { node.block = fused; }));
  applied.module =
      replace_scope(context, epilogue, copy_node(*epilogue.scope_block(), [&](SBlock& node) {
                      node.body = body;
                      std::erase(node.alloc_buffers, partial);
                    }));
  return applied;
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  std::vector<Arguments> uses;
  const auto scoped = handle.as_block() != nullptr ? require_in_scope(context, handle)
                                                   : Result<ScopedBlock>(Error());
  if (!scoped)
    return uses;
  for (const int consumer : scoped->scope.consumers(scoped->child)) {
    Arguments use{.inputs = {handle, BlockHandle{scoped->info(consumer).block().id}}};
    if (apply({context.module, nullptr, false}, use))
      uses.push_back(std::move(use));
  }
  return uses;
}

} // namespace

void register_fuse_reduction_epilogue() {
  register_primitive({
      .name = "FuseReductionEpilogue",
      .python_name = "fuse_reduction_epilogue",
      .inputs = {{.name = "reduction_block", .kind = ValueKind::kBlock},
                 {.name = "epilogue_block", .kind = ValueKind::kBlock}},
      .summary = R"(What a block adds to the result of a sum becomes what the sum starts from, and the block is
gone. The epilogue must be the only consumer of the sum, read all of it, and add: a maximum or
anything else would have to wait for the last step. The order of additions changes.

    # fuse_reduction_epilogue(C, D)
    with T.init():                                    with T.init():
        C[vi, vj] = T.float32(0)                          D[vi, vj] = bias[vi, vj]
    C[vi, vj] += A[vi, vk] * B[vk, vj]         →      D[vi, vj] += A[vi, vk] * B[vk, vj]
    ...
    D[vi, vj] = C[vi, vj] + bias[vi, vj])",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
