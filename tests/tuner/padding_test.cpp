#include "tuner/padding.h"

#include "tests/support/workload_cases.h"

#include <gtest/gtest.h>

namespace temper::tuner {
namespace {

/// Of all pairs of an output and a tap along one axis, the share that reads the image.
double share_along(int64_t length, int64_t taps, int64_t stride, int64_t pad, int64_t dilation) {
  const int64_t outputs = (length + 2 * pad - dilation * (taps - 1) - 1) / stride + 1;
  int64_t good = 0;
  for (int64_t o = 0; o < outputs; ++o)
    for (int64_t k = 0; k < taps; ++k) {
      const int64_t at = o * stride + k * dilation - pad;
      good += at >= 0 && at < length ? 1 : 0;
    }
  return static_cast<double>(good) / static_cast<double>(outputs * taps);
}

double share_of(const workload_cases::WorkloadCase& one) {
  const auto workload = workload_cases::workload_of(one);
  EXPECT_TRUE(workload) << workload.error().to_string();
  return share_besides_padding(
      workload->module->functions.front().function.as_ref<ir::PrimFuncNode>(), workload->flops);
}

TEST(Padding, OfAConvolutionIsWhatItsTapsReadOutsideOfTheImage) {
  const double small = share_of({"conv2d",
                                 {{"N", "1"},
                                  {"H", "2"},
                                  {"W", "2"},
                                  {"CI", "8"},
                                  {"CO", "8"},
                                  {"R", "5"},
                                  {"S", "5"},
                                  {"pad", "2"}}});
  EXPECT_DOUBLE_EQ(small, 0.16);
  const double strided = share_of({"conv3d",
                                   {{"N", "1"},
                                    {"D", "6"},
                                    {"H", "9"},
                                    {"W", "10"},
                                    {"CI", "3"},
                                    {"CO", "8"},
                                    {"K", "3"},
                                    {"stride", "2"},
                                    {"pad", "2"},
                                    {"dilation", "2"}}});
  EXPECT_DOUBLE_EQ(strided, share_along(6, 3, 2, 2, 2) * share_along(9, 3, 2, 2, 2) *
                                share_along(10, 3, 2, 2, 2));
}

TEST(Padding, IsNothingWhereNothingIsPaddedOrItsOperationsAreNotCounted) {
  EXPECT_EQ(share_of({"matmul", {{"M", "8"}, {"N", "8"}, {"K", "8"}}}), 1);
  EXPECT_EQ(share_of({"conv2d",
                      {{"N", "1"},
                       {"H", "6"},
                       {"W", "6"},
                       {"CI", "8"},
                       {"CO", "8"},
                       {"R", "3"},
                       {"S", "3"},
                       {"pad", "0"}}}),
            1);
}

} // namespace
} // namespace temper::tuner
