/// What the window looks at: one database, its records and runs, the selection that all views
/// share. Views talk to this and to nothing else. Without widgets; on the main thread.
#pragma once

#include "gui/core/analysis.h"
#include "gui/core/code_loader.h"
#include "gui/core/edit_session.h"
#include "gui/core/library_model.h"
#include "gui/core/record_detail.h"
#include "gui/core/record_model.h"
#include "gui/core/run_model.h"
#include "gui/core/saved_queries.h"
#include "gui/core/store_client.h"
#include "gui/core/temper_program.h"

#include <QObject>
#include <QTimer>

#include <memory>
#include <optional>

namespace temper::gui {

class RunRows;

/// A record that is kept at hand: a baseline, or pinned.
struct MarkedRecord {
  QString id;
  QString title; ///< "matmul M=512 N=512 K=512"
  double medianNs = database::kUnknown;
  bool isBaseline = false;
  bool operator==(const MarkedRecord&) const = default;
};

class Workspace : public QObject {
  Q_OBJECT
public:
  enum class State : uint8_t {
    kOpening,
    kMissing, ///< there is no database yet, or it is empty: the message says what to do first
    kReady,
    kBroken, ///< the message says why it cannot be shown
  };

  explicit Workspace(QString database, QObject* parent = nullptr);
  ~Workspace() override;

  const QString& database() const { return database_; }
  State state() const { return state_; }
  const QString& message() const { return message_; }
  bool isLoading() const { return loading_; }

  RecordModel& records() { return *records_; }
  RunModel& runs() { return *runs_; }
  /// The schedule that is made by hand.
  EditSession& edit() { return *edit_; }
  /// What the plots of Explore show.
  Analysis& analysis() { return *analysis_; }
  SavedQueries& savedQueries() { return *savedQueries_; }
  /// What a library would be made of; askLibrary fills it.
  LibraryModel& library() { return *library_; }
  const LibraryModel& library() const { return *library_; }
  void askLibrary();
  bool isAskingLibrary() const { return askingLibrary_; }

  /// Reads everything again.
  void reload();
  /// Turns live updates off, for pictures.
  void stopPolling() { poll_.stop(); }

  /// Shows only the records that a query finds (database/query_language.h), as it is written after
  /// `query:`; empty: all. What cannot be read is in queryError().
  void setQuery(const QString& text);
  const QString& query() const { return query_; }
  const QString& queryError() const { return queryError_; }

  // What a person says of a record.
  /// Adds what is not there yet, takes away what is missing from the list.
  void setTags(const QString& record, const QStringList& tags);
  void toggleTag(const QString& record, const QString& tag);
  void addNote(const QString& record, const QString& text);
  bool canUndoMarks() const { return !undo_.empty(); }
  bool canRedoMarks() const { return !redo_.empty(); }
  /// Takes back the last change of tags or notes made here, or makes it again.
  void undoMarks();
  void redoMarks();

  // Baselines and pins: tags in the database, so that everybody and the command line see them.
  /// Makes a record the baseline of its kind (workload, machine, threads, caches and inputs)
  /// instead of the one before; or, when it is that already, takes it away.
  void toggleBaseline(const QString& record);
  void togglePin(const QString& record);
  bool isBaseline(const QString& record) const;
  bool isPinned(const QString& record) const;
  bool hasTag(const QString& record, QLatin1StringView tag) const;
  /// Baselines first.
  const std::vector<MarkedRecord>& marked() const { return marked_; }
  /// What a record is held against; null where its kind has none, or it is not known yet.
  const Baseline* baselineFor(const QString& record) const;
  /// "▲ 0.872×": its time over that of its baseline; empty without one.
  QString ratioOf(const QString& record) const;
  /// For pictures: records are not marked as of another machine or compiler.
  void forgetMachine();

  // The selection.
  void selectRecord(const QString& id);
  const QString& selectedRecord() const { return record_; }
  /// Null until it has arrived.
  const RecordDetail* detail() const { return detail_ ? &*detail_ : nullptr; }

  void selectRun(const QString& id);
  const QString& selectedRun() const { return run_; }
  const RunDetail* runDetail() const { return runDetail_ ? &*runDetail_ : nullptr; }

  // Comparing: A and B.
  void setSide(int side, const QString& id); ///< 0: A, 1: B
  /// The side from the start of an id, as a person types it.
  void setSideByPrefix(int side, const QString& prefix);
  /// Selects the record or run that an id's start means.
  void selectByPrefix(const QString& prefix);
  void swapSides();
  const QString& side(int index) const { return sides_[index]; }
  const RecordDetail* sideDetail(int index) const {
    return sideDetails_[index] ? &*sideDetails_[index] : nullptr;
  }

