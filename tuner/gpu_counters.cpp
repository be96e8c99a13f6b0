#include "tuner/gpu_counters.h"

#include "ir/support/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace temper::tuner {
namespace {

constexpr double kNear = 0.8;   ///< busier than this there is little left to gain
constexpr double kBusy = 0.6;   ///< it is what limits
constexpr double kRemark = 0.1; ///< of wavefronts: conflicts that are worth a sentence
constexpr double kFewWarps = 0.25;

/// What the stall reasons of "smsp__average_warp_latency_issue_stalled_X.ratio" mean.
constexpr std::pair<const char*, const char*> kStalls[] = {
    {"long_scoreboard", "data from memory or the second-level cache (long scoreboard)"},
    {"barrier", "other warps at a barrier"},
    {"gmma", "products of warpgroups (wgmma)"},
    {"math_pipe_throttle", "arithmetic units, which are busy"},
    {"mio_throttle", "the queue to shared memory and special functions (MIO)"},
    {"short_scoreboard", "data from shared memory or special functions (short scoreboard)"},
    {"wait", "the fixed latency of the instruction before"}};

std::string percent(double share) { return fmt::format("{:.0f} %", share * 100); }

} // namespace

GpuUse gpu_use(const std::map<std::string, double>& counters, int architecture) {
  GpuUse use;
  const auto value = [&](const std::string& name) -> std::optional<double> {
    const auto found = counters.find(name);
    if (found == counters.end() || !std::isfinite(found->second) || found->second < 0)
      return std::nullopt;
    return found->second;
  };
  const auto share = [&](const std::string& name) -> std::optional<double> {
    const auto found = value(name);
    return found ? std::optional(*found / 100) : std::nullopt;
  };
  use.tensor = share("sm__pipe_tensor_op_hmma_type_hmma_hgmma_qgmma_cycles_active.avg.pct_of_peak_"
                     "sustained_elapsed");
  use.issue = share("smsp__issue_active.avg.pct_of_peak_sustained_active");
  use.occupancy = share("sm__warps_active.avg.pct_of_peak_sustained_active");
  use.l2_hits = share("lts__t_sector_hit_rate.pct");
  if (const auto hit = value("lts__t_sectors_lookup_hit.sum"),
      miss = value("lts__t_sectors_lookup_miss.sum");
      !use.l2_hits && hit && miss && *hit + *miss > 0)
    use.l2_hits = *hit / (*hit + *miss);
  const auto ns = value("gpu__time_duration.sum");
  const auto read = value("dram__bytes_read.sum"), written = value("dram__bytes_write.sum");
  if (ns && *ns > 0 && read && written) {
    use.bytes_per_s = (*read + *written) / *ns * 1e9;
    use.memory = *use.bytes_per_s / gpu_rates(architecture).bytes_per_s;
  }
  const auto conflicts = value("l1tex__data_bank_conflicts_pipe_lsu_mem_shared.sum");
  const auto wavefronts = value("l1tex__data_pipe_lsu_wavefronts_mem_shared.sum");
  if (conflicts && wavefronts && *wavefronts > 0)
    use.conflicts = *conflicts / *wavefronts;
  const auto loaded = value("l1tex__t_bytes_pipe_lsu_mem_local_op_ld.sum");
  const auto stored = value("l1tex__t_bytes_pipe_lsu_mem_local_op_st.sum");
  if (loaded || stored)
    use.spilled = loaded.value_or(0) + stored.value_or(0);
  for (const auto& [name, meaning] : kStalls)
    if (const auto cycles =
            value(fmt::format("smsp__average_warp_latency_issue_stalled_{}.ratio", name));
        cycles && *cycles > use.wait_cycles) {
      use.wait_cycles = *cycles;
      use.waits_for = meaning;
    }
  return use;
}

