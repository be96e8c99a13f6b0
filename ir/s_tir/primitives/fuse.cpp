/// Fuse: a nest of loops becomes one loop over their product; the old variables become quotients
/// and remainders of the new one. Where their types differ it has the widest, and they are casts.
#include "ir/s_tir/detail/index_type.h"
#include "ir/s_tir/primitives/common.h"

#include <fmt/format.h>

namespace temper::s_tir {
namespace {

/// The loops, outermost first; the chain leads to the outermost.
struct Plan {
  LoopPlace outermost;
  std::vector<Ref<For>> loops;
};

DataType widest(const std::vector<Ref<For>>& loops) {
  DataType dtype = loops[0]->loop_var->dtype;
  for (const Ref<For>& loop : loops)
    if (loop->loop_var->dtype.bits > dtype.bits)
      dtype = loop->loop_var->dtype;
  return dtype;
}

Result<Plan> plan_fuse(const Context& context, const Arguments& arguments) {
  Plan plan;
  TEMPER_TRY(first, require_loop(context, arguments.inputs[0]));
  plan.outermost = std::move(first);
  plan.loops = {plan.outermost.loop};
  for (size_t i = 1; i < arguments.inputs.size(); ++i) {
    const Value& at = arguments.inputs[i];
    TEMPER_TRY(place, require_loop(context, at));
    const Ref<For>& outer = plan.loops.back();
    if (outer->body != place.loop)
      return illegal(
          context, at,
          fmt::format("{} must be the only thing in the body of {}; loops are given from "
                      "the outermost to the innermost",
                      describe(place.loop), describe(outer)));
    plan.loops.push_back(place.loop);
  }
  for (size_t i = 0; i < plan.loops.size(); ++i) {
    TEMPER_TRY_VOID(require_plain_loop(context, plan.loops[i]));
    for (size_t outer = 0; outer < i; ++outer) {
      const Var& var = plan.loops[outer]->loop_var;
      if (mentions(plan.loops[i]->extent, var))
        return illegal(context, arguments.inputs[i],
                       fmt::format("the extent of {} depends on {}", describe(plan.loops[i]),
                                   describe(plan.loops[outer])));
    }
  }
  const int64_t largest = max_extent(widest(plan.loops));
  int64_t product = 1;
  for (const Ref<For>& loop : plan.loops)
    if (const auto extent = constant_extent(*loop))
      if (__builtin_mul_overflow(product, *extent, &product) || product > largest)
        return illegal(context, arguments.inputs[0],
                       fmt::format("the product of the extents is beyond {}", largest));
  return plan;
}

Result<void> check(const Context& context, const Arguments& arguments) {
  if (auto plan = plan_fuse(context, arguments); !plan)
    return std::move(plan).error();
  return {};
}

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  TEMPER_TRY(plan, plan_fuse(context, arguments));
  const bool preserve_unit_iters = *arguments.attrs[0].as_int() != 0;
  const DataType dtype = widest(plan.loops);
  std::string name;
  for (const Ref<For>& loop : plan.loops)
    name += loop->loop_var->name + "_";
  const Var fused = make_var(name + "fused", dtype);

  VarMap values;
  Expr extent = make_int(dtype, 1);
  Expr rest = fused;
  for (size_t i = plan.loops.size(); i-- > 0;) {
    const For& loop = *plan.loops[i];
    const Expr own = as_type(dtype, loop.extent);
    const Expr part = is_int(own, 1) ? make_int(dtype, 0) : i == 0 ? rest : floormod(rest, own);
    values.emplace(loop.loop_var, as_type(loop.loop_var->dtype, part));
    rest = floordiv(rest, own);
    extent = own * extent;
  }
  Rebind rebind(plan.outermost.chain, preserve_unit_iters);
  rebind.bind(fused, extent);
  const Stmt body = rebind.run(plan.loops.back()->body, values);

  Applied applied;
  applied.module =
      replace_in_module(context.module, plan.outermost.function, plan.outermost.chain,
                        make_for(fused, make_int(dtype, 0), extent, ForKind::kSerial, body));
  applied.outputs = {LoopHandle{fused}};
  for (const Value& loop : arguments.inputs)
    applied.moved.push_back({loop, Value()});
  return applied;
}

/// The loop with one, two, ... of those right below it.
std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  if (handle.as_loop() == nullptr)
    return {};
  const auto place = find_loop(context.module, *handle.as_loop());
  if (!place)
    return {};
  std::vector<Arguments> uses;
  Arguments arguments{.inputs = {handle}, .attrs = {1}};
  const For* loop = place->loop.get();
  while (uses.size() < 3 && (loop = loop->body.as<For>()) != nullptr) {
    arguments.inputs.push_back(LoopHandle{loop->loop_var});
    if (!check(context, arguments))
      break;
    uses.push_back(arguments);
  }
  return uses;
}

} // namespace

void register_fuse() {
  register_primitive({
      .name = "Fuse",
      .python_name = "fuse",
      .inputs = {{.name = "loops", .kind = ValueKind::kLoop, .variadic = true}},
      .attrs = {{.name = "preserve_unit_iters", .kind = ValueKind::kBool, .default_value = true}},
      .outputs = {ValueKind::kLoop},
      .summary =
          "Replaces a nest of loops, given from the outermost to the innermost, by one loop over "
          "the "
          "product of their extents. Each must be the only thing in the body of the one before, "
          "start at 0, and have neither annotations nor a thread; no extent may depend on an outer "
          "loop of the nest.\n"
          "\n"
          "    for i, j in T.grid(8, 16):     →     for i_j_fused in range(128):\n"
          "        with T.sblock(\"B\"):                  with T.sblock(\"B\"):\n"
          "            vi = T.axis.spatial(8, i)            vi = T.axis.spatial(8, i_j_fused // "
          "16)\n"
          "            vj = T.axis.spatial(16, j)           vj = T.axis.spatial(16, i_j_fused % "
          "16)",
      .check = check,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
