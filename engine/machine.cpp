#include "engine/machine.h"

#include "ir/support/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>

#include <gnu/libc-version.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace temper::engine {
namespace {

namespace fs = std::filesystem;

std::string line_of(const fs::path& path) {
  const Result<std::string> text = read_file(path);
  return text ? std::string(trim(*text)) : std::string();
}

int64_t number_in(const std::string& text) { return std::atoll(text.c_str()); }

/// "always [madvise] never" -> "madvise".
std::string chosen_word(const std::string& line) {
  const size_t open = line.find('[');
  const size_t close = line.find(']');
  return open == std::string::npos || close == std::string::npos || close < open
             ? std::string()
             : line.substr(open + 1, close - open - 1);
}

constexpr std::string_view kIsa[] = {
    "sse4_2",      "avx",         "f16c",         "fma",       "avx2",        "avx512f",
    "avx512dq",    "avx512bw",    "avx512vl",     "avx512cd",  "avx512_vnni", "avx512_bf16",
    "avx512_fp16", "avx512_vbmi", "avx512_vbmi2", "avx_vnni",  "amx_tile",    "amx_bf16",
    "amx_int8",    "amx_fp16",    "clflushopt",   "movdir64b", "asimd",       "asimddp",
    "asimdhp",     "sve",         "sve2",         "bf16",      "i8mm",        "bmi2"};

void read_cpuinfo(Machine& machine) {
  const Result<std::string> text = read_file("/proc/cpuinfo");
  if (!text)
    return;
  std::map<std::string, std::string> first;
  std::set<std::string> cores;
  std::string package;
  for (const std::string& line : split_text(*text, '\n')) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos)
      continue;
    const std::string key(trim(std::string_view(line).substr(0, colon)));
    const std::string value(trim(std::string_view(line).substr(colon + 1)));
    first.emplace(key, value);
    if (key == "physical id")
      package = value;
    if (key == "core id")
      cores.insert(package + "/" + value);
  }
  machine.cpu_model = first["model name"];
  machine.cpu_vendor = first["vendor_id"];
  machine.cpu_family = static_cast<int>(number_in(first["cpu family"]));
  machine.cpu_model_number = static_cast<int>(number_in(first["model"]));
  machine.cpu_stepping = static_cast<int>(number_in(first["stepping"]));
  machine.microcode = first["microcode"];
  machine.cores = std::max<int>(1, static_cast<int>(cores.size()));
  const std::vector<std::string> flags =
      split_text(first.contains("flags") ? first["flags"] : first["Features"], ' ');
  for (std::string_view name : kIsa)
    if (std::find(flags.begin(), flags.end(), name) != flags.end())
      machine.isa.emplace_back(name);
  std::sort(machine.isa.begin(), machine.isa.end());
}

/// How many processors a list like "0-3,8" names.
int count_list(const std::string& list) {
  int count = 0;
  for (const std::string& part : split_text(list, ',')) {
    int from = 0;
    int to = 0;
    const int got = std::sscanf(part.c_str(), "%d-%d", &from, &to);
    count += got == 2 ? to - from + 1 : got == 1 ? 1 : 0;
  }
  return count;
}

void read_caches(Machine& machine) {
  for (int index = 0; index < 8; ++index) {
    const fs::path folder = fmt::format("/sys/devices/system/cpu/cpu0/cache/index{}", index);
    const std::string size = line_of(folder / "size");
    if (size.empty())
      break;
    CacheLevel cache;
    cache.level = static_cast<int>(number_in(line_of(folder / "level")));
    cache.type = line_of(folder / "type");
    cache.bytes = number_in(size) * (size.back() == 'M' ? 1 << 20 : 1 << 10);
    cache.ways = static_cast<int>(number_in(line_of(folder / "ways_of_associativity")));
    cache.line_bytes = static_cast<int>(number_in(line_of(folder / "coherency_line_size")));
    cache.shared_by = std::max(1, count_list(line_of(folder / "shared_cpu_list")));
    machine.caches.push_back(cache);
  }
}

std::string read_hypervisor() {
#if defined(__x86_64__)
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & (1U << 31)) == 0)
    return {};
  __cpuid(0x40000000, a, b, c, d);
  char name[13] = {};
  std::memcpy(name, &b, 4);
  std::memcpy(name + 4, &c, 4);
  std::memcpy(name + 8, &d, 4);
  const std::string_view signature(name);
  if (signature.starts_with("KVMKVMKVM"))
    return "KVM";
  if (signature.starts_with("VMware"))
    return "VMware";
  if (signature.starts_with("Microsoft Hv"))
    return "Hyper-V";
  if (signature.starts_with("XenVMM"))
    return "Xen";
  return "unknown";
