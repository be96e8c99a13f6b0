/// Slow reference execution: the meaning of ir/tir/stmt.h as a program, and the oracle of every
/// test.
///
///   std::vector<float> a(64), b(64);
///   TEMPER_TRY_VOID(interpret(function, {input(a), output(b)}));
///
/// It checks what generated code does not: accesses outside of shapes, reads of elements that were
/// never written, division by zero, shifts by too much, casts that do not fit, axes outside their
/// domains, endless loops. Errors (kFailed) say where, by line and column of the text.
///
/// Slow is relative: the tree is compiled to closures over numbered slots, 64^3 multiply-adds take
/// some 30 ms.
#pragma once

#include "ir/module.h"
#include "ir/support/result.h"

#include <functional>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace temper::ir {

/// A host array as a buffer argument: compact and row-major unless the parameter has strides.
/// bool takes one byte an element, float16 and bfloat16 two.
struct ArrayView {
  DataType dtype;
  void* data = nullptr;
  /// Elements there are. A symbolic dimension of the parameter is known from scalar arguments or
  /// from `shape`.
  int64_t count = 0;
  /// May be empty when the parameter's shape is constant.
  std::vector<int64_t> shape = {};
  /// False for an output: reading an element before it was written is an error.
  bool initialised = true;
};

/// A buffer, or a scalar by value.
using InterpretArgument = std::variant<ArrayView, int64_t, double>;

/// The order in which independent iterations run; a result that depends on it shows iterations that
/// are not independent.
enum class ParallelOrder : uint8_t { kForward, kReverse, kRandom };

struct InterpretOptions {
  /// Of parallel and vectorized loops.
  ParallelOrder parallel_order = ParallelOrder::kForward;
  uint64_t seed = 1; ///< for kRandom
  /// Loop iterations and statements before the program counts as endless.
  int64_t max_steps = int64_t{4} << 30;
  /// Takes each line of T.print, with its end; null: they go to standard output.
  std::function<void(const std::string& line)> print;
};

/// One argument per parameter, in order.
Result<void> interpret(const PrimFunc& function, std::span<const InterpretArgument> arguments,
                       const InterpretOptions& options = {});
inline Result<void> interpret(const PrimFunc& function,
                              std::initializer_list<InterpretArgument> arguments,
                              const InterpretOptions& options = {}) {
  return interpret(function, std::span(arguments.begin(), arguments.size()), options);
}
/// The function of that name; the module's only one when `name` is empty.
Result<void> interpret(const IRModule& module, std::string_view name,
                       std::span<const InterpretArgument> arguments,
                       const InterpretOptions& options = {});

/// A vector as an argument; the element type follows from T (float, double, intN_t, uintN_t).
template <typename T> constexpr DataType data_type_of() {
  if constexpr (std::is_floating_point_v<T>)
    return DataType::floating(static_cast<int>(8 * sizeof(T)));
  else if constexpr (std::is_signed_v<T>)
    return DataType::integer(static_cast<int>(8 * sizeof(T)));
  else
    return DataType::uint(static_cast<int>(8 * sizeof(T)));
}
template <typename T> ArrayView input(std::vector<T>& values) {
  return {data_type_of<T>(), values.data(), static_cast<int64_t>(values.size()), {}, true};
}
template <typename T> ArrayView output(std::vector<T>& values) {
  return {data_type_of<T>(), values.data(), static_cast<int64_t>(values.size()), {}, false};
}

} // namespace temper::ir
