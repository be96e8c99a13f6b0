"""Matrix product by roles: one warpgroup copies, the others multiply; stages go round through mbarriers.
For GPUs alone."""
from tvm.script import tirx as T


def gemm_roles(
    M,
    N,
    K,
    dtype="float16",
    block_M=T.tune([64, 32, 128]),
    block_N=T.tune([64, 32, 128]),
    block_K=T.tune([32, 16, 64]),
    stages=T.tune([2, 1, 3, 4]),
    consumers=T.tune([1, 2]),
):
    """C = A B; A: [M, K], B: [K, N], C: [M, N], all row-major."""
    steps = T.ceildiv(K, block_K)
    threads = 128 * (consumers + 1)

    @T.prim_func
    def main(A: T.Tensor((M, K), dtype), B: T.Tensor((K, N), dtype), C: T.Tensor((M, N), "float32")):
        with T.Kernel(T.ceildiv(N, block_N), T.ceildiv(M, block_M), threads=threads) as (bx, by):
            A_shared = T.alloc_shared((stages, block_M, block_K), dtype)
            B_shared = T.alloc_shared((stages, block_K, block_N), dtype)
            C_local = T.alloc_fragment((block_M, block_N), "float32")
            full = T.alloc_barrier([128] * stages)
            empty = T.alloc_barrier([128 * consumers] * stages)
            if T.get_warp_group_idx() == 0:
                for k in T.serial(steps):
                    T.barrier_wait(empty[k % stages], (k // stages + 1) % 2)
                    T.copy(A[by * block_M, k * block_K], A_shared[k % stages, 0:block_M, 0:block_K])
                    T.copy(B[k * block_K, bx * block_N], B_shared[k % stages, 0:block_K, 0:block_N])
                    T.barrier_arrive(full[k % stages])
            else:
                T.clear(C_local)
                for k in T.serial(steps):
                    T.barrier_wait(full[k % stages], k // stages % 2)
                    T.gemm(
                        A_shared[k % stages, 0:block_M, 0:block_K],
                        B_shared[k % stages, 0:block_K, 0:block_N],
                        C_local,
                    )
                    T.barrier_arrive(empty[k % stages])
                T.copy(C_local, C[by * block_M, bx * block_N])

    return main


def gemm_roles_reference(M, N, K, dtype="float16"):
    @T.prim_func
    def main(A: T.Buffer((M, K), dtype), B: T.Buffer((K, N), dtype), C: T.Buffer((M, N), "float32")):
        for i, j in T.grid(M, N):
            C[i, j] = T.float32(0)
            for k in range(K):
                C[i, j] = C[i, j] + T.cast(A[i, k], "float32") * T.cast(B[k, j], "float32")

    return main


gemm_roles_workload = dict(shapes=[dict(M=96, N=80, K=72)], flops="2*M*N*K")
