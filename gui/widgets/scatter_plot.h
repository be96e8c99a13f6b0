/// Points between two axes: what was predicted against what was measured, and all kernels of a
/// machine under its roofline.
#pragma once

#include "gui/core/analysis.h"
#include "gui/widgets/plot_canvas.h"

#include <QLineF>

namespace temper::gui {

/// What both share: two axes, a cloud of points, a click on one of them.
class ScatterPlot : public PlotCanvas {
  Q_OBJECT
public:
  using PlotCanvas::PlotCanvas;

  void setSelected(uint64_t record);
  QSize minimumSizeHint() const override { return {360, 190}; }

signals:
  void recordClicked(const QString& id);

protected:
  struct Axis {
    QString title;
    std::vector<std::pair<float, QString>> ticks; ///< place from 0 to 1, text
  };
  struct Cloud {
    std::vector<float> x, y; ///< places from 0 to 1; NaN: not to be drawn
    std::vector<float> tones;
    std::vector<uint8_t> on;
    std::vector<uint64_t> records;
  };
  /// Called by derived classes when they have another cloud.
  void setCloud(std::shared_ptr<const Cloud> cloud, Axis x, Axis y);
  const Cloud* cloud() const { return cloud_.get(); }
  uint64_t selected() const { return selected_; }
  QRect area() const;
  QPointF pointOf(float x, float y) const;
  int pointNear(const QPoint& position) const;
  /// All points are of one kernel: what is above a baseline's time is faster.
  virtual bool baselineIsLine() const { return false; }
  /// What stands in the plot when there are no points.
  virtual QString emptyText() const = 0;
  virtual QString tipOf(size_t point) const = 0;

  std::function<QImage()> picture(qreal ratio) const override;
  void paintBelow(QPainter& painter) const override;
  void paintAbove(QPainter& painter) const override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mouseReleaseEvent(QMouseEvent* event) override;

private:
  std::shared_ptr<const Cloud> cloud_;
  Axis xAxis_, yAxis_;
  uint64_t selected_ = 0;
};

/// The model's score against the time: a good model makes a line. Dragging a rectangle restricts
/// everything to what is in it.
class PredictedPlot : public ScatterPlot {
  Q_OBJECT
public:
  explicit PredictedPlot(Analysis& analysis, QWidget* parent = nullptr);
  QString csv() const override;

protected:
  bool baselineIsLine() const override { return true; }
  QString emptyText() const override;
  QString tipOf(size_t point) const override;
  void paintAbove(QPainter& painter) const override;
  void mousePressEvent(QMouseEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mouseReleaseEvent(QMouseEvent* event) override;
  void mouseDoubleClickEvent(QMouseEvent* event) override;

private:
  void showData();

  Analysis& analysis_;
  bool dragging_ = false;
  QPoint dragFrom_, dragTo_;
};

/// Operations a second over operations per byte, below what the machine can do.
class RooflinePlot : public ScatterPlot {
  Q_OBJECT
public:
  explicit RooflinePlot(Analysis& analysis, QWidget* parent = nullptr);
  QString csv() const override;
  /// The two that are compared; 0: none.
  void setSides(uint64_t a, uint64_t b);
  /// Ways from one record of a kernel to another: from its baseline to the selected one, and from A
  /// to B of a comparison. Those that are too near to each other have none.
  struct Way {
    uint64_t from = 0, to = 0;
    QLineF line; ///< in the widget, from the one's edge to the other's
  };
  std::vector<Way> ways() const;

protected:
  QString emptyText() const override;
  QString tipOf(size_t point) const override;
  void paintBelow(QPainter& painter) const override;
  void paintAbove(QPainter& painter) const override;

private:
  void showData();
  bool hasRoof() const;
  QPointF placeOf(double intensity, double flops) const;
  void paintRoofNames(QPainter& painter) const;
  void paintWays(QPainter& painter) const;

  Analysis& analysis_;
  uint64_t sides_[2] = {};
  double xLow_ = 0, xHigh_ = 1, yLow_ = 0, yHigh_ = 1; ///< logarithms of the edges
};

} // namespace temper::gui
