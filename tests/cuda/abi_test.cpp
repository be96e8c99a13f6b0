// The driver's interface in our words (engine/cuda/driver.h) against cuda.h, where that is there.
#ifdef TEMPER_HAS_CUPTI
#include "codegen/tensor_map.h"
#include "engine/cuda/driver.h"

#include <cuda.h>

#include <gtest/gtest.h>

#include <cstddef>

namespace temper::engine {
namespace {

TEST(DriverInterface, LaunchConfigurationsLieInMemoryAsTheDriverReadsThem) {
  EXPECT_EQ(sizeof(LaunchConfig), sizeof(CUlaunchConfig));
  EXPECT_EQ(offsetof(LaunchConfig, block), offsetof(CUlaunchConfig, blockDimX));
  EXPECT_EQ(offsetof(LaunchConfig, shared_bytes), offsetof(CUlaunchConfig, sharedMemBytes));
  EXPECT_EQ(offsetof(LaunchConfig, stream), offsetof(CUlaunchConfig, hStream));
  EXPECT_EQ(offsetof(LaunchConfig, attributes), offsetof(CUlaunchConfig, attrs));
  EXPECT_EQ(offsetof(LaunchConfig, attribute_count), offsetof(CUlaunchConfig, numAttrs));
  EXPECT_EQ(sizeof(LaunchAttribute), sizeof(CUlaunchAttribute));
  EXPECT_EQ(offsetof(LaunchAttribute, value), offsetof(CUlaunchAttribute, value));
  EXPECT_EQ(int{LaunchAttribute::kClusterDimension},
            static_cast<int>(CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION));
  EXPECT_EQ(sizeof(CUtensorMap), 128U);
}

TEST(DriverInterface, NumbersAreTheDriversOwn) {
  const std::pair<CudaResult, CUresult> errors[] = {
      {cuda_error::kInvalidValue, CUDA_ERROR_INVALID_VALUE},
      {cuda_error::kOutOfMemory, CUDA_ERROR_OUT_OF_MEMORY},
      {cuda_error::kNotInitialized, CUDA_ERROR_NOT_INITIALIZED},
      {cuda_error::kStubLibrary, CUDA_ERROR_STUB_LIBRARY},
      {cuda_error::kDeviceUnavailable, CUDA_ERROR_DEVICE_UNAVAILABLE},
      {cuda_error::kNoDevice, CUDA_ERROR_NO_DEVICE},
      {cuda_error::kInvalidDevice, CUDA_ERROR_INVALID_DEVICE},
      {cuda_error::kInvalidImage, CUDA_ERROR_INVALID_IMAGE},
      {cuda_error::kNoBinaryForGpu, CUDA_ERROR_NO_BINARY_FOR_GPU},
      {cuda_error::kEccUncorrectable, CUDA_ERROR_ECC_UNCORRECTABLE},
      {cuda_error::kUnsupportedPtx, CUDA_ERROR_UNSUPPORTED_PTX_VERSION},
      {cuda_error::kNotFound, CUDA_ERROR_NOT_FOUND},
      {cuda_error::kIllegalAddress, CUDA_ERROR_ILLEGAL_ADDRESS},
      {cuda_error::kOutOfResources, CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES},
      {cuda_error::kLaunchTimeout, CUDA_ERROR_LAUNCH_TIMEOUT},
      {cuda_error::kAssert, CUDA_ERROR_ASSERT},
      {cuda_error::kStackError, CUDA_ERROR_HARDWARE_STACK_ERROR},
      {cuda_error::kIllegalInstruction, CUDA_ERROR_ILLEGAL_INSTRUCTION},
      {cuda_error::kMisalignedAddress, CUDA_ERROR_MISALIGNED_ADDRESS},
      {cuda_error::kInvalidAddressSpace, CUDA_ERROR_INVALID_ADDRESS_SPACE},
      {cuda_error::kInvalidPc, CUDA_ERROR_INVALID_PC},
      {cuda_error::kLaunchFailed, CUDA_ERROR_LAUNCH_FAILED},
      {cuda_error::kSystemNotReady, CUDA_ERROR_SYSTEM_NOT_READY},
      {cuda_error::kDriverMismatch, CUDA_ERROR_SYSTEM_DRIVER_MISMATCH},
      {cuda_error::kInvalidClusterSize, CUDA_ERROR_INVALID_CLUSTER_SIZE}};
  for (const auto& [ours, theirs] : errors)
    EXPECT_EQ(ours, static_cast<int>(theirs));
  const std::pair<DeviceAttribute, CUdevice_attribute> device[] = {
      {DeviceAttribute::kMultiprocessors, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT},
      {DeviceAttribute::kL2Bytes, CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE},
      {DeviceAttribute::kMajor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR},
      {DeviceAttribute::kMinor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR},
      {DeviceAttribute::kSharedBytesOptIn, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN}};
  for (const auto& [ours, theirs] : device)
    EXPECT_EQ(static_cast<int>(ours), static_cast<int>(theirs));
  EXPECT_EQ(static_cast<int>(FunctionAttribute::kDynamicSharedBytes),
            static_cast<int>(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES));
  EXPECT_EQ(static_cast<int>(FunctionAttribute::kNonPortableClusterSize),
            static_cast<int>(CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED));
}

TEST(DriverInterface, DescriptorsOfTheCopyEngineNameTypesAsTheDriverDoes) {
  EXPECT_EQ(codegen::tensor_map_type("uint8"), int{CU_TENSOR_MAP_DATA_TYPE_UINT8});
  EXPECT_EQ(codegen::tensor_map_type("float16"), int{CU_TENSOR_MAP_DATA_TYPE_FLOAT16});
  EXPECT_EQ(codegen::tensor_map_type("bfloat16"), int{CU_TENSOR_MAP_DATA_TYPE_BFLOAT16});
  EXPECT_EQ(codegen::tensor_map_type("float32"), int{CU_TENSOR_MAP_DATA_TYPE_FLOAT32});
  EXPECT_EQ(codegen::tensor_map_swizzle(0), int{CU_TENSOR_MAP_SWIZZLE_NONE});
  EXPECT_EQ(codegen::tensor_map_swizzle(32), int{CU_TENSOR_MAP_SWIZZLE_32B});
  EXPECT_EQ(codegen::tensor_map_swizzle(64), int{CU_TENSOR_MAP_SWIZZLE_64B});
  EXPECT_EQ(codegen::tensor_map_swizzle(128), int{CU_TENSOR_MAP_SWIZZLE_128B});
}

} // namespace
} // namespace temper::engine
#endif
