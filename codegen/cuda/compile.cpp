#include "codegen/cuda/compile.h"

#include "codegen/cuda/cubin.h"
#include "codegen/lower_gpu.h"
#include "ir/support/hash.h"
#include "ir/support/text.h"
#include "ir/tir/source_kernel.h"
#include "ir/tir/source_parameters.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace temper::codegen {

uint64_t launch_hash(const LaunchPlan& launch) {
  uint64_t hash = 0;
  const auto add = [&](int64_t value) { hash = hash_combine(hash, static_cast<uint64_t>(value)); };
  const auto add_all = [&](const std::vector<int64_t>& values) {
    add(static_cast<int64_t>(values.size()));
    std::for_each(values.begin(), values.end(), add);
  };
  for (const CudaKernel& kernel : launch.kernels) {
    add_all(kernel.grid);
    add_all(kernel.block);
    if (!kernel.cluster.empty()) // so that hashes of old stay
      add_all(kernel.cluster);
    add(kernel.shared_bytes);
    for (const TensorMap& map : kernel.tensor_maps) {
      add(map.argument);
      hash = hash_combine(hash, hash_bytes(map.dtype));
      add_all(map.shape);
      add_all(map.strides_bytes);
      add_all(map.box);
      add(map.swizzle_bytes);
    }
  }
  add_all(launch.workspaces);
  return hash;
}

namespace {

int64_t product(const std::vector<int64_t>& extents) {
  int64_t value = 1;
  for (const int64_t extent : extents)
    value *= extent;
  return value;
}

/// Kernels of one's own take what the function takes: nothing else would notice until a GPU reads
/// past the parameters.
Result<void> check_parameters(const ir::PrimFunc& function, const std::string& ptx,
                              const std::string& kernel) {
  const auto types = ptx_parameters(ptx, kernel);
  const std::string takes = "a kernel takes the function's parameters in their order";
  if (!types)
    return Error(ErrorCode::kFailed, fmt::format("the source has no kernel '{0}': declare it as "
                                                 "extern \"C\" __global__ void {0}(...)",
                                                 kernel));
  if (types->size() != function->params.size())
    return Error(ErrorCode::kFailed,
                 fmt::format("{} has {} parameters, and the program passes {}: {}", kernel,
                             types->size(), function->params.size(), takes));
  for (size_t i = 0; i < types->size(); ++i) {
    const ir::Param& param = function->params[i];
    const DataType dtype = param.buffer ? DataType::int64() : param.var->dtype;
    // Narrow floats are passed as float.
    const int bits = dtype.is_floating() && dtype.bits < 32 ? 32 : 8 * dtype.element_bytes();
    const std::string& type = (*types)[i];
    if (type != fmt::format("{}", bits))
      return Error(ErrorCode::kFailed,
                   fmt::format("parameter {} of {} has {} bits, and {} is {}: {}", i + 1, kernel,
                               type, param.name(),
                               param.buffer ? "a pointer" : to_string(param.var->dtype), takes));
  }
  return tir::check_source_parameters(function);
}

} // namespace

Result<std::string> cuda_compiler_version() {
  TEMPER_TRY(nvrtc, Nvrtc::load());
  return "NVRTC " + nvrtc->version() + " " + gpu_codegen_version();
}

Result<CudaSource> cuda_source(const ir::IRModule& lowered) {
  return print_cuda(lowered->functions.front().function.as_ref<ir::PrimFuncNode>());
}

Result<Artifact> compile_cuda(const ir::IRModule& lowered, const ir::Target& target,
                              double deadline_seconds) {
  TEMPER_TRY(nvrtc, Nvrtc::load());
  TEMPER_TRY(source, cuda_source(lowered));
  // Both in one call: a second assembler for the same PTX (nvJitLink) takes it for a part of a
  // larger program, and gives entries a fourth more registers.
  TEMPER_TRY(code, nvrtc->compile(source.text, target.arch, deadline_seconds));
  const auto function = lowered->functions.front().function.as_ref<ir::PrimFuncNode>();
  if (tir::source_kernel_in(function->body))
    for (const CudaKernel& kernel : source.kernels)
      TEMPER_TRY_VOID(check_parameters(function, code.ptx, kernel.name));

  return artifact_of(std::move(source), std::move(code), lowered->functions.front().name, target);
}

Result<Artifact> artifact_of(CudaSource source, CudaCode code, const std::string& entry,
                             const ir::Target& target) {
  TEMPER_TRY(limits, gpu_limits(target));
  const bool assembled = !code.cubin.empty();
  CubinFacts read;
  if (assembled) {
    TEMPER_TRY(facts, read_cubin(code.cubin));
    read = std::move(facts);
  } else {
    read.code_bytes = static_cast<int64_t>(code.ptx.size());
    read.code_hash = hash_bytes(code.ptx);
  }
  Artifact artifact;
  artifact.kind = ArtifactKind::kCubin;
  artifact.entry = entry;
  artifact.launch.kernels = source.kernels;
  artifact.launch.workspaces = source.workspaces;
  artifact.target = target.to_string();
  StaticFacts& facts = artifact.facts;
  facts.code_bytes = read.code_bytes;
  facts.optimize_ms = 1e3 * code.seconds;
  for (const CubinKernel& kernel : read.kernels)
    facts.instructions += kernel.instructions;
  bool first = true;
  for (const CudaKernel& kernel : source.kernels) {
    if (!assembled)
      break;
    const auto said = std::find_if(code.facts.begin(), code.facts.end(),
                                   [&](const CudaFacts& one) { return one.kernel == kernel.name; });
    if (said == code.facts.end())
      return Error(ErrorCode::kFailed, "the assembler says nothing of the kernel " + kernel.name);
    facts.spilled_bytes += said->spill_store_bytes;
    facts.stack_bytes = std::max(facts.stack_bytes, said->stack_bytes);
    facts.registers = std::max(facts.registers, said->registers);
    const int64_t shared = said->shared_bytes + kernel.shared_bytes;
    facts.shared_bytes = std::max(facts.shared_bytes, shared);
    const Occupancy occupancy =
        occupancy_of(limits.architecture, product(kernel.block), said->registers, shared);
    if (const auto most = ptx_max_threads(code.ptx, kernel.name);
        most && product(kernel.block) > *most) { // the driver would not start it
      facts.resident_blocks = 0;
      facts.limited_by = fmt::format("{}, which allow {} threads in a block; it has {}",
                                     kLaunchBounds, *most, product(kernel.block));
      break;
    }
    if (std::exchange(first, false) || occupancy.blocks < facts.resident_blocks) {
      facts.resident_blocks = occupancy.blocks;
      facts.limited_by = occupancy.limit;
    }
  }
  for (auto& [operation, count] : ptx_operations(code.ptx))
    facts.operations[operation] = count;
  facts.warnings = std::move(code.warnings);
  artifact.code = assembled ? std::move(code.cubin) : code.ptx;
  artifact.code_hash = hash_combine(read.code_hash, launch_hash(artifact.launch));
  artifact.object = std::move(code.ptx);
  return artifact;
}

} // namespace temper::codegen
