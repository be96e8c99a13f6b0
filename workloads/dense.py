"""Dense layer: a product with weights that stay the same from call to call."""
from tvm.script import tirx as T


def dense(M, N, K, dtype="float32"):
    """Y = X W^T; X: [M, K], W: [N, K] as networks keep it, Y: [M, N], all row-major."""

    @T.prim_func(s_tir=True)
    def main(
        X: T.Buffer((M, K), dtype), W: T.Buffer((N, K), dtype), Y: T.Buffer((M, N), dtype)
    ):
        T.func_attr({"tirx.noalias": True})
        for i, j, k in T.grid(M, N, K):
            with T.sblock("Y"):
                vi, vj, vk = T.axis.remap("SSR", [i, j, k])
                with T.init():
                    Y[vi, vj] = T.cast(0, dtype)
                Y[vi, vj] = Y[vi, vj] + X[vi, vk] * W[vj, vk]

    return main


dense_workload = dict(
    shapes=[dict(M=256, N=1024, K=1024), dict(M=16, N=4096, K=4096), dict(M=256, N=4096, K=4096)],
    flops="2*M*N*K",
    bytes="sizeof(dtype)*(M*K + N*K + M*N)",
    constant=["W"],
    baseline={"onednn": "matmul_nt(M, N, K)"},
)
