#include "ir/tir/printing.h"
#include "ir/tir/statement_call.h"

#include <cstdio>

namespace temper::tir {
namespace {

const char* specifier(DataType dtype) {
  if (dtype.is_floating())
    return dtype.bits == 64 ? "%.17g" : "%.9g";
  return dtype.is_uint() ? "%llu" : "%lld";
}

/// Calls `on_text` for what stands between the values, and `on_value` for each of them.
template <typename T, typename V> void each_part(const Call& call, T&& on_text, V&& on_value) {
  const auto* text = call.args.empty() ? nullptr : call.args[0].as<StringImm>();
  size_t next = 1;
  for (size_t i = 0; text != nullptr && i < text->value.size(); ++i)
    if (text->value.compare(i, 2, "{}") == 0 && next < call.args.size()) {
      on_value(next++);
      ++i;
    } else {
      if (text->value.compare(i, 2, "{{") == 0 || text->value.compare(i, 2, "}}") == 0)
        ++i;
      on_text(text->value[i]);
    }
}

} // namespace

std::string escaped_braces(const std::string& text) {
  std::string result;
  for (const char c : text)
    result.append(c == '{' || c == '}' ? 2 : 1, c);
  return result;
}

size_t count_places(const std::string& text) {
  size_t places = 0;
  for (size_t i = 0; i + 1 < text.size(); ++i) {
    const std::string_view two = std::string_view(text).substr(i, 2);
    places += two == "{}" ? 1 : 0;
    i += two == "{}" || two == "{{" || two == "}}" ? 1 : 0;
  }
  return places;
}

const Call* as_print(const Stmt& stmt) {
  const Call* call = call_of(stmt);
  return call != nullptr && call->op == kPrint ? call : nullptr;
}

std::string print_format(const Call& call) {
  std::string format;
  each_part(
      call, [&](char c) { format += c == '%' ? std::string("%%") : std::string(1, c); },
      [&](size_t i) { format += specifier(call.args[i]->dtype); });
  return format + "\n";
}

std::string print_line(const Call& call,
                       const std::function<std::variant<int64_t, double>(size_t)>& value) {
  std::string line;
  each_part(
      call, [&](char c) { line += c; },
      [&](size_t i) {
        char text[64];
        const auto number = value(i - 1);
        if (const auto* real = std::get_if<double>(&number))
          std::snprintf(text, sizeof text, specifier(call.args[i]->dtype), *real);
        else
          std::snprintf(text, sizeof text, specifier(call.args[i]->dtype),
                        static_cast<long long>(std::get<int64_t>(number)));
        line += text;
      });
  return line + "\n";
}

void write_line(const std::function<void(const std::string&)>& print, const std::string& line) {
  if (print)
    return print(line);
  std::fputs(line.c_str(), stdout);
  std::fflush(stdout);
}

} // namespace temper::tir
