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
        for i in range(6):
            for ax0 in range(8):
                with T.sblock("T_max"):
                    v_i, v_k = T.axis.remap("SR", [i, ax0])
                    T.reads(A[v_i, v_k])
                    T.writes(T_max[v_i])
                    with T.init():
                        T_max[v_i] = T.float32(-340282346638528859811704183484516925440.0)
                    T_max[v_i] = T.max(T_max[v_i], A[v_i, v_k])
            for ax0 in range(8):
                with T.sblock("T_exp"):
                    v_i, v_j = T.axis.remap("SS", [i, ax0])
                    T.reads(A[v_i, v_j], T_max[v_i])
                    T.writes(T_exp[v_i, v_j])
                    T_exp[v_i, v_j] = T.exp(A[v_i, v_j] - T_max[v_i])
            for ax0 in range(8):
                with T.sblock("T_sum"):
                    v_i, v_k = T.axis.remap("SR", [i, ax0])
                    T.reads(T_exp[v_i, v_k])
                    T.writes(T_sum[v_i])
                    with T.init():
                        T_sum[v_i] = T.float32(0.0)
                    T_sum[v_i] = T_sum[v_i] + T_exp[v_i, v_k]
            for j in range(8):
                with T.sblock("Y"):
                    v_i, v_j = T.axis.remap("SS", [i, j])
                    T.reads(T_exp[v_i, v_j], T_sum[v_i])
                    T.writes(Y[v_i, v_j])
                    Y[v_i, v_j] = T_exp[v_i, v_j] / T_sum[v_i]
