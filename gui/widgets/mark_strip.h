/// Baselines and pinned records one click away: a strip under the perspectives, gone while there
/// are none.
#pragma once

#include <QToolBar>

#include <functional>

class QToolButton;

namespace temper::gui {

class Workspace;

class MarkStrip : public QToolBar {
  Q_OBJECT
public:
  explicit MarkStrip(QWidget* parent = nullptr);

  /// What it shows from now on.
  void setWorkspace(Workspace* workspace);
  int count() const { return static_cast<int>(shown_.size()); }
  QToolButton* button(int index) const { return shown_[static_cast<size_t>(index)]; }

signals:
  void recordWanted(const QString& id);
  void compareWanted(const QString& id); ///< as A, with what is selected

private:
  void showMarks();

  Workspace* workspace_ = nullptr;
  std::vector<QToolButton*> shown_;
};

} // namespace temper::gui
