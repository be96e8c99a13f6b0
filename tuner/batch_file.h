/// The file of `temper batch`: what to tune overnight.
///
///   seconds = 28800            # of the whole batch, shared by the task scheduler; or trials
///
///   [defaults]                 # for every task that does not say otherwise
///   target = "native"
///   threads = 1
///
///   [[task]]
///   workload = "conv2d"        # as on a command line: a name, file.py, file.py:function
///   shapes = [                 # one kernel each; without them those that its file names
///     {N = 1, H = 56, W = 56, CI = 64, CO = 64, R = 3, S = 3, pad = 1},
///   ]
///   weight = 3                 # calls; with weights anywhere the batch lowers the sum of weight
///                              # times time, without any the mean of log times
///   trials = 500               # at most, of each shape; seconds likewise
///   tags = ["resnet"]          # given to its runs, beside the batch's name
#pragma once

#include "ir/support/result.h"

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace temper::tuner {

/// One [[task]] with the defaults filled in.
struct BatchEntry {
  std::string workload;
  std::vector<std::map<std::string, std::string>> shapes; ///< as on a command line; may be empty
  std::string target = "native";
  int threads = 1;
  double weight = 1;
  int64_t trials = 0; ///< of each shape; 0: no bound
  double seconds = 0; ///< of each shape; 0: no bound
  std::vector<std::string> tags;
  int line = 0;
};

struct BatchFile {
  std::string name;   ///< the file's, without folder and ".toml": what the batch is known by
  int64_t trials = 0; ///< of the whole batch; 0: no bound
  double seconds = 0;
  bool weighted = false; ///< some task has a weight
  std::vector<BatchEntry> entries;
};

/// `file` is for messages and the name. Each error is "FILE:LINE: sentence"; the first is the
/// error, the others are its notes. Workloads named by a file's path are looked up beside `file`.
Result<BatchFile> parse_batch_file(std::string_view text, const std::filesystem::path& file);

} // namespace temper::tuner
