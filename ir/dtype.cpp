#include "ir/dtype.h"
#include "ir/support/number.h"

namespace temper {

std::string to_string(DataType type) {
  std::string text;
  switch (type.code) {
  case TypeCode::kInt:
    text = "int" + std::to_string(type.bits);
    break;
  case TypeCode::kUInt:
    text = "uint" + std::to_string(type.bits);
    break;
  case TypeCode::kFloat:
    text = type.bits == 8 ? "float8_e4m3" : "float" + std::to_string(type.bits);
    break;
  case TypeCode::kBFloat:
    text = type.bits == 8 ? "float8_e5m2" : "bfloat16";
    break;
  case TypeCode::kBool:
    text = "bool";
    break;
  case TypeCode::kHandle:
    text = "handle";
    break;
  }
  if (type.lanes != 1)
    text += "x" + std::to_string(type.lanes);
  return text;
}

std::optional<DataType> parse_data_type(std::string_view text) {
  // Narrow floats (ir/narrow.h), by every name they go by.
  for (const char* name : {"float8_e4m3", "float8_e4m3fn", "e4m3_float8"})
    if (text == name)
      return DataType{TypeCode::kFloat, 8, 1};
  for (const char* name : {"float8_e5m2", "e5m2_float8"})
    if (text == name)
      return DataType{TypeCode::kBFloat, 8, 1};
  // What TVM and TileLang read without a width.
  static constexpr std::pair<std::string_view, std::string_view> kShort[] = {
      {"float", "float32"}, {"double", "float64"}, {"half", "float16"}, {"int", "int32"},
      {"long", "int64"},    {"short", "int16"},    {"uint", "uint32"}};
  for (const auto& [name, meant] : kShort)
    if (text == name)
      return parse_data_type(meant);
  int lanes = 1;
  if (const size_t x = text.rfind('x'); x != std::string_view::npos) {
    lanes = parse_number<int>(text.substr(x + 1)).value_or(0);
    if (lanes < 1 || lanes > 65535)
      return std::nullopt;
    text = text.substr(0, x);
  }
  if (text == "bool")
    return DataType::boolean(lanes);
  if (text == "handle" && lanes == 1)
    return DataType::handle();
  if (text == "float8_e4m3" || text == "float8_e4m3fn" || text == "float8_e5m2")
    return DataType{text == "float8_e5m2" ? TypeCode::kBFloat : TypeCode::kFloat, 8,
                    static_cast<uint16_t>(lanes)};
  for (int bits : {2, 4, 8, 16, 32, 64}) {
    for (DataType type : {DataType::integer(bits), DataType::uint(bits)})
      if (text == to_string(type))
        return type.with_lanes(lanes);
  }
  for (DataType type : {DataType::floating(16), DataType::floating(32), DataType::floating(64),
                        DataType::bfloat16()})
    if (text == to_string(type))
      return type.with_lanes(lanes);
  return std::nullopt;
}

} // namespace temper
