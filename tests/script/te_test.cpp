// Tensor expressions of workload files against the same programs written by hand, and in C++.
#include "ir/s_tir/tensor_expressions.h"

#include "ir/limits.h"
#include "ir/s_tir/layer.h"
#include "ir/script/parser.h"
#include "ir/script/printer.h"
#include "ir/script/workload_file.h"
#include "ir/structural.h"
#include "ir/verify.h"
#include "tests/support/run_program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace temper::script {
namespace {

using namespace temper::ir; // NOLINT
using ::testing::HasSubstr;

/// The program of the generator `f` of a file.
Result<IRModule> program_of(const std::string& text,
                            const std::map<std::string, std::string>& parameters = {}) {
  TEMPER_TRY(file, WorkloadFile::parse(
                       "from tvm import te\nfrom tvm.script import tirx as T\n" + text, "te.py"));
  TEMPER_TRY(workload, file.instantiate("f", parameters, false));
  return workload.module;
}

/// Empty when both texts are one program.
std::string difference(const std::string& formulas, const std::string& by_hand,
                       const std::map<std::string, std::string>& parameters = {}) {
  s_tir::register_layer();
  const auto made = program_of(formulas, parameters);
  if (!made)
    return made.error().to_string();
  s_tir::register_layer(); // or the verifier knows no blocks
  if (const auto good = verify(*made); !good)
    return Result<void>(good).error().to_string();
  const auto wanted =
      program_of("def f():\n    @T.prim_func(s_tir=True)\n" + by_hand + "    return main\n");
  if (!wanted)
    return wanted.error().to_string();
  std::string where;
  return structural_equal(*made, *wanted, &where) ? "" : where + "\n" + to_text(*made);
}

std::string error_of(const std::string& text) {
  const auto made = program_of(text);
  return made ? "" : made.error().message;
}

TEST(Te, AProductIsWhatIsWrittenByHand) {
  EXPECT_EQ(difference(R"(
def f(M, N, K=8, dtype="float32"):
    A = te.placeholder((M, K), dtype, name="A")
    B = te.placeholder((K, N), dtype, name="B")
    k = te.reduce_axis((0, K), name="k")
    C = te.compute((M, N), lambda i, j: te.sum(A[i, k] * B[k, j], axis=k), name="C")
    return te.create_prim_func([A, B, C])
)",
                       R"(
    def main(A: T.Buffer((4, 8), "float32"), B: T.Buffer((8, 6), "float32"), C: T.Buffer((4, 6), "float32")):
        T.func_attr({"tirx.noalias": True})
        for i, j, k in T.grid(4, 6, 8):
            with T.sblock("C"):
                vi, vj, vk = T.axis.remap("SSR", [i, j, k])
                with T.init():
                    C[vi, vj] = T.float32(0)
                C[vi, vj] = C[vi, vj] + A[vi, vk] * B[vk, vj]
)",
                       {{"M", "4"}, {"N", "6"}}),
            "");
}

TEST(Te, StagesBetweenAreAllocatedInside) {
  EXPECT_EQ(difference(R"(
def f():
    A = te.placeholder((4, 8), name="A")
    k = te.reduce_axis((0, 8), name="k")
    m = te.compute((4,), lambda i: te.max(A[i, k], axis=k), name="m")
    e = te.compute((4, 8), lambda i, j: te.exp(A[i, j] - m[i]), name="e")
    r = te.reduce_axis((0, 8), name="r")
    s = te.compute((4,), lambda i: te.sum(e[i, r], axis=[r]), name="s")
    B = te.compute((4, 8), lambda i, j: e[i, j] / s[i], name="B")
    return te.create_prim_func([A, B])
)",
                       R"(
    def main(A: T.Buffer((4, 8), "float32"), B: T.Buffer((4, 8), "float32")):
        T.func_attr({"tirx.noalias": True})
        m = T.sblock_alloc_buffer((4,))
        e = T.sblock_alloc_buffer((4, 8))
        s = T.sblock_alloc_buffer((4,))
        for i, k in T.grid(4, 8):
            with T.sblock("m"):
                vi, vk = T.axis.remap("SR", [i, k])
                with T.init():
                    m[vi] = T.min_value("float32")
                m[vi] = T.max(m[vi], A[vi, vk])
        for i, j in T.grid(4, 8):
            with T.sblock("e"):
                vi, vj = T.axis.remap("SS", [i, j])
                e[vi, vj] = T.exp(A[vi, vj] - m[vi])
        for i, k in T.grid(4, 8):
            with T.sblock("s"):
                vi, vk = T.axis.remap("SR", [i, k])
                with T.init():
                    s[vi] = T.float32(0)
                s[vi] = s[vi] + e[vi, vk]
        for i, j in T.grid(4, 8):
            with T.sblock("B"):
                vi, vj = T.axis.remap("SS", [i, j])
                B[vi, vj] = e[vi, vj] / s[vi]
)"),
            "");
}

