/// temper compare --stored: two selections from what the database has of them.
#pragma once

#include "database/query.h"
#include "tuner/cli/command.h"

#include <optional>

namespace temper::cli {

struct CompareStoredOptions {
  CommonOptions common;
  std::optional<engine::Regime> regime; ///< of --cache, where it was given: only its records
  double tolerance = 0.02;              ///< smaller differences count as none
};

int run_compare_stored(const CompareStoredOptions& options, const database::Selection& a,
                       const database::Selection& b);

} // namespace temper::cli
