/// Where the cost model is wrong: the records whose speed it missed by most, and what those decided
/// that it keeps missing. A score is the speed that it foresaw, 1 being the fastest; an error is
/// the score less the speed that was measured: above 0 it hoped for too much.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace temper::gui {

/// One record, by its row in the columns.
struct ScoreError {
  size_t row = 0;
  double score = 0;
  double speed = 0; ///< 1: as fast as the fastest; of a failure 0
  double error = 0;
};

/// Records that decided alike and are missed by more, or the other way, than all others.
struct SharedError {
  size_t column = 0;
  float value = 0; ///< NaN: they have no such decision
  int64_t count = 0;
  int alike = 0;     ///< decisions that the same records, and no others, made alike besides
  double error = 0;  ///< their mean
  double others = 0; ///< mean of all that decided otherwise
  double share = 0;  ///< of the sum of all squared errors, that of these records
};

struct ModelErrors {
  std::vector<ScoreError> records; ///< of all predictions, the greatest error first
  /// Those that chance alone makes in fewer than one of twenty tables, the one whose records lie
  /// furthest from the others' mean, all together, first.
  std::vector<SharedError> shared;
  int64_t failed = 0;
  double mean = 0;    ///< of all errors
  double typical = 0; ///< root of the mean of their squares
};

/// `columns[c][row]` is what a record decided, NaN where it has no such decision; `scores` and `ns`
/// are of the same rows: NaN without a prediction, and without a time. Few predictions share
/// nothing. On no thread in particular.
ModelErrors modelErrorsOf(const std::vector<std::vector<float>>& columns,
                          std::span<const double> scores, std::span<const double> ns);

} // namespace temper::gui
