#include "engine/cuda/device.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace temper::engine {

Result<GpuInfo> gpu_info(int index) {
  TEMPER_TRY(driver, CudaDriver::load());
  int count = 0;
  if (const CudaResult code = driver->device_count(&count); code != 0)
    return Error(ErrorCode::kEnvironment,
                 "the driver does not say how many GPUs there are: " + driver->words_of(code));
  if (count == 0)
    return Error(ErrorCode::kEnvironment, driver->path + " finds no GPU on this machine");
  if (index < 0 || index >= count)
    return Error(
        ErrorCode::kNotFound,
        fmt::format("there is no GPU {}: this machine has {}, counted from 0", index, count));
  GpuInfo info;
  info.index = index;
  info.driver = driver->version_text();
  int device = 0;
  char name[256] = {};
  char bus[64] = {};
  size_t bytes = 0;
  CudaResult code = driver->device_get(&device, index);
  if (code == 0)
    code = driver->device_name(name, sizeof name - 1, device);
  if (code == 0)
    code = driver->device_bus_id(bus, sizeof bus - 1, device);
  if (code == 0)
    code = driver->device_memory(&bytes, device);
  const auto attribute = [&](DeviceAttribute which) {
    int value = 0;
    if (code == 0)
      code = driver->device_attribute(&value, static_cast<int>(which), device);
    return value;
  };
  info.name = name;
  info.bus_id = bus;
  info.memory_bytes = static_cast<int64_t>(bytes);
  const int major = attribute(DeviceAttribute::kMajor);
  info.architecture = 10 * major + attribute(DeviceAttribute::kMinor);
  info.multiprocessors = attribute(DeviceAttribute::kMultiprocessors);
  info.l2_bytes = attribute(DeviceAttribute::kL2Bytes);
  info.shared_bytes = attribute(DeviceAttribute::kSharedBytesOptIn);
  if (code != 0)
    return Error(ErrorCode::kEnvironment,
                 fmt::format("GPU {} does not say what it is: {}", index, driver->words_of(code)));
  return info;
}

Json to_json(const GpuInfo& info) {
  return {{"index", info.index},
          {"name", info.name},
          {"bus_id", info.bus_id},
          {"driver", info.driver},
          {"architecture", info.architecture},
          {"multiprocessors", info.multiprocessors},
          {"l2_bytes", info.l2_bytes},
          {"memory_bytes", info.memory_bytes},
          {"shared_bytes", info.shared_bytes}};
}

bool runs_on(const std::string& code_architecture, int architecture) {
  if (!code_architecture.starts_with("sm_"))
    return false;
  char* end = nullptr;
  const long code = std::strtol(code_architecture.c_str() + 3, &end, 10);
  // "a": of this architecture alone; else of its generation, if not newer than the GPU.
  if (end != nullptr && *end == 'a')
    return code == architecture;
  return code / 10 == architecture / 10 && code <= architecture;
}

Result<std::unique_ptr<GpuContext>> GpuContext::open(int index) {
  std::unique_ptr<GpuContext> context(new GpuContext());
  TEMPER_TRY(info, gpu_info(index));
  context->info_ = std::move(info);
  TEMPER_TRY(driver, CudaDriver::load());
  context->driver_ = driver;
  const auto refused = [&](CudaResult code) {
    const std::string words = driver->words_of(code);
    const std::string gpu = fmt::format("GPU {} ({})", index, context->info_.name);
    if (code == cuda_error::kDeviceUnavailable)
      return Error(ErrorCode::kEnvironment,
                   gpu +
                       " is taken: another process uses it alone, or it is forbidden to compute "
                       "(nvidia-smi shows which): " +
                       words);
    if (code == cuda_error::kOutOfMemory)
      return Error(
          ErrorCode::kEnvironment,
          gpu + " has no memory left: other processes hold it (nvidia-smi shows which): " + words);
    return Error(ErrorCode::kEnvironment, gpu + " gives no context: " + words);
  };
  if (const CudaResult code = driver->device_get(&context->device_, index); code != 0)
    return refused(code);
  if (const CudaResult code = driver->context_retain(&context->context_, context->device_);
      code != 0) {
    context->context_ = nullptr;
    return refused(code);
  }
  if (const CudaResult code = driver->context_set(context->context_); code != 0)
    return refused(code);
  // In order with copies from and to the host, which go through the default stream and return
  // before the last of their bytes has arrived.
  constexpr unsigned kInOrderWithDefault = 0;
  if (const CudaResult code = driver->stream_create(&context->stream_, kInOrderWithDefault);
      code != 0)
    return refused(code);
  return context;
}

GpuContext::~GpuContext() {
  if (stream_ != nullptr)
    driver_->stream_destroy(stream_);
  if (context_ != nullptr)
    driver_->context_release(device_);
}

Result<DeviceMemory> DeviceMemory::allocate(const CudaDriver& driver, int64_t bytes) {
  DeviceMemory memory;
  const auto size = static_cast<size_t>(std::max<int64_t>(bytes, 1));
  if (const CudaResult code = driver.allocate(&memory.address_, size); code != 0)
    return Error(ErrorCode::kEnvironment,
                 fmt::format("the GPU gives no {} bytes: {}", bytes, driver.words_of(code)));
  memory.driver_ = &driver;
  memory.size_ = bytes;
  return memory;
}

DeviceMemory& DeviceMemory::operator=(DeviceMemory&& other) noexcept {
  std::swap(driver_, other.driver_);
  std::swap(address_, other.address_);
  std::swap(size_, other.size_);
  return *this;
}

DeviceMemory::~DeviceMemory() {
  if (driver_ != nullptr)
    driver_->release(address_);
}

} // namespace temper::engine
