/// The entries that the table of tensor intrinsics starts with (ir/s_tir/TENSOR_INTRINSICS.md).
#pragma once

#include "ir/s_tir/tensor_intrinsic.h"

#include <vector>

namespace temper::s_tir {

std::vector<TensorIntrinsic> builtin_tensor_intrinsics();

} // namespace temper::s_tir
