// Expressions of the interpreter. Each node becomes one small object whose operation is a template
// parameter, so that evaluating is a virtual call and the operation itself. A vector is evaluated
// lane by lane into scratch slots.
#include "ir/detail/interpreter.h"
#include "ir/op.h"
#include "ir/support/half.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace temper::ir::interpreter {
namespace {

// What one operation does to one lane. Functors get the frame (for errors) and slots.

template <typename F> class Unary final : public Code {
public:
  Unary(int count, F function, CodePtr a)
      : Code(count), f_(std::move(function)), a_(std::move(a)) {}
  Slot scalar(Frame& frame) override { return f_(frame, a_->scalar(frame)); }
  void lanes(Frame& frame, Slot* out) override {
    a_->eval(frame, out);
    for (int l = 0; l < count(); ++l)
      out[l] = f_(frame, out[l]);
  }

private:
  F f_;
  CodePtr a_;
};

template <typename F> class Binary final : public Code {
public:
  Binary(int count, F function, CodePtr a, CodePtr b)
      : Code(count), f_(std::move(function)), a_(std::move(a)), b_(std::move(b)) {}
  Slot scalar(Frame& frame) override {
    const Slot a = a_->scalar(frame);
    return f_(frame, a, b_->scalar(frame));
  }
  void lanes(Frame& frame, Slot* out) override {
    Scratch right(frame, count());
    a_->eval(frame, out);
    b_->eval(frame, right.get());
    for (int l = 0; l < count(); ++l)
      out[l] = f_(frame, out[l], right[l]);
  }

private:
  F f_;
  CodePtr a_;
  CodePtr b_;
};

template <typename F> CodePtr make_unary(int count, F function, CodePtr a) {
  return std::make_unique<Unary<F>>(count, std::move(function), std::move(a));
}
template <typename F> CodePtr make_binary_code(int count, F function, CodePtr a, CodePtr b) {
  return std::make_unique<Binary<F>>(count, std::move(function), std::move(a), std::move(b));
}

/// Brings the low bits of a result back to the width of an integer type.
class Wrap {
public:
  explicit Wrap(DataType dtype)
      : shift_(dtype.is_bool() ? 63 : 64 - dtype.bits),
        is_unsigned_(dtype.is_uint() || dtype.is_bool()) {}
  int64_t operator()(uint64_t value) const {
    const uint64_t high = value << shift_;
    return is_unsigned_ ? static_cast<int64_t>(high >> shift_)
                        : static_cast<int64_t>(high) >> shift_;
  }

private:
  int shift_;
  bool is_unsigned_;
};

double round_to(DataType dtype, double value) {
  if (dtype.bits == 64)
    return value;
  if (dtype.bits == 32)
    return static_cast<float>(value);
  const auto single = static_cast<float>(value);
  return dtype.code == TypeCode::kBFloat ? bfloat16_to_float(float_to_bfloat16(single))
                                         : float16_to_float(float_to_float16(single));
}

/// A float operation in double, rounded once: exact for one +, -, *, / of narrower operands.
template <typename F> CodePtr rounded_binary(DataType dtype, CodePtr a, CodePtr b, F f) {
  const int count = dtype.lanes;
  if (dtype.bits == 64)
    return make_binary_code(
        count, [f](Frame&, Slot x, Slot y) { return slot_of(f(x.d, y.d)); }, std::move(a),
        std::move(b));
  if (dtype.bits == 32)
    return make_binary_code(
        count,
        [f](Frame&, Slot x, Slot y) {
          return slot_of(static_cast<double>(static_cast<float>(f(x.d, y.d))));
        },
        std::move(a), std::move(b));
  return make_binary_code(
      count, [f, dtype](Frame&, Slot x, Slot y) { return slot_of(round_to(dtype, f(x.d, y.d))); },
      std::move(a), std::move(b));
}

template <typename F> CodePtr rounded_unary(DataType dtype, CodePtr a, F f) {
  return make_unary(
      dtype.lanes, [f, dtype](Frame&, Slot x) { return slot_of(round_to(dtype, f(x.d))); },
      std::move(a));
}

template <typename F> CodePtr wrapped_binary(DataType dtype, CodePtr a, CodePtr b, F f) {
  return make_binary_code(
      dtype.lanes,
      [f, wrap = Wrap(dtype)](Frame&, Slot x, Slot y) {
        return slot_of(wrap(f(static_cast<uint64_t>(x.i), static_cast<uint64_t>(y.i))));
      },
      std::move(a), std::move(b));
}

bool is_wide_unsigned(DataType dtype) { return dtype.is_uint() && dtype.bits == 64; }

/// Division and remainder of integers; `kind` 0..3: Div, Mod, FloorDiv, FloorMod.
CodePtr division(int kind, DataType dtype, CodePtr a, CodePtr b, const Node* node) {
  const Wrap wrap(dtype);
  const bool wide_unsigned = is_wide_unsigned(dtype);
  return make_binary_code(
      dtype.lanes,
      [=](Frame& frame, Slot x, Slot y) {
        if (y.i == 0) {
          frame.fail(node, kind % 2 == 0 ? "division by zero" : "remainder of a division by zero");
          return slot_of(int64_t{0});
        }
        if (wide_unsigned) {
          const auto u = static_cast<uint64_t>(x.i);
          const auto v = static_cast<uint64_t>(y.i);
          return slot_of(static_cast<int64_t>(kind % 2 == 0 ? u / v : u % v));
        }
        if (y.i == -1) // The least integer has no positive counterpart: it wraps.
          return slot_of(kind % 2 == 0 ? wrap(0 - static_cast<uint64_t>(x.i)) : int64_t{0});
        switch (kind) {
        case 0:
          return slot_of(x.i / y.i);
        case 1:
          return slot_of(x.i % y.i);
        case 2:
          return slot_of(floor_div(x.i, y.i));
        default:
          return slot_of(floor_mod(x.i, y.i));
        }
      },
      std::move(a), std::move(b));
}

template <typename F> CodePtr comparison(DataType operand, CodePtr a, CodePtr b, F f) {
  const int count = operand.lanes;
  if (operand.is_floating())
    return make_binary_code(
        count, [f](Frame&, Slot x, Slot y) { return slot_of(int64_t{f(x.d, y.d)}); }, std::move(a),
        std::move(b));
  if (is_wide_unsigned(operand))
    return make_binary_code(
        count,
        [f](Frame&, Slot x, Slot y) {
          return slot_of(int64_t{f(static_cast<uint64_t>(x.i), static_cast<uint64_t>(y.i))});
        },
        std::move(a), std::move(b));
  return make_binary_code(
      count, [f](Frame&, Slot x, Slot y) { return slot_of(int64_t{f(x.i, y.i)}); }, std::move(a),
      std::move(b));
}

template <typename F> CodePtr extremum(DataType dtype, CodePtr a, CodePtr b, F takes_first) {
  const int count = dtype.lanes;
  if (dtype.is_floating())
    return make_binary_code(
        count, [=](Frame&, Slot x, Slot y) { return takes_first(x.d, y.d) ? x : y; }, std::move(a),
        std::move(b));
  if (is_wide_unsigned(dtype))
    return make_binary_code(
        count,
        [=](Frame&, Slot x, Slot y) {
          return takes_first(static_cast<uint64_t>(x.i), static_cast<uint64_t>(y.i)) ? x : y;
        },
        std::move(a), std::move(b));
  return make_binary_code(
      count, [=](Frame&, Slot x, Slot y) { return takes_first(x.i, y.i) ? x : y; }, std::move(a),
      std::move(b));
}

class Constant final : public Code {
public:
  Constant(int count, Slot value) : Code(count), value_(value) {}
  Slot scalar(Frame&) override { return value_; }
  void lanes(Frame&, Slot* out) override { std::fill_n(out, count(), value_); }

private:
  Slot value_;
};

class Variable final : public Code {
public:
  Variable(int count, int slot) : Code(count), slot_(static_cast<size_t>(slot)) {}
  Slot scalar(Frame& frame) override { return frame.vars[slot_]; }
  void lanes(Frame& frame, Slot* out) override { std::copy_n(&frame.vars[slot_], count(), out); }

private:
  size_t slot_;
};

class BroadcastCode final : public Code {
public:
  BroadcastCode(int count, CodePtr value) : Code(count), value_(std::move(value)) {}
  Slot scalar(Frame& frame) override { return value_->scalar(frame); }
  void lanes(Frame& frame, Slot* out) override {
    const int group = value_->count();
    value_->eval(frame, out);
    for (int l = group; l < count(); ++l)
      out[l] = out[l - group];
  }

private:
  CodePtr value_;
};

class RampCode final : public Code {
public:
  RampCode(int count, Wrap wrap, CodePtr base, CodePtr stride)
      : Code(count), wrap_(wrap), base_(std::move(base)), stride_(std::move(stride)) {}
  Slot scalar(Frame& frame) override { return base_->scalar(frame); }
  void lanes(Frame& frame, Slot* out) override {
    auto value = static_cast<uint64_t>(base_->scalar(frame).i);
    const auto stride = static_cast<uint64_t>(stride_->scalar(frame).i);
    for (int l = 0; l < count(); ++l, value += stride)
      out[l] = slot_of(wrap_(value));
  }

private:
  Wrap wrap_;
  CodePtr base_;
  CodePtr stride_;
};

class ShuffleCode final : public Code {
public:
  ShuffleCode(std::vector<CodePtr> vectors, std::vector<int> picks)
      : Code(static_cast<int>(picks.size())), vectors_(std::move(vectors)),
        picks_(std::move(picks)) {
    for (const CodePtr& vector : vectors_)
      total_ += vector->count();
  }
  Slot scalar(Frame& frame) override {
    Slot value;
    lanes(frame, &value);
    return value;
  }
  void lanes(Frame& frame, Slot* out) override {
    Scratch all(frame, total_);
    int filled = 0;
    for (const CodePtr& vector : vectors_) {
      vector->eval(frame, all.get() + filled);
      filled += vector->count();
    }
    for (int l = 0; l < count(); ++l)
      out[l] = all[picks_[static_cast<size_t>(l)]];
  }

private:
  std::vector<CodePtr> vectors_;
  std::vector<int> picks_;
  int total_ = 0;
};

/// table_lookup: sixteen entries, an index per lane.
class LookupCode final : public Code {
public:
  LookupCode(int count, CodePtr table, CodePtr index)
      : Code(count), table_(std::move(table)), index_(std::move(index)) {}
  Slot scalar(Frame& frame) override {
    Slot value;
    lanes(frame, &value);
    return value;
  }
  void lanes(Frame& frame, Slot* out) override {
    Scratch table(frame, table_->count());
    Scratch index(frame, count());
    table_->eval(frame, table.get());
    index_->eval(frame, index.get());
    for (int l = 0; l < count(); ++l)
      out[l] = table[static_cast<int>(index[l].i & 15)];
  }

private:
  CodePtr table_;
  CodePtr index_;
};

/// And, Or. A scalar right side is evaluated only when it matters.
class Logical final : public Code {
public:
  Logical(int count, bool is_and, CodePtr a, CodePtr b)
      : Code(count), is_and_(is_and), a_(std::move(a)), b_(std::move(b)) {}
  Slot scalar(Frame& frame) override {
    const Slot a = a_->scalar(frame);
    return (a.i != 0) == is_and_ ? b_->scalar(frame) : a;
  }
  void lanes(Frame& frame, Slot* out) override {
    Scratch right(frame, count());
    a_->eval(frame, out);
    b_->eval(frame, right.get());
    for (int l = 0; l < count(); ++l)
      out[l].i = is_and_ ? out[l].i & right[l].i : out[l].i | right[l].i;
  }

private:
  bool is_and_;
  CodePtr a_;
  CodePtr b_;
};

/// Select evaluates both sides, if_then_else (lazy) one; a vector condition needs both.
class Choice final : public Code {
public:
  Choice(int count, bool lazy, CodePtr condition, CodePtr a, CodePtr b)
      : Code(count), lazy_(lazy), condition_(std::move(condition)), a_(std::move(a)),
        b_(std::move(b)) {}
  Slot scalar(Frame& frame) override {
    const bool first = condition_->scalar(frame).i != 0;
    if (lazy_)
      return (first ? a_ : b_)->scalar(frame);
    const Slot a = a_->scalar(frame);
    const Slot b = b_->scalar(frame);
    return first ? a : b;
  }
  void lanes(Frame& frame, Slot* out) override {
    if (lazy_ && condition_->count() == 1) {
      (condition_->scalar(frame).i != 0 ? a_ : b_)->eval(frame, out);
      return;
    }
    Scratch condition(frame, condition_->count());
    Scratch right(frame, count());
    condition_->eval(frame, condition.get());
    a_->eval(frame, out);
    b_->eval(frame, right.get());
    for (int l = 0; l < count(); ++l)
      if (condition[condition_->count() == 1 ? 0 : l].i == 0)
        out[l] = right[l];
  }

private:
  bool lazy_;
  CodePtr condition_;
  CodePtr a_;
  CodePtr b_;
};

class LetCode final : public Code {
public:
  LetCode(int count, int slot, CodePtr value, CodePtr body)
      : Code(count), slot_(static_cast<size_t>(slot)), value_(std::move(value)),
        body_(std::move(body)) {}
  Slot scalar(Frame& frame) override {
    value_->eval(frame, &frame.vars[slot_]);
    return body_->scalar(frame);
  }
  void lanes(Frame& frame, Slot* out) override {
    value_->eval(frame, &frame.vars[slot_]);
    body_->eval(frame, out);
  }

private:
  size_t slot_;
  CodePtr value_;
  CodePtr body_;
};

/// Runs for its effects or errors, then is a constant: prefetch.
class Hint final : public Code {
public:
  Hint() : Code(1) {}
  Slot scalar(Frame&) override { return slot_of(int64_t{0}); }
  void lanes(Frame&, Slot*) override {}
};

CodePtr cast_code(DataType from, DataType to, CodePtr value, const Node* node) {
  const int count = to.lanes;
  const DataType to_element = to.element();
  if (from.is_floating()) {
    if (to.is_floating())
      return make_unary(
          count, [to_element](Frame&, Slot x) { return slot_of(round_to(to_element, x.d)); },
          std::move(value));
    if (to.is_bool())
      return make_unary(
          count, [](Frame&, Slot x) { return slot_of(int64_t{x.d != 0}); }, std::move(value));
    const double low = to.is_uint() ? 0 : -std::ldexp(1.0, to.bits - 1);
    const double high = std::ldexp(1.0, to.is_uint() ? to.bits : to.bits - 1);
    const bool wide_unsigned = is_wide_unsigned(to);
    return make_unary(
        count,
        [=](Frame& frame, Slot x) {
          const double whole = std::trunc(x.d);
          if (!(whole >= low && whole < high)) {
            frame.fail(node, "cast of " + std::to_string(x.d) + " to " + to_string(to_element) +
                                 ", which cannot hold it");
            return slot_of(int64_t{0});
          }
          return slot_of(wide_unsigned ? static_cast<int64_t>(static_cast<uint64_t>(whole))
                                       : static_cast<int64_t>(whole));
        },
        std::move(value));
  }
  if (to.is_floating()) {
    const bool wide_unsigned = is_wide_unsigned(from);
    return make_unary(
        count,
        [=](Frame&, Slot x) {
          // Straight to float32: by way of float64 a 64-bit integer would be rounded twice.
          if (to_element.bits == 32)
            return slot_of(static_cast<double>(wide_unsigned
                                                   ? static_cast<float>(static_cast<uint64_t>(x.i))
                                                   : static_cast<float>(x.i)));
          return slot_of(round_to(to_element, wide_unsigned
                                                  ? static_cast<double>(static_cast<uint64_t>(x.i))
                                                  : static_cast<double>(x.i)));
        },
        std::move(value));
  }
  if (to.is_bool())
    return make_unary(
        count, [](Frame&, Slot x) { return slot_of(int64_t{x.i != 0}); }, std::move(value));
  return make_unary(
      count,
      [wrap = Wrap(to)](Frame&, Slot x) { return slot_of(wrap(static_cast<uint64_t>(x.i))); },
      std::move(value));
}

} // namespace

