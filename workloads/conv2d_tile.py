"""Convolution as a matrix product: the window that a tile of outputs reads is gathered into shared
memory, channels last."""
from tvm.script import tirx as T


def conv2d_tile(
    N,
    H,
    W,
    CI,
    CO,
    R,
    S,
    stride=1,
    pad=0,
    dtype="float32",
    block_M=T.tune([64, 32, 128, 256]),
    block_N=T.tune([64, 32, 128]),
    block_K=T.tune([64, 32, 128, 256]),
):
    """Y = X * F; X: [N, H, W, CI], F: [R, S, CI, CO], Y: [N, OH, OW, CO]."""
    OH = (H + 2 * pad - R) // stride + 1
    OW = (W + 2 * pad - S) // stride + 1
    depth = R * S * CI

    @T.prim_func
    def main(
        X: T.Tensor((N, H, W, CI), dtype),
        F: T.Tensor((R, S, CI, CO), dtype),
        Y: T.Tensor((N, OH, OW, CO), dtype),
    ):
        with T.Kernel(T.ceildiv(CO, block_N), T.ceildiv(N * OH * OW, block_M)) as (bx, by):
            window = T.alloc_shared((block_M, block_K), dtype)
            filter = T.alloc_shared((block_K, block_N), dtype)
            out = T.alloc_fragment((block_M, block_N), dtype)
            T.clear(out)
            for k in T.Pipelined(T.ceildiv(depth, block_K)):
                T.im2col(X, window, by, k, (R, S), stride, 1, pad)
                for i, j in T.Parallel(block_K, block_N):
                    d = k * block_K + i
                    c = bx * block_N + j
                    filter[i, j] = T.if_then_else(
                        d < depth and c < CO, F[d // (S * CI), d // CI % S, d % CI, c], T.cast(0, dtype)
                    )
                T.gemm(window, filter, out)
            for i, j in T.Parallel(block_M, block_N):
                m = by * block_M + i
                c = bx * block_N + j
                if m < N * OH * OW and c < CO:
                    Y[m // (OH * OW), m // OW % OH, m % OW, c] = out[i, j]

    return main


def conv2d_tile_reference(N, H, W, CI, CO, R, S, stride=1, pad=0, dtype="float32"):
    OH = (H + 2 * pad - R) // stride + 1
    OW = (W + 2 * pad - S) // stride + 1

    @T.prim_func
    def main(
        X: T.Buffer((N, H, W, CI), dtype),
        F: T.Buffer((R, S, CI, CO), dtype),
        Y: T.Buffer((N, OH, OW, CO), dtype),
    ):
        for n, y, x, c in T.grid(N, OH, OW, CO):
            Y[n, y, x, c] = T.cast(0, dtype)
            for r, s in T.grid(R, S):
                if (
                    y * stride + r >= pad
                    and y * stride + r < H + pad
                    and x * stride + s >= pad
                    and x * stride + s < W + pad
                ):
                    for i in range(CI):
                        Y[n, y, x, c] = (
                            Y[n, y, x, c]
                            + X[n, y * stride + r - pad, x * stride + s - pad, i] * F[r, s, i, c]
                        )

    return main


conv2d_tile_workload = dict(
    shapes=[
        dict(N=1, H=28, W=28, CI=64, CO=64, R=3, S=3, pad=1),
        dict(N=1, H=30, W=30, CI=32, CO=64, R=3, S=3, stride=2, pad=1),
    ],
    flops="2*N*((H + 2*pad - R)//stride + 1)*((W + 2*pad - S)//stride + 1)*CO*R*S*CI",
    bytes="sizeof(dtype)*(N*H*W*CI + R*S*CI*CO + N*((H + 2*pad - R)//stride + 1)*((W + 2*pad - S)//stride + 1)*CO)",
)
