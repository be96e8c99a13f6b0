// Layouts: making, evaluating and combining them. The algebra works on digits; where a result with
// an XOR swizzle between two layouts is asked for, the map is tabulated and recognised
// (layout_of_map), which finds every representable one.
#include "ir/tir/layout.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <numeric>
#include <unordered_set>

namespace temper::tir {
namespace {

/// Tables larger than this are not made just to recognise a layout.
constexpr int64_t kLargestTable = int64_t{1} << 22;

Error bad(std::string sentence) { return {ErrorCode::kInvalidArgument, std::move(sentence)}; }

int64_t product(std::span<const int64_t> values) {
  return std::accumulate(values.begin(), values.end(), int64_t{1}, std::multiplies<>());
}

/// First digit of each dimension, and one past the last one. Digits of extent 1 may go either way.
Result<std::vector<size_t>> dimension_starts(const Layout& layout) {
  std::vector<size_t> starts{0};
  size_t digit = 0;
  for (int d = 0; d < layout.rank(); ++d) {
    int64_t have = 1;
    while (have < layout.shape[d] && digit < layout.digits.size())
      have *= layout.digits[digit++].extent;
    if (have != layout.shape[d])
      return bad(fmt::format("the digits of dimension {} multiply to {}, its extent is {}; list "
                             "digits whose extents multiply to each extent in turn",
                             d, have, layout.shape[d]));
    if (d + 1 == layout.rank())
      while (digit < layout.digits.size() && layout.digits[digit].extent == 1)
        ++digit;
    starts.push_back(digit);
  }
  if (digit != layout.digits.size())
    return bad(fmt::format("the layout has {} digits more than its shape needs",
                           layout.digits.size() - digit));
  return starts;
}

std::vector<size_t> starts_of(const Layout& layout) {
  auto starts = dimension_starts(layout);
  TEMPER_CHECK(starts.has_value(), "a layout was not verified");
  return *std::move(starts);
}

Result<void> verify_swizzle(const XorSwizzle& swizzle, const char* what) {
  if (swizzle.empty()) {
    if (swizzle.base != 0 || swizzle.shift != 0)
      return bad(fmt::format("the {} of 0 bits has a base or a shift", what));
    return {};
  }
  const int64_t distance = std::abs(swizzle.shift);
  if (swizzle.bits < 0 || swizzle.bits > 16 || swizzle.base < 0 || swizzle.base > 40 ||
      distance > 40 || swizzle.base + swizzle.shift < 0)
    return bad(fmt::format("the {} ({}, {}, {}) does not fit: (bits, base, shift) name bits of an "
                           "element's number",
                           what, swizzle.bits, swizzle.base, swizzle.shift));
  if (distance < swizzle.bits)
    return bad(
        fmt::format("the {} ({}, {}, {}) has fields that overlap; the shift must be at least "
                    "the number of bits",
                    what, swizzle.bits, swizzle.base, swizzle.shift));
  return {};
}

/// XOR stays within aligned runs of this many.
int64_t swizzle_block(const XorSwizzle& swizzle) {
  return swizzle.empty() ? 1 : int64_t{1} << (swizzle.base + swizzle.bits);
}

int64_t round_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// 1 + the largest value on the axis before the swizzle.
int64_t plain_span(const Layout& layout, std::string_view axis) {
  int64_t span = 1;
  for (const auto* list : {&layout.digits, &layout.replicas})
    for (const LayoutDigit& digit : *list)
      if (digit.axis == axis)
        span += (digit.extent - 1) * digit.stride;
  for (const LayoutOffset& offset : layout.offsets)
    if (offset.axis == axis)
      span += offset.value;
  return span;
}

void add_offset(std::vector<LayoutOffset>& offsets, int64_t value, const std::string& axis) {
  if (value == 0)
    return;
  for (LayoutOffset& offset : offsets)
    if (offset.axis == axis) {
      offset.value += value;
      return;
    }
  offsets.push_back({value, axis});
}

/// Merges neighbours where the outer one goes on where the inner one ends.
void merge_into(std::vector<LayoutDigit>& digits, size_t begin, const LayoutDigit& digit) {
  if (digit.extent == 1)
    return;
  if (digits.size() > begin) {
    LayoutDigit& last = digits.back();
    const bool goes_on = last.stride == digit.extent * digit.stride &&
                         (last.axis == digit.axis || digit.stride == 0);
    if (goes_on) {
      last.extent *= digit.extent;
      last.stride = digit.stride;
      return;
    }
  }
  digits.push_back(digit);
}

/// The one-dimensional additive map g (entries[i] = one value per axis), as digits outermost first.
std::optional<std::vector<LayoutDigit>> digits_of_map(std::vector<std::vector<int64_t>> entries,
                                                      const std::vector<std::string>& axes) {
  std::vector<LayoutDigit> digits;
  while (entries.size() > 1) {
    const std::vector<int64_t>& step = entries[1];
    LayoutDigit digit;
    int moving = 0;
    for (size_t a = 0; a < axes.size(); ++a)
      if (step[a] != 0) {
        ++moving;
        digit.stride = step[a];
        digit.axis = axes[a];
      }
    if (moving > 1 || digit.stride < 0)
      return std::nullopt;
    size_t run = 1;
    const auto in_run = [&](size_t i) {
      for (size_t a = 0; a < axes.size(); ++a)
        if (entries[i][a] != static_cast<int64_t>(i) * step[a])
          return false;
      return true;
    };
    while (run < entries.size() && in_run(run))
      ++run;
    if (entries.size() % run != 0)
      return std::nullopt;
    digit.extent = static_cast<int64_t>(run);
    digits.push_back(digit);
    std::vector<std::vector<int64_t>> outer;
    for (size_t i = 0; i < entries.size(); i += run)
      outer.push_back(std::move(entries[i]));
    entries = std::move(outer);
  }
  std::reverse(digits.begin(), digits.end());
  return digits;
}

/// A tabulated map: `values` has axes.size() numbers per element.
struct Table {
  std::vector<int64_t> shape;
  std::vector<std::string> axes;
  std::vector<int64_t> values;
  size_t memory = 0; ///< index of "m" in axes

