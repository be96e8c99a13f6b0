/// Quantities with their units as people read them: the command line and the GUI show the same
/// text.
#pragma once

#include "ir/support/json.h"

#include <cstdint>
#include <string>

namespace temper {

/// "1.234 ms", "210 ns"; "-" when not known.
std::string format_time(double ns);
/// "GOP/s" where a workload's binding says that it computes with integers (`dtype` is int8 or the
/// like), else "GFLOP/s".
const char* rate_unit(const std::string& binding_json);
/// "190.1 GFLOP/s", "411.0 GOP/s"; "-" when not known. `flops` of one call of the workload with
/// this binding.
std::string format_rate(double flops, double ns, const std::string& binding_json);
double gflops(double flops, double ns); ///< 0 when not known
/// "1 trial", "2 trials".
std::string format_count(int64_t count, const std::string& noun);
/// "2.3 s", "4 min 10 s".
std::string format_seconds(double seconds);
/// "2026-11-21 14:03" in local time.
std::string format_date(int64_t unix_ns);
/// "2026-11-21T14:03:05+00:00", or another character between day and time.
std::string format_utc(int64_t unix_ns, char between = 'T');

/// A stored binding, whose keys are sorted, in the order of `parameters_json`, the list of the
/// parameters as the workload declares them; parameters that the list lacks come last.
Json ordered_binding(const std::string& binding_json, const std::string& parameters_json);
/// {"K":512,"M":512} -> "K=512 M=512".
std::string format_binding(const std::string& binding_json);

/// The processor of a target, without the features that are switched off or added:
/// "cpu:sapphirerapids,-amx-tile" -> "cpu:sapphirerapids". For tables; `show` has all of it.
std::string short_target(const std::string& target);

} // namespace temper
