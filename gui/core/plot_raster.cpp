#include "gui/core/plot_raster.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace temper::gui {

namespace {

constexpr int kTones = 256;

/// Anchors of viridis (Smith and van der Walt, CC0).
constexpr std::array<std::array<int, 3>, 9> kViridis{{{68, 1, 84},
                                                      {72, 40, 120},
                                                      {62, 74, 137},
                                                      {49, 104, 142},
                                                      {38, 130, 142},
                                                      {31, 158, 137},
                                                      {53, 183, 121},
                                                      {144, 215, 67},
                                                      {253, 231, 37}}};

std::array<QRgb, kTones> toneTable(bool dark) {
  std::array<QRgb, kTones> table;
  for (int i = 0; i < kTones; ++i)
    table[static_cast<size_t>(i)] = toneColor(i / double(kTones - 1), dark).rgb();
  return table;
}

QRgb premultiplied(QRgb color, double alpha) {
  return qRgba(static_cast<int>(qRed(color) * alpha), static_cast<int>(qGreen(color) * alpha),
               static_cast<int>(qBlue(color) * alpha), static_cast<int>(255 * alpha));
}

/// Lines between two axes that begin and end on the same pixels are one, with their number.
struct Bundle {
  int from, to;     ///< pixels from the top
  float count;      ///< that are on
  float tones;      ///< sum over those of `toned`
  float toned;      ///< with a tone, of `count`
  float background; ///< that are off
};

/// What a column of pixels has got.
struct Cell {
  float count = 0, tones = 0, toned = 0, background = 0;
};

std::vector<Bundle> bundlesOf(const ParallelLines& lines, size_t axis, int height) {
  const std::vector<float>& left = lines.heights[axis];
  const std::vector<float>& right = lines.heights[axis + 1];
  const size_t count = left.size();
  // A table of all pairs of pixels where it is not larger than what it saves.
  const auto side = static_cast<size_t>(height);
  std::vector<int32_t> slot(side * side, -1);
  std::vector<Bundle> bundles;
  for (size_t i = 0; i < count; ++i) {
    const int from = std::clamp(static_cast<int>(left[i]), 0, height - 1);
    const int to = std::clamp(static_cast<int>(right[i]), 0, height - 1);
    int32_t& at = slot[static_cast<size_t>(from) * side + static_cast<size_t>(to)];
    if (at < 0) {
      at = static_cast<int32_t>(bundles.size());
      bundles.push_back({from, to, 0, 0, 0, 0});
    }
    Bundle& bundle = bundles[static_cast<size_t>(at)];
    if (!lines.on.empty() && lines.on[i] == 0) {
      bundle.background += 1;
      continue;
    }
    bundle.count += 1;
    if (!std::isnan(lines.tones[i])) {
      bundle.tones += lines.tones[i];
      bundle.toned += 1;
    }
  }
  return bundles;
}

} // namespace

QColor toneColor(double tone, bool dark) {
  // The lightest tenth does not show on white, nor the darkest one on black.
  const double place =
      (dark ? 1 - std::clamp(tone, 0.0, 1.0) * 0.8 : std::clamp(tone, 0.0, 1.0) * 0.85) *
      static_cast<double>(kViridis.size() - 1);
  const auto low = std::min(static_cast<size_t>(place), kViridis.size() - 2);
  const double share = place - static_cast<double>(low);
  const auto mix = [&](size_t channel) {
    return static_cast<int>(
        std::lround(kViridis[low][channel] * (1 - share) + kViridis[low + 1][channel] * share));
  };
  return {mix(0), mix(1), mix(2)};
}

