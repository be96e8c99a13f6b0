# from tvm.script import ir as I
# from tvm.script import tirx as T
# from tvm.tirx.layout import Axis

@I.ir_module
class Module:
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((8, 8), "float32"), B: T.Buffer((8, 16), "float32"), bias: T.Buffer((16,), "float32"), D: T.Buffer((8, 16), "float32")):
        # with T.sblock("root"):
        C = T.sblock_alloc_buffer((8, 16))
        T_add = T.sblock_alloc_buffer((8, 16))
        for i_0 in range(2):
            for j_0 in range(2):
                for i_1, j_1, k in T.grid(4, 8, 8):
                    with T.sblock("C"):
                        v_i = T.axis.spatial(8, i_0 * 4 + i_1)
                        v_j = T.axis.spatial(16, j_0 * 8 + j_1)
                        v_k = T.axis.reduce(8, k)
                        T.reads(A[v_i, v_k], B[v_k, v_j])
                        T.writes(C[v_i, v_j])
                        with T.init():
                            C[v_i, v_j] = T.float32(0.0)
                        C[v_i, v_j] = C[v_i, v_j] + A[v_i, v_k] * B[v_k, v_j]
                for ax0, ax1 in T.grid(4, 8):
                    with T.sblock("T_add"):
                        v_i = T.axis.spatial(8, i_0 * 4 + ax0)
                        v_j = T.axis.spatial(16, j_0 * 8 + ax1)
                        T.reads(C[v_i, v_j], bias[v_j])
                        T.writes(T_add[v_i, v_j])
                        T_add[v_i, v_j] = C[v_i, v_j] + bias[v_j]
            for ax0, ax1 in T.grid(4, 16):
                with T.sblock("D"):
                    v_i = T.axis.spatial(8, i_0 * 4 + ax0)
                    v_j = T.axis.spatial(16, ax1)
                    T.reads(T_add[v_i, v_j])
                    T.writes(D[v_i, v_j])
                    D[v_i, v_j] = T.max(T_add[v_i, v_j], T.float32(0.0))
