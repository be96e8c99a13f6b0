#include "codegen/lower.h"

#include "ir/pass/pipelines.h"
#include "ir/s_tir/lower.h"

namespace temper::codegen {

using namespace ir; // NOLINT

Result<IRModule> lower_for_cpu(const IRModule& module, const LowerOptions& options) {
  std::vector<ModuleEntry> functions;
  for (const ModuleEntry& entry : module->functions) {
    auto function = entry.function.as_ref<PrimFuncNode>();
    if (!function) {
      functions.push_back(entry);
      continue;
    }
    TEMPER_TRY_VOID(check_lowerable(function));
    function = s_tir::lower_blocks(function);
    for (const LoweringPass& pass : cpu_passes())
      if (pass.needed || !options.plain)
        function = pass.run(function, options);
    TEMPER_TRY_VOID(verify_lowered(function, options));
    functions.push_back({entry.name, function});
  }
  return make_module(std::move(functions), module->attrs);
}

} // namespace temper::codegen
