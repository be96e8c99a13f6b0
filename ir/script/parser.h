/// Text to IR: TVMScript as Apache TVM 0.27 spells it (LANGUAGE is the README's table), and tir
/// without GPU and tile parts.
///
///   Result<IRModule> module = parse_module(R"(
///   @T.prim_func(s_tir=True)
///   def main(A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
///       for i in range(16):
///           with T.sblock("B"):
///               vi = T.axis.spatial(16, i)
///               B[vi] = A[vi] * T.float32(2)
///   )");
///
/// Several errors are found at once: the Error's message is the first, its notes are the others;
/// each is also a Diagnostic when a list is given. Never aborts, whatever the text.
#pragma once

#include "ir/module.h"
#include "ir/script/diagnostic.h"

#include <string>
#include <string_view>
#include <vector>

namespace temper::script {

/// A module: one `@I.ir_module class`, or the text's `@T.prim_func` functions, in order.
Result<ir::IRModule> parse_module(std::string_view text, std::string file = "<text>",
                                  std::vector<Diagnostic>* diagnostics = nullptr);

/// The one prim_func of a text.
Result<ir::PrimFunc> parse_prim_func(std::string_view text, std::string file = "<text>",
                                     std::vector<Diagnostic>* diagnostics = nullptr);

} // namespace temper::script
