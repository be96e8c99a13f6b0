#include "gui/widgets/sweep_plot.h"

#include "gui/core/format.h"
#include "gui/widgets/theme.h"

#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QToolTip>

#include <algorithm>
#include <cmath>

namespace temper::gui {

SweepPlot::SweepPlot(EditSession& session, QWidget* parent)
    : PlotCanvas(parent), session_(session) {
  setObjectName(QStringLiteral("edit.sweep"));
  setAccessibleName(tr("Values of the decision"));
  connect(&session_, &EditSession::sweepChanged, this, [this] {
    QStringList words;
    for (size_t i = 0; i < session_.sweepPoints().size(); ++i)
      words << textOf(i);
    setAccessibleDescription(words.join(QStringLiteral("; ")));
    touch();
  });
  // What it says where nothing was chosen depends on whether there is something to choose.
  connect(&session_, &EditSession::decisionsChanged, this, [this] { touch(); });
}

QRect SweepPlot::area() const {
  const QFontMetrics metrics(fontMetrics());
  return rect().adjusted(metrics.horizontalAdvance(QStringLiteral("000.0 ms")) + 14,
                         metrics.height() + 14, -14, -(metrics.height() + 10));
}

double SweepPlot::xOf(size_t point) const {
  const QRect plot = area();
  const auto count = static_cast<double>(session_.sweepPoints().size());
  return plot.left() + (static_cast<double>(point) + 0.5) * plot.width() / std::max(1.0, count);
}

int SweepPlot::pointAt(int x) const {
  const auto count = static_cast<int>(session_.sweepPoints().size());
  const QRect plot = area();
  if (count == 0 || x < plot.left() || x > plot.right())
    return -1;
  return std::clamp((x - plot.left()) * count / std::max(1, plot.width()), 0, count - 1);
}

QString SweepPlot::textOf(size_t index) const {
  const EditSession::SweepPoint& point = session_.sweepPoints()[index];
  QString text = point.value;
  if (point.trace.isEmpty())
    return text + QStringLiteral(": ") + point.reason;
  if (point.estimateNs > 0)
    text += tr(": predicted %1").arg(timeText(point.estimateNs));
  if (point.medianNs > 0)
    text += tr(", measured %1 %2")
                .arg(timeText(point.medianNs),
                     halfWidthText(point.medianNs, point.lowNs, point.highNs));
  else if (!point.outcome.isEmpty())
    text += QStringLiteral(", ") + point.outcome;
  return text + (point.current ? tr(" (now)") : QString());
}

void SweepPlot::paintBelow(QPainter& painter) const {
  if (!session_.sweepPoints().empty())
    return;
  painter.setPen(theme().faint);
  painter.drawText(rect().adjusted(12, 0, -12, 0), Qt::AlignCenter | Qt::TextWordWrap,
                   session_.swept() >= 0 ? tr("…")
                   : session_.decisions().empty()
                       ? tr("This schedule samples nothing: there is no decision to vary.")
                       : tr("Choose a decision above: its values are predicted here, and measured "
                            "on demand."));
}

void SweepPlot::paintAbove(QPainter& painter) const {
  const auto& points = session_.sweepPoints();
  if (points.empty())
    return;
  const Theme& t = theme();
  const QRect plot = area();
  const QFontMetrics metrics(fontMetrics());
  double low = 1e300, high = 0;
  for (const EditSession::SweepPoint& point : points)
    for (const double ns : {point.estimateNs, point.medianNs})
      if (ns > 0) {
        low = std::min(low, ns);
        high = std::max(high, ns);
      }
  if (!(high > 0)) {
    low = 1;
    high = 10;
  }
  low *= std::pow(low / high, 0.12) * 0.97; // room for what marks the value of now
  high *= 1.06;
  const auto yOf = [&](double ns) {
    return plot.bottom() - std::log(ns / low) / std::log(high / low) * plot.height();
  };
  painter.setRenderHint(QPainter::Antialiasing);
  for (const double share : {0.0, 0.5, 1.0}) {
    const double ns = low * std::pow(high / low, share);
    const int y = static_cast<int>(yOf(ns));
    painter.setPen(t.line);
    painter.drawLine(plot.left(), y, plot.right(), y);
    painter.setPen(t.faint);
    painter.drawText(QRect(2, y - metrics.height() / 2, plot.left() - 8, metrics.height()),
                     Qt::AlignRight | Qt::AlignVCenter, timeText(ns));
  }
  painter.setPen(t.faint);
  painter.drawText(QRect(plot.left(), 4, plot.width(), metrics.height()),
                   Qt::AlignLeft | Qt::AlignVCenter, tr("○ predicted   ● measured   ▲ now"));
  int lastLabel = -1000;
  for (size_t i = 0; i < points.size(); ++i) {
    const EditSession::SweepPoint& point = points[i];
    const double x = xOf(i);
    if (hasFocus() && static_cast<int>(i) == current_) {
      QColor band = t.accent;
      band.setAlpha(45);
      const double half = plot.width() / (2.0 * static_cast<double>(points.size()));
      painter.fillRect(QRectF(x - half, plot.top(), 2 * half, plot.height()), band);
    }
    // The last factor of a tile is what differs.
    QString label = point.value;
    if (label.startsWith(u'['))
      label = label.section(QStringLiteral(", "), -1).chopped(1);
    const int width = metrics.horizontalAdvance(label);
    if (static_cast<int>(x) - width / 2 > lastLabel + 4) {
      lastLabel = static_cast<int>(x) + width / 2;
      painter.setPen(point.trace.isEmpty() ? t.faint : t.text);
      painter.drawText(QRectF(x - width / 2.0 - 2, plot.bottom() + 5, width + 4, metrics.height()),
                       Qt::AlignCenter, label);
    }
    if (point.trace.isEmpty()) {
      painter.setPen(t.failed);
      painter.drawText(QRectF(x - 10, plot.bottom() - metrics.height(), 20, metrics.height()),
                       Qt::AlignCenter, QStringLiteral("×"));
      continue;
    }
    if (point.estimateNs > 0) {
      painter.setPen(QPen(t.accent, 1.6));
      painter.setBrush(t.base);
      painter.drawEllipse(QPointF(x, yOf(point.estimateNs)), 4, 4);
    }
    if (point.medianNs > 0) {
      painter.setPen(QPen(t.text, 1.4));
      if (point.lowNs > 0 && point.highNs > 0)
        painter.drawLine(QPointF(x, yOf(std::max(point.lowNs, low))),
                         QPointF(x, yOf(std::min(point.highNs, high))));
      painter.setBrush(t.accent);
      painter.setPen(Qt::NoPen);
      painter.drawEllipse(QPointF(x, yOf(point.medianNs)), 4.5, 4.5);
    } else if (!point.outcome.isEmpty()) {
      painter.setPen(t.failed);
      painter.drawText(QRectF(x - 10, plot.bottom() - metrics.height(), 20, metrics.height()),
                       Qt::AlignCenter, QStringLiteral("×"));
    }
    if (point.current) {
      painter.setPen(Qt::NoPen);
      painter.setBrush(t.text);
      painter.drawPolygon(QPolygonF{
          {x - 5, plot.bottom() + 5.0}, {x + 5, plot.bottom() + 5.0}, {x, plot.bottom() - 2.0}});
    }
  }
}

void SweepPlot::mouseMoveEvent(QMouseEvent* event) {
  const QPoint at = event->position().toPoint();
  const int point = pointAt(at.x());
  if (point < 0)
    QToolTip::hideText();
  else
    QToolTip::showText(mapToGlobal(at), textOf(static_cast<size_t>(point)), this);
}

void SweepPlot::mouseReleaseEvent(QMouseEvent* event) {
  if (const int point = pointAt(event->position().toPoint().x()); point >= 0) {
    current_ = point;
    session_.takeSweep(point);
  }
}

void SweepPlot::keyPressEvent(QKeyEvent* event) {
  const auto count = static_cast<int>(session_.sweepPoints().size());
  const int key = event->key();
  if (count == 0 || (key != Qt::Key_Left && key != Qt::Key_Right && key != Qt::Key_Return))
    return PlotCanvas::keyPressEvent(event);
  if (key == Qt::Key_Return)
    session_.takeSweep(current_);
  else
    current_ = std::clamp(current_ + (key == Qt::Key_Right ? 1 : -1), 0, count - 1);
  touch();
}

QString SweepPlot::csv() const {
  QString text = QStringLiteral("value,predicted_ns,measured_ns,low_ns,high_ns,outcome\n");
  const auto number = [](double ns) { return ns > 0 ? QString::number(ns, 'g', 10) : QString(); };
  for (const EditSession::SweepPoint& point : session_.sweepPoints())
    text +=
        QStringLiteral("\"%1\",%2,%3,%4,%5,%6\n")
            .arg(point.value, number(point.estimateNs), number(point.medianNs), number(point.lowNs),
                 number(point.highNs), point.trace.isEmpty() ? tr("not legal") : point.outcome);
  return text;
}

} // namespace temper::gui
