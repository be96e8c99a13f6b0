/* C = A + B by OpenMP threads; fails when it does not get two. */
#include <omp.h>
#include <stdint.h>

int32_t parallel_add(void* const* arguments) {
  const float* a = arguments[0];
  const float* b = arguments[1];
  float* c = arguments[2];
  int threads = 0;
#pragma omp parallel
  {
#pragma omp single
    threads = omp_get_num_threads();
#pragma omp for
    for (int i = 0; i < 1000; ++i)
      c[i] = a[i] + b[i];
  }
  return threads == 2 ? 0 : 100 + threads;
}
