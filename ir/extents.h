/// The extents of symbolic dimensions at which a program is checked and timed: an attribute of its
/// function, so that a program at another extent is another workload. Its kernel serves every
/// extent all the same.
///
///   m = T.dynamic("m")
///   def main(A: T.Tensor((m, 64), "float32")):
///       T.func_attr({"temper.extents": [["m", 4096]]})
#pragma once

#include "ir/function.h"
#include "ir/support/result.h"

#include <string>
#include <utility>
#include <vector>

namespace temper::ir {

using Extents = std::vector<std::pair<std::string, int64_t>>;

/// With the extents of its own symbolic dimensions, in their order; what else is named is left out.
PrimFunc with_extents(const PrimFunc& function, const Extents& extents);
/// What with_extents gave it.
Extents extents_of(const PrimFunc& function);
/// The symbolic dimensions without an extent, by name.
std::vector<std::string> open_dimensions(const PrimFunc& function);

/// The program for its extents alone: dimensions are numbers. `keep_parameters`: they stay
/// parameters, which nothing uses, behind the others (size_parameters of the symbolic program takes
/// them there). The function itself when it has no symbolic dimension; an error names those that
/// are open.
Result<PrimFunc> bound_to_extents(const PrimFunc& function, bool keep_parameters);

/// Shapes of the parameters at its extents; of a scalar an empty one. An error names dimensions
/// that are open, or have no extent that could be known.
Result<std::vector<std::vector<int64_t>>> shapes_at_extents(const PrimFunc& function);

} // namespace temper::ir
