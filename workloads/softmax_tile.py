"""Softmax over rows as a tile program: a block of rows stays in registers or in the cache from load to
store."""
from tvm.script import tirx as T


def softmax_tile(
    M,
    N,
    dtype="float32",
    block_M=T.tune([1, 2, 4, 8, 16, 32]),
    by_copy=T.tune([False, True]),
):
    """Y[i, j] = exp(X[i, j] - max_j X[i, :]) / sum; X, Y: [M, N], over the last axis."""
    # Sums of many terms need more digits than 16 bits have.
    sums = "float32" if dtype in ("float16", "bfloat16") else dtype

    @T.prim_func
    def main(X: T.Tensor((M, N), dtype), Y: T.Tensor((M, N), dtype)):
        with T.Kernel(T.ceildiv(M, block_M)) as bx:
            rows = T.alloc_fragment((block_M, N), sums)
            largest = T.alloc_fragment((block_M,), sums)
            total = T.alloc_fragment((block_M,), sums)
            T.copy(X[bx * block_M, 0], rows)
            T.reduce_max(rows, largest, dim=1)
            for i, j in T.Parallel(block_M, N):
                rows[i, j] = T.exp(rows[i, j] - largest[i])
            T.reduce_sum(rows, total, dim=1)
            for i in T.Parallel(block_M):
                total[i] = T.cast(1, sums) / total[i]
            if by_copy:  # several elements at a time on GPUs; one more reading of the rows on CPUs
                for i, j in T.Parallel(block_M, N):
                    rows[i, j] = rows[i, j] * total[i]
                T.copy(rows, Y[bx * block_M, 0])
            else:
                for i, j in T.Parallel(block_M, N):
                    Y[bx * block_M + i, j] = T.cast(rows[i, j] * total[i], dtype)

    return main


def softmax_tile_reference(M, N, dtype="float32"):
    @T.prim_func
    def main(X: T.Buffer((M, N), dtype), Y: T.Buffer((M, N), dtype)):
        largest = T.alloc_local((1,), dtype)
        total = T.alloc_local((1,), dtype)
        for i in range(M):
            largest[0] = X[i, 0]
            for j in range(N):
                largest[0] = T.max(largest[0], X[i, j])
            total[0] = T.cast(0, dtype)
            for j in range(N):
                Y[i, j] = T.exp(X[i, j] - largest[0])
                total[0] = total[0] + Y[i, j]
            for j in range(N):
                Y[i, j] = Y[i, j] / total[0]

    return main


softmax_tile_workload = dict(
    shapes=[dict(M=256, N=256), dict(M=1024, N=1024)],
    flops="4*M*N",
    bytes="2*sizeof(dtype)*M*N",
)
