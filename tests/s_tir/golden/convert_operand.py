# from tvm.script import ir as I
# from tvm.script import tirx as T
# from tvm.tirx.layout import Axis

@I.ir_module
class Module:
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((4, 16), "bfloat16"), B: T.Buffer((16, 8), "bfloat16"), C: T.Buffer((4, 8), "float32")):
        # with T.sblock("root"):
        A_float32 = T.sblock_alloc_buffer((4, 16))
        for ax0, ax1 in T.grid(4, 16):
            with T.sblock("A_float32"):
                v0, v1 = T.axis.remap("SS", [ax0, ax1])
                T.reads(A[v0, v1])
                T.writes(A_float32[v0, v1])
                A_float32[v0, v1] = T.Cast("float32", A[v0, v1])
        for i, j, k in T.grid(4, 8, 16):
            with T.sblock("C"):
                vi, vj, vk = T.axis.remap("SSR", [i, j, k])
                T.reads(A_float32[vi, vk], B[vk, vj])
                T.writes(C[vi, vj])
                with T.init():
                    C[vi, vj] = T.float32(0.0)
                C[vi, vj] = C[vi, vj] + A_float32[vi, vk] * T.Cast("float32", B[vk, vj])
