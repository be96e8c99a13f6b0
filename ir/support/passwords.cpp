#include "ir/support/passwords.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <utility>
#include <vector>

namespace temper {
namespace {

using Places = std::vector<std::pair<size_t, size_t>>;

/// Whether `word` stands there as the name of a value: `word = ...`, from the `=` on.
size_t assigned(std::string_view text, size_t at, std::string_view word) {
  if (at > 0 && (std::isalnum(static_cast<unsigned char>(text[at - 1])) || text[at - 1] == '_'))
    return std::string_view::npos;
  const size_t equals = text.find_first_not_of(' ', at + word.size());
  return equals != std::string_view::npos && text[equals] == '=' ? equals : std::string_view::npos;
}

bool assigns(std::string_view text, std::string_view word) {
  for (size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1))
    if (assigned(text, at, word) != std::string_view::npos)
      return true;
  return false;
}

/// Values of `password` in text that names a server by keywords; a workload may have a parameter
/// of that name.
Places keyword_passwords(std::string_view text) {
  Places found;
  constexpr std::string_view kPassword = "password";
  if (!text.starts_with(kPassword) && !assigns(text, "host") && !assigns(text, "hostaddr") &&
      !assigns(text, "user") && !assigns(text, "dbname"))
    return found;
  for (size_t at = text.find(kPassword); at != std::string_view::npos;
       at = text.find(kPassword, at + 1)) {
    const size_t equals = assigned(text, at, kPassword);
    if (equals == std::string_view::npos)
      continue;
    size_t first = std::min(text.find_first_not_of(' ', equals + 1), text.size());
    size_t last = std::min(text.find_first_of(" \t\r\n\"'`<>&", first), text.size());
    if (first < text.size() && text[first] == '\'') // with blanks in it; \' is a part of it
      for (last = ++first; last < text.size() && text[last] != '\''; ++last)
        last += text[last] == '\\' && last + 1 < text.size() ? 1 : 0;
    if (first < last)
      found.emplace_back(first, last);
  }
  return found;
}

/// Where passwords lie in addresses, as first and one past the last character, in order and apart.
Places address_passwords(std::string_view text) {
  Places found;
  constexpr std::string_view kScheme = "://";
  for (size_t at = text.find(kScheme); at != std::string_view::npos;
       at = text.find(kScheme, at + 1)) {
    const size_t begin = at + kScheme.size();
    const size_t end = std::min(text.find_first_of(" \t\r\n\"'`<>", begin), text.size());
    const std::string_view address = text.substr(begin, end - begin);
    // Up to the last @: a password that was not written as an address wants it may have one of its
    // own, or a slash.
    size_t past_user = 0;
    if (const size_t host = address.rfind('@'); host != std::string_view::npos) {
      const size_t colon = address.find(':');
      if (colon < host)
        found.emplace_back(begin + colon + 1, begin + host);
      past_user = host;
    } else if (const std::string_view where = address.substr(0, address.find_first_of("/?"));
               !where.starts_with('[')) {
      // user:password without a host reads as a host with a port; a port is a number.
      const size_t colon = where.find(':');
      if (colon != std::string_view::npos &&
          where.find_first_not_of("0123456789", colon + 1) != std::string_view::npos)
        found.emplace_back(begin + colon + 1, begin + where.size());
    }
    constexpr std::string_view kOption = "password="; // sslpassword= as well
    for (size_t option = address.find(kOption, past_user); option != std::string_view::npos;
         option = address.find(kOption, option + 1)) {
      const size_t first = option + kOption.size();
      const size_t last = std::min(address.find('&', first), address.size());
      found.emplace_back(begin + first, begin + last);
    }
    at = end - 1;
  }
  return found;
}

/// In order and apart.
Places passwords_in(std::string_view text) {
  Places found = address_passwords(text);
  for (const auto& place : keyword_passwords(text))
    if (std::ranges::none_of(found, [&](const auto& other) {
          return place.first < other.second && other.first < place.second;
        }))
      found.push_back(place);
  std::ranges::sort(found);
  return found;
}

} // namespace

std::string without_passwords(std::string_view text) {
  std::string shown;
  size_t done = 0;
  for (const auto& [first, last] : passwords_in(text)) {
    shown += text.substr(done, first - done);
    shown += "***";
    done = last;
  }
  shown += text.substr(done);
  return shown;
}

void blot_out_passwords(char* text) {
  for (const auto& [first, last] : passwords_in(text))
    std::memset(text + first, '*', last - first);
}

} // namespace temper
