#include "tuner/space/rules/dot_instruction.h"

#include "ir/s_tir/tensor_intrinsic.h"

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

} // namespace

std::vector<DotInstruction> dot_instructions(const std::vector<std::string>& features, DataType a,
                                             DataType b, DataType c) {
  std::vector<DotInstruction> found;
  const std::vector<const TensorIntrinsic*> all = all_tensor_intrinsics();
  const auto interleaves = [&](int64_t group, int64_t lanes) {
    std::vector<std::string> names;
    for (const TensorIntrinsic* entry : all)
      if (entry->fits(features) && entry->description->params.size() == 2 &&
          shape_of(*entry, 0, b) == std::vector{group, lanes} &&
          shape_of(*entry, 1, b) == std::vector{lanes * group})
        names.push_back(entry->name);
    if (names.empty())
      names.emplace_back();
    return names;
  };
  for (const TensorIntrinsic* entry : all) {
    if (!entry->fits(features) || entry->description->params.size() != 3)
      continue;
    const std::vector<int64_t> group = shape_of(*entry, 0, a);
    const std::vector<int64_t> groups = shape_of(*entry, 1, b);
    const std::vector<int64_t> lanes = shape_of(*entry, 2, c);
    if (group.size() != 1 || groups.size() != 1 || lanes.size() != 1 || group[0] < 2 ||
        groups[0] != lanes[0] * group[0])
      continue;
    for (std::string& interleave : interleaves(group[0], lanes[0]))
      found.push_back({entry->name, lanes[0], group[0], std::move(interleave)});
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& x, const auto& y) {
    return x.lanes * x.group > y.lanes * y.group;
  });
  return found;
}

} // namespace temper::tuner
