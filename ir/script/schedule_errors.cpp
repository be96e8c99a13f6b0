#include "ir/script/schedule_errors.h"

#include "ir/pass/pass.h"
#include "ir/s_tir/error.h"
#include "ir/script/printer.h"

namespace temper::script {
namespace {

std::string render(const ir::IRModule& module, const s_tir::Value& marked) {
  PrinterOptions options{.header = false};
  if (const auto* block = marked.as_block()) {
    if (const auto place = s_tir::find_block(module, *block))
      options.marks.push_back({place->realize->block, "here"});
  } else if (const auto* loop = marked.as_loop()) {
    options.marks.push_back({loop->var, "here"});
  }
  return to_text(module, options);
}

} // namespace

void render_schedule_errors() { s_tir::set_error_renderer(render); }

void render_programs() {
  ir::set_module_renderer([](const ir::IRModule& module) { return to_text(module); });
}

} // namespace temper::script