  // Runs.
  /// Starts a run as a process of its own; it is selected when it appears in the database.
  void startRun(const RunPlan& plan);
  void resumeRun(const QString& id, int moreTrials = 0);
  /// Asks the process that works on it to stop; what it recorded stays. A paused run says so until
  /// it is resumed.
  void stopRun(const QString& id);
  void pauseRun(const QString& id);
  /// Works off a batch file (temper batch FILE): many workloads, one budget.
  void startBatch(const QString& file);
  /// Makes a library of the selected record (libkernels.so, kernels.h, kernels.json) in the folder;
  /// what came of it is said.
  void exportSelected(const QString& folder);
  /// Arguments of `temper` that do so.
  QStringList exportArguments(const QString& folder) const;
  bool isExporting() const { return exporter_.isRunning(); }
  /// What the run started last has printed; empty when none was.
  QString lastLog() const;

signals:
  void stateChanged();
  void loadingChanged();
  void recordSelected();
  void detailChanged(); ///< of the selected record; detail() may be null
  void queryChanged();  ///< the query, or what is wrong with it
  void marksChanged();  ///< baselines, pins, tags
  void runSelected();
  void runDetailChanged();
  void sidesChanged();
  /// An id that was typed meant this record or run, which is selected now.
  void idFound(const QString& id);
  /// A sentence for the status bar; `isError` wants attention.
  void said(const QString& sentence, bool isError);

private:
  void poll();
  void loadAll();
  void setState(State state, const QString& message);
  void askNewRecords();
  void askQuery();
  void askDetail();
  /// Something that was said of records, and can be taken back.
  struct MarkChange {
    struct Edit {
      QString record;
      QString tag;
      bool added = true;
    };
    std::vector<Edit> edits;
    std::optional<database::Note> note; ///< that was added
  };
  void change(MarkChange change, bool forward, std::function<void(const MarkChange&)> done);
  struct Marks;
  void askMarks();
  void askMachine();
  void updateContext();
  void addEdit(MarkChange& change, const QString& record, QLatin1StringView tag, bool added);
  void askRuns();
  void askRunDetail();
  void askSide(int index);
  /// Starts `temper ARGUMENTS` as a process of its own.
  void launch(const QStringList& arguments);
  /// One that ended before it made a run says why in its log.
  void watchStarted();
  void resolve(const QString& prefix, std::function<void(const QString&)> found);

  QString database_;
  State state_ = State::kOpening;
  QString message_;
  bool loading_ = false;
  bool polled_ = false;
  /// Asked and not answered yet: a poll that asks again would take the answer's place, and of a
  /// slow server none would ever come.
  bool askingNew_ = false, askingRuns_ = false;
  RecordModel* records_;
  RunModel* runs_;
  EditSession* edit_;
  Analysis* analysis_;
  SavedQueries* savedQueries_;
  LibraryModel* library_;
  bool askingLibrary_ = false;
  std::shared_ptr<RunRows> runRows_;     ///< used on the questions' thread only
  std::shared_ptr<RecordPacker> packer_; ///< used on the bulk client's thread only
  uint64_t load_ = 0;                    ///< number of the load whose parts count
  QString query_;
  QString queryError_;
  std::vector<MarkChange> undo_, redo_; ///< latest last
  RecordContext context_;
  std::vector<MarkedRecord> marked_;
  bool machineWanted_ = true;
  int polls_ = 0;
  uint64_t writes_ =
      0; ///< number of what is written next: each is done, none takes another's place
  QString record_;
  std::optional<RecordDetail> detail_;
  QString run_;
  std::optional<RunDetail> runDetail_;
  QString sides_[2];
  std::optional<RecordDetail> sideDetails_[2];
  void request(const QString& id, database::RequestedState state, const QString& words);
  struct Started {
    StartedRun process;
    bool seen = false; ///< its run is in the database
  };
  std::vector<Started> started_; ///< processes of this window that live, or died unseen
  QString lastLog_;              ///< of the newest
  TemperCommand exporter_;
  std::unique_ptr<TemperSession> machine_; ///< while it is asked
  QTimer poll_;
  // Last, so that they end first: their answers go to the members above.
  std::unique_ptr<StoreClient> questions_; ///< short questions
  std::unique_ptr<StoreClient> bulk_;      ///< all records
};

} // namespace temper::gui
