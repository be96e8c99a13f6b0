"""Transposition: no arithmetic, all about which way the cache lines run."""
from tvm.script import tirx as T


def transpose(M, N, dtype="float32"):
    """Y[j, i] = X[i, j]; X: [M, N], Y: [N, M]."""

    @T.prim_func(s_tir=True)
    def main(X: T.Buffer((M, N), dtype), Y: T.Buffer((N, M), dtype)):
        T.func_attr({"tirx.noalias": True})
        for j, i in T.grid(N, M):
            with T.sblock("Y"):
                vj, vi = T.axis.remap("SS", [j, i])
                Y[vj, vi] = X[vi, vj]

    return main


transpose_workload = dict(
    shapes=[dict(M=1024, N=1024), dict(M=4096, N=4096)],
    flops="0",
    bytes="2*sizeof(dtype)*M*N",
    tolerance=0,
)
