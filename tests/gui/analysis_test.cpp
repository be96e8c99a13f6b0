/// What the plots of Explore show, without widgets.
#include "tests/gui/fixture.h"

#include "gui/core/analysis.h"
#include "gui/core/calibration.h"
#include "gui/core/format.h"
#include "gui/core/importance_model.h"
#include "gui/core/model_errors.h"
#include "gui/core/plot_raster.h"
#include "gui/core/saved_queries.h"
#include "gui/core/workspace.h"
#include "ir/support/random.h"

#include <QAbstractItemModelTester>
#include <QGuiApplication>
#include <QSettings>
#include <QStandardPaths>
#include <QTest>

#include <cmath>

namespace temper::gui {

namespace {

/// Two steps that decide: a tile of two factors, and a category.
std::string program(int outer, int inner, int choice) {
  return R"([[["GetSBlock",[],["C","main"],["b0"]],["GetLoops",["b0"],[],["l1"]],)"
         R"(["SamplePerfectTile",["l1"],[2,64],["v2","v3"]],)"
         R"(["Split",["l1","v2","v3"],[1,0],["l4","l5"]],)"
         R"(["SampleCategorical",[],[[0,16,64],[0.3,0.3,0.4]],["v6"]],)"
         R"(["Annotate",["b0","v6"],["unroll"],[]],["EnterPostproc",[],[],[]]],)"
         R"([[2,[)" +
         std::to_string(outer) + "," + std::to_string(inner) + "]],[4," + std::to_string(choice) +
         "]]]";
}
/// Another sketch, which decides the category alone.
std::string otherProgram(int choice) {
  return R"([[["GetSBlock",[],["C","main"],["b0"]],)"
         R"(["SampleCategorical",[],[[0,16,64],[0.3,0.3,0.4]],["v1"]],)"
         R"(["Annotate",["b0","v1"],["unroll"],[]]],[[1,)" +
         std::to_string(choice) + "]]]";
}

const std::vector<float>& column(const DecisionTable& table, const char* name) {
  for (const DecisionTable::Column& column : table.columns)
    if (column.name == QString::fromUtf8(name))
      return column.values;
  qFatal("no column %s", name);
}

} // namespace

class AnalysisTest : public QObject {
  Q_OBJECT

private slots:
  void initTestCase() {
    QStandardPaths::setTestModeEnabled(true);
    QCoreApplication::setOrganizationName(QStringLiteral("temper"));
    QCoreApplication::setApplicationName(QStringLiteral("analysis_test"));
    QSettings().clear();
  }

  void decisionsAreColumnsNamedByTheLoopsThatTheyMake() {
    DecisionReader reader;
    reader.add(7, program(8, 16, 2), 0.5);
    reader.add(3, program(4, 32, 0), database::kUnknown);
    reader.add(5, otherProgram(1), 0.25);
    reader.add(9, "not a trace", 1);
    const auto table = reader.finish(QStringLiteral("w1"));
    QCOMPARE(table->records, (std::vector<uint64_t>{3, 5, 7}));
    QCOMPARE(table->rowOf(7), int64_t{2});
    QCOMPARE(table->rowOf(4), int64_t{-1});
    QCOMPARE(column(*table, "l1 → l4")[2], 8.f);
    QCOMPARE(column(*table, "l1 → l5")[0], 32.f);
    // What the other sketch does not decide is absent there; the category is one for both.
    QVERIFY(std::isnan(column(*table, "l1 → l4")[1]));
    QCOMPARE(column(*table, "annotate unroll"), (std::vector<float>{0.f, 16.f, 64.f}));
    QVERIFY(column(*table, "sketch")[0] != column(*table, "sketch")[1]);
    QCOMPARE(table->predicted[2], 0.5f);
    QVERIFY(std::isnan(table->predicted[0]));
  }

  void theHalvesOfAProgramAreFoundFromItsEnd() {
    const std::string text = program(8, 16, 2);
    const auto [instructions, decisions] = halvesOf(text);
    QCOMPARE(decisions, std::string_view("[[2,[8,16]],[4,2]]"));
    QVERIFY(instructions.starts_with("[[\"GetSBlock\"") && instructions.ends_with("]]"));
    QCOMPARE(halvesOf("[[],[]]").second, std::string_view("[]"));
    for (const char* broken : {"", "[]", "{\"a\":1}", "[[1],\"x\"]"})
      QVERIFY2(halvesOf(broken).first.empty(), broken);
  }

