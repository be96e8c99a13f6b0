/// How many columns an instruction of wgmma has.
#pragma once

#include <cstdint>

namespace temper::tir {

/// Multiples of 8 up to 256; of int8 and uint8 (`integers`) only 8, 24 and multiples of 16.
inline bool is_wgmma_width(int64_t n, bool integers) {
  return n >= 8 && n <= 256 && n % 8 == 0 && (!integers || n % 16 == 0 || n == 8 || n == 24);
}

} // namespace temper::tir