  int64_t at(int64_t element, size_t axis, const XorSwizzle& swizzle) const {
    const int64_t value = values[static_cast<size_t>(element) * axes.size() + axis];
    return axis == memory ? swizzle.apply(value) : value;
  }
};

/// The layout without a swizzle that gives the table once `swizzle` is undone; with the swizzle.
std::optional<Layout> recognise(const Table& table, const XorSwizzle& swizzle) {
  Layout layout;
  layout.shape = table.shape;
  layout.swizzle = swizzle;
  const int64_t size = product(table.shape);
  const size_t axis_count = table.axes.size();
  std::vector<int64_t> origin(axis_count);
  for (size_t a = 0; a < axis_count; ++a) {
    origin[a] = table.at(0, a, swizzle);
    if (origin[a] < 0)
      return std::nullopt;
    if (origin[a] != 0)
      layout.offsets.push_back({origin[a], table.axes[a]});
  }
  int64_t weight = size;
  for (const int64_t extent : table.shape) {
    weight /= extent;
    std::vector<std::vector<int64_t>> entries(static_cast<size_t>(extent));
    for (int64_t i = 0; i < extent; ++i)
      for (size_t a = 0; a < axis_count; ++a)
        entries[static_cast<size_t>(i)].push_back(table.at(i * weight, a, swizzle) - origin[a]);
    auto digits = digits_of_map(std::move(entries), table.axes);
    if (!digits)
      return std::nullopt;
    layout.digits.insert(layout.digits.end(), digits->begin(), digits->end());
  }
  const LayoutMap map(layout);
  std::vector<int> index;
  for (const std::string& axis : table.axes)
    index.push_back(map.find(axis));
  std::vector<int64_t> place(map.axes().size());
  for (int64_t element = 0; element < size; ++element) {
    map.place(element, place);
    for (size_t a = 0; a < axis_count; ++a) {
      const int64_t value = table.values[static_cast<size_t>(element) * axis_count + a];
      if ((index[a] < 0 ? 0 : place[static_cast<size_t>(index[a])]) != value)
        return std::nullopt;
    }
  }
  return layout;
}

Result<Layout> recognise(const Table& table) {
  if (auto layout = recognise(table, {}))
    return *std::move(layout);
  int64_t largest = 0;
  const int64_t size = product(table.shape);
  for (int64_t i = 0; i < size; ++i)
    largest = std::max(largest, table.at(i, table.memory, {}));
  for (int64_t bits = 1; bits <= 6; ++bits)
    for (int64_t base = 0; int64_t{1} << base <= largest; ++base)
      for (int64_t distance = bits; distance <= bits + 12; ++distance)
        for (const int64_t shift : {distance, -distance})
          if (base + shift >= 0 && int64_t{1} << (base + shift) <= largest)
            if (auto layout = recognise(table, {bits, base, shift}))
              return *std::move(layout);
  return bad("the map is not a layout: its digits do not add up, with or without an XOR swizzle; "
             "use indices in the program for it");
}

} // namespace

int64_t Layout::size() const { return product(shape); }

bool Layout::has_axis(std::string_view axis) const {
  for (const auto* list : {&digits, &replicas})
    for (const LayoutDigit& digit : *list)
      if (digit.axis == axis)
        return true;
  for (const LayoutOffset& offset : offsets)
    if (offset.axis == axis)
      return true;
  return false;
}

std::vector<std::string> Layout::axes() const {
  std::vector<std::string> names;
  const auto add = [&](const std::string& axis) {
    if (axis != kMemoryAxis && std::find(names.begin(), names.end(), axis) == names.end())
      names.push_back(axis);
  };
  for (const auto* list : {&digits, &replicas})
    for (const LayoutDigit& digit : *list)
      add(digit.axis);
  for (const LayoutOffset& offset : offsets)
    add(offset.axis);
  names.emplace_back(kMemoryAxis);
  return names;
}

bool Layout::is_fragment() const { return axes().size() > 1; }

int64_t Layout::span(std::string_view axis) const {
  const int64_t span = plain_span(*this, axis);
  return axis == kMemoryAxis ? round_up(span, swizzle_block(swizzle)) : span;
}

int64_t Layout::replication() const {
  int64_t count = 1;
  for (const LayoutDigit& digit : replicas)
    count *= digit.extent;
  return count;
}

// Making.

Result<void> verify_layout(const Layout& layout) {
  if (layout.shape.empty())
    return bad("a layout's shape has at least one dimension");
  int64_t size = 1;
  for (const int64_t extent : layout.shape)
    if (extent < 1 || __builtin_mul_overflow(size, extent, &size) || size > int64_t{1} << 40)
      return bad(fmt::format("the shape ({}) of a layout must have positive extents, up to 2^40 "
                             "elements in all",
                             fmt::join(layout.shape, ", ")));
  for (const auto* list : {&layout.digits, &layout.replicas})
    for (const LayoutDigit& digit : *list) {
      int64_t reach = 0;
      if (digit.extent < 1 || digit.stride < 0 ||
          __builtin_mul_overflow(digit.extent, digit.stride, &reach) || reach > int64_t{1} << 48)
        return bad(fmt::format("the digit ({}, {}, \"{}\") must have an extent of at least 1 and a "
                               "stride of at least 0",
                               digit.extent, digit.stride, digit.axis));
      if (digit.axis.empty())
        return bad("a digit names no axis");
    }
  int64_t copies = 1;
  for (const LayoutDigit& digit : layout.replicas)
    if (__builtin_mul_overflow(copies, digit.extent, &copies) || copies > int64_t{1} << 20)
      return bad("a layout holds each element more than 2^20 times");
  for (size_t i = 0; i < layout.offsets.size(); ++i) {
    const LayoutOffset& offset = layout.offsets[i];
    if (offset.axis.empty() || offset.value < 0 || offset.value > int64_t{1} << 48)
      return bad(fmt::format("the offset {} on axis \"{}\" must be at least 0", offset.value,
                             offset.axis));
    for (size_t j = 0; j < i; ++j)
      if (layout.offsets[j].axis == offset.axis)
        return bad(fmt::format("the axis \"{}\" has two offsets; add them up", offset.axis));
  }
  TEMPER_TRY_VOID(verify_swizzle(layout.swizzle, "swizzle"));
  TEMPER_TRY_VOID(verify_swizzle(layout.input_swizzle, "input_swizzle"));
  if (size % swizzle_block(layout.input_swizzle) != 0)
    return bad(fmt::format("the input_swizzle permutes runs of {}, the layout has {} elements",
                           swizzle_block(layout.input_swizzle), size));
  if (auto starts = dimension_starts(layout); !starts)
    return std::move(starts).error();
  return {};
}

Result<Layout> make_layout(std::vector<int64_t> shape, std::vector<LayoutDigit> digits,
                           std::vector<LayoutDigit> replicas, XorSwizzle swizzle) {
  Layout layout;
  layout.shape = std::move(shape);
  layout.digits = std::move(digits);
  layout.replicas = std::move(replicas);
  layout.swizzle = swizzle;
  TEMPER_TRY_VOID(verify_layout(layout));
  return layout;
}

Layout strided(std::vector<int64_t> shape, const std::vector<int64_t>& strides) {
  TEMPER_CHECK(shape.size() == strides.size(), "a stride per dimension");
  Layout layout;
  for (size_t d = 0; d < shape.size(); ++d)
    layout.digits.push_back({shape[d], strides[d], kMemoryAxis});
  layout.shape = std::move(shape);
  return layout;
}

Layout row_major(std::vector<int64_t> shape) {
  std::vector<int64_t> strides(shape.size());
  int64_t stride = 1;
  for (size_t d = shape.size(); d-- > 0; stride *= shape[d])
    strides[d] = stride;
  return strided(std::move(shape), strides);
}

Layout column_major(std::vector<int64_t> shape) {
  std::vector<int64_t> strides(shape.size());
  int64_t stride = 1;
  for (size_t d = 0; d < shape.size(); stride *= shape[d], ++d)
    strides[d] = stride;
  return strided(std::move(shape), strides);
}

Result<Layout> layout_of_map(std::vector<int64_t> shape, const std::vector<std::string>& axes,
                             FunctionRef<void(std::span<const int64_t>, std::span<int64_t>)> map) {
  Layout probe;
  probe.shape = shape;
  probe.digits = row_major(shape).digits;
  TEMPER_TRY_VOID(verify_layout(probe));
  const int64_t size = probe.size();
  if (size > kLargestTable)
    return bad(fmt::format("a layout of {} elements is too large to be told from its map; give "
                           "shape and strides",
                           size));
  Table table{std::move(shape), axes, {}, axes.size()};
  for (size_t a = 0; a < axes.size(); ++a)
    if (axes[a] == kMemoryAxis)
      table.memory = a;
  if (table.memory == axes.size())
    table.axes.emplace_back(kMemoryAxis);
  const size_t axis_count = table.axes.size();
  table.values.resize(static_cast<size_t>(size) * axis_count);
  for (int64_t i = 0; i < size; ++i)
    map(coordinate_of(table.shape, i),
        std::span(table.values).subspan(static_cast<size_t>(i) * axis_count, axes.size()));
  for (const int64_t value : table.values)
    if (value < 0)
      return bad("the map of a layout must not be negative anywhere");
  return recognise(table);
}

// Evaluating.

LayoutMap::LayoutMap(const Layout& layout)
    : axes_(layout.axes()), offsets_(axes_.size()), swizzle_(layout.swizzle),
      input_swizzle_(layout.input_swizzle), size_(layout.size()),
      replication_(layout.replication()) {
  for (size_t i = layout.digits.size(); i-- > 0;)
    digits_.push_back(
        {layout.digits[i].extent, layout.digits[i].stride, find(layout.digits[i].axis)});
  for (size_t i = layout.replicas.size(); i-- > 0;)
    replicas_.push_back(
        {layout.replicas[i].extent, layout.replicas[i].stride, find(layout.replicas[i].axis)});
  for (const LayoutOffset& offset : layout.offsets)
    offsets_[static_cast<size_t>(find(offset.axis))] += offset.value;
}

int LayoutMap::find(std::string_view axis) const {
  for (size_t i = 0; i < axes_.size(); ++i)
    if (axes_[i] == axis)
      return static_cast<int>(i);
  return -1;
}

void LayoutMap::place(int64_t index, std::span<int64_t> values, int64_t replica) const {
  std::copy(offsets_.begin(), offsets_.end(), values.begin());
  index = input_swizzle_.apply(index);
  for (const Digit& digit : digits_) {
    values[static_cast<size_t>(digit.axis)] += index % digit.extent * digit.stride;
    index /= digit.extent;
  }
  for (const Digit& digit : replicas_) {
    values[static_cast<size_t>(digit.axis)] += replica % digit.extent * digit.stride;
    replica /= digit.extent;
  }
  int64_t& memory = values[offsets_.size() - 1];
  memory = swizzle_.apply(memory);
}

int64_t LayoutMap::offset(int64_t index) const {
  const int memory = static_cast<int>(axes_.size()) - 1;
  int64_t value = offsets_.back();
  index = input_swizzle_.apply(index);
  for (const Digit& digit : digits_) {
    if (digit.axis == memory)
      value += index % digit.extent * digit.stride;
    index /= digit.extent;
  }
  return swizzle_.apply(value);
}

int64_t number_of(std::span<const int64_t> shape, std::span<const int64_t> coordinate) {
  int64_t number = 0;
  for (size_t d = 0; d < shape.size(); ++d)
    number = number * shape[d] + coordinate[d];
  return number;
}

std::vector<int64_t> coordinate_of(std::span<const int64_t> shape, int64_t number) {
  std::vector<int64_t> coordinate(shape.size());
  for (size_t d = shape.size(); d-- > 0;) {
    coordinate[d] = number % shape[d];
    number /= shape[d];
  }
  return coordinate;
}

int64_t offset_of(const Layout& layout, std::span<const int64_t> coordinate) {
  return LayoutMap(layout).offset(number_of(layout.shape, coordinate));
}

namespace {

/// Strides that form a mixed radix (each at least the span of all smaller ones): enough to be
/// injective, on every axis.
bool is_plainly_injective(const Layout& layout) {
  for (const std::string& axis : layout.axes()) {
    std::vector<LayoutDigit> digits;
    for (const auto* list : {&layout.digits, &layout.replicas})
      for (const LayoutDigit& digit : *list)
        if (digit.axis == axis && digit.extent > 1)
          digits.push_back(digit);
    std::sort(digits.begin(), digits.end(),
              [](const auto& a, const auto& b) { return a.stride < b.stride; });
    int64_t span = 1;
    for (const LayoutDigit& digit : digits) {
      if (digit.stride < span)
        return false;
      span += (digit.extent - 1) * digit.stride;
    }
  }
  return true;
}

} // namespace

bool is_injective(const Layout& layout) {
  if (is_plainly_injective(layout))
    return true;
  const LayoutMap map(layout);
  std::vector<int64_t> spans;
  for (const std::string& axis : map.axes())
    spans.push_back(layout.span(axis));
  std::unordered_set<int64_t> taken;
  std::vector<int64_t> place(spans.size());
  for (int64_t i = 0; i < map.size(); ++i)
    for (int64_t r = 0; r < map.replication(); ++r) {
      map.place(i, place, r);
      if (!taken.insert(number_of(spans, place)).second)
        return false;
    }
  return true;
}

bool is_bijective(const Layout& layout) {
  int64_t places = 1;
  for (const std::string& axis : layout.axes())
    if (__builtin_mul_overflow(places, layout.span(axis), &places))
      return false;
  return places == layout.size() * layout.replication() && is_injective(layout);
}

bool equivalent(const Layout& a, const Layout& b) {
  if (a.shape != b.shape || a.replication() != b.replication())
    return false;
  if (canonical(a) == canonical(b))
    return true;
  // Axes without an effect may be missing on one side.
  std::vector<std::string> axes = a.axes();
  for (const std::string& axis : b.axes())
    if (std::find(axes.begin(), axes.end(), axis) == axes.end())
      axes.push_back(axis);
  const LayoutMap map_a(a);
  const LayoutMap map_b(b);
  const auto places = [&](const LayoutMap& map, int64_t index) {
    std::vector<std::vector<int64_t>> all;
    std::vector<int64_t> place(map.axes().size());
    for (int64_t r = 0; r < map.replication(); ++r) {
      map.place(index, place, r);
      std::vector<int64_t> values;
      for (const std::string& axis : axes) {
        const int found = map.find(axis);
        values.push_back(found < 0 ? 0 : place[static_cast<size_t>(found)]);
      }
      all.push_back(std::move(values));
    }
    std::sort(all.begin(), all.end());
    return all;
  };
  for (int64_t i = 0; i < map_a.size(); ++i)
    if (places(map_a, i) != places(map_b, i))
      return false;
  return true;
}

// Algebra.

Layout canonical(const Layout& layout) {
  Layout result;
  result.shape = layout.shape;
  result.swizzle = layout.swizzle;
  result.input_swizzle = layout.input_swizzle;
  const std::vector<size_t> starts = starts_of(layout);
  for (int d = 0; d < layout.rank(); ++d) {
    const size_t begin = result.digits.size();
    for (size_t i = starts[d]; i < starts[d + 1]; ++i) {
      LayoutDigit digit = layout.digits[i];
      if (digit.stride == 0)
        digit.axis = kMemoryAxis;
      merge_into(result.digits, begin, digit);
    }
  }
  std::vector<LayoutDigit> replicas = layout.replicas;
  std::sort(replicas.begin(), replicas.end(), [](const LayoutDigit& a, const LayoutDigit& b) {
    return std::tie(a.axis, b.stride, b.extent) < std::tie(b.axis, a.stride, a.extent);
  });
  for (const LayoutDigit& digit : replicas)
    merge_into(result.replicas, 0, digit);
  for (const LayoutOffset& offset : layout.offsets)
    add_offset(result.offsets, offset.value, offset.axis);
  std::sort(result.offsets.begin(), result.offsets.end(),
            [](const auto& a, const auto& b) { return a.axis < b.axis; });
  return result;
}

namespace {

/// Cuts values 0, stride, ... of a row-major number into outer's digits (see compose).
class Cutter {
public:
  explicit Cutter(const Layout& outer) : outer_(outer), used_(outer.digits.size()) {
    radix_.resize(outer.digits.size());
    int64_t radix = 1;
    for (size_t k = outer.digits.size(); k-- > 0; radix *= outer.digits[k].extent)
      radix_[k] = radix;
  }

