/// A fully measured space, for replay: every configuration with its time, or that it failed. Read
/// from T4 results ("results") and Kernel Tuner caches ("cache"), plain or gzipped, as a stream:
///
///   {"results": [{"configuration": {"x": 16, "y": 1}, "invalidity": "correct",
///                 "measurements": [{"name": "time", "value": 3.87, "unit": "ms"}]}]}
///   {"tune_params_keys": ["x", "y"], "cache": {"16,1": {"x": 16, "y": 1, "time": 3.87}}}
#pragma once

#include "ir/support/result.h"
#include "tuner/space/configurations.h"

#include <filesystem>
#include <string>
#include <vector>

namespace temper::tuner {

struct MeasuredTable {
  std::string name;                    ///< the file's, up to ".json"
  std::vector<std::string> parameters; ///< in the order of keys
  std::vector<std::string> keys;       ///< per row the values, joined by commas; 16.0 is 16
  std::vector<double> times_ms;        ///< per row; NaN: failed
  Configurations space;                ///< the same rows, for strategies

  size_t valid() const; ///< rows that did not fail
};

/// The error names the file and, where the content is at fault, the line: of broken JSON, of a
/// file that ends too early, of a row that lacks something or is there twice.
Result<MeasuredTable> read_measured_table(const std::filesystem::path& path);

/// Files as they are; of a folder its tables (*_T4.json, *_cache.json, also with .gz), by name.
Result<std::vector<std::filesystem::path>>
expand_table_paths(const std::vector<std::filesystem::path>& paths);

} // namespace temper::tuner
