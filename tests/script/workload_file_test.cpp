// The workload file: what it lists, what it builds, and one sentence for each mistake.

#include "ir/script/workload_file.h"

#include "ir/extents.h"
#include "ir/script/knobs.h"
#include "ir/script/printer.h"
#include "ir/structural.h"
#include "ir/support/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>

namespace temper::script {
namespace {

using namespace temper::ir; // NOLINT
using ::testing::AllOf;
using ::testing::HasSubstr;

const char* const kScale = R"py(
from tvm.script import tirx as T

def scale(M, N, factor=2.0, pad=0, dtype="float32"):
    """B = factor A"""
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((M, N + pad), dtype), B: T.Buffer((M, N + pad), dtype)):
        for i, j in T.grid(M, N + pad):
            with T.sblock("B"):
                vi, vj = T.axis.remap("SS", [i, j])
                B[vi, vj] = A[vi, vj] * factor
    return main

scale_workload = dict(
    shapes=[dict(M=4, N=8), dict(M=16, N=16, pad=1)],
    flops="M*(N + pad)", bytes="2*M*N*sizeof(dtype)",
    inputs={"A": "int(0, 2*M)"}, tolerance=1e-4,
    baseline={"openblas": "scal(M*N, 1)"},
)
)py";

WorkloadFile file_of(const std::string& text) {
  auto file = WorkloadFile::parse(text, "scale.py");
  EXPECT_TRUE(file) << (file ? "" : file.error().to_string());
  return *std::move(file);
}

std::string error_of(const std::string& text, const std::string& name,
                     const std::map<std::string, std::string>& parameters, bool unchecked = false) {
  const auto file = WorkloadFile::parse(text, "scale.py");
  if (!file)
    return file.error().message;
  const auto workload = file->instantiate(name, parameters, unchecked);
  return workload ? "" : workload.error().message;
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  const size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return text.replace(at, what.size(), with);
}

TEST(WorkloadFile, ParametersWithoutADefaultAreWhatTheProgramTakes) {
  const char* text = R"(from tvm.script import tirx as T


def shifted(N, by, causal, mode):
    assert mode in ["add", "keep"], "mode is add or keep"

    @T.prim_func
    def main(A: T.Tensor((N,), "float32"), B: T.Tensor((N,), "float32")):
        with T.Kernel(1, threads=32) as bx:
            for i in T.Parallel(N):
                B[i] = A[i] + (by if mode == "add" else 0) if causal else 0.0

    return main
)";
  const auto file = WorkloadFile::parse(text, "shifted.py");
  ASSERT_TRUE(file) << file.error().to_string();
  const auto made = [&](const char* n, const char* by, const char* causal, const char* mode) {
    const auto workload = file->instantiate(
        "shifted", {{"N", n}, {"by", by}, {"causal", causal}, {"mode", mode}}, true);
    return workload ? std::string("made") : workload.error().message;
  };
  for (const char* by : {"0", "-3", "4", "0.5"})
    for (const char* causal : {"True", "False", "0"})
      EXPECT_EQ(made("8", by, causal, "keep"), "made") << by << " " << causal;
  EXPECT_THAT(made("0", "1", "True", "add"), HasSubstr("N=0: N is a positive integer"));
  EXPECT_THAT(made("-8", "1", "True", "add"), HasSubstr("N=-8: N is a positive integer"));
  EXPECT_THAT(made("eight", "1", "True", "add"), HasSubstr("N=eight: N is a positive integer"));
  EXPECT_THAT(made("8", "1", "True", "drop"), HasSubstr("mode is add or keep"));
}

TEST(WorkloadFile, AnEmptySpaceIsSaidAtItsConstraint) {
  const char* text = R"(from tvm.script import tirx as T


def doubled(N, block=T.tune([16, 32])):
    T.constraint(block % 16 == 0)
    T.constraint(block > 100)

    @T.prim_func
    def main(A: T.Tensor((N,), "float32"), B: T.Tensor((N,), "float32")):
        with T.Kernel(1, threads=32) as bx:
            for i in T.Parallel(N):
                B[i] = A[i] * 2

    return main
)";
  const auto file = WorkloadFile::parse(text, "doubled.py");
  ASSERT_TRUE(file) << file.error().to_string();
  const auto workload = file->instantiate("doubled", {{"N", "64"}}, true);
  ASSERT_FALSE(workload);
  EXPECT_THAT(workload.error().to_string(), HasSubstr("doubled.py:6:18: no choice"));
  EXPECT_THAT(workload.error().to_string(), HasSubstr("                     ^^^^^^^^^^^"));
}

