#include "gui/core/importance.h"

#include "ir/support/random.h"

#include <algorithm>
#include <bit>
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
/// Records of which it is asked what knowing one decision more is worth, each in an order drawn by
/// chance and in the opposite one; of fewer records each is asked several times.
constexpr size_t kAsked = 512;
static_assert(kTrees <= 64, "which trees have not seen a record is kept in a word");

/// Absent comes before every number: one cut tells it from all others.
constexpr float kAbsent = -std::numeric_limits<float>::infinity();

/// Decisions that are known, by their numbers.
class Known {
public:
  explicit Known(size_t decisions) : known_(decisions, 0) {}
  void add(size_t decision) {
    known_[decision] = 1;
    bits_ |= bitOf(decision);
  }
  bool has(size_t decision) const { return known_[decision] != 0; }
  /// Whether one of `bits` may be among them.
  bool meets(uint64_t bits) const { return (bits_ & bits) != 0; }
  /// Several share a bit where there are many.
  static uint64_t bitOf(size_t decision) { return uint64_t{1} << (decision % 64); }

private:
  std::vector<uint8_t> known_;
  uint64_t bits_ = 0;
};

struct Tree {
  struct Node {
    int column = -1; ///< -1: a leaf
    uint32_t decision = 0;
    float cut = 0; ///< <= goes left
    int left = 0, right = 0;
    float value = 0;    ///< mean of the rows that came here
    float leftPart = 0; ///< of these rows
    uint64_t below = 0; ///< bits of the decisions that are asked here and below
  };
  std::vector<Node> nodes;

  const Node& node(int at) const { return nodes[static_cast<size_t>(at)]; }

  /// `row(column)` is the value to look at.
  template <typename Row> float predict(const Row& row) const {
    int at = 0;
    while (node(at).column >= 0)
      at = row(static_cast<size_t>(node(at).column)) <= node(at).cut ? node(at).left
                                                                     : node(at).right;
    return node(at).value;
  }

  /// The same with only some decisions known: of the others both ways are gone, each counting as
  /// many rows as learning went there.
  template <typename Row> double expect(const Row& row, const Known& known, int at = 0) const {
    const Node& here = node(at);
    if (!known.meets(here.below))
      return here.value;
    if (known.has(here.decision))
      return expect(row, known,
                    row(static_cast<size_t>(here.column)) <= here.cut ? here.left : here.right);
    return here.leftPart * expect(row, known, here.left) +
           (1 - here.leftPart) * expect(row, known, here.right);
  }
};

class Grower {
public:
  Grower(const std::vector<std::vector<float>>& columns, std::span<const size_t> decisionOf,
         const std::vector<float>& target, Random& random)
      : columns_(columns), decisionOf_(decisionOf), target_(target), random_(random) {}

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
    // Of a decision with two values half of the cuts divide nothing: these do not count.
    size_t made = 0;
    for (size_t attempt = 0; made < tries && attempt < 4 * tries; ++attempt) {
      const auto column = static_cast<size_t>(random_.below(static_cast<int64_t>(columns_.size())));
      const std::vector<float>& values = columns_[column];
      // Between two rows' values: every cut that is chosen divides something, absent or not.
      const float a = values[rows[random_.below(static_cast<int64_t>(count))]];
      const float b = values[rows[random_.below(static_cast<int64_t>(count))]];
      if (a == b)
        continue;
      ++made;
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
    node.decision = static_cast<uint32_t>(decisionOf_[static_cast<size_t>(bestColumn)]);
    node.leftPart = static_cast<float>(left) / static_cast<float>(count);
    node.below =
        Known::bitOf(node.decision) | tree_.node(leftNode).below | tree_.node(rightNode).below;
    return static_cast<int>(at);
  }

