/// The window on the offscreen platform: each command by its id, and rules for all widgets.
#include "tests/gui/fixture.h"

#include "gui/core/format.h"
#include "gui/core/kept_state.h"
#include "gui/main_window.h"
#include "gui/pages/candidate_pane.h"
#include "gui/pages/compare_page.h"
#include "gui/pages/edit_page.h"
#include "gui/pages/errors_pane.h"
#include "gui/pages/explore_page.h"
#include "gui/pages/limits_pane.h"
#include "gui/pages/plots_pane.h"
#include "gui/pages/run_form.h"
#include "gui/pages/runs_page.h"
#include "gui/shots.h"
#include "gui/widgets/calibration_plot.h"
#include "gui/widgets/code_view.h"
#include "gui/widgets/find_bar.h"
#include "gui/widgets/keys_dialog.h"
#include "gui/widgets/mark_strip.h"
#include "gui/widgets/palette.h"
#include "gui/widgets/parallel_plot.h"
#include "gui/widgets/run_plot.h"
#include "gui/widgets/scatter_plot.h"
#include "gui/widgets/table.h"
#include "gui/widgets/theme.h"
#include "gui/widgets/whole_columns.h"

#include <QApplication>
#include <QCheckBox>
#include <QClipboard>
#include <QComboBox>
#include <QFile>
#include <QHeaderView>
#include <QKeyEvent>
#include <QKeySequenceEdit>
#include <QLabel>
#include <QLineEdit>
#include <QListWidget>
#include <QMessageBox>
#include <QPushButton>
#include <QRegularExpression>
#include <QScrollArea>
#include <QScrollBar>
#include <QSet>
#include <QSignalSpy>
#include <QSpinBox>
#include <QStandardItemModel>
#include <QStandardPaths>
#include <QTabBar>
#include <QTableView>
#include <QTest>
#include <QToolButton>
#include <QTreeWidget>
#include <QTreeWidgetItemIterator>

#include <algorithm>
#include <memory>
#include <tuple>

namespace temper::gui {

class WindowTest : public QObject {
  Q_OBJECT

  std::unique_ptr<Fixture> fixture_;
  std::unique_ptr<MainWindow> window_;

  ActionRegistry& actions() { return window_->actions(); }
  Workspace& workspace() { return window_->workspace(); }

  void open(int trials = 40) {
    window_.reset();
    fixture_ = std::make_unique<Fixture>(trials);
    window_ = std::make_unique<MainWindow>(fixture_->path());
    window_->show();
    QVERIFY(waitFor([&] { return workspace().state() != Workspace::State::kOpening; }));
    if (trials >= 0)
      QVERIFY(waitFor([&] { return workspace().records().rowCount() == 2 * trials; }));
  }

  void select(int row) {
    window_->explorePage()->table()->selectRow(row);
    QVERIFY(waitFor([&] { return workspace().detail() != nullptr; }));
  }

  /// Closes the next message box and gives its text.
  QString textOfNextBox(const std::function<void()>& open) {
    QString text;
    QTimer timer; // ends with this call: a command that opens no box leaves none behind
    connect(&timer, &QTimer::timeout, this, [&] {
      if (auto* box = qobject_cast<QMessageBox*>(QApplication::activeModalWidget()))
        text = box->text();
      if (auto* dialog = qobject_cast<QDialog*>(QApplication::activeModalWidget()))
        dialog->reject();
    });
    timer.start(20);
    open();
    return text;
  }

  static constexpr const char* kPerspectives[] = {"view.explore", "view.runs", "view.compare",
                                                  "view.edit", "view.library"};

  /// Controls of the window that show and hold no others.
  QList<QWidget*> shownControls() {
    QList<QWidget*> controls;
    for (QWidget* widget : window_->findChildren<QWidget*>())
      if (widget->isVisible() && !widget->objectName().startsWith("qt_") &&
          (qobject_cast<QLabel*>(widget) || qobject_cast<QAbstractButton*>(widget) ||
           qobject_cast<QLineEdit*>(widget) || qobject_cast<QComboBox*>(widget) ||
           qobject_cast<QAbstractSpinBox*>(widget)))
        controls << widget;
    return controls;
  }

  /// The record of this target among those of gpu_records.jsonl, selected, at a level.
  const CodeView* openForGpu(const QString& target, CodeLevel level) {
    window_.reset();
    fixture_ = std::make_unique<Fixture>(1);
    importRecords(QStringLiteral(TEMPER_GUI_TESTS "/gpu_records.jsonl"), fixture_->path());
    window_ = std::make_unique<MainWindow>(fixture_->path());
    window_->show();
    waitFor([&] { return workspace().records().rowCount() == 4; });
    const RecordTable& table = workspace().records().table();
    for (uint32_t i = 0; i < table.size(); ++i)
      if (table.seriesOf(table.at(i)).target == target)
        workspace().selectRecord(idText(database::Kind::kMeasurement, table.at(i).id));
    waitFor([&] { return workspace().detail() != nullptr; });
    CandidatePane* pane = window_->explorePage()->candidate();
    actions().trigger("code." + levelName(level));
    waitFor([&] { return !pane->isLoadingCode(); });
    return pane->codeView(level);
  }

  QStringList titlesOfTabs() {
    const auto* tabs = window_->findChild<QTabWidget*>(QStringLiteral("candidate.tabs"));
    QStringList titles;
    for (int i = 0; i < tabs->count(); ++i)
      if (tabs->isTabVisible(i))
        titles << tabs->tabText(i);
    return titles;
  }

private slots:
  void initTestCase() {
    QStandardPaths::setTestModeEnabled(true);
    applyTheme(ThemeChoice::kLight);
  }
  void cleanup() {
    window_.reset();
    fixture_.reset();
  }

  void selectingARowShowsTheCandidate() {
    open();
    select(0);
    QCOMPARE(workspace().selectedRecord(), workspace().records().idAt(0));
    bool found = false;
    for (const QLabel* label : window_->explorePage()->candidate()->findChildren<QLabel*>())
      found |= label->text().contains("N=64 M=64");
    QVERIFY(found);
  }

  void theTextsOfACandidateAreThoseOfTemperShow() {
    open();
    select(0);
    QVERIFY(actions().trigger("code.trace"));
    CandidatePane* pane = window_->explorePage()->candidate();
    CodeView* view = pane->codeView(CodeLevel::kTrace);
    QVERIFY(waitFor([&] { return !pane->isLoadingCode() && !view->text().isEmpty(); }));
    QVERIFY2(view->text().contains("sch.sample_categorical"), qPrintable(view->text()));
    QVERIFY(actions().trigger("code.assembly"));
    CodeView* assembly = pane->codeView(CodeLevel::kAssembly);
    QVERIFY(waitFor([&] { return !pane->isLoadingCode() && !assembly->text().isEmpty(); }));
    QVERIFY2(assembly->text().contains("ret"), qPrintable(assembly->text()));
    QVERIFY(actions().trigger("code.copy"));
    QCOMPARE(QApplication::clipboard()->text(), assembly->text());
  }

  void filteringKeepsTheSelectionAndIsCleared() {
    open();
    select(0);
    const QString id = workspace().selectedRecord();
    QVERIFY(actions().trigger("record.filter"));
    QLineEdit* field = window_->explorePage()->filterField(RecordColumn::kOutcome);
    QTest::keyClicks(field, "crashed");
    QVERIFY(waitFor([&] { return workspace().records().rowCount() == 12; }));
    QCOMPARE(workspace().selectedRecord(), id);
    QVERIFY(actions().trigger("record.clearFilter"));
    QVERIFY(waitFor([&] { return workspace().records().rowCount() == 80; }));
    QVERIFY(field->text().isEmpty());
    QCOMPARE(workspace().records().idAt(window_->explorePage()->table()->currentIndex().row()), id);
    QVERIFY(!actions().trigger("record.clearFilter"));
  }

  void theSelectedRecordShowsWhenAPlotTakesItsRoom() {
    open();
    QTableView* table = window_->explorePage()->table();
    const int last = table->rowAt(table->viewport()->height() - 1) - 1;
    QVERIFY(last > 3);
    select(last);
    QCOMPARE(table->verticalScrollBar()->value(), 0);
    QVERIFY(actions().trigger("plot.predicted"));
    const auto shows = [table] {
      const QRect row = table->visualRect(table->currentIndex());
      return row.top() >= 0 && row.bottom() <= table->viewport()->height();
    };
    QVERIFY(waitFor([&] { return table->verticalScrollBar()->value() > 0 && shows(); }));
    // One that somebody scrolled away from stays away.
    table->verticalScrollBar()->setValue(60);
    QVERIFY(!shows());
    window_->resize(window_->width(), window_->height() - 40);
    QTest::qWait(50);
    QCOMPARE(table->verticalScrollBar()->value(), 60);
  }

  void sortingByAHeaderShowsTheFastestFirst() {
    open();
    QHeaderView* header = window_->explorePage()->table()->horizontalHeader();
    header->setSortIndicator(static_cast<int>(RecordColumn::kTime), Qt::AscendingOrder);
    QVERIFY(waitFor([&] {
      const PackedRecord* first = workspace().records().recordAt(0);
      return first && first->sequence == 39;
    }));
  }

  void theSmallestWindowHoldsEverything() {
    open();
    window_->resize(1280, 720);
    for (const char* id :
         {"view.explore", "view.runs", "view.compare", "view.edit", "view.library"}) {
      QVERIFY(actions().trigger(id));
      QTest::qWait(20);
      QCOMPARE(window_->size(), QSize(1280, 720));
    }
  }

  void theRunsPageShowsTheCourseOfTheNewestRun() {
    open();
    QVERIFY(actions().trigger("view.runs"));
    QVERIFY(waitFor([&] { return workspace().runDetail() != nullptr; }));
    QCOMPARE(window_->runsPage()->plot()->measuredCount(), 34);
    QCOMPARE(window_->runsPage()->plot()->failedCount(), 6);
    QVERIFY(!actions().trigger("run.stop"));
    QVERIFY(actions().trigger("run.records"));
    QVERIFY(waitFor([&] { return workspace().records().rowCount() == 40; }));
    QVERIFY(window_->perspective() == MainWindow::Perspective::kExplore);
    QString problem;
    const QString csv = fixture_->file("run.csv");
    QVERIFY2(window_->runsPage()->plot()->exportTo(csv, &problem), qPrintable(problem));
    QFile numbers(csv);
    QVERIFY(numbers.open(QIODevice::ReadOnly));
    const QStringList lines = QString::fromUtf8(numbers.readAll()).split(u'\n');
    QCOMPARE(lines.size(), 42); // a head, 40 trials, an end
    QVERIFY2(lines[1].startsWith("1,m") && lines[1].endsWith(",ok,62000,62000,"),
             qPrintable(lines[1]));
    QVERIFY2(lines[4].endsWith(",crashed,,22000,"), qPrintable(lines[4]));
    QVERIFY(window_->runsPage()->plot()->exportTo(fixture_->file("run.png"), &problem));
    QVERIFY(!window_->runsPage()->plot()->exportTo(fixture_->file("no/run.csv"), &problem));
    QVERIFY(actions().trigger("run.showBest"));
    QVERIFY(waitFor([&] { return workspace().detail() != nullptr; }));
    QCOMPARE(workspace().detail()->row.sequence, 39);
    QCOMPARE(workspace().detail()->verdict(), "the best of its kind");
    QVERIFY(actions().trigger("run.copyCommand"));
    QCOMPARE(QApplication::clipboard()->text(), "temper tune scale --trials 40");
  }

