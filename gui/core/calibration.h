/// Whether the cost model's scores mean what they say. A score is the speed that the model foresaw,
/// 1 being the fastest; predictions are put into equal groups by their score, and each group's mean
/// is held against how fast its candidates were: one that is well calibrated makes a diagonal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace temper::gui {

struct CalibrationBin {
  double lowScore = 0, highScore = 0; ///< of the group's candidates
  double predicted = 0;               ///< mean score
  double measured = 0;                ///< mean speed, 1: as fast as the fastest; failures have 0
  double lowQuarter = 0, highQuarter = 0; ///< of the speeds: half of them lie between
  int64_t count = 0;
  int64_t failed = 0;
};

struct Calibration {
  std::vector<CalibrationBin> bins; ///< by rising score; empty where there are too few predictions
  int64_t predictions = 0;
  int64_t failed = 0;
  double error = 0; ///< mean of the groups' distances from the diagonal
  double bias = 0;  ///< mean of score less speed: above 0 the model hopes for too much
};

/// `scores` and `ns` are of the same candidates: NaN without a prediction, and without a time.
/// `only`, where it is not empty, has a 1 for each that counts; the fastest of all is 1 all the
/// same.
Calibration calibrationOf(std::span<const double> scores, std::span<const double> ns,
                          std::span<const uint8_t> only = {});

} // namespace temper::gui
