#include "ir/s_tir/error.h"

#include <atomic>

namespace temper::s_tir {
namespace {
std::atomic<ErrorRenderer> error_renderer{nullptr};
} // namespace

void set_error_renderer(ErrorRenderer renderer) { error_renderer = renderer; }

Error illegal(const Context& context, const Value& at, std::string rule) {
  Error error(ErrorCode::kIllegal, std::move(rule));
  const ErrorRenderer renderer = error_renderer;
  if (context.render_errors && renderer != nullptr && context.module)
    error.notes.push_back(renderer(context.module, at));
  return error;
}

} // namespace temper::s_tir
