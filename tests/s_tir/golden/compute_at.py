# from tvm.script import ir as I
# from tvm.script import tirx as T
# from tvm.tirx.layout import Axis

@I.ir_module
class Module:
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((8, 8), "float32"), D: T.Buffer((8, 8), "float32")):
        # with T.sblock("root"):
        B = T.sblock_alloc_buffer((8, 8))
        C = T.sblock_alloc_buffer((8, 8))
        for i, ax0 in T.grid(8, 8):
            with T.sblock("B"):
                v_i, v_j = T.axis.remap("SS", [i, ax0])
                T.reads(A[v_i, v_j])
                T.writes(B[v_i, v_j])
                B[v_i, v_j] = A[v_i, v_j] * T.float32(2.0)
        for i, j in T.grid(8, 8):
            for ax0, ax1 in T.grid(1, 1):
                with T.sblock("C"):
                    v_i = T.axis.spatial(8, i + ax0)
                    v_j = T.axis.spatial(8, j + ax1)
                    T.reads(B[v_i, v_j])
                    T.writes(C[v_i, v_j])
                    C[v_i, v_j] = B[v_i, v_j] + T.float32(1.0)
            with T.sblock("D"):
                v_i, v_j = T.axis.remap("SS", [i, j])
                T.reads(C[v_i, v_j])
                T.writes(D[v_i, v_j])
                D[v_i, v_j] = C[v_i, v_j] * C[v_i, v_j]
