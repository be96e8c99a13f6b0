"""Attention as a chain of blocks: products of queries with keys, softmax over them, products with
values. The tile program beside it is flash_attention."""
from tvm.script import tirx as T


def attention(B, HEADS, L, D, dtype="float32"):
    """O = softmax(Q K^T / sqrt(D)) V for every head; Q, K, V, O: [B, HEADS, L, D]."""
    # Sums of many terms need more digits than 16 bits have.
    sums = "float32" if dtype in ("float16", "bfloat16") else dtype
    scale = 1.0 / D**0.5

    @T.prim_func(s_tir=True)
    def main(
        Q: T.Buffer((B, HEADS, L, D), dtype),
        K: T.Buffer((B, HEADS, L, D), dtype),
        V: T.Buffer((B, HEADS, L, D), dtype),
        O: T.Buffer((B, HEADS, L, D), dtype),
    ):
        T.func_attr({"tirx.noalias": True})
        scores = T.sblock_alloc_buffer((B, HEADS, L, L), sums)
        largest = T.sblock_alloc_buffer((B, HEADS, L), sums)
        exponential = T.sblock_alloc_buffer((B, HEADS, L, L), sums)
        total = T.sblock_alloc_buffer((B, HEADS, L), sums)
        weighted = T.sblock_alloc_buffer((B, HEADS, L, D), sums)
        for b, h, i, j, d in T.grid(B, HEADS, L, L, D):
            with T.sblock("scores"):
                vb, vh, vi, vj, vd = T.axis.remap("SSSSR", [b, h, i, j, d])
                with T.init():
                    scores[vb, vh, vi, vj] = T.cast(0, sums)
                scores[vb, vh, vi, vj] = scores[vb, vh, vi, vj] + T.cast(
                    Q[vb, vh, vi, vd], sums
                ) * T.cast(K[vb, vh, vj, vd], sums)
        for b, h, i, j in T.grid(B, HEADS, L, L):
            with T.sblock("largest"):
                vb, vh, vi, vj = T.axis.remap("SSSR", [b, h, i, j])
                with T.init():
                    largest[vb, vh, vi] = T.min_value(sums)
                largest[vb, vh, vi] = T.max(largest[vb, vh, vi], scores[vb, vh, vi, vj])
        for b, h, i, j in T.grid(B, HEADS, L, L):
            with T.sblock("exponential"):
                vb, vh, vi, vj = T.axis.remap("SSSS", [b, h, i, j])
                exponential[vb, vh, vi, vj] = T.exp(
                    (scores[vb, vh, vi, vj] - largest[vb, vh, vi]) * T.cast(scale, sums)
                )
        for b, h, i, j in T.grid(B, HEADS, L, L):
            with T.sblock("total"):
                vb, vh, vi, vj = T.axis.remap("SSSR", [b, h, i, j])
                with T.init():
                    total[vb, vh, vi] = T.cast(0, sums)
                total[vb, vh, vi] = total[vb, vh, vi] + exponential[vb, vh, vi, vj]
        for b, h, i, d, j in T.grid(B, HEADS, L, D, L):
            with T.sblock("weighted"):
                vb, vh, vi, vd, vj = T.axis.remap("SSSSR", [b, h, i, d, j])
                with T.init():
                    weighted[vb, vh, vi, vd] = T.cast(0, sums)
                weighted[vb, vh, vi, vd] = weighted[vb, vh, vi, vd] + exponential[
                    vb, vh, vi, vj
                ] * T.cast(V[vb, vh, vj, vd], sums)
        for b, h, i, d in T.grid(B, HEADS, L, D):
            with T.sblock("O"):
                vb, vh, vi, vd = T.axis.remap("SSSS", [b, h, i, d])
                O[vb, vh, vi, vd] = T.cast(weighted[vb, vh, vi, vd] / total[vb, vh, vi], dtype)

    return main


attention_workload = dict(
    shapes=[dict(B=1, HEADS=12, L=128, D=64), dict(B=1, HEADS=8, L=512, D=64)],
    # both products; per score a comparison, a subtraction, a product, an exponential, an addition
    flops="B*HEADS*L*L*(4*D + 5)",
    bytes="4*sizeof(dtype)*B*HEADS*L*D",
    tolerance=1e-4,
)
