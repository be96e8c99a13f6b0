/// How the kernels of a function are started on a GPU: what CUDA C++ is printed with, artifacts
/// keep and the driver is asked for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace temper::codegen {

/// What the tensor memory accelerator needs to know of a buffer: `cuTensorMapEncodeTiled` makes a
/// descriptor of 128 bytes of it for each call, and the kernel gets that as a parameter. Dimensions
/// are innermost first, as there.
struct TensorMap {
  int argument = 0;                   ///< position among the function's parameters
  std::string dtype;                  ///< of an element: "float16"
  std::vector<int64_t> shape;         ///< elements
  std::vector<int64_t> strides_bytes; ///< of all dimensions but the innermost, which is dense
  std::vector<int64_t> box;           ///< elements that one copy moves
  int swizzle_bytes = 0;              ///< 0, 32, 64 or 128: how rows are mixed in shared memory
  bool operator==(const TensorMap&) const = default;
};

struct CudaKernel {
  std::string name;
  /// Blocks in x, y, z; of a symbolic grid 0.
  std::vector<int64_t> grid;
  std::vector<int64_t> block;         ///< threads
  int64_t shared_bytes = 0;           ///< dynamic shared memory
  std::vector<TensorMap> tensor_maps; ///< the parameters behind the workspaces
  /// Blocks of a cluster in x, y, z; empty: each block is alone.
  std::vector<int64_t> cluster = {};
  bool operator==(const CudaKernel&) const = default;
};

} // namespace temper::codegen