  void theModelsQualityIsShownOverTheCourseOfItsRun() {
    open();
    const auto store = fixture_->store();
    const database::Id run = must(store->list_runs({})).front().id;
    RunPlot* plot = window_->runsPage()->plot();
    QVERIFY(actions().trigger("view.runs"));
    workspace().selectRun(toQString(run));
    QVERIFY(
        waitFor([&] { return workspace().runDetail() != nullptr && plot->measuredCount() > 0; }));
    QCOMPARE(plot->rankedCount(), 0);
    for (int batch = 0; batch < 3; ++batch) {
      database::ModelQuality quality;
      quality.run = run;
      quality.batch = batch;
      quality.trials_seen = 100 + 8 * batch; // others' among them
      quality.measured_at =
          must(store->run(run)).started_at + (8 + 8 * batch) * 1'000'000'000LL - 1;
      if (batch != 1) // too few to be ranked
        quality.rank_correlation = 0.5 + 0.2 * batch;
      quality.top_recall = 0.25;
      quality.top_k = 4;
      must(store->add(quality));
    }
    actions().trigger("database.reload");
    workspace().selectRun(toQString(must(store->list_runs({})).back().id));
    QVERIFY(waitFor([&] { return workspace().runDetail() != nullptr; }));
    workspace().selectRun(toQString(run));
    QVERIFY(waitFor([&] { return plot->rankedCount() == 2; }));
    QVERIFY2(plot->accessibleDescription().contains("2 batches"),
             qPrintable(plot->accessibleDescription()));
    QString problem;
    const QString csv = fixture_->file("quality.csv");
    QVERIFY2(plot->exportTo(csv, &problem), qPrintable(problem));
    QFile numbers(csv);
    QVERIFY(numbers.open(QIODevice::ReadOnly));
    const QStringList lines = QString::fromUtf8(numbers.readAll()).split(u'\n');
    QVERIFY2(lines[8].endsWith(",0.5") && lines[24].endsWith(",0.9"),
             qPrintable(lines[8] + u' ' + lines[24]));
    // Another run has none: the strip goes.
    workspace().selectRun(toQString(must(store->list_runs({})).back().id));
    QVERIFY(waitFor([&] { return plot->rankedCount() == 0; }));
    QVERIFY(plot->exportTo(fixture_->file("plot.svg"), &problem));
  }

  void theLogSaysWhatWasDoneAndWritten() {
    open(2);
    database::Measurement wrote;
    wrote.log = "the kernel wrote:\ntile is ragged";
    wrote.timing_json = R"({"clock_ghz":3.41,"steal_ms":0.0})";
    const QString id = fixture_->recordOf("[[],[]]", "cpu:x86-64,-sse3", wrote);
    QVERIFY(waitFor([&] { return workspace().records().rowOf(id) >= 0; }));
    workspace().selectRecord(id);
    QVERIFY(waitFor([&] { return workspace().detail() != nullptr; }));
    QVERIFY(actions().trigger("code.log"));
    CandidatePane* pane = window_->explorePage()->candidate();
    QCOMPARE(pane->levelName(), "log");
    QVERIFY2(pane->logView()->text().contains("outcome    ok") &&
                 pane->logView()->text().contains("3.41 GHz") &&
                 pane->logView()->text().endsWith("tile is ragged\n"),
             qPrintable(pane->logView()->text()));
    // The command prints the same.
    const QString line = actions().commandLineOf("record.copyCommand");
    QVERIFY2(line.contains(" --log "), qPrintable(line));
    TemperCommand command;
    QString printed;
    command.start(pane->showArguments(), [&](const TemperCommand::Answer& answer) {
      printed = answer.output + answer.error;
    });
    QVERIFY(waitFor([&] { return !printed.isEmpty(); }));
    QCOMPARE(printed, pane->logView()->text());
    // It is no program: no word of it is coloured, and its end is no line.
    QVERIFY(!pane->logView()->isColoured());
    QCOMPARE(pane->logView()->lineCount(), printed.count(u'\n'));
    QVERIFY(pane->codeView(CodeLevel::kTrace)->isColoured());
    QVERIFY(actions().trigger("code.overview"));
    bool clock = false;
    for (const QLabel* label : pane->findChildren<QLabel*>())
      clock |= label->text().contains("3.41 GHz");
    QVERIFY(clock);
  }

  void wordsAreFoundInEveryTextOfACandidate() {
    open();
    select(0);
    QVERIFY(actions().trigger("code.script"));
    CandidatePane* pane = window_->explorePage()->candidate();
    QVERIFY(waitFor([&] { return !pane->isLoadingCode(); }));
    QVERIFY(actions().trigger("code.find"));
    FindBar* bar = pane->findBar();
    QVERIFY(bar->isVisible());
    QTest::keyClicks(bar->field(), "ret");
    const auto count = [&](const char* name) {
      for (const TextSearch::Found& text : pane->search().found())
        if (text.name == QLatin1StringView(name) && text.isKnown)
          return text.count;
      return -1;
    };
    // In what it is lowered to, which nobody has looked at yet.
    QVERIFY(waitFor([&] { return count("assembly") > 0 && !pane->search().isBusy(); }));
    QCOMPARE(count("script"), 0);
    QVERIFY(count("llvm") > 0);
    QCOMPARE(count("cuda"), -1); // it has no such text
    QVERIFY2(bar->found().contains("Script\u00a00") && bar->found().contains("href=\"assembly\""),
             qPrintable(bar->found()));
    // Enter goes on where there is one: past the texts without it.
    QTest::keyClick(bar->field(), Qt::Key_Return);
    QVERIFY(waitFor([&] { return !pane->isLoadingCode() && pane->levelName() == "llvm"; }));
    QVERIFY(actions().trigger("code.findPrevious"));
    QVERIFY(waitFor([&] { return pane->levelName() != "llvm" && !pane->isLoadingCode(); }));
    QTest::keyClick(bar->field(), Qt::Key_Escape);
    QVERIFY(!bar->isVisible());
    QVERIFY(pane->search().found().empty());
    // Beside another record, and in the editor.
    QVERIFY(actions().trigger("record.sideA"));
    select(3);
    QVERIFY(actions().trigger("record.sideB"));
    QVERIFY(actions().trigger("view.compare"));
    ComparePage* compare = window_->comparePage();
    QVERIFY(waitFor([&] {
      return workspace().sideDetail(0) && workspace().sideDetail(1) && !compare->isLoading();
    }));
    QVERIFY(actions().trigger("code.find"));
    QTest::keyClicks(compare->findBar()->field(), "categorical");
    QVERIFY2(compare->findBar()->found().startsWith("A 1 · B 1"),
             qPrintable(compare->findBar()->found()));
    QVERIFY(actions().trigger("code.findNext"));
    QVERIFY(actions().trigger("view.explore"));
    QVERIFY(actions().trigger("edit.record"));
    QVERIFY(waitFor([&] {
      return window_->perspective() == MainWindow::Perspective::kEdit &&
             !workspace().edit().isWorking() && !workspace().edit().text().isEmpty();
    }));
    QVERIFY(actions().trigger("code.find"));
    QTest::keyClicks(window_->editPage()->findBar()->field(), "T.grid");
    QVERIFY2(window_->editPage()->findBar()->found().startsWith("Script 1 · trace 0"),
             qPrintable(window_->editPage()->findBar()->found()));
  }

  void aTableThatScrollsSidewaysShowsWholeColumns() {
    open();
    select(0);
    workspace().toggleBaseline(workspace().selectedRecord());
    QVERIFY(waitFor([&] { return window_->markStrip()->isVisible(); }));
    for (const QSize size : {QSize(1280, 720), QSize(1440, 900), QSize(1920, 1080)}) {
      window_->resize(size);
      for (const char* perspective : {"view.explore", "view.runs"}) {
        QVERIFY(actions().trigger(perspective));
        QTest::qWait(20);
        const bool isExplore = QByteArray(perspective) == "view.explore";
        const auto* table = isExplore ? window_->explorePage()->table()
                                      : window_->runsPage()->findChild<QTableView*>("runTable");
        const QHeaderView* header = table->horizontalHeader();
        const int room = table->viewport()->width();
        for (int i = 0; i < header->count(); ++i) {
          if (header->isSectionHidden(i))
            continue;
          const int left = header->sectionViewportPosition(i);
          const int right = left + header->sectionSize(i);
          QVERIFY2(right <= room || left >= room,
                   qPrintable(QStringLiteral("column %1 of %2, %3 to %4 of %5")
                                  .arg(i)
                                  .arg(table->objectName())
                                  .arg(left)
                                  .arg(right)
                                  .arg(room)));
        }
        // What has no long texts has room for all of them.
        const int flexible = isExplore ? static_cast<int>(RecordColumn::kWorkload)
                                       : static_cast<int>(RunModel::kWorkload);
        for (int row = 0; row < std::min(40, table->model()->rowCount()); ++row)
          for (int i = 0; i < header->count(); ++i) {
            const QString text = table->model()->index(row, i).data().toString();
            constexpr qsizetype kMarks = 18; // "pinned final stale"
            if (header->isSectionHidden(i) ||
                (isExplore &&
                 (i == static_cast<int>(RecordColumn::kTarget) ||
                  (i == static_cast<int>(RecordColumn::kMarks) && text.size() > kMarks))))
              continue;
            QVERIFY2(i == flexible ||
                         header->sectionSize(i) >=
                             table->sizeHintForIndex(table->model()->index(row, i)).width(),
                     qPrintable(QStringLiteral("'%1' in column %2 of %3")
                                    .arg(text)
                                    .arg(i)
                                    .arg(table->objectName())));
          }
      }
    }
    // Somebody who chose a width keeps it.
    QTableView* table = window_->explorePage()->table();
    table->setProperty(WholeColumns::kByHand, true);
    table->horizontalHeader()->resizeSection(static_cast<int>(RecordColumn::kWorkload), 111);
    window_->resize(1280, 720);
    QTest::qWait(20);
    QCOMPARE(table->horizontalHeader()->sectionSize(static_cast<int>(RecordColumn::kWorkload)),
             111);
  }

  void labelsOfParallelCoordinatesAreNotStruckThrough() {
    open();
    select(1); // it crashed: it stands where times are absent
    QVERIFY(actions().trigger("plot.parallel"));
    PlotsPane* plots = window_->explorePage()->plots();
    ParallelPlot* plot = plots->parallel();
    QVERIFY(waitFor([&] { return !plots->isBusy() && plot->labels().size() > 4; }));
    const QImage image = plot->grab().toImage();
    bool absent = false;
    const auto labels = plot->labels();
    for (size_t i = 0; i < labels.size(); ++i) {
      const QRect& place = labels[i].place;
      absent = absent || labels[i].isAbsent;
      QVERIFY2(plot->rect().contains(place), qPrintable(labels[i].text));
      // Its ground begins a little before it: nothing else is drawn there.
      for (int y = place.top() + 1; y < place.bottom(); ++y)
        QCOMPARE(QColor(image.pixel(place.left() - 2, y)), theme().base);
      for (size_t j = 0; j < i; ++j)
        QVERIFY2(!labels[j].place.intersects(place),
                 qPrintable(labels[i].text + " over " + labels[j].text));
    }
    QVERIFY(absent);
  }

