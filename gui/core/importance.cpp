#include "gui/core/importance.h"

#include "ir/support/random.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

namespace temper::gui {

namespace {

constexpr size_t kTrees = 64;
constexpr size_t kMostRows = 4000; ///< more teach the forest nothing that shows
constexpr size_t kLeaf = 3;
constexpr int kMaxDepth = 12;
constexpr size_t kLeastRows = 8;

/// Absent comes before every number: one cut tells it from all others.
constexpr float kAbsent = -std::numeric_limits<float>::infinity();

struct Tree {
  struct Node {
    int column = -1; ///< -1: a leaf
    float cut = 0;   ///< <= goes left
    int left = 0, right = 0;
    float value = 0;
  };
  std::vector<Node> nodes;

  /// `row(column)` is the value to look at.
  template <typename Row> float predict(const Row& row) const {
    int at = 0;
    while (nodes[static_cast<size_t>(at)].column >= 0) {
      const Node& node = nodes[static_cast<size_t>(at)];
      at = row(static_cast<size_t>(node.column)) <= node.cut ? node.left : node.right;
    }
    return nodes[static_cast<size_t>(at)].value;
  }
};

class Grower {
public:
  Grower(const std::vector<std::vector<float>>& columns, const std::vector<float>& target,
         Random& random)
      : columns_(columns), target_(target), random_(random) {}

  Tree grow(std::vector<uint32_t> rows) {
    tree_.nodes.clear();
    add(rows.data(), rows.size(), 0);
    return tree_;
  }

private:
  int add(uint32_t* rows, size_t count, int depth) {
    const auto at = tree_.nodes.size();
    tree_.nodes.emplace_back();
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; ++i) {
      sum += target_[rows[i]];
      squares += static_cast<double>(target_[rows[i]]) * target_[rows[i]];
    }
    const double mean = sum / static_cast<double>(count);
    tree_.nodes[at].value = static_cast<float>(mean);
    const double spread = squares - sum * mean;
    if (count < 2 * kLeaf || depth >= kMaxDepth || spread < 1e-9)
      return static_cast<int>(at);
    // Extremely randomised: one cut by chance for each of half of the columns, the best stays.
    const size_t tries = std::max<size_t>(3, (columns_.size() + 1) / 2);
    double bestGain = 0;
    int bestColumn = -1;
    float bestCut = 0;
    for (size_t attempt = 0; attempt < tries; ++attempt) {
      const auto column = static_cast<size_t>(random_.below(static_cast<int64_t>(columns_.size())));
      const std::vector<float>& values = columns_[column];
      // Between two rows' values: every cut that is chosen divides something, absent or not.
      const float a = values[rows[random_.below(static_cast<int64_t>(count))]];
      const float b = values[rows[random_.below(static_cast<int64_t>(count))]];
      if (a == b)
        continue;
      const float cut = std::min(a, b);
      double leftSum = 0;
      size_t left = 0;
      for (size_t i = 0; i < count; ++i)
        if (values[rows[i]] <= cut) {
          leftSum += target_[rows[i]];
          ++left;
        }
      if (left < kLeaf || count - left < kLeaf)
        continue;
      const double rightSum = sum - leftSum;
      const double gain = leftSum * leftSum / static_cast<double>(left) +
                          rightSum * rightSum / static_cast<double>(count - left) - sum * mean;
      if (gain > bestGain) {
        bestGain = gain;
        bestColumn = static_cast<int>(column);
        bestCut = cut;
      }
    }
    if (bestColumn < 0)
      return static_cast<int>(at);
    const std::vector<float>& values = columns_[static_cast<size_t>(bestColumn)];
    const auto middle =
        std::partition(rows, rows + count, [&](uint32_t row) { return values[row] <= bestCut; });
    const auto left = static_cast<size_t>(middle - rows);
    const int leftNode = add(rows, left, depth + 1);
    const int rightNode = add(rows + left, count - left, depth + 1);
    Tree::Node& node = tree_.nodes[at];
    node.column = bestColumn;
    node.cut = bestCut;
    node.left = leftNode;
    node.right = rightNode;
    return static_cast<int>(at);
  }

