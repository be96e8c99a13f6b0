/// Libraries of CUDA, which are loaded when they are first asked for: nothing is linked with them,
/// and who lacks one is told which and what to do.
///
/// Looked for in the folder that TEMPER_CUDA_LIBRARIES names, then where the system's loader looks,
/// in CUDA's usual folders, and in `cuda` beside the program's folder, where `./dev` puts what it
/// fetches.
#pragma once

#include "ir/support/result.h"

#include <dlfcn.h>
#include <initializer_list>
#include <string>
#include <vector>

namespace temper::codegen {

struct CudaLibrary {
  void* handle = nullptr; ///< is never closed: these libraries do not take that well
  std::string path;

  /// False where the library has no such function; `function` is null then.
  template <typename F> bool find(const char* name, F& function) const {
    function = reinterpret_cast<F>(::dlsym(handle, name));
    return function != nullptr;
  }
};

/// The first of `names` ("libnvrtc.so.13", newest first) that loads. kEnvironment: why the first
/// one did not, as the loader says it.
Result<CudaLibrary> load_cuda_library(std::initializer_list<const char*> names);

/// Folders with CUDA's headers (cuda_fp16.h, mma.h and what they include), for kernels of users:
/// what temper prints includes nothing. That which TEMPER_CUDA_INCLUDE names, then the one that
/// belongs to `library`, then CUDA's usual ones. Empty: there are none.
std::vector<std::string> cuda_include_folders(const CudaLibrary& library);

} // namespace temper::codegen
