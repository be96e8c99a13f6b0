/// The whole product as somebody uses it for the first time: a first run, its best beside the
/// untuned program, a schedule made by hand and measured, a search around it, a window that goes
/// away in the middle, a library at the end.
#include "tests/gui/fixture.h"

#include "gui/core/format.h"
#include "gui/main_window.h"
#include "gui/pages/compare_page.h"
#include "gui/pages/edit_page.h"
#include "gui/pages/explore_page.h"
#include "gui/pages/library_page.h"
#include "gui/pages/run_form.h"
#include "gui/pages/runs_page.h"
#include "gui/widgets/theme.h"

#include <QApplication>
#include <QComboBox>
#include <QFile>
#include <QFileInfo>
#include <QLineEdit>
#include <QProcess>
#include <QPushButton>
#include <QSpinBox>
#include <QStandardPaths>
#include <QTest>
#include <QTreeWidget>

#include <algorithm>

#include <csignal>

namespace temper::gui {

class ProductTest : public QObject {
  Q_OBJECT

  qint64 process_ = 0; ///< that a failed check may leave running

private slots:
  void initTestCase() {
    QStandardPaths::setTestModeEnabled(true);
    applyTheme(ThemeChoice::kLight);
  }
  void cleanup() {
    if (isAlive(process_))
      ::kill(static_cast<pid_t>(process_), SIGKILL);
  }

