/// Two records side by side: a sentence on top, the differences of their texts below.
#pragma once

#include "gui/core/code_loader.h"
#include "gui/core/workspace.h"

#include <QWidget>

class QCheckBox;
class QGridLayout;
class QLabel;
class QLineEdit;
class QPushButton;
class QTabBar;

namespace temper::gui {

class CodeView;

class ComparePage : public QWidget {
  Q_OBJECT
public:
  explicit ComparePage(Workspace& workspace, QWidget* parent = nullptr);

  void showLevel(CodeLevel level);
  void showNextDifference(bool forward);
  /// Measures both again, in turns (`temper compare`).
  void measure();
  bool canMeasure() const;
  bool isLoading() const { return waiting_ > 0; }
  QString sentence() const;
  bool canSave() const;
  /// All that shows as one HTML file; false and a sentence when it cannot be written.
  bool saveTo(const QString& file, QString* problem) const;
  CodeView* codeView(int side) const { return views_[side]; }

private:
  void showSides();
  void loadTexts();
  void showTexts();

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
  CodeLoader::Code texts_[2];
  QStringList changed_; ///< decisions that differ
  QString shown_;       ///< what the texts are of
  int waiting_ = 0;
};

} // namespace temper::gui
