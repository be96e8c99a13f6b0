/// The command lines that do what the window's commands do: copied from the palette with
/// Shift+Enter, and by commands of their own.
#include "gui/main_window.h"

#include "gui/core/format.h"
#include "gui/pages/candidate_pane.h"
#include "gui/pages/explore_page.h"
#include "gui/pages/library_page.h"
#include "gui/pages/plots_pane.h"
#include "gui/pages/run_form.h"
#include "gui/pages/runs_page.h"

namespace temper::gui {

void MainWindow::makeCommandLines() {
  using Arguments = std::function<QStringList()>;
  /// `temper ARGUMENTS --db DATABASE`; nothing where there are none.
  const auto temper = [this](const char* id, const Arguments& arguments) {
    actions_->setCommandLine(QString::fromLatin1(id), [this, arguments] {
      QStringList words = arguments();
      if (words.isEmpty())
        return QString();
      if (!words.contains(QStringLiteral("--db")))
        words << QStringLiteral("--db") << workspace_->database();
      return shellCommand(QStringLiteral("temper"), words);
    });
  };
  const auto record = [this] { return meantRecord(); };
  /// A verb with the record that is meant, as its last word.
  const auto about = [&](const char* id, const QStringList& words) {
    temper(id, [record, words] {
      return record().isEmpty() ? QStringList() : words + QStringList{record()};
    });
  };

  // The selected record, as it shows.
  temper("record.copyCommand", [this] { return explore_->candidate()->showArguments(); });
  about("code.overview", {"show"});
  about("code.limits", {"explain"});
  temper("code.log", [record] {
    return record().isEmpty() ? QStringList() : QStringList{"show", record(), "--log"};
  });
  for (int i = 0; i < kCodeLevels; ++i) {
    const auto level = static_cast<CodeLevel>(i);
    temper(("code." + levelName(level)).toLatin1().constData(), [record, level] {
      return record().isEmpty() ? QStringList() : QStringList{"show", record(), levelOption(level)};
    });
  }
  temper("code.copy", [this] { return explore_->candidate()->showArguments(); });
  about("run.showBest", {"show"});
  about("edit.showRecord", {"show"});
  about("record.copyRerun", {"rerun"});

  // Its kernel.
  const auto kernel = [this](const char* verb) {
    const RecordDetail* detail = workspace_->detail();
    if (!detail)
      return QStringList();
    QStringList words{QString::fromLatin1(verb), toQString(detail->row.workload_name)};
    words << detail->shape.split(u' ', Qt::SkipEmptyParts);
    const QString target = toQString(detail->row.target).section(u' ', 0, 0);
    words << QStringLiteral("--target") << target;
    if (detail->row.threads > 1)
      words << QStringLiteral("--threads") << QString::number(detail->row.threads);
    return words;
  };
  temper("record.copyTune", [this, kernel] {
    QStringList words = kernel("tune");
    if (!words.isEmpty() && workspace_->detail()->row.regime == database::TimingRegime::kCold)
      words << QStringLiteral("--cache") << QStringLiteral("cold");
    return words;
  });
  temper("record.copyCheck", [kernel] {
    QStringList words = kernel("check");
    if (words.join(u' ').contains(QStringLiteral("--target cuda")))
      words << QStringLiteral("--device") << QStringLiteral("emulated");
    return words;
  });
  for (const char* id : {"record.export", "record.copyExport"})
    temper(id, [this] { return workspace_->exportArguments(QStringLiteral("out")); });

  // What a person says of it.
  const auto tag = [this, record](QLatin1StringView name) {
    return [this, record, name] {
      const QString id = record();
      if (id.isEmpty())
        return QStringList();
      const bool has = workspace_->hasTag(id, name);
      return QStringList{"tag"} + (has ? QStringList{"--remove"} : QStringList()) +
             QStringList{QString(name), id};
    };
  };
  temper("record.star", tag(kStarTag));
  temper("record.pin", tag(kPinTag));
  temper("record.baseline", tag(kBaselineTag));
  about("record.tags", {"tag", "TAG"});
  about("record.note", {"note", "TEXT"});

  // Two of them; without one of the two there is nothing to compare.
  using Sides = std::pair<QString, QString>;
  const auto compare = [&temper](const char* id, std::function<Sides()> sides) {
    temper(id, [sides] {
      QStringList words;
      if (const auto [a, b] = sides(); !a.isEmpty() && !b.isEmpty())
        words << QStringLiteral("compare") << a << b;
      return words;
    });
  };
  const auto sides = [this] { return Sides(workspace_->side(0), workspace_->side(1)); };
  for (const char* id : {"compare.measure", "compare.copyCommand", "compare.why"})
    compare(id, sides);
  compare("record.compare", [this, record] {
    const QString at = workspace_->side(0);
    return at == record() ? Sides() : Sides(at, record());
  });
  compare("record.compareBest", [this] {
    const RecordDetail* detail = workspace_->detail();
    return detail && detail->best ? Sides(toQString(detail->best->id), workspace_->selectedRecord())
                                  : Sides();
  });
  compare("record.compareBaseline", [this, record] {
    const Baseline* baseline = workspace_->baselineFor(record());
    return baseline ? Sides(idText(database::Kind::kMeasurement, baseline->record), record())
                    : Sides();
  });
  compare("edit.compare", [this] {
    const EditHistory& history = workspace_->edit().history();
    return history.current() ? Sides(history.nodes().front().record, history.current()->record)
                             : Sides();
  });

  // Runs.
  temper("run.new", [this] { return runs_->form()->plan().arguments(); });
  actions_->setCommandLine(QStringLiteral("run.copyCommand"), [this] {
    const RunDetail* run = workspace_->runDetail();
    return run ? toQString(run->row.run.command_line) : QString();
  });
  temper("run.stop", [this] { return QStringList{"stop", workspace_->selectedRun()}; });
  temper("run.pause", [this] { return QStringList{"stop", workspace_->selectedRun(), "--pause"}; });
  temper("run.batch", [] { return QStringList{"batch", "FILE.toml"}; });
  temper("run.resume", [this] { return QStringList{"resume", workspace_->selectedRun()}; });
  temper("run.more", [this] {
    return QStringList{"resume", workspace_->selectedRun(), "--trials", "+200"};
  });
  temper("run.records", [this] {
    return QStringList{"list", "records", "run:" + workspace_->selectedRun()};
  });
  temper("edit.search", [this] { return workspace_->edit().searchPlan().arguments(); });
  // A schedule made by hand is measured by the session that the window asks, too.
  const auto session = [this](const char* id, std::function<std::vector<Json>()> requests) {
    actions_->setCommandLine(QString::fromLatin1(id), [this, requests] {
      QStringList lines;
      for (const Json& request : requests())
        if (!request.is_null())
          lines << toQString(request.dump());
      return lines.isEmpty()
                 ? QString()
                 : shellCommand(QStringLiteral("printf"), QStringList{"%s\\n"} + lines) +
                       QStringLiteral(" | ") +
                       shellCommand(QStringLiteral("temper"),
                                    {"session", "--db", workspace_->database()});
    });
  };
  session("edit.measure",
          [this] { return std::vector<Json>{workspace_->edit().measureRequest()}; });
  session("edit.sweep", [this] { return workspace_->edit().sweepRequests(); });
  for (const char* id : {"record.query", "record.searchPrograms"})
    temper(id, [this] {
      return workspace_->query().isEmpty()
                 ? QStringList()
                 : QStringList{"list", "records", "query:" + workspace_->query()};
    });

  // The library.
  for (const char* id : {"library.export", "library.copyCommand"})
    actions_->setCommandLine(QString::fromLatin1(id),
                             [this] { return library_ ? library_->commandLine() : QString(); });
  temper("library.refresh", [] { return QStringList{"best"}; });

  // What only the window shows is a place in it, which can be saved without a window, too.
  const auto link = [this](const QString& id, std::function<void(PlaceLink&)> change,
                           const QString& file = {}) {
    actions_->setCommandLine(id, [this, change, file] {
      PlaceLink there = place();
      change(there);
      QStringList words{QStringLiteral("gui"), there.toText()};
      if (!file.isEmpty())
        words << QStringLiteral("--save") << file;
      return shellCommand(QStringLiteral("temper"), words);
    });
  };
  const auto as = [](Perspective perspective) {
    return [perspective](PlaceLink& there) {
      there.view = QLatin1StringView(kViewNames[static_cast<size_t>(perspective)]);
    };
  };
  link(QStringLiteral("plot.save"), as(Perspective::kExplore), QStringLiteral("plot.png"));
  link(QStringLiteral("run.savePlot"), as(Perspective::kRuns), QStringLiteral("run.png"));
  link(QStringLiteral("compare.save"), as(Perspective::kCompare), QStringLiteral("page.html"));
  link(
      QStringLiteral("record.saveSamples"),
      [](PlaceLink& there) { there.plot = QLatin1StringView(kPlotNames[0]); },
      QStringLiteral("samples.csv"));
  link(QStringLiteral("edit.record"), as(Perspective::kEdit));
  actions_->setCommandLine(QStringLiteral("database.open"), [this] {
    return shellCommand(QStringLiteral("temper"), {"gui", "--db", workspace_->database()});
  });
  for (const char* name : kViewNames)
    link(QStringLiteral("view.") + QLatin1StringView(name),
         [name](PlaceLink& there) { there.view = QLatin1StringView(name); });
  for (const char* name : kPlotNames)
    link(QStringLiteral("plot.") + QLatin1StringView(name), [name](PlaceLink& there) {
      there.view = QLatin1StringView(kViewNames[0]);
      there.plot = QLatin1StringView(name);
    });
  for (const char* id : {"place.copy", "place.copyCommand"})
    link(QString::fromLatin1(id), [](PlaceLink&) {});
}

} // namespace temper::gui
