#include "codegen/lower_gpu.h"

#include "ir/narrow.h"
#include "ir/pass/lowering.h"
#include "ir/pass/pipeline_loops.h"
#include "ir/s_tir/layer.h"
#include "ir/s_tir/lower_threads.h"
#include "ir/tir/bound_threads.h"
#include "ir/tir/gpu_architecture.h"
#include "ir/tir/layout_expr.h"
#include "ir/tir/lower_simt.h"
#include "ir/tir/shared_memory.h"
#include "ir/tir/source_kernel.h"
#include "ir/tir/tile.h"
#include "ir/tir/tile_ops.h"
#include "ir/tir/warp_fragments.h"
#include "ir/walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace temper::codegen {

using namespace ir; // NOLINT

namespace {

struct Known {
  const char* name;
  GpuLimits limits;
};
constexpr int64_t kRegistersOfThread = 255;
constexpr int64_t kBlocksBehind = 65535; ///< along the second and the third axis of a grid
/// "Maximum amount of shared memory per thread block", by compute capability.
constexpr std::array<Known, 8> kArchitectures = {
    {{"sm_75", {75, int64_t{64} * 1024}},
     {"sm_80", {80, int64_t{163} * 1024}},
     {"sm_86", {86, int64_t{99} * 1024}},
     {"sm_89", {89, int64_t{99} * 1024}},
     {"sm_90", {tir::kPlainSm90, int64_t{227} * 1024}},
     {"sm_90a", {90, int64_t{227} * 1024}},
     {"sm_100a", {100, int64_t{227} * 1024}},
     // Of a compute unit, whose threads have 512.
     {"gfx942", {tir::kGfx942, int64_t{64} * 1024, 1024, int64_t{131072}}}}};

/// The most bytes of local memory that are there at a time: an allocation lasts until its list
/// ends.
int64_t local_bytes(const NodeRef& root) {
  int64_t here = 0;
  int64_t below = 0;
  const auto* seq = root.as<tir::SeqStmt>();
  root->info().for_each_child(root.get(), [&](const NodeRef& child, Role) {
    if (!StmtNode::accepts(child->kind()))
      return;
    if (const auto* alloc = child.as<tir::AllocBuffer>()) {
      if (seq != nullptr && alloc->buffer->scope.starts_with("local"))
        here += alloc->buffer->element_count().value_or(0) * alloc->buffer->dtype.element_bytes();
      return;
    }
    below = std::max(below, local_bytes(child));
  });
  return here + below;
}

int64_t constant_product(const std::vector<Expr>& extents) {
  int64_t product = 1;
  for (const Expr& extent : extents) {
    const auto value = as_int(extent);
    if (!value)
      return 0;
    product *= *value;
  }
  return product;
}

} // namespace

Result<GpuLimits> gpu_limits(const Target& target) {
  std::string names;
  for (const Known& known : kArchitectures) {
    if (target.kind == TargetKind::kCuda && target.arch == known.name)
      return known.limits;
    names += std::string(names.empty() ? "" : ", ") + (tir::is_amd(known.name) ? "hip:" : "cuda:") +
             known.name;
  }
  return Error(ErrorCode::kInvalidArgument,
               "'" + target.to_string() + "' is no GPU that temper knows; it knows " + names);
}

namespace {

/// What a schedule of s-tir leaves, to threads.
std::vector<Pass> bound_passes(int architecture) {
  using F = const PrimFunc&;
  const auto total = [](const char* name, PrimFunc (*run)(F)) {
    return function_pass(name, [run](F f) -> Result<PrimFunc> { return run(f); });
  };
  return {
      function_pass("lower_blocks",
                    [architecture](F f) { return s_tir::lower_blocks_for_gpu(f, architecture); }),
      function_pass("launch_kernels", [](F f) { return tir::launch_kernels(f); }),
      // While indices still have a dimension each, and virtual threads are a loop around theirs.
      total("compact_buffers", compact_buffers),
      function_pass("pipeline_loops", [](F f) { return pipeline_kernel_loops(f); }),
      total("lower_virtual_threads", tir::lower_virtual_threads),
      total("pad_rows", tir::pad_rows),
      total("simplify_loops", simplify_loops),
      function_pass("lower_warp_fragments", [](F f) { return tir::lower_warp_fragments(f); }),
      total("vectorize_accesses", tir::vectorize_accesses),
      total("copy_asynchronously", tir::copy_asynchronously),
      function_pass("tile_nests", [architecture](F f) { return tir::tile_nests(f, architecture); }),
  };
}

} // namespace

