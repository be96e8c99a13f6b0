"""Decoding with multi-head latent attention: all heads share one compressed cache, which serves as
keys and as values; a second, short key carries the positions."""
from tvm.script import tirx as T


def mla_decode_tile(
    batch,
    heads,
    seq,
    dim=512,
    pe_dim=64,
    dtype="float32",
    block_H=T.tune([16, 8, 32]),
    block_N=T.tune([64, 32, 128]),
):
    """O = softmax((Q KV^T + Q_pe K_pe^T) / sqrt(dim + pe_dim)) KV; Q, O: [batch, heads, dim], Q_pe:
    [batch, heads, pe_dim], KV: [batch, seq, dim], K_pe: [batch, seq, pe_dim]."""
    T.constraint(heads % block_H == 0)
    T.constraint(seq % block_N == 0)
    scale = 1.44269504 / (dim + pe_dim) ** 0.5

    @T.prim_func
    def main(
        Q: T.Tensor((batch, heads, dim), dtype),
        Q_pe: T.Tensor((batch, heads, pe_dim), dtype),
        KV: T.Tensor((batch, seq, dim), dtype),
        K_pe: T.Tensor((batch, seq, pe_dim), dtype),
        O: T.Tensor((batch, heads, dim), dtype),
    ):
        with T.Kernel(heads // block_H, batch) as (bx, by):
            Q_shared = T.alloc_shared((block_H, dim), dtype)
            Q_pe_shared = T.alloc_shared((block_H, pe_dim), dtype)
            KV_shared = T.alloc_shared((block_N, dim), dtype)
            K_pe_shared = T.alloc_shared((block_N, pe_dim), dtype)
            scores = T.alloc_fragment((block_H, block_N), dtype)
            out = T.alloc_fragment((block_H, dim), dtype)
            largest = T.alloc_fragment((block_H,), dtype)
            before = T.alloc_fragment((block_H,), dtype)
            rescale = T.alloc_fragment((block_H,), dtype)
            part = T.alloc_fragment((block_H,), dtype)
            total = T.alloc_fragment((block_H,), dtype)
            T.copy(Q[by, bx * block_H, 0], Q_shared)
            T.copy(Q_pe[by, bx * block_H, 0], Q_pe_shared)
            T.clear(out)
            T.clear(total)
            T.fill(largest, T.min_value(dtype))
            for k in T.Pipelined(seq // block_N):
                T.copy(KV[by, k * block_N, 0], KV_shared)
                T.copy(K_pe[by, k * block_N, 0], K_pe_shared)
                T.gemm(Q_shared, KV_shared, scores, transpose_B=True, clear_accum=True)
                T.gemm(Q_pe_shared, K_pe_shared, scores, transpose_B=True)
                T.copy(largest, before)
                T.reduce_max(scores, largest, dim=1, clear=False)
                for i in T.Parallel(block_H):
                    rescale[i] = T.exp2((before[i] - largest[i]) * scale)
                for i, j in T.Parallel(block_H, block_N):
                    scores[i, j] = T.exp2((scores[i, j] - largest[i]) * scale)
                T.reduce_sum(scores, part, dim=1)
                for i in T.Parallel(block_H):
                    total[i] = total[i] * rescale[i] + part[i]
                for i, j in T.Parallel(block_H, dim):
                    out[i, j] = out[i, j] * rescale[i]
                T.gemm(scores, KV_shared, out)
            for i, j in T.Parallel(block_H, dim):
                out[i, j] = out[i, j] / total[i]
            T.copy(out, O[by, bx * block_H, 0])

    return main


def mla_decode_tile_reference(batch, heads, seq, dim=512, pe_dim=64, dtype="float32"):
    @T.prim_func
    def main(
        Q: T.Buffer((batch, heads, dim), dtype),
        Q_pe: T.Buffer((batch, heads, pe_dim), dtype),
        KV: T.Buffer((batch, seq, dim), dtype),
        K_pe: T.Buffer((batch, seq, pe_dim), dtype),
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
                    scores[j] = scores[j] + Q[b, h, d] * KV[b, j, d]
                for d in range(pe_dim):
                    scores[j] = scores[j] + Q_pe[b, h, d] * K_pe[b, j, d]
                scores[j] = scores[j] * T.cast(1 / (dim + pe_dim) ** 0.5, dtype)
                largest[0] = T.max(largest[0], scores[j])
            for j in range(seq):
                scores[j] = T.exp(scores[j] - largest[0])
                total[0] = total[0] + scores[j]
            for d in range(dim):
                O[b, h, d] = T.cast(0, dtype)
                for j in range(seq):
                    O[b, h, d] = O[b, h, d] + scores[j] / total[0] * KV[b, j, d]

    return main


mla_decode_tile_workload = dict(
    shapes=[dict(batch=1, heads=128, seq=1024), dict(batch=2, heads=32, seq=512)],
    flops="2*batch*heads*seq*(2*dim + pe_dim)",
    bytes="sizeof(dtype)*batch*(heads*(2*dim + pe_dim) + seq*(dim + pe_dim))",
    tolerance=1e-4,
)