TEST(Te, AReducerOfOnesOwnAndAConditionAreWhatIsWrittenByHand) {
  EXPECT_EQ(difference(R"(
def f():
    A = te.placeholder((4, 9), "int32", name="A")
    product = te.comm_reducer(lambda x, y: x * y, lambda t: T.cast(1, t), name="product")
    k = te.reduce_axis((1, 9), name="k")
    B = te.compute((4,), lambda i: product(A[i, k], axis=k, where=k < 5), name="B")
    return te.create_prim_func([A, B])
)",
                       R"(
    def main(A: T.Buffer((4, 9), "int32"), B: T.Buffer((4,), "int32")):
        T.func_attr({"tirx.noalias": True})
        for i in range(4):
            for k in range(1, 9):
                with T.sblock("B"):
                    vi = T.axis.spatial(4, i)
                    vk = T.axis.reduce((1, 9), k)
                    with T.init():
                        B[vi] = 1
                    B[vi] = B[vi] * T.if_then_else(vk < 5, A[vi, vk], 1)
)"),
            "");
}

constexpr const char* kPrefixSums = R"(
def prefix_sums(ins, outs):
    for i in range(4):
        outs[0][i, 0] = ins[0][i, 0]
        for j in range(1, 8):
            outs[0][i, j] = outs[0][i, j - 1] + ins[0][i, j]
)";

TEST(Te, StatementsStandInABlockOfTheirOwn) {
  EXPECT_EQ(difference(kPrefixSums + std::string(R"(

def f():
    A = te.placeholder((4, 8), "int32", name="A")
    twice = te.compute((4, 8), lambda i, j: A[i, j] * 2, name="twice")
    S = te.extern((4, 8), [twice], prefix_sums, name="S", attrs={"origin": "scan"})
    B = te.compute((4, 8), lambda i, j: S[i, j] + 1, name="B")
    return te.create_prim_func([A, B])
)"),
                       R"(
    def main(A: T.Buffer((4, 8), "int32"), B: T.Buffer((4, 8), "int32")):
        T.func_attr({"tirx.noalias": True})
        twice = T.sblock_alloc_buffer((4, 8), "int32")
        S = T.sblock_alloc_buffer((4, 8), "int32")
        for i, j in T.grid(4, 8):
            with T.sblock("twice"):
                vi, vj = T.axis.remap("SS", [i, j])
                twice[vi, vj] = A[vi, vj] * 2
        with T.sblock("S"):
            T.sblock_attr({"origin": "scan"})
            for i in range(4):
                S[i, 0] = twice[i, 0]
                for j in range(1, 8):
                    S[i, j] = S[i, j - 1] + twice[i, j]
        for i, j in T.grid(4, 8):
            with T.sblock("B"):
                vi, vj = T.axis.remap("SS", [i, j])
                B[vi, vj] = S[vi, vj] + 1
)"),
            "");
}

TEST(Te, StatementsHaveSeveralOutputsMacrosAndBlocks) {
  EXPECT_EQ(difference(R"(
@T.macro
def split(x, low, high, n):
    scratch = T.sblock_alloc_buffer((n,), "int32")
    for i in range(n):
        with T.sblock("scratch"):
            vi = T.axis.spatial(n, i)
            scratch[vi] = x[vi] * 3
    for i in range(n):
        low[i] = T.min(scratch[i], 0)
        high[i] = T.cast(T.max(scratch[i], 0), "int64")

def f(n=4):
    A = te.placeholder((n,), "int32", name="A")
    low, high = te.extern([(n,), (n,)], [A], lambda ins, outs: split(ins[0], outs[0], outs[1], n),
                          name="parts", dtype=["int32", "int64"])
    return te.create_prim_func([A, low, high])
)",
                       R"(
    def main(A: T.Buffer((4,), "int32"), parts_0: T.Buffer((4,), "int32"), parts_1: T.Buffer((4,), "int64")):
        T.func_attr({"tirx.noalias": True})
        with T.sblock("parts"):
            scratch = T.sblock_alloc_buffer((4,), "int32")
            for i in range(4):
                with T.sblock("scratch"):
                    vi = T.axis.spatial(4, i)
                    scratch[vi] = A[vi] * 3
            for i in range(4):
                parts_0[i] = T.min(scratch[i], 0)
                parts_1[i] = T.cast(T.max(scratch[i], 0), "int64")
)"),
            "");
}

