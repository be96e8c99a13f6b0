/// A real run from the window: started, followed, stopped, resumed.
#include "tests/gui/fixture.h"

#include "gui/core/format.h"
#include "gui/core/workspace.h"
#include "gui/main_window.h"
#include "gui/widgets/theme.h"

#include <QApplication>
#include <QProcess>
#include <QSignalSpy>
#include <QStandardPaths>
#include <QTest>

#include <csignal>
#include <set>

namespace temper::gui {

class RunTest : public QObject {
  Q_OBJECT

  std::set<qint64> processes_; ///< that a failed check may leave running

private slots:
  void cleanup() {
    for (const qint64 process : std::exchange(processes_, {}))
      if (isAlive(process))
        ::kill(static_cast<pid_t>(process), SIGKILL);
  }

  void initTestCase() { QStandardPaths::setTestModeEnabled(true); }

  void aRunIsStartedFollowedStoppedAndResumed() {
    const Fixture none(-1);
    Workspace workspace(none.path());
    RunPlan plan;
    plan.workload = "matmul";
    plan.parameters = "M=128 N=128 K=128";
    plan.trials = 100'000;
    plan.strategy = "random";
    workspace.startRun(plan);
    QVERIFY(waitFor([&] { return workspace.runs().rowCount() == 1; }, 120'000));
    const QString run = toQString(workspace.runs().rows().front().run.id);
    const auto watch = [&] { processes_.insert(workspace.runs().find(run)->run.owner.pid); };
    watch();
    QVERIFY(waitFor([&] { return workspace.selectedRun() == run; }));
    QVERIFY(waitFor([&] { return workspace.records().rowCount() > 3; }, 120'000));
    workspace.stopRun(run);
    QVERIFY(waitFor(
        [&] {
          const RunRow* row = workspace.runs().find(run);
          return row && row->canResume();
        },
        120'000));
    const auto before = workspace.runs().find(run)->run.trials;
    QVERIFY(before < plan.trials);
    workspace.resumeRun(run);
    QVERIFY(waitFor([&] { return workspace.runs().find(run)->run.trials > before; }, 120'000));
    watch();
    workspace.stopRun(run);
    QVERIFY(waitFor([&] { return workspace.runs().find(run)->canResume(); }, 120'000));
  }

  void aHandMadeScheduleIsMeasuredAndKept() {
    const Fixture fixture(5);
    Workspace workspace(fixture.path());
    QVERIFY(waitFor([&] { return workspace.records().rowCount() == 10; }));
    EditSession& edit = workspace.edit();
    QSignalSpy measured(&edit, &EditSession::measured);
    edit.open(workspace.records().idAt(0));
    QVERIFY(waitFor([&] { return edit.isOpen() && !edit.text().isEmpty(); }));
    edit.setTrace(edit.trace() + "l8, l9 = sch.get_loops(block=b0)\nsch.vectorize(loop=l9)\n");
    QVERIFY(waitFor([&] { return edit.text().contains("vectorized"); }));
    const Json request = edit.measureRequest(); // that a command line may make as well
    edit.measure();
    QVERIFY(edit.isMeasuring());
    QVERIFY(waitFor([&] { return measured.size() == 1; }, 120'000));
    const EditNode* node = edit.history().current();
    QCOMPARE(node->outcome, "ok");
    QVERIFY(node->medianNs > 0);
    QVERIFY(waitFor([&] { return workspace.records().rowCount() == 11; }));
    workspace.selectRecord(node->record);
    QVERIFY(waitFor([&] { return workspace.detail() != nullptr; }));
    QCOMPARE(toQString(workspace.detail()->measurement.origin), "hand");
    QCOMPARE(toQString(workspace.detail()->candidate.parent),
             edit.history().nodes().front().candidate);
    QCOMPARE(toQString(workspace.detail()->run.strategy), "hand");
    // A value of the decision that shows, taken and measured, has its time in the strip at once.
    edit.sweep(0);
    QVERIFY(waitFor([&] { return edit.sweepPoints().size() == 4; }));
    const int other = edit.sweepPoints()[0].current ? 1 : 0;
    edit.takeSweep(other);
    QVERIFY(waitFor([&] { return !edit.isWorking(); }));
    edit.measure();
    QVERIFY(waitFor([&] { return measured.size() == 2; }, 120'000));
    QVERIFY(edit.sweepPoints()[static_cast<size_t>(other)].medianNs > 0);
    QVERIFY(waitFor([&] { return workspace.records().rowCount() == 12; }));

    // The same by the command that is copied for it.
    QProcess session;
    session.start(temperProgram(), {"session", "--db", fixture.path()});
    session.write(QByteArray::fromStdString(request.dump() + "\n"));
    session.closeWriteChannel();
    QVERIFY(session.waitForFinished(120'000));
    const auto answer = parse_json(session.readAllStandardOutput().toStdString());
    QVERIFY(answer && answer->value("outcome", "") == "ok");
    QVERIFY(waitFor([&] { return workspace.records().rowCount() == 13; }));

    // It is exported like any other; one of a compiler of long ago is refused.
    QSignalSpy said(&workspace, &Workspace::said);
    const QString folder = fixture.file("out");
    workspace.exportSelected(folder);
    QVERIFY(workspace.isExporting());
    QVERIFY(waitFor([&] { return said.size() == 2; }, 120'000));
    QVERIFY2(!said[1][1].toBool(), qPrintable(said[1][0].toString()));
    for (const char* file : {"libkernels.so", "kernels.h", "kernels.json"})
      QVERIFY2(QFile::exists(folder + u'/' + QString::fromLatin1(file)), file);
    workspace.selectRecord(edit.startRecord());
    QVERIFY(waitFor([&] { return workspace.detail() != nullptr; }));
    workspace.exportSelected(folder);
    QVERIFY(waitFor([&] { return said.size() == 4; }, 120'000));
    QVERIFY2(said[3][1].toBool(), qPrintable(said[3][0].toString()));
  }

  void aRunThatCannotStartSaysWhy() {
    const Fixture fixture(2);
    Workspace workspace(fixture.path());
    QSignalSpy said(&workspace, &Workspace::said);
    RunPlan plan;
    plan.workload = "no_such_workload";
    workspace.startRun(plan);
    QVERIFY(waitFor([&] { return !said.isEmpty() && said.last()[1].toBool(); }, 60'000));
    QVERIFY2(said.last()[0].toString().contains("no_such_workload"),
             qPrintable(said.last()[0].toString()));
  }
};

} // namespace temper::gui

QTEST_MAIN(temper::gui::RunTest)
#include "run_slow_test.moc"
