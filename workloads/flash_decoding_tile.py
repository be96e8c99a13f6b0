"""Flash decoding: one query per head against a long cache of keys. The cache is split among blocks;
each leaves its part of the sum with its maximum, and a second kernel joins them."""
from tvm.script import tirx as T


def flash_decoding_tile(
    batch,
    heads,
    seq,
    dim,
    groups=4,
    dtype="float32",
    splits=T.tune([4, 1, 2, 8, 16]),
    block_N=T.tune([64, 32, 128, 256]),
):
    """O = softmax(Q K^T / sqrt(dim)) V; Q, O: [batch, heads, dim], K, V: [batch, heads / groups, seq,
    dim]; the queries of one group of heads share their keys."""
    T.constraint(heads % groups == 0)
    T.constraint(seq % (splits * block_N) == 0)
    scale = 1.44269504 / dim**0.5
    kv = heads // groups
    steps = seq // (splits * block_N)

    @T.prim_func
    def main(
        Q: T.Tensor((batch, heads, dim), dtype),
        K: T.Tensor((batch, kv, seq, dim), dtype),
        V: T.Tensor((batch, kv, seq, dim), dtype),
        O: T.Tensor((batch, heads, dim), dtype),
    ):
        partial = T.alloc_buffer((batch, heads, splits, dim), dtype)
        maxima = T.alloc_buffer((batch, heads, splits), dtype)
        sums = T.alloc_buffer((batch, heads, splits), dtype)
        with T.Kernel(splits, kv, batch) as (bx, by, bz):
            Q_shared = T.alloc_shared((groups, dim), dtype)
            K_shared = T.alloc_shared((block_N, dim), dtype)
            V_shared = T.alloc_shared((block_N, dim), dtype)
            scores = T.alloc_fragment((groups, block_N), dtype)
            out = T.alloc_fragment((groups, dim), dtype)
            largest = T.alloc_fragment((groups,), dtype)
            before = T.alloc_fragment((groups,), dtype)
            rescale = T.alloc_fragment((groups,), dtype)
            part = T.alloc_fragment((groups,), dtype)
            total = T.alloc_fragment((groups,), dtype)
            T.copy(Q[bz, by * groups, 0], Q_shared)
            T.clear(out)
            T.clear(total)
            T.fill(largest, T.min_value(dtype))
            for k in T.Pipelined(steps):
                first = (bx * steps + k) * block_N
                T.copy(K[bz, by, first, 0], K_shared)
                T.clear(scores)
                T.gemm(Q_shared, K_shared, scores, transpose_B=True)
                T.copy(largest, before)
                T.reduce_max(scores, largest, dim=1, clear=False)
                for i in T.Parallel(groups):
                    rescale[i] = T.exp2((before[i] - largest[i]) * scale)
                for i, j in T.Parallel(groups, block_N):
                    scores[i, j] = T.exp2((scores[i, j] - largest[i]) * scale)
                T.reduce_sum(scores, part, dim=1)
                for i in T.Parallel(groups):
                    total[i] = total[i] * rescale[i] + part[i]
                for i, j in T.Parallel(groups, dim):
                    out[i, j] = out[i, j] * rescale[i]
                T.copy(V[bz, by, first, 0], V_shared)
                T.gemm(scores, V_shared, out)
            for i, j in T.Parallel(groups, dim):
                partial[bz, by * groups + i, bx, j] = out[i, j]
            for i in T.Parallel(groups):
                maxima[bz, by * groups + i, bx] = largest[i]
                sums[bz, by * groups + i, bx] = total[i]
        with T.Kernel(heads, batch) as (bx, by):
            result = T.alloc_fragment((dim,), dtype)
            top = T.alloc_var(dtype, T.min_value(dtype))
            weight = T.alloc_var(dtype, 0.0)
            whole = T.alloc_var(dtype, 0.0)
            T.clear(result)
            for s in T.serial(splits):
                top = T.max(top, maxima[by, bx, s])
            for s in T.serial(splits):
                weight = T.exp2((maxima[by, bx, s] - top) * scale)
                whole = whole + sums[by, bx, s] * weight
                for j in T.Parallel(dim):
                    result[j] = result[j] + partial[by, bx, s, j] * weight
            for j in T.Parallel(dim):
                O[by, bx, j] = result[j] / whole

    return main


def flash_decoding_tile_reference(batch, heads, seq, dim, groups=4, dtype="float32"):
    @T.prim_func
    def main(
        Q: T.Buffer((batch, heads, dim), dtype),
        K: T.Buffer((batch, heads // groups, seq, dim), dtype),
        V: T.Buffer((batch, heads // groups, seq, dim), dtype),
        O: T.Buffer((batch, heads, dim), dtype),
    ):
        scores = T.alloc_buffer((seq,), dtype)
        largest = T.alloc_local((1,), dtype)
        total = T.alloc_local((1,), dtype)
        for b, h in T.grid(batch, heads):
            largest[0] = T.min_value(dtype)
            total[0] = T.cast(0, dtype)
            for j in range(seq):
                scores[j] = T.cast(0, dtype)
                for d in range(dim):
                    scores[j] = scores[j] + Q[b, h, d] * K[b, h // groups, j, d]
                scores[j] = scores[j] * T.cast(1 / dim**0.5, dtype)
                largest[0] = T.max(largest[0], scores[j])
            for j in range(seq):
                scores[j] = T.exp(scores[j] - largest[0])
                total[0] = total[0] + scores[j]
            for d in range(dim):
                O[b, h, d] = T.cast(0, dtype)
                for j in range(seq):
                    O[b, h, d] = O[b, h, d] + scores[j] / total[0] * V[b, h // groups, j, d]

    return main


flash_decoding_tile_workload = dict(
    shapes=[dict(batch=1, heads=32, seq=4096, dim=128), dict(batch=2, heads=8, seq=2048, dim=64)],
    flops="4*batch*heads*seq*dim",
    bytes="2*sizeof(dtype)*batch*(heads // groups)*seq*dim",
    tolerance=1e-4,
)
