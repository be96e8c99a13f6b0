/// Expressions, shared by every layer. What they mean (overflow, division, order of evaluation) is
/// stated at the head of ir/tir/stmt.h.
///
///   C[i, j] + A[i, k] * B[k, j]      Add(BufferLoad, Mul(BufferLoad, BufferLoad))
///
/// make_* functions check types and build exactly the node asked for (the parser uses them); the
/// operators at the end also fold constants and are what passes use.
#pragma once

#include "ir/node.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace temper::ir {

enum class ExprKind : Kind {
#define TEMPER_EXPR(name) k##name,
#include "ir/node_kinds.def"
#undef TEMPER_EXPR
  kEnd
};

class ExprNode : public Node {
public:
  DataType dtype;

  static constexpr auto base_fields() { return std::tuple{data("dtype", &ExprNode::dtype)}; }
  static constexpr bool accepts(Kind kind) { return kind < static_cast<Kind>(ExprKind::kEnd); }
  static constexpr const char* kind_name(Kind kind) {
    constexpr const char* kNames[] = {
#define TEMPER_EXPR(name) #name,
#include "ir/node_kinds.def"
#undef TEMPER_EXPR
    };
    return kNames[kind];
  }

protected:
  using Node::Node;
};

using Expr = Ref<ExprNode>;

/// Base of the expression node `T` of kind `K`.
template <typename T, ExprKind K> using ExprNodeOf = NodeOf<T, static_cast<Kind>(K), ExprNode>;

/// A variable is its node; `name` is a hint that the printer makes unique.
struct VarNode : ExprNodeOf<VarNode, ExprKind::kVarNode> {
  std::string name;
  static constexpr auto fields() { return std::tuple{ignored("name", &VarNode::name)}; }
};
using Var = Ref<VarNode>;

/// Integers of every width, and bool (0 or 1). The value is sign-extended (uint64 is kept by bits).
struct IntImm : ExprNodeOf<IntImm, ExprKind::kIntImm> {
  int64_t value = 0;
  static constexpr auto fields() { return std::tuple{data("value", &IntImm::value)}; }
};

struct FloatImm : ExprNodeOf<FloatImm, ExprKind::kFloatImm> {
  double value = 0;
  static constexpr auto fields() { return std::tuple{data("value", &FloatImm::value)}; }
};

struct StringImm : ExprNodeOf<StringImm, ExprKind::kStringImm> {
  std::string value;
  static constexpr auto fields() { return std::tuple{data("value", &StringImm::value)}; }
};

/// A list in an annotation: [0, 0, 32, 8]. Has no place in arithmetic; dtype is handle.
struct ListImm : ExprNodeOf<ListImm, ExprKind::kListImm> {
  std::vector<Expr> values;
  static constexpr auto fields() { return std::tuple{child("values", &ListImm::values)}; }
};

struct Cast : ExprNodeOf<Cast, ExprKind::kCast> {
  Expr value;
  static constexpr auto fields() { return std::tuple{child("value", &Cast::value)}; }
};

#define TEMPER_BINARY(name)                                                                        \
  struct name : ExprNodeOf<name, ExprKind::k##name> {                                              \
    Expr a;                                                                                        \
    Expr b;                                                                                        \
    static constexpr auto fields() {                                                               \
      return std::tuple{child("a", &name::a), child("b", &name::b)};                               \
    }                                                                                              \
  };

// Same operand types, result of that type. Div and Mod round towards zero, FloorDiv and FloorMod
// towards minus infinity (integers only); on floats Div is IEEE division.
TEMPER_BINARY(Add)
TEMPER_BINARY(Sub)
TEMPER_BINARY(Mul)
TEMPER_BINARY(Div)
TEMPER_BINARY(Mod)
TEMPER_BINARY(FloorDiv)
TEMPER_BINARY(FloorMod)
TEMPER_BINARY(Min)
TEMPER_BINARY(Max)
// Same operand types, result bool (of their lanes).
TEMPER_BINARY(EQ)
TEMPER_BINARY(NE)
TEMPER_BINARY(LT)
TEMPER_BINARY(LE)
TEMPER_BINARY(GT)
TEMPER_BINARY(GE)
// Operands bool. And and Or evaluate their right side only when it matters.
TEMPER_BINARY(And)
TEMPER_BINARY(Or)
#undef TEMPER_BINARY

