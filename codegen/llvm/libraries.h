/// Private to codegen/llvm: which of the system's libraries define a symbol.
#pragma once

#include "ir/support/result.h"

#include <string>
#include <string_view>
#include <vector>

namespace temper::codegen {

/// Paths of the libraries, out of the C library, libm and OpenMP's runtime, that define
/// `undefined`.
Result<std::vector<std::string>> system_libraries_for(const std::vector<std::string>& undefined);

bool is_openmp_symbol(std::string_view symbol);

} // namespace temper::codegen
