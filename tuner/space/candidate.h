/// A candidate: a workload's program with everything decided. Hand edits and search results are the
/// same thing.
#pragma once

#include "ir/module.h"
#include "ir/s_tir/trace.h"
#include "tuner/cost/features.h"

#include <cstdint>
#include <memory>
#include <string>

namespace temper::tuner {

struct Candidate {
  /// The canonical program: replaying it on the workload gives `module`. What stands after
  /// EnterPostproc was added by post-processing; mutation works on what stands before.
  s_tir::Trace trace;
  ir::IRModule module;
  /// Structural hash of `module`: equal programs are one candidate.
  uint64_t program_hash = 0;
  /// program_hash of the candidate this one was made from; 0: made from nothing.
  uint64_t parent = 0;
  /// How it was made: "untuned", "sample", "mutate tile_size", "database", "hand".
  std::string origin;
  FeatureMatrix features;
};

using CandidateRef = std::shared_ptr<const Candidate>;

} // namespace temper::tuner
