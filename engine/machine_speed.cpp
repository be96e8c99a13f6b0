#include "engine/machine_speed.h"

#include "engine/fingerprint.h"
#include "engine/fma_probe.h"
#include "engine/machine_probes.h"
#include "engine/timing/clock.h"
#include "ir/support/clock.h"
#include "ir/support/hash.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>

#include <sys/mman.h>
#include <unistd.h>

namespace temper::engine {
namespace {

#if defined(__x86_64__)

// Loads alone, without a use: what the load ports and the level behind them can do.
#define TEMPER_READ_PROBE(name, wide, width)                                                       \
  void name(const std::byte* at, int64_t blocks) {                                                 \
    __asm__ volatile("1:\n"                                                                        \
                     "vmovups 0*" #width "(%0),%%" wide "0\n"                                      \
                     "vmovups 1*" #width "(%0),%%" wide "1\n"                                      \
                     "vmovups 2*" #width "(%0),%%" wide "2\n"                                      \
                     "vmovups 3*" #width "(%0),%%" wide "3\n"                                      \
                     "vmovups 4*" #width "(%0),%%" wide "4\n"                                      \
                     "vmovups 5*" #width "(%0),%%" wide "5\n"                                      \
                     "vmovups 6*" #width "(%0),%%" wide "6\n"                                      \
                     "vmovups 7*" #width "(%0),%%" wide "7\n"                                      \
                     "add $8*" #width ",%0\n"                                                      \
                     "dec %1\n"                                                                    \
                     "jnz 1b\n"                                                                    \
                     "vzeroupper\n"                                                                \
                     : "+r"(at), "+r"(blocks)                                                      \
                     :                                                                             \
                     : "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",     \
                       "xmm7");                                                                    \
  }
TEMPER_READ_PROBE(read_512, "zmm", 64)
TEMPER_READ_PROBE(read_256, "ymm", 32)
#undef TEMPER_READ_PROBE

void read_once(const std::byte* at, int64_t bytes) {
  if (__builtin_cpu_supports("avx512f"))
    read_512(at, bytes / 512);
  else if (__builtin_cpu_supports("avx"))
    read_256(at, bytes / 256);
}
bool can_read() { return __builtin_cpu_supports("avx") != 0; }

#else

volatile double sink_; // keeps the work from being optimised away

void read_once(const std::byte* at, int64_t bytes) {
  uint64_t sum = 0;
  for (int64_t i = 0; i < bytes; i += 8)
    sum += *reinterpret_cast<const uint64_t*>(at + i);
  sink_ = static_cast<double>(sum);
}
bool can_read() { return true; }

#endif

/// What the fastest of many short runs agree on: a host that takes the core away only makes some of
/// them long, but a clock that is set right in the middle makes one of them too short, and the
/// fastest figure is kept for good.
template <typename Run> double fastest_ns(const Run& run, int repeats) {
  std::vector<double> taken;
  for (int i = 0; i < repeats; ++i) {
    const double begin = now_ns();
    run();
    taken.push_back(now_ns() - begin);
  }
  return repeatable_fastest(taken);
}

double measure_flops(FmaKind kind) {
  const FmaProbe probe = fma_probe(kind);
  if (probe.run == nullptr)
    return 0;
  constexpr int64_t kRounds = 20'000; // about 0.1 ms
  probe.run(kRounds);
  return probe.flops_per_round * kRounds / fastest_ns([&] { probe.run(kRounds); }, 300) * 1e9;
}

/// Memory in huge pages where the system gives them: the walk over page tables is not what is
/// measured.
class ProbeMemory {
public:
  explicit ProbeMemory(size_t bytes) : bytes_(bytes) {
    void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
      return;
    ::madvise(at, bytes, MADV_HUGEPAGE);
    at_ = static_cast<std::byte*>(at);
    for (size_t i = 0; i < bytes; i += 4096)
      at_[i] = std::byte{1};
  }
  ~ProbeMemory() {
    if (at_ != nullptr)
      ::munmap(at_, bytes_);
  }
  ProbeMemory(const ProbeMemory&) = delete;
  ProbeMemory& operator=(const ProbeMemory&) = delete;
  std::byte* data() const { return at_; }

private:
  std::byte* at_ = nullptr;
  size_t bytes_;
};

double measure_bandwidth(int64_t bytes) {
  bytes = bytes / 4096 * 4096;
  const ProbeMemory memory(static_cast<size_t>(bytes));
  if (memory.data() == nullptr || !can_read() || bytes == 0)
    return 0;
  const int64_t passes = std::max<int64_t>(1, (int64_t{4} << 20) / bytes);
  const int repeats = bytes > (int64_t{64} << 20) ? 4 : 60;
  const double ns = fastest_ns(
      [&] {
        for (int64_t pass = 0; pass < passes; ++pass)
          read_once(memory.data(), bytes);
      },
      repeats);
  return static_cast<double>(bytes * passes) / ns * 1e9;
}

Result<Json> read_json(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  return parse_json(text.str());
}

/// Written beside and moved into place: another temper may read at the same time.
void keep(const std::filesystem::path& file, const std::string& text) {
  std::error_code failed;
  std::filesystem::create_directories(file.parent_path(), failed);
  const std::filesystem::path fresh = file.string() + "." + std::to_string(::getpid());
  {
    std::ofstream out(fresh);
    out << text << '\n';
    if (!out)
      failed = std::make_error_code(std::errc::io_error);
  }
  if (!failed)
    std::filesystem::rename(fresh, file, failed);
  if (failed) {
    std::error_code ignored;
    std::filesystem::remove(fresh, ignored);
  }
}

} // namespace

double repeatable_fastest(std::span<const double> times) {
  // One in fifty may be too short: five of 300, one of 60, none of 4.
  std::vector<double> sorted(times.begin(), times.end());
  const auto at = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 51);
  std::nth_element(sorted.begin(), at, sorted.end());
  return *at;
}

