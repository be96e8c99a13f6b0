/// The primitives that change nothing of a loop but its kind: parallel, vectorize, unroll.
#pragma once

#include "ir/s_tir/primitives/common.h"

#include <limits>

namespace temper::s_tir {

/// Also extents that are not constant.
inline constexpr int64_t kAnyExtent = std::numeric_limits<int64_t>::max();

struct LoopMark {
  ForKind kind;
  bool independent;      ///< the iterations must be (dependence.h)
  int64_t most_proposed; ///< iterations of a loop for which `enumerate` proposes it
};

Result<void> check_mark(const LoopMark& mark, const Context& context, const Arguments& arguments);
Result<Applied> apply_mark(const LoopMark& mark, const Context& context,
                           const Arguments& arguments);
std::vector<Arguments> enumerate_mark(const LoopMark& mark, const Context& context,
                                      const Value& handle);

template <LoopMark kMark>
void register_mark(const char* name, const char* python_name, const char* summary) {
  register_primitive({
      .name = name,
      .python_name = python_name,
      .inputs = {{.name = "loop", .kind = ValueKind::kLoop}},
      .summary = summary,
      .check = [](const Context& context,
                  const Arguments& arguments) { return check_mark(kMark, context, arguments); },
      .apply = [](const Context& context,
                  const Arguments& arguments) { return apply_mark(kMark, context, arguments); },
      .enumerate = [](const Context& context,
                      const Value& handle) { return enumerate_mark(kMark, context, handle); },
  });
}

} // namespace temper::s_tir
