"""The largest elements of each row and where they stand: a maximum at a time, each masked once it is
taken."""
from tvm.script import tirx as T


def topk_tile(M, N, k=8, dtype="float32", rows=T.tune([4, 1, 2, 8, 16])):
    """values, indices: [M, k]: the k largest of each row of A: [M, N], in falling order; of equal ones
    the first."""
    T.constraint(k <= N)

    @T.prim_func
    def main(
        A: T.Tensor((M, N), dtype),
        values: T.Tensor((M, k), dtype),
        indices: T.Tensor((M, k), "int32"),
    ):
        with T.Kernel(T.ceildiv(M, rows)) as bx:
            tile = T.alloc_fragment((rows, N), dtype)
            place = T.alloc_fragment((rows, N), "int32")
            largest = T.alloc_fragment((rows,), dtype)
            first = T.alloc_fragment((rows,), "int32")
            T.copy(A[bx * rows, 0], tile)
            for step in T.serial(k):
                T.reduce_max(tile, largest, dim=1)
                for i, j in T.Parallel(rows, N):
                    place[i, j] = T.if_then_else(tile[i, j] == largest[i], j, N)
                T.reduce_min(place, first, dim=1)
                for i in T.Parallel(rows):
                    if bx * rows + i < M:
                        values[bx * rows + i, step] = largest[i]
                        indices[bx * rows + i, step] = first[i]
                for i, j in T.Parallel(rows, N):
                    tile[i, j] = T.if_then_else(
                        j == first[i], T.min_value(dtype), tile[i, j]
                    )

    return main


def topk_tile_reference(M, N, k=8, dtype="float32"):
    @T.prim_func
    def main(
        A: T.Buffer((M, N), dtype),
        values: T.Buffer((M, k), dtype),
        indices: T.Buffer((M, k), "int32"),
    ):
        taken = T.alloc_buffer((N,), "int32")
        for i in range(M):
            for j in range(N):
                taken[j] = 0
            for step in range(k):
                best: T.int32 = -1
                for j in range(N):
                    if taken[j] == 0:
                        if best < 0:
                            best = j
                        elif A[i, j] > A[i, best]:
                            best = j
                values[i, step] = A[i, best]
                indices[i, step] = best
                taken[best] = 1

    return main


topk_tile_workload = dict(
    shapes=[dict(M=256, N=512), dict(M=64, N=128, k=2)],
    flops="3*M*N*k",
    bytes="sizeof(dtype)*M*N",
)
