/* Plain loops in double: what the peers are held against. */
#include <math.h>
#include <stdint.h>

static void multiply(const double* a, const double* b, double* c, int m, int n, int k, int nt) {
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j) {
      double sum = 0;
      for (int l = 0; l < k; ++l)
        sum += a[i * k + l] * (nt ? b[j * k + l] : b[l * n + j]);
      c[i * n + j] = sum;
    }
}

int32_t matmul_17_23_9(void* const* x) { multiply(x[0], x[1], x[2], 17, 23, 9, 0); return 0; }
int32_t matmul_nt_17_23_9(void* const* x) { multiply(x[0], x[1], x[2], 17, 23, 9, 1); return 0; }
int32_t matmul_17_1_9(void* const* x) { multiply(x[0], x[1], x[2], 17, 1, 9, 0); return 0; }
int32_t batched_3_17_23_9(void* const* x) {
  const double *a = x[0], *b = x[1];
  double* c = x[2];
  for (int i = 0; i < 3; ++i)
    multiply(a + i * 17 * 9, b + i * 9 * 23, c + i * 17 * 23, 17, 23, 9, 0);
  return 0;
}

enum { N = 2, H = 9, W = 8, CI = 5, CO = 7, P = 5, Q = 4 };

static void convolve(const double* x, const double* w, const double* bias, double* y) {
  for (int n = 0; n < N; ++n)
    for (int p = 0; p < P; ++p)
      for (int q = 0; q < Q; ++q)
        for (int o = 0; o < CO; ++o) {
          double sum = bias ? bias[o] : 0;
          for (int r = 0; r < 3; ++r)
            for (int s = 0; s < 3; ++s) {
              int h = 2 * p + r - 1, v = 2 * q + s - 1;
              if (h < 0 || h >= H || v < 0 || v >= W)
                continue;
              for (int i = 0; i < CI; ++i)
                sum += x[((n * H + h) * W + v) * CI + i] * w[((r * 3 + s) * CI + i) * CO + o];
            }
          y[((n * P + p) * Q + q) * CO + o] = bias && sum < 0 ? 0 : sum;
        }
}
int32_t conv_bias_relu(void* const* x) { convolve(x[0], x[1], x[2], x[3]); return 0; }
int32_t conv(void* const* x) { convolve(x[0], x[1], 0, x[2]); return 0; }
int32_t depthwise(void* const* arguments) {
  const double *x = arguments[0], *w = arguments[1];
  double* y = arguments[2];
  for (int n = 0; n < N; ++n)
    for (int p = 0; p < P; ++p)
      for (int q = 0; q < Q; ++q)
        for (int c = 0; c < CI; ++c) {
          double sum = 0;
          for (int r = 0; r < 3; ++r)
            for (int s = 0; s < 3; ++s) {
              int h = 2 * p + r - 1, v = 2 * q + s - 1;
              if (h >= 0 && h < H && v >= 0 && v < W)
                sum += x[((n * H + h) * W + v) * CI + c] * w[(r * 3 + s) * CI + c];
            }
          y[((n * P + p) * Q + q) * CI + c] = sum;
        }
  return 0;
}
int32_t softmax(void* const* arguments) {
  const double* x = arguments[0];
  double* y = arguments[1];
  for (int i = 0; i < 17; ++i) {
    double largest = -1e300, sum = 0;
    for (int j = 0; j < 23; ++j)
      largest = fmax(largest, x[i * 23 + j]);
    for (int j = 0; j < 23; ++j)
      sum += y[i * 23 + j] = exp(x[i * 23 + j] - largest);
    for (int j = 0; j < 23; ++j)
      y[i * 23 + j] /= sum;
  }
  return 0;
}
int32_t layer_norm(void* const* arguments) {
  const double *x = arguments[0], *gamma = arguments[1], *beta = arguments[2];
  double* y = arguments[3];
  for (int i = 0; i < 17; ++i) {
    double mean = 0, variance = 0;
    for (int j = 0; j < 23; ++j)
      mean += x[i * 23 + j] / 23;
    for (int j = 0; j < 23; ++j)
      variance += (x[i * 23 + j] - mean) * (x[i * 23 + j] - mean) / 23;
    for (int j = 0; j < 23; ++j)
      y[i * 23 + j] = (x[i * 23 + j] - mean) / sqrt(variance + 1e-5) * gamma[j] + beta[j];
  }
  return 0;
}
int32_t relu(void* const* arguments) {
  const double* x = arguments[0];
  double* y = arguments[1];
  for (int i = 0; i < 391; ++i)
    y[i] = x[i] > 0 ? x[i] : 0;
  return 0;
}
