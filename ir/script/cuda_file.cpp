#include "ir/script/cuda_file.h"

#include "ir/support/text.h"

#include <algorithm>

namespace temper::script {
namespace {

constexpr std::string_view kBegin = "/* temper";

int64_t lines_in(std::string_view text) { return std::count(text.begin(), text.end(), '\n'); }

/// As a string of the script, on one line.
std::string as_literal(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '\n')
      result += "\\n";
    else if (c == '\t')
      result += "\\t";
    else if (c == '\r')
      continue;
    else if (c == '"' || c == '\\')
      result += std::string("\\") + c;
    else
      result += c;
  }
  return result + "\"";
}

std::string line_directive(int64_t line, const std::string& file) {
  // The name alone: where the file lies is no part of the program.
  return "#line " + std::to_string(line) + " \"" + file.substr(file.rfind('/') + 1) + "\"\n";
}

} // namespace

bool is_cuda_file(const std::string& file) { return file.ends_with(".cu"); }

bool is_of_cuda(const std::string& text) {
  return text.find("\n" + std::string(kCudaSource) + " = \"") != std::string::npos;
}

Result<std::string> workload_of_cuda(const std::string& text, const std::string& file) {
  const size_t begin = text.find(kBegin);
  if (begin == std::string::npos)
    return Error(ErrorCode::kInvalidArgument,
                 file + " does not say what is to be tuned: put a comment '/* temper ... */' in "
                        "front, with a function that returns a prim_func whose kernel is "
                        "T.source_kernel(...)");
  const size_t end = text.find("*/", begin);
  if (end == std::string::npos)
    return Error(ErrorCode::kInvalidArgument,
                 file + ", line " + std::to_string(lines_in(text.substr(0, begin)) + 1) +
                     ": the comment '/* temper' has no end; close it with */");
  const std::string before = text.substr(0, begin);
  const size_t first = begin + kBegin.size();
  const std::string words = text.substr(first, end - first);
  if (!trim(words.substr(0, words.find('\n'))).empty())
    return Error(ErrorCode::kInvalidArgument,
                 file + ", line " + std::to_string(lines_in(before) + 1) +
                     ": what is said begins on the line after '/* temper'");
  std::string source;
  if (!trim(before).empty())
    source = line_directive(1, file) + before + "\n";
  source += line_directive(lines_in(text.substr(0, end)) + 1, file) + text.substr(end + 2);
  if (trim(text.substr(end + 2)).empty())
    return Error(ErrorCode::kInvalidArgument,
                 file + " has no CUDA C++ behind the comment '/* temper ... */'");
  return std::string(static_cast<size_t>(lines_in(before)), '\n') + words + "\n" +
         std::string(kCudaSource) + " = " + as_literal(source) + "\n";
}

} // namespace temper::script
