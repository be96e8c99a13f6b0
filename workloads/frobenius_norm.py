"""Frobenius norm of each matrix of a batch: one pass over memory. With one matrix there is no
parallel axis until rfactor makes one."""
from tvm.script import tirx as T


def frobenius_norm(B, M, N, dtype="float32"):
    """y[b] = square root of the sum over i, j of X[b, i, j]^2.

    X: [B, M, N], y: [B], in float32 where dtype has 16 bits.
    """
    # Sums of many terms need more digits than 16 bits have.
    out = "float32" if dtype in ("float16", "bfloat16") else dtype

    @T.prim_func(s_tir=True)
    def main(X: T.Buffer((B, M, N), dtype), y: T.Buffer((B,), out)):
        T.func_attr({"tirx.noalias": True})
        squares = T.sblock_alloc_buffer((B,), out)
        for b, i, j in T.grid(B, M, N):
            with T.sblock("squares"):
                vb, vi, vj = T.axis.remap("SRR", [b, i, j])
                with T.init():
                    squares[vb] = T.cast(0, out)
                squares[vb] = squares[vb] + T.cast(X[vb, vi, vj], out) * T.cast(
                    X[vb, vi, vj], out
                )
        for b in T.serial(B):
            with T.sblock("y"):
                vb = T.axis.spatial(B, b)
                y[vb] = T.sqrt(squares[vb])

    return main


frobenius_norm_workload = dict(
    # the suite's NRM
    shapes=[
        dict(B=1, M=256, N=256),
        dict(B=1, M=512, N=512),
        dict(B=1, M=1024, N=1024),
        dict(B=1, M=4096, N=1024),
    ],
    flops="2*B*M*N",
    bytes="sizeof(dtype)*B*M*N"
    " + sizeof('float32' if dtype in ('float16', 'bfloat16') else dtype)*B",
    # the program as written adds up to four million squares one after the other
    tolerance=4e-3,
    baseline={
        "onednn": "frobenius_norm(B, M, N)",
        "torch": "frobenius_norm(B, M, N)",
    },
)
