"""Matrix product of 16-bit floats, summed in float32, as a tile program for tensor cores: copies into
a pipeline of stages in shared memory, products by the warps of a block."""
from tvm.script import tirx as T


def gemm_fp16(
    M,
    N,
    K,
    dtype="float16",
    transpose_B=False,
    block_M=T.tune([128, 64, 256]),
    block_N=T.tune([64, 128, 256]),
    block_K=T.tune([32, 64]),
    num_stages=T.tune([3, 1, 2, 4]),
    threads=T.tune([128, 256]),
):
    """C = A B; A: [M, K], B: [K, N] ([N, K] with transpose_B), C: [M, N], all row-major."""
    shape_B = (N, K) if transpose_B else (K, N)
    tile_B = (block_N, block_K) if transpose_B else (block_K, block_N)

    @T.prim_func
    def main(A: T.Tensor((M, K), dtype), B: T.Tensor(shape_B, dtype), C: T.Tensor((M, N), dtype)):
        with T.Kernel(T.ceildiv(N, block_N), T.ceildiv(M, block_M), threads=threads) as (bx, by):
            A_shared = T.alloc_shared((block_M, block_K), dtype)
            B_shared = T.alloc_shared(tile_B, dtype)
            C_local = T.alloc_fragment((block_M, block_N), "float32")
            T.clear(C_local)
            for k in T.Pipelined(T.ceildiv(K, block_K), num_stages=num_stages):
                T.copy(A[by * block_M, k * block_K], A_shared)
                if transpose_B:
                    T.copy(B[bx * block_N, k * block_K], B_shared)
                else:
                    T.copy(B[k * block_K, bx * block_N], B_shared)
                T.gemm(A_shared, B_shared, C_local, transpose_B=transpose_B)
            T.copy(C_local, C[by * block_M, bx * block_N])

    return main


def gemm_fp16_reference(M, N, K, dtype="float16", transpose_B=False):
    shape_B = (N, K) if transpose_B else (K, N)

    @T.prim_func
    def main(A: T.Buffer((M, K), dtype), B: T.Buffer(shape_B, dtype), C: T.Buffer((M, N), dtype)):
        total = T.alloc_local((1,), "float32")
        for i, j in T.grid(M, N):
            total[0] = T.float32(0)
            for k in range(K):
                if transpose_B:
                    total[0] = total[0] + T.cast(A[i, k], "float32") * T.cast(B[j, k], "float32")
                else:
                    total[0] = total[0] + T.cast(A[i, k], "float32") * T.cast(B[k, j], "float32")
            C[i, j] = T.cast(total[0], dtype)

    return main


gemm_fp16_workload = dict(
    shapes=[dict(M=512, N=512, K=512), dict(M=96, N=80, K=72)],
    flops="2*M*N*K",
    bytes="2*(M*K + K*N + M*N)",
)
