#include "ir/script/workload_table.h"

#include "ir/script/cuda_file.h"
#include "ir/script/workload_file.h"
#include "ir/support/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::script {
namespace {

namespace fs = std::filesystem;

/// In a cell a bar would begin the next one.
std::string cell(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '|')
      escaped += '\\';
    escaped += c;
  }
  return escaped.empty() ? " " : escaped;
}

/// `M`, `N`, `dtype=float32`, `block=32/64/128`
std::string parameters_of(const WorkloadInfo& info) {
  std::vector<std::string> words;
  for (const WorkloadParameter& parameter : info.parameters) {
    std::vector<std::string> values;
    for (const ParameterValue& choice : parameter.choices)
      values.push_back(to_string(choice));
    if (values.empty() && parameter.default_value)
      values.push_back(to_string(*parameter.default_value));
    words.push_back(
        fmt::format("`{}{}{}`", parameter.name, values.empty() ? "" : "=", join(values, "/")));
  }
  return join(words, ", ");
}

std::string first_shape(const WorkloadInfo& info) {
  std::vector<std::string> words;
  if (!info.shapes.empty())
    for (const auto& [name, value] : info.shapes.front())
      words.push_back(fmt::format("{}={}", name, to_string(value)));
  return join(words, " ");
}

std::string code(const std::string& text) { return text.empty() ? text : "`" + text + "`"; }

} // namespace

Result<std::string> workload_table(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(folder, failed))
    if (entry.path().extension() == ".py" || is_cuda_file(entry.path().string()))
      files.push_back(entry.path());
  if (failed)
    return Error(ErrorCode::kNotFound, fmt::format("cannot read the folder '{}'", folder.string()));
  std::sort(files.begin(), files.end());
  std::string blocks;
  std::string tiles;
  std::string sources;
  for (const fs::path& path : files) {
    TEMPER_TRY(file, WorkloadFile::read(path));
    for (const WorkloadInfo& info : file.workloads())
      (info.layer == "s-tir"      ? blocks
       : info.layer == kCudaLayer ? sources
                                  : tiles) +=
          fmt::format("| `{}` | {} | {} | {} | {} | {} |\n",
                      info.name == path.stem() ? info.name : path.stem().string() + ":" + info.name,
                      cell(info.description), cell(parameters_of(info)),
                      cell(code(first_shape(info))), info.shapes.size(), cell(code(info.flops)));
  }
  const char* const head =
      "| workload | what it is | parameters, with defaults | first shape | shapes | operations |\n"
      "| --- | --- | --- | --- | --- | --- |\n";
  return fmt::format("# Workloads\n"
                     "\n"
                     "Generated from the files of this folder; a test keeps it fresh, and\n"
                     "`TEMPER_UPDATE_GOLDEN=1 script_tests` rewrites it. `temper tune NAME` takes "
                     "the first shape, or\n"
                     "the parameters that follow it.\n"
                     "\n"
                     "## Programs with blocks, tuned by rules or by their own schedule\n"
                     "\n"
                     "{}{}\n"
                     "## Tile programs, tuned by their knobs\n"
                     "\n"
                     "{}{}\n"
                     "## Kernels in CUDA C++, tuned by their macros\n"
                     "\n"
                     "{}{}",
                     head, blocks, head, tiles, head, sources);
}

} // namespace temper::script
