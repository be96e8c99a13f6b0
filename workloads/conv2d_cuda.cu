// Two-dimensional filter of an image in CUDA C++, one channel, as image processing has it: a tile
// of the image with its border in shared memory, several pixels a thread.
/* temper
from tvm import te
from tvm.script import tirx as T


def conv2d_cuda(
    H,
    W,
    R=7,
    BX=T.tune([16, 32, 64, 128]),
    BY=T.tune([1, 2, 4, 8, 16]),
    TX=T.tune([1, 2, 4]),
    TY=T.tune([1, 2, 4, 8]),
    UNROLL=T.tune([0, 1]),
    SHARED=T.tune([0, 1]),
):
    """Y = X filtered by R x R weights: the kernel is CUDA C++"""
    T.constraint(64 <= BX * BY and BX * BY <= 1024)
    # Without a tile there is nothing that neighbours share.
    T.constraint(SHARED == 1 or TX * TY == 1)
    tile = (BX * TX + R - 1) * (BY * TY + R - 1)

    @T.prim_func
    def main(
        X: T.Tensor((H + R - 1, W + R - 1), "float32"),
        F: T.Tensor((R, R), "float32"),
        Y: T.Tensor((H, W), "float32"),
    ):
        with T.Kernel(T.ceildiv(W, BX * TX), T.ceildiv(H, BY * TY), threads=(BX, BY)):
            T.source_kernel(
                "filter",
                writes=Y,
                shared=4 * (tile if SHARED == 1 else 0),
                define=dict(H=H, W=W, R=R, BX=BX, BY=BY, TX=TX, TY=TY, UNROLL=UNROLL, SHARED=SHARED),
            )

    return main


def conv2d_cuda_reference(H, W, R=7):
    X = te.placeholder((H + R - 1, W + R - 1), "float32", name="X")
    F = te.placeholder((R, R), "float32", name="F")
    r = te.reduce_axis((0, R), name="r")
    s = te.reduce_axis((0, R), name="s")
    Y = te.compute((H, W), lambda i, j: te.sum(X[i + r, j + s] * F[r, s], axis=[r, s]), name="Y")
    return te.create_prim_func([X, F, Y])


conv2d_cuda_workload = dict(
    shapes=[dict(H=2048, W=2048), dict(H=4096, W=4096, R=15), dict(H=100, W=70, R=3)],
    flops="2*H*W*R*R",
    bytes="4*((H + R - 1)*(W + R - 1) + R*R + H*W)",
)
*/

constexpr int kWidth = W + R - 1;
constexpr int kHeight = H + R - 1;
constexpr int kUnrolled = UNROLL ? R : 1;

extern "C" __global__ void __launch_bounds__(BX * BY)
    filter(const float* __restrict__ X, const float* __restrict__ F, float* __restrict__ Y) {
  const int left = blockIdx.x * (BX * TX), top = blockIdx.y * (BY * TY);
#if SHARED
  constexpr int tile_width = BX * TX + R - 1, tile_height = BY * TY + R - 1;
  extern __shared__ float tile[];
  for (int y = threadIdx.y; y < tile_height; y += BY)
    for (int x = threadIdx.x; x < tile_width; x += BX)
      if (top + y < kHeight && left + x < kWidth)
        tile[y * tile_width + x] = X[(top + y) * kWidth + left + x];
  __syncthreads();
#endif
  float sums[TY][TX] = {};
#pragma unroll kUnrolled
  for (int r = 0; r < R; ++r)
#pragma unroll kUnrolled
    for (int s = 0; s < R; ++s) {
      const float weight = F[r * R + s];
#pragma unroll
      for (int ty = 0; ty < TY; ++ty)
#pragma unroll
        for (int tx = 0; tx < TX; ++tx) {
          const int y = threadIdx.y + ty * BY, x = threadIdx.x + tx * BX;
#if SHARED
          sums[ty][tx] += tile[(y + r) * tile_width + x + s] * weight;
#else
          if (top + y < H && left + x < W)
            sums[ty][tx] += X[(top + y + r) * kWidth + left + x + s] * weight;
#endif
        }
    }
#pragma unroll
  for (int ty = 0; ty < TY; ++ty)
#pragma unroll
    for (int tx = 0; tx < TX; ++tx) {
      const int y = top + threadIdx.y + ty * BY, x = left + threadIdx.x + tx * BX;
      if (y < H && x < W)
        Y[y * W + x] = sums[ty][tx];
    }
}