uint64_t bits_of(DataType dtype, Slot value) {
  if (!dtype.is_floating())
    return static_cast<uint64_t>(value.i);
  if (dtype.bits == 64)
    return std::bit_cast<uint64_t>(value.d);
  const auto single = static_cast<float>(value.d);
  if (dtype.bits == 32)
    return std::bit_cast<uint32_t>(single);
  return dtype.code == TypeCode::kBFloat ? float_to_bfloat16(single) : float_to_float16(single);
}

Slot from_bits(DataType dtype, uint64_t bits) {
  if (!dtype.is_floating())
    return slot_of(Wrap(dtype)(bits));
  if (dtype.bits == 64)
    return slot_of(std::bit_cast<double>(bits));
  if (dtype.bits == 32)
    return slot_of(static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(bits))));
  const auto half = static_cast<uint16_t>(bits);
  return slot_of(static_cast<double>(dtype.code == TypeCode::kBFloat ? bfloat16_to_float(half)
                                                                     : float16_to_float(half)));
}

namespace {

using Math1 = double (*)(double);
using Math2 = double (*)(double, double);

Math1 find_math(std::string_view name) {
  static const std::unordered_map<std::string_view, Math1> table = {
      {"exp", std::exp},
      {"exp2", std::exp2},
      {"log", std::log},
      {"log2", std::log2},
      {"log10", std::log10},
      {"log1p", std::log1p},
      {"sqrt", std::sqrt},
      {"tanh", std::tanh},
      {"erf", std::erf},
      {"sin", std::sin},
      {"cos", std::cos},
      {"tan", std::tan},
      {"asin", std::asin},
      {"acos", std::acos},
      {"atan", std::atan},
      {"sinh", std::sinh},
      {"cosh", std::cosh},
      {"floor", std::floor},
      {"ceil", std::ceil},
      {"round", std::round},
      {"trunc", std::trunc},
      {"nearbyint", std::nearbyint},
      {"exp10", +[](double x) { return std::pow(10.0, x); }},
      {"rsqrt", +[](double x) { return 1 / std::sqrt(x); }},
      {"sigmoid", +[](double x) { return 1 / (1 + std::exp(-x)); }},
  };
  const auto found = table.find(name);
  return found == table.end() ? nullptr : found->second;
}

/// Horizontal reductions: halves are combined lane by lane until one is left, as in compiled code;
/// what is odd comes last. Sums of floats round after each step, and beside NaN the order is seen.
template <typename F> class ReduceLanes final : public Code {
public:
  ReduceLanes(F function, CodePtr value)
      : Code(1), f_(std::move(function)), value_(std::move(value)) {}
  Slot scalar(Frame& frame) override {
    Scratch lanes(frame, value_->count());
    value_->eval(frame, lanes.get());
    std::optional<Slot> odd;
    int count = value_->count();
    while (count > 1) {
      if (count % 2 != 0) {
        --count;
        odd = odd ? f_(*odd, lanes[count]) : lanes[count];
      }
      count /= 2;
      for (int l = 0; l < count; ++l)
        lanes[l] = f_(lanes[l], lanes[l + count]);
    }
    return odd ? f_(lanes[0], *odd) : lanes[0];
  }
  void lanes(Frame&, Slot*) override {}

private:
  F f_;
  CodePtr value_;
};

template <typename F> CodePtr make_reduction(F function, CodePtr value) {
  return std::make_unique<ReduceLanes<F>>(std::move(function), std::move(value));
}

class Ternary final : public Code {
public:
  Ternary(DataType dtype, CodePtr a, CodePtr b, CodePtr c)
      : Code(dtype.lanes), dtype_(dtype.element()), a_(std::move(a)), b_(std::move(b)),
        c_(std::move(c)) {}
  Slot scalar(Frame& frame) override {
    const Slot a = a_->scalar(frame);
    const Slot b = b_->scalar(frame);
    return fused(a, b, c_->scalar(frame));
  }
  void lanes(Frame& frame, Slot* out) override {
    Scratch b(frame, count());
    Scratch c(frame, count());
    a_->eval(frame, out);
    b_->eval(frame, b.get());
    c_->eval(frame, c.get());
    for (int l = 0; l < count(); ++l)
      out[l] = fused(out[l], b[l], c[l]);
  }

private:
  Slot fused(Slot a, Slot b, Slot c) const {
    if (dtype_.bits == 64)
      return slot_of(std::fma(a.d, b.d, c.d));
    return slot_of(round_to(dtype_, std::fma(static_cast<float>(a.d), static_cast<float>(b.d),
                                             static_cast<float>(c.d))));
  }

