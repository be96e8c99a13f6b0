/// What this host is: processor, caches, instruction sets, system. Facts, read from /proc and /sys;
/// where the system does not tell, a field is empty or 0.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace temper::engine {

struct CacheLevel {
  int level = 0;    ///< 1, 2, 3
  std::string type; ///< "Data", "Instruction", "Unified"
  int64_t bytes = 0;
  int ways = 0;
  int line_bytes = 0;
  int shared_by = 1; ///< logical processors

  bool operator==(const CacheLevel&) const = default;
};

struct Machine {
  std::string host;
  std::string cpu_model;
  std::string cpu_vendor;
  int cpu_family = 0;
  int cpu_model_number = 0;
  int cpu_stepping = 0;
  std::string microcode;
  std::vector<std::string> isa; ///< instruction sets that matter to kernels, sorted
  int processors = 1;           ///< logical ones that this process may use
  int online = 1;               ///< logical ones that the machine runs on
  int cores = 1;                ///< physical ones
  int numa_nodes = 1;
  bool smt = false; ///< some core shows as several processors
  std::vector<CacheLevel> caches;
  int64_t memory_bytes = 0;

  std::string hypervisor;         ///< "" on bare metal; "KVM", "VMware", ... or "unknown"
  std::string container;          ///< "docker", "podman", ...; empty when none was recognised
  double cpu_quota = 0;           ///< processors that a cgroup grants; 0: no limit
  int64_t memory_quota_bytes = 0; ///< of a cgroup; 0: no limit

  std::string governor;          ///< frequency governor of processor 0; empty when there is none
  std::string turbo;             ///< "on", "off", "" unknown
  std::string huge_pages;        ///< "always", "madvise", "never"
  std::string shared_huge_pages; ///< the same for shared memory
  std::string mitigations;       ///< "off" when the kernel was started so
  std::string kernel;
  std::string libc;
};

Machine read_machine();

/// The size of a cache level's data part; 0 when unknown.
int64_t cache_bytes(const Machine& machine, int level);

} // namespace temper::engine
