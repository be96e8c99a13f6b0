"""Matrix times vector with weights of four bits and a scale per group, as they lie in the models that
are read out of memory once per token. A byte holds two weights of its group, half a group apart, so
that a vector of bytes gives two vectors of weights without a shuffle."""
from tvm.script import tirx as T


def gemv_int4(
    N,
    K,
    group=128,
    rows=T.tune([4, 1, 2, 8, 16]),
    lanes=T.tune([64, 16, 32]),
    ahead=T.tune([0, 1024, 2048, 4096]),
):
    """y = (W - 8) * scales x; W: [N, K/2] packed, scales: [N, K/group], x: [K], y: [N]."""
    half = group // 2
    T.constraint(half % lanes == 0)
    T.constraint(N % rows == 0)

    @T.prim_func
    def main(
        W: T.Tensor((N, K // 2), "uint8"),
        scales: T.Tensor((N, K // group), "float32"),
        x: T.Tensor((K,), "float32"),
        y: T.Tensor((N,), "float32"),
    ):
        # What the 8 of W - 8 takes away is the same for every row but its scale.
        sums = T.alloc_buffer((K // group,), "float32")
        with T.Kernel(1) as b:
            tile = T.alloc_fragment((K // group, group), "float32")
            for i, j in T.Parallel(K // group, group):
                tile[i, j] = x[i * group + j] * 8.0
            T.reduce_sum(tile, sums, dim=1)
        with T.Kernel(N // rows) as bx:
            part = T.alloc_fragment((rows, lanes), "float32")
            products = T.alloc_fragment((lanes,), "float32")
            less = T.alloc_fragment((rows, K // group), "float32")
            total = T.alloc_fragment((rows,), "float32")
            T.clear(part)
            for r in T.serial(rows):
                for g in T.serial(K // group):
                    # The weights are read once, from memory, and processors look ahead too little.
                    if ahead > 0:
                        T.prefetch(W[bx * rows + r, g * half + ahead])
                    T.clear(products)
                    for j in T.unroll(half // lanes):
                        for v in T.Parallel(lanes):
                            byte = T.cast(W[bx * rows + r, g * half + j * lanes + v], "int32")
                            k = g * group + j * lanes + v
                            products[v] = (
                                products[v]
                                + T.cast(byte & 15, "float32") * x[k]
                                + T.cast(byte >> 4, "float32") * x[k + half]
                            )
                    for v in T.Parallel(lanes):
                        part[r, v] = part[r, v] + scales[bx * rows + r, g] * products[v]
            for r, g in T.Parallel(rows, K // group):
                less[r, g] = 0.0 - scales[bx * rows + r, g] * sums[g]
            T.reduce_sum(part, total, dim=1)
            T.reduce_sum(less, total, dim=1, clear=False)
            T.copy(total, y[bx * rows])

    return main


def gemv_int4_reference(N, K, group=128):
    half = group // 2

    @T.prim_func
    def main(
        W: T.Buffer((N, K // 2), "uint8"),
        scales: T.Buffer((N, K // group), "float32"),
        x: T.Buffer((K,), "float32"),
        y: T.Buffer((N,), "float32"),
    ):
        for n in range(N):
            y[n] = T.float32(0)
            for g, j in T.grid(K // group, half):
                y[n] = y[n] + scales[n, g] * (
                    T.cast(T.cast(W[n, g * half + j], "int32") % 16 - 8, "float32") * x[g * group + j]
                    + T.cast(T.cast(W[n, g * half + j], "int32") // 16 - 8, "float32")
                    * x[g * group + half + j]
                )

    return main


gemv_int4_workload = dict(
    shapes=[dict(N=4096, K=4096), dict(N=1024, K=1024)],
    flops="2*N*K",
    bytes="N*K//2 + 4*N*K//group + 4*(N + K)",
    inputs={"W": "int(0, 255)"},
)
