/// Stored kernels under today's toolchain: what a new compiler did to them.
///
/// Each record's program is compiled again. Where the machine code comes out as it was, the number
/// stays valid and nothing runs. Otherwise the bytes that were kept and the new ones run in turns,
/// in one sitting, on the same inputs. What comes of it is a record of today's toolchain, in a run
/// of strategy "remeasure" whose parent is the old record.
#pragma once

#include "tuner/workbench.h"

#include <string>
#include <vector>

namespace temper::tuner {

struct RemeasureOptions {
  double tolerance = 0.02;  ///< slower is what is slower by more than this for certain
  double max_seconds = 10;  ///< for one kernel's turns
  std::string command_line; ///< for the runs
};

enum class RemeasureVerdict : uint8_t {
  kEqualCode, ///< the same machine code: nothing ran
  kSame,
  kFaster,    ///< the whole interval of new/old is below 1
  kSlower,    ///< the whole interval is above 1 + tolerance, twice
  kBroken,    ///< does not compile any more, or is wrong now
  kUndecided, ///< could not be compared, see `reason`
};
/// "equal code", "same", "faster", "slower", "broken", "undecided".
const char* to_string(RemeasureVerdict verdict);

struct Remeasured {
  database::RecordRow old;
  std::string title;
  RemeasureVerdict verdict = RemeasureVerdict::kUndecided;
  std::string reason;
  database::Id record; ///< of today; the old one where that is of today; empty when there is none
  double old_ns = 0;   ///< of the kept bytes, now; 0: they did not run
  double new_ns = 0;
  double ratio = 0; ///< new over old; 0: not compared
  Interval interval;
};

/// The best of every key on this machine that was made by another toolchain and was not yet
/// measured with today's.
Result<std::vector<database::RecordRow>> stale_records(Workbench& bench);

/// An error is ours (the store, the devices); what went wrong with the kernel is a verdict.
Result<Remeasured> remeasure(Workbench& bench, const database::RecordRow& row,
                             const RemeasureOptions& options);

} // namespace temper::tuner
