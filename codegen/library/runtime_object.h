/// Private to codegen/library.
#pragma once

#include <string>

namespace temper::codegen {

/// The relocatable object of codegen/library/runtime, compiled when temper was built and kept
/// inside the program, so that exporting needs neither a compiler nor a file of temper's.
std::string runtime_object();

} // namespace temper::codegen
