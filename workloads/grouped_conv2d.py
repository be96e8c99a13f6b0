"""Convolution in groups of channels, channels last; plain convolution with G=1.

A group is a dimension of its own in every tensor: in memory that is the usual layout, and no index
divides.
"""
from tvm.script import tirx as T


def grouped_conv2d(N, H, W, CI, CO, R, S, G=1, stride=1, pad=0, dilation=1, dtype="float32"):
    """Y[.., g, co] = convolution of X[.., g, :] with F[:, :, :, g, co]; CI and CO channels in all.

    X: [N, H, W, G, CI/G], F: [R, S, CI/G, G, CO/G], Y: [N, P, Q, G, CO/G]; X is read as zero
    outside.
    """
    # Sums of many terms need more digits than 16 bits have.
    out = "float32" if dtype in ("float16", "bfloat16") else dtype
    P = (H + 2 * pad - dilation * (R - 1) - 1) // stride + 1
    Q = (W + 2 * pad - dilation * (S - 1) - 1) // stride + 1
    assert P > 0 and Q > 0, "the filter is larger than the padded image"
    assert CI % G == 0 and CO % G == 0, "G divides CI and CO"
    CIG = CI // G
    COG = CO // G

    @T.prim_func(s_tir=True)
    def main(
        X: T.Buffer((N, H, W, G, CIG), dtype),
        F: T.Buffer((R, S, CIG, G, COG), dtype),
        Y: T.Buffer((N, P, Q, G, COG), out),
    ):
        T.func_attr({"tirx.noalias": True})
        padded = T.sblock_alloc_buffer((N, H + 2 * pad, W + 2 * pad, G, CIG), dtype)
        for n, h, w, g, c in T.grid(N, H + 2 * pad, W + 2 * pad, G, CIG):
            with T.sblock("padded"):
                vn, vh, vw, vg, vc = T.axis.remap("SSSSS", [n, h, w, g, c])
                padded[vn, vh, vw, vg, vc] = T.if_then_else(
                    pad <= vh and vh < H + pad and pad <= vw and vw < W + pad,
                    X[vn, vh - pad, vw - pad, vg, vc],
                    T.cast(0, dtype),
                )
        for n, p, q, g, co, r, s, ci in T.grid(N, P, Q, G, COG, R, S, CIG):
            with T.sblock("Y"):
                vn, vp, vq, vg, vco, vr, vs, vci = T.axis.remap(
                    "SSSSSRRR", [n, p, q, g, co, r, s, ci]
                )
                with T.init():
                    Y[vn, vp, vq, vg, vco] = T.cast(0, out)
                Y[vn, vp, vq, vg, vco] = (
                    Y[vn, vp, vq, vg, vco]
                    + T.cast(
                        padded[
                            vn, vp * stride + vr * dilation, vq * stride + vs * dilation, vg, vci
                        ],
                        out,
                    )
                    * T.cast(F[vr, vs, vci, vg, vco], out)
                )

    return main


grouped_conv2d_workload = dict(
    shapes=[
        # the suite's GRP
        dict(N=1, H=56, W=56, CI=64, CO=128, R=3, S=3, G=4, stride=2, pad=1),
        dict(N=1, H=56, W=56, CI=64, CO=64, R=1, S=1, G=4),
        dict(N=1, H=14, W=14, CI=256, CO=256, R=3, S=3, G=4, pad=1),
        dict(N=1, H=7, W=7, CI=512, CO=512, R=3, S=3, G=4, pad=1),
        # C2D
        dict(N=1, H=224, W=224, CI=3, CO=64, R=7, S=7, stride=2, pad=3),
        dict(N=1, H=56, W=56, CI=64, CO=64, R=1, S=1),
        dict(N=1, H=14, W=14, CI=256, CO=256, R=3, S=3, pad=1),
        dict(N=1, H=7, W=7, CI=512, CO=512, R=3, S=3, pad=1),
        # DIL
        dict(N=1, H=224, W=224, CI=3, CO=64, R=7, S=7, stride=2, pad=3, dilation=2),
        dict(N=1, H=14, W=14, CI=256, CO=256, R=3, S=3, pad=1, dilation=2),
    ],
    flops="2*N*((H + 2*pad - dilation*(R - 1) - 1)//stride + 1)"
    "*((W + 2*pad - dilation*(S - 1) - 1)//stride + 1)*CO*R*S*(CI//G)",
    bytes="sizeof(dtype)*(N*H*W*CI + R*S*(CI//G)*CO)"
    " + sizeof('float32' if dtype in ('float16', 'bfloat16') else dtype)"
    "*N*((H + 2*pad - dilation*(R - 1) - 1)//stride + 1)"
    "*((W + 2*pad - dilation*(S - 1) - 1)//stride + 1)*CO",
    baseline={
        "onednn": "conv2d_nhwc(N, H, W, CI, CO, R, S, stride, pad, G, dilation)",
        "torch": "conv2d_nhwc(N, H, W, CI, CO, R, S, stride, pad, G, dilation)",
    },
)
