#include "gui/core/diff.h"

#include <algorithm>

namespace temper::gui {

namespace {

using Kind = DiffLine::Kind;

/// Taken-out and put-in lines of one place beside each other.
void flush(std::vector<DiffLine>& lines, std::vector<int>& out, std::vector<int>& in) {
  const size_t both = std::min(out.size(), in.size());
  for (size_t i = 0; i < both; ++i)
    lines.push_back({Kind::kChanged, out[i], in[i]});
  for (size_t i = both; i < out.size(); ++i)
    lines.push_back({Kind::kOnlyLeft, out[i], -1});
  for (size_t i = both; i < in.size(); ++i)
    lines.push_back({Kind::kOnlyRight, -1, in[i]});
  out.clear();
  in.clear();
}

/// Pairs of equal lines between [a0, a1) and [b0, b1), ascending.
std::vector<std::pair<int, int>> commonLines(const QStringList& a, int a0, int a1,
                                             const QStringList& b, int b0, int b1, int limit) {
  const int n = a1 - a0, m = b1 - b0;
  const int most = std::min(n + m, limit);
  // Furthest reach on each diagonal, kept for each number of steps to walk back.
  std::vector<std::vector<int>> reaches;
  std::vector<int> reach(static_cast<size_t>(2 * most + 3), 0);
  const int middle = most + 1;
  for (int steps = 0; steps <= most; ++steps) {
    // Only the diagonals that this step can have touched are worth keeping.
    reaches.emplace_back(reach.begin() + (middle - steps), reach.begin() + (middle + steps + 1));
    for (int k = -steps; k <= steps; k += 2) {
      int x = k == -steps || (k != steps && reach[static_cast<size_t>(middle + k - 1)] <
                                                reach[static_cast<size_t>(middle + k + 1)])
                  ? reach[static_cast<size_t>(middle + k + 1)]
                  : reach[static_cast<size_t>(middle + k - 1)] + 1;
      int y = x - k;
      while (x < n && y < m && a[a0 + x] == b[b0 + y])
        ++x, ++y;
      reach[static_cast<size_t>(middle + k)] = x;
      if (x < n || y < m)
        continue;
      std::vector<std::pair<int, int>> pairs;
      for (int d = steps; d >= 0; --d) {
        const std::vector<int>& before = reaches[static_cast<size_t>(d)];
        const auto at = [&](int diagonal) {
          const int index = diagonal + d;
          return index >= 0 && index < static_cast<int>(before.size())
                     ? before[static_cast<size_t>(index)]
                     : 0;
        };
        const int diagonal = x - y;
        const bool down = diagonal == -d || (diagonal != d && at(diagonal - 1) < at(diagonal + 1));
        const int previous = down ? diagonal + 1 : diagonal - 1;
        const int fromX = d == 0 ? 0 : at(previous), fromY = d == 0 ? 0 : fromX - previous;
        const int snakeX = d == 0 ? 0 : (down ? fromX : fromX + 1);
        while (x > snakeX && y > 0 && a[a0 + x - 1] == b[b0 + y - 1])
          pairs.emplace_back(a0 + --x, b0 + --y);
        x = fromX;
        y = fromY;
      }
      std::reverse(pairs.begin(), pairs.end());
      return pairs;
    }
  }
  return {};
}

} // namespace

std::vector<DiffLine> diffLines(const QStringList& left, const QStringList& right, int limit) {
  int first = 0;
  int endLeft = static_cast<int>(left.size()), endRight = static_cast<int>(right.size());
  while (first < endLeft && first < endRight && left[first] == right[first])
    ++first;
  while (endLeft > first && endRight > first && left[endLeft - 1] == right[endRight - 1])
    --endLeft, --endRight;
  std::vector<DiffLine> lines;
  for (int i = 0; i < first; ++i)
    lines.push_back({Kind::kSame, i, i});
  std::vector<int> out, in;
  int x = first, y = first;
  for (const auto& [a, b] : commonLines(left, first, endLeft, right, first, endRight, limit)) {
    while (x < a)
      out.push_back(x++);
    while (y < b)
      in.push_back(y++);
    flush(lines, out, in);
    lines.push_back({Kind::kSame, x++, y++});
  }
  while (x < endLeft)
    out.push_back(x++);
  while (y < endRight)
    in.push_back(y++);
  flush(lines, out, in);
  for (int i = endLeft, j = endRight; i < static_cast<int>(left.size()); ++i, ++j)
    lines.push_back({Kind::kSame, i, j});
  return lines;
}

SideBySide sideBySide(const QString& left, const QString& right, bool onlyDifferences,
                      int context) {
  QStringList a = left.split(u'\n'), b = right.split(u'\n');
  for (QStringList* side : {&a, &b})
    if (!side->isEmpty() && side->last().isEmpty())
      side->removeLast();
  const std::vector<DiffLine> lines = diffLines(a, b);
  std::vector<bool> shown(lines.size(), !onlyDifferences);
  SideBySide result;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].kind == Kind::kSame)
      continue;
    if (i == 0 || lines[i - 1].kind == Kind::kSame)
      ++result.differences;
    const size_t around = static_cast<size_t>(context);
    for (size_t j = i > around ? i - around : 0; j < std::min(lines.size(), i + around + 1); ++j)
      shown[j] = true;
  }
  for (size_t i = 0; i < lines.size();) {
    if (!shown[i]) {
      size_t end = i;
      while (end < lines.size() && !shown[end])
        ++end;
      const QString words = QStringLiteral("⋯ %1 equal line%2")
                                .arg(end - i)
                                .arg(end - i == 1 ? QString() : QStringLiteral("s"));
      result.left << words;
      result.right << words;
      result.kinds.push_back(Kind::kSame);
      i = end;
      continue;
    }
    result.left << (lines[i].left >= 0 ? a[lines[i].left] : QString());
    result.right << (lines[i].right >= 0 ? b[lines[i].right] : QString());
    result.kinds.push_back(lines[i].kind);
    ++i;
  }
  return result;
}

} // namespace temper::gui
