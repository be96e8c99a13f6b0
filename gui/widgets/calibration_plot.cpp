#include "gui/widgets/calibration_plot.h"

#include "gui/core/format.h"
#include "gui/widgets/theme.h"

#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QToolTip>

#include <algorithm>
#include <cmath>

namespace temper::gui {

namespace {
constexpr int kNear = 14;                ///< pixels between a click and the group that is meant
constexpr int64_t kEnoughForHalves = 40; ///< predictions
} // namespace

CalibrationPlot::CalibrationPlot(Analysis& analysis, QWidget* parent)
    : PlotCanvas(parent), analysis_(analysis) {
  setObjectName(QStringLiteral("plot.calibration"));
  setAccessibleName(tr("Calibration of the cost model"));
  connect(&analysis_, &Analysis::dataChanged, this, &CalibrationPlot::showData);
}

void CalibrationPlot::showData() {
  const auto data = analysis_.data();
  all_ = early_ = late_ = {};
  if (data) {
    all_ = calibrationOf(data->predicted, data->timeNs);
    if (all_.predictions >= kEnoughForHalves) {
      late_ = calibrationOf(data->predicted, data->timeNs, data->late);
      std::vector<uint8_t> early(data->late);
      for (uint8_t& one : early)
        one = one ? 0 : 1;
      early_ = calibrationOf(data->predicted, data->timeNs, early);
    }
  }
  low_ = 1;
  high_ = 1; // the fastest
  for (const Calibration* of : {&all_, &early_, &late_})
    for (const CalibrationBin& bin : of->bins) {
      low_ = std::min({low_, bin.predicted, bin.measured, bin.lowQuarter});
      high_ = std::max({high_, bin.predicted, bin.highQuarter});
    }
  const double room = 0.05 * std::max(0.1, high_ - low_);
  low_ -= room;
  high_ += room;
  current_ = 0;
  setAccessibleDescription(sentence());
  touch();
}

QString CalibrationPlot::sentence() const {
  if (all_.bins.empty())
    return {};
  QString text = tr("%1: off the diagonal by %2 on average, %3")
                     .arg(countText(all_.predictions, "prediction"))
                     .arg(all_.error, 0, 'f', 2)
                     .arg(std::abs(all_.bias) < 0.005 ? tr("neither too high nor too low")
                          : all_.bias > 0 ? tr("too high by %1").arg(all_.bias, 0, 'f', 2)
                                          : tr("too low by %1").arg(-all_.bias, 0, 'f', 2));
  if (!early_.bins.empty() && !late_.bins.empty())
    text += tr("; %1 in the first half of the runs, %2 in the second")
                .arg(early_.error, 0, 'f', 2)
                .arg(late_.error, 0, 'f', 2);
  if (all_.failed > 0)
    text += tr("; %1 failed and count as 0").arg(numberText(all_.failed));
  return text;
}

QRect CalibrationPlot::area() const {
  const QFontMetrics metrics(fontMetrics());
  return rect().adjusted(metrics.horizontalAdvance(QStringLiteral("0.00")) + metrics.height() + 24,
                         metrics.height() + 16, -18, -(2 * metrics.height() + 14));
}

QPointF CalibrationPlot::placeOf(double predicted, double measured) const {
  const QRect plot = area();
  return {plot.left() + (predicted - low_) / (high_ - low_) * (plot.width() - 1),
          plot.bottom() - (measured - low_) / (high_ - low_) * (plot.height() - 1)};
}

QPoint CalibrationPlot::pointOf(size_t bin) const {
  return placeOf(all_.bins[bin].predicted, all_.bins[bin].measured).toPoint();
}

void CalibrationPlot::paintBelow(QPainter& painter) const {
  const Theme& t = theme();
  painter.setPen(t.faint);
  if (all_.bins.empty()) {
    const auto data = analysis_.data();
    const QString words =
        analysis_.isBusy() ? tr("Reading what was predicted…")
        : !data || data->records.empty()
            ? tr("No record passes the filter. Clear it, or choose another kernel above.")
        : all_.predictions == 0
            ? tr("Nothing was predicted of these records: a run's model predicts once it has "
                 "learnt from a first batch.")
            : tr("%1: too few to put into groups.").arg(countText(all_.predictions, "prediction"));
    painter.drawText(rect().adjusted(24, 0, -24, 0), Qt::AlignCenter | Qt::TextWordWrap, words);
    return;
  }
  const QRect plot = area();
  const QFontMetrics metrics(fontMetrics());
  painter.drawText(QRect(plot.left(), 6, plot.width(), metrics.height()), Qt::AlignLeft,
                   metrics.elidedText(sentence(), Qt::ElideRight, plot.width()));
  const double step = high_ - low_ > 0.6 ? 0.2 : high_ - low_ > 0.25 ? 0.1 : 0.05;
  QColor grid = t.line;
  grid.setAlpha(140);
  for (double at = std::ceil(low_ / step) * step; at <= high_; at += step) {
    const QString text = QString::number(std::abs(at) < step / 100 ? 0 : at, 'g', 2);
    const QPoint x = placeOf(at, low_).toPoint(), y = placeOf(low_, at).toPoint();
    painter.setPen(grid);
    painter.drawLine(x.x(), plot.top(), x.x(), plot.bottom());
    painter.drawLine(plot.left(), y.y(), plot.right(), y.y());
    painter.setPen(t.text);
    painter.drawText(QRect(x.x() - 30, plot.bottom() + 5, 60, metrics.height()), Qt::AlignCenter,
                     text);
    painter.drawText(QRect(0, y.y() - metrics.height() / 2, plot.left() - 6, metrics.height()),
                     Qt::AlignRight | Qt::AlignVCenter, text);
  }
  painter.setPen(t.text);
  painter.drawLine(plot.bottomLeft(), plot.bottomRight());
  painter.drawLine(plot.bottomLeft(), plot.topLeft());
  painter.setPen(t.faint);
  painter.drawText(
      QRect(plot.left(), plot.bottom() + 7 + metrics.height(), plot.width(), metrics.height()),
      Qt::AlignCenter,
      metrics.elidedText(tr("predicted: score before it was measured, 1 as fast as the fastest"),
                         Qt::ElideRight, plot.width()));
  painter.translate(8, plot.bottom());
  painter.rotate(-90);
  painter.drawText(
      QRect(0, 0, plot.height(), metrics.height()), Qt::AlignCenter,
      metrics.elidedText(tr("measured speed, 1 the fastest"), Qt::ElideRight, plot.height()));
}

void CalibrationPlot::paintAbove(QPainter& painter) const {
  if (all_.bins.empty())
    return;
  const Theme& t = theme();
  const QRect plot = area();
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setClipRect(plot.adjusted(-6, -6, 6, 6));
  painter.setPen(QPen(t.text, 1, Qt::DashLine));
  painter.drawLine(placeOf(low_, low_), placeOf(high_, high_));
  const auto lineOf = [&](const Calibration& of) {
    QPolygonF line;
    for (const CalibrationBin& bin : of.bins)
      line << placeOf(bin.predicted, bin.measured);
    return line;
  };
  painter.setPen(QPen(t.faint, 1.2, Qt::DotLine));
  painter.drawPolyline(lineOf(early_));
  painter.setPen(QPen(t.faint, 1.2));
  painter.drawPolyline(lineOf(late_));
  if (!early_.bins.empty() && !late_.bins.empty())
    paintLegend(painter);
  painter.setPen(QPen(t.best, 1.6));
  for (const CalibrationBin& bin : all_.bins)
    painter.drawLine(placeOf(bin.predicted, bin.lowQuarter),
                     placeOf(bin.predicted, bin.highQuarter));
  painter.drawPolyline(lineOf(all_));
  for (size_t i = 0; i < all_.bins.size(); ++i) {
    painter.setPen(QPen(t.base, 1));
    painter.setBrush(t.best);
    painter.drawEllipse(QPointF(pointOf(i)), 5, 5);
    if (hasFocus() && static_cast<int>(i) == current_) {
      painter.setPen(QPen(t.text, 2));
      painter.setBrush(Qt::NoBrush);
      painter.drawEllipse(QPointF(pointOf(i)), 8, 8);
    }
  }
}

/// In the corner below the diagonal, from the right.
void CalibrationPlot::paintLegend(QPainter& painter) const {
  constexpr int kLine = 22, kGap = 6;
  const QFontMetrics metrics(fontMetrics());
  const QRect plot = area();
  int right = plot.right() - kGap;
  const int y = plot.bottom() - metrics.height();
  for (const auto& [name, pen] :
       {std::pair{tr("second half"), QPen(theme().faint, 1.2)},
        std::pair{tr("first half of the runs"), QPen(theme().faint, 1.2, Qt::DotLine)}}) {
    const QRect place(right - metrics.horizontalAdvance(name), y - metrics.height() / 2,
                      metrics.horizontalAdvance(name), metrics.height());
    painter.fillRect(place.adjusted(-kLine - 2 * kGap, 0, kGap, 0), theme().base);
    painter.setPen(theme().faint);
    painter.drawText(place, Qt::AlignCenter, name);
    painter.setPen(pen);
    painter.drawLine(place.left() - kGap - kLine, y, place.left() - kGap, y);
    right = place.left() - kLine - 4 * kGap;
  }
}

int CalibrationPlot::binNear(const QPoint& position) const {
  int nearest = -1;
  int distance = kNear;
  for (size_t i = 0; i < all_.bins.size(); ++i)
    if (const int away = (pointOf(i) - position).manhattanLength(); away < distance) {
      distance = away;
      nearest = static_cast<int>(i);
    }
  return nearest;
}

QString CalibrationPlot::tipOf(size_t index) const {
  const CalibrationBin& bin = all_.bins[index];
  QString text = tr("%1 with scores from %2 to %3, %4 on average\nmeasured: %5 of the fastest's "
                    "speed on average, half of them %6 to %7")
                     .arg(countText(bin.count, "record"))
                     .arg(bin.lowScore, 0, 'f', 2)
                     .arg(bin.highScore, 0, 'f', 2)
                     .arg(bin.predicted, 0, 'f', 2)
                     .arg(bin.measured, 0, 'f', 2)
                     .arg(bin.lowQuarter, 0, 'f', 2)
                     .arg(bin.highQuarter, 0, 'f', 2);
  if (bin.failed > 0)
    text += tr("\n%1 failed, and count as 0").arg(bin.failed);
  return text + tr("\na click keeps only these");
}

void CalibrationPlot::keep(size_t index) {
  const auto data = analysis_.data();
  const CalibrationBin& bin = all_.bins[index];
  if (!data)
    return;
  for (size_t axis = 0; axis < data->axes.size(); ++axis) {
    if (data->axes[axis].kind != PlotAxis::Kind::kPredicted)
      continue;
    float low = 1, high = 0;
    for (size_t row = 0; row < data->predicted.size(); ++row)
      if (data->predicted[row] >= bin.lowScore && data->predicted[row] <= bin.highScore) {
        low = std::min(low, data->places[axis][row]);
        high = std::max(high, data->places[axis][row]);
      }
    constexpr float kHalf = 1e-5f;
    analysis_.brush(data->axes[axis].name, std::max(0.f, low - kHalf), high + kHalf);
  }
}

void CalibrationPlot::mouseMoveEvent(QMouseEvent* event) {
  const QPoint at = event->position().toPoint();
  if (const int bin = binNear(at); bin >= 0)
    QToolTip::showText(mapToGlobal(at), tipOf(static_cast<size_t>(bin)), this);
  else
    QToolTip::hideText();
}

void CalibrationPlot::mouseReleaseEvent(QMouseEvent* event) {
  if (const int bin = binNear(event->position().toPoint()); bin >= 0) {
    current_ = bin;
    keep(static_cast<size_t>(bin));
  }
  touch();
}

void CalibrationPlot::mouseDoubleClickEvent(QMouseEvent*) { analysis_.clearBrushes(); }

/// Left and right choose a group, Enter keeps only its records.
void CalibrationPlot::keyPressEvent(QKeyEvent* event) {
  const auto count = static_cast<int>(all_.bins.size());
  const int key = event->key();
  if (count == 0 || (key != Qt::Key_Left && key != Qt::Key_Right && key != Qt::Key_Return))
    return PlotCanvas::keyPressEvent(event);
  if (key == Qt::Key_Return)
    keep(static_cast<size_t>(std::clamp(current_, 0, count - 1)));
  else
    current_ = std::clamp(current_ + (key == Qt::Key_Right ? 1 : -1), 0, count - 1);
  touch();
}

QString CalibrationPlot::csv() const {
  QString text = QStringLiteral("part,predicted,measured,lower_quarter,upper_quarter,lowest_score,"
                                "highest_score,records,failed\n");
  for (const auto& [of, name] : {std::pair{&all_, "all"}, std::pair{&early_, "first half"},
                                 std::pair{&late_, "second half"}})
    for (const CalibrationBin& bin : of->bins) {
      QStringList cells{QString::fromLatin1(name)};
      for (const double value : {bin.predicted, bin.measured, bin.lowQuarter, bin.highQuarter,
                                 bin.lowScore, bin.highScore})
        cells << QString::number(value, 'g', 6);
      cells << QString::number(bin.count) << QString::number(bin.failed);
      text += cells.join(u',') + u'\n';
    }
  return text;
}

} // namespace temper::gui