struct Not : ExprNodeOf<Not, ExprKind::kNot> {
  Expr a;
  static constexpr auto fields() { return std::tuple{child("a", &Not::a)}; }
};

/// Evaluates both sides, then takes one. (T.if_then_else, a Call, evaluates only one side.)
struct Select : ExprNodeOf<Select, ExprKind::kSelect> {
  Expr condition;
  Expr true_value;
  Expr false_value;
  static constexpr auto fields() {
    return std::tuple{child("condition", &Select::condition),
                      child("true_value", &Select::true_value),
                      child("false_value", &Select::false_value)};
  }
};

struct BufferNode;
using Buffer = Ref<BufferNode>;

/// One element, or a vector when the last index is a Ramp (or any index a vector).
/// `predicate`, when there, is a bool vector: lanes that are false are not read and give 0.
struct BufferLoad : ExprNodeOf<BufferLoad, ExprKind::kBufferLoad> {
  Buffer buffer;
  std::vector<Expr> indices;
  Expr predicate;
  static constexpr auto fields() {
    return std::tuple{child("buffer", &BufferLoad::buffer), child("indices", &BufferLoad::indices),
                      child("predicate", &BufferLoad::predicate)};
  }
};

/// base, base + stride, ..., `lanes` of them.
struct Ramp : ExprNodeOf<Ramp, ExprKind::kRamp> {
  Expr base;
  Expr stride;
  static constexpr auto fields() {
    return std::tuple{child("base", &Ramp::base), child("stride", &Ramp::stride)};
  }
  int lanes() const { return dtype.lanes; }
};

struct Broadcast : ExprNodeOf<Broadcast, ExprKind::kBroadcast> {
  Expr value;
  static constexpr auto fields() { return std::tuple{child("value", &Broadcast::value)}; }
  int lanes() const { return dtype.lanes; }
};

/// Concatenates the vectors' lanes, then picks them by constant indices.
struct Shuffle : ExprNodeOf<Shuffle, ExprKind::kShuffle> {
  std::vector<Expr> vectors;
  std::vector<Expr> indices;
  static constexpr auto fields() {
    return std::tuple{child("vectors", &Shuffle::vectors), child("indices", &Shuffle::indices)};
  }
};

struct Let : ExprNodeOf<Let, ExprKind::kLet> {
  Expr value;
  Var var;
  Expr body;
  static constexpr auto fields() {
    return std::tuple{child("value", &Let::value), define("var", &Let::var),
                      child("body", &Let::body)};
  }
};

/// A named operation: T.exp, T.if_then_else, ... (ir/op.h has the table). `op` is its full name.
struct Call : ExprNodeOf<Call, ExprKind::kCall> {
  std::string op;
  std::vector<Expr> args;
  static constexpr auto fields() {
    return std::tuple{data("op", &Call::op), child("args", &Call::args)};
  }
};

/// Calls the lambda that takes the node's type. Leaving out a kind without a catch-all
/// (`[](const ExprNode&)`) does not compile.
template <typename... Fs> decltype(auto) visit(const Expr& expr, Fs&&... functions) {
  Overloaded overloaded{std::forward<Fs>(functions)...};
  switch (static_cast<ExprKind>(expr->kind())) {
#define TEMPER_EXPR(name)                                                                          \
  case ExprKind::k##name:                                                                          \
    return overloaded(static_cast<const name&>(*expr));
#include "ir/node_kinds.def"
#undef TEMPER_EXPR
  case ExprKind::kEnd:
    break;
  }
  TEMPER_UNREACHABLE("this node is not an expression");
}

