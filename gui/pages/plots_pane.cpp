#include "gui/pages/plots_pane.h"

#include "gui/core/format.h"
#include "gui/pages/errors_pane.h"
#include "gui/widgets/calibration_plot.h"
#include "gui/widgets/elided_combo.h"
#include "gui/widgets/parallel_plot.h"
#include "gui/widgets/scatter_plot.h"
#include "gui/widgets/table.h"

#include <QBoxLayout>
#include <QComboBox>
#include <QHeaderView>
#include <QLabel>
#include <QPushButton>
#include <QSaveFile>
#include <QStackedWidget>
#include <QTabBar>
#include <QTableView>

namespace temper::gui {

namespace {
QString oneKind() {
  return PlotsPane::tr("Only what was measured on one machine, with one compiler and as many "
                       "threads stands in one plot");
}
} // namespace

PlotsPane::PlotsPane(Workspace& workspace, QWidget* parent)
    : QWidget(parent), workspace_(workspace), analysis_(workspace.analysis()),
      bar_(new QWidget(parent)), tabs_(new QTabBar(bar_)), kernels_(new ElidedCombo(bar_)),
      brushes_(new QWidget(parent)), brushed_(new QLabel(brushes_)),
      clear_(new QPushButton(tr("Clear brushes"), brushes_)), stack_(new QStackedWidget(this)),
      parallel_(new ParallelPlot(analysis_, this)), importance_(new QTableView(this)),
      sentence_(new QLabel(this)), importances_(new ImportanceModel(analysis_, this)),
      predicted_(new PredictedPlot(analysis_, this)), roofline_(new RooflinePlot(analysis_, this)),
      calibration_(new CalibrationPlot(analysis_, this)), errors_(new ErrorsPane(workspace, this)) {
  setObjectName(QStringLiteral("plots"));
  tabs_->setObjectName(QStringLiteral("plots.tabs"));
  tabs_->setAccessibleName(tr("Plot"));
  tabs_->setDrawBase(false);
  tabs_->setExpanding(false);
  tabs_->setUsesScrollButtons(false);
  for (const QString& name : {tr("Table only"), tr("Parallel"), tr("Importance"), tr("Predicted"),
                              tr("Roofline"), tr("Calibration"), tr("Errors")})
    tabs_->addTab(name);
  kernels_->setObjectName(QStringLiteral("plots.kernel"));
  kernels_->setAccessibleName(tr("Kernel that the plot is of"));
  kernels_->setToolTip(oneKind());
  kernels_->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
  kernels_->setMinimumContentsLength(16); // the smallest window has no more
  kernels_->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
  constexpr int kWidest = 48; // letters
  kernels_->setMaximumWidth(kWidest * fontMetrics().horizontalAdvance(u'x'));
  clear_->setObjectName(QStringLiteral("plots.clearBrushes"));
  brushed_->setProperty("faint", true);
  auto* row = new QHBoxLayout(bar_);
  row->setContentsMargins(0, 0, 8, 0);
  row->addWidget(tabs_);
  row->addStretch();
  row->addWidget(kernels_, 1);
  auto* foot = new QHBoxLayout(brushes_);
  foot->setContentsMargins(0, 0, 0, 0);
  foot->addWidget(brushed_);
  foot->addWidget(clear_);

  setUpTable(importance_, QStringLiteral("plot.importance"), tr("Importance of decisions"),
             importances_);
  setColumnWidths(importance_, {22, 16, 14, 14, 15, 13, 13}, ImportanceModel::kDecision);
  auto* bars = new BarDelegate(ImportanceModel::kBarRole, this);
  for (const int column :
       {ImportanceModel::kShapley, ImportanceModel::kShuffled, ImportanceModel::kAlone})
    importance_->setItemDelegateForColumn(column, bars);
  sentence_->setWordWrap(true);
  sentence_->setProperty("faint", true);
  sentence_->setContentsMargins(12, 6, 12, 6);
  auto* numbers = new QWidget(this);
  auto* column = new QVBoxLayout(numbers);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(0);
  column->addWidget(sentence_);
  column->addWidget(importance_, 1);
  for (QWidget* plot : std::initializer_list<QWidget*>{parallel_, numbers, predicted_, roofline_,
                                                       calibration_, errors_})
    stack_->addWidget(plot);
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->addWidget(stack_);

  connect(tabs_, &QTabBar::currentChanged, this, [this](int tab) { show(static_cast<Plot>(tab)); });
  connect(clear_, &QPushButton::clicked, &analysis_, &Analysis::clearBrushes);
  connect(kernels_, &QComboBox::activated, this, [this](int index) {
    analysis_.choose(index <= 0 ? -1 : kernels_->itemData(index).toInt());
  });
  connect(importance_, &QTableView::activated, this, [this](const QModelIndex& index) {
    constexpr float kHalf = 0.004f;
    for (const auto& [axis, place] : importances_->bestOf(index.row()))
      analysis_.brush(axis, place - kHalf, place + kHalf);
  });
  connect(&analysis_, &Analysis::choicesChanged, this, &PlotsPane::showChoices);
  connect(&analysis_, &Analysis::brushChanged, this, &PlotsPane::showBrushes);
  connect(&analysis_, &Analysis::dataChanged, this, &PlotsPane::showBrushes);
  connect(&analysis_, &Analysis::busyChanged, this, &PlotsPane::showBusy);
  connect(importances_, &QAbstractItemModel::modelReset, this, &PlotsPane::showBusy);
  for (ScatterPlot* plot :
       {static_cast<ScatterPlot*>(predicted_), static_cast<ScatterPlot*>(roofline_)})
    connect(plot, &ScatterPlot::recordClicked, &workspace_, &Workspace::selectRecord);
  connect(parallel_, &ParallelPlot::recordClicked, &workspace_, &Workspace::selectRecord);
  connect(&workspace_, &Workspace::recordSelected, this, [this] {
    const uint64_t record = idDigits(workspace_.selectedRecord());
    parallel_->setSelected(record);
    predicted_->setSelected(record);
    roofline_->setSelected(record);
  });
  connect(&workspace_, &Workspace::sidesChanged, this, [this] {
    roofline_->setSides(idDigits(workspace_.side(0)), idDigits(workspace_.side(1)));
  });
  const auto showMarks = [this] {
    std::vector<PlotCanvas::Mark> marks;
    for (const MarkedRecord& mark : workspace_.marked())
      marks.push_back({idDigits(mark.id), mark.isBaseline});
    for (PlotCanvas* plot : std::initializer_list<PlotCanvas*>{parallel_, predicted_, roofline_})
      plot->setMarks(marks);
  };
  connect(&workspace_, &Workspace::marksChanged, this, showMarks);
  showMarks();
  showBrushes();
  show(Plot::kNone);
}

void PlotsPane::show(Plot plot) {
  plot_ = plot;
  tabs_->setCurrentIndex(static_cast<int>(plot));
  setVisible(plot != Plot::kNone);
  kernels_->setVisible(plot != Plot::kNone);
  if (plot != Plot::kNone)
    stack_->setCurrentIndex(static_cast<int>(plot) - 1);
  analysis_.want(plot == Plot::kNone         ? Analysis::View::kNone
                 : plot == Plot::kImportance ? Analysis::View::kImportance
                 : plot == Plot::kRoofline   ? Analysis::View::kRoofline
                 : plot == Plot::kErrors     ? Analysis::View::kErrors
                                             : Analysis::View::kDecisions);
  emit plotChanged();
}

bool PlotsPane::isBusy() const {
  return plot_ != Plot::kNone &&
         (analysis_.isBusy() || (canvas() && canvas()->isPainting()) ||
          (plot_ == Plot::kRoofline && !analysis_.machine() && analysis_.message().isEmpty()));
}

PlotCanvas* PlotsPane::canvas() const {
  switch (plot_) {
  case Plot::kParallel:
    return parallel_;
  case Plot::kPredicted:
    return predicted_;
  case Plot::kRoofline:
    return roofline_;
  case Plot::kCalibration:
    return calibration_;
  case Plot::kNone:
  case Plot::kImportance:
  case Plot::kErrors:
    break;
  }
  return nullptr;
}

bool PlotsPane::exportTo(const QString& file, QString* problem) const {
  if (const PlotCanvas* plot = canvas())
    return plot->exportTo(file, problem);
  if (!file.endsWith(QStringLiteral(".csv"), Qt::CaseInsensitive)) {
    *problem = tr("this is a table: give the file a name that ends in .csv");
    return false;
  }
  const QString text = plot_ == Plot::kErrors ? errors_->csv() : importances_->csv();
  QSaveFile target(file);
  if (target.open(QIODevice::WriteOnly) && target.write(text.toUtf8()) >= 0 && target.commit())
    return true;
  *problem = tr("%1 cannot be written: %2").arg(file, target.errorString());
  return false;
}

void PlotsPane::showChoices() {
  filling_ = true;
  kernels_->clear();
  const auto& choices = analysis_.choices();
  QString followed;
  for (const Analysis::Choice& choice : choices)
    if (static_cast<int>(choice.series) == analysis_.series())
      followed = choice.text;
  const QString first = analysis_.chosen() < 0 && !followed.isEmpty()
                            ? tr("selected: %1").arg(followed)
                            : tr("of the selected record");
  kernels_->addItem(first);
  kernels_->setToolTip(first + u'\n' + oneKind());
  for (const Analysis::Choice& choice : choices) {
    kernels_->addItem(QStringLiteral("%1  (%2)").arg(choice.text, numberText(choice.records)),
                      static_cast<int>(choice.series));
    if (static_cast<int>(choice.series) == analysis_.chosen())
      kernels_->setCurrentIndex(kernels_->count() - 1);
  }
  filling_ = false;
}

void PlotsPane::showBrushes() {
  QStringList names;
  for (const auto& [axis, range] : analysis_.brushes())
    names << axis;
  brushed_->setText(
      tr("brushed: %1")
          .arg(fontMetrics().elidedText(names.join(QStringLiteral(", ")), Qt::ElideRight, 220)));
  brushes_->setVisible(!names.isEmpty());
}

void PlotsPane::showBusy() { sentence_->setText(importances_->sentence()); }

} // namespace temper::gui
