"""Matrix product with weights of four bits and a scale per group of K (w4a16): the weights come as
bytes, each thread unpacks its share into shared memory, and the tile product works on what is left of
them. Thread-level code inside of a block-level program."""
from tvm.script import tirx as T


def _unpack(storage_bits=8):
    """Element `place` of a byte, as the numbers -8 to 7, -1 to ... of the format."""

    def convert(bits, value, place, dtype):
        mask = (1 << bits) - 1
        code = (T.cast(value, "int32") >> (place * bits)) & mask
        return T.cast(code, dtype)

    return convert


def _fp4(value, place, dtype):
    """e2m1: a sign, two bits of exponent, one of mantissa: 0, 0.5, 1, 1.5, 2, 3, 4, 6."""
    code = (T.cast(value, "int32") >> (place * 4)) & 15
    magnitude = code & 7
    # Twice the value: 0, 1, 2, 3, 4, 6, 8, 12.
    twice = T.if_then_else(magnitude < 4, magnitude, (2 + (magnitude & 1)) << ((magnitude >> 1) - 1))
    return T.cast(T.if_then_else(code > 7, 0 - twice, twice), dtype) * T.cast(0.5, dtype)


def dequantize_gemm_tile(
    M,
    N,
    K,
    group=64,
    format="int4",
    dtype="float32",
    block_M=T.tune([64, 16, 32, 128]),
    block_N=T.tune([64, 32, 128]),
    block_K=T.tune([64, 128]),
    threads=T.tune([128, 64, 256]),
):
    """C = A (W scales)^T; A: [M, K], W: [N, K / 2] bytes, scales: [N, K / group]; format: int4 (codes 0
    to 15 mean -8 to 7) or fp4 (e2m1)."""
    assert format in ["int4", "fp4"], "format is int4 or fp4"
    T.constraint(K % block_K == 0)
    T.constraint(block_K % group == 0 or group % block_K == 0)
    T.constraint(block_N * block_K // 2 % (threads * 4) == 0)
    num_bits = 4
    num_elems_per_byte = 8 // num_bits
    per_row = block_K // num_elems_per_byte
    convert = _unpack()

    @T.prim_func
    def main(
        A: T.Buffer((M, K), dtype),
        W: T.Buffer((N, K // num_elems_per_byte), "uint8"),
        scales: T.Buffer((N, K // group), dtype),
        C: T.Buffer((M, N), dtype),
    ):
        with T.Kernel(T.ceildiv(N, block_N), T.ceildiv(M, block_M), threads=threads) as (bx, by):
            A_shared = T.alloc_shared((block_M, block_K), dtype)
            W_shared = T.alloc_shared((block_N, per_row), "uint8")
            W_local = T.alloc_fragment([4], "uint8", "local")
            W_dequantize_local = T.alloc_fragment([8], dtype, "local")
            W_dequantize_shared = T.alloc_shared((block_N, block_K), dtype)
            C_local = T.alloc_fragment((block_M, block_N), "float32")
            T.annotate_layout({A_shared: T.make_swizzled_layout(A_shared)})
            T.use_swizzle(panel_size=10)
            t = T.thread_binding(0, threads, thread="threadIdx.x")
            T.clear(C_local)
            for k in T.Pipelined(K // block_K):
                T.copy(A[by * block_M, k * block_K], A_shared)
                T.copy(W[bx * block_N, k * per_row], W_shared)
                for i in T.serial(block_N * per_row // (threads * 4)):
                    for v in T.vectorized(0, 4):
                        vi = (i * threads * 4 + t * 4 + v) // per_row
                        vj = (i * threads * 4 + t * 4 + v) % per_row
                        W_local[v] = W_shared[vi, vj]
                    for v in T.serial(0, 8):
                        if format == "fp4":
                            W_dequantize_local[v] = _fp4(W_local[v // 2], v % 2, dtype)
                        else:
                            W_dequantize_local[v] = convert(
                                num_bits, W_local[v // 2], v % 2, dtype=dtype
                            ) - T.cast(8, dtype)
                    for v in T.vectorized(0, 8):
                        vi = (i * threads * 8 + t * 8 + v) // block_K
                        vj = (i * threads * 8 + t * 8 + v) % block_K
                        W_dequantize_shared[vi, vj] = (
                            W_dequantize_local[v]
                            * scales[bx * block_N + vi, (k * block_K + vj) // group]
                        )
                T.gemm(A_shared, W_dequantize_shared, C_local, transpose_B=True)
            T.copy(C_local, C[by * block_M, bx * block_N])

    return main


def dequantize_gemm_tile_reference(M, N, K, group=64, format="int4", dtype="float32"):
    @T.prim_func
    def main(
        A: T.Buffer((M, K), dtype),
        W: T.Buffer((N, K // 2), "uint8"),
        scales: T.Buffer((N, K // group), dtype),
        C: T.Buffer((M, N), dtype),
    ):
        w = T.alloc_buffer((K,), dtype)
        for j in range(N):
            for k in range(K):
                code: T.int32 = T.cast(W[j, k // 2], "int32") // (1 + k % 2 * 15) % 16
                if format == "fp4":
                    m: T.int32 = code % 8
                    if m < 2:
                        w[k] = T.cast(m, dtype) * T.cast(0.5, dtype)
                    elif m < 4:
                        w[k] = T.cast(m, dtype) * T.cast(0.5, dtype)
                    elif m < 6:
                        w[k] = T.cast(m - 2, dtype)
                    else:
                        w[k] = T.cast(2 * (m - 4), dtype)
                    if code > 7:
                        w[k] = T.cast(0, dtype) - w[k]
                else:
                    w[k] = T.cast(code - 8, dtype)
                w[k] = w[k] * scales[j, k // group]
            for i in range(M):
                C[i, j] = T.cast(0, dtype)
                for k in range(K):
                    C[i, j] = C[i, j] + A[i, k] * w[k]

    return main


dequantize_gemm_tile_workload = dict(
    shapes=[dict(M=128, N=1024, K=1024), dict(M=128, N=1024, K=1024, format="fp4")],
    flops="2*M*N*K",
    bytes="sizeof(dtype)*(M*K + M*N + N*K // group) + N*K // 2",
    inputs={"W": "int(0, 255)"},
)
