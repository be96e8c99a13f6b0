/// Text for the errors of schedule primitives: the module with the block or loop marked.
#pragma once

namespace temper::script {

/// From now on illegal uses of primitives carry that text (s_tir::set_error_renderer). Programs that
/// show schedule errors to people call it once at start.
void render_schedule_errors();

} // namespace temper::script
