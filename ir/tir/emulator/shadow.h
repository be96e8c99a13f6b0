/// What the emulator knows about memory besides its bytes: who wrote and read each cell last, and
/// whether that is ordered before the next access. Private to the emulator.
#pragma once

#include "ir/node.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace temper::tir::emulator {

using namespace temper::ir; // NOLINT

/// For each component (a warp, a queue of asynchronous operations, an mbarrier's transactions): up
/// to which of its steps everything is known to have happened.
class Clock {
public:
  uint32_t at(size_t component) const {
    return component < values_.size() ? values_[component] : 0;
  }
  void set(size_t component, uint32_t value) {
    if (component >= values_.size())
      values_.resize(component + 1);
    values_[component] = value;
  }
  void join(const Clock& other) {
    if (other.values_.size() > values_.size())
      values_.resize(other.values_.size());
    for (size_t i = 0; i < other.values_.size(); ++i)
      values_[i] = std::max(values_[i], other.values_[i]);
  }

private:
  std::vector<uint32_t> values_;
};

inline constexpr int16_t kNobody = -1;
inline constexpr int16_t kManyLanes = 255;

/// Who accesses: the component that the access counts for, and what it knows.
struct Actor {
  int16_t component = 0;
  uint32_t step = 0;            ///< of the component
  const Clock* knows = nullptr; ///< of the warp that issues it
  /// What of that a fence of the asynchronous proxy stands behind.
  const Clock* fenced = nullptr;
  int16_t warp = 0;
  int16_t lane = 0;
  uint32_t sync = 0;         ///< how often the warp's lanes met
  bool asynchronous = false; ///< through the asynchronous proxy (TMA, wgmma)
  bool atomic = false;
  int64_t block = 0;
  uint64_t statement = 0; ///< one execution of one statement by a warp
  const Node* where = nullptr;
};

/// One unit of memory.
struct Cell {
  int16_t writer = kNobody; ///< component
  int16_t write_lane = 0;
  int16_t write_warp = 0;
  int16_t reader = kNobody;
  int16_t read_lane = 0;
  bool written = false;
  bool atomic = false;
  bool generic = false; ///< written by ordinary stores
  uint32_t write_step = 0;
  uint32_t write_sync = 0;
  uint32_t read_step = 0;
  uint32_t read_sync = 0;
  int32_t more_readers = -1; ///< index of a list in Shadow
  int32_t buffer = -1;       ///< through which it was written last
  int64_t block = -1;        ///< of the last access, for global memory
  uint64_t write_statement = 0;
  const Node* write_where = nullptr;
  const Node* read_where = nullptr;
};

/// A defect, before it has its place's text.
struct Conflict {
  enum class Kind : uint8_t {
    kNone,
    kUnwritten,   ///< read of what was never written
    kOverwritten, ///< read of what was written through another buffer
    kReadAfterWrite,
    kWriteAfterWrite,
    kWriteAfterRead,
    kLanes,           ///< one of the three above, between lanes of one warp
    kBlocks,          ///< one of the three above, between blocks
    kUnfenced,        ///< asynchronous read of ordinary stores
    kDifferentValues, ///< two lanes write different values in one step
  } kind = Kind::kNone;
  const Node* other = nullptr; ///< the earlier access
  int other_warp = 0;
  int other_lane = 0;
  bool other_is_write = true;
  bool other_asynchronous = false;
  explicit operator bool() const { return kind != Kind::kNone; }
};

/// Cells are made where they are first asked for: of a large array a kernel's block touches little.
class Shadow {
public:
  void resize(size_t cells) {
    size_ = cells;
    pages_.clear();
    pages_.resize((cells + kPage - 1) / kPage);
  }
  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }
  Cell& operator[](size_t i) {
    std::vector<Cell>& page = pages_[i / kPage];
    if (page.empty())
      page.assign(kPage, fresh_);
    return page[i % kPage];
  }
  void reset() {
    for (std::vector<Cell>& page : pages_)
      std::fill(page.begin(), page.end(), fresh_);
    more_.clear();
  }
  /// Everything counts as written by nobody (input arguments). Called before any access.
  void initialise() { fresh_.written = true; }
  /// Everything that was written is there for all from now on.
  void settle() {
    each_touched([](size_t, Cell& cell) {
      const bool written = cell.written;
      cell = Cell();
      cell.written = written;
    });
    more_.clear();
  }
  /// f(number, cell) of those that may have been accessed, in order.
  template <typename F> void each_touched(F&& f) {
    for (size_t p = 0; p < pages_.size(); ++p)
      for (size_t i = 0; i < pages_[p].size() && p * kPage + i < size_; ++i)
        f(p * kPage + i, pages_[p][i]);
  }

  /// Checks the access and notes it. `warps` components are warps; the others asynchronous.
  Conflict read(size_t cell, const Actor& actor, int buffer, int warps);
  /// `same_value`: the write does not change the bytes.
  Conflict write(size_t cell, const Actor& actor, int buffer, int warps, bool same_value);

private:
  struct Reader {
    int16_t component;
    int16_t lane;
    uint32_t step;
    const Node* where;
  };

  static Conflict conflict(Conflict::Kind kind, const Cell& cell, const Actor& actor, int warps,
                           bool with_write);

  static constexpr size_t kPage = 1024;
  size_t size_ = 0;
  Cell fresh_;
  std::vector<std::vector<Cell>> pages_;
  std::vector<std::vector<Reader>> more_;
};

} // namespace temper::tir::emulator
