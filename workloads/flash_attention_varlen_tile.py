"""FlashAttention over sequences of different lengths that lie one behind the other, without padding:
where each begins follows from the lengths before it."""
from tvm.script import tirx as T


def flash_attention_varlen_tile(
    batch,
    longest,
    heads,
    dim,
    groups=1,
    causal=False,
    dtype="float32",
    block_M=T.tune([64, 16, 32, 128]),
    block_N=T.tune([64, 32, 128, 256]),
):
    """O = softmax(Q K^T / sqrt(dim)) V within each sequence; Q, O: [rows, heads, dim], K, V with
    heads / groups, rows = batch * longest of which sum(lengths) are used; O is 0 in the rest."""
    T.constraint(heads % groups == 0)
    scale = 1.44269504 / dim**0.5  # exp2 instead of exp
    rows = batch * longest

    @T.prim_func
    def main(
        Q: T.Tensor((rows, heads, dim), dtype),
        K: T.Tensor((rows, heads // groups, dim), dtype),
        V: T.Tensor((rows, heads // groups, dim), dtype),
        lengths: T.Tensor((batch,), "int32"),
        O: T.Tensor((rows, heads, dim), dtype),
    ):
        with T.Kernel(T.ceildiv(rows, 64), heads) as (bx, by):
            zero = T.alloc_fragment((64, dim), dtype)
            T.clear(zero)
            T.copy(zero, O[bx * 64 : bx * 64 + 64, by, 0:dim])
        with T.Kernel(T.ceildiv(longest, block_M), heads, batch) as (bx, by, bz):
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
            start = T.alloc_var("int32", 0)
            for b in T.serial(bz):
                start = start + lengths[b]
            length: T.let = lengths[bz]
            if bx * block_M < length:
                T.copy(Q[start + bx * block_M : start + bx * block_M + block_M, by, 0:dim], Q_shared)
                T.clear(out)
                T.clear(total)
                T.fill(largest, T.min_value(dtype))
                last: T.let = (
                    T.min(T.ceildiv(length, block_N), T.ceildiv((bx + 1) * block_M, block_N))
                    if causal
                    else T.ceildiv(length, block_N)
                )
                for k in T.Pipelined(last):
                    T.copy(
                        K[start + k * block_N : start + k * block_N + block_N, by // groups, 0:dim],
                        K_shared,
                    )
                    T.clear(scores)
                    T.gemm(Q_shared, K_shared, scores, transpose_B=True)
                    for i, j in T.Parallel(block_M, block_N):
                        end = T.min(length, bx * block_M + i + 1) if causal else length
                        scores[i, j] = T.if_then_else(
                            k * block_N + j < end, scores[i, j], -T.infinity(dtype)
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
                    for i, j in T.Parallel(block_M, dim):
                        out[i, j] = out[i, j] * rescale[i]
                    T.copy(
                        V[start + k * block_N : start + k * block_N + block_N, by // groups, 0:dim],
                        V_shared,
                    )
                    T.gemm(scores, V_shared, out)
                for i, j in T.Parallel(block_M, dim):
                    if bx * block_M + i < length:
                        O[start + bx * block_M + i, by, j] = out[i, j] / total[i]

    return main


def flash_attention_varlen_tile_reference(
    batch, longest, heads, dim, groups=1, causal=False, dtype="float32"
):
    rows = batch * longest

    @T.prim_func
    def main(
        Q: T.Buffer((rows, heads, dim), dtype),
        K: T.Buffer((rows, heads // groups, dim), dtype),
        V: T.Buffer((rows, heads // groups, dim), dtype),
        lengths: T.Buffer((batch,), "int32"),
        O: T.Buffer((rows, heads, dim), dtype),
    ):
        scores = T.alloc_buffer((longest,), dtype)
        for r, h, d in T.grid(rows, heads, dim):
            O[r, h, d] = T.cast(0, dtype)
        start: T.int32 = 0
        for b in range(batch):
            for h, i in T.grid(heads, longest):
                if i < lengths[b]:
                    end: T.int32 = lengths[b]
                    if causal:
                        end = i + 1
                    largest = T.alloc_local((1,), dtype)
                    total = T.alloc_local((1,), dtype)
                    largest[0] = T.min_value(dtype)
                    total[0] = T.cast(0, dtype)
                    for j in range(longest):
                        if j < end:
                            scores[j] = T.cast(0, dtype)
                            for d in range(dim):
                                scores[j] = (
                                    scores[j] + Q[start + i, h, d] * K[start + j, h // groups, d]
                                )
                            scores[j] = scores[j] * T.cast(1 / dim**0.5, dtype)
                            largest[0] = T.max(largest[0], scores[j])
                    for j in range(longest):
                        if j < end:
                            scores[j] = T.exp(scores[j] - largest[0])
                            total[0] = total[0] + scores[j]
                    for j in range(longest):
                        if j < end:
                            for d in range(dim):
                                O[start + i, h, d] = (
                                    O[start + i, h, d]
                                    + scores[j] / total[0] * V[start + j, h // groups, d]
                                )
            start = start + lengths[b]

    return main


flash_attention_varlen_tile_workload = dict(
    shapes=[
        dict(batch=4, longest=512, heads=4, dim=64),
        dict(batch=3, longest=300, heads=4, dim=64, groups=2, causal=True),
    ],
    flops="4*batch*heads*longest*longest*dim // (2 if causal else 1)",
    bytes="sizeof(dtype)*batch*longest*dim*(2*heads + 2*(heads // groups))",
    inputs={"lengths": "int(1, longest)"},
    tolerance=1e-4,
)
