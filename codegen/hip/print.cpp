#include "codegen/hip/print.h"

#include "codegen/hip/prelude.h"

namespace temper::codegen {

Result<CudaSource> print_hip(const ir::PrimFunc& function) {
  static const GpuDialect kHip = {
      .language = "HIP",
      .axes = {"__builtin_amdgcn_workgroup_id_x()", "__builtin_amdgcn_workgroup_id_y()",
               "__builtin_amdgcn_workgroup_id_z()", "__builtin_amdgcn_workitem_id_x()",
               "__builtin_amdgcn_workitem_id_y()", "__builtin_amdgcn_workitem_id_z()"},
      .math_prefix = "__builtin_",
      .prelude = hip_prelude,
      .in_prelude = in_hip_prelude,
      .own_builtins = true};
  return print_gpu(function, kHip);
}

} // namespace temper::codegen
