"""Root-mean-square normalisation over rows, as in Llama."""
from tvm.script import tirx as T


def rms_norm(M, N, dtype="float32"):
    """Y = X / sqrt(mean(X^2) + 1e-5) * gamma; X, Y: [M, N], gamma: [N], over the last axis."""

    @T.prim_func(s_tir=True)
    def main(X: T.Buffer((M, N), dtype), gamma: T.Buffer((N,), dtype), Y: T.Buffer((M, N), dtype)):
        T.func_attr({"tirx.noalias": True})
        squares = T.sblock_alloc_buffer((M,), dtype)
        scale = T.sblock_alloc_buffer((M,), dtype)
        for i, k in T.grid(M, N):
            with T.sblock("squares"):
                vi, vk = T.axis.remap("SR", [i, k])
                with T.init():
                    squares[vi] = T.cast(0, dtype)
                squares[vi] = squares[vi] + X[vi, vk] * X[vi, vk]
        for i in range(M):
            with T.sblock("scale"):
                vi = T.axis.spatial(M, i)
                scale[vi] = T.rsqrt(squares[vi] * (1.0 / N) + 1e-5)
        for i, j in T.grid(M, N):
            with T.sblock("Y"):
                vi, vj = T.axis.remap("SS", [i, j])
                Y[vi, vj] = X[vi, vj] * scale[vi] * gamma[vj]

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
