#include "engine/peers.h"

#include "ir/support/hash.h"
#include "ir/support/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <sstream>

#include <unistd.h>

namespace temper::engine {
namespace {

struct Library {
  std::string_view key;
  std::string_view name;
  std::string_view adapter;
  std::string_view package; ///< that brings it
  /// Of a BLAS library.
  std::vector<std::string_view> files = {};
};

const std::vector<Library>& libraries() {
  static const std::vector<Library> all = {
      {"openblas",
       "OpenBLAS",
       "blas",
       "package libopenblas0",
       {"libopenblas.so.0", "libopenblas.so"}},
      {"blis", "BLIS", "blas", "package libblis4-serial", {"libblis.so.4"}},
      {"mkl", "MKL", "blas", "Python package mkl", {"libmkl_rt.so.3", "libmkl_rt.so.2"}},
      {"onednn", "oneDNN", "onednn", "package libdnnl-dev, before temper is built"},
      {"torch", "PyTorch", "torch", "Python package torch (./dev bench does)"},
  };
  return all;
}

const Library* find_library(std::string_view key) {
  const auto& all = libraries();
  const auto at = std::find_if(all.begin(), all.end(),
                               [&](const Library& library) { return library.key == key; });
  return at == all.end() ? nullptr : &*at;
}

/// The library behind an adapter that is linked to one; see peers/CMakeLists.txt.
std::string linked_file(const Library& library) {
  return library.key == "onednn"  ? TEMPER_ONEDNN_FILE
         : library.key == "torch" ? TEMPER_TORCH_FILE
                                  : "";
}

/// Where a BLAS library is; empty when it is not here. Its file is looked for by hand: loading it
/// to ask the loader would start its threads in this process.
std::string find_blas(const Library& library) {
  if (const char* path = std::getenv("TEMPER_MKL"); path != nullptr && library.key == "mkl")
    return ::access(path, R_OK) == 0 ? path : "";
  std::vector<std::string> folders;
  if (const char* paths = std::getenv("LD_LIBRARY_PATH")) {
    std::istringstream stream(paths);
    for (std::string folder; std::getline(stream, folder, ':');)
      folders.push_back(folder);
  }
  for (const char* system : {"/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu",
                             "/usr/lib64", "/usr/local/lib", "/opt/intel/oneapi/mkl/latest/lib"})
    for (const char* variant :
         {"", "/openblas-pthread", "/openblas-openmp", "/openblas-serial", "/blis-serial"})
      folders.push_back(std::string(system) + variant);
  for (const std::string& folder : folders)
    for (const std::string_view file : library.files)
      if (const auto path = std::filesystem::path(folder) / file;
          !folder.empty() && ::access(path.c_str(), R_OK) == 0)
        return path.string();
  return {};
}

std::map<std::string, std::string> best_environment(const Library& library, int threads) {
  std::map<std::string, std::string> environment;
  if (library.adapter == "blas")
    environment["TEMPER_PEER_BLAS"] = find_blas(library);
  if (library.key == "mkl")
    environment["MKL_THREADING_LAYER"] = threads > 1 ? "GNU" : "SEQUENTIAL";
#if defined(__x86_64__)
  // OpenBLAS and BLIS pick their kernels by a table of processor models; one that is younger than
  // the library gets kernels that are too old. The instruction sets are what counts.
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (library.key == "openblas" && !std::getenv("OPENBLAS_CORETYPE")) {
    if (__builtin_cpu_supports("avx512bf16"))
      environment["OPENBLAS_CORETYPE"] = "Cooperlake";
    else if (avx512)
      environment["OPENBLAS_CORETYPE"] = "SkylakeX";
    else if (avx2)
      environment["OPENBLAS_CORETYPE"] = "Haswell";
  }
  if (library.key == "blis" && !std::getenv("BLIS_ARCH_TYPE") && (avx512 || avx2))
    environment["BLIS_ARCH_TYPE"] = avx512 ? "skx" : "haswell";
#endif
  return environment;
}

std::vector<std::string> places_of(std::string_view adapter) {
  const std::string file = fmt::format("libtemper_peer_{}.so", adapter);
  std::error_code ignored;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  return {(self.parent_path() / "lib" / file).string(),
          (self.parent_path() / "lib" / "temper" / file).string(),
          (self.parent_path() / "libexec" / "temper" / file).string(),
          (std::filesystem::path(TEMPER_PEERS_BUILD_PATH) / file).string()};
}

std::string find_adapter(std::string_view adapter) {
  for (const std::string& place : places_of(adapter))
    if (::access(place.c_str(), R_OK) == 0)
      return place;
  return {};
}

/// An adapter that is built with temper.
Result<std::string> own_adapter(std::string_view adapter, std::string_view what) {
  std::string path = find_adapter(adapter);
  if (path.empty())
    return Error(ErrorCode::kNotFound, fmt::format("temper's adapter for {} is not at {}", what,
                                                   join(places_of(adapter), ", ")));
  return path;
}

} // namespace

std::vector<std::string> peer_libraries() {
  std::vector<std::string> keys;
  for (const Library& library : libraries())
    if (!find_adapter(library.adapter).empty() &&
        (library.adapter != "blas" || !find_blas(library).empty()))
      keys.emplace_back(library.key);
  return keys;
}

std::vector<std::string> libraries_of(std::string_view library) {
  if (library != "blas")
    return {std::string(library)};
  std::vector<std::string> keys = peer_libraries();
  std::erase_if(keys, [](const std::string& key) { return find_library(key)->adapter != "blas"; });
  return keys.empty() ? std::vector<std::string>{"openblas"} : keys;
}

Result<Peer> peer_artifact(std::string_view key, std::string_view entry,
                           std::vector<codegen::ArgumentSpec> signature, std::vector<int64_t> sizes,
                           int threads) {
  const Library* library = find_library(key);
  if (library == nullptr) {
    std::vector<std::string> keys{"blas"};
    for (const Library& known : libraries())
      keys.emplace_back(known.key);
    return Error(ErrorCode::kNotFound, fmt::format("there is no library '{}' to compare with; the "
                                                   "known ones are {}",
                                                   key, join(keys, ", ")));
  }
  const std::string adapter = find_adapter(library->adapter);
  auto artifact = std::make_shared<codegen::Artifact>();
  artifact->environment = best_environment(*library, threads);
  if (adapter.empty() ||
      (library->adapter == "blas" && artifact->environment["TEMPER_PEER_BLAS"].empty()))
    return Error(ErrorCode::kNotFound,
                 fmt::format("{} is not here; install {}", library->name, library->package));
  if (library->key == "blis" && threads > 1)
    return Error(ErrorCode::kUnsupported, "the serial BLIS has one thread");
  artifact->kind = codegen::ArtifactKind::kLibrary;
  artifact->library_path = adapter;
  artifact->entry = std::string(entry);
  artifact->signature = std::move(signature);
  for (size_t i = 0; i < sizes.size(); ++i)
    artifact->signature.push_back({fmt::format("size{}", i), DataType::int64(), {}, false, false});
  artifact->launch.threads = threads;
  artifact->target = "native";
  artifact->code_hash = hash_combine(hash_bytes(std::string(key) + "/" + std::string(entry)),
                                     static_cast<uint64_t>(threads));
  std::string file = library->adapter == "blas" ? artifact->environment["TEMPER_PEER_BLAS"]
                                                : linked_file(*library);
  return Peer{std::string(library->name), std::move(file), std::move(artifact), std::move(sizes)};
}

Result<Peer> ffi_peer(std::string name, const std::string& library_path, std::string_view function,
                      std::vector<codegen::ArgumentSpec> signature,
                      const std::vector<std::vector<int64_t>>& shapes) {
  std::error_code failed;
  const auto path = std::filesystem::absolute(library_path, failed);
  if (failed || ::access(path.c_str(), R_OK) != 0)
    return Error(ErrorCode::kNotFound, fmt::format("there is no library '{}'", library_path));
  TEMPER_TRY(adapter, own_adapter("ffi", "libraries in tvm-ffi's ABI"));
  if (!shapes.empty() && shapes.size() != signature.size())
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("{} shapes are given for {} and the kernel has {} arguments",
                             shapes.size(), name, signature.size()));
  std::string arguments;
  for (size_t i = 0; i < signature.size(); ++i) {
    codegen::ArgumentSpec argument = signature[i];
    if (!shapes.empty())
      argument.shape = shapes[i];
    if (argument.element_count() != signature[i].element_count())
      return Error(ErrorCode::kInvalidArgument,
                   fmt::format("{}'s shape {} of '{}' has {} elements, the kernel's has {}", name,
                               fmt::join(argument.shape, "x"), argument.name,
                               argument.element_count(), signature[i].element_count()));
    const DataType type = argument.dtype;
    const char kind = type.is_floating() ? 'f' : type.is_uint() ? 'u' : 'i';
    arguments += fmt::format("{}{}{}:{}", arguments.empty() ? "" : ";",
                             type == DataType::bfloat16() ? 'b' : kind, type.bits,
                             fmt::join(argument.shape, ","));
  }
  auto artifact = std::make_shared<codegen::Artifact>();
  artifact->kind = codegen::ArtifactKind::kLibrary;
  artifact->library_path = adapter;
  artifact->entry = "ffi";
  artifact->signature = std::move(signature);
  artifact->environment = {{"TEMPER_PEER_FFI_LIBRARY", path.string()},
                           {"TEMPER_PEER_FFI_FUNCTION", std::string(function)},
                           {"TEMPER_PEER_FFI_ARGUMENTS", std::move(arguments)}};
  artifact->launch.threads = 1;
  artifact->target = "native";
  artifact->code_hash = hash_bytes(path.string() + ":" + std::string(function));
  return Peer{std::move(name), path.string(), std::move(artifact), {}};
}

