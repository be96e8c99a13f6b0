#include "tuner/space/configurations.h"

#include "ir/support/check.h"

#include <algorithm>

namespace temper::tuner {

Configurations::Configurations(std::vector<std::vector<uint16_t>> columns) {
  size_ = columns.empty() ? 0 : columns.front().size();
  for (std::vector<uint16_t>& column : columns) {
    TEMPER_CHECK(column.size() == size_, "columns of a space have one length");
    std::unordered_map<uint16_t, uint16_t> renamed;
    for (uint16_t& code : column)
      code = renamed.try_emplace(code, static_cast<uint16_t>(renamed.size())).first->second;
    if (renamed.size() > 1)
      columns_.push_back(std::move(column));
  }
  std::sort(columns_.begin(), columns_.end());
  for (const std::vector<uint16_t>& column : columns_)
    cardinalities_.push_back(*std::max_element(column.begin(), column.end()) + size_t{1});
  rows_.reserve(size_);
  for (size_t i = 0; i < size_; ++i)
    TEMPER_CHECK(rows_.emplace(key(row(i)), i).second, "a configuration stands once in a space");
}

std::vector<uint16_t> Configurations::row(size_t index) const {
  std::vector<uint16_t> codes;
  for (const std::vector<uint16_t>& column : columns_)
    codes.push_back(column[index]);
  return codes;
}

std::optional<size_t> Configurations::find(std::span<const uint16_t> codes) const {
  const auto found = rows_.find(key(codes));
  return found == rows_.end() ? std::nullopt : std::optional(found->second);
}

std::string Configurations::key(std::span<const uint16_t> codes) {
  return {reinterpret_cast<const char*>(codes.data()), codes.size() * sizeof(uint16_t)};
}

} // namespace temper::tuner
