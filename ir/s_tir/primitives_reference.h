/// PRIMITIVES.md from the registry.
#pragma once

#include "ir/s_tir/primitive.h"

#include <string>

namespace temper::s_tir {

/// The whole file, as Markdown. tests/s_tir checks that PRIMITIVES.md is this.
std::string primitives_reference();
/// TENSOR_INTRINSICS.md, from the built-in entries of the table.
std::string tensor_intrinsics_reference();

/// A primitive as Python calls it: "fuse(*loops: loop, preserve_unit_iters: bool = True) -> loop".
std::string signature_of(const Primitive& primitive);

} // namespace temper::s_tir
