// Every tile workload of the source tree, on a small shape: the program, what its lowering makes of
// it, and programs of random knobs compute what the reference computes; all print and parse back.
#include "codegen/lower.h"
#include "ir/interpret.h"
#include "ir/narrow.h"
#include "ir/s_tir/layer.h"
#include "ir/script/knobs.h"
#include "ir/script/parser.h"
#include "ir/script/printer.h"
#include "ir/structural.h"
#include "ir/support/half.h"
#include "ir/support/random.h"
#include "ir/verify.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <functional>
#include <set>

namespace temper::tir {

using namespace temper::ir; // NOLINT
namespace {

struct Case {
  const char* name; ///< of the file and of its function
  std::map<std::string, std::string> shape;
};

const Case kCases[] = {
    {"matmul_tile", {{"M", "40"}, {"N", "72"}, {"K", "70"}}},
    {"gemm_fp16", {{"M", "20"}, {"N", "40"}, {"K", "70"}}},
    {"gemm_fp16", {{"M", "20"}, {"N", "40"}, {"K", "70"}, {"transpose_B", "1"}}},
    {"matmul_epilogue_tile", {{"M", "40"}, {"N", "70"}, {"K", "50"}}},
    {"matmul_epilogue_tile",
     {{"M", "40"}, {"N", "70"}, {"K", "50"}, {"epilogue", "scale_residual"}}},
    {"matmul_epilogue_tile", {{"M", "20"}, {"N", "70"}, {"K", "50"}, {"epilogue", "bias_silu"}}},
    {"matmul_epilogue_tile", {{"M", "20"}, {"N", "70"}, {"K", "50"}, {"epilogue", "bias_relu"}}},
    {"gemv_splitk_tile", {{"N", "16"}, {"K", "4096"}}},
    {"gemv_int4", {{"N", "32"}, {"K", "256"}}},
    {"gemv_int2_lut", {{"N", "1024"}, {"K", "1024"}, {"rows", "128"}}},
    {"stream_k_tile", {{"M", "70"}, {"N", "50"}, {"K", "90"}}},
    {"flash_attention", {{"seq", "70"}, {"heads", "2"}, {"dim", "16"}}},
    {"flash_attention",
     {{"seq", "70"}, {"heads", "4"}, {"dim", "16"}, {"groups", "2"}, {"causal", "1"}}},
    {"flash_attention_fp16", {{"seq", "70"}, {"heads", "2"}, {"dim", "16"}, {"dtype", "float16"}}},
    {"flash_attention_fp16",
     {{"seq", "70"},
      {"heads", "4"},
      {"dim", "16"},
      {"groups", "2"},
      {"causal", "1"},
      {"dtype", "float16"}}},
    {"gemm_persistent",
     {{"M", "20"}, {"N", "40"}, {"K", "70"}, {"multiprocessors", "3"}, {"dtype", "float16"}}},
    {"gemm_persistent",
     {{"M", "20"}, {"N", "40"}, {"K", "70"}, {"multiprocessors", "3"}, {"dtype", "int8"}}},
    {"gemm_stream_k",
     {{"M", "20"}, {"N", "300"}, {"K", "100"}, {"multiprocessors", "5"}, {"dtype", "float16"}}},
    {"flash_attention_varlen_tile",
     {{"batch", "3"}, {"longest", "40"}, {"heads", "2"}, {"dim", "16"}}},
    {"flash_attention_varlen_tile",
     {{"batch", "2"},
      {"longest", "50"},
      {"heads", "2"},
      {"dim", "16"},
      {"groups", "2"},
      {"causal", "1"}}},
    {"flash_decoding_tile", {{"batch", "1"}, {"heads", "4"}, {"seq", "256"}, {"dim", "16"}}},
    {"mla_decode_tile",
     {{"batch", "1"}, {"heads", "16"}, {"seq", "128"}, {"dim", "32"}, {"pe_dim", "16"}}},
    {"dequantize_gemm_tile", {{"M", "20"}, {"N", "70"}, {"K", "128"}}},
    {"dequantize_gemm_tile", {{"M", "20"}, {"N", "70"}, {"K", "128"}, {"format", "fp4"}}},
    {"dequantize_swiglu_tile", {{"M", "20"}, {"N", "40"}, {"K", "128"}}},
    {"grouped_gemm_tile", {{"experts", "3"}, {"room", "20"}, {"N", "40"}, {"K", "50"}}},
    {"rms_norm_tile", {{"M", "6"}, {"N", "64"}}},
    {"layer_norm_tile", {{"M", "6"}, {"N", "64"}}},
    {"softmax_tile", {{"M", "6"}, {"N", "64"}}},
    {"conv2d_tile",
     {{"N", "1"},
      {"H", "7"},
      {"W", "6"},
      {"CI", "5"},
      {"CO", "9"},
      {"R", "3"},
      {"S", "3"},
      {"stride", "2"},
      {"pad", "1"}}},
    {"topk_tile", {{"M", "5"}, {"N", "40"}, {"k", "3"}}},
    {"selective_scan_tile",
     {{"batch", "2"}, {"length", "64"}, {"channels", "128"}, {"state", "8"}}},
};

using Bytes = std::vector<std::vector<std::byte>>;

/// One number of "int(a, b)" or "uniform(a, b)"; small integers, whose sums are exact, otherwise.
double draw(const std::string& distribution, Random& random) {
  double low = -4;
  double high = 4;
  if (std::sscanf(distribution.c_str(), "int(%lf, %lf)", &low, &high) == 2)
    return std::floor(low +
                      static_cast<double>(random.below(static_cast<int64_t>(high - low) + 1)));
  if (std::sscanf(distribution.c_str(), "uniform(%lf, %lf)", &low, &high) == 2)
    return low + (high - low) * static_cast<double>(random.below(1001)) / 1000.0;
  return static_cast<double>(random.below(9)) - 4;
}

void put(std::vector<std::byte>& bytes, size_t at, DataType dtype, double value) {
  const auto write = [&](auto typed) {
    std::memcpy(&bytes[at * sizeof typed], &typed, sizeof typed);
  };
  if (dtype == DataType::float32())
    write(static_cast<float>(value));
  else if (dtype == DataType::float64())
    write(value);
  else if (dtype == DataType::floating(16))
    write(float_to_float16(static_cast<float>(value)));
  else if (dtype == DataType::bfloat16())
    write(float_to_bfloat16(static_cast<float>(value)));
  else if (dtype == DataType::int32())
    write(static_cast<int32_t>(value));
  else if (dtype == DataType::integer(8))
    write(static_cast<int8_t>(value));
  else if (dtype == DataType::uint(8))
    write(static_cast<uint8_t>(value));
  else
    FAIL() << "this test does not fill " << to_string(dtype);
}
double get(const std::vector<std::byte>& bytes, size_t at, DataType dtype) {
  const auto read = [&](auto typed) {
    std::memcpy(&typed, &bytes[at * sizeof typed], sizeof typed);
    return static_cast<double>(typed);
  };
  if (dtype.is_floating() && dtype.bits == 16) {
    uint16_t bits;
    std::memcpy(&bits, &bytes[at * sizeof bits], sizeof bits);
    return dtype == DataType::floating(16) ? float16_to_float(bits) : bfloat16_to_float(bits);
  }
  return dtype == DataType::float32()    ? read(float{})
         : dtype == DataType::float64()  ? read(double{})
         : dtype == DataType::int32()    ? read(int32_t{})
         : dtype == DataType::integer(8) ? read(int8_t{})
                                         : read(uint8_t{});
}

PrimFunc function_of(const IRModule& module) {
  return module->functions.front().function.as_ref<PrimFuncNode>();
}

/// The value of element `e` of `buffer`.
using Draw = std::function<double(const Buffer& buffer, size_t e, Random& random)>;

/// By the distributions that the workload names.
Draw as_named(const script::Workload& workload) {
  return [inputs = workload.inputs](const Buffer& buffer, size_t, Random& random) {
    const auto distribution = inputs.find(buffer->name);
    return draw(is_packed(buffer->dtype)       ? "int(0, 255)"
                : distribution != inputs.end() ? distribution->second
                                               : "",
                random);
  };
}

/// What the written parameters hold after a run on inputs that `draw_element` gives to the
/// parameters of `plan`, the workload's program.
Result<std::vector<std::vector<double>>> run(const PrimFunc& function, const PrimFunc& plan,
                                             const Draw& draw_element, ParallelOrder order) {
  s_tir::register_layer();
  Random random(5);
  const std::vector<bool> written = written_parameters(plan);
  Bytes memory;
  memory.reserve(plan->params.size());
  std::vector<InterpretArgument> arguments;
  for (size_t i = 0; i < plan->params.size(); ++i) {
    const Buffer buffer = storage_buffer(plan->params[i].buffer);
    const auto count = static_cast<size_t>(*buffer->element_count());
    memory.emplace_back(count * static_cast<size_t>(buffer->dtype.bytes()));
    for (size_t e = 0; e < count; ++e)
      put(memory.back(), e, buffer->dtype, draw_element(plan->params[i].buffer, e, random));
    arguments.emplace_back(ArrayView{
        buffer->dtype, memory.back().data(), static_cast<int64_t>(count), {}, !written[i]});
  }
  InterpretOptions options;
  options.parallel_order = order;
  TEMPER_TRY_VOID(interpret(function, arguments, options));
  std::vector<std::vector<double>> outputs;
  for (size_t i = 0; i < memory.size(); ++i)
    if (written[i]) {
      const Buffer& buffer = plan->params[i].buffer;
      auto& values = outputs.emplace_back();
      for (size_t e = 0; e < memory[i].size() / static_cast<size_t>(buffer->dtype.bytes()); ++e)
        values.push_back(get(memory[i], e, buffer->dtype));
    }
  return outputs;
}

/// Relative to an element and 1: two roundings of the outputs' type, or what float32 sums lose.
double tolerance_of(const PrimFunc& plan) {
  const std::vector<bool> written = written_parameters(plan);
  for (size_t i = 0; i < plan->params.size(); ++i)
    if (const DataType dtype = plan->params[i].buffer->dtype;
        written[i] && dtype.is_floating() && dtype.bits == 16)
      return dtype == DataType::bfloat16() ? 1.6e-2 : 2e-3;
  return 2e-4;
}

void expect_near(const std::vector<std::vector<double>>& expected,
                 const Result<std::vector<std::vector<double>>>& got, double tolerance,
                 const std::string& what) {
  ASSERT_TRUE(got) << what << ": " << got.error().to_string();
  ASSERT_EQ(expected.size(), got->size());
  for (size_t i = 0; i < expected.size(); ++i)
    for (size_t e = 0; e < expected[i].size(); ++e)
      ASSERT_NEAR(expected[i][e], (*got)[i][e], tolerance * (1 + std::fabs(expected[i][e])))
          << what << ": output " << i << " element " << e;
}

class TileWorkloads : public ::testing::TestWithParam<Case> {};

TEST_P(TileWorkloads, ComputeWhatTheirReferencesComputeForEveryChoiceOfKnobs) {
  const Case& one = GetParam();
  const auto file =
      script::WorkloadFile::read(std::string(TEMPER_SOURCE_DIR) + "/workloads/" + one.name + ".py");
  ASSERT_TRUE(file) << file.error().to_string();
  const auto workload = file->instantiate(one.name, one.shape);
  ASSERT_TRUE(workload) << workload.error().to_string();
  const PrimFunc program = function_of(workload->module);
  const auto expected =
      run(function_of(workload->reference), program, as_named(*workload), ParallelOrder::kForward);
  ASSERT_TRUE(expected) << expected.error().to_string();
  const double tolerance = tolerance_of(program);

  std::vector<IRModule> programs{make_module(workload->module->functions)};
  if (script::has_knobs(workload->module)) {
    const auto knobs = script::KnobProgram::of(workload->module);
    ASSERT_TRUE(knobs) << knobs.error().to_string();
    Random random(3);
    for (int tries = 0; tries < 40 && programs.size() < 3; ++tries) {
      std::vector<size_t> choices;
      for (const script::Knob& knob : knobs->knobs())
        choices.push_back(
            static_cast<size_t>(random.below(static_cast<int64_t>(knob.choices.size()))));
      const auto module = knobs->instantiate(choices);
      if (module)
        programs.push_back(*module);
      else
        EXPECT_EQ(module.error().code, ErrorCode::kIllegal) << module.error().to_string();
    }
  }
  for (const IRModule& module : programs) {
    const std::string text = script::to_text(module);
    SCOPED_TRACE(text);
    const auto again = script::parse_module(text);
    ASSERT_TRUE(again) << again.error().to_string();
    std::string difference;
    EXPECT_TRUE(structural_equal(module, *again, &difference)) << difference;
    const auto good = verify(module);
    ASSERT_TRUE(good) << good.error().to_string();
    expect_near(*expected,
                run(function_of(module), program, as_named(*workload), ParallelOrder::kReverse),
                tolerance, "meaning");
    const auto lowered = codegen::lower_for_cpu(module, {});
    ASSERT_TRUE(lowered) << lowered.error().to_string();
    expect_near(*expected,
                run(function_of(*lowered), program, as_named(*workload), ParallelOrder::kReverse),
                tolerance, "lowered");
    if (HasFatalFailure())
      return;
  }
}

INSTANTIATE_TEST_SUITE_P(SourceTree, TileWorkloads, ::testing::ValuesIn(kCases),
                         [](const ::testing::TestParamInfo<Case>& info) {
                           return std::string(info.param.name) + "_" + std::to_string(info.index);
                         });

/// Attention where scores lie far from 0: queries of one component, so that a score is one product,
/// whose rounding is the same for equal keys.
const Case kAttention[] = {
    {"flash_attention", {{"seq", "70"}, {"heads", "2"}, {"dim", "16"}, {"rows", "queries"}}},
    {"flash_attention", {{"seq", "70"}, {"heads", "2"}, {"dim", "16"}, {"rows", "keys"}}},
    {"flash_attention",
     {{"seq", "70"}, {"heads", "2"}, {"dim", "16"}, {"rows", "queries"}, {"causal", "1"}}},
    {"flash_attention",
     {{"seq", "70"}, {"heads", "2"}, {"dim", "16"}, {"rows", "keys"}, {"causal", "1"}}},
    {"flash_attention_fp16", {{"seq", "70"}, {"heads", "2"}, {"dim", "16"}}},
    {"flash_attention_fp16", {{"seq", "70"}, {"heads", "2"}, {"dim", "16"}, {"causal", "1"}}},
    {"flash_attention_varlen_tile",
     {{"batch", "3"}, {"longest", "40"}, {"heads", "2"}, {"dim", "16"}}},
    {"flash_decoding_tile", {{"batch", "1"}, {"heads", "4"}, {"seq", "256"}, {"dim", "16"}}},
    {"mla_decode_tile",
     {{"batch", "1"}, {"heads", "16"}, {"seq", "128"}, {"dim", "32"}, {"pe_dim", "16"}}},
    {"attention", {{"B", "1"}, {"HEADS", "2"}, {"L", "40"}, {"D", "16"}}},
};

enum class Scores : uint8_t { kFarBelow, kFarAbove, kFirstOverflow };

Draw far_from_zero(const script::Workload& workload, Scores scores) {
  return [scores, named = as_named(workload)](const Buffer& buffer, size_t e, Random& random) {
    const auto component = static_cast<size_t>(*as_int(buffer->shape.back()));
    if (buffer->name.starts_with("Q"))
      return e % component == 0 ? 0x1p60 * static_cast<double>(1 + random.below(2)) : 0.0;
    if (!buffer->name.starts_with("K"))
      return named(buffer, e, random);
    const double key = 0x1p50 * static_cast<double>(1 + random.below(4));
    if (scores == Scores::kFarAbove)
      return key;
    // Infinite scores of whole blocks of keys, before the first finite one.
    const size_t count = static_cast<size_t>(*as_int(buffer->shape[buffer->shape.size() - 2]));
    const bool overflows = scores == Scores::kFirstOverflow && e / component % count < count / 2;
    return overflows ? -0x1p100 : -key;
  };
}

class FarScores : public ::testing::TestWithParam<Case> {};

TEST_P(FarScores, GiveWhatTheReferenceGives) {
  const Case& one = GetParam();
  const auto file =
      script::WorkloadFile::read(std::string(TEMPER_SOURCE_DIR) + "/workloads/" + one.name + ".py");
  ASSERT_TRUE(file) << file.error().to_string();
  const auto workload = file->instantiate(one.name, one.shape);
  ASSERT_TRUE(workload) << workload.error().to_string();
  const PrimFunc program = function_of(workload->module);
  const auto lowered = codegen::lower_for_cpu(workload->module, {});
  ASSERT_TRUE(lowered) << lowered.error().to_string();
  for (const Scores scores : {Scores::kFarBelow, Scores::kFarAbove, Scores::kFirstOverflow}) {
    // The first queries of a causal one see no other keys; sequences end before; values are keys.
    if (scores == Scores::kFirstOverflow &&
        (one.shape.contains("causal") || one.shape.contains("longest") ||
         one.shape.contains("pe_dim")))
      continue;
    SCOPED_TRACE(static_cast<int>(scores));
    const Draw inputs = far_from_zero(*workload, scores);
    const PrimFunc plain = workload->reference ? function_of(workload->reference) : program;
    const auto expected = run(plain, program, inputs, ParallelOrder::kForward);
    ASSERT_TRUE(expected) << expected.error().to_string();
    for (const std::vector<double>& values : *expected)
      for (const double value : values)
        ASSERT_TRUE(std::isfinite(value));
    const double tolerance = tolerance_of(program);
    expect_near(*expected, run(program, program, inputs, ParallelOrder::kReverse), tolerance,
                "meaning");
    expect_near(*expected, run(function_of(*lowered), program, inputs, ParallelOrder::kReverse),
                tolerance, "lowered");
  }
}

INSTANTIATE_TEST_SUITE_P(SourceTree, FarScores, ::testing::ValuesIn(kAttention),
                         [](const ::testing::TestParamInfo<Case>& info) {
                           return std::string(info.param.name) + "_" + std::to_string(info.index);
                         });

TEST(TileWorkloadCases, EveryTileWorkloadOfTheSourceTreeIsAmongThem) {
  std::set<std::string> known;
  for (const Case& one : kCases)
    known.insert(one.name);
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(TEMPER_SOURCE_DIR) + "/workloads")) {
    if (entry.path().extension() != ".py")
      continue;
    const auto file = script::WorkloadFile::read(entry.path());
    ASSERT_TRUE(file) << file.error().to_string();
    for (const script::WorkloadInfo& info : file->workloads())
      EXPECT_TRUE(known.contains(info.name) || info.layer != "tir")
          << "give " << info.name << " a shape";
  }
}

} // namespace
} // namespace temper::tir
