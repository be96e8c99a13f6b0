#include "engine/wire.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace temper::engine {
namespace {

struct Header {
  uint32_t magic;
  uint32_t kind;
  uint64_t size;
  uint32_t descriptor_count;
  uint32_t reserved;
};

constexpr uint32_t kMagic = 0x74706d66; // "fmpt"
constexpr size_t kMaxDescriptors = 32;

Error system_error(const char* what) {
  return Error(ErrorCode::kEnvironment, fmt::format("{} failed: {}", what, std::strerror(errno)));
}

/// Length of the UTF-8 sequence at `at`, 0 when there is none.
size_t utf8_length(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const unsigned first = byte(at);
  if (first < 0x80)
    return 1;
  const size_t length = first >= 0xf0 && first <= 0xf4  ? 4
                        : first >= 0xe0 && first < 0xf0 ? 3
                        : first >= 0xc2 && first < 0xe0 ? 2
                                                        : 0;
  for (size_t i = 1; i < length; ++i)
    if ((byte(at + i) & 0xc0) != 0x80)
      return 0;
  const unsigned second = byte(at + 1);
  if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second >= 0xa0) ||
      (first == 0xf0 && second < 0x90) || (first == 0xf4 && second >= 0x90))
    return 0;
  return length;
}

} // namespace

std::string printable(std::string_view bytes) {
  std::string text;
  for (size_t at = 0; at < bytes.size();) {
    const size_t length = utf8_length(bytes, at);
    const bool control = length == 1 &&
                         (static_cast<unsigned char>(bytes[at]) < 0x20 || bytes[at] == 0x7f) &&
                         bytes[at] != '\n' && bytes[at] != '\t';
    if (length == 0 || control)
      text += '?';
    else
      text += bytes.substr(at, length);
    at += std::max<size_t>(length, 1);
  }
  return text;
}

void FileDescriptor::reset() {
  if (fd_ >= 0)
    ::close(std::exchange(fd_, -1));
}

Result<std::array<FileDescriptor, 2>> make_socket_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return system_error("socketpair");
  return std::array{FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

Result<void> send_frame(int socket, uint32_t kind, std::string_view payload,
                        std::span<const int> descriptors) {
  TEMPER_CHECK(descriptors.size() <= kMaxDescriptors, "too many descriptors for one frame");
  Header header{kMagic, kind, payload.size(), static_cast<uint32_t>(descriptors.size()), 0};
  size_t sent = 0;
  const size_t total = sizeof header + payload.size();
  while (sent < total) {
    iovec parts[2];
    int part_count = 0;
    if (sent < sizeof header)
      parts[part_count++] = {reinterpret_cast<char*>(&header) + sent, sizeof header - sent};
    const size_t payload_sent = sent < sizeof header ? 0 : sent - sizeof header;
    if (payload_sent < payload.size())
      parts[part_count++] = {const_cast<char*>(payload.data()) + payload_sent,
                             payload.size() - payload_sent};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = static_cast<size_t>(part_count);
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxDescriptors)];
    if (sent == 0 && !descriptors.empty()) {
      std::memset(control, 0, sizeof control);
      message.msg_control = control;
      message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
      cmsghdr* rights = CMSG_FIRSTHDR(&message);
      rights->cmsg_level = SOL_SOCKET;
      rights->cmsg_type = SCM_RIGHTS;
      rights->cmsg_len = CMSG_LEN(descriptors.size_bytes());
      std::memcpy(CMSG_DATA(rights), descriptors.data(), descriptors.size_bytes());
    }
    const ssize_t count = ::sendmsg(socket, &message, MSG_NOSIGNAL);
    if (count >= 0) {
      sent += static_cast<size_t>(count);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      pollfd writable{socket, POLLOUT, 0};
      ::poll(&writable, 1, 1000);
    } else if (errno == EPIPE || errno == ECONNRESET) {
      return Error(ErrorCode::kInterrupted, "the other process has closed its socket");
    } else if (errno != EINTR) {
      return system_error("sendmsg");
    }
  }
  return {};
}

