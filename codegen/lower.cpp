#include "codegen/lower.h"

#include "ir/pass/pipelines.h"
#include "ir/s_tir/lower.h"
#include "ir/verify.h"

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
    for (const LoweringPass& pass : cpu_passes()) {
      if (options.plain && !pass.needed)
        continue;
      function = pass.run(function, options);
#ifndef NDEBUG
      if (auto well_formed = verify(function); !well_formed)
        return std::move(well_formed.error())
            .with_note(std::string("after pass ") + pass.name + " of " + entry.name);
#endif
    }
    TEMPER_TRY_VOID(verify_lowered(function, options));
    functions.push_back({entry.name, function});
  }
  return make_module(std::move(functions), module->attrs);
}

} // namespace temper::codegen