bool is_s_tir(const IRModule& module) {
  return std::any_of(module->functions.begin(), module->functions.end(),
                     [](const ModuleEntry& entry) {
                       const auto function = entry.function.as_ref<PrimFuncNode>();
                       return function && function->s_tir;
                     });
}

std::vector<Pass> gpu_passes(const GpuLimits& limits, bool s_tir) {
  using F = const PrimFunc&;
  const int architecture = limits.architecture;
  std::vector<Pass> passes;
  if (s_tir)
    passes = bound_passes(architecture);
  else
    passes.push_back(function_pass(
        "lower_simt", [architecture](F f) { return tir::lower_simt(f, architecture); }));
  std::vector<Pass> rest = {
      function_pass("plan_shared_memory",
                    [](F f) -> Result<PrimFunc> { return tir::plan_shared_memory(f); }),
      // After planning: what lies in the same place waits for a store, too.
      function_pass("delay_store_waits",
                    [](F f) -> Result<PrimFunc> { return tir::delay_store_waits(f); }),
      // After planning: buffers that share a place need barriers between them.
      function_pass("remove_barriers",
                    [](F f) -> Result<PrimFunc> { return tir::remove_barriers(f); }),
      function_pass("join_waits", [](F f) -> Result<PrimFunc> { return tir::join_waits(f); }),
      function_pass("apply_layouts", [](F f) { return tir::apply_layouts(f); }),
      function_pass("lower_narrow_types",
                    [](F f) -> Result<PrimFunc> {
                      TEMPER_TRY_VOID(check_narrow_types(f));
                      return lower_narrow_types(f);
                    }),
  };
  std::move(rest.begin(), rest.end(), std::back_inserter(passes));
  return passes;
}

Result<IRModule> lower_for_gpu(const IRModule& module, const Target& target) {
  return lower_for_gpu(module, target, with_environment({}));
}

Result<IRModule> lower_for_gpu(const IRModule& module, const Target& target,
                               const PassOptions& pass_options) {
  s_tir::register_layer();
  TEMPER_TRY(limits, gpu_limits(target));
  for (const ModuleEntry& entry : module->functions)
    if (const auto function = entry.function.as_ref<PrimFuncNode>())
      if (gpu_needs(function).kernels == 0)
        return Error(ErrorCode::kUnsupported,
                     function->name +
                         " has no kernel for a GPU: write it as a tile program, with "
                         "T.Kernel(...), or bind its loops to threads" +
                         (function->s_tir ? ", as its search space does (temper tune)" : ""));
  return run_passes(module, gpu_passes(limits, is_s_tir(module)), pass_options);
}