  DataType dtype_;
  CodePtr a_;
  CodePtr b_;
  CodePtr c_;
};

CodePtr call_code(Compiler& compiler, const Call& call) {
  const DataType dtype = call.dtype;
  const int count = dtype.lanes;
  const std::string& op = call.op;
  if (op == "prefetch")
    return std::make_unique<Hint>();
  if (op == "call_llvm_pure_intrin")
    return compile_llvm_call(compiler, call);
  if (find_op(op) == nullptr) {
    compiler.fail(&call, "the interpreter does not know T." + op);
    return std::make_unique<Hint>();
  }
  std::vector<CodePtr> args = compiler.compile(call.args);
  const auto arg_type = [&](size_t i) { return call.args[i]->dtype; };
  if (op == "if_then_else")
    return std::make_unique<Choice>(count, true, std::move(args[0]), std::move(args[1]),
                                    std::move(args[2]));
  if (op == "likely")
    return std::move(args[0]);
  if (const Math1 f = find_math(op); f != nullptr && dtype.is_floating())
    return rounded_unary(dtype, std::move(args[0]), f);
  if (op == "abs") {
    if (dtype.is_floating())
      return rounded_unary(dtype, std::move(args[0]), [](double x) { return std::fabs(x); });
    return make_unary(
        count,
        [wrap = Wrap(dtype), is_signed = dtype.is_int()](Frame&, Slot x) {
          return slot_of(is_signed && x.i < 0 ? wrap(0 - static_cast<uint64_t>(x.i)) : x.i);
        },
        std::move(args[0]));
  }
  if (op == "pow")
    return rounded_binary(dtype, std::move(args[0]), std::move(args[1]),
                          [](double a, double b) { return std::pow(a, b); });
  if (op == "atan2")
    return rounded_binary(dtype, std::move(args[0]), std::move(args[1]),
                          [](double a, double b) { return std::atan2(a, b); });
  if (op == "copysign")
    return rounded_binary(dtype, std::move(args[0]), std::move(args[1]),
                          [](double a, double b) { return std::copysign(a, b); });
  if (op == "fma")
    return std::make_unique<Ternary>(dtype, std::move(args[0]), std::move(args[1]),
                                     std::move(args[2]));
  const auto test = [&](auto f) {
    return make_unary(
        count, [f](Frame&, Slot x) { return slot_of(int64_t{f(x.d)}); }, std::move(args[0]));
  };
  if (op == "isnan")
    return test([](double x) { return std::isnan(x); });
  if (op == "isinf")
    return test([](double x) { return std::isinf(x); });
  if (op == "isfinite")
    return test([](double x) { return std::isfinite(x); });
  const auto bitwise = [&](auto f) {
    return wrapped_binary(dtype, std::move(args[0]), std::move(args[1]), f);
  };
  if (op == "bitwise_and")
    return bitwise([](uint64_t a, uint64_t b) { return a & b; });
  if (op == "bitwise_or")
    return bitwise([](uint64_t a, uint64_t b) { return a | b; });
  if (op == "bitwise_xor")
    return bitwise([](uint64_t a, uint64_t b) { return a ^ b; });
  if (op == "bitwise_not")
    return make_unary(
        count,
        [wrap = Wrap(dtype)](Frame&, Slot x) { return slot_of(wrap(~static_cast<uint64_t>(x.i))); },
        std::move(args[0]));
  if (op == "shift_left" || op == "shift_right") {
    const bool left = op == "shift_left";
    const uint64_t mask = dtype.bits == 64 ? ~uint64_t{0} : (uint64_t{1} << dtype.bits) - 1;
    return make_binary_code(
        count,
        [=, wrap = Wrap(dtype), node = &call](Frame& frame, Slot x, Slot y) {
          if (y.i < 0 || y.i >= dtype.bits) {
            frame.fail(node, "shift of a " + std::to_string(dtype.bits) + "-bit integer by " +
                                 std::to_string(y.i));
            return slot_of(int64_t{0});
          }
          if (left)
            return slot_of(wrap(static_cast<uint64_t>(x.i) << y.i));
          return slot_of(dtype.is_uint()
                             ? static_cast<int64_t>((static_cast<uint64_t>(x.i) & mask) >> y.i)
                             : x.i >> y.i);
        },
        std::move(args[0]), std::move(args[1]));
  }
  if (op == "popcount" || op == "clz") {
    const bool counts_ones = op == "popcount";
    const int bits = arg_type(0).bits;
    const uint64_t mask = bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
    return make_unary(
        count,
        [=](Frame&, Slot x) {
          const uint64_t value = static_cast<uint64_t>(x.i) & mask;
          return slot_of(
              int64_t{counts_ones ? std::popcount(value) : std::countl_zero(value) - (64 - bits)});
        },
        std::move(args[0]));
  }
  if (op == "reinterpret") {
    const DataType from = arg_type(0).element();
    const DataType to = dtype.element();
    if (arg_type(0).bytes() != dtype.bytes()) {
      compiler.fail(&call, "reinterpret between types of different sizes");
      return std::make_unique<Hint>();
    }
    if (arg_type(0).lanes != dtype.lanes)
      return reinterpret_lanes(arg_type(0), dtype, std::move(args[0]));
    return make_unary(
        count, [=](Frame&, Slot x) { return from_bits(to, bits_of(from, x)); }, std::move(args[0]));
  }
  if (op == "table_lookup") {
    const DataType table = arg_type(0);
    const DataType index = arg_type(1);
    if (table.lanes != 16 || table.bits != 8 || index.bits != 8 || index.lanes != dtype.lanes ||
        table.element() != dtype.element()) {
      compiler.fail(&call, "T.table_lookup takes 16 bytes and as many indices as it gives lanes");
      return std::make_unique<Hint>();
    }
    return std::make_unique<LookupCode>(count, std::move(args[0]), std::move(args[1]));
  }
  if (op == "vector_reduce_add") {
    if (dtype.is_floating())
      return make_reduction([dtype](Slot a, Slot b) { return slot_of(round_to(dtype, a.d + b.d)); },
                            std::move(args[0]));
    return make_reduction(
        [wrap = Wrap(dtype)](Slot a, Slot b) {
          return slot_of(wrap(static_cast<uint64_t>(a.i) + static_cast<uint64_t>(b.i)));
        },
        std::move(args[0]));
  }
  if (op == "vector_reduce_max" || op == "vector_reduce_min") {
    const bool is_max = op == "vector_reduce_max";
    if (dtype.is_floating())
      return make_reduction(
          [is_max](Slot a, Slot b) { return (is_max ? a.d > b.d : a.d < b.d) ? a : b; },
          std::move(args[0]));
    const bool wide_unsigned = is_wide_unsigned(dtype);
    return make_reduction(
        [=](Slot a, Slot b) {
          const bool less =
              wide_unsigned ? static_cast<uint64_t>(a.i) < static_cast<uint64_t>(b.i) : a.i < b.i;
          return less != is_max ? a : b;
        },
        std::move(args[0]));
  }
  compiler.fail(&call, "the interpreter cannot run T." + op);
  return std::make_unique<Hint>();
}

} // namespace

