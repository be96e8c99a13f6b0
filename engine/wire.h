/// Frames over a Unix stream socket between this program and its helpers (runner, compile
/// workers): a header, a payload of bytes, and file descriptors that ride along. Both ends are the
/// same build on the same host, so numbers travel in the host's order.
#pragma once

#include "ir/support/result.h"

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace temper::engine {

/// Owns a file descriptor.
class FileDescriptor {
public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~FileDescriptor() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void reset();

private:
  int fd_ = -1;
};

struct Frame {
  uint32_t kind = 0;
  std::string payload;
  std::vector<FileDescriptor> descriptors;
};

/// Where a helper program finds its end of the socket.
inline constexpr int kHelperSocket = 3;

/// A connected pair; both ends close on exec.
Result<std::array<FileDescriptor, 2>> make_socket_pair();

/// Sends all of it, waiting while the other side is slow; kInterrupted when the other side is gone.
Result<void> send_frame(int socket, uint32_t kind, std::string_view payload,
                        std::span<const int> descriptors = {});

/// Reads frames as their bytes arrive, never blocking.
class FrameReader {
public:
  explicit FrameReader(int socket) : socket_(socket) {}

  /// The next whole frame; nothing when it is not all here yet; kInterrupted when the other side
  /// has closed, kCorrupt when what came is no frame.
  Result<std::optional<Frame>> try_read();
  /// Waits for the next whole frame.
  Result<Frame> read();

private:
  std::optional<Frame> take();

  int socket_;
  std::string buffer_;
  std::deque<FileDescriptor> descriptors_;
  bool corrupt_ = false;
};

/// An anonymous file in memory holding `bytes`, closed on exec.
Result<FileDescriptor> make_memory_file(const char* name, std::string_view bytes = {});
/// UTF-8 without control characters: what is neither becomes '?'. Helpers and kernels write what
/// they like to stderr; it ends in sentences, in JSON and in the database.
std::string printable(std::string_view bytes);
/// Its last `limit` bytes, from the start of a line where one begins in them, made printable.
std::string read_tail(int fd, size_t limit);
Result<std::string> read_memory_file(int fd);

} // namespace temper::engine
