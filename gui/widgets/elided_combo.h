/// A choice whose closed box ends what is too long with an ellipsis, and is as wide as there is
/// room.
#pragma once

#include <QComboBox>

namespace temper::gui {

class ElidedCombo : public QComboBox {
  Q_OBJECT
public:
  using QComboBox::QComboBox;

protected:
  void paintEvent(QPaintEvent* event) override;
};

} // namespace temper::gui
