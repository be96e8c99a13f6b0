/// GPU code of an artifact in a context: loaded, and started on arguments that lie on the device.
#pragma once

#include "codegen/artifact.h"
#include "engine/cuda/device.h"

#include <array>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace temper::engine {

/// The value of a scalar argument, or the address of a buffer, as a kernel's parameter.
struct KernelParameter {
  std::array<std::byte, 16> bytes{};
};
KernelParameter buffer_parameter(DevicePointer address);
/// `value` holds an element of the argument's type. Floats of 16 bits are passed as float32, which
/// is what printed kernels take.
KernelParameter scalar_parameter(const codegen::ArgumentSpec& argument,
                                 std::span<const std::byte> value);

class GpuKernel {
public:
  /// What goes wrong is the candidate's: code for another GPU, more shared memory than there is, no
  /// memory for what it keeps between its kernels.
  static std::unique_ptr<GpuKernel> load(const GpuContext& context,
                                         const codegen::Artifact& artifact, CudaFault& fault);
  ~GpuKernel();
  GpuKernel(const GpuKernel&) = delete;
  GpuKernel& operator=(const GpuKernel&) = delete;

  /// One set of arguments, ready to be launched on as often as one likes: parameters, and
  /// descriptors for the copy engine, which hold addresses.
  class Call {
  public:
    /// Starts all kernels, one behind the other, on the context's stream; waits for nothing.
    CudaResult launch() const;

  private:
    friend class GpuKernel;
    const GpuKernel* kernel_ = nullptr;
    struct alignas(64) Descriptor {
      std::array<uint64_t, 16> words{};
    };
    std::vector<KernelParameter> parameters_; ///< arguments, then workspaces
    std::vector<std::unique_ptr<std::vector<Descriptor>>> descriptors_; ///< by kernel
    std::vector<std::vector<void*>> pointers_;                          ///< by kernel
  };
  /// `arguments`: in the order of the signature. Error: the copy engine takes no such argument.
  std::unique_ptr<Call> prepare(std::span<const KernelParameter> arguments, CudaFault& fault) const;

  /// Names of the kernels that one call starts, in order.
  std::vector<std::string> names() const;
  const codegen::Artifact& artifact() const { return artifact_; }

private:
  GpuKernel(const GpuContext& context, codegen::Artifact artifact)
      : context_(context), artifact_(std::move(artifact)) {}

  const GpuContext& context_;
  codegen::Artifact artifact_; ///< without its code
  void* module_ = nullptr;
  std::vector<void*> functions_; ///< by kernel
  std::vector<DeviceMemory> workspaces_;
};

} // namespace temper::engine
