#include "gui/widgets/share_bar.h"

#include "gui/widgets/theme.h"

#include <QPainter>

#include <algorithm>

namespace temper::gui {

ShareBar::ShareBar(double share, bool estimated, QWidget* parent)
    : QWidget(parent), share_(share), estimated_(estimated) {
  setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
}

QSize ShareBar::sizeHint() const {
  return {fontMetrics().averageCharWidth() * 20, fontMetrics().height()};
}

QSize ShareBar::minimumSizeHint() const {
  return {fontMetrics().averageCharWidth() * 6, fontMetrics().height()};
}

void ShareBar::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  const int high = std::max(6, height() / 2);
  const QRectF whole(0.5, (height() - high) / 2 + 0.5, width() - 1, high - 1);
  painter.setPen(theme().line);
  painter.setBrush(theme().base);
  painter.drawRect(whole);
  QRectF part = whole;
  part.setWidth(whole.width() * std::clamp(share_, 0.0, 1.0));
  painter.setPen(theme().accent);
  painter.setBrush(estimated_ ? QBrush(Qt::NoBrush) : QBrush(theme().accent));
  painter.drawRect(part);
  if (share_ > 1) { // an estimate may say more than was measured
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setBrush(theme().accent);
    const double tip = whole.right(), back = tip - high;
    painter.drawPolygon(QPolygonF({QPointF(back, whole.top()), QPointF(tip, whole.center().y()),
                                   QPointF(back, whole.bottom())}));
  }
}

} // namespace temper::gui