TEST(WorkloadFile, AKnobThatNothingReadsIsNamed) {
  const char* text = R"(from tvm.script import tirx as T


def doubled(N, block=T.tune([16, 32]), idle=T.tune([1, 2]), said=T.tune([1, 2])):
    @T.prim_func
    def main(A: T.Tensor((N,), "float32"), B: T.Tensor((N,), "float32")):
        with T.Kernel(N // block, threads=32) as bx:
            for i in T.Parallel(block):
                B[bx * block + i] = A[bx * block + i] * said

    return main


def other(idle):
    return idle
)";
  const auto file = WorkloadFile::parse(text, "doubled.py");
  ASSERT_TRUE(file) << file.error().to_string();
  const auto workload = file->instantiate("doubled", {{"N", "64"}}, true);
  ASSERT_TRUE(workload) << workload.error().to_string();
  const auto program = KnobProgram::of(workload->module);
  ASSERT_TRUE(program) << program.error().to_string();
  EXPECT_EQ(program->unread(), std::vector<std::string>{"idle"});
}

TEST(WorkloadFile, ChoicesOfAKnobStandOnce) {
  const auto file = WorkloadFile::parse("from tvm.script import tirx as T\n\n\ndef f(N, "
                                        "block=T.tune([16, 32, 16])):\n    return None\n",
                                        "twice.py");
  ASSERT_FALSE(file);
  EXPECT_THAT(file.error().to_string(), HasSubstr("the choice 16 stands twice"));
}

TEST(WorkloadFile, ListsWorkloadsWithTheirParametersAndFormulas) {
  const WorkloadFile file = file_of(kScale);
  ASSERT_EQ(file.workloads().size(), 1u);
  const WorkloadInfo& info = file.workloads()[0];
  EXPECT_EQ(info.name, "scale");
  EXPECT_EQ(info.description, "B = factor A");
  EXPECT_EQ(info.layer, "s-tir");
  EXPECT_EQ(info.flops, "M*(N + pad)");
  EXPECT_FALSE(info.has_reference);
  ASSERT_EQ(info.parameters.size(), 5u);
  EXPECT_EQ(info.parameters[0].name, "M");
  EXPECT_FALSE(info.parameters[0].default_value);
  EXPECT_EQ(info.parameters[2].default_value, ParameterValue(2.0));
  EXPECT_EQ(info.parameters[4].default_value, ParameterValue(std::string("float32")));
  ASSERT_EQ(info.shapes.size(), 2u);
  EXPECT_EQ(info.shapes[1].size(), 3u);
}

TEST(WorkloadFile, TwoWorkloadsShareADescription) {
  const std::string second = "\ndef other(M, N):\n    return scale(M, N)\n";
  const std::string at = "scale_workload = dict(";
  std::string text = kScale + second;
  for (const char* both :
       {"scale_workload = other_workload = dict(", "other_workload = scale_workload = dict("}) {
    const WorkloadFile file = file_of(replaced(replaced(text, at, both),
                                               "shapes=[dict(M=4, N=8), dict(M=16, N=16, pad=1)]",
                                               "shapes=[dict(M=4, N=8)]"));
    ASSERT_EQ(file.workloads().size(), 2u) << both;
    for (const WorkloadInfo& info : file.workloads()) {
      EXPECT_EQ(info.shapes.size(), 1u) << info.name;
      EXPECT_EQ(info.flops, "M*(N + pad)") << info.name;
    }
  }
  const std::string pair =
      "scale_workload, other_workload = dict(flops=\"M\"), dict(flops=\"N\")\n";
  const WorkloadFile file = file_of(text.substr(0, text.find(at)) + second + pair);
  ASSERT_EQ(file.workloads().size(), 2u);
  EXPECT_EQ(file.workloads()[0].flops, "M");
  EXPECT_EQ(file.workloads()[1].flops, "N");
  EXPECT_THAT(
      error_of(replaced(kScale, at, "scale_workload = scales_workload = dict("), "scale", {}),
      HasSubstr("there is no function 'scales'"));
}

