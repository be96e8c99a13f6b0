"""Convolution over a sequence, channels last."""
from tvm.script import tirx as T


def conv1d(N, L, CI, CO, R, stride=1, pad=0, dilation=1, dtype="float32"):
    """Y[n, p, co] = sum over r, ci of X[n, p*stride + r*dilation - pad, ci] F[r, ci, co].

    X: [N, L, CI], F: [R, CI, CO], Y: [N, P, CO]; X is read as zero outside.
    """
    # Sums of many terms need more digits than 16 bits have.
    out = "float32" if dtype in ("float16", "bfloat16") else dtype
    P = (L + 2 * pad - dilation * (R - 1) - 1) // stride + 1
    assert P > 0, "the filter is longer than the padded sequence"

    @T.prim_func(s_tir=True)
    def main(
        X: T.Buffer((N, L, CI), dtype),
        F: T.Buffer((R, CI, CO), dtype),
        Y: T.Buffer((N, P, CO), out),
    ):
        T.func_attr({"tirx.noalias": True})
        padded = T.sblock_alloc_buffer((N, L + 2 * pad, CI), dtype)
        for n, l, c in T.grid(N, L + 2 * pad, CI):
            with T.sblock("padded"):
                vn, vl, vc = T.axis.remap("SSS", [n, l, c])
                padded[vn, vl, vc] = T.if_then_else(
                    pad <= vl and vl < L + pad, X[vn, vl - pad, vc], T.cast(0, dtype)
                )
        for n, p, co, r, ci in T.grid(N, P, CO, R, CI):
            with T.sblock("Y"):
                vn, vp, vco, vr, vci = T.axis.remap("SSSRR", [n, p, co, r, ci])
                with T.init():
                    Y[vn, vp, vco] = T.cast(0, out)
                Y[vn, vp, vco] = Y[vn, vp, vco] + T.cast(
                    padded[vn, vp * stride + vr * dilation, vci], out
                ) * T.cast(F[vr, vci, vco], out)

    return main


conv1d_workload = dict(
    # the suite's C1D
    shapes=[
        dict(N=1, L=256, CI=64, CO=128, R=3, stride=2, pad=1),
        dict(N=1, L=128, CI=128, CO=256, R=1, stride=2),
        dict(N=1, L=64, CI=256, CO=256, R=5, pad=2),
        dict(N=1, L=32, CI=512, CO=512, R=3, pad=1),
    ],
    flops="2*N*((L + 2*pad - dilation*(R - 1) - 1)//stride + 1)*CO*R*CI",
    bytes="sizeof(dtype)*(N*L*CI + R*CI*CO)"
    " + sizeof('float32' if dtype in ('float16', 'bfloat16') else dtype)"
    "*N*((L + 2*pad - dilation*(R - 1) - 1)//stride + 1)*CO",
    baseline={
        "onednn": "conv1d_nlc(N, L, CI, CO, R, stride, pad, dilation)",
        "torch": "conv1d_nlc(N, L, CI, CO, R, stride, pad, dilation)",
    },
)
