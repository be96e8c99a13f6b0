/// Two records side by side: a sentence on top, the differences of their texts and numbers below.
#pragma once

#include "gui/core/code_loader.h"
#include "gui/core/why_faster.h"
#include "gui/core/workspace.h"

#include <QWidget>

#include <optional>

class QCheckBox;
class QGridLayout;
class QLabel;
class QLineEdit;
class QPushButton;
class QSplitter;
class QTabBar;
class QTreeWidget;

namespace temper::gui {

class CodeView;
class FindBar;
class SamplePlot;

class ComparePage : public QWidget {
  Q_OBJECT
public:
  explicit ComparePage(Workspace& workspace, QWidget* parent = nullptr);

  void showLevel(CodeLevel level);
  /// True where one of the sides has a text at this level: its tab shows.
  bool hasLevel(CodeLevel level) const;
  /// What was done with both, and what compiler and kernel wrote.
  void showLog();
  /// Their samples and numbers instead of texts.
  void showNumbers();
  /// The reasons instead of texts.
  void showWhy();
  /// Of what shows: "trace", ..., "assembly", "log", "overview", "why".
  QString levelName() const;
  /// The chosen decision of the reasons, taken on A; without a trace: none is chosen.
  EditProposal chosenStep() const;
  void showNextDifference(bool forward);
  /// Looks for words in both texts.
  void startSearch();
  void searchAgain(bool forward);
  FindBar* findBar() const { return find_; }
  /// Measures both again, in turns (`temper compare`).
  void measure();
  bool canMeasure() const;
  bool isLoading() const { return waiting_ > 0 || why_.isBusy(); }
  QString sentence() const;
  bool canSave() const;
  /// All that shows as one HTML file; false and a sentence when it cannot be written.
  bool saveTo(const QString& file, QString* problem) const;
  CodeView* codeView(int side) const { return views_[side]; }
  QTreeWidget* whyView() const { return whyView_; }
  QTreeWidget* numbersView() const { return numbersView_; }

signals:
  void editWanted(const EditProposal& proposal);

private:
  QString markWords(int side) const;
  void showSides();
  void showNames();
  void showReasons();
  void showTab();
  bool isWhy() const;
  bool isNumbers() const;
  void fillNumbers();
  /// Code of the texts that show; nothing: their logs.
  std::optional<CodeLevel> textLevel() const;
  void loadTexts();
  void showTexts();
  void countFound();

  Workspace& workspace_;
  CodeLoader loaders_[2];
  TemperCommand compare_;
  QLineEdit* fields_[2];
  QLabel* sides_[2];
  QLabel* sentence_;
  QLabel* measured_;
  QLabel* changes_;
  QPushButton* measure_;
  QTabBar* levels_;
  QCheckBox* onlyDifferences_;
  QLabel* count_;
  CodeView* views_[2];
  FindBar* find_;
  int foundIn_ = 0; ///< the side that shows what was found last
  QSplitter* splitter_;
  WhyQuestion why_;
  QTreeWidget* whyView_;
  QWidget* numbers_;
  SamplePlot* samples_[2];
  QTreeWidget* numbersView_;
  QPushButton* try_;
  CodeLoader::Code texts_[2];
  QStringList changed_; ///< decisions that differ
  QString asked_;       ///< the pair that reasons were asked for
  QString shown_;       ///< what the texts are of
  QString textTitle_;   ///< of the texts: "Assembly"
  int waiting_ = 0;
};

} // namespace temper::gui
