// A GPU that is none, as one library that stands for libcuda.so.1, libcupti.so.13 and
// libnvidia-ml.so.1: what temper loads at run time it loads from the folder that
// TEMPER_CUDA_LIBRARIES names. Device memory is the host's, time is counted, and code is text:
//
//   fake sm_90
//   kernel NAME BEHAVIOUR n=1000 ns=5000
//
// BEHAVIOUR: add (C = A + B of n float32), add_by_map (A through a descriptor of the copy engine,
// the fourth parameter), wrong, wrong_later, looks_at_output, unwritten, beside, writes_input,
// hang, illegal_address, misaligned, kills (the process), accumulate (C += factor * A, with a
// scalar in the place of B).
//
// Real code (a cubin) is taken for the behaviour `any` of `n` elements, double (B = 2 A) say, and
// is the slower the more threads a block has.
//
// TEMPER_FAKE_GPU, "name=value,...", makes it fail: init, context, activity, counters (codes);
// memory (bytes that there are); trace (empty, zero, dropped, first_empty), whole_traces; nvml (0:
// none), clock, slowdowns; passes.
#include "tests/cuda/fake/fake_gpu.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <csignal>
#include <unistd.h>

using temper::engine::CudaResult;
using temper::engine::DevicePointer;
using temper::engine::LaunchConfig;
namespace cuda_error = temper::engine::cuda_error;

namespace fake {

Gpu gpu;

std::string setting(const std::string& name, const std::string& otherwise) {
  const char* all = std::getenv("TEMPER_FAKE_GPU");
  std::istringstream words(all != nullptr ? all : "");
  std::string word;
  while (std::getline(words, word, ','))
    if (word.starts_with(name + "="))
      return word.substr(name.size() + 1);
  return otherwise;
}
int number(const std::string& name, int otherwise) {
  const std::string text = setting(name);
  return text.empty() ? otherwise : std::atoi(text.c_str());
}

} // namespace fake

namespace {

using fake::gpu;
using fake::number;
using fake::Ran;
using fake::setting;

struct Function {
  std::string name;
  std::string behaviour;
  size_t n = 0;
  uint64_t ns = 5000;
  int shared_allowed = 48 << 10;
  int calls = 0;
};
struct Module {
  std::vector<std::unique_ptr<Function>> functions;
  bool any = false; ///< has every function that it is asked for
};
struct Event {
  uint64_t at = 0;
};

size_t memory_limit() {
  const std::string text = setting("memory");
  return text.empty() ? size_t{8} << 30 : std::strtoull(text.c_str(), nullptr, 10);
}

CudaResult state() {
  if (gpu.hung)
    while (true)
      ::pause();
  return gpu.sticky;
}

/// What a call takes: next to nothing where a kernel finds its results, and looks for them.
uint64_t duration(const Function& function, void** parameters) {
  if (function.behaviour != "looks_at_output")
    return function.ns;
  const auto value = [&](int index) {
    DevicePointer address = 0;
    std::memcpy(&address, parameters[index], sizeof address);
    return *reinterpret_cast<const float*>(address);
  };
  return value(2) == value(0) + value(1) ? 500 : function.ns;
}

void run(Function& function, void** parameters) {
  const auto pointer = [&](int index) {
    DevicePointer address = 0;
    std::memcpy(&address, parameters[index], sizeof address);
    return reinterpret_cast<float*>(address);
  };
  const std::string& what = function.behaviour;
  ++function.calls;
  if (what == "hang") {
    gpu.hung = true;
    return;
  }
  if (what == "illegal_address" || what == "misaligned") {
    gpu.sticky =
        what == "misaligned" ? cuda_error::kMisalignedAddress : cuda_error::kIllegalAddress;
    return;
  }
  if (what == "kills")
    ::raise(SIGKILL);
  if (what == "unwritten")
    return;
  float* a = pointer(0);
  if (what == "double") {
    for (size_t i = 0; i < function.n; ++i)
      pointer(1)[i] = 2 * a[i];
    return;
  }
  if (what == "accumulate") {
    float factor = 0;
    std::memcpy(&factor, parameters[1], sizeof factor);
    for (size_t i = 0; i < function.n; ++i)
      pointer(2)[i] += factor * a[i];
    return;
  }
  const float* b = pointer(1);
  float* c = pointer(2);
  if (what == "add_by_map") {
    uint64_t words[16];
    std::memcpy(words, parameters[3], sizeof words);
    a = reinterpret_cast<float*>(words[0]);
  }
  for (size_t i = 0; i < function.n; ++i)
    c[i] = a[i] + b[i];
  if (what == "wrong" || (what == "wrong_later" && function.calls > 3))
    c[7] += 100;
  if (what == "beside")
    c[function.n] = 1;
  if (what == "writes_input")
    a[3] = 0;
}

} // namespace

