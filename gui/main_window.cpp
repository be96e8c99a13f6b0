#include "gui/main_window.h"

#include "gui/core/format.h"
#include "gui/pages/candidate_pane.h"
#include "gui/pages/compare_page.h"
#include "gui/pages/explore_page.h"
#include "gui/pages/run_form.h"
#include "gui/pages/runs_page.h"
#include "gui/widgets/palette.h"
#include "gui/widgets/run_plot.h"

#include <QApplication>
#include <QBoxLayout>
#include <QClipboard>
#include <QCloseEvent>
#include <QFileDialog>
#include <QFileInfo>
#include <QLabel>
#include <QMenuBar>
#include <QMessageBox>
#include <QPushButton>
#include <QSettings>
#include <QStackedWidget>
#include <QStatusBar>
#include <QToolBar>
#include <QToolButton>

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
  databaseLabel_->setAccessibleName(tr("Database"));

  makeActions();
  makeRecordActions();
  makeRunActions();
  makeCompareActions();
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

  connect(palette_, &CommandPalette::idEntered, this,
          [this](const QString& id) { workspace_->selectByPrefix(id); });
  statusBar()->addPermanentWidget(databaseLabel_);
  statusBar()->setSizeGripEnabled(false);
  openDatabase(database);
}

MainWindow::~MainWindow() = default;

void MainWindow::openDatabase(const QString& database) {
  for (QWidget* page : std::initializer_list<QWidget*>{explore_, runs_, compare_}) {
    if (!page)
      continue;
    pages_->removeWidget(page);
    delete page;
  }
  workspace_ = std::make_unique<Workspace>(database);
  explore_ = new ExplorePage(*workspace_, this);
  runs_ = new RunsPage(*workspace_, this);
  compare_ = new ComparePage(*workspace_, this);
  pages_->addWidget(explore_);
  pages_->addWidget(runs_);
  pages_->addWidget(compare_);
  setWindowTitle(QStringLiteral("%1 — temper").arg(QFileInfo(database).fileName()));
  databaseLabel_->setText(database);

  const auto update = [this] { actions_->updateEnabled(); };
  connect(workspace_.get(), &Workspace::stateChanged, this, &MainWindow::showState);
  connect(workspace_.get(), &Workspace::detailChanged, this, update);
  connect(workspace_.get(), &Workspace::recordSelected, this, update);
  connect(workspace_.get(), &Workspace::runDetailChanged, this, update);
  connect(workspace_.get(), &Workspace::runSelected, this, update);
  connect(workspace_.get(), &Workspace::sidesChanged, this, update);
  connect(workspace_.get(), &Workspace::said, this, [this](const QString& words, bool isError) {
    statusBar()->showMessage(isError ? QStringLiteral("⚠ ") + words : words, isError ? 0 : 8000);
  });
  connect(workspace_.get(), &Workspace::idFound, this, [this](const QString& id) {
    showPerspective(id.startsWith(u'm') ? Perspective::kExplore : Perspective::kRuns);
  });
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
  else if (QWidget* page = pages_->currentWidget())
    page->setFocus();
  static const char* const ids[] = {"view.explore", "view.runs", "view.compare"};
  for (int i = 0; i < 3; ++i)
    actions_->action(QString::fromLatin1(ids[i]))->setChecked(i == static_cast<int>(perspective));
  actions_->updateEnabled();
}

