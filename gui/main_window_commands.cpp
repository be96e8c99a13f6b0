/// The window's commands: each is made once, here, for menus, buttons, palette and tests.
#include "gui/main_window.h"

#include "gui/core/database_address.h"
#include "gui/core/format.h"
#include "gui/pages/candidate_pane.h"
#include "gui/pages/compare_page.h"
#include "gui/pages/edit_page.h"
#include "gui/pages/explore_page.h"
#include "gui/pages/library_page.h"
#include "gui/pages/plots_pane.h"
#include "gui/pages/run_form.h"
#include "gui/pages/runs_page.h"
#include "gui/widgets/keys_dialog.h"
#include "gui/widgets/palette.h"
#include "gui/widgets/run_plot.h"
#include "gui/widgets/sweep_plot.h"

#include <QApplication>
#include <QClipboard>
#include <QDir>
#include <QFileDialog>
#include <QFileInfo>
#include <QInputDialog>
#include <QMessageBox>
#include <QSettings>
#include <QStackedWidget>
#include <QStatusBar>

#include <algorithm>

namespace temper::gui {

namespace {

/// Adds commands to one menu.
struct CommandMenu {
  ActionRegistry& actions;
  QString menu;
  QAction* operator()(const char* id, const QString& text, const char* keys, const QString& hint,
                      std::function<void()> run, std::function<bool()> enabled = nullptr) const {
    return actions.add({QString::fromLatin1(id), menu, text, QString::fromLatin1(keys), hint},
                       std::move(run), std::move(enabled));
  }
};

} // namespace

void MainWindow::makeActions() {
  const CommandMenu file{*actions_, tr("File")}, view{*actions_, tr("View")};
  file("database.open", tr("Open database…"), "Ctrl+O", tr("Look at another database file"),
       [this] {
         const QString name = QFileDialog::getOpenFileName(
             this, tr("Open database"),
             isOnServer(workspace_->database()) ? QDir::homePath()
                                                : QFileInfo(workspace_->database()).path(),
             tr("Databases (*.db);;All files (*)"));
         if (!name.isEmpty())
           openDatabase(name);
       });
  file("database.connect", tr("Open a server's database…"), "",
       tr("Look at the database of a team, by its address: postgresql://user@host/name"), [this] {
         const QString text = QInputDialog::getText(
             this, tr("Open a server's database"),
             tr("Its address, as postgresql://user@host/name; the password is better in "
                "~/.pgpass"));
         if (!text.trimmed().isEmpty())
           openDatabase(text.trimmed());
       });
  file("database.reload", tr("Read again"), "F5", tr("Read the whole database again"),
       [this] { workspace_->reload(); });
  file("app.quit", tr("Quit"), "Ctrl+Q", tr("Close the window; runs go on"), [this] { close(); });

  view("palette.open", tr("Command palette…"), "Ctrl+K", tr("Find a command, a record or a run"),
       [this] { palette_->popUp(); });
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
             Perspective::kCompare},
        View{"view.edit", tr("Edit"), "Ctrl+4", tr("A schedule, made by hand, step by step"),
             Perspective::kEdit},
        View{"view.library", tr("Library"), "Ctrl+5",
             tr("What would be exported, and exporting it"), Perspective::kLibrary}})
    view(entry.id, entry.text, entry.keys, entry.hint, [this, perspective = entry.perspective] {
      showPerspective(perspective);
    })->setCheckable(true);
  view("view.light", tr("Light"), "", tr("Dark text on light"),
       [this] { setTheme(ThemeChoice::kLight); });
  view("view.dark", tr("Dark"), "", tr("Light text on dark"),
       [this] { setTheme(ThemeChoice::kDark); });
  view("view.system", tr("As the desktop"), "", tr("Light or dark as the desktop is"),
       [this] { setTheme(ThemeChoice::kAuto); });
  view("view.heat", tr("Heat columns"), "Ctrl+H",
       tr("Shades behind times, and how often each line of a program runs"),
       [this] { setHeat(!heat_); })
      ->setCheckable(true);
  view("view.larger", tr("Larger"), "Ctrl+=", tr("Everything larger, up to 300 %"),
       [this] { setScale(scale_ + 25); });
  view("view.smaller", tr("Smaller"), "Ctrl+-", tr("Everything smaller, down to 100 %"),
       [this] { setScale(scale_ - 25); });
  view("view.normalSize", tr("Normal size"), "Ctrl+0", tr("Everything at 100 %"),
       [this] { setScale(100); });
  view("view.fullScreen", tr("Full screen"), "F11", tr("Fill the screen, or go back"),
       [this] { setWindowState(windowState() ^ Qt::WindowFullScreen); });
}

