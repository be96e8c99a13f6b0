/// libtemper_peer_blas.so: a BLAS library behind the calling convention of an artifact's entry, so
/// that it is measured exactly as a candidate is. Which one says TEMPER_PEER_BLAS, the path of a
/// shared library with the C interface (32 bit integers), which engine/peers.cpp sets. After the
/// buffers come the sizes, int64 each:
///
///   sgemm          A [m, k], B [k, n], C [m, n]                 sizes m, n, k
///   sgemm_nt       A [m, k], B [n, k], C [m, n]                 m, n, k
///   dgemm          as sgemm in float64                          m, n, k
///   batched_sgemm  A [b, m, k], B [b, k, n], C [b, m, n]        b, m, n, k
///   sgemv          A [m, n], x [n], y [m]                       m, n
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include <dlfcn.h>

namespace {

// The values of the C interface's enumerations, the same in all libraries.
constexpr int kRowMajor = 101;
constexpr int kNoTrans = 111;
constexpr int kTrans = 112;

using Sgemm = void (*)(int, int, int, int, int, int, float, const float*, int, const float*, int,
                       float, float*, int);
using Dgemm = void (*)(int, int, int, int, int, int, double, const double*, int, const double*, int,
                       double, double*, int);
using Sgemv = void (*)(int, int, int, int, float, const float*, int, const float*, int, float,
                       float*, int);

template <typename Routine> Routine routine(const char* name) {
  static void* const library = [] {
    const char* path = std::getenv("TEMPER_PEER_BLAS");
    void* const handle = dlopen(path ? path : "", RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr)
      std::fprintf(stderr, "%s", dlerror());
    return handle;
  }();
  return library != nullptr ? reinterpret_cast<Routine>(dlsym(library, name)) : nullptr;
}

int64_t size(void* const* arguments, int index) {
  return *static_cast<const int64_t*>(arguments[index]);
}

int as_blas(int64_t value) { return static_cast<int>(value); }

/// What an entry returns when the library lacks the routine.
constexpr int32_t kNoRoutine = 1;

void multiply(Sgemm sgemm, const float* a, const float* b, float* c, int64_t m, int64_t n,
              int64_t k, bool transposed_b) {
  sgemm(kRowMajor, kNoTrans, transposed_b ? kTrans : kNoTrans, as_blas(m), as_blas(n), as_blas(k),
        1.0F, a, as_blas(k), b, as_blas(transposed_b ? k : n), 0.0F, c, as_blas(n));
}

int32_t run_sgemm(void* const* arguments, bool transposed_b) {
  static const auto gemm = routine<Sgemm>("cblas_sgemm");
  if (gemm == nullptr)
    return kNoRoutine;
  multiply(gemm, static_cast<const float*>(arguments[0]), static_cast<const float*>(arguments[1]),
           static_cast<float*>(arguments[2]), size(arguments, 3), size(arguments, 4),
           size(arguments, 5), transposed_b);
  return 0;
}

} // namespace

extern "C" {

int32_t sgemm(void* const* arguments) { return run_sgemm(arguments, false); }

int32_t sgemm_nt(void* const* arguments) { return run_sgemm(arguments, true); }

int32_t dgemm(void* const* arguments) {
  static const auto gemm = routine<Dgemm>("cblas_dgemm");
  if (gemm == nullptr)
    return kNoRoutine;
  const int m = as_blas(size(arguments, 3));
  const int n = as_blas(size(arguments, 4));
  const int k = as_blas(size(arguments, 5));
  gemm(kRowMajor, kNoTrans, kNoTrans, m, n, k, 1.0, static_cast<const double*>(arguments[0]), k,
       static_cast<const double*>(arguments[1]), n, 0.0, static_cast<double*>(arguments[2]), n);
  return 0;
}

int32_t batched_sgemm(void* const* arguments) {
  static const auto gemm = routine<Sgemm>("cblas_sgemm");
  if (gemm == nullptr)
    return kNoRoutine;
  const auto* a = static_cast<const float*>(arguments[0]);
  const auto* b = static_cast<const float*>(arguments[1]);
  auto* c = static_cast<float*>(arguments[2]);
  const int64_t batch = size(arguments, 3);
  const int64_t m = size(arguments, 4);
  const int64_t n = size(arguments, 5);
  const int64_t k = size(arguments, 6);
  for (int64_t i = 0; i < batch; ++i)
    multiply(gemm, a + i * m * k, b + i * k * n, c + i * m * n, m, n, k, false);
  return 0;
}

int32_t sgemv(void* const* arguments) {
  static const auto gemv = routine<Sgemv>("cblas_sgemv");
  if (gemv == nullptr)
    return kNoRoutine;
  const int m = as_blas(size(arguments, 3));
  const int n = as_blas(size(arguments, 4));
  gemv(kRowMajor, kNoTrans, m, n, 1.0F, static_cast<const float*>(arguments[0]), n,
       static_cast<const float*>(arguments[1]), 1, 0.0F, static_cast<float*>(arguments[2]), 1);
  return 0;
}

} // extern "C"
