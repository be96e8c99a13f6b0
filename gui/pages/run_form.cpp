#include "gui/pages/run_form.h"

#include "gui/core/format.h"
#include "gui/widgets/theme.h"
#include "ir/support/json.h"
#include "ir/support/quantities.h"

#include <QBoxLayout>
#include <QCheckBox>
#include <QComboBox>
#include <QDoubleSpinBox>
#include <QGridLayout>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QSpinBox>

namespace temper::gui {

RunForm::RunForm(QString database, QWidget* parent)
    : QWidget(parent), database_(std::move(database)), workloads_(this), shape_(this),
      workload_(new QComboBox(this)), parameters_(new QLineEdit(this)),
      target_(new QComboBox(this)), trials_(new QSpinBox(this)), seconds_(new QDoubleSpinBox(this)),
      threads_(new QSpinBox(this)), strategy_(new QComboBox(this)), seed_(new QLineEdit(this)),
      cache_(new QComboBox(this)),
      fresh_(new QCheckBox(tr("Do not start from what is known"), this)),
      command_(new QLabel(this)), problem_(new QLabel(this)),
      start_(new QPushButton(tr("Start run"), this)) {
  setObjectName(QStringLiteral("runForm"));
  workload_->setEditable(true);
  workload_->setInsertPolicy(QComboBox::NoInsert);
  workload_->addItem(QStringLiteral("matmul"));
  workload_->lineEdit()->setPlaceholderText(tr("matmul, or a file: scale.py"));
  parameters_->setPlaceholderText(tr("NAME=VALUE …; empty: the first shape of its file"));
  target_->setEditable(true);
  target_->setInsertPolicy(QComboBox::NoInsert);
  for (const char* known : {"native", "cuda:sm_90a", "hip:gfx942"})
    target_->addItem(QString::fromLatin1(known));
  trials_->setRange(0, 1'000'000'000);
  trials_->setSingleStep(100);
  trials_->setSpecialValueText(tr("no limit"));
  seconds_->setRange(0, 1e6);
  seconds_->setSingleStep(30);
  seconds_->setDecimals(0);
  seconds_->setSuffix(tr(" s"));
  seconds_->setSpecialValueText(tr("no limit"));
  threads_->setRange(1, 1024);
  strategy_->addItems(
      {QStringLiteral("auto"), QStringLiteral("evolutionary"), QStringLiteral("random")});
  seed_->setPlaceholderText(tr("by chance"));
  cache_->addItems({tr("hot"), tr("cold")});
  setPlan({});

  auto* grid = new QGridLayout;
  grid->setHorizontalSpacing(12);
  grid->setVerticalSpacing(6);
  const auto add = [&](int row, int column, const QString& text, const QString& name,
                       QWidget* field, const QString& tip, int span = 1) {
    auto* label = new QLabel(text, this);
    label->setProperty("faint", true);
    label->setBuddy(field);
    field->setObjectName(QStringLiteral("runForm.") + name);
    field->setAccessibleName(QString(text).remove(u'&'));
    field->setToolTip(tip);
    grid->addWidget(label, row, 2 * column);
    grid->addWidget(field, row, 2 * column + 1, 1, span);
  };
  add(0, 0, tr("Workload"), QStringLiteral("workload"), workload_,
      tr("A name that temper knows, or a file of yours"));
  add(0, 1, tr("Shape"), QStringLiteral("parameters"), parameters_, tr("Parameters as NAME=VALUE"),
      3);
  add(1, 0, tr("Trials"), QStringLiteral("trials"), trials_, tr("Candidates to measure"));
  add(1, 1, tr("Time"), QStringLiteral("seconds"), seconds_, tr("Time to spend"));
  add(1, 2, tr("Threads"), QStringLiteral("threads"), threads_, tr("Threads of the kernel"));
  add(2, 0, tr("Strategy"), QStringLiteral("strategy"), strategy_, tr("Who chooses candidates"));
  add(2, 1, tr("Seed"), QStringLiteral("seed"), seed_, tr("Of every random choice"));
  add(2, 2, tr("Caches"), QStringLiteral("cache"), cache_,
      tr("Timing with hot or cold caches, which are never compared"));
  add(3, 0, tr("Target"), QStringLiteral("target"), target_,
      tr("What the code is for: native is this processor; others are cpu:znver4, cuda:sm_90a, "
         "hip:gfx942. For a GPU that is not here candidates are compiled and checked, and none is "
         "timed"));
  grid->setColumnStretch(1, 3);
  grid->setColumnStretch(3, 3);
  grid->setColumnStretch(5, 2);
  fresh_->setObjectName(QStringLiteral("runForm.fresh"));
  grid->addWidget(fresh_, 3, 3, 1, 3);

  command_->setFont(fixedFont());
  command_->setTextInteractionFlags(Qt::TextSelectableByMouse);
  command_->setWordWrap(true);
  command_->setAccessibleName(tr("Equal command line"));
  problem_->setWordWrap(true);
  start_->setObjectName(QStringLiteral("runForm.start"));
  start_->setDefault(true);
  auto* foot = new QHBoxLayout;
  foot->addWidget(command_, 1);
  foot->addWidget(start_);
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(16, 12, 16, 12);
  layout->setSpacing(10);
  layout->addLayout(grid);
  layout->addWidget(problem_);
  layout->addLayout(foot);

  connect(workload_, &QComboBox::editTextChanged, this, &RunForm::update);
  connect(workload_, &QComboBox::activated, this, &RunForm::loadShape);
  connect(parameters_, &QLineEdit::textChanged, this, &RunForm::update);
  connect(target_, &QComboBox::editTextChanged, this, &RunForm::update);
  connect(trials_, &QSpinBox::valueChanged, this, &RunForm::update);
  connect(seconds_, &QDoubleSpinBox::valueChanged, this, &RunForm::update);
  connect(threads_, &QSpinBox::valueChanged, this, &RunForm::update);
  connect(strategy_, &QComboBox::currentTextChanged, this, &RunForm::update);
  connect(seed_, &QLineEdit::textChanged, this, &RunForm::update);
  connect(cache_, &QComboBox::currentIndexChanged, this, &RunForm::update);
  connect(fresh_, &QCheckBox::toggled, this, &RunForm::update);
  connect(start_, &QPushButton::clicked, this, [this] { emit startWanted(plan()); });
  update();
  loadWorkloads();
}

void RunForm::loadWorkloads() {
  workloads_.start({QStringLiteral("list"), QStringLiteral("workloads"), QStringLiteral("--json")},
                   [this](const TemperCommand::Answer& answer) {
                     const auto json = parse_json(answer.output.toStdString());
                     if (!json || !json->contains("workloads"))
                       return; // the field takes any name
                     const QString typed = workload_->currentText();
                     workload_->clear();
                     for (const Json& known : (*json)["workloads"])
                       workload_->addItem(toQString(known.value("name", std::string())));
                     workload_->setCurrentText(typed);
                     if (parameters_->text().isEmpty())
                       loadShape();
                   });
}

/// The first shape of the workload's file, so that there is something to change.
void RunForm::loadShape() {
  const QString name = workload_->currentText().trimmed();
  shape_.start({QStringLiteral("show"), QStringLiteral("workload"), name, QStringLiteral("--json")},
               [this, name](const TemperCommand::Answer& answer) {
                 const auto json = parse_json(answer.output.toStdString());
                 if (json && json->contains("binding") &&
                     name == workload_->currentText().trimmed())
                   parameters_->setText(toQString(format_binding((*json)["binding"].dump())));
               });
}

RunPlan RunForm::plan() const {
  RunPlan plan;
  plan.workload = workload_->currentText();
  plan.parameters = parameters_->text();
  plan.target = target_->currentText();
  plan.trials = trials_->value();
  plan.seconds = seconds_->value();
  plan.threads = threads_->value();
  plan.strategy = strategy_->currentText();
  plan.seed = seed_->text();
  plan.cold = cache_->currentIndex() == 1;
  plan.fresh = fresh_->isChecked();
  return plan;
}

void RunForm::setPlan(const RunPlan& plan) {
  workload_->setCurrentText(plan.workload);
  parameters_->setText(plan.parameters);
  target_->setCurrentText(plan.target);
  trials_->setValue(plan.trials);
  seconds_->setValue(plan.seconds);
  threads_->setValue(plan.threads);
  strategy_->setCurrentText(plan.strategy);
  seed_->setText(plan.seed);
  cache_->setCurrentIndex(plan.cold ? 1 : 0);
  fresh_->setChecked(plan.fresh);
}

QString RunForm::commandLine() const {
  return shellCommand(QStringLiteral("temper"), plan().arguments());
}

void RunForm::update() {
  const QString problem = plan().problem();
  command_->setText(commandLine());
  problem_->setText(problem);
  problem_->setVisible(!problem.isEmpty());
  start_->setEnabled(problem.isEmpty());
}

} // namespace temper::gui
