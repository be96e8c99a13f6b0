/// Data types: a scalar type and a number of lanes. Printed as Python does: "float32",
/// "bfloat16", "int8", "bool", "float32x8", "handle".
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace temper {

enum class TypeCode : uint8_t { kInt, kUInt, kFloat, kBFloat, kBool, kHandle };

struct DataType {
  TypeCode code = TypeCode::kHandle;
  uint8_t bits = 64; ///< of one lane: 8..64; bool has 1, and is stored in one byte
  uint16_t lanes = 1;

  static constexpr DataType integer(int bits, int lanes = 1) {
    return {TypeCode::kInt, static_cast<uint8_t>(bits), static_cast<uint16_t>(lanes)};
  }
  static constexpr DataType uint(int bits, int lanes = 1) {
    return {TypeCode::kUInt, static_cast<uint8_t>(bits), static_cast<uint16_t>(lanes)};
  }
  static constexpr DataType floating(int bits, int lanes = 1) {
    return {TypeCode::kFloat, static_cast<uint8_t>(bits), static_cast<uint16_t>(lanes)};
  }
  static constexpr DataType bfloat16(int lanes = 1) {
    return {TypeCode::kBFloat, 16, static_cast<uint16_t>(lanes)};
  }
  static constexpr DataType boolean(int lanes = 1) {
    return {TypeCode::kBool, 1, static_cast<uint16_t>(lanes)};
  }
  static constexpr DataType handle() { return {TypeCode::kHandle, 64, 1}; }
  static constexpr DataType int32() { return integer(32); }
  static constexpr DataType int64() { return integer(64); }
  static constexpr DataType float32() { return floating(32); }
  static constexpr DataType float64() { return floating(64); }

  constexpr bool is_int() const { return code == TypeCode::kInt; }
  constexpr bool is_uint() const { return code == TypeCode::kUInt; }
  /// Signed or unsigned integer; not bool.
  constexpr bool is_integral() const { return is_int() || is_uint(); }
  /// float16, bfloat16, float32 or float64.
  constexpr bool is_floating() const {
    return code == TypeCode::kFloat || code == TypeCode::kBFloat;
  }
  constexpr bool is_bool() const { return code == TypeCode::kBool; }
  constexpr bool is_handle() const { return code == TypeCode::kHandle; }
  constexpr bool is_scalar() const { return lanes == 1; }

  constexpr DataType with_lanes(int count) const {
    return {code, bits, static_cast<uint16_t>(count)};
  }
  constexpr DataType element() const { return with_lanes(1); }
  /// Bytes that one lane takes in memory.
  constexpr int element_bytes() const { return (bits + 7) / 8; }
  constexpr int bytes() const { return element_bytes() * lanes; }

  constexpr auto operator<=>(const DataType&) const = default;
};

std::string to_string(DataType type);
/// "float32", "int8x4", "bool", "handle"; nothing for an unknown name or a width that is not
/// among bool, int8..64, uint8..64, float16, bfloat16, float32, float64, handle.
std::optional<DataType> parse_data_type(std::string_view text);

} // namespace temper
