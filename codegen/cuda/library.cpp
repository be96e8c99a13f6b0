#include "codegen/cuda/library.h"

#include <cstdlib>
#include <filesystem>
#include <vector>

namespace temper::codegen {
namespace {

std::vector<std::string> folders() {
  std::vector<std::string> list;
  if (const char* given = std::getenv("TEMPER_CUDA_LIBRARIES"); given != nullptr && *given != '\0')
    list.emplace_back(given);
  list.emplace_back(); // the loader's own
  for (const char* usual : {"lib64", "lib", "extras/CUPTI/lib64"})
    list.emplace_back(std::string("/usr/local/cuda/") + usual);
  std::error_code ignored;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", ignored);
  // Wheels for CUDA 13 share a folder; before, each had its own.
  for (const char* up : {"..", "."})
    for (const char* wheel : {"cu13", "cuda_nvrtc", "nvjitlink", "cuda_cupti"})
      list.push_back(
          (program.parent_path() / up / "cuda/nvidia" / wheel / "lib").lexically_normal().string());
  return list;
}

} // namespace

Result<CudaLibrary> load_cuda_library(std::initializer_list<const char*> names) {
  std::string why;
  for (const std::string& folder : folders())
    for (const char* name : names) {
      const std::string path = folder.empty() ? name : folder + "/" + name;
      if (void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL))
        return CudaLibrary{handle, path};
      if (why.empty())
        why = ::dlerror();
    }
  return Error(ErrorCode::kEnvironment, why);
}

} // namespace temper::codegen
