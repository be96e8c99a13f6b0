"""Convolution over a volume, channels last."""
from tvm.script import tirx as T


def conv3d(N, D, H, W, CI, CO, K, stride=1, pad=0, dilation=1, dtype="float32"):
    """Y[n, o, p, q, co] = sum over a cube of K*K*K and all ci of X F, as conv2d with a depth.

    X: [N, D, H, W, CI], F: [K, K, K, CI, CO], Y: [N, O, P, Q, CO]; X is read as zero outside.
    """
    # Sums of many terms need more digits than 16 bits have.
    out = "float32" if dtype in ("float16", "bfloat16") else dtype
    O = (D + 2 * pad - dilation * (K - 1) - 1) // stride + 1
    P = (H + 2 * pad - dilation * (K - 1) - 1) // stride + 1
    Q = (W + 2 * pad - dilation * (K - 1) - 1) // stride + 1
    assert O > 0 and P > 0 and Q > 0, "the filter is larger than the padded volume"

    @T.prim_func(s_tir=True)
    def main(
        X: T.Buffer((N, D, H, W, CI), dtype),
        F: T.Buffer((K, K, K, CI, CO), dtype),
        Y: T.Buffer((N, O, P, Q, CO), out),
    ):
        T.func_attr({"tirx.noalias": True})
        padded = T.sblock_alloc_buffer((N, D + 2 * pad, H + 2 * pad, W + 2 * pad, CI), dtype)
        for n, d, h, w, c in T.grid(N, D + 2 * pad, H + 2 * pad, W + 2 * pad, CI):
            with T.sblock("padded"):
                vn, vd, vh, vw, vc = T.axis.remap("SSSSS", [n, d, h, w, c])
                padded[vn, vd, vh, vw, vc] = T.if_then_else(
                    pad <= vd
                    and vd < D + pad
                    and pad <= vh
                    and vh < H + pad
                    and pad <= vw
                    and vw < W + pad,
                    X[vn, vd - pad, vh - pad, vw - pad, vc],
                    T.cast(0, dtype),
                )
        for n, o, p, q, co, t, r, s, ci in T.grid(N, O, P, Q, CO, K, K, K, CI):
            with T.sblock("Y"):
                vn, vo, vp, vq, vco, vt, vr, vs, vci = T.axis.remap(
                    "SSSSSRRRR", [n, o, p, q, co, t, r, s, ci]
                )
                with T.init():
                    Y[vn, vo, vp, vq, vco] = T.cast(0, out)
                Y[vn, vo, vp, vq, vco] = (
                    Y[vn, vo, vp, vq, vco]
                    + T.cast(
                        padded[
                            vn,
                            vo * stride + vt * dilation,
                            vp * stride + vr * dilation,
                            vq * stride + vs * dilation,
                            vci,
                        ],
                        out,
                    )
                    * T.cast(F[vt, vr, vs, vci, vco], out)
                )

    return main


conv3d_workload = dict(
    # The suite's C3D has the first, and of 11 to 13 GFLOP each, which the program as written takes
    # seconds for: D=16 H=224 W=224 CI=3 CO=64 K=7 stride=2 pad=3; D=16 H=14 W=14 CI=256 CO=256 and
    # D=16 H=7 W=7 CI=512 CO=512, both K=3 pad=1. The second stands for those.
    shapes=[
        dict(N=1, D=16, H=56, W=56, CI=64, CO=64, K=1),
        dict(N=1, D=8, H=14, W=14, CI=128, CO=128, K=3, pad=1),
    ],
    flops="2*N*((D + 2*pad - dilation*(K - 1) - 1)//stride + 1)"
    "*((H + 2*pad - dilation*(K - 1) - 1)//stride + 1)"
    "*((W + 2*pad - dilation*(K - 1) - 1)//stride + 1)*CO*K*K*K*CI",
    bytes="sizeof(dtype)*(N*D*H*W*CI + K*K*K*CI*CO)"
    " + sizeof('float32' if dtype in ('float16', 'bfloat16') else dtype)"
    "*N*((D + 2*pad - dilation*(K - 1) - 1)//stride + 1)"
    "*((H + 2*pad - dilation*(K - 1) - 1)//stride + 1)"
    "*((W + 2*pad - dilation*(K - 1) - 1)//stride + 1)*CO",
    baseline={
        "onednn": "conv3d_ndhwc(N, D, H, W, CI, CO, K, stride, pad, dilation)",
        "torch": "conv3d_ndhwc(N, D, H, W, CI, CO, K, stride, pad, dilation)",
    },
)