TEST(WorkloadFile, ABaselineMayHaveACondition) {
  const std::string text = replaced(
      kScale, "baseline={\"openblas\": \"scal(M*N, 1)\"}",
      "baseline={\"openblas\": \"scal(M*N, 1) if dtype == 'float32'\", \"onednn\": "
      "[\"linear(M*N) if dtype == 'float32'\", \"linear_f64(M*N) if dtype != 'float32'\"]}");
  const auto entries = [&](const std::map<std::string, std::string>& parameters) {
    const auto workload = file_of(text).instantiate("scale", parameters);
    EXPECT_TRUE(workload) << (workload ? "" : workload.error().to_string());
    std::vector<std::string> names;
    for (const Baseline& baseline : workload->baselines)
      names.push_back(baseline.library + "." + baseline.entry);
    return names;
  };
  EXPECT_EQ(entries({}), (std::vector<std::string>{"openblas.scal", "onednn.linear"}));
  EXPECT_EQ(entries({{"M", "4"}, {"N", "8"}, {"dtype", "float64"}}),
            (std::vector<std::string>{"onednn.linear_f64"}));
  EXPECT_THAT(error_of(replaced(text, "if dtype == 'float32'\",", "if M\","), "scale", {}),
              ::testing::HasSubstr("a condition that is"));
}

TEST(WorkloadFile, AToleranceMayBeOfSingleOutputs) {
  std::string text = kScale;
  const auto workload =
      file_of(replaced(text, "tolerance=1e-4", "tolerance={\"B\": 1e-3, \"Q\": 2}"))
          .instantiate("scale", {});
  ASSERT_TRUE(workload) << workload.error().to_string();
  EXPECT_FALSE(workload->tolerance);
  EXPECT_EQ(workload->output_tolerances, (std::map<std::string, double>{{"B", 1e-3}, {"Q", 2}}));
}

TEST(WorkloadFile, WithoutParametersTheFirstShapeIsTaken) {
  const auto workload = file_of(kScale).instantiate("scale", {});
  ASSERT_TRUE(workload) << workload.error().to_string();
  EXPECT_EQ(workload->flops, 32);
  EXPECT_EQ(workload->bytes, 256);
  EXPECT_EQ(workload->inputs.at("A"), "int(0, 8)");
  EXPECT_EQ(workload->tolerance, 1e-4);
  ASSERT_EQ(workload->baselines.size(), 1u);
  EXPECT_EQ(workload->baselines[0].library, "openblas");
  EXPECT_EQ(workload->baselines[0].entry, "scal");
  EXPECT_EQ(workload->baselines[0].sizes, (std::vector<int64_t>{32, 1}));
  ASSERT_EQ(workload->parameters.size(), 5u);
  EXPECT_EQ(to_string(workload->parameters[4].second), "float32");
  const PrimFunc function = workload->module->find_prim_func("main");
  ASSERT_TRUE(function);
  EXPECT_EQ(function->params[0].buffer->element_count(), 32);
}

TEST(WorkloadFile, TheUnscheduledProgramIsTheReferenceOfAnSTirWorkload) {
  const auto workload = file_of(kScale).instantiate("", {{"M", "3"}, {"N", "5"}});
  ASSERT_TRUE(workload) << workload.error().to_string();
  EXPECT_TRUE(workload->is_own_reference);
  EXPECT_EQ(workload->reference, workload->module);
}

TEST(WorkloadFile, ParametersHaveTheTypeOfTheirDefault) {
  const auto workload = file_of(kScale).instantiate(
      "scale", {{"M", "3"}, {"N", "5"}, {"factor", "3"}, {"dtype", "float64"}, {"pad", "0"}});
  ASSERT_TRUE(workload) << workload.error().to_string();
  EXPECT_EQ(workload->module->find_prim_func("main")->params[0].buffer->dtype, DataType::float64());
}

