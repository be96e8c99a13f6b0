"""Matrix products of experts: each expert has its own weights and its own number of tokens, of a fixed
room for each. Tiles without a token do no work."""
from tvm.script import tirx as T


def grouped_gemm_tile(
    experts,
    room,
    N,
    K,
    dtype="float32",
    block_M=T.tune([64, 16, 32, 128]),
    block_N=T.tune([64, 32, 128, 256]),
    block_K=T.tune([128, 64, 256]),
):
    """C[e] = A[e] W[e] for the first sizes[e] rows, 0 below; A: [experts, room, K], W: [experts, K,
    N]."""

    @T.prim_func
    def main(
        A: T.Tensor((experts, room, K), dtype),
        W: T.Tensor((experts, K, N), dtype),
        sizes: T.Tensor((experts,), "int32"),
        C: T.Tensor((experts, room, N), dtype),
    ):
        with T.Kernel(T.ceildiv(N, block_N), T.ceildiv(room, block_M), experts) as (bx, by, bz):
            A_shared = T.alloc_shared((block_M, block_K), dtype)
            W_shared = T.alloc_shared((block_K, block_N), dtype)
            C_local = T.alloc_fragment((block_M, block_N), dtype)
            T.clear(C_local)
            size: T.let = sizes[bz]
            if by * block_M < size:
                for k in T.Pipelined(T.ceildiv(K, block_K)):
                    T.copy(A[bz, by * block_M, k * block_K], A_shared)
                    T.copy(W[bz, k * block_K, bx * block_N], W_shared)
                    T.gemm(A_shared, W_shared, C_local)
                for i, j in T.Parallel(block_M, block_N):
                    C_local[i, j] = T.if_then_else(
                        by * block_M + i < size, C_local[i, j], T.cast(0, dtype)
                    )
            T.copy(C_local, C[bz, by * block_M, bx * block_N])

    return main


def grouped_gemm_tile_reference(experts, room, N, K, dtype="float32"):
    @T.prim_func
    def main(
        A: T.Buffer((experts, room, K), dtype),
        W: T.Buffer((experts, K, N), dtype),
        sizes: T.Buffer((experts,), "int32"),
        C: T.Buffer((experts, room, N), dtype),
    ):
        for e, i, j in T.grid(experts, room, N):
            C[e, i, j] = T.cast(0, dtype)
            if i < sizes[e]:
                for k in range(K):
                    C[e, i, j] = C[e, i, j] + A[e, i, k] * W[e, k, j]

    return main


grouped_gemm_tile_workload = dict(
    shapes=[dict(experts=8, room=128, N=512, K=512), dict(experts=4, room=100, N=256, K=256)],
    flops="2*experts*room*N*K",
    bytes="sizeof(dtype)*experts*(room*K + K*N + room*N)",
    inputs={"sizes": "int(0, room)"},
)
