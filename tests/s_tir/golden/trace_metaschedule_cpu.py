# from tvm.script import ir as I
# from tvm.script import tirx as T
# from tvm.tirx.layout import Axis

@I.ir_module
class Module:
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((16, 16), "float32"), B: T.Buffer((16, 16), "float32"), C: T.Buffer((16, 16), "float32")):
        # with T.sblock("root"):
        C_global = T.sblock_alloc_buffer((16, 16))
        for i_0_j_0_i_1_fused in T.parallel(4):
            for j_1 in range(2):
                for i_2_init, j_2_init, i_3_init in T.grid(2, 1, 2):
                    for j_3_init in T.vectorized(8):
                        with T.sblock("C_init"):
                            v_i = T.axis.spatial(16, i_0_j_0_i_1_fused * 4 + i_2_init * 2 + i_3_init)
                            v_j = T.axis.spatial(16, j_1 * 8 + j_2_init * 8 + j_3_init)
                            T.reads()
                            T.writes(C_global[v_i, v_j])
                            T.sblock_attr({"meta_schedule.tiling_structure": "SSRSRS"})
                            C_global[v_i, v_j] = T.float32(0.0)
                for k_0, i_2, j_2, k_1, i_3 in T.grid(8, 2, 1, 2, 2):
                    for j_3 in T.vectorized(8):
                        with T.sblock("C_update"):
                            v_i = T.axis.spatial(16, i_0_j_0_i_1_fused * 4 + i_2 * 2 + i_3)
                            v_j = T.axis.spatial(16, j_1 * 8 + j_2 * 8 + j_3)
                            v_k = T.axis.reduce(16, k_0 * 2 + k_1)
                            T.reads(C_global[v_i, v_j], A[v_i, v_k], B[v_k, v_j])
                            T.writes(C_global[v_i, v_j])
                            T.sblock_attr({"meta_schedule.tiling_structure": "SSRSRS"})
                            C_global[v_i, v_j] = C_global[v_i, v_j] + A[v_i, v_k] * B[v_k, v_j]
                for ax0 in range(4):
                    for ax1 in T.vectorized(8):
                        with T.sblock("C_global"):
                            v0 = T.axis.spatial(16, i_0_j_0_i_1_fused * 4 + ax0)
                            v1 = T.axis.spatial(16, j_1 * 8 + ax1)
                            T.reads(C_global[v0, v1])
                            T.writes(C[v0, v1])
                            C[v0, v1] = C_global[v0, v1]
