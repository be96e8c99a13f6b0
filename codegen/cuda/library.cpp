#include "codegen/cuda/library.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <link.h>
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

std::vector<std::string> cuda_include_folders(const CudaLibrary& library) {
  namespace fs = std::filesystem;
  std::vector<fs::path> places;
  if (const char* given = std::getenv("TEMPER_CUDA_INCLUDE"); given != nullptr && *given != '\0')
    places.emplace_back(given);
  std::error_code ignored;
  // Where the loader found it, when it was asked for by its name alone.
  if (const link_map* map = nullptr;
      ::dlinfo(library.handle, RTLD_DI_LINKMAP, static_cast<void*>(&map)) == 0 && map != nullptr) {
    const fs::path folder = fs::weakly_canonical(map->l_name, ignored).parent_path();
    places.push_back(folder.parent_path() / "include");
    for (const char* wheel : {"cuda_runtime", "cuda_cccl"}) // beside cuda_nvrtc, of CUDA 12
      places.push_back(folder.parent_path().parent_path() / wheel / "include");
  }
  places.emplace_back("/usr/local/cuda/include");
  places.emplace_back("/usr/include"); // Debian's packages
  std::vector<std::string> folders;
  const auto add = [&](const fs::path& folder) {
    const std::string text = fs::weakly_canonical(folder, ignored).string();
    if (std::find(folders.begin(), folders.end(), text) == folders.end())
      folders.push_back(text);
  };
  for (const fs::path& place : places) {
    // One toolkit's headers; of another one's only what these lack (CUDA 12's wheels are several).
    const bool has = fs::exists(place / "cuda_fp16.h", ignored);
    if (has && folders.empty())
      add(place);
    if (fs::exists(place / "nv/target", ignored))
      add(place);
    if (fs::exists(place / "cccl/nv/target", ignored))
      add(place / "cccl");
    if (!folders.empty() && place == "/usr/local/cuda/include")
      break;
  }
  return folders;
}

} // namespace temper::codegen
