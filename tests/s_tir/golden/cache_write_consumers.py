# from tvm.script import ir as I
# from tvm.script import tirx as T
# from tvm.tirx.layout import Axis

@I.ir_module
class Module:
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((8, 8), "float32"), B: T.Buffer((8, 8), "float32"), bias: T.Buffer((8,), "float32"), D: T.Buffer((8, 8), "float32")):
        # with T.sblock("root"):
        C = T.sblock_alloc_buffer((8, 8))
        T_add = T.sblock_alloc_buffer((8, 8))
        C_local = T.sblock_alloc_buffer((8, 8), scope="local")
        for i, j, k in T.grid(8, 8, 8):
            with T.sblock("C"):
                v_i, v_j, v_k = T.axis.remap("SSR", [i, j, k])
                T.reads(A[v_i, v_k], B[v_k, v_j])
                T.writes(C_local[v_i, v_j])
                with T.init():
                    C_local[v_i, v_j] = T.float32(0.0)
                C_local[v_i, v_j] = C_local[v_i, v_j] + A[v_i, v_k] * B[v_k, v_j]
        for ax0, ax1 in T.grid(8, 8):
            with T.sblock("C_local"):
                v0, v1 = T.axis.remap("SS", [ax0, ax1])
                T.reads(C_local[v0, v1])
                T.writes(C[v0, v1])
                C[v0, v1] = C_local[v0, v1]
        for i, j in T.grid(8, 8):
            with T.sblock("T_add"):
                v_i, v_j = T.axis.remap("SS", [i, j])
                T.reads(C_local[v_i, v_j], bias[v_j])
                T.writes(T_add[v_i, v_j])
                T_add[v_i, v_j] = C_local[v_i, v_j] + bias[v_j]
        for i, j in T.grid(8, 8):
            with T.sblock("D"):
                v_i, v_j = T.axis.remap("SS", [i, j])
                T.reads(T_add[v_i, v_j])
                T.writes(D[v_i, v_j])
                D[v_i, v_j] = T.max(T_add[v_i, v_j], T.float32(0.0))
