#include "engine/cupti/metrics.h"

#include "engine/cuda/timer.h"
#include "engine/cupti/profiler_host.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::engine {
const std::vector<MetricSet>& metric_sets() {
  static const std::vector<MetricSet> sets = {
      {"lite",
       "time, memory traffic, tensor cores, occupancy, issue slots",
       {"gpu__time_duration.sum", "sm__cycles_elapsed.max", "dram__bytes_read.sum",
        "dram__bytes_write.sum",
        "sm__pipe_tensor_op_hmma_type_hmma_hgmma_qgmma_cycles_active.avg.pct_of_peak_sustained_"
        "elapsed",
        "sm__warps_active.avg.pct_of_peak_sustained_active",
        "smsp__issue_active.avg.pct_of_peak_sustained_active"}},
      {"lite2",
       "second-level cache, bank conflicts, instructions",
       {"gpu__time_duration.sum", "lts__t_bytes.sum", "lts__t_sectors_lookup_hit.sum",
        "lts__t_sectors_lookup_miss.sum", "l1tex__data_bank_conflicts_pipe_lsu_mem_shared.sum",
        "l1tex__data_pipe_lsu_wavefronts_mem_shared.sum", "sm__inst_executed.sum"}},
      {"traffic",
       "bytes and hit rates of each level",
       {"gpu__time_duration.sum", "dram__bytes_read.sum", "dram__bytes_write.sum",
        "lts__t_bytes.sum", "lts__t_sector_hit_rate.pct", "l1tex__t_sector_hit_rate.pct"}},
      {"tensor_ops",
       "operations that tensor cores really did, by type",
       {"sm__ops_path_tensor_op_hgmma_src_fp16.sum",
        "sm__ops_path_tensor_op_hgmma_src_bf16_dst_fp32.sum", "sm__ops_path_tensor_src_fp8.sum",
        "sm__ops_path_tensor_src_int8.sum", "sm__ops_path_tensor_op_hmma_src_fp16.sum"}},
      {"smem",
       "bank conflicts of shared memory, by operation",
       {"l1tex__data_bank_conflicts_pipe_lsu_mem_shared.sum",
        "l1tex__data_bank_conflicts_pipe_lsu_mem_shared_op_ld.sum",
        "l1tex__data_bank_conflicts_pipe_lsu_mem_shared_op_st.sum",
        "l1tex__data_bank_conflicts_pipe_lsu_mem_shared_op_gmma.sum"}},
      {"tma",
       "the tensor memory accelerator",
       {"sm__inst_executed_pipe_tma.sum", "l1tex__m_xbar2l1tex_read_bytes.sum"}},
      {"stall",
       "what warps wait for",
       {"smsp__average_warp_latency_issue_stalled_long_scoreboard.ratio",
        "smsp__average_warp_latency_issue_stalled_barrier.ratio",
        "smsp__average_warp_latency_issue_stalled_gmma.ratio",
        "smsp__average_warp_latency_issue_stalled_math_pipe_throttle.ratio",
        "smsp__average_warp_latency_issue_stalled_mio_throttle.ratio",
        "smsp__average_warp_latency_issue_stalled_short_scoreboard.ratio",
        "smsp__average_warp_latency_issue_stalled_wait.ratio"}},
      {"spill",
       "registers that went to memory",
       {"l1tex__t_bytes_pipe_lsu_mem_local_op_ld.sum",
        "l1tex__t_bytes_pipe_lsu_mem_local_op_st.sum"}},
  };
  return sets;
}

Result<const MetricSet*> find_metric_set(std::string_view name) {
  std::string names;
  for (const MetricSet& set : metric_sets()) {
    if (set.name == name)
      return &set;
    names += (names.empty() ? "" : ", ") + set.name;
  }
  return Error(ErrorCode::kNotFound,
               fmt::format("there is no set of metrics '{}'; there are {}", name, names));
}

std::vector<std::string> metric_set_names() {
  std::vector<std::string> names;
  for (const MetricSet& set : metric_sets())
    names.push_back(set.name);
  return names;
}

Result<std::vector<std::string>> metrics_of_sets(const std::vector<std::string>& sets) {
  std::vector<std::string> metrics;
  for (const std::string& name : sets) {
    TEMPER_TRY(set, find_metric_set(name));
    for (const std::string& metric : set->metrics)
      if (std::find(metrics.begin(), metrics.end(), metric) == metrics.end())
        metrics.push_back(metric);
  }
  return metrics;
}

Result<MetricPlan> plan_metrics(const std::string& chip, const std::vector<std::string>& metrics) {
  TEMPER_TRY(host, cupti::ProfilerHost::with_metrics(chip, nullptr, metrics));
  TEMPER_TRY(config, host->config());
  TEMPER_TRY(passes, host->passes(config));
  return MetricPlan{passes, std::string(config.begin(), config.end())};
}

Result<std::string> cupti_version() {
  TEMPER_TRY(cupti, cupti::library());
  uint32_t version = 0;
  if (const CUptiResult code = cupti->version(&version); code != CUPTI_SUCCESS)
    return Error(ErrorCode::kEnvironment,
                 "CUPTI does not say its version: " + cupti->words_of(code));
  // 130001: CUDA 13.0
  return fmt::format("{}.{}", version / 10000, version / 100 % 100);
}

} // namespace temper::engine
