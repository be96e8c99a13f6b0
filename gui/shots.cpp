#include "gui/shots.h"

#include "gui/core/format.h"
#include "gui/main_window.h"
#include "gui/pages/candidate_pane.h"
#include "gui/pages/compare_page.h"
#include "gui/pages/explore_page.h"
#include "gui/pages/plots_pane.h"
#include "gui/pages/run_form.h"
#include "gui/pages/runs_page.h"
#include "gui/widgets/code_view.h"
#include "gui/widgets/find_bar.h"
#include "gui/widgets/palette.h"
#include "gui/widgets/run_plot.h"

#include <QApplication>
#include <QDir>
#include <QElapsedTimer>
#include <QLineEdit>
#include <QPainter>
#include <QTableView>

#include <cstdio>

namespace temper::gui {

namespace {

/// Until nothing is on its way any more, or half a minute has passed.
void settle(MainWindow& window, int leastMs = 150) {
  QElapsedTimer time;
  time.start();
  const auto busy = [&window] {
    Workspace& workspace = window.workspace();
    for (const int side : {0, 1})
      if (!workspace.side(side).isEmpty() && !workspace.sideDetail(side))
        return true;
    return workspace.isLoading() || workspace.records().isBusy() ||
           window.explorePage()->candidate()->isLoadingCode() ||
           window.explorePage()->candidate()->search().isBusy() ||
           window.comparePage()->isLoading() || window.explorePage()->plots()->isBusy() ||
           workspace.edit().isWorking() ||
           (window.perspective() == MainWindow::Perspective::kLibrary &&
            (!workspace.analysis().machine() || workspace.isAskingLibrary())) ||
           (!workspace.selectedRecord().isEmpty() && !workspace.detail()) ||
           (!workspace.selectedRun().isEmpty() && !workspace.runDetail());
  };
  while ((time.elapsed() < leastMs || busy()) && time.elapsed() < 30'000) {
    QApplication::processEvents(QEventLoop::AllEvents, 20);
    QThread::msleep(5);
  }
  QApplication::processEvents();
}

class Photographer {
public:
  Photographer(const QString& database, const QString& folder, ThemeChoice choice,
               const ShotOptions& options)
      : folder_(folder), options_(options),
        suffix_(choice == ThemeChoice::kDark ? "-dark" : "-light") {
    applyTheme(choice);
    window_ = std::make_unique<MainWindow>(database);
    window_->resize(1440, 900);
    window_->show();
    settle();
    window_->workspace().stopPolling();
    if (options_.sameEverywhere)
      window_->workspace().forgetMachine();
  }

