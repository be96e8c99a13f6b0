/// Targets and threads of records in words, for tables and pages.
#pragma once

#include <cstdint>
#include <string>

namespace temper {

/// "2 threads"; empty for a GPU, whose threads are its program's.
std::string thread_text(const std::string& target, int64_t threads);
/// "2", for a column of threads; empty where the text is.
std::string thread_cell(const std::string& target, int64_t threads);
/// "cpu:znver4, 2 threads", "cuda:sm_90a".
std::string target_and_threads(const std::string& target, int64_t threads);

} // namespace temper
