# from tvm.script import ir as I
# from tvm.script import tirx as T
# from tvm.tirx.layout import Axis

@I.ir_module
class Module:
    @T.prim_func(s_tir=True)
    def main(X: T.Buffer((2, 6, 5), "float32"), W: T.Buffer((3, 2, 3, 3), "float32"), Y: T.Buffer((3, 6, 5), "float32")):
        # with T.sblock("root"):
        conv = T.sblock_alloc_buffer((3, 6, 5))
        for oo, hh, ww, rc, rh, rw in T.grid(3, 6, 5, 2, 3, 3):
            with T.sblock("conv"):
                v_oo, v_hh, v_ww, v_rc, v_rh, v_rw = T.axis.remap("SSSRRR", [oo, hh, ww, rc, rh, rw])
                T.reads(X[v_rc, v_hh + v_rh - 1, v_ww + v_rw - 1], W[v_oo, v_rc, v_rh, v_rw])
                T.writes(conv[v_oo, v_hh, v_ww])
                with T.init():
                    conv[v_oo, v_hh, v_ww] = T.float32(0.0)
                conv[v_oo, v_hh, v_ww] = conv[v_oo, v_hh, v_ww] + T.if_then_else(1 <= v_hh + v_rh and v_hh + v_rh < 7 and (1 <= v_ww + v_rw and v_ww + v_rw < 6), X[v_rc, v_hh + v_rh - 1, v_ww + v_rw - 1], T.float32(0.0)) * W[v_oo, v_rc, v_rh, v_rw]
        for oo, hh, ww in T.grid(3, 6, 5):
            with T.sblock("Y"):
                v_oo, v_hh, v_ww = T.axis.remap("SSS", [oo, hh, ww])
                T.reads(conv[v_oo, v_hh, v_ww])
                T.writes(Y[v_oo, v_hh, v_ww])
                Y[v_oo, v_hh, v_ww] = T.max(conv[v_oo, v_hh, v_ww], T.float32(0.0))
