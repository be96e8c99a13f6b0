// SkipPadding: sums leave out terms that are zero because an operand is padding there.
//
// The block that pads stores T.if_then_else(inside, value, 0). What it says of the element that the
// sum reads is a condition on the sum's loops; those parts of it that are known at `loop` become
// the block's, so that iterations of the loop in which all of the operand is padding do nothing.
#include "ir/s_tir/detail/inline.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {
namespace {

/// The load of `buffer` without which `value` is zero: a factor of a product; null when there is
/// none.
const BufferLoad* zero_factor(const Expr& value, const Buffer& buffer) {
  if (const auto* load = value.as<BufferLoad>())
    return load->buffer == buffer && !load->predicate ? load : nullptr;
  if (const auto* cast = value.as<Cast>())
    return zero_factor(cast->value, buffer);
  if (const auto* product = value.as<Mul>()) {
    const BufferLoad* first = zero_factor(product->a, buffer);
    return first != nullptr ? first : zero_factor(product->b, buffer);
  }
  return nullptr;
}

/// What is added to the element that the store writes; null when it does not add to it.
Expr added_term(const BufferStore& store) {
  const auto* sum = store.value.as<Add>();
  if (sum == nullptr)
    return nullptr;
  const auto is_old = [&](const Expr& expr) {
    const auto* load = expr.as<BufferLoad>();
    return load != nullptr && load->buffer == store.buffer && !load->predicate &&
           std::equal(load->indices.begin(), load->indices.end(), store.indices.begin(),
                      store.indices.end(),
                      [](const Expr& a, const Expr& b) { return same_expr(a, b); });
  };
  return is_old(sum->a) ? sum->b : is_old(sum->b) ? sum->a : nullptr;
}

/// The condition under which the element of a padded buffer that is a factor of the term is no
/// padding, over the block's axes; null when the producer is not one that pads with zeros, or the
/// term has no such factor.
Expr inside_of(const ScopedBlock& scoped, int producer, const Expr& term) {
  const SBlockRealize& realize = *scoped.info(producer).realize;
  const SBlock& block = *realize.block;
  const auto* store = block.body.as<BufferStore>();
  if (store == nullptr || block.init || store->predicate ||
      why_not_complete(scoped.scope, producer) != nullptr)
    return nullptr;
  const auto* choice = store->value.as<Call>();
  if (choice == nullptr || choice->op != "if_then_else" || as_number(choice->args[2]) != 0.0)
    return nullptr;
  const BufferLoad* load = zero_factor(term, store->buffer);
  if (load == nullptr || load->indices.size() != store->indices.size())
    return nullptr;
  VarMap at; // the producer's axes, where this element is
  for (size_t d = 0; d < store->indices.size(); ++d) {
    const auto axis = store->indices[d].as_ref<VarNode>();
    if (!axis || !at.emplace(axis, to_type(load->indices[d], axis->dtype)).second)
      return nullptr;
  }
  bool known = true;
  walk(choice->args[0], [&](const NodeRef& node) {
    if (const auto axis = node.as_ref<VarNode>())
      known &= at.contains(axis);
    known &= node->kind() != BufferLoad::kKind;
    return known;
  });
  return known ? substitute(choice->args[0], at) : nullptr;
}

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  const Value& at = arguments.inputs[0];
  TEMPER_TRY(scoped, require_in_scope(context, at));
  const LoopHandle* handle = arguments.inputs[1].as_loop();
  if (handle == nullptr)
    return Error(ErrorCode::kInvalidArgument, "a loop is expected here");
  const Block& block = scoped.block();
  const SBlockRealize& realize = scoped.realize();
  const auto refuse = [&](const std::string& why) { return illegal(context, at, why); };
  const std::vector<const For*>& loops = scoped.info().loops;
  const auto target = std::find_if(loops.begin(), loops.end(),
                                   [&](const For* loop) { return loop->loop_var == handle->var; });
  if (target == loops.end())
    return illegal(
        context, at,
        fmt::format("loop {} is not a loop around {}", handle->var->name, describe(block)));
  if (block->init)
    return refuse(fmt::format("{} sets its sums to zero, too, which may not be skipped: "
                              "decompose_reduction first",
                              describe(block)));
  TEMPER_TRY(store, require_single_store(context, at, block));
  const Expr term = added_term(*store);
  if (!term)
    return refuse(fmt::format("{} does not add to what it stores to", describe(block)));
  Expr inside;
  for (const int producer : scoped.scope.producers(scoped.child))
    if (!inside)
      inside = inside_of(scoped, producer, term);
  if (!inside)
    return refuse(fmt::format("no factor of what {} adds is padded with zeros by a block that "
                              "stores T.if_then_else(inside, value, 0)",
                              describe(block)));

  VarMap bindings;
  for (size_t i = 0; i < block->iter_vars.size(); ++i)
    bindings[block->iter_vars[i].var] = realize.iter_values[i];
  const auto is_known = [&](const VarNode& var) {
    return std::any_of(loops.begin(), target + 1,
                       [&](const For* loop) { return loop->loop_var.get() == &var; });
  };
  std::vector<Expr> known;
  for (const Expr& part : conditions_of(inside)) {
    const Expr condition = substitute(part, bindings);
    if (mentions(condition, handle->var) &&
        !uses_var(condition, [&](const VarNode& var) { return !is_known(var); }))
      known.push_back(part);
  }
  if (known.empty())
    return refuse(fmt::format("what is padding for {} is not known at loop {}", describe(block),
                              handle->var->name));
  Expr condition = known[0];
  for (size_t i = 1; i < known.size(); ++i)
    condition = logical_and(condition, known[i]);
  // Not the block's predicate: whoever makes the operand is to make all of it, as plain as before.
  const Block skipping =
      copy_node(*block, [&](SBlock& node) { node.body = make_if(condition, block->body); });
  Applied applied;
  applied.module =
      replace_in_module(context.module, scoped.place.function, scoped.place.chain,
                        copy_node(realize, [&](SBlockRealize& node) { node.block = skipping; }));
  return applied;
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  return enumerate_loops_around(context, handle, apply);
}

} // namespace

void register_skip_padding() {
  register_primitive({
      .name = "SkipPadding",
      .python_name = "skip_padding",
      .inputs = {{.name = "block", .kind = ValueKind::kBlock},
                 {.name = "loop", .kind = ValueKind::kLoop}},
      .summary =
          R"(A sum leaves out terms that are zero because a factor is padding: what the block that pads says
of the element guards the sum, as far as it mentions `loop` and is known there. Zeros times
infinities or NaN are left out, too. The block must not set its sums to zero itself
(decompose_reduction). TVM has no such primitive.

    # skip_padding(C, k)                                  for k in range(5):
    for k in range(5):                                        for i in range(16):
        for i in range(16):                       →               with T.sblock("C"):
            with T.sblock("C"):                                       if 2 <= vo * 2 + vk:
                C[vo, vi] += P[vo * 2 + vk, vi] * F[vk]                   C[vo, vi] += ..)",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