double MachineSpeed::peak(FmaKind kind) const {
  switch (kind) {
  case FmaKind::kFloat32:
    return f32_flops;
  case FmaKind::kFloat64:
    return f64_flops;
  case FmaKind::kBFloat16:
    return bf16_flops;
  case FmaKind::kInt8:
    return int8_ops;
  case FmaKind::kBFloat16Matrix:
    return bf16_matrix_flops;
  case FmaKind::kInt8Matrix:
    return int8_matrix_ops;
  }
  return 0;
}

std::optional<FmaKind> MachineSpeed::fastest_kind(DataType operands, DataType sum) const {
  std::optional<FmaKind> fastest;
  const auto consider = [&](FmaKind kind) {
    if (peak(kind) > (fastest ? peak(*fastest) : 0))
      fastest = kind;
  };
  if (sum == DataType::float64())
    consider(FmaKind::kFloat64);
  if (sum == DataType::float32())
    consider(FmaKind::kFloat32);
  if (sum == DataType::float32() && operands == DataType::bfloat16())
    for (const FmaKind kind : {FmaKind::kBFloat16, FmaKind::kBFloat16Matrix})
      consider(kind);
  if (sum == DataType::int32() && operands.is_integral() && operands.bits == 8)
    for (const FmaKind kind : {FmaKind::kInt8, FmaKind::kInt8Matrix})
      consider(kind);
  return fastest;
}

const MachineSpeed::Level* MachineSpeed::holds(int64_t bytes) const {
  for (const Level& level : levels)
    if (level.level == 0 || bytes <= level.bytes)
      return &level;
  return nullptr;
}

double MachineSpeed::bound_ns(double peak, double flops, double bytes, int threads) const {
  const double cores = std::max(threads, 1);
  double bound = 0;
  if (peak > 0)
    bound = flops / (peak * cores) * 1e9;
  if (const Level* level = holds(static_cast<int64_t>(bytes));
      level != nullptr && level->level != 1 && level->bytes_per_s > 0)
    bound = std::max(bound, bytes / (level->bytes_per_s * cores) * 1e9);
  return bound;
}

