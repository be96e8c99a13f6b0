/// Parallel coordinates: an axis for each decision, for what was predicted and for the time, a line
/// for each record. Dragging along an axis restricts to what is between; a click on its name takes
/// that away. Lines are coloured by the rank of their time, the fastest strongest.
#pragma once

#include "gui/core/analysis.h"
#include "gui/widgets/plot_canvas.h"

namespace temper::gui {

class ParallelPlot : public PlotCanvas {
  Q_OBJECT
public:
  explicit ParallelPlot(Analysis& analysis, QWidget* parent = nullptr);

  /// The record whose line is drawn above all others.
  void setSelected(uint64_t record);
  /// The place of an axis, pixels from the left; for tests.
  int axisX(size_t axis) const;
  /// The pixel of a place on any axis.
  int yOf(float place) const;
  QString csv() const override;
  /// What stands at a place of an axis.
  struct Label {
    QRect place;
    QPoint tick; ///< on the axis
    QString text;
    bool isAbsent = false; ///< of what has no value
  };
  std::vector<Label> labels() const;
  QSize minimumSizeHint() const override { return {420, 190}; }

signals:
  void recordClicked(const QString& id);

protected:
  std::function<QImage()> picture(qreal ratio) const override;
  void paintBelow(QPainter& painter) const override;
  void paintAbove(QPainter& painter) const override;
  void mousePressEvent(QMouseEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mouseReleaseEvent(QMouseEvent* event) override;
  void mouseDoubleClickEvent(QMouseEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;

private:
  QRect area() const;
  float placeOf(int y) const;
  int axisAt(int x) const; ///< -1: none near
  int lineNear(const QPoint& position) const;
  void showTip(const QPoint& position);

  Analysis& analysis_;
  uint64_t selected_ = 0;
  int dragged_ = -1;
  int dragFrom_ = 0, dragTo_ = 0;
  int current_ = 0; ///< the axis that keys are for
};

} // namespace temper::gui
