/// The table of named operations that Call refers to: T.exp, T.if_then_else, T.max_value, ...
/// Parser, verifier, interpreter, simplifier and code generators look properties up here; a name
/// that is not here does not parse.
#pragma once

#include "ir/expr.h"

#include <span>
#include <string>
#include <string_view>

namespace temper::ir {

/// How the result type follows from the arguments.
enum class OpResult : uint8_t {
  kSameAsArgument, ///< the first argument's type; all arguments of one type
  kSecondArgument, ///< if_then_else: (bool, T, T) -> T
  kBool,           ///< isnan, ...
  kExplicit,       ///< given at the call (reinterpret, call_extern)
  kFirstArgument,  ///< the first argument's type; the others may have any
  kStatement,      ///< none: stands alone, for its effect
};

struct OpInfo {
  std::string name; ///< as after "T."
  int arity;        ///< -1: any
  OpResult result;
  bool floating_only; ///< arguments must be floating
  bool integer_only;
  bool pure; ///< no side effect, same result for same arguments
  bool math; ///< counts as a math function in features
  /// The first so many arguments are addresses: a load there names an element and reads nothing.
  int addresses = 0;
};

/// Null when there is no such operation.
const OpInfo* find_op(std::string_view name);
std::span<const OpInfo> all_ops();

/// A call with the result type the table says; types must fit (TEMPER_CHECK).
Expr call_op(std::string_view name, std::vector<Expr> args);
inline Expr if_then_else(Expr condition, Expr a, Expr b) {
  return call_op("if_then_else", {std::move(condition), std::move(a), std::move(b)});
}

} // namespace temper::ir
