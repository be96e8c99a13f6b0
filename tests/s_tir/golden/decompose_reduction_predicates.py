# from tvm.script import ir as I
# from tvm.script import tirx as T
# from tvm.tirx.layout import Axis

@I.ir_module
class Module:
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((6, 10), "float32"), B: T.Buffer((10, 8), "float32"), C: T.Buffer((6, 8), "float32")):
        # with T.sblock("root"):
        for i_0 in range(2):
            for j_init, i_1_init in T.grid(8, 4):
                with T.sblock("C_init"):
                    v_i = T.axis.spatial(6, i_0 * 4 + i_1_init)
                    v_j = T.axis.spatial(8, j_init)
                    T.where(i_0 * 4 + i_1_init < 6)
                    T.reads()
                    T.writes(C[v_i, v_j])
                    C[v_i, v_j] = T.float32(0.0)
            for k_0, j, i_1, k_1 in T.grid(3, 8, 4, 4):
                with T.sblock("C_update"):
                    v_i = T.axis.spatial(6, i_0 * 4 + i_1)
                    v_j = T.axis.spatial(8, j)
                    v_k = T.axis.reduce(10, k_0 * 4 + k_1)
                    T.where(i_0 * 4 + i_1 < 6 and k_0 * 4 + k_1 < 10)
                    T.reads(C[v_i, v_j], A[v_i, v_k], B[v_k, v_j])
                    T.writes(C[v_i, v_j])
                    C[v_i, v_j] = C[v_i, v_j] + A[v_i, v_k] * B[v_k, v_j]
