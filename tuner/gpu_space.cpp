#include "tuner/gpu_space.h"

#include "tuner/space/knob_space.h"
#include "tuner/space/sketch_space.h"

namespace temper::tuner {

namespace {

bool binds_threads(const s_tir::Trace& trace) {
  for (size_t i = 0; i < trace.size(); ++i)
    if (trace[i].primitive->name == "Bind")
      return true;
  return false;
}

} // namespace

GpuHints gpu_hints_of(const codegen::GpuLimits& limits) {
  GpuHints hints;
  hints.architecture = limits.architecture;
  hints.threads = limits.threads;
  hints.shared_bytes = limits.shared_bytes;
  return hints;
}

Result<std::unique_ptr<Space>> make_gpu_space(const ir::IRModule& module,
                                              const codegen::GpuLimits& limits,
                                              std::vector<s_tir::Trace> templates,
                                              std::vector<script::RuleFile> rule_files) {
  if (!codegen::is_s_tir(module))
    return make_gpu_knob_space(module, limits.architecture);
  SketchOptions options;
  options.gpu = gpu_hints_of(limits);
  options.rule_files = std::move(rule_files);
  // One that binds nothing is for CPUs.
  const bool has_templates = !templates.empty();
  for (s_tir::Trace& trace : templates)
    if (binds_threads(trace))
      options.templates.push_back(std::move(trace));
  if (has_templates && options.templates.empty())
    options.note = "by rules, since the file's schedule binds no loop to threads: ";
  return make_sketch_space(module, std::move(options));
}

} // namespace temper::tuner
