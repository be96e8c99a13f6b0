# from tvm.script import ir as I
# from tvm.script import tirx as T
# from tvm.tirx.layout import Axis

@I.ir_module
class Module:
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((256,), "float32"), Z: T.Buffer((300,), "float32")):
        # with T.sblock("root"):
        A_global = T.sblock_alloc_buffer((256,))
        for ax0 in range(256):
            with T.sblock("A_global"):
                v0 = T.axis.spatial(256, ax0)
                T.reads(A[v0])
                T.writes(A_global[v0])
                A_global[v0] = A[v0]
        for i in range(300):
            with T.sblock("Z"):
                vi = T.axis.spatial(300, i)
                T.reads(A_global[T.Cast("int32", T.Cast("int8", vi)) + 128])
                T.writes(Z[vi])
                Z[vi] = A_global[T.Cast("int32", T.Cast("int8", vi)) + 128]
