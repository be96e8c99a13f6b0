/// What the workbench takes with a database of a million records:
///
///   build/tests/gui_bench                     # TEMPER_BENCH_ROWS=100000 for fewer
///
/// TEMPER_BENCH_FOLDER=DIR keeps the database there and uses it again: making it takes minutes.
/// TEMPER_BENCH_ONLY=window does one part alone: plots, steps, window, live.
/// Runs on the offscreen platform; prints a table, and nothing here passes or fails.
#include "tests/gui/fixture.h"

#include "gui/core/edit_session.h"
#include "gui/core/format.h"
#include "gui/core/plot_raster.h"
#include "gui/main_window.h"
#include "gui/pages/explore_page.h"
#include "gui/pages/plots_pane.h"
#include "gui/widgets/theme.h"
#include "ir/support/random.h"

#include <QApplication>
#include <QEventLoop>
#include <QFile>
#include <QHeaderView>
#include <QLineEdit>
#include <QScrollBar>
#include <QStandardPaths>
#include <QTableView>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <execinfo.h>
#include <pthread.h>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>

namespace temper::gui {
namespace {

int64_t rowCount() {
  bool ok = false;
  const qlonglong rows = qEnvironmentVariable("TEMPER_BENCH_ROWS").toLongLong(&ok);
  return ok && rows > 0 ? rows : 1'000'000;
}

void report(const char* what, double value, const char* unit, const char* bar) {
  std::printf("%-58s %9.1f %-3s   %s\n", what, value, unit, bar);
  std::fflush(stdout);
}

double residentMb() {
  QFile file(QStringLiteral("/proc/self/statm"));
  if (!file.open(QIODevice::ReadOnly))
    return 0;
  return file.readAll().split(' ').value(1).toDouble() * 4096 / 1e6;
}

double processCpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// A database of 50 workloads with runs of 10,000 trials each.
void makeDatabase(const QString& path, int64_t rows) {
  std::fprintf(stderr, "making %s with %lld records...\n", qPrintable(path),
               static_cast<long long>(rows));
  auto store = must(database::open_sqlite_store({.path = path.toStdString()}));
  database::Environment environment;
  environment.fingerprint = 7;
  environment.class_name = "cpu:test/2";
  environment.json = "{}";
  const database::Id environmentId = must(store->add(environment));
  const database::Id toolchain = must(store->add(database::Toolchain{.json = "{}"}));
  Random random(1);
  constexpr int64_t kRun = 10'000;
  for (int64_t at = 0; at < rows; at += kRun)
    must(store->transaction([&]() -> Result<void> {
      database::Workload workload;
      workload.name = "kernel" + std::to_string(at / kRun % 10);
      workload.layer = "s-tir";
      workload.structural_hash = static_cast<uint64_t>(at / kRun % 50);
      workload.binding_json = R"({"M":)" + std::to_string(64 * (at / kRun % 50 + 1)) + "}";
      workload.parameters_json = R"(["M"])";
      workload.flops = 1e9;
      workload.bytes = 1e7;
      database::Run run;
      TEMPER_TRY(id, store->add(workload));
      run.workload = id;
      run.target = "cpu:x86-64";
      run.environment = environmentId;
      run.toolchain = toolchain;
      run.strategy = "auto";
      run.seed = static_cast<uint64_t>(at);
      run.started_at = 1'700'000'000'000'000'000 + at * 100'000'000;
      TEMPER_TRY(runId, store->create_run(run));
      TEMPER_TRY(claim, store->claim_run(runId));
      for (int64_t i = 0; i < std::min(kRun, rows - at); ++i) {
        database::Trial trial;
        trial.candidate.workload = run.workload;
        trial.candidate.kind = "trace";
        trial.candidate.program =
            R"([[["GetSBlock",[],["B","main"],["b0"]],["SampleCategorical",[],[[1,2,4,8,16,32,64,128],[]],["v1"]],)"
            R"(["SampleCategorical",[],[[1,2,4,8,16,32,64,128],[]],["v2"]]],[[1,)" +
            std::to_string(random.below(8)) + "],[2," + std::to_string(random.below(8)) + "]]]";
        trial.measurement.sequence = i;
        trial.measurement.outcome =
            random.below(20) == 0 ? database::Outcome::kCrashed : database::Outcome::kOk;
        if (trial.measurement.outcome == database::Outcome::kOk) {
          const double ns = 1e5 * std::exp(2 * random.normal());
          trial.measurement.median_ns = ns;
          trial.measurement.low_ns = 0.99 * ns;
          trial.measurement.high_ns = 1.01 * ns;
          trial.measurement.predicted_score = random.uniform();
        }
        trial.measurement.environment = environmentId;
        trial.measurement.toolchain = toolchain;
        trial.measurement.origin = "sample";
        trial.measurement.measured_at = run.started_at + i * 100'000'000;
        database::RunProgress progress;
        progress.trials = i + 1;
        TEMPER_TRY(recorded, store->record(claim, trial, progress));
        (void)recorded;
      }
      return store->release_run(claim, database::RunState::kFinished, "enough");
    }));
}

double threadCpuMs() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) * 1e-6;
}

