/// Descriptions of buffers for the copy engine (codegen/gpu_launch.h) in the driver's numbers, for
/// whoever asks it for a descriptor: what launches kernels here, and what is exported.
#pragma once

#include <cstdint>
#include <string_view>

namespace temper::codegen {

/// CUtensorMapDataType of cuda.h for "float16"; what it has no name for is moved as bytes.
int tensor_map_type(std::string_view dtype);
/// CUtensorMapSwizzle of cuda.h for 0, 32, 64 or 128 bytes.
int tensor_map_swizzle(int bytes);

} // namespace temper::codegen
