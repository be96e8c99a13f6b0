"""Matrix product. The workload that every schedule rule is tried on first."""
from tvm.script import tirx as T


def matmul(M, N, K, dtype="float32", out_dtype="", b_dtype=""):
    """C = A B; A: [M, K], B: [K, N], C: [M, N], all row-major.

    Sums in out_dtype, which is dtype unless given, or float32 where dtype has 16 bits and int32
    where it has 8: too few digits for sums. B has b_dtype, which is dtype unless given (dtype=uint8
    b_dtype=int8: a quantised layer's activations and weights).
    """
    out = out_dtype or (
        "float32"
        if dtype in ("float16", "bfloat16")
        else "int32" if dtype in ("int8", "uint8") else dtype
    )
    b_type = b_dtype or dtype

    @T.prim_func(s_tir=True)
    def main(
        A: T.Buffer((M, K), dtype), B: T.Buffer((K, N), b_type), C: T.Buffer((M, N), out)
    ):
        T.func_attr({"tirx.noalias": True})
        for i, j, k in T.grid(M, N, K):
            with T.sblock("C"):
                vi, vj, vk = T.axis.remap("SSR", [i, j, k])
                with T.init():
                    C[vi, vj] = T.cast(0, out)
                C[vi, vj] = C[vi, vj] + T.cast(A[vi, vk], out) * T.cast(B[vk, vj], out)

    return main


matmul_workload = dict(
    shapes=[dict(M=512, N=512, K=512), dict(M=1024, N=1024, K=1024)],
    flops="2*M*N*K",
    bytes="sizeof(dtype)*M*K + sizeof(b_dtype or dtype)*K*N + sizeof(out_dtype or"
    " ('float32' if dtype in ('float16', 'bfloat16') else"
    " 'int32' if dtype in ('int8', 'uint8') else dtype))*M*N",
    baseline={
        "blas": "sgemm(M, N, K) if dtype == 'float32'",
        "onednn": [
            "matmul(M, N, K) if dtype == 'float32'",
            "matmul_bf16(M, N, K) if dtype == 'bfloat16' and b_dtype in ('', 'bfloat16')"
            " and out_dtype in ('', 'float32')",
            "matmul_u8s8(M, N, K) if dtype == 'uint8' and b_dtype == 'int8'"
            " and out_dtype in ('', 'int32')",
            "matmul_s8s8(M, N, K) if dtype == 'int8' and b_dtype in ('', 'int8')"
            " and out_dtype in ('', 'int32')",
        ],
        "torch": "mm(M, N, K) if dtype == 'float32'",
    },
)
