#include "gui/pages/edit_page.h"

#include "gui/core/format.h"
#include "gui/core/text_search.h"
#include "gui/widgets/code_view.h"
#include "gui/widgets/find_bar.h"
#include "gui/widgets/knob_form.h"
#include "gui/widgets/sweep_plot.h"
#include "gui/widgets/table.h"
#include "gui/widgets/theme.h"

#include <QBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QListWidget>
#include <QPushButton>
#include <QSplitter>
#include <QStackedWidget>
#include <QTabBar>
#include <QTableView>
#include <QTreeWidget>

namespace temper::gui {

namespace {

constexpr int kTypingPauseMs = 250;

QLabel* headline(const QString& text, QWidget* parent) {
  auto* label = new QLabel(text, parent);
  label->setProperty("faint", true);
  label->setContentsMargins(12, 8, 12, 4);
  return label;
}

} // namespace

EditPage::EditPage(EditSession& session, QWidget* parent)
    : QWidget(parent), session_(session), empty_(new QWidget(this)), all_(new QWidget(this)) {
  setObjectName(QStringLiteral("edit"));
  auto* words = new QLabel(tr("Choose a record in Explore and press E to go on from its schedule,\n"
                              "or edit a workload as it is written: Edit › Edit the form's "
                              "workload."),
                           empty_);
  words->setAlignment(Qt::AlignCenter);
  auto* emptyLayout = new QVBoxLayout(empty_);
  emptyLayout->addWidget(words);

  auto* splitter = new QSplitter(Qt::Horizontal, all_);
  splitter->setObjectName(QStringLiteral("edit.splitter"));
  splitter->setChildrenCollapsible(false);
  QWidget* head = makeHead();
  for (QWidget* part : {makeLeft(), makeCentre(), makeRight()})
    splitter->addWidget(part);
  splitter->setSizes({330, 630, 480});
  auto* allLayout = new QVBoxLayout(all_);
  allLayout->setContentsMargins(0, 0, 0, 0);
  allLayout->setSpacing(0);
  allLayout->addWidget(head);
  allLayout->addWidget(splitter, 1);
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->addWidget(empty_);
  layout->addWidget(all_);

  typing_.setSingleShot(true);
  typing_.setInterval(kTypingPauseMs);
  connect(trace_, &CodeView::edited, &typing_, qOverload<>(&QTimer::start));
  connect(&typing_, &QTimer::timeout, this, [this] { session_.setTrace(trace_->text()); });
  connect(&session_, &EditSession::programChanged, this, &EditPage::showProgram);
  connect(&session_, &EditSession::stepsChanged, this, &EditPage::showSteps);
  connect(&session_, &EditSession::measuringChanged, this, &EditPage::showHead);
  connect(&session_.history(), &EditHistory::currentChanged, this, &EditPage::showHead);
  connect(&session_.history(), &QAbstractItemModel::dataChanged, this, &EditPage::showHead);
  showHead();
  showProgram();
}

QWidget* EditPage::makeHead() {
  auto* head = new QWidget(all_);
  title_ = new QLabel(head);
  time_ = new QLabel(head);
  verdict_ = new QLabel(head);
  undo_ = new QPushButton(tr("Undo"), head);
  redo_ = new QPushButton(tr("Redo"), head);
  measure_ = new QPushButton(tr("Measure now"), head);
  QFont bold = font();
  bold.setBold(true);
  title_->setFont(bold);
  QFont big = bold;
  big.setPointSizeF(font().pointSizeF() * 1.7);
  time_->setFont(big);
  verdict_->setProperty("faint", true);
  for (QLabel* label : {title_, time_, verdict_}) {
    label->setTextFormat(Qt::PlainText);
    label->setTextInteractionFlags(Qt::TextSelectableByMouse);
  }
  verdict_->setWordWrap(true);
  time_->setObjectName(QStringLiteral("edit.time"));
  measure_->setObjectName(QStringLiteral("edit.measure.button"));
  measure_->setDefault(true);
  measure_->setToolTip(tr("Compiles, checks and times this schedule, and keeps the record"));
  auto* texts = new QVBoxLayout;
  texts->setSpacing(4);
  for (QLabel* label : {title_, time_, verdict_})
    texts->addWidget(label);
  auto* layout = new QHBoxLayout(head);
  layout->setContentsMargins(16, 12, 16, 8);
  layout->addLayout(texts, 1);
  for (QPushButton* button : {undo_, redo_, measure_})
    layout->addWidget(button, 0, Qt::AlignTop);
  connect(undo_, &QPushButton::clicked, &session_, &EditSession::undo);
  connect(redo_, &QPushButton::clicked, &session_, &EditSession::redo);
  connect(measure_, &QPushButton::clicked, &session_, &EditSession::measure);
  return head;
}

QWidget* EditPage::makeLeft() {
  left_ = new QStackedWidget(all_);
  auto* left = new QSplitter(Qt::Vertical, left_);
  left->setChildrenCollapsible(false);
  places_ = new QListWidget(left);
  places_->setObjectName(QStringLiteral("edit.places"));
  places_->setAccessibleName(tr("Loops and blocks"));
  places_->setFrameShape(QFrame::NoFrame);
  places_->setFont(fixedFont());
  steps_ = new QTreeWidget(left);
  steps_->setObjectName(QStringLiteral("edit.steps"));
  steps_->setAccessibleName(tr("Next steps"));
  steps_->setFrameShape(QFrame::NoFrame);
  steps_->setRootIsDecorated(false);
  new WrapDelegate(steps_); // all of a step is to be read in the smallest window
  steps_->setHeaderLabels({tr("next step (Enter takes it)"), tr("estimate")});
  steps_->headerItem()->setTextAlignment(1, Qt::AlignRight | Qt::AlignVCenter);
  steps_->header()->setStretchLastSection(false);
  steps_->header()->setSectionResizeMode(0, QHeaderView::Stretch);
  steps_->header()->setSectionResizeMode(1, QHeaderView::ResizeToContents);
  auto* top = new QWidget(left);
  auto* topLayout = new QVBoxLayout(top);
  topLayout->setContentsMargins(0, 0, 0, 0);
  topLayout->setSpacing(0);
  topLayout->addWidget(headline(tr("loops and blocks"), top));
  topLayout->addWidget(places_);
  left->addWidget(top);
  left->addWidget(steps_);
  left->setSizes({400, 400});
  connect(places_, &QListWidget::currentRowChanged, this, [this](int row) {
    if (!showing_)
      session_.selectPlace(row);
  });
  connect(steps_, &QTreeWidget::itemActivated, this, &EditPage::applyCurrentStep);
  auto* form = new QWidget(left_);
  knobs_ = new KnobForm(session_, form);
  auto* formLayout = new QVBoxLayout(form);
  formLayout->setContentsMargins(0, 0, 0, 0);
  formLayout->setSpacing(0);
  formLayout->addWidget(headline(tr("knobs, with the estimated time of each choice"), form));
  formLayout->addWidget(knobs_, 1);
  left_->addWidget(left);
  left_->addWidget(form);
  return left_;
}

QWidget* EditPage::makeCentre() {
  auto* centre = new QSplitter(Qt::Vertical, all_);
  centre->setChildrenCollapsible(false);
  auto* top = new QWidget(centre);
  levels_ = new QTabBar(top);
  levels_->setDrawBase(false);
  levels_->setExpanding(false);
  levels_->setAccessibleName(tr("Level of the program"));
  for (int level = 1; level < kCodeLevels; ++level)
    levels_->addTab(levelTitle(static_cast<CodeLevel>(level)));
  showLevels();
  program_ = new CodeView(top);
  auto* topLayout = new QVBoxLayout(top);
  topLayout->setContentsMargins(0, 0, 0, 0);
  topLayout->setSpacing(0);
  topLayout->addWidget(levels_);
  topLayout->addWidget(program_, 1);
  auto* bottom = new QWidget(centre);
  trace_ = new CodeView(bottom);
  trace_->setObjectName(QStringLiteral("edit.trace"));
  trace_->setEditable(true);
  error_ = new QLabel(bottom);
  error_->setObjectName(QStringLiteral("edit.error"));
  error_->setTextFormat(Qt::PlainText);
  error_->setTextInteractionFlags(Qt::TextSelectableByMouse);
  error_->setWordWrap(true);
  error_->setContentsMargins(12, 6, 12, 8);
  auto* bottomLayout = new QVBoxLayout(bottom);
  bottomLayout->setContentsMargins(0, 0, 0, 0);
  bottomLayout->setSpacing(0);
  bottomLayout->addWidget(headline(tr("trace: may be typed in"), bottom));
  bottomLayout->addWidget(trace_, 1);
  bottomLayout->addWidget(error_);
  find_ = new FindBar(QStringLiteral("edit.search"), bottom);
  bottomLayout->addWidget(find_);
  connect(find_, &FindBar::wordsChanged, this, &EditPage::countFound);
  connect(find_, &FindBar::wanted, this, &EditPage::searchAgain);
  centre->addWidget(top);
  centre->addWidget(bottom);
  centre->setSizes({480, 300});
  connect(levels_, &QTabBar::currentChanged, this,
          [this](int tab) { session_.setLevel(static_cast<CodeLevel>(tab + 1)); });
  connect(program_, &CodeView::cursorMoved, this, [this](int line, const QString& word) {
    if (const int place = session_.placeAt(line, word); place >= 0)
      places_->setCurrentRow(place);
  });
  return centre;
}

QWidget* EditPage::makeRight() {
  auto* right = new QWidget(all_);
  history_ = new QTableView(right);
  setUpTable(history_, QStringLiteral("edit.history"), tr("Schedules that were tried"),
             &session_.history());
  setColumnWidths(history_, {5, 16, 10, 11, 7}, EditHistory::kStep);
  history_->setEditTriggers(QAbstractItemView::EditKeyPressed);
  decisions_ = new QTreeWidget(right);
  decisions_->setObjectName(QStringLiteral("edit.decisions"));
  decisions_->setAccessibleName(tr("Decisions; a tick locks one for the search"));
  decisions_->setToolTip(tr("A tick locks a decision: a search from here keeps it"));
  decisions_->setFrameShape(QFrame::NoFrame);
  decisions_->setRootIsDecorated(false);
  decisions_->setUniformRowHeights(true);
  decisions_->setItemDelegate(new TipDelegate(decisions_));
  decisions_->setHeaderLabels({tr("decision"), tr("for"), tr("value")});
  decisions_->header()->setStretchLastSection(true);
  decisions_->header()->setSectionResizeMode(0, QHeaderView::ResizeToContents);
  decisions_->header()->setSectionResizeMode(1, QHeaderView::ResizeToContents);
  sweep_ = new SweepPlot(session_, right);
  measureSweep_ = new QPushButton(tr("Measure all values"), right);
  measureSweep_->setObjectName(QStringLiteral("edit.sweep.button"));
  measureSweep_->setToolTip(tr("Measures every value of the decision that was not measured yet"));
  search_ = new QPushButton(tr("Search from here"), right);
  search_->setObjectName(QStringLiteral("edit.search.button"));
  search_->setToolTip(tr("Starts a run that varies the decisions without a tick"));
  auto* buttons = new QHBoxLayout;
  buttons->setContentsMargins(12, 4, 12, 8);
  buttons->addWidget(measureSweep_);
  buttons->addStretch();
  buttons->addWidget(search_);

  auto* split = new QSplitter(Qt::Vertical, right);
  split->setObjectName(QStringLiteral("edit.right.splitter"));
  split->setChildrenCollapsible(false);
  const auto part = [&](const QString& head, std::initializer_list<QWidget*> widgets) {
    auto* box = new QWidget(split);
    auto* column = new QVBoxLayout(box);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(0);
    column->addWidget(headline(head, box));
    for (QWidget* widget : widgets)
      column->addWidget(widget, 1);
    return column;
  };
  part(tr("schedules that were tried (Enter: back to one, F2: name)"), {history_});
  part(tr("decisions (a tick keeps one in a search)"), {decisions_});
  QVBoxLayout* last = part(tr("values of the decision"), {sweep_});
  last->addLayout(buttons);
  split->setSizes({260, 200, 240});
  auto* layout = new QVBoxLayout(right);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->addWidget(split);
  connect(history_, &QTableView::activated, this,
          [this](const QModelIndex& index) { session_.goTo(index.row()); });
  connect(decisions_, &QTreeWidget::currentItemChanged, this, [this](QTreeWidgetItem* item) {
    if (!showing_ && item)
      session_.sweep(decisions_->indexOfTopLevelItem(item));
  });
  connect(decisions_, &QTreeWidget::itemChanged, this, [this](QTreeWidgetItem* item) {
    if (!showing_)
      session_.setLocked(decisions_->indexOfTopLevelItem(item), item->checkState(0) == Qt::Checked);
  });
  connect(measureSweep_, &QPushButton::clicked, this,
          [this] { session_.isSweeping() ? session_.stopSweep() : session_.measureSweep(); });
  connect(search_, &QPushButton::clicked, this, &EditPage::searchWanted);
  connect(&session_, &EditSession::decisionsChanged, this, &EditPage::showDecisions);
  connect(&session_, &EditSession::sweepChanged, this, &EditPage::showSweep);
  connect(&session_, &EditSession::measuringChanged, this, &EditPage::showSweep);
  showSweep();
  return right;
}

void EditPage::showLevel(CodeLevel level) {
  if (level == CodeLevel::kTrace)
    trace_->setFocus();
  else if (hasLevel(session_.target(), level))
    levels_->setCurrentIndex(static_cast<int>(level) - 1);
}

void EditPage::showLevels() {
  const QSignalBlocker nobodyChooses(levels_);
  const QString target = session_.target();
  for (int tab = 0; tab < levels_->count(); ++tab) {
    const auto level = static_cast<CodeLevel>(tab + 1);
    levels_->setTabVisible(tab, hasLevel(target, level));
    levels_->setTabText(tab, levelTitle(level, target));
  }
  levels_->setCurrentIndex(static_cast<int>(session_.level()) - 1);
}

void EditPage::setHeat(bool on) {
  heat_ = on;
  showHeat();
}

void EditPage::showHeat() {
  const bool ofLoops = session_.level() == CodeLevel::kScript ||
                       session_.level() == CodeLevel::kTir || session_.level() == CodeLevel::kCuda;
  program_->setHeat(heat_ && ofLoops && !program_->isMessage()
                        ? heatOf(program_->text(), session_.level())
                        : std::vector<LineHeat>());
}

void EditPage::startSearch() {
  find_->open();
  countFound();
}

void EditPage::searchAgain(bool forward) {
  if (find_->words().isEmpty())
    return;
  if (const int view = FindBar::findInTurn({program_, trace_}, foundIn_, find_->words(), forward);
      view >= 0)
    foundIn_ = view;
}

void EditPage::countFound() {
  const QString words = find_->words();
  find_->setFound(words.isEmpty() ? QString()
                                  : tr("%1 %2 · trace %3")
                                        .arg(levelTitle(session_.level(), session_.target()))
                                        .arg(occurrences(program_->text(), words))
                                        .arg(occurrences(trace_->text(), words)));
}

void EditPage::focusPlaces() { places_->setFocus(); }

void EditPage::applyCurrentStep() {
  if (const QTreeWidgetItem* item = steps_->currentItem())
    session_.apply(item->data(0, Qt::UserRole).toInt());
}

void EditPage::renameCurrent() {
  const QModelIndex index =
      session_.history().index(session_.history().currentRow(), EditHistory::kStep);
  history_->setCurrentIndex(index);
  history_->edit(index);
}

void EditPage::showDecisions() {
  showing_ = true;
  const auto& decisions = session_.decisions();
  while (decisions_->topLevelItemCount() > static_cast<int>(decisions.size()))
    delete decisions_->takeTopLevelItem(decisions_->topLevelItemCount() - 1);
  for (size_t i = 0; i < decisions.size(); ++i) {
    QTreeWidgetItem* item = decisions_->topLevelItem(static_cast<int>(i));
    if (!item)
      item = new QTreeWidgetItem(decisions_);
    const EditSession::Decision& decision = decisions[i];
    item->setFlags(Qt::ItemIsEnabled | Qt::ItemIsSelectable | Qt::ItemIsUserCheckable);
    item->setCheckState(0, decision.locked ? Qt::Checked : Qt::Unchecked);
    item->setText(0, decision.names.join(QStringLiteral(", ")));
    item->setText(1, decision.step);
    item->setText(2, decision.value);
  }
  showing_ = false;
}

void EditPage::showSweep() {
  bool open = false;
  for (const EditSession::SweepPoint& point : session_.sweepPoints())
    open = open || (!point.trace.isEmpty() && point.outcome.isEmpty());
  measureSweep_->setText(session_.isSweeping() ? tr("Stop measuring") : tr("Measure all values"));
  measureSweep_->setEnabled(session_.isSweeping() || (open && !session_.isMeasuring()));
  showing_ = true;
  decisions_->setCurrentItem(session_.swept() < 0 ? nullptr
                                                  : decisions_->topLevelItem(session_.swept()));
  showing_ = false;
}

void EditPage::showHead() {
  const EditNode* node = session_.history().current();
  empty_->setVisible(!node);
  all_->setVisible(node);
  undo_->setEnabled(session_.history().canUndo());
  redo_->setEnabled(session_.history().canRedo());
  const bool measuring = session_.isMeasuring();
  measure_->setEnabled(node && !measuring && session_.error().isEmpty());
  measure_->setText(measuring ? tr("Measuring…") : tr("Measure now"));
  if (!node)
    return;
  title_->setText(session_.title() + QStringLiteral("   ") + node->label);
  QStringList words;
  if (node->medianNs > 0) {
    time_->setText(timeText(node->medianNs) + QStringLiteral("  ") +
                   halfWidthText(node->medianNs, node->lowNs, node->highNs));
    const double start = session_.history().nodes().front().medianNs;
    if (session_.history().currentRow() > 0 && start > 0)
      words << tr("%1× the time of the start, as recorded").arg(node->medianNs / start, 0, 'f', 3);
    words << shortId(node->record);
  } else if (node->isMeasured()) {
    time_->setText(node->outcome);
    words << node->reason.section(u'\n', 0, 0);
  } else {
    time_->setText(tr("not measured"));
  }
  if (node->estimateNs > 0)
    words << tr("estimated %1").arg(timeText(node->estimateNs));
  verdict_->setText(words.join(QStringLiteral("; ")));
}

void EditPage::showProgram() {
  showHead();
  if (!session_.isOpen())
    return;
  if (trace_->text() != session_.trace() && !typing_.isActive())
    trace_->setCode(session_.trace(), CodeLevel::kTrace);
  const QString& error = session_.error();
  error_->setVisible(!error.isEmpty());
  // The program with the place marked follows the sentence; a screenful of it is enough.
  error_->setText(QStringLiteral("⚠ ") + error.split(u'\n').mid(0, 6).join(u'\n'));
  if (session_.text().isEmpty())
    program_->setMessage(session_.isWorking() ? tr("…") : QString());
  else if (program_->text() != session_.text() || program_->isMessage())
    program_->setCode(session_.text(), session_.level());
  showHeat();
  countFound();
  showLevels();

  left_->setCurrentIndex(session_.hasKnobs() ? 1 : 0);
  showing_ = true;
  const auto& places = session_.places();
  for (int i = places_->count(); i < static_cast<int>(places.size()); ++i)
    places_->addItem(QString());
  while (places_->count() > static_cast<int>(places.size()))
    delete places_->takeItem(places_->count() - 1);
  for (int i = 0; i < places_->count(); ++i) {
    const EditSession::Place& place = places[static_cast<size_t>(i)];
    places_->item(i)->setText(QString(2 * place.depth, u' ') + place.text);
  }
  showing_ = false;
  showSteps();
}

void EditPage::showSteps() {
  const int place = session_.place();
  const std::vector<LineRange> lines = session_.regionsOfPlaces();
  const LineRange marked = place >= 0 && place < static_cast<int>(lines.size())
                               ? lines[static_cast<size_t>(place)]
                               : LineRange{-1, -1};
  program_->markLines(marked.first, marked.last);
  showing_ = true;
  places_->setCurrentRow(place);
  showing_ = false;
  if (const QListWidgetItem* item = places_->currentItem())
    places_->scrollToItem(item);
  steps_->clear();
  if (place < 0 && session_.isOpen() && !session_.places().empty()) {
    auto* hint =
        new QTreeWidgetItem(steps_, {tr("choose a loop or block above, or in the program")});
    hint->setFirstColumnSpanned(true);
    hint->setFlags(Qt::NoItemFlags);
  }
  const EditNode* node = session_.history().current();
  int number = 0;
  for (const EditSession::Step& step : session_.steps()) {
    auto* item = new QTreeWidgetItem(steps_);
    item->setData(0, Qt::UserRole, number++);
    // Long names may be broken, too: "pragma_auto_unroll_max_step" is wider than the column.
    const auto breakable = [](QString text) {
      return text.replace(QStringLiteral("_"), QStringLiteral("_\u200b"));
    };
    item->setText(0, breakable(step.text()));
    item->setTextAlignment(1, Qt::AlignRight | Qt::AlignVCenter);
    if (step.lines.isEmpty()) {
      item->setText(0, breakable(step.text() + QStringLiteral(": ") + step.reason));
      item->setToolTip(0, step.reason);
      item->setFlags(Qt::NoItemFlags);
      continue;
    }
    item->setToolTip(0, step.lines.trimmed());
    if (step.estimateNs > 0 && node && node->estimateNs > 0) {
      item->setText(1, QStringLiteral("%1×").arg(step.estimateNs / node->estimateNs, 0, 'f', 2));
      item->setToolTip(1, timeText(step.estimateNs));
    }
  }
}

} // namespace temper::gui
