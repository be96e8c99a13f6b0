# from tvm.script import ir as I
# from tvm.script import tirx as T
# from tvm.tirx.layout import Axis

@I.ir_module
class Module:
    @T.prim_func(s_tir=True)
    def main(X: T.Buffer((2, 6, 5), "float32"), W: T.Buffer((3, 2, 3, 3), "float32"), Y: T.Buffer((3, 6, 5), "float32")):
        # with T.sblock("root"):
        pad = T.sblock_alloc_buffer((2, 8, 7))
        conv = T.sblock_alloc_buffer((3, 6, 5))
        X_local = T.sblock_alloc_buffer((2, 6, 5), scope="local")
        for ax0, ax1, ax2 in T.grid(2, 6, 5):
            with T.sblock("X_local"):
                v0, v1, v2 = T.axis.remap("SSS", [ax0, ax1, ax2])
                T.reads(X[v0, v1, v2])
                T.writes(X_local[v0, v1, v2])
                X_local[v0, v1, v2] = X[v0, v1, v2]
        for ci, hi, wi in T.grid(2, 8, 7):
            with T.sblock("pad"):
                v_ci, v_hi, v_wi = T.axis.remap("SSS", [ci, hi, wi])
                T.reads(X_local[v_ci, v_hi - 1, v_wi - 1])
                T.writes(pad[v_ci, v_hi, v_wi])
                pad[v_ci, v_hi, v_wi] = T.if_then_else(1 <= v_hi and v_hi < 7 and (1 <= v_wi and v_wi < 6), X_local[v_ci, v_hi - 1, v_wi - 1], T.float32(0.0))
        for oo, hh, ww, rc, rh, rw in T.grid(3, 6, 5, 2, 3, 3):
            with T.sblock("conv"):
                v_oo, v_hh, v_ww, v_rc, v_rh, v_rw = T.axis.remap("SSSRRR", [oo, hh, ww, rc, rh, rw])
                T.reads(pad[v_rc, v_hh + v_rh, v_ww + v_rw], W[v_oo, v_rc, v_rh, v_rw])
                T.writes(conv[v_oo, v_hh, v_ww])
                with T.init():
                    conv[v_oo, v_hh, v_ww] = T.float32(0.0)
                conv[v_oo, v_hh, v_ww] = conv[v_oo, v_hh, v_ww] + pad[v_rc, v_hh + v_rh, v_ww + v_rw] * W[v_oo, v_rc, v_rh, v_rw]
        for oo, hh, ww in T.grid(3, 6, 5):
            with T.sblock("Y"):
                v_oo, v_hh, v_ww = T.axis.remap("SSS", [oo, hh, ww])
                T.reads(conv[v_oo, v_hh, v_ww])
                T.writes(Y[v_oo, v_hh, v_ww])
                Y[v_oo, v_hh, v_ww] = T.max(conv[v_oo, v_hh, v_ww], T.float32(0.0))
