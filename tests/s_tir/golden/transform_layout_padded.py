# from tvm.script import ir as I
# from tvm.script import tirx as T
# from tvm.tirx.layout import Axis

@I.ir_module
class Module:
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((5, 7), "float32"), B: T.Buffer((7, 11), "float32"), C: T.Buffer((5, 11), "float32")):
        # with T.sblock("root"):
        B_global = T.sblock_alloc_buffer((3, 7, 4))
        for ax0, ax1 in T.grid(7, 11):
            with T.sblock("B_global"):
                v0, v1 = T.axis.remap("SS", [ax0, ax1])
                T.reads(B[v0, v1])
                T.writes(B_global[v1 // 4, v0, v1 % 4])
                B_global[v1 // 4, v0, v1 % 4] = B[v0, v1]
        for i, j, k in T.grid(5, 11, 7):
            with T.sblock("C"):
                v_i, v_j, v_k = T.axis.remap("SSR", [i, j, k])
                T.reads(A[v_i, v_k], B_global[v_j // 4, v_k, v_j % 4])
                T.writes(C[v_i, v_j])
                with T.init():
                    C[v_i, v_j] = T.float32(0.0)
                C[v_i, v_j] = C[v_i, v_j] + A[v_i, v_k] * B_global[v_j // 4, v_k, v_j % 4]
