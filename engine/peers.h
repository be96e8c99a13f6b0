/// Libraries to be compared with: OpenBLAS, BLIS, MKL, oneDNN and PyTorch behind the calling
/// convention of an artifact, each at its best setting. What their entries take:
/// engine/peers/*.cpp.
///
///   TEMPER_TRY(peer, peer_artifact("openblas", "sgemm", workload.signature, {m, n, k}));
///   request.contenders.push_back({"OpenBLAS", peer.artifact, peer.extra_scalars});
#pragma once

#include "codegen/artifact.h"
#include "engine/fma_probe.h"
#include "ir/support/result.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace temper::engine {

struct Peer {
  std::string name; ///< "OpenBLAS", "BLIS", "MKL", "oneDNN", "PyTorch"
  std::string file; ///< the shared library with the routine; empty where that is not known
  std::shared_ptr<const codegen::Artifact> artifact;
  std::vector<int64_t> extra_scalars;
};

/// "openblas", "blis", "mkl", "onednn", "torch": those that are here. MKL is looked for in the
/// directories of the system's loader, and in $TEMPER_MKL, the path of its libmkl_rt.so.
std::vector<std::string> peer_libraries();

/// What a workload's baseline `library` stands for: "blas" for every BLAS library that is here, or
/// OpenBLAS when none is; any other for itself.
std::vector<std::string> libraries_of(std::string_view library);

/// The peer's entry over the workload's arguments. An error when the library or its adapter is not
/// here, or cannot use as many threads.
Result<Peer> peer_artifact(std::string_view library, std::string_view entry,
                           std::vector<codegen::ArgumentSpec> signature, std::vector<int64_t> sizes,
                           int threads = 1);

/// `function` of a shared library in tvm-ffi's C ABI, as Apache TVM's export_library ("main") and
/// `temper export` leave them, over the workload's arguments, in the order of `signature` and with
/// its shapes; or with `shapes`, one for each argument and of as many elements, where the function
/// counts dimensions otherwise (dense row-major memory is the same). One thread.
Result<Peer> ffi_peer(std::string name, const std::string& library_path, std::string_view function,
                      std::vector<codegen::ArgumentSpec> signature,
                      const std::vector<std::vector<int64_t>>& shapes = {});

/// An argument of a C function: a buffer of the workload, or a value.
struct CArgument {
  enum class Kind : uint8_t { kBuffer, kInt32, kInt64, kFloat32, kFloat64 };
  Kind kind = Kind::kBuffer;
  size_t buffer = 0; ///< number in the workload's signature
  int64_t integer = 0;
  double real = 0;
};

/// A function with a C signature; what it returns is not looked at. `library`: one of
/// peer_libraries() that is a BLAS, at its best setting, or the path of a shared library. The call
/// goes through libffi, which takes some 20 ns.
Result<Peer> c_peer(std::string_view library, const std::string& function,
                    const std::vector<CArgument>& arguments,
                    std::vector<codegen::ArgumentSpec> signature, int threads = 1);

/// The processor's peak as a contender, "peak": so many `operations` of that kind in registers,
/// whatever the arguments are. One thread; an error where the processor has no such instruction.
Result<Peer> peak_peer(FmaKind kind, double operations,
                       std::vector<codegen::ArgumentSpec> signature);
inline constexpr const char* kPeakName = "peak";

} // namespace temper::engine