MachineSpeed measure_machine_speed(const Machine& machine) {
  MachineSpeed speed;
  speed.measured_at = unix_time_ns();
  speed.f32_flops = measure_flops(FmaKind::kFloat32);
  speed.f64_flops = measure_flops(FmaKind::kFloat64);
  speed.bf16_flops = measure_flops(FmaKind::kBFloat16);
  speed.int8_ops = measure_flops(FmaKind::kInt8);
  speed.bf16_matrix_flops = measure_flops(FmaKind::kBFloat16Matrix);
  speed.int8_matrix_ops = measure_flops(FmaKind::kInt8Matrix);
  int64_t inner = 0;
  for (const int level : {1, 2, 3}) {
    const int64_t bytes = cache_bytes(machine, level);
    if (bytes <= inner)
      continue;
    // Half of a level leaves room for what else is in it. A shared last level of a large server is
    // not ours alone: 16 MiB of it.
    const int64_t probed = std::max(std::min(bytes / 2, int64_t{16} << 20), 2 * inner);
    speed.levels.push_back({level, bytes, measure_bandwidth(std::min(probed, bytes))});
    inner = bytes;
  }
  const int64_t beyond = std::min<int64_t>(std::max<int64_t>(4 * inner, int64_t{64} << 20),
                                           std::max<int64_t>(machine.memory_bytes / 16, 4096));
  speed.levels.push_back({0, 0, measure_bandwidth(std::min(beyond, int64_t{512} << 20))});
  if (const auto first = static_cast<size_t>(cache_bytes(machine, 1) / 2 / 4096 * 4096); first > 0)
    if (const ProbeMemory memory(first); memory.data() != nullptr)
      speed.store_bytes_per_s = measure_store_bandwidth({memory.data(), first});
  const ParallelCost cost = measure_parallel_cost(machine.processors);
  if (cost.fork_ns > 0) {
    speed.threads = machine.processors;
    speed.fork_ns = cost.fork_ns;
    speed.barrier_ns = cost.barrier_ns;
  }
  speed.company_ratio = measure_company_ratio(machine.processors);
  return speed;
}

MachineSpeed faster_of(const MachineSpeed& a, const MachineSpeed& b) {
  MachineSpeed best = b;
  best.f32_flops = std::max(a.f32_flops, b.f32_flops);
  best.f64_flops = std::max(a.f64_flops, b.f64_flops);
  best.bf16_flops = std::max(a.bf16_flops, b.bf16_flops);
  best.int8_ops = std::max(a.int8_ops, b.int8_ops);
  best.bf16_matrix_flops = std::max(a.bf16_matrix_flops, b.bf16_matrix_flops);
  best.int8_matrix_ops = std::max(a.int8_matrix_ops, b.int8_matrix_ops);
  for (MachineSpeed::Level& level : best.levels)
    for (const MachineSpeed::Level& other : a.levels)
      if (other.level == level.level && other.bytes == level.bytes)
        level.bytes_per_s = std::max(level.bytes_per_s, other.bytes_per_s);
  best.store_bytes_per_s = std::max(a.store_bytes_per_s, b.store_bytes_per_s);
  if (best.threads == a.threads) {
    best.fork_ns = std::min(a.fork_ns, b.fork_ns);
    best.barrier_ns = std::min(a.barrier_ns, b.barrier_ns);
  } else if (best.threads == 0) {
    best.threads = a.threads;
    best.fork_ns = a.fork_ns;
    best.barrier_ns = a.barrier_ns;
  }
  if (best.company_ratio == 0 || (a.company_ratio > 0 && a.company_ratio < best.company_ratio))
    best.company_ratio = a.company_ratio;
  best.measured_at = a.measured_at;
  if (best != a) // a measurement that made nothing faster leaves the moment as it was
    best.measured_at = std::max(a.measured_at, b.measured_at);
  return best;
}

