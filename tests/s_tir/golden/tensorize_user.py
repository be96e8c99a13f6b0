# from tvm.script import ir as I
# from tvm.script import tirx as T
# from tvm.tirx.layout import Axis

@I.ir_module
class Module:
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((3, 8), "float32"), B: T.Buffer((3, 8), "float32")):
        # with T.sblock("root"):
        for i, j_0 in T.grid(3, 2):
            with T.sblock("B_o"):
                vi_o, vj_o = T.axis.remap("SS", [i, j_0])
                T.reads(A[vi_o, vj_o * 4:vj_o * 4 + 4])
                T.writes(B[vi_o, vj_o * 4:vj_o * 4 + 4])
                T.sblock_attr({"temper.tensor_intrin": "twice_x4"})
                for j_1 in range(4):
                    with T.sblock("B"):
                        vi = T.axis.spatial(3, vi_o)
                        vj = T.axis.spatial(8, vj_o * 4 + j_1)
                        T.reads(A[vi, vj])
                        T.writes(B[vi, vj])
                        B[vi, vj] = A[vi, vj] * T.float32(2.0)
