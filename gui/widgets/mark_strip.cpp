#include "gui/widgets/mark_strip.h"

#include "gui/core/format.h"
#include "gui/core/workspace.h"

#include <QAction>
#include <QToolButton>

namespace temper::gui {

MarkStrip::MarkStrip(QWidget* parent) : QToolBar(tr("Baselines and pins"), parent) {
  setObjectName(QStringLiteral("marks"));
  setAccessibleName(tr("Baselines and pins"));
  setMovable(false);
  setFloatable(false);
  setVisible(false);
}

void MarkStrip::setWorkspace(Workspace* workspace) {
  workspace_ = workspace;
  connect(workspace, &Workspace::marksChanged, this, &MarkStrip::showMarks);
  connect(workspace, &Workspace::recordSelected, this, [this] {
    for (QToolButton* button : shown_)
      button->setChecked(button->property("record").toString() == workspace_->selectedRecord());
  });
  showMarks();
}

void MarkStrip::showMarks() {
  clear();
  for (QToolButton* button : shown_)
    button->deleteLater();
  shown_.clear();
  for (const MarkedRecord& mark : workspace_->marked()) {
    auto* button = new QToolButton(this);
    QString text = QStringLiteral("%1 %2  %3")
                       .arg(mark.isBaseline ? tr("▪ baseline") : QStringLiteral("◆"),
                            mark.title.section(u' ', 0, 0), shortId(mark.id));
    if (mark.medianNs > 0)
      text += QStringLiteral("  ") + timeText(mark.medianNs);
    button->setText(text);
    button->setAccessibleName(
        tr("%1 %2").arg(mark.isBaseline ? tr("Baseline") : tr("Pinned"), mark.title));
    button->setToolTip(
        tr("%1 · %2\nThe menu key or a right click: compare, take away").arg(mark.title, mark.id));
    button->setProperty("record", mark.id);
    button->setCheckable(true);
    button->setChecked(mark.id == workspace_->selectedRecord());
    button->setAutoRaise(true);
    button->setFocusPolicy(Qt::TabFocus);
    auto* compare = new QAction(tr("Compare with the selected record"), button);
    connect(compare, &QAction::triggered, this, [this, id = mark.id] { emit compareWanted(id); });
    auto* away = new QAction(mark.isBaseline ? tr("No baseline any more") : tr("Unpin"), button);
    connect(away, &QAction::triggered, this, [this, id = mark.id, isBaseline = mark.isBaseline] {
      isBaseline ? workspace_->toggleBaseline(id) : workspace_->togglePin(id);
    });
    button->addActions({compare, away});
    button->setContextMenuPolicy(Qt::ActionsContextMenu);
    connect(button, &QToolButton::clicked, this, [this, button, id = mark.id] {
      button->setChecked(true);
      emit recordWanted(id);
    });
    addWidget(button);
    shown_.push_back(button);
  }
  setVisible(!shown_.empty());
}

} // namespace temper::gui
