"""The first half of a gated feed-forward layer with weights of four bits: two products that share
their activations, joined by silu(gate) * up while both are in the tile."""
from tvm.script import tirx as T


def dequantize_swiglu_tile(
    M,
    N,
    K,
    group=64,
    dtype="float32",
    block_M=T.tune([32, 16, 64]),
    block_N=T.tune([64, 32, 128]),
    block_K=T.tune([64, 128, 256]),
):
    """H = silu(A G^T) * (A U^T), G and U: [N, K] of int4 with scales [N, K / group]."""
    T.constraint(K % block_K == 0)

    @T.macro
    def widen(tile, packed, scales, n, k):
        for i, j in T.Parallel(block_N, block_K):
            tile[i, j] = (
                T.cast(packed[n + i, k + j], dtype) * scales[n + i, (k + j) // group]
            )

    @T.prim_func
    def main(
        A: T.Tensor((M, K), dtype),
        G: T.Tensor((N, K), "int4"),
        G_scales: T.Tensor((N, K // group), dtype),
        U: T.Tensor((N, K), "int4"),
        U_scales: T.Tensor((N, K // group), dtype),
        out: T.Tensor((M, N), dtype),
    ):
        with T.Kernel(T.ceildiv(N, block_N), T.ceildiv(M, block_M)) as (bx, by):
            A_shared = T.alloc_shared((block_M, block_K), dtype)
            weights = T.alloc_shared((block_N, block_K), dtype)
            gate = T.alloc_fragment((block_M, block_N), dtype)
            up = T.alloc_fragment((block_M, block_N), dtype)
            T.clear(gate)
            T.clear(up)
            for k in T.Pipelined(K // block_K):
                T.copy(A[by * block_M, k * block_K], A_shared)
                widen(weights, G, G_scales, bx * block_N, k * block_K)
                T.gemm(A_shared, weights, gate, transpose_B=True)
                widen(weights, U, U_scales, bx * block_N, k * block_K)
                T.gemm(A_shared, weights, up, transpose_B=True)
            for i, j in T.Parallel(block_M, block_N):
                gate[i, j] = gate[i, j] / (1 + T.exp(-gate[i, j])) * up[i, j]
            T.copy(gate, out[by * block_M, bx * block_N])

    return main


def dequantize_swiglu_tile_reference(M, N, K, group=64, dtype="float32"):
    @T.prim_func
    def main(
        A: T.Buffer((M, K), dtype),
        G: T.Buffer((N, K), "int4"),
        G_scales: T.Buffer((N, K // group), dtype),
        U: T.Buffer((N, K), "int4"),
        U_scales: T.Buffer((N, K // group), dtype),
        out: T.Buffer((M, N), dtype),
    ):
        gate = T.alloc_local((1,), dtype)
        up = T.alloc_local((1,), dtype)
        for i, j in T.grid(M, N):
            gate[0] = T.cast(0, dtype)
            up[0] = T.cast(0, dtype)
            for k in range(K):
                gate[0] = gate[0] + A[i, k] * T.cast(G[j, k], dtype) * G_scales[j, k // group]
                up[0] = up[0] + A[i, k] * T.cast(U[j, k], dtype) * U_scales[j, k // group]
            out[i, j] = gate[0] / (1 + T.exp(-gate[0])) * up[0]

    return main


dequantize_swiglu_tile_workload = dict(
    shapes=[dict(M=64, N=512, K=512)],
    flops="4*M*N*K",
    bytes="sizeof(dtype)*(M*K + M*N + 2*N*K // group) + N*K",
    inputs={"G_scales": "uniform(0, 0.05)", "U_scales": "uniform(0, 0.05)"},
    tolerance=1e-4,
)
