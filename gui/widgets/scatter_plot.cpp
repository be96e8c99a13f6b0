#include "gui/widgets/scatter_plot.h"

#include "gui/core/format.h"
#include "gui/core/plot_raster.h"
#include "gui/widgets/theme.h"

#include <QMouseEvent>
#include <QPainter>
#include <QToolTip>

#include <algorithm>
#include <cmath>

namespace temper::gui {

namespace {
constexpr int kNear = 8;      ///< pixels between a click and the point that is meant
constexpr int kDragStart = 5; ///< less is a click
} // namespace

// ---- What both share

QRect ScatterPlot::area() const {
  const QFontMetrics metrics(fontMetrics());
  int labels = 0;
  for (const auto& [place, text] : yAxis_.ticks)
    labels = std::max(labels, metrics.horizontalAdvance(text));
  return rect().adjusted(labels + metrics.height() + 22, 14, -18, -(2 * metrics.height() + 14));
}

QPointF ScatterPlot::pointOf(float x, float y) const {
  const QRect plot = area();
  return {plot.left() + static_cast<double>(x) * (plot.width() - 1),
          plot.bottom() - static_cast<double>(y) * (plot.height() - 1)};
}

void ScatterPlot::setCloud(std::shared_ptr<const Cloud> cloud, Axis x, Axis y) {
  cloud_ = std::move(cloud);
  xAxis_ = std::move(x);
  yAxis_ = std::move(y);
  setAccessibleDescription(
      countText(cloud_ ? static_cast<int64_t>(cloud_->records.size()) : 0, "record"));
  renew();
}

void ScatterPlot::setSelected(uint64_t record) {
  selected_ = record;
  touch();
}

std::function<QImage()> ScatterPlot::picture(qreal ratio) const {
  if (!cloud_ || cloud_->records.empty())
    return nullptr;
  return [cloud = cloud_, plot = area(), size = size() * ratio, ratio, grey = theme().measured,
          dark = theme().dark] {
    Points points;
    points.tones = cloud->tones;
    points.on = cloud->on;
    points.places.reserve(cloud->x.size());
    const double outside = -1000;
    for (size_t i = 0; i < cloud->x.size(); ++i)
      points.places.push_back(
          std::isnan(cloud->x[i]) || std::isnan(cloud->y[i])
              ? QPointF(outside, outside)
              : QPointF((plot.left() + static_cast<double>(cloud->x[i]) * (plot.width() - 1)) *
                            ratio,
                        (plot.bottom() - static_cast<double>(cloud->y[i]) * (plot.height() - 1)) *
                            ratio));
    const int edge = cloud->x.size() > 5000 ? 3 : 5;
    return paintPoints(points, size, static_cast<int>(edge * ratio), grey, dark);
  };
}

void ScatterPlot::paintBelow(QPainter& painter) const {
  const Theme& t = theme();
  if (!cloud_ || cloud_->records.empty()) {
    painter.setPen(t.faint);
    painter.drawText(rect().adjusted(24, 0, -24, 0), Qt::AlignCenter | Qt::TextWordWrap,
                     emptyText());
    return;
  }
  const QRect plot = area();
  const QFontMetrics metrics(fontMetrics());
  QColor grid = t.line;
  grid.setAlpha(140);
  int last = -1000;
  for (const auto& [place, text] : xAxis_.ticks) {
    const int x = static_cast<int>(pointOf(place, 0).x());
    painter.setPen(grid);
    painter.drawLine(x, plot.top(), x, plot.bottom());
    const int width = metrics.horizontalAdvance(text);
    if (x - width / 2 < last + 8)
      continue;
    last = x + width / 2;
    painter.setPen(t.text);
    painter.drawText(QRect(x - width / 2 - 2, plot.bottom() + 5, width + 4, metrics.height()),
                     Qt::AlignCenter, text);
  }
  for (const auto& [place, text] : yAxis_.ticks) {
    const int y = static_cast<int>(pointOf(0, place).y());
    painter.setPen(grid);
    painter.drawLine(plot.left(), y, plot.right(), y);
    painter.setPen(t.text);
    painter.drawText(QRect(0, y - metrics.height() / 2, plot.left() - 6, metrics.height()),
                     Qt::AlignRight | Qt::AlignVCenter, text);
  }
  painter.setPen(t.text);
  painter.drawLine(plot.bottomLeft(), plot.bottomRight());
  painter.drawLine(plot.bottomLeft(), plot.topLeft());
  painter.setPen(t.faint);
  painter.drawText(
      QRect(plot.left(), plot.bottom() + 7 + metrics.height(), plot.width(), metrics.height()),
      Qt::AlignCenter, metrics.elidedText(xAxis_.title, Qt::ElideRight, plot.width()));
  painter.translate(8, plot.bottom());
  painter.rotate(-90);
  painter.drawText(QRect(0, 0, plot.height(), metrics.height()), Qt::AlignCenter,
                   metrics.elidedText(yAxis_.title, Qt::ElideRight, plot.height()));
}

void ScatterPlot::paintAbove(QPainter& painter) const {
  if (!cloud_ || cloud_->records.empty())
    return;
  painter.setRenderHint(QPainter::Antialiasing);
  for (const Mark& mark : marks()) {
    const auto at = std::find(cloud_->records.begin(), cloud_->records.end(), mark.record);
    if (at == cloud_->records.end())
      continue;
    const auto i = static_cast<size_t>(at - cloud_->records.begin());
    if (std::isnan(cloud_->y[i]))
      continue;
    const float x = std::isnan(cloud_->x[i]) ? 0 : cloud_->x[i];
    if (mark.isBaseline && baselineIsLine()) {
      painter.setPen(QPen(theme().text, 1, Qt::DashLine));
      painter.drawLine(pointOf(0, cloud_->y[i]), pointOf(1, cloud_->y[i]));
    }
    if (!std::isnan(cloud_->x[i]))
      paintMark(painter, pointOf(x, cloud_->y[i]), mark.isBaseline);
  }
  if (selected_ == 0)
    return;
  const auto at = std::find(cloud_->records.begin(), cloud_->records.end(), selected_);
  if (at == cloud_->records.end())
    return;
  const auto i = static_cast<size_t>(at - cloud_->records.begin());
  if (std::isnan(cloud_->x[i]) || std::isnan(cloud_->y[i]))
    return;
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setPen(QPen(theme().base, 4));
  painter.setBrush(Qt::NoBrush);
  painter.drawEllipse(pointOf(cloud_->x[i], cloud_->y[i]), 6, 6);
  painter.setPen(QPen(theme().text, 2));
  painter.drawEllipse(pointOf(cloud_->x[i], cloud_->y[i]), 6, 6);
}

int ScatterPlot::pointNear(const QPoint& position) const {
  if (!cloud_)
    return -1;
  int best = -1;
  double distance = kNear * kNear;
  for (size_t i = 0; i < cloud_->x.size(); ++i) {
    if (std::isnan(cloud_->x[i]) || std::isnan(cloud_->y[i]) ||
        (!cloud_->on.empty() && cloud_->on[i] == 0))
      continue;
    const QPointF away = pointOf(cloud_->x[i], cloud_->y[i]) - position;
    if (const double square = QPointF::dotProduct(away, away); square < distance) {
      distance = square;
      best = static_cast<int>(i);
    }
  }
  return best;
}

void ScatterPlot::mouseMoveEvent(QMouseEvent* event) {
  const QPoint at = event->position().toPoint();
  const int point = pointNear(at);
  if (point < 0)
    QToolTip::hideText();
  else
    QToolTip::showText(mapToGlobal(at), tipOf(static_cast<size_t>(point)), this);
}

void ScatterPlot::mouseReleaseEvent(QMouseEvent* event) {
  if (const int point = pointNear(event->position().toPoint()); point >= 0)
    emit recordClicked(
        idText(database::Kind::kMeasurement, cloud_->records[static_cast<size_t>(point)]));
}

// ---- Predicted against measured

PredictedPlot::PredictedPlot(Analysis& analysis, QWidget* parent)
    : ScatterPlot(parent), analysis_(analysis) {
  setObjectName(QStringLiteral("plot.predicted"));
  setAccessibleName(tr("Predicted against measured"));
  connect(&analysis_, &Analysis::dataChanged, this, &PredictedPlot::showData);
  connect(&analysis_, &Analysis::brushChanged, this, &PredictedPlot::showData);
}

void PredictedPlot::showData() {
  const auto data = analysis_.data();
  auto cloud = std::make_shared<Cloud>();
  Axis x, y;
  if (data)
    for (size_t axis = 0; axis < data->axes.size(); ++axis) {
      if (data->axes[axis].kind == PlotAxis::Kind::kDecision)
        continue;
      const bool isTime = data->axes[axis].kind == PlotAxis::Kind::kTime;
      std::vector<float>& places = isTime ? cloud->y : cloud->x;
      places = data->places[axis];
      for (float& place : places)
        if (place < 0)
          place = std::numeric_limits<float>::quiet_NaN();
      (isTime ? y : x).ticks = data->axes[axis].ticks;
    }
  if (!cloud->x.empty() && !cloud->y.empty()) {
    cloud->records = data->records;
    cloud->tones = data->tones;
    if (const auto on = analysis_.on(); on && on->size() == data->records.size())
      cloud->on = *on;
    x.title = std::isnan(data->rankCorrelation)
                  ? tr("score before it was measured (higher: thought faster)")
                  : tr("score before it was measured (higher: thought faster); rank correlation "
                       "with the speed %1")
                        .arg(data->rankCorrelation, 0, 'f', 2);
    y.title = tr("time (up is faster)");
  }
  setCloud(std::move(cloud), std::move(x), std::move(y));
}

QString PredictedPlot::emptyText() const {
  if (analysis_.isBusy())
    return tr("Reading what was predicted…");
  return analysis_.data() && !analysis_.data()->records.empty()
             ? tr("Nothing was predicted of these records: a run's model predicts once it has "
                  "learnt from a first batch.")
             : tr("No record passes the filter. Clear it, or choose another kernel above.");
}

QString PredictedPlot::tipOf(size_t point) const {
  const auto data = analysis_.data();
  if (!data || point >= data->records.size())
    return {};
  return tr("%1: score %2, %3")
      .arg(shortId(idText(database::Kind::kMeasurement, data->records[point])))
      .arg(data->predicted[point], 0, 'f', 3)
      .arg(timeText(data->timeNs[point]));
}

QString PredictedPlot::csv() const {
  const auto data = analysis_.data();
  QString text = QStringLiteral("record,score,median_ns\n");
  for (size_t i = 0; data && i < data->records.size(); ++i)
    if (!std::isnan(data->predicted[i]) && data->timeNs[i] > 0)
      text += QStringLiteral("%1,%2,%3\n")
                  .arg(idText(database::Kind::kMeasurement, data->records[i]))
                  .arg(data->predicted[i], 0, 'g', 8)
                  .arg(data->timeNs[i], 0, 'g', 10);
  return text;
}

void PredictedPlot::paintAbove(QPainter& painter) const {
  ScatterPlot::paintAbove(painter);
  if (dragging_) {
    QColor fill = theme().accent;
    fill.setAlpha(40);
    painter.setPen(QPen(theme().accent, 1));
    painter.setBrush(fill);
    painter.drawRect(QRect(dragFrom_, dragTo_).normalized());
  }
}

void PredictedPlot::mousePressEvent(QMouseEvent* event) {
  dragFrom_ = dragTo_ = event->position().toPoint();
}

void PredictedPlot::mouseMoveEvent(QMouseEvent* event) {
  if (!(event->buttons() & Qt::LeftButton))
    return ScatterPlot::mouseMoveEvent(event);
  dragTo_ = event->position().toPoint();
  dragging_ = (dragTo_ - dragFrom_).manhattanLength() >= kDragStart;
  touch();
}

void PredictedPlot::mouseReleaseEvent(QMouseEvent* event) {
  if (!std::exchange(dragging_, false))
    return ScatterPlot::mouseReleaseEvent(event);
  const QRect plot = area();
  const QRect chosen = QRect(dragFrom_, dragTo_).normalized();
  const auto xOf = [&](int x) {
    return static_cast<float>(x - plot.left()) / static_cast<float>(std::max(1, plot.width() - 1));
  };
  const auto yOf = [&](int y) {
    return static_cast<float>(plot.bottom() - y) /
           static_cast<float>(std::max(1, plot.height() - 1));
  };
  analysis_.brush(QStringLiteral("predicted"), std::max(0.f, xOf(chosen.left())),
                  xOf(chosen.right()));
  analysis_.brush(QStringLiteral("time"), std::max(0.f, yOf(chosen.bottom())), yOf(chosen.top()));
  touch();
}

void PredictedPlot::mouseDoubleClickEvent(QMouseEvent*) { analysis_.clearBrushes(); }

// ---- The roofline

RooflinePlot::RooflinePlot(Analysis& analysis, QWidget* parent)
    : ScatterPlot(parent), analysis_(analysis) {
  setObjectName(QStringLiteral("plot.roofline"));
  setAccessibleName(tr("Roofline"));
  connect(&analysis_, &Analysis::dataChanged, this, &RooflinePlot::showData);
  connect(&analysis_, &Analysis::machineChanged, this, &RooflinePlot::showData);
}

bool RooflinePlot::hasRoof() const {
  const auto data = analysis_.roofline();
  return data && analysis_.machine() && analysis_.machine()->flops > 0 &&
         analysis_.machine()->environment == data->machine.environment;
}

QPointF RooflinePlot::placeOf(double intensity, double flops) const {
  return pointOf(static_cast<float>((std::log10(intensity) - xLow_) / (xHigh_ - xLow_)),
                 static_cast<float>((std::log10(flops) - yLow_) / (yHigh_ - yLow_)));
}

void RooflinePlot::showData() {
  const auto data = analysis_.roofline();
  auto cloud = std::make_shared<Cloud>();
  Axis x, y;
  if (data && !data->records.empty()) {
    double left = 1e300, right = 0, low = 1e300, high = 0;
    for (const RooflineData::Kernel& kernel : data->kernels) {
      left = std::min(left, kernel.intensity);
      right = std::max(right, kernel.intensity);
    }
    for (const double flops : data->flops) {
      low = std::min(low, flops);
      high = std::max(high, flops);
    }
    if (hasRoof()) {
      const double peak = analysis_.machine()->flops * data->machine.threads;
      high = std::max(high, peak);
      if (!analysis_.machine()->levels.empty()) // the knee of the slowest level
        right = std::max(right, peak / analysis_.machine()->levels.back().bytesPerSecond);
    }
    // Nobody looks at what is a thousand times slower than the fastest.
    low = std::max(low, high / 20'000);
    xLow_ = std::log10(left) - (hasRoof() ? 0.9 : 0.3); // the roofs' names stand at the left
    xHigh_ = std::log10(right) + 0.5;
    yLow_ = std::log10(low) - 0.1;
    yHigh_ = std::log10(high) + 0.45; // names stand above the roof
    for (size_t i = 0; i < data->records.size(); ++i) {
      const double intensity = data->kernels[data->kernelOf[i]].intensity;
      cloud->x.push_back(static_cast<float>((std::log10(intensity) - xLow_) / (xHigh_ - xLow_)));
      cloud->y.push_back(static_cast<float>(
          std::max(0.0, (std::log10(data->flops[i]) - yLow_) / (yHigh_ - yLow_))));
    }
    cloud->records = data->records;
    cloud->tones = data->tones;
    x.title = tr("operations per byte that must be moved");
    QStringList units;
    for (const RooflineData::Kernel& kernel : data->kernels)
      if (!units.contains(kernel.unit))
        units << kernel.unit;
    y.title = units.join(tr(", "));
    for (int decade = static_cast<int>(std::floor(xLow_)); decade <= xHigh_; ++decade)
      for (const double part : {1.0, 2.0, 5.0})
        if (const double at = decade + std::log10(part); at >= xLow_ && at <= xHigh_)
          x.ticks.emplace_back(static_cast<float>((at - xLow_) / (xHigh_ - xLow_)),
                               QString::number(std::pow(10, decade) * part, 'g', 6));
    for (int decade = static_cast<int>(std::floor(yLow_)); decade <= yHigh_; ++decade)
      if (decade >= yLow_)
        y.ticks.emplace_back(static_cast<float>((decade - yLow_) / (yHigh_ - yLow_)),
                             QString::number(std::pow(10, decade - 9), 'g', 6));
  }
  setCloud(std::move(cloud), std::move(x), std::move(y));
}

void RooflinePlot::paintBelow(QPainter& painter) const {
  painter.save();
  ScatterPlot::paintBelow(painter);
  painter.restore();
  const auto data = analysis_.roofline();
  if (!data || data->records.empty())
    return;
  const Theme& t = theme();
  const QRect plot = area();
  if (!hasRoof()) {
    painter.setPen(t.faint);
    painter.drawText(plot.adjusted(8, 4, -8, 0), Qt::AlignRight | Qt::AlignTop,
                     !analysis_.machine() ? tr("asking what the machine can do…")
                                          : tr("no roof: these were measured on another machine"));
    return;
  }
  painter.setClipRect(plot);
  painter.setRenderHint(QPainter::Antialiasing);
  const MachineLimits& machine = *analysis_.machine();
  const double peak = machine.flops * data->machine.threads;
  const auto place = [this](double intensity, double flops) { return placeOf(intensity, flops); };
  painter.setPen(QPen(t.text, 1.5));
  painter.drawLine(place(std::pow(10, xLow_), peak), place(std::pow(10, xHigh_), peak));
  for (size_t i = 0; i < machine.levels.size(); ++i) {
    // Caches of their own serve every thread, memory all together, at best.
    const double bandwidth = machine.levels[i].bytesPerSecond * data->machine.threads;
    if (!(bandwidth > 0))
      continue;
    painter.setPen(
        QPen(t.faint, 1.2, i + 1 == machine.levels.size() ? Qt::SolidLine : Qt::DashLine));
    painter.drawLine(place(std::pow(10, xLow_), std::pow(10, xLow_) * bandwidth),
                     place(peak / bandwidth, peak));
  }
}

/// The names of the roofs, which stand on them.
void RooflinePlot::paintRoofNames(QPainter& painter) const {
  const auto data = analysis_.roofline();
  const MachineLimits& machine = *analysis_.machine();
  const Theme& t = theme();
  const QRect plot = area();
  const QFontMetrics metrics(fontMetrics());
  const double peak = machine.flops * data->machine.threads;
  QColor ground = t.base;
  ground.setAlpha(205);
  const auto write = [&](const QPointF& at, const QString& text, double angle) {
    painter.save();
    painter.translate(at);
    painter.rotate(angle);
    const QRectF place(4, -metrics.height() - 3, metrics.horizontalAdvance(text) + 4,
                       metrics.height());
    painter.fillRect(place, ground);
    painter.drawText(place, Qt::AlignCenter, text);
    painter.restore();
  };
  painter.setPen(t.text);
  write(placeOf(std::pow(10, xLow_), peak), tr("%1 GFLOP/s float32").arg(peak / 1e9, 0, 'f', 0), 0);
  painter.setPen(t.faint);
  for (const MachineLimits::Level& level : machine.levels) {
    const double bandwidth = level.bytesPerSecond * data->machine.threads;
    if (!(bandwidth > 0))
      continue;
    QPointF from = placeOf(std::pow(10, xLow_), std::pow(10, xLow_) * bandwidth);
    const QPointF to = placeOf(peak / bandwidth, peak);
    if (from.y() > plot.bottom())
      from += (to - from) * ((from.y() - plot.bottom()) / std::max(1.0, from.y() - to.y()));
    const QString text =
        QStringLiteral("%1 %2 GB/s").arg(level.name).arg(bandwidth / 1e9, 0, 'f', 0);
    if (std::hypot(to.x() - from.x(), to.y() - from.y()) > metrics.horizontalAdvance(text) + 20)
      write(from + (to - from) * 0.03, text,
            std::atan2(to.y() - from.y(), to.x() - from.x()) * 180 / M_PI);
  }
}

void RooflinePlot::paintAbove(QPainter& painter) const {
  const auto data = analysis_.roofline();
  if (!data || data->records.empty())
    return;
  if (hasRoof())
    paintRoofNames(painter);
  // The names of the kernels at their fastest, those that have room.
  const Theme& t = theme();
  const QFontMetrics metrics(fontMetrics());
  const int height = metrics.height();
  std::vector<QRect> taken;
  if (hasRoof()) { // the name of the highest roof
    const QPoint at =
        placeOf(std::pow(10, xLow_), analysis_.machine()->flops * data->machine.threads).toPoint();
    taken.emplace_back(at.x(), at.y() - height - 4, metrics.horizontalAdvance(u'0') * 20, height);
  }
  std::vector<const RooflineData::Kernel*> kernels;
  for (const RooflineData::Kernel& kernel : data->kernels)
    if (kernel.flops > 0)
      kernels.push_back(&kernel);
  std::sort(kernels.begin(), kernels.end(),
            [](const auto* a, const auto* b) { return a->intensity < b->intensity; });
  painter.setRenderHint(QPainter::Antialiasing);
  for (const RooflineData::Kernel* kernel : kernels) {
    painter.setPen(QPen(t.base, 1));
    painter.setBrush(t.best);
    painter.drawEllipse(placeOf(kernel->intensity, kernel->flops), 4, 4);
  }
  for (const RooflineData::Kernel* kernel : kernels) {
    const QPoint at = placeOf(kernel->intensity, kernel->flops).toPoint();
    const QString text = metrics.elidedText(kernel->name, Qt::ElideRight, 230);
    const int width = metrics.horizontalAdvance(text) + 6;
    for (const QPoint& corner :
         {QPoint(8, -height / 2), QPoint(-8 - width, -height / 2), QPoint(-width / 2, -height - 6),
          QPoint(-width / 2, -2 * height - 8), QPoint(-width / 2, -3 * height - 10),
          QPoint(8, height / 2 + 2), QPoint(-8 - width, height / 2 + 2)}) {
      const QRect place(at + corner, QSize(width, height));
      if (!rect().adjusted(4, 2, -4, -2).contains(place) || place.left() < area().left() ||
          std::any_of(taken.begin(), taken.end(),
                      [&](const QRect& other) { return other.intersects(place); }))
        continue;
      taken.push_back(place);
      QColor ground = t.base;
      ground.setAlpha(205);
      painter.fillRect(place, ground);
      painter.setPen(t.text);
      painter.drawText(place, Qt::AlignCenter, text);
      break;
    }
  }
  paintWays(painter);
  ScatterPlot::paintAbove(painter);
}

void RooflinePlot::setSides(uint64_t a, uint64_t b) {
  sides_[0] = a;
  sides_[1] = b;
  touch();
}

namespace {
constexpr double kHead = 9, kClear = 9; // an arrow's head; between its end and the point
} // namespace

std::vector<RooflinePlot::Way> RooflinePlot::ways() const {
  std::vector<Way> ways;
  const auto data = analysis_.roofline();
  if (!data)
    return ways;
  const auto rowOf = [&](uint64_t record) {
    const auto at = std::find(data->records.begin(), data->records.end(), record);
    return record == 0 || at == data->records.end() ? -1 : at - data->records.begin();
  };
  const auto add = [&](uint64_t from, uint64_t to) {
    const auto a = rowOf(from), b = rowOf(to);
    if (a < 0 || b < 0 || a == b ||
        data->kernelOf[static_cast<size_t>(a)] != data->kernelOf[static_cast<size_t>(b)] ||
        std::any_of(ways.begin(), ways.end(),
                    [&](const Way& way) { return way.from == from && way.to == to; }))
      return;
    const auto placeOfRow = [&](ptrdiff_t row) {
      const auto i = static_cast<size_t>(row);
      return placeOf(data->kernels[data->kernelOf[i]].intensity, data->flops[i]);
    };
    const QPointF start = placeOfRow(a), end = placeOfRow(b);
    const double length = std::hypot(end.x() - start.x(), end.y() - start.y());
    if (length < 3 * kHead)
      return;
    const QPointF along = (end - start) / length;
    ways.push_back({from, to, QLineF(start + along * kClear, end - along * kClear)});
  };
  for (const Mark& mark : marks())
    if (mark.isBaseline)
      add(mark.record, selected());
  add(sides_[0], sides_[1]);
  return ways;
}

void RooflinePlot::paintWays(QPainter& painter) const {
  for (const Way& way : ways()) {
    const QPointF tip = way.line.p2(), along = (tip - way.line.p1()) / way.line.length(),
                  across(-along.y(), along.x());
    painter.setPen(QPen(theme().text, 1.5));
    painter.drawLine(way.line);
    painter.setBrush(theme().text);
    painter.drawPolygon(QPolygonF{tip, tip - along * kHead + across * kHead / 2.5,
                                  tip - along * kHead - across * kHead / 2.5});
  }
}

QString RooflinePlot::emptyText() const {
  if (analysis_.isBusy())
    return tr("Gathering what was measured…");
  const auto data = analysis_.roofline();
  return data && data->without > 0
             ? tr("Of these workloads it is not known how many operations they do, or what they "
                  "move: flops and bytes in the workload's file put them here.")
             : tr("No record passes the filter.");
}

QString RooflinePlot::tipOf(size_t point) const {
  const auto data = analysis_.roofline();
  if (!data || point >= data->records.size())
    return {};
  const RooflineData::Kernel& kernel = data->kernels[data->kernelOf[point]];
  QString text =
      tr("%1: %2\n%3 %5 at %4 operations per byte")
          .arg(shortId(idText(database::Kind::kMeasurement, data->records[point])), kernel.name)
          .arg(data->flops[point] / 1e9, 0, 'f', 1)
          .arg(kernel.intensity, 0, 'f', 2)
          .arg(kernel.unit);
  if (hasRoof() && !analysis_.machine()->levels.empty())
    text +=
        tr(", %1 % of the peak")
            .arg(100 * data->flops[point] / (analysis_.machine()->flops * data->machine.threads), 0,
                 'f', 0);
  return text;
}

QString RooflinePlot::csv() const {
  const auto data = analysis_.roofline();
  QString text = QStringLiteral("record,kernel,flops_per_byte,flops_per_second\n");
  for (size_t i = 0; data && i < data->records.size(); ++i) {
    const RooflineData::Kernel& kernel = data->kernels[data->kernelOf[i]];
    text += QStringLiteral("%1,\"%2\",%3,%4\n")
                .arg(idText(database::Kind::kMeasurement, data->records[i]), kernel.name)
                .arg(kernel.intensity, 0, 'g', 8)
                .arg(data->flops[i], 0, 'g', 8);
  }
  return text;
}

} // namespace temper::gui