  void fromAnEmptyDatabaseToALibrary() {
    constexpr int kLong = 180'000;
    const Fixture none(-1);
    auto window = std::make_unique<MainWindow>(none.path());
    window->show();
    const auto workspace = [&]() -> Workspace& { return window->workspace(); };
    const auto act = [&](const char* id) { return window->actions().trigger(id); };

    // The first run, from the empty window.
    QVERIFY(waitFor([&] { return workspace().state() == Workspace::State::kMissing; }));
    QTest::mouseClick(window->findChild<QPushButton*>("empty.start"), Qt::LeftButton);
    RunForm* form = window->runsPage()->form();
    form->findChild<QComboBox*>("runForm.workload")->setEditText("matmul");
    form->findChild<QLineEdit*>("runForm.parameters")->setText("M=64 N=64 K=64");
    form->findChild<QSpinBox*>("runForm.trials")->setValue(20);
    form->findChild<QLineEdit*>("runForm.seed")->setText("1");
    QTest::mouseClick(form->startButton(), Qt::LeftButton);
    QVERIFY(waitFor(
        [&] {
          return !workspace().runs().rows().empty() &&
                 workspace().runs().rows().front().run.state == database::RunState::kFinished;
        },
        kLong));
    const RunRow first = workspace().runs().rows().front();
    QVERIFY(waitFor([&] { return workspace().runDetail() != nullptr; }));
    QVERIFY(first.run.trials >= 20 && first.bestNs > 0);

    // Its best beside the program as it is written.
    QVERIFY(waitFor([&] { return act("run.showBest"); })); // enabled once its best is known here
    QVERIFY(waitFor([&] { return workspace().detail() != nullptr; }));
    const QString best = workspace().selectedRecord();
    const auto records = must(none.store()->list_records({}));
    QString untuned;
    for (const database::RecordRow& row : records)
      if (row.median_ns > 0 && must(none.store()->measurement(row.id)).origin == "untuned")
        untuned = toQString(row.id);
    QVERIFY(!untuned.isEmpty());
    workspace().setSide(0, untuned);
    workspace().setSide(1, best);
    QVERIFY(act("view.compare"));
    QVERIFY2(waitFor([&] { return window->comparePage()->sentence().contains("faster"); }, 20'000),
             qPrintable(window->comparePage()->sentence()));
    // ... and why it is faster: their code, and what a model learnt from the run.
    QVERIFY(act("compare.why"));
    QTreeWidget* why = window->comparePage()->whyView();
    QVERIFY(
        waitFor([&] { return !window->comparePage()->isLoading() && why->topLevelItemCount() > 0; },
                kLong));
    QStringList sections;
    for (int i = 0; i < why->topLevelItemCount(); ++i)
      sections << why->topLevelItem(i)->text(0);
    QVERIFY2(sections.contains("Machine code") && sections.contains("As the cost model sees it"),
             qPrintable(sections.join(u'|')));
    const QString page = none.file("comparison.html");
    QString problem;
    QVERIFY2(window->comparePage()->saveTo(page, &problem), qPrintable(problem));

    // The untuned program as the baseline: everything is held against it.
    workspace().toggleBaseline(untuned);
    QVERIFY(waitFor([&] { return workspace().ratioOf(best).startsWith("▲"); }));

    // A decision changed by hand, and measured.
    QVERIFY(act("view.explore"));
    QVERIFY(act("edit.record"));
    EditSession& edit = workspace().edit();
    QVERIFY(waitFor([&] { return edit.isOpen() && !edit.decisions().empty(); }));
    int sweepable = -1;
    for (size_t i = 0; i < edit.decisions().size(); ++i)
      if (edit.decisions()[i].canSweep)
        sweepable = static_cast<int>(i);
    QVERIFY(sweepable >= 0);
    edit.sweep(sweepable);
    QVERIFY(waitFor([&] { return edit.sweepPoints().size() > 1; }));
    int other = -1;
    for (size_t i = 0; i < edit.sweepPoints().size(); ++i)
      if (!edit.sweepPoints()[i].current && !edit.sweepPoints()[i].trace.isEmpty())
        other = static_cast<int>(i);
    QVERIFY(other >= 0);
    edit.takeSweep(other);
    QVERIFY(waitFor([&] { return !edit.isWorking(); }));
    QVERIFY(act("edit.measure"));
    QVERIFY(waitFor([&] { return !edit.isMeasuring(); }, kLong));
    const QString byHand = edit.history().current()->record;
    QVERIFY2(!byHand.isEmpty(), qPrintable(edit.history().current()->reason));

    // A search around it that keeps one decision; the window goes away in the middle.
    edit.setLocked(sweepable, true);
    QVERIFY(act("edit.search"));
    // Not just the newest: the run of what was measured by hand is new as well.
    const auto place = [&] {
      return std::ranges::find_if(workspace().runs().rows(), [&](const auto& row) {
        return toQString(row.run.parent_record) == byHand;
      });
    };
    QVERIFY(waitFor([&] { return place() != workspace().runs().rows().end(); }, kLong));
    const auto around = [&] { return *place(); };
    process_ = around().run.owner.pid;
    const QString run = toQString(around().run.id);
    QVERIFY(waitFor([&] { return around().run.trials > 2; }, kLong));
    // It waits where it is, however fast the machine, until it is killed below.
    QCOMPARE(::kill(static_cast<pid_t>(process_), SIGSTOP), 0);
    window.reset();
    // A window that is killed leaves nothing behind that the next one stumbles over.
    QProcess killed;
    killed.start(QFileInfo(temperProgram()).path() + QStringLiteral("/temper-gui"),
                 {QStringLiteral("--db"), none.path()});
    QVERIFY(killed.waitForStarted());
    QTest::qWait(1500);
    QVERIFY2(killed.state() == QProcess::Running, killed.readAllStandardError().constData());
    killed.kill();
    QVERIFY(killed.waitForFinished());
    window = std::make_unique<MainWindow>(none.path());
    window->show();
    QVERIFY(waitFor([&] { return workspace().runs().find(run) != nullptr; }));
    QVERIFY(workspace().isBaseline(untuned) ||
            waitFor([&] { return workspace().isBaseline(untuned); }));

    // The search is killed, too: it shows, and goes on where it was.
    QVERIFY(isAlive(process_));
    ::kill(static_cast<pid_t>(process_), SIGKILL);
    QVERIFY(waitFor([&] { return workspace().runs().find(run)->canResume(); }, kLong));
    const int64_t before = workspace().runs().find(run)->run.trials;
    workspace().selectRun(run);
    QVERIFY(act("view.runs"));
    QVERIFY(waitFor(
        [&] { return workspace().runDetail() && workspace().runDetail()->row.canResume(); }));
    QVERIFY(act("run.resume"));
    QVERIFY(waitFor(
        [&] {
          const RunRow* row = workspace().runs().find(run);
          return row->run.trials > before || row->run.state == database::RunState::kFinished;
        },
        kLong));
    process_ = workspace().runs().find(run)->run.owner.pid;
    workspace().stopRun(run);
    QVERIFY(waitFor(
        [&] {
          const RunRow* row = workspace().runs().find(run);
          return row && !row->isLive();
        },
        kLong));

    // The library.
    QVERIFY(act("view.library"));
    QVERIFY(waitFor([&] { return workspace().library().rowCount() == 1; }, kLong));
    QVERIFY2(workspace().library().rows()[0].included,
             qPrintable(workspace().library().rows()[0].stateText()));
    const QString folder = none.file("out");
    window->libraryPage()->folderField()->setText(folder);
    QVERIFY(act("library.export"));
    QVERIFY(waitFor([&] { return !window->libraryPage()->isExporting(); }, kLong));
    QVERIFY2(window->libraryPage()->logText().contains("Done."),
             qPrintable(window->libraryPage()->logText()));
    for (const char* file : {"libkernels.so", "kernels.h", "kernels.json"})
      QVERIFY2(QFile::exists(folder + u'/' + QString::fromLatin1(file)), file);
  }
};

} // namespace temper::gui

QTEST_MAIN(temper::gui::ProductTest)
#include "product_slow_test.moc"
