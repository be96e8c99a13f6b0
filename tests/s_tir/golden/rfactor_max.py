# from tvm.script import ir as I
# from tvm.script import tirx as T
# from tvm.tirx.layout import Axis

@I.ir_module
class Module:
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((6, 8), "float32"), Y: T.Buffer((6, 8), "float32")):
        # with T.sblock("root"):
        T_max = T.sblock_alloc_buffer((6,))
        T_exp = T.sblock_alloc_buffer((6, 8))
        T_sum = T.sblock_alloc_buffer((6,))
        T_max_rf = T.sblock_alloc_buffer((4, 6))
        for i, k_1, k_0 in T.grid(6, 4, 2):
            with T.sblock("T_max_rf"):
                vk_1, v_i, vk_0 = T.axis.remap("SSR", [k_1, i, k_0])
                T.reads(A[v_i, vk_0 * 4 + vk_1])
                T.writes(T_max_rf[vk_1, v_i])
                with T.init():
                    T_max_rf[vk_1, v_i] = T.float32(-340282346638528859811704183484516925440.0)
                T_max_rf[vk_1, v_i] = T.max(T_max_rf[vk_1, v_i], A[v_i, vk_0 * 4 + vk_1])
        for i, k_1 in T.grid(6, 4):
            with T.sblock("T_max"):
                vk_1, v_i = T.axis.remap("RS", [k_1, i])
                T.reads(T_max_rf[vk_1, v_i])
                T.writes(T_max[v_i])
                with T.init():
                    T_max[v_i] = T.float32(-340282346638528859811704183484516925440.0)
                T_max[v_i] = T.max(T_max[v_i], T_max_rf[vk_1, v_i])
        for i, j in T.grid(6, 8):
            with T.sblock("T_exp"):
                v_i, v_j = T.axis.remap("SS", [i, j])
                T.reads(A[v_i, v_j], T_max[v_i])
                T.writes(T_exp[v_i, v_j])
                T_exp[v_i, v_j] = T.exp(A[v_i, v_j] - T_max[v_i])
        for i, k in T.grid(6, 8):
            with T.sblock("T_sum"):
                v_i, v_k = T.axis.remap("SR", [i, k])
                T.reads(T_exp[v_i, v_k])
                T.writes(T_sum[v_i])
                with T.init():
                    T_sum[v_i] = T.float32(0.0)
                T_sum[v_i] = T_sum[v_i] + T_exp[v_i, v_k]
        for i, j in T.grid(6, 8):
            with T.sblock("Y"):
                v_i, v_j = T.axis.remap("SS", [i, j])
                T.reads(T_exp[v_i, v_j], T_sum[v_i])
                T.writes(Y[v_i, v_j])
                Y[v_i, v_j] = T_exp[v_i, v_j] / T_sum[v_i]
