// Operators between values that are known while the script is read, as Python has them.
#include "ir/script/evaluator.h"

#include <cmath>
#include <limits>

namespace temper::script {

using E = Expression::Type;

namespace {
constexpr Int kMaxInt = static_cast<Int>(1) << 120;
} // namespace

Value Evaluator::unary(const Expression& expression) {
  const Operator op = expression.ops[0];
  const Value value = evaluate(*expression.items[0]);
  const Position position = expression.position;
  if (value.is_poison())
    return Poison{};
  if (op == Operator::kNot) {
    if (value.is_ir()) {
      const Expr condition = to_condition(value, expression.items[0]->position);
      return condition ? Value(make_not(condition)) : Value(Poison{});
    }
    const auto which = truth(value);
    return which ? Value(!*which) : Value(Poison{});
  }
  if (const auto* number = value.as<double>()) {
    if (op == Operator::kNegative)
      return -*number;
    if (op == Operator::kPositive)
      return *number;
  } else if (const auto number = as_integer(value)) {
    if (op == Operator::kNegative)
      return -*number;
    if (op == Operator::kPositive)
      return *number;
    return ~*number;
  } else if (value.is_ir()) {
    const Expr expr = to_expr(value, position);
    if (!expr)
      return Poison{};
    if (op == Operator::kPositive)
      return expr;
    if (op == Operator::kInvert) {
      if (!expr->dtype.is_integral())
        return report(position, "~ needs an integer, not " + describe(value) + "; use not");
      return call_op("bitwise_not", {expr});
    }
    // As TVM: -x is x * -1.
    if (!expr->dtype.is_integral() && !expr->dtype.is_floating())
      return report(position, "- needs a number, not " + describe(value));
    return make_binary<Mul>(expr, make_const(expr->dtype, -1));
  }
  return report(position, std::string(spelling(op)) + " does not apply to " + describe(value));
}

Value Evaluator::logic(const Expression& expression) {
  const bool is_and = expression.type == E::kAnd;
  Expr whole;
  Value last = true;
  bool poison = false;
  for (const ExpressionPtr& item : expression.items) {
    const Value value = evaluate(*item);
    if (value.is_poison()) {
      poison = true;
      continue;
    }
    if (!whole && !value.is_ir()) {
      last = value;
      const auto which = truth(value);
      if (which && *which != is_and && !poison)
        return value;
      continue;
    }
    const Expr condition = to_condition(value, item->position);
    if (!condition) {
      poison = true;
      continue;
    }
    if (whole && whole->dtype != condition->dtype) {
      report(item->position, "'and' and 'or' join conditions with the same number of lanes");
      poison = true;
      continue;
    }
    whole = !whole   ? condition
            : is_and ? make_binary<And>(whole, condition)
                     : make_binary<Or>(whole, condition);
  }
  if (poison)
    return Poison{};
  return whole ? Value(whole) : last;
}

Value Evaluator::if_else(const Expression& expression) {
  const Value condition = evaluate(*expression.items[0]);
  if (condition.is_poison())
    return Poison{};
  if (condition.is_ir()) {
    const Expr test = to_condition(condition, expression.items[0]->position);
    const Value a = evaluate(*expression.items[1]);
    const Value b = evaluate(*expression.items[2]);
    Expr x;
    Expr y;
    if (!test || !operands(a, b, expression.position, "a conditional expression", x, y))
      return Poison{};
    return if_then_else(test, x, y);
  }
  const auto which = truth(condition);
  return which ? evaluate(*expression.items[*which ? 1 : 2]) : Value(Poison{});
}

Value Evaluator::compare(const Expression& expression) {
  Expr whole;
  bool result = true;
  bool poison = false;
  Value left = evaluate(*expression.items[0]);
  for (size_t i = 0; i < expression.ops.size(); ++i) {
    const Value right = evaluate(*expression.items[i + 1]);
    const Value one = binary(expression.ops[i], left, right, expression.position);
    left = right;
    if (one.is_poison()) {
      poison = true;
    } else if (const auto* expr = one.as<Expr>()) {
      if (whole && whole->dtype != (*expr)->dtype)
        return report(expression.position, "this chain compares different numbers of lanes");
      whole = whole ? make_binary<And>(whole, *expr) : *expr;
    } else {
      result &= truth(one).value_or(false);
    }
  }
  if (poison)
    return Poison{};
  if (!whole)
    return result;
  return result ? Value(whole) : Value(make_bool(false));
}

Value Evaluator::binary(Operator op, const Value& a, const Value& b, Position position) {
  if (a.is_poison() || b.is_poison())
    return Poison{};
  if (op == Operator::kIs || op == Operator::kIsNot) {
    const bool same = a.is<None>() && b.is<None>();
    if (!a.is<None>() && !b.is<None>())
      return report(position, "'is' compares with None here; use ==");
    return same == (op == Operator::kIs);
  }
  if (op == Operator::kIn || op == Operator::kNotIn) {
    const auto items = iterate(b, position);
    if (!items)
      return Poison{};
    bool found = false;
    if (a.text() != nullptr && b.text() != nullptr)
      found = b.text()->find(*a.text()) != std::string::npos;
    for (const Value& item : *items)
      found |= truth(compare_values(Operator::kEqual, a, item, position)).value_or(false);
    return found == (op == Operator::kIn);
  }
  if (a.is_ir() || b.is_ir()) {
    if ((a.is_ir() || a.is_number()) && (b.is_ir() || b.is_number()))
      return ir_binary(op, a, b, position);
    const Value& odd = a.is_ir() || a.is_number() ? b : a;
    if (const auto* buffer = odd.as<Buffer>())
      return report(position, "the buffer " + (*buffer)->name + " needs an index here, as " +
                                  (*buffer)->name +
                                  ((*buffer)->rank() == 0   ? "[()]"
                                   : (*buffer)->rank() == 1 ? "[i]"
                                                            : "[i, j]"));
    if (odd.is<Region>())
      return report(position, "a range of elements has no value; write single indices in a loop");
    return report(position,
                  std::string("'") + spelling(op) + "' does not apply to " + describe(odd));
  }
  if (is_comparison(op))
    return compare_values(op, a, b, position);
  return python_binary(op, a, b, position);
}

Value Evaluator::compare_values(Operator op, const Value& a, const Value& b, Position position) {
  if (a.is_poison() || b.is_poison())
    return Poison{};
  const auto decide = [op](auto x, auto y) {
    switch (op) {
    case Operator::kEqual:
      return x == y;
    case Operator::kNotEqual:
      return x != y;
    case Operator::kLess:
      return x < y;
    case Operator::kLessEqual:
      return x <= y;
    case Operator::kGreater:
      return x > y;
    default:
      return x >= y;
    }
  };
  const bool equality = op == Operator::kEqual || op == Operator::kNotEqual;
  if (a.is_number() && b.is_number()) {
    if (const auto x = as_integer(a), y = as_integer(b); x && y)
      return decide(*x, *y);
    return decide(*as_double(a), *as_double(b));
  }
  const auto text_of = [](const Value& value) -> std::optional<std::string> {
    if (value.text() != nullptr)
      return *value.text();
    if (const auto* type = value.as<TypeName>())
      return temper::to_string(type->dtype);
    return std::nullopt;
  };
  if (const auto x = text_of(a), y = text_of(b); x && y)
    return decide(*x, *y);
  if (equality) {
    bool same = a.is<None>() && b.is<None>();
    if (a.sequence() != nullptr && b.sequence() != nullptr) {
      same = a.sequence()->size() == b.sequence()->size();
      ++depth_;
      for (size_t i = 0; same && i < a.sequence()->size(); ++i)
        same = step(position) &&
               truth(binary(Operator::kEqual, (*a.sequence())[i], (*b.sequence())[i], position))
                   .value_or(false);
      --depth_;
    }
    return same == (op == Operator::kEqual);
  }
  return report(position, std::string("'") + spelling(op) + "' does not order " + describe(a) +
                              " and " + describe(b));
}

Value Evaluator::python_binary(Operator op, const Value& a, const Value& b, Position position) {
  if (a.is_number() && b.is_number()) {
    const auto x = as_integer(a);
    const auto y = as_integer(b);
    const bool integers = x && y;
    if (integers && op != Operator::kDiv) {
      Int result = 0;
      bool overflow = false;
      switch (op) {
      case Operator::kAdd:
        overflow = __builtin_add_overflow(*x, *y, &result);
        break;
      case Operator::kSub:
        overflow = __builtin_sub_overflow(*x, *y, &result);
        break;
      case Operator::kMul:
        overflow = __builtin_mul_overflow(*x, *y, &result);
        break;
      case Operator::kFloorDiv:
      case Operator::kMod: {
        if (*y == 0)
          return report(position, "division by zero");
        Int quotient = *x / *y;
        if (*x % *y != 0 && (*x < 0) != (*y < 0))
          --quotient;
        result = op == Operator::kFloorDiv ? quotient : *x - quotient * *y;
        break;
      }
      case Operator::kPow: {
        if (*y < 0)
          return std::pow(static_cast<double>(*x), static_cast<double>(*y));
        result = 1;
        if (*x != 0 && *x != 1 && *x != -1 && *y > 127)
          overflow = true;
        else if (*x == 0 || *x == 1 || *x == -1)
          result = *y == 0 ? 1 : *x == -1 ? (*y % 2 == 0 ? 1 : -1) : *x;
        else
          for (Int i = 0; i < *y && !overflow; ++i)
            overflow = __builtin_mul_overflow(result, *x, &result);
        break;
      }
      case Operator::kShiftLeft:
      case Operator::kShiftRight:
        if (*y < 0 || *y > 120)
          return report(position, "a shift is by 0 to 120 bits");
        if (op == Operator::kShiftRight)
          result = *x >> static_cast<int>(*y);
        else
          overflow =
              __builtin_mul_overflow(*x, static_cast<Int>(1) << static_cast<int>(*y), &result);
        break;
      case Operator::kBitAnd:
        result = *x & *y;
        break;
      case Operator::kBitOr:
        result = *x | *y;
        break;
      case Operator::kBitXor:
        result = *x ^ *y;
        break;
      default:
        return report(position, "this operation is not known");
      }
      if (overflow || result > kMaxInt || result < -kMaxInt)
        return report(position, "this integer leaves 120 bits; is the shape meant to be so large?");
      return result;
    }
    const double u = *as_double(a);
    const double v = *as_double(b);
    switch (op) {
    case Operator::kAdd:
      return u + v;
    case Operator::kSub:
      return u - v;
    case Operator::kMul:
      return u * v;
    case Operator::kDiv:
    case Operator::kFloorDiv:
    case Operator::kMod:
      if (v == 0)
        return report(position, "division by zero");
      if (op == Operator::kDiv)
        return u / v;
      if (op == Operator::kFloorDiv)
        return std::floor(u / v);
      return u - v * std::floor(u / v);
    case Operator::kPow:
      return std::pow(u, v);
    default:
      return report(position, std::string(spelling(op)) + " needs integers");
    }
  }
  if (op == Operator::kAdd && a.text() != nullptr && b.text() != nullptr) {
    if (a.text()->size() + b.text()->size() > kMaxSequence)
      return report(position, "this string has more than a million characters");
    return make_text(*a.text() + *b.text());
  }
  if (op == Operator::kAdd && a.is<Sequence>() && b.is<Sequence>() &&
      a.as<Sequence>()->is_tuple == b.as<Sequence>()->is_tuple) {
    std::vector<Value> items = *a.sequence();
    items.insert(items.end(), b.sequence()->begin(), b.sequence()->end());
    if (items.size() > kMaxSequence)
      return report(position, "this list has more than a million items");
    return make_sequence(std::move(items), a.as<Sequence>()->is_tuple);
  }
  if (op == Operator::kMul) {
    const bool first = as_integer(a).has_value();
    const Value& repeated = first ? b : a;
    const auto times = first ? as_integer(a) : as_integer(b);
    const Int size = repeated.sequence() != nullptr ? static_cast<Int>(repeated.sequence()->size())
                     : repeated.text() != nullptr   ? static_cast<Int>(repeated.text()->size())
                                                    : -1;
    if (times && size >= 0) {
      if (*times > 0 && size > 0 && *times > static_cast<Int>(kMaxSequence) / size)
        return report(position, "this would have more than a million items");
      if (repeated.text() != nullptr) {
        std::string text;
        for (Int i = 0; i < *times; ++i)
          text += *repeated.text();
        return make_text(std::move(text));
      }
      std::vector<Value> items;
      for (Int i = 0; i < *times; ++i)
        items.insert(items.end(), repeated.sequence()->begin(), repeated.sequence()->end());
      return make_sequence(std::move(items), repeated.as<Sequence>()->is_tuple);
    }
  }
  if (a.is<Buffer>() || b.is<Buffer>()) {
    const Buffer& buffer = a.is<Buffer>() ? *a.as<Buffer>() : *b.as<Buffer>();
    return report(position, "the buffer " + buffer->name + " needs an index here");
  }
  return report(position, std::string("'") + spelling(op) + "' does not apply to " + describe(a) +
                              " and " + describe(b));
}

} // namespace temper::script