  void theModelsCalibrationIsDrawnInGroupsThatRestrictTheRest() {
    open(2);
    QVERIFY(actions().trigger("plot.calibration"));
    PlotsPane* plots = window_->explorePage()->plots();
    QVERIFY(waitFor([&] { return !plots->isBusy(); }));
    QCOMPARE(plots->calibration()->sentence(), "");
    const auto store = fixture_->store();
    database::Run run = must(store->run(must(store->list_runs({})).front().id));
    run.seed = 77;
    run.started_at += 1'000'000'000;
    run.id.clear();
    const database::RunClaim claim = must(store->claim_run(must(store->create_run(run))));
    for (int i = 0; i < 60; ++i)
      fixture_->record(*store, claim, run, i, 0.01 * i);
    QVERIFY(waitFor([&] { return workspace().records().table().size() == 64; }));
    window_->explorePage()->table()->scrollToTop();
    workspace().records().refresh();
    QVERIFY(waitFor([&] { return workspace().records().rowCount() == 64; }));
    workspace().selectRecord(workspace().records().idAt(0));
    QVERIFY(waitFor([&] { return plots->calibration()->calibration().bins.size() == 10; }));
    QVERIFY2(plots->calibration()->sentence().startsWith("60 predictions: off the diagonal by") &&
                 plots->calibration()->sentence().contains("in the first half of the runs"),
             qPrintable(plots->calibration()->sentence()));
    QTest::mouseClick(plots->calibration(), Qt::LeftButton, {}, plots->calibration()->pointOf(4));
    QVERIFY(waitFor([&] { return workspace().records().rowCount() == 6; }));
    QTest::mouseDClick(plots->calibration(), Qt::LeftButton, {}, QPoint(5, 5));
    QVERIFY(waitFor([&] { return workspace().records().rowCount() == 64; }));
    QVERIFY2(plots->calibration()->csv().contains("\nfirst half,"),
             qPrintable(plots->calibration()->csv()));
    must(store->release_run(claim, database::RunState::kFinished, "enough"));
  }

  void whereTheModelIsWrongIsATableThatRestrictsTheRest() {
    open(2);
    const auto store = fixture_->store();
    database::Run run = must(store->run(must(store->list_runs({})).front().id));
    run.seed = 78;
    run.started_at += 1'000'000'000;
    run.id.clear();
    const database::RunClaim claim = must(store->claim_run(must(store->create_run(run))));
    // Of every fourth, which all decided alike, the model hopes for too much.
    for (int i = 0; i < 60; ++i)
      fixture_->record(*store, claim, run, i, i % 4 == 2 ? 0.95 : 0.1);
    QVERIFY(waitFor([&] { return workspace().records().table().size() == 64; }));
    workspace().records().refresh();
    QVERIFY(waitFor([&] { return workspace().records().rowCount() == 64; }));
    workspace().selectRecord(workspace().records().idAt(0));
    QVERIFY(actions().trigger("plot.errors"));
    ErrorsPane* pane = window_->explorePage()->plots()->errors();
    QAbstractItemModel* shared = pane->sharedView()->model();
    QVERIFY(waitFor([&] { return shared->rowCount() > 0; }));
    QVERIFY2(pane->sentence().startsWith("60 predictions: missed by") &&
                 pane->sentence().contains("failed and count as speed 0"),
             qPrintable(pane->sentence()));
    const auto cell = [&](int column) { return shared->index(0, column).data().toString(); };
    QCOMPARE(cell(SharedErrorModel::kDecision), "SampleCategorical");
    QCOMPARE(cell(SharedErrorModel::kValue), "4");
    QCOMPARE(cell(SharedErrorModel::kRecords), "15");
    QVERIFY2(cell(SharedErrorModel::kError).startsWith("+0.") &&
                 cell(SharedErrorModel::kOthers).startsWith("−0."),
             qPrintable(cell(SharedErrorModel::kError)));
    // The records below it are those, the greatest error first; one is selected everywhere.
    QAbstractItemModel* records = pane->recordView()->model();
    QCOMPARE(records->rowCount(), 60);
    pane->recordView()->selectRow(3);
    QVERIFY(waitFor([&] { return workspace().detail() != nullptr; }));
    QCOMPARE(shortId(workspace().selectedRecord()),
             records->index(3, ErrorRecordModel::kRecord).data().toString());
    // Enter keeps only those that decided so, in every view.
    emit pane->sharedView()->activated(shared->index(0, 0));
    QVERIFY(waitFor([&] { return workspace().records().rowCount() == 15; }));
    QCOMPARE(records->rowCount(), 15);
    QVERIFY(actions().trigger("plot.clearBrushes"));
    QVERIFY(waitFor([&] { return workspace().records().rowCount() == 64; }));
    QCOMPARE(records->rowCount(), 60);
    const QString csv = pane->csv();
    QVERIFY2(csv.startsWith("decision,value,") && csv.contains("\n\nrecord,score,"),
             qPrintable(csv.left(200)));
    must(store->release_run(claim, database::RunState::kFinished, "enough"));
  }

  void theRooflineShowsTheWayFromTheBaselineAndFromAToB() {
    open();
    select(0);
    QVERIFY(actions().trigger("plot.roofline"));
    PlotsPane* plots = window_->explorePage()->plots();
    QVERIFY(waitFor([&] { return !plots->isBusy() && workspace().analysis().roofline(); }));
    RooflinePlot* plot = plots->roofline();
    QCOMPARE(plot->ways().size(), size_t{0});
    const auto idOf = [&](int sequence, const QString& workload) {
      for (int row = 0; row < workspace().records().rowCount(); ++row) {
        const PackedRecord* record = workspace().records().recordAt(row);
        if (record->sequence == sequence &&
            workspace().records().table().seriesOf(*record).workload == workload)
          return workspace().records().idAt(row);
      }
      return QString();
    };
    const QString slow = idOf(0, "scale"), fast = idOf(39, "scale"), other = idOf(0, "shift");
    workspace().toggleBaseline(slow);
    QVERIFY(waitFor([&] { return workspace().isBaseline(slow); }));
    workspace().selectRecord(fast);
    QCOMPARE(plot->ways().size(), size_t{1});
    const RooflinePlot::Way way = plot->ways()[0];
    QCOMPARE(way.from, idDigits(slow));
    QCOMPARE(way.to, idDigits(fast));
    // Upwards: the faster one does more operations a second. It is drawn.
    QVERIFY(way.line.y2() < way.line.y1() && way.line.x1() == way.line.x2());
    QVERIFY(waitFor([&] { return !plots->isBusy(); }));
    const QImage image = plot->grab().toImage();
    const QPoint middle = way.line.center().toPoint();
    bool drawn = false;
    for (int x = -1; x <= 1; ++x)
      drawn |= image.pixelColor(middle + QPoint(x, 0)).lightness() < 100;
    QVERIFY(drawn);
    // What is compared has its own; kernels of two columns have none.
    workspace().setSide(0, fast);
    workspace().setSide(1, slow);
    QCOMPARE(plot->ways().size(), size_t{2});
    QCOMPARE(plot->ways()[1].from, idDigits(fast));
    workspace().setSide(1, other);
    QCOMPARE(plot->ways().size(), size_t{1});
  }

  void theNumbersAndLogsOfTwoRecordsStandSideBySide() {
    open(2);
    const auto counted = [&](double bytes, const char* timer, const char* program) {
      database::Measurement with;
      with.samples_ns = {990, 1000, 1010};
      with.counters_json = Json{
          {"dram__bytes_read.sum", bytes},
          {"smsp__issue_active.avg.pct_of_peak_sustained_active",
           61.5}}.dump();
      with.timing_json =
          Json{{"calls_per_sample", 1}, {"gpu", {{"timer", timer}, {"sm_clock_mhz", 1755}}}}.dump();
      return fixture_->recordOf(program, "cuda:sm_90a", with);
    };
    const QString a = counted(4096, "activity", "[[],[]]");
    const QString b = counted(1024, "events", "[[ ],[]]");
    workspace().setSide(0, a);
    workspace().setSide(1, b);
    QVERIFY(actions().trigger("view.compare"));
    QVERIFY(
        waitFor([&] { return workspace().sideDetail(0) != nullptr && workspace().sideDetail(1); }));
    QVERIFY(actions().trigger("code.overview"));
    ComparePage* page = window_->comparePage();
    QCOMPARE(page->levelName(), "overview");
    const auto row = [&](const QString& name) -> QStringList {
      for (int i = 0; i < page->numbersView()->topLevelItemCount(); ++i) {
        const QTreeWidgetItem* item = page->numbersView()->topLevelItem(i);
        if (item->text(0) == name)
          return {item->text(1), item->text(2), item->text(3), item->toolTip(0)};
      }
      return {};
    };
    QCOMPARE(row("read from memory"),
             QStringList({"4,096 bytes", "1,024 bytes", "0.250×", "dram__bytes_read.sum"}));
    QVERIFY(row("issue slots used").isEmpty()); // equal
    QVERIFY2(row("machine then").value(1).contains("timed by events"),
             qPrintable(row("machine then").join('|')));
    auto* only = page->findChild<QCheckBox*>("compare.onlyDifferences");
    only->setChecked(false);
    QCOMPARE(row("issue slots used").mid(0, 3), QStringList({"61.5 %", "61.5 %", ""}));
    only->setChecked(true);
    // Their logs, as words and not as programs.
    QVERIFY(actions().trigger("code.log"));
    QCOMPARE(page->levelName(), "log");
    QVERIFY2(page->codeView(0)->text().contains("timed by CUPTI's records") &&
                 page->codeView(1)->text().contains("timed by events"),
             qPrintable(page->codeView(0)->text()));
    QVERIFY(!page->codeView(0)->isColoured());
    // A page of it names what it shows.
    const QString file = fixture_->file("numbers.html");
    QString problem;
    QVERIFY2(page->canSave() && page->saveTo(file, &problem), qPrintable(problem));
    QFile saved(file);
    QVERIFY(saved.open(QIODevice::ReadOnly));
    const QString html = QString::fromUtf8(saved.readAll());
    for (const char* words : {"<h2>Log</h2>", "read from memory", "0.250×", "timed by events"})
      QVERIFY2(html.contains(QString::fromUtf8(words)), words);
    // The place is a link.
    const PlaceLink link = window_->place();
    QCOMPARE(link.level, "log");
    QVERIFY(actions().trigger("code.overview"));
    window_->goTo(link);
    QCOMPARE(page->levelName(), "log");
    // By itself each counter has a line.
    QVERIFY(actions().trigger("view.explore"));
    QVERIFY(waitFor([&] { return workspace().records().rowOf(a) >= 0; }));
    workspace().selectRecord(a);
    QVERIFY(waitFor(
        [&] { return workspace().detail() && toQString(workspace().detail()->row.id) == a; }));
    QStringList words;
    for (const QLabel* label : window_->explorePage()->candidate()->findChildren<QLabel*>())
      words << label->text();
    QVERIFY2(words.contains("read from memory") && words.contains("4,096 bytes"),
             qPrintable(words.join('|')));
  }

