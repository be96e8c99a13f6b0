#include "engine/cuda/driver.h"

#include "codegen/cuda/library.h"

#include <fmt/format.h>

namespace temper::engine {
namespace {

Error unusable(std::string sentence) { return Error(ErrorCode::kEnvironment, std::move(sentence)); }

} // namespace

Result<CudaDriver> CudaDriver::open() {
  const auto library = codegen::load_cuda_library({"libcuda.so.1"});
  if (!library)
    return unusable("there is no driver of an NVIDIA GPU here (" + library.error().message + ")");
  CudaDriver driver;
  driver.path = library->path;
  std::string missing;
  const auto find = [&](const char* name, auto& function) {
    if (!library->find(name, function) && missing.empty())
      missing = name;
  };
  find("cuInit", driver.init);
  find("cuDriverGetVersion", driver.driver_version);
  find("cuGetErrorName", driver.error_name);
  find("cuGetErrorString", driver.error_string);
  find("cuDeviceGetCount", driver.device_count);
  find("cuDeviceGet", driver.device_get);
  find("cuDeviceGetName", driver.device_name);
  find("cuDeviceGetAttribute", driver.device_attribute);
  find("cuDeviceTotalMem_v2", driver.device_memory);
  find("cuDeviceGetPCIBusId", driver.device_bus_id);
  find("cuDevicePrimaryCtxRetain", driver.context_retain);
  find("cuDevicePrimaryCtxRelease_v2", driver.context_release);
  find("cuCtxSetCurrent", driver.context_set);
  find("cuModuleLoadData", driver.module_load);
  find("cuModuleUnload", driver.module_unload);
  find("cuModuleGetFunction", driver.module_function);
  find("cuFuncGetAttribute", driver.function_get);
  find("cuFuncSetAttribute", driver.function_set);
  find("cuMemGetInfo_v2", driver.memory_info);
  find("cuMemAlloc_v2", driver.allocate);
  find("cuMemFree_v2", driver.release);
  find("cuMemcpyHtoD_v2", driver.to_device);
  find("cuMemcpyDtoH_v2", driver.to_host);
  find("cuMemcpyDtoDAsync_v2", driver.copy);
  find("cuMemsetD8Async", driver.fill);
  find("cuStreamCreate", driver.stream_create);
  find("cuStreamDestroy_v2", driver.stream_destroy);
  find("cuStreamSynchronize", driver.synchronize);
  find("cuEventCreate", driver.event_create);
  find("cuEventDestroy_v2", driver.event_destroy);
  find("cuEventRecord", driver.event_record);
  find("cuEventElapsedTime", driver.event_elapsed);
  find("cuLaunchKernelEx", driver.launch);             // CUDA 11.8
  find("cuTensorMapEncodeTiled", driver.encode_tiled); // CUDA 12.0
  if (!missing.empty())
    return unusable(driver.path + " is too old: it has no " + missing +
                    "; install a driver of CUDA 12 or newer");
  const CudaResult begun = driver.init(0);
  (void)driver.driver_version(&driver.version);
  switch (begun) {
  case 0:
    return driver;
  case cuda_error::kNoDevice:
    return unusable(driver.path + " finds no GPU on this machine (or CUDA_VISIBLE_DEVICES hides "
                                  "it)");
  case cuda_error::kStubLibrary:
    return unusable(driver.path + " is only the toolkit's stub: take it off the loader's path, the "
                                  "driver itself brings the real one");
  case cuda_error::kDriverMismatch:
    return unusable(driver.path + " does not belong to the kernel's driver, which is of another "
                                  "version: reboot, or install both anew");
  case cuda_error::kSystemNotReady:
    return unusable("the GPU is not ready: its fabric manager or driver daemons are not running");
  default:
    return unusable(driver.path + " does not start: " + driver.words_of(begun));
  }
}

Result<const CudaDriver*> CudaDriver::load() {
  static const Result<CudaDriver> loaded = open();
  if (!loaded)
    return loaded.error();
  return &*loaded;
}

std::string CudaDriver::version_text() const {
  return fmt::format("{}.{}", version / 1000, version / 10 % 100);
}

std::string CudaDriver::words_of(CudaResult code) const {
  const char* words = nullptr;
  const char* name = nullptr;
  if (error_string(code, &words) != 0 || words == nullptr)
    words = "unknown error";
  if (error_name(code, &name) != 0 || name == nullptr)
    return fmt::format("{} (the driver's error {})", words, code);
  return fmt::format("{} ({})", words, name);
}

CudaFault fault_of(const CudaDriver& driver, CudaResult code, const std::string& doing) {
  const std::string words = driver.words_of(code);
  switch (code) {
  case cuda_error::kOutOfMemory:
    return {Outcome::kOutOfMemory,
            "the GPU's memory does not suffice, while " + doing + ": " + words};
  case cuda_error::kOutOfResources:
    return {Outcome::kDeviceLimit,
            "the kernel needs more registers, shared memory or threads than this GPU has: " +
                words};
  case cuda_error::kInvalidClusterSize:
    return {Outcome::kDeviceLimit, "this GPU does not run clusters of that size: " + words};
  case cuda_error::kInvalidValue:
    return {Outcome::kDeviceLimit, "the driver refuses, while " + doing + ": " + words};
  case cuda_error::kIllegalAddress:
    return {Outcome::kCrashed, "crashed: accessed memory that is nobody's: " + words, true};
  case cuda_error::kMisalignedAddress:
    return {Outcome::kCrashed, "crashed: used a misaligned address: " + words, true};
  case cuda_error::kIllegalInstruction:
    return {Outcome::kCrashed, "crashed: executed an illegal instruction: " + words, true};
  case cuda_error::kLaunchTimeout:
    return {Outcome::kTimedOut, "the driver's watchdog stopped it: " + words, true};
  case cuda_error::kAssert:
  case cuda_error::kStackError:
  case cuda_error::kInvalidAddressSpace:
  case cuda_error::kInvalidPc:
  case cuda_error::kLaunchFailed:
    return {Outcome::kCrashed, "crashed: " + words, true};
  case cuda_error::kEccUncorrectable:
    return {Outcome::kDisturbed, "the GPU's memory failed: " + words, true};
  default:
    // Whatever it is, the next candidate gets a context in which it has not happened.
    return {Outcome::kCrashed, "failed while " + doing + ": " + words, true};
  }
}

} // namespace temper::engine
