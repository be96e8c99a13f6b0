#include "ir/support/base64.h"

#include <algorithm>
#include <cstdint>

namespace temper {

std::string encode_base64(std::string_view bytes) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t word = 0;
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    for (size_t k = 0; k < 3; ++k)
      word = word << 8 | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (size_t k = 0; k < 4; ++k)
      text += k <= count ? kDigits[word >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

Result<std::string> decode_base64(std::string_view text) {
  const Error broken(ErrorCode::kCorrupt, "the base64 text is broken");
  if (text.size() % 4 != 0)
    return broken;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (size_t i = 0; i < text.size(); i += 4) {
    uint32_t word = 0;
    size_t padding = 0;
    for (size_t k = 0; k < 4; ++k) {
      const char c = text[i + k];
      uint32_t digit = 0;
      if (c >= 'A' && c <= 'Z')
        digit = static_cast<uint32_t>(c - 'A');
      else if (c >= 'a' && c <= 'z')
        digit = static_cast<uint32_t>(c - 'a') + 26;
      else if (c >= '0' && c <= '9')
        digit = static_cast<uint32_t>(c - '0') + 52;
      else if (c == '+')
        digit = 62;
      else if (c == '/')
        digit = 63;
      else if (c == '=' && i + 4 == text.size() && k >= 2)
        ++padding;
      else
        return broken;
      if (padding > 0 && c != '=')
        return broken;
      word = word << 6 | digit;
    }
    for (size_t k = 0; k + padding < 3; ++k)
      bytes += static_cast<char>(word >> (16 - 8 * k) & 255);
  }
  return bytes;
}

} // namespace temper
