"""The gated unit of Llama's feed-forward layers: two products of the same rows, one of which gates
the other."""
from tvm.script import tirx as T


def swiglu(M, N, K, dtype="float32"):
    """Y = silu(X G) * (X U), silu(x) = x / (1 + exp(-x)); X: [M, K], G, U: [K, N], Y: [M, N]."""
    # Sums of many terms need more digits than 16 bits have.
    sums = "float32" if dtype in ("float16", "bfloat16") else dtype

    @T.prim_func(s_tir=True)
    def main(
        X: T.Buffer((M, K), dtype),
        G: T.Buffer((K, N), dtype),
        U: T.Buffer((K, N), dtype),
        Y: T.Buffer((M, N), dtype),
    ):
        T.func_attr({"tirx.noalias": True})
        gate = T.sblock_alloc_buffer((M, N), sums)
        up = T.sblock_alloc_buffer((M, N), sums)
        for i, j, k in T.grid(M, N, K):
            with T.sblock("gate"):
                vi, vj, vk = T.axis.remap("SSR", [i, j, k])
                with T.init():
                    gate[vi, vj] = T.cast(0, sums)
                gate[vi, vj] = gate[vi, vj] + T.cast(X[vi, vk], sums) * T.cast(G[vk, vj], sums)
        for i, j, k in T.grid(M, N, K):
            with T.sblock("up"):
                vi, vj, vk = T.axis.remap("SSR", [i, j, k])
                with T.init():
                    up[vi, vj] = T.cast(0, sums)
                up[vi, vj] = up[vi, vj] + T.cast(X[vi, vk], sums) * T.cast(U[vk, vj], sums)
        for i, j in T.grid(M, N):
            with T.sblock("Y"):
                vi, vj = T.axis.remap("SS", [i, j])
                Y[vi, vj] = T.cast(
                    gate[vi, vj] / (T.cast(1, sums) + T.exp(T.cast(0, sums) - gate[vi, vj]))
                    * up[vi, vj],
                    dtype,
                )

    return main


swiglu_workload = dict(
    shapes=[dict(M=128, N=1024, K=512), dict(M=16, N=11008, K=4096)],
    # two products; per element a difference, an exponential, an addition, a division, a product
    flops="4*M*N*K + 5*M*N",
    bytes="sizeof(dtype)*(M*K + 2*K*N + M*N)",
    tolerance=1e-4,
)