/// The longest that the main thread did not come back to its events, and the longest that it
/// computed without: on a machine with other work the first holds what was given to that.
class Stalls : public QObject {
public:
  Stalls() {
    timer_.setInterval(1);
    timer_.setTimerType(Qt::PreciseTimer);
    connect(&timer_, &QTimer::timeout, this, [this] {
      worst_ = std::max(worst_, since_.restart());
      const double cpu = threadCpuMs();
      worstCpu_ = std::max(worstCpu_, cpu - std::exchange(cpu_, cpu));
    });
    since_.start();
    timer_.start();
  }
  void forget() {
    worst_ = 0;
    worstCpu_ = 0;
  }
  /// Prints both, and begins anew.
  void tell() {
    report("longest pause of the window meanwhile", static_cast<double>(worst_), "ms",
           qPrintable(QStringLiteral("< 50, computing %1").arg(worstCpu_, 0, 'f', 1)));
    forget();
  }

private:
  QTimer timer_;
  QElapsedTimer since_;
  qint64 worst_ = 0;
  double cpu_ = threadCpuMs(), worstCpu_ = 0;
};

/// With TEMPER_BENCH_STALLS=1: where the main thread is when it has not come back to its events for
/// so long, on stderr. Addresses are of the programs and libraries that are named beside them.
class StallTrace {
public:
  StallTrace() {
    if (!qEnvironmentVariableIsSet("TEMPER_BENCH_STALLS"))
      return;
    main_ = pthread_self();
    std::signal(SIGUSR1, [](int) {
      void* frames[48];
      const int count = backtrace(frames, 48);
      constexpr char kHead[] = "--- the window stands still:\n";
      [[maybe_unused]] const auto written = ::write(STDERR_FILENO, kHead, sizeof(kHead) - 1);
      backtrace_symbols_fd(frames, count, STDERR_FILENO);
    });
    timer_.setInterval(1);
    timer_.setTimerType(Qt::PreciseTimer);
    QObject::connect(&timer_, &QTimer::timeout, [this] { ++ticks_; });
    timer_.start();
    watcher_ = std::thread([this] {
      constexpr std::chrono::milliseconds kLong(30);
      while (!ending_) {
        const int before = ticks_;
        std::this_thread::sleep_for(kLong);
        if (ticks_ == before)
          pthread_kill(main_, SIGUSR1);
      }
    });
  }
  ~StallTrace() {
    ending_ = true;
    if (watcher_.joinable())
      watcher_.join();
  }

private:
  pthread_t main_{};
  QTimer timer_;
  std::atomic<int> ticks_{0};
  std::atomic<bool> ending_{false};
  std::thread watcher_;
};

