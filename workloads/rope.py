"""Rotary position embedding, as in Llama: the two halves of each head turn by angles that depend on
the position."""
from tvm.script import tirx as T


def rope(L, HEADS, D, dtype="float32"):
    """Y[i, h, :] = X[i, h, :] turned in pairs (d, d + D/2) by the angles of position i.

    X, Y: [L, HEADS, D], cosine, sine: [L, D / 2], tables of the angles.
    """
    half = D // 2

    @T.prim_func(s_tir=True)
    def main(
        X: T.Buffer((L, HEADS, D), dtype),
        cosine: T.Buffer((L, half), dtype),
        sine: T.Buffer((L, half), dtype),
        Y: T.Buffer((L, HEADS, D), dtype),
    ):
        T.func_attr({"tirx.noalias": True})
        for i, h, s, d in T.grid(L, HEADS, 2, half):
            with T.sblock("Y"):
                vi, vh, vs, vd = T.axis.remap("SSSS", [i, h, s, d])
                Y[vi, vh, vs * half + vd] = X[vi, vh, vs * half + vd] * cosine[vi, vd] + T.Select(
                    vs == 0, -X[vi, vh, half + vd], X[vi, vh, vd]
                ) * sine[vi, vd]

    return main


rope_workload = dict(
    shapes=[dict(L=1024, HEADS=32, D=128), dict(L=128, HEADS=8, D=64)],
    # two products and an addition per element
    flops="3*L*HEADS*D",
    bytes="sizeof(dtype)*(2*L*HEADS*D + L*D)",
    tolerance=1e-5,
)