std::optional<Frame> FrameReader::take() {
  Header header;
  if (buffer_.size() < sizeof header)
    return std::nullopt;
  std::memcpy(&header, buffer_.data(), sizeof header);
  if (header.magic != kMagic || header.descriptor_count > kMaxDescriptors) {
    corrupt_ = true;
    return std::nullopt;
  }
  if (buffer_.size() < sizeof header + header.size)
    return std::nullopt;
  if (descriptors_.size() < header.descriptor_count) {
    corrupt_ = true;
    return std::nullopt;
  }
  Frame frame;
  frame.kind = header.kind;
  if (buffer_.size() == sizeof header + header.size) { // the usual case: no copy of what follows
    buffer_.erase(0, sizeof header);
    frame.payload = std::move(buffer_);
    buffer_.clear();
  } else {
    frame.payload = buffer_.substr(sizeof header, header.size);
    buffer_.erase(0, sizeof header + header.size);
  }
  for (uint32_t i = 0; i < header.descriptor_count; ++i) {
    frame.descriptors.push_back(std::move(descriptors_.front()));
    descriptors_.pop_front();
  }
  return frame;
}

Result<std::optional<Frame>> FrameReader::try_read() {
  while (true) {
    if (std::optional<Frame> frame = take())
      return frame;
    if (corrupt_)
      return Error(ErrorCode::kCorrupt, "the other process sent bytes that are no frame");
    const size_t before = buffer_.size();
    size_t want = 65536;
    if (before >= sizeof(Header)) { // the rest of a long frame in one go
      Header header;
      std::memcpy(&header, buffer_.data(), sizeof header);
      want =
          std::max<size_t>(want, std::min<size_t>(sizeof header + header.size - before, 1 << 24));
    }
    buffer_.resize(before + want);
    iovec part{buffer_.data() + before, want};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxDescriptors)];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t count = ::recvmsg(socket_, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    buffer_.resize(before + static_cast<size_t>(std::max<ssize_t>(count, 0)));
    if (count < 0) {
      if (errno == EINTR)
        continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK)
        return std::optional<Frame>();
      if (errno == ECONNRESET)
        return Error(ErrorCode::kInterrupted, "the other process has closed its socket");
      return system_error("recvmsg");
    }
    for (cmsghdr* rights = CMSG_FIRSTHDR(&message); rights;
         rights = CMSG_NXTHDR(&message, rights)) {
      if (rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS)
        continue;
      const size_t received = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (size_t i = 0; i < received; ++i) {
        int fd;
        std::memcpy(&fd, CMSG_DATA(rights) + i * sizeof(int), sizeof fd);
        descriptors_.emplace_back(fd);
      }
    }
    if (count == 0)
      return Error(ErrorCode::kInterrupted, "the other process has closed its socket");
  }
}

Result<Frame> FrameReader::read() {
  while (true) {
    TEMPER_TRY(frame, try_read());
    if (frame)
      return std::move(*frame);
    pollfd readable{socket_, POLLIN, 0};
    ::poll(&readable, 1, -1);
  }
}

Result<FileDescriptor> make_memory_file(const char* name, std::string_view bytes) {
  FileDescriptor file(::memfd_create(name, MFD_CLOEXEC));
  if (!file)
    return system_error("memfd_create");
  for (size_t written = 0; written < bytes.size();) {
    const ssize_t count = ::write(file.get(), bytes.data() + written, bytes.size() - written);
    if (count < 0 && errno != EINTR)
      return system_error("writing to a memory file");
    written += static_cast<size_t>(std::max<ssize_t>(count, 0));
  }
  return file;
}

std::string read_tail(int fd, size_t limit) {
  struct stat status {};
  if (fd < 0 || ::fstat(fd, &status) != 0)
    return {};
  const auto size = static_cast<size_t>(status.st_size);
  const size_t begin = size > limit ? size - limit : 0;
  std::string text(size - begin, '\0');
  const ssize_t count = ::pread(fd, text.data(), text.size(), static_cast<off_t>(begin));
  text.resize(static_cast<size_t>(std::max<ssize_t>(count, 0)));
  if (begin > 0)
    if (const size_t line = text.find('\n'); line != std::string::npos && line + 1 < text.size())
      text.erase(0, line + 1);
  return printable(text);
}

Result<std::string> read_memory_file(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0)
    return system_error("fstat");
  std::string bytes(static_cast<size_t>(status.st_size), '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count =
        ::pread(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (count < 0 && errno != EINTR)
      return system_error("reading a memory file");
    if (count == 0)
      return Error(ErrorCode::kCorrupt, "a memory file is shorter than its size says");
    done += static_cast<size_t>(std::max<ssize_t>(count, 0));
  }
  return bytes;
}

} // namespace temper::engine
