#include "codegen/cuda/nvrtc.h"

#include "codegen/cuda/library.h"
#include "ir/support/clock.h"
#include "ir/support/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::codegen {

// The part of NVRTC's interface that is used; it has been the same since CUDA 11.
struct Nvrtc::Functions {
  using Program = void*;
  int (*version)(int*, int*) = nullptr;
  const char* (*error_string)(int) = nullptr;
  int (*create)(Program*, const char*, const char*, int, const char* const*,
                const char* const*) = nullptr;
  int (*destroy)(Program*) = nullptr;
  int (*compile)(Program, int, const char* const*) = nullptr;
  int (*log_size)(Program, size_t*) = nullptr;
  int (*log)(Program, char*) = nullptr;
  int (*ptx_size)(Program, size_t*) = nullptr;
  int (*ptx)(Program, char*) = nullptr;
  int (*cubin_size)(Program, size_t*) = nullptr;
  int (*cubin)(Program, char*) = nullptr;
  /// From 12.9 on; null before.
  int (*set_flow_callback)(Program, int (*)(void*, void*), void*) = nullptr;
};

namespace {

constexpr int kCancelled = 16; ///< NVRTC_ERROR_CANCELLED

/// Of processor time: on a busy machine nothing fails that would not on a quiet one.
struct Deadline {
  double end_seconds; ///< by process_seconds(): NVRTC may ask from a thread of its own
  static int passed(void* payload, void*) {
    return process_seconds() > static_cast<Deadline*>(payload)->end_seconds ? 1 : 0;
  }
};

/// The number in front of `what`, as in "Used 168 registers".
int64_t number_before(const std::string& line, const std::string& what) {
  const size_t at = line.find(what);
  if (at == std::string::npos || at == 0)
    return 0;
  size_t begin = at;
  while (begin > 0 && line[begin - 1] == ' ')
    --begin;
  const size_t end = begin;
  while (begin > 0 && std::isdigit(static_cast<unsigned char>(line[begin - 1])) != 0)
    --begin;
  return begin == end ? 0 : std::stoll(line.substr(begin, end - begin));
}

} // namespace

Nvrtc::~Nvrtc() = default; // the library stays loaded: it does not take being unloaded well

Result<std::unique_ptr<Nvrtc>> Nvrtc::open() {
  const auto missing = [](const std::string& why) {
    return Error(ErrorCode::kEnvironment,
                 "CUDA code cannot be compiled here: libnvrtc.so.13 is not found (" + why +
                     "); install CUDA's NVRTC, or the Python package nvidia-cuda-nvrtc, and name "
                     "its folder in TEMPER_CUDA_LIBRARIES");
  };
  const auto library = load_cuda_library({"libnvrtc.so.13", "libnvrtc.so.12"});
  if (!library)
    return missing(library.error().message);
  std::unique_ptr<Nvrtc> nvrtc(new Nvrtc);
  nvrtc->functions_ = std::make_unique<Functions>();
  Functions& f = *nvrtc->functions_;
  const bool all =
      library->find("nvrtcVersion", f.version) &&
      library->find("nvrtcGetErrorString", f.error_string) &&
      library->find("nvrtcCreateProgram", f.create) &&
      library->find("nvrtcDestroyProgram", f.destroy) &&
      library->find("nvrtcCompileProgram", f.compile) &&
      library->find("nvrtcGetProgramLogSize", f.log_size) &&
      library->find("nvrtcGetProgramLog", f.log) && library->find("nvrtcGetPTXSize", f.ptx_size) &&
      library->find("nvrtcGetPTX", f.ptx) && library->find("nvrtcGetCUBINSize", f.cubin_size) &&
      library->find("nvrtcGetCUBIN", f.cubin);
  if (!all)
    return missing(library->path + " lacks functions of CUDA 12");
  library->find("nvrtcSetFlowCallback", f.set_flow_callback);
  int major = 0, minor = 0;
  f.version(&major, &minor);
  nvrtc->version_ = fmt::format("{}.{}", major, minor);
  nvrtc->path_ = library->path;
  nvrtc->include_folders_ = cuda_include_folders(*library);
  return nvrtc;
}

Result<const Nvrtc*> Nvrtc::load() {
  static const Result<std::unique_ptr<Nvrtc>> loaded = open();
  if (!loaded)
    return loaded.error();
  return loaded->get();
}