TEST(Te, StatementsThatDoNotFitAreRefused) {
  const auto error = [](const std::string& body, const std::string& call) {
    return error_of("def body(ins, outs):\n" + body + R"(
def f():
    A = te.placeholder((4,), name="A")
    D = te.placeholder((4,), name="D")
    B = te.extern()" +
                    call + ")\n    return te.create_prim_func([A, B])\n");
  };
  const std::string copy = "    for i in range(4):\n        outs[0][i] = ins[0][i]\n";
  EXPECT_EQ(error(copy, "(4,), [A], body"), "");
  EXPECT_THAT(error("    for i in range(4):\n        outs[0][i] = ins[1][i]\n", "(4,), [A], body"),
              HasSubstr("te.py:5:"));
  EXPECT_THAT(error("    ins[0][0] = T.float32(1)\n    outs[0][0] = T.float32(1)\n",
                    "(4,), [A], body, name=\"B\""),
              HasSubstr("the statements of B write A, which is not among its outputs"));
  EXPECT_THAT(error("    pass\n", "(4,), [A], body, name=\"B\""),
              HasSubstr("the statements of B do not write its output B"));
  EXPECT_THAT(error(copy + "    return 0\n", "(4,), [A], body"), HasSubstr("cannot return"));
  EXPECT_THAT(error(copy, "(4,), [], body"), HasSubstr("give dtype="));
  EXPECT_THAT(error(copy, "[(4,), (4,)], [A], body, dtype=[\"int32\", \"int8\", \"int8\"]"),
              HasSubstr("3 types are given for 2 outputs"));
  EXPECT_THAT(error(copy, "(4,), [A], lambda x: 0"), HasSubstr("a function of two lists"));
  EXPECT_THAT(error(copy, "(4,), [A], lambda ins, outs: 7"), HasSubstr("are statements"));
  EXPECT_THAT(error(copy, "(4,), [A], body, in_buffers=[A]"), HasSubstr("leave in_buffers"));
  EXPECT_THAT(error_of(R"(
def f():
    A = te.placeholder((4,), name="A")
    D = te.placeholder((4,), name="D")
    def body(ins, outs):
        outs[0][0] = ins[0][0] + D[1]
    B = te.extern((4,), [A], body, name="B")
    return te.create_prim_func([A, B])
)"),
              HasSubstr("the statements of B read D, which is not among its inputs"));
}

TEST(Te, ComputesWhatTheFormulasSay) {
  const auto made = program_of(R"(
def f():
    A = te.placeholder((3, 5), "int32", name="A")
    k = te.reduce_axis((0, 5), name="k")
    B = te.compute((3,), lambda i: te.min(A[i, k] * (i + 1), axis=k), name="B")
    return te.create_prim_func([A, B])
)");
  ASSERT_TRUE(made) << made.error().to_string();
  const auto by_hand = parse_module(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((3, 5), "int32"), B: T.Buffer((3,), "int32")):
    for i in range(3):
        with T.sblock("B"):
            vi = T.axis.spatial(3, i)
            B[vi] = T.min(T.min(T.min(A[vi, 0], A[vi, 1]), T.min(A[vi, 2], A[vi, 3])), A[vi, 4]) * (vi + 1)
)");
  ASSERT_TRUE(by_hand) << by_hand.error().to_string();
  EXPECT_EQ(s_tir::difference(s_tir::run_on_integers(*by_hand, 1, 3),
                              s_tir::run_on_integers(*made, 1, 3), 0),
            "");
}

