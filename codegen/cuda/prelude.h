/// What printed kernels need of PTX, as C++ text: small functions, each printed where it is used.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace temper::codegen {

/// The text of these functions and of what they use, each once, in a fixed order. Unknown names are
/// a bug.
std::string cuda_prelude(const std::vector<std::string>& names);
bool in_cuda_prelude(std::string_view name);

} // namespace temper::codegen
