/// What a kernel would be lowered to, its loops not expanded (ir/pass/fold.h): enough to estimate
/// its time (tuner/cost/analytical.h), in half of the time that lower_for_cpu takes.
#pragma once

#include "codegen/lower.h"

namespace temper::codegen {

/// As lower_for_cpu; the result is neither verified nor compiled. Two programs whose results are
/// structurally equal compile to the same code.
Result<ir::IRModule> lower_for_estimate(const ir::IRModule& module, const LowerOptions& options);

} // namespace temper::codegen
