/// NVIDIA's driver, loaded when it is first asked for, with what temper uses of it. The prototypes
/// are our own, so that this builds where there are no headers of CUDA; tests/cuda holds them
/// against cuda.h where that is there, and a fake driver behind the same table makes every fault
/// testable without a GPU (tests/cuda/fake).
///
///   TEMPER_TRY(driver, CudaDriver::load());
///   if (const CudaResult code = driver->synchronize(stream); code != 0)
///     return fault_of(*driver, code);
#pragma once

#include "engine/measurement.h"
#include "ir/support/result.h"

#include <cstddef>
#include <cstdint>
#include <string>

namespace temper::engine {

using CudaResult = int; ///< CUresult; 0 is success
using DevicePointer = uint64_t;

/// CUresult, as far as temper tells one from another.
namespace cuda_error {
inline constexpr CudaResult kInvalidValue = 1;
inline constexpr CudaResult kOutOfMemory = 2;
inline constexpr CudaResult kNotInitialized = 3;
inline constexpr CudaResult kStubLibrary = 34;
inline constexpr CudaResult kNeedsNewerDriver = 36;
inline constexpr CudaResult kDeviceUnavailable = 46;
inline constexpr CudaResult kNoDevice = 100;
inline constexpr CudaResult kInvalidDevice = 101;
inline constexpr CudaResult kInvalidImage = 200;
inline constexpr CudaResult kNoBinaryForGpu = 209;
inline constexpr CudaResult kEccUncorrectable = 214;
inline constexpr CudaResult kUnsupportedPtx = 222;
inline constexpr CudaResult kNotFound = 500;
inline constexpr CudaResult kIllegalAddress = 700;
inline constexpr CudaResult kOutOfResources = 701;
inline constexpr CudaResult kLaunchTimeout = 702;
inline constexpr CudaResult kAssert = 710;
inline constexpr CudaResult kStackError = 714;
inline constexpr CudaResult kIllegalInstruction = 715;
inline constexpr CudaResult kMisalignedAddress = 716;
inline constexpr CudaResult kInvalidAddressSpace = 717;
inline constexpr CudaResult kInvalidPc = 718;
inline constexpr CudaResult kLaunchFailed = 719;
inline constexpr CudaResult kSystemNotReady = 802;
inline constexpr CudaResult kDriverMismatch = 803;
inline constexpr CudaResult kInvalidClusterSize = 912;
} // namespace cuda_error

/// CUdevice_attribute and CUfunction_attribute, those that are asked for.
enum class DeviceAttribute : int {
  kMultiprocessors = 16,
  kComputeMode = 20,
  kL2Bytes = 38,
  kMajor = 75,
  kMinor = 76,
  kSharedBytesOptIn = 97,
};
enum class FunctionAttribute : int {
  kRegisters = 4,
  kBinaryVersion = 6,
  kDynamicSharedBytes = 8,
  kNonPortableClusterSize = 14,
};

/// CUlaunchAttribute and CUlaunchConfig.
struct LaunchAttribute {
  static constexpr int kClusterDimension = 4;
  int id = 0;
  int padding = 0;
  union {
    char bytes[64];
    unsigned cluster[3];
  } value{};
};
struct LaunchConfig {
  unsigned grid[3] = {1, 1, 1};
  unsigned block[3] = {1, 1, 1};
  unsigned shared_bytes = 0;
  void* stream = nullptr;
  LaunchAttribute* attributes = nullptr;
  unsigned attribute_count = 0;
};

struct CudaDriver {
  /// Loads and initialises it, once per process. kEnvironment, in one sentence: there is none, it
  /// is too old, there is no GPU, or it does not work.
  static Result<const CudaDriver*> load();

  /// "13.0": the newest CUDA that it serves.
  std::string version_text() const;
  /// "an illegal memory access was encountered (CUDA_ERROR_ILLEGAL_ADDRESS)".
  std::string words_of(CudaResult code) const;

  std::string path;
  int version = 0; ///< 13000

  CudaResult (*init)(unsigned) = nullptr;
  CudaResult (*driver_version)(int*) = nullptr;
  CudaResult (*error_name)(CudaResult, const char**) = nullptr;
  CudaResult (*error_string)(CudaResult, const char**) = nullptr;
  CudaResult (*device_count)(int*) = nullptr;
  CudaResult (*device_get)(int*, int) = nullptr;
  CudaResult (*device_name)(char*, int, int) = nullptr;
  CudaResult (*device_attribute)(int*, int, int) = nullptr;
  CudaResult (*device_memory)(size_t*, int) = nullptr;
  CudaResult (*device_bus_id)(char*, int, int) = nullptr;
  CudaResult (*context_retain)(void**, int) = nullptr;
  CudaResult (*context_release)(int) = nullptr;
  CudaResult (*context_set)(void*) = nullptr;
  CudaResult (*module_load)(void**, const void*) = nullptr;
  CudaResult (*module_unload)(void*) = nullptr;
  CudaResult (*module_function)(void**, void*, const char*) = nullptr;
  CudaResult (*function_get)(int*, int, void*) = nullptr;
  CudaResult (*function_set)(void*, int, int) = nullptr;
  CudaResult (*memory_info)(size_t*, size_t*) = nullptr;
  CudaResult (*allocate)(DevicePointer*, size_t) = nullptr;
  CudaResult (*release)(DevicePointer) = nullptr;
  CudaResult (*to_device)(DevicePointer, const void*, size_t) = nullptr;
  CudaResult (*to_host)(void*, DevicePointer, size_t) = nullptr;
  CudaResult (*copy)(DevicePointer, DevicePointer, size_t, void*) = nullptr;
  CudaResult (*fill)(DevicePointer, unsigned char, size_t, void*) = nullptr;
  CudaResult (*stream_create)(void**, unsigned) = nullptr;
  CudaResult (*stream_destroy)(void*) = nullptr;
  CudaResult (*synchronize)(void*) = nullptr;
  CudaResult (*event_create)(void**, unsigned) = nullptr;
  CudaResult (*event_destroy)(void*) = nullptr;
  CudaResult (*event_record)(void*, void*) = nullptr;
  CudaResult (*event_elapsed)(float*, void*, void*) = nullptr;
  CudaResult (*launch)(const LaunchConfig*, void*, void**, void**) = nullptr;
  CudaResult (*encode_tiled)(void*, int, uint32_t, void*, const uint64_t*, const uint64_t*,
                             const uint32_t*, const uint32_t*, int, int, int, int) = nullptr;

private:
  static Result<CudaDriver> open();
};

/// What a failed call means for the candidate it happened under.
struct CudaFault {
  Outcome outcome = Outcome::kCrashed;
  std::string sentence;
  /// Nothing works in this context any more: its process has to go.
  bool context_is_dead = false;
};
/// `code` is not 0. `doing`: "launching the kernel"; goes into sentences that say no more by
/// themselves.
CudaFault fault_of(const CudaDriver& driver, CudaResult code, const std::string& doing);

} // namespace temper::engine
