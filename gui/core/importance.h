/// How much each decision matters for the time of a kernel: a forest of randomised regression trees
/// learns the logarithm of the time from the decisions; a decision's importance is how much worse
/// the trees predict what they have not seen when its column is shuffled (Breiman's permutation
/// importance). A decision that a candidate has not made is a value of its own, so that decisions
/// of one sketch alone count, too. On no thread in particular; takes tens of milliseconds for
/// thousands of candidates.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace temper::gui {

struct Importance {
  size_t column = 0;
  double share = 0;      ///< of the sum over all decisions, 0 to 1
  double alone = 0;      ///< share of the variance of log time that its value alone explains
  double best = 0;       ///< the value whose candidates have the least median time; NaN: absent
  double bestNs = 0;     ///< that median
  int64_t bestCount = 0; ///< candidates that it is of
  double otherNs = 0;    ///< median of all others
};

struct ImportanceResult {
  std::vector<Importance> decisions; ///< most important first
  double explained = 0; ///< share of the variance of log time that the forest predicts unseen
  int64_t candidates = 0;
};

/// Share of the variance of log time that one column's values explain by themselves.
double explainedAlone(const std::vector<float>& values, std::span<const double> timeNs);

/// `columns[c][row]`, NaN where absent; `timeNs[row]`, of which those that are no positive number
/// are left out. The same numbers give the same result. Fewer than 8 candidates give none.
ImportanceResult importanceOf(const std::vector<std::vector<float>>& columns,
                              std::span<const double> timeNs);

} // namespace temper::gui
