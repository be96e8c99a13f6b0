/// What the cost model foresaw against what was measured, in groups of equal size: on the diagonal
/// a score means what it says. Thin lines are the two halves of the runs. A click keeps only the
/// records of a group.
#pragma once

#include "gui/core/analysis.h"
#include "gui/core/calibration.h"
#include "gui/widgets/plot_canvas.h"

namespace temper::gui {

class CalibrationPlot : public PlotCanvas {
  Q_OBJECT
public:
  explicit CalibrationPlot(Analysis& analysis, QWidget* parent = nullptr);

  const Calibration& calibration() const { return all_; }
  /// "88 predictions: ..."; empty without enough of them.
  QString sentence() const;
  QString csv() const override;
  QSize minimumSizeHint() const override { return {360, 190}; }
  /// Where a group stands; for tests.
  QPoint pointOf(size_t bin) const;

protected:
  std::function<QImage()> picture(qreal) const override { return nullptr; }
  void paintBelow(QPainter& painter) const override;
  void paintAbove(QPainter& painter) const override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mouseReleaseEvent(QMouseEvent* event) override;
  void mouseDoubleClickEvent(QMouseEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;

private:
  void showData();
  QRect area() const;
  QPointF placeOf(double predicted, double measured) const;
  void paintLegend(QPainter& painter) const;
  int binNear(const QPoint& position) const; ///< -1: none
  QString tipOf(size_t bin) const;
  /// Restricts everything to the group's records.
  void keep(size_t bin);

  Analysis& analysis_;
  Calibration all_, early_, late_;
  double low_ = 0, high_ = 1; ///< of both axes
  int current_ = 0;           ///< the group that keys are for
};

} // namespace temper::gui
