from tvm.script import tirx as T

@T.prim_func(s_tir=True)
def main(A: T.Buffer((8, 4), "float32"), B: T.Buffer((8,), "float32"), n: T.int32):
    T.func_attr({"tirx.noalias": True})
    C = T.sblock_alloc_buffer((8,), scope="local")
    for i, k in T.grid(8, 4):
        with T.sblock("C"):
            T.where(i * 4 + k < 30)
            vi, vk = T.axis.remap("SR", [i, k])
            T.reads(A[vi, vk])
            T.writes(C[vi])
            T.sblock_attr({"x": [1, 2.5, "y"]})
            with T.init():
                C[vi] = T.float32(0)
            C[vi] = T.max(C[vi], T.if_then_else(vk < n, A[vi, vk], T.float32(-1)))
    for i_0 in T.parallel(2):
        for i_1 in T.vectorized(4):
            with T.sblock("B"):
                vi = T.axis.spatial(8, i_0 * 4 + i_1)
                B[vi] = T.exp(C[vi]) * T.cast(vi, "float32")
