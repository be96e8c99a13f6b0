"""Root-mean-square normalisation over rows, as in Llama."""
from tvm.script import tirx as T


def rms_norm(M, N, dtype="float32"):
    """Y = X / sqrt(mean(X^2) + 1e-5) * gamma; X, Y: [M, N], gamma: [N], over the last axis."""
    # Sums of many terms need more digits than 16 bits have.
    sums = "float32" if dtype in ("float16", "bfloat16") else dtype

    @T.prim_func(s_tir=True)
    def main(X: T.Buffer((M, N), dtype), gamma: T.Buffer((N,), dtype), Y: T.Buffer((M, N), dtype)):
        T.func_attr({"tirx.noalias": True})
        squares = T.sblock_alloc_buffer((M,), sums)
        scale = T.sblock_alloc_buffer((M,), sums)
        for i, k in T.grid(M, N):
            with T.sblock("squares"):
                vi, vk = T.axis.remap("SR", [i, k])
                with T.init():
                    squares[vi] = T.cast(0, sums)
                squares[vi] = squares[vi] + T.cast(X[vi, vk], sums) * T.cast(X[vi, vk], sums)
        for i in range(M):
            with T.sblock("scale"):
                vi = T.axis.spatial(M, i)
                scale[vi] = T.rsqrt(squares[vi] * (1.0 / N) + 1e-5)
        for i, j in T.grid(M, N):
            with T.sblock("Y"):
                vi, vj = T.axis.remap("SS", [i, j])
                Y[vi, vj] = T.cast(
                    T.cast(X[vi, vj], sums) * scale[vi] * T.cast(gamma[vj], sums), dtype
                )

    return main


def rms_norm_reference(M, N, dtype="float32"):
    @T.prim_func
    def main(X: T.Buffer((M, N), dtype), gamma: T.Buffer((N,), dtype), Y: T.Buffer((M, N), dtype)):
        for i in range(M):
            squares = T.cast(0, dtype)
            for k in range(N):
                squares = squares + X[i, k] * X[i, k]
            for j in range(N):
                Y[i, j] = X[i, j] / T.sqrt(squares / N + 1e-5) * gamma[j]

    return main


rms_norm_workload = dict(
    shapes=[dict(M=1024, N=1024), dict(M=512, N=4096)],
    flops="4*M*N",
    bytes="sizeof(dtype)*(2*M*N + N)",
    tolerance=1e-4,
)
