// Integers: what is known of them, and sums of loops and axes as i64 for addresses.
#include "codegen/llvm/emitter.h"

namespace temper::codegen::emitter {

Interval Emitter::range_of(const Expr& expr) const {
  if (const auto value = constant_of(expr))
    return within(DataType::int64(), *value, *value);
  if (const auto* var = expr.as<VarNode>()) {
    const auto place = vars_.find(var);
    return place == vars_.end() ? Interval{} : place->second.range;
  }
  if (const auto* node = expr.as<Broadcast>())
    return range_of(node->value);
  if (const auto* node = expr.as<Ramp>()) {
    const Interval base = range_of(node->base);
    const Interval stride = range_of(node->stride);
    const __int128 last = node->lanes() - 1;
    return within(node->dtype, base.low + std::min<__int128>(0, stride.low * last),
                  base.high + std::max<__int128>(0, stride.high * last));
  }
  if (const auto* node = expr.as<Add>()) {
    const Interval a = range_of(node->a), b = range_of(node->b);
    return within(node->dtype, __int128{a.low} + b.low, __int128{a.high} + b.high);
  }
  if (const auto* node = expr.as<Sub>()) {
    const Interval a = range_of(node->a), b = range_of(node->b);
    return within(node->dtype, __int128{a.low} - b.high, __int128{a.high} - b.low);
  }
  if (const auto* node = expr.as<Mul>()) {
    const Interval a = range_of(node->a), b = range_of(node->b);
    const __int128 corners[] = {__int128{a.low} * b.low, __int128{a.low} * b.high,
                                __int128{a.high} * b.low, __int128{a.high} * b.high};
    return within(node->dtype, *std::min_element(corners, corners + 4),
                  *std::max_element(corners, corners + 4));
  }
  if (const auto* node = expr.as<FloorDiv>()) {
    const Interval a = range_of(node->a);
    if (const auto b = constant_of(node->b); b && *b > 0)
      return {a.low <= -kUnbounded ? a.low : floor_div(a.low, *b),
              a.high >= kUnbounded ? a.high : floor_div(a.high, *b)};
  }
  if (const auto* node = expr.as<FloorMod>())
    if (const auto b = constant_of(node->b); b && *b > 0)
      return {0, *b - 1};
  if (const auto* node = expr.as<Min>()) {
    const Interval a = range_of(node->a), b = range_of(node->b);
    return {std::min(a.low, b.low), std::min(a.high, b.high)};
  }
  if (const auto* node = expr.as<Max>()) {
    const Interval a = range_of(node->a), b = range_of(node->b);
    return {std::max(a.low, b.low), std::max(a.high, b.high)};
  }
  if (const auto* node = expr.as<Cast>())
    if (node->dtype.is_int() && node->value->dtype.is_int() &&
        node->dtype.bits >= node->value->dtype.bits)
      return range_of(node->value);
  return {};
}

int64_t Emitter::divisor_of(const Expr& expr) const {
  if (const auto value = constant_of(expr))
    return power_of_two_divisor(*value);
  if (const auto* var = expr.as<VarNode>()) {
    const auto place = vars_.find(var);
    return place == vars_.end() ? 1 : place->second.divisor;
  }
  if (const auto* node = expr.as<Add>())
    return std::min(divisor_of(node->a), divisor_of(node->b));
  if (const auto* node = expr.as<Sub>())
    return std::min(divisor_of(node->a), divisor_of(node->b));
  if (const auto* node = expr.as<Mul>())
    return std::min<int64_t>(int64_t{1} << 30, divisor_of(node->a) * divisor_of(node->b));
  if (const auto* node = expr.as<FloorMod>())
    return std::min(divisor_of(node->a), divisor_of(node->b));
  if (const auto* node = expr.as<FloorDiv>())
    if (const auto b = constant_of(node->b);
        b && *b > 0 && std::has_single_bit(static_cast<uint64_t>(*b)))
      return std::max<int64_t>(1, divisor_of(node->a) / *b);
  if (const auto* node = expr.as<Cast>())
    if (node->dtype.is_int() && node->value->dtype.is_int() &&
        node->dtype.bits >= node->value->dtype.bits)
      return divisor_of(node->value);
  return 1;
}

bool Emitter::is_speculatable(const Expr& expr, int budget) const {
  bool harmless = true;
  walk(expr, [&](const NodeRef& node) {
    if (!harmless || --budget < 0) {
      harmless = false;
      return false;
    }
    const auto divides = [&](const Expr& divisor) {
      const auto value = constant_of(divisor);
      if (!divisor->dtype.is_floating() && (!value || *value == 0))
        harmless = false;
    };
    if (node.is<BufferLoad>() || node.is<Let>())
      harmless = false;
    else if (const auto* div = node.as<Div>())
      divides(div->b);
    else if (const auto* mod = node.as<Mod>())
      divides(mod->b);
    else if (const auto* floor_div_node = node.as<FloorDiv>())
      divides(floor_div_node->b);
    else if (const auto* floor_mod_node = node.as<FloorMod>())
      divides(floor_mod_node->b);
    else if (const auto* call = node.as<Call>()) {
      const OpInfo* op = find_op(call->op);
      if (op == nullptr || !op->pure || op->math)
        harmless = false;
    }
    return harmless;
  });
  return harmless;
}

void Emitter::collect(const Expr& expr, int64_t scale, Linear& sum) {
  if (const auto value = constant_of(expr)) {
    sum.constant += *value * scale;
    return;
  }
  if (const auto* node = expr.as<Add>()) {
    collect(node->a, scale, sum);
    collect(node->b, scale, sum);
    return;
  }
  if (const auto* node = expr.as<Sub>()) {
    collect(node->a, scale, sum);
    collect(node->b, -scale, sum);
    return;
  }
  if (const auto* node = expr.as<Mul>()) {
    if (const auto value = constant_of(node->b))
      return collect(node->a, scale * *value, sum);
    if (const auto value = constant_of(node->a))
      return collect(node->b, scale * *value, sum);
  }
  if (const auto* node = expr.as<Ramp>())
    if (const auto step = as_int(node->stride)) {
      sum.step += *step * scale;
      return collect(node->base, scale, sum);
    }
  if (const auto* node = expr.as<Broadcast>())
    return collect(node->value, scale, sum);
  if (const auto* node = expr.as<Cast>())
    if (node->dtype.is_int() && node->value->dtype.is_int() &&
        node->dtype.bits >= node->value->dtype.bits)
      return collect(node->value, scale, sum);
  auto& terms = expr->dtype.lanes == 1 ? sum.terms : sum.vector_terms;
  for (Linear::Term& term : terms)
    if (term.leaf == expr) {
      term.coefficient += scale;
      return;
    }
  terms.push_back({expr, scale});
}

int Emitter::depth_of(const Expr& leaf) const {
  if (const auto* var = leaf.as<VarNode>())
    if (const auto place = vars_.find(var); place != vars_.end())
      return place->second.depth;
  return 1 << 20;
}

Value* Emitter::sum_terms(Linear& sum) {
  std::stable_sort(sum.terms.begin(), sum.terms.end(),
                   [&](const Linear::Term& a, const Linear::Term& b) {
                     return depth_of(a.leaf) < depth_of(b.leaf);
                   });
  Value* total = nullptr;
  for (const Linear::Term& term : sum.terms) {
    if (term.coefficient == 0)
      continue;
    Value* value = emit_leaf(term.leaf);
    if (term.coefficient != 1)
      value = once(Pure::kMultiply, value, nullptr, term.coefficient,
                   [&] { return builder_.CreateNSWMul(value, const_i64(term.coefficient)); });
    total = total == nullptr ? value : once(Pure::kAdd, total, value, 0, [&] {
      return builder_.CreateNSWAdd(total, value);
    });
  }
  return total;
}

Value* Emitter::sum_lanes(Linear& sum, int lanes) {
  std::vector<llvm::Constant*> steps;
  for (int lane = 0; lane < lanes; ++lane)
    steps.push_back(const_i64(sum.step * lane));
  Value* total = llvm::ConstantVector::get(steps);
  for (const Linear::Term& term : sum.vector_terms) {
    Value* value = emit_leaf(term.leaf);
    if (term.coefficient != 1)
      value = builder_.CreateNSWMul(value, const_i64(term.coefficient, lanes));
    total = builder_.CreateNSWAdd(total, value);
  }
  return total;
}

Value* Emitter::emit_index(const Expr& expr) {
  const int lanes = expr->dtype.lanes;
  Linear sum;
  collect(expr, 1, sum);
  Value* total = sum_terms(sum);
  if (total == nullptr)
    total = const_i64(sum.constant);
  else if (sum.constant != 0)
    total = builder_.CreateNSWAdd(total, const_i64(sum.constant));
  if (lanes == 1)
    return total;
  total = splat(total, lanes);
  if (sum.step != 0 || !sum.vector_terms.empty())
    total = builder_.CreateNSWAdd(total, sum_lanes(sum, lanes));
  return total;
}

Value* Emitter::emit_leaf(const Expr& expr) {
  const int lanes = expr->dtype.lanes;
  if (const auto* var = expr.as<VarNode>()) {
    const auto place = vars_.find(var);
    if (place == vars_.end()) {
      fail(ErrorCode::kInvalidArgument, "variable '" + var->name + "' is not defined here");
      return llvm::PoisonValue::get(i64(lanes));
    }
    // Widened where it is used: a cached value would have to dominate every later use.
    if (place->second.wide != nullptr)
      return place->second.wide;
    return widen_integer(place->second.value, expr->dtype);
  }
  const bool is_signed = !expr->dtype.is_uint();
  if (is_signed && !expr->dtype.is_bool()) {
    if (const auto* node = expr.as<Mul>())
      return builder_.CreateNSWMul(emit_index(node->a), emit_index(node->b));
    if (const auto* node = expr.as<FloorDiv>())
      return emit_division(node->a, node->b, emit_index(node->a), emit_index(node->b), true, true);
    if (const auto* node = expr.as<FloorMod>())
      return emit_division(node->a, node->b, emit_index(node->a), emit_index(node->b), true, false);
    if (const auto* node = expr.as<Min>())
      return builder_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, emit_index(node->a),
                                            emit_index(node->b));
    if (const auto* node = expr.as<Max>())
      return builder_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, emit_index(node->a),
                                            emit_index(node->b));
    if (const auto* node = expr.as<Ramp>()) {
      std::vector<llvm::Constant*> lane_numbers;
      for (int lane = 0; lane < lanes; ++lane)
        lane_numbers.push_back(const_i64(lane));
      Value* steps = builder_.CreateNSWMul(splat(emit_index(node->stride), lanes),
                                           llvm::ConstantVector::get(lane_numbers));
      return builder_.CreateNSWAdd(splat(emit_index(node->base), lanes), steps);
    }
  }
  return widen_integer(emit(expr), expr->dtype);
}

} // namespace temper::codegen::emitter