void MainWindow::makeRecordActions() {
  const CommandMenu add{*actions_, tr("Record")};
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
      "record.clearFilter", tr("Clear the filter"), "Ctrl+Shift+L", tr("Show all records"),
      [this] { explore_->clearFilter(); },
      [this, inExplore] {
        return inExplore() &&
               (!workspace_->records().filter().isEmpty() || !workspace_->query().isEmpty() ||
                !workspace_->analysis().brushes().empty());
      });
  add(
      "record.query", tr("Query"), "Ctrl+L", tr("Go to the query of the records"),
      [this] {
        showPerspective(Perspective::kExplore);
        explore_->focusQuery();
      },
      nullptr);
  add(
      "record.searchPrograms", tr("Search in programs…"), "Ctrl+Shift+F",
      tr("Find records by words of their schedule, of their kernel's script or of notes"),
      [this] {
        const QString words =
            QInputDialog::getText(this, tr("Search in programs"),
                                  tr("Words of a schedule, a script or a note: vectorize, exp"))
                .trimmed();
        if (!words.isEmpty()) {
          showPerspective(Perspective::kExplore);
          explore_->searchPrograms(words);
        }
      },
      nullptr);
  add(
      "record.saveQuery", tr("Save the query…"), "",
      tr("Keep the query and the filter under a name"), [this] { explore_->saveQuery(); },
      [this, inExplore] { return inExplore() && explore_->canSaveQuery(); });
  const auto shown = [this, inExplore] { return inExplore() && workspace_->detail(); };
  add(
      "record.star", tr("Star"), "S", tr("Mark the record with a star, or take it away"),
      [this] { workspace_->toggleTag(workspace_->selectedRecord(), QStringLiteral("star")); },
      shown);
  add(
      "record.tags", tr("Tags…"), "T", tr("Change the tags of the record"),
      [this] { explore_->candidate()->startTags(); }, shown);
  add(
      "record.note", tr("Add a note…"), "M", tr("Write a note about the record"),
      [this] { explore_->candidate()->startNote(); }, shown);
  add(
      "record.compare", tr("Add to comparison"), "C",
      tr("The first one becomes A, the second B, then both show side by side"),
      [this] { compareSelected(); }, selected);
  add(
      "record.compareBest", tr("Compare with the best"), "Ctrl+Shift+D",
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
  const auto copy = [this](const char* id) {
    return [this, id] { QApplication::clipboard()->setText(actions_->commandLineOf(id)); };
  };
  add("record.copyCommand", tr("Copy as command line"), "",
      tr("Copy the temper show command that prints what shows of this record"),
      copy("record.copyCommand"), selected);
  add("record.copyTune", tr("Copy a tune command"), "",
      tr("Copy the temper tune command that searches for a faster one of its kind"),
      copy("record.copyTune"), shown);
  add("record.copyCheck", tr("Copy a check command"), "",
      tr("Copy the temper check command that says whether its kernel is right"),
      copy("record.copyCheck"), shown);
  add("record.copyRerun", tr("Copy a rerun command"), "",
      tr("Copy the temper rerun command that compiles and measures this candidate again"),
      copy("record.copyRerun"), selected);
  add(
      "record.saveSamples", tr("Save its samples…"), "",
      tr("Write the plot of its samples to a PNG or SVG file, or them as CSV"),
      [this] {
        const QString name = QFileDialog::getSaveFileName(
            this, tr("Save samples"),
            shortId(workspace_->selectedRecord()) + QStringLiteral(".csv"),
            tr("Pictures and numbers (*.png *.svg *.csv)"));
        QString problem;
        if (!name.isEmpty() && !explore_->candidate()->samples()->exportTo(name, &problem))
          statusBar()->showMessage(QStringLiteral("⚠ ") + problem);
      },
      [shown] { return shown(); });
  add(
      "record.export", tr("Export as a library…"), "Ctrl+E",
      tr("Write a shared library with a C header that calls this kernel"),
      [this] {
        const QString folder = QFileDialog::getExistingDirectory(this, tr("Folder of the library"));
        if (!folder.isEmpty())
          workspace_->exportSelected(folder);
      },
      [this] { return workspace_ && workspace_->detail() && !workspace_->isExporting(); });
  add(
      "record.copyExport", tr("Copy its export command"), "",
      tr("Copy the temper export command that makes a library of this record"),
      [this] {
        QApplication::clipboard()->setText(shellCommand(
            QStringLiteral("temper"), workspace_->exportArguments(QStringLiteral("out"))));
      },
      selected);
  add(
      "code.overview", tr("Overview"), "Alt+1", tr("Numbers and origin of the record, or of both"),
      [this] {
        if (perspective_ == Perspective::kCompare)
          compare_->showNumbers();
        else
          explore_->candidate()->showOverview();
      },
      [this, hasCode] {
        return perspective_ == Perspective::kCompare ? compare_ != nullptr : hasCode();
      });
  static const char* const keys[kCodeLevels] = {"Alt+2", "Alt+3",      "Alt+4",     "Alt+5",
                                                "Alt+6", "Ctrl+Alt+5", "Ctrl+Alt+6"};
  for (int i = 0; i < kCodeLevels; ++i) {
    const auto level = static_cast<CodeLevel>(i);
    add(("code." + levelName(level)).toLatin1().constData(), levelTitle(level), keys[i],
        tr("The candidate as %1").arg(levelTitle(level)),
        [this, level] {
          if (perspective_ == Perspective::kCompare)
            compare_->showLevel(level);
          else if (perspective_ == Perspective::kEdit)
            edit_->showLevel(level);
          else
            explore_->candidate()->showLevel(level);
        },
        [this, hasCode, level] {
          if (perspective_ == Perspective::kEdit)
            return workspace_ && workspace_->edit().isOpen() &&
                   hasLevel(workspace_->edit().target(), level);
          return perspective_ == Perspective::kCompare
                     ? compare_ && compare_->hasLevel(level)
                     : hasCode() && explore_->candidate()->hasLevel(level);
        });
  }
  add(
      "code.limits", tr("What limits it"), "Alt+8",
      tr("How much of the machine it uses, and what could be tried"),
      [this] { explore_->candidate()->showLimits(); }, hasCode);
  add(
      "code.log", tr("Log"), "Alt+9",
      tr("What was done with the candidate, and what compiler and kernel wrote"),
      [this] {
        if (perspective_ == Perspective::kCompare)
          compare_->showLog();
        else
          explore_->candidate()->showLog();
      },
      [this, hasCode] {
        return perspective_ == Perspective::kCompare ? compare_ != nullptr : hasCode();
      });
  const auto hasTexts = [this, hasCode] {
    return perspective_ == Perspective::kEdit ? workspace_ && workspace_->edit().isOpen()
           : perspective_ == Perspective::kCompare
               ? compare_ && workspace_->sideDetail(0) && workspace_->sideDetail(1)
               : hasCode();
  };
  const auto searchAgain = [this](bool forward) {
    return [this, forward] {
      if (perspective_ == Perspective::kEdit)
        edit_->searchAgain(forward);
      else if (perspective_ == Perspective::kCompare)
        compare_->searchAgain(forward);
      else
        explore_->candidate()->searchAgain(forward);
    };
  };
  add(
      "code.find", tr("Find in every text…"), "Ctrl+F",
      tr("Search in all texts of the candidate, from its trace to its machine code"),
      [this] {
        if (perspective_ == Perspective::kEdit)
          edit_->startSearch();
        else if (perspective_ == Perspective::kCompare)
          compare_->startSearch();
        else
          explore_->candidate()->startSearch();
      },
      hasTexts);
  add("code.findNext", tr("Find next"), "F3", tr("The next place, of the next text at the end"),
      searchAgain(true), hasTexts);
  add("code.findPrevious", tr("Find previous"), "Shift+F3",
      tr("The place before, of the text before at the beginning"), searchAgain(false), hasTexts);
  add(
      "code.copy", tr("Copy the whole text"), "", tr("Copy all of the text that shows"),
      [this] { explore_->candidate()->copyCode(); }, hasCode);
}

