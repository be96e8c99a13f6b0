#include "gui/core/model_errors.h"

#include "ir/support/significance.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

namespace temper::gui {

namespace {

constexpr size_t kFewest = 5; ///< records of a value: less is an accident
constexpr double kChance = 0.05;

/// More of them make no test surer that anybody would look at.
constexpr size_t kMostTested = 4000;

struct Group {
  SharedError shared;
  std::vector<uint32_t> members; ///< numbers of predictions, rising
};

/// That these errors and all others are alike, by chance.
double chanceOf(const Group& group, const std::vector<ScoreError>& records) {
  const size_t step = records.size() / kMostTested + 1;
  std::vector<double> own, others;
  auto member = group.members.begin();
  for (size_t i = 0; i < records.size(); ++i) {
    const bool isIn = member != group.members.end() && *member == i;
    member += isIn ? 1 : 0;
    std::vector<double>& side = isIn ? own : others;
    // Few are kept whole: what is thinned is the larger side.
    if (i % step == 0 || (isIn && group.members.size() < kMostTested))
      side.push_back(records[i].error);
  }
  return rank_sum_p_value(own, others);
}

} // namespace

ModelErrors modelErrorsOf(const std::vector<std::vector<float>>& columns,
                          std::span<const double> scores, std::span<const double> ns) {
  ModelErrors result;
  double fastest = std::numeric_limits<double>::infinity();
  for (const double time : ns)
    if (time > 0)
      fastest = std::min(fastest, time);
  if (std::isinf(fastest))
    return result;
  double sum = 0, squares = 0;
  for (size_t row = 0; row < scores.size(); ++row) {
    if (std::isnan(scores[row]))
      continue;
    const double speed = ns[row] > 0 ? fastest / ns[row] : 0.0;
    const double error = scores[row] - speed;
    result.records.push_back({row, scores[row], speed, error});
    result.failed += ns[row] > 0 ? 0 : 1;
    sum += error;
    squares += error * error;
  }
  if (result.records.empty())
    return result;
  const auto count = static_cast<double>(result.records.size());
  result.mean = sum / count;
  result.typical = std::sqrt(squares / count);

  std::vector<Group> groups;
  for (size_t column = 0; column < columns.size(); ++column) {
    constexpr float kAbsent = -std::numeric_limits<float>::infinity(); // before every number
    std::map<float, std::vector<uint32_t>> values;
    for (size_t i = 0; i < result.records.size(); ++i) {
      const float value = columns[column][result.records[i].row];
      values[std::isnan(value) ? kAbsent : value].push_back(static_cast<uint32_t>(i));
    }
    for (auto& [value, members] : values) {
      const size_t others = result.records.size() - members.size();
      if (members.size() < kFewest || others < kFewest)
        continue;
      // Decisions of one sketch alone are absent together: one of them is enough.
      const auto same = std::find_if(groups.begin(), groups.end(),
                                     [&](const Group& group) { return group.members == members; });
      if (same != groups.end()) {
        ++same->shared.alike;
        continue;
      }
      Group group;
      double own = 0, ownSquares = 0;
      for (const uint32_t i : members) {
        own += result.records[i].error;
        ownSquares += result.records[i].error * result.records[i].error;
      }
      group.shared.column = column;
      group.shared.value = value == kAbsent ? std::numeric_limits<float>::quiet_NaN() : value;
      group.shared.count = static_cast<int64_t>(members.size());
      group.shared.error = own / static_cast<double>(members.size());
      group.shared.others = (sum - own) / static_cast<double>(others);
      group.shared.share = squares > 0 ? ownSquares / squares : 0;
      group.members = std::move(members);
      groups.push_back(std::move(group));
    }
  }
  // Of so many groups one or the other looks unlike the rest by chance.
  std::vector<double> chances;
  for (const Group& group : groups)
    chances.push_back(chanceOf(group, result.records));
  const std::vector<double> adjusted = holm_adjusted(chances);
  for (size_t i = 0; i < groups.size(); ++i)
    if (adjusted[i] < kChance)
      result.shared.push_back(groups[i].shared);
  const auto weight = [&](const SharedError& group) {
    return static_cast<double>(group.count) * std::pow(group.error - result.mean, 2);
  };
  std::stable_sort(
      result.shared.begin(), result.shared.end(),
      [&](const SharedError& a, const SharedError& b) { return weight(a) > weight(b); });
  std::stable_sort(result.records.begin(), result.records.end(),
                   [](const ScoreError& a, const ScoreError& b) {
                     return std::abs(a.error) > std::abs(b.error);
                   });
  return result;
}

} // namespace temper::gui
