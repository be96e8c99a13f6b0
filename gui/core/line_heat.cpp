#include "gui/core/line_heat.h"

#include "gui/core/line_links.h"

#include <QStringList>

#include <algorithm>
#include <array>
#include <cmath>

namespace temper::gui {

namespace {

/// Rounds of each region's body in one call; 0 where one of the loops around says nothing.
std::vector<double> roundsOf(const std::vector<LoopRegion>& regions) {
  std::vector<double> rounds(regions.size());
  for (size_t i = 0; i < regions.size(); ++i) {
    rounds[i] = regions[i].rounds;
    for (size_t j = i; j-- > 0;)
      if (regions[j].depth < regions[i].depth && regions[j].last >= regions[i].last) {
        rounds[i] *= rounds[j]; // of the nearest one around it
        break;
      }
  }
  return rounds;
}

/// What is in the text and does nothing: declarations, comments, braces.
bool runs(const QString& line, CodeLevel level) {
  const QString text = line.trimmed();
  if (text.isEmpty())
    return false;
  const auto begins = [&](std::initializer_list<const char*> words) {
    return std::any_of(words.begin(), words.end(),
                       [&](const char* word) { return text.startsWith(QLatin1StringView(word)); });
  };
  switch (level) {
  case CodeLevel::kScript:
  case CodeLevel::kTir:
    return !begins({"#", "@", "def ", "class ", "from ", "import ", "with T.sblock(", "T.reads(",
                    "T.writes(", "T.func_attr(", "T.sblock_attr("});
  case CodeLevel::kLlvm: // what is indented is in a function
    return line.startsWith(u' ') && !begins({";"});
  case CodeLevel::kCuda:
    return line.startsWith(u' ') && !begins({"{", "}", "#"});
  case CodeLevel::kAssembly:
  case CodeLevel::kPtx:
    return (line.startsWith(u'\t') || line.startsWith(u' ')) && !begins({"#", ".", "//"});
  case CodeLevel::kTrace:
    break;
  }
  return false;
}

bool isCompiled(CodeLevel level) {
  return level == CodeLevel::kLlvm || level == CodeLevel::kAssembly || level == CodeLevel::kPtx;
}

} // namespace

std::vector<LineHeat> heatOf(const QString& text, CodeLevel level, const QString& tir) {
  const QStringList lines = (level == CodeLevel::kCuda ? withoutComments(text) : text).split(u'\n');
  std::vector<LineHeat> heat(static_cast<size_t>(lines.size()));
  const std::vector<LoopRegion> regions = loopsOf(text, level);
  std::vector<double> rounds = roundsOf(regions);
  if (isCompiled(level)) {
    const std::vector<LoopRegion> source = loopsOf(tir, CodeLevel::kTir);
    const std::vector<double> known = roundsOf(source);
    const std::vector<int> partners = partnersOf(regions, level, source, CodeLevel::kTir);
    for (size_t i = 0; i < regions.size(); ++i)
      rounds[i] = partners[i] >= 0 ? known[static_cast<size_t>(partners[i])] : 0;
  }
  double most = 1;
  for (int i = 0; i < lines.size(); ++i) {
    if (!runs(lines[i], level))
      continue;
    LineHeat& line = heat[static_cast<size_t>(i)];
    line.runs = 1;
    // The innermost one: a loop's own line runs as often as what is around it. In machine code it
    // is part of the loop.
    const bool isBody = isCompiled(level);
    for (size_t region = 0; region < regions.size(); ++region)
      if ((isBody ? regions[region].first <= i : regions[region].first < i) &&
          i <= regions[region].last) {
        line.runs = rounds[region];
        line.atMost = isBody;
      }
    most = std::max(most, line.runs);
  }
  for (LineHeat& line : heat)
    line.share = line.runs > 1 ? std::log(line.runs) / std::log(most) : 0;
  return heat;
}

QString runsText(double count) {
  if (!(count > 0))
    return {};
  static constexpr std::array<const char*, 6> kUnits{"", "k", "M", "G", "T", "P"};
  size_t unit = 0;
  while (count >= 999.5 && unit + 1 < kUnits.size()) {
    count /= 1000;
    ++unit;
  }
  return QString::number(count, 'f', unit > 0 && count < 9.95 ? 1 : 0) +
         QLatin1StringView(kUnits[unit]);
}

} // namespace temper::gui
