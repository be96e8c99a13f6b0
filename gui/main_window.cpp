#include "gui/main_window.h"

#include "gui/core/database_address.h"
#include "gui/core/format.h"
#include "gui/pages/candidate_pane.h"
#include "gui/pages/compare_page.h"
#include "gui/pages/edit_page.h"
#include "gui/pages/explore_page.h"
#include "gui/pages/library_page.h"
#include "gui/pages/limits_pane.h"
#include "gui/pages/plots_pane.h"
#include "gui/pages/run_form.h"
#include "gui/pages/runs_page.h"
#include "gui/widgets/mark_strip.h"
#include "gui/widgets/palette.h"
#include "gui/widgets/run_plot.h"
#include "gui/widgets/whole_columns.h"

#include <QApplication>
#include <QBoxLayout>
#include <QClipboard>
#include <QCloseEvent>
#include <QDir>
#include <QFileDialog>
#include <QFileInfo>
#include <QHeaderView>
#include <QLabel>
#include <QMenuBar>
#include <QMessageBox>
#include <QPushButton>
#include <QSettings>
#include <QSplitter>
#include <QStackedWidget>
#include <QStatusBar>
#include <QTableView>
#include <QToolBar>
#include <QToolButton>

#include <algorithm>

namespace temper::gui {

MainWindow::MainWindow(const QString& database, QWidget* parent)
    : QMainWindow(parent), actions_(new ActionRegistry(this)), pages_(new QStackedWidget(this)),
      palette_(new CommandPalette(*actions_, this)), databaseLabel_(new QLabel(this)) {
  setObjectName(QStringLiteral("main"));
  setMinimumSize(960, 540);
  resize(1440, 900);
  setCentralWidget(pages_);
  setContextMenuPolicy(Qt::NoContextMenu);
  empty_ = new QWidget(this);
  emptyTitle_ = new QLabel(empty_);
  emptyTitle_->setObjectName(QStringLiteral("empty.title"));
  QFont big = font();
  big.setPointSizeF(font().pointSizeF() * 1.5);
  big.setBold(true);
  emptyTitle_->setFont(big);
  emptyText_ = new QLabel(empty_);
  emptyText_->setObjectName(QStringLiteral("empty.text"));
  for (QLabel* label : {emptyTitle_, emptyText_}) {
    label->setAlignment(Qt::AlignHCenter);
    label->setWordWrap(true);
    label->setTextFormat(Qt::PlainText);
    label->setTextInteractionFlags(Qt::TextSelectableByMouse);
  }
  databaseLabel_->setProperty("faint", true);
  databaseLabel_->setContentsMargins(0, 0, 12, 0);
  databaseLabel_->setAccessibleName(tr("Database"));

  makeActions();
  makePlaceActions();
  makeLayoutActions();
  makeRecordActions();
  makeMarkActions();
  makePlotActions();
  makeRunActions();
  makeCompareActions();
  makeEditActions();
  makeLibraryActions();
  makeHelpActions();
  makeCommandLines();
  makeMenus();
  makeToolBar();

  auto* start = new QPushButton(tr("Start a run"), empty_);
  start->setDefault(true);
  start->setObjectName(QStringLiteral("empty.start"));
  connect(start, &QPushButton::clicked, this, [this] { actions_->trigger("run.new"); });
  auto* open = new QPushButton(tr("Open another database…"), empty_);
  connect(open, &QPushButton::clicked, this, [this] { actions_->trigger("database.open"); });
  auto* buttons = new QHBoxLayout;
  buttons->addStretch();
  buttons->addWidget(start);
  buttons->addWidget(open);
  buttons->addStretch();
  auto* emptyLayout = new QVBoxLayout(empty_);
  emptyLayout->setContentsMargins(120, 0, 120, 0);
  emptyLayout->setSpacing(16);
  emptyLayout->addStretch(2);
  emptyLayout->addWidget(emptyTitle_);
  emptyLayout->addWidget(emptyText_);
  emptyLayout->addLayout(buttons);
  emptyLayout->addStretch(3);
  pages_->addWidget(empty_);

  connect(marks_, &MarkStrip::recordWanted, this, [this](const QString& id) {
    workspace_->selectRecord(id);
    showPerspective(Perspective::kExplore);
  });
  connect(marks_, &MarkStrip::compareWanted, this, [this](const QString& id) {
    const QString other = meantRecord();
    workspace_->setSide(0, id);
    if (!other.isEmpty() && other != id)
      workspace_->setSide(1, other);
    showPerspective(Perspective::kCompare);
  });
  connect(palette_, &CommandPalette::commandCopied, this, [this](const QString& command) {
    statusBar()->showMessage(tr("Copied: %1").arg(command), 8000);
  });
  connect(palette_, &CommandPalette::idEntered, this, [this](const QString& text) {
    PlaceLink::isLink(text) ? openLink(text) : workspace_->selectByPrefix(text);
  });
  statusBar()->addPermanentWidget(databaseLabel_);
  statusBar()->setSizeGripEnabled(false);
  QCoreApplication::instance()->installEventFilter(this);
  openDatabase(database);
}

MainWindow::~MainWindow() = default;

void MainWindow::openDatabase(const QString& database) {
  if (kept_ && workspace_)
    kept_->write();
  kept_.reset();
  deletePages();
  workspace_.reset(); // with its threads: none connects while the password changes
  QString password;
  const QString location = databaseLocation(database, &password);
  useServerPassword(password);
  workspace_ = std::make_unique<Workspace>(location);
  setWindowTitle(QStringLiteral("%1 — temper").arg(databaseTitle(location)));
  databaseLabel_->setText(databaseLabel(location));
  databaseLabel_->setToolTip(location);
  marks_->setWorkspace(workspace_.get());
  const auto update = [this] { actions_->updateEnabled(); };
  connect(workspace_.get(), &Workspace::marksChanged, this, update);
  connect(workspace_.get(), &Workspace::stateChanged, this, &MainWindow::showState);
  connect(workspace_.get(), &Workspace::detailChanged, this, update);
  connect(workspace_.get(), &Workspace::recordSelected, this, update);
  connect(workspace_.get(), &Workspace::runDetailChanged, this, update);
  connect(workspace_.get(), &Workspace::runSelected, this, update);
  connect(workspace_.get(), &Workspace::sidesChanged, this, update);
  connect(&workspace_->analysis(), &Analysis::brushChanged, this, update);
  const EditSession& edit = workspace_->edit();
  connect(&edit, &EditSession::opened, this, [this] { showPerspective(Perspective::kEdit); });
  connect(&edit, &EditSession::programChanged, this, update);
  connect(&edit, &EditSession::measuringChanged, this, update);
  connect(&edit, &EditSession::sweepChanged, this, update);
  connect(&workspace_->library(), &QAbstractItemModel::modelReset, this, update);
  connect(workspace_.get(), &Workspace::said, this, [this](const QString& words, bool isError) {
    statusBar()->showMessage(isError ? QStringLiteral("⚠ ") + words : words, isError ? 0 : 8000);
  });
  connect(workspace_.get(), &Workspace::idFound, this, [this](const QString& id) {
    showPerspective(id.startsWith(u'm') ? Perspective::kExplore : Perspective::kRuns);
  });
  makePages();
  if (remembering_)
    restoreState();
}

void MainWindow::deletePages() {
  for (QWidget* page :
       std::initializer_list<QWidget*>{explore_, runs_, compare_, edit_, library_}) {
    if (!page)
      continue;
    pages_->removeWidget(page);
    delete page;
  }
  explore_ = nullptr;
  runs_ = nullptr;
  compare_ = nullptr;
  edit_ = nullptr;
  library_ = nullptr;
}

/// Over the workspace that is there; again when the size of everything changes.
void MainWindow::makePages() {
  explore_ = new ExplorePage(*workspace_, this);
  runs_ = new RunsPage(*workspace_, this);
  compare_ = new ComparePage(*workspace_, this);
  edit_ = new EditPage(workspace_->edit(), this);
  pages_->addWidget(explore_);
  pages_->addWidget(runs_);
  pages_->addWidget(compare_);
  pages_->addWidget(edit_);
  library_ = new LibraryPage(*workspace_, this);
  pages_->addWidget(library_);
  setHeat(heat_);
  connect(library_, &LibraryPage::recordChosen, this, [this](const QString& id) {
    workspace_->selectRecord(id);
    showPerspective(Perspective::kExplore);
  });
  connect(explore_->plots(), &PlotsPane::plotChanged, this, [this] { actions_->updateEnabled(); });
  connect(explore_->candidate()->limits(), &LimitsPane::editWanted, this, &MainWindow::edit);
  connect(explore_->candidate()->limits(), &LimitsPane::recordWanted, this,
          [this](const QString& id) { workspace_->selectRecord(id); });
  connect(compare_, &ComparePage::editWanted, this, &MainWindow::edit);
  connect(edit_, &EditPage::searchWanted, this, [this] { actions_->trigger("edit.search"); });
  connect(runs_, &RunsPage::recordChosen, this, [this](const QString& id) {
    workspace_->selectRecord(id);
    showPerspective(Perspective::kExplore);
  });
  connect(runs_, &RunsPage::recordsOfRunWanted, this, [this](const QString& id) {
    explore_->showRun(id);
    showPerspective(Perspective::kExplore);
  });
  showState();
  showPerspective(perspective_);
}

void MainWindow::showPerspective(Perspective perspective) {
  perspective_ = perspective;
  showState();
  // So that keys work at once, and no button left behind keeps a ring.
  if (pages_->currentWidget() == explore_)
    explore_->focusTable();
  else if (pages_->currentWidget() == runs_)
    runs_->focusTable();
  else if (pages_->currentWidget() == edit_) {
    workspace_->edit().wake();
    edit_->focusPlaces();
  } else if (pages_->currentWidget() == library_) {
    library_->refresh();
    library_->focusTable();
  } else if (QWidget* page = pages_->currentWidget())
    page->setFocus();
  static const char* const ids[] = {"view.explore", "view.runs", "view.compare", "view.edit",
                                    "view.library"};
  for (int i = 0; i < 5; ++i)
    actions_->action(QString::fromLatin1(ids[i]))->setChecked(i == static_cast<int>(perspective));
  actions_->updateEnabled();
  if (kept_)
    kept_->touch();
}

void MainWindow::showState() {
  if (!explore_)
    return;
  QWidget* page = perspective_ == Perspective::kRuns      ? static_cast<QWidget*>(runs_)
                  : perspective_ == Perspective::kCompare ? static_cast<QWidget*>(compare_)
                  : perspective_ == Perspective::kEdit    ? static_cast<QWidget*>(edit_)
                  : perspective_ == Perspective::kLibrary ? static_cast<QWidget*>(library_)
                                                          : static_cast<QWidget*>(explore_);
  const Workspace::State state = workspace_->state();
  const bool broken = state == Workspace::State::kBroken;
  // A first run is started from the page of runs, and a workload may be edited before there is a
  // record: both show without a database.
  if (broken || (state == Workspace::State::kMissing && perspective_ != Perspective::kRuns &&
                 perspective_ != Perspective::kEdit)) {
    emptyTitle_->setText(broken ? tr("This database cannot be shown") : tr("Nothing here yet"));
    QString words = workspace_->message();
    if (!words.isEmpty())
      words[0] = words[0].toUpper();
    if (!broken)
      words += tr(".\nThe first run makes the database; temper tune makes one, too.");
    emptyText_->setText(words);
    empty_->findChild<QWidget*>(QStringLiteral("empty.start"))->setVisible(!broken);
    page = empty_;
  }
  pages_->setCurrentWidget(page);
  actions_->updateEnabled();
}

QString MainWindow::statusText() const { return statusBar()->currentMessage(); }

void MainWindow::makeMenus() {
  for (const QString& name : actions_->menus()) {
    QMenu* menu = menuBar()->addMenu(name);
    connect(menu, &QMenu::aboutToShow, this, [this] { actions_->updateEnabled(); });
    for (const QString& id : actions_->ids())
      if (actions_->menuOf(id) == name)
        menu->addAction(actions_->action(id));
  }
}

void MainWindow::makeToolBar() {
  auto* bar = new QToolBar(tr("Perspectives"), this);
  bar->setObjectName(QStringLiteral("perspectives"));
  bar->setMovable(false);
  bar->setFloatable(false);
  for (const char* id :
       {"view.explore", "view.runs", "view.compare", "view.edit", "view.library"}) {
    QAction* action = actions_->action(QString::fromLatin1(id));
    bar->addAction(action);
    bar->widgetForAction(action)->setAccessibleName(action->text());
    bar->widgetForAction(action)->setFocusPolicy(Qt::TabFocus);
  }
  auto* space = new QWidget(bar);
  space->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Preferred);
  bar->addWidget(space);
  QAction* run = actions_->action(QStringLiteral("run.new"));
  bar->addAction(run);
  bar->widgetForAction(run)->setAccessibleName(run->text());
  auto* search = new QPushButton(bar);
  search->setObjectName(QStringLiteral("palette.button"));
  search->setMinimumWidth(fontMetrics().horizontalAdvance(u'0') * 42);
  connect(search, &QPushButton::clicked, this, [this] { actions_->trigger("palette.open"); });
  QAction* palette = actions_->action(QStringLiteral("palette.open"));
  const auto showKey = [search, palette] {
    search->setText(
        tr("Search or command…    %1").arg(palette->shortcut().toString(QKeySequence::NativeText)));
  };
  connect(palette, &QAction::changed, search, showKey);
  showKey();
  bar->addWidget(search);
  addToolBar(Qt::TopToolBarArea, bar);
  addToolBarBreak(Qt::TopToolBarArea);
  marks_ = new MarkStrip(this);
  addToolBar(Qt::TopToolBarArea, marks_);
}

