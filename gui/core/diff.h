/// Differences of two texts, line by line, for looking at side by side.
#pragma once

#include <QString>
#include <QStringList>

#include <vector>

namespace temper::gui {

struct DiffLine {
  enum class Kind : uint8_t { kSame, kChanged, kOnlyLeft, kOnlyRight };
  Kind kind = Kind::kSame;
  int left = -1; ///< number of the line, -1: a gap
  int right = -1;
};

/// The shortest way from left to right (Myers). Lines that were taken out and put in at the same
/// place stand beside each other as changed. Very different texts beyond `limit` steps are shown as
/// all taken out and all put in, after what is the same at both ends.
std::vector<DiffLine> diffLines(const QStringList& left, const QStringList& right,
                                int limit = 4000);

/// Both sides with gaps so that the same line has the same number; with `onlyDifferences` only
/// `context` lines around each, and a line "⋯ 12 lines" for what is left out.
struct SideBySide {
  QStringList left;
  QStringList right;
  std::vector<DiffLine::Kind> kinds;
  int differences = 0; ///< groups of lines that differ
};
SideBySide sideBySide(const QString& left, const QString& right, bool onlyDifferences,
                      int context = 3);

} // namespace temper::gui
