/// The form that starts a run: every field has the command's default, and the equal command line
/// stands below.
#pragma once

#include "gui/core/temper_program.h"

#include <QWidget>

class QCheckBox;
class QComboBox;
class QDoubleSpinBox;
class QLabel;
class QLineEdit;
class QPushButton;
class QSpinBox;

namespace temper::gui {

class RunForm : public QWidget {
  Q_OBJECT
public:
  explicit RunForm(QString database, QWidget* parent = nullptr);

  RunPlan plan() const;
  void setPlan(const RunPlan& plan);
  QString commandLine() const;
  QPushButton* startButton() const { return start_; }

signals:
  void startWanted(const RunPlan& plan);

private:
  void loadWorkloads();
  void loadShape();
  void update();

  QString database_;
  TemperCommand workloads_;
  TemperCommand shape_;
  QComboBox* workload_;
  QLineEdit* parameters_;
  QComboBox* target_;
  QSpinBox* trials_;
  QDoubleSpinBox* seconds_;
  QSpinBox* threads_;
  QComboBox* strategy_;
  QLineEdit* seed_;
  QComboBox* cache_;
  QCheckBox* fresh_;
  QLabel* command_;
  QLabel* problem_;
  QPushButton* start_;
};

} // namespace temper::gui
