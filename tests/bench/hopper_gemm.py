"""A product as it is written for Hopper: one warp copies by TMA, two warpgroups multiply by wgmma."""
from tvm.script import tirx as T


def hopper_gemm(M, N, K, dtype="bfloat16"):
    @T.prim_func
    def main(A: T.Tensor((M, K), dtype), B: T.Tensor((N, K), dtype), C: T.Tensor((M, N), dtype)):
        with T.Kernel(T.ceildiv(N, 256), T.ceildiv(M, 128), threads=256) as (bx, by):
            A_shared = T.alloc_shared((128, 64), dtype)
            B_shared = T.alloc_shared((256, 64), dtype)
            C_shared = T.alloc_shared((128, 256), dtype)
            C_local = T.alloc_fragment((128, 256), "float32")
            T.clear(C_local)
            for k in T.Pipelined(T.ceildiv(K, 64), num_stages=3, annotations={"tma": 2}):
                T.copy(A[by * 128, k * 64], A_shared)
                T.copy(B[bx * 256, k * 64], B_shared)
                T.gemm(A_shared, B_shared, C_local, transpose_B=True, wg_wait=1, annotations={"variant": "wgmma", "warp_rows": 2})
            T.copy(C_local, C_shared)
            T.copy(C_shared, C[by * 128, bx * 256], annotations={"variant": "tma_store"})

    return main


hopper_gemm_workload = dict(shapes=[dict(M=4096, N=4096, K=4096)], flops="2*M*N*K")
