/// CUDA C++ to PTX and machine code by NVRTC, which is loaded when it is first asked for: the same
/// program runs where there is none, and says what is missing. Needs no GPU and no driver.
///
///   TEMPER_TRY(nvrtc, Nvrtc::load());
///   TEMPER_TRY(code, nvrtc->compile(source.text, "sm_90a"));
///
/// Where it is looked for: codegen/cuda/library.h. Safe to call from several threads.
#pragma once

#include "ir/support/result.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace temper::codegen {

/// What ptxas says of a kernel.
struct CudaFacts {
  std::string kernel;
  int64_t registers = 0; ///< of a thread
  int64_t stack_bytes = 0;
  int64_t spill_store_bytes = 0;
  int64_t spill_load_bytes = 0;
  int64_t barriers = 0;
  int64_t shared_bytes = 0; ///< static
  int64_t constant_bytes = 0;
  bool operator==(const CudaFacts&) const = default;
};
/// The facts in the report that ptxas writes with -v.
std::vector<CudaFacts> parse_ptxas_report(const std::string& log);

/// What a compiler of CUDA made.
struct CudaCode {
  std::string ptx;
  std::string cubin; ///< machine code
  std::vector<CudaFacts> facts;
  std::vector<std::string> warnings; ///< of front end and ptxas
  double seconds = 0;                ///< of this thread's processor time
};

class Nvrtc {
public:
  /// kEnvironment: which libraries were tried, and what to do.
  static Result<const Nvrtc*> load();

  /// "13.0".
  const std::string& version() const { return version_; }
  const std::string& path() const { return path_; }
  /// Of CUDA's headers, which sources may include; empty: they are not here.
  const std::vector<std::string>& include_folders() const { return include_folders_; }
  /// `architecture`: "sm_90a". kFailed: the first error of the compiler with its line of the
  /// source; kFailed too when `deadline_seconds` of the process' processor time (0: no limit) are
  /// over, where the library can be stopped.
  Result<CudaCode> compile(const std::string& source, const std::string& architecture,
                           double deadline_seconds = 0) const;

  struct Functions;
  ~Nvrtc();

private:
  Nvrtc() = default;
  static Result<std::unique_ptr<Nvrtc>> open();

  std::string version_;
  std::string path_;
  std::vector<std::string> include_folders_; ///< of CUDA's headers
  std::unique_ptr<Functions> functions_;
};

/// The lines of a compiler's report that warn.
std::vector<std::string> warnings_in(const std::string& log);

/// What limits how many blocks a multiprocessor holds at a time, and how many there are.
struct Occupancy {
  int64_t blocks = 0; ///< 0: it does not run
  std::string limit;  ///< "registers", "shared memory", "threads", "blocks"
  double warps = 0;   ///< of those that a multiprocessor can hold, 0 to 1
};
/// `architecture`: 80 for sm_80.
Occupancy occupancy_of(int architecture, int64_t threads, int64_t registers, int64_t shared_bytes);

} // namespace temper::codegen