std::string describe(const MachineSpeed& speed) {
  std::string text;
  if (speed.f32_flops > 0)
    text = fmt::format(
        "a core does {:.0f} GFLOP/s in float32, {:.0f} in float64{}{}{} at best, and "
        "reads ",
        speed.f32_flops * 1e-9, speed.f64_flops * 1e-9,
        speed.bf16_flops > 0 ? fmt::format(", {:.0f} in bfloat16", speed.bf16_flops * 1e-9) : "",
        speed.int8_ops > 0 ? fmt::format(", {:.0f} (GOP/s) in int8", speed.int8_ops * 1e-9) : "",
        speed.bf16_matrix_flops > 0
            ? fmt::format(", with matrix instructions {:.0f} in bfloat16 and {:.0f} in int8",
                          speed.bf16_matrix_flops * 1e-9, speed.int8_matrix_ops * 1e-9)
            : "");
  else
    text = "its peak rate is not known (no probe for its vectors); a core reads ";
  for (size_t i = 0; i < speed.levels.size(); ++i) {
    const MachineSpeed::Level& level = speed.levels[i];
    const char* separator = i == 0 ? "" : i + 1 == speed.levels.size() ? " and " : ", ";
    text += fmt::format("{}{:.0f} GB/s from {}", separator, level.bytes_per_s * 1e-9,
                        level.level == 0 ? "memory" : fmt::format("L{}", level.level));
  }
  if (speed.store_bytes_per_s > 0)
    text += fmt::format("; it writes {:.0f} GB/s to L1", speed.store_bytes_per_s * 1e-9);
  if (speed.threads > 1)
    text += fmt::format("; a parallel loop on {} threads costs {:.2g} us, a barrier {:.2g} us",
                        speed.threads, speed.fork_ns * 1e-3, speed.barrier_ns * 1e-3);
  if (speed.company_ratio > 0)
    text += fmt::format("; a compiler at work beside a kernel slows it by at most {:.2g} %, so "
                        "candidates of one thread are {}compiled while others are timed",
                        100 * (speed.company_ratio - 1), speed.bears_company() ? "" : "not ");
  return text;
}

Json to_json(const MachineSpeed& speed) {
  Json levels = Json::array();
  for (const MachineSpeed::Level& level : speed.levels)
    levels.push_back(
        {{"level", level.level}, {"bytes", level.bytes}, {"bytes_per_s", level.bytes_per_s}});
  return {{"schema", "temper.machine_speed/1"},
          {"f32_flops", speed.f32_flops},
          {"f64_flops", speed.f64_flops},
          {"bf16_flops", speed.bf16_flops},
          {"int8_ops", speed.int8_ops},
          {"bf16_matrix_flops", speed.bf16_matrix_flops},
          {"int8_matrix_ops", speed.int8_matrix_ops},
          {"levels", std::move(levels)},
          {"store_bytes_per_s", speed.store_bytes_per_s},
          {"threads", speed.threads},
          {"fork_ns", speed.fork_ns},
          {"barrier_ns", speed.barrier_ns},
          {"company_ratio", speed.company_ratio},
          {"measured_at", speed.measured_at}};
}

namespace {

/// Figures that no machine has: the name of the first, empty where all can be.
std::string impossible_figure(const MachineSpeed& speed) {
  const auto between = [](double value, double least, double most) {
    return value >= least && value <= most;
  };
  const auto rate = [&](double value) { return value == 0 || between(value, 1e6, 1e16); };
  const std::pair<const char*, bool> figures[] = {
      {"f32_flops", rate(speed.f32_flops)},
      {"f64_flops", rate(speed.f64_flops)},
      {"bf16_flops", rate(speed.bf16_flops)},
      {"int8_ops", rate(speed.int8_ops)},
      {"bf16_matrix_flops", rate(speed.bf16_matrix_flops)},
      {"int8_matrix_ops", rate(speed.int8_matrix_ops)},
      {"store_bytes_per_s", rate(speed.store_bytes_per_s)},
      {"threads", between(speed.threads, 0, 1 << 16)},
      {"fork_ns", between(speed.fork_ns, 0, 1e10)},
      {"barrier_ns", between(speed.barrier_ns, 0, 1e10)},
      {"company_ratio", speed.company_ratio == 0 || between(speed.company_ratio, 0.1, 1000)},
  };
  for (const auto& [name, possible] : figures)
    if (!possible)
      return name;
  int64_t inner = 0;
  for (size_t i = 0; i < speed.levels.size(); ++i) {
    const MachineSpeed::Level& level = speed.levels[i];
    const bool memory = i + 1 == speed.levels.size();
    if (!rate(level.bytes_per_s) || memory != (level.level == 0) ||
        (!memory && !between(static_cast<double>(level.bytes), static_cast<double>(inner + 1),
                             static_cast<double>(int64_t{1} << 40))))
      return fmt::format("levels[{}]", i);
    inner = level.bytes;
  }
  return speed.levels.empty() ? "levels" : "";
}

} // namespace