std::vector<std::string> counter_limits(const std::map<std::string, double>& counters,
                                        int architecture) {
  const GpuUse use = gpu_use(counters, architecture);
  std::vector<std::pair<double, std::string>> shares;
  const auto busy = [&](const std::optional<double>& share, const std::string& sentence) {
    if (share)
      shares.emplace_back(*share, sentence + (*share >= kNear   ? ": it is near what they give"
                                              : *share >= kBusy ? ": they limit it"
                                                                : ""));
  };
  busy(use.tensor,
       fmt::format("tensor cores are busy {} of the time", percent(use.tensor.value_or(0))));
  busy(use.issue,
       fmt::format("instructions are issued in {} of the slots", percent(use.issue.value_or(0))));
  if (use.memory)
    shares.emplace_back(
        *use.memory, fmt::format("memory moves {:.3g} TB/s, {} of the {:.3g} TB/s of such a card{}",
                                 *use.bytes_per_s * 1e-12, percent(*use.memory),
                                 gpu_rates(architecture).bytes_per_s * 1e-12,
                                 *use.memory >= kNear   ? ": it is near what memory gives"
                                 : *use.memory >= kBusy ? ": memory limits it"
                                                        : ""));
  std::stable_sort(shares.begin(), shares.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<std::string> sentences;
  // Where nothing is busy, what it waits for is the answer and comes first.
  const bool idle = !shares.empty() && shares.front().first < kBusy;
  if (!use.waits_for.empty())
    sentences.push_back(fmt::format("a warp waits {:.3g} cycles an instruction for {}{}",
                                    use.wait_cycles, use.waits_for,
                                    idle ? ", and nothing else is busy: latency limits it" : ""));
  else if (idle)
    sentences.emplace_back("none of what was counted is busy: latency limits it; the set `stall` "
                           "says what warps wait for");
  if (idle && use.occupancy && *use.occupancy < kFewWarps)
    sentences.push_back(fmt::format("only {} of the warps that a multiprocessor holds are there to "
                                    "hide it",
                                    percent(*use.occupancy)));
  std::vector<std::string> result;
  if (idle)
    result = sentences;
  for (const auto& [share, sentence] : shares)
    result.push_back(sentence);
  if (!idle)
    result.insert(result.end(), sentences.begin(), sentences.end());
  if (use.spilled && *use.spilled > 0)
    result.push_back(fmt::format("{:.3g} MiB of registers go to memory or come back: they are "
                                 "spilled",
                                 *use.spilled / (1 << 20)));
  if (use.conflicts && *use.conflicts > kRemark)
    result.push_back(fmt::format("{} of shared memory's wavefronts repeat others because of bank "
                                 "conflicts",
                                 percent(*use.conflicts)));
  if (use.l2_hits && use.memory && *use.memory >= kBusy)
    result.push_back(fmt::format("{} of what is asked of the second-level cache is there",
                                 percent(*use.l2_hits)));
  return result;
}

std::optional<Counted> counted_of(const std::map<std::string, double>& counters, int architecture) {
  const GpuUse use = gpu_use(counters, architecture);
  const auto share = [](const std::optional<double>& value) {
    return static_cast<float>(value.value_or(std::numeric_limits<double>::quiet_NaN()));
  };
  const Counted counted = {
      share(use.tensor),
      share(use.memory),
      share(use.issue),
      share(use.occupancy),
      share(use.conflicts),
      share(use.l2_hits),
      share(use.waits_for.empty() ? std::optional<double>() : std::optional(use.wait_cycles))};
  if (std::none_of(counted.begin(), counted.end(),
                   [](float value) { return std::isfinite(value); }))
    return std::nullopt;
  return counted;
}

Result<RecordCounters> record_counters(database::Store& store, const database::RecordRow& row,
                                       const database::Measurement& own) {
  RecordCounters found{row.id, counters_of(own.counters_json)};
  if (!found.counters.empty())
    return found;
  database::RecordFilter same;
  same.candidate = row.candidate;
  same.target = row.target;
  same.environment_class = row.environment_class;
  same.regime = row.regime;
  same.order = database::Order::kNewest;
  TEMPER_TRY(others, store.list_records(same));
  for (const database::RecordRow& other : others) {
    if (other.toolchain != row.toolchain || other.id == row.id)
      continue;
    TEMPER_TRY(measurement, store.measurement(other.id));
    found = {other.id, counters_of(measurement.counters_json)};
    if (!found.counters.empty())
      return found;
  }
  return RecordCounters{};
}

std::map<std::string, double> counters_of(const std::string& counters_json) {
  std::map<std::string, double> counters;
  const auto json = counters_json.empty() ? Result<Json>(Json()) : parse_json(counters_json);
  if (!json || !json->is_object())
    return counters;
  for (const auto& [name, value] : json->items())
    if (value.is_number())
      counters[name] = value.get<double>();
  return counters;
}

} // namespace temper::tuner
