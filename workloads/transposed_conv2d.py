"""Transposed convolution (the upsampling of a generator network), channels last."""
from tvm.script import tirx as T


def transposed_conv2d(N, H, W, CI, CO, R, S, stride=1, pad=0, dtype="float32"):
    """Y[n, h*stride + r - pad, w*stride + s - pad, co] += X[n, h, w, ci] F[r, s, ci, co].

    X: [N, H, W, CI], F: [R, S, CI, CO], Y: [N, P, Q, CO] with P = (H - 1)*stride + R - 2*pad.

    A point of the output gets something from every stride-th row and column of the filter only,
    which ones depends on its place modulo stride. So the output is cut into stride x stride phases,
    each a plain convolution with its own R/stride x S/stride of the filter: as the reference below
    writes it, all but one in stride*stride products would be with a zero. The phases are dimensions
    of Y, [N, P/stride, stride, Q/stride, stride, CO]: in memory that is [N, P, Q, CO].
    """
    # Sums of many terms need more digits than 16 bits have.
    out = "float32" if dtype in ("float16", "bfloat16") else dtype
    P = (H - 1) * stride + R - 2 * pad
    Q = (W - 1) * stride + S - 2 * pad
    assert P > 0 and Q > 0, "more padding than there is output"
    assert R % stride == 0 and S % stride == 0, "stride divides R and S"
    assert P % stride == 0 and Q % stride == 0, "stride divides the output's height and width"
    TR = R // stride
    TS = S // stride
    # Row h of the phase a reads row h + (a + pad)//stride - t of X, t < TR: from -(TR - 1) on.
    PH = P // stride + (stride - 1 + pad) // stride + TR - 1
    PW = Q // stride + (stride - 1 + pad) // stride + TS - 1

    @T.prim_func(s_tir=True)
    def main(
        X: T.Buffer((N, H, W, CI), dtype),
        F: T.Buffer((R, S, CI, CO), dtype),
        Y: T.Buffer((N, P // stride, stride, Q // stride, stride, CO), out),
    ):
        T.func_attr({"tirx.noalias": True})
        padded = T.sblock_alloc_buffer((N, PH, PW, CI), dtype)
        for n, h, w, c in T.grid(N, PH, PW, CI):
            with T.sblock("padded"):
                vn, vh, vw, vc = T.axis.remap("SSSS", [n, h, w, c])
                padded[vn, vh, vw, vc] = T.if_then_else(
                    TR - 1 <= vh and vh < H + TR - 1 and TS - 1 <= vw and vw < W + TS - 1,
                    X[vn, vh - (TR - 1), vw - (TS - 1), vc],
                    T.cast(0, dtype),
                )
        for n, a, b, h, w, co, t, u, ci in T.grid(
            N, stride, stride, P // stride, Q // stride, CO, TR, TS, CI
        ):
            with T.sblock("Y"):
                vn, va, vb, vh, vw, vco, vt, vu, vci = T.axis.remap(
                    "SSSSSSRRR", [n, a, b, h, w, co, t, u, ci]
                )
                with T.init():
                    Y[vn, vh, va, vw, vb, vco] = T.cast(0, out)
                Y[vn, vh, va, vw, vb, vco] = (
                    Y[vn, vh, va, vw, vb, vco]
                    + T.cast(
                        padded[
                            vn,
                            vh + (va + pad) // stride + (TR - 1) - vt,
                            vw + (vb + pad) // stride + (TS - 1) - vu,
                            vci,
                        ],
                        out,
                    )
                    * T.cast(
                        F[
                            vt * stride + (va + pad) % stride,
                            vu * stride + (vb + pad) % stride,
                            vci,
                            vco,
                        ],
                        out,
                    )
                )

    return main


def transposed_conv2d_reference(N, H, W, CI, CO, R, S, stride=1, pad=0, dtype="float32"):
    """A convolution of X, spread out with stride - 1 zeros between its points, by F turned."""
    # Sums of many terms need more digits than 16 bits have.
    out = "float32" if dtype in ("float16", "bfloat16") else dtype
    P = (H - 1) * stride + R - 2 * pad
    Q = (W - 1) * stride + S - 2 * pad
    PS = P // stride
    QS = Q // stride
    SH = P + R - 1
    SW = Q + S - 1

    @T.prim_func(s_tir=True)
    def main(
        X: T.Buffer((N, H, W, CI), dtype),
        F: T.Buffer((R, S, CI, CO), dtype),
        Y: T.Buffer((N, P // stride, stride, Q // stride, stride, CO), out),
    ):
        T.func_attr({"tirx.noalias": True})
        spread = T.sblock_alloc_buffer((N, SH, SW, CI), dtype)
        for n, h, w, c in T.grid(N, SH, SW, CI):
            with T.sblock("spread"):
                vn, vh, vw, vc = T.axis.remap("SSSS", [n, h, w, c])
                spread[vn, vh, vw, vc] = T.if_then_else(
                    R - 1 - pad <= vh
                    and vh - (R - 1 - pad) < H * stride
                    and (vh - (R - 1 - pad)) % stride == 0
                    and S - 1 - pad <= vw
                    and vw - (S - 1 - pad) < W * stride
                    and (vw - (S - 1 - pad)) % stride == 0,
                    X[vn, (vh - (R - 1 - pad)) // stride, (vw - (S - 1 - pad)) // stride, vc],
                    T.cast(0, dtype),
                )
        for n, p, a, q, b, co, r, s, ci in T.grid(N, PS, stride, QS, stride, CO, R, S, CI):
            with T.sblock("Y"):
                vn, vp, va, vq, vb, vco, vr, vs, vci = T.axis.remap(
                    "SSSSSSRRR", [n, p, a, q, b, co, r, s, ci]
                )
                with T.init():
                    Y[vn, vp, va, vq, vb, vco] = T.cast(0, out)
                Y[vn, vp, va, vq, vb, vco] = (
                    Y[vn, vp, va, vq, vb, vco]
                    + T.cast(spread[vn, vp * stride + va + vr, vq * stride + vb + vs, vci], out)
                    * T.cast(F[R - 1 - vr, S - 1 - vs, vci, vco], out)
                )

    return main


transposed_conv2d_workload = dict(
    # the suite's T2D
    shapes=[
        dict(N=1, H=4, W=4, CI=512, CO=256, R=4, S=4, stride=2, pad=1),
        dict(N=1, H=8, W=8, CI=256, CO=128, R=4, S=4, stride=2, pad=1),
        dict(N=1, H=16, W=16, CI=128, CO=64, R=4, S=4, stride=2, pad=1),
        dict(N=1, H=32, W=32, CI=64, CO=3, R=4, S=4, stride=2, pad=1),
    ],
    # what must be computed; products with the zeros of the spread-out X do not count
    flops="2*N*((H - 1)*stride + R - 2*pad)*((W - 1)*stride + S - 2*pad)"
    "*CO*(R//stride)*(S//stride)*CI",
    bytes="sizeof(dtype)*(N*H*W*CI + R*S*CI*CO)"
    " + sizeof('float32' if dtype in ('float16', 'bfloat16') else dtype)"
    "*N*((H - 1)*stride + R - 2*pad)*((W - 1)*stride + S - 2*pad)*CO",
    baseline={
        "onednn": "transposed_conv2d_nhwc(N, H, W, CI, CO, R, S, stride, pad)",
        "torch": "transposed_conv2d_nhwc(N, H, W, CI, CO, R, S, stride, pad)",
    },
)
