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
        B_local = T.sblock_alloc_buffer((8, 8), scope="local")
        for i, j in T.grid(8, 8):
            with T.sblock("B"):
                v_i, v_j = T.axis.remap("SS", [i, j])
                T.reads(A[v_i, v_j])
                T.writes(B[v_i, v_j])
                B[v_i, v_j] = A[v_i, v_j] * T.float32(2.0)
        for ax0, ax1 in T.grid(8, 8):
            with T.sblock("B_local"):
                v0, v1 = T.axis.remap("SS", [ax0, ax1])
                T.reads(B[v0, v1])
                T.writes(B_local[v0, v1])
                B_local[v0, v1] = B[v0, v1]
        for i, j in T.grid(8, 8):
            with T.sblock("C"):
                v_i, v_j = T.axis.remap("SS", [i, j])
                T.reads(B_local[v_i, v_j])
                T.writes(C[v_i, v_j])
                C[v_i, v_j] = B_local[v_i, v_j] + T.float32(1.0)
        for i, j in T.grid(8, 8):
            with T.sblock("D"):
                v_i, v_j = T.axis.remap("SS", [i, j])
                T.reads(C[v_i, v_j])
                T.writes(D[v_i, v_j])
                D[v_i, v_j] = C[v_i, v_j] * C[v_i, v_j]
