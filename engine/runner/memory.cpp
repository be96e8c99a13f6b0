#include "engine/runner/memory.h"

#include "codegen/artifact.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace temper::engine {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

size_t page_size() { return static_cast<size_t>(::sysconf(_SC_PAGESIZE)); }

size_t round_up(size_t value, size_t unit) { return (value + unit - 1) / unit * unit; }

Error no_memory(int64_t bytes) {
  return Error(ErrorCode::kEnvironment,
               fmt::format("cannot get {} bytes for an argument: {}", bytes, std::strerror(errno)));
}

} // namespace

Result<GuardedBuffer> GuardedBuffer::reserve(int64_t bytes, Place place, size_t alignment) {
  GuardedBuffer buffer;
  buffer.size_ = static_cast<size_t>(std::max<int64_t>(bytes, 0));
  buffer.page_bytes_ = round_up(std::max<size_t>(buffer.size_, 1), page_size());
  buffer.reservation_bytes_ = buffer.page_bytes_ + 2 * kGuardBytes + alignment;
  void* reserved = ::mmap(nullptr, buffer.reservation_bytes_, PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED)
    return no_memory(bytes);
  buffer.reservation_ = static_cast<std::byte*>(reserved);
  const auto address = reinterpret_cast<uintptr_t>(buffer.reservation_) + kGuardBytes;
  buffer.pages_ = buffer.reservation_ + kGuardBytes + (round_up(address, alignment) - address);
  buffer.data_ = buffer.pages_;
  if (place == Place::kAtEnd)
    buffer.data_ += buffer.page_bytes_ - round_up(buffer.size_, codegen::kArgumentAlignment);
  return buffer;
}

Result<GuardedBuffer> GuardedBuffer::allocate_shared(int64_t bytes, Place place) {
  TEMPER_TRY(buffer, reserve(bytes, place, page_size()));
  TEMPER_TRY(file, make_memory_file("temper-argument"));
  buffer.file_ = std::move(file);
  if (::ftruncate(buffer.file_.get(), static_cast<off_t>(buffer.page_bytes_)) != 0 ||
      ::mmap(buffer.pages_, buffer.page_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
             buffer.file_.get(), 0) == MAP_FAILED)
    return no_memory(bytes);
  // Fails here, in words, where writing to it would be a SIGBUS.
  if (::posix_fallocate(buffer.file_.get(), 0, static_cast<off_t>(buffer.page_bytes_)) != 0) {
    errno = ENOMEM;
    return no_memory(bytes);
  }
  return std::move(buffer);
}

Result<GuardedBuffer> GuardedBuffer::allocate_private(int64_t bytes, Place place) {
  TEMPER_TRY(buffer, reserve(bytes, place, kHugePage));
  if (::mmap(buffer.pages_, buffer.page_bytes_, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
    return no_memory(bytes);
  ::madvise(buffer.pages_, buffer.page_bytes_, MADV_HUGEPAGE); // a wish
  return std::move(buffer);
}

GuardedBuffer& GuardedBuffer::operator=(GuardedBuffer&& other) noexcept {
  if (this != &other) {
    release();
    file_ = std::move(other.file_);
    reservation_ = std::exchange(other.reservation_, nullptr);
    reservation_bytes_ = std::exchange(other.reservation_bytes_, 0);
    pages_ = std::exchange(other.pages_, nullptr);
    page_bytes_ = std::exchange(other.page_bytes_, 0);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

void GuardedBuffer::release() {
  if (reservation_)
    ::munmap(reservation_, reservation_bytes_);
  reservation_ = nullptr;
}

bool GuardedBuffer::remap_in_child(bool writable) const {
  if (writable)
    return ::mmap(pages_, page_bytes_, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_FIXED | MAP_POPULATE, file_.get(), 0) != MAP_FAILED;
  // A mapping of a file that is open for reading only can never become writable.
  char path[64];
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", file_.get());
  const int readable = ::open(path, O_RDONLY | O_CLOEXEC);
  if (readable < 0)
    return false;
  const bool done = ::mmap(pages_, page_bytes_, PROT_READ, MAP_SHARED | MAP_FIXED | MAP_POPULATE,
                           readable, 0) != MAP_FAILED;
  ::close(readable);
  return done;
}

bool GuardedBuffer::protect() const { return ::mprotect(pages_, page_bytes_, PROT_READ) == 0; }

Result<UnforkedMemory> UnforkedMemory::allocate(size_t bytes) {
  UnforkedMemory memory;
  memory.mapped_ = round_up(std::max<size_t>(bytes, 1), page_size());
  void* mapped =
      ::mmap(nullptr, memory.mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED)
    return no_memory(static_cast<int64_t>(bytes));
  memory.data_ = static_cast<std::byte*>(mapped);
  memory.size_ = bytes;
  ::madvise(mapped, memory.mapped_, MADV_HUGEPAGE);
  if (::madvise(mapped, memory.mapped_, MADV_DONTFORK) != 0)
    return Error(ErrorCode::kEnvironment,
                 "cannot keep the reference results away from forked processes (MADV_DONTFORK)");
  return memory;
}

UnforkedMemory::~UnforkedMemory() {
  if (data_)
    ::munmap(data_, mapped_);
}

} // namespace temper::engine
