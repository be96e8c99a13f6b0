# from tvm.script import ir as I
# from tvm.script import tirx as T
# from tvm.tirx.layout import Axis

@I.ir_module
class Module:
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((8, 16), "float32"), C: T.Buffer((8, 10), "float32")):
        # with T.sblock("root"):
        for i, j in T.grid(8, 16):
            with T.sblock("B"):
                vi, vj = T.axis.remap("SS", [i, j])
                T.where(j - 3 >= 0 and j - 3 < 10)
                T.reads(A[vi, vj])
                T.writes(C[vi, vj - 3])
                C[vi, vj - 3] = A[vi, vj] * T.float32(2.0) + T.float32(1.0)
