/// What an s-tir program computes on small integers, by the interpreter: what schedules must not
/// change.
#pragma once

#include "ir/interpret.h"
#include "ir/narrow.h"
#include "ir/s_tir/block.h"
#include "ir/s_tir/layer.h"
#include "ir/support/half.h"
#include "ir/support/random.h"
#include "ir/tir/stmt.h"
#include "ir/walk.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

namespace temper::s_tir {

/// The index of the first parameter of "main" that a statement stores to.
inline size_t first_output(const IRModule& module) {
  const PrimFunc function = module->find_prim_func("main");
  size_t first = function->params.size();
  walk(function->body, [&](const NodeRef& node) {
    if (node->kind() == BufferStore::kKind)
      for (size_t i = 0; i < first; ++i)
        if (function->params[i].buffer == static_cast<const BufferStore&>(*node).buffer)
          first = i;
    return true;
  });
  return first;
}

/// Runs "main" on seeded small integers, whose sums are exact. Parameters from `first_output` on
/// are outputs. The error's text, or the outputs' values.
struct RunResult {
  std::string error;
  std::vector<std::vector<float>> outputs;
};
/// An array of any type a program takes, by its values as floats.
class TypedArray {
public:
  TypedArray(DataType dtype, int64_t count)
      : dtype_(dtype), count_(count), bytes_(static_cast<size_t>(count * dtype.element_bytes())) {}
  void set(int64_t i, float value) {
    if (is_float8(dtype_))
      return put(i, float_to_float8(value, dtype_.code == TypeCode::kBFloat));
    switch (dtype_.code) {
    case TypeCode::kFloat:
      return dtype_.bits == 64   ? put(i, static_cast<double>(value))
             : dtype_.bits == 32 ? put(i, value)
                                 : put(i, float_to_float16(value));
    case TypeCode::kBFloat:
      return put(i, float_to_bfloat16(value));
    default:
      return dtype_.bits <= 8    ? put(i, static_cast<int8_t>(static_cast<int64_t>(value)))
             : dtype_.bits == 16 ? put(i, static_cast<int16_t>(value))
             : dtype_.bits == 32 ? put(i, static_cast<int32_t>(static_cast<int64_t>(value)))
                                 : put(i, static_cast<int64_t>(value));
    }
  }
  float get(int64_t i) const {
    if (is_float8(dtype_))
      return float8_to_float(at<uint8_t>(i), dtype_.code == TypeCode::kBFloat);
    switch (dtype_.code) {
    case TypeCode::kFloat:
      return dtype_.bits == 64   ? static_cast<float>(at<double>(i))
             : dtype_.bits == 32 ? at<float>(i)
                                 : float16_to_float(at<uint16_t>(i));
    case TypeCode::kBFloat:
      return bfloat16_to_float(at<uint16_t>(i));
    default:
      return dtype_.bits <= 8    ? (dtype_.is_int() ? static_cast<float>(at<int8_t>(i))
                                                    : static_cast<float>(at<uint8_t>(i)))
             : dtype_.bits == 16 ? static_cast<float>(at<int16_t>(i))
             : dtype_.bits == 32 ? static_cast<float>(at<int32_t>(i))
                                 : static_cast<float>(at<int64_t>(i));
    }
  }
  std::vector<float> values() const {
    std::vector<float> list;
    for (int64_t i = 0; i < count_; ++i)
      list.push_back(get(i));
    return list;
  }
  /// As it lies in memory: floats of one byte are bytes.
  ArrayView view(bool initialised) {
    return {is_float8(dtype_) ? DataType::uint(8) : dtype_, bytes_.data(), count_, {}, initialised};
  }

private:
  template <typename T> void put(int64_t i, T value) {
    std::memcpy(bytes_.data() + static_cast<size_t>(i) * sizeof(T), &value, sizeof(T));
  }
  template <typename T> T at(int64_t i) const {
    T value;
    std::memcpy(&value, bytes_.data() + static_cast<size_t>(i) * sizeof(T), sizeof(T));
    return value;
  }

  DataType dtype_;
  int64_t count_;
  std::vector<std::byte> bytes_;
};

inline RunResult run_on_integers(const IRModule& module, size_t first_output, uint64_t seed,
                                 ParallelOrder order = ParallelOrder::kForward) {
  register_layer();
  const PrimFunc function = module->find_prim_func("main");
  Random random(seed);
  std::vector<TypedArray> arrays;
  for (const Param& param : function->params)
    arrays.emplace_back(param.buffer->dtype, *param.buffer->element_count());
  std::vector<InterpretArgument> arguments;
  for (size_t i = 0; i < arrays.size(); ++i) {
    // Bytes without a sign are made of the same numbers: large ones.
    for (int64_t j = 0; j < *function->params[i].buffer->element_count(); ++j)
      arrays[i].set(j, i < first_output ? static_cast<float>(random.between(-4, 4)) : 77.0F);
    arguments.emplace_back(arrays[i].view(i < first_output));
  }
  const auto done = interpret(function, arguments, {.parallel_order = order, .seed = seed});
  RunResult result;
  if (!done) {
    result.error = done.error().to_string();
    return result;
  }
  for (size_t i = first_output; i < arrays.size(); ++i)
    result.outputs.push_back(arrays[i].values());
  return result;
}

/// Empty when the results agree; else what differs.
inline std::string difference(const RunResult& expected, const RunResult& actual,
                              double tolerance) {
  if (!actual.error.empty())
    return actual.error;
  for (size_t i = 0; i < expected.outputs.size(); ++i)
    for (size_t j = 0; j < expected.outputs[i].size(); ++j) {
      const double a = expected.outputs[i][j];
      const double b = actual.outputs[i][j];
      if (!(std::abs(a - b) <= tolerance * std::max(1.0, std::abs(a))))
        return "output " + std::to_string(i) + ", element " + std::to_string(j) + ": " +
               std::to_string(b) + " instead of " + std::to_string(a);
    }
  return {};
}

} // namespace temper::s_tir
