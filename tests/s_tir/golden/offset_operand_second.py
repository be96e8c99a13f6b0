# from tvm.script import ir as I
# from tvm.script import tirx as T
# from tvm.tirx.layout import Axis

@I.ir_module
class Module:
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((4, 16), "int8"), B: T.Buffer((16, 8), "int8"), C: T.Buffer((4, 8), "int32")):
        # with T.sblock("root"):
        B_offset = T.sblock_alloc_buffer((16, 8), "uint8")
        A_sums = T.sblock_alloc_buffer((4,), "int32")
        C_offset = T.sblock_alloc_buffer((4, 8), "int32")
        for ax0, ax1 in T.grid(16, 8):
            with T.sblock("B_offset"):
                v0, v1 = T.axis.remap("SS", [ax0, ax1])
                T.reads(B[v0, v1])
                T.writes(B_offset[v0, v1])
                B_offset[v0, v1] = T.Cast("uint8", T.Cast("int32", B[v0, v1]) + 128)
        for ax0, ax1 in T.grid(4, 16):
            with T.sblock("A_sums"):
                vi, vk = T.axis.remap("SR", [ax0, ax1])
                T.reads(A[vi, vk])
                T.writes(A_sums[vi])
                with T.init():
                    A_sums[vi] = 0
                A_sums[vi] = A_sums[vi] + T.Cast("int32", A[vi, vk])
        for i, j, k in T.grid(4, 8, 16):
            with T.sblock("C"):
                vi, vj, vk = T.axis.remap("SSR", [i, j, k])
                T.reads(A[vi, vk], B_offset[vk, vj])
                T.writes(C_offset[vi, vj])
                with T.init():
                    C_offset[vi, vj] = 0
                C_offset[vi, vj] = C_offset[vi, vj] + T.Cast("int32", A[vi, vk]) * T.Cast("int32", B_offset[vk, vj])
        for ax0, ax1 in T.grid(4, 8):
            with T.sblock("C_corrected"):
                vi, vj = T.axis.remap("SS", [ax0, ax1])
                T.reads(C_offset[vi, vj], A_sums[vi])
                T.writes(C[vi, vj])
                C[vi, vj] = C_offset[vi, vj] - A_sums[vi] * 128
