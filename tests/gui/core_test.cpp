/// The parts of temper-gui without widgets.
#include "tests/gui/fixture.h"

#include "gui/core/actions.h"
#include "gui/core/comparison_html.h"
#include "gui/core/counters.h"
#include "gui/core/database_address.h"
#include "gui/core/diff.h"
#include "gui/core/edit_session.h"
#include "gui/core/format.h"
#include "gui/core/kept_state.h"
#include "gui/core/library_model.h"
#include "gui/core/limits.h"
#include "gui/core/line_heat.h"
#include "gui/core/line_links.h"
#include "gui/core/place_link.h"
#include "gui/core/record_detail.h"
#include "gui/core/record_model.h"
#include "gui/core/run_model.h"
#include "gui/core/side_facts.h"
#include "gui/core/store_client.h"
#include "gui/core/temper_program.h"
#include "gui/core/text_search.h"
#include "gui/core/trace_changes.h"
#include "gui/core/why_faster.h"
#include "gui/core/workspace.h"
#include "ir/support/random.h"

#include <QAbstractItemModelTester>
#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QGuiApplication>
#include <QMap>
#include <QProcess>
#include <QRegularExpression>
#include <QScopeGuard>
#include <QSignalSpy>
#include <QTest>
#include <QThreadPool>

#include <cmath>
#include <numeric>
#include <set>
#include <unistd.h>

namespace temper::gui {

namespace {

database::RecordRow row(int i, const char* workload = "w1", double ns = 1000) {
  database::RecordRow row;
  row.id = database::make_id(database::Kind::kMeasurement, static_cast<uint64_t>(i) + 1);
  row.run = "r00000000000000aa";
  row.candidate = "c00000000000000bb";
  row.workload = workload;
  row.workload_name = std::string("name_") + workload;
  row.binding_json = R"({"K":8,"M":512})";
  row.target = "cpu:znver4,-sse3";
  row.environment_class = "cpu:znver4/2";
  row.toolchain = "t0000000000000001";
  row.median_ns = ns;
  row.low_ns = 0.99 * ns;
  row.high_ns = 1.01 * ns;
  row.flops = 1e6;
  row.measured_at = 1'000'000'000'000'000 + i * 1'000'000'000LL;
  return row;
}

QString printed(const QAbstractItemModel& model, int columns) {
  QString text;
  for (int r = 0; r < model.rowCount(); ++r) {
    QStringList cells;
    for (int c = 0; c < columns; ++c)
      cells << model.index(r, c).data().toString();
    text += cells.join(u'|') + u'\n';
  }
  return text;
}

} // namespace

class CoreTest : public QObject {
  Q_OBJECT

  static FilterText filter(RecordColumn column, const QString& text) {
    FilterText texts;
    texts[column] = text;
    return texts;
  }

private slots:
  void timesInFiltersAreReadWithTheirUnits() {
    QCOMPARE(parseTime("50us").value(), 50e3);
    QCOMPARE(parseTime("50 µs").value(), 50e3);
    QCOMPARE(parseTime("1.5ms").value(), 1.5e6);
    QCOMPARE(parseTime("2 s").value(), 2e9);
    QCOMPARE(parseTime("20").value(), 20.0);
    QVERIFY(!parseTime("fast").has_value());
    QVERIFY(!parseTime("5 minutes").has_value());
  }

  void aPackedRecordShowsWhatTheRowSaid() {
    RecordPacker packer;
    packer.setParameters("w1", R"(["M","K"])");
    RecordTable table;
    table.append(packer.pack({row(1)}));
    QCOMPARE(table.size(), 1u);
    const PackedRecord& record = table.at(0);
    QCOMPARE(cellText(table, record, RecordColumn::kRecord), "m0000000");
    QCOMPARE(idText(database::Kind::kMeasurement, record.id), "m0000000000000002");
    QCOMPARE(idDigits("m0000000000000002"), record.id);
    QCOMPARE(cellText(table, record, RecordColumn::kWorkload), "name_w1 M=512 K=8");
    QCOMPARE(cellText(table, record, RecordColumn::kTime), "1.00 µs");
    QCOMPARE(cellText(table, record, RecordColumn::kInterval), "±1.0 %");
    QCOMPARE(cellText(table, record, RecordColumn::kRate), "1000.0 GFLOP/s");
    QCOMPARE(cellText(table, record, RecordColumn::kTarget), "cpu:znver4");
    // Integers are no floating point operations; one filter reads both units.
    database::RecordRow bytes = row(2);
    bytes.workload = "w2";
    bytes.binding_json = R"({"K":8,"M":512,"dtype":"uint8"})";
    table.append(packer.pack({bytes}));
    QCOMPARE(cellText(table, table.at(1), RecordColumn::kRate), "1000.0 GOP/s");
    for (const char* text : {">999 GOP/s", ">999 GFLOP/s", ">999"}) {
      FilterText filter;
      filter[RecordColumn::kRate] = QString::fromUtf8(text);
      const RecordFilterRow rates(filter, 0);
      QCOMPARE(rates.errors()[static_cast<size_t>(RecordColumn::kRate)], "");
      RecordFilterRow::Prepared possible = rates.prepare(table);
      QVERIFY2(rates.matches(table, table.at(1), possible), text);
    }
  }

  void rowsThatArriveTwiceAreOneRecord() {
    RecordPacker packer;
    RecordTable table;
    table.append(packer.pack({row(2), row(1)}));
    QVERIFY(packer.since() <= row(1).measured_at);
    table.append(packer.pack({row(3), row(2), row(1)}));
    QCOMPARE(table.size(), 3u);
    QCOMPARE(table.series().size(), size_t{1});
  }

