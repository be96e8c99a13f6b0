/* Calls an exported kernel through its C header and compares it with plain loops. */
#include "kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
  enum { n = 512 };
  float* a = aligned_alloc(64, n * n * sizeof(float));
  float* b = aligned_alloc(64, n * n * sizeof(float));
  float* c = aligned_alloc(64, n * n * sizeof(float));
  if (!a || !b || !c)
    return 1;
  for (int i = 0; i < n * n; ++i) {
    a[i] = (float)(i % 7) - 3;
    b[i] = (float)(i % 5) - 2;
  }
  if (matmul_f32_512x512x512(a, b, c) != 0) {
    fprintf(stderr, "%s\n", kernels_last_error());
    return 1;
  }
  double worst = 0;
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < n; ++j) {
      double sum = 0;
      for (int k = 0; k < n; ++k)
        sum += (double)a[i * n + k] * b[k * n + j];
      worst = fmax(worst, fabs(sum - c[i * n + j]));
    }
  }
  printf("  matmul_f32_512x512x512: largest error %g\n", worst);
  /* Arguments are checked: an output that overlaps an input is refused. */
  if (matmul_f32_512x512x512(a, b, a) == 0) {
    fprintf(stderr, "an overlapping output was not refused\n");
    return 1;
  }
  printf("  overlapping output refused: %s\n", kernels_last_error());
  free(a);
  free(b);
  free(c);
  return worst == 0 ? 0 : 1;
}
