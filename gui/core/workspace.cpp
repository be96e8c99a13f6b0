#include "gui/core/workspace.h"

#include "gui/core/format.h"
#include "ir/support/quantities.h"

#include <QDateTime>

#include <algorithm>
#include <map>

namespace temper::gui {

namespace {

constexpr int kPollMs = 700;
constexpr int64_t kFirstRows = 1024; ///< shown at once
constexpr int64_t kRows = 16384;
constexpr int64_t kMostRuns = 2000;

/// The declared parameters of workloads that the packer has not met.
Result<void> learnWorkloads(database::Store& store, RecordPacker& packer,
                            const std::vector<database::RecordRow>& rows) {
  for (const database::RecordRow& row : rows)
    if (!packer.knows(row.workload)) {
      TEMPER_TRY(workload, store.workload(row.workload));
      packer.setParameters(row.workload, workload.parameters_json);
      packer.setBytes(row.workload, workload.bytes);
    }
  return {};
}

} // namespace

/// Names and bests of runs, remembered: those of a finished run do not change. Used on the thread
/// of the short questions only.
class RunRows {
public:
  Result<std::vector<RunRow>> ask(database::Store& store) {
    database::RunFilter filter;
    filter.limit = kMostRuns;
    TEMPER_TRY(runs, store.list_runs(filter));
    std::vector<RunRow> rows;
    for (database::Run& run : runs) {
      TEMPER_TRY(row, rowOf(store, run));
      rows.push_back(std::move(row));
    }
    return rows;
  }

