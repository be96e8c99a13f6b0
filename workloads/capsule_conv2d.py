"""Convolution of capsules: each pixel and channel is a C x C matrix, and so is each weight."""
from tvm.script import tirx as T


def capsule_conv2d(N, H, W, CI, CO, R, S, C=4, stride=1, pad=0, dtype="float32"):
    """Y[n, p, q, :, :, co] = sum over r, s, ci of the matrix products X[n, .., .., :, :, ci]
    F[r, s, :, :, ci, co].

    X: [N, H, W, C, C, CI], F: [R, S, C, C, CI, CO], Y: [N, P, Q, C, C, CO]; X is read as zero
    outside.
    """
    # Sums of many terms need more digits than 16 bits have.
    out = "float32" if dtype in ("float16", "bfloat16") else dtype
    P = (H + 2 * pad - R) // stride + 1
    Q = (W + 2 * pad - S) // stride + 1
    assert P > 0 and Q > 0, "the filter is larger than the padded image"

    @T.prim_func(s_tir=True)
    def main(
        X: T.Buffer((N, H, W, C, C, CI), dtype),
        F: T.Buffer((R, S, C, C, CI, CO), dtype),
        Y: T.Buffer((N, P, Q, C, C, CO), out),
    ):
        T.func_attr({"tirx.noalias": True})
        padded = T.sblock_alloc_buffer((N, H + 2 * pad, W + 2 * pad, C, C, CI), dtype)
        for n, h, w, i, k, c in T.grid(N, H + 2 * pad, W + 2 * pad, C, C, CI):
            with T.sblock("padded"):
                vn, vh, vw, vi, vk, vc = T.axis.remap("SSSSSS", [n, h, w, i, k, c])
                padded[vn, vh, vw, vi, vk, vc] = T.if_then_else(
                    pad <= vh and vh < H + pad and pad <= vw and vw < W + pad,
                    X[vn, vh - pad, vw - pad, vi, vk, vc],
                    T.cast(0, dtype),
                )
        for n, p, q, i, j, co, r, s, k, ci in T.grid(N, P, Q, C, C, CO, R, S, C, CI):
            with T.sblock("Y"):
                vn, vp, vq, vi, vj, vco, vr, vs, vk, vci = T.axis.remap(
                    "SSSSSSRRRR", [n, p, q, i, j, co, r, s, k, ci]
                )
                with T.init():
                    Y[vn, vp, vq, vi, vj, vco] = T.cast(0, out)
                Y[vn, vp, vq, vi, vj, vco] = (
                    Y[vn, vp, vq, vi, vj, vco]
                    + T.cast(padded[vn, vp * stride + vr, vq * stride + vs, vi, vk, vci], out)
                    * T.cast(F[vr, vs, vk, vj, vci, vco], out)
                )

    return main


capsule_conv2d_workload = dict(
    # the suite's CAP
    shapes=[
        dict(N=1, H=16, W=16, CI=32, CO=32, R=3, S=3, stride=2, pad=1),
        dict(N=1, H=8, W=8, CI=32, CO=32, R=3, S=3, pad=1),
        dict(N=1, H=16, W=16, CI=8, CO=16, R=3, S=3, stride=2, pad=1),
        dict(N=1, H=8, W=8, CI=16, CO=16, R=3, S=3, pad=1),
    ],
    flops="2*N*((H + 2*pad - R)//stride + 1)*((W + 2*pad - S)//stride + 1)*C*C*C*CO*R*S*CI",
    bytes="sizeof(dtype)*C*C*(N*H*W*CI + R*S*CI*CO)"
    " + sizeof('float32' if dtype in ('float16', 'bfloat16') else dtype)"
    "*C*C*N*((H + 2*pad - R)//stride + 1)*((W + 2*pad - S)//stride + 1)*CO",
    baseline={
        "onednn": "capsule_conv2d(N, H, W, CI, CO, R, S, C, stride, pad)",
        "torch": "capsule_conv2d(N, H, W, CI, CO, R, S, C, stride, pad)",
    },
)
