/// A finite space of configurations without names: rows of codes, one column per parameter. This is
/// all that strategies for parameter spaces see, so that no strategy can know a space by its names
/// or values: parameters that are renamed or stand in another order, and values that are renamed
/// or listed in another order, give exactly the same rows.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace temper::tuner {

class Configurations {
public:
  Configurations() = default;
  /// `columns`: per parameter, the code of its value in each row; all of one length, no two rows
  /// alike. Parameters that never change are left out; codes are given out in the order of their
  /// first row; columns are sorted by content.
  explicit Configurations(std::vector<std::vector<uint16_t>> columns);

  size_t size() const { return size_; }
  /// Parameters that change.
  size_t dimensions() const { return columns_.size(); }
  /// Values of a parameter: its codes are 0 .. cardinality - 1, and mean nothing but themselves.
  size_t cardinality(size_t dimension) const { return cardinalities_[dimension]; }
  std::span<const uint16_t> column(size_t dimension) const { return columns_[dimension]; }
  uint16_t code(size_t row, size_t dimension) const { return columns_[dimension][row]; }
  /// The codes of one row, one per dimension.
  std::vector<uint16_t> row(size_t index) const;
  /// The row with these codes; nothing when it is not in the space.
  std::optional<size_t> find(std::span<const uint16_t> codes) const;

private:
  static std::string key(std::span<const uint16_t> codes);

  size_t size_ = 0;
  std::vector<std::vector<uint16_t>> columns_;
  std::vector<size_t> cardinalities_;
  std::unordered_map<std::string, size_t> rows_;
};

} // namespace temper::tuner
