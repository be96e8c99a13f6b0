/// What this machine can and cannot measure, for `temper doctor`.
#pragma once

#include "engine/local_measurer.h"
#include "ir/support/json.h"

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace temper::engine {

struct Finding {
  enum class State : uint8_t { kOk, kLimited, kMissing };
  std::string name; ///< "cpu", "noise", ...
  State state = State::kOk;
  std::string sentence; ///< what it is, and what to do when it is not ok
  Json details = Json::object();
};
const char* to_string(Finding::State state); ///< "ok", "limited", "missing"
Json to_json(const Finding& finding);

struct DoctorOptions {
  std::filesystem::path database; ///< the file, or the folder it would be in; empty: not examined
  bool quick = false;             ///< without what takes longer than a blink (noise, cores)
  LocalMeasurerOptions measurer;
  /// Told what is looked at next, before it is: some of it takes a minute.
  std::function<void(const std::string& probe)> progress;
};

/// cpu, speed, isolation, cores, noise, clock, counters, frequency, huge_pages, memory, quota,
/// load, openmp, peers, disk; what belongs to other parts (the compiler, GPUs) the caller adds.
std::vector<Finding> examine(const DoctorOptions& options);

/// The A/A test: what two measurements of the same thing differ by here.
struct NoiseFloor {
  double spread = 0;       ///< median absolute deviation over median, of single samples
  double ratio = 1;        ///< a over b, which is 1 but for noise
  Interval ratio_interval; ///< 95 %
  double gap_share = 0;    ///< part of the samples that were longer than 1.5 times the median
};
NoiseFloor noise_floor(const NoiseSample& sample);

} // namespace temper::engine
