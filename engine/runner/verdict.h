/// What is said of a kernel's results and times, whatever device it ran on.
#pragma once

#include "engine/runner/trial.h"

#include <optional>
#include <span>
#include <string>

namespace temper::engine {

/// A kernel's arguments must be the workload's; integers may follow (a peer's sizes). Empty: they
/// are.
std::string signature_mismatch(const PreparedWorkload& workload, const TrialRequest& request);
/// The outputs in the arguments of a set, against the set's references.
std::optional<WorstElement> check_outputs(const PreparedWorkload& workload, size_t set_index);
/// `when`: " after repeated calls", or nothing.
std::string describe_worst(const PreparedWorkload& workload, const WorstElement& worst,
                           const char* when);
/// Some output starts with values that the kernel reads.
bool reads_outputs(const PreparedWorkload& workload);
/// Why a time cannot be true; empty when it can.
std::string too_fast(const WorkloadSpec& spec, double median_ns);

/// Why calls that follow each other are no measure of the kernel: it is faster where it finds its
/// results (timing/repeated_calls.h). Empty when it is not.
std::string faster_on_results(std::span<const double> fresh_ns,
                              std::span<const double> repeated_ns);

/// For all calls of pairs, each of which may take `timeout_ms`.
int pairs_timeout_ms(int timeout_ms);

inline constexpr const char* kAfterRepeatedCalls =
    " after repeated calls (the first call was right)";

} // namespace temper::engine