  bool run() {
    Workspace& workspace = window_->workspace();
    if (workspace.state() != Workspace::State::kReady) {
      shoot("empty");
      return ok_;
    }
    const QString best = runs().empty() ? QString() : bestOfAll();
    workspace.selectRecord(best);
    settle();
    shoot("explore");
    for (const auto& [level, name] : {std::pair{CodeLevel::kTrace, "explore-trace"},
                                      std::pair{CodeLevel::kScript, "explore-script"},
                                      std::pair{CodeLevel::kAssembly, "explore-assembly"}}) {
      if (options_.sameEverywhere && level == CodeLevel::kAssembly)
        continue;
      window_->explorePage()->candidate()->showLevel(level);
      settle();
      shoot(name);
    }
    window_->explorePage()->candidate()->showLog();
    settle();
    shoot("explore-log");
    if (!options_.sameEverywhere) { // it counts in the compiler's texts, too
      window_->explorePage()->candidate()->showLevel(CodeLevel::kScript);
      window_->explorePage()->candidate()->startSearch();
      window_->explorePage()->candidate()->findBar()->field()->setText("vectorize");
      window_->explorePage()->candidate()->searchAgain(true);
      settle();
      shoot("explore-found");
      window_->explorePage()->candidate()->findBar()->setVisible(false);
    }
    if (!options_.sameEverywhere) {
      window_->explorePage()->candidate()->showLimits();
      settle();
      shoot("explore-limits");
    }
    window_->explorePage()->candidate()->showOverview();
    // For a GPU of NVIDIA's, one of AMD's, and CUDA C++ of a user's own.
    const auto shootGpu = [&](const QString& record, const QByteArray& name) {
      if (record.isEmpty())
        return;
      workspace.selectRecord(record);
      settle();
      shoot(name.constData());
      for (const CodeLevel level : {CodeLevel::kCuda, CodeLevel::kPtx}) {
        if (options_.sameEverywhere && level == CodeLevel::kPtx) // it is the compiler's
          continue;
        window_->explorePage()->candidate()->showLevel(level);
        settle();
        shoot((name + '-' + levelName(level).toLatin1()).constData());
      }
      window_->explorePage()->candidate()->showOverview();
    };
    const auto isSource = [](const Series& series) {
      return series.workload.endsWith(QStringLiteral(".cu"));
    };
    shootGpu(recordWhere([&](const Series& series, database::Outcome outcome) {
               return outcome == database::Outcome::kChecked && !isSource(series) &&
                      series.target.startsWith(QStringLiteral("cuda"));
             }),
             "gpu");
    shootGpu(recordWhere([](const Series& series, database::Outcome outcome) {
               return outcome == database::Outcome::kChecked &&
                      series.target.startsWith(QStringLiteral("hip"));
             }),
             "amd");
    shootGpu(recordWhere([&](const Series& series, database::Outcome) { return isSource(series); }),
             "source");
    workspace.selectRecord(best);
    settle();
    window_->explorePage()->filterField(RecordColumn::kOutcome)->setText("!ok");
    window_->explorePage()->filterField(RecordColumn::kTime)->setText("<20ms");
    window_->explorePage()->applyFilter();
    settle();
    shoot("explore-filter");
    window_->explorePage()->clearFilter();
    for (const auto& [plot, name] :
         {std::pair{PlotsPane::Plot::kParallel, "explore-parallel"},
          std::pair{PlotsPane::Plot::kImportance, "explore-importance"},
          std::pair{PlotsPane::Plot::kPredicted, "explore-predicted"},
          std::pair{PlotsPane::Plot::kRoofline, "explore-roofline"},
          std::pair{PlotsPane::Plot::kCalibration, "explore-calibration"},
          std::pair{PlotsPane::Plot::kErrors, "explore-errors"}}) {
      if (options_.sameEverywhere && plot == PlotsPane::Plot::kRoofline)
        continue;
      window_->explorePage()->plots()->show(plot);
      settle();
      shoot(name);
      if (plot != PlotsPane::Plot::kParallel)
        continue;
      workspace.analysis().brush(QStringLiteral("time"), 0.75f, 1.0f);
      settle();
      shoot("explore-brushed");
      workspace.analysis().clearBrushes();
      window_->resize(1280, 720);
      settle();
      shoot("explore-parallel-small");
      window_->resize(1440, 900);
    }
    window_->explorePage()->plots()->show(PlotsPane::Plot::kNone);
    window_->resize(1280, 720);
    settle();
    shoot("explore-small");
    window_->resize(1440, 900);
    window_->showPerspective(MainWindow::Perspective::kRuns);
    settle();
    shoot("runs");
    if (const QString other = anotherThan(best); !other.isEmpty()) {
      workspace.setSide(0, best);
      workspace.setSide(1, other);
    }
    window_->showPerspective(MainWindow::Perspective::kCompare);
    settle();
    shoot("compare-trace");
    window_->comparePage()->showNumbers();
    settle();
    shoot("compare-numbers");
    if (!options_.sameEverywhere) {
      window_->comparePage()->showLevel(CodeLevel::kAssembly);
      settle();
      shoot("compare-assembly");
    }
    if (!options_.sameEverywhere) { // it names the compiler's instructions
      window_->comparePage()->showWhy();
      settle();
      shoot("compare-why");
    }
    workspace.edit().open(best);
    settle();
    EditSession& edit = workspace.edit();
    for (size_t i = 0; i < edit.places().size(); ++i)
      if (!edit.places()[i].isBlock)
        edit.selectPlace(static_cast<int>(i)); // the innermost of the last nest
    settle();
    shoot("edit");
    for (size_t i = 0; i < edit.decisions().size(); ++i)
      if (edit.decisions()[i].canSweep) {
        edit.sweep(static_cast<int>(i));
        break;
      }
    settle();
    shoot("edit-sweep");
    window_->resize(1280, 720);
    settle();
    shoot("edit-small");
    if (!options_.sameEverywhere) {
      window_->showPerspective(MainWindow::Perspective::kLibrary);
      settle();
      shoot("library-small");
    }
    window_->resize(1440, 900);
    window_->commandPalette()->popUp();
    // Commands name the database, which is elsewhere on every machine.
    window_->commandPalette()->field()->setText(options_.sameEverywhere ? "layout" : "co");
    settle();
    shoot("palette", window_->commandPalette());
    window_->commandPalette()->hide();
    return ok_;
  }

private:
  const std::vector<RunRow>& runs() { return window_->workspace().runs().rows(); }