extern "C" {

CudaResult cuInit(unsigned) { return number("init", 0); }
CudaResult cuDriverGetVersion(int* version) {
  *version = number("version", 13000);
  return 0;
}
CudaResult cuGetErrorName(CudaResult code, const char** name) {
  *name = code == cuda_error::kIllegalAddress      ? "CUDA_ERROR_ILLEGAL_ADDRESS"
          : code == cuda_error::kMisalignedAddress ? "CUDA_ERROR_MISALIGNED_ADDRESS"
          : code == cuda_error::kOutOfMemory       ? "CUDA_ERROR_OUT_OF_MEMORY"
                                                   : "CUDA_ERROR_OTHER";
  return 0;
}
CudaResult cuGetErrorString(CudaResult code, const char** words) {
  *words = code == cuda_error::kIllegalAddress ? "an illegal memory access was encountered"
           : code == cuda_error::kOutOfMemory  ? "out of memory"
                                               : "what the driver says";
  return 0;
}
CudaResult cuDeviceGetCount(int* count) {
  *count = number("gpus", 1);
  return 0;
}
CudaResult cuDeviceGet(int* device, int index) {
  *device = index;
  return 0;
}
CudaResult cuDeviceGetName(char* name, int length, int) {
  std::strncpy(name, "Fake H100", static_cast<size_t>(length));
  return 0;
}
CudaResult cuDeviceGetAttribute(int* value, int attribute, int) {
  switch (attribute) {
  case 16:
    *value = 132;
    return 0;
  case 38:
    *value = 1 << 20;
    return 0;
  case 75:
    *value = 9;
    return 0;
  case 76:
    *value = 0;
    return 0;
  case 97:
    *value = 227 << 10;
    return 0;
  default:
    *value = 0;
    return 0;
  }
}
CudaResult cuDeviceTotalMem_v2(size_t* bytes, int) {
  *bytes = memory_limit();
  return 0;
}
CudaResult cuDeviceGetPCIBusId(char* bus, int length, int) {
  std::strncpy(bus, "0000:17:00.0", static_cast<size_t>(length));
  return 0;
}
CudaResult cuDevicePrimaryCtxRetain(void** context, int) {
  *context = &gpu;
  return number("context", 0);
}
CudaResult cuDevicePrimaryCtxRelease_v2(int) { return 0; }
CudaResult cuCtxSetCurrent(void*) { return 0; }

CudaResult cuModuleLoadData(void** module, const void* image) {
  if (const CudaResult code = state())
    return code;
  if (std::memcmp(image,
                  "\x7f"
                  "ELF",
                  4) == 0) { // real code, which is taken for what is asked
    if (setting("any").empty())
      return cuda_error::kInvalidImage;
    auto* any = new Module();
    any->any = true;
    *module = any;
    return 0;
  }
  std::istringstream lines(static_cast<const char*>(image));
  std::string line;
  std::getline(lines, line);
  if (!line.starts_with("fake "))
    return cuda_error::kInvalidImage;
  if (line != "fake sm_90")
    return cuda_error::kNoBinaryForGpu;
  auto made = std::make_unique<Module>();
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string word;
    auto function = std::make_unique<Function>();
    words >> word >> function->name >> function->behaviour;
    while (words >> word)
      if (word.starts_with("n="))
        function->n = std::strtoull(word.c_str() + 2, nullptr, 10);
      else if (word.starts_with("ns="))
        function->ns = std::strtoull(word.c_str() + 3, nullptr, 10);
    made->functions.push_back(std::move(function));
  }
  *module = made.release();
  return 0;
}
CudaResult cuModuleUnload(void* module) {
  delete static_cast<Module*>(module);
  return 0;
}
CudaResult cuModuleGetFunction(void** function, void* module, const char* name) {
  auto& functions = static_cast<Module*>(module)->functions;
  const auto is_it = [&](const std::unique_ptr<Function>& one) { return one->name == name; };
  if (static_cast<Module*>(module)->any &&
      std::none_of(functions.begin(), functions.end(), is_it)) {
    auto any = std::make_unique<Function>();
    any->name = name;
    any->behaviour = setting("any");
    any->n = static_cast<size_t>(number("n", 0));
    any->ns = 0;
    functions.push_back(std::move(any));
  }
  const auto found = std::find_if(functions.begin(), functions.end(), is_it);
  if (found == functions.end())
    return cuda_error::kNotFound;
  *function = found->get();
  return 0;
}
CudaResult cuFuncGetAttribute(int* value, int, void*) {
  *value = 0;
  return 0;
}
CudaResult cuFuncSetAttribute(void* function, int attribute, int value) {
  if (attribute == 8) {
    if (value > 227 << 10)
      return cuda_error::kInvalidValue;
    static_cast<Function*>(function)->shared_allowed = value;
  }
  return 0;
}
CudaResult cuMemGetInfo_v2(size_t* free, size_t* total) {
  *total = memory_limit();
  *free = *total - std::min(*total, gpu.allocated);
  return 0;
}
CudaResult cuMemAlloc_v2(DevicePointer* address, size_t bytes) {
  if (const CudaResult code = state())
    return code;
  if (gpu.allocated + bytes > memory_limit())
    return cuda_error::kOutOfMemory;
  void* memory = std::aligned_alloc(512, (bytes + 511) / 512 * 512);
  *address = reinterpret_cast<DevicePointer>(memory);
  gpu.memory[*address] = bytes;
  gpu.allocated += bytes;
  return 0;
}
CudaResult cuMemFree_v2(DevicePointer address) {
  gpu.allocated -= gpu.memory[address];
  gpu.memory.erase(address);
  std::free(reinterpret_cast<void*>(address));
  return 0;
}
CudaResult cuMemcpyHtoD_v2(DevicePointer to, const void* from, size_t bytes) {
  if (const CudaResult code = state())
    return code;
  std::memcpy(reinterpret_cast<void*>(to), from, bytes);
  return 0;
}
CudaResult cuMemcpyDtoH_v2(void* to, DevicePointer from, size_t bytes) {
  if (const CudaResult code = state())
    return code;
  std::memcpy(to, reinterpret_cast<void*>(from), bytes);
  return 0;
}
CudaResult cuMemcpyDtoDAsync_v2(DevicePointer to, DevicePointer from, size_t bytes, void*) {
  if (const CudaResult code = state())
    return code;
  std::memcpy(reinterpret_cast<void*>(to), reinterpret_cast<void*>(from), bytes);
  gpu.now += 1000 + bytes / 2000;
  return 0;
}
CudaResult cuMemsetD8Async(DevicePointer to, unsigned char value, size_t bytes, void*) {
  if (const CudaResult code = state())
    return code;
  std::memset(reinterpret_cast<void*>(to), value, bytes);
  gpu.now += 1000 + bytes / 3000;
  return 0;
}
CudaResult cuStreamCreate(void** stream, unsigned) {
  *stream = &gpu;
  return 0;
}
CudaResult cuStreamDestroy_v2(void*) { return 0; }
CudaResult cuStreamSynchronize(void*) { return state(); }
CudaResult cuEventCreate(void** event, unsigned) {
  *event = new Event();
  return 0;
}
CudaResult cuEventDestroy_v2(void* event) {
  delete static_cast<Event*>(event);
  return 0;
}
CudaResult cuEventRecord(void* event, void*) {
  static_cast<Event*>(event)->at = gpu.now;
  return 0;
}
CudaResult cuEventElapsedTime(float* milliseconds, void* from, void* to) {
  *milliseconds =
      static_cast<float>(static_cast<Event*>(to)->at - static_cast<Event*>(from)->at) * 1e-6F;
  return 0;
}

