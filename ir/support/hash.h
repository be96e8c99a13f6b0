/// Stable 64-bit hashes: equal on every host and in every run, because they name records in the
/// database. Never std::hash for anything that is stored.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace temper {

/// FNV-1a over the bytes, then a finaliser: good enough for names of records.
uint64_t hash_bytes(std::string_view bytes, uint64_t seed = 0xcbf29ce484222325ULL);

/// Mixes one more word into a running hash (splitmix64's finaliser; order matters).
constexpr uint64_t hash_combine(uint64_t seed, uint64_t value) {
  uint64_t z = seed ^ (value + 0x9e3779b97f4a7c15ULL + (seed << 6) + (seed >> 2));
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

/// 16 lower-case hexadecimal digits.
std::string hash_to_hex(uint64_t hash);

} // namespace temper
