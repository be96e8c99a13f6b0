# from tvm.script import ir as I
# from tvm.script import tirx as T
# from tvm.tirx.layout import Axis

@I.ir_module
class Module:
    @T.prim_func(s_tir=True)
    def main(X: T.Buffer((2, 10, 5), "float32"), W: T.Buffer((3, 2, 3, 3), "float32"), Y: T.Buffer((3, 10, 5), "float32")):
        # with T.sblock("root"):
        pad = T.sblock_alloc_buffer((2, 12, 7))
        conv = T.sblock_alloc_buffer((3, 10, 5))
        X_local = T.sblock_alloc_buffer((2, 10, 5), scope="local")
        for oo, hh_0 in T.grid(3, 3):
            for ax0, ax1, ax2 in T.grid(2, 6, 5):
                with T.sblock("X_local"):
                    v0 = T.axis.spatial(2, ax0)
                    v1 = T.axis.spatial(10, hh_0 * 4 + ax1 - 1)
                    v2 = T.axis.spatial(5, ax2)
                    T.where(hh_0 * 4 + ax1 - 1 >= 0 and hh_0 * 4 + ax1 - 1 < 10)
                    T.reads(X[v0, v1, v2])
                    T.writes(X_local[v0, v1, v2])
                    X_local[v0, v1, v2] = X[v0, v1, v2]
            for ax0, ax1, ax2 in T.grid(2, 6, 7):
                with T.sblock("pad"):
                    v_ci = T.axis.spatial(2, ax0)
                    v_hi = T.axis.spatial(12, hh_0 * 4 + ax1)
                    v_wi = T.axis.spatial(7, ax2)
                    T.where(hh_0 * 4 + ax1 < 12)
                    T.reads(X_local[v_ci, v_hi - 1, v_wi - 1])
                    T.writes(pad[v_ci, v_hi, v_wi])
                    pad[v_ci, v_hi, v_wi] = T.if_then_else(1 <= v_hi and v_hi < 11 and (1 <= v_wi and v_wi < 6), X_local[v_ci, v_hi - 1, v_wi - 1], T.float32(0.0))
            for ax0, ax1, ax2, ax3, ax4 in T.grid(4, 5, 2, 3, 3):
                with T.sblock("conv"):
                    v_oo = T.axis.spatial(3, oo)
                    v_hh = T.axis.spatial(10, hh_0 * 4 + ax0)
                    v_ww, v_rc, v_rh, v_rw = T.axis.remap("SRRR", [ax1, ax2, ax3, ax4])
                    T.where(hh_0 * 4 + ax0 < 10)
                    T.reads(pad[v_rc, v_hh + v_rh, v_ww + v_rw], W[v_oo, v_rc, v_rh, v_rw])
                    T.writes(conv[v_oo, v_hh, v_ww])
                    with T.init():
                        conv[v_oo, v_hh, v_ww] = T.float32(0.0)
                    conv[v_oo, v_hh, v_ww] = conv[v_oo, v_hh, v_ww] + pad[v_rc, v_hh + v_rh, v_ww + v_rw] * W[v_oo, v_rc, v_rh, v_rw]
            for hh_1, ww in T.grid(4, 5):
                with T.sblock("Y"):
                    v_oo = T.axis.spatial(3, oo)
                    v_hh = T.axis.spatial(10, hh_0 * 4 + hh_1)
                    v_ww = T.axis.spatial(5, ww)
                    T.where(hh_0 * 4 + hh_1 < 10)
                    T.reads(conv[v_oo, v_hh, v_ww])
                    T.writes(Y[v_oo, v_hh, v_ww])
                    Y[v_oo, v_hh, v_ww] = T.max(conv[v_oo, v_hh, v_ww], T.float32(0.0))
