#include "ir/support/passwords.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

namespace temper {
namespace {

/// Where passwords lie, as first and one past the last character, in order and apart.
std::vector<std::pair<size_t, size_t>> passwords_in(std::string_view text) {
  std::vector<std::pair<size_t, size_t>> found;
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
