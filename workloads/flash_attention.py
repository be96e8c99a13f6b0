"""FlashAttention, forward: the scores of a block of queries never leave the cache. The maximum and
the sum of each row are kept while the keys go by, and what was summed so far is scaled.

Scores stand as queries by keys, or as keys by queries. Then K and V are read as they lie in memory,
the queries of a block are transposed once, and maxima and sums of all queries go side by side.

Maxima start at the least number that there is, not at -infinity, so that a difference of two is never
NaN; what is masked is -infinity. Queries are scaled ahead: where scores are so large that their last
digit is worth more than 1, `score * scale - largest * scale` in one rounding is not 0 for the largest.

With allow_bf16x3=True products of float32 may be taken by parts of bfloat16, where a machine has fast
ones: all digits, but not of infinities, nor where terms are smaller than 2^-104."""
from tvm.script import tirx as T


def flash_attention(
    seq,
    heads,
    dim,
    batch=1,
    causal=False,
    groups=1,
    dtype="float32",
    allow_bf16x3=False,
    block_M=T.tune([16, 32, 64, 128, 256, 512]),
    block_N=T.tune([32, 64, 128, 256]),
    rows=T.tune(["queries", "keys"]),
):
    """O = softmax(Q K^T / sqrt(dim)) V; Q, O: [batch, heads, seq, dim], K, V with heads / groups."""
    T.constraint(heads % groups == 0)
    T.constraint(block_M * block_N <= 65536)
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
        with T.Kernel(T.ceildiv(seq, block_M), heads, batch) as (bx, by, bz):
            Q_shared = T.alloc_shared((block_M, dim), dtype)
            K_shared = T.alloc_shared((block_N, dim), dtype)
            V_shared = T.alloc_shared((block_N, dim), dtype)
            scores = T.alloc_fragment((block_M, block_N), dtype)
            out = T.alloc_fragment((block_M, dim), dtype)
            largest = T.alloc_fragment((block_M,), dtype)
            before = T.alloc_fragment((block_M,), dtype)
            rescale = T.alloc_fragment((block_M,), dtype)
            part = T.alloc_fragment((block_M,), dtype)
            total = T.alloc_fragment((block_M,), dtype)
            T.copy(Q[bz, by, bx * block_M, 0], Q_shared)
            for i, d in T.Parallel(block_M, dim):
                Q_shared[i, d] = Q_shared[i, d] * scale
            T.fill(out, 0)
            T.fill(total, 0)
            T.fill(largest, T.min_value(dtype))
            last: T.let = (
                T.min(T.ceildiv(seq, block_N), T.ceildiv((bx + 1) * block_M, block_N))
                if causal
                else T.ceildiv(seq, block_N)
            )
            for k in T.Pipelined(last):
                T.copy(K[bz, by // groups, k * block_N, 0], K_shared)
                T.clear(scores)
                T.gemm(Q_shared, K_shared, scores, transpose_B=True, allow_bf16x3=allow_bf16x3)
                if causal or seq % block_N != 0:
                    for i, j in T.Parallel(block_M, block_N):
                        position = k * block_N + j
                        end = T.min(seq, bx * block_M + i + 1) if causal else seq
                        scores[i, j] = T.if_then_else(
                            position < end, scores[i, j], -T.infinity(dtype)
                        )
                T.copy(largest, before)
                T.reduce_max(scores, largest, dim=1, clear=False)
                for i, j in T.Parallel(block_M, block_N):
                    scores[i, j] = T.exp2(scores[i, j] - largest[i])
                T.reduce_sum(scores, part, dim=1)
                for i in T.Parallel(block_M):
                    rescale[i] = T.exp2(before[i] - largest[i])
                for i in T.Parallel(block_M):
                    total[i] = total[i] * rescale[i] + part[i]
                for i, j in T.Parallel(block_M, dim):
                    out[i, j] = out[i, j] * rescale[i]
                T.copy(V[bz, by // groups, k * block_N, 0], V_shared)
                T.gemm(scores, V_shared, out, allow_bf16x3=allow_bf16x3)
            for i, j in T.Parallel(block_M, dim):
                out[i, j] = out[i, j] / total[i]
            T.copy(out, O[bz, by, bx * block_M, 0])

    @T.prim_func
    def main_by_keys(
        Q: T.Tensor(shape, dtype),
        K: T.Tensor(shape_kv, dtype),
        V: T.Tensor(shape_kv, dtype),
        O: T.Tensor(shape, dtype),
    ):
        with T.Kernel(T.ceildiv(seq, block_M), heads, batch) as (bx, by, bz):
            Q_rows = T.alloc_fragment((block_M, dim), dtype)
            Q_shared = T.alloc_shared((dim, block_M), dtype)
            K_shared = T.alloc_shared((block_N, dim), dtype)
            V_shared = T.alloc_shared((block_N, dim), dtype)
            scores = T.alloc_fragment((block_N, block_M), dtype)
            out = T.alloc_fragment((dim, block_M), dtype)
            largest = T.alloc_fragment((block_M,), dtype)
            before = T.alloc_fragment((block_M,), dtype)
            rescale = T.alloc_fragment((block_M,), dtype)
            total = T.alloc_fragment((block_M,), dtype)
            T.copy(Q[bz, by, bx * block_M, 0], Q_rows)
            for i, d in T.Parallel(block_M, dim):
                Q_rows[i, d] = Q_rows[i, d] * scale
            for d, i in T.Parallel(dim, block_M):
                Q_shared[d, i] = Q_rows[i, d]
            T.fill(out, 0)
            T.fill(total, 0)
            T.fill(largest, T.min_value(dtype))
            last: T.let = (
                T.min(T.ceildiv(seq, block_N), T.ceildiv((bx + 1) * block_M, block_N))
                if causal
                else T.ceildiv(seq, block_N)
            )
            for k in T.Pipelined(last):
                T.copy(K[bz, by // groups, k * block_N, 0], K_shared)
                T.clear(scores)
                T.gemm(K_shared, Q_shared, scores, allow_bf16x3=allow_bf16x3)
                if causal or seq % block_N != 0:
                    for j, i in T.Parallel(block_N, block_M):
                        position = k * block_N + j
                        end = T.min(seq, bx * block_M + i + 1) if causal else seq
                        scores[j, i] = T.if_then_else(
                            position < end, scores[j, i], -T.infinity(dtype)
                        )
                T.copy(largest, before)
                T.reduce_max(scores, largest, dim=0, clear=False)
                for i in T.Parallel(block_M):
                    rescale[i] = T.exp2(before[i] - largest[i])
                for i in T.Parallel(block_M):
                    total[i] = total[i] * rescale[i]
                for j in T.serial(block_N):
                    for i in T.Parallel(block_M):
                        scores[j, i] = T.exp2(scores[j, i] - largest[i])
                        total[i] = total[i] + scores[j, i]
                for d, i in T.Parallel(dim, block_M):
                    out[d, i] = out[d, i] * rescale[i]
                T.copy(V[bz, by // groups, k * block_N, 0], V_shared)
                T.gemm(V_shared, scores, out, transpose_A=True, allow_bf16x3=allow_bf16x3)
            for d, i in T.Parallel(dim, block_M):
                out[d, i] = out[d, i] / total[i]
            for i, d in T.Parallel(block_M, dim):
                O[bz, by, bx * block_M + i, d] = out[d, i]

    return main if rows == "queries" else main_by_keys


def flash_attention_reference(
    seq, heads, dim, batch=1, causal=False, groups=1, dtype="float32", allow_bf16x3=False
):
    scale = 1 / dim**0.5

    @T.prim_func
    def main(
        Q: T.Buffer((batch, heads, seq, dim), dtype),
        K: T.Buffer((batch, heads // groups, seq, dim), dtype),
        V: T.Buffer((batch, heads // groups, seq, dim), dtype),
        O: T.Buffer((batch, heads, seq, dim), dtype),
    ):
        scores = T.alloc_buffer((seq,), dtype)
        largest = T.alloc_local((1,), dtype)
        total = T.alloc_local((1,), dtype)
        for b, h, i in T.grid(batch, heads, seq):
            for j in range(seq):
                scores[j] = T.cast(0, dtype)
                for d in range(dim):
                    scores[j] = scores[j] + Q[b, h, i, d] * K[b, h // groups, j, d]
            largest[0] = scores[0]
            for j in range(i + 1 if causal else seq):
                largest[0] = T.max(largest[0], scores[j])
            total[0] = T.cast(0, dtype)
            for j in range(i + 1 if causal else seq):
                scores[j] = T.exp((scores[j] - largest[0]) * T.cast(scale, dtype))
                total[0] = total[0] + scores[j]
            for d in range(dim):
                O[b, h, i, d] = T.cast(0, dtype)
            for j in range(i + 1 if causal else seq):
                for d in range(dim):
                    O[b, h, i, d] = O[b, h, i, d] + scores[j] * V[b, h // groups, j, d]
            for d in range(dim):
                O[b, h, i, d] = O[b, h, i, d] / total[0]

    return main


flash_attention_workload = dict(
    shapes=[
        dict(seq=1024, heads=4, dim=64),
        dict(seq=2048, heads=8, dim=64),
        dict(seq=500, heads=2, dim=64, causal=True),
    ],
    flops="4*batch*heads*seq*seq*dim // (2 if causal else 1)",
    bytes="sizeof(dtype)*batch*(2*heads + 2*(heads // groups))*seq*dim",
    tolerance=1e-4,
    baseline={
        "torch": "sdpa(batch, heads, seq, dim, 1 if causal else 0) if dtype == 'float32' and groups == 1",
    },
)