TEST(WorkloadFile, InstancesAreEqualAndIndependent) {
  const WorkloadFile file = file_of(kScale);
  const auto a = file.instantiate("scale", {{"M", "3"}, {"N", "5"}});
  const auto b = file.instantiate("scale", {{"M", "3"}, {"N", "5"}});
  const auto c = file.instantiate("scale", {{"M", "3"}, {"N", "6"}});
  ASSERT_TRUE(a && b && c);
  EXPECT_TRUE(structural_equal(a->module, b->module));
  EXPECT_NE(a->module, b->module);
  EXPECT_FALSE(structural_equal(a->module, c->module));
}

TEST(WorkloadFile, EachMistakeGetsOneSentence) {
  const std::string text = kScale;
  struct Case {
    std::string text;
    std::string name;
    std::map<std::string, std::string> parameters;
    std::string message;
  };
  const std::vector<Case> cases = {
      {text, "scael", {}, "has no workload 'scael' (did you mean 'scale'?)"},
      {text, "scale", {{"M", "4"}}, "scale also needs N; add N=..."},
      {text, "scale", {{"pad", "4"}}, "scale also needs M, N; add M=... N=..."},
      {text,
       "scale",
       {{"M", "4"}, {"N", "4"}, {"facto", "1"}},
       "has no parameter 'facto' (did you mean 'factor'?)"},
      {text, "scale", {{"M", "0"}, {"N", "4"}}, "M=0: M is a positive integer"},
      {text, "scale", {{"M", "-3"}, {"N", "4"}}, "M=-3: M is a positive integer"},
      {text, "scale", {{"M", "4.5"}, {"N", "4"}}, "M=4.5: M is a positive integer"},
      {text, "scale", {{"M", "four"}, {"N", "4"}}, "M=four: M is a positive integer"},
      {text, "scale", {{"M", ""}, {"N", "4"}}, "M=: M is a positive integer"},
      {text, "scale", {{"M", "4"}, {"N", "4"}, {"pad", "-1"}}, "pad=-1: pad is not negative"},
      {text, "scale", {{"M", "99999999999999999999"}, {"N", "4"}}, "does not fit into 64 bits"},
      {text, "scale", {{"M", "4000000000"}, {"N", "4000000000"}}, "overflows"},
      {text,
       "scale",
       {{"M", "4"}, {"N", "4"}, {"dtype", "flaot32"}},
       "'flaot32' is not a data type (did you mean 'float32'?)"},
      {text, "scale", {{"M", "4"}, {"N", "4"}, {"factor", "much"}}, "factor is a number"},
      {replaced(text, "    return main", "    return 3"),
       "scale",
       {},
       "scale returns the integer 3; it must return the one prim_func"},
      {replaced(text, "    return main", "    pass"), "scale", {}, "scale returns nothing"},
      {replaced(text, "flops=", "flosp="),
       "scale",
       {},
       "has no entry 'flosp' (did you mean 'flops'?)"},
      {replaced(text, "flops=\"M", "flops=\"Q"), "scale", {}, "'Q' is not known here"},
      {replaced(text, "flops=\"M*(N + pad)\"", "flops=\"M*\""),
       "scale",
       {},
       "expected an expression"},
      {replaced(text, "flops=\"M*(N + pad)\"", "flops=\"-M\""), "scale", {}, "gives -4"},
      {replaced(text, "dict(M=4, N=8)", "dict(M=4)"), "scale", {}, "does not say N"},
      {replaced(text, "dict(M=4, N=8)", "dict(M=4, N=8, K=1)"),
       "scale",
       {},
       "has no parameter 'K'"},
      {replaced(text, "shapes=[dict(M=4, N=8), dict(M=16, N=16, pad=1)]", "shapes=5"),
       "scale",
       {},
       "shapes is a list"},
      {replaced(text, "inputs={\"A\"", "inputs={\"X\""), "scale", {}, "scale takes A, B"},
      {replaced(text, "tolerance=1e-4", "tolerance=\"small\""), "scale", {}, "relative error"},
      {replaced(text, "tolerance=1e-4", "tolerance={\"B\": -1}"), "scale", {}, "steps of integers"},
      {replaced(text, "scale_workload", "scael_workload"),
       "scale",
       {},
       "there is no function 'scael'"},
      {replaced(text, "@T.prim_func(s_tir=True)", "@T.prim_func(s_tir=False)"),
       "scale",
       {},
       "blocks belong to s-tir"},
      {replaced(text, "pad=0", "pad=T.tune([0, 1])"),
       "scale",
       {{"M", "4"}, {"N", "4"}},
       "is a knob (T.tune)"},
      {replaced(text, "pad=0", "pad=T.tune([0, 1])"),
       "scale",
       {{"M", "4"}, {"N", "4"}, {"pad", "7"}},
       "is not among its choices: 0, 1"},
      {"x = 1\n", "scale", {}, "holds no workload"},
      {"def f(:\n", "f", {}, "this '(' is never closed"},
  };
  for (const Case& one : cases) {
    const std::string message = error_of(one.text, one.name, one.parameters);
    EXPECT_NE(message.find(one.message), std::string::npos)
        << "expected: " << one.message << "\nfound: " << message;
  }
}

