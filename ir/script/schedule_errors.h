/// Text for what lies below the printer: errors of schedule primitives, the module with the block
/// or loop marked; dumps of the pass runner.
#pragma once

namespace temper::script {

/// From now on illegal uses of primitives carry that text (s_tir::set_error_renderer). Programs
/// that show schedule errors to people call it once at start.
void render_schedule_errors();

/// From now on the pass runner shows programs as text (ir::set_module_renderer): in its dumps, and
/// in errors that say what a pass was given.
void render_programs();

} // namespace temper::script
