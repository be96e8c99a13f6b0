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
    Named& named = workloads_[run.workload];
    if (named.title.isEmpty()) {
      TEMPER_TRY(workload, store.workload(run.workload));
      named.title = toQString(
          workload.name + " " +
          format_binding(ordered_binding(workload.binding_json, workload.parameters_json).dump()));
      named.flops = workload.flops;
      named.binding = workload.binding_json;
    }
    row.workload = named.title;
    row.flops = named.flops;
    row.binding = named.binding;
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
  struct Named {
    QString title;
    double flops = 0;
    std::string binding; ///< JSON
  };
  std::map<std::string, Named> workloads_;
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
  connect(questions_.get(), &StoreClient::replaced, this, &Workspace::reload);
  connect(edit_, &EditSession::said, this, &Workspace::said);
  runs_->setRatioOf([this](const QString& record) { return ratioOf(record); });
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
  records_->setFilling(true);
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
          if (load != load_)
            return;
          records_->append(std::move(*chunk));
          // By a process of its own: to start one costs less before there is much memory to share.
          askMachine();
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
                        records_->setFilling(false);
                        emit loadingChanged();
                        if (loaded) {
                          // Runs without a record yet are worth showing, too.
                          setState(State::kReady, {});
                          askQuery();
                          askMarks();
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
    questions_->reopen(); // a connection that broke stays broken
    bulk_->reopen();
    loadAll(); // it may have come into being
    askRuns();
    return;
  }
  if (!askingRuns_)
    askRuns();
  if (!askingNew_)
    askNewRecords();
  constexpr int kEvery = 8; // others may tag, too
  if (++polls_ % kEvery == 0)
    askMarks();
}

