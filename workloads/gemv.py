"""Matrix times vector: one multiply-add per element loaded, so memory bandwidth is the limit."""
from tvm.script import tirx as T


def gemv(M, N, dtype="float32"):
    """y = A x; A: [M, N] row-major, x: [N], y: [M]."""

    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((M, N), dtype), x: T.Buffer((N,), dtype), y: T.Buffer((M,), dtype)):
        T.func_attr({"tirx.noalias": True})
        for i, k in T.grid(M, N):
            with T.sblock("y"):
                vi, vk = T.axis.remap("SR", [i, k])
                with T.init():
                    y[vi] = T.cast(0, dtype)
                y[vi] = y[vi] + A[vi, vk] * x[vk]

    return main


gemv_workload = dict(
    shapes=[dict(M=4096, N=4096), dict(M=1024, N=1024)],
    flops="2*M*N",
    bytes="sizeof(dtype)*(M*N + N + M)",
    baseline={"openblas": "sgemv(M, N)"},
)
