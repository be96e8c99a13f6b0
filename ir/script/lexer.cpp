#include "ir/script/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <memory>

namespace temper::script {
namespace {

bool is_name_start(char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_'; }
bool is_name_char(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

class Lexer {
public:
  Lexer(std::string_view text, Diagnostics& diagnostics, Position start)
      : text_(text), diagnostics_(diagnostics), line_(start.line), first_column_(start.column),
        embedded_(start.line != 1 || start.column != 1) {}

  TokenList run() {
    while (at_ < text_.size()) {
      if (line_start_ && depth_ == 0) {
        if (!indentation())
          continue;
      }
      token();
    }
    if (depth_ > 0)
      unclosed();
    if (!list_.tokens.empty() && list_.tokens.back().type != TokenType::kNewline && !embedded_)
      add(TokenType::kNewline, at_, at_);
    for (; indents_.size() > 1; indents_.pop_back())
      add(TokenType::kDedent, at_, at_);
    add(TokenType::kEnd, at_, at_);
    return std::move(list_);
  }

private:
  char peek(size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  Position position(size_t begin, size_t end) const {
    const uint32_t column = static_cast<uint32_t>(begin - line_begin_) + first_column_;
    return {line_, column, static_cast<uint32_t>(std::max<size_t>(1, end - begin))};
  }
  Token& add(TokenType type, size_t begin, size_t end) {
    list_.tokens.push_back({type, text_.substr(begin, end - begin), position(begin, end)});
    return list_.tokens.back();
  }
  void error(size_t begin, size_t end, std::string message) {
    diagnostics_.report(position(begin, end), std::move(message));
  }
  void next_line() {
    ++line_;
    line_begin_ = at_;
    first_column_ = 1;
  }

  /// At the start of a logical line: false when the line is blank and was skipped.
  bool indentation() {
    size_t width = 0;
    const size_t begin = at_;
    bool tab = false;
    while (peek() == ' ' || peek() == '\t' || peek() == '\f') {
      tab |= peek() == '\t';
      ++at_;
      ++width;
    }
    if (peek() == '#')
      while (at_ < text_.size() && peek() != '\n')
        ++at_;
    if (peek() == '\r' && peek(1) == '\n')
      ++at_;
    if (peek() == '\n') {
      ++at_;
      next_line();
      return false;
    }
    if (at_ >= text_.size())
      return false;
    if (tab)
      error(begin, at_, "this line is indented with a tab; use four spaces for each level");
    line_start_ = false;
    if (embedded_)
      return true;
    if (width > indents_.back()) {
      indents_.push_back(width);
      add(TokenType::kIndent, at_, at_);
    } else {
      while (width < indents_.back()) {
        indents_.pop_back();
        add(TokenType::kDedent, at_, at_);
      }
      if (width != indents_.back()) {
        error(begin, at_,
              "this indentation fits no line above; indent it as the block it belongs to");
        // Read as part of the block around; the lowest level stays 0.
        if (indents_.size() > 1)
          indents_.back() = width;
      }
    }
    return true;
  }

  void token() {
    const char c = peek();
    if (c == ' ' || c == '\t' || c == '\f' || c == '\r') {
      ++at_;
    } else if (c == '\n') {
      if (depth_ == 0) {
        add(TokenType::kNewline, at_, at_);
        line_start_ = true;
      }
      ++at_;
      next_line();
      if (depth_ > 0)
        check_unclosed();
    } else if (c == '#') {
      while (at_ < text_.size() && peek() != '\n')
        ++at_;
    } else if (c == '\\') {
      size_t end = at_ + 1;
      if (end < text_.size() && text_[end] == '\r')
        ++end;
      if (end < text_.size() && text_[end] == '\n') {
        at_ = end + 1;
        next_line();
      } else {
        error(at_, at_ + 1, "a backslash joins lines and must be the last character of its line");
        ++at_;
      }
    } else if (is_name_start(c)) {
      name_or_string();
    } else if (std::isdigit(static_cast<unsigned char>(c)) ||
               (c == '.' && std::isdigit(static_cast<unsigned char>(peek(1))))) {
      number();
    } else if (c == '"' || c == '\'') {
      string(at_, "");
    } else {
      punctuation();
    }
  }

  void name_or_string() {
    const size_t begin = at_;
    while (is_name_char(peek()))
      ++at_;
    const std::string_view word = text_.substr(begin, at_ - begin);
    if ((peek() == '"' || peek() == '\'') && word.size() <= 2) {
      std::string prefix;
      for (char c : word)
        prefix += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      if (prefix == "r" || prefix == "f" || prefix == "rf" || prefix == "fr" || prefix == "u") {
        string(begin, prefix);
        return;
      }
      if (prefix == "b" || prefix == "rb" || prefix == "br")
        error(begin, at_, "byte strings are not known here; write an ordinary string");
    }
    add(TokenType::kName, begin, at_);
  }

  void number() {
    const size_t begin = at_;
    bool is_float = false;
    if (peek() == '0' && std::string_view("xXoObB").find(peek(1)) != std::string_view::npos) {
      at_ += 2;
      while (is_name_char(peek()))
        ++at_;
    } else {
      const auto digits = [&] {
        while (std::isdigit(static_cast<unsigned char>(peek())) ||
               (peek() == '_' && std::isdigit(static_cast<unsigned char>(peek(1)))))
          ++at_;
      };
      digits();
      if (peek() == '.') {
        is_float = true;
        ++at_;
        digits();
      }
      if (peek() == 'e' || peek() == 'E') {
        const size_t sign = peek(1) == '+' || peek(1) == '-' ? 2 : 1;
        if (std::isdigit(static_cast<unsigned char>(peek(sign)))) {
          is_float = true;
          at_ += sign;
          digits();
        }
      }
      if (is_name_start(peek())) {
        const size_t bad = at_;
        while (is_name_char(peek()))
          ++at_;
        error(bad, at_, "a number cannot be followed by letters; a name starts with a letter");
        add(is_float ? TokenType::kFloat : TokenType::kInt, begin, bad);
        return;
      }
    }
    add(is_float ? TokenType::kFloat : TokenType::kInt, begin, at_);
  }

  void string(size_t begin, const std::string& prefix) {
    const bool raw = prefix.find('r') != std::string::npos;
    const bool formatted = prefix.find('f') != std::string::npos;
    const Position start = position(begin, at_ + 1);
    const char quote = peek();
    const bool triple = peek(1) == quote && peek(2) == quote;
    at_ += triple ? 3 : 1;
    auto content = std::make_unique<std::string>();
    Position content_start = position(at_, at_ + 1);
    while (true) {
      if (at_ >= text_.size() || (!triple && peek() == '\n')) {
        diagnostics_.report(start, std::string("this string has no end; close it with ") +
                                       (triple ? std::string(3, quote) : std::string(1, quote)));
        list_.unclosed.push_back(start);
        depth_ = 0; // brackets around it cannot be trusted
        break;
      }
      const char c = peek();
      if (c == quote && (!triple || (peek(1) == quote && peek(2) == quote))) {
        at_ += triple ? 3 : 1;
        break;
      }
      if (c == '\n') {
        *content += c;
        ++at_;
        next_line();
      } else if (c == '\\' && !raw && !formatted) {
        escape(*content);
      } else if (c == '\\' && at_ + 1 < text_.size()) {
        // Kept as it is: f-strings decode their literal parts when they are taken apart.
        *content += c;
        *content += peek(1);
        at_ += 2;
        if (content->back() == '\n')
          next_line();
      } else {
        *content += c;
        ++at_;
      }
    }
    Token token;
    token.type = formatted ? TokenType::kFString : TokenType::kString;
    token.raw = raw;
    token.text = *content;
    token.position = start;
    if (start.line == line_)
      token.position.length = position(at_, at_).column - start.column;
    if (formatted) // the position of the content, for the expressions in it
      token.position = content_start;
    list_.storage.push_back(std::move(content));
    list_.tokens.push_back(token);
  }

  void escape(std::string& content) {
    const size_t begin = at_;
    ++at_;
    if (at_ >= text_.size())
      return; // the string's missing end is reported
    const char c = peek();
    ++at_;
    switch (c) {
    case 'n':
      content += '\n';
      return;
    case 't':
      content += '\t';
      return;
    case 'r':
      content += '\r';
      return;
    case '0':
      content += '\0';
      return;
    case '\\':
      content += '\\';
      return;
    case '\'':
      content += '\'';
      return;
    case '"':
      content += '"';
      return;
    case '\n':
      next_line();
      return;
    case 'x': {
      int value = 0;
      for (int i = 0; i < 2; ++i) {
        const char digit = peek();
        if (!std::isxdigit(static_cast<unsigned char>(digit))) {
          error(begin, at_, "\\x takes two hexadecimal digits, as \\x41");
          return;
        }
        value = value * 16 + (std::isdigit(static_cast<unsigned char>(digit))
                                  ? digit - '0'
                                  : std::tolower(digit) - 'a' + 10);
        ++at_;
      }
      content += static_cast<char>(value);
      return;
    }
    default:
      error(begin, at_, "unknown escape; write \\\\ for a backslash");
    }
  }

  void punctuation() {
    static constexpr std::string_view kOperators[] = {
        "**=", "//=", ">>=", "<<=", "...", "->", ":=", "+=", "-=", "*=", "/=", "%=",
        "&=",  "|=",  "^=",  "==",  "!=",  "<=", ">=", "<<", ">>", "**", "//", "+",
        "-",   "*",   "/",   "%",   "&",   "|",  "^",  "~",  "<",  ">",  "(",  ")",
        "[",   "]",   "{",   "}",   ",",   ":",  ".",  ";",  "@",  "="};
    const std::string_view rest = text_.substr(at_);
    for (std::string_view op : kOperators) {
      if (!rest.starts_with(op))
        continue;
      const size_t begin = at_;
      at_ += op.size();
      if (op == "(" || op == "[" || op == "{")
        open_[depth_++ % kOpen] = {position(begin, at_), op[0]};
      else if ((op == ")" || op == "]" || op == "}") && depth_ > 0)
        --depth_;
      add(TokenType::kOperator, begin, at_);
      return;
    }
    size_t end = at_ + 1;
    if (static_cast<unsigned char>(rest[0]) >= 0x80) {
      while (end < text_.size() && (static_cast<unsigned char>(text_[end]) & 0xc0) == 0x80)
        ++end;
      error(at_, end, "this character has no place outside strings and comments");
    } else {
      error(at_, end, fmt::format("'{}' is not part of the language", rest[0]));
    }
    at_ = end;
  }

  /// A line inside brackets that begins with a word that only begins statements: the bracket above
  /// was forgotten, and what follows is read as usual.
  void check_unclosed() {
    size_t begin = at_;
    while (begin < text_.size() && text_[begin] == ' ')
      ++begin;
    const std::string_view rest = text_.substr(begin);
    for (std::string_view word : {"def ", "with ", "class ", "return ", "import ", "while ", "@"})
      if (rest.starts_with(word)) {
        unclosed();
        depth_ = 0;
        line_start_ = true;
        add(TokenType::kNewline, at_, at_);
        return;
      }
  }
  void unclosed() {
    const auto& [where, bracket] = open_[(depth_ - 1) % kOpen];
    list_.unclosed.push_back(where);
    const char* closing = bracket == '(' ? ")" : bracket == '[' ? "]" : "}";
    diagnostics_.report(where,
                        fmt::format("this '{}' is never closed; add '{}'", bracket, closing));
  }

  std::string_view text_;
  Diagnostics& diagnostics_;
  TokenList list_;
  size_t at_ = 0;
  uint32_t line_;
  uint32_t first_column_;
  bool embedded_;
  size_t line_begin_ = 0;
  int depth_ = 0;
  static constexpr int kOpen = 256;
  std::pair<Position, char> open_[kOpen];
  bool line_start_ = true;
  std::vector<size_t> indents_{0};
};

} // namespace

TokenList tokenize(std::string_view text, Diagnostics& diagnostics, Position start) {
  return Lexer(text, diagnostics, start).run();
}

} // namespace temper::script