QImage paintParallel(const ParallelLines& lines, QSize size, const std::vector<int>& axes,
                     QColor grey, bool dark) {
  QImage image(size, QImage::Format_ARGB32_Premultiplied);
  image.fill(Qt::transparent);
  if (size.isEmpty() || lines.heights.size() < 2 || lines.heights.front().empty())
    return image;
  const int height = size.height();
  const auto table = toneTable(dark);
  const auto count = static_cast<double>(lines.heights.front().size());
  // A single line of few is seen, thousands do not drown each other.
  const double strength = std::clamp(3.0 / std::pow(count, 0.4), 0.03, 0.9);
  std::vector<float> opacity(1024);
  for (size_t i = 0; i < opacity.size(); ++i)
    opacity[i] = static_cast<float>(1 - std::pow(1 - strength, static_cast<double>(i)));
  const auto opacityOf = [&](float lineCount) {
    return opacity[std::min(opacity.size() - 1, static_cast<size_t>(lineCount + 0.5f))];
  };
  std::vector<Cell> column(static_cast<size_t>(height) + 1);
  auto* const pixels = reinterpret_cast<QRgb*>(image.bits());
  const auto stride = static_cast<size_t>(image.bytesPerLine()) / sizeof(QRgb);

  for (size_t axis = 0; axis + 1 < lines.heights.size() && axis + 1 < axes.size(); ++axis) {
    const int x0 = axes[axis], x1 = axes[axis + 1];
    if (x1 <= x0)
      continue;
    const std::vector<Bundle> bundles = bundlesOf(lines, axis, height);
    // So many different lines are told apart by nobody: every second column is drawn twice as wide.
    const int step = bundles.size() > 40'000 ? 2 : 1;
    for (int x = x0; x < x1; x += step) {
      std::fill(column.begin(), column.end(), Cell());
      const float a = static_cast<float>(x - x0) / static_cast<float>(x1 - x0);
      const float b = static_cast<float>(std::min(x + step, x1) - x0) / static_cast<float>(x1 - x0);
      // A steep line covers several pixels of a column: its begin and its end are marked, the sum
      // down the column fills what is between, however long it is.
      for (const Bundle& bundle : bundles) {
        const auto run = static_cast<float>(bundle.to - bundle.from);
        int first = bundle.from + static_cast<int>(run * a + 0.5f);
        int last = bundle.from + static_cast<int>(run * b + 0.5f);
        if (first > last)
          std::swap(++first, ++last); // each pixel once, whichever way it goes
        if (first >= last)
          last = first + 1;
        first = std::clamp(first, 0, height - 1);
        last = std::clamp(last, first + 1, height);
        Cell& begin = column[static_cast<size_t>(first)];
        Cell& end = column[static_cast<size_t>(last)];
        begin.count += bundle.count;
        begin.tones += bundle.tones;
        begin.toned += bundle.toned;
        begin.background += bundle.background;
        end.count -= bundle.count;
        end.tones -= bundle.tones;
        end.toned -= bundle.toned;
        end.background -= bundle.background;
      }
      Cell sum;
      for (int y = 0; y < height; ++y) {
        const Cell& cell = column[static_cast<size_t>(y)];
        sum.count += cell.count;
        sum.tones += cell.tones;
        sum.toned += cell.toned;
        sum.background += cell.background;
        if (sum.count < 0.5f && sum.background < 0.5f)
          continue;
        QRgb pixel = 0;
        if (sum.background >= 0.5f)
          pixel = premultiplied(grey.rgb(), 0.45 * static_cast<double>(opacityOf(sum.background)));
        if (sum.count >= 0.5f) {
          const float alpha = opacityOf(sum.count);
          const QRgb color =
              sum.toned >= 0.5f ? table[static_cast<size_t>(
                                      std::clamp(sum.tones / sum.toned, 0.0f, 1.0f) * (kTones - 1))]
                                : grey.rgb();
          const QRgb over = premultiplied(color, static_cast<double>(alpha));
          const auto rest = static_cast<double>(1 - alpha);
          pixel = qRgba(qRed(over) + static_cast<int>(qRed(pixel) * rest),
                        qGreen(over) + static_cast<int>(qGreen(pixel) * rest),
                        qBlue(over) + static_cast<int>(qBlue(pixel) * rest),
                        qAlpha(over) + static_cast<int>(qAlpha(pixel) * rest));
        }
        QRgb* const target = pixels + static_cast<size_t>(y) * stride + x;
        target[0] = pixel;
        if (step == 2 && x + 1 < x1)
          target[1] = pixel;
      }
    }
  }
  return image;
}

QImage paintPoints(const Points& points, QSize size, int edge, QColor grey, bool dark) {
  QImage image(size, QImage::Format_ARGB32_Premultiplied);
  image.fill(Qt::transparent);
  if (size.isEmpty())
    return image;
  const auto table = toneTable(dark);
  auto* const pixels = reinterpret_cast<QRgb*>(image.bits());
  const auto stride = static_cast<size_t>(image.bytesPerLine()) / sizeof(QRgb);
  const QRgb faint = premultiplied(grey.rgb(), 0.45);
  const auto draw = [&](size_t i, QRgb color) {
    const int x = static_cast<int>(std::lround(points.places[i].x())) - edge / 2;
    const int y = static_cast<int>(std::lround(points.places[i].y())) - edge / 2;
    const int left = std::max(0, x), right = std::min(size.width(), x + edge);
    const int top = std::max(0, y), bottom = std::min(size.height(), y + edge);
    for (int row = top; row < bottom; ++row)
      for (int column = left; column < right; ++column)
        pixels[static_cast<size_t>(row) * stride + static_cast<size_t>(column)] = color;
  };
  const auto isOn = [&](size_t i) { return points.on.empty() || points.on[i] != 0; };
  for (size_t i = 0; i < points.places.size(); ++i)
    if (!isOn(i))
      draw(i, faint);
  // By tone in a few steps, the slowest first: a sort of all would take longer than to draw them.
  constexpr int kLayers = 8;
  std::array<std::vector<uint32_t>, kLayers> layers;
  for (size_t i = 0; i < points.places.size(); ++i) {
    if (!isOn(i))
      continue;
    if (std::isnan(points.tones[i]))
      draw(i, grey.rgb());
    else
      layers[static_cast<size_t>(std::clamp(points.tones[i], 0.0f, 1.0f) * (kLayers - 1))]
          .push_back(static_cast<uint32_t>(i));
  }
  for (size_t layer = kLayers; layer-- > 0;)
    for (const uint32_t i : layers[layer])
      draw(i, table[static_cast<size_t>(std::clamp(points.tones[i], 0.0f, 1.0f) * (kTones - 1))]);
  return image;
}

} // namespace temper::gui
