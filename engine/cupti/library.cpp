#include "engine/cupti/library.h"

#include <fmt/format.h>

namespace temper::engine::cupti {
namespace {

Result<Library> open() {
  const auto missing = [](const std::string& why) {
    return Error(ErrorCode::kEnvironment,
                 "libcupti.so.13 is not found (" + why +
                     "); install CUDA's CUPTI, or the Python package nvidia-cuda-cupti, and name "
                     "its folder in TEMPER_CUDA_LIBRARIES");
  };
  auto found = codegen::load_cuda_library({"libcupti.so.13"});
  if (!found)
    return missing(found.error().message);
  Library library;
  library.library = std::move(*found);
  if (!library.library.find("cuptiGetVersion", library.version) ||
      !library.library.find("cuptiGetResultString", library.result_string))
    return missing(library.library.path + " is none");
  return library;
}

} // namespace

Result<const Library*> library() {
  static const Result<Library> loaded = open();
  if (!loaded)
    return loaded.error();
  return &*loaded;
}

std::string Library::words_of(CUptiResult code) const {
  switch (code) {
  case CUPTI_ERROR_INSUFFICIENT_PRIVILEGES:
  case CUPTI_ERROR_VIRTUALIZED_DEVICE_INSUFFICIENT_PRIVILEGES:
    return "the driver allows counters to administrators only: run as root or with CAP_SYS_ADMIN "
           "(CAP_PERFMON from driver 565 on; in a container --cap-add SYS_ADMIN), or load the "
           "kernel module nvidia with NVreg_RestrictProfilingToAdminUsers=0 "
           "(/proc/driver/nvidia/params shows it as RmProfilingAdminOnly); times need no "
           "permission";
  case CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED:
    return "another profiler is attached to this process (ncu, nsys, a framework's): only one can "
           "be";
  case CUPTI_ERROR_HARDWARE_BUSY:
    return "the GPU's counters are in use by another profiler on this machine";
  case CUPTI_ERROR_VIRTUALIZED_DEVICE_NOT_SUPPORTED:
    return "this virtual GPU has no counters";
  case CUPTI_ERROR_MIG_DEVICE_NOT_SUPPORTED:
    return "a part of a GPU (MIG) has no counters of its own";
  case CUPTI_ERROR_CONFIDENTIAL_COMPUTING_NOT_SUPPORTED:
    return "counters are not given under confidential computing";
  default:
    break;
  }
  const char* words = nullptr;
  return result_string(code, &words) == CUPTI_SUCCESS && words != nullptr
             ? words
             : fmt::format("CUPTI's error {}", static_cast<int>(code));
}

} // namespace temper::engine::cupti
