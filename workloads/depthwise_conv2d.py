"""Depthwise convolution: one filter per channel, channels last. Bound by memory, not arithmetic."""
from tvm.script import tirx as T


def depthwise_conv2d(N, H, W, C, R, S, stride=1, pad=0, dtype="float32"):
    """Y[n, p, q, c] = sum over r, s of X[n, p*stride + r, q*stride + s, c] F[r, s, c].

    X: [N, H, W, C], F: [R, S, C], Y: [N, P, Q, C], in float32 where dtype has 16 bits; X is read
    as zero outside.
    """
    # Sums of many terms need more digits than 16 bits have.
    out = "float32" if dtype in ("float16", "bfloat16") else dtype
    P = (H + 2 * pad - R) // stride + 1
    Q = (W + 2 * pad - S) // stride + 1
    assert P > 0 and Q > 0, "the filter is larger than the padded image"

    @T.prim_func(s_tir=True)
    def main(
        X: T.Buffer((N, H, W, C), dtype),
        F: T.Buffer((R, S, C), dtype),
        Y: T.Buffer((N, P, Q, C), out),
    ):
        T.func_attr({"tirx.noalias": True})
        padded = T.sblock_alloc_buffer((N, H + 2 * pad, W + 2 * pad, C), dtype)
        for n, h, w, c in T.grid(N, H + 2 * pad, W + 2 * pad, C):
            with T.sblock("padded"):
                vn, vh, vw, vc = T.axis.remap("SSSS", [n, h, w, c])
                padded[vn, vh, vw, vc] = T.if_then_else(
                    pad <= vh and vh < H + pad and pad <= vw and vw < W + pad,
                    X[vn, vh - pad, vw - pad, vc],
                    T.cast(0, dtype),
                )
        for n, p, q, c, r, s in T.grid(N, P, Q, C, R, S):
            with T.sblock("Y"):
                vn, vp, vq, vc, vr, vs = T.axis.remap("SSSSRR", [n, p, q, c, r, s])
                with T.init():
                    Y[vn, vp, vq, vc] = T.cast(0, out)
                Y[vn, vp, vq, vc] = (
                    Y[vn, vp, vq, vc]
                    + T.cast(padded[vn, vp * stride + vr, vq * stride + vs, vc], out)
                    * T.cast(F[vr, vs, vc], out)
                )

    return main


depthwise_conv2d_workload = dict(
    shapes=[
        dict(N=1, H=56, W=56, C=128, R=3, S=3, pad=1),
        # the suite's DEP
        dict(N=1, H=112, W=112, C=32, R=3, S=3, pad=1),
        dict(N=1, H=112, W=112, C=64, R=3, S=3, stride=2, pad=1),
        dict(N=1, H=14, W=14, C=512, R=3, S=3, stride=2, pad=1),
        dict(N=1, H=7, W=7, C=1024, R=3, S=3, pad=1),
    ],
    flops="2*N*((H + 2*pad - R)//stride + 1)*((W + 2*pad - S)//stride + 1)*C*R*S",
    bytes="sizeof(dtype)*(N*H*W*C + R*S*C)"
    " + sizeof('float32' if dtype in ('float16', 'bfloat16') else dtype)"
    "*N*((H + 2*pad - R)//stride + 1)*((W + 2*pad - S)//stride + 1)*C",
    baseline={
        "onednn": "depthwise_conv2d_nhwc(N, H, W, C, R, S, stride, pad)",
        "torch": "depthwise_conv2d_nhwc(N, H, W, C, R, S, stride, pad)",
    },
)
