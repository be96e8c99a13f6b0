/// Which entries of the table of tensor intrinsics a product of matrices can be computed by.
#pragma once

#include "ir/dtype.h"

#include <cstdint>
#include <optional>
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

/// An entry whose parameters are those of C[rows, columns] += A[rows, depth] * B[depth / group,
/// columns * group], where B's rows hold groups of the reduction, and the entry that makes such
/// groups out of `groups.group` rows.
struct MatrixInstruction {
  std::string name;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t depth = 0;
  DotInstruction groups; ///< without a name
};

/// As `instruction`, of so many rows, where the table has it (amx_32x32x256_bf16 of 20 rows is
/// amx_20x32x256_bf16).
std::optional<MatrixInstruction> with_rows(const MatrixInstruction& instruction, int64_t rows);

/// Those with these types that a target with `features` (LLVM's names) has, most rows first.
std::vector<MatrixInstruction> matrix_instructions(const std::vector<std::string>& features,
                                                   DataType a, DataType b, DataType c);

/// Those with these types that a target with `features` (LLVM's names) has, widest first; one for
/// each partner.
std::vector<DotInstruction> dot_instructions(const std::vector<std::string>& features, DataType a,
                                             DataType b, DataType c);

} // namespace temper::tuner
