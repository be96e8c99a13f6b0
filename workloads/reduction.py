"""Sums: of each row, and of everything. The second has no parallel axis until rfactor makes one."""
from tvm.script import tirx as T


def row_sum(M, N, dtype="float32"):
    """y[i] = sum over j of X[i, j]; X: [M, N], y: [M], in float32 where dtype has 16 bits."""
    # Sums of many terms need more digits than 16 bits have.
    out = "float32" if dtype in ("float16", "bfloat16") else dtype

    @T.prim_func(s_tir=True)
    def main(X: T.Buffer((M, N), dtype), y: T.Buffer((M,), out)):
        T.func_attr({"tirx.noalias": True})
        for i, k in T.grid(M, N):
            with T.sblock("y"):
                vi, vk = T.axis.remap("SR", [i, k])
                with T.init():
                    y[vi] = T.cast(0, out)
                y[vi] = y[vi] + T.cast(X[vi, vk], out)

    return main


def full_sum(N, dtype="float32"):
    """y[0] = sum of X; X: [N], y: [1], in float32 where dtype has 16 bits."""
    # Sums of many terms need more digits than 16 bits have.
    out = "float32" if dtype in ("float16", "bfloat16") else dtype

    @T.prim_func(s_tir=True)
    def main(X: T.Buffer((N,), dtype), y: T.Buffer((1,), out)):
        T.func_attr({"tirx.noalias": True})
        for i, k in T.grid(1, N):
            with T.sblock("y"):
                vi, vk = T.axis.remap("SR", [i, k])
                with T.init():
                    y[vi] = T.cast(0, out)
                y[vi] = y[vi] + T.cast(X[vk], out)

    return main


row_sum_workload = dict(
    shapes=[dict(M=1024, N=1024), dict(M=64, N=65536)],
    flops="M*N",
    bytes="sizeof(dtype)*M*N"
    " + sizeof('float32' if dtype in ('float16', 'bfloat16') else dtype)*M",
)

full_sum_workload = dict(
    shapes=[dict(N=1048576), dict(N=16777216)],
    flops="N",
    bytes="sizeof(dtype)*N"
    " + sizeof('float32' if dtype in ('float16', 'bfloat16') else dtype)",
)
