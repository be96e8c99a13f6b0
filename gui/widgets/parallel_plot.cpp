#include "gui/widgets/parallel_plot.h"

#include "gui/core/format.h"
#include "gui/core/plot_raster.h"
#include "gui/widgets/theme.h"

#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QToolTip>

#include <algorithm>
#include <cmath>

namespace temper::gui {

namespace {
constexpr int kSide = 44;            ///< room for the first name
constexpr int kEdge = 8;             ///< between a name and the plot's edge
constexpr int kBesideAxis = 8;       ///< between an axis, with its dots, and a label
constexpr int kHandle = 7;           ///< half the width of a brush
constexpr int kDragStart = 4;        ///< less is a click
constexpr float kAbsentRoom = 0.03f; ///< around the place of what is absent
} // namespace

ParallelPlot::ParallelPlot(Analysis& analysis, QWidget* parent)
    : PlotCanvas(parent), analysis_(analysis) {
  setObjectName(QStringLiteral("plot.parallel"));
  setAccessibleName(tr("Parallel coordinates"));
  setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Expanding);
  const auto fresh = [this] {
    const auto data = analysis_.data();
    setAccessibleDescription(
        data ? tr("%1 on %2 axes")
                   .arg(countText(static_cast<int64_t>(data->records.size()), "record"))
                   .arg(data->axes.size())
             : QString());
    renew();
  };
  connect(&analysis_, &Analysis::dataChanged, this, fresh);
  connect(&analysis_, &Analysis::brushChanged, this, [this] { renew(); });
}

QRect ParallelPlot::area() const {
  const int text = fontMetrics().height();
  int labels = 0; // of the last axis, which stand at its right
  if (const auto data = analysis_.data(); data && !data->axes.empty())
    for (const auto& [place, label] : data->axes.back().ticks)
      labels = std::max(labels, fontMetrics().horizontalAdvance(label));
  // Two lines of names above, the row of what is absent below: under the lowest label.
  return rect().adjusted(kSide, 2 * text + 16, -(labels + 14), -(text + text / 2 + 12));
}

int ParallelPlot::axisX(size_t axis) const {
  const auto data = analysis_.data();
  const QRect plot = area();
  const size_t count = data ? data->axes.size() : 0;
  return count < 2 ? plot.center().x()
                   : plot.left() + static_cast<int>(static_cast<double>(axis) * plot.width() /
                                                    static_cast<double>(count - 1));
}

int ParallelPlot::yOf(float place) const {
  const QRect plot = area();
  // What is absent keeps its row below, however high the plot is.
  return place < 0 ? plot.bottom() + fontMetrics().height() + 3
                   : plot.bottom() - static_cast<int>(std::lround(place * (plot.height() - 1)));
}

float ParallelPlot::placeOf(int y) const {
  const QRect plot = area();
  if (y > plot.bottom() + fontMetrics().height() / 2)
    return kAbsentPlace;
  return static_cast<float>(plot.bottom() - y) / static_cast<float>(std::max(1, plot.height() - 1));
}

int ParallelPlot::axisAt(int x) const {
  const auto data = analysis_.data();
  if (!data)
    return -1;
  int best = -1;
  int distance = 18;
  for (size_t axis = 0; axis < data->axes.size(); ++axis)
    if (std::abs(axisX(axis) - x) < distance) {
      distance = std::abs(axisX(axis) - x);
      best = static_cast<int>(axis);
    }
  return best;
}

std::function<QImage()> ParallelPlot::picture(qreal ratio) const {
  const auto data = analysis_.data();
  if (!data || data->axes.size() < 2 || data->records.empty())
    return nullptr;
  std::vector<int> axes;
  for (size_t axis = 0; axis < data->axes.size(); ++axis)
    axes.push_back(static_cast<int>(axisX(axis) * ratio));
  const QRect plot = area();
  const double top = plot.top() * ratio, height = (plot.height() - 1) * ratio;
  const double bottom = plot.bottom() * ratio;
  const double absent = yOf(kAbsentPlace) * ratio;
  return [data, on = analysis_.on(), axes = std::move(axes), size = size() * ratio, top, bottom,
          height, absent, grey = theme().measured, dark = theme().dark] {
    ParallelLines lines;
    lines.tones = data->tones;
    if (on && on->size() == data->records.size())
      lines.on = *on;
    for (const std::vector<float>& places : data->places) {
      std::vector<float>& heights = lines.heights.emplace_back(places.size());
      for (size_t row = 0; row < places.size(); ++row)
        heights[row] = static_cast<float>(places[row] < 0 ? absent : bottom - places[row] * height);
    }
    (void)top;
    return paintParallel(lines, size, axes, grey, dark);
  };
}

