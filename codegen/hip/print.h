/// Flat tir with threads as HIP C++ for AMD's GPUs, by the printer of CUDA C++ in another dialect:
///
///   extern "C" __global__ void __launch_bounds__(256) main_kernel(const half_t* __restrict__ A,
///   ...) {
///     const int tx = __builtin_amdgcn_workitem_id_x();
///     ...
///       mfma_f32_32x32x8_f16(&C_local[0], &A_registers[0], &B_registers[0]);  // line 11
///
/// It includes no header of ROCm's: what it needs stands in front (prelude.h).
#pragma once

#include "codegen/cuda/print.h"

namespace temper::codegen {

/// kUnsupported, with the line, for what has no HIP form: text of CUDA's, PTX, functions that only
/// a library of the device has.
Result<CudaSource> print_hip(const ir::PrimFunc& function);

} // namespace temper::codegen
