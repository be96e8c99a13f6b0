/// What a kernel that is CUDA C++ of its own (source_kernel.h) says of its parameters, held against
/// what the program passes: nothing else would notice before a GPU reads halves as floats.
///
///   kernel: const float* A          program: A: T.Tensor((64,), "float16")      an error
///   kernel: const uint4* A                                                      the bits: fine
#pragma once

#include "ir/function.h"
#include "ir/support/result.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace temper::tir {

/// A parameter as it is declared, without qualifiers and its name: {"float", true} of
/// "const float* __restrict__ A". A type that a macro, typedef or using of the text stands for is
/// that type.
struct SourceParameter {
  std::string type;
  bool pointer = false;
};
struct SourceParameters {
  std::vector<SourceParameter> parameters;
  std::string where; ///< "saxpy.cu(22)" by the text's line directives; else "line 3"
};
/// Of the kernel `name`; nothing where the text has it never or several times, or where macros
/// or conditions are among the parameters.
std::optional<SourceParameters> source_parameters(std::string_view text, const std::string& name);

/// kInvalidArgument: a kernel that the text does not have, another number of parameters than the
/// program passes, or the first one whose type is not that of what is passed. float4 is floats; a
/// name by typedef or using is what it stands for. Types that say nothing of elements (structures,
/// templates) are not judged, unsigned integers and vectors of integers are taken for bits, and
/// where the preprocessor decides, only the compiled kernel is.
Result<void> check_source_parameters(const ir::PrimFunc& function);

} // namespace temper::tir
