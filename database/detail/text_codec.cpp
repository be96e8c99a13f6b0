// Format: varint(size of the text), then operations until that many bytes are out:
//   varint(2 n)         n bytes follow as they are
//   varint(2 n + 1)     varint(distance): n bytes from `distance` before the end of base + output
#include "database/detail/text_codec.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

namespace temper::database::detail {

namespace {

constexpr size_t kMinimumMatch = 6; // a copy costs up to 4 bytes
constexpr size_t kTableBits = 14;
constexpr uint64_t kSizeLimit = 1ULL << 30;

void put_varint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out += static_cast<char>(0x80 | (value & 0x7f));
    value >>= 7;
  }
  out += static_cast<char>(value);
}

bool get_varint(std::string_view& in, uint64_t& value) {
  value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (in.empty())
      return false;
    const auto byte = static_cast<unsigned char>(in.front());
    in.remove_prefix(1);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80)
      return true;
  }
  return false;
}

size_t slot(const char* at) {
  uint64_t word = 0;
  std::memcpy(&word, at, kMinimumMatch);
  return (word * 0x9e3779b97f4a7c15ULL) >> (64 - kTableBits);
}

} // namespace

std::string encode_text(std::string_view text, std::string_view base) {
  std::string out;
  put_varint(out, text.size());
  const std::string all = std::string(base) + std::string(text);
  std::vector<uint32_t> table(size_t{1} << kTableBits, 0); // position + 1 of the last occurrence
  const auto insert = [&](size_t at) {
    if (at + kMinimumMatch <= all.size())
      table[slot(&all[at])] = static_cast<uint32_t>(at + 1);
  };
  for (size_t i = 0; i < base.size(); ++i)
    insert(i);

  size_t literal = base.size();
  const auto flush = [&](size_t end) {
    if (end > literal) {
      put_varint(out, 2 * (end - literal));
      out.append(all, literal, end - literal);
    }
  };
  // Texts of one family run in parallel: the byte after the last copy's source is the likeliest
  // next match, and the table, which knows only the last occurrence, often misses it.
  size_t expected_distance = 0;
  for (size_t at = base.size(); at < all.size();) {
    size_t length = 0;
    size_t distance = 0;
    const auto consider = [&](size_t from) {
      size_t n = 0;
      while (at + n < all.size() && all[from + n] == all[at + n])
        ++n;
      if (n > length) {
        length = n;
        distance = at - from;
      }
    };
    if (expected_distance > 0 && expected_distance <= at)
      consider(at - expected_distance);
    if (at + kMinimumMatch <= all.size())
      if (const uint32_t from = table[slot(&all[at])]; from > 0)
        consider(from - 1);
    if (length < kMinimumMatch) {
      insert(at++);
      continue;
    }
    flush(at);
    put_varint(out, 2 * length + 1);
    put_varint(out, distance);
    expected_distance = distance;
    for (size_t end = at + length; at < end; ++at)
      insert(at);
    literal = at;
  }
  flush(all.size());
  return out;
}

Result<std::string> decode_text(std::string_view encoded, std::string_view base) {
  const Error broken(ErrorCode::kCorrupt,
                     "a stored program is damaged: its compressed text does not decode");
  uint64_t size = 0;
  if (!get_varint(encoded, size) || size > kSizeLimit)
    return broken;
  std::string all(base);
  const uint64_t end = base.size() + size;
  while (all.size() < end) {
    uint64_t head = 0;
    if (!get_varint(encoded, head))
      return broken;
    const uint64_t length = head >> 1;
    if (length == 0 || length > end - all.size())
      return broken;
    if (head & 1) {
      uint64_t distance = 0;
      if (!get_varint(encoded, distance) || distance == 0 || distance > all.size())
        return broken;
      // Byte by byte: a copy may overlap what it writes.
      for (uint64_t i = 0; i < length; ++i)
        all += all[all.size() - distance];
    } else {
      if (encoded.size() < length)
        return broken;
      all.append(encoded.substr(0, length));
      encoded.remove_prefix(length);
    }
  }
  if (!encoded.empty())
    return broken;
  return all.substr(base.size());
}

ProgramParts split_program(std::string_view program) {
  const ProgramParts whole{program, {}};
  if (program.size() < 7 || !program.starts_with("[[") || !program.ends_with("]]"))
    return whole;
  int depth = 0;
  bool in_string = false;
  for (size_t i = 1; i + 1 < program.size(); ++i) {
    const char c = program[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[') {
      ++depth;
    } else if (c == ']' && --depth == 0) {
      // `[A` ends here; what is left must be `,[B]]`.
      if (!program.substr(i + 1).starts_with(",["))
        return whole;
      return {program.substr(1, i), program.substr(i + 2, program.size() - i - 3)};
    }
  }
  return whole;
}

std::string join_program(std::string_view skeleton, std::string_view decisions) {
  if (decisions.empty())
    return std::string(skeleton);
  std::string program = "[";
  program += skeleton;
  program += ',';
  program += decisions;
  program += ']';
  return program;
}

} // namespace temper::database::detail
