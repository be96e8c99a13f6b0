#include "gui/pages/candidate_pane.h"

#include "database/record_log.h"
#include "gui/core/format.h"
#include "gui/core/line_heat.h"
#include "gui/core/line_links.h"
#include "gui/pages/limits_pane.h"
#include "gui/widgets/code_view.h"
#include "gui/widgets/find_bar.h"
#include "gui/widgets/run_plot.h"

#include <QBoxLayout>
#include <QGridLayout>
#include <QLabel>
#include <QLineEdit>
#include <QScrollArea>
#include <QTabWidget>

namespace temper::gui {

namespace {

constexpr int kSearchPauseMs = 200;

QLabel* selectable(QWidget* parent) {
  auto* label = new QLabel(parent);
  label->setTextInteractionFlags(Qt::TextSelectableByMouse);
  label->setWordWrap(true);
  label->setTextFormat(Qt::PlainText);
  return label;
}

} // namespace

CandidatePane::CandidatePane(Workspace& workspace, QWidget* parent)
    : QWidget(parent), workspace_(workspace), loader_(this), tirLoader_(this),
      title_(selectable(this)), time_(selectable(this)), verdict_(selectable(this)),
      tabs_(new QTabWidget(this)), facts_(new QWidget(this)), factRows_(new QGridLayout),
      samples_(new SamplePlot(this)), tags_(new QLineEdit(this)), note_(new QLineEdit(this)),
      limits_(new LimitsPane(workspace, this)), log_(new CodeView(this)),
      find_(new FindBar(QStringLiteral("candidate.search"), this)), search_(this) {
  setObjectName(QStringLiteral("candidate"));
  setMinimumWidth(360);
  QFont big = font();
  big.setPointSizeF(font().pointSizeF() * 1.7);
  big.setBold(true);
  time_->setFont(big);
  QFont bold = font();
  bold.setBold(true);
  title_->setFont(bold);
  verdict_->setProperty("faint", true);
  auto* head = new QVBoxLayout;
  head->setContentsMargins(16, 12, 16, 8);
  head->setSpacing(4);
  head->addWidget(title_);
  head->addWidget(time_);
  head->addWidget(verdict_);

  auto* overview = new QWidget;
  auto* overviewLayout = new QVBoxLayout(overview);
  overviewLayout->setContentsMargins(16, 12, 16, 12);
  overviewLayout->setSpacing(12);
  overviewLayout->addWidget(samples_);
  facts_->setLayout(factRows_);
  factRows_->setContentsMargins(0, 0, 0, 0);
  factRows_->setHorizontalSpacing(16);
  factRows_->setVerticalSpacing(6);
  factRows_->setColumnStretch(1, 1);
  overviewLayout->addWidget(facts_);
  tags_->setObjectName(QStringLiteral("candidate.tagsField"));
  tags_->setAccessibleName(tr("Tags"));
  tags_->setPlaceholderText(tr("tags, with commas between (T)"));
  note_->setObjectName(QStringLiteral("candidate.noteField"));
  note_->setAccessibleName(tr("New note"));
  note_->setPlaceholderText(tr("a note (M); Enter adds it"));
  overviewLayout->addWidget(tags_);
  overviewLayout->addWidget(note_);
  overviewLayout->addStretch();
  auto* scroll = new QScrollArea(this);
  scroll->setAccessibleName(tr("Overview"));
  scroll->setFrameShape(QFrame::NoFrame);
  scroll->setWidgetResizable(true);
  scroll->setWidget(overview);
  tabs_->setObjectName(QStringLiteral("candidate.tabs"));
  tabs_->setAccessibleName(tr("Levels of the candidate"));
  tabs_->setDocumentMode(true);
  tabs_->addTab(scroll, tr("Overview"));
  for (int level = 0; level < kCodeLevels; ++level) {
    views_[static_cast<size_t>(level)] = new CodeView(this);
    connect(views_[static_cast<size_t>(level)], &CodeView::cursorMoved, this,
            [this, level](int line) {
              linkedLevel_ = level;
              linkedLine_ = line;
            });
    tabs_->addTab(views_[static_cast<size_t>(level)], levelTitle(static_cast<CodeLevel>(level)));
  }
  tabs_->addTab(limits_, tr("Limits"));
  tabs_->addTab(log_, tr("Log"));

  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->setSpacing(0);
  layout->addLayout(head);
  layout->addWidget(tabs_, 1);
  layout->addWidget(find_);
  layout->addStretch(); // without a record the words stay above

  connect(tags_, &QLineEdit::editingFinished, this, [this] {
    QStringList tags;
    for (const QString& tag : tags_->text().split(u','))
      if (!tag.trimmed().isEmpty())
        tags << tag.trimmed();
    workspace_.setTags(workspace_.selectedRecord(), tags);
  });
  connect(note_, &QLineEdit::returnPressed, this, [this] {
    workspace_.addNote(workspace_.selectedRecord(), note_->text());
    note_->clear();
  });
  searchDelay_.setSingleShot(true);
  searchDelay_.setInterval(kSearchPauseMs);
  connect(&searchDelay_, &QTimer::timeout, this, &CandidatePane::countFound);
  connect(find_, &FindBar::wordsChanged, &searchDelay_, qOverload<>(&QTimer::start));
  connect(find_, &FindBar::closed, this, &CandidatePane::countFound);
  connect(find_, &FindBar::wanted, this, &CandidatePane::searchAgain);
  connect(find_, &FindBar::linkChosen, this,
          [this](const QString& name) { showFound(name, true); });
  connect(&search_, &TextSearch::changed, this, [this] { find_->setFound(search_.sentence()); });
  connect(tabs_, &QTabWidget::currentChanged, this, [this] { loadCode(); });
  connect(&workspace_, &Workspace::detailChanged, this, &CandidatePane::showDetail);
  connect(&workspace_, &Workspace::marksChanged, this, &CandidatePane::showVerdict);
  showDetail();
}

void CandidatePane::showDetail() {
  const RecordDetail* detail = workspace_.detail();
  while (QLayoutItem* item = factRows_->takeAt(0)) {
    delete item->widget();
    delete item;
  }
  samples_->setMeasurement(detail ? &detail->measurement : nullptr);
  tabs_->setVisible(detail != nullptr || !workspace_.selectedRecord().isEmpty());
  if (!detail) {
    title_->setText(workspace_.selectedRecord().isEmpty() ? tr("No record selected")
                                                          : shortId(workspace_.selectedRecord()));
    time_->setText({});
    time_->setVisible(false);
    verdict_->setText(workspace_.selectedRecord().isEmpty()
                          ? tr("Select one in the table: its numbers, schedule and code show here.")
                          : QString());
    for (int level = 0; level < kCodeLevels; ++level)
      if (shown_[static_cast<size_t>(level)] != workspace_.selectedRecord())
        views_[static_cast<size_t>(level)]->setMessage({});
    log_->setMessage({});
    return;
  }
  for (int i = 0; i < kCodeLevels; ++i) {
    const auto level = static_cast<CodeLevel>(i);
    tabs_->setTabVisible(i + 1, hasLevel(level));
    tabs_->setTabText(i + 1, levelTitle(level, toQString(detail->row.target)));
  }
  log_->setPlain(toQString(database::record_log(detail->measurement)));
  if (!find_->words().isEmpty())
    searchDelay_.start();
  QStringList tags;
  for (const database::Tag& tag : detail->tags)
    tags << toQString(tag.tag);
  tags_->setText(tags.join(QStringLiteral(", ")));
  title_->setText((tags.contains(QStringLiteral("star")) ? QStringLiteral("★ ") : QString()) +
                  detail->shortRecord + QStringLiteral("   ") + detail->title());
  time_->setVisible(detail->row.median_ns > 0);
  time_->setText(timeText(detail->row.median_ns) + QStringLiteral("  ") +
                 halfWidthText(detail->row.median_ns, detail->row.low_ns, detail->row.high_ns));
  showVerdict();
  int row = 0;
  for (const RecordDetail::Fact& fact : detail->facts()) {
    auto* name = new QLabel(fact.name, facts_);
    name->setProperty("faint", true);
    name->setAlignment(Qt::AlignLeft | Qt::AlignTop);
    auto* value = selectable(facts_);
    value->setText(fact.value);
    value->setAccessibleName(fact.name);
    name->setToolTip(fact.tip);
    value->setToolTip(fact.tip);
    factRows_->addWidget(name, row, 0, Qt::AlignTop);
    factRows_->addWidget(value, row++, 1);
  }
  loadCode();
}

void CandidatePane::showVerdict() {
  const RecordDetail* detail = workspace_.detail();
  if (!detail)
    return;
  QString words = detail->verdict();
  const QString& id = workspace_.selectedRecord();
  if (workspace_.isBaseline(id))
    words += tr("; the baseline of its kind");
  else if (const Baseline* baseline = workspace_.baselineFor(id))
    if (const QString ratio = workspace_.ratioOf(id); !ratio.isEmpty())
      words += tr("; %1 the time of the baseline, %2")
                   .arg(QString(ratio).replace(u' ', QChar(QChar::Nbsp)),
                        shortId(idText(database::Kind::kMeasurement, baseline->record)));
  if (workspace_.isPinned(id))
    words += tr("; ◆%1pinned").arg(QChar(QChar::Nbsp)); // a sign stays with its word
  verdict_->setText(words);
}

int CandidatePane::currentLevel() const {
  const int level = tabs_->currentIndex() - 1;
  return level < kCodeLevels ? level : -1;
}

bool CandidatePane::isLoadingCode() const {
  return loadingCode_ || loadingHeat_ || limits_->isBusy();
}

QString CandidatePane::levelName() const {
  if (tabs_->currentIndex() == 0)
    return QStringLiteral("overview");
  if (tabs_->currentWidget() == log_)
    return QStringLiteral("log");
  const int level = currentLevel();
  return level < 0 ? QStringLiteral("limits") : gui::levelName(static_cast<CodeLevel>(level));
}

bool CandidatePane::hasLevel(CodeLevel level) const {
  const RecordDetail* detail = workspace_.detail();
  return gui::hasLevel(detail ? toQString(detail->row.target) : QString(), level);
}

QStringList CandidatePane::showArguments() const {
  if (workspace_.selectedRecord().isEmpty())
    return {};
  QStringList arguments{QStringLiteral("show"), workspace_.selectedRecord()};
  if (const int level = currentLevel(); level >= 0)
    arguments << levelOption(static_cast<CodeLevel>(level));
  else if (tabs_->currentWidget() == log_)
    arguments << QStringLiteral("--log");
  else if (tabs_->currentWidget() == limits_)
    arguments[0] = QStringLiteral("explain");
  return arguments << QStringLiteral("--db") << workspace_.database();
}

void CandidatePane::loadCode() {
  const int level = currentLevel();
  loader_.cancel();
  tirLoader_.cancel();
  loadingHeat_ = false;
  loadingCode_ = false;
  if (level < 0 || !workspace_.detail())
    return;
  const QString record = workspace_.selectedRecord();
  if (shown_[static_cast<size_t>(level)] == record) {
    showHeat();
    showLinked();
    return;
  }
  CodeView* view = views_[static_cast<size_t>(level)];
  loadingCode_ = true;
  loader_.load(workspace_.database(), record, static_cast<CodeLevel>(level),
               [this, view, level, record](const CodeLoader::Code& code) {
                 loadingCode_ = false;
                 if (record != workspace_.selectedRecord())
                   return;
                 if (code.error.isEmpty()) {
                   view->setCode(code.text, static_cast<CodeLevel>(level));
                   shown_[static_cast<size_t>(level)] = record;
                   showHeat();
                   showLinked();
                   findPending();
                 } else {
                   view->setMessage(code.error);
                   shown_[static_cast<size_t>(level)].clear();
                 }
               });
}

void CandidatePane::setHeat(bool on) {
  heat_ = on;
  for (CodeView* view : views_)
    view->setHeat({});
  showHeat();
}

void CandidatePane::showHeat() {
  const int number = currentLevel();
  if (!heat_ || number < 0 || shown_[static_cast<size_t>(number)] != workspace_.selectedRecord())
    return;
  const auto level = static_cast<CodeLevel>(number);
  CodeView* view = views_[static_cast<size_t>(number)];
  if (level == CodeLevel::kTrace || view->isMessage())
    return;
  const bool ofLoops =
      level == CodeLevel::kScript || level == CodeLevel::kTir || level == CodeLevel::kCuda;
  if (ofLoops) {
    view->setHeat(heatOf(view->text(), level));
    return;
  }
  const QString record = workspace_.selectedRecord();
  loadingHeat_ = true;
  tirLoader_.load(workspace_.database(), record, CodeLevel::kTir,
                  [this, view, level, record](const CodeLoader::Code& tir) {
                    loadingHeat_ = false;
                    if (heat_ && tir.error.isEmpty() &&
                        shown_[static_cast<size_t>(level)] == record)
                      view->setHeat(heatOf(view->text(), level, tir.text));
                  });
}

void CandidatePane::showLinked() {
  const int level = currentLevel();
  if (level < 0 || linkedLevel_ < 0 || level == linkedLevel_)
    return;
  const auto at = static_cast<size_t>(linkedLevel_), to = static_cast<size_t>(level);
  if (shown_[at] != workspace_.selectedRecord() || shown_[to] != workspace_.selectedRecord())
    return;
  const auto lines = linkedLines(views_[at]->text(), static_cast<CodeLevel>(linkedLevel_),
                                 linkedLine_, views_[to]->text(), static_cast<CodeLevel>(level));
  views_[to]->markLines(lines ? lines->first : -1, lines ? lines->last : -1);
}

void CandidatePane::showLevel(CodeLevel level) {
  if (hasLevel(level))
    tabs_->setCurrentIndex(static_cast<int>(level) + 1);
}

void CandidatePane::showLog() { tabs_->setCurrentWidget(log_); }

void CandidatePane::showOverview() { tabs_->setCurrentIndex(0); }

void CandidatePane::showLimits() { tabs_->setCurrentWidget(limits_); }

CodeView* CandidatePane::currentView() const {
  if (tabs_->currentWidget() == log_)
    return log_;
  const int level = currentLevel();
  return level < 0 ? nullptr : views_[static_cast<size_t>(level)];
}

void CandidatePane::startTags() {
  showOverview();
  tags_->setFocus(Qt::ShortcutFocusReason);
  tags_->selectAll();
}

void CandidatePane::startNote() {
  showOverview();
  note_->setFocus(Qt::ShortcutFocusReason);
}

void CandidatePane::startSearch() {
  if (!currentView())
    showLevel(CodeLevel::kTrace);
  find_->open();
}

void CandidatePane::countFound() {
  const RecordDetail* detail = workspace_.detail();
  searchDelay_.stop();
  search_.start(workspace_.database(), workspace_.selectedRecord(),
                detail ? toQString(detail->row.target) : QString(), log_->text(),
                detail ? find_->words() : QString());
}

void CandidatePane::searchAgain(bool forward) {
  const QString words = find_->words();
  if (words.isEmpty() || !workspace_.detail())
    return;
  if (search_.words() != words)
    countFound();
  if (CodeView* view = currentView(); view && view->find(words, forward, false))
    return;
  if (const QString name = search_.next(levelName(), forward); !name.isEmpty())
    showFound(name, forward);
}

void CandidatePane::showFound(const QString& name, bool forward) {
  pendingFind_ = name;
  pendingForward_ = forward;
  if (name == QStringLiteral("log"))
    showLog();
  for (int level = 0; level < kCodeLevels; ++level)
    if (gui::levelName(static_cast<CodeLevel>(level)) == name)
      showLevel(static_cast<CodeLevel>(level));
  if (!loadingCode_)
    findPending();
}

void CandidatePane::findPending() {
  if (pendingFind_ == levelName())
    if (CodeView* view = currentView())
      view->findFromEdge(find_->words(), pendingForward_);
  pendingFind_.clear();
}

void CandidatePane::copyCode() const {
  if (const CodeView* view = currentView(); view && !view->isMessage())
    view->copyAll();
}

} // namespace temper::gui