Result<CudaCode> Nvrtc::compile(const std::string& source, const std::string& architecture,
                                double deadline_seconds) const {
  const Functions& f = *functions_;
  Functions::Program program = nullptr;
  if (const int code = f.create(&program, source.c_str(), "kernel.cu", 0, nullptr, nullptr))
    return Error(ErrorCode::kFailed, std::string("NVRTC: ") + f.error_string(code));
  struct Destroy {
    const Functions& f;
    Functions::Program& program;
    ~Destroy() { f.destroy(&program); }
  } destroy{f, program};
  Deadline deadline{process_seconds() + deadline_seconds};
  if (deadline_seconds > 0 && f.set_flow_callback != nullptr)
    f.set_flow_callback(program, Deadline::passed, &deadline);
  const std::string arch = "--gpu-architecture=" + architecture;
  // One option each: a list after --ptxas-options is refused.
  std::vector<const char*> options = {arch.c_str(), "--std=c++17", "--ptxas-options=-v",
                                      "--ptxas-options=-warn-spills",
                                      "--extra-device-vectorization"};
  std::vector<std::string> includes;
  if (source.find("#include") != std::string::npos) // kernels of users
    for (const std::string& folder : include_folders_)
      includes.push_back("--include-path=" + folder);
  for (const std::string& option : includes)
    options.push_back(option.c_str());
  const double begin = thread_seconds();
  const int code = f.compile(program, static_cast<int>(options.size()), options.data());
  CudaCode result;
  result.seconds = thread_seconds() - begin;
  const auto text = [&](auto size_of, auto read) {
    size_t size = 0;
    std::string bytes;
    if (size_of(program, &size) == 0 && size > 0) {
      bytes.resize(size);
      if (read(program, bytes.data()) != 0)
        bytes.clear();
    }
    return bytes;
  };
  std::string log = text(f.log_size, f.log);
  while (!log.empty() && (log.back() == '\0' || log.back() == '\n'))
    log.pop_back();
  if (code != 0) {
    if (code == kCancelled)
      return Error(ErrorCode::kFailed,
                   fmt::format("compiling took longer than its deadline of {:.3g} s and was "
                               "stopped", // as the compile processes say it
                               deadline_seconds));
    std::string first;
    for (const std::string& line : split_text(log, '\n'))
      if (first.empty() &&
          (line.find("error") != std::string::npos || line.find("fatal") != std::string::npos))
        first = trim(line);
    if (first.find("open source file") != std::string::npos)
      first += include_folders_.empty()
                   ? "; CUDA's headers are not here: install them (of CUDA's toolkit, or the "
                     "Python package nvidia-cuda-runtime), and name their folder in "
                     "TEMPER_CUDA_INCLUDE"
                   : "; it is not in " + join(include_folders_, ", ") +
                         ", where CUDA's headers are (TEMPER_CUDA_INCLUDE names another folder); "
                         "what is the kernel's own stands in its file";
    return Error(ErrorCode::kFailed,
                 "NVRTC for " + architecture + ": " +
                     (first.empty() ? std::string(f.error_string(code)) : first));
  }
  result.ptx = text(f.ptx_size, f.ptx);
  while (!result.ptx.empty() && result.ptx.back() == '\0')
    result.ptx.pop_back();
  result.cubin = text(f.cubin_size, f.cubin);
  result.facts = parse_ptxas_report(log);
  result.warnings = warnings_in(log);
  return result;
}

std::vector<std::string> warnings_in(const std::string& log) {
  std::vector<std::string> warnings;
  for (const std::string& line : split_text(log, '\n'))
    if (line.find("warning") != std::string::npos)
      warnings.emplace_back(trim(line));
  return warnings;
}

std::vector<CudaFacts> parse_ptxas_report(const std::string& log) {
  std::vector<CudaFacts> facts;
  for (const std::string& line : split_text(log, '\n')) {
    const size_t entry = line.find("Compiling entry function '");
    if (entry != std::string::npos) {
      const size_t begin = entry + std::string("Compiling entry function '").size();
      CudaFacts fact;
      fact.kernel = line.substr(begin, line.find('\'', begin) - begin);
      facts.push_back(std::move(fact));
      continue;
    }
    if (facts.empty())
      continue;
    CudaFacts& fact = facts.back();
    if (line.find("bytes stack frame") != std::string::npos) {
      fact.stack_bytes = number_before(line, "bytes stack frame");
      fact.spill_store_bytes = number_before(line, "bytes spill stores");
      fact.spill_load_bytes = number_before(line, "bytes spill loads");
    } else if (line.find("Used ") != std::string::npos) {
      fact.registers = number_before(line, "registers");
      const size_t barriers = line.find("used ");
      fact.barriers =
          barriers == std::string::npos ? 0 : number_before(line.substr(barriers), "barriers");
      fact.shared_bytes = number_before(line, "bytes smem");
      fact.constant_bytes = number_before(line, "bytes cmem[0]");
    }
  }
  return facts;
}

Occupancy occupancy_of(int architecture, int64_t threads, int64_t registers, int64_t shared_bytes) {
  // Of a multiprocessor, by compute capability (CUDA C++ programming guide, "Technical
  // specifications"). Registers are given out to warps in units of 256; each block takes 1 KiB of
  // shared memory for the system.
  struct Limits {
    int64_t warps, blocks, shared_bytes;
  };
  const Limits limits = architecture >= 90 ? Limits{64, 32, int64_t{228} * 1024}
                        : architecture == 89 || architecture == 86
                            ? Limits{48, 24, int64_t{100} * 1024}
                        : architecture >= 80 ? Limits{64, 32, int64_t{164} * 1024}
                                             : Limits{32, 16, int64_t{64} * 1024};
  constexpr int64_t kRegisters = 65536;
  constexpr int64_t kUnit = 256;
  const int64_t warps = std::max<int64_t>(1, (threads + 31) / 32);
  const int64_t per_warp = std::max<int64_t>(kUnit, (registers * 32 + kUnit - 1) / kUnit * kUnit);
  const int64_t reserved = architecture >= 80 ? 1024 : 0;
  Occupancy result;
  result.blocks = limits.blocks;
  result.limit = "blocks";
  const auto limit = [&](int64_t blocks, const char* what) {
    if (blocks < result.blocks) {
      result.blocks = blocks;
      result.limit = what;
    }
  };
  limit(limits.warps / warps, "threads");
  limit(kRegisters / (per_warp * warps), "registers");
  limit(limits.shared_bytes / std::max<int64_t>(1, shared_bytes + reserved), "shared memory");
  result.warps = static_cast<double>(result.blocks * warps) / static_cast<double>(limits.warps);
  return result;
}

} // namespace temper::codegen
