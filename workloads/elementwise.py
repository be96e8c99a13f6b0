"""A chain of elementwise operations with a buffer between each: what fusion is for."""
from tvm.script import tirx as T


def elementwise(M, N, dtype="float32"):
    """Y = gelu(X * scale + shift), with tanh; X, Y: [M, N], scale and shift: [N]."""
    # What is between two roundings to 16 bits is computed with more.
    between = "float32" if dtype in ("float16", "bfloat16") else dtype

    @T.prim_func(s_tir=True)
    def main(
        X: T.Buffer((M, N), dtype),
        scale: T.Buffer((N,), dtype),
        shift: T.Buffer((N,), dtype),
        Y: T.Buffer((M, N), dtype),
    ):
        T.func_attr({"tirx.noalias": True})
        scaled = T.sblock_alloc_buffer((M, N), between)
        shifted = T.sblock_alloc_buffer((M, N), between)
        inner = T.sblock_alloc_buffer((M, N), between)
        for i, j in T.grid(M, N):
            with T.sblock("scaled"):
                vi, vj = T.axis.remap("SS", [i, j])
                scaled[vi, vj] = T.cast(X[vi, vj], between) * T.cast(scale[vj], between)
        for i, j in T.grid(M, N):
            with T.sblock("shifted"):
                vi, vj = T.axis.remap("SS", [i, j])
                shifted[vi, vj] = scaled[vi, vj] + T.cast(shift[vj], between)
        for i, j in T.grid(M, N):
            with T.sblock("inner"):
                vi, vj = T.axis.remap("SS", [i, j])
                # sqrt(2 / pi) (x + 0.044715 x^3)
                inner[vi, vj] = 0.7978845608028654 * (
                    shifted[vi, vj]
                    + 0.044715 * shifted[vi, vj] * shifted[vi, vj] * shifted[vi, vj]
                )
        for i, j in T.grid(M, N):
            with T.sblock("Y"):
                vi, vj = T.axis.remap("SS", [i, j])
                Y[vi, vj] = T.cast(
                    0.5 * shifted[vi, vj] * (1.0 + T.tanh(inner[vi, vj])), dtype
                )

    return main


elementwise_workload = dict(
    shapes=[dict(M=1024, N=1024), dict(M=4096, N=4096)],
    flops="11*M*N",
    bytes="sizeof(dtype)*(2*M*N + 2*N)",
    tolerance=1e-5,
)
