/// Layouts: where the elements of a tensor lie, in memory and among threads, as values.
///
///   T.Layout((64, 64), [(64, 64), (64, 1)], swizzle=(3, 3, 3))        a shared buffer, 128-byte
///   XOR T.Fragment((16, 8), [(2, 2), (8, 4, "lane"), (4, 1, "lane"), (2, 1)])     mma's
///   accumulator
///
/// A layout is a map from a coordinate of `shape` to one value per axis. The coordinate is cut,
/// row-major and dimension by dimension, into digits; each digit adds its value times its stride to
/// its axis. Axis "m" is memory: elements from the start of the buffer, or the number of a register
/// where there are thread axes. The others name threads: "lane", "warp", "warpgroup", "thread",
/// "cta", or what a back end calls its own.
///
/// An element may be held several times: each replica digit adds all its multiples, so that the map
/// is to a set. An XOR swizzle permutes what comes out on "m" (`swizzle`) or the row-major number
/// of the coordinate (`input_swizzle`, which inverses of swizzled layouts have): it is its own
/// inverse, so layouts are closed under inversion.
///
/// Everything here is about constant shapes. Extents and strides need not be powers of two.
#pragma once

#include "ir/expr.h"
#include "ir/node.h"
#include "ir/support/function_ref.h"
#include "ir/support/result.h"

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace temper::tir {

using namespace temper::ir; // NOLINT: tir is ir plus statements

inline constexpr const char* kMemoryAxis = "m";
inline constexpr const char* kLaneAxis = "lane";
inline constexpr const char* kWarpAxis = "warp";
inline constexpr const char* kWarpgroupAxis = "warpgroup";
inline constexpr const char* kThreadAxis = "thread";

/// `extent` values that add 0, stride, 2 * stride, ... to `axis`.
struct LayoutDigit {
  int64_t extent = 1;
  int64_t stride = 0;
  std::string axis = kMemoryAxis;
  static constexpr auto fields() {
    return std::tuple{data("extent", &LayoutDigit::extent), data("stride", &LayoutDigit::stride),
                      data("axis", &LayoutDigit::axis)};
  }
  bool operator==(const LayoutDigit&) const = default;
};

struct LayoutOffset {
  int64_t value = 0;
  std::string axis = kMemoryAxis;
  static constexpr auto fields() {
    return std::tuple{data("value", &LayoutOffset::value), data("axis", &LayoutOffset::axis)};
  }
  bool operator==(const LayoutOffset&) const = default;
};

/// x ^ (field of `bits` bits at base + shift, moved down to base). bits = 0: the identity.
struct XorSwizzle {
  int64_t bits = 0;
  int64_t base = 0;
  int64_t shift = 0; ///< at least `bits` in absolute value, so that it is its own inverse
  static constexpr auto fields() {
    return std::tuple{data("bits", &XorSwizzle::bits), data("base", &XorSwizzle::base),
                      data("shift", &XorSwizzle::shift)};
  }
  bool operator==(const XorSwizzle&) const = default;
  bool empty() const { return bits == 0; }
  int64_t apply(int64_t x) const {
    const int64_t mask = (int64_t{1} << bits) - 1;
    return x ^ (((x >> (base + shift)) & mask) << base);
  }
  /// It permutes within aligned runs of this many; adding multiples of it commutes with it.
  int64_t period() const {
    return empty() ? 1 : int64_t{1} << (std::max(base, base + shift) + bits);
  }
};

struct Layout {
  std::vector<int64_t> shape;
  /// Row-major digits of the coordinate; the extents of each dimension's digits multiply to it.
  std::vector<LayoutDigit> digits;
  std::vector<LayoutDigit> replicas;
  std::vector<LayoutOffset> offsets; ///< at most one per axis
  XorSwizzle swizzle;
  XorSwizzle input_swizzle;

  static constexpr auto fields() {
    return std::tuple{
        data("shape", &Layout::shape),       data("digits", &Layout::digits),
        data("replicas", &Layout::replicas), data("offsets", &Layout::offsets),
        data("swizzle", &Layout::swizzle),   data("input_swizzle", &Layout::input_swizzle)};
  }
  bool operator==(const Layout&) const = default;

  int rank() const { return static_cast<int>(shape.size()); }
  /// Elements of the shape.
  int64_t size() const;
  bool has_axis(std::string_view axis) const;
  /// Axes that digits, replicas or offsets mention; "m" last (and always there).
  std::vector<std::string> axes() const;
  /// True when some axis is not memory.
  bool is_fragment() const;
  /// One more than the largest value on the axis (elements of memory, number of lanes needed). A
  /// swizzle may reach every element of its period.
  int64_t span(std::string_view axis) const;
  /// How often each element is held.
  int64_t replication() const;
};

// Making layouts.

/// Checks the rules of the struct: positive extents, strides of at least 0, digits that multiply to
/// the dimensions, one offset per axis, swizzles that are their own inverse.
Result<void> verify_layout(const Layout& layout);
/// The verified layout.
Result<Layout> make_layout(std::vector<int64_t> shape, std::vector<LayoutDigit> digits,
                           std::vector<LayoutDigit> replicas = {}, XorSwizzle swizzle = {});
Layout row_major(std::vector<int64_t> shape);
Layout column_major(std::vector<int64_t> shape);
Layout strided(std::vector<int64_t> shape, const std::vector<int64_t>& strides);
/// The layout that `map` describes: it gets a coordinate and adds to one value per axis (in the
/// order of `axes`, zero before). Fails when no shape-stride layout with at most one swizzle does
/// that. Calls `map` once for each element.
Result<Layout> layout_of_map(
    std::vector<int64_t> shape, const std::vector<std::string>& axes,
    FunctionRef<void(std::span<const int64_t> coordinate, std::span<int64_t> values)> map);

// Evaluating.

/// A layout made ready for many evaluations.
class LayoutMap {
public:
  explicit LayoutMap(const Layout& layout);
  /// Axes in the order of the values; "m" last.
  const std::vector<std::string>& axes() const { return axes_; }
  /// Index of the axis in a place; -1 when the layout has none of that name.
  int find(std::string_view axis) const;
  int64_t size() const { return size_; }
  /// Where replica `replica` of the element with row-major number `index` is, one value per axis.
  void place(int64_t index, std::span<int64_t> values, int64_t replica = 0) const;
  /// The value on "m" alone.
  int64_t offset(int64_t index) const;
  int64_t replication() const { return replication_; }

private:
  struct Digit {
    int64_t extent;
    int64_t stride;
    int axis;
  };
  std::vector<std::string> axes_;
  std::vector<Digit> digits_; ///< innermost first
  std::vector<Digit> replicas_;
  std::vector<int64_t> offsets_;
  XorSwizzle swizzle_;
  XorSwizzle input_swizzle_;
  int64_t size_ = 0;
  int64_t replication_ = 1;
};

/// Row-major number of a coordinate, and back.
int64_t number_of(std::span<const int64_t> shape, std::span<const int64_t> coordinate);
std::vector<int64_t> coordinate_of(std::span<const int64_t> shape, int64_t number);
/// Memory offset of a coordinate, in elements.
int64_t offset_of(const Layout& layout, std::span<const int64_t> coordinate);

/// No two elements share a place.
bool is_injective(const Layout& layout);
/// Injective, and every place within the spans of the axes is taken.
bool is_bijective(const Layout& layout);
/// The same map (and the same shape), however it is written down.
bool equivalent(const Layout& a, const Layout& b);

// Algebra. Every function says what map the result is; those that return a Result fail, with a
// sentence, where that map is no layout.

/// The same map with as few digits as possible: equivalent layouts without swizzles become equal.
Layout canonical(const Layout& layout);
/// x -> outer(inner(x)): inner's memory offset is outer's row-major number. Thread axes of both
/// remain.
Result<Layout> compose(const Layout& outer, const Layout& inner);
/// From places to row-major numbers: shape = spans of `axes` (all of the layout's, in this order;
/// empty: thread axes as named, then "m"), value on "m" = number of the element. Replicas give the
/// number of the one element they hold. Fails when some place within the spans is not taken.
Result<Layout> inverse(const Layout& layout, std::vector<std::string> axes = {});
/// `outer` copies of `atom` side by side, dimension by dimension: shape = outer.shape * atom.shape,
/// an element at (o * atom.shape + a) is at outer(o) * span(atom) + atom(a) on each axis. A swizzle
/// of the atom stays; outer may have none.
Result<Layout> tile(const Layout& atom, const Layout& outer);
/// tile() by a row-major grid of registers (on "m"): the usual growth of a fragment in one warp.
Result<Layout> repeat(const Layout& atom, const std::vector<int64_t>& counts);
/// Every element held `count` times, along `axis`, one span apart.
Layout replicate(const Layout& layout, const std::string& axis, int64_t count);
/// Dimension d of the result is dimension order[d] of the layout.
Result<Layout> permute(const Layout& layout, const std::vector<int>& order);
/// The same row-major numbers under another shape. Fails when a digit straddles two dimensions.
Result<Layout> reshape(const Layout& layout, std::vector<int64_t> shape);
/// What a reduction over dimension `dim` leaves: thread digits of that dimension become replicas
/// (all threads hold the result), its memory digits go away and the others close up.
Result<Layout> reduced(const Layout& layout, int dim);
/// Adds a dimension of `extent` before `dim` whose elements all lie in the same place.
Result<Layout> broadcast(const Layout& layout, int dim, int64_t extent);
/// lane, warp and warpgroup as one axis "thread": lane + wave * (warp + 4 * warpgroup).
Layout flatten_threads(const Layout& layout, int wave = 32);
/// "thread" as "lane" and "warp". Fails when a digit straddles two waves unevenly.
Result<Layout> split_threads(const Layout& layout, int wave = 32);

/// How many elements along the last dimension, from each multiple of that number, lie side by side
/// in memory, on the same threads: the widest vector access.
int64_t vector_width(const Layout& layout);

// Text and expressions.

/// As the text at the head of this file.
std::string to_text(const Layout& layout);
/// The text of to_text(), T.Layout or T.Fragment, with or without the "T.".
Result<Layout> parse_layout(std::string_view text);
/// As a value in annotations: the operation "Layout".
Expr to_expr(const Layout& layout);
bool is_layout(const Expr& expr);
Result<Layout> layout_of(const Expr& expr);

} // namespace temper::tir