  void everyCommandHasACommandLineUnlessItIsTheWindowsAlone() {
    open(2);
    // What has no meaning outside a window, or is a way to type something into one.
    const QStringList alone{
        "database.connect",  "database.reload",    "app.quit",         "palette.open",
        "view.light",        "view.dark",          "view.system",      "view.heat",
        "view.larger",       "view.smaller",       "view.normalSize",  "view.fullScreen",
        "record.filter",     "record.clearFilter", "record.saveQuery", "record.sideA",
        "record.sideB",      "record.copyId",      "code.find",        "code.findNext",
        "code.findPrevious", "place.open",         "layout.save",      "layout.use",
        "layout.forget",     "layout.reset",       "plot.allAxes",     "plot.clearBrushes",
        "run.log",           "compare.swap",       "compare.next",     "compare.previous",
        "compare.try",       "edit.workload",      "edit.apply",       "edit.undo",
        "edit.redo",         "edit.rename",        "edit.saveSweep",   "library.folder",
        "help.shortcuts",    "help.about"};
    for (const QString& id : actions().ids())
      QVERIFY2(actions().hasCommandLine(id) != alone.contains(id), qPrintable(id));
  }

  void whatALinkShowsIsSavedWithoutAWindow() {
    open();
    select(0);
    QVERIFY(actions().trigger("plot.parallel"));
    const PlaceLink link = window_->place();
    QCOMPARE(actions().commandLineOf("plot.save"),
             "temper gui '" + link.toText() + "' --save plot.png");
    PlaceLink runs;
    runs.view = "runs";
    PlaceLink both = link;
    both.view = "compare";
    both.sides[0] = workspace().records().idAt(0);
    both.sides[1] = workspace().records().idAt(1);
    PlaceLink samples = link;
    samples.plot = "none";
    const QString path = fixture_->path();
    for (const auto& [place, name, begins] :
         {std::tuple{link, "plot.csv", "record,SampleCategorical,median_ns\n"},
          std::tuple{samples, "samples.csv", "sample,ns\n1,"},
          std::tuple{runs, "run.csv", "trial,record,outcome,"},
          std::tuple{both, "page.html", "<!doctype html>"}}) {
      const QString file = fixture_->file(name);
      QCOMPARE(saveView(path, place, file), 0);
      QFile written(file);
      QVERIFY(written.open(QIODevice::ReadOnly));
      QVERIFY2(QString::fromUtf8(written.readAll()).startsWith(QString::fromUtf8(begins)), name);
    }
    QCOMPARE(saveView(path, link, fixture_->file("no/plot.png")), 1);
    PlaceLink library;
    library.view = "library";
    QCOMPARE(saveView(path, library, fixture_->file("library.png")), 1);
  }

  void aCandidateForAGpuHasTheTextsOfOne() {
    open(2);
    const QString id = fixture_->recordOf("[[],[]]", "cuda:sm_90a");
    QVERIFY(waitFor([&] { return workspace().records().rowOf(id) >= 0; }));
    select(workspace().records().rowCount() - 1); // for a processor
    QVERIFY(!actions().trigger("code.cuda"));
    workspace().selectRecord(id);
    QVERIFY(waitFor(
        [&] { return workspace().detail() && toQString(workspace().detail()->row.id) == id; }));
    CandidatePane* pane = window_->explorePage()->candidate();
    for (const CodeLevel level : {CodeLevel::kLlvm, CodeLevel::kAssembly}) {
      QVERIFY(!pane->hasLevel(level));
      QVERIFY(!actions().trigger("code." + levelName(level)));
    }
    QVERIFY(actions().trigger("code.cuda"));
    QCOMPARE(pane->levelName(), "cuda");
    QVERIFY(waitFor([&] { return !pane->isLoadingCode(); }));
    QVERIFY(!pane->codeView(CodeLevel::kCuda)->text().isEmpty());
    QVERIFY(actions().trigger("code.ptx"));
    // Beside one for a processor all levels are there.
    workspace().setSide(0, id);
    workspace().setSide(1, workspace().records().idAt(workspace().records().rowCount() - 1));
    QVERIFY(actions().trigger("view.compare"));
    QVERIFY(waitFor([&] { return workspace().sideDetail(0) && workspace().sideDetail(1); }));
    for (const CodeLevel level : {CodeLevel::kLlvm, CodeLevel::kCuda, CodeLevel::kPtx})
      QVERIFY(window_->comparePage()->hasLevel(level));
    workspace().setSide(0, workspace().side(1));
    QVERIFY(waitFor([&] { return !window_->comparePage()->hasLevel(CodeLevel::kCuda); }));
  }

  void aUsersOwnKernelInCudaShowsAsItIsCompiled() {
    const CodeView* view = openForGpu(QStringLiteral("cuda:sm_90a"), CodeLevel::kCuda);
    QVERIFY2(view->text().startsWith("#define BLOCK 128\n") &&
                 view->text().contains("__global__ void saxpy"),
             qPrintable(view->text()));
    QCOMPARE(view->kindAt(0, 1), "keyword");
    QCOMPARE(view->kindAt(0, 15), "number");
    // Its loop runs as often as its macro says.
    const QStringList lines = view->text().split(u'\n');
    const auto body = static_cast<size_t>(lines.indexOf(QRegularExpression(".*const int at.*")));
    QVERIFY(waitFor([&] { return view->heat().size() > body; }));
    QCOMPARE(view->heat()[body].runs, 2.0);
    QVERIFY2(titlesOfTabs().contains("CUDA C++") && titlesOfTabs().contains("PTX"),
             qPrintable(titlesOfTabs().join(u' ')));
    // What it decided are its macros.
    const QStringList knobs{QStringLiteral("block"), QStringLiteral("per")};
    QVERIFY(actions().trigger("code.trace"));
    QVERIFY(waitFor([&] { return !window_->explorePage()->candidate()->isLoadingCode(); }));
    for (const QString& knob : knobs)
      QVERIFY(window_->explorePage()
                  ->candidate()
                  ->codeView(CodeLevel::kTrace)
                  ->text()
                  .contains(u'"' + knob + u'"'));
  }

  void aCandidateForAmdsGpuHasTheTextsOfOne() {
    const CodeView* view = openForGpu(QStringLiteral("hip:gfx942"), CodeLevel::kCuda);
    QVERIFY2(view->text().contains("__global__") && !view->isMessage(), qPrintable(view->text()));
    QVERIFY2(titlesOfTabs().contains("HIP C++") && titlesOfTabs().contains("GCN assembly") &&
                 !titlesOfTabs().contains("CUDA C++") && !titlesOfTabs().contains("PTX"),
             qPrintable(titlesOfTabs().join(u' ')));
    // Beside one of NVIDIA's both are named.
    workspace().setSide(0, workspace().selectedRecord());
    const RecordTable& table = workspace().records().table();
    for (uint32_t i = 0; i < table.size(); ++i)
      if (table.seriesOf(table.at(i)).target.startsWith("cuda"))
        workspace().setSide(1, idText(database::Kind::kMeasurement, table.at(i).id));
    QVERIFY(actions().trigger("view.compare"));
    QVERIFY(waitFor([&] { return workspace().sideDetail(0) && workspace().sideDetail(1); }));
    const auto* levels = window_->comparePage()->findChild<QTabBar*>();
    QCOMPARE(levels->tabText(static_cast<int>(CodeLevel::kCuda)), "HIP C++, CUDA C++");
    // The editor has its knobs and texts, and says why it times nothing here.
    QVERIFY(actions().trigger("view.explore"));
    QVERIFY(actions().trigger("edit.record"));
    EditSession& edit = workspace().edit();
    QVERIFY(waitFor([&] { return edit.isOpen() && !edit.isWorking() && edit.hasKnobs(); }));
    QCOMPARE(edit.target(), "hip:gfx942");
    QCOMPARE(edit.knobs()[0].name, "bm");
    QVERIFY(!actions().trigger("code.llvm"));
    QVERIFY(actions().trigger("code.cuda"));
    const auto* page = window_->findChild<EditPage*>();
    QVERIFY(waitFor([&] { return page->programView()->text().contains("__global__"); }));
    const auto* tabs = page->findChild<QTabBar*>();
    QCOMPARE(tabs->tabText(tabs->currentIndex()), "HIP C++");
    QVERIFY(!tabs->isTabVisible(static_cast<int>(CodeLevel::kLlvm) - 1));
    // Another choice of a knob makes other code.
    QVERIFY(waitFor([&] { return edit.knobs().front().choices.size() > 1 && !edit.isWorking(); }));
    const QString before = page->programView()->text();
    const auto& choices = edit.knobs()[0].choices;
    for (size_t i = 0; i < choices.size(); ++i)
      if (!choices[i].current && !choices[i].trace.isEmpty()) {
        edit.takeKnob(0, static_cast<int>(i));
        break;
      }
    QVERIFY(waitFor([&] {
      return edit.history().rowCount() == 2 && !edit.isWorking() &&
             page->programView()->text().contains("__global__") &&
             page->programView()->text() != before;
    }));
    QSignalSpy said(&edit, &EditSession::said);
    edit.measure();
    QVERIFY(waitFor([&] { return !edit.isMeasuring() && !said.isEmpty(); }));
    QVERIFY2(said.last()[0].toString().contains("does not run here"),
             qPrintable(said.last()[0].toString()));
  }

  void commentsOverSeveralLinesAreOne() {
    CodeView view;
    view.setCode(QStringLiteral("int a; /* temper\nfor i in range(3):\n*/ int b; // c\nint d;\n"),
                 CodeLevel::kCuda);
    QCOMPARE(view.kindAt(0, 0), "keyword");
    QCOMPARE(view.kindAt(0, 8), "long comment");
    QCOMPARE(view.kindAt(1, 0), "long comment");
    QCOMPARE(view.kindAt(2, 3), "keyword");
    QCOMPARE(view.kindAt(2, 10), "comment");
    QCOMPARE(view.kindAt(3, 0), "keyword");
    // AMD's assembly has comments behind a semicolon, PTX ends statements with it.
    view.setCode(QStringLiteral("main: ; @main\n\ts_endpgm\n"), CodeLevel::kPtx);
    QCOMPARE(view.kindAt(0, 0), "label");
    QCOMPARE(view.kindAt(0, 8), "comment");
    QCOMPARE(view.kindAt(1, 1), "keyword");
    view.setCode(QStringLiteral("\tret;\n\tmbarrier.init.shared::cta.b64 [%r8], %r11;\n"),
                 CodeLevel::kPtx);
    QCOMPARE(view.kindAt(0, 4), "plain");
    QCOMPARE(view.kindAt(1, 1), "keyword");
  }

  void heatColumnsAreSwitched() {
    open();
    select(0);
    QTableView* table = window_->explorePage()->table();
    // Records that failed have none.
    const auto isHeated = [table] {
      for (int row = 0; row < table->model()->rowCount(); ++row)
        if (table->model()
                ->index(row, static_cast<int>(RecordColumn::kTime))
                .data(RecordModel::kHeatRole)
                .isValid())
          return true;
      return false;
    };
    CandidatePane* pane = window_->explorePage()->candidate();
    QVERIFY(actions().trigger("code.tir"));
    const CodeView* view = pane->codeView(CodeLevel::kTir);
    QVERIFY(waitFor([&] { return !view->heat().empty(); }));
    const bool hot = std::any_of(view->heat().begin(), view->heat().end(),
                                 [](const LineHeat& line) { return line.runs == 4096; });
    QVERIFY(hot);
    QVERIFY(waitFor(isHeated));
    QVERIFY(actions().action("view.heat")->isChecked());
    const QImage on = table->grab().toImage();
    QVERIFY(actions().trigger("view.heat"));
    QVERIFY(waitFor([&] { return !workspace().records().isBusy(); }));
    QVERIFY(!actions().action("view.heat")->isChecked());
    QVERIFY(!isHeated());
    QVERIFY(view->heat().empty());
    QVERIFY(table->grab().toImage() != on);
    QVERIFY(actions().trigger("view.heat"));
    QVERIFY(waitFor([&] { return !view->heat().empty(); }));
    // Machine code, through the program that it was made of.
    QVERIFY(actions().trigger("code.assembly"));
    QVERIFY(waitFor([&] { return !pane->codeView(CodeLevel::kAssembly)->heat().empty(); }));
  }

