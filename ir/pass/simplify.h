/// simplify_loops on a part of a function, for passes that cut loops.
#pragma once

#include "ir/arith/simplify.h"
#include "ir/stmt.h"

namespace temper::ir {

/// `analyzer` knows the loops and conditions around `stmt`.
Stmt simplify_loops(const Stmt& stmt, Analyzer& analyzer);

} // namespace temper::ir