GpuNeeds gpu_needs(const PrimFunc& function) {
  GpuNeeds needs;
  const auto kernel = [&](const Node& root, int64_t blocks, int64_t behind, int64_t threads) {
    ++needs.kernels;
    needs.blocks = std::max(needs.blocks, blocks);
    needs.blocks_behind = std::max(needs.blocks_behind, behind);
    needs.threads = std::max(needs.threads, threads);
    int64_t end = 0;
    needs.local_registers = std::max(needs.local_registers, local_bytes(NodeRef(&root)) / 4);
    walk(NodeRef(&root), [&](const NodeRef& node) {
      const auto* alloc = node.as<tir::AllocBuffer>();
      if (alloc == nullptr || tir::tile_scope(alloc->buffer->scope) != "shared")
        return true;
      const int64_t bytes =
          alloc->buffer->element_count().value_or(0) * alloc->buffer->dtype.element_bytes();
      if (bytes > needs.largest_shared_bytes) {
        needs.largest_shared = alloc->buffer->name;
        needs.largest_shared_bytes = bytes;
        needs.largest_shared_where = alloc->span;
      }
      const int64_t begin =
          alloc->annotations.get_int("shared_offset").value_or((end + 15) / 16 * 16);
      end = std::max(end, begin + bytes);
      return true;
    });
    if (const auto source = tir::source_kernel_in(NodeRef(&root)))
      end += source->shared_bytes; // what its text says besides, the assembler reports
    needs.shared_bytes = std::max(needs.shared_bytes, end);
  };
  walk(function->body, [&](const NodeRef& node) {
    if (const auto* launch = node.as<tir::KernelLaunch>()) {
      int64_t behind = 0;
      for (size_t axis = 1; axis < launch->grid.size(); ++axis)
        behind = std::max(behind, as_int(launch->grid[axis]).value_or(0));
      kernel(*launch, constant_product(launch->grid), behind, constant_product(launch->threads));
      return false;
    }
    const auto* loop = node.as<tir::For>();
    if (loop == nullptr || loop->kind != tir::ForKind::kThreadBinding)
      return true;
    std::array<std::string, 6> seen;
    int64_t blocks = 1;
    int64_t behind = 0;
    int64_t threads = 1;
    size_t count = 0;
    walk(node, [&](const NodeRef& inner) {
      const auto* axis = inner.as<tir::For>();
      if (axis == nullptr || axis->kind != tir::ForKind::kThreadBinding || count == seen.size() ||
          std::find(seen.begin(), seen.end(), axis->thread) != seen.end())
        return true;
      seen[count++] = axis->thread;
      const int64_t extent = as_int(axis->extent).value_or(0);
      (axis->thread.starts_with("block") ? blocks : threads) *= extent;
      if (axis->thread == "blockIdx.y" || axis->thread == "blockIdx.z")
        behind = std::max(behind, extent);
      return true;
    });
    kernel(*loop, blocks, behind, threads);
    return false;
  });
  return needs;
}

std::string exceeded_limit(const GpuNeeds& needs, const GpuLimits& limits) {
  if (needs.threads > limits.threads)
    return "threads";
  if (needs.blocks_behind > kBlocksBehind)
    return "blocks";
  if (needs.shared_bytes > limits.shared_bytes)
    return "shared memory";
  // Fragments that are never there in full (a copy through them) may be more than the registers.
  if (needs.local_registers > 4 * kRegistersOfThread)
    return "registers";
  return {};
}

Result<void> check_gpu_limits(const PrimFunc& function, const GpuLimits& limits) {
  const GpuNeeds needs = gpu_needs(function);
  const std::string exceeded = exceeded_limit(needs, limits);
  if (exceeded == "threads")
    return Error(ErrorCode::kUnsupported, fmt::format("the block has {} threads, there may be {}",
                                                      needs.threads, limits.threads));
  if (exceeded == "blocks")
    return Error(ErrorCode::kUnsupported,
                 fmt::format("the grid has {} blocks along its second or third axis, there may be "
                             "{}; the first one may have more",
                             needs.blocks_behind, kBlocksBehind));
  if (exceeded == "shared memory" && needs.largest_shared.empty())
    return Error(ErrorCode::kUnsupported,
                 fmt::format("the kernel asks for {} bytes of shared memory (shared=), there are "
                             "{}; make its tiles smaller or take fewer stages",
                             needs.shared_bytes, limits.shared_bytes));
  if (exceeded == "shared memory")
    return Error(
        ErrorCode::kUnsupported,
        fmt::format("{}the block needs {} bytes of shared memory, there are {} (the largest "
                    "buffer, {}, takes {}); make tiles smaller or take fewer stages",
                    needs.largest_shared_where.line == 0
                        ? std::string()
                        : fmt::format("line {}, column {}: ", needs.largest_shared_where.line,
                                      needs.largest_shared_where.column),
                    needs.shared_bytes, limits.shared_bytes, needs.largest_shared,
                    needs.largest_shared_bytes));
  if (exceeded == "registers")
    return Error(ErrorCode::kUnsupported,
                 fmt::format("a thread holds {} registers' worth of fragments, and has {} at most; "
                             "make tiles smaller or take more threads",
                             needs.local_registers, kRegistersOfThread));
  return {};
}

} // namespace temper::codegen
