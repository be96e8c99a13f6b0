#include "ir/s_tir/layer.h"

#include <mutex>

namespace temper::s_tir {

void register_layer() {
  static std::once_flag once;
  std::call_once(once, [] { register_interpreter_of_blocks(); });
}

} // namespace temper::s_tir
