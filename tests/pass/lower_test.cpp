#include "tests/pass/equivalence.h"

namespace temper::ir::testing {
namespace {

const char* const kMatmul = R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((12, 20), "float32"), B: T.Buffer((20, 36), "float32"), C: T.Buffer((12, 36), "float32")):
    for i, j, k in T.grid(12, 36, 20):
        with T.sblock("C"):
            vi, vj, vk = T.axis.remap("SSR", [i, j, k])
            with T.init():
                C[vi, vj] = T.float32(0)
            C[vi, vj] = C[vi, vj] + A[vi, vk] * B[vk, vj]
)";

TEST(Lower, AnUnscheduledMatmulBecomesWhatTheEmitterExpects) {
  const PrimFunc lowered = lower_step_by_step(parse(kMatmul));
  ASSERT_TRUE(lowered);
  EXPECT_EQ(parameter_shapes(lowered),
            (std::vector<std::vector<int64_t>>{{12, 20}, {20, 36}, {12, 36}}));
  EXPECT_EQ(written_parameters(lowered), (std::vector<bool>{false, false, true}));
}

TEST(Lower, APlainLoweringKeepsLoops) {
  LowerOptions plain;
  plain.plain = true;
  ASSERT_TRUE(lower_step_by_step(parse(kMatmul), plain));
}