void ParallelPlot::paintBelow(QPainter& painter) const {
  const auto data = analysis_.data();
  const Theme& t = theme();
  if (data && data->axes.size() >= 2 && !data->records.empty())
    return;
  painter.setPen(t.faint);
  const QString words =
      analysis_.isBusy() ? tr("Reading what was decided…")
      : !data || data->records.empty()
          ? tr("No record passes the filter. Clear it, or choose another kernel above.")
      : analysis_.message().isEmpty() ? tr("These records differ in nothing that was decided.")
                                      : analysis_.message();
  painter.drawText(rect(), Qt::AlignCenter | Qt::TextWordWrap, words);
}

void ParallelPlot::paintAbove(QPainter& painter) const {
  const auto data = analysis_.data();
  if (!data || data->axes.size() < 2 || data->records.empty())
    return;
  const Theme& t = theme();
  const QRect plot = area();
  const QFontMetrics metrics(fontMetrics());
  const int step = axisX(1) - axisX(0);
  QFont bold = font();
  bold.setBold(true);
  for (size_t axis = 0; axis < data->axes.size(); ++axis) {
    const PlotAxis& of = data->axes[axis];
    const int x = axisX(axis);
    const bool current = hasFocus() && static_cast<int>(axis) == current_;
    painter.setPen(QPen(current ? t.accent : t.text, current ? 2 : 1));
    painter.drawLine(x, plot.top(), x, plot.bottom());
    // Names in two rows, so that each has twice the room; none reaches the plot's edge.
    painter.setFont(of.kind == PlotAxis::Kind::kDecision ? font() : bold);
    painter.setPen(t.text);
    const QFontMetrics letters(painter.font());
    const int room = std::max(40, std::min({2 * step - 10, x + step - 5 - kEdge,
                                            this->width() - kEdge - (x - step + 5)}));
    const QString text = letters.elidedText(of.name, Qt::ElideMiddle, room);
    const int width = letters.horizontalAdvance(text);
    const QRect name(
        std::clamp(x - width / 2, kEdge, std::max(kEdge, this->width() - width - kEdge)),
        6 + static_cast<int>(axis % 2) * metrics.height(), width + 2, metrics.height());
    painter.drawText(name, Qt::AlignLeft | Qt::AlignVCenter, text);
    painter.setFont(font());
    const auto brush = analysis_.brushes().find(of.name);
    const bool dragging = dragged_ == static_cast<int>(axis) && dragFrom_ != dragTo_;
    if (brush == analysis_.brushes().end() && !dragging)
      continue;
    int top = dragging ? std::min(dragFrom_, dragTo_) : yOf(brush->second.second);
    int bottom = dragging ? std::max(dragFrom_, dragTo_) : yOf(brush->second.first);
    top = std::max(top - 2, 0);
    bottom += 2;
    QColor fill = t.accent;
    fill.setAlpha(60);
    painter.setPen(QPen(t.accent, 1.5));
    painter.setBrush(fill);
    painter.drawRect(x - kHandle, top, 2 * kHandle, bottom - top);
    painter.setBrush(Qt::NoBrush);
  }
  const auto lineOf = [&](int row) {
    QPolygonF line;
    for (size_t axis = 0; axis < data->axes.size(); ++axis)
      line << QPointF(axisX(axis), yOf(data->places[axis][static_cast<size_t>(row)]));
    return line;
  };
  painter.setRenderHint(QPainter::Antialiasing);
  for (const Mark& mark : marks()) {
    const int row = data->rowOf(mark.record);
    if (row < 0 || mark.record == selected_)
      continue;
    const QPolygonF line = lineOf(row);
    painter.setBrush(Qt::NoBrush);
    painter.setPen(QPen(mark.isBaseline ? t.text : t.accent, 1.5,
                        mark.isBaseline ? Qt::DashLine : Qt::SolidLine));
    painter.drawPolyline(line);
    paintMark(painter, line.back(), mark.isBaseline); // on the axis of times
  }
  if (const int row = selected_ ? data->rowOf(selected_) : -1; row >= 0) {
    const QPolygonF line = lineOf(row);
    painter.setPen(QPen(t.base, 4));
    painter.drawPolyline(line);
    painter.setPen(QPen(t.text, 2));
    painter.drawPolyline(line);
    painter.setBrush(t.text);
    for (const QPointF& point : line)
      painter.drawEllipse(point, 3, 3);
  }
  painter.setRenderHint(QPainter::Antialiasing, false);
  for (const Label& label : labels()) {
    painter.fillRect(label.place.adjusted(-2, 0, 2, 0), t.base);
    painter.setPen(label.isAbsent ? t.faint : t.text);
    painter.drawText(label.place, Qt::AlignCenter, label.text);
    painter.setPen(t.text);
    painter.drawLine(label.tick.x() - 3, label.tick.y(), label.tick.x() + 3, label.tick.y());
  }
}

