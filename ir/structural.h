/// Structural equality up to renaming of variables and buffers, and the hash that goes with it:
/// equal programs have equal hashes, on every host and in every run. Both derive from fields().
#pragma once

#include "ir/node.h"

#include <string>

namespace temper::ir {

/// Variables and buffers that are defined nowhere inside `a` and `b` are equal only to themselves.
/// `difference`, when given, gets the path to the first difference, as
/// "PrimFunc.body.block.body.extent: 128 against 64".
bool structural_equal(const NodeRef& a, const NodeRef& b, std::string* difference = nullptr);

/// As structural_equal, but free variables and buffers of `a` and `b` may stand for each other
/// (consistently): compares fragments of two programs.
bool structural_equal_free(const NodeRef& a, const NodeRef& b);

/// Free variables and buffers hash by their type and order of appearance.
uint64_t structural_hash(const NodeRef& node);

} // namespace temper::ir