QString MainWindow::meantRecord() const {
  if (!workspace_)
    return {};
  switch (perspective_) {
  case Perspective::kExplore:
    return workspace_->selectedRecord();
  case Perspective::kRuns:
    return workspace_->runDetail() ? workspace_->runDetail()->row.bestRecord : QString();
  case Perspective::kCompare:
    return workspace_->side(1);
  case Perspective::kEdit:
    return meantRecordOfEdit();
  case Perspective::kLibrary:
    return library_ ? library_->currentRecord() : QString();
  }
  return {};
}

void MainWindow::compareSelected() {
  const QString id = workspace_->selectedRecord();
  if (workspace_->side(0).isEmpty() || workspace_->side(0) == id) {
    workspace_->setSide(0, id);
    statusBar()->showMessage(
        tr("A is %1; choose another record and press C again.").arg(shortId(id)), 8000);
    return;
  }
  workspace_->setSide(1, id);
  showPerspective(Perspective::kCompare);
}

void MainWindow::setTheme(ThemeChoice choice) {
  applyTheme(choice);
  if (remembering_)
    QSettings().setValue(QStringLiteral("theme"), static_cast<int>(choice));
}

void MainWindow::setHeat(bool on) {
  heat_ = on;
  actions_->action(QStringLiteral("view.heat"))->setChecked(on);
  workspace_->records().setHeat(on);
  explore_->table()->viewport()->update();
  explore_->candidate()->setHeat(on);
  edit_->setHeat(on);
  if (remembering_)
    QSettings().setValue(QStringLiteral("heat"), on);
}

