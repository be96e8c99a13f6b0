"""Stream-K product on tensor cores: as many blocks as there are multiprocessors share the steps of all
tiles evenly, so that the last wave is as full as the others. What a block has of a tile that others
work on, too, it leaves in a workspace, which a second kernel sums: nothing is added atomically, and the
result is the same each time."""
from tvm.script import tirx as T


def gemm_stream_k(
    M,
    N,
    K,
    dtype="bfloat16",
    multiprocessors=132,
    block_M=T.tune([128, 64, 256]),
    block_N=T.tune([128, 64, 256]),
    row_bytes=T.tune([128, 64]),
    num_stages=T.tune([3, 2, 4, 5]),
    threads=T.tune([256, 128]),
    under_way=T.tune([0, 1]),
):
    """C = A B^T; A: [M, K], B: [N, K], C: [M, N], all row-major, of 16-bit floats."""
    block_K = row_bytes // 2
    tiles_n = T.ceildiv(N, block_N)
    steps = T.ceildiv(K, block_K)  # of one tile
    total = T.ceildiv(M, block_M) * tiles_n * steps
    share = T.ceildiv(total, multiprocessors)
    T.constraint(under_way < num_stages)

    @T.prim_func
    def main(A: T.Tensor((M, K), dtype), B: T.Tensor((N, K), dtype), C: T.Tensor((M, N), dtype)):
        # Of each block the tile it begins amid, and the one it does not end.
        parts = T.alloc_buffer((multiprocessors, 2, block_M, block_N), "float32")
        with T.Kernel(multiprocessors, threads=threads) as block:
            A_shared = T.alloc_shared((block_M, block_K), dtype)
            B_shared = T.alloc_shared((block_N, block_K), dtype)
            C_local = T.alloc_fragment((block_M, block_N), "float32")
            step = T.alloc_var("int32", block * share)
            stop: T.let = T.min(block * share + share, total)
            while step < stop:
                tile: T.let = step // steps
                first: T.let = step % steps
                count: T.let = T.min(steps - first, stop - step)
                row: T.let = tile // tiles_n * block_M
                column: T.let = tile % tiles_n * block_N
                T.clear(C_local)
                for k in T.Pipelined(count, num_stages=num_stages):
                    T.copy(A[row, (first + k) * block_K], A_shared)
                    T.copy(B[column, (first + k) * block_K], B_shared)
                    T.gemm(A_shared, B_shared, C_local, transpose_B=True, wg_wait=under_way)
                if count == steps:
                    T.copy(C_local, C[row, column])
                else:
                    T.copy(C_local, parts[block, T.if_then_else(first > 0, 0, 1), 0, 0])
                step = step + count
        with T.Kernel(tiles_n, T.ceildiv(M, block_M), threads=threads) as (bx, by):
            sums = T.alloc_fragment((block_M, block_N), "float32")
            begin: T.let = (by * tiles_n + bx) * steps
            earliest: T.let = begin // share
            latest: T.let = (begin + steps - 1) // share
            if earliest < latest:
                T.copy(parts[earliest, 1, 0, 0], sums)
                for other in T.serial(latest - earliest):
                    for i, j in T.Parallel(block_M, block_N):
                        sums[i, j] = sums[i, j] + parts[earliest + 1 + other, 0, i, j]
                T.copy(sums, C[by * block_M, bx * block_N])

    return main


def gemm_stream_k_reference(M, N, K, dtype="bfloat16", multiprocessors=132):
    @T.prim_func
    def main(A: T.Buffer((M, K), dtype), B: T.Buffer((N, K), dtype), C: T.Buffer((M, N), dtype)):
        sums = T.alloc_local((1,), "float32")
        for i, j in T.grid(M, N):
            sums[0] = T.float32(0)
            for k in range(K):
                sums[0] = sums[0] + T.cast(A[i, k], "float32") * T.cast(B[j, k], "float32")
            C[i, j] = T.cast(sums[0], dtype)

    return main


gemm_stream_k_workload = dict(
    # Tiles of 128 x 128: 16, 90 and 144 of them, which are no waves of 132.
    shapes=[
        dict(M=512, N=512, K=512),
        dict(M=1280, N=1152, K=8192),
        dict(M=1536, N=1536, K=4096, dtype="float16"),
    ],
    flops="2*M*N*K",
    bytes="2*(M*K + K*N + M*N)",
    tolerance=2e-2,
)
