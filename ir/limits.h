/// The largest and the smallest finite value of a scalar type, as constants: what a minimum and a
/// maximum start from.
#pragma once

#include "ir/expr.h"

namespace temper::ir {

/// `dtype`: a floating-point, integer or bool type.
Expr largest_value(DataType dtype);
Expr lowest_value(DataType dtype);

} // namespace temper::ir
