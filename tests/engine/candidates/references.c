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
/* Up to three dimensions d, h, w; channels last, a group's channels together. */
struct convolution {
  int n, d, h, w, ci, co, kd, kh, kw, groups, stride, pad, dilation;
};
static int outputs(int extent, int filter, int stride, int pad, int dilation) {
  return (extent + 2 * pad - dilation * (filter - 1) - 1) / stride + 1;
}
static void convolve3(struct convolution c, const double* x, const double* w, double* y) {
  /* a dimension that is not there has extent 1 and no padding */
  const int pd = c.d > 1 ? c.pad : 0, ph = c.h > 1 ? c.pad : 0;
  const int od = outputs(c.d, c.kd, c.stride, pd, c.dilation);
  const int oh = outputs(c.h, c.kh, c.stride, ph, c.dilation);
  const int ow = outputs(c.w, c.kw, c.stride, c.pad, c.dilation);
  const int cig = c.ci / c.groups, cog = c.co / c.groups;
  for (int64_t i = 0; i < (int64_t)c.n * od * oh * ow * c.co; ++i) {
    const int o = i % c.co, g = o / cog;
    const int q = i / c.co % ow, p = i / c.co / ow % oh, z = i / c.co / ow / oh % od;
    const int n = i / c.co / ow / oh / od;
    double sum = 0;
    for (int t = 0; t < c.kd; ++t)
      for (int r = 0; r < c.kh; ++r)
        for (int s = 0; s < c.kw; ++s) {
          const int d = z * c.stride + t * c.dilation - pd;
          const int h = p * c.stride + r * c.dilation - ph;
          const int v = q * c.stride + s * c.dilation - c.pad;
          if (d < 0 || d >= c.d || h < 0 || h >= c.h || v < 0 || v >= c.w)
            continue;
          for (int k = 0; k < cig; ++k)
            sum += x[(((n * c.d + d) * c.h + h) * c.w + v) * c.ci + g * cig + k] *
                   w[(((t * c.kh + r) * c.kw + s) * cig + k) * c.co + o];
        }
    y[i] = sum;
  }
}
int32_t conv1d(void* const* x) {
  convolve3((struct convolution){2, 1, 1, 11, 5, 7, 1, 1, 3, 1, 2, 1, 2}, x[0], x[1], x[2]);
  return 0;
}
int32_t grouped_dilated(void* const* x) {
  convolve3((struct convolution){2, 1, 9, 8, 6, 10, 1, 3, 2, 2, 2, 1, 2}, x[0], x[1], x[2]);
  return 0;
}
int32_t conv3d(void* const* x) {
  convolve3((struct convolution){2, 4, 5, 6, 3, 5, 3, 3, 3, 1, 2, 1, 1}, x[0], x[1], x[2]);
  return 0;
}
int32_t transposed_conv(void* const* arguments) {
  enum { TH = 4, TW = 3, TI = 5, TO = 7, TP = 8, TQ = 6 };
  const double *x = arguments[0], *w = arguments[1];
  double* y = arguments[2];
  for (int i = 0; i < 2 * TP * TQ * TO; ++i)
    y[i] = 0;
  for (int n = 0; n < 2; ++n)
    for (int h = 0; h < TH; ++h)
      for (int v = 0; v < TW; ++v)
        for (int r = 0; r < 4; ++r)
          for (int s = 0; s < 4; ++s) {
            const int p = 2 * h + r - 1, q = 2 * v + s - 1;
            if (p < 0 || p >= TP || q < 0 || q >= TQ)
              continue;
            for (int i = 0; i < TI; ++i)
              for (int o = 0; o < TO; ++o)
                y[((n * TP + p) * TQ + q) * TO + o] +=
                    x[((n * TH + h) * TW + v) * TI + i] * w[((r * 4 + s) * TI + i) * TO + o];
          }
  return 0;
}
int32_t capsules(void* const* arguments) {
  enum { CH = 5, CW = 6, KI = 3, KO = 5, CP = 3, CQ = 3, C = 2 };
  const double *x = arguments[0], *w = arguments[1];
  double* y = arguments[2];
  for (int e = 0; e < 2 * CP * CQ * C * C * KO; ++e) {
    const int o = e % KO, j = e / KO % C, i = e / KO / C % C;
    const int q = e / KO / C / C % CQ, p = e / KO / C / C / CQ % CP, n = e / KO / C / C / CQ / CP;
    y[e] = 0;
    for (int r = 0; r < 3; ++r)
      for (int s = 0; s < 3; ++s) {
        const int h = 2 * p + r - 1, v = 2 * q + s - 1;
        if (h < 0 || h >= CH || v < 0 || v >= CW)
          continue;
        for (int k = 0; k < C; ++k)
          for (int c = 0; c < KI; ++c)
            y[e] += x[((((n * CH + h) * CW + v) * C + i) * C + k) * KI + c] *
                    w[((((r * 3 + s) * C + k) * C + j) * KI + c) * KO + o];
      }
  }
  return 0;
}
int32_t attention(void* const* arguments) {
  enum { B = 2, L = 7, HEADS = 3, D = 5 };
  const double *x = arguments[0], *y = arguments[1];
  double* z = arguments[2];
  for (int b = 0; b < B; ++b)
    for (int h = 0; h < HEADS; ++h)
      for (int i = 0; i < L; ++i)
        for (int j = 0; j < L; ++j) {
          double sum = 0;
          for (int d = 0; d < D; ++d)
            sum += x[((b * L + i) * HEADS + h) * D + d] * y[((b * L + j) * HEADS + h) * D + d];
          z[((b * HEADS + h) * L + i) * L + j] = sum;
        }
  return 0;
}
int32_t norms(void* const* arguments) {
  const double* x = arguments[0];
  double* y = arguments[1];
  for (int b = 0; b < 3; ++b) {
    double sum = 0;
    for (int i = 0; i < 77; ++i)
      sum += x[b * 77 + i] * x[b * 77 + i];
    y[b] = sqrt(sum);
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
