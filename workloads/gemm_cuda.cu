// Matrix product in CUDA C++: tiles of A and B in shared memory, a tile of C in each thread's
// registers.
/* temper
from tvm import te
from tvm.script import tirx as T


def gemm_cuda(
    M,
    N,
    K,
    BM=T.tune([32, 64, 128]),
    BN=T.tune([32, 64, 128]),
    BK=T.tune([8, 16, 32]),
    TM=T.tune([2, 4, 8]),
    TN=T.tune([2, 4, 8]),
    VECTOR=T.tune([1, 4]),
    PAD=T.tune([0, 4]),
):
    """C = A B in float32, row-major: the kernel is CUDA C++"""
    threads = (BM // TM) * (BN // TN)
    T.constraint(32 <= threads and threads <= 1024)
    # Each thread brings as many elements of a tile as any other.
    T.constraint(BM * BK % (threads * VECTOR) == 0)
    T.constraint(BK * BN % (threads * VECTOR) == 0)
    # Vectors lie within rows, and are aligned.
    T.constraint(VECTOR == 1 or (N % VECTOR == 0 and K % VECTOR == 0))

    @T.prim_func
    def main(
        A: T.Tensor((M, K), "float32"),
        B: T.Tensor((K, N), "float32"),
        C: T.Tensor((M, N), "float32"),
    ):
        with T.Kernel(T.ceildiv(N, BN), T.ceildiv(M, BM), threads=(BN // TN, BM // TM)):
            T.source_kernel(
                "gemm",
                writes=C,
                shared=4 * (BK * (BM + PAD) + BK * BN),
                define=dict(
                    M=M, N=N, K=K, BM=BM, BN=BN, BK=BK, TM=TM, TN=TN, VECTOR=VECTOR, PAD=PAD
                ),
            )

    return main


def gemm_cuda_reference(M, N, K):
    A = te.placeholder((M, K), "float32", name="A")
    B = te.placeholder((K, N), "float32", name="B")
    k = te.reduce_axis((0, K), name="k")
    C = te.compute((M, N), lambda i, j: te.sum(A[i, k] * B[k, j], axis=k), name="C")
    return te.create_prim_func([A, B, C])


gemm_cuda_workload = dict(
    shapes=[dict(M=1024, N=1024, K=1024), dict(M=512, N=384, K=200), dict(M=100, N=60, K=36)],
    flops="2*M*N*K",
    bytes="4*(M*K + K*N + M*N)",
)
*/

#if VECTOR == 4
typedef float4 vector_t;
__device__ __forceinline__ vector_t zeros() { return make_float4(0.0f, 0.0f, 0.0f, 0.0f); }
#else
typedef float vector_t;
__device__ __forceinline__ vector_t zeros() { return 0.0f; }
#endif

extern "C" __global__ void __launch_bounds__((BM / TM) * (BN / TN))
    gemm(const float* __restrict__ A, const float* __restrict__ B, float* __restrict__ C) {
  constexpr int threads = (BM / TM) * (BN / TN);
  constexpr int pitch = BM + PAD;  // of A's tile, which lies transposed
  extern __shared__ __align__(16) float tiles[];
  float* const a_tile = tiles;
  float* const b_tile = tiles + BK * pitch;
  const int thread = threadIdx.y * blockDim.x + threadIdx.x;
  const int row = blockIdx.y * BM, column = blockIdx.x * BN;

  float sums[TM][TN] = {};
  for (int k0 = 0; k0 < K; k0 += BK) {
#pragma unroll
    for (int i = thread * VECTOR; i < BM * BK; i += threads * VECTOR) {
      const int m = i / BK, k = i % BK;
      vector_t values = zeros();
      if (row + m < M && k0 + k < K)
        values = *reinterpret_cast<const vector_t*>(A + (row + m) * K + k0 + k);
#pragma unroll
      for (int v = 0; v < VECTOR; ++v)
        a_tile[(k + v) * pitch + m] = reinterpret_cast<const float*>(&values)[v];
    }
#pragma unroll
    for (int i = thread * VECTOR; i < BK * BN; i += threads * VECTOR) {
      const int k = i / BN, n = i % BN;
      vector_t values = zeros();
      if (k0 + k < K && column + n < N)
        values = *reinterpret_cast<const vector_t*>(B + (k0 + k) * N + column + n);
      *reinterpret_cast<vector_t*>(b_tile + k * BN + n) = values;
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < BK; ++k) {
      float a[TM], b[TN];
#pragma unroll
      for (int m = 0; m < TM; ++m)
        a[m] = a_tile[k * pitch + threadIdx.y * TM + m];
#pragma unroll
      for (int n = 0; n < TN; ++n)
        b[n] = b_tile[k * BN + n * (BN / TN) + threadIdx.x];
#pragma unroll
      for (int m = 0; m < TM; ++m)
#pragma unroll
        for (int n = 0; n < TN; ++n)
          sums[m][n] += a[m] * b[n];
    }
    __syncthreads();
  }
#pragma unroll
  for (int m = 0; m < TM; ++m)
#pragma unroll
    for (int n = 0; n < TN; ++n) {
      const int y = row + threadIdx.y * TM + m;
      const int x = column + n * (BN / TN) + threadIdx.x;
      if (y < M && x < N)
        C[y * N + x] = sums[m][n];
    }
}
