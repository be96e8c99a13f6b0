/// A plot whose dense part is painted into an image on another thread, so that no number of points
/// stops the window. Derived classes say what is in the image, and draw axes, texts and what is
/// selected themselves. Any of them is saved as PNG, SVG or CSV.
#pragma once

#include <QImage>
#include <QWidget>

#include <functional>
#include <vector>

namespace temper::gui {

class PlotCanvas : public QWidget {
  Q_OBJECT
public:
  explicit PlotCanvas(QWidget* parent = nullptr);

  bool isPainting() const { return painting_; }
  /// By the file's ending: .png (twice the size), .svg, or .csv with the numbers; false and a
  /// sentence when it cannot be written.
  bool exportTo(const QString& file, QString* problem) const;
  virtual QString csv() const = 0;
  /// Baselines and pins, which every plot shows: a dashed line or a square, and diamonds.
  struct Mark {
    uint64_t record = 0;
    bool isBaseline = false;
  };
  void setMarks(std::vector<Mark> marks) {
    marks_ = std::move(marks);
    update();
  }

protected:
  const std::vector<Mark>& marks() const { return marks_; }
  /// A square or a diamond around a point.
  static void paintMark(QPainter& painter, const QPointF& at, bool isBaseline);

  /// Made on the main thread with everything that it needs; called on another one. Null: nothing
  /// dense to paint. The image covers the widget, `ratio` pixels for each of its own.
  virtual std::function<QImage()> picture(qreal ratio) const = 0;
  /// Below and above the image.
  virtual void paintBelow(QPainter& painter) const = 0;
  virtual void paintAbove(QPainter& painter) const = 0;

  /// The data are others: paints anew.
  void renew();
  /// Only what is above or below is another.
  void touch() { update(); }

  void paintEvent(QPaintEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;
  void changeEvent(QEvent* event) override;

private:
  void paintOn(QPainter& painter, const QImage& image) const;

  std::vector<Mark> marks_;
  QImage image_;
  bool painting_ = false;
  bool again_ = false;
};

} // namespace temper::gui