TEST(WorkloadFile, APinnedKnobIsAParameter) {
  const std::string text = replaced(kScale, "pad=0", "pad=T.tune([0, 1])");
  const auto workload = file_of(text).instantiate("scale", {{"M", "4"}, {"N", "4"}, {"pad", "1"}});
  ASSERT_TRUE(workload) << workload.error().to_string();
  EXPECT_EQ(workload->module->find_prim_func("main")->params[0].buffer->element_count(), 20);
}

const char* const kTir = R"(
def twice(N):
    @T.prim_func
    def main(A: T.Buffer((N,), "float32")):
        for i in range(N):
            A[i] = A[i] * 2.0
    return main
)";

TEST(WorkloadFile, ATirProgramNeedsAReferenceUnlessUnchecked) {
  EXPECT_NE(error_of(kTir, "twice", {{"N", "4"}}).find("without a reference"), std::string::npos);
  const auto workload = file_of(kTir).instantiate("twice", {{"N", "4"}}, true);
  ASSERT_TRUE(workload) << workload.error().to_string();
  EXPECT_FALSE(workload->reference);
  EXPECT_EQ(file_of(kTir).workloads()[0].layer, "tir");
}

TEST(WorkloadFile, AReferenceTakesWhatTheProgramTakes) {
  const std::string reference = R"(
def twice_reference(N):
    @T.prim_func
    def main(A: T.Buffer((N, 2), "float32")):
        A[0, 0] = 1.0
    return main
)";
  EXPECT_NE(error_of(kTir + reference, "twice", {{"N", "4"}})
                .find("float32[4, 2], but A of twice is float32[4]"),
            std::string::npos);
  const auto workload = file_of(kTir + replaced(replaced(reference, "(N, 2)", "(N,)"), "0, 0", "0"))
                            .instantiate("twice", {{"N", "4"}});
  ASSERT_TRUE(workload) << workload.error().to_string();
  EXPECT_FALSE(workload->is_own_reference);
  EXPECT_TRUE(workload->reference);
}

TEST(WorkloadFile, APlainPrimFuncIsAWorkloadWithoutParameters) {
  const auto workload = file_of(R"(
@T.prim_func(s_tir=True)
def add(A: T.Buffer((4,), "float32")):
    for i in range(4):
        with T.sblock("A"):
            vi = T.axis.spatial(4, i)
            A[vi] = A[vi] + 1
)")
                            .instantiate("", {});
  ASSERT_TRUE(workload) << workload.error().to_string();
  EXPECT_EQ(workload->name, "add");
}

const char* const kSymbolic = R"py(
from tvm.script import tirx as T

def twice(N, block=T.tune([16, 32])):
    T.constraint(block != 16)
    m = T.dynamic("m")
    @T.prim_func
    def main(A: T.Tensor((m, N), "float32"), B: T.Tensor((m, N), "float32")):
        with T.Kernel(T.ceildiv(m, block), threads=32) as bx:
            tile = T.alloc_fragment((block, N), "float32")
            T.copy(A[bx * block, 0], tile)
            for i, j in T.Parallel(block, N):
                tile[i, j] = tile[i, j] * 2.0
            T.copy(tile, B[bx * block, 0])
    return main