  /// Pieces outermost first; nothing when the cut is not along outer's digits.
  std::optional<std::vector<LayoutDigit>> cut(int64_t extent, int64_t stride) {
    std::vector<LayoutDigit> pieces;
    if (stride == 0 || extent == 1)
      return std::vector<LayoutDigit>{{extent, 0, kMemoryAxis}};
    while (extent > 1) {
      const auto k = find(stride);
      if (!k || stride % radix_[*k] != 0)
        return std::nullopt;
      const LayoutDigit& digit = outer_.digits[*k];
      const int64_t step = stride / radix_[*k];
      if (digit.extent % step != 0)
        return std::nullopt;
      const int64_t room = digit.extent / step;
      const int64_t piece = std::min(extent, room);
      if (extent % piece != 0)
        return std::nullopt;
      used_[*k] += (piece - 1) * step;
      pieces.push_back({piece, step * digit.stride, digit.axis});
      extent /= piece;
      stride *= piece;
    }
    std::reverse(pieces.begin(), pieces.end());
    return pieces;
  }

  bool cut_offset(int64_t value, std::vector<LayoutOffset>& offsets) {
    for (size_t k = outer_.digits.size(); k-- > 0;) {
      const int64_t digit = value % outer_.digits[k].extent;
      value /= outer_.digits[k].extent;
      used_[k] += digit;
      add_offset(offsets, digit * outer_.digits[k].stride, outer_.digits[k].axis);
    }
    return value == 0;
  }

