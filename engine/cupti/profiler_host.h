/// CUPTI's description of a chip's counters: which metrics there are, how they are planned, and
/// what they come to. Needs no GPU, but for what was read from one.
#pragma once

#include "engine/cupti/library.h"

#include <cupti_profiler_host.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace temper::engine::cupti {

class ProfilerHost {
public:
  /// `availability`: what a GPU says that it can count; null: all that the chip has. kEnvironment:
  /// no CUPTI, or it does not know the chip. kNotFound: the first metric that the chip has not.
  static Result<std::unique_ptr<ProfilerHost>>
  with_metrics(const std::string& chip, const uint8_t* availability,
               const std::vector<std::string>& metrics);
  ~ProfilerHost();
  ProfilerHost(const ProfilerHost&) = delete;
  ProfilerHost& operator=(const ProfilerHost&) = delete;

  /// What the profiler on the device is given.
  Result<std::vector<uint8_t>> config() const;
  /// Runs of what is counted that it takes.
  Result<int64_t> passes(std::vector<uint8_t>& config) const;
  /// Of one range in what was counted; in the order of the metrics.
  Result<std::vector<double>> values(const std::vector<uint8_t>& data, size_t range) const;
  const std::vector<const char*>& names() const { return names_; }

private:
  ProfilerHost(const Library& library, std::vector<std::string> metrics);
  Result<void> open(const std::string& chip, const uint8_t* availability);
  CUptiResult add(std::vector<const char*> names) const;

  const Library& library_;
  std::vector<std::string> metrics_;
  std::vector<const char*> names_; ///< of `metrics_`
  CUpti_Profiler_Host_Object* object_ = nullptr;
};

} // namespace temper::engine::cupti
