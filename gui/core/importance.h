/// How much each decision matters for the time of a kernel. A forest of randomised regression trees
/// learns the logarithm of the time from the decisions. A decision's importance is its Shapley
/// value in what the forest then foretells of records that it has not learnt from: the variance
/// that is explained when the decision becomes known after some others, averaged over all orders in
/// which they may become known (I. Covert, S. Lundberg, S.-I. Lee, "Understanding global feature
/// contributions with additive importance measures", NeurIPS 2020). So all importances together are
/// the variance that is explained; of two decisions that only matter together each has half; and
/// what tells nothing has about nothing, or by chance a little less. Beside it stands how much
/// worse the trees do when the decision is shuffled (Breiman's permutation importance).
///
/// The factors of a tile are one decision: they are known and shuffled together. A decision that a
/// candidate has not made is a value of its own, so that decisions of one sketch alone count, too;
/// and what is not known is filled in by the rows that the trees learnt from, never by joining
/// halves of two candidates of different sketches. On no thread in particular; takes some tenths of
/// a second for thousands of candidates.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace temper::gui {

/// Of a decision, or of one factor of a decision that has several.
struct Importance {
  std::vector<size_t> columns; ///< of a decision all, in their order
  bool isFactor = false;       ///< its decision stands before it, and has shapley and shuffled
  double shapley = 0;          ///< part of the variance of log time; may be a little below 0
  double shuffled = 0;         ///< of the sum over all decisions, 0 to 1
  double alone = 0;            ///< share of the variance of log time that its values alone explain
  /// The values, one of each column, whose candidates have the least median time, NaN: absent.
  /// Empty where no values have enough candidates to say so.
  std::vector<double> best;
  double bestNs = std::numeric_limits<double>::quiet_NaN();  ///< that median
  int64_t bestCount = 0;                                     ///< candidates that it is of
  double otherNs = std::numeric_limits<double>::quiet_NaN(); ///< median of all others
};

struct ImportanceResult {
  /// Decisions, most important first, each followed by its factors where it has several.
  std::vector<Importance> decisions;
  double explained = 0; ///< share of the variance of log time that the forest predicts unseen
  int64_t candidates = 0;
};

/// Share of the variance of log time that one column's values explain by themselves.
double explainedAlone(const std::vector<float>& values, std::span<const double> timeNs);

/// `columns[c][row]`, NaN where absent; `decisionOf[c]`: columns of the same number are one
/// decision; `timeNs[row]`, of which those that are no positive number are left out. The same
/// numbers give the same result. Fewer than 8 candidates give none.
ImportanceResult importanceOf(const std::vector<std::vector<float>>& columns,
                              std::span<const size_t> decisionOf, std::span<const double> timeNs);

} // namespace temper::gui
