/// T.inline_ptx("add.f32 $0, $1, $2;", y, y, 1.0, outputs=1): one PTX instruction, or several, with
/// values for $0, $1, ... of which the first `outputs` are written.
///
/// The call's arguments are the text, how many values are outputs, and the values.
#pragma once

#include "ir/expr.h"

#include <optional>
#include <string>

namespace temper::tir {

inline constexpr size_t kPtxOutputs = 1; ///< which argument says how many
inline constexpr size_t kPtxValues = 2;  ///< the first of the values

/// How many of the values of an inline_ptx are written.
int64_t ptx_outputs(const ir::Call& call);

/// A destination of the text that is a value: of "add.f32 $0, $1, $2;" number 0. Nothing where no
/// instruction that is known to write its first operand has a value there, or where it is among the
/// first `outputs`.
struct PtxDestination {
  size_t value = 0;
  std::string instruction; ///< "add.f32"
};
std::optional<PtxDestination> unstated_destination(const std::string& text, int64_t outputs);

} // namespace temper::tir
