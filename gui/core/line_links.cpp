#include "gui/core/line_links.h"

#include <QHash>
#include <QRegularExpression>

#include <algorithm>
#include <cmath>

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

/// The last line that is indented below line `at`; itself when there is none.
int lastIndented(const QStringList& lines, int at) {
  const int indent = indentOf(lines[at]);
  int last = at;
  for (int i = at + 1;
       i < lines.size() && (lines[i].trimmed().isEmpty() || indentOf(lines[i]) > indent); ++i)
    if (!lines[i].trimmed().isEmpty())
      last = i;
  return last;
}

/// The last line of the statement that begins in line `at` of C++ without comments, `for (...)` or
/// the like; of a block in braces the last line in it.
int lastOfStatement(const QStringList& lines, int at) {
  int parentheses = 0, braces = 0;
  for (int i = at; i < lines.size(); ++i)
    for (const QChar letter : lines[i]) {
      parentheses += letter == u'(' ? 1 : letter == u')' ? -1 : 0;
      braces += letter == u'{' ? 1 : letter == u'}' ? -1 : 0;
      const bool ends = parentheses == 0 && braces == 0 && (letter == u';' || letter == u'}');
      if (ends || braces < 0)
        return i > at && lines[i].trimmed().startsWith(u'}') ? i - 1 : i;
    }
  return static_cast<int>(lines.size()) - 1;
}

/// The numbers that a call begins with: "T.grid(4, T.int64(64))" has 4 and 64.
std::vector<double> leadingNumbers(const QString& call) {
  static const QRegularExpression typed(QStringLiteral("T\\.u?int\\d+\\("));
  std::vector<double> numbers;
  for (const QString& word : QString(call).remove(typed).section(u'(', 1).split(u',')) {
    bool ok = false;
    const qlonglong number = QString(word).remove(u')').remove(u':').trimmed().toLongLong(&ok);
    if (!ok)
      break;
    numbers.push_back(static_cast<double>(number));
  }
  return numbers;
}

/// `for i, j in ...:` and what is indented below it.
std::vector<LoopRegion> loopsOfScript(const QStringList& lines) {
  static const QRegularExpression loop(QStringLiteral("^\\s*for (.+) in (.*)$"));
  std::vector<LoopRegion> regions;
  for (int i = 0; i < lines.size(); ++i) {
    const auto match = loop.match(lines[i]);
    if (!match.hasMatch())
      continue;
    const QString range = match.captured(2);
    const bool inCode = !range.contains(QStringLiteral("T.vectorized")) &&
                        !range.contains(QStringLiteral("T.unroll"));
    const QStringList names = match.captured(1).split(QStringLiteral(", "));
    const std::vector<double> numbers = leadingNumbers(range);
    // One region for each of the loops of a grid. One loop may have a first and a last number.
    for (qsizetype n = 0; n < names.size(); ++n) {
      const auto at = static_cast<size_t>(n);
      const double rounds = names.size() == 1 && numbers.size() == 2 ? numbers[1] - numbers[0]
                            : at < numbers.size()                    ? numbers[at]
                                                                     : 0;
      regions.push_back({{names[n]}, i, lastIndented(lines, i), 0, rounds, inCode});
    }
  }
  nest(regions);
  return regions;
}

