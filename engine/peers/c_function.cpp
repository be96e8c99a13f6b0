/// libtemper_peer_c.so: any function in C of a shared library behind the calling convention of an
/// artifact's entry, by libffi (a call costs some 20 ns more than a direct one). What
/// engine/peers.cpp sets in the environment:
///
///   TEMPER_PEER_C_LIBRARY    the library's path
///   TEMPER_PEER_C_FUNCTION   the function's name
///   TEMPER_PEER_C_ARGUMENTS  the arguments in order, as "p0;i32=128;i64=7;f32=1;f64=0.5": the
///                            workload's argument of that number, or a value
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include <dlfcn.h>
#include <ffi.h>

namespace {

union Value {
  int64_t i64;
  int32_t i32;
  double f64;
  float f32;
  void* pointer;
};

struct Call {
  void (*function)() = nullptr;
  ffi_cif interface {};
  std::vector<ffi_type*> types;
  std::deque<Value> values; ///< of all arguments; `places` points into them
  std::vector<void*> places;
  std::vector<std::pair<size_t, size_t>> buffers; ///< argument, number of the workload's argument
};

const char* setting(const char* name) {
  const char* text = std::getenv(name);
  return text != nullptr ? text : "";
}

bool describe(Call& call, std::string_view text) {
  while (!text.empty()) {
    const std::string one(text.substr(0, text.find(';')));
    text.remove_prefix(one.size() + (one.size() < text.size() ? 1 : 0));
    const size_t equals = one.find('=');
    const std::string kind = one.substr(0, equals);
    const char* const value = equals == std::string::npos ? "" : one.c_str() + equals + 1;
    Value& place = call.values.emplace_back();
    if (one[0] == 'p') {
      call.buffers.emplace_back(call.types.size(), std::strtoull(one.c_str() + 1, nullptr, 10));
      call.types.push_back(&ffi_type_pointer);
    } else if (kind == "i32") {
      place.i32 = static_cast<int32_t>(std::strtoll(value, nullptr, 10));
      call.types.push_back(&ffi_type_sint32);
    } else if (kind == "i64") {
      place.i64 = std::strtoll(value, nullptr, 10);
      call.types.push_back(&ffi_type_sint64);
    } else if (kind == "f32") {
      place.f32 = std::strtof(value, nullptr);
      call.types.push_back(&ffi_type_float);
    } else if (kind == "f64") {
      place.f64 = std::strtod(value, nullptr);
      call.types.push_back(&ffi_type_double);
    } else {
      return false;
    }
  }
  for (Value& value : call.values)
    call.places.push_back(&value);
  return ffi_prep_cif(&call.interface, FFI_DEFAULT_ABI, static_cast<unsigned>(call.types.size()),
                      &ffi_type_void, call.types.data()) == FFI_OK;
}

Call* load() {
  // Lazily: what functions beside this one need may not be there.
  void* library = dlopen(setting("TEMPER_PEER_C_LIBRARY"), RTLD_LAZY | RTLD_LOCAL);
  if (library == nullptr) {
    std::fprintf(stderr, "%s", dlerror());
    return nullptr;
  }
  static Call call;
  call.function = reinterpret_cast<void (*)()>(dlsym(library, setting("TEMPER_PEER_C_FUNCTION")));
  if (call.function == nullptr) {
    std::fprintf(stderr, "the library has no function %s", setting("TEMPER_PEER_C_FUNCTION"));
    return nullptr;
  }
  return describe(call, setting("TEMPER_PEER_C_ARGUMENTS")) ? &call : nullptr;
}

} // namespace

extern "C" int32_t c_function(void* const* arguments) {
  static Call* const call = load();
  if (call == nullptr)
    return 1;
  for (const auto& [argument, number] : call->buffers)
    call->values[argument].pointer = arguments[number];
  ffi_call(&call->interface, call->function, nullptr, call->places.data());
  return 0;
}
