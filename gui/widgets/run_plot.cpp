#include "gui/widgets/run_plot.h"

#include "gui/core/format.h"
#include "gui/widgets/theme.h"

#include <QBoxLayout>
#include <QBuffer>
#include <QEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QSaveFile>
#include <QSvgGenerator>
#include <QToolTip>

#include <qcustomplot.h>

#include <algorithm>
#include <cmath>

namespace temper::gui {

namespace {

/// Slower trials than so many times the best are drawn at the upper edge.
constexpr double kSlowest = 50;
/// The legend gives a text less room than it takes: its last letters would be cut.
const QString kRoom = QStringLiteral("\u00a0\u00a0\u00a0");

} // namespace

RunPlot::RunPlot(QWidget* parent) : QWidget(parent), plot_(new QCustomPlot(this)) {
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->addWidget(plot_);
  setAccessibleName(tr("Course of the run"));
  plot_->setObjectName(QStringLiteral("runPlot"));
  plot_->setMinimumSize(240, 160); // smaller ones have no room for axes
  plot_->setNoAntialiasingOnDrag(true);
  plot_->setInteractions(QCP::iRangeDrag | QCP::iRangeZoom);
  plot_->axisRect()->setRangeDrag(Qt::Horizontal);
  plot_->axisRect()->setRangeZoom(Qt::Horizontal);
  plot_->yAxis->setScaleType(QCPAxis::stLogarithmic);
  plot_->xAxis->setLabel(tr("trial"));
  dots_ = plot_->addGraph();
  dots_->setName(tr("measured") + kRoom);
  dots_->setLineStyle(QCPGraph::lsNone);
  rug_ = plot_->addGraph();
  rug_->setName(tr("failed") + kRoom);
  rug_->setLineStyle(QCPGraph::lsNone);
  best_ = plot_->addGraph();
  best_->setName(tr("best so far") + kRoom);
  best_->setLineStyle(QCPGraph::lsStepLeft);
  confirmed_ = plot_->addGraph();
  confirmed_->setName(tr("best, again") + kRoom);
  baseline_ = plot_->addGraph();
  baseline_->removeFromLegend();
  plot_->legend->setVisible(true);
  plot_->legend->setBorderPen(Qt::NoPen);
  plot_->legend->setFillOrder(QCPLegend::foColumnsFirst);
  // Above the plot, where no dot is.
  plot_->plotLayout()->insertRow(0);
  plot_->plotLayout()->addElement(0, 0, plot_->legend);
  plot_->plotLayout()->setRowStretchFactor(0, 0.001);
  plot_->plotLayout()->setRowSpacing(0);
  // A strip below over the same trials, where there is something to show.
  model_ = new QCPAxisRect(plot_);
  for (QCPAxisRect* rect : {plot_->axisRect(), model_}) // one below the other
    rect->setAutoMargins(QCP::msTop | QCP::msBottom);
  model_->setMinimumMargins({0, 6, 0, 8});
  QCPAxis* bottom = model_->axis(QCPAxis::atBottom);
  QCPAxis* left = model_->axis(QCPAxis::atLeft);
  for (QCPAxis* axis : {bottom, left}) {
    axis->setLayer(QStringLiteral("axes"));
    axis->grid()->setLayer(QStringLiteral("grid"));
  }
  bottom->setTickLabels(false);
  left->setRange(-0.15, 1.1);
  left->setLabel(tr("model"));
  auto ticks = QSharedPointer<QCPAxisTickerText>::create();
  for (const double value : {0.0, 0.5, 1.0})
    ticks->addTick(value, QString::number(value));
  left->setTicker(ticks);
  ranked_ = plot_->addGraph(bottom, left);
  ranked_->setName(tr("model's rank correlation") + kRoom);
  ranked_->removeFromLegend();
  connect(plot_->xAxis, qOverload<const QCPRange&>(&QCPAxis::rangeChanged), bottom,
          qOverload<const QCPRange&>(&QCPAxis::setRange));
  model_->setRangeDrag({});
  model_->setRangeZoom({});
  model_->setMinimumSize(0, 3 * fontMetrics().height());
  model_->setVisible(false);
  connect(plot_, &QCustomPlot::mouseDoubleClick, this, [this] {
    plot_->xAxis->setRange(0, std::max<double>(10, static_cast<double>(points_.size())));
    redraw();
  });
  connect(plot_, &QCustomPlot::mouseMove, this,
          [this](QMouseEvent* event) { showTip(event->pos()); });
  connect(plot_, &QCustomPlot::mouseRelease, this, [this](QMouseEvent* event) {
    if (const int point = pointNear(event->position()); point >= 0)
      emit recordClicked(toQString(points_[static_cast<size_t>(point)].record));
  });
  restyle();
}

void RunPlot::changeEvent(QEvent* event) {
  QWidget::changeEvent(event);
  if (event->type() == QEvent::PaletteChange || event->type() == QEvent::FontChange)
    restyle();
}

void RunPlot::restyle() {
  const Theme& t = theme();
  plot_->setBackground(t.base);
  const int left = fontMetrics().horizontalAdvance(QStringLiteral("0.0025")) +
                   fontMetrics().height() + 20; // ticks and the axis' name
  for (QCPAxisRect* rect : {plot_->axisRect(), model_}) {
    QMargins margins = rect->margins();
    margins.setLeft(left);
    margins.setRight(15);
    rect->setMargins(margins);
  }
  for (QCPAxis* axis : {plot_->xAxis, plot_->yAxis, model_->axis(QCPAxis::atBottom),
                        model_->axis(QCPAxis::atLeft)}) {
    axis->setBasePen(QPen(t.line));
    axis->setTickPen(QPen(t.line));
    axis->setSubTickPen(Qt::NoPen);
    axis->setLabelColor(t.faint);
    axis->setTickLabelColor(t.faint);
    axis->setLabelFont(font());
    axis->setTickLabelFont(font());
    axis->grid()->setPen(QPen(t.line, 0, Qt::DotLine));
    axis->grid()->setZeroLinePen(QPen(t.line, 0, Qt::DotLine));
  }
  dots_->setScatterStyle(QCPScatterStyle(QCPScatterStyle::ssDisc, t.measured, t.measured, 4));
  rug_->setScatterStyle(QCPScatterStyle(QCPScatterStyle::ssCross, t.failed, t.failed, 6));
  best_->setPen(QPen(t.best, 2));
  ranked_->setPen(QPen(t.best, 1.2));
  ranked_->setScatterStyle(QCPScatterStyle(QCPScatterStyle::ssCircle, t.best, t.base, 5));
  confirmed_->setPen(QPen(t.best, 1.5, Qt::DotLine));
  baseline_->setPen(QPen(t.text, 1, Qt::DashLine));
  plot_->legend->setBrush(t.base);
  plot_->legend->setTextColor(t.faint);
  plot_->legend->setFont(font());
  redraw();
}

/// A plot that has no size yet draws itself when it gets one.
void RunPlot::redraw() {
  if (!plot_->viewport().isEmpty())
    plot_->replot(QCustomPlot::rpQueuedReplot);
}

void RunPlot::setBaseline(double ns, const QString& name) {
  baselineNs_ = ns > 0 ? ns : 0;
  baselineName_ = name;
}

void RunPlot::setRun(const RunDetail* detail) {
  const QString run = detail ? toQString(detail->row.run.id) : QString();
  const bool sameRun = run == run_;
  // Only somebody who moved the plot keeps a part of it while it grows.
  const bool atEnd =
      !sameRun || plot_->xAxis->range().upper >= static_cast<double>(points_.size()) - 0.5;
  run_ = run;
  points_ = detail ? detail->points : std::vector<database::ConvergencePoint>();
  flops_ = detail ? detail->row.flops : database::kUnknown;
  binding_ = detail ? detail->row.binding : std::string();

  double fastest = std::numeric_limits<double>::infinity(), slowest = 0;
  for (const database::ConvergencePoint& point : points_)
    if (point.median_ns > 0) {
      fastest = std::min(fastest, point.median_ns);
      slowest = std::max(slowest, point.median_ns);
    }
  const bool any = slowest > 0;
  if (any && baselineNs_ > 0)
    fastest = std::min(fastest, baselineNs_);
  unit_ = !any ? 1 : fastest < 1e3 ? 1 : fastest < 1e6 ? 1e3 : fastest < 1e9 ? 1e6 : 1e9;
  const char* unit = unit_ == 1 ? "ns" : unit_ == 1e3 ? "µs" : unit_ == 1e6 ? "ms" : "s";
  const double top = any ? std::min(slowest, kSlowest * fastest) / unit_ * 1.1 : 10;
  const double bottom = any ? fastest / unit_ * 0.82 : 1;

  QVector<double> x, y, failedX, failedY, bestX, bestY;
  int beyond = 0;
  for (size_t i = 0; i < points_.size(); ++i) {
    const database::ConvergencePoint& point = points_[i];
    const auto at = static_cast<double>(i + 1);
    if (point.median_ns > 0) {
      const double value = point.median_ns / unit_;
      beyond += value > top ? 1 : 0;
      x << at;
      y << std::min(value, top);
    } else {
      failedX << at;
      failedY << bottom * 1.02;
    }
    if (point.best_ns > 0) {
      bestX << at;
      bestY << point.best_ns / unit_;
    }
  }
  measured_ = static_cast<int>(x.size());
  failed_ = static_cast<int>(failedX.size());
  dots_->setData(x, y, true);
  rug_->setData(failedX, failedY, true);
  best_->setData(bestX, bestY, true);
  dots_->setName(beyond > 0 ? tr("measured (%1 beyond the top)").arg(beyond) + kRoom
                            : tr("measured") + kRoom);
  rug_->setName(tr("failed (%1)").arg(failed_) + kRoom);
  // The number that counts: finalists are measured again when a run ends.
  const bool confirmed = detail && !detail->row.isLive() && detail->row.bestNs > 0 && any;
  confirmed_->setVisible(confirmed);
  confirmed ? confirmed_->addToLegend() : confirmed_->removeFromLegend();
  if (confirmed)
    confirmed_->setData({0, static_cast<double>(points_.size())},
                        {detail->row.bestNs / unit_, detail->row.bestNs / unit_}, true);

  const bool held = any && baselineNs_ > 0 && baselineNs_ / unit_ <= top;
  baseline_->setVisible(held);
  held ? baseline_->addToLegend() : baseline_->removeFromLegend();
  if (held) {
    baseline_->setName(tr("baseline %1").arg(baselineName_) + kRoom);
    baseline_->setData({0, std::max<double>(11, static_cast<double>(points_.size()) + 1)},
                       {baselineNs_ / unit_, baselineNs_ / unit_}, true);
  }

  // Labels at 1, 2, 5 of each decade: a range within one decade has some, too.
  auto ticker = QSharedPointer<QCPAxisTickerText>::create();
  const bool narrow = top / bottom < 3;
  for (double decade = std::pow(10, std::floor(std::log10(bottom))); decade <= top; decade *= 10)
    for (const double step : narrow ? std::vector<double>{1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9}
                                    : std::vector<double>{1, 2, 5})
      ticker->addTick(decade * step, QString::number(decade * step, 'g', 3));
  plot_->yAxis->setTicker(ticker);
  plot_->yAxis->setRange(bottom, top * 1.05);
  plot_->yAxis->setLabel(tr("time, %1 (lower is better)").arg(QString::fromUtf8(unit)));
  if (atEnd)
    plot_->xAxis->setRange(0, std::max<double>(10, static_cast<double>(points_.size()) + 1));
  quality_.clear();
  if (detail)
    for (const database::ModelQuality& batch : detail->quality)
      if (!std::isnan(batch.rank_correlation))
        quality_.push_back(batch);
  showQuality();
  setAccessibleDescription(tr("%1 measured, %2 failed; the model ranked %3 batches")
                               .arg(measured_)
                               .arg(failed_)
                               .arg(quality_.size()));
  redraw();
}

void RunPlot::showQuality() {
  QVector<double> x, y;
  for (const database::ModelQuality& batch : quality_) {
    x << static_cast<double>(RunDetail::trialsAt(points_, batch));
    y << std::max(-0.1, batch.rank_correlation);
  }
  ranked_->setData(x, y);
  model_->axis(QCPAxis::atBottom)->setRange(plot_->xAxis->range());
  QCPLayoutGrid* layout = plot_->plotLayout();
  if (const bool any = !quality_.empty(); any != model_->visible()) {
    model_->setVisible(any);
    if (any) {
      constexpr int kRow = 2;
      layout->addElement(kRow, 0, model_);
      layout->setRowStretchFactor(kRow, 0.28);
    } else {
      layout->take(model_); // the room is the plot's
      layout->simplify();
    }
  }
}

QString RunPlot::qualityTip(const QPoint& position) const {
  if (quality_.empty() || !model_->rect().contains(position))
    return {};
  const double trial = model_->axis(QCPAxis::atBottom)->pixelToCoord(position.x());
  const auto away = [&](const database::ModelQuality& batch) {
    return std::abs(static_cast<double>(RunDetail::trialsAt(points_, batch)) - trial);
  };
  const database::ModelQuality* nearest = nullptr;
  for (const database::ModelQuality& batch : quality_)
    if (!nearest || away(batch) < away(*nearest))
      nearest = &batch;
  QString text = tr("trained on %1, it ranked this batch with a correlation of %2")
                     .arg(countText(nearest->trials_seen, "trial"))
                     .arg(nearest->rank_correlation, 0, 'f', 2);
  if (const QString words = foreseenText(*nearest); !words.isEmpty())
    text += QStringLiteral("; ") + words;
  return text;
}

int RunPlot::pointNear(const QPointF& position) const {
  int nearest = -1;
  double distance = 8 * 8; // pixels
  const int from = static_cast<int>(plot_->xAxis->pixelToCoord(position.x() - 8)) - 2;
  const int to = static_cast<int>(plot_->xAxis->pixelToCoord(position.x() + 8)) + 1;
  for (int i = std::max(0, from); i < std::min<int>(to, static_cast<int>(points_.size())); ++i) {
    const double ns = points_[static_cast<size_t>(i)].median_ns;
    const double x = plot_->xAxis->coordToPixel(i + 1) - position.x();
    const double y =
        (ns > 0
             ? plot_->yAxis->coordToPixel(std::min(ns / unit_, plot_->yAxis->range().upper / 1.05))
             : plot_->axisRect()->bottom() - 4) -
        position.y();
    if (x * x + y * y < distance) {
      distance = x * x + y * y;
      nearest = i;
    }
  }
  return nearest;
}

void RunPlot::showTip(const QPoint& position) {
  if (const QString batch = qualityTip(position); !batch.isEmpty()) {
    QToolTip::showText(plot_->mapToGlobal(position), batch, plot_);
    return;
  }
  const int index = pointNear(position);
  if (index < 0) {
    QToolTip::hideText();
    return;
  }
  const database::ConvergencePoint& point = points_[static_cast<size_t>(index)];
  QString text = tr("trial %1: %2").arg(index + 1).arg(outcomeText(point.outcome));
  if (point.median_ns > 0)
    text += QStringLiteral(", %1, %2")
                .arg(timeText(point.median_ns), rateText(flops_, point.median_ns, binding_));
  QToolTip::showText(plot_->mapToGlobal(position), text, plot_);
}

bool RunPlot::exportTo(const QString& file, QString* problem) const {
  bool written = false;
  if (file.endsWith(QStringLiteral(".csv"), Qt::CaseInsensitive)) {
    QSaveFile target(file);
    written = target.open(QIODevice::WriteOnly) &&
              target.write(RunDetail::csv(points_, quality_).toUtf8()) >= 0 && target.commit();
  } else if (file.endsWith(QStringLiteral(".pdf"), Qt::CaseInsensitive)) {
    written = plot_->savePdf(file);
  } else if (file.endsWith(QStringLiteral(".svg"), Qt::CaseInsensitive)) {
    QBuffer buffer;
    QSvgGenerator generator;
    generator.setOutputDevice(&buffer);
    generator.setSize(plot_->size());
    generator.setViewBox(plot_->rect());
    generator.setTitle(accessibleName());
    {
      QCPPainter painter(&generator);
      painter.setMode(QCPPainter::pmVectorized);
      plot_->toPainter(&painter, plot_->width(), plot_->height());
    }
    QSaveFile target(file);
    written =
        target.open(QIODevice::WriteOnly) && target.write(buffer.data()) >= 0 && target.commit();
  } else {
    written = plot_->savePng(file, 0, 0, 2);
  }
  if (!written && problem)
    *problem = tr("the plot cannot be written to %1").arg(file);
  return written;
}

bool SamplePlot::exportTo(const QString& file, QString* problem) {
  QByteArray bytes;
  QBuffer buffer(&bytes);
  if (file.endsWith(QStringLiteral(".csv"), Qt::CaseInsensitive)) {
    bytes = "sample,ns\n";
    for (size_t i = 0; i < samples_.size(); ++i)
      bytes += QByteArray::number(static_cast<qulonglong>(i + 1)) + ',' +
               QByteArray::number(static_cast<double>(samples_[i]), 'g', 9) + '\n';
  } else if (file.endsWith(QStringLiteral(".svg"), Qt::CaseInsensitive)) {
    QSvgGenerator generator;
    generator.setOutputDevice(&buffer);
    generator.setSize(size());
    generator.setViewBox(rect());
    generator.setTitle(accessibleName());
    render(&generator);
  } else {
    constexpr int kFiner = 2;
    QImage image(size() * kFiner, QImage::Format_RGB32);
    image.setDevicePixelRatio(kFiner);
    image.fill(theme().base);
    render(&image);
    buffer.open(QIODevice::WriteOnly);
    image.save(&buffer, "PNG");
  }
  QSaveFile target(file);
  if (target.open(QIODevice::WriteOnly) && target.write(bytes) >= 0 && target.commit())
    return true;
  *problem = tr("the samples cannot be written to %1").arg(file);
  return false;
}

SamplePlot::SamplePlot(QWidget* parent) : QWidget(parent) {
  setMinimumHeight(64);
  setMaximumHeight(90);
  setAccessibleName(tr("Samples"));
}

void SamplePlot::setMeasurement(const database::Measurement* measurement) {
  samples_ = measurement ? measurement->samples_ns : std::vector<float>();
  median_ = measurement ? measurement->median_ns : 0;
  low_ = measurement ? measurement->low_ns : 0;
  high_ = measurement ? measurement->high_ns : 0;
  setVisible(samples_.size() > 1);
  setAccessibleDescription(tr("%1 samples").arg(samples_.size()));
  update();
}

std::optional<std::pair<double, double>> SamplePlot::ownRange() const {
  if (samples_.size() < 2)
    return std::nullopt;
  std::vector<float> sorted = samples_;
  std::sort(sorted.begin(), sorted.end());
  // The slowest twentieth may be far away: it stands at the edge.
  const double from = std::min<double>(sorted.front(), low_);
  const size_t last = sorted.size() - 1 - sorted.size() / 20;
  return std::pair(from, std::max<double>({sorted[last], high_, from * 1.0001}));
}

void SamplePlot::setRange(std::optional<std::pair<double, double>> range) {
  range_ = range;
  update();
}

void SamplePlot::paintEvent(QPaintEvent*) {
  const auto own = ownRange();
  if (!own)
    return;
  const Theme& t = theme();
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  const auto [from, to] = range_.value_or(*own);
  const float slowest = *std::max_element(samples_.begin(), samples_.end());
  const int text = fontMetrics().height();
  const QRectF area = QRectF(rect()).adjusted(8, 4, -8, -(text + 8));
  const auto xOf = [&](double value) {
    return area.left() + std::clamp((value - from) / (to - from), 0.0, 1.0) * area.width();
  };
  if (high_ >= low_ && low_ > 0) {
    QColor band = t.accent;
    band.setAlpha(50);
    painter.fillRect(
        QRectF(xOf(low_), area.top(), std::max(2.0, xOf(high_) - xOf(low_)), area.height()), band);
  }
  // In the order they were taken, from the top: drift shows as a slant.
  painter.setPen(Qt::NoPen);
  painter.setBrush(t.measured);
  for (size_t i = 0; i < samples_.size(); ++i)
    painter.drawEllipse(QPointF(xOf(samples_[i]), area.top() + 3 +
                                                      (area.height() - 6) * static_cast<double>(i) /
                                                          static_cast<double>(samples_.size() - 1)),
                        2, 2);
  painter.setPen(QPen(t.accent, 1.5));
  painter.drawLine(QPointF(xOf(median_), area.top()), QPointF(xOf(median_), area.bottom()));
  painter.setPen(t.line);
  painter.drawLine(area.bottomLeft(), area.bottomRight());
  painter.setPen(t.faint);
  const QRectF labels(area.left(), area.bottom() + 3, area.width(), text);
  painter.drawText(labels, Qt::AlignLeft, timeText(from));
  painter.drawText(labels, Qt::AlignRight,
                   slowest > to ? timeText(to) + tr(" and more") : timeText(to));
}

} // namespace temper::gui
