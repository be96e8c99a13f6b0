/// Why one of two stored candidates of a kernel is faster than the other: what they decided
/// differently, what a model that learnt from all that was measured of the kernel makes of it, how
/// their machine code differs, and their counters where there are any. What `temper session`
/// answers to "why". Runs nothing; compiles both to look at their code.
#pragma once

#include "database/query.h"
#include "tuner/learnt_model.h"
#include "tuner/workbench.h"

#include <limits>
#include <string>
#include <vector>

namespace temper::tuner {

/// Not known.
inline constexpr double kNoNumber = std::numeric_limits<double>::quiet_NaN();

struct ChangedDecision {
  std::string name; ///< "v11, v12"
  std::string step; ///< the first that uses it: "split(l6)"
  std::string a;    ///< "[16, 1]"
  std::string b;
  /// What A's score becomes by this change alone; unknown where A cannot be changed so.
  double score_change = kNoNumber;
  std::string trace; ///< A with this change alone, as Python; empty where that is not legal
};

struct CodeFact {
  std::string what; ///< "instructions of the hot loop"
  double a = kNoNumber;
  double b = kNoNumber;
  std::string unit; ///< "", "ns", "bit", "byte", "%"
};

struct WhyFaster {
  /// Why the two cannot be compared; then all else is empty.
  std::string refused;
  double ratio = kNoNumber; ///< B's time over A's
  /// The same of the ends of both intervals, as far apart as they may be.
  double ratio_low = kNoNumber;
  double ratio_high = kNoNumber;
  bool other_steps = false; ///< they are of different sketches: decisions do not correspond
  std::vector<ChangedDecision> decisions; ///< those that matter most first
  int learnt_from = 0;        ///< candidates that the model has seen, these two included
  double score_a = kNoNumber; ///< of the model: larger is faster
  double score_b = kNoNumber;
  double rank_correlation = kNoNumber; ///< of its scores with all that it has seen
  std::vector<ModelTerm> terms;        ///< largest change first
  std::vector<CodeFact> machine;       ///< shares of what the machine allows, in per cent
  std::vector<CodeFact> code;          ///< largest change first
  std::string limit_a;                 ///< what the hot loop waits for: "load ports"; may be empty
  std::string limit_b;
  std::vector<CodeFact> counters;
  std::vector<std::string> unknown; ///< what could not be found out, and why
};

/// Fails only where a record cannot be read.
Result<WhyFaster> why_faster(Workbench& bench, const database::RecordRow& a,
                             const database::RecordRow& b);

} // namespace temper::tuner
