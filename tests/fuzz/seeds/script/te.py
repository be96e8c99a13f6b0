from tvm import te
from tvm.script import tirx as T

def f(M=4, K=6):
    A = te.placeholder((M, K), "float32", name="A")
    k = te.reduce_axis((0, K), name="k")
    product = te.comm_reducer(lambda x, y: x * y, lambda t: T.cast(1, t))
    B = te.compute((M,), lambda i: product(A[i, k], axis=k, where=k < 5), name="B")
    C = te.compute((M, 2), lambda i, j: te.exp(B[i]) + j, name="C")
    return te.create_prim_func([A, C])
