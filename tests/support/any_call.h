/// Primitives called with whatever fits their parameters, legal or not: what a fuzzer does.
#pragma once

#include "ir/s_tir/schedule.h"
#include "ir/script/printer.h"
#include "ir/verify.h"
#include "tests/support/random_schedule.h"

#include <string>
#include <vector>

namespace temper::s_tir::testing {

/// A fuzzer's bytes as a row of choices; zeros when they are used up.
class ByteChoices {
public:
  explicit ByteChoices(std::string_view bytes) : bytes_(bytes) {}
  bool done() const { return at_ >= bytes_.size(); }
  int64_t below(int64_t bound) {
    uint64_t value = 0;
    for (int64_t left = bound - 1; left > 0; left >>= 8)
      value = value << 8 | (done() ? 0 : static_cast<unsigned char>(bytes_[at_++]));
    return static_cast<int64_t>(value % static_cast<uint64_t>(bound));
  }

private:
  std::string_view bytes_;
  size_t at_ = 0;
};

// A `Choices` is a Random or ByteChoices: below(n) gives a number from 0 to n - 1.

template <typename Choices, typename T>
const T& one_of(Choices& choices, const std::vector<T>& items) {
  return items[static_cast<size_t>(choices.below(static_cast<int64_t>(items.size())))];
}

template <typename Choices>
Value any_value(Choices& choices, const Parameter& parameter, const std::vector<Value>& handles) {
  static const std::vector<int64_t> kNumbers = {
      0, 1, 2, 3, 4, 5, 7, 8, 16, 64, -1, -2, -7, 1000, 1 << 30, int64_t{1} << 40};
  static const std::vector<const char*> kTexts = {
      "global", "shared",      "local",      "read",    "write", "C",
      "main",   "threadIdx.x", "blockIdx.x", "float32", "int8",  "dot_16x2_bf16_avx512bf16",
      "",       "vthread.x",   "no such"};
  static const std::vector<const char*> kMaps = {"lambda i, j: (j, i)",
                                                 "lambda i, j: (i // 4, j, i % 4)",
                                                 "lambda i: (i // 3, i % 3)",
                                                 "lambda i, j, k: (k, i, j)",
                                                 "lambda i, j: (i, i)",
                                                 "lambda i, j: (i + j,)",
                                                 "lambda i, j, k: (i * 8 + j, k)",
                                                 "lambda: ()",
                                                 "lambda i, j: (i - j, 7)",
                                                 "lambda i, j: [(i, i + 1), (j, j + 2)]"};
  switch (parameter.kind) {
  case ValueKind::kBlock:
  case ValueKind::kLoop:
  case ValueKind::kBlockOrLoop:
    for (int tries = 0; tries < 8; ++tries) {
      const Value& handle = one_of(choices, handles);
      const bool block = handle.as_block() != nullptr;
      if (parameter.kind == ValueKind::kBlockOrLoop ||
          block == (parameter.kind == ValueKind::kBlock))
        return handle;
    }
    return one_of(choices, handles);
  case ValueKind::kInt:
  case ValueKind::kIntOrNone:
    if (parameter.kind == ValueKind::kIntOrNone && choices.below(3) == 0)
      return Value();
    if (parameter.domain && choices.below(4) > 0)
      return parameter.domain->first +
             choices.below(parameter.domain->second - parameter.domain->first + 1);
    return one_of(choices, kNumbers);
  case ValueKind::kBool:
    // A promise that nobody keeps is no find.
    return parameter.name == "disable_predication" ? Value(false) : Value(choices.below(2) == 0);
  case ValueKind::kString:
    return parameter.name == "index_map" ? one_of(choices, kMaps) : one_of(choices, kTexts);
  case ValueKind::kIndexMap:
    return one_of(choices, kMaps);
  case ValueKind::kAny:
    return choices.below(2) == 0 ? Value(one_of(choices, kNumbers))
                                 : Value(one_of(choices, kTexts));
  case ValueKind::kIntList:
  case ValueKind::kFloatList:
  case ValueKind::kBlockList:
  case ValueKind::kLoopList: {
    Value::List list;
    const int64_t count = choices.below(4);
    for (int64_t i = 0; i < count; ++i)
      list.push_back(parameter.kind == ValueKind::kBlockList ||
                             parameter.kind == ValueKind::kLoopList
                         ? one_of(choices, handles)
                         : Value(one_of(choices, kNumbers)));
    return list;
  }
  }
  return Value();
}

/// False for primitives that take the caller's word for something.
inline bool keeps_meaning(const Primitive& primitive) {
  return !primitive.python_name.starts_with("unsafe_") &&
         primitive.python_name !=
             "annotate_buffer_access"; // a region that nothing shows is believed
}

inline std::vector<const Primitive*> trusted_primitives() {
  std::vector<const Primitive*> trusted;
  for (const Primitive* primitive : all_primitives())
    if (primitive->changes_module && keeps_meaning(*primitive))
      trusted.push_back(primitive);
  return trusted;
}

/// Calls one primitive with whatever fits. `handles` are of this module or of earlier ones. What
/// the verifier says of the result; empty when nothing is wrong.
template <typename Choices>
std::string any_call(Choices& choices, Schedule& schedule, std::vector<Value>& handles) {
  static const std::vector<const Primitive*> trusted = trusted_primitives();
  const Primitive& primitive = *one_of(choices, trusted);
  if (handles.empty() || choices.below(2) == 0)
    handles = places(schedule.module());
  Arguments arguments;
  for (const Parameter& parameter : primitive.inputs)
    for (int64_t i = parameter.variadic ? 1 + choices.below(3) : 1; i > 0; --i)
      arguments.inputs.push_back(any_value(choices, parameter, handles));
  for (const Parameter& parameter : primitive.attrs)
    arguments.attrs.push_back(any_value(choices, parameter, handles));
  const Schedule before = schedule;
  if (!schedule.call(primitive, arguments))
    return {};
  if (iterations(schedule.module()->find_prim_func("main")->body) > kMaxIterations / 20) {
    schedule = before;
    return {};
  }
  if (const auto good = verify(schedule.module()); !good)
    return good.error().to_string() + "\n" + schedule.trace().to_python() +
           script::to_text(schedule.module());
  return {};
}

} // namespace temper::s_tir::testing