  void programsAreSearched() {
    open(5);
    QVERIFY(actions().trigger("record.filter"));
    window_->explorePage()->searchPrograms("sample_categorical");
    QVERIFY(waitFor(
        [&] { return !workspace().records().isBusy() && workspace().records().isRestricted(); }));
    QVERIFY(waitFor([&] { return workspace().records().rowCount() == 10; }));
    QCOMPARE(workspace().queryError(), "");
    QVERIFY2(actions().commandLineOf("record.searchPrograms").startsWith("temper list records "),
             qPrintable(actions().commandLineOf("record.searchPrograms")));
    window_->explorePage()->searchPrograms("say \"vectorize\" 'twice'");
    QVERIFY(waitFor([&] { return workspace().records().rowCount() == 0; }));
    QCOMPARE(workspace().queryError(), "");
    window_->explorePage()->searchPrograms("T.grid");
    QVERIFY(waitFor([&] { return workspace().records().rowCount() == 10; }));
  }

  void commandsAreCopiedAsCommandLines() {
    open();
    select(3);
    const QString id = workspace().selectedRecord(), database = workspace().database();
    actions().updateEnabled();
    const auto line = [&](const char* action) { return actions().commandLineOf(action); };
    const auto with = [&](const QString& words) { return "temper " + words + " --db " + database; };
    QCOMPARE(line("record.copyCommand"), with("show " + id));
    QVERIFY(actions().trigger("code.script"));
    QCOMPARE(line("record.copyCommand"), with("show " + id + " --script"));
    QCOMPARE(line("code.assembly"), with("show " + id + " --asm"));
    QCOMPARE(line("record.copyTune"), with("tune shift N=64 M=64 --target cpu:x86-64,-sse3"));
    QCOMPARE(line("record.copyCheck"), with("check shift N=64 M=64 --target cpu:x86-64,-sse3"));
    QCOMPARE(line("record.copyRerun"), with("rerun " + id));
    QCOMPARE(line("record.star"), with("tag star " + id));
    QVERIFY(actions().trigger("record.star"));
    QVERIFY(waitFor([&] { return line("record.star") == with("tag --remove star " + id); }));
    QVERIFY2(line("record.compareBest").startsWith("temper compare m"),
             qPrintable(line("record.compareBest")));
    QVERIFY(line("plot.parallel").startsWith("temper gui "));
    QVERIFY(line("plot.parallel").contains("plot=parallel"));
    // By the palette.
    QVERIFY(actions().trigger("palette.open"));
    CommandPalette* palette = window_->commandPalette();
    palette->field()->setText("rerun command");
    const auto* command = palette->findChild<QLabel*>("palette.command");
    QCOMPARE(command->toolTip(), line("record.copyRerun"));
    QCOMPARE(QString(command->text()).remove(QChar(0x200b)), line("record.copyRerun"));
    // A long one is broken where it may be, and all of it shows.
    palette->field()->setText("copy this view command");
    const QString shown = QString(command->text()).remove(QChar(0x200b));
    QVERIFY2(shown.startsWith("temper gui 'temper://open?") && !shown.contains(u'…'),
             qPrintable(shown));
    QVERIFY(command->fontMetrics()
                .boundingRect(QRect(0, 0, command->contentsRect().width() - 18, 1000),
                              Qt::TextWordWrap, command->text())
                .height() <= command->height());
    palette->field()->setText("rerun command");
    QTest::keyClick(palette->field(), Qt::Key_Return, Qt::ShiftModifier);
    QCOMPARE(QApplication::clipboard()->text(), line("record.copyRerun"));
    QVERIFY(!palette->isVisible());
    QVERIFY(window_->statusText().contains("rerun"));
    // The same by a command of its own.
    QVERIFY(actions().trigger("record.copyTune"));
    QCOMPARE(QApplication::clipboard()->text(), line("record.copyTune"));
    QVERIFY(actions().trigger("view.runs"));
    QVERIFY(waitFor([&] { return workspace().runDetail() != nullptr; }));
    actions().updateEnabled();
    QVERIFY2(line("run.more").startsWith("temper resume r") && line("run.more").contains("+200"),
             qPrintable(line("run.more")));
    QVERIFY2(line("run.new").startsWith("temper tune "), qPrintable(line("run.new")));
  }

  void aRunThatSomebodyElseDoesIsStoppedByAsking() {
    open(5);
    const auto store = fixture_->store();
    const database::Id run = fixture_->addRun(
        *store, must(store->list_workloads("scale")).front().workload.id, 3, false);
    QVERIFY(waitFor([&] { return workspace().runs().find(toQString(run)) != nullptr; }));
    workspace().selectRun(toQString(run));
    QVERIFY(actions().trigger("view.runs"));
    QVERIFY(waitFor([&] { return workspace().runDetail() != nullptr; }));
    actions().updateEnabled();
    const QString command = "temper stop " + toQString(run);
    QCOMPARE(actions().commandLineOf("run.stop"), command + " --db " + workspace().database());
    QCOMPARE(actions().commandLineOf("run.pause"),
             command + " --pause --db " + workspace().database());
    QVERIFY(waitFor([&] { return workspace().runDetail() != nullptr; }));
    QVERIFY(actions().trigger("run.stop"));
    QVERIFY(waitFor(
        [&] { return must(store->run(run)).requested == database::RequestedState::kStop; }));
    QPushButton* stop = window_->runsPage()->findChild<QPushButton*>("run.stop.button");
    QVERIFY(waitFor([&] { return !stop->isEnabled(); }));
    QCOMPARE(stop->text(), "Stopping…");
  }

  void draggingAlongAnAxisRestrictsTheTable() {
    open();
    select(0);
    QVERIFY(actions().trigger("plot.parallel"));
    PlotsPane* plots = window_->explorePage()->plots();
    ParallelPlot* plot = plots->parallel();
    QVERIFY(waitFor([&] {
      const auto data = workspace().analysis().data();
      return data && data->axes.size() == 2 && !plots->isBusy();
    }));
    const int x = plot->axisX(1);
    QTest::mousePress(plot, Qt::LeftButton, {}, {x, plot->yOf(1.f) - 4});
    QTest::mouseMove(plot, {x, plot->yOf(0.6f)});
    QTest::mouseRelease(plot, Qt::LeftButton, {}, {x, plot->yOf(0.6f)});
    QCOMPARE(workspace().analysis().brushes().size(), size_t{1});
    QVERIFY(waitFor([&] { return workspace().records().rowCount() < 40; }));
    QPushButton* clear = window_->findChild<QPushButton*>("plots.clearBrushes");
    QVERIFY(clear->isVisible());
    QTest::mouseClick(clear, Qt::LeftButton);
    QVERIFY(waitFor([&] { return workspace().records().rowCount() == 80; }));
    QVERIFY(!clear->isVisible());
    // The same by keys.
    plot->setFocus();
    QTest::keyClick(plot, Qt::Key_Right);
    QTest::keyClick(plot, Qt::Key_Down);
    QVERIFY(waitFor([&] { return workspace().records().rowCount() < 40; }));
    QTest::keyClick(plot, Qt::Key_Delete);
    QVERIFY(waitFor([&] { return workspace().records().rowCount() == 80; }));
    // Each plot is saved in each form that it has.
    for (const char* id : {"plot.parallel", "plot.predicted", "plot.roofline", "plot.importance",
                           "plot.calibration", "plot.errors"}) {
      QVERIFY(actions().trigger(id));
      QVERIFY(waitFor([&] { return !plots->isBusy(); }));
      for (const char* form : {"png", "svg", "csv"}) {
        QString problem;
        const QString file = fixture_->file("plot.") + QString::fromLatin1(form);
        QFile::remove(file);
        const bool isTable =
            (QByteArray(id) == "plot.importance" || QByteArray(id) == "plot.errors") &&
            QByteArray(form) != "csv";
        QCOMPARE(plots->exportTo(file, &problem), !isTable);
        QCOMPARE(QFile::exists(file), !isTable);
        QCOMPARE(problem.isEmpty(), !isTable);
      }
    }
    QString problem;
    QVERIFY(!plots->exportTo(fixture_->file("no/plot.csv"), &problem));
    QVERIFY2(problem.contains("no/plot.csv"), qPrintable(problem));
    QVERIFY(actions().trigger("plot.none"));
    QVERIFY(!plots->isVisible());
    QVERIFY(!actions().trigger("plot.save"));
  }

  void twoRecordsAreComparedSideBySide() {
    open();
    QVERIFY(!actions().trigger("record.compare"));
    select(0);
    QVERIFY(actions().trigger("record.compare"));
    select(21);
    QVERIFY(actions().trigger("record.compare"));
    QVERIFY(window_->perspective() == MainWindow::Perspective::kCompare);
    ComparePage* page = window_->comparePage();
    QVERIFY(waitFor([&] { return page->sentence().contains("slower"); }));
    QVERIFY(waitFor([&] { return !page->isLoading(); }));
    const QStringList texts{page->codeView(0)->text(), page->codeView(1)->text()};
    QVERIFY2(texts[0].contains("decision=3") && texts[1].contains("decision=2"),
             qPrintable(texts.join("\n---\n")));
    const auto* changes = page->findChild<QLabel*>("compare.changes");
    QVERIFY2(changes->isVisible() && changes->text().endsWith("SampleCategorical: 8 → 4"),
             qPrintable(changes->text()));
    const QString file = fixture_->file("comparison.html");
    QString problem;
    QVERIFY2(page->canSave() && page->saveTo(file, &problem), qPrintable(problem));
    QFile saved(file);
    QVERIFY(saved.open(QIODevice::ReadOnly));
    const QString html = QString::fromUtf8(saved.readAll());
    for (const char* words : {"slower", "SampleCategorical: 8 → 4", "decision=3", "decision=2"})
      QVERIFY2(html.contains(QString::fromUtf8(words)), words);
    QVERIFY(!page->saveTo(fixture_->file("no/folder/page.html"), &problem));
    QVERIFY2(problem.contains("no/folder/page.html"), qPrintable(problem));
    QVERIFY(actions().trigger("compare.next"));
    QVERIFY(actions().trigger("compare.swap"));
    QVERIFY(waitFor([&] { return page->sentence().contains("faster"); }));
    QVERIFY(actions().trigger("code.script"));
    QVERIFY(waitFor([&] { return !page->isLoading(); }));
  }

