#include "gui/widgets/knob_form.h"

#include "gui/core/format.h"

#include <QComboBox>
#include <QGridLayout>
#include <QLabel>
#include <QStandardItemModel>

namespace temper::gui {

KnobForm::KnobForm(EditSession& session, QWidget* parent)
    : QScrollArea(parent), session_(session), inside_(new QWidget(this)),
      rows_(new QGridLayout(inside_)) {
  setObjectName(QStringLiteral("edit.knobs"));
  setAccessibleName(tr("Knobs"));
  setFrameShape(QFrame::NoFrame);
  setWidgetResizable(true);
  rows_->setContentsMargins(12, 4, 12, 12);
  rows_->setHorizontalSpacing(12);
  rows_->setVerticalSpacing(6);
  rows_->setColumnStretch(1, 1);
  rows_->setRowStretch(1000, 1);
  setWidget(inside_);
  connect(&session_, &EditSession::knobsChanged, this, &KnobForm::showKnobs);
  showKnobs();
}

void KnobForm::showKnobs() {
  const std::vector<EditSession::Knob>& knobs = session_.knobs();
  while (fields_.size() > knobs.size()) {
    fields_.back()->deleteLater();
    labels_.back()->deleteLater();
    fields_.pop_back();
    labels_.pop_back();
  }
  while (fields_.size() < knobs.size()) {
    const int row = count();
    auto* label = new QLabel(inside_);
    auto* field = new QComboBox(inside_);
    field->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
    field->setMinimumContentsLength(12);
    label->setBuddy(field);
    connect(field, &QComboBox::activated, this,
            [this, row](int choice) { session_.takeKnob(row, choice); });
    rows_->addWidget(label, row, 0);
    rows_->addWidget(field, row, 1);
    labels_.push_back(label);
    fields_.push_back(field);
  }
  const EditNode* node = session_.history().current();
  const double now = node ? node->estimateNs : 0;
  for (size_t i = 0; i < knobs.size(); ++i) {
    const EditSession::Knob& knob = knobs[i];
    QComboBox* field = fields_[i];
    labels_[i]->setText(knob.name);
    field->setObjectName(QStringLiteral("edit.knob.") + knob.name);
    field->setAccessibleName(knob.name);
    field->clear();
    auto* model = qobject_cast<QStandardItemModel*>(field->model());
    for (size_t c = 0; c < knob.choices.size(); ++c) {
      const EditSession::SweepPoint& choice = knob.choices[c];
      QString text = choice.value;
      if (!choice.current && choice.estimateNs > 0 && now > 0)
        text += QStringLiteral("    %1×").arg(choice.estimateNs / now, 0, 'f', 2);
      field->addItem(text);
      QString tip = choice.reason;
      if (tip.isEmpty() && choice.estimateNs > 0)
        tip = tr("estimated %1").arg(timeText(choice.estimateNs));
      field->setItemData(static_cast<int>(c), tip, Qt::ToolTipRole);
      if (!choice.reason.isEmpty() && model)
        model->item(static_cast<int>(c))->setEnabled(false);
    }
    field->setCurrentIndex(knob.chosen());
    field->setToolTip(
        tr("%1: what each choice would be estimated at, over what it is now").arg(knob.name));
  }
}

} // namespace temper::gui
