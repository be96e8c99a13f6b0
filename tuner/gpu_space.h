/// The search space of a workload for a GPU: knobs of a tile program, sketches of s-tir.
#pragma once

#include "codegen/lower_gpu.h"
#include "ir/script/rule_file.h"
#include "tuner/space/gpu_rules.h"
#include "tuner/space/space.h"
#include "tuner/task.h"

namespace temper::tuner {

GpuHints gpu_hints_of(const codegen::GpuLimits& limits);

/// `templates`: its hand-written space, which takes the place of the rules where it binds threads.
/// `rule_files`: its users' rules, which go before temper's; tile programs have none.
/// The error says why there is no space.
Result<std::unique_ptr<Space>> make_gpu_space(const ir::IRModule& module,
                                              const codegen::GpuLimits& limits,
                                              std::vector<s_tir::Trace> templates,
                                              std::vector<script::RuleFile> rule_files);

} // namespace temper::tuner
