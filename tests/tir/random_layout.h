/// Random layouts for property tests.
#pragma once

#include "ir/support/random.h"
#include "ir/tir/layout.h"

namespace temper::tir::testing {

/// A layout of 1 to 3 dimensions in which every place is taken exactly once (bijective): digits of
/// a mixed radix dealt to "lane", "warp" and "m" in random order. With `swizzles` and sizes that
/// allow it, an XOR swizzle on memory.
inline Layout random_bijection(Random& random, bool threads, bool replicas, bool swizzles) {
  Layout layout;
  const int64_t rank = random.between(1, 3);
  for (int64_t d = 0; d < rank; ++d) {
    int64_t extent = 1;
    const int64_t digits = random.between(1, 3);
    // At most some 2,000 elements: the tests look at each of them.
    for (int64_t i = 0; i < digits && layout.size() * extent <= 256; ++i) {
      const int64_t choices[] = {2, 2, 4, 2, 3, 8, 4, 5};
      const int64_t digit = choices[random.below(swizzles ? 3 : 8)];
      layout.digits.push_back({digit, 0, kMemoryAxis});
      extent *= digit;
    }
    layout.shape.push_back(extent);
  }
  if (replicas)
    layout.replicas.push_back({random.between(2, 3), 0, kMemoryAxis});
  // Deal strides: a random order of all digits, each on top of what its axis has.
  std::vector<LayoutDigit*> order;
  for (auto* list : {&layout.digits, &layout.replicas})
    for (LayoutDigit& digit : *list)
      order.push_back(&digit);
  for (size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1], order[static_cast<size_t>(random.below(static_cast<int64_t>(i)))]);
  int64_t spans[] = {1, 1, 1};
  const char* axes[] = {kMemoryAxis, kLaneAxis, kWarpAxis};
  for (LayoutDigit* digit : order) {
    const bool replica = !layout.replicas.empty() && digit == &layout.replicas[0];
    const int64_t axis = replica ? random.between(1, 2) : threads ? random.below(3) : 0;
    digit->axis = axes[axis];
    digit->stride = spans[axis];
    spans[axis] *= digit->extent;
  }
  if (swizzles) {
    int64_t bits = 0; // of memory
    while (int64_t{2} << bits <= spans[0])
      ++bits;
    if (bits >= 2) {
      const int64_t width = random.between(1, std::min<int64_t>(3, bits / 2));
      const int64_t base = random.between(0, bits - 2 * width);
      const int64_t shift = random.between(width, bits - base - width);
      layout.swizzle = random.below(4) == 0 ? XorSwizzle{width, base + shift, -shift}
                                            : XorSwizzle{width, base, shift};
    }
  }
  return layout;
}

} // namespace temper::tir::testing
