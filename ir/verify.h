/// Well-formedness: what every pass, primitive and code generator may take for granted.
///
///   main, for i, block C: variable 'j' is a loop outside the block; give the block an axis for it
///
/// Checked: definitions (once, before use, in scope; loops are not seen inside blocks), types of
/// operands, conditions and stored values, ranks of accesses and regions, blocks (a value per axis,
/// regions that cover what the body touches), sequences (flat, not of one statement), break and
/// continue inside loops that may have them, statements that occur once, and indices that are
/// outside of their buffer whatever the loops do.
///
/// Rules of a layer's own statements are registered with it (s_tir::register_layer).
#pragma once

#include "ir/module.h"
#include "ir/support/result.h"

#include <functional>

namespace temper::ir {

struct VerifyOptions {
  /// Text of the function with the node marked, appended to the error as a note; the printer lies
  /// above this library.
  std::function<std::string(const PrimFunc& function, const NodeRef& marked)> render;
};

/// The first rule that is broken (kInvalidArgument), with the path to the place.
Result<void> verify(const IRModule& module, const VerifyOptions& options = {});
Result<void> verify(const PrimFunc& function, const VerifyOptions& options = {});

/// verify(), and where accesses lie in the iterations that certainly run: one outside of its buffer
/// is an error (kInvalidArgument, "line 3, column 5: " where that is known, with values of the
/// loops). true: it is proven that there is none;
/// false: nothing was found, but some depend on what memory holds, or could not be followed.
/// Indices of elements and regions of matched buffers count. What tile operators touch beyond a
/// buffer, and what any statement of a kernel does beyond one in global memory, is left out by
/// their meaning.
Result<bool> verify_accesses(const PrimFunc& function, const VerifyOptions& options = {});

} // namespace temper::ir
