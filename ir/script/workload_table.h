/// workloads/WORKLOADS.md from the workload files themselves.
#pragma once

#include "ir/support/result.h"

#include <filesystem>
#include <string>

namespace temper::script {

/// The whole file, as Markdown: a row for each workload of the files (*.py) of the folder. An error
/// of a file that does not read names it.
Result<std::string> workload_table(const std::filesystem::path& folder);

} // namespace temper::script
