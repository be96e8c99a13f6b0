/// Small helpers for messages: the nearest known name, joining, reading and writing whole files.
#pragma once

#include "ir/support/result.h"

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace temper {

/// Levenshtein distance in characters.
int edit_distance(std::string_view a, std::string_view b);
/// The candidate nearest to `name` when it is near enough to be meant; empty otherwise.
std::string nearest_name(std::string_view name, std::span<const std::string> candidates);
std::string join(std::span<const std::string> parts, std::string_view separator);
std::vector<std::string> split_text(std::string_view text, char separator);
std::string_view trim(std::string_view text);
/// Line breaks for blanks, so that lines have at most `width` characters where words allow it.
std::string wrap_words(std::string_view text, size_t width);

/// A word as a shell takes it: in quotes where it needs them.
std::string shell_quoted(std::string_view word);

/// The whole file, or one sentence that names it and the reason.
Result<std::string> read_file(const std::filesystem::path& path);
/// Writes to a temporary file beside it, flushes and renames: readers see old or new, never half.
Result<void> write_file(const std::filesystem::path& path, std::string_view content);

} // namespace temper
