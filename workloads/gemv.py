"""Matrix times vector: one multiply-add per element loaded, so memory bandwidth is the limit."""
from tvm.script import tirx as T


def gemv(M, N, dtype="float32"):
    """y = A x; A: [M, N] row-major, x: [N], y: [M], in float32 where dtype has 16 bits."""
    # Sums of many terms need more digits than 16 bits have.
    out = "float32" if dtype in ("float16", "bfloat16") else dtype

    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((M, N), dtype), x: T.Buffer((N,), dtype), y: T.Buffer((M,), out)):
        T.func_attr({"tirx.noalias": True})
        for i, k in T.grid(M, N):
            with T.sblock("y"):
                vi, vk = T.axis.remap("SR", [i, k])
                with T.init():
                    y[vi] = T.cast(0, out)
                y[vi] = y[vi] + T.cast(A[vi, vk], out) * T.cast(x[vk], out)

    return main


gemv_workload = dict(
    shapes=[dict(M=4096, N=4096), dict(M=1024, N=1024)],
    flops="2*M*N",
    bytes="sizeof(dtype)*(M*N + N)"
    " + sizeof('float32' if dtype in ('float16', 'bfloat16') else dtype)*M",
    baseline={"blas": "sgemv(M, N)", "torch": "mv(M, N)"},
)
