#include "codegen/cuda/compile.h"

#include "codegen/cuda/cubin.h"
#include "codegen/lower_gpu.h"
#include "ir/support/hash.h"

#include <algorithm>
#include <utility>

namespace temper::codegen {
namespace {

uint64_t hash_of(const LaunchPlan& launch) {
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

int64_t product(const std::vector<int64_t>& extents) {
  int64_t value = 1;
  for (const int64_t extent : extents)
    value *= extent;
  return value;
}

} // namespace

Result<std::string> cuda_compiler_version() {
  TEMPER_TRY(nvrtc, Nvrtc::load());
  return "NVRTC " + nvrtc->version() + " codegen " + std::to_string(kCodegenVersion);
}

Result<CudaSource> cuda_source(const ir::IRModule& lowered) {
  return print_cuda(lowered->functions.front().function.as_ref<ir::PrimFuncNode>());
}

Result<Artifact> compile_cuda(const ir::IRModule& lowered, const ir::Target& target,
                              double deadline_seconds) {
  TEMPER_TRY(limits, gpu_limits(target));
  TEMPER_TRY(nvrtc, Nvrtc::load());
  TEMPER_TRY(source, cuda_source(lowered));
  // Both in one call: a second assembler for the same PTX (nvJitLink) takes it for a part of a
  // larger program, and gives entries a fourth more registers.
  TEMPER_TRY(code, nvrtc->compile(source.text, target.arch, deadline_seconds));
  TEMPER_TRY(read, read_cubin(code.cubin));

  Artifact artifact;
  artifact.kind = ArtifactKind::kCubin;
  artifact.entry = lowered->functions.front().name;
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
    if (std::exchange(first, false) || occupancy.blocks < facts.resident_blocks) {
      facts.resident_blocks = occupancy.blocks;
      facts.limited_by = occupancy.limit;
    }
  }
  for (auto& [operation, count] : ptx_operations(code.ptx))
    facts.operations[operation] = count;
  facts.warnings = std::move(code.warnings);
  artifact.code = std::move(code.cubin);
  artifact.code_hash = hash_combine(read.code_hash, hash_of(artifact.launch));
  artifact.object = std::move(code.ptx);
  return artifact;
}

} // namespace temper::codegen
