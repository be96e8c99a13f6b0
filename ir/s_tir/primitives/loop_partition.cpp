/// LoopPartition: one loop becomes several, one behind the other, over parts of its range.
///
/// Each part gets a copy of the body, whose blocks are named anew: C becomes C_i0, C_i1. TVM wraps
/// every part and the whole in blocks that say nothing of what they access; here the loops simply
/// follow each other, so that all other primitives still see what is read and written.
#include "ir/s_tir/primitives/dependence.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {
namespace {

struct Plan {
  LoopPlace place;
  std::vector<int64_t> extents; ///< of the parts, in order
};

Result<Plan> plan_partition(const Context& context, const Arguments& arguments) {
  const Value& at = arguments.inputs[0];
  TEMPER_TRY(place, require_loop(context, at));
  TEMPER_TRY_VOID(require_plain_loop(context, place.loop));
  const auto extent = constant_extent(*place.loop);
  if (!extent)
    return illegal(context, at,
                   fmt::format("{} has a symbolic extent, which cannot be cut in parts of given "
                               "lengths",
                               describe(place.loop)));
  Plan plan;
  std::optional<size_t> missing;
  int64_t sum = 0;
  for (size_t i = 1; i < arguments.inputs.size(); ++i) {
    const Value& factor = arguments.inputs[i];
    if (factor.is_none()) {
      if (missing)
        return illegal(context, at, "only one factor may be None, to be inferred from the others");
      missing = plan.extents.size();
      plan.extents.push_back(0);
      continue;
    }
    const int64_t* value = factor.as_int();
    if (value == nullptr || *value <= 0)
      return illegal(context, at,
                     fmt::format("factors must be positive integers, or one of them None; factor "
                                 "{} is not",
                                 i - 1));
    sum += std::min(*value, *extent);
    plan.extents.push_back(*value);
  }
  if (sum >= *extent)
    return illegal(context, at,
                   fmt::format("the parts are {} iterations in all, and {} has {}: nothing is left "
                               "for the last part",
                               sum, describe(place.loop), *extent));
  if (missing)
    plan.extents[*missing] = *extent - sum;
  else
    plan.extents.push_back(*extent - sum);
  const auto below = blocks_below(place.chain);
  if (!below)
    return illegal(context, at,
                   fmt::format("below {} there are statements outside of blocks",
                               describe(place.loop)));
  for (const ChildBlock& child : *below)
    if (child.block().init && loop_use(*child.realize, place.loop->loop_var).reduce)
      return illegal(context, at,
                     fmt::format("{} is a reduction loop of block \"{}\", and each part would "
                                 "start the reduction anew: decompose_reduction first",
                                 describe(place.loop), child.block().name));
  plan.place = std::move(place);
  return plan;
}

/// Blocks below named for their part, with ids of their own.
Stmt renamed(const Stmt& stmt, const std::string& suffix) {
  return cast_ref<StmtNode>(rewrite_post(stmt, [&](const NodeRef& node) -> NodeRef {
    const auto* block = node.as<SBlock>();
    if (block == nullptr)
      return node;
    return copy_node(*block, [&](SBlock& copy) {
      copy.id = new_block_id();
      copy.name += suffix;
    });
  }));
}

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  TEMPER_TRY(plan, plan_partition(context, arguments));
  const bool preserve_unit_iters = *arguments.attrs[0].as_int() != 0;
  const For& loop = *plan.place.loop;
  const DataType dtype = loop.loop_var->dtype;
  Applied applied;
  std::vector<Stmt> parts;
  int64_t start = 0;
  for (size_t i = 0; i < plan.extents.size(); ++i) {
    const int64_t extent = plan.extents[i];
    const Var var = make_var(fmt::format("{}{}", loop.loop_var->name, i), dtype);
    applied.outputs.push_back(LoopHandle{var});
    const Expr value = extent == 1 && !preserve_unit_iters ? make_int(dtype, start) : Expr(var);
    Rebind rebind(plan.place.chain, preserve_unit_iters);
    const Stmt body = rebind.run(
        with_fresh_definitions(
            renamed(loop.body, fmt::format("_{}{}", loop.loop_var->name, i))),
        {{loop.loop_var, value}});
    parts.push_back(
        make_for(var, make_int(dtype, start), make_int(dtype, extent), loop.kind, body));
    start += extent;
  }
  applied.module = replace_in_module(context.module, plan.place.function, plan.place.chain,
                                     make_seq(std::move(parts)));
  applied.moved = {{arguments.inputs[0], Value()}};
  walk(loop.body, [&](const NodeRef& node) {
    if (const auto* inner = node.as<For>())
      applied.moved.push_back({LoopHandle{inner->loop_var}, Value()});
    if (const auto* block = node.as<SBlock>())
      applied.moved.push_back({BlockHandle{block->id}, Value()});
    return node->kind() >= kFunctionKinds;
  });
  return applied;
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  std::vector<Arguments> uses;
  if (handle.as_loop() == nullptr)
    return uses;
  for (const std::vector<Value>& factors :
       {std::vector<Value>{1, Value()}, std::vector<Value>{Value(), 2}}) {
    Arguments use{.inputs = {handle}, .attrs = {1}};
    use.inputs.insert(use.inputs.end(), factors.begin(), factors.end());
    if (plan_partition({context.module, nullptr, false}, use))
      uses.push_back(std::move(use));
  }
  return uses;
}

} // namespace

void register_loop_partition() {
  register_primitive({
      .name = "LoopPartition",
      .python_name = "loop_partition",
      .inputs = {{.name = "loop", .kind = ValueKind::kLoop},
                 {.name = "factors", .kind = ValueKind::kIntOrNone, .variadic = true}},
      .attrs = {{.name = "preserve_unit_iters", .kind = ValueKind::kBool, .default_value = true}},
      .outputs = {ValueKind::kLoop},
      .variadic_output = true,
      .summary =
          "One loop becomes several, one behind the other, over parts of its range that have the "
          "given lengths. One may be None: it is inferred; without None a last part takes the "
          "rest. The blocks below are copied and named for their part: get_sblock(\"B_i0\"). Not "
          "for a loop over which a block with an init reduces.\n"
          "\n"
          "    # loop_partition(i, [2, None])         for i0, j in T.grid(2, 16):\n"
          "    for i, j in T.grid(8, 16):        →        with T.sblock(\"B_i0\"): ...\n"
          "        with T.sblock(\"B\"): ...            for i1 in range(2, 8):\n"
          "                                               for j in range(16):\n"
          "                                                   with T.sblock(\"B_i1\"): ...",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
