# from tvm.script import ir as I
# from tvm.script import tirx as T
# from tvm.tirx.layout import Axis

@I.ir_module
class Module:
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((4, 16), "bfloat16"), B: T.Buffer((16, 64), "bfloat16"), C: T.Buffer((4, 64), "float32")):
        # with T.sblock("root"):
        B_global = T.sblock_alloc_buffer((2, 8, 64), "bfloat16")
        for ax0_0, ax1_0 in T.grid(8, 4):
            with T.sblock("B_global_o"):
                v0_o, v1_o = T.axis.remap("SS", [ax0_0, ax1_0])
                T.reads(B[v0_o * 2:v0_o * 2 + 2, v1_o * 16:v1_o * 16 + 16])
                T.writes(B_global[v1_o // 2, v0_o, v1_o % 2 * 32:v1_o % 2 * 32 + 32])
                T.sblock_attr({"temper.tensor_intrin": "interleave_2x16_bfloat16"})
                for ax1_1, ax0_1 in T.grid(16, 2):
                    with T.sblock("B_global"):
                        v0 = T.axis.spatial(16, v0_o * 2 + ax0_1)
                        v1 = T.axis.spatial(64, v1_o * 16 + ax1_1)
                        T.reads(B[v0, v1])
                        T.writes(B_global[v1 // 32, v0 // 2, v1 % 32 * 2 + v0 % 2])
                        B_global[v1 // 32, v0 // 2, v1 % 32 * 2 + v0 % 2] = B[v0, v1]
        for i_0, j_0 in T.grid(2, 2):
            for i_1_init, j_1_init, j_2_init in T.grid(2, 2, 16):
                with T.sblock("C_init"):
                    vi = T.axis.spatial(4, i_0 * 2 + i_1_init)
                    vj = T.axis.spatial(64, j_0 * 32 + j_1_init * 16 + j_2_init)
                    T.reads()
                    T.writes(C[vi, vj])
                    C[vi, vj] = T.float32(0.0)
            for k_0, i_1, j_1 in T.grid(8, 2, 2):
                with T.sblock("C_update_o"):
                    vi_o = T.axis.spatial(4, i_0 * 2 + i_1)
                    vj_o = T.axis.spatial(4, j_0 * 2 + j_1)
                    vk_o = T.axis.reduce(8, k_0)
                    T.reads(C[vi_o, vj_o * 16:vj_o * 16 + 16], A[vi_o, vk_o * 2:vk_o * 2 + 2], B_global[vj_o // 2, vk_o, vj_o % 2 * 32:vj_o % 2 * 32 + 32])
                    T.writes(C[vi_o, vj_o * 16:vj_o * 16 + 16])
                    T.sblock_attr({"temper.tensor_intrin": "dot_16x2_bf16_avx512bf16"})
                    for j_2, k_1 in T.grid(16, 2):
                        with T.sblock("C_update"):
                            vi = T.axis.spatial(4, vi_o)
                            vj = T.axis.spatial(64, vj_o * 16 + j_2)
                            vk = T.axis.reduce(16, vk_o * 2 + k_1)
                            T.reads(C[vi, vj], A[vi, vk], B_global[vj // 32, vk // 2, vj % 32 * 2 + vk % 2])
                            T.writes(C[vi, vj])
                            C[vi, vj] = C[vi, vj] + T.Cast("float32", A[vi, vk]) * T.Cast("float32", B_global[vj // 32, vk // 2, vj % 32 * 2 + vk % 2])
