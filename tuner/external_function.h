/// Functions that temper did not make, as a user names them: measured by the same harness as a
/// candidate, compared in the same tables, kept as rows of the database.
///
///   openblas                        what the workload's file says of that library
///   openblas:sgemm(M, N, K)         a routine of an adapter (engine/peers/*.cpp) and its sizes
///   ./libmine.so:scale(const float* A, float* B, int64_t M, int N)
///   openblas:cblas_sgemm(int 101, int 111, int 111, int M, int N, int K, float 1,
///                        const float* A, int K, const float* B, int N, float 0, float* C, int N)
///                                   a function in C: each argument has its type, then a buffer or
///                                   parameter of the workload, or a number
///   ./libmine.so:scale              a function in tvm-ffi's ABI, over the workload's buffers
#pragma once

#include "database/store.h"
#include "engine/peers.h"
#include "tuner/task.h"

#include <string>
#include <string_view>
#include <vector>

namespace temper::tuner {

/// The layer of workload rows that are functions of this kind. Such a row has the binding, flops
/// and bytes of the workload that it computes; its program is JSON that says which that is.
inline constexpr const char* kFunctionLayer = "function";

/// As written, and parsed as far as that goes without a workload.
struct ExternalFunction {
  struct Argument {
    std::string type; ///< "int", "const float*"; empty in calls of an adapter's routine
    std::string value;
  };
  enum class Form : uint8_t { kBaseline, kRoutine, kC, kFfi };
  Form form = Form::kBaseline;
  std::string library; ///< "openblas", or a path
  std::string function;
  std::vector<Argument> arguments;

  /// "openblas:sgemm", "libmine.so:scale": what its rows are called.
  std::string name() const;
};

Result<ExternalFunction> parse_external_function(std::string_view text);

/// The function over the arguments of a task. An error names the argument that does not fit, or the
/// library or function that is not here. Where operands are constant a library's routine is the one
/// that packs them once, ahead, where there is such a one; `name` says which it is.
Result<engine::Peer> external_peer(const ExternalFunction& function, const Task& task);

/// The libraries' routines that the task's file names, a library each ("blas" is all that are
/// here).
std::vector<ExternalFunction> baseline_functions(const Task& task);

/// The row of the function as a way to compute the task.
database::Workload function_row(const std::string& name, const engine::Peer& peer, const Task& task,
                                const database::Id& computes);
/// The library in the place of a compiler: its name, file, what the file holds, and its settings.
Result<database::Toolchain> library_toolchain(const engine::Peer& peer);
/// Of a library or of another program's benchmarks, not of our compiler.
bool is_external(const database::Toolchain& toolchain);

} // namespace temper::tuner