/// `for (i in [min, min + extent))`: half-open.
struct Range {
  Expr min;
  Expr extent;
  static constexpr auto fields() {
    return std::tuple{child("min", &Range::min), child("extent", &Range::extent)};
  }
};

/// Key -> value (IntImm, FloatImm, StringImm, ListImm or any expression), sorted by key.
struct Annotation {
  std::string key;
  Expr value;
  static constexpr auto fields() {
    return std::tuple{data("key", &Annotation::key), child("value", &Annotation::value)};
  }
};
struct Annotations {
  std::vector<Annotation> entries;
  static constexpr auto fields() { return std::tuple{child("entries", &Annotations::entries)}; }

  bool empty() const { return entries.empty(); }
  /// Null when the key is not there.
  Expr get(std::string_view key) const;
  std::optional<int64_t> get_int(std::string_view key) const;
  std::optional<std::string> get_string(std::string_view key) const;
  Annotations with(std::string key, Expr value) const;
  Annotations without(std::string_view key) const;
};

// Exact constructors: no folding. They abort on types that do not fit (callers check first).
Var make_var(std::string name, DataType dtype = DataType::int32());
Expr make_int(DataType dtype, int64_t value);
Expr make_float(DataType dtype, double value);
Expr make_bool(bool value);
Expr make_string(std::string value);
Expr make_list(std::vector<Expr> values);
/// A constant of any scalar or vector (then a Broadcast) type.
Expr make_const(DataType dtype, double value);
Expr make_const_int(DataType dtype, int64_t value);
Expr make_cast(DataType dtype, Expr value);
/// Any of the 15 kinds Add .. Or, by struct: make_binary<Add>(a, b). Operand types must be equal.
template <typename T> Expr make_binary(Expr a, Expr b);
Expr make_not(Expr a);
Expr make_select(Expr condition, Expr true_value, Expr false_value);
Expr make_load(Buffer buffer, std::vector<Expr> indices, Expr predicate = nullptr);
Expr make_ramp(Expr base, Expr stride, int lanes);
Expr make_broadcast(Expr value, int lanes);
Expr make_shuffle(std::vector<Expr> vectors, std::vector<Expr> indices);
Expr make_let(Var var, Expr value, Expr body);
Expr make_call(DataType dtype, std::string op, std::vector<Expr> args);

/// The value when the expression is an IntImm (bool included); nothing otherwise.
std::optional<int64_t> as_int(const Expr& expr);
/// Also sees through Broadcast; numbers only.
std::optional<double> as_number(const Expr& expr);
inline bool is_int(const Expr& expr, int64_t value) {
  const auto constant = as_int(expr);
  return constant && *constant == value;
}
/// Wraps `value` to the width and signedness of an integer type (two's complement).
int64_t wrap_integer(DataType dtype, int64_t value);
/// Constant folding as the interpreter evaluates; false when undefined (division by zero).
int64_t floor_div(int64_t a, int64_t b);
int64_t floor_mod(int64_t a, int64_t b);

// Folding constructors for passes: constants and neutral elements disappear; a plain integer takes
// the other side's type.
Expr operator+(const Expr& a, const Expr& b);
Expr operator-(const Expr& a, const Expr& b);
Expr operator*(const Expr& a, const Expr& b);
Expr operator+(const Expr& a, int64_t b);
Expr operator-(const Expr& a, int64_t b);
Expr operator*(const Expr& a, int64_t b);
Expr floordiv(const Expr& a, const Expr& b);
Expr floormod(const Expr& a, const Expr& b);
Expr floordiv(const Expr& a, int64_t b);
Expr floormod(const Expr& a, int64_t b);
Expr min(const Expr& a, const Expr& b);
Expr max(const Expr& a, const Expr& b);
Expr logical_and(const Expr& a, const Expr& b);
Expr logical_or(const Expr& a, const Expr& b);
Expr logical_not(const Expr& a);
Expr less(const Expr& a, const Expr& b);
Expr less_equal(const Expr& a, const Expr& b);
Expr equal(const Expr& a, const Expr& b);

} // namespace temper::ir
