#include "codegen/hip/compile.h"

#include "codegen/cuda/compile.h"
#include "codegen/hip/clang.h"
#include "codegen/hip/print.h"
#include "ir/support/hash.h"
#include "ir/support/text.h"

#include <algorithm>
#include <utility>

namespace temper::codegen {
namespace {

/// Of the instructions alone: without names, comments and what the assembler is told besides.
uint64_t instructions_hash(const std::string& assembly) {
  uint64_t hash = 0;
  for (const std::string& line : split_text(assembly, '\n')) {
    std::string_view words = line;
    words = trim(words.substr(0, words.find(';')));
    if (!line.starts_with("\t") || words.empty() || words.starts_with("."))
      continue;
    hash = hash_combine(hash, hash_bytes(words));
  }
  return hash;
}

} // namespace

Result<Artifact> compile_hip(const ir::IRModule& lowered, const ir::Target& target,
                             double deadline_seconds) {
  TEMPER_TRY(source, print_hip(lowered->functions.front().function.as_ref<ir::PrimFuncNode>()));
  TEMPER_TRY(version, clang_version()); // before a compilation fails for want of it
  (void)version;
  TEMPER_TRY(code, compile_hip_source(source.text, target.arch, deadline_seconds));
  Artifact artifact;
  artifact.kind = ArtifactKind::kCubin;
  artifact.entry = lowered->functions.front().name;
  artifact.launch.kernels = source.kernels;
  artifact.launch.workspaces = source.workspaces;
  artifact.target = target.to_string();
  StaticFacts& facts = artifact.facts;
  facts.code_bytes = static_cast<int64_t>(code.object.size());
  facts.optimize_ms = 1e3 * code.seconds;
  facts.operations = amd_operations(code.assembly);
  facts.instructions = std::exchange(facts.operations["all"], 0);
  facts.operations.erase("all");
  facts.warnings = std::move(code.warnings);
  bool first = true;
  uint64_t registers = 0;
  for (const CudaKernel& kernel : source.kernels) {
    const auto said = std::find_if(code.kernels.begin(), code.kernels.end(),
                                   [&](const AmdKernel& one) { return one.name == kernel.name; });
    if (said == code.kernels.end())
      return Error(ErrorCode::kFailed, "clang says nothing of the kernel " + kernel.name);
    facts.spilled_bytes += 4 * said->spilled_vgprs;
    facts.stack_bytes = std::max(facts.stack_bytes, said->scratch_bytes);
    facts.registers = std::max(facts.registers, said->vgprs);
    registers = hash_combine(registers, static_cast<uint64_t>(said->vgprs));
    const int64_t shared = said->lds_bytes + kernel.shared_bytes;
    facts.shared_bytes = std::max(facts.shared_bytes, shared);
    int64_t threads = 1;
    for (const int64_t extent : kernel.block)
      threads *= extent;
    const AmdOccupancy occupancy = amd_occupancy(threads, said->vgprs, shared);
    if (std::exchange(first, false) || occupancy.blocks < facts.resident_blocks) {
      facts.resident_blocks = occupancy.blocks;
      facts.limited_by = occupancy.limit;
    }
  }
  artifact.code_hash = hash_combine(hash_combine(instructions_hash(code.assembly), registers),
                                    launch_hash(artifact.launch));
  artifact.code = std::move(code.object);
  artifact.object = std::move(code.assembly);
  return artifact;
}

} // namespace temper::codegen
