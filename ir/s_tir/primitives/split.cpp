/// Split: one loop becomes a nest of loops whose extents multiply to at least the old extent. The
/// old variable becomes i_0 * (f1 * f2) + i_1 * f2 + i_2 in the bindings below. When the product is
/// larger than the extent, the blocks below are guarded by a predicate.
#include "ir/s_tir/detail/index_math.h"
#include "ir/s_tir/primitives/common.h"

#include <fmt/format.h>

namespace temper::s_tir {
namespace {

struct Plan {
  LoopPlace place;
  std::vector<Expr> factors; ///< of the loop variable's type, none missing
  Expr extent;
  bool exact = false; ///< the product is the extent for certain
};

Result<Plan> plan_split(const Context& context, const Arguments& arguments) {
  TEMPER_TRY(place, require_loop(context, arguments.inputs[0]));
  const Value& at = arguments.inputs[0];
  const For& loop = *place.loop;
  TEMPER_TRY_VOID(require_plain_loop(context, place.loop));

  const DataType dtype = loop.loop_var->dtype;
  const auto extent = constant_extent(loop);
  std::vector<Expr> factors;
  std::optional<size_t> missing;
  int64_t product = 1;
  for (size_t i = 1; i < arguments.inputs.size(); ++i) {
    const Value& factor = arguments.inputs[i];
    if (factor.is_none()) {
      if (missing)
        return illegal(context, at, "only one factor may be None, to be inferred from the others");
      missing = factors.size();
      factors.emplace_back();
      continue;
    }
    if (factor.as_int() == nullptr)
      return Error(ErrorCode::kInvalidArgument, "factors must be integers, or one of them None");
    const int64_t value = *factor.as_int();
    if (value <= 0)
      return illegal(context, at,
                     fmt::format("factors must be positive, and factor {} is {}", i - 1, value));
    if (__builtin_mul_overflow(product, value, &product) || product > max_extent(dtype))
      return illegal(context, at,
                     fmt::format("the product of the factors is beyond {}", max_extent(dtype)));
    factors.push_back(make_int(dtype, value));
  }
  Plan plan{.place = std::move(place), .extent = loop.extent};
  if (missing) {
    if (extent) {
      const int64_t inferred = (*extent + product - 1) / product;
      factors[*missing] = make_int(dtype, std::max<int64_t>(inferred, 1));
      plan.exact = inferred * product == *extent;
    } else {
      IndexMath math;
      const Linear whole = math.linear(loop.extent);
      plan.exact = math.floor_modulo(whole, product).is_constant(0);
      factors[*missing] = plan.exact ? math.expr(math.floor_divide(whole, product), dtype)
                                     : floordiv(loop.extent + (product - 1), product);
    }
  } else {
    if (!extent)
      return illegal(context, at,
                     fmt::format("{} has a symbolic extent, so that one factor must be None",
                                 describe(plan.place.loop)));
    if (product < *extent)
      return illegal(context, at,
                     fmt::format("the product of the factors, {}, does not cover {}, whose extent "
                                 "is {}; a factor None is inferred",
                                 product, describe(plan.place.loop), *extent));
    plan.exact = product == *extent;
  }
  plan.factors = std::move(factors);
  return plan;
}

Result<void> check(const Context& context, const Arguments& arguments) {
  if (auto plan = plan_split(context, arguments); !plan)
    return std::move(plan).error();
  return {};
}

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  TEMPER_TRY(plan, plan_split(context, arguments));
  const bool preserve_unit_iters = *arguments.attrs[0].as_int() != 0;
  const bool disable_predication = *arguments.attrs[1].as_int() != 0;
  const For& loop = *plan.place.loop;
  const DataType dtype = loop.loop_var->dtype;

  std::vector<Var> vars;
  Applied applied;
  for (size_t i = 0; i < plan.factors.size(); ++i) {
    vars.push_back(make_var(fmt::format("{}_{}", loop.loop_var->name, i), dtype));
    applied.outputs.push_back(LoopHandle{vars.back()});
  }
  // By Horner's rule, as TVM writes the predicate: (i0 * f1 + i1) * f2 + i2.
  Expr value;
  for (size_t i = 0; i < vars.size(); ++i) {
    if (!preserve_unit_iters && is_int(plan.factors[i], 1))
      continue;
    value = value ? value * plan.factors[i] + vars[i] : Expr(vars[i]);
  }
  if (!value)
    value = make_int(dtype, 0);

  Rebind rebind(plan.place.chain, preserve_unit_iters);
  for (size_t i = 0; i < vars.size(); ++i)
    rebind.bind(vars[i], plan.factors[i]);
  Stmt body = rebind.run(loop.body, {{loop.loop_var, value}});
  if (!plan.exact && !disable_predication)
    body = rebind.guard(body, less(value, plan.extent));
  for (size_t i = vars.size(); i-- > 0;)
    body = make_for(vars[i], make_int(dtype, 0), plan.factors[i], ForKind::kSerial, body);

  applied.module = replace_in_module(context.module, plan.place.function, plan.place.chain, body);
  applied.moved = {{arguments.inputs[0], Value()}};
  return applied;
}

/// Halves and quarters, vector widths, and one that does not divide.
std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  if (handle.as_loop() == nullptr)
    return {};
  std::vector<Arguments> uses;
  auto add = [&](std::vector<Value> factors) {
    factors.insert(factors.begin(), handle);
    Arguments arguments{.inputs = std::move(factors), .attrs = {1, 0}};
    if (check(context, arguments))
      uses.push_back(std::move(arguments));
  };
  for (const int64_t inner : {2, 3, 4, 8, 16, 32})
    add({Value(), inner});
  add({2, Value()});
  add({Value(), 2, 2});
  return uses;
}

} // namespace

void register_split() {
  register_primitive({
      .name = "Split",
      .python_name = "split",
      .inputs = {{.name = "loop", .kind = ValueKind::kLoop},
                 {.name = "factors", .kind = ValueKind::kIntOrNone, .variadic = true}},
      .attrs = {{.name = "preserve_unit_iters", .kind = ValueKind::kBool, .default_value = true},
                {.name = "disable_predication", .kind = ValueKind::kBool, .default_value = false}},
      .outputs = {ValueKind::kLoop},
      .variadic_output = true,
      .summary =
          "Replaces a loop by a nest of loops, outermost first, whose extents are the factors. One "
          "factor may be None: it is inferred. When the product is larger than the extent, the "
          "blocks below get a predicate (unless `disable_predication`, which promises that the "
          "factors divide). `preserve_unit_iters` keeps loops of extent 1 in the bindings. The "
          "loop "
          "must start at 0 and have neither annotations nor a thread.\n"
          "\n"
          "    for i in range(128):        →        for i_0, i_1 in T.grid(8, 16):\n"
          "        with T.sblock(\"B\"):                  with T.sblock(\"B\"):\n"
          "            vi = T.axis.spatial(128, i)          vi = T.axis.spatial(128, i_0 * 16 + "
          "i_1)",
      .check = check,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