  const std::vector<std::vector<float>>& columns_;
  std::span<const size_t> decisionOf_;
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

/// What the values of some columns, taken together, say by themselves.
Importance aloneOf(std::vector<size_t> columns, const std::vector<std::vector<float>>& values,
                   std::span<const double> ns, const std::vector<float>& target) {
  Importance result;
  std::map<std::vector<float>, std::vector<uint32_t>> groups;
  std::vector<float> key(columns.size());
  for (uint32_t row = 0; row < ns.size(); ++row) {
    for (size_t i = 0; i < columns.size(); ++i)
      key[i] = values[columns[i]][row];
    groups[key].push_back(row);
  }
  result.columns = std::move(columns);
  const double mean = std::accumulate(target.begin(), target.end(), 0.0) /
                      static_cast<double>(std::max<size_t>(1, target.size()));
  double total = 0, between = 0;
  for (const float value : target)
    total += (value - mean) * (value - mean);
  const std::vector<uint32_t>* best = nullptr;
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
    if (rows.size() < 2 || rows.size() * 50 < ns.size())
      continue;
    if (const double median = medianOf(std::move(times)); !best || median < result.bestNs) {
      result.bestNs = median;
      result.bestCount = static_cast<int64_t>(rows.size());
      result.best.clear();
      for (const float part : value)
        result.best.push_back(part == kAbsent ? std::numeric_limits<double>::quiet_NaN()
                                              : static_cast<double>(part));
      best = &rows;
    }
  }
  // Groups of a few explain something by chance: that is taken off (epsilon squared).
  const auto count = static_cast<double>(ns.size()), kinds = static_cast<double>(groups.size());
  if (total > 0 && count > kinds)
    result.alone =
        std::max(0.0, (between - (kinds - 1) * (total - between) / (count - kinds)) / total);
  if (!best)
    return result;
  std::vector<double> others;
  auto next = best->begin();
  for (uint32_t row = 0; row < ns.size(); ++row)
    if (next != best->end() && *next == row)
      ++next;
    else
      others.push_back(ns[row]);
  result.otherNs = medianOf(std::move(others));
  return result;
}

/// The trees, and which of them have not learnt from a row.
struct Forest {
  std::vector<Tree> trees;
  std::vector<uint64_t> unseenBy; ///< per row, a bit for each tree

  /// Mean of what the trees that have not seen the row say of it, as far as decisions are known.
  double expect(uint32_t row, const std::vector<std::vector<float>>& values,
                const Known& known) const {
    double sum = 0;
    const auto at = [&](size_t column) { return values[column][row]; };
    for (uint64_t left = unseenBy[row]; left != 0; left &= left - 1)
      sum += trees[static_cast<size_t>(std::countr_zero(left))].expect(at, known);
    return sum / std::popcount(unseenBy[row]);
  }
};

/// Decisions' Shapley values in the variance that the forest explains in rows that it has not seen,
/// as shares of all variance; sampled over rows and orders.
std::vector<double> shapleyOf(const Forest& forest, const std::vector<std::vector<float>>& values,
                              const std::vector<float>& target, std::vector<uint32_t> rows,
                              size_t decisions, Random& random) {
  std::erase_if(rows, [&](uint32_t row) { return forest.unseenBy[row] == 0; });
  for (size_t i = 0; i < std::min(kAsked, rows.size()); ++i)
    std::swap(rows[i],
              rows[i + static_cast<size_t>(random.below(static_cast<int64_t>(rows.size() - i)))]);
  rows.resize(std::min(kAsked, rows.size()));
  std::vector<double> worth(decisions, 0.0);
  if (rows.empty())
    return worth;
  double mean = 0, spread = 0;
  for (const uint32_t row : rows)
    mean += target[row] / static_cast<double>(rows.size());
  for (const uint32_t row : rows)
    spread += std::pow(target[row] - mean, 2);
  const size_t rounds = (kAsked + rows.size() - 1) / rows.size();
  std::vector<size_t> order(decisions);
  std::iota(order.begin(), order.end(), size_t{0});
  const auto ask = [&](uint32_t row) {
    Known known(decisions);
    double before = std::pow(forest.expect(row, values, known) - target[row], 2);
    for (const size_t decision : order) {
      known.add(decision);
      const double now = std::pow(forest.expect(row, values, known) - target[row], 2);
      worth[decision] += before - now;
      before = now;
    }
  };
  for (size_t round = 0; round < rounds; ++round)
    for (const uint32_t row : rows) {
      for (size_t i = decisions - 1; i > 0; --i)
        std::swap(order[i], order[static_cast<size_t>(random.below(static_cast<int64_t>(i + 1)))]);
      ask(row);
      std::reverse(order.begin(), order.end());
      ask(row);
    }
  for (double& value : worth)
    value = spread > 0 ? value / (2 * static_cast<double>(rounds) * spread) : 0;
  return worth;
}

} // namespace

double explainedAlone(const std::vector<float>& values, std::span<const double> timeNs) {
  std::vector<std::vector<float>> kept(1);
  std::vector<float> target;
  std::vector<double> ns;
  for (size_t i = 0; i < timeNs.size(); ++i)
    if (timeNs[i] > 0 && std::isfinite(timeNs[i])) {
      kept[0].push_back(std::isnan(values[i]) ? kAbsent : values[i]);
      target.push_back(static_cast<float>(std::log(timeNs[i])));
      ns.push_back(timeNs[i]);
    }
  return ns.empty() ? 0 : aloneOf({0}, kept, ns, target).alone;
}