void MainWindow::makeMarkActions() {
  const CommandMenu add{*actions_, tr("Record")};
  const auto meant = [this] { return !meantRecord().isEmpty(); };
  add(
      "record.baseline", tr("Baseline, or no more"), "B",
      tr("Hold all others of its kind against this record; again: hold them against none"),
      [this] { workspace_->toggleBaseline(meantRecord()); }, meant);
  add(
      "record.pin", tr("Pin, or unpin"), "P",
      tr("Keep the record at hand in the strip above, and from being pruned"),
      [this] { workspace_->togglePin(meantRecord()); }, meant);
  add(
      "record.compareBaseline", tr("Compare with the baseline"), "Ctrl+D",
      tr("The baseline of its kind as A, this one as B"),
      [this] {
        const QString record = meantRecord();
        workspace_->setSide(
            0, idText(database::Kind::kMeasurement, workspace_->baselineFor(record)->record));
        workspace_->setSide(1, record);
        showPerspective(Perspective::kCompare);
      },
      [this] {
        const QString record = meantRecord();
        return workspace_ && !record.isEmpty() && workspace_->baselineFor(record) &&
               !workspace_->isBaseline(record);
      });
}

void MainWindow::makePlaceActions() {
  const CommandMenu add{*actions_, tr("File")};
  add("place.copy", tr("Copy a link to this"), "Ctrl+Alt+L",
      tr("Copy a link that opens this view, record and filter again: temper gui LINK"), [this] {
        QApplication::clipboard()->setText(place().toText());
        statusBar()->showMessage(tr("The link is copied; temper gui LINK opens it."), 8000);
      });
  add("place.copyCommand", tr("Copy this view as command line"), "",
      tr("Copy the temper gui command that opens this view, record and filter again"), [this] {
        QApplication::clipboard()->setText(
            shellCommand(QStringLiteral("temper"), {QStringLiteral("gui"), place().toText()}));
      });
  add("place.open", tr("Open a link…"), "", tr("Go where a link points that somebody copied"),
      [this] {
        const QString copied = QApplication::clipboard()->text().trimmed();
        const QString text =
            QInputDialog::getText(this, tr("Open a link"), tr("Link"), QLineEdit::Normal,
                                  PlaceLink::isLink(copied) ? copied : QString());
        if (!text.trimmed().isEmpty())
          openLink(text);
      });
}

