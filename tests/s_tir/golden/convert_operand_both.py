# from tvm.script import ir as I
# from tvm.script import tirx as T
# from tvm.tirx.layout import Axis

@I.ir_module
class Module:
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((4, 16), "int8"), B: T.Buffer((16, 8), "uint8"), C: T.Buffer((4, 8), "int32")):
        # with T.sblock("root"):
        A_int32 = T.sblock_alloc_buffer((4, 16), "int32")
        B_int32 = T.sblock_alloc_buffer((16, 8), "int32")
        for ax0, ax1 in T.grid(16, 8):
            with T.sblock("B_int32"):
                v0, v1 = T.axis.remap("SS", [ax0, ax1])
                T.reads(B[v0, v1])
                T.writes(B_int32[v0, v1])
                B_int32[v0, v1] = T.Cast("int32", B[v0, v1])
        for ax0, ax1 in T.grid(4, 16):
            with T.sblock("A_int32"):
                v0, v1 = T.axis.remap("SS", [ax0, ax1])
                T.reads(A[v0, v1])
                T.writes(A_int32[v0, v1])
                A_int32[v0, v1] = T.Cast("int32", A[v0, v1])
        for i, j, k in T.grid(4, 8, 16):
            with T.sblock("C"):
                vi, vj, vk = T.axis.remap("SSR", [i, j, k])
                T.reads(A_int32[vi, vk], B_int32[vk, vj])
                T.writes(C[vi, vj])
                with T.init():
                    C[vi, vj] = 0
                C[vi, vj] = C[vi, vj] + A_int32[vi, vk] * B_int32[vk, vj]
