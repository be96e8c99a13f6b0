/// What s-tir adds to the parts that serve every layer: blocks in the interpreter, the verifier and
/// JSON. Programs and tests that use s-tir call register_layer() once at start (again does
/// nothing): static libraries have no other way to announce themselves.
#pragma once

namespace temper::s_tir {

void register_layer();

/// What register_layer() calls, one per service.
void register_interpreter_of_blocks();
void register_verifier_of_blocks();

} // namespace temper::s_tir
