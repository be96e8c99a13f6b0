// What the fake driver and the fake CUPTI share: see fake_gpu.cpp.
#pragma once

#include "engine/cuda/driver.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace fake {

/// Of TEMPER_FAKE_GPU.
std::string setting(const std::string& name, const std::string& otherwise = "");
int number(const std::string& name, int otherwise);

/// A kernel that ran, for the trace.
struct Ran {
  std::string name;
  uint64_t begin = 0;
  uint64_t end = 0;
  uint32_t correlation = 0;
  uint64_t mark = 0;
};

struct Gpu {
  uint64_t now = 1'000'000;
  bool hung = false;
  temper::engine::CudaResult sticky = 0;
  std::map<temper::engine::DevicePointer, size_t> memory;
  size_t allocated = 0;

  // CUPTI
  bool traced = false;
  std::vector<uint64_t> marks;
  uint32_t correlation = 0;
  std::vector<Ran> trace;
  int flushes = 0;

  // The range profiler.
  bool in_range = false;
  int ranges = 0;
  int passes_done = 0;
  double range_ns = 0;
  int range_launches = 0;
};
extern Gpu gpu;

} // namespace fake
