/// Constant operands, and the copies of them that are made ahead of a kernel's calls.
///
/// A function says in an attribute which parameters stay the same from call to call (weights); a
/// schedule may copy such a parameter into another layout and mark the copy (primitive pack_ahead);
/// split_packs takes marked copies out, each into a function of its own:
///
///   def main(A, B, C):                          def main(A, B_packed, C):
///       T.func_attr({"layout_free_buffers": [1]})    ... C reads B_packed ...
///       with T.sblock("B_global"):  # marked
///           B_global[..] = B[..]          ->    def main_pack_B(B, B_packed):
///       ... C reads B_global ...                     T.func_attr({"temper.pack": 1})
///                                                    B_packed[..] = B[..]
///
/// main_pack_B then main computes what main computed before. Attribute and annotation are spelled
/// as TVM spells them.
#pragma once

#include "ir/module.h"
#include "ir/s_tir/block.h"
#include "ir/support/result.h"

#include <optional>
#include <string>
#include <vector>

namespace temper::s_tir {

/// Attribute of a function: the positions of its constant parameters.
inline constexpr const char* kConstantOperands = "layout_free_buffers";
/// Annotation of a block: a copy of a constant parameter that is made ahead.
inline constexpr const char* kPackedAhead = "meta_schedule.layout_rewrite_preproc";
/// Attribute of a function that split_packs made: which parameter of the kernel it packs. Its own
/// are that parameter as the caller has it, then the packed one, which it writes.
inline constexpr const char* kPackOf = "temper.pack";

/// The function with the parameters of these names constant, in the order of its parameters; none
/// takes the attribute away. The error names what is no buffer parameter, or is written.
Result<PrimFunc> with_constant_operands(const PrimFunc& function,
                                        const std::vector<std::string>& names);
/// Positions of the constant parameters, ascending.
std::vector<size_t> constant_operands(const PrimFunc& function);

/// Marked copies become functions: NAME_pack_PARAMETER, behind all others. What of a packed buffer
/// is no copy (the rest of a last panel) is zero. A module without marks comes back as it is. The
/// error (kIllegal) says which rule a marked block breaks.
Result<IRModule> split_packs(const IRModule& module);

/// The parameter that a function made by split_packs packs; nothing for other functions.
std::optional<size_t> packed_parameter(const PrimFunc& function);

} // namespace temper::s_tir