void MainWindow::setRemembering(bool remembering) {
  remembering_ = remembering;
  kept_.reset();
  if (!remembering)
    return;
  const QSettings settings;
  restoreGeometry(settings.value(QStringLiteral("geometry")).toByteArray());
  if (const int scale = settings.value(QStringLiteral("scale"), 100).toInt(); scale != scale_)
    setScale(scale);
  setHeat(settings.value(QStringLiteral("heat"), heat_).toBool());
  restoreLayout();
  readKeys();
  restoreState();
}

void MainWindow::restoreLayout(const QString& name) {
  const QSettings settings;
  const auto stateOf = [&](const QWidget* widget) {
    return settings.value(name + u'/' + widget->objectName()).toByteArray();
  };
  for (QSplitter* splitter : findChildren<QSplitter*>())
    if (!splitter->objectName().isEmpty())
      splitter->restoreState(stateOf(splitter));
  for (QTableView* table : findChildren<QTableView*>())
    // Columns that came with a later version are where they are then.
    if (settings.value(name + u'/' + table->objectName() + QStringLiteral(".columns")).toInt() ==
        table->horizontalHeader()->count()) {
      table->setProperty(WholeColumns::kByHand, settings.value(name + u'/' + table->objectName() +
                                                               QStringLiteral(".byHand")));
      table->horizontalHeader()->restoreState(stateOf(table));
    }
  for (WholeColumns* columns : findChildren<WholeColumns*>())
    columns->fit();
  if (explore_)
    explore_->showMarks();
}

