"""Stream-K matrix product: a fixed number of workers shares the inner loop steps of all tiles evenly,
so that the last wave is as full as the others. A tile whose steps fall to two workers is summed by
atomic additions."""
from tvm.script import tirx as T


def stream_k_tile(
    M,
    N,
    K,
    dtype="float32",
    workers=T.tune([8, 4, 16, 32, 64, 132]),
    block_M=T.tune([64, 32, 128]),
    block_N=T.tune([64, 32, 128]),
    block_K=T.tune([64, 32, 128, 256]),
):
    """C = A B; A: [M, K], B: [K, N], C: [M, N], all row-major."""
    tiles_n = T.ceildiv(N, block_N)
    tiles = T.ceildiv(M, block_M) * tiles_n
    steps = T.ceildiv(K, block_K)  # of one tile
    total = tiles * steps
    share = T.ceildiv(total, workers)
    T.constraint(workers <= total)

    @T.prim_func
    def main(A: T.Tensor((M, K), dtype), B: T.Tensor((K, N), dtype), C: T.Tensor((M, N), dtype)):
        with T.Kernel(tiles_n, T.ceildiv(M, block_M)) as (bx, by):
            zero = T.alloc_fragment((block_M, block_N), dtype)
            T.clear(zero)
            T.copy(zero, C[by * block_M, bx * block_N])
        with T.Kernel(workers) as worker:
            A_shared = T.alloc_shared((block_M, block_K), dtype)
            B_shared = T.alloc_shared((block_K, block_N), dtype)
            C_local = T.alloc_fragment((block_M, block_N), dtype)
            step = T.alloc_var("int32", worker * share)
            stop: T.let = T.min(worker * share + share, total)
            while step < stop:
                tile: T.let = step // steps
                first: T.let = step % steps
                count: T.let = T.min(steps - first, stop - step)
                row: T.let = tile // tiles_n * block_M
                column: T.let = tile % tiles_n * block_N
                T.clear(C_local)
                for k in T.Pipelined(count):
                    T.copy(A[row, (first + k) * block_K], A_shared)
                    T.copy(B[(first + k) * block_K, column], B_shared)
                    T.gemm(A_shared, B_shared, C_local)
                T.atomic_add(C[row, column], C_local)
                step = step + count

    return main


def stream_k_tile_reference(M, N, K, dtype="float32"):
    @T.prim_func
    def main(A: T.Buffer((M, K), dtype), B: T.Buffer((K, N), dtype), C: T.Buffer((M, N), dtype)):
        for i, j in T.grid(M, N):
            C[i, j] = T.cast(0, dtype)
            for k in range(K):
                C[i, j] = C[i, j] + A[i, k] * B[k, j]

    return main


stream_k_tile_workload = dict(
    shapes=[dict(M=512, N=512, K=512), dict(M=320, N=320, K=1024)],
    flops="2*M*N*K",
    bytes="sizeof(dtype)*(M*K + K*N + M*N)",
)
