/// The log of a record: what was done with the candidate, step by step, and what compiler and
/// kernel wrote meanwhile. `temper show RECORD --log` prints it, the workbench shows it.
///
///   proposed   mutate:tile; the model gave it 0.83
///   compiled   in 41.2 ms: 1204 bytes, 312 instructions, 512-bit vectors, 0 spills
///   checked    right: the same as the reference
///   timed      113 samples of 16 calls with hot caches; 2 more thrown away: the core was lost
///   machine    3.41 GHz right after; 0 ms stolen by the host; lost its core 3 times
///   outcome    ok: 8.14 us
#pragma once

#include "database/records.h"

#include <string>

namespace temper::database {

std::string record_log(const Measurement& record);

/// The machine while a record was timed, in words: its clock, what disturbed it. Empty where
/// nothing is known.
std::string machine_state(const Measurement& record);
/// GHz of the core that timed it, right after; NaN where it is not known.
double clock_ghz(const Measurement& record);

} // namespace temper::database
