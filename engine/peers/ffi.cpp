/// libtemper_peer_ffi.so: a function of a shared library in tvm-ffi's C ABI (as TVM's
/// `export_library` and `temper export` leave them) behind the calling convention of an artifact's
/// entry. What engine/peers.cpp sets in the environment:
///
///   TEMPER_PEER_FFI_LIBRARY    the library's path
///   TEMPER_PEER_FFI_FUNCTION   the function's name, without __tvm_ffi_
///   TEMPER_PEER_FFI_ARGUMENTS  data type and shape of each buffer, as "f32:1,128,128;f32:128"
///
/// Libraries that TVM compiles call its runtime for scratch memory and to run loops in parallel,
/// through variables that the loader fills. They get stand-ins for one thread: memory that is kept
/// between calls, and loops that just run.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <dlfcn.h>

namespace {

struct Any {
  int32_t type_index = 0; ///< 0: none
  uint32_t padding = 0;
  union {
    int64_t integer = 0;
    void* pointer;
  };
};
static_assert(sizeof(Any) == 16);
constexpr int32_t kTensorPointer = 7;

struct Tensor { // DLTensor
  void* data = nullptr;
  int32_t device_type = 1; ///< CPU
  int32_t device_id = 0;
  int32_t ndim = 0;
  uint8_t type_code = 0;
  uint8_t type_bits = 0;
  uint16_t type_lanes = 1;
  int64_t* shape = nullptr;
  int64_t* strides = nullptr;
  uint64_t byte_offset = 0;
};

using Function = int (*)(void* handle, const Any* arguments, int32_t count, Any* result);

// ---- the stand-ins for TVM's runtime

struct Block {
  void* at;
  uint64_t bytes;
  bool taken;
};

std::vector<Block>& blocks() {
  static std::vector<Block> all;
  return all;
}

void* alloc_workspace(int, int, uint64_t bytes, int, int) {
  for (Block& block : blocks())
    if (!block.taken && block.bytes >= bytes && block.bytes <= 2 * bytes) {
      block.taken = true;
      return block.at;
    }
  constexpr uint64_t kAlignment = 64;
  void* at = std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  if (at != nullptr)
    blocks().push_back({at, bytes, true});
  return at;
}

int free_workspace(int, int, void* at) {
  for (Block& block : blocks())
    if (block.at == at)
      block.taken = false;
  return 0;
}

struct ParallelGroup {
  void* sync = nullptr;
  int32_t count = 1;
};

int parallel_launch(int (*body)(int task, ParallelGroup* group, void* data), void* data, int) {
  ParallelGroup alone;
  return body(0, &alone, data);
}

int parallel_barrier(int, ParallelGroup*) { return 0; }

void fill(void* library, const char* variable, void* function) {
  if (void* at = dlsym(library, variable))
    *static_cast<void**>(at) = function;
}

// ---- the call

struct Call {
  Function function = nullptr;
  std::vector<std::vector<int64_t>> shapes;
  std::vector<Tensor> tensors;
  std::vector<Any> arguments;
};

const char* setting(const char* name) {
  const char* text = std::getenv(name);
  return text != nullptr ? text : "";
}

bool describe(Call& call, std::string_view text) {
  while (!text.empty()) {
    const std::string one(text.substr(0, text.find(';')));
    text.remove_prefix(std::min(text.size(), one.size() + 1));
    const char* at = one.c_str();
    Tensor tensor;
    tensor.type_code = *at == 'i' ? 0 : *at == 'u' ? 1 : *at == 'f' ? 2 : *at == 'b' ? 4 : 255;
    if (tensor.type_code == 255)
      return false;
    char* end = nullptr;
    tensor.type_bits = static_cast<uint8_t>(std::strtol(at + 1, &end, 10));
    std::vector<int64_t>& shape = call.shapes.emplace_back();
    while (*end != '\0' && end[1] != '\0')
      shape.push_back(std::strtoll(end + 1, &end, 10));
    tensor.ndim = static_cast<int32_t>(shape.size());
    call.tensors.push_back(tensor);
  }
  for (size_t i = 0; i < call.tensors.size(); ++i) {
    call.tensors[i].shape = call.shapes[i].data();
    Any any;
    any.type_index = kTensorPointer;
    any.pointer = &call.tensors[i];
    call.arguments.push_back(any);
  }
  return !call.tensors.empty();
}

Call* load() {
  // What the library lacks is looked for in this one (TVMFFIErrorSetRaisedFromCStr...).
  Dl_info self{};
  if (dladdr(reinterpret_cast<void*>(&load), &self) != 0)
    dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_GLOBAL);
  void* library = dlopen(setting("TEMPER_PEER_FFI_LIBRARY"), RTLD_LAZY | RTLD_LOCAL);
  if (library == nullptr) {
    std::fprintf(stderr, "%s", dlerror());
    return nullptr;
  }
  const std::string name = std::string("__tvm_ffi_") + setting("TEMPER_PEER_FFI_FUNCTION");
  static Call call;
  call.function = reinterpret_cast<Function>(dlsym(library, name.c_str()));
  if (call.function == nullptr) {
    std::fprintf(stderr, "the library has no %s", name.c_str());
    return nullptr;
  }
  fill(library, "__TVMBackendAllocWorkspace", reinterpret_cast<void*>(&alloc_workspace));
  fill(library, "__TVMBackendFreeWorkspace", reinterpret_cast<void*>(&free_workspace));
  fill(library, "__TVMBackendParallelLaunch", reinterpret_cast<void*>(&parallel_launch));
  fill(library, "__TVMBackendParallelBarrier", reinterpret_cast<void*>(&parallel_barrier));
  return describe(call, setting("TEMPER_PEER_FFI_ARGUMENTS")) ? &call : nullptr;
}

} // namespace

extern "C" {

// What functions in this ABI say when they refuse their arguments.
void TVMFFIErrorSetRaisedFromCStr(const char* kind, const char* message) {
  std::fprintf(stderr, "%s: %s", kind, message);
}
void TVMFFIErrorSetRaisedFromCStrParts(const char* kind, const char** parts, int32_t count) {
  std::fprintf(stderr, "%s: ", kind);
  for (int32_t i = 0; i < count; ++i)
    std::fprintf(stderr, "%s", parts[i] != nullptr ? parts[i] : "");
}

int32_t ffi(void* const* arguments) {
  static Call* const call = load();
  if (call == nullptr)
    return 1;
  for (size_t i = 0; i < call->tensors.size(); ++i)
    call->tensors[i].data = arguments[i];
  Any result;
  return call->function(nullptr, call->arguments.data(),
                        static_cast<int32_t>(call->arguments.size()), &result);
}

} // extern "C"