void MainWindow::saveLayout(const QString& name) const {
  QSettings settings;
  for (const QSplitter* splitter : findChildren<QSplitter*>())
    if (!splitter->objectName().isEmpty())
      settings.setValue(name + u'/' + splitter->objectName(), splitter->saveState());
  for (const QTableView* table : findChildren<QTableView*>()) {
    settings.setValue(name + u'/' + table->objectName(), table->horizontalHeader()->saveState());
    settings.setValue(name + u'/' + table->objectName() + QStringLiteral(".columns"),
                      table->horizontalHeader()->count());
    settings.setValue(name + u'/' + table->objectName() + QStringLiteral(".byHand"),
                      table->property(WholeColumns::kByHand).toBool());
  }
}

void MainWindow::setScale(int percent) {
  percent = std::clamp(percent, 100, 300);
  if (percent == scale_)
    return;
  QFont font = QApplication::font();
  if (font.pixelSize() > 0)
    font.setPixelSize(font.pixelSize() * percent / scale_);
  else
    font.setPointSizeF(font.pointSizeF() * percent / scale_);
  scale_ = percent;
  QApplication::setFont(font);
  // Row heights and column widths are made of the font: pages are made anew.
  deletePages();
  makePages();
  if (remembering_)
    QSettings().setValue(QStringLiteral("scale"), scale_);
  statusBar()->showMessage(tr("Everything at %1 %").arg(scale_), 4000);
}

bool MainWindow::eventFilter(QObject* object, QEvent* event) {
  if (event->type() == QEvent::ShortcutOverride)
    actions_->updateEnabled();
  return QMainWindow::eventFilter(object, event);
}

void MainWindow::closeEvent(QCloseEvent* event) {
  if (remembering_) {
    QSettings().setValue(QStringLiteral("geometry"), saveGeometry());
    saveLayout();
    kept_->write();
  }
  QMainWindow::closeEvent(event);
}

void MainWindow::showAbout() {
  QMessageBox::about(this, tr("About temper-gui"),
                     tr("temper-gui %1\n\nThe desktop workbench of temper.\n\nIt links QCustomPlot "
                        "and QScintilla and is therefore distributed under the GNU General Public "
                        "License, version 3 (gui/LICENSE). Everything else of temper is under the "
                        "Apache License 2.0.")
                         .arg(QStringLiteral(TEMPER_VERSION)));
}

} // namespace temper::gui
