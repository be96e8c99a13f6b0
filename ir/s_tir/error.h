/// Errors of schedule primitives: one sentence that names the rule, and the module's text with the
/// loop or block marked. Rendering needs the printer, which lies above this library, so that it is
/// handed in once at start.
#pragma once

#include "ir/s_tir/primitive.h"

#include <string>

namespace temper::s_tir {

/// Text of `module` with the block or loop `marked` pointed out; `marked` may be None.
using ErrorRenderer = std::string (*)(const IRModule& module, const Value& marked);
/// Null (the start) leaves errors without the text.
void set_error_renderer(ErrorRenderer renderer);

/// kIllegal: `rule` is a sentence that says which rule is broken and by what; `at` is marked in the
/// rendered module, which becomes a note, when the context asks for it.
Error illegal(const Context& context, const Value& at, std::string rule);

} // namespace temper::s_tir
