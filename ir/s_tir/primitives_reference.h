/// PRIMITIVES.md from the registry.
#pragma once

#include <string>

namespace temper::s_tir {

/// The whole file, as Markdown. tests/s_tir checks that PRIMITIVES.md is this.
std::string primitives_reference();
/// TENSOR_INTRINSICS.md, from the built-in entries of the table.
std::string tensor_intrinsics_reference();

} // namespace temper::s_tir
