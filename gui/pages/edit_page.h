/// The schedule editor: loops and blocks, what may come next at one of them, the program that
/// results, the trace as text that may be typed, and all schedules that were tried.
#pragma once

#include "gui/core/edit_session.h"

#include <QTimer>
#include <QWidget>

class QLabel;
class QListWidget;
class QPushButton;
class QStackedWidget;
class QTabBar;
class QTableView;
class QTreeWidget;

namespace temper::gui {

class CodeView;
class FindBar;
class KnobForm;
class SweepPlot;

class EditPage : public QWidget {
  Q_OBJECT
public:
  explicit EditPage(EditSession& session, QWidget* parent = nullptr);

  CodeView* programView() const { return program_; }
  CodeView* traceView() const { return trace_; }
  QListWidget* places() const { return places_; }
  QTreeWidget* steps() const { return steps_; }
  /// One that code for the session's target has.
  void showLevel(CodeLevel level);
  void focusPlaces();
  /// Whether the program has a column that says how often its lines run.
  void setHeat(bool on);
  /// Looks for words in the program at the level that shows, and in the trace.
  void startSearch();
  void searchAgain(bool forward);
  FindBar* findBar() const { return find_; }
  void applyCurrentStep();
  void renameCurrent();
  QTreeWidget* decisions() const { return decisions_; }
  SweepPlot* sweepPlot() const { return sweep_; }
  KnobForm* knobs() const { return knobs_; }

signals:
  /// A run around the current schedule.
  void searchWanted();

private:
  QWidget* makeHead();
  QWidget* makeLeft();
  QWidget* makeCentre();
  QWidget* makeRight();
  void showHead();
  void showLevels(); ///< their tabs
  void showProgram();
  void showSteps();
  void showDecisions();
  void showSweep();
  void showHeat();
  void countFound();

  EditSession& session_;
  QWidget* empty_;
  QWidget* all_;
  QLabel* title_;
  QLabel* time_;
  QLabel* verdict_;
  QPushButton* undo_;
  QPushButton* redo_;
  QPushButton* measure_;
  QStackedWidget* left_; ///< loops and steps, or knobs
  KnobForm* knobs_;
  QListWidget* places_;
  QTreeWidget* steps_;
  QTabBar* levels_;
  CodeView* program_;
  CodeView* trace_;
  FindBar* find_;
  int foundIn_ = 0; ///< 0: the program shows what was found last, 1: the trace
  QLabel* error_;
  QTableView* history_;
  QTreeWidget* decisions_;
  SweepPlot* sweep_;
  QPushButton* measureSweep_;
  QPushButton* search_;
  QTimer typing_;
  bool heat_ = false;
  bool showing_ = false; ///< lists are filled, nobody chooses
};

} // namespace temper::gui
