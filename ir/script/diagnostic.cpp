#include "ir/script/diagnostic.h"

#include "ir/support/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <sstream>

namespace temper::script {
namespace {

std::string_view line_of(std::string_view text, uint32_t line) {
  size_t start = 0;
  for (uint32_t i = 1; i < line && start != std::string_view::npos; ++i) {
    start = text.find('\n', start);
    if (start != std::string_view::npos)
      ++start;
  }
  if (start == std::string_view::npos || start > text.size())
    return {};
  std::string_view rest = text.substr(start);
  rest = rest.substr(0, rest.find('\n'));
  if (!rest.empty() && rest.back() == '\r')
    rest.remove_suffix(1);
  return rest;
}

struct FileTable {
  std::mutex mutex;
  std::vector<std::string> names{""};
};
FileTable& file_table() {
  static FileTable table;
  return table;
}

} // namespace

std::string Diagnostic::to_string() const {
  std::string text = file + ":" + std::to_string(position.line) + ":" +
                     std::to_string(position.column) + ": " + message;
  if (source_line.empty())
    return text;
  text += "\n    " + source_line + "\n    ";
  // Tabs are kept in the padding, so that the caret stands below its character.
  const size_t column = position.column > 0 ? position.column - 1 : 0;
  for (size_t i = 0; i < column; ++i)
    text += i < source_line.size() && source_line[i] == '\t' ? '\t' : ' ';
  size_t length = std::max<size_t>(1, position.length);
  if (column < source_line.size())
    length = std::min(length, source_line.size() - column);
  else
    length = 1;
  text.append(length, '^');
  return text;
}

void Diagnostics::report(Position position, std::string message) {
  if (list_.size() >= kLimit)
    return;
  for (const Diagnostic& known : list_)
    if (known.position.line == position.line && known.position.column == position.column)
      return;
  Diagnostic diagnostic;
  diagnostic.file = file_;
  diagnostic.position = position;
  diagnostic.source_line = std::string(line_of(text_, position.line));
  diagnostic.message = std::move(message);
  list_.push_back(std::move(diagnostic));
}

Error Diagnostics::to_error() const { return script::to_error(list_); }

Error located(const Error& error, const std::string& file, std::string_view text) {
  // Behind a colon, too: "cannot lower main for a CPU: line 4: ...".
  size_t at = error.message.starts_with("line ") ? 0 : error.message.find(": line ");
  if (at == std::string::npos)
    return error;
  at += at == 0 ? 0 : 2;
  unsigned line = 0, column = 0;
  int length = 0;
  const char* begin = error.message.c_str() + at;
  if (std::sscanf(begin, "line %u, column %u: %n", &line, &column, &length) < 2 || length == 0) {
    length = 0;
    column = 0;
    if (std::sscanf(begin, "line %u: %n", &line, &length) < 1 || length == 0)
      return error;
  }
  Diagnostic diagnostic;
  diagnostic.file = file;
  diagnostic.source_line = std::string(line_of(text, line));
  const size_t first =
      std::min(diagnostic.source_line.find_first_not_of(" \t"), diagnostic.source_line.size());
  diagnostic.position.line = line;
  diagnostic.position.column = column > 0 ? column : static_cast<uint32_t>(first) + 1;
  if (column == 0) // the statement
    diagnostic.position.length = static_cast<uint32_t>(diagnostic.source_line.size() - first);
  diagnostic.message =
      error.message.substr(0, at) + error.message.substr(at + static_cast<size_t>(length));
  Error result = error;
  result.message = diagnostic.to_string();
  return result;
}

Error located(const Error& error, const std::string& file) {
  std::ifstream stream(file);
  std::ostringstream text;
  text << stream.rdbuf();
  return stream ? located(error, file, text.str()) : error;
}

Error to_error(const std::vector<Diagnostic>& diagnostics) {
  if (diagnostics.empty())
    return {ErrorCode::kInvalidArgument, "the text does not parse"};
  Error error(ErrorCode::kInvalidArgument, "");
  for (auto it = diagnostics.begin(); it != diagnostics.end(); ++it) {
    const auto is_same = [&](const Diagnostic& other) { return other.message == it->message; };
    if (std::any_of(diagnostics.begin(), it, is_same))
      continue;
    std::string text = it->to_string();
    if (const auto more = std::count_if(it + 1, diagnostics.end(), is_same); more > 0)
      text += fmt::format("\n    and the same at {} more place{}", more, more > 1 ? "s" : "");
    if (it == diagnostics.begin())
      error.message = std::move(text);
    else
      error.notes.push_back(std::move(text));
  }
  return error;
}

uint32_t source_file_index(const std::string& name) {
  FileTable& table = file_table();
  const std::lock_guard lock(table.mutex);
  const auto place = std::find(table.names.begin(), table.names.end(), name);
  if (place != table.names.end())
    return static_cast<uint32_t>(place - table.names.begin());
  table.names.push_back(name);
  return static_cast<uint32_t>(table.names.size() - 1);
}

std::vector<std::string> source_files() {
  FileTable& table = file_table();
  const std::lock_guard lock(table.mutex);
  return table.names;
}

std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates) {
  if (name.size() < 3) // everything is near to a letter or two
    return "";
  std::string nearest = nearest_name(name, candidates);
  // Two letters swapped are one slip, though two edits.
  for (const std::string& candidate : candidates) {
    if (!nearest.empty())
      break;
    const auto first = std::mismatch(name.begin(), name.end(), candidate.begin(), candidate.end());
    if (candidate.size() != name.size() || first.first + 1 >= name.end())
      continue;
    if (first.first[0] == first.second[1] && first.first[1] == first.second[0] &&
        std::equal(first.first + 2, name.end(), first.second + 2))
      nearest = candidate;
  }
  return nearest.empty() ? "" : " (did you mean '" + nearest + "'?)";
}

} // namespace temper::script