  void theFactorsOfATileAreOneDecision() {
    DecisionReader reader;
    reader.add(7, program(8, 16, 2), 0.5);
    reader.add(3, program(4, 32, 0), 0.5);
    reader.add(5, otherProgram(1), 0.25);
    const auto table = reader.finish(QStringLiteral("w1"));
    const auto decisionOf = [&](const char* name) {
      for (const DecisionTable::Column& column : table->columns)
        if (column.name == QString::fromUtf8(name))
          return column.decision;
      qFatal("no column %s", name);
    };
    QCOMPARE(decisionOf("l1 → l4"), decisionOf("l1 → l5"));
    QVERIFY(decisionOf("annotate unroll") != decisionOf("l1 → l4"));
    QVERIFY(decisionOf("sketch") != decisionOf("l1 → l4"));
    QVERIFY(decisionOf("sketch") != decisionOf("annotate unroll"));
  }

  void knobsAreDecisionsByTheirNamesAndWords() {
    const auto knobs = [](int rows, int variant) {
      return R"([[["SampleKnob",[],["block_M",[32,64,128]],[]],)"
             R"(["SampleKnob",[],["gemm.variant",["mma","wgmma"]],[]]],[[0,)" +
             std::to_string(rows) + "],[1," + std::to_string(variant) + "]]]";
    };
    // Another program of the kernel offers words in another order.
    const std::string other = R"([[["SampleKnob",[],["block_M",[32,64,128]],[]],)"
                              R"(["SampleKnob",[],["gemm.variant",["simt","wgmma"]],[]],)"
                              R"(["SampleKnob",[],["stages",[2,3]],[]]],[[0,1],[1,1],[2,1]]])";
    DecisionReader reader;
    reader.add(1, knobs(0, 0), 0.5);
    reader.add(2, knobs(2, 1), 0.5);
    reader.add(3, other, 0.5);
    const auto table = reader.finish(QStringLiteral("w1"));
    QCOMPARE(column(*table, "block_M"), (std::vector<float>{32, 128, 64}));
    const std::vector<float>& variant = column(*table, "gemm.variant");
    QStringList words;
    for (const DecisionTable::Column& of : table->columns)
      if (of.name == "gemm.variant")
        words = of.words;
    QCOMPARE(words[static_cast<int>(variant[0])], "mma");
    QCOMPARE(words[static_cast<int>(variant[1])], "wgmma");
    QCOMPARE(variant[2], variant[1]);
    QVERIFY(std::isnan(column(*table, "stages")[0]) && column(*table, "stages")[2] == 3);
    PlotAxis axis;
    axis.words = words;
    QCOMPARE(axis.textOf(variant[1]), "wgmma");
    QCOMPARE(axis.textOf(std::nan("")), "absent");
  }

  void whatTheTimeHangsOnIsImportant() {
    Random random(5);
    std::vector<std::vector<float>> columns(3);
    std::vector<double> ns;
    for (int i = 0; i < 400; ++i) {
      const auto tile = static_cast<float>(1 << random.below(5));
      // The second decides only where the tile is large, else it is absent.
      const float factor =
          tile > 4 ? static_cast<float>(random.below(4)) : std::numeric_limits<float>::quiet_NaN();
      columns[0].push_back(tile);
      columns[1].push_back(factor);
      columns[2].push_back(static_cast<float>(random.below(6))); // tells nothing
      ns.push_back((1000.0 / tile) * (std::isnan(factor) ? 2 : 1 + 0.2 * double(factor)) *
                   (1 + 0.02 * random.uniform()));
    }
    ns[3] = database::kUnknown;
    const std::vector<size_t> each{0, 1, 2};
    const ImportanceResult result = importanceOf(columns, each, ns);
    QCOMPARE(result.candidates, int64_t{399});
    QVERIFY2(result.explained > 0.9, qPrintable(QString::number(result.explained)));
    QCOMPARE(result.decisions[0].columns, (std::vector<size_t>{0}));
    QCOMPARE(result.decisions[1].columns, (std::vector<size_t>{1}));
    QVERIFY(result.decisions[1].shapley > 0.1);
    QVERIFY(std::abs(result.decisions[2].shapley) < 0.02);
    QVERIFY(result.decisions[2].shuffled < 0.02);
    QVERIFY(result.decisions[2].alone < 0.1);
    QCOMPARE(result.decisions[0].best, (std::vector<double>{16.0}));
    QVERIFY(result.decisions[0].bestNs < result.decisions[0].otherNs);
    const ImportanceResult again = importanceOf(columns, each, ns);
    QCOMPARE(again.decisions[0].shapley, result.decisions[0].shapley);
    QVERIFY(importanceOf(columns, each, std::vector<double>(3, 1.0)).decisions.empty());
  }