#else
  return fs::exists("/sys/hypervisor/type") ? line_of("/sys/hypervisor/type") : std::string();
#endif
}

std::string read_container() {
  if (const char* name = std::getenv("container"))
    return name;
  std::error_code ignored;
  if (fs::exists("/.dockerenv", ignored))
    return "docker";
  if (fs::exists("/run/.containerenv", ignored))
    return "podman";
  return {};
}

void read_quotas(Machine& machine) {
  // Version 2 first, then version 1; only the group that this process sees as its root or is in.
  std::string group;
  if (const Result<std::string> own = read_file("/proc/self/cgroup"))
    for (const std::string& line : split_text(*own, '\n'))
      if (line.starts_with("0::"))
        group = line.substr(3);
  for (const std::string& base :
       {std::string("/sys/fs/cgroup") + group, std::string("/sys/fs/cgroup"),
        std::string("/sys/fs/cgroup/unified") + group}) {
    long quota = 0;
    long period = 0;
    if (machine.cpu_quota == 0 &&
        std::sscanf(line_of(base + "/cpu.max").c_str(), "%ld %ld", &quota, &period) == 2 &&
        period > 0)
      machine.cpu_quota = static_cast<double>(quota) / static_cast<double>(period);
    const std::string memory = line_of(base + "/memory.max");
    if (machine.memory_quota_bytes == 0 && !memory.empty() && memory != "max")
      machine.memory_quota_bytes = number_in(memory);
  }
  const int64_t quota = number_in(line_of("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"));
  const int64_t period = number_in(line_of("/sys/fs/cgroup/cpu/cpu.cfs_period_us"));
  if (machine.cpu_quota == 0 && quota > 0 && period > 0)
    machine.cpu_quota = static_cast<double>(quota) / static_cast<double>(period);
  const int64_t limit = number_in(line_of("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
  if (machine.memory_quota_bytes == 0 && limit > 0 && limit < (int64_t{1} << 60))
    machine.memory_quota_bytes = limit;
}

} // namespace

Machine read_machine() {
  Machine machine;
  read_cpuinfo(machine);
  read_caches(machine);
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  machine.online = static_cast<int>(std::max(::sysconf(_SC_NPROCESSORS_ONLN), 1L));
  machine.processors =
      ::sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : machine.online;
  machine.smt = line_of("/sys/devices/system/cpu/smt/active") == "1";
  std::error_code ignored;
  int nodes = 0;
  for (const auto& entry : fs::directory_iterator("/sys/devices/system/node", ignored)) {
    const std::string name = entry.path().filename().string();
    nodes += name.size() > 4 && name.starts_with("node") && std::isdigit(name[4]) != 0 ? 1 : 0;
  }
  machine.numa_nodes = std::max(nodes, 1);
  if (const Result<std::string> memory = read_file("/proc/meminfo"))
    if (const size_t at = memory->find("MemTotal:"); at != std::string::npos)
      machine.memory_bytes = number_in(memory->substr(at + 9)) * 1024;
  machine.hypervisor = read_hypervisor();
  machine.container = read_container();
  read_quotas(machine);
  machine.governor = line_of("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  if (const std::string off = line_of("/sys/devices/system/cpu/intel_pstate/no_turbo");
      !off.empty())
    machine.turbo = off == "1" ? "off" : "on";
  else if (const std::string boost = line_of("/sys/devices/system/cpu/cpufreq/boost");
           !boost.empty())
    machine.turbo = boost == "1" ? "on" : "off";
  machine.huge_pages = chosen_word(line_of("/sys/kernel/mm/transparent_hugepage/enabled"));
  machine.shared_huge_pages =
      chosen_word(line_of("/sys/kernel/mm/transparent_hugepage/shmem_enabled"));
  if (line_of("/proc/cmdline").find("mitigations=off") != std::string::npos)
    machine.mitigations = "off";
  utsname system{};
  if (::uname(&system) == 0) {
    machine.kernel = system.release;
    machine.host = system.nodename;
  }
  machine.libc = std::string("glibc ") + ::gnu_get_libc_version();
  return machine;
}

int64_t cache_bytes(const Machine& machine, int level) {
  for (const CacheLevel& cache : machine.caches)
    if (cache.level == level && cache.type != "Instruction")
      return cache.bytes;
  return 0;
}

} // namespace temper::engine
