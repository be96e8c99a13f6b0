@T.prim_func(s_tir=True)
def main(A: T.Buffer((8,), "int32"), B: T.Buffer((8,), "float32")):
    for i in range(8):
        with T.sblock("A"):
            vi = T.axis.spatial(8, i)
            A[vi] = T.Mul(0, 5) + T.FloorMod(vi, 1) + T.Min(vi, vi) + T.Select(T.LT(1, 2), T.Max(1, 2), 0)
            B[vi] = T.Div(B[vi], T.float32(1)) + T.Mul(T.float32(2), T.float32(3))
