#include "database/detail/json_text.h"

#include "ir/support/json.h"

namespace temper::database::detail {

namespace {

constexpr size_t kDeepest = 500;

class Scanner {
public:
  explicit Scanner(std::string_view text) : text_(text) {}

  bool at_end() const { return at_ == text_.size(); }
  size_t position() const { return at_; }

  void skip_blanks() {
    while (!at_end() && (text_[at_] == ' ' || text_[at_] == '\t'))
      ++at_;
  }
  bool take(char c) {
    if (at_end() || text_[at_] != c)
      return false;
    ++at_;
    return true;
  }

  bool string() {
    if (!take('"'))
      return false;
    while (!at_end()) {
      const char c = text_[at_++];
      if (c == '"')
        return true;
      if (static_cast<unsigned char>(c) < 0x20)
        return false;
      if (c != '\\')
        continue;
      if (at_end())
        return false;
      const char escape = text_[at_++];
      if (escape == 'u') {
        for (int i = 0; i < 4; ++i)
          if (at_end() || !is_hex(text_[at_++]))
            return false;
      } else if (std::string_view("\"\\/bfnrt").find(escape) == std::string_view::npos) {
        return false;
      }
    }
    return false;
  }

  bool number() {
    take('-');
    if (!take('0') && !digits())
      return false;
    if (take('.') && !digits())
      return false;
    if (take('e') || take('E')) {
      if (!take('+'))
        take('-');
      return digits();
    }
    return true;
  }

  /// One value with all that is in it. A loop and not a recursion: the text may be hostile.
  bool value() {
    std::string open; // a bracket per level
    while (true) {
      skip_blanks();
      bool complete = true;
      if (at_end())
        return false;
      const char c = text_[at_];
      if (c == '{' || c == '[') {
        if (open.size() >= kDeepest)
          return false;
        ++at_;
        skip_blanks();
        if (!take(c == '{' ? '}' : ']')) {
          open += c;
          complete = false;
          if (c == '{' && !key())
            return false;
        }
      } else if (c == '"') {
        if (!string())
          return false;
      } else if (c == '-' || (c >= '0' && c <= '9')) {
        if (!number())
          return false;
      } else if (!word("true") && !word("false") && !word("null")) {
        return false;
      }
      if (!complete)
        continue;
      // A value is complete: it ends its containers, or another one follows.
      while (true) {
        if (open.empty())
          return true;
        skip_blanks();
        if (take(',')) {
          skip_blanks();
          if (open.back() == '{' && !key())
            return false;
          break;
        }
        if (!take(open.back() == '{' ? '}' : ']'))
          return false;
        open.pop_back();
      }
    }
  }

  /// `"name":`
  bool key() {
    if (!string())
      return false;
    skip_blanks();
    return take(':');
  }

private:
  static bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  }
  bool digits() {
    const size_t begin = at_;
    while (!at_end() && text_[at_] >= '0' && text_[at_] <= '9')
      ++at_;
    return at_ > begin;
  }
  bool word(std::string_view expected) {
    if (!text_.substr(at_).starts_with(expected))
      return false;
    at_ += expected.size();
    return true;
  }

  std::string_view text_;
  size_t at_ = 0;
};

} // namespace

bool is_json_container(std::string_view text) {
  if (text.empty() || (text.front() != '{' && text.front() != '['))
    return false;
  Scanner scanner(text);
  return scanner.value() && scanner.at_end();
}

Result<std::vector<JsonMember>> scan_json_object(std::string_view line) {
  const Error broken(ErrorCode::kCorrupt, "it is no complete JSON object");
  std::vector<JsonMember> members;
  Scanner scanner(line);
  scanner.skip_blanks();
  if (!scanner.take('{'))
    return broken;
  scanner.skip_blanks();
  if (!scanner.take('}')) {
    do {
      scanner.skip_blanks();
      const size_t begin = scanner.position();
      if (!scanner.string())
        return broken;
      TEMPER_TRY(name, read_json_string(line.substr(begin, scanner.position() - begin)));
      scanner.skip_blanks();
      if (!scanner.take(':'))
        return broken;
      scanner.skip_blanks();
      const size_t value = scanner.position();
      if (!scanner.value())
        return broken;
      members.push_back({std::move(name), line.substr(value, scanner.position() - value)});
      scanner.skip_blanks();
    } while (scanner.take(','));
    if (!scanner.take('}'))
      return broken;
  }
  // A carriage return: the dump went through an editor of another system.
  while (scanner.take(' ') || scanner.take('\t') || scanner.take('\r')) {
  }
  if (!scanner.at_end())
    return broken;
  return members;
}

void append_json_string(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    switch (c) {
    case '"':
      out += "\\\"";
      break;
    case '\\':
      out += "\\\\";
      break;
    case '\n':
      out += "\\n";
      break;
    case '\t':
      out += "\\t";
      break;
    default:
      if (static_cast<unsigned char>(c) < 0x20) {
        out += "\\u00";
        out += kHex[c >> 4];
        out += kHex[c & 15];
      } else {
        out += c;
      }
    }
  }
  out += '"';
}

Result<std::string> read_json_string(std::string_view value) {
  const Error broken(ErrorCode::kCorrupt, "it is no text in quotes");
  if (value.size() < 2 || value.front() != '"' || value.back() != '"')
    return broken;
  if (value.find('\\') == std::string_view::npos)
    return std::string(value.substr(1, value.size() - 2));
  const auto parsed = parse_json(value);
  if (!parsed || !parsed->is_string())
    return broken;
  return parsed->get<std::string>();
}

} // namespace temper::database::detail
