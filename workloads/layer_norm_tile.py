"""Layer normalisation of rows, mean and variance from one reading."""
from tvm.script import tirx as T


def layer_norm_tile(M, N, dtype="float32", rows=T.tune([1, 2, 4, 8, 16])):
    """B = (A - mean) / sqrt(variance + 1e-5) * gamma + beta, row by row; A, B: [M, N]."""

    @T.prim_func
    def main(
        A: T.Tensor((M, N), dtype),
        gamma: T.Tensor((N,), dtype),
        beta: T.Tensor((N,), dtype),
        B: T.Tensor((M, N), dtype),
    ):
        with T.Kernel(T.ceildiv(M, rows)) as bx:
            tile = T.alloc_fragment((rows, N), dtype)
            square = T.alloc_fragment((rows, N), dtype)
            total = T.alloc_fragment((rows,), dtype)
            deviation = T.alloc_fragment((rows,), dtype)
            T.copy(A[bx * rows, 0], tile)
            T.reduce_sum(tile, total, dim=1)
            for i in T.Parallel(rows):
                total[i] = total[i] / N
            # From the mean: a difference of two large sums would lose all digits.
            for i, j in T.Parallel(rows, N):
                square[i, j] = (tile[i, j] - total[i]) * (tile[i, j] - total[i])
            T.reduce_sum(square, deviation, dim=1)
            for i in T.Parallel(rows):
                deviation[i] = 1 / T.sqrt(deviation[i] / N + 1e-5)
            for i, j in T.Parallel(rows, N):
                tile[i, j] = (tile[i, j] - total[i]) * deviation[i] * gamma[j] + beta[j]
            T.copy(tile, B[bx * rows, 0])

    return main


def layer_norm_tile_reference(M, N, dtype="float32"):
    @T.prim_func
    def main(
        A: T.Buffer((M, N), dtype),
        gamma: T.Buffer((N,), dtype),
        beta: T.Buffer((N,), dtype),
        B: T.Buffer((M, N), dtype),
    ):
        mean = T.alloc_local((1,), dtype)
        variance = T.alloc_local((1,), dtype)
        for i in range(M):
            mean[0] = T.cast(0, dtype)
            variance[0] = T.cast(0, dtype)
            for j in range(N):
                mean[0] = mean[0] + A[i, j]
            mean[0] = mean[0] / N
            for j in range(N):
                variance[0] = variance[0] + (A[i, j] - mean[0]) * (A[i, j] - mean[0])
            for j in range(N):
                B[i, j] = (A[i, j] - mean[0]) / T.sqrt(variance[0] / N + 1e-5) * gamma[j] + beta[j]

    return main


layer_norm_tile_workload = dict(
    shapes=[dict(M=1024, N=1024), dict(M=128, N=4096)],
    flops="8*M*N",
    bytes="2*sizeof(dtype)*M*N",
    tolerance=1e-4,
)
