// One target for libFuzzer: compiled once for each, as TEMPER_FUZZ_TARGET says.
#include "ir/s_tir/layer.h"
#include "tests/fuzz/targets.h"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bool registered = (temper::s_tir::register_layer(), true);
  (void)registered;
  temper::fuzz::TEMPER_FUZZ_TARGET({reinterpret_cast<const char*>(data), size});
  return 0;
}
