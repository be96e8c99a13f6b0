/// What may be done next: the loops and blocks of a schedule as an outline, and at each of them the
/// primitives that are legal there, as the registry's `enumerate` gives them. An editor's menus.
///
///   block root
///     for i in 64
///       for j in 64 (parallel)
///         block C
#pragma once

#include "ir/s_tir/schedule.h"

#include <string>
#include <vector>

namespace temper::s_tir {

/// A loop or block of a module.
struct Place {
  Value handle;
  int depth = 0; ///< loops and blocks around it
  bool is_block = false;
  std::string name; ///< of the loop's variable or of the block; need not be unique
  std::string text; ///< "for j in 64 (parallel)", "block C"
};
/// All of them, in the order of the text.
std::vector<Place> places_of(const IRModule& module);

/// A legal step, already taken on a copy: what it makes of the program can be looked at at once.
struct LegalStep {
  const Primitive* primitive = nullptr;
  /// The lines that it adds to the trace, getters of names that it needs among them.
  std::string lines;
  Schedule after;
};

/// A primitive that would fit the place's kind but is not legal there.
struct IllegalStep {
  const Primitive* primitive = nullptr;
  std::string reason; ///< a sentence: the rule that is broken
};

struct Steps {
  std::vector<LegalStep> legal;     ///< in the registry's order, then as enumerated
  std::vector<IllegalStep> illegal; ///< those that take nothing but the place
};

/// Next steps at a loop or block: primitives that change the program. At most `limit` uses of each.
Steps legal_steps(const Schedule& schedule, const Value& place, size_t limit = 24);

} // namespace temper::s_tir
