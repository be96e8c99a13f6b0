#include "engine/cupti/metrics.h"

#include "codegen/cuda/library.h"

#include <fmt/format.h>

#include <cupti.h>
#include <cupti_profiler_host.h>

#include <algorithm>
#include <memory>

namespace temper::engine {
namespace {

struct Cupti {
  decltype(&::cuptiGetVersion) version = nullptr;
  decltype(&::cuptiGetResultString) result_string = nullptr;
  decltype(&::cuptiProfilerHostInitialize) initialize = nullptr;
  decltype(&::cuptiProfilerHostDeinitialize) deinitialize = nullptr;
  decltype(&::cuptiProfilerHostConfigAddMetrics) add_metrics = nullptr;
  decltype(&::cuptiProfilerHostGetConfigImageSize) config_size = nullptr;
  decltype(&::cuptiProfilerHostGetConfigImage) config = nullptr;
  decltype(&::cuptiProfilerHostGetNumOfPasses) passes = nullptr;

  std::string text(CUptiResult code) const {
    const char* words = nullptr;
    return result_string(code, &words) == CUPTI_SUCCESS && words != nullptr
               ? words
               : fmt::format("code {}", static_cast<int>(code));
  }
};

Result<Cupti> open_cupti() {
  const auto missing = [](const std::string& why) {
    return Error(ErrorCode::kEnvironment,
                 "GPU counters cannot be planned or read here: libcupti.so.13 is not found (" +
                     why +
                     "); install CUDA's CUPTI, or the Python package nvidia-cuda-cupti, and name "
                     "its folder in TEMPER_CUDA_LIBRARIES");
  };
  const auto library = codegen::load_cuda_library({"libcupti.so.13"});
  if (!library)
    return missing(library.error().message);
  Cupti cupti;
  const bool all = library->find("cuptiGetVersion", cupti.version) &&
                   library->find("cuptiGetResultString", cupti.result_string) &&
                   library->find("cuptiProfilerHostInitialize", cupti.initialize) &&
                   library->find("cuptiProfilerHostDeinitialize", cupti.deinitialize) &&
                   library->find("cuptiProfilerHostConfigAddMetrics", cupti.add_metrics) &&
                   library->find("cuptiProfilerHostGetConfigImageSize", cupti.config_size) &&
                   library->find("cuptiProfilerHostGetConfigImage", cupti.config) &&
                   library->find("cuptiProfilerHostGetNumOfPasses", cupti.passes);
  if (!all)
    return missing(library->path + " is older than the profiler that is used");
  return cupti;
}

Result<const Cupti*> load_cupti() {
  static const Result<Cupti> loaded = open_cupti();
  if (!loaded)
    return loaded.error();
  return &*loaded;
}

/// The profiler's description of a chip, which metrics are added to.
class Host {
public:
  explicit Host(const Cupti& cupti) : cupti_(cupti) {}
  Host(const Host&) = delete;
  ~Host() {
    if (object_ == nullptr)
      return;
    CUpti_Profiler_Host_Deinitialize_Params params{};
    params.structSize = CUpti_Profiler_Host_Deinitialize_Params_STRUCT_SIZE;
    params.pHostObject = object_;
    cupti_.deinitialize(&params);
  }

  Result<void> open(const std::string& chip) {
    CUpti_Profiler_Host_Initialize_Params params{};
    params.structSize = CUpti_Profiler_Host_Initialize_Params_STRUCT_SIZE;
    params.profilerType = CUPTI_PROFILER_TYPE_RANGE_PROFILER;
    params.pChipName = chip.c_str();
    if (const CUptiResult code = cupti_.initialize(&params); code != CUPTI_SUCCESS)
      return Error(
          ErrorCode::kEnvironment,
          fmt::format("CUPTI has no counters of the chip '{}': {}", chip, cupti_.text(code)));
    object_ = params.pHostObject;
    return {};
  }

  CUptiResult add(const std::vector<std::string>& metrics) {
    std::vector<const char*> names;
    for (const std::string& metric : metrics)
      names.push_back(metric.c_str());
    CUpti_Profiler_Host_ConfigAddMetrics_Params params{};
    params.structSize = CUpti_Profiler_Host_ConfigAddMetrics_Params_STRUCT_SIZE;
    params.pHostObject = object_;
    params.ppMetricNames = names.data();
    params.numMetrics = names.size();
    return cupti_.add_metrics(&params);
  }

  Result<MetricPlan> plan() {
    const auto failed = [&](CUptiResult code) {
      return Error(ErrorCode::kFailed, "CUPTI cannot plan these metrics: " + cupti_.text(code));
    };
    CUpti_Profiler_Host_GetConfigImageSize_Params size{};
    size.structSize = CUpti_Profiler_Host_GetConfigImageSize_Params_STRUCT_SIZE;
    size.pHostObject = object_;
    if (const CUptiResult code = cupti_.config_size(&size); code != CUPTI_SUCCESS)
      return failed(code);
    MetricPlan plan;
    plan.config.resize(size.configImageSize);
    auto* image = reinterpret_cast<uint8_t*>(plan.config.data());
    CUpti_Profiler_Host_GetConfigImage_Params get{};
    get.structSize = CUpti_Profiler_Host_GetConfigImage_Params_STRUCT_SIZE;
    get.pHostObject = object_;
    get.configImageSize = plan.config.size();
    get.pConfigImage = image;
    if (const CUptiResult code = cupti_.config(&get); code != CUPTI_SUCCESS)
      return failed(code);
    CUpti_Profiler_Host_GetNumOfPasses_Params passes{};
    passes.structSize = CUpti_Profiler_Host_GetNumOfPasses_Params_STRUCT_SIZE;
    passes.configImageSize = plan.config.size();
    passes.pConfigImage = image;
    if (const CUptiResult code = cupti_.passes(&passes); code != CUPTI_SUCCESS)
      return failed(code);
    plan.passes = static_cast<int64_t>(passes.numOfPasses);
    return plan;
  }

private:
  const Cupti& cupti_;
  CUpti_Profiler_Host_Object* object_ = nullptr;
};

} // namespace

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

Result<MetricPlan> plan_metrics(const std::string& chip, const std::vector<std::string>& metrics) {
  TEMPER_TRY(cupti, load_cupti());
  Host host(*cupti);
  TEMPER_TRY_VOID(host.open(chip));
  if (host.add(metrics) != CUPTI_SUCCESS) {
    // All or none are taken: which one it was shows one by one.
    for (const std::string& metric : metrics) {
      Host one(*cupti);
      TEMPER_TRY_VOID(one.open(chip));
      if (const CUptiResult code = one.add({metric}); code != CUPTI_SUCCESS)
        return Error(ErrorCode::kNotFound,
                     fmt::format("{} has no metric '{}' ({})", chip, metric, cupti->text(code)));
    }
    return Error(ErrorCode::kFailed, chip + " does not count these metrics together");
  }
  return host.plan();
}

Result<std::string> cupti_version() {
  TEMPER_TRY(cupti, load_cupti());
  uint32_t version = 0;
  if (const CUptiResult code = cupti->version(&version); code != CUPTI_SUCCESS)
    return Error(ErrorCode::kEnvironment, "CUPTI does not say its version: " + cupti->text(code));
  // 130001: CUDA 13.0
  return fmt::format("{}.{}", version / 10000, version / 100 % 100);
}

} // namespace temper::engine
