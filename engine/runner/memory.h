/// Memory of the runner: arguments in shared memory between guard pages, and references that no
/// child can see.
#pragma once

#include "engine/wire.h"
#include "ir/support/result.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace temper::engine {

/// Address space between two stretches that fault on any access. The bytes lie at the end of their
/// pages or at the start, so that a step past the end, or before the start, faults at once. When
/// the size is a multiple of a page both do.
class GuardedBuffer {
public:
  enum class Place : uint8_t { kAtEnd, kAtStart };
  static constexpr size_t kGuardBytes = size_t{1} << 20;

  /// Memory that a forked child shares.
  static Result<GuardedBuffer> allocate_shared(int64_t bytes, Place place);
  /// Memory of this process alone, in huge pages where the system gives them on request.
  static Result<GuardedBuffer> allocate_private(int64_t bytes, Place place);

  GuardedBuffer() = default;
  GuardedBuffer(GuardedBuffer&& other) noexcept { *this = std::move(other); }
  GuardedBuffer& operator=(GuardedBuffer&& other) noexcept;
  ~GuardedBuffer() { release(); }

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  std::span<std::byte> bytes() const { return {data_, size_}; }
  /// The rest of its pages, before and after; at most a page each.
  std::span<std::byte> slack_before() const {
    return {pages_, static_cast<size_t>(data_ - pages_)};
  }
  std::span<std::byte> slack_after() const {
    return {data_ + size_, page_bytes_ - static_cast<size_t>(data_ - pages_) - size_};
  }

  /// Maps it again at the same address, populated, in this (forked) process; with
  /// `writable` false in a way that mprotect cannot undo. False when the system refuses.
  bool remap_in_child(bool writable) const;
  /// For private memory: no more writing.
  bool protect() const;

private:
  static Result<GuardedBuffer> reserve(int64_t bytes, Place place, size_t alignment);
  void release();

  FileDescriptor file_;
  std::byte* reservation_ = nullptr;
  size_t reservation_bytes_ = 0;
  std::byte* pages_ = nullptr;
  size_t page_bytes_ = 0;
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

/// Memory that a fork does not hand on.
class UnforkedMemory {
public:
  static Result<UnforkedMemory> allocate(size_t bytes);

  UnforkedMemory() = default;
  UnforkedMemory(UnforkedMemory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)),
        mapped_(std::exchange(other.mapped_, 0)) {}
  UnforkedMemory& operator=(UnforkedMemory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(mapped_, other.mapped_);
    return *this;
  }
  ~UnforkedMemory();

  std::span<std::byte> bytes() const { return {data_, size_}; }
  bool empty() const { return size_ == 0; }

private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
  size_t mapped_ = 0;
};

} // namespace temper::engine
