"""Dense layer for any number of rows: a batch that is known only when the kernel is called. The rules
need shapes, so the schedule is written by hand and its factors are searched."""
from tvm.script import tirx as T


def dynamic_dense(N, K, dtype="float32"):
    """Y = X W; X: [m, K], W: [K, N], Y: [m, N], all row-major; tuned at one m, right at each."""
    m = T.dynamic("m")

    @T.prim_func(s_tir=True)
    def main(
        X: T.Buffer((m, K), dtype), W: T.Buffer((K, N), dtype), Y: T.Buffer((m, N), dtype)
    ):
        T.func_attr({"tirx.noalias": True})
        for i, j, k in T.grid(m, N, K):
            with T.sblock("Y"):
                vi, vj, vk = T.axis.remap("SSR", [i, j, k])
                with T.init():
                    Y[vi, vj] = T.cast(0, dtype)
                Y[vi, vj] = Y[vi, vj] + X[vi, vk] * W[vk, vj]

    return main


def schedule(sch):
    block = sch.get_sblock("Y")
    i, j, k = sch.get_loops(block)
    rows = sch.sample_categorical([1, 2, 4, 6, 8], [0.2] * 5)
    i0, i1 = sch.split(i, [None, rows])
    j0, j1, j2 = sch.split(j, sch.sample_perfect_tile(j, n=3, max_innermost_factor=64))
    sch.reorder(i0, j0, k, i1, j1, j2)
    sch.vectorize(j2)
    sch.parallel(i0)


dynamic_dense_workload = dict(
    shapes=[dict(N=1024, K=1024, m=64), dict(N=1024, K=1024, m=1)],
    flops="2*m*N*K",
    bytes="sizeof(dtype)*(m*K + K*N + m*N)",
    tolerance=1e-4,
)
