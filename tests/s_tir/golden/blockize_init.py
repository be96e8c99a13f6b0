# from tvm.script import ir as I
# from tvm.script import tirx as T
# from tvm.tirx.layout import Axis

@I.ir_module
class Module:
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((8, 8), "float32"), B: T.Buffer((8, 16), "float32"), C: T.Buffer((8, 16), "float32")):
        # with T.sblock("root"):
        for k_0, i, j_0 in T.grid(4, 8, 2):
            with T.sblock("C_o"):
                v_i_o, v_j_o, v_k_o = T.axis.remap("SSR", [i, j_0, k_0])
                T.reads(A[v_i_o, v_k_o * 2:v_k_o * 2 + 2], B[v_k_o * 2:v_k_o * 2 + 2, v_j_o * 8:v_j_o * 8 + 8])
                T.writes(C[v_i_o, v_j_o * 8:v_j_o * 8 + 8])
                with T.init():
                    for j_1_init in range(8):
                        with T.sblock("C_init"):
                            v_i = T.axis.spatial(8, v_i_o)
                            v_j = T.axis.spatial(16, v_j_o * 8 + j_1_init)
                            T.reads()
                            T.writes(C[v_i, v_j])
                            C[v_i, v_j] = T.float32(0.0)
                for j_1, k_1 in T.grid(8, 2):
                    with T.sblock("C"):
                        v_i = T.axis.spatial(8, v_i_o)
                        v_j = T.axis.spatial(16, v_j_o * 8 + j_1)
                        v_k = T.axis.reduce(8, v_k_o * 2 + k_1)
                        T.reads(C[v_i, v_j], A[v_i, v_k], B[v_k, v_j])
                        T.writes(C[v_i, v_j])
                        C[v_i, v_j] = C[v_i, v_j] + A[v_i, v_k] * B[v_k, v_j]