def twice_reference(N):
    m = T.dynamic("m")
    @T.prim_func
    def main(A: T.Buffer((m, N), "float32"), B: T.Buffer((m, N), "float32")):
        copy = T.alloc_buffer((m, N), "float32")
        for i, j in T.grid(m, N):
            copy[i, j] = A[i, j]
            B[i, j] = copy[i, j] * T.float32(2)
    return main

twice_workload = dict(shapes=[dict(N=16, m=40)], flops="m*N")
)py";

TEST(WorkloadFile, ExtentsOfSymbolicDimensionsAreGivenBesideTheParameters) {
  const WorkloadFile file = file_of(kSymbolic);
  EXPECT_EQ(file.open_dimensions("twice", {{"N", "16"}}), (std::vector<std::string>{"m"}));
  EXPECT_TRUE(file.open_dimensions("twice", {{"N", "16"}, {"m", "8"}}).empty());
  const auto workload = file.instantiate("twice", {{"N", "16"}, {"m", "100"}});
  ASSERT_TRUE(workload) << workload.error().to_string();
  EXPECT_EQ(workload->flops, 1600);
  EXPECT_EQ(workload->parameters.back(), (std::pair<std::string, ParameterValue>("m", 100)));
  // The program stays symbolic, whatever is chosen; its reference is for the extent alone.
  const auto function = [](const IRModule& module) {
    return module->functions[0].function.as_ref<PrimFuncNode>();
  };
  const Extents extents{{"m", 100}};
  EXPECT_EQ(extents_of(function(workload->module)), extents);
  const auto knobs = KnobProgram::of(workload->module);
  ASSERT_TRUE(knobs) << knobs.error().to_string();
  const auto chosen = knobs->instantiate(std::vector<size_t>{1});
  ASSERT_TRUE(chosen) << chosen.error().to_string();
  EXPECT_EQ(extents_of(function(*chosen)), extents);
  EXPECT_EQ(function(*chosen)->shape_vars.size(), 1U);
  const PrimFunc reference = function(workload->reference);
  EXPECT_TRUE(reference->shape_vars.empty());
  EXPECT_EQ(reference->params.size(), 3U);
  EXPECT_EQ(to_text(workload->reference).find("T.dynamic"), std::string::npos);
  // For a GPU the choices are programs of the extent, too.
  const auto bound = bound_to_extents(workload->module);
  ASSERT_TRUE(bound) << bound.error().to_string();
  const auto of_bound = KnobProgram::of(*bound);
  ASSERT_TRUE(of_bound) << of_bound.error().to_string();
  const auto numbers = of_bound->instantiate(std::vector<size_t>{1});
  ASSERT_TRUE(numbers) << numbers.error().to_string();
  EXPECT_TRUE(function(*numbers)->shape_vars.empty());
  EXPECT_THAT(to_text(*numbers), HasSubstr("T.Kernel(4, threads=32)"));
  EXPECT_TRUE(structural_equal(make_module((*bound)->functions), *numbers));
  // The file's own shape gives one.
  const auto first = file.instantiate("twice", {});
  ASSERT_TRUE(first) << first.error().to_string();
  EXPECT_EQ(extents_of(function(first->module)), (Extents{{"m", 40}}));
}

TEST(WorkloadFile, AnExtentThatIsMissingOrStrangeIsNamed) {
  EXPECT_THAT(error_of(kSymbolic, "twice", {{"N", "16"}}),
              AllOf(HasSubstr("the dimension m is symbolic"), HasSubstr("add m=NUMBER")));
  EXPECT_THAT(error_of(kSymbolic, "twice", {{"N", "16"}, {"m", "0"}}),
              HasSubstr("the extent of twice's dimension m is a positive integer"));
  EXPECT_THAT(error_of(kSymbolic, "twice", {{"N", "16"}, {"m", "4"}, {"k", "4"}}),
              HasSubstr("twice has no parameter 'k'"));
  EXPECT_THAT(error_of(kSymbolic, "twice", {{"N", "16"}, {"m", "x"}}),
              HasSubstr("twice has no parameter 'm'"));
}