void MainWindow::makeLayoutActions() {
  const CommandMenu add{*actions_, tr("View")};
  const auto names = [] {
    QSettings settings;
    settings.beginGroup(QStringLiteral("layouts"));
    return settings.childGroups();
  };
  const auto chosen = [this, names](const QString& title) {
    bool ok = false;
    const QString name = QInputDialog::getItem(this, title, tr("Layout"), names(), 0, false, &ok);
    return ok ? name : QString();
  };
  const auto key = [](const QString& name) { return QStringLiteral("layouts/") + name; };
  const auto any = [names] { return !names().isEmpty(); };
  add("layout.save", tr("Save this layout…"), "",
      tr("Keep perspective, plot, splitters and columns under a name"), [this, key] {
        const QString name =
            QInputDialog::getText(this, tr("Save layout"), tr("Name")).trimmed().remove(u'/');
        if (name.isEmpty())
          return;
        saveLayout(key(name));
        QSettings().setValue(key(name) + QStringLiteral("/perspective"),
                             static_cast<int>(perspective_));
        QSettings().setValue(key(name) + QStringLiteral("/plot"),
                             static_cast<int>(explore_->plots()->plot()));
      });
  add(
      "layout.use", tr("Use a layout…"), "", tr("Go back to a layout that was saved"),
      [this, key, chosen] {
        const QString name = chosen(tr("Use layout"));
        if (name.isEmpty())
          return;
        const QSettings settings;
        explore_->plots()->show(static_cast<PlotsPane::Plot>(
            std::clamp(settings.value(key(name) + QStringLiteral("/plot")).toInt(), 0,
                       PlotsPane::kPlots - 1)));
        showPerspective(static_cast<Perspective>(
            std::clamp(settings.value(key(name) + QStringLiteral("/perspective")).toInt(), 0, 4)));
        restoreLayout(key(name));
      },
      any);
  add(
      "layout.forget", tr("Forget a layout…"), "", tr("Drop a layout that was saved"),
      [key, chosen] {
        if (const QString name = chosen(tr("Forget layout")); !name.isEmpty())
          QSettings().remove(key(name));
      },
      any);
  add("layout.reset", tr("Usual layout"), "", tr("Splitters and columns as they are at first"),
      [this] {
        const Perspective perspective = perspective_;
        const PlotsPane::Plot plot = explore_->plots()->plot();
        deletePages();
        makePages();
        explore_->plots()->show(plot);
        showPerspective(perspective);
      });
}

