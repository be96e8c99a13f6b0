#include "ir/dtype.h"

#include <charconv>

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
    text = "float" + std::to_string(type.bits);
    break;
  case TypeCode::kBFloat:
    text = "bfloat16";
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
  int lanes = 1;
  if (const size_t x = text.rfind('x'); x != std::string_view::npos) {
    const std::string_view count = text.substr(x + 1);
    const auto [end, error] = std::from_chars(count.data(), count.data() + count.size(), lanes);
    if (error != std::errc() || end != count.data() + count.size() || lanes < 1 || lanes > 65535)
      return std::nullopt;
    text = text.substr(0, x);
  }
  if (text == "bool")
    return DataType::boolean(lanes);
  if (text == "handle" && lanes == 1)
    return DataType::handle();
  for (int bits : {8, 16, 32, 64}) {
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
