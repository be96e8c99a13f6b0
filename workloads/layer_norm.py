"""Layer normalisation over rows, with scale and shift."""
from tvm.script import tirx as T


def layer_norm(M, N, dtype="float32"):
    """Y = (X - mean) / sqrt(variance + 1e-5) * gamma + beta; X, Y: [M, N], over the last axis.

    Mean and variance come from one pass over the row, as a sum and a sum of squares.
    """
    # Sums of many terms need more digits than 16 bits have.
    sums = "float32" if dtype in ("float16", "bfloat16") else dtype

    @T.prim_func(s_tir=True)
    def main(
        X: T.Buffer((M, N), dtype),
        gamma: T.Buffer((N,), dtype),
        beta: T.Buffer((N,), dtype),
        Y: T.Buffer((M, N), dtype),
    ):
        T.func_attr({"tirx.noalias": True})
        total = T.sblock_alloc_buffer((M,), sums)
        squares = T.sblock_alloc_buffer((M,), sums)
        mean = T.sblock_alloc_buffer((M,), sums)
        scale = T.sblock_alloc_buffer((M,), sums)
        for i, k in T.grid(M, N):
            with T.sblock("total"):
                vi, vk = T.axis.remap("SR", [i, k])
                with T.init():
                    total[vi] = T.cast(0, sums)
                total[vi] = total[vi] + T.cast(X[vi, vk], sums)
        for i, k in T.grid(M, N):
            with T.sblock("squares"):
                vi, vk = T.axis.remap("SR", [i, k])
                with T.init():
                    squares[vi] = T.cast(0, sums)
                squares[vi] = squares[vi] + T.cast(X[vi, vk], sums) * T.cast(X[vi, vk], sums)
        for i in range(M):
            with T.sblock("mean"):
                vi = T.axis.spatial(M, i)
                mean[vi] = total[vi] * (1.0 / N)
        for i in range(M):
            with T.sblock("scale"):
                vi = T.axis.spatial(M, i)
                scale[vi] = T.rsqrt(squares[vi] * (1.0 / N) - mean[vi] * mean[vi] + 1e-5)
        for i, j in T.grid(M, N):
            with T.sblock("Y"):
                vi, vj = T.axis.remap("SS", [i, j])
                Y[vi, vj] = T.cast(
                    (T.cast(X[vi, vj], sums) - mean[vi]) * scale[vi] * T.cast(gamma[vj], sums)
                    + T.cast(beta[vj], sums),
                    dtype,
                )

    return main


def layer_norm_reference(M, N, dtype="float32"):
    """In two passes, which loses no digits where the mean is large."""

    @T.prim_func
    def main(
        X: T.Buffer((M, N), dtype),
        gamma: T.Buffer((N,), dtype),
        beta: T.Buffer((N,), dtype),
        Y: T.Buffer((M, N), dtype),
    ):
        for i in range(M):
            mean = T.cast(0, dtype)
            variance = T.cast(0, dtype)
            for k in range(N):
                mean = mean + X[i, k]
            mean = mean / N
            for k in range(N):
                variance = variance + (X[i, k] - mean) * (X[i, k] - mean)
            variance = variance / N
            for j in range(N):
                Y[i, j] = (X[i, j] - mean) / T.sqrt(variance + 1e-5) * gamma[j] + beta[j]

    return main


layer_norm_workload = dict(
    shapes=[dict(M=1024, N=1024), dict(M=512, N=4096)],
    # a sum, a sum of squares (2), and four operations to normalise
    flops="7*M*N",
    bytes="sizeof(dtype)*(2*M*N + 2*N)",
    tolerance=1e-4,
    baseline={
        "onednn": "layer_norm(M, N)",
        "torch": "layer_norm(M, N)",
    },
)
