"""Selective scan (Mamba): a state for each channel is decayed and fed step by step, with coefficients
that depend on the step."""
from tvm.script import tirx as T


def selective_scan_tile(
    batch, length, channels, state=16, dtype="float32", block_D=T.tune([64, 16, 32, 128]), block_L=T.tune([32, 8, 16, 64])
):
    """h = exp(delta A) h + delta B x; y = C h + D x, over the steps; x, delta, y: [batch, length,
    channels], A: [channels, state], B, C: [batch, length, state], D: [channels]."""
    T.constraint(channels % block_D == 0)
    T.constraint(length % block_L == 0)

    @T.prim_func
    def main(
        x: T.Tensor((batch, length, channels), dtype),
        delta: T.Tensor((batch, length, channels), dtype),
        A: T.Tensor((channels, state), dtype),
        B: T.Tensor((batch, length, state), dtype),
        C: T.Tensor((batch, length, state), dtype),
        D: T.Tensor((channels,), dtype),
        y: T.Tensor((batch, length, channels), dtype),
    ):
        with T.Kernel(channels // block_D, batch) as (bx, by):
            x_shared = T.alloc_shared((block_L, block_D), dtype)
            delta_shared = T.alloc_shared((block_L, block_D), dtype)
            B_shared = T.alloc_shared((block_L, state), dtype)
            C_shared = T.alloc_shared((block_L, state), dtype)
            A_local = T.alloc_fragment((block_D, state), dtype)
            h = T.alloc_fragment((block_D, state), dtype)
            product = T.alloc_fragment((block_D, state), dtype)
            out = T.alloc_fragment((block_D,), dtype)
            T.copy(A[bx * block_D, 0], A_local)
            T.clear(h)
            for step in T.Pipelined(length // block_L):
                T.copy(x[by, step * block_L, bx * block_D], x_shared)
                T.copy(delta[by, step * block_L, bx * block_D], delta_shared)
                T.copy(B[by, step * block_L, 0], B_shared)
                T.copy(C[by, step * block_L, 0], C_shared)
                for l in T.serial(block_L):
                    for d, n in T.Parallel(block_D, state):
                        h[d, n] = (
                            T.exp(delta_shared[l, d] * A_local[d, n]) * h[d, n]
                            + delta_shared[l, d] * B_shared[l, n] * x_shared[l, d]
                        )
                    for d, n in T.Parallel(block_D, state):
                        product[d, n] = h[d, n] * C_shared[l, n]
                    T.reduce_sum(product, out, dim=1)
                    for d in T.Parallel(block_D):
                        y[by, step * block_L + l, bx * block_D + d] = (
                            out[d] + D[bx * block_D + d] * x_shared[l, d]
                        )

    return main


def selective_scan_tile_reference(batch, length, channels, state=16, dtype="float32"):
    @T.prim_func
    def main(
        x: T.Buffer((batch, length, channels), dtype),
        delta: T.Buffer((batch, length, channels), dtype),
        A: T.Buffer((channels, state), dtype),
        B: T.Buffer((batch, length, state), dtype),
        C: T.Buffer((batch, length, state), dtype),
        D: T.Buffer((channels,), dtype),
        y: T.Buffer((batch, length, channels), dtype),
    ):
        h = T.alloc_buffer((state,), dtype)
        for b, d in T.grid(batch, channels):
            for n in range(state):
                h[n] = T.cast(0, dtype)
            for l in range(length):
                y[b, l, d] = D[d] * x[b, l, d]
                for n in range(state):
                    h[n] = T.exp(delta[b, l, d] * A[d, n]) * h[n] + delta[b, l, d] * B[b, l, n] * x[b, l, d]
                    y[b, l, d] = y[b, l, d] + h[n] * C[b, l, n]

    return main


selective_scan_tile_workload = dict(
    shapes=[dict(batch=1, length=256, channels=512), dict(batch=2, length=64, channels=128)],
    flops="7*batch*length*channels*state",
    bytes="sizeof(dtype)*batch*length*(3*channels + 2*state)",
    inputs={"delta": "uniform(0, 0.1)", "A": "uniform(-1, 0)"},
    tolerance=1e-4,
)
