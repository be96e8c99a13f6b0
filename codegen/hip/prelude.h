/// What printed kernels need of HIP C++ and CUDA C++'s own functions, as text without a header:
/// attributes, shuffles, atomics, conversions, matrix products. For clang's amdgcn.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace temper::codegen {

/// As cuda_prelude(): these functions and what they use, each once, behind what every kernel needs.
std::string hip_prelude(const std::vector<std::string>& names);
bool in_hip_prelude(std::string_view name);

} // namespace temper::codegen
