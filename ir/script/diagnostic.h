/// What the parser says about bad text: file, line, column, the line itself with a caret, and a
/// sentence that says what to write instead.
///
///   scale.py:7:20: B has 2 dimensions, but 1 index was given; write B[i, j]
///       B[i] = A[i, j]
///       ^^^^
#pragma once

#include "ir/node.h"
#include "ir/support/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace temper::script {

/// A stretch of one line; 1-based line and column, columns in bytes.
struct Position {
  uint32_t line = 0;
  uint32_t column = 0;
  uint32_t length = 1;
};

struct Diagnostic {
  std::string file;
  Position position;
  std::string source_line;
  std::string message;

  /// "file:line:column: message", then the line and the carets below it.
  std::string to_string() const;
};

/// Collects what is wrong with one text. Keeps the first 20; a place is reported once.
class Diagnostics {
public:
  static constexpr size_t kLimit = 20;

  /// `text` must outlive the collector.
  Diagnostics(std::string file, std::string_view text) : file_(std::move(file)), text_(text) {}

  void report(Position position, std::string message);
  bool empty() const { return list_.empty(); }
  const std::vector<Diagnostic>& list() const { return list_; }
  Error to_error() const;
  const std::string& file() const { return file_; }
  std::string_view text() const { return text_; }

private:
  std::string file_;
  std::string_view text_;
  std::vector<Diagnostic> list_;
};

/// Joins diagnostics into one Error (kInvalidArgument): the first is its message, the others are
/// notes. What is wrong in the same words at several places is said once.
Error to_error(const std::vector<Diagnostic>& diagnostics);

/// An error of a later step, whose message says "line 3: ..." or "line 3, column 5: ...", as the
/// parser's errors are: with the file, and that line of its `text` with a caret. Another error
/// stays as it is.
Error located(const Error& error, const std::string& file, std::string_view text);
/// The same; the text is what `file` holds. An error of a file that is not there stays as it is.
Error located(const Error& error, const std::string& file);

/// The index of a file's name for Span::file; the same name keeps its index.
uint32_t source_file_index(const std::string& name);
/// Names by index; index 0 is "" (made by code). Thread-safe: returns a copy.
std::vector<std::string> source_files();

/// " (did you mean 'x'?)" when a candidate is near enough, else "".
std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates);

} // namespace temper::script
