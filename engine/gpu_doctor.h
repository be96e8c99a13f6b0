/// What can and cannot be measured on this machine's GPU, for `temper doctor`.
#pragma once

#include "engine/doctor.h"

#include <optional>
#include <string>
#include <vector>

namespace temper::engine {

/// GPU, GPU timer, GPU clocks, GPU counters, of GPU 0; where there is none, GPU alone. Starts a
/// process with a context there.
std::vector<Finding> examine_gpu();

/// Whether the driver gives counters to administrators alone, from what it says of its settings
/// ("RmProfilingAdminOnly: 1"); nothing where it does not say.
std::optional<bool> counters_for_administrators_only(const std::string& parameters);

} // namespace temper::engine
