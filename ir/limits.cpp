#include "ir/limits.h"

#include <limits>

namespace temper::ir {
namespace {

double largest_real(DataType dtype) {
  if (dtype.bits == 8)
    return dtype.code == TypeCode::kBFloat ? 57344 : 448;
  if (dtype.code == TypeCode::kBFloat)
    return 0x1.fep127;
  if (dtype.bits == 32)
    return std::numeric_limits<float>::max();
  return dtype.bits == 16 ? 65504 : std::numeric_limits<double>::max();
}

} // namespace

Expr largest_value(DataType dtype) {
  if (dtype.is_floating())
    return make_const(dtype, largest_real(dtype));
  if (dtype.is_bool())
    return make_const_int(dtype, 1);
  return make_const_int(
      dtype, static_cast<int64_t>(~uint64_t{0} >> ((dtype.is_uint() ? 64 : 65) - dtype.bits)));
}

Expr lowest_value(DataType dtype) {
  if (dtype.is_floating())
    return make_const(dtype, -largest_real(dtype));
  return make_const_int(dtype,
                        dtype.is_int() ? static_cast<int64_t>(uint64_t{1} << (dtype.bits - 1)) : 0);
}

} // namespace temper::ir
