/// Whether a measurement's kernel is right and its time can be its own: what may be shown, ranked
/// and compared.
#pragma once

#include "engine/measurement.h"

namespace temper::engine {

/// Correct, and not unbelievable. Whether there is a time is another question: what was disturbed
/// may have none.
constexpr bool is_believed(Outcome outcome) {
  return is_correct(outcome) && outcome != Outcome::kUnbelievable;
}

} // namespace temper::engine
