/// Every workload with blocks of the source tree, with a shape that is small enough for the
/// interpreter (tests/tuner/workloads_test.cpp asks for one for each).
#pragma once

#include "ir/script/workload_file.h"

#include <map>
#include <ostream>
#include <string>

namespace temper::workload_cases {

struct WorkloadCase {
  const char* name; ///< "file" or "file:function"
  std::map<std::string, std::string> shape;

  /// How tests of it are listed.
  friend void PrintTo(const WorkloadCase& one, std::ostream* out) {
    *out << one.name;
    for (const auto& [parameter, value] : one.shape)
      *out << ' ' << parameter << '=' << value;
  }
};

inline const WorkloadCase kWorkloadCases[] = {
    {"attention", {{"B", "1"}, {"HEADS", "2"}, {"L", "12"}, {"D", "8"}}},
    {"attention_scores", {{"B", "2"}, {"L", "16"}, {"HEADS", "2"}, {"D", "6"}}},
    {"batch_matmul", {{"B", "2"}, {"M", "8"}, {"N", "16"}, {"K", "6"}}},
    {"capsule_conv2d",
     {{"N", "1"},
      {"H", "4"},
      {"W", "5"},
      {"CI", "3"},
      {"CO", "8"},
      {"R", "3"},
      {"S", "3"},
      {"C", "2"},
      {"stride", "2"},
      {"pad", "1"}}},
    {"conv1d",
     {{"N", "2"},
      {"L", "9"},
      {"CI", "5"},
      {"CO", "16"},
      {"R", "3"},
      {"stride", "2"},
      {"pad", "2"},
      {"dilation", "2"}}},
    {"conv2d",
     {{"N", "1"},
      {"H", "5"},
      {"W", "5"},
      {"CI", "4"},
      {"CO", "8"},
      {"R", "3"},
      {"S", "3"},
      {"pad", "1"}}},
    {"conv3d",
     {{"N", "1"},
      {"D", "3"},
      {"H", "4"},
      {"W", "5"},
      {"CI", "3"},
      {"CO", "8"},
      {"K", "3"},
      {"stride", "2"},
      {"pad", "1"}}},
    {"dense", {{"M", "12"}, {"N", "40"}, {"K", "32"}}},
    {"conv2d",
     {{"N", "1"},
      {"H", "6"},
      {"W", "5"},
      {"CI", "3"},
      {"CO", "24"},
      {"R", "3"},
      {"S", "3"},
      {"stride", "1"},
      {"pad", "1"},
      {"constant", "F"}}},
    {"batch_matmul", {{"B", "2"}, {"M", "8"}, {"N", "20"}, {"K", "6"}, {"constant", "Y"}}},
    {"depthwise_conv2d",
     {{"N", "1"}, {"H", "5"}, {"W", "5"}, {"C", "8"}, {"R", "3"}, {"S", "3"}, {"pad", "1"}}},
    {"elementwise", {{"M", "6"}, {"N", "24"}}},
    {"frobenius_norm", {{"B", "1"}, {"M", "6"}, {"N", "40"}}},
    {"gemv", {{"M", "12"}, {"N", "40"}}},
    {"grouped_conv2d",
     {{"N", "1"},
      {"H", "6"},
      {"W", "5"},
      {"CI", "6"},
      {"CO", "16"},
      {"R", "3"},
      {"S", "2"},
      {"G", "2"},
      {"pad", "1"},
      {"dilation", "2"}}},
    {"layer_norm", {{"M", "4"}, {"N", "40"}}},
    {"matmul", {{"M", "12"}, {"N", "32"}, {"K", "10"}}},
    {"reduction:row_sum", {{"M", "6"}, {"N", "48"}}},
    {"reduction:full_sum", {{"N", "192"}}},
    {"rms_norm", {{"M", "4"}, {"N", "40"}}},
    {"rope", {{"L", "5"}, {"HEADS", "3"}, {"D", "16"}}},
    {"softmax", {{"M", "4"}, {"N", "40"}}},
    {"swiglu", {{"M", "6"}, {"N", "24"}, {"K", "10"}}},
    {"transpose", {{"M", "12"}, {"N", "20"}}},
    {"transposed_conv2d",
     {{"N", "1"},
      {"H", "3"},
      {"W", "2"},
      {"CI", "5"},
      {"CO", "8"},
      {"R", "4"},
      {"S", "4"},
      {"stride", "2"},
      {"pad", "1"}}},
};

inline Result<script::Workload> workload_of(const WorkloadCase& one) {
  const std::string name = one.name;
  const size_t colon = name.find(':');
  const std::string file = name.substr(0, colon);
  TEMPER_TRY(read, script::WorkloadFile::read(TEMPER_SOURCE_DIR "/workloads/" + file + ".py"));
  return read.instantiate(colon == std::string::npos ? file : name.substr(colon + 1), one.shape);
}

} // namespace temper::workload_cases
