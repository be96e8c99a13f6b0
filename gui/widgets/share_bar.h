/// A bar from 0 to 100 per cent: filled for what was measured, hollow for what was estimated.
#pragma once

#include <QWidget>

namespace temper::gui {

class ShareBar : public QWidget {
  Q_OBJECT
public:
  /// `share` of the whole; what is more fills the bar and has an arrow at its end.
  ShareBar(double share, bool estimated, QWidget* parent = nullptr);
  QSize sizeHint() const override;
  QSize minimumSizeHint() const override;

protected:
  void paintEvent(QPaintEvent* event) override;

private:
  double share_;
  bool estimated_;
};

} // namespace temper::gui
