/// Python's tokens, with indentation: the subset that scripts and workload files need. Comments and
/// blank lines vanish; lines join inside brackets and after a backslash; tabs are refused.
#pragma once

#include "ir/script/diagnostic.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace temper::script {

enum class TokenType : uint8_t {
  kName,
  kInt, ///< decimal, hexadecimal, octal or binary, with underscores
  kFloat,
  kString,  ///< `text` holds the decoded content
  kFString, ///< `text` holds the raw content between the quotes
  kOperator,
  kNewline,
  kIndent,
  kDedent,
  kEnd,
};

struct Token {
  TokenType type = TokenType::kEnd;
  std::string_view text; ///< of the source, or of the lexer's storage (decoded strings)
  Position position;
  bool raw = false; ///< an f-string with prefix r
};

/// The tokens of a text, always ending in kEnd; errors are reported and skipped.
struct TokenList {
  std::vector<Token> tokens;
  /// Decoded strings that tokens point into.
  std::vector<std::unique_ptr<std::string>> storage;
  /// Brackets and strings without an end: what the parser finds wrong after one follows from it.
  std::vector<Position> unclosed;
};
/// Lines and columns are counted from `start` (for the expressions inside f-strings).
TokenList tokenize(std::string_view text, Diagnostics& diagnostics, Position start = {1, 1, 1});

} // namespace temper::script