void MainWindow::makePlotActions() {
  const CommandMenu add{*actions_, tr("Plot")};
  using Plot = PlotsPane::Plot;
  struct Entry {
    const char* id;
    QString text;
    const char* keys;
    QString hint;
    Plot plot;
  };
  for (const Entry& entry :
       {Entry{"plot.none", tr("Table only"), "Ctrl+Alt+0", tr("No plot over the records"),
              Plot::kNone},
        Entry{"plot.parallel", tr("Parallel coordinates"), "Ctrl+Alt+1",
              tr("Decisions and times side by side; drag along an axis to restrict"),
              Plot::kParallel},
        Entry{"plot.importance", tr("Importance of decisions"), "Ctrl+Alt+2",
              tr("Which decisions the time hangs on"), Plot::kImportance},
        Entry{"plot.predicted", tr("Predicted against measured"), "Ctrl+Alt+3",
              tr("How good the model's predictions were"), Plot::kPredicted},
        Entry{"plot.roofline", tr("Roofline"), "Ctrl+Alt+4",
              tr("All kernels below what the machine can do"), Plot::kRoofline},
        Entry{"plot.calibration", tr("Calibration of the model"), "Ctrl+Alt+7",
              tr("Whether the model's scores mean what they say"), Plot::kCalibration},
        Entry{"plot.errors", tr("Where the model is wrong"), "Ctrl+Alt+8",
              tr("The records that the model misses by most, and what they decided alike"),
              Plot::kErrors}})
    add(entry.id, entry.text, entry.keys, entry.hint, [this, plot = entry.plot] {
      showPerspective(Perspective::kExplore);
      explore_->plots()->show(plot);
    });
  const auto hasPlot = [this] {
    return perspective_ == Perspective::kExplore && pages_->currentWidget() == explore_ &&
           explore_->plots()->plot() != Plot::kNone;
  };
  add(
      "plot.allAxes", tr("All decisions as axes"), "",
      tr("An axis for each decision, or only for those that say most of the time"),
      [this] { workspace_->analysis().setAllAxes(!workspace_->analysis().allAxes()); }, hasPlot)
      ->setCheckable(true);
  add(
      "plot.clearBrushes", tr("Clear brushes"), "", tr("Show again what was brushed away"),
      [this] { workspace_->analysis().clearBrushes(); },
      [this] { return workspace_ && !workspace_->analysis().brushes().empty(); });
  add(
      "plot.save", tr("Save the plot…"), "Ctrl+Shift+S",
      tr("Write the plot to a PNG or SVG file, or its numbers as CSV"),
      [this] {
        const QString name =
            QFileDialog::getSaveFileName(this, tr("Save plot"), QStringLiteral("plot.png"),
                                         tr("Pictures and numbers (*.png *.svg *.csv)"));
        QString problem;
        if (!name.isEmpty() && !explore_->plots()->exportTo(name, &problem))
          statusBar()->showMessage(QStringLiteral("⚠ ") + problem);
      },
      hasPlot);
}

