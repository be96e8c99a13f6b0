#include "tests/pass/equivalence.h"
#include "tests/support/random_schedule.h"

#include <cstdlib>

namespace temper::ir::testing {
namespace {

struct Program {
  const char* name;
  const char* text;
};

const Program kPrograms[] = {
    {"matmul", R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((12, 10), "float32"), B: T.Buffer((10, 24), "float32"), C: T.Buffer((12, 24), "float32")):
    for i, j, k in T.grid(12, 24, 10):
        with T.sblock("C"):
            vi, vj, vk = T.axis.remap("SSR", [i, j, k])
            with T.init():
                C[vi, vj] = T.float32(0)
            C[vi, vj] = C[vi, vj] + A[vi, vk] * B[vk, vj]
)"},
    {"matmul_bias_relu", R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((9, 8), "float32"), B: T.Buffer((8, 20), "float32"), b: T.Buffer((20,), "float32"), D: T.Buffer((9, 20), "float32")):
    C = T.sblock_alloc_buffer((9, 20))
    E = T.sblock_alloc_buffer((9, 20))
    for i, j, k in T.grid(9, 20, 8):
        with T.sblock("C"):
            vi, vj, vk = T.axis.remap("SSR", [i, j, k])
            with T.init():
                C[vi, vj] = T.float32(0)
            C[vi, vj] = C[vi, vj] + A[vi, vk] * B[vk, vj]
    for i, j in T.grid(9, 20):
        with T.sblock("E"):
            vi, vj = T.axis.remap("SS", [i, j])
            E[vi, vj] = C[vi, vj] + b[vj]
    for i, j in T.grid(9, 20):
        with T.sblock("D"):
            vi, vj = T.axis.remap("SS", [i, j])
            D[vi, vj] = T.max(E[vi, vj], T.float32(0))
)"},
    {"conv2d", R"(
@T.prim_func(s_tir=True)
def main(X: T.Buffer((1, 5, 6, 3), "float32"), W: T.Buffer((3, 3, 3, 8), "float32"), b: T.Buffer((8,), "float32"), Y: T.Buffer((1, 5, 6, 8), "float32")):
    pad = T.sblock_alloc_buffer((1, 7, 8, 3))
    conv = T.sblock_alloc_buffer((1, 5, 6, 8))
    for n, h, w, c in T.grid(1, 7, 8, 3):
        with T.sblock("pad"):
            vn, vh, vw, vc = T.axis.remap("SSSS", [n, h, w, c])
            pad[vn, vh, vw, vc] = T.if_then_else(1 <= vh and vh < 6 and 1 <= vw and vw < 7, X[vn, vh - 1, vw - 1, vc], T.float32(0))
    for n, h, w, o, rh, rw, rc in T.grid(1, 5, 6, 8, 3, 3, 3):
        with T.sblock("conv"):
            vn, vh, vw, vo, vrh, vrw, vrc = T.axis.remap("SSSSRRR", [n, h, w, o, rh, rw, rc])
            with T.init():
                conv[vn, vh, vw, vo] = T.float32(0)
            conv[vn, vh, vw, vo] = conv[vn, vh, vw, vo] + pad[vn, vh + vrh, vw + vrw, vrc] * W[vrh, vrw, vrc, vo]
    for n, h, w, o in T.grid(1, 5, 6, 8):
        with T.sblock("Y"):
            vn, vh, vw, vo = T.axis.remap("SSSS", [n, h, w, o])
            Y[vn, vh, vw, vo] = T.max(conv[vn, vh, vw, vo] + b[vo], T.float32(0))
)"},
    {"softmax", R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((5, 20), "float32"), B: T.Buffer((5, 20), "float32")):
    m = T.sblock_alloc_buffer((5,))
    e = T.sblock_alloc_buffer((5, 20))
    s = T.sblock_alloc_buffer((5,))
    for i, k in T.grid(5, 20):
        with T.sblock("m"):
            vi, vk = T.axis.remap("SR", [i, k])
            with T.init():
                m[vi] = T.float32(-1000)
            m[vi] = T.max(m[vi], A[vi, vk])
    for i, j in T.grid(5, 20):
        with T.sblock("e"):
            vi, vj = T.axis.remap("SS", [i, j])
            e[vi, vj] = T.exp(A[vi, vj] - m[vi])
    for i, k in T.grid(5, 20):
        with T.sblock("s"):
            vi, vk = T.axis.remap("SR", [i, k])
            with T.init():
                s[vi] = T.float32(0)
            s[vi] = s[vi] + e[vi, vk]
    for i, j in T.grid(5, 20):
        with T.sblock("B"):
            vi, vj = T.axis.remap("SS", [i, j])
            B[vi, vj] = e[vi, vj] / s[vi]
)"},
    {"transposed_sum", R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((18, 14), "float32"), S: T.Buffer((14,), "float32"), R: T.Buffer((14, 18), "int32")):
    for j, i in T.grid(14, 18):
        with T.sblock("S"):
            vj, vi = T.axis.remap("SR", [j, i])
            with T.init():
                S[vj] = T.float32(0)
            S[vj] = S[vj] + A[vi, vj]
    for j, i in T.grid(14, 18):
        with T.sblock("R"):
            vj, vi = T.axis.remap("SS", [j, i])
            R[vj, vi] = T.Cast("int32", A[vi, vj]) * 3 + vi
)"},
};

class RandomSchedules : public ::testing::TestWithParam<Program> {};

TEST_P(RandomSchedules, KeepTheirMeaningAtEveryStepOfLowering) {
  const PrimFunc function = parse(GetParam().text);
  const auto original = run(function);
  ASSERT_TRUE(original);
  const char* wanted = std::getenv("TEMPER_TEST_SEEDS");
  const int seeds = wanted != nullptr ? std::atoi(wanted) : 6;
  const char* start = std::getenv("TEMPER_TEST_FIRST_SEED");
  const int first = start != nullptr ? std::atoi(start) : 1;
  for (int seed = first; seed < first + seeds; ++seed) {
    Random random(static_cast<uint64_t>(seed));
    s_tir::Schedule schedule(make_module(function), static_cast<uint64_t>(seed));
    for (int step = 0; step < 14; ++step)
      ASSERT_TRUE(s_tir::testing::random_step(schedule, random, s_tir::testing::mostly_moves));
    const IRModule& scheduled = schedule.module();
    LowerOptions options;
    if (seed % 3 == 1) {
      options.vector_bits = 256;
      options.vector_registers = 16;
    }
    const PrimFunc candidate = scheduled->find_prim_func("main");
    for (const ParallelOrder order : {ParallelOrder::kForward, ParallelOrder::kReverse}) {
      const auto values = run(candidate, 1, order);
      ASSERT_TRUE(values && same(*original, *values))
          << "wrong before it is lowered: seed " << seed << "\n"
          << schedule.trace().to_python()
          << (values ? same(*original, *values).message() : values.error().to_string().c_str())
          << "\n"
          << script::to_text(scheduled);
    }
    const PrimFunc lowered = lower_step_by_step(candidate, options);
    ASSERT_FALSE(HasFailure()) << "seed " << seed << "\n"
                               << schedule.trace().to_python() << script::to_text(scheduled);
    ASSERT_TRUE(lowered);
  }
}

INSTANTIATE_TEST_SUITE_P(Programs, RandomSchedules, ::testing::ValuesIn(kPrograms),
                         [](const auto& info) { return std::string(info.param.name); });

} // namespace
} // namespace temper::ir::testing
