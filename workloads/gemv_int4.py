"""Matrix times vector with weights of four bits and a scale per group, as they lie in the models that
are read out of memory once per token. A byte holds two weights of its group, half a group apart, so
that a vector of bytes gives two vectors of weights without a shuffle."""
from tvm.script import tirx as T


def gemv_int4(N, K, group=128, rows=T.tune([1, 2, 4, 8, 16, 32]), lanes=T.tune([16, 32, 64])):
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
        with T.Kernel(N // rows, threads=128) as bx:
            part = T.alloc_fragment((rows, lanes), "float32")
            total = T.alloc_fragment((rows,), "float32")
            T.clear(part)
            for g in T.serial(K // group):
                for r in T.serial(rows):
                    scale: T.let[T.float32] = scales[bx * rows + r, g]
                    for j in T.unroll(half // lanes):
                        for v in T.Parallel(lanes):
                            at = g * half + j * lanes + v
                            byte = T.cast(W[bx * rows + r, at], "int32")
                            low = T.cast((byte & 15) - 8, "float32")
                            high = T.cast((byte >> 4) - 8, "float32")
                            k = g * group + j * lanes + v
                            part[r, v] += scale * (low * x[k] + high * x[k + half])
            T.reduce_sum(part, total, dim=1)
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
