/// libtemper_peer_openblas.so: OpenBLAS behind the calling convention of an artifact's entry, so
/// that it is measured exactly as a candidate is. After the buffers come the sizes, int64 each:
///
///   sgemm          A [m, k], B [k, n], C [m, n]                 sizes m, n, k
///   sgemm_nt       A [m, k], B [n, k], C [m, n]                 m, n, k
///   dgemm          as sgemm in float64                          m, n, k
///   batched_sgemm  A [b, m, k], B [b, k, n], C [b, m, n]        b, m, n, k
///   sgemv          A [m, n], x [n], y [m]                       m, n
#include <cblas.h>

#include <cstddef>
#include <cstdint>

namespace {

int64_t size(void* const* arguments, int index) {
  return *static_cast<const int64_t*>(arguments[index]);
}

int as_blas(int64_t value) { return static_cast<int>(value); }

void multiply(const float* a, const float* b, float* c, int64_t m, int64_t n, int64_t k,
              bool transposed_b) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, transposed_b ? CblasTrans : CblasNoTrans, as_blas(m),
              as_blas(n), as_blas(k), 1.0F, a, as_blas(k), b, as_blas(transposed_b ? k : n), 0.0F,
              c, as_blas(n));
}

int32_t run_sgemm(void* const* arguments, bool transposed_b) {
  multiply(static_cast<const float*>(arguments[0]), static_cast<const float*>(arguments[1]),
           static_cast<float*>(arguments[2]), size(arguments, 3), size(arguments, 4),
           size(arguments, 5), transposed_b);
  return 0;
}

} // namespace

extern "C" {

int32_t sgemm(void* const* arguments) { return run_sgemm(arguments, false); }

int32_t sgemm_nt(void* const* arguments) { return run_sgemm(arguments, true); }

int32_t dgemm(void* const* arguments) {
  const int m = as_blas(size(arguments, 3));
  const int n = as_blas(size(arguments, 4));
  const int k = as_blas(size(arguments, 5));
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1.0,
              static_cast<const double*>(arguments[0]), k, static_cast<const double*>(arguments[1]),
              n, 0.0, static_cast<double*>(arguments[2]), n);
  return 0;
}

int32_t batched_sgemm(void* const* arguments) {
  const auto* a = static_cast<const float*>(arguments[0]);
  const auto* b = static_cast<const float*>(arguments[1]);
  auto* c = static_cast<float*>(arguments[2]);
  const int64_t batch = size(arguments, 3);
  const int64_t m = size(arguments, 4);
  const int64_t n = size(arguments, 5);
  const int64_t k = size(arguments, 6);
  for (int64_t i = 0; i < batch; ++i)
    multiply(a + i * m * k, b + i * k * n, c + i * m * n, m, n, k, false);
  return 0;
}

int32_t sgemv(void* const* arguments) {
  const int m = as_blas(size(arguments, 3));
  const int n = as_blas(size(arguments, 4));
  cblas_sgemv(CblasRowMajor, CblasNoTrans, m, n, 1.0F, static_cast<const float*>(arguments[0]), n,
              static_cast<const float*>(arguments[1]), 1, 0.0F, static_cast<float*>(arguments[2]),
              1);
  return 0;
}

} // extern "C"
