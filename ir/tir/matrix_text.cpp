#include "ir/tir/matrix_text.h"

#include "ir/narrow.h"
#include "ir/op.h"
#include "ir/support/text.h"

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <optional>

namespace temper::tir {
namespace {

std::optional<MatrixOperand> operand_of(const std::string& name) {
  if (name == "tf32")
    return MatrixOperand::kTf32;
  if (name == "e4m3")
    return MatrixOperand::kE4M3;
  if (name == "e5m2")
    return MatrixOperand::kE5M2;
  return std::nullopt;
}

} // namespace

Result<MatrixText> parse_matrix_text(const std::string& text) {
  const Error bad(ErrorCode::kInvalidArgument,
                  "\"" + text +
                      "\" names no matrix instruction; write its shape, as \"m16n8k16\", "
                      "\"m16n8k8.tf32\" or \"m16n8k32.e4m3.e4m3\"");
  const std::vector<std::string> parts = split_text(text, '.');
  MatrixText result;
  result.shape = result.fragment = parts[0];
  int used = 0;
  if (std::sscanf(parts[0].c_str(), "m%ldn%ldk%ld%n", &result.m, &result.n, &result.k, &used) !=
          3 ||
      static_cast<size_t>(used) != parts[0].size() || parts.size() > 3)
    return bad;
  if (parts.size() == 1)
    return result;
  const auto a = operand_of(parts[1]);
  if (parts.size() == 2) {
    if (a && *a != MatrixOperand::kTf32)
      return bad;
    // "i8", "i4" say the fragment alone: the buffers' types have the sign.
    result.a = result.b = a.value_or(MatrixOperand::kAsStored);
    result.fragment = text;
    return result;
  }
  const auto b = operand_of(parts[2]);
  if (!a || !b || *a == MatrixOperand::kTf32 || *b == MatrixOperand::kTf32)
    return bad;
  result.a = *a;
  result.b = *b;
  result.fragment = parts[0] + ".i8";
  return result;
}

std::string matrix_types(DataType a, DataType b) {
  if (a == DataType::float32())
    return ".tf32";
  if (!is_float8(a))
    return "";
  const auto name = [](DataType type) { return type.code == TypeCode::kBFloat ? "e5m2" : "e4m3"; };
  return fmt::format(".{}.{}", name(a), name(b));
}

std::string ptx_operand_type(MatrixOperand operand, DataType stored) {
  switch (operand) {
  case MatrixOperand::kTf32:
    return "tf32";
  case MatrixOperand::kE4M3:
    return "e4m3";
  case MatrixOperand::kE5M2:
    return "e5m2";
  case MatrixOperand::kAsStored:
    break;
  }
  if (stored.is_floating())
    return (stored.code == TypeCode::kBFloat ? "bf" : "f") + std::to_string(stored.bits);
  return (stored.is_uint() ? "u" : "s") + std::to_string(stored.bits);
}

Expr matrix_operand_value(MatrixOperand operand, const Expr& stored) {
  const DataType word = DataType::uint(32);
  switch (operand) {
  case MatrixOperand::kTf32:
    return make_call(DataType::float32(), "reinterpret",
                     {call_op("bitwise_and", {make_call(word, "reinterpret", {stored}),
                                              make_const_int(word, 0xffffe000)})});
  case MatrixOperand::kE4M3:
    return float8_value(stored, DataType{TypeCode::kFloat, 8, 1});
  case MatrixOperand::kE5M2:
    return float8_value(stored, DataType{TypeCode::kBFloat, 8, 1});
  case MatrixOperand::kAsStored:
    break;
  }
  return stored;
}

} // namespace temper::tir
