#include "engine/doctor.h"

#include "engine/counters.h"
#include "engine/machine.h"
#include "engine/machine_speed.h"
#include "engine/peers.h"
#include "engine/timing/clock.h"
#include "ir/support/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <time.h>

namespace temper::engine {
namespace {

using State = Finding::State;
namespace fs = std::filesystem;

std::string mebibytes(int64_t bytes) {
  if (bytes >= (int64_t{1} << 30))
    return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / 0x1p30);
  if (bytes >= (int64_t{1} << 20))
    return fmt::format("{:.4g} MiB", static_cast<double>(bytes) / 0x1p20);
  return fmt::format("{:.4g} KiB", static_cast<double>(bytes) / 0x1p10);
}

Finding examine_cpu(const Machine& machine) {
  Finding finding{"cpu", State::kOk, "", Json::object()};
  const auto has = [&](const char* name) {
    return std::find(machine.isa.begin(), machine.isa.end(), name) != machine.isa.end();
  };
  std::string vectors = has("avx512f") ? "AVX-512"
                        : has("avx2")  ? "AVX2"
                        : has("sve")   ? "SVE"
                        : has("asimd") ? "NEON"
                                       : "no vector extension that temper knows";
  if (has("avx512_bf16"))
    vectors += " with bf16";
  if (has("amx_tile"))
    vectors += ", AMX";
  finding.sentence =
      fmt::format("{}, {} processors on {} cores, {}; caches {} / {} / {}", machine.cpu_model,
                  machine.processors, machine.cores, vectors, mebibytes(cache_bytes(machine, 1)),
                  mebibytes(cache_bytes(machine, 2)), mebibytes(cache_bytes(machine, 3)));
  if (!has("avx2") && !has("asimd"))
    finding.state = State::kLimited;
  finding.details = {{"model", machine.cpu_model},
                     {"isa", machine.isa},
                     {"processors", machine.processors},
                     {"cores", machine.cores},
                     {"smt", machine.smt},
                     {"numa_nodes", machine.numa_nodes},
                     {"hypervisor", machine.hypervisor},
                     {"container", machine.container}};
  return finding;
}

Finding examine_isolation(const Result<std::unique_ptr<LocalMeasurer>>& measurer) {
  Finding finding{"isolation", State::kOk, "", Json::object()};
  if (!measurer) {
    finding.state = State::kMissing;
    finding.sentence = measurer.error().message;
    return finding;
  }
  const bool filters = ::prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
  const Result<std::string> noexec = read_file("/proc/sys/vm/memfd_noexec");
  const bool loadable = !noexec || trim(*noexec) != "2";
  finding.details = {{"system_call_filter", filters}, {"code_from_memory", loadable}};
  if (!loadable) {
    finding.state = State::kMissing;
    finding.sentence = "code cannot be loaded from memory, because vm.memfd_noexec is 2; set it to "
                       "1 or less (sysctl vm.memfd_noexec=1)";
  } else if (!filters) {
    finding.state = State::kLimited;
    finding.sentence = "each kernel runs in a process of its own with limits, but this kernel has "
                       "no system call filters, so it could signal other processes";
  } else {
    finding.sentence = "each kernel runs in a process of its own, with limits of memory and time, "
                       "guarded arguments and filtered system calls";
  }
  return finding;
}

Finding examine_cores(LocalMeasurer& measurer, const Machine& machine) {
  Finding finding{"cores", State::kOk, "", Json::object()};
  if (machine.processors < 2) {
    finding.sentence = "one processor: kernels run on one thread";
    return finding;
  }
  const Result<DeviceState> state = measurer.device_state(machine.processors);
  if (!state) {
    finding.state = State::kMissing;
    finding.sentence = state.error().message;
    return finding;
  }
  finding.details = {{"side_by_side", state->side_by_side},
                     {"anchor_compute_ns", state->anchor_compute_ns},
                     {"anchor_memory_ns", state->anchor_memory_ns}};
  const double worth = state->side_by_side * machine.processors;
  if (state->side_by_side >= 0.85) {
    finding.sentence = fmt::format("{} threads run side by side at {:.0f} % of their speed alone",
                                   machine.processors, 100 * state->side_by_side);
  } else {
    finding.state = State::kLimited;
    finding.sentence =
        fmt::format("{} busy threads get as much done as {:.1f}: the processors share cores{}, or "
                    "other work holds them; times of parallel kernels vary accordingly",
                    machine.processors, worth,
                    machine.hypervisor.empty() ? "" : " with each other or with other machines");
  }
  return finding;
}

Finding examine_noise(LocalMeasurer& measurer) {
  Finding finding{"noise", State::kOk, "", Json::object()};
  const Result<NoiseSample> sample = measurer.noise(200);
  if (!sample) {
    finding.state = State::kMissing;
    finding.sentence = sample.error().message;
    return finding;
  }
  const NoiseFloor floor = noise_floor(*sample);
  finding.details = {{"spread", floor.spread},
                     {"ratio", floor.ratio},
                     {"ratio_interval", {floor.ratio_interval.low, floor.ratio_interval.high}},
                     {"gap_share", floor.gap_share}};
  const double resolution =
      std::max(std::abs(floor.ratio_interval.high - 1), std::abs(1 - floor.ratio_interval.low));
  finding.sentence = fmt::format(
      "single samples spread by {:.2g} %, two medians of the same work differ by up to {:.2g} %",
      100 * floor.spread, 100 * resolution);
  if (floor.gap_share > 0)
    finding.sentence += fmt::format(", {:.2g} % of the samples lost their core in the middle",
                                    100 * floor.gap_share);
  if (resolution > 0.01 || floor.spread > 0.02 || floor.gap_share > 0.05) {
    finding.state = State::kLimited;
    finding.sentence += "; smaller differences between kernels are not to be believed, and runs "
                        "take longer: stop other work on this machine";
  }
  return finding;
}

Finding examine_speed(const Machine& machine, bool quick) {
  const MachineSpeed speed = known_machine_speed(
      machine, cache_folder(), quick ? std::chrono::seconds::max() : std::chrono::seconds(-1));
  return {"speed", State::kOk, describe(speed), to_json(speed)};
}

Finding examine_clock() {
  timespec resolution{};
  ::clock_getres(CLOCK_MONOTONIC, &resolution);
  const double overhead = clock_overhead_ns();
  Finding finding{"clock",
                  State::kOk,
                  fmt::format("reading the clock takes {:.0f} ns, its resolution is {} ns",
                              overhead, resolution.tv_nsec),
                  {{"overhead_ns", overhead}, {"resolution_ns", resolution.tv_nsec}}};
  if (overhead > 200 || resolution.tv_sec > 0 || resolution.tv_nsec > 1000) {
    finding.state = State::kLimited;
    finding.sentence += "; that is slow (no vDSO clock, or a bad clock source), so short kernels "
                        "are timed less exactly when cold";
  }
  return finding;
}

Finding examine_counters() {
  Finding finding{"counters", State::kOk,
                  "hardware counters (cycles, instructions, branch and cache misses) can be read",
                  Json::object()};
  if (const Result<void> available = hardware_counters_available(); !available) {
    finding.state = State::kMissing;
    finding.sentence = available.error().message;
  }
  return finding;
}

Finding examine_frequency(const Machine& machine) {
  Finding finding{
      "frequency", State::kOk, "", {{"governor", machine.governor}, {"turbo", machine.turbo}}};
  if (machine.governor.empty()) {
    finding.state = State::kLimited;
    finding.sentence =
        machine.hypervisor.empty()
            ? "this system does not show its frequency governor, so the clock can be neither seen "
              "nor fixed; the anchor kernel tells when it has changed"
            : "a virtual machine: its clock frequency can be neither seen nor fixed; the anchor "
              "kernel tells when it has changed";
  } else if (machine.governor != "performance") {
    finding.state = State::kLimited;
    finding.sentence = fmt::format("the frequency governor is {}; set it to performance "
                                   "(cpupower frequency-set -g performance)",
                                   machine.governor);
  } else {
    finding.sentence = "the frequency governor is performance";
    if (machine.turbo == "on")
      finding.sentence += ", with turbo (the clock depends on heat and on the neighbours)";
  }
  return finding;
}

Finding examine_huge_pages(const Machine& machine) {
  Finding finding{"huge_pages",
                  State::kOk,
                  "",
                  {{"anonymous", machine.huge_pages}, {"shared", machine.shared_huge_pages}}};
  if (machine.huge_pages == "always" || machine.huge_pages == "madvise") {
    finding.sentence = fmt::format("large arguments are timed in huge pages (transparent huge "
                                   "pages: {})",
                                   machine.huge_pages);
  } else {
    finding.state = State::kLimited;
    finding.sentence = "no transparent huge pages: kernels on large arrays pay for small pages "
                       "(echo madvise > /sys/kernel/mm/transparent_hugepage/enabled)";
  }
  return finding;
}

Finding examine_memory(const Machine& machine) {
  int64_t available = machine.memory_bytes;
  if (const Result<std::string> info = read_file("/proc/meminfo"))
    if (const size_t at = info->find("MemAvailable:"); at != std::string::npos)
      available = std::atoll(info->c_str() + at + 13) * 1024;
  if (machine.memory_quota_bytes > 0)
    available = std::min(available, machine.memory_quota_bytes);
  Finding finding{
      "memory",
      State::kOk,
      fmt::format("{} free of {}", mebibytes(available), mebibytes(machine.memory_bytes)),
      {{"available_bytes", available}, {"total_bytes", machine.memory_bytes}}};
  if (machine.memory_quota_bytes > 0)
    finding.sentence +=
        fmt::format(", a control group allows {}", mebibytes(machine.memory_quota_bytes));
  if (available < (int64_t{2} << 30)) {
    finding.state = State::kLimited;
    finding.sentence += "; less than 2 GiB leave little for compilers and large arguments";
  }
  return finding;
}

Finding examine_quota(const Machine& machine) {
  Finding finding{"quota", State::kOk, "no limit of processor time", {{"cpus", machine.cpu_quota}}};
  if (machine.cpu_quota > 0) {
    finding.state = State::kLimited;
    finding.sentence =
        fmt::format("a control group grants {:.2g} processors: a kernel that uses more is stopped "
                    "for the rest of each period, and its times are worthless; measure with at "
                    "most {} threads, or lift the limit",
                    machine.cpu_quota, std::max(1, static_cast<int>(machine.cpu_quota)));
  }
  return finding;
}

Finding examine_load(const Machine& machine) {
  double load[1] = {};
  ::getloadavg(load, 1);
  Finding finding{
      "load", State::kOk, fmt::format("load average {:.2g}", load[0]), {{"load_average", load[0]}}};
  if (load[0] > 0.3 * machine.processors) {
    finding.state = State::kLimited;
    finding.sentence += fmt::format(" on {} processors: other work is running here and will show "
                                    "in the times",
                                    machine.processors);
  }
  return finding;
}

Finding examine_openmp() {
  Finding finding{"openmp", State::kOk, "", Json::object()};
  // Stays loaded: what it allocates when it starts, it does not free when it is unloaded.
  if (::dlopen("libgomp.so.1", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) != nullptr) {
    finding.sentence = "OpenMP's runtime (libgomp.so.1) is there: kernels may be parallel";
  } else {
    finding.state = State::kMissing;
    finding.sentence = "OpenMP's runtime (libgomp.so.1) is missing, so parallel kernels cannot be "
                       "loaded; install libgomp1";
  }
  return finding;
}

Finding examine_peers() {
  const std::vector<std::string> names = peer_libraries();
  Finding finding{
      "peers", State::kOk, "to compare with: " + join(names, ", "), {{"libraries", names}}};
  if (names.size() < 2) {
    finding.state = names.empty() ? State::kMissing : State::kLimited;
    finding.sentence =
        (names.empty() ? std::string("no library to compare with") : finding.sentence) +
        "; temper also knows openblas, blis, mkl and onednn (for the last install libdnnl-dev, "
        "then "
        "build again)";
  }
  return finding;
}

Finding examine_disk(fs::path path) {
  Finding finding{"disk", State::kOk, "", {{"path", path.string()}}};
  struct statvfs space {};
  std::error_code ignored;
  // The folder need not exist yet.
  while (!path.empty() && ::statvfs(path.c_str(), &space) != 0 && path.has_parent_path() &&
         path != path.parent_path())
    path = path.parent_path();
  const auto free = static_cast<int64_t>(space.f_bavail) * static_cast<int64_t>(space.f_frsize);
  finding.sentence = fmt::format("{} free for the database at {}", mebibytes(free),
                                 finding.details.at("path").get<std::string>());
  finding.details["free_bytes"] = free;
  if (free < (int64_t{200} << 20)) {
    finding.state = State::kLimited;
    finding.sentence += "; a long run needs some 100 MB";
  }
  return finding;
}

} // namespace

