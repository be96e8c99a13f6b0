/// A vector whose first N elements live inside it: for the short lists of hot paths (terms of an
/// index expression, axes of a block), which must not allocate.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <utility>

namespace temper {

template <typename T, size_t N> class SmallVector {
public:
  SmallVector() : data_(inline_data()) {}
  SmallVector(const SmallVector& other) : SmallVector() { append(other); }
  SmallVector(SmallVector&& other) noexcept : SmallVector() { steal(other); }
  ~SmallVector() {
    clear();
    release();
  }
  SmallVector& operator=(const SmallVector& other) {
    if (this != &other) {
      clear();
      append(other);
    }
    return *this;
  }
  SmallVector& operator=(SmallVector&& other) noexcept {
    if (this != &other) {
      clear();
      release();
      steal(other);
    }
    return *this;
  }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  T& back() { return data_[size_ - 1]; }
  const T& back() const { return data_[size_ - 1]; }

  void push_back(T value) {
    if (size_ == capacity_)
      grow();
    new (data_ + size_) T(std::move(value));
    ++size_;
  }
  void pop_back() { data_[--size_].~T(); }
  /// Keeps the order of the others.
  void erase(size_t index) {
    for (size_t i = index; i + 1 < size_; ++i)
      data_[i] = std::move(data_[i + 1]);
    pop_back();
  }
  void clear() {
    std::destroy(begin(), end());
    size_ = 0;
  }

private:
  T* inline_data() { return std::launder(reinterpret_cast<T*>(storage_)); }
  bool is_inline() const { return capacity_ == N; }
  void append(const SmallVector& other) {
    for (const T& value : other)
      push_back(value);
  }
  /// Takes the other's elements; this one is empty and inline.
  void steal(SmallVector& other) {
    if (other.is_inline()) {
      for (T& value : other)
        push_back(std::move(value));
      other.clear();
      return;
    }
    data_ = std::exchange(other.data_, other.inline_data());
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, N);
  }
  void release() {
    if (!is_inline())
      std::allocator<T>().deallocate(data_, capacity_);
    data_ = inline_data();
    capacity_ = N;
  }
  void grow() {
    const size_t capacity = capacity_ * 2;
    T* data = std::allocator<T>().allocate(capacity);
    for (size_t i = 0; i < size_; ++i)
      new (data + i) T(std::move(data_[i]));
    std::destroy(begin(), end());
    release();
    data_ = data;
    capacity_ = capacity;
  }

  T* data_;
  size_t size_ = 0;
  size_t capacity_ = N;
  alignas(T) std::byte storage_[N * sizeof(T)];
};

} // namespace temper