  void recordsAreStarredTaggedAndQueried() {
    open(5);
    select(0);
    QVERIFY(actions().trigger("record.star"));
    QLineEdit* tags = window_->explorePage()->candidate()->tagsField();
    QVERIFY(waitFor([&] { return tags->text() == "star"; }));
    QVERIFY(actions().trigger("record.tags"));
    QTest::keyClicks(tags, "good, odd");
    QTest::keyClick(tags, Qt::Key_Return);
    QVERIFY(waitFor([&] { return workspace().detail()->tags.size() == 2; }));
    QVERIFY(actions().trigger("record.query"));
    QLineEdit* query = window_->explorePage()->queryField();
    QTest::keyClicks(query, "tag = odd");
    QTest::keyClick(query, Qt::Key_Return);
    QVERIFY(waitFor([&] { return workspace().records().rowCount() == 1; }));
    QVERIFY(actions().trigger("edit.undo"));
    QVERIFY(waitFor([&] { return workspace().records().rowCount() == 0; }));
    QVERIFY(actions().trigger("record.clearFilter"));
    QVERIFY(waitFor([&] { return workspace().records().rowCount() == 10; }));
    QVERIFY(query->text().isEmpty());
    QLineEdit* note = window_->explorePage()->candidate()->noteField();
    QVERIFY(actions().trigger("record.note"));
    QTest::keyClicks(note, "look again");
    QTest::keyClick(note, Qt::Key_Return);
    QVERIFY(waitFor([&] { return workspace().detail()->notes.size() == 1; }));
  }

  void comparingWithTheBestPutsTheBestAtA() {
    open();
    select(5);
    QVERIFY(actions().trigger("record.compareBest"));
    QVERIFY(waitFor([&] { return workspace().sideDetail(0) && workspace().sideDetail(1); }));
    QCOMPARE(workspace().sideDetail(0)->row.sequence, 39);
    QCOMPARE(workspace().sideDetail(1)->row.sequence, 34);
  }

  void aScheduleIsEditedByKeys() {
    open(5);
    select(0);
    QVERIFY(actions().trigger("edit.record"));
    QVERIFY(waitFor([&] { return window_->perspective() == MainWindow::Perspective::kEdit; }));
    EditPage* page = window_->editPage();
    QVERIFY(waitFor([&] { return page->places()->count() == 4; }));
    const QString before = page->traceView()->text();
    page->places()->setFocus();
    for (int i = 0; i < 3; ++i)
      QTest::keyClick(page->places(), Qt::Key_Down);
    QTest::keyClick(page->places(), Qt::Key_Up);
    QVERIFY(waitFor([&] { return page->steps()->topLevelItemCount() > 3; }));
    const auto items = page->steps()->findItems("vectorize(", Qt::MatchStartsWith);
    QCOMPARE(items.size(), 1);
    // A step that is longer than its column goes on below: none is cut, however narrow it is.
    QTreeWidget* steps = page->steps();
    const QFontMetrics metrics(steps->font());
    const auto cutOrWrapped = [&](bool wrapped) {
      int count = 0;
      for (int i = 0; i < steps->topLevelItemCount(); ++i) {
        const QTreeWidgetItem* item = steps->topLevelItem(i);
        const bool isLong = metrics.horizontalAdvance(item->text(0)) > steps->columnWidth(0);
        const int lines = steps->visualItemRect(item).height() / metrics.height();
        count += isLong && (lines > 1) == wrapped ? 1 : 0;
      }
      return count;
    };
    window_->resize(1280, 720);
    QVERIFY(waitFor([&] { return cutOrWrapped(true) > 0 && cutOrWrapped(false) == 0; }));
    page->steps()->setCurrentItem(items.front());
    QVERIFY(actions().trigger("edit.apply"));
    QVERIFY(waitFor([&] { return page->programView()->text().contains("vectorized"); }));
    QVERIFY(page->traceView()->text().contains("sch.vectorize("));
    QVERIFY(actions().trigger("edit.undo"));
    QVERIFY(waitFor([&] { return page->traceView()->text() == before; }));
    QVERIFY(!actions().trigger("edit.undo"));
    // Typed, wrong, and put right again.
    auto* error = page->findChild<QLabel*>("edit.error");
    QTest::keyClicks(page->traceView()->focusProxy(), "(");
    QVERIFY(waitFor([&] { return error->isVisible(); }));
    QVERIFY2(error->text().contains("line 1"), qPrintable(error->text()));
    QVERIFY(!actions().trigger("edit.measure"));
    QTest::keyClick(page->traceView()->focusProxy(), Qt::Key_Backspace);
    QVERIFY(waitFor([&] { return !error->isVisible(); }));
    QCOMPARE(page->traceView()->text(), before);
    QVERIFY(actions().trigger("code.tir"));
    QVERIFY(waitFor([&] { return !page->programView()->text().contains("sblock"); }));
  }

  void theFormShowsTheEqualCommandLine() {
    open(2);
    QVERIFY(actions().trigger("run.new"));
    RunForm* form = window_->runsPage()->form();
    form->findChild<QLineEdit*>("runForm.parameters")->setText("M=64 N=64 K=64");
    form->findChild<QSpinBox*>("runForm.trials")->setValue(8);
    form->findChild<QComboBox*>("runForm.strategy")->setCurrentText("random");
    QVERIFY(!form->commandLine().contains("--target"));
    form->findChild<QComboBox*>("runForm.target")->setCurrentText("cuda:sm_90a");
    QVERIFY2(form->commandLine().contains("--target cuda:sm_90a"), qPrintable(form->commandLine()));
    form->findChild<QComboBox*>("runForm.target")->setCurrentText("native");
    QCOMPARE(form->commandLine(), "temper tune matmul M=64 N=64 K=64 --trials 8 --strategy random");
    QVERIFY(form->startButton()->isEnabled());
    form->findChild<QLineEdit*>("runForm.parameters")->setText("64");
    QVERIFY(!form->startButton()->isEnabled());
  }

  void theFormOffersTheWorkloadsThatTemperKnows() {
    open(2);
    QComboBox* names = window_->runsPage()->form()->findChild<QComboBox*>("runForm.workload");
    QVERIFY(waitFor([&] { return names->findText("softmax") >= 0; }));
    QLineEdit* shape = window_->runsPage()->form()->findChild<QLineEdit*>("runForm.parameters");
    QVERIFY(waitFor([&] { return shape->text().startsWith("M="); }));
  }

  void thePaletteFindsAndRunsCommands() {
    open(5);
    QVERIFY(actions().trigger("palette.open"));
    CommandPalette* palette = window_->commandPalette();
    QTest::keyClicks(palette->field(), "perspec runs");
    QTest::keyClicks(palette->field(), "");
    palette->field()->setText("runs view");
    QVERIFY(palette->shownIds().contains("view.runs"));
    QTest::keyClick(palette->field(), Qt::Key_Return);
    QVERIFY(waitFor([&] { return window_->perspective() == MainWindow::Perspective::kRuns; }));
    QVERIFY(!palette->isVisible());
    // An id goes to its record.
    QVERIFY(actions().trigger("palette.open"));
    const QString id = workspace().records().idAt(2);
    palette->field()->setText(id.left(10));
    QTest::keyClick(palette->field(), Qt::Key_Return);
    QVERIFY(waitFor([&] { return workspace().selectedRecord() == id; }));
    QVERIFY(window_->perspective() == MainWindow::Perspective::kExplore);
  }

  void withoutADatabaseTheWindowSaysWhatToDoFirst() {
    open(-1);
    QLabel* text = window_->findChild<QLabel*>("empty.text");
    QVERIFY(text->isVisible());
    QVERIFY2(text->text().contains("temper tune"), qPrintable(text->text()));
    QTest::mouseClick(window_->findChild<QPushButton*>("empty.start"), Qt::LeftButton);
    QVERIFY(window_->runsPage()->form()->isVisible());
  }

  void everyCommandRunsOrIsDisabled() {
    open();
    select(0);
    // Those that open a file dialog of the desktop or close the window are left out.
    const QStringList left{"database.open", "app.quit",        "run.savePlot", "run.resume",
                           "run.more",      "compare.measure", "edit.search",  "edit.measure",
                           "record.export", "compare.save",    "plot.save",    "record.saveSamples",
                           "edit.saveSweep"};
    int ran = 0;
    for (const char* perspective :
         {"view.explore", "view.runs", "view.compare", "view.edit", "view.library"}) {
      for (const QString& id : actions().ids()) {
        if (left.contains(id))
          continue;
        actions().trigger(QString::fromLatin1(perspective));
        const QString text = textOfNextBox([&] { ran += actions().trigger(id) ? 1 : 0; });
        if (id == "help.about")
          QVERIFY2(!text.isEmpty(), qPrintable(id));
        window_->commandPalette()->hide();
      }
    }
    QVERIFY2(ran > 60, qPrintable(QString::number(ran)));
    applyTheme(ThemeChoice::kLight);
  }

  void aCandidateThatNoLongerParsesIsSaidWhereItWouldShow() {
    open(2);
    const QString broken = fixture_->recordOf(R"([[["Splt",[],["B"],["b0"]]],[]])");
    QVERIFY(waitFor([&] { return workspace().records().rowOf(broken) >= 0; }));
    workspace().selectRecord(broken);
    QVERIFY(waitFor([&] { return workspace().detail() != nullptr; }));
    CandidatePane* pane = window_->explorePage()->candidate();
    for (const char* level : {"code.script", "code.tir", "code.llvm", "code.assembly"}) {
      QVERIFY(actions().trigger(QString::fromLatin1(level)));
      QVERIFY(waitFor([&] { return !pane->isLoadingCode(); }));
      const CodeView* view = nullptr;
      for (int i = 0; i < kCodeLevels; ++i)
        if (pane->codeView(static_cast<CodeLevel>(i))->isVisible())
          view = pane->codeView(static_cast<CodeLevel>(i));
      QVERIFY(view);
      QVERIFY2(view->isMessage() && view->text().contains("Splt"), qPrintable(view->text()));
    }
    QVERIFY(actions().trigger("edit.record"));
    QVERIFY(waitFor([&] { return window_->statusText().contains("Splt"); }));
    QVERIFY(window_->perspective() == MainWindow::Perspective::kExplore);
    // Beside a sound one: that side shows its text.
    workspace().setSide(0, broken);
    workspace().setSide(1, workspace().records().idAt(workspace().records().rowCount() - 1));
    QVERIFY(actions().trigger("view.compare"));
    QVERIFY(actions().trigger("code.script"));
    ComparePage* page = window_->comparePage();
    QVERIFY(waitFor([&] { return !page->isLoading() && page->codeView(0)->isMessage(); }));
    QVERIFY(!page->codeView(1)->isMessage());
  }

  void keysAreChangedInTheirDialog() {
    open(2);
    KeysDialog dialog(actions(), window_.get());
    QSignalSpy changed(&dialog, &KeysDialog::keysChanged);
    dialog.show();
    dialog.selectCommand("record.star");
    dialog.keys()->setKeySequence(QKeySequence("Ctrl+F5"));
    emit dialog.keys()->editingFinished();
    QCOMPARE(actions().action("record.star")->shortcut(), QKeySequence("Ctrl+F5"));
    QCOMPARE(changed.size(), 1);
    dialog.keys()->setKeySequence(QKeySequence("B")); // the baseline's
    emit dialog.keys()->editingFinished();
    QVERIFY2(dialog.problem().contains("Baseline"), qPrintable(dialog.problem()));
    QCOMPARE(actions().action("record.star")->shortcut(), QKeySequence("Ctrl+F5"));
    QCOMPARE(changed.size(), 1);
    QCOMPARE(actions().clashes(), QStringList());
    dialog.findChild<QLineEdit*>("keys.search")->setText("ctrl+f5");
    int shown = 0;
    for (int row = 0; row < dialog.list()->topLevelItemCount(); ++row)
      shown += dialog.list()->topLevelItem(row)->isHidden() ? 0 : 1;
    QCOMPARE(shown, 1);
  }

