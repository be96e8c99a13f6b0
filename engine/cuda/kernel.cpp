#include "engine/cuda/kernel.h"

#include "codegen/tensor_map.h"
#include "engine/arguments.h"
#include "ir/target.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

namespace temper::engine {
namespace {

/// Extents of a grid or a block in x, y, z; what is not named is 1.
void set_extents(unsigned (&to)[3], const std::vector<int64_t>& extents) {
  for (size_t d = 0; d < 3; ++d)
    to[d] = d < extents.size() ? static_cast<unsigned>(extents[d]) : 1;
}

CudaFault of_another_gpu(const GpuContext& context, const codegen::Artifact& artifact,
                         CudaResult code) {
  const CudaDriver& driver = context.driver();
  const auto target = ir::parse_target(artifact.target);
  const int here = context.info().architecture;
  CudaFault fault{Outcome::kDeviceLimit, {}, false};
  if (target && !target->is_cpu() && !runs_on(target->arch, here))
    fault.sentence =
        fmt::format("the code is for {}, and {} is of architecture sm_{}: compile it "
                    "with --target cuda:sm_{}{}",
                    target->arch, context.info().name, here, here, here >= 90 ? "a" : "");
  else
    fault.sentence =
        fmt::format("the driver (for CUDA {}) does not take the code: it is older than "
                    "the compiler that made it, or the code is damaged: {}",
                    driver.version_text(), driver.words_of(code));
  return fault;
}

} // namespace

KernelParameter buffer_parameter(DevicePointer address) {
  KernelParameter parameter;
  std::memcpy(parameter.bytes.data(), &address, sizeof address);
  return parameter;
}

KernelParameter scalar_parameter(const codegen::ArgumentSpec& argument,
                                 std::span<const std::byte> value) {
  KernelParameter parameter;
  if (argument.dtype.is_floating() && argument.dtype.element_bytes() == 2) {
    const auto wide = static_cast<float>(read_element(value.data(), argument.dtype));
    std::memcpy(parameter.bytes.data(), &wide, sizeof wide);
  } else {
    std::memcpy(parameter.bytes.data(), value.data(),
                std::min(value.size(), parameter.bytes.size()));
  }
  return parameter;
}

std::unique_ptr<GpuKernel> GpuKernel::load(const GpuContext& context,
                                           const codegen::Artifact& artifact, CudaFault& fault) {
  const CudaDriver& driver = context.driver();
  codegen::Artifact plan = artifact;
  plan.code.clear();
  plan.object.clear();
  std::unique_ptr<GpuKernel> kernel(new GpuKernel(context, std::move(plan)));
  if (artifact.launch.kernels.empty()) {
    fault = {Outcome::kRejected, "it has no kernel to be started", false};
    return nullptr;
  }
  // The bytes end in a zero, so that the driver may take them for text, too.
  if (const CudaResult code = driver.module_load(&kernel->module_, artifact.code.c_str());
      code != 0) {
    kernel->module_ = nullptr;
    fault = code == cuda_error::kNoBinaryForGpu || code == cuda_error::kInvalidImage ||
                    code == cuda_error::kUnsupportedPtx
                ? of_another_gpu(context, artifact, code)
                : fault_of(driver, code, "loading the code");
    return nullptr;
  }
  for (const codegen::CudaKernel& one : artifact.launch.kernels) {
    void*& function = kernel->functions_.emplace_back(nullptr);
    if (const CudaResult code =
            driver.module_function(&function, kernel->module_, one.name.c_str());
        code != 0) {
      fault = {Outcome::kCompileFailed, "the code has no kernel " + one.name, false};
      return nullptr;
    }
    if (one.shared_bytes > context.info().shared_bytes) {
      fault = {Outcome::kDeviceLimit,
               fmt::format("a block asks for {} bytes of shared memory, and {} gives {}",
                           one.shared_bytes, context.info().name, context.info().shared_bytes),
               false};
      return nullptr;
    }
    CudaResult code = 0;
    if (one.shared_bytes > 0)
      code = driver.function_set(function, static_cast<int>(FunctionAttribute::kDynamicSharedBytes),
                                 static_cast<int>(one.shared_bytes));
    int64_t blocks = 1;
    for (const int64_t extent : one.cluster)
      blocks *= extent;
    constexpr int64_t kPortableCluster = 8;
    if (code == 0 && blocks > kPortableCluster)
      code = driver.function_set(function,
                                 static_cast<int>(FunctionAttribute::kNonPortableClusterSize), 1);
    if (code != 0) {
      fault = fault_of(driver, code, "preparing the kernel " + one.name);
      return nullptr;
    }
    for (const int64_t extent : one.grid)
      if (extent <= 0) {
        fault = {Outcome::kRejected, "the number of its blocks depends on its arguments", false};
        return nullptr;
      }
  }
  for (const int64_t bytes : artifact.launch.workspaces) {
    Result<DeviceMemory> memory = DeviceMemory::allocate(driver, bytes);
    if (!memory) {
      fault = {Outcome::kOutOfMemory,
               "no room for what it keeps between its kernels: " + memory.error().message, false};
      return nullptr;
    }
    kernel->workspaces_.push_back(std::move(*memory));
  }
  return kernel;
}

GpuKernel::~GpuKernel() {
  if (module_ != nullptr)
    context_.driver().module_unload(module_);
}

std::vector<std::string> GpuKernel::names() const {
  std::vector<std::string> names;
  for (const codegen::CudaKernel& kernel : artifact_.launch.kernels)
    names.push_back(kernel.name);
  return names;
}

std::unique_ptr<GpuKernel::Call> GpuKernel::prepare(std::span<const KernelParameter> arguments,
                                                    CudaFault& fault) const {
  auto call = std::make_unique<Call>();
  call->kernel_ = this;
  call->parameters_.assign(arguments.begin(), arguments.end());
  for (const DeviceMemory& memory : workspaces_)
    call->parameters_.push_back(buffer_parameter(memory.address()));
  for (const codegen::CudaKernel& kernel : artifact_.launch.kernels) {
    auto maps = std::make_unique<std::vector<Call::Descriptor>>(kernel.tensor_maps.size());
    std::vector<void*> pointers;
    for (KernelParameter& parameter : call->parameters_)
      pointers.push_back(parameter.bytes.data());
    for (size_t m = 0; m < kernel.tensor_maps.size(); ++m) {
      const codegen::TensorMap& map = kernel.tensor_maps[m];
      DevicePointer address = 0;
      std::memcpy(&address, call->parameters_.at(static_cast<size_t>(map.argument)).bytes.data(),
                  sizeof address);
      const std::vector<uint64_t> shape(map.shape.begin(), map.shape.end());
      std::vector<uint64_t> strides(map.strides_bytes.begin(), map.strides_bytes.end());
      strides.push_back(0); // of one dimension there are none, but a place is
      const std::vector<uint32_t> box(map.box.begin(), map.box.end());
      const std::vector<uint32_t> dense(shape.size(), 1);
      // 128-byte promotion: tiles are read once from memory, by whole lines.
      constexpr int kPromotion = 2;
      const CudaResult code = context_.driver().encode_tiled(
          (*maps)[m].words.data(), codegen::tensor_map_type(map.dtype),
          static_cast<uint32_t>(shape.size()), reinterpret_cast<void*>(address), shape.data(),
          strides.data(), box.data(), dense.data(), 0,
          codegen::tensor_map_swizzle(map.swizzle_bytes), kPromotion, 0);
      if (code != 0) {
        fault = fault_of(context_.driver(), code,
                         fmt::format("describing argument {} to the copy engine", map.argument));
        return nullptr;
      }
      pointers.push_back((*maps)[m].words.data());
    }
    call->descriptors_.push_back(std::move(maps));
    call->pointers_.push_back(std::move(pointers));
  }
  return call;
}

CudaResult GpuKernel::Call::launch() const {
  const GpuKernel& kernel = *kernel_;
  for (size_t i = 0; i < kernel.functions_.size(); ++i) {
    const codegen::CudaKernel& plan = kernel.artifact_.launch.kernels[i];
    LaunchConfig config;
    set_extents(config.grid, plan.grid);
    set_extents(config.block, plan.block);
    config.shared_bytes = static_cast<unsigned>(plan.shared_bytes);
    config.stream = kernel.context_.stream();
    LaunchAttribute cluster;
    if (!plan.cluster.empty()) {
      cluster.id = LaunchAttribute::kClusterDimension;
      set_extents(cluster.value.cluster, plan.cluster);
      config.attributes = &cluster;
      config.attribute_count = 1;
    }
    if (const CudaResult code = kernel.context_.driver().launch(
            &config, kernel.functions_[i], const_cast<void**>(pointers_[i].data()), nullptr);
        code != 0)
      return code;
  }
  return 0;
}

} // namespace temper::engine
