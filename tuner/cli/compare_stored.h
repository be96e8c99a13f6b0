/// temper compare --stored: two selections from what the database has of them.
#pragma once

#include "database/query.h"
#include "tuner/cli/command.h"

namespace temper::cli {

struct CompareStoredOptions {
  CommonOptions common;
  bool has_cache = false;  ///< --cache was given: only records of that regime
  double tolerance = 0.02; ///< smaller differences count as none
};

int run_compare_stored(const CompareStoredOptions& options, const database::Selection& a,
                       const database::Selection& b);

} // namespace temper::cli