TEST(WorkloadFile, AFileThatIsNotThereIsNamed) {
  const auto file = WorkloadFile::read("/nowhere/scale.py");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, ErrorCode::kNotFound);
  EXPECT_NE(file.error().message.find("/nowhere/scale.py"), std::string::npos);
}

TEST(Workloads, EveryShapeOfEveryFileBuilds) {
  std::set<std::string> names;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(TEMPER_SOURCE_DIR) + "/workloads")) {
    if (entry.path().extension() != ".py")
      continue;
    const auto file = WorkloadFile::read(entry.path());
    ASSERT_TRUE(file) << file.error().to_string();
    for (const WorkloadInfo& info : file->workloads()) {
      names.insert(info.name);
      EXPECT_FALSE(info.description.empty()) << info.name;
      EXPECT_FALSE(info.shapes.empty()) << info.name;
      for (const Binding& shape : info.shapes) {
        const auto workload = file->bind(info.name, shape);
        ASSERT_TRUE(workload) << info.name << ": " << workload.error().to_string();
        EXPECT_TRUE(workload->reference);
        EXPECT_GT(workload->bytes, 0) << info.name;
        EXPECT_EQ(workload->module->functions[0].function.as_ref<PrimFuncNode>()->s_tir,
                  info.layer == "s-tir")
            << info.name;
      }
    }
  }
  for (const char* name :
       {"matmul", "batch_matmul", "conv2d", "depthwise_conv2d", "softmax", "layer_norm", "rms_norm",
        "gemv", "elementwise", "row_sum", "full_sum", "transpose"})
    EXPECT_TRUE(names.count(name)) << name;
}

TEST(Workloads, Conv2dCountsItsOperations) {
  const auto file = WorkloadFile::read(std::string(TEMPER_SOURCE_DIR) + "/workloads/conv2d.py");
  ASSERT_TRUE(file);
  const auto workload = file->instantiate("conv2d", {});
  ASSERT_TRUE(workload) << workload.error().to_string();
  EXPECT_EQ(workload->flops, 2.0 * 56 * 56 * 64 * 64 * 9);
  const auto strided = file->instantiate("conv2d", {{"N", "2"},
                                                    {"H", "7"},
                                                    {"W", "9"},
                                                    {"CI", "3"},
                                                    {"CO", "5"},
                                                    {"R", "3"},
                                                    {"S", "2"},
                                                    {"stride", "2"},
                                                    {"pad", "1"},
                                                    {"dilation", "2"}});
  ASSERT_TRUE(strided) << strided.error().to_string();
  const auto& shape =
      strided->module->functions[0].function.as_ref<PrimFuncNode>()->params[3].buffer->shape;
  EXPECT_EQ(as_int(shape[1]), 3); // (7 + 2 - 2*2 - 1)//2 + 1
  EXPECT_EQ(as_int(shape[2]), 5); // (9 + 2 - 2*1 - 1)//2 + 1
}

TEST(Workloads, AFilterLargerThanItsImageIsRefused) {
  const auto file = WorkloadFile::read(std::string(TEMPER_SOURCE_DIR) + "/workloads/conv2d.py");
  ASSERT_TRUE(file);
  const auto workload = file->instantiate(
      "conv2d",
      {{"N", "1"}, {"H", "2"}, {"W", "2"}, {"CI", "3"}, {"CO", "5"}, {"R", "3"}, {"S", "3"}});
  ASSERT_FALSE(workload);
  EXPECT_NE(workload.error().message.find("the filter is larger than the padded image"),
            std::string::npos)
      << workload.error().message;
}

const char* const kProduct = R"py(
from tvm.script import tirx as T

def product(M, N, K):
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((M, K), "float32"), B: T.Buffer((K, N), "float32"), C: T.Buffer((M, N), "float32")):
        for i, j, k in T.grid(M, N, K):
            with T.sblock("C"):
                vi, vj, vk = T.axis.remap("SSR", [i, j, k])
                with T.init():
                    C[vi, vj] = T.float32(0)
                C[vi, vj] = C[vi, vj] + A[vi, vk] * B[vk, vj]
    return main

