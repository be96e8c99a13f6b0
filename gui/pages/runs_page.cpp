#include "gui/pages/runs_page.h"

#include "gui/core/format.h"
#include "gui/pages/run_form.h"
#include "gui/widgets/run_plot.h"
#include "gui/widgets/table.h"
#include "gui/widgets/whole_columns.h"

#include <QBoxLayout>
#include <QLabel>
#include <QPushButton>
#include <QSplitter>
#include <QTableView>

#include <utility>

namespace temper::gui {

RunsPage::RunsPage(Workspace& workspace, QWidget* parent)
    : QWidget(parent), workspace_(workspace), table_(new QTableView(this)),
      form_(new RunForm(workspace.database(), this)), title_(new QLabel(this)),
      best_(new QLabel(this)), progress_(new QLabel(this)), funnel_(new QLabel(this)),
      failures_(new QLabel(this)), plot_(new RunPlot(this)),
      pause_(new QPushButton(tr("Pause"), this)), stop_(new QPushButton(tr("Stop"), this)),
      resume_(new QPushButton(tr("Resume"), this)),
      more_(new QPushButton(tr("200 more trials"), this)),
      showBest_(new QPushButton(tr("Open the best"), this)),
      showRecords_(new QPushButton(tr("Its records"), this)) {
  setObjectName(QStringLiteral("runs"));
  setUpTable(table_, QStringLiteral("runTable"), tr("Runs"), &workspace_.runs());
  // Of a run at work: "123 / 1000" trials, "24.3 s + ~17.4 s".
  setColumnWidths(table_, {12, 32, 11, 10, 11, 14, 19});
  constexpr int kLeastWorkload = 32; // "matmul M=512 N=512 K=512 dtype=float32" nearly
  new WholeColumns(table_, RunModel::kWorkload, kLeastWorkload);

  QFont bold = font();
  bold.setBold(true);
  title_->setFont(bold);
  title_->setTextInteractionFlags(Qt::TextSelectableByMouse);
  title_->setWordWrap(true);
  QFont big = font();
  big.setPointSizeF(font().pointSizeF() * 1.7);
  big.setBold(true);
  best_->setFont(big);
  for (QLabel* label : {progress_, funnel_, failures_}) {
    label->setWordWrap(true);
    label->setTextFormat(Qt::PlainText);
    label->setTextInteractionFlags(Qt::TextSelectableByMouse);
    label->setProperty("faint", true);
  }
  stop_->setObjectName(QStringLiteral("run.stop.button"));
  resume_->setObjectName(QStringLiteral("run.resume.button"));
  pause_->setObjectName(QStringLiteral("run.pause.button"));
  pause_->setToolTip(tr("Puts the run aside; it says that it is paused until it is resumed"));
  stop_->setToolTip(tr("Asks the run to end; what it recorded stays"));
  resume_->setToolTip(tr("Goes on where it was interrupted"));
  more_->setToolTip(tr("Goes on with 200 trials more"));

  auto* buttons = new QHBoxLayout;
  for (QPushButton* button : {pause_, stop_, resume_, more_, showBest_, showRecords_})
    buttons->addWidget(button);
  buttons->addStretch();
  auto* right = new QWidget(this);
  auto* rightLayout = new QVBoxLayout(right);
  rightLayout->setContentsMargins(16, 12, 16, 12);
  rightLayout->setSpacing(6);
  rightLayout->addWidget(title_);
  rightLayout->addWidget(best_);
  rightLayout->addWidget(progress_);
  rightLayout->addLayout(buttons);
  rightLayout->addWidget(plot_, 1);
  rightLayout->addWidget(funnel_);
  rightLayout->addWidget(failures_);

  auto* left = new QWidget(this);
  auto* leftLayout = new QVBoxLayout(left);
  leftLayout->setContentsMargins(0, 0, 0, 0);
  leftLayout->setSpacing(0);
  leftLayout->addWidget(table_, 1);
  leftLayout->addWidget(form_);
  auto* splitter = new QSplitter(Qt::Horizontal, this);
  splitter->setObjectName(QStringLiteral("runs.splitter"));
  splitter->setChildrenCollapsible(false);
  splitter->addWidget(left);
  splitter->addWidget(right);
  splitter->setSizes({800, 640});
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->addWidget(splitter);

  connect(form_, &RunForm::startWanted, &workspace_, &Workspace::startRun);
  connect(table_->selectionModel(), &QItemSelectionModel::currentRowChanged, this,
          [this](const QModelIndex& current) {
            if (!restoring_ && current.isValid())
              workspace_.selectRun(current.data(Qt::UserRole).toString());
          });
  connect(&workspace_.runs(), &QAbstractItemModel::modelReset, this, &RunsPage::showSelection);
  connect(&workspace_.runs(), &QAbstractItemModel::rowsInserted, this, &RunsPage::showSelection);
  connect(&workspace_, &Workspace::runSelected, this, &RunsPage::showSelection);
  connect(&workspace_, &Workspace::runDetailChanged, this, &RunsPage::showDetail);
  connect(&workspace_, &Workspace::marksChanged, this, &RunsPage::showDetail);
  connect(plot_, &RunPlot::recordClicked, this, &RunsPage::recordChosen);
  connect(stop_, &QPushButton::clicked, this,
          [this] { workspace_.stopRun(workspace_.selectedRun()); });
  connect(pause_, &QPushButton::clicked, this,
          [this] { workspace_.pauseRun(workspace_.selectedRun()); });
  connect(resume_, &QPushButton::clicked, this,
          [this] { workspace_.resumeRun(workspace_.selectedRun()); });
  connect(more_, &QPushButton::clicked, this,
          [this] { workspace_.resumeRun(workspace_.selectedRun(), 200); });
  connect(showBest_, &QPushButton::clicked, this, [this] {
    if (const RunDetail* detail = workspace_.runDetail())
      emit recordChosen(detail->row.bestRecord);
  });
  connect(showRecords_, &QPushButton::clicked, this,
          [this] { emit recordsOfRunWanted(workspace_.selectedRun()); });
  showDetail();
}

void RunsPage::focusTable() { table_->setFocus(); }

void RunsPage::showForm(bool shown) {
  form_->setVisible(shown);
  if (shown)
    form_->findChild<QWidget*>(QStringLiteral("runForm.workload"))->setFocus();
}

void RunsPage::showSelection() {
  const int row = workspace_.runs().rowOf(workspace_.selectedRun());
  restoring_ = true;
  if (row >= 0 && table_->currentIndex().row() != row)
    table_->setCurrentIndex(workspace_.runs().index(row, 0));
  restoring_ = false;
}

void RunsPage::showEvent(QShowEvent* event) {
  QWidget::showEvent(event);
  if (std::exchange(behind_, false))
    showDetail();
}

void RunsPage::showDetail() {
  behind_ = !isVisible();
  if (behind_)
    return; // ten thousand points that nobody sees take a moment, too
  const RunDetail* detail = workspace_.runDetail();
  const Baseline* baseline = detail ? workspace_.baselineFor(detail->row.bestRecord) : nullptr;
  table_->setColumnHidden(RunModel::kRatio, workspace_.records().context().baselines.empty());
  plot_->setBaseline(baseline ? baseline->medianNs : 0,
                     baseline ? shortId(idText(database::Kind::kMeasurement, baseline->record))
                              : QString());
  plot_->setRun(detail);
  for (QWidget* widget :
       std::initializer_list<QWidget*>{best_, progress_, funnel_, failures_, plot_, pause_, stop_,
                                       resume_, more_, showBest_, showRecords_})
    widget->setVisible(detail != nullptr);
  title_->setAlignment(detail ? Qt::AlignLeft | Qt::AlignVCenter : Qt::AlignCenter);
  if (!detail) {
    title_->setText(workspace_.selectedRun().isEmpty()
                        ? tr("No runs yet: fill in the form and start one.")
                        : QString());
    return;
  }
  const RunRow& row = detail->row;
  title_->setText(QStringLiteral("%1   %2   %3")
                      .arg(shortId(toQString(row.run.id)), row.workload, stateText(row.run.state)));
  best_->setText(row.bestNs > 0 ? timeText(row.bestNs) + QStringLiteral("   ") +
                                      rateText(row.flops, row.bestNs, row.binding)
                                : tr("nothing valid yet"));
  const QString ratio = workspace_.ratioOf(row.bestRecord);
  QString progress = detail->progressText();
  if (const QString model = detail->modelText(); !model.isEmpty())
    progress += tr("\nmodel: %1").arg(model);
  if (!ratio.isEmpty())
    progress +=
        ratio == tr("baseline")
            ? tr("\nits best is the baseline of its kind")
            : tr("\nits best took %1 the time of the baseline %2")
                  .arg(ratio, shortId(idText(database::Kind::kMeasurement, baseline->record)));
  progress_->setText(progress);
  funnel_->setText(detail->funnelText());
  funnel_->setVisible(!funnel_->text().isEmpty());
  QStringList lines;
  for (const database::FailureGroup& group : detail->failures)
    lines << QStringLiteral("%1 × %2: %3")
                 .arg(group.count)
                 .arg(outcomeText(group.outcome),
                      toQString(group.first_error).section(u'\n', 0, 0).left(200));
  failures_->setText(lines.mid(0, 4).join(u'\n'));
  failures_->setVisible(!lines.isEmpty());
  const bool live = row.run.state == database::RunState::kRunning;
  const bool stopping = row.run.requested == database::RequestedState::kStop;
  const bool pausing = row.run.requested == database::RequestedState::kPause;
  stop_->setVisible(live);
  stop_->setEnabled(!stopping);
  stop_->setText(stopping ? tr("Stopping…") : tr("Stop"));
  pause_->setVisible(live);
  pause_->setEnabled(!stopping && !pausing);
  pause_->setText(pausing ? tr("Pausing…") : tr("Pause"));
  resume_->setVisible(row.canResume());
  more_->setVisible(row.run.state == database::RunState::kFinished);
  showBest_->setEnabled(!row.bestRecord.isEmpty());
}

} // namespace temper::gui
