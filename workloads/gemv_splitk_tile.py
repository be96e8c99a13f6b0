"""Matrix times vector, the long sum shared out among blocks: each leaves its part in a workspace, and
a second kernel adds them up. For few rows, which alone would not fill a machine."""
from tvm.script import tirx as T


def gemv_splitk_tile(
    N,
    K,
    dtype="float32",
    splits=T.tune([4, 1, 2, 8, 16]),
    rows=T.tune([8, 1, 2, 4, 16]),
    block_K=T.tune([1024, 128, 256, 512, 2048]),
    by_copy=T.tune([False, True]),
):
    """y = W x; W: [N, K], x: [K], y: [N]."""
    # Sums of many terms need more digits than 16 bits have.
    sums = "float32" if dtype in ("float16", "bfloat16") else dtype
    T.constraint(K % (splits * block_K) == 0)
    T.constraint(N % rows == 0)
    steps = K // (splits * block_K)

    @T.prim_func
    def main(W: T.Tensor((N, K), dtype), x: T.Tensor((K,), dtype), y: T.Tensor((N,), dtype)):
        parts = T.alloc_buffer((splits, N), sums)
        with T.Kernel(N // rows, splits) as (bx, by):
            x_shared = T.alloc_shared((block_K,), dtype)
            weights = T.alloc_fragment((rows, block_K), sums)
            products = T.alloc_fragment((rows, block_K), sums)
            total = T.alloc_fragment((rows,), sums)
            T.clear(total)
            for k in T.serial(steps):
                first = (by * steps + k) * block_K
                T.copy(x[first], x_shared)
                if by_copy:  # several elements at a time on GPUs
                    T.copy(W[bx * rows, first], weights)
                    for i, j in T.Parallel(rows, block_K):
                        products[i, j] = weights[i, j] * T.cast(x_shared[j], sums)
                else:
                    for i, j in T.Parallel(rows, block_K):
                        products[i, j] = T.cast(W[bx * rows + i, first + j], sums) * T.cast(
                            x_shared[j], sums
                        )
                T.reduce_sum(products, total, dim=1, clear=False)
            T.copy(total, parts[by, bx * rows])
        with T.Kernel(T.ceildiv(N, 256)) as bx:
            result = T.alloc_fragment((256,), sums)
            T.clear(result)
            for s in T.serial(splits):
                for i in T.Parallel(256):
                    result[i] = result[i] + parts[s, bx * 256 + i]
            T.copy(result, y[bx * 256])

    return main


def gemv_splitk_tile_reference(N, K, dtype="float32"):
    @T.prim_func
    def main(W: T.Buffer((N, K), dtype), x: T.Buffer((K,), dtype), y: T.Buffer((N,), dtype)):
        for i in range(N):
            y[i] = T.cast(0, dtype)
            for k in range(K):
                y[i] = y[i] + W[i, k] * x[k]

    return main


gemv_splitk_tile_workload = dict(
    shapes=[dict(N=4096, K=4096), dict(N=64, K=16384)],
    flops="2*N*K",
    bytes="sizeof(dtype)*(N*K + N + K)",
)
