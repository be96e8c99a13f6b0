// What hardware counters say of a kernel: shares of what the card gives, and sentences.
#include "tuner/gpu_counters.h"

#include <gmock/gmock.h>

#include <cmath>

namespace temper::tuner {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kTensor =
    "sm__pipe_tensor_op_hmma_type_hmma_hgmma_qgmma_cycles_active.avg.pct_of_peak_sustained_elapsed";
constexpr const char* kIssue = "smsp__issue_active.avg.pct_of_peak_sustained_active";
constexpr const char* kWarps = "sm__warps_active.avg.pct_of_peak_sustained_active";

/// `lite` of a kernel of a millisecond.
std::map<std::string, double> lite(double tensor, double gigabytes, double issue, double warps) {
  return {{"gpu__time_duration.sum", 1e6},
          {"dram__bytes_read.sum", gigabytes * 0.75e9},
          {"dram__bytes_write.sum", gigabytes * 0.25e9},
          {kTensor, tensor},
          {kIssue, issue},
          {kWarps, warps}};
}

TEST(GpuCounters, WhatIsBusyLimitsAndComesFirst) {
  EXPECT_THAT(counter_limits(lite(91, 1.2, 40, 18), 90),
              ElementsAre("tensor cores are busy 91 % of the time: it is near what they give",
                          "instructions are issued in 40 % of the slots",
                          "memory moves 1.2 TB/s, 25 % of the 4.8 TB/s of such a card"));
  EXPECT_THAT(counter_limits(lite(0, 4.3, 12, 60), 90).front(),
              "memory moves 4.3 TB/s, 90 % of the 4.8 TB/s of such a card: it is near what memory "
              "gives");
  // Another card has another bandwidth.
  EXPECT_THAT(counter_limits(lite(0, 1.3, 12, 60), 80).front(), HasSubstr("64 % of the 2.04 TB/s"));
}

TEST(GpuCounters, WhatWaitsWhileNothingIsBusyIsLatency) {
  auto counters = lite(20, 0.5, 15, 12);
  EXPECT_THAT(counter_limits(counters, 90).front(),
              HasSubstr("latency limits it; the set `stall`"));
  counters["smsp__average_warp_latency_issue_stalled_long_scoreboard.ratio"] = 14.2;
  counters["smsp__average_warp_latency_issue_stalled_barrier.ratio"] = 2.5;
  const auto sentences = counter_limits(counters, 90);
  ASSERT_GE(sentences.size(), 2U);
  EXPECT_THAT(sentences[0],
              HasSubstr("a warp waits 14.2 cycles an instruction for data from memory"));
  EXPECT_THAT(sentences[0], HasSubstr("latency limits it"));
  EXPECT_THAT(sentences[1], HasSubstr("only 12 % of the warps"));
  // Beside what is busy it is a remark.
  counters[kTensor] = 85;
  EXPECT_THAT(counter_limits(counters, 90).front(), HasSubstr("tensor cores are busy 85 %"));
}

TEST(GpuCounters, WasteIsNamed) {
  auto counters = lite(70, 0.5, 15, 30);
  EXPECT_THAT(counter_limits(counters, 90).front(), HasSubstr(": they limit it"));
  counters["l1tex__t_bytes_pipe_lsu_mem_local_op_ld.sum"] = 3 << 20;
  counters["l1tex__t_bytes_pipe_lsu_mem_local_op_st.sum"] = 1 << 20;
  counters["l1tex__data_bank_conflicts_pipe_lsu_mem_shared.sum"] = 200;
  counters["l1tex__data_pipe_lsu_wavefronts_mem_shared.sum"] = 1000;
  const auto sentences = counter_limits(counters, 90);
  EXPECT_THAT(sentences, ::testing::Contains(HasSubstr("4 MiB of registers go to memory")));
  EXPECT_THAT(sentences, ::testing::Contains(HasSubstr("20 % of shared memory's wavefronts")));
}

TEST(GpuCounters, WhatWasNotCountedIsNotZero) {
  EXPECT_THAT(counter_limits({}, 90), IsEmpty());
  EXPECT_THAT(counter_limits({{"cycles", 12}, {kTensor, -1}, {kIssue, NAN}}, 90), IsEmpty());
  EXPECT_FALSE(gpu_use({{"dram__bytes_read.sum", 1e9}}, 90).bytes_per_s) << "without a time";
  const GpuUse use =
      gpu_use({{"lts__t_sectors_lookup_hit.sum", 30}, {"lts__t_sectors_lookup_miss.sum", 10}}, 90);
  EXPECT_DOUBLE_EQ(use.l2_hits.value(), 0.75);
  EXPECT_FALSE(use.tensor);
  EXPECT_THAT(counters_of(""), IsEmpty());
  EXPECT_THAT(counters_of("{broken"), IsEmpty());
  EXPECT_EQ(counters_of(R"({"a": 1.5, "b": "text"})"), (std::map<std::string, double>{{"a", 1.5}}));
}

TEST(GpuCounters, AreFeaturesWhereTheyWereCounted) {
  const auto counted = counted_of(lite(91, 1.2, 40, 18), 90);
  ASSERT_TRUE(counted);
  EXPECT_FLOAT_EQ((*counted)[0], 0.91F);
  EXPECT_FLOAT_EQ((*counted)[1], 0.25F);
  EXPECT_FLOAT_EQ((*counted)[2], 0.4F);
  EXPECT_FLOAT_EQ((*counted)[3], 0.18F);
  EXPECT_TRUE(std::isnan((*counted)[4]));
  EXPECT_TRUE(std::isnan((*counted)[6]));
  EXPECT_FALSE(counted_of({}, 90));
  EXPECT_FALSE(counted_of({{"emulated.blocks", 4.0}}, 90)) << "of no use to a model";
}

} // namespace
} // namespace temper::tuner
