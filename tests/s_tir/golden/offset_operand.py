# from tvm.script import ir as I
# from tvm.script import tirx as T
# from tvm.tirx.layout import Axis

@I.ir_module
class Module:
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((4, 16), "int8"), B: T.Buffer((16, 64), "int8"), C: T.Buffer((4, 64), "int32")):
        # with T.sblock("root"):
        A_offset = T.sblock_alloc_buffer((4, 16), "uint8")
        B_sums = T.sblock_alloc_buffer((64,), "int32")
        C_offset = T.sblock_alloc_buffer((4, 64), "int32")
        for ax0, ax1 in T.grid(4, 16):
            with T.sblock("A_offset"):
                v0, v1 = T.axis.remap("SS", [ax0, ax1])
                T.reads(A[v0, v1])
                T.writes(A_offset[v0, v1])
                A_offset[v0, v1] = T.Cast("uint8", T.Cast("int32", A[v0, v1]) + 128)
        for ax0, ax1 in T.grid(64, 16):
            with T.sblock("B_sums"):
                vj, vk = T.axis.remap("SR", [ax0, ax1])
                T.reads(B[vk, vj])
                T.writes(B_sums[vj])
                with T.init():
                    B_sums[vj] = 0
                B_sums[vj] = B_sums[vj] + T.Cast("int32", B[vk, vj])
        for i, j, k in T.grid(4, 64, 16):
            with T.sblock("C"):
                vi, vj, vk = T.axis.remap("SSR", [i, j, k])
                T.reads(A_offset[vi, vk], B[vk, vj])
                T.writes(C_offset[vi, vj])
                with T.init():
                    C_offset[vi, vj] = 0
                C_offset[vi, vj] = C_offset[vi, vj] + T.Cast("int32", A_offset[vi, vk]) * T.Cast("int32", B[vk, vj])
        for ax0, ax1 in T.grid(4, 64):
            with T.sblock("C_corrected"):
                vi, vj = T.axis.remap("SS", [ax0, ax1])
                T.reads(C_offset[vi, vj], B_sums[vj])
                T.writes(C[vi, vj])
                C[vi, vj] = C_offset[vi, vj] - B_sums[vj] * 128