  const std::vector<std::vector<float>>& columns_;
  const std::vector<float>& target_;
  Random& random_;
  Tree tree_;
};

double medianOf(std::vector<double> values) {
  if (values.empty())
    return std::numeric_limits<double>::quiet_NaN();
  const auto middle = values.begin() + static_cast<int64_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// What one decision's values say by themselves.
Importance aloneOf(size_t column, const std::vector<float>& values, std::span<const double> ns,
                   const std::vector<float>& target) {
  Importance result;
  result.column = column;
  std::map<float, std::vector<uint32_t>> groups;
  for (uint32_t i = 0; i < values.size(); ++i)
    groups[values[i]].push_back(i);
  const double mean = std::accumulate(target.begin(), target.end(), 0.0) /
                      static_cast<double>(std::max<size_t>(1, target.size()));
  double total = 0, between = 0;
  for (const float value : target)
    total += (value - mean) * (value - mean);
  result.bestNs = std::numeric_limits<double>::infinity();
  for (const auto& [value, rows] : groups) {
    double sum = 0;
    std::vector<double> times;
    for (const uint32_t row : rows) {
      sum += target[row];
      times.push_back(ns[row]);
    }
    const double own = sum / static_cast<double>(rows.size());
    between += static_cast<double>(rows.size()) * (own - mean) * (own - mean);
    // One lucky candidate is no reason to choose a value.
    if (rows.size() * 50 < values.size() && groups.size() > 1)
      continue;
    if (const double median = medianOf(std::move(times)); median < result.bestNs) {
      result.bestNs = median;
      result.best = value == kAbsent ? std::numeric_limits<double>::quiet_NaN() : value;
      result.bestCount = static_cast<int64_t>(rows.size());
    }
  }
  // Groups of a few explain something by chance: that is taken off (epsilon squared).
  const auto count = static_cast<double>(values.size()), kinds = static_cast<double>(groups.size());
  if (total > 0 && count > kinds)
    result.alone =
        std::max(0.0, (between - (kinds - 1) * (total - between) / (count - kinds)) / total);
  std::vector<double> others;
  for (size_t i = 0; i < values.size(); ++i)
    if (values[i] != static_cast<float>(result.best) &&
        !(values[i] == kAbsent && std::isnan(result.best)))
      others.push_back(ns[i]);
  result.otherNs = medianOf(std::move(others));
  return result;
}

} // namespace

double explainedAlone(const std::vector<float>& values, std::span<const double> timeNs) {
  std::vector<float> kept, target;
  std::vector<double> ns;
  for (size_t i = 0; i < timeNs.size(); ++i)
    if (timeNs[i] > 0 && std::isfinite(timeNs[i])) {
      kept.push_back(std::isnan(values[i]) ? kAbsent : values[i]);
      target.push_back(static_cast<float>(std::log(timeNs[i])));
      ns.push_back(timeNs[i]);
    }
  return kept.empty() ? 0 : aloneOf(0, kept, ns, target).alone;
}

ImportanceResult importanceOf(const std::vector<std::vector<float>>& columns,
                              std::span<const double> timeNs) {
  ImportanceResult result;
  std::vector<uint32_t> valid;
  for (uint32_t i = 0; i < timeNs.size(); ++i)
    if (timeNs[i] > 0 && std::isfinite(timeNs[i]))
      valid.push_back(i);
  result.candidates = static_cast<int64_t>(valid.size());
  if (valid.size() < kLeastRows || columns.empty())
    return result;

  std::vector<double> ns;
  std::vector<float> target;
  std::vector<std::vector<float>> rows(columns.size());
  for (const uint32_t row : valid) {
    ns.push_back(timeNs[row]);
    target.push_back(static_cast<float>(std::log(timeNs[row])));
    for (size_t c = 0; c < columns.size(); ++c)
      rows[c].push_back(std::isnan(columns[c][row]) ? kAbsent : columns[c][row]);
  }
  for (size_t c = 0; c < columns.size(); ++c)
    result.decisions.push_back(aloneOf(c, rows[c], ns, target));

  Random random(1);
  std::vector<uint32_t> all(ns.size());
  std::iota(all.begin(), all.end(), 0u);
  if (all.size() > kMostRows) {
    for (size_t i = 0; i < kMostRows; ++i)
      std::swap(all[i],
                all[i + static_cast<size_t>(random.below(static_cast<int64_t>(all.size() - i)))]);
    all.resize(kMostRows);
  }
  Grower grower(rows, target, random);
  std::vector<double> worse(columns.size(), 0.0);
  // What trees that have not seen a row say of it together.
  std::vector<double> said(ns.size(), 0.0);
  std::vector<int> sayings(ns.size(), 0);
  for (size_t t = 0; t < kTrees; ++t) {
    // Two thirds to learn from, the others to be asked about.
    std::vector<uint32_t> order = all;
    for (size_t i = order.size() - 1; i > 0; --i)
      std::swap(order[i], order[static_cast<size_t>(random.below(static_cast<int64_t>(i + 1)))]);
    const size_t learn = order.size() * 2 / 3;
    const Tree tree = grower.grow({order.begin(), order.begin() + static_cast<int64_t>(learn)});
    const std::span<const uint32_t> unseen(order.data() + learn, order.size() - learn);
    double own = 0;
    for (const uint32_t row : unseen) {
      const float guess = tree.predict([&](size_t c) { return rows[c][row]; });
      own += (guess - target[row]) * (guess - target[row]);
      said[row] += guess;
      ++sayings[row];
    }
    std::vector<uint32_t> shuffled(unseen.begin(), unseen.end());
    for (size_t c = 0; c < columns.size(); ++c) {
      for (size_t i = shuffled.size() - 1; i > 0; --i)
        std::swap(shuffled[i],
                  shuffled[static_cast<size_t>(random.below(static_cast<int64_t>(i + 1)))]);
      double other = 0;
      for (size_t i = 0; i < unseen.size(); ++i) {
        const float guess = tree.predict(
            [&](size_t column) { return rows[column][column == c ? shuffled[i] : unseen[i]]; });
        other += (guess - target[unseen[i]]) * (guess - target[unseen[i]]);
      }
      worse[c] += other - own;
    }
  }
  double mean = 0, error = 0, spread = 0;
  for (const uint32_t row : all)
    mean += target[row] / static_cast<double>(all.size());
  for (const uint32_t row : all)
    if (sayings[row] > 0) {
      error += std::pow(said[row] / sayings[row] - target[row], 2);
      spread += std::pow(target[row] - mean, 2);
    }
  result.explained = spread > 0 ? std::max(0.0, 1 - error / spread) : 0;
  double sum = 0;
  for (double& value : worse)
    sum += value = std::max(0.0, value);
  for (Importance& importance : result.decisions)
    importance.share = sum > 0 ? worse[importance.column] / sum : 0;
  std::stable_sort(result.decisions.begin(), result.decisions.end(),
                   [](const Importance& a, const Importance& b) { return a.share > b.share; });
  return result;
}

} // namespace temper::gui
