/* Kernels whose work is cut into equal parts; how many of them are done is the last argument, so
   that 204 of 200 (four are done twice) is the same kernel slowed by 2 %. Results do not depend on
   how often a part is done. Compiled as what is measured: optimised, never sanitized. */
#include <stdint.h>

static int64_t parts_of(void* const* arguments, int index) {
  return *(const int64_t*)arguments[index];
}

/* C = A B, A [200, k], B [k, n]: a part is a row. */
static inline void rows(const float* restrict a, const float* restrict b, float* restrict c,
                        int64_t parts, int n, int k) {
  for (int64_t part = 0; part < parts; ++part) {
    const int64_t row = part % 200;
    float* restrict out = c + row * n;
    for (int j = 0; j < n; ++j)
      out[j] = 0;
    for (int x = 0; x < k; ++x) {
      const float factor = a[row * k + x];
      for (int j = 0; j < n; ++j)
        out[j] += factor * b[x * n + j];
    }
  }
}

/* A [200, 64], B [64, 64], C [200, 64]: in the first two levels of cache. */
int32_t compute(void* const* arguments) {
  rows(arguments[0], arguments[1], arguments[2], parts_of(arguments, 3), 64, 64);
  return 0;
}

/* A [200, 8], B [8, 16], C [200, 16]: a few microseconds. */
int32_t brief(void* const* arguments) {
  rows(arguments[0], arguments[1], arguments[2], parts_of(arguments, 3), 16, 8);
  return 0;
}

/* X, Y [200, 10000], 8 MB each: beyond the second level. Parts that are done twice are from the
   middle: those at the start would be in the cache when the next call begins with them. */
int32_t stream(void* const* arguments) {
  const float* restrict x = arguments[0];
  float* restrict y = arguments[1];
  const int64_t parts = parts_of(arguments, 2);
  for (int64_t part = 0; part < parts; ++part) {
    const int64_t from = (part < 200 ? part : part - 100) * 10000;
    for (int64_t i = from; i < from + 10000; ++i)
      y[i] = 3.0F * x[i] + 1.0F;
  }
  return 0;
}