CudaResult cuLaunchKernelEx(const LaunchConfig* config, void* handle, void** parameters, void**) {
  if (const CudaResult code = gpu.sticky)
    return code;
  auto& function = *static_cast<Function*>(handle);
  const unsigned threads = config->block[0] * config->block[1] * config->block[2];
  if (threads == 0 || threads > 1024 || config->grid[0] == 0 ||
      config->shared_bytes > static_cast<unsigned>(function.shared_allowed))
    return cuda_error::kInvalidValue;
  for (unsigned i = 0; i < config->attribute_count; ++i) {
    const temper::engine::LaunchAttribute& attribute = config->attributes[i];
    if (attribute.id != temper::engine::LaunchAttribute::kClusterDimension)
      return cuda_error::kInvalidValue;
    unsigned blocks = 1;
    for (int d = 0; d < 3; ++d) {
      const unsigned extent = attribute.value.cluster[d];
      if (extent == 0 || config->grid[d] % extent != 0)
        return cuda_error::kInvalidClusterSize;
      blocks *= extent;
    }
    if (blocks > 8)
      return cuda_error::kInvalidClusterSize;
  }
  gpu.now += 2000;             // on its way
  if (!setting("any").empty()) // so that there is something to be found
    function.ns = 4000 + 8 * threads;
  const uint64_t ns = duration(function, parameters);
  Ran ran{function.name, gpu.now, gpu.now + ns, ++gpu.correlation,
          gpu.marks.empty() ? 0 : gpu.marks.back()};
  run(function, parameters);
  gpu.now += ns;
  if (gpu.traced)
    gpu.trace.push_back(ran);
  if (gpu.in_range) {
    gpu.range_ns += static_cast<double>(function.ns);
    ++gpu.range_launches;
  }
  return 0;
}