  void importancesAreShapleyValuesOfTheVarianceThatIsExplained() {
    // Independent decisions that add up: each explains its own variance, 9 : 4 : 1.
    Random random(3);
    std::vector<std::vector<float>> columns(4);
    std::vector<double> ns;
    for (int i = 0; i < 2000; ++i) {
      double log = 8;
      for (size_t c = 0; c < 4; ++c) {
        columns[c].push_back(static_cast<float>(random.below(2)));
        log += (c < 3 ? 0.3 - 0.1 * static_cast<double>(c) : 0) * columns[c].back();
      }
      ns.push_back(std::exp(log));
    }
    ImportanceResult result = importanceOf(columns, std::vector<size_t>{0, 1, 2, 3}, ns);
    const auto close = [](double value, double expected) {
      return std::abs(value - expected) < 0.04;
    };
    double sum = 0;
    for (const Importance& importance : result.decisions)
      sum += importance.shapley;
    QVERIFY2(close(sum, result.explained), qPrintable(QString::number(sum)));
    const double parts[] = {9. / 14, 4. / 14, 1. / 14, 0};
    for (size_t c = 0; c < 4; ++c) {
      QCOMPARE(result.decisions[c].columns, (std::vector<size_t>{c}));
      QVERIFY2(close(result.decisions[c].shapley, parts[c]),
               qPrintable(QString::number(result.decisions[c].shapley)));
    }
    // Two that matter only together: alone they say nothing, and each has half.
    for (size_t i = 0; i < ns.size(); ++i)
      ns[i] = columns[0][i] != columns[1][i] ? 2000 : 1000;
    result = importanceOf(columns, std::vector<size_t>{0, 1, 2, 3}, ns);
    for (size_t c = 0; c < 2; ++c) {
      QVERIFY(result.decisions[c].columns[0] < 2);
      QVERIFY(result.decisions[c].alone < 0.02);
      QVERIFY2(close(result.decisions[c].shapley, result.explained / 2),
               qPrintable(QString::number(result.decisions[c].shapley)));
    }
    // As factors of one decision they have all of it, and stand below it.
    result = importanceOf(columns, std::vector<size_t>{5, 5, 7, 8}, ns);
    QCOMPARE(result.decisions.size(), size_t{5});
    QCOMPARE(result.decisions[0].columns, (std::vector<size_t>{0, 1}));
    QVERIFY2(result.decisions[0].shapley > 0.95 && result.decisions[0].alone > 0.95,
             qPrintable(QString::number(result.decisions[0].shapley)));
    QCOMPARE(result.decisions[0].best.size(), size_t{2});
    QVERIFY(result.decisions[0].best[0] == result.decisions[0].best[1]);
    QCOMPARE(result.decisions[0].bestNs, 1000.0);
    QCOMPARE(result.decisions[0].otherNs, 2000.0);
    for (size_t i = 1; i <= 2; ++i)
      QVERIFY(result.decisions[i].isFactor && result.decisions[i].columns[0] == i - 1);
    QVERIFY(!result.decisions[3].isFactor);
  }

