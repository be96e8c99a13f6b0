// Every entry of every peer against a plain loop in double.
#include "engine/peers.h"

#include "engine/local_measurer.h"
#include "ir/support/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace temper::engine {
namespace {

using codegen::ArgumentSpec;

std::vector<ArgumentSpec> tensors(std::vector<std::pair<const char*, std::vector<int64_t>>> shapes,
                                  DataType type) {
  std::vector<ArgumentSpec> signature;
  for (auto& [name, shape] : shapes)
    signature.push_back({name, type, shape, true, false});
  signature.back().is_output = true;
  return signature;
}

struct PeerCase {
  const char* library;
  const char* entry;
  const char* reference; ///< in candidates/references.c
  std::vector<std::pair<const char*, std::vector<int64_t>>> shapes;
  std::vector<int64_t> sizes;
  bool doubles = false;
  std::vector<DataType> types = {}; ///< of the tensors, where they are not of one type
};

void PrintTo(const PeerCase& peer, std::ostream* out) { *out << peer.library << "." << peer.entry; }

class Peers : public ::testing::TestWithParam<PeerCase> {};

TEST_P(Peers, AgreesWithPlainLoops) {
  const PeerCase& peer = GetParam();
  const DataType type = peer.doubles ? DataType::float64() : DataType::float32();
  auto signature = tensors(peer.shapes, type);
  for (size_t i = 0; i < peer.types.size(); ++i)
    signature[i].dtype = peer.types[i];
  const auto made = peer_artifact(peer.library, peer.entry, signature, peer.sizes);
  if (!made)
    GTEST_SKIP() << made.error().message;
  LocalMeasurerOptions options;
  options.lock_path.clear();
  auto measurer = LocalMeasurer::start(options);
  ASSERT_TRUE(measurer) << measurer.error().message;
  auto reference = std::make_shared<codegen::Artifact>();
  reference->code = *read_file(TEMPER_TEST_REFERENCES);
  reference->entry = peer.reference;
  reference->signature = tensors(peer.shapes, DataType::float64());
  WorkloadSpec spec;
  spec.name = peer.entry;
  spec.signature = signature;
  spec.input_sets = default_input_sets(5, {});
  spec.reference = reference;
  spec.reduction_length = 300;
  const Result<WorkloadId> workload = (*measurer)->add_workload(spec);
  ASSERT_TRUE(workload) << workload.error().message;
  CompareRequest request;
  request.workload = *workload;
  request.rounds = 3;
  request.sample_ns = 1e4;
  request.contenders = {{peer.entry, made->artifact, made->extra_scalars, 0, true}};
  const Result<Comparison> comparison = (*measurer)->compare(request);
  ASSERT_TRUE(comparison) << comparison.error().message;
  const Measurement& m = comparison->contenders[0].measurement;
  EXPECT_TRUE(is_correct(m.outcome)) << to_string(m.outcome) << ": " << m.error;
}

std::vector<PeerCase> blas_cases() {
  std::vector<PeerCase> cases;
  for (const char* library : {"openblas", "blis", "mkl"}) {
    cases.push_back({library,
                     "sgemm",
                     "matmul_17_23_9",
                     {{"A", {17, 9}}, {"B", {9, 23}}, {"C", {17, 23}}},
                     {17, 23, 9}});
    cases.push_back(cases.back());
    cases.back().entry = "dgemm";
    cases.back().doubles = true;
    cases.push_back({library,
                     "sgemm_nt",
                     "matmul_nt_17_23_9",
                     {{"A", {17, 9}}, {"B", {23, 9}}, {"C", {17, 23}}},
                     {17, 23, 9}});
    cases.push_back({library,
                     "batched_sgemm",
                     "batched_3_17_23_9",
                     {{"A", {3, 17, 9}}, {"B", {3, 9, 23}}, {"C", {3, 17, 23}}},
                     {3, 17, 23, 9}});
    cases.push_back(
        {library, "sgemv", "matmul_17_1_9", {{"A", {17, 9}}, {"x", {9}}, {"y", {17}}}, {17, 9}});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Blas, Peers, ::testing::ValuesIn(blas_cases()), [](const auto& info) {
  return std::string(info.param.library) + "_" + info.param.entry;
});

std::vector<PeerCase> onednn_cases() {
  return {
      PeerCase{"onednn",
               "matmul",
               "matmul_17_23_9",
               {{"A", {17, 9}}, {"B", {9, 23}}, {"C", {17, 23}}},
               {17, 23, 9}},
      PeerCase{"onednn",
               "matmul_bf16",
               "matmul_17_23_9",
               {{"A", {17, 9}}, {"B", {9, 23}}, {"C", {17, 23}}},
               {17, 23, 9},
               false,
               {DataType::bfloat16(), DataType::bfloat16(), DataType::float32()}},
      PeerCase{"onednn",
               "matmul_u8s8",
               "matmul_17_23_9",
               {{"A", {17, 9}}, {"B", {9, 23}}, {"C", {17, 23}}},
               {17, 23, 9},
               false,
               {DataType::uint(8), DataType::integer(8), DataType::int32()}},
      PeerCase{"onednn",
               "matmul_s8s8",
               "matmul_17_23_9",
               {{"A", {17, 9}}, {"B", {9, 23}}, {"C", {17, 23}}},
               {17, 23, 9},
               false,
               {DataType::integer(8), DataType::integer(8), DataType::int32()}},
      PeerCase{"onednn",
               "matmul_packed",
               "matmul_17_23_9",
               {{"A", {17, 9}}, {"B", {9, 23}}, {"C", {17, 23}}},
               {17, 23, 9}},
      PeerCase{"onednn",
               "matmul_nt",
               "matmul_nt_17_23_9",
               {{"A", {17, 9}}, {"B", {23, 9}}, {"C", {17, 23}}},
               {17, 23, 9}},
      PeerCase{"onednn",
               "batched_matmul",
               "batched_3_17_23_9",
               {{"A", {3, 17, 9}}, {"B", {3, 9, 23}}, {"C", {3, 17, 23}}},
               {3, 17, 23, 9}},
      PeerCase{"onednn",
               "conv2d_bias_relu_nhwc",
               "conv_bias_relu",
               {{"X", {2, 9, 8, 5}}, {"W", {3, 3, 5, 7}}, {"bias", {7}}, {"Y", {2, 5, 4, 7}}},
               {2, 9, 8, 5, 7, 3, 3, 2, 1, 1, 1}},
      PeerCase{"onednn",
               "conv2d_bias_relu_nhwc_packed",
               "conv_bias_relu",
               {{"X", {2, 9, 8, 5}}, {"W", {3, 3, 5, 7}}, {"bias", {7}}, {"Y", {2, 5, 4, 7}}},
               {2, 9, 8, 5, 7, 3, 3, 2, 1, 1, 1}},
      PeerCase{"onednn",
               "conv2d_nhwc",
               "conv",
               {{"X", {2, 9, 8, 5}}, {"W", {3, 3, 5, 7}}, {"Y", {2, 5, 4, 7}}},
               {2, 9, 8, 5, 7, 3, 3, 2, 1, 1, 1}},
      PeerCase{"onednn",
               "depthwise_conv2d_nhwc",
               "depthwise",
               {{"X", {2, 9, 8, 5}}, {"W", {3, 3, 5}}, {"Y", {2, 5, 4, 5}}},
               {2, 9, 8, 5, 3, 3, 2, 1}},
      PeerCase{"onednn",
               "conv2d_nhwc",
               "grouped_dilated",
               {{"X", {2, 9, 8, 2, 3}}, {"W", {3, 2, 3, 2, 5}}, {"Y", {2, 4, 4, 2, 5}}},
               {2, 9, 8, 6, 10, 3, 2, 2, 1, 2, 2}},
      PeerCase{"onednn",
               "conv1d_nlc",
               "conv1d",
               {{"X", {2, 11, 5}}, {"W", {3, 5, 7}}, {"Y", {2, 5, 7}}},
               {2, 11, 5, 7, 3, 2, 1, 2}},
      PeerCase{"onednn",
               "conv3d_ndhwc",
               "conv3d",
               {{"X", {2, 4, 5, 6, 3}}, {"W", {3, 3, 3, 3, 5}}, {"Y", {2, 2, 3, 3, 5}}},
               {2, 4, 5, 6, 3, 5, 3, 2, 1, 1}},
      PeerCase{"onednn",
               "transposed_conv2d_nhwc",
               "transposed_conv",
               {{"X", {2, 4, 3, 5}}, {"W", {4, 4, 5, 7}}, {"Y", {2, 8, 6, 7}}},
               {2, 4, 3, 5, 7, 4, 4, 2, 1}},
      PeerCase{"onednn",
               "capsule_conv2d",
               "capsules",
               {{"X", {2, 5, 6, 2, 2, 3}}, {"W", {3, 3, 2, 2, 3, 5}}, {"Y", {2, 3, 3, 2, 2, 5}}},
               {2, 5, 6, 3, 5, 3, 3, 2, 2, 1}},
      PeerCase{"onednn",
               "attention_scores",
               "attention",
               {{"X", {2, 7, 3, 5}}, {"Y", {2, 7, 3, 5}}, {"Z", {2, 3, 7, 7}}},
               {2, 7, 3, 5}},
      PeerCase{"onednn", "frobenius_norm", "norms", {{"X", {3, 7, 11}}, {"y", {3}}}, {3, 7, 11}},
      PeerCase{"onednn", "softmax", "softmax", {{"X", {17, 23}}, {"Y", {17, 23}}}, {17, 23}},
      PeerCase{"onednn",
               "layer_norm",
               "layer_norm",
               {{"X", {17, 23}}, {"gamma", {23}}, {"beta", {23}}, {"Y", {17, 23}}},
               {17, 23}},
      PeerCase{"onednn", "relu", "relu", {{"X", {391}}, {"Y", {391}}}, {391}}};
}

/// The same operators, as PyTorch's adapter calls them.
std::vector<PeerCase> torch_cases() {
  std::vector<PeerCase> cases;
  for (PeerCase peer : onednn_cases()) {
    const std::string_view entry = peer.entry;
    if (entry.ends_with("_packed") || entry == "relu" || !peer.types.empty())
      continue;
    peer.library = "torch";
    peer.entry = entry == "matmul"           ? "mm"
                 : entry == "matmul_nt"      ? "mm_nt"
                 : entry == "batched_matmul" ? "bmm"
                                             : peer.entry;
    cases.push_back(peer);
  }
  cases.push_back(
      {"torch", "mv", "matmul_17_1_9", {{"A", {17, 9}}, {"x", {9}}, {"y", {17}}}, {17, 9}});
  return cases;
}

std::string entry_and_reference(const ::testing::TestParamInfo<PeerCase>& info) {
  return std::string(info.param.entry) + "_" + info.param.reference;
}

INSTANTIATE_TEST_SUITE_P(OneDnn, Peers, ::testing::ValuesIn(onednn_cases()), entry_and_reference);
INSTANTIATE_TEST_SUITE_P(Torch, Peers, ::testing::ValuesIn(torch_cases()), entry_and_reference);

std::vector<ArgumentSpec> three(const std::vector<int64_t>& shape, DataType type) {
  return tensors({{"A", shape}, {"B", shape}, {"C", shape}}, type);
}

/// C = A + B by a contender, as those of candidates/ffi.c.
Measurement added_by(const Result<Peer>& peer, const std::vector<int64_t>& shape,
                     bool check = true) {
  EXPECT_TRUE(peer) << peer.error().message;
  LocalMeasurerOptions options;
  options.lock_path.clear();
  auto measurer = LocalMeasurer::start(options);
  EXPECT_TRUE(measurer) << measurer.error().message;
  auto reference = std::make_shared<codegen::Artifact>();
  reference->code = *read_file(TEMPER_TEST_CANDIDATES);
  reference->entry = "reference";
  reference->signature = three(shape, DataType::float64());
  WorkloadSpec spec;
  spec.name = "add";
  spec.signature = three(shape, DataType::float32());
  spec.input_sets = default_input_sets(5, {});
  spec.reference = reference;
  const Result<WorkloadId> workload = (*measurer)->add_workload(spec);
  EXPECT_TRUE(workload) << workload.error().message;
  CompareRequest request;
  request.workload = *workload;
  request.rounds = 3;
  request.sample_ns = 1e4;
  request.contenders = {{peer->name, peer->artifact, {}, 1, check}};
  const Result<Comparison> comparison = (*measurer)->compare(request);
  EXPECT_TRUE(comparison) << comparison.error().message;
  return comparison->contenders[0].measurement;
}

Measurement added_by_ffi(const std::vector<int64_t>& shape, const char* function = "main") {
  return added_by(ffi_peer("theirs", TEMPER_TEST_FFI, function, three(shape, DataType::float32())),
                  shape);
}

TEST(Peak, IsAContenderThatLeavesTheArgumentsAlone) {
  for (const FmaKind kind : {FmaKind::kFloat32, FmaKind::kFloat64, FmaKind::kBFloat16,
                             FmaKind::kInt8, FmaKind::kBFloat16Matrix, FmaKind::kInt8Matrix}) {
    EXPECT_EQ(parse_fma_kind(to_string(kind)), kind);
    const std::vector<int64_t> shape{1000};
    const auto peer = peak_peer(kind, 1e6, three(shape, DataType::float32()));
    if (fma_probe(kind).run == nullptr) {
      ASSERT_FALSE(peer);
      EXPECT_THAT(peer.error().message, ::testing::HasSubstr(std::string(to_string(kind))));
      continue;
    }
    const Measurement unchecked = added_by(peer, shape, false);
    EXPECT_TRUE(is_correct(unchecked.outcome)) << unchecked.error;
    EXPECT_EQ(added_by(peer, shape, true).outcome, Outcome::kWrongResult) << "it wrote something";
  }
}

TEST(FfiLibraries, AreCalledAndChecked) {
  const Measurement m = added_by_ffi({1000});
  EXPECT_TRUE(is_correct(m.outcome)) << m.error; // a busy machine may disturb it
}

TEST(FfiLibraries, WhatTheyRefuseIsSaid) {
  const Measurement m = added_by_ffi({10, 100});
  EXPECT_FALSE(is_correct(m.outcome));
  EXPECT_THAT(m.error, ::testing::HasSubstr("TypeError: these are not three vectors"));
}

TEST(FfiLibraries, TakeTheSameMemoryInShapesOfTheirOwn) {
  const auto peer = [](std::vector<std::vector<int64_t>> shapes) {
    return ffi_peer("theirs", TEMPER_TEST_FFI, "main", three({10, 100}, DataType::float32()),
                    shapes);
  };
  const Measurement m = added_by(peer({{1000}, {1000}, {1000}}), {10, 100});
  EXPECT_TRUE(is_correct(m.outcome)) << m.error;
  const auto short_one = peer({{1000}, {999}, {1000}});
  ASSERT_FALSE(short_one);
  EXPECT_THAT(short_one.error().message,
              ::testing::HasSubstr("shape 999 of 'B' has 999 elements, the kernel's has 1000"));
  const auto two = peer({{1000}, {1000}});
  ASSERT_FALSE(two);
  EXPECT_THAT(two.error().message, ::testing::HasSubstr("2 shapes are given"));
}

TEST(FfiLibraries, AFunctionThatIsNotThereIsNamed) {
  EXPECT_THAT(added_by_ffi({1000}, "mian").error, ::testing::HasSubstr("__tvm_ffi_mian"));
}

TEST(FfiLibraries, ALibraryThatIsNotThereIsNamed) {
  const auto peer = ffi_peer("theirs", "/nowhere/lib.so", "main", {});
  ASSERT_FALSE(peer);
  EXPECT_THAT(peer.error().message, ::testing::HasSubstr("/nowhere/lib.so"));
}

TEST(CFunctions, AreCalledWithEveryKindOfArgument) {
  using Kind = CArgument::Kind;
  const std::vector<CArgument> arguments = {{Kind::kInt32, 0, 0, 0},   {Kind::kBuffer, 0, 0, 0},
                                            {Kind::kFloat32, 0, 0, 1}, {Kind::kBuffer, 1, 0, 0},
                                            {Kind::kFloat64, 0, 0, 0}, {Kind::kBuffer, 2, 0, 0},
                                            {Kind::kInt64, 0, 1000, 0}};
  const auto signature = three({1000}, DataType::float32());
  const auto peer = c_peer(TEMPER_TEST_FFI, "plain_add", arguments, signature);
  const Measurement m = added_by(peer, {1000});
  EXPECT_TRUE(is_correct(m.outcome)) << m.error;
  std::vector<CArgument> fewer = arguments;
  fewer.back().integer = 999;
  EXPECT_EQ(added_by(c_peer(TEMPER_TEST_FFI, "plain_add", fewer, signature), {1000}).outcome,
            Outcome::kWrongResult);
  EXPECT_THAT(added_by(c_peer(TEMPER_TEST_FFI, "plain_ad", arguments, signature), {1000}).error,
              ::testing::HasSubstr("no function plain_ad"));
}

TEST(CFunctions, OfALibraryThatIsNotThereOrHasNoneAreRefused) {
  const auto nowhere = c_peer("/nowhere/lib.so", "f", {}, {});
  ASSERT_FALSE(nowhere);
  EXPECT_THAT(nowhere.error().message, ::testing::HasSubstr("no library '/nowhere/lib.so'"));
  const auto onednn = c_peer("onednn", "matmul", {}, {});
  ASSERT_FALSE(onednn);
  EXPECT_THAT(onednn.error().message, ::testing::HasSubstr("named without types"));
}

TEST(PeerLibraries, AnUnknownOneNamesTheKnownOnes) {
  const auto peer = peer_artifact("atlas", "sgemm", {}, {});
  ASSERT_FALSE(peer);
  EXPECT_THAT(peer.error().message,
              ::testing::AllOf(::testing::HasSubstr("atlas"), ::testing::HasSubstr("openblas")));
}

TEST(PeerLibraries, BlasStandsForThoseThatAreHere) {
  const std::vector<std::string> here = peer_libraries();
  for (const std::string& library : libraries_of("blas"))
    EXPECT_TRUE(std::find(here.begin(), here.end(), library) != here.end() || here.size() < 2)
        << library;
  EXPECT_EQ(libraries_of("onednn"), std::vector<std::string>{"onednn"});
}

TEST(PeerLibraries, ALibraryThatIsNotHereSaysHowToGetIt) {
  const char* const before = ::getenv("TEMPER_MKL");
  const std::string kept = before != nullptr ? before : "";
  ::setenv("TEMPER_MKL", "/nowhere/libmkl_rt.so", 1);
  const auto peer = peer_artifact("mkl", "sgemm", {}, {});
  if (before != nullptr)
    ::setenv("TEMPER_MKL", kept.c_str(), 1);
  else
    ::unsetenv("TEMPER_MKL");
  ASSERT_FALSE(peer);
  EXPECT_THAT(peer.error().message, ::testing::HasSubstr("Python package mkl"));
}

} // namespace
} // namespace temper::engine