Result<Peer> c_peer(std::string_view library, const std::string& function,
                    const std::vector<CArgument>& arguments,
                    std::vector<codegen::ArgumentSpec> signature, int threads) {
  auto artifact = std::make_shared<codegen::Artifact>();
  Peer peer;
  if (const Library* known = find_library(library); known != nullptr) {
    if (known->adapter != "blas")
      return Error(ErrorCode::kUnsupported,
                   fmt::format("{} has no C functions over plain buffers; its routines are named "
                               "without types",
                               known->name));
    artifact->environment = best_environment(*known, threads);
    peer.name = known->name;
    peer.file = artifact->environment["TEMPER_PEER_BLAS"];
    artifact->environment.erase("TEMPER_PEER_BLAS");
    if (peer.file.empty())
      return Error(ErrorCode::kNotFound,
                   fmt::format("{} is not here; install {}", known->name, known->package));
  } else {
    std::error_code failed;
    const auto path = std::filesystem::absolute(std::filesystem::path(library), failed);
    if (failed || ::access(path.c_str(), R_OK) != 0)
      return Error(ErrorCode::kNotFound, fmt::format("there is no library '{}'", library));
    peer.name = path.filename().string();
    peer.file = path.string();
  }
  TEMPER_TRY(adapter, own_adapter("c", "C functions"));
  artifact->library_path = adapter;
  std::vector<std::string> words;
  for (const CArgument& argument : arguments)
    switch (argument.kind) {
    case CArgument::Kind::kBuffer:
      words.push_back(fmt::format("p{}", argument.buffer));
      break;
    case CArgument::Kind::kInt32:
    case CArgument::Kind::kInt64:
      words.push_back(fmt::format("{}={}", argument.kind == CArgument::Kind::kInt32 ? "i32" : "i64",
                                  argument.integer));
      break;
    case CArgument::Kind::kFloat32:
    case CArgument::Kind::kFloat64:
      words.push_back(fmt::format(
          "{}={}", argument.kind == CArgument::Kind::kFloat32 ? "f32" : "f64", argument.real));
      break;
    }
  artifact->environment["TEMPER_PEER_C_LIBRARY"] = peer.file;
  artifact->environment["TEMPER_PEER_C_FUNCTION"] = function;
  artifact->environment["TEMPER_PEER_C_ARGUMENTS"] = join(words, ";");
  artifact->kind = codegen::ArtifactKind::kLibrary;
  artifact->entry = "c_function";
  artifact->signature = std::move(signature);
  artifact->launch.threads = threads;
  artifact->target = "native";
  artifact->code_hash = hash_combine(hash_bytes(peer.file + ":" + function + join(words, ";")),
                                     static_cast<uint64_t>(threads));
  peer.artifact = std::move(artifact);
  return peer;
}

Result<Peer> peak_peer(FmaKind kind, double operations,
                       std::vector<codegen::ArgumentSpec> signature) {
  if (fma_probe(kind).run == nullptr)
    return Error(ErrorCode::kUnsupported,
                 fmt::format("this processor has no instruction that multiplies and adds {}",
                             to_string(kind)));
  TEMPER_TRY(adapter, own_adapter("peak", "the processor's peak"));
  auto artifact = std::make_shared<codegen::Artifact>();
  artifact->kind = codegen::ArtifactKind::kLibrary;
  artifact->library_path = adapter;
  artifact->entry = "peak";
  artifact->signature = std::move(signature);
  artifact->environment = {
      {"TEMPER_PEER_PEAK", fmt::format("{} {:.0f}", to_string(kind), operations)}};
  artifact->launch.threads = 1;
  artifact->target = "native";
  artifact->code_hash = hash_bytes(artifact->environment["TEMPER_PEER_PEAK"]);
  return Peer{kPeakName, adapter, std::move(artifact), {}};
}

} // namespace temper::engine
