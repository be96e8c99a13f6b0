/// Dense pictures, painted by hand into images so that a hundred thousand lines or points take
/// milliseconds and any thread: QPainter needs minutes for as many translucent lines. Axes, texts
/// and what is selected are the widgets' matter.
#pragma once

#include <QColor>
#include <QImage>
#include <QPointF>
#include <QSize>

#include <cstdint>
#include <memory>
#include <vector>

namespace temper::gui {

/// A colour for 0 (fastest) to 1 (slowest): viridis, its dark end first on a light background, its
/// light end first on a dark one, so that what is fast stands out.
QColor toneColor(double tone, bool dark);

/// Lines across parallel axes.
struct ParallelLines {
  /// Height of each line on each axis, pixels from the top: heights[axis][line].
  std::vector<std::vector<float>> heights;
  std::vector<float> tones; ///< 0 to 1; NaN: grey, as what failed
  std::vector<uint8_t> on;  ///< 0: in the background, grey; empty: all are on
};
/// `axes`: their places from the left, pixels, ascending. Transparent where no line is; the more
/// lines the more opaque, coloured by the mean tone of those that are on.
QImage paintParallel(const ParallelLines& lines, QSize size, const std::vector<int>& axes,
                     QColor grey, bool dark);

struct Points {
  std::vector<QPointF> places; ///< pixels; those outside are left out
  std::vector<float> tones;    ///< 0 to 1; NaN: grey
  std::vector<uint8_t> on;     ///< 0: in the background; empty: all are on
};
/// Squares of `edge` pixels, the fastest on top.
QImage paintPoints(const Points& points, QSize size, int edge, QColor grey, bool dark);

} // namespace temper::gui
