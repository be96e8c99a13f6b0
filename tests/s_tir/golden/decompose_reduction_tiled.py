# from tvm.script import ir as I
# from tvm.script import tirx as T
# from tvm.tirx.layout import Axis

@I.ir_module
class Module:
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((8, 8), "float32"), B: T.Buffer((8, 16), "float32"), C: T.Buffer((8, 16), "float32")):
        # with T.sblock("root"):
        for i_0, j_0 in T.grid(2, 2):
            for i_1_init in T.unroll(4):
                for j_1_init in T.vectorized(8):
                    with T.sblock("C_init"):
                        v_i = T.axis.spatial(8, i_0 * 4 + i_1_init)
                        v_j = T.axis.spatial(16, j_0 * 8 + j_1_init)
                        T.reads()
                        T.writes(C[v_i, v_j])
                        C[v_i, v_j] = T.float32(0.0)
            for k_0 in range(4):
                for i_1 in T.unroll(4):
                    for k_1 in range(2):
                        for j_1 in T.vectorized(8):
                            with T.sblock("C_update"):
                                v_i = T.axis.spatial(8, i_0 * 4 + i_1)
                                v_j = T.axis.spatial(16, j_0 * 8 + j_1)
                                v_k = T.axis.reduce(8, k_0 * 2 + k_1)
                                T.reads(C[v_i, v_j], A[v_i, v_k], B[v_k, v_j])
                                T.writes(C[v_i, v_j])
                                C[v_i, v_j] = C[v_i, v_j] + A[v_i, v_k] * B[v_k, v_j]