product_workload = dict(
    shapes=[dict(M=4, N=8, K=2), dict(M=4, N=8, K=4, constant="B")],
    flops="2*M*N*K",
)
)py";

std::string constant_of(const Workload& workload) {
  for (const auto& [name, value] : workload.parameters)
    if (name == kConstant)
      return to_string(value);
  return "";
}

TEST(ConstantOperands, AreGivenBesideTheParameters) {
  const WorkloadFile file = file_of(kProduct);
  const auto plain = file.instantiate("product", {});
  ASSERT_TRUE(plain) << plain.error().to_string();
  EXPECT_EQ(constant_of(*plain), "");
  for (const char* text : {"B", " B ", "B,B"}) {
    const auto constant = file.instantiate("product", {{"constant", text}});
    ASSERT_TRUE(constant) << constant.error().to_string();
    EXPECT_EQ(constant_of(*constant), "B") << "the first shape, with constant weights";
    EXPECT_NE(structural_hash(plain->module), structural_hash(constant->module))
        << "another workload";
    EXPECT_TRUE(structural_equal(plain->module, constant->reference))
        << "what is right does not depend on it";
  }
  const auto both =
      file.instantiate("product", {{"M", "4"}, {"N", "8"}, {"K", "2"}, {"constant", "B,A"}});
  ASSERT_TRUE(both) << both.error().to_string();
  EXPECT_EQ(constant_of(*both), "A,B");
}

TEST(ConstantOperands, AreNamedByAShapeOrForAllShapes) {
  const WorkloadFile file = file_of(kProduct);
  const auto shape = file.bind("product", file.workloads()[0].shapes[1]);
  ASSERT_TRUE(shape) << shape.error().to_string();
  EXPECT_EQ(constant_of(*shape), "B");

  const WorkloadFile all =
      file_of(replaced(kProduct, "flops=\"2*M*N*K\"", "flops=\"2*M*N*K\", constant=[\"B\"]"));
  EXPECT_EQ(all.workloads()[0].constant, "B");
  const auto said = all.instantiate("product", {{"M", "2"}, {"N", "2"}, {"K", "2"}});
  ASSERT_TRUE(said) << said.error().to_string();
  EXPECT_EQ(constant_of(*said), "B");
  const auto taken_back = all.instantiate("product", {{"constant", "none"}});
  ASSERT_TRUE(taken_back) << taken_back.error().to_string();
  EXPECT_EQ(constant_of(*taken_back), "");
  EXPECT_TRUE(structural_equal(taken_back->module, file.instantiate("product", {})->module));
}

TEST(ConstantOperands, AreInputsThatThereAre) {
  EXPECT_EQ(error_of(kProduct, "product", {{"constant", "W"}}),
            "'W' cannot be constant: there is no such operand; they are A, B, C");
  EXPECT_EQ(error_of(kProduct, "product", {{"constant", "B,C"}}),
            "'C' cannot be constant: it is written; constant are inputs that stay the same from "
            "call to call, as weights");
  EXPECT_NE(error_of(replaced(kProduct, "flops=\"2*M*N*K\"", "constant=3"), "product", {})
                .find("constant names operands, as [\"B\"]"),
            std::string::npos);
  EXPECT_NE(error_of(replaced(kProduct, "constant=\"B\"", "constant=3"), "product", {})
                .find("has no parameter 'constant'"),
            std::string::npos);
}

TEST(ConstantOperands, AParameterOfThatNameIsAParameter) {
  const std::string text =
      replaced(replaced(kScale, "factor=2.0", "constant=2.0"), "* factor", "* constant");
  const auto workload =
      file_of(text).instantiate("scale", {{"M", "2"}, {"N", "2"}, {"constant", "3.5"}});
  ASSERT_TRUE(workload) << workload.error().to_string();
  EXPECT_EQ(constant_of(*workload), "3.5");
  EXPECT_NE(to_text(workload->module).find("3.5"), std::string::npos);
}

} // namespace
} // namespace temper::script