void MainWindow::showState() {
  if (!explore_)
    return;
  QWidget* page = perspective_ == Perspective::kRuns      ? static_cast<QWidget*>(runs_)
                  : perspective_ == Perspective::kCompare ? static_cast<QWidget*>(compare_)
                                                          : static_cast<QWidget*>(explore_);
  const Workspace::State state = workspace_->state();
  const bool broken = state == Workspace::State::kBroken;
  // A first run is started from the page of runs, which therefore shows without a database.
  if (broken || (state == Workspace::State::kMissing && perspective_ != Perspective::kRuns)) {
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

// ---- Commands

void MainWindow::makeActions() {
  const auto add = [this](const char* id, const QString& menu, const QString& text,
                          const char* keys, const QString& hint, std::function<void()> run,
                          std::function<bool()> enabled = nullptr) {
    return actions_->add({QString::fromLatin1(id), menu, text, QString::fromLatin1(keys), hint},
                         std::move(run), std::move(enabled));
  };
  const QString file = tr("File"), view = tr("View");
  add("database.open", file, tr("Open database…"), "Ctrl+O", tr("Look at another database file"),
      [this] {
        const QString name = QFileDialog::getOpenFileName(this, tr("Open database"),
                                                          QFileInfo(workspace_->database()).path(),
                                                          tr("Databases (*.db);;All files (*)"));
        if (!name.isEmpty())
          openDatabase(name);
      });
  add("database.reload", file, tr("Read again"), "F5", tr("Read the whole database again"),
      [this] { workspace_->reload(); });
  add("app.quit", file, tr("Quit"), "Ctrl+Q", tr("Close the window; runs go on"),
      [this] { close(); });

  add("palette.open", view, tr("Command palette…"), "Ctrl+K",
      tr("Find a command, a record or a run"), [this] { palette_->popUp(); });
  struct View {
    const char* id;
    QString text;
    const char* keys;
    QString hint;
    Perspective perspective;
  };
  for (const View& entry :
       {View{"view.explore", tr("Explore"), "Ctrl+1", tr("All records"), Perspective::kExplore},
        View{"view.runs", tr("Runs"), "Ctrl+2", tr("Runs, their course, and starting one"),
             Perspective::kRuns},
        View{"view.compare", tr("Compare"), "Ctrl+3", tr("Two records side by side"),
             Perspective::kCompare}})
    add(entry.id, view, entry.text, entry.keys, entry.hint,
        [this, perspective = entry.perspective] { showPerspective(perspective); })
        ->setCheckable(true);
  add("view.light", view, tr("Light"), "", tr("Dark text on light"),
      [this] { setTheme(ThemeChoice::kLight); });
  add("view.dark", view, tr("Dark"), "", tr("Light text on dark"),
      [this] { setTheme(ThemeChoice::kDark); });
  add("view.system", view, tr("As the desktop"), "", tr("Light or dark as the desktop is"),
      [this] { setTheme(ThemeChoice::kAuto); });
  add("view.fullScreen", view, tr("Full screen"), "F11", tr("Fill the screen, or go back"),
      [this] { setWindowState(windowState() ^ Qt::WindowFullScreen); });
}

void MainWindow::makeRecordActions() {
  const QString menu = tr("Record");
  const auto add = [&](const char* id, const QString& text, const char* keys, const QString& hint,
                       std::function<void()> run, std::function<bool()> enabled) {
    actions_->add({QString::fromLatin1(id), menu, text, QString::fromLatin1(keys), hint},
                  std::move(run), std::move(enabled));
  };
  const auto inExplore = [this] {
    return perspective_ == Perspective::kExplore && pages_->currentWidget() == explore_;
  };
  const auto selected = [this] { return workspace_ && !workspace_->selectedRecord().isEmpty(); };
  const auto hasCode = [selected, inExplore] { return selected() && inExplore(); };
  add(
      "record.filter", tr("Filter rows"), "/", tr("Go to the filter of the records"),
      [this] {
        showPerspective(Perspective::kExplore);
        explore_->focusFilter();
      },
      nullptr);
  add(
      "record.clearFilter", tr("Clear the filter"), "Ctrl+Backspace", tr("Show all records"),
      [this] { explore_->clearFilter(); },
      [this, inExplore] { return inExplore() && !workspace_->records().filter().isEmpty(); });
  add(
      "record.compare", tr("Add to comparison"), "C",
      tr("The first one becomes A, the second B, then both show side by side"),
      [this] { compareSelected(); }, selected);
  add(
      "record.compareBest", tr("Compare with the best"), "Ctrl+D",
      tr("The best of its kind as A, this one as B"),
      [this] {
        const RecordDetail* detail = workspace_->detail();
        workspace_->setSide(0, toQString(detail->best->id));
        workspace_->setSide(1, workspace_->selectedRecord());
        showPerspective(Perspective::kCompare);
      },
      [this] {
        const RecordDetail* detail = workspace_ ? workspace_->detail() : nullptr;
        return detail && detail->best && detail->best->id != detail->row.id;
      });
  add(
      "record.sideA", tr("Compare as A"), "Shift+A", tr("This record on the left"),
      [this] { workspace_->setSide(0, workspace_->selectedRecord()); }, selected);
  add(
      "record.sideB", tr("Compare as B"), "Shift+B", tr("This record on the right"),
      [this] { workspace_->setSide(1, workspace_->selectedRecord()); }, selected);
  add(
      "record.copyId", tr("Copy id"), "Ctrl+Shift+C", tr("Copy the id of the record"),
      [this] { QApplication::clipboard()->setText(workspace_->selectedRecord()); }, selected);
  add(
      "record.copyCommand", tr("Copy as command line"), "",
      tr("Copy the temper show command that prints this record"),
      [this] {
        QApplication::clipboard()->setText(shellCommand(
            QStringLiteral("temper"), {QStringLiteral("show"), workspace_->selectedRecord(),
                                       QStringLiteral("--db"), workspace_->database()}));
      },
      selected);
  add(
      "record.copyExport", tr("Copy its export command"), "",
      tr("Copy the temper export command that makes a library of this record"),
      [this] {
        QApplication::clipboard()->setText(shellCommand(
            QStringLiteral("temper"),
            {QStringLiteral("export"), QStringLiteral("--name"), QStringLiteral("kernels"),
             QStringLiteral("--out"), QStringLiteral("out"), workspace_->selectedRecord(),
             QStringLiteral("--db"), workspace_->database()}));
      },
      selected);
  add(
      "code.overview", tr("Overview"), "Alt+1", tr("Numbers and origin of the record"),
      [this] { explore_->candidate()->showOverview(); }, hasCode);
  static const char* const ids[kCodeLevels] = {"code.trace", "code.script", "code.tir", "code.llvm",
                                               "code.assembly"};
  static const char* const keys[kCodeLevels] = {"Alt+2", "Alt+3", "Alt+4", "Alt+5", "Alt+6"};
  for (int i = 0; i < kCodeLevels; ++i) {
    const auto level = static_cast<CodeLevel>(i);
    add(
        ids[i], levelTitle(level), keys[i], tr("The candidate as %1").arg(levelTitle(level)),
        [this, level] {
          if (perspective_ == Perspective::kCompare)
            compare_->showLevel(level);
          else
            explore_->candidate()->showLevel(level);
        },
        [this, hasCode] { return hasCode() || perspective_ == Perspective::kCompare; });
  }
  add(
      "code.find", tr("Find in code…"), "Ctrl+F", tr("Search in the text of the candidate"),
      [this] { explore_->candidate()->startSearch(); }, hasCode);
  add(
      "code.findNext", tr("Find next"), "F3", tr("The next place"),
      [this] { explore_->candidate()->searchAgain(true); }, hasCode);
  add(
      "code.findPrevious", tr("Find previous"), "Shift+F3", tr("The place before"),
      [this] { explore_->candidate()->searchAgain(false); }, hasCode);
  add(
      "code.copy", tr("Copy the whole text"), "", tr("Copy all of the text that shows"),
      [this] { explore_->candidate()->copyCode(); }, hasCode);
}

void MainWindow::makeRunActions() {
  const QString menu = tr("Run");
  const auto add = [&](const char* id, const QString& text, const char* keys, const QString& hint,
                       std::function<void()> run, std::function<bool()> enabled) {
    actions_->add({QString::fromLatin1(id), menu, text, QString::fromLatin1(keys), hint},
                  std::move(run), std::move(enabled));
  };
  const auto detail = [this] { return workspace_ ? workspace_->runDetail() : nullptr; };
  const auto state = [detail](std::initializer_list<database::RunState> states) {
    return [detail, states = std::vector<database::RunState>(states)] {
      const RunDetail* run = detail();
      return run && std::find(states.begin(), states.end(), run->row.run.state) != states.end();
    };
  };
  using database::RunState;
  add(
      "run.new", tr("New run"), "Ctrl+R", tr("Fill in the form and start a run"),
      [this] {
        showPerspective(Perspective::kRuns);
        runs_->showForm(true);
      },
      [this] { return !workspace_ || workspace_->state() != Workspace::State::kBroken; });
  add(
      "run.stop", tr("Stop"), "Ctrl+.", tr("Ask the run to end; what it recorded stays"),
      [this] { workspace_->stopRun(workspace_->selectedRun()); }, state({RunState::kRunning}));
  add(
      "run.resume", tr("Resume"), "", tr("Go on where the run was interrupted"),
      [this] { workspace_->resumeRun(workspace_->selectedRun()); },
      state({RunState::kInterrupted, RunState::kPaused, RunState::kFailed}));
  add(
      "run.more", tr("200 more trials"), "", tr("Go on with a larger budget"),
      [this] { workspace_->resumeRun(workspace_->selectedRun(), 200); },
      state({RunState::kFinished, RunState::kInterrupted}));
  add(
      "run.showBest", tr("Open its best"), "", tr("Show the best record of the run"),
      [this, detail] {
        workspace_->selectRecord(detail()->row.bestRecord);
        showPerspective(Perspective::kExplore);
      },
      [detail] { return detail() && !detail()->row.bestRecord.isEmpty(); });
  add(
      "run.records", tr("Its records"), "", tr("Show the records of the run, fastest first"),
      [this] {
        explore_->showRun(workspace_->selectedRun());
        showPerspective(Perspective::kExplore);
      },
      [detail] { return detail() != nullptr; });
  add(
      "run.copyCommand", tr("Copy its command line"), "", tr("Copy the command that started it"),
      [detail] { QApplication::clipboard()->setText(toQString(detail()->row.run.command_line)); },
      [detail] { return detail() && !detail()->row.run.command_line.empty(); });
  add(
      "run.savePlot", tr("Save its plot…"), "", tr("Write the plot to a PNG or PDF file"),
      [this] {
        const QString name = QFileDialog::getSaveFileName(
            this, tr("Save plot"), shortId(workspace_->selectedRun()) + QStringLiteral(".png"),
            tr("Pictures (*.png *.pdf)"));
        QString problem;
        if (!name.isEmpty() && !runs_->plot()->exportTo(name, &problem))
          statusBar()->showMessage(QStringLiteral("⚠ ") + problem);
      },
      [detail] { return detail() != nullptr; });
  add(
      "run.log", tr("Show the log"), "", tr("What the run started last has printed"),
      [this] {
        const QString log = workspace_->lastLog();
        QMessageBox::information(this, tr("Log"),
                                 log.isEmpty() ? tr("No run was started here.") : log);
      },
      nullptr);
}

void MainWindow::makeCompareActions() {
  const QString menu = tr("Compare");
  const auto add = [&](const char* id, const QString& text, const char* keys, const QString& hint,
                       std::function<void()> run, std::function<bool()> enabled) {
    actions_->add({QString::fromLatin1(id), menu, text, QString::fromLatin1(keys), hint},
                  std::move(run), std::move(enabled));
  };
  const auto shown = [this] { return perspective_ == Perspective::kCompare; };
  add(
      "compare.swap", tr("Swap A and B"), "X", tr("Exchange the sides"),
      [this] { workspace_->swapSides(); }, shown);
  add(
      "compare.next", tr("Next difference"), "N", tr("Go to the next difference"),
      [this] { compare_->showNextDifference(true); }, shown);
  add(
      "compare.previous", tr("Previous difference"), "Shift+N", tr("Go to the difference before"),
      [this] { compare_->showNextDifference(false); }, shown);
  add(
      "compare.measure", tr("Measure both again"), "Ctrl+Return",
      tr("Run both in turns and say which is faster"), [this] { compare_->measure(); },
      [this, shown] { return shown() && compare_ && compare_->canMeasure(); });
  const QString help = tr("Help");
  actions_->add({QStringLiteral("help.shortcuts"), help, tr("Shortcuts"), QStringLiteral("F1"),
                 tr("All commands with their keys")},
                [this] { showShortcuts(); });
  actions_->add({QStringLiteral("help.about"), help, tr("About temper-gui"), QString(),
                 tr("Version and licence")},
                [this] { showAbout(); });
}

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
  for (const char* id : {"view.explore", "view.runs", "view.compare"}) {
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
  auto* search = new QPushButton(tr("Search or command…    Ctrl+K"), bar);
  search->setObjectName(QStringLiteral("palette.button"));
  search->setMinimumWidth(fontMetrics().horizontalAdvance(u'0') * 42);
  connect(search, &QPushButton::clicked, this, [this] { actions_->trigger("palette.open"); });
  bar->addWidget(search);
  addToolBar(Qt::TopToolBarArea, bar);
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

void MainWindow::setRemembering(bool remembering) {
  remembering_ = remembering;
  if (!remembering)
    return;
  const QSettings settings;
  restoreGeometry(settings.value(QStringLiteral("geometry")).toByteArray());
}

void MainWindow::closeEvent(QCloseEvent* event) {
  if (remembering_)
    QSettings().setValue(QStringLiteral("geometry"), saveGeometry());
  QMainWindow::closeEvent(event);
}

void MainWindow::showShortcuts() {
  QString text = QStringLiteral("<table cellpadding=3>");
  for (const QString& id : actions_->ids()) {
    const QAction* action = actions_->action(id);
    if (!action->shortcut().isEmpty())
      text += QStringLiteral("<tr><td><b>%1</b></td><td>%2</td></tr>")
                  .arg(action->shortcut().toString(QKeySequence::NativeText).toHtmlEscaped(),
                       action->statusTip().toHtmlEscaped());
  }
  QMessageBox box(QMessageBox::NoIcon, tr("Shortcuts"), text + QStringLiteral("</table>"),
                  QMessageBox::Close, this);
  box.exec();
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
