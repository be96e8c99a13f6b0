#include "tuner/gpu_pruning.h"

#include "codegen/cuda/cubin.h"
#include "ir/tir/gpu_architecture.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace temper::tuner {

std::optional<GpuRefusal> refused_needs(const ir::PrimFunc& flat,
                                        const codegen::GpuLimits& limits) {
  const std::string reason = codegen::exceeded_limit(codegen::gpu_needs(flat), limits);
  if (reason.empty())
    return std::nullopt;
  return GpuRefusal{reason, codegen::check_gpu_limits(flat, limits).error().message,
                    engine::Outcome::kDeviceLimit};
}

std::optional<GpuRefusal> refused_code(const codegen::StaticFacts& facts,
                                       std::string_view architecture) {
  for (const std::string& warning : facts.warnings)
    // "Potential Performance Loss: wgmma.mma_async instructions are serialized due to ..."
    if (warning.find("wgmma") != std::string::npos &&
        warning.find("serialized") != std::string::npos)
      return GpuRefusal{"serialised", warning};
  if (facts.spilled_bytes > 0)
    return GpuRefusal{"spills", fmt::format("the registers do not suffice: {} bytes are spilled; "
                                            "make tiles smaller or take more threads",
                                            facts.spilled_bytes)};
  if (facts.limited_by.starts_with(codegen::kLaunchBounds))
    return GpuRefusal{"threads", "the kernel is declared with " + facts.limited_by,
                      engine::Outcome::kDeviceLimit};
  if (facts.registers > 0 && facts.resident_blocks == 0)
    return GpuRefusal{"occupancy",
                      fmt::format("not one block fits on a {}: too much of its {}",
                                  tir::processor_name(architecture), facts.limited_by),
                      engine::Outcome::kDeviceLimit};
  return std::nullopt;
}

GpuRates gpu_rates(int architecture) {
  // NVIDIA's data sheets, dense products; of the cards with one architecture the larger figure.
  if (tir::is_amd(architecture)) // MI300X: compute units
    return {304, 1307.4e12, 163.4e12, 5.3e12};
  if (architecture >= 100)
    return {148, 2250e12, 80e12, 8e12};
  if (architecture >= 90)
    return {132, 989.5e12, 67e12, 4.8e12};
  if (architecture >= 89)
    return {142, 362e12, 91.6e12, 1.01e12};
  if (architecture >= 86)
    return {84, 160e12, 40e12, 1.01e12};
  if (architecture >= 80)
    return {108, 312e12, 19.5e12, 2.04e12};
  return {72, 130.5e12, 16.3e12, 0.672e12};
}

double gpu_floor_ns(const Task& task) {
  const auto limits = codegen::gpu_limits(task.target);
  if (!limits)
    return 0;
  const GpuRates rates = gpu_rates(limits->architecture);
  double bytes = 0;
  int bits = 64;
  for (const codegen::ArgumentSpec& argument : task.signature) {
    bytes += static_cast<double>(argument.byte_count());
    if (argument.is_buffer)
      bits = std::min(bits, 8 * argument.dtype.element_bytes());
  }
  const double peak = rates.tensor_flops * (bits <= 8 ? 2 : bits <= 16 ? 1 : 0.5);
  return std::max(task.least_flops() / peak, bytes / rates.bytes_per_s) * 1e9;
}

GpuBound gpu_bound(const Task& task, const codegen::Artifact& artifact, int architecture) {
  const GpuRates rates = gpu_rates(architecture);
  const auto& operations = artifact.facts.operations;
  GpuBound bound;
  bound.processor = tir::processor_name(tir::architecture_name(architecture));
  double bytes = 0;
  int bits = 64;
  for (const codegen::ArgumentSpec& argument : task.signature) {
    bytes += static_cast<double>(argument.byte_count());
    if (argument.is_buffer && !argument.is_output)
      bits = std::min(bits, 8 * argument.dtype.element_bytes());
  }
  bound.memory_ns = bytes / rates.bytes_per_s * 1e9;
  // Whichever kernel has most: the work may be in any of them.
  for (const codegen::CudaKernel& kernel : artifact.launch.kernels) {
    int64_t blocks = 1;
    for (const int64_t extent : kernel.grid)
      blocks *= extent;
    bound.blocks = std::max(bound.blocks, blocks);
  }
  if (bound.blocks > 0) {
    const auto blocks = static_cast<double>(bound.blocks);
    bound.imbalance = std::ceil(blocks / rates.multiprocessors) * rates.multiprocessors / blocks;
  }
  const bool tensor_cores = operations.contains("wgmma") || operations.contains("mma.sync") ||
                            operations.contains("mfma");
  double peak = rates.f32_flops;
  if (tensor_cores)
    peak = rates.tensor_flops * (bits <= 8 ? 2 : bits <= 16 ? 1 : 0.5);
  else if (operations.contains("dp4a"))
    peak *= 4;
  bound.arithmetic_ns = task.least_flops() / peak * bound.imbalance * 1e9;
  return bound;
}

std::optional<GpuRefusal> refused_bound(const GpuBound& bound, double best_ns,
                                        const GpuBound* rival) {
  if (best_ns > 0 && bound.ns() > best_ns)
    return GpuRefusal{"roofline", fmt::format("it takes {:.3g} us at the least, and the best one "
                                              "that was timed takes {:.3g} us",
                                              bound.ns() * 1e-3, best_ns * 1e-3)};
  if (rival != nullptr && bound.ns() > kHopelessBound * rival->ns()) {
    // Its blocks are to blame only where the other one's are shared out better.
    if (bound.arithmetic_ns >= bound.memory_ns &&
        bound.imbalance > kHopelessBound * rival->imbalance)
      return GpuRefusal{"waves",
                        fmt::format("its blocks ({}) leave {}s idle: it takes {:.3g} us at the "
                                    "least, another one {:.3g} us",
                                    bound.blocks, bound.processor, bound.ns() * 1e-3,
                                    rival->ns() * 1e-3)};
    return GpuRefusal{
        "roofline",
        fmt::format("its arithmetic takes {:.3g} us at the least with the instructions it "
                    "has, another one's {:.3g} us",
                    bound.ns() * 1e-3, rival->ns() * 1e-3)};
  }
  return std::nullopt;
}

} // namespace temper::tuner
