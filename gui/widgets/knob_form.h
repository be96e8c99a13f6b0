/// The knobs of a tile program as a form: one choice each, with what the model of the machine
/// thinks of the others. Choices that the constraints forbid are greyed, with the reason.
#pragma once

#include "gui/core/edit_session.h"

#include <QScrollArea>

class QComboBox;
class QGridLayout;
class QLabel;

namespace temper::gui {

class KnobForm : public QScrollArea {
  Q_OBJECT
public:
  explicit KnobForm(EditSession& session, QWidget* parent = nullptr);
  QComboBox* field(int knob) const { return fields_[static_cast<size_t>(knob)]; }
  int count() const { return static_cast<int>(fields_.size()); }

private:
  void showKnobs();

  EditSession& session_;
  QWidget* inside_;
  QGridLayout* rows_;
  std::vector<QComboBox*> fields_;
  std::vector<QLabel*> labels_;
};

} // namespace temper::gui