  void aLinkOpensTheSamePlaceAgain() {
    open();
    select(3);
    const QString record = workspace().selectedRecord();
    window_->explorePage()->filterField(RecordColumn::kOutcome)->setText("ok");
    window_->explorePage()->applyFilter();
    window_->explorePage()->table()->horizontalHeader()->setSortIndicator(
        static_cast<int>(RecordColumn::kTime), Qt::AscendingOrder);
    QVERIFY(actions().trigger("plot.importance"));
    QVERIFY(actions().trigger("code.script"));
    QVERIFY(actions().trigger("place.copy"));
    const QString link = QApplication::clipboard()->text();
    QVERIFY(PlaceLink::isLink(link));
    QVERIFY(actions().trigger("place.copyCommand"));
    QVERIFY(QApplication::clipboard()->text().startsWith("temper gui "));
    // Another window, which looks at something else.
    const Fixture other(2);
    window_ = std::make_unique<MainWindow>(other.path());
    window_->show();
    window_->openLink(link);
    QCOMPARE(workspace().database(), fixture_->path());
    QVERIFY(waitFor([&] { return workspace().detail() != nullptr; }));
    QCOMPARE(workspace().selectedRecord(), record);
    QVERIFY(waitFor([&] {
      return !workspace().isLoading() && !workspace().records().isBusy() &&
             workspace().records().rowCount() == 68;
    }));
    QCOMPARE(workspace().records().filter()[RecordColumn::kOutcome], "ok");
    QVERIFY(workspace().records().sortColumn() == RecordColumn::kTime);
    QVERIFY(window_->explorePage()->plots()->plot() == PlotsPane::Plot::kImportance);
    QCOMPARE(window_->explorePage()->candidate()->levelName(), "script");
    // Two sides and their level; runs; what is no link is said.
    QVERIFY(actions().trigger("record.sideA"));
    workspace().setSide(1, workspace().records().idAt(0));
    QVERIFY(actions().trigger("view.compare"));
    QVERIFY(actions().trigger("code.tir"));
    const PlaceLink compared = window_->place();
    QCOMPARE(compared.sides[0], record);
    QVERIFY(actions().trigger("view.runs"));
    workspace().swapSides();
    window_->goTo(compared);
    QVERIFY(window_->perspective() == MainWindow::Perspective::kCompare);
    QCOMPARE(workspace().side(0), record);
    QCOMPARE(window_->comparePage()->levelName(), "tir");
    window_->openLink("temper://open?view=moon");
    QVERIFY2(window_->statusText().contains("moon"), qPrintable(window_->statusText()));
  }

  void whatWasOpenIsOpenAgain() {
    open();
    select(2);
    const QString record = workspace().selectedRecord();
    window_->setRemembering(true);
    workspace().setSide(0, record);
    QVERIFY(actions().trigger("edit.record"));
    QVERIFY(waitFor([&] {
      return workspace().edit().isOpen() && !workspace().edit().isWorking() &&
             window_->perspective() == MainWindow::Perspective::kEdit;
    }));
    QVERIFY(!workspace().edit().decisions().empty());
    QVERIFY(actions().setKeys("record.star", QKeySequence("Ctrl+F5")).isEmpty());
    // It goes without a word, as one that is killed.
    QString file;
    {
      const KeptState kept(fixture_->path(), [] { return Json(); });
      file = kept.file();
      QVERIFY(waitFor([&] {
        return kept.read().value("selected", std::string()) == record.toStdString() &&
               kept.read().contains("edit") && kept.read()["edit"].is_object();
      }));
    }
    window_ = std::make_unique<MainWindow>(fixture_->path());
    window_->setRemembering(true);
    window_->show();
    QVERIFY(window_->perspective() == MainWindow::Perspective::kEdit);
    QCOMPARE(workspace().selectedRecord(), record);
    QCOMPARE(workspace().side(0), record);
    QVERIFY(workspace().edit().isOpen());
    QVERIFY(waitFor([&] { return !workspace().edit().text().isEmpty(); }));
    window_->setRemembering(false);
    QVERIFY(QFile::remove(file));
  }

  void whatLimitsARecordIsSaidWithAWayToTryIt() {
    open(2);
    const QString strided = fixture_->recordOf(
        R"([[["GetSBlock",[],["B","main"],["b0"]],["GetLoops",["b0"],[],["l1","l2"]],)"
        R"(["SamplePerfectTile",["l1"],[2,64],["v3","v4"]],["Split",["l1","v3","v4"],[1,0],)"
        R"(["l5","l6"]],["Reorder",["l2","l6"],[],[]]],[[2,[1,64]]]])");
    workspace().selectRecord(strided);
    QVERIFY(waitFor([&] { return workspace().detail() != nullptr; }));
    QVERIFY(actions().trigger("code.limits"));
    LimitsPane* pane = window_->explorePage()->candidate()->limits();
    QVERIFY(waitFor([&] { return pane->isVisible() && !pane->isBusy(); }));
    QPushButton* attempt = nullptr;
    for (QPushButton* button : pane->findChildren<QPushButton*>())
      if (button->isVisible() && button->text().startsWith("Try "))
        attempt = button;
    QVERIFY(attempt);
    QTest::mouseClick(attempt, Qt::LeftButton);
    QVERIFY(waitFor([&] {
      return window_->perspective() == MainWindow::Perspective::kEdit &&
             workspace().edit().history().rowCount() == 2;
    }));
    QCOMPARE(workspace().edit().history().currentRow(), 1);
  }

  void whatACommandNeedsIsLookedUpWhenItsKeysArePressed() {
    open(2);
    QAction* save = actions().action("record.saveQuery");
    QVERIFY(!save->isEnabled());
    window_->explorePage()->queryField()->setText("time < 2ms"); // typed, and nobody told
    QVERIFY(!save->isEnabled());
    QKeyEvent pressed(QEvent::ShortcutOverride, Qt::Key_F8, Qt::NoModifier);
    QApplication::sendEvent(window_->explorePage()->table(), &pressed);
    QVERIFY(save->isEnabled());
  }

  void noTwoCommandsShareAShortcutAndEachSaysWhatItDoes() {
    open(2);
    QCOMPARE(actions().clashes(), QStringList());
    for (const QString& id : actions().ids()) {
      QVERIFY2(!actions().action(id)->text().isEmpty(), qPrintable(id));
      QVERIFY2(!actions().action(id)->statusTip().isEmpty(), qPrintable(id));
    }
  }

  void everyControlHasANameForAScreenReader() {
    open(5);
    for (const char* perspective :
         {"view.explore", "view.runs", "view.compare", "view.edit", "view.library"}) {
      QVERIFY(actions().trigger(perspective));
      for (const QWidget* widget : window_->findChildren<QWidget*>()) {
        if (!widget->isVisible() || widget->focusPolicy() == Qt::NoFocus ||
            !(widget->focusPolicy() & Qt::TabFocus))
          continue;
        const auto* button = qobject_cast<const QAbstractButton*>(widget);
        const bool inner =
            widget->objectName().startsWith("qt_") || widget->focusProxy() ||
            (widget->parentWidget() && !widget->parentWidget()->accessibleName().isEmpty() &&
             widget->metaObject() == &QLineEdit::staticMetaObject);
        const bool named =
            !widget->accessibleName().isEmpty() || (button && !button->text().isEmpty()) || inner;
        QVERIFY2(named,
                 qPrintable(QStringLiteral("%1 %2 in %3")
                                .arg(QString::fromLatin1(widget->metaObject()->className()),
                                     widget->objectName(), QString::fromLatin1(perspective))));
      }
    }
  }

  void noTextOfAButtonOrLabelIsCut() {
    open(5);
    select(0);
    window_->resize(1280, 720);
    for (const char* perspective :
         {"view.explore", "view.runs", "view.compare", "view.edit", "view.library"}) {
      QVERIFY(actions().trigger(perspective));
      QApplication::processEvents(); // layouts
      for (const QWidget* widget : window_->findChildren<QWidget*>()) {
        const auto* label = qobject_cast<const QLabel*>(widget);
        const auto* button = qobject_cast<const QPushButton*>(widget);
        if (!widget->isVisible() || (!label && !button))
          continue;
        const QString text = label ? label->text() : button->text();
        if (text.isEmpty() || (label && label->wordWrap()))
          continue;
        QVERIFY2(widget->width() >= widget->minimumSizeHint().width() &&
                     widget->height() + 1 >= widget->minimumSizeHint().height(),
                 qPrintable(QStringLiteral("'%1' in %2").arg(text, perspective)));
      }
    }
  }

  void nothingLiesOverAnotherOrOutside() {
    open(5);
    select(0);
    workspace().toggleBaseline(workspace().selectedRecord());
    QVERIFY(waitFor([&] { return window_->markStrip()->isVisible(); }));
    for (const QSize size : {QSize(1280, 720), QSize(1920, 1080)}) {
      window_->resize(size);
      for (const char* perspective : kPerspectives) {
        QVERIFY(actions().trigger(perspective));
        QTest::qWait(20);
        const QList<QWidget*> controls = shownControls();
        for (QWidget* a : controls) {
          const QWidget* parent = a->parentWidget();
          // What scrolls may be larger than what shows of it.
          bool scrolls = a->objectName().startsWith("filter.");
          for (const QWidget* up = parent; up && !scrolls; up = up->parentWidget())
            scrolls = qobject_cast<const QAbstractScrollArea*>(up) != nullptr;
          if (!scrolls)
            QVERIFY2(window_->rect().contains(QRect(a->mapTo(window_.get(), QPoint()), a->size())),
                     qPrintable(QStringLiteral("%1 '%2' in %3")
                                    .arg(QString::fromLatin1(a->metaObject()->className()),
                                         a->objectName() + a->accessibleName(),
                                         QString::fromLatin1(perspective))));
          for (QWidget* b : controls)
            if (a < b && b->parentWidget() == parent)
              QVERIFY2(!a->geometry().intersects(b->geometry()),
                       qPrintable(QStringLiteral("%1 over %2 in %3")
                                      .arg(a->objectName() + a->accessibleName(),
                                           b->objectName() + b->accessibleName(),
                                           QString::fromLatin1(perspective))));
        }
      }
    }
  }