  Result<RunRow> rowOf(database::Store& store, const database::Run& run) {
    RunRow row;
    row.run = run;
    auto& [title, flops] = workloads_[run.workload];
    if (title.isEmpty()) {
      TEMPER_TRY(workload, store.workload(run.workload));
      title = toQString(
          workload.name + " " +
          format_binding(ordered_binding(workload.binding_json, workload.parameters_json).dump()));
      flops = workload.flops;
    }
    row.workload = title;
    row.flops = flops;
    Best& best = bests_[run.id];
    if (best.updatedAt != run.updated_at || run.updated_at == 0) {
      database::RecordFilter filter;
      filter.run = run.id;
      TEMPER_TRY(found, store.best(filter));
      best = {run.updated_at, database::kUnknown, {}};
      if (!found.empty()) {
        best.ns = found.front().median_ns;
        best.record = toQString(found.front().id);
      }
    }
    row.bestNs = best.ns;
    row.bestRecord = best.record;
    return row;
  }

private:
  struct Best {
    int64_t updatedAt = -1;
    double ns = database::kUnknown;
    QString record;
  };
  std::map<std::string, std::pair<QString, double>> workloads_;
  std::map<std::string, Best> bests_;
};

Workspace::Workspace(QString database, QObject* parent)
    : QObject(parent), database_(std::move(database)), records_(new RecordModel(this)),
      runs_(new RunModel(this)), edit_(new EditSession(database_, this)),
      analysis_(new Analysis(*records_, database_, this)), savedQueries_(new SavedQueries(this)),
      library_(new LibraryModel(this)), runRows_(std::make_shared<RunRows>()) {
  questions_ = std::make_unique<StoreClient>(database_);
  bulk_ = std::make_unique<StoreClient>(database_);
  poll_.setInterval(kPollMs);
  connect(&poll_, &QTimer::timeout, this, &Workspace::poll);
  connect(edit_, &EditSession::said, this, &Workspace::said);
  reload();
  poll_.start();
}

Workspace::~Workspace() = default;

void Workspace::setState(State state, const QString& message) {
  if (state == state_ && message == message_)
    return;
  state_ = state;
  message_ = message;
  emit stateChanged();
}

void Workspace::reload() {
  questions_->reopen();
  bulk_->reopen();
  loadAll();
  askRuns();
}

void Workspace::loadAll() {
  const uint64_t load = ++load_;
  packer_ = std::make_shared<RecordPacker>();
  records_->clear();
  loading_ = true;
  emit loadingChanged();
  StoreClient* client = bulk_.get();
  const auto question = [this, client, load,
                         packer = packer_](database::Store& store) -> Result<int64_t> {
    int64_t loaded = 0;
    // One state of the database, so that rows that arrive meanwhile do not shift the pages.
    TEMPER_TRY_VOID(store.snapshot([&]() -> Result<void> {
      for (int64_t limit = kFirstRows; !client->isEnding(); limit = kRows) {
        database::RecordFilter filter;
        filter.limit = limit;
        filter.offset = loaded;
        TEMPER_TRY(rows, store.list_records(filter));
        TEMPER_TRY_VOID(learnWorkloads(store, *packer, rows));
        loaded += static_cast<int64_t>(rows.size());
        auto chunk = std::make_shared<RecordChunk>(packer->pack(rows));
        client->deliverPart(this, [this, load, chunk] {
          if (load == load_)
            records_->append(std::move(*chunk));
        });
        if (static_cast<int64_t>(rows.size()) < limit)
          break;
      }
      return {};
    }));
    return loaded;
  };
  bulk_->ask<int64_t>(QStringLiteral("load"), this, question,
                      [this, load](const Result<int64_t>& loaded) {
                        if (load != load_)
                          return;
                        loading_ = false;
                        emit loadingChanged();
                        if (loaded) {
                          // Runs without a record yet are worth showing, too.
                          setState(State::kReady, {});
                          askQuery();
                        } else if (loaded.error().code == ErrorCode::kNotFound) {
                          setState(State::kMissing, sentence(loaded.error()));
                        } else {
                          setState(State::kBroken, sentence(loaded.error()));
                        }
                      });
}

void Workspace::poll() {
  watchStarted();
  if (loading_)
    return;
  if (state_ != State::kReady) {
    loadAll(); // it may have come into being
    askRuns();
    return;
  }
  askRuns();
  askNewRecords();
}

void Workspace::askNewRecords() {
  const uint64_t load = load_;
  bulk_->ask<std::shared_ptr<RecordChunk>>(
      QStringLiteral("new"), this,
      [packer = packer_](database::Store& store) -> Result<std::shared_ptr<RecordChunk>> {
        database::RecordFilter filter;
        filter.since = packer->since();
        TEMPER_TRY(rows, store.list_records(filter));
        TEMPER_TRY_VOID(learnWorkloads(store, *packer, rows));
        return std::make_shared<RecordChunk>(packer->pack(rows));
      },
      [this, load](const Result<std::shared_ptr<RecordChunk>>& chunk) {
        if (load != load_)
          return;
        if (!chunk) {
          setState(chunk.error().code == ErrorCode::kNotFound ? State::kMissing : State::kBroken,
                   sentence(chunk.error()));
          return;
        }
        const bool any = !(*chunk)->records.empty();
        records_->append(std::move(**chunk));
        if (any && !query_.isEmpty())
          askQuery();
      });
}

void Workspace::setQuery(const QString& text) {
  if (text.trimmed() == query_)
    return;
  query_ = text.trimmed();
  queryError_.clear();
  askQuery();
  emit queryChanged();
}

void Workspace::askQuery() {
  using Ids = std::shared_ptr<const std::vector<uint64_t>>;
  if (query_.isEmpty()) {
    records_->setOnly(nullptr);
    return;
  }
  const int64_t now = QDateTime::currentMSecsSinceEpoch() * 1'000'000;
  bulk_->ask<Ids>(
      QStringLiteral("query"), this,
      [text = query_.toStdString(), now](database::Store& store) -> Result<Ids> {
        database::RecordFilter filter;
        TEMPER_TRY(query, database::parse_query(text, now));
        filter.query = query;
        TEMPER_TRY(rows, store.list_records(filter));
        auto ids = std::make_shared<std::vector<uint64_t>>();
        ids->reserve(rows.size());
        for (const database::RecordRow& row : rows)
          ids->push_back(idDigits(toQString(row.id)));
        std::sort(ids->begin(), ids->end());
        return Ids(ids);
      },
      [this, asked = query_](const Result<Ids>& ids) {
        if (asked != query_)
          return;
        queryError_ = ids ? QString() : sentence(ids.error());
        if (ids)
          records_->setOnly(*ids);
        emit queryChanged();
      });
}

void Workspace::setTags(const QString& record, const QStringList& tags) {
  if (record != record_ || !detail_)
    return;
  TagChange change{record, {}, {}};
  QStringList known;
  for (const database::Tag& tag : detail_->tags)
    known << toQString(tag.tag);
  for (const QString& tag : tags)
    if (!tag.isEmpty() && !known.contains(tag) && !change.added.contains(tag))
      change.added << tag;
  for (const QString& tag : known)
    if (!tags.contains(tag))
      change.removed << tag;
  if (change.added.isEmpty() && change.removed.isEmpty())
    return;
  changeTags(change, [this, change] { tagChanges_.push_back(change); });
}

void Workspace::toggleTag(const QString& record, const QString& tag) {
  if (record != record_ || !detail_)
    return;
  QStringList tags;
  for (const database::Tag& known : detail_->tags)
    tags << toQString(known.tag);
  if (!tags.removeOne(tag))
    tags << tag;
  setTags(record, tags);
}

void Workspace::undoTags() {
  if (tagChanges_.empty())
    return;
  const TagChange last = tagChanges_.back();
  tagChanges_.pop_back();
  changeTags({last.record, last.removed, last.added}, [] {});
}

void Workspace::changeTags(const TagChange& change, std::function<void()> done) {
  questions_->ask<bool>(
      QStringLiteral("write%1").arg(++writes_), this,
      [change](database::Store& store) -> Result<bool> {
        TEMPER_TRY_VOID(store.transaction([&]() -> Result<void> {
          for (const QString& tag : change.added)
            TEMPER_TRY_VOID(
                store.add(database::Tag{change.record.toStdString(), tag.toStdString(), 0}));
          for (const QString& tag : change.removed)
            TEMPER_TRY_VOID(
                store.remove(database::Tag{change.record.toStdString(), tag.toStdString(), 0}));
          return {};
        }));
        return true;
      },
      [this, change, done = std::move(done)](const Result<bool>& changed) {
        if (!changed) {
          emit said(sentence(changed.error()), true);
          return;
        }
        done();
        if (change.record == record_)
          askDetail();
        if (query_.contains(QStringLiteral("tag")))
          askQuery();
      });
}

void Workspace::addNote(const QString& record, const QString& text) {
  if (record.isEmpty() || text.trimmed().isEmpty())
    return;
  questions_->ask<database::Id>(
      QStringLiteral("write%1").arg(++writes_), this,
      [record, text](database::Store& store) {
        database::Note note;
        note.subject = record.toStdString();
        note.text = text.trimmed().toStdString();
        note.author = qEnvironmentVariable("USER").toStdString();
        return store.add(note);
      },
      [this, record](const Result<database::Id>& added) {
        if (!added)
          emit said(sentence(added.error()), true);
        else if (record == record_)
          askDetail();
      });
}

void Workspace::askRuns() {
  questions_->ask<std::vector<RunRow>>(
      QStringLiteral("runs"), this,
      [memory = runRows_](database::Store& store) { return memory->ask(store); },
      [this](Result<std::vector<RunRow>> rows) {
        if (!rows)
          return; // loading the records says what is wrong
        const bool first = runs_->rows().empty();
        runs_->setRows(std::move(*rows));
        for (Started& started : started_) {
          if (started.seen)
            continue;
          for (const RunRow& row : runs_->rows())
            if (row.run.owner.pid == started.process.pid && row.isLive()) {
              started.seen = true;
              selectRun(toQString(row.run.id));
              emit said(QStringLiteral("Run %1 has started.").arg(shortId(run_)), false);
              break;
            }
        }
        if (run_.isEmpty() && first && !runs_->rows().empty())
          selectRun(toQString(runs_->rows().front().run.id));
        else
          askRunDetail();
      });
}

void Workspace::askLibrary() {
  analysis_->needMachine();
  const auto& machine = analysis_->machine();
  if (!machine)
    return; // whoever wants it asks again when the machine is known
  database::RecordFilter filter;
  filter.environment_class = machine->environment.toStdString();
  filter.current_toolchains = {machine->toolchain.toStdString()};
  filter.include_stale = true;
  filter.regime = database::TimingRegime::kHot;
  askingLibrary_ = true;
  questions_->ask<std::vector<LibraryRow>>(
      QStringLiteral("library"), this,
      [filter](database::Store& store) -> Result<std::vector<LibraryRow>> {
        TEMPER_TRY(bests, store.best(filter));
        std::map<std::string, QString> titles;
        for (const database::RecordRow& row : bests) {
          if (titles.count(row.workload) > 0)
            continue;
          TEMPER_TRY(workload, store.workload(row.workload));
          titles[row.workload] = toQString(
              workload.name + " " +
              format_binding(
                  ordered_binding(workload.binding_json, workload.parameters_json).dump()));
        }
        return libraryRows(std::move(bests), titles);
      },
      [this](Result<std::vector<LibraryRow>> rows) {
        askingLibrary_ = false;
        if (!rows)
          emit said(sentence(rows.error()), true);
        else
          library_->setRows(std::move(*rows));
      });
}

void Workspace::selectRecord(const QString& id) {
  if (id == record_)
    return;
  record_ = id;
  detail_.reset();
  analysis_->follow(id);
  emit recordSelected();
  emit detailChanged();
  askDetail();
}

void Workspace::askDetail() {
  if (record_.isEmpty())
    return;
  questions_->ask<RecordDetail>(
      QStringLiteral("record"), this,
      [key = record_.toStdString()](database::Store& store) { return loadDetail(store, key); },
      [this, id = record_](Result<RecordDetail> detail) {
        if (id != record_)
          return;
        if (!detail) {
          emit said(sentence(detail.error()), true);
          return;
        }
        detail_ = std::move(*detail);
        emit detailChanged();
      });
}

void Workspace::selectRun(const QString& id) {
  if (id == run_)
    return;
  run_ = id;
  runDetail_.reset();
  emit runSelected();
  emit runDetailChanged();
  askRunDetail();
}

void Workspace::askRunDetail() {
  if (run_.isEmpty())
    return;
  // What has not changed needs no second look.
  const RunRow* row = runs_->find(run_);
  if (row && runDetail_ && runDetail_->row.run.updated_at == row->run.updated_at &&
      runDetail_->row.run.state == row->run.state &&
      runDetail_->row.run.requested == row->run.requested)
    return;
  questions_->ask<RunDetail>(
      QStringLiteral("run"), this,
      [key = run_.toStdString(), memory = runRows_](database::Store& store) -> Result<RunDetail> {
        RunDetail detail;
        TEMPER_TRY(run, store.run(key));
        TEMPER_TRY(runRow, memory->rowOf(store, run));
        TEMPER_TRY(points, store.convergence(key));
        TEMPER_TRY(failures, store.failures(key));
        TEMPER_TRY(quality, store.model_quality(key));
        detail.row = std::move(runRow);
        detail.points = std::move(points);
        detail.failures = std::move(failures);
        detail.quality = std::move(quality);
        return detail;
      },
      [this, id = run_](Result<RunDetail> detail) {
        if (id != run_)
          return;
        if (!detail) {
          emit said(sentence(detail.error()), true);
          return;
        }
        runDetail_ = std::move(*detail);
        emit runDetailChanged();
      });
}

void Workspace::setSide(int index, const QString& id) {
  if (sides_[index] == id)
    return;
  sides_[index] = id;
  sideDetails_[index].reset();
  emit sidesChanged();
  askSide(index);
}

void Workspace::resolve(const QString& prefix, std::function<void(const QString&)> found) {
  questions_->ask<database::Id>(
      QStringLiteral("resolve"), this,
      [key = prefix.toStdString()](database::Store& store) {
        return database::resolve_id(store, key);
      },
      [this, found = std::move(found)](const Result<database::Id>& id) {
        if (!id)
          emit said(sentence(id.error()), true);
        else
          found(toQString(*id));
      });
}

void Workspace::setSideByPrefix(int index, const QString& prefix) {
  if (prefix.isEmpty()) {
    setSide(index, {});
    return;
  }
  resolve(prefix, [this, index](const QString& id) {
    if (id.startsWith(u'm'))
      setSide(index, id);
    else
      emit said(QStringLiteral("%1 is not a record; records' ids begin with m.").arg(shortId(id)),
                true);
  });
}

void Workspace::selectByPrefix(const QString& prefix) {
  resolve(prefix, [this](const QString& id) {
    if (id.startsWith(u'm')) {
      selectRecord(id);
    } else if (id.startsWith(u'r')) {
      selectRun(id);
    } else {
      emit said(QStringLiteral("%1 is neither a record nor a run.").arg(shortId(id)), true);
      return;
    }
    emit idFound(id);
  });
}

void Workspace::swapSides() {
  std::swap(sides_[0], sides_[1]);
  std::swap(sideDetails_[0], sideDetails_[1]);
  emit sidesChanged();
  for (const int index : {0, 1})
    if (!sideDetails_[index])
      askSide(index);
}

void Workspace::askSide(int index) {
  if (sides_[index].isEmpty())
    return;
  questions_->ask<RecordDetail>(
      QStringLiteral("side%1").arg(index), this,
      [key = sides_[index].toStdString()](database::Store& store) {
        return loadDetail(store, key);
      },
      [this, index, id = sides_[index]](Result<RecordDetail> detail) {
        if (sides_[index] != id)
          return;
        if (!detail) {
          emit said(sentence(detail.error()), true);
          return;
        }
        sideDetails_[index] = std::move(*detail);
        emit sidesChanged();
      });
}

void Workspace::startRun(const RunPlan& plan) {
  if (const QString problem = plan.problem(); !problem.isEmpty()) {
    emit said(problem, true);
    return;
  }
  launch(plan.arguments());
}

void Workspace::resumeRun(const QString& id, int moreTrials) {
  QStringList arguments{QStringLiteral("resume"), id};
  if (moreTrials > 0)
    arguments << QStringLiteral("--trials") << QStringLiteral("+%1").arg(moreTrials);
  launch(arguments);
}

void Workspace::launch(const QStringList& arguments) {
  auto started = startDetached(arguments, database_);
  if (!started) {
    emit said(sentence(started.error()), true);
    return;
  }
  lastLog_ = started->log;
  started_.push_back({*started, false});
  emit said(QStringLiteral("Starting: %1").arg(shellCommand(QStringLiteral("temper"), arguments)),
            false);
}

void Workspace::watchStarted() {
  std::erase_if(started_, [this](const Started& started) {
    if (isAlive(started.process.pid))
      return false;
    if (!started.seen) {
      const QString words = tailOf(started.process.log, 2);
      emit said(words.isEmpty() ? QStringLiteral("The run ended at once and said nothing.") : words,
                true);
    }
    return true;
  });
}

void Workspace::startBatch(const QString& file) { launch({QStringLiteral("batch"), file}); }

void Workspace::stopRun(const QString& id) {
  request(id, database::RequestedState::kStop,
          QStringLiteral("Run %1 ends after what it measures now; what it recorded stays."));
}

void Workspace::pauseRun(const QString& id) {
  request(id, database::RequestedState::kPause,
          QStringLiteral("Run %1 pauses after what it measures now; Resume goes on with it."));
}

void Workspace::request(const QString& id, database::RequestedState state, const QString& words) {
  questions_->ask<bool>(
      QStringLiteral("stop"), this,
      [key = id.toStdString(), state](database::Store& store) -> Result<bool> {
        TEMPER_TRY_VOID(store.request(key, state));
        return true;
      },
      [this, id, words](const Result<bool>& asked) {
        if (!asked)
          emit said(sentence(asked.error()), true);
        else
          emit said(words.arg(shortId(id)), false);
      });
}

QStringList Workspace::exportArguments(const QString& folder) const {
  QStringList words{QStringLiteral("export"), QStringLiteral("--name"), QStringLiteral("kernels"),
                    QStringLiteral("--out"), folder};
  if (detail_) // of another processor than this one, perhaps
    words << QStringLiteral("--target") << toQString(detail_->row.target).section(u' ', 0, 0);
  return words << record_ << QStringLiteral("--db") << database_;
}

void Workspace::exportSelected(const QString& folder) {
  emit said(QStringLiteral("Exporting %1…").arg(shortId(record_)), false);
  exporter_.start(exportArguments(folder),
                  [this, id = record_, folder](const TemperCommand::Answer& answer) {
                    if (answer.exitCode == 0)
                      emit said(QStringLiteral("%1 is exported: libkernels.so, kernels.h and "
                                               "kernels.json are in %2.")
                                    .arg(shortId(id), folder),
                                false);
                    else
                      emit said(answer.error, true);
                  });
}

QString Workspace::lastLog() const {
  return lastLog_.isEmpty() ? QString() : tailOf(lastLog_, 200);
}

} // namespace temper::gui
