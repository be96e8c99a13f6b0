"""A batch of matrix products of one shape, as in attention without its softmax."""
from tvm.script import tirx as T


def batch_matmul(B, M, N, K, dtype="float32"):
    """Z[b] = X[b] Y[b]; X: [B, M, K], Y: [B, K, N], Z: [B, M, N]."""
    # Sums of many terms need more digits than 16 bits have.
    out = "float32" if dtype in ("float16", "bfloat16") else dtype

    @T.prim_func(s_tir=True)
    def main(
        X: T.Buffer((B, M, K), dtype), Y: T.Buffer((B, K, N), dtype), Z: T.Buffer((B, M, N), out)
    ):
        T.func_attr({"tirx.noalias": True})
        for b, i, j, k in T.grid(B, M, N, K):
            with T.sblock("Z"):
                vb, vi, vj, vk = T.axis.remap("SSSR", [b, i, j, k])
                with T.init():
                    Z[vb, vi, vj] = T.cast(0, out)
                Z[vb, vi, vj] = Z[vb, vi, vj] + T.cast(X[vb, vi, vk], out) * T.cast(
                    Y[vb, vk, vj], out
                )

    return main


batch_matmul_workload = dict(
    shapes=[dict(B=16, M=128, N=128, K=64), dict(B=12, M=384, N=384, K=64)],
    flops="2*B*M*N*K",
    bytes="sizeof(dtype)*B*(M*K + K*N)"
    " + sizeof('float32' if dtype in ('float16', 'bfloat16') else dtype)*B*M*N",
    baseline={
        "blas": "batched_sgemm(B, M, N, K)",
        "onednn": "batched_matmul(B, M, N, K)",
        "torch": "bmm(B, M, N, K)",
    },
)
