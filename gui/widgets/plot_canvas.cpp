#include "gui/widgets/plot_canvas.h"

#include "gui/core/workers.h"
#include "gui/widgets/theme.h"

#include <QCoreApplication>
#include <QEvent>
#include <QPainter>
#include <QPointer>
#include <QSaveFile>
#include <QSvgGenerator>
#include <QThreadPool>

#include <memory>

namespace temper::gui {

PlotCanvas::PlotCanvas(QWidget* parent) : QWidget(parent) {
  setFocusPolicy(Qt::StrongFocus);
  setMouseTracking(true);
  setAttribute(Qt::WA_OpaquePaintEvent);
}

void PlotCanvas::paintMark(QPainter& painter, const QPointF& at, bool isBaseline) {
  constexpr double kHalf = 5;
  const QPolygonF shape = isBaseline ? QPolygonF{QPointF(-kHalf, -kHalf), QPointF(kHalf, -kHalf),
                                                 QPointF(kHalf, kHalf), QPointF(-kHalf, kHalf)}
                                     : QPolygonF{QPointF(0, -kHalf - 2), QPointF(kHalf + 2, 0),
                                                 QPointF(0, kHalf + 2), QPointF(-kHalf - 2, 0)};
  painter.setBrush(Qt::NoBrush);
  for (const QPen& pen :
       {QPen(theme().base, 4), QPen(isBaseline ? theme().text : theme().accent, 2)}) {
    painter.setPen(pen);
    painter.drawPolygon(shape.translated(at));
  }
}

void PlotCanvas::renew() {
  update();
  if (size().isEmpty())
    return;
  if (painting_) {
    again_ = true;
    return;
  }
  again_ = false;
  auto job = picture(devicePixelRatioF());
  if (!job) {
    image_ = {};
    return;
  }
  painting_ = true;
  QPointer<PlotCanvas> self(this);
  workers().start([self, job = std::move(job)] {
    auto image = std::make_shared<QImage>(job());
    QMetaObject::invokeMethod(
        QCoreApplication::instance(),
        [self, image] {
          if (!self)
            return;
          self->painting_ = false;
          self->image_ = std::move(*image);
          self->update();
          if (self->again_)
            self->renew();
        },
        Qt::QueuedConnection);
  });
}

void PlotCanvas::paintOn(QPainter& painter, const QImage& image) const {
  painter.fillRect(rect(), theme().base);
  painter.save();
  paintBelow(painter);
  painter.restore();
  if (!image.isNull())
    painter.drawImage(QRectF(rect()), image);
  paintAbove(painter);
}

void PlotCanvas::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  paintOn(painter, image_);
  if (hasFocus()) {
    painter.setPen(QPen(theme().accent, 1));
    painter.setBrush(Qt::NoBrush);
    painter.drawRect(rect().adjusted(0, 0, -1, -1));
  }
}

void PlotCanvas::resizeEvent(QResizeEvent* event) {
  QWidget::resizeEvent(event);
  renew();
}

void PlotCanvas::changeEvent(QEvent* event) {
  QWidget::changeEvent(event);
  if (event->type() == QEvent::PaletteChange || event->type() == QEvent::FontChange)
    renew();
}

bool PlotCanvas::exportTo(const QString& file, QString* problem) const {
  bool written = false;
  constexpr qreal kRatio = 2;
  const auto image = [&] {
    const auto job = picture(kRatio);
    return job ? job() : QImage();
  };
  if (file.endsWith(QStringLiteral(".csv"), Qt::CaseInsensitive)) {
    QSaveFile target(file);
    written =
        target.open(QIODevice::WriteOnly) && target.write(csv().toUtf8()) >= 0 && target.commit();
  } else if (file.endsWith(QStringLiteral(".svg"), Qt::CaseInsensitive)) {
    QSaveFile target(file);
    if (target.open(QIODevice::WriteOnly)) {
      QSvgGenerator svg;
      svg.setOutputDevice(&target);
      svg.setSize(size());
      svg.setViewBox(rect());
      svg.setTitle(accessibleName());
      QPainter painter(&svg);
      painter.setFont(font());
      paintOn(painter, image());
      painter.end();
      written = target.commit();
    }
  } else {
    QImage picture(size() * kRatio, QImage::Format_RGB32);
    picture.setDevicePixelRatio(kRatio);
    QPainter painter(&picture);
    painter.setFont(font());
    painter.setRenderHint(QPainter::Antialiasing);
    paintOn(painter, image());
    painter.end();
    written = picture.save(file);
  }
  if (!written && problem)
    *problem = tr("the plot cannot be written to %1").arg(file);
  return written;
}

} // namespace temper::gui
