"""Matrix times vector with weights of two bits, by lookup tables (T-MAC's method): for each four
activations a table holds the sums of all their subsets, and a byte shuffle looks up what the bits of a
row pick, many rows at once. No weight is ever unpacked, nothing is multiplied."""
from tvm.script import tirx as T


def gemv_int2_lut(N, K, rows=T.tune([512, 128, 256, 1024, 64]), steps=T.tune([64, 16, 32, 128])):
    """y = scales (W x), W of -2 to 1, x int8 from -31 to 31; bits: [2, K / 8, N] bytes: plane, eight of
    K, row; a byte holds the bit of eight weights, those of the first four in its low half."""
    T.constraint(N % rows == 0)
    T.constraint(K % (8 * steps) == 0)
    groups = K // 8

    @T.prim_func
    def main(
        bits: T.Tensor((2, K // 8, N), "uint8"),
        x: T.Tensor((K,), "int8"),
        scales: T.Tensor((N,), "float32"),
        y: T.Tensor((N,), "float32"),
    ):
        tables = T.alloc_buffer((K // 4, 16), "int8")
        whole = T.alloc_buffer((1,), "int32")
        with T.Kernel(1) as b:
            # 31 * 4 fits eight bits.
            for g, p in T.Parallel(K // 4, 16):
                tables[g, p] = T.cast(
                    T.cast(x[g * 4], "int32") * (p & 1)
                    + T.cast(x[g * 4 + 1], "int32") * ((p >> 1) & 1)
                    + T.cast(x[g * 4 + 2], "int32") * ((p >> 2) & 1)
                    + T.cast(x[g * 4 + 3], "int32") * (p >> 3),
                    "int8",
                )
            wide = T.alloc_fragment((K,), "int32")
            total = T.alloc_fragment((1,), "int32")
            for k in T.Parallel(K):
                wide[k] = T.cast(x[k], "int32")
            T.reduce_sum(wide, total, dim=0)
            T.copy(total, whole)
        with T.Kernel(N // rows) as bx:
            low = T.alloc_fragment((rows,), "int16")
            high = T.alloc_fragment((rows,), "int16")
            sums = T.alloc_fragment((rows,), "int32")
            T.clear(sums)
            for outer in T.serial(groups // steps):
                # Two lookups of at most 124 a step: 16 bits hold 128 steps.
                T.clear(low)
                T.clear(high)
                for inner in T.serial(steps):
                    g = outer * steps + inner
                    T.lookup(tables[g * 2, 0:16], bits[0, g, bx * rows : bx * rows + rows], low)
                    T.lookup(
                        tables[g * 2 + 1, 0:16], bits[0, g, bx * rows : bx * rows + rows], low, shift=4
                    )
                    T.lookup(tables[g * 2, 0:16], bits[1, g, bx * rows : bx * rows + rows], high)
                    T.lookup(
                        tables[g * 2 + 1, 0:16], bits[1, g, bx * rows : bx * rows + rows], high, shift=4
                    )
                for i in T.Parallel(rows):
                    sums[i] = sums[i] + T.cast(low[i], "int32") + T.cast(high[i], "int32") * 2
            for i in T.Parallel(rows):
                y[bx * rows + i] = scales[bx * rows + i] * T.cast(sums[i] - whole[0] * 2, "float32")

    return main


def gemv_int2_lut_reference(N, K):
    @T.prim_func
    def main(
        bits: T.Buffer((2, K // 8, N), "uint8"),
        x: T.Buffer((K,), "int8"),
        scales: T.Buffer((N,), "float32"),
        y: T.Buffer((N,), "float32"),
    ):
        for n in range(N):
            y[n] = T.float32(0)
            for k in range(K):
                y[n] = y[n] + T.cast(
                    T.cast(x[k], "int32")
                    * (
                        ((T.cast(bits[0, k // 8, n], "int32") >> (k % 8)) & 1)
                        + 2 * ((T.cast(bits[1, k // 8, n], "int32") >> (k % 8)) & 1)
                        - 2
                    ),
                    "float32",
                )
            y[n] = y[n] * scales[n]

    return main


gemv_int2_lut_workload = dict(
    shapes=[dict(N=4096, K=4096), dict(N=1024, K=1024)],
    flops="2*N*K",
    bytes="N*K//4 + K + 8*N",
    inputs={"bits": "int(0, 255)", "x": "int(-31, 31)"},
)
