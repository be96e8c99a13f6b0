# from tvm.script import ir as I
# from tvm.script import tirx as T
# from tvm.tirx.layout import Axis

@I.ir_module
class Module:
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((9, 8), "float32"), F: T.Buffer((3, 3), "float32"), C: T.Buffer((5, 8), "float32")):
        # with T.sblock("root"):
        P = T.sblock_alloc_buffer((11, 10))
        for d, w in T.grid(11, 10):
            with T.sblock("P"):
                vd, vw = T.axis.remap("SS", [d, w])
                T.reads(A[vd - 1, vw - 1])
                T.writes(P[vd, vw])
                P[vd, vw] = T.if_then_else(1 <= vd and vd < 10 and 1 <= vw and vw < 9, A[vd - 1, vw - 1], T.float32(0.0))
        for o in range(5):
            for i_init in range(8):
                with T.sblock("C_init"):
                    vo, vi = T.axis.remap("SS", [o, i_init])
                    T.reads()
                    T.writes(C[vo, vi])
                    C[vo, vi] = T.float32(0.0)
            for t, i, s in T.grid(3, 8, 3):
                with T.sblock("C_update"):
                    vo, vi, vt, vs = T.axis.remap("SSRR", [o, i, t, s])
                    T.reads(C[vo, vi], P[vo * 2 + vt, vi + vs], F[vt, vs])
                    T.writes(C[vo, vi])
                    if 1 <= vo * 2 + vt and vo * 2 + vt < 10:
                        C[vo, vi] = C[vo, vi] + P[vo * 2 + vt, vi + vs] * F[vt, vs]
