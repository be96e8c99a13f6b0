/// Does a lowering keep the meaning? Runs functions in the interpreter on small integers (whose
/// sums are exact, in any order) and compares what they write.
#pragma once

#include "codegen/lower.h"
#include "ir/interpret.h"
#include "ir/pass/pipelines.h"
#include "ir/s_tir/layer.h"
#include "ir/s_tir/lower.h"
#include "ir/s_tir/packs.h"
#include "ir/script/parser.h"
#include "ir/script/printer.h"
#include "ir/structural.h"
#include "ir/support/half.h"
#include "ir/support/random.h"
#include "ir/verify.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <gtest/gtest.h>

namespace temper::ir::testing {

inline PrimFunc parse(const std::string& text) {
  auto function = script::parse_prim_func(text);
  EXPECT_TRUE(function) << function.error().to_string();
  return function ? *function : nullptr;
}

/// The function's body is that of the text; names do not count.
inline void expect_text(const PrimFunc& result, const std::string& expected) {
  const PrimFunc wanted = parse(expected);
  ASSERT_TRUE(wanted);
  std::string difference;
  EXPECT_TRUE(structural_equal(result->body, wanted->body, &difference) ||
              structural_equal_free(result->body, wanted->body))
      << difference << "\ngot:\n"
      << script::to_text(result);
}

/// Bytes of each parameter after a run.
using Memory = std::vector<std::vector<double>>;

template <typename T> void fill(std::vector<T>& values, Random& random) {
  for (T& value : values)
    value = static_cast<T>(static_cast<int64_t>(random() % 9) - 4);
}

/// The functions of a module that pack operands ahead of its kernel.
inline std::vector<PrimFunc> packs_of(const IRModule& module) {
  std::vector<PrimFunc> packs;
  for (const ModuleEntry& entry : module->functions)
    if (const auto function = entry.function.as_ref<PrimFuncNode>();
        function && s_tir::packed_parameter(function))
      packs.push_back(function);
  return packs;
}

/// What `execute` makes of the function's arguments: the same inputs for the same seed, whatever
/// the shapes of the parameters. Operands that `packs` pack are filled plain, and packed by these.
inline Result<Memory> run_by(const PrimFunc& function, uint64_t seed, ParallelOrder order,
                             const std::vector<PrimFunc>& packs,
                             const std::function<Result<void>(const std::vector<InterpretArgument>&,
                                                              const InterpretOptions&)>& execute) {
  s_tir::register_layer();
  Random random(seed);
  const std::vector<bool> written = written_parameters(function);
  std::vector<InterpretArgument> arguments;
  std::vector<std::vector<float>> f32;
  std::vector<std::vector<double>> f64;
  std::vector<std::vector<int32_t>> i32;
  std::vector<std::vector<int8_t>> i8;
  std::vector<std::vector<uint16_t>> halves;
  halves.reserve(function->params.size());
  i8.reserve(2 * function->params.size());
  f32.reserve(2 * function->params.size());
  f64.reserve(2 * function->params.size());
  i32.reserve(2 * function->params.size());
  InterpretOptions options;
  options.parallel_order = order;
  std::vector<std::function<std::vector<double>()>> read;
  for (size_t i = 0; i < function->params.size(); ++i) {
    const auto pack = std::find_if(packs.begin(), packs.end(), [&](const PrimFunc& other) {
      return s_tir::packed_parameter(other) == i;
    });
    const Buffer& taken = function->params[i].buffer;
    const Buffer& buffer = pack == packs.end() ? taken : (*pack)->params[0].buffer;
    const auto count = static_cast<size_t>(*buffer->element_count());
    Result<void> packed = {};
    const auto add = [&](auto& arrays, auto zero) {
      arrays.emplace_back(count, zero);
      auto& array = arrays.back();
      fill(array, random);
      if (pack != packs.end()) {
        arrays.emplace_back(static_cast<size_t>(*taken->element_count()), zero);
        const std::vector<InterpretArgument> both{input(array), output(arrays.back())};
        packed = interpret(*pack, both, options);
        arguments.push_back(input(arrays.back()));
      } else {
        arguments.push_back(written[i] ? output(array) : input(array));
      }
      read.push_back([&array] { return std::vector<double>(array.begin(), array.end()); });
    };
    const auto add_halves = [&](uint16_t (*narrow)(float), float (*wide)(uint16_t)) {
      std::vector<float> values(count);
      fill(values, random);
      std::vector<uint16_t>& array = halves.emplace_back(count);
      std::transform(values.begin(), values.end(), array.begin(), narrow);
      arguments.emplace_back(
          ArrayView{buffer->dtype, array.data(), static_cast<int64_t>(count), {}, !written[i]});
      read.push_back([&array, wide] {
        std::vector<double> result(array.size());
        std::transform(array.begin(), array.end(), result.begin(), wide);
        return result;
      });
    };
    if (buffer->dtype == DataType::floating(16) && packs.empty())
      add_halves(float_to_float16, float16_to_float);
    else if (buffer->dtype == DataType::bfloat16() && packs.empty())
      add_halves(float_to_bfloat16, bfloat16_to_float);
    else if (buffer->dtype == DataType::integer(8))
      add(i8, int8_t{0});
    else if (buffer->dtype == DataType::float32())
      add(f32, 0.0F);
    else if (buffer->dtype == DataType::float64())
      add(f64, 0.0);
    else if (buffer->dtype == DataType::int32())
      add(i32, int32_t{0});
    else
      return Error{ErrorCode::kUnsupported, "a type that this test does not fill"};
    TEMPER_TRY_VOID(packed);
  }
  TEMPER_TRY_VOID(execute(arguments, options));
  Memory result;
  for (size_t i = 0; i < read.size(); ++i)
    if (written[i])
      result.push_back(read[i]());
  return result;
}

/// In the interpreter.
inline Result<Memory> run(const PrimFunc& function, uint64_t seed = 1,
                          ParallelOrder order = ParallelOrder::kForward,
                          const std::vector<PrimFunc>& packs = {}) {
  return run_by(
      function, seed, order, packs,
      [&](const std::vector<InterpretArgument>& arguments, const InterpretOptions& options) {
        return interpret(function, arguments, options);
      });
}

inline ::testing::AssertionResult same(const Memory& a, const Memory& b, double tolerance = 1e-5) {
  if (a.size() != b.size())
    return ::testing::AssertionFailure() << "different numbers of outputs";
  for (size_t i = 0; i < a.size(); ++i)
    for (size_t j = 0; j < a[i].size(); ++j)
      if (!(std::fabs(a[i][j] - b[i][j]) <= tolerance * (1 + std::fabs(a[i][j]))))
        return ::testing::AssertionFailure()
               << "output " << i << " element " << j << ": " << a[i][j] << " against " << b[i][j];
  return ::testing::AssertionSuccess();
}

/// Runs `function` before and after every step of lowering: results are the same, the text parses
/// back, and the end is what the emitter expects. Returns the lowered function.
inline PrimFunc lower_step_by_step(const PrimFunc& function, const LowerOptions& options = {}) {
  const auto expected = run(function);
  EXPECT_TRUE(expected) << expected.error().to_string() << "\n" << script::to_text(function);
  if (!expected)
    return nullptr;
  PrimFunc current = function;
  const auto step = [&](const char* name, const PrimFunc& next) {
    if (next == current)
      return true;
    const auto result = run(next, 1, ParallelOrder::kReverse);
    const bool right = result && same(*expected, *result);
    EXPECT_TRUE(right) << "after " << name << ": "
                       << (result ? same(*expected, *result).message()
                                  : result.error().to_string().c_str())
                       << "\nbefore:\n"
                       << script::to_text(current) << "\nafter:\n"
                       << script::to_text(next);
    const auto again = script::parse_prim_func(script::to_text(next));
    EXPECT_TRUE(again) << "after " << name << ": " << again.error().to_string() << "\n"
                       << script::to_text(next);
    std::string difference;
    if (again) {
      EXPECT_TRUE(structural_equal(next, *again, &difference))
          << "after " << name << ": " << difference << "\n"
          << script::to_text(next);
    }
    const auto well_formed = verify(next);
    EXPECT_TRUE(well_formed) << "after " << name << ": " << well_formed.error().to_string() << "\n"
                             << script::to_text(next);
    current = next;
    return right && again;
  };
  if (current->s_tir && (!step("lower_init", s_tir::lower_init(current)) ||
                         !step("convert_blocks", s_tir::convert_blocks(current))))
    return nullptr;
  for (const LoweringPass& pass : cpu_passes())
    if ((pass.needed || !options.plain) && !step(pass.name, pass.run(current, options)))
      return nullptr;
  const auto verified = verify_lowered(current, options);
  EXPECT_TRUE(verified) << verified.error().to_string() << "\n" << script::to_text(current);
  return current;
}

} // namespace temper::ir::testing
