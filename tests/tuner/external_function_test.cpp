#include "tuner/external_function.h"

#include "ir/support/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace temper::tuner {
namespace {

using ::testing::HasSubstr;

ExternalFunction parsed(const std::string& text) {
  auto function = parse_external_function(text);
  EXPECT_TRUE(function) << function.error().message;
  return function ? *function : ExternalFunction();
}

std::string refusal(const std::string& text) {
  const auto function = parse_external_function(text);
  EXPECT_FALSE(function) << text;
  return function ? "" : function.error().message;
}

/// C[M, N] = A[M, K] @ B[K, N].
Task product() {
  Task task;
  task.workload = "matmul";
  task.binding_json = R"({"K":3,"M":4,"N":5000000000,"dtype":"float32"})";
  for (const char* name : {"A", "B", "C"})
    task.signature.push_back({name, DataType::float32(), {4, 3}, name == std::string("C"), false});
  return task;
}

std::string unfit(const std::string& text) {
  const auto peer = external_peer(parsed(text), product());
  EXPECT_FALSE(peer) << text;
  return peer ? "" : peer.error().message;
}

TEST(ExternalFunction, IsALibraryARoutineOrAFunction) {
  const ExternalFunction library = parsed("openblas");
  EXPECT_EQ(library.form, ExternalFunction::Form::kBaseline);
  EXPECT_EQ(library.library, "openblas");
  const ExternalFunction routine = parsed(" onednn:matmul( M, N ,8 ) ");
  EXPECT_EQ(routine.form, ExternalFunction::Form::kRoutine);
  EXPECT_EQ(routine.name(), "onednn:matmul");
  ASSERT_EQ(routine.arguments.size(), 3U);
  EXPECT_EQ(routine.arguments[1].value, "N");
  EXPECT_EQ(routine.arguments[2].value, "8");
  const ExternalFunction packed = parsed("./lib/mine.so:kernel");
  EXPECT_EQ(packed.form, ExternalFunction::Form::kFfi);
  EXPECT_EQ(packed.library, "./lib/mine.so");
  EXPECT_EQ(packed.name(), "mine.so:kernel");
  const ExternalFunction nothing = parsed("./mine.so:warm()");
  EXPECT_EQ(nothing.form, ExternalFunction::Form::kRoutine);
  EXPECT_TRUE(nothing.arguments.empty());
}

TEST(ExternalFunction, HasTheTypesOfC) {
  const ExternalFunction function =
      parsed("m.so:f(const  float *A, float* B, unsigned long N, int -1, double 0.5, float 1e-3)");
  EXPECT_EQ(function.form, ExternalFunction::Form::kC);
  ASSERT_EQ(function.arguments.size(), 6U);
  EXPECT_EQ(function.arguments[0].type, "const float*");
  EXPECT_EQ(function.arguments[0].value, "A");
  EXPECT_EQ(function.arguments[1].type, "float*");
  EXPECT_EQ(function.arguments[2].type, "unsigned long");
  EXPECT_EQ(function.arguments[3].value, "-1");
  EXPECT_EQ(function.arguments[4].value, "0.5");
  EXPECT_EQ(function.arguments[5].value, "1e-3");
}

TEST(ExternalFunction, WhatIsWrongInItIsSaid) {
  EXPECT_THAT(refusal(""), HasSubstr("names no library"));
  EXPECT_THAT(refusal("./mine.so"), HasSubstr("names no function"));
  EXPECT_THAT(refusal("mine.so:"), HasSubstr("names no function"));
  EXPECT_THAT(refusal("mine.so:f(int M"), HasSubstr("no closing parenthesis"));
  EXPECT_THAT(refusal("mine.so:f(int M, N)"), HasSubstr("with a type and without one"));
  EXPECT_THAT(refusal("mine.so:f(float*, int N)"), HasSubstr("'float*' without a name"));
}

TEST(ExternalFunction, ThatDoesNotFitNamesTheArgument) {
  EXPECT_THAT(unfit("openblas:cblas_sgemm(int M, float* D)"),
              HasSubstr("openblas:cblas_sgemm, argument 2: the workload has no buffer 'D', but A, "
                        "B, C"));
  EXPECT_THAT(unfit("openblas:cblas_sgemm(int P)"),
              HasSubstr("argument 1: 'P' is neither a number nor a parameter of the workload, "
                        "which are K, M, N"));
  EXPECT_THAT(unfit("openblas:cblas_sgemm(int N)"),
              HasSubstr("5000000000 is too large for an int"));
  EXPECT_THAT(unfit("openblas:cblas_sgemm(int dtype)"), HasSubstr("the parameter 'dtype' is"));
  EXPECT_THAT(unfit("openblas:cblas_sgemm(half M)"), HasSubstr("there is no type 'half'"));
  EXPECT_THAT(unfit("./nowhere.so:f(int M)"), HasSubstr("there is no library './nowhere.so'"));
  EXPECT_THAT(unfit("onednn:matmul(float* A)"), HasSubstr("named without types"));
  EXPECT_THAT(unfit("onednn"), HasSubstr("matmul names no routine of 'onednn'"));
}

TEST(ExternalFunction, OfAnotherShapeIsAnotherRow) {
  engine::Peer peer;
  peer.artifact = std::make_shared<codegen::Artifact>();
  Task task = product();
  const database::Workload first = function_row("blis:sgemm", peer, task, "w1");
  EXPECT_EQ(first.layer, kFunctionLayer);
  EXPECT_EQ(parse_json(first.program).value_or(Json())["computes"], "w1");
  EXPECT_NE(database::id_of(first),
            database::id_of(function_row("openblas:sgemm", peer, task, "w1")));
  task.binding_json = R"({"K":4})";
  EXPECT_NE(database::id_of(first), database::id_of(function_row("blis:sgemm", peer, task, "w2")));
}

TEST(ExternalFunction, TheLibraryStandsInThePlaceOfTheCompiler) {
  engine::Peer peer;
  auto artifact = std::make_shared<codegen::Artifact>();
  artifact->environment = {{"OPENBLAS_CORETYPE", "SkylakeX"}, {"TEMPER_PEER_BLAS", "/lib/x.so"}};
  peer.artifact = artifact;
  peer.name = "OpenBLAS";
  const auto toolchain = library_toolchain(peer);
  ASSERT_TRUE(toolchain);
  EXPECT_TRUE(is_external(*toolchain));
  EXPECT_EQ(toolchain->json,
            R"({"library":"OpenBLAS","settings":{"OPENBLAS_CORETYPE":"SkylakeX"}})");
  EXPECT_FALSE(is_external({{}, R"({"llvm":"19.1.7"})"}));
  peer.file = "/nowhere/libopenblas.so";
  EXPECT_FALSE(library_toolchain(peer));
}

} // namespace
} // namespace temper::tuner