  void aTileStandsAboveItsFactorsInTheTable() {
    Fixture fixture(2);
    const auto store = fixture.store();
    database::Run run = must(store->run(must(store->list_runs({})).front().id));
    run.workload = must(store->list_workloads("scale")).front().workload.id;
    run.seed = 77;
    run.started_at += 1'000'000'000;
    run.id.clear();
    const database::RunClaim claim = must(store->claim_run(must(store->create_run(run))));
    for (int i = 0; i < 60; ++i) {
      const int inner = 1 << (i % 6);
      database::Trial trial;
      trial.candidate.workload = run.workload;
      trial.candidate.kind = "trace";
      trial.candidate.program = program(128 / inner, inner, i / 6 % 3);
      trial.measurement.sequence = i;
      trial.measurement.outcome = database::Outcome::kOk;
      trial.measurement.median_ns = trial.measurement.low_ns = trial.measurement.high_ns =
          10'000.0 / inner + i % 7;
      trial.measurement.environment = run.environment;
      trial.measurement.toolchain = run.toolchain;
      must(store->record(claim, trial, {}));
    }
    must(store->release_run(claim, database::RunState::kFinished, "enough trials"));
    // What decides nothing explains nothing, however slow it is.
    database::Measurement untuned;
    untuned.environment = run.environment;
    untuned.toolchain = run.toolchain;
    fixture.recordOf("[[],[]]", "cpu:x86-64,-sse3", untuned);
    Workspace workspace(fixture.path());
    QVERIFY(waitFor([&] { return workspace.records().rowCount() == 65; }));
    ImportanceModel model(workspace.analysis());
    const QAbstractItemModelTester tester(&model,
                                          QAbstractItemModelTester::FailureReportingMode::QtTest);
    workspace.analysis().want(Analysis::View::kImportance);
    QVERIFY(waitFor([&] { return model.rowCount() >= 4; }));
    int tile = 0;
    while (tile < model.rowCount() &&
           model.index(tile, ImportanceModel::kDecision).data().toString() != "l1 → l4, l5")
      ++tile;
    QVERIFY2(tile < model.rowCount(), qPrintable(model.csv()));
    QCOMPARE(model.index(tile, ImportanceModel::kBest).data().toString(), "4, 32");
    QVERIFY2(model.sentence().contains("1 record that decided nothing"),
             qPrintable(model.sentence()));
    QVERIFY(
        model.index(tile, ImportanceModel::kShapley).data(ImportanceModel::kBarRole).toDouble() >
        0.5);
    QCOMPARE(model.index(tile + 1, ImportanceModel::kDecision).data().toString().trimmed(),
             "l1 → l4");
    QVERIFY(!model.index(tile + 1, ImportanceModel::kShapley).data().isValid());
    QCOMPARE(model.index(tile + 1, ImportanceModel::kBest).data().toString(), "4");
    // Enter on the tile restricts both of its axes.
    const auto best = model.bestOf(tile);
    QCOMPARE(best.size(), size_t{2});
    QCOMPARE(best[0].first, "l1 → l4");
    QVERIFY(model.csv().contains("\"l1 → l5\",\"l1 → l4, l5\","));
  }

  void aLineIsDrawnFromAxisToAxisAndABrushedOneIsGrey() {
    ParallelLines lines;
    lines.heights = {{10, 90}, {90, 90}};
    lines.tones = {0.f, 1.f};
    const QColor grey(128, 128, 128);
    const QImage image = paintParallel(lines, {100, 100}, {0, 99}, grey, false);
    for (int x = 2; x < 97; x += 5) {
      const int y = 10 + 80 * x / 99;
      QVERIFY2(qAlpha(image.pixel(x, y)) > 100 || qAlpha(image.pixel(x, y + 1)) > 100,
               qPrintable(QString::number(x)));
      QVERIFY(qAlpha(image.pixel(x, 90)) > 100);
      QCOMPARE(qAlpha(image.pixel(x, 96)), 0);
    }
    lines.on = {1, 0};
    const QImage brushed = paintParallel(lines, {100, 100}, {0, 99}, grey, false);
    const QColor off = QColor::fromRgba(qUnpremultiply(brushed.pixel(20, 90)));
    QVERIFY(qAbs(off.red() - off.blue()) < 6);
    const QColor on = brushed.pixelColor(50, 50);
    QVERIFY(qAbs(on.red() - on.blue()) > 10);
  }