std::vector<CodePtr> Compiler::compile(std::span<const Expr> exprs) {
  std::vector<CodePtr> codes;
  codes.reserve(exprs.size());
  for (const Expr& expr : exprs)
    codes.push_back(compile(expr));
  return codes;
}

CodePtr compile_load(Compiler& compiler, const BufferLoad& load); // interpret_memory.cpp

CodePtr Compiler::compile(const Expr& expr) {
  const DataType dtype = expr->dtype;
  const int count = dtype.lanes;
  const auto arithmetic = [&](const auto& e, auto f) {
    CodePtr a = compile(e.a);
    CodePtr b = compile(e.b);
    return dtype.is_floating() ? rounded_binary(dtype, std::move(a), std::move(b), f)
                               : wrapped_binary(dtype, std::move(a), std::move(b), f);
  };
  const auto divide = [&](const auto& e, int kind) -> CodePtr {
    CodePtr a = compile(e.a);
    CodePtr b = compile(e.b);
    if (!dtype.is_floating())
      return division(kind, dtype, std::move(a), std::move(b), &e);
    if (kind == 0)
      return rounded_binary(dtype, std::move(a), std::move(b),
                            [](double x, double y) { return x / y; });
    if (kind == 1)
      return rounded_binary(dtype, std::move(a), std::move(b),
                            [](double x, double y) { return std::fmod(x, y); });
    fail(&e, "floor division of floating-point numbers");
    return a;
  };
  const auto compare = [&](const auto& e, auto f) {
    CodePtr a = compile(e.a);
    CodePtr b = compile(e.b);
    return comparison(e.a->dtype, std::move(a), std::move(b), f);
  };
  const auto choose = [&](const auto& e, auto f) {
    CodePtr a = compile(e.a);
    CodePtr b = compile(e.b);
    return extremum(dtype, std::move(a), std::move(b), f);
  };
  return visit(
      expr,
      [&](const VarNode& e) -> CodePtr {
        const int slot = slot_of(&e, &e);
        return slot < 0
                   ? CodePtr(std::make_unique<Constant>(count, interpreter::slot_of(int64_t{0})))
                   : std::make_unique<Variable>(count, slot);
      },
      [&](const IntImm& e) -> CodePtr {
        return std::make_unique<Constant>(1, interpreter::slot_of(e.value));
      },
      [&](const FloatImm& e) -> CodePtr {
        return std::make_unique<Constant>(1, interpreter::slot_of(round_to(dtype, e.value)));
      },
      [&](const StringImm& e) -> CodePtr {
        fail(&e, "text has no value here");
        return std::make_unique<Hint>();
      },
      [&](const ListImm& e) -> CodePtr {
        fail(&e, "a list has no value here");
        return std::make_unique<Hint>();
      },
      [&](const Cast& e) -> CodePtr {
        return cast_code(e.value->dtype, dtype, compile(e.value), &e);
      },
      [&](const Add& e) { return arithmetic(e, [](auto a, auto b) { return a + b; }); },
      [&](const Sub& e) { return arithmetic(e, [](auto a, auto b) { return a - b; }); },
      [&](const Mul& e) { return arithmetic(e, [](auto a, auto b) { return a * b; }); },
      [&](const Div& e) { return divide(e, 0); }, [&](const Mod& e) { return divide(e, 1); },
      [&](const FloorDiv& e) { return divide(e, 2); },
      [&](const FloorMod& e) { return divide(e, 3); },
      [&](const Min& e) { return choose(e, [](auto a, auto b) { return a < b; }); },
      [&](const Max& e) { return choose(e, [](auto a, auto b) { return a > b; }); },
      [&](const EQ& e) { return compare(e, [](auto a, auto b) { return a == b; }); },
      [&](const NE& e) { return compare(e, [](auto a, auto b) { return a != b; }); },
      [&](const LT& e) { return compare(e, [](auto a, auto b) { return a < b; }); },
      [&](const LE& e) { return compare(e, [](auto a, auto b) { return a <= b; }); },
      [&](const GT& e) { return compare(e, [](auto a, auto b) { return a > b; }); },
      [&](const GE& e) { return compare(e, [](auto a, auto b) { return a >= b; }); },
      [&](const And& e) -> CodePtr {
        return std::make_unique<Logical>(count, true, compile(e.a), compile(e.b));
      },
      [&](const Or& e) -> CodePtr {
        return std::make_unique<Logical>(count, false, compile(e.a), compile(e.b));
      },
      [&](const Not& e) {
        return make_unary(
            count, [](Frame&, Slot x) { return interpreter::slot_of(int64_t{x.i == 0}); },
            compile(e.a));
      },
      [&](const Select& e) -> CodePtr {
        return std::make_unique<Choice>(count, false, compile(e.condition), compile(e.true_value),
                                        compile(e.false_value));
      },
      [&](const BufferLoad& e) {
        return load_compiler != nullptr ? load_compiler->compile_load(*this, e)
                                        : compile_load(*this, e);
      },
      [&](const Ramp& e) -> CodePtr {
        return std::make_unique<RampCode>(count, Wrap(dtype), compile(e.base), compile(e.stride));
      },
      [&](const Broadcast& e) -> CodePtr {
        return std::make_unique<BroadcastCode>(count, compile(e.value));
      },
      [&](const Shuffle& e) -> CodePtr {
        std::vector<int> picks;
        int total = 0;
        for (const Expr& vector : e.vectors)
          total += vector->dtype.lanes;
        for (const Expr& index : e.indices) {
          const auto pick = as_int(index);
          if (!pick || *pick < 0 || *pick >= total)
            fail(&e, "a shuffle picks a lane that is not there");
          picks.push_back(pick && *pick >= 0 && *pick < total ? static_cast<int>(*pick) : 0);
        }
        return std::make_unique<ShuffleCode>(compile(e.vectors), std::move(picks));
      },
      [&](const Let& e) -> CodePtr {
        CodePtr value = compile(e.value);
        const int slot = define(e.var);
        return std::make_unique<LetCode>(count, slot, std::move(value), compile(e.body));
      },
      [&](const Call& e) { return call_code(*this, e); });
}

} // namespace temper::ir::interpreter
