/// Compression of program text against a similar text. Traces of one workload differ in a few
/// numbers; stored against the first one of their workload, the others take a tenth of their size.
#pragma once

#include "ir/support/result.h"

#include <string>
#include <string_view>

namespace temper::database::detail {

/// Copies from `base` and from what was written already, and literals. Deterministic.
std::string encode_text(std::string_view text, std::string_view base);

/// The text again; kCorrupt when the bytes are not what encode_text made with this base.
Result<std::string> decode_text(std::string_view encoded, std::string_view base);

/// A program `[[instructions],[decisions]]` cut after its instructions: most candidates of a space
/// share the former. Programs of another form are all skeleton and have no decisions.
struct ProgramParts {
  std::string_view skeleton;
  std::string_view decisions;
};
ProgramParts split_program(std::string_view program);
/// The program that split_program cut, byte for byte.
std::string join_program(std::string_view skeleton, std::string_view decisions);

} // namespace temper::database::detail