/// Beside their ticks, on a ground of their own: no line runs through them, no dot lies on them.
std::vector<ParallelPlot::Label> ParallelPlot::labels() const {
  std::vector<Label> labels;
  const auto data = analysis_.data();
  if (!data || data->axes.size() < 2)
    return labels;
  const QFontMetrics metrics(fontMetrics());
  const int step = axisX(1) - axisX(0);
  for (size_t axis = 0; axis < data->axes.size(); ++axis) {
    const PlotAxis& of = data->axes[axis];
    const int x = axisX(axis);
    const auto add = [&](int y, const QString& text, bool isAbsent) {
      labels.push_back({QRect(x + kBesideAxis, y - metrics.height() / 2,
                              metrics.horizontalAdvance(text), metrics.height()),
                        QPoint(x, y), text, isAbsent});
    };
    int last = std::numeric_limits<int>::max();
    for (const auto& [place, text] : of.ticks) {
      const int y = yOf(place);
      if (last - y < metrics.height() && last != std::numeric_limits<int>::max())
        continue; // no room
      last = y;
      add(y,
          axis + 1 < data->axes.size() && step < 64
              ? metrics.elidedText(text, Qt::ElideRight, std::max(20, step - 10))
              : text,
          false);
    }
    if (of.hasAbsent)
      add(yOf(kAbsentPlace), tr("n/a"), true);
  }
  return labels;
}

void ParallelPlot::setSelected(uint64_t record) {
  selected_ = record;
  touch();
}

void ParallelPlot::mousePressEvent(QMouseEvent* event) {
  if (event->button() != Qt::LeftButton)
    return;
  dragged_ = axisAt(event->position().toPoint().x());
  dragFrom_ = dragTo_ = event->position().toPoint().y();
  if (dragged_ >= 0)
    current_ = dragged_;
}

void ParallelPlot::mouseMoveEvent(QMouseEvent* event) {
  const QPoint at = event->position().toPoint();
  if (event->buttons() & Qt::LeftButton && dragged_ >= 0) {
    dragTo_ = at.y();
    touch();
    return;
  }
  setCursor(axisAt(at.x()) >= 0 ? Qt::SplitVCursor : Qt::ArrowCursor);
  showTip(at);
}

void ParallelPlot::mouseReleaseEvent(QMouseEvent* event) {
  const auto data = analysis_.data();
  const QPoint at = event->position().toPoint();
  const int axis = std::exchange(dragged_, -1);
  if (!data || event->button() != Qt::LeftButton)
    return;
  if (axis >= 0 && std::abs(at.y() - dragFrom_) >= kDragStart) {
    // A pixel more each way: values that stand on the edge are meant.
    float low = placeOf(std::max(at.y(), dragFrom_) + 1);
    const float high = placeOf(std::min(at.y(), dragFrom_) - 1);
    if (low < 0)
      low = kAbsentPlace - kAbsentRoom;
    analysis_.brush(data->axes[static_cast<size_t>(axis)].name, low, high);
  } else if (axis >= 0 &&
             analysis_.brushes().count(data->axes[static_cast<size_t>(axis)].name) > 0) {
    analysis_.unbrush(data->axes[static_cast<size_t>(axis)].name);
  } else if (const int line = lineNear(at); line >= 0) {
    emit recordClicked(
        idText(database::Kind::kMeasurement, data->records[static_cast<size_t>(line)]));
  }
  touch();
}

void ParallelPlot::mouseDoubleClickEvent(QMouseEvent*) { analysis_.clearBrushes(); }

