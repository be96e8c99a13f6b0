/// CUPTI as it is loaded, for the sources of this folder.
#pragma once

#include "codegen/cuda/library.h"
#include "ir/support/result.h"

#include <cupti.h>

#include <string>

namespace temper::engine::cupti {

struct Library {
  codegen::CudaLibrary library;
  decltype(&::cuptiGetVersion) version = nullptr;
  decltype(&::cuptiGetResultString) result_string = nullptr;

  /// What a code means and, where somebody can do something about it, what.
  std::string words_of(CUptiResult code) const;
};
/// Once per process. kEnvironment: where it was looked for, and what to install.
Result<const Library*> library();

} // namespace temper::engine::cupti
