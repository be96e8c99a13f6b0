#include "ir/support/text.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <numeric>
#include <sys/stat.h>
#include <unistd.h>

namespace temper {

int edit_distance(std::string_view a, std::string_view b) {
  std::vector<int> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    int diagonal = row[0];
    row[0] = static_cast<int>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const int replace = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replace});
    }
  }
  return row.back();
}

std::string nearest_name(std::string_view name, std::span<const std::string> candidates) {
  std::string best;
  int best_distance = std::max<int>(1, static_cast<int>(name.size()) / 3) + 1;
  for (const std::string& candidate : candidates) {
    const int distance = edit_distance(name, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string join(std::span<const std::string> parts, std::string_view separator) {
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0)
      text += separator;
    text += parts[i];
  }
  return text;
}

std::vector<std::string> split_text(std::string_view text, char separator) {
  std::vector<std::string> parts;
  size_t start = 0;
  while (true) {
    const size_t end = text.find(separator, start);
    parts.emplace_back(text.substr(start, end - start));
    if (end == std::string_view::npos)
      return parts;
    start = end + 1;
  }
}

std::string_view trim(std::string_view text) {
  static constexpr std::string_view kSpace = " \t\r\n";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos)
    return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

namespace {

Error io_error(const char* what, const std::filesystem::path& path, int error) {
  const ErrorCode code = error == ENOENT ? ErrorCode::kNotFound : ErrorCode::kEnvironment;
  return {code,
          std::string("cannot ") + what + " '" + path.string() + "': " + std::strerror(error)};
}

/// Closes on scope exit; -1 is nothing.
struct FileDescriptor {
  int fd;
  ~FileDescriptor() {
    if (fd >= 0)
      ::close(fd);
  }
};

} // namespace

std::string wrap_words(std::string_view text, size_t width) {
  std::string wrapped(text);
  size_t line = 0;
  size_t blank = std::string::npos; // the last one of this line
  for (size_t at = 0; at < wrapped.size(); ++at) {
    if (wrapped[at] == '\n') {
      line = at + 1;
      blank = std::string::npos;
    } else if (wrapped[at] == ' ') {
      blank = at;
    }
    if (at - line >= width && at >= line && blank != std::string::npos) {
      wrapped[blank] = '\n';
      line = blank + 1;
      blank = std::string::npos;
    }
  }
  return wrapped;
}

std::string shell_quoted(std::string_view word) {
  if (!word.empty() && word.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                              "0123456789_-+=./:,%@") == std::string_view::npos)
    return std::string(word);
  std::string text = "'";
  for (const char c : word)
    text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

Result<std::string> read_file(const std::filesystem::path& path) {
  FileDescriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0)
    return io_error("read", path, errno);
  std::string content;
  char block[1 << 16];
  while (true) {
    const ssize_t count = ::read(file.fd, block, sizeof block);
    if (count == 0)
      return content;
    if (count < 0) {
      if (errno == EINTR)
        continue;
      return io_error("read", path, errno);
    }
    content.append(block, static_cast<size_t>(count));
  }
}

Result<void> write_file(const std::filesystem::path& path, std::string_view content) {
  std::string temporary = path.string() + ".XXXXXX";
  FileDescriptor file{::mkostemp(temporary.data(), O_CLOEXEC)};
  if (file.fd < 0)
    return io_error("write", path, errno);
  while (!content.empty()) {
    const ssize_t count = ::write(file.fd, content.data(), content.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0) {
      const int error = errno;
      ::unlink(temporary.c_str());
      return io_error("write", path, error);
    }
    content.remove_prefix(static_cast<size_t>(count));
  }
  ::fchmod(file.fd, 0644);
  if (::fsync(file.fd) != 0 || ::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    return io_error("write", path, error);
  }
  return {};
}

} // namespace temper
