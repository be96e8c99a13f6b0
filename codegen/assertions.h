/// What the assertions of a kernel for a CPU say, kept beside its code for whoever runs it: a
/// constant in the shared object, one line for each,
///
///   CODE <tab> LINE <tab> MESSAGE
///
/// CODE is what the entry returns when the assertion does not hold, LINE that of the program's
/// text (0: not known).
#pragma once

#include <string>

namespace temper::codegen {

/// The symbol of the text, which ends in a zero byte; there is none where nothing is asserted.
inline std::string assertions_symbol(const std::string& entry) { return entry + "_assertions"; }

} // namespace temper::codegen