  void whatIsBrushedRestrictsTheTableAndNotThePlot() {
    const Fixture fixture(40);
    Workspace workspace(fixture.path());
    QVERIFY(waitFor([&] { return workspace.records().rowCount() == 80; }));
    Analysis& analysis = workspace.analysis();
    workspace.selectRecord(workspace.records().idAt(0));
    analysis.want(Analysis::View::kDecisions);
    QVERIFY(waitFor([&] {
      return analysis.data() && !analysis.isBusy() && analysis.data()->axes.size() == 2;
    }));
    const auto data = analysis.data();
    QCOMPARE(data->records.size(), size_t{40}); // one workload's alone
    QCOMPARE(data->failed, int64_t{6});
    QCOMPARE(data->axes[0].ticks.size(), size_t{4});
    QCOMPARE(data->axes[1].kind, PlotAxis::Kind::kTime);
    QVERIFY(data->axes[1].hasAbsent);
    QCOMPARE(analysis.choices().size(), size_t{2});

    analysis.brush(QStringLiteral("time"), 0.5f, 1.f);
    QVERIFY(waitFor([&] { return workspace.records().rowCount() < 40; }));
    const int fast = workspace.records().rowCount();
    QCOMPARE(std::count(analysis.on()->begin(), analysis.on()->end(), uint8_t{1}), fast);
    QVERIFY(fast > 0);
    analysis.brush(data->axes[0].name, -0.01f, 0.01f); // candidates 1
    QVERIFY(waitFor([&] { return workspace.records().rowCount() < fast; }));
    QCOMPARE(analysis.data()->records.size(), size_t{40});
    // A filter restricts both.
    FilterText texts;
    texts[RecordColumn::kOutcome] = QStringLiteral("ok");
    workspace.records().setFilter(texts);
    QVERIFY(waitFor([&] { return analysis.data()->records.size() == 34; }));
    analysis.clearBrushes();
    QVERIFY(waitFor([&] { return workspace.records().rowCount() == 68; }));
    // Failures alone: the row of what has no time.
    workspace.records().setFilter({});
    QVERIFY(waitFor([&] { return analysis.data()->records.size() == 40; }));
    analysis.brush(QStringLiteral("time"), -0.2f, -0.01f);
    QVERIFY(waitFor([&] { return workspace.records().rowCount() == 6; }));
    // Another kernel has other lines: what was brushed is gone.
    analysis.choose(static_cast<int>(analysis.choices()[0].series) == analysis.series()
                        ? static_cast<int>(analysis.choices()[1].series)
                        : static_cast<int>(analysis.choices()[0].series));
    QVERIFY(waitFor([&] { return workspace.records().rowCount() == 80; }));
  }

  void aWellCalibratedModelMakesADiagonal() {
    Random random(7);
    std::vector<double> scores, ns;
    for (int i = 0; i < 400; ++i) {
      const double score = 0.2 + 0.8 * random.uniform();
      scores.push_back(score);
      ns.push_back(1000 / score);
    }
    scores.push_back(1); // the fastest
    ns.push_back(1000);
    scores.push_back(database::kUnknown); // nothing was predicted of it
    ns.push_back(5000);
    const Calibration good = calibrationOf(scores, ns);
    QCOMPARE(good.predictions, int64_t{401});
    QCOMPARE(good.bins.size(), size_t{10});
    QVERIFY2(good.error < 1e-6 && std::abs(good.bias) < 1e-6,
             qPrintable(QString::number(good.error)));
    int64_t all = 0;
    for (size_t i = 0; i < good.bins.size(); ++i) {
      const CalibrationBin& bin = good.bins[i];
      all += bin.count;
      QVERIFY(bin.lowScore <= bin.predicted && bin.predicted <= bin.highScore);
      QVERIFY(bin.lowQuarter <= bin.measured && bin.measured <= bin.highQuarter);
      QVERIFY(i == 0 || bin.lowScore >= good.bins[i - 1].highScore);
    }
    QCOMPARE(all, good.predictions);
    // One that hopes for a tenth too much everywhere.
    std::vector<double> high(scores);
    for (double& score : high)
      score += 0.1;
    QVERIFY(std::abs(calibrationOf(high, ns).bias - 0.1) < 1e-6);
    QVERIFY(std::abs(calibrationOf(high, ns).error - 0.1) < 1e-6);
    // Failures count as 0; a part is held against the fastest of all.
    ns[0] = database::kUnknown;
    QCOMPARE(calibrationOf(scores, ns).failed, int64_t{1});
    QVERIFY(calibrationOf(scores, ns).bias > 0);
    std::vector<uint8_t> only(scores.size(), 0);
    for (size_t i = 1; i < 21; ++i)
      only[i] = 1;
    const Calibration part = calibrationOf(scores, ns, only);
    QCOMPARE(part.predictions, int64_t{20});
    QCOMPARE(part.bins.size(), size_t{4});
    QVERIFY(part.error < 1e-6);
    // Too few for groups.
    QVERIFY(calibrationOf(std::vector<double>(9, 0.5), std::vector<double>(9, 10)).bins.empty());
  }

