#include "database/record_log.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace temper::database {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

Measurement timed() {
  Measurement row;
  row.origin = "mutate:tile";
  row.predicted_score = 0.83;
  row.compile_ms = 41.2;
  row.facts_json = R"({"code_bytes":1204,"instructions":312,"vector_bits":512,"spills":0})";
  row.samples_ns = {8.1F, 8.2F};
  row.gaps_dropped = 3;
  row.median_ns = 8140;
  row.low_ns = 8120;
  row.high_ns = 8150;
  row.timing_json = R"({"calls_per_sample":16,"flagged":false,"steal_ms":0.0,)"
                    R"("involuntary_switches":1,"side_by_side":0.0,"clock_ghz":3.412})";
  return row;
}

TEST(RecordLog, SaysWhatWasDoneStepByStep) {
  EXPECT_EQ(
      record_log(timed()),
      "proposed   mutate:tile; the model gave it 0.83\n"
      "compiled   in 41.2 ms: 1204 bytes, 312 instructions, 512-bit vectors, 0 spills in "
      "inner loops\n"
      "checked    right: the same as the reference\n"
      "timed      2 samples of 16 calls with hot caches; 3 more thrown away: the core was "
      "taken away\n"
      "machine    3.41 GHz right after timing; 0 ms stolen by the host; lost its core 1 time\n"
      "outcome    ok: 8.14 us, 95 % in [8.12 us, 8.15 us]\n");
  EXPECT_DOUBLE_EQ(clock_ghz(timed()), 3.412);
}

TEST(RecordLog, OfAGpuNamesClockPowerWhatSlowedItAndTheTimer) {
  Measurement row = timed();
  row.timing_json =
      R"({"calls_per_sample":1,"clock_ghz":1.755,"steal_ms":0.0,"involuntary_switches":0,)"
      R"("gpu":{"timer":"activity","sm_clock_mhz":1755,"power_w":690,"temperature_c":61,)"
      R"("slowdowns":["power cap"],"broken_traces":1}})";
  EXPECT_EQ(machine_state(row), "1755 MHz, 690 W, 61 C; slowed by its power cap; timed by CUPTI's "
                                "records; 1 trace broken and repeated");
  row.timing_json = R"({"gpu":{"timer":"events"}})";
  EXPECT_EQ(machine_state(row), "timed by events");
}

TEST(RecordLog, OfAGpuSaysWhatItsCodeNeeds) {
  Measurement row;
  row.outcome = Outcome::kChecked;
  row.compile_ms = 41.2;
  row.facts_json = R"({"code_bytes":1204,"instructions":312,"vector_bits":0,"spills":0,)"
                   R"("registers":64,"shared_bytes":16384,"spilled_bytes":0})";
  EXPECT_THAT(record_log(row),
              HasSubstr("compiled   in 41.2 ms: 1204 bytes, 312 instructions, 64 registers of a "
                        "thread, 16384 bytes of shared memory, 0 bytes spilled\n"));
}

TEST(RecordLog, OfAFailureEndsWhereItStoppedWithWhatWasWritten) {
  Measurement row;
  row.outcome = Outcome::kCrashed;
  row.stage = "check";
  row.error = "crashed: aborted (SIGABRT)";
  row.log = "the kernel wrote:\nassertion failed";
  EXPECT_EQ(record_log(row), "outcome    crashed: crashed: aborted (SIGABRT) (at: check)\n\n"
                             "the kernel wrote:\nassertion failed\n");
  // Of a run without its GPU: nothing that did not compile was checked.
  row.outcome = Outcome::kCompileFailed;
  row.stage = "compiling";
  row.compile_ms = 41.2;
  EXPECT_THAT(record_log(row), Not(HasSubstr("checked")));
  row.outcome = Outcome::kRejected;
  row.stage = "spills";
  EXPECT_THAT(record_log(row),
              AllOf(HasSubstr("compiled   in 41.2 ms"), Not(HasSubstr("checked"))));
  row.outcome = Outcome::kCrashed;
  row.stage = "recheck";
  EXPECT_THAT(record_log(row), HasSubstr("checked    right"));
  row.unchecked = true;
  EXPECT_THAT(record_log(row), HasSubstr("checked    not: the workload has no reference"));
  row.stage = "compile";
  row.compile_ms = 3;
  EXPECT_THAT(record_log(row), Not(HasSubstr("compiled")));
  EXPECT_TRUE(std::isnan(clock_ghz(row)));
  EXPECT_EQ(machine_state(row), "");
}

TEST(RecordLog, ReadsWhateverIsInARow) {
  Measurement row = timed();
  row.timing_json = "[1, 2";
  row.facts_json = R"({"code_bytes":"many","spills":null})";
  row.worst_json = R"({"index":[0,1]})";
  EXPECT_THAT(record_log(row), HasSubstr("timed      2 samples with hot caches"));
  EXPECT_THAT(record_log(row), HasSubstr("compiled   in 41.2 ms\n"));
  EXPECT_THAT(record_log(row), HasSubstr(R"(worst      {"index":[0,1]})"));
}

} // namespace
} // namespace temper::database
