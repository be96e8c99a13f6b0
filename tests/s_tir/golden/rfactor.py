# from tvm.script import ir as I
# from tvm.script import tirx as T
# from tvm.tirx.layout import Axis

@I.ir_module
class Module:
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((4, 16), "float32"), B: T.Buffer((16, 8), "float32"), C: T.Buffer((4, 8), "float32")):
        # with T.sblock("root"):
        C_rf = T.sblock_alloc_buffer((4, 8, 4))
        for i, j, k_0, k_1 in T.grid(4, 8, 4, 4):
            with T.sblock("C_rf"):
                vk_0, v_i, v_j, vk_1 = T.axis.remap("SSSR", [k_0, i, j, k_1])
                T.reads(A[v_i, vk_0 * 4 + vk_1], B[vk_0 * 4 + vk_1, v_j])
                T.writes(C_rf[v_i, v_j, vk_0])
                with T.init():
                    C_rf[v_i, v_j, vk_0] = T.float32(0.0)
                C_rf[v_i, v_j, vk_0] = C_rf[v_i, v_j, vk_0] + A[v_i, vk_0 * 4 + vk_1] * B[vk_0 * 4 + vk_1, v_j]
        for i, j, k_0 in T.grid(4, 8, 4):
            with T.sblock("C"):
                vk_0, v_i, v_j = T.axis.remap("RSS", [k_0, i, j])
                T.reads(C_rf[v_i, v_j, vk_0])
                T.writes(C[v_i, v_j])
                with T.init():
                    C[v_i, v_j] = T.float32(0.0)
                C[v_i, v_j] = C[v_i, v_j] + C_rf[v_i, v_j, vk_0]