  void aTableMayBeReadWhileItGrows() {
    RecordPacker packer;
    RecordTable table;
    std::vector<database::RecordRow> rows;
    for (int i = 0; i < 20'000; ++i)
      rows.push_back(row(i));
    table.append(packer.pack(rows));
    const RecordTable copy = table;
    rows.clear();
    for (int i = 20'000; i < 50'000; ++i)
      rows.push_back(row(i, "w2"));
    table.append(packer.pack(rows));
    QCOMPARE(copy.size(), 20'000u);
    QCOMPARE(table.size(), 50'000u);
    QCOMPARE(copy.at(19'999).id, 20'000u);
    QCOMPARE(table.at(49'999).id, 50'000u);
    QCOMPARE(table.seriesOf(table.at(49'999)).workload, "name_w2");
    QCOMPARE(table.find(33'334), int64_t{33'333});
    QCOMPARE(table.find(999'999), int64_t{-1});
  }

  void filtersAreWordsRangesAndAges_data() {
    QTest::addColumn<int>("column");
    QTest::addColumn<QString>("text");
    QTest::addColumn<int>("matches");
    const auto add = [](const char* name, RecordColumn column, const char* text, int matches) {
      QTest::newRow(name) << static_cast<int>(column) << QString::fromUtf8(text) << matches;
    };
    // 10 records: w1 of 1 to 5 us, w2 of 1 to 5 ms, one a minute.
    add("nothing", RecordColumn::kWorkload, "", 10);
    add("a word", RecordColumn::kWorkload, "W1", 5);
    add("all of the words", RecordColumn::kWorkload, "name M=512", 10);
    add("one of two", RecordColumn::kWorkload, "w1|w2", 10);
    add("not", RecordColumn::kWorkload, "!w1", 5);
    add("below", RecordColumn::kTime, "<3us", 2);
    add("above", RecordColumn::kTime, ">2ms", 3);
    add("between", RecordColumn::kTime, "2us..4us", 3);
    add("unit said once", RecordColumn::kTime, "2..4us", 3);
    add("as shown", RecordColumn::kTime, "3.00 µs", 1);
    add("threads", RecordColumn::kThreads, "1", 10);
    add("more threads", RecordColumn::kThreads, ">1", 0);
    add("interval", RecordColumn::kInterval, "<1.5 %", 10);
    add("rate", RecordColumn::kRate, ">100", 5);
    add("outcome", RecordColumn::kOutcome, "ok", 10);
    add("younger", RecordColumn::kMeasured, "<3min", 3);
    add("unreadable text restricts nothing", RecordColumn::kTime, "quick", 10);
  }

  void filtersAreWordsRangesAndAges() {
    QFETCH(int, column);
    QFETCH(QString, text);
    QFETCH(int, matches);
    RecordPacker packer;
    RecordTable table;
    std::vector<database::RecordRow> rows;
    for (int i = 0; i < 10; ++i) {
      rows.push_back(row(i, i < 5 ? "w1" : "w2", (i % 5 + 1) * (i < 5 ? 1e3 : 1e6)));
      rows.back().measured_at = (i + 1) * 60'000'000'000LL;
    }
    table.append(packer.pack(rows));
    const RecordFilterRow compiled(filter(static_cast<RecordColumn>(column), text),
                                   10 * 60'000'000'000LL + 30'000'000'000);
    QCOMPARE(static_cast<int>(orderOf(table, compiled, RecordColumn::kTime, false).size()),
             matches);
  }

  void aFilterThatCannotBeReadSaysWhatToWrite() {
    const RecordFilterRow compiled(filter(RecordColumn::kTime, "quick"), 0);
    const QString& error = compiled.errors()[static_cast<size_t>(RecordColumn::kTime)];
    QVERIFY2(error.contains("'quick'") && error.contains("<50us"), qPrintable(error));
  }

  void whatHasNoTimeIsSortedLastEitherWay() {
    RecordPacker packer;
    RecordTable table;
    auto failed = row(1);
    failed.median_ns = database::kUnknown;
    failed.outcome = database::Outcome::kCrashed;
    table.append(packer.pack({failed, row(2, "w1", 3000), row(3, "w1", 2000)}));
    const RecordFilterRow all(FilterText{}, 0);
    QCOMPARE(orderOf(table, all, RecordColumn::kTime, false), (std::vector<uint32_t>{2, 1, 0}));
    QCOMPARE(orderOf(table, all, RecordColumn::kTime, true), (std::vector<uint32_t>{1, 2, 0}));
    QCOMPARE(orderOf(table, all, RecordColumn::kMeasured, true), (std::vector<uint32_t>{2, 1, 0}));
  }

  void manyRecordsAreInTheOrderThatComparingThemGives() {
    RecordPacker packer;
    RecordTable table;
    std::vector<database::RecordRow> rows;
    Random random(5);
    for (int i = 0; i < 20'000; ++i) {
      rows.push_back(row(i, random.below(2) ? "w1" : "w2", std::exp(3 * random.normal()) * 1e4));
      if (random.below(9) == 0)
        rows.back().median_ns = database::kUnknown;
      if (random.below(4) == 0)
        rows.back().median_ns = 5e3; // many ties
      rows.back().measured_at = random.below(1'000'000'000) * 1'000'000;
    }
    table.append(packer.pack(rows));
    const RecordFilterRow all(FilterText{}, 0);
    for (const bool descending : {false, true})
      for (const RecordColumn column : {RecordColumn::kTime, RecordColumn::kMeasured,
                                        RecordColumn::kRecord, RecordColumn::kWorkload}) {
        std::vector<uint32_t> expected(table.size());
        std::iota(expected.begin(), expected.end(), 0u);
        std::stable_sort(expected.begin(), expected.end(), [&](uint32_t left, uint32_t right) {
          const PackedRecord &a = table.at(left), &b = table.at(right);
          const auto before = [descending](auto x, auto y) { return descending ? y < x : x < y; };
          switch (column) {
          case RecordColumn::kTime:
            if (std::isnan(a.medianNs) || std::isnan(b.medianNs))
              return !std::isnan(a.medianNs) && std::isnan(b.medianNs);
            return before(a.medianNs, b.medianNs);
          case RecordColumn::kMeasured:
            return before(a.measuredAt, b.measuredAt);
          case RecordColumn::kRecord:
            return before(a.id, b.id);
          default:
            return before(table.seriesOf(a).workload, table.seriesOf(b).workload);
          }
        });
        QVERIFY(orderOf(table, all, column, descending) == expected);
      }
    const std::vector<uint32_t> byId = numbersById(table);
    for (size_t i = 1; i < byId.size(); ++i)
      QVERIFY(table.at(byId[i - 1]).id < table.at(byId[i]).id);
  }

  void keysThatAreNearlyAlikeAreInOrder() {
    // Numbers that differ only far behind, beside some that are far away: the first half of a key
    // tells nothing of them.
    RecordPacker packer;
    RecordTable table;
    std::vector<database::RecordRow> rows;
    Random random(6);
    for (int i = 0; i < 30'000; ++i) {
      rows.push_back(row(i, "w1", 1e4 * (1 + 1e-15 * static_cast<double>(random.below(900)))));
      if (random.below(5000) == 0)
        rows.back().median_ns = random.below(2) ? 1e-300 : 1e300;
      rows.back().measured_at = 5'000'000'000'000'000'000 + random.below(1000);
    }
    rows[17].measured_at = 3;
    table.append(packer.pack(rows));
    const RecordFilterRow all(FilterText{}, 0);
    for (const bool descending : {false, true})
      for (const RecordColumn column : {RecordColumn::kTime, RecordColumn::kMeasured}) {
        const std::vector<uint32_t> order = orderOf(table, all, column, descending);
        QCOMPARE(order.size(), size_t{table.size()});
        for (size_t i = 1; i < order.size(); ++i) {
          const PackedRecord& a = table.at(order[i - 1]);
          const PackedRecord& b = table.at(order[i]);
          const auto inOrder = [&](auto x, auto y) {
            return x == y ? order[i - 1] < order[i] : descending ? y < x : x < y;
          };
          QVERIFY(column == RecordColumn::kTime ? inOrder(a.medianNs, b.medianNs)
                                                : inOrder(a.measuredAt, b.measuredAt));
        }
      }
  }

  void heatIsByTheBestOfTheSameKind() {
    RecordPacker packer;
    RecordModel model;
    auto crashed = row(5, "w1", 100);
    crashed.outcome = database::Outcome::kCrashed;
    auto wide = row(6, "w1", 4000);
    wide.low_ns = 0.9 * wide.median_ns;
    wide.high_ns = 1.1 * wide.median_ns;
    auto otherCompiler = row(7, "w1", 500); // comparable: it is the best of its kind
    otherCompiler.toolchain = "t0000000000000002";
    model.append(packer.pack({row(1, "w1", 1000), row(2, "w1", 500), row(3, "w2", 8000),
                              row(4, "w1", 50'000), crashed, wide, otherCompiler}));
    QVERIFY(waitFor([&] { return model.rowCount() == 7 && !model.isBusy(); }));
    const auto heat = [&](int i, RecordColumn column) {
      const QString id = toQString(row(i).id);
      return model.index(model.rowOf(id), static_cast<int>(column)).data(RecordModel::kHeatRole);
    };
    QVERIFY(!heat(1, RecordColumn::kTime).isValid());
    QSignalSpy ordered(&model, &RecordModel::orderChanged);
    model.setHeat(true);
    QVERIFY(waitFor([&] { return ordered.size() == 1; }));
    QCOMPARE(heat(1, RecordColumn::kTime).toDouble(), 0.0); // twice the best's time
    QCOMPARE(heat(2, RecordColumn::kTime).toDouble(), 1.0);
    QCOMPARE(heat(2, RecordColumn::kRate).toDouble(), 1.0);
    QCOMPARE(heat(7, RecordColumn::kTime).toDouble(), 1.0);
    QCOMPARE(heat(3, RecordColumn::kTime).toDouble(), 1.0); // the only one of its kind
    QCOMPARE(heat(4, RecordColumn::kTime).toDouble(), -1.0);
    QVERIFY(!heat(5, RecordColumn::kTime).isValid());
    QCOMPARE(heat(6, RecordColumn::kInterval).toDouble(), -1.0);
    QVERIFY(heat(1, RecordColumn::kInterval).toDouble() > -0.2);
    QVERIFY(!heat(1, RecordColumn::kRatio).isValid()); // no baseline
    QVERIFY(!heat(1, RecordColumn::kWorkload).isValid());
    RecordContext context;
    const PackedRecord* base = model.recordAt(model.rowOf(toQString(row(2).id)));
    context.baselines.push_back(
        {model.table().seriesOf(*base), base->id, base->medianNs, base->lowNs, base->highNs});
    model.setContext(context);
    QCOMPARE(heat(1, RecordColumn::kRatio).toDouble(), -1.0);
    QCOMPARE(heat(2, RecordColumn::kRatio).toDouble(), 0.0);
    // Beside a baseline that all leave behind, shades still tell them apart: by what they gained.
    context.baselines.front().medianNs = 10'500;
    model.setContext(context);
    QCOMPARE(heat(2, RecordColumn::kRatio).toDouble(), 1.0);
    QCOMPARE(heat(1, RecordColumn::kRatio).toDouble(), 9.5 / 20);
    QCOMPARE(heat(4, RecordColumn::kRatio).toDouble(), -1.0);
    // A faster one that arrives is what the others are held against.
    model.append(packer.pack({row(8, "w1", 250)}));
    QVERIFY(waitFor([&] { return model.rowCount() == 8 && !model.isBusy(); }));
    QCOMPARE(heat(2, RecordColumn::kTime).toDouble(), 0.0);
  }

  void longWorkLeavesThePoolThatQtPaintsWithAlone() {
    RecordPacker packer;
    RecordModel model;
    for (int i = 0; i < 5; ++i)
      model.append(packer.pack({row(2 * i + 1, "w1", 1000), row(2 * i + 2, "w1", 500)}));
    model.sort(static_cast<int>(RecordColumn::kTime), Qt::AscendingOrder);
    QVERIFY(model.isBusy());
    QCOMPARE(QThreadPool::globalInstance()->activeThreadCount(), 0);
    QVERIFY(waitFor([&] { return model.rowCount() == 10 && !model.isBusy(); }));
  }

  void linesSayHowOftenTheyRun() {
    const auto runs = [](const QString& text, CodeLevel level, const QString& tir = {}) {
      QStringList words;
      for (const LineHeat& line : heatOf(text, level, tir))
        words << (line.atMost ? "<" : "") + runsText(line.runs);
      return words.join(u'|');
    };
    const QString tir = "def main(A: T.handle):\n"                 // 0
                        "    # a comment\n"                        // 1
                        "    for i, j in T.grid(64, 8):\n"         // 2
                        "        for k in range(1000):\n"          // 3
                        "            for v in T.vectorized(16):\n" // 4
                        "                B[i] = 1\n"               // 5
                        "        C[i] = 2\n"                       // 6
                        "    for z in range(n):\n"                 // 7
                        "        D[z] = 3\n"                       // 8
                        "    for y in range(4, 12):\n"             // 9
                        "        E[y] = 3\n";                      // 10
    QCOMPARE(runs(tir, CodeLevel::kTir), "||1|512|512k|8.2M|512|1||1|8|");
    const std::vector<LineHeat> heat = heatOf(tir, CodeLevel::kTir);
    QCOMPARE(heat[5].share, 1.0);
    QCOMPARE(heat[2].share, 0.0);
    QVERIFY(heat[6].share > 0.3 && heat[6].share < 0.5);
    const QString cuda = "extern \"C\" __global__ void main_kernel(float* A) {\n" // 0
                         "  const int tx = threadIdx.x;\n"                        // 1
                         "  for (int k = 0; k < 32; ++k) {\n"                     // 2
                         "    #pragma unroll\n"                                   // 3
                         "    for (int i = 2; i < 6; ++i) {\n"                    // 4
                         "      A[i] = 1.0f;  // line 5\n"                        // 5
                         "    }\n"                                                // 6
                         "    for (long m = 0; m < n; ++m) {\n"                   // 7
                         "      A[m] = 2.0f;\n"                                   // 8
                         "    }\n"                                                // 9
                         "  }\n"                                                  // 10
                         "}\n";                                                   // 11
    QCOMPARE(runs(cuda, CodeLevel::kCuda), "|1|1||32|128||32|||||");
    // What users write: macros, other steps, braces on lines of their own, loops that count
    // nothing.
    const QString own = "#define PER 8\n"                                  // 0
                        "/* temper\n"                                      // 1
                        "    for (int no = 0; no < 3; ++no) {\n"           // 2
                        "*/\n"                                             // 3
                        "__global__ void f(float* z) {\n"                  // 4
                        "  for (int i = 0; i < PER; i += 2)\n"             // 5
                        "  {\n"                                            // 6
                        "    z[i] = 0;\n"                                  // 7
                        "    for (int j = 0; j <= i; ++j) z[j] += 1;\n"    // 8
                        "    for (int k = 0; k < 5; k++) z[k] += 1;\n"     // 9
                        "    while (z[i] < 3) {\n"                         // 10
                        "      z[i] += 1;  // for (int no = 0; no < 9;)\n" // 11
                        "    }\n"                                          // 12
                        "    z[i] = 4;\n"                                  // 13
                        "  }\n"                                            // 14
                        "}\n";                                             // 15
    QCOMPARE(runs(own, CodeLevel::kCuda), "|||||1||4|4|4|4|||4|||");
    QCOMPARE(loopsOf(own, CodeLevel::kCuda).size(), size_t{4});
    // Machine code knows it only by the program that it was made of.
    const QString assembly = "main:\n"             // 0
                             "\txorl %eax, %eax\n" // 1
                             ".LBB0_1:\n"          // 2
                             "\tvmovups %ymm0\n"   // 3
                             ".LBB0_2:\n"          // 4
                             "\tvaddps %ymm1\n"    // 5
                             "\tjne\t.LBB0_2\n"    // 6
                             "\tjne\t.LBB0_1\n"    // 7
                             "\tretq\n";           // 8
    const QString nest = "def main():\n"
                         "    for i in range(64):\n"
                         "        for k in range(1000):\n"
                         "            for v in T.vectorized(16):\n"
                         "                B[i] = 1\n";
    QCOMPARE(runs(assembly, CodeLevel::kAssembly, nest), "|1||<64||<64k|<64k|<64|1|");
    QCOMPARE(runs(assembly, CodeLevel::kAssembly), "|1||<||<|<|<|1|");
    const QString ptx = "$L__BB0_1:\n\tadd.f32 \t%f1, %f2, %f3;\n\t@%p1 bra \t$L__BB0_1;\n\tret;\n";
    QCOMPARE(runs(ptx, CodeLevel::kPtx, "for k in range(7):\n    A[k] = 1\n"), "|<7|<7|1|");
    const QString gcn = "main:\n.LBB0_1:\n\tv_add_f32_e32 v0, v1, v2\n"
                        "\ts_cbranch_scc1 .LBB0_1\n\ts_endpgm\n";
    QCOMPARE(runs(gcn, CodeLevel::kPtx, "for k in range(7):\n    A[k] = 1\n"), "||<7|<7|1|");
    QCOMPARE(runs("for i, j in T.grid(T.int64(3), T.int64(5)):\n    for k in range(T.int64(7)):\n"
                  "        A[k] = 1\n",
                  CodeLevel::kTir),
             "1|15|105|");
    QCOMPARE(runs("sch.split(l1)\n", CodeLevel::kTrace), "|");
    QCOMPARE(runsText(999), "999");
    QCOMPARE(runsText(1000), "1.0k");
    QCOMPARE(runsText(134217728), "134M");
    QCOMPARE(runsText(0), "");
    // A loop of CUDA C++ is that of tir with the same variable.
    QCOMPARE(linkedLines(nest, CodeLevel::kTir, 2, "for (int k = 0; k < 5; ++k) {\n  x;\n}\n",
                         CodeLevel::kCuda)
                 .value_or(LineRange{}),
             (LineRange{0, 1}));
  }

  void marksSayWhereARecordIsFrom() {
    RecordPacker packer;
    RecordTable table;
    auto other = row(2);
    other.toolchain = "t0000000000000009";
    other.environment_class = "cpu:elsewhere/64";
    auto final = row(3);
    final.purpose = database::Purpose::kConfirm;
    table.append(packer.pack({row(1), other, final}));
    RecordContext context;
    context.freshToolchains = {toQString(row(1).toolchain)};
    context.environment = toQString(row(1).environment_class);
    context.tags = std::make_shared<const std::unordered_map<uint64_t, QStringList>>(
        std::unordered_map<uint64_t, QStringList>{{table.at(2).id, {"star", "odd"}}});
    const auto marks = [&](uint32_t i) {
      return cellText(table, table.at(i), RecordColumn::kMarks, context);
    };
    QCOMPARE(marks(0), "");
    QCOMPARE(marks(1), "stale elsewhere");
    QCOMPARE(marks(2), "★ odd final");
    const auto found = [&](const char* text) {
      return orderOf(table, RecordFilterRow(filter(RecordColumn::kMarks, text), 0, context),
                     RecordColumn::kRecord, false);
    };
    QCOMPARE(found("!stale"), (std::vector<uint32_t>{0, 2}));
    QCOMPARE(found("odd"), (std::vector<uint32_t>{2}));
    QCOMPARE(found("stale"), (std::vector<uint32_t>{1}));
    context.earlierWorkloads = {"w1"};
    QCOMPARE(marks(0), "earlier");
    // Most marks first, as the column is sorted.
    QCOMPARE(orderOf(table, RecordFilterRow({}, 0, context), RecordColumn::kMarks, true),
             (std::vector<uint32_t>{2, 1, 0}));
  }

  void ratiosAreOfTheBaselineOfTheSameKind() {
    RecordPacker packer;
    RecordTable table;
    auto threads = row(4);
    threads.threads = 4;
    table.append(packer.pack(
        {row(1, "w1", 1000), row(2, "w1", 2000), row(3, "w2", 1000), threads, row(5, "w1", 1005)}));
    RecordContext context;
    const PackedRecord& base = table.at(0);
    context.baselines.push_back(
        {table.seriesOf(base), base.id, base.medianNs, base.lowNs, base.highNs});
    const auto ratio = [&](uint32_t i) {
      return cellText(table, table.at(i), RecordColumn::kRatio, context);
    };
    QCOMPARE(ratio(0), "baseline");
    QCOMPARE(ratio(1), "▼ 2.000×");
    QCOMPARE(ratio(2), ""); // another workload
    QCOMPARE(ratio(3), ""); // other threads
    QCOMPARE(ratio(4), "≈ 1.005×");
    QCOMPARE(orderOf(table, RecordFilterRow(filter(RecordColumn::kRatio, ">1.5"), 0, context),
                     RecordColumn::kRatio, false),
             (std::vector<uint32_t>{1}));
    QCOMPARE(orderOf(table, RecordFilterRow({}, 0, context), RecordColumn::kRatio, false),
             (std::vector<uint32_t>{0, 4, 1, 2, 3}));
  }

  void anOlderProgramOfTheSameNameIsMarked() {
    RecordPacker packer;
    RecordModel model;
    auto older = row(1, "w1"), newer = row(2, "w2");
    older.workload_name = newer.workload_name = "scale";
    newer.measured_at = older.measured_at + 1;
    model.append(packer.pack({older}));
    model.append(packer.pack({newer}));
    QVERIFY(waitFor([&] { return model.rowCount() == 2 && !model.isBusy(); }));
    const auto marks = [&](int r) {
      return model.index(r, static_cast<int>(RecordColumn::kMarks)).data().toString();
    };
    QCOMPARE(marks(model.rowOf(toQString(older.id))), "earlier");
    QCOMPARE(marks(model.rowOf(toQString(newer.id))), "");
  }

  void linesOfOneLoopAreLinkedAtAllLevels() {
    const QString script = "def main():\n"                                 // 0
                           "    for i, j in T.grid(64, 8):\n"              // 1
                           "        for k in T.vectorized(16):\n"          // 2
                           "            with T.sblock(\"B\"):\n"           // 3
                           "                B[i] = 1\n"                    // 4
                           "    for z in range(4):\n"                      // 5
                           "        C[z] = 2\n";                           // 6
    const QString llvm = "entry:\n"                                        // 0
                         "  br label %loop\n"                              // 1
                         "loop:\n"                                         // 2
                         "  %i = phi i64 [ 0, %entry ], [ %1, %after ]\n"  // 3
                         "  br label %loop1\n"                             // 4
                         "loop1:\n"                                        // 5
                         "  %j.2 = phi i64 [ 0, %loop ], [ %2, %loop1 ]\n" // 6
                         "  br i1 %c, label %after, label %loop1\n"        // 7
                         "after:\n"                                        // 8
                         "  br i1 %d, label %more, label %loop\n"          // 9
                         "more:\n"                                         // 10
                         "  %z = phi i64 [ 0, %after ], [ %3, %more ]\n"   // 11
                         "  br i1 %e, label %out, label %more\n";          // 12
    const QString assembly = "kernel:\n"                                   // 0
                             ".LBB0_1:\n"                                  // 1
                             "\txorl %eax, %eax\n"                         // 2
                             ".LBB0_2:\n"                                  // 3
                             "\tjne\t.LBB0_2\n"                            // 4
                             "\tjne\t.LBB0_1\n"                            // 5
                             ".LBB0_3:\n"                                  // 6
                             "\tjb\t.LBB0_3\n";                            // 7
    using Level = CodeLevel;
    const auto linked = [&](const QString& from, Level a, int line, const QString& to, Level b) {
      return linkedLines(from, a, line, to, b).value_or(LineRange{-1, -1});
    };
    // The block is in k, of vectors: the loop around it is j.
    QCOMPARE(linked(script, Level::kScript, 4, llvm, Level::kLlvm), (LineRange{5, 7}));
    QCOMPARE(linked(script, Level::kScript, 6, llvm, Level::kLlvm), (LineRange{10, 12}));
    QCOMPARE(linked(script, Level::kScript, 0, llvm, Level::kLlvm), (LineRange{-1, -1}));
    QCOMPARE(linked(llvm, Level::kLlvm, 3, script, Level::kScript), (LineRange{1, 4}));
    QCOMPARE(linked(script, Level::kScript, 4, assembly, Level::kAssembly), (LineRange{3, 4}));
    QCOMPARE(linked(assembly, Level::kAssembly, 2, llvm, Level::kLlvm), (LineRange{2, 9}));
    QCOMPARE(linked(assembly, Level::kAssembly, 7, script, Level::kScript), (LineRange{5, 6}));
    QCOMPARE(linked("", Level::kScript, 0, "", Level::kAssembly), (LineRange{-1, -1}));
  }

  void theReasonsAreRankedAndSaidToBeWrongWhereTheyAre() {
    const auto read = [](const char* text) { return parse_json(text).value(); };
    Json answer = read(R"json({"ratio": 0.8, "other_steps": false,
      "decisions": [{"name":"v1, v2","step":"split(l3)","a":"[8, 2]","b":"[4, 4]","score_change":0.2,
                     "trace":"sch.x()"},
                    {"name":"v9","step":"annotate(b0)","a":"16","b":"64","score_change":null},
                    {"name":"rows","step":"knob","a":"4","b":"8","score_change":0}],
      "model": {"learnt_from": 40, "score_a": 0.5, "score_b": 0.75, "rank_correlation": 0.9,
        "terms": [{"what":"data touched","change":0.3,"features":[
                    {"name":"B1.lines","change":0.3,"a":10,"b":8}]},
                  {"what":"strides","change":-0.05,"features":[]}]},
      "machine": [{"what":"multiply-add units","a":41.2,"b":80.0,"unit":"%"}],
      "code": [{"what":"spills in all","a":12,"b":0,"unit":""}],
      "limits": ["load ports", "multiply-add units"], "counters": [], "unknown": []})json");
    const std::vector<WhySection> sections = whySections(answer);
    QCOMPARE(sections.size(), size_t{4});
    QCOMPARE(sections[0].rows[0].label, "v1, v2 = [4, 4]");
    QCOMPARE(sections[0].rows[0].trace, "sch.x()");
    QVERIFY(sections[0].rows[1].trace.isEmpty());
    QCOMPARE(sections[2].rows[0].a + u'|' + sections[2].rows[0].b, "41 %|80 %");
    QCOMPARE(sections[0].rows[0].effect, "▲ +0.200");
    QCOMPARE(sections[0].rows[1].what, "v9 for annotate(b0)");
    QCOMPARE(sections[0].rows[2].what, "rows");
    QCOMPARE(sections[0].rows[0].share, 1.0);
    QCOMPARE(sections[0].rows[1].effect, "");
    QCOMPARE(sections[1].rows[1].effect, "▼ −0.050");
    QVERIFY2(sections[1].note.contains("40 candidates") && !sections[1].note.contains("wrong way"),
             qPrintable(sections[1].note));
    QCOMPARE(sections[3].rows[0].a, "load ports");
    QCOMPARE(sections[3].rows[1].b, "0");
    QVERIFY2(whySentence(answer).contains("speaks for B") &&
                 whySentence(answer).contains("data touched"),
             qPrintable(whySentence(answer)));
    answer["ratio"] = 1.2; // A is faster, whatever the model thinks
    answer["ratio_interval"] = {1.1, 1.3};
    QVERIFY(whySections(answer)[1].note.contains("wrong way"));
    QCOMPARE(whySentence(answer), "");
    // Unless the two cannot be told apart: then no order is wrong.
    answer["ratio_interval"] = {0.95, 1.5};
    QVERIFY2(!whySections(answer)[1].note.contains("wrong way") &&
                 whySections(answer)[1].note.contains("neither confirm nor contradict"),
             qPrintable(whySections(answer)[1].note));
    QCOMPARE(whySentence(answer), "");
    answer["ratio_interval"] = {0.7, 0.9};
    answer["ratio"] = 0.8;
    answer["model"]["score_b"] = 0.5; // as A's
    QVERIFY2(whySections(answer)[1].note.contains("no difference") &&
                 !whySections(answer)[1].note.contains("wrong way"),
             qPrintable(whySections(answer)[1].note));
    QCOMPARE(whySentence(answer), "");
    // Counters by their words and units, the engine's own name in the tip.
    answer["counters"] = read(R"([{"what":"dram__bytes_read.sum","a":4096,"b":1024,"unit":""},
                 {"what":"somebody__elses.sum","a":1.5,"b":2,"unit":""}])");
    const WhySection counters = whySections(answer).back();
    QCOMPARE(counters.title, "Counters");
    QCOMPARE(counters.rows[0].what + u'|' + counters.rows[0].a + u'|' + counters.rows[0].b,
             "read from memory|4,096 bytes|1,024 bytes");
    QCOMPARE(counters.rows[0].tip, "dram__bytes_read.sum");
    QCOMPARE(counters.rows[1].what + u'|' + counters.rows[1].a, "somebody__elses.sum|1.5");
  }

  void whatTheModelMakesOfOneRecordIsASectionOfItsOwn() {
    const WhySection section = opinionSection(
        parse_json(R"json({"learnt_from": 40, "rank_correlation": 0.9, "score": 0.8, "speed": 0.7,
          "average_score": 0.5, "place_by_score": 2, "place_by_time": 5,
          "terms": [{"what":"data touched","change":0.4,"features":[
                       {"name":"B1.lines","change":0.4,"a":10,"b":8}]},
                    {"what":"strides","change":-0.1,"features":[]}]})json")
            .value());
    QCOMPARE(section.title, "As the cost model sees it");
    QVERIFY2(section.note.contains("0.800") && section.note.contains("40 candidates") &&
                 section.note.contains("ranks this one 2 and time ranks it 5"),
             qPrintable(section.note));
    QCOMPARE(section.rows.size(), size_t{2});
    QCOMPARE(section.rows[0].share, 1.0);
    QCOMPARE(section.rows[1].effect, "▼ −0.100");
    QVERIFY2(section.rows[0].tip.contains("B1.lines: 10.00 → 8.00"),
             qPrintable(section.rows[0].tip));
    QCOMPARE(opinionSection(Json::object()).title, "");
  }

  void aGpusRecordSaysItsDriverClockAndWhatSlowedIt() {
    RecordDetail a;
    a.row.environment_class = "cuda:NVIDIA H100/132-1a2b3c";
    a.row.target = "cuda:sm_90a";
    a.row.median_ns = 1000;
    a.row.low_ns = 990;
    a.row.high_ns = 1010;
    a.environment.host = "attic";
    a.environment.json = R"({"stable":{"gpu":"NVIDIA H100","architecture":90,"multiprocessors":132,
      "memory_bytes":85899345920},"detail":{"host":"attic","driver":"13.0","gpu":{}}})";
    a.measurement.samples_ns = {1000};
    a.measurement.timing_json = R"({"calls_per_sample":1,"gpu":{"timer":"activity",
      "sm_clock_mhz":1755,"power_w":690,"temperature_c":61,"slowdowns":["power cap"]}})";
    a.measurement.counters_json =
        R"({"dram__bytes_read.sum":4096,"sm__warps_active.avg.pct_of_peak_sustained_active":43.75})";
    QCOMPARE(a.machineText(),
             "cuda:NVIDIA H100/132-1a2b3c, NVIDIA H100, 132 multiprocessors, host attic");
    QCOMPARE(a.systemText(), "driver 13.0");
    QMap<QString, QString> facts;
    for (const RecordDetail::Fact& fact : a.facts())
      facts[fact.name] = fact.value;
    QVERIFY2(facts["machine then"].contains("1755 MHz") &&
                 facts["machine then"].contains("slowed by its power cap"),
             qPrintable(facts["machine then"]));
    QCOMPARE(facts["read from memory"], "4,096 bytes");
    QCOMPARE(facts["occupancy reached"], "43.8 %");
    QCOMPARE(countersOf(a.measurement)[0].shareOfPeak(), 0.4375);
    // Beside one of another driver that nothing slowed.
    RecordDetail b = a;
    b.row.candidate = "c2";
    b.measurement.timing_json = R"({"calls_per_sample":1,"gpu":{"timer":"activity"}})";
    b.environment.json = R"({"stable":{"gpu":"NVIDIA H100"},"detail":{"driver":"12.8"}})";
    const QString sentence = compareStored(a, b).sentence;
    QVERIFY2(sentence.contains("A's clock was slowed meanwhile by its power cap.") &&
                 !sentence.contains("B's clock") &&
                 sentence.contains("The driver was 13.0 for A and 12.8 for B."),
             qPrintable(sentence));
    // What only one of them has stands where that one has it.
    b.measurement.counters_json = R"({"dram__bytes_read.sum":2048,"page_faults":3})";
    QStringList names;
    for (const FactPair& pair : factPairs(a, b)) {
      names << pair.name;
      if (pair.name == u"read from memory")
        QCOMPARE(pair.a + u'|' + pair.b + u'|' + pair.ratio, "4,096 bytes|2,048 bytes|0.500×");
      if (pair.name == u"page faults")
        QCOMPARE(pair.a + u'|' + pair.b + u'|' + pair.ratio, "|3|");
      if (pair.name == u"occupancy reached")
        QCOMPARE(pair.b, "");
    }
    QVERIFY(names.indexOf("page faults") > names.indexOf("occupancy reached") &&
            names.indexOf("page faults") < names.indexOf("target"));
    QCOMPARE(names.removeDuplicates(), 0);
  }

  void theRecordModelIsAModelThroughFiltersAndSorts() {
    RecordModel model;
    const QAbstractItemModelTester tester(&model,
                                          QAbstractItemModelTester::FailureReportingMode::QtTest);
    RecordPacker packer;
    model.append(packer.pack({row(1, "w1", 3000), row(2, "w2", 2000), row(3, "w1", 1000)}));
    QVERIFY(waitFor([&] { return model.rowCount() == 3; }));
    QCOMPARE(printed(model, 2), "m0000000|name_w1 K=8 M=512\nm0000000|name_w2 K=8 M=512\n"
                                "m0000000|name_w1 K=8 M=512\n");
    QCOMPARE(model.idAt(0), "m0000000000000004");
    model.sort(static_cast<int>(RecordColumn::kTime), Qt::DescendingOrder);
    QVERIFY(waitFor([&] { return model.idAt(0) == "m0000000000000002"; }));
    model.setFilter(filter(RecordColumn::kWorkload, "w2"));
    QVERIFY(waitFor([&] { return model.rowCount() == 1; }));
    QCOMPARE(model.rowOf("m0000000000000003"), 0);
    QCOMPARE(model.rowOf("m0000000000000002"), -1);
    model.clear();
    QCOMPARE(model.rowCount(), 0);
  }

  void recordsThatArriveWhileOneReadsWait() {
    RecordModel model;
    RecordPacker packer;
    model.append(packer.pack({row(1)}));
    QVERIFY(waitFor([&] { return model.rowCount() == 1; }));
    model.setFollowing(false);
    model.append(packer.pack({row(2), row(3)}));
    QCOMPARE(model.pending(), int64_t{2});
    QCOMPARE(model.rowCount(), 1);
    model.refresh();
    QVERIFY(waitFor([&] { return model.rowCount() == 3; }));
    QCOMPARE(model.pending(), int64_t{0});
  }

  void theRunModelKeepsItsRowsWhenOneIsAdded() {
    RunModel model;
    const QAbstractItemModelTester tester(&model,
                                          QAbstractItemModelTester::FailureReportingMode::QtTest);
    const auto run = [](const char* id, int64_t trials) {
      RunRow row;
      row.run.id = id;
      row.run.trials = trials;
      row.run.state = database::RunState::kRunning;
      row.run.budget_trials = 10;
      row.workload = "matmul M=1";
      return row;
    };
    model.setRows({run("r1", 3)});
    const QPersistentModelIndex first = model.index(0, RunModel::kTrials);
    QSignalSpy resets(&model, &QAbstractItemModel::modelReset);
    model.setRows({run("r2", 0), run("r1", 4)});
    QCOMPARE(resets.size(), 0);
    QCOMPARE(first.row(), 1);
    QCOMPARE(first.data().toString(), "4 / 10");
    model.setRows({run("r2", 1)});
    QCOMPARE(resets.size(), 1);
    QCOMPARE(model.rowCount(), 1);
  }

  void differencesAlignWhatIsEqual() {
    const QStringList a{"one", "two", "three", "four", "five"};
    const QStringList b{"one", "2", "three", "five", "six"};
    const auto lines = diffLines(a, b);
    QString text;
    for (const DiffLine& line : lines)
      text += QStringLiteral("%1:%2:%3 ")
                  .arg(static_cast<int>(line.kind))
                  .arg(line.left)
                  .arg(line.right);
    QCOMPARE(text, "0:0:0 1:1:1 0:2:2 2:3:-1 0:4:3 3:-1:4 ");
  }

  void differencesRebuildBothSides() {
    // Any way through is right that shows every line of both sides once, in order, and calls only
    // equal lines equal.
    uint64_t state = 1;
    const auto next = [&](uint64_t below) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      return (state >> 33) % below;
    };
    for (int round = 0; round < 300; ++round) {
      QStringList a, b;
      for (uint64_t i = next(30); i > 0; --i)
        a << QString::number(next(5));
      for (uint64_t i = next(30); i > 0; --i)
        b << QString::number(next(5));
      int left = 0, right = 0, same = 0;
      for (const DiffLine& line : diffLines(a, b)) {
        if (line.left >= 0)
          QCOMPARE(line.left, left++);
        if (line.right >= 0)
          QCOMPARE(line.right, right++);
        if (line.kind == DiffLine::Kind::kSame) {
          QCOMPARE(a[line.left], b[line.right]);
          ++same;
        }
      }
      QCOMPARE(left, a.size());
      QCOMPARE(right, b.size());
      // No fewer equal lines than the longest common subsequence.
      std::vector<std::vector<int>> common(static_cast<size_t>(a.size()) + 1,
                                           std::vector<int>(static_cast<size_t>(b.size()) + 1));
      for (int i = 0; i < a.size(); ++i)
        for (int j = 0; j < b.size(); ++j)
          common[i + 1][j + 1] =
              a[i] == b[j] ? common[i][j] + 1 : std::max(common[i][j + 1], common[i + 1][j]);
      QCOMPARE(same, common[a.size()][b.size()]);
    }
  }

  void onlyDifferencesLeavesOutWhatIsEqualAndSaysHowMuch() {
    QStringList a, b;
    for (int i = 0; i < 30; ++i)
      a << QString::number(i);
    b = a;
    b[15] = "x";
    const SideBySide diff = sideBySide(a.join('\n'), b.join('\n'), true);
    QCOMPARE(diff.differences, 1);
    QCOMPARE(diff.left.join(' '), "⋯ 12 equal lines 12 13 14 15 16 17 18 ⋯ 11 equal lines");
    QCOMPARE(diff.right[4], "x");
    QCOMPARE(sideBySide("a\nb\n", "a\nb", true).differences, 0);
  }

  void aPlanIsTheCommandThatItShows() {
    RunPlan plan;
    QCOMPARE(plan.arguments().join(' '), "tune matmul --trials 200");
    plan.workload = "scale.py";
    plan.parameters = " M=4  N=8 ";
    plan.trials = 0;
    plan.seconds = 30;
    plan.threads = 2;
    plan.strategy = "random";
    plan.seed = "7";
    plan.cold = true;
    plan.fresh = true;
    QCOMPARE(plan.arguments().join(' '),
             "tune scale.py M=4 N=8 --seconds 30 --threads 2 --strategy random --seed 7 --cache "
             "cold --fresh");
    QVERIFY(plan.problem().isEmpty());
    plan.parameters = "512";
    QVERIFY(plan.problem().contains("'512'"));
    plan.parameters.clear();
    plan.seed = "yes";
    QVERIFY(plan.problem().contains("seed"));
    plan.workload.clear();
    QVERIFY(!plan.problem().isEmpty());
    QCOMPARE(shellCommand("temper", {"show", "it's", "M=4"}), "temper show 'it'\\''s' M=4");
  }

  void theTailOfALogIsWithoutWhatALiveLineOverwrote() {
    QTemporaryDir folder;
    QFile log(folder.filePath("log"));
    QVERIFY(log.open(QIODevice::WriteOnly));
    log.write("first\n1 trial\r2 trials\r3 trials\n\nlast\n");
    log.close();
    QCOMPARE(tailOf(log.fileName(), 2), "3 trials\nlast");
    QCOMPARE(tailOf(folder.filePath("none"), 2), QString());
  }

  void actionsAreFoundByWordsAndClashesAreNamed() {
    ActionRegistry actions;
    int ran = 0;
    bool allowed = false;
    actions.add({"record.copy", "Record", "Copy id", "Ctrl+C", "Copies"}, [&] { ++ran; });
    actions.add(
        {"view.runs", "View", "Runs", "Ctrl+2", "Shows runs"}, [&] { ran += 10; },
        [&] { return allowed; });
    QCOMPARE(actions.search("cop rec"), QStringList{"record.copy"});
    QCOMPARE(actions.search("xyz"), QStringList());
    QCOMPARE(actions.search("").size(), 2);
    QVERIFY(actions.trigger("record.copy"));
    QVERIFY(!actions.trigger("view.runs"));
    QVERIFY(!actions.trigger("no.such"));
    allowed = true;
    QVERIFY(actions.trigger("view.runs"));
    QCOMPARE(ran, 11);
    QVERIFY(actions.clashes().isEmpty());
    actions.setCommandLine("view.runs", [] { return QStringLiteral("temper list runs"); });
    QCOMPARE(actions.commandLineOf("view.runs"), "temper list runs");
    QCOMPARE(actions.commandLineOf("record.copy"), "");
    QCOMPARE(actions.commandLineOf("no.such"), "");
    allowed = false;
    actions.updateEnabled();
    QCOMPARE(actions.commandLineOf("view.runs"), ""); // what cannot be done has no command
    actions.add({"other", "View", "Other", "Ctrl+2", ""}, [] {});
    QCOMPARE(actions.clashes().size(), 1);
    QVERIFY(actions.clashes()[0].contains("view.runs") && actions.clashes()[0].contains("other"));
  }

  void keysAreChangedAndNeverShared() {
    ActionRegistry actions;
    actions.add({"a", "Menu", "First", "Ctrl+1", "hint a"}, [] {});
    actions.add({"b", "Menu", "Second", "Ctrl+2", "hint b"}, [] {});
    actions.add({"c", "Menu", "Third", "", "hint c"}, [] {});
    const auto keysOf = [&](const char* id) { return actions.action(id)->shortcut().toString(); };
    QVERIFY(actions.changedKeys().empty());
    QVERIFY(actions.setKeys("c", QKeySequence("Ctrl+K, C")).isEmpty());
    QVERIFY(actions.action("c")->toolTip().contains("Ctrl+K, C"));
    const QString taken = actions.setKeys("a", QKeySequence("Ctrl+2"));
    QVERIFY2(taken.contains("Second") && taken.contains("Ctrl+2"), qPrintable(taken));
    QVERIFY(actions.setKeys("a", QKeySequence("Ctrl+K")).contains("Third")); // the chord's start
    QVERIFY(actions.setKeys("none", QKeySequence("F9")).contains("none"));
    QCOMPARE(keysOf("a"), "Ctrl+1");
    QVERIFY(actions.setKeys("b", {}).isEmpty());
    QCOMPARE(actions.action("b")->toolTip(), "hint b");
    const std::map<QString, QString> kept = actions.changedKeys();
    QCOMPARE(kept, (std::map<QString, QString>{{"b", ""}, {"c", "Ctrl+K, C"}}));
    actions.resetKeys();
    QCOMPARE(keysOf("b"), "Ctrl+2");
    QCOMPARE(keysOf("c"), "");
    actions.takeKeys(kept);
    QCOMPARE(actions.changedKeys(), kept);
    // Two that changed with each other, one of a command that is gone, and a clash.
    actions.takeKeys({{"a", "Ctrl+2"}, {"b", "Ctrl+1"}, {"gone", "F7"}});
    QCOMPARE(keysOf("a"), "Ctrl+2");
    QCOMPARE(keysOf("b"), "Ctrl+1");
    actions.takeKeys({{"a", "Ctrl+2"}});
    QCOMPARE(keysOf("a"), "Ctrl+1");
    QVERIFY(actions.clashes().isEmpty());
  }

  void aLinkNamesAPlaceAndIsReadBack() {
    PlaceLink link;
    link.database = "/home/ann/über night & more.db";
    link.view = "compare";
    link.record = "m3f9c2aa01d24b770";
    link.run = "r0123456789abcdef";
    link.sides[0] = link.record;
    link.sides[1] = "maaaaaaaaaaaaaaaa";
    link.level = "why";
    link.plot = "parallel";
    link.query = "workload ~ conv* and time < 2ms or note = \"a+b; 100 %\"";
    link.filter[RecordColumn::kTime] = "<50us";
    link.filter[RecordColumn::kRatio] = "<0.9";
    link.sort = "-time";
    const QString text = link.toText();
    QVERIFY2(PlaceLink::isLink(text) && !text.contains(' ') && text == text.toUtf8().simplified(),
             qPrintable(text));
    const auto read = PlaceLink::parse(QStringLiteral("  ") + text + QStringLiteral("\n"));
    QVERIFY2(read, read ? "" : read.error().to_string().c_str());
    QVERIFY2(*read == link, qPrintable(read->toText()));
    QVERIFY(*PlaceLink::parse("temper://open") == PlaceLink());
    for (const auto& [wrong, says] :
         {std::pair{"https://example.org", "temper://open"},
          std::pair{"temper://fly?x=1", "no link"},
          std::pair{"temper://open?record=r0123456789abcdef", "record"},
          std::pair{"temper://open?a=hello", "hello"}, std::pair{"temper://open?view=moon", "moon"},
          std::pair{"temper://open?plot=pie", "pie"},
          std::pair{"temper://open?colour=red", "colour"}, std::pair{"", "temper://open"}}) {
      const auto refused = PlaceLink::parse(wrong);
      QVERIFY2(!refused, wrong);
      QVERIFY2(toQString(refused.error().message).contains(says), refused.error().message.c_str());
    }
  }

  void aPasswordIsTakenOutOfAnAddress() {
    QString password;
    QCOMPARE(
        databaseLocation("postgresql://ann:s%3Acret@attic:5433/kernels?sslmode=require", &password),
        "postgresql://ann@attic:5433/kernels?sslmode=require");
    QCOMPARE(password, "s:cret");
    QCOMPARE(databaseLocation("postgresql://attic/kernels?password=word&user=ann", &password),
             "postgresql://attic/kernels?user=ann");
    QCOMPARE(password, "word");
    QCOMPARE(databaseLocation("postgresql://ann@attic/kernels", &password),
             "postgresql://ann@attic/kernels");
    QVERIFY(password.isNull());
    QCOMPARE(databaseLocation("a.db", &password), QDir::current().absoluteFilePath("a.db"));
    QCOMPARE(databaseTitle("postgresql://ann@attic:5433/kernels"), "kernels on attic");
    QCOMPARE(databaseTitle("/tmp/x/a.db"), "a.db");
    // What could not be taken out is not shown.
    QVERIFY(!databaseLabel("postgresql://ann:word@attic,cellar/kernels").contains("word"));
  }

  void aWorkspaceReadsRecordsRunsAndDetails() {
    const Fixture fixture(40);
    Workspace workspace(fixture.path());
    QVERIFY(waitFor([&] { return workspace.state() == Workspace::State::kReady; }));
    QVERIFY(waitFor([&] { return workspace.records().rowCount() == 80; }));
    QVERIFY(waitFor([&] { return workspace.runs().rowCount() == 2; }));
    QVERIFY(workspace.runs().index(0, RunModel::kWorkload).data().toString().startsWith("shift N"));
    QVERIFY(waitFor([&] { return workspace.runDetail() != nullptr; }));
    QCOMPARE(workspace.runDetail()->points.size(), size_t{40});
    QCOMPARE(workspace.runDetail()->failures.size(), size_t{1});
    QCOMPARE(workspace.runDetail()->funnelText(), "proposed 50  ›  legal 45");
    QVERIFY(workspace.runDetail()->progressText().contains("stopped: enough trials"));

    workspace.selectRecord(workspace.records().idAt(0));
    QVERIFY(waitFor([&] { return workspace.detail() != nullptr; }));
    QCOMPARE(workspace.detail()->title(), "shift N=64 M=64");
    // Many questions at once: only the last is answered.
    QSignalSpy details(&workspace, &Workspace::detailChanged);
    for (int i = 1; i < 40; ++i)
      workspace.selectRecord(workspace.records().idAt(i));
    QVERIFY(waitFor([&] { return workspace.detail() != nullptr; }));
    QCOMPARE(toQString(workspace.detail()->row.id), workspace.records().idAt(39));
  }

  void recordsThatOthersAddAppear() {
    Fixture fixture(5);
    Workspace workspace(fixture.path());
    QVERIFY(waitFor([&] { return workspace.records().rowCount() == 10; }));
    const auto store = fixture.store();
    fixture.addRun(*store, must(store->list_workloads("scale")).front().workload.id, 3);
    QVERIFY(waitFor([&] { return workspace.records().rowCount() == 13; }));
    QVERIFY(waitFor([&] { return workspace.runs().rowCount() == 3; }));
  }

  void aMissingDatabaseIsSaidAndAppearsWhenItIsMade() {
    const Fixture none(-1);
    Workspace workspace(none.path());
    QVERIFY(waitFor([&] { return workspace.state() == Workspace::State::kMissing; }));
    QVERIFY(workspace.message().contains("there is no database"));
    QVERIFY(!QFile::exists(none.path()));
    const Fixture other(4);
    QVERIFY(QFile::copy(other.path(), none.path()));
    QVERIFY(waitFor([&] { return workspace.records().rowCount() == 8; }));
    QVERIFY(workspace.state() == Workspace::State::kReady);
  }

  void anEmptyFileIsLeftAloneUntilSomethingIsRecorded() {
    const Fixture none(-1);
    QFile file(none.path());
    QVERIFY(file.open(QIODevice::WriteOnly));
    file.close();
    Workspace workspace(none.path());
    QVERIFY(waitFor([&] { return workspace.state() == Workspace::State::kMissing; }));
    QVERIFY2(workspace.message().contains("is empty"), qPrintable(workspace.message()));
    QCOMPARE(file.size(), qint64{0});
  }

  void aDatabaseThatVanishesIsSaid() {
    const Fixture fixture(4);
    Workspace workspace(fixture.path());
    QVERIFY(waitFor([&] { return workspace.records().rowCount() == 8; }));
    QVERIFY(QFile::remove(fixture.path()));
    QVERIFY(waitFor([&] { return workspace.state() == Workspace::State::kMissing; }));
  }

  void aServerThatDoesNotAnswerIsSaid() {
    // Nobody listens at this port of this machine.
    for (const char* address :
         {"postgresql://ann@127.0.0.1:1/kernels", "mysql://ann@attic/kernels"}) {
      Workspace workspace(address);
      QVERIFY(waitFor([&] { return workspace.state() == Workspace::State::kBroken; }));
      QVERIFY2(!workspace.message().isEmpty() && !workspace.message().contains('\n'),
               qPrintable(workspace.message()));
    }
  }

  void aFileOfAnotherProgramIsRefusedInASentence() {
    const Fixture none(-1);
    QFile file(none.path());
    QVERIFY(file.open(QIODevice::WriteOnly));
    file.write(QByteArray(4096, 'x'));
    file.close();
    Workspace workspace(none.path());
    QVERIFY(waitFor([&] { return workspace.state() == Workspace::State::kBroken; }));
    QVERIFY2(!workspace.message().isEmpty() && !workspace.message().contains('\n'),
             qPrintable(workspace.message()));
  }

  void aDatabaseOfANewerTemperIsRefusedInASentence() {
    const Fixture fixture(2);
    QFile file(fixture.path());
    QVERIFY(file.open(QIODevice::ReadWrite));
    QVERIFY(file.seek(60)); // user_version in SQLite's header
    QCOMPARE(file.write(QByteArray::fromHex("000003e7")), qint64{4});
    file.close();
    Workspace workspace(fixture.path());
    QVERIFY(waitFor([&] { return workspace.state() == Workspace::State::kBroken; }));
    QVERIFY2(workspace.message().contains("newer version of temper") &&
                 !workspace.message().contains('\n'),
             qPrintable(workspace.message()));
  }

  void aDatabaseThatAnotherProcessKeepsLockedIsRead() {
    const Fixture fixture(4);
    const auto writer = fixture.store();
    Workspace workspace(fixture.path());
    QSignalSpy said(&workspace, &Workspace::said);
    const auto record = must(writer->list_records({})).front().id;
    must(writer->transaction([&]() -> Result<void> {
      must(writer->add(database::Tag{record, "theirs", 0}));
      // Looking goes on; what would write says that it cannot, and why.
      if (!waitFor([&] { return workspace.records().rowCount() == 8; }))
        return Error(ErrorCode::kFailed, "it does not show");
      workspace.selectRecord(toQString(record));
      if (!waitFor([&] { return workspace.detail() != nullptr; }))
        return Error(ErrorCode::kFailed, "no detail");
      workspace.addNote(toQString(record), "mine");
      if (!waitFor([&] { return said.size() == 1; }))
        return Error(ErrorCode::kFailed, "nothing is said");
      return {};
    }));
    QVERIFY2(said[0][1].toBool() && said[0][0].toString().contains("another process"),
             qPrintable(said[0][0].toString()));
    QVERIFY(workspace.state() == Workspace::State::kReady);
    workspace.addNote(toQString(record), "mine");
    QVERIFY(waitFor([&] { return workspace.detail() && workspace.detail()->notes.size() == 1; }));
  }

  void aDatabaseThatMayOnlyBeReadIsShown() {
    const Fixture fixture(4);
    const QFileInfo info(fixture.path());
    const auto look = QFile::ReadOwner | QFile::ReadGroup | QFile::ReadOther;
    QVERIFY(QFile(info.path())
                .setPermissions(look | QFile::ExeOwner | QFile::ExeGroup | QFile::ExeOther));
    QVERIFY(QFile(info.filePath()).setPermissions(look));
    // Root may write anywhere.
    const bool root = ::geteuid() == 0;
    QVERIFY(!root || ::seteuid(65534) == 0);
    {
      Workspace workspace(fixture.path());
      QSignalSpy said(&workspace, &Workspace::said);
      const bool shown = waitFor([&] { return workspace.records().rowCount() == 8; });
      const QString message = workspace.message();
      workspace.addNote(workspace.records().idAt(0), "mine");
      const bool refused = waitFor([&] { return !said.isEmpty(); });
      if (root)
        QCOMPARE(::seteuid(0), 0);
      QVERIFY2(shown, qPrintable(message));
      QVERIFY(refused);
      QVERIFY2(said[0][1].toBool() && !said[0][0].toString().isEmpty(),
               qPrintable(said[0][0].toString()));
    }
    QVERIFY(
        QFile(info.path()).setPermissions(QFile::ReadOwner | QFile::WriteOwner | QFile::ExeOwner));
  }

  void aDatabaseThatMayNotBeReadIsSaid() {
    if (::geteuid() == 0 && ::seteuid(65534) != 0)
      QSKIP("this user may read everything");
    QString message;
    bool broken = false;
    {
      const Fixture fixture(2);
      QVERIFY(QFile(fixture.path()).setPermissions(QFile::WriteOwner));
      Workspace workspace(fixture.path());
      broken = waitFor([&] { return workspace.state() == Workspace::State::kBroken; });
      message = workspace.message();
    }
    if (::getuid() == 0)
      QCOMPARE(::seteuid(0), 0);
    QVERIFY(broken);
    QVERIFY2(!message.isEmpty() && !message.contains('\n'), qPrintable(message));
  }

  void aDatabaseThatIsDamagedIsSaid() {
    const Fixture fixture(200);
    {
      // Pages in the middle; the first ones, by which it is known as a database, are whole.
      QFile file(fixture.path());
      QVERIFY(file.open(QIODevice::ReadWrite));
      const qint64 from = 8 * 4096;
      QVERIFY(file.size() > 2 * from);
      QVERIFY(file.seek(from));
      QVERIFY(file.write(QByteArray(static_cast<int>(file.size() - from), '\x5a')) > 0);
    }
    Workspace workspace(fixture.path());
    QSignalSpy said(&workspace, &Workspace::said);
    QVERIFY(
        waitFor([&] { return workspace.state() == Workspace::State::kBroken || !said.isEmpty(); }));
    const QString words = workspace.state() == Workspace::State::kBroken ? workspace.message()
                                                                         : said[0][0].toString();
    QVERIFY2(words.contains("damaged") && !words.contains('\n'), qPrintable(words));
  }

  void anotherDatabaseOfTheSameNameIsShownInstead() {
    const Fixture fixture(4), other(9);
    Workspace workspace(fixture.path());
    QVERIFY(waitFor([&] { return workspace.records().rowCount() == 8; }));
    QVERIFY(QFile::remove(fixture.path()));
    QFile::remove(fixture.path() + "-wal");
    QFile::remove(fixture.path() + "-shm");
    QVERIFY(QFile::copy(other.path(), fixture.path()));
    QVERIFY(waitFor([&] { return workspace.records().rowCount() == 18; }));
  }

  void aFileThatWasGoneInBetweenIsAnother() {
    const Fixture fixture(2), other(3);
    StoreClient client(fixture.path());
    QSignalSpy replaced(&client, &StoreClient::replaced);
    const auto count = [&] { // -1: it cannot be read
      int records = -2;
      client.ask<size_t>(
          "count", this,
          [](database::Store& store) -> Result<size_t> {
            TEMPER_TRY(rows, store.list_records({}));
            return rows.size();
          },
          [&](const Result<size_t>& found) { records = found ? static_cast<int>(*found) : -1; });
      waitFor([&] { return records != -2; });
      return records;
    };
    QCOMPARE(count(), 4);
    QVERIFY(QFile::remove(fixture.path()));
    QCOMPARE(count(), -1); // asked just then: the next file may have its number
    QCOMPARE(replaced.size(), 0);
    QVERIFY(QFile::copy(other.path(), fixture.path()));
    QCOMPARE(count(), 6);
    QVERIFY(waitFor([&] { return replaced.size() == 1; }));
    QCOMPARE(count(), 6);
    QTest::qWait(0);
    QCOMPARE(replaced.size(), 1);
  }

  void anEngineThatEndsAtOnceIsSaidInTheEditor() {
    const Fixture fixture(2);
    const QByteArray program = qgetenv("TEMPER_PROGRAM");
    qputenv("TEMPER_PROGRAM", "/bin/false");
    EditSession edit(fixture.path());
    QSignalSpy said(&edit, &EditSession::said);
    edit.open(toQString(must(fixture.store()->list_records({})).front().id));
    const bool answered = waitFor([&] { return said.size() == 1; });
    qputenv("TEMPER_PROGRAM", program);
    QVERIFY(answered);
    QVERIFY2(said[0][1].toBool() && said[0][0].toString().contains("ended unexpectedly") &&
                 !said[0][0].toString().contains('\n'),
             qPrintable(said[0][0].toString()));
    QVERIFY(!edit.isOpen() && !edit.isWorking());
  }

  void aRunWhoseProcessDiedIsInterruptedAndCanGoOn() {
    Fixture fixture(4);
    const auto store = fixture.store();
    const auto run =
        fixture.addRun(*store, must(store->list_workloads("scale")).front().workload.id, 3, false);
    Workspace workspace(fixture.path());
    const auto row = [&] { return workspace.runs().find(toQString(run)); };
    QVERIFY(waitFor([&] { return row() != nullptr; }));
    QVERIFY(row()->isLive()); // this process has it
    // The same of a process that is gone.
    QProcess gone;
    gone.start("true", QStringList());
    QVERIFY(gone.waitForStarted());
    const qint64 pid = gone.processId();
    QVERIFY(gone.waitForFinished());
    database::Run dead = must(store->run(run));
    dead.id.clear();
    dead.seed += 1000;
    dead.owner.pid = pid;
    dead.updated_at += 1;
    dead.state = database::RunState::kRunning;
    const auto imported = must(store->import_run(dead));
    const auto other = [&] { return workspace.runs().find(toQString(imported)); };
    QVERIFY(waitFor([&] { return other() != nullptr; }));
    QVERIFY(!other()->isLive() && other()->canResume());
  }

  void storedRecordsAreComparedWithTheirIntervals() {
    const Fixture fixture(40);
    const auto store = fixture.store();
    std::vector<RecordDetail> scale, shift;
    for (const auto& row : must(store->list_records({})))
      (row.workload_name == "scale" ? scale : shift).push_back(must(loadDetail(*store, row.id)));
    // Newest first: the last trial is the fastest.
    const RecordDetail& fast = scale.front();
    const RecordDetail& slow = scale.back();
    const StoredComparison slower = compareStored(fast, slow);
    QVERIFY2(slower.comparable && slower.low > 1,
             qPrintable(slower.sentence + fast.verdict() + slow.verdict()));
    QVERIFY2(slower.sentence.startsWith("▼ B is slower"), qPrintable(slower.sentence));
    QVERIFY(compareStored(slow, fast).sentence.startsWith("▲ B is faster"));
    QVERIFY(compareStored(fast, fast).sentence.startsWith("The same candidate"));
    RecordDetail throttled = slow;
    QVERIFY(!slower.sentence.contains("GHz"));
    throttled.measurement.timing_json = R"({"clock_ghz":2.1})";
    QVERIFY(!compareStored(fast, throttled).sentence.contains("GHz")); // of one nothing is known
    RecordDetail cool = fast;
    cool.measurement.timing_json = R"({"clock_ghz":3.4})";
    QVERIFY2(compareStored(cool, throttled).sentence.contains("3.40 GHz for A and at 2.10 GHz"),
             qPrintable(compareStored(cool, throttled).sentence));
    const StoredComparison other = compareStored(fast, shift.front());
    QVERIFY(!other.comparable);
    QVERIFY2(other.sentence.contains("different things"), qPrintable(other.sentence));
    RecordDetail cold = slow;
    cold.row.regime = database::TimingRegime::kCold;
    cold.row.environment_class = "cpu:other/8";
    QVERIFY(compareStored(fast, cold).sentence.contains("cold"));
    QVERIFY(compareStored(fast, cold).sentence.contains("different machines"));
    RecordDetail crashed = slow;
    crashed.row.median_ns = database::kUnknown;
    crashed.row.outcome = database::Outcome::kCrashed;
    QVERIFY(compareStored(fast, crashed).sentence.contains("has no time (crashed)"));
  }

  void theBestIsSaidToBeChosenByFinalMeasurements() {
    const Fixture fixture(5);
    const auto store = fixture.store();
    RecordDetail detail = must(loadDetail(*store, must(store->list_records({})).front().id));
    detail.best = detail.row;
    QCOMPARE(detail.verdict(), "the best of its kind");
    detail.row.purpose = database::Purpose::kConfirm;
    detail.best = detail.row;
    QCOMPARE(detail.verdict(), "the best of its kind by the final measurements");
    // A number of the search that is shorter is not the best, and says why.
    detail.best->id = "m00000000000000aa";
    detail.best->candidate = "c00000000000000aa";
    detail.best->median_ns = 2 * detail.row.median_ns;
    detail.row.purpose = database::Purpose::kSearch;
    QVERIFY2(detail.verdict().startsWith("0.500\u00a0× the time of the best, m0000000 (a number of "
                                         "the search alone"),
             qPrintable(detail.verdict()));
    detail.best->median_ns = detail.row.median_ns / 2;
    QVERIFY2(detail.verdict().endsWith("the time of the best, m0000000"),
             qPrintable(detail.verdict()));
  }

  void textsForAmdsGpusAreCalledWhatTheyAre() {
    const QString amd = QStringLiteral("hip:gfx942"), nvidia = QStringLiteral("cuda:sm_90a");
    QCOMPARE(levelTitle(CodeLevel::kCuda, nvidia), "CUDA C++");
    QCOMPARE(levelTitle(CodeLevel::kCuda, amd), "HIP C++");
    QCOMPARE(levelTitle(CodeLevel::kPtx, amd), "GCN assembly");
    QCOMPARE(levelTitle(CodeLevel::kTir, amd), levelTitle(CodeLevel::kTir));
    QVERIFY(hasLevel(amd, CodeLevel::kCuda) && !hasLevel(amd, CodeLevel::kAssembly));
    RecordDetail detail;
    detail.row.target = amd.toStdString();
    detail.measurement.facts_json = R"({"registers":64,"instructions":210,"resident_blocks":2,
      "shared_bytes":0,"limited_by":"registers","operations":{"mfma":8}})";
    QStringList words;
    for (const RecordDetail::Fact& fact : detail.facts())
      words << fact.name + u'=' + fact.value;
    QVERIFY2(words.contains("occupancy=2 blocks on a compute unit, by its registers") &&
                 words.contains("GCN assembly=8 mfma"),
             qPrintable(words.join(u'\n')));
  }

  void aRecordSaysWhichTemperMadeItAndWhatAGpuNeeds() {
    const Fixture fixture(5);
    const auto store = fixture.store();
    RecordDetail detail = must(loadDetail(*store, must(store->list_records({})).front().id));
    const auto fact = [&](const char* name) {
      for (const RecordDetail::Fact& one : detail.facts())
        if (one.name == QLatin1StringView(name))
          return one.value;
      return QString();
    };
    QCOMPARE(fact("temper"), "");
    QCOMPARE(fact("command"), "temper tune scale --trials 5");
    detail.run.options_json = "{\"temper\":\"0.1.0 (78d661a29c)\"}";
    QCOMPARE(fact("temper"), "0.1.0 (78d661a29c)");
    detail.toolchain.json = R"({"compiler":"NVRTC 13.0 codegen 5","target":"cuda:sm_90a"})";
    QVERIFY2(fact("compiler").startsWith("NVRTC 13.0 codegen 5, t"), qPrintable(fact("compiler")));
    QCOMPARE(fact("occupancy"), "");
    detail.measurement.facts_json =
        R"({"code_bytes":9,"instructions":1200,"registers":64,"shared_bytes":16384,"spills":0,)"
        R"("spilled_bytes":8,"resident_blocks":4,"limited_by":"registers",)"
        R"("operations":{"wgmma":4,"cp.async":12},"warnings":["serialised"]})";
    QCOMPARE(fact("machine code"), "1,200 instructions, 64 registers of a thread, 16,384 bytes of "
                                   "shared memory, 8 bytes spilled");
    QCOMPARE(fact("occupancy"), "4 blocks on a multiprocessor, by its registers");
    QCOMPARE(fact("PTX"), "4 wgmma, 12 cp.async");
    QCOMPARE(fact("warning"), "serialised");
    QCOMPARE(fact("inner loops"), "");
    detail.row.target = "cuda:sm_90a";
    QCOMPARE(fact("target"), "cuda:sm_90a");
    detail.measurement.compile_ms = 41.5;
    detail.measurement.measure_ms = database::kUnknown;
    QCOMPARE(fact("cost"), "41.5 ms to compile");
    detail.row.median_ns = database::kUnknown;
    detail.row.outcome = database::Outcome::kChecked;
    detail.measurement.error.clear();
    QVERIFY2(detail.verdict().startsWith("checked: right where it was emulated"),
             qPrintable(detail.verdict()));
  }

  void whatAModelForesawIsSaidOfBatchesThatAreLargeEnough() {
    database::ModelQuality batch;
    QCOMPARE(foreseenText(batch), "");
    batch.top_recall = 0;
    batch.top_k = 1;
    QCOMPARE(foreseenText(batch), "");
    batch.top_k = 4;
    batch.top_recall = 0.5;
    QCOMPARE(foreseenText(batch), "2 of the batch's best 4 were foreseen");
    batch.top_recall = 0.25;
    QCOMPARE(foreseenText(batch), "1 of the batch's best 4 was foreseen");
    RunDetail run;
    QCOMPARE(run.modelText(), "");
    batch.rank_correlation = 0.5;
    run.quality = {batch};
    QCOMPARE(run.modelText(), "rank correlation 0.50, 1 of the batch's best 4 was foreseen");
    database::ModelQuality last = batch; // a short one at the end
    last.batch = 1;
    last.top_k = 1;
    last.top_recall = 0;
    last.rank_correlation = 0.87;
    run.quality.push_back(last);
    QCOMPARE(run.modelText(),
             "rank correlation 0.50, 1 of the batch's best 4 was foreseen (batch 1, "
             "the last of many candidates)");
    run.quality = {last};
    QCOMPARE(run.modelText(), "rank correlation 0.87, of a few candidates");
  }

  void wordsAreCountedInTexts() {
    QCOMPARE(occurrences("vfmadd VFMADD vfm", "vfmadd"), 2);
    QCOMPARE(occurrences("aaa", ""), 0);
    QCOMPARE(occurrences("", "a"), 0);
  }

  void decisionsThatDifferAreNamedByWhatUsesThem() {
    const auto program = [](const char* tile, const char* unroll, const char* more = "") {
      return std::string(R"([[["GetSBlock",[],["C","main"],["b0"]],["GetLoops",["b0"],[],["l1"]],)"
                         R"(["SamplePerfectTile",["l1"],[2,64],["v2","v3"]],)"
                         R"(["Split",["l1","v2","v3"],[1,0],["l4","l5"]],)"
                         R"(["SampleCategorical",[],[[0,16,64],[0.3,0.3,0.4]],["v6"]],)"
                         R"(["Annotate",["b0","v6"],["unroll"],[]])") +
             more + R"(,["EnterPostproc",[],[],[]]],[[2,)" + tile + "],[4," + unroll + "]]]";
    };
    QCOMPARE(changedDecisions(program("[8,2]", "1"), program("[4,4]", "2")),
             (QStringList{"split(l1): [8, 2] → [4, 4]", "annotate unroll: 16 → 64"}));
    QCOMPARE(changedDecisions(program("[8,2]", "1"), program("[8,2]", "1")), QStringList());
    const QStringList other = changedDecisions(
        program("[8,2]", "1"), program("[8,2]", "1", R"(,["Parallel",["l4"],[],[]])"));
    QCOMPARE(other.size(), 1);
    QVERIFY2(other[0].contains("0 of A's are not in B, 1 of B's"), qPrintable(other[0]));
    const QStringList annotated =
        changedDecisions(program("[8,2]", "1", R"(,["Annotate",["b0",[0,1]],["k"],[]])"),
                         program("[8,2]", "1", R"(,["Annotate",["b0",[1,0]],["k"],[]])"));
    QCOMPARE(annotated.size(), 1);
    QVERIFY2(annotated[0].contains("1 of A's are not in B, 1 of B's"), qPrintable(annotated[0]));
    QCOMPARE(changedDecisions("no json", program("[8,2]", "1")), QStringList());
    QCOMPARE(changedDecisions("[[[1]],[]]", program("[8,2]", "1")), QStringList());
  }

  void aComparisonAsAPageEscapesWhatItShows() {
    const Fixture fixture(2);
    const auto store = fixture.store();
    const auto rows = must(store->list_records({}));
    const RecordDetail a = must(loadDetail(*store, rows[0].id));
    RecordDetail b = must(loadDetail(*store, rows[1].id));
    b.measurement.error = "<script>alert(1)</script>";
    const QString html =
        comparisonHtml({a,
                        b,
                        "B & A",
                        "",
                        {"Split(l1): [8, 2] → [4, 4]"},
                        {{"Machine <code>", {}, {{"spills", "0", "3", {}, 0, {}}}}},
                        "tir",
                        sideBySide("x < y\nsame", "x > y\nsame", false)});
    QVERIFY(html.contains("<h1>B &amp; A</h1>"));
    QVERIFY(html.contains("<tr class=\"changed\"><td>x &lt; y</td><td>x &gt; y</td></tr>"));
    QVERIFY(!html.contains("<script>") && !html.contains("<code>"));
    QVERIFY(html.contains("Machine &lt;code&gt;") && html.contains("<td>spills</td><td>0</td>"));
    QVERIFY(html.contains(toQString(rows[0].id)) && html.contains(toQString(rows[1].id)));
  }

  void anIdMayBeTypedInPart() {
    const Fixture fixture(5);
    Workspace workspace(fixture.path());
    QVERIFY(waitFor([&] { return workspace.records().rowCount() == 10; }));
    const QString id = workspace.records().idAt(3);
    QSignalSpy found(&workspace, &Workspace::idFound);
    QSignalSpy said(&workspace, &Workspace::said);
    workspace.selectByPrefix(id.left(9));
    QVERIFY(waitFor([&] { return found.size() == 1; }));
    QCOMPARE(workspace.selectedRecord(), id);
    workspace.selectByPrefix("mffffffffff");
    QVERIFY(waitFor([&] { return said.size() == 1; }));
    QVERIFY(said[0][1].toBool());
  }

  void schedulesThatWereTriedAreATree() {
    EditHistory history;
    const QAbstractItemModelTester tester(&history,
                                          QAbstractItemModelTester::FailureReportingMode::QtTest);
    const auto add = [&](const char* label) {
      EditNode node;
      node.label = node.trace = QString::fromLatin1(label);
      history.add(std::move(node));
    };
    add("start");
    QVERIFY(!history.canUndo() && !history.canRedo());
    add("a");
    add("ab");
    QCOMPARE(history.current()->parent, 1);
    history.goTo(0);
    QVERIFY(history.canRedo());
    add("c");
    QCOMPARE(history.current()->parent, 0);
    QCOMPARE(history.index(3, EditHistory::kNumber).data().toString(), "▸ 3 ← 0");
    history.goTo(0);
    QCOMPARE(history.current()->redo, 3); // the way one was last
    add("a");                             // has been tried
    QCOMPARE(history.rowCount(), 4);
    QCOMPARE(history.currentRow(), 1);
    history.goTo(0);
    QCOMPARE(history.current()->redo, 1);
    // What has children or a number is not typed over.
    EditNode typed;
    typed.trace = "typed";
    QVERIFY(!history.amend(typed));
    history.goTo(3);
    QVERIFY(history.amend(typed));
    QCOMPARE(history.rowCount(), 4);
    EditNode done = *history.current();
    done.outcome = "ok";
    done.medianNs = 500;
    history.changed(3, done);
    QVERIFY(!history.amend(typed));
    EditNode first = history.nodes().front();
    first.medianNs = 1000;
    history.changed(0, first);
    QCOMPARE(history.index(3, EditHistory::kTime).data().toString(), "500 ns");
    QCOMPARE(history.index(3, EditHistory::kRatio).data().toString(), "0.500×");
  }

  void aScheduleIsMadeStepByStep() {
    const Fixture fixture(5);
    EditSession edit(fixture.path());
    QSignalSpy said(&edit, &EditSession::said);
    const auto idle = [&] { return waitFor([&] { return !edit.isWorking(); }); };
    edit.open(toQString(must(fixture.store()->list_records({})).front().id));
    QVERIFY(waitFor([&] { return edit.isOpen() && !edit.text().isEmpty(); }));
    QCOMPARE(edit.title(), "shift N=64 M=64");
    QStringList outline;
    for (const EditSession::Place& place : edit.places())
      outline << QString(place.depth, u'-') + place.text;
    QCOMPARE(outline.join(' '), "block root -for i in 64 --for j in 64 ---block B");
    // A click on a line of the text means its loop.
    const QStringList lines = edit.text().split('\n');
    const int grid = static_cast<int>(lines.indexOf(QRegularExpression(".*T\\.grid.*")));
    QVERIFY2(grid >= 0, qPrintable(edit.text()));
    QCOMPARE(edit.placeAt(grid, "i"), 1);
    QCOMPARE(edit.placeAt(grid, "j"), 2);
    QCOMPARE(edit.placeAt(0, ""), -1);
    QCOMPARE(edit.linesOfPlaces()[2], grid);

    edit.selectPlace(2);
    QVERIFY(waitFor([&] { return !edit.steps().empty(); }));
    const auto step = [&](const QString& primitive) {
      for (size_t i = 0; i < edit.steps().size(); ++i)
        if (edit.steps()[i].primitive == primitive && !edit.steps()[i].lines.isEmpty())
          return static_cast<int>(i);
      return -1;
    };
    QVERIFY(step("Vectorize") >= 0);
    QVERIFY2(edit.steps()[static_cast<size_t>(step("Vectorize"))].text().startsWith("vectorize("),
             qPrintable(edit.steps()[static_cast<size_t>(step("Vectorize"))].text()));
    const QString before = edit.trace();
    edit.apply(step("Vectorize"));
    QVERIFY(idle());
    QVERIFY2(edit.text().contains("T.vectorized(64)"), qPrintable(edit.text()));
    QVERIFY(edit.trace().startsWith(before) && edit.trace().contains("sch.vectorize("));
    QCOMPARE(edit.place(), 2); // still j
    const QString after = edit.trace();
    edit.undo();
    QVERIFY(idle());
    QCOMPARE(edit.trace(), before);
    QVERIFY(!edit.text().contains("vectorized"));
    edit.redo();
    QVERIFY(idle());
    QCOMPARE(edit.trace(), after);

    // What is typed wrong is said, and nothing is lost.
    edit.setTrace(after + "sch.unroll(loop=l99)\n");
    QVERIFY(idle());
    QVERIFY2(edit.error().contains("l99"), qPrintable(edit.error()));
    QCOMPARE(edit.history().rowCount(), 2);
    edit.setTrace(after + "sch.unroll(loop=l99");
    QVERIFY(idle());
    QVERIFY(!edit.error().isEmpty());
    edit.setTrace(after + "# nothing new\n");
    QVERIFY(idle());
    QVERIFY(edit.error().isEmpty());
    QCOMPARE(edit.history().rowCount(), 2);
    edit.setTrace(before + "b9 = sch.get_sblock(name=\"B\", func_name=\"main\")\n");
    QVERIFY(idle());
    QVERIFY2(edit.error().isEmpty(), qPrintable(edit.error()));
    QCOMPARE(edit.history().rowCount(), 3);
    // Typing on replaces what was being typed.
    edit.setTrace(before + "b9 = sch.get_sblock(name=\"root\", func_name=\"main\")\n");
    QVERIFY(idle());
    QCOMPARE(edit.history().rowCount(), 3);

    edit.setLevel(CodeLevel::kAssembly);
    QVERIFY(waitFor([&] { return edit.text().contains("ret"); }));
    QVERIFY(said.isEmpty());
    // A schedule gets a name of its own.
    EditHistory& history = edit.history();
    QVERIFY(history.setData(history.index(0, EditHistory::kStep), " start ", Qt::EditRole));
    QVERIFY(history.index(0, EditHistory::kStep).data().toString().startsWith("start — "));
    edit.open("mfffffffff");
    QVERIFY(waitFor([&] { return said.size() == 1; }));
    QVERIFY(said[0][1].toBool());
  }

  void theTreeOfSchedulesComesBack() {
    const Fixture fixture(5);
    const QString start = toQString(must(fixture.store()->list_records({})).front().id);
    Json kept;
    QString trace;
    {
      EditSession edit(fixture.path());
      QVERIFY(edit.kept().is_null());
      edit.open(start);
      QVERIFY(waitFor([&] { return edit.isOpen() && !edit.decisions().empty(); }));
      edit.sweep(0);
      QVERIFY(waitFor([&] { return edit.sweepPoints().size() == 4; }));
      edit.takeSweep(edit.sweepPoints()[0].current ? 1 : 0);
      QVERIFY(waitFor([&] { return !edit.isWorking(); }));
      edit.setLocked(0, true);
      QVERIFY(edit.history().setData(edit.history().index(1, EditHistory::kStep), "mine",
                                     Qt::EditRole));
      edit.undo();
      QVERIFY(waitFor([&] { return !edit.isWorking(); }));
      trace = edit.trace();
      kept = parse_json(edit.kept().dump()).value();
    }
    EditSession edit(fixture.path());
    QSignalSpy opened(&edit, &EditSession::opened);
    QVERIFY(edit.restore(kept));
    // It is there without anything being compiled, until somebody looks.
    QVERIFY(edit.isOpen() && !edit.isWorking() && opened.isEmpty());
    QCOMPARE(edit.title(), "shift N=64 M=64");
    QCOMPARE(edit.startRecord(), start);
    QCOMPARE(edit.history().rowCount(), 2);
    QCOMPARE(edit.history().currentRow(), 0);
    QCOMPARE(edit.history().nodes()[1].name, "mine");
    QCOMPARE(edit.trace(), trace);
    QVERIFY(edit.kept() == kept);
    edit.wake();
    QVERIFY(waitFor([&] { return !edit.isWorking() && !edit.text().isEmpty(); }));
    QVERIFY(edit.decisions()[0].locked);
    QVERIFY(edit.history().canRedo());
    edit.redo();
    QVERIFY(waitFor([&] { return !edit.isWorking(); }));
    QVERIFY(edit.trace() != trace);
    // What was damaged is not taken up, and leaves what is there alone.
    const auto damaged = [&](const std::function<void(Json&)>& damage) {
      Json copy = kept;
      damage(copy);
      return copy;
    };
    for (const Json& wrong :
         {Json(), Json(3), Json::object(), damaged([](Json& json) { json["current"] = 2; }),
          damaged([](Json& json) { json["nodes"] = Json::array(); }),
          damaged([](Json& json) { json["nodes"][1]["parent"] = 1; }),
          damaged([](Json& json) { json["nodes"][0]["redo"] = 0; }),
          damaged([](Json& json) { json["nodes"][1] = "x"; }),
          damaged([](Json& json) { json["subject"] = 7; })}) {
      QVERIFY2(!edit.restore(wrong), wrong.dump().c_str());
      QCOMPARE(edit.history().rowCount(), 2);
    }
  }

  void whatIsOpenIsKeptInAFile() {
    const QString name = "/tmp/of a test " + QString::number(QCoreApplication::applicationPid());
    int value = 1;
    QString file;
    {
      KeptState state(name, [&] { return Json{{"value", value}}; });
      file = state.file();
      QVERIFY(state.read().empty());
      state.touch();
      QVERIFY(waitFor([&] { return QFile::exists(file); }));
      value = 2;
      state.write();
    }
    const KeptState again(name, [] { return Json(); });
    QCOMPARE(again.read().value("value", 0), 2);
    QFile broken(file);
    QVERIFY(broken.open(QIODevice::WriteOnly));
    broken.write("{ half");
    broken.close();
    QVERIFY(again.read().empty());
    QVERIFY(QFile::remove(file));
  }

  void whatLimitsARecordCanBeTriedInTheEditor() {
    const Fixture fixture(5);
    // Rows innermost: it goes through memory in strides, as far as the sampled factor says.
    const QString record = fixture.recordOf(
        R"([[["GetSBlock",[],["B","main"],["b0"]],["GetLoops",["b0"],[],["l1","l2"]],)"
        R"(["SamplePerfectTile",["l1"],[2,64],["v3","v4"]],["Split",["l1","v3","v4"],[1,0],)"
        R"(["l5","l6"]],["Reorder",["l2","l6"],[],[]]],[[2,[1,64]]]])");
    LimitsQuestion question(fixture.path());
    question.ask(record);
    QVERIFY(question.isBusy());
    QVERIFY(waitFor([&] { return !question.isBusy(); }));
    const LimitsAnswer* answer = question.answer();
    QVERIFY(answer && answer->error.isEmpty());
    // The fixture's machine is none: what it allows is not known, its code is.
    QVERIFY(answer->machine.empty() && !answer->unknown.isEmpty());
    QVERIFY2(answer->unknown[0].contains("another machine"), qPrintable(answer->unknown[0]));
    const auto step = std::find_if(answer->findings.begin(), answer->findings.end(),
                                   [](const auto& f) { return !f.step.trace.isEmpty(); });
    QVERIFY(step != answer->findings.end());
    QCOMPARE(step->step.record, record);
    EditSession edit(fixture.path());
    QSignalSpy said(&edit, &EditSession::said);
    edit.openWith(step->step);
    QVERIFY(waitFor([&] { return edit.isOpen() && !edit.isWorking() && !edit.text().isEmpty(); }));
    QCOMPARE(edit.history().rowCount(), 2);
    QCOMPARE(edit.history().currentRow(), 1);
    QCOMPARE(edit.history().current()->label, step->step.label);
    QVERIFY2(edit.error().isEmpty() && said.isEmpty(), qPrintable(edit.error()));
    // Asked again it is known; another one is asked for; one that is not there is an error.
    question.ask("mfffffffffffffff");
    QVERIFY(waitFor([&] { return !question.isBusy(); }));
    QVERIFY(question.answer() && !question.answer()->error.isEmpty());
    question.ask(record);
    QVERIFY(!question.isBusy() && question.answer()->error.isEmpty());
  }

  void timesInSentencesStayWithTheirUnits() {
    const LimitsAnswer limits = limitsAnswer(
        QStringLiteral("m1"),
        parse_json(R"({"sentences":["the estimate says 148.95 us, twice 7 ms; it must be us"],
          "machine":[{"what":"L2","share":0.5,"evidence":"19.31 us"}]})")
            .value());
    QCOMPARE(limits.sentences.front(),
             "the estimate says 148.95\u00a0µs, twice 7\u00a0ms; it must be us");
    QCOMPARE(limits.machine.front().evidence, "19.31\u00a0µs");
  }

  void figuresOfTheMachineAreKeptForTheNextWindow() {
    QTemporaryDir folder;
    const QByteArray before = qgetenv("TEMPER_CACHE");
    qputenv("TEMPER_CACHE", folder.path().toLocal8Bit());
    const auto restored = qScopeGuard(
        [&] { before.isNull() ? qunsetenv("TEMPER_CACHE") : qputenv("TEMPER_CACHE", before); });
    const Fixture fixture(2);
    // Measuring takes half a second of a processor, and a busy machine may give it that over
    // minutes: until it is answered, or said why not.
    constexpr int kAsLongAsItTakes = 500'000;
    QString problem;
    const auto figure = [&]() -> double {
      RecordModel records;
      Analysis analysis(records, fixture.path());
      QSignalSpy answered(&analysis, &Analysis::machineChanged);
      analysis.needMachine();
      waitFor([&] { return !answered.isEmpty(); }, kAsLongAsItTakes);
      problem = analysis.message();
      return analysis.machine() ? analysis.machine()->flops : -1;
    };
    const double measured = figure();
    QVERIFY2(measured >= 0, qPrintable(problem));
    const QStringList files = QDir(folder.path()).entryList(QDir::Files);
    QCOMPARE(files.size(), 1);
    QFile file(folder.filePath(files[0]));
    QVERIFY(file.open(QIODevice::ReadWrite));
    Json kept = parse_json(file.readAll().toStdString()).value();
    QCOMPARE(kept.value("f32_flops", 0.0), measured);
    // Figures that no machine has show that they were read and not measured.
    kept["f32_flops"] = 4321e9;
    file.resize(0);
    file.seek(0);
    file.write(QByteArray::fromStdString(kept.dump()));
    file.close();
    QCOMPARE(figure(), 4321e9);
  }

  void aDecisionIsSweptTakenAndLocked() {
    const Fixture fixture(5);
    EditSession edit(fixture.path());
    edit.open(toQString(must(fixture.store()->list_records({})).front().id));
    QVERIFY(waitFor([&] { return edit.isOpen() && !edit.decisions().empty(); }));
    QCOMPARE(edit.decisions().size(), size_t{1});
    QVERIFY(edit.decisions()[0].canSweep);
    const QString value = edit.decisions()[0].value;
    edit.sweep(0);
    QCOMPARE(edit.swept(), 0);
    QVERIFY(waitFor([&] { return edit.sweepPoints().size() == 4; }));
    QStringList values;
    int current = -1;
    for (size_t i = 0; i < 4; ++i) {
      const EditSession::SweepPoint& point = edit.sweepPoints()[i];
      values << point.value;
      QVERIFY2(point.estimateNs > 0 && !point.trace.isEmpty(), qPrintable(point.reason));
      if (point.current)
        current = static_cast<int>(i);
    }
    QCOMPARE(values.join(' '), "1 2 4 8");
    QVERIFY(current >= 0);
    QCOMPARE(values[current], value);
    // The others are a click away, and are schedules of the tree.
    const int other = (current + 1) % 4;
    edit.takeSweep(other);
    QVERIFY(waitFor([&] { return !edit.isWorking(); }));
    QCOMPARE(edit.history().rowCount(), 2);
    QCOMPARE(edit.decisions()[0].value, values[other]);
    QVERIFY(edit.sweepPoints()[static_cast<size_t>(other)].current);
    edit.undo();
    QVERIFY(waitFor([&] { return !edit.isWorking(); }));
    QCOMPARE(edit.decisions()[0].value, value);
    QCOMPARE(edit.swept(), -1); // it was of another schedule
    // A search from a measured schedule keeps what is locked.
    edit.setLocked(0, true);
    QVERIFY(edit.decisions()[0].locked);
    const RunPlan plan = edit.searchPlan();
    if (edit.history().current()->outcome == "ok") {
      QCOMPARE(plan.from, edit.startRecord());
      QCOMPARE(plan.locks, QStringList("v1"));
      QVERIFY(plan.arguments().join(' ').contains("--from m") &&
              plan.arguments().join(' ').endsWith("--lock v1"));
    }
  }

  void theKnobsOfATileProgramAreAForm() {
    const Fixture fixture(2);
    EditSession edit(fixture.path());
    edit.openWorkload("matmul_tile", "M=64 N=64 K=64");
    QVERIFY(waitFor([&] { return edit.isOpen() && edit.hasKnobs(); }));
    QVERIFY(edit.places().empty());
    QVERIFY2(edit.text().contains("T.Kernel"), qPrintable(edit.text()));
    const auto estimated = [&] {
      return !edit.knobs().empty() && edit.knobs()[0].choices.size() > 1 &&
             std::any_of(edit.knobs()[0].choices.begin(), edit.knobs()[0].choices.end(),
                         [](const auto& choice) { return choice.estimateNs > 0; });
    };
    QVERIFY(waitFor(estimated));
    const EditSession::Knob knob = edit.knobs()[0];
    QCOMPARE(knob.name, "block_M");
    const int now = knob.chosen();
    QVERIFY(now >= 0);
    int other = -1;
    for (size_t i = 0; i < knob.choices.size(); ++i) {
      const EditSession::SweepPoint& choice = knob.choices[i];
      QVERIFY2(choice.trace.isEmpty() != choice.reason.isEmpty(), qPrintable(choice.value));
      if (static_cast<int>(i) != now && !choice.trace.isEmpty())
        other = static_cast<int>(i);
    }
    QVERIFY(other >= 0);
    edit.takeKnob(0, other);
    QVERIFY(waitFor([&] { return !edit.isWorking() && edit.knobs()[0].chosen() == other; }));
    QCOMPARE(edit.history().rowCount(), 2);
    QCOMPARE(edit.history().current()->label,
             "block_M = " + knob.choices[static_cast<size_t>(other)].value);
    QVERIFY(edit.history().current()->estimateNs > 0);
    edit.setLevel(CodeLevel::kLlvm);
    QVERIFY(waitFor([&] { return edit.text().contains("define"); }));
    edit.undo();
    QVERIFY(waitFor([&] { return !edit.isWorking() && edit.knobs()[0].chosen() == now; }));
  }

  void theLibraryIsTheBestOfEachKernelThatIsNotStale() {
    const auto best = [](const char* name, double ns, bool stale, int threads = 1) {
      database::RecordRow record = row(static_cast<int>(ns), "w1", ns);
      record.workload_name = name;
      record.stale = stale;
      record.threads = threads;
      return record;
    };
    LibraryModel model;
    const QAbstractItemModelTester tester(&model,
                                          QAbstractItemModelTester::FailureReportingMode::QtTest);
    model.setRows(libraryRows({best("b", 900, true), best("a", 500, true), best("a", 700, false),
                               best("a", 300, false, 2)},
                              {{"w1", "kernel"}}));
    QCOMPARE(model.rowCount(), 3);
    QCOMPARE(model.rows()[0].record.median_ns, 700.0);
    QVERIFY(model.rows()[0].included && !model.rows()[2].included);
    QVERIFY(model.rows()[2].stateText().startsWith("stale"));
    QCOMPARE(model.problem("kernels"), QString());
    QVERIFY(!model.problem("my kernels").isEmpty());
    QVERIFY(model.setData(model.index(0, LibraryModel::kName), "fast_a", Qt::EditRole));
    QVERIFY(model.setData(model.index(2, LibraryModel::kKernel), Qt::Checked, Qt::CheckStateRole));
    const QString words = model.arguments("kernels", "out").join(' ');
    QVERIFY2(words.startsWith("export --name kernels --out out --stale fast_a:=m"),
             qPrintable(words));
    QVERIFY(model.setData(model.index(1, LibraryModel::kName), "fast_a", Qt::EditRole));
    QVERIFY(model.problem("kernels").contains("fast_a"));
    for (int i = 0; i < 3; ++i)
      QVERIFY(
          model.setData(model.index(i, LibraryModel::kKernel), Qt::Unchecked, Qt::CheckStateRole));
    QVERIFY(!model.problem("kernels").isEmpty());
  }

  void theSessionThatDiesIsSaidAndStartedAgain() {
    const Fixture fixture(2);
    TemperSession session(fixture.path());
    QStringList errors;
    const auto note = [&](const Json&, const QString& error) { errors << error; };
    session.ask("a", Json{{"do", "fly"}}, note);
    QVERIFY(waitFor([&] { return errors.size() == 1; }));
    QVERIFY2(errors[0].contains("'fly'"), qPrintable(errors[0]));
    session.ask("a", Json{{"do", "open"}, {"workload", "matmul"}}, note);
    session.findChild<QProcess*>()->kill();
    QVERIFY(waitFor([&] { return errors.size() == 2; }));
    QVERIFY(!errors[1].isEmpty());
    QVERIFY(!session.isBusy());
    session.ask("a", Json{{"do", "swim"}}, note);
    QVERIFY(waitFor([&] { return errors.size() == 3; }));
    QVERIFY2(errors[2].contains("'swim'"), qPrintable(errors[2]));
  }

  void aNewerQuestionTakesThePlaceOfTheOneBefore() {
    const Fixture fixture(2);
    TemperSession session(fixture.path());
    QStringList answered;
    for (const char* name : {"one", "two", "three"})
      session.ask("tag", Json{{"do", name}},
                  [&answered, name](const Json&, const QString&) { answered << name; });
    session.ask("other", Json{{"do", "x"}},
                [&](const Json&, const QString&) { answered << "other"; });
    QVERIFY(waitFor([&] { return answered.size() == 2; }));
    QCOMPARE(answered, (QStringList{"three", "other"}));
    QVERIFY(waitFor([&] { return !session.isBusy(); }));
  }

  void aQueryShowsOnlyWhatItFinds() {
    Fixture fixture(40);
    Workspace workspace(fixture.path());
    QVERIFY(waitFor([&] { return workspace.records().rowCount() == 80; }));
    workspace.setQuery("outcome = crashed and workload = scale");
    QVERIFY(waitFor([&] { return workspace.records().rowCount() == 6; }));
    // With the filter row, and with what arrives later.
    workspace.records().setFilter(filter(RecordColumn::kWorkload, "shift"));
    QVERIFY(waitFor([&] { return workspace.records().rowCount() == 0; }));
    workspace.records().setFilter({});
    const auto store = fixture.store();
    fixture.addRun(*store, must(store->list_workloads("scale")).front().workload.id, 5);
    QVERIFY(waitFor([&] { return workspace.records().rowCount() == 7; }));
    workspace.setQuery("outcom = crashed");
    QVERIFY(waitFor([&] { return !workspace.queryError().isEmpty(); }));
    QVERIFY2(workspace.queryError().contains("outcome"), qPrintable(workspace.queryError()));
    QCOMPARE(workspace.records().rowCount(), 7); // as before
    workspace.setQuery({});
    QVERIFY(waitFor([&] { return workspace.records().rowCount() == 85; }));
    QVERIFY(workspace.queryError().isEmpty());
  }

  void aBaselineReplacesTheOneOfItsKindAndIsTakenBack() {
    const Fixture fixture(5);
    Workspace workspace(fixture.path());
    QVERIFY(waitFor([&] { return workspace.records().rowCount() == 10; }));
    // Two of one kind that have times.
    QStringList ids;
    RecordModel& model = workspace.records();
    for (int r = 0; r < model.rowCount(); ++r)
      if (model.recordAt(r)->medianNs > 0 && model.recordAt(r)->series == model.recordAt(0)->series)
        ids << model.idAt(r);
    QVERIFY(ids.size() >= 2);
    workspace.toggleBaseline(ids[0]);
    QVERIFY(waitFor([&] { return workspace.isBaseline(ids[0]); }));
    QVERIFY(waitFor([&] { return workspace.baselineFor(ids[1]) != nullptr; }));
    QCOMPARE(workspace.ratioOf(ids[0]), "baseline");
    QVERIFY2(workspace.ratioOf(ids[1]).endsWith("×"), qPrintable(workspace.ratioOf(ids[1])));
    workspace.togglePin(ids[0]);
    workspace.toggleBaseline(ids[1]);
    QVERIFY(waitFor([&] { return workspace.isBaseline(ids[1]) && workspace.isPinned(ids[0]); }));
    QVERIFY(!workspace.isBaseline(ids[0]));
    QCOMPARE(workspace.marked().size(), size_t{2});
    QVERIFY(workspace.marked()[0].isBaseline && workspace.marked()[0].id == ids[1]);
    workspace.undoMarks();
    QVERIFY(waitFor([&] { return workspace.isBaseline(ids[0]) && !workspace.isBaseline(ids[1]); }));
    workspace.redoMarks();
    QVERIFY(waitFor([&] { return workspace.isBaseline(ids[1]); }));
    // The database has it: another window shows the same.
    Workspace other(fixture.path());
    QVERIFY(waitFor([&] { return other.isBaseline(ids[1]) && other.isPinned(ids[0]); }));
    // A record without a time is none.
    QString failed;
    for (int r = 0; r < model.rowCount(); ++r)
      if (!(model.recordAt(r)->medianNs > 0))
        failed = model.idAt(r);
    QSignalSpy said(&workspace, &Workspace::said);
    workspace.toggleBaseline(failed);
    QCOMPARE(said.size(), 1);
  }

  void aNoteIsTakenBack() {
    const Fixture fixture(5);
    Workspace workspace(fixture.path());
    QVERIFY(waitFor([&] { return workspace.records().rowCount() == 10; }));
    workspace.selectRecord(workspace.records().idAt(0));
    QVERIFY(waitFor([&] { return workspace.detail() != nullptr; }));
    workspace.addNote(workspace.selectedRecord(), "a mistake");
    QVERIFY(waitFor([&] { return workspace.detail()->notes.size() == 1; }));
    workspace.undoMarks();
    QVERIFY(waitFor([&] { return workspace.detail()->notes.empty(); }));
    workspace.redoMarks();
    QVERIFY(waitFor([&] { return workspace.detail()->notes.size() == 1; }));
  }

  void tagsAreSetToggledAndTakenBack() {
    const Fixture fixture(3);
    Workspace workspace(fixture.path());
    QVERIFY(waitFor([&] { return workspace.records().rowCount() == 6; }));
    const QString id = workspace.records().idAt(0);
    workspace.selectRecord(id);
    const auto tags = [&] {
      QStringList names;
      if (workspace.detail())
        for (const database::Tag& tag : workspace.detail()->tags)
          names << toQString(tag.tag);
      names.sort();
      return names.join(' ');
    };
    QVERIFY(waitFor([&] { return workspace.detail() != nullptr; }));
    QVERIFY(!workspace.canUndoMarks());
    workspace.setTags(id, {"good", "odd"});
    QVERIFY(waitFor([&] { return tags() == "good odd"; }));
    workspace.toggleTag(id, "star");
    QVERIFY(waitFor([&] { return tags() == "good odd star"; }));
    workspace.setQuery("tag = star");
    QVERIFY(waitFor([&] { return workspace.records().rowCount() == 1; }));
    workspace.undoMarks();
    QVERIFY(waitFor([&] { return tags() == "good odd"; }));
    QVERIFY(waitFor([&] { return workspace.records().rowCount() == 0; }));
    workspace.undoMarks();
    QVERIFY(waitFor([&] { return tags().isEmpty(); }));
    QVERIFY(!workspace.canUndoMarks());
    workspace.addNote(id, "  what is this? ");
    QVERIFY(waitFor([&] { return workspace.detail()->notes.size() == 1; }));
    QCOMPARE(workspace.detail()->notes[0].text, "what is this?");
    QCOMPARE(must(fixture.store()->notes(id.toStdString())).size(), size_t{1});
  }

  void aPlanThatCannotStartIsSaid() {
    const Fixture fixture(2);
    Workspace workspace(fixture.path());
    QSignalSpy said(&workspace, &Workspace::said);
    RunPlan plan;
    plan.parameters = "512";
    workspace.startRun(plan);
    QCOMPARE(said.size(), 1);
    QVERIFY(said[0][1].toBool());
  }
};

} // namespace temper::gui

QTEST_MAIN(temper::gui::CoreTest)
#include "core_test.moc"
