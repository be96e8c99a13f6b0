#include "codegen/lower.h"

#include "ir/pass/pipelines.h"
#include "ir/s_tir/layer.h"
#include "ir/s_tir/lower.h"
#include "ir/s_tir/packs.h"
#include "ir/s_tir/tensor_intrinsic.h"

#include <vector>

namespace temper::codegen {

using namespace ir; // NOLINT

namespace {

std::vector<Pass> passes_for(const LowerOptions& options) {
  std::vector<Pass> passes;
  passes.push_back({"split_packs", s_tir::split_packs});
  passes.push_back(function_pass("lower_blocks", [&options](const PrimFunc& f) -> Result<PrimFunc> {
    const bool instructions = options.features.has_value() && !options.plain;
    if (instructions)
      TEMPER_TRY_VOID(s_tir::check_tensor_intrinsics(f, *options.features));
    return s_tir::lower_blocks(f, instructions);
  }));
  for (const LoweringPass& pass : cpu_passes())
    if (pass.needed || !options.plain)
      passes.push_back(
          function_pass(pass.name, [&pass, &options](const PrimFunc& f) -> Result<PrimFunc> {
            return pass.run(f, options);
          }));
  return passes;
}

template <typename F> Result<void> for_each_function(const IRModule& module, F&& check) {
  for (const ModuleEntry& entry : module->functions)
    if (const auto function = entry.function.as_ref<PrimFuncNode>())
      TEMPER_TRY_VOID(check(function));
  return {};
}

} // namespace

Result<IRModule> lower_for_cpu(const IRModule& module, const LowerOptions& options) {
  return lower_for_cpu(module, options, with_environment({}));
}

Result<IRModule> lower_for_cpu(const IRModule& module, const LowerOptions& options,
                               const PassOptions& pass_options) {
  s_tir::register_layer();
  TEMPER_TRY_VOID(for_each_function(module, check_lowerable));
  TEMPER_TRY(lowered, run_passes(module, passes_for(options), pass_options));
  if (options.verify) {
    TEMPER_TRY_VOID(for_each_function(
        lowered, [&](const PrimFunc& function) { return verify_lowered(function, options); }));
  }
  return lowered;
}

} // namespace temper::codegen
