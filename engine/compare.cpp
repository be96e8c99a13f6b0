#include "engine/compare.h"

#include "engine/arguments.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

// The fast path runs over every output of every trial; compiled for what the host has.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) &&                             \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define TEMPER_CLONES                                                                              \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), optimize("O3")))
#else
#define TEMPER_CLONES
#endif

namespace temper::engine {
namespace {

// Elements per step of the fast path. 16-bit floats are widened into a buffer of this size.
constexpr size_t kBlock = 2048;

// Largest finite value; beyond it (by more than half a unit) a rounded result is infinite.
double largest(DataType type) {
  if (type.code == TypeCode::kBFloat)
    return 0x1.fep127;
  switch (type.bits) {
  case 16:
    return 65504;
  case 32:
    return std::numeric_limits<float>::max();
  default:
    return std::numeric_limits<double>::max();
  }
}

// How many elements of a block are out of tolerance; any NaN or infinity counts, and the slow path
// decides about it. Written without branches (nor `&&`, which is one), so that it vectorises: three
// times as fast.
TEMPER_CLONES int64_t count_float(const float* got, const double* want, size_t count,
                                  double relative, double scale) {
  int64_t wrong = 0;
  for (size_t i = 0; i < count; ++i) {
    const double expected = want[i];
    const double magnitude = std::abs(expected);
    const double bound = relative * (magnitude > scale ? magnitude : scale);
    const bool near = std::abs(static_cast<double>(got[i]) - expected) <= bound;
    const bool finite = magnitude <= std::numeric_limits<double>::max();
    wrong += (near & finite) ? 0 : 1;
  }
  return wrong;
}

TEMPER_CLONES int64_t count_double(const double* got, const double* want, size_t count,
                                   double relative, double scale) {
  int64_t wrong = 0;
  for (size_t i = 0; i < count; ++i) {
    const double expected = want[i];
    const double magnitude = std::abs(expected);
    const double bound = relative * (magnitude > scale ? magnitude : scale);
    const bool near = std::abs(got[i] - expected) <= bound;
    const bool finite = magnitude <= std::numeric_limits<double>::max();
    wrong += (near & finite) ? 0 : 1;
  }
  return wrong;
}

TEMPER_CLONES double sum_of_squares(const double* values, size_t count, int64_t* finite) {
  double sum = 0;
  int64_t good = 0;
  for (size_t i = 0; i < count; ++i) {
    const double square = values[i] * values[i];
    const bool is_finite = square <= std::numeric_limits<double>::max();
    sum += is_finite ? square : 0.0;
    good += is_finite ? 1 : 0;
  }
  *finite = good;
  return sum;
}

/// Calls `body(first, count, doubles)` block by block.
template <typename Body>
void in_blocks_as_double(std::span<const std::byte> bytes, DataType type, const Body& body) {
  const size_t size = static_cast<size_t>(type.element_bytes());
  const size_t total = bytes.size() / size;
  const bool direct = type.is_floating() && type.bits == 64;
  double buffer[kBlock];
  for (size_t first = 0; first < total; first += kBlock) {
    const size_t count = std::min(kBlock, total - first);
    if (direct) {
      body(first, count, reinterpret_cast<const double*>(bytes.data()) + first);
      continue;
    }
    convert({reinterpret_cast<std::byte*>(buffer), count * sizeof(double)}, DataType::float64(),
            bytes.subspan(first * size, count * size), type);
    body(first, count, buffer);
  }
}

class WorstKeeper {
public:
  void see(int64_t index, double got, double expected, double tolerance) {
    ++count_;
    const double error = std::abs(got - expected);
    // NaN is worse than any error, and the first NaN is kept.
    const double badness = std::isnan(error) ? std::numeric_limits<double>::infinity()
                           : tolerance > 0   ? error / tolerance
                                             : error;
    if (badness > badness_) {
      badness_ = badness;
      worst_.index = index;
      worst_.got = got;
      worst_.expected = expected;
      worst_.tolerance = tolerance;
    }
  }
  std::optional<WorstElement> result() {
    if (count_ == 0)
      return std::nullopt;
    worst_.wrong_count = count_;
    return worst_;
  }

private:
  WorstElement worst_;
  double badness_ = -1;
  int64_t count_ = 0;
};

bool is_right(double got, double expected, double bound, double type_largest) {
  if (std::isnan(expected))
    return std::isnan(got);
  if (std::abs(expected) > type_largest) // infinite, or rounds to infinity in this type
    return got == std::copysign(std::numeric_limits<double>::infinity(), expected) ||
           (std::isfinite(expected) && std::abs(got - expected) <= bound);
  return std::abs(got - expected) <= bound;
}

} // namespace

double default_tolerance(DataType type, int64_t reduction_length) {
  if (!type.is_floating())
    return 0;
  const double growth = std::sqrt(static_cast<double>(std::max<int64_t>(reduction_length, 1)));
  constexpr double kSingle = 0x1.0p-23;
  // Errors of n rounded partial sums of random terms add up to about unit * sqrt(n) of the
  // result's rms; 4 of those leaves no false alarm among 10^8 elements.
  const double single = kSingle * (16 + 4 * growth);
  if (type.code == TypeCode::kBFloat)
    return 2 * 0x1.0p-7 + single;
  switch (type.bits) {
  case 16:
    return 2 * 0x1.0p-10 + single;
  case 32:
    return single;
  default:
    return 0x1.0p-52 * (16 + 4 * growth);
  }
}

double narrow_sum_tolerance(DataType sum, int64_t length) {
  // Each of n partial sums is rounded by at most half a unit; together that is about 0.3 * sqrt(n)
  // half units of the result's rms (0.2 where all terms are positive), six of which leave no false
  // alarm.
  const double unit = sum.code == TypeCode::kBFloat ? 0x1.0p-7 : 0x1.0p-10;
  return default_tolerance(sum, 1) + unit * std::sqrt(static_cast<double>(length));
}

double tolerance_of(double asked, DataType type, int64_t reduction_length) {
  if (asked <= 0 || !type.is_floating())
    return default_tolerance(type, reduction_length);
  // Nobody can ask for more digits than the result's type has.
  return type.bits == 16 ? std::max(asked, default_tolerance(type, 1)) : asked;
}

double tolerance_of(double asked, const std::map<std::string, double>& by_output,
                    const std::string& output, DataType type, int64_t reduction_length) {
  const auto own = by_output.find(output);
  if (own == by_output.end())
    return tolerance_of(asked, type, reduction_length);
  if (own->second <= 0 || !type.is_floating())
    return own->second;
  return tolerance_of(own->second, type, reduction_length);
}

double reference_scale(std::span<const std::byte> bytes, DataType type) {
  if (!type.is_floating())
    return 0;
  double sum = 0;
  int64_t finite = 0;
  in_blocks_as_double(bytes, type, [&](size_t, size_t count, const double* values) {
    int64_t good = 0;
    sum += sum_of_squares(values, count, &good);
    finite += good;
  });
  return finite > 0 ? std::sqrt(sum / static_cast<double>(finite)) : 0;
}

bool has_number(std::span<const std::byte> bytes, DataType type) {
  if (!type.is_floating())
    return true;
  bool any = false;
  in_blocks_as_double(bytes, type, [&](size_t, size_t count, const double* values) {
    any = any || std::any_of(values, values + count, [](double x) { return std::isfinite(x); });
  });
  return any;
}

std::optional<WorstElement> compare(std::span<const std::byte> got, DataType type,
                                    const Reference& reference, double tolerance) {
  WorstKeeper worst;
  const size_t size = static_cast<size_t>(type.element_bytes());
  if (!type.is_floating()) {
    if (reference.type.element() == type.element() &&
        std::memcmp(got.data(), reference.bytes.data(), got.size()) == 0)
      return std::nullopt;
    std::vector<std::byte> want(got.size());
    convert(want, type, reference.bytes, reference.type);
    for (size_t i = 0; i * size < got.size(); ++i) {
      if (std::memcmp(&got[i * size], &want[i * size], size) == 0)
        continue;
      const double value = read_element(&got[i * size], type);
      const double right = read_element(&want[i * size], type);
      if (tolerance <= 0 || !(std::abs(value - right) <= tolerance))
        worst.see(static_cast<int64_t>(i), value, right, tolerance);
    }
    return worst.result();
  }
  const double type_largest = largest(type);
  float widened[kBlock];
  in_blocks_as_double(
      reference.bytes, reference.type, [&](size_t first, size_t count, const double* want) {
        const std::byte* here = got.data() + first * size;
        int64_t wrong;
        if (size == 8) {
          wrong = count_double(reinterpret_cast<const double*>(here), want, count, tolerance,
                               reference.scale);
        } else {
          const auto* narrow = reinterpret_cast<const float*>(here);
          if (size == 2) {
            convert({reinterpret_cast<std::byte*>(widened), count * sizeof(float)},
                    DataType::float32(), {here, count * size}, type);
            narrow = widened;
          }
          wrong = count_float(narrow, want, count, tolerance, reference.scale);
        }
        for (size_t i = 0; wrong > 0 && i < count; ++i) {
          const double value = read_element(here + i * size, type);
          const double bound = tolerance * std::max(std::abs(want[i]), reference.scale);
          if (!is_right(value, want[i], std::isnan(bound) ? 0 : bound, type_largest))
            worst.see(static_cast<int64_t>(first + i), value, want[i],
                      std::isnan(bound) ? 0 : bound);
        }
      });
  return worst.result();
}

} // namespace temper::engine
