# from tvm.script import ir as I
# from tvm.script import tirx as T
# from tvm.tirx.layout import Axis

@I.ir_module
class Module:
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((4, 16), "bfloat16"), B: T.Buffer((16, 64), "bfloat16"), C: T.Buffer((4, 64), "float32")):
        # with T.sblock("root"):
        B_float32_global = T.sblock_alloc_buffer((4, 16, 16))
        for ax0, ax1 in T.grid(16, 64):
            with T.sblock("B_float32_global"):
                v0, v1 = T.axis.remap("SS", [ax0, ax1])
                T.reads(B[v0, v1])
                T.writes(B_float32_global[v1 // 16, v0, v1 % 16])
                B_float32_global[v1 // 16, v0, v1 % 16] = T.Cast("float32", B[v0, v1])
        for i, j, k in T.grid(4, 64, 16):
            with T.sblock("C"):
                vi, vj, vk = T.axis.remap("SSR", [i, j, k])
                T.reads(A[vi, vk], B_float32_global[vj // 16, vk, vj % 16])
                T.writes(C[vi, vj])
                with T.init():
                    C[vi, vj] = T.float32(0.0)
                C[vi, vj] = C[vi, vj] + T.Cast("float32", A[vi, vk]) * B_float32_global[vj // 16, vk, vj % 16]