  /// No digit of outer overflows into the next: the pieces add up.
  bool carries() const {
    for (size_t k = 0; k < used_.size(); ++k)
      if (used_[k] >= outer_.digits[k].extent)
        return true;
    return false;
  }

private:
  /// The digit in which `value` is the smallest step: the innermost one with more room than it.
  std::optional<size_t> find(int64_t value) const {
    for (size_t k = radix_.size(); k-- > 0;)
      if (outer_.digits[k].extent > 1 && value < radix_[k] * outer_.digits[k].extent)
        return k;
    return std::nullopt;
  }

  const Layout& outer_;
  std::vector<int64_t> radix_;
  std::vector<int64_t> used_;
};

std::optional<Layout> compose_digits(const Layout& outer, const Layout& inner) {
  Cutter cutter(outer);
  Layout result;
  result.shape = inner.shape;
  result.swizzle = outer.swizzle;
  result.input_swizzle = inner.input_swizzle;
  for (const bool replicas : {false, true})
    for (const LayoutDigit& digit : replicas ? inner.replicas : inner.digits) {
      auto& list = replicas ? result.replicas : result.digits;
      if (digit.axis != kMemoryAxis) {
        list.push_back(digit);
        continue;
      }
      auto pieces = cutter.cut(digit.extent, digit.stride);
      if (!pieces)
        return std::nullopt;
      list.insert(list.end(), pieces->begin(), pieces->end());
    }
  result.replicas.insert(result.replicas.end(), outer.replicas.begin(), outer.replicas.end());
  for (const LayoutOffset& offset : inner.offsets) {
    if (offset.axis != kMemoryAxis)
      add_offset(result.offsets, offset.value, offset.axis);
    else if (!cutter.cut_offset(offset.value, result.offsets))
      return std::nullopt;
  }
  for (const LayoutOffset& offset : outer.offsets)
    add_offset(result.offsets, offset.value, offset.axis);
  if (cutter.carries())
    return std::nullopt;
  return canonical(result);
}

} // namespace

Result<Layout> compose(const Layout& outer, const Layout& inner) {
  if (inner.span(kMemoryAxis) > outer.size())
    return bad(fmt::format("the inner layout reaches {} elements, the outer one has {}",
                           inner.span(kMemoryAxis), outer.size()));
  if (inner.swizzle == outer.input_swizzle)
    if (auto result = compose_digits(outer, inner))
      return *std::move(result);
  if (outer.replication() > 1 || inner.replication() > 1 || inner.size() > kLargestTable)
    return bad("the composition is not a layout: the inner digits do not fall on the outer ones");
  // Axes of both, which may have names in common: those add up.
  std::vector<std::string> axes = inner.axes();
  for (const std::string& axis : outer.axes())
    if (std::find(axes.begin(), axes.end(), axis) == axes.end())
      axes.insert(axes.end() - 1, axis);
  const LayoutMap inner_map(inner);
  const LayoutMap outer_map(outer);
  Table table{inner.shape, axes, {}, axes.size() - 1};
  std::vector<int64_t> inner_place(inner_map.axes().size());
  std::vector<int64_t> outer_place(outer_map.axes().size());
  for (int64_t i = 0; i < inner.size(); ++i) {
    inner_map.place(i, inner_place);
    outer_map.place(inner_place.back(), outer_place);
    for (size_t a = 0; a < axes.size(); ++a) {
      const int from_inner = a + 1 == axes.size() ? -1 : inner_map.find(axes[a]);
      const int from_outer = outer_map.find(axes[a]);
      table.values.push_back((from_inner < 0 ? 0 : inner_place[static_cast<size_t>(from_inner)]) +
                             (from_outer < 0 ? 0 : outer_place[static_cast<size_t>(from_outer)]));
    }
  }
  auto result = recognise(table);
  if (!result)
    return bad("the composition is not a layout: the inner digits do not fall on the outer ones");
  return canonical(*result);
}

Result<Layout> inverse(const Layout& layout, std::vector<std::string> axes) {
  const std::vector<std::string> own = layout.axes();
  if (axes.empty())
    axes = own;
  for (const std::string& axis : own)
    if (layout.span(axis) > 1 && std::find(axes.begin(), axes.end(), axis) == axes.end())
      return bad(
          fmt::format("the layout uses the axis \"{}\", which the inverse leaves out", axis));
  Layout result;
  for (const std::string& axis : axes) {
    struct Part {
      int64_t extent;
      int64_t stride;
      int64_t number; ///< weight of the digit in the element's number
    };
    std::vector<Part> parts;
    int64_t weight = 1;
    for (size_t i = layout.digits.size(); i-- > 0; weight *= layout.digits[i].extent) {
      const LayoutDigit& digit = layout.digits[i];
      if (digit.extent > 1 && (digit.axis == axis || (digit.stride == 0 && axis == axes.back())))
        parts.push_back({digit.extent, digit.stride, weight});
    }
    for (const LayoutDigit& digit : layout.replicas)
      if (digit.axis == axis && digit.extent > 1)
        parts.push_back({digit.extent, digit.stride, 0});
    for (const LayoutOffset& offset : layout.offsets)
      if (offset.axis == axis && offset.value != 0)
        return bad(fmt::format("places below {} on axis \"{}\" hold no element: the layout has no "
                               "inverse",
                               offset.value, axis));
    std::sort(parts.begin(), parts.end(),
              [](const Part& a, const Part& b) { return a.stride < b.stride; });
    int64_t span = 1;
    for (const Part& part : parts) {
      if (part.stride == 0)
        return bad("several elements lie in the same place: the layout has no inverse");
      if (part.stride != span)
        return bad(fmt::format("on axis \"{}\" a stride of {} follows {} places: the layout has no "
                               "inverse",
                               axis, part.stride, span));
      span *= part.extent;
    }
    result.shape.push_back(span);
    for (size_t i = parts.size(); i-- > 0;)
      result.digits.push_back({parts[i].extent, parts[i].number, kMemoryAxis});
    if (axis == kMemoryAxis && !layout.swizzle.empty()) {
      const bool alone = axes.size() == 1;
      if (axis != axes.back() || span % swizzle_block(layout.swizzle) != 0 ||
          (!alone && span % layout.swizzle.period() != 0))
        return bad(fmt::format("the swizzle permutes runs of {}, memory has {} elements: the "
                               "layout has no inverse",
                               layout.swizzle.period(), span));
      result.input_swizzle = layout.swizzle;
    }
  }
  result.swizzle = layout.input_swizzle;
  TEMPER_TRY_VOID(verify_layout(result));
  return canonical(result);
}

Result<Layout> tile(const Layout& atom, const Layout& outer) {
  if (atom.rank() != outer.rank())
    return bad(
        fmt::format("a layout of {} dimensions is tiled by one of {}", atom.rank(), outer.rank()));
  if (!outer.swizzle.empty() || !outer.input_swizzle.empty() || !atom.input_swizzle.empty())
    return bad("only the atom of a tiling may be swizzled");
  Layout result;
  result.swizzle = atom.swizzle;
  Result<void> status;
  const auto scaled = [&](LayoutDigit digit) {
    digit.stride *= atom.span(digit.axis);
    if (digit.axis == kMemoryAxis && digit.extent > 1 && digit.stride % atom.swizzle.period() != 0)
      status = bad(fmt::format("the atom's swizzle permutes runs of {} elements, the tiles are {} "
                               "apart; take an atom of at least one period",
                               atom.swizzle.period(), digit.stride));
    return digit;
  };
  const std::vector<size_t> atom_starts = starts_of(atom);
  const std::vector<size_t> outer_starts = starts_of(outer);
  for (int d = 0; d < atom.rank(); ++d) {
    result.shape.push_back(outer.shape[d] * atom.shape[d]);
    for (size_t i = outer_starts[d]; i < outer_starts[d + 1]; ++i)
      result.digits.push_back(scaled(outer.digits[i]));
    for (size_t i = atom_starts[d]; i < atom_starts[d + 1]; ++i)
      result.digits.push_back(atom.digits[i]);
  }
  for (const LayoutDigit& digit : outer.replicas)
    result.replicas.push_back(scaled(digit));
  result.replicas.insert(result.replicas.end(), atom.replicas.begin(), atom.replicas.end());
  result.offsets = atom.offsets;
  for (const LayoutOffset& offset : outer.offsets)
    add_offset(result.offsets, scaled({2, offset.value, offset.axis}).stride, offset.axis);
  TEMPER_TRY_VOID(status);
  TEMPER_TRY_VOID(verify_layout(result));
  return canonical(result);
}

Result<Layout> repeat(const Layout& atom, const std::vector<int64_t>& counts) {
  return tile(atom, row_major(counts));
}

Layout replicate(const Layout& layout, const std::string& axis, int64_t count) {
  Layout result = layout;
  result.replicas.insert(result.replicas.begin(), {count, layout.span(axis), axis});
  return canonical(result);
}

Result<Layout> permute(const Layout& layout, const std::vector<int>& order) {
  if (!layout.input_swizzle.empty())
    return bad("the dimensions of a layout with an input_swizzle have one order only");
  std::vector<bool> seen(layout.shape.size());
  for (const int d : order) {
    if (d < 0 || d >= layout.rank() || seen[static_cast<size_t>(d)])
      return bad(
          fmt::format("({}) is no order of {} dimensions", fmt::join(order, ", "), layout.rank()));
    seen[static_cast<size_t>(d)] = true;
  }
  if (order.size() != layout.shape.size())
    return bad(
        fmt::format("({}) is no order of {} dimensions", fmt::join(order, ", "), layout.rank()));
  Layout result = layout;
  result.shape.clear();
  result.digits.clear();
  const std::vector<size_t> starts = starts_of(layout);
  for (const int d : order) {
    result.shape.push_back(layout.shape[static_cast<size_t>(d)]);
    for (size_t i = starts[static_cast<size_t>(d)]; i < starts[static_cast<size_t>(d) + 1]; ++i)
      result.digits.push_back(layout.digits[i]);
  }
  return canonical(result);
}

Result<Layout> reshape(const Layout& layout, std::vector<int64_t> shape) {
  for (const int64_t extent : shape)
    if (extent < 1)
      return bad("the extents of a shape are positive");
  if (shape.empty() || product(shape) != layout.size())
    return bad(fmt::format("a layout of {} elements cannot have the shape ({})", layout.size(),
                           fmt::join(shape, ", ")));
  std::vector<LayoutDigit> left = layout.digits; // innermost at the back
  std::vector<LayoutDigit> digits;               // innermost first
  for (size_t d = shape.size(); d-- > 0;) {
    int64_t need = shape[d];
    while (need > 1) {
      TEMPER_CHECK(!left.empty(), "the sizes agree");
      LayoutDigit& digit = left.back();
      if (need % digit.extent == 0) {
        need /= digit.extent;
        digits.push_back(digit);
        left.pop_back();
      } else if (digit.extent % need == 0) {
        digits.push_back({need, digit.stride, digit.axis});
        digit.extent /= need;
        digit.stride *= need;
        need = 1;
      } else {
        return bad(fmt::format("a digit of {} elements straddles dimension {} of the shape ({})",
                               digit.extent, d, fmt::join(shape, ", ")));
      }
    }
  }
  Layout result = layout;
  result.shape = std::move(shape);
  result.digits.assign(digits.rbegin(), digits.rend());
  return canonical(result);
}

Result<Layout> reduced(const Layout& layout, int dim) {
  if (dim < 0 || dim >= layout.rank())
    return bad(fmt::format("a layout of {} dimensions has no dimension {}", layout.rank(), dim));
  if (!layout.swizzle.empty() || !layout.input_swizzle.empty())
    return bad("the reduction of a swizzled layout has no layout of its own");
  Layout result;
  const std::vector<size_t> starts = starts_of(layout);
  for (const LayoutDigit& digit : layout.replicas)
    if (digit.axis != kMemoryAxis)
      result.replicas.push_back(digit);
  for (int d = 0; d < layout.rank(); ++d) {
    if (d != dim)
      result.shape.push_back(layout.shape[static_cast<size_t>(d)]);
    for (size_t i = starts[static_cast<size_t>(d)]; i < starts[static_cast<size_t>(d) + 1]; ++i) {
      const LayoutDigit& digit = layout.digits[i];
      if (d != dim)
        result.digits.push_back(digit);
      else if (digit.axis != kMemoryAxis && digit.stride > 0)
        result.replicas.push_back(digit);
    }
  }
  if (result.shape.empty())
    result.shape.push_back(1);
  // The registers close up in their old order.
  std::vector<LayoutDigit*> registers;
  for (LayoutDigit& digit : result.digits)
    if (digit.axis == kMemoryAxis && digit.stride > 0 && digit.extent > 1)
      registers.push_back(&digit);
  std::stable_sort(registers.begin(), registers.end(),
                   [](const auto* a, const auto* b) { return a->stride < b->stride; });
  int64_t stride = 1;
  for (LayoutDigit* digit : registers) {
    digit->stride = stride;
    stride *= digit->extent;
  }
  for (const LayoutOffset& offset : layout.offsets)
    if (offset.axis != kMemoryAxis)
      result.offsets.push_back(offset);
  return canonical(result);
}

Result<Layout> broadcast(const Layout& layout, int dim, int64_t extent) {
  if (dim < 0 || dim > layout.rank() || extent < 1)
    return bad(fmt::format("a layout of {} dimensions cannot have a new dimension {} of {}",
                           layout.rank(), dim, extent));
  if (!layout.input_swizzle.empty())
    return bad("a layout with an input_swizzle cannot be broadcast");
  Layout result = layout;
  result.shape.insert(result.shape.begin() + dim, extent);
  const std::vector<size_t> starts = starts_of(layout);
  result.digits.insert(result.digits.begin() +
                           static_cast<std::ptrdiff_t>(starts[static_cast<size_t>(dim)]),
                       {extent, 0, kMemoryAxis});
  return canonical(result);
}

Layout flatten_threads(const Layout& layout, int wave) {
  const auto scale = [&](const std::string& axis) -> int64_t {
    return axis == kLaneAxis        ? 1
           : axis == kWarpAxis      ? wave
           : axis == kWarpgroupAxis ? int64_t{4} * wave
                                    : 0;
  };
  Layout result = layout;
  for (auto* list : {&result.digits, &result.replicas})
    for (LayoutDigit& digit : *list)
      if (const int64_t factor = scale(digit.axis); factor > 0) {
        digit.stride *= factor;
        digit.axis = kThreadAxis;
      }
  result.offsets.clear();
  for (const LayoutOffset& offset : layout.offsets) {
    const int64_t factor = scale(offset.axis);
    add_offset(result.offsets, offset.value * std::max<int64_t>(factor, 1),
               factor > 0 ? kThreadAxis : offset.axis);
  }
  return canonical(result);
}

Result<Layout> split_threads(const Layout& layout, int wave) {
  Layout result = layout;
  int64_t lanes = 1;
  for (auto* list : {&result.digits, &result.replicas}) {
    std::vector<LayoutDigit> split;
    for (const LayoutDigit& digit : *list) {
      if (digit.axis != kThreadAxis) {
        split.push_back(digit);
        continue;
      }
      if (digit.stride % wave == 0) {
        split.push_back({digit.extent, digit.stride / wave, kWarpAxis});
        continue;
      }
      int64_t in_wave = digit.extent;
      if ((digit.extent - 1) * digit.stride >= wave) {
        in_wave = wave / digit.stride;
        if (wave % digit.stride != 0 || digit.extent % in_wave != 0)
          return bad(fmt::format("the digit ({}, {}, \"thread\") straddles waves of {} threads",
                                 digit.extent, digit.stride, wave));
        split.push_back({digit.extent / in_wave, 1, kWarpAxis});
      }
      split.push_back({in_wave, digit.stride, kLaneAxis});
      lanes += (in_wave - 1) * digit.stride;
    }
    *list = std::move(split);
  }
  result.offsets.clear();
  for (const LayoutOffset& offset : layout.offsets) {
    if (offset.axis != kThreadAxis) {
      add_offset(result.offsets, offset.value, offset.axis);
      continue;
    }
    add_offset(result.offsets, offset.value / wave, kWarpAxis);
    add_offset(result.offsets, offset.value % wave, kLaneAxis);
    lanes += offset.value % wave;
  }
  if (lanes > wave)
    return bad(
        fmt::format("the digits within a wave reach {} threads, a wave has {}", lanes, wave));
  return canonical(result);
}

int64_t vector_width(const Layout& layout) {
  const Layout flat = canonical(layout);
  const std::vector<size_t> starts = starts_of(flat);
  const size_t end = starts.back();
  if (end == starts[starts.size() - 2])
    return 1;
  const LayoutDigit& last = flat.digits[end - 1];
  if (last.axis != kMemoryAxis || last.stride != 1)
    return 1;
  int64_t width = last.extent;
  for (size_t i = 0; i + 1 < end; ++i)
    if (flat.digits[i].axis == kMemoryAxis)
      width = std::gcd(width, flat.digits[i].stride);
  for (const LayoutDigit& digit : flat.replicas)
    if (digit.axis == kMemoryAxis)
      width = std::gcd(width, digit.stride);
  for (const LayoutOffset& offset : flat.offsets)
    if (offset.axis == kMemoryAxis)
      width = std::gcd(width, offset.value);
  for (const XorSwizzle& swizzle : {flat.swizzle, flat.input_swizzle})
    if (!swizzle.empty())
      width = std::gcd(width, int64_t{1} << std::min(swizzle.base, swizzle.base + swizzle.shift));
  return width;
}

} // namespace temper::tir