double medianOf(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Median milliseconds of nine runs.
double timeOf(const std::function<void()>& work) {
  std::vector<double> times;
  for (int i = 0; i < 9; ++i) {
    QElapsedTimer time;
    time.start();
    work();
    times.push_back(static_cast<double>(time.nsecsElapsed()) / 1e6);
  }
  return medianOf(times);
}

void benchWindow(const QString& path, int64_t rows) {
  QElapsedTimer time;
  time.start();
  MainWindow window(path);
  window.show();
  Workspace& workspace = window.workspace();
  RecordModel& model = workspace.records();
  QTableView* table = window.explorePage()->table();
  waitFor([&] { return model.rowCount() > 0; });
  table->grab();
  report("start to the first window with records", static_cast<double>(time.elapsed()), "ms",
         "< 1000");
  const StallTrace trace;
  Stalls stalls;
  waitFor([&] { return !workspace.isLoading() && !model.isBusy(); }, 600'000);
  report("all records loaded after", static_cast<double>(time.elapsed()) / 1e3, "s", "");
  stalls.tell();
  if (model.table().size() != rows)
    std::printf("(only %u records)\n", model.table().size());
  report("memory", residentMb(), "MB", "< 400");

  // From the click to the rows, drawn; each five times, as other work on the machine comes and
  // goes.
  struct Change {
    const char* what;
    std::function<void()> make;
    std::vector<double> ms;
  };
  const auto filtered = [&](RecordColumn column, const char* text) {
    FilterText texts;
    texts[column] = QString::fromUtf8(text);
    return [&model, texts] { model.setFilter(texts); };
  };
  const auto sorted = [&](RecordColumn column, Qt::SortOrder order) {
    return [&model, column, order] { model.sort(static_cast<int>(column), order); };
  };
  using Column = RecordColumn;
  std::vector<Change> changes{
      {"filter: workload", filtered(Column::kWorkload, "kernel3"), {}},
      {"filter: time", filtered(Column::kTime, "<50us"), {}},
      {"filter taken away", [&model] { model.setFilter({}); }, {}},
      {"sort by time", sorted(Column::kTime, Qt::AscendingOrder), {}},
      {"sort by time, slowest first", sorted(Column::kTime, Qt::DescendingOrder), {}},
      {"sort by rate", sorted(Column::kRate, Qt::DescendingOrder), {}},
      {"sort by interval", sorted(Column::kInterval, Qt::AscendingOrder), {}},
      {"sort by record", sorted(Column::kRecord, Qt::AscendingOrder), {}},
      {"sort by workload", sorted(Column::kWorkload, Qt::AscendingOrder), {}},
      {"filter: outcome", filtered(Column::kOutcome, "crashed"), {}},
      {"filter taken away, sorted by workload", [&model] { model.setFilter({}); }, {}},
      {"sort by time of measurement", sorted(Column::kMeasured, Qt::DescendingOrder), {}},
  };
  stalls.forget();
  for (int round = 0; round < 5; ++round)
    for (Change& change : changes) {
      QElapsedTimer since;
      since.start();
      QEventLoop loop;
      QObject::connect(&model, &RecordModel::orderChanged, &loop, &QEventLoop::quit);
      change.make();
      if (model.isBusy())
        loop.exec();
      table->viewport()->repaint();
      change.ms.push_back(static_cast<double>(since.nsecsElapsed()) / 1e6);
    }
  for (const Change& change : changes)
    report(change.what, medianOf(change.ms), "ms",
           qPrintable(QStringLiteral("< 100, worst of 5: %1")
                          .arg(*std::max_element(change.ms.begin(), change.ms.end()), 0, 'f', 1)));
  stalls.tell();
  int jump = 0;
  report("jump anywhere, drawn", timeOf([&] {
           QScrollBar* bar = table->verticalScrollBar();
           bar->setValue(static_cast<int>(static_cast<int64_t>(bar->maximum()) * ++jump / 10));
           table->viewport()->repaint();
         }),
         "ms", "< 100");

  // The nine jumps above were one after the other, without events between them: no pause of
  // anybody.
  QTest::qWait(20);
  stalls.forget();

  // Parallel coordinates of one kernel's records, from the database to the picture.
  workspace.selectRecord(model.idAt(0));
  QElapsedTimer plotted;
  plotted.start();
  window.explorePage()->plots()->show(PlotsPane::Plot::kParallel);
  waitFor(
      [&] {
        const auto data = workspace.analysis().data();
        return data && data->axes.size() > 2 && !window.explorePage()->plots()->isBusy();
      },
      120'000);
  report("parallel coordinates of a kernel, first picture", static_cast<double>(plotted.elapsed()),
         "ms", "");
  std::printf("    (%zu records, decisions read from the database)\n",
              workspace.analysis().data()->records.size());
  stalls.tell();
  window.explorePage()->plots()->show(PlotsPane::Plot::kNone);
  report("memory", residentMb(), "MB", "< 400");
}

void benchPlots() {
  constexpr size_t kCount = 100'000;
  Random random(3);
  Points points;
  for (size_t i = 0; i < kCount; ++i) {
    points.places.emplace_back(random.uniform() * 1200, random.uniform() * 600);
    points.tones.push_back(static_cast<float>(random.uniform()));
  }
  report("100,000 points redrawn, 1200 x 600", timeOf([&] {
           paintPoints(points, {1200, 600}, 3, Qt::gray, false);
         }),
         "ms", "< 30");
  // Ten decisions of up to 32 values, a prediction and a time.
  ParallelLines lines;
  for (int axis = 0; axis < 12; ++axis) {
    std::vector<float>& heights = lines.heights.emplace_back();
    const int64_t values = axis < 10 ? 2 << random.below(5) : 0;
    for (size_t i = 0; i < kCount; ++i)
      heights.push_back(static_cast<float>(
          values > 0 ? 599.0 * static_cast<double>(random.below(values)) / double(values - 1)
                     : random.uniform() * 599));
  }
  lines.tones = points.tones;
  std::vector<int> axes;
  for (int i = 0; i < 12; ++i)
    axes.push_back(i * 108);
  report("parallel coordinates, 100,000 lines on 12 axes", timeOf([&] {
           paintParallel(lines, {1200, 600}, axes, Qt::gray, false);
         }),
         "ms", "< 150");
  lines.on.resize(kCount);
  for (uint8_t& on : lines.on)
    on = random.below(10) == 0;
  report("the same, brushed", timeOf([&] {
           paintParallel(lines, {1200, 600}, axes, Qt::gray, false);
         }),
         "ms", "< 150");
}

/// The steps that are legal at a loop or block, with what the model of the machine thinks of each:
/// from the click to the list, for every place of a kernel as it is written and after some steps.
void benchSteps(const QString& folder) {
  EditSession edit(folder + QStringLiteral("/steps.db"));
  edit.openWorkload(QStringLiteral("matmul"), QStringLiteral("M=512 N=512 K=512"));
  const auto settled = [&] {
    return waitFor([&] { return edit.isOpen() && !edit.isWorking() && !edit.places().empty(); });
  };
  if (!settled()) {
    std::printf("(temper is not built: no steps)\n");
    return;
  }
  QTest::qWait(4000); // it measures the machine when nobody asks for two seconds
  std::vector<double> clicks;
  size_t steps = 0;
  const auto click = [&](int place) {
    QElapsedTimer since;
    since.start();
    edit.selectPlace(place);
    QEventLoop loop;
    QObject::connect(&edit, &EditSession::stepsChanged, &loop, &QEventLoop::quit);
    if (edit.steps().empty())
      loop.exec();
    clicks.push_back(static_cast<double>(since.nsecsElapsed()) / 1e6);
    steps = std::max(steps, edit.steps().size());
  };
  for (int round = 0; round < 6; ++round) {
    const auto places = static_cast<int>(edit.places().size());
    for (int place = 1; place < places; ++place) // 0 is the root
      click(place);
    // Goes on with a step at the outermost loop that has one.
    for (int place = 1; place < places; ++place) {
      edit.selectPlace(place);
      waitFor([&] { return !edit.isWorking(); });
      const auto& legal = edit.steps();
      const auto split =
          std::find_if(legal.begin(), legal.end(), [](const EditSession::Step& step) {
            return step.primitive == u"Split" && !step.lines.isEmpty();
          });
      if (split == legal.end())
        continue;
      edit.apply(static_cast<int>(split - legal.begin()));
      break;
    }
    settled();
    edit.selectPlace(-1);
  }
  report("legal steps of a clicked loop, with predictions", medianOf(clicks), "ms",
         qPrintable(QStringLiteral("< 100, worst of %1: %2")
                        .arg(clicks.size())
                        .arg(*std::max_element(clicks.begin(), clicks.end()), 0, 'f', 1)));
  std::printf("    (up to %zu steps at a place)\n", steps);
}

/// Somebody records 25 trials a second; the window follows.
void benchLiveRun() {
  Fixture fixture(5);
  MainWindow window(fixture.path());
  window.show();
  window.showPerspective(MainWindow::Perspective::kRuns);
  waitFor([&] { return window.workspace().records().rowCount() == 10; });
  std::atomic<bool> ending{false};
  std::atomic<double> writerSeconds{0};
  std::thread writer([&] {
    auto store = fixture.store();
    database::Run run = must(store->list_runs({})).front();
    run.id.clear();
    run.seed = 99;
    run.started_at += 1;
    const database::Id id = must(store->create_run(run));
    const auto claim = must(store->claim_run(id));
    for (int i = 0; !ending; ++i) {
      fixture.record(*store, claim, run, i);
      std::this_thread::sleep_for(std::chrono::milliseconds(40));
    }
    must(store->release_run(claim, database::RunState::kFinished, "enough"));
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    writerSeconds = static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                    static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
  });
  waitFor([&] { return window.workspace().runs().rowCount() == 3; });
  window.workspace().selectRun(toQString(window.workspace().runs().rows().front().run.id));
  const double before = processCpuSeconds();
  constexpr int kSeconds = 8;
  QTest::qWait(kSeconds * 1000);
  const double after = processCpuSeconds();
  ending = true;
  writer.join();
  report("a live run at 25 trials/s: share of a core",
         100 * std::max(0.0, after - before - writerSeconds) / kSeconds, "%", "< 20");
}

} // namespace
} // namespace temper::gui

int main(int argc, char** argv) {
  qputenv("QT_QPA_PLATFORM", "offscreen");
  QApplication app(argc, argv);
  QStandardPaths::setTestModeEnabled(true);
  using namespace temper::gui;
  applyTheme(ThemeChoice::kLight);
  QTemporaryDir own;
  QString folder = qEnvironmentVariable("TEMPER_BENCH_FOLDER");
  if (folder.isEmpty())
    folder = own.path();
  QDir().mkpath(folder);
  const int64_t rows = rowCount();
  const QString path = folder + QStringLiteral("/gui-%1.db").arg(rows);
  // One alone, as when it is worked on: TEMPER_BENCH_ONLY=steps.
  const QString only = qEnvironmentVariable("TEMPER_BENCH_ONLY");
  const auto wanted = [&](const char* name) {
    return only.isEmpty() || only == QLatin1StringView(name);
  };
  if (wanted("plots"))
    benchPlots();
  if (wanted("steps"))
    benchSteps(own.path());
  if (wanted("window")) {
    if (!QFile::exists(path))
      makeDatabase(path, rows);
    benchWindow(path, rows);
  }
  if (wanted("live"))
    benchLiveRun();
  return 0;
}
