/// An output against its reference, element by element.
///
/// Integers and booleans must be equal, unless a workload allows an integer output some steps: an
/// element may differ by so many. A floating element may differ from its reference by
///     relative * max(|reference|, rms of the reference's finite elements):
/// the second term is there because a sum that cancels keeps the rounding errors of its terms. NaN
/// must meet NaN, and an infinity the same infinity (or a reference beyond the type's range).
#pragma once

#include "engine/measurement.h"
#include "ir/dtype.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>

namespace temper::engine {

/// Relative error allowed by default for elements that sum `reduction_length` terms: the type's
/// rounding unit, times a constant for reassociation and fused operations, growing with the square
/// root of the length. 16-bit floats are taken to be accumulated in float32 or better. 0 for
/// integers.
double default_tolerance(DataType type, int64_t reduction_length);
/// The same for sums that are kept in a float of 16 bits and rounded after each term: the error
/// grows with the square root of the length there, too, in units of that type.
double narrow_sum_tolerance(DataType sum, int64_t length);
/// `asked` (0: the default) as far as the type can meet it: a workload's tolerance is meant for
/// float32, and 16-bit results are rounded once at the least; it is none for integers.
double tolerance_of(double asked, DataType type, int64_t reduction_length);
/// Of one output: what `by_output` says under its name (0: equality; steps, where it is of
/// integers), else the above.
double tolerance_of(double asked, const std::map<std::string, double>& by_output,
                    const std::string& output, DataType type, int64_t reduction_length);

/// What is known of a reference output before any candidate is compared with it.
struct Reference {
  std::span<const std::byte> bytes;
  DataType type;    ///< as the reference computed it: the output's own type, or a wider float
  double scale = 0; ///< rms of the finite elements; see reference_scale
};
double reference_scale(std::span<const std::byte> bytes, DataType type);
/// Whether any element is neither NaN nor infinite: where none is, every NaN would be right.
bool has_number(std::span<const std::byte> bytes, DataType type);

/// Nothing when all of `got` is right; else the worst element and how many are wrong.
/// `tolerance` is a relative error, or steps of integers; 0 demands equality.
std::optional<WorstElement> compare(std::span<const std::byte> got, DataType type,
                                    const Reference& reference, double tolerance);

} // namespace temper::engine
