/// Tensor intrinsics of users, as script files: two functions for each entry,
///
///   @T.prim_func(s_tir=True)
///   def twice_x4_desc(X: T.Buffer((4,), "float32"), Y: T.Buffer((4,), "float32")):
///       for i in range(4):
///           with T.sblock("Y"):
///               vi = T.axis.spatial(4, i)
///               Y[vi] = X[vi] * T.float32(2)
///
///   @T.prim_func
///   def twice_x4_impl(X: T.Buffer((4,), "float32"), Y: T.Buffer((4,), "float32")):
///       T.func_attr({"temper.features": "avx"})   # LLVM's names, with commas; none: any target
///       Y[T.Ramp(0, 1, 4)] = X[T.Ramp(0, 1, 4)] + X[T.Ramp(0, 1, 4)]
///
/// make the entry "twice_x4" (ir/s_tir/tensor_intrinsic.h says what it is for).
#pragma once

#include "ir/support/result.h"

#include <filesystem>
#include <string_view>

namespace temper::script {

/// Adds the entries of a text to the table. `file` is for messages.
Result<void> load_tensor_intrinsics(std::string_view text, const std::string& file);
/// The files that TEMPER_INTRINSICS names, with colons between them: what programs do at their
/// start. All processes of a run inherit the variable, so all know the same table.
Result<void> load_tensor_intrinsics();

} // namespace temper::script
