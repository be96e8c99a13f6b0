from tvm.script import tirx as T

def scale(M, N=8, factor=2.0, dtype="float32"):
    """B = factor A"""
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((M, N), dtype), B: T.Buffer((M, N), dtype)):
        for i, j in T.grid(M, N):
            with T.sblock("B"):
                vi, vj = T.axis.remap("SS", [i, j])
                B[vi, vj] = A[vi, vj] * factor
    return main

scale_workload = dict(shapes=[dict(M=4)], flops="M*N", bytes="2*M*N*sizeof(dtype)", inputs={"A": "int(0, M)"})

def schedule(sch):
    block = sch.get_sblock("B")
    i, j = sch.get_loops(block)
    for loop in [i, j]:
        if sch.get(loop).extent > 4:
            parts = sch.split(loop, sch.sample_perfect_tile(loop, n=2))
            sch.unroll(parts[-1])
    other = sch.copy()
    other.transform_layout(block, ("write", 0), lambda a, b: (b, a))
    return [sch, other]
