#include "engine/fingerprint.h"

#include "ir/support/hash.h"
#include "ir/support/text.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <vector>

#include <unistd.h>

namespace temper::engine {
namespace {

/// Members sorted by name at every level, so that the text does not depend on who built it.
Json sorted(const Json& json) {
  if (json.is_array()) {
    Json result = Json::array();
    for (const Json& element : json)
      result.push_back(sorted(element));
    return result;
  }
  if (!json.is_object())
    return json;
  std::vector<std::string> names;
  for (const auto& [name, value] : json.items())
    names.push_back(name);
  std::sort(names.begin(), names.end());
  Json result = Json::object();
  for (const std::string& name : names)
    result[name] = sorted(json.at(name));
  return result;
}

uint64_t hash_json(const Json& json) { return hash_bytes(sorted(json).dump()); }

/// "6.18.44-fc-v595" -> "6.18": a security update does not make another machine.
std::string kernel_series(const std::string& release) {
  const size_t first = release.find('.');
  if (first == std::string::npos)
    return release;
  return release.substr(0, release.find_first_of(".-", first + 1));
}

} // namespace

EnvironmentFingerprint fingerprint(const Machine& machine) {
  EnvironmentFingerprint result;
  Json caches = Json::array();
  for (const CacheLevel& cache : machine.caches)
    caches.push_back({{"level", cache.level},
                      {"type", cache.type},
                      {"bytes", cache.bytes},
                      {"ways", cache.ways},
                      {"line_bytes", cache.line_bytes},
                      {"shared_by", cache.shared_by}});
  result.stable = {{"cpu", machine.cpu_model},
                   {"vendor", machine.cpu_vendor},
                   {"family", machine.cpu_family},
                   {"model", machine.cpu_model_number},
                   {"stepping", machine.cpu_stepping},
                   {"microcode", machine.microcode},
                   {"isa", machine.isa},
                   // Not how many this process may use: `taskset` makes no other machine.
                   {"processors", machine.online},
                   {"cores", machine.cores},
                   {"numa_nodes", machine.numa_nodes},
                   {"smt", machine.smt},
                   {"caches", caches},
                   // Firmware and kernel keep a varying part of it for themselves.
                   {"memory_gib", std::llround(static_cast<double>(machine.memory_bytes) / 0x1p30)},
                   {"hypervisor", machine.hypervisor},
                   {"container", machine.container},
                   {"cpu_quota", machine.cpu_quota},
                   {"memory_quota_bytes", machine.memory_quota_bytes},
                   {"governor", machine.governor},
                   {"turbo", machine.turbo},
                   {"huge_pages", machine.huge_pages},
                   {"mitigations", machine.mitigations},
                   {"kernel_series", kernel_series(machine.kernel)},
                   {"libc", machine.libc}};
  result.detail = {{"host", machine.host},
                   {"kernel", machine.kernel},
                   {"memory_bytes", machine.memory_bytes},
                   {"shared_huge_pages", machine.shared_huge_pages}};
  result.environment_class = hash_json(result.stable);
  return result;
}

Json volatile_state() {
  Json state = Json::object();
  double load[3] = {};
  if (::getloadavg(load, 3) == 3)
    state["load_average"] = {load[0], load[1], load[2]};
  if (const Result<std::string> stat = read_file("/proc/stat")) {
    unsigned long long fields[8] = {};
    if (std::sscanf(stat->c_str(), "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &fields[0],
                    &fields[1], &fields[2], &fields[3], &fields[4], &fields[5], &fields[6],
                    &fields[7]) == 8)
      state["steal_ms"] =
          static_cast<double>(fields[7]) * 1000.0 / static_cast<double>(::sysconf(_SC_CLK_TCK));
  }
  if (const Result<std::string> info = read_file("/proc/cpuinfo")) {
    Json frequencies = Json::array();
    for (size_t at = 0; (at = info->find("cpu MHz", at)) != std::string::npos; ++at)
      if (const size_t colon = info->find(':', at); colon != std::string::npos)
        frequencies.push_back(std::atof(info->c_str() + colon + 1));
    state["mhz"] = frequencies;
  }
  if (const Result<std::string> memory = read_file("/proc/meminfo"))
    if (const size_t at = memory->find("MemAvailable:"); at != std::string::npos)
      state["memory_available_bytes"] = std::atoll(memory->c_str() + at + 13) * 1024;
  return state;
}

uint64_t toolchain_class(const Json& parts) { return hash_json(parts); }

} // namespace temper::engine
