#include "gui/core/line_links.h"

#include <QHash>
#include <QRegularExpression>

#include <algorithm>

namespace temper::gui {

namespace {

/// Depths by which regions lie within which; sorts them.
void nest(std::vector<LoopRegion>& regions) {
  std::stable_sort(regions.begin(), regions.end(), [](const LoopRegion& a, const LoopRegion& b) {
    return a.first != b.first ? a.first < b.first : a.last > b.last;
  });
  std::vector<int> ends;
  for (LoopRegion& region : regions) {
    while (!ends.empty() && ends.back() < region.first)
      ends.pop_back();
    region.depth = static_cast<int>(ends.size());
    ends.push_back(region.last);
  }
}

int indentOf(const QString& line) {
  int at = 0;
  while (at < line.size() && line[at] == u' ')
    ++at;
  return at;
}

/// `for i, j in ...:` and what is indented below it.
std::vector<LoopRegion> loopsOfScript(const QStringList& lines) {
  static const QRegularExpression loop(QStringLiteral("^\\s*for (.+) in (.*)$"));
  std::vector<LoopRegion> regions;
  for (int i = 0; i < lines.size(); ++i) {
    const auto match = loop.match(lines[i]);
    if (!match.hasMatch())
      continue;
    const int indent = indentOf(lines[i]);
    int last = i;
    for (int j = i + 1;
         j < lines.size() && (lines[j].trimmed().isEmpty() || indentOf(lines[j]) > indent); ++j)
      if (!lines[j].trimmed().isEmpty())
        last = j;
    const QString range = match.captured(2);
    const bool inCode = !range.contains(QStringLiteral("T.vectorized")) &&
                        !range.contains(QStringLiteral("T.unroll"));
    // One region for each of the loops of a grid.
    for (const QString& name : match.captured(1).split(QStringLiteral(", ")))
      regions.push_back({{name}, i, last, 0, inCode});
  }
  nest(regions);
  return regions;
}

/// Jumps back to a label. `label` and `jump` capture its name.
std::vector<LoopRegion> loopsOfJumps(const QStringList& lines, const QRegularExpression& label,
                                     const QRegularExpression& jump) {
  QHash<QString, int> labels;
  QHash<QString, int> ends;
  for (int i = 0; i < lines.size(); ++i) {
    if (const auto match = label.match(lines[i]); match.hasMatch())
      labels[match.captured(1)] = i;
    for (auto it = jump.globalMatch(lines[i]); it.hasNext();) {
      const QString target = it.next().captured(1);
      if (const auto at = labels.find(target); at != labels.end())
        ends[target] = i;
    }
  }
  std::vector<LoopRegion> regions;
  for (auto end = ends.begin(); end != ends.end(); ++end)
    regions.push_back({{}, labels[end.key()], end.value(), 0, true});
  nest(regions);
  return regions;
}

std::vector<LoopRegion> loopsOfLlvm(const QStringList& lines) {
  static const QRegularExpression label(QStringLiteral("^([-\\w.$]+):"));
  static const QRegularExpression jump(QStringLiteral("\\blabel %([-\\w.$]+)"));
  static const QRegularExpression phi(QStringLiteral("^\\s*%([-\\w.$]+) = phi i(?:32|64)\\b"));
  std::vector<LoopRegion> regions = loopsOfJumps(lines, label, jump);
  for (LoopRegion& region : regions)
    for (int i = region.first + 1; i < lines.size() && lines[i].contains(QStringLiteral(" = phi "));
         ++i)
      if (const auto match = phi.match(lines[i]); match.hasMatch())
        // "ax2.1" is what became of ax2.
        region.names << match.captured(1) << match.captured(1).section(u'.', 0, 0);
  return regions;
}

/// The region in `to` of each in `from`, -1 for none, by their order and depth: the longest
/// sequence of equal depths.
std::vector<int> alignByDepth(const std::vector<LoopRegion>& from,
                              const std::vector<LoopRegion>& to) {
  const size_t n = from.size(), m = to.size();
  std::vector<std::vector<int>> best(n + 1, std::vector<int>(m + 1, 0));
  for (size_t i = n; i-- > 0;)
    for (size_t j = m; j-- > 0;)
      best[i][j] = std::max({best[i + 1][j], best[i][j + 1],
                             from[i].depth == to[j].depth ? best[i + 1][j + 1] + 1 : 0});
  std::vector<int> found(n, -1);
  for (size_t i = 0, j = 0; i < n && j < m;) {
    if (from[i].depth == to[j].depth && best[i][j] == best[i + 1][j + 1] + 1)
      found[i++] = static_cast<int>(j++);
    else if (best[i + 1][j] >= best[i][j + 1])
      ++i;
    else
      ++j;
  }
  return found;
}

/// Loops that are loops in machine code, at the depth that they have there.
std::vector<LoopRegion> inCode(std::vector<LoopRegion> regions) {
  std::erase_if(regions, [](const LoopRegion& region) { return !region.inCode; });
  nest(regions);
  return regions;
}

} // namespace

std::vector<LoopRegion> loopsOf(const QString& text, CodeLevel level) {
  static const QRegularExpression label(QStringLiteral("^([.\\w$]+):"));
  static const QRegularExpression jump(QStringLiteral("^\\s+j\\w+\\s+([.\\w$]+)"));
  const QStringList lines = text.split(u'\n');
  switch (level) {
  case CodeLevel::kScript:
  case CodeLevel::kTir:
    return loopsOfScript(lines);
  case CodeLevel::kLlvm:
    return loopsOfLlvm(lines);
  case CodeLevel::kAssembly:
    return loopsOfJumps(lines, label, jump);
  case CodeLevel::kTrace:
    break;
  }
  return {};
}

std::optional<LineRange> linkedLines(const QString& from, CodeLevel fromLevel, int line,
                                     const QString& to, CodeLevel toLevel) {
  std::vector<LoopRegion> here = loopsOf(from, fromLevel), there = loopsOf(to, toLevel);
  const auto holds = [line](const LoopRegion& region) {
    return region.first <= line && line <= region.last;
  };
  const auto range = [](const LoopRegion& region) { return LineRange{region.first, region.last}; };
  // From the innermost outwards: a loop of vectors is none in assembly, but the one around it is.
  std::vector<size_t> around;
  for (size_t i = 0; i < here.size(); ++i)
    if (holds(here[i]))
      around.push_back(i);
  std::reverse(around.begin(), around.end());
  const bool named = toLevel != CodeLevel::kAssembly && fromLevel != CodeLevel::kAssembly;
  if (named) {
    for (const size_t i : around)
      for (const QString& name : here[i].names) {
        // Of several loops of one name the same one, counted from the top.
        int number = 0;
        for (size_t j = 0; j < i; ++j)
          number += here[j].names.contains(name) ? 1 : 0;
        for (const LoopRegion& region : there)
          if (region.names.contains(name) && number-- == 0)
            return range(region);
      }
    return std::nullopt;
  }
  here = inCode(std::move(here));
  there = inCode(std::move(there));
  const std::vector<int> found = alignByDepth(here, there);
  for (size_t i = here.size(); i-- > 0;)
    if (holds(here[i]) && found[i] >= 0)
      return range(there[static_cast<size_t>(found[i])]);
  return std::nullopt;
}

} // namespace temper::gui