ImportanceResult importanceOf(const std::vector<std::vector<float>>& columns,
                              std::span<const size_t> decisionOf, std::span<const double> timeNs) {
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
  // Decisions by numbers without gaps, in the order of their first columns.
  std::map<size_t, size_t> numbers;
  std::vector<size_t> decision;
  std::vector<std::vector<size_t>> columnsOf;
  for (size_t c = 0; c < columns.size(); ++c) {
    const auto [number, isNew] = numbers.try_emplace(decisionOf[c], columnsOf.size());
    if (isNew)
      columnsOf.emplace_back();
    columnsOf[number->second].push_back(c);
    decision.push_back(number->second);
  }

  Random random(1);
  std::vector<uint32_t> all(ns.size());
  std::iota(all.begin(), all.end(), 0u);
  if (all.size() > kMostRows) {
    for (size_t i = 0; i < kMostRows; ++i)
      std::swap(all[i],
                all[i + static_cast<size_t>(random.below(static_cast<int64_t>(all.size() - i)))]);
    all.resize(kMostRows);
  }
  Grower grower(rows, decision, target, random);
  Forest forest;
  forest.unseenBy.assign(ns.size(), 0);
  std::vector<double> worse(columnsOf.size(), 0.0);
  // What trees that have not seen a row say of it together.
  std::vector<double> said(ns.size(), 0.0);
  for (size_t t = 0; t < kTrees; ++t) {
    // Two thirds to learn from, the others to be asked about.
    std::vector<uint32_t> order = all;
    for (size_t i = order.size() - 1; i > 0; --i)
      std::swap(order[i], order[static_cast<size_t>(random.below(static_cast<int64_t>(i + 1)))]);
    const size_t learn = order.size() * 2 / 3;
    const Tree& tree = forest.trees.emplace_back(
        grower.grow({order.begin(), order.begin() + static_cast<int64_t>(learn)}));
    const std::span<const uint32_t> unseen(order.data() + learn, order.size() - learn);
    double own = 0;
    for (const uint32_t row : unseen) {
      const float guess = tree.predict([&](size_t c) { return rows[c][row]; });
      own += (guess - target[row]) * (guess - target[row]);
      said[row] += guess;
      forest.unseenBy[row] |= uint64_t{1} << t;
    }
    std::vector<uint32_t> shuffled(unseen.begin(), unseen.end());
    for (size_t d = 0; d < columnsOf.size(); ++d) {
      for (size_t i = shuffled.size() - 1; i > 0; --i)
        std::swap(shuffled[i],
                  shuffled[static_cast<size_t>(random.below(static_cast<int64_t>(i + 1)))]);
      double other = 0;
      for (size_t i = 0; i < unseen.size(); ++i) {
        const float guess = tree.predict([&](size_t column) {
          return rows[column][decision[column] == d ? shuffled[i] : unseen[i]];
        });
        other += (guess - target[unseen[i]]) * (guess - target[unseen[i]]);
      }
      worse[d] += other - own;
    }
  }
  double mean = 0, error = 0, spread = 0;
  for (const uint32_t row : all)
    mean += target[row] / static_cast<double>(all.size());
  for (const uint32_t row : all)
    if (const int sayings = std::popcount(forest.unseenBy[row]); sayings > 0) {
      error += std::pow(said[row] / sayings - target[row], 2);
      spread += std::pow(target[row] - mean, 2);
    }
  result.explained = spread > 0 ? std::max(0.0, 1 - error / spread) : 0;
  double sum = 0;
  for (double& value : worse)
    sum += value = std::max(0.0, value);
  const std::vector<double> shapley =
      shapleyOf(forest, rows, target, all, columnsOf.size(), random);
  std::vector<size_t> places(columnsOf.size());
  std::iota(places.begin(), places.end(), size_t{0});
  std::stable_sort(places.begin(), places.end(),
                   [&](size_t a, size_t b) { return shapley[a] > shapley[b]; });
  for (const size_t d : places) {
    Importance& whole = result.decisions.emplace_back(aloneOf(columnsOf[d], rows, ns, target));
    whole.shapley = shapley[d];
    whole.shuffled = sum > 0 ? worse[d] / sum : 0;
    if (columnsOf[d].size() < 2)
      continue;
    for (const size_t column : columnsOf[d])
      result.decisions.emplace_back(aloneOf({column}, rows, ns, target)).isFactor = true;
  }
  return result;
}

} // namespace temper::gui