  void whereTheModelIsWrongIsFoundByWhatWasDecided() {
    Random random(11);
    std::vector<std::vector<float>> columns(4);
    std::vector<double> scores, ns;
    for (int i = 0; i < 300; ++i) {
      const auto tile = static_cast<float>(1 << random.below(5));
      const bool deep = tile > 4;
      const float absent = std::numeric_limits<float>::quiet_NaN();
      columns[0].push_back(tile);
      // Two decisions that only large tiles leave open: absent together.
      columns[1].push_back(deep ? static_cast<float>(random.below(3)) : absent);
      columns[2].push_back(deep ? static_cast<float>(random.below(3)) : absent);
      columns[3].push_back(static_cast<float>(random.below(6))); // tells nothing
      const double speed = 0.2 + 0.7 * random.uniform();
      ns.push_back(1000 / speed);
      // It hopes for too much of tiles of 8.
      scores.push_back(speed + 0.02 * random.normal() + (tile == 8 ? 0.3 : 0));
    }
    ns.push_back(1000); // the fastest; nothing was predicted of it
    scores.push_back(database::kUnknown);
    for (std::vector<float>& column : columns)
      column.push_back(1);
    const ModelErrors errors = modelErrorsOf(columns, scores, ns);
    QCOMPARE(errors.records.size(), size_t{300});
    for (size_t i = 1; i < errors.records.size(); ++i)
      QVERIFY(std::abs(errors.records[i].error) <= std::abs(errors.records[i - 1].error));
    QCOMPARE(columns[0][errors.records[0].row], 8.f);
    QVERIFY(!errors.shared.empty());
    QCOMPARE(errors.shared[0].column, size_t{0});
    QCOMPARE(errors.shared[0].value, 8.f);
    QCOMPARE(errors.shared[0].count, std::count(columns[0].begin(), columns[0].end(), 8.f));
    QVERIFY2(std::abs(errors.shared[0].error - 0.3) < 0.02 &&
                 std::abs(errors.shared[0].others) < 0.02 && errors.shared[0].share > 0.9,
             qPrintable(QString::number(errors.shared[0].error)));
    int absent = 0;
    for (const SharedError& shared : errors.shared) {
      QVERIFY(shared.column != 3);
      if (std::isnan(shared.value)) {
        ++absent;
        QCOMPARE(shared.alike, 1); // told once, of two
        QVERIFY(shared.error < shared.others);
      }
    }
    QCOMPARE(absent, 1);
    // A failure has speed 0; where nothing is missed otherwise than the rest, nothing is told.
    ns[5] = database::kUnknown;
    QCOMPARE(modelErrorsOf(columns, scores, ns).failed, int64_t{1});
    for (double& score : scores)
      score = 0.5 + 0.1 * random.normal();
    for (size_t i = 0; i < scores.size(); ++i)
      ns[i] = 1000 / (0.3 + 0.6 * random.uniform());
    QCOMPARE(modelErrorsOf(columns, scores, ns).shared.size(), size_t{0});
    QVERIFY(modelErrorsOf(columns, scores, std::vector<double>(ns.size(), -1)).records.empty());
  }