  QString bestOfAll() {
    const RunRow* busiest = nullptr;
    for (const RunRow& row : runs())
      if (!row.bestRecord.isEmpty() &&
          (!busiest || row.flops / row.bestNs > busiest->flops / busiest->bestNs))
        busiest = &row;
    if (busiest)
      window_->workspace().selectRun(toQString(busiest->run.id));
    return busiest ? busiest->bestRecord : QString();
  }

  /// The first record for which that holds; empty without one.
  template <typename Wanted> QString recordWhere(const Wanted& wanted) {
    const RecordTable& table = window_->workspace().records().table();
    for (uint32_t i = 0; i < table.size(); ++i)
      if (const PackedRecord& record = table.at(i); wanted(table.seriesOf(record), record.outcome))
        return idText(database::Kind::kMeasurement, record.id);
    return {};
  }

  /// The next best of the same kind by another candidate, unless there is none.
  QString anotherThan(const QString& id) {
    const RecordTable& table = window_->workspace().records().table();
    const int64_t at = table.find(idDigits(id));
    if (at < 0)
      return {};
    const PackedRecord& best = table.at(static_cast<uint32_t>(at));
    const PackedRecord* other = nullptr;
    for (uint32_t i = 0; i < table.size(); ++i) {
      const PackedRecord& record = table.at(i);
      if (record.series == best.series && record.candidate != best.candidate &&
          record.outcome == database::Outcome::kOk && record.medianNs > best.medianNs &&
          (!other || record.medianNs < other->medianNs))
        other = &record;
    }
    return other ? idText(database::Kind::kMeasurement, other->id) : QString();
  }

  void settle(int leastMs = 150) { gui::settle(*window_, leastMs); }

  void shoot(const char* name, QWidget* over = nullptr) {
    QPixmap picture = window_->grab();
    if (over) {
      QPainter painter(&picture);
      painter.drawPixmap(window_->mapFromGlobal(over->pos()), over->grab());
    }
    const QString file = folder_ + u'/' + QString::fromLatin1(name) + suffix_ + ".png";
    if (!picture.save(file)) {
      std::fprintf(stderr, "temper-gui: cannot write %s\n", qPrintable(file));
      ok_ = false;
    }
  }

  QString folder_;
  ShotOptions options_;
  QString suffix_;
  std::unique_ptr<MainWindow> window_;
  bool ok_ = true;
};

} // namespace

int saveView(const QString& database, const PlaceLink& place, const QString& file) {
  applyTheme(ThemeChoice::kLight);
  MainWindow window(database);
  window.resize(1440, 900);
  window.show();
  settle(window);
  window.workspace().stopPolling();
  QString problem;
  bool saved = false;
  if (window.workspace().state() != Workspace::State::kReady) {
    problem = window.workspace().message();
  } else {
    window.goTo(place);
    settle(window);
    const CandidatePane* candidate = window.explorePage()->candidate();
    switch (window.perspective()) {
    case MainWindow::Perspective::kExplore:
      if (window.explorePage()->plots()->plot() != PlotsPane::Plot::kNone)
        saved = window.explorePage()->plots()->exportTo(file, &problem);
      else if (window.workspace().detail())
        saved = candidate->samples()->exportTo(file, &problem);
      else
        problem = QStringLiteral("the link names neither a plot nor a record that there is");
      break;
    case MainWindow::Perspective::kRuns:
      if (window.workspace().runDetail())
        saved = window.runsPage()->plot()->exportTo(file, &problem);
      else
        problem = QStringLiteral("the link names no run that there is");
      break;
    case MainWindow::Perspective::kCompare:
      if (window.comparePage()->canSave())
        saved = window.comparePage()->saveTo(file, &problem);
      else
        problem = QStringLiteral("the link does not name two records that there are");
      break;
    case MainWindow::Perspective::kEdit:
    case MainWindow::Perspective::kLibrary:
      problem = QStringLiteral("only plots of Explore, runs and comparisons are saved");
    }
  }
  if (!saved)
    std::fprintf(stderr, "temper-gui: %s\n", qPrintable(problem));
  return saved ? 0 : 1;
}

int takeShots(const QString& database, const QString& folder, const ShotOptions& options) {
  if (!QDir().mkpath(folder)) {
    std::fprintf(stderr, "temper-gui: cannot make the folder %s\n", qPrintable(folder));
    return 1;
  }
  bool ok = true;
  for (const ThemeChoice choice : {ThemeChoice::kLight, ThemeChoice::kDark})
    ok = Photographer(database, folder, choice, options).run() && ok;
  return ok ? 0 : 1;
}

} // namespace temper::gui
