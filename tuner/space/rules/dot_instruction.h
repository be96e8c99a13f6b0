/// Which entries of the table of tensor intrinsics a product of matrices can be computed by.
#pragma once

#include "ir/dtype.h"

#include <cstdint>
#include <string>
#include <vector>

namespace temper::tuner {

/// An entry whose parameters are those of C[0:lanes] += A[k] * B[i * group + k], summed over k in
/// 0:group, and one whose parameters are those of its partner, which makes such a B out of `group`
/// rows. Whether they compute that, tensorize says.
struct DotInstruction {
  std::string name;
  int64_t lanes = 0;
  int64_t group = 0;      ///< 2 or more
  std::string interleave; ///< the partner; empty when there is none
};

/// Those with these types that a target with `features` (LLVM's names) has, widest first; one for
/// each partner.
std::vector<DotInstruction> dot_instructions(const std::vector<std::string>& features, DataType a,
                                             DataType b, DataType c);

} // namespace temper::tuner
