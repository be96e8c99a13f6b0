#include "gui/core/counters.h"

#include "gui/core/format.h"
#include "ir/support/json.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace temper::gui {

namespace {

struct Known {
  const char* name;
  const char* words;
  const char* unit;
};

/// Those that the engine counts (engine/counters.h, engine/cupti/metrics.cpp), and what was run of
/// a program for a GPU that is not there.
constexpr std::array kKnown{
    Known{"cycles", "cycles", ""},
    Known{"instructions", "instructions", ""},
    Known{"branch_misses", "mispredicted branches", ""},
    Known{"cache_misses", "misses of the last cache", ""},
    Known{"task_clock_ns", "time on a core", "ns"},
    Known{"page_faults", "page faults", ""},
    Known{"emulated.blocks", "blocks of the grid", ""},
    Known{"emulated.checked_blocks", "blocks that were checked", ""},
    Known{"context_switches", "switches to other threads", ""},
    Known{"gpu__time_duration.sum", "time on the GPU", "ns"},
    Known{"sm__cycles_elapsed.max", "cycles", ""},
    Known{"sm__inst_executed.sum", "instructions of warps", ""},
    Known{"dram__bytes_read.sum", "read from memory", "byte"},
    Known{"dram__bytes_write.sum", "written to memory", "byte"},
    Known{"sm__pipe_tensor_op_hmma_type_hmma_hgmma_qgmma_cycles_active.avg.pct_of_peak_sustained_"
          "elapsed",
          "tensor cores at work", "%"},
    Known{"sm__warps_active.avg.pct_of_peak_sustained_active", "occupancy reached", "%"},
    Known{"smsp__issue_active.avg.pct_of_peak_sustained_active", "issue slots used", "%"},
    Known{"lts__t_bytes.sum", "moved through L2", "byte"},
    Known{"lts__t_sectors_lookup_hit.sum", "sectors found in L2", ""},
    Known{"lts__t_sectors_lookup_miss.sum", "sectors missed in L2", ""},
    Known{"lts__t_sector_hit_rate.pct", "hit rate of L2", "%"},
    Known{"l1tex__t_sector_hit_rate.pct", "hit rate of L1", "%"},
    Known{"l1tex__data_bank_conflicts_pipe_lsu_mem_shared.sum", "bank conflicts", ""},
    Known{"l1tex__data_bank_conflicts_pipe_lsu_mem_shared_op_ld.sum", "bank conflicts of loads",
          ""},
    Known{"l1tex__data_bank_conflicts_pipe_lsu_mem_shared_op_st.sum", "bank conflicts of stores",
          ""},
    Known{"l1tex__data_bank_conflicts_pipe_lsu_mem_shared_op_gmma.sum",
          "bank conflicts of tensor cores", ""},
    Known{"l1tex__data_pipe_lsu_wavefronts_mem_shared.sum", "wavefronts to shared memory", ""},
    Known{"sm__ops_path_tensor_op_hgmma_src_fp16.sum", "tensor operations, float16 (wgmma)", ""},
    Known{"sm__ops_path_tensor_op_hgmma_src_bf16_dst_fp32.sum",
          "tensor operations, bfloat16 (wgmma)", ""},
    Known{"sm__ops_path_tensor_src_fp8.sum", "tensor operations, float8", ""},
    Known{"sm__ops_path_tensor_src_int8.sum", "tensor operations, int8", ""},
    Known{"sm__ops_path_tensor_op_hmma_src_fp16.sum", "tensor operations, float16 (mma)", ""},
    Known{"sm__inst_executed_pipe_tma.sum", "instructions of the TMA", ""},
    Known{"l1tex__m_xbar2l1tex_read_bytes.sum", "read by the TMA and L1 from L2", "byte"},
    Known{"l1tex__t_bytes_pipe_lsu_mem_local_op_ld.sum", "spills read", "byte"},
    Known{"l1tex__t_bytes_pipe_lsu_mem_local_op_st.sum", "spills written", "byte"},
    Known{"smsp__average_warp_latency_issue_stalled_long_scoreboard.ratio",
          "waits for memory, cycles an instruction", ""},
    Known{"smsp__average_warp_latency_issue_stalled_short_scoreboard.ratio",
          "waits for shared memory, cycles an instruction", ""},
    Known{"smsp__average_warp_latency_issue_stalled_barrier.ratio",
          "waits at barriers, cycles an instruction", ""},
    Known{"smsp__average_warp_latency_issue_stalled_gmma.ratio",
          "waits for wgmma, cycles an instruction", ""},
    Known{"smsp__average_warp_latency_issue_stalled_math_pipe_throttle.ratio",
          "waits for arithmetic, cycles an instruction", ""},
    Known{"smsp__average_warp_latency_issue_stalled_mio_throttle.ratio",
          "waits for the memory queue, cycles an instruction", ""},
    Known{"smsp__average_warp_latency_issue_stalled_wait.ratio",
          "fixed latencies, cycles an instruction", ""},
};

constexpr QLatin1StringView kOfPeak{"pct_of_peak_sustained"};

} // namespace

QString CounterValue::text() const {
  if (unit == u"%")
    return QStringLiteral("%1 %").arg(value, 0, 'f', 1);
  if (unit == u"ns")
    return value > 0 ? timeText(value) : QStringLiteral("0");
  const bool isWhole = value == std::floor(value) && std::abs(value) < 1e15;
  const QString number =
      isWhole ? numberText(static_cast<int64_t>(value)) : QString::number(value, 'g', 4);
  return unit.isEmpty() ? number
                        : QStringLiteral("%1 %2%3").arg(
                              number, unit, value == 1 ? QString() : QStringLiteral("s"));
}

double CounterValue::shareOfPeak() const {
  return name.contains(kOfPeak) ? value / 100 : database::kUnknown;
}

CounterValue counterOf(const QString& name, double value) {
  const auto known = std::find_if(kKnown.begin(), kKnown.end(), [&](const Known& entry) {
    return name == QLatin1StringView(entry.name);
  });
  if (known != kKnown.end())
    return {name, QString::fromLatin1(known->words), QString::fromLatin1(known->unit), value};
  const bool isShare = name.endsWith(QStringLiteral(".pct")) || name.contains(kOfPeak);
  return {name, name, isShare ? QStringLiteral("%") : QString(), value};
}

std::vector<CounterValue> countersOf(const database::Measurement& measurement) {
  std::vector<CounterValue> counters;
  if (const auto json = parse_json(measurement.counters_json); json && json->is_object())
    for (const auto& [name, value] : json->items())
      if (value.is_number())
        counters.push_back(counterOf(toQString(name), value.get<double>()));
  std::stable_sort(counters.begin(), counters.end(),
                   [](const CounterValue& a, const CounterValue& b) { return a.words < b.words; });
  return counters;
}

QStringList slowdownsOf(const database::Measurement& measurement) {
  QStringList names;
  const auto json = parse_json(measurement.timing_json);
  if (!json || !json->is_object())
    return names;
  const Json gpu = json->value("gpu", Json::object());
  if (gpu.is_object())
    for (const Json& name : gpu.value("slowdowns", Json::array()))
      if (name.is_string())
        names << toQString(name.get<std::string>());
  return names;
}

} // namespace temper::gui