const char* to_string(Finding::State state) {
  switch (state) {
  case State::kOk:
    return "ok";
  case State::kLimited:
    return "limited";
  case State::kMissing:
    return "missing";
  }
  TEMPER_UNREACHABLE("a state outside its enum");
}

Json to_json(const Finding& finding) {
  return {{"name", finding.name},
          {"state", to_string(finding.state)},
          {"sentence", finding.sentence},
          {"details", finding.details}};
}

NoiseFloor noise_floor(const NoiseSample& sample) {
  NoiseFloor floor;
  std::vector<double> all = sample.a_ns;
  all.insert(all.end(), sample.b_ns.begin(), sample.b_ns.end());
  const double middle = median(all);
  if (all.empty() || !(middle > 0))
    return floor;
  floor.spread = median_absolute_deviation(all) / middle;
  floor.gap_share = static_cast<double>(std::count_if(
                        all.begin(), all.end(), [&](double ns) { return ns > 1.5 * middle; })) /
                    static_cast<double>(all.size());
  std::vector<double> ratios;
  for (size_t i = 0; i < sample.a_ns.size(); ++i)
    ratios.push_back(sample.a_ns[i] / sample.b_ns[i]);
  floor.ratio = median(ratios);
  floor.ratio_interval = paired_ratio_interval(sample.a_ns, sample.b_ns);
  return floor;
}

