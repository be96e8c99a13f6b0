/// Expanding loops, for the passes that decide which (unroll_loops, promote_registers).
#pragma once

#include "ir/arith/simplify.h"
#include "ir/tir/stmt.h"
#include "ir/walk.h"

#include <unordered_set>

namespace temper::ir {

using LoopSet = std::unordered_set<const tir::For*>;

/// `stmt` with each loop of `loops` (constant bounds) replaced by its iterations in order, whatever
/// its kind, and indices simplified. What is defined inside is defined anew in each copy.
/// `analyzer` knows the loops around `stmt`.
Stmt expand_loops(const Stmt& stmt, const LoopSet& loops, Analyzer& analyzer);

/// Whether the variables of `loops` are used in `stmt` as terms of indices only, so that expanding
/// them changes constants and nothing else.
bool expands_by_constants(const Stmt& stmt, const LoopSet& loops);

/// The statements that do something (stores, calls) in one run of `stmt`, loops counted once unless
/// in `loops`.
int64_t count_statements(const Stmt& stmt, const LoopSet& loops);

} // namespace temper::ir