// A tiled matmul with a private tile of C, as MetaSchedule makes them.
const char* const kTiled = R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16, 24), "float32"), B: T.Buffer((24, 64), "float32"), C: T.Buffer((16, 64), "float32")):
    C_global = T.sblock_alloc_buffer((16, 64))
    for f in T.parallel(4, annotations={"pragma_auto_unroll_max_step": 16, "pragma_unroll_explicit": 1}):
        for i_1_init in range(8):
            for j_1_init in T.vectorized(32):
                with T.sblock("C_init"):
                    vi = T.axis.spatial(16, f // 2 * 8 + i_1_init)
                    vj = T.axis.spatial(64, f % 2 * 32 + j_1_init)
                    C_global[vi, vj] = T.float32(0)
        for k_0, i_1, k_1, i_2 in T.grid(6, 2, 4, 4):
            for j_1 in T.vectorized(32):
                with T.sblock("C_update"):
                    vi = T.axis.spatial(16, f // 2 * 8 + i_1 * 4 + i_2)
                    vj = T.axis.spatial(64, f % 2 * 32 + j_1)
                    vk = T.axis.reduce(24, k_0 * 4 + k_1)
                    C_global[vi, vj] = C_global[vi, vj] + A[vi, vk] * B[vk, vj]
        for ax0 in range(8):
            for ax1 in T.vectorized(32):
                with T.sblock("C_global"):
                    v0 = T.axis.spatial(16, f // 2 * 8 + ax0)
                    v1 = T.axis.spatial(64, f % 2 * 32 + ax1)
                    C[v0, v1] = C_global[v0, v1]
)";

TEST(Lower, ATiledMatmulKeepsItsMeaningAtEveryStep) {
  ASSERT_TRUE(lower_step_by_step(parse(kTiled)));
  LowerOptions avx2;
  avx2.vector_bits = 256;
  avx2.vector_registers = 16;
  ASSERT_TRUE(lower_step_by_step(parse(kTiled), avx2));
  LowerOptions sse;
  sse.vector_bits = 128;
  sse.vector_registers = 16;
  ASSERT_TRUE(lower_step_by_step(parse(kTiled), sse));
}

TEST(Lower, SplitsThatDoNotDivide) {
  ASSERT_TRUE(lower_step_by_step(parse(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((30, 50), "float32"), B: T.Buffer((30, 50), "float32")):
    for i_0, j_0, i_1 in T.grid(4, 2, 8):
        for j_1 in T.vectorized(32):
            with T.sblock("B"):
                vi = T.axis.spatial(30, i_0 * 8 + i_1)
                vj = T.axis.spatial(50, j_0 * 32 + j_1)
                T.where(i_0 * 8 + i_1 < 30 and j_0 * 32 + j_1 < 50)
                B[vi, vj] = A[vi, vj] * T.float32(2)
)")));
  ASSERT_TRUE(lower_step_by_step(parse(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((30, 50), "float32"), B: T.Buffer((50, 20), "float32"), C: T.Buffer((30, 20), "float32")):
    for i_0 in T.parallel(4):
        for j_0, k_0, i_1, k_1 in T.grid(2, 7, 8, 8):
            for j_1 in T.vectorized(16):
                with T.sblock("C"):
                    vi = T.axis.spatial(30, i_0 * 8 + i_1)
                    vj = T.axis.spatial(20, j_0 * 16 + j_1)
                    vk = T.axis.reduce(50, k_0 * 8 + k_1)
                    T.where(i_0 * 8 + i_1 < 30 and j_0 * 16 + j_1 < 20 and k_0 * 8 + k_1 < 50)
                    with T.init():
                        C[vi, vj] = T.float32(0)
                    C[vi, vj] = C[vi, vj] + A[vi, vk] * B[vk, vj]
)")));
}

TEST(Lower, PaddedConvolutionWithBiasAndRelu) {
  ASSERT_TRUE(lower_step_by_step(parse(R"(
@T.prim_func(s_tir=True)
def main(X: T.Buffer((1, 6, 7, 3), "float32"), W: T.Buffer((3, 3, 3, 16), "float32"), b: T.Buffer((16,), "float32"), Y: T.Buffer((1, 6, 7, 16), "float32")):
    pad = T.sblock_alloc_buffer((1, 8, 9, 3))
    conv = T.sblock_alloc_buffer((1, 6, 7, 16))
    for n, h in T.grid(1, 6):
        for ax0 in range(3):
            for ax1_ax2 in T.vectorized(27):
                with T.sblock("pad"):
                    vn = T.axis.spatial(1, 0)
                    vh = T.axis.spatial(8, h + ax0)
                    vw = T.axis.spatial(9, ax1_ax2 // 3)
                    vc = T.axis.spatial(3, ax1_ax2 % 3)
                    pad[vn, vh, vw, vc] = T.if_then_else(1 <= vh and vh < 7 and 1 <= vw and vw < 8, X[vn, vh - 1, vw - 1, vc], T.float32(0))
        for w, o, rh, rw, rc in T.grid(7, 16, 3, 3, 3):
            with T.sblock("conv"):
                vn, vh, vw, vo, vrh, vrw, vrc = T.axis.remap("SSSSRRR", [n, h, w, o, rh, rw, rc])
                with T.init():
                    conv[vn, vh, vw, vo] = T.float32(0)
                conv[vn, vh, vw, vo] = conv[vn, vh, vw, vo] + pad[vn, vh + vrh, vw + vrw, vrc] * W[vrh, vrw, vrc, vo]
        for w in range(7):
            for o in T.vectorized(16):
                with T.sblock("relu"):
                    vn, vh, vw, vo = T.axis.remap("SSSS", [n, h, w, o])
                    Y[vn, vh, vw, vo] = T.max(conv[vn, vh, vw, vo] + b[vo], T.float32(0))
)")));
}

TEST(Lower, SoftmaxWithRfactoredReductions) {
  ASSERT_TRUE(lower_step_by_step(parse(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((6, 48), "float32"), B: T.Buffer((6, 48), "float32")):
    m = T.sblock_alloc_buffer((6,))
    m_rf = T.sblock_alloc_buffer((6, 16))
    s = T.sblock_alloc_buffer((6,))
    e = T.sblock_alloc_buffer((6, 48))
    for i in T.parallel(6):
        for k_0 in range(3):
            for k_1 in T.vectorized(16):
                with T.sblock("m_rf"):
                    vi, vk_1 = T.axis.remap("SS", [i, k_1])
                    vk_0 = T.axis.reduce(3, k_0)
                    with T.init():
                        m_rf[vi, vk_1] = T.float32(-1e30)
                    m_rf[vi, vk_1] = T.max(m_rf[vi, vk_1], A[vi, vk_0 * 16 + vk_1])
        for k_1 in range(16):
            with T.sblock("m"):
                vi, vk_1 = T.axis.remap("SR", [i, k_1])
                with T.init():
                    m[vi] = T.float32(-1e30)
                m[vi] = T.max(m[vi], m_rf[vi, vk_1])
        for j in T.vectorized(48):
            with T.sblock("e"):
                vi, vj = T.axis.remap("SS", [i, j])
                e[vi, vj] = T.exp(A[vi, vj] - m[vi])
        for k in range(48):
            with T.sblock("s"):
                vi, vk = T.axis.remap("SR", [i, k])
                with T.init():
                    s[vi] = T.float32(0)
                s[vi] = s[vi] + e[vi, vk]
        for j in T.vectorized(48):
            with T.sblock("B"):
                vi, vj = T.axis.remap("SS", [i, j])
                B[vi, vj] = e[vi, vj] / s[vi]
)")));
}

} // namespace
} // namespace temper::ir::testing
