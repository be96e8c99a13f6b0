/// Starting points from what was measured of the same workload at other shapes. A schedule's trace
/// fits other extents when its decisions are adapted (a tile of 64 where 96 does not divide becomes
/// a near one); what does not fit is dropped.
#pragma once

#include "database/store.h"
#include "tuner/space/space.h"
#include "tuner/task.h"

#include <optional>
#include <vector>

namespace temper::tuner {

struct Transferred {
  /// Of the nearest shape first, and of one shape the fastest first. All fit, no two are the same.
  std::vector<CandidateRef> candidates;
  int64_t dropped = 0; ///< programs that do not fit this shape
};

/// The best programs that the store has of `task`'s workload for its target and threads, but of
/// other shapes; a few of each of the nearest. Where nothing of them is known, none.
Result<Transferred> transfer(database::Store& store, const Task& task, const Space& space);

/// How far two bindings (JSON objects of parameters) lie apart: the sum of the logarithms of the
/// ratios of their sizes, in octaves. Nothing when they differ in anything else, as in data type.
std::optional<double> shape_distance(std::string_view a_json, std::string_view b_json);

} // namespace temper::tuner
