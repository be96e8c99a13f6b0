#include "tuner/space/rules/dot_instruction.h"

#include "ir/s_tir/tensor_intrinsic.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::tuner {
namespace {

using namespace s_tir; // NOLINT

/// The extents of a parameter, when it has that type.
std::vector<int64_t> shape_of(const TensorIntrinsic& entry, size_t param, DataType dtype) {
  const Buffer& buffer = entry.description->params[param].buffer;
  std::vector<int64_t> shape;
  if (buffer->dtype == dtype)
    for (const Expr& extent : buffer->shape)
      shape.push_back(*as_int(extent)); // the table takes constant shapes only
  return shape;
}

/// Entries that interleave `group` rows of `lanes` elements.
std::vector<std::string> interleaves(const std::vector<const TensorIntrinsic*>& all,
                                     const std::vector<std::string>& features, DataType dtype,
                                     int64_t group, int64_t lanes) {
  std::vector<std::string> names;
  for (const TensorIntrinsic* entry : all)
    if (entry->fits(features) && entry->description->params.size() == 2 &&
        shape_of(*entry, 0, dtype) == std::vector{group, lanes} &&
        shape_of(*entry, 1, dtype) == std::vector{lanes * group})
      names.push_back(entry->name);
  return names;
}

} // namespace

std::vector<MatrixInstruction> matrix_instructions(const std::vector<std::string>& features,
                                                   DataType a, DataType b, DataType c) {
  constexpr int64_t kLanes = 16; // of the shuffles that make groups
  std::vector<MatrixInstruction> found;
  const std::vector<const TensorIntrinsic*> all = all_tensor_intrinsics();
  for (const TensorIntrinsic* entry : all) {
    if (!entry->fits(features) || entry->description->params.size() != 3)
      continue;
    const std::vector<int64_t> left = shape_of(*entry, 0, a);
    const std::vector<int64_t> right = shape_of(*entry, 1, b);
    const std::vector<int64_t> sums = shape_of(*entry, 2, c);
    if (left.size() != 2 || right.size() != 2 || sums.size() != 2 || left[0] != sums[0] ||
        right[1] % sums[1] != 0 || right[0] * (right[1] / sums[1]) != left[1])
      continue;
    MatrixInstruction instruction{entry->name, sums[0], sums[1], left[1], {}};
    instruction.groups.lanes = std::min(kLanes, sums[1]);
    instruction.groups.group = right[1] / sums[1];
    if (instruction.groups.group < 2)
      continue;
    if (const auto partners =
            interleaves(all, features, b, instruction.groups.group, instruction.groups.lanes);
        !partners.empty())
      instruction.groups.interleave = partners.front();
    found.push_back(std::move(instruction));
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& x, const auto& y) { return x.rows > y.rows; });
  return found;
}

std::optional<MatrixInstruction> with_rows(const MatrixInstruction& instruction, int64_t rows) {
  const std::string old_size = fmt::format("_{}x", instruction.rows);
  const size_t at = instruction.name.find(old_size);
  if (at == std::string::npos)
    return std::nullopt;
  MatrixInstruction other = instruction;
  other.name.replace(at, old_size.size(), fmt::format("_{}x", rows));
  other.rows = rows;
  if (find_tensor_intrinsic(other.name) == nullptr)
    return std::nullopt;
  return other;
}

std::vector<DotInstruction> dot_instructions(const std::vector<std::string>& features, DataType a,
                                             DataType b, DataType c) {
  std::vector<DotInstruction> found;
  const std::vector<const TensorIntrinsic*> all = all_tensor_intrinsics();
  for (const TensorIntrinsic* entry : all) {
    if (!entry->fits(features) || entry->description->params.size() != 3)
      continue;
    const std::vector<int64_t> group = shape_of(*entry, 0, a);
    const std::vector<int64_t> groups = shape_of(*entry, 1, b);
    const std::vector<int64_t> lanes = shape_of(*entry, 2, c);
    if (group.size() != 1 || groups.size() != 1 || lanes.size() != 1 || group[0] < 2 ||
        groups[0] != lanes[0] * group[0])
      continue;
    std::vector<std::string> partners = interleaves(all, features, b, group[0], lanes[0]);
    if (partners.empty())
      partners.emplace_back();
    for (std::string& interleave : partners)
      found.push_back({entry->name, lanes[0], group[0], std::move(interleave)});
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& x, const auto& y) {
    return x.lanes * x.group > y.lanes * y.group;
  });
  return found;
}

} // namespace temper::tuner