std::vector<Finding> examine(const DoctorOptions& options) {
  const auto look_at = [&](const char* probe) {
    if (options.progress)
      options.progress(probe);
  };
  const Machine machine = read_machine();
  std::vector<Finding> findings;
  findings.push_back(examine_cpu(machine));
  look_at("speed: peak rates, and the bandwidth of each level of cache");
  findings.push_back(examine_speed(machine, options.quick));
  look_at("isolation");
  const Result<std::unique_ptr<LocalMeasurer>> measurer = LocalMeasurer::start(options.measurer);
  findings.push_back(examine_isolation(measurer));
  if (measurer && !options.quick) {
    look_at("cores: whether they run side by side");
    findings.push_back(examine_cores(**measurer, machine));
    look_at("noise: a kernel against itself");
    findings.push_back(examine_noise(**measurer));
  }
  look_at("clock, counters, memory, load");
  findings.push_back(examine_clock());
  findings.push_back(examine_counters());
  findings.push_back(examine_frequency(machine));
  findings.push_back(examine_huge_pages(machine));
  findings.push_back(examine_memory(machine));
  findings.push_back(examine_quota(machine));
  findings.push_back(examine_load(machine));
  findings.push_back(examine_openmp());
  look_at("peers: libraries to compare with");
  findings.push_back(examine_peers());
  if (!options.database.empty())
    findings.push_back(examine_disk(options.database));
  return findings;
}

} // namespace temper::engine
