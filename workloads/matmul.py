"""Matrix product. The workload that every schedule rule is tried on first."""
from tvm.script import tirx as T


def matmul(M, N, K, dtype="float32", out_dtype=""):
    """C = A B; A: [M, K], B: [K, N], C: [M, N], all row-major.

    Sums in out_dtype, which is dtype unless given (dtype=int8 out_dtype=int32), or float32 where
    dtype has 16 bits, too few digits for sums.
    """
    out = out_dtype or ("float32" if dtype in ("float16", "bfloat16") else dtype)

    @T.prim_func(s_tir=True)
    def main(
        A: T.Buffer((M, K), dtype), B: T.Buffer((K, N), dtype), C: T.Buffer((M, N), out)
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
    bytes="sizeof(dtype)*(M*K + K*N) + sizeof(out_dtype or"
    " ('float32' if dtype in ('float16', 'bfloat16') else dtype))*M*N",
    baseline={
        "blas": "sgemm(M, N, K)",
        "onednn": "matmul(M, N, K)",
        "torch": "mm(M, N, K)",
    },
)
