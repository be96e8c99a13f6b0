/// The plots of Explore over the table: parallel coordinates, the importance of decisions,
/// predicted against measured, the roofline, the cost model's calibration, and where it is wrong.
/// All show what the filter leaves, of one kernel, and share what is brushed and selected with the
/// table.
#pragma once

#include "gui/core/importance_model.h"
#include "gui/core/workspace.h"

#include <QWidget>

class QComboBox;
class QLabel;
class QPushButton;
class QStackedWidget;
class QTabBar;
class QTableView;

namespace temper::gui {

class CalibrationPlot;
class ErrorsPane;
class ParallelPlot;
class PlotCanvas;
class PredictedPlot;
class RooflinePlot;

class PlotsPane : public QWidget {
  Q_OBJECT
public:
  enum class Plot : uint8_t {
    kNone,
    kParallel,
    kImportance,
    kPredicted,
    kRoofline,
    kCalibration,
    kErrors
  };
  static constexpr int kPlots = 7; ///< the table alone among them

  explicit PlotsPane(Workspace& workspace, QWidget* parent = nullptr);

  /// The row of choices, which is there even when no plot is.
  QWidget* bar() const { return bar_; }
  /// What is brushed and the way to clear it; shows only while something is.
  QWidget* brushes() const { return brushes_; }
  void show(Plot plot);
  Plot plot() const { return plot_; }
  bool isBusy() const;
  ParallelPlot* parallel() const { return parallel_; }
  CalibrationPlot* calibration() const { return calibration_; }
  QTableView* importance() const { return importance_; }
  ErrorsPane* errors() const { return errors_; }
  RooflinePlot* roofline() const { return roofline_; }
  /// As .png, .svg or .csv; tables are numbers only.
  bool exportTo(const QString& file, QString* problem) const;

signals:
  void plotChanged();

private:
  void showChoices();
  void showBrushes();
  void showBusy();
  PlotCanvas* canvas() const;

  Workspace& workspace_;
  Analysis& analysis_;
  QWidget* bar_;
  QTabBar* tabs_;
  QComboBox* kernels_;
  QWidget* brushes_;
  QLabel* brushed_;
  QPushButton* clear_;
  QStackedWidget* stack_;
  ParallelPlot* parallel_;
  QTableView* importance_;
  QLabel* sentence_;
  ImportanceModel* importances_;
  PredictedPlot* predicted_;
  RooflinePlot* roofline_;
  CalibrationPlot* calibration_;
  ErrorsPane* errors_;
  Plot plot_ = Plot::kNone;
  bool filling_ = false;
};

} // namespace temper::gui
