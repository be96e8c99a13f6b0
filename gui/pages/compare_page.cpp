#include "gui/pages/compare_page.h"

#include "database/record_log.h"
#include "gui/core/comparison_html.h"
#include "gui/core/format.h"
#include "gui/core/side_facts.h"
#include "gui/core/text_search.h"
#include "gui/core/trace_changes.h"
#include "gui/widgets/code_view.h"
#include "gui/widgets/find_bar.h"
#include "gui/widgets/run_plot.h"
#include "gui/widgets/table.h"
#include "gui/widgets/theme.h"
#include "ir/support/json.h"

#include <QBoxLayout>
#include <QCheckBox>
#include <QHeaderView>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QSaveFile>
#include <QSplitter>
#include <QTabBar>
#include <QTreeWidget>

#include <algorithm>

namespace temper::gui {

namespace {
/// Of a reason that can be tried in the editor.
constexpr int kStepLabel = Qt::UserRole + 1;
constexpr int kStepTrace = Qt::UserRole + 2;

/// Tabs after those of the levels of code.
constexpr int kLogTab = kCodeLevels;
constexpr int kNumbersTab = kCodeLevels + 1;
constexpr int kWhyTab = kCodeLevels + 2;
} // namespace

ComparePage::ComparePage(Workspace& workspace, QWidget* parent)
    : QWidget(parent), workspace_(workspace), compare_(this), sentence_(new QLabel(this)),
      measured_(new QLabel(this)), changes_(new QLabel(this)),
      measure_(new QPushButton(tr("Measure both again"), this)), levels_(new QTabBar(this)),
      onlyDifferences_(new QCheckBox(tr("Only differences"), this)), count_(new QLabel(this)),
      find_(new FindBar(QStringLiteral("compare.search"), this)),
      splitter_(new QSplitter(Qt::Horizontal, this)), why_(workspace.database()),
      whyView_(new QTreeWidget(this)), numbers_(new QWidget(this)),
      numbersView_(new QTreeWidget(numbers_)), try_(new QPushButton(tr("Try it on A"), this)) {
  setObjectName(QStringLiteral("compare"));
  QFont big = font();
  big.setPointSizeF(font().pointSizeF() * 1.25);
  big.setBold(true);
  sentence_->setFont(big);
  sentence_->setObjectName(QStringLiteral("compare.sentence"));
  changes_->setObjectName(QStringLiteral("compare.changes"));
  changes_->setProperty("faint", true);
  for (QLabel* label : {sentence_, measured_, changes_}) {
    label->setWordWrap(true);
    label->setTextFormat(Qt::PlainText);
    label->setTextInteractionFlags(Qt::TextSelectableByMouse);
  }
  measure_->setToolTip(tr("Runs both in turns, so that what disturbs one disturbs the other"));
  auto* head = new QVBoxLayout;
  head->setContentsMargins(16, 12, 16, 8);
  head->setSpacing(8);
  auto* top = new QHBoxLayout;
  top->addWidget(sentence_, 1);
  top->addWidget(measure_, 0, Qt::AlignTop);
  head->addLayout(top);
  head->addWidget(measured_);
  head->addWidget(changes_);

  splitter_->setChildrenCollapsible(false);
  for (const int side : {0, 1}) {
    auto* column = new QWidget(this);
    auto* layout = new QVBoxLayout(column);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(4);
    auto* row = new QHBoxLayout;
    row->setContentsMargins(16, 4, 16, 0);
    auto* name = new QLabel(side == 0 ? tr("A") : tr("B"), this);
    QFont bold = font();
    bold.setBold(true);
    name->setFont(bold);
    fields_[side] = new QLineEdit(this);
    fields_[side]->setObjectName(QStringLiteral("compare.side%1").arg(side));
    fields_[side]->setAccessibleName(side == 0 ? tr("Record A") : tr("Record B"));
    fields_[side]->setPlaceholderText(tr("id of a record"));
    fields_[side]->setFixedWidth(fontMetrics().horizontalAdvance(u'0') * 14);
    sides_[side] = new QLabel(this);
    sides_[side]->setTextFormat(Qt::PlainText);
    sides_[side]->setTextInteractionFlags(Qt::TextSelectableByMouse);
    sides_[side]->setProperty("faint", true);
    // Both are of one height, so that equal lines stand side by side; the tip has all of it.
    sides_[side]->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
    row->addWidget(name);
    row->addWidget(fields_[side]);
    row->addWidget(sides_[side], 1);
    layout->addLayout(row);
    views_[side] = new CodeView(this);
    layout->addWidget(views_[side], 1);
    splitter_->addWidget(column);
    connect(fields_[side], &QLineEdit::returnPressed, this,
            [this, side] { workspace_.setSideByPrefix(side, fields_[side]->text().trimmed()); });
  }
  CodeView::join(views_[0], views_[1]);

  auto* bar = new QHBoxLayout;
  bar->setContentsMargins(8, 0, 16, 0);
  for (int level = 0; level < kCodeLevels; ++level)
    levels_->addTab(levelTitle(static_cast<CodeLevel>(level)));
  levels_->addTab(tr("Log"));
  levels_->addTab(tr("Numbers"));
  levels_->addTab(tr("Why faster"));
  levels_->setDrawBase(false);
  levels_->setUsesScrollButtons(false);
  levels_->setAccessibleName(tr("Level"));
  onlyDifferences_->setChecked(true);
  onlyDifferences_->setObjectName(QStringLiteral("compare.onlyDifferences"));
  count_->setProperty("faint", true);
  bar->addWidget(levels_);
  bar->addStretch();
  bar->addWidget(count_);
  bar->addWidget(onlyDifferences_);
  bar->addWidget(try_);
  try_->setObjectName(QStringLiteral("compare.try.button"));
  try_->setToolTip(tr("Opens A in the editor with the chosen decision as B has it"));
  connect(try_, &QPushButton::clicked, this, [this] { emit editWanted(chosenStep()); });
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->setSpacing(4);
  layout->addLayout(head);
  layout->addLayout(bar);
  layout->addWidget(splitter_, 1);
  layout->addWidget(whyView_, 1);
  layout->addWidget(numbers_, 1);
  layout->addWidget(find_);
  connect(find_, &FindBar::wordsChanged, this, &ComparePage::countFound);
  connect(find_, &FindBar::wanted, this, &ComparePage::searchAgain);
  whyView_->setObjectName(QStringLiteral("compare.why"));
  whyView_->setAccessibleName(tr("Why one is faster"));
  whyView_->setFrameShape(QFrame::NoFrame);
  new WrapDelegate(whyView_);
  whyView_->setSelectionMode(QAbstractItemView::SingleSelection);
  whyView_->setHeaderLabels({tr("what differs"), tr("A"), tr("B"), tr("for B's score")});
  for (int column = 1; column < 4; ++column)
    whyView_->headerItem()->setTextAlignment(column, Qt::AlignRight | Qt::AlignVCenter);
  whyView_->header()->setStretchLastSection(false);
  whyView_->header()->setSectionResizeMode(0, QHeaderView::Stretch);
  for (int column = 1; column < 4; ++column)
    whyView_->header()->resizeSection(column, fontMetrics().horizontalAdvance(u'0') *
                                                  (column == 3 ? 24 : 22));
  whyView_->setItemDelegateForColumn(3, new SignedBarDelegate(Qt::UserRole, whyView_));

  auto* samples = new QGridLayout;
  samples->setContentsMargins(16, 4, 16, 4);
  samples->setColumnStretch(1, 1);
  for (const int side : {0, 1}) {
    samples_[side] = new SamplePlot(numbers_);
    samples_[side]->setAccessibleName(side == 0 ? tr("Samples of A") : tr("Samples of B"));
    auto* name = new QLabel(side == 0 ? tr("A") : tr("B"), numbers_);
    QFont bold = font();
    bold.setBold(true);
    name->setFont(bold);
    samples->addWidget(name, side, 0, Qt::AlignTop);
    samples->addWidget(samples_[side], side, 1);
  }
  auto* numbers = new QVBoxLayout(numbers_);
  numbers->setContentsMargins(0, 0, 0, 0);
  numbers->addLayout(samples);
  numbers->addWidget(numbersView_, 1);
  numbersView_->setObjectName(QStringLiteral("compare.numbers"));
  numbersView_->setAccessibleName(tr("Numbers of both"));
  numbersView_->setFrameShape(QFrame::NoFrame);
  numbersView_->setRootIsDecorated(false);
  new WrapDelegate(numbersView_);
  numbersView_->setSelectionMode(QAbstractItemView::SingleSelection);
  numbersView_->setHeaderLabels({tr("what"), tr("A"), tr("B"), tr("B over A")});
  numbersView_->headerItem()->setTextAlignment(3, Qt::AlignRight | Qt::AlignVCenter);
  numbersView_->header()->setStretchLastSection(false);
  for (const int column : {1, 2})
    numbersView_->header()->setSectionResizeMode(column, QHeaderView::Stretch);
  const int digit = fontMetrics().horizontalAdvance(u'0');
  numbersView_->header()->resizeSection(0, 28 * digit);
  numbersView_->header()->resizeSection(3, 11 * digit);

  connect(&workspace_, &Workspace::sidesChanged, this, &ComparePage::showSides);
  connect(&workspace_, &Workspace::marksChanged, this, &ComparePage::showNames);
  connect(&why_, &WhyQuestion::changed, this, &ComparePage::showReasons);
  const auto chosen = [this] { try_->setEnabled(!chosenStep().trace.isEmpty()); };
  connect(whyView_, &QTreeWidget::currentItemChanged, this, chosen);
  connect(whyView_, &QTreeWidget::itemActivated, this, [this] {
    if (const EditProposal step = chosenStep(); !step.trace.isEmpty())
      emit editWanted(step);
  });
  connect(levels_, &QTabBar::currentChanged, this, &ComparePage::showTab);
  connect(onlyDifferences_, &QCheckBox::toggled, this,
          [this] { isNumbers() ? fillNumbers() : showTexts(); });
  connect(measure_, &QPushButton::clicked, this, &ComparePage::measure);
  showSides();
}

QString ComparePage::sentence() const { return sentence_->text(); }

bool ComparePage::canMeasure() const {
  const RecordDetail* a = workspace_.sideDetail(0);
  const RecordDetail* b = workspace_.sideDetail(1);
  return a && b && a->row.workload == b->row.workload && a->row.id != b->row.id &&
         !compare_.isRunning();
}

/// What a side is of its baseline.
QString ComparePage::markWords(int side) const {
  const QString& id = workspace_.side(side);
  const QString ratio = workspace_.ratioOf(id);
  return workspace_.isBaseline(id) ? tr("   ▪ the baseline")
         : ratio.isEmpty()         ? QString()
                                   : tr("   %1 of the baseline").arg(ratio);
}

void ComparePage::showNames() {
  for (const int side : {0, 1}) {
    const RecordDetail* detail = workspace_.sideDetail(side);
    if (!fields_[side]->hasFocus() || detail)
      fields_[side]->setText(detail ? detail->shortRecord : shortId(workspace_.side(side)));
    sides_[side]->setText(
        detail ? QStringLiteral("%1   %2%3")
                     .arg(detail->title(), timeText(detail->row.median_ns), markWords(side))
               : QString());
    sides_[side]->setToolTip(sides_[side]->text());
  }
}

void ComparePage::showSides() {
  showNames();
  const RecordDetail* a = workspace_.sideDetail(0);
  const RecordDetail* b = workspace_.sideDetail(1);
  for (int level = 0; level < kCodeLevels; ++level) {
    const auto of = static_cast<CodeLevel>(level);
    QStringList titles; // of a GPU of NVIDIA's beside one of AMD's both
    for (const RecordDetail* side : {a, b})
      if (const QString target = side ? toQString(side->row.target) : QString();
          side && gui::hasLevel(target, of))
        titles << levelTitle(of, target);
    if (!a && !b && gui::hasLevel({}, of))
      titles << levelTitle(of);
    titles.removeDuplicates();
    levels_->setTabVisible(level, !titles.isEmpty());
    if (!titles.isEmpty())
      levels_->setTabText(level, titles.join(QStringLiteral(", ")));
  }
  if (a && b)
    sentence_->setText(compareStored(*a, *b).sentence);
  else if (workspace_.side(0).isEmpty() && workspace_.side(1).isEmpty())
    sentence_->setText(
        tr("Choose two records: press C on each in Explore, or type their ids below."));
  else
    sentence_->setText(
        workspace_.side(0).isEmpty() || workspace_.side(1).isEmpty()
            ? tr("Choose the other record: press C on it in Explore, or type its id below.")
            : QString());
  measured_->clear();
  measured_->setVisible(false);
  changed_ = a && b && a->row.workload == b->row.workload
                 ? changedDecisions(a->candidate.program, b->candidate.program)
                 : QStringList();
  changes_->setVisible(!changed_.isEmpty());
  changes_->setText(tr("decided otherwise, A → B:  ") + changed_.join(QStringLiteral(";   ")));
  compare_.cancel();
  measure_->setEnabled(canMeasure());
  const QString pair = a && b ? workspace_.side(0) + u' ' + workspace_.side(1) : QString();
  if (pair != asked_) {
    asked_ = {};
    why_.cancel();
  }
  showTab();
}

bool ComparePage::isWhy() const { return levels_->currentIndex() == kWhyTab; }
bool ComparePage::isNumbers() const { return levels_->currentIndex() == kNumbersTab; }

std::optional<CodeLevel> ComparePage::textLevel() const {
  return levels_->currentIndex() < kCodeLevels
             ? std::optional(static_cast<CodeLevel>(levels_->currentIndex()))
             : std::nullopt;
}

void ComparePage::showTab() {
  const bool why = isWhy(), texts = !why && !isNumbers();
  for (CodeView* view : views_)
    view->setVisible(texts);
  whyView_->setVisible(why);
  numbers_->setVisible(isNumbers());
  onlyDifferences_->setVisible(!why);
  try_->setVisible(why);
  constexpr int kAround = 14;
  // Of the columns: a splitter's own follows from theirs.
  for (int side : {0, 1})
    splitter_->widget(side)->setMaximumHeight(texts ? QWIDGETSIZE_MAX
                                                    : fields_[0]->sizeHint().height() + kAround);
  if (isNumbers()) {
    fillNumbers();
    return;
  }
  if (!why) {
    loadTexts();
    return;
  }
  // It compiles both and trains a model: only for somebody who looks.
  const QString pair = workspace_.side(0) + u' ' + workspace_.side(1);
  if (workspace_.sideDetail(0) && workspace_.sideDetail(1) && asked_ != pair) {
    asked_ = pair;
    why_.ask(workspace_.side(0), workspace_.side(1));
  }
  showReasons();
}

void ComparePage::showReasons() {
  QString words = changed_.isEmpty()
                      ? QString()
                      : tr("decided otherwise, A → B:  ") + changed_.join(QStringLiteral(";   "));
  if (!why_.sentence().isEmpty())
    words += (words.isEmpty() ? QString() : QStringLiteral("\n")) + why_.sentence();
  changes_->setText(words);
  changes_->setVisible(!words.isEmpty());
  if (!isWhy())
    return;
  count_->setText(why_.isBusy() ? tr("compiling both, and learning from their kernel's records…")
                                : QString());
  whyView_->clear();
  const auto line = [&](const QString& text) {
    auto* item = new QTreeWidgetItem(whyView_, {text});
    item->setFirstColumnSpanned(true);
    item->setFlags(Qt::ItemIsEnabled);
    return item;
  };
  if (!why_.error().isEmpty())
    line(why_.error());
  else if (!asked_.isEmpty() && !why_.isBusy() && why_.sections().empty())
    line(tr("Nothing was found that tells them apart."));
  for (const WhySection& section : why_.sections()) {
    QTreeWidgetItem* head = line(section.title);
    QFont bold = font();
    bold.setBold(true);
    head->setFont(0, bold);
    if (!section.note.isEmpty()) {
      auto* note = new QTreeWidgetItem(head, {section.note});
      note->setFirstColumnSpanned(true);
      note->setForeground(0, theme().faint);
      note->setFlags(Qt::ItemIsEnabled);
    }
    for (const WhyRow& row : section.rows) {
      auto* item = new QTreeWidgetItem(head, {row.what, row.a, row.b, row.effect});
      for (int column = 1; column < 4; ++column)
        item->setTextAlignment(column, Qt::AlignRight | Qt::AlignVCenter);
      for (int column = 0; column < 4; ++column)
        item->setToolTip(column, row.tip.isEmpty() ? row.what : row.tip);
      item->setData(3, Qt::UserRole, row.share);
      item->setData(0, kStepLabel, row.label);
      item->setData(0, kStepTrace, row.trace);
      if (row.a.isEmpty() && row.b.isEmpty() && row.effect.isEmpty())
        item->setFirstColumnSpanned(true);
    }
    head->setExpanded(true);
  }
  try_->setEnabled(false);
}

EditProposal ComparePage::chosenStep() const {
  const QTreeWidgetItem* item = isWhy() ? whyView_->currentItem() : nullptr;
  return item ? EditProposal{workspace_.side(0), item->data(0, kStepLabel).toString(),
                             item->data(0, kStepTrace).toString()}
              : EditProposal{};
}

QString ComparePage::levelName() const {
  const auto level = textLevel();
  return level         ? gui::levelName(*level)
         : isWhy()     ? QStringLiteral("why")
         : isNumbers() ? QStringLiteral("overview")
                       : QStringLiteral("log");
}

void ComparePage::showLog() { levels_->setCurrentIndex(kLogTab); }
void ComparePage::showNumbers() { levels_->setCurrentIndex(kNumbersTab); }
void ComparePage::showWhy() { levels_->setCurrentIndex(kWhyTab); }

void ComparePage::fillNumbers() {
  numbersView_->clear();
  const RecordDetail* sides[] = {workspace_.sideDetail(0), workspace_.sideDetail(1)};
  std::optional<std::pair<double, double>> range;
  for (const int side : {0, 1}) {
    samples_[side]->setMeasurement(sides[side] ? &sides[side]->measurement : nullptr);
    if (const auto own = samples_[side]->ownRange())
      range = range ? std::pair(std::min(range->first, own->first),
                                std::max(range->second, own->second))
                    : *own;
  }
  // Of kernels that differ in what they compute, or in their machine, nobody compares the times.
  const bool together = sides[0] && sides[1] && compareStored(*sides[0], *sides[1]).comparable;
  for (SamplePlot* plot : samples_)
    plot->setRange(together ? range : std::nullopt);
  count_->clear();
  if (!sides[0] || !sides[1])
    return;
  int differences = 0;
  for (const FactPair& pair : factPairs(*sides[0], *sides[1])) {
    differences += pair.differs() ? 1 : 0;
    if (!pair.differs() && onlyDifferences_->isChecked())
      continue;
    auto* item = new QTreeWidgetItem(numbersView_, {pair.name, pair.a, pair.b, pair.ratio});
    item->setForeground(0, theme().faint);
    item->setTextAlignment(3, Qt::AlignRight | Qt::AlignTop);
    for (const int column : {0, 1, 2})
      item->setTextAlignment(column, Qt::AlignLeft | Qt::AlignTop);
    item->setToolTip(0, pair.tip.isEmpty() ? pair.name : pair.tip);
    item->setToolTip(1, pair.a);
    item->setToolTip(2, pair.b);
  }
  count_->setText(countText(differences, "difference"));
}

void ComparePage::loadTexts() {
  const int level = levels_->currentIndex();
  if (isWhy() || isNumbers())
    return;
  QString wanted = workspace_.side(0) + u' ' + workspace_.side(1) + QString::number(level);
  if (level == kLogTab) // it comes with the numbers
    for (const int side : {0, 1})
      wanted += workspace_.sideDetail(side) ? u'+' : u'-';
  if (wanted == shown_)
    return;
  textTitle_ = levels_->tabText(level);
  shown_ = wanted;
  waiting_ = 0;
  for (const int side : {0, 1}) {
    loaders_[side].cancel();
    texts_[side] = {};
    if (workspace_.side(side).isEmpty())
      continue;
    if (level != kLogTab)
      ++waiting_;
    else if (const RecordDetail* detail = workspace_.sideDetail(side))
      texts_[side].text = toQString(database::record_log(detail->measurement));
  }
  for (const int side : {0, 1})
    if (!workspace_.side(side).isEmpty() && level != kLogTab)
      loaders_[side].load(workspace_.database(), workspace_.side(side),
                          static_cast<CodeLevel>(level),
                          [this, side, wanted](const CodeLoader::Code& code) {
                            if (wanted != shown_)
                              return;
                            texts_[side] = code;
                            --waiting_;
                            showTexts();
                          });
  showTexts();
}

void ComparePage::showTexts() {
  if (isWhy() || isNumbers())
    return;
  if (waiting_ > 0) {
    count_->setText(tr("loading…"));
    return;
  }
  const auto level = textLevel();
  for (const int side : {0, 1})
    if (!texts_[side].error.isEmpty() || workspace_.side(side).isEmpty()) {
      views_[side]->setMessage(texts_[side].error);
      if (level)
        views_[1 - side]->setCode(texts_[1 - side].text, *level);
      else
        views_[1 - side]->setPlain(texts_[1 - side].text);
      count_->clear();
      return;
    }
  const SideBySide diff = sideBySide(texts_[0].text, texts_[1].text, onlyDifferences_->isChecked());
  views_[0]->setDiff(diff, false, level);
  views_[1]->setDiff(diff, true, level);
  countFound();
  count_->setText(diff.differences == 0 ? tr("equal") : countText(diff.differences, "difference"));
}

void ComparePage::startSearch() {
  if (isWhy() || isNumbers())
    levels_->setCurrentIndex(0);
  find_->open();
}

void ComparePage::searchAgain(bool forward) {
  if (isWhy() || isNumbers() || find_->words().isEmpty())
    return;
  if (const int side =
          FindBar::findInTurn({views_[0], views_[1]}, foundIn_, find_->words(), forward);
      side >= 0)
    foundIn_ = side;
}

void ComparePage::countFound() {
  const QString words = find_->words();
  find_->setFound(words.isEmpty() ? QString()
                                  : tr("A %1 · B %2, of what shows")
                                        .arg(occurrences(views_[0]->text(), words))
                                        .arg(occurrences(views_[1]->text(), words)));
}

bool ComparePage::canSave() const {
  return workspace_.sideDetail(0) && workspace_.sideDetail(1) && !isLoading();
}

bool ComparePage::saveTo(const QString& file, QString* problem) const {
  QString measured = measured_->text();
  for (const int side : {0, 1})
    if (const QString words = markWords(side).trimmed(); !words.isEmpty())
      measured += QStringLiteral("%1%2: %3.")
                      .arg(measured.isEmpty() ? QString() : QStringLiteral(" "),
                           side == 0 ? tr("A") : tr("B"), words);
  const QString html =
      comparisonHtml({*workspace_.sideDetail(0), *workspace_.sideDetail(1), sentence_->text(),
                      measured, changed_, why_.sections(), textTitle_,
                      sideBySide(texts_[0].text, texts_[1].text, onlyDifferences_->isChecked())});
  QSaveFile target(file);
  if (target.open(QIODevice::WriteOnly) && target.write(html.toUtf8()) >= 0 && target.commit())
    return true;
  *problem = tr("%1 cannot be written: %2").arg(file, target.errorString());
  return false;
}

bool ComparePage::hasLevel(CodeLevel level) const {
  return levels_->isTabVisible(static_cast<int>(level));
}

void ComparePage::showLevel(CodeLevel level) {
  if (hasLevel(level))
    levels_->setCurrentIndex(static_cast<int>(level));
}

void ComparePage::showNextDifference(bool forward) {
  if (views_[0]->showDifference(forward))
    views_[1]->showDifference(forward);
}

void ComparePage::measure() {
  if (!canMeasure())
    return;
  measured_->setVisible(true);
  measured_->setText(tr("Measuring both in turns…"));
  compare_.start(
      {QStringLiteral("compare"), workspace_.side(0), workspace_.side(1), QStringLiteral("--json"),
       QStringLiteral("--db"), workspace_.database()},
      [this](const TemperCommand::Answer& answer) {
        measure_->setEnabled(canMeasure());
        // "slower" is an answer, too: exit code 3.
        const auto json = parse_json(answer.output.toStdString());
        if (!json || !json->contains("ratio") || !(*json)["ratio"].is_number()) {
          measured_->setText(answer.error);
          return;
        }
        const Json& interval = (*json)["ratio_interval"];
        const std::string verdict = json->value("verdict", std::string());
        if (!interval[0].is_number() || !interval[1].is_number()) {
          measured_->setText(
              tr("Measured again in turns: B took %1× the time of A, of too few pairs "
                 "to say which is faster.")
                  .arg((*json)["ratio"].get<double>(), 0, 'f', 3));
          return;
        }
        measured_->setText(
            tr("Measured again in turns: B is %1; it took %2× [%3, %4] the time of A.")
                .arg(verdict == "same" ? tr("not to be told from A") : toQString(verdict))
                .arg((*json)["ratio"].get<double>(), 0, 'f', 3)
                .arg(interval[0].get<double>(), 0, 'f', 3)
                .arg(interval[1].get<double>(), 0, 'f', 3));
      });
  measure_->setEnabled(false);
}

} // namespace temper::gui
