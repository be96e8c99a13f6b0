/// A finished exhaustive run as a measured table: strategies can then be replayed on it with
/// `temper score`, on any machine (replay/measured_table.h reads it back).
#pragma once

#include "database/store.h"
#include "ir/support/result.h"

#include <string>

namespace temper::tuner {

/// Both hold a configuration a line.
enum class TableFormat : uint8_t {
  kT4,          ///< T4 results
  kKernelTuner, ///< a cache of Kernel Tuner 1.x, for its simulation mode
};

struct SavedTable {
  std::string text;          ///< one JSON object
  size_t configurations = 0; ///< rows
  size_t failed = 0;         ///< of them
};

/// The run's candidates, in the order they were measured. Their parameters are `sketch` (0, 1, ...:
/// which structure, in the order of appearance) and `d0`, `d1`, ...: the decisions of the trace, as
/// 7 or "4x16x1", "-" where a sketch has fewer. Times are medians of the search; of a candidate
/// that was given up as hopeless it is what was measured until then.
///
/// An error when the run did not exhaust its space (a table without some of the configurations
/// answers wrongly), unless `partial`; and when it measured nothing.
Result<SavedTable> table_of_run(database::Store& store, const database::Id& run,
                                bool partial = false, TableFormat format = TableFormat::kT4);

} // namespace temper::tuner