void Workspace::askNewRecords() {
  const uint64_t load = load_;
  askingNew_ = true;
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
        askingNew_ = false;
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
        TEMPER_TRY(found, store.list_record_ids(filter));
        auto ids = std::make_shared<std::vector<uint64_t>>();
        ids->reserve(found.size());
        for (const database::Id& id : found)
          ids->push_back(idDigits(toQString(id)));
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
  MarkChange change;
  QStringList known;
  for (const database::Tag& tag : detail_->tags)
    known << toQString(tag.tag);
  for (const QString& tag : tags)
    if (!tag.isEmpty() && !known.contains(tag))
      change.edits.push_back({record, tag, true});
  for (const QString& tag : known)
    if (!tags.contains(tag))
      change.edits.push_back({record, tag, false});
  if (change.edits.empty())
    return;
  redo_.clear();
  this->change(std::move(change), true, [this](const MarkChange& made) { undo_.push_back(made); });
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

void Workspace::change(MarkChange change, bool forward,
                       std::function<void(const MarkChange&)> done) {
  questions_->ask<MarkChange>(
      QStringLiteral("write%1").arg(++writes_), this,
      [change, forward](database::Store& store) -> Result<MarkChange> {
        MarkChange made = change;
        TEMPER_TRY_VOID(store.transaction([&]() -> Result<void> {
          for (const MarkChange::Edit& edit : change.edits) {
            const database::Tag tag{edit.record.toStdString(), edit.tag.toStdString(), 0};
            TEMPER_TRY_VOID(edit.added == forward ? store.add(tag) : store.remove(tag));
          }
          if (made.note && forward) {
            TEMPER_TRY(id, store.add(*made.note));
            made.note->id = id;
          } else if (made.note) {
            TEMPER_TRY_VOID(store.remove(*made.note));
          }
          return {};
        }));
        return made;
      },
      [this, done = std::move(done)](const Result<MarkChange>& made) {
        if (!made) {
          emit said(sentence(made.error()), true);
          return;
        }
        done(*made);
        askDetail();
        askMarks();
        if (query_.contains(QStringLiteral("tag")) || query_.contains(QStringLiteral("note")))
          askQuery();
      });
}

void Workspace::undoMarks() {
  if (undo_.empty())
    return;
  const MarkChange last = undo_.back();
  undo_.pop_back();
  change(last, false, [this](const MarkChange& made) { redo_.push_back(made); });
}

void Workspace::redoMarks() {
  if (redo_.empty())
    return;
  const MarkChange last = redo_.back();
  redo_.pop_back();
  change(last, true, [this](const MarkChange& made) { undo_.push_back(made); });
}

void Workspace::addNote(const QString& record, const QString& text) {
  if (record.isEmpty() || text.trimmed().isEmpty())
    return;
  MarkChange change;
  change.note = database::Note();
  change.note->subject = record.toStdString();
  change.note->text = text.trimmed().toStdString();
  change.note->author = qEnvironmentVariable("USER").toStdString();
  redo_.clear();
  this->change(std::move(change), true, [this](const MarkChange& made) { undo_.push_back(made); });
}

bool Workspace::hasTag(const QString& record, QLatin1StringView tag) const {
  if (!context_.tags)
    return false;
  const auto found = context_.tags->find(idDigits(record));
  return found != context_.tags->end() && found->second.contains(tag);
}

bool Workspace::isBaseline(const QString& record) const { return hasTag(record, kBaselineTag); }
bool Workspace::isPinned(const QString& record) const { return hasTag(record, kPinTag); }

void Workspace::addEdit(MarkChange& change, const QString& record, QLatin1StringView tag,
                        bool added) {
  change.edits.push_back({record, QString(tag), added});
}

void Workspace::togglePin(const QString& record) {
  if (record.isEmpty())
    return;
  MarkChange change;
  addEdit(change, record, kPinTag, !isPinned(record));
  redo_.clear();
  this->change(std::move(change), true, [this](const MarkChange& made) { undo_.push_back(made); });
}

void Workspace::toggleBaseline(const QString& record) {
  const int64_t number = records_->numberOf(idDigits(record));
  if (number < 0)
    return;
  const RecordTable& table = records_->table();
  const PackedRecord& packed = table.at(static_cast<uint32_t>(number));
  MarkChange change;
  if (isBaseline(record)) {
    addEdit(change, record, kBaselineTag, false);
  } else {
    if (!(packed.medianNs > 0)) {
      emit said(tr("%1 has no time (%2): nothing can be held against it.")
                    .arg(shortId(record), outcomeText(packed.outcome)),
                true);
      return;
    }
    if (const Baseline* before = context_.baselineOf(table.seriesOf(packed)))
      addEdit(change, idText(database::Kind::kMeasurement, before->record), kBaselineTag, false);
    addEdit(change, record, kBaselineTag, true);
  }
  redo_.clear();
  this->change(std::move(change), true, [this](const MarkChange& made) { undo_.push_back(made); });
}

const Baseline* Workspace::baselineFor(const QString& record) const {
  const int64_t number = record.isEmpty() ? -1 : records_->numberOf(idDigits(record));
  if (number < 0 || context_.baselines.empty())
    return nullptr;
  const RecordTable& table = records_->table();
  return context_.baselineOf(table.seriesOf(table.at(static_cast<uint32_t>(number))));
}

QString Workspace::ratioOf(const QString& record) const {
  const Baseline* baseline = baselineFor(record);
  const int64_t number = baseline ? records_->numberOf(idDigits(record)) : -1;
  return number < 0 ? QString()
                    : ratioText(records_->table().at(static_cast<uint32_t>(number)), *baseline);
}

/// What the database says of records.
struct Workspace::Marks {
  std::unordered_map<uint64_t, QStringList> tags;
  std::vector<Baseline> baselines;
  std::vector<MarkedRecord> marked;
};

void Workspace::askMarks() {
  using Answer = std::shared_ptr<Marks>;
  constexpr size_t kMostMarked = 200;
  questions_->ask<Answer>(
      QStringLiteral("marks"), this,
      [](database::Store& store) -> Result<Answer> {
        auto marks = std::make_shared<Marks>();
        std::vector<std::pair<std::string, bool>> kept; // baselines first
        TEMPER_TRY_VOID(store.each_tag([&](const database::Tag& tag) {
          if (tag.subject.empty() ||
              tag.subject[0] != static_cast<char>(database::Kind::kMeasurement))
            return true;
          const QString word = toQString(tag.tag);
          QStringList& words = marks->tags[idDigits(toQString(tag.subject))];
          word == kBaselineTag ? words.prepend(word) : words.append(word);
          if (word == kBaselineTag)
            kept.emplace(kept.begin(), tag.subject, true);
          else if (word == kPinTag && kept.size() < kMostMarked)
            kept.emplace_back(tag.subject, false);
          return true;
        }));
        for (const auto& [id, isBaseline] : kept) {
          const auto row = store.record_row(id);
          if (!row)
            continue; // of a record that was pruned
          TEMPER_TRY(workload, store.workload(row->workload));
          MarkedRecord record;
          record.id = toQString(id);
          record.title = toQString(
              workload.name + " " +
              format_binding(
                  ordered_binding(workload.binding_json, workload.parameters_json).dump()));
          record.medianNs = row->median_ns;
          record.isBaseline = isBaseline;
          if (isBaseline) {
            Baseline baseline;
            baseline.record = idDigits(record.id);
            baseline.series.workloadId = toQString(row->workload);
            baseline.series.environment = toQString(row->environment_class);
            baseline.series.threads = row->threads;
            baseline.series.regime = row->regime;
            baseline.series.inputs = toQString(row->inputs);
            baseline.medianNs = row->median_ns;
            baseline.lowNs = row->low_ns;
            baseline.highNs = row->high_ns;
            marks->baselines.push_back(std::move(baseline));
          }
          marks->marked.push_back(std::move(record));
        }
        return marks;
      },
      [this](const Result<Answer>& marks) {
        if (!marks)
          return; // loading the records says what is wrong
        const bool same =
            context_.tags && *context_.tags == (*marks)->tags && marked_ == (*marks)->marked;
        if (same)
          return;
        context_.tags = std::make_shared<const std::unordered_map<uint64_t, QStringList>>(
            std::move((*marks)->tags));
        context_.baselines = std::move((*marks)->baselines);
        marked_ = std::move((*marks)->marked);
        updateContext();
      });
}

void Workspace::askMachine() {
  if (!machineWanted_)
    return;
  machineWanted_ = false;
  machine_ = std::make_unique<TemperSession>(database_);
  machine_->ask(QStringLiteral("machine"),
                Json{{"do", "machine"}, {"fresh", true}, {"speed", false}},
                [this](const Json& answer, const QString& error) {
                  machine_.release()->deleteLater(); // it is at work on this answer
                  if (!error.isEmpty())
                    return; // nothing is marked then; whoever needs the machine says why
                  context_.environment = toQString(answer.value("environment", std::string()));
                  context_.freshToolchains.clear();
                  for (const Json& id : answer.value("fresh_toolchains", Json::array()))
                    if (id.is_string())
                      context_.freshToolchains.push_back(toQString(id.get<std::string>()));
                  updateContext();
                });
}

void Workspace::forgetMachine() {
  machineWanted_ = false;
  machine_.reset();
  context_.environment.clear();
  context_.freshToolchains.clear();
  updateContext();
}

void Workspace::updateContext() {
  records_->setContext(context_);
  runs_->ratiosChanged();
  emit marksChanged();
}

void Workspace::askRuns() {
  askingRuns_ = true;
  questions_->ask<std::vector<RunRow>>(
      QStringLiteral("runs"), this,
      [memory = runRows_](database::Store& store) { return memory->ask(store); },
      [this](Result<std::vector<RunRow>> rows) {
        askingRuns_ = false;
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