void MainWindow::makeRunActions() {
  const CommandMenu add{*actions_, tr("Run")};
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
      "run.pause", tr("Pause"), "Ctrl+Shift+.", tr("Put the run aside until it is resumed"),
      [this] { workspace_->pauseRun(workspace_->selectedRun()); }, state({RunState::kRunning}));
  add(
      "run.batch", tr("Work off a batch…"), "",
      tr("Choose a batch file: many workloads share one budget"),
      [this] {
        const QString file = QFileDialog::getOpenFileName(this, tr("Batch file"), {},
                                                          tr("Batches (*.toml);;All files (*)"));
        if (file.isEmpty())
          return;
        workspace_->startBatch(file);
        showPerspective(Perspective::kRuns);
      },
      [this] { return !workspace_ || workspace_->state() != Workspace::State::kBroken; });
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
      "run.savePlot", tr("Save its plot…"), "",
      tr("Write the plot to a PNG, SVG or PDF file, or its numbers as CSV"),
      [this] {
        const QString name = QFileDialog::getSaveFileName(
            this, tr("Save plot"), shortId(workspace_->selectedRun()) + QStringLiteral(".png"),
            tr("Pictures and numbers (*.png *.svg *.pdf *.csv)"));
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
  const CommandMenu add{*actions_, tr("Compare")};
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
      "compare.why", tr("Why one is faster"), "Alt+7",
      tr("What they decided differently, what the cost model makes of it, and their code"),
      [this] { compare_->showWhy(); }, shown);
  add(
      "compare.try", tr("Try the decision on A"), "Ctrl+Alt+E",
      tr("Open A in the editor with the chosen decision as B has it"),
      [this] { edit(compare_->chosenStep()); },
      [this, shown] { return shown() && compare_ && !compare_->chosenStep().trace.isEmpty(); });
  add(
      "compare.measure", tr("Measure both again"), "Ctrl+Shift+Return",
      tr("Run both in turns and say which is faster"), [this] { compare_->measure(); },
      [this, shown] { return shown() && compare_ && compare_->canMeasure(); });
  add(
      "compare.copyCommand", tr("Copy as command line"), "",
      tr("Copy the temper compare command that measures both in turns"),
      [this] {
        QApplication::clipboard()->setText(
            shellCommand(QStringLiteral("temper"),
                         {QStringLiteral("compare"), workspace_->side(0), workspace_->side(1),
                          QStringLiteral("--db"), workspace_->database()}));
      },
      [this, shown] {
        return shown() && !workspace_->side(0).isEmpty() && !workspace_->side(1).isEmpty();
      });
  add(
      "compare.save", tr("Save as a page…"), "Ctrl+S",
      tr("Write all of it to one HTML file, to be sent to somebody"), [this] { saveComparison(); },
      [this, shown] { return shown() && compare_ && compare_->canSave(); });
}

void MainWindow::saveComparison() {
  const QString name = QFileDialog::getSaveFileName(
      this, tr("Save comparison"),
      QStringLiteral("%1-%2.html").arg(shortId(workspace_->side(0)), shortId(workspace_->side(1))),
      tr("Pages (*.html)"));
  QString problem;
  if (!name.isEmpty() && !compare_->saveTo(name, &problem))
    statusBar()->showMessage(QStringLiteral("⚠ ") + problem);
}