  void laterPredictionsOfARunAreToldFromEarlierOnes() {
    Fixture fixture(2);
    const auto store = fixture.store();
    database::Run run = must(store->run(must(store->list_runs({})).front().id));
    run.seed = 99;
    run.started_at += 1'000'000'000;
    run.id.clear();
    const database::Id id = must(store->create_run(run));
    const database::RunClaim claim = must(store->claim_run(id));
    for (int i = 0; i < 50; ++i) // a first batch is predicted by nobody
      fixture.record(*store, claim, run, i, i < 10 ? database::kUnknown : 0.02 * i);
    must(store->release_run(claim, database::RunState::kFinished, "enough"));
    Workspace workspace(fixture.path());
    QVERIFY(waitFor([&] { return workspace.records().rowCount() == 54; }));
    workspace.selectRecord(workspace.records().idAt(0));
    Analysis& analysis = workspace.analysis();
    analysis.want(Analysis::View::kDecisions);
    QVERIFY(waitFor([&] {
      return analysis.data() && !analysis.isBusy() && analysis.data()->axes.size() == 3;
    }));
    const auto data = analysis.data();
    int early = 0, late = 0;
    for (size_t i = 0; i < data->records.size(); ++i)
      if (!std::isnan(data->predicted[i]))
        ++(data->late[i] ? late : early);
    QCOMPARE(early, 20);
    QCOMPARE(late, 20);
  }

  void importanceIsATable() {
    const Fixture fixture(40);
    Workspace workspace(fixture.path());
    QVERIFY(waitFor([&] { return workspace.records().rowCount() == 80; }));
    ImportanceModel model(workspace.analysis());
    const QAbstractItemModelTester tester(&model,
                                          QAbstractItemModelTester::FailureReportingMode::QtTest);
    workspace.analysis().want(Analysis::View::kImportance);
    QVERIFY(waitFor([&] { return model.rowCount() == 1; }));
    QCOMPARE(model.index(0, ImportanceModel::kDecision).data().toString(), "SampleCategorical");
    // The fixture's times fall from trial to trial, whatever is decided.
    QVERIFY(model.index(0, ImportanceModel::kAlone).data(ImportanceModel::kBarRole).toDouble() <
            0.1);
    QVERIFY2(model.sentence().contains("34 records") && model.sentence().contains("6 records"),
             qPrintable(model.sentence()));
    QCOMPARE(model.bestOf(0).size(), size_t{1});
    QVERIFY(model.csv().contains("\"SampleCategorical\","));
  }

  void theRooflineNeedsOperationsAndBytes() {
    const Fixture fixture(5);
    Workspace workspace(fixture.path());
    QVERIFY(waitFor([&] { return workspace.records().rowCount() == 10; }));
    Analysis& analysis = workspace.analysis();
    analysis.want(Analysis::View::kRoofline);
    QVERIFY(waitFor([&] { return analysis.roofline() != nullptr; }));
    QCOMPARE(analysis.roofline()->kernels.size(), size_t{2});
    QCOMPARE(analysis.roofline()->records.size(), size_t{8}); // two of ten failed
    QCOMPARE(analysis.roofline()->kernels[0].intensity, 0.25);
    QVERIFY(waitFor([&] { return analysis.machine().has_value(); }));
    QVERIFY(analysis.machine()->flops > 1e8);
    QVERIFY(analysis.machine()->levels.size() > 1);
  }

  void queriesAreKeptUnderTheirNames() {
    SavedQuery query{QStringLiteral(" slow ones "), QStringLiteral("time > 2ms"), {}};
    query.filter[RecordColumn::kWorkload] = QStringLiteral("matmul|conv");
    {
      SavedQueries queries;
      QVERIFY(queries.save(query));
      QVERIFY(queries.save({QStringLiteral("crashes"), QStringLiteral("outcome = crashed"), {}}));
      QVERIFY(!queries.save({QStringLiteral("  "), QStringLiteral("x"), {}}));
    }
    SavedQueries queries;
    QCOMPARE(queries.all().size(), size_t{2});
    QCOMPARE(queries.all()[0].name, "crashes");
    const SavedQuery* found = queries.find(QStringLiteral("slow ones"));
    QVERIFY(found);
    QCOMPARE(found->query, query.query);
    QVERIFY(found->filter == query.filter);
    queries.remove(QStringLiteral("slow ones"));
    QCOMPARE(SavedQueries().all().size(), size_t{1});
  }
};

} // namespace temper::gui

QTEST_GUILESS_MAIN(temper::gui::AnalysisTest)
#include "analysis_test.moc"
