/// A schedule that is made by hand: where it stands (trace, program, loops and blocks), what may
/// come next, what was tried before. Every schedule that one was at is kept, as a tree that undo
/// and redo walk on. Without widgets; compiling and measuring go through two `temper session`s, so
/// that a measurement keeps nobody from looking.
#pragma once

#include "gui/core/code_loader.h"
#include "gui/core/limits.h"
#include "gui/core/line_links.h"
#include "gui/core/temper_program.h"
#include "gui/core/temper_session.h"

#include <QAbstractTableModel>
#include <QObject>
#include <QStringList>

#include <vector>

namespace temper::gui {

/// A schedule that one was at.
struct EditNode {
  int parent = -1;
  QString label; ///< what was done: "parallel(loop=l1)"
  QString name;  ///< that a person gave it
  QString trace; ///< canonical Python
  double estimateNs = 0;
  QString record;    ///< of its measurement; empty before
  QString candidate; ///< likewise
  QString outcome;
  QString reason;
  double medianNs = 0, lowNs = 0, highNs = 0;
  int redo = -1; ///< the child that redo goes to

  bool isMeasured() const { return !outcome.isEmpty(); }
};

/// The tree as a table, in the order in which the schedules were made.
class EditHistory : public QAbstractTableModel {
  Q_OBJECT
public:
  enum Column { kNumber, kStep, kEstimate, kTime, kRatio, kColumns };

  using QAbstractTableModel::QAbstractTableModel;

  const std::vector<EditNode>& nodes() const { return nodes_; }
  const EditNode* current() const { return current_ < 0 ? nullptr : &nodes_[at(current_)]; }
  int currentRow() const { return current_; }
  void clear();
  /// A child of the current node, or the child with this trace that it has already; becomes
  /// current.
  void add(EditNode node);
  /// Replaces the current node's trace where nothing depends on it: no measurement, no children.
  bool amend(const EditNode& node);
  void goTo(int row);
  void changed(int row, const EditNode& node);
  /// The tree as it was kept; parents come before their children.
  void restore(std::vector<EditNode> nodes, int current);
  bool canUndo() const { return current() && current()->parent >= 0; }
  bool canRedo() const { return current() && current()->redo >= 0; }

  int rowCount(const QModelIndex& parent = {}) const override;
  int columnCount(const QModelIndex& parent = {}) const override;
  QVariant data(const QModelIndex& index, int role) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;
  Qt::ItemFlags flags(const QModelIndex& index) const override;
  /// Names a schedule.
  bool setData(const QModelIndex& index, const QVariant& value, int role) override;

signals:
  void currentChanged();

private:
  static size_t at(int row) { return static_cast<size_t>(row); }
  std::vector<EditNode> nodes_;
  int current_ = -1;
};

class EditSession : public QObject {
  Q_OBJECT
public:
  struct Place {
    QString text;
    QString name;
    int depth = 0;
    bool isBlock = false;
    bool operator==(const Place&) const = default;
  };
  struct Step {
    QString primitive;
    QString lines;  ///< of the trace; empty when it is not legal
    QString reason; ///< why it is not
    double estimateNs = 0;
    QString text() const; ///< "split(l1, [None, 8])"
  };

  /// A value that the trace samples.
  struct Decision {
    QStringList names; ///< "v11", "v12"
    QString step;      ///< the first that uses it: "split(l6)"
    QString value;     ///< "[16, 1]"
    bool canSweep = false;
    bool locked = false; ///< a search from here keeps it
  };
  /// The schedule with another value of one decision.
  struct SweepPoint {
    QString value;
    QString trace;  ///< empty when it is not legal
    QString reason; ///< why it is not
    bool current = false;
    double estimateNs = 0;
    QString outcome; ///< of its measurement; empty before
    double medianNs = 0, lowNs = 0, highNs = 0;
  };

  /// A knob of a tile program and all that it could be.
  struct Knob {
    QString name;
    std::vector<SweepPoint> choices; ///< without measurements; each with the others as they are
    int chosen() const;
  };

  explicit EditSession(QString database, QObject* parent = nullptr);

  /// Begins with a record's candidate.
  void open(const QString& record);
  /// The same, and takes a step from there at once.
  void openWith(const EditProposal& proposal);
  /// Begins with a workload as it is written: "matmul", "M=512 N=512".
  void openWorkload(const QString& name, const QString& parameters);
  bool isOpen() const { return history_.current() != nullptr; }

  /// The tree of schedules and where one stands in it, for the next start; null when nothing is
  /// open.
  Json kept() const;
  /// Takes up what was kept, and compiles nothing before somebody looks (`wake`). False, and
  /// nothing is changed, when it cannot be read.
  bool restore(const Json& kept);
  /// Somebody looks at it.
  void wake();
  const QString& title() const { return title_; }
  const QString& startRecord() const { return startRecord_; }

