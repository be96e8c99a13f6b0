/// Mutators: each changes one decision of a trace (MetaSchedule's four for CPUs, with its weights):
/// tile sizes 0.9, compute location 0.05, unroll and other categories 0.03 + 0.02.
#pragma once

#include "ir/s_tir/schedule.h"
#include "ir/support/random.h"

#include <string>
#include <vector>

namespace temper::tuner {

struct Mutation {
  s_tir::Trace trace;
  std::string mutator; ///< "tile_size", "compute_location", "category"
};

/// `design` has no post-processing. An error when there is nothing to
/// decide.
Result<Mutation> mutate_trace(const s_tir::Trace& design, Random& random);

/// One small step of each decision, both ways: tile factors moved by their smallest divisor,
/// categories by one place. At most `limit`.
std::vector<Mutation> neighbour_traces(const s_tir::Trace& design, size_t limit);

} // namespace temper::tuner
