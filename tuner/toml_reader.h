/// What files in TOML that say what to work on share: unknown keys with the nearest known one,
/// typed values, shapes, and all errors of a file at once, each with its line.
#pragma once

#include "ir/support/result.h"

#include <toml++/toml.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace temper::tuner {

/// Parameters of a workload as typed on a command line.
using ShapeWords = std::map<std::string, std::string>;

inline int line_of(const toml::node& node) { return static_cast<int>(node.source().begin.line); }

class TomlReader {
public:
  /// `file` is for messages, and what relative paths are beside.
  explicit TomlReader(std::filesystem::path file) : file_(std::move(file)) {}

  /// The error is "FILE:LINE: this is no TOML: ...".
  Result<toml::table> parse(std::string_view text) const;

  /// Nothing, or the first error with the others as its notes.
  Result<void> finish() const;

protected:
  void fail(int line, const std::string& sentence);
  /// Each key of the table that is not known, with advice; `where`: "[[task]]".
  void known_keys(const toml::table& table, const std::vector<std::string>& known,
                  const std::string& where);
  /// A positive number; 0 where the key is not there or wrong.
  double number(const toml::table& table, const char* key);
  /// From 1 to `largest`; 0 likewise.
  int64_t whole(const toml::table& table, const char* key, int64_t largest);
  std::optional<std::string> text(const toml::table& table, const char* key);
  /// None where the key is not there or wrong; `example` as it would be written.
  std::optional<std::vector<std::string>> texts(const toml::table& table, const char* key,
                                                const std::string& example);
  std::vector<ShapeWords> shapes(const toml::table& table);
  /// The tables of `[[key]]`; at least one.
  std::vector<const toml::table*> tables(const toml::table& root, const std::string& key);
  /// `[defaults]`; null where there is none.
  const toml::table* defaults(const toml::table& root);
  /// The workload that an entry names. A kernel of the user's own (a .py file) lies beside the
  /// file, wherever that is run from.
  std::string workload(const toml::table& entry);
  /// A path in the file, beside it.
  std::string beside(const std::filesystem::path& path) const;

  std::filesystem::path file_;

private:
  std::vector<std::string> errors_;
};

} // namespace temper::tuner
