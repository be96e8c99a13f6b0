"""MetaSchedule's CBR: a convolution with bias, the scale and offset of a batch norm, and ReLU. The
arguments stand in the order of its te_workload, so that both are called alike."""
from tvm.script import tirx as T


def conv2d_bn_relu(N, H, W, CI, CO, R, S, stride=1, pad=0, dilation=1, dtype="float32"):
    """Y = relu((conv2d(X, F) + bias) * scale + offset).

    X: [N, H, W, CI], F: [R, S, CI, CO], bias, offset, scale: [CO], Y: [N, P, Q, CO].
    """
    # Sums of many terms need more digits than 16 bits have.
    sums = "float32" if dtype in ("float16", "bfloat16") else dtype
    P = (H + 2 * pad - dilation * (R - 1) - 1) // stride + 1
    Q = (W + 2 * pad - dilation * (S - 1) - 1) // stride + 1
    assert P > 0 and Q > 0, "the filter is larger than the padded image"

    @T.prim_func(s_tir=True)
    def main(
        X: T.Buffer((N, H, W, CI), dtype),
        F: T.Buffer((R, S, CI, CO), dtype),
        bias: T.Buffer((CO,), dtype),
        offset: T.Buffer((CO,), dtype),
        scale: T.Buffer((CO,), dtype),
        Y: T.Buffer((N, P, Q, CO), dtype),
    ):
        T.func_attr({"tirx.noalias": True})
        padded = T.sblock_alloc_buffer((N, H + 2 * pad, W + 2 * pad, CI), dtype)
        conv = T.sblock_alloc_buffer((N, P, Q, CO), sums)
        for n, h, w, c in T.grid(N, H + 2 * pad, W + 2 * pad, CI):
            with T.sblock("padded"):
                vn, vh, vw, vc = T.axis.remap("SSSS", [n, h, w, c])
                padded[vn, vh, vw, vc] = T.if_then_else(
                    pad <= vh and vh < H + pad and pad <= vw and vw < W + pad,
                    X[vn, vh - pad, vw - pad, vc],
                    T.cast(0, dtype),
                )
        for n, p, q, co, r, s, ci in T.grid(N, P, Q, CO, R, S, CI):
            with T.sblock("conv"):
                vn, vp, vq, vco, vr, vs, vci = T.axis.remap("SSSSRRR", [n, p, q, co, r, s, ci])
                with T.init():
                    conv[vn, vp, vq, vco] = T.cast(0, sums)
                conv[vn, vp, vq, vco] = (
                    conv[vn, vp, vq, vco]
                    + T.cast(
                        padded[vn, vp * stride + vr * dilation, vq * stride + vs * dilation, vci],
                        sums,
                    )
                    * T.cast(F[vr, vs, vci, vco], sums)
                )
        for n, p, q, co in T.grid(N, P, Q, CO):
            with T.sblock("bn_relu"):
                vn, vp, vq, vco = T.axis.remap("SSSS", [n, p, q, co])
                Y[vn, vp, vq, vco] = T.cast(
                    T.max(
                        (conv[vn, vp, vq, vco] + T.cast(bias[vco], sums)) * T.cast(scale[vco], sums)
                        + T.cast(offset[vco], sums),
                        T.cast(0, sums),
                    ),
                    dtype,
                )

    return main


conv2d_bn_relu_workload = dict(
    shapes=[
        dict(N=1, H=56, W=56, CI=64, CO=64, R=3, S=3, pad=1),
        dict(N=1, H=28, W=28, CI=128, CO=128, R=3, S=3, pad=1),
    ],
    flops="2*N*((H + 2*pad - dilation*(R - 1) - 1)//stride + 1)"
    "*((W + 2*pad - dilation*(S - 1) - 1)//stride + 1)*CO*R*S*CI",
    bytes="sizeof(dtype)*(N*H*W*CI + R*S*CI*CO + 3*CO"
    " + N*((H + 2*pad - dilation*(R - 1) - 1)//stride + 1)"
    "*((W + 2*pad - dilation*(S - 1) - 1)//stride + 1)*CO)",
)
