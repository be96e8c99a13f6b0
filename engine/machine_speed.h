/// How fast this host is at best: what a kernel's time is held against. Measured once per host by
/// small probes of our own and kept in the user's cache folder; a figure of a slow moment is
/// replaced when a later measurement is faster.
#pragma once

#include "engine/fma_probe.h"
#include "engine/machine.h"
#include "ir/dtype.h"
#include "ir/support/json.h"
#include "ir/support/result.h"

#include <chrono>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace temper::engine {

/// Of one core. A figure of 0 was not measured (an instruction set without a probe).
struct MachineSpeed {
  double f32_flops =
      0; ///< fused multiply-adds in the widest vectors, two operations each, a second
  double f64_flops = 0;
  double bf16_flops = 0; ///< products of bfloat16 summed in float32 by dot-product instructions
  double int8_ops = 0;   ///< products of bytes summed in int32, likewise
  double bf16_matrix_flops = 0; ///< these two by instructions for whole matrices (AMX)
  double int8_matrix_ops = 0;
  struct Level {
    int level = 0;          ///< 1, 2, 3; 0 is memory
    int64_t bytes = 0;      ///< size; 0 for memory
    double bytes_per_s = 0; ///< read in order with the widest vectors
    bool operator==(const Level&) const = default;
  };
  std::vector<Level> levels; ///< nearest first, memory last
  /// Written over and over with the widest vectors into the first level: what the store ports do.
  /// What the load ports do is what `levels` says of the first.
  double store_bytes_per_s = 0;
  int threads = 0;       ///< that the next two are for; 0: one processor, or no OpenMP runtime
  double fork_ns = 0;    ///< of an empty parallel region
  double barrier_ns = 0; ///< inside of one
  /// What is measured takes at most so many times as long while another process compiles beside it
  /// (measure_company_ratio); 0: not measured.
  double company_ratio = 0;
  /// When the newest of these figures was taken, nanoseconds since 1970; 0: not known. It names the
  /// measurement: figures of one moment are the same wherever they are shown.
  int64_t measured_at = 0;

  /// Operations a second; 0 where not known.
  double peak(FmaKind kind) const;
  /// How products of `operands` that are summed in `sum` are made fastest; nothing where no peak is
  /// known. What no instruction multiplies as it is, is converted to the type of the sum first.
  std::optional<FmaKind> fastest_kind(DataType operands, DataType sum) const;
  double peak(DataType dtype) const {
    const std::optional<FmaKind> kind = fastest_kind(dtype, dtype);
    return kind ? peak(*kind) : 0;
  }
  /// The level that holds that many bytes.
  const Level* holds(int64_t bytes) const;
  /// No correct kernel takes less time than this, nanoseconds: the larger of `flops` at the `peak`
  /// (operations a second; 0 = not known) of `threads` cores, and `bytes`, each moved once, at the
  /// bandwidth of the level that holds them, taken `threads` times (in the first level loads and
  /// stores overlap: it bounds nothing). 0 when nothing is known.
  double bound_ns(double peak, double flops, double bytes, int threads) const;
  double bound_ns(DataType dtype, double flops, double bytes, int threads) const {
    return bound_ns(peak(dtype), flops, bytes, threads);
  }

  /// Whether kernels may be timed while a compiler works on another processor.
  bool bears_company() const { return company_ratio > 0 && company_ratio <= kBearableCompany; }
  /// What a batch of trials may differ by without being measured again (kAnchorDriftLimit).
  static constexpr double kBearableCompany = 1.02;

  bool operator==(const MachineSpeed&) const = default;
};

/// The fastest of at least one time, but for one in fifty, which may be a clock's mistake.
double repeatable_fastest(std::span<const double> times);
/// Runs the probes: about half a second.
MachineSpeed measure_machine_speed(const Machine& machine);
/// The faster figure of both, each by itself.
MachineSpeed faster_of(const MachineSpeed& a, const MachineSpeed& b);

/// A sentence: "a core does 176 GFLOP/s in float32, ... and reads ... GB/s from memory".
std::string describe(const MachineSpeed& speed);

Json to_json(const MachineSpeed& speed);
Result<MachineSpeed> machine_speed_from_json(const Json& json);

/// Where hosts' figures are kept: TEMPER_CACHE, else temper in XDG_CACHE_HOME or ~/.cache; empty
/// when there is no home.
std::filesystem::path cache_folder();
/// What is kept of this host in `folder`, however old; nothing where nothing is, or it is damaged.
std::optional<MachineSpeed> kept_machine_speed(const Machine& machine,
                                               const std::filesystem::path& folder);
/// What is kept of this host in `folder`. Measured and kept when there is nothing, and measured
/// again, the faster figures kept, when it is older than `max_age`: a busy machine gives figures
/// that are too low. A damaged file counts as nothing; a folder that cannot be written is no error.
MachineSpeed known_machine_speed(const Machine& machine, const std::filesystem::path& folder,
                                 std::chrono::seconds max_age = std::chrono::seconds::max());

} // namespace temper::engine
