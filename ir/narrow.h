/// Element types of less than a byte, and floats of one byte: how they lie in memory, and the pass
/// that makes ordinary ones of them before anything is compiled or interpreted.
///
///   int2 uint2 int4 uint4    a parameter holds 4 or 2 elements in a byte, the first in the lowest
///                            bits; its last extent fills whole bytes. Programs read it, they do
///                            not write it. Other memory has a byte for each element.
///   float8_e4m3              DataType{kFloat, 8}: no infinity, 448 is the largest
///   float8_e5m2              DataType{kBFloat, 8}: as a float16 cut in half
///
/// Narrow floats are read exactly, computed with as float32, and rounded to the nearest even value
/// where they are stored or cast to; what is too large becomes the largest, NaN stays NaN.
#pragma once

#include "ir/function.h"
#include "ir/support/result.h"

namespace temper::ir {

/// int2, uint2, int4, uint4.
constexpr bool is_packed(DataType type) { return type.is_integral() && type.bits < 8; }
constexpr bool is_float8(DataType type) { return type.is_floating() && type.bits == 8; }
constexpr bool is_narrow(DataType type) { return is_packed(type) || is_float8(type); }

/// The parameter as it lies in memory: bytes for narrow elements, the buffer itself otherwise.
Buffer storage_buffer(const Buffer& parameter);

/// What a program does with narrow types that has no meaning here: stores to packed parameters,
/// extents that leave a byte half full. Names the buffer.
Result<void> check_narrow_types(const PrimFunc& function);

/// The function without narrow types; itself when it has none. What check_narrow_types refuses must
/// not be in it.
PrimFunc lower_narrow_types(const PrimFunc& function);

/// The float32 that a byte (uint8) holds as the float8 `type`.
Expr float8_value(const Expr& byte, DataType type);

/// float8 as bits, and back: `e5m2` tells which of the two.
uint8_t float_to_float8(float value, bool e5m2);
float float8_to_float(uint8_t bits, bool e5m2);

} // namespace temper::ir
