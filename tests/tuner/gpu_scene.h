/// What tests of the design space for GPUs share.
#pragma once

#include "tests/support/bound_programs.h"
#include "tests/tuner/scene.h"
#include "tuner/space/gpu_rules.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace temper::tuner::testing {

using MakeRule = std::unique_ptr<Rule> (*)(const GpuHints&);

inline std::unique_ptr<Space> gpu_space(const ir::IRModule& module, const GpuHints& gpu,
                                        RuleList rules = {}) {
  SketchOptions options;
  options.gpu = gpu;
  options.rules = std::move(rules);
  return must(make_sketch_space(module, std::move(options)));
}

/// The sketches that one rule alone makes.
inline std::vector<std::string> sketches(MakeRule make, const ir::IRModule& module,
                                         const GpuHints& gpu = {}) {
  RuleList rules;
  rules.push_back(make(gpu));
  return gpu_space(module, gpu, std::move(rules))->sketch_texts();
}

inline ir::IRModule module_of(const std::string& name,
                              const std::map<std::string, std::string>& shape) {
  return workload(name, shape).module;
}

inline int count_of(const std::string& text, const std::string& word) {
  int count = 0;
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1))
    ++count;
  return count;
}

inline GpuHints gpu_of(int architecture) {
  GpuHints gpu;
  gpu.architecture = architecture;
  return gpu;
}

/// Products for tensor cores, small enough to be run warp by warp.
struct TensorCase {
  const char* workload;
  std::map<std::string, std::string> shape;
};
inline const std::vector<TensorCase>& tensor_cases() {
  static const std::vector<TensorCase> all = {
      {"matmul", {{"M", "32"}, {"N", "32"}, {"K", "64"}, {"dtype", "float16"}}},
      {"matmul", {{"M", "64"}, {"N", "16"}, {"K", "32"}, {"dtype", "bfloat16"}}},
      {"matmul", {{"M", "32"}, {"N", "32"}, {"K", "64"}, {"dtype", "int8"}}},
      {"batch_matmul", {{"B", "2"}, {"M", "32"}, {"N", "32"}, {"K", "32"}, {"dtype", "float16"}}},
      // As the product of [16, 32] by [32, 16] for each of 3 x 3 places, the image padded.
      {"conv2d",
       {{"N", "1"},
        {"H", "4"},
        {"W", "4"},
        {"CI", "16"},
        {"CO", "16"},
        {"R", "3"},
        {"S", "3"},
        {"pad", "1"},
        {"dtype", "float16"}}},
  };
  return all;
}

} // namespace temper::tuner::testing
