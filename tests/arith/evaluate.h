/// A direct evaluator of scalar integer expressions, and random ones to feed it: what the
/// simplifier is tested against. Independent of the interpreter.
#pragma once

#include "ir/expr.h"
#include "ir/op.h"
#include "ir/support/random.h"

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace temper::ir::testing {

using Values = std::unordered_map<const VarNode*, int64_t>;

/// Nothing where the value is an error (division by zero).
inline std::optional<int64_t> evaluate(const Expr& expr, const Values& values, int lane = 0) {
  const auto of = [&](const Expr& e) { return evaluate(e, values, lane); };
  const auto binary = [&](const auto& e, auto&& f) -> std::optional<int64_t> {
    const auto a = of(e.a);
    const auto b = of(e.b);
    if (!a || !b)
      return std::nullopt;
    return wrap_integer(expr->dtype.element(), f(*a, *b));
  };
  const auto division = [&](const auto& e, auto&& f) -> std::optional<int64_t> {
    const auto b = of(e.b);
    if (b && *b == 0)
      return std::nullopt;
    return binary(e, f);
  };
  return visit(
      expr, [&](const VarNode& e) -> std::optional<int64_t> { return values.at(&e); },
      [&](const IntImm& e) -> std::optional<int64_t> { return e.value; },
      [&](const Add& e) { return binary(e, [](int64_t a, int64_t b) { return a + b; }); },
      [&](const Sub& e) { return binary(e, [](int64_t a, int64_t b) { return a - b; }); },
      [&](const Mul& e) { return binary(e, [](int64_t a, int64_t b) { return a * b; }); },
      [&](const Div& e) { return division(e, [](int64_t a, int64_t b) { return a / b; }); },
      [&](const Mod& e) { return division(e, [](int64_t a, int64_t b) { return a % b; }); },
      [&](const FloorDiv& e) {
        return division(e, [](int64_t a, int64_t b) { return floor_div(a, b); });
      },
      [&](const FloorMod& e) {
        return division(e, [](int64_t a, int64_t b) { return floor_mod(a, b); });
      },
      [&](const Min& e) { return binary(e, [](int64_t a, int64_t b) { return std::min(a, b); }); },
      [&](const Max& e) { return binary(e, [](int64_t a, int64_t b) { return std::max(a, b); }); },
      [&](const EQ& e) { return binary(e, [](int64_t a, int64_t b) { return a == b; }); },
      [&](const NE& e) { return binary(e, [](int64_t a, int64_t b) { return a != b; }); },
      [&](const LT& e) { return binary(e, [](int64_t a, int64_t b) { return a < b; }); },
      [&](const LE& e) { return binary(e, [](int64_t a, int64_t b) { return a <= b; }); },
      [&](const GT& e) { return binary(e, [](int64_t a, int64_t b) { return a > b; }); },
      [&](const GE& e) { return binary(e, [](int64_t a, int64_t b) { return a >= b; }); },
      [&](const And& e) -> std::optional<int64_t> {
        const auto a = of(e.a);
        return a && *a != 0 ? of(e.b) : a;
      },
      [&](const Or& e) -> std::optional<int64_t> {
        const auto a = of(e.a);
        return a && *a == 0 ? of(e.b) : a;
      },
      [&](const Not& e) -> std::optional<int64_t> {
        const auto a = of(e.a);
        return a ? std::optional<int64_t>(*a == 0) : a;
      },
      [&](const Select& e) -> std::optional<int64_t> {
        const auto c = of(e.condition);
        const auto a = of(e.true_value);
        const auto b = of(e.false_value);
        if (!c || !a || !b)
          return std::nullopt;
        return *c != 0 ? a : b;
      },
      [&](const Call& e) -> std::optional<int64_t> {
        const auto c = of(e.args[0]); // if_then_else is the only one that is made here
        return !c ? c : of(e.args[*c != 0 ? 1 : 2]);
      },
      [&](const Cast& e) -> std::optional<int64_t> {
        const auto a = of(e.value);
        return a ? std::optional(wrap_integer(expr->dtype.element(), *a)) : a;
      },
      [&](const Broadcast& e) { return of(e.value); },
      [&](const Ramp& e) -> std::optional<int64_t> {
        const auto base = of(e.base);
        const auto stride = of(e.stride);
        return base && stride ? std::optional(*base + *stride * lane) : std::nullopt;
      },
      [](const ExprNode&) -> std::optional<int64_t> {
        TEMPER_UNREACHABLE("the test's evaluator does not know this node");
      });
}

/// Fully parenthesised, for failure messages.
inline std::string text_of(const Expr& expr) {
  const auto binary = [](const auto& e, const char* op) {
    return "(" + text_of(e.a) + " " + op + " " + text_of(e.b) + ")";
  };
  return visit(
      expr, [](const VarNode& e) { return e.name; },
      [](const IntImm& e) { return std::to_string(e.value); },
      [](const FloatImm& e) { return std::to_string(e.value); },
      [&](const Add& e) { return binary(e, "+"); }, [&](const Sub& e) { return binary(e, "-"); },
      [&](const Mul& e) { return binary(e, "*"); }, [&](const Div& e) { return binary(e, "/t"); },
      [&](const Mod& e) { return binary(e, "%t"); },
      [&](const FloorDiv& e) { return binary(e, "//"); },
      [&](const FloorMod& e) { return binary(e, "%"); },
      [&](const Min& e) { return binary(e, "min"); },
      [&](const Max& e) { return binary(e, "max"); }, [&](const EQ& e) { return binary(e, "=="); },
      [&](const NE& e) { return binary(e, "!="); }, [&](const LT& e) { return binary(e, "<"); },
      [&](const LE& e) { return binary(e, "<="); }, [&](const GT& e) { return binary(e, ">"); },
      [&](const GE& e) { return binary(e, ">="); }, [&](const And& e) { return binary(e, "and"); },
      [&](const Or& e) { return binary(e, "or"); },
      [](const Not& e) { return "not " + text_of(e.a); },
      [](const Select& e) {
        return "select(" + text_of(e.condition) + ", " + text_of(e.true_value) + ", " +
               text_of(e.false_value) + ")";
      },
      [](const Cast& e) { return to_string(e.dtype) + "(" + text_of(e.value) + ")"; },
      [](const Broadcast& e) {
        return "x" + std::to_string(e.lanes()) + "(" + text_of(e.value) + ")";
      },
      [](const Ramp& e) { return "ramp(" + text_of(e.base) + ", " + text_of(e.stride) + ")"; },
      [](const Call& e) {
        std::string text = e.op + "(";
        for (const Expr& arg : e.args)
          text += text_of(arg) + ", ";
        return text + ")";
      },
      [](const ExprNode& e) { return std::string(e.info().name); });
}

/// Random integer expressions over the given variables.
class Generator {
public:
  Generator(Random& random, std::vector<Var> vars) : random_(random), vars_(std::move(vars)) {}

  Expr integer(int depth) {
    const DataType dtype = vars_[0]->dtype;
    if (depth == 0 || random_.below(8) == 0)
      return random_.below(3) == 0
                 ? make_int(dtype, random_.between(-9, 40))
                 : Expr(vars_[static_cast<size_t>(random_.below(std::ssize(vars_)))]);
    const auto positive = [&] {
      static constexpr int64_t kDivisors[] = {1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 64};
      return make_int(dtype, kDivisors[random_.below(12)]);
    };
    switch (random_.below(18)) {
    case 0:
    case 1:
    case 2:
    case 3:
      return make_binary<Add>(integer(depth - 1), integer(depth - 1));
    case 4:
    case 5:
      return make_binary<Sub>(integer(depth - 1), integer(depth - 1));
    case 6:
    case 7:
    case 8:
      return make_binary<Mul>(integer(depth - 1), random_.below(6) == 0
                                                      ? make_int(dtype, -random_.below(5))
                                                      : positive());
    case 9:
    case 10:
    case 11:
      return make_binary<FloorDiv>(integer(depth - 1), positive());
    case 12:
    case 13:
    case 14:
      return make_binary<FloorMod>(integer(depth - 1), positive());
    case 15:
      return random_.below(2) == 0 ? make_binary<Div>(integer(depth - 1), positive())
                                   : make_binary<Mod>(integer(depth - 1), positive());
    case 16:
      return random_.below(2) == 0 ? make_binary<Min>(integer(depth - 1), integer(depth - 1))
                                   : make_binary<Max>(integer(depth - 1), integer(depth - 1));
    default:
      return random_.below(2) == 0
                 ? make_select(boolean(depth - 1), integer(depth - 1), integer(depth - 1))
                 : if_then_else(boolean(depth - 1), integer(depth - 1), integer(depth - 1));
    }
  }

  Expr boolean(int depth) {
    if (depth > 0) {
      switch (random_.below(6)) {
      case 0:
        return make_binary<And>(boolean(depth - 1), boolean(depth - 1));
      case 1:
        return make_binary<Or>(boolean(depth - 1), boolean(depth - 1));
      case 2:
        return make_not(boolean(depth - 1));
      default:
        break;
      }
    }
    const Expr a = integer(std::max(depth - 1, 0));
    const Expr b = integer(std::max(depth - 1, 0));
    switch (random_.below(6)) {
    case 0:
      return make_binary<EQ>(a, b);
    case 1:
      return make_binary<NE>(a, b);
    case 2:
      return make_binary<LT>(a, b);
    case 3:
      return make_binary<LE>(a, b);
    case 4:
      return make_binary<GT>(a, b);
    default:
      return make_binary<GE>(a, b);
    }
  }

private:
  Random& random_;
  std::vector<Var> vars_;
};

} // namespace temper::ir::testing
