#include "codegen/cuda/assemble.h"

#include "codegen/cuda/cubin.h"
#include "codegen/cuda/library.h"
#include "codegen/process.h"
#include "ir/support/text.h"

#include <array>
#include <cstdlib>

namespace temper::codegen {
namespace {

Result<AssembledPtx> by_ptxas(const std::string& program, const std::string& ptx,
                              const std::string& architecture, double deadline_seconds) {
  TEMPER_TRY(folder, ScratchFolder::make());
  const std::string text = folder / "kernel.ptx", cubin = folder / "kernel.cubin";
  TEMPER_TRY_VOID(write_file(text, ptx));
  TEMPER_TRY(
      log, run_program({program, "-arch=" + architecture, "-v", "-warn-spills", "-o", cubin, text},
                       deadline_seconds));
  TEMPER_TRY(bytes, read_file(cubin));
  return AssembledPtx{std::move(bytes), parse_ptxas_report(log), warnings_in(log), "ptxas"};
}

Result<AssembledPtx> by_nvjitlink(const std::string& ptx, const std::string& architecture) {
  TEMPER_TRY(library, load_cuda_library({"libnvJitLink.so.13", "libnvJitLink.so.12"}));
  using Handle = void*;
  constexpr int kPtx = 2; // nvJitLinkInputType
  int (*create)(Handle*, uint32_t, const char**) = nullptr;
  int (*destroy)(Handle*) = nullptr;
  int (*add)(Handle, int, const void*, size_t, const char*) = nullptr;
  int (*complete)(Handle) = nullptr;
  int (*size_of)(Handle, size_t*) = nullptr;
  int (*get)(Handle, void*) = nullptr;
  int (*log_size)(Handle, size_t*) = nullptr;
  int (*log)(Handle, char*) = nullptr;
  const auto find = [&](const char* name, auto& function) {
    // The plain names are of this version; CUDA 12's library has versioned ones alone.
    return library.find(name, function) ||
           library.find(("__" + std::string(name) + "_12_0").c_str(), function);
  };
  if (!find("nvJitLinkCreate", create) || !find("nvJitLinkDestroy", destroy) ||
      !find("nvJitLinkAddData", add) || !find("nvJitLinkComplete", complete) ||
      !find("nvJitLinkGetLinkedCubinSize", size_of) || !find("nvJitLinkGetLinkedCubin", get) ||
      !find("nvJitLinkGetErrorLogSize", log_size) || !find("nvJitLinkGetErrorLog", log))
    return Error(ErrorCode::kEnvironment, library.path + " lacks functions of CUDA 12");
  const std::string arch = "-arch=" + architecture;
  std::array<const char*, 1> options = {arch.c_str()};
  Handle handle = nullptr;
  if (create(&handle, options.size(), options.data()) != 0)
    return Error(ErrorCode::kFailed, "nvJitLink does not assemble for " + architecture);
  struct Destroy {
    int (*function)(Handle*);
    Handle& handle;
    ~Destroy() { function(&handle); }
  } guard{destroy, handle};
  size_t size = 0;
  if (add(handle, kPtx, ptx.c_str(), ptx.size() + 1, "kernel.ptx") != 0 || complete(handle) != 0 ||
      size_of(handle, &size) != 0) {
    std::string text;
    if (log_size(handle, &size) == 0 && size > 0) {
      text.resize(size);
      if (log(handle, text.data()) != 0)
        text.clear();
    }
    return Error(ErrorCode::kFailed,
                 "nvJitLink: " + std::string(trim(text.substr(0, text.find('\n')))));
  }
  AssembledPtx result;
  result.assembler = "nvJitLink";
  result.cubin.resize(size);
  if (get(handle, result.cubin.data()) != 0)
    return Error(ErrorCode::kFailed, "nvJitLink keeps the machine code to itself");
  TEMPER_TRY(read, read_cubin(result.cubin));
  for (const CubinKernel& kernel : read.kernels) {
    CudaFacts facts;
    facts.kernel = kernel.name;
    facts.registers = kernel.registers;
    facts.stack_bytes = kernel.frame_bytes;
    facts.shared_bytes = kernel.shared_bytes;
    result.facts.push_back(std::move(facts));
  }
  return result;
}

} // namespace

Result<AssembledPtx> assemble_ptx(const std::string& ptx, const std::string& architecture,
                                  double deadline_seconds) {
  const char* named = std::getenv("TEMPER_PTXAS");
  std::vector<std::string> programs;
  if (named != nullptr && *named != '\0')
    programs = {named};
  else
    programs = {"ptxas", "/usr/local/cuda/bin/ptxas"};
  for (const std::string& program : programs) {
    auto made = by_ptxas(program, ptx, architecture, deadline_seconds);
    if (made || made.error().code != ErrorCode::kEnvironment)
      return made;
  }
  auto linked = by_nvjitlink(ptx, architecture);
  if (!linked && linked.error().code == ErrorCode::kEnvironment)
    return Error(ErrorCode::kEnvironment,
                 "there is neither ptxas (" + programs.front() +
                     ") nor nvJitLink to assemble PTX: " + linked.error().message);
  return linked;
}

} // namespace temper::codegen
