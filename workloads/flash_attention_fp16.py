"""FlashAttention, forward, of 16-bit floats on tensor cores: scores and sums in float32 stay in
registers, where the probabilities are the second product's operand. On Hopper both products may be
those of warpgroups, and a warp of its own may copy keys and values ahead.

The largest score is subtracted before the scale is multiplied by: in one rounding the other way round
scores beyond 1e8 would be taken for larger than the largest."""
from tvm.script import tirx as T


def flash_attention_fp16(
    seq,
    heads,
    dim,
    batch=1,
    causal=False,
    groups=1,
    dtype="bfloat16",
    block_M=T.tune([128, 64, 192]),
    block_N=T.tune([128, 64, 96, 80, 176]),
    num_stages=T.tune([2, 1, 3]),
    threads=T.tune([256, 128, 384]),
    through_shared=T.tune([True, False]),
):
    """O = softmax(Q K^T / sqrt(dim)) V; Q, O: [batch, heads, seq, dim], K, V with heads / groups."""
    T.constraint(heads % groups == 0)
    T.constraint(block_M * 2 >= threads)  # 64 rows for a warpgroup
    scale = 1.44269504 / dim**0.5  # exp2 instead of exp
    shape = (batch, heads, seq, dim)
    shape_kv = (batch, heads // groups, seq, dim)

    @T.prim_func
    def main(
        Q: T.Tensor(shape, dtype),
        K: T.Tensor(shape_kv, dtype),
        V: T.Tensor(shape_kv, dtype),
        O: T.Tensor(shape, dtype),
    ):
        with T.Kernel(T.ceildiv(seq, block_M), heads, batch, threads=threads) as (bx, by, bz):
            Q_shared = T.alloc_shared((block_M, dim), dtype)
            K_shared = T.alloc_shared((block_N, dim), dtype)
            V_shared = T.alloc_shared((block_N, dim), dtype)
            scores = T.alloc_fragment((block_M, block_N), "float32")
            chances = T.alloc_fragment((block_M, block_N), dtype)
            out = T.alloc_fragment((block_M, dim), "float32")
            largest = T.alloc_fragment((block_M,), "float32")
            before = T.alloc_fragment((block_M,), "float32")
            rescale = T.alloc_fragment((block_M,), "float32")
            part = T.alloc_fragment((block_M,), "float32")
            total = T.alloc_fragment((block_M,), "float32")
            T.copy(Q[bz, by, bx * block_M, 0], Q_shared)
            T.fill(out, 0)
            T.fill(total, 0)
            T.fill(largest, T.min_value("float32"))
            last: T.let = (
                T.min(T.ceildiv(seq, block_N), T.ceildiv((bx + 1) * block_M, block_N))
                if causal
                else T.ceildiv(seq, block_N)
            )
            for k in T.Pipelined(last, num_stages=num_stages):
                T.copy(K[bz, by // groups, k * block_N, 0], K_shared)
                T.copy(V[bz, by // groups, k * block_N, 0], V_shared)
                T.gemm(Q_shared, K_shared, scores, transpose_B=True, clear_accum=True, policy="FullRow")
                if causal:
                    if (k + 1) * block_N > T.min(seq, bx * block_M):
                        for i, j in T.Parallel(block_M, block_N):
                            scores[i, j] = T.if_then_else(
                                k * block_N + j < T.min(seq, bx * block_M + i + 1),
                                scores[i, j],
                                -T.infinity("float32"),
                            )
                elif seq % block_N != 0:
                    if (k + 1) * block_N > seq:
                        for i, j in T.Parallel(block_M, block_N):
                            scores[i, j] = T.if_then_else(
                                k * block_N + j < seq, scores[i, j], -T.infinity("float32")
                            )
                T.copy(largest, before)
                T.reduce_max(scores, largest, dim=1, clear=False)
                for i in T.Parallel(block_M):
                    rescale[i] = T.exp2((before[i] - largest[i]) * scale)
                for i, j in T.Parallel(block_M, block_N):
                    scores[i, j] = T.exp2((scores[i, j] - largest[i]) * scale)
                T.reduce_sum(scores, part, dim=1)
                for i in T.Parallel(block_M):
                    total[i] = total[i] * rescale[i] + part[i]
                T.copy(scores, chances)
                for i, j in T.Parallel(block_M, dim):
                    out[i, j] = out[i, j] * rescale[i]
                T.gemm(chances, V_shared, out, policy="FullRow")
            for i, j in T.Parallel(block_M, dim):
                out[i, j] = out[i, j] / total[i]
            if through_shared:  # whole rows at a time
                T.copy(out, Q_shared)
                T.copy(Q_shared, O[bz, by, bx * block_M, 0])
            else:
                T.copy(out, O[bz, by, bx * block_M, 0])

    return main


def flash_attention_fp16_reference(seq, heads, dim, batch=1, causal=False, groups=1, dtype="bfloat16"):
    scale = 1 / dim**0.5

    @T.prim_func
    def main(
        Q: T.Buffer((batch, heads, seq, dim), dtype),
        K: T.Buffer((batch, heads // groups, seq, dim), dtype),
        V: T.Buffer((batch, heads // groups, seq, dim), dtype),
        O: T.Buffer((batch, heads, seq, dim), dtype),
    ):
        scores = T.alloc_buffer((seq,), "float32")
        largest = T.alloc_local((1,), "float32")
        total = T.alloc_local((1,), "float32")
        out = T.alloc_local((1,), "float32")
        for b, h, i in T.grid(batch, heads, seq):
            for j in range(seq):
                scores[j] = T.float32(0)
                for d in range(dim):
                    scores[j] = scores[j] + T.cast(Q[b, h, i, d], "float32") * T.cast(
                        K[b, h // groups, j, d], "float32"
                    )
            largest[0] = scores[0]
            for j in range(i + 1 if causal else seq):
                largest[0] = T.max(largest[0], scores[j])
            total[0] = T.float32(0)
            for j in range(i + 1 if causal else seq):
                scores[j] = T.exp((scores[j] - largest[0]) * T.float32(scale))
                total[0] = total[0] + scores[j]
            for d in range(dim):
                out[0] = T.float32(0)
                for j in range(i + 1 if causal else seq):
                    out[0] = out[0] + scores[j] * T.cast(V[b, h // groups, j, d], "float32")
                O[b, h, i, d] = T.cast(out[0] / total[0], dtype)

    return main


flash_attention_fp16_workload = dict(
    shapes=[
        dict(seq=1024, heads=4, dim=128),
        dict(seq=8192, heads=16, dim=128),
        dict(seq=8192, heads=16, dim=128, causal=True),
        dict(seq=16384, heads=16, dim=128),
        dict(seq=16384, heads=16, dim=128, causal=True),
    ],
    flops="4*batch*heads*seq*seq*dim // (2 if causal else 1)",
    bytes="sizeof(dtype)*batch*(2*heads + 2*(heads // groups))*seq*dim",
    tolerance=2e-2,
)
