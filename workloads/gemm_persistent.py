"""Matrix product on tensor cores by a persistent kernel: as many blocks as there are multiprocessors
go from tile to tile, neighbouring tiles at the same time. Elements of 16 bits, of 8 (float8, int8) or
float32 as tf32; results leave through shared memory or straight from registers."""
from tvm.script import tirx as T


def gemm_persistent(
    M,
    N,
    K,
    dtype="bfloat16",
    out_dtype="",
    multiprocessors=132,
    imprecise=128,
    block_M=T.tune([128, 64, 256]),
    block_N=T.tune([128, 64, 192, 256]),
    row_bytes=T.tune([128, 64]),
    num_stages=T.tune([3, 2, 4, 5]),
    threads=T.tune([256, 128]),
    under_way=T.tune([0, 1]),
    group=T.tune([8, 1, 4, 16]),
    through_shared=T.tune([True, False]),
):
    """C = A B^T; A: [M, K], B: [N, K], C: [M, N], all row-major, C of `out_dtype`, or else of A's type
    (int32 of bytes, float32 of other narrow types). imprecise: how many products of float8 may be
    summed with the few bits of Hopper's tensor cores; 0: all of them, in less time, up to some percent
    off."""
    total = "int32" if dtype in ("int8", "uint8") else "float32"
    out = out_dtype if out_dtype != "" else (dtype if dtype in ("float16", "bfloat16") else total)
    block_K = row_bytes // (4 if dtype == "float32" else 2 if dtype in ("float16", "bfloat16") else 1)
    most = imprecise if dtype in ("float8_e4m3", "float8_e5m2") else 0
    T.constraint(under_way < num_stages)
    T.constraint(most == 0 or block_K <= most)

    @T.prim_func
    def main(A: T.Tensor((M, K), dtype), B: T.Tensor((N, K), dtype), C: T.Tensor((M, N), out)):
        with T.Kernel(multiprocessors, threads=threads) as block:
            A_shared = T.alloc_shared((block_M, block_K), dtype)
            B_shared = T.alloc_shared((block_N, block_K), dtype)
            C_shared = T.alloc_shared((block_M, block_N), out)
            C_local = T.alloc_fragment((block_M, block_N), total)
            for by, bx in T.Persistent(
                [T.ceildiv(M, block_M), T.ceildiv(N, block_N)], multiprocessors, block, group_size=group
            ):
                T.clear(C_local)
                for k in T.Pipelined(T.ceildiv(K, block_K), num_stages=num_stages):
                    T.copy(A[by * block_M, k * block_K], A_shared)
                    T.copy(B[bx * block_N, k * block_K], B_shared)
                    T.gemm(A_shared, B_shared, C_local, transpose_B=True, allow_tf32=True,
                        wg_wait=under_way, max_num_imprecise_acc=most)
                if through_shared:
                    T.copy(C_local, C_shared)
                    T.copy(C_shared, C[by * block_M, bx * block_N])
                else:
                    T.copy(C_local, C[by * block_M, bx * block_N])

    return main


def gemm_persistent_reference(M, N, K, dtype="bfloat16", out_dtype="", multiprocessors=132, imprecise=128):
    total = "int32" if dtype in ("int8", "uint8") else "float32"
    out = out_dtype if out_dtype != "" else (dtype if dtype in ("float16", "bfloat16") else total)

    @T.prim_func
    def main(A: T.Buffer((M, K), dtype), B: T.Buffer((N, K), dtype), C: T.Buffer((M, N), out)):
        sums = T.alloc_local((1,), total)
        for i, j in T.grid(M, N):
            sums[0] = T.cast(0, total)
            for k in range(K):
                sums[0] = sums[0] + T.cast(A[i, k], total) * T.cast(B[j, k], total)
            C[i, j] = T.cast(sums[0], out)

    return main


gemm_persistent_workload = dict(
    shapes=[
        dict(M=512, N=512, K=512),
        dict(M=4096, N=4096, K=4096),
        dict(M=8192, N=8192, K=8192),
        dict(M=4096, N=4096, K=4096, dtype="float8_e4m3"),
        dict(M=4096, N=4096, K=4096, dtype="int8"),
    ],
    flops="2*M*N*K",
    bytes="sizeof(dtype)*(M*K + K*N) + 2*M*N",
    tolerance=2e-2,
)