void MainWindow::makeEditActions() {
  const CommandMenu add{*actions_, tr("Edit")};
  const auto edit = [this]() -> EditSession* {
    return workspace_ && workspace_->edit().isOpen() ? &workspace_->edit() : nullptr;
  };
  const auto inEdit = [this, edit] { return edit() && perspective_ == Perspective::kEdit; };
  add(
      "edit.record", tr("Edit its schedule"), "E", tr("Go on by hand from the selected record"),
      [this] { workspace_->edit().open(workspace_->selectedRecord()); },
      [this] { return workspace_ && !workspace_->selectedRecord().isEmpty(); });
  add("edit.workload", tr("Edit the form's workload"), "",
      tr("Begin with the workload of the run form as it is written"), [this] {
        const RunPlan plan = runs_->form()->plan();
        workspace_->edit().openWorkload(plan.workload.trimmed(), plan.parameters);
      });
  add(
      "edit.measure", tr("Measure now"), "Ctrl+Return",
      tr("Compile, check and time this schedule, and keep the record"),
      [edit] { edit()->measure(); },
      [edit, inEdit] { return inEdit() && !edit()->isMeasuring() && edit()->error().isEmpty(); });
  add(
      "edit.apply", tr("Take the step"), "", tr("Take the chosen next step"),
      [this] { edit_->applyCurrentStep(); },
      [edit, inEdit] { return inEdit() && !edit()->steps().empty(); });
  add(
      "edit.undo", tr("Undo"), "Ctrl+Z",
      tr("Back to the schedule that this was made from; elsewhere the last change of tags, notes, "
         "pins or baselines"),
      [this, edit, inEdit] { inEdit() ? edit()->undo() : workspace_->undoMarks(); },
      [this, edit, inEdit] {
        return inEdit() ? edit()->history().canUndo() : workspace_ && workspace_->canUndoMarks();
      });
  add(
      "edit.redo", tr("Redo"), "Ctrl+Shift+Z",
      tr("Forward again, the way one was last; elsewhere what was undone of tags and notes"),
      [this, edit, inEdit] { inEdit() ? edit()->redo() : workspace_->redoMarks(); },
      [this, edit, inEdit] {
        return inEdit() ? edit()->history().canRedo() : workspace_ && workspace_->canRedoMarks();
      });
  const auto measured = [edit]() -> QString {
    return edit() ? edit()->history().current()->record : QString();
  };
  add(
      "edit.showRecord", tr("Open its record"), "", tr("Show this schedule's record in Explore"),
      [this, measured] {
        workspace_->selectRecord(measured());
        showPerspective(Perspective::kExplore);
      },
      [measured, inEdit] { return inEdit() && !measured().isEmpty(); });
  add(
      "edit.compare", tr("Compare with the start"), "Ctrl+Alt+D",
      tr("The record one began with as A, this schedule's as B"),
      [this, edit, measured] {
        workspace_->setSide(0, edit()->history().nodes().front().record);
        workspace_->setSide(1, measured());
        showPerspective(Perspective::kCompare);
      },
      [edit, measured, inEdit] {
        return inEdit() && !measured().isEmpty() &&
               !edit()->history().nodes().front().record.isEmpty() &&
               edit()->history().nodes().front().record != measured();
      });
  add(
      "edit.rename", tr("Name this schedule…"), "F2", tr("Give the schedule a name of its own"),
      [this] { edit_->renameCurrent(); }, inEdit);
  add(
      "edit.sweep", tr("Measure all values"), "Ctrl+Alt+Return",
      tr("Measure every value of the chosen decision"), [edit] { edit()->measureSweep(); },
      [edit, inEdit] {
        return inEdit() && !edit()->sweepPoints().empty() && !edit()->isMeasuring();
      });
  add(
      "edit.saveSweep", tr("Save the values…"), "",
      tr("Write the strip of a decision's values as PNG, SVG or CSV"),
      [this] {
        const QString name =
            QFileDialog::getSaveFileName(this, tr("Save values"), QStringLiteral("values.png"),
                                         tr("Pictures and numbers (*.png *.svg *.csv)"));
        QString problem;
        if (!name.isEmpty() && !edit_->sweepPlot()->exportTo(name, &problem))
          statusBar()->showMessage(QStringLiteral("⚠ ") + problem);
      },
      [edit, inEdit] { return inEdit() && !edit()->sweepPoints().empty(); });
  add(
      "edit.search", tr("Search from here"), "Ctrl+Shift+R",
      tr("Start a run around this schedule that keeps the locked decisions; measure it first"),
      [this, edit] {
        workspace_->startRun(edit()->searchPlan());
        showPerspective(Perspective::kRuns);
      },
      inEdit);
}

void MainWindow::makeLibraryActions() {
  const CommandMenu add{*actions_, tr("Library")};
  const auto shown = [this] { return library_ && perspective_ == Perspective::kLibrary; };
  add(
      "library.refresh", tr("Look again"), "", tr("Ask anew what is best of each kernel"),
      [this] { library_->refresh(); }, shown);
  add(
      "library.folder", tr("Choose its folder…"), "", tr("Where the library is to be written"),
      [this] { library_->chooseFolder(); }, shown);
  add(
      "library.export", tr("Export the library"), "Ctrl+Shift+E",
      tr("Write a shared library with a C header of the ticked kernels"),
      [this] { library_->exportNow(); },
      [this, shown] { return shown() && library_->canExport(); });
  add(
      "library.copyCommand", tr("Copy the export command"), "",
      tr("Copy the temper export command that writes the same library"),
      [this] { QApplication::clipboard()->setText(library_->commandLine()); }, shown);
}

void MainWindow::makeHelpActions() {
  const CommandMenu add{*actions_, tr("Help")};
  add("help.shortcuts", tr("Keys…"), "F1", tr("All commands with their keys, to be changed"),
      [this] { showKeys(); });
  add("help.about", tr("About temper-gui"), "", tr("Version and licence"), [this] { showAbout(); });
}

} // namespace temper::gui