  void whatACellHasNoRoomForIsInItsTip() {
    open(2);
    QStandardItemModel model(1, 2);
    const QString text = QStringLiteral("split(l6, [None, 8]) and what is written behind it");
    model.setItem(0, 0, new QStandardItem(text));
    model.setItem(0, 1, new QStandardItem(QStringLiteral("8")));
    model.item(0, 1)->setToolTip(QStringLiteral("the number"));
    QTableView table;
    setUpTable(&table, QStringLiteral("t"), QStringLiteral("T"), &model);
    const auto* delegate = qobject_cast<TipDelegate*>(table.itemDelegate());
    QVERIFY(delegate);
    QStyleOptionViewItem option;
    option.initFrom(&table);
    option.widget = &table;
    QCOMPARE(delegate->tipOf(option, model.index(0, 0), 2000), QString());
    QCOMPARE(delegate->tipOf(option, model.index(0, 0), 60), text);
    QCOMPARE(delegate->tipOf(option, model.index(0, 1), 60), "the number");
    model.item(0, 0)->setToolTip(QStringLiteral("what was done"));
    QCOMPARE(delegate->tipOf(option, model.index(0, 0), 60), text + "\nwhat was done");
    model.item(0, 0)->setToolTip(QStringLiteral("step: ") + text); // says it already
    QCOMPARE(delegate->tipOf(option, model.index(0, 0), 60), "step: " + text);
    // Those of every list of the window are of this kind.
    for (const char* id : kPerspectives) {
      QVERIFY(actions().trigger(id));
      for (const QAbstractItemView* view : window_->findChildren<QAbstractItemView*>())
        if (qobject_cast<const QTableView*>(view))
          QVERIFY2(qobject_cast<TipDelegate*>(view->itemDelegate()),
                   qPrintable(view->objectName()));
    }
  }

  void titlesOfColumnsAndTabsAreNotCut() {
    open(5);
    select(0);
    workspace().toggleBaseline(workspace().selectedRecord());
    QVERIFY(waitFor([&] { return window_->markStrip()->isVisible(); }));
    window_->resize(1280, 720);
    for (const char* perspective : kPerspectives) {
      QVERIFY(actions().trigger(perspective));
      QTest::qWait(20);
      for (const QHeaderView* header : window_->findChildren<QHeaderView*>()) {
        if (!header->isVisible() || header->orientation() != Qt::Horizontal)
          continue;
        for (int i = 0; i < header->count(); ++i) {
          const QString title = header->model()->headerData(i, Qt::Horizontal).toString();
          if (!header->isSectionHidden(i))
            QVERIFY2(header->sectionSize(i) >=
                         header->fontMetrics().horizontalAdvance(title) + 18, // and its padding
                     qPrintable(QStringLiteral("'%1' of %2 in %3")
                                    .arg(title, header->parent()->objectName(),
                                         QString::fromLatin1(perspective))));
        }
      }
      for (const QTabBar* bar : window_->findChildren<QTabBar*>())
        if (bar->isVisible())
          for (int i = 0; i < bar->count(); ++i)
            QVERIFY2(!bar->isTabVisible(i) ||
                         (bar->rect().contains(bar->tabRect(i)) &&
                          bar->tabRect(i).width() >=
                              bar->fontMetrics().horizontalAdvance(bar->tabText(i)) + 4),
                     qPrintable(QStringLiteral("tab '%1' in %2")
                                    .arg(bar->tabText(i), QString::fromLatin1(perspective))));
    }
  }

  void theTabKeyReachesEveryControlInItsOrder() {
    open(5);
    select(0);
    window_->activateWindow();
    QVERIFY(QTest::qWaitForWindowActive(window_.get()));
    for (const char* perspective : kPerspectives) {
      QVERIFY(actions().trigger(perspective));
      QTest::qWait(20);
      QSet<QWidget*> reached;
      QWidget* start = window_->focusWidget();
      QVERIFY2(start, perspective);
      constexpr int kMost = 200;
      for (int i = 0; i < kMost && (i == 0 || window_->focusWidget() != start); ++i) {
        reached << window_->focusWidget();
        // Where Tab is typed, Ctrl+Tab leads out.
        QWidget* before = window_->focusWidget();
        QTest::keyClick(before, Qt::Key_Tab);
        if (window_->focusWidget() == before)
          QTest::keyClick(before, Qt::Key_Tab, Qt::ControlModifier);
        QVERIFY2(window_->focusWidget() != before,
                 qPrintable(QStringLiteral("nothing leads out of %1 in %2")
                                .arg(before->objectName(), QString::fromLatin1(perspective))));
      }
      for (QWidget* control : shownControls()) {
        if (!control->isEnabled() || !(control->focusPolicy() & Qt::TabFocus) ||
            control->focusProxy())
          continue;
        // The field of a box or of a spin box is the box.
        const bool found = reached.contains(control) || reached.contains(control->parentWidget());
        QVERIFY2(found, qPrintable(QStringLiteral("%1 '%2' in %3")
                                       .arg(QString::fromLatin1(control->metaObject()->className()),
                                            control->objectName() + control->accessibleName(),
                                            QString::fromLatin1(perspective))));
      }
    }
  }

  void aBaselineIsShownEverywhereAndPinsAreOneClickAway() {
    open();
    RecordModel& model = workspace().records();
    QTableView* table = window_->explorePage()->table();
    const auto ratio = static_cast<int>(RecordColumn::kRatio);
    QVERIFY(table->isColumnHidden(ratio));
    select(0);
    const QString first = workspace().selectedRecord();
    QVERIFY(actions().trigger("record.baseline"));
    QVERIFY(waitFor([&] { return workspace().isBaseline(first); }));
    QVERIFY(!table->isColumnHidden(ratio));
    QCOMPARE(model.index(model.rowOf(first), ratio).data().toString(), "baseline");
    QVERIFY(model.index(2, ratio).data().toString().startsWith("▼"));
    QVERIFY(window_->markStrip()->isVisible());
    QCOMPARE(window_->markStrip()->count(), 1);
    // Candidate.
    select(2);
    const QString second = workspace().selectedRecord();
    const auto candidateSays = [&](const QString& words) {
      for (const QLabel* label : window_->explorePage()->candidate()->findChildren<QLabel*>())
        if (label->text().contains(words))
          return true;
      return false;
    };
    QVERIFY(candidateSays("the time of the baseline"));
    QVERIFY(actions().trigger("record.pin"));
    QVERIFY(waitFor([&] { return window_->markStrip()->count() == 2; }));
    QVERIFY(candidateSays("◆\u00a0pinned")); // the sign stays with its word
    // Compare.
    QVERIFY(actions().trigger("record.compareBaseline"));
    QVERIFY(waitFor([&] { return workspace().sideDetail(0) && workspace().sideDetail(1); }));
    QCOMPARE(workspace().side(0), first);
    QCOMPARE(workspace().side(1), second);
    const auto compareSays = [&](const QString& words) {
      for (const QLabel* label : window_->comparePage()->findChildren<QLabel*>())
        if (label->text().contains(words))
          return true;
      return false;
    };
    QVERIFY(compareSays("▪ the baseline") && compareSays("× of the baseline"));
    // Runs: a column and a sentence.
    QVERIFY(actions().trigger("view.runs"));
    QVERIFY(waitFor([&] { return workspace().runDetail() != nullptr; }));
    QAbstractItemModel& runs = workspace().runs();
    QStringList ratios;
    for (int r = 0; r < runs.rowCount(); ++r)
      ratios << runs.index(r, RunModel::kRatio).data().toString();
    QVERIFY2(ratios.contains("baseline"), qPrintable(ratios.join(u'|')));
    // The strip leads back.
    QTest::mouseClick(window_->markStrip()->button(1), Qt::LeftButton);
    QVERIFY(window_->perspective() == MainWindow::Perspective::kExplore);
    QCOMPARE(workspace().selectedRecord(), second);
    QVERIFY(actions().trigger("edit.undo"));
    QVERIFY(waitFor([&] { return window_->markStrip()->count() == 1; }));
    QVERIFY(actions().trigger("edit.undo"));
    QVERIFY(waitFor([&] { return !window_->markStrip()->isVisible(); }));
    QVERIFY(table->isColumnHidden(ratio));
  }

  void whyOneIsFasterIsSaidOrWhyNot() {
    open();
    select(0);
    QVERIFY(actions().trigger("record.sideA"));
    select(21); // of the same candidates' kind, another decision
    QVERIFY(actions().trigger("record.sideB"));
    QVERIFY(actions().trigger("view.compare"));
    QVERIFY(actions().trigger("compare.why"));
    ComparePage* page = window_->comparePage();
    QVERIFY(waitFor([&] { return page->whyView()->isVisible() && !page->isLoading(); }));
    // The fixture's records are of a machine that there is not: decisions are known all the same.
    QStringList lines;
    for (QTreeWidgetItemIterator item(page->whyView()); *item; ++item)
      lines << (*item)->text(0) + u'|' + (*item)->text(1) + u'|' + (*item)->text(2);
    QVERIFY2(lines.contains("Decided otherwise||"), qPrintable(lines.join(u'\n')));
    QVERIFY2(lines.indexOf(QRegularExpression(".*SampleCategorical\\|8\\|4")) >= 0,
             qPrintable(lines.join(u'\n')));
    // B's decision, tried on A.
    QVERIFY(!actions().trigger("compare.try"));
    const QString first = workspace().side(0);
    page->whyView()->setCurrentItem(page->whyView()->topLevelItem(0)->child(0));
    QVERIFY(actions().trigger("compare.try"));
    QVERIFY(waitFor([&] {
      return workspace().edit().isOpen() && !workspace().edit().isWorking() &&
             workspace().edit().history().rowCount() == 2;
    }));
    QCOMPARE(workspace().edit().startRecord(), first);
    QCOMPARE(workspace().edit().decisions()[0].value, "4");
    QVERIFY(actions().trigger("view.compare"));
    // Different kernels are not compared.
    for (int row = 0; row < workspace().records().rowCount(); ++row)
      if (workspace().records().recordAt(row)->series !=
          workspace().records().recordAt(0)->series) {
        workspace().setSide(1, workspace().records().idAt(row));
        break;
      }
    QVERIFY(waitFor([&] {
      return !page->isLoading() && page->whyView()->topLevelItemCount() == 1 &&
             page->whyView()->topLevelItem(0)->text(0).contains("different things");
    }));
  }

  void textsCanBeReadOnTheirBackgrounds_data() {
    QTest::addColumn<int>("choice");
    QTest::newRow("light") << static_cast<int>(ThemeChoice::kLight);
    QTest::newRow("dark") << static_cast<int>(ThemeChoice::kDark);
  }

  void textsCanBeReadOnTheirBackgrounds() {
    QFETCH(int, choice);
    applyTheme(static_cast<ThemeChoice>(choice));
    const Theme& t = theme();
    const QPalette palette = t.palette();
    for (const QColor& background : {t.window, t.base, t.alternate})
      for (const QColor& text : {t.text, t.faint, t.accent})
        QVERIFY2(contrast(text, background) >= 4.5,
                 qPrintable(text.name() + " on " + background.name()));
    for (const QColor& background : {t.base, t.changedLine, t.addedLine})
      for (const QColor& text : {t.text, t.keyword, t.number, t.string, t.comment, t.label})
        QVERIFY2(contrast(text, background) >= 4.5,
                 qPrintable(text.name() + " on " + background.name()));
    QVERIFY(contrast(palette.color(QPalette::HighlightedText),
                     palette.color(QPalette::Highlight)) >= 4.5);
    QVERIFY(contrast(t.accentText, t.accent) >= 4.5);
    for (const double heat : {-1.0, -0.5, 0.5, 1.0})
      QVERIFY2(contrast(t.text, t.tint(heat)) >= 4.5, qPrintable(t.tint(heat).name()));
    QCOMPARE(t.tint(0), t.base);
    applyTheme(ThemeChoice::kLight);
  }
};

} // namespace temper::gui

QTEST_MAIN(temper::gui::WindowTest)
#include "window_test.moc"
