/// The window on a team's database: tests/database/postgres.sh starts a server.
#include "tests/gui/fixture.h"

#include "database/postgres_store.h"
#include "gui/core/format.h"
#include "gui/main_window.h"
#include "gui/pages/candidate_pane.h"
#include "gui/pages/explore_page.h"
#include "gui/widgets/code_view.h"
#include "gui/widgets/theme.h"

#include <QApplication>
#include <QClipboard>
#include <QDateTime>
#include <QLabel>
#include <QProcess>
#include <QStandardPaths>
#include <QTableView>
#include <QTest>

namespace temper::gui {

class ServerTest : public QObject {
  Q_OBJECT

private slots:
  void initTestCase() {
    QStandardPaths::setTestModeEnabled(true);
    applyTheme(ThemeChoice::kLight);
  }

  void aServersDatabaseIsShownMarkedAndFollowed() {
    const QString plain = qEnvironmentVariable("TEMPER_TEST_POSTGRES");
    if (plain.isEmpty())
      QSKIP("no server: run it by tests/database/postgres.sh");
    const auto store = must(database::open_postgres_store({.url = plain.toStdString()}));
    Fixture fixture(-1);
    fixture.fill(*store, 20);
    QString address = plain; // postgresql://user@host:port/name; it lets the user in without one
    address.insert(address.indexOf(u'@'), ":s3cret");

    MainWindow window(address);
    Workspace& workspace = window.workspace();
    window.show();
    QVERIFY(waitFor([&] { return workspace.records().rowCount() == 40; }));
    QCOMPARE(workspace.database(), plain);
    QVERIFY2(window.windowTitle().contains("postgres on 127.0.0.1"),
             qPrintable(window.windowTitle()));
    // Its program, by a child process; a mark; what others record.
    window.explorePage()->table()->selectRow(0);
    QVERIFY(waitFor([&] { return workspace.detail() != nullptr; }));
    QVERIFY(window.actions().trigger("code.script"));
    CandidatePane* pane = window.explorePage()->candidate();
    QVERIFY(waitFor([&] { return !pane->isLoadingCode(); }));
    QVERIFY2(pane->codeView(CodeLevel::kScript)->text().contains("T.sblock"),
             qPrintable(pane->codeView(CodeLevel::kScript)->text()));
    const QString record = workspace.selectedRecord();
    QVERIFY(window.actions().trigger("record.pin"));
    QVERIFY(waitFor([&] { return workspace.isPinned(record); }));
    QCOMPARE(must(store->tags(record.toStdString())).size(), size_t{1});
    fixture.addRun(*store, must(store->list_workloads("scale")).front().workload.id, 3);
    QVERIFY(waitFor([&] { return workspace.records().rowCount() == 43; }));
    workspace.setQuery("workload = shift and outcome = ok");
    QVERIFY(waitFor([&] { return workspace.records().rowCount() == 17; }));

    // A run that another host does is followed like one of this host, and stopped by asking; one of
    // which nothing was heard for long is not at work any more.
    const auto elsewhere = [&](const char* id, int64_t silentNs) {
      database::Run run = must(store->run(must(store->list_runs({})).front().id));
      run.id = id;
      run.state = database::RunState::kRunning;
      run.owner.domain = "another-host";
      run.owner.pid = 1;
      run.heartbeat_at = QDateTime::currentMSecsSinceEpoch() * 1'000'000 - silentNs;
      return toQString(must(store->import_run(run)));
    };
    const QString live = elsewhere("r00000000000000a1", 0),
                  gone = elsewhere("r00000000000000a2", 3'600'000'000'000);
    const auto row = [&](const QString& id) { return workspace.runs().find(id); };
    QVERIFY(waitFor([&] { return row(live) != nullptr && row(gone) != nullptr; }));
    QVERIFY(row(live)->isLive());
    QVERIFY(!row(gone)->isLive() && row(gone)->canResume());
    workspace.stopRun(live);
    QVERIFY(waitFor([&] {
      return must(store->run(live.toStdString())).requested == database::RequestedState::kStop;
    }));

    // Nothing that shows or is copied tells the password.
    for (const char* command :
         {"record.copyCommand", "place.copy", "place.copyCommand", "record.copyExport"}) {
      QVERIFY2(window.actions().trigger(QString::fromLatin1(command)), command);
      QVERIFY(QApplication::clipboard()->text().contains("127.0.0.1"));
      QVERIFY2(!QApplication::clipboard()->text().contains("s3cret"), command);
    }
    for (const QLabel* label : window.findChildren<QLabel*>())
      QVERIFY(!(label->text() + label->toolTip()).contains("s3cret"));

    // The server goes away and comes back: both are said, or seen, by themselves.
    const auto server = [](const char* what) {
      return QProcess::execute(qEnvironmentVariable("TEMPER_TEST_POSTGRES_SERVER"),
                               {QString::fromLatin1(what)});
    };
    QCOMPARE(server("stop"), 0);
    QVERIFY(waitFor([&] { return workspace.state() == Workspace::State::kBroken; }));
    QVERIFY2(workspace.message().contains("127.0.0.1") && !workspace.message().contains("s3cret"),
             qPrintable(workspace.message()));
    QCOMPARE(server("start"), 0);
    QVERIFY2(waitFor([&] {
               return workspace.state() == Workspace::State::kReady && !workspace.isLoading() &&
                      workspace.records().rowCount() == 17;
             }),
             qPrintable(QStringLiteral("%1 records, loading %2: %3")
                            .arg(workspace.records().rowCount())
                            .arg(workspace.isLoading())
                            .arg(workspace.message())));
  }
};

} // namespace temper::gui

QTEST_MAIN(temper::gui::ServerTest)
#include "server_slow_test.moc"