TEST(Te, SaysWhatIsWrong) {
  const std::string head = R"(
def f():
    A = te.placeholder((4, 8), name="A")
    k = te.reduce_axis((0, 8), name="k")
)";
  EXPECT_THAT(error_of(head + R"(
    B = te.compute((4,), lambda i: te.sum(A[i, k], axis=k) * 2, name="B")
    return te.create_prim_func([A, B])
)"),
              HasSubstr("a reduction is a part of the formula of B: it must be all of it"));
  EXPECT_THAT(error_of(head + R"(
    B = te.compute((4,), lambda i: A[i, k], name="B")
    return te.create_prim_func([A, B])
)"),
              HasSubstr("the formula of B uses k, over which it does not reduce"));
  EXPECT_THAT(error_of(head + R"(
    B = te.compute((4, 8), lambda i: A[i, 0], name="B")
    return te.create_prim_func([A, B])
)"),
              HasSubstr("B has 2 dimensions, and its formula takes 1 indices"));
  EXPECT_THAT(error_of(head + R"(
    B = te.compute((4,), lambda i: te.sum(A[i, k], axis=k), name="B")
    return te.create_prim_func([B])
)"),
              HasSubstr("A is read and is not among the parameters"));
  EXPECT_THAT(error_of(head + R"(
    B = te.compute((4,), lambda i: te.sum(A[i, i], axis=i), name="B")
    return te.create_prim_func([A, B])
)"),
              HasSubstr("i is no axis of a reduction: te.reduce_axis makes one"));
  EXPECT_THAT(error_of(head + "    return te.create_prim_func([A])\n"),
              HasSubstr("none of the parameters is computed"));
  EXPECT_THAT(error_of(head + "    return te.compte((4,), lambda i: A[i, 0])\n"),
              HasSubstr("te.compte is not known (did you mean 'compute'?)"));
  EXPECT_THAT(error_of(head + R"(
    B = te.compute((4,), lambda i: A[i, 0], name="B", attrs={3: 4})
    return te.create_prim_func([A, B])
)"),
              HasSubstr("the keys of annotations are strings"));
  EXPECT_THAT(error_of(head + R"(
    bad = te.comm_reducer(lambda x, y: x < y, lambda t: T.cast(0, t))
    B = te.compute((4,), lambda i: bad(A[i, k], axis=k), name="B")
    return te.create_prim_func([A, B])
)"),
              HasSubstr("the reducer gives bool for values of type float32"));
}

TEST(Te, InCppMakesTheSameFunction) {
  namespace te = s_tir::te;
  te::Graph graph;
  const auto extent = [](int64_t value) { return make_int(DataType::int32(), value); };
  const Buffer a = graph.placeholder("A", {extent(4), extent(8)}, DataType::float32());
  const Var k = graph.reduce_axis("k", {extent(0), extent(8)});
  const auto b = graph.compute("B", {extent(4)}, [&](const std::vector<Var>& i) {
    return graph.reduce(te::min(), make_load(a, {i[0], k}), {k});
  });
  ASSERT_TRUE(b) << b.error().to_string();
  const std::vector<te::Argument> arguments{a, *b};
  const auto function = graph.function(arguments);
  ASSERT_TRUE(function) << function.error().to_string();
  const auto by_hand = parse_module(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((4, 8), "float32"), B: T.Buffer((4,), "float32")):
    T.func_attr({"tirx.noalias": True})
    for i, k in T.grid(4, 8):
        with T.sblock("B"):
            vi, vk = T.axis.remap("SR", [i, k])
            with T.init():
                B[vi] = T.max_value("float32")
            B[vi] = T.min(B[vi], A[vi, vk])
)");
  ASSERT_TRUE(by_hand) << by_hand.error().to_string();
  std::string where;
  EXPECT_TRUE(structural_equal(make_module(*function), *by_hand, &where)) << where;
  EXPECT_FALSE(graph.function(std::vector<te::Argument>{a, *b, a}));
}

TEST(Te, StatementsInCppMakeTheSameFunction) {
  namespace te = s_tir::te;
  te::Graph graph;
  const auto number = [](int64_t value) { return make_int(DataType::int32(), value); };
  const Buffer a = graph.placeholder("A", {number(4)}, DataType::float32());
  const auto b = graph.extern_tensors(
      "B", {{{number(4)}, DataType::float32()}}, {a},
      [&](const std::vector<Buffer>& ins,
          const std::vector<Buffer>& outs) -> Result<te::Statements> {
        const Var i = make_var("i");
        return te::Statements{
            tir::make_for(i, number(0), number(4), tir::ForKind::kSerial,
                          tir::make_store(outs[0], {i}, make_load(ins[0], {number(3) - i}))),
            {}};
      });
  ASSERT_TRUE(b) << b.error().to_string();
  const std::vector<te::Argument> arguments{a, b->front()};
  const auto function = graph.function(arguments);
  ASSERT_TRUE(function) << function.error().to_string();
  const auto by_hand = parse_module(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((4,), "float32"), B: T.Buffer((4,), "float32")):
    T.func_attr({"tirx.noalias": True})
    with T.sblock("B"):
        for i in range(4):
            B[i] = A[3 - i]
)");
  ASSERT_TRUE(by_hand) << by_hand.error().to_string();
  std::string where;
  EXPECT_TRUE(structural_equal(make_module(*function), *by_hand, &where)) << where;
}

} // namespace
} // namespace temper::script
