/// All values of one decision as a strip: what each is predicted to take (hollow) and what it took
/// (filled, with its interval). A click takes a value.
#pragma once

#include "gui/core/edit_session.h"
#include "gui/widgets/plot_canvas.h"

namespace temper::gui {

class SweepPlot : public PlotCanvas {
  Q_OBJECT
public:
  explicit SweepPlot(EditSession& session, QWidget* parent = nullptr);

  QString csv() const override;
  QSize minimumSizeHint() const override { return {220, 130}; }

protected:
  std::function<QImage()> picture(qreal) const override { return nullptr; }
  void paintBelow(QPainter& painter) const override;
  void paintAbove(QPainter& painter) const override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mouseReleaseEvent(QMouseEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;

private:
  QRect area() const;
  double xOf(size_t point) const;
  int pointAt(int x) const;
  QString textOf(size_t point) const;

  EditSession& session_;
  int current_ = 0; ///< that keys are for
};

} // namespace temper::gui
