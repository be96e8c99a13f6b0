/// The design space of an s-tir workload: rules applied to its blocks in post order make sketches
/// (structural choices); what they leave open are sampled decisions. A candidate is a sketch with
/// decisions, post-processed.
#pragma once

#include "ir/script/rule_file.h"
#include "tuner/space/gpu_rules.h"
#include "tuner/space/space.h"

#include <optional>

namespace temper::tuner {

struct SketchOptions {
  MachineHints machine;
  /// The space is for this GPU, and post-processing too; nothing: for CPUs.
  std::optional<GpuHints> gpu;
  RuleList rules;               ///< empty: default_rules
  bool only_rule_files = false; ///< empty means none
  /// Of users (ir/script/rule_file.h): tried on each block before `rules`; their post-processors
  /// and mutators take part, too.
  std::vector<script::RuleFile> rule_files;
  /// A hand-written space (ir/script/schedule_language.h), which takes the place of the rules; its
  /// decisions are made anew for each candidate.
  std::vector<s_tir::Trace> templates;
  std::string note; ///< stands in front of the description of a space by rules
  /// MetaSchedule's values for CPUs.
  int64_t jobs_per_core = 16;
  int64_t max_vectorize_extent = 64;
  std::vector<int64_t> unroll_steps{0, 16, 64, 512};
};

/// default_cpu_rules, or default_gpu_rules.
RuleList default_rules(const SketchOptions& options);

/// `module` holds one s-tir function. An error says why there is no space (no root block, symbolic
/// shapes).
Result<std::unique_ptr<Space>> make_sketch_space(const ir::IRModule& module, SketchOptions options);

/// The candidate that a schedule has come to, with its features.
Result<CandidateRef> candidate_of(const s_tir::Schedule& schedule, std::string origin,
                                  uint64_t parent);

} // namespace temper::tuner
