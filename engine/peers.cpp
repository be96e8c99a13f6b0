#include "engine/peers.h"

#include "ir/support/hash.h"
#include "ir/support/text.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>

#include <unistd.h>

namespace temper::engine {
namespace {

std::map<std::string, std::string> best_environment(std::string_view library) {
  std::map<std::string, std::string> environment;
#if defined(__x86_64__)
  // OpenBLAS picks its kernels by a table of processor models; one that is younger than the
  // library gets kernels that are too old. The instruction sets are what counts.
  if (library == "openblas" && !std::getenv("OPENBLAS_CORETYPE")) {
    if (__builtin_cpu_supports("avx512bf16"))
      environment["OPENBLAS_CORETYPE"] = "Cooperlake";
    else if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq"))
      environment["OPENBLAS_CORETYPE"] = "SkylakeX";
    else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
      environment["OPENBLAS_CORETYPE"] = "Haswell";
  }
#else
  (void)library;
#endif
  return environment;
}

std::vector<std::string> places_of(std::string_view library) {
  const std::string file = fmt::format("libtemper_peer_{}.so", library);
  std::error_code ignored;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  return {(self.parent_path() / "lib" / file).string(),
          (self.parent_path() / "lib" / "temper" / file).string(),
          (self.parent_path() / "libexec" / "temper" / file).string(),
          (std::filesystem::path(TEMPER_PEERS_BUILD_PATH) / file).string()};
}

std::string find_adapter(std::string_view library) {
  for (const std::string& place : places_of(library))
    if (::access(place.c_str(), R_OK) == 0)
      return place;
  return {};
}

} // namespace

std::vector<std::string> peer_libraries() {
  std::vector<std::string> names;
  for (const char* name : {"openblas", "onednn"})
    if (!find_adapter(name).empty())
      names.emplace_back(name);
  return names;
}

Result<Peer> peer_artifact(std::string_view library, std::string_view entry,
                           std::vector<codegen::ArgumentSpec> signature, std::vector<int64_t> sizes,
                           int threads) {
  const std::string path = find_adapter(library);
  if (path.empty())
    return Error(ErrorCode::kNotFound,
                 fmt::format("there is no adapter for {} ({}); install the library's development "
                             "package and build temper again",
                             library, join(places_of(library), ", ")));
  auto artifact = std::make_shared<codegen::Artifact>();
  artifact->kind = codegen::ArtifactKind::kLibrary;
  artifact->library_path = path;
  artifact->environment = best_environment(library);
  artifact->entry = std::string(entry);
  artifact->signature = std::move(signature);
  for (size_t i = 0; i < sizes.size(); ++i)
    artifact->signature.push_back({fmt::format("size{}", i), DataType::int64(), {}, false, false});
  artifact->launch.threads = threads;
  artifact->target = "native";
  artifact->code_hash = hash_combine(hash_bytes(std::string(library) + "/" + std::string(entry)),
                                     static_cast<uint64_t>(threads));
  return Peer{library == "openblas" ? "OpenBLAS"
              : library == "onednn" ? "oneDNN"
                                    : std::string(library),
              std::move(artifact), std::move(sizes)};
}

} // namespace temper::engine