  EditHistory& history() { return history_; }
  const QString& trace() const { return trace_; } ///< as typed, else canonical
  const QString& text() const { return text_; }   ///< of the program at the level
  const QString& error() const { return error_; } ///< about the trace; empty when all is well
  const std::vector<Place>& places() const { return places_; }
  const std::vector<Step>& steps() const { return steps_; }
  int place() const { return place_; }
  CodeLevel level() const { return level_; }
  /// What the code is for: "native", "cuda:sm_90a"; empty before something is open.
  QString target() const;
  bool isWorking() const { return looking_.isBusy(); }
  bool isMeasuring() const { return measuring_.isBusy(); }

  const std::vector<Decision>& decisions() const { return decisions_; }
  void setLocked(int decision, bool locked);
  /// Asks what other values of a decision would make of the schedule; -1 for none.
  void sweep(int decision);
  int swept() const { return swept_; } ///< -1: none
  const std::vector<SweepPoint>& sweepPoints() const { return sweep_; }
  /// Measures every value that was not, one after the other.
  void measureSweep();
  void stopSweep();
  bool isSweeping() const { return sweeping_; }
  /// Takes the schedule with that value.
  void takeSweep(int point);

  /// True for tile programs: knobs instead of loops and blocks.
  bool hasKnobs() const { return tile_; }
  /// With what the model of the machine thinks of each choice; empty until that has come.
  const std::vector<Knob>& knobs() const { return knobs_; }
  /// Turns a knob.
  void takeKnob(int knob, int choice);

  void setLevel(CodeLevel level);
  /// The loop or block whose steps are wanted; -1 for none.
  void selectPlace(int place);
  /// Takes a legal step.
  void apply(int step);
  /// The trace as somebody types it: what it makes, or what is wrong with it.
  void setTrace(const QString& typed);
  void undo();
  void redo();
  void goTo(int row); ///< any schedule of the history
  /// Compiles, checks, times and records the current schedule.
  void measure();
  /// What `temper session` is asked to do so; null where there is nothing to measure.
  Json measureRequest() const;
  /// The same of every value of the swept decision that was not measured.
  std::vector<Json> sweepRequests() const;

  /// For each place the line of the script that it begins in, -1 where it has none.
  std::vector<int> linesOfPlaces() const;
  /// For each place its lines at the level that shows, as far as they can be told; -1: none.
  std::vector<LineRange> regionsOfPlaces() const;
  /// The place of a line, or of the name in it that is meant; -1 for none.
  int placeAt(int line, const QString& name) const;
  /// A run that searches around the current schedule, or, where it was not measured or decides
  /// nothing, around nothing: what was measured here is among what it starts from.
  RunPlan searchPlan() const;

signals:
  void opened();
  void programChanged(); ///< trace, places, text or error
  void stepsChanged();
  void decisionsChanged();
  void sweepChanged();
  void knobsChanged();
  void measuringChanged();
  void measured(const QString& record);
  void said(const QString& sentence, bool isError);

private:
  /// `step`: what is taken at once; without a trace: nothing.
  void begin(Json request, const EditProposal& step = {});
  /// Asks what `trace` makes of the program; `accepted` gets the answer when it is legal.
  void look(const QString& trace, std::function<void(const Json&)> accepted);
  void show(const Json& answer);
  void showCurrent();
  void askSteps();
  void askKnobs();
  void take(const SweepPoint& point, const QString& name);
  void measureNextOfSweep();
  Json sweepRequest(const SweepPoint& point) const;
  static bool wantsMeasuring(const SweepPoint& point) {
    return !point.trace.isEmpty() && point.outcome.isEmpty();
  }
  /// Of the swept values those that are schedules of the tree have been measured there.
  void takeKnownTimes();
  void forgetSweep();

  TemperSession looking_;
  TemperSession measuring_;
  EditHistory history_;
  Json subject_;
  QString title_, startRecord_;
  QString trace_, text_, error_;
  QString script_, scriptOf_; ///< the script that was seen last, and of which trace it was
  std::vector<int> scriptLines_;
  std::vector<Place> places_;
  std::vector<Step> steps_;
  std::vector<Decision> decisions_;
  QStringList locked_; ///< first names of the decisions that are
  std::vector<SweepPoint> sweep_;
  std::vector<Knob> knobs_;
  bool tile_ = false;
  int swept_ = -1;
  bool sweeping_ = false;
  int place_ = -1;
  bool typing_ = false;  ///< the current node is what is being typed
  bool resting_ = false; ///< it was restored, and nobody has looked yet
  CodeLevel level_ = CodeLevel::kScript;
};

} // namespace temper::gui
