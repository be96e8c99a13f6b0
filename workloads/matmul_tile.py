"""Matrix product as a tile program: blocks of C, each with its operands copied into tiles."""
from tvm.script import tirx as T


def matmul_tile(
    M,
    N,
    K,
    dtype="float32",
    block_M=T.tune([32, 64, 96, 128, 192, 256, 512, 1024]),
    block_N=T.tune([32, 64, 96, 128, 256, 512, 1024]),
    block_K=T.tune([64, 128, 256, 512, 1024]),
):
    """C = A B; A: [M, K], B: [K, N], C: [M, N], all row-major."""
    # Larger tiles than the matrix are no other program; the first choices are legal for any.
    T.constraint(block_M < 2 * max(M, 32))
    T.constraint(block_N < 2 * max(N, 32))
    T.constraint(block_K < 2 * max(K, 64))

    @T.prim_func
    def main(A: T.Tensor((M, K), dtype), B: T.Tensor((K, N), dtype), C: T.Tensor((M, N), dtype)):
        with T.Kernel(T.ceildiv(N, block_N), T.ceildiv(M, block_M)) as (bx, by):
            A_shared = T.alloc_shared((block_M, block_K), dtype)
            B_shared = T.alloc_shared((block_K, block_N), dtype)
            C_local = T.alloc_fragment((block_M, block_N), dtype)
            T.clear(C_local)
            for k in T.Pipelined(T.ceildiv(K, block_K)):
                T.copy(A[by * block_M, k * block_K], A_shared)
                T.copy(B[k * block_K, bx * block_N], B_shared)
                T.gemm(A_shared, B_shared, C_local)
            T.copy(C_local, C[by * block_M, bx * block_N])

    return main


def matmul_tile_reference(M, N, K, dtype="float32"):
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((M, K), dtype), B: T.Buffer((K, N), dtype), C: T.Buffer((M, N), dtype)):
        for i, j, k in T.grid(M, N, K):
            with T.sblock("C"):
                vi, vj, vk = T.axis.remap("SSR", [i, j, k])
                with T.init():
                    C[vi, vj] = T.cast(0, dtype)
                C[vi, vj] = C[vi, vj] + A[vi, vk] * B[vk, vj]

    return main


matmul_tile_workload = dict(
    shapes=[dict(M=512, N=512, K=512), dict(M=1024, N=1024, K=1024)],
    flops="2*M*N*K",
    bytes="sizeof(dtype)*(M*K + K*N + M*N)",
    baseline={
        "blas": "sgemm(M, N, K) if dtype == 'float32'",
        "onednn": "matmul(M, N, K) if dtype == 'float32'",
    },
)