Result<MachineSpeed> machine_speed_from_json(const Json& json) {
  try {
    if (json.at("schema").get<std::string>() != "temper.machine_speed/1")
      return Error(ErrorCode::kUnsupported, "the figures of this machine are of another version");
    MachineSpeed speed;
    speed.f32_flops = json.at("f32_flops").get<double>();
    speed.f64_flops = json.at("f64_flops").get<double>();
    speed.bf16_flops = json.at("bf16_flops").get<double>();
    speed.int8_ops = json.at("int8_ops").get<double>();
    for (const Json& level : json.at("levels"))
      speed.levels.push_back({level.at("level").get<int>(), level.at("bytes").get<int64_t>(),
                              level.at("bytes_per_s").get<double>()});
    speed.store_bytes_per_s = json.value("store_bytes_per_s", 0.0);
    speed.threads = json.value("threads", 0);
    speed.fork_ns = json.value("fork_ns", 0.0);
    speed.barrier_ns = json.value("barrier_ns", 0.0);
    speed.company_ratio = json.value("company_ratio", 0.0);
    speed.measured_at = json.value("measured_at", int64_t{0});
    if (json.contains("bf16_matrix_flops")) {
      speed.bf16_matrix_flops = json["bf16_matrix_flops"].get<double>();
      speed.int8_matrix_ops = json.at("int8_matrix_ops").get<double>();
    } else {
      speed.measured_at = 0; // by a version that did not look: to be measured again
    }
    if (const std::string name = impossible_figure(speed); !name.empty())
      return Error(
          ErrorCode::kInvalidArgument,
          fmt::format("the figures of this machine are damaged: no machine has such {}", name));
    return speed;
  } catch (const Json::exception& wrong) {
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("the figures of this machine are damaged: {}", wrong.what()));
  }
}

std::filesystem::path cache_folder() {
  const auto named = [](const char* name) {
    const char* text = std::getenv(name);
    return std::filesystem::path(text != nullptr ? text : "");
  };
  if (auto own = named("TEMPER_CACHE"); !own.empty())
    return own;
  if (auto cache = named("XDG_CACHE_HOME"); !cache.empty())
    return cache / "temper";
  if (auto home = named("HOME"); !home.empty())
    return home / ".cache" / "temper";
  return {};
}

namespace {

std::filesystem::path file_of(const Machine& machine, const std::filesystem::path& folder) {
  // What several processors do together is known only where all of them could be used.
  const std::string part =
      machine.processors < machine.online ? fmt::format("-{}", machine.processors) : "";
  return folder / fmt::format("machine-{}{}.json",
                              hash_to_hex(fingerprint(machine).environment_class), part);
}

} // namespace

std::optional<MachineSpeed> kept_machine_speed(const Machine& machine,
                                               const std::filesystem::path& folder) {
  if (folder.empty())
    return std::nullopt;
  const std::filesystem::path file = file_of(machine, folder);
  const auto json = read_json(file);
  if (!json)
    return std::nullopt;
  auto known = machine_speed_from_json(*json);
  if (!known)
    return std::nullopt;
  std::error_code unknown;
  const auto written = std::filesystem::last_write_time(file, unknown);
  if (!unknown && known->measured_at == 0) // by a version that did not keep the moment
    known->measured_at = unix_time_ns(std::chrono::file_clock::to_sys(written));
  return std::move(known).value();
}

MachineSpeed known_machine_speed(const Machine& machine, const std::filesystem::path& folder,
                                 std::chrono::seconds max_age) {
  const std::filesystem::path file = file_of(machine, folder);
  const std::optional<MachineSpeed> known = kept_machine_speed(machine, folder);
  std::error_code unknown;
  const auto written = std::filesystem::last_write_time(file, unknown);
  // In seconds: their largest number is too large for a clock's own unit.
  const auto age = std::chrono::duration_cast<std::chrono::seconds>(
      std::filesystem::file_time_type::clock::now() - written);
  if (known && !unknown && age <= max_age)
    return *known;
  MachineSpeed fresh = measure_machine_speed(machine);
  if (known)
    fresh = faster_of(*known, fresh);
  if (!folder.empty())
    keep(file, to_json(fresh).dump(2));
  return fresh;
}

} // namespace temper::engine
