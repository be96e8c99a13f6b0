#include "gui/pages/limits_pane.h"

#include "gui/core/counters.h"
#include "gui/core/format.h"
#include "gui/widgets/share_bar.h"

#include <QBoxLayout>
#include <QGridLayout>
#include <QLabel>
#include <QPushButton>

#include <cmath>

namespace temper::gui {

namespace {

QLabel* textLabel(const QString& text, bool faint = false, bool bold = false) {
  auto* label = new QLabel(text);
  label->setWordWrap(true);
  label->setTextFormat(Qt::PlainText);
  label->setTextInteractionFlags(Qt::TextSelectableByMouse);
  if (faint)
    label->setProperty("faint", true);
  if (bold) {
    QFont font = label->font();
    font.setBold(true);
    label->setFont(font);
  }
  return label;
}

/// Takes all out of a layout that holds widgets and room.
void clear(QLayout* layout) {
  while (QLayoutItem* item = layout->takeAt(0)) {
    if (QWidget* widget = item->widget()) {
      widget->hide();
      widget->deleteLater();
    }
    delete item;
  }
}

} // namespace

LimitsPane::LimitsPane(Workspace& workspace, QWidget* parent)
    : QScrollArea(parent), workspace_(workspace), question_(workspace.database()) {
  setObjectName(QStringLiteral("limits"));
  setAccessibleName(tr("What limits it"));
  setFrameShape(QFrame::NoFrame);
  setWidgetResizable(true);
  setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  auto* all = new QWidget(this);
  rows_ = new QVBoxLayout(all);
  rows_->setContentsMargins(16, 12, 16, 12);
  rows_->setSpacing(6);
  setWidget(all);
  connect(&workspace_, &Workspace::detailChanged, this, &LimitsPane::ask);
  connect(&question_, &LimitsQuestion::changed, this, &LimitsPane::showAnswer);
}

void LimitsPane::showEvent(QShowEvent* event) {
  QScrollArea::showEvent(event);
  ask();
}

void LimitsPane::ask() {
  if (isVisible() && workspace_.detail())
    question_.ask(workspace_.selectedRecord());
}

void LimitsPane::showAnswer() {
  const LimitsAnswer* answer = question_.answer();
  const bool waiting = question_.isBusy() && !question_.isLearning();
  if (!waiting && answer && shown_ == question_.record()) {
    showModel(); // all else stays where it is: somebody may be about to press a button
    return;
  }
  // What is shown has pieces of a kind and no state: all of it is made anew.
  clear(rows_);
  model_ = nullptr;
  shown_.clear();
  if (waiting) {
    rows_->addWidget(textLabel(tr("compiling it, and asking the model for its neighbours…"), true));
    rows_->addStretch();
    return;
  }
  if (!answer)
    return;
  shown_ = question_.record();
  if (!answer->error.isEmpty())
    rows_->addWidget(textLabel(answer->error));
  const auto bars = [&](const QString& title, const QString& note,
                        const std::vector<LimitBar>& list) {
    if (list.empty())
      return;
    rows_->addWidget(textLabel(title, false, true));
    auto* box = new QWidget;
    auto* grid = new QGridLayout(box);
    grid->setContentsMargins(0, 0, 0, 0);
    grid->setHorizontalSpacing(12);
    grid->setVerticalSpacing(4);
    int row = 0;
    for (const LimitBar& bar : list) {
      grid->addWidget(new QLabel(bar.what), row, 0);
      auto* shown = new ShareBar(bar.share, bar.estimated);
      shown->setAccessibleName(tr("%1, share").arg(bar.what));
      grid->addWidget(shown, row, 1);
      auto* percent = new QLabel(QStringLiteral("%1 %").arg(100 * bar.share, 0, 'f', 0));
      percent->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
      grid->addWidget(percent, row, 2);
      auto* evidence = new QLabel(bar.evidence);
      evidence->setProperty("faint", true);
      grid->addWidget(evidence, row++, 3);
    }
    grid->setColumnStretch(1, 1);
    rows_->addWidget(box);
    rows_->addWidget(textLabel(note, true));
    rows_->addSpacing(10);
  };
  bars(tr("Of what the machine allows"),
       tr("Shares of the time that was measured. Hollow bars are of the analytical model, which "
          "ranks and sees no latency."),
       answer->machine);
  std::vector<LimitBar> counted;
  if (const RecordDetail* detail = workspace_.detail();
      detail && toQString(detail->row.id) == question_.record())
    for (const CounterValue& counter : countersOf(detail->measurement))
      if (const double share = counter.shareOfPeak(); !std::isnan(share))
        counted.push_back({counter.words, share, {}, false});
  bars(tr("By its counters"), tr("Shares of what the hardware does at most, as it counted them."),
       counted);
  bars(tr("Of the hot loop"), tr("What one time through asks of the core, over what it asks most."),
       answer->loop);
  if (!answer->sentences.isEmpty()) {
    rows_->addWidget(textLabel(tr("In words"), false, true));
    for (const QString& sentence : answer->sentences)
      rows_->addWidget(textLabel(QStringLiteral("· ") + sentence));
    rows_->addSpacing(10);
  }
  if (answer->error.isEmpty())
    rows_->addWidget(textLabel(tr("What could be tried"), false, true));
  if (answer->findings.empty() && answer->error.isEmpty())
    rows_->addWidget(textLabel(tr("Nothing: no rule applies, and the model of the machine prefers "
                                  "no other value of a decision."),
                               true));
  for (const LimitFinding& finding : answer->findings) {
    rows_->addWidget(textLabel(finding.what + u'.'));
    QStringList facts{finding.evidence};
    if (!finding.gain.isEmpty())
      facts << finding.gain;
    rows_->addWidget(textLabel(facts.join(QStringLiteral("   ")), true));
    const bool measured = !finding.record.isEmpty();
    if (!measured && finding.step.trace.isEmpty())
      continue;
    auto* button = new QPushButton(measured ? tr("Open %1").arg(shortId(finding.record))
                                            : tr("Try %1 in the editor").arg(finding.step.label));
    button->setToolTip(measured ? tr("Shows that record")
                                : tr("Opens the editor with this step taken; nothing is measured"));
    if (measured)
      connect(button, &QPushButton::clicked, this,
              [this, id = finding.record] { emit recordWanted(id); });
    else
      connect(button, &QPushButton::clicked, this,
              [this, step = finding.step] { emit editWanted(step); });
    rows_->addWidget(button, 0, Qt::AlignLeft);
    rows_->addSpacing(6);
  }
  auto* box = new QWidget;
  model_ = new QVBoxLayout(box);
  model_->setContentsMargins(0, 0, 0, 0);
  model_->setSpacing(rows_->spacing());
  rows_->addWidget(box);
  rows_->addStretch();
  showModel();
}

void LimitsPane::showModel() {
  const LimitsAnswer* answer = question_.answer();
  clear(model_);
  if (question_.isLearning())
    model_->addWidget(textLabel(tr("a model learns from the kernel's records…"), true));
  if (const WhySection& model = answer->model; !model.title.isEmpty()) {
    model_->addSpacing(10);
    model_->addWidget(textLabel(model.title, false, true));
    model_->addWidget(textLabel(model.note, true));
    auto* box = new QWidget;
    auto* grid = new QGridLayout(box);
    grid->setContentsMargins(0, 0, 0, 0);
    grid->setHorizontalSpacing(12);
    grid->setVerticalSpacing(4);
    int row = 0;
    for (const WhyRow& term : model.rows) {
      auto* what = textLabel(term.what);
      what->setToolTip(term.tip);
      grid->addWidget(what, row, 0);
      auto* share = new ShareBar(std::abs(term.share), true);
      share->setAccessibleName(tr("%1, weight").arg(term.what));
      grid->addWidget(share, row, 1);
      auto* effect = new QLabel(term.effect);
      effect->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
      effect->setToolTip(term.tip);
      grid->addWidget(effect, row++, 2);
    }
    grid->setColumnStretch(0, 3);
    grid->setColumnStretch(1, 2);
    model_->addWidget(box);
    model_->addSpacing(10);
  }
  for (const QString& sentence : answer->unknown)
    model_->addWidget(textLabel(tr("Not known: %1").arg(sentence), true));
}

} // namespace temper::gui
