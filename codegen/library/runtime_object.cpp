#include "codegen/library/runtime_object.h"

// TEMPER_RUNTIME_OBJECT is the path of the object, given by CMake.
asm(".section .rodata\n"
    ".global temper_embedded_runtime_begin\n"
    ".global temper_embedded_runtime_end\n"
    ".balign 16\n"
    "temper_embedded_runtime_begin:\n"
    ".incbin \"" TEMPER_RUNTIME_OBJECT "\"\n"
    "temper_embedded_runtime_end:\n"
    ".text\n");

extern "C" {
extern const char temper_embedded_runtime_begin[];
extern const char temper_embedded_runtime_end[];
}

namespace temper::codegen {

std::string runtime_object() {
  return {temper_embedded_runtime_begin, temper_embedded_runtime_end};
}

} // namespace temper::codegen