/// Left and right choose an axis; up and down move a brush of a tenth along it; Delete takes it
/// away.
void ParallelPlot::keyPressEvent(QKeyEvent* event) {
  const auto data = analysis_.data();
  const auto count = data ? static_cast<int>(data->axes.size()) : 0;
  if (count == 0)
    return QWidget::keyPressEvent(event);
  current_ = std::clamp(current_, 0, count - 1);
  const QString& name = data->axes[static_cast<size_t>(current_)].name;
  const auto brush = analysis_.brushes().find(name);
  constexpr float kPart = 0.1f;
  switch (event->key()) {
  case Qt::Key_Left:
  case Qt::Key_Right:
    current_ = std::clamp(current_ + (event->key() == Qt::Key_Right ? 1 : -1), 0, count - 1);
    touch();
    return;
  case Qt::Key_Up:
  case Qt::Key_Down: {
    float low = brush == analysis_.brushes().end() ? (event->key() == Qt::Key_Up ? -kPart : 1.0f)
                                                   : std::max(brush->second.first, -kPart);
    low += event->key() == Qt::Key_Up ? kPart : -kPart;
    if (low < -1.5f * kPart || low > 1.0f)
      return;
    analysis_.brush(name, low < -0.5f * kPart ? kAbsentPlace - kAbsentRoom : low - 0.001f,
                    low < -0.5f * kPart ? -0.01f : low + kPart + 0.001f);
    touch();
    return;
  }
  case Qt::Key_Delete:
  case Qt::Key_Backspace:
    analysis_.unbrush(name);
    touch();
    return;
  default:
    QWidget::keyPressEvent(event);
  }
}

int ParallelPlot::lineNear(const QPoint& position) const {
  const auto data = analysis_.data();
  if (!data || data->axes.size() < 2)
    return -1;
  size_t axis = 0;
  while (axis + 2 < data->axes.size() && axisX(axis + 1) < position.x())
    ++axis;
  const int x0 = axisX(axis), x1 = axisX(axis + 1);
  const double share = std::clamp(double(position.x() - x0) / std::max(1, x1 - x0), 0.0, 1.0);
  const auto on = analysis_.on();
  int best = -1;
  double distance = 5;
  for (size_t row = 0; row < data->records.size(); ++row) {
    if (on && (*on)[row] == 0)
      continue;
    const double y =
        yOf(data->places[axis][row]) * (1 - share) + yOf(data->places[axis + 1][row]) * share;
    // Of several under the pointer the fastest.
    if (const double away = std::abs(y - position.y());
        away < distance - 0.5 || (best >= 0 && away < distance + 0.5 &&
                                  data->timeNs[row] < data->timeNs[static_cast<size_t>(best)])) {
      distance = std::min(distance, away);
      best = static_cast<int>(row);
    }
  }
  return best;
}

void ParallelPlot::showTip(const QPoint& position) {
  const auto data = analysis_.data();
  const int row = data ? lineNear(position) : -1;
  if (row < 0) {
    QToolTip::hideText();
    return;
  }
  QStringList lines{
      shortId(idText(database::Kind::kMeasurement, data->records[static_cast<size_t>(row)]))};
  for (size_t axis = 0; axis < data->axes.size(); ++axis)
    lines << data->axes[axis].name + QStringLiteral(":  ") +
                 data->valueText(axis, static_cast<size_t>(row));
  QToolTip::showText(mapToGlobal(position), lines.join(u'\n'), this);
}

QString ParallelPlot::csv() const {
  const auto data = analysis_.data();
  if (!data)
    return {};
  QStringList head{QStringLiteral("record")};
  for (const PlotAxis& axis : data->axes)
    head << (axis.kind == PlotAxis::Kind::kTime ? QStringLiteral("median_ns") : axis.name);
  QString text = head.join(u',') + u'\n';
  const auto on = analysis_.on();
  for (size_t row = 0; row < data->records.size(); ++row) {
    if (on && (*on)[row] == 0)
      continue;
    QStringList cells{idText(database::Kind::kMeasurement, data->records[row])};
    for (size_t axis = 0; axis < data->axes.size(); ++axis) {
      const double value = data->axes[axis].kind == PlotAxis::Kind::kTime ? data->timeNs[row]
                           : data->axes[axis].kind == PlotAxis::Kind::kPredicted
                               ? data->predicted[row]
                               : data->values[axis][row];
      cells << (std::isnan(value)                  ? QString()
                : data->axes[axis].words.isEmpty() ? QString::number(value, 'g', 10)
                                                   : data->axes[axis].textOf(value));
    }
    text += cells.join(u',') + u'\n';
  }
  return text;
}

} // namespace temper::gui
