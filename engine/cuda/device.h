/// One GPU of this machine: what it is, and its primary context in this process.
#pragma once

#include "engine/cuda/driver.h"
#include "ir/support/json.h"

#include <memory>
#include <string>

namespace temper::engine {

struct GpuInfo {
  int index = 0;
  std::string name;     ///< "NVIDIA H200"
  std::string bus_id;   ///< "0000:17:00.0"; by it NVML knows the same GPU
  std::string driver;   ///< "13.0"
  int architecture = 0; ///< 90 for compute capability 9.0
  int multiprocessors = 0;
  int64_t l2_bytes = 0;
  int64_t memory_bytes = 0;
  int64_t shared_bytes = 0; ///< of a block, at most
};
/// Without a context: cheap. kEnvironment says why there is none, kNotFound how many there are.
Result<GpuInfo> gpu_info(int index);
Json to_json(const GpuInfo& info);
/// True for code of "sm_90a" on a GPU of architecture 90, of "sm_80" on one of 86.
bool runs_on(const std::string& code_architecture, int architecture);

/// A primary context, current in this thread, with one stream. Given back when it goes.
class GpuContext {
public:
  /// kEnvironment: the GPU is taken by somebody else, has no memory left, or does not work.
  static Result<std::unique_ptr<GpuContext>> open(int index);
  ~GpuContext();
  GpuContext(const GpuContext&) = delete;
  GpuContext& operator=(const GpuContext&) = delete;

  const CudaDriver& driver() const { return *driver_; }
  const GpuInfo& info() const { return info_; }
  void* stream() const { return stream_; }
  void* handle() const { return context_; }
  int device() const { return device_; } ///< the driver's handle

private:
  GpuContext() = default;
  const CudaDriver* driver_ = nullptr;
  GpuInfo info_;
  int device_ = 0;
  void* context_ = nullptr;
  void* stream_ = nullptr;
};

/// Memory on the GPU, freed when it goes.
class DeviceMemory {
public:
  static Result<DeviceMemory> allocate(const CudaDriver& driver, int64_t bytes);
  DeviceMemory() = default;
  DeviceMemory(DeviceMemory&& other) noexcept { *this = std::move(other); }
  DeviceMemory& operator=(DeviceMemory&& other) noexcept;
  ~DeviceMemory();

  DevicePointer address() const { return address_; }
  int64_t size() const { return size_; }

private:
  const CudaDriver* driver_ = nullptr;
  DevicePointer address_ = 0;
  int64_t size_ = 0;
};

} // namespace temper::engine
