#include "codegen/tensor_map.h"

#include <utility>

namespace temper::codegen {

int tensor_map_type(std::string_view dtype) {
  static constexpr std::pair<std::string_view, int> kTypes[] = {
      {"uint8", 0},   {"int8", 0},    {"bool", 0},    {"uint16", 1}, {"int16", 1},
      {"uint32", 2},  {"int32", 3},   {"uint64", 4},  {"int64", 5},  {"float16", 6},
      {"float32", 7}, {"float64", 8}, {"bfloat16", 9}};
  for (const auto& [name, code] : kTypes)
    if (name == dtype)
      return code;
  return 0; // as bytes
}

int tensor_map_swizzle(int bytes) { return bytes == 128 ? 3 : bytes == 64 ? 2 : bytes == 32; }

} // namespace temper::codegen
