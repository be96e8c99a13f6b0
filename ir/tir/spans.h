/// Places of statements that were made for another one.
#pragma once

#include "ir/tir/stmt.h"
#include "ir/walk.h"

namespace temper::tir {

/// Findings in what has no place of its own are findings at this one: an operator's line.
inline void place_at(const Stmt& made, const Span& span) {
  walk(made, [&](const NodeRef& node) {
    if (node->span.line == 0)
      node->span = span;
    return true;
  });
}

} // namespace temper::tir
