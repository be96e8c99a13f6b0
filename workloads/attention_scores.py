"""Products of queries with keys for every head, from the layout that a projection leaves: a head's
matrices lie strided in memory, and the second is transposed."""
from tvm.script import tirx as T


def attention_scores(B, L, HEADS, D, dtype="float32"):
    """Z[b, h, i, j] = sum over d of X[b, i, h, d] Y[b, j, h, d].

    X, Y: [B, L, HEADS, D], Z: [B, HEADS, L, L]. The transposes are blocks of their own, to be
    inlined or kept as the schedule finds best.
    """
    # Sums of many terms need more digits than 16 bits have.
    out = "float32" if dtype in ("float16", "bfloat16") else dtype

    @T.prim_func(s_tir=True)
    def main(
        X: T.Buffer((B, L, HEADS, D), dtype),
        Y: T.Buffer((B, L, HEADS, D), dtype),
        Z: T.Buffer((B, HEADS, L, L), out),
    ):
        T.func_attr({"tirx.noalias": True})
        X_heads = T.sblock_alloc_buffer((B, HEADS, L, D), dtype)
        Y_heads = T.sblock_alloc_buffer((B, HEADS, D, L), dtype)
        for b, h, i, d in T.grid(B, HEADS, L, D):
            with T.sblock("X_heads"):
                vb, vh, vi, vd = T.axis.remap("SSSS", [b, h, i, d])
                X_heads[vb, vh, vi, vd] = X[vb, vi, vh, vd]
        for b, h, d, j in T.grid(B, HEADS, D, L):
            with T.sblock("Y_heads"):
                vb, vh, vd, vj = T.axis.remap("SSSS", [b, h, d, j])
                Y_heads[vb, vh, vd, vj] = Y[vb, vj, vh, vd]
        for b, h, i, j, d in T.grid(B, HEADS, L, L, D):
            with T.sblock("Z"):
                vb, vh, vi, vj, vd = T.axis.remap("SSSSR", [b, h, i, j, d])
                with T.init():
                    Z[vb, vh, vi, vj] = T.cast(0, out)
                Z[vb, vh, vi, vj] = Z[vb, vh, vi, vj] + T.cast(
                    X_heads[vb, vh, vi, vd], out
                ) * T.cast(Y_heads[vb, vh, vd, vj], out)

    return main


attention_scores_workload = dict(
    # the suite's TBG
    shapes=[
        dict(B=1, L=128, HEADS=12, D=64),
        dict(B=1, L=128, HEADS=16, D=64),
        dict(B=1, L=64, HEADS=12, D=128),
        dict(B=1, L=128, HEADS=12, D=128),
    ],
    flops="2*B*HEADS*L*L*D",
    bytes="sizeof(dtype)*B*HEADS*2*L*D"
    " + sizeof('float32' if dtype in ('float16', 'bfloat16') else dtype)*B*HEADS*L*L",
    baseline={
        "onednn": "attention_scores(B, L, HEADS, D)",
        "torch": "attention_scores(B, L, HEADS, D)",
    },
)
