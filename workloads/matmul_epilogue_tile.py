"""Matrix product whose result passes through an epilogue while it is still in the tile: a bias, an
activation, a residual, a scale per column. One program for all of them; what is not asked for leaves
no trace."""
from tvm.script import tirx as T


def matmul_epilogue_tile(
    M,
    N,
    K,
    epilogue="bias_gelu",
    dtype="float32",
    block_M=T.tune([128, 32, 64, 96, 192, 256]),
    block_N=T.tune([64, 32, 96, 128, 256, 512]),
    block_K=T.tune([256, 64, 128, 512]),
):
    """C = f(A B); A: [M, K], B: [K, N]; f: bias, bias_relu, bias_gelu, bias_silu or scale_residual."""
    known = ["bias", "bias_relu", "bias_gelu", "bias_silu", "scale_residual"]
    assert epilogue in known, f"epilogue is one of {known}"

    @T.macro
    def finish(acc, bias, residual, by, bx):
        if epilogue == "scale_residual":
            for i, j in T.Parallel(block_M, block_N):
                acc[i, j] = acc[i, j] * bias[j] + residual[i, j]
        else:
            for i, j in T.Parallel(block_M, block_N):
                acc[i, j] = acc[i, j] + bias[j]
        if epilogue == "bias_relu":
            for i, j in T.Parallel(block_M, block_N):
                acc[i, j] = T.max(acc[i, j], T.cast(0, dtype))
        if epilogue == "bias_gelu":
            for i, j in T.Parallel(block_M, block_N):
                acc[i, j] = acc[i, j] * 0.5 * (1 + T.erf(acc[i, j] * 0.70710678))
        if epilogue == "bias_silu":
            for i, j in T.Parallel(block_M, block_N):
                acc[i, j] = acc[i, j] / (1 + T.exp(-acc[i, j]))

    @T.prim_func
    def main(
        A: T.Tensor((M, K), dtype),
        B: T.Tensor((K, N), dtype),
        bias: T.Tensor((N,), dtype),
        R: T.Tensor((M, N), dtype),
        C: T.Tensor((M, N), dtype),
    ):
        with T.Kernel(T.ceildiv(N, block_N), T.ceildiv(M, block_M)) as (bx, by):
            A_shared = T.alloc_shared((block_M, block_K), dtype)
            B_shared = T.alloc_shared((block_K, block_N), dtype)
            C_local = T.alloc_fragment((block_M, block_N), dtype)
            bias_local = T.alloc_fragment((block_N,), dtype)
            R_local = T.alloc_fragment((block_M, block_N), dtype)
            T.clear(C_local)
            for k in T.Pipelined(T.ceildiv(K, block_K)):
                T.copy(A[by * block_M, k * block_K], A_shared)
                T.copy(B[k * block_K, bx * block_N], B_shared)
                T.gemm(A_shared, B_shared, C_local)
            T.copy(bias[bx * block_N], bias_local)
            if epilogue == "scale_residual":
                T.copy(R[by * block_M, bx * block_N], R_local)
            finish(C_local, bias_local, R_local, by, bx)
            T.copy(C_local, C[by * block_M, bx * block_N])

    return main


def matmul_epilogue_tile_reference(M, N, K, epilogue="bias_gelu", dtype="float32"):
    @T.prim_func
    def main(
        A: T.Buffer((M, K), dtype),
        B: T.Buffer((K, N), dtype),
        bias: T.Buffer((N,), dtype),
        R: T.Buffer((M, N), dtype),
        C: T.Buffer((M, N), dtype),
    ):
        for i, j in T.grid(M, N):
            C[i, j] = T.cast(0, dtype)
            for k in range(K):
                C[i, j] = C[i, j] + A[i, k] * B[k, j]
            if epilogue == "scale_residual":
                C[i, j] = C[i, j] * bias[j] + R[i, j]
            else:
                C[i, j] = C[i, j] + bias[j]
            if epilogue == "bias_relu":
                C[i, j] = T.max(C[i, j], T.cast(0, dtype))
            if epilogue == "bias_gelu":
                C[i, j] = C[i, j] * 0.5 * (1 + T.erf(C[i, j] * 0.70710678))
            if epilogue == "bias_silu":
                C[i, j] = C[i, j] / (1 + T.exp(-C[i, j]))

    return main


matmul_epilogue_tile_workload = dict(
    shapes=[
        dict(M=512, N=512, K=512),
        dict(M=512, N=512, K=512, epilogue="bias_relu"),
        dict(M=512, N=512, K=512, epilogue="bias_silu"),
        dict(M=512, N=512, K=512, epilogue="scale_residual"),
    ],
    flops="2*M*N*K",
    bytes="sizeof(dtype)*(M*K + K*N + M*N)",
)
