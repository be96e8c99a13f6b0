/// One candidate: what was measured and said about it, and its text at each level.
#pragma once

#include "gui/core/text_search.h"
#include "gui/core/workspace.h"

#include <QTimer>
#include <QWidget>

class QGridLayout;
class QLabel;
class QLineEdit;
class QTabWidget;

namespace temper::gui {

class CodeView;
class FindBar;
class LimitsPane;
class SamplePlot;

class CandidatePane : public QWidget {
  Q_OBJECT
public:
  explicit CandidatePane(Workspace& workspace, QWidget* parent = nullptr);

  void showLevel(CodeLevel level);
  void showOverview();
  /// What limits it, and what could be tried.
  void showLimits();
  /// What was done with it, and what compiler and kernel wrote.
  void showLog();
  CodeView* logView() const { return log_; }
  /// Whether texts have a column that says how often their lines run.
  void setHeat(bool on);
  /// True where the candidate has a text at this level: its tab shows.
  bool hasLevel(CodeLevel level) const;
  /// `temper show` with the option of what shows; empty without a record.
  QStringList showArguments() const;
  LimitsPane* limits() const { return limits_; }
  /// Of what shows: "overview", "trace", ..., "ptx", "limits", "log", as actions and links call it.
  QString levelName() const;
  bool isLoadingCode() const;
  CodeView* codeView(CodeLevel level) const { return views_[static_cast<size_t>(level)]; }
  QLineEdit* tagsField() const { return tags_; }
  QLineEdit* noteField() const { return note_; }
  /// Shows the overview and goes to the field.
  void startTags();
  void startNote();
  /// Looks for words in every text of the candidate.
  void startSearch();
  /// The next place in the text that shows, else in the next text that has one.
  void searchAgain(bool forward);
  FindBar* findBar() const { return find_; }
  const TextSearch& search() const { return search_; }
  void copyCode() const;

  SamplePlot* samples() const { return samples_; }

private:
  void showVerdict();
  void showDetail();
  void loadCode();
  void showHeat();
  /// Marks what belongs to the line that was clicked in another level.
  void showLinked();
  void countFound();
  /// The text of this name, at its first place that has the words, or its last.
  void showFound(const QString& name, bool forward);
  void findPending();
  CodeView* currentView() const;
  /// Of the tab that shows; -1: it shows no text.
  int currentLevel() const;

  Workspace& workspace_;
  CodeLoader loader_;
  CodeLoader tirLoader_; ///< of the program whose machine code shows: its loops say how often
  QLabel* title_;
  QLabel* time_;
  QLabel* verdict_;
  QTabWidget* tabs_;
  QWidget* facts_;
  QGridLayout* factRows_;
  SamplePlot* samples_;
  QLineEdit* tags_;
  QLineEdit* note_;
  std::array<CodeView*, kCodeLevels> views_{};
  std::array<QString, kCodeLevels> shown_; ///< record whose text each has
  LimitsPane* limits_;
  CodeView* log_;
  bool heat_ = false;
  FindBar* find_;
  TextSearch search_;
  QTimer searchDelay_;
  QString pendingFind_; ///< the text to look in when it has come
  bool pendingForward_ = true;
  bool loadingCode_ = false, loadingHeat_ = false;
  /// Where somebody clicked: other levels show the same loop.
  int linkedLevel_ = -1, linkedLine_ = 0;
};

} // namespace temper::gui
