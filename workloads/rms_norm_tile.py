"""RMS norm over rows as a tile program."""
from tvm.script import tirx as T


def rms_norm_tile(
    M, N, dtype="float32", block_M=T.tune([1, 2, 4, 8, 16]), by_copy=T.tune([False, True])
):
    """Y = X / sqrt(mean(X^2) + 1e-5) * W over the last axis; X, Y: [M, N], W: [N]."""
    # Sums of many terms need more digits than 16 bits have.
    sums = "float32" if dtype in ("float16", "bfloat16") else dtype

    @T.prim_func
    def main(X: T.Tensor((M, N), dtype), W: T.Tensor((N,), dtype), Y: T.Tensor((M, N), dtype)):
        with T.Kernel(T.ceildiv(M, block_M)) as bx:
            rows = T.alloc_fragment((block_M, N), sums)
            squares = T.alloc_fragment((block_M, N), sums)
            total = T.alloc_fragment((block_M,), sums)
            T.copy(X[bx * block_M, 0], rows)
            for i, j in T.Parallel(block_M, N):
                squares[i, j] = rows[i, j] * rows[i, j]
            T.reduce_sum(squares, total, dim=1)
            for i in T.Parallel(block_M):
                total[i] = T.cast(1, sums) / T.sqrt(total[i] / T.cast(N, sums) + 1e-5)
            if by_copy:  # several elements at a time on GPUs; one more reading of the rows on CPUs
                for i, j in T.Parallel(block_M, N):
                    rows[i, j] = rows[i, j] * total[i] * T.cast(W[j], sums)
                T.copy(rows, Y[bx * block_M, 0])
            else:
                for i, j in T.Parallel(block_M, N):
                    Y[bx * block_M + i, j] = T.cast(rows[i, j] * total[i] * T.cast(W[j], sums), dtype)

    return main


def rms_norm_tile_reference(M, N, dtype="float32"):
    @T.prim_func
    def main(X: T.Buffer((M, N), dtype), W: T.Buffer((N,), dtype), Y: T.Buffer((M, N), dtype)):
        total = T.alloc_local((1,), dtype)
        for i in range(M):
            total[0] = T.cast(0, dtype)
            for j in range(N):
                total[0] = total[0] + X[i, j] * X[i, j]
            for j in range(N):
                Y[i, j] = X[i, j] / T.sqrt(total[0] / T.cast(N, dtype) + 1e-5) * W[j]

    return main


rms_norm_tile_workload = dict(
    shapes=[dict(M=256, N=1024), dict(M=1024, N=4096)],
    flops="4*M*N",
    bytes="sizeof(dtype)*(2*M*N + N)",
)