/// `for (int k = 0; k < 32; ++k) {`, `while (...) {` and what they repeat. How often a loop
/// runs is known where it counts from a number to a number, both as they stand or by `#define`.
std::vector<LoopRegion> loopsOfCuda(const QStringList& lines) {
  static const QRegularExpression loop(
      QStringLiteral("^\\s*for *\\((?:(?:[\\w:]+ )+(\\w+) = ([^;]+)|[^;]*); *(?:\\1 < "
                     "([^;]+)|[^;]*); *([^)]*)\\)"));
  static const QRegularExpression other(QStringLiteral("^\\s*(?:while *\\(|do\\b)"));
  static const QRegularExpression define(QStringLiteral("^\\s*#define (\\w+) (-?\\d+)\\s*$"));
  static const QRegularExpression by(QStringLiteral("^\\w+ \\+= (\\w+)$"));
  QHash<QString, qlonglong> defined;
  const auto numberOf = [&](const QString& text) -> std::optional<qlonglong> {
    bool ok = false;
    const qlonglong number = text.toLongLong(&ok);
    if (ok)
      return number;
    const auto known = defined.find(text);
    return known == defined.end() ? std::nullopt : std::optional(known.value());
  };
  std::vector<LoopRegion> regions;
  for (int i = 0; i < lines.size(); ++i) {
    if (const auto match = define.match(lines[i]); match.hasMatch())
      defined[match.captured(1)] = match.captured(2).toLongLong();
    const auto match = loop.match(lines[i]);
    if (!match.hasMatch()) {
      if (other.match(lines[i]).hasMatch())
        regions.push_back({{}, i, lastOfStatement(lines, i), 0, 0, true});
      continue;
    }
    const QString name = match.captured(1), step = match.captured(4);
    const auto from = numberOf(match.captured(2)), to = numberOf(match.captured(3));
    const auto each = step == QStringLiteral("++") + name || step == name + QStringLiteral("++")
                          ? std::optional<qlonglong>(1)
                          : numberOf(by.match(step).captured(1));
    const double rounds =
        from && to && each && *each > 0 && *to > *from
            ? std::ceil(static_cast<double>(*to - *from) / static_cast<double>(*each))
            : 0;
    int before = i - 1; // what the compiler is told stands above
    while (before >= 0 && lines[before].trimmed().isEmpty())
      --before;
    const bool unrolled = before >= 0 && lines[before].contains(QStringLiteral("#pragma unroll")) &&
                          !lines[before].contains(QStringLiteral("#pragma unroll 1"));
    regions.push_back({name.isEmpty() ? QStringList() : QStringList{name}, i,
                       lastOfStatement(lines, i), 0, rounds, !unrolled});
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
    regions.push_back({{}, labels[end.key()], end.value(), 0, 0, true});
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

/// Known by order and depth alone.
bool isMachineCode(CodeLevel level) {
  return level == CodeLevel::kAssembly || level == CodeLevel::kPtx;
}

} // namespace

QString withoutComments(const QString& text) {
  static const QRegularExpression comment(QStringLiteral("//[^\\n]*|/\\*.*?(?:\\*/|\\z)"),
                                          QRegularExpression::DotMatchesEverythingOption);
  QString left = text;
  for (auto match = comment.globalMatch(text); match.hasNext();) {
    const auto found = match.next();
    for (qsizetype i = found.capturedStart(); i < found.capturedEnd(); ++i)
      if (left[i] != u'\n')
        left[i] = u' ';
  }
  return left;
}

std::vector<LoopRegion> loopsOf(const QString& text, CodeLevel level) {
  static const QRegularExpression label(QStringLiteral("^([.\\w$]+):"));
  static const QRegularExpression jump(QStringLiteral("^\\s+j\\w+\\s+([.\\w$]+)"));
  // PTX's, and s_cbranch_scc1 of AMD's.
  static const QRegularExpression branch(
      QStringLiteral("\\b(?:bra(?:\\.uni)?|s_c?branch\\w*)\\s+([.\\w$]+)"));
  const QStringList lines = (level == CodeLevel::kCuda ? withoutComments(text) : text).split(u'\n');
  switch (level) {
  case CodeLevel::kScript:
  case CodeLevel::kTir:
    return loopsOfScript(lines);
  case CodeLevel::kLlvm:
    return loopsOfLlvm(lines);
  case CodeLevel::kAssembly:
    return loopsOfJumps(lines, label, jump);
  case CodeLevel::kCuda:
    return loopsOfCuda(lines);
  case CodeLevel::kPtx:
    return loopsOfJumps(lines, label, branch);
  case CodeLevel::kTrace:
    break;
  }
  return {};
}

std::vector<int> partnersOf(const std::vector<LoopRegion>& of, CodeLevel ofLevel,
                            const std::vector<LoopRegion>& in, CodeLevel inLevel) {
  std::vector<int> partners(of.size(), -1);
  if (!isMachineCode(ofLevel) && !isMachineCode(inLevel)) {
    for (size_t i = 0; i < of.size(); ++i)
      for (const QString& name : of[i].names) {
        // Of several loops of one name the same one, counted from the top.
        int number = 0;
        for (size_t j = 0; j < i; ++j)
          number += of[j].names.contains(name) ? 1 : 0;
        for (size_t j = 0; j < in.size() && partners[i] < 0; ++j)
          if (in[j].names.contains(name) && number-- == 0)
            partners[i] = static_cast<int>(j);
      }
    return partners;
  }
  // Loops that are loops in machine code, at the depth that they have there.
  const auto inCode = [](const std::vector<LoopRegion>& regions, std::vector<int>& numbers) {
    std::vector<LoopRegion> kept;
    for (size_t i = 0; i < regions.size(); ++i)
      if (regions[i].inCode) {
        kept.push_back(regions[i]);
        numbers.push_back(static_cast<int>(i));
      }
    nest(kept); // keeps their order
    return kept;
  };
  std::vector<int> numbersOf, numbersIn;
  const std::vector<LoopRegion> here = inCode(of, numbersOf), there = inCode(in, numbersIn);
  const std::vector<int> found = alignByDepth(here, there);
  for (size_t i = 0; i < found.size(); ++i)
    if (found[i] >= 0)
      partners[static_cast<size_t>(numbersOf[i])] = numbersIn[static_cast<size_t>(found[i])];
  return partners;
}

std::optional<LineRange> linkedLines(const QString& from, CodeLevel fromLevel, int line,
                                     const QString& to, CodeLevel toLevel) {
  const std::vector<LoopRegion> here = loopsOf(from, fromLevel), there = loopsOf(to, toLevel);
  const std::vector<int> partners = partnersOf(here, fromLevel, there, toLevel);
  // From the innermost outwards: a loop of vectors is none in assembly, but the one around it is.
  for (size_t i = here.size(); i-- > 0;)
    if (here[i].first <= line && line <= here[i].last && partners[i] >= 0) {
      const LoopRegion& region = there[static_cast<size_t>(partners[i])];
      return LineRange{region.first, region.last};
    }
  return std::nullopt;
}

} // namespace temper::gui
