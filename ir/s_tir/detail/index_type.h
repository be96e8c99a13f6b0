/// Indices of different widths side by side: a symbolic dimension has 64 bits unless it says
/// otherwise, a number in a script 32.
#pragma once

#include "ir/expr.h"

namespace temper::s_tir {

/// The value in that integer type: a number as it is, else a cast. Vectors stay what they are.
inline ir::Expr as_type(DataType dtype, const ir::Expr& value) {
  if (value->dtype == dtype || value->dtype.lanes != dtype.lanes)
    return value;
  const auto known = ir::as_int(value);
  return known ? ir::make_int(dtype, *known) : ir::make_cast(dtype, value);
}

} // namespace temper::s_tir
