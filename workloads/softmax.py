"""Softmax over rows, in the four blocks that TVM writes: largest element, exponentials, their sum,
quotient."""
from tvm.script import tirx as T


def softmax(M, N, dtype="float32"):
    """Y[i, j] = exp(X[i, j] - max_j X[i, :]) / sum; X, Y: [M, N], over the last axis."""
    # Sums of many terms need more digits than 16 bits have.
    sums = "float32" if dtype in ("float16", "bfloat16") else dtype

    @T.prim_func(s_tir=True)
    def main(X: T.Buffer((M, N), dtype), Y: T.Buffer((M, N), dtype)):
        T.func_attr({"tirx.noalias": True})
        largest = T.sblock_alloc_buffer((M,), dtype)
        exponential = T.sblock_alloc_buffer((M, N), sums)
        total = T.sblock_alloc_buffer((M,), sums)
        for i, k in T.grid(M, N):
            with T.sblock("largest"):
                vi, vk = T.axis.remap("SR", [i, k])
                with T.init():
                    largest[vi] = T.min_value(dtype)
                largest[vi] = T.max(largest[vi], X[vi, vk])
        for i, j in T.grid(M, N):
            with T.sblock("exponential"):
                vi, vj = T.axis.remap("SS", [i, j])
                exponential[vi, vj] = T.exp(T.cast(X[vi, vj], sums) - T.cast(largest[vi], sums))
        for i, k in T.grid(M, N):
            with T.sblock("total"):
                vi, vk = T.axis.remap("SR", [i, k])
                with T.init():
                    total[vi] = T.cast(0, sums)
                total[vi] = total[vi] + exponential[vi, vk]
        for i, j in T.grid(M, N):
            with T.sblock("Y"):
                vi, vj = T.axis.remap("SS", [i, j])
                Y[vi, vj] = T.cast(exponential[vi, vj] * (T.cast(1, sums) / total[vi]), dtype)

    return main


softmax_workload = dict(
    shapes=[dict(M=1024, N=1024), dict(M=4096, N=256)],
    # a comparison, a subtraction, an exponential, an addition and a division per element
    flops="5*M*N",
    bytes="2*sizeof(dtype)*M*N",
    tolerance=1e-5,
    baseline={
        "onednn": "softmax(M, N)",
        "torch": "softmax(M, N)",
    },
)
