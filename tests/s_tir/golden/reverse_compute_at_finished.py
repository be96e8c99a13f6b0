# from tvm.script import ir as I
# from tvm.script import tirx as T
# from tvm.tirx.layout import Axis

@I.ir_module
class Module:
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((4, 8), "float32"), B: T.Buffer((8,), "float32"), D: T.Buffer((4, 8), "float32")):
        # with T.sblock("root"):
        S = T.sblock_alloc_buffer((8,))
        C = T.sblock_alloc_buffer((4, 8))
        for j in range(8):
            with T.sblock("S"):
                vj = T.axis.spatial(8, j)
                T.reads(B[vj])
                T.writes(S[vj])
                S[vj] = B[vj] * T.float32(2.0)
        for i in range(4):
            for j in range(8):
                with T.sblock("C"):
                    vi, vj = T.axis.remap("SS", [i, j])
                    T.reads(A[vi, vj])
                    T.writes(C[vi, vj])
                    C[vi, vj] = A[vi, vj] + T.float32(1.0)
            for ax0 in range(8):
                with T.sblock("D"):
                    vi, vj = T.axis.remap("SS", [i, ax0])
                    T.reads(C[vi, vj], S[vj])
                    T.writes(D[vi, vj])
                    D[vi, vj] = C[vi, vj] + S[vj]
