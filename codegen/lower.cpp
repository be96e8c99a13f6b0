#include "codegen/lower_for_estimate.h"

#include "ir/pass/pipeline_loops.h"
#include "ir/pass/pipelines.h"
#include "ir/s_tir/layer.h"
#include "ir/s_tir/lower.h"
#include "ir/s_tir/packs.h"
#include "ir/s_tir/tensor_intrinsic.h"
#include "ir/tir/dispatch.h"

#include <vector>

namespace temper::codegen {

using namespace ir; // NOLINT

namespace {

std::vector<Pass> passes_for(const IRModule& module, const LowerOptions& options, bool folded) {
  std::vector<Pass> passes{function_pass(
      "size_parameters", [](const PrimFunc& f) -> Result<PrimFunc> { return size_parameters(f); })};
  bool tiles = false;
  for (const ModuleEntry& entry : module->functions)
    if (const auto function = entry.function.as_ref<PrimFuncNode>())
      tiles |= tir::is_tile_program(function);
  if (tiles)
    for (Pass& pass : tile_passes(options))
      passes.push_back(std::move(pass));
  passes.push_back({"split_packs", s_tir::split_packs});
  passes.push_back(function_pass("lower_blocks", [&options](const PrimFunc& f) -> Result<PrimFunc> {
    const bool instructions = options.features.has_value() && !options.plain;
    if (instructions)
      TEMPER_TRY_VOID(s_tir::check_tensor_intrinsics(f, *options.features));
    return s_tir::lower_blocks(f, instructions);
  }));
  if (!options.plain)
    passes.push_back(function_pass("pipeline_loops", pipeline_loops));
  for (const LoweringPass& pass : cpu_passes())
    if (pass.needed || !options.plain)
      passes.push_back(
          function_pass(pass.name,
                        [run = folded && pass.folded != nullptr ? pass.folded : pass.run, &options](
                            const PrimFunc& f) -> Result<PrimFunc> { return run(f, options); }));
  return passes;
}

template <typename F> Result<void> for_each_function(const IRModule& module, F&& check) {
  for (const ModuleEntry& entry : module->functions)
    if (const auto function = entry.function.as_ref<PrimFuncNode>())
      TEMPER_TRY_VOID(check(function));
  return {};
}

} // namespace

std::vector<Pass> tile_passes(const LowerOptions& options) {
  std::vector<Pass> passes;
  for (const tir::TileStep& step : tir::tile_steps())
    passes.push_back(function_pass(
        step.name, [run = step.run, &options](const PrimFunc& f) { return run(f, options); }));
  return passes;
}

Result<IRModule> lower_for_cpu(const IRModule& module, const LowerOptions& options) {
  return lower_for_cpu(module, options, with_environment({}));
}

Result<IRModule> lower_for_cpu(const IRModule& module, const LowerOptions& options,
                               const PassOptions& pass_options) {
  s_tir::register_layer();
  TEMPER_TRY_VOID(for_each_function(module, check_lowerable));
  TEMPER_TRY(lowered, run_passes(module, passes_for(module, options, false), pass_options));
  if (options.verify) {
    TEMPER_TRY_VOID(for_each_function(
        lowered, [&](const PrimFunc& function) { return verify_lowered(function, options); }));
  }
  return lowered;
}

Result<IRModule> lower_for_estimate(const IRModule& module, const LowerOptions& options) {
  s_tir::register_layer();
  TEMPER_TRY_VOID(for_each_function(module, check_lowerable));
  return run_passes(module, passes_for(module, options, true), with_environment({}));
}

} // namespace temper::codegen
