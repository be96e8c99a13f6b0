# from tvm.script import ir as I
# from tvm.script import tirx as T
# from tvm.tirx.layout import Axis

@I.ir_module
class Module:
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((8, 8), "float32"), D: T.Buffer((8, 8), "float32")):
        # with T.sblock("root"):
        for i, j in T.grid(8, 8):
            with T.sblock("B"):
                v_i, v_j = T.axis.remap("SS", [i, j])
                T.reads(A[v_i, v_j])
                T.writes(D[v_i, v_j])
                D[v_i, v_j] = (A[v_i, v_j] * T.float32(2.0) + T.float32(1.0)) * (A[v_i, v_j] * T.float32(2.0) + T.float32(1.0))
