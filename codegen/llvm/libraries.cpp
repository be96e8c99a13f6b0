#include "codegen/llvm/libraries.h"

#include <algorithm>
#include <dlfcn.h>
#include <filesystem>
#include <link.h> // its macros clash with LLVM's names: this file includes no LLVM
#include <string_view>
#include <unistd.h>

namespace temper::codegen {
namespace {

namespace fs = std::filesystem;

/// The path of a shared library that this process has loaded, or of one beside the C library.
std::string library_path(const std::string& soname) {
  struct Search {
    const std::string& soname;
    std::string found;
    std::vector<std::string> folders;
  } search{soname, {}, {}};
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* data) {
        auto& self = *static_cast<Search*>(data);
        const fs::path path(info->dlpi_name);
        if (path.filename() == self.soname)
          self.found = path;
        if (path.filename() == "libc.so.6")
          self.folders.push_back(path.parent_path());
        return 0;
      },
      &search);
  if (!search.found.empty())
    return search.found;
  for (const char* folder :
       {"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/usr/lib"})
    search.folders.emplace_back(folder);
  for (const std::string& folder : search.folders) {
    const std::string path = folder + "/" + soname;
    if (::access(path.c_str(), R_OK) == 0)
      return path;
  }
  return {};
}

/// Libraries that define what `undefined` lists, by asking those libraries.
} // namespace

bool is_openmp_symbol(std::string_view symbol) {
  return symbol.starts_with("GOMP_") || symbol.starts_with("omp_");
}

Result<std::vector<std::string>> system_libraries_for(const std::vector<std::string>& undefined) {
  std::vector<std::string> paths;
  const auto need = [&](const std::string& soname, const std::string& why) -> Result<void> {
    const std::string path = library_path(soname);
    if (path.empty())
      return Error(ErrorCode::kEnvironment,
                   "cannot find " + soname + ", which the code needs for " + why);
    if (std::find(paths.begin(), paths.end(), path) == paths.end())
      paths.push_back(path);
    return {};
  };
  for (const std::string& symbol : undefined) {
    if (is_openmp_symbol(symbol)) {
      TEMPER_TRY_VOID(need("libgomp.so.1", "parallel loops (package libgomp1)"));
    } else if (symbol == "_GLOBAL_OFFSET_TABLE_") {
      continue;
    } else {
      // This process has libm and libc itself: the loader tells which of them has it.
      Dl_info info{};
      void* place = ::dlsym(RTLD_DEFAULT, symbol.c_str());
      const bool in_libm = place != nullptr && ::dladdr(place, &info) != 0 &&
                           fs::path(info.dli_fname).filename().string().starts_with("libm.");
      TEMPER_TRY_VOID(need(in_libm ? "libm.so.6" : "libc.so.6", symbol));
    }
  }
  return paths;
}

} // namespace temper::codegen
