/// A call of a primitive as Python writes it, sch.split(loop, factors=[v4, v5]), as an instruction:
/// for whoever reads such calls, lines of a trace (trace_python.cpp) or functions of a workload
/// file (ir/script/schedule_language.cpp).
#pragma once

#include "ir/s_tir/trace.h"

#include <string>
#include <vector>

namespace temper::s_tir {

struct PythonArgument {
  std::string keyword; ///< empty: by its position
  Operand value;
};

/// The instruction, its defaults filled in, without outputs. An error says which argument is
/// missing, unknown, given twice or of the wrong kind.
Result<Instruction> instruction_of_call(const Primitive& primitive,
                                        std::vector<PythonArgument> arguments);

} // namespace temper::s_tir