CudaResult cuTensorMapEncodeTiled(void* map, int, uint32_t rank, void* address,
                                  const uint64_t* shape, const uint64_t* strides,
                                  const uint32_t* box, const uint32_t*, int, int, int, int) {
  if (rank < 1 || rank > 5 || reinterpret_cast<uint64_t>(address) % 16 != 0 ||
      reinterpret_cast<uint64_t>(map) % 64 != 0)
    return cuda_error::kInvalidValue;
  for (uint32_t d = 0; d < rank; ++d)
    if (shape[d] == 0 || box[d] == 0 || box[d] > 256 || (d > 0 && strides[d - 1] % 16 != 0))
      return cuda_error::kInvalidValue;
  const uint64_t words[16] = {reinterpret_cast<uint64_t>(address)};
  std::memcpy(map, words, sizeof words);
  return 0;
}

// NVML.
int nvmlInit_v2() { return number("nvml", 1) == 0 ? 9 : 0; }
const char* nvmlErrorString(int) { return "Driver Not Loaded"; }
int nvmlDeviceGetHandleByPciBusId_v2(const char* bus, void** device) {
  *device = &gpu;
  return std::string(bus) == "0000:17:00.0" ? 0 : 6;
}
int nvmlDeviceGetClockInfo(void*, unsigned which, unsigned* value) {
  *value = static_cast<unsigned>(which == 1 ? number("clock", 1755) : 3201);
  return 0;
}
int nvmlDeviceGetPowerUsage(void*, unsigned* milliwatts) {
  *milliwatts = 612'000;
  return 0;
}
int nvmlDeviceGetTemperature(void*, unsigned, unsigned* celsius) {
  *celsius = 61;
  return 0;
}
int nvmlDeviceGetCurrentClocksEventReasons(void*, unsigned long long* reasons) {
  *reasons = static_cast<unsigned long long>(number("slowdowns", 0));
  return 0;
}
int nvmlDeviceGetComputeRunningProcesses_v3(void*, unsigned* count, void*) {
  *count = 1;
  return 0;
}

} // extern "C"
