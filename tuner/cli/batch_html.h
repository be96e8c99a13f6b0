/// The last table of a batch as one HTML file that opens anywhere.
#pragma once

#include "tuner/batch.h"
#include "tuner/workbench.h"

#include <string>
#include <vector>

namespace temper::cli {

/// Table, the course of each search as a plot, and where the numbers come from; no scripts, nothing
/// loaded from elsewhere.
Result<std::string> batch_html(tuner::Workbench& bench, const std::string& name,
                               const tuner::BatchResult& result,
                               const std::vector<std::string>& summary);

} // namespace temper::cli
