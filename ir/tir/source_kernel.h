/// Kernels whose text is CUDA C++ of the user's own: a program names the kernel, says what it
/// writes, and the function's attribute kSourceText holds the text, definitions of macros in front.
///
///   T.func_attr({"cuda.source": "#define BM 64\n..."})
///   with T.Kernel(8, 8, threads=(16, 16)):
///       T.source_writes(C[0, 0])
///       T.call_source_kernel("gemm", 0)        # bytes of dynamic shared memory
///
/// The kernel takes the function's parameters in their order. Nothing but a GPU runs it.
#pragma once

#include "ir/function.h"
#include "ir/tir/stmt.h"

#include <string>

namespace temper::tir {

inline constexpr const char* kSourceText = "cuda.source";
inline constexpr const char* kCallSourceKernel = "call_source_kernel";
inline constexpr const char* kSourceWrites = "source_writes";

struct SourceKernel {
  std::string name;
  int64_t shared_bytes = 0; ///< dynamic shared memory of a block
};
/// The first one below `root`; nothing where there is none.
std::optional<SourceKernel> source_kernel_in(const NodeRef& root);
/// Why what is below `root` does not run here: "gemm is CUDA C++ of its own, which nothing but a
/// GPU runs", "line 6: T.inline_ptx is code of a GPU's own, ..."; empty where it does.
std::string only_on_gpu(const NodeRef& root);

} // namespace temper::tir
